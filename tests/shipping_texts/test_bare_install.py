"""install.py really installs on bare interpreters, and refuses what is not as wheelhouse.json says."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from packaging.markers import Marker

from hardtack.shipping import bare_install
from hardtack.shipping.install_script import install_script
from tests.support.archives import make_wheel
from tests.wheelhouse.stowing import Pantry, clean_environment, run

OTHER = "py38-windows-x86"


def here(python: tuple[int, int] = (sys.version_info[0], sys.version_info[1])) -> str:
    return f"py{python[0]}{python[1]}-linux-{platform.machine()}"


pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the targets of these tests are Linux")


@pytest.fixture
def pantry(tmp_path: Path) -> Pantry:
    pantry = Pantry(tmp_path / "store")
    filename, data = make_wheel(
        "Tool.Kit",
        requires=["part"],
        files={
            "toolkit.py": b"import part\ndef main():\n    print('part', part.version)\n",
            "Tool_Kit-1.0.dist-info/entry_points.txt": b"[console_scripts]\ntool-kit = toolkit:main\n\n[other]\nx = y:z\n",
            "Tool_Kit-1.0.data/scripts/raw": b"#!python\nprint('raw')\n",
            "Tool_Kit-1.0.data/purelib/extra_kit.py": b"",
            "Tool_Kit-1.0.data/data/share/kit.txt": b"kit",
        },
    )
    pantry.add_bytes(filename, data, targets=(here(), OTHER))
    pantry.add("part", "2.0+cpu", targets=(here(), OTHER))
    pantry.add("early", marker="python_full_version < '3.0'", targets=(here(),))
    pantry.add("elsewhere", targets=(OTHER,))
    return pantry


def stowed(pantry: Pantry, tmp_path: Path, layout: str = "flat") -> Path:
    house = tmp_path / "wheelhouse"
    pantry.stow(house, layout=layout)
    (house / "install.py").write_bytes(install_script())
    return house


def install(house: Path, *arguments: str, python: str = sys.executable) -> subprocess.CompletedProcess[str]:
    return run([python, "-I", str(house / "install.py"), *arguments], cwd=house.parent, environment=clean_environment(house.parent))


@pytest.mark.parametrize("layout", ["flat", "by-target"])
def test_a_new_environment_has_the_target_and_nothing_else(pantry: Pantry, tmp_path: Path, layout: str) -> None:
    house, venv = stowed(pantry, tmp_path, layout), tmp_path / "venv"
    ran = install(house, "--venv", str(venv))
    assert ran.returncode == 0, ran.stderr
    called = subprocess.run([venv / "bin" / "tool-kit"], capture_output=True, text=True, check=True)
    assert called.stdout == "part 2.0+cpu\n"
    assert subprocess.run([venv / "bin" / "raw"], capture_output=True, text=True, check=True).stdout == "raw\n"
    assert (venv / "share" / "kit.txt").read_bytes() == b"kit"
    packages = next(venv.glob("lib/python*/site-packages"))
    assert {path.name for path in packages.glob("*.dist-info")} == {"Tool_Kit-1.0.dist-info", "part-2.0+cpu.dist-info"}
    judged = (
        "import importlib.metadata as m, hashlib, base64\n"
        "for d in m.distributions():\n"
        "    for f in d.files:\n"
        "        p = f.locate()\n"
        "        assert p.is_file(), p\n"
        "        if f.hash:\n"
        "            assert base64.urlsafe_b64encode(hashlib.sha256(p.read_bytes()).digest()).rstrip(b'=').decode() == f.hash.value, p\n"
        "        else:\n"
        "            assert f.name == 'RECORD', p\n"
    )
    subprocess.run([venv / "bin" / "python", "-I", "-c", judged], check=True)
    again = run([str(venv / "bin" / "python"), "-I", str(house / "install.py")], cwd=tmp_path, environment=clean_environment(tmp_path))
    assert again.returncode == 0, again.stderr
    assert not list(venv.rglob("*.hardtack-part"))


def test_pip_of_the_host_is_used_where_there_is_one(pantry: Pantry, tmp_path: Path) -> None:
    house, venv = stowed(pantry, tmp_path), tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", "--system-site-packages", str(venv)], check=True)
    if subprocess.run([str(venv / "bin" / "python"), "-c", "import pip"], check=False, capture_output=True).returncode:
        pytest.skip("the Python that runs this has no pip of its own")
    environment = clean_environment(tmp_path, PIP_INDEX_URL="https://nowhere.invalid", PIP_NO_BINARY=":all:")
    ran = run([str(venv / "bin" / "python"), str(house / "install.py")], cwd=tmp_path, environment=environment)
    assert ran.returncode == 0, ran.stderr
    assert "Successfully installed" in ran.stdout
    assert (venv / "bin" / "tool-kit").exists()


@pytest.mark.parametrize("layout", ["flat", "by-target"])
def test_a_changed_or_missing_wheel_stops_everything(pantry: Pantry, tmp_path: Path, layout: str) -> None:
    house, venv = stowed(pantry, tmp_path, layout), tmp_path / "venv"
    assert install(house, "--check").returncode == 0
    for path in list(house.rglob("part-*.whl")) + list(house.rglob("Tool*.whl")):
        data = bytearray(path.read_bytes())
        path.unlink()
        if path.name.startswith("part"):
            data[10] ^= 1
            path.write_bytes(data)
    for arguments in (["--check"], ["--venv", str(venv)]):
        ran = install(house, *arguments)
        assert ran.returncode == 1
        assert "part-2.0+cpu" in ran.stderr
        assert "Tool_Kit" in ran.stderr
    assert not list(venv.rglob("part*"))


def test_another_version_that_is_there_is_not_overwritten(pantry: Pantry, tmp_path: Path) -> None:
    house, venv = stowed(pantry, tmp_path), tmp_path / "venv"
    assert install(house, "--venv", str(venv)).returncode == 0
    packages = next(venv.glob("lib/python*/site-packages"))
    (packages / "part-2.0+cpu.dist-info").rename(packages / "part-1.0.dist-info")
    again = run([str(venv / "bin" / "python"), "-I", str(house / "install.py")], cwd=tmp_path, environment=clean_environment(tmp_path))
    assert again.returncode == 1
    assert "part 1.0 is installed here" in again.stderr


@pytest.mark.parametrize(
    "files",
    [
        {"../../escaped.py": b""},
        {"bad-1.0.data/scripts/../../escaped": b""},
        {"bad-1.0.data/scripts/python3": b""},
        {"bad-1.0.data/nowhere/x": b""},
        {"bad-1.0.dist-info/entry_points.txt": b"[console_scripts]\n../x = a:b\n"},
        {"bad-1.0.dist-info/entry_points.txt": b"[console_scripts]\npython = a:b\n"},
    ],
)
def test_hostile_wheels_write_nothing(tmp_path: Path, files: dict[str, bytes]) -> None:
    pantry = Pantry(tmp_path / "store")
    pantry.add_bytes(*make_wheel("bad", files=files), targets=(here(),))
    house, venv = stowed(pantry, tmp_path), tmp_path / "a" / "b" / "venv"
    ran = install(house, "--venv", str(venv))
    assert ran.returncode == 1
    assert "bad-1.0" in ran.stderr
    assert not list(tmp_path.rglob("escaped*"))
    assert not list(venv.rglob("bad*"))


def test_a_wheel_that_its_record_denies_is_refused(tmp_path: Path) -> None:
    filename, data = make_wheel("bad")
    source = tmp_path / "w.whl"
    source.write_bytes(data)
    with zipfile.ZipFile(source, "a") as archive:
        archive.writestr("unlisted.py", b"")
    pantry = Pantry(tmp_path / "store")
    pantry.add_bytes(filename, source.read_bytes(), targets=(here(),))
    ran = install(stowed(pantry, tmp_path), "--venv", str(tmp_path / "venv"))
    assert ran.returncode == 1
    assert "unlisted.py has no digest" in ran.stderr


def test_the_target_is_found_or_asked_for(pantry: Pantry, tmp_path: Path) -> None:
    house = stowed(pantry, tmp_path)
    wrong = install(house, "--target", "py399-x")
    assert (wrong.returncode, OTHER in wrong.stderr) == (1, True)
    names = [here(), f"{here()}-musl", OTHER, here((2, 7))]
    assert bare_install.find_target(names) == here()
    assert bare_install.find_target([here().replace("x86_64", "amd64")]) if platform.machine() == "x86_64" else True
    with pytest.raises(bare_install.Refused, match="several"):
        bare_install.find_target([here(), f"{here()}-glibc2_17"])
    with pytest.raises(bare_install.Refused, match="none of the targets"):
        bare_install.find_target([OTHER])


@pytest.mark.parametrize("version", ["3.11.0rc1", "3.11.0", "3.11.2", "3.11.3", "3.11.10", "3.12.0"])
@pytest.mark.parametrize(
    "marker",
    [
        "python_full_version < '3.11.3'",
        'python_full_version >= "3.11.3" and python_full_version < "3.12"',
        "'3.11.3' <= python_full_version",
        "python_full_version == '3.11.0' or python_full_version > '3.11.9'",
        "(python_full_version != '3.11.2' or python_full_version < '3.0') and python_full_version <= '3.11.10'",
    ],
)
def test_markers_on_the_patch_are_answered_as_packaging_does(marker: str, version: str) -> None:
    assert bare_install.holds(marker, version) == Marker(marker).evaluate({"python_full_version": version})


@pytest.mark.parametrize(
    "marker", ["sys_platform == 'linux'", "python_full_version in '3.11'", "python_full_version <", "python_full_version < 3"]
)
def test_any_other_marker_is_refused(marker: str) -> None:
    with pytest.raises(bare_install.Refused):
        bare_install.holds(marker, "3.11.0")


def test_a_foreign_manifest_is_refused(pantry: Pantry, tmp_path: Path) -> None:
    house = stowed(pantry, tmp_path)
    document = json.loads((house / "wheelhouse.json").read_text())
    damages: tuple[dict[str, object], ...] = ({"schema": 2}, {"files": [{"filename": "../x.whl"}]}, {"targets": {"../t": {}}})
    for damage in damages:
        (house / "wheelhouse.json").write_text(json.dumps({**document, **damage}))
        ran = install(house, "--check")
        assert ran.returncode == 1, ran.stdout
        assert "Traceback" not in ran.stderr
    (house / "wheelhouse.json").unlink()
    assert "cannot read wheelhouse.json" in install(house).stderr


def _interpreters() -> list[Path]:
    found = sorted((Path.home() / ".pyenv" / "versions").glob("3.*/bin/python"))
    return [path for path in found if os.access(path, os.X_OK)]


def test_every_python_here_can_run_it(tmp_path: Path) -> None:
    interpreters = _interpreters()
    if not interpreters:
        pytest.skip("no other Python found")
    for number, python in enumerate(interpreters):
        minor = int(python.parents[1].name.split(".")[1])
        if minor < 8:
            continue
        name = here((3, minor)) + ("t" if python.parents[1].name.endswith("t") else "")
        pantry = Pantry(tmp_path / f"store{number}")
        pantry.add("part", targets=(name,))
        house = tmp_path / str(number)
        pantry.stow(house)
        (house / "install.py").write_bytes(install_script())
        ran = install(house, "--target", name, "--venv", str(house / "venv"), python=str(python))
        assert ran.returncode == 0, (python, ran.stderr)
        assert list((house / "venv").glob("lib/python*/site-packages/part/__init__.py"))

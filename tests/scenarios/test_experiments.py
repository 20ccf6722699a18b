"""The experiments of which other tools got each one wrong: each beside the real tool, each right here.

pip download and uv are run in the same tests, so that the failure that is guarded against is seen and not remembered.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from hardtack import verify
from hardtack.errors import LockError
from hardtack.model.finding import Grade
from tests.scenarios.yard import ARM, LINUX, MAC, OLD_LINUX, WINDOWS, Yard, errors, proven, taken
from tests.support.archives import make_wheel, sha256


def test_an_older_manylinux_is_taken_before_the_pure_wheel(yard: Yard) -> None:
    """E1: pip, asked for manylinux_2_28, saves the slow pure wheel and exits 0."""
    fast = yard.wheel(
        "coverage", "7.8.0", tag="cp312-cp312-manylinux_2_5_x86_64.manylinux1_x86_64.manylinux_2_17_x86_64.manylinux2014_x86_64"
    )
    mac = yard.wheel("coverage", "7.8.0", tag="cp312-cp312-macosx_11_0_arm64")
    pure = yard.wheel("coverage", "7.8.0")

    asked = ("--platform", "manylinux_2_28_x86_64", "--python-version", "3.12", "--abi", "cp312", "--only-binary", ":all:", "--no-deps")
    assert yard.pip_download("by-pip", *asked, "coverage==7.8.0") == {pure}

    result = yard.build("coverage==7.8.0", targets=(LINUX, OLD_LINUX, MAC, ARM))
    assert result.passed
    assert taken(result) == {LINUX: {fast}, OLD_LINUX: {fast}, MAC: {mac}, ARM: {pure}}
    assert yard.files() == {fast, mac, pure}


def test_markers_are_those_of_the_target(yard: Yard) -> None:
    """E2: pip evaluates them on the host, so that click for Windows lacks colorama."""
    click = yard.wheel(
        "click", "8.1.8", requires=["colorama ; platform_system == 'Windows'", "importlib-metadata ; python_version < '3.8'"]
    )
    colorama = yard.wheel("colorama", "0.4.6")

    asked = ("--platform", "win_amd64", "--python-version", "3.12", "--only-binary", ":all:")
    assert yard.pip_download("by-pip", *asked, "click==8.1.8") == {click}

    result = yard.build("click==8.1.8", targets=(LINUX, WINDOWS))
    assert result.passed
    assert taken(result) == {LINUX: {click}, WINDOWS: {click, colorama}}
    # uv, asked for the foreign target over the same wheels, is of one mind with us.
    for platform, wanted in (("x86_64-pc-windows-msvc", 2), ("x86_64-manylinux_2_28", 1)):
        into = yard.home / platform
        yard.uv(
            *("pip", "install", "--offline", "--no-index", "--find-links", yard.wheelhouse, "--target", into, "--only-binary", ":all:"),
            *("--python", sys.executable, "--python-version", "3.12", "--python-platform", platform, "click"),
        )
        assert len(list(into.glob("*.dist-info"))) == wanted


def test_one_version_for_all_targets(yard: Yard) -> None:
    """E2: pip looped over targets takes another version on each."""
    old = [yard.wheel("fast", "1.0", tag=f"cp312-cp312-{tag}") for tag in ("manylinux_2_17_x86_64", "macosx_11_0_arm64")]
    yard.wheel("fast", "2.0", tag="cp312-cp312-macosx_11_0_arm64", requires=[])
    yard.wheel("fast", "1.0", tag="cp312-cp312-win_amd64")
    top = yard.wheel("top", requires=["fast"])
    one = yard.build("top", targets=(OLD_LINUX, LINUX))
    assert one.passed
    assert taken(one) == {OLD_LINUX: {top, old[0]}, LINUX: {top, old[0]}}


def _uv_project(yard: Yard) -> None:
    yard.wheel("leaf")
    yard.write(
        "pyproject.toml",
        '[project]\nname = "proj"\nversion = "1"\nrequires-python = ">=3.11"\ndependencies = ["leaf"]\n'
        f'[[tool.uv.index]]\nurl = "{yard.index.url}"\ndefault = true\n',
    )
    yard.more_environment["UV_NO_CONFIG"] = "0"
    yard.uv("lock", "--python", sys.executable)


def test_a_lock_whose_host_is_dead_is_served_by_the_wheelhouse(yard: Yard) -> None:
    """E5: uv sync --frozen --offline --no-index --find-links goes to the lock's URLs all the same; a wheelhouse must not need that."""
    _uv_project(yard)
    result = yard.build()
    assert result.passed
    yard.index.fault("*", status=503)

    sync = yard.uv("sync", "--frozen", "--offline", "--no-index", "--find-links", yard.wheelhouse, "--python", sys.executable, check=False)
    assert sync.returncode != 0, "uv has learnt it: E5 can go"

    python = _venv(yard)
    yard.uv("pip", "sync", "--offline", "--python", python, yard.wheelhouse / f"pylock.{LINUX}.toml", "--preview", check=False)
    yard.uv("pip", "install", "--offline", "--no-index", "--find-links", yard.wheelhouse, "--python", python, "leaf")
    yard.run(python, "-c", "import leaf")


def _venv(yard: Yard, version: str = "") -> Path:
    """A fresh environment of the interpreter that runs the tests."""
    folder = yard.home / f"venv{len(list(yard.home.glob('venv*')))}"
    yard.uv("venv", "--quiet", "--python", version or sys.executable, folder)
    return folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def test_pylocks_with_paths_install_offline_and_refuse_other_bytes(yard: Yard) -> None:
    """E6: path + url + hash in a pylock.toml: pip and uv take the file beside it, and refuse it if it was exchanged."""
    top = yard.wheel("top", requires=["leaf>=1"])
    leaf = yard.wheel("leaf")
    result = yard.build("top", targets=("host",))
    assert result.passed
    (host,) = [target.name for target in result.targets]
    pylock = yard.wheelhouse / f"pylock.{host}.toml"
    yard.index.fault("*", status=503)

    python = _venv(yard)
    yard.uv("pip", "sync", "--offline", "--python", python, pylock)
    yard.run(python, "-c", "import top, leaf")
    by_pip = yard.home / "by-pip"
    yard.pip("install", "--no-index", "--no-deps", "--target", by_pip, "-r", pylock, check=True)
    assert {path.name for path in by_pip.glob("*.dist-info")} == {"top-1.0.dist-info", "leaf-1.0.dist-info"}

    other = make_wheel("leaf", files={"leaf/__init__.py": b"version = '6.6'\n"})[1]
    assert len(other) == (yard.wheelhouse / leaf).stat().st_size
    stowed = yard.wheelhouse / leaf
    stowed.unlink()
    stowed.write_bytes(other)
    fresh = _venv(yard)
    refused = yard.uv("pip", "sync", "--offline", "--python", fresh, pylock, check=False)
    assert refused.returncode != 0
    assert "ash mismatch" in refused.stderr
    judged = verify(yard.wheelhouse, cache_dir=yard.cache, environment=yard.environment, trial=False)
    assert not judged.verdict.passed
    assert "hash-mismatch" in {finding.code for finding in judged.verdict.findings}
    assert top in yard.files()


def test_a_url_in_metadata_is_told_and_the_exact_list_installs(yard: Yard) -> None:
    """E7: Requires-Dist: x @ https://... makes installing by name fail offline, in pip and in uv; the exact list works."""
    filename, data = make_wheel("direct", requires=[])
    url = yard.index.add(filename, data)
    top = yard.wheel("top", requires=[f"direct @ {url}"])
    # uv takes a URL from a package's metadata only if the user states it too, and says so.
    with pytest.raises(LockError, match=f"Consider adding `direct @ {url}`"):
        yard.build("top", targets=("host",))
    result = yard.build("top", f"direct @ {url}", targets=("host",), trial=True)
    proven(result)
    (host,) = [target.name for target in result.targets]
    assert taken(result)[host] == {top, filename}
    said = [finding for finding in result.findings if finding.code == "url-requirement"]
    assert said
    assert "name" in said[0].message + (said[0].hint or "")
    assert result.verdict is not None
    assert Grade.INSTALLED in dict(result.verdict.grades)[host]
    yard.index.fault("*", status=503)

    exact = yard.wheelhouse / f"requirements.{host}.txt"
    for tool in ("pip", "uv"):
        python = _venv(yard)
        into = yard.home / f"by-{tool}"
        offline = ("--no-index", "--find-links", yard.wheelhouse)
        if tool == "pip":
            assert yard.pip("install", *offline, "--target", into, "top").returncode != 0, "by name"
            yard.pip("install", *offline, "--no-deps", "--require-hashes", "--target", into, "-r", exact, check=True)
            assert {path.name for path in into.glob("*.dist-info")} == {"top-1.0.dist-info", "direct-1.0.dist-info"}
        else:
            by_name = yard.uv("pip", "install", "--offline", *offline, "--python", python, "top", check=False)
            assert by_name.returncode != 0, "by name"
            yard.uv("pip", "install", "--offline", *offline, "--no-deps", "--require-hashes", "--python", python, "-r", exact)
            yard.run(python, "-c", "import top, direct")


def test_a_wrong_hash_of_the_user_is_found(yard: Yard) -> None:
    """E10: uv pip compile ignores a wrong --hash in its input and writes the index's."""
    filename, data = make_wheel("leaf")
    yard.index.add(filename, data)
    wrong = "0" * 64
    requirements = yard.write("requirements.txt", f"leaf==1.0 --hash=sha256:{wrong}\n")
    compiled = yard.uv("pip", "compile", "--generate-hashes", "--index-url", yard.index.url, requirements, "--python", sys.executable)
    assert sha256(data) in compiled.stdout

    for result in (yard.lock(files=("requirements.txt",)), yard.build(files=("requirements.txt",))):
        assert not result.passed
        assert "hash-mismatch" in errors(result) or "user-hash" in errors(result), errors(result)
        assert any(wrong in finding.message or "leaf" in (finding.package or "") for finding in result.findings)
    assert not yard.wheelhouse.exists() or not yard.files()

    yard.write("requirements.txt", f"leaf==1.0 --hash=sha256:{wrong} --hash=sha256:{sha256(data)}\n")
    assert yard.build(files=("requirements.txt",)).passed


@pytest.mark.parametrize("nested", [False, True])
def test_one_hash_makes_hashes_mandatory_everywhere(yard: Yard, nested: bool) -> None:
    filename, data = make_wheel("leaf")
    yard.index.add(filename, data)
    yard.wheel("other")
    yard.write("more.txt", "other==1.0\n" if nested else "")
    yard.write("requirements.txt", f"leaf==1.0 --hash=sha256:{sha256(data)}\n-r more.txt\n" + ("" if nested else "other==1.0\n"))
    done = yard.hardtack("build", "-r", "requirements.txt", "-t", LINUX, "-i", yard.index.url)
    assert done.returncode in (1, 2)
    assert "more.txt:1" in done.stderr if nested else "requirements.txt:3" in done.stderr
    assert "other" in done.stderr
    by_pip = yard.pip("download", "-d", yard.home / "by-pip", "--index-url", yard.index.url, "-r", yard.project / "requirements.txt")
    assert by_pip.returncode != 0


def _marking(yard: Yard) -> tuple[Path, str]:
    mark = yard.home / "mark"
    return mark, f"open({str(mark)!r}, 'w').close()\n"


def test_no_code_of_a_source_runs_while_locking_and_planning(yard: Yard) -> None:
    """E11 and E14: pip download --no-binary runs setup.py even with --no-deps, and uv lock does to learn metadata; nothing here does."""
    mark, setup = _marking(yard)
    yard.sdist("marking", setup=setup)
    asked = ("--no-deps", "--no-binary", ":all:", "--no-build-isolation", "--index-url", yard.index.url)
    yard.pip("download", "-d", yard.home / "by-pip", *asked, "marking")
    assert mark.exists(), "pip has learnt it: E11 can go"
    mark.unlink()

    assert yard.lock("marking").lock.packages[0].sdist is not None
    planned = yard.plan("marking", targets=(LINUX, WINDOWS))
    assert planned.passed
    assert planned.plan is not None
    assert [targets for _, targets in planned.plan.builds()] == [(LINUX, WINDOWS)]
    assert not mark.exists()
    assert not yard.wheelhouse.exists()


def test_dynamic_metadata_is_asked_in_the_sandbox_alone(yard: Yard) -> None:
    """E14: uv lock runs an sdist's code to learn what it requires; a setup.py that cannot leave its sandbox leaves no mark."""
    mark, setup = _marking(yard)
    yard.sdist("marking", setup=f"try:\n    {setup}except OSError:\n    pass\n", static=False)
    _real_setuptools(yard)
    locked = yard.lock("marking")
    assert locked.passed
    assert not mark.exists()


def _real_setuptools(yard: Yard) -> None:
    """A backend for setup.py alone, so small that it is a wheel made here."""
    backend = (
        b"import os\n"
        b"def _run():\n    exec(compile(open('setup.py').read().split('from setuptools')[0], 'setup.py', 'exec'), {})\n"
        b"def get_requires_for_build_wheel(config_settings=None):\n    _run(); return []\n"
        b"def prepare_metadata_for_build_wheel(directory, config_settings=None):\n"
        b"    _run()\n"
        b"    os.makedirs(os.path.join(directory, 'marking-1.0.dist-info'))\n"
        b"    open(os.path.join(directory, 'marking-1.0.dist-info', 'METADATA'), 'w').write("
        b"'Metadata-Version: 2.1\\nName: marking\\nVersion: 1.0\\n')\n"
        b"    open(os.path.join(directory, 'marking-1.0.dist-info', 'WHEEL'), 'w').write('Wheel-Version: 1.0\\nTag: py3-none-any\\n')\n"
        b"    return 'marking-1.0.dist-info'\n"
        b"class _Legacy:\n"
        b"    get_requires_for_build_wheel = staticmethod(get_requires_for_build_wheel)\n"
        b"    prepare_metadata_for_build_wheel = staticmethod(prepare_metadata_for_build_wheel)\n"
        b"__legacy__ = _Legacy()\n"
    )
    yard.wheel("setuptools", "80.0", files={"setuptools/build_meta.py": backend})
    yard.wheel("wheel", "0.45")


def test_a_stray_configuration_of_pip_adds_nothing(yard: Yard) -> None:
    """E12: a global pip.conf, or PIP_FIND_LINKS, silently adds files to a wheelhouse that pip makes."""
    leaf = yard.wheel("leaf", "1.0")
    stray = yard.home / "stray"
    stray.mkdir()
    filename, data = make_wheel("leaf", "9.0")
    (stray / filename).write_bytes(data)
    configuration = yard.home / "pip.conf"
    configuration.write_text(f"[global]\nfind-links = {stray}\n")
    for variables in ({"PIP_CONFIG_FILE": str(configuration)}, {"PIP_FIND_LINKS": str(stray)}):
        yard.more_environment = dict(variables)
        assert filename in yard.pip_download(f"by-pip-{next(iter(variables))}", "leaf")
        result = yard.build("leaf")
        assert result.passed
        assert taken(result) == {LINUX: {leaf}}
        assert yard.files() == {leaf}


def test_the_second_run_is_the_first_ones_proof(yard: Yard) -> None:
    yard.wheel("leaf")
    first = yard.build("leaf")
    assert first.passed
    asked = len(yard.index.requests)
    again = yard.build("leaf")
    assert again.passed
    assert again.unchanged
    assert len(yard.index.requests) == asked

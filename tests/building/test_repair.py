"""Wheels compiled here, for real: their tags are what their files deserve, and what they load comes along or is said to be outside."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from packaging.tags import Tag

from hardtack.building.backend import WrongWheel
from hardtack.building.interpreter import ask
from hardtack.building.repair import find_repairer, fit_tags
from hardtack.system import environ
from hardtack.system.process import run
from hardtack.wheelhouse.manylinux import promise
from hardtack.wheelhouse.native import wheel_floor
from tests.building.compiled import compiled_source, needs_compiler
from tests.building.projects import Bench, build, names, source
from tests.support.archives import make_wheel
from tests.wheelhouse_elf.forge import elf

GLIBC = sys.platform.startswith("linux") and platform.libc_ver()[0] == "glibc"
pytestmark = [needs_compiler, pytest.mark.skipif(not GLIBC, reason="the floors are glibc's")]

OURS = f"cp{sys.version_info[0]}{sys.version_info[1]}"
MACHINE = platform.machine()
NEW = "HEAD, EXTRA = '#include <dlfcn.h>', 'dlsym(0, \"x\");'\n"
BZIP2 = "HEAD, EXTRA, FLAGS = 'const char *BZ2_bzlibVersion(void);', 'BZ2_bzlibVersion();', [{!r}]\n"
none = pytest.mark.parametrize("sandbox", ["none"], indirect=True)


def bzip2() -> str:
    """A library of this machine that no policy allows."""
    for folder in (*Path("/usr/lib").glob("*-linux-gnu*"), Path("/usr/lib64"), Path("/usr/lib")):
        if (folder / "libbz2.so.1.0").exists():
            return str(folder / "libbz2.so.1.0")
    pytest.skip("no libbz2 here to link to")


def shown(wheel: Path) -> tuple[int, int]:
    """The floor that ``auditwheel show`` tells."""
    pytest.importorskip("auditwheel")
    done = run([sys.executable, "-m", "auditwheel", "show", "--json", str(wheel)], environment=environ.variables(), timeout=60)
    assert done.code == 0, done.stderr
    found = promise(json.loads(done.stdout)["overall_tag"])
    assert found is not None, done.stdout
    return found[2]


def floors(tags: frozenset[Tag]) -> set[tuple[int, int]]:
    return {promised[2] for tag in tags if (promised := promise(tag.platform)) is not None}


def imports(wheel: Path, folder: Path, python: Path = Path(sys.executable)) -> str:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    done = subprocess.run(
        [python, "-c", "import mini; print(mini.value())"], env={"PYTHONPATH": str(folder)}, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_compiled_wheel_gets_the_lowest_true_tag_and_runs(bench: Bench, tmp_path: Path) -> None:
    built = build(bench, compiled_source(tmp_path))
    assert {(tag.interpreter, tag.abi) for tag in built.tags} == {(OURS, OURS)}
    [floor] = floors(built.tags)
    assert floor == shown(built.path)
    assert not built.pure
    assert built.outside == ()
    assert built.record.tools == {"glibc": platform.libc_ver()[1]}
    assert imports(built.path, tmp_path / "installed") == "42"
    assert [path for path in bench.work.rglob("*") if path.is_file()] == [built.path], "the build left more than the wheel"


@none
def test_never_lower_than_its_symbols_need(bench: Bench, tmp_path: Path) -> None:
    built = build(bench, compiled_source(tmp_path, NEW + "TAG = TAG.replace('linux', 'manylinux_2_5')\n"))
    [floor] = floors(built.tags)
    assert floor == wheel_floor(built.path).floor(MACHINE) == shown(built.path)
    assert floor > (2, 5)


@none
def test_built_twice_the_same_bytes(bench: Bench, tmp_path: Path) -> None:
    assert build(bench, compiled_source(tmp_path)).sha256 == build(bench, compiled_source(tmp_path)).sha256


@none
@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("SUFFIX, TAG = '.abi3.so', 'cp39-abi3-linux_' + MACHINE\n", ("cp39", "abi3")),
        ("TAG = 'py3-none-any'\n", (OURS, OURS)),
        ("TAG = 'py3-none-linux_' + MACHINE\n", (OURS, OURS)),
        ("TAG = 'cp39-abi3-linux_' + MACHINE\n", (OURS, OURS)),
        ("SUFFIX, TAG = '.so', 'py3-none-linux_' + MACHINE\n", ("py3", "none")),
    ],
)
def test_the_interpreter_is_kept_or_narrowed_to_who_can_import_it(
    bench: Bench, tmp_path: Path, more: str, expected: tuple[str, str]
) -> None:
    built = build(bench, compiled_source(tmp_path, more))
    assert {(tag.interpreter, tag.abi) for tag in built.tags} == {expected}
    assert all(tag.platform.startswith("manylinux") for tag in built.tags)
    assert imports(built.path, tmp_path / "installed") == "42"


@none
def test_data_that_is_machine_code_leaves_a_pure_wheel_pure(bench: Bench, tmp_path: Path) -> None:
    """debugpy's py3-none-any has libraries of every system in it, to be loaded by hand."""
    foreign = elf("aarch64")
    more = f"TAG, SUFFIX, MORE = 'py3-none-any', '.txt', {{'mini/data/attach_arm.so': {foreign!r}}}\n"
    assert build(bench, compiled_source(tmp_path, more)).pure


def test_libraries_of_the_host_come_along(bench: Bench, tmp_path: Path) -> None:
    repairer = find_repairer()
    if repairer is None:
        pytest.skip("neither auditwheel nor repairwheel is installed")
    sdist = compiled_source(tmp_path, BZIP2.format(bzip2()))
    built = build(bench, sdist, repairer=repairer)
    assert built.outside == ()
    assert any("libbz2-" in name for name in names(built.path))
    assert len(floors(built.tags)) == 1
    assert built.record.tools is not None
    assert built.record.tools[repairer.name] == repairer.version
    assert imports(built.path, tmp_path / "installed") == "42"
    assert build(bench, sdist, repairer=repairer).sha256 == built.sha256


@none
def test_without_a_repairer_they_are_said_to_be_outside_and_no_tag_promises_anything(bench: Bench, tmp_path: Path) -> None:
    built = build(bench, compiled_source(tmp_path, BZIP2.format(bzip2())))
    assert built.outside == ("libbz2.so.1.0",)
    assert {tag.platform for tag in built.tags} == {f"linux_{MACHINE}"}


@none
def test_a_wheel_of_another_machine_is_refused(bench: Bench, tmp_path: Path) -> None:
    arch = "aarch64" if MACHINE != "aarch64" else "x86_64"
    with pytest.raises(WrongWheel, match=arch):
        build(bench, compiled_source(tmp_path, f"def compiled(): return {elf(arch)!r}\n"))


@none
def test_a_compiled_name_without_machine_code_promises_the_oldest(bench: Bench, tmp_path: Path) -> None:
    built = build(bench, source(tmp_path, f"TAG = '{OURS}-{OURS}-linux_{MACHINE}'\n"))
    assert floors(built.tags) == {(2, 5) if MACHINE in ("x86_64", "i686") else (2, 17)}


def fitted(bench: Bench, folder: Path, tag: str, members: dict[str, bytes], **interpreter: object) -> str:
    """The file name under which a wheel made by hand leaves."""
    room = folder / "room"
    room.mkdir(exist_ok=True)
    filename, data = make_wheel("mini", tag=tag, files=members)
    (room / filename).write_bytes(data)
    return fit_tags(
        room / filename,
        source="mini-1.0.tar.gz",
        interpreter=replace(ask(Path(sys.executable)), **interpreter),  # type: ignore[arg-type]
        repairer=None,
        sandbox=bench.sandbox,
        room=room,
        log=room / "log",
        source_date_epoch=1_577_836_800,
        stop=bench.stop,
    ).path.name


@none
@pytest.mark.parametrize(
    ("member", "platform"),
    [
        (elf(versions={"libc.so.6": ["GLIBC_PRIVATE"]}), "linux_x86_64"),
        (b"\x7fELF" + bytes(200), "linux_x86_64"),
        (elf(needed=["libc.musl-x86_64.so.1"]), "musllinux_1_2_x86_64"),
        (elf(needed=["libz.so.1"], versions={"libz.so.1": ["ZLIB_1.2.9"]}), "manylinux_2_27_x86_64"),
    ],
)
def test_what_cannot_be_judged_promises_nothing(bench: Bench, tmp_path: Path, member: bytes, platform: str) -> None:
    name = fitted(bench, tmp_path, f"{OURS}-{OURS}-linux_x86_64", {"mini/a.so": member}, arch="x86_64")
    assert name == f"mini-1.0-{OURS}-{OURS}-{platform}.whl"


@none
def test_other_systems_keep_their_tags(bench: Bench, tmp_path: Path) -> None:
    tag = f"{OURS}-{OURS}-win_amd64"
    assert fitted(bench, tmp_path, tag, {"mini/a.pyd": b"MZ" + bytes(99)}, os="windows", libc=None) == f"mini-1.0-{tag}.whl"
    tag = f"{OURS}-{OURS}-macosx_11_0_arm64"
    assert fitted(bench, tmp_path, tag, {}, os="macos", arch="arm64", libc=None) == f"mini-1.0-{tag}.whl"

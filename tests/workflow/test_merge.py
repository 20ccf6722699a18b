"""``merge``: what was made on several machines becomes one wheelhouse, proven as a whole, or says what stands against it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from uv import find_uv_bin

from hardtack import BuildOptions, InputRequest, MergeResult, Reporter, merge, verify
from hardtack.errors import Cancelled, InputError, TargetError, UsageError
from hardtack.model.finding import Severity
from hardtack.system.cancellation import Cancellation
from tests.scenarios.yard import LINUX, MAC, WINDOWS, Yard
from tests.support.archives import make_sdist, make_wheel
from tests.support.loopback import LoopbackIndex
from tests.support.running import contents, traces
from tests.support.world import BACKEND

NATIVE = {
    LINUX: "cp312-cp312-manylinux_2_17_x86_64",
    MAC: "cp312-cp312-macosx_11_0_arm64",
    WINDOWS: "cp312-cp312-win_amd64",
}


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    """The main machine."""
    with LoopbackIndex() as index:
        yield a_machine(tmp_path / "main", index)


def a_machine(folder: Path, index: LoopbackIndex) -> Yard:
    """A machine of its own: its project, home and cache."""
    project, home = folder / "project", folder / "home"
    project.mkdir(parents=True)
    home.mkdir()
    return Yard(project=project, home=home, index=index)


def another(yard: Yard, index: LoopbackIndex | None = None, name: str = "other") -> Yard:
    """Another machine with the same project."""
    return a_machine(yard.home.parent.parent / name, index or yard.index)


def add_app(yard: Yard, *targets: str, version: str = "2.0", index: LoopbackIndex | None = None) -> None:
    """``app`` needs ``native``, which has wheels for these targets."""
    yard.wheel("app", requires=["native"], index=index)
    for target in targets:
        yard.wheel("native", version, tag=NATIVE[target], files={"native/data.bin": target.encode()}, index=index)


def stow(yard: Yard, *requirements: str, targets: Sequence[str], output: str = "wheelhouse", **more: Any) -> Path:
    """A build that keeps what there is; the folder."""
    options = BuildOptions(output=yard.project / output, trial=False, keep_incomplete=True, layout=more.pop("layout", None))
    yard.build(*requirements, targets=targets, options=options, **more)
    return yard.project / output


def join(yard: Yard, wheelhouse: Path, *parts: Path, **more: Any) -> MergeResult:
    """``hardtack merge`` on a machine."""
    return merge(wheelhouse, parts, trial=False, cache_dir=yard.cache, environment=yard.environment, **more)


def errors(result: MergeResult) -> list[str]:
    return sorted(finding.code for finding in result.findings if finding.severity is Severity.ERROR)


def words(result: MergeResult, code: str) -> str:
    """The message of the one finding of that code."""
    [finding] = [finding for finding in result.findings if finding.code == code]
    return finding.message


def proven(result: MergeResult) -> None:
    assert [finding.message for finding in result.findings if finding.severity is Severity.ERROR] == []
    assert result.passed and result.stowed


def installs(yard: Yard, folder: Path, target: str) -> set[str]:
    """pip's word on a target's exact list: "name-version" of all that it would install, from nothing but what lies there; uv must agree."""
    platform = {LINUX: "x86_64-manylinux_2_28", MAC: "aarch64-apple-darwin", WINDOWS: "x86_64-pc-windows-msvc"}[target]
    tags = {LINUX: ["manylinux_2_17_x86_64"], MAC: ["macosx_11_0_arm64"], WINDOWS: ["win_amd64"]}[target]
    links = target if (folder / target).is_dir() else "."
    listed = ["--no-index", "--find-links", links, "--only-binary", ":all:", "--require-hashes", "-r", f"requirements.{target}.txt"]
    listed += ["--no-deps", "--python-version", "3.12", "--target", str(yard.home / f"into-{target}")]
    there = [find_uv_bin(), "pip", "install", "--dry-run", "--offline", *listed, "--python-platform", platform, "--python", sys.executable]
    yard.run(*there, "--cache-dir", yard.home / "uv", cwd=folder)
    report = yard.home / f"report-{target}.json"
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--disable-pip-version-check", "-q", *listed]
    yard.run(*command, "--report", report, *(word for tag in tags for word in ("--platform", tag)), cwd=folder)
    rows = json.loads(report.read_text())["install"]
    return {f"{row['metadata']['name']}-{row['metadata']['version']}" for row in rows}


def manifest(folder: Path) -> dict[str, Any]:
    data = json.loads((folder / "wheelhouse.json").read_bytes())
    assert isinstance(data, dict)
    return data


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change ``wheelhouse.json`` as someone with an editor would."""
    data = manifest(folder)
    change(data)
    (folder / "wheelhouse.json").write_text(json.dumps(data, indent=1))


def sound(yard: Yard, folder: Path) -> bool:
    """``verify``'s word, by a machine that has never seen any of it."""
    return verify(folder, cache_dir=yard.home / "unseen", trial=False, environment=yard.environment).verdict.passed


@pytest.fixture
def mac(yard: Yard) -> Iterator[Yard]:
    """Another machine, with an index that has what the first one's lacks."""
    with LoopbackIndex() as index:
        yield another(yard, index)


# --- what comes together ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["flat", "by-target"])
def test_a_part_fills_the_gap_of_the_other(yard: Yard, mac: Yard, layout: str) -> None:
    """The story: the index has the wheel for Linux; the Mac has its own."""
    add_app(yard, LINUX)
    add_app(mac, MAC)
    house = stow(yard, "app", targets=(LINUX, MAC), layout=layout)
    part = stow(mac, "app", targets=(MAC,), output="part")
    assert [gap["package"] for gap in manifest(house)["gaps"]] == ["native"]
    before = contents(part)
    result = join(yard, house, part)
    proven(result)
    assert [(place, file.filename) for place, file in result.brought] == [(str(part), f"native-2.0-{NATIVE[MAC]}.whl")]
    assert "gaps" not in manifest(house) and contents(part) == before
    assert installs(yard, house, LINUX) == installs(yard, house, MAC) == {"app-1.0", "native-2.0"}
    assert sound(yard, house)


def test_disjoint_targets_become_one_wheelhouse_elsewhere(yard: Yard, mac: Yard) -> None:
    for one, target in ((yard, LINUX), (mac, MAC)):
        add_app(one, target)
    first, second = stow(yard, "app", targets=(LINUX,)), stow(mac, "app", targets=(MAC,), output="part")
    before = contents(first), contents(second)
    whole = yard.project / "whole"
    result = join(yard, first, second, output=whole)
    proven(result)
    assert (contents(first), contents(second)) == before
    assert list(manifest(whole)["targets"]) == [LINUX, MAC]
    assert [file["targets"] for file in manifest(whole)["files"]] == [[LINUX, MAC], [MAC], [LINUX]]
    assert "targets" not in manifest(whole)["roots"][0]
    assert installs(yard, whole, LINUX) == installs(yard, whole, MAC) == {"app-1.0", "native-2.0"}
    assert sound(yard, whole)


def test_what_each_asks_for_is_asked_for_on_its_own_targets_alone(yard: Yard, mac: Yard) -> None:
    yard.wheel("here")
    mac.wheel("there")
    first, second = stow(yard, "here", targets=(LINUX,)), stow(mac, "there", targets=(MAC,), output="part")
    proven(join(yard, first, second))
    assert {root["requirement"]: root["targets"] for root in manifest(first)["roots"]} == {"here": [LINUX], "there": [MAC]}
    assert installs(yard, first, LINUX) == {"here-1.0"} and installs(yard, first, MAC) == {"there-1.0"}
    assert sound(yard, first)


def test_a_part_of_one_package_fills_its_gap_and_changes_nothing_else(yard: Yard, mac: Yard) -> None:
    """As the hints of gaps print it; what the package needs was resolved anew there, and the first's version stays."""
    yard.wheel("app", requires=["native", "lib"])
    for one, lib in ((yard, "1.0"), (mac, "1.5")):
        one.wheel("lib", lib)
        one.wheel("native", "2.0", tag=NATIVE[LINUX if one is yard else MAC], requires=["lib"])
    house = stow(yard, "app", targets=(LINUX, MAC))
    part = stow(mac, "native==2.0", targets=(MAC,), output="built")
    result = join(yard, house, part)
    proven(result)
    assert [(finding.severity.value, finding.package, finding.version) for finding in result.findings if finding.code == "left-aside"] == [
        ("note", "lib", "1.5")
    ]
    assert "lib 1.5" in words(result, "left-aside") and f"{house} has 1.0" in words(result, "left-aside")
    assert [root["requirement"] for root in manifest(house)["roots"]] == ["app"]
    assert installs(yard, house, MAC) == {"app-1.0", "native-2.0", "lib-1.0"}
    assert not list(house.glob("lib-1.5*"))
    assert sound(yard, house)


def test_a_fill_brings_what_no_lock_could_know_of(yard: Yard, mac: Yard) -> None:
    """Where nothing at all serves a target, the resolver stops there: what the gap itself needs is in no lock."""
    yard.wheel("app", requires=["native"])
    yard.wheel("native", "2.0", tag=NATIVE[LINUX], requires=["lib"])
    yard.wheel("lib", "1.0")
    mac.wheel("native", "2.0", tag=NATIVE[MAC], requires=["lib"])
    mac.wheel("lib", "1.5", requires=["deep"])
    mac.wheel("deep")
    house = stow(yard, "app", targets=(LINUX, MAC))
    result = join(yard, house, stow(mac, "native==2.0", targets=(MAC,), output="built"))
    proven(result)
    assert installs(yard, house, MAC) == {"app-1.0", "native-2.0", "lib-1.5", "deep-1.0"}
    assert installs(yard, house, LINUX) == {"app-1.0", "native-2.0", "lib-1.0"}
    assert "lib has 2 versions" in words(result, "skew")
    again = stow(another(yard, name="third"), targets=(LINUX,), inputs=obeying(yard, house), output="again")
    assert {pin["name"] for pin in manifest(again)["pins"]} == {"app", "native", "lib"}
    assert sound(yard, house)


def obeying(yard: Yard, house: Path) -> InputRequest:
    """Inputs that are a wheelhouse's lock and nothing else."""
    return replace(yard.request().inputs, requirements=(), lock_file=house / "pylock.toml")


def test_a_version_for_a_part_of_the_patches(yard: Yard, mac: Yard) -> None:
    """Python 3.12.3 is where one version ends and the next begins; each part fills its own stretch, and no more."""
    for one, target in ((yard, LINUX), (mac, MAC)):
        for version in ("1.0", "2.0"):
            one.wheel("lib", version, tag=NATIVE[target])
            yard.sdist("lib", version)
    yard.wheel("top", requires=["lib<2; python_full_version < '3.12.3'", "lib>=2; python_full_version >= '3.12.3'"])
    house = stow(yard, "top", targets=(LINUX, MAC), only_binary=frozenset({"lib"}))
    early = stow(mac, "lib==1.0", targets=(MAC,), output="early")
    late = stow(mac, "lib==2.0", targets=(MAC,), output="late")
    half = join(yard, house, early, keep_incomplete=True)
    assert not half.passed and {finding.package for finding in half.findings if finding.severity is Severity.ERROR} == {"lib"}
    proven(join(yard, house, late))
    pins = {(pin["target"], pin["version"], pin.get("marker")) for pin in manifest(house)["pins"] if pin["name"] == "lib"}
    assert pins == {
        (target, version, f'python_full_version {sign} "3.12.3"')
        for target in (LINUX, MAC)
        for version, sign in (("1.0", "<"), ("2.0", ">="))
    }
    before = traces(house)
    proven(join(yard, house, early, late))
    assert traces(house) == before and sound(yard, house)
    whole = stow(yard, "top", targets=(LINUX,), output="linux")
    proven(join(yard, whole, house, output=yard.project / "all"))


def a_source(yard: Yard, *, more: str = "") -> None:
    """A project that is only a source, with a backend that needs nothing."""
    backend = BACKEND.format(name="fromsource", version="1.0", before="") + more
    pyproject = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    head = "Metadata-Version: 2.2\nName: fromsource\nVersion: 1.0\n"
    yard.index.add(*make_sdist("fromsource", "1.0", pyproject=pyproject, metadata=head, files={"backend.py": backend.encode()}))


def test_a_built_wheel_keeps_its_record(yard: Yard) -> None:
    a_source(yard)
    yard.wheel("app", requires=["fromsource"])
    house = stow(yard, "app", targets=(LINUX,), only_binary=frozenset({"fromsource"}))
    assert [gap["code"] for gap in manifest(house)["gaps"]] == ["only-binary"]
    part = stow(another(yard), "app", targets=(LINUX,), output="part")
    proven(join(yard, house, part))
    [built] = [file for file in manifest(house)["files"] if file["origin"] == "built"]
    assert built == next(file for file in manifest(part)["files"] if file["name"] == "fromsource")
    assert built["build"]["source"] == "fromsource-1.0.tar.gz"
    assert sound(yard, house)


def test_what_was_built_for_the_same_host_under_another_name_fills_the_gap(yard: Yard) -> None:
    """A target that is described in the project's settings has a name that means nothing on another machine."""
    a_source(yard)
    yard.wheel("app", requires=["fromsource"])
    yard.write("pyproject.toml", '[tool.hardtack.targets.service]\nplatform = "linux-x86_64"\npython = "3.12"\nfloor = "2.31"\n')
    house = stow(yard, "app", targets=("service",), only_binary=frozenset({"fromsource"}))
    part = stow(another(yard), "app", targets=("py312-linux-x86_64-glibc2_31",), output="part")
    proven(join(yard, house, part))
    [built] = [file for file in manifest(house)["files"] if file["origin"] == "built"]
    assert set(built["targets"]) == {"service", "py312-linux-x86_64-glibc2_31"}
    assert sound(yard, house)


def test_a_wheel_of_an_index_fills_nothing_but_its_own_target(yard: Yard, mac: Yard) -> None:
    """It was not taken here, so it is not to be had or not to be taken: that is for the lock of this target to say."""
    yard.sdist("native", "2.0")
    mac.wheel("native", "2.0", tag="cp312-abi3-manylinux_2_17_x86_64")
    house = stow(yard, "native", targets=(LINUX,), only_binary=frozenset({"native"}))
    result = join(yard, house, stow(mac, "native", targets=("py313-linux-x86_64",), output="part"))
    assert not result.passed and {finding.target for finding in result.findings if finding.severity is Severity.ERROR} == {LINUX}


def test_several_parts_in_their_order(yard: Yard, mac: Yard) -> None:
    add_app(yard, LINUX)
    add_app(mac, MAC, WINDOWS)
    house = stow(yard, "app", targets=(LINUX, MAC))
    parts = [stow(mac, "app", targets=(target,), output=target) for target in (MAC, WINDOWS)]
    proven(join(yard, house, *parts))
    assert {file.name for file in house.glob("native*.whl")} == {f"native-2.0-{tag}.whl" for tag in NATIVE.values()}
    assert sound(yard, house)


# --- the same again, and at once -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["flat", "by-target"])
def test_the_same_again_touches_nothing(yard: Yard, layout: str) -> None:
    add_app(yard, LINUX, MAC)
    house = stow(yard, "app", targets=(MAC, LINUX), layout=layout)
    copy = Path(shutil.copytree(house, yard.home / "copy"))
    before = traces(house)
    for part in (house, copy):
        result = join(yard, house, part)
        proven(result)
        assert not result.changed and not result.brought and traces(house) == before
    other = another(yard)
    proven(join(other, house, copy))
    assert traces(house) == before, "a machine that has none of the files in its cache leaves them alone too"


def test_merged_twice_is_merged_once(yard: Yard, mac: Yard) -> None:
    add_app(yard, LINUX)
    add_app(mac, MAC, WINDOWS)
    house = stow(yard, "app", targets=(LINUX, MAC))
    parts = [stow(mac, "app", targets=(target,), output=target) for target in (MAC, WINDOWS)]
    join(yard, house, *parts)
    before = traces(house)
    for again in (parts, parts[::-1]):
        result = join(yard, house, *again)
        proven(result)
        assert not result.changed and traces(house) == before


def test_parts_of_one_lock_are_what_one_build_of_both_is(yard: Yard) -> None:
    add_app(yard, LINUX, MAC, WINDOWS)
    yard.wheel("paint")
    yard.wheel("more", requires=["paint; sys_platform == 'win32'", "app"])
    assert yard.lock("more", targets=(LINUX, MAC, WINDOWS)).passed
    inputs = obeying(yard, yard.project)
    at_once = stow(yard, targets=(LINUX, MAC, WINDOWS), inputs=inputs, output="at-once")
    first, second, third = (stow(yard, targets=(t,), inputs=inputs, output=t) for t in (LINUX, WINDOWS, MAC))
    whole = yard.project / "whole"
    proven(join(yard, first, second, third, output=whole))
    assert contents(whole) == contents(at_once)
    back = yard.project / "back"
    proven(join(yard, third, second, first, output=back))
    assert contents(back) == contents(at_once), "the order of the parts leaves no trace where they agree"


def test_the_lock_of_the_whole_says_what_lies_there(yard: Yard, mac: Yard) -> None:
    """Locked apart, with a package that has several versions; a machine that obeys the merged lock makes the same wheels."""
    for one, target, version in ((yard, LINUX, "1.0"), (mac, WINDOWS, "2.0")):
        add_app(one, target)
        one.wheel("lib", version)
        one.wheel("top", requires=["app", "lib", "paint; sys_platform == 'win32'"])
        one.wheel("paint")
    first, second = stow(yard, "top", targets=(LINUX,)), stow(mac, "top", targets=(WINDOWS,), output="part")
    result = join(yard, first, second)
    proven(result)
    assert "lib has 2 versions" in words(result, "skew")
    [skew] = manifest(first)["skews"]
    assert skew["name"] == "lib" and skew["versions"] == [["1.0", [LINUX]], ["2.0", [WINDOWS]]]
    third = another(yard, name="third")
    third.more_environment["UV_OFFLINE"] = ""
    inputs = replace(yard.request().inputs, requirements=(), lock_file=first / "pylock.toml", project_dir=third.project)
    made = stow(third, targets=(LINUX, WINDOWS), inputs=inputs)
    assert manifest(made)["pins"] == manifest(first)["pins"]
    assert manifest(made)["files"] == manifest(first)["files"]


def test_wheels_copied_in_by_hand_stay_and_those_of_parts_fill_gaps_alone(yard: Yard, mac: Yard) -> None:
    add_app(yard, LINUX)
    add_app(mac)
    house, part = yard.project / "wheelhouse", mac.project / "part"
    for folder, name in ((house, "mine"), (part, "theirs")):
        folder.mkdir()
        filename, data = make_wheel(name)
        (folder / filename).write_bytes(data)
    filename, data = make_wheel("native", "2.0", tag=NATIVE[MAC])
    (part / filename).write_bytes(data)
    mac.wheel("native", "2.0", tag=NATIVE[WINDOWS])
    for one, folder, targets in ((yard, house, (LINUX, MAC)), (mac, part, (MAC,))):
        one.build("app", targets=targets, options=BuildOptions(output=folder, trial=False, keep_incomplete=True, keep_foreign=True))
    assert "gaps" not in manifest(part)
    result = join(yard, house, part)
    proven(result)
    assert {file["filename"]: file["origin"] for file in manifest(house)["files"] if file["origin"] == "foreign"} == {
        "mine-1.0-py3-none-any.whl": "foreign",
        filename: "foreign",
    }
    assert "theirs-1.0-py3-none-any.whl" in words(result, "left-aside")
    before = traces(house)
    assert not join(yard, house, part).changed and traces(house) == before
    assert installs(yard, house, MAC) == {"app-1.0", "native-2.0"} and sound(yard, house)


@pytest.mark.parametrize("built", [False, True])
def test_a_better_wheel_for_someone_else_is_told(yard: Yard, mac: Yard, built: bool) -> None:
    """Where all lies together, pip on 3.13 takes the abi3 wheel that was meant for 3.12: the pure one that was proven is not what comes."""
    yard.wheel("fromsource", tag="cp312-abi3-manylinux_2_17_x86_64")
    if built:
        a_source(mac)
    else:
        mac.wheel("fromsource")
    house = stow(yard, "fromsource", targets=(LINUX,))
    before = contents(house)
    result = join(yard, house, stow(mac, "fromsource", targets=("py313-linux-x86_64",), output="part"))
    assert errors(result) == ["downgraded"] and contents(house) == before


def test_source_archives_come_along(yard: Yard) -> None:
    a_source(yard)
    other = another(yard)
    for one, target in ((yard, LINUX), (other, MAC)):
        one.build(
            "fromsource", targets=(target,), options=BuildOptions(output=one.wheelhouse, trial=False, with_sdists=target is MAC)
        )  # fmt: skip
    proven(join(yard, yard.wheelhouse, other.wheelhouse))
    assert [source["path"] for source in manifest(yard.wheelhouse)["sources"]] == ["sdists/fromsource-1.0.tar.gz"]
    assert (yard.wheelhouse / "sdists" / "fromsource-1.0.tar.gz").is_file() and (yard.wheelhouse / "sdists/simple/index.html").is_file()
    assert sound(yard, yard.wheelhouse)
    flip(other.wheelhouse / "sdists" / "fromsource-1.0.tar.gz")
    assert errors(join(yard, yard.wheelhouse, other.wheelhouse)) == ["hash-mismatch"]


# --- what contradicts each other -------------------------------------------------------------------------------------------------


def test_another_version_for_the_same_target_is_a_conflict(yard: Yard, mac: Yard) -> None:
    add_app(yard, LINUX)
    add_app(mac, LINUX, MAC, version="2.1")
    house = stow(yard, "app", targets=(LINUX, MAC))
    part = stow(mac, "app", targets=(LINUX, MAC), output="part")
    before = contents(house)
    result = join(yard, house, part)
    conflicts = [finding for finding in result.findings if finding.code == "merge-conflict"]
    assert {(finding.target, finding.package, finding.version) for finding in conflicts} == {
        (LINUX, "native", "2.1"),
        (MAC, "native", "2.1"),
    }
    assert all(str(house) in finding.message and str(part) in finding.message and "2.0" in finding.message for finding in conflicts)
    assert "--lock-file" in (conflicts[0].hint or "")
    assert not result.stowed and contents(house) == before
    kept = join(yard, house, part, keep_incomplete=True)
    assert kept.stowed and not kept.passed and not list(house.glob("native-2.1*"))
    assert manifest(house)["gaps"] and not sound(yard, house)


def test_other_bytes_under_one_name_are_a_conflict(yard: Yard, mac: Yard) -> None:
    for one, text in ((yard, b"1"), (mac, b"2")):
        one.wheel("same", files={"same/data.txt": text})
        one.wheel("app", requires=["same"])
    house, part = stow(yard, "app", targets=(LINUX,)), stow(mac, "app", targets=(MAC,), output="part")
    before = contents(house)
    result = join(yard, house, part)
    told = [
        finding.message for finding in result.findings if finding.code == "merge-conflict" and finding.file == "same-1.0-py3-none-any.whl"
    ]
    assert told and all(str(house) in message and str(part) in message for message in told)
    assert not result.stowed and contents(house) == before


def test_two_builds_of_one_source_are_one_and_it_is_said(yard: Yard) -> None:
    """A backend that writes the time of day: the same source, judged the same, other bytes."""
    stamp = (
        "\nimport time\n_plain = build_wheel\n"
        "def build_wheel(folder, config_settings=None, metadata_directory=None):\n"
        "    name = _plain(folder)\n"
        "    import zipfile, os\n"
        "    with zipfile.ZipFile(os.path.join(folder, name), 'a') as archive:\n"
        "        archive.comment = str(time.time_ns()).encode()\n"
        "    return name\n"
    )
    a_source(yard, more=stamp)
    house = stow(yard, "fromsource", targets=(LINUX,))
    part = stow(another(yard), "fromsource", targets=(MAC,), output="part")
    ours, theirs = (manifest(folder)["files"][0]["sha256"] for folder in (house, part))
    assert ours != theirs
    result = join(yard, house, part)
    proven(result)
    [finding] = [finding for finding in result.findings if finding.code == "merge-conflict"]
    assert finding.severity is Severity.WARNING and ours in finding.message and theirs in finding.message
    assert [(file["sha256"], file["targets"]) for file in manifest(house)["files"]] == [(ours, [LINUX, MAC])]
    assert sound(yard, house)


def test_another_wheel_of_the_version_is_left_aside(yard: Yard, mac: Yard) -> None:
    yard.wheel("native", "2.0", tag=NATIVE[LINUX])
    mac.wheel("native", "2.0", tag="cp312-cp312-manylinux_2_28_x86_64")
    house = stow(yard, "native", targets=(LINUX,))
    before = contents(house)
    result = join(yard, house, stow(mac, "native", targets=(LINUX,), output="part"))
    proven(result)
    assert "is left aside" in words(result, "left-aside") and contents(house) == before


def test_one_name_for_two_targets_is_an_error_that_says_what_differs(yard: Yard, mac: Yard) -> None:
    for one, floor in ((yard, "2.28"), (mac, "2.35")):
        one.wheel("app")
        one.write("pyproject.toml", f'[tool.hardtack.targets.service]\nplatform = "linux-x86_64"\npython = "3.12"\nfloor = "{floor}"\n')
    house, part = stow(yard, "app", targets=("service",)), stow(mac, "app", targets=("service",), output="part")
    with pytest.raises(TargetError, match=r"service is one thing in .*wheelhouse and another in .*part: .*floor 2\.28 and 2\.35"):
        join(yard, house, part)


def test_one_target_selects_one_set_of_groups(yard: Yard, mac: Yard) -> None:
    project = '[project]\nname = "mine"\nversion = "1"\ndependencies = ["app"]\n[dependency-groups]\ndocs = ["lib"]\n'
    folders = []
    for one, groups in ((yard, []), (mac, ["docs"])):
        one.wheel("app")
        one.wheel("lib")
        one.write(
            "pyproject.toml", f'{project}[tool.hardtack.targets.service]\nplatform = "linux-x86_64"\npython = "3.12"\ngroups = {groups}\n'
        )
        inputs = InputRequest(project_dir=one.project, project=False, build_requirements=False)
        folders.append(stow(one, targets=("service",), inputs=inputs))
    with pytest.raises(TargetError, match=r"service selects one thing .* and another .*: selection groups none and docs"):
        join(yard, *folders)


def test_an_exclude_of_one_target_does_not_excuse_anothers_gap(yard: Yard, mac: Yard) -> None:
    """Linux lacks ``native``; the Mac's project excludes it. Together they are no whole."""
    add_app(yard, MAC)
    mac.wheel("app", requires=["native"])
    mac.write("pyproject.toml", '[tool.hardtack]\nexcludes = ["native"]\n')
    house = stow(yard, "app", targets=(LINUX,))
    part = stow(mac, "app", targets=(MAC,), output="part")
    assert "gaps" in manifest(house) and "gaps" not in manifest(part)
    result = join(yard, house, part)
    assert not result.passed and {finding.target for finding in result.findings if finding.severity is Severity.ERROR} == {LINUX}
    back = join(yard, part, house, output=yard.project / "back")
    assert not back.passed and not (yard.project / "back").exists()


def test_one_projects_own_wheel_is_not_excused_where_anothers_is_wanted(yard: Yard, mac: Yard) -> None:
    """``mine`` need not lie beside its own dependencies; where ``app`` needs it on Linux, it has to."""
    yard.wheel("app", requires=["mine"])
    yard.wheel("mine", tag=NATIVE[MAC])
    mac.wheel("lib")
    mac.write("pyproject.toml", '[project]\nname = "mine"\nversion = "1.0"\ndependencies = ["lib"]\n')
    house = stow(yard, "app", targets=(LINUX,))
    inputs = InputRequest(project_dir=mac.project, project=False, build_requirements=False)
    part = stow(mac, targets=(MAC,), inputs=inputs, output="part")
    assert manifest(part)["project"] == "mine" and "gaps" in manifest(house)
    for pieces in ((house, part), (part, house)):
        result = join(yard, *pieces, output=yard.project / "whole")
        assert not result.passed
        assert {(finding.package, finding.target) for finding in result.findings if finding.severity is Severity.ERROR} == {("mine", LINUX)}


# --- what is wrong with a part ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A wheelhouse, and a part that fills its gap, not to be touched."""
    folder = tmp_path_factory.mktemp("made")
    with LoopbackIndex() as here, LoopbackIndex() as there:
        main, mac = a_machine(folder / "main", here), a_machine(folder / "mac", there)
        add_app(main, LINUX)
        add_app(mac, MAC)
        return stow(main, "app", targets=(LINUX, MAC)), stow(mac, "app", targets=(MAC,), output="part")


@pytest.fixture
def parts(made: tuple[Path, Path], yard: Yard) -> tuple[Path, Path]:
    """Copies of both, to be harmed."""
    house, part = made
    return Path(shutil.copytree(house, yard.project / "wheelhouse")), Path(shutil.copytree(part, yard.home / "part"))


FILE = f"native-2.0-{NATIVE[MAC]}.whl"


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    path.unlink()
    path.write_bytes(data)


def relist(part: Path, filename: str, data: bytes) -> None:
    """Put other bytes in a wheel's place, and list them: an attacker who knows the format."""
    (part / FILE).unlink()
    (part / filename).write_bytes(data)

    def change(document: dict[str, Any]) -> None:
        for file in document["files"]:
            if file["filename"] == FILE:
                file |= {"filename": filename, "path": filename, "sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
        for pin in document["pins"]:
            pin["filename"] = filename if pin["filename"] == FILE else pin["filename"]

    edit(part, change)


def of_file(document: dict[str, Any], **change: Any) -> None:
    next(file for file in document["files"] if file["filename"] == FILE).update(change)


def as_link(path: Path, to: str | None = None) -> None:
    target = path.rename(path.with_suffix(".moved"))
    path.symlink_to(to or target)


def as_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def as_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


_HARM: dict[str, tuple[Callable[[Path], object], set[str]]] = {
    "a flipped byte": (lambda part: flip(part / FILE), {"hash-mismatch"}),
    "an absent wheel": (lambda part: (part / FILE).unlink(), {"absent"}),
    "a link": (lambda part: as_link(part / FILE), {"link"}),
    "a link to nothing": (lambda part: as_link(part / FILE, to="nowhere"), {"link"}),
    "a pipe": (lambda part: as_pipe(part / FILE), {"link"}),
    "a folder": (lambda part: as_folder(part / FILE), {"link"}),
    "another size": (lambda part: edit(part, lambda data: of_file(data, size=1)), {"size-mismatch"}),
    "another name": (lambda part: edit(part, lambda data: of_file(data, name="app")), {"name-mismatch"}),
    "another version": (lambda part: edit(part, lambda data: of_file(data, version="3.0")), {"version-mismatch"}),
    "another digest": (lambda part: edit(part, lambda data: of_file(data, sha256="0" * 64)), {"hash-mismatch"}),
    "other bytes, listed": (lambda part: relist(part, *make_wheel("native", "2.0", tag=NATIVE[MAC])), {"hash-mismatch", "not-in-lock"}),
    "no wheel, listed": (lambda part: relist(part, FILE, b"<!DOCTYPE html>"), {"zip-structure"}),
    "for another platform": (lambda part: relist(part, *make_wheel("native", "2.0", tag=NATIVE[WINDOWS])), {"tags"}),
    "an edited lock": (lambda part: (part / "pylock.toml").write_text((part / "pylock.toml").read_text() + "# mine\n"), {"hash-mismatch"}),
}


@pytest.mark.parametrize("harm", _HARM)
def test_a_harmed_part_is_told_and_nothing_is_stowed(yard: Yard, parts: tuple[Path, Path], harm: str) -> None:
    house, part = parts
    act, codes = _HARM[harm]
    act(part)
    before = contents(house)
    result = join(yard, house, part)
    told = {finding.code for finding in result.findings if finding.severity is Severity.ERROR}
    assert told & codes, result.findings
    assert not result.passed and contents(house) == before
    if codes != {"hash-mismatch"} or harm != "an edited lock":
        kept = join(yard, house, part, keep_incomplete=True)
        assert kept.stowed and not kept.passed
        assert manifest(house)["gaps"] and not list(house.glob("native*macosx*"))


@pytest.mark.parametrize("harm", ["a flipped byte", "an absent wheel", "a link", "another name", "an edited lock"])
def test_a_harmed_first_is_told_too(yard: Yard, parts: tuple[Path, Path], harm: str) -> None:
    part, house = parts
    act, codes = _HARM[harm]
    act(house)
    result = join(yard, house, part, output=yard.project / "whole")
    assert {finding.code for finding in result.findings if finding.severity is Severity.ERROR} & codes
    assert not result.passed and not (yard.project / "whole").exists()


def test_a_wheel_that_went_bad_behind_its_times_is_not_taken_again(yard: Yard) -> None:
    """One file in the wheelhouse and the store: after a merge has seen it, the next build fetches it anew."""
    add_app(yard, LINUX)
    yard.build("app")
    wheel = next(yard.wheelhouse.glob("native*.whl"))
    data, seen = bytearray(wheel.read_bytes()), wheel.stat()
    data[len(data) // 3] ^= 1
    with wheel.open("r+b") as stream:
        stream.write(data)
    os.utime(wheel, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    assert errors(join(yard, yard.wheelhouse, yard.wheelhouse))[0] == "hash-mismatch"
    assert yard.build("app").passed and sound(yard, yard.wheelhouse)


def test_a_wheel_said_to_be_built_must_say_how(yard: Yard, parts: tuple[Path, Path]) -> None:
    """Any wheel of the right version could else be slipped in, and no lock would know."""
    house, part = parts
    edit(part, lambda data: of_file(data, origin="built"))
    result = join(yard, house, part)
    assert not result.passed and "native" in words(result, "not-in-lock")


def test_a_wheel_must_be_built_from_what_is_locked(yard: Yard) -> None:
    a_source(yard)
    yard.wheel("app", requires=["fromsource"])
    house = stow(yard, "app", targets=(LINUX,), only_binary=frozenset({"fromsource"}))
    other = another(yard)
    part = stow(other, "app", targets=(LINUX,), output="part")
    edit(part, lambda data: next(f for f in data["files"] if f["origin"] == "built")["build"].update({"source-sha256": "0" * 64}))
    before = contents(house)
    result = join(yard, house, part)
    assert "was built from fromsource-1.0.tar.gz" in words(result, "hash-mismatch")
    assert not result.passed and contents(house) == before


@pytest.mark.parametrize(
    "row",
    [
        {"code": "x", "severity": "error", "message": 7, "package": "native", "target": MAC},
        {"code": "x", "severity": "error", "message": "words", "package": "native", "target": MAC, "instead": "text", "hint": {}},
        {"code": "x", "severity": "error", "message": "words", "package": {}, "target": []},
        {"code": "x", "severity": "note", "message": "words", "package": "native", "target": MAC},
        {"unknown": 1},
        {},
    ],
)
def test_gaps_that_somebody_edited_say_nothing(yard: Yard, parts: tuple[Path, Path], row: dict[str, Any]) -> None:
    house, _ = parts
    edit(house, lambda data: data.update(gaps=[row]))
    result = join(yard, house, house)
    assert errors(result) == ["missing"] and "native" in words(result, "missing")


_REFUSED: dict[str, Callable[[dict[str, Any]], object]] = {
    "out of the folder": lambda data: of_file(data, filename="../../etc/passwd"),
    "an absolute path": lambda data: of_file(data, path="/etc/passwd"),
    "a target's name that climbs": lambda data: data["targets"].update({"../x": data["targets"].pop(MAC)}),
    "a target under another's name": lambda data: data["targets"].update({"mine": data["targets"].pop(MAC)}),
    "a file for nobody": lambda data: of_file(data, targets=[MAC, "nowhere"]),
    "a pin of nothing": lambda data: data["pins"].append({"target": MAC, "name": "x", "version": "1", "filename": "x-1-py3-none-any.whl"}),
    "a marker that is none": lambda data: data["pins"][0].update(marker="!"),
    "a requirement that is none": lambda data: data["roots"].append({"requirement": "!", "origin": "x"}),
    "a waiver that is none": lambda data: data.update(waivers=[{"kind": "exclude", "requirement": "!", "origin": "x"}]),
    "no target": lambda data: data.update(targets={}),
    "another schema": lambda data: data.update(schema=99),
}


@pytest.mark.parametrize("harm", _REFUSED)
def test_a_manifest_that_lies_is_refused(yard: Yard, parts: tuple[Path, Path], harm: str) -> None:
    house, part = parts
    edit(part, _REFUSED[harm])
    before = contents(house)
    with pytest.raises((InputError, TargetError)):
        join(yard, house, part)
    assert contents(house) == before


def test_what_is_no_wheelhouse_is_refused_with_a_hint(yard: Yard, parts: tuple[Path, Path], tmp_path: Path) -> None:
    house, part = parts
    (tmp_path / "wheels").mkdir()
    for folder in (tmp_path / "wheels", tmp_path / "nothing"):
        with pytest.raises(InputError, match=r"there is no wheelhouse\.json") as caught:
            join(yard, house, folder)
        assert "--find-links" in (caught.value.hint or "") and "hardtack verify" in (caught.value.hint or "")
    with pytest.raises(UsageError, match="nothing to merge"):
        join(yard, house)
    for name in ("pylock.toml", "wheelhouse.json"):
        as_link(part / name)
        with pytest.raises(InputError, match="plain file"):
            join(yard, house, part)


# --- interruption ----------------------------------------------------------------------------------------------------------------


class Stopping(Reporter):
    """Stops the run when a stage begins."""

    def __init__(self, stage: str, stop: Cancellation) -> None:
        self.wanted, self.stop = stage, stop

    def stage(self, name: str, *, detail: str = "") -> None:
        if name == self.wanted:
            self.stop.cancel()


@pytest.mark.parametrize("stage", ["reading", "judging", "proving", "stowing"])
def test_interrupted_it_leaves_the_wheelhouse_as_it_was(yard: Yard, parts: tuple[Path, Path], stage: str) -> None:
    house, part = parts
    before = contents(house)
    stop = Cancellation()
    with pytest.raises(Cancelled):
        join(yard, house, part, reporter=Stopping(stage, stop), stop=stop)
    assert contents(house) == before
    proven(join(yard, house, part))
    assert sound(yard, house)


def test_killed_between_its_texts_and_its_manifest_it_is_completed_by_the_next(yard: Yard, parts: tuple[Path, Path]) -> None:
    house, part = parts
    whole = yard.project / "whole"
    proven(join(yard, house, part, output=whole))
    stop = Cancellation()
    with pytest.raises(Cancelled):
        join(yard, house, part, reporter=Stopping("stowing", stop), stop=stop)
    for path in whole.rglob("*"):
        if path.is_file() and path.name != "wheelhouse.json":
            (house / path.relative_to(whole)).parent.mkdir(exist_ok=True, parents=True)
            shutil.copyfile(path, house / path.relative_to(whole))
    proven(join(yard, house, part))
    assert contents(house) == contents(whole) and sound(yard, house)


# --- the command -----------------------------------------------------------------------------------------------------------------


def test_the_command(yard: Yard, parts: tuple[Path, Path]) -> None:
    house, part = parts
    before = contents(house)
    (yard.project / "wheels").mkdir()
    refused = yard.hardtack("merge", house, "wheels")
    assert refused.returncode == 2 and "there is no wheelhouse.json in it" in refused.stderr and "help:" in refused.stderr
    assert yard.hardtack("merge", house).returncode == 2
    same = yard.hardtack("merge", house, house, "--no-trial")
    assert same.returncode == 1 and f"{house} is left as it was" in same.stdout and "native" in same.stderr and contents(house) == before
    done = yard.hardtack("merge", house, part, "--no-trial", "--json")
    data = json.loads(done.stdout)
    assert done.returncode == 0 and data["passed"] and data["kind"] == "merge" and data["changed"] and data["stowed"]
    assert [(row["part"], row["filename"]) for row in data["brought"]] == [(str(part), FILE)]
    assert data["manifest-sha256"] == hashlib.sha256((house / "wheelhouse.json").read_bytes()).hexdigest()
    again = yard.hardtack("merge", house, part, "--no-trial", "-o", "elsewhere")
    assert again.returncode == 0 and "nothing that was lacking" in again.stdout and "Proven complete for 2 targets" in again.stdout
    assert contents(yard.project / "elsewhere") == contents(house)

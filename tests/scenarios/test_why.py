"""``why`` over an index on loopback: what it says is so, by uv's own tree, by the plan, and by what its commands do."""

from __future__ import annotations

import json
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from hardtack import BuildOptions, IndexFlags, InputRequest, WhyResult, why
from hardtack.planning.remedies import Remedy, Typed
from hardtack.workflow.why import OnTarget
from tests.scenarios.yard import ARM, LINUX, OLD_LINUX, WINDOWS, Yard, proven
from tests.support.archives import make_sdist
from tests.support.loopback import LoopbackIndex
from tests.support.world import add_source

NEW_TAG, OLD_TAG = "cp312-cp312-manylinux_2_34_x86_64", "cp312-cp312-manylinux_2_17_x86_64"
HERE = f"py{sys.version_info[0]}{sys.version_info[1]}-linux-x86_64"


def ask(yard: Yard, name: str, *requirements: str, wheelhouse: Path | None = None, **more: Any) -> WhyResult:
    targets = tuple(more.get("targets", (LINUX,)))
    typed = Typed(asked=requirements, targets=targets)
    options = BuildOptions(output=yard.wheelhouse, trial=False)
    return why(name, yard.request(*requirements, **more), wheelhouse=wheelhouse, options=options, typed=typed)


def only(result: WhyResult, target: str = LINUX) -> OnTarget:
    (one,) = [one for one in result.targets if one.target == target]
    return one


def reasons(one: OnTarget) -> dict[str, str]:
    return {rejected.filename: rejected.reason for rejected in one.rejected}


def run(yard: Yard, command: str, *more: str) -> Any:
    """A command that was printed, as it was printed, with the index and no trial."""
    words = shlex.split(command)
    assert words[0] == "hardtack"
    return yard.hardtack(*words[1:], "--index-url", yard.index.url, *more)


# --- who requires it -------------------------------------------------------------------------------------------------------------------


def _world(yard: Yard) -> None:
    yard.wheel("web", requires=["core>=1", "template", 'colour ; sys_platform == "win32"', 'fast ; extra == "speed"'], extras=["speed"])
    yard.wheel("template", requires=["markup"])
    yard.wheel("core", requires=["markup", "colour"])
    yard.wheel("fast", requires=["core"])
    yard.wheel("colour")
    yard.wheel("markup", requires=["leaf"])
    yard.wheel("leaf")
    yard.wheel("tool", requires=["web"])


def _by_uv(yard: Yard, name: str, *options: str) -> set[tuple[str, ...]]:
    """The ways from the project to a package, as uv's inverted tree has them."""
    text = yard.uv("tree", "--frozen", "--invert", "--no-dedupe", "--package", name, "--python", sys.executable, *options).stdout
    ways: set[tuple[str, ...]] = set()
    stack: list[str] = []
    for line in text.splitlines():
        match = re.match(r"^(?P<lead>[│├└─ ]*)(?P<name>[a-z][\w-]*)", line)
        if match is None:
            continue
        depth = len(match["lead"]) // 4
        stack = [*stack[:depth], match["name"]]
        if match["name"] == "proj":
            ways.add(tuple(reversed(stack[:-1])))
    return ways


@pytest.mark.parametrize(("target", "options"), [(LINUX, ("linux",)), (WINDOWS, ("windows",))])
def test_the_paths_are_those_of_uvs_tree(yard: Yard, target: str, options: tuple[str, ...]) -> None:
    _world(yard)
    yard.write(
        "pyproject.toml",
        '[project]\nname = "proj"\nversion = "1"\nrequires-python = ">=3.11"\ndependencies = ["web[speed]", "tool", "leaf"]\n',
    )
    yard.uv("lock", "--python", sys.executable, "--default-index", yard.index.url)
    inputs = InputRequest(project_dir=yard.project, project=False, build_requirements=False)
    for name in ("leaf", "markup", "colour", "core", "fast"):
        options_ = BuildOptions(output=yard.wheelhouse, trial=False)
        found = only(why(name, yard.request(inputs=inputs, targets=(target,)), options=options_), target)
        assert not found.routes.bounded
        ours = {tuple(re.split(r"[^\w-]", step.requirement)[0] for step in route.steps) for route in found.routes.shown}
        theirs = _by_uv(yard, name, "--python-platform", *options, "--python-version", "3.12")
        assert ours <= theirs, name
        if not found.routes.more:
            assert ours == theirs, name
        assert len({len(way) for way in theirs}) > 0
        assert min(map(len, ours)) == min(map(len, theirs))


# --- which file -------------------------------------------------------------------------------------------------------------------------


def test_every_candidate_has_its_reason(yard: Yard, second: LoopbackIndex) -> None:
    best = yard.wheel("native", tag="cp312-cp312-manylinux_2_28_x86_64", build="2")
    older = yard.wheel("native", tag="cp312-cp312-manylinux_2_28_x86_64", build="1")
    wider = yard.wheel("native", tag=OLD_TAG)
    newer = yard.wheel("native", tag=NEW_TAG)
    other = yard.wheel("native", tag="cp311-cp311-manylinux_2_17_x86_64")
    windows = yard.wheel("native", tag="cp312-cp312-win_amd64")
    elsewhere = yard.wheel("native", tag="py3-none-any", index=second)
    yard.wheel("native", "1.1", yanked="broken", tag=OLD_TAG)
    yard.wheel("native", "1.2rc1", tag=OLD_TAG)
    yard.wheel("native", "1.3", tag="cp312-cp312-win_amd64")
    yard.indexes = IndexFlags(index_url=second.url, extra_index_urls=(yard.index.url,), retries=0)
    result = ask(yard, "native", "native<1.4")
    one = only(result)
    assert one.file is not None
    assert one.file.filename == best
    found = reasons(one)
    assert found[older] == "an older build tag"
    assert "more closely" in found[wider]
    assert found[newer] == "needs glibc 2.34, the target has 2.28"
    assert found[other] == "built for CPython 3.11"
    assert found[windows] == "for Windows x86_64"
    assert "has priority" in found[elsewhere]
    newer_reasons = {newer.version: newer.reasons for newer in result.newer}
    assert newer_reasons["1.1"] == ("it is yanked (broken)",)
    assert newer_reasons["1.2rc1"] == ("it is a pre-release",)
    assert newer_reasons["1.3"] == (f"no wheel of it fits {LINUX}",)


def test_a_wheelhouse_says_the_same_without_network(yard: Yard) -> None:
    yard.wheel("native", tag=OLD_TAG)
    old = yard.wheel("native", tag="cp311-cp311-manylinux_2_17_x86_64")
    proven(yard.build("native"))
    asked = len(yard.index.requests)
    one = only(ask(yard, "native", wheelhouse=yard.wheelhouse, targets=()))
    assert len(yard.index.requests) == asked
    assert one.file is not None
    assert (one.file.hash_source, one.file.origin) == ("index", f"{yard.index.files_url}/{one.file.filename}")
    assert reasons(one) == {old: "built for CPython 3.11"}


def test_what_was_built_tells_how(yard: Yard) -> None:
    add_source(yard.index, "raw")
    there = yard.wheel("both")
    add_source(yard.index, "both")
    proven(yard.build("raw", "both", no_binary=frozenset({"both"})))
    one = only(ask(yard, "raw", wheelhouse=yard.wheelhouse, targets=()))
    assert one.state == "built"
    assert one.file is not None
    assert one.file.build is not None
    assert one.file.build.source == "raw-1.0.tar.gz"
    both = only(ask(yard, "both", wheelhouse=yard.wheelhouse, targets=()))
    assert reasons(both) == {there: "it fits, but a build from source was asked for"}


def test_a_file_that_is_gone_is_a_gap(yard: Yard) -> None:
    name = yard.wheel("leaf")
    proven(yard.build("leaf"))
    (yard.wheelhouse / name).unlink()
    result = ask(yard, "leaf", wheelhouse=yard.wheelhouse, targets=())
    assert not result.passed
    assert only(result).code == "missing"


# --- what would fill a gap: each command does what it says --------------------------------------------------------------------------------


def remedy(one: OnTarget, kind: str) -> Remedy:
    (found,) = [found for found in one.remedies if found.kind == kind]
    return found


def test_a_lower_floor(yard: Yard) -> None:
    name = yard.wheel("native", tag=NEW_TAG)
    one = only(ask(yard, "native", "native", targets=(LINUX, WINDOWS)))
    assert one.state == "gap"
    told = remedy(one, "floor")
    assert told.command == f"hardtack build native -t {LINUX}-glibc2_34 -t {WINDOWS}"
    yard.wheel("native", tag="cp312-cp312-win_amd64")
    done = run(yard, told.command, "--no-trial")
    assert done.returncode == 0, done.stderr
    assert name in yard.files()


def test_a_build_that_only_binary_forbids(yard: Yard) -> None:
    add_source(yard.index, "raw")
    told = yard.hardtack("why", "raw", "raw", "--only-binary", "raw,other", "-t", HERE, "--index-url", yard.index.url, "--json")
    assert told.returncode == 1, told.stderr
    (one,) = json.loads(told.stdout)["targets"]
    (found,) = [row for row in one["remedies"] if row["kind"] == "formats"]
    assert "--index-url" in found["command"]
    done = yard.hardtack(*shlex.split(found["command"])[1:], "--no-trial")
    assert done.returncode == 0, done.stderr
    assert yard.files() == {"raw-1.0-py3-none-any.whl"}


def test_a_wheel_that_no_binary_forbids(yard: Yard) -> None:
    name = yard.wheel("leaf")
    one = only(ask(yard, "leaf", "leaf", no_binary=frozenset({"leaf"})))
    assert one.code == "no-file"
    command = remedy(one, "formats").command
    assert command is not None
    assert run(yard, command, "--no-trial").returncode == 0
    assert yard.files() == {name}


def test_a_build_on_another_machine(yard: Yard) -> None:
    yard.wheel("native", tag=OLD_TAG)
    filename, data = make_sdist("native", files={"setup.py": b"", "native.c": b"int x;\n"})
    yard.index.add(filename, data)
    result = ask(yard, "native", "native", targets=(ARM, LINUX))
    assert not result.passed
    one = only(result, ARM)
    assert one.code == "needs-build"
    told = remedy(one, "elsewhere")
    assert told.command == f"hardtack build native -t {ARM} -o built"
    assert "hardtack merge" in told.words
    assert only(result).state == "taken"


def test_versions_within_and_outside_of_what_is_asked_for(yard: Yard) -> None:
    yard.wheel("app", requires=["native<2"])
    yard.wheel("native", "1.5", tag="cp312-cp312-win_amd64")
    yard.wheel("native", "1.0", tag="cp311-cp311-manylinux_2_17_x86_64")
    yard.wheel("native", "2.0", tag=OLD_TAG)
    one = only(ask(yard, "native", "app"))
    assert one.state == "gap"
    assert one.version == "1.5"
    # The lock that has the gap says so, though a version that nobody may take has a wheel.
    assert not yard.lock("app").passed
    (outside,) = [found for found in one.remedies if found.kind == "version"]
    assert (outside.version, outside.allowed, outside.command) == ("2.0", False, None)
    assert outside.against == ("app 1.0 requires native<2",)


# --- how it is told -----------------------------------------------------------------------------------------------------------------------


def test_the_command_finds_the_wheelhouse_by_itself_and_exits_by_what_it_found(yard: Yard) -> None:
    yard.wheel("leaf")
    proven(yard.build("leaf"))
    for arguments in (["leaf"], ["leaf", "wheelhouse"], ["leaf", "--wheelhouse", "wheelhouse"], ["leaf", "-t", LINUX], ["LEAF"]):
        told = yard.hardtack("why", *arguments)
        assert told.returncode == 0, told.stderr
        assert "leaf-1.0-py3-none-any.whl" in told.stdout
    absent = yard.hardtack("why", "laef")
    assert absent.returncode == 1
    assert "did you mean leaf?" in absent.stdout
    assert yard.hardtack("why", "leaf", "-t", WINDOWS).returncode == 2
    assert yard.hardtack("why", "leaf", "wheelhouse", "other").returncode == 2
    assert yard.hardtack("why", "leaf", "--wheelhouse", "nowhere").returncode == 2


def test_gaps_are_findings_in_every_form(yard: Yard) -> None:
    yard.wheel("native", tag=NEW_TAG)
    arguments = ("why", "native>=0", "native", "-t", LINUX, "-i", yard.index.url, "--format")
    (result,) = json.loads(yard.hardtack(*arguments, "sarif").stdout)["runs"][0]["results"]
    assert result["ruleId"] == "no-file"
    assert "glibc 2.34" in result["message"]["text"]
    assert "::error " in yard.hardtack(*arguments, "github").stdout


def test_a_file_that_is_gone_from_one_folder(yard: Yard) -> None:
    name = yard.wheel("leaf")
    proven(yard.build("leaf", targets=(LINUX, WINDOWS), options=BuildOptions(output=yard.wheelhouse, trial=False, layout="by-target")))
    (yard.wheelhouse / WINDOWS / name).unlink()
    result = ask(yard, "leaf", wheelhouse=yard.wheelhouse, targets=())
    assert {one.target: one.state for one in result.targets} == {LINUX: "taken", WINDOWS: "gap"}


def test_no_login_is_told(yard: Yard) -> None:
    yard.index.credentials = ("user", "secret")
    yard.wheel("native", tag=NEW_TAG)
    url = yard.index.with_login("user", "secret")
    for form in ("human", "json"):
        told = yard.hardtack("why", "native", "native", "-t", LINUX, "--index-url", url, "--format", form)
        assert told.returncode == 1, told.stderr
        assert "glibc2_34" in told.stdout
        assert "secret" not in told.stdout + told.stderr


def test_what_a_package_says_of_itself_moves_no_cursor(yard: Yard) -> None:
    yard.wheel("leaf")
    yard.wheel("leaf", "1.1", yanked="\x1b[2J gone")
    told = yard.hardtack("why", "leaf", "leaf<1.2", "-t", LINUX, "--index-url", yard.index.url)
    assert "gone" in told.stdout
    assert "\x1b" not in told.stdout


def test_patches_are_told(yard: Yard) -> None:
    yard.wheel("app", requires=['late ; python_full_version < "3.12.3"'])
    yard.wheel("late")
    one = only(ask(yard, "late", "app"))
    assert one.where == 'python_full_version < "3.12.3"'
    assert one.routes.shown[0].where == "3.12.0 to 3.12.2"


def test_a_floor_that_is_named(yard: Yard) -> None:
    """The target's own name is replaced, and a floor that has no name of its own is spelt."""
    yard.wheel("native", tag="cp312-cp312-manylinux_2_28_x86_64")
    one = only(ask(yard, "native", "native", targets=(OLD_LINUX,)), OLD_LINUX)
    assert remedy(one, "floor").command == f"hardtack build native -t {LINUX}"

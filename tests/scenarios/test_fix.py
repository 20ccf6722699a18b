"""What ``why`` and ``fix`` say and do about gaps, over an index on loopback; and that each command they print does what it says."""

from __future__ import annotations

import json
import shlex
import subprocess
from pathlib import Path
from typing import Any

from hardtack import BuildOptions, FixResult, InputRequest, WhyResult, fix, why
from hardtack.planning.remedies import Typed
from tests.scenarios.yard import LINUX, WINDOWS, Yard, proven
from tests.support.world import add_source

LINUX_TAG, WINDOWS_TAG = "cp312-cp312-manylinux_2_17_x86_64", "cp312-cp312-win_amd64"
BOTH = (LINUX, WINDOWS)


def options(yard: Yard, **more: Any) -> BuildOptions:
    return BuildOptions(output=yard.wheelhouse, trial=False, **more)


def ask(yard: Yard, name: str, *requirements: str, wheelhouse: Path | None = None, **more: Any) -> WhyResult:
    return why(name, yard.request(*requirements, **more), wheelhouse=wheelhouse, options=options(yard), typed=Typed(asked=requirements))


def mend(yard: Yard, *requirements: str, yes: bool = True, **more: Any) -> FixResult:
    request = yard.request(*requirements, **more)
    return fix(request, options(yard), typed=Typed(asked=requirements), confirm=lambda *_: yes)


def command(yard: Yard, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return yard.hardtack(*arguments, "--index-url", yard.index.url)


def project(yard: Yard) -> Yard:
    """The offline installation fix: runtime and development requirements, and coverage, which has no wheel for Windows."""
    yard.write("requirements.txt", "app\n")
    yard.write("requirements-dev.txt", "pytest-cov\n")
    yard.write("hardtack.toml", f"targets = {list(BOTH)}\nlayout = 'by-target'\n".replace("'", '"'))
    yard.wheel("app", requires=["colorama ; sys_platform == 'win32'"])
    yard.wheel("colorama")
    yard.wheel("pytest-cov", requires=["coverage>=7"])
    yard.wheel("coverage", "7.8.0", tag=LINUX_TAG)
    return yard


class TestFlowFive:
    """Folders per target, complete on each; the missing wheel is found before the host finds it, named, and filled."""

    def test_the_whole_story_by_command(self, yard: Yard) -> None:
        project(yard)
        locked = command(yard, "lock")
        assert locked.returncode == 1, locked.stderr
        assert "coverage" in locked.stderr
        missing = yard.wheel("coverage", "7.8.1", tag=WINDOWS_TAG)
        yard.wheel("coverage", "7.8.1", tag=LINUX_TAG)

        told = command(yard, "why", "coverage")
        assert told.returncode == 1, told.stderr
        assert missing in told.stdout
        assert "hardtack fix" in told.stdout

        shown = command(yard, "fix")
        assert shown.returncode == 1, shown.stderr
        assert "7.8.1" in shown.stdout
        assert "7.8.0" in (yard.project / "pylock.toml").read_text()
        assert not yard.wheelhouse.exists()

        done = command(yard, "fix", "--yes")
        assert done.returncode == 0, done.stdout + done.stderr
        assert (yard.wheelhouse / WINDOWS / missing).is_file()
        assert yard.hardtack("verify", yard.wheelhouse).returncode == 0
        # The lock that lies there is the mended one, and `build` obeys it.
        assert "unchanged" in command(yard, "build").stdout

    def test_why_reads_the_wheelhouse_it_made(self, yard: Yard) -> None:
        project(yard)
        yard.wheel("coverage", "7.8.1", tag=WINDOWS_TAG)
        yard.wheel("coverage", "7.8.1", tag=LINUX_TAG)
        assert command(yard, "fix", "--yes").returncode == 0
        told = json.loads(yard.hardtack("why", "coverage", "--json", "--offline").stdout)
        assert told["passed"]
        assert {one["target"]: one["file"]["filename"] for one in told["targets"]} == {
            LINUX: f"coverage-7.8.1-{LINUX_TAG}.whl",
            WINDOWS: f"coverage-7.8.1-{WINDOWS_TAG}.whl",
        }
        paths = told["targets"][0]["required-by"]["paths"]
        assert [[step["requirement"] for step in path] for path in paths] == [["pytest-cov", "coverage>=7"]]


def test_a_foreign_lock_is_left_alone_and_ours_put_beside_it(yard: Yard) -> None:
    yard.write("pyproject.toml", '[project]\nname = "p"\nversion = "1"\nrequires-python = ">=3.11"\ndependencies = ["coverage"]\n')
    yard.wheel("coverage", "7.8.0", tag=LINUX_TAG)
    yard.uv("lock", "--default-index", yard.index.url)
    before = (yard.project / "uv.lock").read_bytes()
    yard.wheel("coverage", "7.8.1", tag=LINUX_TAG)
    yard.wheel("coverage", "7.8.1", tag=WINDOWS_TAG)
    inputs = InputRequest(project_dir=yard.project, project=False, build_requirements=False)
    result = mend(yard, targets=BOTH, inputs=inputs)
    assert result.build is not None
    proven(result.build)
    assert (yard.project / "uv.lock").read_bytes() == before
    assert result.proposal is not None
    assert result.proposal.lock_file == yard.project / "pylock.hardtack.toml"
    (told,) = result.proposal.foreign
    assert shlex.split(told) == ["uv", "lock", "--upgrade-package", "coverage==7.8.1"]
    # That command does what it says.
    yard.uv(*shlex.split(told)[1:], "--default-index", yard.index.url)
    proven(yard.build(targets=BOTH, inputs=inputs))


def test_a_pin_of_the_users_own_is_theirs_to_edit(yard: Yard) -> None:
    yard.write("requirements.txt", "coverage==7.8.0\n")
    yard.wheel("coverage", "7.8.0", tag=LINUX_TAG)
    for tag in (LINUX_TAG, WINDOWS_TAG):
        yard.wheel("coverage", "7.8.1", tag=tag)
    inputs = InputRequest(project_dir=yard.project)
    result = mend(yard, targets=BOTH, inputs=inputs)
    assert not result.passed
    assert result.build is None
    (edit,) = result.edits
    assert (edit.place, edit.before, edit.after) == ("requirements.txt:1", "coverage==7.8.0", "coverage==7.8.1")
    assert edit.fills == (("coverage", WINDOWS),)
    ((name, one),) = result.remaining
    assert (name, one.target) == ("coverage", WINDOWS)
    assert any(remedy.allowed is False and remedy.version == "7.8.1" for remedy in one.remedies)
    # The edit does what it says.
    yard.write("requirements.txt", f"{edit.after}\n")
    proven(yard.build(targets=BOTH, inputs=inputs))


def test_what_only_binary_forbids_is_built_by_consent(yard: Yard) -> None:
    add_source(yard.index, "plain")
    for yes in (False, True):
        result = mend(yard, "plain", yes=yes, only_binary=frozenset({":all:"}))
        assert result.proposal is not None
        assert result.proposal.built == ("plain",)
        assert result.passed is yes


def test_nothing_to_fill_builds(yard: Yard) -> None:
    yard.wheel("leaf")
    result = mend(yard, "leaf", yes=False)
    assert result.clean
    assert result.passed


def test_why_says_on_which_target_it_is_not_wanted_and_by_which_marker(yard: Yard) -> None:
    yard.wheel("app", requires=["colorama ; sys_platform == 'win32'"])
    yard.wheel("colorama")
    for result in (ask(yard, "colorama", "app", targets=BOTH), _stowed(yard, "colorama", "app", targets=BOTH)):
        linux, windows = sorted(result.targets, key=lambda one: one.target)
        assert (linux.state, windows.state) == ("unwanted", "taken")
        (other,) = linux.unasked
        assert (other.asker, other.requirement, other.marker) == ("app 1.0", "colorama", 'sys_platform == "win32"')
        (route,) = windows.routes.shown
        assert [step.requirement for step in route.steps] == ["app", "colorama"]
        assert route.steps[1].marker == 'sys_platform == "win32"'
        assert result.passed


def _stowed(yard: Yard, name: str, *requirements: str, **more: Any) -> WhyResult:
    proven(yard.build(*requirements, **more))
    return ask(yard, name, wheelhouse=yard.wheelhouse, targets=())


def test_absent_names_are_told_with_near_ones(yard: Yard) -> None:
    yard.wheel("requests")
    result = _stowed(yard, "requets", "requests")
    assert not result.passed
    assert result.near == ("requests",)

"""What ``why`` and ``fix`` say and do about gaps, over an index on loopback; and that each command they print does what it says."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hardtack import BuildOptions, FixResult, InputRequest, WhyResult, fix, why
from hardtack.planning.remedies import Typed
from tests.scenarios.yard import LINUX, WINDOWS, Yard, proven, taken
from tests.support.world import BACKEND, add_source

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

    def test_a_poetry_project_gets_its_build_backend_too(self, yard: Yard) -> None:
        project(yard)
        for name in ("requirements.txt", "requirements-dev.txt"):
            (yard.project / name).unlink()
        yard.write(
            "pyproject.toml",
            '[tool.poetry]\nname = "shop"\nversion = "1.0"\ndescription = ""\nauthors = []\n'
            '[tool.poetry.dependencies]\npython = "^3.11"\napp = "*"\n'
            '[tool.poetry.group.dev.dependencies]\npytest-cov = "*"\n'
            '[build-system]\nrequires = ["poetry-core"]\nbuild-backend = "poetry.core.masonry.api"\n',
        )
        yard.write("shop/__init__.py", "")
        backend = BACKEND.format(name="shop", version="1.0", before="").encode()
        yard.wheel("poetry-core", "2.0", files={"poetry/core/__init__.py": b"", "poetry/core/masonry/api.py": backend})
        assert command(yard, "lock").returncode == 1
        for tag in (LINUX_TAG, WINDOWS_TAG):
            yard.wheel("coverage", "7.8.1", tag=tag)
        done = command(yard, "fix", "--yes")
        assert done.returncode == 0, done.stdout + done.stderr
        for target in BOTH:
            names = {path.name.split("-")[0] for path in (yard.wheelhouse / target).glob("*.whl")}
            assert names >= {"shop", "app", "pytest_cov", "coverage", "poetry_core"}


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


def test_a_build_that_fails_is_replaced_by_a_version_with_a_wheel(yard: Yard) -> None:
    """It shows only when it is built: the lock is mended then, once, and asked about again."""
    yard.write("requirements.in", "app\n")
    yard.wheel("app", requires=["broken"])
    yard.sdist("broken", "1.0", setup="raise SystemExit('no compiler')")
    inputs = InputRequest(project_dir=yard.project)
    proven_lock = yard.lock(targets=(LINUX,), inputs=inputs)
    assert proven_lock.path is not None
    fine = yard.wheel("broken", "1.1")
    result = mend(yard, targets=(LINUX,), inputs=inputs)
    assert result.build is not None
    proven(result.build)
    assert fine in yard.files()
    ((name, target, reason),) = result.gaps
    assert (name, target) == ("broken", LINUX)
    assert "failed" in reason


def test_another_tools_pylock_without_its_project(yard: Yard) -> None:
    """It names no requirements: every package stays at its version but the one with the gap."""
    for version, tags in (("7.8.0", (LINUX_TAG,)), ("7.8.1", (LINUX_TAG, WINDOWS_TAG))):
        for tag in tags:
            yard.wheel("coverage", version, tag=tag)
    yard.wheel("leaf", "1.0")
    yard.wheel("leaf", "2.0")
    yard.write("requirements.in", "coverage==7.8.0\nleaf==1.0\n")
    arguments = ["pip", "compile", "requirements.in", "--format", "pylock.toml", "-o", "pylock.toml", "--default-index", yard.index.url]
    yard.uv(*arguments, "--python", sys.executable, "--python-version", "3.12", "--python-platform", "x86_64-unknown-linux-gnu")
    (yard.project / "requirements.in").unlink()
    before = (yard.project / "pylock.toml").read_bytes()
    result = mend(yard, targets=BOTH, inputs=InputRequest(project_dir=yard.project))
    assert result.build is not None
    proven(result.build)
    assert (yard.project / "pylock.toml").read_bytes() == before
    assert {name for names in taken(result.build).values() for name in names} == {
        f"coverage-7.8.1-{LINUX_TAG}.whl",
        f"coverage-7.8.1-{WINDOWS_TAG}.whl",
        "leaf-1.0-py3-none-any.whl",
    }


def test_a_stale_lock_of_ours_is_made_anew(yard: Yard) -> None:
    yard.wheel("leaf")
    yard.wheel("more")
    yard.write("requirements.txt", "leaf\n")
    inputs = InputRequest(project_dir=yard.project)
    yard.lock(targets=(LINUX,), inputs=inputs)
    yard.write("requirements.txt", "leaf\nmore\n")
    assert not mend(yard, targets=(LINUX,), inputs=inputs, yes=False).passed
    result = mend(yard, targets=(LINUX,), inputs=inputs)
    assert result.stale is not None
    assert result.build is not None
    proven(result.build)
    proven(yard.build(targets=(LINUX,), inputs=inputs))


def test_what_was_uploaded_since_fills_a_gap_that_is_remembered(yard: Yard) -> None:
    """No lock is obeyed, but the wheelhouse that was kept incomplete remembers one."""
    yard.wheel("coverage", "7.8.0", tag=LINUX_TAG)
    assert not yard.build("coverage", targets=BOTH, options=options(yard, keep_incomplete=True)).passed
    for tag in (LINUX_TAG, WINDOWS_TAG):
        yard.wheel("coverage", "7.8.1", tag=tag)
    assert not yard.build("coverage", targets=BOTH).passed
    told = ask(yard, "coverage", wheelhouse=yard.wheelhouse, targets=())
    assert not told.passed
    (windows,) = [one for one in told.targets if one.state == "gap"]
    assert any(remedy.filename == f"coverage-7.8.1-{WINDOWS_TAG}.whl" for remedy in windows.remedies)
    result = mend(yard, "coverage", targets=BOTH)
    assert result.build is not None
    proven(result.build)


def test_targets_that_select_for_themselves_keep_their_selection(yard: Yard) -> None:
    """The lock beside another tool's comes without the project, and has its extras and groups all the same."""
    yard.write(
        "pyproject.toml",
        '[project]\nname = "p"\nversion = "1"\nrequires-python = ">=3.11"\ndependencies = ["coverage"]\n'
        '[project.optional-dependencies]\nfast = ["leaf"]\n[dependency-groups]\ndev = ["more"]\n',
    )
    yard.write("hardtack.toml", f'[targets.{LINUX}]\nextras = ["fast"]\n[targets.{WINDOWS}]\ngroups = []\n')
    yard.wheel("leaf")
    yard.wheel("more")
    yard.wheel("coverage", "7.8.0", tag=LINUX_TAG)
    yard.uv("lock", "--default-index", yard.index.url, "--python", sys.executable)
    for tag in (LINUX_TAG, WINDOWS_TAG):
        yard.wheel("coverage", "7.8.1", tag=tag)
    result = mend(yard, targets=(), inputs=InputRequest(project_dir=yard.project, project=False, build_requirements=False))
    assert result.build is not None
    proven(result.build)
    assert {target: {name.split("-")[0] for name in names} for target, names in taken(result.build).items()} == {
        LINUX: {"coverage", "leaf", "more"},
        WINDOWS: {"coverage"},
    }


def test_a_lock_with_packages_pinned_to_an_index_is_not_stale(yard: Yard) -> None:
    yard.write("requirements.txt", "leaf\n")
    yard.write("hardtack.toml", f'[[index]]\nname = "own"\nurl = "{yard.index.url}"\npackages = ["leaf"]\n')
    yard.wheel("leaf")
    inputs = InputRequest(project_dir=yard.project)
    proven(yard.lock(inputs=inputs))
    proven(yard.plan(inputs=inputs))


def test_somebody_at_a_terminal_is_asked(yard: Yard) -> None:
    pty = pytest.importorskip("pty")
    project(yard)
    assert command(yard, "lock").returncode == 1
    for tag in (LINUX_TAG, WINDOWS_TAG):
        yard.wheel("coverage", "7.8.1", tag=tag)
    for answer, code in (("n", 1), ("y", 0)):
        ours, theirs = pty.openpty()
        try:
            os.write(ours, f"{answer}\n".encode())
            done = subprocess.run(
                [sys.executable, "-m", "hardtack", "fix", "-i", yard.index.url, "--no-trial", "--cache-dir", str(yard.cache)],
                cwd=yard.project, env=yard.environment, stdin=theirs, capture_output=True, text=True, timeout=100, check=False,
            )  # fmt: skip
        finally:
            os.close(ours)
            os.close(theirs)
        assert done.returncode == code, done.stderr
        assert "Do this?" in done.stderr
        assert yard.wheelhouse.exists() is (answer == "y")


def test_programs_are_told_and_decide_by_a_flag(yard: Yard) -> None:
    yard.write("requirements.txt", "coverage\nother==1.0\n")
    yard.wheel("coverage", "7.8.0", tag=LINUX_TAG)
    yard.wheel("other", "1.0", tag=LINUX_TAG)
    assert command(yard, "lock", "-t", LINUX, "-t", WINDOWS).returncode == 1
    for tag in (LINUX_TAG, WINDOWS_TAG):
        yard.wheel("coverage", "7.8.1", tag=tag)
        yard.wheel("other", "1.1", tag=tag)
    told = command(yard, "fix", "--json")
    assert told.returncode == 1
    found = json.loads(told.stdout)
    assert [(row["package"], row["target"]) for row in found["gaps"]] == [("coverage", WINDOWS), ("other", WINDOWS)]
    assert found["proposal"]["fills"] == [{"package": "coverage", "target": WINDOWS}]
    assert [change["name"] for change in found["proposal"]["difference"]["packages"]] == ["coverage"]
    assert found["open"] == [{"package": "other", "target": WINDOWS}]
    assert [(edit["place"], edit["after"]) for edit in found["edits"]] == [("requirements.txt:2", "other==1.1")]
    assert not found["applied"]
    assert found["build"] is None


def test_a_lock_of_ours_without_its_project_keeps_what_it_was_made_of(yard: Yard) -> None:
    """Its roots stand in it: they are what is asked for, and nothing else."""
    yard.wheel("app", requires=["coverage<8"])
    yard.wheel("coverage", "7.8.0", tag=LINUX_TAG)
    locked = yard.lock("app", targets=BOTH)
    assert locked.path is not None
    assert not locked.passed
    for version in ("7.8.1", "8.0"):
        for tag in (LINUX_TAG, WINDOWS_TAG):
            yard.wheel("coverage", version, tag=tag)
    result = mend(yard, targets=(), inputs=InputRequest(project_dir=yard.project, lock_file=locked.path))
    assert result.build is not None
    proven(result.build)
    assert taken(result.build)[WINDOWS] == {"app-1.0-py3-none-any.whl", f"coverage-7.8.1-{WINDOWS_TAG}.whl"}
    assert result.build.manifest is not None
    assert [root.requirement for root in result.build.manifest.roots] == ["app"]


def test_a_pin_that_was_typed_is_typed_again(yard: Yard) -> None:
    """The nearest version that does it, not the newest; and the command is what it says."""
    yard.wheel("coverage", "7.8.0", tag=LINUX_TAG)
    for version in ("7.8.1", "8.0"):
        for tag in (LINUX_TAG, WINDOWS_TAG):
            yard.wheel("coverage", version, tag=tag)
    yard.wheel("leaf")
    told = command(yard, "fix", "coverage==7.8.0", "leaf", "-t", WINDOWS, "-t", LINUX, "--no-trial", "--json")
    assert told.returncode == 1
    (edit,) = json.loads(told.stdout)["edits"]
    assert edit["after"] == "coverage==7.8.1"
    assert edit["command"].startswith("hardtack build coverage==7.8.1 leaf ")
    done = yard.hardtack(*shlex.split(edit["command"])[1:])
    assert done.returncode == 0, done.stderr
    assert f"coverage-7.8.1-{WINDOWS_TAG}.whl" in yard.files()


def test_a_file_that_was_compiled_is_compiled_again(yard: Yard) -> None:
    head = "# This file was autogenerated by uv via the following command:\n#    uv pip compile requirements.in -o requirements.txt\n"
    yard.write("requirements.txt", f"{head}coverage==7.8.0\n    # via -r requirements.in\n")
    yard.wheel("coverage", "7.8.0", tag=LINUX_TAG)
    for tag in (LINUX_TAG, WINDOWS_TAG):
        yard.wheel("coverage", "7.8.1", tag=tag)
    (edit,) = mend(yard, targets=BOTH, inputs=InputRequest(project_dir=yard.project)).edits
    assert edit.command == "uv pip compile requirements.in -o requirements.txt --upgrade-package 'coverage==7.8.1'"

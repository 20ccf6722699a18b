"""A sandbox is proven by use, and its absence is said once, or refused."""

from __future__ import annotations

import itertools
import json
import sys
from pathlib import Path

import pytest

from hardtack.building.sandbox import Bubblewrap, Mount, NoSandbox, Unconfined, find_sandbox
from hardtack.building.sandbox_landlock import landlock_here
from hardtack.building.sandbox_probe import probe
from tests.building.projects import Listener


def script(folder: Path, text: str) -> dict[str, str]:
    """A PATH whose only program is a bwrap that does ``text``."""
    program = folder / "bwrap"
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)
    return {"PATH": str(folder)}


def no_landlock() -> str:
    return "this kernel has no Landlock (the test says so)"


def test_none_is_said_once_with_every_reason(tmp_path: Path) -> None:
    listener = Listener()
    sandbox = find_sandbox({"PATH": str(tmp_path)}, reporter=listener, landlock=no_landlock)
    assert sandbox.name == "none"
    [words] = listener.warnings
    assert "not installed" in words
    assert "no Landlock" in words


def test_required_and_absent_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NoSandbox, match=r"not installed.*no Landlock"):
        find_sandbox({"PATH": str(tmp_path)}, require=True, landlock=no_landlock)


LINUX = pytest.mark.skipif(sys.platform != "linux", reason="a shell script stands in for bwrap")


@LINUX
def test_a_bubblewrap_that_does_not_run_is_none(tmp_path: Path) -> None:
    listener = Listener()
    environment = script(tmp_path, "echo 'No permissions to create new namespace' >&2; exit 1")
    assert find_sandbox(environment, reporter=listener, landlock=no_landlock).name == "none"
    [words] = listener.warnings
    assert "No permissions to create new namespace" in words


@LINUX
@pytest.mark.parametrize("way", ["exit 0", 'while [ "$1" != -- ]; do shift; done; shift; exec "$@"'])
def test_a_bubblewrap_that_confines_nothing_is_none(tmp_path: Path, way: str) -> None:
    listener = Listener()
    environment = script(tmp_path, f"PATH=/usr/bin:/bin\n{way}")
    assert find_sandbox(environment, reporter=listener, landlock=no_landlock).name == "none"
    [words] = listener.warnings
    assert "did not answer" in words or "could read a file outside" in words


@LINUX
def test_the_next_way_is_taken_where_bubblewrap_fails(tmp_path: Path) -> None:
    here = landlock_here()
    if isinstance(here, str):
        pytest.skip(here)
    listener = Listener()
    found = find_sandbox(script(tmp_path, "exit 1"), require=True, reporter=listener)
    assert found.name == "landlock+seccomp"
    assert listener.warnings == []


@LINUX
def test_where_none_confines_the_probe_says_what_it_could() -> None:
    said = probe(Unconfined(why="test"))
    assert said is not None
    for what in ("read a file outside", "write a file outside", "reach the network", "reach an abstract socket", "end another process"):
        assert what in said


def test_without_a_fresh_proc_the_hosts_is_never_shown() -> None:
    words = command(Bubblewrap(program=Path("bwrap"), proc=False))
    assert "--proc" not in words
    assert ("/proc", "/proc") not in list(itertools.pairwise(words))


def command(sandbox: Bubblewrap, **environment: str) -> list[str]:
    """What the keeper is told to start."""
    launch = sandbox.launch(["true"], mounts=[], cwd=Path("/"), environment=environment)
    argv: list[str] = json.loads(launch.argv[-1])["argv"]
    return argv


def test_paths_inside_are_those_of_the_innermost_mount() -> None:
    sandbox = Bubblewrap(program=Path("bwrap"))
    mounts = [Mount(host=Path("/a/b"), inside="/build/source"), Mount(host=Path("/a/b/c"), inside="/build/env")]
    assert sandbox.inside(Path("/a/b"), mounts) == "/build/source"
    assert sandbox.inside(Path("/a/b/x/y"), mounts) == "/build/source/x/y"
    assert sandbox.inside(Path("/a/b/c/bin/python"), mounts) == "/build/env/bin/python"
    assert sandbox.inside(Path("/a/bc"), mounts) == "/a/bc"


def test_the_environment_never_stands_in_the_command() -> None:
    sandbox = Bubblewrap(program=Path("bwrap"))
    launch = sandbox.launch(["true"], mounts=[], cwd=Path("/"), environment={"TOKEN": "canary"})
    assert not [word for word in launch.argv if "canary" in word]
    assert launch.environment == {"TOKEN": "canary"}


def test_unconfined_adds_only_what_the_system_needs() -> None:
    launch = Unconfined(why="test", base={"SYSTEMROOT": "C:\\Windows"}).launch(["true"], mounts=[], cwd=Path("/"), environment={"A": "1"})
    assert launch.environment == {"SYSTEMROOT": "C:\\Windows", "A": "1"}

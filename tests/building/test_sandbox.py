"""A sandbox is proven by use, and its absence is said once, or refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hardtack.building.sandbox import Bubblewrap, Mount, NoSandbox, Unconfined, find_sandbox
from tests.building.projects import Listener


def script(folder: Path, text: str) -> dict[str, str]:
    """A PATH whose only program is a bwrap that does ``text``."""
    program = folder / "bwrap"
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)
    return {"PATH": str(folder)}


def test_no_bubblewrap_is_said_once(tmp_path: Path) -> None:
    listener = Listener()
    sandbox = find_sandbox({"PATH": str(tmp_path)}, reporter=listener)
    assert sandbox.name == "none"
    [words] = listener.warnings
    assert "not installed" in words


@pytest.mark.skipif(os.name == "nt", reason="a shell script stands in for bwrap")
def test_a_bubblewrap_that_does_not_run_is_none(tmp_path: Path) -> None:
    listener = Listener()
    environment = script(tmp_path, "echo 'No permissions to create new namespace' >&2; exit 1")
    assert find_sandbox(environment, reporter=listener).name == "none"
    [words] = listener.warnings
    assert "No permissions to create new namespace" in words


def test_required_and_absent_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NoSandbox, match="not installed"):
        find_sandbox({"PATH": str(tmp_path)}, require=True)


@pytest.mark.skipif(os.name == "nt", reason="a shell script stands in for bwrap")
def test_without_a_fresh_proc_the_hosts_is_never_shown(tmp_path: Path) -> None:
    environment = script(tmp_path, 'case "$*" in *"--proc"*) echo "no proc" >&2; exit 1;; esac; exit 0')
    sandbox = find_sandbox(environment)
    assert isinstance(sandbox, Bubblewrap)
    launch = sandbox.launch(["true"], mounts=[], cwd=Path("/"), environment={})
    assert "--proc" not in launch.argv
    assert ("/proc", "/proc") not in list(zip(launch.argv, launch.argv[1:], strict=False))


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

"""The Python of a build is the one that was given, unless the source excludes it."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from hardtack.building.interpreter import NoPython, ask, fitting
from hardtack.system import environ
from hardtack.system.cancellation import Cancellation
from hardtack.system.uv import find_uv


def test_the_base_interpreter_is_found_behind_a_virtual_environment() -> None:
    here = ask(Path(sys.executable))
    assert here.version == Version(platform.python_version())
    assert Path(os.path.realpath(sys.base_prefix)) in here.roots
    assert not (here.executable.parent.parent / "pyvenv.cfg").exists()
    assert not here.executable.is_symlink()


def test_what_is_no_python_says_so(tmp_path: Path) -> None:
    with pytest.raises(NoPython):
        ask(tmp_path / "python")
    liar = tmp_path / "liar"
    liar.write_text("#!/bin/sh\necho '{}'\n")
    liar.chmod(0o755)
    with pytest.raises(NoPython):
        ask(liar)


def test_another_one_is_taken_where_the_first_is_excluded(tmp_path: Path) -> None:
    uv = find_uv(tmp_path / "cache", environ.variables())
    tmp_path.joinpath("cache").mkdir()
    here = Version(platform.python_version())
    excluded = SpecifierSet(f"!={here},>=3.8")
    try:
        other = fitting(excluded, preferred=Path(sys.executable), uv=uv, stop=Cancellation(), wanted_by="x")
    except NoPython:
        pytest.skip("no other Python on this machine")
    assert other.version != here
    assert other.version in excluded
    assert other.implementation == "cpython"

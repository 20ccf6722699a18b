"""The Python of a build is the one that was given, unless the source excludes it."""

from __future__ import annotations

import json
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


@pytest.mark.skipif(os.name == "nt", reason="a shell script stands in for a Python")
def test_the_newest_that_fits_is_taken_of_pyenvs_too(tmp_path: Path) -> None:
    for version in ("9.1.0", "9.3.0", "9.2.0", "9.4.0rc1"):
        python = tmp_path / "pyenv" / "versions" / version / "bin" / "python"
        python.parent.mkdir(parents=True)
        answer: dict[str, object] = {"version": version, "implementation": "cpython", "executable": str(python), "roots": []}
        python.write_text(f"#!/bin/sh\necho '{json.dumps(answer)}'\n")
        python.chmod(0o755)
    uv = find_uv(tmp_path / "cache", {**environ.variables(), "PATH": str(tmp_path), "PYENV_ROOT": str(tmp_path / "pyenv")})
    for wanted, got in ((">=9", "9.3.0"), (">=9,<9.2", "9.1.0"), (">=9.4.0rc1", "9.4.0rc1")):
        found = fitting(SpecifierSet(wanted), preferred=Path(sys.executable), uv=uv, stop=Cancellation(), wanted_by="x")
        assert str(found.version) == got


def test_another_one_is_taken_where_the_first_is_excluded(tmp_path: Path) -> None:
    uv = find_uv(tmp_path / "cache", {**environ.variables(), "PATH": "/usr/bin:/bin"})
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

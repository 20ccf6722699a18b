"""The compilers that a build finds on its PATH, by their own word."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Mapping

from hardtack.system import environ
from hardtack.system.process import run

_COMPILERS = ("cc", "c++", "gfortran", "rustc")
_PATH = "/usr/bin:/bin"  # where a build's tools are taken from
_SECONDS = 20.0


@functools.cache
def compilers_here() -> Mapping[str, str]:
    """The first line of each one's ``--version``, by its name, asked once a run. None on Windows, where a build finds its own.

    Only the system's own programs run, before and outside of any build.
    """
    if environ.is_windows() or (environ.is_macos() and _first_line("xcode-select", "-p") is None):
        return {}  # on a Mac without its developer tools, cc is a program that opens a window and asks for them
    found = {name: _first_line(name, "--version") for name in _COMPILERS}
    return {name: line for name, line in found.items() if line}


def _first_line(name: str, argument: str) -> str | None:
    program = shutil.which(name, path=_PATH)
    if program is None:
        return None
    try:
        done = run([program, argument], environment={"PATH": _PATH, "LC_ALL": "C.UTF-8"}, timeout=_SECONDS)
    except OSError:
        return None
    lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    return lines[0][:200] if done.code == 0 and lines else None

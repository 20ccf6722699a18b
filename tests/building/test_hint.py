"""The lines that compilers, linkers, Rust and name resolution really write lead to what helps."""

from __future__ import annotations

import pytest

from hardtack.building.hint import hint_for

# As gcc 12, clang 16, ld, setuptools, meson, setuptools-rust, maturin, curl, urllib and pip print them.
LINES = {
    "src/_module.c:2:10: fatal error: Python.h: No such file or directory": "python3-dev",
    "a.c:1:10: fatal error: 'ffi.h' file not found": "ffi.h",
    "    fatal error: libxml/xmlversion.h: No such file or directory": "libxml/xmlversion.h",
    "/usr/bin/ld: cannot find -lpq: No such file or directory": "pq",
    "error: command 'gcc' failed: No such file or directory": "C compiler",
    "error: command 'x86_64-linux-gnu-gcc' failed: No such file or directory": "C compiler",
    "sh: 1: gcc: not found": "C compiler",
    "ERROR: Unknown compiler(s): [['cc'], ['gcc']]": "C compiler",
    "error: Microsoft Visual C++ 14.0 or greater is required.": "C compiler",
    "error: can't find Rust compiler": "Rust",
    "Cargo, the Rust package manager, is not installed or is not on PATH.": "Rust",
    "curl: (6) Could not resolve host: example.com": "network",
    "urllib.error.URLError: <urlopen error [Errno -3] Temporary failure in name resolution>": "network",
    "OSError: [Errno 101] Network is unreachable": "network",
    "ModuleNotFoundError: No module named 'numpy'": "numpy",
    "ModuleNotFoundError: No module named 'imp'": "older Python",
    "AttributeError: module 'configparser' has no attribute 'SafeConfigParser'. Did you mean: 'RawConfigParser'?": "older Python",
    "ModuleNotFoundError: No module named 'pkg_resources'": "older setuptools",
    "error in x setup command: use_2to3 is invalid.": "older setuptools",
}


@pytest.mark.parametrize("line", LINES)
def test_known_lines(line: str) -> None:
    hint = hint_for(f"before\n{line}\nafter")
    assert hint is not None
    assert LINES[line] in hint


@pytest.mark.parametrize("line", ["", "gcc -O2 -c a.c", "fatal: not a git repository", "success {what}", "accept: command not found"])
def test_other_lines_say_nothing(line: str) -> None:
    assert hint_for(line) is None

"""Sources with C in them: built once for each interpreter that is here, and where none is, the command that fills the gap."""

from __future__ import annotations

import os
import platform
import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from hardtack.building.interpreter import Interpreter, NoPython, ask, installed
from hardtack.system import environ
from hardtack.system.cancellation import Cancellation
from hardtack.system.uv import find_uv
from tests.building.compiled import COMPILED, needs_compiler
from tests.building.projects import HONEST, PYPROJECT
from tests.scenarios.yard import Yard, errors, proven, taken
from tests.support.archives import make_sdist

pytestmark = [
    needs_compiler,
    pytest.mark.skipif(not sys.platform.startswith("linux") or platform.libc_ver()[0] != "glibc", reason="the floors are glibc's"),
]

MACHINE = platform.machine()
HERE = f"py{sys.version_info[0]}{sys.version_info[1]}-linux-{MACHINE}"
OLD = "-glibc2_17"


@cache
def others() -> tuple[Interpreter, ...]:
    """CPythons of this machine of another minor version than ours, with headers, one of each version, the newest first."""
    uv = find_uv(Path("/nonexistent"), environ.variables())
    found: dict[tuple[int, ...], Interpreter] = {}
    try:
        for one in installed(uv, Path(sys.executable), Cancellation()):
            version = one.version.release[:2]
            headers = any((root / "include" / f"python{version[0]}.{version[1]}" / "Python.h").exists() for root in one.roots)
            if one.implementation == "cpython" and (3, 9) <= version <= (3, 14) and version != sys.version_info[:2] and headers:
                found.setdefault(version, one)
    except NoPython:
        return ()
    return tuple(found.values())


def another(yard: Yard) -> str:
    """The target of another interpreter that is here, and that the yard's hardtack finds on its PATH."""
    if not others():
        pytest.skip("no other Python with headers on this machine")
    version = others()[0].version.release
    yard.more_environment["PATH"] = os.pathsep.join([os.environ["PATH"], str(others()[0].executable.parent)])
    return f"py{version[0]}{version[1]}-linux-{MACHINE}"


def sdist(yard: Yard, more: str = "") -> None:
    pyproject = PYPROJECT.format(requires=[])
    head = "Metadata-Version: 2.2\nName: mini\nVersion: 1.0\n"
    files = {"backend.py": (HONEST + COMPILED + more).encode(), "mini.c": b"/* what makes it look compiled */\n"}
    filename, data = make_sdist("mini", pyproject=pyproject, metadata=head, files=files)
    yard.index.add(filename, data)


def test_each_interpreter_that_is_here_builds_for_its_targets_and_the_rest_is_a_gap_with_a_command(yard: Yard) -> None:
    second = another(yard)
    sdist(yard)
    result = yard.build("mini", targets=(HERE, f"{HERE}{OLD}", second, "py312-windows-x86_64"))
    assert errors(result) == ["needs-build"] * len(errors(result)) != []
    assert {finding.target for finding in result.findings if finding.code == "needs-build"} == {"py312-windows-x86_64"}
    [gap] = [finding for finding in result.findings if finding.code == "needs-build"]
    [there, here] = [shlex.split(words) for words in re.findall("`(hardtack [^`]*)`", gap.hint or "")]
    assert there[:3] == ["hardtack", "build", "mini"]  # what was asked for here
    assert there[-4:] == ["-t", "py312-windows-x86_64", "-o", "built"]
    assert here[:2] == ["hardtack", "merge"]
    assert here[-1] == "built"
    assert result.built == 2
    assert not result.stowed


def test_two_interpreters_make_one_proven_wheelhouse_that_pip_and_the_module_agree_with(yard: Yard) -> None:
    second = another(yard)
    sdist(yard)
    result = yard.build("mini", targets=(HERE, f"{HERE}{OLD}", second))
    proven(result)
    wheels = taken(result)
    assert wheels[HERE] == wheels[f"{HERE}{OLD}"] != wheels[second]
    assert len(yard.files()) == 2
    for python in (ask(Path(sys.executable)), others()[0]):
        where = yard.home / f"installed-{python.version}"
        done = yard.run(
            *(sys.executable, "-m", "pip", "install", "--no-index", "--find-links", yard.wheelhouse, "--target", where, "mini"),
            *("--python-version", f"{python.version.major}.{python.version.minor}", "--only-binary=:all:", "--disable-pip-version-check"),
        )
        assert done.returncode == 0
        code = "import mini; print(mini.value())"
        said = subprocess.run(
            [python.executable, "-S", "-c", code], env={"PYTHONPATH": str(where)}, capture_output=True, text=True, check=True, timeout=30
        )
        assert said.stdout == "42\n"
    again = yard.build("mini", targets=(HERE, f"{HERE}{OLD}", second))
    assert again.built == 0


def test_abi3_is_built_once_for_all_above(yard: Yard) -> None:
    sdist(yard, "SUFFIX = '.abi3.so'\nTAG = 'cp39-abi3-linux_' + MACHINE\n")
    targets = [f"py3{minor}-linux-{MACHINE}" for minor in (9, 11, 12, 13)]
    result = yard.build("mini", targets=targets)
    proven(result)
    assert result.built == 1
    assert len(yard.files()) == 1


def test_too_new_for_the_floor_names_the_symbol_and_the_file(yard: Yard) -> None:
    version = tuple(int(part) for part in platform.libc_ver()[1].split("."))
    if version < (2, 34):
        pytest.skip("this glibc has dlsym at its first version")
    sdist(yard, "HEAD, EXTRA = '#include <dlfcn.h>', 'dlsym(0, \"x\");'\n")
    result = yard.build("mini", targets=(HERE, f"{HERE}-glibc2_34"))
    assert errors(result) == ["glibc-floor"] or set(errors(result)) == {"glibc-floor", "missing"}
    [gap] = [finding for finding in result.findings if finding.code == "glibc-floor"]
    assert gap.target == HERE
    assert "GLIBC_2.34 (dlsym in _mini.cpython-" in gap.message
    assert "the target has 2.28" in gap.message
    assert f"-t {HERE} -o built" in (gap.hint or "")


def test_the_command_that_a_gap_prints_fills_it(yard: Yard) -> None:
    """What is built elsewhere and given with --find-links is taken."""
    second = another(yard)
    sdist(yard)
    built = yard.project / "built"
    done = yard.hardtack(
        *("build", "mini==1.0", "--no-binary", "mini", "-t", second, "-o", built, "--index-url", yard.index.url, "--no-trial"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    from hardtack import IndexFlags

    result = yard.build("mini==1.0", targets=(second,), indexes=IndexFlags(index_url=yard.index.url, find_links=(str(built),), retries=0))
    proven(result)
    assert result.built == 0

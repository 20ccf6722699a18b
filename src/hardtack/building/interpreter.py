"""The Python that runs a build: what it is, learned by asking it, and another one where it does not fit."""

from __future__ import annotations

import contextlib
import functools
import json
import os
from dataclasses import dataclass
from pathlib import Path

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from hardtack.errors import BuildFault
from hardtack.system.cancellation import Cancellation
from hardtack.system.process import run
from hardtack.system.uv import Uv

_QUESTION = """\
import json, os, platform, sys
print(json.dumps({
    "version": platform.python_version().rstrip("+"),
    "implementation": sys.implementation.name,
    "executable": os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable),
    "roots": sorted({sys.base_prefix, sys.base_exec_prefix, os.path.realpath(sys.base_prefix), os.path.realpath(sys.base_exec_prefix)}),
}))
"""


class NoPython(BuildFault):
    """No interpreter on this machine may build the source."""

    slug = "no-python"


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """A Python of this machine. ``executable`` is no virtual environment's and no link; ``roots`` are the folders that it lives in."""

    executable: Path
    version: Version
    implementation: str
    roots: tuple[Path, ...]

    @property
    def label(self) -> str:
        """As a build record names it ("cpython 3.12.1")."""
        return f"{self.implementation} {self.version}"


@functools.lru_cache(maxsize=32)
def ask(python: Path) -> Interpreter:
    """What ``python`` is, by its own word. Raises NoPython where it does not run."""
    try:
        # Isolated and without site: no code of an environment's runs.
        done = run([str(python), "-I", "-S", "-c", _QUESTION], environment=_bare(), timeout=30)
    except OSError as error:
        raise NoPython(f"it cannot be run: {error.strerror}", where=str(python)) from error
    try:
        answer = json.loads(done.stdout)
        return Interpreter(
            executable=Path(answer["executable"]),
            version=Version(answer["version"]),
            implementation=str(answer["implementation"]),
            roots=tuple(Path(root) for root in answer["roots"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise NoPython("it is no Python that answers", where=str(python)) from error


def fitting(requires_python: SpecifierSet | None, *, preferred: Path, uv: Uv, stop: Cancellation, wanted_by: str) -> Interpreter:
    """``preferred`` where ``requires_python`` allows it, else the newest CPython of this machine that it allows.

    Nothing is downloaded. Raises NoPython, naming ``wanted_by``, where there is none.
    """
    interpreter = ask(preferred)
    if _allowed(requires_python, interpreter):
        return interpreter
    others = []
    for path in _installed(uv, preferred.parent, stop):
        try:
            other = ask(path)
        except NoPython:
            continue
        if other.implementation == "cpython" and _allowed(requires_python, other):
            others.append(other)
    if not others:
        raise NoPython(
            f"it wants Python {requires_python}, and this is {interpreter.version}; no other here fits",
            where=wanted_by,
            hint=f"install a Python {requires_python} (any place where uv finds it will do)",
        )
    return max(others, key=lambda other: (not other.version.is_prerelease, other.version, str(other.executable)))


def _allowed(requires_python: SpecifierSet | None, interpreter: Interpreter) -> bool:
    return requires_python is None or requires_python.contains(interpreter.version, prereleases=True)


def _installed(uv: Uv, cwd: Path, stop: Cancellation) -> list[Path]:
    """Every Python that uv finds, and pyenv's: uv sees only their shims, which run the ones that pyenv was told to."""
    found = []
    done = uv.run(["python", "list", "--only-installed", "--output-format", "json"], cwd=cwd, stop=stop, timeout=60)
    with contextlib.suppress(ValueError, KeyError, TypeError):
        found += [Path(row["path"]) for row in json.loads(done.stdout) if row.get("path")]
    home = uv.environment.get("PYENV_ROOT") or os.path.join(uv.environment.get("HOME", ""), ".pyenv")
    if os.path.isabs(home):
        found += sorted(Path(home).glob("versions/*/bin/python"))
    return found


def _bare() -> dict[str, str]:
    # Windows starts no Python without its system root.
    return {"SYSTEMROOT": "C:\\Windows"} if os.name == "nt" else {}

"""The Python that runs a build: what it is, learned by asking it, and another one where it does not fit."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from hardtack.errors import BuildFault
from hardtack.system.cancellation import Cancellation
from hardtack.system.process import run
from hardtack.system.uv import Uv

# What an interpreter is asked, as a program for its ``-c``. It answers on one line.
QUESTION = """\
import json, os, platform, sys, sysconfig
def confstr(name):
    try:
        return os.confstr(name)
    except (AttributeError, ValueError, OSError):
        return None
print(json.dumps({
    "version": platform.python_version().rstrip("+"),
    "implementation": sys.implementation.name,
    "executable": os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable),
    "roots": sorted({sys.base_prefix, sys.base_exec_prefix, os.path.realpath(sys.base_prefix), os.path.realpath(sys.base_exec_prefix)}),
    "system": sys.platform,
    "machine": platform.machine(),
    "bits": 64 if sys.maxsize > 2**32 else 32,
    "libc": confstr("CS_GNU_LIBC_VERSION"),
    "suffix": sysconfig.get_config_var("EXT_SUFFIX") or "",
    "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
}))
"""


class NoPython(BuildFault):
    """No interpreter on this machine may build the source."""

    slug = "no-python"


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """A Python of this machine. ``executable`` is no virtual environment's and no link; ``roots`` are the folders that it lives in.

    ``os``, ``arch`` and ``libc`` are told as a target tells them, "" and None where no target could. ``libc_version`` is glibc's.
    ``suffix`` is that of its own extension modules (".cpython-312-x86_64-linux-gnu.so"). ``root`` is the unpacked system that it runs in,
    if not this machine's own: then all is told as inside of it, and ``roots`` are empty where it is a part of it.
    """

    executable: Path
    version: Version
    implementation: str
    roots: tuple[Path, ...]
    os: str = ""
    arch: str = ""
    libc: str | None = None
    libc_version: tuple[int, int] | None = None
    suffix: str = ""
    free_threaded: bool = False
    root: Path | None = None

    @property
    def label(self) -> str:
        """As a build record names it ("cpython 3.12.1")."""
        return f"{self.implementation} {self.version}"

    @property
    def abi(self) -> str:
        """The interpreter and platform that its compiled wheels are for ("cpython 3.13t, linux x86_64 glibc 2.36")."""
        threads = "t" if self.free_threaded else ""
        floor = f" {self.libc_version[0]}.{self.libc_version[1]}" if self.libc_version else ""
        libc = f" {self.libc}{floor}" if self.libc else ""
        return f"{self.implementation} {self.version.major}.{self.version.minor}{threads}, {self.os} {self.arch}{libc}"


@functools.lru_cache(maxsize=32)
def ask(python: Path) -> Interpreter:
    """What ``python`` is, by its own word. Raises NoPython where it does not run."""
    try:
        # Isolated and without site: no code of an environment's runs.
        done = run([str(python), "-I", "-S", "-c", QUESTION], environment=_bare(), timeout=30)
    except OSError as error:
        raise NoPython(f"it cannot be run: {error.strerror}", where=str(python)) from error
    try:
        return told(done.stdout)
    except ValueError as error:
        raise NoPython("it is no Python that answers", where=str(python)) from error


def told(answer: str | bytes) -> Interpreter:
    """The interpreter that gave this answer to ``QUESTION``. Raises ValueError where it is no answer."""
    try:
        facts = json.loads(answer)
        return Interpreter(
            executable=Path(facts["executable"]),
            version=Version(facts["version"]),
            implementation=str(facts["implementation"]),
            roots=tuple(Path(root) for root in facts["roots"]),
            **_platform(facts),
        )
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError("no answer") from error


_SYSTEMS = {"linux": "linux", "darwin": "macos", "win32": "windows"}
_MACHINES = {"amd64": "x86_64", "i386": "i686", "i586": "i686", "armv8l": "armv7l"}
# What a 32-bit Python on a 64-bit kernel is built for.
_NARROW = {"x86_64": "i686", "aarch64": "armv7l"}


def _platform(answer: Mapping[str, Any]) -> dict[str, Any]:
    """What the answer says of the platform, in the words of a target."""
    system = _SYSTEMS.get(str(answer.get("system")), "")
    arch = str(answer.get("machine", "")).lower()
    arch = _MACHINES.get(arch, arch)
    if answer.get("bits") == 32:
        arch = _NARROW.get(arch, arch)
    if system == "windows" and arch == "i686":
        arch = "x86"
    glibc = re.fullmatch(r"glibc (\d+)\.(\d+).*", str(answer.get("libc") or ""))
    libc = None if system != "linux" else "glibc" if glibc else "musl"
    return {
        "os": system,
        "arch": arch,
        "libc": libc,
        "libc_version": (int(glibc[1]), int(glibc[2])) if glibc else None,
        "suffix": str(answer.get("suffix", "")),
        "free_threaded": bool(answer.get("free_threaded")),
    }


def folders(interpreter: Interpreter) -> list[Path]:
    """Where a Python lives outside the system's folders. Never its whole prefix, which may be somebody's home."""
    found = []
    for root in interpreter.roots:
        if root.parts[:2] in ((root.anchor, "usr"), (root.anchor,)):
            continue
        found += [root / name for name in ("bin", "lib", "lib64", "include") if (root / name).is_dir()]
    return found


def fitting(requires_python: SpecifierSet | None, *, preferred: Path, uv: Uv, stop: Cancellation, wanted_by: str) -> Interpreter:
    """``preferred`` where ``requires_python`` allows it, else the newest CPython of this machine that it allows.

    Nothing is downloaded. Raises NoPython, naming ``wanted_by``, where there is none.
    """
    interpreter = ask(preferred)
    if _allowed(requires_python, interpreter):
        return interpreter
    others = [other for other in installed(uv, preferred, stop) if other.implementation == "cpython" and _allowed(requires_python, other)]
    if not others:
        raise NoPython(
            f"it wants Python {requires_python}, and this is {interpreter.version}; no other here fits",
            where=wanted_by,
            hint=f"install a Python {requires_python} (any place where uv finds it will do)",
        )
    return max(others, key=lambda other: (not other.version.is_prerelease, other.version, str(other.executable)))


def installed(uv: Uv, preferred: Path, stop: Cancellation) -> tuple[Interpreter, ...]:
    """Every Python of this machine that runs, each once, ``preferred`` first, then the newest first."""
    found: dict[Path, Interpreter] = {}
    for path in (preferred, *_installed(uv, preferred.parent, stop)):
        try:
            interpreter = ask(path)
        except NoPython:
            continue
        found.setdefault(interpreter.executable, interpreter)
    first, rest = list(found.values())[:1], list(found.values())[1:]
    rest.sort(key=lambda one: (not one.version.is_prerelease, one.version, str(one.executable)), reverse=True)
    return (*first, *rest)


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

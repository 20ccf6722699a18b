"""The probe: a script that any interpreter can run, and what its output says of a target."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from packaging.version import InvalidVersion, Version

from hardtack.errors import TargetError
from hardtack.model.target import Implementation, PatchRange, Platform, Target
from hardtack.targets.assembly import assemble
from hardtack.targets.data import machine, pyodide_abis
from hardtack.targets.names import name_of

PROBE: str = files("hardtack.targets").joinpath("probe_script.py").read_text(encoding="utf-8")

_PROBED_ARCHES = {"amd64": "x86_64", "armv8l": "armv7l", "i386": "i686", "i586": "i686"}
# What a 32-bit Python on a 64-bit kernel is built for.
_NARROW = {"x86_64": "i686", "aarch64": "armv7l"}
# The kernel's name and build change with every update of the machine, and nothing that is meant to last should hang on them.
_KERNEL = ("platform_release", "platform_version")


def from_probe(data: Mapping[str, Any], *, where: str, kernel: bool = True) -> Target:
    """The target that a probe's output describes: exactly that patch of Python, that libc or system, plain linux wheels too.

    ``kernel`` False leaves ``platform_release`` and ``platform_version`` unanswered. Raises TargetError for what is no probe's output.
    """
    try:
        found = {key: str(value) for key, value in data["marker_environment"].items()}
        full = Version(found["python_full_version"].rstrip("+"))
        platform = _platform(data, found, where)
        implementation = _implementation(found, platform, where)
    except (KeyError, TypeError, ValueError, AttributeError, InvalidVersion) as error:
        reason = f"this is not the output of hardtack's probe ({error!r})"
        raise TargetError(reason, where=where, hint="run the probe again with that interpreter") from None
    python = (full.release[0], full.release[1])
    if python < (3, 8):
        raise TargetError(f"Python {python[0]}.{python[1]} is too old for a target", where=where, hint="targets are Python 3.8 and later")
    free_threaded = bool(data.get("free_threaded"))
    dropped = {"python_full_version", "python_version", *(() if kernel else _KERNEL)}
    if implementation != "pypy":
        dropped.add("implementation_version")
    return assemble(
        name=name_of(implementation, python, free_threaded, platform),
        implementation=implementation,
        python=python,
        patches=PatchRange(first=full, last=full),
        platform=platform,
        free_threaded=free_threaded,
        markers={key: value for key, value in found.items() if key not in dropped},
        abis=_abis(data, implementation, python, free_threaded),
    )


def _implementation(found: Mapping[str, str], platform: Platform, where: str) -> Implementation:
    name = found["implementation_name"]
    if name == "cpython":
        return "pyodide" if platform.os == "emscripten" else "cpython"
    if name == "pypy":
        return "pypy"
    raise TargetError(f"{name} is no Python that a target can have", where=where, hint="targets are CPython, PyPy and Pyodide")


def _abis(data: Mapping[str, Any], implementation: Implementation, python: tuple[int, int], free_threaded: bool) -> list[str]:
    number = f"{python[0]}{python[1]}"
    if implementation == "pypy":
        match = re.match(r"\.(pypy\d+)-(pp\d+)", str(data.get("ext_suffix")))
        return [f"{match[1]}_{match[2]}"] if match else []
    plain = f"cp{number}{'t' if free_threaded else ''}"
    # A debug build loads the extensions of ordinary builds too.
    return [f"{plain}d", plain] if data.get("debug") else [plain]


def _platform(data: Mapping[str, Any], found: Mapping[str, str], where: str) -> Platform:
    system = found["sys_platform"]
    stated = str(data["platform"]).lower().replace("-", "_").replace(".", "_")
    narrow = int(data["pointer_bits"]) == 32
    if system.startswith("linux"):
        arch = stated.removeprefix("linux_")
        arch = _PROBED_ARCHES.get(arch, arch)
        arch = _NARROW.get(arch, arch) if narrow else arch
        libc, floor = ("glibc", data["glibc"]) if data.get("glibc") else ("musl", data.get("musl"))
        if floor is None:
            platform = Platform(os="linux", arch=arch, plain_linux=True)
        else:
            name = "glibc" if libc == "glibc" else "musl"
            platform = Platform(os="linux", arch=arch, libc=name, floor=(int(floor[0]), int(floor[1])), plain_linux=True)  # type: ignore[arg-type]
    elif system == "darwin":
        major, minor = (int(part) for part in data["macos"])
        # From macOS 11 on only the major version is part of a tag.
        platform = Platform(os="macos", arch=found["platform_machine"], floor=(major, 0 if major > 10 else minor))
    elif system == "win32":
        arch = {"win_amd64": "x86_64", "win_arm64": "arm64", "win32": "x86"}[stated]
        platform = Platform(os="windows", arch=arch)
    elif system == "emscripten":
        year, patch = str(data["pyodide_abi"]).split("_")
        if (int(year), int(patch)) not in pyodide_abis():
            raise TargetError(f"Pyodide's ABI {year}_{patch} is not in the catalog", where=where)
        platform = Platform(os="emscripten", arch="wasm32", floor=(int(year), int(patch)))
    else:
        raise TargetError(f"{system} is no system that a target can have", where=where, hint="known: Linux, macOS, Windows, Emscripten")
    try:
        machine(platform.os, platform.arch)
    except KeyError:
        raise TargetError(f"{platform.os} on {platform.arch} is not in the catalog", where=where) from None
    return platform

"""Tag lists, best first, for platforms that are not this host (PEP 425, 600, 656, 783, 803)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from packaging.tags import Tag, compatible_tags, cpython_tags, generic_tags, mac_platforms

from hardtack.errors import TargetError
from hardtack.model.target import Implementation, Platform
from hardtack.targets.data import machine, pyodide_abis

# PEP 600: manylinux1, 2010 and 2014 are older names of these floors.
LEGACY_MANYLINUX = {(2, 5): "manylinux1", (2, 12): "manylinux2010", (2, 17): "manylinux2014"}
_OLDEST_GLIBC = (2, 17)


def platform_tags(platform: Platform) -> tuple[str, ...]:
    """The platform part of the tags, best first: the newest system that the floor allows, then ever older ones.

    Raises TargetError where no tag exists (a glibc that is older than any manylinux of the machine).
    """
    found = tuple(_platform_tags(platform))
    if not found:
        raise TargetError(f"no wheel can be made for {platform.os} {platform.arch} with a floor of {_dotted(platform.floor)}")
    return found


def _dotted(floor: tuple[int, int] | None) -> str:
    return f"{floor[0]}.{floor[1]}" if floor else "nothing"


def _platform_tags(platform: Platform) -> Iterator[str]:
    known = machine(platform.os, platform.arch)
    tag = known["tag"]
    if platform.os == "windows":
        yield tag
    elif platform.os == "macos":
        yield from mac_platforms(platform.floor or (11, 0), tag)
    elif platform.os == "emscripten":
        year, patch = platform.floor or (0, 0)
        yield f"pyemscripten_{year}_{patch}_{tag}"
        yield f"pyodide_{year}_{patch}_{tag}"
        yield f"emscripten_{pyodide_abis()[year, patch]['emscripten']}_{tag}"
    else:
        if platform.plain_linux:
            yield f"linux_{tag}"
        if platform.libc == "glibc" and platform.floor is not None:
            oldest_major, oldest_minor = known.get("oldest-glibc", _OLDEST_GLIBC)
            for minor in range(platform.floor[1], oldest_minor - 1, -1):
                yield f"manylinux_{oldest_major}_{minor}_{tag}"
                if (oldest_major, minor) in LEGACY_MANYLINUX:
                    yield f"{LEGACY_MANYLINUX[oldest_major, minor]}_{tag}"
        elif platform.libc == "musl" and platform.floor is not None:
            major, newest = platform.floor
            yield from (f"musllinux_{major}_{minor}_{tag}" for minor in range(newest, -1, -1))


def interpreter_tags(
    implementation: Implementation,
    python: tuple[int, int],
    *,
    free_threaded: bool,
    platforms: Sequence[str],
    abis: Sequence[str] = (),
) -> tuple[Tag, ...]:
    """Every tag that the interpreter accepts on these platforms, in the order in which an interpreter itself lists them.

    ``abis``, best first, replace the interpreter's own ABI (a debug build has two).
    """
    number = f"{python[0]}{python[1]}"
    if implementation == "pypy":
        abis = abis or [f"pypy{number}_pp73"]
        return (*generic_tags(f"pp{number}", abis, platforms), *compatible_tags(python, "pp3", platforms))
    abis = abis or [f"cp{number}t" if free_threaded else f"cp{number}"]
    return (*cpython_tags(python, abis, platforms), *compatible_tags(python, f"cp{number}", platforms))

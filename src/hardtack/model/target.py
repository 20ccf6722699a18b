"""A target: where the wheels are to run, told without asking this host anything."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from packaging.specifiers import SpecifierSet
from packaging.tags import Tag
from packaging.version import Version

Implementation = Literal["cpython", "pypy", "pyodide"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchRange:
    """The ``python_full_version`` values that a target may have, both ends included; ``last`` None is every later patch.

    A target's patches all share its minor version; the proof holds at every one of them.
    """

    first: Version
    last: Version | None = None

    def points(self, cuts: Iterable[Version]) -> tuple[str, ...]:
        """One full version for every stretch between ``cuts``: the first patch, and each cut that lies inside the range.

        A cut is a version at which some marker's answer may change; a caller that means "up to and with 3.11.2" cuts at
        3.11.2 and at 3.11.3.

        >>> PatchRange(first=Version("3.11.0")).points([Version("3.11.3"), Version("3.12")])
        ('3.11.0', '3.11.3')
        """
        minor = self.first.release[:2]
        inside = {self.first}
        for cut in cuts:
            if cut.release[:2] == minor and cut >= self.first and (self.last is None or cut <= self.last):
                inside.add(cut)
        return tuple(_full(version) for version in sorted(inside))

    def specifier(self) -> SpecifierSet:
        """The range as a specifier on ``python_full_version``."""
        major, minor = self.first.release[:2]
        lower = f">={_full(self.first)}"
        upper = f"<={_full(self.last)}" if self.last is not None else f"<{major}.{minor + 1}"
        return SpecifierSet(f"{lower},{upper}")


def _full(version: Version) -> str:
    """A python_full_version always has three release numbers."""
    release = (*version.release, 0, 0)[:3]
    text = ".".join(str(part) for part in release)
    if version.pre:
        text += f"{version.pre[0]}{version.pre[1]}"
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """An operating system, a machine, and the floor of its C library or system.

    ``os``: linux, macos, windows or emscripten. ``arch`` in our spelling: x86_64, aarch64, arm64 (macOS, Windows), x86 (Windows),
    i686 (Linux), armv7l, ppc64le, s390x, riscv64, loongarch64, wasm32. ``libc``: glibc or musl, on linux only. ``floor``: the oldest
    glibc, musl or macOS that it must run on, as (major, minor); a Pyodide ABI such as (2025, 0) for emscripten; None on Windows.
    """

    os: Literal["linux", "macos", "windows", "emscripten"]
    arch: str
    libc: Literal["glibc", "musl"] | None = None
    floor: tuple[int, int] | None = None
    plain_linux: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What a target takes of the project, and from where.

    ``extras`` and ``groups`` are normalised names; None takes what the run takes. ``index_pins`` maps a normalised package
    name to an index's name.
    """

    extras: frozenset[str] | None = None
    groups: frozenset[str] | None = None
    index_pins: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A Python on a platform, and what it selects.

    ``environment`` answers the marker variables of PEP 508 that do not depend on the patch; a variable that is absent cannot be
    answered (``platform_release``, unless the user gave it). ``tags`` are best first (PEP 425, 600, 656).
    """

    name: str
    implementation: Implementation
    python: tuple[int, int]
    patches: PatchRange
    platform: Platform
    tags: tuple[Tag, ...] = field(repr=False)
    environment: Mapping[str, str] = field(repr=False, hash=False)
    free_threaded: bool = False
    selection: Selection = Selection()

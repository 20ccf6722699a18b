"""Does a wheel fit a target, how well, and if it does not, why: told from its file name's tags alone (PEP 425, 427, 600, 656)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote

from packaging.tags import InvalidTag, Tag, parse_tag
from packaging.utils import BuildTag, InvalidWheelFilename, NormalizedName, parse_wheel_filename
from packaging.version import Version

from hardtack.model.target import Target

_LEGACY_GLIBC = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}
_LINUX = re.compile(r"(?P<kind>manylinux|musllinux)_(?P<major>\d+)_(?P<minor>\d+)_(?P<arch>\w+)")
_LEGACY_LINUX = re.compile(r"(?P<kind>manylinux1|manylinux2010|manylinux2014)_(?P<arch>\w+)")
_MACOS = re.compile(r"macosx_(?P<major>\d+)_(?P<minor>\d+)_(?P<arch>\w+)")
_PYODIDE = re.compile(r"(?:pyodide|pyemscripten|emscripten)_(?P<major>\d+)_(?P<minor>\d+)(?:_\d+)?_(?P<arch>\w+)")
_INTERPRETER = re.compile(r"(?P<kind>cp|pp|py|ip|jy|graalpy)(?P<major>\d)(?P<minor>\d*)")
_ABI = re.compile(r"(?P<kind>cp|pypy|graalpy)(?P<digits>[\d_]+?)(?P<flags>[a-z]*)(?:_pp\d+)?")

_OS_NAMES = {"linux": "Linux", "macos": "macOS", "windows": "Windows", "emscripten": "Pyodide"}
_WINDOWS = {"win32": "x86", "win_amd64": "x86_64", "win_arm64": "arm64", "win_arm32": "arm32"}
_OUR_ARCH = {"i686": "x86", "i386": "x86", "amd64": "x86_64"}
_MAC_FAT = {
    "universal2": frozenset({"x86_64", "arm64"}),
    "universal": frozenset({"x86_64", "x86"}),
    "intel": frozenset({"x86_64", "x86"}),
    "fat64": frozenset({"x86_64"}),
    "fat3": frozenset({"x86_64", "x86"}),
    "fat32": frozenset({"x86"}),
    "fat": frozenset({"x86"}),
}
_IMPLEMENTATIONS = {"cp": "CPython", "pp": "PyPy", "ip": "IronPython", "jy": "Jython", "graalpy": "GraalPy", "pypy": "PyPy"}


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelName:
    """A wheel's file name, read. ``version`` keeps its local part."""

    name: NormalizedName
    version: Version
    build: BuildTag
    tags: frozenset[Tag]


# A lock of thousands of files is planned several times over in one run.
@lru_cache(maxsize=20_000)
def read_wheel_name(filename: str) -> WheelName | None:
    """The parts of a wheel's file name, None where no installer could read it.

    A name taken from a URL may still be percent-encoded ("%2B" for a local version's plus sign). Names that today's pip refuses
    are not read either: taking one would make a wheelhouse that looks complete and does not install.
    """
    plain = unquote(filename) if "%" in filename else filename
    head, *tag = plain.removesuffix(".whl").rsplit("-", 3)
    if len(tag) != 3 or not plain.endswith(".whl"):
        return None
    try:
        # Few tag sets serve many files: read each once, and the rest of the name with one that is cheap to read.
        tags = _tags("-".join(tag))
        name, version, build, _ = parse_wheel_filename(f"{head}-py3-none-any.whl")
    except (InvalidTag, InvalidWheelFilename):
        return None
    return WheelName(name=name, version=version, build=build, tags=tags)


@lru_cache(maxsize=4096)
def _tags(text: str) -> frozenset[Tag]:
    return parse_tag(text)


class Fit:
    """What one target can load. Made once per target and asked many times: reasons and ranks are remembered.

    A lower rank is a better wheel; between wheels of one rank the higher build tag wins.
    """

    __slots__ = ("_abis", "_found", "_platforms", "_ranks", "_reasons", "target")

    def __init__(self, target: Target) -> None:
        self.target = target
        self._ranks: dict[Tag, int] = {}
        for rank, tag in enumerate(target.tags):
            self._ranks.setdefault(tag, rank)
        self._platforms = frozenset(tag.platform for tag in target.tags)
        self._abis = frozenset((tag.interpreter, tag.abi) for tag in target.tags)
        self._found: dict[frozenset[Tag], int | None] = {}
        self._reasons: dict[frozenset[Tag], str] = {}

    def rank(self, tags: frozenset[Tag]) -> int | None:
        """How good a wheel with these tags is here, 0 the best; None where it does not fit."""
        try:
            return self._found[tags]
        except KeyError:
            found = self._found[tags] = min((self._ranks[tag] for tag in tags if tag in self._ranks), default=None)
            return found

    def order(self, tags: frozenset[Tag], build: BuildTag) -> tuple[int, int, str] | None:
        """The reverse of a preference: the wheel with the highest order is the one that an installer takes. None: does not fit."""
        rank = self.rank(tags)
        if rank is None:
            return None
        return (-rank, *build) if build else (-rank, -1, "")

    def misfit(self, tags: frozenset[Tag]) -> str:
        """Why a wheel with these tags does not fit, in words, judged by the tag that comes nearest."""
        reason = self._reasons.get(tags)
        if reason is None:
            complaints = [(self._python(tag), self._platform(tag.platform), str(tag)) for tag in tags]
            problems = min(((_weight(python) + _weight(platform), tag), python, platform) for python, platform, tag in complaints)
            reason = ", ".join(text for _, text in problems[1:] if text) or f"its tag {problems[0][1]} is not one that the target loads"
            self._reasons[tags] = reason
        return reason

    def floor(self, tags: Iterable[Tag]) -> tuple[int, int] | None:
        """The lowest floor (glibc, musl or macOS) at which these tags would fit the target, None where no floor would do."""
        ours = self.target.platform
        floors: list[tuple[int, int]] = []
        for tag in tags:
            os, arch, libc, floor = _read_platform(tag.platform)
            same = os == ours.os and libc == ours.libc and ours.arch in _MAC_FAT.get(arch, frozenset({arch}))
            if same and floor is not None and (tag.interpreter, tag.abi) in self._abis:
                floors.append(floor)
        return min(floors, default=None)

    def _platform(self, platform: str) -> tuple[int, str]:
        if platform == "any" or platform in self._platforms:
            return _FITS
        ours = self.target.platform
        os, arch, libc, floor = _read_platform(platform)
        if os is None:
            return 9, f"for {platform}"
        if os != ours.os:
            return 5, f"for {_OS_NAMES[os]} {arch}"
        if ours.arch not in _MAC_FAT.get(arch, frozenset({arch})):
            return 4, f"for {_OS_NAMES[os]} {arch}"
        if os == "linux":
            if libc is None:
                return 2, "a plain linux wheel, which promises no glibc or musl version"
            if libc != ours.libc:
                return 3, f"{libc}, the target has {ours.libc}"
            return 1, f"needs {libc} {_dotted(floor)}, the target has {_dotted(ours.floor)}"
        if os == "macos":
            return 1, f"needs macOS {_dotted(floor)}, the target has {_dotted(ours.floor)}"
        if os == "emscripten":
            return 1, f"built for the ABI {_dotted(floor)} of Pyodide, the target has {_dotted(ours.floor)}"
        return 4, f"for {platform}"

    def _python(self, tag: Tag) -> tuple[int, str]:
        if (tag.interpreter, tag.abi) in self._abis:
            return _FITS
        match = _INTERPRETER.fullmatch(tag.interpreter)
        if match is None:
            return 9, f"built for {tag.interpreter}"
        kind, major = match["kind"], int(match["major"])
        minor = int(match["minor"]) if match["minor"] else None
        version = f"{major}.{minor}" if minor is not None else f"{major}"
        here = self.target.python
        own = {"cpython": "cp", "pyodide": "cp", "pypy": "pp"}[self.target.implementation]
        if kind == "py":
            if major != here[0]:
                return 5, f"py{major} only"
            if minor is not None and (major, minor) > here:
                return 3, f"for Python {version} and newer"
            return 2, f"built for the ABI {tag.abi}"
        if kind != own:
            return 4, f"built for {_IMPLEMENTATIONS[kind]} {version}"
        if tag.abi in ("abi3", "abi3t"):
            if tag.abi == "abi3" and self.target.free_threaded:
                return 2, "abi3, which a free-threaded build does not load"
            if tag.abi == "abi3t" and not self.target.free_threaded:
                return 2, "free-threaded build (abi3t)"
            return 3, f"{tag.abi} for CPython {version} and newer"
        abi = _ABI.fullmatch(tag.abi)
        threaded = abi is not None and "t" in abi["flags"]
        if (major, minor) == here:
            if threaded and not self.target.free_threaded:
                return 1, "free-threaded build"
            if self.target.free_threaded and tag.abi == f"cp{here[0]}{here[1]}":
                return 1, "not a free-threaded build, the target is one"
            return 2, f"built for the ABI {tag.abi}"
        return 3, f"built for {_IMPLEMENTATIONS[kind]} {version}" + (", free-threaded" if threaded else "")


_FITS = (0, "")


def _weight(complaint: tuple[int, str]) -> int:
    """Two small complaints weigh more than one great one, so that the nearest tag is the one with the fewest."""
    return complaint[0] + 10 if complaint[1] else 0


def _read_platform(platform: str) -> tuple[str | None, str, str | None, tuple[int, int] | None]:
    """(os, arch in our spelling, libc, floor) of a platform tag; os None where it is none that hardtack knows."""
    if match := _LINUX.fullmatch(platform):
        libc = "glibc" if match["kind"] == "manylinux" else "musl"
        return "linux", _own_arch(match["arch"]), libc, (int(match["major"]), int(match["minor"]))
    if match := _LEGACY_LINUX.fullmatch(platform):
        return "linux", _own_arch(match["arch"]), "glibc", _LEGACY_GLIBC[match["kind"]]
    if platform.startswith("linux_"):
        return "linux", _own_arch(platform.removeprefix("linux_")), None, None
    if match := _MACOS.fullmatch(platform):
        return "macos", _own_arch(match["arch"]), None, (int(match["major"]), int(match["minor"]))
    if platform in _WINDOWS:
        return "windows", _WINDOWS[platform], None, None
    if match := _PYODIDE.fullmatch(platform):
        return "emscripten", match["arch"], None, (int(match["major"]), int(match["minor"]))
    return None, platform, None, None


def operating_system(tags: Iterable[Tag]) -> str | None:
    """The one operating system that all these tags are for, as its makers write it; None for several, for any, or for one unknown."""
    found = {_read_platform(tag.platform)[0] for tag in tags}
    only = found.pop() if len(found) == 1 else None
    return _OS_NAMES[only] if only is not None else None


def _own_arch(arch: str) -> str:
    return _OUR_ARCH.get(arch, arch)


def _dotted(floor: tuple[int, int] | None) -> str:
    return f"{floor[0]}.{floor[1]}" if floor else "none stated"

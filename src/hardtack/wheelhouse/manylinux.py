"""What each glibc floor gives to a wheel (PEP 600): the libraries that every such system has, and how new their symbols may be."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from hardtack.targets.data import machine

# PEP 600 leaves the profiles to the tools; these are the libraries that the profiles of all floors share, and the two that came later.
_LIBRARIES = frozenset({
    "libc.so.6", "libm.so.6", "libdl.so.2", "librt.so.1", "libpthread.so.0", "libutil.so.1", "libnsl.so.1", "libanl.so.1",
    "libresolv.so.2", "libgcc_s.so.1", "libstdc++.so.6", "libatomic.so.1", "libz.so.1", "libX11.so.6", "libXext.so.6",
    "libXrender.so.1", "libICE.so.6", "libSM.so.6", "libGL.so.1", "libgobject-2.0.so.0", "libgthread-2.0.so.0", "libglib-2.0.so.0",
})  # fmt: skip
# Of these, what systems without a desktop lack, with the packages that bring it (Debian and Ubuntu, then Fedora and RHEL).
_X11 = "libX11, libXext and libXrender (libx11-6 libxext6 libxrender1, libX11 libXext libXrender)"
_SESSION = "libSM and libICE (libsm6 libice6, libSM libICE)"
_GLIB = "GLib (libglib2.0-0, glib2)"
_DESKTOP = {
    "libX11.so.6": _X11, "libXext.so.6": _X11, "libXrender.so.1": _X11, "libICE.so.6": _SESSION, "libSM.so.6": _SESSION,
    "libGL.so.1": "libGL (libgl1, libglvnd-glx)", "libglib-2.0.so.0": _GLIB, "libgobject-2.0.so.0": _GLIB, "libgthread-2.0.so.0": _GLIB,
}  # fmt: skip
_LATER_LIBRARIES = {"libexpat.so.1": (2, 12), "libmvec.so.1": (2, 24)}
_LOADER = re.compile(r"ld-linux.*\.so\.\d+|ld64\.so\.[12]|ld-musl-.*\.so\.1|ld\.so\.1")
_MUSL = re.compile(r"libc\.musl-\w+\.so\.1|libc\.so|ld-musl-.*\.so\.1")
_MUSL_LIBRARIES = frozenset({"libz.so.1"})

_X86 = frozenset({"i686", "x86_64"})
_NOT_X86_64 = frozenset({"i686", "aarch64", "armv7l", "ppc64le", "s390x"})
_ALL = frozenset({*_NOT_X86_64, "x86_64", "ppc64", "riscv64", "loongarch64"})

# From glibc 2.x on, a library's symbols may be as new as this; on these machines only, where compilers or systems differed.
_CEILINGS: tuple[tuple[int, str, str, frozenset[str]], ...] = (
    (5, "GCC", "4.2.0", _ALL), (5, "CXXABI", "1.3.1", _ALL), (5, "GLIBCXX", "3.4.8", _ALL),
    (12, "GCC", "4.3.0", _ALL), (12, "GCC", "4.5.0", frozenset({"i686"})), (12, "CXXABI", "1.3.3", _ALL),
    (12, "GLIBCXX", "3.4.13", _ALL), (12, "ZLIB", "1.2.2.4", _ALL),
    (17, "GCC", "4.7.0", _ALL), (17, "GCC", "4.8.0", _X86 | {"ppc64"}), (17, "CXXABI", "1.3.7", _ALL), (17, "GLIBCXX", "3.4.19", _ALL),
    (17, "LIBATOMIC", "1.0", _ALL - {"x86_64", "s390x"}), (17, "ZLIB", "1.2.5.2", _ALL),
    (24, "CXXABI", "1.3.10", _ALL), (24, "GLIBCXX", "3.4.22", _ALL), (24, "LIBATOMIC", "1.2", _ALL),
    (26, "GCC", "7.0.0", _NOT_X86_64), (26, "CXXABI", "1.3.11", _NOT_X86_64), (26, "GLIBCXX", "3.4.24", _NOT_X86_64),
    (26, "ZLIB", "1.2.9", _NOT_X86_64 - {"aarch64"}),
    (27, "GCC", "7.0.0", _ALL), (27, "CXXABI", "1.3.11", _ALL), (27, "GLIBCXX", "3.4.24", _ALL), (27, "ZLIB", "1.2.9", _ALL),
    (31, "CXXABI", "1.3.12", _ALL), (31, "GLIBCXX", "3.4.28", _ALL),
    (34, "CXXABI", "1.3.13", _ALL), (34, "GLIBCXX", "3.4.29", _ALL), (34, "GCC", "11.0", frozenset({"aarch64"})),
    (35, "GLIBCXX", "3.4.30", _ALL), (35, "GCC", "12.0.0", _X86),
    (36, "ZLIB", "1.2.12", frozenset({"i686"})), (37, "ZLIB", "1.2.12", _ALL),
    (39, "GCC", "14.0.0", _ALL), (39, "CXXABI", "1.3.15", _ALL), (39, "GLIBCXX", "3.4.33", _ALL - {"loongarch64"}),
    (39, "GLIBCXX", "3.4.32", frozenset({"loongarch64"})), (40, "GLIBCXX", "3.4.33", _ALL),
)  # fmt: skip
_JUDGED = frozenset(prefix for _, prefix, _, _ in _CEILINGS)
# Versions that are names.
_NAMED = {"GLIBC_ABI_DT_RELR": 36, "CXXABI_TM_1": 17, "CXXABI_FLOAT128": 24}
_KIND = re.compile(r"(?:LDBL|IEEE128|ARM)_")
_NUMBER = re.compile(r"\d{1,9}(?:\.\d{1,9}){1,3}")

_LEGACY = {(2, 5): "manylinux1", (2, 12): "manylinux2010", (2, 17): "manylinux2014"}
_TAG = re.compile(r"(manylinux|musllinux)_(\d{1,4})_(\d{1,4})_(\w+)")
NOWHERE = (99, 0)  # the floor of a symbol that no known system has


@lru_cache(maxsize=10_000)
def version_floor(version: str, arch: str) -> tuple[int, int] | None:
    """The oldest glibc whose systems have this version of symbols ("GLIBC_2.34", "GLIBCXX_3.4.29"); None where it is not one of theirs.

    NOWHERE for one that no system is known to have: a version newer than all, or GLIBC_PRIVATE.

    >>> version_floor("GLIBC_2.34", "x86_64"), version_floor("GLIBCXX_3.4.25", "x86_64"), version_floor("OPENSSL_3.0.0", "x86_64")
    ((2, 34), (2, 31), None)
    """
    if version in _NAMED:
        return 2, _NAMED[version]
    prefix, _, rest = version.partition("_")
    rest = _KIND.sub("", rest, count=1)
    if prefix != "GLIBC" and prefix not in _JUDGED:
        return None
    if not _NUMBER.fullmatch(rest):
        return NOWHERE
    number = _numbers(rest)
    if prefix == "GLIBC":
        return number[0], number[1]
    fitting = (minor for minor, name, ceiling, arches in _CEILINGS if name == prefix and arch in arches and number <= _numbers(ceiling))
    minor = min(fitting, default=None)
    return NOWHERE if minor is None else (2, minor)


def library_floor(library: str, *, musl: bool = False) -> tuple[int, int] | None:
    """The oldest glibc whose systems all have this library, (0, 0) for any; None where a wheel must bring it."""
    if _LOADER.fullmatch(library) or (musl and (_MUSL.fullmatch(library) or library in _MUSL_LIBRARIES)):
        return 0, 0
    if musl:
        return None
    return (0, 0) if library in _LIBRARIES else _LATER_LIBRARIES.get(library)


def desktop_package(library: str) -> str | None:
    """What brings a library that PEP 600 lets wheels count on and that servers and containers often lack; None for any other."""
    return _DESKTOP.get(library)


def libc_of(libraries: Iterable[str]) -> str | None:
    """The C library that a file with these NEEDED entries was linked to: "glibc", "musl", or None where it names neither."""
    for library in libraries:
        if _MUSL.fullmatch(library):
            return "musl"
        if library == "libc.so.6" or library.startswith(("ld-linux", "ld64.so")):
            return "glibc"
    return None


def platform_tags(libc: str, floor: tuple[int, int], arch: str) -> tuple[str, ...]:
    """The platform tags that say this floor and no lower one; up to 2.17 a floor that the older installers know, by both its names.

    >>> platform_tags("glibc", (2, 14), "x86_64"), platform_tags("glibc", (2, 29), "aarch64")
    (('manylinux2014_x86_64', 'manylinux_2_17_x86_64'), ('manylinux_2_29_aarch64',))
    """
    if libc == "musl":
        return (f"musllinux_{floor[0]}_{floor[1]}_{arch}",)
    oldest = machine("linux", arch).get("oldest-glibc", [2, 17])
    floor = max(floor, (oldest[0], oldest[1]))
    floor = min((named for named in _LEGACY if named >= floor), default=floor)
    tags = [f"manylinux_{floor[0]}_{floor[1]}_{arch}"]
    if floor in _LEGACY:
        tags.append(f"{_LEGACY[floor]}_{arch}")
    return tuple(sorted(tags))


def promise(platform: str) -> tuple[str, str, tuple[int, int]] | None:
    """(machine, libc, floor) that a platform tag promises; None for one that promises none (plain linux, other systems).

    >>> promise("manylinux2014_aarch64"), promise("linux_x86_64")
    (('aarch64', 'glibc', (2, 17)), None)
    """
    for floor, name in _LEGACY.items():
        if platform.startswith(f"{name}_"):
            return platform[len(name) + 1 :], "glibc", floor
    match = _TAG.fullmatch(platform)
    if match is None:
        return None
    return match[4], "glibc" if match[1] == "manylinux" else "musl", (int(match[2]), int(match[3]))


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))

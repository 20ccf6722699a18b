"""How a target may be written, and the one name that it has for us."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal, cast

from packaging.version import Version

from hardtack.errors import TargetError
from hardtack.model.target import Implementation, PatchRange, Platform
from hardtack.targets.data import catalog, distributions, pair, pyodide_abis, pythons

# One architecture, called differently by different systems.
_SAME_ARCH = {"aarch64": "arm64", "i686": "x86"}
_LIBC_WORDS = {"gnu": "glibc", "glibc": "glibc", "gnueabihf": "glibc", "musl": "musl", "musleabihf": "musl"}
_LEGACY_FLOORS = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}
_NOISE = ("unknown", "pc", "apple", "msvc", "none")
_END = r"(?=$|[-_@/ .])"
_PATTERNS: dict[str, str] = {
    "python": r"(?P<impl>cpython|python|pypy|cp|pp|py)[-_]?(?P<major>\d)[._]?(?P<minor>\d{1,2})"
    r"(?:[._](?P<patch>\d{1,2}(?:(?:a|b|rc)\d+)?)(?P<on>\+|plus)?)?(?P<t>t)?",
    "bare": r"(?P<major>\d)\.(?P<minor>\d{1,2})(?:\.(?P<patch>\d{1,2}(?:(?:a|b|rc)\d+)?)(?P<on>\+|plus)?)?(?P<t>t)?",
    "threads": r"freethreaded|nogil",
    "legacy": r"manylinux(?:1|2010|2014)",
    "glibc": r"(?:manylinux|glibc|gnu)[-_]?(?P<high>\d+)[._](?P<low>\d+)",
    "musl": r"(?:musllinux|musl)[-_]?(?P<high>\d+)[._](?P<low>\d+)",
    "macos": r"(?:macosx|macos|osx)[-_]?(?P<high>[12]\d)(?:[._](?P<low>\d+))?",
    "pyodide": r"(?:pyodide|pyemscripten)[-_]?(?P<high>20\d\d)(?:[._](?P<low>\d+))?",
}


@dataclass(slots=True)
class _Said:
    """What the words of a name say, each with the word that said it."""

    facts: dict[str, tuple[Any, str]] = field(default_factory=dict)

    def add(self, key: str, value: Any, word: str, text: str) -> None:
        if key in self.facts and self.facts[key][0] != value:
            raise TargetError(f"target {text!r} says both {self.facts[key][1]!r} and {word!r}", hint="name one system, machine and Python")
        self.facts.setdefault(key, (value, word))

    def get(self, key: str) -> Any:
        return self.facts[key][0] if key in self.facts else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Spelled:
    """A target as its name states it: which Python, which of its patches, on which platform."""

    name: str
    implementation: Implementation
    python: tuple[int, int]
    patches: PatchRange
    free_threaded: bool
    platform: Platform


def read_name(text: str, *, python: str | None = None) -> Spelled:
    """A target's name, in our spelling or one of the usual others. ``python`` is taken where the name states none.

    Raises TargetError for what is not understood, with the known names that come near it.
    """
    said = _words(text)
    if python is not None and "python" not in said.facts:
        _read_python(said, python)
    implementation: Implementation = said.get("implementation") or "cpython"
    distribution = said.get("distribution")
    facts = distributions()[distribution] if distribution else {}
    platform = _platform(said, text)
    version: tuple[int, int] | None = said.get("python")
    if platform.os == "emscripten":
        if implementation == "pypy" or said.get("threads"):
            raise TargetError(f"target {text!r}: Pyodide is a CPython with a global lock")
        implementation = "pyodide"
        version = pair(pyodide_abis()[cast("tuple[int, int]", platform.floor)]["python"])
    own = pair(facts["python"]) if "python" in facts else None
    version = version or own
    if version is None:
        raise TargetError(f"target {text!r} does not say which Python", hint=f"write it before the platform, as in py312-{text}")
    threads = bool(said.get("threads"))
    _check_python(implementation, version, threads, text)
    patch: str | None = said.get("patch")
    if patch is not None:
        exact = Version(f"{version[0]}.{version[1]}.{patch.removesuffix('plus')}")
        patches = PatchRange(first=exact, last=None if patch.endswith("plus") else exact)
    elif version == own and implementation == "cpython" and not threads and "patches" in facts:
        first, last = facts["patches"]
        patches = PatchRange(first=Version(first), last=Version(last))
    else:
        patches = whole_minor(version)
    name = name_of(implementation, version, threads, platform, patch=patch, distribution=distribution)
    return Spelled(name=name, implementation=implementation, python=version, patches=patches, free_threaded=threads, platform=platform)


def whole_minor(python: tuple[int, int]) -> PatchRange:
    """Every patch of a minor version."""
    return PatchRange(first=Version(f"{python[0]}.{python[1]}.0"))


def name_of(
    implementation: Implementation,
    python: tuple[int, int],
    free_threaded: bool,
    platform: Platform,
    *,
    patch: str | None = None,
    distribution: str | None = None,
) -> str:
    """The one name of a target: safe as a folder and in ``pylock.<name>.toml``, which allows no dot."""
    number = f"{python[0]}_{python[1]}_{patch}" if patch is not None else f"{python[0]}{python[1]}"
    prefix = "pp" if implementation == "pypy" else "py"
    parts = [f"{prefix}{number}{'t' if free_threaded else ''}"]
    if platform.os == "emscripten":
        year, abi = cast("tuple[int, int]", platform.floor)
        return "-".join([*parts, f"pyodide{year}_{abi}"])
    parts += [distribution or platform.os, platform.arch]
    floors = catalog()["os"][platform.os].get("floors", {})
    kind = platform.libc or platform.os
    if platform.floor and not distribution and (kind == "musl" or list(platform.floor) != floors.get(kind)):
        parts.append(f"{kind}{platform.floor[0]}_{platform.floor[1]}")
    return "-".join(parts)


def _check_python(implementation: Implementation, version: tuple[int, int], threads: bool, text: str) -> None:
    if implementation == "pypy" and threads:
        raise TargetError(f"target {text!r}: PyPy has no free-threaded build")
    kind = "pypy" if implementation == "pypy" else "free-threaded" if threads else "cpython"
    if version not in pythons(kind):
        known = ", ".join(f"{major}.{minor}" for major, minor in pythons(kind))
        label = {"pypy": "PyPy", "free-threaded": "free-threaded CPython", "cpython": "CPython"}[kind]
        raise TargetError(f"target {text!r}: there is no {label} {version[0]}.{version[1]} in the catalog", hint=f"known: {known}")


def _platform(said: _Said, text: str) -> Platform:
    os = said.get("os")
    if os is None:
        raise TargetError(f"target {text!r} does not say which system", hint=_near(text))
    known = catalog()["os"][os]
    arch = said.get("arch") or known["default-arch"]
    if arch not in known["machines"]:
        arch = _SAME_ARCH.get(arch, arch)
    if arch not in known["machines"]:
        raise TargetError(f"target {text!r}: {os} does not run on {arch} here", hint=f"known: {', '.join(known['machines'])}")
    libc: Literal["glibc", "musl"] | None = None
    floor: tuple[int, int] | None = None
    if os == "linux":
        libc = "musl" if said.get("libc") == "musl" else "glibc"
        floor = said.get("floor") or tuple(known["floors"][libc])
        if floor[0] != (1 if libc == "musl" else 2):
            raise TargetError(f"target {text!r}: there is no {libc} {floor[0]}.{floor[1]}")
    elif os == "macos":
        floor = said.get("floor") or tuple(known["floors"]["macos"])
        if floor < ((11, 0) if arch == "arm64" else (10, 4)):
            raise TargetError(f"target {text!r}: macOS {floor[0]}.{floor[1]} does not run on {arch}")
    elif os == "emscripten":
        floor = _pyodide_abi(said, text)
    elif said.get("libc") == "musl":
        raise TargetError(f"target {text!r}: musl is a C library of Linux")
    return Platform(os=os, arch=arch, libc=libc, floor=floor)


def _pyodide_abi(said: _Said, text: str) -> tuple[int, int]:
    abis = pyodide_abis()
    python = said.get("python")
    listed = ", ".join(f"pyodide{year}_{patch} (Python {facts['python']})" for (year, patch), facts in abis.items())
    fitting = [abi for abi, facts in abis.items() if python in (None, pair(facts["python"]))]
    stated = said.get("floor")
    if stated is not None:
        if stated not in abis:
            raise TargetError(f"target {text!r}: there is no Pyodide ABI {stated[0]}_{stated[1]} in the catalog", hint=f"known: {listed}")
        fitting = [abi for abi in fitting if abi == stated]
    if not fitting:
        raise TargetError(f"target {text!r}: no such Pyodide has Python {python[0]}.{python[1]}", hint=f"known: {listed}")
    return fitting[-1]


def _words(text: str) -> _Said:
    said = _Said()
    rest = text.strip().lower()
    position = 0
    while position < len(rest):
        if rest[position] in "-_@/ .":
            position += 1
            continue
        match, kind = _longest(rest, position)
        if match is None:
            raise TargetError(f"target {text!r} is not understood from {rest[position:]!r} on", hint=_near(text))
        _note(said, kind, match, text)
        position = match.end()
    return said


def _longest(text: str, position: int) -> tuple[re.Match[str] | None, str]:
    best: re.Match[str] | None = None
    best_kind = ""
    for kind, pattern in _compiled():
        match = pattern.match(text, position)
        if match is not None and (best is None or match.end() > best.end()):
            best, best_kind = match, kind
    return best, best_kind


@cache
def _compiled() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """Every way to state something, each as (kind, pattern); the longest match wins, the first among equals."""

    def words(spellings: Iterator[str] | tuple[str, ...]) -> str:
        return "|".join(re.escape(word) for word in sorted(spellings, key=len, reverse=True))

    table = dict(_PATTERNS)
    table |= {f"arch:{arch}": words(tuple(spellings)) for arch, spellings in catalog()["architectures"].items()}
    table |= {f"os:{name}": words(tuple(facts["spellings"])) for name, facts in catalog()["os"].items()}
    table |= {f"libc:{libc}": libc for libc in _LIBC_WORDS}
    table |= {f"compound:{name}": re.escape(name) for name in catalog()["compounds"]}
    table |= {f"distribution:{name}": _distribution_pattern(name) for name in distributions()}
    table["noise"] = words(_NOISE)
    return tuple((kind, re.compile(f"(?:{pattern}){_END}")) for kind, pattern in table.items())


def _distribution_pattern(name: str) -> str:
    """debian12 may be written debian-12 or debian12.5, ubuntu2204 ubuntu-22.04, alpine320 alpine3.20."""
    match = re.fullmatch(r"([a-z]+)(\d*)", name)
    if match is None or not match[2]:
        return re.escape(name)
    word, digits = match.groups()
    if word == "ubuntu":
        digits = f"{digits[:2]}[._]?{digits[2:]}"
    elif word == "alpine":
        digits = f"{digits[:1]}[._]?{digits[1:]}"
    return rf"{word}[-_]?{digits}(?:[._]\d+)?"


def _note(said: _Said, kind: str, match: re.Match[str], text: str) -> None:
    word = match.group()
    label, _, value = kind.partition(":")
    if label in ("python", "bare"):
        _note_python(said, match, text)
    elif label == "threads":
        said.add("threads", True, word, text)
    elif label == "arch":
        said.add("arch", value, word, text)
    elif label == "os":
        said.add("os", value, word, text)
        if word == "musllinux":
            said.add("libc", "musl", word, text)
    elif label == "libc":
        said.add("libc", _LIBC_WORDS[value], word, text)
    elif label == "legacy":
        _note_floor(said, "linux", "glibc", _LEGACY_FLOORS[word], word, text)
    elif label in ("glibc", "musl"):
        _note_floor(said, "linux", label, (int(match["high"]), int(match["low"])), word, text)
    elif label == "macos":
        _note_floor(said, "macos", None, (int(match["high"]), int(match["low"] or 0)), word, text)
    elif label == "pyodide":
        _note_floor(said, "emscripten", None, (int(match["high"]), int(match["low"] or 0)), word, text)
    elif label == "compound":
        os, arch = catalog()["compounds"][value]
        said.add("os", os, word, text)
        said.add("arch", arch, word, text)
    elif label == "distribution":
        facts = distributions()[value]
        said.add("distribution", value, word, text)
        libc = "glibc" if "glibc" in facts else "musl"
        _note_floor(said, "linux", libc, (facts[libc][0], facts[libc][1]), word, text)
        if "arch" in facts:
            said.add("arch", facts["arch"], word, text)


def _note_floor(said: _Said, os: str, libc: str | None, floor: tuple[int, int], word: str, text: str) -> None:
    said.add("os", os, word, text)
    if libc is not None:
        said.add("libc", libc, word, text)
    said.add("floor", floor, word, text)


def _note_python(said: _Said, match: re.Match[str], text: str) -> None:
    word = match.group()
    implementation = "pypy" if match.groupdict().get("impl") in ("pypy", "pp") else "cpython"
    said.add("implementation", implementation, word, text)
    said.add("python", (int(match["major"]), int(match["minor"])), word, text)
    if match["patch"]:
        said.add("patch", match["patch"] + ("plus" if match["on"] else ""), word, text)
    if match["t"]:
        said.add("threads", True, word, text)


def _read_python(said: _Said, python: str) -> None:
    text = python.strip().lower()
    for kind in ("bare", "python"):
        match = re.fullmatch(_PATTERNS[kind], text)
        if match is None and kind == "python":
            match = re.fullmatch(_PATTERNS[kind], f"py{text}")
        if match is not None:
            _note_python(said, match, python)
            return
    raise TargetError(f"{python!r} is no version of Python that a target can have", hint="write it as 3.12, cp312, 3.13t or pp311")


def known_names() -> Iterator[str]:
    """Our name of every family without a Python, and every distribution's alias."""
    for os, facts in catalog()["os"].items():
        if os == "emscripten":
            yield from (f"pyodide{year}_{patch}" for year, patch in pyodide_abis())
        else:
            yield from (f"{os}-{arch}" for arch in facts["machines"])
    yield from distributions()


def _near(text: str) -> str:
    lowered = text.strip().lower()
    match = re.match(rf"(?:{_PATTERNS['python']}|{_PATTERNS['bare'].replace('?P<', '?P<bare_')})[-_@/]", lowered)
    prefix = match.group()[:-1] + "-" if match else ""
    rest = lowered[match.end() :] if match else lowered
    near = difflib.get_close_matches(rest, list(known_names()), n=4, cutoff=0.5)
    if near:
        return f"did you mean {', '.join(prefix + name for name in near)}?"
    return "a target is a Python and a platform, as in py312-linux-x86_64; `hardtack targets` lists them"

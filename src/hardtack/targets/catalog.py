"""Targets from every way in which people write them, and their description in manifests and locks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.tags import Tag, compatible_tags, parse_tag
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from hardtack.errors import TargetError
from hardtack.model.target import Implementation, PatchRange, Platform, Selection, Target
from hardtack.targets.assembly import assemble
from hardtack.targets.data import catalog, distributions, machine, pyodide_abis, pythons
from hardtack.targets.host import host_target, host_target_of
from hardtack.targets.names import Spelled, name_of, read_name, whole_minor
from hardtack.targets.probe import from_probe
from hardtack.targets.tags import interpreter_tags, platform_tags

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_TABLE_KEYS = ("platform", "python", "extras", "groups", "indexes", "markers", "patches", "floor", "plain-linux")
_PIP_KEYS = ("platforms", "python-version", "implementation", "abis")
_MARKERS = (
    "implementation_name",
    "implementation_version",
    "os_name",
    "platform_machine",
    "platform_python_implementation",
    "platform_release",
    "platform_system",
    "platform_version",
    "sys_platform",
)
# Patches that a range in a table is compared with. No minor version of Python has had more than 25.
_MOST_PATCHES = 99
# Tags that one compressed set in a file may stand for.
_MOST_TAGS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetRow:
    """One line of the table of known targets: a platform, the Pythons that it may have, how else it may be written."""

    name: str
    platform: str
    pythons: tuple[str, ...]
    aliases: tuple[str, ...] = ()
    note: str = ""


def parse_target(text: str, *, selection: Selection | None = None, python: str | None = None) -> Target:
    """The target that a name means: ours, a usual other spelling, uv's triples, a distribution, ``host`` or ``py312-host``.

    ``python`` is the Python of names that state none. Raises TargetError, with the known names that come near, for any other.
    """
    match = re.fullmatch(r"(?:(?P<python>.+?)[-@/])?(?:host|local|native)", text.strip().lower())
    if match:
        return _host(match["python"] or python, selection)
    spelled = read_name(text, python=python)
    return _spelled(spelled, selection)


def _spelled(spelled: Spelled, selection: Selection | None = None) -> Target:
    return assemble(
        name=spelled.name,
        implementation=spelled.implementation,
        python=spelled.python,
        patches=spelled.patches,
        platform=spelled.platform,
        free_threaded=spelled.free_threaded,
        selection=selection,
    )


def _host(python: str | None, selection: Selection | None) -> Target:
    target = host_target()
    if python is not None:
        asked = read_name("linux-x86_64", python=python)
        if asked.python != target.python or asked.free_threaded != target.free_threaded or asked.implementation != target.implementation:
            version = f"{asked.python[0]}.{asked.python[1]}{'t' if asked.free_threaded else ''}"
            target = host_target_of(f"{'pypy' if asked.implementation == 'pypy' else 'python'}{version}")
    return replace(target, selection=selection or Selection())


def describe(target: Target) -> dict[str, Any]:
    """The target as plain data, from which ``from_description`` makes it again; tags only where they are not the platform's own.

    What is not stated has no key, for TOML knows no null: JSON and TOML say the same.
    """
    platform = target.platform
    row: dict[str, Any] = {
        "name": target.name,
        "implementation": target.implementation,
        "python": f"{target.python[0]}.{target.python[1]}",
        "free-threaded": target.free_threaded,
        "patches": {"first": str(target.patches.first), "last": str(target.patches.last) if target.patches.last else None},
        "platform": {
            "os": platform.os,
            "arch": platform.arch,
            "libc": platform.libc,
            "floor": f"{platform.floor[0]}.{platform.floor[1]}" if platform.floor else None,
            "plain-linux": platform.plain_linux,
        },
        "markers": dict(sorted(target.environment.items())),
        "selection": {
            "extras": _sorted(target.selection.extras),
            "groups": _sorted(target.selection.groups),
            "indexes": dict(target.selection.index_pins),
        },
    }
    if not _tags_follow(target):
        row["tags"] = [str(tag) for tag in target.tags]
    return {key: _stated(value) if isinstance(value, dict) else value for key, value in row.items()}


def _stated(table: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in table.items() if value is not None}


def _sorted(names: frozenset[str] | None) -> list[str] | None:
    return sorted(names) if names is not None else None


def _tags_follow(target: Target) -> bool:
    """Whether the tags are what the platform and the Python alone make them."""
    try:
        platforms = platform_tags(target.platform)
    except TargetError:
        return False
    return target.tags == interpreter_tags(target.implementation, target.python, free_threaded=target.free_threaded, platforms=platforms)


def from_description(data: Mapping[str, Any], *, where: str) -> Target:
    """The target that ``describe`` described. Raises TargetError for anything else."""
    try:
        stated = data["platform"]
        if stated["os"] not in catalog()["os"] or stated.get("libc") not in (None, "glibc", "musl"):
            raise ValueError(f"no such platform: {stated['os']}")
        machine(stated["os"], stated["arch"])
        if data["implementation"] not in ("cpython", "pypy", "pyodide"):
            raise ValueError(f"no such implementation: {data['implementation']}")
        last = data["patches"].get("last")
        patches = PatchRange(first=Version(data["patches"]["first"]), last=Version(last) if last is not None else None)
        python = _numbers(data["python"])
        if any(end.release[:2] != python for end in (patches.first, patches.last or patches.first)):
            raise ValueError(f"patches of another Python than {data['python']}")
        selection = data["selection"]
        return assemble(
            name=_checked_name(data["name"], where),
            implementation=data["implementation"],
            python=python,
            patches=patches,
            platform=Platform(
                os=stated["os"],
                arch=stated["arch"],
                libc=stated.get("libc"),
                floor=_numbers(stated["floor"]) if stated.get("floor") is not None else None,
                plain_linux=bool(stated["plain-linux"]),
            ),
            free_threaded=bool(data["free-threaded"]),
            markers={str(key): str(value) for key, value in data["markers"].items()},
            selection=Selection(
                extras=_names(selection["extras"]) if "extras" in selection else None,
                groups=_names(selection["groups"]) if "groups" in selection else None,
                index_pins=tuple(sorted((str(name), str(index)) for name, index in selection["indexes"].items())),
            ),
            tags=_read_tags(data["tags"]) if "tags" in data else None,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise TargetError(
            f"this is no description of a target ({error!r})", where=where, hint="was it written by another version?"
        ) from None


def _numbers(text: Any) -> tuple[int, int]:
    major, minor = str(text).split(".")
    return int(major), int(minor)


def _names(values: Any) -> frozenset[str]:
    if isinstance(values, str) or not all(isinstance(value, str) for value in values):
        raise TypeError("a list of names is wanted")
    return frozenset(str(canonicalize_name(value)) for value in values)


def _read_tags(texts: Iterable[str]) -> list[Tag]:
    return list(dict.fromkeys(tag for text in texts for tag in sorted(parse_tag(text, limit=_MOST_TAGS), key=str)))


def _checked_name(name: Any, where: str) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise TargetError(
            f"{name!r} cannot be a target's name", where=where, hint="letters, digits, _ and - only: it names files (pylock.<name>.toml)"
        )
    return name


def from_table(name: str, table: Mapping[str, Any], *, where: str) -> Target:
    """A target of ``[tool.hardtack.targets.NAME]``; without ``platform`` the name itself is read as one. See docs/targets.md for the keys.

    Raises TargetError, naming the key, for a value that has no meaning.
    """
    _checked_name(name, where)
    _only(table, _TABLE_KEYS, where)
    target = _table_platform(name, table, where)
    try:
        if "floor" in table or "plain-linux" in table:
            target = _refloored(target, table, where)
        markers = _table_markers(table.get("markers", {}), where)
        if "patches" in table:
            target = replace(target, patches=_patches(table["patches"], target.python, f"{where}: patches"))
    except TargetError as error:
        raise error if error.where else error.at(where) from None
    return replace(
        target,
        name=name,
        environment=dict(sorted({**target.environment, **markers}.items())),
        selection=Selection(
            extras=_table_names(table, "extras", where), groups=_table_names(table, "groups", where), index_pins=_pins(table, where)
        ),
    )


def _only(table: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    unknown = sorted(set(table) - set(known))
    if unknown:
        raise TargetError(
            f"unknown {'key' if len(unknown) == 1 else 'keys'} {', '.join(unknown)}", where=where, hint=f"known: {', '.join(known)}"
        )


def _table_platform(name: str, table: Mapping[str, Any], where: str) -> Target:
    stated = table.get("platform", name)
    python = table.get("python")
    if python is not None and not isinstance(python, str):
        raise TargetError(f"python is {python!r}, not text", where=where, hint='write it as python = "3.12"')
    try:
        if isinstance(stated, str):
            return parse_target(stated, python=python)
        if not isinstance(stated, Mapping):
            raise TargetError("platform is neither a name nor a table", hint=f"a table has the keys {', '.join(_PIP_KEYS)}")
        if "hardtack-probe" in stated:
            return from_probe(stated, where=f"{where}: platform")
        if "marker_environment" in stated:
            return from_complete_platform(stated, where=f"{where}: platform")
        _only(stated, _PIP_KEYS, f"{where}: platform")
        return from_pip_flags(
            platforms=_texts(stated.get("platforms", ()), "platforms"),
            python_version=str(stated.get("python-version", python or "")),
            implementation=str(stated.get("implementation", "cp")),
            abis=_texts(stated.get("abis", ()), "abis"),
        )
    except TargetError as error:
        raise error if error.where else error.at(where) from None


def _texts(value: Any, key: str) -> list[str]:
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, Sequence) or not all(isinstance(item, str) for item in values):
        raise TargetError(f"{key} is not a list of names")
    return list(values)


def _refloored(target: Target, table: Mapping[str, Any], where: str) -> Target:
    if not _tags_follow(target):
        raise TargetError(
            "this platform states its tags; floor and plain-linux cannot change them", where=where, hint="leave these keys out"
        )
    platform = target.platform
    if "floor" in table:
        match = re.fullmatch(r"(\d+)(?:[._](\d+))?", str(table["floor"]))
        if match is None or platform.floor is None:
            reason = f"floor {table['floor']!r} is no version" if platform.floor else f"{platform.os} has no floor"
            raise TargetError(reason, where=where, hint='write it as floor = "2.17"')
        # The same checks as for a name that states the floor.
        kind = "macos" if platform.os == "macos" else platform.libc or "pyodide"
        system = "" if platform.os in ("macos", "emscripten") else "linux-"
        python = f"{target.python[0]}.{target.python[1]}"
        spelled = read_name(f"{system}{platform.arch}-{kind}{match[1]}_{match[2] or 0}", python=python)
        platform = replace(platform, floor=spelled.platform.floor)
    plain = table.get("plain-linux", platform.plain_linux)
    if not isinstance(plain, bool) or (plain and platform.os != "linux"):
        raise TargetError("plain-linux is true or false, and true only on Linux", where=where)
    platform = replace(platform, plain_linux=plain)
    tags = interpreter_tags(target.implementation, target.python, free_threaded=target.free_threaded, platforms=platform_tags(platform))
    return replace(target, platform=platform, tags=tags)


def _table_markers(values: Any, where: str) -> dict[str, str]:
    if not isinstance(values, Mapping):
        raise TargetError("markers is not a table", where=where, hint='write it as markers = { platform-release = "6.1" }')
    found = {str(key).replace("-", "_"): value for key, value in values.items()}
    known = ", ".join(variable.replace("_", "-") for variable in _MARKERS)
    for key, value in found.items():
        if key not in _MARKERS:
            hint = "the Python is stated by platform and patches" if key.startswith("python") else f"known: {known}"
            raise TargetError(f"markers has no {key.replace('_', '-')}", where=where, hint=hint)
        if not isinstance(value, str):
            raise TargetError(f"the marker value {key.replace('_', '-')} is {value!r}, not text", where=where, hint="put it in quotes")
    return cast("dict[str, str]", found)


def _table_names(table: Mapping[str, Any], key: str, where: str) -> frozenset[str] | None:
    if key not in table:
        return None
    try:
        return _names(table[key])
    except TypeError:
        raise TargetError(f"{key} is not a list of names", where=where, hint=f'write it as {key} = ["..."]') from None


def _pins(table: Mapping[str, Any], where: str) -> tuple[tuple[str, str], ...]:
    pins = table.get("indexes", {})
    if not isinstance(pins, Mapping) or not all(isinstance(index, str) for index in pins.values()):
        raise TargetError("indexes is not a table of index names by package", where=where, hint='write it as indexes = { torch = "cu128" }')
    return tuple(sorted((str(canonicalize_name(str(name))), index) for name, index in pins.items()))


def _patches(text: Any, python: tuple[int, int], where: str) -> PatchRange:
    """A range such as ">=3.11.2,<3.11.5", or one version. It must be one stretch of the minor version's patches."""
    minor = f"{python[0]}.{python[1]}"
    hint = f'write it as patches = "{minor}.2" or ">={minor}.2,<{minor}.5"'
    if not isinstance(text, str):
        raise TargetError(f"{text!r} is not text", where=where, hint=hint)
    try:
        exact = Version(text)
    except InvalidVersion:
        exact = None
    if exact is not None and exact.release[:2] == python and len(exact.release) == 3:
        return PatchRange(first=exact, last=exact)
    try:
        wanted = SpecifierSet(f"=={text}.*" if exact is not None else text)
    except InvalidSpecifier:
        raise TargetError(f"{text!r} is no range of versions", where=where, hint=hint) from None
    fitting = [patch for patch in range(_MOST_PATCHES + 1) if wanted.contains(f"{minor}.{patch}", prereleases=True)]
    if not fitting:
        raise TargetError(f"no patch of Python {minor} is in {text!r}", where=where, hint=hint)
    if fitting != list(range(fitting[0], fitting[-1] + 1)):
        raise TargetError(f"{text!r} is not one stretch of patches", where=where, hint="make it two targets")
    first = Version(f"{minor}.{fitting[0]}")
    return PatchRange(first=first, last=Version(f"{minor}.{fitting[-1]}") if fitting[-1] < _MOST_PATCHES else None)


def from_pip_flags(*, platforms: Sequence[str], python_version: str, implementation: str = "cp", abis: Sequence[str] = ()) -> Target:
    """The target of ``pip download --platform ... --python-version ... --implementation ... --abi ...``.

    Unlike for pip, a manylinux, musllinux or macosx platform is a floor that accepts everything older. Several platforms are one
    machine's; ``linux_<arch>`` among them allows plain linux wheels. Without ``implementation`` it is CPython.
    """
    spelled = _pip_python(python_version, implementation, abis)
    stated = [
        platform
        for platform in dict.fromkeys(part.strip().lower().replace("-", "_").replace(".", "_") for part in platforms)
        if platform != "any"
    ]
    if not stated:
        raise TargetError("no platform is stated", hint="a target needs one for its markers, as in --platform manylinux_2_28_x86_64")
    found = [_pip_platform(text, stated) for text in stated]
    if len({(platform.os, platform.arch) for platform in found}) > 1:
        raise TargetError(f"{', '.join(stated)} are not one machine", hint="make them several targets")
    libcs = {platform.libc for platform in found if platform.libc}
    if len(libcs) > 1:
        raise TargetError(f"{', '.join(stated)} are not one C library", hint="make them two targets")
    floors = [platform.floor for platform in found if platform.floor]
    platform = replace(
        found[0],
        libc=next(iter(libcs), None),
        floor=max(floors) if floors else None,
        plain_linux=any(platform.plain_linux for platform in found),
    )
    prefix, python, patch, free_threaded = spelled
    pypy: Implementation = "pypy" if prefix == "pp" else "pyodide" if platform.os == "emscripten" else "cpython"
    own_abis = [abi.lower() for abi in abis if abi.lower() not in ("none", "abi3", "abi3t")]
    exact = Version(f"{python[0]}.{python[1]}.{patch}") if patch is not None else None
    return assemble(
        name=name_of(pypy, python, free_threaded, platform, patch=patch),
        implementation=pypy,
        python=python,
        patches=PatchRange(first=exact, last=exact) if exact else whole_minor(python),
        platform=platform,
        free_threaded=free_threaded,
        abis=own_abis,
        # pip's "py" takes what any implementation runs, and nothing else.
        tags=tuple(compatible_tags(python, None, platform_tags(platform))) if prefix == "py" else None,
    )


def _pip_python(version: str, implementation: str, abis: Sequence[str]) -> tuple[str, tuple[int, int], str | None, bool]:
    lowered = implementation.strip().lower()
    if lowered not in ("cp", "pp", "py"):
        raise TargetError(
            f"no implementation {implementation!r}", hint="known: cp (CPython), pp (PyPy), py (wheels for any implementation alone)"
        )
    free_threaded = any(re.fullmatch(r"cp3\d+td?", abi.lower()) for abi in abis)
    spelled = read_name("linux-x86_64", python=f"{lowered}{version.strip()}{'t' if free_threaded else ''}")
    exact = spelled.patches.first if spelled.patches.first == spelled.patches.last else None
    patch = str(exact).split(".", 2)[2] if exact else None
    return lowered, spelled.python, patch, spelled.free_threaded


def _pip_platform(text: str, all_texts: Sequence[str]) -> Platform:
    if text.startswith("linux_"):
        return replace(read_name(text, python="3.12").platform, libc=None, floor=None, plain_linux=True)
    if text.endswith("_universal2"):
        # Both machines' wheels: the other platforms, or none, say which machine it is.
        arch = next((arch for arch in ("arm64", "x86_64") for other in all_texts if other.endswith(f"_{arch}")), None)
        if arch is None:
            raise TargetError(f"{text} does not say which machine", hint="add macosx_..._arm64 or macosx_..._x86_64")
        text = text.removesuffix("universal2") + arch
    try:
        return read_name(text, python=_any_python(text)).platform
    except TargetError as error:
        raise TargetError(f"platform {text!r} is not understood", hint=error.hint) from None


def _any_python(text: str) -> str:
    """A Python for a name whose platform alone is wanted."""
    return next((facts["python"] for (year, _), facts in pyodide_abis().items() if str(year) in text), "3.12")


def from_complete_platform(data: Mapping[str, Any], *, where: str) -> Target:
    """The target of pex's complete-platform JSON: its tags as they stand, its marker values, its exact Python."""
    try:
        found = {str(key): str(value) for key, value in data["marker_environment"].items() if value is not None}
        tags = _read_tags(data["compatible_tags"])
        if not tags:
            raise ValueError("no compatible_tags")
        platform = _tagged_platform(found, tags)
        full = found.get("python_full_version")
        version = Version((full or found["python_version"]).rstrip("+"))
        python = (version.release[0], version.release[1])
        implementation: Implementation = "cpython"
        if found.get("platform_python_implementation", "CPython") == "PyPy" or found.get("implementation_name") == "pypy":
            implementation = "pypy"
        elif platform.os == "emscripten":
            implementation = "pyodide"
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        hint = "pex3 interpreter inspect --markers --tags writes it"
        raise TargetError(f"this is no complete platform ({error!r})", where=where, hint=hint) from None
    free_threaded = any(re.fullmatch(r"cp3\d+td?", tag.abi) for tag in tags)
    # CPython's own version is the Python's, which the patches tell.
    dropped = set() if implementation == "pypy" else {"implementation_version"}
    return assemble(
        name=name_of(implementation, python, free_threaded, platform),
        implementation=implementation,
        python=python,
        patches=PatchRange(first=version, last=version) if full else whole_minor(python),
        platform=platform,
        free_threaded=free_threaded,
        markers={key: value for key, value in found.items() if key in _MARKERS and key not in dropped},
        tags=tags,
    )


def _tagged_platform(found: Mapping[str, str], tags: Sequence[Tag]) -> Platform:
    """The platform that the best tags of a list name."""
    texts = list(dict.fromkeys(tag.platform for tag in tags if tag.platform != "any"))
    named = [text for text in texts if not text.startswith("linux_")]
    best = next((text for text in named if re.match(r"manylinux_\d|musllinux|macosx|win|pyemscripten|pyodide", text)), None)
    if best is None and texts:
        best = texts[0]
    if best is None:
        raise ValueError("compatible_tags name no platform")
    if best.endswith("_universal2"):
        best = best.removesuffix("universal2") + found["platform_machine"]
    platform = read_name(best, python=_any_python(best)).platform
    plain = any(text.startswith("linux_") for text in texts)
    if best.startswith("linux_"):
        platform = replace(platform, libc=None, floor=None)
    return replace(platform, plain_linux=plain)


def known_targets() -> tuple[TargetRow, ...]:
    """Every platform of the catalog, then the distributions: for a table that a person reads."""
    architectures = catalog()["architectures"]
    rows = []
    plain = _pythons_shown("cpython") + tuple(f"{text}t" for text in _pythons_shown("free-threaded"))
    pypy = tuple(f"pp{text.replace('.', '')}" for text in _pythons_shown("pypy"))
    for os, facts in catalog()["os"].items():
        if os == "emscripten":
            continue
        floors = ", ".join(f"{kind} {floor[0]}.{floor[1]}" for kind, floor in facts.get("floors", {}).items())
        for arch in facts["machines"]:
            spellings = next((names for names in architectures.values() if arch in names), [arch])
            aliases = tuple(f"{os}-{name}" for name in spellings if name != arch)
            offers = plain + pypy if arch in ("x86_64", "aarch64", "arm64") else plain
            rows.append(
                TargetRow(name=f"{os}-{arch}", platform=os, pythons=offers, aliases=aliases, note=f"default {floors}" if floors else "")
            )
    for (year, patch), abi in pyodide_abis().items():
        note = f"Emscripten {abi['emscripten'].replace('_', '.')}"
        rows.append(TargetRow(name=f"pyodide{year}_{patch}", platform="emscripten", pythons=(abi["python"],), note=note))
    for name, facts in distributions().items():
        libc: Literal["glibc", "musl"] = "glibc" if "glibc" in facts else "musl"
        note = f"{libc} {facts[libc][0]}.{facts[libc][1]}"
        if "patches" in facts:
            first, last = facts["patches"]
            note += f", Python {first}" if first == last else f", Python {first} to {last}"
        rows.append(TargetRow(name=name, platform="distribution", pythons=(facts["python"],) if "python" in facts else (), note=note))
    return tuple(rows)


def _pythons_shown(kind: str) -> tuple[str, ...]:
    return tuple(f"{major}.{minor}" for major, minor in pythons(kind))

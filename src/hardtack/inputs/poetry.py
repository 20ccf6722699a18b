"""What Poetry's own tables say, in the words of the standards: carets and tildes as PEP 440, pythons and platforms as markers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from packaging.markers import InvalidMarker, Marker
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from hardtack.errors import InputError
from hardtack.inputs.sources import Sourced, from_git, from_path


@dataclass(slots=True)
class PoetryTables:
    """``dependencies`` by extra or group; None and None for the plain ones. Optional groups are not in ``default_groups``."""

    name: str | None = None
    requires_python: SpecifierSet | None = None
    dependencies: list[tuple[Sourced, str | None, str | None, str]] = field(default_factory=list)
    extras: set[str] = field(default_factory=set)
    groups: set[str] = field(default_factory=set)
    default_groups: set[str] = field(default_factory=set)
    errors: list[InputError] = field(default_factory=list)


def read_poetry(table: Mapping[str, Any], *, folder: Path, where: str) -> PoetryTables:
    """Read ``[tool.poetry]``: dependencies, dev-dependencies, groups and extras."""
    read = PoetryTables()
    name = table.get("name")
    read.name = name if isinstance(name, str) else None
    plain = _table(table, "dependencies", read, f"{where}: tool.poetry.dependencies")
    if "python" in plain:
        try:
            read.requires_python = python_specifier(_version_of(plain["python"]))
        except InputError as error:
            read.errors.append(error.at(f"{where}: tool.poetry.dependencies.python"))  # type: ignore[arg-type]
    extras: dict[str, list[str]] = {}
    for extra, members in _table(table, "extras", read, f"{where}: tool.poetry.extras").items():
        read.extras.add(canonicalize_name(extra))
        for member in members if isinstance(members, list) else ():
            found = re.match(r"[A-Za-z0-9._-]+", str(member))
            if found:
                extras.setdefault(canonicalize_name(found[0]), []).append(canonicalize_name(extra))
    for package, value in plain.items():
        if package == "python":
            continue
        key = f"tool.poetry.dependencies.{package}"
        optional = any(isinstance(item, dict) and item.get("optional") for item in _many(value))
        names: list[str | None] = list(extras.get(canonicalize_name(package), ())) if optional else [None]
        for sourced in _collect(package, value, folder, f"{where}: {key}", read):
            read.dependencies += [(sourced, extra, None, key) for extra in names]
    groups = dict(_table(table, "group", read, f"{where}: tool.poetry.group"))
    if "dev-dependencies" in table:
        groups.setdefault("dev", {"dependencies": {}})
        groups["dev"] = {**groups["dev"], "dependencies": {**table["dev-dependencies"], **groups["dev"].get("dependencies", {})}}
    members_of: dict[str, Mapping[str, Any]] = {
        canonicalize_name(group): content for group, content in groups.items() if isinstance(content, dict)
    }
    for group, content in members_of.items():
        read.groups.add(group)
        if not content.get("optional"):
            read.default_groups.add(group)
        for origin in _with_includes(group, members_of, ()):
            dependencies = members_of[origin].get("dependencies") or {}
            for package, value in dependencies.items() if isinstance(dependencies, dict) else ():
                key = f"tool.poetry.group.{origin}.dependencies.{package}"
                for sourced in _collect(package, value, folder, f"{where}: {key}", read):
                    read.dependencies.append((sourced, None, group, key))
    return read


def _with_includes(group: str, groups: Mapping[str, Mapping[str, Any]], seen: tuple[str, ...]) -> Iterator[str]:
    if group in seen or group not in groups:
        return
    yield group
    for other in groups[group].get("include-groups") or ():
        yield from _with_includes(canonicalize_name(str(other)), groups, (*seen, group))


def _table(table: Mapping[str, Any], key: str, read: PoetryTables, where: str) -> Mapping[str, Any]:
    value = table.get(key, {})
    if isinstance(value, dict):
        return value
    read.errors.append(InputError("is not a table", where=where))
    return {}


def _many(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _version_of(value: Any) -> str:
    text = value.get("version", "*") if isinstance(value, dict) else value
    if not isinstance(text, str):
        raise InputError(f"{text!r} is not a version constraint")
    return text


def _collect(package: str, value: Any, folder: Path, where: str, read: PoetryTables) -> list[Sourced]:
    found: list[Sourced] = []
    for item in _many(value):
        try:
            found.append(_dependency(package, item, folder))
        except InputError as error:
            read.errors.append(error.at(where))  # type: ignore[arg-type]
    return found


def _dependency(package: str, value: Any, folder: Path) -> Sourced:
    if not isinstance(value, (str, dict)):
        raise InputError(f"{value!r} is neither a version constraint nor a table")
    details: Mapping[str, Any] = value if isinstance(value, dict) else {}
    marker = _marker(details)
    text = package
    if details.get("extras"):
        text += f"[{','.join(details['extras'])}]"
    try:
        if any(key in details for key in ("git", "path", "url")):
            requirement = Requirement(text)
        else:
            requirement = Requirement(f"{text}{constraint(_version_of(value))}")
    except InvalidRequirement as error:
        raise InputError(f"cannot be read: {str(error).splitlines()[0]}") from None
    requirement.marker = marker
    if "git" in details:
        return from_git(requirement, details)
    if "path" in details:
        return from_path(requirement, str(details["path"]), folder, editable=bool(details.get("develop")))
    if "url" in details:
        requirement.url = str(details["url"])
        return Sourced(requirement=requirement)
    source = details.get("source")
    return Sourced(
        requirement=requirement,
        index=source if isinstance(source, str) else None,
        prereleases=bool(details.get("allow-prereleases") or details.get("allows-prereleases")),
    )


def _marker(details: Mapping[str, Any]) -> Marker | None:
    parts: list[str] = []
    if details.get("python"):
        parts += _python_markers(str(details["python"]))
    if details.get("platform"):
        parts.append(f"sys_platform == {_quoted(str(details['platform']))}")
    if details.get("markers"):
        parts.append(f"({details['markers']})")
    if not parts:
        return None
    try:
        return Marker(" and ".join(parts))
    except InvalidMarker as error:
        raise InputError(f"its marker cannot be read: {str(error).splitlines()[0]}") from None


def _quoted(text: str) -> str:
    return f"'{text}'" if "'" not in text else f'"{text}"'


def _python_markers(text: str) -> list[str]:
    alternatives = []
    for part in text.split("||"):
        clauses = []
        for specifier in sorted(SpecifierSet(constraint(part)), key=str):
            # python_version has two numbers: a third one asks about the patch.
            release = specifier.version.removesuffix(".*").split(".")
            variable = "python_full_version" if len(release) > 2 and not specifier.version.endswith(".*") else "python_version"
            clauses.append(f"{variable} {specifier.operator} '{specifier.version}'")
        alternatives.append(" and ".join(clauses))
    joined = [f"({clause})" for clause in alternatives if clause]
    if len(joined) < len(alternatives):
        return []
    return [f"({' or '.join(joined)})"]


def python_specifier(text: str) -> SpecifierSet | None:
    """What ``python = "..."`` asks, as requires-python. Alternatives (``||``) become the range that spans them all."""
    sets = [SpecifierSet(constraint(part)) for part in text.split("||")]
    if len(sets) == 1:
        return sets[0] if str(sets[0]) else None
    lowest: list[Version] = []
    highest: list[tuple[Version, str]] = []
    for single in sets:
        lower = [_bound(spec.version) for spec in single if spec.operator in (">=", ">", "==", "~=")]
        upper = [(_bound(spec.version), spec.operator) for spec in single if spec.operator in ("<", "<=")]
        lowest += [max(lower)] if lower else [Version("0")]
        if upper:
            highest.append(min(upper))
        elif any(spec.operator in ("==", "~=") for spec in single):
            spec = next(spec for spec in single if spec.operator in ("==", "~="))
            highest.append((_next(_bound(spec.version), max(0, len(_bound(spec.version).release) - 1)), "<"))
    hull = [f">={min(lowest)}"] if min(lowest) != Version("0") else []
    if len(highest) == len(sets):
        hull.append(f"{max(highest)[1]}{max(highest)[0]}")
    return SpecifierSet(",".join(hull)) if hull else None


def _bound(text: str) -> Version:
    return Version(text.removesuffix(".*"))


def constraint(text: str) -> str:
    """Poetry's version constraint as PEP 440 specifiers, "" for any. ``||`` has no counterpart there and is an InputError.

    >>> constraint("^1.2.3"), constraint("~1.2"), constraint("^0.0.3"), constraint("1.*")
    ('>=1.2.3,<2', '>=1.2,<1.3', '>=0.0.3,<0.0.4', '==1.*')
    """
    if "|" in text:
        raise InputError(
            f"{text!r} has alternatives, which no standard specifier can say", hint="split it by `python` or `markers`, or widen it"
        )
    parts: list[str] = []
    pieces = re.sub(r"(\^|~=|~|[<>=!]=?=?)\s+", r"\1", text.strip())
    for piece in re.split(r"\s*,\s*|\s+", pieces):
        parts += _single(piece)
    try:
        SpecifierSet(",".join(parts))
    except InvalidSpecifier:
        raise InputError(f"{text!r} is not a version constraint") from None
    return ",".join(parts)


def _single(piece: str) -> list[str]:
    if piece in ("", "*"):
        return []
    try:
        if piece.startswith("^"):
            version = Version(piece[1:])
            release = version.release
            position = next((i for i, number in enumerate(release) if number), len(release) - 1)
            return [f">={version}", f"<{_next(version, position)}"]
        if piece.startswith("~") and not piece.startswith("~="):
            version = Version(piece[1:])
            return [f">={version}", f"<{_next(version, 0 if len(version.release) == 1 else 1)}"]
        if re.match(r"\d", piece):
            return [f"=={piece}"]
        if re.fullmatch(r"=[^=].*", piece):
            return [f"={piece}"]
        if piece.startswith("v"):
            return [f"=={Version(piece)}"]
    except InvalidVersion:
        raise InputError(f"{piece!r} is not a version constraint") from None
    return [piece]


def _next(version: Version, position: int) -> Version:
    release = (*version.release, *([0] * (position + 1)))[: position + 1]
    bumped = ".".join(str(number) for number in (*release[:position], release[position] + 1))
    return Version(f"{version.epoch}!{bumped}" if version.epoch else bumped)

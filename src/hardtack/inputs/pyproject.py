"""A project's pyproject.toml: dependencies, extras (PEP 621), groups (PEP 735), uv's and Poetry's own tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from hardtack.errors import InputError
from hardtack.inputs.groups import read_groups
from hardtack.inputs.poetry import read_poetry
from hardtack.inputs.requirement_line import read_line
from hardtack.inputs.sources import Sourced, apply_sources, both
from hardtack.inputs.text import raise_together, read_toml, shown, unbounded
from hardtack.inputs.uv_settings import UvSettings, read_uv_settings
from hardtack.inputs.workspace import origins_of, table_of, workspace_of
from hardtack.model.recipe import Recipe, Recipes
from hardtack.model.requirements import FormatControl, IndexPin, Origin, RootRequirement


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """What a pyproject.toml asks for. ``dependency_files``: requirements files that a dynamic field is read from, with their extra.

    ``is_package``: a wheel of the project itself can be made, with ``build_requires`` (PEP 518).
    ``recipes`` are what uv's settings say of building, and ``build_notes`` words on those among them that are not obeyed.
    ``exclude_newer`` is an RFC 3339 time or a date. ``not_obeyed``: words on each of uv's settings that would choose other versions.
    """

    folder: Path
    name: str | None
    roots: tuple[RootRequirement, ...]
    constraints: tuple[RootRequirement, ...] = ()
    overrides: tuple[RootRequirement, ...] = ()
    build_constraints: tuple[RootRequirement, ...] = ()
    excludes: tuple[str, ...] = ()
    requires_python: SpecifierSet | None = None
    extras: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    default_groups: frozenset[str] = frozenset()
    index_pins: tuple[IndexPin, ...] = ()
    dynamic: tuple[str, ...] = ()
    dependency_files: tuple[tuple[Path, str | None], ...] = ()
    prereleases: bool = False
    prerelease_packages: frozenset[str] = frozenset()
    formats: FormatControl = field(default_factory=FormatControl)
    exclude_newer: str | None = None
    not_obeyed: tuple[str, ...] = ()
    build_requires: tuple[RootRequirement, ...] = ()
    is_package: bool = False
    is_project: bool = True
    recipes: Recipes = field(default_factory=Recipes)
    build_notes: tuple[str, ...] = ()


@dataclass(slots=True)
class _Reading:
    folder: Path
    place: str
    sources: Mapping[str, Any]
    members: Mapping[str, Path]
    name: str | None = None
    errors: list[InputError] = field(default_factory=list)
    roots: dict[tuple[str, str | None, str | None, str | None], RootRequirement] = field(default_factory=dict)
    pins: list[IndexPin] = field(default_factory=list)

    def origin(self, key: str) -> Origin:
        return Origin(place=self.place, key=key)

    def requirement(self, text: Any, key: str) -> Requirement | None:
        if not isinstance(text, str):
            self.errors.append(InputError(f"{text!r} is not a requirement", where=f"{self.place}: {key}"))
            return None
        if (why := unbounded(text)) is not None:
            self.errors.append(InputError(f"{text[:100]!r}... {why}", where=f"{self.place}: {key}"))
            return None
        try:
            return Requirement(text)
        except InvalidRequirement as error:
            self.errors.append(InputError(f"{text!r} is not a requirement: {str(error).splitlines()[0]}", where=f"{self.place}: {key}"))
            return None

    def add(self, requirement: Requirement, key: str, *, extra: str | None = None, group: str | None = None) -> None:
        stated = self.sources.get(canonicalize_name(requirement.name))
        try:
            if stated is not None and requirement.url is None:
                sourced = apply_sources(requirement, stated=stated, extra=extra, group=group, folder=self.folder, members=self.members)
            elif requirement.url is not None:
                line = read_line(str(requirement), folders=(self.folder.absolute(),))
                sourced = [Sourced(requirement=line.requirement, path=line.path)]
            else:
                sourced = [Sourced(requirement=requirement)]
        except InputError as error:
            where = f"tool.uv.sources.{requirement.name}" if stated is not None else key
            self.errors.append(error.at(f"{self.place}: {where}"))  # type: ignore[arg-type]
            return
        for one in sourced:
            self.add_sourced(one, key, extra=extra, group=group)

    def add_sourced(self, one: Sourced, key: str, *, extra: str | None = None, group: str | None = None) -> None:
        origin = self.origin(key)
        if one.index is not None:
            self.pins.append(
                IndexPin(
                    name=canonicalize_name(one.requirement.name),
                    index=one.index,
                    marker=one.index_marker,
                    extra=extra,
                    group=group,
                    origin=origin,
                )
            )
        root = RootRequirement(
            requirement=one.requirement,
            origin=origin,
            scope="development" if group is not None else "runtime",
            path=one.path,
            editable=one.editable,
            extra=extra,
            group=group,
        )
        marker = str(one.requirement.marker) if one.requirement.marker else None
        self.roots.setdefault((str(one.requirement), extra, group, marker), root)


def read_pyproject(path: Path, *, base: Path | None = None, place: str | None = None) -> Project:
    """Read a pyproject.toml, or raise one InputError with every problem in it. ``base``: what places are told relative to."""
    place = place or shown(path, base)
    return read_tables(read_toml(path, where=place), folder=path.absolute().parent, place=place, base=base, beside=True)


def read_tables(tables: Mapping[str, Any], *, folder: Path, place: str, base: Path | None = None, beside: bool = False) -> Project:
    """Read a pyproject.toml's tables. ``folder`` is what its paths are relative to, ``place`` how it is shown.

    ``beside``: a uv.toml in that folder, or at the root of its workspace, holds uv's settings.
    """
    project = table_of(tables, "project", place)
    tool = table_of(tables, "tool", place)
    uv = table_of(tool, "uv", f"{place}: tool")
    workspace_root, workspace_uv = workspace_of(folder, uv)
    reading = _Reading(folder=folder, place=place, **origins_of(workspace_root, workspace_uv, uv, place))
    name = project.get("name")
    reading.name = name if isinstance(name, str) else None

    extras: dict[str, list[tuple[Requirement, str]]] = {}
    plain: list[tuple[Requirement, str]] = [
        (found, f"project.dependencies[{number}]")
        for number, text in enumerate(_list(project, "dependencies", reading, "project.dependencies"))
        if (found := reading.requirement(text, f"project.dependencies[{number}]"))
    ]
    for extra_name, texts in table_of(project, "optional-dependencies", f"{place}: project").items():
        key = f"project.optional-dependencies.{extra_name}"
        found_here = extras.setdefault(canonicalize_name(extra_name), [])
        for number, text in enumerate(texts if isinstance(texts, list) else [texts]):
            if found := reading.requirement(text, f"{key}[{number}]"):
                found_here.append((found, f"{key}[{number}]"))

    raw_groups = dict(table_of(tables, "dependency-groups", place))
    legacy = uv.get("dev-dependencies")
    if isinstance(legacy, list):
        raw_groups["dev"] = [*raw_groups.get("dev", []), *legacy]
    groups, group_errors = read_groups(raw_groups, where=place)
    reading.errors += group_errors

    for requirement, key in plain:
        reading.add(requirement, key)
    own = canonicalize_name(reading.name) if reading.name else None
    for extra in extras:
        for requirement, key in _expanded(extras[extra], own, extras, plain, reading, ()):
            reading.add(requirement, key, extra=extra)
    for group, requirements in groups.items():
        stated = [(requirement, f"dependency-groups.{group}") for requirement in requirements]
        for requirement, key in _expanded(stated, own, extras, plain, reading, (), include_plain=True):
            reading.add(requirement, key, group=group)

    dynamic = [str(item) for item in _list(project, "dynamic", reading, "project.dynamic")]
    requires_python = _requires_python(project.get("requires-python"), reading)
    all_extras, all_groups = set(extras), set(groups)
    default_groups = _default_groups(uv, all_groups, reading)
    poetry = table_of(tool, "poetry", f"{place}: tool")
    prerelease_packages: set[str] = set()
    if poetry:
        tables_of_poetry = read_poetry(poetry, folder=folder, where=place)
        reading.errors += tables_of_poetry.errors
        reading.name = reading.name or tables_of_poetry.name
        requires_python = requires_python if requires_python is not None else tables_of_poetry.requires_python
        # Beside [project].dependencies, Poetry's table only says where they come from.
        enriching = "dependencies" in project
        for one, of_extra, of_group, key in tables_of_poetry.dependencies:
            if one.prereleases:
                prerelease_packages.add(canonicalize_name(one.requirement.name))
            if of_group is None and enriching:
                _enrich(reading, one)
            else:
                reading.add_sourced(one, key, extra=of_extra, group=of_group)
        if "dependencies" in dynamic and poetry.get("dependencies") is not None:
            dynamic.remove("dependencies")
        all_extras |= tables_of_poetry.extras
        all_groups |= tables_of_poetry.groups
        default_groups |= tables_of_poetry.default_groups
    files, dynamic = _dynamic_files(tool, dynamic, folder)
    all_extras |= {extra for _path, extra in files if extra is not None}

    def stated_roots(key: str) -> tuple[RootRequirement, ...]:
        # uv reads these from the root of the workspace only.
        found = []
        for number, text in enumerate(_list(workspace_uv, key, reading, f"tool.uv.{key}")):
            text = text.get("requirement") if isinstance(text, dict) else text
            if requirement := reading.requirement(text, f"tool.uv.{key}[{number}]"):
                found.append(RootRequirement(requirement=requirement, origin=reading.origin(f"tool.uv.{key}[{number}]")))
        return tuple(found)

    root = workspace_root or folder
    settings, setting_errors = read_uv_settings(
        workspace_uv,
        place=place if root == folder else shown(root / "pyproject.toml", base),
        beside=root if beside else None,
        base=base,
    )
    reading.errors += setting_errors
    recipes, build_notes = _with_sources(settings, reading)
    read = Project(
        folder=folder,
        name=canonicalize_name(reading.name) if reading.name else None,
        roots=tuple(reading.roots.values()),
        constraints=stated_roots("constraint-dependencies"),
        overrides=stated_roots("override-dependencies"),
        build_constraints=stated_roots("build-constraint-dependencies"),
        excludes=tuple(
            canonicalize_name(str(text)) for text in _list(workspace_uv, "exclude-dependencies", reading, "tool.uv.exclude-dependencies")
        ),
        requires_python=requires_python,
        extras=frozenset(all_extras),
        groups=frozenset(all_groups),
        default_groups=frozenset(default_groups),
        index_pins=tuple(reading.pins),
        dynamic=tuple(item for item in dynamic if item in ("dependencies", "optional-dependencies", "requires-python")),
        dependency_files=files,
        prereleases=uv.get("prerelease") == "allow",
        prerelease_packages=frozenset(prerelease_packages),
        formats=settings.formats,
        exclude_newer=settings.exclude_newer,
        not_obeyed=settings.not_obeyed,
        build_requires=_build_requires(tables, reading),
        is_package=_is_package(tables, uv, tool),
        is_project=bool(project or poetry or groups),
        recipes=recipes,
        build_notes=build_notes,
    )
    raise_together(reading.errors)
    return read


def _with_sources(settings: UvSettings, reading: _Reading) -> tuple[Recipes, tuple[str, ...]]:
    """The recipes with what they require taken from where ``[tool.uv.sources]`` says, and words on what cannot be.

    What is to match the run comes from there anyhow.
    """
    notes = list(settings.build_notes)

    def sourced(recipe: Recipe) -> Recipe:
        found: list[Requirement] = []
        for requirement in recipe.requires:
            name = canonicalize_name(requirement.name)
            stated = reading.sources.get(name)
            if stated is None or requirement.url is not None or name in recipe.match_runtime:
                found.append(requirement)
                continue
            where = f"{reading.place}: tool.uv.sources.{requirement.name}"
            try:
                each = apply_sources(requirement, stated=stated, extra=None, group=None, folder=reading.folder, members=reading.members)
            except InputError as error:
                reading.errors.append(error.at(where))  # type: ignore[arg-type]
                continue
            found += [one.requirement for one in each]
            if any(one.index is not None for one in each):
                notes.append(f"{where}: its index is not obeyed for what builds require (extra-build-dependencies)")
        return replace(recipe, requires=tuple(dict.fromkeys(found)))

    own = {name: sourced(recipe) for name, recipe in settings.recipes.own.items()}
    return replace(settings.recipes, own=own), tuple(dict.fromkeys(notes))


def _is_package(tables: Mapping[str, Any], uv: Mapping[str, Any], tool: Mapping[str, Any]) -> bool:
    """False for a "virtual" project: one that states no build system, or that uv, Poetry or PDM are told not to build."""
    if isinstance(uv.get("package"), bool):
        return bool(uv["package"])
    poetry, pdm = tool.get("poetry"), tool.get("pdm")
    if isinstance(poetry, dict) and poetry.get("package-mode") is False:
        return False
    if isinstance(pdm, dict) and pdm.get("distribution") is False:
        return False
    return "build-system" in tables


def _build_requires(tables: Mapping[str, Any], reading: _Reading) -> tuple[RootRequirement, ...]:
    system = tables.get("build-system")
    if not isinstance(system, dict) or not isinstance(system.get("requires"), list):
        return ()
    key = "build-system.requires"
    found = [requirement for text in system["requires"] if (requirement := reading.requirement(text, key))]
    return tuple(RootRequirement(requirement=one, origin=reading.origin(key), scope="development") for one in found if one.url is None)


def _expanded(
    stated: list[tuple[Requirement, str]],
    own: str | None,
    extras: Mapping[str, list[tuple[Requirement, str]]],
    plain: list[tuple[Requirement, str]],
    reading: _Reading,
    seen: tuple[str, ...],
    *,
    include_plain: bool = False,
) -> Iterator[tuple[Requirement, str]]:
    """Requirements with the project's own ``name[extra]`` replaced by what the extra asks, its marker on each."""
    for requirement, key in stated:
        if own is None or canonicalize_name(requirement.name) != own or requirement.url:
            yield requirement, key
            continue
        inner: list[tuple[Requirement, str]] = list(plain) if include_plain else []
        for extra in sorted(canonicalize_name(name) for name in requirement.extras):
            if extra not in extras:
                hint = f"extras here: {', '.join(sorted(extras)) or 'none'}"
                reading.errors.append(InputError(f"the project has no extra {extra!r}", where=f"{reading.place}: {key}", hint=hint))
            elif extra not in seen:
                inner += _expanded(extras[extra], own, extras, plain, reading, (*seen, extra))
        for found, _key in inner:
            limited = Requirement(str(found))
            limited.marker = both(found.marker, requirement.marker)
            yield limited, key


def _enrich(reading: _Reading, one: Sourced) -> None:
    if one.index is None and one.requirement.url is None and one.path is None:
        return
    name = canonicalize_name(one.requirement.name)
    for key, root in list(reading.roots.items()):
        if canonicalize_name(root.requirement.name) != name or root.group is not None:
            continue
        if one.requirement.url is None:
            reading.pins.append(IndexPin(name=name, index=str(one.index), extra=root.extra, origin=root.origin))
            continue
        del reading.roots[key]
        located = Requirement(str(one.requirement))
        located.extras = root.requirement.extras | one.requirement.extras
        located.marker = both(root.requirement.marker, one.requirement.marker)
        enriched = Sourced(requirement=located, path=one.path, editable=one.editable)
        reading.add_sourced(enriched, root.origin.key or "", extra=root.extra)


def _default_groups(uv: Mapping[str, Any], groups: set[str], reading: _Reading) -> set[str]:
    if "default-groups" not in uv:
        # Development is part of the closure unless something else is said; groups that exclude one another cannot all be.
        return groups - _conflicting_groups(uv)
    stated = uv["default-groups"]
    if stated == "all":
        return set(groups)
    if not isinstance(stated, list):
        reading.errors.append(InputError("is neither a list nor 'all'", where=f"{reading.place}: tool.uv.default-groups"))
        return set()
    names: set[str] = {canonicalize_name(str(name)) for name in stated}
    for name in sorted(names - groups):
        hint = f"groups here: {', '.join(sorted(groups)) or 'none'}"
        reading.errors.append(InputError(f"there is no group {name!r}", where=f"{reading.place}: tool.uv.default-groups", hint=hint))
    return names & groups


def _conflicting_groups(uv: Mapping[str, Any]) -> set[str]:
    conflicts = uv.get("conflicts", [])
    items = (
        [item for one in conflicts if isinstance(one, list) for item in one if isinstance(item, dict)]
        if isinstance(conflicts, list)
        else []
    )
    return {canonicalize_name(str(item["group"])) for item in items if "group" in item}


def _requires_python(value: Any, reading: _Reading) -> SpecifierSet | None:
    if value is None:
        return None
    try:
        if isinstance(value, str) and unbounded(value) is not None:
            raise InvalidSpecifier
        return SpecifierSet(value)
    except (InvalidSpecifier, AttributeError, TypeError):
        value = value if not isinstance(value, str) else value[:200]
        reading.errors.append(InputError(f"{value!r} is not a version specifier", where=f"{reading.place}: project.requires-python"))
        return None


def _dynamic_files(tool: Mapping[str, Any], dynamic: list[str], folder: Path) -> tuple[tuple[tuple[Path, str | None], ...], list[str]]:
    """Dynamic dependencies that setuptools or hatch-requirements-txt take from requirements files; what stays dynamic."""
    files: list[tuple[Path, str | None]] = []
    left = list(dynamic)

    def take(names: Any, extra: str | None) -> bool:
        names = [names] if isinstance(names, str) else names
        if not isinstance(names, list) or not names:
            return False
        files.extend((folder / str(name), extra) for name in names)
        return True

    setuptools = (tool.get("setuptools") or {}).get("dynamic") or {}
    hatch = (((tool.get("hatch") or {}).get("metadata") or {}).get("hooks") or {}).get("requirements_txt") or {}
    if "dependencies" in left and (
        take((setuptools.get("dependencies") or {}).get("file"), None) or take(hatch.get("files") or hatch.get("filename"), None)
    ):
        left.remove("dependencies")
    if "optional-dependencies" in left:
        stated = {
            extra: value.get("file") for extra, value in (setuptools.get("optional-dependencies") or {}).items() if isinstance(value, dict)
        }
        stated.update(hatch.get("optional-dependencies") or {})
        if stated and all(take(names, canonicalize_name(extra)) for extra, names in stated.items()):
            left.remove("optional-dependencies")
    return tuple(files), left


def _list(table: Mapping[str, Any], key: str, reading: _Reading, where: str) -> list[Any]:
    value = table.get(key, [])
    if isinstance(value, list):
        return value
    reading.errors.append(InputError("is not a list", where=f"{reading.place}: {where}"))
    return []

"""uv's settings of a project: what it says of building, of formats and of moments."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

from packaging.utils import InvalidName, canonicalize_name

from hardtack.errors import InputError
from hardtack.inputs.recipes import layered, read_config, read_requires, read_variables
from hardtack.inputs.text import read_toml, shown
from hardtack.model.recipe import Recipe, Recipes
from hardtack.model.requirements import FormatControl


@dataclass(frozen=True, slots=True, kw_only=True)
class UvSettings:
    """What uv's settings say. ``exclude_newer`` is an RFC 3339 time or a date.

    ``not_obeyed``: words on each that would choose other versions; ``build_notes``: on each of building that is not obeyed.
    """

    recipes: Recipes = field(default_factory=Recipes)
    formats: FormatControl = field(default_factory=FormatControl)
    exclude_newer: str | None = None
    not_obeyed: tuple[str, ...] = ()
    build_notes: tuple[str, ...] = ()


def read_uv_settings(
    uv: Mapping[str, Any], *, place: str, beside: Path | None = None, base: Path | None = None
) -> tuple[UvSettings, list[InputError]]:
    """Read ``[tool.uv]``, which stands in ``place``, or the uv.toml in the folder ``beside``, which uv takes instead where there is one."""
    path = beside / "uv.toml" if beside is not None else None
    prefix = "tool.uv."
    if path is not None and path.is_file():
        place, prefix = shown(path, base), ""
        uv = read_toml(path, where=place)
    errors: list[InputError] = []

    def told(words: str) -> str:
        return f"{place}: {prefix}{words}"

    exclude_newer = _exclude_newer(uv.get("exclude-newer"))
    settings = UvSettings(
        recipes=_recipes(uv, told, errors),
        formats=_formats(uv, told, errors),
        exclude_newer=exclude_newer,
        not_obeyed=tuple(told(words) for words in _not_obeyed(uv, exclude_newer)),
        build_notes=tuple(told(words) for words in _isolation(uv)),
    )
    return settings, errors


def _exclude_newer(value: Any) -> str | None:
    """uv's ``exclude-newer`` where it names a moment; None for a span ("7 days"), whose moment is another one in each run."""
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    try:
        datetime.fromisoformat(value)
    except (ValueError, TypeError):
        return None
    return str(value)


def _formats(uv: Mapping[str, Any], told: Callable[[str], str], errors: list[InputError]) -> FormatControl:
    """uv's words for what must be built and what must not be."""

    def names(every: str, some: str) -> frozenset[str]:
        stated = uv.get(some, [])
        if not isinstance(stated, list):
            errors.append(InputError("is not a list", where=told(some)))
            stated = []
        found = {str(canonicalize_name(str(name))) for name in stated}
        return frozenset(found | ({":all:"} if uv.get(every) is True else set()))

    return FormatControl(no_binary=names("no-binary", "no-binary-package"), only_binary=names("no-build", "no-build-package"))


def _not_obeyed(uv: Mapping[str, Any], exclude_newer: str | None) -> Iterator[str]:
    """uv's settings that would choose other versions and that are not known here."""
    if "exclude-newer" in uv and exclude_newer is None:
        yield f"exclude-newer = {str(uv['exclude-newer'])!r} is not a moment: state one with --exclude-newer, or it is not obeyed"
    for key in ("resolution", "exclude-newer-package", "dependency-metadata"):
        if key in uv and uv[key] != "highest":
            yield f"{key} is not obeyed"


def _recipes(uv: Mapping[str, Any], told: Callable[[str], str], errors: list[InputError]) -> Recipes:
    """What uv's settings say of building. Keys within them that are not known here are uv's own business."""

    def read(key: str, reader: Callable[[Any], Any], value: Any, default: Any) -> Any:
        try:
            return reader(value)
        except ValueError as error:
            errors.append(InputError(str(error), where=told(key)))
            return default

    def by_package(key: str) -> Iterator[tuple[str, str, Any]]:
        tables = uv.get(key, {})
        if not isinstance(tables, dict):
            errors.append(InputError("is not a table, one entry for each package", where=told(key)))
            return
        for spelling, content in tables.items():
            try:
                yield canonicalize_name(spelling, validate=True), f"{key}.{spelling}", content
            except InvalidName:
                errors.append(InputError(f"{spelling!r} is not the name of a package", where=told(key)))

    everywhere = Recipe(config=read("config-settings", read_config, uv.get("config-settings", {}), ()))
    own: list[Recipes] = []
    for name, key, content in by_package("config-settings-package"):
        own.append(Recipes(own={name: Recipe(config=read(key, read_config, content, ()))}))
    for name, key, content in by_package("extra-build-dependencies"):
        requires, matched = read(key, read_requires, content, ((), ()))
        own.append(Recipes(own={name: Recipe(requires=requires, match_runtime=matched)}))
    for name, key, content in by_package("extra-build-variables"):
        own.append(Recipes(own={name: Recipe(variables=read(key, read_variables, content, ()))}))
    return layered([Recipes(everywhere=everywhere), *own])


def _isolation(uv: Mapping[str, Any]) -> Iterator[str]:
    """Words on uv's settings that would build without isolation."""
    hint = "every build has an environment of its own; name what it lacks in extra-build-dependencies"
    if uv.get("no-build-isolation") is True:
        yield f"no-build-isolation is not obeyed: {hint}"
    names = uv.get("no-build-isolation-package")
    if isinstance(names, list) and names:
        yield f"no-build-isolation-package ({', '.join(str(name) for name in names)}) is not obeyed: {hint}"

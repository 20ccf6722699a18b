"""The user's own settings for hardtack: environment beats project beats user; each value knows where it was said."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from hardtack.errors import UsageError
from hardtack.inputs.recipes import LIMITS, read_build_table, read_count, read_tools, recipes_of
from hardtack.inputs.text import read_toml, shown
from hardtack.model.recipe import Recipes
from hardtack.model.requirements import Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """What ``[tool.hardtack]`` may say, None or empty where nobody says it.

    ``targets`` are names, or tables by the name that the user gives each. ``indexes``: the tables of ``[[tool.hardtack.index]]``, in
    order of priority. ``recipes``: what ``[tool.hardtack.build]`` says. ``origins`` tells for each field that was set where, and for each
    key of that table ("build.timeout"); ``file`` is the project's file. Paths are absolute.
    """

    targets: Mapping[str, Mapping[str, Any]] | tuple[str, ...] = ()
    indexes: tuple[Mapping[str, Any], ...] = ()
    no_binary: frozenset[str] = frozenset()
    only_binary: frozenset[str] = frozenset()
    exclude_newer: str | None = None
    constraints: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    layout: str | None = None
    output: Path | None = None
    prune: bool | None = None
    require_stated_hashes: bool | None = None
    extras: frozenset[str] | None = None
    groups: frozenset[str] | None = None
    sandbox: str | None = None
    offline: bool | None = None
    cache_dir: Path | None = None
    build_constraints: tuple[str, ...] = ()
    build_root: Path | None = None
    build_jobs: int | None = None
    build_twice: bool | None = None
    with_sdists: bool | None = None
    keep_foreign: bool | None = None
    recipes: Recipes = field(default_factory=Recipes)
    origins: Mapping[str, Origin] = field(default_factory=dict, hash=False)
    file: Path | None = None

    def with_flags(self, **flags: Any) -> Configuration:
        """The configuration with what the command line states; None and empty values state nothing."""
        given = {name: value for name, value in flags.items() if value is not None and value != () and value != frozenset()}
        origins = {**self.origins, **{name: Origin(place="the command line", key=f"--{name.replace('_', '-')}") for name in given}}
        return replace(self, **given, origins=origins)


def read_configuration(project_dir: Path | None, *, environment: Mapping[str, str]) -> Configuration:
    """The configuration of a project: HARDTACK_* variables, then hardtack.toml or [tool.hardtack], then the user's hardtack.toml.

    Raises one UsageError with every unknown key and wrong value.
    """
    problems: list[str] = []
    hints: list[str] = []
    values: dict[str, Any] = {}
    origins: dict[str, Origin] = {}
    file: Path | None = None
    layers: list[tuple[Mapping[str, Any], str, str, Path]] = []
    user = user_file(environment)
    if user is not None and user.is_file():
        layers.append((read_toml(user), str(user), "", user.parent))
    if project_dir is not None:
        found = _project_layer(project_dir)
        if found is not None:
            file, table, prefix = found
            layers.append((table, shown(file, project_dir), prefix, project_dir))
    for table, place, prefix, folder in layers:
        for key, value in table.items():
            _take(key, value, place=place, prefix=prefix, folder=folder, values=values, origins=origins, problems=problems, hints=hints)
    _take_environment(environment, values, origins, problems)
    if problems:
        reason = problems[0] if len(problems) == 1 else f"{len(problems)} problems in the configuration:\n  " + "\n  ".join(problems)
        raise UsageError(reason, hint="\n".join(dict.fromkeys(hints)) or None)
    values["recipes"] = recipes_of(values.get("recipes", {}))
    return Configuration(**values, origins=origins, file=file)


def user_file(environment: Mapping[str, str]) -> Path | None:
    """Where the user's own configuration is looked for; None if HARDTACK_CONFIG_FILE is set to nothing."""
    if "HARDTACK_CONFIG_FILE" in environment:
        stated = environment["HARDTACK_CONFIG_FILE"]
        return Path(stated) if stated else None
    if environment.get("XDG_CONFIG_HOME"):
        return Path(environment["XDG_CONFIG_HOME"]) / "hardtack" / "hardtack.toml"
    import platformdirs

    return Path(platformdirs.user_config_dir("hardtack", appauthor=False)) / "hardtack.toml"


def _project_layer(folder: Path) -> tuple[Path, Mapping[str, Any], str] | None:
    own, pyproject = folder / "hardtack.toml", folder / "pyproject.toml"
    inside: Any = None
    if pyproject.is_file():
        tool = read_toml(pyproject, where=shown(pyproject, folder)).get("tool")
        inside = tool.get("hardtack") if isinstance(tool, dict) else None
        if inside is not None and not isinstance(inside, dict):
            raise UsageError("is not a table", where="pyproject.toml: tool.hardtack")
    if own.is_file():
        if inside is not None:
            raise UsageError("hardtack.toml and [tool.hardtack] in pyproject.toml are both there", hint="keep one of them")
        return own, read_toml(own, where=shown(own, folder)), ""
    return (pyproject, inside, "tool.hardtack.") if inside is not None else None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("is not a string")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("is neither true nor false")
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError("is not a list of strings")
    return tuple(value)


def _names(value: Any) -> frozenset[str]:
    return frozenset(name if name in (":all:", ":none:") else canonicalize_name(name) for name in _texts(value))


def _excluded(value: Any) -> tuple[str, ...]:
    return tuple(canonicalize_name(name) for name in _texts(value))


def _requirements(value: Any) -> tuple[str, ...]:
    texts = _texts(value)
    for text in texts:
        try:
            Requirement(text)
        except InvalidRequirement as error:
            raise ValueError(f"has {text!r}, which is not a requirement: {str(error).splitlines()[0]}") from None
    return texts


def _one_of(*words: str) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        if value not in words:
            raise ValueError(f"is not one of {', '.join(words)}")
        return str(value)

    return check


def _moment(value: Any) -> str:
    import datetime

    # TOML has dates of its own; only one with a zone, or a plain day, means the same everywhere.
    if isinstance(value, (datetime.datetime, datetime.date)):
        return value.isoformat()
    text = _text(value)
    try:
        datetime.datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("is neither a date (2026-01-31) nor a time (2026-01-31T00:00:00Z)") from None
    return text


def _targets(value: Any) -> Mapping[str, Mapping[str, Any]] | tuple[str, ...]:
    if isinstance(value, dict):
        for name, table in value.items():
            if not isinstance(table, dict):
                raise ValueError(f"has {name!r}, which is not a table")
        return value
    return _texts(value)


def _codes(value: Any) -> tuple[int, ...]:
    if not isinstance(value, list) or not all(type(item) is int and 400 <= item < 600 for item in value):
        raise ValueError("is not a list of HTTP status codes")
    return tuple(value)


_INDEX_KEYS: Mapping[str, Callable[[Any], Any]] = {
    "name": _text,
    "url": _text,
    "explicit": _flag,
    "default": _flag,
    "packages": _excluded,
    "stands-in-for": lambda value: (value,) if isinstance(value, str) else _texts(value),
    "format": _one_of("simple", "flat"),
    "ignore-error-codes": _codes,
}


def _indexes(value: Any) -> tuple[Mapping[str, Any], ...]:
    if not isinstance(value, list):
        raise ValueError("is not an array of tables: write [[index]]")
    found: list[Mapping[str, Any]] = []
    for number, table in enumerate(value):
        if not isinstance(table, dict):
            raise ValueError(f"[{number}] is not a table")
        for key, content in table.items():
            if key not in _INDEX_KEYS:
                raise ValueError(f"[{number}] has an unknown key {key!r}{_near(key, _INDEX_KEYS)}")
            try:
                _INDEX_KEYS[key](content)
            except ValueError as error:
                raise ValueError(f"[{number}].{key} {error}") from None
        if "url" not in table:
            raise ValueError(f"[{number}] has no url")
        if "name" not in table:
            raise ValueError(f"[{number}] has no name")
        found.append({key: _INDEX_KEYS[key](content) for key, content in table.items()})
    names = [table["name"] for table in found]
    if len(set(names)) < len(names):
        raise ValueError("has two tables of one name")
    if sum(bool(table.get("default")) for table in found) > 1:
        raise ValueError("has more than one default")
    return tuple(found)


_KEYS: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    "targets": ("targets", _targets),
    "index": ("indexes", _indexes),
    "no-binary": ("no_binary", _names),
    "only-binary": ("only_binary", _names),
    "exclude-newer": ("exclude_newer", _moment),
    "constraints": ("constraints", _requirements),
    "overrides": ("overrides", _requirements),
    "excludes": ("excludes", _excluded),
    "layout": ("layout", _one_of("flat", "by-target")),
    "output": ("output", _text),
    "prune": ("prune", _flag),
    "require-stated-hashes": ("require_stated_hashes", _flag),
    "extras": ("extras", _names),
    "groups": ("groups", _names),
    "sandbox": ("sandbox", _one_of("require", "prefer")),
    "offline": ("offline", _flag),
    "cache-dir": ("cache_dir", _text),
    "build-constraints": ("build_constraints", _requirements),
    "build-root": ("build_root", _text),
    "build-jobs": ("build_jobs", read_count),
    "build-twice": ("build_twice", _flag),
    "with-sdists": ("with_sdists", _flag),
    "keep-foreign": ("keep_foreign", _flag),
    "build": ("recipes", read_build_table),
}
_PATHS = ("output", "cache_dir", "build_root")
# These are tables, which no variable holds; of "build", some keys have variables of their own.
_TABLES = ("indexes", "recipes")
_BUILD_VARIABLES: Mapping[str, Callable[[Any], Any]] = {**LIMITS, "tools": lambda text: read_tools(text.replace(",", " ").split())}


def _near(key: str, known: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(key.replace("_", "-"), known, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; known are {', '.join(known)}"


def _take(
    key: str,
    value: Any,
    *,
    place: str,
    prefix: str,
    folder: Path,
    values: dict[str, Any],
    origins: dict[str, Origin],
    problems: list[str],
    hints: list[str],
) -> None:
    if key not in _KEYS:
        problems.append(f"{place}: unknown key {prefix}{key}{_near(key, _KEYS)}")
        hints.append("docs/configuration.md lists every key")
        return
    name, read = _KEYS[key]
    if name == "recipes":
        # Each of its keys stands for itself: the project's timeout leaves the user's memory alone.
        said = values.setdefault(name, {})
        for inner, content, wrong in read_build_table(value):
            full = f"{key}.{inner}" if inner else key
            if wrong is not None:
                problems.append(f"{place}: {prefix}{full} {wrong}")
                hints.append("docs/configuration.md lists every key")
                continue
            said[inner] = content
            origins[full] = Origin(place=place, key=f"{prefix}{full}")
        return
    try:
        found = read(value)
    except ValueError as error:
        problems.append(f"{place}: {prefix}{key} {error}")
        return
    if name in _PATHS:
        found = (folder / Path(found).expanduser()).absolute()
    elif name == "indexes":
        found = tuple({**table, "url": _index_url(table["url"], folder)} for table in found)
    values[name] = found
    origins[name] = Origin(place=place, key=f"{prefix}{key}")


def _index_url(url: str, folder: Path) -> str:
    """A folder's path is relative to the file that states it."""
    return url if re.match(r"^[A-Za-z][A-Za-z0-9+.-]+:", url) else str((folder / Path(url).expanduser()).absolute())


def _take_environment(environment: Mapping[str, str], values: dict[str, Any], origins: dict[str, Origin], problems: list[str]) -> None:
    for name, read in _KEYS.values():
        variable = f"HARDTACK_{name.upper()}"
        text = environment.get(variable)
        if not text or name in _TABLES:
            continue
        value: Any = text
        try:
            if read is _flag:
                value = _switch(text)
            elif read in (_texts, _names, _excluded, _requirements, _targets):
                # A requirement has commas of its own; names have neither.
                cut = text.split(";;") if read is _requirements else text.replace(",", " ").split()
                value = [item.strip() for item in cut if item.strip()]
            found = read(value)
        except ValueError as error:
            problems.append(f"{variable} {error}")
            continue
        values[name] = Path(found).expanduser().absolute() if name in _PATHS else found
        origins[name] = Origin(place=variable)
    for key, read in _BUILD_VARIABLES.items():
        variable = f"HARDTACK_BUILD_{key.upper()}"
        if not environment.get(variable):
            continue
        try:
            values.setdefault("recipes", {})[key] = read(environment[variable])
        except ValueError as error:
            problems.append(f"{variable} {error}")
            continue
        origins[f"build.{key}"] = Origin(place=variable)


def _switch(text: str) -> bool:
    word = text.strip().lower()
    if word in ("1", "true", "yes", "on"):
        return True
    if word in ("0", "false", "no", "off"):
        return False
    raise ValueError("is neither true nor false")


assert {name for name, _read in _KEYS.values()} | {"origins", "file"} == {item.name for item in fields(Configuration)}

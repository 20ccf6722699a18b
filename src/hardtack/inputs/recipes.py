"""What is said of building, read: hardtack's own table, uv's settings, KEY=VALUE; and how several sayings come to one."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from hardtack.errors import InputError
from hardtack.model.recipe import BuildLimits, Recipe, Recipes
from hardtack.model.requirements import RootRequirement

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)")
_UNITS = {"": 1, "b": 1} | {
    f"{letter}{ending}": base**power
    for power, letter in enumerate("kmgt", start=1)
    for ending, base in (("b", 1000), ("ib", 1024))
}  # fmt: skip

Config = tuple[tuple[str, tuple[str, ...]], ...]


def as_config(pairs: Iterable[tuple[str, str]]) -> Config:
    """Settings as PEP 517's hooks take them: a key that is given again has several values, as with pip and uv.

    >>> as_config([("a", "1"), ("b", "2"), ("a", "3")])
    (('a', ('1', '3')), ('b', ('2',)))
    """
    found: dict[str, tuple[str, ...]] = {}
    for key, value in pairs:
        found[key] = (*found.get(key, ()), value)
    return tuple(found.items())


def read_setting(text: str) -> tuple[str, str]:
    """KEY=VALUE, as pip cuts it: at the first "=", spaces kept. Raises ValueError."""
    key, found, value = text.partition("=")
    if not found or not key.strip():
        raise ValueError("is not KEY=VALUE")
    return key, value


def read_named_setting(text: str) -> tuple[str | None, str, str]:
    """[NAME:]KEY=VALUE: the normalised name of a package or None, key, value. An empty NAME is none, for a key with a colon of its own.

    >>> read_named_setting("My.Package:editable_mode=compat")
    ('my-package', 'editable_mode', 'compat')
    >>> read_named_setting("--build-option=--x:y"), read_named_setting(":cmake.define.X:BOOL=ON")
    ((None, '--build-option', '--x:y'), (None, 'cmake.define.X:BOOL', 'ON'))
    """
    key, value = read_setting(text)
    name, found, rest = key.partition(":")
    if not found or (name.strip() and not _NAME.fullmatch(name.strip())):
        return None, key, value
    if not rest.strip():
        raise ValueError("is not [NAME:]KEY=VALUE")
    return (canonicalize_name(name.strip()) if name.strip() else None), rest, value


def stated_settings(texts: Iterable[str], *, where: str) -> tuple[Recipes, list[InputError]]:
    """What the command line's [NAME:]KEY=VALUE come to."""
    said: dict[str | None, list[tuple[str, str]]] = {}
    errors: list[InputError] = []
    for text in texts:
        try:
            name, key, value = read_named_setting(text)
        except ValueError as error:
            hint = "write KEY=VALUE, or NAME:KEY=VALUE for one package alone"
            errors.append(InputError(f"{text!r} {error}", where=where, hint=hint))
            continue
        said.setdefault(name, []).append((key, value))
    own = {name: Recipe(config=as_config(pairs)) for name, pairs in said.items() if name is not None}
    return Recipes(everywhere=Recipe(config=as_config(said.get(None, ()))), own=own), errors


def of_lines(roots: Sequence[RootRequirement]) -> tuple[Recipes, list[InputError]]:
    """The recipes that requirements' own settings make. Two lines that differ in one setting of a package are an error: pip takes one."""
    own: dict[str, dict[str, tuple[tuple[str, ...], RootRequirement]]] = {}
    errors: list[InputError] = []
    for root in roots:
        name = canonicalize_name(root.requirement.name)
        for key, values in as_config(root.config_settings):
            known, first = own.setdefault(name, {}).setdefault(key, (values, root))
            if known != values:
                errors.append(
                    InputError(
                        f"{name} is to be built with {_said(key, values)} here, and with {_said(key, known)} at {first.origin}",
                        where=str(root.origin),
                        hint=f"give {name} one of them",
                    )
                )
    return Recipes(own={name: Recipe(config=tuple((key, one[0]) for key, one in said.items())) for name, said in own.items()}), errors


def _said(key: str, values: Sequence[str]) -> str:
    return " ".join(f"{key}={value}" for value in values)


def layered(layers: Iterable[Recipes]) -> Recipes:
    """Several sayings as one, the weakest first: a later setting, variable or limit takes an earlier one's place, the rest is added."""
    everywhere, own, limits = Recipe(), dict[str, Recipe](), BuildLimits()
    for layer in layers:
        everywhere = _over(everywhere, layer.everywhere)
        for name, recipe in layer.own.items():
            own[name] = _over(own.get(name, Recipe()), recipe)
        limits = BuildLimits(
            **{
                item.name: getattr(layer.limits if getattr(layer.limits, item.name) is not None else limits, item.name)
                for item in fields(BuildLimits)
            }
        )
    return Recipes(everywhere=everywhere, own={name: recipe for name, recipe in own.items() if recipe != Recipe()}, limits=limits)


def _over(weaker: Recipe, stronger: Recipe) -> Recipe:
    return Recipes(everywhere=weaker, own={"": stronger}).of("")


def read_build_table(value: Any) -> Iterator[tuple[str, Any, str | None]]:
    """``[tool.hardtack.build]`` by its keys: each as it is written, what it says, or what is wrong with it.

    A package's name is normalised in its keys ("packages.NAME.requires").
    """
    if not isinstance(value, dict):
        yield "", None, "is not a table"
        return
    for key, content in value.items():
        if key != "packages":
            yield from _one(key, content, {**LIMITS, **_EVERYWHERE}, more=("packages",))
            continue
        if not isinstance(content, dict):
            yield "packages", None, "is not a table of tables, one for each package"
            continue
        seen: set[str] = set()
        for spelling, table in content.items():
            prefix = f"packages.{spelling}"
            if not _NAME.fullmatch(spelling):
                yield prefix, None, "is not the name of a package"
            elif not isinstance(table, dict):
                yield prefix, None, "is not a table"
            elif (name := canonicalize_name(spelling)) in seen:
                yield prefix, None, f"is a second table of {name}"
            else:
                seen.add(name)
                for inner, held in table.items():
                    yield from _one(inner, held, _OWN, prefix=f"packages.{name}.")


def _one(
    key: str, content: Any, known: Mapping[str, Callable[[Any], Any]], *, prefix: str = "", more: tuple[str, ...] = ()
) -> Iterator[tuple[str, Any, str | None]]:
    if key not in known:
        names = (*known, *more)
        close = difflib.get_close_matches(key.replace("_", "-"), names, n=1)
        yield f"{prefix}{key}", None, f"is unknown; did you mean {close[0]!r}?" if close else f"is unknown; known are {', '.join(names)}"
        return
    try:
        yield f"{prefix}{key}", known[key](content), None
    except ValueError as error:
        yield f"{prefix}{key}", None, str(error)


def recipes_of(said: Mapping[str, Any]) -> Recipes:
    """The recipes that keys of ``[tool.hardtack.build]`` make, as read_build_table yields them."""
    own: dict[str, dict[str, Any]] = {}
    everywhere: dict[str, Any] = {}
    limits: dict[str, Any] = {}
    for key, value in said.items():
        if key in LIMITS:
            limits[key] = value
        elif key.startswith("packages."):
            # A normalised name has no dot.
            _, name, inner = key.split(".", 2)
            own.setdefault(name, {}).update(_fields(inner, value))
        else:
            everywhere.update(_fields(key, value))
    return Recipes(
        everywhere=Recipe(**everywhere), own={name: Recipe(**table) for name, table in own.items()}, limits=BuildLimits(**limits)
    )


def _fields(key: str, value: Any) -> dict[str, Any]:
    if key == "requires":
        return {"requires": value[0], "match_runtime": value[1]}
    return {{"config-settings": "config", "environment": "variables", "tools": "tools"}[key]: value}


def read_size(value: Any) -> int:
    """Bytes, or a number and a unit: "4 GiB" (1024), "4 GB" (1000). Raises ValueError."""
    found = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is not None and found[2].lower() in _UNITS:
        size = int(float(found[1]) * _UNITS[found[2].lower()])
    elif type(value) is int:
        size = value
    else:
        raise ValueError('is neither a number of bytes nor a size such as "4 GiB" or "500 MB"')
    if size <= 0:
        raise ValueError("is not more than nothing")
    return size


def read_seconds(value: Any) -> float:
    """A number of seconds, whole or not. Raises ValueError."""
    try:
        seconds = float(value) if isinstance(value, (int, float, str)) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise ValueError("is not a number of seconds above 0")
    return seconds


def read_count(value: Any) -> int:
    """A whole number from 1. Raises ValueError."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value.strip()):
        value = int(value)
    if type(value) is not int or value < 1:
        raise ValueError("is not a whole number from 1 on")
    return value


def read_config(value: Any) -> Config:
    """A table of strings or lists of strings, PEP 517's config settings. Raises ValueError."""
    if not isinstance(value, dict):
        raise ValueError("is not a table of KEY = VALUE")
    found: list[tuple[str, tuple[str, ...]]] = []
    for key, content in value.items():
        values = content if isinstance(content, list) else [content]
        if not key.strip() or not all(isinstance(item, str) for item in values):
            raise ValueError(f"has {key} = {content!r}, where a string or a list of strings is to stand")
        # A list of none says nothing, and a hook would be given an empty one.
        if values:
            found.append((key, tuple(values)))
    return tuple(found)


def read_variables(value: Any) -> tuple[tuple[str, str], ...]:
    """A table of environment variables. Raises ValueError."""
    if not isinstance(value, dict):
        raise ValueError("is not a table of VARIABLE = value")
    for name, content in value.items():
        if not isinstance(content, str) or "\0" in content:
            raise ValueError(f"has {name} = {content!r}, where a string is to stand")
        if not name or "=" in name or "\0" in name:
            raise ValueError(f"has {name!r}, which no environment variable can be called")
    return tuple(value.items())


def read_tools(value: Any) -> tuple[str, ...]:
    """Names of programs. Raises ValueError."""
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError("is not a list of strings")
    for name in value:
        if not name or re.search(r"[/\\*?\[\]\0]", name) or name in (".", ".."):
            raise ValueError(f"has {name!r}, which is not the plain name of a program")
    return tuple(dict.fromkeys(value))


def read_requires(value: Any) -> tuple[tuple[Requirement, ...], tuple[str, ...]]:
    """Requirements, as strings or as uv's tables, and the names of those in the version that is locked for running. Raises ValueError."""
    if not isinstance(value, list):
        raise ValueError("is not a list of requirements")
    found: list[Requirement] = []
    matched: list[str] = []
    for item in value:
        text: Any = item
        match: Any = False
        if isinstance(item, dict):
            text, match = item.get("requirement"), item.get("match-runtime")
            if not isinstance(match, bool):
                raise ValueError(f"has {item!r}, which does not say match-runtime = true or false")
        if not isinstance(text, str):
            raise ValueError(f"has {item!r}, where a string or {{ requirement = ..., match-runtime = true }} is to stand")
        try:
            requirement = Requirement(text)
        except InvalidRequirement as error:
            raise ValueError(f"has {text!r}, which is not a requirement: {str(error).splitlines()[0]}") from None
        if match and (requirement.specifier or requirement.url):
            raise ValueError(f"has {text!r} with match-runtime, which takes the version that is locked: none can be stated beside it")
        found.append(requirement)
        if match:
            matched.append(canonicalize_name(requirement.name))
    return tuple(found), tuple(dict.fromkeys(matched))


LIMITS: Mapping[str, Callable[[Any], Any]] = {"timeout": read_seconds, "memory": read_size, "disk": read_size, "processes": read_count}
_EVERYWHERE: Mapping[str, Callable[[Any], Any]] = {"config-settings": read_config, "environment": read_variables, "tools": read_tools}
_OWN: Mapping[str, Callable[[Any], Any]] = {"requires": read_requires, **_EVERYWHERE}

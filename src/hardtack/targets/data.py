"""catalog.toml, read once: the platforms as data."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any


@cache
def catalog() -> Mapping[str, Any]:
    """The whole of catalog.toml."""
    return tomllib.loads(files("hardtack.targets").joinpath("catalog.toml").read_text(encoding="utf-8"))


def machine(os: str, arch: str) -> Mapping[str, Any]:
    """What an architecture is called on a system: in markers and in tags. Raises KeyError for one that the system does not have."""
    found: Mapping[str, Any] = catalog()["os"][os]["machines"][arch]
    return found


def pythons(kind: str) -> tuple[tuple[int, int], ...]:
    """The versions of "cpython", "free-threaded" or "pypy" that a target may have."""
    return tuple(pair(text) for text in catalog()["pythons"][kind])


@cache
def pyodide_abis() -> Mapping[tuple[int, int], Mapping[str, str]]:
    """Pyodide's ABIs by (year, patch), oldest first: the Python and the Emscripten of each."""
    return {pair(key.replace("_", ".")): value for key, value in catalog()["pyodide"].items()}


@cache
def distributions() -> Mapping[str, Mapping[str, Any]]:
    """Every distribution's alias, each clone's too."""
    found: dict[str, Mapping[str, Any]] = {}
    for name, facts in catalog()["distributions"].items():
        for alias in (name, *facts.get("like", ())):
            found[alias] = facts
    return found


def pair(text: str) -> tuple[int, int]:
    """ "3.12" as (3, 12)."""
    major, minor = text.split(".")
    return int(major), int(minor)

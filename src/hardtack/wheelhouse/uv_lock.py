"""A uv.lock, read for what uv's pylock.toml export does not say, and filled in where that export would go and fetch files."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from typing import Any

from hardtack.errors import InputError
from hardtack.model.lock import Edge
from hardtack.system.documents import toml_of

Key = tuple[str, str | None]

STAND_IN = "0" * 64
"""The sha256 that ``with_stand_ins`` puts where none is stated; no file has it."""


def read_edges(text: str, *, where: str) -> Mapping[Key, tuple[Edge, ...]]:
    """For each (name, version) of a uv.lock, what it needs; edges of an extra carry its name.

    An edge's marker is valid only inside the lock's own environments, and may hold uv's stand-ins for conflicting extras.
    """
    try:
        return _edges(toml_of(text))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"not a uv.lock: {error}", where=where) from error
    except (AttributeError, KeyError, TypeError) as error:
        raise InputError(f"not a uv.lock: something stands where it does not belong ({error!r})", where=where) from error


def _edges(data: Mapping[str, Any]) -> Mapping[Key, tuple[Edge, ...]]:
    edges: dict[Key, tuple[Edge, ...]] = {}
    for package in data.get("package", ()):
        found = [_edge(entry) for entry in package.get("dependencies", ())]
        for extra, entries in package.get("optional-dependencies", {}).items():
            found += [_edge(entry, extra=extra) for entry in entries]
        key = (package["name"], package.get("version"))
        # One version may stand there twice, from two sources: what either needs is kept.
        edges[key] = tuple(dict.fromkeys((*edges.get(key, ()), *found)))
    return edges


def with_stand_ins(text: str) -> str:
    """A uv.lock in which every file has a hash, so that ``uv export`` does not download those of an index that states none."""
    data = toml_of(text)
    missing = False
    for package in data.get("package", ()):
        for file in (*package.get("wheels", ()), *([package["sdist"]] if "sdist" in package else [])):
            if "hash" not in file:
                file["hash"] = f"sha256:{STAND_IN}"
                missing = True
    if not missing:
        return text
    import tomli_w

    return tomli_w.dumps(data)


def _edge(entry: Mapping[str, Any], *, extra: str | None = None) -> Edge:
    return Edge(
        name=entry["name"],
        version=entry.get("version"),
        marker=entry.get("marker"),
        extras=tuple(entry.get("extra", ())),
        extra=extra,
    )

"""The edges of a uv.lock: uv's pylock.toml export has none."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from typing import Any

from hardtack.errors import InputError
from hardtack.model.lock import Edge

Key = tuple[str, str | None]


def read_edges(text: str, *, where: str) -> Mapping[Key, tuple[Edge, ...]]:
    """For each (name, version) of a uv.lock, what it needs; edges of an extra carry its name.

    An edge's marker is valid only inside the lock's own environments.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"not a uv.lock: {error}", where=where) from error
    edges: dict[Key, tuple[Edge, ...]] = {}
    for package in data.get("package", ()):
        found = [_edge(entry) for entry in package.get("dependencies", ())]
        for extra, entries in package.get("optional-dependencies", {}).items():
            found += [_edge(entry, extra=extra) for entry in entries]
        edges[package["name"], package.get("version")] = tuple(found)
    return edges


def _edge(entry: Mapping[str, Any], *, extra: str | None = None) -> Edge:
    return Edge(
        name=entry["name"],
        version=entry.get("version"),
        marker=entry.get("marker"),
        extras=tuple(entry.get("extra", ())),
        extra=extra,
    )

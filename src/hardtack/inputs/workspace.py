"""A uv workspace, and where its projects say that packages come from."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypedDict

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from hardtack.errors import InputError
from hardtack.inputs.requirement_line import name_of_folder
from hardtack.inputs.sources import apply_sources
from hardtack.inputs.text import read_toml


class Origins(TypedDict):
    """Sources as tables, and the folders of a workspace's members, by normalised name."""

    sources: Mapping[str, Any]
    members: Mapping[str, Path]


def origins_of(root: Path | None, workspace_uv: Mapping[str, Any], uv: Mapping[str, Any], place: str) -> Origins:
    """Where packages come from by a project's word: its sources over its workspace's, and the workspace's members."""
    own, above = _normalised(table_of(uv, "sources", place)), _normalised(table_of(workspace_uv, "sources", place))
    return {
        "members": _members(root, table_of(workspace_uv, "workspace", f"{place}: tool.uv")) if root is not None else {},
        "sources": {**{name: _rooted(stated, root) for name, stated in above.items()}, **own},
    }


def _rooted(stated: Any, root: Path | None) -> Any:
    """A workspace's source, whose path is one from the workspace's root."""
    if isinstance(stated, list):
        return [_rooted(one, root) for one in stated]
    if root is None or not isinstance(stated, dict) or not isinstance(stated.get("path"), str):
        return stated
    return {**stated, "path": str(root / stated["path"])}


def with_sources(requires: Iterable[str], folder: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What only building a folder told that it requires, taken from where its ``[tool.uv.sources]`` says; and words on what is not.

    uv does so for what a folder states, and here nobody but us. Raises InputError for sources that cannot be understood.
    """
    path = folder / "pyproject.toml"
    place = str(path)
    if not path.is_file():
        return tuple(requires), ()
    uv = table_of(table_of(read_toml(path), "tool", place), "uv", f"{place}: tool")
    origins = origins_of(*workspace_of(folder.absolute(), uv), uv, place)
    found: list[str] = []
    notes: list[str] = []
    for text in requires:
        requirement = Requirement(text)
        name = canonicalize_name(requirement.name)
        stated = origins["sources"].get(name)
        if stated is None or requirement.url is not None:
            found.append(text)
            continue
        # Metadata has an extra's requirements as markers.
        extras = set(re.findall(r"""\bextra\s*==\s*["']([^"']+)["']""", str(requirement.marker or "")))
        extra = canonicalize_name(extras.pop()) if len(extras) == 1 else None
        where = f"{place}: tool.uv.sources.{name}"
        try:
            each = apply_sources(requirement, stated=stated, extra=extra, group=None, folder=folder, members=origins["members"])
        except InputError as error:
            raise error.at(where) from None
        found += [str(one.requirement) for one in each]
        notes += [
            f"{where}: the index {one.index!r} is not obeyed, for only building told of {name}" for one in each if one.index is not None
        ]
    return tuple(dict.fromkeys(found)), tuple(dict.fromkeys(notes))


def workspace_root(folder: Path) -> Path | None:
    """The folder whose pyproject.toml makes a uv workspace that ``folder`` belongs to; None outside of one."""
    uv = table_of(table_of(read_toml(folder / "pyproject.toml"), "tool", "pyproject.toml"), "uv", "pyproject.toml: tool")
    return workspace_of(folder.absolute(), uv)[0]


def workspace_of(folder: Path, uv: Mapping[str, Any]) -> tuple[Path | None, Mapping[str, Any]]:
    """The root of the workspace that a folder belongs to, with its ``[tool.uv]``: itself, or a folder above that counts it in."""
    if isinstance(uv.get("workspace"), dict):
        return folder, uv
    for parent in folder.parents:
        candidate = parent / "pyproject.toml"
        if not candidate.is_file():
            continue
        try:
            above = (read_toml(candidate).get("tool") or {}).get("uv") or {}
        except (InputError, AttributeError):
            continue
        workspace = above.get("workspace") if isinstance(above, dict) else None
        if isinstance(workspace, dict):
            return (parent, above) if folder in _members(parent, workspace).values() else (None, uv)
    return None, uv


def _members(root: Path, workspace: Mapping[str, Any]) -> dict[str, Path]:
    def matching(key: str) -> set[Path]:
        found: set[Path] = set()
        for pattern in workspace.get(key) or ():
            try:
                found |= {path for path in root.glob(str(pattern).rstrip("/")) if (path / "pyproject.toml").is_file()}
            except (ValueError, NotImplementedError, OSError):
                continue
        return found

    folders = {root, *matching("members")} - matching("exclude")
    named = ((name_of_folder(folder), folder) for folder in sorted(folders))
    return {canonicalize_name(name): folder for name, folder in named if name}


def table_of(table: Mapping[str, Any], key: str, where: str) -> Mapping[str, Any]:
    value = table.get(key, {})
    if not isinstance(value, dict):
        raise InputError("is not a table", where=f"{where}{': ' if ':' not in where else '.'}{key}")
    return value


def _normalised(table: Mapping[str, Any]) -> dict[str, Any]:
    return {canonicalize_name(name): value for name, value in table.items()}

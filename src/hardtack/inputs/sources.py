"""Where a project says that a package comes from: a repository, a folder, a URL, a workspace, one certain index."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.markers import InvalidMarker, Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from hardtack.errors import InputError

_KINDS = ("git", "path", "url", "workspace", "index")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sourced:
    """A requirement with its source applied: its URL, its local path, or the name of its index."""

    requirement: Requirement
    path: Path | None = None
    editable: bool = False
    index: str | None = None
    index_marker: Marker | None = None
    prereleases: bool = False


def from_git(requirement: Requirement, details: Mapping[str, Any]) -> Sourced:
    """The requirement from a repository: git, and one of rev, tag, branch; subdirectory."""
    url = str(details["git"])
    if not url.startswith("git+"):
        # git@host:owner/name is ssh in git's own short form.
        if "://" not in url and "@" in url.split("/")[0] and ":" in url:
            host, _, rest = url.partition(":")
            url = f"ssh://{host}/{rest}"
        url = f"git+{url}"
    revision = details.get("rev") or details.get("tag") or details.get("branch")
    if revision:
        url += f"@{revision}"
    if details.get("subdirectory"):
        url += f"#subdirectory={details['subdirectory']}"
    return Sourced(requirement=_at(requirement, url))


def from_path(requirement: Requirement, text: str, folder: Path, *, editable: bool) -> Sourced:
    """The requirement from a folder or an archive, relative to the project's folder."""
    path = Path(os.path.normpath(folder.absolute() / text))
    if not path.exists():
        raise InputError(f"its path {text!r} is not there")
    return Sourced(requirement=_at(requirement, path.as_uri()), path=path, editable=editable and path.is_dir())


def _at(requirement: Requirement, url: str) -> Requirement:
    text = f"{requirement.name}[{','.join(sorted(requirement.extras))}]" if requirement.extras else requirement.name
    located = Requirement(f"{text} @ {url}")
    located.marker = requirement.marker
    return located


def both(first: Marker | None, second: Marker | None) -> Marker | None:
    """The marker that holds where both do."""
    if first is None or second is None:
        return first or second
    return Marker(f"({first}) and ({second})")


def apply_sources(
    requirement: Requirement, *, stated: Any, extra: str | None, group: str | None, folder: Path, members: Mapping[str, Path]
) -> list[Sourced]:
    """One requirement with its ``[tool.uv.sources]`` entry: a root for each source that concerns its extra or group.

    ``members`` are the folders of the workspace by normalised name. Where every source has a marker, the requirement stays as it was
    beside them, for what no marker covers.
    """
    tables = stated if isinstance(stated, list) else [stated]
    found: list[Sourced] = []
    covered = False
    for table in tables:
        if not isinstance(table, dict):
            raise InputError(f"{table!r} is not a table")
        for key, value in (("extra", extra), ("group", group)):
            if key in table and canonicalize_name(str(table[key])) != value:
                break
        else:
            one = _from_table(requirement, table, folder, members)
            covered = covered or "marker" not in table
            found.append(one)
    if not covered and not any(one.requirement is requirement for one in found):
        found.append(Sourced(requirement=requirement))
    return found


def _from_table(requirement: Requirement, table: Mapping[str, Any], folder: Path, members: Mapping[str, Path]) -> Sourced:
    kinds = [kind for kind in _KINDS if kind in table]
    if len(kinds) != 1:
        raise InputError(f"a source has one of {', '.join(_KINDS)}, this one has {', '.join(kinds) or 'none'}")
    try:
        marker = Marker(str(table["marker"])) if "marker" in table else None
    except InvalidMarker as error:
        raise InputError(f"its marker cannot be read: {str(error).splitlines()[0]}") from None
    limited = Requirement(str(requirement))
    limited.marker = both(requirement.marker, marker)
    match kinds[0]:
        case "git":
            return from_git(limited, table)
        case "path":
            return from_path(limited, str(table["path"]), folder, editable=bool(table.get("editable")))
        case "url":
            tail = f"#subdirectory={table['subdirectory']}" if table.get("subdirectory") else ""
            return Sourced(requirement=_at(limited, f"{table['url']}{tail}"))
        case "workspace":
            if table["workspace"] is not True:
                return Sourced(requirement=limited)
            name = canonicalize_name(requirement.name)
            if name not in members:
                raise InputError(f"{name} is no member of the workspace", hint=f"members: {', '.join(sorted(members)) or 'none'}")
            editable = table.get("editable") is not False
            return Sourced(requirement=_at(limited, members[name].as_uri()), path=members[name], editable=editable)
        case _:
            # The requirement holds everywhere; only where it comes from is limited.
            return Sourced(requirement=requirement, index=str(table["index"]), index_marker=marker)

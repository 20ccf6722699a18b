"""Indexes and what their pages say, free of credentials."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from packaging.specifiers import SpecifierSet
from packaging.version import Version


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """A place that lists files by project. ``url`` has no credentials; ``origin`` says where the user named it.

    ``kind``: "simple" (PEP 503/691) or "flat" (find-links: a folder or a page). An ``explicit`` index serves only packages pinned to it.
    ``stands_in_for``: URL prefixes whose files are to be looked for here by name and hash instead. ``absent_status``: what this index
    answers for a project that it does not have, besides 404 and 410 (some stores answer 403).
    """

    name: str
    url: str
    kind: Literal["simple", "flat"] = "simple"
    explicit: bool = False
    stands_in_for: tuple[str, ...] = ()
    absent_status: tuple[int, ...] = ()
    origin: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexFile:
    """One file as an index page lists it. ``url`` is absolute, without credentials and fragment. Sizes in bytes.

    ``sha256`` is None where the page states none. ``yanked`` is the reason (maybe empty), None when not yanked. ``metadata_sha256``: the
    digest of the PEP 658 file, "" if there is one without a digest, None if there is none.
    """

    filename: str
    url: str
    index: str
    sha256: str | None = None
    size: int | None = None
    requires_python: SpecifierSet | None = None
    yanked: str | None = None
    metadata_sha256: str | None = None
    upload_time: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectPage:
    """What one index says of one project, grouped by version. An unreadable file name is kept in ``unreadable``, not dropped silently."""

    name: str
    index: str
    files: Mapping[Version, tuple[IndexFile, ...]] = field(hash=False)
    status: str | None = None
    unreadable: tuple[str, ...] = ()

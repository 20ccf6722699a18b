"""The manifest of a wheelhouse: every file, where it came from, whom it serves, every decision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from hardtack.model.lock import HashSource, LockedRoot, Skew, Waiver


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceOrigin:
    """The folder or repository that a source archive was made of.

    ``location`` is a URL without login, or a folder as the project names it. ``commit`` is full; ``state`` says whether the files were
    those of the commit ("clean") or others ("dirty"), None where there is no telling. ``tree`` is a digest of all names, modes, contents.
    """

    kind: Literal["directory", "git"]
    location: str
    commit: str | None = None
    state: Literal["clean", "dirty"] | None = None
    tree: str | None = None
    subdirectory: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRecord:
    """How a wheel was made here: its source's digest, the backend, every build requirement as "name==version" to sha256, the sandbox.

    ``made_of``: what the source archive itself was made of, where it is no file of an index.
    ``tools``: for a compiled wheel, the C library that it was linked to and what repaired it, each with its version.
    ``compilers``: for a compiled wheel, those that the build found, each by the first line of its ``--version``.
    ``config`` and ``variables`` are what the user's recipe set, ``programs`` what it declared, each with the sha256 of its file.
    ``repeated``: whether the same bytes came out when it was built again, where that was tried.
    Nothing here tells of a time or of a folder of the machine, but what a recipe's own values tell.
    """

    source: str
    source_sha256: str
    backend: str
    requires: Mapping[str, str] = field(hash=False)
    sandbox: str
    python: str
    made_of: SourceOrigin | None = None
    tools: Mapping[str, str] | None = field(default=None, hash=False)
    compilers: Mapping[str, str] | None = field(default=None, hash=False)
    config: Mapping[str, tuple[str, ...]] | None = field(default=None, hash=False)
    variables: Mapping[str, str] | None = field(default=None, hash=False)
    programs: Mapping[str, str] | None = field(default=None, hash=False)
    repeated: Literal["same", "differs"] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestFile:
    """One wheel of the wheelhouse. ``path`` is relative to it, with "/".

    ``origin`` is a URL without credentials, "built", "file" where it was given by its place, or "foreign": copied in by hand and kept by
    choice.
    """

    filename: str
    path: str
    sha256: str
    size: int
    name: str
    version: str
    targets: tuple[str, ...]
    origin: str
    index: str | None = None
    hash_source: HashSource = "lock"
    build: BuildRecord | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestSource:
    """One source archive beside the wheels. ``path`` is relative to the wheelhouse, with "/"; ``origin`` as of a wheel.

    ``made_of``: what it was made of here, where it is no file of an index; its origin is then "built".
    """

    filename: str
    path: str
    sha256: str
    size: int
    name: str
    version: str
    origin: str
    index: str | None = None
    hash_source: HashSource = "lock"
    requires_python: str | None = None
    made_of: SourceOrigin | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """For one target: this package is at this version, by this file, where ``marker`` (on python_full_version) holds, or everywhere."""

    target: str
    name: str
    version: str
    filename: str
    marker: str | None = None
    requires_url: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What ``wheelhouse.json`` says. ``targets`` maps a target's name to its description as the catalog writes it.

    ``generated``: every other file that belongs to the wheelhouse, as (path, sha256). ``leftovers``: files of earlier runs that nothing
    here needs and that were kept, likewise. ``project``: the name of the project that this was made for, whose own wheel need not be here.
    ``sources``: the source archives that are kept beside the wheels, by choice.
    """

    layout: Literal["flat", "by-target"]
    targets: Mapping[str, Mapping[str, Any]] = field(hash=False)
    files: tuple[ManifestFile, ...]
    pins: tuple[Pin, ...]
    roots: tuple[LockedRoot, ...] = ()
    waivers: tuple[Waiver, ...] = ()
    skews: tuple[Skew, ...] = ()
    gaps: tuple[Mapping[str, Any], ...] = field(default=(), hash=False)
    generated: tuple[tuple[str, str], ...] = ()
    leftovers: tuple[tuple[str, str], ...] = ()
    schema: int = 1
    project: str | None = None
    sources: tuple[ManifestSource, ...] = ()

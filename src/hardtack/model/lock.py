"""The lock: for every target, which version of what, and which files that version has (PEP 751)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote, urlsplit

from packaging.markers import Marker
from packaging.specifiers import SpecifierSet
from packaging.version import Version

HashSource = Literal["lock", "index", "user", "first-seen"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedFile:
    """A file is (index, filename, sha256); its URL is a hint. Sizes in bytes, None where nobody states one.

    ``sha256`` is None only until the first fetch, where neither lock nor index states a digest; ``hash_source`` says who stated it.
    ``other_hashes`` ("algorithm:digest") were stated where no sha256 was: they must hold when the file is first seen.
    """

    filename: str
    url: str
    sha256: str | None
    size: int | None = None
    index: str | None = None
    hash_source: HashSource = "lock"
    upload_time: str | None = None
    yanked: str | None = None
    other_hashes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A package that is no file of an index: a folder, a repository at a full commit, or an archive behind a URL.

    ``location`` is an absolute path for "directory", else a URL. ``requested`` is the branch or tag that the user wrote.
    """

    kind: Literal["directory", "vcs", "archive"]
    location: str
    editable: bool = False
    subdirectory: str | None = None
    commit: str | None = None
    requested: str | None = None
    sha256: str | None = None
    size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """One package needs another: ``extras`` asked of it, by a marker (its text) or always, from the package or one of its extras."""

    name: str
    version: str | None = None
    marker: str | None = None
    extras: tuple[str, ...] = ()
    extra: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedPackage:
    """One version of a package. It is for a target if the target is among ``targets`` (None: any) and ``marker`` holds there."""

    name: str
    version: Version | None
    marker: Marker | None = None
    targets: frozenset[str] | None = None
    index: str | None = None
    requires_python: SpecifierSet | None = None
    wheels: tuple[LockedFile, ...] = ()
    sdist: LockedFile | None = None
    source: Source | None = None
    dependencies: tuple[Edge, ...] = ()
    note: str | None = None

    @property
    def archive(self) -> LockedFile | None:
        """The one file of a package that comes from an archive behind a URL: a wheel or a source archive, by its name."""
        source = self.source
        if source is None or source.kind != "archive":
            return None
        filename = unquote(urlsplit(source.location).path).rsplit("/", 1)[-1]
        return LockedFile(filename=filename, url=source.location, sha256=source.sha256, size=source.size)


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedRoot:
    """A requirement that the lock answers: its text, where it stood, and the extra or group that brought it."""

    requirement: str
    origin: str
    scope: Literal["runtime", "development"] = "runtime"
    extra: str | None = None
    group: str | None = None
    targets: frozenset[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """A declared departure from what packages' metadata ask for: shown with every proof that leans on it."""

    kind: Literal["override", "exclude"]
    requirement: str
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Skew:
    """One package has several versions in the lock, and this is why, told by target."""

    name: str
    versions: tuple[tuple[str, tuple[str, ...]], ...]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedBuild:
    """What builds that ask for ``requires`` get in one kind of interpreter: exact files, wheels or sources that are built first.

    ``environment`` names the interpreter's ABI and platform, without patch or floor ("cpython 3.12, linux x86_64 glibc"). ``requires``
    are all that is asked for, static and dynamic, sorted. ``sources`` are the (file name, sha256) of the archives that ask for it; what
    is asked for a folder is under its name and "".
    """

    environment: str
    requires: tuple[str, ...]
    packages: tuple[LockedPackage, ...]
    sources: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """A whole resolution. ``targets`` are names; empty when the lock was not made for named targets (a user's own pylock.toml).

    ``origin`` says whose lock it is: "hardtack", "uv.lock", "pylock.toml". ``inputs_digest`` is the sha256 of what it was made from.
    """

    packages: tuple[LockedPackage, ...]
    roots: tuple[LockedRoot, ...] = ()
    targets: tuple[str, ...] = ()
    environments: tuple[Marker, ...] = ()
    requires_python: SpecifierSet | None = None
    extras: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    default_groups: frozenset[str] = frozenset()
    waivers: tuple[Waiver, ...] = ()
    skews: tuple[Skew, ...] = ()
    origin: str = "hardtack"
    inputs_digest: str | None = None
    exclude_newer: str | None = None
    builds: tuple[LockedBuild, ...] = ()

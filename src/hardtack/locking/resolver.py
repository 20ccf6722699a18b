"""The resolver port: what is asked of a resolver, and the three things it may answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from packaging.version import Version

from hardtack.model.lock import LockedPackage
from hardtack.model.requirements import FormatControl, IndexPin


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownMetadata:
    """What a source distribution requires, learned without the resolver running its code. ``requires`` are Requires-Dist texts."""

    name: str
    version: str
    requires: tuple[str, ...]
    requires_python: str | None = None
    extras: tuple[str, ...] = ()


_ANY_FORMAT = FormatControl()


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One resolution: requirements in PEP 508's words, for every one of ``environments`` (disjoint marker texts) at once.

    ``preferences`` are versions to keep where nothing speaks against it. ``index_pins`` hold for packages that nobody asks for by name too.
    """

    requirements: tuple[str, ...]
    environments: tuple[str, ...]
    lowest_python: tuple[int, int]
    constraints: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    metadata: tuple[KnownMetadata, ...] = ()
    preferences: tuple[tuple[str, Version], ...] = ()
    index_pins: tuple[IndexPin, ...] = ()
    formats: FormatControl = _ANY_FORMAT
    prereleases: bool = False
    prerelease_packages: frozenset[str] = frozenset()
    exclude_newer: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """A solution: every package with its marker, files and edges."""

    packages: tuple[LockedPackage, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedsMetadata:
    """Only a build can tell what this source distribution requires; ask again with a ``KnownMetadata`` for it.

    ``indexes`` are those that it is pinned to, by name; None where it is not.
    """

    name: str
    version: str
    indexes: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NoSolution:
    """The requirements contradict each other, or name something that no index has; ``explanation`` is the resolver's own.

    ``wheelless``: (normalised name, version where it was one) of what the resolver gave up on because none of its wheels fits and it has
    no source.
    """

    explanation: str
    wheelless: tuple[tuple[str, str | None], ...] = ()


class Resolver(Protocol):
    """Something that can choose versions. hardtack does not: it judges what was chosen."""

    def resolve(self, question: Question, *, cached: bool = False) -> Resolution | NeedsMetadata | NoSolution:
        """Answer a question. ``cached`` allows an answer from what was fetched a moment ago, without asking the indexes again."""
        ...

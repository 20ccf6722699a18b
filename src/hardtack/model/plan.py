"""The plan: for every target and package one decision, with its reason."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hardtack.model.lock import LockedFile, LockedPackage


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """A candidate that was not taken, and why ("built for cp311", "needs glibc 2.34", "an older build tag")."""

    filename: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """This wheel is fetched for the target."""

    file: LockedFile
    rejected: tuple[Rejected, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """A wheel is to be built for the target from the package's sdist or source, because ``reason``."""

    reason: str
    rejected: tuple[Rejected, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Nothing can serve the target. ``code`` is a finding's code, ``hint`` what would fill it."""

    code: str
    reason: str
    rejected: tuple[Rejected, ...] = ()
    hint: str | None = None


Decision = Take | Build | Gap


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanEntry:
    """What is decided for one package on one target. ``points``: the python_full_versions of the target at which it is wanted."""

    target: str
    package: LockedPackage
    decision: Decision
    points: tuple[str, ...]
    marker: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Every decision, ordered by package then target."""

    entries: tuple[PlanEntry, ...]
    targets: tuple[str, ...]

    def files(self) -> Iterator[LockedFile]:
        """Each distinct wheel to fetch, once, in the plan's order; sdists to build from are not among them."""
        seen: set[tuple[str, str | None]] = set()
        for entry in self.entries:
            if isinstance(entry.decision, Take):
                file = entry.decision.file
                key = (file.filename, file.sha256)
                if key not in seen:
                    seen.add(key)
                    yield file

    def builds(self) -> Iterator[tuple[LockedPackage, tuple[str, ...]]]:
        """Each package to build, with the names of the targets that want it."""
        wanted: dict[int, tuple[LockedPackage, list[str]]] = {}
        for entry in self.entries:
            if isinstance(entry.decision, Build):
                wanted.setdefault(id(entry.package), (entry.package, []))[1].append(entry.target)
        for package, targets in wanted.values():
            yield package, tuple(targets)

    def gaps(self) -> Iterator[PlanEntry]:
        """The entries that nothing can serve."""
        return (entry for entry in self.entries if isinstance(entry.decision, Gap))

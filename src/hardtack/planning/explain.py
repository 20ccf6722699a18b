"""Why a target gets nothing, and what would help. Pure: index pages are given by whoever may look them up."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from packaging.utils import canonicalize_name
from packaging.version import Version

from hardtack.model.fit import Fit, operating_system, read_wheel_name
from hardtack.model.index import IndexFile, ProjectPage
from hardtack.model.lock import Lock, LockedPackage
from hardtack.model.marker import specifier_cuts
from hardtack.model.plan import PlanEntry
from hardtack.model.stretches import Stretches
from hardtack.model.target import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A file that would serve the target, were its version the one that is locked."""

    version: Version
    filename: str
    index: str
    yanked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Help:
    """What would fill a gap, in words, and the files that would, the most useful first."""

    hint: str | None
    candidates: tuple[Candidate, ...] = ()


def what_would_help(entry: PlanEntry, target: Target, pages: Mapping[str, tuple[ProjectPage, ...]]) -> Help:
    """What would serve ``target`` in place of a gap: other files of this version, other versions, another floor, a build.

    A candidate fits the target's tags and Python and nothing else: whether the other packages allow that version is the resolver's to say.
    ``pages`` maps normalised names to what each index says of the project; without a page the answer rests on the lock alone.
    """
    package = entry.package
    fit = Fit(target)
    candidates = other_versions(pages.get(package.name, ()), fit)
    same = [one for one in candidates if one.version == package.version]
    parts: list[str] = []
    if same and not any(file.filename == same[0].filename for file in package.wheels):
        parts.append(f"{same[0].index} has {same[0].filename}, which the lock does not name: lock again")
    chosen = nearest_versions(package.version, candidates)
    if chosen:
        versions = ", ".join(f"{one.version} ({one.filename})" for one in chosen)
        parts.append(f"other versions have a wheel for this target: {versions}")
    if local := hint_for(package, fit):
        parts.append(local)
    if not parts and pages.get(package.name) and package.version is not None:
        parts.append("no version of it on these indexes has a wheel for this target")
    return Help(hint="; ".join(parts) or None, candidates=(*same, *chosen))


def askers(package: LockedPackage, lock: Lock) -> tuple[str, ...]:
    """Who asks for a package by name, as far as the lock knows: its roots and its edges, with their markers."""
    found = [f"{root.origin}: {root.requirement}" for root in lock.roots if _name(root.requirement) == package.name]
    for other in lock.packages:
        for edge in other.dependencies:
            if edge.name == package.name and edge.version in (None, str(package.version)):
                extras = f"[{','.join(edge.extras)}]" if edge.extras else ""
                own = f"[{edge.extra}]" if edge.extra else ""
                found.append(f"{other.name}{own} {other.version or ''}: {edge.name}{extras}{f' ; {edge.marker}' if edge.marker else ''}")
    return tuple(dict.fromkeys(found))


def _name(requirement: str) -> str:
    return canonicalize_name(re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0])


def hint_for(package: LockedPackage, fit: Fit) -> str | None:
    """What the lock's own files say would help: a floor at which a wheel fits, an sdist to build, the systems it is made for."""
    target = fit.target
    read = (read_wheel_name(file.filename) for file in package.wheels)
    names = [name for name in read if name is not None and name.name == package.name]
    parts: list[str] = []
    floors = [floor for name in names if (floor := fit.floor(name.tags)) is not None]
    if floors and target.platform.floor is not None and min(floors) > target.platform.floor:
        major, minor = min(floors)
        what = "macOS" if target.platform.os == "macos" else target.platform.libc or "ABI"
        parts.append(f"a target with {what} {major}.{minor} would take a wheel of it, if the host has that")
    systems = {operating_system(name.tags) for name in names}
    if len(systems) == 1 and (only := systems.pop()) is not None and only.lower() != target.platform.os and not floors:
        parts.append(f"its wheels are only for {only}")
    if package.sdist is not None:
        parts.append(f"an sdist exists, {package.sdist.filename}: it serves where building it is allowed and can be done")
    return "; ".join(parts) or None


def other_versions(pages: Iterable[ProjectPage], fit: Fit) -> tuple[Candidate, ...]:
    """The best wheel of each version that fits, from the first index that has it, the newest version first."""
    found: dict[Version, Candidate] = {}
    for version, file in sorted(_fitting(pages, fit), key=lambda pair: pair[0], reverse=True):
        if version not in found:
            found[version] = Candidate(version=version, filename=file.filename, index=file.index, yanked=file.yanked is not None)
    return tuple(found.values())


def _fitting(pages: Iterable[ProjectPage], fit: Fit) -> Iterator[tuple[Version, IndexFile]]:
    for page in pages:
        for version, files in page.files.items():
            best: tuple[tuple[int, int, str], IndexFile] | None = None
            for file in files:
                parts = read_wheel_name(file.filename)
                order = fit.order(parts.tags, parts.build) if parts is not None else None
                if order is not None and (best is None or order > best[0]) and _python_fits(file, fit.target):
                    best = order, file
            if best is not None:
                yield version, best[1]


def _python_fits(file: IndexFile, target: Target) -> bool:

    stretches = Stretches(target, specifier_cuts(file.requires_python))
    return stretches.fits(file.requires_python) == stretches.all


def nearest_versions(version: Version | None, candidates: Iterable[Candidate]) -> tuple[Candidate, ...]:
    """The next newer, the next older and the newest of all, without yanked files and without pre-releases where there are others."""
    others = [one for one in candidates if one.version != version and not one.yanked]
    others = [one for one in others if not one.version.is_prerelease] or others
    if version is None or not others:
        return tuple(others[:1])
    newer = [one for one in others if one.version > version]
    older = [one for one in others if one.version < version]
    return tuple(dict.fromkeys([*newer[-1:], *older[:1], *newer[:1]]))

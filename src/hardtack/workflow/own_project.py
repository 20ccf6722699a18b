"""The project's own wheel, and what building it takes, beside a lock that has neither: another tool's."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from hardtack.errors import IndexFault, LockError, StaleLock
from hardtack.inputs.building import narrowed
from hardtack.locking.lock import locked_roots
from hardtack.locking.resolver import KnownMetadata
from hardtack.model.lock import Lock, LockedPackage, Source
from hardtack.model.requirements import FormatControl, Origin, Requirements, RootRequirement
from hardtack.reporting import Reporter
from hardtack.workflow.yard import FAULTS, Yard

_HINT = "--no-build-requirements leaves them out without a word; a wheelhouse of their own: hardtack build {requirements} -o DIR"


def known_of_project(requirements: Requirements) -> tuple[KnownMetadata, ...]:
    """The project as a resolver needs to know it: all that it states is asked for already. Nothing where only its backend can tell."""
    if not requirements.project_roots or {"dependencies", "optional-dependencies"} & set(requirements.dynamic):
        return ()
    root = requirements.project_roots[0]
    if root.path is None or not root.path.is_dir():
        return ()
    # Its version is not asked for, and is the backend's to tell.
    return (KnownMetadata(name=root.requirement.name, version="0", requires=(), extras=tuple(sorted(requirements.extras))),)


def without_build_requirements(requirements: Requirements) -> Requirements:
    """The requirements without those of the build."""
    return replace(requirements, roots=tuple(root for root in requirements.roots if root not in requirements.build_roots), build_roots=())


def with_dynamic_build_requirements(requirements: Requirements, yard: Yard, reporter: Reporter) -> Requirements:
    """The requirements with what the project's backend asks for besides what it states: installing it editable, unisolated, takes that.

    Where it cannot be asked, a warning, and what is stated.
    """
    places = [root.path for root in requirements.project_roots if root.path is not None and root.path.is_dir()]
    if not requirements.build_roots or not places or requirements.project_name is None:
        return requirements
    try:
        asked = yard.besides(requirements.project_name, _source(places[0]))
    except FAULTS as error:
        reporter.warning(
            f"what the project's build requires besides what it states cannot be told: {error.reason.splitlines()[0]}",
            hint="--no-build-requirements leaves what building the project requires out, and does not ask",
        )
        return requirements
    stated = requirements.build_roots[0]
    origin = replace(stated.origin, key=f"{stated.origin.key}, asked of its backend")
    known = set(requirements.build_roots)
    roots = narrowed([replace(stated, requirement=requirement, origin=origin) for requirement in asked], requirements.build_constraints)
    roots = tuple(root for root in roots if root not in known)
    return replace(requirements, roots=(*requirements.roots, *roots), build_roots=(*requirements.build_roots, *roots))


def with_project(lock: Lock, requirements: Requirements) -> Lock:
    """The lock with the project itself in it, from its folder or from the wheel that was given; without it where it is not wanted."""
    name = requirements.project_name
    others = tuple(package for package in lock.packages if not _is_project(package, name))
    if not requirements.project_roots:
        return replace(lock, packages=others)
    place = requirements.project_roots[0].path
    assert place is not None and name is not None
    package = LockedPackage(name=name, version=None, source=_source(place))
    return replace(lock, packages=tuple(sorted((*others, package), key=lambda one: (one.name, str(one.version)))))


def _source(place: Path) -> Source:
    if place.is_dir():
        return Source(kind="directory", location=str(place))
    data = place.read_bytes()
    return Source(kind="archive", location=place.as_uri(), sha256=hashlib.sha256(data).hexdigest(), size=len(data))


def _is_project(package: LockedPackage, name: str | None) -> bool:
    return package.name == name and package.source is not None and package.source.kind == "directory"


def with_build_requirements(lock: Lock, requirements: Requirements, *, resolve: Callable[[Requirements], Lock], reporter: Reporter) -> Lock:
    """The lock with what the project's build requires, at versions that go with its own; where none do, without it and with a warning."""
    asked = requirements.build_roots
    if not asked:
        return lock
    origins = {str(root.origin) for root in asked}
    have = {package.name for package in lock.packages}
    pins = tuple(
        RootRequirement(
            requirement=Requirement(f"{package.name}=={package.version}" + (f" ; {package.marker}" if _is_plain(package) else "")),
            origin=Origin(place=lock.origin),
        )
        for package in lock.packages
        if package.version is not None and package.source is None and (package.marker is None or _is_plain(package))
    )
    alone = Requirements(
        roots=asked,
        constraints=(*requirements.constraints, *pins),
        overrides=requirements.overrides,
        excludes=requirements.excludes,
        formats=FormatControl(),
        requires_python=requirements.requires_python,
        prereleases=requirements.prereleases,
        prerelease_packages=requirements.prerelease_packages,
        index_pins=requirements.index_pins,
    )
    try:
        found = resolve(alone)
    except StaleLock:
        raise
    except (LockError, IndexFault) as error:
        warn_of_build_requirements(asked, error, reporter)
        return replace(lock, roots=tuple(root for root in lock.roots if root.origin not in origins))
    # A lock of an earlier run has packages that nothing asks for any more.
    reached = _reached(asked, found)
    more = tuple(package for package in found.packages if package.name in reached - have)
    roots = [root for root in locked_roots(asked) if root not in lock.roots]
    return replace(lock, packages=tuple(sorted((*lock.packages, *more), key=_order)), roots=(*lock.roots, *roots))


def warn_of_build_requirements(roots: tuple[RootRequirement, ...], error: Exception, reporter: Reporter) -> None:
    """Say that the build requirements are left out, and why."""
    names = ", ".join(str(root.requirement) for root in roots)
    words = " ".join(str(error).split())
    reporter.warning(
        f"what the project's build requires ({names}) is left out, for it does not go with the rest: {words[:600]}",
        hint=_HINT.format(requirements=" ".join(f"'{root.requirement}'" for root in roots)),
    )


def _reached(roots: tuple[RootRequirement, ...], lock: Lock) -> set[str]:
    """The names of the roots, and of all that they need in a lock."""
    reached: set[str] = set()
    left: set[str] = {canonicalize_name(root.requirement.name) for root in roots}
    while left:
        reached |= left
        left = {edge.name for package in lock.packages if package.name in left for edge in package.dependencies} - reached
    return reached


def _is_plain(package: LockedPackage) -> bool:
    return package.marker is not None and not any(word in str(package.marker) for word in ("extra", "dependency_groups"))


def _order(package: LockedPackage) -> tuple[str, str]:
    return canonicalize_name(package.name), str(package.version)

"""Obtain the lock of a run: obeyed where one exists, remembered where nothing changed, else made."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from hardtack.errors import HardtackError, InputError, LockError, StaleLock
from hardtack.inputs.read import read_inputs
from hardtack.inputs.uv_lock import export_uv_lock
from hardtack.locking.classes import selections
from hardtack.locking.lock import LockSettings, locked_roots, merge_locks, selected_roots
from hardtack.model.lock import Lock, LockedRoot
from hardtack.model.requirements import Requirements
from hardtack.model.target import Target
from hardtack.planning.plan import Policy, plan
from hardtack.reporting import Reporter
from hardtack.system import environ
from hardtack.system.cancellation import Cancellation
from hardtack.targets.catalog import describe
from hardtack.wheelhouse.pylock import read_pylock, read_target_descriptions
from hardtack.wheelhouse.uv_lock import read_edges
from hardtack.workflow.own_project import (
    known_of_project,
    warn_of_build_requirements,
    with_build_requirements,
    with_dynamic_build_requirements,
    with_project,
    without_build_requirements,
)
from hardtack.workflow.reading import Job
from hardtack.workflow.resolving import resolve
from hardtack.workflow.supplies import Supplies
from hardtack.workflow.yard import Yard

# A lock of an earlier run, and the descriptions of the targets that it was made for.
_Previous = tuple[Lock, Mapping[str, Mapping[str, object]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A lock for the run. ``obeyed``: it was there and is the user's; ``unchanged``: nothing was resolved to have it."""

    lock: Lock
    obeyed: bool = False
    unchanged: bool = False


def choose(yard: Yard, *, reporter: Reporter, stop: Cancellation, remembered: Path | None = None) -> Chosen:
    """The lock for a job.

    ``remembered`` is where an earlier run left its lock: the same if the inputs are, else what it chose is kept where it can be.
    Raises StaleLock where a lock that is to be obeyed does not answer the project any more.
    """
    job = yard.job
    previous = _previous(remembered)
    yard.tools.know(previous[0].builds if previous is not None else ())
    if job.lock_file is not None:
        return Chosen(lock=_obeyed(yard, previous, reporter, stop), obeyed=True, unchanged=True)
    requirements = with_dynamic_build_requirements(job.requirements, yard, reporter)
    digest = job.digest()
    # What only a build tells is in the proof in any case.
    settled = job.options.locked or not (job.options.upgrade or job.tells_late)
    if previous is not None and settled and _answers(previous, digest, requirements, job.targets):
        return Chosen(lock=previous[0], unchanged=True)
    if job.options.locked:
        raise _not_locked(previous, remembered)
    reporter.stage("locking")
    settings = LockSettings(
        known=known_of_project(requirements),
        previous=previous[0] if previous is not None else None,
        upgrade=job.options.upgrade,
        exclude_newer=job.exclude_newer,
        inputs_digest=digest,
    )
    try:
        return Chosen(lock=_resolved(requirements, settings, yard, reporter, stop))
    except LockError as error:
        if not requirements.build_roots:
            raise
        made = _resolved(without_build_requirements(requirements), settings, yard, reporter, stop)
        warn_of_build_requirements(requirements.build_roots, error, reporter)
        return Chosen(lock=made)


def _obeyed(yard: Yard, previous: _Previous | None, reporter: Reporter, stop: Cancellation) -> Lock:
    """The lock that lies there; one of another tool's with the project and what its build requires beside it."""
    job = yard.job
    assert job.lock_file is not None
    reporter.stage("reading", detail=job.lock_file.path.name)
    if job.lock_file.kind == "uv.lock":
        found = with_project(_from_uv_lock(job, yard.supplies, stop), job.requirements)
    else:
        found = _from_pylock(job, job.lock_file.path)
        yard.tools.know(found.builds)
        if found.origin == "hardtack":
            return found
        found = with_project(found, job.requirements) if job.requirements.project_roots else found

    def resolve_build(asked: Requirements) -> Lock:
        if not job.options.locked:
            return _resolved(asked, LockSettings(exclude_newer=job.exclude_newer), yard, reporter, stop)
        if previous is None:
            raise StaleLock(
                "nothing says which versions of what building the project requires are locked",
                where=str(job.lock_file.path) if job.lock_file is not None else None,
                hint="run once without --locked, or leave them out with --no-build-requirements",
            )
        return previous[0]

    requirements = with_dynamic_build_requirements(job.requirements, yard, reporter)
    return with_build_requirements(found, requirements, resolve=resolve_build, reporter=reporter)


def _not_locked(previous: _Previous | None, remembered: Path | None) -> StaleLock:
    if previous is None:
        return StaleLock(
            "there is no lock to obey",
            where=str(remembered) if remembered is not None else None,
            hint="`hardtack lock` makes one; without --locked, build makes one too and keeps it in the wheelhouse",
        )
    return StaleLock(
        "it was made from other requirements, settings or targets than are asked for now",
        where=str(remembered),
        hint="the same command without --locked makes it anew",
    )


def _resolved(requirements: Requirements, settings: LockSettings, yard: Yard, reporter: Reporter, stop: Cancellation) -> Lock:
    """Requirements resolved for the targets of a job, from its indexes."""
    return resolve(requirements, yard.job.targets, settings, supplies=yard.supplies, describe=yard.describe, reporter=reporter, stop=stop)


def _previous(path: Path | None) -> _Previous | None:
    if path is None or not path.is_file():
        return None
    try:
        text = path.read_text(encoding="utf-8")
        found = read_pylock(text, where=str(path), base=path.parent)
    except (OSError, HardtackError, UnicodeDecodeError):
        return None  # what an earlier run left is a convenience, never a reason to fail
    return (found, read_target_descriptions(text)) if found.origin == "hardtack" else None


def _answers(previous: _Previous, digest: str, requirements: Requirements, targets: Sequence[Target]) -> bool:
    found, descriptions = previous
    known = {root.requirement for root in found.roots}
    # What a backend asks for is no part of the digest: nobody wrote it down.
    asked = all(str(root.requirement) in known for root in requirements.build_roots)
    return asked and found.inputs_digest == digest and {target.name: describe(target) for target in targets} == dict(descriptions)


def _from_pylock(job: Job, path: Path) -> Lock:
    text = path.read_text(encoding="utf-8")
    found = read_pylock(text, where=str(path), base=path.parent)
    if found.origin != "hardtack":
        # It names no roots: everything that it locks is asked for, each package by its exact version.
        found = replace(found, roots=_roots_of_everything(found, path, job))
        return replace(found, roots=_and_asked(found, job))
    missing = [target.name for target in job.targets if target.name not in found.targets]
    if missing:
        raise StaleLock(
            f"it was not made for {', '.join(missing)}",
            where=str(path),
            hint=f"lock again: hardtack lock {' '.join(f'-t {name}' for name in [*found.targets, *missing])}",
        )
    named = any(Path(location).name == path.name for location in job.inputs.requirement_files)
    if job.inputs.lock_file is None and not named:
        asked = read_inputs(replace(job.inputs, use_lock=False), job.configuration, environment=job.environment, fetch_text=_no_urls)
        asked = replace(asked, formats=job.formats, prereleases=asked.prereleases)
        if job.digest(asked) != found.inputs_digest:
            raise StaleLock(
                "it was made from other requirements or settings than the project has now",
                where=str(path),
                hint="`hardtack lock` makes it anew; `--no-lock` leaves it aside; `--lock-file` obeys it all the same",
            )
    return replace(found, roots=_and_asked(found, job))


def _and_asked(found: Lock, job: Job) -> tuple[LockedRoot, ...]:
    """A lock's roots, and what the project or the command line asks for besides: it must hold all of that, or the proof says what it lacks.

    Groups that another tool's lock does not name were not to be in it, unless they are asked for.
    """
    known = {root.requirement for root in found.roots}
    wanted = found.groups | found.default_groups | (job.inputs.groups or frozenset())
    asked = [root for root in locked_roots(job.requirements.roots) if root.requirement not in known]
    return (*found.roots, *(root for root in asked if root.group is None or root.group in wanted))


def _no_urls(url: str) -> str:
    raise InputError("a requirements file behind a URL cannot be compared with a lock", where=url)


def _roots_of_everything(found: Lock, path: Path, job: Job) -> tuple[LockedRoot, ...]:
    """A root for whatever the lock has for a target, by its exact version: its markers, extras and groups are PEP 751's."""
    users: dict[str, list[str]] = {}
    for entry in plan(found, job.targets, Policy(formats=job.formats)).entries:
        exact = f"=={entry.package.version}" if entry.package.version is not None else ""
        marker = f" ; {entry.marker}" if entry.marker else ""
        users.setdefault(f"{entry.package.name}{exact}{marker}", []).append(entry.target)
    return tuple(LockedRoot(requirement=text, origin=path.name, targets=frozenset(names)) for text, names in users.items())


def _from_uv_lock(job: Job, supplies: Supplies, stop: Cancellation) -> Lock:
    """uv's own export of the project's uv.lock, one for each selection among the targets."""
    assert job.lock_file is not None
    path = job.lock_file.path
    # Of a workspace whose root is no project of its own, all the members are what is meant.
    members_of_workspace = path.parent == job.project_dir and _is_virtual_workspace(path.parent / "pyproject.toml")
    edges = read_edges(path.read_text(encoding="utf-8"), where=str(path))
    parts: list[tuple[Lock, tuple[Target, ...]]] = []
    supplies.cache_dir.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".hardtack-export-", dir=supplies.cache_dir) as folder:
        guard = supplies.uv.guard_interpreter(Path(folder) / "guard", environ.interpreter(), stop=stop)
        for selection, members in selections(job.targets):
            text = export_uv_lock(
                path.parent,
                supplies.uv,
                extras=selection.extras or frozenset(),
                groups=selection.groups or frozenset(),
                all_packages=members_of_workspace,
                runtime="runtime" in job.inputs.sets,
                guard_python=guard,
                stop=stop,
            )
            found = read_pylock(text, where=str(path), base=path.parent)
            packages = tuple(
                replace(package, dependencies=edges.get((package.name, str(package.version) if package.version else None), ()))
                for package in found.packages
            )
            roots = locked_roots(selected_roots(job.requirements, selection))
            parts.append((replace(found, packages=packages, roots=roots), members))
    return replace(merge_locks(parts), origin="uv.lock", inputs_digest=job.digest())


def _is_virtual_workspace(pyproject: Path) -> bool:
    tables = tomllib.loads(pyproject.read_text(encoding="utf-8"))
    return "project" not in tables and "workspace" in tables.get("tool", {}).get("uv", {})

"""Obtain the lock of a run: obeyed where one exists, remembered where nothing changed, else made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hardtack.errors import HardtackError, LockError, StaleLock
from hardtack.locking.lock import LockSettings, locked_roots
from hardtack.model.lock import Lock
from hardtack.model.requirements import Requirements
from hardtack.model.target import Target
from hardtack.reporting import Reporter
from hardtack.system.cancellation import Cancellation
from hardtack.targets.catalog import describe
from hardtack.wheelhouse.pylock import read_pylock, read_target_descriptions
from hardtack.workflow.locks import from_pylock, from_uv_lock
from hardtack.workflow.own_project import (
    known_of_project,
    warn_of_build_requirements,
    with_build_requirements,
    with_dynamic_build_requirements,
    with_project,
    without_build_requirements,
)
from hardtack.workflow.resolving import resolve
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
    digest = job.digest()
    current = job.options.locked or (previous is not None and previous[0].inputs_digest == digest)
    yard.tools.know(previous[0].builds if previous is not None else (), obeyed=current or job.lock_file is not None, current=current)
    if job.lock_file is not None:
        return Chosen(lock=_obeyed(yard, previous, reporter, stop), obeyed=True, unchanged=True)
    requirements = with_dynamic_build_requirements(job.requirements, yard, reporter)
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
        found = with_project(from_uv_lock(job, yard.supplies.uv, stop), job.requirements)
    else:
        found = from_pylock(job, job.lock_file.path)
        if found.origin == "hardtack":
            yard.tools.know(found.builds, obeyed=True, current=True)
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
    asked = all(root.requirement in known for root in locked_roots(requirements.build_roots))
    return asked and found.inputs_digest == digest and {target.name: describe(target) for target in targets} == dict(descriptions)

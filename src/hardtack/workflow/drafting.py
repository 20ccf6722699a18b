"""A draft: the lock and the plan of a job, with everything open that questions about it need. Nothing is fetched but metadata."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from hardtack.building.serves import BuildGap, build_gaps, matches
from hardtack.errors import HardtackError
from hardtack.model.fit import read_wheel_name
from hardtack.model.lock import Lock, LockedPackage
from hardtack.model.plan import Build, Gap, Plan, PlanEntry
from hardtack.model.target import Target
from hardtack.planning.plan import Policy, plan
from hardtack.planning.remedies import Typed
from hardtack.reporting import Reporter
from hardtack.system.cancellation import Cancellation
from hardtack.targets.names import name_of
from hardtack.workflow.choosing import choose
from hardtack.workflow.files import wanted_file
from hardtack.workflow.reading import Job
from hardtack.workflow.supplies import Supplies, open_supplies
from hardtack.workflow.yard import Yard


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A job with its lock and plan. ``obeyed``: the lock was there and is the user's."""

    job: Job
    yard: Yard
    lock: Lock
    plan: Plan
    obeyed: bool

    @property
    def supplies(self) -> Supplies:
        """The indexes and the store."""
        return self.yard.supplies


@contextmanager
def opened(job: Job, *, reporter: Reporter, stop: Cancellation) -> Iterator[Yard]:
    """The yard of a job, its supplies open."""
    with (
        open_supplies(
            job.settings,
            job.credentials,
            cache_dir=job.cache_dir,
            environment=job.environment,
            require_sandbox=job.options.require_sandbox,
            reporter=reporter,
            stop=stop,
        ) as supplies,
        Yard(job, supplies, reporter=reporter, stop=stop) as yard,
    ):
        yield yard


@contextmanager
def drafted(job: Job, *, reporter: Reporter, stop: Cancellation) -> Iterator[Draft]:
    """Choose and plan as ``build --dry-run`` does, and keep everything open."""
    with opened(job, reporter=reporter, stop=stop) as yard:
        chosen = choose(yard, reporter=reporter, stop=stop, remembered=job.output / "pylock.toml")
        yard.choose(chosen.lock)
        reporter.stage("planning")
        yield Draft(job=job, yard=yard, lock=chosen.lock, plan=planned(chosen.lock, job), obeyed=chosen.obeyed)


def planned(lock: Lock, job: Job) -> Plan:
    """The plan that the job's own options make of a lock."""
    return plan(lock, job.targets, Policy(formats=job.formats, require_stated_hashes=job.options.require_stated_hashes))


def unmade(entries: Sequence[PlanEntry], yard: Yard, typed: Typed, *, targets: Sequence[Target]) -> Mapping[tuple[str, str], BuildGap]:
    """By (package, target): the builds among these entries that nothing on this machine can make, as far as that shows beforehand.

    What is pure serves everybody, and what becomes of a source shows when it is built: only what is compiled by all signs is here.
    """
    by_name = {target.name: target for target in targets}
    wanted: dict[str, list[PlanEntry]] = {}
    for entry in entries:
        if isinstance(entry.decision, Build) or (isinstance(entry.decision, Gap) and entry.decision.code == "only-binary"):
            wanted.setdefault(entry.package.name, []).append(entry)
    found: dict[tuple[str, str], BuildGap] = {}
    for name, alike in wanted.items():
        package = alike[0].package
        interpreters = yard.interpreters()
        without = [by_name[entry.target] for entry in alike if not any(matches(one, by_name[entry.target]) for one in interpreters)]
        if not without or not _compiled(package, yard):
            continue
        for gap in build_gaps(
            without,
            interpreters,
            made=(),
            name=name,
            version=str(package.version or ""),
            asked=typed.asked,
            wheelhouse=str(yard.job.output),
        ):
            found[name, gap.target] = gap
    return found


def _compiled(package: LockedPackage, yard: Yard) -> bool:
    """By its source's files, as whoever builds it judges; where that cannot be had, by its wheels. False where neither tells."""
    file = package.sdist or package.archive
    if file is not None and not file.filename.endswith(".whl"):
        try:
            return yard.sound(file.filename, yard.fetched(wanted_file(file))).compiled
        except HardtackError:
            pass  # whoever builds it says what is wrong with it
    names = [name for one in package.wheels if (name := read_wheel_name(one.filename)) is not None]
    return bool(names) and all(tag.platform != "any" for name in names for tag in name.tags)


def spelled(target: Target, floor: tuple[int, int]) -> str:
    """The name of this target with another floor."""
    return name_of(target.implementation, target.python, target.free_threaded, replace(target.platform, floor=floor))

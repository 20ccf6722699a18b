"""``fix``: close the gaps that can be closed within the constraints: show the change of the lock, then build again."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from hardtack.building.serves import BuildGap
from hardtack.errors import HardtackError, InputError, LockError, StaleLock
from hardtack.model.finding import Severity
from hardtack.model.lock import Lock
from hardtack.model.plan import Build, Gap, PlanEntry
from hardtack.planning.difference import compare
from hardtack.planning.remedies import Typed
from hardtack.reporting import Reporter
from hardtack.system.cancellation import Cancellation
from hardtack.system.files import write_bytes
from hardtack.targets.catalog import describe
from hardtack.wheelhouse.pylock import read_pylock, write_pylock
from hardtack.workflow.asking import ask_builds, with_builds
from hardtack.workflow.build import build
from hardtack.workflow.choosing import choose
from hardtack.workflow.diff import DiffResult
from hardtack.workflow.drafting import Draft, opened, planned
from hardtack.workflow.filling import (
    Attempt,
    Edit,
    Failed,
    Lacking,
    Search,
    changed_versions,
    lock_place,
    requirements_of,
    whole,
)
from hardtack.workflow.inventories import inventory_of
from hardtack.workflow.lock import guard_foreign, with_digests
from hardtack.workflow.outcome import BuildResult
from hardtack.workflow.reading import Job, read_job
from hardtack.workflow.request import BuildOptions, Request
from hardtack.workflow.why import OnTarget, explained
from hardtack.workflow.yard import Yard

_MOST_EXPLAINED = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What would be changed, before anything is.

    ``difference`` is that of the lock, None where no version changes. ``lock_file`` is where a lock is to be written: the user's own, if
    hardtack made it, else one of ours ``beside`` another tool's; ``foreign`` are the commands with which that tool does it itself.
    ``built`` are packages that only-binary forbids to build and that would be built. ``fills`` are (package, target).
    """

    fills: tuple[tuple[str, str], ...]
    difference: DiffResult | None = None
    lock_file: Path | None = None
    beside: bool = False
    built: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    command: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FixResult:
    """What fixing came to. ``gaps`` are the (package, target, reason) that were found first; ``open`` those that no change within the
    constraints closes, ``remaining`` what would, for the first of them; ``edits`` the user's own lines that stand in the way. ``build`` is
    None where nothing was built. ``stale`` says why a lock of ours that lies there is no answer any more.
    """

    gaps: tuple[tuple[str, str, str], ...]
    proposal: Proposal | None = None
    applied: bool = False
    remaining: tuple[tuple[str, OnTarget], ...] = ()
    open: tuple[tuple[str, str], ...] = ()
    edits: tuple[Edit, ...] = ()
    build: BuildResult | None = None
    stale: str | None = None

    @property
    def clean(self) -> bool:
        """True if there was nothing to fill."""
        return not self.gaps and self.stale is None

    @property
    def passed(self) -> bool:
        """True if the wheelhouse is proven complete now."""
        return self.build is not None and self.build.passed


# Asked before anything is changed.
Confirm = Callable[[Proposal, "FixResult"], bool]


def fix(
    request: Request | None = None,
    options: BuildOptions | None = None,
    *,
    typed: Typed | None = None,
    confirm: Confirm | None = None,
    reporter: Reporter | None = None,
    stop: Cancellation | None = None,
) -> FixResult:
    """Fill the gaps that can be filled within the constraints, and build.

    ``confirm`` is asked before anything is written; None changes nothing. Another tool's lock is never written. Gaps that show only when
    something is built (a build that fails) are tried to be filled by versions with wheels, once. Raises what ``build`` raises.
    """
    request = request or Request()
    options = replace(options or BuildOptions(), dry_run=False)
    reporter = reporter or Reporter()
    stop = stop or Cancellation()
    failed: Failed = {}
    last: BuildResult | None = None
    while True:
        job = read_job(request, options, reporter=reporter, stop=stop)
        with opened(job, reporter=reporter, stop=stop) as yard:
            fixing = _Fixing(request, job, yard, typed or Typed(), failed, reporter=reporter, stop=stop)
            found = fixing.found(confirm)
        if not (found.clean or found.applied):
            return replace(found, build=last)
        again = replace(options, upgrade=fixing.upgrade) if fixing.upgrade else options
        last = build(fixing.request, again, reporter=reporter, stop=stop)
        more = _failed_builds(last)
        if last.passed or failed or not more or fixing.upgrade:
            return replace(found, build=last)
        request, failed = fixing.request, more


def _failed_builds(result: BuildResult) -> Failed:
    """The builds of a result that failed, with why."""
    wanted = {
        (entry.package.name, entry.target): str(entry.package.version)
        for entry in (result.plan.entries if result.plan is not None else ())
        if isinstance(entry.decision, Build) and entry.package.source is None
    }
    found = {}
    for finding in result.findings:
        version = wanted.get((finding.package or "", finding.target or ""))
        if finding.severity is Severity.ERROR and finding.package and finding.target and version is not None:
            words = finding.message.splitlines()[0]
            found[finding.package, version, finding.target] = BuildGap(
                target=finding.target, code=finding.code, reason=f"its build failed: {words}", command="", hint=finding.hint or words
            )
    return found


class _Fixing:
    """One run of ``fix``, up to the build, for which ``request`` and ``upgrade`` are then what is asked for."""

    def __init__(
        self, request: Request, job: Job, yard: Yard, typed: Typed, failed: Failed, *, reporter: Reporter, stop: Cancellation
    ) -> None:
        self.request, self.job, self.yard, self.typed, self._failed = request, job, yard, typed, failed
        self._reporter, self._stop = reporter, stop
        self.upgrade: frozenset[str] = frozenset()
        self._settled = False
        self._stale: HardtackError | None = None

    def found(self, confirm: Confirm | None) -> FixResult:
        """What there is to do, and do it if ``confirm`` says so."""
        before, search = self._before()
        if before is not None and not before.lacking:
            return FixResult(gaps=())
        attempt = self._filled(before, search)
        after = attempt or before
        if after is None:
            assert self._stale is not None
            raise self._stale
        lacking = before.lacking if before is not None else {}
        built = self._allowed(after, search)
        remaining = {key: entry for key, entry in after.lacking.items() if key[0] not in built}
        result = FixResult(
            stale=str(self._stale) if self._stale is not None else None,
            gaps=tuple((name, target, _reason(entry, search, name, target)) for (name, target), entry in sorted(lacking.items())),
            edits=search.edits(replace(after, lacking=remaining)) if remaining else (),
            remaining=self._explained(remaining, after, search, self._typed_after(attempt, built)),
            open=tuple(sorted(remaining)),
        )
        fills = tuple(key for key in sorted(lacking) if key not in remaining)
        if attempt is None and not built:
            return result
        proposal = self._proposal(before, attempt, built, fills)
        result = replace(result, proposal=proposal)
        if confirm is None or not confirm(proposal, result):
            return result
        self._apply(attempt, proposal)
        return replace(result, applied=True)

    def _before(self) -> tuple[Attempt | None, Search]:
        """How it is: None where the lock that lies there does not answer the project, or these targets, any more."""
        own = self._own_lock()
        remembered = self.job.output / "pylock.toml"
        try:
            chosen = choose(self.yard, reporter=self._reporter, stop=self._stop, remembered=remembered)
            plan = planned(chosen.lock, self.job)
        except (StaleLock, LockError) as error:
            if own is None:
                raise
            self._stale = error
            return None, self._search(own)
        self.yard.choose(chosen.lock)
        # What was resolved just now would be chosen again.
        self._settled = not chosen.unchanged
        search = self._search(chosen.lock)
        return whole(chosen.lock, plan, search, self.job), search

    def _own_lock(self) -> Lock | None:
        """The lock that is obeyed, if hardtack made it."""
        if self.job.lock_file is None or self.job.lock_file.kind != "pylock":
            return None
        path = self.job.lock_file.path
        found = read_pylock(path.read_text(encoding="utf-8"), where=str(path), base=path.parent)
        return found if found.origin == "hardtack" else None

    def _search(self, lock: Lock) -> Search:
        """The search among what the project asks for; where there is only a lock, among what that tells."""
        job = self.job
        if job.lock_file is not None:
            inputs = replace(self.request.inputs, use_lock=False, lock_file=None)
            fresh = replace(self.request, inputs=inputs, targets=job.targets)
            try:
                job = read_job(fresh, self.job.options, reporter=Reporter(), stop=self._stop)
            except InputError:
                job = replace(job, requirements=requirements_of(lock, job.requirements))
            else:
                if not job.requirements.roots:
                    job = replace(job, requirements=requirements_of(lock, job.requirements))
            job = replace(job, targets=self.job.targets)
        return Search(job, self.yard, self.typed, self._failed, reporter=self._reporter, stop=self._stop)

    def _filled(self, before: Attempt | None, search: Search) -> Attempt | None:
        if before is None:
            return search.attempt(search.wanted, previous=self._own_lock())
        return None if self._settled else search.relocked(before, named=self.job.lock_file is None)

    def _allowed(self, attempt: Attempt, search: Search) -> tuple[str, ...]:
        """The packages that would be built here if only-binary did not forbid it."""
        names: dict[str, bool] = {}
        for key, entry in attempt.lacking.items():
            possible = isinstance(entry.decision, Gap) and entry.decision.code == "only-binary" and key not in search.unmade
            names[key[0]] = names.get(key[0], True) and possible
        return tuple(sorted(name for name, possible in names.items() if possible))

    def _explained(self, remaining: Lacking, attempt: Attempt, search: Search, typed: Typed) -> tuple[tuple[str, OnTarget], ...]:
        names = sorted({name for name, _ in remaining})[:_MOST_EXPLAINED]
        found: list[tuple[str, OnTarget]] = []
        failed = {(name, target): gap for (name, _, target), gap in self._failed.items()}
        draft = Draft(job=search.job, yard=self.yard, lock=attempt.lock, plan=attempt.plan, obeyed=False)
        for name in names:
            told = explained(name, draft, typed, failed)
            found += [(name, one) for one in told if (name, one.target) in remaining and one.state == "gap"]
        return tuple(found)

    def _proposal(
        self, before: Attempt | None, attempt: Attempt | None, built: tuple[str, ...], fills: tuple[tuple[str, str], ...]
    ) -> Proposal:
        old = before.lock if before is not None else self._own_lock()
        difference = None
        own = self._own_lock() is not None
        place = None
        foreign: tuple[str, ...] = ()
        if attempt is not None and old is not None:
            label = str(self.job.lock_file.path.name) if self.job.lock_file is not None else "the lock as it is"
            sides = (
                inventory_of(old, self.job.targets if before is not None else (), label=label),
                inventory_of(attempt.lock, self.job.targets, label="the lock as it would be"),
            )
            difference = DiffResult(before=sides[0], after=sides[1], difference=compare(*sides))
            if self.job.lock_file is not None:
                place = self.job.lock_file.path if own else lock_place(self.job)
                foreign = () if own else _foreign_commands(self.job, before, attempt)
        return Proposal(
            fills=fills,
            difference=difference,
            lock_file=place,
            beside=place is not None and not own,
            built=built,
            foreign=foreign,
            command=self._typed_after(attempt, built).again("build"),
        )

    def _typed_after(self, attempt: Attempt | None, built: tuple[str, ...]) -> Typed:
        """What is to be typed from then on."""
        typed = self.typed
        for name in built:
            typed = typed.lifted("no-binary", name)
        if attempt is None or self.job.lock_file is None or self._own_lock() is not None:
            return typed
        return replace(typed, asked=(*_without_locks(typed.asked), "--lock-file", _from_here(lock_place(self.job))))

    def _apply(self, attempt: Attempt | None, proposal: Proposal) -> None:
        """Write what is to be written, and ask for it from now on."""
        if proposal.built:
            self.request = replace(
                self.request,
                no_binary=self.request.no_binary | frozenset(proposal.built),
                only_binary=self.request.only_binary - frozenset(proposal.built),
            )
        if attempt is None:
            return
        if proposal.lock_file is None:
            # Nobody's lock is obeyed: the same question once more, with these packages chosen anew.
            self.upgrade = attempt.upgrade
            return
        self._write(attempt.lock, proposal.lock_file)
        if self._own_lock() is None or proposal.built:
            # It is not the lock that lies there by itself, or not for these settings.
            self.request = replace(
                self.request, inputs=replace(self.request.inputs, lock_file=proposal.lock_file), targets=self.job.targets
            )

    def _write(self, lock: Lock, place: Path) -> None:
        guard_foreign(place)
        lock = with_digests(lock, self.job, self.yard.supplies, reporter=self._reporter, stop=self._stop)
        if self.job.options.build_lock:
            for finding in ask_builds(planned(lock, self.job), self.yard, reporter=self._reporter, stop=self._stop):
                self._reporter.warning(finding.message, hint=finding.hint)
            lock = with_builds(lock, self.yard)
        text = write_pylock(lock, target_descriptions={target.name: describe(target) for target in self.job.targets}, base=place.parent)
        write_bytes(place, text.encode())


def _reason(entry: PlanEntry, search: Search, name: str, target: str) -> str:
    if isinstance(entry.decision, Gap):
        return entry.decision.reason
    return search.unmade[name, target].reason


def _from_here(path: Path) -> str:
    """A path as it is typed where the command was given."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def _without_locks(words: tuple[str, ...]) -> tuple[str, ...]:
    kept: list[str] = []
    given = iter(words)
    for word in given:
        if word == "--lock-file":
            next(given, None)
        else:
            kept.append(word)
    return tuple(kept)


def _foreign_commands(job: Job, before: Attempt | None, after: Attempt) -> tuple[str, ...]:
    """The command of the tool that wrote the lock; none where nobody knows it, or where it cannot say that targets differ."""
    if job.lock_file is None or job.lock_file.kind != "uv.lock" or before is None:
        return ()
    changed = changed_versions(before.plan, after.plan)
    if not changed or any(len(found) > 1 for found in changed.values()):
        return ()
    words = [word for name, found in changed.items() for word in ("--upgrade-package", f"{name}=={found[0]}")]
    return (shlex.join(["uv", "lock", *words]),)

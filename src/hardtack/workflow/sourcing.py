"""One source archive, and a wheel of it for each target that wants one: as few builds as serve them all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hardtack.building.build import is_pure
from hardtack.building.interpreter import Interpreter, NoPython
from hardtack.building.serves import Made, build_gaps, matches, plan_builds
from hardtack.model.finding import Finding
from hardtack.model.fit import Fit
from hardtack.model.target import Target
from hardtack.model.wheel import SdistFacts
from hardtack.wheelhouse.native import wheel_floor
from hardtack.wheelhouse.store import Store
from hardtack.workflow.asked import asked_words
from hardtack.workflow.yard import FAULTS, Sourced, Yard, finding_of


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tried:
    """A build that was made, and the wheel or what went wrong."""

    interpreter: Interpreter
    outcome: Sourced | Finding


def build_for(facts: SdistFacts, archive: Path, targets: Sequence[Target], yard: Yard) -> Mapping[str, Sourced | Finding]:
    """For each target, by name, its wheel, or the finding that says why it has none and what would help.

    The first build is by the preferred interpreter. What is pure serves everybody and is built once; what is compiled is built again by
    each interpreter of this machine that a target without a wheel has.
    """
    try:
        tried, interpreters = _rounds(facts, archive, targets, yard, _Pythons(facts, yard))
    except FAULTS as error:
        return {target.name: finding_of(error, facts.filename) for target in targets}
    return _answers(facts, targets, interpreters, tried, yard)


def first_interpreters(facts: SdistFacts, targets: Sequence[Target], yard: Yard) -> tuple[Interpreter, ...]:
    """Those that are sure to build a source: what it asks for in them can be asked before anything is built. Raises NoPython."""
    pythons = _Pythons(facts, yard)
    interpreters = pythons.for_round_one(targets)
    jobs = plan_builds(targets, interpreters, compiled=facts.compiled)
    if facts.compiled:
        jobs = (*jobs, *plan_builds(targets, interpreters, made=[Made(interpreter=job.interpreter) for job in jobs]))
    return tuple(dict.fromkeys(job.interpreter for job in jobs))


class _Pythons:
    """The interpreters that may build a source: asked for only when the preferred one does not do."""

    def __init__(self, facts: SdistFacts, yard: Yard) -> None:
        self._facts, self._yard = facts, yard
        self._all: tuple[Interpreter, ...] | None = None

    def for_round_one(self, targets: Sequence[Target]) -> tuple[Interpreter, ...]:
        """The preferred one, where it is allowed and is of use, else all."""
        first = self._allowed((self._yard.preferred(),))
        if not first or (self._facts.compiled and (self._yard.has_root or not any(matches(first[0], target) for target in targets))):
            return self.all()
        return first

    def all(self) -> tuple[Interpreter, ...]:
        """Every one that may build it. Raises NoPython where there is none."""
        if self._all is None:
            self._all = self._allowed(self._yard.interpreters())
        if not self._all:
            wanted = self._facts.requires_python
            raise NoPython(
                f"it wants Python {wanted}, and no other than {self._yard.preferred().version} is here",
                where=self._facts.filename,
                hint=f"install a Python {wanted} (any place where uv finds it will do)",
            )
        return self._all

    def _allowed(self, found: Sequence[Interpreter]) -> tuple[Interpreter, ...]:
        wanted = self._facts.requires_python
        return tuple(one for one in found if wanted is None or wanted.contains(one.version, prereleases=True))


def _rounds(
    facts: SdistFacts, archive: Path, targets: Sequence[Target], yard: Yard, pythons: _Pythons
) -> tuple[list[_Tried], tuple[Interpreter, ...]]:
    interpreters = pythons.for_round_one(targets)
    tried: list[_Tried] = []
    jobs = plan_builds(targets, interpreters, compiled=facts.compiled)
    while jobs:
        outcomes = yard.errands.outcomes([yard.wheel(facts, archive, job.interpreter) for job in jobs])
        tried += [_Tried(interpreter=job.interpreter, outcome=outcome) for job, outcome in zip(jobs, outcomes, strict=True)]
        if _unserved(targets, tried):
            interpreters = pythons.all()
        jobs = plan_builds(targets, interpreters, made=[_made(one) for one in tried])
    return tried, interpreters


def _answers(
    facts: SdistFacts, targets: Sequence[Target], interpreters: Sequence[Interpreter], tried: Sequence[_Tried], yard: Yard
) -> Mapping[str, Sourced | Finding]:
    answers: dict[str, Sourced | Finding] = {}
    wheels = [one.outcome for one in tried if isinstance(one.outcome, Sourced)]
    failures = [one for one in tried if isinstance(one.outcome, Finding)]
    left: list[Target] = []
    for target in targets:
        fit = Fit(target)
        ranked = [(rank, at) for at, wheel in enumerate(wheels) if (rank := fit.rank(wheel.tags)) is not None]
        own = next((one.outcome for one in failures if matches(one.interpreter, target)), None)
        if ranked:
            answers[target.name] = wheels[min(ranked)[1]]
        elif own is not None:
            answers[target.name] = own
        elif not wheels and failures:
            answers[target.name] = failures[0].outcome
        else:
            left.append(target)
    if left:
        gaps = build_gaps(
            left,
            interpreters,
            made=[_made(one, yard.supplies.store) for one in tried],
            name=facts.name,
            version=str(facts.version),
            asked=asked_words(yard.job),
            wheelhouse=str(yard.job.output),
        )
        for gap in gaps:
            answers[gap.target] = Finding(
                code=gap.code,
                message=f"{facts.name} {facts.version} has nothing that serves {gap.target}: {gap.reason}",
                target=gap.target,
                file=facts.filename,
                hint=gap.hint,
            )
    return answers


def _unserved(targets: Sequence[Target], tried: Sequence[_Tried]) -> bool:
    tags = [one.outcome.tags for one in tried if isinstance(one.outcome, Sourced)]
    return any(all(Fit(target).rank(one) is None for one in tags) for target in targets)


def _made(tried: _Tried, store: Store | None = None) -> Made:
    """In planning's words; with ``store``, what its files need, read from there."""
    wheel = tried.outcome
    if isinstance(wheel, Finding):
        return Made(interpreter=tried.interpreter)
    native = wheel_floor(store.path(wheel.sha256)) if store is not None and not is_pure(wheel.tags) else None
    return Made(interpreter=tried.interpreter, tags=wheel.tags, outside=wheel.outside, native=native)

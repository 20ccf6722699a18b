"""One source archive, and a wheel of it for each target that wants one: as few builds as serve them all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.tags import Tag
from packaging.utils import parse_wheel_filename

from hardtack.building.build import build_wheel, is_pure
from hardtack.building.built import build_key, built_before, remember
from hardtack.building.interpreter import Interpreter, NoPython, ask, installed
from hardtack.building.repair import find_repairer
from hardtack.building.serves import Made, build_gaps, matches, plan_builds
from hardtack.errors import BuildFault, HardtackError, IndexFault, IntegrityError
from hardtack.model.finding import Finding
from hardtack.model.fit import Fit
from hardtack.model.manifest import BuildRecord
from hardtack.model.target import Target
from hardtack.model.wheel import SdistFacts
from hardtack.reporting import Reporter
from hardtack.system.cancellation import Cancellation
from hardtack.system.files import remove
from hardtack.wheelhouse.native import wheel_floor
from hardtack.workflow.supplies import Supplies


@dataclass(frozen=True, slots=True, kw_only=True)
class Sourced:
    """A wheel in the store that was built from a source archive, in this run (``fresh``) or in an earlier one."""

    filename: str
    sha256: str
    size: int
    record: BuildRecord
    outside: tuple[str, ...] = ()
    fresh: bool = False

    @property
    def tags(self) -> frozenset[Tag]:
        """Where it runs."""
        return parse_wheel_filename(self.filename)[3]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tried:
    """A build that was made, and the wheel or what went wrong."""

    interpreter: Interpreter
    outcome: Sourced | Finding


def build_for(
    facts: SdistFacts,
    archive: Path,
    targets: Sequence[Target],
    supplies: Supplies,
    *,
    python: Path,
    work: Path,
    epoch: int,
    reporter: Reporter,
    stop: Cancellation,
) -> Mapping[str, Sourced | Finding]:
    """For each target, by name, its wheel, or the finding that says why it has none and what would help.

    The first build is by ``python``. What is pure serves everybody and is built once; what is compiled is built again by each interpreter
    of this machine that a target without a wheel has.
    """

    def build(interpreter: Interpreter) -> _Tried:
        try:
            outcome: Sourced | Finding = _build(facts, archive, interpreter, supplies, work=work, epoch=epoch, reporter=reporter, stop=stop)
        except (BuildFault, IntegrityError, IndexFault) as error:
            outcome = _finding(error, facts)
        return _Tried(interpreter=interpreter, outcome=outcome)

    try:
        tried, interpreters = _rounds(facts, targets, build, _Pythons(facts, python, supplies, stop))
    except NoPython as error:
        return {target.name: _finding(error, facts) for target in targets}
    return _answers(facts, targets, interpreters, tried, supplies)


class _Pythons:
    """The interpreters that may build a source: asked for only when the preferred one does not do."""

    def __init__(self, facts: SdistFacts, python: Path, supplies: Supplies, stop: Cancellation) -> None:
        self._facts, self._python, self._supplies, self._stop = facts, python, supplies, stop
        self._all: tuple[Interpreter, ...] | None = None

    def first(self) -> tuple[Interpreter, ...]:
        """The preferred one, or none where the source's Requires-Python excludes it."""
        return self._allowed((ask(self._python),))

    def all(self) -> tuple[Interpreter, ...]:
        """Every one that may build it. Raises NoPython where there is none."""
        if self._all is None:
            self._all = self._allowed(installed(self._supplies.uv, self._python, self._stop))
        if not self._all:
            wanted = self._facts.requires_python
            raise NoPython(
                f"it wants Python {wanted}, and no other than {ask(self._python).version} is here",
                where=self._facts.filename,
                hint=f"install a Python {wanted} (any place where uv finds it will do)",
            )
        return self._all

    def _allowed(self, found: Sequence[Interpreter]) -> tuple[Interpreter, ...]:
        wanted = self._facts.requires_python
        return tuple(one for one in found if wanted is None or wanted.contains(one.version, prereleases=True))


def _rounds(
    facts: SdistFacts, targets: Sequence[Target], build: Callable[[Interpreter], _Tried], pythons: _Pythons
) -> tuple[list[_Tried], tuple[Interpreter, ...]]:
    interpreters = pythons.first()
    if not interpreters or (facts.compiled and not any(matches(interpreters[0], target) for target in targets)):
        interpreters = pythons.all()
    tried: list[_Tried] = []
    jobs = plan_builds(targets, interpreters, compiled=facts.compiled)
    while jobs:
        tried += [build(job.interpreter) for job in jobs]
        made = [_made(one) for one in tried]
        if _unserved(targets, tried):
            interpreters = pythons.all()
        jobs = plan_builds(targets, interpreters, made=made)
    return tried, interpreters


def _answers(
    facts: SdistFacts, targets: Sequence[Target], interpreters: Sequence[Interpreter], tried: Sequence[_Tried], supplies: Supplies
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
        made = [_made(one, supplies) for one in tried]
        for gap in build_gaps(left, interpreters, made=made, name=facts.name, version=str(facts.version)):
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


def _made(tried: _Tried, supplies: Supplies | None = None) -> Made:
    """In planning's words; with ``supplies``, what its files need, read from the store."""
    wheel = tried.outcome
    if isinstance(wheel, Finding):
        return Made(interpreter=tried.interpreter)
    native = wheel_floor(supplies.store.path(wheel.sha256)) if supplies is not None and not is_pure(wheel.tags) else None
    return Made(interpreter=tried.interpreter, tags=wheel.tags, outside=wheel.outside, native=native)


def _build(
    facts: SdistFacts,
    archive: Path,
    interpreter: Interpreter,
    supplies: Supplies,
    *,
    work: Path,
    epoch: int,
    reporter: Reporter,
    stop: Cancellation,
) -> Sourced:
    sandbox = supplies.confine()
    repairer = find_repairer()
    key = build_key(
        facts,
        python=f"{interpreter.label}, {interpreter.abi}",
        sandbox=sandbox.name,
        source_date_epoch=epoch,
        repairer=repairer,
    )
    before = built_before(key, cache_dir=supplies.cache_dir, has=supplies.store.has)
    if before is not None:
        return Sourced(filename=before.filename, sha256=before.sha256, size=before.size, record=before.record, outside=before.outside)
    built = build_wheel(
        facts,
        archive,
        python=interpreter.executable,
        uv=supplies.uv,
        uv_config=supplies.uv_config,
        sandbox=sandbox,
        work=work,
        source_date_epoch=epoch,
        reporter=reporter,
        stop=stop,
        repairer=repairer,
    )
    sha256 = supplies.store.add_file(built.path)
    remove(built.path.parent)
    remember(key, built, cache_dir=supplies.cache_dir)
    return Sourced(filename=built.filename, sha256=sha256, size=built.size, record=built.record, outside=built.outside, fresh=True)


def _finding(error: HardtackError, facts: SdistFacts) -> Finding:
    return Finding(code=error.slug, message=str(error), file=facts.filename, hint=error.hint)

"""Bring what a plan takes into the store, and build what it says is to be built."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from packaging.utils import parse_wheel_filename

from hardtack.building.order import expected_cost
from hardtack.errors import HardtackError
from hardtack.fetching.download import Fetched, FetchedFile, fetch
from hardtack.fetching.transfer import Wanted
from hardtack.model.finding import Finding
from hardtack.model.fit import Fit
from hardtack.model.lock import LockedFile, LockedPackage
from hardtack.model.manifest import BuildRecord
from hardtack.model.plan import Build, Plan, PlanEntry, Take
from hardtack.model.target import Target
from hardtack.planning.explain import hint_for
from hardtack.reporting import Reporter
from hardtack.system.cancellation import Cancellation
from hardtack.workflow.archiving import Archived
from hardtack.workflow.errands import Errand
from hardtack.workflow.files import source_file, wanted_file
from hardtack.workflow.sourcing import build_for
from hardtack.workflow.supplies import Supplies
from hardtack.workflow.yard import FAULTS, Sourced, Yard, finding_of

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ware:
    """A wheel in the store, with where it came from."""

    filename: str
    sha256: str
    size: int
    path: Path
    origin: str
    index: str | None
    first_seen: bool = False
    hash_source: str = "lock"
    build: BuildRecord | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """The wheel of each plan entry that has one, by the entry's place in the plan; and what failed."""

    wares: Mapping[int, Ware]
    findings: tuple[Finding, ...]
    received: int
    fetched: int
    built: int


def make(plan: Plan, yard: Yard, *, reporter: Reporter, stop: Cancellation) -> Made:
    """Fetch every wheel and every source that the plan needs, and build; a failure is a finding and stops nothing else.

    Sources are fetched first, so that what takes longest, building, begins while wheels still arrive.
    """
    takes = {at: entry.decision.file for at, entry in enumerate(plan.entries) if isinstance(entry.decision, Take)}
    builds = {at: entry for at, entry in enumerate(plan.entries) if isinstance(entry.decision, Build)}
    sources = {at: file for at, entry in builds.items() if (file := source_file(entry.package)) is not None}
    wanted = {at: wanted_file(file) for at, file in {**takes, **sources}.items()}
    findings: list[Finding] = []
    wares: dict[int, Ware] = {}
    reporter.stage("fetching")
    first = _fetched([wanted[at] for at in sources], yard, reporter, stop)
    with _beside(lambda: _fetched([wanted[at] for at in takes], yard, reporter, stop), alone=not builds) as rest:
        outcomes = _built(builds, {at: first.files.get(wanted[at]) for at in sources}, sources, yard, reporter)
    second = rest()
    files = {**first.files, **second.files}
    findings += [_failed(error) for error in dict.fromkeys((*first.failures, *second.failures))]
    for at, file in takes.items():
        if (found := files.get(wanted[at])) is not None:
            wares[at] = _taken(file, found)
    for at, outcome in outcomes.items():
        if isinstance(outcome, Ware):
            wares[at] = outcome
        else:
            findings.append(_for_entry(outcome, builds[at], yard.job.targets))
    findings += sorted(yard.unlike.values(), key=lambda finding: finding.file or "")
    return Made(
        wares=wares,
        findings=tuple(findings),
        received=first.received + second.received + yard.tools.received,
        fetched=_arrived(files.values()) + yard.tools.fetched,
        built=len(yard.built),
    )


def _fetched(wanted: Sequence[Wanted], yard: Yard, reporter: Reporter, stop: Cancellation) -> Fetched:
    supplies = yard.supplies
    return fetch(
        wanted,
        transport=supplies.transport,
        store=supplies.store,
        reporter=reporter,
        stop=stop,
        jobs=yard.job.options.jobs,
        limits=supplies.limits,
        locate=lambda file: _elsewhere(file, supplies),
    )


@contextmanager
def _beside(do: Callable[[], T], *, alone: bool) -> Iterator[Callable[[], T]]:
    """``do`` in a thread while the block runs, or, ``alone``, after it; what is yielded waits for it and gives its answer."""
    if alone:
        yield do
        return
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(do)
        yield future.result


def _built(
    builds: Mapping[int, PlanEntry],
    found: Mapping[int, FetchedFile | None],
    files: Mapping[int, LockedFile],
    yard: Yard,
    reporter: Reporter,
) -> dict[int, Ware | Finding]:
    """The wheel of every entry that is to be built, or why there is none; nothing of those whose source could not be fetched."""
    errands: dict[int, Errand] = {}
    wanting: dict[str, set[str]] = {}
    for at, entry in builds.items():
        source = found.get(at)
        if source is not None:
            errands[at] = _from_file(files[at].filename, source, wanting, yard)
        elif at not in files:
            errands[at] = _from_source(entry.package, wanting, yard)
        else:
            continue
        wanting.setdefault(errands[at].key, set()).add(entry.target)
    if not errands:
        return {}
    reporter.stage("building")
    distinct = list({errand.key: errand for errand in errands.values()}.values())
    answers = dict(zip((errand.key for errand in distinct), yard.errands.run(distinct), strict=True))
    outcomes: dict[int, Ware | Finding] = {}
    for at, errand in errands.items():
        answer = answers[errand.key]
        outcomes[at] = answer if isinstance(answer, Finding) else answer[builds[at].target]
    return outcomes


def _from_file(filename: str, found: FetchedFile, wanting: Mapping[str, set[str]], yard: Yard) -> Errand:
    """The errand whose outcome has a wheel of a source archive, or a Finding, for every target that wants one."""
    key = f"source {found.sha256}"
    # What it takes is known when it was asked; until then the largest is begun first.
    cost = expected_cost(found.size, compiled=True)
    return Errand(key=key, label=filename, do=lambda _: _wares(filename, found, _targets(wanting[key], yard), yard), cost=cost)


def _from_source(package: LockedPackage, wanting: Mapping[str, set[str]], yard: Yard) -> Errand:
    """The same for a folder or a repository, of which an archive is made first."""
    source = package.source
    assert source is not None
    key = f"place {source}"

    def archive(stop: Cancellation) -> Archived | Finding:
        try:
            return yard.archive(package.name, source, stop)
        except FAULTS as error:
            return finding_of(error)

    archiving = Errand(key=f"archive {source}", label=package.name, do=archive, cost=expected_cost(None, compiled=False), memory=512 << 20)

    def do(_: Cancellation) -> Mapping[str, Ware | Finding] | Finding:
        (archived,) = yard.errands.outcomes([archiving])
        if isinstance(archived, Finding):
            return _of_project(archived, package, yard)
        wares = _wares(archived.file.filename, archived.found, _targets(wanting[key], yard), yard)
        return {
            target: _of_project(outcome, package, yard) if isinstance(outcome, Finding) else _from_archive(outcome, archived, package)
            for target, outcome in wares.items()
        }

    return Errand(key=key, label=package.name, do=do)


def _wares(filename: str, found: FetchedFile, targets: Sequence[Target], yard: Yard) -> Mapping[str, Ware | Finding]:
    try:
        answers = build_for(yard.sound(filename, found), found.path, targets, yard)
    except FAULTS as error:
        return {target.name: finding_of(error, filename) for target in targets}
    return {name: _ware(answer, yard.supplies) if isinstance(answer, Sourced) else answer for name, answer in answers.items()}


def _targets(names: Container[str], yard: Yard) -> list[Target]:
    return [target for target in yard.job.targets if target.name in names]


def _of_project(finding: Finding, package: LockedPackage, yard: Yard) -> Finding:
    if finding.hint is not None or package.name != yard.grounds.project:
        return finding
    return replace(finding, hint="it is the project itself: --no-project leaves it out, --project-wheel FILE takes yours")


def _from_archive(ware: Ware, archive: Archived, package: LockedPackage) -> Ware | Finding:
    """The wheel with what its archive was made of, if it has the version that was locked."""
    assert ware.build is not None
    version = parse_wheel_filename(ware.filename)[1]
    if package.version is not None and version != package.version:
        return Finding(
            code="source",
            message=f"{package.name} is version {version} in {archive.origin.location}, and {package.version} is locked",
            file=ware.filename,
            hint="lock again",
        )
    return replace(ware, build=replace(ware.build, made_of=archive.origin))


def _ware(wheel: Sourced, supplies: Supplies) -> Ware:
    return Ware(
        filename=wheel.filename,
        sha256=wheel.sha256,
        size=wheel.size,
        path=supplies.store.path(wheel.sha256),
        origin="built",
        index=None,
        hash_source="first-seen",
        build=wheel.record,
    )


def _taken(file: LockedFile, found: FetchedFile) -> Ware:
    return Ware(
        filename=file.filename,
        sha256=found.sha256,
        size=found.size,
        path=found.path,
        # A file that was given by its place: where that was is another on every machine.
        origin="file" if file.index is None and file.url.startswith("file:") else file.url,
        index=file.index,
        first_seen=found.first_seen,
        hash_source="first-seen" if file.sha256 is None else file.hash_source,
    )


def _elsewhere(file: Wanted, supplies: Supplies) -> str | None:
    """Another URL for a file whose own could not be had: on an index that stands in for it."""
    try:
        project = parse_wheel_filename(file.filename)[0] if file.filename.endswith(".whl") else file.filename.rsplit("-", 1)[0]
    except ValueError:
        return None
    found = supplies.client.find(file.filename, sha256=file.sha256, project=project, url=file.urls[0])
    return found.url if found is not None else None


def _arrived(files: Iterable[FetchedFile]) -> int:
    return len({file.sha256 for file in files if file.received > 0})


def _failed(error: HardtackError) -> Finding:
    return Finding(code=error.slug, message=str(error), file=error.where, hint=error.hint)


def _for_entry(finding: Finding, entry: PlanEntry, targets: Sequence[Target]) -> Finding:
    """A build's failure as what it means for one package on one target: with the wheels that exist, and what would take one of them."""
    rejected = entry.decision.rejected if isinstance(entry.decision, Build) else ()
    target = next(one for one in targets if one.name == entry.target)
    wheels = hint_for(replace(entry.package, sdist=None), Fit(target)) if rejected else None
    return Finding(
        code=finding.code,
        message=finding.message,
        package=entry.package.name,
        version=str(entry.package.version) if entry.package.version else None,
        target=entry.target,
        file=finding.file,
        instead=tuple(f"{one.filename} ({one.reason})" for one in rejected),
        hint="; ".join(words for words in (wheels, finding.hint) if words) or None,
    )

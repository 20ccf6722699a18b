"""Bring what a plan takes into the store, and build what it says is to be built."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from packaging.utils import parse_wheel_filename
from packaging.version import Version

from hardtack.building.build import prepare_metadata, static_metadata
from hardtack.errors import BuildFault, HardtackError, IndexFault, IntegrityError, MissingTool
from hardtack.fetching.download import FetchedFile, fetch
from hardtack.fetching.transfer import Wanted
from hardtack.locking.resolver import KnownMetadata, NeedsMetadata
from hardtack.model.finding import Finding
from hardtack.model.fit import Fit
from hardtack.model.index import IndexFile
from hardtack.model.lock import LockedFile, LockedPackage, Source
from hardtack.model.manifest import BuildRecord
from hardtack.model.plan import Build, Plan, PlanEntry, Take
from hardtack.model.target import Target
from hardtack.model.wheel import BadSdist, SdistFacts
from hardtack.planning.explain import hint_for
from hardtack.reporting import Reporter
from hardtack.system.cancellation import Cancellation
from hardtack.wheelhouse.sdist import inspect_sdist
from hardtack.workflow.archiving import Archived, Grounds, archive_source, source_at
from hardtack.workflow.sourcing import Sourced, build_for
from hardtack.workflow.supplies import Supplies

_EPOCH = 315_532_800  # 1980-01-01, the oldest time that a ZIP archive can hold


@dataclass(frozen=True, slots=True, kw_only=True)
class Ware:
    """A wheel in the store, with where it came from. ``fresh``: this run built it."""

    filename: str
    sha256: str
    size: int
    path: Path
    origin: str
    index: str | None
    first_seen: bool = False
    hash_source: str = "lock"
    build: BuildRecord | None = None
    fresh: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """The wheel of each plan entry that has one, by the entry's place in the plan; and what failed."""

    wares: Mapping[int, Ware]
    findings: tuple[Finding, ...]
    received: int
    fetched: int
    built: int


def make(
    plan: Plan,
    supplies: Supplies,
    *,
    targets: Sequence[Target],
    grounds: Grounds,
    python: Path,
    jobs: int,
    reporter: Reporter,
    stop: Cancellation,
) -> Made:
    """Fetch every wheel and every source that the plan needs, then build; a failure is a finding and stops nothing else."""
    takes = {at: entry.decision.file for at, entry in enumerate(plan.entries) if isinstance(entry.decision, Take)}
    sources: dict[int, LockedFile] = {}
    unpacked: dict[int, LockedPackage] = {}
    findings: list[Finding] = []
    for at, entry in enumerate(plan.entries):
        if isinstance(entry.decision, Build):
            source = source_file(entry.package)
            if source is not None:
                sources[at] = source
            else:
                unpacked[at] = entry.package
    wanted = {at: wanted_file(file) for at, file in {**takes, **sources}.items()}
    reporter.stage("fetching")
    fetched = fetch(
        list(wanted.values()),
        transport=supplies.transport,
        store=supplies.store,
        reporter=reporter,
        stop=stop,
        jobs=jobs,
        limits=supplies.limits,
        locate=lambda file: _elsewhere(file, supplies),
    )
    findings += [_failed(error) for error in fetched.failures]
    wares: dict[int, Ware] = {}
    for at, file in takes.items():
        if (found := fetched.files.get(wanted[at])) is not None:
            wares[at] = _taken(file, found)
    builds = _Builds(targets, supplies, python, reporter, stop)
    users: dict[str, list[str]] = {}
    for at in sources:
        if (found := fetched.files.get(wanted[at])) is not None:
            users.setdefault(found.sha256, []).append(plan.entries[at].target)
    outcome: Ware | Finding
    for at, file in sources.items():
        found = fetched.files.get(wanted[at])
        if found is None:
            continue
        entry = plan.entries[at]
        outcome = builds.wheel(file.filename, found, entry.target, users[found.sha256])
        if isinstance(outcome, Finding):
            findings.append(_for_entry(outcome, entry, targets))
        else:
            wares[at] = outcome
    archived: dict[Source, Archived | Finding] = {}
    for at, package in unpacked.items():
        assert package.source is not None
        if package.source not in archived:
            builds.begin()
            archived[package.source] = _archive(package, supplies, grounds, python, reporter, stop)
        archive = archived[package.source]
        if isinstance(archive, Finding):
            outcome = archive
        else:
            wanting = [plan.entries[other].target for other, one in unpacked.items() if one.source == package.source]
            outcome = builds.wheel(archive.file.filename, archive.found, plan.entries[at].target, wanting)
            if isinstance(outcome, Ware):
                outcome = _from_archive(outcome, archive, package)
        if isinstance(outcome, Finding):
            if outcome.hint is None and package.name == grounds.project:
                outcome = replace(outcome, hint="it is the project itself: --no-project leaves it out, --project-wheel FILE takes yours")
            findings.append(_for_entry(outcome, plan.entries[at], targets))
        else:
            wares[at] = outcome
    built = builds.fresh
    return Made(wares=wares, findings=tuple(findings), received=fetched.received, fetched=_arrived(fetched.files.values()), built=built)


def source_file(package: LockedPackage) -> LockedFile | None:
    """The source archive that a package is built from, None for a folder or a repository."""
    return package.sdist or package.archive


def wanted_file(file: LockedFile) -> Wanted:
    """A locked file in fetching's words."""
    return Wanted(
        filename=file.filename,
        urls=(file.url,),
        sha256=file.sha256,
        size=file.size,
        index=file.index,
        hash_source=file.hash_source,
        other_hashes=file.other_hashes,
    )


def describe_source(
    question: NeedsMetadata,
    offered: Callable[[], Mapping[Version, Sequence[IndexFile]]],
    supplies: Supplies,
    *,
    grounds: Grounds,
    python: Path,
    reporter: Reporter,
    stop: Cancellation,
) -> KnownMetadata:
    """What a source requires, be it an index's, a folder, a repository or behind a URL: judged, and its backend asked in the sandbox."""
    filename, found = _source_in_question(question, offered, supplies, grounds, python, reporter, stop)
    facts = _sound(filename, found)
    answer = static_metadata(facts) or prepare_metadata(
        facts,
        found.path,
        python=python,
        uv=supplies.uv,
        uv_config=supplies.uv_config,
        sandbox=supplies.confine(),
        work=_work(supplies),
        reporter=reporter,
        stop=stop,
    )
    return KnownMetadata(
        name=question.name,
        version=str(facts.version),
        requires=answer.requires,
        requires_python=str(answer.requires_python) if answer.requires_python is not None else None,
        extras=tuple(sorted(answer.extras)),
    )


def _source_in_question(
    question: NeedsMetadata,
    offered: Callable[[], Mapping[Version, Sequence[IndexFile]]],
    supplies: Supplies,
    grounds: Grounds,
    python: Path,
    reporter: Reporter,
    stop: Cancellation,
) -> tuple[str, FetchedFile]:
    """The source archive that is asked about, in the store, by its name."""
    if "/" in question.version:
        source = source_at(question.version)
        if source is None:
            raise BuildFault(f"what {question.name} requires can only be told by building it", where=question.version)
        package = LockedPackage(name=question.name, version=None, source=source)
        if package.archive is None:
            archived = archive_source(
                question.name,
                source,
                supplies,
                grounds=grounds,
                python=python,
                work=_work(supplies),
                epoch=_EPOCH,
                reporter=reporter,
                stop=stop,
            )
            return archived.file.filename, archived.found
        wanted = wanted_file(package.archive)
    else:
        sdists = [file for file in offered().get(Version(question.version), ()) if not file.filename.endswith(".whl")]
        if not sdists:
            raise BuildFault(
                f"what {question.name} {question.version} requires can only be told by building it, and it is no file of an index",
                hint="give a wheel of it instead, with --find-links or by the wheel's own URL or path",
            )
        file = sorted(sdists, key=lambda sdist: not sdist.filename.endswith(".tar.gz"))[0]
        wanted = Wanted(filename=file.filename, urls=(file.url,), sha256=file.sha256, size=file.size, index=file.index, hash_source="index")
    fetched = fetch([wanted], transport=supplies.transport, store=supplies.store, limits=supplies.limits, reporter=reporter, stop=stop)
    if fetched.failures:
        raise fetched.failures[0]
    return wanted.filename, fetched.files[wanted]


def _sound(filename: str, found: FetchedFile) -> SdistFacts:
    facts = inspect_sdist(found.path, filename=filename, sha256=found.sha256)
    if isinstance(facts, BadSdist):
        raise IntegrityError("; ".join(finding.message for finding in facts.findings), where=filename)
    return facts


class _Builds:
    """What was built so far, each source once for all the targets that want it."""

    def __init__(self, targets: Sequence[Target], supplies: Supplies, python: Path, reporter: Reporter, stop: Cancellation) -> None:
        self._targets, self._supplies, self._python, self._reporter, self._stop = targets, supplies, python, reporter, stop
        self._made: dict[str, dict[str, Ware | Finding]] = {}
        self._begun = False

    @property
    def fresh(self) -> int:
        """How many wheels this run built."""
        wares = (outcome for answers in self._made.values() for outcome in answers.values())
        return len({ware.sha256 for ware in wares if isinstance(ware, Ware) and ware.fresh})

    def begin(self) -> None:
        """Say once that building begins."""
        if not self._begun:
            self._begun = True
            self._reporter.stage("building")

    def wheel(self, filename: str, found: FetchedFile, target: str, users: Iterable[str]) -> Ware | Finding:
        """The wheel of a source archive for one target; it is built for all its ``users`` when the first is asked for."""
        made = self._made.setdefault(found.sha256, {})
        wanting = {*users, target} - made.keys()
        if wanting:
            self.begin()
            made |= self._build(filename, found, [one for one in self._targets if one.name in wanting])
        return made[target]

    def _build(self, filename: str, found: FetchedFile, targets: Sequence[Target]) -> dict[str, Ware | Finding]:
        try:
            answers = build_for(
                _sound(filename, found),
                found.path,
                targets,
                self._supplies,
                python=self._python,
                work=_work(self._supplies),
                epoch=_EPOCH,
                reporter=self._reporter,
                stop=self._stop,
            )
        except (BuildFault, IntegrityError, IndexFault) as error:
            failure = Finding(code=error.slug, message=str(error), file=filename, hint=error.hint)
            return {target.name: failure for target in targets}
        return {name: _ware(answer, self._supplies) if isinstance(answer, Sourced) else answer for name, answer in answers.items()}


def _archive(
    package: LockedPackage, supplies: Supplies, grounds: Grounds, python: Path, reporter: Reporter, stop: Cancellation
) -> Archived | Finding:
    assert package.source is not None
    try:
        return archive_source(
            package.name,
            package.source,
            supplies,
            grounds=grounds,
            python=python,
            work=_work(supplies),
            epoch=_EPOCH,
            reporter=reporter,
            stop=stop,
        )
    except (BuildFault, IntegrityError, IndexFault, MissingTool) as error:
        return Finding(code=error.slug, message=str(error), hint=error.hint)


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


def _work(supplies: Supplies) -> Path:
    """Where builds happen, and where the log of one that failed stays."""
    work = supplies.cache_dir / "builds"
    work.mkdir(parents=True, exist_ok=True)
    return work


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
        fresh=wheel.fresh,
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

"""From a job to a stowed and proven wheelhouse: choose, plan, fetch, build, judge, prove, and only then stow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from hardtack.model.finding import Finding, Severity, Verdict
from hardtack.model.lock import Lock, LockedFile, LockedPackage
from hardtack.model.manifest import Manifest, ManifestFile, Pin
from hardtack.model.plan import Plan, Take
from hardtack.model.target import Target
from hardtack.model.wheel import BadWheel, WheelFacts
from hardtack.planning.plan import Policy, plan
from hardtack.reporting import Reporter
from hardtack.system import environ
from hardtack.system.cancellation import Cancellation
from hardtack.targets.catalog import describe
from hardtack.verifying.integrity import check_downgrades, check_files, check_user_hashes, note_yanked
from hardtack.verifying.skew import note_skews
from hardtack.wheelhouse.facts import FactsCache, inspect_all
from hardtack.wheelhouse.layout import file_paths
from hardtack.wheelhouse.native import judge_native
from hardtack.workflow.asking import with_builds
from hardtack.workflow.choosing import choose
from hardtack.workflow.foreign import ORIGIN, Foreign, filled, find_foreign, kept, taken
from hardtack.workflow.gaps import gap_findings
from hardtack.workflow.making import Made, Ware, make
from hardtack.workflow.outcome import BuildResult
from hardtack.workflow.proving import Shelf, prove
from hardtack.workflow.reading import Job, warn_of_strangers
from hardtack.workflow.receipt import Receipt, keep
from hardtack.workflow.sdists import Shelved, shelve_sdists, with_sdist_digests
from hardtack.workflow.stowing import folded, put_in_place
from hardtack.workflow.supplies import Supplies, open_supplies
from hardtack.workflow.yard import Yard


def provision(job: Job, *, key: str, reporter: Reporter, stop: Cancellation) -> BuildResult:
    """Do the whole job. Findings are in the result, all at once; ``key`` goes into the receipt of a proven wheelhouse."""
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
        chosen = choose(yard, reporter=reporter, stop=stop, remembered=job.output / "pylock.toml")
        yard.choose(chosen.lock)
        warn_of_strangers(job, chosen.lock, reporter)
        reporter.stage("planning")
        policy = Policy(formats=job.formats, require_stated_hashes=job.options.require_stated_hashes)
        planned = plan(chosen.lock, job.targets, policy)
        foreign = find_foreign(job, supplies, reporter=reporter, stop=stop) if job.options.keep_foreign else Foreign()
        planned = filled(planned, foreign)
        result = BuildResult(
            lock=chosen.lock,
            plan=planned,
            targets=job.targets,
            found=job.requirements.found,
            notes=job.requirements.notes,
            findings=(
                *check_user_hashes(job.requirements.roots, chosen.lock, planned),
                *note_yanked(planned),
                *gap_findings(planned, chosen.lock, job, supplies),
                *foreign.findings,
            ),
            output=job.output,
        )
        if job.options.dry_run:
            return result
        return _make_and_prove(result, chosen.lock, planned, foreign, yard, key=key, reporter=reporter, stop=stop)


def _make_and_prove(
    result: BuildResult,
    chosen: Lock,
    planned: Plan,
    foreign: Foreign,
    yard: Yard,
    *,
    key: str,
    reporter: Reporter,
    stop: Cancellation,
) -> BuildResult:
    job, supplies, options = yard.job, yard.supplies, yard.job.options
    made = make(planned, yard, reporter=reporter, stop=stop)
    made, of_foreign = taken(made, planned, foreign)
    shelved = (
        shelve_sdists(
            planned,
            made,
            supplies,
            jobs=options.jobs,
            require_stated_hashes=options.require_stated_hashes,
            reporter=reporter,
            stop=stop,
        )
        if options.with_sdists
        else Shelved()
    )
    reporter.stage("judging")
    judged = _judge(made, supplies, reporter=reporter, stop=stop)
    facts = {digest: answer for digest, answer in judged.items() if isinstance(answer, WheelFacts)}
    lock = with_builds(with_sdist_digests(_with_first_seen(chosen, made, planned), shelved.learned), yard)
    findings = [
        *result.findings,
        *made.findings,
        *of_foreign,
        *shelved.findings,
        *(finding for answer in judged.values() for finding in answer.findings),
    ]
    shelves = [_shelf(target, planned, made, facts) for target in job.targets]
    pins = tuple(pin for shelf in shelves for pin in shelf.pins)
    built = {ware.filename for ware in made.wares.values() if ware.build is not None}
    findings += [
        *check_downgrades(pins, lock, job.targets, built=built),
        *note_skews(pins, lock.skews),
        *_first_seen(made),
        *_nothing_asked(lock),
    ]
    findings += judge_native([(shelf.target, tuple(shelf.facts.values())) for shelf in shelves])
    proof = prove(
        shelves,
        roots=lock.roots,
        waivers=lock.waivers,
        constraints=tuple(root.requirement for root in job.requirements.constraints),
        project=job.requirements.project_name,
        uv=supplies.uv,
        python=environ.interpreter() if options.trial else None,
        opinion=options.opinion,
        reporter=reporter,
        stop=stop,
    )
    findings = folded([*findings, *proof.findings])
    manifest, of_kept = kept(_manifest(job, lock, shelves, made, facts, shelved, findings), foreign, facts)
    findings += of_kept
    facts |= {wheel.facts.sha256: wheel.facts for wheel in foreign.wheels}
    by_path = {file.path: facts[file.sha256] for file in manifest.files}
    findings += check_files(manifest.files, by_path, targets=job.targets, lock=lock)
    proven = not any(finding.severity is Severity.ERROR for finding in findings)
    digest = ""
    if proven or options.keep_incomplete:
        manifest, digest = put_in_place(
            manifest,
            lock,
            facts,
            {
                **{ware.sha256: ware.path for ware in made.wares.values()},
                **{wheel.facts.sha256: wheel.path for wheel in foreign.wheels},
                **shelved.paths,
            },
            job.output,
            prune=options.prune,
            cache_dir=supplies.cache_dir,
            reporter=reporter,
            stop=stop,
        )
    verdict = Verdict(
        findings=tuple(findings),
        grades=tuple((target.name, proof.grades.get(target.name, ())) for target in job.targets),
        manifest_digest=digest,
    )
    if proven:
        paths = tuple(path for file in manifest.files for path in file_paths(file, manifest.layout))
        paths += tuple(source.path for source in manifest.sources)
        keep(job, Receipt(key=key, manifest_digest=digest, summary=_summary(verdict)), manifest, paths, yard.tool_folders)
    return replace(
        result,
        lock=lock,
        findings=tuple(findings),
        verdict=verdict,
        manifest=manifest,
        stowed=bool(digest),
        fetched=made.fetched + shelved.fetched,
        received=made.received + shelved.received,
        built=made.built,
    )


def _summary(verdict: Verdict) -> dict[str, object]:
    """A proof as the receipt keeps it."""
    return {
        "findings": [finding.as_json() for finding in verdict.findings],
        "grades": [[name, [grade.value for grade in grades]] for name, grades in verdict.grades],
    }


def _nothing_asked(lock: Lock) -> list[Finding]:
    if lock.roots:
        return []
    return [
        Finding(
            code="nothing-asked",
            severity=Severity.WARNING,
            message="the inputs ask for nothing, and nothing is what is provisioned",
            hint="look at what was read, listed above",
        )
    ]


def _is_first_seen(ware: Ware) -> bool:
    # What was built here is recorded as such, and what was copied in by hand is told apart.
    return ware.hash_source == "first-seen" and ware.build is None and ware.origin != ORIGIN


def _first_seen(made: Made) -> list[Finding]:
    names = sorted({ware.filename for ware in made.wares.values() if _is_first_seen(ware)})
    if not names:
        return []
    return [
        Finding(
            code="first-seen",
            severity=Severity.NOTE,
            message=f"no index and no lock states a hash of {', '.join(names)}: the digests seen first are recorded, and hold from now on",
            hint="compare them once with what the maker of the files says; --require-stated-hashes refuses such files",
        )
    ]


def _judge(made: Made, supplies: Supplies, *, reporter: Reporter, stop: Cancellation) -> Mapping[str, WheelFacts | BadWheel]:
    wares = {(ware.sha256, ware.filename): ware for ware in made.wares.values()}
    files = [(ware.path, ware.filename, ware.sha256) for ware in wares.values()]
    cache = FactsCache(supplies.cache_dir)
    return {answer.sha256: answer for answer in inspect_all(files, cache, jobs=2, reporter=reporter, stop=stop)}


def _shelf(target: Target, planned: Plan, made: Made, facts: Mapping[str, WheelFacts]) -> Shelf:
    pins: list[Pin] = []
    own: dict[str, WheelFacts] = {}
    paths: dict[str, Path] = {}
    for at, entry in enumerate(planned.entries):
        ware = made.wares.get(at)
        if entry.target != target.name or ware is None or ware.sha256 not in facts:
            continue
        fact = facts[ware.sha256]
        own[ware.filename] = fact
        paths[ware.filename] = ware.path
        pins.append(
            Pin(
                target=target.name,
                name=entry.package.name,
                version=str(fact.version),
                filename=ware.filename,
                marker=entry.marker,
                requires_url=fact.url_requirements,
            )
        )
    return Shelf(target=target, pins=tuple(pins), facts=own, paths=paths)


def _with_first_seen(lock: Lock, made: Made, planned: Plan) -> Lock:
    """The lock with every digest that was learned by fetching, marked as such."""
    seen: dict[tuple[str, str], tuple[str, int]] = {}
    for at, ware in made.wares.items():
        decision = planned.entries[at].decision
        if isinstance(decision, Take) and decision.file.sha256 is None:
            seen[decision.file.filename, decision.file.url] = (ware.sha256, ware.size)
    if not seen:
        return lock

    def learned(file: LockedFile) -> LockedFile:
        known = seen.get((file.filename, file.url))
        if known is None or file.sha256 is not None:
            return file
        return replace(file, sha256=known[0], size=known[1], hash_source="first-seen")

    def with_digests(package: LockedPackage) -> LockedPackage:
        return replace(package, wheels=tuple(learned(file) for file in package.wheels))

    return replace(lock, packages=tuple(with_digests(package) for package in lock.packages))


def _manifest(
    job: Job,
    lock: Lock,
    shelves: Sequence[Shelf],
    made: Made,
    facts: Mapping[str, WheelFacts],
    shelved: Shelved,
    findings: Sequence[Finding],
) -> Manifest:
    users: dict[str, list[str]] = {}
    for shelf in shelves:
        for fact in shelf.facts.values():
            users.setdefault(fact.sha256, []).append(shelf.target.name)
    wares: dict[str, Ware] = {ware.sha256: ware for ware in made.wares.values() if ware.sha256 in users}
    files = [
        ManifestFile(
            filename=ware.filename,
            path=ware.filename,
            sha256=digest,
            size=ware.size,
            name=facts[digest].name,
            version=str(facts[digest].version),
            targets=tuple(users[digest]),
            origin=ware.origin,
            index=ware.index,
            hash_source=ware.hash_source,  # type: ignore[arg-type]
            build=ware.build,
        )
        for digest, ware in wares.items()
    ]
    return Manifest(
        project=job.requirements.project_name,
        layout=job.layout,
        targets={target.name: describe(target) for target in job.targets},
        files=tuple(sorted(files, key=lambda file: file.filename)),
        pins=tuple(pin for shelf in shelves for pin in shelf.pins),
        roots=lock.roots,
        waivers=lock.waivers,
        skews=lock.skews,
        gaps=tuple(finding.as_json() for finding in findings if finding.severity is Severity.ERROR),
        sources=shelved.sources,
    )

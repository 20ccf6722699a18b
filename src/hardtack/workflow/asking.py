"""What the sources of a plan ask for to be built, asked before anything is: so that a lock has all of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hardtack.fetching.download import FetchedFile, fetch
from hardtack.model.finding import Finding, Severity
from hardtack.model.lock import Lock, LockedBuild, LockedPackage
from hardtack.model.plan import Build, Plan
from hardtack.model.target import Target
from hardtack.reporting import Reporter
from hardtack.system.cancellation import Cancellation
from hardtack.workflow.errands import Errand
from hardtack.workflow.files import source_file, wanted_file
from hardtack.workflow.sourcing import first_interpreters
from hardtack.workflow.yard import FAULTS, Yard, finding_of


def ask_builds(planned: Plan, yard: Yard, *, reporter: Reporter, stop: Cancellation) -> list[Finding]:
    """Ask every source that is to be built, in the sandbox, what it takes; the answers are then the toolroom's.

    What cannot be told here is a warning: another machine may build it, and says so then.
    """
    wanting: dict[int, tuple[LockedPackage, list[str]]] = {}
    for entry in planned.entries:
        if isinstance(entry.decision, Build):
            wanting.setdefault(id(entry.package), (entry.package, []))[1].append(entry.target)
    if not wanting:
        return []
    reporter.stage("asking what builds require")
    files = {key: wanted_file(file) for key, (package, _) in wanting.items() if (file := source_file(package)) is not None}
    fetched = fetch(
        list(files.values()),
        transport=yard.supplies.transport,
        store=yard.supplies.store,
        limits=yard.supplies.limits,
        reporter=reporter,
        stop=stop,
    )
    findings = [finding_of(error) for error in fetched.failures]
    errands = []
    for key, (package, names) in wanting.items():
        targets = [target for target in yard.job.targets if target.name in names]
        if key not in files:
            errands.append(_asking(package, None, targets, yard))
        elif (found := fetched.files.get(files[key])) is not None:
            errands.append(_asking(package, found, targets, yard))
    distinct = list({errand.key: errand for errand in errands}.values())
    for outcome in yard.errands.run(distinct):
        findings += [outcome] if isinstance(outcome, Finding) else outcome
    return [
        replace(finding, severity=Severity.WARNING, message=f"what it takes to build it is not locked: {finding.message}")
        for finding in dict.fromkeys(findings)
    ]


def _asking(package: LockedPackage, found: FetchedFile | None, targets: Sequence[Target], yard: Yard) -> Errand:
    """The errand that asks a source in every interpreter that is sure to build it; its outcome is what went wrong."""
    label = package.name if found is None else (source_file(package) or package).filename  # type: ignore[union-attr]

    def do(stop: Cancellation) -> list[Finding]:
        try:
            if found is None:
                assert package.source is not None
                archived = yard.archive(package.name, package.source, stop)
                filename, source = archived.file.filename, archived.found
            else:
                filename, source = label, found
            facts = yard.sound(filename, source)
            interpreters = first_interpreters(facts, targets, yard)
        except FAULTS as error:
            return [finding_of(error, label)]
        outcomes = yard.errands.outcomes([yard.asking(facts, source.path, interpreter) for interpreter in interpreters])
        return [outcome for outcome in outcomes if isinstance(outcome, Finding)]

    return Errand(key=f"asking {package.name} {found.sha256 if found is not None else package.source}", label=label, do=do)


def with_builds(lock: Lock, yard: Yard) -> Lock:
    """The lock with what builds asked for in this run, and what it said before of sources that it still has."""
    return replace(lock, builds=_builds(lock, yard))


def _builds(lock: Lock, yard: Yard) -> tuple[LockedBuild, ...]:
    sources = [(file.filename, file.sha256 or "") for package in lock.packages if (file := source_file(package)) is not None]
    return yard.tools.builds([*sources, *((package.name, "") for package in lock.packages)])

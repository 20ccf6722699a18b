"""``--keep-foreign``: wheels that were copied into the wheelhouse by hand, judged like all others and kept by choice."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from packaging.utils import canonicalize_name
from packaging.version import Version

from hardtack.errors import InputError
from hardtack.model.finding import Finding, Severity
from hardtack.model.fit import Fit, read_wheel_name
from hardtack.model.lock import LockedFile, LockedPackage
from hardtack.model.manifest import Manifest, ManifestFile
from hardtack.model.plan import Build, Gap, Plan, PlanEntry, Take
from hardtack.model.requirements import FormatControl
from hardtack.model.wheel import BadWheel, WheelFacts
from hardtack.reporting import Reporter
from hardtack.system.cancellation import Cancellation
from hardtack.wheelhouse.facts import FactsCache, digests, inspect_all
from hardtack.wheelhouse.layout import PresentFile, file_paths, read_wheelhouse, wheels_in
from hardtack.wheelhouse.native import judge_native
from hardtack.workflow.files import source_file, wanted_file
from hardtack.workflow.making import Made, Ware
from hardtack.workflow.reading import Job
from hardtack.workflow.supplies import Supplies

ORIGIN = "foreign"
# What a wheel can fill. Where the lock contradicts itself or the target, no wheel helps.
_FILLABLE = frozenset({"no-file", "only-binary", "needs-build"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignWheel:
    """A sound wheel that was copied in. ``path`` is the store's; ``ranks``: how well it fits each target that finds it where it lies."""

    facts: WheelFacts
    path: Path
    places: frozenset[str]
    ranks: Mapping[str, tuple[int, int, str]]

    def serves(self, name: str, version: Version, target: str) -> bool:
        """True if it is this version of this package, and fits the target."""
        return (self.facts.name, self.facts.version) == (name, version) and target in self.ranks


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreign:
    """Every sound foreign wheel, and what was found of them and of the others."""

    wheels: tuple[ForeignWheel, ...] = ()
    findings: tuple[Finding, ...] = ()
    fits: Mapping[str, Fit] = field(default_factory=dict, hash=False)
    formats: FormatControl = field(default_factory=FormatControl)


def find_foreign(job: Job, supplies: Supplies, *, reporter: Reporter, stop: Cancellation) -> Foreign:
    """Judge every wheel in the wheelhouse that hardtack did not put there. Sound ones are copied into the store; bad ones are findings.

    A foreign wheel's digest is that of the first time it was seen: one that is other bytes now is a bad one.
    """
    before, present = _lying(job)
    ours = _ours(before)
    candidates = [file for file in present if file.path not in ours]
    recorded = _recorded(before)
    findings = [_bad(file.path, "file-name", f"{file.path} is a link", hint="copy the wheel itself") for file in candidates if file.is_link]
    there = {job.output.absolute() / file.path: file for file in candidates if not file.is_link}
    found: dict[tuple[str, str], list[str]] = {}
    for path, digest in digests(there, stop=stop).items():
        known = recorded.get(there[path].path)
        if known not in (None, digest):
            hint = "if you replaced it on purpose, give the new one a build tag (after its version: -1), or remove wheelhouse.json"
            message = f"{there[path].path} has sha256 {digest}, and {known} was recorded when it was first seen"
            findings.append(_bad(there[path].path, "hash-mismatch", message, hint=hint))
        elif job.options.require_stated_hashes:
            hint = (
                "find out who made it, and name it as a requirement with its hash; or leave out --keep-foreign or --require-stated-hashes"
            )
            findings.append(_bad(there[path].path, "no-hash", f"nobody states a digest for {there[path].path}", hint=hint))
        else:
            found.setdefault((path.name, digest), []).append(there[path].path)
    fits = {target.name: Fit(target) for target in job.targets}
    asked = [(job.output.absolute() / paths[0], name, digest) for (name, digest), paths in sorted(found.items())]
    wheels = []
    for answer in inspect_all(asked, FactsCache(supplies.cache_dir), reporter=reporter, stop=stop):
        paths = found[answer.filename, answer.sha256]
        # Nothing else says which file it is: it is in no lock.
        findings += [replace(finding, message=f"{paths[0]}: {finding.message}", file=paths[0]) for finding in answer.findings]
        if isinstance(answer, BadWheel):
            continue
        stored = answer.sha256 if supplies.store.has(answer.sha256) else supplies.store.add_file(job.output.absolute() / paths[0])
        if stored != answer.sha256:
            findings.append(_bad(paths[0], "hash-mismatch", f"{paths[0]} was changed while it was read", hint="run again"))
            continue
        wheels.append(_wheel(answer, supplies.store.path(stored), paths, fits, job.layout))
    return Foreign(wheels=tuple(wheels), findings=tuple(findings), fits=fits, formats=job.formats)


def filled(plan: Plan, foreign: Foreign) -> Plan:
    """The plan with a foreign wheel in each gap that one fills by its name, version and tags; not where a build was demanded."""
    return replace(plan, entries=tuple(_filled(entry, foreign) for entry in plan.entries))


def _filled(entry: PlanEntry, foreign: Foreign) -> PlanEntry:
    gap = entry.decision
    if not isinstance(gap, Gap) or gap.code not in _FILLABLE or entry.package.version is None or foreign.formats.builds(entry.package.name):
        return entry
    wheel = _best(foreign, entry.package.name, entry.package.version, entry.target)
    if wheel is None:
        return entry
    file = LockedFile(
        filename=wheel.facts.filename,
        url=wheel.path.as_uri(),
        sha256=wheel.facts.sha256,
        size=wheel.facts.size,
        hash_source="first-seen",
    )
    return replace(entry, decision=Take(file=file, rejected=gap.rejected))


def taken(made: Made, plan: Plan, foreign: Foreign) -> tuple[Made, tuple[Finding, ...]]:
    """What was made, with a foreign wheel for each build that failed where one serves; and one note for each gap that is filled so."""
    wares = dict(made.wares)
    findings = list(made.findings)
    notes: dict[tuple[str, str], list[str]] = {}
    spared: set[int] = set()
    ours = {wheel.path.as_uri(): wheel for wheel in foreign.wheels}
    for at, entry in enumerate(plan.entries):
        ware = wares.get(at)
        wheel: ForeignWheel | None = None
        why = "nothing else serves it"
        if isinstance(entry.decision, Take):
            wheel = ours.get(entry.decision.file.url) if ware is not None else None
        elif isinstance(entry.decision, Build) and ware is None and not foreign.formats.builds(entry.package.name):
            version = entry.package.version or _version_elsewhere(entry.package, plan, wares)
            wheel = _best(foreign, entry.package.name, version, entry.target) if version is not None else None
            failures = [one for one in findings if _is_about(one, entry)]
            why = f"building it failed ({failures[0].message.splitlines()[0]})" if failures else "it could not be built"
        if wheel is None:
            continue
        if ware is None:
            findings = [one for one in findings if not _is_about(one, entry)]
            spared.add(at)
        wares[at] = _ware(wheel)
        notes.setdefault((wheel.facts.filename, why), []).append(entry.target)
    # A source that could not be fetched is told by its file: no longer, where foreign wheels are taken for all that it was for.
    lacking = {_source_place(entry) for at, entry in enumerate(plan.entries) if isinstance(entry.decision, Build) and at not in wares}
    needless = {_source_place(plan.entries[at]) for at in spared} - lacking
    findings = [one for one in findings if not (one.package is None and one.severity is Severity.ERROR and one.file in needless)]
    told = tuple(
        Finding(
            code="foreign",
            severity=Severity.NOTE,
            message=f"{filename}, which was copied in by hand, is taken for {', '.join(targets)}: {why}",
            file=filename,
            hint="nobody states its digest: the one that it has now is recorded, and holds from now on",
        )
        for (filename, why), targets in notes.items()
    )
    return replace(made, wares=wares, findings=tuple(findings)), told


def _is_about(finding: Finding, entry: PlanEntry) -> bool:
    return finding.severity is Severity.ERROR and (finding.package, finding.target) == (entry.package.name, entry.target)


def _source_place(entry: PlanEntry) -> str | None:
    """What fetching calls the source that an entry is built from."""
    source = source_file(entry.package)
    return wanted_file(source).place if source is not None else None


def kept(manifest: Manifest, foreign: Foreign, facts: Mapping[str, WheelFacts]) -> tuple[Manifest, tuple[Finding, ...]]:
    """The manifest with every foreign wheel that goes with it, for the targets that it fits; and what is to be said of them.

    Of two wheels of one version an installer takes the one that fits best, listed or not: a foreign one that would win over what was
    proven is an error, and so is one that nothing tells from a listed file of the same name. ``facts`` of the listed files by sha256.
    """
    findings: list[Finding] = []
    files = {(file.filename, file.sha256): file for file in manifest.files}
    for wheel in foreign.wheels:
        key = (wheel.facts.filename, wheel.facts.sha256)
        own = files.get(key)
        if own is not None and own.origin != ORIGIN:
            continue  # it is the very file that is taken anyway
        others = [file for other, file in files.items() if other != key]
        if (fault := _rivalry(wheel, others, foreign, manifest.layout)) is not None:
            findings.append(fault)
            continue
        users = set(own.targets) if own is not None else set()
        served = {target for file in others if _is_version(file, wheel.facts) for target in file.targets}
        targets = tuple(sorted(users | (set(wheel.ranks) - served)))
        if not targets:
            findings.append(_misfit(wheel, others, foreign))
            continue
        if own is not None:
            files[key] = replace(own, targets=targets)
            continue
        # What is pinned is judged with all that lies with it; its libraries may come from there too.
        beside = [(foreign.fits[name].target, (wheel.facts, *_facts_for(name, manifest, facts))) for name in targets]
        native = [one for one in judge_native(beside) if one.file == wheel.facts.filename]
        findings += native
        if not any(one.severity is Severity.ERROR for one in native):
            files[key] = _listed(wheel, targets)
            findings.append(_unasked(wheel, targets, manifest))
    return replace(manifest, files=tuple(sorted(files.values(), key=lambda file: file.filename))), tuple(findings)


def _facts_for(target: str, manifest: Manifest, facts: Mapping[str, WheelFacts]) -> list[WheelFacts]:
    return [facts[file.sha256] for file in manifest.files if target in file.targets and file.sha256 in facts]


def _lying(job: Job) -> tuple[Manifest | None, tuple[PresentFile, ...]]:
    """The earlier manifest, and the wheels where installers of this layout would look."""
    before = None
    with contextlib.suppress(InputError):  # a damaged manifest is told when a new one is written
        before, _ = read_wheelhouse(job.output)
    places = [""] if job.layout == "flat" else [target.name for target in job.targets]
    return before, tuple(wheels_in(job.output, places))


def _ours(before: Manifest | None) -> set[str]:
    if before is None:
        return set()
    files = (path for file in before.files if file.origin != ORIGIN for path in file_paths(file, before.layout))
    return {*files, *(path for path, _ in before.leftovers)}


def _recorded(before: Manifest | None) -> dict[str, str]:
    if before is None:
        return {}
    return {path: file.sha256 for file in before.files if file.origin == ORIGIN for path in file_paths(file, before.layout)}


def _wheel(facts: WheelFacts, path: Path, paths: Sequence[str], fits: Mapping[str, Fit], layout: str) -> ForeignWheel:
    places = frozenset(place.rpartition("/")[0] for place in paths)
    ranks = {
        name: order
        for name, fit in fits.items()
        if (layout == "flat" or name in places) and (order := fit.order(facts.tags, facts.build)) is not None
    }
    return ForeignWheel(facts=facts, path=path, places=places, ranks=ranks)


def _best(foreign: Foreign, name: str, version: Version, target: str) -> ForeignWheel | None:
    serving = [wheel for wheel in foreign.wheels if wheel.serves(name, version, target)]
    return max(serving, key=lambda wheel: (wheel.ranks[target], wheel.facts.filename), default=None)


def _version_elsewhere(package: LockedPackage, plan: Plan, wares: Mapping[int, Ware]) -> Version | None:
    """The version of a source that only its build tells, where it was built for another target."""
    found = set()
    for at, ware in wares.items():
        name = read_wheel_name(ware.filename)
        if plan.entries[at].package is package and name is not None and ware.origin == "built":
            found.add(name.version)
    return found.pop() if len(found) == 1 else None


def _ware(wheel: ForeignWheel) -> Ware:
    return Ware(
        filename=wheel.facts.filename,
        sha256=wheel.facts.sha256,
        size=wheel.facts.size,
        path=wheel.path,
        origin=ORIGIN,
        index=None,
        hash_source="first-seen",
    )


def _listed(wheel: ForeignWheel, targets: tuple[str, ...]) -> ManifestFile:
    return ManifestFile(
        filename=wheel.facts.filename,
        path=wheel.facts.filename,
        sha256=wheel.facts.sha256,
        size=wheel.facts.size,
        name=wheel.facts.name,
        version=str(wheel.facts.version),
        targets=targets,
        origin=ORIGIN,
        hash_source="first-seen",
    )


def _is_version(file: ManifestFile, facts: WheelFacts) -> bool:
    return canonicalize_name(file.name) == facts.name and Version(file.version) == facts.version


def _rivalry(wheel: ForeignWheel, others: Sequence[ManifestFile], foreign: Foreign, layout: str) -> Finding | None:
    """What is wrong with a foreign wheel beside the others: it has another's name, or would be taken in its place."""
    filename = wheel.facts.filename
    for other in others:
        shared = layout == "flat" or not wheel.places.isdisjoint(other.targets)
        if shared and other.filename.casefold() == filename.casefold():
            return _rival(wheel, f"{filename} was copied in by hand, and other bytes of that name are what is provisioned")
    for other in others:
        name = read_wheel_name(other.filename)
        if name is None or not _is_version(other, wheel.facts):
            continue
        for target in sorted(wheel.ranks.keys() & set(other.targets)):
            order = foreign.fits[target].order(name.tags, name.build)
            if order is None or wheel.ranks[target] >= order:
                return _rival(wheel, f"{filename} was copied in by hand, and {target} would take it in place of {other.filename}", target)
    return None


def _rival(wheel: ForeignWheel, message: str, target: str | None = None) -> Finding:
    return Finding(
        code="rival",
        message=message,
        package=wheel.facts.name,
        version=str(wheel.facts.version),
        target=target,
        file=wheel.facts.filename,
        hint="remove it; to have it in place of the other, move it to a folder of its own and name it by its path as a requirement",
    )


def _misfit(wheel: ForeignWheel, others: Sequence[ManifestFile], foreign: Foreign) -> Finding:
    """A foreign wheel that no target has a use for: harmless only where nothing of its version is provisioned."""
    filename = wheel.facts.filename
    if any(_is_version(other, wheel.facts) for other in others):
        return _rival(wheel, f"{filename} was copied in by hand, serves no target, and is of a version that is provisioned by other files")
    why = "; ".join(f"{name}: {fit.misfit(wheel.facts.tags)}" for name, fit in foreign.fits.items() if name not in wheel.ranks)
    return Finding(
        code="foreign",
        severity=Severity.WARNING,
        message=f"{filename} was copied in by hand, fits no target, and is not part of the wheelhouse ({why})",
        package=wheel.facts.name,
        version=str(wheel.facts.version),
        file=filename,
        hint="remove it, or add the target that it is for; --prune removes it",
    )


def _unasked(wheel: ForeignWheel, targets: Sequence[str], manifest: Manifest) -> Finding:
    """What is kept though nothing asks for it; a warning where installing by name may take it in place of another version."""
    filename, facts = wheel.facts.filename, wheel.facts
    versions = sorted({pin.version for pin in manifest.pins if pin.target in targets and canonicalize_name(pin.name) == facts.name})
    words = f"{filename}, which was copied in by hand, is kept for {', '.join(targets)}, and no pin asks for it"
    return Finding(
        code="foreign",
        severity=Severity.WARNING if versions else Severity.NOTE,
        message=f"{words}: {facts.name} {', '.join(versions)} is what is provisioned" if versions else words,
        package=facts.name,
        version=str(facts.version),
        file=filename,
        hint="installing by name may take it; the exact lists do not" if versions else None,
    )


def _bad(path: str, code: str, message: str, *, hint: str) -> Finding:
    return Finding(code=code, message=message, file=path, hint=hint)

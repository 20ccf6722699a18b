"""A folder of wheels against a lock: which file that lies there serves each entry, and what is not the lock's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from packaging.utils import canonicalize_name

from hardtack.model.finding import Finding, Severity
from hardtack.model.fit import Fit
from hardtack.model.lock import LockedFile, LockedPackage
from hardtack.model.manifest import Pin
from hardtack.model.plan import Build, Gap, Plan, PlanEntry, Take
from hardtack.model.target import Target
from hardtack.model.wheel import WheelFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class Matched:
    """``pins`` are what the lock wants on the target: each by the file that lies there, else by the one that it would take.

    ``made`` are the wheels, by file name, that stand in for sources, and that no lock can know.
    """

    pins: tuple[Pin, ...]
    findings: tuple[Finding, ...]
    made: frozenset[str]


# Whether a wheel's bytes have a digest ("algorithm:digest"); None where the algorithm is not known.
HasDigest = Callable[[WheelFacts, str], bool | None]


def match(
    planned: Plan,
    target: Target,
    available: Mapping[str, Sequence[WheelFacts]],
    *,
    has: HasDigest,
    project: str | None = None,
) -> Matched:
    """Find the file for each entry of the plan. A wheel of other bytes than the lock states serves nothing.

    ``has`` is asked where the lock states no sha256, but other digests.
    ``project`` is the project's own name: that its wheel does not lie there is a warning.
    """
    fit = Fit(target)
    pins: list[Pin] = []
    findings: list[Finding] = []
    made: set[str] = set()
    for entry in planned.entries:
        if entry.target != target.name:
            continue
        package = entry.package
        name = canonicalize_name(package.name)
        lying = [wheel for wheel in available.get(name, ()) if package.version is None or wheel.version == package.version]
        genuine, strangers, wrong = _sorted(package, lying, has)
        findings += wrong
        if isinstance(entry.decision, Gap) and entry.decision.code == "unanswerable-marker":
            findings.append(_of_gap(entry, entry.decision))
            continue
        chosen = _best(fit, genuine)
        strange = [wheel for wheel in strangers if fit.order(wheel.tags, wheel.build) is not None]
        if chosen is None and strange and not isinstance(entry.decision, Take):
            chosen = _best(fit, strange)
            assert chosen is not None
            made.add(chosen.filename)
            findings.append(_made(entry, chosen))
        else:
            findings += [_foreign(entry, wheel) for wheel in strange]
        if chosen is not None:
            pins.append(_pin(entry, str(chosen.version), chosen.filename, url=chosen.url_requirements))
        elif package.version is not None:
            pins.append(_pin(entry, str(package.version), entry.decision.file.filename if isinstance(entry.decision, Take) else ""))
        elif name != project:
            findings.append(_unbuilt(entry))
    return Matched(pins=tuple(pins), findings=tuple(findings), made=frozenset(made))


def _sorted(
    package: LockedPackage, lying: Sequence[WheelFacts], has: HasDigest
) -> tuple[list[WheelFacts], list[WheelFacts], list[Finding]]:
    """The lock's own files, those of others, and what is wrong with those that only have the name."""
    locked: dict[str, list[LockedFile]] = {}
    for file in (*package.wheels, *([package.archive] if package.archive is not None else [])):
        locked.setdefault(file.filename, []).append(file)
    genuine, strangers, wrong = [], [], []
    for wheel in lying:
        files = locked.get(wheel.filename)
        if files is None:
            strangers.append(wheel)
            continue
        stated = {f"sha256:{file.sha256}" for file in files if file.sha256 is not None}
        if stated:
            same = f"sha256:{wheel.sha256}" in stated
        else:
            answers = {digest: answer for file in files for digest in file.other_hashes if (answer := has(wheel, digest)) is not None}
            stated, same = set(answers), all(answers.values())
        if not stated:
            wrong.append(_unchecked(wheel))
        if same:
            genuine.append(wheel)
        else:
            wrong.append(_altered(wheel, stated))
    return genuine, strangers, wrong


def _altered(wheel: WheelFacts, stated: Iterable[str]) -> Finding:
    return Finding(
        code="hash-mismatch",
        message=f"{wheel.filename} has sha256 {wheel.sha256}, but the lock states {' or '.join(sorted(stated)).replace('sha256:', '')}",
        package=wheel.name,
        version=str(wheel.version),
        file=wheel.filename,
        hint="the file was replaced or altered after it was locked; do not use it before you know which",
    )


def _best(fit: Fit, wheels: Sequence[WheelFacts]) -> WheelFacts | None:
    ranked = [(order, wheel.filename, wheel) for wheel in wheels if (order := fit.order(wheel.tags, wheel.build)) is not None]
    return max(ranked, key=lambda row: row[:2])[2] if ranked else None


def _pin(entry: PlanEntry, version: str, filename: str, *, url: bool = False) -> Pin:
    return Pin(target=entry.target, name=entry.package.name, version=version, filename=filename, marker=entry.marker, requires_url=url)


def _of_gap(entry: PlanEntry, gap: Gap) -> Finding:
    return Finding(
        code=gap.code,
        message=f"{entry.package.name} {entry.package.version or ''}: {gap.reason}",
        package=entry.package.name,
        version=str(entry.package.version) if entry.package.version else None,
        target=entry.target,
        hint=gap.hint,
    )


def _made(entry: PlanEntry, wheel: WheelFacts) -> Finding:
    why = "the lock has it as a source" if isinstance(entry.decision, Build) else "the lock has no file of it for this target"
    return Finding(
        code="not-in-lock",
        severity=Severity.NOTE,
        message=f"{wheel.filename} is no file of the lock: {why}, and this may be what was built from it",
        package=wheel.name,
        version=str(wheel.version),
        target=entry.target,
        file=wheel.filename,
        hint="nobody states its digest: whoever put it there is trusted",
    )


def _foreign(entry: PlanEntry, wheel: WheelFacts) -> Finding:
    return Finding(
        code="not-in-lock",
        message=f"{wheel.filename} is no file of the lock, and of a version that is locked: an installer that looks by name may take it",
        package=wheel.name,
        version=str(wheel.version),
        target=entry.target,
        file=wheel.filename,
        hint="remove it, or lock it",
    )


def _unchecked(wheel: WheelFacts) -> Finding:
    return Finding(
        code="hash-unchecked",
        severity=Severity.WARNING,
        message=f"the lock states no digest of {wheel.filename}: whether it is the locked file is not checked",
        package=wheel.name,
        version=str(wheel.version),
        file=wheel.filename,
        hint="lock it with its hash",
    )


def _unbuilt(entry: PlanEntry) -> Finding:
    return Finding(
        code="missing",
        message=f"{entry.package.name} is locked as a source, and no wheel of it lies there",
        package=entry.package.name,
        target=entry.target,
        hint="`hardtack build` makes a wheel of it",
    )


def strangers(
    available: Mapping[str, Sequence[WheelFacts]], packages: Sequence[LockedPackage], known: Mapping[str, str]
) -> Iterator[Finding]:
    """Wheels of names or versions that the lock does not have. ``known``: the path of each wheel by its file name."""
    versions = {(canonicalize_name(package.name), package.version) for package in packages}
    unversioned = {canonicalize_name(package.name) for package in packages if package.version is None}
    names = {name for name, _ in versions}
    for name, wheels in sorted(available.items()):
        for wheel in wheels:
            if name in unversioned or (name, wheel.version) in versions:
                continue
            what = f"{name} is locked at another version" if name in names else f"{name} is not locked"
            yield Finding(
                code="not-in-lock",
                severity=Severity.WARNING,
                message=f"{wheel.filename} is no file of the lock: {what}",
                package=name,
                version=str(wheel.version),
                file=known.get(wheel.filename, wheel.filename),
                hint="an installer that looks by name may take it: remove it",
            )

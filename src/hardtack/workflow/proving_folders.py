"""Prove a folder of wheels complete for each target: by a lock's pins, by requirements, or by all that lies there."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from hardtack.model.finding import Finding, Severity
from hardtack.model.fit import Fit
from hardtack.model.lock import LockedRoot
from hardtack.model.manifest import ManifestFile, Pin
from hardtack.model.marker import python_fits, specifier_cuts
from hardtack.model.requirements import RootRequirement
from hardtack.model.stretches import Stretches
from hardtack.model.target import Target
from hardtack.model.wheel import WheelFacts
from hardtack.shipping.trial import Trial, TrialFile, choose_among
from hardtack.system.cancellation import Cancellation
from hardtack.system.uv import Uv
from hardtack.verifying.closure import Closure, prove_closure
from hardtack.verifying.everything import prove_everything
from hardtack.verifying.integrity import check_downgrades, check_user_hashes
from hardtack.verifying.locked import match, strangers
from hardtack.verifying.settling import Settle, Settled, prove_settled
from hardtack.verifying.skew import note_skews
from hardtack.wheelhouse.native import judge_native
from hardtack.workflow.folders import Lying, Pool
from hardtack.workflow.proving import Shelf
from hardtack.workflow.wanted import Asked

_SHOWN = 6
_QUESTIONS = 30  # to a resolver, for one target


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One target's proof. ``used`` are the file names of the wheels that something needs there; ``roots`` are what was asked for."""

    shelf: Shelf
    findings: tuple[Finding, ...]
    by_name: bool
    roots: tuple[LockedRoot, ...]
    used: frozenset[str]

    @property
    def complete(self) -> bool:
        """True if nothing is wrong for this target."""
        return not any(finding.severity is Severity.ERROR for finding in self.findings)


def prove_column(pool: Pool, asked: Asked, folder: Path, *, uv: Uv, stop: Cancellation) -> Column:
    """Prove one target from the wheels that an installer would see there. Where it hangs on which versions are taken, uv is asked."""
    target = pool.target
    findings: list[Finding] = [*pool.findings]
    used: set[str] = set()
    available, of_hashes = _stated_bytes(pool, asked, folder)
    findings += of_hashes
    settle = _settled_by(uv, pool, asked, folder, stop)
    if asked.roots is None:
        whole = prove_everything(target=target, available=available, settle=settle)
        findings += whole.findings
        used |= whole.reached
        pins, roots, by_name = whole.chosen, whole.roots, whole.by_name and whole.complete
    else:
        pins, closure = _asked_for(pool, asked, folder, available, settle, findings)
        findings += closure.findings
        used |= {pin.filename for pin in (*closure.chosen, *pins)}
        roots = _for(target, asked.roots)
        findings += _other_python(target, asked)
        by_name = closure.by_name and not asked.wants_project and not any(finding.code == "project" for finding in closure.findings)
        if asked.wants_project and asked.project is not None and asked.project not in pool.wheels:
            findings.append(_no_project(asked.project, target))
    if asked.tools:
        closure = prove_settled(settle, target=target, roots=asked.tools, available=available)
        used |= {pin.filename for pin in closure.chosen}
        findings += [_of_tools(finding) for finding in closure.findings]
    facts = pool.by_filename
    paths = {name: folder / path for name, path in pool.paths.items()}
    findings += judge_native([(target, tuple(facts[name] for name in sorted(used) if name in facts))])
    shelf = Shelf(
        target=target,
        pins=pins,
        facts={pin.filename: facts[pin.filename] for pin in pins if pin.filename in facts},
        paths={pin.filename: paths[pin.filename] for pin in pins if pin.filename in facts},
        lying=None
        if asked.lock is not None
        else {wheel.filename: (wheel, paths[wheel.filename]) for own in available.values() for wheel in own},
    )
    return Column(
        shelf=shelf,
        findings=tuple(_named_better(finding, pool, available) for finding in _once(findings)),
        by_name=by_name,
        roots=roots,
        used=frozenset(used),
    )


def _asked_for(
    pool: Pool, asked: Asked, folder: Path, available: Mapping[str, Sequence[WheelFacts]], settle: Settle, findings: list[Finding]
) -> tuple[tuple[Pin, ...], Closure]:
    """The pins of one target, given by the lock or found, and the closure that they have."""
    assert asked.roots is not None
    target, roots = pool.target, _for(pool.target, asked.roots)
    if asked.lock is not None and asked.planned is not None:
        matched = match(
            asked.planned,
            target,
            available,
            has=lambda wheel, digest: _has_digest(wheel, digest, folder / pool.paths[wheel.filename]),
            project=asked.project,
        )
        findings += matched.findings
        findings += check_downgrades(matched.pins, asked.lock, [target], built=matched.made)
        closure = prove_closure(
            target=target,
            roots=roots,
            available=available,
            pins=matched.pins,
            constraints=asked.constraints,
            waivers=asked.waivers,
            project=asked.project,
        )
        pins = matched.pins
        findings += _unreached(pool, pins, closure)
    else:
        closure = prove_settled(
            settle,
            target=target,
            roots=roots,
            available=available,
            constraints=asked.constraints,
            waivers=asked.waivers,
            project=asked.project,
        )
        pins = closure.chosen
    if asked.require_hashes:
        stated = {canonicalize_name(root.requirement.name) for root in asked.stated}
        findings += [_no_hash(pin) for pin in closure.chosen if pin.name not in stated]
    return pins, closure


def _unreached(pool: Pool, pins: Sequence[Pin], closure: Closure) -> Iterator[Finding]:
    """What is locked for the target, and that no wheel's metadata asks for: whoever installs from the lock wants it all the same."""
    told = {finding.package for finding in closure.findings if finding.severity is Severity.ERROR}
    for pin in pins:
        name = canonicalize_name(pin.name)
        if pin.filename not in pool.paths and name not in told:
            yield Finding(
                code="missing",
                message=f"{pin.filename or f'{name} {pin.version}'} is locked for this target, and does not lie there",
                package=name,
                version=pin.version,
                target=pin.target,
                hint=f"fetch {pin.filename or f'{name} {pin.version}'}",
            )


def _other_python(target: Target, asked: Asked) -> Iterator[Finding]:
    """Whether the project itself runs on every patch of the target."""
    if asked.requires_python is None:
        return
    stretches = Stretches(target, specifier_cuts(asked.requires_python))
    if unfit := stretches.all & ~stretches.fits(asked.requires_python):
        yield Finding(
            code="requires-python",
            message=f"the project needs Python {asked.requires_python}, and this target has {_patches(stretches, unfit)}",
            package=asked.project,
            target=target.name,
            hint="leave the target out, or name the patches that the host has",
        )


def _patches(stretches: Stretches, where: int) -> str:
    return stretches.words(where) or f"{stretches.target.python[0]}.{stretches.target.python[1]}"


def _settled_by(uv: Uv, pool: Pool, asked: Asked, folder: Path, stop: Cancellation) -> Settle:
    """uv's resolver, asked to choose among the wheels of one target; not for ever."""
    left = _QUESTIONS

    fit = Fit(pool.target)

    def settle(roots: Sequence[LockedRoot], wheels: Mapping[str, Sequence[WheelFacts]], python: str) -> Settled | None:
        nonlocal left
        left -= 1
        if left < 0:
            return None
        files = {
            wheel.filename: TrialFile(filename=wheel.filename, path=folder / pool.paths[wheel.filename], sha256=wheel.sha256)
            for own in wheels.values()
            for wheel in own
            # uv passes over the upper bounds of Requires-Python, and knows tags that no floor has.
            if fit.rank(wheel.tags) is not None and python_fits(wheel.requires_python, python)
        }
        trial = Trial(target=pool.target, pins=(), files=files)
        answer = choose_among(
            trial,
            [text for root in roots if (text := _by_name(root, absent=asked.project if asked.project not in wheels else None))],
            python=python,
            constraints=[str(constraint) for constraint in asked.constraints],
            uv=uv,
            stop=stop,
        )
        if answer is None or isinstance(answer, str):
            return Settled(versions={}, reason=answer) if answer else None
        return Settled(versions={name: Version(version) for name, version in answer.items()})

    return settle


def _by_name(root: LockedRoot, *, absent: str | None) -> str | None:
    """A root in a resolver's words; None for the project itself, which does not lie there."""
    requirement = Requirement(root.requirement)
    requirement.url = None
    return str(requirement) if canonicalize_name(requirement.name) != absent else None


def _for(target: Target, roots: Sequence[LockedRoot]) -> tuple[LockedRoot, ...]:
    return tuple(root for root in roots if root.targets is None or target.name in root.targets)


# --- hashes that the user states ---------------------------------------------------------------------------------------------------------


def _stated_bytes(pool: Pool, asked: Asked, folder: Path) -> tuple[dict[str, tuple[WheelFacts, ...]], list[Finding]]:
    """The wheels that may be taken: of a requirement with hashes, only those that have one of them."""
    available = {name: _behind_urls(name, wheels, asked.stated) for name, wheels in pool.wheels.items()}
    stated: dict[str, list[RootRequirement]] = {}
    for root in asked.stated:
        if root.hashes:
            stated.setdefault(canonicalize_name(root.requirement.name), []).append(root)
    findings: list[Finding] = []
    fit = Fit(pool.target)
    for name, roots in stated.items():
        good: list[WheelFacts] = []
        wrong: list[tuple[WheelFacts, RootRequirement]] = []
        for wheel in available.get(name, ()):
            speaking = [
                root for root in roots if root.requirement.url or root.requirement.specifier.contains(wheel.version, prereleases=True)
            ]
            failing = next((root for root in speaking if not _has(wheel, root.hashes, folder / pool.paths[wheel.filename])), None)
            if failing is None:
                good.append(wheel)
            else:
                wrong.append((wheel, failing))
        served = any(fit.rank(wheel.tags) is not None for wheel in good)
        for wheel, root in wrong:
            if fit.rank(wheel.tags) is None:
                continue
            findings.append(
                Finding(
                    code="hash-mismatch",
                    # Another file serves, and installers pass this one over.
                    severity=Severity.WARNING if served else Severity.ERROR,
                    message=f"{wheel.filename} has sha256 {wheel.sha256}, which {root.origin} does not state for {root.requirement}",
                    package=name,
                    version=str(wheel.version),
                    file=pool.paths[wheel.filename],
                    required_by=(f"{root.origin}: {root.requirement}",),
                    hint="the file is not the one that was meant, or the requirements are out of date: find out which",
                )
            )
        if name in available:
            available[name] = tuple(good)
    return available, findings


def _behind_urls(name: str, wheels: tuple[WheelFacts, ...], stated: Sequence[RootRequirement]) -> tuple[WheelFacts, ...]:
    """Of a requirement by the URL of a wheel, that wheel alone."""
    for root in stated:
        url = root.requirement.url
        filename = unquote(urlsplit(url).path).rpartition("/")[2] if url else ""
        if filename.endswith(".whl") and canonicalize_name(root.requirement.name) == name:
            wheels = tuple(wheel for wheel in wheels if wheel.filename == filename)
    return wheels


def _has(wheel: WheelFacts, hashes: Iterable[str], path: Path) -> bool:
    return any(_has_digest(wheel, stated, path) for stated in hashes)


def _has_digest(wheel: WheelFacts, stated: str, path: Path) -> bool | None:
    """Whether a wheel has a digest; None where nobody here knows the algorithm."""
    algorithm, _, digest = stated.partition(":")
    if algorithm == "sha256":
        return digest.lower() == wheel.sha256
    if algorithm not in hashlib.algorithms_guaranteed or algorithm.startswith("shake"):
        return None
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, algorithm).hexdigest() == digest.lower()


def _no_hash(pin: Pin) -> Finding:
    return Finding(
        code="no-hash",
        message=f"{pin.name} {pin.version} is needed and no line states its hash, though one hash makes all mandatory",
        package=pin.name,
        version=pin.version,
        target=pin.target,
        file=pin.filename,
        hint="pip refuses to install from these requirements: state every package with its hashes, or none",
    )


# --- in better words ---------------------------------------------------------------------------------------------------------------------


def _named_better(finding: Finding, pool: Pool, available: Mapping[str, Sequence[WheelFacts]]) -> Finding:
    """What is missing is told apart: another version lies there, only for other platforms, only broken, or not at all."""
    if finding.file is not None and finding.file in pool.paths:
        finding = replace(finding, file=pool.paths[finding.file])
    if finding.code != "missing" or finding.package is None:
        return finding
    broken = pool.bad.get(finding.package, ())
    if broken:
        return replace(finding, instead=(*finding.instead, *(f"{path} (refused: it is not sound)" for path in broken[:_SHOWN])))
    lying = available.get(finding.package, ())
    if not lying:
        return finding
    fit = Fit(pool.target)
    return replace(finding, code="version" if any(fit.rank(wheel.tags) is not None for wheel in lying) else "tags")


def with_sources(findings: Iterable[Finding], lying: Lying) -> Iterator[Finding]:
    """The findings; where a source archive of what is missing lies there, it is named."""
    names: dict[str, list[str]] = {}
    for path in lying.sources:
        stem = path.rpartition("/")[2].rsplit("-", 1)[0]
        names.setdefault(canonicalize_name(stem), []).append(path)
    for finding in findings:
        archives = names.get(finding.package or "", ()) if finding.code in ("missing", "version", "tags") else ()
        if archives:
            told = (f"{path} (a source archive, no wheel)" for path in archives[:_SHOWN])
            hint = f"build a wheel of it: hardtack build {finding.package} --find-links DIR -t {finding.target}"
            finding = replace(finding, instead=(*finding.instead, *told), hint=hint)
        yield finding


def _of_tools(finding: Finding) -> Finding:
    if finding.severity is not Severity.ERROR:
        return finding
    hint = f"{finding.hint}; " if finding.hint else ""
    return replace(finding, hint=f"{hint}--no-build-requirements leaves out what only building the project requires")


def _no_project(name: str, target: Target) -> Finding:
    return Finding(
        code="project",
        severity=Severity.WARNING,
        message=f"{name} is the project itself, which does not lie there",
        package=name,
        target=target.name,
        hint="install the project beside the wheels; --no-project does not ask for it",
    )


def _once(findings: Iterable[Finding]) -> list[Finding]:
    return list(dict.fromkeys(findings))


# --- what concerns all targets -----------------------------------------------------------------------------------------------------------


def of_all(columns: Sequence[Column], pools: Sequence[Pool], asked: Asked, lying: Lying) -> Iterator[Finding]:
    """Left-over files, several versions, lesser wheels, version skew: what is seen when the targets are looked at together."""
    used = {pool.paths[name] for column, pool in zip(columns, pools, strict=True) for name in column.used if name in pool.paths}
    wheels = {path: wheel for pool in pools for name, path in pool.paths.items() if (wheel := pool.by_filename.get(name)) is not None}
    idle = {path: wheel for path, wheel in wheels.items() if path not in used}
    if asked.lock is not None:
        yield from check_user_hashes(asked.stated, asked.lock, asked.planned)
        unlocked = [
            finding
            for path, wheel in sorted(idle.items())
            for finding in strangers({wheel.name: [wheel]}, asked.lock.packages, {wheel.filename: path})
        ]
        yield from unlocked
        idle = {path: wheel for path, wheel in idle.items() if path not in {finding.file for finding in unlocked}}
    if idle:
        yield _left_over(idle, asked)
    yield from _several_versions(pools, asked)
    yield from _lesser(columns)
    yield from note_skews([pin for column in columns for pin in column.shelf.pins if pin.version])
    if lying.sources:
        yield _archives(lying)


def _left_over(idle: Mapping[str, WheelFacts], asked: Asked) -> Finding:
    why = "nothing that is asked for needs them" if asked.roots is not None else "they fit no target, or a better wheel lies there"
    count = f"{len(idle)} wheel{'s' if len(idle) > 1 else ''}"
    return Finding(
        code="leftover",
        severity=Severity.NOTE,
        message=f"{count} of what lies there serve{'s' if len(idle) == 1 else ''} no target: {why}",
        file=next(iter(idle)) if len(idle) == 1 else None,
        instead=tuple(sorted(idle)),
        hint="nothing, if that is meant",
    )


def _several_versions(pools: Sequence[Pool], asked: Asked) -> Iterator[Finding]:
    if asked.lock is not None:
        return
    found: dict[str, dict[str, list[str]]] = {}
    for pool in pools:
        fit = Fit(pool.target)
        for name, wheels in pool.wheels.items():
            versions = sorted({wheel.version for wheel in wheels if fit.rank(wheel.tags) is not None})
            if len(versions) > 1:
                told = ", ".join(str(version) for version in versions)
                found.setdefault(name, {}).setdefault(told, []).append(pool.target.name)
    for name, groups in sorted(found.items()):
        words = "; ".join(f"{versions} for {', '.join(targets)}" for versions, targets in groups.items())
        yield Finding(
            code="duplicate",
            severity=Severity.NOTE,
            message=f"{name} lies there in several versions that fit one target: {words}",
            package=name,
            hint="installers take the newest that suits; a lock says which is meant",
        )


def _lesser(columns: Sequence[Column]) -> Iterator[Finding]:
    """A pure wheel for one target, where others have machine code of the same version: what was fetched may be a downgrade."""
    files: dict[tuple[str, str], list[tuple[str, WheelFacts]]] = {}
    for column in columns:
        for pin in column.shelf.pins:
            if (wheel := column.shelf.facts.get(pin.filename)) is not None:
                files.setdefault((wheel.name, str(wheel.version)), []).append((column.shelf.target.name, wheel))
    for (name, version), rows in sorted(files.items()):
        compiled = [(target, wheel) for target, wheel in rows if not wheel.pure]
        for target, wheel in rows:
            if wheel.pure and compiled:
                yield Finding(
                    code="downgraded",
                    severity=Severity.WARNING,
                    message=f"{wheel.filename} is what {target} gets, and {compiled[0][0]} gets machine code: {compiled[0][1].filename}",
                    package=name,
                    version=version,
                    target=target,
                    file=wheel.filename,
                    instead=(compiled[0][1].filename,),
                    hint="look whether there is a compiled wheel for it too: pip passes those over that are tagged for an older system",
                )


def _archives(lying: Lying) -> Finding:
    count = f"{len(lying.sources)} source archive{'s' if len(lying.sources) > 1 else ''}"
    return Finding(
        code="not-counted",
        severity=Severity.NOTE,
        message=f"{count} lie{'s' if len(lying.sources) == 1 else ''} there: nothing is proven of what is not built yet",
        file=lying.sources[0] if len(lying.sources) == 1 else None,
        instead=lying.sources,
        hint="`hardtack build --find-links DIR` makes wheels of them",
    )


def manifest_files(columns: Sequence[Column], pools: Sequence[Pool]) -> tuple[ManifestFile, ...]:
    """Every wheel that something needs, as a manifest lists it."""
    targets: dict[str, list[str]] = {}
    facts: dict[str, WheelFacts] = {}
    for column, pool in zip(columns, pools, strict=True):
        own = pool.by_filename
        for name in column.used & own.keys():
            targets.setdefault(pool.paths[name], []).append(pool.target.name)
            facts[pool.paths[name]] = own[name]
    return tuple(
        ManifestFile(
            filename=wheel.filename,
            path=path,
            sha256=wheel.sha256,
            size=wheel.size,
            name=wheel.name,
            version=str(wheel.version),
            targets=tuple(targets[path]),
            origin="file",
            hash_source="first-seen",
        )
        for path, wheel in sorted(facts.items())
    )

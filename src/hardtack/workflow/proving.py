"""Prove what was planned and fetched: every file judged, every target's closure walked, and the two proofs that are not ours."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement

from hardtack.errors import TargetError
from hardtack.model.finding import Finding, Grade
from hardtack.model.lock import LockedRoot, Waiver
from hardtack.model.manifest import Pin
from hardtack.model.target import Target
from hardtack.model.wheel import WheelFacts
from hardtack.reporting import Reporter
from hardtack.shipping.trial import Installed, Trial, TrialFile, installed, second_opinion
from hardtack.system.cancellation import Cancellation
from hardtack.system.uv import Uv
from hardtack.targets.host import host_target
from hardtack.verifying.closure import Closure, prove_closure


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """What one target has: its exact pins, and the facts and place of each pinned wheel by file name.

    ``lying``: where nobody has pinned anything, every wheel that an installer could choose from, likewise by name.
    """

    target: Target
    pins: tuple[Pin, ...]
    facts: Mapping[str, WheelFacts]
    paths: Mapping[str, Path]
    lying: Mapping[str, tuple[WheelFacts, Path]] | None = None


# What is done with an environment that was installed as a trial: findings.
Try = Callable[[Shelf, Installed], Sequence[Finding]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What proving found, and by which kinds of proof each target passed."""

    findings: tuple[Finding, ...]
    grades: Mapping[str, tuple[Grade, ...]]


def prove(
    shelves: Sequence[Shelf],
    *,
    roots: Sequence[LockedRoot],
    waivers: Sequence[Waiver],
    constraints: Sequence[Requirement] = (),
    project: str | None = None,
    uv: Uv,
    python: Path | None,
    opinion: bool,
    tries: Try | None = None,
    reporter: Reporter,
    stop: Cancellation,
) -> Proof:
    """Prove every target complete: from METADATA always, by uv's resolver where it can name the target, by installing where it runs here.

    ``python`` None leaves the installation out. ``project`` names the project whose own wheel need not be there.
    """
    reporter.stage("proving")
    findings: list[Finding] = []
    grades: dict[str, list[Grade]] = {}
    sound: list[Shelf] = []
    by_name: list[Shelf] = []
    for shelf in shelves:
        closure = _closure(shelf, _for(shelf.target, roots), waivers, constraints, project)
        findings += closure.findings
        if closure.complete:
            grades[shelf.target.name] = [Grade.METADATA]
            sound.append(shelf)
            # uv resolves by name: where only the exact list installs, or the project itself is asked for, it would answer something else.
            if closure.by_name and not any(finding.code == "project" for finding in closure.findings):
                by_name.append(shelf)
    further = strengthen(
        sound,
        by_name=[shelf.target.name for shelf in by_name],
        roots=roots,
        uv=uv,
        python=python,
        opinion=opinion,
        tries=tries,
        reporter=reporter,
        stop=stop,
    )
    for name, more in further.grades.items():
        grades[name] += more
    return Proof(findings=(*findings, *further.findings), grades={name: tuple(kinds) for name, kinds in grades.items()})


def strengthen(
    shelves: Sequence[Shelf],
    *,
    by_name: Collection[str],
    roots: Sequence[LockedRoot],
    constraints: Sequence[Requirement] = (),
    uv: Uv,
    python: Path | None,
    opinion: bool,
    tries: Try | None = None,
    reporter: Reporter,
    stop: Cancellation,
) -> Proof:
    """The proofs that are not ours, of targets that are complete by METADATA: uv's resolver for those in ``by_name``, and installing.

    ``tries`` gets each environment that could be installed, while it is there.
    """
    findings: list[Finding] = []
    grades: dict[str, list[Grade]] = {shelf.target.name: [] for shelf in shelves}
    if opinion:
        asked = [shelf for shelf in shelves if shelf.target.name in by_name]
        with ThreadPoolExecutor(2, thread_name_prefix="opinion") as pool:
            answers = pool.map(lambda shelf: _opinion(shelf, roots, constraints, uv, stop), asked)
            for shelf, answer in zip(asked, answers, strict=True):
                findings += answer or ()
                if answer == ():
                    grades[shelf.target.name].append(Grade.RESOLVER)
    if python is not None:
        for shelf in shelves:
            interpreter = _runs_here(shelf.target, python, uv, stop)
            if interpreter is None:
                continue
            reporter.stage("installing", detail=shelf.target.name)
            with installed(_trial(shelf), python=interpreter, uv=uv, stop=stop) as made:
                if isinstance(made, tuple):
                    findings += made
                    continue
                grades[shelf.target.name].append(Grade.INSTALLED)
                if tries is not None:
                    findings += tries(shelf, made)
    return Proof(findings=tuple(findings), grades={name: tuple(kinds) for name, kinds in grades.items()})


def _for(target: Target, roots: Sequence[LockedRoot]) -> tuple[LockedRoot, ...]:
    return tuple(root for root in roots if root.targets is None or target.name in root.targets)


def _taken(target: Target, roots: Sequence[LockedRoot]) -> Iterator[LockedRoot]:
    """The target's roots without those of extras and groups that it does not select."""
    chosen = target.selection
    for root in _for(target, roots):
        extra = root.extra is None or chosen.extras is None or root.extra in chosen.extras
        group = root.group is None or chosen.groups is None or root.group in chosen.groups
        if extra and group:
            yield root


def _closure(
    shelf: Shelf, roots: Sequence[LockedRoot], waivers: Sequence[Waiver], constraints: Sequence[Requirement], project: str | None
) -> Closure:
    available: dict[str, list[WheelFacts]] = {}
    for facts in shelf.facts.values():
        available.setdefault(facts.name, []).append(facts)
    return prove_closure(
        target=shelf.target,
        roots=roots,
        available=available,
        pins=shelf.pins,
        constraints=constraints,
        waivers=waivers,
        project=project,
    )


def _opinion(
    shelf: Shelf, roots: Sequence[LockedRoot], constraints: Sequence[Requirement], uv: Uv, stop: Cancellation
) -> tuple[Finding, ...] | None:
    """None where uv has no name for the target."""
    texts = []
    for root in _taken(shelf.target, roots):
        requirement = Requirement(root.requirement)
        requirement.url = None
        texts.append(str(requirement))
    if shelf.lying is None:
        return second_opinion(_trial(shelf), texts, uv=uv, stop=stop)
    files = {name: TrialFile(filename=name, path=path, sha256=facts.sha256) for name, (facts, path) in shelf.lying.items()}
    free = Trial(target=shelf.target, pins=(), files=files)
    return second_opinion(free, texts, constraints=[str(constraint) for constraint in constraints], uv=uv, stop=stop)


def _trial(shelf: Shelf) -> Trial:
    files = {name: TrialFile(filename=name, path=shelf.paths[name], sha256=facts.sha256) for name, facts in shelf.facts.items()}
    return Trial(target=shelf.target, pins=tuple(pin for pin in shelf.pins if pin.filename in files), files=files)


def _runs_here(target: Target, python: Path, uv: Uv, stop: Cancellation) -> Path | None:
    """An interpreter of this machine that the target describes, None where there is none."""
    host = host_target(python)
    if (host.platform.os, host.platform.arch, host.platform.libc) != (
        target.platform.os,
        target.platform.arch,
        target.platform.libc,
    ):
        return None
    if target.platform.floor and (host.platform.floor is None or host.platform.floor < target.platform.floor):
        return None
    if _same_python(host, target):
        return python
    request = f"{'pypy' if target.implementation == 'pypy' else 'cpython'}-{target.python[0]}.{target.python[1]}"
    request += "+freethreaded" if target.free_threaded else ""
    found = uv.run(["python", "find", "--no-project", request], cwd=uv.cache_dir, stop=stop, offline=True)
    if found.code != 0:
        return None
    candidate = Path(found.stdout.strip())
    try:
        return candidate if _same_python(host_target(candidate), target) else None
    except TargetError:
        return None


def _same_python(host: Target, target: Target) -> bool:
    return (
        (host.implementation, host.python, host.free_threaded) == (target.implementation, target.python, target.free_threaded)
        and host.patches.first >= target.patches.first
        and (target.patches.last is None or host.patches.first <= target.patches.last)
    )

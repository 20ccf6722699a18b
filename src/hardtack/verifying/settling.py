"""A closure where nobody has pinned anything, and a resolver to ask where our own search for a choice found none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from hardtack.model.finding import Finding, Severity
from hardtack.model.lock import LockedRoot, Waiver
from hardtack.model.marker import cuts, specifier_cuts
from hardtack.model.stretches import Stretches
from hardtack.model.target import Target
from hardtack.model.wheel import WheelFacts
from hardtack.verifying.closure import Closure, prove_closure

_Wheels = Mapping[str, Sequence[WheelFacts]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """A resolver's answer: a version of each name that it needs, which may be none, or why there is no such choice."""

    versions: Mapping[str, Version]
    reason: str = ""


# Asked with roots, wheels, and one full Python version; None where the resolver cannot be asked about this target.
Settle = Callable[[Sequence[LockedRoot], _Wheels, str], Settled | None]

_POINTS = 6  # of a target's patches that are asked about


def prove_settled(
    settle: Settle | None,
    *,
    target: Target,
    roots: Sequence[LockedRoot],
    available: _Wheels,
    constraints: Sequence[Requirement] = (),
    waivers: Sequence[Waiver] = (),
    project: str | None = None,
) -> Closure:
    """The closure of a choice that suits everybody, found by us or, where it hangs on the choice, by the resolver; judged by us alone."""

    def prove(wheels: _Wheels) -> Closure:
        return prove_closure(target=target, roots=roots, available=wheels, constraints=constraints, waivers=waivers, project=project)

    ours = prove(available)
    # What waivers change is not told to the resolver.
    if settle is None or ours.complete or waivers or not any(finding.code == "ambiguous" for finding in ours.findings):
        return ours
    # Only what it chose is settled: it looks at one patch, and others may need more, or other versions.
    known: dict[str, set[Version]] = {}
    for point in _points(target, roots, available):
        answer = settle(roots, available, point)
        if answer is None:
            return ours
        if answer.reason:
            return replace(ours, findings=_unsolvable(ours, answer.reason, target))
        chosen: dict[str, set[Version]] = {canonicalize_name(name): {version} for name, version in answer.versions.items()}
        for name, versions in chosen.items():
            known.setdefault(name, set()).update(versions)
        for settled in (chosen, known):
            theirs = prove(
                {
                    name: [wheel for wheel in wheels if name not in settled or wheel.version in settled[name]]
                    for name, wheels in available.items()
                }
            )
            if theirs.complete:
                return theirs
    return ours


def _points(target: Target, roots: Sequence[LockedRoot], available: _Wheels) -> tuple[str, ...]:
    """The patches that a resolver is asked about, the first and the last before those between; not all, where they are many."""
    breakpoints = {cut for root in roots for cut in cuts(Requirement(root.requirement).marker)}
    for wheels in available.values():
        for wheel in wheels:
            breakpoints.update(specifier_cuts(wheel.requires_python))
            for requirement in wheel.requires:
                breakpoints.update(cuts(requirement.marker))
    first, *others = Stretches(target, breakpoints).points
    return (first, *others[-1:], *others[:-1])[:_POINTS]


def _unsolvable(closure: Closure, reason: str, target: Target) -> tuple[Finding, ...]:
    """No choice will do: what is lacking stays, and that it hangs on the choice is no longer true."""
    left = tuple(finding for finding in closure.findings if finding.code != "ambiguous")
    unclear = [finding for finding in closure.findings if finding.code == "ambiguous" and finding.severity is Severity.ERROR]
    names = ", ".join(dict.fromkeys(finding.package for finding in unclear if finding.package))
    if not unclear:
        return left
    told = Finding(
        code="conflict",
        message=f"no choice among the versions that lie there suits everybody who asks for {names}: {reason}",
        package=unclear[0].package,
        target=target.name,
        required_by=unclear[0].required_by,
        hint="add a version that suits them all, or loosen a requirement",
    )
    return (told, *left)

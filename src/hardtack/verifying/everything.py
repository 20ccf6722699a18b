"""What lies in a folder, and nobody said what for: can all of it that fits a target be installed with what is there?

docs/verifying.md tells in plain words what is asked of such a folder.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from hardtack.model.finding import Finding, Severity
from hardtack.model.fit import Fit
from hardtack.model.lock import LockedRoot
from hardtack.model.manifest import Pin
from hardtack.model.marker import UnanswerableMarker, cuts, specifier_cuts
from hardtack.model.stretches import Stretches
from hardtack.model.target import Target
from hardtack.model.wheel import WheelFacts
from hardtack.verifying.closure import Closure
from hardtack.verifying.settling import Settle, prove_settled

_ORIGIN = "the folder"
_SHOWN = 6
_Wheels = Mapping[str, Sequence[WheelFacts]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Everything:
    """What asking for all that lies there came to.

    ``chosen`` is one environment that has every project, empty where there is none such; ``roots`` is what was asked for to have it.
    ``reached`` are all wheels that something there needs, by file name.
    """

    findings: tuple[Finding, ...]
    complete: bool
    by_name: bool
    chosen: tuple[Pin, ...]
    roots: tuple[LockedRoot, ...]
    reached: frozenset[str]


def prove_everything(*, target: Target, available: _Wheels, settle: Settle | None = None) -> Everything:
    """Ask for every version of every project that fits the target, together and, where that fails, each by itself.

    A project of which no wheel fits is wrong there, unless another one asks for it, and not on this target.
    """
    return _Folder(target, available, settle).judged()


class _Folder:
    def __init__(self, target: Target, available: _Wheels, settle: Settle | None) -> None:
        self.target = target
        self.settle = settle
        self.available = {name: tuple(wheels) for name, wheels in available.items() if wheels}
        self.fit = Fit(target)
        self.stretches = Stretches(target, self._breakpoints())

    def _breakpoints(self) -> Iterator[Version]:
        for wheels in self.available.values():
            for wheel in wheels:
                yield from specifier_cuts(wheel.requires_python)
                for requirement in wheel.requires:
                    yield from cuts(requirement.marker)

    def judged(self) -> Everything:
        usable = {name: [wheel for wheel in wheels if self._runs(wheel)] for name, wheels in self.available.items()}
        served = sorted(name for name, wheels in usable.items() if wheels)
        roots = tuple(LockedRoot(requirement=name, origin=_ORIGIN, targets=frozenset({self.target.name})) for name in served)
        together = prove_settled(self.settle, target=self.target, roots=roots, available=self.available)
        reached = {pin.filename for pin in together.chosen}
        findings = list(together.findings)
        alone: list[Closure] = []
        tangled = self._tangled()
        plain = [root for root in roots if root.requirement not in tangled]
        if plain and not together.complete:
            # Where each name has one version there is nothing to choose: all of them at once are what each of them is by itself.
            alone.append(prove_settled(None, target=self.target, roots=plain, available=self.available))
        for name in served:
            if name not in tangled:
                continue
            versions: list[Version | None] = [*sorted({wheel.version for wheel in usable[name] if self._runs(wheel, everywhere=True)})]
            # Where no version is for every patch of the target, several may share them.
            for version in versions or [None]:
                if together.complete and (version is None or (name, str(version)) in together.wanted):
                    continue
                alone.append(self._alone(name, version))
                reached.update(pin.filename for pin in alone[-1].chosen)
        if not together.complete:
            findings = list(_by_themselves(together, alone, self.target))
        else:
            findings += _unseen(findings, alone)
        findings += self._unserved(usable, {finding.package for finding in findings if finding.severity is Severity.ERROR})
        complete = not any(finding.severity is Severity.ERROR for finding in findings)
        return Everything(
            findings=tuple(findings),
            complete=complete,
            by_name=together.complete and together.by_name,
            chosen=together.chosen if together.complete else (),
            roots=roots,
            reached=frozenset(reached),
        )

    def _runs(self, wheel: WheelFacts, *, everywhere: bool = False) -> bool:
        """True if the target loads the wheel, and some of its patches (or all) may."""
        fits = self.stretches.fits(wheel.requires_python)
        return self.fit.rank(wheel.tags) is not None and (fits == self.stretches.all if everywhere else fits != 0)

    def _tangled(self) -> set[str]:
        """The names that have several versions which the target loads, and all that lead to one."""
        askers: dict[str, set[str]] = {}
        for name, wheels in self.available.items():
            for wheel in wheels:
                for requirement in wheel.requires:
                    askers.setdefault(canonicalize_name(requirement.name), set()).add(name)
        found = {
            name
            for name, wheels in self.available.items()
            if len({wheel.version for wheel in wheels if self.fit.rank(wheel.tags) is not None}) > 1
        }
        waiting = deque(found)
        while waiting:
            for asker in askers.get(waiting.popleft(), set()) - found:
                found.add(asker)
                waiting.append(asker)
        return found

    def _alone(self, name: str, version: Version | None) -> Closure:
        """One version (or any) asked for by itself, among what it can lead to."""
        near = {name: [wheel for wheel in self.available[name] if version in (None, wheel.version)]}
        waiting = deque([name])
        while waiting:
            for wheel in near[waiting.popleft()]:
                for asked in {canonicalize_name(requirement.name) for requirement in wheel.requires} - near.keys():
                    if asked in self.available:
                        near[asked] = list(self.available[asked])
                        waiting.append(asked)
        root = LockedRoot(requirement=f"{name}=={version}" if version is not None else name, origin=_ORIGIN)
        return prove_settled(self.settle, target=self.target, roots=(root,), available=near)

    # --- projects of which no wheel fits ---------------------------------------------------------------------------------------------

    def _unserved(self, usable: _Wheels, told: set[str | None]) -> Iterator[Finding]:
        lacking = [name for name in sorted(self.available) if not usable[name]]
        askers = self._askers(lacking)
        excused = self._excused(lacking, usable, askers)
        for name in lacking:
            if name in excused or name in told:
                continue
            wheels = self.available[name]
            loads = [wheel for wheel in wheels if self.fit.rank(wheel.tags) is not None]
            extra = next((words for asker, requirement in askers[name] if (words := self._by_extra(asker, requirement, usable))), None)
            if loads:
                wanted = ", ".join(sorted({str(wheel.requires_python) for wheel in loads}))
                code, message = "requires-python", f"{name} lies there for Python {wanted}, and this target has another"
            else:
                code, message = "tags", f"{name} lies there, and no wheel of it fits this target"
            yield Finding(
                code=code,
                message=message,
                package=name,
                target=self.target.name,
                required_by=(extra,) if extra else (),
                instead=self._instead(wheels),
                hint=f"add a wheel of {name} that fits; if it is not wanted there, say what is: -r FILE or --lock-file FILE",
            )

    def _askers(self, names: Iterable[str]) -> dict[str, list[tuple[WheelFacts, Requirement]]]:
        found: dict[str, list[tuple[WheelFacts, Requirement]]] = {name: [] for name in names}
        for wheels in self.available.values():
            for wheel in wheels:
                for requirement in wheel.requires:
                    name = canonicalize_name(requirement.name)
                    if name in found and name != wheel.name:
                        found[name].append((wheel, requirement))
        return found

    def _excused(self, lacking: Sequence[str], usable: _Wheels, askers: Mapping[str, list[tuple[WheelFacts, Requirement]]]) -> set[str]:
        """Those that somebody asks for, but not on this target: he is not wanted here himself, or his marker says so."""
        excused: set[str] = set()
        while True:
            more = {
                name
                for name in lacking
                if name not in excused
                and any(asker.name in excused or (usable[asker.name] and not self._asks(asker, asked)) for asker, asked in askers[name])
            }
            if not more:
                return excused
            excused |= more

    def _asks(self, asker: WheelFacts, requirement: Requirement) -> bool:
        """True if the requirement holds on the target, by itself or with one of its extras; or nobody can tell."""
        return any(self._holds(requirement, extra) for extra in ("", *sorted(asker.extras)))

    def _by_extra(self, asker: WheelFacts, requirement: Requirement, usable: _Wheels) -> str | None:
        if not usable[asker.name]:
            return None
        extra = next((extra for extra in sorted(asker.extras) if self._holds(requirement, extra)), None)
        return f"{asker.display_name}[{extra}] {asker.version} requires {requirement}" if extra else None

    def _holds(self, requirement: Requirement, extra: str) -> bool:
        try:
            return bool(self.stretches.holds(requirement.marker, extra=canonicalize_name(extra) if extra else ""))
        except UnanswerableMarker:
            return True

    def _instead(self, wheels: Sequence[WheelFacts]) -> tuple[str, ...]:
        ordered = sorted(wheels, key=lambda wheel: (wheel.version, wheel.filename), reverse=True)
        lines = []
        for wheel in ordered[:_SHOWN]:
            loads = self.fit.rank(wheel.tags) is not None
            lines.append(f"{wheel.filename} ({f'Python {wheel.requires_python}' if loads else self.fit.misfit(wheel.tags)})")
        return (*lines, *([f"and {len(ordered) - _SHOWN} more"] if len(ordered) > _SHOWN else []))


def _by_themselves(together: Closure, alone: Sequence[Closure], target: Target) -> Iterator[Finding]:
    """What is wrong even with each project by itself, and, as a warning, what only stands against all of them together."""
    wrong: dict[tuple[str, str | None], Finding] = {}
    for closure in alone:
        for finding in closure.findings:
            if finding.severity is Severity.ERROR:
                wrong.setdefault((finding.code, finding.package), finding)
    for finding in together.findings:
        key = finding.code, finding.package
        if finding.severity is not Severity.ERROR:
            # Which version was judged does not matter here: each is.
            if finding.code != "ambiguous":
                yield finding
        elif key in wrong:
            wrong.pop(key, None)
            yield finding
        elif not any(package == finding.package for _, package in wrong):
            yield replace(
                finding,
                code="apart",
                severity=Severity.WARNING,
                message=f"each can be installed, but not all that lies there at once: {finding.message}",
                target=target.name,
                hint="nothing, if that is meant; else say what is to be installed together, by requirements or a lock (-r, --lock-file)",
            )
    yield from wrong.values()


def _unseen(known: Sequence[Finding], alone: Sequence[Closure]) -> list[Finding]:
    """What the versions that are not the chosen ones bring besides, each once."""
    seen = {(finding.code, finding.package, finding.message) for finding in known}
    found = []
    for closure in alone:
        for finding in closure.findings:
            key = finding.code, finding.package, finding.message
            if finding.code != "ambiguous" or finding.severity is Severity.ERROR:
                if key not in seen:
                    found.append(finding)
                seen.add(key)
    return found

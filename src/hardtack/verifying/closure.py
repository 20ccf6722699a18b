"""The proof that a set of wheels is complete for a target, from the wheels' own METADATA and independently of any resolver.

docs/proof.md tells in plain words what is proven and what is not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from packaging.markers import Marker
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from hardtack.model.finding import Finding, Severity
from hardtack.model.fit import Fit
from hardtack.model.lock import LockedRoot, Waiver
from hardtack.model.manifest import Pin
from hardtack.model.marker import UnanswerableMarker, cuts, specifier_cuts
from hardtack.model.stretches import Stretches
from hardtack.model.target import Target
from hardtack.model.wheel import WheelFacts
from hardtack.verifying.choosing import Choosing, suits
from hardtack.verifying.walk import Answers, Choice, Demand, Rules, Walk, chain

_SHOWN = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Closure:
    """What the walk found for one target. Without an error among ``findings`` every requirement is met on every patch of it.

    ``wanted`` is each (normalised name, version) that is installed somewhere in the patch range; ``unneeded`` the names that lie
    there and are not. ``url_requirements`` are the texts of requirements by URL that wheels make. ``by_name`` is false where only
    exact lists install: a URL requirement or a waiver is at work. ``points`` are the breakpoints that were walked. ``chosen``:
    every wheel that is installed somewhere in the patch range, and where.
    """

    target: str
    findings: tuple[Finding, ...]
    wanted: frozenset[tuple[str, str]]
    url_requirements: tuple[str, ...]
    unneeded: tuple[str, ...]
    by_name: bool
    points: tuple[str, ...]
    steps: int = 0
    chosen: tuple[Pin, ...] = ()

    @property
    def complete(self) -> bool:
        """True if no finding is an error."""
        return not any(finding.severity is Severity.ERROR for finding in self.findings)


def prove_closure(
    *,
    target: Target,
    roots: Sequence[LockedRoot],
    available: Mapping[str, Sequence[WheelFacts]],
    pins: Sequence[Pin] | None = None,
    constraints: Sequence[Requirement] = (),
    waivers: Sequence[Waiver] = (),
    project: str | None = None,
) -> Closure:
    """Walk from ``roots`` through the metadata of ``available`` (wheels by normalised name) and find all that is not met.

    ``pins`` say which version and file is installed where; those of other targets are passed over. With None any one version of a name may
    serve that suits all who ask: pre-releases only where nothing else lies there or a root asks for one. ``project`` is the name of the
    project whose extras the roots carry; it need not lie there itself. Findings are complete, each told once with all patches it concerns.
    """
    return _Proof(target, roots, available, pins, constraints, waivers, project).closure()


def walk_of(
    *,
    target: Target,
    roots: Sequence[LockedRoot],
    available: Mapping[str, Sequence[WheelFacts]],
    pins: Sequence[Pin],
    waivers: Sequence[Waiver] = (),
    project: str | None = None,
) -> tuple[Walk, tuple[tuple[LockedRoot, Requirement], ...]]:
    """The walk that ``prove_closure`` judges, and the roots that it began with: for who asks what leads where."""
    proof = _Proof(target, roots, available, pins, (), waivers, project)
    return proof._walk(proof._pinned(proof.pins or ())), tuple(proof.selected)


class _Proof:
    def __init__(
        self,
        target: Target,
        roots: Sequence[LockedRoot],
        available: Mapping[str, Sequence[WheelFacts]],
        pins: Sequence[Pin] | None,
        constraints: Sequence[Requirement],
        waivers: Sequence[Waiver],
        project: str | None,
    ) -> None:
        self.target = target
        self.findings: list[Finding] = []
        self.available: dict[str, list[WheelFacts]] = {}
        for name, wheels in available.items():
            self.available.setdefault(canonicalize_name(name), []).extend(wheels)
        self.project = canonicalize_name(project) if project is not None else None
        self.fit = Fit(target)
        self.rules = Rules(waivers)
        self.constraints = constraints
        self.selected, self.dormant = self._roots(roots)
        self.pins = [pin for pin in pins if pin.target == target.name] if pins is not None else None
        self.stretches = Stretches(target, self._breakpoints())
        self.answers = Answers(self.stretches)
        self.fits = {name: [wheel for wheel in wheels if self.fit.rank(wheel.tags) is not None] for name, wheels in self.available.items()}
        self.constrained: dict[str, list[tuple[Requirement, int]]] = {}
        for constraint in constraints:
            where = self._constrains(constraint)
            self.constrained.setdefault(canonicalize_name(constraint.name), []).append((constraint, where))
        self.steps = 0

    # --- what is given ---------------------------------------------------------------------------------------------------------------

    def _roots(self, roots: Sequence[LockedRoot]) -> tuple[list[tuple[LockedRoot, Requirement]], list[tuple[LockedRoot, Requirement]]]:
        """The roots that the target's selection takes, and those of extras that it does not."""
        chosen, dormant = [], []
        selection = self.target.selection
        for root in roots:
            try:
                pair = root, Requirement(root.requirement)
            except InvalidRequirement as error:
                self._find("root", f"{root.origin}: {root.requirement!r} is no requirement: {error}".split("\n")[0])
                continue
            if root.targets is not None and self.target.name not in root.targets:
                continue
            if root.group is not None and selection.groups is not None and canonicalize_name(root.group) not in selection.groups:
                continue
            if root.extra is not None and selection.extras is not None and canonicalize_name(root.extra) not in selection.extras:
                dormant.append(pair)
                continue
            chosen.append(pair)
        return chosen, dormant

    def _breakpoints(self) -> Iterator[Version]:
        requirements = [requirement for _, requirement in (*self.selected, *self.dormant)]
        requirements += self.constraints
        requirements += [requirement for pairs in self.rules.overrides.values() for _, requirement in pairs]
        for wheels in self.available.values():
            for wheel in wheels:
                yield from specifier_cuts(wheel.requires_python)
                requirements += wheel.requires
        for requirement in requirements:
            yield from cuts(requirement.marker)
        for pin in self.pins or ():
            yield from cuts(Marker(pin.marker) if pin.marker else None)

    def _constrains(self, constraint: Requirement) -> int:
        try:
            return self.answers.where(constraint.marker, "")
        except UnanswerableMarker as error:
            self._find("unanswerable-marker", error.reason, package=canonicalize_name(constraint.name), hint=error.hint)
            return 0

    # --- which version serves --------------------------------------------------------------------------------------------------------

    def _pinned(self, pins: Iterable[Pin]) -> dict[str, list[Choice]]:
        choices: dict[str, list[Choice]] = {}
        for pin in pins:
            name = canonicalize_name(pin.name)
            try:
                version = Version(pin.version)
                where = self.answers.where(Marker(pin.marker) if pin.marker else None, "")
            except InvalidVersion:
                self._find("pin", f"{pin.name} is pinned at {pin.version!r}, which is no version", package=name)
                continue
            except UnanswerableMarker as error:
                self._find("unanswerable-marker", error.reason, package=name, version=pin.version, hint=error.hint)
                continue
            wheel = self._file_of(name, pin.filename, version)
            # The wheel's own metadata is what counts; that it differs from the lock is for check_files to say.
            version = wheel.version if wheel is not None else version
            rivals = choices.setdefault(name, [])
            for rival in rivals:
                if shared := rival.where & where:
                    message = f"{name} is pinned twice, at {rival.version} and at {version}{self._on(shared)}"
                    self._find("conflict", message, package=name, hint="an environment holds one version of a package: lock again")
            rivals.append(Choice(name, version, wheel, where, pin.filename))
        return choices

    def _file_of(self, name: str, filename: str, version: Version) -> WheelFacts | None:
        """The pinned file; where the pin names none, the best wheel of its version that fits."""
        if filename:
            return next((wheel for wheel in self.available.get(name, ()) if wheel.filename == filename), None)
        same = [wheel for wheel in self.fits.get(name, ()) if wheel.version == version]
        return max(same, key=lambda wheel: self.fit.order(wheel.tags, wheel.build) or (), default=None)

    def _walk(self, choices: Mapping[str, Sequence[Choice]]) -> Walk:
        walk = Walk(self.answers, choices, self.rules, self.project)
        walk.run(self.selected, self.dormant)
        self.steps += walk.steps
        return walk

    # --- what is wrong ---------------------------------------------------------------------------------------------------------------

    def closure(self) -> Closure:
        if self.pins is not None:
            choices = self._pinned(self.pins)
            walk = self._walk(choices)
        else:
            choosing = Choosing(self.stretches, self.fit, self.fits, self.constrained)
            choices, walk = choosing.settle(self._walk)
        reached = self._reached(walk)
        for question in walk.questions.values():
            error, demand = question.error, question.demand
            self._find("unanswerable-marker", error.reason, package=demand.name, required_by=chain(demand), hint=error.hint)
        for name, demands in walk.demands.items():
            self._judge(name, demands, choices.get(name, ()))
        for choice, where in reached.values():
            self._judge_choice(choice, where, walk)
        self._unknown_extras(walk)
        urls = self._url_requirements(walk)
        departed = self._departures(walk, choices)
        if self.pins is None:
            self._ambiguous(walk, choices)
        names = {choice.name for choice, _ in reached.values()}
        return Closure(
            target=self.target.name,
            findings=tuple(sorted(self.findings, key=_order_of)),
            wanted=frozenset((choice.name, str(choice.version)) for choice, _ in reached.values()),
            url_requirements=urls,
            unneeded=tuple(sorted(name for name in self.available if name not in names)),
            by_name=not urls and not departed,
            points=self.stretches.points,
            steps=self.steps,
            chosen=tuple(
                sorted((self._pin(choice, where) for choice, where in reached.values() if choice.wheel is not None), key=_order_of_pin)
            ),
        )

    def _pin(self, choice: Choice, where: int) -> Pin:
        return Pin(
            target=self.target.name,
            name=choice.name,
            version=str(choice.version),
            filename=choice.filename,
            marker=self.stretches.marker(where),
            requires_url=choice.wheel is not None and choice.wheel.url_requirements,
        )

    def _reached(self, walk: Walk) -> dict[int, tuple[Choice, int]]:
        return {id(node.choice): (node.choice, node.where) for node in walk.nodes.values() if not node.extra}

    def _judge(self, name: str, demands: Sequence[Demand], choices: Sequence[Choice]) -> None:
        """Is there a version wherever one is asked for, and does it suit each who asks?"""
        wanted = covered = 0
        for demand in demands:
            wanted |= demand.where
        for choice in choices:
            covered |= choice.where
        if missing := wanted & ~covered:
            asking = [demand for demand in demands if demand.where & missing]
            if name == self.project and not choices:
                self._project_itself(asking)
            else:
                self._missing(name, asking, missing, choices)
        for choice in choices:
            if choice.wheel is None and choice.where & wanted:
                asking = [demand for demand in demands if demand.where & choice.where]
                self._missing(name, asking, choice.where & wanted, choices, choice)
            unsuited: dict[str, list[Demand]] = {}
            for demand in demands:
                if demand.where & choice.where and not suits(demand.requirement, choice.version):
                    unsuited.setdefault(str(demand.requirement.specifier), []).append(demand)
            for alike in unsuited.values():
                self._unsuited(choice, alike)

    def _missing(self, name: str, demands: Sequence[Demand], where: int, choices: Sequence[Choice], pinned: Choice | None = None) -> None:
        lying = self.available.get(name, ())
        fitting = self.fits.get(name, ())
        if pinned is not None:
            message = f"{pinned.filename or f'{name} {pinned.version}'} is what is to be installed, and it does not lie there"
        elif choices:
            elsewhere = ", ".join(f"{choice.version}{self._on(choice.where)}" for choice in choices)
            message = f"{name} is pinned only elsewhere ({elsewhere})"
        elif fitting:
            message = f"{name} lies there, but no version of it is pinned for this target"
        elif lying:
            message = f"{name} lies there, but no wheel of it fits this target"
        else:
            message = f"{name} is not there"
        others = len(demands) - 1
        if others:
            message += f"; {others} more {'requirement asks' if others == 1 else 'requirements ask'} for it"
        if pinned is not None and not lying:
            hint = f"fetch {pinned.filename}" if pinned.filename else f"fetch {name} {pinned.version}"
        elif lying and not fitting:
            hint = f"add a wheel of {name} that fits {self.target.name}, or build one"
        elif fitting and not choices:
            hint = "lock again: the lock leaves out what this target needs"
        else:
            hint = f"add a wheel of {_wish(demands)}"
        self._find(
            "missing",
            message + self._on(where),
            package=name,
            version=str(pinned.version) if pinned is not None else None,
            required_by=chain(demands[0]),
            instead=self._instead(lying),
            hint=hint,
        )

    def _unsuited(self, choice: Choice, demands: Sequence[Demand]) -> None:
        """A version that does not satisfy what these demands, alike in their specifier, ask for."""
        demand, where = demands[0], 0
        for one in demands:
            where |= one.where & choice.where
        text = f"{demand.requirement.name}{demand.requirement.specifier}"
        more = f", by {len(demands) - 1} more too" if len(demands) > 1 else ""
        if self.pins is not None:
            message = f"{choice} is what is to be installed, but {text} is required{self._on(where)}{more}"
            hint = "lock again; or declare an override, if this version is known to work"
            self._find("version", message, choice=choice, required_by=chain(demand), hint=hint)
            return
        versions = sorted({wheel.version for wheel in self.fits.get(choice.name, ())})
        suitable = [version for version in versions if suits(demand.requirement, version)]
        if suitable:
            found = ", ".join(str(version) for version in suitable)
            message = f"no single version of {choice.name} suits all who require it: {text} would take {found}, others do not"
            hint = "let a resolver choose, and prove its choice"
            self._find("ambiguous", message + self._on(where), package=choice.name, required_by=chain(demand), hint=hint)
            return
        self._find(
            "missing",
            f"no wheel here satisfies {text}{self._on(where)}{more}",
            package=choice.name,
            required_by=chain(demand),
            instead=self._instead(self.available.get(choice.name, ())),
            hint=f"add a wheel of {_wish(demands)}",
        )

    def _judge_choice(self, choice: Choice, where: int, walk: Walk) -> None:
        """Does the wheel itself fit the target, its Python, and the constraints?"""
        wheel = choice.wheel
        demand = walk.nodes[id(choice), ""].via
        if wheel is not None:
            if self.fit.rank(wheel.tags) is None:
                reason = f"{wheel.filename} does not fit {self.target.name}: {self.fit.misfit(wheel.tags)}"
                hint = f"add a wheel of {choice.name} {choice.version} that fits, or build one"
                instead = self._instead(self.fits.get(choice.name, ()))
                self._find("tags", reason, choice=choice, required_by=chain(demand), instead=instead, hint=hint)
            if unfit := where & ~self.stretches.fits(wheel.requires_python):
                message = f"{choice} needs Python {wheel.requires_python}, and this target has {self._patches(unfit)}"
                later = self.stretches.texts(self.stretches.fits(wheel.requires_python))
                hint = "lock again for this target, or leave the target out"
                if later:
                    hint = f"if the host has Python {later[0]} or later, name the target so: -t py{later[0]}+-..., in place of py39-..."
                    hint = hint.replace("py39-", f"py{self.target.python[0]}{self.target.python[1]}-")
                self._find("requires-python", message, choice=choice, required_by=chain(demand), hint=hint)
        for constraint, applies in self.constrained.get(choice.name, ()):
            violated = where & applies
            if violated and not suits(constraint, choice.version):
                message = f"{choice} is what is to be installed, but the constraint {constraint} forbids it{self._on(violated)}"
                self._find("constraint", message, choice=choice, required_by=chain(demand), hint="lock again, or change the constraint")

    def _unknown_extras(self, walk: Walk) -> None:
        for node in walk.nodes.values():
            wheel = node.choice.wheel
            if node.extra and wheel is not None and node.extra not in {canonicalize_name(extra) for extra in wheel.extras}:
                offered = ", ".join(sorted(wheel.extras)) or "none"
                self._find(
                    "unknown-extra",
                    f"{node.choice} has no extra {node.extra!r}",
                    severity=Severity.WARNING,
                    choice=node.choice,
                    required_by=chain(node.via),
                    hint=f"its extras: {offered}",
                )

    def _project_itself(self, demands: Sequence[Demand]) -> None:
        wheels = [demand for demand in demands if demand.asker is not None]
        if wheels:
            self._find(
                "project",
                f"{self.project} is the project itself, which does not lie there",
                severity=Severity.WARNING,
                package=self.project,
                required_by=chain(wheels[0]),
                hint="install the project beside the wheels, from an exact list",
            )

    def _url_requirements(self, walk: Walk) -> tuple[str, ...]:
        found: dict[str, None] = {}
        for name, demands in walk.demands.items():
            asking = [demand for demand in demands if demand.requirement.url is not None and demand.asker is not None]
            found.update((str(demand.requirement), None) for demand in asking)
            for text, demand in {str(demand.requirement): demand for demand in reversed(asking)}.items():
                self._find(
                    "url-requirement",
                    f"{text} names a URL: installing by name will not work offline, the exact lists do",
                    severity=Severity.WARNING,
                    package=name,
                    required_by=chain(demand),
                    hint="install from requirements.<target>.txt with --no-deps, or from pylock.<target>.toml",
                )
        return tuple(found)

    def _departures(self, walk: Walk, choices: Mapping[str, Sequence[Choice]]) -> bool:
        """Show each waiver that was at work. True if one changes what is installed, so that installing by name does not work."""
        departs: dict[tuple[str, str], list[Demand]] = {}
        idle: dict[tuple[str, str], list[Demand]] = {}
        for departure in walk.departures:
            original, versions = departure.original, choices.get(departure.original.name, ())
            refused = any(choice.where & departure.does and not suits(original.requirement, choice.version) for choice in versions)
            changes = departure.would != departure.does or refused or original.requirement.url is not None
            group = departs if changes else idle
            group.setdefault((departure.waiver.kind, original.name), []).append(original)
        for group, severity in ((departs, Severity.WARNING), (idle, Severity.NOTE)):
            for (kind, name), originals in group.items():
                texts = [str(original) for original in originals[:_SHOWN]]
                if len(originals) > _SHOWN:
                    texts.append(f"and {len(originals) - _SHOWN} more")
                if kind == "exclude":
                    waiver = self.rules.excludes[name]
                    message = f"{name} is left out, as {waiver.origin} declares, though it is required"
                else:
                    overrides = self.rules.overrides[name]
                    wish = ", ".join(dict.fromkeys(str(requirement) for _, requirement in overrides))
                    message = f"{wish} stands in for what is required of {name}, as {overrides[0][0].origin} declares"
                hint = "installing by name will not work where this matters, the exact lists do" if severity is Severity.WARNING else None
                self._find("waiver", message, severity=severity, package=name, required_by=tuple(texts), hint=hint)
        return bool(departs)

    def _ambiguous(self, walk: Walk, choices: Mapping[str, Sequence[Choice]]) -> None:
        """Without a lock an error may only mean that another choice of versions was called for: say so, once for each name."""
        if not any(finding.severity is Severity.ERROR for finding in self.findings):
            return
        for name, found in choices.items():
            if len(found) > 1 and name in walk.demands:
                versions = ", ".join(str(choice.version) for choice in found)
                judged = ", ".join(str(choice.version) for choice in found if choice.where)
                self._find(
                    "ambiguous",
                    f"{name} lies there in several versions ({versions}) and no lock says which: judged with {judged}",
                    severity=Severity.WARNING,
                    package=name,
                    required_by=chain(walk.demands[name][0]),
                    hint="give the lock, or let a resolver choose offline and prove its choice",
                )

    # --- in words --------------------------------------------------------------------------------------------------------------------

    def _find(
        self,
        code: str,
        message: str,
        *,
        severity: Severity = Severity.ERROR,
        choice: Choice | None = None,
        package: str | None = None,
        version: str | None = None,
        required_by: tuple[str, ...] = (),
        instead: tuple[str, ...] = (),
        hint: str | None = None,
    ) -> None:
        self.findings.append(
            Finding(
                code=code,
                message=message,
                severity=severity,
                package=choice.name if choice is not None else package,
                version=str(choice.version) if choice is not None else version,
                target=self.target.name,
                file=choice.filename or None if choice is not None else None,
                required_by=required_by,
                instead=instead,
                hint=hint,
            )
        )

    def _on(self, where: int) -> str:
        words = self.stretches.words(where)
        return f" on Python {words}" if words else ""

    def _patches(self, where: int) -> str:
        return self.stretches.words(where) or f"{self.target.python[0]}.{self.target.python[1]}"

    def _instead(self, wheels: Sequence[WheelFacts]) -> tuple[str, ...]:
        """What lies there of that name, the newest first, with the reason where it does not fit."""
        ordered = sorted(wheels, key=lambda wheel: (wheel.version, wheel.filename), reverse=True)
        lines = []
        for wheel in ordered[:_SHOWN]:
            reason = self.fit.misfit(wheel.tags) if self.fit.rank(wheel.tags) is None else None
            lines.append(f"{wheel.filename} ({reason})" if reason else wheel.filename)
        if len(ordered) > _SHOWN:
            lines.append(f"and {len(ordered) - _SHOWN} more")
        return tuple(lines)


_WEIGHT = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.NOTE: 2}


def _order_of(finding: Finding) -> tuple[int, str, str, str]:
    return _WEIGHT[finding.severity], finding.package or "", finding.code, finding.message


def _order_of_pin(pin: Pin) -> tuple[str, str]:
    return pin.name, pin.filename


def _wish(demands: Sequence[Demand]) -> str:
    """What all the demands together ask for, in words: "click that satisfies >=8"."""
    clauses = {str(clause) for demand in demands for clause in demand.requirement.specifier}
    name = demands[0].requirement.name
    return f"{name} that satisfies {', '.join(sorted(clauses))}" if clauses else name

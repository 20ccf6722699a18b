"""The lock loop: let the resolver choose, see which target has no wheel for what was chosen, and ask again with what would have one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.version import Version

from hardtack.errors import BuildFault, InputError, IntegrityError, LockError
from hardtack.locking.classes import MarkerClass, marker_classes, selections
from hardtack.locking.narrowing import narrowed
from hardtack.locking.resolver import KnownMetadata, NeedsMetadata, NoSolution, Question, Resolution, Resolver
from hardtack.locking.wording import with_target_names
from hardtack.model.fit import Fit, read_wheel_name
from hardtack.model.index import IndexFile
from hardtack.model.lock import Lock, LockedFile, LockedPackage, LockedRoot, Skew, Waiver
from hardtack.model.marker import python_fits, specifier_cuts
from hardtack.model.plan import Decision, Gap, PlanEntry, Take
from hardtack.model.requirements import IndexPin, Requirements, RootRequirement
from hardtack.model.target import Selection, Target
from hardtack.planning.plan import Policy, plan
from hardtack.reporting import Reporter
from hardtack.wheelhouse.pylock_packages import without_credentials

_MOST_ROUNDS = 8
_MOST_UNBUILT = 64

# What the indexes offer of a project, by version; empty where they have nothing. The second argument names the indexes that the project is
# pinned to, None where it is not. Asked only for packages that lack a wheel.
Availability = Callable[[str, Sequence[str] | None], Mapping[Version, Sequence[IndexFile]]]
# What a source distribution requires, told without the resolver's help; raises where that cannot be learned.
Describe = Callable[[NeedsMetadata], KnownMetadata]


@dataclass(frozen=True, slots=True, kw_only=True)
class LockSettings:
    """What steers a lock besides the requirements.

    ``previous`` is kept where nothing speaks against it, except for the packages in ``upgrade`` (":all:" for every one).
    ``exclude_newer`` is an RFC 3339 time. ``known`` is what needs not be asked: the project's own metadata.
    """

    known: tuple[KnownMetadata, ...] = ()
    previous: Lock | None = None
    upgrade: frozenset[str] = frozenset()
    exclude_newer: str | None = None
    inputs_digest: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Constraint:
    """Keeps one marker class to the versions of a package, on this side of ``version``, that have wheels for all of the class's targets."""

    name: str
    version: Version
    newer: bool
    members: MarkerClass

    def __str__(self) -> str:
        return f"{self.name}{'>=' if self.newer else '<='}{self.version} ; {self.members.marker}"

    @property
    def key(self) -> tuple[str, str, str]:
        """What makes two constraints the same."""
        return self.name, f"{self.newer}{self.version}", self.members.marker

    @property
    def words(self) -> str:
        """Why it is there, for a person."""
        names = ", ".join(target.name for target in self.members.targets)
        return f"{names}: {'only from' if self.newer else 'only up to'} {self.version} there are wheels"


def lock(
    requirements: Requirements,
    targets: Sequence[Target],
    *,
    resolver: Resolver,
    availability: Availability,
    describe: Describe,
    settings: LockSettings,
    reporter: Reporter,
) -> Lock:
    """Choose one version of every package for each marker class, with wheels wherever some version has them for all its targets.

    Targets with another selection (extras, groups, pins) are resolved apart, each preferring what the ones before chose.
    Raises LockError with the resolver's explanation where there is no solution.
    """
    _check_python(requirements, targets)
    preferences = _preferences(settings)
    constrained: list[_Constraint] = []
    parts: list[tuple[Lock, tuple[Target, ...]]] = []
    for selection, members in selections(targets):
        chosen = selected_roots(requirements, selection)
        loop = _Loop(requirements, chosen, members, selection, resolver, availability, describe, settings, reporter)
        found, constraints = loop.run(preferences)
        preferences = tuple({**dict(preferences), **{p.name: p.version for p in found if p.version is not None}}.items())
        part = narrowed(Lock(packages=found, roots=locked_roots(chosen)), members)
        parts.append((part, members))
        constrained += constraints
    result = replace(
        merge_locks(parts),
        environments=tuple(Marker(members.marker) for members in marker_classes(targets)),
        requires_python=requirements.requires_python,
        extras=requirements.extras,
        groups=requirements.groups,
        default_groups=requirements.default_groups,
        waivers=waivers_of(requirements),
        inputs_digest=settings.inputs_digest,
        exclude_newer=settings.exclude_newer,
    )
    if settings.previous is not None:
        result = replace(result, packages=_with_known_digests(result.packages, settings.previous))
    return replace(result, skews=_skews(result, targets, constrained))


def _with_known_digests(packages: Sequence[LockedPackage], previous: Lock) -> tuple[LockedPackage, ...]:
    """A digest that was recorded at first sight is kept, so that a file that is replaced later on its index is found out."""
    known = {
        (file.index, file.filename): file for package in previous.packages for file in package.wheels if file.hash_source == "first-seen"
    }

    def with_digest(file: LockedFile) -> LockedFile:
        seen = known.get((file.index, file.filename))
        if seen is None or file.sha256 is not None:
            return file
        return replace(file, sha256=seen.sha256, size=seen.size, hash_source="first-seen")

    return tuple(replace(package, wheels=tuple(with_digest(file) for file in package.wheels)) for package in packages)


def merge_locks(parts: Sequence[tuple[Lock, tuple[Target, ...]]]) -> Lock:
    """One lock of several, each for targets of its own: what they share stands once, what differs names its targets."""
    packages: list[LockedPackage] = []
    roots: list[LockedRoot] = []
    for part, members in parts:
        names = frozenset(target.name for target in members) if len(parts) > 1 else None
        packages += [package if package.targets is not None else replace(package, targets=names) for package in part.packages]
        roots += [replace(root, targets=names) for root in part.roots]
    return Lock(
        packages=_merge(packages),
        roots=_merge_roots(roots),
        targets=tuple(target.name for _, members in parts for target in members),
        environments=parts[0][0].environments if len(parts) == 1 else (),
        requires_python=parts[0][0].requires_python,
    )


def selected_roots(requirements: Requirements, selection: Selection) -> tuple[RootRequirement, ...]:
    """The roots that a selection takes: the plain ones, and those of its extras and groups (the run's own where it names none)."""
    extras = requirements.selected_extras if selection.extras is None else selection.extras
    groups = requirements.selected_groups if selection.groups is None else selection.groups
    return tuple(root for root in requirements.roots if _selected(root, extras, groups))


def _selected(item: RootRequirement | IndexPin, extras: frozenset[str], groups: frozenset[str]) -> bool:
    return (item.extra is None or item.extra in extras) and (item.group is None or item.group in groups)


def _pins(requirements: Requirements, selection: Selection) -> tuple[IndexPin, ...]:
    """The pins of the project and of the target; where both name a package, the target's holds."""
    extras = requirements.selected_extras if selection.extras is None else selection.extras
    groups = requirements.selected_groups if selection.groups is None else selection.groups
    own = tuple(IndexPin(name=name, index=index) for name, index in selection.index_pins)
    named = {pin.name for pin in own}
    return (*own, *(pin for pin in requirements.index_pins if pin.name not in named and _selected(pin, extras, groups)))


class _Loop:
    """One selection's rounds. Its state is the constraints kept so far and the metadata learned so far."""

    def __init__(
        self,
        requirements: Requirements,
        roots: Sequence[RootRequirement],
        targets: Sequence[Target],
        selection: Selection,
        resolver: Resolver,
        availability: Availability,
        describe: Describe,
        settings: LockSettings,
        reporter: Reporter,
    ) -> None:
        self._targets = targets
        self._classes = marker_classes(targets)
        self._resolver = resolver
        self._availability = availability
        self._describe = describe
        self._reporter = reporter
        self._policy = Policy(formats=requirements.formats)
        self._metadata = settings.known
        self._planned: tuple[Resolution, tuple[PlanEntry, ...]] | None = None
        self._asked: list[NeedsMetadata] = []
        self._question = Question(
            requirements=tuple(sorted({requirement_text(root) for root in roots})),
            environments=tuple(members.marker for members in self._classes),
            lowest_python=min(target.python for target in targets),
            constraints=tuple(str(root.requirement) for root in requirements.constraints),
            overrides=tuple(str(root.requirement) for root in requirements.overrides),
            excludes=requirements.excludes,
            index_pins=_pins(requirements, selection),
            formats=requirements.formats,
            prereleases=requirements.prereleases,
            prerelease_packages=requirements.prerelease_packages,
            exclude_newer=settings.exclude_newer,
        )

    def run(self, preferences: tuple[tuple[str, Version], ...]) -> tuple[tuple[LockedPackage, ...], list[_Constraint]]:
        """Resolve, then close what can be closed; the packages, and the constraints that did it."""
        self._question = replace(self._question, preferences=preferences)
        answer = self._ask((), cached=False)
        if isinstance(answer, NoSolution):
            return self._as_far_as_it_goes(answer), []
        kept: list[_Constraint] = []
        tried: set[tuple[str, str, str]] = set()
        lacking = self._lacking(answer)
        for _ in range(_MOST_ROUNDS):
            proposals = [proposal for proposal in self._proposals(answer, lacking) if proposal.key not in tried]
            if not proposals:
                break
            # A newer version is the better answer; the older one is tried where that has failed.
            proposals = list({(proposal.name, proposal.members.marker): proposal for proposal in reversed(proposals)}.values())[::-1]
            tried.update(proposal.key for proposal in proposals)
            for proposal in proposals:
                self._reporter.detail(f"no wheel for every target of a class: trying {proposal}")
            improved = self._improve(kept, proposals, lacking)
            if improved is None:
                continue
            kept, answer, lacking = improved
        return answer.packages, kept

    def _as_far_as_it_goes(self, failure: NoSolution) -> tuple[LockedPackage, ...]:
        """Where packages without a fitting wheel or a source stand in the way: a lock in which they are gaps, so that all are told.

        Each class is resolved by itself, without what has nothing for it. Raises LockError where something else is in the way.
        """
        packages: list[LockedPackage] = []
        for members in self._classes:
            names = frozenset(target.name for target in members.targets)
            gaps: dict[str, str | None] = {}
            answer: Resolution | NoSolution = failure
            for _ in range(_MOST_UNBUILT):
                excludes = (*self._question.excludes, *gaps)
                answer = self._ask((), cached=True, environments=(members.marker,), excludes=excludes)
                if isinstance(answer, Resolution):
                    break
                fresh = {name: version for name, version in answer.wheelless if name not in gaps}
                if not fresh:
                    words = with_target_names(answer.explanation, self._targets)
                    raise LockError(f"the requirements have no solution: {words}", hint=_how_to_help(words))
                gaps |= fresh
            found = answer.packages if isinstance(answer, Resolution) else ()
            packages += [replace(package, targets=names) for package in found]
            packages += [replace(self._unserved(name, version, members), targets=names) for name, version in gaps.items()]
        return tuple(packages)

    def _unserved(self, name: str, stated: str | None, members: MarkerClass) -> LockedPackage:
        """A version that has no wheel for some class, with its files: the plan says why none fits.

        Where none is stated, the newest that lacks one: a version that serves everybody is not what the resolver refused.
        """
        versions = self._availability(name, self._pinned(name))
        wanting = [version for version, files in versions.items() if not all(_serves(files, target) for target in members.targets)]
        version = Version(stated) if stated is not None else max(wanting or versions, default=None)
        offered = versions.get(version, ()) if version is not None else ()
        wheels = tuple(
            LockedFile(filename=file.filename, url=file.url, sha256=file.sha256, size=file.size, index=file.index, hash_source="index")
            for file in offered
            if file.filename.endswith(".whl")
        )
        index = offered[0].index if offered else None
        return LockedPackage(
            name=name,
            version=version,
            index=index,
            wheels=wheels,
            requires_python=offered[0].requires_python if offered else None,
            note="no wheel of it may be taken, and it has no source",
        )

    def _improve(
        self, kept: list[_Constraint], proposals: list[_Constraint], before: set[tuple[str, str]]
    ) -> tuple[list[_Constraint], Resolution, set[tuple[str, str]]] | None:
        """Try the proposals together, then one by one; keep those that closed something. None where none did."""
        trials = [proposals] if len(proposals) == 1 else [proposals, *([proposal] for proposal in proposals)]
        best: tuple[list[_Constraint], Resolution, set[tuple[str, str]]] | None = None
        base = list(kept)
        for trial in trials:
            answer = self._try((*base, *trial))
            if not isinstance(answer, Resolution):
                continue
            after = self._lacking(answer)
            if len(after) >= len(best[2] if best else before):
                continue
            useful = [
                constraint
                for constraint in trial
                if not any((target.name, constraint.name) in after for target in constraint.members.targets)
            ]
            best = self._without_swaps(base, useful, answer, before, after)
            if best[0] == [*base, *trial] and trial is proposals:
                break
            base = best[0]
        if best is None:
            return None
        # What was withdrawn may have held versions back: the answer is the one to exactly what is kept.
        final = self._try(tuple(best[0]))
        if isinstance(final, Resolution) and len(after := self._lacking(final)) <= len(best[2]):
            return best[0], final, after
        return best

    def _without_swaps(
        self,
        base: list[_Constraint],
        useful: list[_Constraint],
        answer: Resolution,
        before: set[tuple[str, str]],
        after: set[tuple[str, str]],
    ) -> tuple[list[_Constraint], Resolution, set[tuple[str, str]]]:
        """Withdraw the constraints that closed a gap only to open another on the same targets (a package went back to a placeholder)."""
        kept = list(useful)
        for constraint in useful:
            names = {target.name for target in constraint.members.targets}
            if not any(target in names for target, _ in after - before):
                continue
            fewer = [other for other in kept if other is not constraint]
            withdrawn = self._try((*base, *fewer))
            if isinstance(withdrawn, Resolution) and len(left := self._lacking(withdrawn)) <= len(after):
                self._reporter.detail(f"withdrawn, for it only moved the gap: {constraint}")
                kept, answer, after = fewer, withdrawn, left
        return [*base, *kept], answer, after

    def _ask(
        self,
        constraints: Sequence[_Constraint],
        *,
        cached: bool,
        environments: tuple[str, ...] | None = None,
        excludes: tuple[str, ...] | None = None,
    ) -> Resolution | NoSolution:
        for _ in range(_MOST_UNBUILT):
            question = replace(
                self._question,
                constraints=(*self._question.constraints, *(str(constraint) for constraint in constraints)),
                metadata=self._metadata,
                environments=self._question.environments if environments is None else environments,
                excludes=self._question.excludes if excludes is None else excludes,
            )
            answer = self._resolver.resolve(question, cached=cached)
            if not isinstance(answer, NeedsMetadata):
                return answer
            if answer in self._asked:
                raise LockError(f"the resolver asks again what {answer.name} {answer.version} requires, though it was told")
            self._reporter.detail(f"asking what {answer.name} {answer.version} requires (it has no static metadata)")
            self._asked.append(answer)
            self._metadata = (*self._metadata, self._describe(replace(answer, indexes=self._pinned(answer.name))))
        raise LockError(f"more than {_MOST_UNBUILT} source distributions have no static metadata")

    def _try(self, constraints: Sequence[_Constraint]) -> Resolution | NoSolution:
        """The answer to a trial. Where it leads to a source that cannot say what it requires, it is no answer, and not the run's end."""
        try:
            return self._ask(constraints, cached=True)
        except (BuildFault, IntegrityError, LockError) as error:
            self._reporter.detail(f"a trial failed: {error}")
            return NoSolution(explanation=str(error))

    def _lacking(self, answer: Resolution) -> set[tuple[str, str]]:
        """(target, package) pairs that no wheel of the chosen version serves, where one of another version might."""
        return {(entry.target, entry.package.name) for entry in self._entries(answer) if _may_be_closed(entry.decision)}

    def _entries(self, answer: Resolution) -> tuple[PlanEntry, ...]:
        if self._planned is None or self._planned[0] is not answer:
            self._planned = answer, plan(Lock(packages=answer.packages), self._targets, self._policy).entries
        return self._planned[1]

    def _pinned(self, name: str) -> tuple[str, ...] | None:
        return tuple(pin.index for pin in self._question.index_pins if pin.name == name) or None

    def _proposals(self, answer: Resolution, lacking: set[tuple[str, str]]) -> list[_Constraint]:
        versions: dict[tuple[str, str], LockedPackage] = {}
        wanted: dict[str, set[str]] = {}
        for entry in self._entries(answer):
            versions[entry.target, entry.package.name] = entry.package
            wanted.setdefault(entry.package.name, set()).add(entry.target)
        proposals: list[_Constraint] = []
        for name in sorted({name for _, name in lacking}):
            if self._policy.formats.builds(name):
                continue
            offered: Mapping[Version, Sequence[IndexFile]] | None = None
            for members in self._classes:
                here = [target for target in members.targets if target.name in wanted.get(name, ())]
                if not any((target.name, name) in lacking for target in here):
                    continue
                current = versions[here[0].name, name]
                if current.source is not None or current.version is None:
                    continue
                offered = self._availability(name, self._pinned(name)) if offered is None else offered
                fitting = _fitting(offered, current.version, here)
                after = [version for version in fitting if version > current.version]
                before = [version for version in fitting if version < current.version]
                if after:
                    proposals.append(_Constraint(name=name, version=min(after), newer=True, members=members))
                if before:
                    proposals.append(_Constraint(name=name, version=max(before), newer=False, members=members))
        return proposals


def _may_be_closed(decision: Decision) -> bool:
    """Whether another version could help: a marker that the target cannot answer asks for more to be said of the target."""
    return not isinstance(decision, Take) and not (isinstance(decision, Gap) and decision.code == "unanswerable-marker")


def _fitting(offered: Mapping[Version, Sequence[IndexFile]], current: Version, targets: Sequence[Target]) -> list[Version]:
    """The versions whose wheels fit every target; pre-releases only where the current one is one."""
    found = []
    for version, files in offered.items():
        if version == current or (version.is_prerelease and not current.is_prerelease):
            continue
        wheels = [file for file in files if file.filename.endswith(".whl") and file.yanked is None]
        if wheels and all(_serves(wheels, target) for target in targets):
            found.append(version)
    return found


def _serves(wheels: Sequence[IndexFile], target: Target) -> bool:
    first = target.patches.points(())[0]
    fit = Fit(target)
    for wheel in wheels:
        name = read_wheel_name(wheel.filename)
        if name is not None and fit.rank(name.tags) is not None and python_fits(wheel.requires_python, first):
            return True
    return False


def requirement_text(root: RootRequirement) -> str:
    """A root as PEP 508 writes it; a local path as a file: URL."""
    requirement = root.requirement
    if root.path is None or requirement.url:
        return str(requirement)
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    marker = f" ; {requirement.marker}" if requirement.marker else ""
    return f"{requirement.name}{extras} @ {root.path.as_uri()}{marker}"


def _check_python(requirements: Requirements, targets: Sequence[Target]) -> None:
    wrong = [
        target.name
        for target in targets
        if not any(python_fits(requirements.requires_python, point) for point in target.patches.points(()))
        and not _fits_later(requirements, target)
    ]
    if wrong:
        raise InputError(
            f"the project requires Python {requirements.requires_python}, which {', '.join(wrong)} cannot offer",
            hint="leave those targets out, or widen requires-python",
        )


def _fits_later(requirements: Requirements, target: Target) -> bool:
    """True if some later patch of an open range fits (a requires-python of >=3.9.2 on py39)."""
    points = target.patches.points(specifier_cuts(requirements.requires_python))
    return any(python_fits(requirements.requires_python, point) for point in points)


def _preferences(settings: LockSettings) -> tuple[tuple[str, Version], ...]:
    if settings.previous is None or ":all:" in settings.upgrade:
        return ()
    newest: dict[str, Version] = {}
    for package in settings.previous.packages:
        if package.version is None or package.name in settings.upgrade or package.source is not None:
            continue
        if package.name not in newest or package.version > newest[package.name]:
            newest[package.name] = package.version
    return tuple(sorted(newest.items()))


def locked_roots(roots: Sequence[RootRequirement]) -> tuple[LockedRoot, ...]:
    """Roots as the lock, manifests and findings keep them: without the login that a URL may hold, or a place of this machine."""
    return tuple(
        LockedRoot(requirement=_told(root), origin=str(root.origin), scope=root.scope, extra=root.extra, group=root.group) for root in roots
    )


def waivers_of(requirements: Requirements) -> tuple[Waiver, ...]:
    """The departures from packages' metadata that the inputs declare."""
    overrides = [Waiver(kind="override", requirement=_told(root), origin=str(root.origin)) for root in requirements.overrides]
    return (*overrides, *(Waiver(kind="exclude", requirement=name, origin="configuration") for name in requirements.excludes))


def _told(root: RootRequirement) -> str:
    told = Requirement(str(root.requirement))
    if root.path is not None:
        told.url = None
    return without_credentials(str(told))


def _merge(packages: Sequence[LockedPackage]) -> tuple[LockedPackage, ...]:
    """One entry where several selections chose the same version by the same marker and files."""
    merged: dict[tuple[str, ...], LockedPackage] = {}
    for package in packages:
        files = (*(file.filename for file in package.wheels), package.sdist.filename if package.sdist else "")
        key = (package.name, str(package.version), str(package.index), str(package.marker or ""), str(package.source), *files)
        seen = merged.get(key)
        if seen is None:
            merged[key] = package
        elif seen.targets is not None and package.targets is not None:
            merged[key] = replace(seen, targets=seen.targets | package.targets)
    return tuple(sorted(merged.values(), key=lambda package: (package.name, package.version or Version("0"), str(package.marker or ""))))


def _merge_roots(roots: Sequence[LockedRoot]) -> tuple[LockedRoot, ...]:
    merged: dict[LockedRoot, frozenset[str] | None] = {}
    for root in roots:
        key = replace(root, targets=None)
        seen = merged.get(key, frozenset())
        merged[key] = None if root.targets is None or seen is None else seen | root.targets
    return tuple(replace(root, targets=targets) for root, targets in merged.items())


def _skews(result: Lock, targets: Sequence[Target], constraints: Sequence[_Constraint]) -> tuple[Skew, ...]:
    """Where one package has several versions among the targets, and why."""
    places: dict[str, dict[str, list[str]]] = {}
    for entry in plan(result, targets, Policy()).entries:
        if entry.package.version is not None:
            names = places.setdefault(entry.package.name, {}).setdefault(str(entry.package.version), [])
            if entry.target not in names:
                names.append(entry.target)
    skews: list[Skew] = []
    for name, versions in sorted(places.items()):
        if len(versions) < 2:
            continue
        held = [constraint for constraint in constraints if constraint.name == name]
        if held:
            reason = "; ".join(constraint.words for constraint in held)
        elif any(package.targets is not None for package in result.packages if package.name == name):
            reason = "the targets select different extras, groups or indexes"
        else:
            reason = "the packages' own Requires-Python or markers differ between these targets"
        skews.append(Skew(name=name, versions=tuple((version, tuple(names)) for version, names in versions.items()), reason=reason))
    return tuple(skews)


def _how_to_help(explanation: str) -> str:
    if "not found in the package registry" in explanation or "was not found" in explanation:
        return "check the name's spelling, and with -v which indexes are asked"
    return "loosen one of the requirements that are named, or declare an override in [tool.hardtack] overrides"

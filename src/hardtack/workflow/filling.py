"""What would close the gaps of a draft within the constraints: found by asking the resolver, never by guessing."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from hardtack.building.serves import BuildGap
from hardtack.errors import HardtackError, InputError
from hardtack.inputs.detect import compiled_from
from hardtack.locking.lock import LockSettings
from hardtack.model.fit import Fit
from hardtack.model.lock import Lock, LockedRoot
from hardtack.model.plan import Build, Gap, Plan, PlanEntry
from hardtack.model.requirements import Origin, Requirements, RootRequirement
from hardtack.planning.explain import other_versions
from hardtack.planning.remedies import Typed
from hardtack.reporting import Reporter
from hardtack.system.cancellation import Cancellation
from hardtack.workflow.drafting import planned, unmade
from hardtack.workflow.own_project import known_of_project, with_dynamic_build_requirements
from hardtack.workflow.reading import Job
from hardtack.workflow.resolving import resolve
from hardtack.workflow.yard import Yard

# (package, target) pairs that nothing serves.
Lacking = Mapping[tuple[str, str], PlanEntry]
# Builds that were tried, by (package, version, target).
Failed = Mapping[tuple[str, str, str], BuildGap]


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """A line that stands in the way, and what it would have to say. It is for the user to make. ``command``: what makes the
    file anew, or says it again as it has to be."""

    place: str
    before: str
    after: str
    fills: tuple[tuple[str, str], ...]
    command: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A lock, its plan, and what that still lacks. ``upgrade`` are the packages that were chosen anew to have it."""

    lock: Lock
    plan: Plan
    lacking: Lacking
    upgrade: frozenset[str] = frozenset()


class Search:
    """Asks for locks with fewer gaps. ``job`` is read without a lock to obey; its requirements may be those that a lock tells."""

    def __init__(self, job: Job, yard: Yard, typed: Typed, failed: Failed, *, reporter: Reporter, stop: Cancellation) -> None:
        self.job, self.yard, self.typed, self._failed = job, yard, typed, failed
        self._reporter, self._stop = reporter, stop
        self.unmade: dict[tuple[str, str], BuildGap] = {}
        self.wanted = with_dynamic_build_requirements(job.requirements, yard, reporter)

    def lacking(self, plan: Plan, job: Job | None = None) -> Lacking:
        """The gaps of a plan, and the builds that nothing on this machine can make, or that have failed."""
        found = {(entry.package.name, entry.target): entry for entry in plan.entries if isinstance(entry.decision, Gap)}
        makeless = dict(unmade(plan.entries, self.yard, self.typed, targets=(job or self.job).targets))
        for entry in plan.entries:
            gap = self._failed.get((entry.package.name, str(entry.package.version), entry.target))
            if gap is not None and isinstance(entry.decision, Build):
                makeless[entry.package.name, entry.target] = gap
        self.unmade |= makeless
        for entry in plan.entries:
            if (key := (entry.package.name, entry.target)) in makeless:
                found.setdefault(key, entry)
        return found

    def relocked(self, before: Attempt, *, named: bool = False) -> Attempt | None:
        """The lock with fewer gaps that is nearest to ``before``; None where there is none.

        What is locked is preferred, and gives way to what closes a gap, so that no more changes than that takes. ``named``: the packages
        with gaps are chosen anew, whatever they are at.
        """
        names = frozenset(name for name, _ in before.lacking)
        previous = before.lock if named else self._nudged(before, self.wanted)
        attempt = self.attempt(self.wanted, previous=previous, upgrade=names if named else frozenset())
        if attempt is None or len(attempt.lacking) >= len(before.lacking):
            return None
        return attempt if named else self._evened(attempt, before, self.wanted)

    def _evened(self, attempt: Attempt, before: Attempt, wanted: Requirements) -> Attempt:
        """The same with one version of each package for all targets again, where a version serves them all and nothing more is lacking."""
        split = _skewed(attempt.plan) - _skewed(before.plan)
        if not any(self._serves_all(name, attempt.plan) for name in sorted(split)):
            return attempt
        # Of what has several versions, the newest is what is preferred for everybody.
        even = self.attempt(wanted, previous=attempt.lock)
        better = even is not None and len(even.lacking) <= len(attempt.lacking) and len(_skewed(even.plan)) < len(_skewed(attempt.plan))
        return even if even is not None and better else attempt

    def _nudged(self, before: Attempt, wanted: Requirements) -> Lock:
        """The lock to begin with: each package with a gap at the nearest version that has a wheel for every target that wants it."""
        nearest: dict[str, Version] = {}
        for name in sorted({name for name, _ in before.lacking}):
            entries = [entry for entry in before.plan.entries if entry.package.name == name]
            current = max((entry.package.version for entry in entries if entry.package.version is not None), default=None)
            serving = self._serving(name, {entry.target for entry in entries})
            rules = [root for root in (*wanted.roots, *wanted.constraints) if canonicalize_name(root.requirement.name) == name]
            allowed = [version for version in serving if all(_allows(root, [version]) for root in rules)]
            if current is not None and allowed:
                nearest[name] = min((one for one in allowed if one > current), default=max(allowed))
        packages = [replace(one, version=nearest.get(one.name, one.version)) for one in before.lock.packages]
        return replace(before.lock, packages=tuple(packages))

    def _serving(self, name: str, targets: Collection[str]) -> set[Version]:
        """The versions that are no pre-releases, not yanked, and have a wheel for each of these targets."""
        try:
            pages = self.yard.supplies.client.files(name)
        except HardtackError:
            return set()
        fits = [Fit(target) for target in self.job.targets if target.name in targets]
        found = [{one.version for one in other_versions(pages, fit) if not one.yanked and not one.version.is_prerelease} for fit in fits]
        return set.intersection(*found) if found else set()

    def _serves_all(self, name: str, plan: Plan) -> bool:
        """True if the newest version that some target takes has a wheel for every target that wants the package."""
        wanted = {entry.target for entry in plan.entries if entry.package.name == name}
        return max(planned_versions(plan)[name]) in self._serving(name, wanted)

    def attempt(self, wanted: Requirements, *, previous: Lock | None, upgrade: Collection[str] = ()) -> Attempt | None:
        """One question to the resolver; None where it has no answer."""
        settings = LockSettings(
            known=known_of_project(wanted),
            previous=previous,
            upgrade=frozenset(upgrade),
            exclude_newer=self.job.exclude_newer,
            inputs_digest=self.job.digest(),
        )
        self._reporter.stage("locking")
        try:
            lock = resolve(
                wanted,
                self.job.targets,
                settings,
                supplies=self.yard.supplies,
                describe=self.yard.describe,
                reporter=self._reporter,
                stop=self._stop,
            )
            plan = planned(lock, self.job)
        except HardtackError as error:
            self._stop.check()
            self._reporter.detail(f"an attempt failed: {error}")
            return None
        return Attempt(lock=lock, plan=plan, lacking=self.lacking(plan), upgrade=frozenset(upgrade))

    # --- what the user's own lines forbid ---------------------------------------------------------------------------------------------

    def edits(self, before: Attempt) -> tuple[Edit, ...]:
        """The lines of the inputs that would have to say something else, with what they would say: each tried with the resolver."""
        names = {name for name, _ in before.lacking}
        relaxed = _relaxed(self.wanted, names)
        if relaxed == self.wanted:
            return ()
        attempt = self.attempt(relaxed, previous=self._nudged(before, relaxed))
        if attempt is None or len(attempt.lacking) >= len(before.lacking):
            return ()
        attempt = self._evened(attempt, before, relaxed)
        found = []
        for name in sorted(names):
            fills = tuple(sorted(key for key in before.lacking if key[0] == name and key not in attempt.lacking))
            versions = sorted({one.version for one in attempt.lock.packages if one.name == name and one.version is not None})
            if not fills or not versions:
                continue
            for root in (*self.wanted.roots, *self.wanted.constraints):
                if canonicalize_name(root.requirement.name) != name or _allows(root, versions):
                    continue
                edited = _edited(root.requirement, versions)
                found.append(
                    Edit(
                        place=str(root.origin),
                        before=str(root.requirement),
                        after=str(edited),
                        fills=fills,
                        command=self._retyped(root, edited) or self._compiling(root.origin, name, versions[-1]),
                    )
                )
        return tuple(found)

    def _retyped(self, root: RootRequirement, edited: Requirement) -> str | None:
        """The command with the requirement as it would have to be; None for one that was not typed."""
        if root.origin.place != "the command line":
            return None
        words = tuple(str(edited) if _same(word, root.requirement) else word for word in self.typed.asked)
        return replace(self.typed, asked=words).again("build") if words != self.typed.asked else None

    def _compiling(self, origin: Origin, name: str, version: Version) -> str | None:
        """The command that made a compiled requirements file, with the upgrade; None for a file that a person wrote."""
        path = self.job.project_dir / origin.place
        try:
            head = compiled_from(path) if path.is_file() else None
        except HardtackError:
            return None
        for line in (head or "").splitlines():
            words = line.lstrip("# ").strip()
            if words.startswith(("pip-compile", "uv pip compile", "python -m piptools compile")):
                return f"{words} --upgrade-package '{name}=={version}'"
        return None


def _same(word: str, requirement: Requirement) -> bool:
    try:
        return Requirement(word) == requirement
    except InvalidRequirement:
        return False


def _allows(root: RootRequirement, versions: Sequence[Version]) -> bool:
    return root.requirement.url is not None or all(root.requirement.specifier.contains(version, prereleases=True) for version in versions)


def _relaxed(wanted: Requirements, names: Collection[str]) -> Requirements:
    """The requirements without what they say of these packages' versions."""
    return replace(
        wanted,
        roots=tuple(_free(root) if _named(root, names) else root for root in wanted.roots),
        constraints=tuple(root for root in wanted.constraints if not _named(root, names)),
        build_roots=tuple(_free(root) if _named(root, names) else root for root in wanted.build_roots),
    )


def _named(root: RootRequirement, names: Collection[str]) -> bool:
    return canonicalize_name(root.requirement.name) in names and root.requirement.url is None and root.path is None


def _free(root: RootRequirement) -> RootRequirement:
    bare = Requirement(str(root.requirement))
    bare.specifier = SpecifierSet()
    return replace(root, requirement=bare, hashes=frozenset())


def _edited(requirement: Requirement, versions: Sequence[Version]) -> Requirement:
    """The requirement as it would have to be: a pin with the other version, a range without what forbids it."""
    edited = Requirement(str(requirement))
    if any(clause.operator in ("==", "===") for clause in requirement.specifier) and len(versions) == 1:
        edited.specifier = SpecifierSet(f"=={versions[0]}")
        return edited
    kept = [str(clause) for clause in requirement.specifier if all(clause.contains(version, prereleases=True) for version in versions)]
    edited.specifier = SpecifierSet(",".join(kept))
    return edited


# --- what a lock alone tells -----------------------------------------------------------------------------------------------------------


def requirements_of(lock: Lock, base: Requirements) -> Requirements:
    """What a lock without its project was made from: the roots that it names, else each of its packages, whatever its version."""
    stated = lock.roots if lock.origin == "hardtack" else ()
    if not stated:
        stated = tuple(
            LockedRoot(requirement=f"{package.name}{f' ; {package.marker}' if _plain(package.marker) else ''}", origin="the lock")
            for package in lock.packages
            if package.source is None
        )
    roots = []
    for root in stated:
        try:
            requirement = Requirement(root.requirement)
        except InvalidRequirement as error:
            raise InputError(f"{root.requirement!r} is no requirement: {error}", where=root.origin) from None
        roots.append(
            RootRequirement(requirement=requirement, origin=Origin(place=root.origin), scope=root.scope, extra=root.extra, group=root.group)
        )
    return replace(base, roots=tuple(dict.fromkeys(roots)))


def _plain(marker: object) -> bool:
    text = str(marker or "")
    return bool(text) and "extras" not in text and "dependency_groups" not in text


def whole(lock: Lock, plan: Plan, search: Search, job: Job) -> Attempt:
    """A lock as it is, as an attempt to compare others with."""
    return Attempt(lock=lock, plan=plan, lacking=search.lacking(plan, job))


def changed_versions(before: Plan, after: Plan) -> dict[str, tuple[Version, ...]]:
    """The packages of which targets take other versions after than before, with those after."""
    old, new = planned_versions(before), planned_versions(after)
    return {name: tuple(sorted(found)) for name, found in sorted(new.items()) if found != old.get(name, found)}


def planned_versions(plan: Plan) -> dict[str, set[Version]]:
    """The versions of each package that targets take."""
    found: dict[str, set[Version]] = {}
    for entry in plan.entries:
        if entry.package.version is not None:
            found.setdefault(entry.package.name, set()).add(entry.package.version)
    return found


def _skewed(plan: Plan) -> frozenset[str]:
    """The packages that have several versions."""
    return frozenset(name for name, found in planned_versions(plan).items() if len(found) > 1)


def lock_place(job: Job) -> Path:
    """Where our own lock is put beside one that another tool wrote."""
    return job.project_dir / "pylock.hardtack.toml"

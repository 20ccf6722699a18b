"""Lock x targets -> plan: for every target and package one decision, with its reason. Pure: nothing is opened, fetched or asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from packaging.version import Version

from hardtack.errors import LockError
from hardtack.model.fit import WheelName
from hardtack.model.lock import Lock, LockedFile, LockedPackage
from hardtack.model.marker import UnanswerableMarker, cuts, specifier_cuts
from hardtack.model.plan import Build, Decision, Gap, Plan, PlanEntry, Rejected, Take
from hardtack.model.requirements import FormatControl
from hardtack.model.stretches import Stretches
from hardtack.model.target import Target
from hardtack.planning.explain import hint_for
from hardtack.planning.rank import Ranker


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What a plan may decide.

    ``can_build`` False makes whatever has no wheel a gap. ``require_stated_hashes`` makes a file whose digest neither lock nor index states
    a gap "no-hash". ``extras`` and ``groups`` are what the run takes where a target does not choose for itself; None is everything in a
    lock that was made for the run, and in a user's pylock.toml what PEP 751 says: no extra, the default groups.
    """

    formats: FormatControl = field(default_factory=FormatControl)
    can_build: bool = True
    require_stated_hashes: bool = False
    extras: frozenset[str] | None = None
    groups: frozenset[str] | None = None


def plan(lock: Lock, targets: Sequence[Target], policy: Policy | None = None) -> Plan:
    """Decide for every package of the lock, on every target that wants it, which wheel is taken or what is to be built.

    A package is wanted where ``LockedPackage.targets`` and ``marker`` say so, judged at every breakpoint of the target's patch range that a
    marker or Requires-Python of the lock makes. What cannot be had is a ``Gap``, never an exception. A lock that is not for one of the
    targets at all (its targets, environments or requires-python leave it out) raises ``LockError``, naming all such targets at once.
    """
    policy = policy or Policy()
    _check_scope(lock, targets)
    packages = sorted(lock.packages, key=_order)
    breakpoints = _breakpoints(packages)
    names: dict[str, WheelName | None] = {}
    columns = [_Column(lock, target, policy, packages, Stretches(target, breakpoints), Ranker(target, names)) for target in targets]
    entries = [entry for at in range(len(packages)) for column in columns if (entry := column.entry(at)) is not None]
    return Plan(entries=tuple(entries), targets=tuple(target.name for target in targets))


def _order(package: LockedPackage) -> tuple[str, Version]:
    return package.name, package.version or Version("0")


def _breakpoints(packages: Sequence[LockedPackage]) -> frozenset[Version]:
    found: set[Version] = set()
    for package in packages:
        found |= cuts(package.marker)
        found |= specifier_cuts(package.requires_python)
    return frozenset(found)


def _check_scope(lock: Lock, targets: Sequence[Target]) -> None:
    """PEP 751: an installer must refuse a lock whose requires-python or environments leave its environment out."""
    complaints = []
    for target in targets:
        if lock.targets and target.name not in lock.targets:
            complaints.append(f"{target.name}: not among the lock's targets ({', '.join(lock.targets)})")
            continue
        breakpoints = set(specifier_cuts(lock.requires_python))
        for marker in lock.environments:
            breakpoints |= cuts(marker)
        stretches = Stretches(target, breakpoints)
        fits = stretches.fits(lock.requires_python)
        if fits != stretches.all:
            complaints.append(
                f"{target.name}: Python {_where(stretches, stretches.all & ~fits)} is outside the lock's {lock.requires_python}"
            )
        if lock.environments:
            covered = 0
            for marker in lock.environments:
                try:
                    covered |= stretches.holds(marker)
                except UnanswerableMarker as error:
                    complaints.append(f"{target.name}: {error}")
            if covered != stretches.all:
                missed = _where(stretches, stretches.all & ~covered)
                complaints.append(f"{target.name}: Python {missed} is in none of the environments that the lock was made for")
    if complaints:
        raise LockError(
            "the lock was not made for " + ("this target" if len(complaints) == 1 else "these targets") + ": " + "; ".join(complaints),
            hint="lock again with these targets, or choose targets (or a narrower range of patches) that the lock covers",
        )


def _where(stretches: Stretches, found: int) -> str:
    return stretches.words(found) or str(stretches.target.patches.specifier())


class _Column:
    """One target's decisions."""

    def __init__(
        self, lock: Lock, target: Target, policy: Policy, packages: Sequence[LockedPackage], stretches: Stretches, ranker: Ranker
    ) -> None:
        self.target = target
        self.policy = policy
        self.packages = packages
        self.stretches = stretches
        self.ranker = ranker
        own = lock.origin != "pylock.toml"
        run_extras = policy.extras if policy.extras is not None else (lock.extras if own else frozenset())
        run_groups = policy.groups if policy.groups is not None else (lock.groups if own else lock.default_groups)
        self.extras = run_extras if target.selection.extras is None else target.selection.extras
        self.groups = run_groups if target.selection.groups is None else target.selection.groups
        self.unanswerable: dict[int, UnanswerableMarker] = {}
        self._answers: dict[str, int] = {}
        self.wanted = [self._wanted(at, package) for at, package in enumerate(packages)]
        self.rivals: dict[str, list[int]] = {}
        for at, package in enumerate(packages):
            if self.wanted[at]:
                self.rivals.setdefault(package.name, []).append(at)

    def _wanted(self, at: int, package: LockedPackage) -> int:
        if package.targets is not None and self.target.name not in package.targets:
            return 0
        if package.marker is None:
            return self.stretches.all
        text = str(package.marker)
        answer = self._answers.get(text)
        if answer is None:
            try:
                answer = self.stretches.holds(package.marker, extras=self.extras, groups=self.groups, lock_file=True)
            except UnanswerableMarker as error:
                self.unanswerable[at] = error
                return self.stretches.all
            self._answers[text] = answer
        return answer

    def entry(self, at: int) -> PlanEntry | None:
        """The decision on package ``at``, None where the target does not want it."""
        wanted = self.wanted[at]
        if not wanted:
            return None
        package = self.packages[at]
        return PlanEntry(
            target=self.target.name,
            package=package,
            decision=self._obstacle(at, package, wanted) or self._decide(package),
            points=self.stretches.texts(wanted),
            marker=self.stretches.marker(wanted),
        )

    def _obstacle(self, at: int, package: LockedPackage, wanted: int) -> Gap | None:
        """What stands in the way of any file of this package."""
        if error := self.unanswerable.get(at):
            return Gap(code="unanswerable-marker", reason=error.reason, hint=error.hint)
        if rivals := [rival for rival in self.rivals[package.name] if rival != at and self.wanted[rival] & wanted]:
            versions = ", ".join(dict.fromkeys(str(self.packages[one].version or "a source") for one in sorted((at, *rivals))))
            shared = 0
            for rival in rivals:
                shared |= self.wanted[rival] & wanted
            place = self.stretches.words(shared)
            return Gap(
                code="conflict",
                reason=f"the lock has several entries for it here ({versions})" + (f" on Python {place}" if place else ""),
                hint="PEP 751 allows one entry of a name per environment: lock again, or choose extras and groups that do not conflict",
            )
        fits = self.stretches.fits(package.requires_python)
        if wanted & ~fits:
            place = self.stretches.words(wanted & ~fits) or f"{self.target.python[0]}.{self.target.python[1]}"
            return Gap(
                code="requires-python",
                reason=f"it needs Python {package.requires_python}, the target has {place}",
                hint="an older version of the package may still support this Python; or give the target a later range of patches",
            )
        return None

    def _decide(self, package: LockedPackage) -> Decision:
        formats, wheels = self.policy.formats, _wheels(package)
        no_binary, only_binary = formats.builds(package.name), formats.forbids_building(package.name)
        rejected: tuple[Rejected, ...]
        if wheels and no_binary and package.source is None:
            rejected = tuple(Rejected(filename=file.filename, reason="no-binary asks for a build from source") for file in wheels)
        else:
            ranked = self.ranker.rank(wheels, name=package.name, version=package.version)
            if ranked.fitting:
                return self._take(ranked.fitting[0], ranked.rejected)
            rejected = ranked.rejected
        return self._build(package, wheels, rejected, no_binary=no_binary, only_binary=only_binary)

    def _take(self, file: LockedFile, rejected: tuple[Rejected, ...]) -> Take | Gap:
        if self.policy.require_stated_hashes and not _is_stated(file):
            return Gap(code="no-hash", reason=f"nobody states a digest for {file.filename}", rejected=rejected, hint=_HASH_HINT)
        return Take(file=file, rejected=rejected)

    def _build(
        self, package: LockedPackage, wheels: tuple[LockedFile, ...], rejected: tuple[Rejected, ...], *, no_binary: bool, only_binary: bool
    ) -> Build | Gap:
        source, sdist = package.source, package.sdist
        hint = hint_for(package, self.ranker.fit)
        if source is not None and wheels:
            return Gap(code="no-file", reason="the wheel behind its URL does not fit", rejected=rejected, hint=hint)
        if source is not None:
            reason = _SOURCES[source.kind]
        elif no_binary:
            reason = "no-binary asks for a build"
        else:
            reason = "none of its wheels fits" if rejected else "it has no wheel"
        if source is None and sdist is None:
            if no_binary and self.ranker.rank(wheels, name=package.name, version=package.version).fitting:
                hint = (
                    f"it has a wheel for this target, and {self._allowing(package.name, 'no-binary')} takes it; or a version with an sdist"
                )
            return Gap(code="no-file", reason=f"{reason}, and it has no sdist", rejected=rejected, hint=hint)
        if source is None and only_binary:
            hint = f"{self._allowing(package.name, 'only-binary')} allows to build it, or ask for another version"
            return Gap(code="only-binary", reason=f"{reason}, and only-binary forbids to build it", rejected=rejected, hint=hint)
        if not self.policy.can_build:
            return Gap(code="needs-build", reason=f"{reason}, and nothing is to be built", rejected=rejected, hint=hint)
        if self.policy.require_stated_hashes and not _source_is_stated(package):
            return Gap(code="no-hash", reason=f"nobody states a digest for {package.name}'s source", rejected=rejected, hint=_HASH_HINT)
        return Build(reason=reason, rejected=rejected)

    def _allowing(self, name: str, option: str) -> str:
        """What lifts for one package what an option demands of it."""
        said = self.policy.formats.no_binary if option == "no-binary" else self.policy.formats.only_binary
        opposite = "only-binary" if option == "no-binary" else "no-binary"
        return f"leaving {option} for {name} out" if name in said else f"--{opposite} {name}"


_SOURCES = {"directory": "it is a folder", "vcs": "it is a repository at a commit", "archive": "it is an archive behind a URL"}
_HASH_HINT = "state its sha256 in the lock or the requirements, or allow the first digest seen to be recorded"


def _is_stated(file: LockedFile) -> bool:
    return bool(file.other_hashes) or (file.sha256 is not None and file.hash_source != "first-seen")


def _source_is_stated(package: LockedPackage) -> bool:
    """A folder is the user's own, a commit is a digest itself; an archive and an sdist need one."""
    if package.source is not None:
        return package.source.kind != "archive" or package.source.sha256 is not None
    return package.sdist is not None and _is_stated(package.sdist)


def _wheels(package: LockedPackage) -> tuple[LockedFile, ...]:
    """The wheels of a package; an archive behind a URL may be one itself (PEP 751)."""
    archive = package.archive
    if archive is not None and not package.wheels and archive.filename.endswith(".whl"):
        return (archive,)
    return package.wheels

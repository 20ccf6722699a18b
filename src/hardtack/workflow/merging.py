"""Several wheelhouses as one, without I/O: whose lock counts where, what is asked for, which file serves what, and what contradicts what.

The first wheelhouse speaks for its targets, each part for the targets that nobody before it had. docs/merging.md tells it for users.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from packaging.markers import Marker
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from hardtack.errors import TargetError
from hardtack.model.finding import Finding, Severity
from hardtack.model.lock import Lock, LockedRoot, Skew, Waiver
from hardtack.model.manifest import Manifest, ManifestFile, ManifestSource, Pin
from hardtack.model.marker import cuts
from hardtack.model.plan import PlanEntry
from hardtack.model.stretches import Stretches
from hardtack.model.target import Target
from hardtack.model.wheel import WheelFacts
from hardtack.planning.plan import plan
from hardtack.targets.catalog import describe
from hardtack.wheelhouse.pylock_packages import without_credentials
from hardtack.workflow.merging_locks import CONFLICT, Voice, merged_lock, with_files, with_packages


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A pin whose file lies there and is sound."""

    pin: Pin
    file: ManifestFile
    facts: WheelFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A wheelhouse, read and judged. ``place`` is as the user named it; ``held`` and ``sources`` are what is sound in it."""

    place: str
    manifest: Manifest
    lock: Lock
    targets: tuple[Target, ...]
    held: tuple[Held, ...]
    sources: tuple[ManifestSource, ...] = ()

    @property
    def names(self) -> frozenset[str]:
        """The targets that it has, and those that its lock was made for."""
        return frozenset(self.lock.targets) | frozenset(self.manifest.targets)


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """What the pieces come to. ``brought`` are the files that parts added to what the first has, with the part's place.

    ``own_waivers`` are, by target, the departures that were declared where the target comes from: one target's must not excuse another's.
    """

    targets: tuple[Target, ...]
    lock: Lock
    held: tuple[Held, ...]
    project: str | None
    own_waivers: Mapping[str, tuple[Waiver, ...]]
    sources: tuple[ManifestSource, ...]
    brought: tuple[tuple[str, ManifestFile], ...]
    findings: tuple[Finding, ...]


def merged(pieces: Sequence[Piece]) -> Whole:
    """The first piece with what the others add to it. Raises TargetError where two give one name to different targets."""
    targets = _targets(pieces)
    voices = _voices(pieces)
    lock, findings = merged_lock(voices)
    entries = plan(lock, targets).entries
    fills = [at > 0 and _is_fill(piece, voice, entries) for at, (piece, voice) in enumerate(zip(pieces, voices, strict=True))]
    _same_selections(pieces, fills)
    roots = _roots(pieces, voices, fills)
    choosing = _Choosing(targets, entries, pieces)
    for piece, fill in zip(pieces, fills, strict=True):
        choosing.add(piece, fill=fill)
    choosing.settle(roots)
    sources, clashes = _sources(pieces)
    lock = with_packages(lock, voices, choosing.unlocked)
    return Whole(
        targets=targets,
        lock=replace(
            with_files(lock, voices, choosing.brought),
            roots=roots,
            waivers=tuple(dict.fromkeys(one for piece, voice in _speaking(pieces, voices) for one in piece.manifest.waivers)),
            skews=_skews(pieces, voices, choosing.pins()),
        ),
        held=tuple(choosing.held),
        project=_project(pieces, voices),
        own_waivers={name: piece.manifest.waivers for piece, voice in _speaking(pieces, voices) for name in voice.scope},
        sources=sources,
        brought=tuple(choosing.brought),
        findings=(*findings, *choosing.findings, *clashes),
    )


def check_builds(files: Iterable[ManifestFile], lock: Lock) -> list[Finding]:
    """What is said to be built must say of what, and that must be what is locked: no digest of the lock vouches for the wheel itself."""
    locked: dict[tuple[str, str], set[str]] = {}
    for package in lock.packages:
        source = package.sdist or package.archive
        if source is not None and source.sha256 is not None:
            locked.setdefault((package.name, str(package.version)), set()).add(source.sha256)
    findings = []
    for file in files:
        if file.origin != "built":
            continue
        known = locked.get((file.name, file.version), set())
        if file.build is None:
            code, words = "not-in-lock", "is said to be built, and nothing says of what"
        elif known and file.build.made_of is None and file.build.source_sha256 not in known:
            code = "hash-mismatch"
            words = (
                f"was built from {file.build.source} (sha256 {file.build.source_sha256}), but the lock states {' or '.join(sorted(known))}"
            )
        else:
            continue
        hint = "build it anew from the lock: --lock-file pylock.toml"
        message = f"{file.filename} {words}"
        findings.append(Finding(code=code, message=message, package=file.name, version=file.version, file=file.filename, hint=hint))
    return findings


# --- targets ---------------------------------------------------------------------------------------------------------------------


def _targets(pieces: Sequence[Piece]) -> tuple[Target, ...]:
    """Each target once, as the first that has it describes it; what a target selects may be the first's alone to say."""
    known: dict[str, tuple[Piece, Target]] = {}
    faults = []
    for piece in pieces:
        for target in piece.targets:
            first, other = known.setdefault(target.name, (piece, target))
            if unlike := _unlike(describe(other), describe(target), but="selection"):
                faults.append(f"{target.name} is one thing in {first.place} and another in {piece.place}: {'; '.join(unlike)}")
    if faults:
        raise TargetError(" and ".join(faults), hint="make the part for the same target, or give one of the two another name")
    return tuple(target for _, target in known.values())


def _same_selections(pieces: Sequence[Piece], fills: Sequence[bool]) -> None:
    """Only what merely fills gaps may be made for another choice of extras, groups or indexes."""
    known: dict[str, tuple[Piece, Target]] = {}
    faults = []
    for piece, fill in zip(pieces, fills, strict=True):
        for target in piece.targets:
            first, other = known.setdefault(target.name, (piece, target))
            if not fill and (unlike := _unlike(describe(other), describe(target))):
                faults.append(f"{target.name} selects one thing in {first.place} and another in {piece.place}: {'; '.join(unlike)}")
    if faults:
        raise TargetError(" and ".join(faults), hint="make the part with the same extras, groups and indexes")


def _unlike(one: Mapping[str, Any], other: Mapping[str, Any], *, but: str = "", place: str = "") -> list[str]:
    """Where two descriptions differ, in words."""
    words = []
    for key in sorted({*one, *other} - {but}):
        left, right = one.get(key), other.get(key)
        if isinstance(left, Mapping) and isinstance(right, Mapping):
            words += _unlike(left, right, place=f"{place}{key} ")
        elif left != right:
            words.append(f"{place}{key} {_short(left)} and {_short(right)}")
    return words


def _short(value: object) -> str:
    text = "none" if value is None else ", ".join(map(str, value)) or "none" if isinstance(value, list) else str(value)
    return text if len(text) <= 60 else f"{text[:60]}..."


def _voices(pieces: Sequence[Piece]) -> list[Voice]:
    known: frozenset[str] = frozenset()
    voices = []
    for piece in pieces:
        named = piece.lock.targets or tuple(target.name for target in piece.targets)
        order = dict.fromkeys((*named, *(target.name for target in piece.targets)))
        scope = tuple(name for name in order if name not in known)
        voices.append(Voice(place=piece.place, lock=piece.lock, scope=scope))
        known |= piece.names
    return voices


def _speaking(pieces: Sequence[Piece], voices: Sequence[Voice]) -> list[tuple[Piece, Voice]]:
    """The pieces that have targets of their own."""
    return [(piece, voice) for piece, voice in zip(pieces, voices, strict=True) if voice.scope]


# --- what is asked for -----------------------------------------------------------------------------------------------------------


def _is_fill(piece: Piece, voice: Voice, entries: Sequence[PlanEntry]) -> bool:
    """True for a part that asks for nothing new: no target of its own, and roots that are exact versions which are locked already.

    `hardtack build NAME==VERSION --no-binary NAME` makes such a one, as the hints of gaps say.
    """
    if voice.scope:
        return False
    locked = {(entry.target, entry.package.name, str(entry.package.version)) for entry in entries}
    for root in piece.manifest.roots:
        exact = _exact(root.requirement)
        names = root.targets if root.targets is not None else frozenset(piece.manifest.targets)
        if exact is None or any((name, *exact) not in locked for name in names if name in piece.manifest.targets):
            return False
    return True


def _exact(text: str) -> tuple[str, str] | None:
    """Name and version of a requirement that is nothing but ``name==version``."""
    try:
        requirement = Requirement(text)
    except InvalidRequirement:
        return None
    clauses = list(requirement.specifier)
    plain = requirement.url is None and not requirement.extras and requirement.marker is None
    if not plain or len(clauses) != 1 or clauses[0].operator != "==" or clauses[0].version.endswith(".*"):
        return None
    from packaging.version import Version

    return canonicalize_name(requirement.name), str(Version(clauses[0].version))


def _roots(pieces: Sequence[Piece], voices: Sequence[Voice], fills: Sequence[bool]) -> tuple[LockedRoot, ...]:
    """Every root, each for the targets of those who asked. What is asked for everywhere names no target, as in a lock made at once."""
    everything = frozenset(name for voice in voices for name in voice.scope)
    found: dict[LockedRoot, tuple[frozenset[str], bool]] = {}
    for piece, voice, fill in zip(pieces, voices, fills, strict=True):
        scope, held = frozenset(voice.scope), frozenset(piece.manifest.targets)
        # The same demand, told from another place, is the same demand.
        known = {replace(root, origin=""): root for root in found}
        for root in piece.manifest.roots:
            asked = piece.names if root.targets is None else root.targets
            where = asked & scope if fill else asked & (scope | held)
            if not where:
                continue
            bare = replace(root, targets=None)
            key = known.get(replace(bare, origin=""), bare) if piece is not pieces[0] else bare
            before, everywhere = found.get(key, (frozenset(), True))
            if not where <= before:
                found[key] = before | where, everywhere and root.targets is None
    return tuple(
        replace(root, targets=None if everywhere and names >= everything else names) for root, (names, everywhere) in found.items()
    )


def _project(pieces: Sequence[Piece], voices: Sequence[Voice]) -> str | None:
    """The project that all targets were made for: another's absence must not be excused."""
    names = {piece.manifest.project for piece, _ in _speaking(pieces, voices)}
    return names.pop() if len(names) == 1 else None


def _skews(pieces: Sequence[Piece], voices: Sequence[Voice], pins: Iterable[Pin]) -> tuple[Skew, ...]:
    """What is known of packages with several versions, and those that have several only now that they are together."""
    speaking = _speaking(pieces, voices)
    if len(speaking) == 1:
        return speaking[0][0].manifest.skews
    found: dict[str, list[Skew]] = {}
    for piece, voice in speaking:
        for skew in piece.manifest.skews:
            versions = tuple((version, tuple(name for name in names if name in voice.scope)) for version, names in skew.versions)
            own = replace(skew, versions=tuple(pair for pair in versions if pair[1]))
            if own not in found.setdefault(skew.name, []):
                found[skew.name].append(own)
    versions_of: dict[str, dict[str, list[str]]] = {}
    for pin in pins:
        places = versions_of.setdefault(pin.name, {}).setdefault(pin.version, [])
        if pin.target not in places:
            places.append(pin.target)
    for name, versions in versions_of.items():
        if len(versions) > 1:
            told = tuple((version, tuple(places)) for version, places in versions.items())
            found.setdefault(name, [Skew(name=name, versions=told, reason="these targets were locked apart")])
    return tuple(skews[0] if len(skews) == 1 else _joined(skews) for skews in found.values())


def _joined(skews: Sequence[Skew]) -> Skew:
    versions: dict[str, list[str]] = {}
    for skew in skews:
        for version, names in skew.versions:
            versions.setdefault(version, []).extend(names)
    reasons = dict.fromkeys(skew.reason for skew in skews)
    told = tuple((version, tuple(dict.fromkeys(names))) for version, names in versions.items())
    return Skew(name=skews[0].name, versions=told, reason="; ".join(reasons))


# --- which file serves what ------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Taken:
    held: Held
    place: str
    where: int


@dataclass(slots=True)
class _Choosing:
    """What is taken so far, piece by piece."""

    targets: Sequence[Target]
    entries: Sequence[PlanEntry]
    pieces: Sequence[Piece]
    held: list[Held] = field(default_factory=list)
    brought: list[tuple[str, ManifestFile]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    unlocked: list[tuple[str, Pin]] = field(default_factory=list)
    """What was taken though the lock of the whole has nothing of it for that target, with the part's place."""
    _waiting: list[tuple[Piece, Held, int, bool]] = field(default_factory=list)
    _taken: dict[tuple[str, str], list[_Taken]] = field(default_factory=dict)
    _files: dict[str, list[tuple[str, Held]]] = field(default_factory=dict)
    _clashed: set[tuple[str, str]] = field(default_factory=set)
    _stretches: dict[str, Stretches] = field(default_factory=dict)
    _wanted: dict[tuple[str, str], list[PlanEntry]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        breakpoints: dict[str, set[Any]] = {target.name: set() for target in self.targets}
        for entry in self.entries:
            self._wanted.setdefault((entry.target, entry.package.name), []).append(entry)
            breakpoints[entry.target] |= cuts(_marker(entry.marker))
        for piece in self.pieces:
            for one in piece.held:
                breakpoints[one.pin.target] |= cuts(_marker(one.pin.marker))
        self._stretches = {target.name: Stretches(target, breakpoints[target.name]) for target in self.targets}

    def pins(self) -> Iterator[Pin]:
        return (one.pin for one in self.held)

    def add(self, piece: Piece, *, fill: bool) -> None:
        """Take what the piece holds: all of the first's, of a part's what nobody before it has and the lock of the whole wants."""
        first = piece is self.pieces[0]
        for one in piece.held:
            where = self._where(one.pin.target, one.pin.marker)
            if first:
                self._take(piece, one, one.pin.marker, where)
            else:
                self._offer(piece, one, where, fill=fill)

    def _offer(self, piece: Piece, one: Held, offered: int, *, fill: bool) -> None:
        target, name, version = one.pin.target, one.facts.name, one.facts.version
        wanted = self._wanted.get((target, name), [])
        taken = self._taken.get((target, name), [])
        if not wanted and not taken:
            self._waiting.append((piece, one, offered, fill))
            return
        fitting = [entry for entry in wanted if entry.package.version in (None, version) and self._entry(entry) & offered]
        others = [known for known in taken if known.held.facts.version != version and known.where & offered]
        if not fitting or (others and not fill):
            self._unwanted(piece, one, wanted, others, fill=fill)
            return
        for entry in fitting:
            where, there = self._entry(entry), 0
            for known in taken:
                if known.where & where:
                    there |= known.where & where
                    self._compare(piece, one, known)
            if there == where:
                continue
            if there or where & ~offered:
                self._unwanted(piece, one, wanted, others, fill=fill)
            elif (file := self._file_for(piece, one)) is not None:
                self._take(piece, replace(one, file=file.file, facts=file.facts), entry.marker, where)

    def settle(self, roots: Sequence[LockedRoot]) -> None:
        """Take of what no lock has for a target what someone there asks for by name: where its asker was a gap, nobody could know of it."""
        asked: dict[str, set[str]] = {target.name: set() for target in self.targets}
        for root in roots:
            for name in asked.keys() if root.targets is None else asked.keys() & root.targets:
                asked[name].add(canonicalize_name(Requirement(root.requirement).name))
        for held in self.held:
            asked[held.pin.target].update(canonicalize_name(requirement.name) for requirement in held.facts.requires)
        waiting, again = self._waiting, True
        while again:
            again = False
            for offer in list(waiting):
                piece, one, offered, fill = offer
                target = one.pin.target
                if one.facts.name not in asked[target]:
                    continue
                waiting.remove(offer)
                again = True
                rivals = [known for known in self._taken.get((target, one.facts.name), []) if known.where & offered]
                for known in rivals:
                    if known.held.facts.version != one.facts.version:
                        self._unwanted(piece, one, (), [known], fill=fill)
                    else:
                        self._compare(piece, one, known)
                if not rivals and (file := self._file_for(piece, one)) is not None:
                    self._take(piece, replace(one, file=file.file, facts=file.facts), one.pin.marker, offered)
                    self.unlocked.append((piece.place, self.held[-1].pin))
                    asked[target].update(canonicalize_name(requirement.name) for requirement in file.facts.requires)
        for piece, one, _, fill in waiting:
            self._unwanted(piece, one, (), (), fill=fill)

    def _take(self, piece: Piece, one: Held, marker: str | None, where: int) -> None:
        known = self._files.setdefault(one.pin.filename, [])
        file = next((held for _, held in known if held.file.sha256 == one.file.sha256), None)
        if file is None:
            known.append((piece.place, one))
            if piece is not self.pieces[0]:
                self.brought.append((piece.place, one.file))
        pin = Pin(
            target=one.pin.target,
            name=one.facts.name,
            version=str(one.facts.version),
            filename=one.pin.filename,
            marker=marker,
            requires_url=one.facts.url_requirements,
        )
        # Of two equal files, the first one's origin is told.
        held = Held(pin=pin, file=(file or one).file, facts=one.facts)
        self.held.append(held)
        self._taken.setdefault((pin.target, pin.name), []).append(_Taken(held, piece.place, where))

    def _where(self, target: str, marker: str | None) -> int:
        return self._stretches[target].holds(_marker(marker))

    def _entry(self, entry: PlanEntry) -> int:
        return self._where(entry.target, entry.marker)

    def _file_for(self, piece: Piece, one: Held) -> Held | None:
        """The file to take for a part's: its own where the name is free, the one that is here where it means the same, else None."""
        known = self._files.get(one.pin.filename, [])
        if not known:
            return one
        if same := next((held for _, held in known if held.file.sha256 == one.file.sha256), None):
            return same
        place, held = known[0]
        return held if self._clash(piece, one, place, held) else None

    def _compare(self, piece: Piece, one: Held, known: _Taken) -> None:
        """A part has what is there already: the same, other bytes under the same name, or another wheel of the version."""
        if known.held.file.sha256 == one.file.sha256:
            return
        if known.held.pin.filename == one.pin.filename:
            self._clash(piece, one, known.place, known.held)
            return
        self.findings.append(
            Finding(
                code="left-aside",
                severity=Severity.NOTE,
                message=f"{one.pin.filename} of {piece.place} is left aside: for {one.pin.target} {known.place} has "
                f"{known.held.pin.filename}",
                package=one.facts.name,
                version=str(one.facts.version),
                target=one.pin.target,
                file=one.pin.filename,
            )
        )

    def _clash(self, piece: Piece, one: Held, place: str, known: Held) -> bool:
        """Two files of one name. Of two builds of one source the first is taken, and that is said; anything else is an error."""
        ours, theirs = known.file.build, one.file.build
        same_source = ours is not None and theirs is not None and ours.source_sha256 == theirs.source_sha256
        alike = same_source and known.facts.version == one.facts.version and _asks(known.facts) == _asks(one.facts)
        if (piece.place, one.pin.filename) not in self._clashed:
            self._clashed.add((piece.place, one.pin.filename))
            both = (
                f"{one.pin.filename} is one file in {place} (sha256 {known.file.sha256}) and another in {piece.place} ({one.file.sha256})"
            )
            self.findings.append(
                Finding(
                    code=CONFLICT,
                    severity=Severity.WARNING if alike else Severity.ERROR,
                    message=f"{both}: both were built from one source, and that of {place} is taken" if alike else both,
                    package=one.facts.name,
                    version=str(one.facts.version),
                    file=one.pin.filename,
                    hint="builds that are to be the same need the same tools: build from one lock, with --locked"
                    if alike
                    else f"find out which of the two is genuine; if both are, build once, with --find-links {place}",
                )
            )
        return alike

    def _unwanted(self, piece: Piece, one: Held, wanted: Sequence[PlanEntry], others: Sequence[_Taken], *, fill: bool) -> None:
        """What the lock of the whole does not want: of a part that only fills gaps it stays away, of another it is a contradiction."""
        target, name, version = one.pin.target, one.facts.name, str(one.facts.version)
        mine = f"{piece.place} has {name} {version}{_on(one.pin.marker)} for {target}"
        if others:
            theirs = "; ".join(
                f"{known.place} has {known.held.facts.version}{_on(known.held.pin.marker)} ({known.held.pin.filename})" for known in others
            )
        elif wanted:
            theirs = f"the lock of {self._lock_of(target)} has " + " and ".join(
                f"{entry.package.version or 'a source'}{_on(entry.marker)}" for entry in wanted
            )
        else:
            theirs = f"the lock of {self._lock_of(target)} has none"
        self.findings.append(
            Finding(
                code="left-aside" if fill else CONFLICT,
                severity=Severity.NOTE if fill else Severity.ERROR,
                message=f"{mine} ({one.pin.filename}), and {theirs}" + (": it is left aside" if fill else ""),
                package=name,
                version=version,
                target=target,
                file=one.pin.filename,
                hint=None if fill else f"make the part from the same lock: --lock-file {self._lock_of(target)}/pylock.toml",
            )
        )

    def _lock_of(self, target: str) -> str:
        return next(piece.place for piece in self.pieces if target in piece.names)


def _marker(text: str | None) -> Marker | None:
    return Marker(text) if text else None


def _on(marker: str | None) -> str:
    return f" where {marker}" if marker else ""


def _asks(facts: WheelFacts) -> tuple[object, ...]:
    """What an installer would read of two builds of one source."""
    requires = sorted(str(requirement) for requirement in facts.requires)
    return facts.tags, str(facts.requires_python or ""), requires, facts.extras


def _sources(pieces: Sequence[Piece]) -> tuple[tuple[ManifestSource, ...], list[Finding]]:
    """The source archives beside the wheels, each once."""
    found: dict[str, tuple[str, ManifestSource]] = {}
    findings = []
    for piece in pieces:
        for source in piece.sources:
            place, known = found.setdefault(source.path, (piece.place, source))
            if known.sha256 != source.sha256:
                findings.append(
                    Finding(
                        code=CONFLICT,
                        message=f"{source.path} is one file in {place} (sha256 {known.sha256}) and another in {piece.place} "
                        f"({source.sha256})",
                        package=source.name,
                        version=source.version,
                        file=source.path,
                        hint="find out which of the two is genuine",
                    )
                )
    return tuple(source for _, source in found.values()), findings


def without(whole: Whole, files: Collection[str]) -> Whole:
    """The whole without the files of these names: what is not sound is not kept, whatever else is."""
    return replace(
        whole,
        held=tuple(one for one in whole.held if one.pin.filename not in files),
        brought=tuple((place, file) for place, file in whole.brought if file.filename not in files),
    )


def manifest_of(whole: Whole, layout: Any, findings: Sequence[Finding]) -> Manifest:
    """The manifest of the whole: what every wheel says of itself, whatever the pieces' manifests say of it."""
    users: dict[tuple[str, str], tuple[Held, set[str]]] = {}
    for one in whole.held:
        users.setdefault((one.pin.filename, one.file.sha256), (one, set()))[1].add(one.pin.target)
    order = tuple(dict.fromkeys((*whole.lock.targets, *(target.name for target in whole.targets))))
    files = [
        replace(
            one.file,
            path=one.pin.filename,
            name=one.facts.name,
            version=str(one.facts.version),
            # In the order in which they were written, so that nothing changes where nothing is new.
            targets=one.file.targets if set(one.file.targets) == targets else tuple(name for name in order if name in targets),
            origin=without_credentials(one.file.origin),
            index=without_credentials(one.file.index) if one.file.index else None,
        )
        for one, targets in users.values()
    ]
    return Manifest(
        project=whole.project,
        layout=layout,
        targets={target.name: describe(target) for target in whole.targets},
        files=tuple(sorted(files, key=lambda file: file.filename)),
        pins=tuple(one.pin for one in whole.held),
        roots=whole.lock.roots,
        waivers=whole.lock.waivers,
        skews=whole.lock.skews,
        gaps=tuple(finding.as_json() for finding in findings if finding.severity is Severity.ERROR),
        sources=whole.sources,
    )

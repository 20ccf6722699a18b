"""Which file serves what, of several wheelhouses: the first one's where it has one, else a part's that the lock of the whole wants."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from hardtack.model.finding import Finding, Severity
from hardtack.model.fit import Fit
from hardtack.model.lock import Lock, LockedRoot
from hardtack.model.manifest import Manifest, ManifestFile, ManifestSource, Pin
from hardtack.model.marker import cuts
from hardtack.model.plan import PlanEntry
from hardtack.model.stretches import Stretches
from hardtack.model.target import Target
from hardtack.model.wheel import WheelFacts
from hardtack.workflow.merging_locks import CONFLICT


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A pin whose file lies there and is sound."""

    pin: Pin
    file: ManifestFile
    facts: WheelFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A wheelhouse, read and judged. ``place`` is as the user named it; ``held`` and ``sources`` are what is sound in it.

    ``foreign`` are its sound wheels that someone copied in, pinned or not.
    """

    place: str
    manifest: Manifest
    lock: Lock
    targets: tuple[Target, ...]
    held: tuple[Held, ...]
    foreign: tuple[tuple[ManifestFile, WheelFacts], ...] = ()
    sources: tuple[ManifestSource, ...] = ()

    @property
    def names(self) -> frozenset[str]:
        """The targets that it has, and those that its lock was made for."""
        return frozenset(self.lock.targets) | frozenset(self.manifest.targets)


@dataclass(slots=True)
class _Taken:
    held: Held
    place: str
    where: int


@dataclass(slots=True)
class Choosing:
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
        self._fill_from_other_targets()

    def _fill_from_other_targets(self) -> None:
        """A wheel that a part built for another target serves wherever it fits, as it would have if it had been built here.

        The part's target may be the very same under another name: one that is described in a file has none that is known elsewhere.
        """
        fits = {target.name: Fit(target) for target in self.targets}
        for entry in self.entries:
            where = self._entry(entry)
            if any(known.where & where for known in self._taken.get((entry.target, entry.package.name), ())):
                continue
            serving = [
                (order, piece, one)
                for piece in self.pieces[1:]
                for one in piece.held
                if (one.facts.name, one.facts.version) == (entry.package.name, entry.package.version)
                and one.file.origin == "built"
                and (order := fits[entry.target].order(one.facts.tags, one.facts.build)) is not None
            ]
            for _, piece, one in sorted(serving, key=lambda offer: offer[0], reverse=True)[:1]:
                if (file := self._file_for(piece, one)) is not None:
                    pin = replace(one.pin, target=entry.target)
                    self._take(piece, Held(pin=pin, file=file.file, facts=file.facts), entry.marker, where)

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

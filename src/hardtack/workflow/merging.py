"""Several wheelhouses as one, without I/O: whose lock counts where, what is asked for, which file serves what, and what contradicts what.

The first wheelhouse speaks for its targets, each part for the targets that nobody before it had. docs/merging.md tells it for users.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from hardtack.errors import TargetError
from hardtack.model.finding import Finding, Severity
from hardtack.model.lock import Lock, LockedFile, LockedPackage, LockedRoot, Skew, Waiver
from hardtack.model.manifest import Manifest, ManifestFile, ManifestSource, Pin
from hardtack.model.plan import PlanEntry
from hardtack.model.target import Target
from hardtack.model.wheel import WheelFacts
from hardtack.planning.plan import plan
from hardtack.targets.catalog import describe
from hardtack.verifying.integrity import check_downgrades
from hardtack.wheelhouse.pylock_packages import without_credentials
from hardtack.workflow.merging_files import Choosing, Held, Piece
from hardtack.workflow.merging_locks import CONFLICT, Voice, merged_lock, with_files, with_packages


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """What the pieces come to. ``kept`` are wheels that someone copied into the first, pinned or not.

    ``brought`` are the files that parts added to what the first has, with the part's place. ``own_waivers`` are, by target, the departures
    that were declared where the target comes from: one target's must not excuse another's.
    """

    targets: tuple[Target, ...]
    lock: Lock
    held: tuple[Held, ...]
    kept: tuple[tuple[ManifestFile, WheelFacts], ...]
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
    choosing = Choosing(targets, entries, pieces)
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
        kept=pieces[0].foreign,
        project=_project(pieces, voices),
        own_waivers={name: piece.manifest.waivers for piece, voice in _speaking(pieces, voices) for name in voice.scope},
        sources=sources,
        brought=tuple(choosing.brought),
        findings=(*findings, *choosing.findings, *clashes, *_foreign_of_parts(pieces, choosing.held)),
    )


def check_builds(files: Iterable[ManifestFile], lock: Lock) -> list[Finding]:
    """What is said to be built must say of what, and that must be what is locked: no digest of the lock vouches for the wheel itself."""
    locked: dict[tuple[str, str], set[str]] = {}
    versions: dict[str, set[str]] = {}
    for package in lock.packages:
        versions.setdefault(package.name, set()).add(str(package.version or ""))
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
        elif not {file.version, ""} & versions.get(file.name, {""}):
            code, words = "not-in-lock", f"was built, and is of no version that the lock has ({', '.join(sorted(versions[file.name]))})"
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
    for name, places_of in versions_of.items():
        if len(places_of) > 1:
            told = tuple((version, tuple(places)) for version, places in places_of.items())
            known = {version for skew in found.get(name, ()) for version, _ in skew.versions}
            if not known.issuperset(places_of):
                found.setdefault(name, []).append(Skew(name=name, versions=told, reason="these targets were locked apart"))
    return tuple(skews[0] if len(skews) == 1 else _joined(skews) for skews in found.values())


def _joined(skews: Sequence[Skew]) -> Skew:
    versions: dict[str, list[str]] = {}
    for skew in skews:
        for version, names in skew.versions:
            versions.setdefault(version, []).extend(names)
    reasons = dict.fromkeys(skew.reason for skew in skews)
    told = tuple((version, tuple(dict.fromkeys(names))) for version, names in versions.items())
    return Skew(name=skews[0].name, versions=told, reason="; ".join(reasons))


# --- what lies there -------------------------------------------------------------------------------------------------------------


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


def _foreign_of_parts(pieces: Sequence[Piece], held: Sequence[Held]) -> list[Finding]:
    """What was copied into a part and fills nothing stays there."""
    known = {one.file.sha256 for one in held} | {file.sha256 for file, _ in pieces[0].foreign}
    return [
        Finding(
            code="left-aside",
            severity=Severity.NOTE,
            message=f"{file.filename}, which was copied into {piece.place} by hand, is left aside: nothing here asks for it",
            package=facts.name,
            version=str(facts.version),
            file=file.filename,
        )
        for piece in pieces[1:]
        for file, facts in piece.foreign
        if file.sha256 not in known
    ]


def without(whole: Whole, files: Collection[str]) -> Whole:
    """The whole without the files of these names: what is not sound is not kept, whatever else is."""
    return replace(
        whole,
        held=tuple(one for one in whole.held if one.pin.filename not in files),
        kept=tuple((file, facts) for file, facts in whole.kept if file.filename not in files),
        brought=tuple((place, file) for place, file in whole.brought if file.filename not in files),
    )


def check_rivals(manifest: Manifest, targets: Sequence[Target]) -> tuple[Finding, ...]:
    """Where all wheels lie together, an installer takes the best of a version that fits, whoever it was meant for."""
    if manifest.layout != "flat":
        return ()
    versions: dict[tuple[str, str], list[LockedFile]] = {}
    for file in manifest.files:
        versions.setdefault((file.name, file.version), []).append(LockedFile(filename=file.filename, url="", sha256=file.sha256))
    packages = (LockedPackage(name=name, version=Version(version), wheels=tuple(wheels)) for (name, version), wheels in versions.items())
    return check_downgrades(manifest.pins, Lock(packages=tuple(packages)), targets)


def manifest_of(whole: Whole, layout: Any, findings: Sequence[Finding]) -> Manifest:
    """The manifest of the whole: what every wheel says of itself, whatever the pieces' manifests say of it."""
    users: dict[tuple[str, str], tuple[ManifestFile, WheelFacts, set[str]]] = {
        (file.filename, file.sha256): (file, facts, set(file.targets)) for file, facts in whole.kept
    }
    for one in whole.held:
        users.setdefault((one.pin.filename, one.file.sha256), (one.file, one.facts, set()))[2].add(one.pin.target)
    order = tuple(dict.fromkeys((*whole.lock.targets, *(target.name for target in whole.targets))))
    files = [
        replace(
            file,
            path=file.filename,
            name=facts.name,
            version=str(facts.version),
            # In the order in which they were written, so that nothing changes where nothing is new.
            targets=file.targets if set(file.targets) == targets else tuple(name for name in order if name in targets),
            origin=without_credentials(file.origin),
            index=without_credentials(file.index) if file.index else None,
        )
        for file, facts, targets in users.values()
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

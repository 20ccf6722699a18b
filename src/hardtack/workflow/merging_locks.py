"""Several locks as one: each speaks for targets of its own, and what they share stands once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from packaging.version import Version

from hardtack.model.finding import Finding
from hardtack.model.lock import Lock, LockedBuild, LockedFile, LockedPackage, Source
from hardtack.model.manifest import ManifestFile, Pin

CONFLICT = "merge-conflict"

_Key = tuple[object, ...]
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """A lock with the targets for which it is the one to obey, in order; none for a part whose targets an earlier one has."""

    place: str
    lock: Lock
    scope: tuple[str, ...]


def merged_lock(voices: Sequence[Voice]) -> tuple[Lock, list[Finding]]:
    """One lock that says for each target what its own voice says. Where only the first has targets, its packages stay as they are.

    Its roots, waivers and skews are the first's: whoever calls knows more of them. What builds ask for is everybody's.
    """
    first = voices[0]
    speaking = [voice for voice in voices if voice.scope]
    findings: list[Finding] = []
    lock = replace(first.lock, builds=_builds(voice.lock.builds for voice in voices))
    if len(speaking) > 1:
        locks = [voice.lock for voice in speaking]
        named = any(one.targets for one in locks)
        environments = tuple(dict.fromkeys(marker for one in locks for marker in one.environments))
        lock = replace(
            lock,
            packages=_packages(speaking, findings),
            targets=tuple(name for voice in speaking for name in voice.scope) if named else (),
            environments=environments if all(one.environments for one in locks) else (),
            requires_python=_shared([one.requires_python for one in locks]),
            extras=frozenset().union(*(one.extras for one in locks)),
            groups=frozenset().union(*(one.groups for one in locks)),
            default_groups=frozenset().union(*(one.default_groups for one in locks)),
            # What was made from different inputs answers none of them as a whole.
            inputs_digest=_shared([one.inputs_digest for one in locks]),
            exclude_newer=_shared([one.exclude_newer for one in locks]),
        )
    return lock, findings


def with_files(lock: Lock, voices: Sequence[Voice], brought: Sequence[tuple[str, ManifestFile]]) -> Lock:
    """The lock with what a part's own lock says of the files that were brought: its index may have had more of a version."""
    more: dict[tuple[str, Version], list[LockedFile]] = {}
    locks = {voice.place: voice.lock for voice in voices}
    for place, file in brought:
        for package in locks[place].packages:
            if package.name == file.name and package.version is not None and package.source is None:
                stated = (wheel for wheel in package.wheels if wheel.filename == file.filename and wheel.sha256 == file.sha256)
                more.setdefault((package.name, package.version), []).extend(stated)

    def extended(package: LockedPackage) -> LockedPackage:
        known = {wheel.filename for wheel in package.wheels}
        added = (
            {}
            if package.source is not None or package.version is None
            else {wheel.filename: wheel for wheel in more.get((package.name, package.version), ()) if wheel.filename not in known}
        )
        return replace(package, wheels=(*package.wheels, *added.values())) if added else package

    return replace(lock, packages=tuple(extended(package) for package in lock.packages))


def with_packages(lock: Lock, voices: Sequence[Voice], taken: Sequence[tuple[str, Pin]]) -> Lock:
    """The lock with packages taken of a part, as its lock has them, for targets where this one has nothing of the name."""
    locks = {voice.place: voice.lock for voice in voices}
    more: dict[tuple[str, int], tuple[LockedPackage, set[str]]] = {}
    for place, pin in taken:
        for at, package in enumerate(locks[place].packages):
            own = package.targets is None or pin.target in package.targets
            if package.name == pin.name and own and (package.version is None or str(package.version) == pin.version):
                more.setdefault((place, at), (package, set()))[1].add(pin.target)
    added = (replace(package, targets=frozenset(names)) for package, names in more.values())
    return replace(lock, packages=(*lock.packages, *added))


def _shared(values: Sequence[T | None]) -> T | None:
    return values[0] if all(value == values[0] for value in values) else None


def _packages(voices: Sequence[Voice], findings: list[Finding]) -> tuple[LockedPackage, ...]:
    everything = frozenset(name for voice in voices for name in voice.scope)
    found: dict[_Key, tuple[LockedPackage, frozenset[str], bool, str]] = {}
    for voice in voices:
        scope = frozenset(voice.scope)
        for package in voice.lock.packages:
            names = scope if package.targets is None else package.targets & scope
            if not names:
                continue
            key = _key(package)
            if key not in found:
                found[key] = package, names, package.targets is None, voice.place
                continue
            known, others, everywhere, place = found[key]
            joined = _joined(known, package, place, voice.place, findings)
            found[key] = joined, others | names, everywhere and package.targets is None, place
    return tuple(
        replace(package, targets=None if everywhere and names >= everything else names) for package, names, everywhere, _ in found.values()
    )


def _key(package: LockedPackage) -> _Key:
    """What makes two entries the same one. A folder's place is another on every machine."""
    source = package.source
    where: Source | None = replace(source, location="") if source is not None and source.kind == "directory" else source
    return package.name, package.version, str(package.marker or ""), str(package.requires_python or ""), where


def _joined(known: LockedPackage, other: LockedPackage, place: str, other_place: str, findings: list[Finding]) -> LockedPackage:
    """One entry with the files of both: an index may have had more of them for one than for the other."""
    files = {file.filename: file for file in known.wheels}
    for file in other.wheels:
        files[file.filename] = _same(known, files.get(file.filename, file), file, place, other_place, findings)
    sdist = known.sdist or other.sdist
    if known.sdist is not None and other.sdist is not None and known.sdist.filename == other.sdist.filename:
        sdist = _same(known, known.sdist, other.sdist, place, other_place, findings)
    return replace(
        known,
        wheels=tuple(files.values()),
        sdist=sdist,
        dependencies=tuple(dict.fromkeys((*known.dependencies, *other.dependencies))),
        note=known.note or other.note,
    )


def _same(
    package: LockedPackage, known: LockedFile, other: LockedFile, place: str, other_place: str, findings: list[Finding]
) -> LockedFile:
    """The file that two locks name, with what either of them knows."""
    if known.sha256 is None:
        return other
    if other.sha256 is not None and other.sha256 != known.sha256:
        findings.append(
            Finding(
                code=CONFLICT,
                message=f"{known.filename} has sha256 {known.sha256} in the lock of {place}, and {other.sha256} in that of {other_place}",
                package=package.name,
                version=str(package.version) if package.version is not None else None,
                file=known.filename,
                hint="the file was replaced on an index, or the two are from different ones: find out which is genuine, and lock again",
            )
        )
    return known


def _builds(several: Iterable[Sequence[LockedBuild]]) -> tuple[LockedBuild, ...]:
    """What builds ask for, each once: for one source in one kind of interpreter the first says it."""
    found: list[LockedBuild] = []
    for builds in several:
        settled = {(build.environment, source) for build in found for source in build.sources}
        for build in builds:
            sources = tuple(source for source in build.sources if (build.environment, source) not in settled)
            if build.sources and not sources:
                continue
            same = next((at for at, one in enumerate(found) if _asked(one) == _asked(build)), None)
            if same is None:
                found.append(replace(build, sources=sources))
            elif more := tuple(source for source in sources if source not in found[same].sources):
                found[same] = replace(found[same], sources=(*found[same].sources, *more))
    return tuple(found)


def _asked(build: LockedBuild) -> tuple[object, ...]:
    files = frozenset((file.filename, file.sha256) for package in build.packages for file in (*package.wheels, package.sdist) if file)
    return build.environment, build.requires, files

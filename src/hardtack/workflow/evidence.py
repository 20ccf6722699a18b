"""What is known of packages and of who asks for them: read from a wheelhouse, or from a draft with as little metadata as does it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from hardtack.errors import HardtackError, InputError, UsageError
from hardtack.model.finding import Finding
from hardtack.model.lock import Edge, Lock, LockedFile, LockedPackage, LockedRoot
from hardtack.model.manifest import BuildRecord, Manifest, ManifestFile, Pin
from hardtack.model.plan import PlanEntry, Take
from hardtack.model.target import Target
from hardtack.model.wheel import WheelFacts
from hardtack.planning.plan import plan
from hardtack.targets.catalog import from_description
from hardtack.verifying.closure import walk_of
from hardtack.verifying.walk import Walk
from hardtack.wheelhouse.layout import read_wheelhouse, wheel_metadata
from hardtack.wheelhouse.metadata import MetadataFacts, parse_metadata
from hardtack.wheelhouse.pylock import read_pylock
from hardtack.workflow.drafting import Draft
from hardtack.workflow.receipt import finding_of
from hardtack.workflow.supplies import Supplies

# The metadata of so many packages that lead to the one in question is read, the nearest first.
_MOST_READ = 48
_UNTOLD = Version("0")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenFile:
    """The file that serves a target. ``origin`` as in the manifest ("built", "file", "foreign", a URL); ``build`` how it was built."""

    filename: str
    version: str
    origin: str
    index: str | None = None
    sha256: str | None = None
    size: int | None = None
    hash_source: str | None = None
    yanked: str | None = None
    build: BuildRecord | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What there is to answer with. ``walks`` are by target, with the roots that they began with.

    ``files`` are what a wheelhouse pins, by (target, name), each with the marker of its patches; ``missing`` those of them that do not lie
    there, by (target, file name); ``gaps`` what it was stowed without. ``entries`` is the plan of its lock. Which versions ``unread``
    packages ask for is not known.
    """

    source: str
    targets: tuple[Target, ...]
    names: frozenset[str]
    entries: tuple[PlanEntry, ...]
    walks: Mapping[str, tuple[Walk, tuple[tuple[LockedRoot, Requirement], ...]]]
    roots: tuple[LockedRoot, ...] = ()
    files: Mapping[tuple[str, str], tuple[tuple[ChosenFile, str], ...]] = field(default_factory=dict)
    missing: frozenset[tuple[str, str]] = frozenset()
    gaps: Mapping[tuple[str, str], Finding] = field(default_factory=dict)
    display: Mapping[str, str] = field(default_factory=dict)
    unread: frozenset[str] = frozenset()

    def lacks(self, name: str) -> bool:
        """True if some target wants the package and has no file of it here."""
        wanted = {entry.target for entry in self.entries if entry.package.name == name}
        return any(not self.files.get((target, name)) for target in wanted) or any(
            (target, file.filename) in self.missing for (target, own), found in self.files.items() if own == name for file, _ in found
        )


# --- a wheelhouse ------------------------------------------------------------------------------------------------------------------


def of_wheelhouse(folder: Path, wanted: frozenset[str]) -> Evidence:
    """What a wheelhouse that hardtack made tells, for its targets or for those ``wanted``. Raises InputError where there is no manifest."""
    manifest, _ = read_wheelhouse(folder)
    if manifest is None:
        raise InputError(
            "there is no wheelhouse.json in it",
            where=str(folder),
            hint="`hardtack build -o DIR` makes a wheelhouse; without one, name requirements, files or a lock",
        )
    if unknown := sorted(wanted - set(manifest.targets)):
        raise UsageError(
            f"the wheelhouse was not made for {', '.join(unknown)}", where=str(folder), hint=f"its targets: {', '.join(manifest.targets)}"
        )
    names = [name for name in manifest.targets if not wanted or name in wanted]
    targets = tuple(from_description(manifest.targets[name], where=f"{folder}: {name}") for name in names)
    facts, missing = _facts(folder, manifest)
    available: dict[str, list[WheelFacts]] = {}
    for one in facts.values():
        available.setdefault(one.name, []).append(one)
    walks = {
        target.name: walk_of(
            target=target,
            roots=manifest.roots,
            available=available,
            pins=manifest.pins,
            waivers=manifest.waivers,
            project=manifest.project,
        )
        for target in targets
    }
    lock = _lock_beside(folder)
    yanked = {file.filename: file.yanked for package in (lock.packages if lock else ()) for file in package.wheels}
    by_name = {file.filename: file for file in manifest.files}
    files: dict[tuple[str, str], list[tuple[ChosenFile, str]]] = {}
    for pin in manifest.pins:
        files.setdefault((pin.target, canonicalize_name(pin.name)), []).append(
            (_chosen(pin, by_name.get(pin.filename), yanked.get(pin.filename)), pin.marker or "")
        )
    return Evidence(
        source=str(folder),
        targets=targets,
        names=frozenset(canonicalize_name(pin.name) for pin in manifest.pins) | _gap_names(manifest),
        entries=_entries(lock, targets),
        walks=walks,
        roots=manifest.roots,
        files={key: tuple(found) for key, found in files.items()},
        missing=missing,
        gaps=_gaps(manifest),
        display={one.name: one.display_name for one in facts.values()},
    )


def _facts(folder: Path, manifest: Manifest) -> tuple[dict[str, WheelFacts], frozenset[tuple[str, str]]]:
    """What the wheels that are pinned say of themselves, by file name; and those that do not lie there for a target, or cannot be read."""
    files = {file.filename: file for file in manifest.files}
    found: dict[str, WheelFacts] = {}
    missing = set()
    for pin in manifest.pins:
        file = files.get(pin.filename)
        path = None if file is None else folder / (file.filename if manifest.layout == "flat" else f"{pin.target}/{file.filename}")
        if file is None or path is None or not path.is_file():
            missing.add((pin.target, pin.filename))
        elif pin.filename not in found:
            facts = _metadata(path)
            if facts is None:
                missing.add((pin.target, pin.filename))
            else:
                found[pin.filename] = _as_wheel(facts, file.filename, file.sha256)
    return found, frozenset(missing)


def _metadata(path: Path) -> MetadataFacts | None:
    try:
        facts = parse_metadata(wheel_metadata(path, path.name), filename=path.name)
    except (HardtackError, OSError):
        return None
    return facts if isinstance(facts, MetadataFacts) else None


def _as_wheel(facts: MetadataFacts, filename: str, sha256: str) -> WheelFacts:
    return _stand_in(filename, facts.name, facts.version, facts.requires, display=facts.display_name, sha256=sha256)


def _stand_in(filename: str, name: str, version: Version, requires: Sequence[Requirement], *, display: str, sha256: str = "") -> WheelFacts:
    """As much of a wheel's facts as a walk looks at."""
    return WheelFacts(
        filename=filename,
        sha256=sha256,
        size=0,
        name=name,
        version=version,
        build=(),
        tags=frozenset(),
        requires_python=None,
        requires=tuple(requires),
        extras=frozenset(),
        display_name=display,
    )


def _chosen(pin: Pin, file: ManifestFile | None, yanked: str | None) -> ChosenFile:
    if file is None:
        return ChosenFile(filename=pin.filename, version=pin.version, origin="")
    return ChosenFile(
        filename=file.filename,
        version=file.version,
        origin=file.origin,
        index=file.index,
        sha256=file.sha256,
        size=file.size,
        hash_source=file.hash_source,
        yanked=yanked,
        build=file.build,
    )


def _lock_beside(folder: Path) -> Lock | None:
    """The lock that the wheelhouse was made from; None where none lies there that can be read."""
    path = folder / "pylock.toml"
    try:
        return read_pylock(path.read_text(encoding="utf-8"), where=str(path), base=folder)
    except (OSError, UnicodeDecodeError, HardtackError):
        return None


def _entries(lock: Lock | None, targets: Sequence[Target]) -> tuple[PlanEntry, ...]:
    if lock is None:
        return ()
    try:
        return plan(lock, targets).entries
    except HardtackError:
        return ()  # a lock that is not for these targets


def _gaps(manifest: Manifest) -> dict[tuple[str, str], Finding]:
    rows = [finding_of(row) for row in manifest.gaps]
    return {(row.target, canonicalize_name(row.package)): row for row in rows if row.target and row.package}


def _gap_names(manifest: Manifest) -> frozenset[str]:
    return frozenset(name for _, name in _gaps(manifest))


# --- a draft -----------------------------------------------------------------------------------------------------------------------


def of_draft(draft: Draft, name: str) -> Evidence:
    """What a lock and its plan tell of ``name``: who leads to it is told by metadata, all others by the lock's own edges."""
    told = _told(draft, name)
    facts: dict[int, WheelFacts] = {}
    unread = set()
    for at, package in enumerate(draft.lock.packages):
        requires = told.get(id(package))
        if requires is None:
            requires = tuple(found for edge in package.dependencies if (found := _requirement(edge)) is not None)
            unread.add(package.name)
        version = package.version or _UNTOLD
        facts[id(package)] = _stand_in(f"{package.name} {at}", package.name, version, requires, display=package.name)
    available: dict[str, list[WheelFacts]] = {}
    for one in facts.values():
        available.setdefault(one.name, []).append(one)
    pins = [
        Pin(
            target=entry.target,
            name=entry.package.name,
            version=str(entry.package.version or _UNTOLD),
            filename=facts[id(entry.package)].filename,
            marker=entry.marker,
        )
        for entry in draft.plan.entries
    ]
    walks = {
        target.name: walk_of(
            target=target,
            roots=draft.lock.roots,
            available=available,
            pins=pins,
            waivers=draft.lock.waivers,
            project=draft.job.requirements.project_name,
        )
        for target in draft.job.targets
    }
    return Evidence(
        source=str(draft.job.lock_file.path) if draft.job.lock_file is not None else "the requirements",
        targets=draft.job.targets,
        names=frozenset(package.name for package in draft.lock.packages),
        entries=draft.plan.entries,
        walks=walks,
        roots=draft.lock.roots,
        unread=frozenset(unread),
    )


def _requirement(edge: Edge) -> Requirement | None:
    """An edge as a wheel's metadata would say it; which versions it takes, no lock says."""
    extras = f"[{','.join(edge.extras)}]" if edge.extras else ""
    marker = f"({edge.marker})" if edge.marker else ""
    if edge.extra:
        marker += f"{' and ' if marker else ''}extra == '{edge.extra}'"
    try:
        return Requirement(f"{edge.name}{extras}{f' ; {marker}' if marker else ''}")
    except InvalidRequirement:
        return None


def _told(draft: Draft, name: str) -> dict[int, tuple[Requirement, ...]]:
    """What the packages that lead to ``name`` require by their own metadata, the nearest first, as far as it can be had."""
    chosen = {id(entry.package): entry.decision.file for entry in draft.plan.entries if isinstance(entry.decision, Take)}
    found: dict[int, tuple[Requirement, ...]] = {}
    # Where nothing of a package may be taken, a lock has no edge to it: then anybody may be the one who asks.
    led = list(_leading(draft.lock.packages, name)) or list(draft.lock.packages)
    leading = [package for package in led if id(package) in chosen][:_MOST_READ]
    supplies = draft.supplies
    unseen = [package.name for package in leading if not _stored(chosen[id(package)], supplies)]
    supplies.client.prefetch(unseen)
    for package in leading:
        requires = _requires_of(package, chosen[id(package)], supplies)
        if requires is not None:
            found[id(package)] = requires
    return found


def _stored(file: LockedFile, supplies: Supplies) -> bool:
    return file.sha256 is not None and supplies.store.has(file.sha256)


def _requires_of(package: LockedPackage, file: LockedFile, supplies: Supplies) -> tuple[Requirement, ...] | None:
    """By the wheel in the store, else by the index's word (PEP 658); None where neither is to be had."""
    try:
        if file.sha256 is not None and supplies.store.has(file.sha256):
            data = wheel_metadata(supplies.store.path(file.sha256), file.filename)
        else:
            listed = supplies.client.find(file.filename, file.sha256, package.name)
            offered = supplies.client.metadata(listed) if listed is not None else None
            if offered is None:
                return None
            data = offered
        facts = parse_metadata(data, filename=file.filename)
    except (HardtackError, OSError):
        return None
    return facts.requires if isinstance(facts, MetadataFacts) else None


def _leading(packages: Sequence[LockedPackage], name: str) -> Iterable[LockedPackage]:
    """Those from which edges lead to ``name``, the nearest first."""
    askers: dict[str, list[LockedPackage]] = {}
    for package in packages:
        for edge in package.dependencies:
            askers.setdefault(edge.name, []).append(package)
    seen, pending = {name}, [name]
    while pending:
        following = []
        for asked in pending:
            for package in askers.get(asked, ()):
                yield package
                if package.name not in seen:
                    seen.add(package.name)
                    following.append(package.name)
        pending = following

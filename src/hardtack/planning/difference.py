"""Two inventories compared: which packages, versions, files, digests, licences and sizes differ, and what each target takes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from packaging.version import InvalidVersion, Version

Kind = Literal["wheelhouse", "pylock.toml", "uv.lock"]
_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedFile:
    """A file that a lock names or a wheelhouse has. ``digests`` are "algorithm:digest", empty where none is stated; ``size`` in bytes."""

    filename: str
    digests: frozenset[str] = frozenset()
    size: int | None = None
    licence: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedPackage:
    """One version of a package; ``version`` is None where only a build tells it. ``name`` is normalised.

    ``source`` says in one line where it comes from if that is no index ("git+https://...@commit", "directory ../lib").
    """

    name: str
    version: str | None
    files: tuple[ListedFile, ...] = ()
    source: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What a target gets of a package: a wheel (``filename``), or one that is to be built (None) or missing (``gap``)."""

    name: str
    version: str | None
    filename: str | None = None
    digest: str | None = None
    gap: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """What one side has. ``targets`` maps a target's name to what it gets; empty where there is no telling.

    A wheelhouse holds files; a lock lists all that it would allow. ``unread`` are (file, what is the matter).
    """

    label: str
    kind: Kind
    packages: tuple[ListedPackage, ...]
    targets: Mapping[str, tuple[Taken, ...]] = field(default_factory=dict, hash=False)
    unread: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Replaced:
    """A file of one name with different digests of one algorithm: other bytes under the same name."""

    filename: str
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageChange:
    """What differs of one package. ``versions``, ``sizes`` and ``licences`` are (before, after), empty or None where a side has none.

    ``change``: "added" and "removed" are of the whole package. ``sizes`` are of all its files, None where one is not known. ``moved``: it
    comes from elsewhere now (another commit, a folder in place of an index).
    """

    name: str
    change: Literal["added", "removed", "changed"]
    versions: tuple[tuple[str, ...], tuple[str, ...]]
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    replaced: tuple[Replaced, ...] = ()
    licences: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    sizes: tuple[int | None, int | None] = (None, None)
    sources: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    moved: bool = False

    @property
    def same_versions(self) -> bool:
        """True if both sides have the very same versions."""
        return self.versions[0] == self.versions[1]

    @property
    def other_licence(self) -> bool:
        """True if both state a licence, and not the same."""
        return _both_differ(*self.licences)


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetChange:
    """What differs of one package on one target; a side without it is empty. Several entries: several patches of the target."""

    name: str
    before: tuple[Taken, ...]
    after: tuple[Taken, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Everything that differs, by name. ``targets`` holds every target that both sides have, with its changes (maybe none).

    ``same`` packages are in both without any difference.
    """

    packages: tuple[PackageChange, ...]
    same: int
    targets: Mapping[str, tuple[TargetChange, ...]] = field(hash=False)
    targets_added: tuple[str, ...] = ()
    targets_removed: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        """True if the two are the same in all that both say."""
        return not (self.packages or self.targets_added or self.targets_removed or any(self.targets.values()))


def compare(before: Inventory, after: Inventory) -> Difference:
    """What changed from one to the other.

    What one side does not know (a size that a lock does not state, licences, digests of another algorithm) is no difference. Between a lock
    and a wheelhouse, files that only one of them names are none either: a lock lists the wheels of every platform, a wheelhouse
    holds those of its targets and what was built. Targets are compared where both sides have some.
    """
    whole = (before.kind == "wheelhouse") == (after.kind == "wheelhouse")
    old, new = _by_name(before.packages), _by_name(after.packages)
    changes = []
    for name in sorted({*old, *new}):
        change = _package(name, old.get(name, ()), new.get(name, ()), whole=whole)
        if change is not None:
            changes.append(change)
    if before.targets and after.targets:
        common = [name for name in before.targets if name in after.targets]
        targets = {name: _target(before.targets[name], after.targets[name]) for name in common}
        added = tuple(name for name in after.targets if name not in before.targets)
        removed = tuple(name for name in before.targets if name not in after.targets)
    else:
        targets, added, removed = {}, (), ()
    return Difference(
        packages=tuple(changes),
        same=len({*old, *new}) - len(changes),
        targets=targets,
        targets_added=added,
        targets_removed=removed,
    )


def _by_name(packages: Iterable[ListedPackage]) -> dict[str, tuple[ListedPackage, ...]]:
    found: dict[str, list[ListedPackage]] = {}
    for package in packages:
        found.setdefault(package.name, []).append(package)
    return {name: tuple(several) for name, several in found.items()}


def _package(name: str, old: Sequence[ListedPackage], new: Sequence[ListedPackage], *, whole: bool) -> PackageChange | None:
    files = _files(old), _files(new)
    versions = _versions(old), _versions(new)
    common = [filename for filename in files[0] if filename in files[1]]
    replaced = tuple(other for filename in common if (other := _replaced(files[0][filename], files[1][filename])) is not None)
    if old and new:
        added = tuple(filename for filename in files[1] if filename not in files[0]) if whole else ()
        removed = tuple(filename for filename in files[0] if filename not in files[1]) if whole else ()
    else:
        added, removed = tuple(files[1]), tuple(files[0])
    sizes = (_size(files[0]), _size(files[1])) if whole or not (old and new) else (None, None)
    resized = [
        filename
        for filename in common
        if files[0][filename].size is not None and files[1][filename].size not in (None, files[0][filename].size)
    ]
    licences = _licences(files[0]), _licences(files[1])
    sources = _sources(old), _sources(new)
    # What was built of a folder or repository lies in a wheelhouse as a wheel like any other.
    moved = whole and bool(old and new) and sources[0] != sources[1]
    change: Literal["added", "removed", "changed"] = "changed" if old and new else "added" if new else "removed"
    # A version that only a build tells is no difference to the version that it turned out to be.
    reversioned = versions[0] != versions[1] and bool(versions[0] and versions[1])
    if change == "changed" and not (reversioned or added or removed or replaced or resized or moved or _both_differ(*licences)):
        return None
    return PackageChange(
        name=name,
        change=change,
        versions=versions,
        added=added,
        removed=removed,
        replaced=replaced,
        licences=licences,
        sizes=sizes,
        sources=sources,
        moved=moved,
    )


def _files(packages: Iterable[ListedPackage]) -> dict[str, ListedFile]:
    """Files by name, in order. One that stands there several times counts once, with all that is said of it."""
    found: dict[str, ListedFile] = {}
    for file in sorted((file for package in packages for file in package.files), key=lambda file: file.filename):
        known = found.get(file.filename)
        if known is not None:
            file = ListedFile(
                filename=file.filename,
                digests=known.digests | file.digests,
                size=_first(known.size, file.size),
                licence=_first(known.licence, file.licence),
            )
        found[file.filename] = file
    return found


def _first(one: _Value | None, other: _Value | None) -> _Value | None:
    return other if one is None else one


def _versions(packages: Iterable[ListedPackage]) -> tuple[str, ...]:
    return tuple(sorted({package.version for package in packages if package.version is not None}, key=_order))


def _order(version: str) -> tuple[int, Version, str]:
    try:
        return 1, Version(version), version
    except InvalidVersion:
        return 0, Version("0"), version


def _replaced(before: ListedFile, after: ListedFile) -> Replaced | None:
    """The difference of digests, judged by each algorithm that both state; one that agrees does not make up for one that does not."""
    old, new = _algorithms(before.digests), _algorithms(after.digests)
    for algorithm in sorted(old.keys() & new.keys(), key=lambda name: (name != "sha256", name)):
        # A file that a side lists with several digests (from several indexes) is the same if one of them is.
        if not old[algorithm] & new[algorithm]:
            shown = min(old[algorithm]), min(new[algorithm])
            return Replaced(filename=before.filename, before=f"{algorithm}:{shown[0]}", after=f"{algorithm}:{shown[1]}")
    return None


def _algorithms(digests: Iterable[str]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for text in digests:
        algorithm, _, digest = text.partition(":")
        found.setdefault(algorithm.lower(), set()).add(digest.lower())
    return found


def _size(files: Mapping[str, ListedFile]) -> int | None:
    sizes = [file.size for file in files.values()]
    return sum(size for size in sizes if size is not None) if sizes and None not in sizes else None


def _licences(files: Mapping[str, ListedFile]) -> tuple[str, ...]:
    return tuple(sorted({file.licence for file in files.values() if file.licence}))


def _sources(packages: Iterable[ListedPackage]) -> tuple[str, ...]:
    return tuple(sorted({package.source for package in packages if package.source}))


def _both_differ(before: Sequence[str], after: Sequence[str]) -> bool:
    return bool(before and after) and tuple(before) != tuple(after)


def _target(before: Sequence[Taken], after: Sequence[Taken]) -> tuple[TargetChange, ...]:
    old, new = _taken(before), _taken(after)
    return tuple(
        TargetChange(name=name, before=old.get(name, ()), after=new.get(name, ()))
        for name in sorted({*old, *new})
        if not _same_taken(old.get(name, ()), new.get(name, ()))
    )


def _taken(entries: Sequence[Taken]) -> dict[str, tuple[Taken, ...]]:
    found: dict[str, list[Taken]] = {}
    for entry in entries:
        found.setdefault(entry.name, []).append(entry)
    return {
        name: tuple(sorted(dict.fromkeys(several), key=lambda one: (_order(one.version or ""), one.filename or "")))
        for name, several in found.items()
    }


def _same_taken(before: Sequence[Taken], after: Sequence[Taken]) -> bool:
    if not before or not after:
        # What a lock cannot serve, and what no wheelhouse has therefore.
        return all(one.gap for one in (*before, *after))
    return len(before) == len(after) and all(_same(one, other) for one, other in zip(before, after, strict=True))


def _same(one: Taken, other: Taken) -> bool:
    if one.gap != other.gap or (one.version is not None and other.version is not None and one.version != other.version):
        return False
    if one.filename is None or other.filename is None:
        # A build that is planned here, and the wheel that it gave there.
        return True
    return one.filename == other.filename and (one.digest is None or other.digest is None or one.digest == other.digest)

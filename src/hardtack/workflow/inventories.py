"""What ``diff`` compares, read at the edge: a wheelhouse (anyone's folder of wheels), a pylock.toml or a uv.lock, as an inventory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from packaging.utils import InvalidSdistFilename, canonicalize_name, parse_sdist_filename
from packaging.version import InvalidVersion, Version

from hardtack.errors import HardtackError, InputError, LockError
from hardtack.inputs.text import parse_toml, read_bounded
from hardtack.model.fit import read_wheel_name
from hardtack.model.lock import Lock, LockedFile, LockedPackage, Source
from hardtack.model.manifest import Manifest
from hardtack.model.plan import Gap, Take
from hardtack.model.target import Target
from hardtack.planning.difference import Inventory, ListedFile, ListedPackage, Taken
from hardtack.planning.plan import plan
from hardtack.system.cancellation import Cancellation
from hardtack.targets.catalog import from_description
from hardtack.wheelhouse.facts import digests
from hardtack.wheelhouse.layout import read_wheelhouse, wheel_metadata
from hardtack.wheelhouse.metadata import MetadataFacts, parse_metadata
from hardtack.wheelhouse.pylock import read_pylock, read_target_descriptions

_SDISTS = (".tar.gz", ".zip", ".tgz", ".tar.bz2", ".tar.xz", ".tar")


def read_inventory(path: Path, targets: Sequence[Target] = (), *, stop: Cancellation | None = None) -> Inventory:
    """What lies at ``path``, told by its content and not by its name.

    A lock that was not made for named targets is planned for ``targets``; one that was, and a wheelhouse with a manifest, have their own.
    Raises InputError for what is none of the three.
    """
    stop = stop or Cancellation()
    if path.is_dir():
        return _folder(path, stop)
    # Not Path.is_file: what a shell's <(git show ...) gives is a pipe.
    text = _text(read_bounded(path), path)
    document = parse_toml(text, str(path))
    if "lock-version" in document:
        return _pylock(text, path, targets)
    if isinstance(document.get("version"), int) and ("requires-python" in document or "package" in document):
        return _uv_lock(document, path)
    raise InputError(
        "it is neither a pylock.toml nor a uv.lock",
        where=str(path),
        hint="hardtack diff compares locks of these two kinds and folders of wheels",
    )


def _text(data: bytes, path: Path) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError("it is no text; a lock file or a folder of wheels is wanted", where=str(path)) from None


def _folder(folder: Path, stop: Cancellation) -> Inventory:
    manifest, present = read_wheelhouse(folder)
    wheels = {file.path: folder / file.path for file in present}
    sdists = {path.relative_to(folder).as_posix(): path for path in _sdists(folder)}
    if manifest is None and not wheels and not sdists:
        locks = [name for name in ("pylock.toml", "uv.lock") if (folder / name).is_file()]
        hint = f"did you mean {folder / locks[0]}?" if locks else "a wheelhouse, a pylock.toml or a uv.lock is wanted"
        raise InputError("no wheel lies in it", where=str(folder), hint=hint)
    there = {**wheels, **sdists}
    found = digests((path for path in there.values() if path.is_file()), stop=stop)
    unread: list[tuple[str, str]] = []
    listed: dict[tuple[str, str], list[ListedFile]] = {}
    for place, path in sorted(there.items()):
        named = _named(path.name)
        if path not in found or named is None:
            unread.append((place, "it is no file" if named else "its name is not that of a wheel or source archive"))
            continue
        licence = None
        if path.name.endswith(".whl"):
            facts = _metadata(path)
            if isinstance(facts, str):
                unread.append((place, facts))
            else:
                licence = facts.license
        file = ListedFile(
            filename=path.name,
            digests=frozenset({f"sha256:{found[path]}"}),
            size=path.stat().st_size,
            licence=licence,
        )
        listed.setdefault(named, []).append(file)
    return Inventory(
        label=str(folder),
        kind="wheelhouse",
        packages=tuple(
            ListedPackage(name=name, version=version, files=tuple(dict.fromkeys(files)))
            for (name, version), files in sorted(listed.items())
        ),
        targets=_pinned(manifest) if manifest is not None else {},
        unread=tuple(unread),
    )


def _sdists(folder: Path) -> Iterator[Path]:
    for place in (folder, folder / "sources", folder / "sdists"):
        if place.is_dir():
            yield from (path for path in sorted(place.iterdir()) if path.name.endswith(_SDISTS))


def _named(filename: str) -> tuple[str, str] | None:
    wheel = read_wheel_name(filename)
    if wheel is not None:
        return wheel.name, str(wheel.version)
    try:
        name, version = parse_sdist_filename(filename)
    except InvalidSdistFilename:
        return None
    return name, str(version)


def _metadata(path: Path) -> MetadataFacts | str:
    try:
        facts = parse_metadata(wheel_metadata(path, path.name), filename=path.name)
    except HardtackError as error:
        return error.reason
    return facts if isinstance(facts, MetadataFacts) else facts[0].message


def _pinned(manifest: Manifest) -> dict[str, tuple[Taken, ...]]:
    files = {(target, file.filename): file.sha256 for file in manifest.files for target in file.targets}
    return {
        target: tuple(
            Taken(name=pin.name, version=pin.version, filename=pin.filename, digest=_sha256(files.get((target, pin.filename))))
            for pin in manifest.pins
            if pin.target == target
        )
        for target in manifest.targets
    }


def _pylock(text: str, path: Path, targets: Sequence[Target]) -> Inventory:
    lock = read_pylock(text, where=str(path), base=path.absolute().parent)
    described = read_target_descriptions(text)
    own = [from_description(described[name], where=f"{path}: {name}") for name in lock.targets if name in described]
    wanted = own or list(targets)
    try:
        packages = tuple(_locked(package) for package in lock.packages)
    except ValueError as error:  # a URL that is none
        raise InputError(str(error), where=str(path)) from None
    return Inventory(
        label=str(path),
        kind="pylock.toml",
        packages=packages,
        targets=_planned(lock, wanted, str(path)) if wanted else {},
    )


def inventory_of(lock: Lock, targets: Sequence[Target], *, label: str) -> Inventory:
    """A lock that lies nowhere yet: what it gives to ``targets``, and of its files those alone; all of it where none is named."""
    if not targets:
        return Inventory(label=label, kind="pylock.toml", packages=tuple(_locked(package) for package in lock.packages))
    taken = _planned(lock, targets, label)
    wanted = {(one.name, one.version) for found in taken.values() for one in found}
    files = {one.filename for found in taken.values() for one in found}
    packages = [one for package in lock.packages if ((one := _locked(package)).name, one.version) in wanted]
    return Inventory(
        label=label,
        kind="pylock.toml",
        packages=tuple(replace(one, files=tuple(file for file in one.files if file.filename in files)) for one in packages),
        targets=taken,
    )


def _locked(package: LockedPackage) -> ListedPackage:
    files = [*package.wheels, *(file for file in (package.sdist, package.archive) if file is not None)]
    return ListedPackage(
        name=package.name,
        version=str(package.version) if package.version is not None else None,
        files=tuple(_locked_file(file) for file in files),
        source=_source(package.source) if package.source is not None and package.source.kind != "archive" else None,
    )


def _locked_file(file: LockedFile) -> ListedFile:
    stated = ([f"sha256:{file.sha256}"] if file.sha256 else []) + list(file.other_hashes)
    return ListedFile(filename=file.filename, digests=frozenset(stated), size=file.size)


def _source(source: Source) -> str:
    inner = f"#subdirectory={source.subdirectory}" if source.subdirectory else ""
    if source.kind == "vcs":
        return f"git+{_plain_url(source.location)}@{source.commit or source.requested or ''}{inner}"
    return f"{source.kind} {source.location}{inner}"


def _plain_url(url: str) -> str:
    """A URL without login: a lock of another tool may hold one."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl() if "@" in parts.netloc else url


def _planned(lock: Lock, targets: Sequence[Target], where: str) -> dict[str, tuple[Taken, ...]]:
    found: dict[str, list[Taken]] = {target.name: [] for target in targets}
    try:
        planned = plan(lock, targets)
    except LockError as error:
        raise InputError(error.reason, where=where, hint=error.hint) from None
    for entry in planned.entries:
        version = str(entry.package.version) if entry.package.version is not None else None
        file = entry.decision.file if isinstance(entry.decision, Take) else None
        found[entry.target].append(
            Taken(
                name=entry.package.name,
                version=version,
                filename=file.filename if file is not None else None,
                digest=_sha256(file.sha256) if file is not None else None,
                gap=isinstance(entry.decision, Gap),
            )
        )
    return {name: tuple(entries) for name, entries in found.items()}


def _sha256(digest: str | None) -> str | None:
    return f"sha256:{digest}" if digest else None


def _uv_lock(document: Mapping[str, Any], path: Path) -> Inventory:
    packages = []
    try:
        for row in document.get("package", ()):
            files = [*row.get("wheels", ()), *([row["sdist"]] if "sdist" in row else [])]
            packages.append(
                ListedPackage(
                    name=canonicalize_name(row["name"]),
                    version=_version(row.get("version")),
                    files=tuple(_uv_file(file, row) for file in files),
                    source=_uv_source(row.get("source", {})),
                )
            )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise InputError(f"not what uv writes: {error!r}", where=f"{path}: package {len(packages) + 1}") from None
    return Inventory(label=str(path), kind="uv.lock", packages=tuple(packages))


def _version(text: str | None) -> str | None:
    """As every inventory writes it: "1.0.0-rc1" in one lock is "1.0.0rc1" in another."""
    if text is None:
        return None
    try:
        return str(Version(text))
    except InvalidVersion:
        return text


def _uv_file(file: Mapping[str, Any], row: Mapping[str, Any]) -> ListedFile:
    source = row.get("source", {})
    place = file.get("filename") or file.get("url") or file.get("path") or source.get("url") or source.get("path") or ""
    filename = unquote(urlsplit(place).path).replace("\\", "/").rpartition("/")[2]
    if not filename:
        raise ValueError("a file without a name")
    if not isinstance(file.get("hash", ""), str):
        raise TypeError("a hash that is no text")
    size = file.get("size")
    return ListedFile(
        filename=filename,
        digests=frozenset({file["hash"]}) if file.get("hash") else frozenset(),
        size=size if isinstance(size, int) else None,
    )


def _uv_source(source: Mapping[str, Any]) -> str | None:
    """What is no file of an index: a repository at its commit, a folder, the project itself."""
    if "git" in source:
        return f"git+{_plain_url(source['git'])}"
    for kind in ("directory", "editable", "virtual"):
        if kind in source:
            return f"{kind} {source[kind]}"
    return None

"""pylock.toml (PEP 751): anyone's is read, ours is written. What PEP 751 has no word for stands in ``tool.hardtack``."""

from __future__ import annotations

import dataclasses
import os
import tomllib
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from packaging.markers import Marker
from packaging.version import Version

from hardtack.errors import HardtackError, InputError, LockError
from hardtack.model.lock import Lock, LockedFile, LockedPackage, LockedRoot, Skew, Source, Waiver
from hardtack.model.manifest import Manifest
from hardtack.system.documents import toml_of
from hardtack.wheelhouse import toml_text as toml
from hardtack.wheelhouse.pylock_builds import builds_in_order, read_builds, write_builds
from hardtack.wheelhouse.pylock_packages import UNSTATED, PackageReader, string_in, strings_in, table_in, without_credentials

_SCHEMA = 1

T = TypeVar("T")


# --- reading ---------------------------------------------------------------------------------------------------------------------


def read_pylock(text: str, *, where: str, base: Path | None) -> Lock:
    """The lock that a pylock.toml states. ``where`` names the file in errors; relative paths in it are taken from ``base``.

    A file with a ``path`` is taken from there where it exists, else from its ``url``. A file without a sha256 has None, and what else is
    stated in ``other_hashes``. Raises InputError with the key's path; faults that packaging does not stop at are told together.
    """
    from packaging.pylock import Pylock, PylockUnsupportedVersionError, PylockValidationError

    try:
        document = toml_of(text.removeprefix("\ufeff"))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"this is not TOML: {error}", where=where) from None
    try:
        with_hashes = _with_stated_hashes(document)
        pylock = Pylock.from_dict(with_hashes)
    except PylockUnsupportedVersionError as error:
        raise InputError(str(error), where=where, hint="lock-version 1.0 is what PEP 751 defines; a newer hardtack may read it") from None
    except PylockValidationError as error:
        path = f"{where}: {error.context}" if error.context else where
        raise InputError(error.message, where=path, hint="PEP 751 says what a pylock.toml holds") from None
    tool = table_in(document.get("tool", {}), "hardtack")
    ours = pylock.created_by == "hardtack" and bool(tool)
    if ours and tool.get("schema") != _SCHEMA:
        raise InputError(
            f"its tool.hardtack.schema is {tool.get('schema')!r}, and {_SCHEMA} is what this hardtack reads",
            where=where,
            hint="lock again, or use the hardtack that wrote it",
        )
    reader = PackageReader(base=base, ours=ours)
    packages = []
    for position, package in enumerate(pylock.packages):
        reader.place = f"packages[{position}]"
        try:
            packages.append(reader.package(package))
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            reader.faults.append(f"{reader.place}: {error}")
    try:
        builds = read_builds(tool.get("builds", []), reader) if ours else ()
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise InputError(f"unreadable: {error!r}", where=f"{where}: {reader.place}", hint="lock again") from None
    if reader.faults:
        raise InputError("; ".join(reader.faults), where=where)
    try:
        return Lock(
            packages=tuple(packages),
            environments=tuple(pylock.environments or ()),
            requires_python=pylock.requires_python,
            extras=frozenset(pylock.extras or ()),
            groups=frozenset(pylock.dependency_groups or ()),
            default_groups=frozenset(pylock.default_groups or ()),
            origin="hardtack" if ours else "pylock.toml",
            builds=builds,
            **(_our_words(tool) if ours else {}),
        )
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise InputError(f"unreadable: {error!r}", where=f"{where}: tool.hardtack", hint="lock again") from None


def read_target_descriptions(text: str) -> Mapping[str, Mapping[str, Any]]:
    """The descriptions of targets that ``write_pylock`` put into a lock, by name; empty for anyone else's."""
    try:
        tool = table_in(toml_of(text.removeprefix("\ufeff")).get("tool", {}), "hardtack")
    except tomllib.TOMLDecodeError:
        return {}
    return {name: value for name, value in table_in(tool, "target").items() if isinstance(value, Mapping)}


def _with_stated_hashes(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document with a stand-in where a file states no hash: uv writes such entries for indexes without digests, packaging refuses."""

    def stated(file: Any) -> Any:
        if isinstance(file, Mapping) and file.get("hashes", {}) == {}:
            return {**file, "hashes": {UNSTATED: ""}}
        return file

    packages = document.get("packages")
    if not isinstance(packages, list):
        return dict(document)
    mended = []
    for package in packages:
        if isinstance(package, Mapping):
            package = dict(package)
            for name in ("sdist", "archive"):
                if name in package:
                    package[name] = stated(package[name])
            if isinstance(package.get("wheels"), list):
                package["wheels"] = [stated(wheel) for wheel in package["wheels"]]
        mended.append(package)
    return {**document, "packages": mended}


def _our_words(tool: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a Lock that only ``tool.hardtack`` has."""
    return {
        "targets": tuple(strings_in(tool.get("targets", []))),
        "roots": tuple(
            LockedRoot(
                requirement=string_in(row["requirement"]),
                origin=string_in(row.get("origin", "")),
                scope=row.get("scope", "runtime"),
                extra=row.get("extra"),
                group=row.get("group"),
                targets=frozenset(strings_in(row["targets"])) if "targets" in row else None,
            )
            for row in tool.get("roots", [])
        ),
        "waivers": tuple(
            Waiver(kind=row["kind"], requirement=string_in(row["requirement"]), origin=string_in(row.get("origin", "")))
            for row in tool.get("waivers", [])
        ),
        "skews": tuple(
            Skew(
                name=string_in(row["name"]),
                versions=tuple((string_in(version), tuple(strings_in(targets))) for version, targets in row["versions"].items()),
                reason=string_in(row.get("reason", "")),
            )
            for row in tool.get("skews", [])
        ),
        "inputs_digest": tool.get("inputs-digest"),
        "exclude_newer": tool.get("exclude-newer"),
    }


# --- writing ---------------------------------------------------------------------------------------------------------------------


def write_pylock(
    lock: Lock,
    *,
    target_descriptions: Mapping[str, Mapping[str, Any]] | None = None,
    paths: Mapping[str, str] | None = None,
    base: Path | None = None,
) -> str:
    """The text of a lock: the same lock gives the same text, in the order of ``in_order``.

    ``paths`` gives files (by name) and directories (by location) a path relative to the lock; with ``base``, the folder the lock will
    lie in, local sources are written relative to it. Raises LockError for a package without any digest, which PEP 751 cannot hold.
    """
    writer = _Writer(paths=dict(paths or {}), base=base)
    lock = in_order(lock)
    rows = ['lock-version = "1.0"']
    if lock.environments:
        rows.append(toml.array("environments", [str(marker) for marker in lock.environments]))
    if lock.requires_python is not None:
        rows.append(toml.line("requires-python", str(lock.requires_python)))
    for name, words in (("extras", lock.extras), ("dependency-groups", lock.groups), ("default-groups", lock.default_groups)):
        if words:
            rows.append(toml.line(name, sorted(words)))
    rows.append('created-by = "hardtack"')
    blocks = ["\n".join(rows)]
    missing = []
    for package in lock.packages:
        try:
            blocks.append(writer.package(package))
        except LockError as error:
            missing.append(error.reason)
    if missing:
        raise LockError(f"no digest is known for {', '.join(missing)}", hint="the index states none: fetch the files first")
    if not lock.packages:
        blocks[0] = "packages = []\n" + blocks[0]
    blocks.append(_tool(lock))
    blocks += write_builds(lock.builds, writer.where)
    for name, description in sorted((target_descriptions or {}).items()):
        rows = [f"[tool.hardtack.target.{toml.key(name)}]"]
        rows += [toml.line(key, value) for key, value in description.items() if value is not None]
        blocks.append("\n".join(rows))
    return "\n\n".join(blocks) + "\n"


def in_order(lock: Lock) -> Lock:
    """The lock as it is written: everything sorted that has no order of its own, credentials gone. Reading gives exactly this back."""
    return dataclasses.replace(
        lock,
        packages=tuple(sorted((_package_in_order(package) for package in lock.packages), key=_package_key)),
        roots=tuple(
            sorted(
                (dataclasses.replace(root, requirement=without_credentials(root.requirement)) for root in _unique(lock.roots)),
                key=_root_key,
            )
        ),
        waivers=tuple(
            sorted(
                (dataclasses.replace(waiver, requirement=without_credentials(waiver.requirement)) for waiver in _unique(lock.waivers)),
                key=lambda waiver: (waiver.kind, waiver.requirement, waiver.origin),
            )
        ),
        skews=tuple(sorted(lock.skews, key=lambda skew: (skew.name, skew.versions, skew.reason))),
        builds=builds_in_order(lock.builds),
        origin="hardtack",
    )


def _root_key(root: LockedRoot) -> tuple[Any, ...]:
    return (
        root.requirement,
        root.origin,
        root.scope,
        root.extra or "",
        root.group or "",
        root.targets is not None,
        sorted(root.targets or ()),
    )


def _unique(items: Iterable[T]) -> list[T]:
    return list(dict.fromkeys(items))


def _package_key(package: LockedPackage) -> tuple[Any, ...]:
    version = package.version
    return (
        package.name,
        version is not None,
        version or Version("0"),
        str(package.marker or ""),
        sorted(package.targets or ()),
        package.targets is not None,
        package.index or "",
        repr(package.source),
        repr((package.wheels, package.sdist, package.dependencies, package.note)),
    )


def _package_in_order(package: LockedPackage) -> LockedPackage:
    index = without_credentials(package.index) if package.index else None
    return dataclasses.replace(
        package,
        index=index,
        wheels=tuple(sorted((_file_in_order(wheel, index) for wheel in package.wheels), key=lambda wheel: wheel.filename)),
        sdist=_file_in_order(package.sdist, index) if package.sdist else None,
        source=dataclasses.replace(package.source, location=without_credentials(package.source.location)) if package.source else None,
        dependencies=tuple(
            sorted(
                _unique(package.dependencies),
                key=lambda edge: (edge.name, edge.version or "", edge.extra or "", edge.marker or "", edge.extras),
            )
        ),
    )


def _file_in_order(file: LockedFile, index: str | None) -> LockedFile:
    moment = _moment(file.upload_time)
    return dataclasses.replace(
        file,
        url=without_credentials(file.url),
        index=without_credentials(file.index) if file.index else index,
        upload_time=toml.instant(moment) if moment else None,
        other_hashes=file.other_hashes if file.sha256 is None else (),
    )


def _moment(text: str | None) -> datetime | None:
    """An upload time, where it is one; an index's odd spelling is no reason to refuse its file."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None


class _Writer:
    def __init__(self, *, paths: dict[str, str], base: Path | None) -> None:
        self.paths = paths
        self.base = base

    def package(self, package: LockedPackage) -> str:
        rows = ["[[packages]]", toml.line("name", package.name)]
        if package.version is not None:
            rows.append(toml.line("version", str(package.version)))
        if package.marker is not None:
            rows.append(toml.line("marker", str(package.marker)))
        if package.requires_python is not None:
            rows.append(toml.line("requires-python", str(package.requires_python)))
        if package.index is not None and package.source is None:
            rows.append(toml.line("index", package.index))
        if package.dependencies:
            pairs = _unique((edge.name, edge.version) for edge in package.dependencies)
            rows.append(toml.array("dependencies", [{"name": name, "version": version} for name, version in pairs]))
        hashed = [wheel for wheel in package.wheels if wheel.sha256 is not None]
        if package.source is not None:
            rows.append(self.source(package.source, package.name))
        else:
            if package.sdist is not None and package.sdist.sha256 is not None:
                rows.append(f"sdist = {toml.inline(self.file(package.sdist))}")
            elif not hashed:
                raise LockError(f"{package.name} {package.version or ''}".strip())
            if hashed:
                rows.append(toml.array("wheels", [self.file(wheel) for wheel in hashed]))
        words = self.tool(package)
        if words:
            rows += ["", "[packages.tool.hardtack]", *(toml.line(key, value) for key, value in words.items())]
        return "\n".join(rows)

    def file(self, file: LockedFile) -> dict[str, Any]:
        where = self.where(file.url, file.filename)
        hashes = {"sha256": file.sha256}
        return {"name": file.filename, "upload-time": _moment(file.upload_time), **where, "size": file.size, "hashes": hashes}

    def where(self, url: str, name: str) -> dict[str, str]:
        """``url``, ``path`` or both; a local file whose place relative to the lock is known has no URL of this machine."""
        path = self.paths.get(name)
        local = urlsplit(url).scheme.lower() in ("file", "")
        if path is None and local and self.base is not None:
            path = self.relative(_file_path(url))
        if path is None:
            return {"url": url} if urlsplit(url).scheme else {"path": url}
        return {"path": path} if local else {"url": url, "path": path}

    def relative(self, path: str) -> str | None:
        assert self.base is not None
        try:
            return Path(os.path.relpath(path, self.base)).as_posix()
        except ValueError:  # another drive of Windows
            return None

    def source(self, source: Source, name: str) -> str:
        if source.kind == "directory":
            path = self.paths.get(source.location)
            if path is None and self.base is not None and os.path.isabs(source.location):
                path = self.relative(source.location)
            table = {"path": path or source.location, "editable": source.editable or None, "subdirectory": source.subdirectory}
            return f"directory = {toml.inline(table)}"
        if source.kind == "vcs":
            kind, separator, url = source.location.partition("+")
            if not separator or "/" in kind or ":" in kind:
                kind, url = "git", source.location
            table = {"type": kind, "url": url, "requested-revision": source.requested, "commit-id": source.commit}
            table["subdirectory"] = source.subdirectory
            return f"vcs = {toml.inline(table)}"
        if source.sha256 is None:
            raise LockError(f"{name} @ {source.location}")
        where = self.where(source.location, source.location)
        archive = {**where, "size": source.size, "hashes": {"sha256": source.sha256}, "subdirectory": source.subdirectory}
        return f"archive = {toml.inline(archive)}"

    def tool(self, package: LockedPackage) -> dict[str, Any]:
        """What PEP 751 has no word for; nothing where there is nothing to add."""
        words: dict[str, Any] = {}
        if package.targets is not None:
            words["targets"] = sorted(package.targets)
        if package.note:
            words["note"] = package.note
        if any(edge.marker or edge.extras or edge.extra for edge in package.dependencies):
            words["edges"] = [
                {
                    "name": edge.name,
                    "version": edge.version,
                    "marker": edge.marker,
                    "extras": list(edge.extras) or None,
                    "extra": edge.extra,
                }
                for edge in package.dependencies
            ]
        files = [*package.wheels, *([package.sdist] if package.sdist else [])]
        hashed = [file for file in files if file.sha256 is not None]
        sources: dict[str, list[str]] = {}
        for file in hashed:
            if file.hash_source != "index":
                sources.setdefault(file.hash_source, []).append(file.filename)
        if sources:
            words["hash-sources"] = dict(sorted(sources.items()))
        indexes = {file.filename: file.index for file in hashed if file.index != package.index}
        if indexes:
            words["indexes"] = indexes
        yanked = {file.filename: file.yanked for file in hashed if file.yanked is not None}
        if yanked:
            words["yanked"] = yanked
        unhashed = [file for file in files if file.sha256 is None]
        if unhashed:
            words["unhashed"] = [
                {
                    "name": file.filename,
                    "url": file.url,
                    "size": file.size,
                    "index": file.index if file.index != package.index else None,
                    "hash-source": file.hash_source if file.hash_source != "index" else None,
                    "upload-time": _moment(file.upload_time),
                    "yanked": file.yanked,
                    "hashes": list(file.other_hashes) or None,
                }
                for file in unhashed
            ]
        return words


def _file_path(url: str) -> str:
    parts = urlsplit(url)
    if not parts.scheme:
        return url
    from urllib.request import url2pathname

    return url2pathname(parts.path)


def _tool(lock: Lock) -> str:
    rows = ["[tool.hardtack]", f"schema = {_SCHEMA}"]
    if lock.targets:
        rows.append(toml.array("targets", lock.targets))
    if lock.inputs_digest:
        rows.append(toml.line("inputs-digest", lock.inputs_digest))
    if lock.exclude_newer:
        rows.append(toml.line("exclude-newer", lock.exclude_newer))
    if lock.roots:
        rows.append(
            toml.array(
                "roots",
                [
                    {
                        "requirement": root.requirement,
                        "origin": root.origin,
                        "scope": root.scope if root.scope != "runtime" else None,
                        "extra": root.extra,
                        "group": root.group,
                        "targets": sorted(root.targets) if root.targets is not None else None,
                    }
                    for root in lock.roots
                ],
            )
        )
    if lock.waivers:
        rows.append(toml.array("waivers", [dataclasses.asdict(waiver) for waiver in lock.waivers]))
    if lock.skews:
        rows.append(
            toml.array(
                "skews",
                [
                    {"name": skew.name, "versions": {version: list(names) for version, names in skew.versions}, "reason": skew.reason}
                    for skew in lock.skews
                ],
            )
        )
    return "\n".join(rows)


def pylock_for_target(manifest: Manifest, target: str) -> str:
    """``pylock.<target>.toml`` for a wheelhouse's root: exactly the files of one target, each with its path there, URL, sha256 and size.

    The only markers are those on ``python_full_version``, where a part of the target's patches wants a package.
    """
    files = {(file.filename, name): file for file in manifest.files for name in file.targets}
    rows = ['lock-version = "1.0"', 'created-by = "hardtack"']
    pins = [pin for pin in manifest.pins if pin.target == target]
    if not pins:
        rows.insert(1, "packages = []")
    blocks = ["\n".join(rows)]
    for pin in sorted(pins, key=lambda pin: (pin.name, pin.version, pin.marker or "", pin.filename)):
        file = files.get((pin.filename, target))
        if file is None:
            raise HardtackError(f"{pin.filename} is pinned for {target} but is no file of the wheelhouse", where="wheelhouse.json")
        lines = ["[[packages]]", toml.line("name", pin.name), toml.line("version", pin.version)]
        if pin.marker:
            lines.append(toml.line("marker", str(Marker(pin.marker))))
        path = f"{target}/{file.filename}" if manifest.layout == "by-target" else file.filename
        remote = urlsplit(file.origin).scheme.lower() in ("http", "https")
        table = {
            "name": file.filename,
            "url": without_credentials(file.origin) if remote else None,
            "path": path,
            "size": file.size,
            "hashes": {"sha256": file.sha256},
        }
        lines.append(toml.array("wheels", [table]))
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"

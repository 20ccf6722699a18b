"""The packages of a pylock.toml (PEP 751), from packaging's types to ours."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from hardtack.model.lock import Edge, HashSource, LockedFile, LockedPackage, Source
from hardtack.wheelhouse import toml_text as toml

if TYPE_CHECKING:
    from packaging.pylock import Package, PackageSdist, PackageWheel

# Stands where a file states no hash at all, which packaging would refuse.
UNSTATED = "hardtack-unstated"
_ORIGINS: tuple[HashSource, ...] = ("lock", "index", "user", "first-seen")
DIGEST = re.compile(r"[0-9a-fA-F]{64}")
_LOGIN_HTTP = re.compile(r"(https?://)(?:[^/?#\s@]*@)+", re.IGNORECASE)
_PASSWORD = re.compile(r"([a-z][a-z0-9+.-]*://[^/?#\s@:]*):[^/?#\s@]*@", re.IGNORECASE)


def without_credentials(text: str) -> str:
    """``text`` with the login of every http(s) URL in it removed, and the password of any other (``ssh://git@`` names no secret)."""
    return _PASSWORD.sub(r"\1@", _LOGIN_HTTP.sub(r"\1", text))


def table_in(holder: object, name: str) -> Mapping[str, Any]:
    """The table under a key, empty where there is none."""
    value = holder.get(name, {}) if isinstance(holder, Mapping) else {}
    return value if isinstance(value, Mapping) else {}


def string_in(value: Any) -> str:
    """The value, which must be a string; raises TypeError."""
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no string")
    return value


def strings_in(value: Any) -> list[str]:
    """The value, which must be a list of strings; raises TypeError."""
    if not isinstance(value, list):
        raise TypeError(f"{value!r} is no list of strings")
    return [string_in(item) for item in value]


class PackageReader:
    """Turns packaging's packages into ours; ``faults`` collects what packaging lets pass and we do not."""

    def __init__(self, *, base: Path | None, ours: bool) -> None:
        self.base = base
        self.ours = ours
        self.place = ""
        self.faults: list[str] = []

    def package(self, package: Package) -> LockedPackage:
        ours = table_in(package.tool or {}, "hardtack") if self.ours else {}
        index = without_credentials(package.index) if package.index else None
        unhashed = [self.unhashed(row, index) for row in ours.get("unhashed", [])]
        wheels = [
            self.file(wheel, place=f"wheels[{position}]", index=index, ours=ours) for position, wheel in enumerate(package.wheels or ())
        ]
        sdist = self.file(package.sdist, place="sdist", index=index, ours=ours) if package.sdist else None
        for file in unhashed:
            if file.filename.endswith(".whl"):
                wheels.append(file)
            else:
                sdist = file
        if unhashed:
            wheels.sort(key=lambda wheel: wheel.filename)
        notes = [ours["note"]] if "note" in ours else []
        weak = [file.filename for file in (*wheels, *([sdist] if sdist else [])) if file.other_hashes]
        if weak and not self.ours:
            notes.append(f"states no sha256, only {', '.join(weak)} with other digests")
        return LockedPackage(
            name=package.name,
            version=package.version,
            marker=package.marker,
            targets=frozenset(strings_in(ours["targets"])) if "targets" in ours else None,
            index=index,
            requires_python=package.requires_python,
            wheels=tuple(wheels),
            sdist=sdist,
            source=self.source(package),
            dependencies=_edges(package, ours),
            note="; ".join(notes) or None,
        )

    def file(self, file: PackageWheel | PackageSdist, *, place: str, index: str | None, ours: Mapping[str, Any]) -> LockedFile:
        filename = file.filename
        if not is_plain(filename):
            self.faults.append(f"{self.place}.{place}.name: {filename!r} is no file name")
        if file.size is not None and file.size < 0:
            self.faults.append(f"{self.place}.{place}.size: {file.size} is no size")
        sha256, others = self.digests(file.hashes, place)
        source: HashSource = "index" if self.ours else "lock"
        for candidate in _ORIGINS:
            if filename in table_in(ours, "hash-sources").get(candidate, ()):
                source = candidate
        return LockedFile(
            filename=filename,
            url=self.url(file.url, file.path, place),
            sha256=sha256,
            size=file.size,
            index=table_in(ours, "indexes").get(filename, index),
            hash_source=source,
            upload_time=toml.instant(file.upload_time) if file.upload_time else None,
            yanked=table_in(ours, "yanked").get(filename),
            other_hashes=others,
        )

    def unhashed(self, row: Mapping[str, Any], index: str | None) -> LockedFile:
        filename = string_in(row["name"])
        if not is_plain(filename):
            self.faults.append(f"{self.place}.tool.hardtack.unhashed: {filename!r} is no file name")
        return LockedFile(
            filename=filename,
            url=string_in(row["url"]),
            sha256=None,
            size=row.get("size"),
            index=row.get("index", index),
            hash_source=row.get("hash-source", "index"),
            upload_time=toml.instant(row["upload-time"]) if "upload-time" in row else None,
            yanked=row.get("yanked"),
            other_hashes=tuple(strings_in(row.get("hashes", []))),
        )

    def digests(self, hashes: Mapping[str, str], place: str) -> tuple[str | None, tuple[str, ...]]:
        named = {name.lower(): digest for name, digest in hashes.items() if name != UNSTATED}
        digest = named.get("sha256")
        if digest is None:
            return None, tuple(sorted(f"{name}:{value.lower()}" for name, value in named.items()))
        if not DIGEST.fullmatch(digest):
            self.faults.append(f"{self.place}.{place}.hashes.sha256: {digest!r} is no sha256 in hexadecimal")
        return digest.lower(), ()

    def url(self, url: str | None, path: str | None, place: str) -> str:
        """Where the file is: beside the lock if it is there, else at its URL."""
        local = self.local(path, place) if path else None
        if local is not None and (url is None or local.is_file()):
            return local.as_uri()
        if url is None:
            return path or ""
        parts = urlsplit(url)
        if not parts.scheme:
            self.faults.append(f"{self.place}.{place}.url: {url!r} is no URL")
        return without_credentials(parts._replace(fragment="").geturl())

    def local(self, path: str, place: str) -> Path | None:
        """An absolute path; a Windows lock's separators are understood everywhere (PEP 751 prefers "/")."""
        if "\0" in path:
            self.faults.append(f"{self.place}.{place}.path: {path!r} is no path")
            return None
        if os.name != "nt" and "\\" in path and "/" not in path:
            path = path.replace("\\", "/")
        if self.base is None and not Path(path).is_absolute():
            return None
        return Path(os.path.normpath((self.base or Path()) / path))

    def source(self, package: Package) -> Source | None:
        if package.directory is not None:
            directory = package.directory
            local = self.local(directory.path, "directory")
            return Source(
                kind="directory",
                location=str(local) if local is not None else directory.path,
                editable=bool(directory.editable),
                subdirectory=directory.subdirectory,
            )
        if package.vcs is not None:
            vcs = package.vcs
            location = without_credentials(vcs.url) if vcs.url else self.url(None, vcs.path, "vcs")
            prefix = "" if vcs.type == "git" else f"{vcs.type}+"
            return Source(
                kind="vcs",
                location=prefix + location.removeprefix("git+"),
                subdirectory=vcs.subdirectory,
                commit=vcs.commit_id,
                requested=vcs.requested_revision,
            )
        if package.archive is not None:
            archive = package.archive
            sha256, others = self.digests(archive.hashes, "archive")
            if others:
                self.faults.append(f"{self.place}.archive.hashes: no sha256 among them")
            return Source(
                kind="archive",
                location=self.url(archive.url, archive.path, "archive"),
                subdirectory=archive.subdirectory,
                sha256=sha256,
                size=archive.size,
            )
        return None


def _edges(package: Package, ours: Mapping[str, Any]) -> tuple[Edge, ...]:
    if "edges" in ours:
        return tuple(
            Edge(
                name=string_in(row["name"]),
                version=row.get("version"),
                marker=row.get("marker"),
                extras=tuple(strings_in(row.get("extras", []))),
                extra=row.get("extra"),
            )
            for row in ours["edges"]
        )
    edges = []
    for row in package.dependencies or ():
        name, version = row.get("name"), row.get("version")
        if isinstance(name, str):
            edges.append(Edge(name=name, version=version if isinstance(version, str) else None))
    return tuple(edges)


def is_plain(filename: str) -> bool:
    """True for a name that is one component of a path on every system. packaging lets "/" pass in a build tag."""
    return filename.isprintable() and not set(filename) & set('/\\:*?"<>| ')

"""wheelhouse.json: the manifest as bytes, and back. It travels with the wheelhouse, so that reading it trusts nothing."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

from hardtack.errors import HardtackError, InputError
from hardtack.model.lock import HashSource, LockedRoot, Skew, Waiver
from hardtack.model.manifest import BuildRecord, Manifest, ManifestFile, ManifestSource, Pin, SourceOrigin
from hardtack.system.documents import json_of
from hardtack.system.files import safe_join

SCHEMA = 1
MANIFEST_NAME = "wheelhouse.json"
SOURCES_FOLDER = "sdists"
_LIMIT = 256 * 1024 * 1024
_PLAIN_PATH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+!=@,~-]*(?:/[A-Za-z0-9_][A-Za-z0-9_.+!=@,~-]*)*")
_SHA256 = re.compile(r"[0-9a-f]{64}")
# What is left out where there is none.
_WHERE_ANY = frozenset({"project", "sources", "roots", "waivers", "skews", "gaps", "generated", "leftovers"})

T = TypeVar("T")


def write_manifest(manifest: Manifest) -> bytes:
    """The manifest as JSON: UTF-8, keys in a fixed order, rows sorted, one file or pin a line. The same manifest gives the same bytes."""
    sections: list[tuple[str, Any]] = [
        ("schema", manifest.schema),
        ("project", manifest.project),
        ("layout", manifest.layout),
        ("targets", {name: manifest.targets[name] for name in sorted(manifest.targets)}),
        ("files", _rows(manifest.files, "name", "filename", "path")),
        ("sources", _rows(manifest.sources, "name", "filename", "path")),
        ("pins", _rows(manifest.pins, "target", "name", "version")),
        ("roots", _rows(manifest.roots, "requirement", "origin")),
        ("waivers", _rows(manifest.waivers, "kind", "requirement")),
        ("skews", _rows(manifest.skews, "name")),
        ("gaps", [_compact(gap) for gap in manifest.gaps]),
        ("generated", dict(sorted(manifest.generated))),
        ("leftovers", dict(sorted(manifest.leftovers))),
    ]
    lines = []
    for name, value in sections:
        if isinstance(value, list) and value:
            rows = ",\n".join(f"    {row}" for row in value)
            lines.append(f"  {json.dumps(name)}: [\n{rows}\n  ]")
        elif isinstance(value, Mapping) and value:
            rows = ",\n".join(f"    {_compact(key)}: {_compact(item)}" for key, item in value.items())
            lines.append(f"  {json.dumps(name)}: {{\n{rows}\n  }}")
        elif name not in _WHERE_ANY or value:
            lines.append(f"  {json.dumps(name)}: {_compact(value)}")
    return ("{\n" + ",\n".join(lines) + "\n}\n").encode()


def _plain(value: Any) -> Any:
    """What is no type of JSON, as one that is: sets sorted, a version or specifier as its text."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    return str(value)


_compact = json.JSONEncoder(ensure_ascii=False, default=_plain).encode


def _rows(items: Iterable[Any], *keys: str) -> list[str]:
    """Rows as text, sorted by these keys, then by all that they say."""
    rows = ((tuple(row[key] for key in keys), _compact(row)) for row in map(_row, items))
    return [text for _, text in sorted(rows)]


def _row(item: Any) -> dict[str, Any]:
    """A dataclass as a row: "_" becomes "-", empty optional fields are left out, sets and mappings are sorted."""
    row: dict[str, Any] = {}
    for field in dataclasses.fields(item):
        value = getattr(item, field.name)
        if value is None or value is False or (value == () and field.default is not dataclasses.MISSING):
            continue
        if dataclasses.is_dataclass(value):
            value = _row(value)
        elif isinstance(value, Mapping):
            value = {key: value[key] for key in sorted(value)}
        elif isinstance(value, frozenset):
            value = sorted(value)
        row[field.name.replace("_", "-")] = value
    return row


def read_manifest(data: bytes, where: str) -> Manifest:
    """The manifest that the bytes state. Raises InputError with the key's path: paths that leave the wheelhouse are refused here."""
    if len(data) > _LIMIT:
        raise InputError(f"the manifest has {len(data)} bytes, more than {_LIMIT}", where=where)
    try:
        document = json_of(data)
    except ValueError as error:
        raise InputError(f"this is no manifest of a wheelhouse: {error}", where=where, hint="make the wheelhouse again") from None
    if not isinstance(document, dict) or not isinstance(document.get("schema"), int) or document["schema"] is True:
        raise InputError("this is no manifest of a wheelhouse: it states no schema", where=where)
    if document["schema"] != SCHEMA:
        raise InputError(
            f"the manifest has schema {document['schema']}, and this hardtack reads {SCHEMA}",
            where=where,
            hint="use the hardtack that made the wheelhouse, or make it again",
        )
    reader = _Reader(where)
    layout = document.get("layout")
    if layout not in ("flat", "by-target"):
        raise reader.fault("layout", f"{layout!r} is neither flat nor by-target")
    targets = reader.mapping("targets", document.get("targets", {}))
    gaps = reader.rows("gaps", document)
    return Manifest(
        project=reader.maybe("manifest", document, "project"),
        layout=layout,
        targets={
            reader.component("targets", name): reader.mapping(f"targets.{name}", description) for name, description in targets.items()
        },
        files=tuple(reader.each("files", document, reader.file)),
        sources=tuple(reader.each("sources", document, reader.source)),
        pins=tuple(reader.each("pins", document, reader.pin)),
        roots=tuple(reader.each("roots", document, reader.root)),
        waivers=tuple(reader.each("waivers", document, reader.waiver)),
        skews=tuple(reader.each("skews", document, reader.skew)),
        gaps=tuple(gaps),
        generated=tuple(reader.digests("generated", document)),
        leftovers=tuple(reader.digests("leftovers", document)),
    )


def source_path(filename: str) -> str:
    """Where a source archive lies under the wheelhouse, whatever its layout: out of sight of ``--find-links``."""
    return f"{SOURCES_FOLDER}/{filename}"


def is_plain_path(path: str) -> bool:
    """True for a relative path of which a glance tells that ``safe_join`` takes it; nearly all are such."""
    return _PLAIN_PATH.fullmatch(path) is not None


class _Reader:
    """Checks every value that it hands out; errors carry the path of the key."""

    def __init__(self, where: str) -> None:
        self.where = where

    def fault(self, place: str, reason: str) -> InputError:
        return InputError(reason, where=f"{self.where}: {place}", hint="the manifest was damaged or edited; make the wheelhouse again")

    def mapping(self, place: str, value: Any) -> Mapping[str, Any]:
        if not isinstance(value, dict):
            raise self.fault(place, "this must be an object")
        return value

    def rows(self, name: str, document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        rows = document.get(name, [])
        if not isinstance(rows, list):
            raise self.fault(name, "this must be a list")
        return [self.mapping(f"{name}[{position}]", row) for position, row in enumerate(rows)]

    def each(self, name: str, document: Mapping[str, Any], read: Callable[[str, Mapping[str, Any]], T]) -> list[T]:
        return [read(f"{name}[{position}]", row) for position, row in enumerate(self.rows(name, document))]

    def text(self, place: str, row: Mapping[str, Any], key: str) -> str:
        value = row.get(key)
        if not isinstance(value, str):
            raise self.fault(f"{place}.{key}", f"{value!r} is no string")
        return value

    def maybe(self, place: str, row: Mapping[str, Any], key: str) -> str | None:
        return self.text(place, row, key) if row.get(key) is not None else None

    def strings(self, place: str, value: Any) -> tuple[str, ...]:
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.fault(place, "this must be a list of strings")
        return tuple(value)

    def digest(self, place: str, value: Any) -> str:
        if not isinstance(value, str) or not _SHA256.fullmatch(value):
            raise self.fault(place, f"{value!r} is no sha256 in lower-case hexadecimal")
        return value

    def path(self, place: str, value: Any) -> str:
        if isinstance(value, str) and is_plain_path(value):
            return value
        try:
            safe_join(Path(), value if isinstance(value, str) else "")
        except (HardtackError, IndexError):
            raise self.fault(place, f"{value!r} is no path inside the wheelhouse") from None
        return str(value)

    def component(self, place: str, value: Any) -> str:
        if not isinstance(value, str) or "/" in self.path(place, value):
            raise self.fault(place, f"{value!r} is no plain name")
        return value

    def digests(self, name: str, document: Mapping[str, Any]) -> list[tuple[str, str]]:
        table = self.mapping(name, document.get(name, {}))
        return [(self.path(name, path), self.digest(f"{name}.{path}", digest)) for path, digest in table.items()]

    def choice(self, place: str, row: Mapping[str, Any], key: str, options: tuple[Any, ...], default: Any) -> Any:
        value = row.get(key, default)
        if value not in options:
            raise self.fault(f"{place}.{key}", f"{value!r} is none of {', '.join(map(str, options))}")
        return value

    def size(self, place: str, row: Mapping[str, Any]) -> int:
        size = row.get("size")
        if not isinstance(size, int) or isinstance(size, bool) or size < 0:
            raise self.fault(f"{place}.size", f"{size!r} is no size in bytes")
        return size

    def source(self, place: str, row: Mapping[str, Any]) -> ManifestSource:
        filename = self.component(f"{place}.filename", row.get("filename"))
        path = self.path(f"{place}.path", row.get("path"))
        if path != source_path(filename):
            raise self.fault(f"{place}.path", f"{path!r} is not {source_path(filename)}, where a source archive lies")
        return ManifestSource(
            filename=filename,
            path=path,
            sha256=self.digest(f"{place}.sha256", row.get("sha256")),
            size=self.size(place, row),
            name=self.component(f"{place}.name", row.get("name")),
            version=self.text(place, row, "version"),
            origin=self.text(place, row, "origin"),
            index=self.maybe(place, row, "index"),
            hash_source=self.choice(place, row, "hash-source", get_args(HashSource), "lock"),
            requires_python=self.maybe(place, row, "requires-python"),
            made_of=self.made_of(f"{place}.made-of", row["made-of"]) if "made-of" in row else None,
        )

    def file(self, place: str, row: Mapping[str, Any]) -> ManifestFile:
        return ManifestFile(
            filename=self.component(f"{place}.filename", row.get("filename")),
            path=self.path(f"{place}.path", row.get("path")),
            sha256=self.digest(f"{place}.sha256", row.get("sha256")),
            size=self.size(place, row),
            name=self.component(f"{place}.name", row.get("name")),
            version=self.text(place, row, "version"),
            targets=tuple(self.component(f"{place}.targets", name) for name in self.strings(f"{place}.targets", row.get("targets"))),
            origin=self.text(place, row, "origin"),
            index=self.maybe(place, row, "index"),
            hash_source=self.choice(place, row, "hash-source", get_args(HashSource), "lock"),
            build=self.build(f"{place}.build", row["build"]) if "build" in row else None,
        )

    def build(self, place: str, value: Any) -> BuildRecord:
        row = self.mapping(place, value)
        config = self.mapping(f"{place}.config", row["config"]) if "config" in row else None
        return BuildRecord(
            source=self.text(place, row, "source"),
            source_sha256=self.text(place, row, "source-sha256"),
            backend=self.text(place, row, "backend"),
            requires=self.texts(place, row, "requires") or {},
            sandbox=self.text(place, row, "sandbox"),
            python=self.text(place, row, "python"),
            made_of=self.made_of(f"{place}.made-of", row["made-of"]) if "made-of" in row else None,
            tools=self.texts(place, row, "tools"),
            compilers=self.texts(place, row, "compilers"),
            config={key: self.strings(f"{place}.config.{key}", config[key]) for key in config} if config is not None else None,
            variables=self.texts(place, row, "variables"),
            programs=self.texts(place, row, "programs"),
            repeated=self.choice(place, row, "repeated", ("same", "differs", None), None),
        )

    def texts(self, place: str, row: Mapping[str, Any], key: str) -> dict[str, str] | None:
        """An object of strings, None where there is none."""
        if key not in row:
            return None
        table = self.mapping(f"{place}.{key}", row[key])
        return {name: self.text(f"{place}.{key}", table, name) for name in table}

    def made_of(self, place: str, value: Any) -> SourceOrigin:
        row = self.mapping(place, value)
        return SourceOrigin(
            kind=self.choice(place, row, "kind", ("directory", "git"), None),
            location=self.text(place, row, "location"),
            commit=self.maybe(place, row, "commit"),
            state=self.choice(place, row, "state", ("clean", "dirty", None), None),
            tree=self.maybe(place, row, "tree"),
            subdirectory=self.maybe(place, row, "subdirectory"),
        )

    def pin(self, place: str, row: Mapping[str, Any]) -> Pin:
        return Pin(
            target=self.component(f"{place}.target", row.get("target")),
            name=self.text(place, row, "name"),
            version=self.text(place, row, "version"),
            filename=self.component(f"{place}.filename", row.get("filename")),
            marker=self.maybe(place, row, "marker"),
            requires_url=row.get("requires-url") is True,
        )

    def root(self, place: str, row: Mapping[str, Any]) -> LockedRoot:
        return LockedRoot(
            requirement=self.text(place, row, "requirement"),
            origin=self.text(place, row, "origin"),
            scope=self.choice(place, row, "scope", ("runtime", "development"), "runtime"),
            extra=self.maybe(place, row, "extra"),
            group=self.maybe(place, row, "group"),
            targets=frozenset(self.strings(f"{place}.targets", row["targets"])) if "targets" in row else None,
        )

    def waiver(self, place: str, row: Mapping[str, Any]) -> Waiver:
        return Waiver(
            kind=self.choice(place, row, "kind", ("override", "exclude"), None),
            requirement=self.text(place, row, "requirement"),
            origin=self.text(place, row, "origin"),
        )

    def skew(self, place: str, row: Mapping[str, Any]) -> Skew:
        versions = row.get("versions")
        if not isinstance(versions, list):
            raise self.fault(f"{place}.versions", "this must be a list")
        pairs = []
        for pair in versions:
            if not isinstance(pair, list) or len(pair) != 2 or not isinstance(pair[0], str):
                raise self.fault(f"{place}.versions", f"{pair!r} is no version with its targets")
            pairs.append((pair[0], self.strings(f"{place}.versions", pair[1])))
        return Skew(name=self.text(place, row, "name"), versions=tuple(pairs), reason=self.text(place, row, "reason"))

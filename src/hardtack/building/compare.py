"""Two wheels of one source, member by member: where their bytes differ, and what that may come from."""

from __future__ import annotations

import hashlib
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from hardtack.building.compare_elf import elf_differences
from hardtack.building.compare_text import excerpts, fill, first_unlike, quoted

Kind = Literal["missing", "bytes", "mode", "time", "order", "compression", "flags", "comment", "archive", "more"]

_BLOCK = 1 << 16
_HEAD = 4096  # bytes that tell text from other things
_LINE = 8192  # bytes of a line that are looked at
_MOST = 100  # rows of a report
_EXAMPLES = 3  # members that are named where many differ in the same way
_LOCAL = 30  # bytes of a local header before the name
_METHODS = {zipfile.ZIP_STORED: "stored", zipfile.ZIP_DEFLATED: "deflated"}
# OSError: the place of a member may lie before the file's beginning.
_BROKEN = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, RuntimeError, ValueError, OverflowError, OSError)


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberDifference:
    """One thing in which two archives differ. ``member`` is "" where it is the archive as a whole, or many members alike.

    ``detail`` is a short line: what the first has, then what the second has.
    """

    member: str
    kind: Kind
    detail: str

    def __str__(self) -> str:
        """As people read it: "pkg/version.py: line 3: '2026-11-20', then '2026-11-21' (a date)"."""
        return f"{self.member}: {self.detail}" if self.member else self.detail


def compare_wheels(first: Path, second: Path) -> tuple[MemberDifference, ...]:
    """All in which two wheels differ; empty exactly where their bytes are the same.

    Members are read in pieces, and what is told of them is short, whatever they hold: at most about a hundred rows. A RECORD that differs
    only in the rows of members that differ themselves is not told of.
    """
    at = _unlike(first, second)
    if at is None:
        return ()
    try:
        with zipfile.ZipFile(first) as left, zipfile.ZipFile(second) as right:
            report = _Report()
            _compare(left, right, report)
            found = report.rows()
            return found or (_elsewhere(left, at),)
    except _BROKEN as error:
        return (MemberDifference(member="", kind="archive", detail=f"byte {at}, and they cannot be compared as archives: {error}"),)


class _Report:
    """What was found: whole rows for contents, one row for many members that differ in the same way."""

    def __init__(self) -> None:
        self._rows: list[MemberDifference] = []
        self._more = 0
        self._alike: dict[Kind, list[MemberDifference]] = {}
        self._counts: dict[Kind, int] = {}

    def add(self, member: str, kind: Kind, detail: str) -> None:
        if len(self._rows) < _MOST:
            self._rows.append(MemberDifference(member=_short(member), kind=kind, detail=detail))
        else:
            self._more += 1

    def tally(self, member: str, kind: Kind, detail: str) -> None:
        self._counts[kind] = self._counts.get(kind, 0) + 1
        kept = self._alike.setdefault(kind, [])
        if len(kept) < _EXAMPLES:
            kept.append(MemberDifference(member=_short(member), kind=kind, detail=detail))

    def rows(self) -> tuple[MemberDifference, ...]:
        rows = list(self._rows)
        if self._more:
            rows.append(MemberDifference(member="", kind="more", detail=f"{self._more} more members differ"))
        for kind, kept in self._alike.items():
            if self._counts[kind] <= _EXAMPLES:
                rows += kept
            else:
                rows.append(MemberDifference(member="", kind=kind, detail=f"{self._counts[kind]} members, such as {kept[0]}"))
        return tuple(rows)


def _compare(left: zipfile.ZipFile, right: zipfile.ZipFile, report: _Report) -> None:
    ours, theirs = _members(left), _members(right)
    unlike: set[str] = set()
    missing = {name for name, _ in ours.keys() ^ theirs.keys()}
    records: list[tuple[str, int]] = []
    for key, info in ours.items():
        other = theirs.get(key)
        if other is None:
            report.add(key[0], "missing", "only the first has it")
            continue
        if key[0].endswith(".dist-info/RECORD"):
            records.append(key)
        elif (detail := _content(left, right, info, other)) is not None:
            unlike.add(key[0])
            report.add(key[0], "bytes", detail)
        else:
            _packing(left, right, info, other, report)
        _header(info, other, report)
    for key in theirs:
        if key not in ours:
            report.add(key[0], "missing", "only the second has it")
    for key in records:
        info, other = ours[key], theirs[key]
        if (detail := _content(left, right, info, other)) is None:
            _packing(left, right, info, other, report)
        elif not _follows(left, right, info, other, unlike, missing):
            report.add(key[0], "bytes", detail)
    _order(ours, theirs, report)
    if left.comment != right.comment:
        report.add("", "comment", f"the archive's comment: {quoted(left.comment)}, then {quoted(right.comment)}")


def _members(archive: zipfile.ZipFile) -> dict[tuple[str, int], zipfile.ZipInfo]:
    """Every member in the order of the directory, by its name and by how many of that name came before."""
    found: dict[tuple[str, int], zipfile.ZipInfo] = {}
    seen: dict[str, int] = {}
    for info in archive.infolist():
        count = seen.get(info.filename, 0)
        seen[info.filename] = count + 1
        found[info.filename, count] = info
    return found


def _content(left: zipfile.ZipFile, right: zipfile.ZipFile, ours: zipfile.ZipInfo, theirs: zipfile.ZipInfo) -> str | None:
    """How the bytes of one member differ, None where they are the same."""
    try:
        with left.open(ours) as one, right.open(theirs) as two:
            at = first_unlike(one, two)
        if at is None:
            return None
        with left.open(ours) as one, right.open(theirs) as two:
            heads = one.read(_HEAD), two.read(_HEAD)
        if all(_is_text(head) for head in heads):
            with left.open(ours) as one, right.open(theirs) as two:
                told = _lines(one, two)
            if told is not None:
                return told
        if all(head.startswith(b"\x7fELF") for head in heads):
            with left.open(ours) as one, right.open(theirs) as two:
                told = elf_differences(one, two, at)
            if told is not None:
                return told
        with left.open(ours) as one, right.open(theirs) as two:
            return _binary(one, two, heads, at, (ours.file_size, theirs.file_size))
    except _BROKEN as error:
        return f"it cannot be unpacked: {error}"


def _is_text(head: bytes) -> bool:
    if b"\0" in head:
        return False
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        # The head may end within a character.
        return len(head) == _HEAD and error.start >= len(head) - 3
    return True


def _lines(one: IO[bytes], two: IO[bytes]) -> str | None:
    """The first line that differs, and whether the lines are the same in another order."""
    number = 0
    told: str | None = None
    sums = [0, 0]
    for ours, theirs in _pairs(one, two):
        if told is None:
            number += 1
            if ours == theirs:
                continue
            told = _line(number, ours, theirs)
        for place, line in enumerate((ours, theirs)):
            if line:
                digest = hashlib.blake2b(line.rstrip(b"\r\n"), digest_size=16).digest()
                sums[place] = (sums[place] + int.from_bytes(digest, "big")) % (1 << 128)
    if told is not None and sums[0] == sums[1] and " ends in " not in told:
        return f"the same lines in another order, from line {number} on"
    return told


def _pairs(one: IO[bytes], two: IO[bytes]) -> Iterator[tuple[bytes, bytes]]:
    while True:
        ours, theirs = one.readline(_LINE), two.readline(_LINE)
        if not ours and not theirs:
            return
        yield ours, theirs


def _line(number: int, ours: bytes, theirs: bytes) -> str:
    if not ours or not theirs:
        return f"the {'second' if not ours else 'first'} goes on at line {number}: {quoted(ours or theirs)}"
    if ours.rstrip(b"\r\n") == theirs.rstrip(b"\r\n"):
        return f"line {number} ends in {_end(ours)}, then in {_end(theirs)}"
    return f"line {number}: {excerpts(ours.rstrip(), theirs.rstrip())}"


def _end(line: bytes) -> str:
    return "CRLF" if line.endswith(b"\r\n") else "LF" if line.endswith(b"\n") else "CR" if line.endswith(b"\r") else "nothing"


def _binary(one: IO[bytes], two: IO[bytes], heads: tuple[bytes, bytes], at: int, sizes: tuple[int, int]) -> str:
    """What no line and no section tells of: where, and the text around it, if there is one."""
    if sizes[0] == sizes[1] and _alike_but(heads, (8, 12)) and at < 12 and heads[0][2:4] == b"\r\n":
        only = _only_within(one, two, 8, 12)
        if only:
            return "binary: the time of its source in a compiled module (bytes 8 to 11)"
        return f"binary: byte {at} of {_sizes(sizes)}"
    if heads[0][:2] == b"\x1f\x8b" and 4 <= at < 8:
        return "binary: the time in a gzip header (bytes 4 to 7)"
    start = max(0, at - 128)
    _skip(one, start)
    _skip(two, start)
    around = fill(one, 512), fill(two, 512)
    texts = [_printable(piece, at - start) for piece in around]
    words = f": {excerpts(texts[0], texts[1])}" if texts[0] and texts[1] else ""
    return f"binary: byte {at} of {_sizes(sizes)}{words}"


def _alike_but(heads: tuple[bytes, bytes], place: tuple[int, int]) -> bool:
    begin, end = place
    return heads[0][:begin] == heads[1][:begin] and heads[0][end:] == heads[1][end:] and len(heads[0]) >= end


def _only_within(one: IO[bytes], two: IO[bytes], begin: int, end: int) -> bool:
    if fill(one, begin) != fill(two, begin):
        return False
    fill(one, end - begin)
    fill(two, end - begin)
    return first_unlike(one, two) is None


def _skip(stream: IO[bytes], count: int) -> None:
    while count > 0 and (piece := stream.read(min(_BLOCK, count))):
        count -= len(piece)


def _printable(data: bytes, at: int) -> bytes:
    """The run of printable ASCII around ``at``, empty where it is too short to be a text."""
    for run in re.finditer(rb"[\x20-\x7e]{4,}", data):
        if run.start() <= at <= run.end():
            return run.group()
    return b""


def _sizes(sizes: tuple[int, int]) -> str:
    return f"{sizes[0]}" if sizes[0] == sizes[1] else f"{sizes[0]}, then of {sizes[1]}"


def _packing(left: zipfile.ZipFile, right: zipfile.ZipFile, ours: zipfile.ZipInfo, theirs: zipfile.ZipInfo, report: _Report) -> None:
    """The same content, packed in another way."""
    if ours.compress_type != theirs.compress_type:
        methods = [_METHODS.get(info.compress_type, f"method {info.compress_type}") for info in (ours, theirs)]
        report.tally(ours.filename, "compression", f"{methods[0]}, then {methods[1]}")
    elif ours.compress_size != theirs.compress_size:
        report.tally(ours.filename, "compression", f"packed into {ours.compress_size} bytes, then into {theirs.compress_size}")
    elif _packed(left, ours) != _packed(right, theirs):
        report.tally(ours.filename, "compression", f"other packed bytes, {ours.compress_size} of them each time")


def _packed(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """A digest of a member's packed bytes."""
    digest = hashlib.blake2b(digest_size=16)
    with open(str(archive.filename), "rb") as file:
        file.seek(info.header_offset)
        local = file.read(_LOCAL)
        file.seek(int.from_bytes(local[26:28], "little") + int.from_bytes(local[28:30], "little"), 1)
        left = info.compress_size
        while left > 0 and (piece := file.read(min(_BLOCK, left))):
            digest.update(piece)
            left -= len(piece)
    return digest.digest()


def _header(ours: zipfile.ZipInfo, theirs: zipfile.ZipInfo, report: _Report) -> None:
    """What the directory says of one member besides its content."""
    name = ours.filename
    if ours.date_time != theirs.date_time:
        report.tally(name, "time", f"time {_time(ours)}, then {_time(theirs)}")
    if ours.external_attr >> 16 != theirs.external_attr >> 16:
        report.tally(name, "mode", f"mode {_mode(ours)}, then {_mode(theirs)}")
    words: list[str] = []
    fields: tuple[tuple[str, Callable[[zipfile.ZipInfo], object]], ...] = (
        ("flags", lambda info: f"{info.flag_bits:#06x}"),
        ("made by system", lambda info: info.create_system),
        ("made by version", lambda info: info.create_version),
        ("needs version", lambda info: info.extract_version),
        ("internal attributes", lambda info: info.internal_attr),
        ("DOS attributes", lambda info: f"{info.external_attr & 0xFFFF:#06x}"),
        ("extra fields", lambda info: info.extra[:64].hex() or "none"),
    )
    for label, of in fields:
        if of(ours) != of(theirs):
            words.append(f"{label} {of(ours)}, then {of(theirs)}")
    if words:
        report.tally(name, "flags", "; ".join(words))
    if ours.comment != theirs.comment:
        report.tally(name, "comment", f"its comment: {quoted(ours.comment)}, then {quoted(theirs.comment)}")


def _time(info: zipfile.ZipInfo) -> str:
    year, month, day, hour, minute, second = info.date_time
    return f"{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}"


def _mode(info: zipfile.ZipInfo) -> str:
    return stat.filemode(info.external_attr >> 16)


def _order(
    ours: dict[tuple[str, int], zipfile.ZipInfo],
    theirs: dict[tuple[str, int], zipfile.ZipInfo],
    report: _Report,
) -> None:
    """Members in another order, in the directory or by the place of their bytes."""

    def common(rows: dict[tuple[str, int], zipfile.ZipInfo], others: dict[tuple[str, int], zipfile.ZipInfo], by_place: bool) -> list[str]:
        keys: Sequence[tuple[str, int]] = [key for key in rows if key in others]
        if by_place:
            keys = sorted(keys, key=lambda key: rows[key].header_offset)
        return [name for name, _ in keys]

    for by_place, where in ((False, "the directory"), (True, "the archive")):
        one, two = common(ours, theirs, by_place), common(theirs, ours, by_place)
        for number, (name, other) in enumerate(zip(one, two, strict=True), 1):
            if name != other:
                report.add("", "order", f"the order of members in {where}: number {number} is {_short(name)}, then {_short(other)}")
                return


def _follows(
    left: zipfile.ZipFile, right: zipfile.ZipFile, ours: zipfile.ZipInfo, theirs: zipfile.ZipInfo, unlike: set[str], missing: set[str]
) -> bool:
    """True if a RECORD differs only in what its rows say of members that differ themselves, and in rows of those that are missing."""
    try:
        with left.open(ours) as one, right.open(theirs) as two:
            return _other_rows(one, unlike, missing) == _other_rows(two, unlike, missing)
    except _BROKEN:
        return False


def _other_rows(stream: IO[bytes], unlike: set[str], missing: set[str]) -> bytes:
    """A digest of the rows of a RECORD, in order; of ``unlike`` members only their names, of ``missing`` ones nothing."""
    digest = hashlib.blake2b(digest_size=16)
    while line := stream.readline(_LINE):
        field = line.rsplit(b",", 2)[0]
        name = field.decode("utf-8", "replace")
        if name.startswith('"') and name.endswith('"'):
            name = name[1:-1].replace('""', '"')
        if name not in missing:
            digest.update(field + b"\n" if name in unlike else line)
    return digest.digest()


def _unlike(first: Path, second: Path) -> int | None:
    with open(first, "rb") as one, open(second, "rb") as two:
        return first_unlike(one, two)


def _elsewhere(archive: zipfile.ZipFile, at: int) -> MemberDifference:
    """Bytes that belong to no content and no entry of the directory."""
    before = [info for info in archive.infolist() if info.header_offset <= at]
    member = max(before, key=lambda info: info.header_offset).filename if before and at < archive.start_dir else ""
    where = "its local header" if member else "its end" if at >= archive.start_dir else "its start"
    return MemberDifference(member=_short(member), kind="archive", detail=f"byte {at} of the archive, in {where}")


def _short(name: str) -> str:
    shown = "".join(character if character.isprintable() else "\ufffd" for character in name)
    return shown if len(shown) <= 200 else f"{shown[:98]}...{shown[-99:]}"

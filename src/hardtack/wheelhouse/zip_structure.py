"""A ZIP's directory, read by hand, so that every reader of the file must see the same members.

Two readers of one ZIP may disagree (the last end record or the first, central or local headers, bytes before, between and after the
members). Only files on which none can disagree pass: members lie back to back from byte 0 to the directory, the directory touches the end
record, the end record ends the file. Numbers are those of PKWARE's APPNOTE 6.3.
"""

from __future__ import annotations

import struct
import zlib
from typing import BinaryIO, NamedTuple

from hardtack.wheelhouse.faults import Faults
from hardtack.wheelhouse.limits import MIB, Limits

BLOCK = MIB
STORED, DEFLATED = 0, 8
_END = struct.Struct("<4s4H2LH")
_LOCATOR = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
LOCAL = struct.Struct("<4s5H3L2H")
_EXTRA = struct.Struct("<2H")
_FULL16, FULL32 = 0xFFFF, 0xFFFFFFFF
_ENCRYPTED = 1 << 0 | 1 << 6 | 1 << 13
DESCRIPTOR, UTF8 = 1 << 3, 1 << 11
_KNOWN_FLAGS = _ENCRYPTED | 1 << 1 | 1 << 2 | DESCRIPTOR | UTF8
_ZIP64, _UNICODE_PATH = 0x0001, 0x7075
_ENCRYPTION_EXTRAS = frozenset({0x0014, 0x0015, 0x0016, 0x0017, 0x9901})


class Entry(NamedTuple):  # a tuple, not a dataclass: there are hundreds of thousands in a wheelhouse, and a tuple is made six times faster
    """One member as the central directory tells it. ``mode`` is the Unix mode in the external attributes, 0 where there is none.

    ``following`` is the offset at which the next member, or the directory, begins.
    """

    name: str
    raw: bytes
    flags: int
    method: int
    needed: int
    stamp: tuple[int, int]
    crc: int
    packed: int
    size: int
    offset: int
    mode: int
    following: int


class Window:
    """A file's bytes by position, read in blocks: memory stays flat whatever the file's size."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self.size = size
        self._start = 0
        self._filled = 0
        self._buffer = memoryview(bytearray(min(BLOCK, size)))

    def take(self, position: int, length: int) -> memoryview:
        """``length`` bytes at ``position``, at most one block; good until the next call. Short only where the file ends."""
        begin = position - self._start
        if begin < 0 or begin + length > self._filled:
            self._file.seek(position)
            filled, room = 0, len(self._buffer)
            while filled < room and (count := self._file.readinto(self._buffer[filled:])):  # type: ignore[attr-defined]
                filled += count
            self._start, self._filled, begin = position, filled, 0
        return self._buffer[begin : min(begin + length, self._filled)]

    def read(self, position: int, length: int) -> bytes:
        """A copy of ``length`` bytes at ``position``, of any length."""
        parts = []
        while length > 0 and (part := self.take(position, min(length, BLOCK))):
            parts.append(bytes(part))
            position += len(part)
            length -= len(part)
        return b"".join(parts)


class _Layout(NamedTuple):
    members: int
    start: int
    end: int


def read_directory(window: Window, faults: Faults, limits: Limits) -> list[Entry]:
    """The members in the order of their bytes. Whatever is wrong with the directory is in ``faults``; then the list may be partial."""
    layout = _read_end(window, faults, limits)
    if layout is None:
        return []
    entries = _read_central(window, layout, faults)
    entries.sort(key=_offset)
    _check_layout(entries, layout, window.size, faults, limits)
    return _linked(entries, layout.start)


def _offset(entry: Entry) -> int:
    return entry.offset


def _linked(entries: list[Entry], end: int) -> list[Entry]:
    if not entries:
        return []
    following = [entry.offset for entry in entries[1:]] + [end]
    return [Entry(*entry[:-1], after) for entry, after in zip(entries, following, strict=True)]


def describe_foreign(head: bytes) -> str | None:
    """What a file that is no ZIP most likely is, from its first bytes."""
    start = head.lstrip()[:15].lower()
    if start.startswith((b"<!doctype", b"<html", b"<?xml")):
        return "an HTML or XML page (an error page or a login form, most likely)"
    for magic, kind in (
        (b"\x1f\x8b", "gzip data"), (b"BZh", "bzip2 data"), (b"\xfd7zXZ\x00", "xz data"), (b"7z\xbc\xaf", "a 7-Zip archive"),
        (b"version https://git-lfs", "a Git LFS pointer"), (b"{", "JSON"),
    ):  # fmt: skip
        if head.startswith(magic):
            return kind
    return None


def _read_end(window: Window, faults: Faults, limits: Limits) -> _Layout | None:
    size = window.size
    if size == 0:
        faults.error("zip-structure", "the file is empty", hint="the download was cut off, or the index serves an empty file")
        return None
    tail_start = max(0, size - _END.size - _FULL16)
    tail = window.read(tail_start, size - tail_start)
    found = tail.rfind(b"PK\5\6")
    if found < 0 or len(tail) - found < _END.size:
        kind = describe_foreign(window.read(0, 64))
        message = f"the file is {kind}, not a ZIP archive" if kind else "no end record of a ZIP archive: cut off, or not a ZIP archive"
        faults.error("zip-structure", message)
        return None
    _, disk, first_disk, here, count, length, start, comment = _END.unpack_from(tail, found)
    end_position = tail_start + found
    surplus = size - end_position - _END.size - comment
    if surplus > 0:
        faults.error("zip-structure", f"{surplus} bytes follow the end record")
        return None
    if surplus < 0:
        faults.error("zip-structure", f"the end record announces a comment of {comment} bytes, {-surplus} of them are missing")
        return None
    directory_end = end_position
    locator_position = end_position - _LOCATOR.size
    locator = window.read(locator_position, _LOCATOR.size) if locator_position >= 0 else b""
    sentinel = _FULL16 in (disk, first_disk, here, count) or FULL32 in (length, start)
    if locator[:4] == b"PK\6\7":
        values = _read_end64(window, locator, locator_position, faults)
        if values is None:
            return None
        here64, count64, length64, start64, directory_end = values
        for label, short, full, whole in (
            ("members on this disk", here, _FULL16, here64), ("members", count, _FULL16, count64),
            ("directory size", length, FULL32, length64), ("directory offset", start, FULL32, start64),
        ):  # fmt: skip
            if short not in (full, whole):
                faults.error("zip-structure", f"the end record says {label} {short}, the zip64 end record {whole}")
                return None
        here, count, length, start = here64, count64, length64, start64
        disk, first_disk = disk % _FULL16, first_disk % _FULL16
    elif sentinel:
        faults.error("zip-structure", "the end record refers to a zip64 end record that is not there")
        return None
    if disk or first_disk or here != count:
        faults.error("zip-structure", f"the archive is part of a set (disk {disk}, {here} of {count} members here)")
        return None
    if start + length != directory_end:
        faults.error(
            "zip-structure",
            f"the directory is said to span bytes {start} to {start + length}, but its end record begins at {directory_end}",
        )
        return None
    if length > limits.directory or count > limits.entries:
        faults.error("zip-bomb", f"{count} members in a directory of {length} bytes; at most {limits.entries} and {limits.directory}")
        return None
    return _Layout(count, start, directory_end)


def _read_end64(window: Window, locator: bytes, locator_position: int, faults: Faults) -> tuple[int, int, int, int, int] | None:
    _, disk, position, disks = _LOCATOR.unpack(locator)
    record = window.read(position, _END64.size) if position <= locator_position else b""
    if len(record) < _END64.size or record[:4] != b"PK\6\6":
        faults.error("zip-structure", f"the zip64 locator points to byte {position}, where no zip64 end record is")
        return None
    _, length, _, _, this_disk, first_disk, here, count, size, start = _END64.unpack(record)
    if length != _END64.size - 12 or position + _END64.size != locator_position:
        faults.error("zip-structure", f"the zip64 end record of {length + 12} bytes at {position} does not end at its locator")
        return None
    if disk or this_disk or first_disk or disks > 1:
        faults.error("zip-structure", "the zip64 records belong to an archive of several disks")
        return None
    return here, count, size, start, position


def _read_central(window: Window, layout: _Layout, faults: Faults) -> list[Entry]:
    data = window.read(layout.start, layout.end - layout.start)
    entries: list[Entry] = []
    add = entries.append
    position, end = 0, len(data)
    for number in range(layout.members):
        if position + 46 > end or data[position : position + 4] != b"PK\1\2":
            faults.error("zip-structure", f"the directory announces {layout.members} members, record {number + 1} is missing or damaged")
            return entries
        (
            _, _, needed, flags, method, time, date, crc, packed, size, name_length, extra_length, comment_length,
            disk, _, attributes, offset,
        ) = _CENTRAL.unpack_from(data, position)  # fmt: skip
        position += 46
        raw = data[position : position + name_length]
        extra = data[position + name_length : position + name_length + extra_length]
        position += name_length + extra_length + comment_length
        if position > end:
            faults.error("zip-structure", f"record {number + 1} of the directory runs past the directory's end")
            return entries
        name = decode_name(raw, flags, faults)
        if extra or FULL32 in (packed, size, offset) or disk:
            fields = read_extra(extra, raw, name, faults, where="directory")
            size, packed, offset, disk = _widen(fields, (size, packed, offset, disk), name, faults)
            if disk:
                faults.error("zip-structure", f"{name!r} is said to begin on disk {disk}")
        if flags & ~0b100000001110 or method not in (STORED, DEFLATED) or needed & 0xFF > 63:
            _check_coding(name, flags, method, needed, faults)
        add(Entry(name, raw, flags, method, needed, (time, date), crc, packed, size, offset, attributes >> 16, 0))
    if position != end:
        faults.error("zip-structure", f"{end - position} bytes of the directory are no record of a member")
    return entries


def _check_coding(name: str, flags: int, method: int, needed: int, faults: Faults) -> None:
    if flags & _ENCRYPTED:
        faults.error("zip-structure", f"{name!r} is encrypted")
    if flags & ~_KNOWN_FLAGS:
        faults.error("zip-structure", f"{name!r} has unknown flags {flags & ~_KNOWN_FLAGS:#06x}")
    if method not in (STORED, DEFLATED):
        faults.error("zip-structure", f"{name!r} uses compression method {method}; wheels are stored (0) or deflated (8)")
    if needed & 0xFF > 63:
        faults.error("zip-structure", f"{name!r} needs version {needed / 10:.1f} of the ZIP format")


def decode_name(raw: bytes, flags: int, faults: Faults) -> str:
    """A member's name as text; what cannot be read in one way only goes to ``faults``."""
    if raw.isascii():
        return raw.decode("ascii")
    try:
        name = raw.decode("utf-8")
    except UnicodeDecodeError:
        faults.error("zip-name", f"the name {raw!r} is not UTF-8")
        return raw.decode("utf-8", "backslashreplace")
    if not flags & UTF8:
        faults.error("zip-name", f"the name {name!r} is not ASCII and not marked as UTF-8: readers decode it differently")
    return name


def read_extra(extra: bytes, raw: bytes, name: str, faults: Faults, *, where: str) -> bytes | None:
    """The data of the zip64 field among a header's extra fields, None where there is none; other fields are checked."""
    zip64: bytes | None = None
    position, end = 0, len(extra)
    while position < end:
        if position + 4 > end:
            # Alignment tools pad with up to three zero bytes.
            if extra[position:].strip(b"\0"):
                faults.error("zip-structure", f"{name!r}: {end - position} stray bytes among the extra fields of its {where} header")
            return zip64
        kind, length = _EXTRA.unpack_from(extra, position)
        position += 4
        data = extra[position : position + length]
        if len(data) != length:
            faults.error("zip-structure", f"{name!r}: extra field {kind:#06x} of its {where} header is cut off")
            return zip64
        if kind == _ZIP64:
            if zip64 is not None:
                faults.error("zip-structure", f"{name!r}: two zip64 fields in its {where} header")
            zip64 = data
        elif kind == _UNICODE_PATH:
            # Info-ZIP: version 1, CRC-32 of the header's name, the name in UTF-8. Some readers obey it, others don't.
            if length < 5 or data[0] != 1 or int.from_bytes(data[1:5], "little") != zlib.crc32(raw) or data[5:] != raw:
                other = data[5:].decode("utf-8", "backslashreplace")
                faults.error("zip-name", f"{name!r}: a Unicode Path field of its {where} header calls it {other!r}")
        elif kind in _ENCRYPTION_EXTRAS:
            faults.error("zip-structure", f"{name!r}: extra field {kind:#06x} of its {where} header is for encrypted members")
        position += length
    return zip64


def _widen(field: bytes | None, values: tuple[int, int, int, int], name: str, faults: Faults) -> tuple[int, int, int, int]:
    """Unpacked size, packed size, offset and disk, with those that a zip64 field must give taken from it."""
    fulls = (FULL32, FULL32, FULL32, _FULL16)
    wanted = [index for index, (value, full) in enumerate(zip(values, fulls, strict=True)) if value == full]
    if field is None:
        if wanted:
            faults.error("zip-structure", f"{name!r}: its sizes are to be in a zip64 field that is not there")
        return values
    widths = (8, 8, 8, 4)
    if len(field) == sum(widths[index] for index in wanted):
        indices = wanted
    elif len(field) in (8, 16, 24, 28):
        # Some writers give every value, needed or not, in the field's order.
        indices = list(range({8: 1, 16: 2, 24: 3, 28: 4}[len(field)]))
    else:
        faults.error("zip-structure", f"{name!r}: its zip64 field of {len(field)} bytes does not hold the {len(wanted)} values it must")
        return values
    if not set(wanted) <= set(indices):
        faults.error("zip-structure", f"{name!r}: its zip64 field of {len(field)} bytes is too short for the sizes it must carry")
        return values
    result, position = list(values), 0
    for index in indices:
        value = int.from_bytes(field[position : position + widths[index]], "little")
        position += widths[index]
        if index in wanted:
            result[index] = value
        elif value != values[index]:
            faults.error("zip-structure", f"{name!r}: its zip64 field says {value} where its header says {values[index]}")
    return result[0], result[1], result[2], result[3]


def _check_layout(entries: list[Entry], layout: _Layout, file_size: int, faults: Faults, limits: Limits) -> None:
    """Members lie back to back, as far as the directory alone can tell, and are not absurdly large."""
    position, total, previous = 0, 0, "the start of the file"
    for entry in entries:
        least = entry.offset + LOCAL.size + len(entry.raw) + entry.packed
        if entry.offset < position:
            faults.error("zip-structure", f"{entry.name!r} at byte {entry.offset} overlaps {previous}, which ends at {position} or later")
        if least > layout.start:
            faults.error("zip-structure", f"{entry.name!r} is said to have {entry.packed} bytes at {entry.offset}: more than the file has")
        if entry.size > limits.ratio_from and entry.size > limits.ratio * max(entry.packed, 1):
            faults.error("zip-bomb", f"{entry.name!r} would grow from {entry.packed} to {entry.size} bytes")
        total += entry.size
        position, previous = max(position, least), repr(entry.name)
    if entries and entries[0].offset != 0:
        faults.error("zip-structure", f"{entries[0].offset} bytes lie before the first member")
    if not entries and layout.start != 0:
        faults.error("zip-structure", f"{layout.start} bytes lie before an empty directory")
    if total > limits.total or (total > limits.ratio_from and total > limits.ratio * file_size):
        faults.error("zip-bomb", f"{file_size} bytes would grow to {total}")

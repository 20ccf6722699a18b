"""Two ELF files that differ, told by their sections."""

from __future__ import annotations

import struct
import tempfile
from typing import IO

from hardtack.building.compare_text import excerpts, fill, first_unlike

_BLOCK = 1 << 16
_IN_MEMORY = 16 << 20
_LARGEST = 1 << 30  # bytes of a file that is put on disk to be looked into
_SECTIONS = 2_000
_NAMES = 1 << 20  # bytes of the table of names
_SHOWN = 6
_NOBITS = 8
_KNOWN = {
    ".note.gnu.build-id": "the build id",
    ".comment": "the compiler's version",
    ".gnu_debuglink": "the name of its debugging file",
    ".text": "code",
    ".symtab": "symbols",
    ".strtab": "symbols",
}
# Where a text that differs is likely to tell the cause.
_TELLING = (".rodata", ".data", ".debug_str", ".debug_line_str", ".comment", ".strtab", ".dynstr")


class _Odd(Exception):
    """The file has no table of sections that can be followed."""


def elf_differences(one: IO[bytes], two: IO[bytes], at: int) -> str | None:
    """In which sections two ELF files differ; None where their tables of sections tell nothing.

    ``at`` is the first byte that differs. What the files say of themselves is bounded: hostile ones tell nothing.
    """
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as left, tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as right:
        if not _copy(one, left) or not _copy(two, right):
            return None
        try:
            ours, theirs = _sections(left), _sections(right)
        except (_Odd, struct.error):
            return None
        told = [f"section {name}, which only the first has" for name in ours if name not in theirs]
        told += [f"section {name}, which only the second has" for name in theirs if name not in ours]
        for name, (place, size) in ours.items():
            if name not in theirs:
                continue
            there, length = theirs[name]
            left.seek(place)
            right.seek(there)
            inside = first_unlike(left, right, limit=min(size, length))
            if inside is None and size == length:
                continue
            told.append(f"section {_named(name)}{_text(left, right, name, place, there, inside, size, length)}")
        if not told:
            return f"ELF: byte {at}, in no section"
        more = f" and {len(told) - _SHOWN} more" if len(told) > _SHOWN else ""
        return f"ELF: {'; '.join(told[:_SHOWN])}{more}"


def _named(name: str) -> str:
    if name.startswith(".debug_"):
        return f"{name} (debugging information)"
    return f"{name} ({_KNOWN[name]})" if name in _KNOWN else name


def _text(left: IO[bytes], right: IO[bytes], name: str, place: int, there: int, inside: int | None, size: int, length: int) -> str:
    """The text at the first difference of a section that has texts."""
    if inside is None:
        return f" of {size} bytes, then of {length}"
    if not name.startswith(_TELLING):
        return ""
    pieces = []
    for stream, begin, end in ((left, place, size), (right, there, length)):
        start = max(0, inside - 256)
        stream.seek(begin + start)
        data = fill(stream, min(1024, end - start))
        middle = inside - start
        first = data.rfind(b"\0", 0, middle) + 1
        last = data.find(b"\0", middle)
        pieces.append(data[first : last if last >= 0 else len(data)])
    if not all(piece and all(byte in b"\t\n\r" or 0x20 <= byte < 0x7F for byte in piece) for piece in pieces):
        return ""
    return f": {excerpts(pieces[0], pieces[1])}"


def _copy(source: IO[bytes], target: IO[bytes]) -> bool:
    total = 0
    while piece := source.read(_BLOCK):
        total += len(piece)
        if total > _LARGEST:
            return False
        target.write(piece)
    return True


def _sections(file: IO[bytes]) -> dict[str, tuple[int, int]]:
    """Place and size of each section by its name; a name that comes again is numbered."""
    size = file.seek(0, 2)
    head = _at(file, 0, 64, size)
    wide, order = head[4] == 2, "<" if head[5] == 1 else ">"
    (table,) = struct.unpack_from(order + ("Q" if wide else "I"), head, 40 if wide else 32)
    length, count, names = struct.unpack_from(order + "HHH", head, 58 if wide else 46)
    if not 0 < count <= _SECTIONS or length < (64 if wide else 40) or names >= count:
        raise _Odd
    rows: list[tuple[int, int, int, int]] = []
    for number in range(count):
        row = _at(file, table + number * length, length, size)
        if wide:
            name, kind, _, _, place, bytes_ = struct.unpack_from(order + "IIQQQQ", row)
        else:
            name, kind, _, _, place, bytes_ = struct.unpack_from(order + "IIIIII", row)
        if kind == _NOBITS:
            place, bytes_ = 0, 0
        if place + bytes_ > size:
            raise _Odd
        rows.append((name, kind, place, bytes_))
    texts = _at(file, rows[names][2], min(rows[names][3], _NAMES), size)
    found: dict[str, tuple[int, int]] = {}
    for name, kind, place, bytes_ in rows:
        if kind == 0:
            continue
        text = texts[name : name + 128].split(b"\0", 1)[0].decode("ascii", "replace")
        shown = "".join(character if character.isprintable() else "?" for character in text) or "without name"
        unique, again = shown, 2
        while unique in found:
            unique, again = f"{shown} {again}", again + 1
        found[unique] = (place, bytes_)
    return found


def _at(file: IO[bytes], place: int, length: int, size: int) -> bytes:
    if place < 0 or place + length > size:
        raise _Odd
    file.seek(place)
    data = file.read(length)
    if len(data) != length:
        raise _Odd
    return data

"""A ZIP member's bytes: its local header compared with the directory, inflated in pieces, its size and CRC checked."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from hardtack.wheelhouse.faults import Faults
from hardtack.wheelhouse.zip_structure import BLOCK, DEFLATED, DESCRIPTOR, FULL32, LOCAL, Entry, Window, read_extra

_ONE_PIECE = 4 * BLOCK
_PIECE = BLOCK


class MemberFault(Exception):
    """A member cannot be read, or is not what its headers say."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def read_member(window: Window, entry: Entry, faults: Faults, *, limit: int) -> bytes | None:
    """A small member whole, or None: then ``faults`` says why. A member above ``limit`` bytes is not even begun."""
    if entry.size > limit:
        faults.error("zip-bomb", f"{entry.name!r} has {entry.size} bytes; at most {limit} are read of such a file")
        return None
    try:
        return b"".join(bytes(piece) for piece in pieces(window, entry, faults))
    except MemberFault as fault:
        faults.error(fault.code, fault.message)
        return None


def pieces(window: Window, entry: Entry, faults: Faults) -> Iterator[bytes | memoryview]:
    """The member's bytes in pieces of a few MiB at most, each good until the next is asked for. Raises MemberFault.

    Only when the last piece was taken and the iterator ended well are size, CRC and layout known to be right.
    """
    start = _open(window, entry, faults)
    total, crc = 0, 0
    source: Iterator[bytes | memoryview]
    if entry.method == DEFLATED:
        source = _inflate(window, entry, start)
    else:
        if entry.packed != entry.size:
            raise MemberFault("zip-structure", f"{entry.name!r} is stored, yet {entry.packed} bytes are to become {entry.size}")
        source = _packed(window, start, entry.packed)
    for piece in source:
        crc = zlib.crc32(piece, crc)
        total += len(piece)
        if total > entry.size:
            break
        yield piece
    if total != entry.size:
        more = "more than " if total > entry.size else ""
        counted = entry.size if more else total
        raise MemberFault("zip-structure", f"{entry.name!r} has {more}{counted} bytes, its header says {entry.size}")
    if crc != entry.crc:
        raise MemberFault("zip-crc", f"{entry.name!r} has CRC-32 {crc:08x}, its header says {entry.crc:08x}")


def _packed(window: Window, position: int, length: int) -> Iterator[memoryview]:
    while length > 0:
        piece = window.take(position, min(length, BLOCK))
        if not piece:
            return
        yield piece
        position += len(piece)
        length -= len(piece)


def _inflate(window: Window, entry: Entry, start: int) -> Iterator[bytes]:
    inflater = zlib.decompressobj(-15)
    # Asking for one byte more than announced shows a member that is longer, without ever making it.
    room = entry.size + 1 if entry.size < _ONE_PIECE else _PIECE
    try:
        for packed in _packed(window, start, entry.packed):
            if inflater.eof:
                raise MemberFault("zip-structure", f"{entry.name!r}: packed bytes follow the end of its deflate stream")
            yield inflater.decompress(packed, room)
            while inflater.unconsumed_tail and not inflater.eof:
                if piece := inflater.decompress(inflater.unconsumed_tail, room):
                    yield piece
        while not inflater.eof:
            piece = inflater.decompress(inflater.unconsumed_tail, room)
            if not piece and not inflater.eof:
                raise MemberFault("zip-structure", f"{entry.name!r}: its deflate stream does not end within its {entry.packed} bytes")
            yield piece
    except zlib.error as error:
        raise MemberFault("zip-structure", f"{entry.name!r} cannot be inflated: {error}") from None
    if inflater.unused_data:
        raise MemberFault("zip-structure", f"{entry.name!r}: {len(inflater.unused_data)} packed bytes follow the end of its deflate stream")


def _open(window: Window, entry: Entry, faults: Faults) -> int:
    """Where the member's packed bytes begin, after its local header and what follows its data are found to agree with the directory."""
    header = window.take(entry.offset, LOCAL.size + len(entry.raw))
    if len(header) < LOCAL.size or bytes(header[:4]) != b"PK\3\4":
        raise MemberFault("zip-structure", f"{entry.name!r}: there is no member at byte {entry.offset}")
    fields: tuple[int, ...] = LOCAL.unpack_from(header)[1:]
    needed, flags, method, time, date, crc, packed, size, name_length, extra_length = fields
    if header[LOCAL.size :] != entry.raw or name_length != len(entry.raw):
        other = window.read(entry.offset + LOCAL.size, name_length).decode("utf-8", "backslashreplace")
        raise MemberFault("zip-structure", f"{entry.name!r} is called {other!r} in its local header")
    start = entry.offset + LOCAL.size + name_length
    if extra_length:
        field = read_extra(window.read(start, extra_length), entry.raw, entry.name, faults, where="local")
        start += extra_length
        if field is not None:
            # In a local header both sizes must be there (APPNOTE 4.5.3). Some readers prefer them even where the header has sizes too.
            sizes = int.from_bytes(field[:8], "little"), int.from_bytes(field[8:16], "little")
            if sizes != (entry.size, entry.packed) and not (flags & DESCRIPTOR and sizes == (0, 0)):
                raise MemberFault("zip-structure", f"{entry.name!r}: the zip64 field of its local header contradicts the directory")
            size = sizes[0] if size == FULL32 else size
            packed = sizes[1] if packed == FULL32 else packed
    for label, here, there in (
        ("compression method", method, entry.method),
        ("flags", flags, entry.flags),
        ("version needed", needed, entry.needed),
        ("time", (time, date), entry.stamp),
    ):
        if here != there:
            raise MemberFault("zip-structure", f"{entry.name!r}: {label} {here} in its local header, {there} in the directory")
    gap = entry.following - start - entry.packed
    if flags & DESCRIPTOR:
        # Sizes follow the data; the local header holds zeros, or the same values if the writer knew them.
        agree = crc in (0, entry.crc) and packed in (0, FULL32, entry.packed) and size in (0, FULL32, entry.size)
        if not agree or not _descriptor_fits(window.read(start + entry.packed, max(0, min(gap, 25))), entry):
            raise MemberFault("zip-structure", f"{entry.name!r}: its data descriptor or local header contradicts the directory")
        return start
    if (crc, packed, size) != (entry.crc, entry.packed, entry.size):
        raise MemberFault(
            "zip-structure",
            f"{entry.name!r}: its local header says {packed} bytes of {size}, CRC-32 {crc:08x}; "
            f"the directory {entry.packed} of {entry.size}, {entry.crc:08x}",
        )
    if gap:
        fault = f"{gap} bytes of no member follow it" if gap > 0 else "it runs into what follows it"
        raise MemberFault("zip-structure", f"{entry.name!r}: {fault}")
    return start


def _descriptor_fits(data: bytes, entry: Entry) -> bool:
    """True if ``data`` is the member's data descriptor and nothing else: signed or not, with sizes of 4 or of 8 bytes."""
    crc = entry.crc.to_bytes(4, "little")
    for width in (4, 8):
        if entry.packed >> (8 * width) or entry.size >> (8 * width):
            continue
        body = crc + entry.packed.to_bytes(width, "little") + entry.size.to_bytes(width, "little")
        if data in (body, b"PK\7\x08" + body):
            return True
    return False

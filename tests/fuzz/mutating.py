"""Ways to damage bytes: any bytes, and with the structure of ZIP and tar in mind, so that damage reaches what lies behind checksums."""

from __future__ import annotations

import gzip
import struct
import zlib
from random import Random

from tests.corpus.flips import spans

_NUMBERS = (
    0,
    1,
    2,
    7,
    8,
    45,
    46,
    63,
    64,
    0x7F,
    0x80,
    0xFF,
    0x100,
    0x7FFF,
    0x8000,
    0xFFFE,
    0xFFFF,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFE,
    0xFFFFFFFF,
)
_WORDS = (
    b"../",
    b"/",
    b"\\",
    b"\0",
    b"\n",
    b"\r",
    b"\xff",
    b"\xed\xa0\x80",
    b"\xe2\x80\xae",
    b"PK\3\4",
    b"PK\1\2",
    b"PK\5\6",
    b"PK\6\6",
    b"PK\6\7",
    b"PK\7\x08",
    b"<a href=",
    b"<!--",
    b"-->",
    b'"',
    b"'",
    b"&#99999999;",
    b"[",
    b"{",
    b"]",
    b"}",
    b",",
    b"=",
    b"9" * 300,
    b"\\ud800",
    b"sha256=",
    b"==",
    b";",
    b"(",
    b"#",
    b"RECORD",
    b".dist-info/",
    b".data/scripts/",
    b"path=",
    b"size=",
    b"e1",
    b"-",
    b"@ file:///",
)


def damaged(data: bytes, others: list[bytes], chance: Random, *, times: int | None = None) -> bytes:
    """A few random changes, blind to what the bytes are."""
    hurt = bytearray(data)
    for _ in range(times or chance.choice((1, 1, 1, 2, 2, 3, 5, 9))):
        at = chance.randrange(len(hurt) + 1) if hurt else 0
        length = min(chance.choice((1, 1, 2, 4, 8, 16, 64, 512)), max(len(hurt) - at, 0))
        way = chance.randrange(10)
        if way == 0 and length:
            hurt[at] ^= 1 << chance.randrange(8)
        elif way == 1 and length:
            hurt[at] = chance.randrange(256)
        elif way == 2:
            del hurt[at : at + length]
        elif way == 3:
            hurt[at:at] = chance.choice(_WORDS)
        elif way == 4:
            word = chance.choice(_WORDS)
            hurt[at : at + len(word)] = word
        elif way == 5:
            width = chance.choice((2, 4, 8))
            hurt[at : at + width] = (chance.choice(_NUMBERS) % (1 << (8 * width))).to_bytes(width, "little")
        elif way == 6:
            hurt[at:at] = hurt[at : at + length] * chance.choice((1, 1, 3, 40))
        elif way == 7 and chance.random() < 0.3:
            del hurt[at:]
        elif way == 8 and others:
            other = chance.choice(others)
            begin = chance.randrange(len(other) + 1)
            hurt[at : at + length] = other[begin : begin + chance.choice((8, 64, 512, len(other)))]
        elif length:
            place = chance.randrange(len(hurt))
            hurt[place : place + length] = hurt[at : at + length]
    return bytes(hurt)


def damaged_zip(data: bytes, others: list[bytes], chance: Random) -> bytes:
    """One or two fields of a sound ZIP set to something else, in one header or in both of a member."""
    hurt = bytearray(data)
    try:
        found = spans(data)
    except Exception:
        return damaged(data, others, chance)
    fields = [span for span in found if 0 < span.length <= 8 and "content" not in span.kind and "signature" not in span.kind]
    for _ in range(chance.choice((1, 1, 2, 3)) if fields else 0):
        span = chance.choice(fields)
        value = chance.choice(_NUMBERS) if chance.random() < 0.7 else chance.randrange(1 << (8 * span.length))
        new = (value % (1 << (8 * span.length))).to_bytes(span.length, "little")
        twins = [span]
        if chance.random() < 0.5:
            # The same field of the other header of the same member.
            label = span.kind.partition(": ")[2]
            same = [one for one in found if one.kind == span.kind]
            other = [one for one in found if one.kind.partition(": ")[2] == label and one.kind != span.kind and one.length == span.length]
            place = same.index(span)
            twins += other[place : place + 1]
        for twin in twins:
            hurt[twin.start : twin.start + twin.length] = new
    return bytes(hurt)


def rebuilt_tar(data: bytes, others: list[bytes], chance: Random) -> bytes:
    """The tar inside a gzip file damaged, its headers' checksums made right again, and packed anew."""
    try:
        raw = zlib.decompress(data, 31)
    except zlib.error:
        return damaged(data, others, chance)
    hurt = bytearray(raw)
    headers = [position for position in range(0, len(raw) - 511, 512) if raw[position + 257 : position + 262] == b"ustar"]
    for _ in range(chance.choice((1, 1, 2, 3))):
        if headers and chance.random() < 0.8:
            start = chance.choice(headers)
            offset, length = chance.choice(((0, 100), (100, 8), (124, 12), (136, 12), (156, 1), (157, 100), (257, 8), (345, 155)))
            field = bytes(hurt[start + offset : start + offset + length])
            new = damaged(field, [raw[:512]], chance, times=1)[:length].ljust(length, b"\0")
            if offset == 156:
                new = chance.choice((b"0", b"\0", b"1", b"2", b"3", b"5", b"6", b"7", b"x", b"g", b"L", b"K", b"S", b"Z"))
            hurt[start + offset : start + offset + length] = new
            head = bytes(hurt[start : start + 148]) + b" " * 8 + bytes(hurt[start + 156 : start + 512])
            hurt[start + 148 : start + 156] = b"%06o\0 " % sum(head)
        elif headers and chance.random() < 0.5:
            # A member moved or doubled, whole.
            start = chance.choice(headers)
            digits = bytes(raw[start + 124 : start + 135])
            size = 512 + (-(-int(digits, 8) // 512) * 512 if not digits.strip(b"01234567") and digits else 0)
            place = chance.choice(headers)
            hurt[place:place] = raw[start : start + size]
        else:
            hurt = bytearray(damaged(bytes(hurt), others, chance, times=1))
    return gzip.compress(bytes(hurt), 1, mtime=0)


def mutated(kind: str, data: bytes, others: list[bytes], chance: Random) -> bytes:
    """One mutant of a seed."""
    way = chance.random()
    if kind == "wheel":
        if way < 0.5:
            return damaged_zip(data, others, chance)
        if way < 0.8:
            return _inside_wheel(data, others, chance)
    elif kind == "sdist" and way < 0.8:
        return rebuilt_tar(data, others, chance)
    return damaged(data, others, chance)


def _inside_wheel(data: bytes, others: list[bytes], chance: Random) -> bytes:
    """A file of the wheel damaged, the archive sound again; RECORD right again, or not."""
    import io
    import zipfile

    from tests.wheelhouse_archives.raw_zip import Member, digest, write_zip

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            files = [(member.filename, archive.read(member)) for member in archive.infolist()]
    except Exception:
        return damaged(data, others, chance)
    if not files:
        return data
    place = chance.randrange(len(files))
    name, content = files[place]
    if chance.random() < 0.3:
        name = damaged(name.encode(), [one.encode() for one, _ in files], chance, times=1).decode("utf-8", "replace")
    else:
        content = damaged(content, [one for _, one in files], chance)
    files[place] = (name, content)
    record = next((name for name, _ in files if name.endswith(".dist-info/RECORD")), None)
    if record is not None and not files[place][0].endswith("/RECORD") and chance.random() < 0.8:
        rows = "".join(
            f'"{name.replace(chr(34), chr(34) * 2)}",{digest(content)},{len(content)}\n' for name, content in files if name != record
        )
        files = [(name, (rows + f"{record},,\n").encode("utf-8", "replace") if name == record else content) for name, content in files]
    members = [
        Member(name=name.encode("utf-8", "replace")[:60_000], data=content, flags=0 if name.isascii() else 1 << 11)
        for name, content in files
    ]
    try:
        return write_zip(members)
    except struct.error:
        return data

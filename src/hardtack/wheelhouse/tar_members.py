"""A tar archive's members, read by hand from a stream, so that nothing in it is seen by one reader and not by another.

POSIX ustar and pax headers and GNU long names; nothing else (no sparse files, devices, multi-volume parts).
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple

from hardtack.wheelhouse.limits import MIB, Limits
from hardtack.wheelhouse.member_names import LONGEST_NAME
from hardtack.wheelhouse.zip_structure import BLOCK

_TAR = 512
_KINDS = {b"0": "file", b"\0": "file", b"1": "link", b"2": "symlink", b"5": "folder"}
_LONGEST_HEADER = MIB
_NUMBERS = (("mode", 100, 108), ("owner", 108, 116), ("group", 116, 124), ("time", 136, 148), ("device", 329, 337), ("device", 337, 345))
_TAKEN = frozenset({"path", "linkpath", "size"})


class TarFault(Exception):
    """The archive cannot be read further."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class TarMember(NamedTuple):
    """One member. ``kind``: "file", "folder", "symlink" or "link" (hard). ``name`` has no "/" at its end."""

    name: str
    kind: str
    size: int
    mode: int
    mtime: int
    target: str


def unpacked(file: BinaryIO, kind: str, size: int, limits: Limits) -> Iterator[bytes]:
    """The stream inside a "gzip", "bzip2" or "xz" file, to its very end, checksums checked. Raises TarFault."""
    total = 0
    decoder = _Decoder(kind)
    feed = b""
    while True:
        if decoder.ended:
            # Some writers pad the file with zeros; another stream of the same kind continues the first (gzip: RFC 1952, 2.2).
            feed = decoder.rest.lstrip(b"\0")
            while not feed and (block := file.read(BLOCK)):
                feed = block.lstrip(b"\0")
            if not feed:
                return
            if not feed.startswith(_MAGIC[kind]):
                raise TarFault("sdist-structure", f"bytes that are not {kind} data follow the archive")
            decoder = _Decoder(kind)
        elif decoder.hungry:
            feed = file.read(BLOCK)
        else:
            feed = b""
        last = decoder.hungry and not feed
        try:
            piece = decoder.step(feed)
        except (zlib.error, OSError, lzma.LZMAError, EOFError) as error:
            raise TarFault("sdist-structure", f"the {kind} data is damaged: {error}") from None
        total += len(piece)
        if total > limits.total or (total > limits.ratio_from and total > limits.ratio * size):
            raise TarFault("sdist-bomb", f"{size} bytes grow to more than {total - len(piece)}")
        if piece:
            yield piece
        elif last and not decoder.ended:
            raise TarFault("sdist-structure", f"the {kind} data ends in the middle: the file is cut off")


_MAGIC = {"gzip": b"\x1f\x8b\x08", "bzip2": b"BZh", "xz": b"\xfd7zXZ\x00"}


class _Decoder:
    """One compressed stream. ``hungry``: it wants input; ``ended``: its checksum was right, and ``rest`` is what follows it."""

    def __init__(self, kind: str) -> None:
        self._zlib = zlib.decompressobj(31) if kind == "gzip" else None
        self._other = bz2.BZ2Decompressor() if kind == "bzip2" else lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=128 * MIB)
        self.ended = False
        self.hungry = True
        self.rest = b""

    def step(self, data: bytes) -> bytes:
        """At most a block of unpacked bytes; ``data`` is empty when the decoder is not hungry or the file has ended."""
        if self._zlib is not None:
            piece = self._zlib.decompress(data or self._zlib.unconsumed_tail, BLOCK)
            self.ended, self.rest = self._zlib.eof, self._zlib.unused_data
            self.hungry = not self._zlib.unconsumed_tail
            return piece
        piece = self._other.decompress(data, BLOCK) if data or not self._other.needs_input else b""
        self.ended, self.rest = self._other.eof, self._other.unused_data
        self.hungry = self._other.needs_input
        return piece


class _Reader:
    def __init__(self, source: Iterator[bytes]) -> None:
        self._source = source
        self._rest = memoryview(b"")

    def piece(self, length: int) -> memoryview:
        """Up to ``length`` bytes, none only at the end."""
        while not self._rest:
            block = next(self._source, None)
            if block is None:
                return self._rest
            self._rest = memoryview(block)
        piece, self._rest = self._rest[:length], self._rest[length:]
        return piece

    def exactly(self, length: int) -> bytes:
        parts = []
        while length and (piece := self.piece(length)):
            parts.append(bytes(piece))
            length -= len(piece)
        if length:
            raise TarFault("sdist-structure", "the tar archive ends in the middle of a member")
        return b"".join(parts)


Content = Callable[[], Iterator[memoryview]]


def read_tar(source: Iterator[bytes], limits: Limits) -> Iterator[tuple[TarMember, Content]]:
    """Every member with a function that gives its bytes, to be called before the next member is asked for (or not at all).

    Raises TarFault where reading cannot go on. After the last member, the end of the archive and of the stream were seen.
    """
    reader = _Reader(source)
    shared: dict[str, str] = {}
    own: dict[str, str] = {}
    count = headers = named = 0
    pending = False
    while True:
        header = reader.exactly(_TAR)
        if not header.strip(b"\0"):
            if pending:
                raise TarFault("sdist-structure", "the last header belongs to no member")
            _finish(reader)
            return
        size, kind = _check_header(header), header[156:157]
        if kind in b"xgLK" and kind:
            headers += 1
            if headers > 4 * limits.entries:
                raise TarFault("sdist-bomb", f"more than {4 * limits.entries} headers that are no member")
            if size > _LONGEST_HEADER:
                raise TarFault("sdist-bomb", f"a header of {size} bytes")
            data = reader.exactly(size)
            reader.exactly(-size % _TAR)
            pending = True
            if kind == b"x":
                _merge(own, _pax(data))
            elif kind == b"g":
                shared |= {key: value for key, value in _pax(data).items() if key in _TAKEN}
                if shared:
                    raise TarFault("sdist-structure", f"a global pax header sets {', '.join(sorted(shared))} of every member")
            else:
                _merge(own, {"path" if kind == b"L" else "linkpath": _text(data.rstrip(b"\0"))})
            continue
        count += 1
        if count > limits.entries:
            raise TarFault("sdist-bomb", f"more than {limits.entries} members")
        member = _member(header, kind, size, own)
        own, pending = {}, False
        named += len(member.name) + len(member.target)
        if named > limits.directory:
            raise TarFault("sdist-bomb", f"the names of its members have more than {limits.directory} characters")
        body = member.size if member.kind == "file" else 0
        left = [body]

        def content(left: list[int] = left) -> Iterator[memoryview]:
            while left[0]:
                piece = reader.piece(left[0])
                if not piece:
                    raise TarFault("sdist-structure", "the tar archive ends in the middle of a member")
                left[0] -= len(piece)
                yield piece

        yield member, content
        for _ in content():
            pass
        reader.exactly(-body % _TAR)


def _merge(own: dict[str, str], more: dict[str, str]) -> None:
    for key, value in more.items():
        if key in _TAKEN and own.setdefault(key, value) != value:
            raise TarFault("sdist-structure", f"two headers of one member give it the {key} {own[key][:200]!r} and {value[:200]!r}")


def _finish(reader: _Reader) -> None:
    """After the first block of zeros, nothing but zeros: a second archive behind the end would be seen by some readers only."""
    while piece := reader.piece(BLOCK):
        if bytes(piece).strip(b"\0"):
            raise TarFault("sdist-structure", "data follows the end of the tar archive (a second archive?)")


def _check_header(header: bytes) -> int:
    stated = _number(header[148:156], "checksum")
    if stated != sum(header[:148]) + 256 + sum(header[156:]):
        raise TarFault("sdist-structure", "a tar header has a wrong checksum: the archive is damaged")
    # Readers that stumble over one of these take it for the archive's end (Python's does), and what follows is hidden from them.
    for label, start, end in _NUMBERS:
        _number(header[start:end], label)
    return _number(header[124:136], "size")


def _number(field: bytes, label: str) -> int:
    if field[0] & 0x80:
        value = int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
        if field[0] != 0x80 or value >> 62:
            raise TarFault("sdist-structure", f"a tar header's {label} is out of range")
        return value
    text = field.split(b"\0", 1)[0].strip(b" ")
    if text.strip(b"01234567"):
        raise TarFault("sdist-structure", f"a tar header's {label} is no octal number: {field!r}")
    return int(text or b"0", 8)


def _pax(data: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    position = 0
    while position < len(data):
        space = data.find(b" ", position, position + 20)
        digits = data[position:space] if space > 0 else b""
        if not digits.isdigit():
            raise TarFault("sdist-structure", "a pax header is damaged")
        length = int(digits)
        line = data[space + 1 : position + length]
        key, equals, value = line.partition(b"=")
        if position + length > len(data) or length <= space - position + 1 or not equals or value[-1:] != b"\n":
            raise TarFault("sdist-structure", "a pax header is damaged")
        name = key.decode("utf-8", "backslashreplace")
        if name.startswith("GNU.sparse.") or name == "hdrcharset":
            raise TarFault("sdist-structure", f"the pax header {name!r} is of a kind that sdists do not use")
        if name in _TAKEN and found.setdefault(name, text := _text(value[:-1])) != text:
            raise TarFault("sdist-structure", f"a pax header states the {name} of a member twice")
        position += length
    return found


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise TarFault("sdist-name", f"the name {raw[:200]!r} is not UTF-8") from None


def _member(header: bytes, kind: bytes, size: int, own: dict[str, str]) -> TarMember:
    name = own.get("path")
    if name is None:
        raw = header[:100].split(b"\0", 1)[0]
        if header[257:263] == b"ustar\0" and header[345]:
            raw = header[345:500].split(b"\0", 1)[0] + b"/" + raw
        name = _text(raw)
    target = own.get("linkpath")
    if target is None:
        target = _text(header[157:257].split(b"\0", 1)[0])
    if "size" in own:
        stated = own["size"]
        if not (stated.isascii() and stated.isdigit() and len(stated) < 19) or int(stated) != size:
            # Readers that obey one and readers that obey the other see different members from here on (CVE-2025-62518).
            raise TarFault("sdist-structure", f"{name!r}: its pax header says {stated[:30]} bytes, its tar header {size}")
    for label, text in (("name", name), ("target", target)):
        if len(text) > LONGEST_NAME:
            # Refused here: whatever looks at its folders one by one would take time that grows with the square of the length.
            raise TarFault("sdist-name", f"{text[:200]!r}... is a {label} of {len(text)} characters")
    what = _KINDS.get(kind)
    if what is None:
        kinds = {b"3": "a character device", b"4": "a block device", b"6": "a named pipe", b"7": "a contiguous file", b"S": "a sparse file"}
        described = kinds.get(kind, f"of the unknown type {kind!r}")
        raise TarFault("sdist-type", f"{name!r} is {described}; sdists hold files, folders and links only")
    if what == "file" and name.endswith("/"):
        if kind == b"\0" and size == 0:
            what = "folder"
        else:
            raise TarFault("sdist-structure", f"{name!r} is a file with the name of a folder")
    if what != "file" and size:
        raise TarFault("sdist-structure", f"{name!r} is a {what} that carries {size} bytes of data")
    return TarMember(
        name=name.rstrip("/") if what == "folder" and not name.endswith("//") else name,
        kind=what,
        size=size,
        mode=_number(header[100:108], "mode"),
        mtime=min(_number(header[136:148], "mtime"), 1 << 40),
        target=target if what in ("symlink", "link") else "",
    )

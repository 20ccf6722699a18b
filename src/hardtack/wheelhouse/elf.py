"""An ELF file as the dynamic linker sees it: what it is for, what it loads, and which versions of which symbols it needs."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

MAGIC = b"\x7fELF"

# e_machine of the gABI's registry, in our spelling; PowerPC's byte order is part of its name.
_MACHINES = {3: "i686", 62: "x86_64", 183: "aarch64", 40: "armv7l", 22: "s390x", 243: "riscv64", 258: "loongarch64"}
_PPC64 = 21
_LOAD, _DYNAMIC, _INTERP = 1, 2, 3
_NEEDED, _HASH, _STRTAB, _SYMTAB, _STRSZ, _SONAME, _RPATH, _RUNPATH = 1, 4, 5, 6, 10, 14, 15, 29
_GNU_HASH, _VERSYM, _VERNEED, _VERNEEDNUM = 0x6FFFFEF5, 0x6FFFFFF0, 0x6FFFFFFE, 0x6FFFFFFF
_WEAK = 2

# Bounds, far above what compilers make: a file beyond them is refused, and reading one costs little whatever it says of itself.
_SEGMENTS = 1024
_ENTRIES = 16_384
_LIBRARIES = 4_096
_VERSIONS = 16_384
_SYMBOLS = 4_000_000
_TEXT = 4_096
_NAMES = 1 << 20  # characters of all names of one file: they may overlap, and be said again and again


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionNeed:
    """A version of symbols that a library must have ("GLIBC_2.34" of libc.so.6). ``symbol`` is one of them, where its name is known.

    ``weak``: nothing but weak symbols want it, and the loader starts without.
    """

    library: str
    version: str
    symbol: str | None = None
    weak: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ElfFacts:
    """One ELF file. ``machine`` in our spelling ("x86_64"), or "machine 8" for one that no target has. ``bits`` is 32 or 64.

    ``dynamic`` is False for what needs no loader: a static program, an object file.
    """

    machine: str
    bits: int
    dynamic: bool = False
    interpreter: str | None = None
    soname: str | None = None
    needed: tuple[str, ...] = ()
    rpath: tuple[str, ...] = ()
    versions: tuple[VersionNeed, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BadElf:
    """A file that begins as an ELF file does and is none that a loader could load."""

    reason: str


class _Broken(Exception):
    """The file contradicts itself or ends too early."""


def read_elf(stream: BinaryIO) -> ElfFacts | BadElf:
    """Read a seekable file. Hostile ones are a BadElf: nothing here trusts an offset, follows a loop or reads more than a few MiB.

    Only what the loader looks at is read (program headers and the dynamic segment): section headers may be stripped, or lie.
    """
    try:
        return _read(_File(stream))
    except _Broken as broken:
        return BadElf(reason=str(broken))


class _File:
    """A file's header, and bytes of it that are really there."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.size = stream.seek(0, 2)
        head = self.at(0, 20)
        if head[:4] != MAGIC:
            raise _Broken("it does not begin as an ELF file does")
        if head[4] not in (1, 2) or head[5] not in (1, 2):
            raise _Broken(f"its class {head[4]} or byte order {head[5]} is none that exists")
        self.wide = head[4] == 2
        self.order = "<" if head[5] == 1 else ">"
        self.machine = self.unpack("H", 18)[0]
        self.segments = tuple(self._segments())

    def at(self, offset: int, length: int) -> bytes:
        if offset < 0 or offset + length > self.size:
            raise _Broken(f"it points to byte {offset}, and has {self.size}")
        self._stream.seek(offset)
        data = self._stream.read(length)
        if len(data) != length:
            raise _Broken("it ends too early")
        return data

    def unpack(self, layout: str, offset: int) -> tuple[int, ...]:
        layout = self.order + layout
        return struct.unpack(layout, self.at(offset, struct.calcsize(layout)))

    def _segments(self) -> Iterator[tuple[int, int, int, int]]:
        """(type, offset, address, bytes in the file) of each program header."""
        start = self.unpack("Q", 32)[0] if self.wide else self.unpack("I", 28)[0]
        length, count = self.unpack("HH", 54 if self.wide else 42)
        usual = 56 if self.wide else 32
        if count > _SEGMENTS or (count and length < usual):
            raise _Broken(f"it has {count} program headers of {length} bytes")
        for number in range(count):
            place = start + number * length
            if self.wide:
                kind, _, offset, address, _, size = self.unpack("IIQQQQ", place)
            else:
                kind, offset, address, _, size = self.unpack("IIIII", place)
            yield kind, offset, address, size

    def place(self, address: int) -> int:
        """Where in the file lies what is loaded at ``address``."""
        for kind, offset, begin, size in self.segments:
            if kind == _LOAD and begin <= address < begin + size:
                return offset + address - begin
        raise _Broken(f"its dynamic segment points to {address:#x}, which is not loaded from the file")

    def text(self, offset: int) -> str:
        """The text that begins at an offset and ends with a zero."""
        if not 0 <= offset < self.size:
            raise _Broken(f"a name lies at byte {offset}, and it has {self.size}")
        data = self.at(offset, min(_TEXT, self.size - offset))
        raw, end, _ = data.partition(b"\0")
        if not end:
            raise _Broken("a name in it does not end")
        return raw.decode("utf-8", "backslashreplace")


def _read(file: _File) -> ElfFacts:
    little = file.order == "<"
    if file.machine == _PPC64:
        machine = "ppc64le" if little else "ppc64"
    else:
        machine = _MACHINES.get(file.machine, f"machine {file.machine}")
        if little == (machine == "s390x") or file.wide == (machine in ("i686", "armv7l")):
            machine = (
                f"{machine} of {64 if file.wide else 32} bits, {'little' if little else 'big'}-endian"  # no target's (x32 is one such)
            )
    bits = 64 if file.wide else 32
    interpreter = None
    dynamic: dict[int, list[int]] | None = None
    for kind, offset, _, size in file.segments:
        if kind == _INTERP:
            interpreter = file.text(offset)
        elif kind == _DYNAMIC:
            dynamic = _dynamic(file, offset, size)
    if dynamic is None:
        return ElfFacts(machine=machine, bits=bits, interpreter=interpreter)
    strings = file.place(dynamic[_STRTAB][0]) if _STRTAB in dynamic else None

    room = _NAMES

    def text(offset: int) -> str:
        nonlocal room
        if strings is None:
            raise _Broken("its dynamic segment has no table of names")
        if _STRSZ in dynamic and offset >= dynamic[_STRSZ][0]:
            raise _Broken(f"a name lies at byte {offset} of its table of names, which has {dynamic[_STRSZ][0]}")
        name = file.text(strings + offset)
        room -= len(name)
        if room < 0:
            raise _Broken(f"its names have more than {_NAMES} characters")
        return name

    if len(dynamic.get(_NEEDED, ())) > _LIBRARIES:
        raise _Broken(f"it needs {len(dynamic[_NEEDED])} libraries")
    paths = [text(offset) for tag in (_RUNPATH, _RPATH) for offset in dynamic.get(tag, ())[:1]]
    return ElfFacts(
        machine=machine,
        bits=bits,
        dynamic=True,
        interpreter=interpreter,
        soname=text(dynamic[_SONAME][0]) if _SONAME in dynamic else None,
        needed=tuple(text(offset) for offset in dynamic.get(_NEEDED, ())),
        rpath=tuple(part for path in paths[:1] for part in path.split(":") if part),
        versions=tuple(_versions(file, dynamic, text)),
    )


def _dynamic(file: _File, offset: int, size: int) -> dict[int, list[int]]:
    """The dynamic segment: every value of every tag, in order, up to the null entry."""
    width = 16 if file.wide else 8
    count = size // width
    if count > _ENTRIES:
        raise _Broken(f"its dynamic segment has {count} entries")
    data = file.at(offset, count * width)
    found: dict[int, list[int]] = {}
    for tag, value in struct.iter_unpack(file.order + ("QQ" if file.wide else "II"), data):
        if tag == 0:
            break
        found.setdefault(tag, []).append(value)
    return found


def _versions(file: _File, dynamic: dict[int, list[int]], text: Callable[[int], str]) -> Iterator[VersionNeed]:
    """The .gnu.version_r table: a chain of libraries, each with a chain of versions. Chains only lead forward and are counted."""
    if _VERNEED not in dynamic:
        return
    symbols = _Symbols(file, dynamic, text)
    place = file.place(dynamic[_VERNEED][0])
    libraries = dynamic.get(_VERNEEDNUM, [_LIBRARIES])[0]
    if libraries > _LIBRARIES:
        raise _Broken(f"it needs versions of {libraries} libraries")
    total = 0
    for _ in range(libraries):
        _, count, name, first, following = file.unpack("HHIII", place)
        library = text(name)
        total += count
        if total > _VERSIONS:
            raise _Broken(f"it needs more than {_VERSIONS} versions of symbols")
        inner = place + first
        for _ in range(count):
            _, flags, number, version, beyond = file.unpack("IHHII", inner)
            yield VersionNeed(library=library, version=text(version), symbol=symbols.name(number), weak=bool(flags & _WEAK))
            if not beyond:
                break
            inner += beyond
        if not following:
            break
        place += following


class _Symbols:
    """Names for version numbers: the first symbol that wants each. A table that cannot be read names none; it is for people."""

    def __init__(self, file: _File, dynamic: dict[int, list[int]], text: Callable[[int], str]) -> None:
        self._file, self._text = file, text
        self._wanted: array[int] = array("H")
        self._table = 0
        try:
            count = self._count(dynamic)
            self._table = file.place(dynamic[_SYMTAB][0])
            self._wanted.frombytes(file.at(file.place(dynamic[_VERSYM][0]), 2 * count))
        except (_Broken, KeyError):
            return
        if file.order != ("<" if array("H", [1]).tobytes()[0] else ">"):
            self._wanted.byteswap()

    def _count(self, dynamic: dict[int, list[int]]) -> int:
        if _HASH in dynamic:
            count = self._file.unpack("II", self._file.place(dynamic[_HASH][0]))[1]
        else:
            # A GNU hash table leaves the undefined symbols out; they come before its first one.
            count = self._file.unpack("II", self._file.place(dynamic[_GNU_HASH][0]))[1]
        if count > _SYMBOLS:
            raise _Broken("it has too many symbols")
        return count

    def name(self, number: int) -> str | None:
        try:
            at = self._wanted.index(number & 0x7FFF)
            place = self._table + at * (24 if self._file.wide else 16)
            return self._text(self._file.unpack("I", place)[0]) or None
        except (ValueError, _Broken):
            return None

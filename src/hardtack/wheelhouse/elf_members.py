"""The ELF files among an archive's members, read while the members' bytes pass by for other reasons."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import BinaryIO, cast

from hardtack.wheelhouse.elf import MAGIC, BadElf, ElfFacts, read_elf

_SMALLEST = 52  # bytes of the smallest ELF header
# A file of this size is kept whole; of a larger one the head, where linkers put what the loader reads, and the tail, where patchelf does.
_WHOLE = 24 << 20
_HEAD, _TAIL = 16 << 20, 8 << 20
_LARGEST = 4 << 30  # unpacking one again and again would take minutes, and no linker makes one
_ROOM = 32 << 20  # characters of all names in the ELF files of one archive
# Where that was not enough the member is unpacked again, for a stretch around what was missed, so many times at most.
_AGAIN = 6
_BEFORE, _AFTER = 1 << 20, 12 << 20
# Never machine code; everything else is looked at, for programs have no suffix.
_TEXTS = (".py", ".pyi", ".pyx", ".pxd", ".c", ".h", ".hpp", ".txt", ".md", ".rst", ".json", ".toml", ".yaml", ".yml", ".css", ".js",
          ".html", ".svg", ".png", ".typed", ".po", ".mo", ".csv", ".xml", ".cmake", ".f90", ".npy", ".npz", ".ttf")  # fmt: skip
_OTHERS = {
    b"MZ": "windows",
    b"\xcf\xfa\xed\xfe": "macos",
    b"\xce\xfa\xed\xfe": "macos",
}

_Source = Callable[[], Iterator[bytes | memoryview]]


class ElfMembers:
    """Collects machine code: ``found`` are the ELF files, ``broken`` those that no loader could load, ``others`` are for other systems."""

    def __init__(self) -> None:
        self.found: list[tuple[str, ElfFacts]] = []
        self.broken: list[tuple[str, str]] = []
        self.others: list[tuple[str, str]] = []
        self._room = _ROOM

    def wants(self, name: str, size: int) -> bool:
        """True if a member of this name and size could be machine code."""
        return size >= _SMALLEST and not name.lower().endswith(_TEXTS)

    def watch(self, name: str, size: int, source: _Source) -> Iterator[bytes | memoryview]:
        """Pass the member's pieces on, and read it when the last was taken. Errors of ``source`` pass through, and nothing is read then.

        ``source`` gives the pieces from the start each time that it is called: again only for a file of more than 24 MiB whose tables
        lie where few do.
        """
        kept: _Kept | None = _Kept(size)
        told = False
        for piece in source():
            if kept is not None:
                kept.add(piece)
                if not told and kept.length >= len(MAGIC):
                    told = True
                    if not self._begins_as_elf(name, kept):
                        kept = None
            yield piece
        if kept is not None and told:
            if size > _LARGEST:
                facts: ElfFacts | BadElf = BadElf(reason=f"it has {size} bytes")
            else:
                facts = _read(kept, source) if self._room > 0 else BadElf(reason="the ELF files before it have too many names")
            if isinstance(facts, BadElf):
                self.broken.append((name, facts.reason))
            else:
                self.found.append((name, facts))
                self._room -= _length(facts)

    def _begins_as_elf(self, name: str, kept: _Kept) -> bool:
        kept.seek(0)
        head = kept.read(len(MAGIC))
        system = next((system for magic, system in _OTHERS.items() if head.startswith(magic)), None)
        if system is not None:
            self.others.append((name, system))
        return head == MAGIC


def _read(kept: _Kept, source: _Source) -> ElfFacts | BadElf:
    for _ in range(_AGAIN):
        try:
            return read_elf(cast(BinaryIO, kept))
        except _Missed as missed:
            kept.add_range(max(0, missed.offset - _BEFORE), missed.offset + missed.length + _AFTER, source())
    return BadElf(reason="what the loader reads of it is strewn over the file")


def _length(facts: ElfFacts) -> int:
    """The characters of all that it says."""
    names = [*facts.needed, *facts.rpath, facts.soname or "", facts.interpreter or ""]
    names += [name for need in facts.versions for name in (need.library, need.version, need.symbol or "")]
    return sum(map(len, names))


class _Missed(Exception):
    """Bytes were asked for that were not kept."""

    def __init__(self, offset: int, length: int) -> None:
        super().__init__(offset, length)
        self.offset = offset
        self.length = length


class _Kept:
    """Some stretches of a file, read as the file would be: the pieces as they came, in the order of their places, none in two places."""

    def __init__(self, size: int) -> None:
        self.length = 0
        self._size = size
        self._places: list[int] = []
        self._pieces: list[bytes] = []
        self._at = 0

    def add(self, piece: bytes | memoryview) -> None:
        """The file's next piece: kept if it is of the parts that are."""
        begin, end = self.length, self.length + len(piece)
        if len(piece) and (self._size <= _WHOLE or begin < _HEAD or end > self._size - _TAIL):
            self._places.append(begin)
            self._pieces.append(bytes(piece))
        self.length = end

    def add_range(self, begin: int, end: int, pieces: Iterator[bytes | memoryview]) -> None:
        """Keep what lies between two places too, out of all the file's pieces."""
        place = 0
        for piece in pieces:
            if place >= end:
                break
            after = place + len(piece)
            at = bisect_right(self._places, place)
            if len(piece) and after > begin and not (at and self._places[at - 1] == place):
                self._places.insert(at, place)
                self._pieces.insert(at, bytes(piece))
            place = after

    def seek(self, offset: int, whence: int = 0) -> int:
        """As a file's, from the start or the end."""
        self._at = offset + (self.length if whence == 2 else 0)
        return self._at

    def read(self, length: int) -> bytes:
        """So many bytes, fewer at the end. Raises _Missed where they were not kept."""
        end = min(self._at + length, self.length)
        parts = []
        while self._at < end:
            at = bisect_right(self._places, self._at) - 1
            inside = self._at - self._places[at] if at >= 0 else 0
            if at < 0 or inside >= len(self._pieces[at]):
                raise _Missed(self._at, end - self._at)
            part = self._pieces[at][inside : inside + end - self._at]
            parts.append(part)
            self._at += len(part)
        return b"".join(parts) if len(parts) != 1 else parts[0]

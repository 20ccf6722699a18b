"""ELF files are read from the pieces that pass by, whatever the pieces and wherever the loader's tables lie."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hardtack.wheelhouse import elf_members
from hardtack.wheelhouse.elf import BadElf, ElfFacts, read_elf
from hardtack.wheelhouse.elf_members import ElfMembers
from tests.wheelhouse_elf.forge import BASE, elf

SAMPLE = elf(needed=["liba.so.1", "libc.so.6"], versions={"libc.so.6": ["GLIBC_2.34"]}, symbols={"GLIBC_2.34": "dlsym"}, soname="me.so")


class Source:
    """A member's pieces, given as often as they are asked for, and how much was taken."""

    def __init__(self, data: bytes, piece: int) -> None:
        self.data, self.piece = data, piece
        self.begun = 0

    def __call__(self) -> Iterator[bytes]:
        self.begun += 1
        for at in range(0, len(self.data), self.piece):
            yield self.data[at : at + self.piece]


def read(data: bytes, piece: int) -> tuple[ElfMembers, Source]:
    members, source = ElfMembers(), Source(data, piece)
    assert b"".join(bytes(part) for part in members.watch("a/x.so", len(data), source)) == data
    return members, source


@settings(max_examples=40, deadline=None)
@given(piece=st.integers(1, 200), tail=st.integers(0, 300))
def test_the_size_of_the_pieces_does_not_matter(piece: int, tail: int) -> None:
    members, source = read(SAMPLE + bytes(tail), piece)
    assert members.found == [("a/x.so", read_elf(io.BytesIO(SAMPLE)))]
    assert source.begun == 1


def shifted(by: int) -> bytes:
    """The sample with all that the loader reads moved behind a gap: two program headers at the start, everything else far off."""
    data = bytearray(SAMPLE[:176]) + bytes(by) + SAMPLE[176:]
    kind, flags, _, _, physical, size, memory, align = struct.unpack_from("<IIQQQQQQ", data, 64)
    struct.pack_into("<IIQQQQQQ", data, 64, kind, flags, 176 + by, BASE + 176, physical, size - 176, memory, align)
    kind, flags, offset, *rest = struct.unpack_from("<IIQQQQQQ", data, 120)
    struct.pack_into("<IIQQQQQQ", data, 120, kind, flags, offset + by, *rest)
    return bytes(data)


def test_a_large_file_is_read_again_only_where_its_tables_lie_in_the_middle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elf_members, "_WHOLE", 1000)
    monkeypatch.setattr(elf_members, "_HEAD", 8000)
    monkeypatch.setattr(elf_members, "_TAIL", 8000)
    monkeypatch.setattr(elf_members, "_BEFORE", 10)
    monkeypatch.setattr(elf_members, "_AFTER", 100)
    expected = read_elf(io.BytesIO(SAMPLE))
    assert isinstance(expected, ElfFacts)
    for data, again in ((SAMPLE + bytes(30000), False), (shifted(30000), False), (shifted(30000) + bytes(30000), True)):
        members, source = read(data, 64)
        assert members.found == [("a/x.so", expected)]
        assert (source.begun > 1) is again


def test_how_often_it_is_read_again_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"_WHOLE": 100, "_HEAD": 10, "_TAIL": 10, "_BEFORE": 0, "_AFTER": 0}.items():
        monkeypatch.setattr(elf_members, name, value)
    members, source = read(SAMPLE, 1)
    assert members.found == []
    assert [name for name, _ in members.broken] == ["a/x.so"]
    assert source.begun <= 8


def test_what_is_too_large_to_be_one_is_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elf_members, "_LARGEST", len(SAMPLE) - 1)
    members, source = read(SAMPLE, 64)
    assert (members.found, members.broken) == ([], [("a/x.so", f"it has {len(SAMPLE)} bytes")])
    assert source.begun == 1


def test_what_is_no_elf_file_is_not_kept_and_systems_are_told_apart() -> None:
    for data, others in (
        (b"MZ" + bytes(100), "windows"),
        (b"\xcf\xfa\xed\xfe" + bytes(100), "macos"),
        (bytes(100), None),
        (b"\x7fEL", None),
    ):
        members, _ = read(data, 3)
        assert (members.found, members.broken) == ([], [])
        assert members.others == ([("a/x.so", others)] if others else [])
    members, _ = read(b"\x7fELF" + bytes(100), 3)
    assert isinstance(read_elf(io.BytesIO(b"\x7fELF" + bytes(100))), BadElf)
    assert len(members.broken) == 1


def test_a_source_that_fails_leaves_nothing_behind() -> None:
    def failing() -> Iterator[bytes]:
        yield SAMPLE[:100]
        raise ValueError("cut off")

    members = ElfMembers()
    with pytest.raises(ValueError, match="cut off"):
        list(members.watch("a", len(SAMPLE), failing))
    assert (members.found, members.broken, members.others) == ([], [], [])

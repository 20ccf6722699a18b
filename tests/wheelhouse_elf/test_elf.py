"""What an ELF file says is read as the independent readers read it; one that lies is refused, and costs nothing."""

from __future__ import annotations

import io
import struct
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hardtack.wheelhouse.elf import BadElf, ElfFacts, VersionNeed, read_elf
from tests.wheelhouse_elf.forge import MACHINES, elf


def facts(data: bytes) -> ElfFacts:
    found = read_elf(io.BytesIO(data))
    assert isinstance(found, ElfFacts), found
    return found


@pytest.mark.parametrize("arch", MACHINES)
def test_every_machine_in_either_order_and_width(arch: str) -> None:
    found = facts(
        elf(
            arch,
            needed=["libm.so.6", "libc.so.6"],
            versions={"libm.so.6": ["GLIBC_2.29"], "libc.so.6": ["GLIBC_2.17", "GLIBC_2.34"]},
            symbols={"GLIBC_2.34": "dlsym", "GLIBC_2.29": "exp"},
            soname="libx.so.1",
            runpath="$ORIGIN/../x.libs:/opt/lib",
            weak=["GLIBC_2.34"],
        )
    )
    assert found == ElfFacts(
        machine=arch,
        bits=MACHINES[arch][1],
        dynamic=True,
        soname="libx.so.1",
        needed=("libm.so.6", "libc.so.6"),
        rpath=("$ORIGIN/../x.libs", "/opt/lib"),
        versions=(
            VersionNeed(library="libm.so.6", version="GLIBC_2.29", symbol="exp"),
            VersionNeed(library="libc.so.6", version="GLIBC_2.17"),
            VersionNeed(library="libc.so.6", version="GLIBC_2.34", symbol="dlsym", weak=True),
        ),
    )


def test_the_libraries_of_this_machine_as_another_reader_reads_them() -> None:
    elffile = pytest.importorskip("elftools.elf.elffile", reason="pyelftools is the independent reader")
    folders = [Path("/usr/lib"), *Path("/usr/lib").glob("*-linux-*"), Path(sys.base_prefix) / "lib"]
    paths = sorted(
        {path.resolve() for folder in folders for path in folder.glob("*.so*") if path.is_file()}, key=lambda path: path.stat().st_size
    )
    paths = paths[:: max(1, len(paths) // 24)][:20]  # small and middling ones: the other reader takes its time
    if not paths:
        pytest.skip("no shared libraries here")
    compared = 0
    for path in paths:
        with open(path, "rb") as stream:
            if stream.read(4) != b"\x7fELF":
                continue
            found = read_elf(stream)
            assert isinstance(found, ElfFacts), (path, found)
            theirs = elffile.ELFFile(stream)
            dynamic = theirs.get_section_by_name(".dynamic")
            needs = theirs.get_section_by_name(".gnu.version_r")
            tags = list(dynamic.iter_tags()) if dynamic else []
            assert list(found.needed) == [tag.needed for tag in tags if tag.entry.d_tag == "DT_NEEDED"], path
            assert [found.soname] == ([tag.soname for tag in tags if tag.entry.d_tag == "DT_SONAME"] or [None]), path
            wanted = [(need.name, version.name) for need, versions in needs.iter_versions() for version in versions] if needs else []
            assert [(need.library, need.version) for need in found.versions] == wanted, path
            versym, symbols = theirs.get_section_by_name(".gnu.version"), theirs.get_section_by_name(".dynsym")
            names: dict[str, set[str]] = {}
            by_number = {v.entry.vna_other: v.name for _, versions in needs.iter_versions() for v in versions} if needs else {}
            for at in range(symbols.num_symbols() if versym and symbols else 0):
                if (version := by_number.get(versym.get_symbol(at).entry["ndx"])) is not None:
                    names.setdefault(version, set()).add(symbols.get_symbol(at).name)
            for need in found.versions:
                assert need.symbol is None or need.symbol in names[need.version], (path, need)
            compared += bool(found.versions) and any(need.symbol for need in found.versions)
    assert compared >= min(3, len(paths))


WHOLE = elf(needed=["libc.so.6"], versions={"libc.so.6": ["GLIBC_2.17", "GLIBC_2.34"]}, symbols={"GLIBC_2.34": "dlsym"})


@settings(max_examples=300, deadline=500)
@given(st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), min_size=1, max_size=8), st.sampled_from(sorted(MACHINES)))
def test_no_change_of_bytes_makes_it_raise(changes: list[tuple[int, int]], arch: str) -> None:
    data = bytearray(elf(arch, versions={"libc.so.6": ["GLIBC_2.17", "GLIBC_2.34"]}, symbols={"GLIBC_2.34": "dlsym"}))
    for place, value in changes:
        data[place % len(data)] = value
    assert isinstance(read_elf(io.BytesIO(bytes(data))), (ElfFacts, BadElf))


def test_no_truncation_makes_it_raise_or_passes_for_whole() -> None:
    whole = facts(WHOLE)
    for length in range(len(WHOLE)):
        found = read_elf(io.BytesIO(WHOLE[:length]))
        assert isinstance(found, BadElf) or found != whole, length


LIES = {
    "strings-nowhere": elf(dynamic=[(5, 0xDEAD0000)]),
    "strings-shorter-than-names": elf(dynamic=[(10, 1)]),
    "needs-nowhere": elf(versions={"libc.so.6": ["GLIBC_2.17"]}, dynamic=[(0x6FFFFFFE, 2**63)]),
    "needs-without-end": elf(versions={"libc.so.6": ["GLIBC_2.17"]}, dynamic=[(0x6FFFFFFF, 2**60)]),
    "many-headers": WHOLE[:56] + struct.pack("<H", 0xFFFF) + WHOLE[58:],
    "headers-at-the-end-of-the-world": WHOLE[:32] + struct.pack("<Q", 2**63) + WHOLE[40:],
    "narrow-headers": WHOLE[:54] + struct.pack("<H", 1) + WHOLE[56:],
    "no-class": WHOLE[:4] + b"\x07" + WHOLE[5:],
    "magic-alone": b"\x7fELF",
    "not-elf": b"MZ" + bytes(100),
    "empty": b"",
    "needed-a-million-times": elf(needed=["libc.so.6"] * 20_000),
    "too-many-versions": elf(versions={"libc.so.6": [f"V{number}" for number in range(20_000)]}),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_refused(lie: str) -> None:
    started = time.perf_counter()
    assert isinstance(read_elf(io.BytesIO(LIES[lie])), BadElf)
    assert time.perf_counter() - started < 0.5


def test_a_chain_that_leads_to_itself_ends() -> None:
    data = bytearray(elf(versions={"libc.so.6": ["GLIBC_2.17", "GLIBC_2.18"]}))
    # The library's entry counts more versions than there are, and the first of them says that the next is itself a byte further on.
    place = _need(data)
    struct.pack_into("<H", data, place + 2, 0xFFFF)
    struct.pack_into("<I", data, place + 16 + 12, 1)
    started = time.perf_counter()
    assert isinstance(read_elf(io.BytesIO(bytes(data))), BadElf)
    assert time.perf_counter() - started < 1


def _need(data: bytearray) -> int:
    """Where the table of needed versions begins: one library with two versions, which follow it."""
    places = range(0, len(data) - 16, 4)
    return next(at for at in places if struct.unpack_from("<HH", data, at) == (1, 2) and struct.unpack_from("<I", data, at + 8)[0] == 16)


def test_a_symbol_table_that_cannot_be_read_costs_the_names_alone() -> None:
    found = facts(elf(versions={"libc.so.6": ["GLIBC_2.34"]}, symbols={"GLIBC_2.34": "dlsym"}, dynamic=[(6, 0xDEAD0000)]))
    assert found.versions == (VersionNeed(library="libc.so.6", version="GLIBC_2.34"),)


def test_a_static_file_needs_nothing() -> None:
    data = bytearray(elf())
    struct.pack_into("<H", data, 56, 1)  # the dynamic segment is the second
    assert facts(bytes(data)) == ElfFacts(machine="x86_64", bits=64)


def test_x32_is_no_x86_64() -> None:
    data = bytearray(elf("i686"))
    struct.pack_into("<H", data, 18, 62)
    assert facts(bytes(data)).machine not in MACHINES

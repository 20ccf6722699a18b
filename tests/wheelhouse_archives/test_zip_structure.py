"""Every way in which two readers of one ZIP could see different members, or a reader could be hurt, is refused."""

from __future__ import annotations

import io
import resource
import struct
import sys
import zipfile
import zlib
from pathlib import Path
from typing import Any

import pytest

from hardtack.wheelhouse.limits import Limits
from tests.wheelhouse_archives.judge import errors, judge_wheel
from tests.wheelhouse_archives.raw_zip import FILENAME, Member, deflate, members_of, wheel_files, write_zip, zip64_end

BODY = b"answer = 42\n" * 20


def wheel_with(odd: Member | list[Member], files: dict[str, bytes] | None = None, **how: Any) -> bytes:
    """A wheel whose RECORD is right for a member "demo/odd.py" with BODY, which ``odd`` is put in the place of."""
    plain = members_of(wheel_files({"demo/odd.py": BODY} if files is None else files))
    odds = odd if isinstance(odd, list) else [odd]
    position = next((index for index, member in enumerate(plain) if member.name == b"demo/odd.py"), 0)
    rest = [member for member in plain if member.name != b"demo/odd.py"]
    return write_zip([*rest[:position], *odds, *rest[position:]], **how)


def odd(**how: Any) -> Member:
    return Member(**{"name": b"demo/odd.py", "data": BODY, **how})


def descriptor(data: bytes, packed: bytes, *, signed: bool, wide: bool) -> bytes:
    sizes = struct.pack("<QQ" if wide else "<LL", len(packed), len(data))
    return (b"PK\7\x08" if signed else b"") + struct.pack("<L", zlib.crc32(data)) + sizes


def zip64(*values: int) -> bytes:
    return struct.pack(f"<HH{len(values)}Q", 1, 8 * len(values), *values)


def test_a_plain_wheel_is_accepted(tmp_path: Path) -> None:
    data = wheel_with(odd())
    assert zipfile.ZipFile(io.BytesIO(data)).testzip() is None  # the writer of these tests writes what others can read
    assert errors(judge_wheel(tmp_path, data, FILENAME)) == set()


PACKED = deflate(BODY)
FULL = 0xFFFFFFFF
STREAMED = {"crc": 0, "packed": 0, "size": 0}

GOOD = {
    "stored": odd(method=0),
    "signed data descriptor": odd(flags=8, local=STREAMED, after=descriptor(BODY, PACKED, signed=True, wide=False)),
    "unsigned data descriptor": odd(flags=8, local=STREAMED, after=descriptor(BODY, PACKED, signed=False, wide=False)),
    "wide data descriptor": odd(flags=8, local=STREAMED, after=descriptor(BODY, PACKED, signed=True, wide=True)),
    "data descriptor and sizes known": odd(flags=8, after=descriptor(BODY, PACKED, signed=True, wide=False)),
    "zip64 in the local header only": odd(local={"packed": FULL, "size": FULL}, local_extra=zip64(len(BODY), len(PACKED))),
    "zip64 in both headers": odd(
        local={"packed": FULL, "size": FULL}, local_extra=zip64(len(BODY), len(PACKED)),
        central={"packed": FULL, "size": FULL}, central_extra=zip64(len(BODY), len(PACKED)),
    ),
    "zip64 that was not needed": odd(central_extra=zip64(len(BODY), len(PACKED))),
    "extra fields of other tools": odd(local_extra=b"UT\x05\0\x01abcd", central_extra=b"UT\x05\0\x01abcd" + b"ux\x0b\0" + b"0" * 11),
    "padding of an alignment tool": odd(local_extra=b"\0\0\0"),
    "setuid": odd(mode=0o104755),
    "no mode": odd(mode=0),
    "compression flags": odd(flags=2),
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_accepted(name: str, tmp_path: Path) -> None:
    assert errors(judge_wheel(tmp_path, wheel_with(GOOD[name]), FILENAME)) == set()


def test_an_end_comment_is_accepted(tmp_path: Path) -> None:
    assert errors(judge_wheel(tmp_path, wheel_with(odd(), comment=b"made by hand"), FILENAME)) == set()


def test_folders_are_accepted_and_not_recorded(tmp_path: Path) -> None:
    data = wheel_with([odd(), Member(name=b"demo/data/", method=0, mode=0o040755)])
    assert errors(judge_wheel(tmp_path, data, FILENAME)) == set()


CONTRADICTIONS: dict[str, Member] = {
    "another name in the local header": odd(local={"name": b"demo/0dd.py"}),
    "a longer name in the local header": odd(local={"name": b"demo/odd.pyc"}),
    "another method": odd(local={"method": 0}),
    "other flags": odd(local={"flags": 2}),
    "another crc": odd(local={"crc": 1}),
    "another size": odd(local={"size": 5}),
    "another packed size": odd(local={"packed": 5}),
    "another time": odd(local={"time": 7}),
    "another needed version": odd(local={"needed": 45}),
    "no local header there": odd(central={"offset": 3}),
    "utf-8 flag in one header only": odd(local={"flags": 1 << 11}),
    "size too small in both": odd(local={"size": 5}, central={"size": 5}),
    "size too large in both": odd(local={"size": 500}, central={"size": 500}),
    "stored with two sizes": odd(method=0, local={"size": 5}, central={"size": 5}),
    "packed bytes after the end of the stream": odd(packed=PACKED + b"hidden"),
    "a stream that does not end": odd(packed=PACKED[:-2]),
    "a stream that is none": odd(packed=b"\xff" * 20),
    "an empty stream": odd(packed=b""),
    "bytes between two members": odd(after=b"hidden"),
    "a whole hidden member between two": odd(after=write_zip([odd()])[:60]),
    "descriptor flag without a descriptor": odd(flags=8, local=STREAMED),
    "descriptor of another crc": odd(flags=8, local=STREAMED, after=descriptor(b"x" * len(BODY), PACKED, signed=True, wide=False)),
    "descriptor and hidden bytes": odd(flags=8, local=STREAMED, after=descriptor(BODY, PACKED, signed=True, wide=False) + b"hide"),
    "sizes beside a descriptor that are wrong": odd(
        flags=8, local={"packed": 1, "size": 1, "crc": 1}, after=descriptor(BODY, PACKED, signed=True, wide=False)
    ),
    "encrypted": odd(flags=1, local={"flags": 1}),
    "strongly encrypted": odd(flags=1 << 6),
    "encrypted directory": odd(flags=1 << 13),
    "patch data": odd(flags=1 << 5),
    "AES extra field": odd(central_extra=b"\x01\x99\x07\0" + b"0" * 7),
    "bzip2": odd(method=12, packed=b"BZh9"),
    "lzma": odd(method=14, packed=b"\0\0"),
    "zstandard": odd(method=93, packed=b"\x28\xb5\x2f\xfd"),
    "a format version of the future": odd(central={"needed": 90}, local={"needed": 90}),
    "extra field that is cut off": odd(central_extra=b"UT\x50\0ab"),
    "stray bytes among the extra fields": odd(local_extra=b"ab"),
    "two zip64 fields": odd(central_extra=zip64(len(BODY), len(PACKED)) + zip64(1, 2)),
    "zip64 with another size": odd(central_extra=zip64(1, 2)),
    "zip64 with another size in the local header": odd(local_extra=zip64(1, 2)),
    "zip64 field missing": odd(central={"packed": FULL}),
    "zip64 field too short": odd(central={"packed": FULL, "size": FULL}, central_extra=zip64(len(BODY))),
    "on another disk": odd(central={"disk": 3}),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_contradictions_are_refused(name: str, tmp_path: Path) -> None:
    assert errors(judge_wheel(tmp_path, wheel_with(CONTRADICTIONS[name]), FILENAME)) >= {"zip-structure"}


def test_a_wrong_crc_in_both_headers_is_refused(tmp_path: Path) -> None:
    data = wheel_with(odd(local={"crc": 1}, central={"crc": 1}))
    assert errors(judge_wheel(tmp_path, data, FILENAME)) == {"zip-crc"}


ENDS: dict[str, dict[str, Any]] = {
    "bytes before the first member": {"prefix": b"#!/bin/sh\n"},
    "bytes after the end record": {"suffix": b"hidden"},
    "a second archive after the first": {"suffix": write_zip(members_of(wheel_files()))},
    "bytes between the directory and its end": {"between": b"hidden"},
    "one member too many": {"count": 9, "here": 9},
    "one member too few": {"count": 4, "here": 4},
    "members on another disk": {"here": 1},
    "disk number": {"disk": 1},
    "first disk": {"first_disk": 1},
    "directory too long": {"length": 999},
    "directory too early": {"start": 5},
    "zip64 sentinel without zip64": {"count": 0xFFFF, "here": 0xFFFF},
    "a locator to nowhere": {"between": struct.pack("<4sLQL", b"PK\6\7", 0, 9, 1)},
}


@pytest.mark.parametrize("name", ENDS)
def test_ends_that_lie_are_refused(name: str, tmp_path: Path) -> None:
    assert errors(judge_wheel(tmp_path, wheel_with(odd(), **ENDS[name]), FILENAME)) == {"zip-structure"}


def zip64_wheel(surplus: bytes = b"", shift: int = 0, **wrong: int) -> bytes:
    plain = wheel_with(odd())
    _, _, _, _, count, length, start, _ = struct.unpack("<4s4H2LH", plain[-22:])
    right = {"count": count, "length": length, "start": start, **wrong}
    between = zip64_end(position=start + length, surplus=surplus, pointer=start + length + shift, **right)
    return wheel_with(odd(), between=between, count=0xFFFF, here=0xFFFF, start=0xFFFFFFFF)


def test_a_zip64_end_is_read(tmp_path: Path) -> None:
    data = zip64_wheel()
    assert len(zipfile.ZipFile(io.BytesIO(data)).namelist()) == 5
    assert errors(judge_wheel(tmp_path, data, FILENAME)) == set()


@pytest.mark.parametrize(
    "wrong", [{"surplus": b"extended"}, {"shift": 4}, {"shift": -8}, {"count": 4}, {"length": 20}, {"start": 7}], ids=str
)
def test_a_zip64_end_that_lies_is_refused(wrong: dict[str, Any], tmp_path: Path) -> None:
    assert errors(judge_wheel(tmp_path, zip64_wheel(**wrong), FILENAME)) == {"zip-structure"}


def test_members_that_share_their_bytes_are_refused(tmp_path: Path) -> None:
    # The same local header and data, named twice in the directory: the way of overlapping bombs.
    data = wheel_with([odd(), odd(name=b"demo/0dd.py", central={"offset": 0})])
    assert errors(judge_wheel(tmp_path, data, FILENAME)) >= {"zip-structure"}


@pytest.mark.parametrize(
    "data",
    [b"", b"PK", b"<!DOCTYPE html><html>login</html>", b"\x1f\x8b\x08" + b"0" * 99, b"PK\5\6" + b"\0" * 18, b"{}", b"\0" * 5000],
    ids=["nothing", "two bytes", "html", "gzip", "an empty archive", "json", "zeros"],
)
def test_what_is_no_wheel_at_all_is_refused(data: bytes, tmp_path: Path) -> None:
    assert errors(judge_wheel(tmp_path, data, FILENAME)) <= {"zip-structure", "dist-info"} != set()


@pytest.mark.parametrize("kind", [0o120000, 0o010000, 0o020000, 0o060000, 0o140000, 0o040000])
def test_members_that_are_no_files_are_refused(kind: int, tmp_path: Path) -> None:
    assert errors(judge_wheel(tmp_path, wheel_with(odd(mode=kind | 0o777)), FILENAME)) == {"zip-type"}


def test_a_folder_with_content_is_refused(tmp_path: Path) -> None:
    data = wheel_with([odd(), Member(name=b"demo/x/", data=b"hidden", method=0)])
    assert errors(judge_wheel(tmp_path, data, FILENAME)) == {"zip-structure"}


def test_bombs_are_refused_without_being_unpacked(tmp_path: Path) -> None:
    zeros = bytes(80 << 20)
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = squeezer.compress(zeros) + squeezer.flush()
    sizes = {"size": len(zeros), "crc": 0}
    data = wheel_with(odd(data=b"", packed=packed, local=sizes, central=sizes))
    assert errors(judge_wheel(tmp_path, data, FILENAME)) == {"zip-bomb"}
    # The same bomb that claims to be small stops at what it claims.
    lie = {"size": 100, "crc": 0}
    del zeros
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    data = wheel_with(odd(data=b"", packed=packed, local=lie, central=lie))
    assert errors(judge_wheel(tmp_path, data, FILENAME)) >= {"zip-structure"}
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < (20 << 20 if sys.platform == "darwin" else 20 << 10)


def test_a_huge_metadata_is_not_read(tmp_path: Path) -> None:
    metadata = "Metadata-Version: 2.1\nName: demo\nVersion: 1.0\nSummary: " + "x y z " * 200_000 + "\n"
    data = write_zip(members_of(wheel_files(metadata=metadata), method=0))
    assert errors(judge_wheel(tmp_path, data, FILENAME, Limits(metadata=1 << 20))) == {"zip-bomb"}
    assert errors(judge_wheel(tmp_path, data, FILENAME, Limits(headers=1 << 20))) == {"metadata"}


def test_too_many_members_are_refused(tmp_path: Path) -> None:
    assert errors(judge_wheel(tmp_path, wheel_with(odd()), FILENAME, Limits(entries=4))) == {"zip-bomb"}


def test_large_members_are_read_in_pieces(tmp_path: Path) -> None:
    # Longer than any buffer, badly and well compressible, stored and deflated.
    noise = b"".join(zlib.crc32(bytes([n % 256, n >> 8 & 255])).to_bytes(4, "little") for n in range(40_000)) * 35
    files = {"demo/noise.bin": noise, "demo/odd.py": noise[:1] * 9_000_000}
    for method in (0, 8):
        data = write_zip(members_of(wheel_files(files), method=method))
        assert errors(judge_wheel(tmp_path, data, FILENAME)) == set()
        broken = bytearray(data)
        broken[3_000_000 if method == 0 else 200_000] ^= 1
        assert errors(judge_wheel(tmp_path, bytes(broken), FILENAME)) & {"zip-crc", "zip-structure"}


def test_everything_is_reported_at_once_and_not_without_end(tmp_path: Path) -> None:
    files = wheel_files({f"demo/{number}?": b"" for number in range(50)}, wheel=None, metadata=None)
    verdict = judge_wheel(tmp_path, write_zip(members_of(files)), FILENAME)
    assert errors(verdict) == {"zip-name", "wheel-file", "metadata"}
    assert len(verdict.findings) == 23
    assert "30 more" in verdict.findings[-1].message

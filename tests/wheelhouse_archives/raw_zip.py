"""A ZIP writer that writes whatever it is told, and the parts of a wheel to give it. Written from APPNOTE 6.3, not from the reader."""

from __future__ import annotations

import base64
import hashlib
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Member:
    """One member. ``local`` and ``central`` override single fields of its headers; ``after`` are bytes between it and the next."""

    name: bytes
    data: bytes = b""
    method: int = 8
    flags: int = 0
    mode: int = 0o100644
    packed: bytes | None = None
    local_extra: bytes = b""
    central_extra: bytes = b""
    local: Mapping[str, Any] = field(default_factory=dict)
    central: Mapping[str, Any] = field(default_factory=dict)
    after: bytes = b""


def deflate(data: bytes) -> bytes:
    """Raw deflate data."""
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return squeezer.compress(data) + squeezer.flush()


def write_zip(
    members: Sequence[Member], *, prefix: bytes = b"", suffix: bytes = b"", comment: bytes = b"", between: bytes = b"", **end: int
) -> bytes:
    """The archive. ``prefix`` stands before the first member, ``between`` before the end record; ``end`` overrides its fields."""
    out = bytearray(prefix)
    directory = bytearray()
    for member in members:
        packed = member.packed if member.packed is not None else (deflate(member.data) if member.method == 8 else member.data)
        fields: dict[str, Any] = {
            "needed": 20, "flags": member.flags, "method": member.method, "time": 0, "date": 0x5021, "crc": zlib.crc32(member.data),
            "packed": len(packed), "size": len(member.data), "name": member.name, "offset": len(out),
            "disk": 0, "attributes": member.mode << 16, "made": 0x031E,
        }  # fmt: skip
        one, two = {**fields, **member.local}, {**fields, **member.central}
        out += struct.pack(
            "<4s5H3L2H", b"PK\3\4", one["needed"], one["flags"], one["method"], one["time"], one["date"], one["crc"],
            one["packed"], one["size"], len(one["name"]), len(member.local_extra),
        )  # fmt: skip
        out += one["name"] + member.local_extra + packed + member.after
        directory += struct.pack(
            "<4s6H3L5H2L", b"PK\1\2", two["made"], two["needed"], two["flags"], two["method"], two["time"], two["date"], two["crc"],
            two["packed"], two["size"], len(two["name"]), len(member.central_extra), 0, two["disk"], 0, two["attributes"], two["offset"],
        )  # fmt: skip
        directory += two["name"] + member.central_extra
    last = {"disk": 0, "first_disk": 0, "here": len(members), "count": len(members), "length": len(directory), "start": len(out)} | end
    out += directory + between
    out += struct.pack(
        "<4s4H2LH", b"PK\5\6", last["disk"], last["first_disk"], last["here"], last["count"], last["length"], last["start"], len(comment)
    )
    return bytes(out + comment + suffix)


def zip64_end(count: int, length: int, start: int, position: int, *, surplus: bytes = b"", pointer: int | None = None) -> bytes:
    """The zip64 end record and its locator, to stand between the directory and the end record; ``position`` is where they stand."""
    record = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44 + len(surplus), 45, 45, 0, 0, count, count, length, start) + surplus
    return record + struct.pack("<4sLQL", b"PK\6\7", 0, position if pointer is None else pointer, 1)


METADATA = "Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n"
WHEEL = "Wheel-Version: 1.0\nGenerator: by hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
FILENAME = "demo-1.0-py3-none-any.whl"
INFO = "demo-1.0.dist-info"


def digest(data: bytes, algorithm: str = "sha256") -> str:
    """As RECORD writes it."""
    raw = hashlib.new(algorithm, data).digest()
    return f"{algorithm}={base64.urlsafe_b64encode(raw).rstrip(b'=').decode()}"


def record_of(files: Mapping[str, bytes], info: str = INFO) -> str:
    """A right RECORD for these files."""
    rows = [f'"{path}",{digest(data)},{len(data)}' if "," in path else f"{path},{digest(data)},{len(data)}" for path, data in files.items()]
    return "\n".join([*rows, f"{info}/RECORD,,"]) + "\n"


def wheel_files(
    files: Mapping[str, bytes] | None = None,
    *,
    metadata: str | None = METADATA,
    wheel: str | None = WHEEL,
    record: str | None = "right",
    entry_points: str | None = None,
    info: str = INFO,
) -> dict[str, bytes]:
    """Every file of a wheel by its name; None leaves a file out."""
    found = {"demo/__init__.py": b"answer = 42\n", **(files or {})}
    for name, text in (("METADATA", metadata), ("WHEEL", wheel), ("entry_points.txt", entry_points)):
        if text is not None:
            found[f"{info}/{name}"] = text.encode("utf-8", "surrogateescape")
    if record is not None:
        found[f"{info}/RECORD"] = (record_of(found, info) if record == "right" else record).encode()
    return found


def members_of(files: Mapping[str, bytes], **how: Any) -> list[Member]:
    """Plain members for these files."""
    return [Member(name=name.encode(), data=data, flags=0 if name.isascii() else 1 << 11, **how) for name, data in files.items()]

"""ELF files made by hand, of any machine, with just what the loader reads; and the parts from which broken ones are made."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

MACHINES = {"x86_64": (62, 64, "<"), "i686": (3, 32, "<"), "aarch64": (183, 64, "<"), "s390x": (22, 64, ">"), "ppc64le": (21, 64, "<"),
            "armv7l": (40, 32, "<"), "riscv64": (243, 64, "<")}  # fmt: skip
BASE = 0x10000  # the address at which the file is loaded


def elf(
    arch: str = "x86_64",
    *,
    needed: Sequence[str] = ("libc.so.6",),
    versions: Mapping[str, Sequence[str]] | None = None,
    soname: str | None = None,
    runpath: str | None = None,
    symbols: Mapping[str, str] | None = None,
    weak: Sequence[str] = (),
    dynamic: Sequence[tuple[int, int]] = (),
) -> bytes:
    """A shared library. ``versions`` maps a library to the versions wanted of it, ``symbols`` a version to the symbol that wants it.

    ``dynamic`` are entries that replace those of the same tag (a lie about where something lies).
    """
    number, bits, order = MACHINES[arch]
    wide = bits == 64
    strings = bytearray(b"\0")

    def text(value: str) -> int:
        place = len(strings)
        strings.extend(value.encode() + b"\0")
        return place

    entries = [(1, text(name)) for name in needed]
    if soname:
        entries.append((14, text(soname)))
    if runpath:
        entries.append((29, text(runpath)))
    numbers = {version: at for at, version in enumerate((v for vs in (versions or {}).values() for v in vs), start=2)}
    need = bytearray()
    for at, (library, wanted) in enumerate((versions or {}).items()):
        last = at == len(versions or {}) - 1
        need += struct.pack(f"{order}HHIII", 1, len(wanted), text(library), 16, 0 if last else 16 + 16 * len(wanted))
        for nth, version in enumerate(wanted):
            beyond = 0 if nth == len(wanted) - 1 else 16
            need += struct.pack(f"{order}IHHII", 0, 2 if version in weak else 0, numbers[version], text(version), beyond)
    table = bytearray(24 if wide else 16)
    versym = bytearray(struct.pack(f"{order}H", 0))
    for version, symbol in (symbols or {}).items():
        name = text(symbol)
        table += struct.pack(f"{order}IBBHQQ", name, 0x12, 0, 0, 0, 0) if wide else struct.pack(f"{order}IIIBBH", name, 0, 0, 0x12, 0, 0)
        versym += struct.pack(f"{order}H", numbers[version])
    count = 1 + len(symbols or {})
    hashes = struct.pack(f"{order}II", 1, count) + bytes(4 * (count + 1))
    head, header = (64, 56) if wide else (52, 32)
    start = head + 2 * header
    places: dict[str, int] = {}
    body = bytearray()
    for part, data in {
        "strings": bytes(strings),
        "need": bytes(need),
        "table": bytes(table),
        "versym": bytes(versym),
        "hash": hashes,
    }.items():
        body += bytes(-(start + len(body)) % 8)
        places[part] = BASE + start + len(body)
        body += data
    entries += [(5, places["strings"]), (10, len(strings)), (6, places["table"]), (4, places["hash"])]
    if versions:
        entries += [(0x6FFFFFFE, places["need"]), (0x6FFFFFFF, len(versions)), (0x6FFFFFF0, places["versym"])]
    lies = dict(dynamic)
    entries = [(tag, lies.get(tag, value)) for tag, value in entries] + [(0, 0)]
    body += bytes(-(start + len(body)) % 8)
    offset = start + len(body)
    segment = b"".join(struct.pack(f"{order}{'QQ' if wide else 'II'}", *entry) for entry in entries)
    size = offset + len(segment)
    ident = b"\x7fELF" + bytes([2 if wide else 1, 1 if order == "<" else 2, 1]) + bytes(9)
    layout = f"{order}HHIQQQIHHHHHH" if wide else f"{order}HHIIIIIHHHHHH"
    first = ident + struct.pack(layout, 3, number, 1, 0, head, 0, 0, head, header, 2, 0, 0, 0)
    segments = [(1, 0, BASE, size), (2, offset, BASE + offset, len(segment))]
    rows = b"".join(
        struct.pack(f"{order}IIQQQQQQ", kind, 5, place, address, address, length, length, 8)
        if wide
        else struct.pack(f"{order}IIIIIIII", kind, place, address, address, length, length, 5, 8)
        for kind, place, address, length in segments
    )
    return first + rows + bytes(body) + segment

"""RECORD: which files a wheel has, and the digest of each (PEP 376, PEP 427)."""

from __future__ import annotations

import base64
import binascii
import csv
import io
from typing import NamedTuple

from hardtack.wheelhouse.faults import Faults
from hardtack.wheelhouse.member_names import name_fault

# The specification asks for sha256 or better and forbids md5 and sha1.
ALGORITHMS = {"sha256": 32, "sha384": 48, "sha512": 64, "sha3_256": 32, "sha3_384": 48, "sha3_512": 64, "blake2b": 64, "blake2s": 32}


class Row(NamedTuple):
    """One file's line. ``size`` is None where the line leaves it out; ``digest`` is None for RECORD itself and its signatures."""

    algorithm: str
    digest: bytes | None
    size: int | None


def read_record(data: bytes, dist_info: str, faults: Faults, *, most: int) -> dict[str, Row]:
    """The rows by path. What is wrong with a row is in ``faults``, and the row, where it can be, among the rest.

    ``most``: how many rows a wheel of so many members can have; a longer RECORD is not read on.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        faults.error("record", f"RECORD is not UTF-8 (byte {error.start})")
        return {}
    own = f"{dist_info}/RECORD"
    unhashed = {own, f"{own}.jws", f"{own}.p7s"}
    rows: dict[str, Row] = {}
    try:
        for line in csv.reader(io.StringIO(text, newline=""), strict=True):
            if not line:
                continue
            if len(rows) > most:
                faults.error("record", f"RECORD lists more than the {most} files that the wheel has")
                break
            if len(line) != 3:
                faults.error("record", f"RECORD has a line of {len(line)} fields: {','.join(line)[:200]!r}")
                continue
            path, hashed, size = line
            if path in rows:
                faults.error("record", f"RECORD lists {path!r} twice")
                continue
            rows[path] = _row(path, hashed, size, own, unhashed, faults)
    except csv.Error as error:
        faults.error("record", f"RECORD is not the CSV that it must be: {error}")
    if not rows:
        faults.error("record", "RECORD lists no file")
    return rows


def _row(path: str, hashed: str, size: str, own: str, unhashed: set[str], faults: Faults) -> Row:
    length = None
    if size:
        if size.isascii() and size.isdigit() and len(size) < 20:
            length = int(size)
        else:
            faults.error("record", f"RECORD: the size of {path!r} is {size[:40]!r}")
    if not hashed:
        if path not in unhashed:
            faults.error("record-hash", f"RECORD has no hash for {path!r}")
        return Row("", None, length)
    if path == own:
        faults.error("record-hash", "RECORD states a hash of itself, which it cannot have")
        return Row("", None, length)
    algorithm, _, encoded = hashed.partition("=")
    if algorithm not in ALGORITHMS:
        faults.error("record-hash", f"RECORD: {path!r} is hashed with {algorithm[:40]!r}; it must be sha256 or better")
        return Row("", None, length)
    try:
        digest = base64.b64decode(encoded.rstrip("=") + "=" * (-len(encoded.rstrip("=")) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        digest = b""
    if len(digest) != ALGORITHMS[algorithm]:
        faults.error("record-hash", f"RECORD: {hashed[:120]!r} for {path!r} is no {algorithm} digest in urlsafe base64")
        return Row("", None, length)
    return Row(algorithm, digest, length)


def compare(rows: dict[str, Row], sizes: dict[str, int], dist_info: str, folders: set[str], faults: Faults) -> None:
    """Every file is listed, with its size, and nothing else is. ``sizes``: of every file; ``folders``: those that are members."""
    own = f"{dist_info}/RECORD"
    optional = {own, f"{own}.jws", f"{own}.p7s"}
    for path, size in sizes.items():
        row = rows.get(path)
        if row is None:
            if path not in optional:
                faults.error("record", f"{path!r} is not listed in RECORD")
        elif row.size is not None and row.size != size and path != own:
            faults.error("record", f"RECORD says that {path!r} has {row.size} bytes; it has {size}")
    for path in sorted(rows.keys() - sizes.keys()):
        if path.endswith("/") and path[:-1] in folders:
            continue
        fault = name_fault(path)
        reason = f": {fault.reason}" if fault and not fault.windows_only else ""
        faults.error("record", f"RECORD lists {path!r}, which is not in the wheel{reason}")

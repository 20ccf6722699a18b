"""Every single-byte flip in real wheels is found (promise 7): ``python -m tests.corpus.flips FOLDER... --flips 1000``.

A byte of a wheel is found if ``inspect_wheel`` refuses the file once one of its bits is flipped, told the digest of the flipped file, so
that nothing but the wheel's own structure and RECORD can tell. A flip may pass only where it cannot matter, which is defined so:

- the byte lies in one of HARMLESS: "version made by", the internal and the external attributes of the directory (where the kind of a file
  is checked, and its permission bits are what an installer may use), the text of a comment, the payload of an extra field that no
  installer reads (times, owners, alignment), or the zip64 end record's own "made by" and "needed";
- or in the last byte of a deflate stream, or before a stored block in it: the bits after a block's end mean nothing (RFC 1951); and
- Python's zipfile then reads the same names with the same bytes as before, and hardtack reads the same facts.

Anything else that passes is a failure.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import random
import struct
import sys
import tempfile
import zipfile
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from hardtack.model.wheel import WheelFacts
from hardtack.wheelhouse.inspect import inspect_wheel
from tests.corpus.real import wheels_below

_LOCAL = (("signature", 4), ("needed", 2), ("flags", 2), ("method", 2), ("time", 4), ("crc", 4), ("packed", 4), ("size", 4), ("lengths", 4))
_CENTRAL = (
    ("signature", 4),
    ("made by", 2),
    ("needed", 2),
    ("flags", 2),
    ("method", 2),
    ("time", 4),
    ("crc", 4),
    ("packed", 4),
    ("size", 4),
    ("lengths", 6),
    ("disk", 2),
    ("internal attributes", 2),
    ("external attributes", 4),
    ("offset", 4),
)
_END = (("signature", 4), ("disks", 4), ("counts", 4), ("directory", 8), ("comment length", 2))
_END64 = (("signature", 4), ("length", 8), ("made by", 2), ("needed", 2), ("disks", 8), ("counts", 16), ("directory", 16))
_LOCATOR = (("signature", 4), ("disk", 4), ("offset", 8), ("disks", 4))

HARMLESS = frozenset(
    {
        "directory: made by",
        "directory: internal attributes",
        "directory: external attributes",
        "directory: comment",
        "end: comment",
        "directory: extra",
        "local: extra",
        "local: end of content",
        "zip64 end: made by",
        "zip64 end: needed",
    }
)
PADDED = "local: content"


@dataclass(frozen=True, kw_only=True)
class Span:
    """Bytes of one class."""

    kind: str
    start: int
    length: int


def spans(data: bytes) -> list[Span]:
    """What every byte of a sound archive is, told from the standard (APPNOTE 6.3) and not from the reader that is tested."""
    found: list[Span] = []

    def record(place: str, fields: tuple[tuple[str, int], ...], position: int) -> int:
        for name, length in fields:
            found.append(Span(kind=f"{place}: {name}", start=position, length=length))
            position += length
        return position

    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members, directory = archive.infolist(), archive.start_dir
    starts = [*sorted(member.header_offset for member in members), directory]
    for member in members:
        at = record("local", _LOCAL, member.header_offset)
        name, extra = struct.unpack_from("<2H", data, at - 4)
        following = starts[starts.index(member.header_offset) + 1]
        for kind, length in (("name", name), ("extra", extra), ("content", member.compress_size)):
            # A deflate stream ends within a byte: nothing reads the bits after its end.
            rest = int(kind == "content" and member.compress_type == zipfile.ZIP_DEFLATED and length > 0)
            found.append(Span(kind=f"local: {kind}", start=at, length=length - rest))
            found.append(Span(kind="local: end of content", start=at + length - rest, length=rest))
            at += length
        found.append(Span(kind="local: descriptor", start=at, length=following - at))
    at = directory
    for _ in members:
        at = record("directory", _CENTRAL, at)
        name, extra, comment = struct.unpack_from("<3H", data, at - 18)
        for kind, length in (("name", name), ("extra", extra), ("comment", comment)):
            found.append(Span(kind=f"directory: {kind}", start=at, length=length))
            at += length
    if data[at : at + 4] == b"PK\6\6":
        at = record("zip64 locator", _LOCATOR, record("zip64 end", _END64, at))
    at = record("end", _END, at)
    found.append(Span(kind="end: comment", start=at, length=len(data) - at))
    assert sum(span.length for span in found) == len(data), "bytes of no class"
    return [span for span in found if span.length]


def contents(data: bytes) -> list[tuple[str, str]]:
    """What zipfile reads: names and digests, in the directory's order."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return [(member.filename, hashlib.sha256(archive.read(member)).hexdigest()) for member in archive.infolist()]


def facts_of(data: bytes, filename: str, folder: Path) -> WheelFacts | None:
    """The facts without what any change of the file changes, or None if it is refused."""
    path = folder / "flipped"
    path.write_bytes(data)
    found = inspect_wheel(path, filename=filename, sha256=hashlib.sha256(data).hexdigest())
    return replace(found, sha256="") if isinstance(found, WheelFacts) else None


def flip_wheel(data: bytes, filename: str, flips: int, chance: random.Random, folder: Path) -> tuple[Counter[str], Counter[str], list[str]]:
    """Flip single bits, every class of bytes in turn: how many of each class were refused, how many passed, and those that must not."""
    whole = facts_of(data, filename, folder)
    assert whole is not None, filename
    by_kind: dict[str, list[Span]] = {}
    for span in spans(data):
        by_kind.setdefault(span.kind, []).append(span)
    refused: Counter[str] = Counter()
    passed: Counter[str] = Counter()
    wrong: list[str] = []
    before = contents(data)
    kinds = sorted(by_kind)
    chance.shuffle(kinds)
    for number in range(flips):
        kind = kinds[number % len(kinds)]
        span = chance.choice(by_kind[kind])
        position, bit = span.start + chance.randrange(span.length), chance.randrange(8)
        flipped = bytearray(data)
        flipped[position] ^= 1 << bit
        found = facts_of(bytes(flipped), filename, folder)
        if found is None:
            refused[kind] += 1
            continue
        passed[kind] += 1
        if (kind not in HARMLESS and kind != PADDED) or found != whole or contents(bytes(flipped)) != before:
            wrong.append(f"{filename}: byte {position} ({kind}), bit {bit}: accepted")
    return refused, passed, wrong


def main(arguments: list[str] | None = None) -> int:
    """Flip bits in as many wheels as there are, one for each until enough are flipped."""
    parser = argparse.ArgumentParser(prog="python -m tests.corpus.flips", description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--flips", type=int, default=1000)
    parser.add_argument("--each", type=int, default=25, help="flips in one wheel")
    parser.add_argument("--largest", type=int, default=4 << 20, help="leave out larger files (bytes)")
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args(arguments)
    chance = random.Random(given.seed)
    wheels = [path for path, _ in wheels_below(given.folders) if path.stat().st_size <= given.largest]
    chance.shuffle(wheels)
    refused: Counter[str] = Counter()
    passed: Counter[str] = Counter()
    wrong: list[str] = []
    used = 0
    with tempfile.TemporaryDirectory(prefix="hardtack-flips-") as folder:
        for path in wheels:
            if sum(refused.values()) + sum(passed.values()) >= given.flips:
                break
            data = path.read_bytes()
            if facts_of(data, path.name, Path(folder)) is None:
                continue
            one, two, three = flip_wheel(data, path.name, given.each, chance, Path(folder))
            refused, passed, used = refused + one, passed + two, used + 1
            wrong += three
    for kind in sorted(refused | passed):
        note = "  (cannot matter)" if kind in HARMLESS else "  (padding of deflate)" if passed[kind] else ""
        print(f"{kind:34} {refused[kind]:7} refused {passed[kind]:6} passed{note}")
    for line in wrong:
        print(line)
    print(f"{sum(refused.values()) + sum(passed.values())} flips in {used} wheels: {len(wrong)} not found that matter")
    return int(bool(wrong) or not used)


if __name__ == "__main__":
    sys.exit(main())

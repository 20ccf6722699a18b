"""Two pieces of bytes that differ, in a few words: where they part, and what kind of thing differs there."""

from __future__ import annotations

import re
from typing import IO

_BLOCK = 1 << 16
_WIDTH = 100  # characters that are shown of either
_BEFORE = 32  # of them before the first that differs

_DATE = re.compile(
    r"\d{4}[-/.]\d\d[-/.]\d\d|\b(?:19|20)\d\d[01]\d[0-3]\d\b|\b[0-3]?\d[ -](?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*"
    r"|\b(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]* +\d{1,2}\b"
)
_TIME = re.compile(r"\b\d\d:\d\d(?::\d\d)?\b|\b1[5-9]\d{8}(?:\.\d+|\d{3})?\b|\b2[01]\d{8}(?:\.\d+)?\b")
_PATH = re.compile(r"(?:[A-Za-z]:)?[/\\][\w.+@~-]+(?:[/\\][\w.+@~-]+)+")
_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{6,16}\b")
_RANDOM = re.compile(r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b")


def first_unlike(one: IO[bytes], two: IO[bytes], *, limit: int | None = None) -> int | None:
    """How many bytes two streams share from where they stand, None where both end (or ``limit`` is reached) with no difference."""
    at = 0
    while True:
        room = _BLOCK if limit is None else min(_BLOCK, limit - at)
        ours, theirs = fill(one, room), fill(two, room)
        if ours != theirs:
            return at + shared(ours, theirs)
        if not ours:
            return None
        at += len(ours)


def fill(stream: IO[bytes], count: int) -> bytes:
    """``count`` bytes, fewer only where the stream ends."""
    parts: list[bytes] = []
    while count > 0 and (piece := stream.read(count)):
        parts.append(piece)
        count -= len(piece)
    return b"".join(parts)


def shared(one: bytes, two: bytes) -> int:
    """How many bytes two pieces begin with in common."""
    low, high = 0, min(len(one), len(two))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == two[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def excerpts(one: bytes, two: bytes) -> str:
    """Both, short, around the first difference, and what kind of thing it is where that is plain.

    >>> print(excerpts(b"built 2026-11-20", b"built 2026-11-21"))
    'built 2026-11-20', then 'built 2026-11-21' (a date)
    """
    ours, theirs = one.decode("utf-8", "backslashreplace"), two.decode("utf-8", "backslashreplace")
    at = shared(ours.encode("utf-32-le"), theirs.encode("utf-32-le")) // 4
    kind = _kind(ours, theirs, at)
    return f"{_cut(ours, at)}, then {_cut(theirs, at)}{f' ({kind})' if kind else ''}"


def quoted(data: bytes) -> str:
    """The beginning of a piece of bytes, in quotation marks."""
    return _cut(data[: 4 * _WIDTH].decode("utf-8", "backslashreplace"), 0)


def _cut(text: str, at: int) -> str:
    begin = max(0, at - _BEFORE) if len(text) > _WIDTH else 0
    piece = text[begin : begin + _WIDTH].rstrip("\r\n")
    return ("..." if begin else "") + repr(piece) + ("..." if begin + _WIDTH < len(text) else "")


def _kind(one: str, two: str, at: int) -> str | None:
    begin, end = max(0, at - 400), at + 400
    ours, theirs = one[begin:end], two[begin:end]
    for pattern, name in (
        (_RANDOM, "a random identifier"),
        (_ADDRESS, "an address in memory"),
        (_DATE, "a date"),
        (_TIME, "a time"),
        (_PATH, "a path"),
    ):
        if _spans(pattern, ours, at - begin) and _spans(pattern, theirs, at - begin):
            return name
    if sorted(re.findall(r"\w+", ours)) == sorted(re.findall(r"\w+", theirs)):
        return "the same words in another order"
    return None


def _spans(pattern: re.Pattern[str], text: str, at: int) -> bool:
    """True if what the pattern finds lies over the place at which the texts part."""
    return any(found.start() <= at <= found.end() for found in pattern.finditer(text))

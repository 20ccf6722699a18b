"""One case of the corpus: bytes that somebody hostile, careless or merely old could hand to hardtack, and the verdict on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Kind = Literal["wheel", "sdist", "page", "answer", "backend", "pylock", "manifest", "uv.lock", "requirements", "pyproject"]
Level = Literal["must", "should", "control"]
Verdict = Literal["refuse", "aside", "accept"]


@dataclass(frozen=True, kw_only=True)
class Case:
    """``make`` gives the bytes, the same ones each time.

    ``verdict``: "refuse" the whole, keep the file "aside" and read the rest (pages), or "accept". A ``level`` of "must": accepting it
    harms, or breaks a standard's MUST; "should": readers disagree about it, or it is a nuisance; "control": it is good, and refusing it
    would be wrong. ``reason`` says why, with the standard's number. ``name`` is the file name or media type under which it comes.
    """

    id: str
    kind: Kind
    level: Level
    verdict: Verdict
    reason: str
    make: Callable[[], bytes]
    name: str = ""


def bad(kind: Kind, id: str, reason: str, make: Callable[[], bytes], *, name: str = "", level: Level = "must") -> Case:  # noqa: A002 - the field's name
    """A case that is to be refused."""
    return Case(id=f"{kind}:{id}", kind=kind, level=level, verdict="refuse", reason=reason, make=make, name=name)


def good(kind: Kind, id: str, reason: str, make: Callable[[], bytes], *, name: str = "") -> Case:  # noqa: A002 - the field's name
    """A control."""
    return Case(id=f"{kind}:ok-{id}", kind=kind, level="control", verdict="accept", reason=reason, make=make, name=name)

"""What a promise's command finds out."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path


class Unmeasured(Exception):
    """This machine cannot measure it; the words say why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One row's figure. ``missed`` are the cases that broke the promise, in words; the promise is kept where there is none."""

    row: str
    what: str
    figure: str
    goal: str
    missed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def kept(self) -> bool:
        """True if the figure reaches the goal."""
        return not self.missed


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How much is measured. ``runs`` is what a command does many times, None for its own number; ``seed`` decides the dice."""

    folder: Path
    runs: int | None = None
    seed: int = 1
    live: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """A command: the rows that it measures, and how. ``live``: it needs the public index and runs only when it is asked for by row."""

    rows: tuple[str, ...]
    measure: Callable[[Settings], Iterator[Figure]]
    about: str
    live: bool = False


@dataclass(slots=True)
class Tally:
    """How often something was tried, and what was wrong."""

    tried: int = 0
    missed: list[str] = field(default_factory=list)

    def expect(self, holds: object, words: str) -> bool:
        """Count one try, and keep its words where it does not hold."""
        self.tried += 1
        if not holds:
            self.missed.append(words)
        return bool(holds)

    @property
    def share(self) -> str:
        """ "199 of 200"."""
        return f"{self.tried - len(self.missed)} of {self.tried}"

    def figure(self, row: str, what: str, goal: str, *, notes: tuple[str, ...] = ()) -> Figure:
        """The figure: how many of how many held."""
        missed = tuple(self.missed) if self.tried else ("nothing was tried",)
        return Figure(row=row, what=what, figure=self.share, goal=goal, missed=missed, notes=notes)


def circumstances() -> str:
    """Machine class and day, for beside a figure; no names."""
    user = "root" if hasattr(os, "geteuid") and os.geteuid() == 0 else "an ordinary user"
    return (
        f"{time.strftime('%Y-%m-%d', time.gmtime())}, {platform.system()} {platform.machine()}, {os.cpu_count()} cores, "
        f"CPython {platform.python_version()}, as {user}"
    )

"""Where the runs of a promise happen: a small world of packages on a loopback index, and accounts with nothing of this machine's."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.archives import make_wheel
from tests.support.loopback import LoopbackIndex
from tests.support.running import Account, Ran, contents
from tests.support.world import LINUX, add_app, add_source

TEMPORARY = re.compile(r"(^|/)\.hardtack-|(^|/)hardtack-(probe|uv)|\.hardtack-part$|(^|/)tmp[a-z0-9_]{8}(/|$)")
_STORED = re.compile(r"([0-9a-f]{2})/([0-9a-f]{62})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """A world and a folder to run in; ``wanted`` is what the runs ask for."""

    index: LoopbackIndex
    folder: Path
    wanted: tuple[str, ...] = ("app", "fromsource", "another", "heavy")

    def account(self, name: str = "account", **variables: str) -> Account:
        """A new account, in place of the one of that name; what programs take for temporary files lies in it too."""
        place = self.folder / name
        shutil.rmtree(place, ignore_errors=True)
        temporary = place / "tmp"
        temporary.mkdir(parents=True)
        return Account.make(place, TMPDIR=str(temporary), **variables)

    def build(self, *more: str) -> list[str]:
        """The arguments of a build of the whole world."""
        return ["build", *self.wanted, "-t", LINUX, "-i", self.index.url, *more]

    def from_lock(self, *more: str) -> list[str]:
        """The arguments of a build of what the project's lock says."""
        return ["build", "-r", "requirements.in", "-t", LINUX, "-i", self.index.url, *more]


@contextmanager
def world(folder: Path) -> Iterator[Ground]:
    """Six wheels, one of a megabyte, and two source archives that are built."""
    with LoopbackIndex() as index:
        add_app(index)
        add_source(index)
        add_source(index, "another", "2.0")
        heavy = hashlib.shake_256(b"heavy").digest(1_000_000)
        index.add(*make_wheel("heavy", "3.0", files={"heavy/data.bin": heavy}))
        yield Ground(index=index, folder=folder)


def wrong_entries(cache: Path) -> list[str]:
    """The store's entries that are not what their name says."""
    stored = contents(cache / "files") if (cache / "files").is_dir() else {}
    return [name for name, digest in stored.items() if (match := _STORED.fullmatch(name)) and match[1] + match[2] != digest]


def strays(folder: Path, *, but: Sequence[str] = ()) -> list[str]:
    """Files and folders below ``folder`` under a temporary name, hardtack's or Python's."""
    return sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if TEMPORARY.search(path.relative_to(folder).as_posix()) and not path.relative_to(folder).as_posix().startswith(tuple(but))
    )


def ended(ran: Ran) -> str:
    """How a run ended, in words for a person who looks for the cause."""
    return f"exit code {ran.code}: {' '.join((ran.err or ran.out).split())[-300:]}"

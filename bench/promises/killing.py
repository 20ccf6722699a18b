"""Rows 1, 2 and 3: killed at any instant and run again, the result is the uninterrupted one, with nothing wrong or left on the way."""

from __future__ import annotations

import functools
import hashlib
import os
import random
import re
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.loopback import LoopbackIndex
from tests.support.running import Account, children_of, contents

from bench.promises.figures import Figure, Settings, Tally
from bench.promises.grounds import Ground, ended, world, wrong_entries
from bench.promises.watching import Watch

RUNS = 200
# uv names what it unpacks by chance.
_OF_UV = re.compile(r"^uv/")
_STORED = re.compile(r"/files/([0-9a-f]{2})/([0-9a-f]{62})$")


@dataclass(slots=True, kw_only=True)
class Kills:
    """What came of the kills."""

    results: Tally = field(default_factory=Tally)
    junk: Tally = field(default_factory=Tally)
    wrong: list[str] = field(default_factory=list)
    seen: int = 0
    struck: int = 0
    orphans: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """A kind of run: what it is called, what is there when it begins, and its arguments."""

    name: str
    arguments: tuple[str, ...]
    lock: bytes | None = None
    cache: Path | None = None

    def lay(self, account: Account) -> None:
        """Lay out what is there when the run begins."""
        account.write("requirements.in", "app\nfromsource\nanother\nheavy\n")
        if self.lock is not None:
            account.write("pylock.toml", self.lock)
        if self.cache is not None:
            shutil.copytree(self.cache, account.cache, symlinks=True)


def measure_kills(settings: Settings) -> Iterator[Figure]:
    """Kill hardtack so often, each time at an instant of the dice's choice, and look at what is there then and after the next run."""
    kills = kill_runs(settings, runs=settings.runs or RUNS)
    goal = f"{kills.results.tried} of {kills.results.tried}"
    notes = (f"{kills.struck} were killed before they had ended",)
    yield kills.results.figure(
        "1", "killed at a random instant and run again: equal the uninterrupted result, byte for byte", goal, notes=notes
    )
    yield kills.junk.figure("2", "after that: no file outside the cache, none in it that an uninterrupted run would not have", goal)
    yield Figure(
        row="3",
        what=f"files with a wrong digest under a final name, watched as it was taken {kills.seen} times",
        figure=str(len(kills.wrong)),
        goal="0",
        missed=tuple(kills.wrong) or (() if kills.seen else ("nothing was seen",)),
    )
    if kills.orphans:
        yield Figure(
            row="2",
            what="processes that outlive a killed run by 2 s",
            figure=str(len(kills.orphans)),
            goal="0",
            missed=tuple(kills.orphans),
        )


def kill_runs(settings: Settings, *, runs: int) -> Kills:
    """Do the runs, in each way by turns; every sixth meets a server that flips a byte of a wheel."""
    dice = random.Random(settings.seed)  # noqa: S311 - instants, not secrets
    kills = Kills()
    with world(settings.folder) as ground:
        ways, expected, cached, seconds = _references(ground)
        for number in range(runs):
            way = ways[number % len(ways)]
            account = ground.account()
            way.lay(account)
            if number % 6 == 5:
                ground.index.fault("heavy-3.0-py3-none-any.whl", flip_at=dice.randrange(900_000), times=1)
            limit = seconds[way.name] * 1.05
            name = f"run {number + 1} ({way.name})"
            with Watch(account.home.parent, functools.partial(_look, index=ground.index, kills=kills, name=name)) as watch:
                instant = dice.uniform(0.05, limit)
                run = account.start(*way.arguments)
                time.sleep(instant)
                kills.struck += run.process.poll() is None
                run.signal(signal.SIGKILL)
                run.end()
                kills.wrong += [f"{name}: {entry} after {instant:.2f} s" for entry in wrong_entries(account.cache)]
                ground.index.faults.clear()
                began = time.monotonic()
                again = account.run(*way.arguments)
                seconds[way.name] += 0.2 * (min(time.monotonic() - began, 2 * seconds[way.name]) - seconds[way.name])
            kills.seen += watch.seen
            told = f"{name}, killed after {instant:.2f} s"
            found = contents(account.project)
            if again.code != 0:
                kills.results.expect(False, f"{told}: {ended(again)}")
            else:
                differing = sorted(key for key in found.keys() | expected[way.name].keys() if found.get(key) != expected[way.name].get(key))
                kills.results.expect(not differing, f"{told}: differs in {differing[:5]}")
            junk = _junk(account, cached[way.name])
            kills.junk.expect(not junk, f"{told}: {junk[:5]}")
            if orphans := _survivors(account, seconds=2):
                kills.orphans.append(f"{told}: {orphans[:3]}")
    return kills


def _references(ground: Ground) -> tuple[list[Way], dict[str, dict[str, str]], dict[str, set[str]], dict[str, float]]:
    """Each way undisturbed: the result's digests, the names in the cache, and how long it takes."""
    account = ground.account("lock")
    account.write("requirements.in", "app\nfromsource\nanother\nheavy\n")
    account.run("lock", "-r", "requirements.in", "-t", "py312-linux-x86_64", "-i", ground.index.url).checked(0)
    lock = (account.project / "pylock.toml").read_bytes()
    warm = ground.account("warm")
    first = Way(name="from a lock", arguments=tuple(ground.from_lock("--no-trial")), lock=lock)
    first.lay(warm)
    warm.run(*first.arguments).checked(0)
    ways = [
        first,
        Way(name="anew", arguments=tuple(ground.build("--no-trial"))),
        Way(name="from a filled cache", arguments=first.arguments, lock=lock, cache=warm.cache),
        Way(name="by target, with source archives", arguments=(*first.arguments, "--layout", "by-target", "--with-sdists"), lock=lock),
        Way(name="lock alone", arguments=("lock", "-r", "requirements.in", "-t", "py312-linux-x86_64", "-i", ground.index.url)),
    ]
    expected, cached, seconds = {}, {}, {}
    for way in ways:
        account = ground.account()
        way.lay(account)
        began = time.monotonic()
        account.run(*way.arguments).checked(0)
        seconds[way.name] = time.monotonic() - began
        expected[way.name] = contents(account.project)
        cached[way.name] = _names(account.cache)
    return ways, expected, cached, seconds


def _survivors(account: Account, *, seconds: float) -> list[str]:
    deadline = time.monotonic() + seconds
    while (found := children_of(account)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def _names(cache: Path) -> set[str]:
    """The files and folders of a cache; of uv's own, what is ours or temporary."""
    names = set()
    for path in cache.rglob("*"):
        name = path.relative_to(cache).as_posix()
        if not _OF_UV.match(name) or "/.tmp" in name or "/.hardtack" in name:
            names.add(name)
    return names


def _junk(account: Account, cached: set[str]) -> list[str]:
    outside = [
        str(path.relative_to(account.home.parent)) for place in (account.home, account.home.parent / "tmp") for path in place.rglob("*")
    ]
    outside += [path.relative_to(account.home.parent).as_posix() for path in account.project.rglob(".hardtack-*")]
    return [*outside, *(f"cache/{name}" for name in sorted(_names(account.cache) - cached))]


def _look(path: Path, *, index: LoopbackIndex, kills: Kills, name: str) -> None:
    """At a file that has just taken a name: where it is a final one, the digest has to be the right one already."""
    stored = _STORED.search(str(path))
    known = index.files.get(path.name) if path.suffix == ".whl" and "/wheelhouse/" in f"{path}" else None
    if stored is None and known is None:
        return
    try:
        with open(path, "rb") as stream:
            actual = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return
    wanted = stored[1] + stored[2] if stored is not None else hashlib.sha256(known.data).hexdigest() if known is not None else ""
    if actual != wanted:
        kills.wrong.append(f"{name}: {path.name} had the digest {actual}, {os.path.getsize(path)} bytes")

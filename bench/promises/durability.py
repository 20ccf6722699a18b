"""Row 4: what must survive power loss is synced before it has its name, and a store entry that did not survive is healed."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from tests.support.running import Account, contents

from bench.promises.figures import Figure, Settings, Tally, Unmeasured
from bench.promises.grounds import Ground, ended, world, wrong_entries

_CALL = re.compile(r"(fsync|fdatasync|rename\w*)\((.*)\)\s+= 0")
_PATHS = re.compile(r'"([^"]*)"')
_SYNCED = re.compile(r"\d+<([^>]*)>")
_ENTRY = re.compile(r"/files/[0-9a-f]{2}/[0-9a-f]{62}$")


def measure_durability(settings: Settings) -> Iterator[Figure]:
    """Watch a whole build with strace; then spoil store entries in every way that a crash or a disk can."""
    with world(settings.folder) as ground:
        try:
            yield _order(ground)
        except Unmeasured as reason:
            yield Figure(row="4", what=f"the order of syncs: {reason}", figure="not measured", goal="all")
        yield _healed(ground)


def _order(ground: Ground) -> Figure:
    if shutil.which("strace") is None:
        raise Unmeasured("strace is not installed")
    account = ground.account()
    log = ground.folder / "strace.log"
    trace = ["strace", "-f", "-qq", "-y", "-e", "trace=fsync,fdatasync,rename,renameat,renameat2", "-o", str(log)]
    ran = account.run(*ground.build("--no-trial"), before=trace)
    if ran.code != 0 or not log.is_file():
        raise Unmeasured(f"strace may not trace here ({ended(ran)})")
    tally = Tally()
    calls = [(match[1], match[2]) for line in whole_calls(log.read_text(errors="replace")) if (match := _CALL.search(line))]
    for at, (call, words) in enumerate(calls):
        paths = _PATHS.findall(words)
        if not call.startswith("rename") or len(paths) != 2 or not _ENTRY.search(paths[1]):
            continue
        source, final = paths
        before = any(name == "fsync" and (found := _SYNCED.search(said)) and found[1] == source for name, said in calls[:at])
        after = any(
            name == "fsync" and (found := _SYNCED.search(said)) and found[1] == os.path.dirname(final) for name, said in calls[at + 1 :]
        )
        tally.expect(before and after, f"{Path(final).name[:12]}: file synced before: {before}, folder after: {after}")
    goal = f"{tally.tried} of {tally.tried}"
    return tally.figure("4", "store entries that were synced, renamed, and their folder synced, in that order (strace)", goal)


def whole_calls(log: str) -> Iterator[str]:
    """Each call of strace's log in one line, at its end, where another thread's came between."""
    begun: dict[str, str] = {}
    for line in log.splitlines():
        pid, _, call = line.partition(" ")
        if call.rstrip().endswith("<unfinished ...>"):
            begun[pid] = call.rpartition("<unfinished")[0]
        elif "resumed>" in call and pid in begun:
            yield begun.pop(pid) + call.partition("resumed>")[2]
        else:
            yield call


def _healed(ground: Ground) -> Figure:
    tally = Tally()
    account = ground.account()
    account.run(*ground.build("--no-trial")).checked(0)
    whole = contents(account.project)
    entries = sorted(path for path in (account.cache / "files").rglob("*") if len(path.name) == 62)
    for number, entry in enumerate(entries):
        for name, spoil in _SPOILS.items():
            if number and name not in ("emptied", "gone"):
                continue  # one entry of each kind of damage is enough, but each entry is emptied and removed
            shutil.rmtree(account.project / "wheelhouse")
            kept = entry.stat()
            spoil(entry)
            # Times as they were: a crash and a bad disk do not change them. A file whose bytes alone went bad shows in nothing but them.
            if name not in ("other bytes", "gone", "a folder") and entry.is_file():
                os.utime(entry, ns=(kept.st_atime_ns, kept.st_mtime_ns))
            ran = account.run(*ground.build("--no-trial"))
            said = name == "gone" or "damaged" in ran.err
            healed = ran.code == 0 and contents(account.project) == whole and not wrong_entries(account.cache)
            needed = _needed(entry, whole)
            tally.expect(healed and (said or not needed), f"{entry.parent.name}{entry.name[:8]} {name}: {ended(ran)}")
            _restore(account, ground, entry)
    return tally.figure(
        "4", "store entries emptied, cut, overwritten, replaced or deleted: healed, and said", f"{tally.tried} of {tally.tried}"
    )


def _needed(entry: Path, whole: dict[str, str]) -> bool:
    """Whether the wheelhouse is made of this entry; a source archive whose wheel is there is not looked at."""
    return entry.parent.name + entry.name in whole.values()


def _restore(account: Account, ground: Ground, entry: Path) -> None:
    """Make the store whole again, if the run had no need of the entry."""
    if not entry.is_file() or entry.stat().st_size == 0:
        shutil.rmtree(account.cache)
        shutil.rmtree(account.project / "wheelhouse", ignore_errors=True)
        account.run(*ground.build("--no-trial")).checked(0)


def _rewrite(path: Path, data: bytes) -> None:
    path.unlink()
    path.write_bytes(data)


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


_SPOILS = {
    "emptied": lambda path: os.truncate(path, 0),
    "cut": lambda path: os.truncate(path, path.stat().st_size // 2),
    "other bytes": lambda path: _rewrite(path, b"x" * path.stat().st_size),
    "longer": lambda path: _rewrite(path, path.read_bytes() + b"x"),
    "gone": lambda path: path.unlink(),
    "a folder": _folder,
}

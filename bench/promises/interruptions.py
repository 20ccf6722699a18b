"""Beside the numbered rows: signals at any moment, a reader that goes away, and clocks that jump."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.support.running import TRACEBACK, Account, children_of, contents

from bench.promises.figures import Figure, Settings, Tally
from bench.promises.grounds import Ground, ended, strays, world, wrong_entries

_YEARS = 400 * 86_400


def measure_signals(settings: Settings) -> Iterator[Figure]:
    """SIGINT and SIGTERM at moments of the dice's choice: how it ends, how fast, what stays, and what the next run makes."""
    dice = random.Random(settings.seed)  # noqa: S311 - instants, not secrets
    tally, quick = Tally(), Tally()
    slowest = 0.0
    with world(settings.folder) as ground:
        account = ground.account()
        began = time.monotonic()
        account.run(*ground.build("--no-trial")).checked(0)
        whole, limit = contents(account.project), time.monotonic() - began
        for number in range(settings.runs or 40):
            kind = (signal.SIGINT, signal.SIGTERM)[number % 2]
            account = ground.account()
            run = account.start(*ground.build("--no-trial"))
            instant = dice.uniform(0.15, limit)
            time.sleep(instant)
            sent = time.monotonic()
            run.signal(kind)
            ran = run.end(timeout=30)
            seconds = time.monotonic() - sent
            slowest = max(slowest, seconds) if ran.code else slowest
            told = f"{kind.name} after {instant:.2f} s"
            # Before hardtack is there to answer (Python's own start), the signal's default ends it.
            quick.expect(ran.code == 0 or seconds <= 1.0, f"{told}: {seconds:.2f} s")
            fine = ran.code in (0, 130, -kind, -signal.SIGINT, 128 + kind) and TRACEBACK not in ran.err
            deadline = time.monotonic() + 1
            while (alive := children_of(account)) and time.monotonic() < deadline:
                time.sleep(0.05)
            left = [name for name in strays(account.home.parent, but=("cache/uv",)) if not name.startswith("cache/partial")]
            again = account.run(*ground.build("--no-trial"))
            right = again.code == 0 and contents(account.project) == whole and not wrong_entries(account.cache)
            tally.expect(fine and not alive and not left and right, f"{told}: {ended(ran)}; {alive[:2]} {left[:3]}; again: {ended(again)}")
    goal = f"{tally.tried} of {tally.tried}"
    yield tally.figure("signals", "SIGINT and SIGTERM: 130 (or 0), no child and no file left, the next run whole", goal)
    yield quick.figure("signals", f"of them ended within 1 s; the slowest in {slowest:.2f} s", goal)


def measure_pipes(settings: Settings) -> Iterator[Figure]:
    """Standard output that is closed, full, or read for one line only."""
    tally = Tally()
    with world(settings.folder) as ground:
        account = ground.account()
        account.run(*ground.build("--no-trial")).checked(0)
        environment = account.environment({"PYTHONWARNINGS": ""})
        verbs = {
            "build": ground.build("--no-trial"),
            "build --json": ground.build("--no-trial", "--json"),
            "build -v": ground.build("--no-trial", "-v", "-o", "other"),
            "verify": ["verify", "wheelhouse", "--no-trial"],
            "targets": ["targets"],
            "targets --json": ["targets", "--json"],
            "--help": ["--help"],
        }
        for name, arguments in verbs.items():
            for how, script in {
                "| head -1": '"$@" | head -1 > /dev/null; exit "${PIPESTATUS[0]}"',
                "| true": '"$@" | true; exit "${PIPESTATUS[0]}"',
                "closed": '"$@" >&-',
                "both closed": '"$@" >&- 2>&-',
                "full": '"$@" > /dev/full',
                "errors full": '"$@" 2> /dev/full > /dev/null',
            }.items():
                command = ["bash", "-c", script, "bash", sys.executable, "-m", "hardtack", *arguments]
                done = subprocess.run(
                    command,
                    cwd=account.project,
                    env=environment,
                    capture_output=True,
                    text=True,
                    check=False,
                    timeout=60,
                )
                tally.expect(
                    done.returncode in (0, 1) and "Traceback" not in done.stderr and "Exception ignored" not in done.stderr,
                    f"{name} {how}: exit code {done.returncode}: {done.stderr[-300:]}",
                )
        verified = account.run("verify", "wheelhouse", "--no-trial")
        tally.expect(verified.code == 0, f"after all that: {ended(verified)}")
    yield tally.figure(
        "pipes", "readers that go away and full outputs: no traceback, 0 or 1, the wheelhouse sound", f"{tally.tried} of {tally.tried}"
    )


def measure_clocks(settings: Settings) -> Iterator[Figure]:
    """Files of the cache and the wheelhouse from the future and the past, and a program's clock that jumps (a library loaded first)."""
    tally = Tally()
    with world(settings.folder) as ground:
        account = ground.account()
        account.run(*ground.build("--no-trial")).checked(0)
        whole = contents(account.project)
        now = time.time()
        for told, moved in {"a year ahead": now + _YEARS, "a year ago": now - _YEARS, "1970": 0.0, "2099": 4_070_908_800.0}.items():
            for place in ("cache", "wheelhouse", "both"):
                for folder in {"cache": [account.cache], "wheelhouse": [account.project], "both": [account.cache, account.project]}[place]:
                    for path in folder.rglob("*"):
                        os.utime(path, (moved, moved), follow_symlinks=False)
                ran = account.run(*ground.build("--no-trial"))
                fine = ran.code == 0 and contents(account.project) == whole
                shutil.rmtree(account.project / "wheelhouse")
                anew = account.run(*ground.build("--no-trial"))
                fine = fine and anew.code == 0 and contents(account.project) == whole and not wrong_entries(account.cache)
                tally.expect(fine, f"{place} {told}: {ended(ran)}; {ended(anew)}")
        _spoilt_with_times_kept(ground, account, whole, tally)
        if clock := clock_library(settings.folder):
            for seconds in (_YEARS, -_YEARS):
                ran = account.run(*ground.build("--no-trial", "-o", f"at{seconds}"), env=moved_clock(clock, seconds))
                found = {
                    name.partition("/")[2]: digest for name, digest in contents(account.project).items() if name.startswith(f"at{seconds}/")
                }
                same = found == {name.partition("/")[2]: digest for name, digest in whole.items()}
                tally.expect(ran.code == 0 and same, f"the clock {seconds:+} s: {ended(ran)}")
    yield tally.figure("clocks", "times of files and clocks that jump: the same result", f"{tally.tried} of {tally.tried}")


def _spoilt_with_times_kept(ground: Ground, account: Account, whole: dict[str, str], tally: Tally) -> None:
    """A text of the wheelhouse that was changed, with its times set back: the size differs, and it is written again."""
    place = account.project / "wheelhouse" / "pylock.toml"
    seen = place.stat()
    place.write_text(place.read_text() + "# changed\n")
    os.utime(place, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    ran = account.run(*ground.build("--no-trial"))
    tally.expect(ran.code == 0 and contents(account.project) == whole, f"a changed text with its old times: {ended(ran)}")


_CLOCK = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
static long offset(void) { const char *text = getenv("CLOCK_OFFSET"); return text ? atol(text) : 0; }
int clock_gettime(clockid_t id, struct timespec *at) {
    int (*real)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
    int code = real(id, at);
    if (code == 0 && id == CLOCK_REALTIME) at->tv_sec += offset();
    return code;
}
time_t time(time_t *out) { struct timespec at; clock_gettime(CLOCK_REALTIME, &at); if (out) *out = at.tv_sec; return at.tv_sec; }
int gettimeofday(struct timeval *out, void *zone) {
    struct timespec at; clock_gettime(CLOCK_REALTIME, &at); (void)zone;
    out->tv_sec = at.tv_sec; out->tv_usec = at.tv_nsec / 1000; return 0;
}
"""


def clock_library(folder: Path) -> Path | None:
    """A library that moves the clock of the programs that load it first, by CLOCK_OFFSET seconds; None without a C compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or not sys.platform.startswith("linux"):
        return None
    source, library = folder / "clock.c", folder / "clock.so"
    source.write_text(_CLOCK)
    command = [compiler, "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"]
    return library if subprocess.run(command, check=False, capture_output=True).returncode == 0 else None


def moved_clock(library: Path, seconds: int) -> dict[str, str]:
    """The variables with which a program's clock is moved."""
    return {"LD_PRELOAD": str(library), "CLOCK_OFFSET": str(seconds)}

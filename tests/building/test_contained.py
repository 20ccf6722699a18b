"""A contained process cannot fill the disk with its log, and its words are kept."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hardtack.building.contained import run_contained
from hardtack.building.sandbox import Unconfined
from hardtack.building.sandbox_launch import Launch, Limits
from hardtack.errors import Cancelled
from hardtack.system.cancellation import Cancellation
from tests.building.hostile.driver import alive


def run(code: str, log: Path, limits: Limits | None = None) -> tuple[int, str | None]:
    launch = Launch(argv=(sys.executable, "-c", code), environment=dict(os.environ), cwd=log.parent)
    ended = run_contained(launch, log=log, stop=Cancellation(), limits=limits or Limits(seconds=20))
    return ended.code, ended.limit


def test_both_streams_are_kept_and_appended(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("before\n")
    assert run("import sys; print('out', flush=True); print('err', file=sys.stderr); sys.exit(3)", log) == (3, None)
    assert log.read_text().split() == ["before", "out", "err"]


def test_an_endless_log_is_ended_and_cut(tmp_path: Path) -> None:
    log = tmp_path / "log"
    _, limit = run("while True: print('x' * 1000)", log, Limits(seconds=20, log=1 << 20))
    assert limit is not None
    assert "1 MiB" in limit
    assert log.stat().st_size <= 1 << 20


def test_nothing_is_read_from_our_input(tmp_path: Path) -> None:
    assert run("import sys; sys.exit(len(sys.stdin.read()))", tmp_path / "log") == (0, None)


LINUX = pytest.mark.skipif(sys.platform != "linux", reason="a keeper is Linux's")

# Starts a daemon that shuts its ears and has left everything; then sleeps.
FAMILY = """
import os, signal, subprocess, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.execve(sys.executable, [sys.executable, "-c", "import time; time.sleep(60)", MARK], {})
    os._exit(0)
open(READY, "w").close()
time.sleep(60)
"""


def family(folder: Path) -> tuple[str, Path, Launch]:
    mark, ready = f"hardtack-mark-{os.urandom(6).hex()}", folder / "ready"
    code = FAMILY.replace("MARK", repr(mark)).replace("READY", repr(str(ready)))
    launch = Unconfined(why="test").launch([sys.executable, "-c", code, mark], mounts=[], cwd=folder, environment={"PATH": "/usr/bin:/bin"})
    return mark, ready, launch


def until(seconds: float, done: Callable[[], bool]) -> bool:
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


@LINUX
def test_a_cancelled_build_ends_within_a_second_with_all_that_it_started(tmp_path: Path) -> None:
    mark, ready, launch = family(tmp_path)
    stop = Cancellation()
    fault: list[BaseException] = []

    def work() -> None:
        try:
            run_contained(launch, log=tmp_path / "log", stop=stop, limits=Limits(seconds=30))
        except Cancelled as error:
            fault.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    assert until(10, lambda: ready.exists() and len(alive(mark)) >= 2)
    began = time.monotonic()
    stop.cancel()
    thread.join(10)
    assert time.monotonic() - began < 1
    assert fault
    assert alive(mark) == []


@LINUX
def test_where_we_are_killed_the_keeper_ends_everything(tmp_path: Path) -> None:
    mark, ready, launch = family(tmp_path)
    keeper = subprocess.Popen(launch.argv, env=dict(launch.environment), cwd="/", stdin=subprocess.PIPE)
    assert keeper.stdin is not None
    try:
        assert until(10, lambda: ready.exists() and len(alive(mark)) >= 2)
        keeper.stdin.close()  # as the kernel does for a process that was killed
        assert keeper.wait(5) == 137
    finally:
        keeper.kill()
        keeper.wait()
    assert alive(mark) == []


@LINUX
@pytest.mark.parametrize(("code", "expected"), [("raise SystemExit(7)", 7), ("import os; os.kill(os.getpid(), 15)", 143)])
def test_the_keeper_ends_as_its_process_did(tmp_path: Path, code: str, expected: int) -> None:
    launch = Unconfined(why="test").launch([sys.executable, "-c", code], mounts=[], cwd=tmp_path, environment={})
    assert run_contained(launch, log=tmp_path / "log", stop=Cancellation(), limits=Limits(seconds=20)).code == expected


@LINUX
def test_what_cannot_be_started_says_why(tmp_path: Path) -> None:
    launch = Unconfined(why="test").launch([str(tmp_path / "absent")], mounts=[], cwd=tmp_path, environment={})
    assert run_contained(launch, log=tmp_path / "log", stop=Cancellation(), limits=Limits(seconds=20)).code == 126
    assert "No such file" in (tmp_path / "log").read_text()

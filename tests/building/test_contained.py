"""A contained process cannot fill the disk with its log, and its words are kept."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from hardtack.building.contained import run_contained
from hardtack.building.sandbox_launch import Launch, Limits
from hardtack.system.cancellation import Cancellation


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

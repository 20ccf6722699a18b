"""What a killed run leaves in a cache goes with the next run, and nothing of a run that is alive."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from hardtack.system.presence import present

pytestmark = pytest.mark.skipif(os.name == "nt", reason="locks that die with their process are POSIX's here")

_RUN = """
import os, pathlib, sys, tempfile, time
from hardtack.system.presence import present
cache = pathlib.Path(sys.argv[1])
with present(cache):
    (cache / "builds" / f".hardtack-build-{os.getpid()}" / "deep").mkdir(parents=True)
    (cache / "facts").mkdir(exist_ok=True)
    (cache / "facts" / ".hardtack-half").write_text("half")
    tempfile.mkdtemp()
    print("ready", flush=True)
    time.sleep(60)
"""


def started(cache: Path) -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, "-c", _RUN, str(cache)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


def ended(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


def temporary(cache: Path) -> list[str]:
    return sorted(path.relative_to(cache).as_posix() for path in cache.rglob(".hardtack-*"))


def test_what_a_killed_run_left_goes(tmp_path: Path) -> None:
    (tmp_path / "uv").mkdir()
    (tmp_path / "uv" / ".hardtack-not-ours").touch()
    ended(started(tmp_path))
    assert "facts/.hardtack-half" in temporary(tmp_path)
    with present(tmp_path):
        room = Path(tempfile.gettempdir())
        assert temporary(tmp_path) == [room.relative_to(tmp_path).as_posix(), "uv/.hardtack-not-ours"]
        assert room.is_relative_to(tmp_path)
    assert temporary(tmp_path) == ["uv/.hardtack-not-ours"]
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["entrance.lock"]
    assert not Path(tempfile.gettempdir()).is_relative_to(tmp_path)


def test_a_living_run_keeps_its_own(tmp_path: Path) -> None:
    old = tmp_path / "facts" / ".hardtack-older"
    old.parent.mkdir()
    ended(started(tmp_path))
    old.touch()
    os.utime(old, (time.time() - 3600,) * 2)
    alive = started(tmp_path)
    try:
        before = temporary(tmp_path)
        assert not old.exists()
        ended(started(tmp_path))
        with present(tmp_path):
            assert set(before) <= set(temporary(tmp_path))
    finally:
        ended(alive)
    with present(tmp_path):
        assert len(temporary(tmp_path)) == 1


def test_one_process_is_present_once(tmp_path: Path) -> None:
    usual = tempfile.gettempdir()
    with present(tmp_path):
        room = tempfile.gettempdir()
        with present(tmp_path), present(tmp_path / "other"):
            assert tempfile.gettempdir() == room
        assert Path(room).is_dir()
        assert len(list((tmp_path / "runs").glob("*.lock"))) == 2
    assert not Path(room).exists()
    assert tempfile.gettempdir() == usual


def test_a_run_that_broke_off_is_looked_after(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), present(tmp_path):
        raise KeyboardInterrupt
    late = tmp_path / ".hardtack-of-a-child-that-was-just-starting"
    late.mkdir()
    with present(tmp_path):
        assert not late.exists()
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["entrance.lock"]


def test_a_cache_that_cannot_be_written_is_used_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file")
    usual = tempfile.gettempdir()
    with present(tmp_path):
        assert tempfile.gettempdir() == usual

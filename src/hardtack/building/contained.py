"""Runs one confined process to its end, its words in a log file, and leaves nothing of it alive."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import subprocess
import threading
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hardtack.building.sandbox_keeper import descendants, end_descendants
from hardtack.building.sandbox_launch import Launch, Limits
from hardtack.system.cancellation import Cancellation
from hardtack.system.process import end

_COOKIE = "HARDTACK_BUILD"
_LOOK = 0.1  # seconds between two looks at what a build uses
_DISK_SHARE = 20  # looking at the disk may take one in so many seconds
_FILES = 2_000_000  # files and folders that it may make


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a confined process ended; ``limit`` says which limit ended it, if one did."""

    code: int
    limit: str | None = None


def run_contained(launch: Launch, *, log: Path, stop: Cancellation, limits: Limits | None = None, timeout: float = 3600.0) -> Ended:
    """Run to its end with standard output and error appended to ``log``, which never grows beyond about ``limits.log`` bytes.

    ``timeout`` in seconds stands for the usual limits with that time.
    The process and all that it started are killed when it ends, when it goes beyond a limit, and when ``stop`` is cancelled.
    Its output is a file and never a pipe: a process left behind that holds a pipe open would keep us waiting for it.
    """
    limits = limits or Limits(seconds=timeout)
    cookie = uuid.uuid4().hex
    done = threading.Event()
    reason: list[str] = []
    with open(log, "ab") as stream:
        process = subprocess.Popen(
            launch.argv,
            env={**launch.environment, _COOKIE: cookie},
            cwd=launch.cwd,
            stdin=subprocess.PIPE if launch.kept else subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=os.name != "nt",
            creationflags=subprocess.CREATE_NEW_PROCESS_GROUP if os.name == "nt" else 0,  # type: ignore[attr-defined,unused-ignore]
            umask=0o022 if os.name != "nt" else -1,
        )
        usage = _Usage(launch, process.pid, limits)

        def finish() -> None:
            _finish(process, kept=launch.kept)

        def watch() -> None:
            deadline = time.monotonic() + limits.seconds
            while not done.wait(min(_LOOK, max(0.0, deadline - time.monotonic()))):
                if time.monotonic() >= deadline:
                    reason.append(f"it ran longer than {limits.seconds:g} s")
                elif os.fstat(stream.fileno()).st_size > limits.log:
                    reason.append(f"it wrote more than {limits.log >> 20} MiB of output")
                else:
                    too_much = usage.too_much()
                    if too_much is None:
                        continue
                    reason.append(too_much)
                finish()
                return

        watcher = threading.Thread(target=watch, name="build-limits", daemon=True)
        try:
            watcher.start()
            with stop.calls(finish):
                code = process.wait()
        finally:
            finish()
            process.wait()
            done.set()
            _end_survivors(cookie)
            watcher.join()
            if os.fstat(stream.fileno()).st_size > limits.log:
                os.truncate(log, limits.log)
                # It may have met the limit of a file before we looked.
                reason.append(f"it wrote more than {limits.log >> 20} MiB of output")
    stop.check()
    return Ended(code=code, limit=reason[0] if reason else None)


def _finish(process: subprocess.Popen[bytes], *, kept: bool) -> None:
    """End the process and all below it: by its keeper, which alone sees what has left its group; else, or if that fails, by force."""
    if kept and process.poll() is None:
        # Its processes first, from here: a keeper that gets no turn between theirs would be late.
        end_descendants(process.pid, seconds=0.2, reap=False)
        if process.stdin is not None:
            with contextlib.suppress(OSError):
                process.stdin.close()
        deadline = time.monotonic() + 8
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.002)
    elif process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()
    end(process)


class _Usage:
    """What a build uses, looked at from outside: its memory and processes (where /proc tells), its disk."""

    def __init__(self, launch: Launch, pid: int, limits: Limits) -> None:
        self._pid = pid
        self._limits = limits
        self._folders = sorted({str(folder) for folder in launch.writable})
        self._before = _disk(self._folders) if self._folders else (0, 0)
        self._next_disk = 0.0
        self._kept = launch.kept

    def too_much(self) -> str | None:
        """Which limit it is beyond, if any."""
        if not self._kept:
            return None
        below = descendants(self._pid)
        if len(below) > self._limits.processes:
            return f"it had more than {self._limits.processes} processes"
        if sum(_memory(pid) for pid in below) > self._limits.memory:
            return f"its processes used more than {self._limits.memory >> 20} MiB of memory"
        began = time.monotonic()
        if began >= self._next_disk:
            size, count = _disk(self._folders)
            if size - self._before[0] > self._limits.disk:
                return f"its folders grew by more than {self._limits.disk >> 20} MiB"
            if count - self._before[1] > _FILES:
                return f"it made more than {_FILES} files"
            now = time.monotonic()
            self._next_disk = now + _DISK_SHARE * (now - began)
        return None


def _memory(pid: int) -> int:
    """Bytes that a process has for itself or shares with others by intent; 0 when it is gone."""
    total = 0
    with contextlib.suppress(OSError, ValueError), open(f"/proc/{pid}/status", "rb") as stream:
        for line in stream:
            if line.startswith((b"RssAnon:", b"RssShmem:", b"VmSwap:")):
                total += int(line.split()[1]) << 10
    return total


def _disk(folders: Sequence[str]) -> tuple[int, int]:
    """Bytes and number of files below ``folders``; links are not followed."""
    size = count = 0
    waiting = list(folders)
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    count += 1
                    with contextlib.suppress(OSError):
                        state = entry.stat(follow_symlinks=False)
                        size += state.st_blocks * 512 if hasattr(state, "st_blocks") else state.st_size
                        if stat.S_ISDIR(state.st_mode):
                            waiting.append(entry.path)
        except OSError:
            continue
    return size, count


def _end_survivors(cookie: str) -> None:
    """Kill what left its keeper too: every process that inherited our cookie (Linux)."""
    mark = f"{_COOKIE}={cookie}".encode()
    proc = Path("/proc")
    if not (proc / "self" / "environ").exists():
        return
    for _ in range(100):  # until a round finds none: a process may fork while we look
        found = False
        for entry in os.scandir(proc):
            if not entry.name.isdigit():
                continue
            with contextlib.suppress(OSError):
                if mark in Path(entry.path, "environ").read_bytes().split(b"\0"):
                    found = True
                    os.kill(int(entry.name), signal.SIGKILL)
        if not found:
            return
        time.sleep(0.005)

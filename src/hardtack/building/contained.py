"""Runs one confined process to its end, its words in a log file, and leaves nothing of it alive."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

from hardtack.building.sandbox import Launch
from hardtack.system.cancellation import Cancellation
from hardtack.system.process import end

_COOKIE = "HARDTACK_BUILD"
LOG_LIMIT = 64 << 20  # bytes; a build that writes more is ended


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a confined process ended; ``limit`` says which limit ended it, if one did."""

    code: int
    limit: str | None = None


def run_contained(launch: Launch, *, log: Path, stop: Cancellation, timeout: float, log_limit: int = LOG_LIMIT) -> Ended:
    """Run to its end with standard output and error appended to ``log``, which never grows beyond about ``log_limit`` bytes.

    The process and all that it started are killed when it ends, when ``timeout`` seconds have passed, and when ``stop`` is cancelled.
    Its output is a file and never a pipe: a process left behind that holds a pipe open would keep us waiting for it.
    """
    cookie = uuid.uuid4().hex
    limit: list[str] = []
    done = threading.Event()
    with open(log, "ab") as stream:
        process = subprocess.Popen(
            launch.argv,
            env={**launch.environment, _COOKIE: cookie},
            cwd=launch.cwd,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=os.name != "nt",
            creationflags=subprocess.CREATE_NEW_PROCESS_GROUP if os.name == "nt" else 0,  # type: ignore[attr-defined,unused-ignore]
            umask=0o022 if os.name != "nt" else -1,
        )

        def watch() -> None:
            deadline = time.monotonic() + timeout
            while not done.wait(min(0.2, max(0.0, deadline - time.monotonic()))):
                if time.monotonic() >= deadline:
                    limit.append(f"it ran longer than {timeout:g} s")
                elif os.fstat(stream.fileno()).st_size > log_limit:
                    limit.append(f"it wrote more than {log_limit >> 20} MiB of output")
                else:
                    continue
                end(process)
                return

        watcher = threading.Thread(target=watch, name="build-limits", daemon=True)
        try:
            watcher.start()
            with stop.calls(lambda: end(process)):
                code = process.wait()
        finally:
            end(process)
            process.wait()
            done.set()
            _end_survivors(cookie)
            watcher.join()
            if os.fstat(stream.fileno()).st_size > log_limit:
                os.truncate(log, log_limit)
    stop.check()
    return Ended(code=code, limit=limit[0] if limit else None)


def _end_survivors(cookie: str) -> None:
    """Kill what left the process group: every process that inherited our cookie (Linux; in a PID namespace there are none left)."""
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

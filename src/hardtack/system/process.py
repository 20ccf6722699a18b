"""Child processes that end when we do, with all that they started."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hardtack.system.cancellation import Cancellation


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """How a child ended. ``timed_out`` if it was ended at its time limit."""

    code: int
    stdout: str
    stderr: str
    timed_out: bool = False


def run(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    cwd: Path | None = None,
    stop: Cancellation | None = None,
    timeout: float | None = None,
    stdin: bytes | None = None,
) -> Completed:
    """Run a command to its end, in a session of its own, with exactly this environment. Never through a shell.

    ``timeout`` in seconds. When it passes, or ``stop`` is cancelled, the whole process group is killed.
    Raises FileNotFoundError where the program is absent, Cancelled where ``stop`` ended it.
    """
    stop = stop or Cancellation()
    flags = subprocess.CREATE_NEW_PROCESS_GROUP if os.name == "nt" else 0  # type: ignore[attr-defined,unused-ignore]
    process = subprocess.Popen(
        list(command),
        env=dict(environment),
        cwd=cwd,
        stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=os.name != "nt",
        creationflags=flags,
    )
    timed_out = False
    with process:
        try:
            with stop.calls(lambda: end(process)):
                try:
                    stdout, stderr = process.communicate(stdin, timeout=timeout)
                except subprocess.TimeoutExpired:
                    timed_out = True
                    end(process)
                    stdout, stderr = process.communicate()
        except BaseException:
            end(process)
            raise
        finally:
            _end_group(process.pid)
    stop.check()
    return Completed(
        code=process.returncode,
        stdout=stdout.decode("utf-8", "replace"),
        stderr=stderr.decode("utf-8", "replace"),
        timed_out=timed_out,
    )


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and its group at once."""
    _end_group(process.pid)
    with contextlib.suppress(OSError):
        process.kill()


def _end_group(pid: int) -> None:
    if os.name == "nt":
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)

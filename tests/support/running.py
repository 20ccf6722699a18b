"""The command as a user runs it: a process of its own, with a home, a cache and an environment that are this test's alone."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_Variables = Mapping[str, str] | None
_ANSI = re.compile(r"\x1b\[")
TRACEBACK = "Traceback (most recent call last)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """How a run ended. ``seconds`` is wall time."""

    code: int
    out: str
    err: str
    seconds: float

    def json(self) -> dict[str, Any]:
        """Standard output as the one JSON document that it has to be."""
        data = json.loads(self.out)
        assert isinstance(data, dict)
        return data

    def checked(self, code: int) -> Ran:
        """This, if it ended with ``code``, without a traceback and without colours (nobody looks on)."""
        words = f"exit code {self.code}\n--- out\n{self.out}\n--- err\n{self.err}"
        assert TRACEBACK not in self.err and TRACEBACK not in self.out, words
        assert not _ANSI.search(self.out + self.err), words
        assert self.code == code, words
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A user with an empty home: ``project`` is where the command runs, ``cache`` its cache."""

    home: Path
    project: Path
    cache: Path
    variables: Mapping[str, str]

    @classmethod
    def make(cls, folder: Path, **variables: str) -> Account:
        """A new account below ``folder``."""
        home, project, cache = folder / "home", folder / "project", folder / "cache"
        for place in (home, project):
            place.mkdir(parents=True, exist_ok=True)
        return cls(home=home, project=project, cache=cache, variables=variables)

    def environment(self, more: _Variables = None) -> dict[str, str]:
        """What the command sees: nothing of ours but what it needs to be found and measured."""
        passed = ("PATH", "SYSTEMROOT", "COVERAGE_PROCESS_START", "COVERAGE_FILE")
        found = {name: os.environ[name] for name in passed if name in os.environ}
        found |= {
            "HOME": str(self.home),
            "USERPROFILE": str(self.home),
            "XDG_CONFIG_HOME": str(self.home / ".config"),
            "XDG_CONFIG_DIRS": str(self.home / "etc"),
            "PIP_CONFIG_FILE": os.devnull,
            "XDG_CACHE_HOME": str(self.home / ".cache"),
            "HARDTACK_CACHE_DIR": str(self.cache),
            "LANG": "C.UTF-8",
            "PYTHONWARNINGS": "error",
        }
        found |= {**self.variables, **(more or {})}
        return {name: value for name, value in found.items() if value != ""}

    def start(
        self, *arguments: str | Path, before: Sequence[str] = (), umask: int = -1, cwd: Path | None = None, env: _Variables = None
    ) -> Running:
        """Start ``hardtack ARGUMENTS``, in a session of its own; an empty variable in ``env`` is unset."""
        process = subprocess.Popen(
            [*before, sys.executable, "-m", "hardtack", *map(str, arguments)],
            cwd=cwd or self.project,
            env=self.environment(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            umask=umask,
        )
        return Running(process=process, began=time.monotonic())

    def run(
        self, *arguments: str | Path, before: Sequence[str] = (), umask: int = -1, cwd: Path | None = None, env: _Variables = None
    ) -> Ran:
        """Run ``hardtack ARGUMENTS`` to its end."""
        return self.start(*arguments, before=before, umask=umask, cwd=cwd, env=env).end()

    def write(self, name: str, text: str | bytes) -> Path:
        """Write a file of the project."""
        path = self.project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A run that has not ended."""

    process: subprocess.Popen[bytes]
    began: float

    def signal(self, number: int = signal.SIGINT) -> None:
        """Send the command (and it alone) a signal."""
        self.process.send_signal(number)

    def end(self, *, timeout: float = 60) -> Ran:
        """Wait for its end; what takes longer is killed and fails."""
        try:
            out, err = self.process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            out, err = self.process.communicate()
            raise AssertionError(f"still running after {timeout} s\n{out.decode()}\n{err.decode()}") from None
        return Ran(
            code=self.process.returncode,
            out=out.decode("utf-8"),
            err=err.decode("utf-8"),
            seconds=time.monotonic() - self.began,
        )


def wait_for(condition: Callable[[], object], *, seconds: float = 10) -> None:
    """Return as soon as ``condition`` holds; fail if it does not within ``seconds``."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that in time"
        time.sleep(0.01)


def children_of(account: Account) -> list[str]:
    """The command lines of all running processes that have a path of this account's in their environment or arguments (Linux)."""
    return [line for _, line in _processes(account)]


def environments_of(account: Account) -> list[bytes]:
    """What the account's running processes have in their environment."""
    return [environment for environment, _ in _processes(account)]


def _processes(account: Account) -> list[tuple[bytes, str]]:
    found = []
    for place in Path("/proc").iterdir():
        if not place.name.isdigit():
            continue
        try:
            environment = (place / "environ").read_bytes()
            line = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            state = (place / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if any(str(path) in line or str(path).encode() in environment for path in (account.home, account.cache)) and state != "Z":
            found.append((environment, line))
    return found


def contents(folder: Path) -> dict[str, str]:
    """Each file below a folder by its relative name, with the digest of what it holds."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def traces(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Each file and folder below a folder with its inode, size and time of change: equal means that nobody wrote."""
    return {
        path.relative_to(folder).as_posix(): (seen.st_ino, seen.st_size, seen.st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        for seen in [path.lstat()]
    }


def leftovers(folder: Path) -> list[str]:
    """Files and folders under a temporary name."""
    return [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.name.startswith(".hardtack-")]

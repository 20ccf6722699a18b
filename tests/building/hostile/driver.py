"""Runs every attack in one tier and prints what came of it: ``python -m tests.building.hostile.driver TIER CANARY``.

A process of its own, so that its user can be another one, and so that its peak memory is that of running builds.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from hardtack.building.contained import run_contained
from hardtack.building.interpreter import ask, folders
from hardtack.building.sandbox import Bubblewrap, Landlock, Mount, Sandbox, Unconfined, find_sandbox
from hardtack.building.sandbox_landlock import landlock_here
from hardtack.building.sandbox_launch import Limits
from hardtack.system.cancellation import Cancellation
from tests.building.hostile.attacks import BOMBS, DAEMONS, HOLDS, PRELUDE, TIMED

# Small enough to be met within a test, and what is met must be one of them.
LIMITS = Limits(seconds=1.5, memory=400 << 20, disk=64 << 20, processes=40, files=64, log=1 << 20)
PATIENT = Limits(seconds=20, memory=1 << 30, disk=64 << 20, processes=200, log=1 << 20)


def tier(name: str) -> Sandbox | None:
    """The tier of that name if it works here."""
    if name == "none":
        return Unconfined(why="the test says so")
    found = find_sandbox({"PATH": "/usr/bin:/bin"} if name == "bubblewrap" else {"PATH": "/nonexistent"})
    if name == "landlock+seccomp" and found.name != name and isinstance(landlock_here(), Landlock):
        raise AssertionError(found)  # a kernel that has it, where it does not hold: the worst time to skip a test
    return found if found.name == name else None


class World:
    """What may not be seen, reached or changed, and how to tell whether it was."""

    def __init__(self, base: Path, canary: str) -> None:
        self.canary = canary
        self.home = base / "home"
        self.home.mkdir()
        self.outside = self.home / "secret"
        self.outside.write_text(canary)
        self.outside.chmod(0o644)
        self.link = self.home / "link"
        self.link.symlink_to("secret")
        self.fixed = base / "fixed" / "file"
        self.fixed.parent.mkdir()
        self.fixed.write_text("fixed")
        self.fixed.chmod(0o644)
        self.abstract = f"hardtack-{os.urandom(8).hex()}"
        self.socket = self.home / "socket"
        self.hits: list[str] = []
        self._open: list[socket.socket] = [
            socket.create_server(("127.0.0.1", 0)),
            socket.socket(socket.AF_UNIX),
            socket.socket(socket.AF_UNIX),
        ]
        self.port = self._open[0].getsockname()[1]
        self._open[1].bind("\0" + self.abstract)
        self._open[2].bind(str(self.socket))
        for listener in self._open[1:]:
            listener.listen()
        with contextlib.suppress(OSError):
            self._open.append(socket.create_server(("::1", self.port), family=socket.AF_INET6))
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        datagrams.bind(("127.0.0.1", 0))
        self.udp = datagrams.getsockname()[1]
        for listener in self._open:
            threading.Thread(target=self._accept, args=(listener,), daemon=True).start()
        threading.Thread(target=self._receive, args=(datagrams,), daemon=True).start()
        self.victim = subprocess.Popen(["/bin/sleep", "600"], env={"CANARY": canary}, cwd=self.home)
        self.before = self.state()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            connection, _ = listener.accept()
            self.hits.append(str(listener.getsockname()))
            connection.close()

    def _receive(self, listener: socket.socket) -> None:
        while True:
            listener.recv(64)
            self.hits.append("datagram")

    def state(self) -> list[object]:
        """All that a build could have changed."""
        told: list[object] = [sorted(os.listdir(self.home)), self.outside.read_text(), self.fixed.read_text()]
        for path in (self.outside, self.link, self.fixed, self.home):
            state = path.lstat()
            told += [state.st_mode, state.st_uid, state.st_nlink, state.st_mtime_ns, state.st_size]
        return [*told, self.victim.poll(), os.getpriority(os.PRIO_PROCESS, self.victim.pid)]

    def facts(self, mark: str, *, lists: bool) -> dict[str, object]:
        """What an attack is told."""
        return {
            "canary": self.canary,
            "outside": str(self.outside),
            "folder": str(self.home),
            "beside": str(self.home / "beside"),
            "link": str(self.link),
            "fixed": str(self.fixed),
            "port": self.port,
            "udp": self.udp,
            "abstract": self.abstract,
            "socket": str(self.socket),
            "victim": self.victim.pid,
            "parent": os.getpid(),
            "mark": mark,
            "lists": lists,
        }


def alive(mark: str) -> list[str]:
    """Processes that have ``mark`` in their arguments."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            with contextlib.suppress(OSError):
                words = Path("/proc", name, "cmdline").read_bytes()
                if mark.encode() in words:
                    found.append(words.replace(b"\0", b" ")[:200].decode("utf-8", "replace"))
    return found


def run_one(sandbox: Sandbox, world: World, base: Path, name: str, program: str, limits: Limits) -> dict[str, Any]:
    """One attack, and what came of it."""
    work, log = base / name, base / f"{name}.log"
    work.mkdir()
    mark = f"hardtack-mark-{os.urandom(6).hex()}"
    python = ask(Path(sys.executable))
    mounts = [
        Mount(host=work, inside="/build/source", writable=True),
        Mount(host=world.fixed.parent, inside=str(world.fixed.parent)),
        *(Mount(host=folder, inside=str(folder)) for folder in folders(python)),
    ]
    facts = world.facts(mark, lists=isinstance(sandbox, Bubblewrap))
    text = f"{PRELUDE}\n{program}\nprint('\\n' + json.dumps(could), flush=True)\n"
    launch = sandbox.launch(
        [str(python.executable), "-I", "-S", "-c", text, json.dumps(facts)],
        mounts=mounts,
        cwd=work,
        environment={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"},
        limits=limits,
    )
    began = time.monotonic()
    ended = run_contained(launch, log=log, stop=Cancellation(), limits=limits)
    seconds = time.monotonic() - began
    survivors = alive(mark)
    until = time.monotonic() + 1
    while survivors and time.monotonic() < until:
        time.sleep(0.05)
        survivors = alive(mark)
    with open(log, "rb") as stream:
        stream.seek(max(0, log.stat().st_size - 2000))
        words = stream.read().decode("utf-8", "replace")
    lines = words.strip().splitlines()
    size = sum(path.stat().st_size for path in work.iterdir() if path.is_file() and not path.is_symlink())
    owners = sorted({path.lstat().st_uid for path in work.rglob("*")})
    shutil.rmtree(work, ignore_errors=True)
    return {
        "code": ended.code,
        "limit": ended.limit,
        "seconds": seconds,
        "survivors": survivors,
        "said": lines[-1] if lines else "",
        "log": log.stat().st_size,
        "size": size,
        "owners": owners,
        "words": words[-600:],
    }


def _peak() -> int:
    """The most memory that this process had, in bytes. What the kernel accounts to it has its parent's too, from before it was started."""
    try:
        with open("/proc/self/status", encoding="ascii") as stream:
            return next(int(line.split()[1]) << 10 for line in stream if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def main() -> None:
    """Print the outcome of everything as JSON."""
    wanted, canary = sys.argv[1:3]
    sandbox = tier(wanted)
    if sandbox is None:
        print(json.dumps({"absent": True}))
        return
    with tempfile.TemporaryDirectory(prefix="hardtack-hostile-") as folder:
        base = Path(folder)
        world = World(base, canary)
        try:
            outcomes: dict[str, Any] = {}
            if wanted != "none":
                for name, program in HOLDS.items():
                    outcomes[name] = run_one(sandbox, world, base, name, program, PATIENT)
                    after = world.state()
                    outcomes[name]["changed"] = [[was, now] for was, now in zip(world.before, after, strict=True) if was != now]
            time.sleep(0.05)
            hits = list(world.hits)
            with ThreadPoolExecutor(4) as pool:
                waiting = {}
                for name, program in {**BOMBS, **DAEMONS}.items():
                    limits = LIMITS if name in TIMED else replace(LIMITS, seconds=30)
                    waiting[name] = pool.submit(run_one, sandbox, world, base, name, program, limits)
                outcomes.update({name: future.result() for name, future in waiting.items()})
        finally:
            world.victim.kill()
            world.victim.wait()
    peak = _peak()
    print(json.dumps({"outcomes": outcomes, "hits": hits, "peak": peak, "name": sandbox.name}))


if __name__ == "__main__":
    main()

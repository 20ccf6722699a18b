"""A sandbox is proven by what fails in it: a program runs inside, tries what no build may do, and tells what it could."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from hardtack.building.contained import run_contained
from hardtack.building.interpreter import Interpreter, ask, folders
from hardtack.building.sandbox_launch import Launch, Limits, Mount, Sandbox
from hardtack.errors import HardtackError
from hardtack.system import environ
from hardtack.system.cancellation import Cancellation

if TYPE_CHECKING:
    import socket

_CANARY = "hardtack-canary"
_LIMITS = Limits(seconds=10, disk=1 << 26)

# Runs inside, on the standard library. ``could`` are the names of what it could do and must not, ``could_not`` the other way round.
_PROGRAM = r"""
import json, os, signal, socket, subprocess, sys
facts = json.loads(sys.argv[1])
could, could_not = [], []

def attempt(name, action):
    try:
        if action() is not False:
            could.append(name)
    except Exception:
        pass

def needed(name, action):
    try:
        if action() is not False:
            return
    except Exception:
        pass
    could_not.append(name)

def read(path):
    with open(path, "rb") as stream:
        return facts["canary"].encode() in stream.read(65536)

def write(path):
    with open(path, "ab") as stream:
        stream.write(b"x")

def connect(family, kind, address):
    with socket.socket(family, kind) as caller:
        caller.settimeout(1)
        caller.connect(address)
        caller.send(b"x")

def near(path):
    # A socket's address has room for a hundred bytes.
    here = os.open(".", os.O_RDONLY)
    os.chdir(os.path.dirname(path))
    try:
        connect(socket.AF_UNIX, socket.SOCK_STREAM, os.path.basename(path))
    finally:
        os.fchdir(here)
        os.close(here)

def called(command):
    return subprocess.call(command) == 0

def mode():
    write("mode")
    os.chmod("mode", 0o750)
    return os.stat("mode").st_mode & 0o777 == 0o750

def ended():
    child = subprocess.Popen(["sleep", "5"])
    child.kill()
    return child.wait() == -9

outside, beside = facts["outside"], facts["beside"]
attempt("read a file outside", lambda: read(outside))
attempt("list a folder outside", lambda: os.listdir(os.path.dirname(outside)))
attempt("write a file outside", lambda: write(outside))
attempt("make a file outside", lambda: write(beside))
attempt("change a file's mode outside", lambda: os.chmod(outside, 0o777))
attempt("change a file's times outside", lambda: os.utime(outside, (1, 1)))
attempt("remove a file outside", lambda: os.unlink(outside))
attempt("write to the system", lambda: (write("/usr/.hardtack-probe"), os.unlink("/usr/.hardtack-probe")))
attempt("read the system's passwords", lambda: open("/etc/shadow").read())
attempt("read another process's environment", lambda: read("/proc/%d/environ" % facts["victim"]))
attempt("reach the network", lambda: connect(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", facts["port"])))
attempt("send a datagram", lambda: connect(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", facts["port"])) or bool(facts["shared"]))
attempt("reach an abstract socket", lambda: connect(socket.AF_UNIX, socket.SOCK_STREAM, "\0" + facts["abstract"]))
attempt("reach a socket's file", lambda: near(facts["socket"]))
attempt("make a file that runs as its owner", lambda: (write("owner"), os.chmod("owner", 0o4755)))
try:
    os.kill(facts["victim"], signal.SIGKILL)
except OSError:
    pass
needed("write in its own folder", lambda: write("own"))
needed("run a program", lambda: called(["true"]))
needed("set a mode", mode)
if facts["signals"]:
    needed("end its own child", ended)
print(json.dumps({"could": could, "could_not": could_not}))
"""


def probe(sandbox: Sandbox, *, signals: bool = True, python: Interpreter | None = None) -> str | None:
    """None if the whole sandbox holds and lets a build work, else what is wrong with it. ``signals``: it may end its own children.

    ``python`` is who tries inside, by default the one that runs us.
    """
    with tempfile.TemporaryDirectory(prefix="hardtack-probe-") as name:
        base = Path(name)
        room, log = base / "room", base / "log"
        room.mkdir()
        try:
            launch, limits = sandbox.launch(["true"], mounts=[_room(room)], cwd=room, environment=_ENVIRONMENT, limits=_LIMITS), _LIMITS
            ended = run_contained(launch, log=log, stop=Cancellation(), limits=limits)
            if ended.code != 0 or ended.limit:
                return ended.limit or _last(log) or f"it ended with code {ended.code}"
            return _intrude(sandbox, base, room, python or ask(environ.interpreter()), signals=signals)
        except (OSError, HardtackError) as error:
            return str(error)


_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}


def _room(room: Path) -> Mount:
    return Mount(host=room, inside="/build/probe", writable=True)


def _intrude(sandbox: Sandbox, base: Path, room: Path, python: Interpreter, *, signals: bool) -> str | None:
    import socket

    secrets = base / "secrets"
    secrets.mkdir()
    outside, beside, path = secrets / "outside", secrets / "beside", secrets / "socket"
    outside.write_text(_CANARY)
    outside.chmod(0o644)
    os.utime(outside, (2_000_000_000, 2_000_000_000))
    abstract = f"hardtack-{os.urandom(8).hex()}"
    victim = subprocess.Popen(
        [str(environ.interpreter()), "-I", "-S", "-c", "import sys; sys.stdin.read()"],
        stdin=subprocess.PIPE,
        env={"CANARY": _CANARY},
    )
    try:
        with (
            socket.create_server(("127.0.0.1", 0)) as server,
            socket.socket(socket.AF_UNIX) as hidden,
            socket.socket(socket.AF_UNIX) as local,
        ):
            hidden.bind("\0" + abstract)
            hidden.listen()
            _bind(local, path)
            local.listen()
            facts = {
                "canary": _CANARY,
                "outside": str(outside),
                "beside": str(beside),
                "socket": str(path),
                "abstract": abstract,
                "victim": victim.pid,
                "port": server.getsockname()[1],
                "signals": signals,
                "shared": not sandbox.name.startswith("bubblewrap"),  # elsewhere a datagram that leaves arrives
            }
            launch = _program(sandbox, python.executable, folders(python), room, facts)
            log = base / "answer"
            ended = run_contained(launch, log=log, stop=Cancellation(), limits=_LIMITS)
            try:
                answer = json.loads(_last(log))
                could, could_not = list(answer["could"]), list(answer["could_not"])
            except (ValueError, KeyError, TypeError):
                return ended.limit or f"its probe did not answer: {_last(log) or f'it ended with code {ended.code}'}"
        # What is seen from here counts more than what it says.
        state = outside.stat() if outside.exists() else None
        if victim.poll() is not None:
            could.append("end another process")
        if state is None or stat.S_IMODE(state.st_mode) != 0o644 or state.st_size != len(_CANARY) or beside.exists():
            could.append("change a file outside")
    finally:
        victim.kill()
        victim.communicate()
    if could:
        return f"inside, a build could {', '.join(could)}"
    if could_not:
        return f"inside, a build could not {', '.join(could_not)}"
    return None


def _bind(local: socket.socket, path: Path) -> None:
    """Bind to a path of whatever length: an address has room for a hundred bytes."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        local.bind(f"/proc/self/fd/{folder}/{path.name}")
    finally:
        os.close(folder)


def _program(sandbox: Sandbox, python: Path, places: list[Path], room: Path, facts: dict[str, object]) -> Launch:
    mounts = [_room(room), *(Mount(host=place, inside=str(place)) for place in places)]
    argv = [str(python), "-I", "-S", "-c", _PROGRAM, json.dumps(facts)]
    return sandbox.launch(argv, mounts=mounts, cwd=room, environment=_ENVIRONMENT, limits=_LIMITS)


def _last(log: Path) -> str:
    lines = log.read_text("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else ""

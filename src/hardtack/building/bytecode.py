"""Bytecode of the tools in a kept environment: compiled in the sandbox, where nothing of theirs is imported, and written from out here."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import tempfile
import threading
from pathlib import Path

from hardtack.building.contained import run_contained
from hardtack.building.interpreter import Interpreter, folders
from hardtack.building.sandbox_launch import Limits, Mount, Sandbox
from hardtack.system.cancellation import Cancellation
from hardtack.system.files import remove

_LIMITS = Limits(seconds=120, log=1 << 20)
_SOURCE = 8 << 20  # bytes: compiling what is larger costs more than hooks, which import a part of it, get back
_COMPILED = 16 << 20  # bytes of one file
_NEVER_IMPORTED = frozenset({"tests", "test", "__pycache__"})

# Unchecked: what it was compiled from is known by its content, and read-only. Paths as bubblewrap shows them: they tell of no folder here.
_COMPILE = r"""
import importlib.util, json, py_compile, sys
source, out = sys.argv[1:]
with open(out + "/names.json") as stream:
    names = json.load(stream)
print(importlib.util.cache_from_source("x.py"), file=open(out + "/suffix", "w"))
for at, name in enumerate(names):
    try:
        py_compile.compile(
            source + "/" + name, out + "/%d" % at, "/build/env/" + name, True,
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )
    except Exception:
        pass
"""


class Bytecode:
    """What was compiled in one run, by the content of its source. For any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[tuple[Path, str], bytes | None] = {}
        self._suffixes: dict[Path, str] = {}

    def add(self, folder: Path, *, interpreter: Interpreter, sandbox: Sandbox, beside: Path, stop: Cancellation) -> None:
        """Put bytecode of every module in ``folder`` beside it, which no build has seen yet; what cannot be compiled goes without.

        The interpreter runs without site and with nothing but the standard library; ``folder`` is read-only to it.
        """
        sources = _sources(folder)
        if sum(path.stat().st_size for path in sources) > _SOURCE:
            return
        python = interpreter.executable
        keys = {path: (python, f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}") for path in sources}
        with self._lock:
            new = {key: path for path, key in keys.items() if key not in self._known}
            if new:
                room = Path(tempfile.mkdtemp(prefix=".hardtack-bytecode-", dir=beside))
                try:
                    compiled = self._compiled(list(new.values()), folder, interpreter, sandbox, room, stop)
                finally:
                    remove(room)
                self._known.update(zip(new, compiled, strict=True))
            suffix = self._suffixes.get(python)
        if suffix is None:
            return
        for path, key in keys.items():
            data = self._known[key]
            if data is not None:
                cache = path.parent / "__pycache__"
                cache.mkdir(exist_ok=True)
                (cache / f"{path.stem}{suffix}").write_bytes(data)

    def _compiled(
        self, paths: list[Path], folder: Path, interpreter: Interpreter, sandbox: Sandbox, room: Path, stop: Cancellation
    ) -> list[bytes | None]:
        out, log = room / "out", room / "log"
        out.mkdir()
        (out / "names.json").write_text(json.dumps([path.relative_to(folder).as_posix() for path in paths]), encoding="utf-8")
        mounts = [
            Mount(host=out, inside="/build/out", writable=True),
            Mount(host=folder, inside="/build/env"),
            *(Mount(host=place, inside=str(place)) for place in folders(interpreter)),
        ]
        argv = [str(interpreter.executable), "-I", "-S", "-B", "-W", "ignore", "-c", _COMPILE]
        argv += [sandbox.inside(folder, mounts), sandbox.inside(out, mounts)]
        launch = sandbox.launch(argv, mounts=mounts, cwd=out, environment={"LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "0"}, limits=_LIMITS)
        run_contained(launch, log=log, stop=stop, limits=_LIMITS)
        suffix = (_read(out / "suffix") or b"").decode("ascii", "replace").strip().rpartition("__pycache__")[2].lstrip("/\\")
        if not (suffix.startswith("x.") and suffix.endswith(".pyc") and suffix == os.path.basename(suffix)):
            return [None] * len(paths)
        self._suffixes[interpreter.executable] = suffix[1:]
        return [_read(out / str(at)) for at in range(len(paths))]


def _sources(folder: Path) -> list[Path]:
    found = []
    for place, inner, files in os.walk(folder):
        inner[:] = sorted(name for name in inner if name not in _NEVER_IMPORTED)
        found += [Path(place, name) for name in sorted(files) if name.endswith(".py") and not os.path.islink(os.path.join(place, name))]
    return found


def _read(path: Path) -> bytes | None:
    """The bytes of a regular file of a sensible size."""
    try:
        with open(os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)), "rb") as stream:
            state = os.fstat(stream.fileno())
            if not stat.S_ISREG(state.st_mode) or not 0 < state.st_size <= _COMPILED:
                return None
            return stream.read()
    except OSError:
        return None

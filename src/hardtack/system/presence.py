"""Runs that share a cache: each is seen to be alive, and what killed ones left is removed by the next."""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hardtack.system.files import TEMPORARY_PREFIX, remove

_PATIENCE = 5.0  # seconds, for another process that is at its start just now
_ENTRANCE = "entrance.lock"
# What these hold belongs to other programs.
_FOREIGN = frozenset({"uv", "git"})

_guard = threading.Lock()
_present: dict[Path, _Mark] = {}


@dataclass(slots=True, kw_only=True)
class _Mark:
    """This process in one cache: a lock that dies with it, and a folder for what has to lie somewhere for a while."""

    path: Path
    descriptor: int
    room: Path
    users: int = 0


@contextlib.contextmanager
def present(cache: Path) -> Iterator[None]:
    """Be seen by the other runs on ``cache`` while the block runs; first, rid it of what runs that were killed have left.

    Only temporary names go, and none of a run that is alive. Python's own temporary files lie in the cache meanwhile: some libraries know
    no other way to say where (pyproject_hooks). A cache that cannot be written, or whose disk has no locks, is used as it is; so is any
    on Windows.
    """
    with _guard:
        mark = _present.get(cache)
        if mark is None and os.name != "nt":
            with contextlib.suppress(OSError):
                mark = _enter(cache / "runs", cache)
        if mark is not None:
            mark.users += 1
            _present.setdefault(cache, mark)
            tempfile.tempdir = str(next(iter(_present.values())).room)
    broken = True
    try:
        yield
        broken = False
    finally:
        with _guard:
            if mark is not None:
                mark.users -= 1
                if not mark.users:
                    del _present[cache]
                    tempfile.tempdir = str(next(iter(_present.values())).room) if _present else None
                    _leave(mark, broken=broken)


def _enter(folder: Path, cache: Path) -> _Mark | None:
    """Become visible, if the entrance is free in time. Nobody else enters meanwhile, so a mark that nobody holds is of a killed run."""
    folder.mkdir(parents=True, exist_ok=True)
    entrance = os.open(folder / _ENTRANCE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        deadline = time.monotonic() + _PATIENCE
        while not _held(entrance):
            if time.monotonic() > deadline:
                return None
            time.sleep(0.01)
        _clear_up(folder, cache)
        name = f"{os.getpid()}-{os.urandom(4).hex()}"
        path, room = folder / f"{name}.lock", folder / f"{TEMPORARY_PREFIX}{name}"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        try:
            _held(descriptor)
            room.mkdir(mode=0o700)
        except BaseException:
            os.close(descriptor)
            raise
        return _Mark(path=path, descriptor=descriptor, room=room)
    finally:
        os.close(entrance)


def _leave(mark: _Mark, *, broken: bool) -> None:
    with contextlib.suppress(OSError):
        remove(mark.room)
        # What was interrupted may have left something (a child that was just starting): the mark stays, and the next run looks.
        if not broken:
            # While it is held: who looks meanwhile finds it held, or not at all.
            mark.path.unlink(missing_ok=True)
    os.close(mark.descriptor)


def _held(descriptor: int) -> bool:
    """True if the lock is ours now, False if somebody else has it. It goes with the process, however that ends."""
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _clear_up(folder: Path, cache: Path) -> None:
    """Sweep the cache if a run on it was killed. Its mark stays until nothing of it is left."""
    dead: list[Path] = []
    oldest: float | None = None
    for entry in list(os.scandir(folder)):
        if not entry.name.endswith(".lock") or entry.name == _ENTRANCE:
            continue
        with contextlib.suppress(OSError):
            descriptor = os.open(entry.path, os.O_RDWR | os.O_CLOEXEC)
            try:
                if _held(descriptor):
                    dead.append(Path(entry.path))
                else:
                    began = os.fstat(descriptor).st_mtime
                    oldest = began if oldest is None else min(began, oldest)
            finally:
                os.close(descriptor)
    if dead and _sweep(cache, before=oldest):
        for path in dead:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)


def _sweep(cache: Path, *, before: float | None) -> bool:
    """Remove what has a temporary name, but what changed since ``before``, when the oldest living run began. True if nothing stayed."""
    clean = before is None
    waiting = [cache]
    while waiting:
        place = waiting.pop()
        try:
            entries = list(os.scandir(place))
        except OSError:
            continue
        for entry in entries:
            if entry.name.startswith(TEMPORARY_PREFIX):
                with contextlib.suppress(OSError):
                    if before is None or entry.stat(follow_symlinks=False).st_mtime < before:
                        remove(Path(entry.path))
                clean = clean and not os.path.lexists(entry.path)
            elif entry.is_dir(follow_symlinks=False) and not (place == cache and entry.name in _FOREIGN):
                waiting.append(Path(entry.path))
    return clean

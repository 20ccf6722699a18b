"""Partial downloads: one writer each, among all processes that share the cache."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from hardtack.errors import HardtackError
from hardtack.system.files import disk_faults


class Busy(Exception):
    """Another process or thread holds this partial file. ``size`` is how far it has come, in bytes, -1 where it has not begun."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size


@contextlib.contextmanager
def claim(folder: Path, name: str) -> Iterator[Path]:
    """Own the partial file ``folder / name`` while the block runs; raises Busy at once where somebody else does.

    The lock dies with its process, however that ends; the partial file stays, to be gone on with. On a disk that has no locks the
    path has a name of its own, which nobody comes back to.
    """
    path = folder / name
    with disk_faults(folder, doing="cannot write the cache"):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = _lock(folder / f"{name}.lock")
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP):
                raise
            yield private(folder)
            return
    if descriptor is None:
        try:
            raise Busy(path.stat().st_size)
        except FileNotFoundError:
            raise Busy(-1) from None
    try:
        yield path
    finally:
        _unlock(folder / f"{name}.lock", descriptor)


def tidy(folder: Path, *, stored: Callable[[str], bool]) -> None:
    """Remove what killed runs left: locks that nobody holds, and partial files of what is ``stored`` by now."""
    with contextlib.suppress(OSError):
        for entry in list(os.scandir(folder)):
            if entry.name.endswith(".lock"):
                name = entry.name.removesuffix(".lock")
                # Letting go of a claim removes its lock.
                with contextlib.suppress(OSError, HardtackError, Busy), claim(folder, name) as path:
                    if stored(name):
                        path.unlink(missing_ok=True)


def private(folder: Path) -> Path:
    """A name in ``folder`` that nobody else uses; ``Store.clean`` removes what is left under it."""
    return folder / f".hardtack-{os.getpid()}-{os.urandom(6).hex()}"


def _lock(path: Path) -> int | None:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            taken = _try_lock(descriptor)
            # The holder removes the file before it lets go: a lock on a removed file guards nothing.
            if taken and os.fstat(descriptor).st_nlink > 0:
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        if not taken:
            return None


def _unlock(path: Path, descriptor: int) -> None:
    if os.name == "nt":
        # Windows removes no open file. Where a waiter has it open already, the waiter removes it.
        os.close(descriptor)
        with contextlib.suppress(OSError):
            path.unlink()
        return
    with contextlib.suppress(OSError):
        path.unlink()
    os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES, errno.EDEADLK):
            return False
        raise
    return True

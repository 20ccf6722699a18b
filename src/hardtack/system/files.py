"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from hardtack.errors import HardtackError, IntegrityError

TEMPORARY_PREFIX = ".hardtack-"
_BEGAN = (time.time(), time.monotonic())
_JUMP = 3600.0  # seconds


class DiskFault(HardtackError):
    """The disk is full, read-only, or the folder may not be written."""

    slug = "disk"


@contextlib.contextmanager
def disk_faults(path: Path, *, doing: str) -> Iterator[None]:
    """Turn the operating system's refusal to write into an error that names the path and the cause."""
    try:
        yield
    except OSError as error:
        hints = {
            errno.ENOSPC: "free some space, or choose another place: -o for the wheelhouse, --cache-dir for the cache",
            errno.EDQUOT: "your disk quota is used up; free some space, or put the cache elsewhere with --cache-dir",
            errno.EFBIG: "no file may be so large here: lift the limit (ulimit -f), or choose another place",
            errno.EROFS: "the file system is read-only; choose another place",
            errno.EACCES: "you may not write there; choose another place or mend the permissions",
            errno.EPERM: "you may not write there; choose another place or mend the permissions",
            errno.ENOTDIR: "a file stands where a folder is wanted; choose another place",
            errno.EISDIR: "a folder stands where a file is wanted; choose another place",
            errno.EEXIST: "a file stands where a folder is wanted; choose another place",
            errno.ENAMETOOLONG: "the path is too long for this file system; choose a shorter one",
            errno.EIO: "the disk reports a fault; choose another one",
        }
        if error.errno in hints:
            raise DiskFault(f"{doing}: {os.strerror(error.errno)}", where=str(path), hint=hints[error.errno]) from error
        raise


@contextlib.contextmanager
def atomic_write(path: Path, *, durable: bool = False) -> Iterator[IO[bytes]]:
    """Write a file that has its final name only when the block ends well; mode 0644 whatever the umask.

    ``durable`` syncs the file and its folder, so that it survives power loss.
    """
    with disk_faults(path, doing="cannot write"):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=TEMPORARY_PREFIX, dir=path.parent)
        temporary = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                yield stream
                stream.flush()
                if durable:
                    os.fsync(stream.fileno())
            temporary.chmod(0o644)
            temporary.replace(path)
            if durable:
                sync_folder(path.parent)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def write_bytes(path: Path, data: bytes) -> None:
    """Write ``data`` atomically; a file that holds it already is left untouched (its times too)."""
    try:
        if path.is_file() and not path.is_symlink() and path.read_bytes() == data:
            return
    except OSError:
        pass
    with atomic_write(path) as stream:
        stream.write(data)


def sync_folder(path: Path) -> None:
    """Make a folder's new names survive power loss, where the system can (not on Windows)."""
    if os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def place(source: Path, destination: Path) -> None:
    """Make ``destination`` the same file as ``source``: by hard link where the disk allows it, else by an atomic copy."""
    with disk_faults(destination, doing="cannot write"):
        destination.parent.mkdir(parents=True, exist_ok=True)
        temporary = destination.parent / f"{TEMPORARY_PREFIX}{os.getpid()}-{os.urandom(6).hex()}"
        try:
            try:
                os.link(source, temporary)
            except OSError as error:
                if error.errno in (errno.ENOSPC, errno.EROFS, errno.ENOENT):
                    raise
                shutil.copyfile(source, temporary)
            temporary.chmod(0o644)
            temporary.replace(destination)
        finally:
            # rename() of two hard links to one file does nothing and leaves the first.
            temporary.unlink(missing_ok=True)


def safe_join(root: Path, name: str) -> Path:
    """``root / name`` for a relative POSIX name that stays inside ``root``; raises IntegrityError for any other."""
    pure = PurePosixPath(name)
    if not name or pure.is_absolute() or "\\" in name or "\0" in name or ":" in pure.parts[0]:
        raise IntegrityError(f"unsafe path {name!r}")
    if any(part in ("..", ".") for part in name.split("/")):
        raise IntegrityError(f"unsafe path {name!r}")
    return root.joinpath(*pure.parts)


def clock_of(folder: Path) -> float:
    """What time it is on the disk of ``folder`` (POSIX): a server's clock may be another than ours, and ages are told by its own."""
    try:
        descriptor, name = tempfile.mkstemp(prefix=TEMPORARY_PREFIX, dir=folder)
    except OSError:
        return time.time()
    try:
        return os.fstat(descriptor).st_mtime
    finally:
        os.close(descriptor)
        with contextlib.suppress(OSError):
            os.unlink(name)


def clock_jumped() -> bool:
    """True if the clock was set since we began: what is old then cannot be told from what was made a moment ago."""
    wall, steady = _BEGAN
    return abs((time.time() - wall) - (time.monotonic() - steady)) > _JUMP


def sweep(folder: Path, *, older_than: float | None = None) -> int:
    """Remove what an interrupted run left under a temporary name in ``folder``; returns how many files went.

    ``older_than``: a POSIX time in seconds; younger files may belong to a running process and stay.
    """
    gone = 0
    if older_than is not None and clock_jumped():
        return 0
    try:
        entries = list(os.scandir(folder))
    except FileNotFoundError:
        return 0
    for entry in entries:
        if not entry.name.startswith(TEMPORARY_PREFIX):
            continue
        with contextlib.suppress(OSError):
            if older_than is not None and entry.stat(follow_symlinks=False).st_mtime > older_than:
                continue
            remove(Path(entry.path))
            gone += 1
    return gone


def remove(path: Path) -> None:
    """Remove a file or a whole tree, read-only members too; a path that is not there is fine."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return

    def writable(function: object, name: str, _error: object) -> None:
        os.chmod(os.path.dirname(name), stat.S_IRWXU)
        os.chmod(name, stat.S_IRWXU)
        if callable(function):
            function(name)

    shutil.rmtree(path, onerror=writable)

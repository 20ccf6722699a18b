"""The store: every file under the name of its sha256, shared by processes, never there before it is whole."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from hardtack.errors import IntegrityError
from hardtack.reporting import Reporter
from hardtack.system.files import disk_faults, remove, sweep, sync_folder

_SHA256 = re.compile(r"[0-9a-f]{64}")
_CHUNK = 1 << 20
_TEMPORARY = ".hardtack-"

# Nobody writes to a temporary file for an hour and lives; a partial download is worth keeping for a few days.
_TEMPORARY_AGE = 3600.0
_PARTIAL_AGE = 3 * 86400.0


class Store:
    """A content-addressed folder. ``folder`` holds the files, its siblings ``partial`` and ``first-seen`` what leads to them.

    An entry is trusted while its size, modification time and inode are those it had when its digest was last proven (kept in a small
    file beside it); any other entry is hashed again, and removed if it is not what its name says. Entries are mode 0644: they are hard
    links to the files of wheelhouses, which people may edit in place, and that shows in the modification time.

    >>> import tempfile
    >>> store = Store(Path(tempfile.mkdtemp()) / "files")
    >>> store.has(store.add_bytes(b"bread"))
    True
    """

    def __init__(self, folder: Path, *, reporter: Reporter | None = None) -> None:
        self.folder = folder
        self.partial_folder = folder.parent / "partial"
        self._first_seen = folder.parent / "first-seen"
        self._reporter = reporter or Reporter()

    def path(self, sha256: str) -> Path:
        """Where the file of that digest is, or would be. Raises IntegrityError for what is no sha256."""
        if not _SHA256.fullmatch(sha256):
            raise IntegrityError(f"{sha256!r} is not a sha256", hint="64 hexadecimal digits in lower case are wanted")
        return self.folder / sha256[:2] / sha256[2:]

    def proven(self, sha256: str, *, size: int | None = None) -> bool:
        """True if the file is here by its stat alone; no file is hashed, so False says only that ``has`` must look closer."""
        path = self.path(sha256)
        try:
            found = os.lstat(path)
        except FileNotFoundError:
            return False
        return stat.S_ISREG(found.st_mode) and size in (None, found.st_size) and _read_proof(path) == _proof(found)

    def has(self, sha256: str, *, size: int | None = None) -> bool:
        """True if the file is here and has that digest, and that ``size`` where one is given.

        An entry that was touched since it was proven is hashed; a damaged one is removed and the reporter is told.
        """
        path = self.path(sha256)
        try:
            before = os.lstat(path)
        except FileNotFoundError:
            return False
        if not stat.S_ISREG(before.st_mode):
            self._discard(path, before, "it is not a regular file")
            return False
        if _read_proof(path) != _proof(before):
            try:
                with disk_faults(path, doing="cannot read"), open(path, "rb") as stream:
                    actual = hashlib.file_digest(stream, "sha256").hexdigest()
                after = os.lstat(path)
            except FileNotFoundError:
                return False
            if actual != sha256:
                self._discard(path, before, "it is empty" if before.st_size == 0 else f"its sha256 is {actual}")
                return False
            if _proof(after) == _proof(before):
                _write_proof(path, before)
        return size in (None, before.st_size)

    def doubt(self, sha256: str) -> None:
        """Trust an entry's stat no longer: the next look hashes it. For bytes that went bad behind the back of their times."""
        with contextlib.suppress(OSError):
            _proof_path(self.path(sha256)).unlink(missing_ok=True)

    def adopt(self, temporary: Path, sha256: str, size: int) -> Path:
        """Give a finished file, hashed by the caller, its final name; it survives power loss from then on. Returns that name.

        Raises DiskFault, and IntegrityError where the file does not have that size; ``temporary`` is then left where it is.
        """
        path = self.path(sha256)
        with disk_faults(path, doing="cannot store"):
            descriptor = os.open(temporary, os.O_RDWR)
            try:
                found = os.fstat(descriptor)
                if found.st_size != size:
                    raise IntegrityError(f"{temporary.name} has {found.st_size} bytes on disk, {size} were written")
                os.chmod(temporary, 0o644)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            if not path.parent.is_dir():
                path.parent.mkdir(parents=True, exist_ok=True)
                sync_folder(self.folder)
            try:
                os.replace(temporary, path)
            except PermissionError:
                # Windows refuses while a process reads the old entry; an equal file is as good.
                if not self.has(sha256, size=size):
                    raise
                temporary.unlink()
                return path
            sync_folder(path.parent)
        _write_proof(path, found)
        return path

    def add_file(self, source: Path) -> str:
        """Copy a file in. Returns its sha256, of the bytes that were copied."""
        with open(source, "rb") as stream:
            return self._add(stream)

    def add_bytes(self, data: bytes) -> str:
        """Put bytes in. Returns their sha256."""
        import io

        return self._add(io.BytesIO(data))

    def known_digest(self, key: str) -> str | None:
        """The digest that was remembered for a file for which nobody states one."""
        try:
            text = self._memory(key).read_text("ascii").strip()
        except (FileNotFoundError, UnicodeDecodeError):
            return None
        return text if _SHA256.fullmatch(text) else None

    def remember(self, key: str, sha256: str) -> None:
        """Keep the digest that a file had when it was first seen. Only a digest of ``key`` is kept: it may name private places."""
        from hardtack.system.files import write_bytes

        write_bytes(self._memory(key), f"{sha256}\n".encode())

    def clean(self, *, now: float | None = None) -> int:
        """Remove what interrupted runs left and nobody came back for; returns how many files went. Never raises for want of rights."""
        now = time.time() if now is None else now
        gone = sweep(self.partial_folder, older_than=now - _TEMPORARY_AGE)
        with contextlib.suppress(OSError):
            for entry in list(os.scandir(self.partial_folder)):
                with contextlib.suppress(OSError):
                    if not entry.name.startswith(_TEMPORARY) and entry.stat(follow_symlinks=False).st_mtime < now - _PARTIAL_AGE:
                        os.unlink(entry.path)
                        gone += 1
        return gone

    @contextlib.contextmanager
    def temporary(self) -> Iterator[Path]:
        """The name of a new, empty file on the store's disk; it is gone after the block unless it was adopted."""
        with disk_faults(self.partial_folder, doing="cannot write"):
            self.partial_folder.mkdir(parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(prefix=_TEMPORARY, dir=self.partial_folder)
        os.close(descriptor)
        path = Path(name)
        try:
            yield path
        finally:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)

    def _add(self, stream: IO[bytes]) -> str:
        with self.temporary() as path:
            digest, size = hashlib.sha256(), 0
            with disk_faults(self.partial_folder, doing="cannot write"), open(path, "wb") as copy:
                while block := stream.read(_CHUNK):
                    digest.update(block)
                    size += copy.write(block)
            sha256 = digest.hexdigest()
            if not self.has(sha256):
                self.adopt(path, sha256, size)
        return sha256

    def _discard(self, path: Path, seen: os.stat_result, reason: str) -> None:
        """Remove a bad entry, but not the good one that another process may have put in its place meanwhile."""
        with contextlib.suppress(OSError):
            if _proof(os.lstat(path)) == _proof(seen):
                remove(path)
                _proof_path(path).unlink(missing_ok=True)
        self._reporter.warning(f"a damaged file was removed from the store ({reason})", hint=f"it is fetched or built again: {path}")

    def _memory(self, key: str) -> Path:
        name = hashlib.sha256(key.encode()).hexdigest()
        return self._first_seen / name[:2] / name[2:]


def _proof(found: os.stat_result) -> str:
    return f"{found.st_size} {found.st_mtime_ns} {found.st_ino}\n"


def _proof_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.proven")


def _read_proof(path: Path) -> str | None:
    try:
        with open(_proof_path(path), encoding="ascii") as stream:
            return stream.read(256)
    except (OSError, UnicodeDecodeError):
        return None


def _write_proof(path: Path, found: os.stat_result) -> None:
    # Not atomic and not synced on purpose: what is torn matches no stat, and the entry is hashed again.
    # A store that cannot be written still serves.
    with contextlib.suppress(OSError), open(_proof_path(path), "w", encoding="ascii") as stream:
        stream.write(_proof(found))

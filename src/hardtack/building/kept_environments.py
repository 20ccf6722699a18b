"""Build environments that outlive the run: each in a folder of its own in the cache, with a list of what is in it, which must hold."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from pathlib import Path

from hardtack.system.files import TEMPORARY_PREFIX, clock_jumped, clock_of, remove, sweep

_UNUSED = 30 * 86_400.0  # seconds after which an environment that nobody used goes
_ABANDONED = 86_400.0
_LIST = "list.json"
_FOLDER = "env"


class KeptEnvironments:
    """The environments in one folder. For any thread and any process: an environment appears whole, and is not changed after that."""

    def __init__(self, place: Path) -> None:
        self._place = place

    def find(self, key: str) -> Path | None:
        """The environment of that key, if it is there as it was made; from now on it is young."""
        kept = self._place / key
        try:
            os.utime(kept)
            expected = json.loads((kept / _LIST).read_bytes())
        except (OSError, ValueError):
            return None
        return kept / _FOLDER if expected == _listed(kept / _FOLDER) else None

    def keep(self, key: str, folder: Path) -> Path:
        """Take ``folder`` in, and return where it lies now: there, where another process was faster as that one's, else where it was."""
        try:
            self._place.mkdir(parents=True, exist_ok=True)
            room = Path(tempfile.mkdtemp(prefix=TEMPORARY_PREFIX, dir=self._place))
        except OSError:
            return folder
        kept = self._place / key
        try:
            try:
                folder.rename(room / _FOLDER)
            except OSError:
                return folder  # on another disk
            (room / _LIST).write_text(json.dumps(_listed(room / _FOLDER)), encoding="utf-8")
            with contextlib.suppress(OSError):
                room.rename(kept)
                return kept / _FOLDER
            found = self.find(key)
            if found is not None:
                return found
            # What is there is not what was made.
            self._away(kept)
            with contextlib.suppress(OSError):
                room.rename(kept)
                return kept / _FOLDER
            (room / _FOLDER).rename(folder)
            return folder
        finally:
            remove(room)

    def sweep(self) -> None:
        """Remove what was not used for a month, and what a killed run left a day ago."""
        if clock_jumped() or not self._place.is_dir():
            return
        now = clock_of(self._place)
        sweep(self._place, older_than=now - _ABANDONED)
        with contextlib.suppress(OSError):
            for entry in list(os.scandir(self._place)):
                with contextlib.suppress(OSError):
                    if entry.stat(follow_symlinks=False).st_mtime < now - _UNUSED:
                        self._away(Path(entry.path))

    def _away(self, kept: Path) -> None:
        """Gone at once, then removed."""
        with contextlib.suppress(OSError):
            aside = Path(tempfile.mkdtemp(prefix=TEMPORARY_PREFIX, dir=self._place))
            with contextlib.suppress(OSError):
                kept.rename(aside / "old")
            remove(aside)


def _listed(folder: Path) -> list[list[object]]:
    """Every entry with what tells that it was touched; not ctime, which moves when another name of the same file goes."""
    found: list[list[object]] = []
    waiting = [""]
    while waiting:
        below = waiting.pop()
        with os.scandir(folder / below) as entries:
            for entry in entries:
                name = f"{below}{entry.name}"
                state = entry.stat(follow_symlinks=False)
                aim = os.readlink(entry.path) if entry.is_symlink() else ""
                is_folder = entry.is_dir(follow_symlinks=False)
                found.append([name, state.st_mode, 0 if is_folder else state.st_size, state.st_mtime_ns, state.st_ino, aim])
                if is_folder:
                    waiting.append(f"{name}/")
    return sorted(found, key=lambda row: str(row[0]))

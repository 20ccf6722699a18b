"""Watch folders for files that take a final name, and look at each at that very moment (Linux, inotify)."""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import struct
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from bench.promises.figures import Unmeasured

_CREATE, _MOVED_TO, _CLOSE_WRITE, _ISDIR, _OVERFLOW = 0x100, 0x80, 0x08, 0x40000000, 0x4000
_EVENT = struct.Struct("iIII")


class Watch:
    """Calls ``look`` with every path that comes to be, is renamed to, or was written, at or below ``folder``, from a thread of its own.

    A folder that comes later is watched from when it is seen; what lies in it by then is looked at too.
    """

    def __init__(self, folder: Path, look: Callable[[Path], None]) -> None:
        if sys.platform != "linux":
            raise Unmeasured("watching needs Linux's inotify")
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._descriptor < 0:
            raise Unmeasured(f"no inotify: {os.strerror(ctypes.get_errno())}")
        self._look = look
        self._places: dict[int, Path] = {}
        self._over = threading.Event()
        self.seen = 0
        self.lost = False
        self._add(folder)
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()
        os.close(self._descriptor)

    def _add(self, folder: Path) -> None:
        number = self._libc.inotify_add_watch(self._descriptor, os.fsencode(folder), _CREATE | _MOVED_TO | _CLOSE_WRITE)
        if number < 0:
            return
        self._places[number] = folder
        with contextlib.suppress(OSError):
            for entry in list(os.scandir(folder)):
                self._at(Path(entry.path), folder=entry.is_dir(follow_symlinks=False))

    def _at(self, path: Path, *, folder: bool) -> None:
        if folder:
            self._add(path)
        else:
            self.seen += 1
            self._look(path)

    def _run(self) -> None:
        while True:
            ready, _, _ = select.select([self._descriptor], [], [], 0.02)
            if not ready:
                if self._over.is_set():
                    return
                continue
            with contextlib.suppress(BlockingIOError):
                self._take(os.read(self._descriptor, 1 << 16))

    def _take(self, data: bytes) -> None:
        at = 0
        while at < len(data):
            number, mask, _, length = _EVENT.unpack_from(data, at)
            name = data[at + _EVENT.size : at + _EVENT.size + length].rstrip(b"\0")
            at += _EVENT.size + length
            self.lost |= bool(mask & _OVERFLOW)
            if number in self._places and name:
                self._at(self._places[number] / os.fsdecode(name), folder=bool(mask & _ISDIR))

"""A confined process may change modes and times of files in its own folders only: Landlock does not say that, so the keeper is asked.

The kernel halts the process at such a call and tells us (seccomp's user notification). We make the change ourselves, on a descriptor that
we opened and whose place we looked at, so that nothing can be swapped meanwhile. Loaded by the keeper, beside it, as a module of its own.
"""

from __future__ import annotations

import contextlib
import errno
import os
import struct
from collections.abc import Sequence
from typing import Any

_RECEIVE, _ANSWER, _STILL_VALID = 0xC0502100, 0xC0182101, 0x40082102
_QUESTION = struct.Struct("=QIIiIQ6Q")
_REPLY = struct.Struct("=QqiI")
_HERE, _NO_FOLLOW, _EMPTY_PATH = -100, 0x100, 0x1000
_UTIMENSAT = {"x86_64": 280, "aarch64": 88}
# By number, as the two architectures have them.
_NAMES = {
    "x86_64": {
        90: "chmod",
        91: "fchmod",
        268: "fchmodat",
        452: "fchmodat2",
        132: "utime",
        235: "utimes",
        261: "futimesat",
        280: "utimensat",
    },
    "aarch64": {52: "fchmod", 53: "fchmodat", 452: "fchmodat2", 88: "utimensat"},
}


class Questions:
    """Answers what comes in at ``listener``. ``kernel`` makes system calls; ``writable`` are the folders where changes are allowed."""

    def __init__(self, listener: int, kernel: Any, writable: Sequence[str]) -> None:
        self._listener = listener
        self._kernel = kernel
        self._machine = os.uname().machine
        self._roots = [os.path.realpath(path) for path in writable]

    def answer(self) -> None:
        """Take one question and answer it."""
        import fcntl

        buffer = bytearray(_QUESTION.size)
        try:
            fcntl.ioctl(self._listener, _RECEIVE, buffer)
        except OSError:
            return  # who asked is gone
        question, pid, _, call, _, _, *arguments = _QUESTION.unpack(buffer)
        try:
            self._change(question, pid, _NAMES[self._machine][call], arguments)
            error = 0
        except OSError as fault:
            error = fault.errno or errno.EPERM
        with contextlib.suppress(OSError):
            fcntl.ioctl(self._listener, _ANSWER, bytearray(_REPLY.pack(question, 0, -error, 0)))

    def _change(self, question: int, pid: int, name: str, arguments: Sequence[int]) -> None:
        times: bytes | None = None
        mode = flags = 0
        folder, path = _HERE, 0
        if name in ("chmod", "utime", "utimes"):
            path = arguments[0]
        elif name != "fchmod":
            folder, path = arguments[0], arguments[1]
        else:
            folder = arguments[0]
        if "chmod" in name:
            mode = arguments[1 if name in ("chmod", "fchmod") else 2] & 0o3777
            flags = arguments[3] if name == "fchmodat2" else 0
        else:
            where = arguments[1 if name in ("utime", "utimes") else 2]
            times = _times(pid, name, where)
            flags = arguments[3] if name == "utimensat" else 0
        descriptor = self._opened(pid, _signed(folder), _text(pid, path) if path else None, follow=not flags & _NO_FOLLOW)
        try:
            import fcntl

            # Whom we read from was the one who asks: its number was not another's meanwhile.
            fcntl.ioctl(self._listener, _STILL_VALID, bytearray(struct.pack("=Q", question)))
            place = os.readlink(f"/proc/self/fd/{descriptor}")
            if not any(place == root or place.startswith(root + "/") for root in self._roots):
                raise PermissionError(errno.EPERM, "outside")
            if "chmod" in name:
                os.chmod(f"/proc/self/fd/{descriptor}", mode)
            elif os.path.islink(place) and flags & _NO_FOLLOW:
                self._kernel.call(_UTIMENSAT[self._machine], descriptor, b"", times, _EMPTY_PATH)
            else:
                self._kernel.call(_UTIMENSAT[self._machine], _HERE, f"/proc/self/fd/{descriptor}".encode(), times, 0)
        finally:
            os.close(descriptor)

    def _opened(self, pid: int, folder: int, path: str | None, *, follow: bool) -> int:
        start = f"/proc/{pid}/cwd" if folder == _HERE else f"/proc/{pid}/fd/{folder}"
        if not path:
            return os.open(start, os.O_PATH | os.O_CLOEXEC)
        if path.startswith("/proc/self/"):
            path = f"/proc/{pid}/{path.removeprefix('/proc/self/')}"
        base = os.open(start, os.O_PATH | os.O_CLOEXEC)
        try:
            return os.open(path, os.O_PATH | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW), dir_fd=base)
        finally:
            os.close(base)


def _signed(value: int) -> int:
    value &= 0xFFFFFFFF
    return value - (1 << 32) if value >> 31 else value


def _memory(pid: int, address: int, length: int) -> bytes:
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as stream:
        stream.seek(address)
        return stream.read(length)


def _text(pid: int, address: int) -> str:
    """A string of the process, which may end just before memory that is not there."""
    text = b""
    while b"\0" not in text:
        text += _memory(pid, address + len(text), 256 - (address + len(text)) % 256)
        if len(text) > 4096 + 256:
            raise OSError(errno.ENAMETOOLONG, "path")
    return os.fsdecode(text.partition(b"\0")[0])


def _times(pid: int, name: str, address: int) -> bytes | None:
    """The two times as utimensat(2) takes them; None for now."""
    if not address:
        return None
    if name == "utimensat":
        return _memory(pid, address, 32)
    if name == "utime":
        seconds = struct.unpack("=2q", _memory(pid, address, 16))
        return struct.pack("=4q", seconds[0], 0, seconds[1], 0)
    first, first_micro, second, second_micro = struct.unpack("=4q", _memory(pid, address, 32))
    return struct.pack("=4q", first, first_micro * 1000, second, second_micro * 1000)

"""Landlock and seccomp: no privileges, no programs to install; the file system by allow-lists, everything else by the system call."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hardtack.building.sandbox_kept import kept
from hardtack.building.sandbox_launch import Launch, Limits, Mount
from hardtack.building.sandbox_syscalls import ARCHITECTURES, Rules, compile_filter
from hardtack.building.sandbox_system import DEVICES, FACTS, FOLDERS, SETTINGS

# landlock(7), LANDLOCK_ACCESS_FS_*: bits by name, and the ABI that brought each beyond the first.
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_MAKE_CHAR, _MAKE_SOCK, _MAKE_BLOCK = 1 << 6, 1 << 9, 1 << 11
_FIRST = (1 << 13) - 1
_REFER, _TRUNCATE, _IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
_TCP = 0b11  # bind and connect, ABI 4
_SCOPES = 0b11  # abstract sockets and signals, ABI 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Landlock:
    """Confined by the kernel's Landlock of this ``abi`` and by a seccomp filter for ``machine``.

    As root, the process is moved to a user that nobody is. Paths are those of this machine: nothing can be moved without a namespace.
    """

    abi: int
    machine: str

    @property
    def name(self) -> str:
        """What the build record keeps."""
        return "landlock+seccomp"

    @property
    def remarks(self) -> tuple[str, ...]:
        """What this sandbox does not do here."""
        told = ["a build sees the work folder's own path, which changes, and may learn whether a file exists and how long it is"]
        if self.abi < 2:
            told.append("files cannot be renamed from folder to folder (Landlock ABI 1)")
        if self.abi < 6:
            told.append(f"a build that runs as an ordinary user cannot signal its own children (Landlock ABI {self.abi})")
        return tuple(told)

    @property
    def root(self) -> None:
        """None: paths are those of this machine."""

    def inside(self, path: Path, mounts: Sequence[Mount]) -> str:  # noqa: ARG002 (the protocol's)
        """The path itself."""
        return str(path)

    def launch(
        self, argv: Sequence[str], *, mounts: Sequence[Mount], cwd: Path, environment: Mapping[str, str], limits: Limits | None = None
    ) -> Launch:
        """The command that runs ``argv`` confined to ``mounts``, with exactly this environment."""
        handled = _FIRST
        for abi, right in ((2, _REFER), (3, _TRUNCATE), (5, _IOCTL_DEV)):
            handled |= right if self.abi >= abi else 0
        reading = _EXECUTE | _READ_FILE | _READ_DIR
        own = Rules(namespaces=False, ask=True, signals=self.abi >= 6, truncate=self.abi >= 3)
        alone = Rules(namespaces=False, truncate=self.abi >= 3)
        confine = {
            "read": [*FOLDERS, *SETTINGS, *FACTS, *(str(mount.host) for mount in mounts if not mount.writable)],
            "write": [str(mount.host) for mount in mounts if mount.writable],
            "devices": list(DEVICES),
            "rights_read": reading,
            "rights_write": handled & ~(_MAKE_CHAR | _MAKE_BLOCK | _MAKE_SOCK | _IOCTL_DEV),
            "rights_devices": handled & (_READ_FILE | _WRITE_FILE | _TRUNCATE),
            "handled": handled,
            "network": _TCP if self.abi >= 4 else 0,
            "scope": _SCOPES if self.abi >= 6 else 0,
            "size": 24 if self.abi >= 6 else 16 if self.abi >= 4 else 8,
            # Two filters: for a process that keeps our user, and for one that was moved to a user of its own.
            "ask": True,
            "filter_own": compile_filter(self.machine, own).hex(),
            "filter_alone": compile_filter(self.machine, alone).hex(),
        }
        return kept(argv, cwd=cwd, environment=environment, mounts=mounts, limits=limits or Limits(seconds=0), confine=confine)


def landlock_here() -> Landlock | str:
    """This kernel's Landlock, or why there is none."""
    machine = os.uname().machine
    if machine not in ARCHITECTURES:
        return f"its system calls on {machine} are not known to hardtack"
    try:
        import ctypes
    except ImportError:
        return "this Python has no ctypes"
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    abi = libc.syscall(ctypes.c_long(444), None, ctypes.c_long(0), ctypes.c_long(1))
    if abi < 1:
        return f"this kernel has no Landlock ({os.strerror(ctypes.get_errno())})"
    return Landlock(abi=int(abi), machine=machine)

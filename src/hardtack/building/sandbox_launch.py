"""The nouns of a confined process: what it sees, what it may use, and how it is started."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from hardtack.building.sandbox_root import SystemRoot


def _share_of_memory() -> int:
    """Three quarters of this machine's memory, 16 GiB at most."""
    try:
        whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        whole = 1 << 34
    return max(1 << 30, min(1 << 34, whole * 3 // 4))


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A folder or file of this machine, and the fixed place at which the sandboxed process sees it, where the sandbox can do that."""

    host: Path
    inside: str
    writable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a hook may use: ``seconds`` for each call; ``memory`` (of one process, and of all together), ``disk`` and ``log`` in bytes.

    ``disk`` is what its folders may grow by. ``processes`` are its own, ``files`` those that one process may have open.
    """

    seconds: float
    memory: int = field(default_factory=_share_of_memory)
    disk: int = 16 << 30
    processes: int = 1024
    files: int = 4096
    log: int = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """A command as it is really started. ``kept``: by a keeper, which ends all that it started as soon as its standard input is closed.

    ``writable`` are the folders whose growth counts.
    """

    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(hash=False)
    cwd: Path
    kept: bool = False
    writable: tuple[Path, ...] = ()


class Sandbox(Protocol):
    """One way to confine a process."""

    @property
    def name(self) -> str:
        """What the build record keeps: "bubblewrap" or "bubblewrap, root glibc 2.28 (Debian 10)", "landlock+seccomp", "none"."""

    @property
    def remarks(self) -> tuple[str, ...]:
        """What this sandbox does not do here, each in a line."""

    @property
    def root(self) -> SystemRoot | None:
        """The unpacked system that is shown in place of this machine's, if one is."""

    def inside(self, path: Path, mounts: Sequence[Mount]) -> str:
        """Where the confined process sees a path of this machine."""

    def launch(
        self, argv: Sequence[str], *, mounts: Sequence[Mount], cwd: Path, environment: Mapping[str, str], limits: Limits | None = None
    ) -> Launch:
        """The command that runs ``argv`` (in the words of the inside) confined to ``mounts``, with exactly this environment."""

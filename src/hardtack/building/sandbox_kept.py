"""The command that starts a keeper: the words in which it is told what to start and how."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hardtack.building import sandbox_keeper
from hardtack.building.sandbox_launch import Launch, Limits, Mount
from hardtack.system import environ


def kept(
    argv: Sequence[str],
    *,
    cwd: Path,
    environment: Mapping[str, str],
    mounts: Sequence[Mount],
    limits: Limits,
    seccomp: bytes = b"",
    confine: Mapping[str, Any] | None = None,
) -> Launch:
    """``argv`` under a keeper. ``seccomp`` is a filter for ``argv`` to install; ``confine`` has filters of its own."""
    words = {
        "argv": list(argv),
        "cwd": str(cwd),
        "limits": {"memory": limits.memory, "disk": limits.disk, "processes": limits.processes, "files": limits.files},
        "filter": seccomp.hex(),
        "confine": confine,
    }
    # Isolated and without site: nothing of any environment's runs.
    program = (str(environ.interpreter()), "-I", "-S", "-B", sandbox_keeper.__file__, json.dumps(words))
    writable = tuple(mount.host for mount in mounts if mount.writable)
    return Launch(argv=program, environment=dict(environment), cwd=Path("/"), kept=True, writable=writable)

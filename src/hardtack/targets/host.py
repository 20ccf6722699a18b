"""The target that a Python on this machine is."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from hardtack.errors import TargetError
from hardtack.model.target import Target
from hardtack.targets import probe_script
from hardtack.targets.probe import PROBE, from_probe

_PATIENCE = 60.0


def host_target(python: Path | None = None, *, environment: Mapping[str, str] | None = None) -> Target:
    """This interpreter as a target, or the one at ``python``: with exactly its patch version and its system's libc.

    ``platform_release`` and ``platform_version`` stay unanswered: they change with every update of the kernel. The other interpreter is
    run in ``environment`` (None: this process's), with Python's own variables ignored. Raises TargetError where it does not run.
    """
    if python is None or _same(python):
        return from_probe(probe_script.look(), where="this interpreter", kernel=False)  # type: ignore[no-untyped-call]
    where = str(python)
    try:
        done = subprocess.run(
            [where, "-E", "-s", "-c", PROBE],
            env=dict(environment) if environment is not None else None,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise TargetError(f"this Python does not run: {error}", where=where) from error
    try:
        if done.returncode != 0:
            raise ValueError(f"exit code {done.returncode}")
        answer = json.loads(done.stdout.decode("utf-8"))
    except ValueError as error:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise TargetError(f"this Python does not answer the probe ({error})", where=where, hint=said[-1] if said else None) from error
    return from_probe(answer, where=where, kernel=False)


def host_target_of(program: str, *, environment: Mapping[str, str] | None = None) -> Target:
    """The target of the first ``program`` ("python3.12", "pypy3.11") on PATH that runs. Raises TargetError where none does."""
    reason = f"there is no {program} on PATH to take the host's target from"
    for folder in os.get_exec_path(environment):
        found = shutil.which(program, path=folder)
        if found is None:
            continue
        try:
            return host_target(Path(found), environment=environment)
        except TargetError as error:
            # A version manager's shim may name a Python that is not installed; the next folder may have a real one.
            reason = str(error)
    raise TargetError(reason, hint="install it, or name the platform instead, as in py312-linux-x86_64")


def _same(python: Path) -> bool:
    # A link is another interpreter's answer only in its prefix, which the probe does not ask for.
    return bool(sys.executable) and python.exists() and python.samefile(sys.executable)

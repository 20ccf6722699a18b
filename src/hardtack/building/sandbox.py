"""Where foreign code runs: a room with no network, nothing to read that it does not need, and nothing to write but its own folders."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hardtack.building.sandbox_bubblewrap import Bubblewrap, bubblewraps
from hardtack.building.sandbox_kept import kept
from hardtack.building.sandbox_landlock import Landlock, landlock_here
from hardtack.building.sandbox_launch import Launch, Limits, Mount, Sandbox
from hardtack.building.sandbox_probe import probe
from hardtack.errors import BuildFault
from hardtack.reporting import Reporter
from hardtack.system import environ

__all__ = ["Bubblewrap", "Landlock", "Launch", "Limits", "Mount", "NoSandbox", "Sandbox", "Unconfined", "find_sandbox"]


class NoSandbox(BuildFault):
    """Foreign code would have to run unconfined, and ``--sandbox=require`` forbids it."""

    slug = "no-sandbox"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unconfined:
    """No sandbox at all, and why. The process has a clean environment and folders of its own, and could leave them."""

    why: str
    base: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def name(self) -> str:
        """What the build record keeps."""
        return "none"

    @property
    def remarks(self) -> tuple[str, ...]:
        """What this sandbox does not do here."""
        return (f"a build may do all that you may: {self.why}",)

    @property
    def root(self) -> None:
        """None: paths are those of this machine."""

    def inside(self, path: Path, mounts: Sequence[Mount]) -> str:  # noqa: ARG002 (the protocol's)
        """The path itself."""
        return str(path)

    def launch(
        self, argv: Sequence[str], *, mounts: Sequence[Mount], cwd: Path, environment: Mapping[str, str], limits: Limits | None = None
    ) -> Launch:
        """The command with exactly this environment and what the system itself cannot run without; limited where the system can do that."""
        whole = {**self.base, **environment}
        if environ.is_windows() or environ.is_macos():
            return Launch(argv=tuple(argv), environment=whole, cwd=cwd)
        return kept(argv, cwd=cwd, environment=whole, mounts=mounts, limits=limits or Limits(seconds=0))


# Windows starts no program without these; elsewhere they are absent.
_NEEDED = ("SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT", "PROGRAMDATA", "NUMBER_OF_PROCESSORS", "PROCESSOR_ARCHITECTURE")


def find_sandbox(
    environment: Mapping[str, str],
    *,
    require: bool = False,
    reporter: Reporter | None = None,
    landlock: Callable[[], Landlock | str] = landlock_here,
) -> Sandbox:
    """The strongest sandbox that works here: bubblewrap, else Landlock with seccomp, proven by a probe that runs in the whole of it.

    Call it once a run, when something is to be built: where there is none, ``reporter`` is warned, once. Raises NoSandbox where there
    is none and one is required. ``landlock`` tells this kernel's, or why there is none.
    """
    reporter = reporter or Reporter()
    found, why = _search(environment, landlock)
    if found is not None:
        reporter.detail(f"sources are built in a sandbox: {found.name}{f' ({why})' if why else ''}")
        for remark in found.remarks:
            reporter.detail(f"{found.name}: {remark}")
        return found
    hint = "install bubblewrap (the package of that name on most distributions) where user namespaces are allowed"
    if require:
        raise NoSandbox(f"no sandbox for building: {why}", hint=hint)
    reporter.warning(f"sources are built without a sandbox: {why}", hint=hint)
    return Unconfined(why=why, base={name: environment[name] for name in _NEEDED if name in environment})


def _search(environment: Mapping[str, str], landlock: Callable[[], Landlock | str]) -> tuple[Sandbox | None, str]:
    """What was found, and why nothing stronger was."""
    if environ.is_windows() or environ.is_macos():
        return None, "this system has none that hardtack can use"
    program = shutil.which("bwrap", path=environment.get("PATH", os.defpath))
    if program is None:
        why = "bubblewrap (bwrap) is not installed"
    else:
        failures = []
        for candidate in bubblewraps(Path(program).absolute()):
            failure = probe(candidate)
            if failure is None:
                return candidate, ""
            failures.append(failure)
        why = f"bubblewrap does not run here: {failures[0]}"
    offered = landlock()
    if isinstance(offered, str):
        return None, f"{why}; {offered}"
    failure = probe(offered, signals=offered.abi >= 6)
    if failure is None:
        return offered, why
    return None, f"{why}; Landlock does not hold here: {failure}"

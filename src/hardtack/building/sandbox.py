"""Where foreign code runs: a room with no network, nothing to read that it does not need, and nothing to write but its own folders."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from hardtack.errors import BuildFault
from hardtack.reporting import Reporter
from hardtack.system import environ
from hardtack.system.process import run


class NoSandbox(BuildFault):
    """Foreign code would have to run unconfined, and ``--sandbox=require`` forbids it."""

    slug = "no-sandbox"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A folder or file of this machine, and the fixed place at which the sandboxed process sees it, where the sandbox can do that."""

    host: Path
    inside: str
    writable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """A command as it is really started."""

    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(hash=False)
    cwd: Path


class Sandbox(Protocol):
    """One way to confine a process. ``name`` is what the build record keeps: "bubblewrap" or "none"."""

    @property
    def name(self) -> str:
        """What the build record keeps."""

    def inside(self, path: Path, mounts: Sequence[Mount]) -> str:
        """Where the confined process sees a path of this machine."""

    def launch(self, argv: Sequence[str], *, mounts: Sequence[Mount], cwd: Path, environment: Mapping[str, str]) -> Launch:
        """The command that runs ``argv`` (in the words of the inside) confined to ``mounts``, with exactly this environment."""


# What a compiler, a shell and the dynamic linker need of the system; never /etc as a whole (it has passwords and pip's configuration),
# never /home, /root, /var, /run, /srv, /opt, /mnt.
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_SETTINGS = ("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bubblewrap:
    """Namespaces of its own for everything, a read-only system, and only the mounts it was given.

    ``proc``: whether a fresh /proc can be mounted here (inside some containers it cannot; the build then has none).
    """

    program: Path
    proc: bool = True

    @property
    def name(self) -> str:
        """What the build record keeps."""
        return "bubblewrap"

    def inside(self, path: Path, mounts: Sequence[Mount]) -> str:
        """Where the confined process sees a path of this machine: under the innermost mount that holds it."""
        best: tuple[int, str] | None = None
        for mount in mounts:
            if path == mount.host or mount.host in path.parents:
                rest = path.relative_to(mount.host).as_posix()
                seen = mount.inside if rest == "." else f"{mount.inside}/{rest}"
                if best is None or len(mount.host.parts) > best[0]:
                    best = (len(mount.host.parts), seen)
        return best[1] if best else str(path)

    def launch(self, argv: Sequence[str], *, mounts: Sequence[Mount], cwd: Path, environment: Mapping[str, str]) -> Launch:
        """The command that runs ``argv`` (in the words of the inside) confined to ``mounts``, with exactly this environment."""
        # bwrap itself starts with the clean environment: as a parent in the same namespace it would show its own in /proc.
        command = [str(self.program), "--unshare-all", "--die-with-parent", "--new-session", "--as-pid-1", "--cap-drop", "ALL"]
        command += ["--hostname", "hardtack"]
        for folder in _SYSTEM:
            path = Path(folder)
            if path.is_symlink():
                command += ["--symlink", os.readlink(path), folder]
            elif path.is_dir():
                command += ["--ro-bind", folder, folder]
        for file in _SETTINGS:
            command += ["--ro-bind-try", file, file]
        command += ["--proc", "/proc"] if self.proc else ["--dir", "/proc"]
        command += ["--dev", "/dev", "--tmpfs", "/tmp"]  # noqa: S108 (a fresh one, inside)
        # Outer before inner: a later mount covers what an earlier one put at its place.
        for mount in sorted(mounts, key=lambda mount: (mount.inside.count("/"), mount.inside)):
            command += ["--bind" if mount.writable else "--ro-bind", str(mount.host), mount.inside]
        command += ["--remount-ro", "/", "--chdir", self.inside(cwd, mounts), "--", *argv]
        return Launch(argv=tuple(command), environment=dict(environment), cwd=Path("/"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Unconfined:
    """No sandbox at all, and why. The process has a clean environment and folders of its own, and could leave them."""

    why: str
    base: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def name(self) -> str:
        """What the build record keeps."""
        return "none"

    def inside(self, path: Path, mounts: Sequence[Mount]) -> str:  # noqa: ARG002 (the protocol's)
        """The path itself."""
        return str(path)

    def launch(
        self,
        argv: Sequence[str],
        *,
        mounts: Sequence[Mount],  # noqa: ARG002 (the protocol's)
        cwd: Path,
        environment: Mapping[str, str],
    ) -> Launch:
        """The command as it is, with exactly this environment and what the system itself cannot run without."""
        return Launch(argv=tuple(argv), environment={**self.base, **environment}, cwd=cwd)


# Windows starts no program without these; elsewhere they are absent.
_NEEDED = ("SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT", "PROGRAMDATA", "NUMBER_OF_PROCESSORS", "PROCESSOR_ARCHITECTURE")


def find_sandbox(environment: Mapping[str, str], *, require: bool = False, reporter: Reporter | None = None) -> Sandbox:
    """The strongest sandbox that works here, proven by running ``true`` in the whole of it.

    Call it once a run, when something is to be built: where there is none, ``reporter`` is warned, once. Raises NoSandbox where there
    is none and one is required.
    """
    if environ.is_windows() or environ.is_macos():
        why = "this system has none that hardtack can use"
    else:
        program = shutil.which("bwrap", path=environment.get("PATH", os.defpath))
        if program is None:
            why = "bubblewrap (bwrap) is not installed"
        else:
            for candidate in _bubblewraps(Path(program).absolute()):
                failure = _probe(candidate)
                if failure is None:
                    return candidate
            why = f"bubblewrap does not run here: {failure}"
    hint = "install bubblewrap (the package of that name on most distributions) where user namespaces are allowed"
    if require:
        raise NoSandbox(f"no sandbox for building: {why}", hint=hint)
    (reporter or Reporter()).warning(f"sources are built without a sandbox: {why}", hint=hint)
    return Unconfined(why=why, base={name: environment[name] for name in _NEEDED if name in environment})


def _bubblewraps(program: Path) -> Iterator[Bubblewrap]:
    yield Bubblewrap(program=program)
    yield Bubblewrap(program=program, proc=False)


def _probe(sandbox: Bubblewrap) -> str | None:
    """None if ``true`` ran in the whole sandbox, else what was said instead."""
    with tempfile.TemporaryDirectory(prefix="hardtack-probe-") as folder:
        mounts = [Mount(host=Path(folder), inside="/build/probe", writable=True)]
        launch = sandbox.launch(["true"], mounts=mounts, cwd=Path(folder), environment={"PATH": "/usr/bin:/bin"})
        try:
            done = run(launch.argv, environment=launch.environment, cwd=launch.cwd, timeout=10)
        except OSError as error:
            return str(error)
    if done.timed_out:
        return "it did not end within 10 s"
    if done.code != 0:
        return (done.stderr.strip().splitlines() or [f"it ended with code {done.code}"])[-1]
    return None

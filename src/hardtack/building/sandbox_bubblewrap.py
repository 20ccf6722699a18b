"""bubblewrap: namespaces of its own for everything, and a seccomp filter besides."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hardtack.building.sandbox_keeper import FILTER_FD
from hardtack.building.sandbox_kept import kept
from hardtack.building.sandbox_launch import Launch, Limits, Mount
from hardtack.building.sandbox_root import SystemRoot
from hardtack.building.sandbox_syscalls import ARCHITECTURES, Rules, compile_filter
from hardtack.building.sandbox_system import FOLDERS, SETTINGS, SHARED_FACTS

_USER = "1000"  # inside, on every machine


@dataclass(frozen=True, slots=True, kw_only=True)
class Bubblewrap:
    """Namespaces of its own for everything, a read-only system, and only the mounts it was given.

    ``proc``: whether a fresh /proc can be mounted here (inside some containers it cannot; the build then has none). ``user``: whether
    there can be a user namespace (bwrap run by root does without, where there is none). ``machine`` as the kernel names it; one whose
    system calls are not known has no filter. ``root`` is an unpacked system that is shown in place of this machine's own.
    """

    program: Path
    proc: bool = True
    user: bool = True
    machine: str = ""
    root: SystemRoot | None = None
    hostname: str = "hardtack"

    @property
    def name(self) -> str:
        """What the build record keeps: never where the root lies."""
        return f"bubblewrap, root {self.root.label}" if self.root is not None else "bubblewrap"

    @property
    def remarks(self) -> tuple[str, ...]:
        """What this sandbox does not do here."""
        told = []
        if not self.proc:
            told.append("a build has no /proc: a fresh one cannot be mounted here")
        if not self.user:
            told.append("a build runs as this user: there are no user namespaces here")
        if self.machine not in ARCHITECTURES:
            told.append(f"system calls are not filtered: those of {self.machine or 'this machine'} are not known")
        return tuple(told)

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

    def launch(
        self, argv: Sequence[str], *, mounts: Sequence[Mount], cwd: Path, environment: Mapping[str, str], limits: Limits | None = None
    ) -> Launch:
        """The command that runs ``argv`` (in the words of the inside) confined to ``mounts``, with exactly this environment."""
        # bwrap itself starts with the clean environment: as a parent in the same namespace it would show its own in /proc.
        command = [str(self.program), "--unshare-all", "--die-with-parent", "--new-session", "--as-pid-1", "--cap-drop", "ALL"]
        command += ["--hostname", self.hostname]
        if self.user:
            command += ["--unshare-user", "--uid", _USER, "--gid", _USER]
        command += self._system()
        command += ["--proc", "/proc"] if self.proc else ["--dir", "/proc"]
        command += ["--dev", "/dev"]
        # Outer before inner: a later mount covers what an earlier one put at its place.
        for mount in sorted(mounts, key=lambda mount: (mount.inside.count("/"), mount.inside)):
            command += ["--bind" if mount.writable else "--ro-bind", str(mount.host), mount.inside]
        if self.proc:
            for file in SHARED_FACTS:
                if os.path.exists(file):
                    command += ["--ro-bind", "/dev/null", file]
            # The kernel's settings obey the number of root, and that is who we are out there when root runs us.
            command += ["--remount-ro", "/proc"]
        # What lies in memory alone is counted by no limit.
        command += ["--remount-ro", "/dev", "--remount-ro", "/"]
        seccomp = b""
        if self.machine in ARCHITECTURES:
            seccomp = compile_filter(self.machine, Rules(namespaces=True))
            command += ["--seccomp", str(FILTER_FD)]
        command += ["--chdir", self.inside(cwd, mounts), "--", *argv]
        return kept(
            command,
            cwd=Path("/"),
            environment={**dict(self.root.variables), **environment} if self.root is not None else environment,
            mounts=mounts,
            limits=limits or Limits(seconds=0),
            seccomp=seccomp,
        )

    def _system(self) -> list[str]:
        """The arguments that show the system, read-only: the root's, else this machine's."""
        if self.root is not None:
            links = [word for target, name in self.root.links for word in ("--symlink", target, name)]
            return [*(word for place, name in self.root.binds for word in ("--ro-bind", str(place), name)), *links]
        shown = []
        for folder in FOLDERS:
            path = Path(folder)
            if path.is_symlink():
                shown += ["--symlink", os.readlink(path), folder]
            elif path.is_dir():
                shown += ["--ro-bind", folder, folder]
        for file in SETTINGS:
            shown += ["--ro-bind-try", file, file]
        return shown


def bubblewraps(program: Path) -> Iterator[Bubblewrap]:
    """What to try, best first."""
    machine = os.uname().machine
    for user in (True, False) if os.geteuid() == 0 else (True,):
        for proc in (True, False):
            yield Bubblewrap(program=program, proc=proc, user=user, machine=machine)

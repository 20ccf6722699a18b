"""The keeper of one confined process: confines it, starts it, ends all that it started, and ends itself when its standard input closes.

A program of its own, started by path (``python -I -S sandbox_keeper.py SPECIFICATION``) in the environment of what it starts, which has
nothing of ours; only the standard library, as little of it as will do. Exit code: that of the process, 128 + its signal, 126 where it could
not be confined or started (the reason is in its output), 137 where it was told to end.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import struct
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_NOT_STARTED = 126
_TOLD_TO_END = 137
FILTER_FD = 9  # where a program that installs the filter itself finds it

# prctl(2)
_SET_DUMPABLE, _CAPBSET_DROP, _SET_SECUREBITS, _SET_CHILD_SUBREAPER, _SET_NO_NEW_PRIVS, _CAP_AMBIENT = 4, 24, 28, 36, 38, 47
_SEARCH = 2  # CAP_DAC_READ_SEARCH
# landlock(7): the same numbers everywhere
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_SECCOMP = {"x86_64": 317, "aarch64": 277}
_CAPSET = {"x86_64": 126, "aarch64": 91}
_OF_FILES = 0b1100000000000111  # the Landlock rights that a file can have: execute, write, read, truncate, ioctl


class _Kernel:
    """System calls, by number; raises OSError."""

    def __init__(self) -> None:
        import ctypes

        self.ctypes = ctypes
        self._libc = ctypes.CDLL(None, use_errno=True)

    def prctl(self, option: int, *values: int) -> int:
        words = [self.ctypes.c_ulong(value) for value in (*values, 0, 0, 0, 0)[:4]]
        return self._checked(self._libc.prctl(option, *words))

    def call(self, number: int, *values: Any) -> int:
        self._libc.syscall.restype = self.ctypes.c_long
        words = [self.ctypes.c_long(value) if isinstance(value, int) else value for value in values]
        return self._checked(self._libc.syscall(self.ctypes.c_long(number), *words))

    def _checked(self, answer: int) -> int:
        if answer < 0:
            error = self.ctypes.get_errno()
            raise OSError(error, os.strerror(error))
        return answer


def descendants(root: int) -> list[int]:
    """All processes below ``root``, nearest first."""
    found: list[int] = []
    waiting = [root]
    while waiting:
        pid = waiting.pop()
        for thread in _listed(f"/proc/{pid}/task"):
            try:
                with open(f"/proc/{pid}/task/{thread}/children", "rb") as stream:
                    children = [int(word) for word in stream.read().split()]
            except FileNotFoundError:
                # Gone, or a kernel without that file.
                if os.path.exists(f"/proc/{pid}/task/{thread}"):
                    return _below(root)
                continue
            except OSError:
                continue
            found += children
            waiting += children
    return found


def _below(root: int) -> list[int]:
    parents: dict[int, list[int]] = {}
    for name in _listed("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError, ValueError), open(f"/proc/{name}/stat", "rb") as stream:
                parents.setdefault(int(stream.read().rpartition(b")")[2].split()[1]), []).append(int(name))
    found, waiting = [], [root]
    while waiting:
        children = parents.get(waiting.pop(), [])
        found += children
        waiting += children
    return found


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def end_descendants(root: int, *, seconds: float, reap: bool = True) -> None:
    """Kill all processes below ``root`` until there is none, however fast they fork; with ``reap``, all are our children in the end."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = descendants(root)
        for pid in found:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while reap and os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if not found:
            return


def main(specification: Mapping[str, Any]) -> int:
    """Start and keep; the exit code."""
    kernel: _Kernel | None
    try:
        kernel = _Kernel()
        kernel.prctl(_SET_CHILD_SUBREAPER, 1)
    except (ImportError, OSError):
        kernel = None
    wakeup, ring = os.pipe()
    os.set_blocking(wakeup, False)
    os.set_blocking(ring, False)
    signal.set_wakeup_fd(ring, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    confine = specification["confine"]
    owner = _unused_owner() if confine and os.geteuid() == 0 else None
    writable = confine["write"] if confine else []
    if owner is not None:
        _give(writable, owner)
    ours, theirs = _pair()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(ours)
            _become(specification, kernel, owner, theirs)
        except BaseException as error:  # nothing of ours may go on in this process
            os.write(2, f"hardtack: not started: {error}\n".encode())
        os._exit(_NOT_STARTED)
    os.close(theirs)
    try:
        with contextlib.suppress(OSError):
            if kernel is not None:
                kernel.prctl(_SET_DUMPABLE, 0)
        asked = (kernel, ours, writable) if kernel and confine and confine["ask"] and owner is None else None
        return _watch(pid, wakeup, asked)
    finally:
        end_descendants(os.getpid(), seconds=5)
        if owner is not None:
            _give(writable, 0)


def _pair() -> tuple[int, int]:
    import _socket

    ours, theirs = _socket.socketpair()
    return ours.detach(), theirs.detach()


def _watch(pid: int, wakeup: int, asked: tuple[_Kernel, int, Sequence[str]] | None) -> int:
    """Until the process ends, or our standard input does; its questions are answered meanwhile."""
    poller = select.poll()
    poller.register(0, select.POLLIN)
    poller.register(wakeup, select.POLLIN)
    if asked:
        poller.register(asked[1], select.POLLIN)
    questions: Any = None
    while True:
        for descriptor, events in poller.poll():
            if descriptor == 0:
                return _TOLD_TO_END
            if descriptor == wakeup:
                with contextlib.suppress(BlockingIOError):
                    os.read(wakeup, 4096)
            elif asked and descriptor == asked[1]:
                poller.unregister(descriptor)
                listener = _received(descriptor)
                if listener >= 0:
                    questions = _questions()(listener, asked[0], asked[2])
                    poller.register(listener, select.POLLIN)
            elif events & select.POLLIN:
                questions.answer()
            else:
                poller.unregister(descriptor)
        code = _reaped(pid)
        if code is not None:
            return code


def _questions() -> Any:
    """The class that answers, from the file beside this one: we are no package here."""
    import importlib.util

    found = importlib.util.spec_from_file_location("sandbox_questions", os.path.join(os.path.dirname(__file__), "sandbox_questions.py"))
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module.Questions


def _reaped(pid: int) -> int | None:
    with contextlib.suppress(ChildProcessError):
        while True:
            ended, status = os.waitpid(-1, os.WNOHANG)
            if ended == 0:
                return None
            if ended == pid:
                code = os.waitstatus_to_exitcode(status)
                return code if code >= 0 else 128 - code
    return None


def _received(channel: int) -> int:
    """The descriptor that the process sent; -1 if it ended before."""
    import _socket

    receiver = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM, 0, channel)
    try:
        _, ancillary, _, _ = receiver.recvmsg(1, _socket.CMSG_SPACE(4))
    except OSError:
        return -1
    finally:
        receiver.detach()
    for _, _, data in ancillary:
        return int(struct.unpack("i", data[:4])[0])
    return -1


# In the new process.


def _become(specification: Mapping[str, Any], kernel: _Kernel | None, owner: int | None, channel: int) -> None:
    """Take the limits, the confinement and the standard input of the process, and become it."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    os.umask(0o022)
    # Where memory runs out, this goes before anything of the user's.
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "wb") as stream:
        stream.write(b"1000")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    confine = specification["confine"]
    _limit(specification["limits"], own=owner is not None)
    if specification["filter"] and confine is None:
        # The mark by which we would be found: nothing can leave namespaces, and a build should see the same each time.
        os.environ.pop("HARDTACK_BUILD", None)
        descriptor = os.memfd_create("filter")
        os.write(descriptor, bytes.fromhex(specification["filter"]))
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.dup2(descriptor, FILTER_FD, inheritable=True)
    os.chdir(specification["cwd"])
    if confine is not None:
        assert kernel is not None
        machine = os.uname().machine
        rules = _ruleset(kernel, confine)
        if os.geteuid() == 0:
            _drop(kernel, _CAPSET[machine], owner)
        kernel.prctl(_SET_NO_NEW_PRIVS, 1)
        kernel.call(_RESTRICT_SELF, rules, 0)
        asking = confine["ask"] and owner is None
        _install(
            kernel,
            _SECCOMP[machine],
            bytes.fromhex(confine["filter_own" if owner is None else "filter_alone"]),
            channel if asking else None,
        )
    argv = specification["argv"]
    os.execvpe(argv[0], argv, os.environ)  # noqa: S606


def _limit(limits: Mapping[str, int], *, own: bool) -> None:
    import resource

    def lower(which: int, value: int) -> None:
        _, hard = resource.getrlimit(which)
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(which, (value, value))

    lower(resource.RLIMIT_CORE, 0)
    lower(resource.RLIMIT_AS, limits["memory"])
    lower(resource.RLIMIT_FSIZE, limits["disk"])
    lower(resource.RLIMIT_NOFILE, limits["files"])
    # The kernel counts every process and thread of the user, ours and those of the desktop too.
    lower(resource.RLIMIT_NPROC, limits["processes"] + (0 if own else _running(os.getuid())))


def _running(user: int) -> int:
    """How many threads a user runs."""
    count = 0
    for name in _listed("/proc"):
        with contextlib.suppress(OSError, ValueError):
            if name.isdigit() and os.stat(f"/proc/{name}").st_uid == user:
                count += len(os.listdir(f"/proc/{name}/task"))
    return count


def _ruleset(kernel: _Kernel, confine: Mapping[str, Any]) -> int:
    """The Landlock rules: a descriptor. Paths that are not there are left out."""
    handled = struct.pack("QQQ", confine["handled"], confine["network"], confine["scope"])[: confine["size"]]
    rules = kernel.call(_CREATE_RULESET, handled, len(handled), 0)
    for kind in ("read", "write", "devices"):
        for path in confine[kind]:
            try:
                descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
            rights = confine[f"rights_{kind}"]
            if not os.path.isdir(path):
                rights &= _OF_FILES
            kernel.call(_ADD_RULE, rules, 1, struct.pack("=Qi", rights, descriptor), 0)
            os.close(descriptor)
    return rules


def _install(kernel: _Kernel, seccomp: int, program: bytes, channel: int | None) -> None:
    """Install the filter; where a channel is given, send the keeper the descriptor at which it is asked."""
    buffer = kernel.ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxQ", len(program) // 8, kernel.ctypes.addressof(buffer))
    listener = kernel.call(seccomp, 1, 8 if channel is not None else 0, header)
    if channel is not None:
        import _socket

        sender = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM, 0, channel)
        sender.sendmsg([b"l"], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, struct.pack("i", listener))])
        sender.close()
        os.close(listener)


def _drop(kernel: _Kernel, capset: int, owner: int | None) -> None:
    """From root to a user that nobody is, with one capability: the way to our folders may lead through root's own.

    What may be read there is for Landlock to say. Where this root may not change its user, it stays, without any capability.
    """
    for capability in range(64):
        with contextlib.suppress(OSError):
            if owner is None or capability != _SEARCH:  # what is to be inherited must stay in this set
                kernel.prctl(_CAPBSET_DROP, capability)
    kept = 0
    if owner is not None:
        # No exec makes root of user 0; and access(2) asks with the capability too, as open(2) does: programs look before they leap.
        kernel.prctl(_SET_SECUREBITS, 0b1111)
        os.setgroups([])
        os.setresgid(owner, owner, owner)
        os.setresuid(owner, owner, owner)
        kept = 1 << _SEARCH
    kernel.call(capset, struct.pack("II", 0x20080522, 0), struct.pack("IIIIII", kept, kept, kept, 0, 0, 0))
    if owner is not None:
        kernel.prctl(_CAP_AMBIENT, 2, _SEARCH)


def _unused_owner() -> int | None:
    """A user that nobody is and nothing runs as; None where this root may not change its user (or has not the capabilities to)."""
    import pwd

    needed = 1 << 0 | 1 << _SEARCH | 1 << 6 | 1 << 7 | 1 << 5 | 1 << 8  # chown, search, setgid, setuid, kill, setpcap
    with open("/proc/self/status", "rb") as stream:
        effective = next((int(line.split()[1], 16) for line in stream if line.startswith(b"CapEff:")), 0)
    with open("/proc/self/uid_map", "rb") as stream:
        spans = [tuple(map(int, line.split())) for line in stream]
    if effective & needed != needed:
        return None
    taken = set()
    for name in _listed("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):
                taken.add(os.stat(f"/proc/{name}").st_uid)
    for step in range(4000):
        user = 61184 + (os.getpid() + step) % 4000  # where no distribution puts users that stay
        if user in taken or not any(inside <= user < inside + length for inside, _, length in spans):
            continue
        try:
            pwd.getpwuid(user)
        except KeyError:
            return user
    return None


def _give(roots: Sequence[str], owner: int) -> None:
    """Hand whole trees to a user, links themselves and never what they lead to."""
    for path in _walk(roots):
        with contextlib.suppress(FileNotFoundError):
            os.chown(path, owner, owner, follow_symlinks=False)


def _walk(roots: Sequence[str]) -> Iterator[str]:
    for root in roots:
        yield root
        for folder, folders, files in os.walk(root):
            for name in (*folders, *files):
                yield os.path.join(folder, name)


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))

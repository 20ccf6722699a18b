"""Rows 10 to 13: what a build that means harm sees, changes, and costs, in each tier and as each user."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.support.loopback import LoopbackIndex
from tests.support.running import Account, children_of
from tests.support.world import LINUX, add_source

from bench.promises.figures import Figure, Settings, Tally, Unmeasured
from bench.promises.grounds import ended, world
from bench.promises.testing import run_tests

_TIER = re.compile(r"((?:bubblewrap|landlock\+seccomp)-(?:self|nobody))")
# Makes landlock(7) absent for what is started: a filter that answers ENOSYS to landlock_create_ruleset, which has one number everywhere.
_WITHOUT_LANDLOCK = """
import ctypes, os, struct, sys
code = [(0x20, 0, 0, 0), (0x15, 0, 1, 444), (0x06, 0, 0, 0x00050000 | 38), (0x06, 0, 0, 0x7fff0000)]
program = b"".join(struct.pack("HBBI", *line) for line in code)
kept = ctypes.create_string_buffer(program)
class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
whole = Program(len(code), ctypes.cast(kept, ctypes.c_void_p))
assert libc.prctl(22, 2, ctypes.byref(whole), 0, 0) == 0, os.strerror(ctypes.get_errno())
os.execv(sys.argv[1], sys.argv[1:])
"""
_MIB = 1 << 20


def _on_linux() -> None:
    if sys.platform != "linux":
        raise Unmeasured("the sandboxes are Linux's")


def measure_holding(settings: Settings) -> Iterator[Figure]:
    """Every attack in every tier, as this user and, where this is root, as an ordinary one."""
    _on_linux()
    found = run_tests(settings.folder, "tests/building/test_sandbox_hostile.py", "-k", "nothing_is_seen_or_changed")
    places = sorted({match[1] for name in found.passed if (match := _TIER.search(name))})
    yield found.figure("10", f"attacks that saw and changed nothing ({', '.join(places) or 'no tier works here'})")
    system = run_tests(settings.folder, "tests/building/test_sandbox_syscalls.py", "tests/building/test_sandbox_system.py")
    yield system.figure("10", "calls to the kernel that no build may make, and what of the system it sees")


def measure_absence(settings: Settings) -> Iterator[Figure]:
    """A machine without bubblewrap and without Landlock: required, it is refused; by default it is said once and written down."""
    _on_linux()
    tally = Tally()
    with world(settings.folder) as ground:
        before = [sys.executable, "-c", _WITHOUT_LANDLOCK]
        bare = {"PATH": str(settings.folder / "nothing")}
        account = ground.account()
        (settings.folder / "nothing").mkdir()
        ran = account.run(*ground.build("--no-trial", "--require-sandbox"), before=before, env=bare)
        refused = ran.code == 1 and "no sandbox" in ran.err and not (account.project / "wheelhouse").exists()
        tally.expect(refused and "built" not in ran.err.lower().replace("are built", ""), f"--require-sandbox: {ended(ran)}")
        account = ground.account()
        account.write("hardtack.toml", 'sandbox = "require"\n')
        ran = account.run(*ground.build("--no-trial"), before=before, env=bare)
        tally.expect(ran.code == 1 and "no sandbox" in ran.err, f'sandbox = "require": {ended(ran)}')
        account = ground.account()
        ran = account.run(*ground.build("--no-trial"), before=before, env=bare)
        said = len(re.findall("without a sandbox", ran.err))
        tally.expect(ran.code == 0 and said == 1, f"by default it is said once, not {said} times: {ended(ran)}")
        place = account.project / "wheelhouse" / "wheelhouse.json"
        records = (
            [row["build"]["sandbox"] for row in json.loads(place.read_bytes())["files"] if row.get("build")] if place.is_file() else []
        )
        tally.expect(records and all(record.startswith("none") for record in records), f"the manifest says {records}")
        account = ground.account()
        ran = account.run(*ground.build("--no-trial", "--require-sandbox"))
        tally.expect(ran.code == 0, f"where there is one, it is taken: {ended(ran)}")
    yield tally.figure(
        "11", "without any sandbox: refused where required, said once and recorded by default", f"{tally.tried} of {tally.tried}"
    )


def measure_bombs(settings: Settings) -> Iterator[Figure]:
    """Every bomb in every tier, and the memory of a whole hardtack while a build floods its log."""
    _on_linux()
    found = run_tests(settings.folder, "tests/building/test_sandbox_hostile.py", "-k", "bomb or limit_is_named")
    yield found.figure(
        "12", "bombs and daemons, in each tier and as each user: ended within their limits, none alive 1 s later, peak < 200 MB"
    )
    yield _log_bomb(settings)


def _log_bomb(settings: Settings) -> Figure:
    """The peak memory of hardtack itself (not of its children) while a build writes without end."""
    with LoopbackIndex() as index:
        add_source(index, before="import sys\nwhile True: sys.stdout.write('x' * 65536 + '\\n')")
        place = settings.folder / "bomb"
        account = Account.make(place, TMPDIR=str(settings.folder))
        run = account.start("build", "fromsource", "-t", LINUX, "-i", index.url, "--no-trial")
        peak = 0
        while run.process.poll() is None:
            try:
                words = Path(f"/proc/{run.process.pid}/status").read_text()
                peak = max(peak, int(re.search(r"VmHWM:\s+(\d+)", words)[1]) * 1024)  # type: ignore[index]
            except (OSError, TypeError):
                pass
            try:
                run.process.wait(0.05)
            except subprocess.TimeoutExpired:
                continue
        ran = run.end()
        kept = max((path.stat().st_size for path in account.cache.rglob("*.log")), default=0)
        left = children_of(account)
        # The log itself goes into no memory, whatever its limit.
        fine = 0 < peak < 200 * _MIB and ran.code == 1 and not left and not (account.project / "wheelhouse").exists()
        missed = () if fine else (f"{ended(ran)}; {left}",)
        what = (
            f"peak memory of a whole `hardtack build` while a build floods its log ({kept / _MIB:.1f} MiB of it kept, {ran.seconds:.0f} s)"
        )
        return Figure(row="12", what=what, figure=f"{peak / 1e6:.0f} MB", goal="< 200 MB", missed=missed)


def measure_results(settings: Settings) -> Iterator[Figure]:
    """Backends that return something else than they were asked for, in every tier."""
    found = run_tests(settings.folder, "tests/building/test_build.py", "-k", "wrong_result or bad_answer or another_python")
    yield found.figure("13", "backends that return a wrong name, version, path or type: refused, in each tier")

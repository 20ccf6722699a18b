"""Row 24: the same lock gives the same bytes, whatever the machine's day, zone, language, rights and number of processors."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator

from tests.support.running import Account, contents
from tests.support.world import LINUX, MACOS

from bench.promises.figures import Figure, Settings, Tally
from bench.promises.grounds import ended, world
from bench.promises.interruptions import clock_library, moved_clock

_DAYS = 86_400


def measure_sameness(settings: Settings) -> Iterator[Figure]:
    """The same build, each time with an empty cache and something else different; sources are built too."""
    tally = Tally()
    with world(settings.folder) as ground:
        account = ground.account("lock")
        account.write("requirements.in", "app\nfromsource\nanother\nheavy\n")
        account.run("lock", "-r", "requirements.in", "-t", LINUX, "-t", MACOS, "-i", ground.index.url).checked(0)
        lock = (account.project / "pylock.toml").read_bytes()
        arguments = ["build", "-r", "requirements.in", "-t", LINUX, "-t", MACOS, "-i", ground.index.url, "--no-trial", "--with-sdists"]
        clock = clock_library(settings.folder)
        taskset = shutil.which("taskset")
        ways: dict[str, tuple[dict[str, str], list[str], int]] = {
            "as it is": ({}, [], -1),
            "another zone": ({"TZ": "Pacific/Kiritimati"}, [], -1),
            "another language": ({"LANG": "tr_TR.UTF-8", "LC_ALL": "tr_TR.UTF-8"}, [], -1),
            "no language": ({"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0"}, [], -1),
            "umask 077": ({}, [], 0o077),
            "umask 000": ({}, [], 0),
            "another seed of hashes": ({"PYTHONHASHSEED": "1"}, [], -1),
            "yet another seed": ({"PYTHONHASHSEED": "4242"}, [], -1),
            "SOURCE_DATE_EPOCH set": ({"SOURCE_DATE_EPOCH": "1"}, [], -1),
            "another user's name": ({"USER": "someone", "LOGNAME": "someone"}, [], -1),
            "one transfer at a time": ({"JOBS": "1"}, [], -1),
            **({"one processor": ({}, [taskset, "-c", "0"], -1)} if taskset else {}),
            **({"400 days later": (moved_clock(clock, 400 * _DAYS), [], -1)} if clock else {}),
            **({"20 years ago": (moved_clock(clock, -7300 * _DAYS), [], -1)} if clock else {}),
        }
        expected: dict[str, str] = {}
        for number, (name, (variables, before, umask)) in enumerate(ways.items()):
            # Each in a folder of another name and depth.
            account = _account(ground.account(f"place{'/deeper' * (number % 3)}/{number}"), lock)
            more = ["-j", "1", "--build-jobs", "1"] if variables.pop("JOBS", None) else []
            ran = account.run(*arguments, *more, env=variables, before=before, umask=umask)
            found = contents(account.project / "wheelhouse") if ran.code == 0 else {}
            modes = {path.stat().st_mode & 0o777 for path in (account.project / "wheelhouse").rglob("*") if path.is_file()}
            expected = expected or found
            differing = sorted(key for key in found.keys() | expected.keys() if found.get(key) != expected.get(key))
            tally.expect(found and not differing and modes == {0o644}, f"{name}: {differing[:4]} {sorted(map(oct, modes))} {ended(ran)}")
    notes = (
        *(() if clock else ("no C compiler is here: the day was not varied",)),
        f"all on one {sys.platform} machine; another machine: see docs/promises.md",
    )
    yield tally.figure("24", "runs from one lock that made identical bytes and modes", f"{tally.tried} of {tally.tried}", notes=notes)


def _account(account: Account, lock: bytes) -> Account:
    account.write("requirements.in", "app\nfromsource\nanother\nheavy\n")
    account.write("pylock.toml", lock)
    return account

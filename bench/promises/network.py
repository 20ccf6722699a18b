"""Rows 9, 14 and 15: no network where none is wanted, and every way in which a server can be bad."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.support.running import TRACEBACK, contents
from tests.support.world import LINUX

from bench.promises.durability import whole_calls
from bench.promises.figures import Figure, Settings, Tally, Unmeasured
from bench.promises.grounds import Ground, ended, world, wrong_entries

_TRACED = "trace=connect,sendto,sendmsg,sendmmsg,getsockname"
_INTERNET = re.compile(r"(connect|sendto|sendmsg|sendmmsg)\(.*sa_family=AF_INET6?.*?port=htons\((\d+)\)(.*)")
# A port that a process of the run itself listens at: the probe of the sandbox has one, and tries in vain to reach it from inside.
_OWN = re.compile(r"getsockname\(.*sa_family=AF_INET, sin_port=htons\((\d+)\), sin_addr=inet_addr\(\"127\.0\.0\.1\"\)")


def measure_offline(settings: Settings) -> Iterator[Figure]:
    """Every verb with ``--offline``, under strace and in a namespace that has no network at all."""
    with world(settings.folder) as ground:
        verbs = _offline_verbs(ground)
        if shutil.which("strace") is None:
            raise Unmeasured("strace is not installed")
        tally, calls = Tally(), 0
        for name, arguments in verbs.items():
            account = _filled(ground)
            asked = len(ground.index.requests)
            log = ground.folder / "offline.log"
            ran = account.run(
                *arguments, before=["strace", "-f", "-qq", "-e", "trace=connect,sendto,sendmsg,sendmmsg,getsockname", "-o", str(log)]
            )
            if not log.is_file():
                raise Unmeasured(f"strace may not trace here ({ended(ran)})")
            found = _abroad(list(whole_calls(log.read_text(errors="replace"))))
            calls += len(found)
            served = len(ground.index.requests) - asked
            tally.expect(not found and not served and ran.code == 0, f"{name}: {found[:2]}, {served} requests; {ended(ran)}")
        words = f"calls to the network in {tally.tried} verbs with --offline (strace over all processes), each of which did its work"
        yield Figure(row="9", what=words, figure=str(calls), goal="0", missed=tuple(tally.missed))
        yield _without_route(ground, verbs)


def _abroad(calls: Sequence[str]) -> list[str]:
    """The calls that address the network; not those to a port of 127.0.0.1 that the run itself listens at."""
    own = {match[1] for call in calls if (match := _OWN.search(call))}
    found = []
    for call in calls:
        match = _INTERNET.search(call)
        if match and not (match[2] in own and '"127.0.0.1"' in match[3]):
            found.append(call)
    return found


def _offline_verbs(ground: Ground) -> dict[str, list[str]]:
    return {
        "build": ground.build("--offline"),
        "build again from scratch": ground.build("--offline", "-o", "other"),
        "build from a lock": ground.from_lock("--offline", "-o", "third"),
        "lock": ["lock", "-r", "requirements.in", "-t", LINUX, "-i", ground.index.url, "--offline"],
        "lock anew": ["lock", *ground.wanted, "-t", LINUX, "-i", ground.index.url, "--offline", "--upgrade", "-o", "pylock.new.toml"],
        "verify": ["verify", "wheelhouse", "--offline"],
        "merge": ["merge", "wheelhouse", "wheelhouse", "-o", "merged", "--offline"],
        "diff": ["diff", "wheelhouse", "wheelhouse"],
        "targets": ["targets"],
    }


def _filled(ground: Ground) -> Any:
    """An account whose cache has everything; made once, and the same from then on."""
    place = ground.folder / "offline"
    if not (place / "cache").is_dir():
        account = ground.account("offline")
        account.write("requirements.in", "app\nfromsource\nanother\nheavy\n")
        account.run("lock", "-r", "requirements.in", "-t", LINUX, "-i", ground.index.url).checked(0)
        account.run("lock", *ground.wanted, "-t", LINUX, "-i", ground.index.url, "-o", "pylock.new.toml").checked(0)
        account.run(*ground.build()).checked(0)
        return account
    from tests.support.running import Account

    return Account.make(place, TMPDIR=str(place / "tmp"))


def _without_route(ground: Ground, verbs: Mapping[str, list[str]]) -> Figure:
    shut = ["unshare", "-n"] if _may(["unshare", "-n", "true"]) else ["unshare", "-rn"]
    if not _may([*shut, "true"]):
        return Figure(row="9", what="verbs in a namespace without network: none may be made here", figure="not measured", goal="all")
    tally = Tally()
    for name, arguments in verbs.items():
        shutil.rmtree(ground.folder / "offline", ignore_errors=True)
        account = _filled(ground)
        ran = account.run(*arguments, before=shut)
        tally.expect(ran.code == 0, f"{name}: {ended(ran)}")
    return tally.figure("9", "verbs that work in a namespace without any network", f"{tally.tried} of {tally.tried}")


def _may(command: list[str]) -> bool:
    try:
        return subprocess.run(command, check=False, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


# What a server does with files, and with pages. "passes": the run is to succeed in spite of it.
_TRANSFERS: dict[str, dict[str, Any]] = {
    "truncated": {"truncate_at": 1000},
    "truncated once": {"truncate_at": 1000, "times": 1, "passes": True},
    "reset": {"hang_up": True},
    "reset once": {"hang_up": True, "times": 1, "passes": True},
    "stalled at once": {"stall_after": 0},
    "stalled": {"stall_after": 1000},
    "stalled once": {"stall_after": 1000, "times": 1, "passes": True},
    "slow to begin": {"delay": 60.0},
    "short": {"claim": 100},
    "long": {"claim": 10_000_000},
    "endless": {"endless": True},
    "wrong bytes": {"flip_at": 700},
    "another file": {"body": b"PK\x05\x06" + bytes(18)},
    "empty": {"body": b""},
    "redirected for ever": {"redirect": "{path}"},
    "redirected to nowhere": {"redirect": "http://127.0.0.1:9/x"},
    "redirected to a file": {"redirect": "file:///etc/passwd"},
    "429": {"status": 429},
    "429 for a day": {"status": 429, "headers": {"Retry-After": "86400"}},
    "429 once": {"status": 429, "times": 1, "headers": {"Retry-After": "0"}, "passes": True},
    "500": {"status": 500},
    "502 once": {"status": 502, "times": 1, "passes": True},
    "503": {"status": 503},
    "503 for a day": {"status": 503, "headers": {"Retry-After": "86400"}},
    "503 once": {"status": 503, "times": 1, "passes": True},
}
_TIMEOUT = 2.0
# What a run does besides: its start, uv, and the rounds of waiting that a number of tries adds up to.
_BESIDES = 10.0


def measure_servers(settings: Settings) -> Iterator[Figure]:
    """Each bad way of serving the files, then the pages: the run ends in time, keeps nothing wrong, and the next one completes."""
    kept, times = Tally(), Tally()
    slowest = 0.0
    with world(settings.folder) as ground:
        # With ranges, what stalls after a thousand bytes gets on by a thousand bytes with each try, fifty times over.
        ground.index.ranges = False
        undisturbed = ground.account()
        undisturbed.run(*ground.build("--no-trial")).checked(0)
        whole = contents(undisturbed.project)
        for match, what in (("heavy-3.0-py3-none-any.whl", "file"), ("middle", "page")):
            for name, fault in _TRANSFERS.items():
                if what == "page" and fault.get("flip_at"):
                    continue  # a page has no digest
                settled = {key: value for key, value in fault.items() if key != "passes"}
                account = ground.account()
                ground.index.fault(match, **settled)
                options = ["--timeout", str(_TIMEOUT), "--retries", "1"]
                run = account.start(*ground.build("--no-trial", *options))
                told = f"{what} {name}"
                try:
                    ran = run.end(timeout=90)
                except AssertionError:
                    times.expect(False, f"{told}: still running after 90 s")
                    ground.index.faults.clear()
                    continue
                ground.index.faults.clear()
                slowest = max(slowest, ran.seconds)
                times.expect(ran.seconds < _TIMEOUT * 2 + _BESIDES, f"{told}: {ran.seconds:.1f} s")
                bad = wrong_entries(account.cache)
                fine = ran.code == (0 if fault.get("passes") else 1) and TRACEBACK not in ran.err and not bad
                # A page that never comes to an end, or is none, may be left for another that says the same (HTML for JSON).
                fine = fine or (what == "page" and ran.code == 0 and contents(account.project) == whole and not bad)
                again = account.run(*ground.build("--no-trial"))
                fine = fine and again.code == 0 and contents(account.project) == whole
                kept.expect(fine, f"{told}: {bad} {ended(ran)}; again: {ended(again)}")
    goal = f"{kept.tried} of {kept.tried}"
    yield kept.figure("14", "bad ways of serving files and pages: nothing wrong kept, told or overcome, and the next run completes", goal)
    yield times.figure("14", f"of them ended within their limit (--timeout {_TIMEOUT:.0f}); the slowest took {slowest:.1f} s", goal)


_STATUSES = (400, 401, 402, 403, 405, 407, 408, 418, 425, 429, 451, 500, 501, 502, 503, 504, 521)
_ANSWERS: dict[str, dict[str, Any]] = {
    **{
        f"status {status}": {"status": status}
        for status in (400, 401, 402, 403, 405, 407, 408, 418, 425, 429, 451, 500, 501, 502, 503, 504, 521)
    },
    "an empty page": {"body": b""},
    "half a page": {"truncate_at": 40},
    "a login page": {"body": b"<!DOCTYPE html><html><body><form>Please log in</form></body></html>"},
    "no page at all": {"body": b"\x00\x01\x02"},
    "an error as JSON": {"body": b'{"error": "try later"}'},
    "another version of the API": {"body": b'{"meta": {"api-version": "9.0"}, "name": "x", "files": []}'},
    "hung up": {"hang_up": True},
}


def measure_refusals(settings: Settings) -> Iterator[Figure]:
    """Each answer that is not "there is none", for a root and for what it needs, to the verbs that ask."""
    tally = Tally()
    with world(settings.folder) as ground:
        absent = ground.account().run("lock", "no-such-thing", "-t", LINUX, "-i", ground.index.url, "--retries", "0", "--json")
        if absent.code != 1:
            raise RuntimeError(f"a project that is not there: {ended(absent)}")
        slug = absent.json()["error"]["slug"]
        for project in ("app", "native"):
            for name, answer in _ANSWERS.items():
                for verb in ("lock", "build"):
                    ground.index.fault(project, **answer)
                    arguments = [verb, "app", "-t", LINUX, "-i", ground.index.url, "--retries", "0", "--timeout", "5", "--json"]
                    ran = ground.account().run(*arguments)
                    ground.index.faults.clear()
                    found = ran.json()["error"] if ran.code and ran.out.startswith("{") and "error" in ran.json() else {}
                    told = found.get("slug", "") in ("index", "index-denied", "transfer") and "there is no" not in str(found.get("reason"))
                    tally.expect(
                        ran.code == 1 and told, f"{verb}, {project}: {name}: {found.get('slug')}: {found.get('reason', ended(ran))}"
                    )
    words = f"answers that are no 404, for a root and deep in the tree: told as the index's fault (an absent project is {slug!r})"
    yield tally.figure("15", words, f"{tally.tried} of {tally.tried}")

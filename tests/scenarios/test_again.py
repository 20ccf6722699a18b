"""The same run again: cheap, repairing, deterministic, and sound after whatever befell the run before."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.support.archives import make_wheel
from tests.support.loopback import LoopbackIndex
from tests.support.running import Account, children_of, contents, leftovers, traces, wait_for
from tests.support.world import LINUX, MACOS, WINDOWS, add_app, add_source

_STRACE = shutil.which("strace")


@pytest.fixture(scope="module")
def index() -> Iterator[LoopbackIndex]:
    with LoopbackIndex() as found:
        add_app(found)
        add_source(found)
        yield found


@pytest.fixture
def account(tmp_path: Path) -> Account:
    return Account.make(tmp_path)


def build_arguments(index: LoopbackIndex) -> list[str]:
    return ["build", "-r", "requirements.txt", "-t", LINUX, "-t", WINDOWS, "-i", index.url]


class TestUnchanged:
    def test_asks_nothing_writes_nothing_and_says_so(self, account: Account, index: LoopbackIndex) -> None:
        account.write("requirements.txt", "app\nfromsource\n")
        account.run(*build_arguments(index)).checked(0)
        before, kept, asked = traces(account.project), traces(account.cache), index.connections
        ran = account.run(*build_arguments(index)).checked(0)
        assert "unchanged" in ran.out
        assert "Building" not in ran.err
        assert index.connections == asked
        assert traces(account.project) == before
        assert traces(account.cache) == kept

    def test_without_receipt_still_fetches_and_builds_nothing(self, account: Account, index: LoopbackIndex) -> None:
        account.write("requirements.txt", "app\nfromsource\n")
        account.run(*build_arguments(index)).checked(0)
        before, asked = traces(account.project), index.connections
        shutil.rmtree(account.cache / "receipts")
        ran = account.run(*build_arguments(index)).checked(0)
        assert "nothing fetched, nothing built" in ran.out
        assert index.connections == asked
        assert traces(account.project) == before

    def test_another_folder_takes_all_from_the_cache(self, account: Account, index: LoopbackIndex) -> None:
        account.write("requirements.txt", "app\nfromsource\n")
        account.run(*build_arguments(index)).checked(0)
        index.requests.clear()
        data = account.run(*build_arguments(index), "-o", "second", "--json").checked(0).json()
        assert data["fetched"] == {"files": 0, "bytes": 0} and data["built"] == 0
        # uv may ask whether what it knows still holds (304); no file comes over the wire again.
        assert not [request for request in index.asked("/files/") if "if-none-match" not in request.headers]
        assert contents(account.project / "second") == contents(account.project / "wheelhouse")


def flip(path: Path) -> None:
    """Turn one byte of a file round, in place."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    with path.open("r+b") as stream:
        stream.write(data)


class TestHealing:
    """Whatever was done to a wheelhouse, the next run finds it and makes it whole again."""

    def harm(self, wheelhouse: Path, how: str) -> None:
        wheel = wheelhouse / "middle-1.5-py3-none-any.whl"
        if how == "deleted wheel":
            wheel.unlink()
        elif how == "emptied wheel":
            wheel.unlink()
            wheel.write_bytes(b"")
        elif how == "byte flipped in place":
            # Through the hard link this harms the cache too.
            flip(wheel)
        elif how == "byte flipped in a copy":
            data = bytearray(wheel.read_bytes())
            data[len(data) // 2] ^= 0xFF
            wheel.unlink()
            wheel.write_bytes(data)
        elif how == "wheel replaced by a dead link":
            wheel.unlink()
            wheel.symlink_to("nowhere")
        elif how == "requirements edited":
            path = wheelhouse / f"requirements.{LINUX}.txt"
            path.write_text(path.read_text().replace("1.5", "1.4"))
        elif how == "manifest cut":
            path = wheelhouse / "wheelhouse.json"
            path.write_bytes(path.read_bytes()[:100])
        elif how == "manifest gone":
            (wheelhouse / "wheelhouse.json").unlink()
        elif how == "manifest of tomorrow":
            (wheelhouse / "wheelhouse.json").write_text('{"schema": 999}')
        elif how == "pylock is garbage":
            (wheelhouse / "pylock.toml").write_bytes(b"\xff\x00 not toml")
        elif how == "index gone":
            shutil.rmtree(wheelhouse / "simple")
        else:
            raise AssertionError(how)

    @pytest.mark.parametrize(
        "how",
        [
            "deleted wheel",
            "emptied wheel",
            "byte flipped in place",
            "byte flipped in a copy",
            "wheel replaced by a dead link",
            "requirements edited",
            "manifest cut",
            "manifest gone",
            "manifest of tomorrow",
            "pylock is garbage",
            "index gone",
        ],
    )
    def test_is_whole_again(self, account: Account, index: LoopbackIndex, how: str) -> None:
        account.write("requirements.txt", "app\n")
        account.run(*build_arguments(index)).checked(0)
        good = contents(account.project / "wheelhouse")
        time.sleep(0.02)
        self.harm(account.project / "wheelhouse", how)
        ran = account.run(*build_arguments(index))
        ran.checked(0)
        assert "unchanged" not in ran.out
        assert contents(account.project / "wheelhouse") == good
        account.run("verify").checked(0)

    def test_a_disk_that_forgets_is_found_by_verify_and_healed_by_build(self, account: Account, index: LoopbackIndex) -> None:
        """Bytes went bad, times did not, in the wheelhouse and (it is one file) in the cache."""
        account.write("requirements.txt", "app\n")
        account.run(*build_arguments(index)).checked(0)
        good = contents(account.project / "wheelhouse")
        wheel = account.project / "wheelhouse" / "middle-1.5-py3-none-any.whl"
        seen = wheel.stat()
        flip(wheel)
        os.utime(wheel, ns=(seen.st_atime_ns, seen.st_mtime_ns))
        account.run("verify").checked(1)
        account.run(*build_arguments(index)).checked(0)
        assert contents(account.project / "wheelhouse") == good
        account.run("verify").checked(0)

    def test_a_folder_in_a_wheels_place_is_somebodys(self, account: Account, index: LoopbackIndex) -> None:
        account.write("requirements.txt", "app\n")
        account.run(*build_arguments(index)).checked(0)
        wheel = account.project / "wheelhouse" / "middle-1.5-py3-none-any.whl"
        wheel.unlink()
        wheel.mkdir()
        (wheel / "mine").write_text("mine")
        ran = account.run(*build_arguments(index)).checked(1)
        assert str(wheel) in ran.err and "help:" in ran.err
        assert (wheel / "mine").read_text() == "mine"


class TestChange:
    def test_fetches_only_what_is_new(self, account: Account, index: LoopbackIndex) -> None:
        account.write("requirements.txt", "middle\n")
        account.run(*build_arguments(index)).checked(0)
        index.requests.clear()
        account.write("requirements.txt", "app\n")
        data = account.run(*build_arguments(index), "--json").checked(0).json()
        wheels = {request.path.rsplit("/", 1)[-1] for request in index.asked("/files/") if request.path.endswith(".whl")}
        assert wheels == {"app-1.0-py3-none-any.whl", "paint-1.0-py3-none-any.whl"}
        assert data["fetched"]["files"] == 2

    def test_local_wheel_that_was_made_again(self, account: Account, index: LoopbackIndex) -> None:
        """The same name and version, other bytes: what was locked and proven before says nothing of it."""
        name, data = make_wheel("local", "1.0")
        account.write(name, data)
        account.run("build", f"./{name}", "-t", LINUX, "-i", index.url).checked(0)
        assert "unchanged" in account.run("build", f"./{name}", "-t", LINUX, "-i", index.url).checked(0).out
        account.write(name, make_wheel("local", "1.0", requires=["middle"])[1])
        ran = account.run("build", f"./{name}", "-t", LINUX, "-i", index.url).checked(0)
        assert "unchanged" not in ran.out
        assert (account.project / "wheelhouse" / "middle-1.5-py3-none-any.whl").is_file()
        assert (account.project / "wheelhouse" / name).read_bytes() == (account.project / name).read_bytes()

    def test_what_is_not_needed_stays_or_goes(self, account: Account, index: LoopbackIndex) -> None:
        account.write("requirements.txt", "app\n")
        account.run(*build_arguments(index)).checked(0)
        (account.project / "wheelhouse" / "notes.txt").write_text("mine")
        (account.project / "wheelhouse" / "mine-1.0-py3-none-any.whl").write_bytes(b"mine")
        account.write("requirements.txt", "middle\n")
        account.run(*build_arguments(index)).checked(0)
        assert (account.project / "wheelhouse" / "app-1.0-py3-none-any.whl").is_file()
        account.run(*build_arguments(index), "--prune").checked(0)
        names = set(contents(account.project / "wheelhouse"))
        assert not {name for name in names if name.startswith(("app", "paint", "simple/app"))}
        assert "notes.txt" in names
        account.run("verify").checked(0)

    def test_a_target_fewer(self, account: Account, index: LoopbackIndex) -> None:
        account.write("requirements.txt", "app\n")
        account.run(*build_arguments(index)).checked(0)
        account.run("build", "-r", "requirements.txt", "-t", LINUX, "-i", index.url).checked(0)
        account.run("verify").checked(0)
        account.run("build", "-r", "requirements.txt", "-t", LINUX, "-i", index.url, "--prune").checked(0)
        left = [name for name in contents(account.project / "wheelhouse") if "win" in name or "paint" in name]
        assert left == []

    def test_by_target_and_back(self, account: Account, index: LoopbackIndex) -> None:
        account.write("requirements.txt", "app\n")
        account.run(*build_arguments(index), "--layout", "by-target").checked(0)
        house = account.project / "wheelhouse"
        one, two = house / LINUX / "middle-1.5-py3-none-any.whl", house / WINDOWS / "middle-1.5-py3-none-any.whl"
        assert one.stat().st_ino == two.stat().st_ino
        assert not (house / LINUX / "paint-1.0-py3-none-any.whl").exists()
        account.run("verify").checked(0)
        assert "unchanged" in account.run(*build_arguments(index), "--layout", "by-target").checked(0).out
        two.unlink()
        account.run("verify").checked(1)
        account.run(*build_arguments(index), "--layout", "by-target").checked(0)
        assert two.is_file()
        account.run(*build_arguments(index), "--layout", "flat").checked(0)
        account.run("verify").checked(0)
        assert (house / "middle-1.5-py3-none-any.whl").is_file()

    def test_failing_run_leaves_the_proven_one(self, account: Account, index: LoopbackIndex) -> None:
        account.write("requirements.txt", "app\n")
        account.run(*build_arguments(index)).checked(0)
        before = traces(account.project / "wheelhouse")
        account.write("requirements.txt", "app\nabsent-package\n")
        account.run(*build_arguments(index)).checked(1)
        assert traces(account.project / "wheelhouse") == before


class TestOffline:
    def test_warm_cache_needs_no_call(self, account: Account, index: LoopbackIndex, tmp_path: Path) -> None:
        account.write("requirements.txt", "app\nfromsource\n")
        account.run(*build_arguments(index)).checked(0)
        asked = index.connections
        log = tmp_path / "calls"
        before = [_STRACE, "-f", "-qq", "-e", "trace=connect,sendto,sendmsg", "-o", str(log)] if _STRACE else []
        again = account.run(*build_arguments(index), "-o", "second", "--offline", before=before)
        again.checked(0)
        shutil.rmtree(account.cache / "receipts")
        account.run(*build_arguments(index), "--offline").checked(0)
        assert index.connections == asked
        assert contents(account.project / "second") == contents(account.project / "wheelhouse")
        if _STRACE:
            calls = [line for line in log.read_text(errors="replace").splitlines() if "AF_INET" in line]
            # The sandbox tries its own loopback, inside its own network namespace; nobody else calls anyone.
            own = [line for line in calls if '"127.0.0.1"' in line and f"htons({index.port})" not in line]
            assert calls == own

    def test_locks_anew_from_a_warm_cache(self, account: Account, index: LoopbackIndex) -> None:
        account.write("requirements.txt", "app\n")
        account.run(*build_arguments(index)).checked(0)
        asked = index.connections
        shutil.rmtree(account.project / "wheelhouse")
        account.run(*build_arguments(index), "--offline").checked(0)
        assert index.connections == asked

    def test_cold_cache_says_what_is_missing(self, account: Account, index: LoopbackIndex) -> None:
        asked = index.connections
        ran = account.run("build", "app", "-t", LINUX, "-i", index.url, "--offline").checked(1)
        assert index.connections == asked
        assert "app" in ran.err and "--offline" in ran.err
        data = account.run("build", "app", "-t", LINUX, "-i", index.url, "--offline", "--json").checked(1).json()
        assert data["error"]["slug"] == "offline", data

    def test_cold_store_names_every_file(self, account: Account, index: LoopbackIndex) -> None:
        account.run("lock", "app", "-t", LINUX, "-i", index.url, "-o", "pylock.toml").checked(0)
        ran = account.run("build", "--lock-file", "pylock.toml", "-i", index.url, "--offline").checked(1)
        for name in ("app-1.0", "middle-1.5", "native-2.0"):
            assert name in ran.err, ran.err


class TestDeterminism:
    def test_bytes_do_not_depend_on_the_machine(self, tmp_path: Path, index: LoopbackIndex) -> None:
        first = Account.make(tmp_path / "first")
        first.run("lock", "app", "fromsource", "-t", LINUX, "-t", MACOS, "-t", WINDOWS, "-i", index.url).checked(0)
        lock = (first.project / "pylock.toml").read_bytes()
        results = []
        for at, (env, umask, output) in enumerate(
            [
                ({"TZ": "UTC", "LC_ALL": "C", "PYTHONHASHSEED": "1"}, 0o077, "a"),
                ({"TZ": "Pacific/Kiritimati", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "2", "SOURCE_DATE_EPOCH": "1"}, 0o000, "deep/er/b"),
                ({"TZ": "America/New_York", "LANG": "tr_TR.UTF-8", "PYTHONHASHSEED": "3", "COLUMNS": "20"}, 0o022, "c"),
            ]
        ):
            account = Account.make(tmp_path / f"host{at}" / ("x" * 30 * at))
            account.write("pylock.toml", lock)
            before = ["taskset", "-c", "0"] if at == 1 and shutil.which("taskset") else []
            arguments = ["build", "--lock-file", "pylock.toml", "-i", index.url, "-o", output]
            account.run(*arguments, env=env, umask=umask, before=before).checked(0)
            results.append((contents(account.project / output), modes(account.project / output)))
        assert results[0][0] == results[1][0] == results[2][0]
        assert results[0][1] == results[1][1] == results[2][1]

    def test_locks_do_not_depend_on_it_either(self, tmp_path: Path, index: LoopbackIndex) -> None:
        texts = []
        for at in range(2):
            account = Account.make(tmp_path / f"host{at}")
            env = {"TZ": ["UTC", "Asia/Tokyo"][at], "PYTHONHASHSEED": str(at)}
            account.run(
                "lock", "app", "fromsource", "-t", LINUX, "-t", WINDOWS, "-i", index.url, "--export", "pip:r-{target}.txt", env=env
            ).checked(0)
            texts.append(contents(account.project))
        assert texts[0] == texts[1]


def modes(folder: Path) -> dict[str, int]:
    return {path.relative_to(folder).as_posix(): path.stat().st_mode & 0o777 for path in folder.rglob("*") if path.is_file()}


class TestTogether:
    def test_several_at_once(self, account: Account, index: LoopbackIndex) -> None:
        account.write("requirements.txt", "app\nfromsource\n")
        runs = [account.start(*build_arguments(index)) for _ in range(3)]
        for run in runs:
            run.end().checked(0)
        assert leftovers(account.project) == []
        account.run("verify").checked(0)

    def test_different_ones_into_one_folder(self, account: Account, index: LoopbackIndex) -> None:
        """Whoever comes last has it; what lies there then is one whole wheelhouse."""
        runs = [account.start("build", name, "-t", LINUX, "-i", index.url) for name in ("app", "fromsource", "middle")]
        for run in runs:
            run.end().checked(0)
        account.run("verify").checked(0)


def _nothing_runs(account: Account) -> bool:
    return not children_of(account)


class TestKilled:
    @pytest.mark.parametrize(("rounds", "seed"), [pytest.param(12, 1, id="few"), pytest.param(30, 2, id="many", marks=pytest.mark.slow)])
    def test_killed_anywhere(self, tmp_path: Path, index: LoopbackIndex, rounds: int, seed: int) -> None:
        whole = Account.make(tmp_path / "whole")
        whole.write("requirements.txt", "app\nfromsource\n")
        took = whole.run(*build_arguments(index)).checked(0).seconds
        good = contents(whole.project)
        dice = random.Random(seed)
        for _ in range(rounds // 4):
            account = Account.make(tmp_path / f"host{dice.random()}")
            account.write("requirements.txt", "app\nfromsource\n")
            for _ in range(4):
                run = account.start(*build_arguments(index))
                time.sleep(dice.uniform(0.05, took))
                run.signal(signal.SIGKILL)
                run.process.communicate()
            wait_for(partial(_nothing_runs, account), seconds=5)
            account.run(*build_arguments(index)).checked(0)
            assert contents(account.project) == good
            assert leftovers(account.project) == []
            account.run("verify").checked(0)

    def test_what_a_dead_run_left_in_the_cache_goes(self, account: Account, index: LoopbackIndex) -> None:
        account.write("requirements.txt", "app\n")
        index.requests.clear()
        index.fault("native-2.0-cp312-cp312-win_amd64.whl", stall_after=100, times=1)
        run = account.start(*build_arguments(index))
        wait_for(lambda: any("win_amd64" in request.path and not request.path.endswith(".metadata") for request in index.requests))
        time.sleep(0.1)
        run.signal(signal.SIGKILL)
        run.process.communicate()
        account.run(*build_arguments(index)).checked(0)
        old = time.time() - 40 * 24 * 3600
        for path in account.cache.rglob(".hardtack-*"):
            os.utime(path, (old, old), follow_symlinks=False)
        account.run(*build_arguments(index), "-o", "other").checked(0)
        assert leftovers(account.cache / "files") == []


def test_index_that_lists_a_newer_version_changes_nothing(account: Account) -> None:
    """A second run keeps what was chosen; only --upgrade chooses anew."""
    with LoopbackIndex() as index:
        index.add(*make_wheel("plain", "1.0"))
        account.run("build", "plain", "-t", LINUX, "-i", index.url).checked(0)
        index.add(*make_wheel("plain", "2.0"))
        account.run("build", "plain", "-t", LINUX, "-i", index.url).checked(0)
        assert (account.project / "wheelhouse" / "plain-1.0-py3-none-any.whl").is_file()
        account.run("build", "plain", "-t", LINUX, "-i", index.url, "--upgrade", "--prune").checked(0)
        assert [path.name for path in (account.project / "wheelhouse").glob("*.whl")] == ["plain-2.0-py3-none-any.whl"]

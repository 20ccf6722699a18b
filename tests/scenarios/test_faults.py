"""What goes wrong is said in full: what, where, what to do; and nothing that is given makes a traceback."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.archives import make_sdist, make_wheel
from tests.support.loopback import LoopbackIndex
from tests.support.running import Account, Ran, children_of, contents, leftovers, traces, wait_for
from tests.support.world import LINUX, add_app, add_source


@pytest.fixture(scope="module")
def index() -> Iterator[LoopbackIndex]:
    with LoopbackIndex() as found:
        add_app(found)
        add_source(found)
        yield found


@pytest.fixture
def account(tmp_path: Path) -> Account:
    return Account.make(tmp_path)


def says(ran: Ran, *words: str, hint: bool = True) -> None:
    """Nothing on standard output, and all the words on standard error, with advice."""
    assert ran.out == ""
    for word in words:
        assert word in ran.err, f"{word!r} is missing in\n{ran.err}"
    assert not hint or "help:" in ran.err, ran.err


class TestEachKind:
    def test_usage(self, account: Account) -> None:
        says(account.run("build", "--layout", "round").checked(2), "--layout", "round", "flat", hint=False)

    def test_input_with_file_and_line(self, account: Account) -> None:
        account.write("requirements.txt", "good\n\n# words\nbad == = 1\n")
        says(account.run("build", "-r", "requirements.txt").checked(2), "requirements.txt:4", "bad")

    def test_every_bad_line_at_once(self, account: Account) -> None:
        account.write("requirements.txt", "bad == = 1\n-r more.txt\n")
        account.write("more.txt", "fine\nworse >= = 2\n")
        ran = account.run("build", "-r", "requirements.txt").checked(2)
        assert "requirements.txt:1" in ran.err
        assert "more.txt:2" in ran.err

    def test_input_in_toml(self, account: Account) -> None:
        account.write("pyproject.toml", '[project]\nname = "x"\nversion = "1"\ndependencies = [\n  "good",\n  "bad == = 1",\n]\n')
        says(account.run("build").checked(2), "pyproject.toml", "dependencies[1]", "bad == = 1", hint=False)

    def test_target(self, account: Account) -> None:
        says(account.run("build", "x", "-t", "py312-linx-x86_64").checked(2), "py312-linx-x86_64")

    def test_lock(self, account: Account, index: LoopbackIndex) -> None:
        says(account.run("build", "app", "middle<1", "-t", LINUX, "-i", index.url).checked(1), "middle", "app")

    def test_unknown_package(self, account: Account, index: LoopbackIndex) -> None:
        says(account.run("build", "no-such-thing", "-t", LINUX, "-i", index.url).checked(1), "no-such-thing")

    def test_stale_lock(self, account: Account, index: LoopbackIndex) -> None:
        account.write("pyproject.toml", '[project]\nname = "x"\nversion = "1"\ndependencies = ["middle"]\n')
        account.run("lock", "-t", LINUX, "-i", index.url).checked(0)
        account.write("pyproject.toml", '[project]\nname = "x"\nversion = "1"\ndependencies = ["app"]\n')
        before = traces(account.project)
        says(account.run("build", "-t", LINUX, "-i", index.url).checked(1), "pylock.toml", "hardtack lock")
        assert traces(account.project) == before

    @pytest.mark.parametrize("status", [401, 403, 500, 503])
    def test_index_that_refuses(self, account: Account, status: int) -> None:
        with LoopbackIndex() as index:
            add_app(index)
            index.fault("pages", status=status)
            account.write("requirements.txt", f"--index-url {index.url}\napp\n")
            ran = account.run("build", "-r", "requirements.txt", "-t", LINUX, env={"HARDTACK_RETRIES": "0"}).checked(1)
            says(ran, str(status), f"127.0.0.1:{index.port}", "requirements.txt:1")
            data = account.run("build", "-r", "requirements.txt", "-t", LINUX, "--json", env={"HARDTACK_RETRIES": "0"}).checked(1).json()
            assert data["error"]["slug"] == ("index-denied" if status in (401, 403) else "index"), data

    def test_index_that_is_not_there(self, account: Account) -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{unused.getsockname()[1]}/simple"
            ran = account.run("build", "app", "-t", LINUX, "-i", url, "--retries", "0").checked(1)
        says(ran, url.removesuffix("/simple"))

    @pytest.mark.parametrize("fault", [{"truncate_at": 300}, {"status": 404}, {"status": 500}, {"endless": True}, {"claim": 10}])
    def test_transfer(self, account: Account, fault: dict[str, int]) -> None:
        with LoopbackIndex() as index:
            add_app(index)
            wheel = "native-2.0-cp312-cp312-manylinux_2_17_x86_64.whl"
            index.fault(wheel, **fault)  # type: ignore[arg-type]
            ran = account.run("build", "app", "-t", LINUX, "-i", index.url, "--retries", "0").checked(1)
            assert wheel in ran.err
            assert "Proven" not in ran.out
            assert not (account.project / "wheelhouse").exists()
            index.faults.clear()
            account.run("build", "app", "-t", LINUX, "-i", index.url).checked(0)

    def test_stalled_transfer_ends(self, account: Account) -> None:
        with LoopbackIndex() as index:
            add_app(index)
            index.fault("native-2.0-cp312-cp312-manylinux_2_17_x86_64.whl", stall_after=1000)
            ran = account.run("build", "app", "-t", LINUX, "-i", index.url, "--retries", "0", "--timeout", "0.3").checked(1)
            assert "native-2.0" in ran.err
            assert ran.seconds < 8

    def test_integrity(self, account: Account) -> None:
        with LoopbackIndex() as index:
            add_app(index)
            wheel = "native-2.0-cp312-cp312-manylinux_2_17_x86_64.whl"
            index.fault(wheel, flip_at=500)
            ran = account.run("build", "app", "-t", LINUX, "-i", index.url, "--json").checked(1)
            codes = {finding["code"] for finding in ran.json()["findings"] if finding["severity"] == "error"}
            assert "hash-mismatch" in codes
            said = account.run("build", "app", "-t", LINUX, "-i", index.url).checked(1)
            assert wheel in said.err and "sha256" in said.err
            assert not (account.project / "wheelhouse").exists()

    def test_build(self, account: Account) -> None:
        with LoopbackIndex() as index:
            add_source(index, before="print('words of the backend'); raise SystemExit('the backend is cross')")
            ran = account.run("build", "fromsource", "-t", LINUX, "-i", index.url).checked(1)
            for word in ("fromsource", "the backend is cross"):
                assert word in ran.err, ran.err

    def test_disk(self, account: Account, index: LoopbackIndex) -> None:
        account.write("wheelhouse", "a file\n")
        says(account.run("build", "app", "-t", LINUX, "-i", index.url).checked(1), "wheelhouse: this is no folder")

    def test_no_room(self, account: Account, index: LoopbackIndex) -> None:
        if not Path("/dev/full").exists():
            pytest.skip("no /dev/full here")
        account.cache.mkdir()
        (account.cache / "files").symlink_to("/proc/1")
        ran = account.run("build", "app", "-t", LINUX, "-i", index.url)
        assert ran.code in (1, 2)
        ran.checked(ran.code)
        assert str(account.cache) in ran.err, ran.err

    def test_cache_that_is_a_file(self, account: Account, index: LoopbackIndex) -> None:
        place = account.write("cache", "a file\n")
        ran = account.run("build", "app", "-t", LINUX, "-i", index.url, "--cache-dir", place).checked(2)
        says(ran, str(place), hint=False)


_ODD_FILES: dict[str, Callable[[Account], object]] = {
    "empty requirements": lambda a: a.write("requirements.txt", ""),
    "only comments": lambda a: a.write("requirements.txt", "# nothing\n\n"),
    "garbage": lambda a: a.write("requirements.txt", random.Random(1).randbytes(4096)),
    "zeros": lambda a: a.write("requirements.txt", b"\0" * 4096),
    "utf-16": lambda a: a.write("requirements.txt", "app\n".encode("utf-16")),
    "utf-32 without mark": lambda a: a.write("requirements.txt", "app\n".encode("utf-32-le")),
    "latin-1": lambda a: a.write("requirements.txt", b"app # caf\xe9\n"),
    "bom": lambda a: a.write("requirements.txt", "\ufeffapp\n"),
    "huge line": lambda a: a.write("requirements.txt", "a" * 3_000_000),
    "huge marker": lambda a: a.write("requirements.txt", "app; " + "(" * 3000 + "python_version > '3'" + ")" * 3000),
    "many alternatives": lambda a: a.write("requirements.txt", "app; " + " or ".join("python_version > '3'" for _ in range(3000))),
    "endless continuation": lambda a: a.write("requirements.txt", "app \\\n" * 2000),
    "folder as file": lambda a: a.write("requirements.txt/x", ""),
    "itself": lambda a: a.write("requirements.txt", "-r requirements.txt\n"),
    "cycle": lambda a: (a.write("requirements.txt", "-r b.txt\n"), a.write("b.txt", "-r requirements.txt\n")),
    "includes a folder": lambda a: (a.write("requirements.txt", "-r sub\n"), a.write("sub/x", "")),
    "constraint cycle": lambda a: a.write("requirements.txt", "-c requirements.txt\napp\n"),
    "dead link": lambda a: (a.project / "requirements.txt").symlink_to("nowhere"),
    "link to itself": lambda a: (a.project / "requirements.txt").symlink_to("requirements.txt"),
    "unset variable": lambda a: a.write("requirements.txt", "--index-url https://${NO_SUCH_VARIABLE}@somewhere.invalid/simple\napp\n"),
    "half a url": lambda a: a.write("requirements.txt", "x @ https://[::1\n"),
    "odd port": lambda a: a.write("requirements.txt", "--index-url https://somewhere.invalid:port/simple\napp\n"),
    "half a url in pyproject": lambda a: a.write(
        "pyproject.toml", '[project]\nname = "x"\nversion = "1"\ndependencies = ["x @ https://[::1"]\n'
    ),
    "huge marker in pyproject": lambda a: a.write(
        "pyproject.toml",
        '[project]\nname = "x"\nversion = "1"\ndependencies = ["x; ' + "(" * 3000 + "python_version > '3'" + ")" * 3000 + '"]\n',
    ),
    "path that is not there": lambda a: a.write("requirements.txt", "./not/there\n-e ../neither\n"),
    "wheel that is garbage": lambda a: (
        a.write("x-1.0-py3-none-any.whl", b"PK\x05\x06"),
        a.write("requirements.txt", "./x-1.0-py3-none-any.whl\n"),
    ),
    "wheel with a bad name": lambda a: (a.write("x.whl", make_wheel("x")[1]), a.write("requirements.txt", "./x.whl\n")),
    "sdist that is garbage": lambda a: (a.write("x-1.0.tar.gz", b"\x1f\x8b\x08"), a.write("requirements.txt", "./x-1.0.tar.gz\n")),
    "unknown option": lambda a: a.write("requirements.txt", "--no-such-option\napp\n"),
    "hash of no kind": lambda a: a.write("requirements.txt", "app --hash=sha256:xyz\n"),
    "broken pyproject": lambda a: a.write("pyproject.toml", "[project\nname = "),
    "pyproject of binary": lambda a: a.write("pyproject.toml", b"\xff\xfe\x00"),
    "pyproject with wrong types": lambda a: a.write("pyproject.toml", "project = 3\n[tool]\nhardtack = []\n"),
    "dependencies of a wrong type": lambda a: a.write("pyproject.toml", '[project]\nname = "x"\nversion = "1"\ndependencies = {a = 1}\n'),
    "groups that include each other": lambda a: a.write(
        "pyproject.toml", '[dependency-groups]\na = [{include-group = "b"}]\nb = [{include-group = "a"}]\n'
    ),
    "deep toml": lambda a: a.write("pyproject.toml", "x = " + "[" * 5000 + "]" * 5000),
    "broken hardtack.toml": lambda a: (a.write("requirements.txt", "app\n"), a.write("hardtack.toml", "targets = 7\n")),
    "hardtack.toml is a folder": lambda a: (a.write("requirements.txt", "app\n"), a.write("hardtack.toml/x", "")),
    "broken pylock": lambda a: (a.write("requirements.txt", "app\n"), a.write("pylock.toml", "lock-version = 'x'\n")),
    "pylock of binary": lambda a: (a.write("requirements.txt", "app\n"), a.write("pylock.toml", b"\x00\xff")),
    "pylock of tomorrow": lambda a: a.write("pylock.toml", "lock-version = '9.0'\ncreated-by = 'x'\npackages = []\n"),
    "empty pylock": lambda a: a.write("pylock.toml", ""),
    "broken uv.lock": lambda a: (a.write("pyproject.toml", '[project]\nname = "x"\nversion = "1"\n'), a.write("uv.lock", "version = ")),
    "uv.lock of tomorrow": lambda a: (
        a.write("pyproject.toml", '[project]\nname = "x"\nversion = "1"\nrequires-python = ">=3.11"\n'),
        a.write("uv.lock", "version = 99\n"),
    ),
    "uv.lock alone": lambda a: a.write("uv.lock", "version = 1\n"),
    "broken wheelhouse.json": lambda a: (a.write("requirements.txt", "\n"), a.write("wheelhouse/wheelhouse.json", "{")),
    "wheelhouse.json is a list": lambda a: a.write("wheelhouse/wheelhouse.json", "[1, 2]"),
    "wheelhouse.json with wrong types": lambda a: a.write("wheelhouse/wheelhouse.json", '{"schema": 1, "files": 3, "targets": "x"}'),
    "wheelhouse.json of binary": lambda a: a.write("wheelhouse/wheelhouse.json", b"\xff\x00"),
    "deep wheelhouse.json": lambda a: a.write("wheelhouse/wheelhouse.json", "[" * 100_000),
    "broken netrc": lambda a: (a.write("requirements.txt", "app\n"), (a.home / ".netrc").write_text("machine\nlogin {")),
    "broken uv.toml": lambda a: (a.write("requirements.txt", "app\n"), a.write("uv.toml", "index = 3\n")),
    "broken script": lambda a: a.write("script.py", "# /// script\n# dependencies = [\n# ///\n"),
}


@pytest.mark.parametrize("odd", _ODD_FILES)
def test_odd_files_make_no_traceback(account: Account, odd: str) -> None:
    """Offline, so that whatever is understood stops at the first need of an index."""
    _ODD_FILES[odd](account)
    before = traces(account.project)
    for arguments in (
        ["build", *(["-r", "requirements.txt"] if os.path.lexists(account.project / "requirements.txt") else [])],
        *([["verify"]] if (account.project / "wheelhouse").exists() else []),
        *([["build", "--script", "script.py"]] if (account.project / "script.py").exists() else []),
    ):
        ran = account.run(*arguments, "--offline", "-t", LINUX) if arguments[0] == "build" else account.run(*arguments)
        assert ran.code in (0, 1, 2)
        ran.checked(ran.code)
        assert "a fault in hardtack itself" not in ran.err, ran.err
        if ran.code:
            assert "error: " in ran.err.lower(), ran.err
            assert len(ran.err) < 20_000
    if "wheelhouse" not in odd and not (account.project / "wheelhouse").exists():
        assert traces(account.project) == before


_ODD_ARGUMENTS = [
    ["build", "-t", ""],
    ["build", ""],
    ["build", "\x1b[31mred"],
    ["build", "@"],
    ["build", "x @ "],
    ["build", "x[", "-t", LINUX],
    ["build", "-t", "\u200b"],
    ["build", "-t", "py312-linux-x86_64-glibc" + "9" * 5000],
    ["build", "-t", "py9999999999999999999999-linux-x86_64"],
    ["build", "app", "-i", "ftp://somewhere.invalid"],
    ["build", "app", "-i", "http://"],
    ["build", "app", "-i", "http://[::1"],
    ["build", "app", "-i", "not a url"],
    ["build", "app", "-f", "\0" if os.name == "nt" else "no/such/folder"],
    ["build", "app", "--proxy", "nonsense://"],
    ["build", "app", "--proxy", "http://[::1"],
    ["build", "app", "--cert", "no-such.pem"],
    ["build", "app", "--client-cert", "no-such.pem"],
    ["build", "app", "--timeout", "-1"],
    ["build", "app", "--timeout", "nan"],
    ["build", "app", "--retries", "-3"],
    ["build", "app", "-o", "/dev/null"],
    ["build", "app", "-o", "/proc/nothing/here"],
    ["build", "app", "--cache-dir", "/proc/nothing"],
    ["build", "app", "--project", "/proc/self/fd"],
    ["build", "app", "--lock-file", "/dev/null"],
    ["build", "app", "--lock-file", "nothing.toml"],
    ["build", "app", "--platform", "manylinux2014_x86_64"],
    ["build", "app", "--platform", "x", "--python-version", "y"],
    ["build", "app", "--complete-platform", "/dev/null"],
    ["build", "app", "--complete-platform", "."],
    ["build", "app", "--exclude-newer", "99999-01-01"],
    ["build", "app", "--group", "nothing"],
    ["build", "app", "--extra", "nothing"],
    ["build", "app", "-P", "///"],
    ["build", "app", "--only-binary", "!!"],
    ["lock", "app", "--export", "pip"],
    ["lock", "app", "--export", "pip:"],
    ["lock", "app", "--export", "pip:{nothing}"],
    ["lock", "app", "--export", "pip:/proc/nothing/x"],
    ["lock", "app", "-o", "/proc/nothing/x"],
    ["lock", "app", "--python", "9"],
    ["lock", "--check"],
    ["verify", "/dev/null"],
    ["verify", "/proc/nothing"],
    ["verify", "."],
    ["targets", ""],
    ["targets", "py312"],
    ["targets", "a" * 100_000],
]


@pytest.mark.parametrize("arguments", _ODD_ARGUMENTS, ids=lambda arguments: " ".join(arguments).encode("unicode_escape").decode()[:60])
def test_odd_arguments_make_no_traceback(account: Account, arguments: list[str]) -> None:
    more = ["--offline"] if arguments[0] == "build" else []
    env = {"HARDTACK_INDEX_URL": "" if "-i" in arguments else "http://127.0.0.1:9/simple", "HARDTACK_RETRIES": "0"}
    ran = account.run(*arguments, *more, env=env)
    assert ran.code in (1, 2), ran
    ran.checked(ran.code)
    assert "a fault in hardtack itself" not in ran.err, ran.err
    assert ran.out == ""
    assert "\x1b" not in ran.err


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
class TestInterrupted:
    """Wherever it is stopped: 130, at once, no child left, nothing half-done, and the next run makes what it would have made."""

    def interrupt(self, account: Account, arguments: list[str], ready: Callable[[], object], number: int, *, times: int = 1) -> Ran:
        run = account.start(*arguments)
        wait_for(ready, seconds=20)
        time.sleep(0.15)
        began = time.monotonic()
        for at in range(times):
            time.sleep(0.02 * min(at, 1))
            run.signal(number)
        ran = run.end(timeout=10)
        assert time.monotonic() - began < 1.5
        ran.checked(130)
        wait_for(lambda: not children_of(account), seconds=1)
        assert not (account.project / "wheelhouse").exists() or leftovers(account.project) == []
        return ran

    def equals_uninterrupted(self, account: Account, arguments: list[str], tmp_path: Path) -> None:
        account.run(*arguments).checked(0)
        other = Account.make(tmp_path / "whole")
        shutil.copytree(account.project, other.project, dirs_exist_ok=True, ignore=shutil.ignore_patterns("wheelhouse"))
        other.run(*arguments).checked(0)
        assert contents(account.project) == contents(other.project)
        assert leftovers(account.project) == []
        assert [name for name in leftovers(account.cache) if not name.startswith("partial/")] == []

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_while_fetching(self, account: Account, tmp_path: Path, number: int) -> None:
        with LoopbackIndex() as index:
            add_app(index)
            wheel = "native-2.0-cp312-cp312-manylinux_2_17_x86_64.whl"
            index.fault(wheel, stall_after=2000)
            arguments = ["build", "app", "-t", LINUX, "-i", index.url]
            ran = self.interrupt(account, arguments, lambda: any(r.path.endswith(wheel) for r in list(index.requests)), number)
            assert "interrupted" in ran.err
            index.faults.clear()
            self.equals_uninterrupted(account, arguments, tmp_path)

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_while_locking(self, account: Account, tmp_path: Path, number: int) -> None:
        with LoopbackIndex() as index:
            add_app(index)
            index.fault("middle", stall_after=10)
            arguments = ["build", "app", "-t", LINUX, "-i", index.url]
            self.interrupt(account, arguments, lambda: index.asked("/simple/middle"), number)
            index.faults.clear()
            self.equals_uninterrupted(account, arguments, tmp_path)

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_while_building(self, account: Account, tmp_path: Path, number: int) -> None:
        with LoopbackIndex() as index:
            # The backend starts a child of its own, and waits.
            sleepy = (
                "import subprocess, sys, time\n"
                f"subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60) # {account.cache}'])\n"
                "time.sleep(60)\n"
            )
            add_source(index, before=sleepy)
            arguments = ["build", "fromsource", "-t", LINUX, "-i", index.url]
            self.interrupt(account, arguments, lambda: _sleepers(account), number)
            add_source(index)
            shutil.rmtree(account.cache)
            self.equals_uninterrupted(account, arguments, tmp_path)

    def test_json_of_an_interruption(self, account: Account) -> None:
        with LoopbackIndex() as index:
            add_app(index)
            index.fault("app", stall_after=10)
            ran = self.interrupt(
                account, ["build", "app", "-t", LINUX, "-i", index.url, "--json"], lambda: index.asked("/app"), signal.SIGINT
            )
            assert ran.json()["error"]["slug"] == "cancelled"

    def test_impatient(self, account: Account) -> None:
        """Ctrl-C several times over leaves no child either."""
        with LoopbackIndex() as index:
            add_app(index)
            index.fault("app", stall_after=10)
            arguments = ["build", "app", "-t", LINUX, "-i", index.url]
            for _ in range(3):
                index.requests.clear()
                self.interrupt(account, arguments, lambda: index.asked("/app"), signal.SIGINT, times=4)

    def test_at_any_moment(self, account: Account, index: LoopbackIndex, tmp_path: Path) -> None:
        arguments = ["build", "app", "fromsource", "-t", LINUX, "-i", index.url]
        dice = random.Random(7)
        for _ in range(8):
            if dice.random() < 0.5:
                shutil.rmtree(account.cache, ignore_errors=True)
            run = account.start(*arguments)
            time.sleep(dice.uniform(0.02, 0.9))
            run.signal(signal.SIGINT)
            ran = run.end(timeout=5)
            assert ran.code in (0, 130, -signal.SIGINT), ran
            assert "Traceback" not in ran.err, ran.err
            wait_for(lambda: not children_of(account), seconds=1)
        self.equals_uninterrupted(account, arguments, tmp_path)


def _sleepers(account: Account) -> bool:
    return sum("time.sleep(60)" in line for line in children_of(account)) > 0


def test_file_that_may_not_be_read(account: Account) -> None:
    path = account.write("requirements.txt", "app\n")
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    says(account.run("build", "-r", "requirements.txt").checked(2), "requirements.txt")


def test_sdist_whose_metadata_lies(account: Account) -> None:
    with LoopbackIndex() as index:
        index.add(*make_sdist("odd", "1.0", files={"setup.py": b"raise SystemExit(3)\n"}))
        ran = account.run("build", "odd", "-t", LINUX, "-i", index.url)
        ran.checked(1)
        assert "odd" in ran.err


def test_no_uv(account: Account, tmp_path: Path) -> None:
    """Without uv it is a usage matter that says what to install."""
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    (blocked / "uv.py").write_text("raise ImportError('no uv here')\n")
    ran = account.run("build", "app", env={"PYTHONPATH": str(blocked)}).checked(2)
    says(ran, "uv", "pip install uv")


def test_child_processes_are_no_shell(account: Account, index: LoopbackIndex) -> None:
    """Names with spaces, quotes and dollars are names."""
    odd = account.project / "a $(touch gone) 'b' ; c"
    odd.mkdir()
    ran = account.run("build", "app", "-t", LINUX, "-i", index.url, "-o", odd / "wheel house", "--cache-dir", odd / "ca che").checked(0)
    assert "Proven" in ran.out
    assert not list(account.project.rglob("gone"))
    assert subprocess.run(["test", "-f", str(odd / "wheel house" / "wheelhouse.json")], check=False).returncode == 0

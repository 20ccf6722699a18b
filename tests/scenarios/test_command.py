"""The command's manners: exit codes, what goes to which stream, JSON, colours, pipes, dry runs."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.archives import make_wheel
from tests.support.loopback import LoopbackIndex
from tests.support.running import TRACEBACK, Account, contents, traces
from tests.support.world import LINUX, MACOS, WINDOWS, add_app


@pytest.fixture(scope="module")
def index() -> Iterator[LoopbackIndex]:
    with LoopbackIndex() as found:
        add_app(found)
        yield found


@pytest.fixture
def account(tmp_path: Path) -> Account:
    return Account.make(tmp_path)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, index: LoopbackIndex) -> Account:
    """An account with a warm cache, for tests that only look at what is said."""
    account = Account.make(tmp_path_factory.mktemp("shared"), HARDTACK_INDEX_URL=index.url)
    account.run("build", "app", "-t", LINUX, "-i", index.url).checked(0)
    return account


class TestStreams:
    def test_result_on_stdout_and_the_rest_on_stderr(self, shared: Account, index: LoopbackIndex) -> None:
        ran = shared.run("build", "app", "-t", LINUX, "-i", index.url, "-o", "other").checked(0)
        assert "Proven complete for 1 target: 3 wheels" in ran.out
        assert "Proven" not in ran.err

    def test_quiet_says_one_line(self, shared: Account, index: LoopbackIndex) -> None:
        ran = shared.run("build", "app", "-t", LINUX, "-i", index.url, "-q").checked(0)
        assert ran.err == ""
        assert len(ran.out.splitlines()) == 1

    def test_json_is_all_there_is(self, shared: Account, index: LoopbackIndex) -> None:
        for verb in (["build", "app", "-t", LINUX, "-i", index.url], ["verify"], ["targets"], ["targets", "py312-rhel8"]):
            ran = shared.run(*verb, "--json").checked(0)
            data = ran.json()
            assert data["schema"] == 1 and data["kind"] == verb[0]
            assert ran.err == ""

    def test_json_of_a_lock(self, shared: Account, index: LoopbackIndex) -> None:
        data = shared.run("lock", "app", "-t", LINUX, "-i", index.url, "-o", "made/pylock.toml", "--json").checked(0).json()
        assert [package["name"] for package in data["packages"]] == ["app", "middle", "native"]

    @pytest.mark.parametrize(
        ("arguments", "code"),
        [
            (["bild"], 2),
            (["build", "--nonsense"], 2),
            (["build", "-r"], 2),
            (["build", "-j", "many"], 2),
            (["build", "--layout", "round"], 2),
            (["build", "-r", "absent.txt"], 2),
            (["build", "a b c"], 2),
            (["build", "x", "-t", "py312-plan9-x86_64"], 2),
            (["verify", "absent"], 2),
            (["targets", "nonsense"], 2),
            (["lock", "x", "--export", "nonsense"], 2),
            (["lock", "x", "--python", "three"], 2),
            (["build", "x", "--offline", "--index-url", "http://127.0.0.1:1/simple"], 1),
            (["build", "x", "--exclude-newer", "yesterday"], 2),
        ],
        ids=lambda value: "_".join(value) if isinstance(value, list) else None,
    )
    def test_json_of_an_error(self, shared: Account, arguments: list[str], code: int) -> None:
        ran = shared.run(*arguments, "--json").checked(code)
        data = ran.json()
        assert data["kind"] == "error" or data["findings"]
        if data["kind"] == "error":
            assert set(data["error"]) == {"slug", "reason", "where", "hint"}
            assert data["error"]["reason"]
        said = shared.run(*arguments).checked(code)
        assert said.out == ""
        assert said.err


class TestUsage:
    def test_no_verb_shows_help(self, shared: Account) -> None:
        ran = shared.run().checked(2)
        assert "Usage:" in ran.err and ran.out == ""

    @pytest.mark.parametrize("verb", ["build", "lock", "verify", "targets"])
    def test_help(self, shared: Account, verb: str) -> None:
        ran = shared.run(verb, "--help").checked(0)
        assert ran.out.startswith(f"Usage: hardtack {verb}")

    def test_near_verb(self, shared: Account) -> None:
        assert "Did you mean 'build'?" in shared.run("bulid").checked(2).err

    def test_nothing_to_do_says_what_was_looked_for(self, account: Account) -> None:
        ran = account.run("build").checked(2)
        assert str(account.project) in ran.err
        assert "help:" in ran.err


class TestVerbose:
    def test_each_setting_with_its_source(self, account: Account, index: LoopbackIndex) -> None:
        (account.home / ".config" / "pip").mkdir(parents=True)
        (account.home / ".config" / "pip" / "pip.conf").write_text("[global]\ntimeout = 33\ntrusted-host = somewhere.test\n")
        (account.project / "links").mkdir()
        account.write("requirements.txt", "--find-links links\napp\n")
        variables = {"PIP_CONFIG_FILE": "", "HARDTACK_TIMEOUT": "44", "PIP_RETRIES": "3"}
        ran = account.run("build", "-r", "requirements.txt", "-t", LINUX, "-i", index.url, "-v", "--dry-run", env=variables).checked(0)
        lines = [line for line in ran.err.splitlines() if " = " in line]
        assert any(index.url in line and "--index-url" in line for line in lines), ran.err
        assert any("requirements.txt:1" in line for line in lines), ran.err
        assert any("pip.conf" in line and "somewhere.test" in line for line in lines), ran.err
        assert any("HARDTACK_TIMEOUT" in line and "44" in line for line in lines), ran.err
        assert any("PIP_RETRIES" in line and "3" in line for line in lines), ran.err

    def test_an_index_named_twice_is_one(self, account: Account, index: LoopbackIndex) -> None:
        account.write("requirements.txt", f"--extra-index-url {index.url}/\napp\n")
        account.run("build", "-r", "requirements.txt", "-t", LINUX, "-i", index.url, "--extra-index-url", index.url).checked(0)


class TestColour:
    def in_terminal(self, account: Account, *arguments: str, **more: str) -> bytes:
        """What a terminal would receive."""
        ours, theirs = pty.openpty()
        environment = {**account.environment(more), "TERM": "xterm-256color"}
        process = subprocess.Popen(
            [sys.executable, "-m", "hardtack", *arguments], cwd=account.project, env=environment, stdin=theirs, stdout=theirs, stderr=theirs
        )
        os.close(theirs)
        seen = b""
        while True:
            try:
                chunk = os.read(ours, 65536)
            except OSError:
                break
            if not chunk:
                break
            seen += chunk
        os.close(ours)
        assert process.wait(20) == 0, seen
        return seen

    def test_terminal_has_colours_and_no_color_has_none(self, shared: Account, index: LoopbackIndex) -> None:
        arguments = ["build", "app", "-t", LINUX, "-i", index.url, "--no-trial"]
        assert b"\x1b[1;32m" in self.in_terminal(shared, *arguments)
        assert b"32m" not in self.in_terminal(shared, *arguments, NO_COLOR="1")

    def test_json_in_a_terminal_is_plain(self, shared: Account, index: LoopbackIndex) -> None:
        seen = self.in_terminal(shared, "build", "app", "-t", LINUX, "-i", index.url, "--json")
        json.loads(seen)


class TestPipes:
    @pytest.mark.parametrize(
        "arguments",
        [["targets"], ["targets", "--json"], ["targets", "py312-rhel8", "--json"], ["targets", "--probe-script"], ["build", "--help"]],
    )
    def test_reader_that_goes_away(self, shared: Account, arguments: list[str]) -> None:
        process = subprocess.Popen(
            [sys.executable, "-m", "hardtack", *arguments],
            cwd=shared.project,
            env=shared.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        err = process.stderr.read().decode()
        process.stderr.close()
        process.wait(20)
        assert TRACEBACK not in err and "BrokenPipe" not in err, err

    def test_closed_streams(self, shared: Account) -> None:
        ran = subprocess.run(
            ["sh", "-c", f"{sys.executable} -m hardtack targets >&-"],
            env=shared.environment(),
            cwd=shared.project,
            capture_output=True,
            text=True,
        )
        assert TRACEBACK not in ran.stderr, ran.stderr

    def test_full_disk_behind_stdout(self, shared: Account) -> None:
        with open("/dev/full", "w") as full:
            ran = subprocess.run(
                [sys.executable, "-m", "hardtack", "targets", "--json"],
                env=shared.environment(),
                cwd=shared.project,
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
            )
        assert ran.returncode != 0
        assert TRACEBACK not in ran.stderr, ran.stderr

    def test_words_beyond_the_terminals_encoding(self, account: Account) -> None:
        account.write("requirements.txt", "schön==1 ✗\n")
        ran = subprocess.run(
            [sys.executable, "-m", "hardtack", "build", "-r", "requirements.txt"],
            env=account.environment({"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}),
            cwd=account.project,
            capture_output=True,
        )
        assert ran.returncode == 2
        assert TRACEBACK.encode() not in ran.stderr, ran.stderr.decode()


def test_nothing_but_our_own_python(account: Account, index: LoopbackIndex) -> None:
    """No Python, no uv and no shell on PATH: what hardtack was installed with is enough."""
    arguments = ["app", "-t", LINUX, "-t", "host", "-i", index.url]
    with LoopbackIndex() as plain:
        plain.add(*make_wheel("app"))
        arguments[-1] = plain.url
        data = account.run("build", *arguments, "--json", env={"PATH": "/nonexistent"}).checked(0).json()
    assert sorted(kind for kinds in data["grades"].values() for kind in kinds).count("metadata") == 2
    assert "resolver" in data["grades"][LINUX]
    assert any("installed" in kinds for kinds in data["grades"].values())


class TestDryRun:
    def test_shows_package_by_target_and_writes_only_the_cache(self, account: Account, index: LoopbackIndex) -> None:
        account.write("requirements.txt", "app\n")
        before_home, before = traces(account.home), traces(account.project)
        ran = account.run("build", "-r", "requirements.txt", "-t", LINUX, "-t", WINDOWS, "-i", index.url, "--dry-run").checked(0)
        rows = [line.split() for line in ran.out.splitlines()]
        assert rows[0] == ["package", LINUX, WINDOWS]
        assert ["paint", "-", "1.0", "pure"] in rows
        assert ["native", "2.0", "wheel", "2.0", "wheel"] in rows
        assert traces(account.project) == before
        assert traces(account.home) == before_home
        assert not [request for request in index.requests if request.path.endswith(".whl")] or not contents(account.cache / "files")

    def test_dry_run_beside_a_wheelhouse_leaves_it_alone(self, account: Account, index: LoopbackIndex) -> None:
        account.run("build", "middle", "-t", LINUX, "-i", index.url).checked(0)
        before = traces(account.project)
        account.run("build", "app", "-t", LINUX, "-i", index.url, "--dry-run").checked(0)
        assert traces(account.project) == before

    def test_gap_in_a_dry_run_exits_1(self, account: Account, index: LoopbackIndex) -> None:
        ran = account.run("build", "app", "-t", "py313-linux-x86_64", "-i", index.url, "--dry-run", "--json").checked(1)
        assert [row for row in ran.json()["plan"] if row["decision"] == "gap"]


class TestStartUp:
    def test_cheap_verbs_load_nothing_heavy(self) -> None:
        heavy = ["ssl", "http.client", "rich", "packaging.pylock", "asyncio", "sqlite3", "email.message"]
        script = (
            "import sys\nimport hardtack.cli.main\n"
            "hardtack.cli.main.run(['--version'])\nhardtack.cli.main.run(['--help'])\n"
            f"print('loaded', [name for name in {heavy!r} if name in sys.modules])"
        )
        ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        assert ran.stdout.splitlines()[-1] == "loaded []"

    def test_package_alone_loads_nothing(self) -> None:
        script = "import sys, hardtack\nprint(sorted(name for name in sys.modules if name.startswith(('hardtack.', 'click', 'packaging'))))"
        ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        assert ran.stdout.strip() == "['hardtack.version']"


class TestIncomplete:
    """A gap is a failure, named in full, and it leaves what was there alone."""

    @pytest.fixture
    def gapped(self, index: LoopbackIndex, account: Account) -> Account:
        account.run("build", "middle", "-t", LINUX, "-i", index.url, "-o", "wheelhouse").checked(0)
        return account

    def test_names_everything_at_once(self, gapped: Account) -> None:
        before = traces(gapped.project)
        with LoopbackIndex() as index:
            index.add(*make_wheel("app", requires=["middle>=1; sys_platform == 'linux'", "gui; sys_platform == 'win32'"]))
            index.add(*make_wheel("middle", "1.5", requires=["native<2; python_version >= '3.8'"]))
            index.add(*make_wheel("native", "1.9", tag="cp312-cp312-macosx_11_0_arm64"))
            index.add(*make_wheel("native", "2.0", tag="cp312-cp312-manylinux_2_17_x86_64"))
            index.add(*make_wheel("gui", "3.1", tag="cp311-cp311-win_amd64"))
            arguments = ["build", "app", "-t", LINUX, "-t", WINDOWS, "-i", index.url]
            said = gapped.run(*arguments).checked(1)
            data = gapped.run(*arguments, "--json").checked(1).json()
        assert "Proven" not in said.out
        errors = [finding for finding in data["findings"] if finding["severity"] == "error"]
        by_package = {
            (finding["package"], finding["target"]): finding for finding in errors if "package" in finding and "target" in finding
        }
        assert {("native", LINUX), ("gui", WINDOWS)} <= set(by_package), errors
        native, gui = by_package["native", LINUX], by_package["gui", WINDOWS]
        assert any("macosx_11_0_arm64" in line for line in native["instead"]), native
        assert any("cp311" in line for line in gui["instead"]), gui
        assert "only for macOS" in native["hint"] and "2.0" in native["hint"]
        assert "only for Windows" not in gui.get("hint", "")
        # Which versions the host would accept, and who stands in the way.
        for words in ("native", "1.9", LINUX, WINDOWS, "gui", "middle", "app"):
            assert words in said.err, (words, said.err)
        chain = " ".join(line for finding in errors if finding.get("package") == "native" for line in finding.get("required-by", ()))
        assert "middle" in chain and "python_version >= " in chain.replace('"', "'"), errors
        assert data["passed"] is False and data["stowed"] is False
        assert traces(gapped.project) == before

    def test_kept_incomplete_never_passes(self, account: Account) -> None:
        with LoopbackIndex() as index:
            index.add(*make_wheel("app", requires=["native"]))
            index.add(*make_wheel("native", "2.0", tag="cp312-cp312-win_amd64"))
            arguments = ["build", "app", "-t", LINUX, "-i", index.url, "--keep-incomplete"]
            account.run(*arguments).checked(1)
            assert (account.project / "wheelhouse" / "app-1.0-py3-none-any.whl").is_file()
            account.run(*arguments).checked(1)
            account.run("verify", "--no-trial").checked(1)
            account.run("verify").checked(1)

    def test_mac_only(self, account: Account, index: LoopbackIndex) -> None:
        account.run("build", "app", "-t", MACOS, "-i", index.url).checked(0)

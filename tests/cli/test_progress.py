"""What is drawn while hardtack works: rows where a person looks on, plain lines everywhere else."""

from __future__ import annotations

import io
import itertools
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr

import pytest

from hardtack.cli.progress import ConsoleReporter
from hardtack.reporting import Reporter

SOURCE = "markupsafe-2.1.5.tar.gz"
WHEEL = "MarkupSafe-2.1.5-cp312-cp312-linux_x86_64.whl"
LONG = "a-project-with-a-name-that-goes-on-and-on-for-longer-than-anybody-would-think-1.0.tar.gz"


class Terminal(io.StringIO):
    """A stream that says it is a terminal, and can tell what stands on it: one that wraps what is wider than it is."""

    def isatty(self) -> bool:
        return True

    def screen(self, width: int = 100) -> list[str]:
        """The lines that a person sees, without the blank ones at the end. Fails for a sequence that no terminal row needs."""
        lines: list[list[str]] = [[]]
        row = column = 0
        for token in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b.|.|\n", self.getvalue()):
            if token == "\n":
                row, column = row + 1, 0
            elif token == "\r":
                column = 0
            elif token == "\x1b[2K":
                lines[row] = []
            elif (up := re.fullmatch(r"\x1b\[(\d*)A", token)) is not None:
                row -= int(up[1] or 1)
                assert row >= 0, "drew above the screen"
            elif re.fullmatch(r"\x1b\[(\?25[hl]|[0-9;]*m)", token):
                pass
            else:
                assert not token.startswith("\x1b"), f"unexpected {token!r}"
                if column == width:
                    row, column = row + 1, 0
                lines += [[] for _ in range(row + 1 - len(lines))]
                lines[row] += " " * (column + 1 - len(lines[row]))
                lines[row][column] = token
                column += 1
            lines += [[] for _ in range(row + 1 - len(lines))]
        return "\n".join("".join(line).rstrip() for line in lines).rstrip("\n").split("\n")


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    """A usual terminal's variables, whatever those of the test run are."""
    for name in ("CI", "NO_COLOR", "FORCE_COLOR", "TTY_INTERACTIVE", "TTY_COMPATIBLE", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("LINES", "24")
    monkeypatch.setenv("COLUMNS", "100")


@pytest.fixture
def terminal() -> Terminal:
    return Terminal()


@pytest.fixture
def pipe() -> io.StringIO:
    return io.StringIO()


@contextmanager
def reporting(
    stream: io.StringIO, *, quiet: bool = False, verbose: int = 0, clock: Callable[[], float] | None = None
) -> Iterator[ConsoleReporter]:
    """A reporter whose standard error is ``stream``; its time flies, if there is no clock."""
    clock = clock or itertools.count().__next__
    with redirect_stderr(stream), ConsoleReporter(quiet=quiet, verbose=verbose, clock=clock) as reporter:
        yield reporter


def seen(terminal: Terminal, reporter: ConsoleReporter, width: int = 100) -> list[str]:
    """The rows on the screen, drawn right now and not at the next tenth of a second."""
    reporter.note("now")
    reporter._progress.refresh()
    lines = terminal.screen(width)
    return lines[len(lines) - lines[::-1].index("now") :]


def labels(rows: list[str]) -> list[str]:
    """Rows without what turns in front of them."""
    return [re.sub(r"^\S +", "", row) for row in rows]


def test_a_running_build_has_a_row_with_its_step_and_its_seconds(terminal: Terminal) -> None:
    clock = Clock()
    with reporting(terminal, clock=clock) as reporter:
        reporter.stage("building")
        reporter.build_started(SOURCE)
        reporter.build_started("other-1.0.tar.gz")
        reporter.build_step(SOURCE, "asking for requirements")
        clock.now += 7.9
        reporter.build_step("other-1.0.tar.gz", "building")
        rows = labels(seen(terminal, reporter))
        assert [re.sub(r" +", " ", row) for row in rows[1:]] == [
            f"{SOURCE} asking for requirements 7 s",
            "other-1.0.tar.gz building 7 s",
        ]
        assert "Building what has no wheel" in rows[0]
        reporter.build_step(SOURCE, "building")
        clock.now += 100
        assert f"{SOURCE} building 107 s" in re.sub(" +", " ", "\n".join(seen(terminal, reporter)))


def test_what_ended_is_a_line_that_stays_and_no_row(terminal: Terminal) -> None:
    with reporting(terminal) as reporter:
        reporter.build_started(SOURCE)
        reporter.build_started("broken-1.0.tar.gz")
        reporter.build_finished("broken-1.0.tar.gz", wheel=None, seconds=1.26)
        reporter.build_finished(SOURCE, wheel=WHEEL, seconds=12.34)
        assert seen(terminal, reporter) == []
        reporter.build_started("next-1.0.tar.gz")
    # The rows go at the end, those lines do not; that a build begins is no line where there are rows.
    assert terminal.screen() == ["broken-1.0.tar.gz could not be built (1.3 s)", f"Built {WHEEL} in 12.3 s", "now"]


def test_how_many_are_done_and_waiting(terminal: Terminal) -> None:
    with reporting(terminal) as reporter:
        reporter.build_queue(done=0, failed=0, running=2, waiting=7)
        assert labels(seen(terminal, reporter)) == ["0 of 9 done, 2 running, 7 waiting"]
        reporter.build_queue(done=3, failed=2, running=1, waiting=3)
        assert labels(seen(terminal, reporter)) == ["5 of 9 done, 2 failed, 1 running, 3 waiting"]
        reporter.build_queue(done=6, failed=3, running=0, waiting=0)
        assert seen(terminal, reporter) == []


def test_a_job_that_is_set_back_gives_its_row_up_until_it_is_begun_anew(terminal: Terminal) -> None:
    clock = Clock()
    with reporting(terminal, clock=clock) as reporter:
        reporter.job_started("app-1.0.tar.gz")
        reporter.build_step("app-1.0.tar.gz", "asking for requirements")
        clock.now += 5
        assert [row.split() for row in labels(seen(terminal, reporter))] == [["app-1.0.tar.gz", "asking", "for", "requirements", "5", "s"]]
        reporter.job_ended("app-1.0.tar.gz")
        reporter.build_waiting("app-1.0.tar.gz", ["tool-1.0.tar.gz"])
        reporter.job_started("tool-1.0.tar.gz")
        clock.now += 1
        assert [row.split()[0] for row in labels(seen(terminal, reporter))] == ["tool-1.0.tar.gz"]
        reporter.job_started("app-1.0.tar.gz")
        clock.now += 1
        assert [row.split() for row in labels(seen(terminal, reporter))] == [["tool-1.0.tar.gz", "2", "s"], ["app-1.0.tar.gz", "1", "s"]]


def test_what_several_work_on_under_one_name_is_one_row_until_the_last_has_ended(terminal: Terminal) -> None:
    with reporting(terminal) as reporter:
        reporter.job_started(SOURCE)
        reporter.job_started(SOURCE)
        reporter.build_started(SOURCE)
        assert len(seen(terminal, reporter)) == 1
        reporter.build_finished(SOURCE, wheel=WHEEL, seconds=1)
        reporter.job_ended(SOURCE)
        assert len(seen(terminal, reporter)) == 1
        reporter.job_ended(SOURCE)
        assert seen(terminal, reporter) == []


def test_what_is_over_at_once_does_not_flicker(terminal: Terminal) -> None:
    clock = Clock()
    with reporting(terminal, clock=clock) as reporter:
        reporter.job_started(SOURCE)
        clock.now += 0.1
        assert seen(terminal, reporter) == []
        clock.now += 0.2
        assert len(seen(terminal, reporter)) == 1


def test_a_fetch_beside_another_is_counted_with_it(terminal: Terminal) -> None:
    with reporting(terminal) as reporter:
        reporter.transfer_planned(files=2, size=1000)
        reporter.transfer_started("a.whl", size=500)
        reporter.transfer_planned(files=1, size=3000)
        reporter.transfer_started("tool.whl", size=3000)
        reporter.transfer_advanced("tool.whl", amount=3000)
        reporter.transfer_finished("tool.whl")
        rows = labels(seen(terminal, reporter))
        assert [row.split(" ━")[0].strip() for row in rows] == ["1 of 3 files", "a.whl"]
        assert "3.0/4.0 kB" in rows[0]
        reporter.transfer_finished("a.whl")
        reporter.transfer_finished("b.whl")
        assert seen(terminal, reporter) == []
        # What comes after is counted anew.
        reporter.transfer_planned(files=1, size=None)
        assert labels(seen(terminal, reporter))[0].startswith("1 file ")


def test_a_file_that_could_not_be_had_leaves_no_row(terminal: Terminal) -> None:
    with reporting(terminal) as reporter:
        reporter.transfer_planned(files=2, size=None)
        reporter.transfer_started("a.whl", size=500)
        reporter.transfer_started("b.whl", size=500)
        reporter.transfer_failed("a.whl")
        assert [row.split(" ━")[0].strip() for row in labels(seen(terminal, reporter))] == ["1 of 2 files", "b.whl"]
        reporter.transfer_finished("b.whl")
        assert seen(terminal, reporter) == []


@pytest.mark.parametrize("width", [20, 30, 45, 59, 60, 80, 100, 200])
def test_every_row_is_one_line_at_any_width(terminal: Terminal, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    clock = Clock()
    with reporting(terminal, clock=clock) as reporter:
        reporter.stage("building", detail="with words that are many, and more of them than there is room for on most screens")
        reporter.build_queue(done=10, failed=20, running=2, waiting=300)
        reporter.transfer_planned(files=3, size=10_000_000)
        reporter.transfer_started("numpy-2.1.0-cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64.whl", size=10_000_000)
        for name in (LONG, "b-1.0.tar.gz", "項目" * 40):
            reporter.build_started(name)
            reporter.build_step(name, "asking for requirements")
        clock.now += 123
        rows = seen(terminal, reporter, width)
        assert len(rows) == 7
        assert all(len(row) <= width for row in rows)
        builds = [row for row in labels(rows) if "123 s" in row]
        assert len(builds) == 3, "the seconds are the last to go"
        assert all(row[:3] in (LONG[:3], "b-1", "項目"[:2] + "…", "項目項") or width < 30 for row in builds)
        assert all(("asking for requirements" in row) is (width >= 60) for row in builds)
        # Drawn again and again, they stay where they are.
        assert [seen(terminal, reporter, width) for _ in range(3)] == [rows] * 3
    assert terminal.screen(width) == ["now"] * 4


def test_more_rows_than_a_screen_has_lines_do_not_scroll_it_away(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINES", "5")
    with reporting(terminal) as reporter:
        for number in range(12):
            reporter.build_started(f"p{number}-1.0.tar.gz")
        assert len(seen(terminal, reporter)) == 5


def test_names_are_shown_as_they_are_and_move_no_cursor(terminal: Terminal) -> None:
    evil = "evil[bold red]-1.0\x1b[2J\n\x1b]0;title\x07.tar.gz"
    with reporting(terminal) as reporter:
        reporter.stage("building", detail="for app[extra]")
        reporter.build_started(evil)
        rows = "\n".join(seen(terminal, reporter))
        assert "app[extra]" in rows and "evil[bold red]-1.0" in rows
        reporter.build_finished(evil, wheel=None, seconds=1)
    assert "\x1b[2J" not in terminal.getvalue() and "\x07" not in terminal.getvalue()
    assert terminal.screen()[-1].startswith("evil[bold red]-1.0") and terminal.screen()[-1].endswith("could not be built (1.0 s)")


def work(reporter: Reporter) -> None:
    """A run with one build that has to wait, one that fails, and one that does not."""
    reporter.stage("building")
    reporter.build_queue(done=0, failed=0, running=2, waiting=0)
    reporter.build_started("app-1.0.tar.gz")
    reporter.build_step("app-1.0.tar.gz", "installing tools")
    reporter.build_waiting("app-1.0.tar.gz", ["tool-1.0.tar.gz"])
    reporter.build_started("tool-1.0.tar.gz")
    reporter.build_finished("tool-1.0.tar.gz", wheel="tool-1.0-py3-none-any.whl", seconds=2.04)
    reporter.build_started("app-1.0.tar.gz")
    reporter.build_finished("app-1.0.tar.gz", wheel=None, seconds=0.5)
    reporter.build_queue(done=1, failed=1, running=0, waiting=0)


PLAIN = """\
Building app-1.0.tar.gz
Building tool-1.0.tar.gz
Built tool-1.0-py3-none-any.whl in 2.0 s
app-1.0.tar.gz could not be built (0.5 s)
"""


@pytest.mark.parametrize("variables", [{}, {"FORCE_COLOR": "1", "NO_COLOR": "1"}, {"CI": "true"}, {"COLUMNS": "20"}])
def test_a_pipe_gets_one_line_when_a_build_begins_and_one_when_it_ends(
    pipe: io.StringIO, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with reporting(pipe) as reporter:
        work(reporter)
    assert pipe.getvalue() == PLAIN


def test_forced_colours_force_no_rows_into_a_pipe(pipe: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    with reporting(pipe) as reporter:
        work(reporter)
    assert re.sub(r"\x1b\[[0-9;]*m", "", pipe.getvalue()) == PLAIN


@pytest.mark.parametrize("variables", [{"NO_COLOR": "1"}, {"CI": "true"}, {"CI": "woodpecker"}, {"TERM": "dumb"}])
def test_no_rows_at_a_terminal_that_nobody_looks_at_or_that_asks_for_none(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with reporting(terminal) as reporter:
        work(reporter)
    assert re.sub(r"\x1b\[[0-9;]*m", "", terminal.getvalue()) == PLAIN


@pytest.mark.parametrize("variables", [{}, {"NO_COLOR": ""}, {"CI": ""}, {"CI": "false"}, {"CI": "0"}])
def test_empty_variables_say_nothing(terminal: Terminal, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with reporting(terminal) as reporter:
        work(reporter)
        reporter.build_started(SOURCE)
        assert SOURCE in "\n".join(seen(terminal, reporter))
    assert "Building app" not in "\n".join(terminal.screen())


def test_quiet_is_quiet_and_verbose_tells_the_steps(pipe: io.StringIO) -> None:
    with reporting(pipe, quiet=True) as reporter:
        work(reporter)
    assert pipe.getvalue() == ""
    with reporting(pipe, verbose=1) as reporter:
        work(reporter)
        reporter.build_waiting(SOURCE, [SOURCE])
    assert pipe.getvalue().count("waits") == 1
    assert "app-1.0.tar.gz: installing tools\napp-1.0.tar.gz waits for tool-1.0.tar.gz\n" in pipe.getvalue()


def test_events_of_builds_that_are_not_known_are_no_fault(terminal: Terminal) -> None:
    with reporting(terminal) as reporter:
        reporter.build_step(SOURCE, "building")
        reporter.build_waiting(SOURCE, [])
        reporter.job_ended(SOURCE)
        reporter.build_finished(SOURCE, wheel=WHEEL, seconds=1)
        reporter.build_queue(done=0, failed=0, running=0, waiting=0)
        reporter.build_started(SOURCE)
        reporter.build_started(SOURCE)
        assert len(seen(terminal, reporter)) == 1


def test_many_threads_tell_at_once(terminal: Terminal) -> None:
    faults: list[BaseException] = []

    def guarded(call: Callable[[], None]) -> None:
        try:
            call()
        except BaseException as fault:
            faults.append(fault)

    with reporting(terminal) as reporter:

        def builds(number: int) -> None:
            for turn in range(10):
                name = f"p{number}-{turn}.tar.gz"
                reporter.build_started(name)
                reporter.build_step(name, "building")
                reporter.build_queue(done=turn, failed=0, running=1, waiting=9 - turn)
                reporter.build_finished(name, wheel=f"p{number}-{turn}-py3-none-any.whl", seconds=0)

        threads = [threading.Thread(target=guarded, args=(lambda number=number: builds(number),)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not faults
    assert sorted(terminal.screen()) == sorted(
        f"Built p{number}-{turn}-py3-none-any.whl in 0.0 s" for number in range(6) for turn in range(10)
    )

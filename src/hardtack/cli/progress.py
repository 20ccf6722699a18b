"""Progress on standard error: bars where a person looks on, plain lines elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Self

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TimeElapsedColumn,
    TransferSpeedColumn,
)
from rich.table import Column, Table
from rich.text import Text

from hardtack.cli.output import console, plural
from hardtack.reporting import Reporter
from hardtack.system.environ import variables

_WORDS = {
    "reading": "Reading what the project has",
    "locking": "Choosing versions for every target",
    "planning": "Choosing a file for every target",
    "fetching": "Fetching",
    "building": "Building what has no wheel",
    "judging": "Judging every file",
    "proving": "Proving that nothing is missing",
    "installing": "Installing with the network shut",
    "stowing": "Stowing",
}


_FRAME = 0.1  # seconds between two drawings
_BRIEF = 0.2  # seconds within which a job that ended would only have flickered
_ROOMY = 60  # columns of a terminal below which a row has the least that tells something


class _Label(ProgressColumn):
    """What a row is about, as it is written: the one column that gives way where there is no room."""

    def render(self, task: Task) -> Text:
        return Text(task.description, style=task.fields.get("style", ""), no_wrap=True, overflow="ellipsis")


class _Step(ProgressColumn):
    """What a build now does."""

    def render(self, task: Task) -> Text:
        return Text(task.fields["step"], style="cyan")


class _Seconds(ProgressColumn):
    """For how long."""

    def render(self, task: Task) -> Text:
        return Text(f"{int(task.elapsed or 0)} s", style="dim")


class _Rows(Progress):
    """Rows of several kinds, each with columns of its own that are aligned among themselves. A row is one line at any width."""

    def __init__(self, out: Console, *, shown: bool, clock: Callable[[], float]) -> None:
        self._out = out
        spinner, label = SpinnerColumn(), _Label()
        self._kinds: dict[str, tuple[ProgressColumn, ...]] = {  # from top to bottom
            "stage": (spinner, label, TimeElapsedColumn()),
            "bytes": (spinner, label, BarColumn(bar_width=30), DownloadColumn(), TransferSpeedColumn()),
            "queue": (spinner, label),
            "build": (spinner, label, _Step(), _Seconds()),
        }
        # rich tells where the rows stand when it renders, and writes later: what another thread writes between would be wiped out. So one
        # thread at a time draws or says something, those of rich's own making too.
        self._drawing = threading.RLock()
        self._over = threading.Event()
        self._drawer = threading.Thread(target=self._draw, name="rows", daemon=True)
        super().__init__(console=out, auto_refresh=False, transient=True, disable=not shown, get_time=clock)

    def start(self) -> None:
        super().start()
        if not self.disable:
            self._drawer.start()

    def stop(self) -> None:
        self._over.set()
        if self._drawer.is_alive():
            self._drawer.join()
        with self._drawing:
            super().stop()

    def refresh(self) -> None:
        with self._drawing:
            super().refresh()

    def say(self, *lines: Text) -> None:
        """Print lines that stay, above the rows."""
        with self._drawing:
            for line in lines:
                self._out.print(line)

    def _draw(self) -> None:
        while not self._over.wait(_FRAME):
            self.refresh()

    def get_renderables(self) -> Iterable[RenderableType]:
        tasks = self.tasks
        left_out = (BarColumn, TransferSpeedColumn, _Step) if self._out.width < _ROOMY else ()
        for kind, shown in self._kinds.items():
            columns = [column for column in shown if not isinstance(column, left_out)]
            # rich narrows columns first that may wrap; a label's text then does not.
            table = Table.grid(*(Column(no_wrap=not isinstance(column, _Label)) for column in columns), padding=(0, 1))
            for task in tasks:
                if task.fields["kind"] == kind and not (kind == "build" and (task.elapsed or 0) < _BRIEF):
                    table.add_row(*(column(task) for column in columns))
            if table.row_count:
                yield table


class ConsoleReporter(Reporter):
    """Shows events of at least the wanted weight: ``quiet`` shows warnings only, ``verbose`` shows details too.

    Rows that move are for a person at a terminal: not for a pipe or a file, nor where CI or NO_COLOR is set.
    """

    def __init__(self, *, quiet: bool = False, verbose: int = 0, clock: Callable[[], float] = time.monotonic) -> None:
        out = console()
        self._quiet = quiet
        self._verbose = verbose
        self._lock = threading.Lock()
        self._bars = _watched(out) and not quiet
        self._progress = _Rows(out, shown=self._bars, clock=clock)
        self._whole: TaskID | None = None
        self._stage: TaskID | None = None
        self._queue: TaskID | None = None
        self._files: dict[str, TaskID] = {}
        self._builds: dict[str, tuple[TaskID, int]] = {}
        self._begun: set[str] = set()
        self._total = self._done = 0
        self._size: int | None = 0

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._progress.stop()
        sys.stderr.flush()

    def stage(self, name: str, *, detail: str = "") -> None:
        words = f"{_WORDS.get(name, name)}{f' ({detail})' if detail else ''}"
        if self._bars:
            with self._lock:
                if self._stage is not None:
                    self._progress.remove_task(self._stage)
                self._stage = self._progress.add_task(words, total=None, kind="stage", style="cyan")
        elif not self._quiet and self._verbose:
            self._say(words, "cyan")

    def note(self, message: str) -> None:
        if not self._quiet:
            self._say(message, "")

    def detail(self, message: str) -> None:
        if self._verbose:
            self._say(message, "dim")

    def warning(self, message: str, *, hint: str | None = None) -> None:
        lines = [Text.assemble(("warning: ", "bold yellow"), message)]
        if hint:
            lines.append(Text.assemble(("  help: ", "bold cyan"), hint))
        self._progress.say(*lines)

    def transfer_planned(self, *, files: int, size: int | None) -> None:
        if not files:
            return
        if not self._bars and not self._quiet:
            self._say(f"Fetching {plural(files, 'file')}", "")
        with self._lock:
            # Several fetches may be under way: the tools of a build, while other files still arrive.
            self._size = self._size + size if self._size is not None and size is not None else None
            self._total += files
            if not self._bars:
                return
            if self._whole is None:
                self._whole = self._progress.add_task(plural(self._total, "file"), total=self._size, kind="bytes", style="bold")
            else:
                self._progress.update(self._whole, total=self._size, description=self._so_far())

    def transfer_started(self, name: str, *, size: int | None) -> None:
        with self._lock:
            if self._bars and name not in self._files:
                self._files[name] = self._progress.add_task(f"  {name[:48]}", total=size, kind="bytes")

    def transfer_advanced(self, name: str, *, amount: int) -> None:
        if self._bars:
            with self._lock:
                if name in self._files:
                    self._progress.advance(self._files[name], amount)
                if self._whole is not None:
                    self._progress.advance(self._whole, amount)

    def transfer_finished(self, name: str) -> None:
        self._ended(name)
        if self._verbose:
            self._say(f"fetched {name}", "dim")

    def transfer_failed(self, name: str) -> None:
        self._ended(name)

    def transfer_retried(self, name: str, *, reason: str, wait: float) -> None:
        if not self._quiet:
            self._say(f"{name}: {reason}; again in {wait:.1f} s", "yellow")

    def job_started(self, name: str) -> None:
        with self._lock:
            self._hold(name)

    def job_ended(self, name: str) -> None:
        with self._lock:
            self._release(name)

    def build_started(self, name: str) -> None:
        with self._lock:
            first = name not in self._begun
            self._begun.add(name)
            self._hold(name)
        if first and not self._bars and not self._quiet:
            self._say(f"Building {_plain(name)}", "")

    def build_step(self, name: str, step: str) -> None:
        with self._lock:
            if name in self._builds:
                self._progress.update(self._builds[name][0], step=step)
        if not self._bars:
            self.detail(f"{_plain(name)}: {step}")

    def build_waiting(self, name: str, on: Sequence[str]) -> None:
        # What is to be made may wait for a part of itself, which tells nobody anything.
        others = [_plain(other) for other in on if other != name]
        if others:
            self.detail(f"{_plain(name)} waits for {', '.join(others)}")

    def build_finished(self, name: str, *, wheel: str | None, seconds: float) -> None:
        with self._lock:
            self._release(name)
        if not self._quiet:
            if wheel is not None:
                self._say(f"Built {_plain(wheel)} in {seconds:.1f} s", "")
            else:
                self._say(f"{_plain(name)} could not be built ({seconds:.1f} s)", "red")

    def build_queue(self, *, done: int, failed: int, running: int, waiting: int) -> None:
        if not self._bars:
            return
        lost = f", {failed} failed" if failed else ""
        words = f"{done + failed} of {done + failed + running + waiting} done{lost}, {running} running, {waiting} waiting"
        with self._lock:
            if not running and not waiting:
                if self._queue is not None:
                    self._progress.remove_task(self._queue)
                    self._queue = None
            elif self._queue is None:
                self._queue = self._progress.add_task(words, total=None, kind="queue", style="bold")
            else:
                self._progress.update(self._queue, description=words)

    def _ended(self, name: str) -> None:
        with self._lock:
            self._done += 1
            task = self._files.pop(name, None)
            if task is not None:
                self._progress.remove_task(task)
            if self._whole is not None:
                self._progress.update(self._whole, description=self._so_far())
            if self._done >= self._total:
                if self._whole is not None:
                    self._progress.remove_task(self._whole)
                self._whole, self._total, self._done, self._size = None, 0, 0, 0

    def _so_far(self) -> str:
        return f"{self._done} of {plural(self._total, 'file')}"

    def _hold(self, name: str) -> None:
        """Show a row for what is made, if there is none; it stays until all that hold it have released it."""
        if not self._bars:
            return
        row, holders = self._builds.get(name) or (self._progress.add_task(f"  {_plain(name)}", total=None, kind="build", step=""), 0)
        self._builds[name] = (row, holders + 1)

    def _release(self, name: str) -> None:
        if name not in self._builds:
            return
        row, holders = self._builds.pop(name)
        if holders > 1:
            self._builds[name] = (row, holders - 1)
        else:
            self._progress.remove_task(row)

    def _say(self, message: str, style: str) -> None:
        self._progress.say(Text(message, style=style))


def _watched(out: Console) -> bool:
    """True if a person sees what is drawn: at a terminal that can be redrawn, which is not a service's log."""
    automated = variables().get("CI", "").lower() not in ("", "0", "false")
    return out.file.isatty() and out.is_interactive and not out.no_color and not automated


def _plain(name: str) -> str:
    """A name that came from outside, in one line and without what moves a cursor."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in name)

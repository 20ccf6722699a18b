"""Progress on standard error: bars where a person looks on, plain lines elsewhere."""

from __future__ import annotations

import sys
import threading
import time
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
    TextColumn,
    TimeElapsedColumn,
    TransferSpeedColumn,
)
from rich.text import Text

from hardtack.cli.output import console, plural
from hardtack.reporting import Reporter

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


class _Of(ProgressColumn):
    """A column that only some rows show: those that count bytes, or those that do not."""

    def __init__(self, inner: ProgressColumn, *, counts: bool) -> None:
        super().__init__()
        self._inner = inner
        self._counts = counts

    def render(self, task: Task) -> RenderableType:
        if bool(task.fields.get("counts")) is not self._counts:
            return Text()
        return self._inner(task)


class ConsoleReporter(Reporter):
    """Shows events of at least the wanted weight: ``quiet`` shows warnings only, ``verbose`` shows details too."""

    def __init__(self, *, quiet: bool = False, verbose: int = 0) -> None:
        self._console: Console = console()
        self._quiet = quiet
        self._verbose = verbose
        self._lock = threading.Lock()
        self._bars = self._console.is_terminal and not quiet
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            _Of(TimeElapsedColumn(), counts=False),
            _Of(BarColumn(bar_width=30), counts=True),
            _Of(DownloadColumn(), counts=True),
            _Of(TransferSpeedColumn(), counts=True),
            console=self._console,
            transient=True,
            disable=not self._bars,
        )
        self._whole: TaskID | None = None
        self._stage: TaskID | None = None
        self._files: dict[str, TaskID] = {}
        self._total = 0
        self._done = 0
        self._began = time.monotonic()

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
                self._stage = self._progress.add_task(f"[cyan]{words}", total=None)
        elif not self._quiet and self._verbose:
            self._say(words, "cyan")

    def note(self, message: str) -> None:
        if not self._quiet:
            self._say(message, "")

    def detail(self, message: str) -> None:
        if self._verbose:
            self._say(message, "dim")

    def warning(self, message: str, *, hint: str | None = None) -> None:
        text = Text.assemble(("warning: ", "bold yellow"), message)
        self._progress.console.print(text)
        if hint:
            self._progress.console.print(Text.assemble(("  help: ", "bold cyan"), hint))

    def transfer_planned(self, *, files: int, size: int | None) -> None:
        self._total = files
        if files and not self._bars and not self._quiet:
            self._say(f"Fetching {plural(files, 'file')}", "")
        if files and self._bars:
            with self._lock:
                self._whole = self._progress.add_task(f"[bold]{plural(files, 'file')}", total=size, counts=True)

    def transfer_started(self, name: str, *, size: int | None) -> None:
        if self._bars:
            with self._lock:
                self._files[name] = self._progress.add_task(f"  {name[:48]}", total=size, counts=True)

    def transfer_advanced(self, name: str, *, amount: int) -> None:
        if self._bars:
            with self._lock:
                if name in self._files:
                    self._progress.advance(self._files[name], amount)
                if self._whole is not None:
                    self._progress.advance(self._whole, amount)

    def transfer_finished(self, name: str) -> None:
        with self._lock:
            self._done += 1
            task = self._files.pop(name, None)
            if task is not None:
                self._progress.remove_task(task)
            if self._whole is not None:
                self._progress.update(self._whole, description=f"[bold]{self._done} of {plural(self._total, 'file')}")
                if self._done == self._total:
                    self._progress.remove_task(self._whole)
                    self._whole = None
        if self._verbose:
            self._say(f"fetched {name}", "dim")

    def transfer_retried(self, name: str, *, reason: str, wait: float) -> None:
        if not self._quiet:
            self._say(f"{name}: {reason}; again in {wait:.1f} s", "yellow")

    def build_started(self, name: str) -> None:
        if not self._quiet:
            self._say(f"Building {name}", "")

    def build_finished(self, name: str, *, wheel: str | None, seconds: float) -> None:
        if not self._quiet:
            self._say(f"Built {wheel} in {seconds:.1f} s" if wheel else f"{name} could not be built ({seconds:.1f} s)", "")

    def _say(self, message: str, style: str) -> None:
        self._progress.console.print(Text(message, style=style))

"""How the rooms tell what they do: an observer that does nothing unless someone listens.

Rooms call these methods, from any thread; only ``cli`` overrides them. One method is one event.
"""

from __future__ import annotations

from collections.abc import Sequence


class Reporter:
    """The silent observer. Subclass and override what you want to see."""

    def stage(self, name: str, *, detail: str = "") -> None:
        """A stage of the data's way begins: "reading", "locking", "fetching", "building", "stowing", "proving"."""

    def note(self, message: str) -> None:
        """Something worth knowing, shown by default."""

    def detail(self, message: str) -> None:
        """Something worth knowing for those who asked with ``-v``."""

    def warning(self, message: str, *, hint: str | None = None) -> None:
        """Something that the user should look at, though the run goes on."""

    def transfer_planned(self, *, files: int, size: int | None) -> None:
        """So many files, of so many bytes in all where every size is known, are about to be fetched."""

    def transfer_started(self, name: str, *, size: int | None) -> None:
        """A file's bytes begin to arrive; ``size`` in bytes where the index or the server gives one."""

    def transfer_advanced(self, name: str, *, amount: int) -> None:
        """``amount`` more bytes of a file have arrived (negative when a retry had to start over)."""

    def transfer_finished(self, name: str) -> None:
        """A file is whole, matches its digest, and is in the store."""

    def transfer_failed(self, name: str) -> None:
        """A file could not be had; why is told by whoever asked for it."""

    def transfer_retried(self, name: str, *, reason: str, wait: float) -> None:
        """A file's transfer broke for ``reason`` and is tried again after ``wait`` seconds."""

    def job_started(self, name: str) -> None:
        """A thread begins to work on something that becomes a wheel: it is asked, archived or built. Several may do so under one name."""

    def job_ended(self, name: str) -> None:
        """It no longer does, for whatever reason."""

    def build_started(self, name: str) -> None:
        """A source begins to be built into a wheel."""

    def build_step(self, name: str, step: str) -> None:
        """What is now done for it, as a short gerund: "asking for requirements", "installing tools", "building", "repairing"."""

    def build_waiting(self, name: str, on: Sequence[str]) -> None:
        """It cannot go on before those are made, and will be begun anew."""

    def build_finished(self, name: str, *, wheel: str | None, seconds: float) -> None:
        """A build ended, with its wheel's file name or, where it failed, None."""

    def build_queue(self, *, done: int, failed: int, running: int, waiting: int) -> None:
        """How many names of all that are to be made are where; ``failed`` are also those that can never be begun."""

    def checked(self, *, done: int, total: int) -> None:
        """So many of the wheelhouse's files have been judged."""

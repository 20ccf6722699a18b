"""How a running call is told to stop: SIGINT closes sockets and ends process groups through this."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from hardtack.errors import Cancelled


class Cancellation:
    """A stop signal that blocking calls hand their own end to.

    >>> stop = Cancellation()
    >>> with stop.calls(lambda: print("closed")):
    ...     stop.cancel()
    closed
    """

    def __init__(self) -> None:
        self._event = threading.Event()
        # Reentrant: a signal handler may cancel while its own thread is in here.
        self._lock = threading.RLock()
        self._callbacks: dict[int, Callable[[], None]] = {}
        self._next = 0

    @property
    def cancelled(self) -> bool:
        """True once ``cancel`` was called."""
        return self._event.is_set()

    def check(self) -> None:
        """Raise Cancelled if the run is to stop."""
        if self._event.is_set():
            raise Cancelled("interrupted")

    def wait(self, seconds: float) -> None:
        """Sleep, but wake and raise Cancelled as soon as the run is to stop."""
        if self._event.wait(seconds):
            raise Cancelled("interrupted")

    def cancel(self) -> None:
        """Stop everything: run each registered callback once, from this thread. Safe to call twice, and from a signal handler's thread."""
        self._event.set()
        with self._lock:
            callbacks = list(self._callbacks.values())
            self._callbacks.clear()
        for callback in callbacks:
            callback()

    @contextmanager
    def calls(self, callback: Callable[[], None]) -> Iterator[None]:
        """While the block runs, ``cancel`` calls ``callback`` (which must not raise)."""
        with self._lock:
            key = self._next
            self._next += 1
            self._callbacks[key] = callback
        try:
            self.check()
            yield
        finally:
            with self._lock:
                self._callbacks.pop(key, None)

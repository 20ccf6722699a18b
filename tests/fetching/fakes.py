"""A transport without a network that can corrupt, truncate, withhold and delay; and a reporter that keeps what it is told."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Self

from hardtack.errors import TransferFault
from hardtack.indexing.http import Headers
from hardtack.reporting import Reporter


@dataclass
class Reply:
    """One answer. ``cut``: the body breaks off after so many bytes (``reset``: with an error); ``hang``: after so many, nothing comes.

    ``pieces``: at most so many bytes a read, after a ``pause`` in seconds. ``announce`` is the length that is told, "true" for the body's
    own, None for none. ``endless`` repeats the body for ever.
    """

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None
    hang: int | None = None
    pieces: int = 1 << 20
    announce: int | str | None = "true"
    endless: bool = False
    reset: bool = False
    pause: float = 0.0


@dataclass(frozen=True)
class Request:
    """What was asked."""

    url: str
    headers: dict[str, str]


class FakeResponse:
    """A Reply as it is read."""

    def __init__(self, reply: Reply, url: str) -> None:
        self._reply = reply
        self._at = 0
        self._closed = threading.Event()
        self.status = reply.status
        self.url = url
        self.headers: Mapping[str, str] = Headers(reply.headers)
        self.length: int | None = reply.announce if isinstance(reply.announce, int) else None
        if reply.announce == "true" and not reply.endless:
            self.length = len(reply.body)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def readinto(self, buffer: memoryview | bytearray) -> int:
        reply = self._reply
        if self._closed.is_set():
            raise ValueError("read of closed file")
        if reply.pause:
            self._closed.wait(reply.pause)
        if reply.hang is not None and self._at >= reply.hang:
            self._closed.wait(20)
            raise TransferFault("closed")
        if reply.cut is not None and self._at >= reply.cut:
            if reply.reset:
                raise ConnectionResetError("connection reset by peer")
            return 0
        if reply.endless:
            count = min(len(buffer), reply.pieces)
            buffer[:count] = (reply.body * (count // len(reply.body) + 1))[:count]
            self._at += count
            return count
        end = min(len(reply.body), self._at + len(buffer), self._at + reply.pieces)
        if reply.cut is not None:
            end = min(end, reply.cut)
        if reply.hang is not None:
            end = min(end, reply.hang)
        count = end - self._at
        buffer[:count] = reply.body[self._at : end]
        self._at = end
        return count

    def read(self, limit: int) -> bytes:
        return self._reply.body[:limit]

    def close(self) -> None:
        self._closed.set()

    def abort(self) -> None:
        self._closed.set()


Answer = Reply | Exception | Callable[[Request], Reply]


class FakeTransport:
    """Answers from a script: each URL has a list of answers, of which the last is given again and again. Serves Range by ``ranged``."""

    def __init__(self, answers: Mapping[str, Answer | list[Answer]]) -> None:
        self._answers = {url: list(answer) if isinstance(answer, list) else [answer] for url, answer in answers.items()}
        self._lock = threading.Lock()
        self.requests: list[Request] = []

    def open(self, url: str, *, headers: Mapping[str, str] | None = None, method: str = "GET") -> FakeResponse:
        request = Request(url, dict(headers or {}))
        with self._lock:
            self.requests.append(request)
            script = self._answers.get(url, [Reply(status=404)])
            answer = script.pop(0) if len(script) > 1 else script[0]
        if isinstance(answer, Exception):
            raise answer
        return FakeResponse(answer if isinstance(answer, Reply) else answer(request), url)

    def urls(self) -> list[str]:
        """What was asked, in order."""
        return [request.url for request in self.requests]


def ranged(body: bytes, *, etag: str | None = None) -> Callable[[Request], Reply]:
    """An answer like a good server's: it knows Range and If-Range."""

    def answer(request: Request) -> Reply:
        headers = {"ETag": etag} if etag else {}
        asked = request.headers.get("Range")
        fits = "If-Range" not in request.headers or request.headers["If-Range"] == etag
        if asked and fits:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= len(body):
                return Reply(status=416, headers={"Content-Range": f"bytes */{len(body)}"})
            return Reply(body[start:], status=206, headers={**headers, "Content-Range": f"bytes {start}-{len(body) - 1}/{len(body)}"})
        return Reply(body, headers=headers)

    return answer


class Watcher(Reporter):
    """Keeps every event of the transfers."""

    def __init__(self) -> None:
        self.planned: list[tuple[int, int | None]] = []
        self.started: list[str] = []
        self.finished: list[str] = []
        self.failed: list[str] = []
        self.retried: list[tuple[str, str, float]] = []
        self.warnings: list[str] = []
        self.shown: dict[str, int] = {}

    def transfer_planned(self, *, files: int, size: int | None) -> None:
        self.planned.append((files, size))

    def transfer_started(self, name: str, *, size: int | None) -> None:
        self.started.append(name)

    def transfer_advanced(self, name: str, *, amount: int) -> None:
        self.shown[name] = self.shown.get(name, 0) + amount

    def transfer_finished(self, name: str) -> None:
        self.finished.append(name)

    def transfer_failed(self, name: str) -> None:
        self.failed.append(name)

    def transfer_retried(self, name: str, *, reason: str, wait: float) -> None:
        self.retried.append((name, reason, wait))

    def warning(self, message: str, *, hint: str | None = None) -> None:
        self.warnings.append(message)

"""One file on its way: asked for, hashed as it streams, broken off, gone on with, and kept only if it is what was promised."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from hardtack.errors import HardtackError, HashMismatch, IndexDenied, IndexFault, IntegrityError, Offline, TransferFault
from hardtack.indexing.address import shown
from hardtack.model.lock import HashSource
from hardtack.reporting import Reporter
from hardtack.system.cancellation import Cancellation
from hardtack.system.files import disk_faults

if TYPE_CHECKING:
    from hardtack.indexing.http import Response, Transport

BUFFER = 256 * 1024
_FIRST_READ = 16 * 1024
_QUICK_READ = 0.25
_TOLD_EVERY = 0.1
# 408, 425 and 429 ask to come back; a 5xx is the server's trouble, not an answer.
_COME_BACK = frozenset({408, 425, 429})
_GONE = frozenset({404, 410})
# So often a host is tried that cannot even be reached.
_UNREACHED = 3
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchLimits:
    """When to give up. Times in seconds, sizes in bytes.

    ``stall``: a file that got no new byte for so long, waits included, has failed. ``silence``: a connection that brought fewer than
    ``slowest`` bytes for so long is dropped and made anew. ``attempts``: so many in a row without a new byte, ``attempts_in_all`` with.
    ``backoff``: the first wait, doubled each time up to ``longest_wait``. ``largest``: the most that is taken of a file, which ends one
    whose size nobody states.
    """

    stall: float = 60.0
    silence: float = 30.0
    slowest: int = 1024
    attempts: int = 6
    attempts_in_all: int = 50
    backoff: float = 0.5
    longest_wait: float = 15.0
    largest: int = 16 << 30

    @classmethod
    def within(cls, *, timeout: float, retries: int) -> FetchLimits:
        """The limits of a user who says how long to wait without progress, in seconds, and how often to try again."""
        return cls(stall=timeout, silence=timeout / 2, attempts=retries + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A file to fetch. ``urls`` are hints, tried in order; ``size`` in bytes; ``hash_source`` says who stated ``sha256``.

    ``other_hashes`` ("algorithm:digest") are what was stated where no sha256 was.
    """

    filename: str
    urls: tuple[str, ...]
    sha256: str | None = None
    size: int | None = None
    index: str | None = None
    hash_source: HashSource = "lock"
    other_hashes: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """What makes two wanted files one: the digest, else where the file comes from."""
        return self.sha256 or "\n".join((self.index or "", self.filename, *self.urls[:1]))

    @property
    def place(self) -> str:
        """The file in an error's words."""
        return f"{self.filename} ({self.index})" if self.index else self.filename


@dataclass(frozen=True, slots=True)
class Landed:
    """What a transfer brought: a whole file under a partial name. ``received``: how many bytes crossed the wire for it."""

    sha256: str
    size: int
    received: int


class Hosts:
    """What the transfers of one run know of the hosts together, so that a dead one is not waited for once a file."""

    _STRIKES = 3

    def __init__(self) -> None:
        self._strikes: dict[str, int] = {}

    def gave(self, host: str) -> None:
        """A byte of some file came from the host."""
        if host in self._strikes:
            self._strikes.pop(host, None)

    def failed(self, host: str) -> None:
        """A file was given up on the host."""
        self._strikes[host] = self._strikes.get(host, 0) + 1

    def hopeless(self, host: str) -> bool:
        """True if several files were given up there, and nothing has come since."""
        return self._strikes.get(host, 0) >= self._STRIKES


class _Broken(Exception):
    def __init__(self, reason: str, *, wait: float | None = None, restart: bool = False, fault: HardtackError | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.wait = wait
        self.restart = restart
        self.fault = fault


class _Refused(Exception):
    def __init__(self, reason: str, *, hint: str | None = None) -> None:
        super().__init__(reason)
        self.error = TransferFault(reason, hint=hint)


class Transfer:
    """The attempts to bring one file into ``path``. Runs in one thread; ``watch`` is called from another.

    With a stated digest, what ``path`` holds already is gone on with; without one it is overwritten. After ``run`` has failed, ``path``
    holds bytes only if a later run can go on with them.
    """

    def __init__(
        self,
        wanted: Wanted,
        path: Path,
        *,
        transport: Transport,
        reporter: Reporter,
        stop: Cancellation,
        limits: FetchLimits,
        buffer: memoryview,
        hosts: Hosts,
        locate: Callable[[Wanted], str | None] | None = None,
    ) -> None:
        self._wanted = wanted
        self._path = path
        self._transport = transport
        self._reporter = reporter
        self._stop = stop
        self._limits = limits
        self._buffer = buffer
        self._hosts = hosts
        self._locate = locate
        self._response: Response | None = None
        self._started = self._stalled = self._doubted = False
        self._progress = self._window = time.monotonic()
        self._window_bytes = self._received = self._untold = 0
        self._told_at = 0.0
        # The file as it is on disk: how much of it, its running digest, in how many parts it came, and the server's name for this
        # version of it. ``_furthest`` is how far any attempt came.
        self._offset = self._parts = self._furthest = 0
        self._digests = self._new_digests()
        self._validator: str | None = None

    def run(self) -> Landed:
        """Fetch the file. Raises HashMismatch, TransferFault or another HardtackError, DiskFault and Cancelled among them."""
        with disk_faults(self._path, doing="cannot write the cache"):
            # Not truncated: what a run before this one left is gone on with.
            stream = open(self._path, "r+b", buffering=0, opener=_creating)  # noqa: SIM115 - the with is the next line
        with stream:
            try:
                self._take_up(stream)
                reasons: list[HardtackError] = []
                for url in self._urls(reasons):
                    try:
                        return self._from(url, stream)
                    except _Refused as refused:
                        reasons.append(refused.error)
                        self._start_over(stream)
                    except IndexFault as fault:
                        reasons.append(fault)
                    if self._wanted.sha256 is None:
                        self._start_over(stream)
                raise self._failure(reasons)
            except HashMismatch:
                self._start_over(stream)
                raise
            finally:
                self._tell()

    def watch(self, now: float) -> None:
        """Drop the connection if too little has come of it; ``now`` is a monotonic time. Called now and then by a thread that waits."""
        response = self._response
        if response is None or now - self._window < self._limits.silence:
            return
        if self._window_bytes < self._limits.slowest:
            self._stalled = True
            # Never close(): that would wait for the reader.
            response.abort()
        self._window, self._window_bytes = now, 0

    def _urls(self, reasons: list[HardtackError]) -> Iterator[str]:
        yield from self._wanted.urls
        if self._locate is not None and not any(isinstance(reason, Offline) for reason in reasons):
            try:
                url = self._locate(self._wanted)
            except IndexFault as fault:
                reasons.append(fault)
                return
            if url is not None and url not in self._wanted.urls:
                yield url

    def _failure(self, reasons: list[HardtackError]) -> HardtackError:
        """The weightiest reason, with the others told beside it."""
        if not reasons:
            return TransferFault(
                "nobody says where this file is", where=self._wanted.place, hint="lock again, or name the index that has it"
            )
        weight: dict[type[HardtackError], int] = {Offline: 0, IndexDenied: 1, IndexFault: 2}
        first = min(reasons, key=lambda reason: weight.get(type(reason), 3))
        others = [reason.reason for reason in reasons if reason is not first and reason.reason != first.reason]
        if others:
            first.reason = f"{first.reason}; also tried: {'; '.join(others)}"
        return first.at(self._wanted.place)

    def _from(self, url: str, stream: FileIO) -> Landed:
        """Attempt one URL until it gives the file or is given up."""
        host = urlsplit(url).netloc.rpartition("@")[2]
        if self._hosts.hopeless(host):
            raise TransferFault(f"not tried: {host} gave nothing of several other files ({shown(url)})", hint="run again when it answers")
        self._progress = time.monotonic()
        self._validator = None
        failures = attempts = 0
        while True:
            attempts += 1
            before = self._furthest
            try:
                return self._attempt(url, host, stream)
            except _Broken as fault:
                broken = fault
            except (IndexDenied, Offline):
                raise
            except IndexFault as fault:
                # No connection, no name, no answer: what heals by itself cannot be told from what does not.
                broken = _Broken(fault.reason, fault=fault)
            self._stop.check()
            if broken.restart:
                self._start_over(stream)
            failures = 1 if self._furthest > before else failures + 1
            left = self._limits.stall - (time.monotonic() - self._progress)
            if failures >= (_UNREACHED if broken.fault else self._limits.attempts) or attempts >= self._limits.attempts_in_all or left <= 0:
                self._hosts.failed(host)
                raise broken.fault or self._given_up(url, broken)
            # Half of the wait is chance, so that what broke together does not come back together.
            wait = min(self._limits.backoff * 2 ** (failures - 1), self._limits.longest_wait) * random.uniform(0.5, 1)  # noqa: S311
            wait = min(max(wait, broken.wait or 0.0), left)
            self._tell()
            self._reporter.transfer_retried(self._wanted.filename, reason=broken.reason, wait=wait)
            self._stop.wait(wait)

    def _given_up(self, url: str, broken: _Broken) -> TransferFault:
        hint = "run again: what has arrived is kept" if self._wanted.sha256 and self._offset else "run again later"
        if broken.wait is not None and broken.wait > self._limits.stall:
            hint = f"the server asks to wait {broken.wait:.0f} s; run again then"
        return TransferFault(f"given up: {broken.reason} ({shown(url)})", hint=hint)

    def _attempt(self, url: str, host: str, stream: FileIO) -> Landed:
        wanted = self._wanted
        if wanted.sha256 is not None and self._offset and self._offset == wanted.size:
            return self._judge(whole=False)
        if wanted.sha256 is None and self._validator is None:
            # Without a digest or the server's name for this version, two parts could be of two files.
            self._start_over(stream)
        self._stalled = False
        with self._faults():
            response = self._transport.open(url, headers=self._headers())
        with response, self._stop.calls(response.abort):
            self._check_status(response, url, stream)
            length = self._expected(response, url)
            if not self._started:
                self._started = True
                self._reporter.transfer_started(wanted.filename, size=wanted.size or (None if length is None else self._offset + length))
            self._window, self._window_bytes = time.monotonic(), 0
            self._response = response
            try:
                self._receive(response, url, host, stream, length)
            finally:
                self._response = None
        return self._judge(whole=length is not None)

    @contextlib.contextmanager
    def _faults(self) -> Iterator[None]:
        """What breaks while a connection is read, whatever its kind, is a broken attempt, and its cause is who broke it."""
        from http.client import HTTPException

        try:
            yield
        except (OSError, HTTPException, ValueError, AttributeError, IndexFault) as error:
            # ValueError and AttributeError: the standard library's words for a read from what another thread has closed.
            self._stop.check()
            if self._stalled:
                raise _Broken(self._stall_words()) from error
            if isinstance(error, IndexFault) and not isinstance(error, TransferFault):
                raise
            raise _Broken(str(error) or type(error).__name__) from error

    def _headers(self) -> dict[str, str]:
        # Bytes as they are stored: a digest is of those.
        headers = {"Accept-Encoding": "identity"}
        if self._offset:
            headers["Range"] = f"bytes={self._offset}-"
            if self._validator:
                headers["If-Range"] = self._validator
        return headers

    def _check_status(self, response: Response, url: str, stream: FileIO) -> None:
        """Take the answer's status; after it, the disk holds exactly what comes before the answer's first byte."""
        status, headers = response.status, response.headers
        if status == 206 and self._offset:
            match = _CONTENT_RANGE.fullmatch((headers.get("Content-Range") or "").strip())
            if match and int(match[1]) == self._offset:
                return
            raise _Broken("the server sent another part of the file than was asked for", restart=True)
        if status == 416 and self._offset:
            raise _Broken("the file on the server is another, or shorter than what had arrived", restart=True)
        if status == 200:
            self._start_over(stream)
            if self._wanted.sha256 is None:
                self._distrust(headers, url)
            self._validator = _validator(headers)
            return
        if status in _GONE:
            raise _Refused(
                f"{shown(url)} is not there (status {status})", hint="it may have been deleted: lock again, or name the index that has it"
            )
        if status in _COME_BACK or status >= 500:
            raise _Broken(f"status {status}", wait=_retry_after(headers, time.time()))
        raise _Refused(f"{shown(url)} answers with status {status}")

    def _distrust(self, headers: Mapping[str, str], url: str) -> None:
        """Where no digest will tell, see at least that the answer claims to be the file."""
        name = self._wanted.filename
        media = (headers.get("Content-Type") or "").partition(";")[0].strip().lower()
        if media in ("text/html", "application/xhtml+xml") and not name.endswith((".html", ".htm")):
            raise _Refused(f"{shown(url)} answers with a web page instead of the file", hint="does the index ask for a login?")
        encoding = (headers.get("Content-Encoding") or "identity").strip().lower()
        # Servers call a .tar.gz so, and send it as it is.
        if encoding != "identity" and not name.endswith((".gz", ".tgz")):
            raise _Refused(f"{shown(url)} answers with an encoding ({encoding}) that was not asked for")

    def _expected(self, response: Response, url: str) -> int | None:
        """How many bytes this answer has, None where nobody says."""
        stated, length = self._wanted.size, response.length
        if length is None:
            return None if stated is None else stated - self._offset
        total = self._offset + length
        if stated is not None and total != stated:
            raise _Refused(f"{shown(url)} has {total} bytes, but {self._who()} states {stated}")
        if total > self._limits.largest:
            raise _Refused(f"{shown(url)} has {total} bytes, more than the {self._limits.largest} that are taken of any file")
        return length

    def _receive(self, response: Response, url: str, host: str, stream: FileIO, length: int | None) -> None:
        most = self._limits.largest - self._offset if length is None else length
        buffer, digests = self._buffer, tuple(self._digests.values())
        got, want = 0, _FIRST_READ
        last = time.monotonic()
        self._parts += 1
        while True:
            with self._faults():
                # One byte more than is due tells a longer file from one that ends.
                count = response.readinto(buffer[: min(want, most - got + 1)])
            self._stop.check()
            if not count:
                break
            now = time.monotonic()
            got += count
            if got > most:
                raise _Refused(f"{shown(url)} is longer than the {self._offset - got + count + most} bytes that are taken of it")
            piece = buffer[:count]
            for digest in digests:
                digest.update(piece)
            with disk_faults(self._path, doing="cannot write the cache"):
                written = stream.write(piece)
                while written < count:
                    written += stream.write(piece[written:])
            self._offset += count
            self._received += count
            self._window_bytes += count
            self._untold += count
            if self._offset > self._furthest:
                self._furthest = self._offset
            self._progress = now
            if now - self._told_at > _TOLD_EVERY:
                self._hosts.gave(host)
                self._told_at = now
                self._tell()
            # Large reads on a fast line only: a read is not seen to get on before it is full.
            if count == want < BUFFER and now - last < _QUICK_READ:
                want *= 2
            last = now
        if self._stalled:
            raise _Broken(self._stall_words())
        if length is not None and got < length:
            raise _Broken(f"the connection ended after {self._offset} of {self._offset - got + length} bytes")

    def _judge(self, *, whole: bool) -> Landed:
        """Compare the digest. A file that came in parts, or whose end nobody announced, is fetched once more before it is denied."""
        wanted = self._wanted
        stated = [("sha256", wanted.sha256)] if wanted.sha256 else [tuple(text.split(":", 1)) for text in wanted.other_hashes]
        for algorithm, expected in stated:
            if algorithm not in self._digests or (actual := self._digests[algorithm].hexdigest()) == expected.lower():
                continue
            if (self._parts != 1 or not whole) and not self._doubted:
                self._doubted = True
                raise _Broken("the parts that arrived do not make up the file", restart=True)
            raise HashMismatch(file=wanted.place, expected=expected, actual=actual, source=self._who(), algorithm=algorithm)
        return Landed(self._digests["sha256"].hexdigest(), self._offset, self._received)

    def _take_up(self, stream: FileIO) -> None:
        """Hash what is kept of an earlier run."""
        size = os.fstat(stream.fileno()).st_size
        if self._wanted.sha256 is None or (self._wanted.size is not None and size > self._wanted.size):
            stream.truncate(0)
            return
        while count := stream.readinto(self._buffer):
            self._digests["sha256"].update(self._buffer[:count])
            self._offset += count
            self._stop.check()
        if self._offset:
            self._parts, self._furthest, self._untold = 1, self._offset, self._offset

    def _start_over(self, stream: FileIO) -> None:
        if self._offset:
            self._tell()
            self._reporter.transfer_advanced(self._wanted.filename, amount=-self._offset)
            stream.seek(0)
            stream.truncate(0)
        self._offset, self._parts, self._validator = 0, 0, None
        self._digests = self._new_digests()

    def _new_digests(self) -> dict[str, hashlib._Hash]:
        stated = [text.partition(":")[0] for text in self._wanted.other_hashes] if self._wanted.sha256 is None else []
        known = [name for name in stated if name in hashlib.algorithms_available and not name.startswith("shake")]
        if stated and not known:
            raise IntegrityError(
                f"its digest is stated only by {', '.join(stated)}, which this Python cannot compute",
                where=self._wanted.place,
                hint="lock again, so that a sha256 is recorded",
            )
        return {name: hashlib.new(name) for name in ("sha256", *known)}

    def _tell(self) -> None:
        if self._untold:
            amount, self._untold = self._untold, 0
            self._reporter.transfer_advanced(self._wanted.filename, amount=amount)

    def _stall_words(self) -> str:
        return f"less than {self._limits.slowest} bytes in {self._limits.silence:g} s"

    def _who(self) -> str:
        index = self._wanted.index
        return {
            "lock": "the lock",
            "index": f"the index {index!r}" if index else "the index",
            "user": "the user's own hash",
            "first-seen": "the first fetch of it",
        }[self._wanted.hash_source]


def _creating(name: str, flags: int) -> int:
    return os.open(name, flags | os.O_CREAT, 0o644)


def _validator(headers: Mapping[str, str]) -> str | None:
    """What If-Range may name (RFC 9110, 13.1.5): a strong entity tag, else the date of the last change."""
    tag = headers.get("ETag")
    if tag and not tag.startswith("W/"):
        return tag
    return headers.get("Last-Modified") if not tag else None


def _retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """The seconds that a Retry-After asks for, given as a number or as a date (RFC 9110, 10.2.3)."""
    text = (headers.get("Retry-After") or "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    if not text:
        return None
    from email.utils import parsedate_to_datetime

    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except (ValueError, OverflowError):
        return None

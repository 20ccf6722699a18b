"""Many files at once, from wherever they are into the store."""

from __future__ import annotations

import collections
import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from hardtack.errors import Cancelled, HardtackError, HashMismatch, IntegrityError
from hardtack.fetching.claim import Busy, claim, private, tidy
from hardtack.fetching.transfer import BUFFER, FetchLimits, Hosts, Landed, Transfer, Wanted
from hardtack.reporting import Reporter
from hardtack.system.cancellation import Cancellation
from hardtack.system.files import DiskFault
from hardtack.wheelhouse.store import Store

if TYPE_CHECKING:
    from hardtack.indexing.http import Transport

_TICK = 0.1
_LOOK_AGAIN = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedFile:
    """A file in the store. ``received``: bytes that crossed the wire for it, 0 if it was there.

    ``first_seen``: nobody had stated its sha256; what it is now is what it was when it was first fetched.
    """

    sha256: str
    size: int
    path: Path
    first_seen: bool = False
    received: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """What came of a fetch: a file or, in ``failures``, the reason why not, for everything that was wanted."""

    files: Mapping[Wanted, FetchedFile] = field(hash=False)
    failures: tuple[HardtackError, ...] = ()

    @property
    def received(self) -> int:
        """The bytes that crossed the wire."""
        return sum({file.sha256: file.received for file in self.files.values()}.values())


def fetch(
    files: Iterable[Wanted],
    *,
    transport: Transport,
    store: Store,
    reporter: Reporter,
    stop: Cancellation,
    jobs: int = 16,
    locate: Callable[[Wanted], str | None] | None = None,
    limits: FetchLimits = FetchLimits(),  # noqa: B008 - frozen
) -> Fetched:
    """Bring every file into the store that is not there. One file's failure stops no other; each is returned.

    A file enters the store only if its digest is the stated one. ``locate`` is asked, from any thread, for another URL once all of a
    file's own have failed. Raises Cancelled, and DiskFault (which ends the run: every file would meet it).
    """
    run = _Run(transport=transport, store=store, reporter=reporter, locate=locate, limits=limits)
    wanted = list(dict.fromkeys(files))
    tidy(store.partial_folder, stored=run.stored)
    missing = run.take_present(_merged(wanted))
    if missing:
        stop.check()
        store.clean()
        sizes = [file.size for file in missing]
        total = None if None in sizes else sum(size or 0 for size in sizes)
        reporter.transfer_planned(files=len(missing), size=total)
        # The largest first, so that none is left to trickle in alone at the end; one of unknown size may be the largest.
        missing.sort(key=lambda file: -(file.size if file.size is not None else 1 << 62))
        with stop.calls(run.stop.cancel):
            run.work(missing, jobs)
        stop.check()
    if run.fatal is not None:
        raise run.fatal
    done = {file: run.done[file.key] for file in wanted if file.key in run.done}
    return Fetched(
        files=done, failures=tuple(run.failures[key] for key in dict.fromkeys(file.key for file in wanted) if key in run.failures)
    )


def _merged(wanted: Iterable[Wanted]) -> list[Wanted]:
    """One for every distinct file, with the places that any of its wishes names."""
    merged: dict[str, Wanted] = {}
    for file in wanted:
        known = merged.get(file.key)
        if known is None:
            merged[file.key] = file
        else:
            size = known.size if known.size is not None else file.size
            merged[file.key] = replace(known, urls=tuple(dict.fromkeys(known.urls + file.urls)), size=size)
    return list(merged.values())


class _Run:
    """One fetch under way: the queue, the workers and what they brought."""

    def __init__(
        self,
        *,
        transport: Transport,
        store: Store,
        reporter: Reporter,
        locate: Callable[[Wanted], str | None] | None,
        limits: FetchLimits,
    ) -> None:
        self._transport = transport
        self._store = store
        self._reporter = reporter
        self._locate = locate
        self._limits = limits
        self._hosts = Hosts()
        self._lock = threading.Lock()
        self._queue: collections.deque[Wanted] = collections.deque()
        self._left = 0
        self._elsewhere: dict[str, tuple[int, float]] = {}
        self._moving: set[Transfer] = set()
        self._over = threading.Event()
        self.stop = Cancellation()
        self.done: dict[str, FetchedFile] = {}
        self.failures: dict[str, HardtackError] = {}
        self.fatal: BaseException | None = None

    def stored(self, name: str) -> bool:
        """True if a partial file of that name is of no more use: its file is in the store."""
        try:
            return self._store.proven(name)
        except IntegrityError:
            return False

    def take_present(self, files: Iterable[Wanted]) -> list[Wanted]:
        """Tick off what the store has by its stat alone; returns the rest."""
        missing = []
        for file in files:
            try:
                sha256 = self._digest(file)
                if sha256 is not None and self._store.proven(sha256, size=file.size):
                    self._tick_off(file, sha256)
                else:
                    missing.append(file)
            except IntegrityError as fault:
                self.failures[file.key] = fault.at(file.place)
        return missing

    def work(self, files: list[Wanted], jobs: int) -> None:
        """Fetch all of these; returns when none is left, or soon after the run was stopped."""
        self._queue.extend(files)
        self._left = len(files)
        # Daemons, so that one that hangs in a system call does not keep the process alive.
        threads = [threading.Thread(target=self._worker, name=f"fetch-{n}", daemon=True) for n in range(max(1, min(jobs, len(files))))]
        for thread in threads:
            thread.start()
        try:
            while not self._over.wait(_TICK) and not self.stop.cancelled:
                now = time.monotonic()
                with self._lock:
                    moving = tuple(self._moving)
                for transfer in moving:
                    transfer.watch(now)
        except BaseException:
            self.stop.cancel()
            raise
        finally:
            deadline = time.monotonic() + 0.7
            for thread in threads:
                thread.join(max(0.0, deadline - time.monotonic()))

    def _worker(self) -> None:
        buffer = memoryview(bytearray(BUFFER))
        while not self.stop.cancelled:
            with self._lock:
                file = self._queue.popleft() if self._queue else None
                if file is None and not self._left:
                    break
            if file is None:
                # What is left is in other hands, and may come back to the queue.
                if self._over.wait(_LOOK_AGAIN):
                    break
                continue
            try:
                self._bring(file, buffer)
            except Busy as busy:
                self._wait_for_other(file, busy)
                continue
            except (DiskFault, Cancelled) as fault:
                self._end(fault)
                return
            except HardtackError as fault:
                self.failures[file.key] = fault
                self._reporter.transfer_failed(file.filename)
            except BaseException as fault:
                self._end(fault)
                return
            with self._lock:
                self._left -= 1
        self._over.set()

    def _end(self, fault: BaseException) -> None:
        with self._lock:
            if self.fatal is None or isinstance(self.fatal, Cancelled):
                self.fatal = fault
        self.stop.cancel()
        self._over.set()

    def _wait_for_other(self, file: Wanted, busy: Busy) -> None:
        """Another process fetches this very file: do the others first, and look again."""
        now = time.monotonic()
        size, since = self._elsewhere.get(file.key, (-2, now))
        if busy.size != size:
            since = now
        self._elsewhere[file.key] = (busy.size, since)
        with self._lock:
            alone = not self._queue
            self._queue.append(file)
        if alone or len(self._elsewhere) > 1:
            self._over.wait(_LOOK_AGAIN)

    def _bring(self, file: Wanted, buffer: memoryview) -> None:
        # What was touched is hashed here, in parallel; a cache that cannot be written serves what it has.
        if self._there(file):
            return
        folder, elsewhere = self._store.partial_folder, self._elsewhere.get(file.key)
        if elsewhere is not None and time.monotonic() - elsewhere[1] > self._limits.stall:
            # Whoever has it does not get on.
            self._transfer(file, private(folder), buffer)
            return
        with claim(folder, partial_name(file)) as path:
            self._transfer(file, path, buffer)

    def _transfer(self, file: Wanted, path: Path, buffer: memoryview) -> None:
        # Another process may have brought it since.
        if self._there(file):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
            return
        transfer = Transfer(
            file,
            path,
            transport=self._transport,
            reporter=self._reporter,
            stop=self.stop,
            limits=self._limits,
            buffer=buffer,
            hosts=self._hosts,
            locate=self._locate,
        )
        with self._lock:
            self._moving.add(transfer)
        try:
            landed = transfer.run()
            self._keep(file, landed, path)
        except BaseException:
            self._leave(file, path)
            raise
        finally:
            with self._lock:
                self._moving.discard(transfer)
        self._reporter.transfer_finished(file.filename)

    def _there(self, file: Wanted) -> bool:
        sha256 = self._digest(file)
        if sha256 is None or not self._store.has(sha256, size=file.size):
            return False
        self._tick_off(file, sha256)
        self._reporter.transfer_finished(file.filename)
        return True

    def _keep(self, file: Wanted, landed: Landed, path: Path) -> None:
        if file.sha256 is None:
            memory = memory_key(file)
            known = self._store.known_digest(memory) if memory else None
            if known not in (None, landed.sha256):
                raise HashMismatch(file=file.place, expected=str(known), actual=landed.sha256, source="what was fetched from there before")
            if memory and known is None:
                self._store.remember(memory, landed.sha256)
        final = self._store.adopt(path, landed.sha256, landed.size)
        self.done[file.key] = FetchedFile(
            sha256=landed.sha256, size=landed.size, path=final, first_seen=file.sha256 is None, received=landed.received
        )

    def _leave(self, file: Wanted, path: Path) -> None:
        """Of what failed, only that stays which a later run can go on with."""
        with contextlib.suppress(OSError):
            if file.sha256 is None or path.name.startswith(".") or not os.path.getsize(path):
                path.unlink(missing_ok=True)

    def _digest(self, file: Wanted) -> str | None:
        if file.sha256 is not None:
            return file.sha256
        memory = memory_key(file)
        return self._store.known_digest(memory) if memory else None

    def _tick_off(self, file: Wanted, sha256: str) -> None:
        path = self._store.path(sha256)
        self.done[file.key] = FetchedFile(sha256=sha256, size=path.stat().st_size, path=path, first_seen=file.sha256 is None)


def partial_name(file: Wanted) -> str:
    """The name of the file while it is on its way: the same in every run where a digest is stated."""
    if file.sha256 is not None:
        return file.sha256
    import hashlib

    return f"unnamed-{hashlib.sha256(file.key.encode()).hexdigest()}"


def memory_key(file: Wanted) -> str | None:
    """Under what the first digest of a file is remembered; None for a local file, which its owner may replace at any time."""
    if not file.urls or file.urls[0].startswith("file:"):
        return None
    # Signed links differ in their query each time.
    return "\n".join((file.index or "", file.filename, file.urls[0].partition("?")[0].partition("#")[0], *sorted(file.other_hashes)))

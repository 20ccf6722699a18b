"""Runs jobs beside each other, in their order, as cores and memory allow; one that fails stops none but those that need it."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from hardtack.building.order import Blocked, Job, Order
from hardtack.reporting import Reporter
from hardtack.system.cancellation import Cancellation

T = TypeVar("T")

_TICK = 0.2  # seconds after which we look whether we were interrupted, where waiting does not wake for that
_LEAVE = 0.7  # seconds that running jobs have to end when they are told to
_MEMORY = 1 << 30  # bytes that a build is expected to use


class Needs(Exception):
    """Raised by a job's work: it cannot go on before ``jobs`` are done. It is run again from its start when they are."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        super().__init__(", ".join(job.label for job in jobs))
        self.jobs = tuple(jobs)


# What makes one job's value, given a cancellation of its own that every blocking call in it has to take.
Work = Callable[[Job, Cancellation], T]


class Engine(Protocol):
    """Where jobs run."""

    def run(
        self,
        jobs: Sequence[Job],
        work: Work[T],
        *,
        succeeded: Callable[[T], bool],
        failed: Callable[[Job, Blocked], T],
        stop: Cancellation,
        reporter: Reporter,
    ) -> Mapping[str, T]:
        """Do all jobs, as ``run_jobs`` promises it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalEngine:
    """This machine: ``workers`` jobs at once, and ``memory`` expected bytes."""

    workers: int
    memory: int

    def run(
        self,
        jobs: Sequence[Job],
        work: Work[T],
        *,
        succeeded: Callable[[T], bool],
        failed: Callable[[Job, Blocked], T],
        stop: Cancellation,
        reporter: Reporter,
    ) -> Mapping[str, T]:
        """Do all jobs in threads of this process."""
        return run_jobs(
            jobs, work, workers=self.workers, memory=self.memory, succeeded=succeeded, failed=failed, stop=stop, reporter=reporter
        )


def default_workers(cores: int, available_memory: int) -> int:
    """How many builds this machine does at once: one a core, if each finds its memory."""
    return max(1, min(cores, available_memory // _MEMORY))


def run_jobs(
    jobs: Sequence[Job],
    work: Work[T],
    *,
    workers: int,
    memory: int,
    succeeded: Callable[[T], bool],
    failed: Callable[[Job, Blocked], T],
    stop: Cancellation,
    reporter: Reporter,
) -> Mapping[str, T]:
    """The value of every job by its key: of ``jobs`` in their order, then of those that they came to need.

    Never more than ``workers`` at once, nor more than ``memory`` bytes expected in all; a job larger than that runs alone. A value that has
    not ``succeeded`` blocks the jobs that need it; those, and jobs that need themselves, get theirs from ``failed``. ``work`` is called in
    threads, each time with a new cancellation; ``succeeded`` and ``failed`` are called here. An exception of ``work`` other than Needs ends
    the run: the others are told to stop, and it is raised. Raises Cancelled within a second of ``stop``.
    """
    return _Run(work, workers=workers, memory=memory, succeeded=succeeded, failed=failed, stop=stop, reporter=reporter).run(jobs)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ended(Generic[T]):
    """What became of a job's work: its value, or what it raised."""

    key: str
    values: tuple[T, ...] = ()
    fault: BaseException | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Running:
    thread: threading.Thread
    stop: Cancellation
    done_before: frozenset[str]


class _Run(Generic[T]):
    """One run: this thread alone moves the order on, by what the workers' threads tell it."""

    def __init__(
        self,
        work: Work[T],
        *,
        workers: int,
        memory: int,
        succeeded: Callable[[T], bool],
        failed: Callable[[Job, Blocked], T],
        stop: Cancellation,
        reporter: Reporter,
    ) -> None:
        self._work = work
        self._workers, self._memory = workers, memory
        self._succeeded, self._failed = succeeded, failed
        self._stop, self._reporter = stop, reporter
        self._order = Order()
        self._values: dict[str, T] = {}
        self._running: dict[str, _Running] = {}
        # None: look again.
        self._news: queue.SimpleQueue[_Ended[T] | None] = queue.SimpleQueue()

    def run(self, jobs: Sequence[Job]) -> Mapping[str, T]:
        self._order = Order.of(jobs)
        given = list(self._order.jobs)
        try:
            with self._stop.calls(lambda: self._news.put(None)):
                self._move_on()
                while self._running:
                    self._take(self._wait())
                    self._move_on()
        except BaseException:
            self._leave()
            raise
        return {key: self._values[key] for key in (*given, *sorted(self._values.keys() - set(given)))}

    def _wait(self) -> _Ended[T]:
        while True:
            self._stop.check()
            try:
                news = self._news.get(timeout=_TICK)
            except queue.Empty:
                continue
            if news is not None:
                return news

    def _take(self, ended: _Ended[T]) -> None:
        # What is stopped may fail in words of its own.
        self._stop.check()
        ran = self._running.pop(ended.key)
        self._reporter.job_ended(self._order.jobs[ended.key].label)
        if isinstance(ended.fault, Needs):
            self._set_back(ended.key, ended.fault.jobs, ran.done_before)
        elif ended.fault is not None:
            raise ended.fault
        else:
            (value,) = ended.values
            self._values[ended.key] = value
            self._order = self._order.finishing(ended.key) if self._succeeded(value) else self._order.failing(ended.key)

    def _set_back(self, key: str, needed: Sequence[Job], done_before: frozenset[str]) -> None:
        if {job.key for job in needed} <= done_before:
            label = self._order.jobs[key].label
            raise RuntimeError(
                f"{label} asks again for what was done before it started: {', '.join(job.label for job in needed) or 'nothing'}"
            )
        self._order = self._order.awaiting(key, needed)
        wanted = dict.fromkeys(job.key for job in needed)
        self._reporter.build_waiting(self._order.jobs[key].label, [self._order.jobs[need].label for need in wanted])

    def _move_on(self) -> None:
        """Give up what can never start, and start what may."""
        blocked = self._order.blocked
        for key in sorted(blocked.keys() - self._values.keys(), key=lambda key: (len(blocked[key].path), key)):
            self._values[key] = self._failed(self._order.jobs[key], blocked[key])
        starting = self._order.startable(workers=self._workers, memory=self._memory)
        done_before = self._order.done
        for key in starting:
            self._order = self._order.started(key)
        self._tell(blocked)
        for key in starting:
            self._stop.check()
            self._start(self._order.jobs[key], done_before)

    def _tell(self, blocked: Mapping[str, Blocked]) -> None:
        """Count by name, as a person does: several jobs may be about one thing, which is done when all of them are."""
        order = self._order
        states: dict[str, int] = {}
        for key, job in order.jobs.items():
            state = 3 if key in order.running else 0 if key in order.done else 1 if key in order.failed or key in blocked else 2
            states[job.label] = max(states.get(job.label, 0), state)
        done, failed, waiting, running = (sum(one == state for one in states.values()) for state in range(4))
        self._reporter.build_queue(done=done, failed=failed, running=running, waiting=waiting)

    def _start(self, job: Job, done_before: frozenset[str]) -> None:
        stop = Cancellation()
        # Daemons, so that one that hangs in a system call does not keep the process alive.
        thread = threading.Thread(target=self._do, args=(job, stop), name=f"job-{job.key}", daemon=True)
        self._running[job.key] = _Running(thread=thread, stop=stop, done_before=done_before)
        self._reporter.job_started(job.label)
        thread.start()

    def _do(self, job: Job, stop: Cancellation) -> None:
        try:
            ended = _Ended(key=job.key, values=(self._work(job, stop),))
        except BaseException as fault:
            ended = _Ended(key=job.key, fault=fault)
        self._news.put(ended)

    def _leave(self) -> None:
        """Tell all that runs to stop, each in a thread of its own (ending a build's processes takes its time), and give it that time."""
        running = list(self._running.values())
        enders = [threading.Thread(target=one.stop.cancel, name="job-end", daemon=True) for one in running]
        for thread in enders:
            thread.start()
        deadline = time.monotonic() + _LEAVE
        for thread in (*enders, *(one.thread for one in running)):
            thread.join(max(0.0, deadline - time.monotonic()))

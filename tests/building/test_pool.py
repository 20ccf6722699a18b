"""Jobs beside each other: never too many, each after what it needs, and gone within a second when told to."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hardtack.building.order import Blocked, Job
from hardtack.building.pool import Engine, LocalEngine, Needs, default_workers, run_jobs
from hardtack.errors import BuildFault, Cancelled
from hardtack.reporting import Reporter
from hardtack.system.cancellation import Cancellation


def job(key: str, *needs: str, cost: float = 1.0, memory: int = 1) -> Job:
    return Job(key=key, label=f"{key}-1.0.tar.gz", cost=cost, memory=memory, needs=needs)


class Listener(Reporter):
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.waiting: list[tuple[str, tuple[str, ...]]] = []
        self.queues: list[dict[str, int]] = []
        self.jobs: list[tuple[str, str]] = []

    def job_started(self, name: str) -> None:
        self.jobs.append(("started", name))

    def job_ended(self, name: str) -> None:
        self.jobs.append(("ended", name))

    def build_waiting(self, name: str, on: Sequence[str]) -> None:
        self.waiting.append((name, tuple(on)))

    def build_queue(self, *, done: int, failed: int, running: int, waiting: int) -> None:
        self.queues.append({"done": done, "failed": failed, "running": running, "waiting": waiting})


@dataclass
class Yard:
    """Work that keeps watch over itself: what is asked for by each job, which jobs fail, what runs beside what."""

    asks: Mapping[str, Sequence[Job]] = field(default_factory=dict)
    fails: frozenset[str] = frozenset()
    seconds: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)
    log: list[tuple[str, str]] = field(default_factory=list)
    together: list[tuple[Job, ...]] = field(default_factory=list)
    busy: dict[str, Job] = field(default_factory=dict)
    made: set[str] = field(default_factory=set)

    def __call__(self, job: Job, stop: Cancellation) -> str:
        with self.lock:
            assert job.key not in self.busy, "one job in two threads"
            assert not set(job.needs) - self.made, "begun before what it needs"
            self.busy[job.key] = job
            self.log.append(("begin", job.key))
            self.together.append(tuple(self.busy.values()))
        try:
            stop.wait(self.seconds)
            missing = [tool for tool in self.asks.get(job.key, ()) if tool.key not in self.made]
            if missing:
                raise Needs(missing)
            with self.lock:
                if job.key in self.fails:
                    return f"failure: {job.key}"
                self.made.add(job.key)
            return f"wheel of {job.key}"
        finally:
            with self.lock:
                del self.busy[job.key]
                self.log.append(("end", job.key))


def blocked(job: Job, why: Blocked) -> str:
    return f"blocked: {' > '.join(why.path)}"


def run(
    jobs: Sequence[Job],
    work: Callable[[Job, Cancellation], str],
    *,
    workers: int = 4,
    memory: int = 100,
    stop: Cancellation | None = None,
    reporter: Reporter | None = None,
) -> Mapping[str, str]:
    return run_jobs(
        jobs,
        work,
        workers=workers,
        memory=memory,
        succeeded=lambda value: value.startswith("wheel"),
        failed=blocked,
        stop=stop or Cancellation(),
        reporter=reporter or Reporter(),
    )


def threads_of_jobs() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("job-")]


def gone(seconds: float = 10.0) -> bool:
    """True if all threads of jobs end within some seconds."""
    deadline = time.monotonic() + seconds
    while threads_of_jobs() and time.monotonic() < deadline:
        time.sleep(0.005)
    return not threads_of_jobs()


def test_every_job_has_its_value_in_the_order_given() -> None:
    assert list(run([job("b"), job("a"), job("c", "a")], Yard()).items()) == [
        ("b", "wheel of b"),
        ("a", "wheel of a"),
        ("c", "wheel of c"),
    ]
    assert run([], Yard()) == {}
    assert gone()


def test_a_failure_stops_only_what_needs_it() -> None:
    listener = Listener()
    yard = Yard(fails=frozenset({"bad"}))
    assert run([job("x", "bad"), job("y", "x"), job("bad"), job("fine"), job("z", "fine")], yard, workers=1, reporter=listener) == {
        "x": "blocked: x > bad",
        "y": "blocked: y > x > bad",
        "bad": "failure: bad",
        "fine": "wheel of fine",
        "z": "wheel of z",
    }
    assert listener.queues[0] == {"done": 0, "failed": 0, "running": 1, "waiting": 4}
    assert listener.queues[-1] == {"done": 2, "failed": 3, "running": 0, "waiting": 0}
    assert all(sum(told.values()) == 5 for told in listener.queues)


def test_jobs_of_one_name_count_as_one() -> None:
    listener = Listener()
    jobs = [Job(key="ask", label="app"), Job(key="make", label="app", needs=("ask",)), Job(key="bad", label="bad", cost=0.5)]
    run(jobs, Yard(fails=frozenset({"bad"})), workers=1, reporter=listener)
    assert [(told["done"], told["failed"], told["running"], told["waiting"]) for told in listener.queues] == [
        (0, 0, 1, 1),  # asking
        (0, 0, 1, 1),  # making
        (1, 0, 1, 0),
        (1, 1, 0, 0),
    ]


def test_what_a_job_turns_out_to_need_is_done_first_and_then_it_starts_anew() -> None:
    tool, deeper = job("tool"), job("deeper")
    listener = Listener()
    yard = Yard(asks={"app": [tool], "other": [tool], "tool": [deeper]})
    assert run([job("app"), job("other")], yard, workers=1, reporter=listener) == {
        key: f"wheel of {key}" for key in ("app", "other", "deeper", "tool")
    }
    # What others wait for goes first, so that the second one to want it finds it made.
    begun = ["app", "tool", "deeper", "tool", "app", "other"]
    assert [key for what, key in yard.log if what == "begin"] == begun
    assert listener.jobs == [(what, f"{key}-1.0.tar.gz") for key in begun for what in ("started", "ended")]
    assert listener.waiting == [("app-1.0.tar.gz", ("tool-1.0.tar.gz",)), ("tool-1.0.tar.gz", ("deeper-1.0.tar.gz",))]


def test_two_that_turn_out_to_need_the_same_wait_for_it_both() -> None:
    asks = {"app": [job("tool")], "other": [job("tool"), job("more")]}
    meeting = threading.Barrier(2)
    begun: list[str] = []

    def work(job: Job, stop: Cancellation) -> str:
        begun.append(job.key)
        if job.key in asks and begun.count(job.key) == 1:
            meeting.wait(5)
            raise Needs(asks[job.key])
        return "wheel"

    listener = Listener()
    assert list(run([job("app"), job("other")], work, workers=2, reporter=listener)) == ["app", "other", "more", "tool"]
    assert sorted(begun) == ["app", "app", "more", "other", "other", "tool"]
    assert sorted(listener.waiting) == [
        ("app-1.0.tar.gz", ("tool-1.0.tar.gz",)),
        ("other-1.0.tar.gz", ("tool-1.0.tar.gz", "more-1.0.tar.gz")),
    ]


def test_a_tool_that_fails_blocks_who_asked_for_it() -> None:
    yard = Yard(asks={"app": [job("tool")], "late": [job("tool")]}, fails=frozenset({"tool"}))
    assert run([job("app"), job("late"), job("free")], yard, workers=1) == {
        "app": "blocked: app > tool",
        "late": "blocked: late > tool",
        "free": "wheel of free",
        "tool": "failure: tool",
    }


def test_tools_that_need_each_other_fail_by_name_and_the_others_go_on() -> None:
    yard = Yard(asks={"a": [job("b")], "b": [job("c")], "c": [job("a")], "user": [job("b")], "mirror": [job("mirror")]})
    values = run([job("a"), job("user"), job("free"), job("mirror")], yard)
    assert values == {
        "a": "blocked: a > b > c > a",
        "b": "blocked: b > c > a > b",
        "c": "blocked: c > a > b > c",
        "user": "blocked: user > b",
        "mirror": "blocked: mirror > mirror",
        "free": "wheel of free",
    }


def test_asking_in_vain_does_not_go_round_for_ever() -> None:
    def stubborn(job: Job, stop: Cancellation) -> str:
        if job.key == "app":
            raise Needs([tool])
        return "wheel"

    tool = job("tool")
    with pytest.raises(RuntimeError, match=r"app-1\.0\.tar\.gz asks again for .*tool-1\.0\.tar\.gz"):
        run([job("app")], stubborn)
    with pytest.raises(RuntimeError, match="nothing"):
        run([job("app")], lambda job, stop: (_ for _ in ()).throw(Needs([])))
    assert gone()


def test_one_that_was_made_meanwhile_is_no_vain_question() -> None:
    made = threading.Event()

    def work(job: Job, stop: Cancellation) -> str:
        if job.key == "tool":
            made.set()
            return "wheel"
        if not begun.is_set():
            begun.set()
            # It looked before the tool was there, and says so after.
            assert made.wait(5)
            time.sleep(0.05)
            raise Needs([tool])
        return "wheel"

    begun = threading.Event()
    tool = job("tool")
    assert run([job("app"), tool], work) == {"app": "wheel", "tool": "wheel"}


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 15), st.sets(st.integers(0, 11), max_size=2)), min_size=1, max_size=12),
    st.integers(1, 4),
    st.integers(1, 12),
    st.sets(st.integers(0, 11), max_size=2),
)
def test_never_more_at_once_than_cores_and_memory_allow(
    parts: list[tuple[int, int, set[int]]], workers: int, memory: int, failing: set[int]
) -> None:
    jobs = [job(f"{at:02}", cost=cost, memory=size) for at, (cost, size, _) in enumerate(parts)]
    # Needs that are found out, only of earlier ones: no cycles.
    asks = {f"{at:02}": [jobs[other] for other in sorted(needs) if other < at] for at, (_, _, needs) in enumerate(parts)}
    fails = frozenset(f"{at:02}" for at in failing)
    yard = Yard(asks=asks, fails=fails)
    values = run(jobs, yard, workers=workers, memory=memory)
    for beside in yard.together:
        assert len(beside) <= workers
        assert len(beside) == 1 or sum(one.memory for one in beside) <= memory
    lost: set[str] = set()
    for one in jobs:
        if any(tool.key in lost for tool in asks[one.key]):
            assert values[one.key].startswith("blocked: ") and values[one.key].split(" > ")[-1] in fails
            lost.add(one.key)
        elif one.key in fails:
            assert values[one.key] == f"failure: {one.key}"
            lost.add(one.key)
        else:
            assert values[one.key] == f"wheel of {one.key}"


def test_they_do_run_beside_each_other() -> None:
    meeting = threading.Barrier(4)

    def work(job: Job, stop: Cancellation) -> str:
        meeting.wait(5)
        return "wheel"

    assert len(run([job(str(at)) for at in range(8)], work, workers=4)) == 8


def test_no_barrier_between_what_is_needed_and_what_needs_it() -> None:
    released = threading.Event()

    def work(job: Job, stop: Cancellation) -> str:
        if job.key == "slow":
            assert released.wait(5), "it had to wait for one that it does not need"
        if job.key == "after":
            released.set()
        return "wheel"

    assert run([job("slow", cost=100), job("first"), job("after", "first")], work, workers=2)["after"] == "wheel"


def test_the_longest_chain_is_begun_first() -> None:
    yard = Yard()
    run([job("big", cost=5), job("head", cost=1), job("tail", "head", cost=9), job("little", cost=0.5)], yard, workers=1)
    assert [key for what, key in yard.log if what == "begin"] == ["head", "tail", "big", "little"]


@pytest.mark.parametrize("fault", [BuildFault("the disk is full"), KeyError("ours"), SystemExit(3), Cancelled("by itself")])
def test_an_unexpected_exception_stops_the_others_and_is_raised(fault: BaseException) -> None:
    stopped: list[str] = []
    begun = threading.Barrier(3)

    def work(job: Job, stop: Cancellation) -> str:
        begun.wait(5)
        if job.key == "bad":
            raise fault
        try:
            stop.wait(30)
        except Cancelled:
            stopped.append(job.key)
            raise
        return "wheel"

    caller = Cancellation()
    started = time.monotonic()
    with pytest.raises(type(fault)) as caught:
        run([job("bad"), job("x"), job("y"), job("never", "x")], work, stop=caller)
    assert caught.value is fault and time.monotonic() - started < 1
    assert sorted(stopped) == ["x", "y"] and gone()
    assert not caller.cancelled, "the caller's own cancellation is his"


def test_a_fault_in_what_makes_values_of_failures_is_raised_too() -> None:
    def broken(job: Job, why: Blocked) -> str:
        raise KeyError("ours")

    yard = Yard(fails=frozenset({"bad"}), seconds=0.01)
    with pytest.raises(KeyError):
        run_jobs(
            [job("bad"), job("x", "bad"), job("slow")],
            yard,
            workers=2,
            memory=9,
            succeeded=lambda value: value.startswith("wheel"),
            failed=broken,
            stop=Cancellation(),
            reporter=Reporter(),
        )
    assert gone()


@pytest.mark.parametrize("words", [False, True])
def test_stopping_ends_all_at_once_within_a_second_and_leaves_no_thread(words: bool) -> None:
    begun, ending = threading.Barrier(4), threading.Barrier(3)
    together: list[bool] = []

    def end(ended: threading.Event) -> None:
        # To end a build's processes takes a moment: if one were ended after the other, these would never meet.
        ending.wait(5)
        together.append(True)
        ended.set()

    def work(job: Job, stop: Cancellation) -> str:
        try:
            ended = threading.Event()
            with stop.calls(lambda: end(ended)):
                # Not before all can be ended: who is told to stop before he can be would never meet the others.
                begun.wait(5)
                ended.wait(10)
        finally:
            if words:
                raise BuildFault("its backend ended with -9")
        return "wheel"

    stop = Cancellation()
    started: list[float] = []

    def interrupt() -> None:
        begun.wait(5)
        started.append(time.monotonic())
        stop.cancel()

    interrupter = threading.Thread(target=interrupt)
    interrupter.start()
    with pytest.raises(Cancelled):
        run([job(str(at)) for at in range(9)], work, workers=3, stop=stop)
    assert time.monotonic() - started[0] < 1
    interrupter.join()
    assert gone() and len(together) == 3


def test_work_that_hears_nothing_keeps_nobody_waiting() -> None:
    stop, release = Cancellation(), threading.Event()

    def deaf(job: Job, own: Cancellation) -> str:
        release.wait(10)
        return "wheel"

    timer = threading.Timer(0.05, stop.cancel)
    timer.start()
    started = time.monotonic()
    with pytest.raises(Cancelled):
        run([job("deaf"), job("next", "deaf")], deaf, stop=stop)
    assert time.monotonic() - started < 1.5
    release.set()
    timer.join()
    assert gone()


def test_what_was_stopped_before_it_began_does_not_begin() -> None:
    stop = Cancellation()
    stop.cancel()
    yard = Yard()
    with pytest.raises(Cancelled):
        run([job("a")], yard, stop=stop)
    assert yard.log == []


def test_an_interrupt_of_the_calling_thread_stops_the_jobs() -> None:
    heard = threading.Event()

    def work(job: Job, stop: Cancellation) -> str:
        try:
            stop.wait(30)
        except Cancelled:
            heard.set()
            raise
        return "wheel"

    class Interrupting(Reporter):
        """Ctrl-C, just as the jobs were started: what a signal's handler raises comes out of whatever runs."""

        def build_waiting(self, name: str, on: Sequence[str]) -> None:
            raise KeyboardInterrupt

    def asking(job: Job, stop: Cancellation) -> str:
        if job.key == "asks":
            raise Needs([tool])
        return work(job, stop)

    tool = job("tool")
    with pytest.raises(KeyboardInterrupt):
        run([job("slow"), job("asks")], asking, reporter=Interrupting())
    assert heard.wait(2) and gone()


def test_a_signal_wakes_the_wait() -> None:
    if os.name == "nt":
        pytest.skip("no signals between threads there")

    def handler(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGUSR1, handler)
    timer = threading.Timer(0.1, lambda: os.kill(os.getpid(), signal.SIGUSR1))
    try:
        timer.start()
        started = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            run([job("slow")], Yard(seconds=30))
        assert time.monotonic() - started < 1
    finally:
        timer.join()
        signal.signal(signal.SIGUSR1, before)
    assert gone()


def test_the_engine_of_this_machine() -> None:
    engine: Engine = LocalEngine(workers=2, memory=5)
    yard = Yard()
    values = engine.run(
        [job("a", memory=3), job("b", memory=3), job("c", memory=2)],
        yard,
        succeeded=lambda value: value.startswith("wheel"),
        failed=blocked,
        stop=Cancellation(),
        reporter=Reporter(),
    )
    assert values == {key: f"wheel of {key}" for key in "abc"}
    assert all(sum(one.memory for one in beside) <= 5 and len(beside) <= 2 for beside in yard.together)


def test_default_workers() -> None:
    gigabyte = 1 << 30
    assert default_workers(8, 64 * gigabyte) == 8
    assert default_workers(8, 3 * gigabyte + 5) == 3
    assert default_workers(8, 100) == default_workers(0, 0) == default_workers(1, 64 * gigabyte) == 1

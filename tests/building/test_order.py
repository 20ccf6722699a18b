"""The order of builds against an oracle that tries every way through a small graph."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hardtack.building.order import Blocked, Job, Order, expected_cost

KEYS = "abcdef"


def job(key: str, *needs: str, cost: float = 1.0, memory: int = 1) -> Job:
    return Job(key=key, label=key.upper(), cost=cost, memory=memory, needs=needs)


# --- the oracle: all paths, one by one --------------------------------------------------------------------------------------------------


def ways(needs: Mapping[str, set[str]], start: str) -> Iterator[tuple[str, ...]]:
    """Every way from a job along what it needs that meets no job twice, but may end where it began."""
    pending: list[tuple[str, ...]] = [(start,)]
    while pending:
        way = pending.pop()
        yield way
        if len(way) > 1 and way[0] == way[-1]:
            continue
        pending += [(*way, need) for need in needs.get(way[-1], ()) if need == start or need not in way]


def oracle_blocked(order: Order) -> dict[str, tuple[str, ...]]:
    """Of each job that can never start, the shortest way to the failure, then the first by keys."""
    live = {key: set(needs) - order.done for key, needs in order.needs.items() if key not in order.done | order.failed}
    cycles: dict[str, tuple[str, ...]] = {}
    for key in live:
        back = [way for way in ways(live, key) if len(way) > 1 and way[-1] == key and not set(way) & order.failed]
        if back:
            cycles[key] = min(back, key=lambda way: (len(way), way))
    blocked = dict(cycles)
    roots = order.failed | cycles.keys()
    for key in live.keys() - cycles.keys():
        lost = [way for way in ways(live, key) if len(way) > 1 and way[-1] in roots and not set(way[1:-1]) & roots]
        if lost:
            blocked[key] = min(lost, key=lambda way: (len(way), way))
    return blocked


def oracle_ready(order: Order) -> list[str]:
    """What may start, the one before the longest chain of seconds first."""
    blocked = oracle_blocked(order)
    alive = [key for key in order.jobs if key not in order.done | order.failed | blocked.keys()]

    def chain(key: str) -> float:
        # By every way back from a job that waits, to this one.
        waiting = {other: {need for need in order.needs[other] if need in alive} for other in alive}
        found = [way for other in alive for way in ways(waiting, other) if way[-1] == key]
        return max(sum(max(0.0, order.jobs[one].cost) for one in way) for way in found)

    ready = [key for key in alive if key not in order.running and order.needs[key] <= order.done]
    return sorted(ready, key=lambda key: (-chain(key), key))


@st.composite
def graphs(draw: st.DrawFn, *, acyclic: bool = False) -> list[Job]:
    keys = KEYS[: draw(st.integers(1, len(KEYS)))]
    jobs = []
    for at, key in enumerate(keys):
        others = keys[:at] if acyclic else keys
        needs = draw(st.sets(st.sampled_from(others), max_size=3)) if others else set()
        # Whole numbers: sums of floats would depend on their order.
        jobs.append(job(key, *needs, cost=draw(st.integers(0, 4)), memory=draw(st.integers(0, 12))))
    return draw(st.permutations(jobs))


@settings(max_examples=300, deadline=None)
@given(graphs(), st.data())
def test_ready_and_blocked_at_every_step_of_a_run(jobs: list[Job], data: st.DataObject) -> None:
    order = Order.of(jobs)
    while True:
        blocked = order.blocked
        assert {key: why.path for key, why in blocked.items()} == oracle_blocked(order)
        assert list(order.ready) == oracle_ready(order)
        assert all(why.by == why.path[-1] and why.cycle == (why.path[0] == why.path[-1]) for why in blocked.values())
        if order.over:
            break
        moves = [("start", key) for key in order.ready] + [(how, key) for key in order.running for how in ("finish", "fail", "need")]
        how, key = data.draw(st.sampled_from(moves))
        if how == "start":
            order = order.started(key)
        elif how == "finish":
            order = order.finishing(key)
        elif how == "fail":
            order = order.failing(key)
        else:
            # A new job, or one that is known: then perhaps one that needs this very job.
            wanted = data.draw(
                st.sampled_from([*order.jobs, f"new{len(order.jobs)}"]) if len(order.jobs) < 8 else st.sampled_from([*order.jobs])
            )
            if wanted in order.done:
                continue
            order = order.awaiting(key, [order.jobs.get(wanted) or job(wanted)])
    # In the end every job is done, has failed, or is blocked by one that did.
    assert order.done | order.failed | blocked.keys() == order.jobs.keys()
    assert not order.done & blocked.keys() and not order.failed & blocked.keys()


@settings(max_examples=300, deadline=None)
@given(graphs(acyclic=True), st.integers(1, 4), st.integers(1, 10), st.data())
def test_what_is_started_never_uses_too_much_and_all_is_done_in_the_end(
    jobs: list[Job], workers: int, memory: int, data: st.DataObject
) -> None:
    order = Order.of(jobs)
    while not order.over:
        ready = order.ready
        starting = order.startable(workers=workers, memory=memory)
        assert set(starting) <= set(ready) and len(set(starting)) == len(starting)
        for key in starting:
            order = order.started(key)
        assert order.running, "something is ready, nothing runs, and nothing was started"
        assert len(order.running) <= workers
        assert len(order.running) == 1 or sum(order.jobs[key].memory for key in order.running) <= memory
        held = [key for key in ready if key not in starting]
        if held and len(order.running) < workers and starting and starting != ready[: len(starting)]:
            # The first that was passed over has room as soon as what went before it has ended.
            first = next(key for key in ready if key not in starting)
            after = starting[ready.index(first) :]
            assert sum(order.jobs[key].memory for key in (first, *after)) <= memory
        order = order.finishing(data.draw(st.sampled_from(sorted(order.running))))
    assert order.done == order.jobs.keys()


@settings(max_examples=100, deadline=None)
@given(graphs(), st.randoms(use_true_random=False))
def test_the_order_in_which_jobs_are_given_does_not_matter(jobs: list[Job], random: object) -> None:
    other = sorted(jobs, key=lambda one: one.key)
    assert list(Order.of(jobs).blocked.items()) == list(Order.of(other).blocked.items())
    assert Order.of(jobs).ready == Order.of(other).ready


# --- by example -------------------------------------------------------------------------------------------------------------------------


def test_the_longest_chain_goes_first_however_cheap_its_head() -> None:
    order = Order.of(
        [job("app", "lib", cost=100), job("lib", "tool", cost=5), job("tool", cost=0.1), job("big", cost=90), job("also", cost=90)]
    )
    assert order.ready == ("tool", "also", "big")
    assert order.startable(workers=2, memory=10) == ("tool", "also")


def test_a_chain_that_is_lost_is_no_reason_to_hurry() -> None:
    order = Order.of([job("x", "cheap", "broken", cost=1000), job("cheap", cost=1), job("dear", cost=2), job("broken", cost=5)])
    assert order.ready == ("broken", "cheap", "dear")
    assert order.started("broken").failing("broken").ready == ("dear", "cheap")


def test_a_failure_blocks_what_needs_it_by_its_name_and_nothing_else() -> None:
    order = Order.of([job("a", "b"), job("b", "c", "d"), job("c"), job("d"), job("e", "d")])
    order = order.started("c").failing("c")
    assert order.blocked == {"a": Blocked(path=("a", "b", "c")), "b": Blocked(path=("b", "c"))}
    assert order.blocked["a"].by == "c" and not order.blocked["a"].cycle
    assert order.ready == ("d",)
    assert not order.over
    order = order.started("d").finishing("d").started("e").finishing("e")
    assert order.over


def test_of_two_ways_as_short_to_a_failure_the_first_by_key_is_told() -> None:
    order = Order.of([job("x", "z", "a"), job("z", "r1"), job("a", "r2"), job("r1"), job("r2")])
    order = order.started("r1").started("r2").failing("r1").failing("r2")
    assert order.blocked["x"].path == ("x", "a", "r2")


def test_a_cycle_is_named_as_its_path_and_fails_only_its_own() -> None:
    order = Order.of([job("a", "b"), job("b", "c"), job("c", "a"), job("user", "b"), job("free"), job("self", "self")])
    assert {key: why.path for key, why in order.blocked.items()} == {
        "a": ("a", "b", "c", "a"),
        "b": ("b", "c", "a", "b"),
        "c": ("c", "a", "b", "c"),
        "self": ("self", "self"),
        "user": ("user", "b"),
    }
    assert {key: why.cycle for key, why in order.blocked.items()} == {"a": True, "b": True, "c": True, "self": True, "user": False}
    assert order.ready == ("free",)


def test_a_cycle_that_is_found_only_while_it_runs() -> None:
    order = Order.of([job("a")]).started("a").awaiting("a", [job("b")])
    assert order.ready == ("b",) and order.blocked == {}
    order = order.started("b").awaiting("b", [job("a")])
    assert order.over
    assert {key: why.path for key, why in order.blocked.items()} == {"a": ("a", "b", "a"), "b": ("b", "a", "b")}


def test_what_is_asked_for_while_it_runs_is_done_first_and_once() -> None:
    tool = job("tool", cost=3)
    order = Order.of([job("a"), job("b")]).started("a").started("b").awaiting("a", [tool]).awaiting("b", [job("tool", cost=99)])
    assert order.ready == ("tool",) and order.jobs["tool"] is tool
    order = order.started("tool").finishing("tool")
    assert order.ready == ("a", "b")
    # One that waits anew makes what it waits for urgent.
    assert order.started("a").awaiting("a", [job("more")]).ready == ("more", "b")


def test_nothing_is_changed_in_place() -> None:
    before = Order.of([job("a")])
    before.started("a").awaiting("a", [job("b")]).started("b").failing("b")
    assert before == Order.of([job("a")]) and before.ready == ("a",)


def test_a_need_that_is_no_job_is_refused() -> None:
    with pytest.raises(ValueError, match="no job: ghost"):
        Order.of([job("a", "ghost")])


def test_long_chains_are_no_matter() -> None:
    count = 3000
    order = Order.of([job("0")] + [job(str(at), str(at - 1)) for at in range(1, count)])
    assert order.ready == ("0",)
    assert len(order.started("0").failing("0").blocked) == count - 1
    ring = Order.of([job(str(at), str((at + 1) % 200)) for at in range(200)])
    assert len(ring.blocked) == 200 and all(len(why.path) == 201 for why in ring.blocked.values())


# --- memory -----------------------------------------------------------------------------------------------------------------------------


def test_a_job_larger_than_all_memory_runs_alone() -> None:
    order = Order.of([job("huge", cost=9, memory=1000), job("none", memory=0), job("small", memory=1)])
    assert order.startable(workers=4, memory=10) == ("huge",)
    assert order.started("huge").startable(workers=4, memory=10) == ()
    late = Order.of([job("huge", cost=0.5, memory=1000), job("none", memory=0), job("small", memory=1)])
    assert late.startable(workers=4, memory=10) == ("none", "small")


def test_small_jobs_fill_the_room_beside_a_large_one_that_waits_but_never_take_its_turn() -> None:
    first = job("first", cost=50, memory=6)
    large = job("large", cost=40, memory=7)
    small = [job(f"small{at}", cost=1, memory=2) for at in range(5)]
    order = Order.of([first, large, *small]).started("first")
    # 10 less the large one's 7 leaves 3: one of 2, not two, though two would fit beside the first.
    assert order.startable(workers=8, memory=10) == ("small0",)
    order = order.started("small0")
    assert order.startable(workers=8, memory=10) == ()
    assert order.finishing("small0").startable(workers=8, memory=10) == ("small1",)
    assert order.finishing("first").startable(workers=8, memory=10) == ("large",)


@pytest.mark.parametrize(("workers", "memory"), [(0, 10), (-3, 10), (1, 0), (1, -5), (0, 0)])
def test_one_at_least_always_runs(workers: int, memory: int) -> None:
    order = Order.of([job("a", memory=5), job("b", memory=5)])
    assert order.startable(workers=workers, memory=memory) == ("a",)


# --- costs ------------------------------------------------------------------------------------------------------------------------------


def test_expected_cost() -> None:
    sizes = (None, 0, 10_000, 1_000_000, 20_000_000, 10**12)
    for compiled in (False, True):
        guesses = [expected_cost(size, compiled=compiled) for size in sizes]
        assert guesses == sorted(guesses) and all(0 < guess <= 3600 for guess in guesses)
    assert all(expected_cost(size, compiled=True) >= expected_cost(size, compiled=False) for size in sizes)
    assert expected_cost(10**12, compiled=True, remembered=4.5) == 4.5
    assert expected_cost(None, compiled=False, remembered=0.0) > 0
    assert expected_cost(1000, compiled=False) < expected_cost(1000, compiled=True)

"""Which job may start now and which goes first, which never can and why: a graph as a frozen value."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

_NOTHING: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Something to be made once. ``cost`` in expected seconds, ``memory`` in expected bytes; ``label`` names what it is about, in events.

    ``needs`` are the keys of the jobs that must be done before, as far as they are known from the start.
    """

    key: str
    label: str
    cost: float = 1.0
    memory: int = 1 << 30
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocked:
    """Why a job can never start. ``path`` leads from it, each needing the next, to what failed; around a cycle it leads back to it."""

    path: tuple[str, ...]

    @property
    def by(self) -> str:
        """The failure that all comes from: a job that failed, or one that is in a cycle (the job itself, if it is)."""
        return self.path[-1]

    @property
    def cycle(self) -> bool:
        """True if the job needs itself."""
        return self.path[0] == self.path[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Jobs and how far they are. What changes it returns a new one.

    >>> order = Order.of([Job(key="app", label="app", needs=("tool",)), Job(key="tool", label="tool")])
    >>> order.ready
    ('tool',)
    >>> order.started("tool").failing("tool").blocked
    {'app': Blocked(path=('app', 'tool'))}
    """

    jobs: Mapping[str, Job] = field(default_factory=dict, hash=False)
    needs: Mapping[str, frozenset[str]] = field(default_factory=dict, hash=False)
    running: frozenset[str] = _NOTHING
    done: frozenset[str] = _NOTHING
    failed: frozenset[str] = _NOTHING

    @classmethod
    def of(cls, jobs: Iterable[Job]) -> Order:
        """These jobs, none begun."""
        return cls().adding(jobs)

    def adding(self, jobs: Iterable[Job]) -> Order:
        """With these jobs too; of a key that is known, what was said first stands. Raises ValueError for a need that is no job."""
        known = dict(self.jobs)
        needs = dict(self.needs)
        for job in jobs:
            if known.setdefault(job.key, job) is job:
                needs.setdefault(job.key, frozenset(job.needs))
        unknown = sorted({need for wanted in needs.values() for need in wanted} - known.keys())
        if unknown:
            raise ValueError(f"needed, and no job: {', '.join(unknown)}")
        return replace(self, jobs=known, needs=needs)

    def started(self, key: str) -> Order:
        """With a job that was ready, running."""
        return replace(self, running=self.running | {key})

    def finishing(self, key: str) -> Order:
        """With a running job done."""
        return replace(self, running=self.running - {key}, done=self.done | {key})

    def failing(self, key: str) -> Order:
        """With a running job failed, and so all that need it."""
        return replace(self, running=self.running - {key}, failed=self.failed | {key})

    def awaiting(self, key: str, jobs: Iterable[Job]) -> Order:
        """With a running job set back: it turned out to need ``jobs`` first, and starts anew when they are done."""
        wanted = tuple(jobs)
        grown = self.adding(wanted)
        needs = {**grown.needs, key: grown.needs[key] | {job.key for job in wanted}}
        return replace(grown, needs=needs, running=self.running - {key})

    @property
    def blocked(self) -> Mapping[str, Blocked]:
        """Each job that can never start, by key, with the shortest way to what failed (of several, the first by key)."""
        left = self._left()
        found = {key: Blocked(path=path) for key, path in _cycles(left).items()}
        waiting_for = _reversed(left)
        ways: dict[str, tuple[str, ...]] = {root: (root,) for root in (*self.failed, *found)}
        layer = sorted(ways)
        while layer:
            reached: list[str] = []
            for need in layer:
                for key in waiting_for.get(need, ()):
                    if key not in ways:
                        ways[key] = (key, *ways[need])
                        found[key] = Blocked(path=ways[key])
                        reached.append(key)
            layer = sorted(reached)
        return dict(sorted(found.items()))

    @property
    def ready(self) -> tuple[str, ...]:
        """The jobs that may start now: the one at the head of the longest chain of seconds first, then by key."""
        ranks = self._ranks()
        return tuple(key for key in sorted(ranks, key=ranks.__getitem__) if key not in self.running and self.needs[key] <= self.done)

    @property
    def over(self) -> bool:
        """True if nothing runs and nothing can start any more."""
        return not self.running and not self.ready

    def startable(self, *, workers: int, memory: int) -> tuple[str, ...]:
        """What of ``ready`` is to start now, if ``workers`` jobs and ``memory`` bytes may be in use at once.

        A job that is larger than all memory runs alone. The first one that has to wait for memory is overtaken only by such as leave it
        room when all that went before it has ended, so that small jobs never keep a large one from its turn.
        """
        ranks = self._ranks()
        used = sum(self._size(key, memory) for key in self.running)
        free = max(1, workers) - len(self.running)
        chosen: list[str] = []
        room = memory  # for what overtakes
        held = False
        for key in self.ready:
            if len(chosen) >= free:
                break
            size = self._size(key, memory)
            if used + size <= max(1, memory) and (not held or size <= room):
                chosen.append(key)
                used += size
                room -= size if held else 0
            elif not held:
                held = True
                room = memory - size - sum(self._size(other, memory) for other in self.running if ranks[other] > ranks[key])
        return tuple(chosen)

    def _size(self, key: str, memory: int) -> int:
        return max(1, min(self.jobs[key].memory, memory))

    def _left(self) -> dict[str, list[str]]:
        """Of each job that has not ended, what it needs that is not done, by key."""
        ended = self.done | self.failed
        return {key: sorted(needs - self.done) for key, needs in self.needs.items() if key not in ended}

    def _ranks(self) -> dict[str, tuple[float, str]]:
        """Of each job that runs or will, its place in the order: less its seconds and those of the longest chain that waits for it."""
        blocked = self.blocked
        left = {key: needs for key, needs in self._left().items() if key not in blocked}
        waiting_for = _reversed(left)
        unseen = {key: len(waiting_for.get(key, ())) for key in left}
        seconds = dict.fromkeys(left, 0.0)
        last = [key for key, count in unseen.items() if not count]
        while last:
            key = last.pop()
            seconds[key] += max(0.0, self.jobs[key].cost)
            for need in left[key]:
                seconds[need] = max(seconds[need], seconds[key])
                unseen[need] -= 1
                if not unseen[need]:
                    last.append(need)
        return {key: (-length, key) for key, length in seconds.items()}


def expected_cost(size: int | None, *, compiled: bool, remembered: float | None = None) -> float:
    """Seconds that a build may take: what it took before, where that is remembered, else a guess from its archive's size in bytes."""
    if remembered is not None:
        return max(0.1, remembered)
    megabytes = (size or 0) / 1_000_000
    return min(3600.0, 8.0 + 20.0 * megabytes if compiled else 2.5 + 0.5 * megabytes)


def _reversed(needs: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Of each need, who has it, by key."""
    found: dict[str, list[str]] = {}
    for key in sorted(needs):
        for need in needs[key]:
            found.setdefault(need, []).append(key)
    return found


def _cycles(needs: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Of each job that needs itself in the end, the shortest way from it back to it (of several, the first by key)."""
    waiting_for = _reversed(needs)
    unmet = {key: sum(need in needs for need in wanted) for key, wanted in needs.items()}
    free = [key for key, count in unmet.items() if not count]
    while free:
        need = free.pop()
        del unmet[need]
        for key in waiting_for.get(need, ()):
            unmet[key] -= 1
            if not unmet[key]:
                free.append(key)
    # What is left is in a cycle, or waits for one.
    found = {}
    for start in unmet:
        way = _way_back(start, {key: [need for need in needs[key] if need in unmet] for key in unmet})
        if way is not None:
            found[start] = way
    return found


def _way_back(start: str, needs: Mapping[str, Sequence[str]]) -> tuple[str, ...] | None:
    came_from: dict[str, str] = {}
    queue = deque([start])
    while queue:
        key = queue.popleft()
        for need in needs[key]:
            if need == start:
                way = [start, key]
                while way[-1] != start:
                    way.append(came_from[way[-1]])
                return tuple(reversed(way)) if key != start else (start, start)
            if need not in came_from:
                came_from[need] = key
                queue.append(need)
    return None

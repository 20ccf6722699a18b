"""What is to be done once in a run, in the order in which one thing needs another."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hardtack.building.order import Blocked, Job
from hardtack.building.pool import Needs, default_workers, run_jobs
from hardtack.model.finding import Finding
from hardtack.reporting import Reporter
from hardtack.system import capacity
from hardtack.system.cancellation import Cancellation


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """Something to be done once in a run: its ``key`` tells it from all others. ``do`` is called with its own way to be stopped."""

    key: str
    label: str
    do: Callable[[Cancellation], Any]
    cost: float = 0.1
    memory: int = 0


class Errands:
    """The errands of a run and their outcomes. Inside ``run``, what an errand lacks is done before it and beside others."""

    def __init__(self, *, workers: int | None, reporter: Reporter, stop: Cancellation) -> None:
        self._workers, self._reporter, self._stop = workers, reporter, stop
        self._outcomes: dict[str, Any] = {}
        self._errands: dict[str, Errand] = {}
        self._circles: dict[str, tuple[str, ...]] = {}
        self._here = threading.local()

    @property
    def workers(self) -> int:
        """How many errands are done at once."""
        return self._workers or default_workers(capacity.cores(), capacity.available_memory())

    def run(self, errands: Sequence[Errand]) -> list[Any]:
        """Do them all, and what they turn out to need; the outcome of each."""
        for errand in errands:
            self._errands.setdefault(errand.key, errand)
        if not errands:
            return []
        run_jobs(
            [_job(errand) for errand in errands if errand.key not in self._outcomes],
            self._work,
            workers=self.workers,
            memory=capacity.available_memory(),
            succeeded=lambda _: True,
            failed=self._circle,
            stop=self._stop,
            reporter=self._reporter,
        )
        self._tell_circles()
        return [self._outcomes[errand.key] for errand in errands]

    def outcomes(self, errands: Sequence[Errand]) -> list[Any]:
        """The outcome of each, done first where it was not."""
        missing = [errand for errand in errands if errand.key not in self._outcomes]
        if missing and getattr(self._here, "busy", False):
            for errand in missing:
                self._errands.setdefault(errand.key, errand)
            raise Needs([_job(errand) for errand in missing])
        if missing:
            self.run(missing)
        return [self._outcomes[errand.key] for errand in errands]

    def _work(self, job: Job, stop: Cancellation) -> Any:
        self._here.busy = True
        try:
            outcome = self._errands[job.key].do(stop)
        finally:
            self._here.busy = False
        self._outcomes[job.key] = outcome
        return outcome

    def _circle(self, job: Job, blocked: Blocked) -> None:
        """What can be had only after itself, or after something of that kind: told when all that is in the circle is known."""
        self._circles[job.key] = blocked.path

    def _tell_circles(self) -> None:
        for key, path in self._circles.items():
            way = [self._errands[step].label for step in self._circles.get(path[-1], path)]
            self._outcomes[key] = Finding(
                code="build-requirements",
                message=f"to be built, it takes itself first: {' needs '.join(way)}",
                file=self._errands[key].label,
                hint="take the wheel of one of them (--only-binary NAME), or another version of one (--build-constraint FILE)",
            )
        self._circles.clear()


def _job(errand: Errand) -> Job:
    return Job(key=errand.key, label=errand.label, cost=errand.cost, memory=errand.memory)

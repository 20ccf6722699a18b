"""Who asks for a package: every path from a root to it, the shortest first, and who would ask for it and does not."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from hardtack.model.lock import LockedRoot
from hardtack.verifying.walk import Demand, Node, Walk, only_extra

# There may be more paths than anybody can count: they are counted up to here, and looked for with so many steps at most.
_MOST_COUNTED = 999
_MOST_STEPS = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One requirement on the way. ``asker`` is a package with its version, or the place where the user wrote the root down.

    ``extra`` is the extra of the asker by which it asks, ``marker`` the marker that holds, ``where`` the patches on which it does (empty:
    all), ``waiver`` the override that stands in for what the asker says.
    """

    asker: str
    requirement: str
    extra: str | None = None
    marker: str | None = None
    where: str = ""
    waiver: str | None = None

    def __str__(self) -> str:
        condition = f" ; {self.marker}" if self.marker else ""
        return f"{self.asker}{f'[{self.extra}]' if self.extra else ''}: {self.requirement}{condition}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A path from a root (the first step) to the package that is asked about; ``where`` as of a step."""

    steps: tuple[Step, ...]
    where: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Routes:
    """The shortest paths, and how many ``more`` there are (at least, where ``bounded``). ``roots`` are those of all that were seen."""

    shown: tuple[Route, ...] = ()
    more: int = 0
    bounded: bool = False
    roots: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Unasked:
    """A requirement that would ask for the package and does not: by its marker, its extra, or an exclude."""

    asker: str
    requirement: str
    marker: str | None
    reason: str


def routes(walk: Walk, name: str, *, limit: int = 5) -> Routes:
    """Every path without a circle from a root to ``name``, ``limit`` of them told."""
    distances, reaching = _distances(walk), _Reaching(walk)
    ties = count()
    # Of those that may be equally short, the one that is nearest to its end goes first.
    queue: list[tuple[int, int, int, tuple[Demand, ...], int, frozenset[int]]] = []
    own = frozenset(id(node) for node in walk.nodes.values() if node.choice.name == name)
    for demand in walk.demands.get(name, ()):
        if demand.asker is None or (id(demand.asker) not in own and id(demand.asker) in distances):
            heapq.heappush(queue, (1 + _left(demand, distances), -1, next(ties), (demand,), demand.where, own | _visited(demand)))
    shown: list[Route] = []
    roots: dict[str, None] = {}
    more = steps = 0
    while queue:
        steps += 1
        if steps > _MOST_STEPS or more > _MOST_COUNTED:
            break
        _, _, _, path, where, visited = heapq.heappop(queue)
        asker = path[0].asker
        if asker is None:
            roots.setdefault(f"{path[0].origin}: {path[0].requirement}")
            if len(shown) < limit:
                shown.append(Route(steps=tuple(_step(walk, demand) for demand in path), where=walk.answers.stretches.words(where)))
            else:
                more += 1
            continue
        for demand in reaching.of(asker):
            both = where & demand.where
            if both and (demand.asker is None or (id(demand.asker) not in visited and id(demand.asker) in distances)):
                estimate = len(path) + 1 + _left(demand, distances)
                heapq.heappush(queue, (estimate, -len(path) - 1, next(ties), (demand, *path), both, visited | _visited(demand)))
    return Routes(shown=tuple(shown), more=more, bounded=bool(queue), roots=tuple(roots))


def _left(demand: Demand, distances: dict[int, int]) -> int:
    return distances[id(demand.asker)] if demand.asker is not None else 0


def _visited(demand: Demand) -> frozenset[int]:
    return frozenset((id(demand.asker),)) if demand.asker is not None else frozenset()


class _Reaching:
    """The demands that lead to a node, found once."""

    def __init__(self, walk: Walk) -> None:
        self._walk = walk
        self._found: dict[int, tuple[Demand, ...]] = {}

    def of(self, node: Node) -> tuple[Demand, ...]:
        found = self._found.get(id(node))
        if found is None:
            found = tuple(demand for demand in self._walk.demands.get(node.choice.name, ()) if _reaches(demand, node))
            self._found[id(node)] = found
        return found


def _reaches(demand: Demand, node: Node) -> bool:
    asked = not node.extra or node.extra in {canonicalize_name(extra) for extra in demand.requirement.extras}
    return asked and bool(demand.where & node.choice.where)


def _distances(walk: Walk) -> dict[int, int]:
    """How many requirements lie between a root and each node, at least."""
    made: dict[int, list[Demand]] = {}
    for demands in walk.demands.values():
        for demand in demands:
            made.setdefault(id(demand.asker) if demand.asker is not None else 0, []).append(demand)
    nodes: dict[str, list[Node]] = {}
    for node in walk.nodes.values():
        nodes.setdefault(node.choice.name, []).append(node)
    found: dict[int, int] = {}
    pending: deque[tuple[int, int]] = deque([(0, 0)])
    while pending:
        at, far = pending.popleft()
        for demand in made.get(at, ()):
            for node in nodes.get(demand.name, ()):
                if id(node) not in found and _reaches(demand, node):
                    found[id(node)] = far + 1
                    pending.append((id(node), far + 1))
    return found


def _step(walk: Walk, demand: Demand) -> Step:
    bare, marker = _parts(demand.requirement)
    overrides = (requirement for _, requirement in walk.rules.overrides.get(demand.name, ()))
    return Step(
        asker=demand.origin if demand.asker is None else str(demand.asker.choice),
        requirement=bare,
        extra=(demand.asker.extra or None) if demand.asker is not None else None,
        marker=marker,
        where=walk.answers.stretches.words(demand.where),
        waiver=str(demand.requirement) if any(one is demand.requirement for one in overrides) else None,
    )


def _parts(requirement: Requirement) -> tuple[str, str | None]:
    text = str(requirement)
    if requirement.marker is None:
        return text, None
    bare = Requirement(text)
    bare.marker = None
    return str(bare), str(requirement.marker)


def unasked(walk: Walk, name: str, roots: Sequence[tuple[LockedRoot, Requirement]]) -> tuple[Unasked, ...]:
    """Everybody who is there and names the package, and does not ask for it on any patch, with the reason."""
    asking = {(id(demand.asker) if demand.asker is not None else 0, str(demand.requirement)) for demand in walk.demands.get(name, ())}
    found: dict[tuple[str, str], Unasked] = {}
    for key, asker, requirement, extras in _mentions(walk, name, roots):
        if (key, str(requirement)) in asking or any((key, str(other)) in asking for _, other in walk.rules.overrides.get(name, ())):
            continue
        bare, marker = _parts(requirement)
        found.setdefault(
            (asker, str(requirement)),
            Unasked(asker=asker, requirement=bare, marker=marker, reason=_reason(walk, name, requirement, extras)),
        )
    # What one extra of a package leaves out, another may bring.
    asked = {(str(demand.asker.choice), str(demand.requirement)) for demand in walk.demands.get(name, ()) if demand.asker is not None}
    return tuple(one for key, one in found.items() if key not in asked)


def _mentions(
    walk: Walk, name: str, roots: Sequence[tuple[LockedRoot, Requirement]]
) -> Iterator[tuple[int, str, Requirement, frozenset[str]]]:
    for root, requirement in roots:
        if canonicalize_name(requirement.name) == name:
            yield 0, root.origin, requirement, frozenset()
    extras: dict[int, set[str]] = {}
    for node in walk.nodes.values():
        extras.setdefault(id(node.choice), set()).add(node.extra)
    for node in walk.nodes.values():
        if node.choice.wheel is None:
            continue
        for requirement in node.choice.wheel.requires:
            if canonicalize_name(requirement.name) == name:
                yield id(node), str(node.choice), requirement, frozenset(extras[id(node.choice)])


def _reason(walk: Walk, name: str, requirement: Requirement, extras: Iterable[str]) -> str:
    if name in walk.rules.excludes:
        return "it is excluded by the configuration"
    extra = only_extra(requirement.marker)
    if extra is not None and extra not in extras:
        return f"only its extra {extra} asks for it, and nobody asks for that"
    return "its marker does not hold"

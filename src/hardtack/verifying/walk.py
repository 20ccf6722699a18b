"""The walk from the roots through the wheels' own metadata: who asks for what, and on which patches of the target.

Nodes are (wheel, extra); what grows is the set of stretches on which a node is wanted, so that every breakpoint of the patch range is
walked at once and cycles end by themselves. Nothing here recurses: a chain may be as deep as it likes.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from hardtack.model.lock import LockedRoot, Waiver
from hardtack.model.marker import UnanswerableMarker
from hardtack.model.stretches import Stretches
from hardtack.model.wheel import WheelFacts


@dataclass(slots=True, eq=False)
class Choice:
    """One version of a package that is installed on the stretches ``where``, by ``wheel``: None if that file does not lie there."""

    name: str
    version: Version
    wheel: WheelFacts | None
    where: int
    filename: str = ""

    def __str__(self) -> str:
        return f"{self.wheel.display_name if self.wheel is not None else self.name} {self.version}"


@dataclass(slots=True, eq=False)
class Demand:
    """A requirement as one node, or the user (``asker`` None), makes it on the stretches ``where``."""

    requirement: Requirement
    name: str
    asker: Node | None
    origin: str
    where: int = 0

    def __str__(self) -> str:
        if self.asker is None:
            return f"{self.origin} asks for {self.requirement}"
        extra = f"[{self.asker.extra}]" if self.asker.extra else ""
        wheel = self.asker.choice.wheel
        name = wheel.display_name if wheel is not None else self.asker.choice.name
        return f"{name}{extra} {self.asker.choice.version} requires {self.requirement}"


@dataclass(slots=True, eq=False)
class Node:
    """A wheel under one of its extras ("" for none). ``via`` is the demand that reached it first, ``root`` the one the chain began with."""

    choice: Choice
    extra: str
    via: Demand
    root: Demand
    where: int = 0
    pending: int = 0


@dataclass(slots=True, eq=False)
class Departure:
    """A waiver at work: ``original`` is what would have been asked on ``would``, ``does`` where something is asked instead."""

    waiver: Waiver
    original: Demand
    would: int
    does: int


@dataclass(slots=True, eq=False)
class Question:
    """A marker that the target cannot answer, and where it stood."""

    error: UnanswerableMarker
    demand: Demand


class Rules:
    """Overrides and excludes by the name they are about. An override replaces the whole requirement, marker and extras too; only an extra
    that the original hangs on stays a condition: that is what uv makes of it, whose locks carry overrides."""

    def __init__(self, waivers: Iterable[Waiver]) -> None:
        self.overrides: dict[str, list[tuple[Waiver, Requirement]]] = {}
        self.excludes: dict[str, Waiver] = {}
        for waiver in waivers:
            requirement = Requirement(waiver.requirement)
            name = canonicalize_name(requirement.name)
            if waiver.kind == "exclude":
                self.excludes[name] = waiver
            else:
                self.overrides.setdefault(name, []).append((waiver, requirement))


class Answers:
    """Markers answered for one target, each text once for an extra."""

    def __init__(self, stretches: Stretches) -> None:
        self.stretches = stretches
        self._texts: dict[int, tuple[Marker, str]] = {}
        self._answers: dict[tuple[str, str], int] = {}

    def where(self, marker: Marker | None, extra: str) -> int:
        """The stretches where a marker holds. Raises ``UnanswerableMarker``."""
        if marker is None:
            return self.stretches.all
        known = self._texts.get(id(marker))
        if known is None:
            known = self._texts[id(marker)] = (marker, str(marker))
        key = (known[1], extra)
        answer = self._answers.get(key)
        if answer is None:
            answer = self._answers[key] = self.stretches.holds(marker, extra=extra)
        return answer


class Walk:
    """One pass over one set of choices. After ``run`` its fields tell everything that was asked for and reached."""

    def __init__(self, answers: Answers, choices: Mapping[str, Sequence[Choice]], rules: Rules, project: str | None) -> None:
        self.answers = answers
        self.choices = choices
        self.rules = rules
        self.project = project
        self.nodes: dict[tuple[int, str], Node] = {}
        self.demands: dict[str, list[Demand]] = {}
        self.departures: list[Departure] = []
        self.questions: dict[tuple[str, str], Question] = {}
        self.steps = 0
        """How many requirements were looked at: the work that grows with a wheelhouse."""
        self._made: dict[tuple[int, int, int], Demand] = {}
        self._departed: dict[tuple[int, int], Departure] = {}
        self._queue: deque[Node] = deque()
        self._project_extras: dict[str, list[tuple[LockedRoot, Requirement]]] = {}

    def run(self, roots: Iterable[tuple[LockedRoot, Requirement]], dormant: Iterable[tuple[LockedRoot, Requirement]] = ()) -> None:
        """Walk from ``roots``. ``dormant`` are the roots of extras that nobody selected: the project may still ask for its own extras."""
        for root, requirement in dormant:
            self._project_extras.setdefault(root.extra or "", []).append((root, requirement))
        pending = deque(roots)
        count = 0
        while pending:
            root, requirement = pending.popleft()
            if self._is_project(requirement):
                for extra in requirement.extras:
                    pending.extend(self._project_extras.pop(canonicalize_name(extra), ()))
            self._ask(None, count, requirement, self.answers.stretches.all, root.origin, root.extra or "")
            count += 1
        while self._queue:
            node = self._queue.popleft()
            delta, node.pending = node.pending, 0
            if node.choice.wheel is not None:
                for index, requirement in enumerate(node.choice.wheel.requires):
                    self._ask(node, index, requirement, delta, "", node.extra)

    def _is_project(self, requirement: Requirement) -> bool:
        name = canonicalize_name(requirement.name)
        return name == self.project and not self.choices.get(name)

    def _ask(self, node: Node | None, index: int, requirement: Requirement, delta: int, origin: str, extra: str) -> None:
        """Node asks for a requirement on the stretches ``delta``: apply waivers, then note it and reach for what answers it."""
        self.steps += 1
        name = canonicalize_name(requirement.name)
        if exclude := self.rules.excludes.get(name):
            self._depart(exclude, node, index, requirement, name, origin, self._where(node, requirement, extra, name, origin) & delta, 0)
            return
        overrides = self.rules.overrides.get(name)
        if overrides is None:
            found = self._where(node, requirement, extra, name, origin) & delta
            if found:
                self._note(node, index, 0, requirement, name, origin, found)
            return
        condition = only_extra(requirement.marker)
        if node is not None and condition != (extra or None):
            return
        would = self._where(node, requirement, extra, name, origin) & delta
        does = 0
        for at, (_, override) in enumerate(overrides):
            found = self._holds(node, override, extra, name, origin) & delta
            if found:
                does |= found
                self._note(node, index, at + 1, override, name, origin, found)
        self._depart(overrides[0][0], node, index, requirement, name, origin, would, does)

    def _where(self, node: Node | None, requirement: Requirement, extra: str, name: str, origin: str) -> int:
        """Where the requirement's marker holds under ``extra``, and not already without it: the wheel asks for that itself."""
        found = self._holds(node, requirement, extra, name, origin)
        if extra and node is not None and found:
            found &= ~self._holds(node, requirement, "", name, origin)
        return found

    def _holds(self, node: Node | None, requirement: Requirement, extra: str, name: str, origin: str) -> int:
        """Where the requirement's marker holds under ``extra``; nowhere, and kept as a question, if the target cannot tell."""
        try:
            return self.answers.where(requirement.marker, extra)
        except UnanswerableMarker as error:
            demand = Demand(requirement, name, node, origin)
            self.questions.setdefault((error.variable, str(requirement)), Question(error, demand))
            return 0

    def _depart(
        self, waiver: Waiver, node: Node | None, index: int, original: Requirement, name: str, origin: str, would: int, does: int
    ) -> None:
        if not would and not does:
            return
        key = (id(node), index)
        known = self._departed.get(key)
        if known is None:
            known = self._departed[key] = Departure(waiver, Demand(original, name, node, origin), 0, 0)
            self.departures.append(known)
        known.would |= would
        known.does |= does

    def _note(self, node: Node | None, index: int, override: int, requirement: Requirement, name: str, origin: str, found: int) -> None:
        key = (id(node), index, override)
        demand = self._made.get(key)
        if demand is None:
            demand = self._made[key] = Demand(requirement, name, node, origin)
            self.demands.setdefault(name, []).append(demand)
        demand.where |= found
        extras = ("", *sorted(canonicalize_name(extra) for extra in requirement.extras))
        for choice in self.choices.get(name, ()):
            reached = found & choice.where
            if reached:
                for extra in extras:
                    self._reach(choice, extra, demand, reached)

    def _reach(self, choice: Choice, extra: str, demand: Demand, reached: int) -> None:
        node = self.nodes.get((id(choice), extra))
        if node is None:
            root = demand if demand.asker is None else demand.asker.root
            node = self.nodes[id(choice), extra] = Node(choice, extra, demand, root)
        fresh = reached & ~node.where
        if fresh:
            node.where |= fresh
            if not node.pending:
                self._queue.append(node)
            node.pending |= fresh


def chain(demand: Demand, limit: int = 8) -> tuple[str, ...]:
    """Who asks, outwards to the root: "click 8.1.8 requires colorama; ...", "requirements.txt:1 asks for click". The middle may be cut."""
    found: list[str] = []
    step = demand
    while step.asker is not None:
        if len(found) == limit:
            return (*found, "...", str(step.asker.root))
        found.append(str(step))
        step = step.asker.via
    return (*found, str(step))


def only_extra(marker: Marker | None) -> str | None:
    """The extra without which a marker never holds: the x of ``extra == "x"`` that stands alone or among parts joined by "and"."""
    if marker is None:
        return None
    parts: list[str] = [""]
    depth, quote = 0, ""
    for piece in re.split(r"([()\"']| and | or )", str(marker)):
        if quote or piece in ('"', "'"):
            quote = "" if piece == quote else quote or piece
        elif piece in ("(", ")"):
            depth += 1 if piece == "(" else -1
        elif not depth and piece == " or ":
            return None
        elif not depth and piece == " and ":
            parts.append("")
            continue
        parts[-1] += piece
    for part in parts:
        left, operator, right = part.strip().partition(" == ")
        if operator and left == "extra" and right[:1] in ("'", '"'):
            return canonicalize_name(right[1:-1])
        if operator and right == "extra" and left[:1] in ("'", '"'):
            return canonicalize_name(left[1:-1])
    return None

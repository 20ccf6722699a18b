"""What a source asks for before it can be built, in rounds, until it asks for nothing new."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from hardtack.building.faults import BadBackend
from hardtack.building.interpreter import Interpreter
from hardtack.building.workshop import Asker, Tool, Workshop

_ROUNDS = 4

# What a backend wants besides, asked in an environment of these tools.
Ask = Callable[[Sequence[Tool]], Sequence[Requirement]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What was asked of ``shop.supply`` at once, and what it brought; both sorted."""

    requires: tuple[Requirement, ...]
    tools: tuple[Tool, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """All that was asked for, each once and sorted, and the rounds in which it was. ``tools`` satisfied it."""

    requires: tuple[Requirement, ...]
    rounds: tuple[Round, ...]

    @property
    def tools(self) -> tuple[Tool, ...]:
        """What the last round brought."""
        return self.rounds[-1].tools


def settle(asker: Asker, stated: Iterable[Requirement], *, interpreter: Interpreter, shop: Workshop, ask: Ask) -> Settled:
    """Have what is ``stated`` supplied, ask the backend in it, and so on, until all that it wants is there.

    What ``shop.supply`` raises is not touched. Raises BadBackend for a source that is never content, and what ``ask`` raises.
    """
    here = marker_environment(interpreter)
    asked = each_once(stated)
    missing: list[Requirement] = []
    rounds: list[Round] = []
    for _ in range(_ROUNDS):
        tools = supplied(asker, asked, interpreter=interpreter, shop=shop)
        rounds.append(Round(requires=asked, tools=tools))
        wanted = [one for one in ask(tools) if one.marker is None or one.marker.evaluate(here)]
        missing = [one for one in wanted if one not in asked and not _is_there(one, tools)]
        asked = each_once([*asked, *wanted])
        if not missing:
            return Settled(requires=asked, rounds=tuple(rounds))
    raise BadBackend(
        f"its backend still asks for more after {_ROUNDS} rounds: {', '.join(str(requirement) for requirement in missing)}",
        where=asker.filename,
    )


def supplied(asker: Asker, requires: Sequence[Requirement], *, interpreter: Interpreter, shop: Workshop) -> tuple[Tool, ...]:
    """What ``shop.supply`` brings, sorted."""
    shop.stop.check()
    return tuple(sorted(shop.supply(asker, requires, interpreter), key=lambda tool: (tool.filename, tool.sha256)))


def each_once(requirements: Iterable[Requirement]) -> tuple[Requirement, ...]:
    """Sorted by name and text; those that say the same, once."""
    unlike = dict.fromkeys(requirements)
    return tuple(sorted(unlike, key=lambda one: (canonicalize_name(one.name), str(one))))


def _is_there(requirement: Requirement, tools: Sequence[Tool]) -> bool:
    # What an extra brings, and what lies behind a URL, is not known from a name and a version.
    if requirement.extras or requirement.url:
        return False
    name = canonicalize_name(requirement.name)
    return any(canonicalize_name(tool.name) == name and requirement.specifier.contains(Version(tool.version), True) for tool in tools)


def marker_environment(interpreter: Interpreter) -> dict[str, str | AbstractSet[str]]:
    """What markers are judged by in an interpreter of this machine."""
    here: dict[str, str | AbstractSet[str]] = {name: str(value) for name, value in default_environment().items()}
    here["extra"] = ""
    release = interpreter.version
    here["python_version"] = f"{release.major}.{release.minor}"
    here["python_full_version"] = str(release)
    here["implementation_name"] = interpreter.implementation
    if interpreter.implementation == "cpython":
        here["platform_python_implementation"] = "CPython"
        here["implementation_version"] = str(release)
    elif interpreter.implementation == "pypy":
        here["platform_python_implementation"] = "PyPy"
    return here

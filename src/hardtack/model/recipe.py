"""What a user says of building: for each package, and for all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from packaging.requirements import Requirement


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How one package is built beyond what its source says.

    ``config`` are PEP 517's config settings, a key given several times has several values. ``requires`` are added to the build's
    requirements; those among them whose normalised name is in ``match_runtime`` come in the version that is locked for running.
    ``variables`` are added to its environment; ``tools`` are programs of this machine that it may find on its PATH.
    """

    config: tuple[tuple[str, tuple[str, ...]], ...] = ()
    requires: tuple[Requirement, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()
    tools: tuple[str, ...] = ()
    match_runtime: tuple[str, ...] = ()

    @property
    def settings(self) -> dict[str, str | list[str]]:
        """``config`` as a hook takes it."""
        return {key: values[0] if len(values) == 1 else list(values) for key, values in self.config}


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildLimits:
    """What one build may use; None is the usual. ``timeout`` in seconds for each hook, ``memory`` and ``disk`` in bytes."""

    timeout: float | None = None
    memory: int | None = None
    disk: int | None = None
    processes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipes:
    """The recipe of every package that has one of its own, by normalised name, and the one for all."""

    everywhere: Recipe = Recipe()
    own: Mapping[str, Recipe] = field(default_factory=dict, hash=False)
    limits: BuildLimits = BuildLimits()

    def of(self, name: str) -> Recipe:
        """The recipe for a package: what is said of all, then what is said of it; a setting that both state is its own."""
        ours, own = self.everywhere, self.own.get(name)
        if own is None:
            return ours
        return Recipe(
            config=tuple({**dict(ours.config), **dict(own.config)}.items()),
            requires=(*ours.requires, *own.requires),
            variables=tuple({**dict(ours.variables), **dict(own.variables)}.items()),
            tools=tuple(dict.fromkeys((*ours.tools, *own.tools))),
            match_runtime=tuple(dict.fromkeys((*ours.match_runtime, *own.match_runtime))),
        )

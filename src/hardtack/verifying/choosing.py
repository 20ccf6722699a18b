"""Which version of each name serves where no lock says: a search for a witness, not a resolver.

Each name takes one version a stretch; what does not suit all who ask is exchanged, and the walk made again, until nothing changes.
What then has no error is a solution, however it was found. Anything else is left to a resolver, and the proof says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from packaging.requirements import Requirement
from packaging.version import Version

from hardtack.model.fit import Fit
from hardtack.model.stretches import Stretches
from hardtack.model.wheel import WheelFacts
from hardtack.verifying.walk import Choice, Demand, Walk

_ROUNDS = 12


def suits(requirement: Requirement, version: Version) -> bool:
    """Pre-releases are the lock's to decide: what is pinned or lies there is judged by its number alone. A URL takes any version."""
    return requirement.url is not None or requirement.specifier.contains(version, prereleases=True)


class Choosing:
    """The versions that fit a target, and which of them is tried where. ``constrained`` holds constraints by name, with their stretches."""

    def __init__(
        self,
        stretches: Stretches,
        fit: Fit,
        fitting: Mapping[str, Sequence[WheelFacts]],
        constrained: Mapping[str, Sequence[tuple[Requirement, int]]],
    ) -> None:
        self._stretches = stretches
        self._fit = fit
        self._constrained = constrained
        self._choices = {name: self._versions(name, wheels) for name, wheels in fitting.items() if wheels}

    def settle(self, walk: Callable[[Mapping[str, Sequence[Choice]]], Walk]) -> tuple[dict[str, list[Choice]], Walk]:
        """Walk and exchange until nothing changes, or it has been tried often enough; the choices, and the walk that was made with them."""
        several = [found for found in self._choices.values() if len(found) > 1]
        for found in self._choices.values():
            self._assign(found, ())
        last = walk(self._choices)
        for _ in range(_ROUNDS):
            changed = False
            for found in several:
                changed |= self._assign(found, last.demands.get(found[0].name, ()))
            if not changed:
                break
            last = walk(self._choices)
        return self._choices, last

    def _versions(self, name: str, wheels: Sequence[WheelFacts]) -> list[Choice]:
        """The best wheel of each version, the newest first, pre-releases last."""
        best: dict[Version, WheelFacts] = {}
        for wheel in wheels:
            known = best.get(wheel.version)
            if known is None or self._order(wheel) > self._order(known):
                best[wheel.version] = wheel
        versions = sorted(best, key=lambda version: (not version.is_prerelease, version), reverse=True)
        return [Choice(name, version, best[version], 0, best[version].filename) for version in versions]

    def _order(self, wheel: WheelFacts) -> tuple[tuple[int, int, str] | tuple[()], str]:
        return self._fit.order(wheel.tags, wheel.build) or (), wheel.filename

    def _assign(self, found: Sequence[Choice], demands: Sequence[Demand]) -> bool:
        """Give each stretch to the first version that suits all who ask there; what none suits goes to the newest. True if that changed.

        A pre-release is considered where there is nothing else or a root asks for one, which is the stricter of uv's and pip's rules.
        """
        explicit = any(demand.asker is None and demand.requirement.specifier.prereleases for demand in demands)
        finals = any(not choice.version.is_prerelease for choice in found)
        eligible = [choice for choice in found if explicit or not finals or not choice.version.is_prerelease]
        left, new = self._stretches.all, {id(choice): 0 for choice in found}
        for choice in eligible:
            serves = left & self._serves(choice, demands, left)
            new[id(choice)] = serves
            left &= ~serves
        new[id(eligible[0])] |= left
        changed = any(choice.where != new[id(choice)] for choice in found)
        for choice in found:
            choice.where = new[id(choice)]
        return changed

    def _serves(self, choice: Choice, demands: Sequence[Demand], among: int) -> int:
        """The stretches among these on which a version suits its Python, the constraints and everyone who asks."""
        serves = among & self._stretches.fits(choice.wheel.requires_python if choice.wheel is not None else None)
        for demand in demands:
            if demand.where & serves and not suits(demand.requirement, choice.version):
                serves &= ~demand.where
        for constraint, where in self._constrained.get(choice.name, ()):
            if where & serves and not suits(constraint, choice.version):
                serves &= ~where
        return serves

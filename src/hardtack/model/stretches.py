"""A target's patch range cut into stretches within which no marker and no Requires-Python changes its answer.

A set of stretches is an int: bit *i* stands for stretch *i*. What holds on which patches is then told by ``&`` and ``|``, however many
patches there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from packaging.markers import Marker
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from hardtack.model.marker import cuts, holds, python_fits, specifier_cuts
from hardtack.model.target import Target


class Stretches:
    """The stretches of one target. ``points`` is the first full version of each, oldest first; ``all`` is the set of them all."""

    __slots__ = ("_fits", "_index", "_marker_texts", "_texts", "_versions", "all", "points", "target")

    def __init__(self, target: Target, breakpoints: Iterable[Version]) -> None:
        self.target = target
        self.points = tuple(dict.fromkeys(target.patches.points(breakpoints)))
        self._index = {point: index for index, point in enumerate(self.points)}
        self.all = (1 << len(self.points)) - 1
        self._versions = tuple(Version(point) for point in self.points)
        # A wheelhouse of thousands has a few dozen different Requires-Python.
        self._fits: dict[SpecifierSet, int] = {}
        self._texts: dict[int, tuple[str, ...]] = {}
        self._marker_texts: dict[int, str | None] = {}

    def where(self, breakpoints: Iterable[Version], answer: Callable[[str], bool]) -> int:
        """The stretches where ``answer`` is true, asked once for each stretch between ``breakpoints`` alone."""
        own = tuple(dict.fromkeys(self.target.patches.points(breakpoints)))
        if len(own) == 1:
            return self.all if answer(own[0]) else 0
        found = 0
        starts = [self._index[point] for point in own]
        for position, start in enumerate(starts):
            end = starts[position + 1] if position + 1 < len(starts) else len(self.points)
            if answer(self.points[start]):
                found |= ((1 << (end - start)) - 1) << start
        return found

    def holds(
        self,
        marker: Marker | None,
        *,
        extra: str = "",
        extras: frozenset[str] = frozenset(),
        groups: frozenset[str] = frozenset(),
        lock_file: bool = False,
    ) -> int:
        """Where a marker holds. Raises ``UnanswerableMarker`` where the target cannot tell."""
        if marker is None:
            return self.all
        return self.where(
            cuts(marker),
            lambda point: holds(marker, self.target, point, extra=extra, extras=extras, groups=groups, lock_file=lock_file),
        )

    def fits(self, spec: SpecifierSet | None) -> int:
        """Where a Requires-Python is met."""
        if spec is None:
            return self.all
        found = self._fits.get(spec)
        if found is None:
            found = self._fits[spec] = self.where(specifier_cuts(spec), lambda point: python_fits(spec, point))
        return found

    def texts(self, stretches: int) -> tuple[str, ...]:
        """The first full version of each stretch of a set."""
        found = self._texts.get(stretches)
        if found is None:
            found = self._texts[stretches] = tuple(point for index, point in enumerate(self.points) if stretches >> index & 1)
        return found

    def words(self, stretches: int) -> str:
        """A set as a person says it: "3.11.0 to 3.11.2"; empty for the whole range, where nothing needs saying."""
        if stretches == self.all:
            return ""
        parts = []
        for start, end in self._runs(stretches):
            first = self.points[start]
            if end == len(self.points):
                last = self.target.patches.last
                parts.append(f"{first} and later" if last is None else f"{first} to {last}")
                continue
            after = self._versions[end]
            if after.is_prerelease or not after.micro:
                parts.append(f"{first} up to, not with, {after}")
                continue
            last_text = f"{after.major}.{after.minor}.{after.micro - 1}"
            parts.append(first if first == last_text else f"{first} to {last_text}")
        return ", ".join(parts)

    def marker(self, stretches: int) -> str | None:
        """A set as a marker on ``python_full_version``, None for the whole range."""
        if stretches not in self._marker_texts:
            self._marker_texts[stretches] = self._marker(stretches)
        return self._marker_texts[stretches]

    def _marker(self, stretches: int) -> str | None:
        if stretches == self.all:
            return None
        alternatives = []
        for start, end in self._runs(stretches):
            bounds = [f'python_full_version >= "{self.points[start]}"'] if start else []
            bounds += [f'python_full_version < "{self.points[end]}"'] if end < len(self.points) else []
            alternatives.append(" and ".join(bounds))
            if end < len(self.points) and not self._versions[end].is_prerelease:
                # PEP 440: "< 3.15.0" leaves out the pre-releases of 3.15.0 itself.
                early = (self.points[at] for at in range(start, end) if self._versions[at].release == self._versions[end].release)
                alternatives += [f'python_full_version == "{point}"' for point in early]
        if not alternatives:
            return 'python_full_version < "0"'
        return alternatives[0] if len(alternatives) == 1 else " or ".join(f"({part})" if " and " in part else part for part in alternatives)

    def _runs(self, stretches: int) -> list[tuple[int, int]]:
        """Neighbouring stretches joined, as (first, end) with the end left out."""
        runs: list[tuple[int, int]] = []
        for index in range(len(self.points)):
            if stretches >> index & 1:
                if runs and runs[-1][1] == index:
                    runs[-1] = (runs[-1][0], index + 1)
                else:
                    runs.append((index, index + 1))
        return runs

"""A resolver's explanation in the words of the run: targets by their names where it writes markers as long as a line."""

from __future__ import annotations

import re
from collections.abc import Sequence

from packaging.markers import InvalidMarker, Marker

from hardtack.errors import TargetError
from hardtack.model.marker import holds
from hardtack.model.target import Target

_SPLIT = re.compile(r" for split \(markers: (?P<marker>.*?)\)(?=\n|$)")
_QUOTED = re.compile(r"`(?P<marker>[^`]*(?:python_full_version|sys_platform|platform_machine)[^`]*)`(?P<suffix>-compatible)?")


def with_target_names(explanation: str, targets: Sequence[Target]) -> str:
    """The explanation with each marker that picks out some of the targets replaced by their names."""

    def split(match: re.Match[str]) -> str:
        names = _names(match["marker"], targets)
        return f" for {names}" if names else match[0]

    def quoted(match: re.Match[str]) -> str:
        names = _names(match["marker"], targets)
        if not names:
            return match[0]
        return f"({names})-compatible" if match["suffix"] else names

    return _QUOTED.sub(quoted, _SPLIT.sub(split, explanation))


def _names(text: str, targets: Sequence[Target]) -> str | None:
    try:
        marker = Marker(text)
        found = [target.name for target in targets if any(holds(marker, target, point) for point in target.patches.points(()))]
    except (InvalidMarker, TargetError):
        return None
    return ", ".join(found) or None

"""Marker classes: the targets that markers cannot tell apart, and the marker text that stands for each (PEP 508)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from packaging.version import Version

from hardtack.model.target import Selection, Target

_WRITTEN = ("implementation_name", "os_name", "platform_machine", "platform_python_implementation", "platform_system", "sys_platform")


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkerClass:
    """Targets that share one version of each package, and the marker that holds on exactly their environments."""

    targets: tuple[Target, ...]
    marker: str


def marker_classes(targets: Sequence[Target]) -> tuple[MarkerClass, ...]:
    """Group targets by what markers see of them. A class's patch range is the hull of its targets' ranges.

    Targets that differ only in what a host alone knows (a stated ``platform_release``) share a class: the resolver tells no more apart.
    """
    groups: dict[tuple[object, ...], list[Target]] = {}
    for target in targets:
        groups.setdefault((target.python, *(target.environment.get(name) for name in _WRITTEN)), []).append(target)
    return tuple(MarkerClass(targets=tuple(group), marker=_marker(group)) for group in groups.values())


def selections(targets: Sequence[Target]) -> tuple[tuple[Selection, tuple[Target, ...]], ...]:
    """Group targets by what they take: each group is a resolution of its own, so that conflicting extras can share a wheelhouse."""
    groups: dict[Selection, list[Target]] = {}
    for target in targets:
        groups.setdefault(target.selection, []).append(target)
    return tuple((selection, tuple(group)) for selection, group in groups.items())


def _marker(targets: Sequence[Target]) -> str:
    first = targets[0]
    major, minor = first.python
    lowest = min(target.patches.first for target in targets)
    lasts = [target.patches.last for target in targets]
    parts = [f"python_full_version >= '{_bound(lowest)}'"]
    if any(last is None for last in lasts):
        parts.append(f"python_full_version < '{major}.{minor + 1}'")
    else:
        parts.append(f"python_full_version <= '{max(last for last in lasts if last is not None)}'")
    parts += [f"{name} == '{first.environment[name]}'" for name in _WRITTEN if name in first.environment]
    return " and ".join(parts)


def _bound(version: Version) -> str:
    """The first patch of a minor version is written without its zero, so that its pre-releases are not cut off by spelling."""
    return f"{version.major}.{version.minor}" if version.micro == 0 and not version.pre else str(version)

"""A lock cut down to some targets: what they do not want is gone, and a marker that tells none of them apart is not written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from hardtack.model.lock import Lock, LockedPackage
from hardtack.model.plan import Gap
from hardtack.model.target import Target
from hardtack.planning.plan import Policy, plan

_SETS = re.compile(r"\b(?:extras|dependency_groups|extra)\b")


def narrowed(lock: Lock, targets: Sequence[Target]) -> Lock:
    """The lock for these targets alone. A package that each of them wants on every patch loses its marker, unless that asks for extras
    or groups; the others keep theirs."""
    if not targets:
        return lock
    whole: dict[int, int] = {}
    wanted: set[int] = set()
    for entry in plan(lock, targets, Policy(extras=lock.extras, groups=lock.groups | lock.default_groups)).entries:
        wanted.add(id(entry.package))
        asked = isinstance(entry.decision, Gap) and entry.decision.code == "unanswerable-marker"
        whole[id(entry.package)] = whole.get(id(entry.package), 0) + (entry.marker is None and not asked)
    packages = tuple(_plain(package, whole, len(targets)) for package in lock.packages if id(package) in wanted)
    return replace(lock, packages=packages)


def _plain(package: LockedPackage, whole: dict[int, int], targets: int) -> LockedPackage:
    if package.marker is None or whole[id(package)] != targets or _SETS.search(str(package.marker)):
        return package
    return replace(package, marker=None)

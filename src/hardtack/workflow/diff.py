"""``diff``: what differs between two locks or wheelhouses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hardtack.errors import InputError
from hardtack.planning.difference import Difference, Inventory, compare
from hardtack.system.cancellation import Cancellation
from hardtack.targets.catalog import parse_target
from hardtack.workflow.inventories import read_inventory


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffResult:
    """Both sides as they were read, and what differs."""

    before: Inventory
    after: Inventory
    difference: Difference

    @property
    def same(self) -> bool:
        """True if nothing differs in what both sides say, and all of both could be read."""
        return self.difference.empty and not self.before.unread and not self.after.unread


def diff(before: Path, after: Path, *, targets: Sequence[str] = (), stop: Cancellation | None = None) -> DiffResult:
    """Compare what lies at two places: folders of wheels, pylock.toml files and uv.locks in any combination. No network.

    ``targets`` are names; a pylock.toml that was made for none is planned for them, and only what they take is compared.
    Raises InputError for what is no lock and no wheelhouse, or is not for one of the targets.
    """
    wanted = [parse_target(name) for name in targets]
    sides = [_narrowed(read_inventory(path, wanted, stop=stop), [target.name for target in wanted]) for path in (before, after)]
    return DiffResult(before=sides[0], after=sides[1], difference=compare(*sides))


def _narrowed(side: Inventory, targets: Sequence[str]) -> Inventory:
    """The side with what these targets take, and no more; all of it where it does not say what targets take."""
    if not targets or not side.targets:
        return side
    if unknown := [name for name in targets if name not in side.targets]:
        has = ", ".join(side.targets)
        raise InputError(f"it is not for {', '.join(unknown)}", where=side.label, hint=f"its targets are {has}")
    kept = {name: taken for name, taken in side.targets.items() if name in targets}
    takes: dict[tuple[str, str | None], set[str | None]] = {}
    for one in (one for taken in kept.values() for one in taken):
        takes.setdefault((one.name, one.version), set()).add(one.filename)
    packages = []
    for package in side.packages:
        wanted = takes.get((package.name, package.version))
        if wanted is None:
            continue
        # Of what is to be built, any file may be the source.
        files = package.files if None in wanted else tuple(file for file in package.files if file.filename in wanted)
        packages.append(replace(package, files=files))
    return replace(side, packages=tuple(packages), targets=kept)

"""``diff``: what differs between two locks or wheelhouses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

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

    ``targets`` are names; a pylock.toml that was made for none is planned for them, and only they are compared.
    Raises InputError for what is no lock and no wheelhouse.
    """
    wanted = [parse_target(name) for name in targets]
    sides = [_narrowed(read_inventory(path, wanted, stop=stop), [target.name for target in wanted]) for path in (before, after)]
    return DiffResult(before=sides[0], after=sides[1], difference=compare(*sides))


def _narrowed(side: Inventory, targets: Sequence[str]) -> Inventory:
    if not targets:
        return side
    from dataclasses import replace

    return replace(side, targets={name: taken for name, taken in side.targets.items() if name in targets})

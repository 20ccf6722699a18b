"""What was built before, so that a second run builds nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from packaging.tags import Tag
from packaging.utils import parse_wheel_filename

from hardtack.building.build import BuiltWheel
from hardtack.building.repair import Repairer
from hardtack.model.manifest import BuildRecord
from hardtack.model.wheel import SdistFacts
from hardtack.system.files import write_bytes

_SCHEMA = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """A wheel built in an earlier run; its bytes are in the store under ``sha256``. ``size`` in bytes."""

    filename: str
    sha256: str
    size: int
    record: BuildRecord
    outside: tuple[str, ...] = ()

    @property
    def tags(self) -> frozenset[Tag]:
        """The tags in its name, which are true."""
        return parse_wheel_filename(self.filename)[3]


def build_key(facts: SdistFacts, *, python: str, sandbox: str, source_date_epoch: int, repairer: Repairer | None = None) -> str:
    """The digest of what is known to go into a build before it begins.

    ``python`` is any text that tells interpreters and their platforms apart (``Interpreter.label`` and ``abi``): what one compiled is not
    taken for what another would, nor is what was linked to one C library for what another system would give.

    A build made without a sandbox is not taken for one made in it. The build requirements that were really used are in the record,
    and a newer release of one does not build again.
    """
    parts = {
        "schema": _SCHEMA,
        "source": facts.sha256,
        "backend": [facts.backend, *facts.backend_path],
        "requires": sorted(str(requirement) for requirement in facts.build_requires),
        "python": python,
        "sandbox": sandbox,
        "epoch": source_date_epoch,
        "repairer": [repairer.name, repairer.version] if repairer is not None else None,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def built_before(key: str, *, cache_dir: Path, has: Callable[[str], bool]) -> Remembered | None:
    """What an earlier run made of the same source in the same way, if the store still ``has`` the wheel."""
    try:
        data = json.loads((cache_dir / "built" / f"{key}.json").read_bytes())
        remembered = Remembered(
            filename=str(data["filename"]),
            sha256=str(data["sha256"]),
            size=int(data["size"]),
            record=BuildRecord(**data["record"]),
            outside=tuple(str(library) for library in data["outside"]),
        )
        whole = data["key"] == key
    except (OSError, ValueError, KeyError, TypeError):
        return None  # absent, torn or of another schema: build again
    return remembered if whole and has(remembered.sha256) else None


def remember(key: str, built: BuiltWheel, *, cache_dir: Path) -> None:
    """Keep what was built, once its bytes are in the store."""
    data = {
        "key": key,
        "filename": built.filename,
        "sha256": built.sha256,
        "size": built.size,
        "record": asdict(built.record),
        "outside": built.outside,
    }
    write_bytes(cache_dir / "built" / f"{key}.json", json.dumps(data, indent=1, sort_keys=True).encode() + b"\n")

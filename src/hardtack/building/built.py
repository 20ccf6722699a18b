"""What was built before, so that a second run builds nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from packaging.tags import Tag
from packaging.utils import parse_wheel_filename

from hardtack.building.build import BuiltWheel
from hardtack.building.notes import log_of
from hardtack.model.manifest import BuildRecord
from hardtack.system.files import write_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """A wheel built in an earlier run; its bytes are in the store under ``sha256``. ``size`` in bytes. ``log``: what its build said."""

    filename: str
    sha256: str
    size: int
    record: BuildRecord
    outside: tuple[str, ...] = ()
    log: Path | None = None

    @property
    def tags(self) -> frozenset[Tag]:
        """The tags in its name, which are true."""
        return parse_wheel_filename(self.filename)[3]


def built_before(key: str, *, cache_dir: Path, has: Callable[[str], bool]) -> Remembered | None:
    """What an earlier run built of all that ``key`` is the digest of (a bench's), if the store still ``has`` the wheel."""
    try:
        data = json.loads((cache_dir / "built" / f"{key}.json").read_bytes())
        record = BuildRecord(**data["record"])
        if record.config is not None:
            record = replace(record, config={setting: tuple(values) for setting, values in record.config.items()})
        log = log_of(key, cache_dir=cache_dir)
        remembered = Remembered(
            filename=str(data["filename"]),
            sha256=str(data["sha256"]),
            size=int(data["size"]),
            record=record,
            outside=tuple(str(library) for library in data["outside"]),
            log=log if log.is_file() else None,
        )
        whole = data["key"] == key
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
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

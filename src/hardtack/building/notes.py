"""Small things kept in the cache between runs: what backends answered, what builds said."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from hardtack.system.files import write_bytes

_LOG_LIMIT = 1 << 20  # bytes of a log that is kept
_CUT = b"\n[... left out ...]\n"


def answered_before(key: str, *, cache_dir: Path) -> tuple[Requirement, ...] | None:
    """What a backend answered to the same question, None where that is not known."""
    try:
        data = json.loads((cache_dir / "asked" / f"{key}.json").read_bytes())
        if data["key"] != key:
            return None
        return tuple(Requirement(text) for text in data["requires"])
    except (OSError, ValueError, KeyError, TypeError, InvalidRequirement):
        return None  # absent, torn or of another schema: ask again


def remember_answer(key: str, requires: Sequence[Requirement], *, cache_dir: Path) -> None:
    """Keep what a backend answered."""
    data = {"key": key, "requires": [str(requirement) for requirement in requires]}
    write_bytes(cache_dir / "asked" / f"{key}.json", json.dumps(data).encode() + b"\n")


def described_before(key: str, *, cache_dir: Path) -> str | None:
    """The METADATA that a backend prepared of all that ``key`` is the digest of (a bench's), None where that is not known."""
    try:
        data = json.loads((cache_dir / "described" / f"{key}.json").read_bytes())
        return str(data["metadata"]) if data["key"] == key else None
    except (OSError, ValueError, KeyError, TypeError):
        return None  # absent, torn or of another schema: ask again


def remember_description(key: str, metadata: str, *, cache_dir: Path) -> None:
    """Keep the METADATA that a backend prepared."""
    write_bytes(cache_dir / "described" / f"{key}.json", json.dumps({"key": key, "metadata": metadata}).encode() + b"\n")


def log_of(key: str, *, cache_dir: Path) -> Path:
    """Where the log of a build that ended well is kept."""
    return cache_dir / "built" / f"{key}.log"


def keep_log(key: str, log: Path, *, cache_dir: Path) -> Path:
    """Keep the log of a build that ended well: the whole, or the beginning and the end of a long one. Returns where."""
    with open(log, "rb") as stream:
        data = stream.read(_LOG_LIMIT + 1)
        if len(data) > _LOG_LIMIT:
            half = (_LOG_LIMIT - len(_CUT)) // 2
            stream.seek(-half, 2)
            data = data[:half] + _CUT + stream.read(half)
    place = log_of(key, cache_dir=cache_dir)
    write_bytes(place, data)
    return place


def took_before(sha256: str, *, cache_dir: Path) -> float | None:
    """Seconds that the last build of a source took, None where there was none."""
    try:
        return float((cache_dir / "built" / f"{sha256}.seconds").read_bytes())
    except (OSError, ValueError):
        return None


def remember_seconds(sha256: str, seconds: float, *, cache_dir: Path) -> None:
    """Keep how long a build of a source took, for the order of the next ones."""
    write_bytes(cache_dir / "built" / f"{sha256}.seconds", f"{seconds:.1f}\n".encode())

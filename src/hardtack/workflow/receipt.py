"""The receipt of a proven wheelhouse: what it was made from, and its files as stat saw them, so that proving it again costs a glance."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hardtack.model.finding import Finding, Severity
from hardtack.model.manifest import Manifest
from hardtack.system.cancellation import Cancellation
from hardtack.system.files import DiskFault, write_bytes
from hardtack.targets.catalog import describe
from hardtack.version import __version__
from hardtack.workflow.reading import Job

_SCHEMA = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """``key`` tells what went into a run; ``manifest_digest`` is the sha256 of ``wheelhouse.json``; ``summary`` is the proof, as JSON."""

    key: str
    manifest_digest: str
    summary: Mapping[str, Any] = field(hash=False)


def receipt_key(job: Job) -> str:
    """The digest of everything that a run's result depends on, the indexes' changing content aside."""
    options = job.options
    lock = job.lock_file.path.read_bytes() if job.lock_file is not None else b""
    parts = [
        __version__,
        job.digest(),
        {target.name: describe(target) for target in job.targets},
        [job.layout, options.trial, options.opinion, options.require_stated_hashes, options.require_sandbox],
        [options.with_sdists, options.keep_foreign],
        [options.build_twice, options.locked, options.build_lock, job.build_system.digest if job.build_system is not None else ""],
        hashlib.sha256(lock).hexdigest(),
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def recall(job: Job, key: str) -> Receipt | None:
    """The receipt of the same run on the same wheelhouse, if not one of its files was touched since (size, time, inode)."""
    try:
        data = json.loads(_place(job).read_bytes())
        if data["schema"] != _SCHEMA or data["key"] != key:
            return None
        for path, size, modified, inode in data["files"]:
            seen = os.stat(job.output / path, follow_symlinks=False)
            if (seen.st_size, seen.st_mtime_ns, seen.st_ino) != (size, modified, inode):
                return None
        for location, seen in data["sources"]:
            if _fingerprint(job, location) != seen:
                return None
        if data["wheels"] != _wheels(job.output, [path for path, *_ in data["files"]]):
            return None
        return Receipt(key=key, manifest_digest=data["manifest-sha256"], summary=data["summary"])
    except (OSError, ValueError, KeyError, TypeError):
        return None  # no receipt, a torn one, or a file that is gone: prove again


def keep(job: Job, receipt: Receipt, manifest: Manifest, paths: tuple[str, ...], tool_folders: Iterable[str] = ()) -> None:
    """Write the receipt of a wheelhouse that was just proven and stowed; ``paths`` are its wheels, relative to it.

    ``tool_folders`` are those that builds had tools from, told from the project.
    """
    names = [*paths, *(path for path, _ in manifest.generated), "wheelhouse.json"]
    files = []
    for name in names:
        seen = os.stat(job.output / name, follow_symlinks=False)
        files.append([name, seen.st_size, seen.st_mtime_ns, seen.st_ino])
    data = {
        "schema": _SCHEMA,
        "key": receipt.key,
        "manifest-sha256": receipt.manifest_digest,
        "summary": receipt.summary,
        "files": files,
        "wheels": _wheels(job.output, names),
        "sources": [[location, _fingerprint(job, location)] for location in sorted({*_folders(manifest), *tool_folders})],
    }
    _write(_place(job), data)


def _wheels(folder: Path, paths: Sequence[str]) -> list[str]:
    """Every wheel that lies in the folders of these files, listed or not: an installer sees them all."""
    places = sorted({path.rpartition("/")[0] for path in paths if path.endswith(".whl")} | {""})
    return sorted(f"{place}/{name}" for place in places for name in os.listdir(folder / place) if name.endswith(".whl"))


def _folders(manifest: Manifest) -> set[str]:
    """The folders that wheels were built from, told from the project."""
    found = (file.build.made_of for file in manifest.files if file.build is not None)
    return {origin.location for origin in found if origin is not None and origin.kind == "directory"}


def _fingerprint(job: Job, location: str) -> str:
    # Imported where it is needed: most projects build nothing of their own.
    from hardtack.building.trees import fingerprint

    folder = Path(os.path.normpath(job.project_dir / location))
    return fingerprint(folder, environment=job.environment, leave_out=(job.output.absolute(),), stop=Cancellation())


def forget(folder: Path, cache_dir: Path) -> None:
    """Trust a wheelhouse no longer: the next run proves it again, from every byte's digest."""
    with contextlib.suppress(OSError):
        _place_of(folder, cache_dir).unlink(missing_ok=True)


def recall_lock(job: Job, key: str, path: Path) -> Mapping[str, Any] | None:
    """The summary of the lock at ``path``, if the same run wrote it and not one byte of it differs since."""
    try:
        data = json.loads(_lock_place(job, path).read_bytes())
        if data["schema"] != _SCHEMA or data["key"] != key or data["sha256"] != hashlib.sha256(path.read_bytes()).hexdigest():
            return None
        summary: Mapping[str, Any] = data["summary"]
        return summary
    except (OSError, ValueError, KeyError, TypeError):
        return None


def keep_lock(job: Job, key: str, path: Path, text: bytes, summary: Mapping[str, Any]) -> None:
    """Write the receipt of a lock that is at ``path`` now."""
    data = {"schema": _SCHEMA, "key": key, "sha256": hashlib.sha256(text).hexdigest(), "summary": summary}
    _write(_lock_place(job, path), data)


def _write(place: Path, data: Mapping[str, Any]) -> None:
    """A cache that has no room for a receipt spoils nothing: the next run proves again."""
    with contextlib.suppress(DiskFault):
        write_bytes(place, json.dumps(data).encode())


def finding_of(row: Mapping[str, Any]) -> Finding:
    """A finding from its JSON."""
    known = {key.replace("-", "_"): tuple(value) if isinstance(value, list) else value for key, value in row.items()}
    return Finding(**{**known, "severity": Severity(row["severity"])})  # type: ignore[arg-type]


def _place(job: Job) -> Path:
    return _place_of(job.output, job.cache_dir)


def _place_of(folder: Path, cache_dir: Path) -> Path:
    name = hashlib.sha256(str(folder.absolute()).encode()).hexdigest()[:32]
    return cache_dir / "receipts" / f"{name}.json"


def _lock_place(job: Job, path: Path) -> Path:
    name = hashlib.sha256(str(path.absolute()).encode()).hexdigest()[:32]
    return job.cache_dir / "receipts" / f"lock-{name}.json"

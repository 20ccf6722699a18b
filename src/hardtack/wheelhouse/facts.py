"""Facts, remembered by digest: a wheel that was judged once is not read again."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from hardtack.model.finding import Finding, Severity
from hardtack.model.native import LibraryNeed, MachineCode, SymbolVersion
from hardtack.model.wheel import BadWheel, WheelFacts
from hardtack.reporting import Reporter
from hardtack.system.cancellation import Cancellation
from hardtack.system.files import atomic_write
from hardtack.wheelhouse.inspect import inspect_wheel
from hardtack.wheelhouse.limits import DEFAULT, Limits
from hardtack.wheelhouse.metadata import requirement_of, specifiers_of
from hardtack.wheelhouse.wheel_names import tags_of, version_of

# Raise it with every change to what is checked or to what facts hold: old entries are then not found.
SCHEMA = 3


class FactsCache:
    """What ``inspect_wheel`` said, one small file for each wheel under ``folder``; shared by any number of processes.

    An entry counts only for the digest, name and size for which it was written and under the same limits; one that is damaged is a miss.
    """

    def __init__(self, folder: Path, *, limits: Limits = DEFAULT) -> None:
        bounds = hashlib.sha256(repr(limits).encode()).hexdigest()[:8]
        self._folder = str(folder / "facts" / f"v{SCHEMA}-{bounds}")
        self._limits = limits

    def get(self, path: Path, filename: str, sha256: str) -> WheelFacts | BadWheel:
        """The facts of the wheel at ``path``: from memory of them if its size is the same, else from its bytes (then remembered)."""
        return self.known(path, filename, sha256) or self._inspect(path, filename, sha256)

    def known(self, path: Path, filename: str, sha256: str) -> WheelFacts | BadWheel | None:
        """What is remembered of the wheel, or None."""
        try:
            with open(self._entry(filename, sha256), "rb") as file:
                data = file.read()
            return _decode(data, filename, sha256, os.stat(path).st_size)
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            return None

    def _inspect(self, path: Path, filename: str, sha256: str) -> WheelFacts | BadWheel:
        facts = inspect_wheel(path, filename=filename, sha256=sha256, limits=self._limits)
        if not (isinstance(facts, BadWheel) and any(finding.code == "hash-mismatch" for finding in facts.findings)):
            # A verdict on other bytes says nothing of this digest.
            with atomic_write(Path(self._entry(filename, sha256))) as stream:
                stream.write(_encode(facts, path.stat().st_size))
        return facts

    def _entry(self, filename: str, sha256: str) -> str:
        # File names can be longer than a file system takes, and hold what it does not.
        named = hashlib.sha256(f"{sha256}/{filename}".encode("utf-8", "backslashreplace")).hexdigest()
        return os.path.join(self._folder, named[:2], f"{named[2:40]}.json")


def inspect_all(
    files: Iterable[tuple[Path, str, str]],
    cache: FactsCache,
    *,
    jobs: int = 2,
    reporter: Reporter | None = None,
    stop: Cancellation | None = None,
) -> Iterator[WheelFacts | BadWheel]:
    """The facts of every (path, filename, sha256), in their order; what is not remembered is read by ``jobs`` threads."""
    reporter, stop = reporter or Reporter(), stop or Cancellation()
    wanted = list(files)
    found: list[WheelFacts | BadWheel | None] = [cache.known(*file) for file in wanted]
    missing = [index for index, facts in enumerate(found) if facts is None]
    done = len(wanted) - len(missing)
    reporter.checked(done=done, total=len(wanted))
    if missing:
        missing.sort(key=lambda index: wanted[index][0].stat().st_size, reverse=True)
        from concurrent.futures import ThreadPoolExecutor, as_completed

        lock = threading.Lock()
        queue = iter(missing)

        def work() -> None:
            nonlocal done
            while not stop.cancelled:
                with lock:
                    index = next(queue, None)
                if index is None:
                    return
                found[index] = cache.get(*wanted[index])
                with lock:
                    done += 1
                    now = done
                reporter.checked(done=now, total=len(wanted))

        with ThreadPoolExecutor(max(1, jobs), thread_name_prefix="inspect") as pool:
            for future in as_completed([pool.submit(work) for _ in range(max(1, jobs))]):
                future.result()
        stop.check()
    for facts in found:
        assert facts is not None
        yield facts


def digests(paths: Iterable[Path], *, jobs: int = 2, stop: Cancellation | None = None) -> dict[Path, str]:
    """The sha256 of each file, read by ``jobs`` threads, the largest first."""
    from concurrent.futures import ThreadPoolExecutor

    stop = stop or Cancellation()

    def digest(path: Path) -> str:
        stop.check()
        with open(path, "rb", buffering=0) as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()

    ordered = sorted(paths, key=lambda path: path.stat().st_size, reverse=True)
    with ThreadPoolExecutor(jobs, thread_name_prefix="digest") as pool:
        return dict(zip(ordered, pool.map(digest, ordered), strict=True))


def _encode(facts: WheelFacts | BadWheel, size: int) -> bytes:
    row: dict[str, Any] = {
        "filename": facts.filename,
        "sha256": facts.sha256,
        "size": size,
        "findings": [
            [finding.code, finding.message, finding.severity.value, finding.package, finding.version, finding.hint]
            for finding in facts.findings
        ],
    }
    if isinstance(facts, WheelFacts):
        row |= {
            "name": facts.name,
            "version": str(facts.version),
            "build": list(facts.build),
            "tags": "-".join(facts.filename.removesuffix(".whl").split("-")[-3:]),
            "requires-python": None if facts.requires_python is None else str(facts.requires_python),
            "requires": [str(requirement) for requirement in facts.requires],
            "extras": sorted(facts.extras),
            "display-name": facts.display_name,
            "summary": facts.summary,
            "license": facts.license,
            "pure": facts.pure,
            "modules": list(facts.modules),
            "native": None if facts.native is None else _encode_native(facts.native),
        }
    body = json.dumps(row, separators=(",", ":")).encode()
    return hashlib.sha256(body).hexdigest()[:32].encode() + b"\n" + body


def _decode(data: bytes, filename: str, sha256: str, size: int) -> WheelFacts | BadWheel | None:
    """The facts, or None if they are not those of exactly this file. May raise what damaged data makes raise."""
    body = data[33:]
    if data[:32] != hashlib.sha256(body).hexdigest()[:32].encode():
        return None
    row = json.loads(body)
    if row["filename"] != filename or row["sha256"] != sha256 or row["size"] != size:
        return None
    findings = tuple(
        Finding(code=code, message=message, severity=Severity(severity), package=package, version=version, file=filename, hint=hint)
        for code, message, severity, package, version, hint in row["findings"]
    )
    if "name" not in row:
        return BadWheel(filename=filename, sha256=sha256, findings=findings)
    version = version_of(row["version"])
    requires = tuple(requirement_of(text) for text in row["requires"])
    if version is None or any(isinstance(requirement, str) for requirement in requires):
        return None
    build = row["build"]
    return WheelFacts(
        filename=filename,
        sha256=sha256,
        size=size,
        name=row["name"],
        version=version,
        build=(build[0], build[1]) if build else (),
        tags=tags_of(row["tags"], DEFAULT.tags),
        requires_python=None if row["requires-python"] is None else specifiers_of(row["requires-python"]),
        requires=requires,  # type: ignore[arg-type]
        extras=frozenset(row["extras"]),
        display_name=row["display-name"],
        summary=row["summary"],
        license=row["license"],
        pure=row["pure"],
        modules=tuple(row["modules"]),
        native=None if row["native"] is None else _decode_native(row["native"]),
        findings=findings,
    )


def _encode_native(code: MachineCode) -> list[Any]:
    return [
        sorted(code.machines),
        sorted(code.libcs),
        sorted(code.gives),
        [[need.machine, need.library, need.file, need.loaded] for need in code.libraries],
        [[need.machine, need.library, need.version, need.file, need.symbol, need.weak] for need in code.versions],
        code.broken,
    ]


def _decode_native(row: list[Any]) -> MachineCode:
    machines, libcs, gives, libraries, versions, broken = row
    return MachineCode(
        machines=frozenset(machines),
        libcs=frozenset(libcs),
        gives=frozenset((machine, name) for machine, name in gives),
        libraries=tuple(
            LibraryNeed(machine=machine, library=library, file=file, loaded=loaded) for machine, library, file, loaded in libraries
        ),
        versions=tuple(
            SymbolVersion(machine=machine, library=library, version=version, file=file, symbol=symbol, weak=weak)
            for machine, library, version, file, symbol, weak in versions
        ),
        broken=tuple((name, reason) for name, reason in broken),
    )

"""The source archives of a wheelhouse, judged again where they lie."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hardtack.model.finding import Finding, Severity
from hardtack.model.manifest import Manifest, ManifestSource
from hardtack.model.wheel import SdistFacts
from hardtack.system.cancellation import Cancellation
from hardtack.wheelhouse.manifest import SOURCES_FOLDER
from hardtack.wheelhouse.sdist import inspect_sdist

_REPLACED = "the file was replaced or altered after it was listed; do not use it before you know which"


def check_sources(folder: Path, manifest: Manifest, *, stop: Cancellation) -> tuple[Finding, ...]:
    """Compare the source archives that are listed with what lies there, and judge each from its bytes."""

    def check(source: ManifestSource) -> list[Finding]:
        stop.check()
        return list(_check(folder, source))

    with ThreadPoolExecutor(2, thread_name_prefix="inspect") as pool:
        findings = [finding for found in pool.map(check, manifest.sources) for finding in found]
    stop.check()
    return (*findings, *_unlisted(folder, manifest))


def _check(folder: Path, source: ManifestSource) -> Iterator[Finding]:
    place = folder / source.path
    if not place.is_file():
        hint = "run hardtack build --with-sdists again: it fetches what is absent"
        yield _about(source, "absent", f"{source.path} is listed and does not lie there", hint)
        return
    with open(place, "rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if digest != source.sha256:
        yield _about(source, "hash-mismatch", f"{source.path} has sha256 {digest}, but {source.sha256} is listed", _REPLACED)
        return
    if (size := place.stat().st_size) != source.size:
        yield _about(source, "size-mismatch", f"{source.path} has {size} bytes, but {source.size} are listed", _REPLACED)
    facts = inspect_sdist(place, filename=source.filename, sha256=digest)
    yield from facts.findings
    if isinstance(facts, SdistFacts) and (facts.name, str(facts.version)) != (source.name, source.version):
        message = f"{source.path} says that it is {facts.name} {facts.version}, but {source.name} {source.version} is listed"
        yield _about(source, "name-mismatch" if facts.name != source.name else "version-mismatch", message, _REPLACED)


def _unlisted(folder: Path, manifest: Manifest) -> Iterator[Finding]:
    """What lies among the source archives and is none of them: no index lists it, but ``--find-links`` there would."""
    listed = {source.path for source in manifest.sources}
    leftovers = {path for path, _ in manifest.leftovers}
    try:
        names = sorted(os.listdir(folder / SOURCES_FOLDER))
    except (FileNotFoundError, NotADirectoryError):
        return
    for name in names:
        path = f"{SOURCES_FOLDER}/{name}"
        if path in listed or (folder / path).is_dir():
            continue
        if path in leftovers:
            yield Finding(code="leftover", severity=Severity.NOTE, message=f"{path} is left over from an earlier run", file=path)
        else:
            message = f"{path} lies there and is not listed"
            yield Finding(
                code="unlisted", severity=Severity.WARNING, message=message, file=path, hint="remove it, if you did not put it there"
            )


def _about(source: ManifestSource, code: str, message: str, hint: str) -> Finding:
    return Finding(code=code, message=message, package=source.name, version=source.version, file=source.path, hint=hint)

"""``verify``: judge a wheelhouse again, from nothing but what lies there."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hardtack.errors import InputError
from hardtack.model.finding import Finding, Severity, Verdict
from hardtack.model.manifest import Manifest, ManifestFile
from hardtack.model.target import Target
from hardtack.model.wheel import BadWheel, WheelFacts
from hardtack.reporting import Reporter
from hardtack.system import environ
from hardtack.system.cancellation import Cancellation
from hardtack.system.uv import find_uv
from hardtack.targets.catalog import from_description
from hardtack.verifying.integrity import check_files
from hardtack.wheelhouse.facts import FactsCache, digests, inspect_all
from hardtack.wheelhouse.layout import file_paths, read_wheelhouse
from hardtack.wheelhouse.native import judge_native
from hardtack.wheelhouse.sources import check_sources
from hardtack.wheelhouse.store import Store
from hardtack.workflow.proving import Shelf, prove
from hardtack.workflow.receipt import forget


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyResult:
    """What judging a wheelhouse came to."""

    folder: Path
    manifest: Manifest
    verdict: Verdict


def verify(
    folder: Path,
    *,
    cache_dir: Path | None = None,
    trial: bool = True,
    environment: Mapping[str, str] | None = None,
    reporter: Reporter | None = None,
    stop: Cancellation | None = None,
) -> VerifyResult:
    """Read every byte of a wheelhouse that hardtack made, judge every archive, and prove every target complete again.

    No network. ``trial``: install for this host's targets too. Raises InputError where there is no manifest.
    """
    reporter = reporter or Reporter()
    stop = stop or Cancellation()
    variables = dict(environment if environment is not None else environ.variables())
    cache = environ.cache_dir(cache_dir, variables)
    manifest, present = read_wheelhouse(folder)
    if manifest is None:
        raise InputError("there is no wheelhouse.json in it", where=str(folder), hint="`hardtack build -o DIR` makes a wheelhouse")
    if not manifest.targets:
        raise InputError("it names no target: there is nothing to prove", where=str(folder / "wheelhouse.json"))
    targets = tuple(from_description(data, where=f"{folder}: {name}") for name, data in manifest.targets.items())
    reporter.stage("judging")
    files = _each_copy(manifest)
    found = _judge(folder, {file.path for file in files} | {file.path for file in present}, cache, reporter, stop)
    findings: list[Finding] = [
        *check_files(files, found, targets=targets, leftovers={path for path, _ in manifest.leftovers}),
        *check_sources(folder, manifest, stop=stop),
        *_generated(folder, manifest),
        *_foreign(manifest),
    ]
    shelves = [_shelf(target, manifest, folder, found) for target in targets]
    findings += judge_native([(shelf.target, _lying_for(shelf.target.name, files, found)) for shelf in shelves])
    proof = prove(
        shelves,
        roots=manifest.roots,
        waivers=manifest.waivers,
        project=manifest.project,
        uv=find_uv(cache, variables, offline=True),
        python=environ.interpreter() if trial else None,
        opinion=True,
        reporter=reporter,
        stop=stop,
    )
    findings += proof.findings
    if manifest.gaps:
        findings.append(
            Finding(
                code="incomplete",
                message=f"the wheelhouse was stowed with {len(manifest.gaps)} known gaps or faults (--keep-incomplete)",
                hint="`hardtack build` names them and stows a whole one",
            )
        )
    if any(finding.severity is Severity.ERROR for finding in findings):
        _distrust(folder, files, found, cache)
    digest = hashlib.sha256((folder / "wheelhouse.json").read_bytes()).hexdigest()
    verdict = Verdict(
        findings=tuple(findings),
        grades=tuple((target.name, proof.grades.get(target.name, ())) for target in targets),
        manifest_digest=digest,
    )
    return VerifyResult(folder=folder, manifest=manifest, verdict=verdict)


def _each_copy(manifest: Manifest) -> list[ManifestFile]:
    """Every wheel at every path where it has to lie, with the targets that look for it there."""
    if manifest.layout == "flat":
        return list(manifest.files)
    return [
        replace(file, path=path, targets=(path.rpartition("/")[0],))
        for file in manifest.files
        for path in file_paths(file, manifest.layout)
    ]


def _judge(folder: Path, wheels: Collection[str], cache: Path, reporter: Reporter, stop: Cancellation) -> dict[str, WheelFacts | BadWheel]:
    files = []
    paths: dict[tuple[str, str], list[str]] = {}
    there = {name: folder / name for name in sorted(wheels) if (folder / name).is_file()}
    found = digests(there.values(), stop=stop)
    for name, path in there.items():
        digest = found[path]
        if (digest, path.name) not in paths:
            files.append((path, path.name, digest))
        paths.setdefault((digest, path.name), []).append(name)
    answers = inspect_all(files, FactsCache(cache), jobs=2, reporter=reporter, stop=stop)
    return {path: answer for answer in answers for path in paths[answer.sha256, answer.filename]}


def _distrust(folder: Path, files: Sequence[ManifestFile], found: Mapping[str, WheelFacts | BadWheel], cache: Path) -> None:
    """Let the next build look closely: a bad wheel may be one file with the store's, and both have kept their times."""
    forget(folder, cache)
    store = Store(cache / "files")
    for file in files:
        if (answer := found.get(file.path)) is not None and answer.sha256 != file.sha256:
            store.doubt(file.sha256)


def _lying_for(target: str, files: Sequence[ManifestFile], found: Mapping[str, WheelFacts | BadWheel]) -> tuple[WheelFacts, ...]:
    """Every wheel that is listed for a target, pinned or not."""
    answers = (found.get(file.path) for file in files if target in file.targets)
    return tuple(answer for answer in answers if isinstance(answer, WheelFacts))


def _foreign(manifest: Manifest) -> list[Finding]:
    """The wheels that somebody copied in: whoever trusts the wheelhouse trusts them."""
    return [
        Finding(
            code="foreign",
            severity=Severity.NOTE,
            message=f"{file.filename} was copied in by hand and kept by choice, for {', '.join(file.targets)}",
            package=file.name,
            version=file.version,
            file=file.path,
        )
        for file in manifest.files
        if file.origin == "foreign"
    ]


def _generated(folder: Path, manifest: Manifest) -> list[Finding]:
    """The wheelhouse's other files: lists that install something else than what was proven are as bad as a wrong wheel."""
    findings = []
    for path, digest in manifest.generated:
        place = folder / path
        if not place.is_file():
            findings.append(Finding(code="missing-file", message=f"{path} is gone", file=path, hint="`hardtack build` writes it again"))
        elif hashlib.sha256(place.read_bytes()).hexdigest() != digest:
            findings.append(
                Finding(code="hash-mismatch", message=f"{path} was changed", file=path, hint="`hardtack build` writes it again")
            )
    return findings


def _shelf(target: Target, manifest: Manifest, folder: Path, found: Mapping[str, WheelFacts | BadWheel]) -> Shelf:
    by_name = {file.filename: file for file in manifest.files if target.name in file.targets}
    facts: dict[str, WheelFacts] = {}
    paths: dict[str, Path] = {}
    pins = tuple(pin for pin in manifest.pins if pin.target == target.name)
    for pin in pins:
        file = by_name.get(pin.filename)
        path = "" if file is None else file.filename if manifest.layout == "flat" else f"{target.name}/{file.filename}"
        answer = found.get(path)
        if isinstance(answer, WheelFacts):
            facts[pin.filename] = answer
            paths[pin.filename] = folder / path
    return Shelf(target=target, pins=pins, facts=facts, paths=paths)

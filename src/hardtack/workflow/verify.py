"""``verify``: judge a folder of wheels, whoever made it, from nothing but what lies there."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from hardtack.errors import InputError, UsageError
from hardtack.inputs.read import InputRequest
from hardtack.model.finding import Finding, Grade, Severity, Verdict
from hardtack.model.lock import LockedRoot
from hardtack.model.manifest import Manifest, ManifestFile
from hardtack.model.target import Target
from hardtack.model.wheel import BadWheel, WheelFacts
from hardtack.reporting import Reporter
from hardtack.system import environ
from hardtack.system.cancellation import Cancellation
from hardtack.system.uv import Uv, find_uv
from hardtack.targets.catalog import describe, from_description
from hardtack.verifying.integrity import check_files
from hardtack.wheelhouse.layout import file_paths, read_wheelhouse
from hardtack.wheelhouse.native import judge_native
from hardtack.wheelhouse.sources import check_sources
from hardtack.wheelhouse.store import Store
from hardtack.workflow.folders import Lying, judge_files, look_into, of_files, pools
from hardtack.workflow.proving import Shelf, Try, prove, strengthen
from hardtack.workflow.proving_folders import manifest_files, of_all, prove_column, with_sources
from hardtack.workflow.receipt import forget
from hardtack.workflow.wanted import Asked, read_asked


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyResult:
    """What judging a folder came to. ``manifest`` is the folder's own, or (``listed`` False) what one would say of what is needed there."""

    folder: Path
    manifest: Manifest
    verdict: Verdict
    listed: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scene:
    """What every step needs."""

    folder: Path
    cache: Path
    uv: Uv
    python: Path | None
    opinion: bool | None
    tries: Try | None
    reporter: Reporter
    stop: Cancellation


def verify(
    folder: Path,
    *,
    inputs: InputRequest | None = None,
    targets: Sequence[str | Target] = (),
    trial: bool = True,
    opinion: bool | None = None,
    smoke: bool = False,
    checks: Sequence[str] = (),
    cache_dir: Path | None = None,
    environment: Mapping[str, str] | None = None,
    reporter: Reporter | None = None,
    stop: Cancellation | None = None,
) -> VerifyResult:
    """Read every byte of a folder of wheels, judge every archive, and prove every target complete. No network; nothing is written there.

    What is asked for: ``inputs`` (requirements, or a lock that is obeyed); without them the folder's manifest; without one everything that
    lies there. ``trial``: install for this host's targets, too; ``smoke``: and import every module; ``checks``: and run these commands.
    ``opinion``: ask uv's resolver, too; None: about what has a manifest. Raises InputError where there is nothing to judge.
    """
    reporter, stop = reporter or Reporter(), stop or Cancellation()
    variables = dict(environment if environment is not None else environ.variables())
    cache = environ.cache_dir(cache_dir, variables)
    uv = find_uv(cache, variables, offline=True)
    python = environ.interpreter() if trial else None
    tries = _tries(smoke, checks, cache, variables, reporter, stop) if smoke or checks else None
    if tries is not None and not trial:
        raise UsageError("without a trial there is nothing to try it in", hint="leave out --no-trial")
    scene = _Scene(folder=folder, cache=cache, uv=uv, python=python, opinion=opinion, tries=tries, reporter=reporter, stop=stop)
    manifest, _ = read_wheelhouse(folder)
    if manifest is not None and not manifest.targets and not targets:
        raise InputError("it names no target: there is nothing to prove", where=str(folder / "wheelhouse.json"))
    if manifest is not None and inputs is None and not targets:
        return _made_by_us(scene, manifest, _targets_of(manifest, folder))
    lying = look_into(folder)
    if inputs is None and not lying.wheels and not lying.findings:
        raise InputError("there is no wheel in it", where=str(folder), hint="`hardtack build -o DIR` makes a wheelhouse")
    reporter.stage("reading")
    asked = read_asked(
        inputs,
        targets,
        manifest=manifest,
        paths=lying.wheels,
        cache_dir=cache,
        environment=variables,
        uv=uv,
        reporter=reporter,
        stop=stop,
    )
    if manifest is not None and inputs is None:
        known = {target.name: target for target in _targets_of(manifest, folder)}
        # The manifest's have their extras and groups spelt out.
        if all(target.name in known and replace(known[target.name], selection=target.selection) == target for target in asked.targets):
            return _made_by_us(scene, manifest, [known[target.name] for target in asked.targets])
    return _folder(scene, manifest, lying, asked)


def _tries(
    imports: bool, commands: Sequence[str], cache: Path, variables: Mapping[str, str], reporter: Reporter, stop: Cancellation
) -> Try:
    # Imported where it is needed: what runs foreign code brings the whole workshop along.
    from hardtack.building.sandbox import Sandbox, Unconfined, find_sandbox
    from hardtack.workflow.smoke import Smoke, split_command

    for command in commands:
        split_command(command)

    @lru_cache(maxsize=1)
    def confine() -> Sandbox:
        found = find_sandbox(variables)
        if isinstance(found, Unconfined):
            reporter.warning(f"what is tried runs without a sandbox, and the network is not shut: {found.why}", hint="install bubblewrap")
        else:
            reporter.detail(f"what is tried runs in a sandbox: {found.name}")
        return found

    return Smoke(imports=imports, commands=tuple(commands), confine=confine, work=cache, stop=stop, base=variables)


def _not_tried(scene: _Scene, grades: Mapping[str, Sequence[Grade]]) -> list[Finding]:
    """What was asked for and had no environment to happen in is told: silence would look like success."""
    if scene.tries is None or any(Grade.INSTALLED in kinds for kinds in grades.values()):
        return []
    return [
        Finding(
            code="not-tried",
            message="nothing was imported or run: no target that is complete runs on this host",
            hint="name this host as a target: -t host",
        )
    ]


def _targets_of(manifest: Manifest, folder: Path) -> tuple[Target, ...]:
    return tuple(from_description(data, where=f"{folder}: {name}") for name, data in manifest.targets.items())


def _made_by_us(scene: _Scene, manifest: Manifest, targets: Sequence[Target]) -> VerifyResult:
    """A wheelhouse, by its own manifest, for some or all of its targets."""
    folder = scene.folder
    scene.reporter.stage("judging")
    _, present = read_wheelhouse(folder)
    paths = {file.path for file in _each_copy(manifest)} | {file.path for file in present}
    found = judge_files(folder, paths, scene.cache, scene.reporter, scene.stop)
    findings = _against_manifest(scene, manifest, found)
    shelves = [_shelf(target, manifest, folder, found) for target in targets]
    files = _each_copy(manifest)
    findings += judge_native([(shelf.target, _lying_for(shelf.target.name, files, found)) for shelf in shelves])
    proof = prove(
        shelves,
        roots=manifest.roots,
        waivers=manifest.waivers,
        project=manifest.project,
        uv=scene.uv,
        python=scene.python,
        opinion=scene.opinion is not False,
        tries=scene.tries,
        reporter=scene.reporter,
        stop=scene.stop,
    )
    findings += proof.findings
    return _result(scene, manifest, targets, findings, proof.grades, listed=True, found=found)


def _against_manifest(scene: _Scene, manifest: Manifest, found: Mapping[str, WheelFacts | BadWheel]) -> list[Finding]:
    """Whether the files are those that the manifest lists."""
    files = _each_copy(manifest)
    findings: list[Finding] = [
        *check_files(files, found, targets=_targets_of(manifest, scene.folder), leftovers={path for path, _ in manifest.leftovers}),
        *check_sources(scene.folder, manifest, stop=scene.stop),
        *_generated(scene.folder, manifest),
        *_foreign(manifest),
    ]
    if manifest.gaps:
        findings.append(
            Finding(
                code="incomplete",
                message=f"the wheelhouse was stowed with {len(manifest.gaps)} known gaps or faults (--keep-incomplete)",
                hint="`hardtack build` names them and stows a whole one",
            )
        )
    return findings


def _folder(scene: _Scene, manifest: Manifest | None, lying: Lying, asked: Asked) -> VerifyResult:
    """Any folder, by what is asked."""
    findings: list[Finding] = [*lying.findings]
    scene.reporter.stage("judging")
    listed = {file.path for file in _each_copy(manifest)} if manifest is not None else set()
    found = judge_files(scene.folder, {*lying.wheels, *listed}, scene.cache, scene.reporter, scene.stop)
    findings += _against_manifest(scene, manifest, found) if manifest is not None else ()
    findings += of_files({path: answer for path, answer in found.items() if path not in listed})
    scene.reporter.stage("proving")
    seen = pools(asked.targets, found)
    columns = [prove_column(pool, asked, scene.folder, uv=scene.uv, stop=scene.stop) for pool in seen]
    findings += with_sources((finding for column in columns for finding in column.findings), lying)
    findings += of_all(columns, seen, asked, lying)
    sound = [column for column in columns if column.complete]
    # An environment that has everything is tried, where there is one.
    proof = strengthen(
        [column.shelf for column in sound if column.shelf.pins],
        by_name=[column.shelf.target.name for column in sound if column.by_name],
        roots=tuple(root for column in sound for root in _named(column.roots, column.shelf.target)),
        constraints=asked.constraints,
        uv=scene.uv,
        python=scene.python,
        opinion=bool(scene.opinion),
        tries=scene.tries,
        reporter=scene.reporter,
        stop=scene.stop,
    )
    findings += proof.findings
    grades = {column.shelf.target.name: (Grade.METADATA, *proof.grades.get(column.shelf.target.name, ())) for column in sound}
    as_listed = Manifest(
        layout="flat",
        targets={target.name: describe(target) for target in asked.targets},
        files=manifest_files(columns, seen),
        pins=tuple(pin for column in columns for pin in column.shelf.pins),
        roots=asked.roots or (),
        waivers=asked.waivers,
        project=asked.project,
    )
    return _result(scene, as_listed, asked.targets, list(dict.fromkeys(findings)), grades, listed=False, found=found)


def _named(roots: Sequence[LockedRoot], target: Target) -> list[LockedRoot]:
    return [replace(root, targets=frozenset({target.name})) for root in roots]


def _result(
    scene: _Scene,
    manifest: Manifest,
    targets: Sequence[Target],
    findings: Sequence[Finding],
    grades: Mapping[str, Sequence[Grade]],
    *,
    listed: bool,
    found: Mapping[str, WheelFacts | BadWheel],
) -> VerifyResult:
    path = scene.folder / "wheelhouse.json"
    findings = [*findings, *_not_tried(scene, grades)]
    if listed and any(finding.severity is Severity.ERROR for finding in findings):
        _distrust(scene.folder, _each_copy(manifest), found, scene.cache)
    verdict = Verdict(
        findings=tuple(findings),
        grades=tuple((target.name, tuple(grades.get(target.name, ()))) for target in targets),
        manifest_digest=hashlib.sha256(path.read_bytes()).hexdigest() if listed else "",
    )
    return VerifyResult(folder=scene.folder, manifest=manifest, verdict=verdict, listed=listed)


def _each_copy(manifest: Manifest) -> list[ManifestFile]:
    """Every wheel at every path where it has to lie, with the targets that look for it there."""
    if manifest.layout == "flat":
        return list(manifest.files)
    return [
        replace(file, path=path, targets=(path.rpartition("/")[0],))
        for file in manifest.files
        for path in file_paths(file, manifest.layout)
    ]


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

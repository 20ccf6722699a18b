"""``merge``: wheelhouses that were made on several machines become one, proven as a whole."""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from packaging.markers import InvalidMarker, Marker
from packaging.requirements import InvalidRequirement, Requirement

from hardtack.errors import InputError, UsageError
from hardtack.model.finding import Finding, Severity, Verdict
from hardtack.model.lock import Lock
from hardtack.model.manifest import Manifest, ManifestFile, ManifestSource
from hardtack.model.target import Target
from hardtack.model.wheel import BadSdist, BadWheel, WheelFacts
from hardtack.reporting import Reporter
from hardtack.system import environ
from hardtack.system.cancellation import Cancellation
from hardtack.system.presence import present
from hardtack.system.uv import Uv, find_uv
from hardtack.targets.catalog import from_description
from hardtack.verifying.integrity import check_downgrades, check_files
from hardtack.verifying.skew import note_skews
from hardtack.wheelhouse.facts import FactsCache, digests, inspect_all
from hardtack.wheelhouse.layout import file_paths
from hardtack.wheelhouse.manifest import MANIFEST_NAME, read_manifest
from hardtack.wheelhouse.pylock import read_pylock
from hardtack.wheelhouse.sdist import inspect_sdist
from hardtack.wheelhouse.store import Store
from hardtack.workflow.merging import Whole, check_builds, check_rivals, manifest_of, merged, without
from hardtack.workflow.merging_files import Held, Piece
from hardtack.workflow.proving import Proof, Shelf, prove
from hardtack.workflow.receipt import finding_of, forget
from hardtack.workflow.stowing import folded, put_in_place

_LOCK_NAME = "pylock.toml"
_TEXT_LIMIT = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeResult:
    """What merging came to. ``stowed`` is False where nothing was put in place; ``changed``: the manifest there is another than before.

    ``brought`` are the files that the parts added to the first wheelhouse's, each with the part that it is from. ``seconds`` passed.
    """

    output: Path
    parts: tuple[Path, ...]
    targets: tuple[Target, ...]
    findings: tuple[Finding, ...]
    verdict: Verdict
    manifest: Manifest
    lock: Lock
    brought: tuple[tuple[str, ManifestFile], ...]
    stowed: bool = False
    changed: bool = False
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """True if the whole is proven complete, and in place."""
        return self.verdict.passed and self.stowed


def merge(
    wheelhouse: Path,
    parts: Sequence[Path],
    *,
    output: Path | None = None,
    keep_incomplete: bool = False,
    trial: bool = True,
    cache_dir: Path | None = None,
    environment: Mapping[str, str] | None = None,
    reporter: Reporter | None = None,
    stop: Cancellation | None = None,
) -> MergeResult:
    """Add to ``wheelhouse`` what ``parts`` have and it lacks, prove the whole as ``build`` does, and only then stow it.

    In place, or in ``output``. No network, and nothing of a part is trusted: every file is hashed and judged anew. What is wrong and what
    contradicts each other are findings, all at once. Raises InputError for a folder that is no wheelhouse, TargetError where two of them
    give one name to different targets.
    """
    began = time.monotonic()
    if not parts:
        raise UsageError("there is nothing to merge", hint="name at least one part: hardtack merge WHEELHOUSE PART")
    output = output or wheelhouse
    reporter = reporter or Reporter()
    stop = stop or Cancellation()
    variables = dict(environment if environment is not None else environ.variables())
    cache = environ.cache_dir(cache_dir, variables)
    with present(cache):
        reading = _Reading(Store(cache / "files", reporter=reporter), FactsCache(cache), reporter, stop)
        reporter.stage("reading")
        opened = [_open(folder, reading.store) for folder in (wheelhouse, *parts)]
        reporter.stage("judging")
        pieces = [reading.piece(one) for one in opened]
        if reading.faulty:
            forget(wheelhouse, cache)
        whole = merged(pieces)
        whole, unfit = _as_locked(whole, pieces[0].manifest.layout)
        draft = manifest_of(whole, pieces[0].manifest.layout, ())
        facts = _facts(whole)
        paths = {digest: reading.store.path(digest) for digest in facts}
        built = {file.filename for file in draft.files if file.build is not None}
        findings = [
            *reading.findings,
            *whole.findings,
            *unfit,
            *dict.fromkeys((*check_downgrades(draft.pins, whole.lock, whole.targets, built=built), *check_rivals(draft, whole.targets))),
            *note_skews(draft.pins, whole.lock.skews),
        ]
        uv = find_uv(cache, variables, offline=True)
        proof = _prove(whole, paths, uv=uv, trial=trial, reporter=reporter, stop=stop)
        causes = _causes(pieces, [*findings, *proof.findings])
        by_path = {file.path: facts[file.sha256] for file in draft.files}
        findings = [
            *folded([*causes, *findings, *proof.findings]),
            *check_files(draft.files, by_path, targets=whole.targets, lock=whole.lock),
        ]
        manifest = manifest_of(whole, draft.layout, findings)
        proven = not any(finding.severity is Severity.ERROR for finding in findings)
        before, digest = _digest(output), ""
        if proven or keep_incomplete:
            # Killed on its way, a merge in place can be run again: what it began with is kept.
            reading.store.add_bytes(opened[0].lock_text)
            paths |= {source.sha256: reading.store.path(source.sha256) for source in whole.sources}
            manifest, digest = put_in_place(
                manifest, whole.lock, facts, paths, output, prune=False, cache_dir=cache, reporter=reporter, stop=stop
            )
        grades = tuple((target.name, proof.grades.get(target.name, ())) for target in whole.targets)
        return MergeResult(
            output=output,
            parts=tuple(parts),
            targets=whole.targets,
            findings=tuple(findings),
            verdict=Verdict(findings=tuple(findings), grades=grades, manifest_digest=digest),
            manifest=manifest,
            lock=whole.lock,
            brought=whole.brought,
            stowed=bool(digest),
            changed=bool(digest) and digest != before,
            seconds=time.monotonic() - began,
        )


def _facts(whole: Whole) -> dict[str, WheelFacts]:
    return {**{file.sha256: facts for file, facts in whole.kept}, **{one.file.sha256: one.facts for one in whole.held}}


def _as_locked(whole: Whole, layout: str) -> tuple[Whole, list[Finding]]:
    """The whole without the files that its lock does not vouch for, and why."""
    draft = manifest_of(whole, layout, ())
    facts = _facts(whole)
    found = {file.path: facts[file.sha256] for file in draft.files}
    findings = [finding for finding in check_files(draft.files, found, lock=whole.lock) if finding.severity is Severity.ERROR]
    findings += check_builds(draft.files, whole.lock)
    return without(whole, {finding.file for finding in findings if finding.file}), findings


def _digest(folder: Path) -> str:
    path = folder / MANIFEST_NAME
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


# --- reading ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opened:
    """A wheelhouse as its own texts describe it; ``lock_text`` is the lock's."""

    folder: Path
    manifest: Manifest
    lock: Lock
    lock_text: bytes
    targets: tuple[Target, ...]


def _open(folder: Path, store: Store) -> _Opened:
    """Read a wheelhouse's manifest and lock, and refuse what contradicts itself."""
    where = folder / MANIFEST_NAME
    data = _text(folder, MANIFEST_NAME)
    if data is None:
        raise InputError(
            "there is no wheelhouse.json in it: only a wheelhouse that hardtack made can be merged",
            where=str(folder),
            hint="a folder of wheels is given to the build with --find-links; `hardtack verify` says what is wrong with a wheelhouse",
        )
    manifest = read_manifest(data, str(where))
    if not manifest.targets:
        raise InputError("it names no target: there is nothing to prove", where=str(where))
    targets = tuple(from_description(row, where=f"{where}: targets.{name}") for name, row in manifest.targets.items())
    _check_consistent(manifest, targets, str(where))
    text = _text(folder, _LOCK_NAME)
    if text is None:
        raise InputError("its pylock.toml is gone, and nothing says what it was made from", where=str(folder), hint="make it anew")
    text = _unfinished(manifest, text, store)
    place = str(folder / _LOCK_NAME)
    try:
        lock = read_pylock(text.decode("utf-8"), where=place, base=folder.absolute())
    except UnicodeDecodeError as error:
        raise InputError(f"this is not TOML: {error}", where=place, hint="`hardtack build` writes it again") from None
    return _Opened(folder=folder, manifest=manifest, lock=lock, lock_text=text, targets=targets)


def _unfinished(manifest: Manifest, text: bytes, store: Store) -> bytes:
    """The lock that the manifest states, where a merge was killed after it had written another and before it wrote its manifest."""
    stated = dict(manifest.generated).get(_LOCK_NAME)
    if stated is None or stated == hashlib.sha256(text).hexdigest() or not store.has(stated):
        return text
    return store.path(stated).read_bytes()


def _text(folder: Path, name: str) -> bytes | None:
    """A text of a wheelhouse, None where there is none. Anything but a plain file of a bearable size is refused."""
    path = folder / name
    try:
        found = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if not stat.S_ISREG(found.st_mode):
        raise InputError("this is no plain file", where=str(path), hint="a wheelhouse that is merged holds its own files: copy it whole")
    if found.st_size > _TEXT_LIMIT:
        raise InputError(f"it has {found.st_size} bytes, more than {_TEXT_LIMIT}", where=str(path))
    return path.read_bytes()


def _check_consistent(manifest: Manifest, targets: Sequence[Target], where: str) -> None:
    """Refuse a manifest whose parts contradict each other, with everything that does at once."""
    faults = [
        f"targets.{name} describes {target.name}" for name, target in zip(manifest.targets, targets, strict=True) if name != target.name
    ]
    known = set(manifest.targets)
    faults += [
        f"{file.filename} is for {name}, which is no target here" for file in manifest.files for name in sorted({*file.targets} - known)
    ]
    lying = {(file.filename, name) for file in manifest.files for name in file.targets}
    for pin in manifest.pins:
        if (pin.filename, pin.target) not in lying:
            faults.append(f"{pin.filename} is pinned for {pin.target}, and is no file of it")
        try:
            Marker(pin.marker) if pin.marker else None
        except InvalidMarker as error:
            faults.append(f"the marker of {pin.name} is none: {error}".split("\n")[0])
    for text in (*(root.requirement for root in manifest.roots), *(waiver.requirement for waiver in manifest.waivers)):
        try:
            Requirement(text)
        except InvalidRequirement as error:
            faults.append(f"{text!r} is no requirement: {error}".split("\n")[0])
    if faults:
        raise InputError("; ".join(faults), where=where, hint="the manifest was damaged or edited; make the wheelhouse again")


@dataclass(slots=True)
class _Reading:
    """Brings the pieces' files into the store, where nobody changes them any more, and judges them there."""

    store: Store
    facts: FactsCache
    reporter: Reporter
    stop: Cancellation

    findings: list[Finding] = field(default_factory=list)
    faulty: bool = False

    def piece(self, one: _Opened) -> Piece:
        """The wheelhouse with what is sound of it; what is not, is told."""
        findings = self._lock(one)
        listed = [
            replace(file, path=path, targets=names) for file in one.manifest.files for path, names in _places(file, one.manifest.layout)
        ]
        there: dict[str, Path] = {}
        irregular: set[str] = set()
        for path in dict.fromkeys((*(file.path for file in listed), *(source.path for source in one.manifest.sources))):
            if (fault := _irregular(one.folder, path)) is not None:
                findings.append(fault)
                irregular.add(path)
            elif (one.folder / path).exists():
                there[path] = one.folder / path
        found = dict(zip(there, self._digests(there.values()), strict=True))
        files = [file for file in listed if file.path not in irregular]
        judged = self._judge(files, there, found)
        findings += _told(one.folder, check_files(files, judged, targets=one.targets))
        sources = [source for source in one.manifest.sources if source.path not in irregular]
        kept, faults = self._sources(sources, there, found)
        findings += _told(one.folder, faults)
        bad = {finding.file for finding in findings}
        sound = [(file, judged.get(file.path)) for file in files if str(one.folder / file.path) not in bad]
        self.findings += findings
        self.faulty |= bool(findings)
        return Piece(
            place=str(one.folder),
            manifest=one.manifest,
            lock=one.lock,
            targets=one.targets,
            held=_held(one.manifest, sound),
            foreign=_foreign(one.manifest, sound),
            sources=kept,
        )

    def _digests(self, paths: Iterable[Path]) -> list[str]:
        wanted = list(paths)
        found = digests(wanted, stop=self.stop)
        return [found[path] for path in wanted]

    def _judge(
        self, files: Sequence[ManifestFile], there: Mapping[str, Path], found: Mapping[str, str]
    ) -> dict[str, WheelFacts | BadWheel]:
        """What lies at each path: judged from its bytes in the store where they are the listed ones."""
        judged: dict[str, WheelFacts | BadWheel] = {}
        paths: dict[tuple[str, str], list[str]] = {}
        for file in files:
            if file.path in there:
                digest = self._keep(there[file.path], found[file.path], file.sha256)
                if digest == file.sha256:
                    paths.setdefault((digest, file.filename), []).append(file.path)
                else:
                    judged[file.path] = BadWheel(filename=file.filename, sha256=digest, findings=())
        wanted = [(self.store.path(digest), name, digest) for digest, name in paths]
        for key, answer in zip(paths, inspect_all(wanted, self.facts, reporter=self.reporter, stop=self.stop), strict=True):
            for path in paths[key]:
                told = tuple(replace(finding, file=path) for finding in answer.findings)
                judged[path] = replace(answer, findings=told)
        return judged

    def _lock(self, one: _Opened) -> list[Finding]:
        stated = dict(one.manifest.generated).get(_LOCK_NAME)
        if stated == hashlib.sha256(one.lock_text).hexdigest():
            return []
        path = str(one.folder / _LOCK_NAME)
        words = f"{path} was changed" if stated is not None else f"{path} is not listed"
        return [Finding(code="hash-mismatch", message=words, file=path, hint="`hardtack build` writes it again")]

    def _keep(self, path: Path, digest: str, listed: str) -> str:
        """Bring a file into the store if it is the listed one; its digest."""
        self.stop.check()
        if digest != listed:
            # It may be one file with the store's, changed behind the back of its times.
            self.store.doubt(listed)
            return digest
        return digest if self.store.has(digest) else self.store.add_file(path)

    def _sources(
        self, sources: Sequence[ManifestSource], there: Mapping[str, Path], found: Mapping[str, str]
    ) -> tuple[tuple[ManifestSource, ...], list[Finding]]:
        """The sound source archives beside the wheels, and what is wrong with the others."""
        kept: list[ManifestSource] = []
        findings: list[Finding] = []
        for source in sources:

            def fault(code: str, message: str, source: ManifestSource = source) -> Finding:
                return Finding(code=code, message=f"{source.path} {message}", package=source.name, version=source.version, file=source.path)

            if source.path not in there:
                findings.append(fault("absent", "is listed and does not lie there"))
                continue
            digest = self._keep(there[source.path], found[source.path], source.sha256)
            if digest != source.sha256:
                findings.append(fault("hash-mismatch", f"has sha256 {digest}, but {source.sha256} is listed"))
                continue
            facts = inspect_sdist(self.store.path(digest), filename=source.filename, sha256=digest)
            if isinstance(facts, BadSdist):
                findings += (replace(finding, file=source.path) for finding in facts.findings)
            elif facts.size != source.size:
                findings.append(fault("size-mismatch", f"has {facts.size} bytes, but {source.size} are listed"))
            else:
                kept.append(replace(source, name=facts.name, version=str(facts.version)))
        return tuple(kept), findings


def _told(folder: Path, findings: Iterable[Finding]) -> list[Finding]:
    """The errors, with the folder that they are about."""
    return [
        replace(finding, message=f"{folder}: {finding.message}", file=str(folder / finding.file) if finding.file else None)
        for finding in findings
        if finding.severity is Severity.ERROR
    ]


def _places(file: ManifestFile, layout: str) -> list[tuple[str, tuple[str, ...]]]:
    """Where a file has to lie, with the targets that look for it there."""
    if layout == "flat":
        return [(file.filename, file.targets)]
    return [(path, (path.rpartition("/")[0],)) for path in file_paths(file, layout)]


def _irregular(folder: Path, path: str) -> Finding | None:
    """A finding for what is there and no file of the folder's own: a link, a device, or behind a link."""
    place = folder
    for part in path.split("/"):
        place = place / part
        try:
            mode = os.lstat(place).st_mode
        except (FileNotFoundError, NotADirectoryError):
            return None
        is_last = place == folder / path
        if stat.S_ISLNK(mode) or (is_last and not stat.S_ISREG(mode)):
            return Finding(
                code="link",
                message=f"{place} is {'a link' if stat.S_ISLNK(mode) else 'no file'}: what is merged must lie in the folder itself",
                file=str(folder / path),
                hint="copy the folder with its files (cp -RL), and merge the copy",
            )
    return None


def _held(manifest: Manifest, judged: Sequence[tuple[ManifestFile, WheelFacts | BadWheel | None]]) -> tuple[Held, ...]:
    """Each pin whose file is sound."""
    facts = {(file.filename, name): answer for file, answer in judged for name in file.targets if isinstance(answer, WheelFacts)}
    files = {(file.filename, name): file for file in manifest.files for name in file.targets}
    return tuple(
        Held(pin=pin, file=files[pin.filename, pin.target], facts=facts[pin.filename, pin.target])
        for pin in manifest.pins
        if (pin.filename, pin.target) in facts
    )


def _foreign(
    manifest: Manifest, judged: Sequence[tuple[ManifestFile, WheelFacts | BadWheel | None]]
) -> tuple[tuple[ManifestFile, WheelFacts], ...]:
    """The wheels that someone copied in, where every copy of them is sound."""
    facts: dict[tuple[str, str], list[WheelFacts]] = {}
    for file, answer in judged:
        if isinstance(answer, WheelFacts):
            facts.setdefault((file.filename, file.sha256), []).append(answer)
    return tuple(
        (file, sound[0])
        for file in manifest.files
        if file.origin == "foreign" and len(sound := facts.get((file.filename, file.sha256), [])) == len(_places(file, manifest.layout)) > 0
    )


# --- proving ---------------------------------------------------------------------------------------------------------------------


def _prove(whole: Whole, paths: Mapping[str, Path], *, uv: Uv, trial: bool, reporter: Reporter, stop: Cancellation) -> Proof:
    """The proof of the whole, and of each target under no other departures than those declared where it comes from."""
    shelves = [_shelf(target, whole.held, paths) for target in whole.targets]
    lock = whole.lock
    proof = prove(
        shelves,
        roots=lock.roots,
        waivers=lock.waivers,
        project=whole.project,
        uv=uv,
        python=environ.interpreter() if trial else None,
        opinion=True,
        reporter=reporter,
        stop=stop,
    )
    findings = list(proof.findings)
    apart: dict[tuple[object, ...], list[Shelf]] = {}
    for shelf in shelves:
        own = whole.own_waivers[shelf.target.name]
        if set(own) != set(lock.waivers):
            apart.setdefault(own, []).append(shelf)
    for waivers, some in apart.items():
        strict = prove(
            some,
            roots=lock.roots,
            waivers=waivers,  # type: ignore[arg-type]
            project=whole.project,
            uv=uv,
            python=None,
            opinion=False,
            reporter=reporter,
            stop=stop,
        )
        findings += [finding for finding in strict.findings if finding.severity is Severity.ERROR and finding not in findings]
    return replace(proof, findings=tuple(findings))


def _shelf(target: Target, held: Sequence[Held], paths: Mapping[str, Path]) -> Shelf:
    own = [one for one in held if one.pin.target == target.name]
    return Shelf(
        target=target,
        pins=tuple(one.pin for one in own),
        facts={one.pin.filename: one.facts for one in own},
        paths={one.pin.filename: paths[one.file.sha256] for one in own},
    )


def _causes(pieces: Sequence[Piece], findings: Sequence[Finding]) -> list[Finding]:
    """Why a gap is one, as the run said that left it: with what exists instead, and the command that fills it."""
    missing = {(finding.package, finding.target) for finding in findings if finding.code == "missing"}
    told = {(finding.package, finding.target) for finding in findings if finding.code != "missing" and finding.severity is Severity.ERROR}
    causes: dict[tuple[str | None, str | None], Finding] = {}
    for piece in pieces:
        for row in piece.manifest.gaps:
            try:
                cause = finding_of(row)
                place = (cause.package, cause.target)
                known = place in missing - told
            except (KeyError, TypeError, ValueError):
                continue  # a row of another version, or an edited one: the proof's own words remain
            if known and _is_worded(cause) and cause.code != "missing" and cause.severity is Severity.ERROR:
                causes.setdefault(place, cause)
    return list(causes.values())


def _is_worded(finding: Finding) -> bool:
    """Whether a finding that someone else wrote down has text wherever text is shown."""
    single = (finding.code, finding.message, finding.version or "", finding.file or "", finding.hint or "")
    several = (*finding.required_by, *finding.instead)
    tuples = isinstance(finding.required_by, tuple) and isinstance(finding.instead, tuple)
    return tuples and all(isinstance(text, str) for text in (*single, *several))

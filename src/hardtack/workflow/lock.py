"""``lock``: versions and files for every target, written down and exported."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hardtack.errors import UsageError
from hardtack.model.finding import Finding, Severity
from hardtack.model.lock import Lock, Skew
from hardtack.reporting import Reporter
from hardtack.system.cancellation import Cancellation
from hardtack.system.files import write_bytes
from hardtack.targets.catalog import describe
from hardtack.workflow.reading import Job, read_job, warn_of_strangers
from hardtack.workflow.receipt import finding_of, keep_lock, recall_lock, receipt_key
from hardtack.workflow.request import BuildOptions, Request

if TYPE_CHECKING:
    from hardtack.workflow.supplies import Supplies


@dataclass(frozen=True, slots=True, kw_only=True)
class LockSummary:
    """A lock in short: (name, version, marker) of each package, the targets by name, the skews."""

    packages: tuple[tuple[str, str | None, str | None], ...]
    targets: tuple[str, ...]
    skews: tuple[Skew, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LockResult:
    """What locking came to. ``changed``: the file's content is another than before (with ``check``: would be).

    ``made`` is None where nothing has changed since the lock was written, and nobody had to read it.
    """

    made: Lock | None = field(repr=False)
    summary: LockSummary
    path: Path | None
    changed: bool
    exports: tuple[Path, ...]
    findings: tuple[Finding, ...]
    seconds: float

    @property
    def lock(self) -> Lock:
        """The lock itself, read now if nobody has yet."""
        if self.made is not None:
            return self.made
        from hardtack.wheelhouse.pylock import read_pylock

        assert self.path is not None
        return read_pylock(self.path.read_text(encoding="utf-8"), where=str(self.path), base=self.path.parent)

    @property
    def passed(self) -> bool:
        """True if nothing is wrong with the lock."""
        return not any(finding.severity is Severity.ERROR for finding in self.findings)


def lock(
    request: Request | None = None,
    *,
    output: Path | None = None,
    exports: Sequence[str] = (),
    check: bool = False,
    upgrade: frozenset[str] = frozenset(),
    build_lock: bool = True,
    build_root: Path | None = None,
    build_jobs: int | None = None,
    reporter: Reporter | None = None,
    stop: Cancellation | None = None,
) -> LockResult:
    """Lock for all targets, and write ``output`` (pylock.toml beside the project by default) and each export ("FORMAT:PATH").

    A gap, a package that nothing serves on some target, is a finding, and the lock is written all the same. An unchanged input keeps every
    version; ``upgrade`` names packages to choose anew (":all:": every one). ``check`` writes nothing, and finds whether the file that is
    there still says what would be written. ``build_lock``, ``build_root`` and ``build_jobs`` are as in BuildOptions.
    """
    began = time.monotonic()
    request = request or Request()
    reporter = reporter or Reporter()
    stop = stop or Cancellation()
    reporter.stage("reading")
    fresh = replace(request, inputs=replace(request.inputs, use_lock=request.inputs.lock_file is not None))
    options = BuildOptions(upgrade=upgrade, build_lock=build_lock, build_root=build_root, build_jobs=build_jobs)
    job = read_job(fresh, options, reporter=reporter, stop=stop)
    path = output or job.project_dir / "pylock.toml"
    key = receipt_key(job)
    if not upgrade and not exports and job.lock_file is None and not job.tells_late and (known := recall_lock(job, key, path)) is not None:
        seconds = time.monotonic() - began
        return LockResult(
            made=None, summary=_recalled(known), path=path, changed=False, exports=(), findings=_found(known), seconds=seconds
        )
    # Imported where they are needed: an unchanged lock needs neither sockets nor archives.
    from hardtack.locking.exports import export, parse_export_spec
    from hardtack.planning.plan import Policy, plan
    from hardtack.verifying.integrity import check_user_hashes, note_yanked
    from hardtack.wheelhouse.pylock import write_pylock
    from hardtack.workflow.asking import ask_builds, with_builds
    from hardtack.workflow.choosing import choose
    from hardtack.workflow.gaps import gap_findings
    from hardtack.workflow.supplies import open_supplies
    from hardtack.workflow.yard import Yard

    specs = [parse_export_spec(text) for text in exports]
    guard_foreign(path)
    with (
        open_supplies(
            job.settings,
            job.credentials,
            cache_dir=job.cache_dir,
            environment=job.environment,
            require_sandbox=job.options.require_sandbox,
            reporter=reporter,
            stop=stop,
        ) as supplies,
        Yard(job, supplies, reporter=reporter, stop=stop) as yard,
    ):
        chosen = choose(yard, reporter=reporter, stop=stop, remembered=path)
        yard.choose(chosen.lock)
        warn_of_strangers(job, chosen.lock, reporter)
        found = chosen.lock if chosen.obeyed else with_digests(chosen.lock, job, supplies, reporter=reporter, stop=stop)
        planned = plan(found, job.targets, Policy(formats=job.formats))
        findings = [
            *check_user_hashes(job.requirements.roots, found, planned),
            *gap_findings(planned, found, job, supplies),
            *note_yanked(planned),
        ]
        if not chosen.obeyed and job.options.build_lock:
            findings += ask_builds(planned, yard, reporter=reporter, stop=stop)
            found = with_builds(found, yard)
    texts: dict[Path, str] = {}
    if not chosen.obeyed:
        texts[path] = write_pylock(found, target_descriptions={target.name: describe(target) for target in job.targets}, base=path.parent)
    for spec in specs:
        for name, text in export(_without_project(found, job), spec, job.targets).items():
            texts[job.project_dir / name] = text
    changed = [place for place, text in texts.items() if _read(place) != text]
    if check:
        findings += [
            Finding(
                code="stale-lock",
                message=f"{place} does not say what the project asks for now",
                file=str(place),
                hint="`hardtack lock` writes it anew",
            )
            for place in changed
        ]
    else:
        for place in changed:
            write_bytes(place, texts[place].encode())
    summary = _summary(found)
    if path in texts and not any(finding.severity is Severity.ERROR for finding in findings):
        keep_lock(job, key, path, texts[path].encode(), _remembered(summary, findings))
    return LockResult(
        made=found,
        summary=summary,
        path=None if chosen.obeyed else path,
        changed=bool(changed),
        exports=tuple(place for place in texts if place != path),
        findings=tuple(findings),
        seconds=time.monotonic() - began,
    )


def _summary(lock: Lock) -> LockSummary:
    packages = ((package.name, str(package.version or "") or None, str(package.marker or "") or None) for package in lock.packages)
    return LockSummary(packages=tuple(packages), targets=tuple(lock.targets), skews=lock.skews)


def _remembered(summary: LockSummary, findings: Sequence[Finding]) -> dict[str, Any]:
    """What the receipt keeps of a lock."""
    skews = [[skew.name, skew.versions, skew.reason] for skew in summary.skews]
    rows = [finding.as_json() for finding in findings]
    return {"packages": summary.packages, "targets": summary.targets, "skews": skews, "findings": rows}


def _found(data: Mapping[str, Any]) -> tuple[Finding, ...]:
    return tuple(finding_of(row) for row in data["findings"])


def _recalled(data: Mapping[str, Any]) -> LockSummary:
    return LockSummary(
        packages=tuple((name, version, marker) for name, version, marker in data["packages"]),
        targets=tuple(data["targets"]),
        skews=tuple(
            Skew(name=name, versions=tuple((version, tuple(targets)) for version, targets in versions), reason=reason)
            for name, versions, reason in data["skews"]
        ),
    )


def with_digests(lock: Lock, job: Job, supplies: Supplies, *, reporter: Reporter, stop: Cancellation) -> Lock:
    """The lock with a digest for every file that the targets take: those that no index states are fetched once and hashed."""
    from hardtack.fetching.download import fetch
    from hardtack.model.plan import Take
    from hardtack.planning.plan import Policy, plan
    from hardtack.workflow.files import wanted_file

    unstated = {
        (entry.decision.file.filename, entry.decision.file.url): entry.decision.file
        for entry in plan(lock, job.targets, Policy(formats=job.formats)).entries
        if isinstance(entry.decision, Take) and entry.decision.file.sha256 is None
    }
    if not unstated:
        return lock
    reporter.note(f"{len(unstated)} files have no stated hash; they are fetched once, and the digests seen first are recorded as such")
    wanted = {key: wanted_file(file) for key, file in unstated.items()}
    fetched = fetch(
        list(wanted.values()),
        transport=supplies.transport,
        store=supplies.store,
        limits=supplies.limits,
        reporter=reporter,
        stop=stop,
    )
    if fetched.failures:
        raise fetched.failures[0]
    packages = []
    for package in lock.packages:
        wheels = []
        for file in package.wheels:
            key = (file.filename, file.url)
            if key in wanted and file.sha256 is None:
                seen = fetched.files[wanted[key]]
                file = replace(file, sha256=seen.sha256, size=seen.size, hash_source="first-seen")
            wheels.append(file)
        packages.append(replace(package, wheels=tuple(wheels)))
    return replace(lock, packages=tuple(packages))


def _without_project(lock: Lock, job: Job) -> Lock:
    """A list for other tools is of what the project needs: a folder has no hash, and would take those of all others along."""
    own = {root.path for root in job.requirements.project_roots}
    return replace(
        lock,
        packages=tuple(
            package
            for package in lock.packages
            if package.name != job.requirements.project_name or package.source is None or Path(package.source.location) not in own
        ),
    )


def guard_foreign(path: Path) -> None:
    """Another tool's lock is not overwritten."""
    from hardtack.wheelhouse.pylock import read_pylock

    if path.is_file() and read_pylock(path.read_text(encoding="utf-8"), where=str(path), base=path.parent).origin != "hardtack":
        raise UsageError(
            "another tool wrote it", where=str(path), hint="write elsewhere with -o pylock.hardtack.toml, or remove the file first"
        )


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None

"""``verify --env``: compare what is installed with a lock or a wheelhouse, and with its own RECORDs."""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from packaging.markers import Marker
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from hardtack.errors import InputError, UsageError
from hardtack.inputs.read import InputRequest
from hardtack.model.finding import Finding, Severity
from hardtack.model.manifest import Manifest
from hardtack.model.marker import UnanswerableMarker, holds
from hardtack.model.plan import Take
from hardtack.model.target import Implementation, PatchRange, Target
from hardtack.planning.plan import Policy, plan
from hardtack.reporting import Reporter
from hardtack.system import environ
from hardtack.system.cancellation import Cancellation
from hardtack.system.uv import find_uv
from hardtack.targets.catalog import from_description, parse_target
from hardtack.targets.host import host_target
from hardtack.targets.names import name_of
from hardtack.wheelhouse.faults import Faults
from hardtack.wheelhouse.layout import file_paths, read_wheelhouse
from hardtack.wheelhouse.limits import DEFAULT
from hardtack.wheelhouse.pylock import read_target_descriptions
from hardtack.wheelhouse.record import Row, read_record
from hardtack.wheelhouse.site import Distribution, Site, digest_of, read_site, unowned
from hardtack.workflow.locks import from_pylock, from_uv_lock
from hardtack.workflow.reading import read_job
from hardtack.workflow.request import BuildOptions, Request

# What an environment is made with, and nobody locks.
_SEEDS = frozenset({"pip", "setuptools", "wheel", "distribute"})
# What makers of environments put there beside any package.
_MAKERS = frozenset({"_virtualenv.py", "_virtualenv.pth", "README.txt", "README"})
_WRITTEN = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json", "uv_build.json", "RECORD.jws", "RECORD.p7s")
_SHOWN = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedRow:
    """One project: what is installed, and what was to be; None for nothing."""

    name: str
    installed: str | None
    wanted: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentResult:
    """What comparing an environment came to. ``target`` and ``against`` are None where it was compared with its RECORDs alone."""

    path: Path
    python: str | None
    target: str | None
    against: str | None
    rows: tuple[ComparedRow, ...]
    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        """True if nothing is wrong."""
        return not any(finding.severity is Severity.ERROR for finding in self.findings)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """What is to be installed; ``wheel`` is where its file lies, if it does, ``sha256`` what that must be; ``listed`` by a wheelhouse."""

    version: str | None
    listed: bool = False
    wheel: Path | None = None
    sha256: str | None = None


def verify_environment(
    path: Path,
    *,
    folder: Path | None = None,
    inputs: InputRequest | None = None,
    targets: Sequence[str | Target] = (),
    cache_dir: Path | None = None,
    environment: Mapping[str, str] | None = None,
    reporter: Reporter | None = None,
    stop: Cancellation | None = None,
) -> EnvironmentResult:
    """Compare an environment with the wheelhouse in ``folder`` or the lock that ``inputs`` name, and with its RECORDs.

    Nothing of the environment is run, and nothing is written there. Raises UsageError where it cannot be told which target it is.
    """
    reporter, stop = reporter or Reporter(), stop or Cancellation()
    variables = dict(environment if environment is not None else environ.variables())
    cache = environ.cache_dir(cache_dir, variables)
    reporter.stage("reading")
    site = read_site(path)
    target: Target | None = None
    wanted: dict[str, _Wanted] | None = None
    against: str | None = None
    if folder is not None and inputs is not None:
        raise UsageError("an environment is compared with one thing", hint="leave out the wheelhouse, or the lock")
    if folder is not None:
        manifest, _ = read_wheelhouse(folder)
        if manifest is None:
            raise InputError(
                "there is no wheelhouse.json in it: nothing says what is to be installed",
                where=str(folder),
                hint="name a lock (--lock-file), or leave the folder out to compare with the RECORDs alone",
            )
        known = [from_description(data, where=f"{folder}: {name}") for name, data in manifest.targets.items()]
        target = _target(site, known, targets)
        wanted, against = _of_manifest(manifest, folder, target, _version(site, target)), str(folder)
    elif inputs is not None:
        target, wanted, against = _of_lock(site, inputs, targets, cache, variables, reporter, stop)
    reporter.stage("comparing")
    findings = [*_of_records(site, stop), *_strangers(site)]
    if wanted is not None and target is not None:
        findings += _compared(site, wanted, target, stop)
    if site.system:
        findings.append(
            Finding(
                code="env-system",
                severity=Severity.WARNING,
                message=f"{path} sees the packages of the Python that it was made from, too",
                hint="make it without --system-site-packages: what lies there is not compared",
            )
        )
    return EnvironmentResult(
        path=path,
        python=site.full or (f"{site.python[0]}.{site.python[1]}" if site.python else None),
        target=target.name if target is not None else None,
        against=against,
        rows=_rows(site, wanted),
        findings=tuple(_once(findings)),
    )


def _rows(site: Site, wanted: Mapping[str, _Wanted] | None) -> tuple[ComparedRow, ...]:
    there = {distribution.name: distribution.version for distribution in site.distributions}
    names = sorted({*there, *(wanted or {})})
    return tuple(
        ComparedRow(name=name, installed=there.get(name), wanted=(wanted or {})[name].version if name in (wanted or {}) else None)
        for name in names
    )


def _once(findings: Sequence[Finding]) -> Iterator[Finding]:
    """A file that is wrong by its RECORD and by its wheel is told once."""
    seen = set()
    for finding in findings:
        key = (finding.code, finding.package, finding.file or finding.message)
        if key not in seen:
            yield finding
        seen.add(key)


# --- which target, and what is to be there -----------------------------------------------------------------------------------------------


def _target(site: Site, known: Sequence[Target], asked: Sequence[str | Target]) -> Target:
    """The one of ``known`` that the environment is of, told by its Python, and by this host where that leaves several."""
    if asked:
        if len(asked) > 1:
            raise UsageError("an environment is of one target", hint="name it alone with -t")
        one = asked[0] if isinstance(asked[0], Target) else parse_target(asked[0])
        found = [target for target in known if target.name == one.name]
        if not found:
            raise UsageError(f"it was not made for {one.name}", hint=f"targets there: {', '.join(target.name for target in known)}")
        return found[0]
    full = Version(site.full) if site.full else None
    fitting = [
        target
        for target in known
        if (site.python is None or target.python == site.python)
        and target.free_threaded == site.free_threaded
        and (target.implementation == "pypy") == (site.implementation == "pypy")
        and (target.platform.os == "windows") == (site.windows or environ.is_windows())
        and (full is None or target.patches.specifier().contains(full, prereleases=True))
    ]
    if len(fitting) > 1:
        host = host_target().platform
        fitting = [
            target
            for target in fitting
            if (target.platform.os, target.platform.arch, target.platform.libc) == (host.os, host.arch, host.libc)
            and (target.platform.floor is None or host.floor is None or target.platform.floor <= host.floor)
        ]
    if len(fitting) != 1:
        names = ", ".join(target.name for target in fitting or known)
        reason = "several targets could be this environment's" if fitting else "no target could be this environment's"
        raise UsageError(f"{reason}: {names}", where=str(site.prefix), hint="name it with -t")
    return fitting[0]


def _of_this_host(site: Site, asked: Sequence[str | Target]) -> Target:
    """The target of an environment on this host, made from its files; or the one that is named."""
    if asked:
        if len(asked) > 1:
            raise UsageError("an environment is of one target", hint="name it alone with -t")
        return asked[0] if isinstance(asked[0], Target) else parse_target(asked[0])
    if site.python is None:
        raise UsageError("nothing there says which Python it is for", where=str(site.prefix), hint="name its target with -t")
    host = host_target().platform
    implementation: Implementation = "pypy" if site.implementation == "pypy" else "cpython"
    target = parse_target(name_of(implementation, site.python, site.free_threaded, replace(host, plain_linux=False)))
    if site.full is None:
        return target
    full = Version(site.full)
    return replace(target, patches=PatchRange(first=full, last=full))


def _version(site: Site, target: Target) -> str:
    """The python_full_version that markers are answered with."""
    return site.full or target.patches.points(())[-1]


def _of_manifest(manifest: Manifest, folder: Path, target: Target, full: str) -> dict[str, _Wanted]:
    files = {file.filename: file for file in manifest.files if target.name in file.targets}
    wanted: dict[str, _Wanted] = {}
    for pin in manifest.pins:
        if pin.target != target.name or not _holds(pin.marker, target, full):
            continue
        file = files.get(pin.filename)
        places = [folder / path for path in file_paths(file, manifest.layout)] if file is not None else []
        lying = next((place for place in places if place.is_file()), None)
        wanted[canonicalize_name(pin.name)] = _Wanted(
            version=pin.version, listed=True, wheel=lying, sha256=file.sha256 if file is not None else None
        )
    return wanted


def _of_lock(
    site: Site,
    inputs: InputRequest,
    targets: Sequence[str | Target],
    cache: Path,
    variables: Mapping[str, str],
    reporter: Reporter,
    stop: Cancellation,
) -> tuple[Target, dict[str, _Wanted], str]:
    described: Mapping[str, Mapping[str, object]] = {}
    if inputs.lock_file is not None and inputs.lock_file.suffix == ".toml" and inputs.lock_file.is_file():
        described = read_target_descriptions(inputs.lock_file.read_text(encoding="utf-8"))
    known = [from_description(data, where=f"{inputs.lock_file}: {name}") for name, data in described.items()]
    target = _target(site, known, targets) if known else _of_this_host(site, targets)
    request = Request(inputs=inputs, targets=(target,), cache_dir=cache, environment=variables, offline=True)
    job = read_job(request, BuildOptions(), reporter=reporter, stop=stop)
    if job.lock_file is None:
        raise UsageError("an environment is compared with a lock, and there is none", hint="name one with --lock-file, or a wheelhouse")
    uv = find_uv(cache, variables, offline=True)
    found = from_uv_lock(job, uv, stop) if job.lock_file.kind == "uv.lock" else from_pylock(job, job.lock_file.path)
    full = _version(site, target)
    wanted: dict[str, _Wanted] = {}
    for entry in plan(found, job.targets, Policy(formats=job.formats)).entries:
        if not _holds(entry.marker, target, full):
            continue
        digest = entry.decision.file.sha256 if isinstance(entry.decision, Take) else None
        version = str(entry.package.version) if entry.package.version is not None else None
        wanted[canonicalize_name(entry.package.name)] = _Wanted(version=version, sha256=digest)
    return target, wanted, str(job.lock_file.path)


def _holds(marker: str | None, target: Target, full: str) -> bool:
    if marker is None:
        return True
    try:
        return holds(Marker(marker), target, full)
    except UnanswerableMarker:
        return True


# --- the comparison ----------------------------------------------------------------------------------------------------------------------


def _of_records(site: Site, stop: Cancellation) -> Iterator[Finding]:
    """Whether each distribution's files are those of its RECORD."""
    seen: dict[str, Distribution] = {}
    for one in site.distributions:
        stop.check()
        first = seen.setdefault(one.name, one)
        if first is not one:
            message = f"{one.name} is installed twice: {_shown(site, first.place)} and {_shown(site, one.place)}"
            yield _about(one, "env-duplicate", message, hint="install it anew; what Python finds first is what runs")
        if one.editable is not None:
            place = f" from {one.editable}" if one.editable else ""
            message = f"{one.name} {one.version} is installed editable{place}: its code is whatever lies there"
            yield _about(one, "env-editable", message, severity=Severity.WARNING, hint="install a wheel of it, if that is not meant")
        if one.faults:
            message = f"{_shown(site, one.place)}: {one.faults[0]}" + (f", and {len(one.faults) - 1} more" if len(one.faults) > 1 else "")
            hint = "whether its files are whole is not told: install it anew"
            yield _about(one, "env-record", message, severity=Severity.WARNING, hint=hint, instead=one.faults[1:])
        if one.outside:
            count = f"{len(one.outside)} file{'s' if len(one.outside) > 1 else ''}"
            # `pip install --target` leaves a RECORD that speaks of scripts where they were before they were moved.
            severity = Severity.WARNING if site.prefix in site.folders else Severity.ERROR
            message = f"{one.name} {one.version}: its RECORD lists {count} outside of the environment, which nobody has looked at"
            yield _about(one, "env-record", message, severity=severity, hint="install it anew", instead=one.outside)
        yield from _files(site, one)


def _files(site: Site, one: Distribution) -> Iterator[Finding]:
    changed, lost = [], []
    for file in one.files or ():
        if file.path.suffix == ".pyc" and not os.path.lexists(file.path):
            continue
        if not file.algorithm:
            if not os.path.lexists(file.path) and file.path.name not in ("RECORD.jws", "RECORD.p7s"):
                lost.append(file.path)
            continue
        digest = digest_of(file.path, file.algorithm)
        if digest is None:
            lost.append(file.path)
        elif digest != file.digest:
            changed.append(file.path)
    yield from _altered(site, one, changed, lost, "its RECORD")


def _altered(site: Site, one: Distribution, changed: Sequence[Path], lost: Sequence[Path], what: str) -> Iterator[Finding]:
    hint = "install it anew; find out who changed it"
    for code, paths, word in (("env-changed", changed, f"not what {what} says"), ("env-lost", lost, f"not there, though {what} has it")):
        for path in paths[:_SHOWN]:
            message = f"{one.name} {one.version}: {_shown(site, path)} is {word}"
            yield _about(one, code, message, hint=hint, file=_shown(site, path))
        if len(paths) > _SHOWN:
            yield _about(one, code, f"{one.name} {one.version}: and {len(paths) - _SHOWN} more files", hint=hint)


def _strangers(site: Site) -> list[Finding]:
    """Files of nobody: only a note, but for what runs at every start."""
    found = [path for path in unowned(site) if not (path.parent in site.folders and path.name in _MAKERS)]
    starting = [path for path in found if path.parent in site.folders and _starts(path.name)]
    findings = [
        Finding(
            code="env-unowned",
            severity=Severity.WARNING,
            message=f"{_shown(site, path)} belongs to no package, and runs whenever Python starts there",
            file=_shown(site, path),
            hint="look at it if you do not know why it is there",
        )
        for path in starting
    ]
    others = [_shown(site, path) for path in found if path not in starting]
    if others:
        count = "1 file among the packages belongs" if len(others) == 1 else f"{len(others)} files among the packages belong"
        findings.append(
            Finding(
                code="env-unowned",
                severity=Severity.NOTE,
                message=f"{count} to none",
                file=others[0] if len(others) == 1 else None,
                instead=tuple(others),
            )
        )
    return findings


def _starts(name: str) -> bool:
    return name.endswith(".pth") or name.split(".")[0] in ("sitecustomize", "usercustomize")


def _compared(site: Site, wanted: Mapping[str, _Wanted], target: Target, stop: Cancellation) -> Iterator[Finding]:
    there: dict[str, Distribution] = {}
    for one in site.distributions:
        there.setdefault(one.name, one)
    for name, want in sorted(wanted.items()):
        stop.check()
        if name not in there:
            version = f" {want.version}" if want.version else ""
            yield Finding(
                code="env-missing",
                message=f"{name}{version} is to be installed, and is not",
                package=name,
                version=want.version,
                target=target.name,
                hint="install it",
            )
            continue
        one = there[name]
        if want.version is not None and not _same_version(one.version, want.version):
            message = f"{name} {one.version or 'of no version that is told'} is installed, and {want.version} is to be"
            yield _about(one, "env-version", message, hint=f"install {name} {want.version}", target=target.name)
        elif want.wheel is not None and one.editable is None:
            yield from _against_wheel(site, one, want)
        elif want.listed and one.editable is None:
            message = f"the wheel of {name} {want.version} does not lie in the wheelhouse: its files are compared with its RECORD alone"
            yield _about(one, "absent", message, severity=Severity.WARNING, hint="`hardtack verify` tells what the wheelhouse lacks")
    for name, one in sorted(there.items()):
        if name not in wanted:
            severity = Severity.NOTE if name in _SEEDS else Severity.WARNING
            message = f"{name} {one.version} is installed, and nothing asks for it"
            yield _about(one, "env-extra", message, severity=severity, hint="remove it, if it is not meant to be there", target=target.name)


def _same_version(one: str, other: str) -> bool:
    try:
        return Version(one) == Version(other)
    except InvalidVersion:
        return one == other


def _against_wheel(site: Site, one: Distribution, want: _Wanted) -> Iterator[Finding]:
    """The installed files against the wheel's own RECORD: that of the environment could have been changed along with them."""
    assert want.wheel is not None
    with open(want.wheel, "rb", buffering=0) as stream:
        if hashlib.file_digest(stream, "sha256").hexdigest() != want.sha256:
            message = f"{want.wheel.name} is not the file that the wheelhouse lists: {one.name} cannot be compared with it"
            yield _about(one, "hash-mismatch", message, hint="`hardtack verify` tells what is wrong with the wheelhouse")
            return
    rows = _members(want.wheel)
    if rows is None:
        return
    folder = one.place.parent
    own = {os.path.normpath(folder / path): row for path, row in rows.items()}
    changed, lost = [], []
    for path, row in own.items():
        if row.digest is None:
            continue
        digest = digest_of(Path(path), row.algorithm)
        if digest is None:
            lost.append(Path(path))
        elif digest != row.digest:
            changed.append(Path(path))
    told = {Path(file.path) for file in one.files or ()}
    added = [
        path
        for path in sorted(told)
        if path.is_relative_to(folder)
        and str(path) not in own
        and path.suffix != ".pyc"
        and not _written(path, one)
        and os.path.lexists(path)
    ]
    yield from _altered(site, one, changed, lost, want.wheel.name)
    for extra in added[:_SHOWN]:
        message = f"{one.name} {one.version}: {_shown(site, extra)} is no file of {want.wheel.name}"
        yield _about(one, "env-changed", message, hint="install it anew; find out who put it there", file=_shown(site, extra))


def _written(path: Path, one: Distribution) -> bool:
    return path.parent == one.place and path.name in _WRITTEN


def _members(wheel: Path) -> dict[str, Row] | None:
    """The rows of a wheel's RECORD by the place where they are installed, from the folder of packages; None where there is none."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            name = next((name for name in archive.namelist() if name.count("/") == 1 and name.endswith(".dist-info/RECORD")), None)
            if name is None or archive.getinfo(name).file_size > DEFAULT.record:
                return None
            data = archive.read(name)
    except (OSError, ValueError, zipfile.BadZipFile):
        return None
    found = {}
    for path, row in read_record(data, name.rpartition("/")[0], Faults(wheel.name), most=DEFAULT.entries).items():
        top, _, rest = path.partition("/")
        if top.endswith(".data"):
            scheme, _, inner = rest.partition("/")
            if scheme in ("purelib", "platlib") and inner:
                found[inner] = row
        elif not path.endswith("/") and path.rpartition("/")[2] not in _WRITTEN[:1]:
            found[path] = row
    return found


def _about(
    one: Distribution,
    code: str,
    message: str,
    *,
    hint: str,
    severity: Severity = Severity.ERROR,
    file: str | None = None,
    target: str | None = None,
    instead: Sequence[str] = (),
) -> Finding:
    return Finding(
        code=code,
        severity=severity,
        message=message,
        package=one.name,
        version=one.version or None,
        target=target,
        file=file,
        instead=tuple(instead),
        hint=hint,
    )


def _shown(site: Site, path: Path) -> str:
    return path.relative_to(site.prefix).as_posix() if path.is_relative_to(site.prefix) else str(path)

"""``--with-sdists``: the source archives of all that is planned, fetched, judged and listed, to lie beside the wheels."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from packaging.utils import InvalidSdistFilename, canonicalize_name, parse_sdist_filename

from hardtack.fetching.download import FetchedFile, fetch
from hardtack.fetching.transfer import Wanted
from hardtack.model.finding import Finding, Severity
from hardtack.model.lock import Lock, LockedFile, LockedPackage
from hardtack.model.manifest import ManifestSource
from hardtack.model.plan import Plan
from hardtack.model.wheel import BadSdist, SdistFacts
from hardtack.reporting import Reporter
from hardtack.system.cancellation import Cancellation
from hardtack.wheelhouse.manifest import source_path
from hardtack.wheelhouse.pylock_packages import without_credentials
from hardtack.wheelhouse.sdist import inspect_sdist
from hardtack.workflow.files import wanted_file
from hardtack.workflow.making import Made
from hardtack.workflow.supplies import Supplies

_SHOWN = 12
_SUFFIX = re.compile(r"\.tar\.(?:gz|bz2|xz)$|\.[a-z0-9]+$", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelved:
    """The source archives that are kept. ``paths`` in the store by sha256; ``learned`` are the digests first seen.

    ``fetched`` files came over the wire, ``received`` bytes of them.
    """

    sources: tuple[ManifestSource, ...] = ()
    paths: Mapping[str, Path] = field(default_factory=dict, hash=False)
    findings: tuple[Finding, ...] = ()
    learned: Mapping[tuple[str, str], FetchedFile] = field(default_factory=dict, hash=False)
    fetched: int = 0
    received: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Archive:
    """One archive in the store, not judged yet. ``listed`` has everything but what its bytes tell."""

    package: LockedPackage
    path: Path
    listed: ManifestSource
    named: bool = True


def sdists_of(plan: Plan) -> tuple[tuple[LockedPackage, LockedFile], ...]:
    """The source archive of each package of a plan that has one, once, built from or not."""
    found: dict[tuple[str, str, str | None], tuple[LockedPackage, LockedFile]] = {}
    for entry in plan.entries:
        file = entry.package.sdist or entry.package.archive
        if file is not None and not file.filename.endswith(".whl"):
            found.setdefault((file.filename, file.url, file.sha256), (entry.package, file))
    return tuple(found.values())


def shelve_sdists(
    plan: Plan, made: Made, supplies: Supplies, *, jobs: int, require_stated_hashes: bool, reporter: Reporter, stop: Cancellation
) -> Shelved:
    """Bring every source archive of the plan into the store, with those that ``made`` was built from, and judge them all.

    Asked for, an archive that cannot be had or is bad is an error. Packages that have none are told in one note.
    """
    wanted = {wanted_file(file): (package, file) for package, file in sdists_of(plan)}
    reporter.stage("fetching", detail="sdists")
    projects = {file.filename: package.name for package, file in wanted.values()}

    def elsewhere(file: Wanted) -> str | None:
        found = supplies.client.find(file.filename, sha256=file.sha256, project=projects[file.filename], url=file.urls[0])
        return found.url if found is not None else None

    fetched = fetch(
        list(wanted),
        transport=supplies.transport,
        store=supplies.store,
        reporter=reporter,
        stop=stop,
        jobs=jobs,
        limits=supplies.limits,
        locate=elsewhere,
    )
    findings = [Finding(code=error.slug, message=str(error), file=error.where, hint=error.hint) for error in fetched.failures]
    archives = [_fetched(*wanted[asked], found) for asked, found in fetched.files.items()]
    archives += _made_here(plan, made, supplies)
    reporter.stage("judging", detail="sdists")
    with ThreadPoolExecutor(2, thread_name_prefix="inspect") as pool:
        judged = list(pool.map(lambda archive: _judge(archive, stop), archives))
    stop.check()
    listed: dict[str, ManifestSource] = {}
    for archive, facts in zip(archives, judged, strict=True):
        if isinstance(facts, BadSdist):
            findings += [replace(finding, message=f"{archive.listed.filename}: {finding.message}") for finding in facts.findings]
            continue
        findings += [finding for finding in facts.findings if finding.severity is not Severity.NOTE]
        source = _named(archive, facts)
        if require_stated_hashes and source.hash_source == "first-seen" and source.made_of is None:
            findings.append(_unstated(source))
        if (fault := _differs(archive.package, facts)) is not None:
            findings.append(fault)
            continue
        other = listed.setdefault(source.path.casefold(), source)
        if other.sha256 != source.sha256:
            findings.append(_collision(other, source))
    learned = {(file.filename, file.url): found for asked, found in fetched.files.items() if (file := wanted[asked][1]).sha256 is None}
    sources = tuple(source for _, source in sorted(listed.items()))
    findings += [*_first_seen(sources), *_without(plan, made)]
    paths = {archive.listed.sha256: archive.path for archive in archives}
    return Shelved(
        sources=sources,
        paths={source.sha256: paths[source.sha256] for source in sources},
        findings=tuple(findings),
        learned=learned,
        fetched=len({found.sha256 for found in fetched.files.values() if found.received}),
        received=fetched.received,
    )


def with_sdist_digests(lock: Lock, learned: Mapping[tuple[str, str], FetchedFile]) -> Lock:
    """The lock with every sdist's digest that was learned by fetching it, marked as such."""
    if not learned:
        return lock

    def with_digest(package: LockedPackage) -> LockedPackage:
        sdist = package.sdist
        if sdist is None or sdist.sha256 is not None or (found := learned.get((sdist.filename, sdist.url))) is None:
            return package
        return replace(package, sdist=replace(sdist, sha256=found.sha256, size=found.size, hash_source="first-seen"))

    return replace(lock, packages=tuple(with_digest(package) for package in lock.packages))


def _fetched(package: LockedPackage, file: LockedFile, found: FetchedFile) -> _Archive:
    return _Archive(
        package=package,
        path=found.path,
        # An archive behind a URL is called as its server likes.
        named=package.source is None,
        listed=ManifestSource(
            filename=file.filename,
            path=source_path(file.filename),
            sha256=found.sha256,
            size=found.size,
            name=package.name,
            version=str(package.version or ""),
            origin="file" if file.index is None and file.url.startswith("file:") else without_credentials(file.url),
            index=without_credentials(file.index) if file.index else None,
            hash_source="first-seen" if file.sha256 is None else file.hash_source,
        ),
    )


def _made_here(plan: Plan, made: Made, supplies: Supplies) -> Iterator[_Archive]:
    """The archives that folders and repositories became on the way to their wheels."""
    seen: set[str] = set()
    for at, ware in sorted(made.wares.items()):
        build = ware.build
        if build is None or build.made_of is None or build.source_sha256 in seen:
            continue
        seen.add(build.source_sha256)
        path = supplies.store.path(build.source_sha256)
        yield _Archive(
            package=plan.entries[at].package,
            path=path,
            listed=ManifestSource(
                filename=build.source,
                path=source_path(build.source),
                sha256=build.source_sha256,
                size=path.stat().st_size,
                name=plan.entries[at].package.name,
                version="",
                origin="built",
                hash_source="first-seen",
                made_of=build.made_of,
            ),
        )


def _key(package: LockedPackage) -> tuple[str, str]:
    return package.name, str(package.version or "")


def _judge(archive: _Archive, stop: Cancellation) -> SdistFacts | BadSdist:
    stop.check()
    return inspect_sdist(archive.path, filename=archive.listed.filename, sha256=archive.listed.sha256)


def _named(archive: _Archive, facts: SdistFacts) -> ManifestSource:
    """The archive with what it states of itself, under a name that an index can list."""
    requires_python = str(facts.requires_python) if facts.requires_python else None
    listed = replace(archive.listed, name=facts.name, version=str(facts.version), requires_python=requires_python)
    if archive.named or _says(listed.filename) == (facts.name, str(facts.version)):
        return listed
    suffix = _SUFFIX.search(listed.filename)
    filename = f"{facts.name.replace('-', '_')}-{facts.version}{suffix[0].lower() if suffix else ''}"
    return replace(listed, filename=filename, path=source_path(filename))


def _says(filename: str) -> tuple[str, str] | None:
    try:
        name, version = parse_sdist_filename(filename)
    except InvalidSdistFilename:
        return None
    return name, str(version)


def _differs(package: LockedPackage, facts: SdistFacts) -> Finding | None:
    """What the archive says of itself against what is locked."""
    name_differs = facts.name != canonicalize_name(package.name)
    if not name_differs and package.version in (None, facts.version):
        return None
    return Finding(
        code="name-mismatch" if name_differs else "version-mismatch",
        message=f"{facts.filename} says that it is {facts.name} {facts.version}, but {package.name} {package.version or ''} is locked",
        package=package.name,
        version=str(package.version) if package.version else None,
        file=facts.filename,
        hint="the archive is not what its name or the lock says: do not build from it",
    )


def _unstated(source: ManifestSource) -> Finding:
    return Finding(
        code="no-hash",
        message=f"nobody states a digest for {source.filename}",
        package=source.name,
        version=source.version,
        file=source.filename,
        hint="state its sha256 in the lock or the requirements, allow the first digest seen to be recorded, or leave out --with-sdists",
    )


def _collision(one: ManifestSource, other: ManifestSource) -> Finding:
    return Finding(
        code="name-collision",
        message=f"two different source archives are called {other.filename}: sha256 {one.sha256} and {other.sha256}",
        package=other.name,
        version=other.version,
        file=other.filename,
        hint="leave out --with-sdists, or provision the targets that take different ones into different wheelhouses",
    )


def _first_seen(sources: tuple[ManifestSource, ...]) -> list[Finding]:
    names = [source.filename for source in sources if source.hash_source == "first-seen" and source.made_of is None]
    if not names:
        return []
    return [
        Finding(
            code="first-seen",
            severity=Severity.NOTE,
            message=f"no index and no lock states a hash of {', '.join(names)}: the digests seen first are recorded, and hold from now on",
            hint="compare them once with what the maker of the files says; --require-stated-hashes refuses such files",
        )
    ]


def _without(plan: Plan, made: Made) -> list[Finding]:
    """One note for all packages that no source archive is known of."""
    having = {_key(package) for package, _ in sdists_of(plan)}
    having |= {_key(plan.entries[at].package) for at, ware in made.wares.items() if ware.build is not None}
    bare = {" ".join(_key(entry.package)).strip() for entry in plan.entries if _key(entry.package) not in having}
    if not bare:
        return []
    names = sorted(bare)
    shown = ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
    return [
        Finding(
            code="no-sdist",
            severity=Severity.NOTE,
            message=f"no source archive is known of {shown}",
            hint="their makers may publish their sources elsewhere; name a repository or an archive to have it built and kept",
        )
    ]

"""Folders and repositories as source archives in the store: from there on they go the way of every sdist."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit
from urllib.request import url2pathname

from packaging.requirements import Requirement

from hardtack.building.environment import Environments
from hardtack.building.sources import SourceRoom, archive_key, archived_before, ask_requires, lay_out, make_sdist, remember_archive
from hardtack.building.workshop import Workshop
from hardtack.fetching.download import FetchedFile
from hardtack.model.lock import LockedFile, LockedPackage, Source
from hardtack.model.manifest import SourceOrigin
from hardtack.model.recipe import Recipe
from hardtack.system.files import remove
from hardtack.workflow.reading import Job
from hardtack.workflow.supplies import Supplies


@dataclass(frozen=True, slots=True, kw_only=True)
class Grounds:
    """Where folders lie: manifests name them from ``project_dir``, and ``leave_out`` (the wheelhouse) is no part of any of them."""

    project_dir: Path
    leave_out: tuple[Path, ...] = ()
    project: str | None = None

    def shown(self, location: str) -> str:
        """A folder as the project names it, so that a manifest does not tell of the machine."""
        try:
            return Path(os.path.relpath(location, self.project_dir)).as_posix()
        except ValueError:  # another drive
            return Path(location).name


def grounds_of(job: Job) -> Grounds:
    """The grounds of a job."""
    return Grounds(project_dir=job.project_dir, leave_out=(job.output.absolute(),), project=job.requirements.project_name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Archived:
    """A source archive in the store: as a file of a lock, as what was fetched, and what it was made of."""

    file: LockedFile
    found: FetchedFile
    origin: SourceOrigin


def archive_source(
    name: str, source: Source, shop: Workshop, supplies: Supplies, *, grounds: Grounds, recipe: Recipe, environments: Environments
) -> Archived:
    """The archive of a "directory" or "vcs" source, made anew where its content is another than it was. Raises BuildFault."""
    with _laid_out(name, source, shop, supplies, grounds) as room:
        key = archive_key(room, shop=shop, recipe=recipe)
        before = archived_before(key, name=name, shop=shop, has=supplies.store.has)
        if before is not None:
            return _archived(before.filename, before.sha256, before.size, supplies, room.origin)
        made = make_sdist(room, name=name, shop=shop, recipe=recipe, environments=environments)
        sha256 = supplies.store.add_file(made.path)
        remove(made.path.parent)
        remember_archive(key, made, cache_dir=supplies.cache_dir)
        return _archived(made.filename, sha256, made.size, supplies, made.origin)


def ask_source(
    name: str, source: Source, shop: Workshop, supplies: Supplies, *, grounds: Grounds, recipe: Recipe, environments: Environments
) -> tuple[Requirement, ...]:
    """What the backend of a "directory" or "vcs" source wants besides what it states, to be editable too. Raises BuildFault."""
    with _laid_out(name, source, shop, supplies, grounds) as room:
        return ask_requires(room, name=name, shop=shop, recipe=recipe, environments=environments)


def _laid_out(name: str, source: Source, shop: Workshop, supplies: Supplies, grounds: Grounds) -> AbstractContextManager[SourceRoom]:
    return lay_out(
        source,
        name=name,
        work=shop.work,
        cache_dir=supplies.cache_dir,
        environment=supplies.uv.environment,
        shown=grounds.shown(source.location) if source.kind == "directory" else None,
        leave_out=grounds.leave_out,
        offline=supplies.settings.offline,
        stop=shop.stop,
    )


def _archived(filename: str, sha256: str, size: int, supplies: Supplies, origin: SourceOrigin) -> Archived:
    path = supplies.store.path(sha256)
    return Archived(
        file=LockedFile(filename=filename, url=path.as_uri(), sha256=sha256, size=size),
        found=FetchedFile(path=path, sha256=sha256, size=size, received=0),
        origin=origin,
    )


def needs_archive(package: LockedPackage) -> bool:
    """True for a package that comes from a folder or a repository."""
    return package.source is not None and package.source.kind in ("directory", "vcs")


def source_at(url: str) -> Source | None:
    """The source that a direct reference (PEP 508) means: a folder, a repository, an archive. None for what is none of these."""
    parts = urlsplit(url)
    fragment: Mapping[str, list[str]] = parse_qs(parts.fragment)
    subdirectory = next(iter(fragment.get("subdirectory", ())), None)
    plain = parts._replace(fragment="")
    if parts.scheme.startswith("git+") or parts.scheme in ("ssh", "git"):
        path, at, revision = plain.path.rpartition("@")
        whole = plain._replace(path=path if at else plain.path).geturl()
        return Source(
            kind="vcs",
            location=whole.removeprefix("git+"),
            requested=unquote(revision) if at else None,
            subdirectory=subdirectory,
        )
    if parts.scheme == "file":
        local = Path(url2pathname(parts.path))
        if local.is_dir():
            return Source(kind="directory", location=os.path.normpath(local), subdirectory=subdirectory)
        return Source(kind="archive", location=plain.geturl(), subdirectory=subdirectory)
    if parts.scheme in ("http", "https"):
        return Source(kind="archive", location=plain.geturl(), subdirectory=subdirectory)
    return None

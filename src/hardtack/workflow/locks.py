"""A lock file that lies there, read for a job: another tool's with roots of its own, ours as it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from hardtack.errors import InputError, StaleLock
from hardtack.inputs.read import read_inputs
from hardtack.inputs.uv_lock import export_uv_lock
from hardtack.locking.classes import selections
from hardtack.locking.lock import locked_roots, merge_locks, selected_roots
from hardtack.model.lock import Lock, LockedRoot
from hardtack.model.target import Target
from hardtack.planning.plan import Policy, plan
from hardtack.system import environ
from hardtack.system.cancellation import Cancellation
from hardtack.system.documents import toml_of
from hardtack.system.uv import Uv
from hardtack.wheelhouse.pylock import read_pylock
from hardtack.wheelhouse.uv_lock import read_edges
from hardtack.workflow.reading import Job, with_stated_pins


def from_pylock(job: Job, path: Path) -> Lock:
    """The lock of a pylock.toml, ours or another's, with roots. Raises StaleLock where it does not answer the project any more."""
    text = path.read_text(encoding="utf-8")
    found = read_pylock(text, where=str(path), base=path.parent)
    if found.origin != "hardtack":
        # It names no roots: everything that it locks is asked for, each package by its exact version.
        found = replace(found, roots=_roots_of_everything(found, path, job))
        return replace(found, roots=_and_asked(found, job))
    missing = [target.name for target in job.targets if target.name not in found.targets]
    if missing:
        raise StaleLock(
            f"it was not made for {', '.join(missing)}",
            where=str(path),
            hint=f"lock again: hardtack lock {' '.join(f'-t {name}' for name in [*found.targets, *missing])}",
        )
    named = any(Path(location).name == path.name for location in job.inputs.requirement_files)
    if job.inputs.lock_file is None and not named:
        asked = read_inputs(replace(job.inputs, use_lock=False), job.configuration, environment=job.environment, fetch_text=_no_urls)
        asked = replace(
            asked,
            formats=job.formats,
            prereleases=asked.prereleases or job.requirements.prereleases,
            index_pins=with_stated_pins(asked, job.settings),
        )
        if job.digest(asked) != found.inputs_digest:
            raise StaleLock(
                "it was made from other requirements or settings than the project has now",
                where=str(path),
                hint="`hardtack lock` makes it anew; `--no-lock` leaves it aside; `--lock-file` obeys it all the same",
            )
    return replace(found, roots=_and_asked(found, job))


def _and_asked(found: Lock, job: Job) -> tuple[LockedRoot, ...]:
    """A lock's roots, and what the project or the command line asks for besides: it must hold all of that, or the proof says what it lacks.

    Groups that another tool's lock does not name were not to be in it, unless they are asked for.
    """
    known = {root.requirement for root in found.roots}
    wanted = found.groups | found.default_groups | (job.inputs.groups or frozenset())
    asked = [root for root in locked_roots(job.requirements.roots) if root.requirement not in known]
    return (*found.roots, *(root for root in asked if root.group is None or root.group in wanted))


def _no_urls(url: str) -> str:
    raise InputError("a requirements file behind a URL cannot be compared with a lock", where=url)


def _roots_of_everything(found: Lock, path: Path, job: Job) -> tuple[LockedRoot, ...]:
    """A root for whatever the lock has for a target, by its exact version: its markers, extras and groups are PEP 751's."""
    users: dict[str, list[str]] = {}
    for entry in plan(found, job.targets, Policy(formats=job.formats)).entries:
        exact = f"=={entry.package.version}" if entry.package.version is not None else ""
        marker = f" ; {entry.marker}" if entry.marker else ""
        users.setdefault(f"{entry.package.name}{exact}{marker}", []).append(entry.target)
    return tuple(LockedRoot(requirement=text, origin=path.name, targets=frozenset(names)) for text, names in users.items())


def from_uv_lock(job: Job, uv: Uv, stop: Cancellation) -> Lock:
    """uv's own export of the project's uv.lock, one for each selection among the targets."""
    assert job.lock_file is not None
    path = job.lock_file.path
    # Of a workspace whose root is no project of its own, all the members are what is meant.
    members_of_workspace = path.parent == job.project_dir and _is_virtual_workspace(path.parent / "pyproject.toml")
    edges = read_edges(path.read_text(encoding="utf-8"), where=str(path))
    parts: list[tuple[Lock, tuple[Target, ...]]] = []
    uv.cache_dir.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".hardtack-export-", dir=uv.cache_dir) as folder:
        guard = uv.guard_interpreter(Path(folder) / "guard", environ.interpreter(), stop=stop)
        for selection, members in selections(job.targets):
            text = export_uv_lock(
                path.parent,
                uv,
                extras=selection.extras or frozenset(),
                groups=selection.groups or frozenset(),
                all_packages=members_of_workspace,
                runtime="runtime" in job.inputs.sets,
                guard_python=guard,
                stop=stop,
            )
            found = read_pylock(text, where=str(path), base=path.parent)
            packages = tuple(
                replace(package, dependencies=edges.get((package.name, str(package.version) if package.version else None), ()))
                for package in found.packages
            )
            roots = locked_roots(selected_roots(job.requirements, selection))
            parts.append((replace(found, packages=packages, roots=roots), members))
    return replace(merge_locks(parts), origin="uv.lock", inputs_digest=job.digest())


def _is_virtual_workspace(pyproject: Path) -> bool:
    tables = toml_of(pyproject.read_text(encoding="utf-8"))
    return "project" not in tables and "workspace" in tables.get("tool", {}).get("uv", {})

"""What a folder of wheels is to answer: requirements, a lock, or nothing but itself; and for which targets. Nothing is resolved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from hardtack.inputs.configuration import read_configuration
from hardtack.inputs.read import InputRequest
from hardtack.locking.lock import locked_roots, waivers_of
from hardtack.model.lock import Lock, LockedRoot, Waiver
from hardtack.model.manifest import Manifest
from hardtack.model.plan import Plan
from hardtack.model.requirements import RootRequirement
from hardtack.model.target import Selection, Target
from hardtack.planning.plan import Policy, plan
from hardtack.reporting import Reporter
from hardtack.system.cancellation import Cancellation
from hardtack.system.uv import Uv
from hardtack.targets.catalog import from_description, parse_target
from hardtack.workflow.folders import targets_of_folders
from hardtack.workflow.locks import from_pylock, from_uv_lock
from hardtack.workflow.reading import Job, read_job, targets_of
from hardtack.workflow.request import BuildOptions, Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is asked of the folder, for ``targets``. ``roots`` None: nothing, so that all that lies there is.

    ``tools`` are what building the project requires: they need not agree with ``roots``, for a build has an environment of its own.
    ``lock`` and ``planned`` say which files are meant, where there is a lock. ``stated`` are the roots as their lines have them.
    """

    targets: tuple[Target, ...]
    roots: tuple[LockedRoot, ...] | None = None
    tools: tuple[LockedRoot, ...] = ()
    constraints: tuple[Requirement, ...] = ()
    waivers: tuple[Waiver, ...] = ()
    project: str | None = None
    wants_project: bool = False
    lock: Lock | None = None
    planned: Plan | None = None
    stated: tuple[RootRequirement, ...] = field(default=(), repr=False)
    require_hashes: bool = False
    requires_python: SpecifierSet | None = None


def read_asked(
    inputs: InputRequest | None,
    targets: Sequence[str | Target],
    *,
    manifest: Manifest | None,
    paths: Sequence[str],
    cache_dir: Path,
    environment: Mapping[str, str],
    uv: Uv,
    reporter: Reporter,
    stop: Cancellation,
) -> Asked:
    """Read what is asked: of the inputs; else of the manifest; else of the folder itself.

    Targets, where none is named: the project's, the lock's, the manifest's, those that the folders are named like, else this host.
    """
    named = tuple({target.name: target for target in targets_of_folders(paths).values()}.values())
    if inputs is not None:
        request = Request(inputs=inputs, targets=tuple(targets), cache_dir=cache_dir, environment=environment, offline=True)
        if not targets:
            # Only reading tells whether a lock or the configuration has targets of its own.
            job = read_job(request, BuildOptions(), reporter=Reporter(), stop=stop)
            if not job.configuration.targets and not (job.lock_file is not None and job.lock_file.kind == "pylock"):
                known = [
                    from_description(data, where=f"wheelhouse.json: {name}")
                    for name, data in (manifest.targets if manifest else {}).items()
                ]
                request = replace(request, targets=tuple(replace(target, selection=Selection()) for target in known) or named)
            if not request.targets and [target.name for target in job.targets] == [parse_target("host").name]:
                reporter.note(f"no target is named: judged for this host, {job.targets[0].name}")
        return _of_job(read_job(request, BuildOptions(), reporter=reporter, stop=stop), uv, stop)
    project_dir = Path.cwd()
    configuration = read_configuration(project_dir, environment=environment)
    if targets or (manifest is None and configuration.targets):
        chosen = targets_of(targets, configuration, None)
    elif manifest is not None:
        chosen = tuple(from_description(data, where=f"wheelhouse.json: {name}") for name, data in manifest.targets.items())
    elif named:
        chosen = named
    else:
        chosen = targets_of((), configuration, None)
        reporter.note(f"no target is named: judged for this host, {chosen[0].name}")
    if manifest is None:
        return Asked(targets=chosen)
    # A target that the manifest does not know takes whatever any of its targets was asked for.
    roots = tuple(dict.fromkeys(replace(root, targets=None) for root in manifest.roots))
    return Asked(targets=chosen, roots=roots, waivers=manifest.waivers, project=manifest.project)


def _of_job(job: Job, uv: Uv, stop: Cancellation) -> Asked:
    wanted = job.requirements
    tools = locked_roots(wanted.build_roots)
    asked = Asked(
        targets=job.targets,
        roots=tuple(root for root in locked_roots(wanted.roots) if root not in tools),
        tools=tools,
        constraints=tuple(root.requirement for root in wanted.constraints),
        waivers=waivers_of(wanted),
        project=wanted.project_name,
        wants_project=bool(wanted.project_roots),
        stated=wanted.roots,
        require_hashes=wanted.require_hashes,
        requires_python=wanted.requires_python,
    )
    if job.lock_file is None:
        return asked
    found = from_uv_lock(job, uv, stop) if job.lock_file.kind == "uv.lock" else from_pylock(job, job.lock_file.path)
    if found.origin == "hardtack":
        # It has locked what builds the project, too.
        asked = replace(asked, tools=(), roots=found.roots)
    else:
        asked = replace(asked, roots=tuple(root for root in found.roots if root not in tools))
    return replace(asked, lock=found, planned=plan(found, job.targets, Policy(formats=job.formats)), waivers=found.waivers or asked.waivers)

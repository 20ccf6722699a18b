"""Read everything that steers a run, once: configuration, inputs, targets, indexes."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit
from urllib.request import url2pathname

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from hardtack.errors import HardtackError, UsageError
from hardtack.indexing.credentials import Credentials
from hardtack.indexing.settings import IndexSettings, read_settings
from hardtack.inputs.configuration import Configuration, read_configuration
from hardtack.inputs.read import InputRequest, read_inputs
from hardtack.inputs.recipes import read_named_setting
from hardtack.model.lock import Lock
from hardtack.model.recipe import Recipe
from hardtack.model.requirements import FormatControl, FoundInput, IndexPin, Requirements, RootRequirement
from hardtack.model.target import Selection, Target
from hardtack.reporting import Reporter
from hardtack.system import environ
from hardtack.system.cancellation import Cancellation
from hardtack.system.documents import toml_of
from hardtack.targets.catalog import from_description, from_table, parse_target
from hardtack.wheelhouse.pylock import read_target_descriptions
from hardtack.workflow.request import BuildOptions, Request

if TYPE_CHECKING:
    from hardtack.building.sandbox_root import SystemRoot

_INPUT_LIMIT = 16 << 20
_DEPENDENCIES = frozenset({"dependencies", "optional-dependencies"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A request, read. ``lock_file`` is the lock to obey, if there is one; ``targets`` have their selections filled in.

    ``build_system`` is what lies in ``options.build_root``. A lock does not depend on it, for one lock serves many machines.
    """

    requirements: Requirements
    targets: tuple[Target, ...]
    settings: IndexSettings
    credentials: Credentials = field(repr=False)
    environment: Mapping[str, str] = field(repr=False)
    cache_dir: Path
    project_dir: Path
    output: Path
    layout: Literal["flat", "by-target"]
    options: BuildOptions
    lock_file: FoundInput | None
    inputs: InputRequest
    configuration: Configuration
    exclude_newer: str | None
    build_system: SystemRoot | None = None
    notes: tuple[str, ...] = ()

    @property
    def formats(self) -> FormatControl:
        """Which packages may, must or must not come as wheels."""
        return self.requirements.formats

    @property
    def tells_late(self) -> bool:
        """True if only building a folder tells what it requires: no digest of what was read says that it still does."""
        own = [root.path for root in self.requirements.project_roots]
        if any(path is not None and path.is_dir() for path in own) and not _DEPENDENCIES.isdisjoint(self.requirements.dynamic):
            return True
        folders = {root.path for root in self.requirements.roots if root.path is not None and root.path.is_dir()}
        return any(_tells_late(folder) for folder in folders if folder not in own)

    def digest(self, requirements: Requirements | None = None) -> str:
        """The sha256 of all that a lock depends on, targets aside: equal digests need no new lock."""
        wanted = requirements or self.requirements
        parts = {
            "schema": 1,
            "roots": sorted(
                [_text(r), r.extra or "", r.group or "", _local(r.path, self.project_dir, own=r in wanted.project_roots), sorted(r.hashes)]
                for r in wanted.roots
            ),
            "constraints": sorted(str(root.requirement) for root in wanted.constraints),
            "overrides": sorted(str(root.requirement) for root in wanted.overrides),
            "excludes": sorted(wanted.excludes),
            "formats": [sorted(wanted.formats.no_binary), sorted(wanted.formats.only_binary)],
            "prereleases": [wanted.prereleases, sorted(wanted.prerelease_packages)],
            "requires-python": str(wanted.requires_python or ""),
            "indexes": [[index.name, index.url, index.kind, index.explicit] for index in self.settings.indexes],
            "pins": sorted([pin.name, pin.index, str(pin.marker or ""), pin.extra or "", pin.group or ""] for pin in wanted.index_pins),
            "exclude-newer": self.exclude_newer,
            "building": [
                _recipe(wanted.recipes.everywhere, self.project_dir),
                {name: _recipe(recipe, self.project_dir) for name, recipe in wanted.recipes.own.items()},
                sorted([_movable(root.requirement, self.project_dir), sorted(root.hashes)] for root in wanted.build_constraints),
            ],
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _text(root: RootRequirement) -> str:
    """A root's text; of a local one without its place, which is another on every machine."""
    if root.path is None or root.requirement.url is None:
        return str(root.requirement)
    bare = Requirement(str(root.requirement))
    bare.url = None
    return str(bare)


def _recipe(recipe: Recipe, base: Path) -> list[Any]:
    """A recipe, as what is built by it depends on it."""
    return [
        sorted(recipe.config),
        sorted(_movable(requirement, base) for requirement in recipe.requires),
        sorted(recipe.variables),
        sorted(recipe.tools),
        sorted(recipe.match_runtime),
    ]


def _movable(requirement: Requirement, base: Path) -> str:
    """A requirement's text, a local one's place told from the project."""
    if requirement.url is None or not requirement.url.lower().startswith("file:"):
        return str(requirement)
    bare = Requirement(str(requirement))
    bare.url = None
    path = Path(url2pathname(urlsplit(requirement.url).path))
    return f"{bare} @ {_local(path, base) if path.exists() else path}"


def _local(path: Path | None, base: Path, *, own: bool = False) -> str:
    """A path as told from the project, and what a file there holds, or what a folder there states: made again, it is another one.

    ``own``: what the project's folder states is among the roots, but for what building it requires, which may be left out of them.
    """
    if path is None:
        return ""
    try:
        shown = Path(os.path.relpath(path, base)).as_posix()
    except ValueError:  # another drive
        shown = str(path)
    if path.is_dir():
        return f"{shown} {_digest(_building(_tables(path))) if own else _statement(path)}"
    with path.open("rb") as stream:
        return f"{shown} {hashlib.file_digest(stream, 'sha256').hexdigest()}"


def _statement(folder: Path) -> str:
    """A digest of what a folder's project says that it requires, to be built too: of static tables, else of all files that may say it."""
    tables = _tables(folder)
    if not _is_dynamic(tables):
        said = {key: tables["project"].get(key) for key in ("name", "dependencies", "optional-dependencies", "requires-python")}
        return _digest([said, *_building(tables)])
    names = [name for name in ("pyproject.toml", "setup.py", "setup.cfg") if (folder / name).is_file()]
    return hashlib.sha256(b"\0".join((folder / name).read_bytes() for name in names)).hexdigest()


def _building(tables: Mapping[str, Any]) -> list[Any]:
    """What building a folder requires, and from where it is to come."""
    return [tables.get("build-system"), _sources(tables)]


def _digest(parts: list[Any]) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def _tells_late(folder: Path) -> bool:
    # Its sources may lead to more folders, which nobody looks into here.
    tables = _tables(folder)
    return _is_dynamic(tables) or bool(_sources(tables))


def _tables(folder: Path) -> dict[str, Any]:
    try:
        return toml_of((folder / "pyproject.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}


def _sources(tables: Mapping[str, Any]) -> Any:
    tool = tables.get("tool")
    uv = tool.get("uv") if isinstance(tool, dict) else None
    return uv.get("sources") if isinstance(uv, dict) else None


def _is_dynamic(tables: Mapping[str, Any]) -> bool:
    project = tables.get("project")
    dynamic = project.get("dynamic", ()) if isinstance(project, dict) else ("dependencies",)
    return not _DEPENDENCIES.isdisjoint(str(item) for item in dynamic)


def read_job(request: Request, options: BuildOptions, *, reporter: Reporter, stop: Cancellation) -> Job:
    """Read configuration, inputs, targets and index settings. Raises HardtackError for what cannot be understood."""
    environment = dict(request.environment if request.environment is not None else environ.variables())
    project_dir = (request.inputs.project_dir or Path.cwd()).absolute()
    inputs = replace(request.inputs, project_dir=project_dir)
    configuration = read_configuration(project_dir, environment=environment)
    offline = request.offline or bool(configuration.offline)

    def fetch_text(url: str) -> str:
        settings, credentials = read_settings(
            request.indexes, environment=environment, tables=configuration.indexes, project_dir=project_dir, offline=offline
        )
        return _fetch_text(url, settings, credentials, stop)

    requirements = read_inputs(inputs, configuration, environment=environment, fetch_text=fetch_text)
    formats = _formats(request, requirements)
    requirements = replace(requirements, formats=formats, prereleases=requirements.prereleases or request.prereleases)
    settings, credentials = read_settings(
        request.indexes,
        environment=environment,
        options=requirements.index_options,
        tables=configuration.indexes,
        project_dir=project_dir,
        offline=offline,
    )
    for line in settings.explain():
        reporter.detail(f"{line.name} = {line.value}  ({line.source}{'' if line.used else '; not used'})")
    requirements = replace(requirements, index_pins=with_stated_pins(requirements, settings))
    lock_file = next((found for found in requirements.found if found.used and found.kind in ("uv.lock", "pylock")), None)
    targets = targets_of(request.targets, configuration, lock_file)
    for found in requirements.found:
        words = "read" if found.used else "left aside"
        place = found.path.relative_to(project_dir) if found.path.is_relative_to(project_dir) else found.path
        reporter.note(f"{place}: {words}{f' ({found.why})' if found.why else ''}")
    for note in requirements.notes:
        reporter.note(note)
    output = options.output or configuration.output or Path("wheelhouse")
    layout: Any = options.layout or configuration.layout or "flat"
    root = options.build_root or configuration.build_root
    build_root = root.absolute() if root is not None else None
    _check_locked(options, lock_file, inputs, project_dir, output)
    return Job(
        requirements=requirements,
        targets=tuple(_selected(target, requirements, lock_file, _groups(requirements, lock_file, inputs)) for target in targets),
        settings=settings,
        credentials=credentials,
        environment=environment,
        cache_dir=environ.cache_dir(request.cache_dir or configuration.cache_dir, environment),
        project_dir=project_dir,
        output=output,
        layout=layout,
        options=replace(
            options,
            prune=options.prune or bool(configuration.prune),
            require_stated_hashes=options.require_stated_hashes or bool(configuration.require_stated_hashes),
            require_sandbox=options.require_sandbox or configuration.sandbox == "require",
            build_root=build_root,
            build_jobs=options.build_jobs or configuration.build_jobs,
            build_twice=options.build_twice or bool(configuration.build_twice),
            with_sdists=options.with_sdists or bool(configuration.with_sdists),
            keep_foreign=options.keep_foreign or bool(configuration.keep_foreign),
        ),
        lock_file=lock_file,
        inputs=inputs,
        configuration=configuration,
        exclude_newer=_moment(request.exclude_newer) or configuration.exclude_newer or requirements.exclude_newer,
        build_system=_build_system(build_root, "--build-root" if options.build_root else str(configuration.origins.get("build_root"))),
    )


def _check_locked(options: BuildOptions, lock_file: FoundInput | None, inputs: InputRequest, project_dir: Path, output: Path) -> None:
    """Raise UsageError where --locked has no lock, or something beside it that would not obey one."""
    if not options.locked:
        return
    against = [
        flag
        for flag, given in (
            ("--no-lock", not inputs.use_lock and inputs.lock_file is None),
            ("--upgrade", bool(options.upgrade)),
            ("--no-build-lock", not options.build_lock),
        )
        if given
    ]
    if against:
        raise UsageError(f"--locked obeys the lock, and {' and '.join(against)} would not", hint="leave one of them out")
    # The lock that an earlier run left in the wheelhouse is one too.
    if lock_file is not None or (output / "pylock.toml").is_file():
        return
    beside = project_dir / "pylock.toml"
    if beside.is_file():
        # Requirements and files that are named are what is asked for: a lock of the project has nothing to say of them.
        raise UsageError("--locked has no lock for what is named here", hint=f"obey one with --lock-file {beside.name}")
    raise UsageError(
        "--locked has no lock to obey", where=str(project_dir), hint="make one with `hardtack lock`, or name one with --lock-file FILE"
    )


def _build_system(root: Path | None, said: str) -> SystemRoot | None:
    if root is None:
        return None
    # Imported where it is needed: most builds are made in this machine's own system.
    from hardtack.building.sandbox_root import BadRoot, read_root

    try:
        return read_root(root)
    except BadRoot as error:
        raise UsageError(error.reason, where=f"{said}: {error.where}", hint=error.hint) from None


def warn_of_strangers(job: Job, lock: Lock, reporter: Reporter) -> None:
    """Say which packages -C names that the lock does not have: a mistake in a name would leave a build as it is without a word."""
    known = {package.name for build in lock.builds for package in build.packages} | {package.name for package in lock.packages}
    named = {read_named_setting(text)[0] for text in job.inputs.config_settings}
    for name in sorted(name for name in named if name is not None and name not in known):
        reporter.warning(
            f"-C {name}:... is for a package that is not locked here; it counts only if a build asks for {name}",
            hint="a key that has a colon of its own is written -C :KEY=VALUE",
        )


def _formats(request: Request, requirements: Requirements) -> FormatControl:
    """What the request says of wheels and builds, over what files say. Raises UsageError where one of the two contradicts itself."""
    asked = FormatControl(no_binary=request.no_binary, only_binary=request.only_binary)
    for said, where in ((asked, "--no-binary and --only-binary"), (requirements.formats, "no-binary and only-binary in files")):
        if both := sorted(said.no_binary & said.only_binary):
            everything = "; --build-from-source is --no-binary :all:" if ":all:" in both else ""
            raise UsageError(
                f"{', '.join(both)} must be built and must not be built",
                where=where,
                hint=f"leave one of the two out; what is said of a name beats what is said of :all:{everything}",
            )
    return asked.over(requirements.formats)


def with_stated_pins(requirements: Requirements, settings: IndexSettings) -> tuple[IndexPin, ...]:
    """The requirements' own pins, with their conditions, and those of ``[[tool.hardtack.index]]``."""
    known = {pin.name for pin in requirements.index_pins}
    stated = (IndexPin(name=package, index=index) for package, index in settings.pins if index and package not in known)
    return (*requirements.index_pins, *stated)


def _moment(text: str | None) -> str | None:
    if text is not None:
        try:
            datetime.datetime.fromisoformat(text)
        except ValueError:
            hint = "write a date (2026-01-31) or a time (2026-01-31T00:00:00Z)"
            raise UsageError(f"not a date or time: {text!r}", where="--exclude-newer", hint=hint) from None
    return text


def _fetch_text(url: str, settings: IndexSettings, credentials: Credentials, stop: Cancellation) -> str:
    # Imported where it is needed: few inputs lie behind URLs, and ssl and http.client cost an unchanged run more than all its work.
    from hardtack.indexing.http import HttpTransport

    transport = HttpTransport(settings, credentials, stop)
    try:
        with transport.open(url) as response:
            if response.status != 200:
                raise HardtackError(f"the server answered {response.status}", where=settings.place(url))
            return response.read(_INPUT_LIMIT).decode("utf-8")
    finally:
        transport.close()


def targets_of(asked: Sequence[str | Target], configuration: Configuration, lock_file: FoundInput | None) -> tuple[Target, ...]:
    """The targets: those asked for, else the configuration's, else those that the lock was made for, else this host."""
    tables = configuration.targets if isinstance(configuration.targets, Mapping) else {}
    place = str(configuration.origins.get("targets", "the configuration"))

    def one(name: str) -> Target:
        if name in tables:
            return from_table(name, tables[name], where=f"{place}: {name}")
        return parse_target(name)

    if asked:
        found = [item if isinstance(item, Target) else one(item) for item in asked]
    elif tables:
        found = [one(name) for name in tables]
    elif configuration.targets:
        found = [parse_target(name) for name in configuration.targets]
    elif lock_file is not None and lock_file.kind == "pylock":
        text = lock_file.path.read_text(encoding="utf-8")
        descriptions = read_target_descriptions(text)
        found = [from_description(data, where=f"{lock_file.path}: {name}") for name, data in descriptions.items()]
        found = found or [parse_target("host")]
    else:
        found = [parse_target("host")]
    unique: dict[str, Target] = {}
    for target in found:
        if unique.setdefault(target.name, target) != target:
            raise UsageError(f"two targets are called {target.name}", hint="give one of them a name of its own in [tool.hardtack.targets]")
    return tuple(unique.values())


def _groups(requirements: Requirements, lock_file: FoundInput | None, inputs: InputRequest) -> frozenset[str]:
    """The groups that the run takes: of a pylock.toml that comes without a project, its own default ones (PEP 751)."""
    if requirements.groups or lock_file is None or lock_file.kind != "pylock" or "development" not in inputs.sets:
        return requirements.selected_groups
    named = _of_lock(lock_file, "default-groups")
    return requirements.selected_groups if named is None else named


def _of_lock(lock_file: FoundInput, key: str) -> frozenset[str] | None:
    """The names that a pylock.toml states under a key; None where it cannot be read: whoever reads the lock says what is wrong with it."""
    try:
        named = toml_of(lock_file.path.read_text(encoding="utf-8")).get(key, [])
    except (OSError, ValueError):
        return None
    return frozenset(canonicalize_name(name) for name in named if isinstance(name, str))


def _selected(target: Target, requirements: Requirements, lock_file: FoundInput | None, groups: frozenset[str]) -> Target:
    """The target with what it takes of the project spelt out; a lock that comes without the project knows what that has."""

    selection = target.selection
    for kind, asked, known in (("extra", selection.extras, requirements.extras), ("group", selection.groups, requirements.groups)):
        unknown = sorted((asked or frozenset()) - known)
        if unknown and lock_file is not None and lock_file.kind == "pylock":
            known |= _of_lock(lock_file, "extras" if kind == "extra" else "dependency-groups") or frozenset()
            unknown = sorted((asked or frozenset()) - known)
        if unknown:
            raise UsageError(
                f"there is no {kind} {', '.join(unknown)}",
                where=f"target {target.name}",
                hint=f"{kind}s here: {', '.join(sorted(known)) or 'none'}",
            )
    return replace(
        target,
        selection=Selection(
            extras=requirements.selected_extras if selection.extras is None else selection.extras,
            groups=groups if selection.groups is None else selection.groups,
            index_pins=selection.index_pins,
        ),
    )

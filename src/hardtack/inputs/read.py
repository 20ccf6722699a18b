"""Everything that the user gave, or that lies in the project, as one value."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from hardtack.errors import InputError
from hardtack.inputs.building import narrowed, read_beside_lock, read_build_constraints, read_settings
from hardtack.inputs.configuration import Configuration
from hardtack.inputs.detect import Detected, compiled_from, counterpart, detect, is_pylock, scope_of
from hardtack.inputs.pyproject import Project, read_pyproject
from hardtack.inputs.recipes import as_config, layered, of_lines, stated_settings
from hardtack.inputs.requirement_line import name_of_wheel, read_line
from hardtack.inputs.requirements_file import RequirementsFiles, read_requirements_files
from hardtack.inputs.script import read_script
from hardtack.inputs.text import raise_together, shown
from hardtack.inputs.workspace import workspace_root
from hardtack.model.recipe import Recipe, Recipes
from hardtack.model.requirements import FormatControl, FoundInput, Origin, Requirements, RootRequirement, Scope

_BOTH: frozenset[Scope] = frozenset({"runtime", "development"})


@dataclass(frozen=True, slots=True, kw_only=True)
class InputRequest:
    """What the user gave. Nothing but ``project_dir`` (None: the working folder): what lies there is detected.

    ``extras`` and ``groups``: None takes the configuration's, else no extra and the default groups; given groups replace the default ones;
    "all" is every one, unless one is named so. ``use_lock`` False leaves lock files aside. ``project``: the project's own wheel is wanted
    too (``project_wheel``, or built from its folder), and with ``build_requirements`` what its build-system.requires.
    ``build_constraint_files`` hold for what builds require. ``config_settings`` are "[NAME:]KEY=VALUE" for build backends.
    """

    requirement_files: tuple[Path | str, ...] = ()
    constraint_files: tuple[Path | str, ...] = ()
    build_constraint_files: tuple[Path | str, ...] = ()
    config_settings: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()
    scripts: tuple[Path, ...] = ()
    project_dir: Path | None = None
    lock_file: Path | None = None
    extras: frozenset[str] | None = None
    groups: frozenset[str] | None = None
    all_extras: bool = False
    all_groups: bool = False
    sets: frozenset[str] = _BOTH
    use_lock: bool = True
    project: bool = True
    project_wheel: Path | None = None
    build_requirements: bool = True


def read_inputs(
    request: InputRequest, configuration: Configuration, *, environment: Mapping[str, str], fetch_text: Callable[[str], str]
) -> Requirements:
    """Read what was given, or what lies in the project; everything found is in ``found`` with what became of it.

    A lock that is to be obeyed is the one entry of ``found`` of kind "uv.lock" or "pylock" that is used. ``environment`` fills
    ``${NAME}`` in requirements files; ``fetch_text`` gets those that are URLs. Raises InputError with every problem.
    """
    base = (request.project_dir or Path.cwd()).absolute()
    inputs = _Inputs(base=base)
    if request.requirement_files or request.requirements or request.scripts:
        _given(inputs, request)
    elif request.lock_file is None:
        _detected(inputs, detect(base), use_lock=request.use_lock)
    if request.lock_file is not None:
        _explicit_lock(inputs, request.lock_file)
    inputs.files += [(location, True, None) for location in request.constraint_files]
    read = _read_files(inputs, environment, fetch_text)
    constraints_of_builds = RequirementsFiles()
    try:
        constraints_of_builds = read_build_constraints(
            request.build_constraint_files, environment=environment, fetch_text=fetch_text, base=base
        )
        if not any(project.folder == base for project in [*inputs.projects, *inputs.settings]):
            inputs.settings.append(read_settings(base))
    except InputError as error:
        inputs.errors.append(error)
    for number, text in enumerate(request.requirements, start=1):
        origin = Origin(place="the command line", key=f"requirement {number}" if len(request.requirements) > 1 else None)
        try:
            line = read_line(text, folders=(base,))
        except InputError as error:
            inputs.errors.append(error.at(str(origin)))  # type: ignore[arg-type]
            continue
        inputs.roots.append(
            RootRequirement(requirement=line.requirement, origin=origin, hashes=line.hashes, path=line.path, editable=line.editable)
        )
    if read.require_hashes:
        inputs.errors += [
            InputError(
                "has no hash, but a requirements file makes hashes mandatory for all", where=f"{root.origin}: {root.requirement.name}"
            )
            for root in inputs.roots
            if not root.hashes
        ]
    recipes = _recipes(inputs, read, request, configuration, environment)
    raise_together(inputs.errors)
    _check_something(inputs, read, request)
    return replace(_joined(inputs, read, request, configuration, constraints_of_builds), recipes=recipes)


@dataclass(slots=True)
class _Inputs:
    """What is to be read, gathered. ``files``: location, whether it constrains, and the extra that it belongs to.

    ``settings`` are the files that ask for nothing, and say how to build; ``locked_files`` those that a lock was made from.
    """

    base: Path
    files: list[tuple[Path | str, bool, str | None]] = field(default_factory=list)
    projects: list[Project] = field(default_factory=list)
    roots: list[RootRequirement] = field(default_factory=list)
    found: list[FoundInput] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    errors: list[InputError] = field(default_factory=list)
    setup: tuple[Path, ...] = ()
    foreign: tuple[Path, ...] = ()
    locked: bool = False
    whole: Project | None = None
    settings: list[Project] = field(default_factory=list)
    locked_files: list[tuple[Path | str, bool]] = field(default_factory=list)

    def project(self, path: Path, *, plain: bool = True) -> Project | None:
        """Read a pyproject.toml; without ``plain``, only its extras and groups count."""
        try:
            project = read_pyproject(path, base=self.base)
        except InputError as error:
            self.errors.append(error)
            return None
        if not plain:
            chosen = tuple(root for root in project.roots if root.extra is not None or root.group is not None)
            project = replace(project, roots=chosen, dependency_files=tuple(item for item in project.dependency_files if item[1]))
        self.projects.append(project)
        if not self.locked:
            self.files += [(file, False, extra) for file, extra in project.dependency_files]
        else:
            self.locked_files += [(file, False) for file, _extra in project.dependency_files]
        return project


def _given(inputs: _Inputs, request: InputRequest) -> None:
    whole_project = False
    for location in request.requirement_files:
        name = str(location).replace("\\", "/").rsplit("/", 1)[-1]
        path = inputs.base / location
        if name == "pyproject.toml":
            whole_project = True
            if (project := inputs.project(path)) is not None:
                inputs.whole = inputs.whole or project
                inputs.found.append(FoundInput(path=path, kind="pyproject"))
        elif is_pylock(name) or name == "uv.lock":
            _explicit_lock(inputs, path)
        elif name.endswith(".py") and name != "setup.py":
            _script(inputs, path)
        elif name in ("setup.py", "setup.cfg"):
            inputs.errors.append(_setup_error(shown(path, inputs.base)))
        else:
            inputs.files.append((location, False, None))
    for script in request.scripts:
        _script(inputs, inputs.base / script)
    pyproject = inputs.base / "pyproject.toml"
    asks = request.extras or request.groups or request.all_extras or request.all_groups
    if asks and not whole_project and pyproject.is_file() and inputs.project(pyproject, plain=False) is not None:
        inputs.found.append(FoundInput(path=pyproject, kind="pyproject", why="for the extras and groups that were asked for"))


def _script(inputs: _Inputs, path: Path) -> None:
    try:
        inputs.projects.append(read_script(path, base=inputs.base))
        inputs.found.append(FoundInput(path=path, kind="script"))
    except InputError as error:
        inputs.errors.append(error)


def _explicit_lock(inputs: _Inputs, location: Path) -> None:
    path = inputs.base / location
    place = shown(path, inputs.base)
    if not path.is_file():
        inputs.errors.append(InputError("there is no such lock file", where=place))
        return
    if inputs.locked:
        inputs.errors.append(InputError("a second lock file; one is obeyed", where=place))
        return
    if path.name == "uv.lock":
        pyproject = path.parent / "pyproject.toml"
        if not pyproject.is_file():
            inputs.errors.append(InputError("has no pyproject.toml beside it, without which uv cannot read it", where=place))
            return
        inputs.locked = True
        inputs.found.append(FoundInput(path=path, kind="uv.lock", why="obeyed"))
        if (project := inputs.project(pyproject)) is not None:
            inputs.whole = inputs.whole or project
            inputs.found.append(FoundInput(path=pyproject, kind="pyproject", why="for what it selects; uv.lock has the versions"))
    elif is_pylock(path.name):
        inputs.locked = True
        inputs.found.append(FoundInput(path=path, kind="pylock", why="obeyed"))
    else:
        hint = "uv.lock, pylock.toml and pylock.NAME.toml (PEP 751) are read"
        inputs.errors.append(InputError("is no lock file that is known by its name", where=place, hint=hint))


def _detected(inputs: _Inputs, detected: Detected, *, use_lock: bool) -> None:
    inputs.setup = detected.setup
    lock = _lock_of(inputs, detected, use_lock=use_lock)
    project: Project | None = None
    if detected.pyproject is not None:
        project = inputs.project(detected.pyproject)
        if project is not None:
            project = inputs.whole = _note_project(inputs, detected.pyproject, project, lock)
    for path, kind in [(path, "requirements") for path in detected.requirements] + [(path, "constraints") for path in detected.constraints]:
        why = _why_not(inputs, path, project, lock)
        if why:
            inputs.found.append(FoundInput(path=path, kind=kind, used=False, why=why))
            if lock is not None and is_pylock(lock.name):
                inputs.locked_files.append((path, kind == "constraints"))
        else:
            inputs.files.append((path, kind == "constraints", None))
    for path in detected.sources:
        compiled = counterpart(path, detected.requirements)
        if lock is not None:
            why = f"{lock.name} is obeyed"
            if compiled is None and is_pylock(lock.name):
                inputs.locked_files.append((path, False))
        else:
            why = f"{shown(compiled, inputs.base)} is compiled from it" if compiled is not None else ""
        if why:
            inputs.found.append(FoundInput(path=path, kind="requirements", used=False, why=why))
        else:
            inputs.files.append((path, False, None))
    inputs.foreign = tuple(path for path, _why in detected.foreign)
    inputs.found += [FoundInput(path=path, kind=path.name, used=False, why=why) for path, why in detected.foreign]
    for path in detected.setup:
        why = "what it requires is only told by running it" if path.suffix == ".py" else "requirements in setup.cfg are not read"
        inputs.found.append(FoundInput(path=path, kind=path.name, used=False, why=why))


def _lock_of(inputs: _Inputs, detected: Detected, *, use_lock: bool) -> Path | None:
    """The lock that is obeyed: uv.lock before pylock.toml. The others are listed."""
    uv_lock = detected.uv_lock
    if uv_lock is None and detected.pyproject is not None:
        root = workspace_root(detected.folder)
        if root is not None and (root / "uv.lock").is_file():
            uv_lock = root / "uv.lock"
    candidates: list[tuple[Path, str]] = []
    if uv_lock is not None:
        if detected.pyproject is None:
            inputs.found.append(FoundInput(path=uv_lock, kind="uv.lock", used=False, why="no pyproject.toml lies beside it"))
        else:
            candidates.append((uv_lock, "uv.lock"))
    candidates += [(path, "pylock") for path in detected.pylocks]
    chosen: Path | None = None
    for path, kind in candidates:
        if not use_lock:
            why = "locks were to be left aside"
        elif kind == "pylock" and path.name != "pylock.toml":
            why = "it is for one case by name; --lock-file takes it"
        elif chosen is not None:
            why = f"{chosen.name} is obeyed"
        else:
            chosen, why = path, ""
        inputs.found.append(FoundInput(path=path, kind=kind, used=not why, why=why or "obeyed: its versions, no others"))
    inputs.locked = chosen is not None
    return chosen


def _note_project(inputs: _Inputs, path: Path, project: Project, lock: Path | None) -> Project | None:
    if not project.is_project:
        inputs.projects.remove(project)
        inputs.settings.append(project)
        obeyed = project.recipes != Recipes() or project.formats != FormatControl() or project.build_constraints
        why = "it states no dependencies, only settings of tools" + ("; those of building are obeyed" if obeyed else "")
        inputs.found.append(FoundInput(path=path, kind="pyproject", used=False, why=why))
        return None
    why = f"for what it selects; {lock.name} has the versions" if lock is not None else ""
    left = sorted(project.groups - project.default_groups)
    if left and lock is None:
        why = f"groups that are not taken by default: {', '.join(left)}"
    inputs.found.append(FoundInput(path=path, kind="pyproject", why=why))
    return project


def _why_not(inputs: _Inputs, path: Path, project: Project | None, lock: Path | None) -> str:
    """Why a requirements file that was found is not read; "" if it is."""
    if lock is not None:
        return f"{lock.name} is obeyed; name the file with -r to take it instead"
    if any(path == file for known in inputs.projects for file, _extra in known.dependency_files):
        return "already read as the project's dynamic dependencies"
    try:
        head = compiled_from(path)
    except InputError as error:
        inputs.errors.append(error)
        return ""
    if head is None or project is None:
        return ""
    # pip-compile and uv write their command into the head: an input file in it is what the file was compiled from.
    sources = [word for word in head.replace("=", " ").split() if word.endswith((".in", ".toml", ".cfg", ".py"))]
    if any(word.endswith(".in") for word in sources):
        return ""
    return "it was made from pyproject.toml, which is read itself; name it with -r to take its versions"


def _read_files(inputs: _Inputs, environment: Mapping[str, str], fetch_text: Callable[[str], str]) -> RequirementsFiles:
    try:
        read = read_requirements_files(
            [(location, constraint) for location, constraint, _extra in inputs.files],
            environment=environment,
            fetch_text=fetch_text,
            base=inputs.base,
            scope_of=scope_of,
        )
    except InputError as error:
        inputs.errors.append(error)
        return RequirementsFiles()
    extra_of = {shown(Path(location).absolute(), inputs.base): extra for location, _constraint, extra in inputs.files if extra is not None}
    if extra_of:
        roots = tuple(replace(root, extra=extra_of.get(root.origin.place), scope="runtime") for root in read.roots)
        read = replace(read, roots=roots)
    return read


def _recipes(
    inputs: _Inputs, read: RequirementsFiles, request: InputRequest, configuration: Configuration, environment: Mapping[str, str]
) -> Recipes:
    """How packages are built: uv's settings, then hardtack's, then what stands in requirements files, then on the command line."""
    locked = read_beside_lock(inputs.locked_files, environment=environment, base=inputs.base)
    lines, wrong = of_lines([*read.roots, *locked.roots])
    stated, unread = stated_settings(request.config_settings, where="-C on the command line")
    inputs.errors += [*wrong, *unread]
    return layered(
        [
            *(project.recipes for project in [*inputs.settings, *inputs.projects]),
            configuration.recipes,
            Recipes(everywhere=Recipe(config=as_config([*read.config_settings, *locked.config_settings]))),
            lines,
            stated,
        ]
    )


def _project_roots(inputs: _Inputs, request: InputRequest) -> tuple[RootRequirement, ...]:
    """The project itself, and with each of its extras, as what is asked for; nothing where it is no package or not wanted."""
    project = inputs.whole
    if project is None or project.name is None or not request.project or "runtime" not in request.sets:
        return ()
    place = project.folder
    if request.project_wheel is not None:
        place = (inputs.base / request.project_wheel).absolute()
        if not place.is_file() or name_of_wheel(place) != project.name:
            raise InputError(
                f"it is no wheel of {project.name}" if place.is_file() else "there is no such file",
                where=f"--project-wheel {request.project_wheel}",
            )
    elif not project.is_package:
        return ()
    origin = Origin(place=shown(project.folder / "pyproject.toml", inputs.base), key="project")
    texts: list[tuple[str, str | None]] = [(project.name, None), *((f"{project.name}[{extra}]", extra) for extra in sorted(project.extras))]
    return tuple(RootRequirement(requirement=Requirement(text), origin=origin, path=place, extra=extra) for text, extra in texts)


def _build_roots(inputs: _Inputs, request: InputRequest, constraints: Sequence[RootRequirement]) -> tuple[RootRequirement, ...]:
    project = inputs.whole
    if project is None or not project.is_package or not request.build_requirements or "development" not in request.sets:
        return ()
    return narrowed(project.build_requires, constraints)


def _check_something(inputs: _Inputs, read: RequirementsFiles, request: InputRequest) -> None:
    built = inputs.whole if _project_roots(inputs, request) else None
    dynamic = [project for project in inputs.projects if "dependencies" in project.dynamic and project is not built]
    if dynamic and not inputs.locked and not read.roots:
        raise InputError(
            "its dependencies are dynamic: only running its build backend tells them",
            where=shown(dynamic[0].folder / "pyproject.toml", inputs.base),
            hint="state them under [project] dependencies, name a requirements file with -r, or lock the project with uv",
        )
    inputs.notes += [
        f"{shown(project.folder / 'pyproject.toml', inputs.base)}: its dependencies are dynamic and not read; the requirements files are"
        for project in dynamic
        if not inputs.locked
    ]
    if inputs.locked or inputs.projects or inputs.roots or read.files:
        return
    if inputs.setup:
        raise _setup_error(shown(inputs.setup[0], inputs.base))
    names = ", ".join(path.name for path in inputs.foreign)
    raise InputError(
        f"found {names}, which cannot be read yet" if names else "nothing here says what to provision",
        where=str(inputs.base),
        hint="name requirements (hardtack build flask), a file (-r requirements.txt), or a folder (--project DIR);"
        " looked for pyproject.toml, uv.lock, pylock.toml, requirements*.txt, requirements/*.txt",
    )


def _setup_error(place: str) -> InputError:
    return InputError(
        "what this project requires is only told by running its code",
        where=place,
        hint="write its requirements into a requirements file and name that with -r, or move them to [project] in a pyproject.toml",
    )


def _joined(
    inputs: _Inputs,
    read: RequirementsFiles,
    request: InputRequest,
    configuration: Configuration,
    constraints_of_builds: RequirementsFiles,
) -> Requirements:
    projects = inputs.projects
    building = [*inputs.settings, *projects]
    extras = _union(project.extras for project in projects)
    groups = _union(project.groups for project in projects)
    defaults = _union(project.default_groups for project in projects)
    errors: list[InputError] = []
    selected_extras = _select("extra", request.extras, configuration.extras, request.all_extras, extras, frozenset(), errors)
    selected_groups = _select("group", request.groups, configuration.groups, request.all_groups, groups, defaults, errors)
    raise_together(errors)
    build_constraints = (
        *(root for project in building for root in project.build_constraints),
        *_stated(configuration, "build_constraints", configuration.build_constraints),
        *constraints_of_builds.constraints,
    )
    own, tools = _project_roots(inputs, request), _build_roots(inputs, request, build_constraints)
    roots = [*(root for project in projects for root in project.roots), *read.roots, *inputs.roots, *own, *tools]
    if "runtime" not in request.sets:
        selected_extras = frozenset()
    if "development" not in request.sets:
        selected_groups = frozenset()
    main = next((project for project in projects if project.is_project), None)
    locked = any(found.used and found.kind in ("uv.lock", "pylock") for found in inputs.found)
    return Requirements(
        roots=tuple(root for root in roots if root.scope in request.sets),
        constraints=(
            *(root for project in projects for root in project.constraints),
            *read.constraints,
            *_stated(configuration, "constraints", configuration.constraints),
        ),
        overrides=(
            *(root for project in projects for root in project.overrides),
            *_stated(configuration, "overrides", configuration.overrides),
        ),
        excludes=tuple(dict.fromkeys([*(name for project in projects for name in project.excludes), *configuration.excludes])),
        build_constraints=build_constraints,
        formats=FormatControl(
            no_binary=_union([read.formats.no_binary, configuration.no_binary, *(project.formats.no_binary for project in building)]),
            only_binary=_union(
                [read.formats.only_binary, configuration.only_binary, *(project.formats.only_binary for project in building)]
            ),
        ),
        exclude_newer=min((project.exclude_newer for project in projects if project.exclude_newer), default=None),
        prereleases=read.prereleases or any(project.prereleases for project in projects),
        prerelease_packages=read.prerelease_packages.union(*(project.prerelease_packages for project in projects)),
        prefer_binary=read.prefer_binary,
        requires_python=_requires_python(projects),
        index_options=read.index_options,
        require_hashes=read.require_hashes,
        found=(*inputs.found, *_not_listed(read.files, inputs.found), *constraints_of_builds.files),
        project_dir=main.folder if main is not None else None,
        project_name=main.name if main is not None else None,
        index_pins=tuple(pin for project in projects for pin in project.index_pins),
        extras=extras,
        groups=groups,
        default_groups=defaults,
        selected_extras=selected_extras,
        selected_groups=selected_groups,
        dynamic=tuple(dict.fromkeys(item for project in projects for item in project.dynamic)),
        project_roots=own,
        build_roots=tools,
        notes=(
            *inputs.notes,
            *read.notes,
            *constraints_of_builds.notes,
            *(note for project in building for note in project.build_notes),
            *(() if locked else (note for project in projects for note in project.not_obeyed)),
        ),
    )


def _union(sets: Iterable[frozenset[str]]) -> frozenset[str]:
    return frozenset().union(*sets)


def _not_listed(files: Iterable[FoundInput], listed: Iterable[FoundInput]) -> list[FoundInput]:
    # A file that another one includes is read, whatever was said of it alone.
    unused = {found.path for found in listed if found.used}
    return [file for file in files if file.path not in unused]


def _select(
    kind: str,
    asked: frozenset[str] | None,
    configured: frozenset[str] | None,
    everything: bool,
    known: frozenset[str],
    default: frozenset[str],
    errors: list[InputError],
) -> frozenset[str]:
    """The extras or groups that the run takes; an unknown one is an error that lists those there are."""
    if everything:
        return known
    names = asked if asked is not None else configured
    if names is None:
        return default
    wanted = frozenset(str(canonicalize_name(name)) for name in names)
    if "all" in wanted and "all" not in known:
        return known
    unknown = sorted(wanted - known)
    if unknown:
        there = ", ".join(sorted(known)) or "none"
        what = ", ".join(repr(name) for name in unknown)
        errors.append(InputError(f"there is no {kind} {what}", hint=f"{kind}s here: {there}"))
    return wanted & known


def _requires_python(projects: Iterable[Project]) -> SpecifierSet | None:
    joined: SpecifierSet | None = None
    for project in projects:
        if project.requires_python is not None:
            joined = project.requires_python if joined is None else joined & project.requires_python
    return joined


def _stated(configuration: Configuration, name: str, texts: Iterable[str]) -> list[RootRequirement]:
    origin = configuration.origins.get(name, Origin(place="the configuration", key=name))
    return [RootRequirement(requirement=Requirement(text), origin=origin) for text in texts]

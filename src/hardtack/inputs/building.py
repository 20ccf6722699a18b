"""What inputs say of building beyond what they ask for: constraints on builds, a folder's settings, what a lock was made from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from packaging.utils import canonicalize_name

from hardtack.errors import InputError
from hardtack.inputs.pyproject import Project, read_tables
from hardtack.inputs.requirements_file import RequirementsFiles, read_requirements_files
from hardtack.inputs.text import raise_together, read_toml
from hardtack.model.requirements import RootRequirement

# What of [tool.uv] holds for every build, and what is needed to understand it.
_OF_BUILDING = (
    "workspace",
    "sources",
    "config-settings",
    "config-settings-package",
    "extra-build-dependencies",
    "extra-build-variables",
    "build-constraint-dependencies",
    "no-binary",
    "no-binary-package",
    "no-build",
    "no-build-package",
    "no-build-isolation",
    "no-build-isolation-package",
)


def read_build_constraints(
    files: Sequence[Path | str], *, environment: Mapping[str, str], fetch_text: Callable[[str], str], base: Path
) -> RequirementsFiles:
    """Constraints on what builds require; of their files nothing else counts, which is said. Raises InputError with every problem."""
    if not files:
        return RequirementsFiles()
    read = read_requirements_files([(location, True) for location in files], environment=environment, fetch_text=fetch_text, base=base)
    raise_together(
        InputError("a file of build constraints asks for nothing", where=str(root.origin), hint="include other constraints with -c")
        for root in read.roots
    )
    found = tuple(replace(file, why=f"build constraints; {file.why}" if file.why else "build constraints") for file in read.files)
    kept = RequirementsFiles(constraints=read.constraints, files=found, notes=read.notes)
    if replace(read, files=found, require_hashes=False) != kept:
        names = ", ".join(dict.fromkeys(file.path.name for file in found))
        kept = replace(kept, notes=(*kept.notes, f"{names}: options in a file of build constraints do nothing"))
    return kept


def narrowed(roots: Sequence[RootRequirement], constraints: Sequence[RootRequirement]) -> tuple[RootRequirement, ...]:
    """What a build requires, and each constraint on it as one more requirement: installed beside the project, it is what the build had."""
    names = {canonicalize_name(root.requirement.name) for root in roots}
    more = [
        replace(one, scope="development")
        for one in constraints
        if canonicalize_name(one.requirement.name) in names and one.requirement.url is None
    ]
    return (*roots, *more)


def read_settings(folder: Path) -> Project:
    """What the project in a folder says of building, in uv's words: it holds for whatever is asked for there, as what it says of indexes.

    Raises InputError with every problem in that, and in nothing else.
    """
    path = folder / "pyproject.toml"
    tool = read_toml(path, where=path.name).get("tool") if path.is_file() else None
    uv = tool.get("uv") if isinstance(tool, dict) else None
    stated = {key: value for key, value in uv.items() if key in _OF_BUILDING} if isinstance(uv, dict) else {}
    return read_tables({"tool": {"uv": stated}}, folder=folder, place=path.name, base=folder, beside=True)


def read_beside_lock(files: Sequence[tuple[Path | str, bool]], *, environment: Mapping[str, str], base: Path) -> RequirementsFiles:
    """The files that a lock was made from: it has their versions, and not how to build them. Nothing where they cannot be read."""

    def fetch_nothing(url: str) -> str:
        raise InputError("is not read again beside a lock", where=url)

    try:
        return read_requirements_files(files, environment=environment, fetch_text=fetch_nothing, base=base)
    except InputError:
        return RequirementsFiles()  # whoever compares the lock with them says what is wrong

"""What the user asked for, each line with the place where it was asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from hardtack.model.recipe import Recipes

Scope = Literal["runtime", "development"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where something was said: a file and a line (from 1) or a key, or "the command line"."""

    place: str
    line: int | None = None
    key: str | None = None

    def __str__(self) -> str:
        if self.line is not None:
            return f"{self.place}:{self.line}"
        return f"{self.place}: {self.key}" if self.key else self.place


@dataclass(frozen=True, slots=True, kw_only=True)
class RootRequirement:
    """One requirement that the user stated.

    ``requirement`` has a name always, found in the archive's or project's own metadata where the line gave only a URL or path.
    ``path`` is the absolute local path of a path or editable line. ``hashes`` are "algorithm:digest". ``extra`` and ``group`` (both
    normalised) name the set that brought it, None for the plain dependencies. ``config_settings`` are for its own build only.
    """

    requirement: Requirement
    origin: Origin
    scope: Scope = "runtime"
    hashes: frozenset[str] = frozenset()
    path: Path | None = None
    editable: bool = False
    extra: str | None = None
    group: str | None = None
    config_settings: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexPin:
    """A package that comes from one index only, by that index's name, where ``marker`` holds and ``extra`` or ``group`` is taken."""

    name: str
    index: str
    marker: Marker | None = None
    extra: str | None = None
    group: str | None = None
    origin: Origin | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexOptions:
    """Index options that stand in input files, in order. URLs may hold credentials: never log one of these."""

    index_url: str | None = None
    extra_index_urls: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    no_index: bool = False
    trusted_hosts: tuple[str, ...] = ()
    origin: Origin | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FormatControl:
    """Which packages may, must or must not come as wheels. Names are normalised; ``:all:`` stands for every package.

    pip's rule: what is said of a name beats what is said of all.
    """

    no_binary: frozenset[str] = frozenset()
    only_binary: frozenset[str] = frozenset()

    def builds(self, name: str) -> bool:
        """True if the package must be built: no wheel of it may be taken."""
        return name in self.no_binary or (":all:" in self.no_binary and name not in self.only_binary)

    def forbids_building(self, name: str) -> bool:
        """True if the package must not be built."""
        return name in self.only_binary or (":all:" in self.only_binary and name not in self.no_binary)

    def over(self, other: FormatControl) -> FormatControl:
        """This and what ``other`` says besides; where the two contradict each other, this. ``:all:`` begins anew, as in pip."""
        return FormatControl(
            no_binary=self.no_binary | (frozenset() if ":all:" in self.only_binary else other.no_binary - self.only_binary),
            only_binary=self.only_binary | (frozenset() if ":all:" in self.no_binary else other.only_binary - self.no_binary),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundInput:
    """A file that was given or detected, and what became of it ("requirements", "pyproject", "uv.lock", "pylock", "script")."""

    path: Path
    kind: str
    used: bool = True
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirements:
    """Everything that the inputs ask for, before anything is resolved.

    ``roots`` holds every selected requirement, with the sets of extras and groups kept on each, so that a target's selection can choose
    among them. ``overrides`` replace what any package asks for that name; ``excludes`` drop a name wherever it is asked for (both
    are declared waivers of the proof). ``project_dir`` is the folder of the pyproject.toml, where there is one; ``project_name`` its
    normalised name. ``extras`` and ``groups`` are all that the project has; the ``selected_`` ones are what the run takes of them, for
    the targets that state no selection of their own. ``dynamic`` names the project's metadata that only a build can tell.
    ``project_roots`` (the project itself, with each of its extras) and ``build_roots`` (its build-system.requires) are among ``roots``.
    ``recipes`` say how packages are built, ``build_constraints`` hold for what builds ask for.
    ``prerelease_packages`` may be pre-releases, on top of ``prereleases`` for all. ``exclude_newer`` is an RFC 3339 time or a date.
    ``notes`` are for the user's eyes.
    """

    roots: tuple[RootRequirement, ...]
    constraints: tuple[RootRequirement, ...] = ()
    overrides: tuple[RootRequirement, ...] = ()
    excludes: tuple[str, ...] = ()
    formats: FormatControl = FormatControl()
    prereleases: bool = False
    requires_python: SpecifierSet | None = None
    index_options: IndexOptions = IndexOptions()
    require_hashes: bool = False
    found: tuple[FoundInput, ...] = ()
    project_dir: Path | None = None
    project_name: str | None = None
    config_settings: tuple[tuple[str, str], ...] = ()
    index_pins: tuple[IndexPin, ...] = ()
    extras: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    default_groups: frozenset[str] = frozenset()
    selected_extras: frozenset[str] = frozenset()
    selected_groups: frozenset[str] = frozenset()
    dynamic: tuple[str, ...] = ()
    prerelease_packages: frozenset[str] = frozenset()
    prefer_binary: bool = False
    build_constraints: tuple[RootRequirement, ...] = ()
    recipes: Recipes = field(default_factory=Recipes)
    exclude_newer: str | None = None
    project_roots: tuple[RootRequirement, ...] = ()
    build_roots: tuple[RootRequirement, ...] = ()
    notes: tuple[str, ...] = ()

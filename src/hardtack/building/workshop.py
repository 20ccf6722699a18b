"""What every build is made with: one value, handed down whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from packaging.requirements import Requirement

from hardtack.building.compilers import compilers_here
from hardtack.building.interpreter import Interpreter
from hardtack.building.repair import Repairer
from hardtack.building.sandbox_launch import Limits, Sandbox
from hardtack.reporting import Reporter
from hardtack.system import capacity
from hardtack.system.cancellation import Cancellation
from hardtack.system.uv import Uv

EPOCH = 315_532_800  # 1980-01-01, the oldest time that a ZIP archive can hold
_SECONDS = 3600.0  # for each hook


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A wheel that goes into a build's environment. ``path`` holds its bytes, under any name."""

    name: str
    version: str
    filename: str
    sha256: str
    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """The source that asks for tools: its file name and sha256; of a folder or a repository its name and ""."""

    filename: str
    sha256: str = ""


# What a source asks for, as the wheels that satisfy it in an interpreter, each pinned by its hash. Raises BuildRequirementFault where they
# cannot be had. Building calls it, and neither locks nor fetches.
Supply = Callable[[Asker, Sequence[Requirement], Interpreter], Sequence[Tool]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """Where and with what builds are made. ``python`` is the preferred interpreter; ``work`` is for temporary folders and logs.

    ``cores`` is how many a build may use: how fast it goes, and never what comes out. ``compilers`` tells those that builds find, each
    by a line of its own. ``zone`` is the time zone, and ``backwards`` unpacks sources in the reverse order, where a file system shows
    that: both are other only where a build is tried for what it depends on.
    """

    python: Path
    uv: Uv
    sandbox: Sandbox
    work: Path
    cache_dir: Path
    supply: Supply
    reporter: Reporter
    stop: Cancellation
    source_date_epoch: int = EPOCH
    limits: Limits = field(default_factory=lambda: Limits(seconds=_SECONDS))
    repairer: Repairer | None = None
    cores: int = field(default_factory=capacity.cores)
    compilers: Callable[[], Mapping[str, str]] = compilers_here
    zone: str = "UTC"
    backwards: bool = False

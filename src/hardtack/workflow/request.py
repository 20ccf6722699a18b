"""What a verb is asked to do: the project, the targets, the indexes, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from hardtack.indexing.settings import IndexFlags
from hardtack.inputs.read import InputRequest
from hardtack.model.target import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Which inputs, for which targets, from which indexes.

    ``targets`` are names in any spelling of the catalog, or ``Target`` values; empty takes the project's configuration, else this host.
    ``no_binary`` and ``only_binary`` hold package names or ``:all:``. ``exclude_newer`` is an RFC 3339 time or date. ``environment``: the
    environment variables to read settings from, this process's by default.
    """

    inputs: InputRequest = field(default_factory=InputRequest)
    targets: tuple[str | Target, ...] = ()
    indexes: IndexFlags = field(default_factory=IndexFlags)
    no_binary: frozenset[str] = frozenset()
    only_binary: frozenset[str] = frozenset()
    prereleases: bool = False
    exclude_newer: str | None = None
    cache_dir: Path | None = None
    offline: bool = False
    environment: Mapping[str, str] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildOptions:
    """How the wheelhouse is made; None takes the project's configuration, else the usual (``wheelhouse``, flat, nothing pruned).

    ``prune`` removes wheels that are no longer needed. ``dry_run`` stops at the plan. ``trial``: prove the host's targets by a real
    installation too; ``opinion``: ask uv's resolver too. ``keep_incomplete`` stows what there is even when the proof fails (the exit code
    stays 1). ``jobs``: transfers at a time. ``upgrade`` names the packages to choose anew, ``:all:`` every one.

    ``locked``: obey the lock exactly and resolve nothing, builds' requirements included. ``build_lock`` False: builds' requirements are
    not locked. ``build_root``: an unpacked system to build in, instead of this one. ``build_jobs``: builds at a time, None by cores and
    memory. ``build_twice``: build every wheel twice, and compare. ``with_sdists`` keeps the sdists beside the wheels; ``keep_foreign``
    keeps wheels that lie in the wheelhouse and that nobody asked for.
    """

    output: Path | None = None
    layout: Literal["flat", "by-target"] | None = None
    prune: bool = False
    dry_run: bool = False
    trial: bool = True
    opinion: bool = True
    keep_incomplete: bool = False
    jobs: int = 16
    upgrade: frozenset[str] = frozenset()
    require_stated_hashes: bool = False
    require_sandbox: bool = False
    locked: bool = False
    build_lock: bool = True
    build_root: Path | None = None
    build_jobs: int | None = None
    build_twice: bool = False
    with_sdists: bool = False
    keep_foreign: bool = False

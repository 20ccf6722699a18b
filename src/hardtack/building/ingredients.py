"""What goes into a build besides its source and its tools: as its cache key and its record tell it."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hardtack.building.faults import RecipeFault
from hardtack.building.interpreter import Interpreter
from hardtack.building.sandbox_root import SystemRoot
from hardtack.building.sandbox_system import declare_tools
from hardtack.building.sandbox_within import within
from hardtack.building.workshop import Workshop
from hardtack.model.recipe import Recipe

# What hardtack sets itself: the same for every build, or it would not be contained or not be the same twice.
RESERVED = frozenset(
    {"PATH", "HOME", "USERPROFILE", "TMPDIR", "TEMP", "TMP", "LC_ALL", "TZ", "SOURCE_DATE_EPOCH", "PYTHONHASHSEED"}
    | {"PYTHONDONTWRITEBYTECODE", "PYTHONNOUSERSITE", "PIP_NO_INDEX", "UV_OFFLINE", "CARGO_NET_OFFLINE", "HARDTACK_BUILD"}
    | {"GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_COUNT", "GIT_CONFIG_KEY_0", "GIT_CONFIG_VALUE_0"}
    | {"GIT_CEILING_DIRECTORIES", "GIT_TERMINAL_PROMPT"}
)
_RESERVED_HEAD = "_PYPROJECT_HOOKS_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingredients:
    """A checked recipe, and what this machine brings. ``programs`` are the declared ones, each with the sha256 of its file."""

    recipe: Recipe
    programs: Mapping[str, str] = field(hash=False)
    compilers: Mapping[str, str] = field(hash=False)

    @property
    def config(self) -> dict[str, tuple[str, ...]]:
        """The config settings, sorted."""
        return dict(sorted(self.recipe.config))

    @property
    def variables(self) -> dict[str, str]:
        """The variables that were set, sorted."""
        return dict(sorted(self.recipe.variables))

    def parts(self, shop: Workshop, interpreter: Interpreter) -> dict[str, Any]:
        """For a key. A build made without a sandbox is not taken for one made in it, nor one interpreter's or compiler's for another's."""
        return {
            "python": [interpreter.label, interpreter.abi, interpreter.suffix],
            "sandbox": shop.sandbox.name,
            "root": shop.sandbox.root.digest if shop.sandbox.root is not None else None,
            "epoch": shop.source_date_epoch,
            # In the order of the names: that of a file of settings says nothing, and that of a key's values does.
            "config": {key: list(values) for key, values in self.config.items()},
            "variables": self.variables,
            "programs": dict(sorted(self.programs.items())),
            "compilers": dict(sorted(self.compilers.items())),
        }


def gathered(recipe: Recipe, shop: Workshop, *, where: str) -> Ingredients:
    """The recipe, if it can be followed here.

    Raises RecipeFault where it sets what is hardtack's to set, or names a program that is absent.
    """
    for name, value in recipe.variables:
        if not name or "=" in name or "\0" in name + value:
            raise RecipeFault(f"no environment variable can be {name!r} = {value!r}", where=where)
        if name.upper() in RESERVED or name.upper().startswith(_RESERVED_HEAD):
            raise RecipeFault(
                f"its build may not be given another {name}: hardtack sets it for every build",
                where=where,
                hint=f"leave {name} out of its build variables",
            )
    programs = _programs(recipe.tools, shop.sandbox.root)
    for name, digest in programs.items():
        if not digest:
            raise RecipeFault(
                f"its build is to find {name!r}, and this machine has no such program",
                where=where,
                hint="declared tools are programs in /usr/bin or /bin: install it there, or leave it out",
            )
    return Ingredients(recipe=recipe, programs=programs, compilers=shop.compilers())


def _programs(names: Sequence[str], root: SystemRoot | None) -> dict[str, str]:
    """The digest of each declared program as a build finds it, in ``root`` where there is one, "" of one that is absent."""
    if not names:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        tools = Path(folder, "tools")
        declare_tools(tools, names, root=root.folder if root is not None else None)
        there = {name: tools / name if root is None else within(root.folder, os.readlink(tools / name)) for name in os.listdir(tools)}
        return {name: _digest(path) if (path := there.get(name)) is not None else "" for name in sorted(set(names))}


def digest_of(parts: Mapping[str, Any]) -> str:
    """One digest for all that they say."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, ensure_ascii=False).encode("utf-8", "surrogateescape")).hexdigest()


def _digest(path: Path) -> str:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()

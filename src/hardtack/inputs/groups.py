"""Dependency groups (PEP 735)."""

from __future__ import annotations

from typing import Any

from packaging.dependency_groups import DependencyGroupResolver
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from hardtack.errors import InputError


def read_groups(table: Any, *, where: str) -> tuple[dict[str, tuple[Requirement, ...]], list[InputError]]:
    """Every group of ``[dependency-groups]`` by its normalised name, its includes followed; and what is wrong with the others."""
    if table is None:
        return {}, []
    if not isinstance(table, dict):
        return {}, [InputError("is not a table", where=f"{where}: dependency-groups")]
    try:
        resolver = DependencyGroupResolver(table)
    except Exception as error:  # packaging raises several kinds here, groups of exceptions among them
        return {}, [InputError(_reasons(error), where=f"{where}: dependency-groups")]
    groups: dict[str, tuple[Requirement, ...]] = {}
    errors: list[InputError] = []
    for name in table:
        try:
            groups[canonicalize_name(name)] = resolver.resolve(name)
        except RecursionError:
            errors.append(InputError("its includes nest too deeply", where=f"{where}: dependency-groups.{name}"))
        except Exception as error:  # packaging raises several kinds here, groups of exceptions among them
            hint = f"groups here: {', '.join(sorted(table))}" if isinstance(error, LookupError) or "not found" in str(error) else None
            errors.append(InputError(_reasons(error), where=f"{where}: dependency-groups.{name}", hint=hint))
    return groups, errors


def _reasons(error: Exception) -> str:
    inner = getattr(error, "exceptions", ())
    return "; ".join(str(one) for one in inner) or str(error)

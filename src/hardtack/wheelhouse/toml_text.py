"""TOML written for people and for diffs: long arrays have one item a line, tables inside them are inline."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

_BARE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")


def key(name: str) -> str:
    """A key, quoted only where TOML asks for it."""
    return name if name and set(name) <= _BARE else string(name)


def string(text: str) -> str:
    """A basic string. JSON's escapes are TOML's, but for DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def inline(value: Any) -> str:
    """A value on one line; keys keep the order they are given in, and None among a table's values is left out."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, datetime):
        return instant(value)
    if isinstance(value, str):
        return string(value)
    if isinstance(value, Mapping):
        items = ", ".join(f"{key(name)} = {inline(item)}" for name, item in value.items() if item is not None)
        return f"{{ {items} }}" if items else "{}"
    if isinstance(value, (Sequence, frozenset)):
        return f"[{', '.join(inline(item) for item in value if item is not None)}]"
    raise TypeError(f"no TOML for {type(value).__name__}")


def line(name: str, value: Any) -> str:
    """``name = value``, an array of tables with one item a line."""
    if isinstance(value, Sequence) and not isinstance(value, str) and any(isinstance(item, Mapping) for item in value):
        return array(name, value)
    return f"{key(name)} = {inline(value)}"


def array(name: str, items: Sequence[Any]) -> str:
    """``name = [...]`` with one item a line."""
    if not items:
        return f"{key(name)} = []"
    return "\n".join([f"{key(name)} = [", *(f"    {inline(item)}," for item in items), "]"])


def instant(moment: datetime) -> str:
    """An instant in UTC, as RFC 3339 writes it; one without a zone is taken for UTC, as PEP 751 and the indexes mean it."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")

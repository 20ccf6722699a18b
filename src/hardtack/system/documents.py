"""JSON and TOML that others wrote: read within bounds, and refused in one way where they are malformed, too deep or ambiguous."""

from __future__ import annotations

import json
import re
import tomllib
from typing import Any, NoReturn

# A file of the largest index page has three objects, and such a page lists half a million files.
_MOST_CONTAINERS = 3_000_000
# tomllib keeps every beginning of a dotted key: its memory grows with the square of the parts.
_LONG_KEY = re.compile(r"""(?:^|[{,\[])[ \t]*+(?:(?:[A-Za-z0-9_-]++|"[^"\n]*"|'[^'\n]*')[ \t]*+\.[ \t]*+){64}""", re.MULTILINE)
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


class MalformedToml(tomllib.TOMLDecodeError):
    """TOML that is refused though its grammar may be right."""

    def __init__(self, message: str) -> None:
        ValueError.__init__(self, message)


def toml_of(text: str) -> dict[str, Any]:
    """A TOML document as plain values. Raises nothing but tomllib.TOMLDecodeError."""
    if _LONG_KEY.search(text):
        raise MalformedToml("a key of more than 64 parts")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise
    except RecursionError:
        raise MalformedToml("it is nested too deeply") from None
    except ValueError as error:  # a number without end, a day that no month has
        raise MalformedToml(str(error).partition(";")[0]) from None


def json_of(data: bytes) -> Any:
    """A JSON document (RFC 8259, UTF-8) as plain values. Raises nothing but ValueError.

    Refused too: a key that an object has twice (readers differ in which they take), NaN and Infinity, halves of surrogate pairs (they
    cannot be written anywhere), and documents of millions of objects.
    """
    text = data.decode("utf-8-sig")
    if data.count(b"{") + data.count(b"[") > _MOST_CONTAINERS:
        raise ValueError(f"more than {_MOST_CONTAINERS} objects and lists")
    try:
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if _SURROGATE.search(data):
        try:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        except UnicodeEncodeError:
            raise ValueError("half of a surrogate pair stands alone") from None
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {twice[:100]!r} is there twice")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no value of JSON")

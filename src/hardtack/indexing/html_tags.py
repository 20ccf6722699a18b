"""The tags of an HTML page, in one pass whose time grows with the page's length and nothing else.

As the HTML standard's tokenizer has it, as far as pages of links need: comments, raw text (scripts, styles), quoted and bare attributes,
character references. Python's own parser takes time that grows with the square of what is left open, in most of its versions.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import NamedTuple

# White space is HTML's, not Unicode's.
_NAME = re.compile(r"[A-Za-z][^\t\n\f\r />]*+")
_ATTRIBUTE = re.compile(
    r"""(=?[^\t\n\f\r />=]*+)(?:[\t\n\f\r ]*+=[\t\n\f\r ]*+(?:"([^"]*+)"|'([^']*+)'|([^\t\n\f\r >"'][^\t\n\f\r >]*+)|(?=>)))?"""
)
_BETWEEN = re.compile(r"[\t\n\f\r /]*+")
_EQUALS = re.compile(r"[\t\n\f\r ]*+=")
_REFERENCE = re.compile(r"&(?:#[0-9]{1,7};?|#[xX][0-9a-fA-F]{1,6};?|[A-Za-z][A-Za-z0-9]{1,31};)")
_RAW = {name: re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE) for name in ("script", "style", "textarea", "title", "xmp", "iframe")}


class Tag(NamedTuple):
    """One start or end tag. Names are lower-case; ``attributes`` are in the page's order, None where one has no value."""

    name: str
    ends: bool
    attributes: tuple[tuple[str, str | None], ...]


def tags_of_page(text: str) -> Iterator[Tag]:
    """Every tag of the page. Raises ValueError where the page ends within a tag, a comment or a script: it was cut short, or is no HTML."""
    position = 0
    while (position := text.find("<", position)) >= 0:
        position += 1
        if text.startswith("!--", position):
            if text.startswith((">", "->"), position + 3):
                position += 4
                continue
            end = text.find("-->", position + 3)
            if end < 0:
                raise ValueError("it ends within a comment")
            position = end + 3
            continue
        ends = text.startswith("/", position)
        name = _NAME.match(text, position + ends)
        if name is None:
            if text.startswith(("!", "?", "/"), position):
                position = text.find(">", position) + 1
                if not position:
                    raise ValueError("it ends within a declaration")
            continue
        position = name.end()
        attributes: list[tuple[str, str | None]] = []
        while True:
            position = _end(_BETWEEN, text, position)
            if position >= len(text):
                raise ValueError("it ends within a tag")
            if text[position] == ">":
                position += 1
                break
            found = _ATTRIBUTE.match(text, position)
            assert found is not None and found.end() > position
            position = found.end()
            value = next((group for group in found.group(2, 3, 4) if group is not None), None)
            if value is None and _EQUALS.match(text, position):
                raise ValueError("it ends within an attribute")
            attributes.append((found[1].lower(), _plain(value) if value is not None else None))
        tag = Tag(name[0].lower(), ends, tuple(attributes))
        yield tag
        raw = _RAW.get(tag.name) if not ends else None
        if raw is not None:
            closing = raw.search(text, position)
            if closing is None:
                raise ValueError(f"it ends within <{tag.name}>")
            position = closing.start()


def _end(pattern: re.Pattern[str], text: str, position: int) -> int:
    found = pattern.match(text, position)
    assert found is not None
    return found.end()


def _plain(value: str) -> str:
    return _REFERENCE.sub(lambda found: html.unescape(found[0]), value) if "&" in value else value

"""What a person or a program reads: JSON on standard output, words on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hardtack.errors import HardtackError

if TYPE_CHECKING:
    from rich.console import Console

SCHEMA = 1
_PIPE_WIDTH = 4096
_LONG_LINE = 3000
# What moves the cursor, colours, or turns the direction of reading: a package's names may hold it, and would write over what is said of it.
_UNSEEN = {
    code: f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
    for code in (*range(9), *range(11, 32), *range(127, 160), 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A))
}


def console(*, stderr: bool = True) -> Console:
    """A console that respects NO_COLOR, CI and pipes."""
    from rich.console import Console

    # Into a pipe or a file nothing is cut or folded: lines are as long as what they say.
    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, highlight=False, soft_wrap=True, width=None if stream.isatty() else _PIPE_WIDTH)


def print_json(kind: str, data: Mapping[str, Any]) -> None:
    """One JSON document on standard output: ``schema`` is raised when a field changes its meaning."""
    beyond_ascii = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    print(json.dumps({"schema": SCHEMA, "kind": kind, **data}, indent=2, ensure_ascii=not beyond_ascii))


def shown(text: str) -> str:
    """The text as a terminal may have it: control characters told by their numbers, and every line but the first set in.

    Nothing that a package says of itself can look like a line of ours.
    """
    return text.translate(_UNSEEN).replace("\n", "\n    ")


def print_text(text: str, *, end: str = "\n") -> None:
    """What a program reads, on standard output, as it is."""
    print(text, end=end)


def render_error(error: HardtackError, *, as_json: bool, slug: str | None = None) -> None:
    """An error: what, where, what to do."""
    if as_json:
        print_json("error", {"error": {"slug": slug or error.slug, "reason": error.reason, "where": error.where, "hint": error.hint}})
        return
    from rich.text import Text

    out = console()
    out.print(Text.assemble(("error: ", "bold red"), shown(_bounded(str(error)))))
    if error.hint:
        out.print(Text.assemble(("  help: ", "bold cyan"), shown(_bounded(error.hint))))
    sys.stderr.flush()


def _bounded(text: str) -> str:
    """The text, each line cut where no person reads on (a file of one line, taken for a name)."""
    return "\n".join(line if len(line) <= _LONG_LINE else f"{line[:_LONG_LINE]}... ({len(line)} characters)" for line in text.split("\n"))


def plural(count: int, noun: str, several: str | None = None) -> str:
    """ "1 wheel", "2 wheels"."""
    return f"{count} {noun}" if count == 1 else f"{count} {several or noun + 's'}"


def megabytes(size: int) -> str:
    """A size that a person compares at a glance (decimal units)."""
    if size < 1_000_000:
        return f"{size / 1000:.0f} kB"
    if size < 1_000_000_000:
        return f"{size / 1_000_000:.1f} MB"
    return f"{size / 1_000_000_000:.2f} GB"

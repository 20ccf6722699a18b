"""Figures in docs/promises.md: the last column of each row's line, and when they were taken."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from bench.promises.figures import Figure, circumstances

_LINE = re.compile(r"^\| (?P<row>[0-9a-z]+) \| .* \|$")


def record(figures: Sequence[Figure], document: Path) -> None:
    """Write the figures into the lines of their rows; other lines stay."""
    by_row: dict[str, list[Figure]] = {}
    for figure in figures:
        by_row.setdefault(figure.row, []).append(figure)
    lines = document.read_text(encoding="utf-8").splitlines()
    for at, line in enumerate(lines):
        match = _LINE.match(line)
        if match and match["row"] in by_row:
            cells = line.strip("|").split("|")
            cells[-1] = f" {_words(by_row[match['row']])} ({circumstances().partition(',')[0]}) "
            lines[at] = f"|{'|'.join(cells)}|"
    document.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _words(figures: Sequence[Figure]) -> str:
    words = "; ".join(f"{figure.figure} {figure.what}" if len(figures) > 1 else figure.figure for figure in figures)
    return words + ("" if all(figure.kept for figure in figures) else " **missed**")

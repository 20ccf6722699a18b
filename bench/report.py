"""Results as a table for people and as JSON for whoever compares runs."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bench.measure import Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One contender's medians."""

    name: str
    sample: Sample
    rounds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A stage's rows and its goals: (what, figure, "<=" or ">=", limit)."""

    name: str
    workload: str
    title: str
    rows: Sequence[Row]
    goals: Sequence[tuple[str, float, str, float]]

    def as_json(self) -> dict[str, Any]:
        """Times in seconds, memory in bytes."""
        return {
            "schema": 1,
            "stage": self.name,
            "workload": self.workload,
            "title": self.title,
            "python": platform.python_version(),
            "machine": f"{platform.system()} {platform.machine()}",
            "rows": [{"name": row.name, "rounds": row.rounds, **asdict(row.sample)} for row in self.rows],
            "goals": _goals_as_json(self.goals),
        }

    def as_table(self) -> str:
        """Markdown, as docs/benchmarks.md has it."""
        first = self.rows[0].sample
        lines = [
            f"### {self.title}{f' (workload {self.workload})' if self.workload else ''}",
            "",
            "| | wall s | CPU s | peak MB | wall, hardtack = 1 |",
            "|---|---|---|---|---|",
        ]
        for row in self.rows:
            one = row.sample
            lines.append(f"| {row.name} | {one.wall:.2f} | {one.cpu:.2f} | {one.memory / 1e6:.0f} | {one.wall / first.wall:.2f} |")
        return "\n".join([*lines, *_goals_as_table(self.goals), ""])


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """A stage whose rows are not contenders: a table as it is shown, and its goals."""

    name: str
    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    goals: Sequence[tuple[str, float, str, float]]
    workload: str = ""

    def as_json(self) -> dict[str, Any]:
        """The table's cells as text, the goals as numbers."""
        return {
            "schema": 1,
            "stage": self.name,
            "workload": self.workload or None,
            "title": self.title,
            "python": platform.python_version(),
            "machine": f"{platform.system()} {platform.machine()}",
            "rows": [dict(zip(self.headings, row, strict=True)) for row in self.rows],
            "goals": _goals_as_json(self.goals),
        }

    def as_table(self) -> str:
        """Markdown."""
        workload = f" (workload {self.workload})" if self.workload else ""
        lines = [f"### {self.title}{workload}", "", f"| {' | '.join(self.headings)} |", "|---" * len(self.headings) + "|"]
        lines += [f"| {' | '.join(row)} |" for row in self.rows]
        return "\n".join([*lines, *_goals_as_table(self.goals), ""])


def _goals_as_json(goals: Sequence[tuple[str, float, str, float]]) -> list[dict[str, Any]]:
    return [
        {"what": what, "figure": figure, "must-be": sign, "limit": limit, "reached": _reached(figure, sign, limit)}
        for what, figure, sign, limit in goals
    ]


def _goals_as_table(goals: Sequence[tuple[str, float, str, float]]) -> list[str]:
    if not goals:
        return []
    lines = ["", "| goal | figure | limit | reached |", "|---|---|---|---|"]
    for what, figure, sign, limit in goals:
        lines.append(f"| {what} | {figure:.2f} | {sign} {limit:g} | {'yes' if _reached(figure, sign, limit) else 'no'} |")
    return lines


def _reached(figure: float, sign: str, limit: float) -> bool:
    return figure <= limit if sign == "<=" else figure >= limit

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
            "goals": [
                {"what": what, "figure": figure, "must-be": sign, "limit": limit, "reached": _reached(figure, sign, limit)}
                for what, figure, sign, limit in self.goals
            ],
        }

    def as_table(self) -> str:
        """Markdown, as docs/benchmarks.md has it."""
        first = self.rows[0].sample
        lines = [
            f"### {self.title} (workload {self.workload})",
            "",
            "| | wall s | CPU s | peak MB | wall, hardtack = 1 |",
            "|---|---|---|---|---|",
        ]
        for row in self.rows:
            one = row.sample
            lines.append(f"| {row.name} | {one.wall:.2f} | {one.cpu:.2f} | {one.memory / 1e6:.0f} | {one.wall / first.wall:.2f} |")
        lines += ["", "| goal | figure | limit | reached |", "|---|---|---|---|"]
        for what, figure, sign, limit in self.goals:
            lines.append(f"| {what} | {figure:.2f} | {sign} {limit:g} | {'yes' if _reached(figure, sign, limit) else 'no'} |")
        return "\n".join([*lines, ""])


def _reached(figure: float, sign: str, limit: float) -> bool:
    return figure <= limit if sign == "<=" else figure >= limit

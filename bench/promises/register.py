"""All measures, in the order of their rows."""

from __future__ import annotations

from bench.promises.figures import Measure
from bench.promises.killing import measure_kills

MEASURES: tuple[Measure, ...] = (Measure(rows=("1", "2", "3"), measure=measure_kills, about="killed at random instants, run again"),)

"""``python -m bench.promises [ROW...] [--runs N] [--seed N] [--json FILE] [--record]``: each promise's figure beside the one to reach."""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

from bench.promises.figures import Figure, Settings, Unmeasured, circumstances
from bench.promises.register import MEASURES
from bench.promises.report import record

DOCUMENT = Path(__file__).parents[2] / "docs" / "promises.md"


def main() -> int:
    """0 where every figure is reached, 1 where one is missed, 2 where a row is unknown. What cannot be measured here is told."""
    parser = argparse.ArgumentParser(prog="python -m bench.promises", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help="rows of docs/promises.md [default: all that need no public index]")
    parser.add_argument("--runs", type=int, metavar="N", help="how often, for what is done many times")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="another seed is another set of accidents")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument("--record", action="store_true", help="write the figures into docs/promises.md")
    parser.add_argument("--list", action="store_true", help="show the rows and stop")
    arguments = parser.parse_args()
    if arguments.list:
        for measure in MEASURES:
            sys.stdout.write(f"{', '.join(measure.rows):>14}  {measure.about}{' (needs the public index)' if measure.live else ''}\n")
        return 0
    known = {row for measure in MEASURES for row in measure.rows}
    if unknown := [row for row in arguments.rows if row not in known]:
        sys.stderr.write(f"no such row: {', '.join(unknown)}; there are {', '.join(sorted(known, key=_in_order))}\n")
        return 2
    chosen = [measure for measure in MEASURES if (set(measure.rows) & set(arguments.rows) if arguments.rows else not measure.live)]
    found: list[Figure] = []
    for measure in chosen:
        folder = Path(tempfile.mkdtemp(prefix="hardtack-promises-"))
        folder.chmod(0o755)
        began = time.monotonic()
        try:
            for figure in measure.measure(Settings(folder=folder, runs=arguments.runs, seed=arguments.seed)):
                found.append(figure)
                _show(figure)
        except Unmeasured as reason:
            sys.stdout.write(f"{', '.join(measure.rows):>5}  not measured: {reason}\n")
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        sys.stdout.write(f"       ({time.monotonic() - began:.0f} s)\n")
        sys.stdout.flush()
    if arguments.json is not None:
        data = {"circumstances": circumstances(), "figures": [{**dataclasses.asdict(figure), "kept": figure.kept} for figure in found]}
        arguments.json.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    if arguments.record:
        record(found, DOCUMENT)
    missed = [figure for figure in found if not figure.kept]
    sys.stdout.write(f"{len(found) - len(missed)} of {len(found)} figures reached ({circumstances()})\n")
    return 1 if missed else 0


def _show(figure: Figure) -> None:
    mark = "ok" if figure.kept else "MISSED"
    sys.stdout.write(f"{figure.row:>5}  {mark:6} {figure.figure} (goal: {figure.goal}): {figure.what}\n")
    for words in (*figure.missed[:10], *figure.notes):
        sys.stdout.write(f"              {words}\n")
    if len(figure.missed) > 10:
        sys.stdout.write(f"              and {len(figure.missed) - 10} more\n")
    sys.stdout.flush()


def _in_order(row: str) -> tuple[int, str]:
    return (int(row), "") if row.isdigit() else (1000, row)


if __name__ == "__main__":
    sys.exit(main())

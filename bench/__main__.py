"""``python -m bench all|fetch|three|again|judge|lock|build|startup|growth [--workload S|M|L] [--json FILE]``: see README.md."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.again import bench_again, bench_judge
from bench.building import bench_build
from bench.fetching import bench_fetch, bench_three
from bench.growth import bench_growth
from bench.locking import bench_lock
from bench.registry import Unavailable, prepare, prepare_three, serving
from bench.report import Figures, Report
from bench.startup import bench_startup
from hardtack.system.environ import cache_dir, variables

ROUNDS = {"S": 5, "M": 3, "L": 3}
_SERVED: dict[str, Callable[..., Report]] = {"fetch": bench_fetch, "again": bench_again, "judge": bench_judge}
_STAGES = (*_SERVED, "three", "lock", "build", "startup", "growth")


def main() -> int:
    """0 when measured or skipped with a reason, 1 when a contender failed. A goal that is missed is shown, not failed."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("stage", choices=["all", *_STAGES], nargs="?", default="all")
    parser.add_argument("--workload", choices=list(ROUNDS), default="S")
    parser.add_argument("--rounds", type=int, help="how often each contender runs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument("--data", type=Path, metavar="DIR", help="where wheels are kept between runs [default: bench, beside the cache]")
    arguments = parser.parse_args()
    data = (arguments.data or cache_dir(None, variables()) / "bench").absolute()
    stages = _STAGES if arguments.stage == "all" else (arguments.stage,)
    documents = []
    failed = False
    for stage in stages:
        try:
            for report in _measured(stage, arguments.workload, data, arguments.rounds or ROUNDS[arguments.workload]):
                sys.stdout.write(f"{report.as_table()}\n{_circumstances()}\n\n")
                sys.stdout.flush()
                documents.append({**report.as_json(), "load": _load(), "cpus": os.cpu_count()})
        except Unavailable as reason:
            sys.stderr.write(f"{stage} skipped: {reason}\n")
        except RuntimeError as error:
            sys.stderr.write(f"{error}\n")
            failed = True
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(documents[0] if arguments.stage != "all" and documents else documents, indent=2) + "\n")
    return 1 if failed else 0


def _measured(stage: str, workload: str, data: Path, rounds: int) -> Iterator[Report | Figures]:
    if stage == "startup":
        yield bench_startup(data, rounds=2 * rounds)
    elif stage == "growth":
        yield bench_growth(rounds=1 if workload == "S" else 2)
    elif stage == "lock":
        yield bench_lock(data, workload=workload, rounds=rounds)
    elif stage == "build":
        yield bench_build(data, rounds=min(rounds, 3))
    elif stage == "three":
        wheels, by_target = prepare_three(workload, data)
        with serving(wheels, data) as registry:
            yield bench_three(registry, data, workload=workload, rounds=rounds, by_target=by_target)
    else:
        with serving(prepare(workload, data), data) as registry:
            yield _SERVED[stage](registry, data, workload=workload, rounds=rounds)


def _load() -> float | None:
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def _circumstances() -> str:
    load = _load()
    words = f", load {load:.1f} at the end" if load is not None else ""
    return f"({os.cpu_count()} cores{words}, {time.strftime('%Y-%m-%d %H:%M', time.gmtime())} UTC)"


if __name__ == "__main__":
    sys.exit(main())

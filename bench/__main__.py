"""``python -m bench fetch|again [--workload S|M|L] [--json FILE]``: see README.md."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from bench.again import bench_again
from bench.fetching import bench_fetch
from bench.registry import Unavailable, prepare, serving
from hardtack.system.environ import cache_dir, variables

ROUNDS = {"S": 5, "M": 3, "L": 3}


def main() -> int:
    """0 when measured or skipped with a reason, 1 when a contender failed. A goal that is missed is shown, not failed."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("stage", choices=["fetch", "again"])
    parser.add_argument("--workload", choices=list(ROUNDS), default="S")
    parser.add_argument("--rounds", type=int, help="how often each contender runs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument("--data", type=Path, metavar="DIR", help="where wheels are kept between runs [default: bench, beside the cache]")
    arguments = parser.parse_args()
    data = (arguments.data or cache_dir(None, variables()) / "bench").absolute()
    rounds = arguments.rounds or ROUNDS[arguments.workload]
    measure = {"fetch": bench_fetch, "again": bench_again}[arguments.stage]
    try:
        wheels = prepare(arguments.workload, data)
        with serving(wheels, data) as registry:
            report = measure(registry, data, workload=arguments.workload, rounds=rounds)
    except Unavailable as reason:
        sys.stderr.write(f"skipped: {reason}\n")
        return 0
    except RuntimeError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(report.as_table())
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(report.as_json(), indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

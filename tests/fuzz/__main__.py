"""``python -m tests.fuzz [--kind wheel] [--seconds 60] [--seed 1]``: mutants of the corpus, as many as the time allows, at low priority.

Prints how many of each kind were tried and accepted. What breaks is written to ``--keep`` (a folder), named by its digest.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import random
import resource
import sys
import tempfile
import time
import traceback
from pathlib import Path

from tests.fuzz.mutating import mutated
from tests.fuzz.properties import KINDS, check
from tests.fuzz.seeds import seeds


def main() -> int:
    """Fuzz each kind for an equal share of the time."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--kind", choices=KINDS, action="append")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--keep", type=Path, help="where inputs that break something are written")
    given = parser.parse_args()
    with contextlib.suppress(OSError):
        os.nice(10)
    kinds = given.kind or list(KINDS)
    broken: dict[str, str] = {}
    print(f"seed {given.seed}")
    for kind in kinds:
        chance = random.Random(f"{given.seed}/{kind}")
        found = seeds(kind)
        others = [data for _, data in found]
        tried = accepted = 0
        slowest = 0.0
        end = time.monotonic() + given.seconds / len(kinds)
        with tempfile.TemporaryDirectory(prefix="hardtack-fuzz-") as folder:
            while (started := time.monotonic()) < end:
                name, seed = chance.choice(found)
                data = mutated(kind, seed, others, chance)
                tried += 1
                try:
                    accepted += check(kind, name, data, Path(folder))
                except Exception as error:
                    where = traceback.extract_tb(error.__traceback__)[-1]
                    label = f"{kind} {type(error).__name__} {where.filename.rpartition('/')[2]}:{where.lineno} {str(error)[:120]}"
                    if label not in broken:
                        broken[label] = hashlib.sha256(data).hexdigest()
                        print(f"BROKEN {label} ({name}, {len(data)} bytes)")
                        if given.keep is not None:
                            given.keep.mkdir(parents=True, exist_ok=True)
                            (given.keep / f"{kind}-{broken[label][:12]}").write_bytes(data)
                slowest = max(slowest, time.monotonic() - started)
        print(f"{kind:14} {tried:8} tried {accepted:7} accepted, slowest {slowest:.2f} s")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1024 * 1024 if sys.platform == "darwin" else 1024)
    print(f"{len(broken)} ways to break it; at most {peak} MB of memory")
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())

"""``python -m tests.corpus --list [--kind wheel]``: the table of cases; ``--write FOLDER``: the archives as files, for other tools."""

from __future__ import annotations

import argparse
import hashlib
import json
from collections import Counter
from pathlib import Path

from tests.corpus.every import every_case

parser = argparse.ArgumentParser(prog="python -m tests.corpus", description=__doc__)
parser.add_argument("--list", action="store_true", help="print the table")
parser.add_argument("--kind")
parser.add_argument("--write", type=Path, metavar="FOLDER", help="write wheels and sdists there, with a manifest.json")
given = parser.parse_args()
chosen = [case for case in every_case() if given.kind in (None, case.kind)]
if given.list:
    for case in chosen:
        print(f"{case.verdict:7} {case.level:8} {case.id:60} {case.reason}")
if given.write is not None:
    rows = []
    for number, case in enumerate(chosen):
        if case.kind not in ("wheel", "sdist"):
            continue
        data = case.make()
        place = f"{case.kind}s/{number:04}"
        (given.write / place).mkdir(parents=True, exist_ok=True)
        try:
            (given.write / place / case.name).write_bytes(data)
        except (OSError, ValueError):  # a name that no file system has
            continue
        row = {"id": case.id, "kind": case.kind, "level": case.level, "why": case.reason, "file": f"{place}/{case.name}"}
        rows.append({**row, "expect": "reject" if case.verdict == "refuse" else "accept", "sha256": hashlib.sha256(data).hexdigest()})
    (given.write / "manifest.json").write_text(json.dumps({"schema": 1, "cases": rows}, indent=1))
for (kind, verdict), count in sorted(Counter((case.kind, case.verdict) for case in chosen).items()):
    print(f"{kind:14} {verdict:8} {count:5}")
print(f"{len(chosen)} cases")

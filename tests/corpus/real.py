"""Real wheels are not refused (promise 6): ``python -m tests.corpus.real FOLDER...`` judges every wheel below these folders.

Prints every refused one with its reasons, and the figures. Ends with 1 if more than one in a thousand was refused.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from hardtack.model.finding import Severity
from hardtack.model.wheel import BadWheel
from hardtack.wheelhouse.inspect import inspect_wheel


def wheels_below(folders: list[Path]) -> Iterator[tuple[Path, str]]:
    """Each distinct wheel with its digest, in the order of the paths; links are not followed."""
    seen: set[tuple[str, str]] = set()
    for folder in folders:
        for root, names, files in os.walk(folder):
            names.sort()
            for name in sorted(files):
                path = Path(root, name)
                if not name.endswith(".whl") or path.is_symlink():
                    continue
                try:
                    with open(path, "rb") as stream:
                        digest = hashlib.file_digest(stream, "sha256").hexdigest()
                except OSError:  # somebody else's folder may go while it is read
                    continue
                if (name, digest) not in seen:
                    seen.add((name, digest))
                    yield path, digest


def main(arguments: list[str] | None = None) -> int:
    """Judge them all."""
    parser = argparse.ArgumentParser(prog="python -m tests.corpus.real", description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--most", type=int, help="stop after so many wheels")
    parser.add_argument("--largest", type=int, default=1 << 40, help="leave out files of more bytes")
    given = parser.parse_args(arguments)
    judged = refused = size = 0
    projects: set[str] = set()
    warned: Counter[str] = Counter()
    started = time.monotonic()
    for path, digest in wheels_below(given.folders):
        try:
            length = path.stat().st_size
            if length > given.largest:
                continue
            verdict = inspect_wheel(path, filename=path.name, sha256=digest)
        except OSError:
            continue
        judged += 1
        size += length
        projects.add(path.name.partition("-")[0].lower())
        warned.update({finding.code for finding in verdict.findings if finding.severity is not Severity.ERROR})
        if isinstance(verdict, BadWheel):
            refused += 1
            for finding in verdict.findings:
                if finding.severity is Severity.ERROR:
                    print(f"{path.name}: {finding.code}: {finding.message}")
        if given.most is not None and judged >= given.most:
            break
    seconds = time.monotonic() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1024 * 1024 if sys.platform == "darwin" else 1024)
    share = 100 * refused / judged if judged else 0.0
    print(f"{judged} wheels of {len(projects)} projects, {size / 1e9:.2f} GB: {refused} refused ({share:.2f}%)")
    print(f"{seconds:.0f} s, at most {peak} MB of memory; with warnings or notes: {dict(warned.most_common())}")
    return int(refused * 1000 > judged)


if __name__ == "__main__":
    sys.exit(main())

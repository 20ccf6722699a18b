"""``python -m bench lock``: choosing versions for three targets, beside one universal resolution by uv, from the public index."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from bench.measure import Contender, interleaved, medians, public_environment
from bench.registry import HERE, TARGETS
from bench.report import Report, Row

OURS, UNCHANGED, UV = "hardtack lock, three targets", "hardtack lock, unchanged", "uv pip compile --universal"


def bench_lock(data: Path, *, workload: str, rounds: int) -> Report:
    """Both with what they have cached of an earlier run; the index is asked anew by both, so the network is part of it."""
    import uv

    work = data / "lock"
    shutil.rmtree(work, ignore_errors=True)
    (work / "ours").mkdir(parents=True)
    environment = public_environment()
    source = str(HERE / "workloads" / f"{workload}.in")
    ours = [sys.executable, "-m", "hardtack", "lock", "-r", source, "--project", str(work / "ours"), "--only-binary", ":all:", "--quiet"]
    ours += [part for target in TARGETS for part in ("--target", target)]
    ours += ["--cache-dir", str(data / "lock-cache")]
    kept, fresh = work / "kept.toml", work / "fresh.toml"
    compiled = [uv.find_uv_bin(), "pip", "compile", "--universal", "--python-version", "3.11", "--only-binary", ":all:", "--quiet"]
    compiled += ["--format", "pylock.toml", "--cache-dir", str(data / "lock-uv"), "-o", str(work / "pylock.toml"), source]

    def forgotten(path: Path) -> None:
        path.unlink(missing_ok=True)

    contenders = [
        Contender(name=OURS, command=[*ours, "-o", str(fresh)], reset=lambda: forgotten(fresh), environment=environment),
        Contender(name=UV, command=compiled, reset=lambda: forgotten(work / "pylock.toml"), environment=environment),
        Contender(name=UNCHANGED, command=[*ours, "-o", str(kept)], reset=lambda: None, environment=environment),
    ]
    # Caches are filled before anything is timed.
    interleaved(contenders, rounds=1, log=data / "output.log")
    samples = interleaved(contenders, rounds=rounds, log=data / "output.log")
    found = {name: medians(rows) for name, rows in samples.items()}
    goals = [
        ("wall, against one universal resolution by uv", found[OURS].wall / found[UV].wall, "<=", 1.15),
        ("unchanged, wall s", found[UNCHANGED].wall, "<=", 0.35),
        # The peak is uv's: it is the larger of the two processes.
        ("peak memory, against uv alone", found[OURS].memory / found[UV].memory, "<=", 1.1),
    ]
    return Report(
        name="lock",
        workload=workload,
        title="Locking, caches warm, pages revalidated at the public index",
        rows=[Row(name=name, sample=sample, rounds=len(samples[name])) for name, sample in found.items()],
        # On a small workload the interpreter's start is most of it: nothing to hold against a goal.
        goals=goals if workload != "S" else goals[1:],
    )

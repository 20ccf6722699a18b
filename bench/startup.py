"""``python -m bench startup``: what the command costs before it does anything."""

from __future__ import annotations

import sys
from pathlib import Path

from bench.measure import Contender, interleaved, medians, plain_environment
from bench.report import Report, Row

VERSION, HELP, START, PIP = "hardtack --version", "hardtack --help", "a bare interpreter's start", "pip --version"


def bench_startup(data: Path, *, rounds: int) -> Report:
    """With bytecode in place, as an installed command has it."""
    data.mkdir(parents=True, exist_ok=True)
    environment = plain_environment()
    commands = {
        VERSION: ["-m", "hardtack", "--version"],
        HELP: ["-m", "hardtack", "--help"],
        START: ["-c", "pass"],
        PIP: ["-m", "pip", "--version"],
    }
    contenders = [
        Contender(name=name, command=[sys.executable, *words], reset=lambda: None, environment=environment)
        for name, words in commands.items()
    ]
    interleaved(contenders, rounds=1, log=data / "output.log")
    samples = interleaved(contenders, rounds=rounds, log=data / "output.log")
    found = {name: medians(rows) for name, rows in samples.items()}
    return Report(
        name="startup",
        workload="",
        title="Starting",
        rows=[Row(name=name, sample=sample, rounds=len(samples[name])) for name, sample in found.items()],
        goals=[
            ("--version beyond a bare interpreter, ms", 1000 * (found[VERSION].wall - found[START].wall), "<=", 60.0),
            ("--help beyond a bare interpreter, ms", 1000 * (found[HELP].wall - found[START].wall), "<=", 100.0),
        ],
    )

"""Children, timed: wall clock, processor time of the whole family, peak memory."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One run. Times in seconds; ``memory`` in bytes is the largest of the child and its children."""

    wall: float
    cpu: float
    memory: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """A way to do the job. ``reset`` runs before each timed run and is not timed; ``check`` after it and raises if the job was not done."""

    name: str
    command: Sequence[str]
    reset: Callable[[], None]
    check: Callable[[], None] = lambda: None
    environment: Mapping[str, str] | None = None


def run(contender: Contender, log: Path) -> Sample:
    """Run a contender once. Raises RuntimeError, with the end of what it said, if it fails."""
    contender.reset()
    launcher = [sys.executable, "-I", "-S", str(Path(__file__).with_name("launch.py")), str(log)]
    done = subprocess.run(
        [*launcher, *contender.command], env=contender.environment, stdin=subprocess.DEVNULL, capture_output=True, check=True
    )
    row = json.loads(done.stdout)
    if row["code"]:
        tail = log.read_text(errors="replace")[-2000:]
        raise RuntimeError(f"{contender.name} ended with {row['code']}:\n{tail}")
    contender.check()
    return Sample(wall=row["wall"], cpu=row["cpu"], memory=row["memory"])


def interleaved(contenders: Sequence[Contender], *, rounds: int, log: Path) -> dict[str, list[Sample]]:
    """Each contender once, then each once more: what slows the machine for a while slows all of them."""
    samples: dict[str, list[Sample]] = {contender.name: [] for contender in contenders}
    for number in range(rounds):
        for contender in contenders:
            # Nobody pays for what another has left to be written.
            os.sync()
            samples[contender.name].append(run(contender, log))
            _show(f"round {number + 1} of {rounds}: {contender.name}")
    _show("")
    return samples


def _show(text: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{text:<70}\r")
        sys.stderr.flush()


def medians(samples: Sequence[Sample]) -> Sample:
    """The median of each figure; of the memory, the largest."""
    return Sample(
        wall=statistics.median(sample.wall for sample in samples),
        cpu=statistics.median(sample.cpu for sample in samples),
        memory=max(sample.memory for sample in samples),
    )


def plain_environment() -> dict[str, str]:
    """An environment in which no configuration of pip, uv or hardtack steers anything."""
    dropped = ("PIP_", "UV_", "PYTHON", "HARDTACK_", "SSL_", "REQUESTS_", "CURL_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped) and not name.lower().endswith("_proxy")}
    return {**kept, "PIP_CONFIG_FILE": os.devnull, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "UV_NO_CONFIG": "1"}


def public_environment() -> dict[str, str]:
    """The same for who asks the public index, which may be behind a proxy whose certificate only this variable knows."""
    return {**plain_environment(), **{name: os.environ[name] for name in ("SSL_CERT_FILE",) if name in os.environ}}

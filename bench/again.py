"""``python -m bench again``: ``hardtack build`` once more, nothing changed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from bench.measure import Contender, interleaved, medians, plain_environment
from bench.registry import HERE, Registry
from bench.report import Report, Row

AGAIN, PIP, START = "hardtack build, again", "pip download, again", "a bare interpreter's start"


def bench_again(registry: Registry, data: Path, *, workload: str, rounds: int) -> Report:
    """Build once, untimed; then measure the second run beside pip's."""
    work = data / "again"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    environment = plain_environment()
    workload_file, simple = str(HERE / "workloads" / f"{workload}.in"), f"{registry.plain}/simple/"
    build = [
        sys.executable,
        "-m",
        "hardtack",
        "build",
        "-r",
        workload_file,
        "--project",
        str(work),
        "--target",
        "host",
        "--index-url",
        simple,
    ]
    build += ["--cache-dir", str(work / "cache"), "-o", str(work / "wheelhouse"), "--only-binary", ":all:", "--quiet"]
    pip = [sys.executable, "-m", "pip", "download", "--isolated", "--no-deps", "--quiet", "--progress-bar", "off", "--index-url", simple]
    pip += ["--cache-dir", str(work / "pip"), "--dest", str(work / "pip-out"), "--require-hashes", "-r", str(work / "requirements.txt")]
    hashed = "".join(f"{w.project}=={w.version} --hash=sha256:{w.sha256}\n" for w in registry.wheels)
    (work / "requirements.txt").write_text(hashed)
    for command in (build, pip):
        done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{(done.stdout + done.stderr)[-3000:]}")
    contenders = [
        Contender(name=AGAIN, command=build, reset=lambda: None, environment=environment),
        Contender(name=PIP, command=pip, reset=lambda: None, environment=environment),
        Contender(name=START, command=[sys.executable, "-c", "pass"], reset=lambda: None, environment=environment),
    ]
    samples = interleaved(contenders, rounds=rounds, log=data / "output.log")
    found = {name: medians(rows) for name, rows in samples.items()}
    return Report(
        name="again",
        workload=workload,
        title=f"A second run over {len(registry.wheels)} wheels, nothing changed",
        rows=[Row(name=name, sample=sample, rounds=len(samples[name])) for name, sample in found.items()],
        goals=[
            ("wall s", found[AGAIN].wall, "<=", 0.25),
            ("times faster than pip with everything there", found[PIP].wall / found[AGAIN].wall, ">=", 4.0),
            ("peak memory, MB", found[AGAIN].memory / 1e6, "<=", 120.0),
        ],
    )

"""``python -m bench again`` and ``judge``: a wheelhouse built once more with nothing changed, and a wheelhouse judged."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from bench.measure import Contender, interleaved, medians, plain_environment
from bench.registry import HERE, Registry
from bench.report import Report, Row

AGAIN, PIP, START = "hardtack build, again", "pip download, again", "a bare interpreter's start"
COLD, WARM, LIMIT, UNZIP = (
    "hardtack verify, nothing remembered",
    "hardtack verify, facts remembered",
    "hashlib, 2 threads",
    "unzip -t, 2 at a time",
)
_LIMIT = """
import hashlib, sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
def digest(path):
    with open(path, "rb", buffering=0) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
with ThreadPoolExecutor(2) as pool:
    list(pool.map(digest, sorted(Path(sys.argv[1]).glob("*.whl"), key=lambda path: -path.stat().st_size)))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Built:
    """A wheelhouse for this host, and the command that made it."""

    work: Path
    wheelhouse: Path
    cache: Path
    command: list[str]


def _built(registry: Registry, data: Path, workload: str) -> _Built:
    work = data / "again"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    command = [sys.executable, "-m", "hardtack", "build", "-r", str(HERE / "workloads" / f"{workload}.in"), "--project", str(work)]
    command += ["--target", "host", "--index-url", f"{registry.plain}/simple/", "--cache-dir", str(work / "cache")]
    command += ["-o", str(work / "wheelhouse"), "--only-binary", ":all:", "--quiet"]
    _done(command)
    return _Built(work=work, wheelhouse=work / "wheelhouse", cache=work / "cache", command=command)


def _done(command: list[str]) -> None:
    done = subprocess.run(command, env=plain_environment(), check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{(done.stdout + done.stderr)[-3000:]}")


def bench_again(registry: Registry, data: Path, *, workload: str, rounds: int) -> Report:
    """Build once, untimed; then measure the second run beside pip's."""
    environment = plain_environment()
    built = _built(registry, data, workload)
    pip = [sys.executable, "-m", "pip", "download", "--isolated", "--no-deps", "--quiet", "--progress-bar", "off"]
    pip += ["--index-url", f"{registry.plain}/simple/", "--cache-dir", str(built.work / "pip"), "--dest", str(built.work / "pip-out")]
    pip += ["--require-hashes", "-r", str(built.work / "requirements.txt")]
    hashed = "".join(f"{w.project}=={w.version} --hash=sha256:{w.sha256}\n" for w in registry.wheels)
    (built.work / "requirements.txt").write_text(hashed)
    _done(pip)
    contenders = [
        Contender(name=AGAIN, command=built.command, reset=lambda: None, environment=environment),
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


def bench_judge(registry: Registry, data: Path, *, workload: str, rounds: int) -> Report:
    """Verify with and without facts remembered, beside what reading and inflating the same bytes costs at least."""
    environment = plain_environment()
    built = _built(registry, data, workload)
    verify = [sys.executable, "-m", "hardtack", "verify", str(built.wheelhouse), "--no-trial", "--quiet", "--cache-dir", str(built.cache)]

    def forget() -> None:
        shutil.rmtree(built.cache / "facts", ignore_errors=True)

    contenders = [
        Contender(name=COLD, command=verify, reset=forget, environment=environment),
        Contender(name=WARM, command=verify, reset=lambda: None, environment=environment),
        Contender(name=LIMIT, command=[sys.executable, "-c", _LIMIT, str(built.wheelhouse)], reset=lambda: None, environment=environment),
        Contender(name=START, command=[sys.executable, "-c", "pass"], reset=lambda: None, environment=environment),
    ]
    if shutil.which("unzip"):
        unzip = f"ls -S {built.wheelhouse}/*.whl | xargs -P 2 -n 1 unzip -tqq"
        contenders.append(Contender(name=UNZIP, command=["sh", "-c", unzip], reset=lambda: None, environment=environment))
    samples = interleaved(contenders, rounds=rounds, log=data / "output.log")
    found = {name: medians(rows) for name, rows in samples.items()}
    goals = [
        ("wall beyond hashlib on 2 threads, facts remembered, s", found[WARM].wall - found[LIMIT].wall, "<=", 0.3),
        ("peak memory, MB", max(found[COLD].memory, found[WARM].memory) / 1e6, "<=", 120.0),
    ]
    if UNZIP in found and workload != "S":
        goals.append(("processor time, nothing remembered, against unzip -t", found[COLD].cpu / found[UNZIP].cpu, "<=", 1.3))
    return Report(
        name="judge",
        workload=workload,
        title=f"Judging {len(registry.wheels)} wheels: every byte hashed, every archive inflated, the closure walked",
        rows=[Row(name=name, sample=sample, rounds=len(samples[name])) for name, sample in found.items()],
        goals=goals,
    )

"""``python -m bench fetch``: the same wheels from the same registry, by hardtack, curl and pip."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import tomli_w

from bench.measure import Contender, interleaved, medians, plain_environment
from bench.registry import Registry, Wheel, check_wheels
from bench.report import Report, Row
from hardtack.targets.catalog import parse_target
from hardtack.wheelhouse.store import Store

THRICE = "pip download, hashed requirements, three times"
OURS, AGAIN, H2, H1, PYLOCK, REQUIREMENTS = (
    "hardtack, 16 connections",
    "hardtack, everything there",
    "curl h2, 50 streams",
    "curl h1.1, 16 connections",
    "pip download -r pylock.toml",
    "pip download, hashed requirements",
)


def bench_fetch(registry: Registry, data: Path, *, workload: str, rounds: int) -> Report:
    """Measure, and compare with the goals."""
    contenders = _contenders(registry, data / "work")
    samples = interleaved(contenders, rounds=rounds, log=data / "output.log")
    found = {name: medians(rows) for name, rows in samples.items()}
    ours = found[OURS]
    goals = [
        ("wall, against curl h2", ours.wall / found[H2].wall, "<=", 1.3),
        ("processor time, against curl h2", ours.cpu / found[H2].cpu, "<=", 1.8),
        ("times faster than pip from a pylock", found[PYLOCK].wall / ours.wall, ">=", 4.0),
        ("times faster than pip from requirements", found[REQUIREMENTS].wall / ours.wall, ">=", 8.0),
        ("peak memory, MB", ours.memory / 1e6, "<=", 120.0),
    ]
    size = sum(wheel.size for wheel in registry.wheels)
    return Report(
        name="fetch",
        workload=workload,
        title=f"Fetching {len(registry.wheels)} wheels, {size / 1e6:.0f} MB, over TLS on loopback",
        rows=[Row(name=name, sample=sample, rounds=len(samples[name])) for name, sample in found.items()],
        # On a small workload the interpreter's start is most of it: nothing to hold against a goal.
        goals=goals if workload != "S" else goals[-1:],
    )


def bench_three(registry: Registry, data: Path, *, workload: str, rounds: int, by_target: Mapping[str, Sequence[Wheel]]) -> Report:
    """The distinct wheels of three targets, beside pip, which downloads for one target at a time."""
    work = data / "work"
    ours, _, h2, h1, *_ = _contenders(registry, work)
    pip = replace(
        ours, name=THRICE, command=["sh", "-e", str(work / "thrice.sh")], check=lambda: check_wheels(registry.wheels, work / "out")
    )
    lines = []
    for name, wheels in by_target.items():
        target = parse_target(name)
        listed = work / f"requirements.{name}.txt"
        listed.write_text("".join(f"{w.project}=={w.version} --hash=sha256:{w.sha256}\n" for w in wheels))
        command = [*_pip(registry, work / "out"), "--index-url", f"{registry.secure}/simple/", "--require-hashes", "-r", str(listed)]
        command += ["--only-binary", ":all:", "--implementation", "cp", "--python-version", ".".join(str(part) for part in target.python)]
        command += [part for abi in dict.fromkeys(tag.abi for tag in target.tags) for part in ("--abi", abi)]
        command += [part for one in dict.fromkeys(tag.platform for tag in target.tags) for part in ("--platform", one)]
        lines.append(shlex.join(command))
    (work / "thrice.sh").write_text("\n".join(lines) + "\n")
    contenders = [ours, h2, h1, pip]
    samples = interleaved(contenders, rounds=rounds, log=data / "output.log")
    found = {name: medians(rows) for name, rows in samples.items()}
    goals = [
        ("wall, against curl h2", found[OURS].wall / found[H2].wall, "<=", 1.2),
        ("times faster than pip three times", found[THRICE].wall / found[OURS].wall, ">=", 6.0),
        ("peak memory, MB", found[OURS].memory / 1e6, "<=", 120.0),
    ]
    size = sum(wheel.size for wheel in registry.wheels)
    return Report(
        name="three",
        workload=workload,
        title=f"Fetching {len(registry.wheels)} distinct wheels of three targets, {size / 1e6:.0f} MB, over TLS on loopback",
        rows=[Row(name=name, sample=sample, rounds=len(samples[name])) for name, sample in found.items()],
        goals=goals if workload != "S" else goals[-1:],
    )


def _pip(registry: Registry, out: Path) -> list[str]:
    pip = [sys.executable, "-m", "pip", "download", "--isolated", "--no-deps", "--no-cache-dir", "--quiet", "--progress-bar", "off"]
    return [*pip, "--cert", str(registry.authority), "--dest", str(out)]


def _contenders(registry: Registry, work: Path) -> list[Contender]:
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    wheels, out, environment = registry.wheels, work / "out", plain_environment()
    rows = [{"filename": wheel.filename, "url": registry.url(wheel), "sha256": wheel.sha256, "size": wheel.size} for wheel in wheels]
    (work / "files.json").write_text(json.dumps(rows))
    (work / "curl.txt").write_text("".join(f'url = "{registry.url(wheel)}"\noutput = "{out / wheel.filename}"\n' for wheel in wheels))
    (work / "requirements.txt").write_text("".join(f"{w.project}=={w.version} --hash=sha256:{w.sha256}\n" for w in wheels))
    (work / "pylock.toml").write_text(tomli_w.dumps(_pylock(registry)))

    def emptied() -> None:
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()

    def arrived() -> None:
        check_wheels(wheels, out)

    def stored(folder: Path) -> Callable[[], None]:
        def check() -> None:
            store = Store(folder / "files")
            if not all(store.has(wheel.sha256, size=wheel.size) for wheel in wheels):
                raise RuntimeError("not every wheel is in the store")

        return check

    kept = work / "kept"
    ours = [sys.executable, "-m", "bench.fetch_child", str(work / "files.json"), str(registry.authority)]
    curl = ["curl", "--silent", "--fail", "--parallel", "--cacert", str(registry.authority), "--config", str(work / "curl.txt")]
    pip = _pip(registry, out)
    # What is there must have been fetched once.
    subprocess.run([*ours, str(kept)], check=True, env=environment)
    return [
        Contender(name=OURS, command=[*ours, str(out)], reset=emptied, check=stored(out), environment=environment),
        Contender(name=AGAIN, command=[*ours, str(kept)], reset=lambda: None, check=stored(kept), environment=environment),
        Contender(name=H2, command=[*curl, "--http2", "--parallel-max", "50"], reset=emptied, check=arrived, environment=environment),
        Contender(name=H1, command=[*curl, "--http1.1", "--parallel-max", "16"], reset=emptied, check=arrived, environment=environment),
        Contender(name=PYLOCK, command=[*pip, "-r", str(work / "pylock.toml")], reset=emptied, check=arrived, environment=environment),
        Contender(
            name=REQUIREMENTS,
            command=[*pip, "--index-url", f"{registry.secure}/simple/", "--require-hashes", "-r", str(work / "requirements.txt")],
            reset=emptied,
            check=arrived,
            environment=environment,
        ),
    ]


def _pylock(registry: Registry) -> dict[str, object]:
    packages = [
        {
            "name": wheel.project,
            "version": wheel.version,
            "wheels": [{"name": wheel.filename, "url": registry.url(wheel), "size": wheel.size, "hashes": {"sha256": wheel.sha256}}],
        }
        for wheel in registry.wheels
    ]
    return {"lock-version": "1.0", "created-by": "bench", "packages": packages}

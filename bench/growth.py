"""``python -m bench growth``: ten times the packages must not cost much more than ten times the work, in every stage that only computes."""

from __future__ import annotations

import gc
import json
import random
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from typing import TypeVar

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import parse_wheel_filename
from packaging.version import Version

from bench.measure import plain_environment
from bench.registry import TARGETS
from bench.report import Figures
from hardtack.model.lock import Edge, Lock, LockedFile, LockedPackage, LockedRoot
from hardtack.model.manifest import Pin
from hardtack.model.wheel import WheelFacts
from hardtack.planning.plan import Policy, plan
from hardtack.targets.catalog import parse_target
from hardtack.verifying.closure import prove_closure
from hardtack.wheelhouse.pylock import read_pylock, write_pylock

SIZES = (200, 2_000, 20_000)
T = TypeVar("T")
_MARKERS = ('python_version < "3.12"', 'sys_platform == "win32"', 'python_full_version >= "3.12.4"', 'extra == "more"')
_BLOCK = 100
_PLATFORMS = ("manylinux_2_17_x86_64", "manylinux_2_17_aarch64", "win_amd64", "macosx_11_0_arm64")


def bench_growth(*, rounds: int) -> Figures:
    """Each size in a process of its own, the sizes in turn; of each stage the least processor time of all rounds."""
    best: dict[tuple[str, int], float] = {}
    for _ in range(rounds):
        for size in SIZES:
            command = [sys.executable, "-m", "bench.growth", str(size)]
            done = subprocess.run(command, env=plain_environment(), capture_output=True, text=True, check=False)
            if done.returncode:
                raise RuntimeError(f"growth to {size} ended with {done.returncode}:\n{done.stderr[-2000:]}")
            for stage, seconds in json.loads(done.stdout).items():
                best[stage, size] = min(seconds, best.get((stage, size), seconds))
    stages = list(dict.fromkeys(stage for stage, _ in best))
    steps = list(pairwise(SIZES))
    rows = [
        [stage, *(f"{best[stage, size]:.3f}" for size in SIZES), *(f"{best[stage, b] / best[stage, a]:.1f}" for a, b in steps)]
        for stage in stages
    ]
    return Figures(
        name="growth",
        title=f"CPU seconds for {', '.join(f'{size:,}' for size in SIZES)} packages, three targets, and the growth from one to the next",
        headings=["stage", *(f"{size:,}" for size in SIZES), *(f"{a:,} to {b:,}" for a, b in steps)],
        rows=rows,
        goals=[(f"{stage}, {steps[-1][0]:,} to {steps[-1][1]:,}", best[stage, SIZES[-1]] / best[stage, SIZES[-2]], "<=", 10.5)
               for stage in stages if not stage.startswith("control")],
    )  # fmt: skip


def main(size: int) -> None:
    """One size: its stages' CPU seconds as a JSON object. Garbage is collected as seldom as the command does it."""
    from hardtack.__main__ import spare_the_collector

    packages, facts = _world(size)
    targets = [parse_target(name) for name in TARGETS]
    roots = tuple(LockedRoot(requirement=package.name, origin="bench") for package in packages[::_BLOCK])
    lock = Lock(packages=packages, roots=roots, targets=TARGETS)
    spare_the_collector()
    seconds: dict[str, float] = {}

    def timed(stage: str, work: Callable[[], T]) -> T:
        gc.collect()
        began = time.process_time()
        answer = work()
        seconds[stage] = time.process_time() - began
        return answer

    timed("control: a dictionary walked", lambda: _control(size))
    planned = timed("plan", lambda: plan(lock, targets, Policy()))
    pins = [
        Pin(target=entry.target, name=entry.package.name, version=str(entry.package.version), filename=entry.decision.file.filename)
        for entry in planned.entries
        if hasattr(entry.decision, "file")
    ]
    if len(pins) != len(targets) * size:
        raise AssertionError("not every package is planned")
    available = [{fact.name: [fact] for fact in facts[target.name]} for target in targets]
    closures = timed(
        "closure",
        lambda: [
            prove_closure(target=target, roots=roots, available=there, pins=pins) for target, there in zip(targets, available, strict=True)
        ],
    )
    if not all(closure.complete for closure in closures):
        raise AssertionError(str(closures[0].findings[:3]))
    text = timed("write pylock.toml", lambda: write_pylock(lock))
    timed("read pylock.toml", lambda: read_pylock(text, where="bench", base=None))
    sys.stdout.write(json.dumps(seconds))


def _control(size: int) -> int:
    """What Python itself costs: as many objects, found by name and noted, with nothing to compute."""
    found: dict[str, list[tuple[str, str]]] = {}
    names = {f"package{at}": [f"package{other}" for other in range(at, at + 4)] for at in range(size)}
    for name, needed in names.items():
        for other in needed:
            found.setdefault(other, []).append((name, other))
    return len(found)


def _world(size: int) -> tuple[tuple[LockedPackage, ...], dict[str, list[WheelFacts]]]:
    """Blocks of packages that each need a few later ones of their block; a wheel for each target, or one for all."""
    choose = random.Random(0)  # noqa: S311 (the same world each time)
    markers = [Marker(text) for text in _MARKERS]
    packages = []
    facts: dict[str, list[WheelFacts]] = {name: [] for name in TARGETS}
    for at in range(size):
        name = f"package{at}"
        pure = at % 3 != 0
        tags = ["py3-none-any"] if pure else [f"{python}-abi3-{platform}" for platform in _PLATFORMS for python in ("cp39",)]
        files = [f"{name}-1.{at % 7}-{tag}.whl" for tag in tags]
        digest = f"{at:064x}"
        end = at - at % _BLOCK + _BLOCK
        needed = sorted({at + 1, *(choose.randrange(at + 1, end) for _ in range(3))}) if at + 1 < end else []
        edges = tuple(Edge(name=f"package{other}", version=f"1.{other % 7}") for other in needed)
        requires = []
        for position, other in enumerate(needed):
            requirement = Requirement(f"package{other}>=1.0")
            requirement.marker = markers[(at + position) % len(markers)] if position and (at + position) % 3 == 0 else None
            requires.append(requirement)
        packages.append(
            LockedPackage(
                name=name,
                version=Version(f"1.{at % 7}"),
                requires_python=SpecifierSet(">=3.9"),
                index="https://example.org/simple",
                wheels=tuple(
                    LockedFile(filename=file, url=f"https://example.org/{file}", sha256=digest, size=at, index="https://example.org/simple")
                    for file in files
                ),
                dependencies=edges,
            )
        )
        for target, file in zip(TARGETS, files * 3 if pure else files, strict=False):
            _, version, build, found = parse_wheel_filename(file)
            facts[target].append(
                WheelFacts(
                    filename=file,
                    sha256=digest,
                    size=at,
                    name=name,
                    version=version,
                    build=build,
                    tags=found,
                    requires_python=SpecifierSet(">=3.9"),
                    requires=tuple(requires),
                    extras=frozenset({"more"}),
                    display_name=name,
                )
            )
    return tuple(packages), facts


if __name__ == "__main__":
    main(int(sys.argv[1]))

"""Every sdist of a folder becomes a wheel in one way: ``python build_child.py first|locked|both|alone|uv|pip FOLDER PROCESSES``."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path


def main(way: str, folder: str, processes: str) -> None:
    """The largest first, so many at a time."""
    place = Path(folder)
    sdists = sorted((place / "sdists").iterdir(), key=lambda path: -path.stat().st_size)
    with ExitStack() as stack:
        ways = {"first": _hardtack, "locked": _hardtack, "both": _hooks, "alone": _hooks, "uv": _uv, "pip": _pip}
        build = ways[way](place, place / way, stack)
        with ThreadPoolExecutor(int(processes)) as pool:
            list(pool.map(build, sdists))


def _hardtack(place: Path, work: Path, stack: ExitStack) -> Callable[[Path], object]:
    """As a run does it when sources and tools are in the store: judged, asked, built in the sandbox, judged."""
    from packaging.requirements import Requirement
    from packaging.utils import parse_wheel_filename

    from hardtack.building.build import bench
    from hardtack.building.environment import Environments
    from hardtack.building.interpreter import Interpreter, ask
    from hardtack.building.repair import find_repairer
    from hardtack.building.sandbox import find_sandbox
    from hardtack.building.workshop import Asker, Tool, Workshop
    from hardtack.model.wheel import SdistFacts
    from hardtack.reporting import Reporter
    from hardtack.system import environ
    from hardtack.system.cancellation import Cancellation
    from hardtack.system.uv import find_uv
    from hardtack.wheelhouse.sdist import inspect_sdist

    needed: dict[str, list[str]] = json.loads((place / "tools.json").read_text())

    def supply(asker: Asker, requires: Sequence[Requirement], interpreter: Interpreter) -> list[Tool]:  # noqa: ARG001 (the port's)
        found = []
        for name in needed[asker.filename]:
            project, version, _, _ = parse_wheel_filename(name)
            path = place / "wheels" / name
            found.append(Tool(name=project, version=str(version), filename=name, sha256=_digest(path), path=path))
        return found

    shop = Workshop(
        python=Path(sys.executable),
        uv=find_uv(work / "uv", environ.variables()),
        sandbox=find_sandbox(environ.variables()),
        work=work / "builds",
        cache_dir=work / "cache",
        supply=supply,
        reporter=Reporter(),
        stop=Cancellation(),
        repairer=find_repairer(),
    )
    environments = stack.enter_context(Environments(shop))

    def build(sdist: Path) -> None:
        facts = inspect_sdist(sdist, filename=sdist.name, sha256=_digest(sdist))
        assert isinstance(facts, SdistFacts)
        with bench(facts, sdist, shop=shop, interpreter=ask(shop.python), environments=environments) as made:
            wheel = made.wheel()
        wheel.path.replace(work / "out" / wheel.filename)

    return build


def _hooks(place: Path, work: Path, stack: ExitStack) -> Callable[[Path], object]:  # noqa: ARG001 (as its neighbours)
    """Unpacked, and called, in an environment that has everything: less than anybody can do."""
    import pyproject_hooks

    from hardtack.model.wheel import SdistFacts
    from hardtack.wheelhouse.sdist import inspect_sdist

    backends = {}
    for sdist in (place / "sdists").iterdir():
        facts = inspect_sdist(sdist, filename=sdist.name, sha256=_digest(sdist))
        assert isinstance(facts, SdistFacts)
        backends[sdist] = facts

    def build(sdist: Path) -> None:
        facts = backends[sdist]
        with tarfile.open(sdist) as archive:
            archive.extractall(work / "unpacked", filter="data")
        hooks = pyproject_hooks.BuildBackendHookCaller(
            str(work / "unpacked" / facts.top),
            facts.backend,
            backend_path=list(facts.backend_path) or None,
            runner=pyproject_hooks.quiet_subprocess_runner,
            python_executable=str(place / "environment" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")),
        )
        if work.name == "both":
            hooks.get_requires_for_build_wheel()
        hooks.build_wheel(str(work / "out"))

    return build


def _uv(place: Path, work: Path, stack: ExitStack) -> Callable[[Path], object]:  # noqa: ARG001 (as its neighbours)
    import uv

    command = [uv.find_uv_bin(), "build", "--wheel", "-q", "--offline", "--no-index", "--find-links", str(place / "wheels")]
    command += ["--python", sys.executable, "--cache-dir", str(place / "uv-cache"), "-o", str(work / "out")]
    return lambda sdist: subprocess.run([*command, str(sdist)], check=True)


def _pip(place: Path, work: Path, stack: ExitStack) -> Callable[[Path], object]:  # noqa: ARG001 (as its neighbours)
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--no-cache-dir",
        "--no-index",
        "--find-links",
        str(place / "wheels"),
    ]
    return lambda sdist: subprocess.run([*command, "-w", str(work / "out"), str(sdist)], check=True)


def _digest(path: Path) -> str:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


if __name__ == "__main__":
    main(*sys.argv[1:])

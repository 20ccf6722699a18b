"""``python -m bench build``: small real sdists become wheels, beside ``uv build``, ``pip wheel``, and the bare hooks of PEP 517."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

from bench.measure import Contender, interleaved, medians, plain_environment, public_environment
from bench.registry import Unavailable
from bench.report import Report, Row
from hardtack.model.wheel import SdistFacts
from hardtack.wheelhouse.sdist import inspect_sdist

# Every usual backend, and two small extensions in C.
SDISTS = ("cachetools 5.5.0", "docopt 0.6.2", "tabulate 0.9.0", "idna 3.10", "soupsieve 2.6", "tomlkit 0.13.2", "dep-logic 0.4.10",
          "markupsafe 3.0.2", "simplejson 3.19.3")  # fmt: skip
FIRST, LOCKED = "hardtack, first time", "hardtack, requirements locked"
BOTH, ALONE = "both hooks, environment ready", "build_wheel alone, environment ready"
UV, PIP = "uv build, isolated", "pip wheel, isolated"
_PROCESSES = 2
_SIMPLE = "https://pypi.org/simple"


def bench_build(data: Path, *, rounds: int) -> Report:
    """Two at a time; the wheels of build requirements lie in a folder, and nobody uses the network. uv's cache is warm.

    Locked: what backends answer to get_requires_for_build_wheel is known, as it is after ``hardtack lock``.
    """
    place = data / "build"
    _prepare(place)
    environment = plain_environment()
    wanted = len(SDISTS)

    def reset(way: str) -> None:
        for path in (place / way).glob("*"):
            if way != "locked" or path.name != "cache":
                shutil.rmtree(path)
        (place / way / "out").mkdir(parents=True)

    def check(way: str) -> None:
        if (made := len(list((place / way / "out").rglob("*.whl")))) != wanted:
            raise RuntimeError(f"{way} made {made} wheels of {wanted} sdists")

    ways = {FIRST: "first", LOCKED: "locked", BOTH: "both", ALONE: "alone", UV: "uv", PIP: "pip"}
    script = str(Path(__file__).with_name("build_child.py"))
    contenders = [
        Contender(
            name=name,
            command=[sys.executable, script, way, str(place), str(_PROCESSES)],
            reset=lambda way=way: reset(way),  # type: ignore[misc]
            check=lambda way=way: check(way),  # type: ignore[misc]
            environment=environment,
        )
        for name, way in ways.items()
    ]
    interleaved(contenders, rounds=1, log=data / "output.log")
    samples = interleaved(contenders, rounds=rounds, log=data / "output.log")
    found = {name: medians(rows) for name, rows in samples.items()}
    return Report(
        name="build",
        workload="",
        title=f"Building {wanted} sdists, {_PROCESSES} at a time",
        rows=[Row(name=name, sample=sample, rounds=len(samples[name])) for name, sample in found.items()],
        goals=[
            ("first time, wall, against both hooks", found[FIRST].wall / found[BOTH].wall, "<=", 1.5),
            ("requirements locked, wall, against build_wheel alone", found[LOCKED].wall / found[ALONE].wall, "<=", 1.5),
        ],
    )


def _prepare(place: Path) -> None:
    """The sdists, the wheels that they are built with, which of them each needs, and one environment of all: once."""
    if (place / "ready").exists():
        return
    import uv

    shutil.rmtree(place, ignore_errors=True)
    (place / "sdists").mkdir(parents=True)
    facts = [_fetched(place / "sdists", *text.split()) for text in SDISTS]
    requires = sorted({str(requirement) for one in facts for requirement in one.build_requires})
    _run([sys.executable, "-m", "pip", "download", "-q", "--only-binary", ":all:", "-d", str(place / "wheels"), *requires])
    local = ["--no-index", "--find-links", str(place / "wheels"), "--cache-dir", str(place / "uv-cache")]
    tools: dict[str, list[str]] = {}
    for one in facts:
        lock = place / "pylock.tools.toml"
        asked = "".join(f"{requirement}\n" for requirement in one.build_requires)
        compiled = [uv.find_uv_bin(), "pip", "compile", "-q", "--format", "pylock.toml", "--python", sys.executable, *local]
        _run([*compiled, "-o", str(lock), "-"], given=asked)
        tools[one.filename] = sorted(set(re.findall(r"[\w.+!-]+\.whl", lock.read_text())))
    (place / "tools.json").write_text(json.dumps(tools))
    _run([uv.find_uv_bin(), "venv", "-q", "--no-project", "--python", sys.executable, str(place / "environment")])
    wheels = sorted(str(path) for path in (place / "wheels").glob("*.whl"))
    _run([uv.find_uv_bin(), "pip", "install", "-q", "--python", str(place / "environment"), "--no-deps", *local, *wheels])
    (place / "ready").touch()


def _fetched(folder: Path, project: str, version: str) -> SdistFacts:
    try:
        with urllib.request.urlopen(f"{_SIMPLE}/{project}/", timeout=60) as answer:  # noqa: S310 (an https address)
            page = answer.read().decode()
        name = rf"{project.replace('-', '[-_.]')}-{re.escape(version)}\.tar\.gz"
        address = re.search(rf'href="([^"#]*/({name}))(?:#[^"]*)?"', page, re.IGNORECASE)
        if address is None:
            raise Unavailable(f"{project} {version} is not on {_SIMPLE}")
        path = folder / address[2]
        with urllib.request.urlopen(address[1], timeout=60) as answer:  # noqa: S310 (an https address)
            path.write_bytes(answer.read())
    except OSError as error:
        raise Unavailable(f"{_SIMPLE} cannot be reached: {error}") from error
    facts = inspect_sdist(path, filename=path.name, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    if not isinstance(facts, SdistFacts):
        raise Unavailable(f"{path.name} is not sound")
    return facts


def _run(command: list[str], *, given: str = "") -> None:
    done = subprocess.run(command, input=given, env=public_environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unavailable(f"{' '.join(command[:4])} failed: {done.stderr.strip()[-500:]}")

"""Code that means harm, in each tier, as root and as an ordinary user: it sees, reaches, changes and leaves nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import hardtack
from tests.building.hostile.attacks import BOMBS, DAEMONS, HOLDS, TIMED

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the sandboxes are Linux's")

ROOT = Path(__file__).parents[2]
NOBODY = 65534


def ordinary_python() -> Path | None:
    """A Python of 3.11 or later that every user may run."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        return None
    for name in ("python3.14", "python3.13", "python3.12", "python3.11", "python3"):
        found = shutil.which(name, path="/usr/bin:/usr/local/bin")
        if (
            found
            and subprocess.run([found, "-c", "import sys, ctypes; assert sys.version_info >= (3, 11)"], capture_output=True).returncode == 0
        ):
            return Path(found)
    return None


@pytest.fixture(scope="module")
def library() -> Iterator[Path]:
    """What the driver imports, where every user may read it: our own sources, the tests, and packaging."""
    import packaging

    with tempfile.TemporaryDirectory(prefix="hardtack-library-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        for source in (
            Path(hardtack.__file__).parent,
            Path(packaging.__file__).parent,
            ROOT / "tests" / "building",
            ROOT / "tests" / "support",
        ):
            target = folder / (source.name if source.parent.name != "tests" else f"tests/{source.name}")
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        (folder / "tests" / "__init__.py").touch()
        subprocess.run(["chmod", "-R", "a+rX", str(folder)], check=True)
        yield folder


@pytest.fixture(scope="module")
def outcome(library: Path) -> Any:
    """What came of all the attacks in a tier, as a user: (tier, "self" or "nobody")."""

    @cache
    def run(tier: str, user: str) -> dict[str, Any]:
        canary = f"canary-{os.urandom(8).hex()}"
        environment = {"PATH": os.defpath, "HARDTACK_CANARY": canary, "PYTHONPATH": str(library), "PYTHONDONTWRITEBYTECODE": "1"}
        program, before = Path(sys.executable), []
        if user == "nobody":
            python = ordinary_python()
            if python is None:
                pytest.skip("needs root, setpriv and a Python that every user may run")
            program, before = python, ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--"]
        command = [*before, str(program), "-m", "tests.building.hostile.driver", tier, canary]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd="/", timeout=120)
        assert done.returncode == 0, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        if answer.get("absent"):
            pytest.skip(f"{tier} does not work here")
        return answer

    return run


TIERS = [("bubblewrap", "self"), ("landlock+seccomp", "self"), ("bubblewrap", "nobody"), ("landlock+seccomp", "nobody")]


@pytest.mark.parametrize(("tier", "user"), TIERS)
@pytest.mark.parametrize("attack", HOLDS)
def test_nothing_is_seen_or_changed(outcome: Any, tier: str, user: str, attack: str) -> None:
    found = outcome(tier, user)
    assert found["name"] == tier
    told = found["outcomes"][attack]
    assert told["limit"] is None
    assert told["said"] == "[]", told["words"]
    assert told["changed"] == []
    assert told["survivors"] == []
    assert found["hits"] == []


@pytest.mark.parametrize(("tier", "user"), [*TIERS, ("none", "self")])
@pytest.mark.parametrize("bomb", [*BOMBS, *DAEMONS])
def test_a_bomb_ends_within_its_limits_and_nothing_survives(outcome: Any, tier: str, user: str, bomb: str) -> None:
    found = outcome(tier, user)
    told = found["outcomes"][bomb]
    assert told["survivors"] == []
    assert told["seconds"] < (8 if bomb in TIMED else 20), "its limit is 1.5 s"
    if bomb in BOMBS and bomb != "rabbits":  # whose first ends at once
        assert told["limit"] is not None or told["code"] != 0
    assert told["log"] <= 1 << 20
    assert told["size"] < 1 << 30
    assert found["peak"] < 200 << 20


@pytest.mark.parametrize(("tier", "user"), [*TIERS, ("none", "self")])
@pytest.mark.parametrize(
    ("bomb", "words"),
    [
        ("sleep", "longer than 1.5 s"),
        ("spin", "longer than 1.5 s"),
        ("memory-of-many", "400 MiB of memory"),
        ("shared-memory", "400 MiB of memory"),
        ("files", "grew by more than 64 MiB"),
        ("log", "1 MiB of output"),
    ],
)
def test_the_limit_is_named(outcome: Any, tier: str, user: str, bomb: str, words: str) -> None:
    assert words in (outcome(tier, user)["outcomes"][bomb]["limit"] or "none")


def test_files_are_given_back(outcome: Any) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root's builds run as another user")
    for tier in ("landlock+seccomp", "bubblewrap"):
        assert outcome(tier, "self")["outcomes"]["writes"]["owners"] == [0]

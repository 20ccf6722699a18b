from __future__ import annotations

import sys
from pathlib import Path

import pytest

from hardtack.building.sandbox import NoSandbox, Sandbox, Unconfined, find_sandbox
from hardtack.system import environ
from hardtack.system.uv import find_uv
from tests.building.projects import Bench, wheel_folder


@pytest.fixture(scope="session")
def confined() -> Sandbox:
    """A real sandbox, or a skip that says why there is none."""
    try:
        return find_sandbox(environ.variables(), require=True)
    except NoSandbox as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def landlocked() -> Sandbox:
    """The sandbox that needs no program, or a skip that says why there is none."""
    try:
        return find_sandbox({"PATH": "/nonexistent"}, require=True)
    except NoSandbox as error:
        pytest.skip(str(error))


@pytest.fixture(params=["none", "bubblewrap", "landlock+seccomp"])
def sandbox(request: pytest.FixtureRequest) -> Sandbox:
    """Each tier in turn."""
    if request.param == "none":
        return Unconfined(why="the test says so")
    found: Sandbox = request.getfixturevalue("confined" if request.param == "bubblewrap" else "landlocked")
    if found.name != request.param:
        pytest.skip(f"{request.param} does not work here")
    return found


@pytest.fixture
def bench(tmp_path: Path, sandbox: Sandbox) -> Bench:
    """A bench without any wheel for build requirements."""
    cache = tmp_path / "cache"
    return Bench(
        uv=find_uv(cache, environ.variables()),
        sandbox=sandbox,
        work=tmp_path / "work",
        python=Path(sys.executable),
        links=wheel_folder(tmp_path / "links"),
        cache=cache,
    )

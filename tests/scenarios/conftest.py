"""Fixtures of the scenarios."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scenarios.yard import Yard
from tests.support.loopback import LoopbackIndex


@pytest.fixture
def index() -> Iterator[LoopbackIndex]:
    """An index on loopback, empty."""
    with LoopbackIndex() as running:
        yield running


@pytest.fixture
def second() -> Iterator[LoopbackIndex]:
    """Another index on loopback, empty."""
    with LoopbackIndex() as running:
        yield running


@pytest.fixture
def yard(tmp_path: Path, index: LoopbackIndex) -> Yard:
    """A project and its index."""
    project, home = tmp_path / "project", tmp_path / "home"
    project.mkdir()
    home.mkdir()
    return Yard(project=project, home=home, index=index)

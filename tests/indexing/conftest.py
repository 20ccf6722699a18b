"""Fixtures of this room."""

from __future__ import annotations

import pytest

from tests.support.certificates import Authority


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A private certificate authority."""
    return Authority.make(tmp_path_factory.mktemp("authority"))

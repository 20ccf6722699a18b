"""The Pythons of a development machine, where it has them."""

from __future__ import annotations

from pathlib import Path

import pytest

VERSIONS = ("3.8", "3.9", "3.10", "3.11", "3.12", "3.13")


def interpreter(version: str) -> Path:
    """One Python of this minor version, from pyenv's folder; skips the test where there is none."""
    found = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    if not found:
        pytest.skip(f"no CPython {version} in pyenv's versions folder")
    return found[-1]

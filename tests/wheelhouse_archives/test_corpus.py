"""The shared corpus of bad and good archives: nothing bad is accepted, nothing good is refused."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from hardtack.model.wheel import SdistFacts
from hardtack.wheelhouse.sdist import extract_sdist
from tests.wheelhouse_archives.judge import errors, judge_sdist, judge_wheel, warnings

ROOT = Path(os.environ.get("HARDTACK_CORPUS") or Path(__file__).parents[3] / "shared" / "corpus")
MANIFEST = ROOT / "manifest.json"
CASES: list[dict[str, Any]] = json.loads(MANIFEST.read_text("utf-8"))["cases"] if MANIFEST.is_file() else []
pytestmark = pytest.mark.skipif(not CASES, reason="no corpus: set HARDTACK_CORPUS, or put it at shared/corpus beside the checkout")


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["id"]))
def test_case(case: dict[str, Any], tmp_path: Path) -> None:
    path = ROOT / case["file"]
    judge = judge_wheel if case["kind"] == "wheel" else judge_sdist
    verdict = judge(tmp_path, path.read_bytes(), path.name)
    if case["expect"] == "reject":
        assert errors(verdict), case["why"]
    elif case["expect"] == "accept":
        assert not errors(verdict), (case["why"], verdict.findings)
    if isinstance(verdict, SdistFacts):
        top = extract_sdist(tmp_path / "judged", verdict, tmp_path / "out")
        assert sorted((tmp_path / "out").iterdir()) == [top]
        assert not any(found.lstat().st_mode & 0o7022 for found in top.rglob("*") if not found.is_symlink())


def test_what_is_legal_but_must_be_shown(tmp_path: Path) -> None:
    path = next(ROOT / case["file"] for case in CASES if case["id"] == "data-pth")
    assert "start-up-code" in warnings(judge_wheel(tmp_path, path.read_bytes(), path.name))

"""The whole corpus: nothing bad is accepted, nothing good refused, and no case ends in anything but a verdict."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from hardtack.errors import HardtackError
from tests.building.conftest import bench, confined, landlocked, sandbox  # noqa: F401 - fixtures
from tests.building.projects import Bench, build, source
from tests.building.test_build import BAD_ANSWERS, WRONG
from tests.corpus.case import Case
from tests.corpus.every import every_case, of_kind
from tests.corpus.judging import judge

# Those run where they are written.
_ELSEWHERE = {f"backend:{label}" for label in {**WRONG, **BAD_ANSWERS}}


@pytest.mark.parametrize("case", [case for case in every_case() if case.kind not in ("answer", "backend")], ids=lambda case: str(case.id))
def test_case(case: Case, tmp_path: Path) -> None:
    verdict, words = judge(case, tmp_path)
    assert verdict == case.verdict, f"{case.reason}: {words}"


@pytest.mark.parametrize("case", of_kind("answer"), ids=lambda case: str(case.id))
def test_answer(case: Case, tmp_path: Path) -> None:
    verdict, words = judge(case, tmp_path)
    assert verdict == case.verdict, f"{case.reason}: {words}"


@pytest.mark.skipif(sys.platform == "win32", reason="builds need POSIX processes")
@pytest.mark.parametrize("sandbox", ["none"], indirect=True)
@pytest.mark.parametrize("case", [case for case in of_kind("backend") if case.id not in _ELSEWHERE], ids=lambda case: str(case.id))
def test_backend(case: Case, bench: Bench, tmp_path: Path) -> None:  # noqa: F811 - the fixture
    made = source(tmp_path, case.make().decode("utf-8"))
    if case.verdict == "accept":
        assert build(bench, made).filename == "mini-1.0-py3-none-any.whl"
        return
    with pytest.raises(HardtackError):
        build(bench, made)
    assert not list(bench.work.rglob("*.whl")), "something of a refused build stayed"


def test_the_corpus_is_the_same_each_time_and_large() -> None:
    cases = every_case()
    assert len([case for case in cases if case.level != "control"]) > 2 * 118
    assert [case.make() for case in cases[::40]] == [case.make() for case in cases[::40]]

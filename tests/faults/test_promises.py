"""The fault commands of bench/promises, each with a few runs: what they measure for minutes holds in small."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from bench.promises.durability import whole_calls
from bench.promises.figures import Figure, Settings, Tally
from bench.promises.grounds import world, wrong_entries
from bench.promises.killing import kill_runs
from bench.promises.register import MEASURES
from bench.promises.report import record
from bench.promises.sharing import share
from bench.promises.watching import Watch

from tests.support.running import wait_for

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="faults are watched with Linux's own means")


def test_killed_and_run_again(tmp_path: Path) -> None:
    kills = kill_runs(Settings(folder=tmp_path, seed=3), runs=3)
    assert kills.results.missed == []
    assert kills.junk.missed == []
    assert kills.wrong == []
    assert kills.seen > 100


def test_processes_on_one_store_and_one_wheelhouse(tmp_path: Path) -> None:
    figure = share(Settings(folder=tmp_path), rounds=1, processes=3)
    assert figure.missed == ()


def test_a_wrong_entry_is_seen(tmp_path: Path) -> None:
    """The measure itself can fail."""
    entry = tmp_path / "files" / "ab" / ("c" * 62)
    entry.parent.mkdir(parents=True)
    seen: list[Path] = []
    with Watch(tmp_path, seen.append):
        entry.write_bytes(b"not what its name says")
        os.replace(entry, entry.with_name("d" * 62))
        wait_for(lambda: entry.with_name("d" * 62) in seen)
    assert entry in seen
    assert wrong_entries(tmp_path) == [f"ab/{'d' * 62}"]


def test_a_missed_promise_is_told() -> None:
    tally = Tally()
    tally.expect(True, "well")
    tally.expect(False, "what was wrong")
    figure = tally.figure("1", "tries", "2 of 2")
    assert not figure.kept
    assert (figure.figure, figure.missed) == ("1 of 2", ("what was wrong",))
    assert not Tally().figure("1", "nothing tried", "all").kept


def test_calls_that_others_came_between_are_whole() -> None:
    log = '1 fsync(3</a> <unfinished ...>\n2 rename("/b", "/c") = 0\n1 <... fsync resumed>) = 0\n'
    assert list(whole_calls(log)) == ['rename("/b", "/c") = 0', "fsync(3</a> ) = 0"]


def test_figures_go_into_their_lines(tmp_path: Path) -> None:
    document = tmp_path / "promises.md"
    document.write_text("| row | promise | command | last figure |\n|---|---|---|---|\n| 7 | flips | x | none |\n| 17 | y | z | none |\n")
    record([Figure(row="7", what="flips", figure="0 of 10", goal="0")], document)
    lines = document.read_text().splitlines()
    assert lines[2].startswith("| 7 | flips | x | 0 of 10 (")
    assert lines[3] == "| 17 | y | z | none |"


def test_every_row_has_a_line_and_a_command() -> None:
    text = (Path(__file__).parents[2] / "docs" / "promises.md").read_text(encoding="utf-8")
    for measure in MEASURES:
        for row in measure.rows:
            assert f"\n| {row} | " in text, row


def test_the_world_is_whole(tmp_path: Path) -> None:
    with world(tmp_path) as ground:
        assert len(ground.index.files) == 9

"""Any single byte of a wheel may be changed: it is refused, or nothing that is installed differs (promise 7)."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hardtack.model.wheel import WheelFacts
from tests.support.archives import make_sdist, make_wheel
from tests.wheelhouse_archives.judge import judge_sdist, judge_wheel

FILENAME, DATA = make_wheel("demo", requires=["click>=8"])
SDIST_NAME, SDIST = make_sdist("demo", pyproject="[build-system]\nrequires = []\n", files={"demo.py": b"x = 1\n"})

# Within a record of the central directory: version made by, internal attributes, external attributes (permission bits).
HARMLESS = {4, 5, 36, 37, 38, 39, 40, 41}


def harmless_positions() -> set[int]:
    position, found = DATA.index(b"PK\1\2"), set()
    while DATA[position : position + 4] == b"PK\1\2":
        found |= {position + offset for offset in HARMLESS}
        position += 46 + sum(struct.unpack_from("<3H", DATA, position + 28))
    return found


def test_every_flip_is_found(tmp_path: Path) -> None:
    whole = judge_wheel(tmp_path, DATA, FILENAME)
    assert isinstance(whole, WheelFacts)
    unnoticed = set()
    for position in range(len(DATA)):
        for mask in (0x01, 0x20, 0x80):
            flipped = bytearray(DATA)
            flipped[position] ^= mask
            verdict = judge_wheel(tmp_path, bytes(flipped), FILENAME)
            if isinstance(verdict, WheelFacts):
                unnoticed.add(position)
                assert replace(verdict, sha256=whole.sha256) == whole
    assert unnoticed <= harmless_positions()


def test_every_cut_is_found(tmp_path: Path) -> None:
    for length in range(len(DATA)):
        assert not isinstance(judge_wheel(tmp_path, DATA[:length], FILENAME), WheelFacts)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 2000), st.binary(max_size=6)), min_size=1, max_size=4))
def test_no_damage_is_more_than_a_finding(tmp_path: Path, damage: list[tuple[int, bytes]]) -> None:
    for data, name, judge in ((DATA, FILENAME, judge_wheel), (SDIST, SDIST_NAME, judge_sdist)):
        hurt = bytearray(data)
        for position, patch in damage:
            at = position % len(hurt)
            hurt[at : at + len(patch)] = patch
        judge(tmp_path, bytes(hurt), name)

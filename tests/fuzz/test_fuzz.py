"""Mutants of the corpus, a few of each kind every time; and every input that ever broke something, in tests/corpus."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.mutating import damaged, mutated
from tests.fuzz.properties import KINDS, check
from tests.fuzz.seeds import seeds

_NAMES = {"wheel": "demo-1.0-py3-none-any.whl", "sdist": "demo-1.0.tar.gz", "page": "text/html"}


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(number=st.integers(0, 2**32))
def test_a_mutant_is_refused_or_read_as_others_read_it(kind: str, number: int, tmp_path: Path) -> None:
    chance = random.Random(number)
    found = seeds(kind)
    name, seed = chance.choice(found)
    check(kind, name, mutated(kind, seed, [data for _, data in found], chance), tmp_path)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=400))
def test_any_bytes_are_refused_or_read(kind: str, data: bytes, tmp_path: Path) -> None:
    check(kind, _NAMES.get(kind, ""), data, tmp_path)


def test_mutants_are_the_same_for_the_same_seed() -> None:
    one, two = ([damaged(b"x" * 300, [b"y"], random.Random(seed)) for seed in range(40)] for _ in range(2))
    assert one == two
    assert len(set(one)) > 20


@pytest.mark.parametrize("kind", KINDS)
def test_seeds_are_sound_or_not_and_both(kind: str, tmp_path: Path) -> None:
    assert any(check(kind, name, data, tmp_path) for name, data in seeds(kind))

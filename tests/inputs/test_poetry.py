"""Poetry's version constraints. Expectations from its documentation of dependency specification."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from hardtack.errors import InputError
from hardtack.inputs.poetry import constraint, python_specifier


@pytest.mark.parametrize(
    ("poetry", "lowest", "first_outside"),
    [
        # https://python-poetry.org/docs/dependency-specification/: the tables of caret and tilde requirements
        ("^1.2.3", "1.2.3", "2.0.0"),
        ("^1.2", "1.2.0", "2.0.0"),
        ("^1", "1.0.0", "2.0.0"),
        ("^0.2.3", "0.2.3", "0.3.0"),
        ("^0.0.3", "0.0.3", "0.0.4"),
        ("^0.0", "0.0.0", "0.1.0"),
        ("^0", "0.0.0", "1.0.0"),
        ("~1.2.3", "1.2.3", "1.3.0"),
        ("~1.2", "1.2.0", "1.3.0"),
        ("~1", "1.0.0", "2.0.0"),
        ("~ 1.2", "1.2.0", "1.3.0"),
        ("~=1.2.3", "1.2.3", "1.3.0"),
        ("1.*", "1.0.0", "2.0.0"),
        ("1.2.*", "1.2.0", "1.3.0"),
        (">=1.2, <1.5", "1.2", "1.5"),
        (">= 1.2 <1.5", "1.2", "1.5"),
        ("==1.2.*", "1.2", "1.3"),
        ("^2020.0.1", "2020.0.1", "2021"),
        ("^1!2.3", "1!2.3", "1!3"),
    ],
)
def test_a_range_begins_and_ends_where_poetry_says(poetry: str, lowest: str, first_outside: str) -> None:
    allowed = SpecifierSet(constraint(poetry))
    assert allowed.contains(lowest)
    assert not allowed.contains(first_outside)
    if "*" not in poetry:
        assert not allowed.contains(f"{lowest}.dev0", prereleases=True)


@pytest.mark.parametrize("exact", ["1.2.3", "==1.2.3", "=1.2.3", "= 1.2.3", "v1.2.3"])
def test_a_bare_version_is_exact(exact: str) -> None:
    assert constraint(exact) == "==1.2.3"


def test_a_star_allows_everything() -> None:
    assert constraint("*") == constraint("") == ""


@pytest.mark.parametrize("text", ["^1 || ^2", "^1|^2", "^x", "~", ">=>1", "one", "^1.2.3.*", "latest", "1.2.3 -> 2"])
def test_what_no_standard_specifier_can_say_is_an_error(text: str) -> None:
    with pytest.raises(InputError):
        constraint(text)


@pytest.mark.parametrize(
    ("text", "spans"), [("^3.8", "<4,>=3.8"), ("~2.7 || ^3.6", "<4,>=2.7"), (">=3.8", ">=3.8"), ("^2.7 || >=3.6", ">=2.7")]
)
def test_pythons_with_alternatives_span_them(text: str, spans: str) -> None:
    assert str(python_specifier(text)) == spans


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=3), st.lists(st.integers(0, 4), min_size=3, max_size=3))
def test_a_caret_keeps_the_first_number_that_is_not_zero(release: list[int], other: list[int]) -> None:
    """From Poetry's words: an update is allowed if it does not modify the left-most non-zero digit."""
    text = ".".join(map(str, release))
    candidate = Version(".".join(map(str, other)))
    position = next((index for index, number in enumerate(release) if number), len(release) - 1)
    same = list(candidate.release[: position + 1]) == release[: position + 1]
    assert SpecifierSet(constraint(f"^{text}")).contains(candidate) == (same and candidate >= Version(text))

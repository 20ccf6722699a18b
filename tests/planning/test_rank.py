"""Ranking wheels for a target, and the words for what does not fit."""

from __future__ import annotations

from itertools import pairwise
from urllib.parse import unquote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from packaging.tags import create_compatible_tags_selector
from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from packaging.version import Version

from hardtack.model.fit import read_wheel_name
from hardtack.model.lock import LockedFile
from hardtack.model.target import Target
from hardtack.planning.rank import Ranker, fitting
from hardtack.targets.catalog import parse_target


def locked(*names: str) -> tuple[LockedFile, ...]:
    return tuple(LockedFile(filename=name, url=f"https://files.example/{name}", sha256="0" * 64) for name in names)


def order(target: str, *names: str) -> list[str]:
    return [file.filename for file in fitting(locked(*names), parse_target(target)).fitting]


def reason(target: str, tag: str) -> str:
    (rejected,) = fitting(locked(f"a-1-{tag}.whl"), parse_target(target)).rejected
    return rejected.reason


def test_compiled_wheel_below_the_floor_beats_the_pure_one() -> None:
    """E1: the floor of 2.28 takes a manylinux_2_17 wheel; the pure wheel of coverage would be a silent downgrade."""
    compiled = "coverage-7.8.0-cp312-cp312-manylinux_2_5_x86_64.manylinux1_x86_64.manylinux_2_17_x86_64.manylinux2014_x86_64.whl"
    assert order("py312-linux-x86_64", "coverage-7.8.0-py3-none-any.whl", compiled)[0] == compiled


def test_nearest_glibc_comes_first() -> None:
    names = [f"a-1-cp312-cp312-manylinux_2_{minor}_x86_64.whl" for minor in (5, 28, 17, 34, 27)]
    assert order("py312-linux-x86_64", *names) == [f"a-1-cp312-cp312-manylinux_2_{minor}_x86_64.whl" for minor in (28, 27, 17, 5)]


def test_build_tag_decides_between_equal_tags_only() -> None:
    """PEP 427: the build number is a tie-breaker, first as a number, then as text."""
    names = ["a-1-2-py3-none-any.whl", "a-1-py3-none-any.whl", "a-1-10-py3-none-any.whl", "a-1-10b-py3-none-any.whl"]
    native = "a-1-cp312-cp312-manylinux_2_17_x86_64.whl"
    assert order("py312-linux-x86_64", *names, native) == [native, names[3], names[2], names[0], names[1]]


def test_every_file_but_the_best_has_a_reason() -> None:
    names = ["a-1-2-py3-none-any.whl", "a-1-1-py3-none-any.whl", "a-1-cp39-cp39-win32.whl", "a-1-cp312-cp312-linux_x86_64.whl", "odd.whl"]
    ranked = fitting(locked(*names), parse_target("py312-linux-x86_64"))
    assert {one.filename: one.reason for one in ranked.rejected} == {
        names[1]: "an older build tag",
        names[2]: "built for CPython 3.9, for Windows x86",
        names[3]: "a plain linux wheel, which promises no glibc or musl version",
        names[4]: "unreadable file name",
    }


@pytest.mark.parametrize(
    ("target", "tag", "words"),
    [
        ("py312-linux-x86_64", "cp311-cp311-manylinux_2_17_x86_64", "built for CPython 3.11"),
        ("py312-linux-x86_64", "cp312-cp312-manylinux_2_34_x86_64", "needs glibc 2.34, the target has 2.28"),
        ("py312-linux-x86_64-glibc2_12", "cp312-cp312-manylinux2014_x86_64", "needs glibc 2.17, the target has 2.12"),
        ("py312-linux-x86_64", "cp312-cp312-musllinux_1_2_x86_64", "musl, the target has glibc"),
        ("py312-linux-x86_64-musl", "cp312-cp312-manylinux2014_x86_64", "glibc, the target has musl"),
        ("py312-linux-x86_64", "cp312-cp312-macosx_11_0_arm64", "for macOS arm64"),
        ("py312-linux-x86_64", "cp313-cp313t-manylinux_2_17_x86_64", "built for CPython 3.13, free-threaded"),
        ("py313-linux-x86_64", "cp313-cp313t-manylinux_2_17_x86_64", "free-threaded build"),
        ("py313t-linux-x86_64", "cp313-cp313-manylinux_2_17_x86_64", "not a free-threaded build, the target is one"),
        ("py313t-linux-x86_64", "cp39-abi3-manylinux_2_17_x86_64", "abi3, which a free-threaded build does not load"),
        ("py39-linux-x86_64", "cp312-abi3-manylinux_2_17_x86_64", "abi3 for CPython 3.12 and newer"),
        ("py312-linux-x86_64", "py2-none-any", "py2 only"),
        ("py310-linux-x86_64", "py312-none-any", "for Python 3.12 and newer"),
        ("py312-linux-x86_64", "pp310-pypy310_pp73-manylinux_2_17_x86_64", "built for PyPy 3.10"),
        ("py312-macos-arm64", "cp312-cp312-macosx_14_0_arm64", "needs macOS 14.0, the target has 11.0"),
        ("py312-macos-arm64", "cp312-cp312-macosx_10_9_x86_64", "for macOS x86_64"),
        ("py312-macos-arm64", "cp312-cp312-macosx_14_0_universal2", "needs macOS 14.0, the target has 11.0"),
        ("py312-windows-x86_64", "cp312-cp312-win32", "for Windows x86"),
        ("py312-linux-aarch64", "cp312-cp312-manylinux_2_17_x86_64", "for Linux x86_64"),
        # Of several tags the nearest speaks.
        ("py312-linux-x86_64", "cp312-cp312-manylinux_2_34_x86_64.musllinux_1_2_x86_64.win_amd64", "needs glibc 2.34, the target has 2.28"),
        ("py312-linux-x86_64", "cp27.cp312-none-win_amd64", "for Windows x86_64"),
    ],
)
def test_words(target: str, tag: str, words: str) -> None:
    assert reason(target, tag) == words


def test_another_projects_wheel_is_not_taken() -> None:
    ranked = fitting(locked("evil-1-py3-none-any.whl", "a-2-py3-none-any.whl"), parse_target("py312-linux-x86_64"), name="a")
    assert [file.filename for file in ranked.fitting] == ["a-2-py3-none-any.whl"]
    assert ranked.rejected[0].reason == "a wheel of another project, evil"


def test_another_versions_wheel_is_not_taken() -> None:
    ranked = fitting(locked("a-2-py3-none-any.whl", "a-1.0-py3-none-any.whl"), parse_target("py312-linux-x86_64"), version=Version("1"))
    assert [file.filename for file in ranked.fitting] == ["a-1.0-py3-none-any.whl"]
    assert ranked.rejected[0].reason == "a wheel of another version, 2"


def test_percent_encoded_local_version_is_read() -> None:
    assert order("py312-linux-x86_64", "torch-2.0%2Bcu128-py3-none-any.whl") == ["torch-2.0%2Bcu128-py3-none-any.whl"]


TARGETS = [parse_target(name) for name in ("py312-linux-x86_64", "py313t-macos-arm64", "py311-windows-x86_64", "py310-linux-aarch64-musl")]
PYTHONS = [
    "cp312-cp312",
    "cp313-cp313t",
    "cp313-cp313",
    "cp311-cp311",
    "cp310-cp310",
    "cp39-abi3",
    "py3-none",
    "py2.py3-none",
    "cp312-none",
]
PLATFORMS = [
    "any",
    "win_amd64",
    "macosx_11_0_arm64",
    "macosx_12_0_universal2",
    "manylinux_2_17_x86_64.manylinux2014_x86_64",
    "manylinux_2_34_x86_64",
    "musllinux_1_1_aarch64",
    "linux_x86_64",
]


@given(
    st.sampled_from(TARGETS),
    st.lists(st.tuples(st.sampled_from(PYTHONS), st.sampled_from(PLATFORMS), st.sampled_from(["", "-1", "-2a", "-11"])), unique=True),
)
@settings(max_examples=80, deadline=None)
def test_agrees_with_packaging_and_leaves_no_file_unexplained(target: Target, wheels: list[tuple[str, str, str]]) -> None:
    names = [f"a-1{build}-{python}-{platform}.whl" for python, platform, build in wheels]
    ranked = Ranker(target).rank(locked(*names), name="a")
    parsed = {name: parse_wheel_filename(name) for name in names}
    expected = list(create_compatible_tags_selector(target.tags)((name, parsed[name][-1]) for name in names))
    found = [file.filename for file in ranked.fitting]
    assert sorted(found) == sorted(expected)
    supported = list(target.tags)

    def rank(name: str) -> int:
        return min(supported.index(tag) for tag in parsed[name][-1] if tag in supported)

    assert [rank(name) for name in found] == sorted(rank(name) for name in found)
    for one, other in pairwise(found):
        if rank(one) == rank(other):
            assert (parsed[one][2] or (-1, "")) >= (parsed[other][2] or (-1, ""))
    assert {*found[:1], *(one.filename for one in ranked.rejected)} == set(names)
    assert all(one.reason for one in ranked.rejected)


@given(st.text(alphabet="a1-_.%2py3nonecp+é\n", max_size=40))
@example("a-1-1-py3-none-any.whl")
@example("a-1--py3-none-any.whl")
@example("a-1-py3-none-.whl")
@example("a-1-3-none-any.whl")
@example("a__b-1-py3-none-any.whl")
@example("py3-none-any")
@settings(max_examples=200, deadline=None)
def test_names_are_read_as_packaging_reads_them(stem: str) -> None:
    for filename in (f"{stem}.whl", f"{stem}-py3-none-any.whl", f"a-1.0-{stem}.whl", stem):
        try:
            expected = parse_wheel_filename(unquote(filename))
        except InvalidWheelFilename:
            assert read_wheel_name(filename) is None
        else:
            found = read_wheel_name(filename)
            assert found is not None and (found.name, found.version, found.build, found.tags) == expected

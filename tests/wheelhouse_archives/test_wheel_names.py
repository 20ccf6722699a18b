"""What members and wheels may be called."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hardtack.wheelhouse.faults import Faults
from hardtack.wheelhouse.member_names import collisions, name_fault
from hardtack.wheelhouse.wheel_names import read_wheel_name
from tests.wheelhouse_archives.judge import errors, judge_wheel, warnings
from tests.wheelhouse_archives.raw_zip import FILENAME, WHEEL, Member, members_of, wheel_files, write_zip

UNSAFE = [
    "",
    ".",
    "..",
    "/",
    "//",
    "a//b",
    "a/./b",
    "./a",
    "a/..",
    "../a",
    "a/../b",
    "/etc/passwd",
    "//server/share",
    "C:/x",
    "c:x",
    "a\\b",
    "..\\a",
    "a\0b",
    "a\nb",
    "a\rb",
    "a\tb",
    "a\x1b[31mb",
    "a\x7fb",
    "a\x85b",
    "a\u202eb",
    "a\u200bb",
    "a\ufeffb",
    "a\u2028b",
    "a/" * 140 + "b",
    "x" * 256,
    "é" * 128,
    "a/" + "y" * 300 + "/b",
    "z" * 5000,
]
WINDOWS = [
    "CON",
    "con.txt",
    "a/NUL",
    "a/nul/b",
    "aux.py",
    "prn",
    "COM1",
    "com9.tar.gz",
    "LPT1.x",
    "com¹",
    "CONIN$",
    "con .txt",
    "nul.",
    "a.",
    "a /b",
    "a../b",
    "a<b",
    "a>b",
    'a"b',
    "a|b",
    "a?b",
    "a*b",
    "ab:c/d",
    "ab:stream",
]
SAFE = [
    "a",
    "a.py",
    "a/b.py",
    ".hidden",
    "a/.b/c",
    "a..b",
    "a...b/c",
    "...a",
    "a b/c d.txt",
    " a",
    "a/ b",
    "é/ü.py",
    "日本語/テスト.py",
    "a/",
    "_",
    "-",
    "console.py",
    "auxiliary/con_.py",
    "com10",
    "nullable",
    "a@b",
    "x+y~z",
    "a,b",
    "{a}",
    "[b]",
    "(c)",
    "a&b",
    "a'b",
    "a%b",
    "a#b",
    "a$b",
    "a!b",
    "a;b",
    "a=b",
    "x" * 255,
    "x\u200cy.txt",
]


@pytest.mark.parametrize("name", UNSAFE)
def test_unsafe_names(name: str) -> None:
    fault = name_fault(name)
    assert fault is not None
    assert not fault.windows_only


@pytest.mark.parametrize("name", WINDOWS)
def test_names_that_only_windows_cannot_have(name: str) -> None:
    fault = name_fault(name)
    assert fault is not None
    assert fault.windows_only


@pytest.mark.parametrize("name", SAFE)
def test_safe_names(name: str) -> None:
    assert name_fault(name) is None


@example("a/.")
@given(st.text(st.sampled_from("ab./\\: \n\0é~-"), max_size=12))
def test_a_name_without_fault_stays_inside_and_is_canonical(name: str) -> None:
    if name_fault(name) is None:
        parts = name.removesuffix("/").split("/")
        assert all(part not in ("", ".", "..") for part in parts)
        assert not set(name) & set("\\:\n\0")
        assert not any(part.endswith((".", " ")) for part in parts)


@pytest.mark.parametrize(
    ("names", "folded"),
    [
        (["a", "a"], False),
        (["a/b", "a"], False),
        (["a", "a/b"], False),
        (["a", "a/b/c"], False),
        (["d/", "d"], False),
        (["d/", "d/"], False),
        (["A", "a"], True),
        (["a/B", "A/b"], True),
        (["Pkg/a", "pkg/b"], True),
        (["straße", "STRASSE"], True),
        (["A/b", "a"], True),
        ([unicodedata.normalize("NFC", "é"), unicodedata.normalize("NFD", "é")], True),
        (["\u017f", "s"], True),
    ],
)
def test_collisions(names: list[str], folded: bool) -> None:
    assert {collision.folded for collision in collisions(names)} == {folded}


def test_what_does_not_collide() -> None:
    assert collisions(["a/b", "a/c", "a/", "ab", "b/a", "e", "é", "a.b", "a/b.c"]) == []


@pytest.mark.parametrize("name", [name for name in UNSAFE if len(name) < 5000])
def test_a_wheel_with_an_unsafe_name_is_refused(name: str, tmp_path: Path) -> None:
    # RECORD is right as far as CSV can say it: the name alone must be enough.
    members = [*members_of(wheel_files()), Member(name=name.encode(), data=b"", flags=0 if name.isascii() else 1 << 11)]
    assert errors(judge_wheel(tmp_path, write_zip(members), FILENAME)) >= {"zip-name"}


PLATFORM = "demo-1.0-cp312-cp312-{}.whl"


@pytest.mark.parametrize(
    ("platform", "refused"), [("win_amd64", True), ("manylinux_2_17_x86_64", False), ("manylinux_2_17_x86_64.win32", True), ("any", True)]
)
def test_names_that_windows_cannot_have_matter_where_windows_can_install(platform: str, refused: bool, tmp_path: Path) -> None:
    filename = PLATFORM.format(platform)
    tags = "".join(f"Tag: cp312-cp312-{one}\n" for one in platform.split("."))
    files = wheel_files({"demo/aux.py": b""}, wheel=WHEEL.replace("Tag: py3-none-any\n", tags))
    verdict = judge_wheel(tmp_path, write_zip(members_of(files)), filename)
    assert errors(verdict) == ({"zip-name"} if refused else set())
    assert "zip-name" in errors(verdict) | warnings(verdict)


@pytest.mark.parametrize(("platform", "refused"), [("macosx_11_0_arm64", True), ("musllinux_1_2_x86_64", False)])
def test_names_that_differ_in_case_matter_where_case_does_not(platform: str, refused: bool, tmp_path: Path) -> None:
    files = wheel_files({"demo/Mod.py": b"", "demo/mod.py": b"1"}, wheel=WHEEL.replace("py3-none-any", f"cp312-cp312-{platform}"))
    verdict = judge_wheel(tmp_path, write_zip(members_of(files)), PLATFORM.format(platform))
    assert errors(verdict) == ({"zip-collision"} if refused else set())


def test_one_name_twice_is_refused_on_every_platform(tmp_path: Path) -> None:
    files = wheel_files(wheel=WHEEL.replace("py3-none-any", "cp312-cp312-linux_x86_64"))
    members = [*members_of(files), *members_of({"demo/__init__.py": b"answer = 42\n"})]
    assert errors(judge_wheel(tmp_path, write_zip(members), PLATFORM.format("linux_x86_64"))) == {"zip-collision"}


def test_a_name_that_two_readers_decode_in_two_ways_is_refused(tmp_path: Path) -> None:
    files = wheel_files({"demo/é.py": b""})
    members = members_of(files)
    assert errors(judge_wheel(tmp_path, write_zip(members), FILENAME)) == set()
    unmarked = [Member(name=member.name, data=member.data) for member in members]
    assert errors(judge_wheel(tmp_path, write_zip(unmarked), FILENAME)) == {"zip-name"}


@pytest.mark.parametrize(
    ("filename", "code"),
    [
        ("demo-1.0-py3-none.whl", "file-name"),
        ("demo-1.0-1-2-py3-none-any.whl", "file-name"),
        ("demo-1.0-x1-py3-none-any.whl", "file-name"),
        ("demo-1.0-py3-none-any.zip", "file-name"),
        ("demo-one-py3-none-any.whl", "file-name"),
        ("-1.0-py3-none-any.whl", "file-name"),
        ("de mo-1.0-py3-none-any.whl", "file-name"),
        ("../demo-1.0-py3-none-any.whl", "file-name"),
        ("demo-1.0--py3-none-any.whl", "file-name"),
        ("demo-1.0-py3-none-.whl", "tags"),
        ("demo-1.0-py3..py2-none-any.whl", "tags"),
        ("demo-1.0-py3-none-a\nny.whl", "tags"),
        ("demo-1.0-3py-none-any.whl", "tags"),
        ("demo-" + "9" * 5000 + "-py3-none-any.whl", "file-name"),
        ("demo-1.0-" + ".".join(f"cp3{n}" for n in range(40)) + "-none-" + ".".join(f"p{n}" for n in range(40)) + ".whl", "tags"),
    ],
)
def test_file_names_that_are_refused(filename: str, code: str) -> None:
    faults = Faults("x")
    assert read_wheel_name(filename, faults) is None
    assert [finding.code for finding in faults.findings()] == [code]


@pytest.mark.parametrize(
    ("filename", "name", "version", "build", "tags", "warned"),
    [
        ("Demo.Thing-1.0-py2.py3-none-any.whl", "demo-thing", "1.0", (), 2, False),
        ("demo__thing-01.0-py3-none-any.whl", "demo-thing", "1.0", (), 1, True),
        ("demo-1!2.0+cpu.1-12b-cp39-abi3-win_amd64.whl", "demo", "1!2.0+cpu.1", (12, "b"), 1, False),
        ("demo-1.0_rc1-py3-none-any.whl", "demo", "1.0rc1", (), 1, True),
    ],
)
def test_file_names_that_are_read(filename: str, name: str, version: str, build: object, tags: int, warned: bool) -> None:
    faults = Faults("x")
    found = read_wheel_name(filename, faults)
    assert found is not None
    assert (found.name, str(found.version), found.build, len(found.tags)) == (name, version, build, tags)
    assert bool(faults.findings()) == warned

"""A second run builds nothing, unless the wheel is gone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hardtack.building.build import BuiltWheel
from hardtack.building.built import built_before, remember
from hardtack.building.notes import answered_before, keep_log, remember_answer
from hardtack.model.manifest import BuildRecord

KEY = "12" * 32
BUILT = BuiltWheel(
    path=Path("mini-1.0-py3-none-any.whl"),
    filename="mini-1.0-py3-none-any.whl",
    sha256="ab" * 32,
    size=7,
    record=BuildRecord(
        source="mini-1.0.tar.gz",
        source_sha256="cd" * 32,
        backend="backend",
        requires={"a==1": "ef" * 32},
        sandbox="none",
        python="cpython 3.12.1",
        tools={"glibc": "2.36"},
        compilers={"cc": "cc 12.2.0"},
        config={"editable": ("yes",), "--option": ("a", "b")},
        variables={"WITH_X": "1"},
        programs={"cmake": "98" * 32},
    ),
    outside=("libx.so.1",),
)


def test_what_was_remembered_comes_back_whole(tmp_path: Path) -> None:
    assert built_before(KEY, cache_dir=tmp_path, has=lambda _: True) is None
    remember(KEY, BUILT, cache_dir=tmp_path)
    again = built_before(KEY, cache_dir=tmp_path, has=lambda digest: digest == BUILT.sha256)
    assert again is not None
    assert (again.filename, again.sha256, again.size, again.record) == (BUILT.filename, BUILT.sha256, BUILT.size, BUILT.record)
    assert again.outside == BUILT.outside
    assert again.log is None
    assert built_before(KEY, cache_dir=tmp_path, has=lambda _: False) is None
    assert built_before("34" * 32, cache_dir=tmp_path, has=lambda _: True) is None
    plain = replace(BUILT, record=replace(BUILT.record, config=None, compilers=None, variables=None, programs=None, tools=None))
    remember(KEY, plain, cache_dir=tmp_path)
    again = built_before(KEY, cache_dir=tmp_path, has=lambda _: True)
    assert again is not None and again.record == plain.record


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"null", b'{"key": "x"}', b"\xff"])
def test_a_damaged_note_is_no_note(tmp_path: Path, damage: bytes) -> None:
    remember(KEY, BUILT, cache_dir=tmp_path)
    [note] = (tmp_path / "built").iterdir()
    whole = note.read_bytes()
    note.write_bytes(damage)
    assert built_before(KEY, cache_dir=tmp_path, has=lambda _: True) is None
    note.write_bytes(whole.replace(b'"config": {', b'"config": [], "was": {'))
    assert built_before(KEY, cache_dir=tmp_path, has=lambda _: True) is None
    remember_answer(KEY, (), cache_dir=tmp_path)
    assert answered_before(KEY, cache_dir=tmp_path) == ()
    [answer] = (tmp_path / "asked").iterdir()
    answer.write_bytes(damage)
    assert answered_before(KEY, cache_dir=tmp_path) is None


def test_a_long_log_is_kept_at_both_ends(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"first\n" + b"x" * (3 << 20) + b"\nlast\n")
    kept = keep_log(KEY, log, cache_dir=tmp_path).read_bytes()
    assert kept.startswith(b"first\n") and kept.endswith(b"\nlast\n") and b"left out" in kept
    assert len(kept) <= 1 << 20
    log.write_bytes(b"short\n")
    assert keep_log(KEY, log, cache_dir=tmp_path).read_bytes() == b"short\n"
    remember(KEY, BUILT, cache_dir=tmp_path)
    again = built_before(KEY, cache_dir=tmp_path, has=lambda _: True)
    assert again is not None and again.log == tmp_path / "built" / f"{KEY}.log"

"""A second run builds nothing, unless something that went in has changed, or the wheel is gone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from hardtack.building.build import BuiltWheel
from hardtack.building.built import build_key, built_before, remember
from hardtack.building.repair import Repairer
from hardtack.model.manifest import BuildRecord
from tests.building.projects import source

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
    ),
    outside=("libx.so.1",),
)


def test_what_was_remembered_comes_back_whole(tmp_path: Path) -> None:
    key = build_key(source(tmp_path).facts, python="3.12", sandbox="none", source_date_epoch=0)
    assert built_before(key, cache_dir=tmp_path, has=lambda _: True) is None
    remember(key, BUILT, cache_dir=tmp_path)
    again = built_before(key, cache_dir=tmp_path, has=lambda digest: digest == BUILT.sha256)
    assert again is not None
    assert (again.filename, again.sha256, again.size, again.record) == (BUILT.filename, BUILT.sha256, BUILT.size, BUILT.record)
    assert again.outside == BUILT.outside
    assert built_before(key, cache_dir=tmp_path, has=lambda _: False) is None


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"null", b'{"key": "x"}', b"\xff"])
def test_a_damaged_note_is_no_note(tmp_path: Path, damage: bytes) -> None:
    key = build_key(source(tmp_path).facts, python="3.12", sandbox="none", source_date_epoch=0)
    remember(key, BUILT, cache_dir=tmp_path)
    [note] = (tmp_path / "built").iterdir()
    note.write_bytes(damage)
    assert built_before(key, cache_dir=tmp_path, has=lambda _: True) is None


def test_every_input_changes_the_key(tmp_path: Path) -> None:
    facts = source(tmp_path).facts
    keys = {
        build_key(facts, python="3.12", sandbox="none", source_date_epoch=0),
        build_key(facts, python="3.13", sandbox="none", source_date_epoch=0),
        build_key(facts, python="3.12", sandbox="bubblewrap", source_date_epoch=0),
        build_key(facts, python="3.12", sandbox="none", source_date_epoch=1),
        build_key(replace(facts, sha256="0" * 64), python="3.12", sandbox="none", source_date_epoch=0),
        build_key(replace(facts, build_requires=(Requirement("x"),)), python="3.12", sandbox="none", source_date_epoch=0),
        build_key(replace(facts, backend="other"), python="3.12", sandbox="none", source_date_epoch=0),
        *(
            build_key(
                facts, python="3.12", sandbox="none", source_date_epoch=0, repairer=Repairer(name="r", version=version, site=Path("x"))
            )
            for version in ("1", "2")
        ),
    }
    assert len(keys) == 9

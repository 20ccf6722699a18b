"""A wheel under other tags is the same wheel: only its name, WHEEL and RECORD differ, and it is sound."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest

from hardtack.building.retag import Tags, retag, tags_of
from hardtack.model.wheel import WheelFacts
from hardtack.wheelhouse.inspect import inspect_wheel
from tests.support.archives import make_wheel


@pytest.mark.parametrize("build", [None, "7local"])
def test_nothing_but_the_tags_changes(tmp_path: Path, build: str | None) -> None:
    files = {"mini/a.so": b"\x7fELF" * 50, "mini/with space.txt": b"x", "mini-1.0.data/scripts/run": b"#!python\n"}
    filename, data = make_wheel("mini", tag="cp311.cp312-abi3-linux_x86_64", build=build, files=files)
    (tmp_path / filename).write_bytes(data)
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    tags = Tags(pythons="cp311.cp312", abis="abi3", platforms="manylinux2014_x86_64.manylinux_2_17_x86_64")
    made = retag(tmp_path / filename, tags, tmp_path / "one")
    assert made.name == filename.replace("linux_x86_64", "manylinux2014_x86_64.manylinux_2_17_x86_64")
    assert tags_of(made.name) == tags
    again = retag(tmp_path / filename, tags, tmp_path / "two")
    assert made.read_bytes() == again.read_bytes()
    facts = inspect_wheel(made, filename=made.name, sha256=hashlib.sha256(made.read_bytes()).hexdigest())
    assert isinstance(facts, WheelFacts), facts
    assert facts.tags == tags.all
    assert facts.findings == ()
    with zipfile.ZipFile(tmp_path / filename) as old, zipfile.ZipFile(made) as new:
        assert old.namelist() == new.namelist()
        for left, right in zip(old.infolist(), new.infolist(), strict=True):
            assert (left.external_attr, left.date_time, left.compress_type) == (right.external_attr, right.date_time, right.compress_type)
        changed = {name for name in old.namelist() if old.read(name) != new.read(name)}
        assert changed == {"mini-1.0.dist-info/WHEEL", "mini-1.0.dist-info/RECORD"}
        assert set(new.read("mini-1.0.dist-info/WHEEL").decode().splitlines()) >= {
            "Root-Is-Purelib: false",
            "Tag: cp312-abi3-manylinux2014_x86_64",
            "Tag: cp311-abi3-manylinux_2_17_x86_64",
        }


def test_a_wheel_that_called_itself_pure_is_no_longer(tmp_path: Path) -> None:
    filename, data = make_wheel("mini")
    (tmp_path / filename).write_bytes(data)
    (tmp_path / "one").mkdir()
    made = retag(tmp_path / filename, Tags(pythons="cp311", abis="cp311", platforms="linux_x86_64"), tmp_path / "one")
    with zipfile.ZipFile(made) as archive:
        assert "Root-Is-Purelib: false" in archive.read("mini-1.0.dist-info/WHEEL").decode()

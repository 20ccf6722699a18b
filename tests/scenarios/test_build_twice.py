"""``hardtack build --build-twice``: what does not come out again is told, kept in the manifest, and not tried for ever."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from typing import Any

import pytest

from hardtack import BuildOptions, BuildResult
from hardtack.model.finding import Severity
from tests.building.projects import HONEST, PYPROJECT
from tests.building.test_again import WRITES
from tests.scenarios.yard import Yard
from tests.support.archives import make_sdist

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="builds are contained on Linux")


def put(yard: Yard, name: str, content: str = "''") -> None:
    """A source on the index whose wheel has a file of this content, stated as Python."""
    backend = HONEST + WRITES + f"\nNAME, REQUIRES = {name!r}, []\nCONTENT = lambda: {content}\n"
    pyproject = PYPROJECT.format(requires=[])
    metadata = f"Metadata-Version: 2.2\nName: {name}\nVersion: 1.0\n"
    yard.index.add(*make_sdist(name, pyproject=pyproject, metadata=metadata, files={"backend.py": backend.encode()}))


def twice(yard: Yard, *requirements: str, **more: Any) -> BuildResult:
    return yard.build(*requirements, options=BuildOptions(trial=False, output=yard.wheelhouse, build_twice=True, **more))


def records(yard: Yard) -> dict[str, dict[str, Any]]:
    manifest = json.loads((yard.wheelhouse / "wheelhouse.json").read_bytes())
    return {row["name"]: row["build"] for row in manifest["files"]}


def test_what_differs_is_a_warning_and_in_the_manifest(yard: Yard) -> None:
    put(yard, "steady")
    put(yard, "random", "os.urandom(8).hex()")
    result = twice(yard, "steady", "random")
    assert result.passed
    [finding] = [one for one in result.findings if one.code == "not-repeatable"]
    assert finding.severity is Severity.WARNING
    assert (finding.package, finding.version, finding.file) == ("random", "1.0", "random-1.0-py3-none-any.whl")
    assert "1 member differs:\n    built.txt: line 1: " in finding.message
    assert {name: record.get("repeated") for name, record in records(yard).items()} == {"steady": "same", "random": "differs"}
    before = (yard.wheelhouse / "wheelhouse.json").read_bytes()
    again = twice(yard, "steady", "random", prune=True)
    assert [one.message for one in again.findings if one.code == "not-repeatable"] == [finding.message]
    assert again.built == 0
    assert (yard.wheelhouse / "wheelhouse.json").read_bytes() == before


def test_without_it_nothing_is_built_again_and_nothing_said(yard: Yard) -> None:
    put(yard, "random", "os.urandom(8).hex()")
    result = yard.build("random")
    assert result.passed
    assert not [one for one in result.findings if one.code == "not-repeatable"]
    assert "repeated" not in records(yard)["random"]


def test_what_was_built_before_is_tried_once_it_is_asked_for(yard: Yard) -> None:
    """The wheel that lies there is the one that is compared, and stays."""
    put(yard, "random", "os.urandom(8).hex()")
    yard.build("random")
    [wheel] = yard.wheelhouse.glob("*.whl")
    first = wheel.read_bytes()
    result = twice(yard, "random")
    assert [one.code for one in result.findings if one.severity is Severity.WARNING] == ["not-repeatable"]
    assert wheel.read_bytes() == first
    assert records(yard)["random"]["repeated"] == "differs"


def test_a_build_that_holds_the_date_is_told_so(yard: Yard) -> None:
    put(yard, "dated", "time.strftime('%Y-%m-%d')")
    [finding] = [one for one in twice(yard, "dated").findings if one.code == "not-repeatable"]
    assert "(a date)" in finding.message
    assert "SOURCE_DATE_EPOCH" in str(finding.hint)


def test_the_configuration_asks_for_it_too(yard: Yard) -> None:
    put(yard, "steady")
    yard.write("hardtack.toml", "build-twice = true\n")
    assert yard.build("steady").passed
    assert records(yard)["steady"]["repeated"] == "same"


def test_what_is_built_anew_is_held_against_what_an_earlier_run_made(yard: Yard) -> None:
    """Even where nobody asks for it, and the earlier bytes are gone: its digest is known."""
    put(yard, "random", "os.urandom(8).hex()")
    put(yard, "steady")
    yard.build("random", "steady")
    first = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in yard.wheelhouse.glob("*.whl")}
    for digest in first.values():
        for kept in (yard.cache / "files").rglob(f"*{digest[2:]}*"):
            kept.unlink()
    shutil.rmtree(yard.wheelhouse)
    result = yard.build("random", "steady")
    assert result.built == 2, "the test's own premise"
    [finding] = [one for one in result.findings if one.code == "not-repeatable"]
    assert finding.package == "random"
    assert first["random-1.0-py3-none-any.whl"] in finding.message

"""What a wheel's bytes depend on shows when it is built again where that is other; and what does not is the same."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from hardtack.building.again import Repeat, repeated
from hardtack.building.build import Bench as Place
from hardtack.building.build import BuiltWheel
from hardtack.building.build import bench as open_bench
from hardtack.building.built import remember
from hardtack.building.interpreter import ask
from hardtack.building.sandbox import Sandbox
from hardtack.building.trees import reverse
from hardtack.system import environ
from hardtack.system.uv import find_uv
from tests.building.projects import Bench, Source, source, wheel_folder

# Another file in the wheel, whose content a test states as Python.
WRITES = """
CONTENT = lambda: ""
_write_wheel = write_wheel

def write_wheel(path, *rest):
    _write_wheel(path, *rest)
    with zipfile.ZipFile(path) as archive:
        members = {info.filename: (info, archive.read(info)) for info in archive.infolist()}
    data = CONTENT().encode()
    info = "%s-%s.dist-info" % (NAME, VERSION)
    row = ("built.txt,sha256=%s,%d\\n" % (digest(data), len(data))).encode()
    record, old = members.pop(info + "/RECORD")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for entry, content in members.values():
            archive.writestr(entry, content)
        archive.writestr(zipfile.ZipInfo("built.txt", DATE()), data)
        archive.writestr(record, row + old)

DATE = lambda: time.gmtime(int(os.environ["SOURCE_DATE_EPOCH"]))[:6]
"""


@pytest.fixture
def bench(tmp_path: Path, confined: Sandbox) -> Bench:
    """The strongest sandbox alone: what it fixes is fixed."""
    cache = tmp_path / "cache"
    return Bench(
        uv=find_uv(cache, environ.variables()),
        sandbox=confined,
        work=tmp_path / "work",
        python=Path(sys.executable),
        links=wheel_folder(tmp_path / "links"),
        cache=cache,
    )


@contextmanager
def built(bench: Bench, made: Source, **more: Any) -> Iterator[tuple[Place, BuiltWheel]]:
    """A source on a bench, built and remembered as a run does it."""
    with open_bench(made.facts, made.path, shop=bench.shop(**more), interpreter=ask(bench.python)) as place:
        wheel = place.wheel()
        remember(place.key, wheel, cache_dir=bench.cache)
        yield place, wheel


def again(bench: Bench, place: Place, wheel: BuiltWheel, apart: float = 0.0) -> Repeat:
    return repeated(place, wheel.path, wheel.filename, wheel.sha256, cache_dir=bench.cache, apart=apart)


def test_what_depends_on_nothing_is_the_same(bench: Bench, tmp_path: Path) -> None:
    with built(bench, source(tmp_path)) as (place, wheel):
        before = sorted(os.listdir(bench.work))
        assert again(bench, place, wheel) == Repeat()
        assert sorted(os.listdir(bench.work)) == before, "something of the second build was left"
        assert place.shop.zone == "UTC"


def test_without_namespaces_too(bench: Bench, landlocked: Sandbox, tmp_path: Path) -> None:
    bench.sandbox = landlocked
    with built(bench, source(tmp_path)) as (place, wheel):
        assert again(bench, place, wheel) == Repeat()
    inside = tmp_path / "other"
    inside.mkdir()
    with built(bench, source(inside, WRITES + "CONTENT = lambda: os.getcwd()\n")) as (place, wheel):
        [difference] = again(bench, place, wheel).differences
        assert "(a path)" in difference.detail


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("str(os.urandom(8).hex())", "line 1"),
        ("str(time.time_ns())", "line 1"),
        ("os.uname().nodename", "'hardtack', then 'elsewhere'"),
        ("os.environ['MAX_JOBS']", "line 1"),
    ],
)
def test_what_a_wheel_depends_on_is_told(bench: Bench, tmp_path: Path, content: str, words: str) -> None:
    if "nodename" in content and bench.sandbox.name != "bubblewrap":
        pytest.skip("only bubblewrap gives a host a name")
    with built(bench, source(tmp_path, WRITES + f"CONTENT = lambda: {content}\n")) as (place, wheel):
        found = again(bench, place, wheel)
        assert not found.same
        assert not found.dated or "MAX_JOBS" not in content
        [difference] = found.differences
        assert (difference.member, difference.kind) == ("built.txt", "bytes")
        assert words in difference.detail


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2, reason="one core")
def test_the_number_of_cores(bench: Bench, tmp_path: Path) -> None:
    own = os.sched_getaffinity(0)
    with built(bench, source(tmp_path, WRITES + "CONTENT = lambda: str(len(os.sched_getaffinity(0)))\n")) as (place, wheel):
        assert not again(bench, place, wheel).same
    assert os.sched_getaffinity(0) == own


@pytest.mark.parametrize("content", ["str(__import__('datetime').date.today())", "time.strftime('%Y-%m-%d')"])
def test_the_date_is_told_as_the_only_cause(bench: Bench, tmp_path: Path, content: str) -> None:
    with built(bench, source(tmp_path, WRITES + f"CONTENT = lambda: {content}\n")) as (place, wheel):
        found = again(bench, place, wheel)
        assert found.dated
        assert "(a date)" in found.differences[0].detail


def test_times_of_files_in_the_local_zone_are_the_same_everywhere(bench: Bench, tmp_path: Path) -> None:
    """The zone is fixed for every build, and the times of an archive's files are its own: nothing differs but for our trying."""
    date = "DATE = lambda: time.localtime(os.stat('backend.py').st_mtime)[:6]\n"
    with built(bench, source(tmp_path, WRITES + date)) as (place, wheel):
        assert again(bench, place, wheel) == Repeat()


def test_times_of_files_that_are_made_while_building(bench: Bench, tmp_path: Path) -> None:
    """A ZIP tells times in steps of two seconds, and a build may take less."""
    date = "DATE = lambda: time.gmtime()[:6]\n"
    with built(bench, source(tmp_path, WRITES + date)) as (place, wheel):
        began = time.time()
        found = again(bench, place, wheel, apart=2.1)
        assert [difference.kind for difference in found.differences] == ["time"]
        assert not found.dated
        assert time.time() - began < 20


def test_folders_of_temporary_files_have_the_same_names(bench: Bench, tmp_path: Path) -> None:
    content = "CONTENT = lambda: __import__('tempfile').mkdtemp() + __import__('tempfile').mkstemp()[1]\n"
    with built(bench, source(tmp_path, WRITES + content)) as (place, wheel):
        found = again(bench, place, wheel)
        assert found.same or bench.sandbox.name != "bubblewrap"


def test_a_build_that_fails_the_second_time(bench: Bench, tmp_path: Path) -> None:
    fails = "if os.environ['MAX_JOBS'] != '3': raise SystemExit(1)\n"
    with built(bench, source(tmp_path, fails), cores=3) as (place, wheel):
        found = again(bench, place, wheel)
        assert "could not be built again" in str(found.differences[0])
        assert not found.dated


def test_it_is_built_again_once_and_once_more_on_another_day(bench: Bench, tmp_path: Path) -> None:
    with built(bench, source(tmp_path)) as (place, wheel):
        note = bench.cache / "built" / f"{place.key}.again.json"
        assert again(bench, place, wheel) == Repeat()
        first = note.stat().st_ino
        assert again(bench, place, wheel) == Repeat()
        assert note.stat().st_ino == first, "it was built a third time on the same day"
        kept = bench.cache / "built" / f"{place.key}.json"
        yesterday = time.time() - 86_400
        os.utime(kept, (yesterday, yesterday))
        assert again(bench, place, wheel) == Repeat(another_day=True)
        second = note.stat().st_ino
        assert second != first
        assert again(bench, place, wheel) == Repeat(another_day=True)
        assert note.stat().st_ino == second


def test_what_is_known_of_another_wheel_or_torn_is_not_believed(bench: Bench, tmp_path: Path) -> None:
    with built(bench, source(tmp_path, WRITES + "CONTENT = lambda: os.urandom(4).hex()\n")) as (place, wheel):
        found = again(bench, place, wheel)
        assert not found.same
        assert again(bench, place, wheel) == found, "remembered as it was"
        note = bench.cache / "built" / f"{place.key}.again.json"
        for text in (note.read_text().replace(wheel.sha256, "0" * 64), "{", "[]", '{"key": 1}'):
            note.write_text(text)
            other = again(bench, place, wheel)
            assert not other.same
            assert other != found


@pytest.fixture(params=["disk", "memory"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A folder of each kind of file system that is here: one that sorts names by their hash, one that lists the youngest first."""
    if request.param == "disk":
        yield tmp_path
        return
    if not os.access("/dev/shm", os.W_OK):
        pytest.skip("no file system in memory")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as made:
        yield Path(made)


def test_a_tree_turned_round_holds_the_same(folder: Path) -> None:
    tree = folder / "tree"
    (tree / "inner").mkdir(parents=True)
    for number in range(20):
        (tree / f"f{number}").write_text(str(number))
        (tree / "inner" / f"g{number}").write_text(str(number))
        os.utime(tree / f"f{number}", (number + 1, number + 1))
    (tree / "inner").chmod(0o750)
    (tree / "link").symlink_to("f1")

    def told() -> dict[str, tuple[float, str]]:
        files = {path: path.is_file() for path in tree.rglob("*")}
        return {
            str(path.relative_to(tree)): (path.lstat().st_mtime if is_file else path.stat().st_mode, path.read_text() if is_file else "")
            for path, is_file in files.items()
        }

    before, listed = told(), os.listdir(tree)
    reverse(tree)
    assert told() == before
    if str(folder).startswith("/dev/shm"):
        assert os.listdir(tree) != listed

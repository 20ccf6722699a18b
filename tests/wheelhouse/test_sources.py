"""Source archives beside the wheels: stowed, kept apart, swept and pruned as carefully as wheels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hardtack.model.manifest import Manifest, ManifestSource
from hardtack.system.cancellation import Cancellation
from hardtack.wheelhouse.layout import LayoutFault, stow
from hardtack.wheelhouse.simple import source_pages
from hardtack.wheelhouse.sources import check_sources
from tests.support.archives import make_sdist, sha256
from tests.wheelhouse.stowing import Pantry, tree


@pytest.fixture
def pantry(tmp_path: Path) -> Pantry:
    pantry = Pantry(tmp_path / "store")
    pantry.add("left")
    return pantry


def source(pantry: Pantry, name: str = "left", **different: str) -> ManifestSource:
    """A source archive in the store."""
    filename, data = make_sdist(name, files={"setup.py": b""})
    (pantry.folder / sha256(data)).write_bytes(data)
    listed = ManifestSource(
        filename=filename, path=f"sdists/{filename}", sha256=sha256(data), size=len(data), name=name, version="1.0", origin="https://h/x"
    )
    return replace(listed, **different)  # type: ignore[arg-type]


def put(pantry: Pantry, house: Path, *sources: ManifestSource, prune: bool = False, layout: str = "flat") -> Manifest:
    return stow(
        replace(pantry.manifest(layout), sources=sources),
        {**pantry.sources(), **{one.sha256: pantry.folder / one.sha256 for one in sources}},
        house,
        texts=source_pages(sources) if sources else {},
        prune=prune,
        locks=pantry.folder.parent / "locks",
    )


def archives(house: Path) -> set[str]:
    return {path.relative_to(house).as_posix() for path in (house / "sdists").rglob("*") if path.is_file()}


def test_a_second_run_touches_nothing_and_everything_is_named(pantry: Pantry, tmp_path: Path) -> None:
    house, left = tmp_path / "house", source(pantry)
    written = put(pantry, house, left)
    before = tree(house)
    assert put(pantry, house, left) == written
    assert tree(house) == {**before, "wheelhouse.json": tree(house)["wheelhouse.json"]}
    named = {*(path for path, _ in written.generated), left.path}
    assert archives(house) == {path for path in named if path.startswith("sdists/")}
    assert (house / left.path).stat().st_ino == (pantry.folder / left.sha256).stat().st_ino
    assert check_sources(house, written, stop=Cancellation()) == ()


def test_what_is_not_needed_any_more_goes_with_prune_unless_someone_changed_it(pantry: Pantry, tmp_path: Path) -> None:
    house, left, right, mine = tmp_path / "house", source(pantry), source(pantry, "right"), source(pantry, "mine")
    put(pantry, house, left, right, mine)
    (house / mine.path).unlink()
    (house / mine.path).write_bytes(b"mine")
    kept = put(pantry, house, left)
    assert {right.path, mine.path} <= {path for path, _ in kept.leftovers}
    assert {right.path, mine.path} <= archives(house)
    put(pantry, house, left, prune=True)
    assert archives(house) == {
        left.path, mine.path, "sdists/simple/index.html", "sdists/simple/index.json",
        "sdists/simple/left/index.html", "sdists/simple/left/index.json",
    }  # fmt: skip


def test_what_a_killed_run_left_is_swept(pantry: Pantry, tmp_path: Path) -> None:
    house, left = tmp_path / "house", source(pantry)
    (house / "sdists" / "simple" / "left").mkdir(parents=True)
    junk = [house / "sdists" / place / ".hardtack-abcdefgh" for place in ("", "simple", "simple/left")]
    for path in junk:
        path.write_bytes(b"")
    put(pantry, house, left)
    assert not any(path.exists() for path in junk)


def test_nothing_is_written_through_a_link(pantry: Pantry, tmp_path: Path) -> None:
    house, elsewhere = tmp_path / "house", tmp_path / "elsewhere"
    house.mkdir()
    elsewhere.mkdir()
    (elsewhere / ".hardtack-abcdefgh").write_bytes(b"")
    (house / "sdists").symlink_to(elsewhere, target_is_directory=True)
    with pytest.raises(LayoutFault, match="a link or file stands where the wheelhouse has a folder"):
        put(pantry, house, source(pantry))
    assert [path.name for path in elsewhere.iterdir()] == [".hardtack-abcdefgh"]


@pytest.mark.parametrize("layout", ["flat", "by-target"])
def test_two_of_one_name_cannot_lie_together(pantry: Pantry, tmp_path: Path, layout: str) -> None:
    one, other = source(pantry), source(pantry, "other", filename="LEFT-1.0.tar.gz", path="sdists/LEFT-1.0.tar.gz")
    with pytest.raises(LayoutFault, match="differ in case only"):
        put(pantry, tmp_path / "house", one, other, layout=layout)


def test_one_that_is_in_no_store_is_refused(pantry: Pantry, tmp_path: Path) -> None:
    with pytest.raises(LayoutFault, match=r"left-1\.0\.tar\.gz is in no store"):
        stow(
            replace(pantry.manifest(), sources=(source(pantry),)),
            pantry.sources(),
            tmp_path / "house",
            texts={},
            locks=tmp_path / "locks",
        )


@pytest.mark.parametrize("name", ["sdists", "SDISTS", "simple"])
def test_no_target_takes_their_folder(pantry: Pantry, tmp_path: Path, name: str) -> None:
    manifest = pantry.manifest("by-target")
    files = tuple(replace(file, targets=(name,)) for file in manifest.files)
    with pytest.raises(LayoutFault, match="cannot be the name of a target"):
        stow(
            replace(manifest, targets={name: {}}, files=files, pins=()),
            pantry.sources(),
            tmp_path / "house",
            texts={},
            locks=tmp_path / "locks",
        )

"""Stowing: what lies in the folder afterwards, what a second run touches, what goes and what stays."""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
import shutil
import stat
import sys
import threading
from pathlib import Path

import pytest

from hardtack.errors import Cancelled, IntegrityError
from hardtack.model.finding import Severity
from hardtack.model.manifest import Manifest, ManifestFile
from hardtack.reporting import Reporter
from hardtack.system.cancellation import Cancellation
from hardtack.system.files import remove
from hardtack.wheelhouse import layout
from hardtack.wheelhouse.layout import LayoutFault, check_names, read_wheelhouse, stow, wheel_metadata
from hardtack.wheelhouse.manifest import read_manifest, write_manifest
from tests.support.archives import make_wheel, sha256
from tests.wheelhouse.stowing import LINUX, WINDOWS, Pantry, clean_environment, contents, run, tree

LAYOUTS = ("flat", "by-target")


@pytest.fixture
def pantry(tmp_path: Path) -> Pantry:
    pantry = Pantry(tmp_path / "store")
    pantry.add("Left-Pad", requires=["right>=1"], targets=(LINUX, WINDOWS))
    pantry.add("right", "2.0+cpu", requires_python=">=3.8,<4")
    pantry.add("early", marker="python_full_version < '3.11.3'")
    return pantry


class Listener(Reporter):
    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, message: str) -> None:
        self.said.append(message)

    def warning(self, message: str, *, hint: str | None = None) -> None:
        self.said.append(message)


def stow_again(pantry: Pantry, destination: Path, *, prune: bool = False, reporter: Reporter | None = None, **texts: bytes) -> Manifest:
    return stow(
        pantry.manifest(),
        pantry.sources(),
        destination,
        texts={name.replace("_", "."): data for name, data in texts.items()},
        prune=prune,
        locks=pantry.folder.parent / "locks",
        reporter=reporter,
    )


def test_every_wheel_is_the_stores_own_file_and_the_manifest_names_all_that_lies_there(pantry: Pantry, tmp_path: Path) -> None:
    house = tmp_path / "wheelhouse"
    manifest = pantry.stow(house)
    for file in pantry.files:
        assert os.path.samefile(house / file.filename, pantry.folder / file.sha256)
    assert read_manifest((house / "wheelhouse.json").read_bytes(), "w") == read_manifest(write_manifest(manifest), "w")
    listed = {file.path for file in manifest.files} | dict(manifest.generated).keys() | {"wheelhouse.json"}
    assert listed == contents(house).keys()
    assert all(sha256((house / path).read_bytes()) == digest for path, digest in manifest.generated)


def test_by_target_has_a_folder_for_each_and_shares_the_bytes(pantry: Pantry, tmp_path: Path) -> None:
    house = tmp_path / "wheelhouse"
    pantry.stow(house, layout="by-target")
    assert {path.name for path in (house / WINDOWS).glob("*.whl")} == {"Left_Pad-1.0-py3-none-any.whl"}
    assert len(list((house / LINUX).glob("*.whl"))) == 3
    assert os.path.samefile(house / WINDOWS / "Left_Pad-1.0-py3-none-any.whl", house / LINUX / "Left_Pad-1.0-py3-none-any.whl")
    assert not list(house.glob("*.whl"))


def test_by_target_shares_the_bytes_where_the_store_cannot_be_linked(
    pantry: Pantry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.link

    def link(source: os.PathLike[str], destination: os.PathLike[str]) -> None:
        if pantry.folder in Path(source).parents:
            raise OSError(18, "Invalid cross-device link")
        real(source, destination)

    monkeypatch.setattr(os, "link", link)
    house = tmp_path / "wheelhouse"
    pantry.stow(house, layout="by-target")
    shared = [house / target / "Left_Pad-1.0-py3-none-any.whl" for target in (LINUX, WINDOWS)]
    assert os.path.samefile(*shared)
    assert not os.path.samefile(shared[0], pantry.folder / pantry.files[0].sha256)
    before = tree(house)
    monkeypatch.setattr("hashlib.file_digest", None)  # a copy that the last run made is known by its time: none is read again
    pantry.stow(house, layout="by-target")
    assert tree(house) == before


@pytest.mark.parametrize("kind", LAYOUTS)
def test_a_second_run_touches_nothing(pantry: Pantry, tmp_path: Path, kind: str) -> None:
    house = tmp_path / "wheelhouse"
    first = pantry.stow(house, layout=kind)
    before = tree(house)
    assert pantry.stow(house, layout=kind, prune=True) == first
    assert tree(house) == before


def test_a_copied_wheelhouse_is_recognised_by_its_bytes(pantry: Pantry, tmp_path: Path) -> None:
    house, copy = tmp_path / "wheelhouse", tmp_path / "copy"
    pantry.stow(house)
    shutil.copytree(house, copy, copy_function=shutil.copyfile)
    before = tree(copy)
    pantry.stow(copy)
    assert tree(copy) == before


def test_a_second_run_reads_no_wheel(pantry: Pantry, tmp_path: Path) -> None:
    house = tmp_path / "wheelhouse"
    pantry.stow(house)

    def forbidden(file: ManifestFile, path: Path) -> bytes:
        raise AssertionError(f"{file.filename} was opened")

    stow(pantry.manifest(), pantry.sources(), house, texts={}, locks=tmp_path / "locks", metadata=forbidden)


def test_a_damaged_file_is_mended(pantry: Pantry, tmp_path: Path) -> None:
    house = tmp_path / "wheelhouse"
    pantry.stow(house)
    whole = contents(house)
    for name in ("right-2.0+cpu-py3-none-any.whl", "right-2.0+cpu-py3-none-any.whl.metadata", "simple/right/index.html", "constraints.txt"):
        (house / name).unlink()
        (house / name).write_bytes(b"\0" * len(whole[name]))
    pantry.stow(house)
    assert contents(house) == whole


def test_the_same_input_gives_the_same_bytes_and_modes_whatever_the_umask(pantry: Pantry, tmp_path: Path) -> None:
    houses = []
    for position, umask in enumerate((0o022, 0o077)):
        old = os.umask(umask)
        try:
            house = tmp_path / f"house-{position}"
            shuffled = Pantry(pantry.folder, files=pantry.files[:: 1 - 2 * position], pins=pantry.pins[:: 1 - 2 * position])
            shuffled.stow(house)
        finally:
            os.umask(old)
        houses.append(house)
        if os.name != "nt":
            for path in [house, *house.rglob("*")]:
                assert stat.S_IMODE(path.stat().st_mode) == (0o755 if path.is_dir() else 0o644), path
    assert contents(houses[0]) == contents(houses[1])


def test_what_nothing_needs_stays_and_is_told_then_goes_with_prune(pantry: Pantry, tmp_path: Path) -> None:
    house = tmp_path / "wheelhouse"
    stow_again(pantry, house, old_txt=b"old", edited_txt=b"ours")
    (house / "edited.txt").write_bytes(b"theirs")
    (house / "notes.md").write_bytes(b"mine")
    (house / "foreign-1.0-py3-none-any.whl").write_bytes(b"not ours")
    (house / "foreign-1.0.tar.gz").write_bytes(b"not ours")
    gone = pantry.files.pop(1)
    pantry.pins = [pin for pin in pantry.pins if pin.filename != gone.filename]
    everything = contents(house).keys()

    listener = Listener()
    kept = stow_again(pantry, house, reporter=listener)
    assert contents(house).keys() == everything
    assert any(gone.filename in words and "foreign-1.0-py3-none-any.whl" in words for words in listener.said)
    assert {gone.filename, "old.txt", "edited.txt", "simple/right/index.html"} <= dict(kept.leftovers).keys()
    assert all(file.filename != gone.filename for file in kept.files)

    pruned = stow_again(pantry, house, prune=True)
    left = contents(house)
    assert everything - left.keys() == {
        gone.filename,
        f"{gone.filename}.metadata",
        "foreign-1.0-py3-none-any.whl",
        "old.txt",
        "simple/right/index.html",
        "simple/right/index.json",
    }
    assert left["edited.txt"] == b"theirs"
    assert left["notes.md"] == b"mine"
    assert not (house / "simple" / "right").exists()
    assert dict(pruned.leftovers).keys() == {"edited.txt"}
    fresh = stow_again(pantry, tmp_path / "fresh")
    assert dataclasses.replace(pruned, leftovers=()) == fresh


def test_a_prune_that_was_interrupted_is_completed_by_the_next(pantry: Pantry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    house = tmp_path / "wheelhouse"
    stow_again(pantry, house, old_txt=b"old", older_txt=b"old")
    real = remove
    calls: list[Path] = []

    def dying(path: Path) -> None:
        if calls:
            raise KeyboardInterrupt
        calls.append(path)
        real(path)

    monkeypatch.setattr("hardtack.wheelhouse.layout.remove", dying)
    with pytest.raises(KeyboardInterrupt):
        stow_again(pantry, house, prune=True)
    told = read_manifest((house / "wheelhouse.json").read_bytes(), "w")
    assert {"old.txt", "older.txt"} <= dict(told.leftovers).keys(), "the manifest on disk is the new one, and knows what is still to go"
    monkeypatch.setattr("hardtack.wheelhouse.layout.remove", real)
    stow_again(pantry, house, prune=True)
    stow_again(pantry, tmp_path / "fresh")
    assert contents(house) == contents(tmp_path / "fresh")


def test_prune_after_a_change_of_layout_leaves_only_the_new_one(pantry: Pantry, tmp_path: Path) -> None:
    house = tmp_path / "wheelhouse"
    pantry.stow(house, layout="by-target")
    pantry.stow(house, prune=True)
    pantry.stow(tmp_path / "fresh")
    assert contents(house) == contents(tmp_path / "fresh")
    assert not (house / LINUX).exists()


_DYING = """
import os, pathlib, pickle, sys
real, left = pathlib.Path.replace, int(sys.argv[2])
def replace(self, target):
    global left
    left -= 1
    if left < 0:
        os._exit(9)
    return real(self, target)
pathlib.Path.replace = replace
pantry = pickle.loads(pathlib.Path(sys.argv[1]).read_bytes())
pantry.stow(pathlib.Path(sys.argv[3]))
"""


@pytest.mark.parametrize("moment", (0, 2, 9, 17))
def test_a_killed_run_is_completed_by_the_next_and_leaves_no_junk(pantry: Pantry, tmp_path: Path, moment: int) -> None:
    house = tmp_path / "wheelhouse"
    (tmp_path / "pantry").write_bytes(pickle.dumps(pantry))
    command = [sys.executable, "-c", _DYING, str(tmp_path / "pantry"), str(moment), str(house)]
    died = run(command, cwd=Path(__file__).parents[2], environment=clean_environment(tmp_path))
    assert died.returncode == 9, died.stderr
    assert any(path.name.startswith(".hardtack-") for path in house.rglob("*")), "it died with a temporary file open"
    assert not (house / "wheelhouse.json").exists(), "the manifest comes last"
    pantry.stow(house)
    pantry.stow(tmp_path / "fresh")
    assert contents(house) == contents(tmp_path / "fresh")


def test_users_files_with_our_prefix_survive_the_sweep(pantry: Pantry, tmp_path: Path) -> None:
    house = tmp_path / "wheelhouse"
    (house / ".hardtack-cache").mkdir(parents=True)
    (house / ".hardtack-cache" / "kept").write_bytes(b"")
    (house / ".hardtack-notes.txt").write_bytes(b"")
    (house / ".hardtack-abcd1234").write_bytes(b"junk")
    pantry.stow(house)
    assert (house / ".hardtack-cache" / "kept").exists()
    assert (house / ".hardtack-notes.txt").exists()
    assert not (house / ".hardtack-abcd1234").exists()


def test_a_hostile_manifest_leads_prune_nowhere(pantry: Pantry, tmp_path: Path) -> None:
    house, outside = tmp_path / "wheelhouse", tmp_path / "outside"
    pantry.stow(house)
    outside.mkdir()
    (outside / "precious.txt").write_bytes(b"x")
    document = json.loads((house / "wheelhouse.json").read_bytes())
    document["generated"]["../outside/precious.txt"] = sha256(b"x")
    (house / "wheelhouse.json").write_text(json.dumps(document))
    pantry.stow(house, prune=True)
    assert (outside / "precious.txt").exists()

    document["generated"].pop("../outside/precious.txt")
    document["generated"]["way/precious.txt"] = sha256(b"x")
    (house / "wheelhouse.json").write_text(json.dumps(document))
    (house / "way").symlink_to(outside, target_is_directory=True)
    with pytest.raises(LayoutFault):
        pantry.stow(house, prune=True)
    assert (outside / "precious.txt").exists()


def test_nothing_is_written_through_a_link(pantry: Pantry, tmp_path: Path) -> None:
    house, outside = tmp_path / "wheelhouse", tmp_path / "outside"
    house.mkdir()
    outside.mkdir()
    (house / "simple").symlink_to(outside, target_is_directory=True)
    (house / "right-2.0+cpu-py3-none-any.whl").symlink_to(outside / "elsewhere.whl")
    with pytest.raises(LayoutFault):
        pantry.stow(house)
    assert not list(outside.iterdir())
    assert not (house / "right-2.0+cpu-py3-none-any.whl").is_symlink()


def test_a_store_that_lost_or_changed_a_file_is_an_error(pantry: Pantry, tmp_path: Path) -> None:
    source = pantry.folder / pantry.files[1].sha256
    source.write_bytes(b"short")
    with pytest.raises(IntegrityError, match="5 bytes in the store"):
        pantry.stow(tmp_path / "wheelhouse")
    source.unlink()
    with pytest.raises(IntegrityError, match="right"):
        pantry.stow(tmp_path / "wheelhouse")


def test_names_that_cannot_lie_together_are_found_all_at_once(pantry: Pantry, tmp_path: Path) -> None:
    pantry.add("right", "2.0+cpu", content=b"other bytes", targets=(WINDOWS,))
    pantry.add("RIGHT", "2.0+cpu")
    pantry.add("con", "1.0")
    pantry.add("long", "1.0+" + "a" * 180)
    findings = check_names(pantry.manifest())
    assert sorted(finding.code for finding in findings if finding.severity is Severity.ERROR) == ["name-collision"] * 2
    assert {finding.code for finding in findings if finding.severity is Severity.WARNING} == {"long-path"}
    with pytest.raises(LayoutFault) as caught:
        pantry.stow(tmp_path / "wheelhouse")
    assert "right-2.0+cpu" in caught.value.reason
    assert "RIGHT-2.0+cpu" in caught.value.reason
    assert "by-target" in (caught.value.hint or "")
    assert not (tmp_path / "wheelhouse").exists()


def test_reserved_names_of_windows_are_warned_of() -> None:
    manifest = Manifest(layout="flat", targets={}, files=(), pins=())
    codes = {path: [f.code for f in check_names(manifest, {path: b""})] for path in ("aux.toml", "auxiliary.toml", "a/nul", "dot.")}
    assert codes == {"aux.toml": ["reserved-name"], "auxiliary.toml": [], "a/nul": ["reserved-name"], "dot.": ["reserved-name"]}


def test_two_targets_may_have_different_files_of_one_name_in_their_folders(tmp_path: Path) -> None:
    pantry = Pantry(tmp_path / "store")
    one = pantry.add("torch", content=b"cpu")
    other = pantry.add("torch", content=b"cuda", targets=(WINDOWS,))
    house = tmp_path / "wheelhouse"
    pantry.stow(house, layout="by-target")
    assert sha256((house / LINUX / one.filename).read_bytes()) == one.sha256
    assert sha256((house / WINDOWS / other.filename).read_bytes()) == other.sha256
    assert one.sha256 in (house / f"requirements.{LINUX}.txt").read_text()
    assert one.sha256 not in (house / f"requirements.{WINDOWS}.txt").read_text()
    assert other.sha256 in (house / f"pylock.{WINDOWS}.toml").read_text()


def test_texts_may_not_take_the_names_of_the_wheelhouse(pantry: Pantry, tmp_path: Path) -> None:
    for name in ("wheelhouse.json", "simple/x.html", "evil.whl"):
        with pytest.raises(LayoutFault):
            stow(pantry.manifest(), pantry.sources(), tmp_path / "w", texts={name: b""}, locks=tmp_path / "locks")
    with pytest.raises(IntegrityError):
        stow(pantry.manifest(), pantry.sources(), tmp_path / "w", texts={"../up.txt": b""}, locks=tmp_path / "locks")


def test_two_writers_take_turns(pantry: Pantry, tmp_path: Path) -> None:
    house = tmp_path / "wheelhouse"
    errors: list[BaseException] = []

    def write() -> None:
        try:
            pantry.stow(house)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    pantry.stow(tmp_path / "fresh")
    assert contents(house) == contents(tmp_path / "fresh")


def test_waiting_for_another_writer_can_be_cancelled(pantry: Pantry, tmp_path: Path) -> None:
    house = tmp_path / "wheelhouse"
    stop = Cancellation()

    class Impatient(Listener):
        def note(self, message: str) -> None:
            super().note(message)
            stop.cancel()

    listener = Impatient()
    house.mkdir()
    with layout._alone(house, tmp_path / "locks", Reporter(), Cancellation()), pytest.raises(Cancelled):
        stow(pantry.manifest(), pantry.sources(), house, texts={}, locks=tmp_path / "locks", reporter=listener, stop=stop)
    assert "another hardtack" in listener.said[0]
    assert not list(house.iterdir())


def test_reading_a_wheelhouse(pantry: Pantry, tmp_path: Path) -> None:
    house = tmp_path / "wheelhouse"
    assert read_wheelhouse(house) == (None, ())
    written = pantry.stow(house, layout="by-target")
    (house / "stray-1.0-py3-none-any.whl").write_bytes(b"12345")
    manifest, present = read_wheelhouse(house)
    assert manifest is not None
    assert set(manifest.files) == set(written.files)
    assert {file.path: file.size for file in present}["stray-1.0-py3-none-any.whl"] == 5
    assert len(present) == 5


def test_the_metadata_of_a_wheel(tmp_path: Path) -> None:
    filename, data = make_wheel("Some.Name", metadata="Metadata-Version: 2.1\nName: Some.Name\nVersion: 1.0\n")
    (tmp_path / "w").write_bytes(data)
    assert wheel_metadata(tmp_path / "w", filename) == b"Metadata-Version: 2.1\nName: Some.Name\nVersion: 1.0\n"
    (tmp_path / "w").write_bytes(data[:50])
    with pytest.raises(layout.BrokenArchive, match="not a readable wheel"):
        wheel_metadata(tmp_path / "w", filename)

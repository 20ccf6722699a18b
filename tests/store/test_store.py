"""The store: what has a name in it is whole, is what the name says, and stays so under every kind of accident."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hardtack.errors import IntegrityError
from hardtack.reporting import Reporter
from hardtack.system.files import DiskFault
from hardtack.wheelhouse.store import Store
from tests.support.archives import sha256

DATA = b"ship's bread " * 1000


class Warnings(Reporter):
    def __init__(self) -> None:
        self.texts: list[str] = []

    def warning(self, message: str, *, hint: str | None = None) -> None:
        self.texts.append(message)


@pytest.fixture
def told() -> Warnings:
    return Warnings()


@pytest.fixture
def store(tmp_path: Path, told: Warnings) -> Store:
    return Store(tmp_path / "cache" / "files", reporter=told)


def restat(path: Path, *, like: os.stat_result) -> None:
    """Give a file the times that it had before it was changed."""
    os.utime(path, ns=(like.st_atime_ns, like.st_mtime_ns))


def test_what_is_put_in_is_there_under_its_digest(store: Store) -> None:
    digest = store.add_bytes(DATA)
    assert digest == hashlib.sha256(DATA).hexdigest()
    assert store.has(digest)
    assert store.has(digest, size=len(DATA))
    assert store.path(digest).read_bytes() == DATA
    assert digest == "".join(store.path(digest).parts[-2:])


def test_a_file_is_copied_in_and_stays_where_it_was(store: Store, tmp_path: Path) -> None:
    source = tmp_path / "a.whl"
    source.write_bytes(DATA)
    digest = store.add_file(source)
    source.write_bytes(b"something else")
    assert store.path(digest).read_bytes() == DATA
    assert store.has(digest)


def test_nothing_temporary_stays(store: Store) -> None:
    store.add_bytes(DATA)
    assert list(store.partial_folder.iterdir()) == []


def test_another_size_than_stated_is_not_the_file(store: Store) -> None:
    digest = store.add_bytes(DATA)
    assert not store.has(digest, size=len(DATA) + 1)
    assert not store.proven(digest, size=len(DATA) + 1)
    assert store.has(digest), "the entry itself is sound and stays"


@pytest.mark.parametrize("name", ["", "..", "../../etc/passwd", "A" * 64, "g" * 64, "0" * 63, "0" * 65, f"{'0' * 64}\n"])
def test_what_is_no_sha256_has_no_path(store: Store, name: str) -> None:
    with pytest.raises(IntegrityError, match="not a sha256"):
        store.path(name)


@pytest.mark.parametrize(
    "damage",
    [b"", DATA[:-1], DATA + b"x", b"X" + DATA[1:]],
    ids=["empty", "truncated", "longer", "flipped"],
)
def test_a_damaged_entry_is_removed_and_told(store: Store, told: Warnings, damage: bytes) -> None:
    digest = store.add_bytes(DATA)
    path = store.path(digest)
    path.write_bytes(damage)
    os.utime(path, ns=(1, 1))
    assert not store.proven(digest)
    assert not store.has(digest)
    assert not path.exists()
    assert len(told.texts) == 1
    assert store.add_bytes(DATA) == digest
    assert store.has(digest)


def test_a_shorter_entry_is_seen_even_with_its_old_times(store: Store) -> None:
    digest = store.add_bytes(DATA)
    path = store.path(digest)
    before = path.stat()
    path.write_bytes(DATA[:-1])
    restat(path, like=before)
    assert not store.has(digest)


def test_an_entry_replaced_by_a_file_of_the_same_size_and_time_is_seen(store: Store, tmp_path: Path) -> None:
    digest = store.add_bytes(DATA)
    path = store.path(digest)
    other = tmp_path / "other"
    other.write_bytes(b"X" + DATA[1:])
    restat(other, like=path.stat())
    os.replace(other, path)
    assert not store.has(digest)


def test_an_edited_hard_link_is_seen(store: Store, tmp_path: Path) -> None:
    digest = store.add_bytes(DATA)
    linked = tmp_path / "linked.whl"
    os.link(store.path(digest), linked)
    with open(linked, "r+b") as stream:
        stream.write(b"edited")
    os.utime(linked)
    assert not store.has(digest)
    assert linked.read_bytes().startswith(b"edited"), "the user's file is the user's"


@pytest.mark.parametrize("kind", ["folder", "link"])
def test_an_entry_that_is_no_regular_file_is_removed(store: Store, tmp_path: Path, kind: str) -> None:
    digest = sha256(DATA)
    path = store.path(digest)
    path.parent.mkdir(parents=True)
    outside = tmp_path / "outside"
    outside.write_bytes(DATA)
    if kind == "folder":
        (path / "x").mkdir(parents=True)
    else:
        path.symlink_to(outside)
    assert not store.has(digest)
    assert not os.path.lexists(path)
    assert outside.read_bytes() == DATA


def test_a_touched_but_sound_entry_is_hashed_once_and_trusted_again(store: Store, told: Warnings) -> None:
    digest = store.add_bytes(DATA)
    os.utime(store.path(digest), ns=(5, 5))
    assert not store.proven(digest)
    assert store.has(digest)
    assert store.proven(digest)
    assert told.texts == []


def test_an_untouched_entry_is_not_read_again(store: Store) -> None:
    digest = store.add_bytes(DATA)
    path = store.path(digest)
    before = path.stat()
    with open(path, "r+b") as stream:
        stream.write(b"X")
    restat(path, like=before)
    # Trusting stat is the bargain: this is what a second run saves, and what it cannot see.
    assert store.has(digest)


@pytest.mark.parametrize("proof", [b"", b"\xff\xfe", b"12", b"1 2 3\n"], ids=["empty", "binary", "torn", "other"])
def test_a_torn_proof_only_costs_a_hash(store: Store, proof: bytes) -> None:
    digest = store.add_bytes(DATA)
    path = store.path(digest)
    path.with_name(f"{path.name}.proven").write_bytes(proof)
    assert not store.proven(digest)
    assert store.has(digest)
    assert store.proven(digest)


def test_a_store_restored_elsewhere_is_proven_again(store: Store, tmp_path: Path) -> None:
    digest = store.add_bytes(DATA)
    shutil.copytree(store.folder, tmp_path / "restored" / "files")
    other = Store(tmp_path / "restored" / "files")
    assert not other.proven(digest)
    assert other.has(digest)


def test_the_mode_does_not_hang_on_the_umask(store: Store) -> None:
    old = os.umask(0o077)
    try:
        digest = store.add_bytes(DATA)
    finally:
        os.umask(old)
    assert store.path(digest).stat().st_mode & 0o777 == 0o644


def test_adopting_moves_the_file(store: Store) -> None:
    with store.temporary() as path:
        path.write_bytes(DATA)
        final = store.adopt(path, sha256(DATA), len(DATA))
        assert not path.exists()
    assert final.read_bytes() == DATA
    assert store.proven(sha256(DATA), size=len(DATA))


def test_adopting_refuses_what_did_not_all_reach_the_disk(store: Store) -> None:
    with store.temporary() as path:
        path.write_bytes(DATA[:-1])
        with pytest.raises(IntegrityError, match="bytes on disk"):
            store.adopt(path, sha256(DATA), len(DATA))
    assert not store.path(sha256(DATA)).exists()


def test_adopting_over_a_damaged_entry_replaces_it(store: Store) -> None:
    digest = store.add_bytes(DATA)
    store.path(digest).write_bytes(b"")
    with store.temporary() as path:
        path.write_bytes(DATA)
        store.adopt(path, digest, len(DATA))
    assert store.path(digest).read_bytes() == DATA


def test_first_digests_are_remembered_without_their_key(store: Store) -> None:
    key = "https://user:secret@host/x.whl"
    assert store.known_digest(key) is None
    store.remember(key, sha256(DATA))
    assert store.known_digest(key) == sha256(DATA)
    assert store.known_digest(f"{key}?") is None
    kept = b"".join(path.read_bytes() + path.name.encode() for path in store.folder.parent.rglob("*") if path.is_file())
    assert b"secret" not in kept


def test_a_torn_memory_is_no_memory(store: Store) -> None:
    store.remember("k", sha256(DATA))
    for path in store.folder.parent.rglob("*"):
        if path.is_file():
            path.write_bytes(b"12")
    assert store.known_digest("k") is None


def test_cleaning_takes_what_is_stale_only(store: Store) -> None:
    digest = store.add_bytes(DATA)
    now = 1_800_000_000.0
    ages = {".hardtack-old": 7200.0, ".hardtack-young": 60.0, "0" * 64: 9 * 86400.0, "1" * 64: 3600.0}
    for name, age in ages.items():
        path = store.partial_folder / name
        path.write_bytes(b"part")
        os.utime(path, (now - age, now - age))
    assert store.clean(now=now) == 2
    assert sorted(path.name for path in store.partial_folder.iterdir()) == [".hardtack-young", "1" * 64]
    assert store.has(digest)


def test_cleaning_a_store_that_is_not_there_is_fine(store: Store) -> None:
    assert store.clean() == 0


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="permissions bind only a user who is not root")
def test_a_read_only_store_serves_but_takes_nothing(store: Store) -> None:
    digest = store.add_bytes(DATA)
    os.utime(store.path(digest), ns=(5, 5))
    for folder in (store.path(digest).parent, store.folder, store.partial_folder):
        folder.chmod(0o555)
    try:
        assert store.has(digest)
        with pytest.raises(DiskFault):
            store.add_bytes(b"new")
    finally:
        for folder in (store.folder, store.path(digest).parent, store.partial_folder):
            folder.chmod(0o755)


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_the_order_that_survives_power_loss(tmp_path: Path) -> None:
    """The file is synced before it is renamed, its folder after (PROMISES: order seen in strace)."""
    code = "import pathlib, sys; from hardtack.wheelhouse.store import Store; Store(pathlib.Path(sys.argv[1])).add_bytes(b'x')"
    log = tmp_path / "log"
    trace = ["strace", "-f", "-y", "-e", "trace=fsync,rename,renameat,renameat2", "-o", str(log)]
    command = [*trace, sys.executable, "-c", code, str(tmp_path / "files")]
    traced = subprocess.run(command, capture_output=True, check=False, timeout=60)
    if traced.returncode:
        pytest.skip("strace may not trace here")
    calls = re.findall(r"(fsync|rename\w*)\((.*?)\)\s*=", log.read_text())
    names = [(call[:6], "partial" in text, "files" in text) for call, text in calls]
    file_synced = names.index(("fsync", True, False))
    renamed = next(place for place, (call, source, final) in enumerate(names) if call == "rename" and source and final)
    folder_synced = max(place for place, (call, source, _) in enumerate(names) if call == "fsync" and not source)
    assert file_synced < renamed < folder_synced

"""Fetching over real sockets, by several processes, by killed ones, onto disks that are full or shut."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hardtack.errors import Cancelled, TransferFault
from hardtack.fetching.download import Fetched, fetch
from hardtack.fetching.transfer import FetchLimits, Wanted
from hardtack.indexing.credentials import Credentials
from hardtack.indexing.http import HttpTransport
from hardtack.indexing.settings import IndexSettings
from hardtack.reporting import Reporter
from hardtack.system.cancellation import Cancellation
from hardtack.system.files import DiskFault
from hardtack.wheelhouse.store import Store
from tests.fetching.fakes import Watcher
from tests.support.loopback import LoopbackIndex

QUICK = FetchLimits(backoff=0.01, longest_wait=0.1, stall=3.0, silence=0.25)

# What a child process runs: it fetches every file of its arguments (name, digest, URL) into the store of the first.
CHILD = """
import sys
from pathlib import Path
from tests.fetching.test_processes import get
from hardtack.fetching.transfer import Wanted

store, *rest = sys.argv[1:]
files = [Wanted(filename=n, sha256=d, urls=(u,)) for n, d, u in zip(rest[::3], rest[1::3], rest[2::3])]
fetched = get(Path(store), files, jobs=4)
for failure in fetched.failures:
    print(repr(failure), file=sys.stderr)
sys.exit(1 if fetched.failures else 0)
"""


def get(
    folder: Path,
    files: list[Wanted],
    *,
    jobs: int = 8,
    stop: Cancellation | None = None,
    reporter: Reporter | None = None,
    limits: FetchLimits = QUICK,
) -> Fetched:
    """Fetch over HTTP into the store of a cache folder."""
    stop = stop or Cancellation()
    with HttpTransport(IndexSettings(indexes=(), timeout=5.0), Credentials(), stop) as transport:
        return fetch(
            files,
            transport=transport,
            store=Store(folder / "files"),
            reporter=reporter or Reporter(),
            stop=stop,
            jobs=jobs,
            limits=limits,
        )


@pytest.fixture
def index() -> Iterator[LoopbackIndex]:
    with LoopbackIndex() as running:
        yield running


def fill(index: LoopbackIndex, sizes: list[int]) -> list[Wanted]:
    """Files of these sizes on the index."""
    files = []
    for number, size in enumerate(sizes):
        body = hashlib.shake_128(b"%d" % number).digest(size)
        name = f"p{number}-1-py3-none-any.whl"
        url = index.add(name, body, metadata=False)
        files.append(Wanted(filename=name, urls=(url,), sha256=hashlib.sha256(body).hexdigest(), index="loopback"))
    return files


def child(folder: Path, files: list[Wanted]) -> subprocess.Popen[bytes]:
    arguments = [part for file in files for part in (file.filename, file.sha256 or "", file.urls[0])]
    root = Path(__file__).parents[2]
    return subprocess.Popen([sys.executable, "-c", CHILD, str(folder), *arguments], cwd=root, stderr=subprocess.PIPE)


def entries(folder: Path) -> dict[str, str]:
    """Every final name of the store, with the digest that its bytes really have."""
    found = {}
    for path in (folder / "files").rglob("*"):
        if path.is_file() and path.suffix != ".proven":
            with contextlib.suppress(FileNotFoundError):
                found[path.parent.name + path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def leftovers(folder: Path) -> list[str]:
    """What lies beside the store's entries and their proofs."""
    return [str(path) for path in folder.rglob("*") if path.is_file() and not path.is_relative_to(folder / "files")]


def test_many_files_over_few_connections(index: LoopbackIndex, tmp_path: Path) -> None:
    files = fill(index, [100_000] * 40)
    watcher = Watcher()
    fetched = get(tmp_path, files, reporter=watcher)
    assert fetched.failures == ()
    assert all(file.size == 100_000 for file in fetched.files.values())
    assert index.connections <= 8
    assert watcher.shown == {file.filename: 100_000 for file in files}
    asked = len(index.requests)
    assert get(tmp_path, files).received == 0
    assert len(index.requests) == asked, "a second run asks nothing"


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("fault", [{"truncate_at": 30_000}, {"stall_after": 30_000}, {"status": 503}], ids=["truncated", "stalled", "503"])
def test_it_gets_there_in_spite_of(index: LoopbackIndex, tmp_path: Path, fault: dict[str, int], ranges: bool) -> None:
    index.ranges = ranges
    files = fill(index, [100_000, 50_000])
    index.fault(files[0].filename, times=2, **fault)  # type: ignore[arg-type]
    fetched = get(tmp_path, files)
    assert [str(failure) for failure in fetched.failures] == []
    assert entries(tmp_path) == {file.sha256: file.sha256 for file in files}
    if ranges and "status" not in fault:
        assert fetched.received == 150_000
        assert "range" in index.asked(files[0].filename)[-1].headers


def test_redirects_are_followed_and_ranges_survive_them(index: LoopbackIndex, tmp_path: Path) -> None:
    (file,) = fill(index, [100_000])
    index.fault("/old", redirect=file.urls[0])
    index.fault(file.filename, times=1, truncate_at=40_000)
    moved = Wanted(filename=file.filename, urls=(f"{index.base}/old",), sha256=file.sha256)
    assert get(tmp_path, [moved]).received == 100_000


def test_a_wrong_byte_is_found(index: LoopbackIndex, tmp_path: Path) -> None:
    files = fill(index, [100_000, 1000])
    index.fault(files[0].filename, flip_at=77_777)
    fetched = get(tmp_path, files)
    assert [type(failure).__name__ for failure in fetched.failures] == ["HashMismatch"]
    assert entries(tmp_path) == {files[1].sha256: files[1].sha256}
    assert leftovers(tmp_path) == []


def test_a_server_that_says_nothing_is_given_up(index: LoopbackIndex, tmp_path: Path) -> None:
    (file,) = fill(index, [1000])
    index.fault(file.filename, stall_after=0)
    started = time.monotonic()
    fetched = get(tmp_path, [file], limits=FetchLimits(backoff=0.01, stall=1.0, silence=0.4))
    assert time.monotonic() - started < 4
    assert isinstance(fetched.failures[0], TransferFault)


def test_interrupted_while_the_server_is_silent(index: LoopbackIndex, tmp_path: Path) -> None:
    files = fill(index, [100_000] * 3)
    index.fault("files", stall_after=10)
    stop = Cancellation()
    threading.Timer(0.4, stop.cancel).start()
    started = time.monotonic()
    with pytest.raises(Cancelled):
        get(tmp_path, files, stop=stop, limits=FetchLimits())
    assert time.monotonic() - started < 1.4
    assert entries(tmp_path) == {}


def test_processes_race_for_one_store(index: LoopbackIndex, tmp_path: Path) -> None:
    files = fill(index, [300_000, 5, 0, *[20_000] * 9])
    index.bandwidth = 2_000_000
    # One entry is damaged when they begin: all of them find it, none may hurt what another has mended.
    assert files[3].sha256 is not None
    bad = Store(tmp_path / "files").path(files[3].sha256)
    bad.parent.mkdir(parents=True)
    bad.write_bytes(b"")
    children = [child(tmp_path, random.Random(seed).sample(files, len(files))) for seed in range(6)]
    ends = [(process.communicate()[1], process.returncode) for process in children]
    assert ends == [(b"", 0)] * 6
    assert entries(tmp_path) == {file.sha256: file.sha256 for file in files}
    assert leftovers(tmp_path) == []
    assert len(index.requests) < 6 * len(files) / 2, "they share the work"


@pytest.mark.skipif(os.name == "nt", reason="kill -9")
@pytest.mark.parametrize("seed", range(4))
def test_killed_at_any_instant_and_run_again(index: LoopbackIndex, tmp_path: Path, seed: int) -> None:
    files = fill(index, [200_000] * 3 + [30_000] * 9)
    index.bandwidth = 1_000_000
    right = {file.sha256: file.sha256 for file in files}
    chance = random.Random(seed)
    for _ in range(3):
        process = child(tmp_path, files)
        deadline = time.monotonic() + 10
        while not (tmp_path / "partial").exists() and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.005)
        time.sleep(chance.uniform(0, 0.25))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        found = entries(tmp_path)
        assert found.items() <= right.items(), "nothing wrong has a final name"
    index.bandwidth = None
    assert get(tmp_path, files).failures == ()
    assert entries(tmp_path) == right
    assert leftovers(tmp_path) == []


def test_a_holder_that_does_not_get_on_is_passed_by(index: LoopbackIndex, tmp_path: Path) -> None:
    """Another process has the partial file and hangs: after the stall limit its lock is no reason to wait."""
    from hardtack.fetching.claim import claim

    (file,) = fill(index, [1000])
    with claim(tmp_path / "partial", file.sha256 or ""):
        fetched = get(tmp_path, [file], limits=FetchLimits(stall=0.3))
    assert fetched.failures == ()
    assert leftovers(tmp_path) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one mebibyte."""
    if sys.platform != "linux" or os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("mounting a small file system takes root on Linux")
    folder = tmp_path / "small"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(folder)], check=False, capture_output=True).returncode:
        pytest.skip("no file system may be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_said_and_room_mends_it(index: LoopbackIndex, small_disk: Path) -> None:
    cache = small_disk / "cache"
    small, large = fill(index, [200_000, 2_000_000])
    assert get(cache, [small]).failures == ()
    with pytest.raises(DiskFault, match=r"[Nn]o space") as caught:
        get(cache, [small, large])
    assert caught.value.hint
    assert str(cache) in str(caught.value)
    assert entries(cache) == {small.sha256: small.sha256}, "the old state is intact"
    subprocess.run(["mount", "-o", "remount,size=8m", str(small_disk)], check=True)
    assert get(cache, [small, large]).failures == ()
    assert leftovers(cache) == []


def test_a_shut_disk_is_said_and_serves_what_it_has(index: LoopbackIndex, small_disk: Path) -> None:
    cache = small_disk / "cache"
    old, new = fill(index, [20_000, 30_000])
    assert get(cache, [old]).failures == ()
    # Restored from somewhere, so that its digest has to be proven again, and that cannot be noted.
    os.utime(next(path for path in (cache / "files").rglob("*") if len(path.name) == 62), ns=(1, 1))
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    assert get(cache, [old]).failures == ()
    with pytest.raises(DiskFault, match=r"[Rr]ead-only"):
        get(cache, [old, new])
    assert entries(cache) == {old.sha256: old.sha256}


def test_memory_is_flat(index: LoopbackIndex, tmp_path: Path) -> None:
    """Sixteen threads hold a quarter of a mebibyte each, however large the files are."""
    pytest.importorskip("resource")
    files = fill(index, [12_000_000] * 4)
    probe = CHILD.replace("sys.exit(", "import resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss); sys.exit(")
    root = Path(__file__).parents[2]

    def peak(some: list[Wanted], folder: Path) -> int:
        arguments = [part for file in some for part in (file.filename, file.sha256 or "", file.urls[0])]
        done = subprocess.run([sys.executable, "-c", probe, str(folder), *arguments], cwd=root, capture_output=True, check=True)
        return int(done.stdout)

    unit = 1024 if sys.platform != "darwin" else 1024 * 1024
    assert peak(files, tmp_path / "all") - peak([], tmp_path / "none") < 12_000 * 1024 / unit

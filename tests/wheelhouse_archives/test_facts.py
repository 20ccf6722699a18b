"""Facts are remembered, for exactly the file they are of, and by any number of readers."""

from __future__ import annotations

from pathlib import Path

import pytest

from hardtack.errors import Cancelled
from hardtack.model.wheel import BadWheel, WheelFacts
from hardtack.system.cancellation import Cancellation
from hardtack.wheelhouse.facts import FactsCache, digests, inspect_all
from hardtack.wheelhouse.inspect import inspect_wheel
from hardtack.wheelhouse.limits import Limits
from tests.support.archives import make_wheel, sha256

File = tuple[Path, str, str]


def stored(folder: Path, name: str, *, broken: bool = False, build: str | None = None) -> File:
    filename, data = make_wheel(
        name, requires=["click>=8; python_version < '3.9'", "x[y]"], extras=["e"], requires_python=">=3.8", build=build
    )
    data = data[:-1] if broken else data
    path = folder / sha256(data)
    path.write_bytes(data)
    return path, filename, sha256(data)


@pytest.mark.parametrize("broken", [False, True])
@pytest.mark.parametrize("build", [None, "3x"])
def test_what_is_remembered_equals_what_was_found(broken: bool, build: str | None, tmp_path: Path) -> None:
    path, filename, digest = stored(tmp_path, "demo", broken=broken, build=build)
    cache = FactsCache(tmp_path / "cache")
    assert cache.known(path, filename, digest) is None
    first = cache.get(path, filename, digest)
    assert first == inspect_wheel(path, filename=filename, sha256=digest)
    assert isinstance(first, BadWheel if broken else WheelFacts)
    assert FactsCache(tmp_path / "cache").known(path, filename, digest) == first


def test_nothing_is_remembered_of_other_names_sizes_or_limits(tmp_path: Path) -> None:
    path, filename, digest = stored(tmp_path, "demo")
    cache = FactsCache(tmp_path / "cache")
    cache.get(path, filename, digest)
    assert cache.known(path, "other-1.0-py3-none-any.whl", digest) is None
    assert FactsCache(tmp_path / "cache", limits=Limits(tags=1)).known(path, filename, digest) is None
    with open(path, "ab") as file:
        file.write(b"x")
    assert cache.known(path, filename, digest) is None
    assert isinstance(cache.get(path, filename, digest), BadWheel)


def test_a_verdict_on_other_bytes_is_not_kept_for_the_digest(tmp_path: Path) -> None:
    path, filename, digest = stored(tmp_path, "demo")
    good = path.read_bytes()
    path.write_bytes(bytes([good[0] ^ 1]) + good[1:])
    cache = FactsCache(tmp_path / "cache")
    assert isinstance(cache.get(path, filename, digest), BadWheel)
    path.write_bytes(good)
    assert isinstance(cache.get(path, filename, digest), WheelFacts)


def test_a_damaged_entry_is_a_miss(tmp_path: Path) -> None:
    path, filename, digest = stored(tmp_path, "demo")
    cache = FactsCache(tmp_path / "cache")
    first = cache.get(path, filename, digest)
    (entry,) = (tmp_path / "cache").rglob("*.json")
    data = entry.read_bytes()
    for damaged in (b"", data[:50], data[:-1], data.replace(b"click", b"clock"), b"{}", b"\xff" * 40):
        entry.write_bytes(damaged)
        assert cache.known(path, filename, digest) is None
        assert cache.get(path, filename, digest) == first
        assert entry.read_bytes() == data


def test_many_at_once_in_their_order(tmp_path: Path) -> None:
    files = [stored(tmp_path, f"demo{number}", broken=number % 5 == 0) for number in range(20)]
    cache = FactsCache(tmp_path / "cache")
    for _ in range(2):
        found = list(inspect_all(files, cache, jobs=4))
        assert [facts.filename for facts in found] == [filename for _, filename, _ in files]
        assert [isinstance(facts, BadWheel) for facts in found] == [number % 5 == 0 for number in range(20)]


def test_it_can_be_stopped(tmp_path: Path) -> None:
    stop = Cancellation()
    stop.cancel()
    with pytest.raises(Cancelled):
        list(inspect_all([stored(tmp_path, "demo")], FactsCache(tmp_path / "cache"), stop=stop))


def test_digests_are_of_the_files_and_can_be_stopped(tmp_path: Path) -> None:
    contents = {tmp_path / f"{size}.bin": bytes(range(256)) * size for size in (0, 3, 5000, 1)}
    for path, data in contents.items():
        path.write_bytes(data)
    assert digests(contents) == {path: sha256(data) for path, data in contents.items()}
    stop = Cancellation()
    stop.cancel()
    with pytest.raises(Cancelled):
        digests(contents, stop=stop)

"""Which index is believed, what is tried again, what is kept, and what never leaks."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.version import Version

from hardtack.errors import Cancelled, HardtackError, HashMismatch, IndexDenied, IndexFault, Offline
from hardtack.indexing.client import IndexClient
from hardtack.indexing.credentials import Credentials
from hardtack.indexing.http import HttpTransport
from hardtack.indexing.settings import IndexFlags, IndexSettings
from hardtack.model.index import ProjectPage
from hardtack.system.cancellation import Cancellation
from tests.indexing.arranging import settled
from tests.support.archives import make_sdist, make_wheel, sha256
from tests.support.loopback import LoopbackIndex

_OPENED: list[HttpTransport] = []


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """Close what the test's clients left open."""
    yield
    while _OPENED:
        _OPENED.pop().close()


def client_of(
    settings: IndexSettings, credentials: Credentials | None = None, *, cache: Path | None = None, stop: Cancellation | None = None
) -> IndexClient:
    _OPENED.append(HttpTransport(settings, credentials or Credentials(), stop))
    return IndexClient(_OPENED[-1], settings, cache, stop=stop, pace=0.01)


def client(flags: IndexFlags, *, cache: Path | None = None, offline: bool = False, **environment: str) -> IndexClient:
    settings, credentials = settled(flags, offline=offline, environment=environment)
    return client_of(settings, credentials, cache=cache)


def versions(pages: tuple[ProjectPage, ...]) -> list[tuple[str, list[str]]]:
    return [(page.index, [str(version) for version in page.files]) for page in pages]


@pytest.mark.parametrize("json", [True, False])
@pytest.mark.parametrize("relative", [True, False])
def test_a_project_as_its_index_lists_it(json: bool, relative: bool) -> None:
    with LoopbackIndex(json=json) as index:
        index.relative = relative
        wheel, data = make_wheel("Foo.Bar", "2.0", requires_python=">=3.8")
        index.add(wheel, data, requires_python=">=3.8", yanked="broken")
        index.add(*make_sdist("foo_bar", "1.0"))
        (page,) = client(IndexFlags(index_url=index.url)).files("FOO_bar")
        (file,) = page.files[Version("2.0")]
        assert file.url == f"{index.files_url}/{wheel}" and file.sha256 == sha256(data)
        assert file.yanked == "broken" and str(file.requires_python) == ">=3.8"
        assert file.size == (len(data) if json else None)
        assert index.requests[0].path == "/simple/foo-bar/"


# ---- dependency confusion


def test_the_first_index_that_has_a_project_is_the_only_one_believed() -> None:
    with LoopbackIndex() as private, LoopbackIndex() as public:
        private.add(*make_wheel("corp", "1.0"))
        public.add(*make_wheel("corp", "9.9"))
        public.add(*make_wheel("other", "1.0"))
        ours = client(IndexFlags(extra_index_urls=(private.url,), index_url=public.url))
        assert versions(ours.files("corp")) == [(f"127-0-0-1-{private.port}", ["1.0"])]
        assert public.asked("corp") == []
        assert versions(ours.files("other")) == [(f"127-0-0-1-{public.port}", ["1.0"])]


@pytest.mark.parametrize("spelling", ["corp-tool", "Corp_Tool", "CORP.TOOL", "corp--tool", "corp_-_tool"])
@pytest.mark.parametrize("listed", [[], ["1.0"], ["1.0.dev1"]])
def test_no_spelling_and_no_emptiness_leads_past_the_first_index(spelling: str, listed: list[str]) -> None:
    """A project without a usable file is still that index's project."""
    with LoopbackIndex(json=False) as private, LoopbackIndex() as public:
        for version in listed:
            private.add(*make_wheel("corp_tool", version), project="corp-tool", yanked="gone")
        if not listed:
            private.fault("corp-tool", status=200, body=b"<!DOCTYPE html><html></html>", headers={"Content-Type": "text/html"})
        for version in ("1.0", "9.9", "1!0"):
            public.add(*make_wheel("corp.tool", version), project="corp-tool")
        ours = client(IndexFlags(extra_index_urls=(private.url,), index_url=public.url))
        assert versions(ours.files(spelling)) == [(f"127-0-0-1-{private.port}", listed)]
        assert public.requests == []


@pytest.mark.parametrize("status", [401, 403, 429, 500, 502, 503, 400, 418])
def test_an_index_that_fails_is_not_passed_over(status: int) -> None:
    with LoopbackIndex() as private, LoopbackIndex() as public:
        private.fault("corp", status=status)
        public.add(*make_wheel("corp", "9.9"))
        ours = client(IndexFlags(extra_index_urls=(private.url,), index_url=public.url, retries=1))
        with pytest.raises(IndexFault) as raised:
            ours.files("corp")
        assert str(status) in str(raised.value) and "--extra-index-url" in str(raised.value) and private.url in str(raised.value)
        assert public.requests == []
        ours.prefetch(["corp"])
        with pytest.raises(IndexFault):
            ours.files("corp")


@pytest.mark.parametrize("body", [b"<html><body>cut", b"<html><form></form></html>", b"{"])
def test_a_broken_page_is_not_passed_over(body: bytes) -> None:
    with LoopbackIndex() as private, LoopbackIndex() as public:
        private.json = body == b"{"
        private.add(*make_wheel("corp", "1.0"))
        private.fault("corp", body=body)
        public.add(*make_wheel("corp", "9.9"))
        with pytest.raises(IndexFault):
            client(IndexFlags(extra_index_urls=(private.url,), index_url=public.url)).files("corp")
        assert public.requests == []


@pytest.mark.parametrize("status", [404, 410])
def test_only_not_found_and_gone_mean_absent(status: int) -> None:
    with LoopbackIndex() as index:
        index.fault("foo", status=status)
        assert client(IndexFlags(index_url=index.url)).files("foo") == ()


def test_pinned_packages_come_from_their_index_alone() -> None:
    with LoopbackIndex() as cuda, LoopbackIndex() as public:
        cuda.add(*make_wheel("torch", "1.0+cu128"))
        cuda.add(*make_wheel("numpy", "9.9"))
        public.add(*make_wheel("torch", "2.0"))
        public.add(*make_wheel("numpy", "1.0"))
        public.add(*make_wheel("vision", "1.0"))
        tables = [{"name": "cuda", "url": cuda.url, "explicit": True, "packages": ["torch", "vision"]}]
        settings, _ = settled(IndexFlags(index_url=public.url), tables=tables)
        ours = client_of(settings)
        assert versions(ours.files("torch")) == [("cuda", ["1.0+cu128"])]
        assert ours.files("vision") == (), "absent from its index is absent, wherever else it may be"
        assert [version for _, version in versions(ours.files("numpy"))] == [["1.0"]]


def test_a_pin_under_a_condition_leaves_the_others_in_sight_and_a_targets_own_pin_counts() -> None:
    with LoopbackIndex() as cpu, LoopbackIndex() as cuda, LoopbackIndex() as public:
        for index, version in ((cpu, "1.0+cpu"), (cuda, "1.0+cu128"), (public, "2.0")):
            index.add(*make_wheel("torch", version))
        tables = [{"name": name, "url": index.url, "explicit": True} for name, index in (("cpu", cpu), ("cuda", cuda))]
        settings, _ = settled(IndexFlags(index_url=public.url), tables=tables, pins=[("torch", "cpu"), ("torch", "")])
        ours = client_of(settings)
        assert [found for _, found in versions(ours.files("torch"))] == [["1.0+cpu"], ["2.0"]]
        assert versions(ours.files("torch", pins=["cuda"])) == [("cuda", ["1.0+cu128"])]
        assert [found for _, found in versions(ours.files("torch", pins=[]))] == [["2.0"]]


def test_an_index_may_be_declared_to_answer_403_for_what_it_lacks() -> None:
    with LoopbackIndex() as store, LoopbackIndex() as public:
        store.fault("foo", status=403)
        public.add(*make_wheel("foo"))
        table = {"name": "store", "url": store.url, "ignore-error-codes": [403]}
        settings, _ = settled(IndexFlags(index_url=public.url), tables=[table])
        assert [page.index for page in client_of(settings).files("foo")] == [f"127-0-0-1-{public.port}"]


def test_flat_places_stand_beside_the_first_index(tmp_path: Path) -> None:
    name, data = make_wheel("foo", "3.0")
    (tmp_path / name).write_bytes(data)
    with LoopbackIndex() as index, LoopbackIndex(json=False) as page:
        index.add(*make_wheel("foo", "1.0"))
        page.add(*make_wheel("foo", "2.0"))
        ours = client(IndexFlags(index_url=index.url, find_links=(str(tmp_path), page.flat_url)))
        assert [found for _, found in versions(ours.files("foo"))] == [["3.0"], ["2.0"], ["1.0"]]
        assert ours.files("bar") == ()


def test_a_local_index_that_is_not_there_has_nothing() -> None:
    with LoopbackIndex() as index:
        index.add(*make_wheel("foo"))
        ours = client(IndexFlags(index_url=index.url, extra_index_urls=("file:///no/such/index",)))
        assert len(ours.files("foo")) == 1


def test_a_find_links_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    ours = client(IndexFlags(no_index=True, find_links=(str(tmp_path / "absent"),)))
    with pytest.raises(HardtackError, match="absent"):
        ours.files("foo")


# ---- standing in


def test_a_file_is_found_by_name_and_digest_where_an_index_stands_in() -> None:
    with LoopbackIndex() as mirror, LoopbackIndex() as index:
        name, data = make_wheel("foo")
        mirror.add(name, data)
        mirror.add(*make_wheel("bar"), sha256="f" * 64)
        mirror.add(*make_wheel("baz"), sha256=None)
        table = {"name": "mirror", "url": mirror.url, "explicit": True, "stands-in-for": ["https://files.example/packages"]}
        settings, _ = settled(IndexFlags(index_url=index.url), tables=[table])
        ours = client_of(settings)
        url = "https://files.example/packages/ab/" + name
        found = ours.find(name, sha256(data), "foo", url)
        assert found is not None and found.url == f"{mirror.files_url}/{name}"
        assert ours.find(name, "0" * 64, "foo", url) is None
        assert ours.find("bar-1.0-py3-none-any.whl", sha256(data), "bar", url) is None
        assert ours.find("baz-1.0-py3-none-any.whl", sha256(data), "baz", url) is not None
        for other in ("https://files.example/packages-not/x", "https://files.example.evil/packages/x", "http://files.example/packages/x"):
            assert ours.stand_ins(other) == ()


# ---- retries


def test_busy_and_broken_answers_are_asked_for_again() -> None:
    with LoopbackIndex() as index:
        index.add(*make_wheel("foo"))
        index.fault("foo", status=503, times=1)
        index.fault("foo", status=429, headers={"Retry-After": "0"}, times=1)
        index.fault("foo", truncate_at=10, claim=500, times=1)
        assert len(client(IndexFlags(index_url=index.url, retries=3)).files("foo")) == 1
        assert len(index.requests) == 4


def test_retrying_ends() -> None:
    with LoopbackIndex() as index:
        index.fault("foo", status=500)
        with pytest.raises(IndexFault, match="500"):
            client(IndexFlags(index_url=index.url, retries=2)).files("foo")
        assert len(index.requests) == 3


def test_retry_after_is_waited_for_and_cancelled() -> None:
    with LoopbackIndex() as index:
        index.fault("foo", status=429, headers={"Retry-After": "86400"})
        stop = Cancellation()
        settings, _ = settled(IndexFlags(index_url=index.url))
        ours = client_of(settings, stop=stop)
        threading.Timer(0.2, stop.cancel).start()
        started = time.monotonic()
        with pytest.raises(Cancelled):
            ours.files("foo")
        assert 0.1 < time.monotonic() - started < 1.2
        assert len(index.requests) == 1


# ---- the cache


def test_pages_are_revalidated_and_serve_offline(tmp_path: Path) -> None:
    with LoopbackIndex() as index:
        index.add(*make_wheel("foo", "1.0"))
        flags = IndexFlags(index_url=index.url)
        first = client(flags, cache=tmp_path)
        assert first.files("foo") == first.files("foo") and len(index.requests) == 1
        client(flags, cache=tmp_path).files("foo")
        assert "if-none-match" in index.requests[1].headers
        index.add(*make_wheel("foo", "2.0"))
        assert versions(client(flags, cache=tmp_path).files("foo"))[0][1] == ["1.0", "2.0"]
        client(flags, cache=tmp_path).files("absent")
        asked, connections = len(index.requests), index.connections
        offline = client(flags, cache=tmp_path, offline=True)
        assert versions(offline.files("foo"))[0][1] == ["1.0", "2.0"]
        assert offline.files("absent") == (), "that it is absent is remembered, too"
        with pytest.raises(Offline):
            offline.files("never-asked")
        assert (len(index.requests), index.connections) == (asked, connections)
        client(flags, cache=tmp_path).files("absent")
        assert len(index.requests) == asked + 1, "online, what was absent is asked for anew"


def test_a_spoilt_cache_is_asked_for_anew(tmp_path: Path) -> None:
    with LoopbackIndex() as index:
        index.add(*make_wheel("foo", "1.0"))
        flags = IndexFlags(index_url=index.url)
        pages = client(flags, cache=tmp_path).files("foo")
        for spoil in (b"", b"\n", b"{}\nx", b"\xff\xfe\n", None):
            for path in (tmp_path / "pages").iterdir():
                path.write_bytes(path.read_bytes().replace(b"foo-1.0", b"foo-6.6") if spoil is None else spoil)
            assert client(flags, cache=tmp_path).files("foo") == pages


def test_packed_pages_are_unpacked_within_bounds() -> None:
    with LoopbackIndex() as index:
        index.add(*make_wheel("foo"))
        page = b'<a href="/foo-7.0.tar.gz">x</a>'
        index.json = False
        packed = {"Content-Encoding": "gzip", "Content-Type": "text/html"}
        index.fault("foo", status=200, body=gzip.compress(page), headers=packed, times=1)
        assert versions(client(IndexFlags(index_url=index.url)).files("foo"))[0][1] == ["7.0"]
        index.fault("foo", status=200, body=gzip.compress(page)[:-9], headers=packed)
        with pytest.raises(IndexFault, match="gzip"):
            client(IndexFlags(index_url=index.url, retries=0)).files("foo")
        index.faults = []
        index.fault("foo", status=200, body=gzip.compress(bytes(80 << 20), 1), headers=packed)
        with pytest.raises(IndexFault, match="unpacks to more"):
            client(IndexFlags(index_url=index.url, retries=0)).files("foo")


# ---- PEP 658


def test_metadata_comes_from_the_index_checked(tmp_path: Path) -> None:
    with LoopbackIndex() as index:
        name, data = make_wheel("foo", requires=["bar>=1"])
        index.add(name, data)
        ours = client(IndexFlags(index_url=index.url), cache=tmp_path)
        file = ours.files("foo")[0].files[Version("1.0")][0]
        found = ours.metadata(file)
        assert found is not None and b"Requires-Dist: bar>=1" in found
        asked = len(index.requests)
        assert ours.metadata(file) == found and len(index.requests) == asked
        next((tmp_path / "metadata").iterdir()).write_bytes(b"spoilt")
        index.fault(f"{name}.metadata", flip_at=3, times=1)
        with pytest.raises(HashMismatch):
            ours.metadata(file)
        assert ours.metadata(file) == found
        index.pep658 = False
        plain = client(IndexFlags(index_url=index.url))
        assert plain.metadata(plain.files("foo")[0].files[Version("1.0")][0]) is None


# ---- canary


def test_a_login_reaches_no_cache_no_error_and_no_other_origin(tmp_path: Path) -> None:
    with LoopbackIndex(credentials=("me", "CANARY")) as index, LoopbackIndex() as files:
        index.add(*make_wheel("foo"))
        files.add(*make_wheel("foo"))
        # A page that echoes the login into its links, to another host.
        index.file_base = f"http://me:CANARY@127.0.0.1:{files.port}/files"
        ours = client(IndexFlags(index_url=index.with_login("me", "CANARY"), retries=0), cache=tmp_path)
        file = ours.files("foo")[0].files[Version("1.0")][0]
        assert ours.metadata(file) is not None
        said = [repr(file)]
        index.fault("pages", status=500)
        with pytest.raises(IndexFault) as raised:
            ours.files("bar")
        said += [str(raised.value), repr(raised.value), str(raised.value.hint)]
        index.faults, index.credentials = [], ("me", "other")
        with pytest.raises(IndexDenied) as denied:
            ours.files("baz")
        said += [str(denied.value), str(denied.value.hint)]
        assert "--index-url" in str(denied.value)
        kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
        assert kept and b"CANARY" not in kept
        assert "CANARY" not in "".join(said) + str(files.requests)
        assert all("authorization" not in request.headers for request in files.requests)


def test_many_projects_are_asked_for_at_once() -> None:
    with LoopbackIndex() as index:
        for number in range(40):
            index.add(*make_wheel(f"p{number}"))
        index.fault("pages", delay=0.05)
        ours = client(IndexFlags(index_url=index.url))
        started = time.monotonic()
        ours.prefetch([f"p{number}" for number in range(40)])
        assert time.monotonic() - started < 1.2
        asked = len(index.requests)
        assert asked == 40
        assert all(ours.files(f"p{number}") for number in range(40)) and len(index.requests) == asked

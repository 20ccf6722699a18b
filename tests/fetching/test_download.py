"""Fetching, over a transport that does every wrong thing a server or a line can do."""

from __future__ import annotations

import hashlib
import os
import re
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hardtack.errors import Cancelled, HashMismatch, IndexDenied, IndexFault, IntegrityError, Offline, TransferFault
from hardtack.fetching.download import Fetched, fetch, partial_name
from hardtack.fetching.transfer import FetchLimits, Wanted
from hardtack.model.lock import HashSource
from hardtack.system.cancellation import Cancellation
from hardtack.wheelhouse.store import Store
from tests.fetching.fakes import Answer, FakeTransport, Reply, Request, Watcher, ranged

BODY = hashlib.shake_256(b"bread").digest(700_000)
DIGEST = hashlib.sha256(BODY).hexdigest()
URL = "https://files.example/a-1-py3-none-any.whl"
OTHER = "https://mirror.example/a-1-py3-none-any.whl"
QUICK = FetchLimits(backoff=0.001, longest_wait=0.01, stall=30.0, silence=10.0)
NAME = "a-1-py3-none-any.whl"


def want(
    *,
    filename: str = NAME,
    urls: tuple[str, ...] = (URL,),
    sha256: str | None = DIGEST,
    size: int | None = None,
    index: str | None = "pypi",
    hash_source: HashSource = "lock",
    other_hashes: tuple[str, ...] = (),
) -> Wanted:
    return Wanted(filename=filename, urls=urls, sha256=sha256, size=size, index=index, hash_source=hash_source, other_hashes=other_hashes)


class Ground:
    """A store, a watcher and what is needed to fetch into the one under the eyes of the other."""

    def __init__(self, folder: Path) -> None:
        self.watcher = Watcher()
        self.store = Store(folder / "cache" / "files", reporter=self.watcher)
        self.stop = Cancellation()
        self.transport = FakeTransport({})

    def fetch(
        self,
        answer: Answer | list[Answer] | dict[str, Answer | list[Answer]],
        files: Iterable[Wanted] | None = None,
        *,
        limits: FetchLimits = QUICK,
        jobs: int = 4,
        locate: Callable[[Wanted], str | None] | None = None,
    ) -> Fetched:
        self.transport = FakeTransport(answer if isinstance(answer, dict) else {URL: answer})
        return fetch(
            [want()] if files is None else files,
            transport=self.transport,
            store=self.store,
            reporter=self.watcher,
            stop=self.stop,
            jobs=jobs,
            locate=locate,
            limits=limits,
        )

    def partials(self) -> list[str]:
        return sorted(path.name for path in self.store.partial_folder.iterdir()) if self.store.partial_folder.exists() else []

    def final_names(self) -> list[str]:
        return sorted(
            f"{path.parent.name}{path.name}" for path in self.store.folder.rglob("*") if path.is_file() and path.suffix != ".proven"
        )

    def ranges(self) -> list[str | None]:
        return [request.headers.get("Range") for request in self.transport.requests]


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground(tmp_path)


def the_failure(fetched: Fetched) -> Exception:
    assert not fetched.files
    (failure,) = fetched.failures
    return failure


def test_a_file_comes_into_the_store(ground: Ground) -> None:
    fetched = ground.fetch(ranged(BODY), [want(size=len(BODY))])
    assert fetched.failures == ()
    file = fetched.files[want(size=len(BODY))]
    assert (file.sha256, file.size, file.received, file.first_seen) == (DIGEST, len(BODY), len(BODY), False)
    assert file.path.read_bytes() == BODY
    assert ground.store.proven(DIGEST)
    assert ground.partials() == []
    assert ground.watcher.planned == [(1, len(BODY))]
    assert ground.watcher.shown == {NAME: len(BODY)}
    assert ground.watcher.finished == [NAME]
    assert ground.transport.requests[0].headers["Accept-Encoding"] == "identity"


def test_what_is_there_is_not_asked_for(ground: Ground) -> None:
    ground.store.add_bytes(BODY)
    fetched = ground.fetch(ranged(BODY))
    assert ground.transport.requests == []
    assert fetched.files[want()].received == 0
    assert fetched.received == 0
    assert ground.watcher.planned == []


def test_an_empty_file_is_a_file(ground: Ground) -> None:
    empty = want(sha256=hashlib.sha256(b"").hexdigest(), size=0)
    assert ground.fetch(Reply(b""), [empty]).files[empty].size == 0


@pytest.mark.parametrize("damage", [b"", BODY[:1000], b"x" * len(BODY)], ids=["empty", "truncated", "other"])
def test_a_damaged_entry_is_fetched_again(ground: Ground, damage: bytes) -> None:
    ground.store.add_bytes(BODY)
    ground.store.path(DIGEST).write_bytes(damage)
    os.utime(ground.store.path(DIGEST), ns=(1, 1))
    assert ground.fetch(ranged(BODY)).files[want()].path.read_bytes() == BODY
    assert len(ground.watcher.warnings) == 1


def test_a_touched_entry_is_hashed_not_fetched(ground: Ground) -> None:
    ground.store.add_bytes(BODY)
    os.utime(ground.store.path(DIGEST), ns=(1, 1))
    fetched = ground.fetch(ranged(BODY))
    assert fetched.files[want()].received == 0
    assert ground.transport.requests == []
    assert ground.partials() == []


def test_one_file_under_two_names_is_fetched_once(ground: Ground) -> None:
    first, second = want(), want(filename="a-1-1-py3-none-any.whl", urls=(OTHER,), size=len(BODY))
    fetched = ground.fetch({URL: ranged(BODY), OTHER: ranged(BODY)}, [first, second, first])
    assert len(ground.transport.requests) == 1
    assert fetched.files[first] == fetched.files[second]
    assert fetched.received == len(BODY)


@pytest.mark.parametrize("reset", [False, True], ids=["ended", "reset"])
def test_what_broke_off_is_gone_on_with(ground: Ground, reset: bool) -> None:
    fetched = ground.fetch([Reply(BODY, cut=200_000, reset=reset), ranged(BODY)])
    assert fetched.files[want()].received == len(BODY), "no byte came twice"
    assert ground.ranges() == [None, "bytes=200000-"]
    assert len(ground.watcher.retried) == 1


def test_it_is_gone_on_with_as_often_as_something_comes(ground: Ground) -> None:
    def piece(request: Request) -> Reply:
        reply = ranged(BODY)(request)
        reply.cut = 30_000
        return reply

    fetched = ground.fetch(piece)
    assert fetched.files[want()].received == len(BODY)
    assert len(ground.transport.requests) > 20


def test_if_range_names_the_version(ground: Ground) -> None:
    ground.fetch([Reply(BODY, cut=10, headers={"ETag": '"v1"'}), ranged(BODY, etag='"v1"')])
    assert ground.transport.requests[1].headers["If-Range"] == '"v1"'


def test_a_weak_tag_names_no_version(ground: Ground) -> None:
    ground.fetch([Reply(BODY, cut=10, headers={"ETag": 'W/"v1"'}), ranged(BODY)])
    assert "If-Range" not in ground.transport.requests[1].headers


def test_a_server_without_ranges_starts_over(ground: Ground) -> None:
    fetched = ground.fetch([Reply(BODY, cut=200_000), Reply(BODY)])
    assert fetched.files[want()].received == len(BODY) + 200_000
    assert ground.store.path(DIGEST).read_bytes() == BODY
    assert ground.watcher.shown == {NAME: len(BODY)}, "the bar went back"


@pytest.mark.parametrize(
    "content_range", ["bytes 0-9/700000", "bytes 199999-699999/700000", "items 200000-699999/700000", "nonsense", ""], ids=str
)
def test_another_part_than_asked_for_is_not_taken(ground: Ground, content_range: str) -> None:
    wrong = Reply(BODY[100:], status=206, headers={"Content-Range": content_range})
    first = Reply(BODY, cut=200_000, headers={"ETag": '"v"'})
    # Without a digest nothing else would find out.
    fetched = ground.fetch([first, wrong, ranged(BODY)], [unstated()])
    assert fetched.files[unstated()].sha256 == DIGEST


def test_a_partial_file_of_an_earlier_run_is_gone_on_with(ground: Ground) -> None:
    ground.store.partial_folder.mkdir(parents=True)
    (ground.store.partial_folder / partial_name(want())).write_bytes(BODY[:300_000])
    fetched = ground.fetch(ranged(BODY))
    assert ground.ranges() == ["bytes=300000-"]
    assert fetched.files[want()].received == len(BODY) - 300_000
    assert ground.watcher.shown == {NAME: len(BODY)}
    assert ground.partials() == []


@pytest.mark.parametrize("left", [b"\0" * 300_000, BODY + b"more", b"\0" * len(BODY)], ids=["other", "longer", "other-full"])
@pytest.mark.parametrize("size", [None, len(BODY)])
def test_a_partial_file_that_was_no_part_is_done_over(ground: Ground, left: bytes, size: int | None) -> None:
    ground.store.partial_folder.mkdir(parents=True)
    (ground.store.partial_folder / partial_name(want())).write_bytes(left)
    fetched = ground.fetch(ranged(BODY), [want(size=size)])
    assert fetched.files[want(size=size)].path.read_bytes() == BODY


@pytest.mark.parametrize("size", [None, len(BODY)])
def test_a_whole_partial_file_is_taken(ground: Ground, size: int | None) -> None:
    """Killed between the last byte and the rename."""
    ground.store.partial_folder.mkdir(parents=True)
    (ground.store.partial_folder / partial_name(want())).write_bytes(BODY)
    ground.fetch(ranged(BODY), [want(size=size)])
    assert ground.store.path(DIGEST).read_bytes() == BODY
    assert len(ground.transport.requests) == (0 if size else 2)


def test_what_a_kill_left_is_tidied_away(ground: Ground) -> None:
    """Killed after the rename, before the lock was let go."""
    ground.store.add_bytes(BODY)
    for name in (f"{DIGEST}.lock", DIGEST, f"{'0' * 64}.lock", "0" * 64):
        (ground.store.partial_folder / name).write_bytes(b"")
    ground.fetch(ranged(BODY))
    assert ground.partials() == ["0" * 64], "another file's beginning may still be of use"


def test_a_wrong_digest_never_has_a_final_name(ground: Ground) -> None:
    failure = the_failure(ground.fetch(Reply(BODY[:-1] + b"?"), [want(hash_source="index")]))
    assert isinstance(failure, HashMismatch)
    assert NAME in str(failure)
    assert DIGEST in str(failure)
    assert failure.actual == hashlib.sha256(BODY[:-1] + b"?").hexdigest()
    assert "index 'pypi'" in str(failure)
    assert len(ground.transport.requests) == 1, "a whole file of other bytes is not asked for again"
    assert ground.final_names() == []
    assert ground.partials() == []


def test_a_wrong_digest_is_not_passed_over_for_another_url(ground: Ground) -> None:
    failure = the_failure(ground.fetch({URL: Reply(b"evil"), OTHER: ranged(BODY)}, [want(urls=(URL, OTHER))]))
    assert isinstance(failure, HashMismatch)


@pytest.mark.parametrize(
    ("source", "words"), [("lock", "the lock states"), ("user", "the user's own hash states"), ("index", "the index 'pypi' states")]
)
def test_a_wrong_digest_says_who_stated_the_right_one(ground: Ground, source: HashSource, words: str) -> None:
    assert words in str(the_failure(ground.fetch(Reply(b"x"), [want(hash_source=source)])))


def test_a_file_longer_than_stated_is_not_read(ground: Ground) -> None:
    failure = the_failure(ground.fetch(Reply(BODY), [want(size=1000)]))
    assert isinstance(failure, TransferFault)
    assert "700000" in str(failure)
    assert "1000" in str(failure)
    assert ground.watcher.shown == {}
    assert ground.partials() == []


def test_a_file_that_says_no_length_is_stopped_where_it_should_end(ground: Ground) -> None:
    failure = the_failure(ground.fetch(Reply(BODY, announce=None, endless=True), [want(size=50_000)]))
    assert isinstance(failure, TransferFault)
    assert "50000" in str(failure)
    assert ground.partials() == []


def test_a_file_shorter_than_stated_is_refused(ground: Ground) -> None:
    failure = the_failure(ground.fetch(Reply(BODY), [want(size=len(BODY) + 5)]))
    assert isinstance(failure, TransferFault)
    assert len(ground.transport.requests) == 1


def test_an_endless_body_ends(ground: Ground) -> None:
    limits = FetchLimits(backoff=0.001, largest=2_000_000)
    failure = the_failure(ground.fetch(Reply(b"\0" * 1000, endless=True), limits=limits))
    assert "2000000" in str(failure)
    assert ground.partials() == []
    failure = the_failure(ground.fetch(Reply(b"", announce=1 << 50), limits=limits))
    assert "more than the 2000000" in str(failure)


def test_three_500_then_fine(ground: Ground) -> None:
    fetched = ground.fetch([*[Reply(status=500)] * 3, ranged(BODY)])
    assert fetched.failures == ()
    assert [reason for _, reason, _ in ground.watcher.retried] == ["status 500"] * 3


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_trouble_that_does_not_pass_ends(ground: Ground, status: int) -> None:
    failure = the_failure(ground.fetch(Reply(status=status)))
    assert isinstance(failure, TransferFault)
    assert str(status) in str(failure)
    assert len(ground.transport.requests) == QUICK.attempts


def test_waits_grow(ground: Ground) -> None:
    ground.fetch(Reply(status=503), limits=FetchLimits(backoff=0.002, longest_wait=0.008))
    waits = [wait for _, _, wait in ground.watcher.retried]
    for wait, most in zip(waits, [0.002, 0.004, 0.008, 0.008, 0.008], strict=True):
        assert most / 2 <= wait <= most


def test_a_retry_after_is_honoured(ground: Ground) -> None:
    ground.fetch([Reply(status=429, headers={"Retry-After": "1"}), ranged(BODY)])
    assert [wait for _, _, wait in ground.watcher.retried] == [1.0]


@pytest.mark.parametrize("text", ["-5", "soon", "1e9", "\N{SUPERSCRIPT TWO}", "Mon, 99 Foo 2026", ""])
def test_a_retry_after_that_says_nothing_is_none(ground: Ground, text: str) -> None:
    fetched = ground.fetch([Reply(status=429, headers={"Retry-After": text}), ranged(BODY)])
    assert fetched.failures == ()
    assert ground.watcher.retried[0][2] < 0.1


@pytest.mark.parametrize("form", ["number", "date"])
def test_a_retry_after_of_a_day_is_not_waited_for(ground: Ground, form: str) -> None:
    asked = "86400" if form == "number" else formatdate(time.time() + 86400, usegmt=True)
    started = time.monotonic()
    limits = FetchLimits(backoff=0.001, stall=0.3)
    failure = the_failure(ground.fetch(Reply(status=429, headers={"Retry-After": asked}), limits=limits))
    assert time.monotonic() - started < 2
    assert isinstance(failure, TransferFault)
    assert re.search(r"wait 86(400|399) s", str(failure.hint))


def test_limits_follow_what_the_user_says(ground: Ground) -> None:
    limits = FetchLimits.within(timeout=10.0, retries=2)
    assert (limits.stall, limits.silence, limits.attempts) == (10.0, 5.0, 3)
    ground.fetch(Reply(status=503), limits=replace(limits, backoff=0.001))
    assert len(ground.transport.requests) == 3


def test_a_stalled_connection_is_dropped_and_gone_on_with(ground: Ground) -> None:
    fetched = ground.fetch([Reply(BODY, hang=200_000), ranged(BODY)], limits=replace(QUICK, silence=0.3))
    assert fetched.files[want()].received == len(BODY)
    assert ground.ranges() == [None, "bytes=200000-"]
    assert "less than" in ground.watcher.retried[0][1]


def test_a_stall_that_does_not_pass_ends_in_time(ground: Ground) -> None:
    started = time.monotonic()
    failure = the_failure(ground.fetch(Reply(BODY, hang=0), limits=FetchLimits(backoff=0.001, silence=0.2, stall=0.5)))
    assert time.monotonic() - started < 3
    assert isinstance(failure, TransferFault)


def test_a_trickle_is_a_stall(ground: Ground) -> None:
    started = time.monotonic()
    limits = FetchLimits(backoff=0.001, silence=0.3, slowest=1000, stall=5, attempts=2)
    failure = the_failure(ground.fetch(Reply(b"\0", endless=True, pieces=1, pause=0.05), limits=limits))
    assert time.monotonic() - started < 4
    assert "given up" in str(failure)


def test_a_slow_line_is_no_stall(ground: Ground) -> None:
    limits = FetchLimits(backoff=0.001, silence=0.3, slowest=1000)
    body = BODY[:60_000]
    file = want(sha256=hashlib.sha256(body).hexdigest())
    assert ground.fetch(Reply(body, pieces=5_000, pause=0.05), [file], limits=limits).failures == ()
    assert ground.watcher.retried == []


def test_a_partial_file_stays_for_the_next_run(ground: Ground) -> None:
    failure = the_failure(ground.fetch([Reply(BODY, cut=200_000), Reply(status=500)]))
    assert isinstance(failure, TransferFault)
    assert "kept" in str(failure.hint)
    assert ground.partials() == [DIGEST]
    ground.fetch(ranged(BODY))
    assert ground.ranges() == ["bytes=200000-"]
    assert ground.partials() == []


@pytest.mark.parametrize("status", [404, 410])
def test_the_next_url_is_tried_where_one_is_gone(ground: Ground, status: int) -> None:
    fetched = ground.fetch({URL: Reply(status=status), OTHER: ranged(BODY)}, [want(urls=(URL, OTHER))])
    assert fetched.failures == ()
    assert ground.transport.urls() == [URL, OTHER]


def test_parts_of_one_file_may_come_from_two_places(ground: Ground) -> None:
    fetched = ground.fetch({URL: [Reply(BODY, cut=1000), Reply(status=500)], OTHER: ranged(BODY)}, [want(urls=(URL, OTHER))])
    assert fetched.files[want(urls=(URL, OTHER))].received == len(BODY)


@pytest.mark.parametrize(
    "answer",
    [Reply(status=404), IndexDenied("403 from files.example"), IndexFault("not a host of ours")],
    ids=["gone", "denied", "refused"],
)
def test_the_stand_in_is_asked_where_the_url_fails(ground: Ground, answer: Answer) -> None:
    asked: list[Wanted] = []

    def locate(file: Wanted) -> str:
        asked.append(file)
        return OTHER

    fetched = ground.fetch({URL: answer, OTHER: ranged(BODY)}, locate=locate)
    assert fetched.failures == ()
    assert asked == [want()]


def test_the_stand_in_is_not_asked_in_vain(ground: Ground) -> None:
    def locate(file: Wanted) -> str:
        raise AssertionError("nobody needed it")

    assert ground.fetch(ranged(BODY), locate=locate).failures == ()


def test_a_stand_in_that_has_nothing_leaves_the_first_reason(ground: Ground) -> None:
    failure = the_failure(ground.fetch(IndexDenied("403 from files.example"), locate=lambda _: None))
    assert isinstance(failure, IndexDenied)
    assert NAME in str(failure)


def test_all_reasons_are_told(ground: Ground) -> None:
    failure = the_failure(ground.fetch({URL: Reply(status=404), OTHER: IndexDenied("401 from mirror.example")}, [want(urls=(URL, OTHER))]))
    assert isinstance(failure, IndexDenied)
    assert "401" in str(failure)
    assert "404" in str(failure)


def test_offline_asks_nobody_twice(ground: Ground) -> None:
    def locate(file: Wanted) -> str:
        raise AssertionError("offline")

    failure = the_failure(ground.fetch(Offline("--offline forbids it"), locate=locate))
    assert isinstance(failure, Offline)
    assert len(ground.transport.requests) == 1


def test_a_file_without_a_url_says_so(ground: Ground) -> None:
    assert "nobody says where" in str(the_failure(ground.fetch({}, [want(urls=())])))


@pytest.mark.parametrize("digest", ["../../../evil", "A" * 64, "", "md5"])
def test_what_is_no_digest_is_a_failure_of_its_file_alone(ground: Ground, digest: str) -> None:
    bad = want(filename="bad.whl", sha256=digest or " ")
    fetched = ground.fetch(ranged(BODY), [bad, want()])
    assert want() in fetched.files
    assert isinstance(fetched.failures[0], IntegrityError)
    assert "bad.whl" in str(fetched.failures[0])


@pytest.mark.parametrize("jobs", [1, 16])
def test_one_failure_stops_no_other_and_all_are_told(ground: Ground, jobs: int) -> None:
    files, answers = [], dict[str, Answer | list[Answer]]()
    for number in range(12):
        body = b"%d" % number * 1000
        url = f"https://files.example/{number}"
        files.append(want(filename=f"f{number}", urls=(url,), sha256=hashlib.sha256(body).hexdigest()))
        answers[url] = {0: Reply(status=404), 5: Reply(b"evil"), 7: Reply(status=500)}.get(number, Reply(body))
    fetched = ground.fetch(answers, files, jobs=jobs)
    assert len(fetched.files) == 9
    assert str(fetched.failures[0]).startswith("f0")
    assert [type(failure) for failure in fetched.failures] == [TransferFault, HashMismatch, TransferFault]
    # Who watches hears of the end of each that was planned.
    assert sorted(ground.watcher.failed) == ["f0", "f5", "f7"]
    assert sum(files for files, _ in ground.watcher.planned) == len(ground.watcher.finished) + len(ground.watcher.failed)


def test_a_dead_host_is_not_waited_for_once_a_file(ground: Ground) -> None:
    files = [want(filename=f"f{n}", urls=(f"https://dead.example/{n}",), sha256=f"{n:064x}") for n in range(20)]
    fetched = ground.fetch({file.urls[0]: TransferFault("no answer") for file in files}, files, jobs=1)
    assert len(fetched.failures) == 20
    assert len(ground.transport.requests) == 3 * QUICK.attempts
    assert "dead.example" in str(fetched.failures[-1])


def test_the_largest_go_first(ground: Ground) -> None:
    files, answers = [], dict[str, Answer | list[Answer]]()
    for size in (10, 1000, 100, 5000):
        body = b"x" * size
        files.append(want(filename=f"f{size}", urls=(f"https://h/{size}",), sha256=hashlib.sha256(body).hexdigest(), size=size))
        answers[f"https://h/{size}"] = Reply(body)
    ground.fetch(answers, files, jobs=1)
    assert ground.transport.urls() == ["https://h/5000", "https://h/1000", "https://h/100", "https://h/10"]


# Files for which nobody states a sha256.


def unstated(url: str = URL, **more: str) -> Wanted:
    return want(sha256=None, urls=(url,), hash_source="first-seen", **more)  # type: ignore[arg-type]


def test_a_first_digest_is_recorded_and_serves_again(ground: Ground) -> None:
    file = ground.fetch(ranged(BODY), [unstated()]).files[unstated()]
    assert (file.sha256, file.first_seen) == (DIGEST, True)
    again = ground.fetch(ranged(BODY), [unstated()]).files[unstated()]
    assert (again.sha256, again.first_seen, again.received) == (DIGEST, True, 0)
    assert ground.transport.requests == []


def test_a_first_digest_holds_when_the_file_has_to_be_fetched_again(ground: Ground) -> None:
    ground.fetch(ranged(BODY), [unstated()])
    ground.store.path(DIGEST).unlink()
    failure = the_failure(ground.fetch(ranged(b"other"), [unstated()]))
    assert isinstance(failure, HashMismatch)
    assert "before" in str(failure)
    assert ground.final_names() == []


def test_another_index_has_another_first_digest(ground: Ground) -> None:
    ground.fetch(ranged(BODY), [unstated()])
    elsewhere = ground.fetch(ranged(b"other"), [unstated(index="inner")])
    assert elsewhere.failures == ()


def test_a_local_file_is_read_every_time(ground: Ground) -> None:
    local = unstated("file:///wheels/a-1-py3-none-any.whl")
    ground.fetch({local.urls[0]: Reply(BODY)}, [local])
    fetched = ground.fetch({local.urls[0]: Reply(b"rebuilt")}, [local])
    assert fetched.files[local].sha256 == hashlib.sha256(b"rebuilt").hexdigest()


def test_a_web_page_is_not_a_first_seen_file(ground: Ground) -> None:
    failure = the_failure(ground.fetch(Reply(b"<html>log in", headers={"Content-Type": "text/html; charset=utf-8"}), [unstated()]))
    assert "web page" in str(failure)
    assert ground.final_names() == []


@pytest.mark.parametrize(("name", "taken"), [("a-1-py3-none-any.whl", False), ("a-1.tar.gz", True)])
def test_an_encoding_that_nobody_asked_for(ground: Ground, name: str, taken: bool) -> None:
    file = want(sha256=None, filename=name)
    fetched = ground.fetch(Reply(BODY, headers={"Content-Encoding": "gzip"}), [file])
    assert (file in fetched.files) is taken


def test_a_signed_link_is_the_same_link(ground: Ground) -> None:
    first, second = unstated(f"{URL}?signature=1"), unstated(f"{URL}?signature=2")
    ground.fetch({first.urls[0]: Reply(BODY)}, [first])
    assert ground.fetch({}, [second]).files[second].sha256 == DIGEST


def test_two_versions_are_not_joined(ground: Ground) -> None:
    """Without a digest, only the server's tag tells that the rest belongs to what has come."""
    new = b"N" * len(BODY)
    fetched = ground.fetch([Reply(BODY, cut=1000, headers={"ETag": '"old"'}), ranged(new, etag='"new"')], [unstated()])
    assert fetched.files[unstated()].path.read_bytes() == new


def test_without_a_tag_it_is_fetched_anew(ground: Ground) -> None:
    fetched = ground.fetch([Reply(BODY, cut=1000), ranged(BODY)], [unstated()])
    assert fetched.files[unstated()].sha256 == DIGEST
    assert ground.ranges() == [None, None]


def test_an_unnamed_partial_does_not_stay(ground: Ground) -> None:
    the_failure(ground.fetch([Reply(BODY, cut=1000, headers={"ETag": '"v"'}), Reply(status=500)], [unstated()]))
    assert ground.partials() == []


def test_an_unnamed_partial_of_an_earlier_run_is_not_trusted(ground: Ground) -> None:
    ground.store.partial_folder.mkdir(parents=True)
    (ground.store.partial_folder / partial_name(unstated())).write_bytes(b"old" * 100)
    assert ground.fetch(ranged(BODY), [unstated()]).files[unstated()].sha256 == DIGEST
    assert ground.ranges() == [None]


def test_other_digests_must_hold(ground: Ground) -> None:
    right = want(sha256=None, other_hashes=(f"sha512:{hashlib.sha512(BODY).hexdigest()}", "whirlpool9:00"))
    assert ground.fetch(ranged(BODY), [right]).files[right].sha256 == DIGEST
    wrong = want(sha256=None, filename="b.whl", other_hashes=(f"md5:{'0' * 32}",))
    failure = the_failure(ground.fetch(ranged(BODY), [wrong]))
    assert isinstance(failure, HashMismatch)
    assert "md5" in str(failure)


def test_other_digests_that_nobody_can_check_refuse_the_file(ground: Ground) -> None:
    failure = the_failure(ground.fetch(ranged(BODY), [want(sha256=None, other_hashes=("whirlpool9:00",))]))
    assert isinstance(failure, IntegrityError)
    assert ground.final_names() == []


# Interruption.


def test_an_interrupted_fetch_leaves_at_once_and_is_gone_on_with(ground: Ground) -> None:
    threading.Timer(0.2, ground.stop.cancel).start()
    started = time.monotonic()
    with pytest.raises(Cancelled):
        ground.fetch(Reply(BODY, hang=100_000), limits=FetchLimits())
    assert time.monotonic() - started < 1.2
    assert ground.final_names() == []
    assert ground.partials() == [DIGEST]
    ground.stop = Cancellation()
    assert ground.fetch(ranged(BODY)).files[want()].received == len(BODY) - 100_000


def test_an_interrupted_wait_ends_at_once(ground: Ground) -> None:
    threading.Timer(0.1, ground.stop.cancel).start()
    started = time.monotonic()
    with pytest.raises(Cancelled):
        ground.fetch(Reply(status=503), limits=FetchLimits(backoff=60))
    assert time.monotonic() - started < 1.2


def test_a_run_that_was_stopped_before_asks_nobody(ground: Ground) -> None:
    ground.stop.cancel()
    with pytest.raises(Cancelled):
        ground.fetch(ranged(BODY))
    assert ground.transport.requests == []


def test_an_error_that_nobody_foresaw_reaches_the_caller(ground: Ground) -> None:
    with pytest.raises(ZeroDivisionError):
        ground.fetch(ZeroDivisionError("a fault of ours"))


@settings(max_examples=40, deadline=None)
@given(
    cuts=st.lists(st.integers(0, 5000), max_size=8),
    ranges=st.booleans(),
    announce=st.booleans(),
    stated=st.booleans(),
    size=st.booleans(),
)
def test_however_it_breaks_the_file_is_the_file(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int], ranges: bool, announce: bool, stated: bool, size: bool
) -> None:
    """Whatever breaks off and wherever: either a failure, or exactly the bytes. Breaks are seen where a length or a digest is known."""
    body = BODY[:5000]
    rest = list(cuts)

    def answer(request: Request) -> Reply:
        reply = ranged(body, etag='"v"')(request) if ranges else Reply(body)
        if rest:
            reply.cut = min(rest.pop(0), len(reply.body))
        if not announce:
            reply.announce = None
        return reply

    ground = Ground(tmp_path_factory.mktemp("any"))
    file = want(sha256=hashlib.sha256(body).hexdigest() if stated else None, size=len(body) if size else None)
    fetched = ground.fetch(answer, [file])
    names = ground.final_names()
    if announce or stated or size:
        assert names in ([], [hashlib.sha256(body).hexdigest()])
    if fetched.failures:
        assert names == []

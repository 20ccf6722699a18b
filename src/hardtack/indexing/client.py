"""Asks the indexes: which files a project has, first index first, and never another's where one was named."""

from __future__ import annotations

import hashlib
import json
import random
import re
import threading
import time
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from urllib.request import url2pathname

from packaging.utils import canonicalize_name

from hardtack.errors import HardtackError, HashMismatch, IndexFault, Offline, TransferFault
from hardtack.indexing.address import origin, shown
from hardtack.indexing.http import Refused, Response, Transport, refused
from hardtack.indexing.pages import ACCEPT, PAGE_LIMIT, Links, flat_pages, folder_links, project_page, read_links
from hardtack.indexing.settings import IndexSettings
from hardtack.model.fit import read_wheel_name
from hardtack.model.index import Index, IndexFile, ProjectPage
from hardtack.system.cancellation import Cancellation
from hardtack.system.files import atomic_write

_METADATA_LIMIT = 16 * 1024 * 1024
_LONGEST_WAIT = 30.0
_LONGEST_FRESH = 600.0
_THREADS = 16
_ABSENT = (404, 410)


def _same_name(one: str, other: str) -> bool:
    """True for the same name, and for two spellings of one wheel's (resolvers normalise what an index calls Old.Name-1.0-...)."""
    if one == other:
        return True
    read = read_wheel_name(one)
    return read is not None and read == read_wheel_name(other)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """A page as it lies in the cache. ``status`` 200 or 404; ``url`` is the final one; ``checked`` a POSIX time in seconds."""

    status: int
    url: str
    media: str
    etag: str | None
    modified: str | None
    fresh: float
    checked: float
    body: bytes


class IndexClient:
    """The pages of all indexes, each asked for once a run, from any thread.

    ``cache_dir``: where pages are kept for revalidation and for --offline; no login is ever written there. ``pace``: seconds before the
    first retry.
    """

    def __init__(
        self,
        transport: Transport,
        settings: IndexSettings,
        cache_dir: Path | None = None,
        *,
        stop: Cancellation | None = None,
        pace: float = 0.5,
    ) -> None:
        self._transport = transport
        self._settings = settings
        self._cache = cache_dir / "pages" if cache_dir is not None else None
        self._metadata_cache = cache_dir / "metadata" if cache_dir is not None else None
        self._stop = stop or Cancellation()
        self._pace = pace
        self._pages: dict[tuple[str, str], ProjectPage | None] = {}
        self._flat: dict[str, Mapping[str, Links]] = {}
        self._locks: dict[tuple[str, str], threading.Lock] = {}
        self._lock = threading.Lock()

    def page(self, index: Index, name: str) -> ProjectPage | None:
        """What one index says of a project; None where it does not have it (404). Anything else that is no answer raises IndexFault."""
        name = canonicalize_name(name)
        key = (index.name, name)
        with self._lock:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            if key not in self._pages:
                self._pages[key] = self._flat_page(index, name) if index.kind == "flat" else self._simple_page(index, name)
            return self._pages[key]

    def files(self, name: str, pins: Sequence[str] | None = None) -> tuple[ProjectPage, ...]:
        """The pages that may serve a project: of its pinned index alone, else every flat place's and that of the first index that has it.

        ``pins``: the names of the indexes that it is pinned to, if not those of the settings (a target may have its own).
        An index that fails ends the search with its error: the next one could be someone else's (dependency confusion).
        """
        name = canonicalize_name(name)
        pinned = self._settings.pinned(name) if pins is None else tuple(pins)
        chosen = [index for wanted in pinned if (index := self._settings.index(wanted)) is not None]
        own = tuple(page for index in chosen if (page := self.page(index, name)) is not None)
        if pinned and "" not in pinned:
            return own
        free = [index for index in self._settings.indexes if not index.explicit]
        pages = [page for index in free if index.kind == "flat" and (page := self.page(index, name)) is not None]
        first = next((page for index in free if index.kind == "simple" and (page := self.page(index, name)) is not None), None)
        found = (*own, *pages) if first is None else (*own, *pages, first)
        return tuple({page.index: page for page in found}.values())

    def prefetch(self, names: Iterable[str]) -> None:
        """Ask for many projects at once. An error is kept for whoever asks for that project."""
        from concurrent.futures import ThreadPoolExecutor

        def ask(name: str) -> None:
            try:
                self.files(name)
            except HardtackError:
                # Errors are not remembered: the one who needs the page asks again, and hears it.
                return

        with ThreadPoolExecutor(max_workers=_THREADS, thread_name_prefix="pages") as pool:
            for _ in pool.map(ask, dict.fromkeys(names)):
                self._stop.check()

    def stand_ins(self, url: str) -> tuple[Index, ...]:
        """The indexes that stand in for a URL's place (``stands-in-for``)."""
        return tuple(index for index in self._settings.indexes if any(_below(url, prefix) for prefix in index.stands_in_for))

    def find(self, filename: str, sha256: str | None, project: str, url: str | None = None) -> IndexFile | None:
        """A file by its name and digest: on the indexes that stand in for ``url``, else where the project's files come from.

        None where nobody has it. A file whose page states another digest is not it.
        """
        stand_ins = self.stand_ins(url) if url is not None else ()
        name = canonicalize_name(project)
        pages = [page for index in stand_ins if (page := self.page(index, name)) is not None] if stand_ins else self.files(name)
        for page in pages:
            for files in page.files.values():
                for file in files:
                    if _same_name(file.filename, filename) and (sha256 is None or file.sha256 in (None, sha256)):
                        return file
        return None

    def metadata(self, file: IndexFile) -> bytes | None:
        """A wheel's METADATA from the index (PEP 658), checked against the page's digest; None where the index offers none."""
        if file.metadata_sha256 is None:
            return None
        kept = self._metadata_cache / f"{file.metadata_sha256}.metadata" if self._metadata_cache and file.metadata_sha256 else None
        if kept is not None:
            try:
                data = kept.read_bytes()
                if hashlib.sha256(data).hexdigest() == file.metadata_sha256:
                    return data
            except OSError:
                pass
        parts = urlsplit(file.url)
        url = urlunsplit(parts._replace(path=parts.path + ".metadata"))
        status, _, data = self._get(url, headers={}, limit=_METADATA_LIMIT)
        if status in _ABSENT:
            return None
        actual = hashlib.sha256(data).hexdigest()
        if file.metadata_sha256 and actual != file.metadata_sha256:
            raise HashMismatch(
                file=f"{file.filename}.metadata", expected=file.metadata_sha256, actual=actual, source=f"index {file.index!r}"
            )
        if kept is not None:
            with atomic_write(kept) as stream:
                stream.write(data)
        return data

    # ---- pages

    def _flat_page(self, index: Index, name: str) -> ProjectPage | None:
        with self._lock:
            lock = self._locks.setdefault((index.name, ""), threading.Lock())
        with lock:
            if index.name not in self._flat:
                self._flat[index.name] = self._read_flat(index)
        found = self._flat[index.name].get(name)
        return project_page(found, name=name, index=index.name) if found is not None else None

    def _read_flat(self, index: Index) -> Mapping[str, Links]:
        if urlsplit(index.url).scheme == "file":
            path = Path(url2pathname(urlsplit(index.url).path))
            if path.suffix not in (".html", ".htm"):
                return flat_pages(folder_links(path), index=index.name)
        kept = self._fetch(index, index.url)
        if kept is None:
            raise IndexFault("there is no such page of links", where=self._settings.place(index.url))
        return flat_pages(self._links(index, kept).links, index=index.name)

    def _simple_page(self, index: Index, name: str) -> ProjectPage | None:
        kept = self._fetch(index, f"{index.url.rstrip('/')}/{name}/")
        if kept is None:
            return None
        try:
            return project_page(self._links(index, kept), name=name, index=index.name)
        except IndexFault as fault:
            fault.where = fault.where or f"{self._settings.place(index.url)}: {name}"
            raise

    def _links(self, index: Index, kept: _Kept) -> Links:
        try:
            return read_links(kept.body, media=kept.media, url=kept.url)
        except IndexFault as fault:
            fault.where = f"{self._settings.place(index.url)}: {shown(kept.url)}"
            raise

    def _fetch(self, index: Index, url: str) -> _Kept | None:
        """The page behind a URL, from the cache if it is still right; None if it is absent."""
        local = urlsplit(url).scheme == "file"
        old = None if local else self._recall(url)
        now = time.time()
        if old is not None and (self._settings.offline or now - old.checked < old.fresh):
            return old if old.status == 200 else None
        if self._settings.offline and not local:
            raise Offline(
                f"the page {shown(url)} is not in the cache, and --offline forbids to fetch it",
                where=self._settings.place(url),
                hint="run once without --offline",
            )
        headers = {"Accept": ACCEPT, "Accept-Encoding": "gzip"}
        if old is not None and old.status == 200:
            headers |= {"If-None-Match": old.etag} if old.etag else {"If-Modified-Since": old.modified} if old.modified else {}
        try:
            status, answer, body = self._get(url, headers=headers, limit=PAGE_LIMIT, absent=(*_ABSENT, *index.absent_status))
        except Refused as denied:
            if denied.status not in index.absent_status:
                raise
            status, answer, body = 404, None, b""
        if status == 304 and old is not None:
            new: _Kept = _Kept(
                status=200,
                url=old.url,
                media=old.media,
                etag=old.etag,
                modified=old.modified,
                fresh=_fresh(answer),
                checked=now,
                body=old.body,
            )
        elif status in (*_ABSENT, *index.absent_status) or answer is None:
            new = _Kept(status=404, url=url, media="", etag=None, modified=None, fresh=0.0, checked=now, body=b"")
        else:
            new = _Kept(
                status=200,
                url=answer.url,
                media=answer.headers.get("Content-Type") or "",
                etag=answer.headers.get("ETag"),
                modified=answer.headers.get("Last-Modified"),
                fresh=_fresh(answer),
                checked=now,
                body=body,
            )
        if not local:
            self._remember(url, new)
        return new if new.status == 200 else None

    # ---- the wire

    def _get(
        self, url: str, *, headers: Mapping[str, str], limit: int, absent: tuple[int, ...] = _ABSENT
    ) -> tuple[int, Response | None, bytes]:
        """Status, response (closed) and body of 200, 304 and the absent ones; the rest is tried again, then raised."""
        attempt = 0
        # "Not modified" answers nobody else: taken for a page, it would be one without files.
        asked_whether_changed = "If-None-Match" in headers or "If-Modified-Since" in headers
        while True:
            wait = 0.0
            try:
                with self._transport.open(url, headers=headers) as response:
                    if response.status == 200:
                        return 200, response, _plain(response, limit)
                    if (response.status == 304 and asked_whether_changed) or response.status in absent:
                        return response.status, response, b""
                    fault: IndexFault = refused(self._settings, response, url)
                    again = response.status == 429 or response.status >= 500
                    wait = _retry_after(response.headers.get("Retry-After"))
            except TransferFault as error:
                fault, again = error, True
                fault.where = fault.where or self._settings.place(url)
            attempt += 1
            if not again or attempt > self._settings.retries:
                raise fault
            pause = self._pace * 2 ** (attempt - 1) * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, no secret
            self._stop.wait(min(max(wait, pause), _LONGEST_WAIT))

    # ---- the cache

    def _file(self, url: str) -> Path | None:
        return self._cache / f"{hashlib.sha256(url.encode()).hexdigest()[:40]}.page" if self._cache is not None else None

    def _recall(self, url: str) -> _Kept | None:
        path = self._file(url)
        try:
            head, _, body = path.read_bytes().partition(b"\n") if path is not None else (b"", b"", b"")
            said = json.loads(head) if head else None
            if said is None or said["for"] != url or said["sha256"] != hashlib.sha256(body).hexdigest():
                return None
            return _Kept(body=body, **{key: said[key] for key in ("status", "url", "media", "etag", "modified", "fresh", "checked")})
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _remember(self, url: str, kept: _Kept) -> None:
        path = self._file(url)
        if path is None:
            return
        # Pages may carry logins in their links (a mirror that echoes what it was asked with): they are of no use, and stay out.
        body = re.sub(rb"(?<=://)[^/\s\"'<>@]+@", b"", kept.body)
        head = {
            "for": url, "status": kept.status, "url": kept.url, "media": kept.media, "etag": kept.etag, "modified": kept.modified,
            "fresh": kept.fresh, "checked": kept.checked, "sha256": hashlib.sha256(body).hexdigest(),
        }  # fmt: skip
        with atomic_write(path) as stream:
            stream.write(json.dumps(head).encode() + b"\n" + body)


def _plain(response: Response, limit: int) -> bytes:
    """The body, unpacked where the server packed it; neither form may be longer than ``limit``."""
    data = response.read(limit)
    coding = response.headers.get("Content-Encoding", "").strip().lower()
    if coding in ("", "identity"):
        return data
    if coding not in ("gzip", "x-gzip"):
        raise IndexFault(f"answered in the coding {coding[:40]!r}, which was not asked for", where=shown(response.url))
    unpacker = zlib.decompressobj(wbits=31)
    try:
        plain = unpacker.decompress(data, limit + 1)
    except zlib.error:
        raise TransferFault("the answer is no sound gzip", where=shown(response.url)) from None
    if len(plain) > limit:
        raise IndexFault(f"the page unpacks to more than {limit} bytes", where=shown(response.url))
    if not unpacker.eof:
        raise TransferFault("the answer broke off inside its gzip stream", where=shown(response.url))
    return plain


def _retry_after(value: str | None) -> float:
    """Seconds; a date counts as none (clocks differ), the backoff then decides."""
    return float(value) if value is not None and re.fullmatch(r"\d{1,9}", value.strip()) else 0.0


def _fresh(response: Response | None) -> float:
    """How long the server says that a page need not be asked for again, in seconds; ten minutes at most."""
    control = response.headers.get("Cache-Control", "").lower() if response is not None else ""
    age = re.search(r"max-age=(\d{1,9})", control)
    if age is None or "no-cache" in control or "no-store" in control:
        return 0.0
    return min(float(age[1]), _LONGEST_FRESH)


def _below(url: str, prefix: str) -> bool:
    """True if ``url`` lies at or under ``prefix``, by whole path segments."""
    if origin(url) != origin(prefix):
        return False
    path = urlsplit(prefix).path.rstrip("/")
    return urlsplit(url).path == path or urlsplit(url).path.startswith(f"{path}/")

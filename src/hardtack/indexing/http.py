"""The one-method port to the network, and its HTTP/1.1 (and file://) implementation."""

from __future__ import annotations

import contextlib
import http.client
import io
import os
from collections.abc import Iterator, Mapping
from typing import Protocol, Self
from urllib.parse import urljoin, urlsplit
from urllib.request import url2pathname

from hardtack.errors import HardtackError, IndexDenied, IndexFault, Offline, TransferFault, UsageError
from hardtack.indexing.address import origin, shown, take_apart, without_fragment
from hardtack.indexing.connection import Connection, Pool, proxy_denied
from hardtack.indexing.credentials import Credentials, Login
from hardtack.indexing.settings import IndexSettings
from hardtack.system.cancellation import Cancellation

_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_REDIRECTS = 10
_DRAINED = 64 * 1024
_PRIVATE = frozenset({"authorization", "cookie", "proxy-authorization"})


class Headers(Mapping[str, str]):
    """Header fields; names in any case."""

    __slots__ = ("_fields",)

    def __init__(self, fields: Mapping[str, str] | None = None) -> None:
        self._fields = {name.lower(): value for name, value in (fields or {}).items()}

    def __getitem__(self, name: str) -> str:
        return self._fields[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)


class Refused(IndexDenied):
    """401 or 403, with the ``status``: an index may be declared to mean "not here" by it."""

    def __init__(self, reason: str, *, status: int, where: str, hint: str) -> None:
        super().__init__(reason, where=where, hint=hint)
        self.status = status


class Response(Protocol):
    """An answer whose body is read piece by piece. ``url`` is the final one, without login; ``length`` in bytes, where it is known.

    Every method raises TransferFault where the body breaks off, stalls, or is longer than allowed, and Cancelled where the run is to stop.
    """

    status: int
    headers: Mapping[str, str]
    url: str
    length: int | None

    def readinto(self, buffer: memoryview | bytearray) -> int:
        """Fill as much of the buffer as there is; 0 at the end of a whole body."""

    def read(self, limit: int) -> bytes:
        """The whole rest of the body, which must not be longer than ``limit`` bytes."""

    def close(self) -> None:
        """Let go of the connection; it is kept for the next request if the body was read to its end."""

    def abort(self) -> None:
        """End the read that another thread is in."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


class Transport(Protocol):
    """One request, one answer, redirects followed, logins applied."""

    def open(self, url: str, *, headers: Mapping[str, str] | None = None, method: str = "GET") -> Response:
        """Ask for a URL.

        Any status but 401, 403 and 407 (IndexDenied) is returned, 404 and 5xx too: see ``refused``. Raises IndexFault where there is no
        answer, Offline before any socket is opened, Cancelled.
        """


class _Body:
    """What both kinds of response share."""

    status: int
    headers: Mapping[str, str]
    url: str
    length: int | None

    def readinto(self, buffer: memoryview | bytearray) -> int:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError

    def abort(self) -> None:
        """Nothing to wake by default."""

    def read(self, limit: int) -> bytes:
        if self.length is not None and self.length > limit:
            raise TransferFault(f"the answer of {self.length} bytes is longer than the {limit} that are allowed", where=shown(self.url))
        whole = bytearray()
        piece = memoryview(bytearray(64 * 1024))
        while count := self.readinto(piece):
            whole += piece[:count]
            if len(whole) > limit:
                raise TransferFault(f"the answer is longer than the {limit} bytes that are allowed", where=shown(self.url))
        return bytes(whole)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _HttpResponse(_Body):
    def __init__(
        self, transport: HttpTransport, connection: Connection, raw: http.client.HTTPResponse, url: str, hold: contextlib.ExitStack
    ):
        self._transport = transport
        self._connection: Connection | None = connection
        self._raw = raw
        self._hold = hold
        self.status = raw.status
        self.headers = Headers(dict(raw.headers.items()))
        self.url = url
        self.length = raw.length
        self._left = raw.length

    def readinto(self, buffer: memoryview | bytearray) -> int:
        try:
            count = self._raw.readinto(buffer)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self._broken(error) from None
        if self._left is not None:
            self._left -= count
            if count == 0 and self._left and len(buffer):
                raise self._broken(None)
        elif count == 0:
            # Cancelling shuts the socket, which looks like the end of a body without a length.
            self._transport.stop.check()
        return count

    def _broken(self, error: Exception | None) -> HardtackError:
        self._transport.stop.check()
        where = shown(self.url)
        if isinstance(error, TimeoutError):
            return TransferFault(
                f"stalled: no byte came for {self._transport.settings.timeout:g} s", where=where, hint="--timeout SECONDS waits longer"
            )
        if error is None or isinstance(error, http.client.IncompleteRead):
            missing = f", {self._left} of {self.length} bytes missing" if self.length is not None else ""
            return TransferFault(f"the answer broke off{missing}", where=where)
        return TransferFault(f"the answer broke off: {_reason(error)}", where=where)

    def abort(self) -> None:
        connection = self._connection
        if connection is not None:
            connection.stop()

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        whole = self._raw.isclosed() or self._left == 0
        if not whole and self._left is not None and self._left <= _DRAINED:
            with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
                whole = len(self._raw.read()) == self._left
        reusable = whole and not self._raw.will_close
        self._raw.close()
        self._hold.close()
        if reusable:
            self._transport.pool.give_back(connection)
        else:
            connection.end()


class _FileResponse(_Body):
    def __init__(self, url: str, stop: Cancellation) -> None:
        self.url = url
        self._stop = stop
        self.headers = Headers()
        self._stream: io.FileIO | io.BytesIO = io.BytesIO()
        self.length: int | None = 0
        path = url2pathname(urlsplit(url).path)
        try:
            if os.path.isdir(path):
                path = os.path.join(path, "index.html")
            self._stream = io.FileIO(path)
            self.length = os.fstat(self._stream.fileno()).st_size
            self.status = 200
            self.headers = Headers(
                {"Content-Type": "application/json" if path.endswith(".json") else "text/html"} if _is_page(path) else {}
            )
        except (FileNotFoundError, NotADirectoryError):
            self.status = 404
        except (OSError, ValueError) as error:
            raise IndexFault(f"cannot be read: {getattr(error, 'strerror', None) or error}", where=shown(url)) from None

    def readinto(self, buffer: memoryview | bytearray) -> int:
        self._stop.check()
        try:
            return self._stream.readinto(buffer) or 0
        except OSError as error:
            raise TransferFault(f"cannot be read: {error.strerror}", where=shown(self.url)) from None

    def close(self) -> None:
        self._stream.close()


class HttpTransport:
    """http.client over a pool of kept-alive connections; any number of threads may use one.

    Logins go to their own origin only, and are looked up anew at each redirect. ``timeout`` of the settings bounds every wait for a byte.
    """

    def __init__(self, settings: IndexSettings, credentials: Credentials, stop: Cancellation | None = None) -> None:
        self.settings = settings
        self.credentials = credentials
        self.stop = stop or Cancellation()
        self.pool = Pool(settings, credentials, self.stop)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the idle connections."""
        self.pool.close()

    def open(self, url: str, *, headers: Mapping[str, str] | None = None, method: str = "GET") -> Response:
        """See ``Transport.open``."""
        url, username, password = take_apart(without_fragment(url))
        fields = {"Accept-Encoding": "identity", "User-Agent": _agent(), **(headers or {})}
        first = url
        login = Login(username=username, password=password, source="the URL itself") if username and password else None
        for redirects in range(_MOST_REDIRECTS + 1):
            self.stop.check()
            scheme = urlsplit(url).scheme
            if scheme == "file":
                if redirects:
                    raise IndexFault("redirected to a local file, which is refused", where=self.settings.place(first))
                return _FileResponse(url, self.stop)
            if scheme not in ("http", "https"):
                raise IndexFault(f"cannot be fetched: {scheme or 'no'} scheme", where=shown(url))
            if self.settings.offline:
                raise Offline(
                    f"{shown(url)} is needed, and --offline forbids to fetch it",
                    where=self.settings.place(url),
                    hint="run once without --offline, so that it is in the cache",
                )
            response = self._ask(url, fields, method, login)
            target = response.headers.get("Location")
            if response.status not in _REDIRECTS or target is None:
                if redirects:
                    # A signed link is a key: it is not handed on.
                    response.url = shown(url)
                return response
            response.close()
            try:
                new = take_apart(without_fragment(urljoin(url, target.strip()))).url
                origin(new)
            except (ValueError, UsageError):
                raise IndexFault("redirected to what is no URL", where=self.settings.place(first)) from None
            if origin(new).scheme == "http" and origin(url).scheme == "https":
                raise IndexFault(f"redirected from https to plain http ({shown(new)}), which is refused", where=self.settings.place(first))
            if origin(new) != origin(url):
                login = None
                fields = {name: value for name, value in fields.items() if name.lower() not in _PRIVATE}
            url = new
        raise IndexFault(f"more than {_MOST_REDIRECTS} redirects", where=self.settings.place(first))

    def _ask(self, url: str, fields: Mapping[str, str], method: str, stated: Login | None) -> _HttpResponse:
        """One answer, with the login that the URL's origin has; the keyring is asked when the server wants one."""
        login = stated or self.credentials.find(url)
        response = self._exchange(url, fields, method, login)
        if response.status in (401, 403) and (login is None or not login.password):
            better = self.credentials.find(url, ask=True)
            if better is not None and better != login:
                response.close()
                login = better
                response = self._exchange(url, fields, method, login)
        if response.status == 407:
            response.close()
            proxy = self.pool.proxy_for(origin(url))
            if proxy is None:
                raise IndexDenied("answered 407 (a proxy's login is wanted), though no proxy is set", where=self.settings.place(url))
            raise proxy_denied(self.settings, self.credentials, proxy, where=self.settings.place(url))
        if response.status in (401, 403):
            response.close()
            raise self._denied(url, response.status, login)
        return response

    def _denied(self, url: str, status: int, login: Login | None) -> Refused:
        reason = http.client.responses.get(status, "")
        if login is not None:
            said = f"{shown(url)} was refused with {status} {reason}, asked with the login from {login.source}"
            hint = "is that login right, and may it read this index?"
        else:
            said = f"{shown(url)} was refused with {status} {reason}; no login is known for {origin(url)}"
            hint = "give one by netrc, keyring, the index's URL or HARDTACK_INDEX_<NAME>_USERNAME and _PASSWORD (docs/indexes.md)"
        notes = "; ".join(self.credentials.notes)
        return Refused(said, status=status, where=self.settings.place(url), hint=f"{hint} ({notes})" if notes else hint)

    def _exchange(self, url: str, fields: Mapping[str, str], method: str, login: Login | None) -> _HttpResponse:
        place = origin(url)
        parts = urlsplit(url)
        path = _encoded((parts.path or "/") + (f"?{parts.query}" if parts.query else ""))
        host = f"[{place.host}]" if ":" in place.host else place.host
        authority = host if str(place).endswith(host) else f"{host}:{place.port}"
        fresh = False
        while True:
            connection = self.pool.take(place, fresh=fresh)
            hold = contextlib.ExitStack()
            try:
                hold.enter_context(self.stop.calls(connection.stop))
                target = f"http://{authority}{path}" if connection.plain_proxy else path
                connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
                connection.putheader("Host", authority)
                for name, value in fields.items():
                    connection.putheader(name, value)
                if login is not None and "Authorization" not in fields:
                    connection.putheader("Authorization", login.basic())
                if connection.plain_proxy and connection.proxy is not None:
                    proxy_login = self.credentials.proxy(connection.proxy)
                    if proxy_login is not None:
                        connection.putheader("Proxy-Authorization", proxy_login.basic())
                connection.endheaders()
                raw = connection.getresponse()
            except (OSError, http.client.HTTPException, ValueError) as error:
                hold.close()
                reused = connection.used > 0
                connection.end()
                self.stop.check()
                if reused and not isinstance(error, TimeoutError):
                    # The server had closed a kept connection at the same moment: not its fault, and the request is safe to repeat.
                    fresh = True
                    continue
                raise self._unanswered(url, error) from None
            except BaseException:
                hold.close()
                connection.end()
                raise
            return _HttpResponse(self, connection, raw, url, hold)

    def _unanswered(self, url: str, error: Exception) -> IndexFault:
        place = self.settings.place(url)
        if isinstance(error, TimeoutError):
            return TransferFault(
                f"{shown(url)}: no answer for {self.settings.timeout:g} s from {self.pool.route(origin(url))}",
                where=place,
                hint="--timeout SECONDS waits longer",
            )
        return TransferFault(f"{shown(url)}: no answer from {self.pool.route(origin(url))}: {_reason(error)}", where=place)


def refused(settings: IndexSettings, response: Response, url: str) -> IndexFault:
    """The error for a status that is neither an answer nor "not found" (404, 410)."""
    reason = http.client.responses.get(response.status, "")
    return IndexFault(
        f"{shown(url)} answered {response.status} {reason}".rstrip(),
        where=settings.place(url),
        hint='the index is at fault or overloaded, this is no "not found"; try again later',
    )


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).partition("\n")[0] or type(error).__name__


def _is_page(path: str) -> bool:
    return path.endswith((".html", ".htm", ".json")) or "." not in os.path.basename(path)


def _encoded(target: str) -> str:
    """Request targets are ASCII without spaces; what is percent-encoded already stays so."""
    from urllib.parse import quote

    return quote(target, safe="%/:=&?~#+!$,;'@()*[]-._")


def _agent() -> str:
    from hardtack.version import __version__

    return f"hardtack/{__version__}"

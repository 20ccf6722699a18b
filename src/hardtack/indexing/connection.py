"""Sockets: opened through proxies and TLS, kept alive in a pool, closed within an instant when the run is to stop."""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import selectors
import socket
import ssl
import threading
import time
from collections.abc import Sequence
from urllib.parse import urlsplit

from hardtack.errors import IndexDenied, IndexFault, UsageError
from hardtack.indexing.address import Origin, origin
from hardtack.indexing.credentials import Credentials
from hardtack.indexing.settings import IndexSettings
from hardtack.system.cancellation import Cancellation

_CONNECT_SECONDS = 20.0
_TICK = 0.2
_IDLE_PER_ORIGIN = 32
_IDLE_SECONDS = 55.0
_MOST_INTERIM, _MOST_TRAILERS, _LONGEST_LINE = 20, 100, 65_536


class _Answer(http.client.HTTPResponse):
    """An answer that ends: http.client bounds every line, and neither how many interim answers nor how many trailers it skips."""

    _interim = 0

    def _read_status(self) -> tuple[str, int, str]:
        self._interim += 1
        if self._interim > _MOST_INTERIM:
            raise http.client.HTTPException(f"more than {_MOST_INTERIM} interim answers (1xx)")
        return super()._read_status()  # type: ignore[misc, no-any-return]

    def _read_and_discard_trailer(self) -> None:
        for _ in range(_MOST_TRAILERS):
            line = self.fp.readline(_LONGEST_LINE + 1)
            if len(line) > _LONGEST_LINE:
                raise http.client.LineTooLong("trailer line")
            if line in (b"", b"\n", b"\r\n"):
                return
        raise http.client.HTTPException(f"more than {_MOST_TRAILERS} trailers")


class Connection(http.client.HTTPConnection):
    """A connected HTTP/1.1 connection to one origin. ``plain_proxy``: requests go to a proxy with their whole URL."""

    auto_open = 0
    response_class = _Answer

    def __init__(self, place: Origin, stream: socket.socket, *, proxy: str | None, plain_proxy: bool) -> None:
        super().__init__(place.host, place.port)
        self.sock = stream
        self.stream = stream
        self.place = place
        self.proxy = proxy
        self.plain_proxy = plain_proxy
        self.used = 0
        self.idle_since = 0.0

    def stop(self) -> None:
        """Wake whoever waits on the socket. Safe from any thread."""
        _shut(self.stream)

    def end(self) -> None:
        """Close it for good."""
        self.close()
        self.stream.close()


class Pool:
    """Connections by origin, each used by one thread at a time."""

    def __init__(self, settings: IndexSettings, credentials: Credentials, stop: Cancellation) -> None:
        self._settings = settings
        self._credentials = credentials
        self._stop = stop
        self._idle: dict[Origin, list[Connection]] = {}
        self._lock = threading.Lock()
        self._contexts: dict[bool, ssl.SSLContext] = {}

    def take(self, place: Origin, *, fresh: bool = False) -> Connection:
        """An idle connection that is still sound, else (or if ``fresh``) a new one."""
        while not fresh:
            with self._lock:
                idle = self._idle.get(place)
                connection = idle.pop() if idle else None
            if connection is None:
                break
            # Readable while nothing was asked: the server has closed it, or sent what nobody asked for.
            if time.monotonic() - connection.idle_since < _IDLE_SECONDS and not _readable(connection.stream):
                return connection
            connection.end()
        return self._dial(place)

    def give_back(self, connection: Connection) -> None:
        """The last answer was read to its end: keep the connection for the next request."""
        connection.used += 1
        connection.idle_since = time.monotonic()
        with self._lock:
            idle = self._idle.setdefault(connection.place, [])
            if len(idle) < _IDLE_PER_ORIGIN and not self._stop.cancelled:
                idle.append(connection)
                return
        connection.end()

    def close(self) -> None:
        """Close every idle connection."""
        with self._lock:
            idle = [connection for connections in self._idle.values() for connection in connections]
            self._idle.clear()
        for connection in idle:
            connection.end()

    def proxy_for(self, place: Origin) -> str | None:
        """The proxy's URL for an origin, None where it is reached directly."""
        proxies = dict(self._settings.proxies)
        proxy = proxies.get(place.scheme) or proxies.get("all")
        if proxy is None or bypasses(place.host, place.port, self._settings.no_proxy):
            return None
        return proxy

    def route(self, place: Origin) -> str:
        """How an origin is reached, in words."""
        proxy = self.proxy_for(place)
        return f"{place.host}:{place.port}" + (f" through the proxy {proxy} ({self._settings.source('proxy')})" if proxy else "")

    def _dial(self, place: Origin) -> Connection:
        proxy = self.proxy_for(place)
        if proxy is None:
            stream = self._connect(place.host, place.port, place)
        else:
            via = origin(proxy)
            if via.scheme != "http":
                raise UsageError(
                    f"proxies of the kind {via.scheme}:// are not supported",
                    where=self._settings.source("proxy"),
                    hint="use an http:// proxy",
                )
            stream = self._connect(via.host, via.port, place)
        try:
            with self._stop.calls(lambda: _shut(stream)):
                stream.settimeout(self._settings.timeout)
                if proxy is not None and place.scheme == "https":
                    self._tunnel(stream, place, proxy)
                if place.scheme == "https":
                    stream = self._secure(stream, place)
        except BaseException:
            stream.close()
            self._stop.check()
            raise
        return Connection(place, stream, proxy=proxy, plain_proxy=proxy is not None and place.scheme == "http")

    def _connect(self, host: str, port: int, place: Origin) -> socket.socket:
        deadline = time.monotonic() + min(self._settings.timeout, _CONNECT_SECONDS)
        last: OSError | None = None
        for family, kind, protocol, _, address in self._resolve(host, port, place, deadline):
            stream = socket.socket(family, kind, protocol)
            try:
                stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                stream.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    stream.connect(address)
                while not _ready(stream, selectors.EVENT_WRITE, _TICK):
                    self._stop.check()
                    if time.monotonic() > deadline:
                        raise TimeoutError("timed out")
                error = stream.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if error:
                    raise OSError(error, _words(error))
            except OSError as fault:
                stream.close()
                last = fault
                continue
            except BaseException:
                stream.close()
                raise
            return stream
        why = (last.strerror or str(last)) if last is not None else "no address"
        raise IndexFault(
            f"cannot connect to {self.route(place)}: {why}",
            where=self._settings.place(str(place)),
            hint="is the host up, and is a proxy needed? (HTTPS_PROXY, --proxy)",
        )

    def _resolve(
        self, host: str, port: int, place: Origin, deadline: float
    ) -> Sequence[
        tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]]
    ]:
        """Ask the resolver in a thread: it cannot be interrupted, and a run must be."""
        answer: list[object] = []

        def ask() -> None:
            try:
                answer.append(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
            except (OSError, UnicodeError) as error:
                answer.append(error)

        thread = threading.Thread(target=ask, daemon=True)
        thread.start()
        while not answer and time.monotonic() < deadline:
            thread.join(_TICK)
            self._stop.check()
        if answer and isinstance(answer[0], list):
            return answer[0]
        why = getattr(answer[0], "strerror", None) or "not a host name" if answer else "no answer in time"
        raise IndexFault(
            f"the name {host!r} cannot be resolved, on the way to {self.route(place)}: {why}",
            where=self._settings.place(str(place)),
            hint="check the index's URL; without DNS, a proxy may be needed (HTTPS_PROXY, --proxy)",
        )

    def _tunnel(self, stream: socket.socket, place: Origin, proxy: str) -> None:
        host = f"[{place.host}]" if ":" in place.host else place.host
        lines = [f"CONNECT {host}:{place.port} HTTP/1.1", f"Host: {host}:{place.port}"]
        login = self._credentials.proxy(proxy)
        if login is not None:
            lines.append(f"Proxy-Authorization: {login.basic()}")
        where = self._settings.place(str(place))
        try:
            stream.sendall("\r\n".join([*lines, "", ""]).encode("ascii"))
            answer = http.client.HTTPResponse(stream, method="CONNECT")
            answer.begin()
        except (OSError, http.client.HTTPException) as error:
            raise IndexFault(
                f"no answer from the proxy on the way to {self.route(place)}: {error or type(error).__name__}", where=where
            ) from None
        answer.close()
        if answer.status == 407:
            raise proxy_denied(self._settings, self._credentials, proxy, where=where)
        if answer.status != 200:
            raise IndexFault(
                f"the proxy {proxy} ({self._settings.source('proxy')}) answered {answer.status} to CONNECT {place.host}:{place.port}",
                where=where,
                hint="the proxy may not allow this host; NO_PROXY names hosts to reach directly",
            )

    def _secure(self, stream: socket.socket, place: Origin) -> socket.socket:
        trusted = self._settings.trusts(place.host, place.port)
        try:
            # wrap_socket takes the descriptor away from ``stream``: the handshake is left for when the new one can be woken.
            secure = self._context(verify=not trusted).wrap_socket(stream, server_hostname=place.host, do_handshake_on_connect=False)
            with self._stop.calls(lambda: _shut(secure)):
                try:
                    secure.do_handshake()
                except BaseException:
                    secure.close()
                    raise
            return secure
        except ssl.SSLCertVerificationError as error:
            raise IndexFault(
                f"the certificate of {place.host}:{place.port} is not trusted: {error.verify_message}",
                where=self._settings.place(str(place)),
                hint=f"authorities were taken from {self._settings.ca_source}; name your own with --cert FILE or SSL_CERT_FILE",
            ) from None
        except OSError as error:
            reason = getattr(error, "reason", None) or error.strerror or str(error) or "connection closed"
            raise IndexFault(
                f"no secure connection to {self.route(place)}: {reason}",
                where=self._settings.place(str(place)),
                hint=f"authorities were taken from {self._settings.ca_source}; the server may want one of yours (--client-cert)",
            ) from None

    def _context(self, *, verify: bool) -> ssl.SSLContext:
        with self._lock:
            if verify not in self._contexts:
                self._contexts[verify] = tls_context(self._settings, verify=verify)
            return self._contexts[verify]


def tls_context(settings: IndexSettings, *, verify: bool) -> ssl.SSLContext:
    """The authorities and the client certificate of the settings. Raises UsageError, naming the file and who named it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif settings.ca_file is not None or settings.ca_dir is not None:
        try:
            context.load_verify_locations(
                cafile=str(settings.ca_file) if settings.ca_file else None, capath=str(settings.ca_dir) if settings.ca_dir else None
            )
        except OSError as error:
            raise UsageError(f"cannot read certificate authorities: {error.strerror or error}", where=settings.ca_source) from None
    else:
        context.load_default_certs()
        if not context.get_ca_certs() and not _has_store():
            # A system without a store (slim images): what pip's neighbour brings is better than trusting nobody.
            with contextlib.suppress(ImportError):
                import importlib

                context.load_verify_locations(cafile=importlib.import_module("certifi").where())
    if settings.client_cert is not None:
        try:
            context.load_cert_chain(str(settings.client_cert), password=lambda: "")
        except (OSError, ValueError) as error:
            raise UsageError(
                f"cannot read the client certificate {settings.client_cert}: {getattr(error, 'strerror', None) or error}",
                where=settings.source("client-cert"),
                hint="one PEM file with the certificate and its key, unencrypted",
            ) from None
    return context


def _has_store() -> bool:
    from pathlib import Path

    folder = ssl.get_default_verify_paths().capath
    return folder is not None and any(Path(folder).glob("*.0"))


def proxy_denied(settings: IndexSettings, credentials: Credentials, proxy: str, *, where: str) -> IndexDenied:
    """407, in words."""
    login = credentials.proxy(proxy)
    what = f"refused the login from {login.source}" if login else "wants a login, and none is known"
    return IndexDenied(
        f"the proxy {proxy} ({settings.source('proxy')}) {what} (407)",
        where=where,
        hint="write the login into the proxy's URL: http://USER:PASSWORD@HOST:PORT",
    )


def bypasses(host: str, port: int, no_proxy: Sequence[str]) -> bool:
    """True if an entry of NO_PROXY covers the host: ``*``, a name and all below it, an address, a network; with or without a port."""
    host = host.lower().rstrip(".")
    return any(_covers(entry.strip().lower(), host, port) for entry in no_proxy)


def _covers(entry: str, host: str, port: int) -> bool:
    if entry == "*":
        return True
    try:
        # A host name is no address, and an entry may be none: both end below.
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        pass
    try:
        parts = urlsplit(f"//{entry}")
        wanted, wanted_port = (parts.hostname or "").removeprefix("*").strip("."), parts.port
    except ValueError:
        return False
    if not wanted or wanted_port not in (None, port):
        return False
    return host == wanted or host.endswith(f".{wanted}")


def _readable(stream: socket.socket) -> bool:
    try:
        return _ready(stream, selectors.EVENT_READ, 0)
    except (OSError, ValueError):
        return True


def _ready(stream: socket.socket, event: int, seconds: float) -> bool:
    # Not select(): it knows no descriptor above 1023.
    with selectors.DefaultSelector() as selector:
        selector.register(stream, event)
        return bool(selector.select(seconds))


def _shut(stream: socket.socket) -> None:
    # On the plain socket: TLS would want to say goodbye, and another thread may be reading.
    with contextlib.suppress(OSError):
        socket.socket.shutdown(stream, socket.SHUT_RDWR)


def _words(error: int) -> str:
    import os

    return os.strerror(error)

"""A package index and a proxy on loopback, real sockets and all, that can be told to misbehave.

    with LoopbackIndex() as index:
        index.add(*make_wheel("attrs"))
        index.fault("attrs-1.0-py3-none-any.whl", status=503, times=2)

Every switch may be changed while the server runs.
"""

from __future__ import annotations

import base64
import contextlib
import html
import http.client
import io
import json
import re
import select
import socket
import ssl
import threading
import time
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256 as _sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, Self
from urllib.parse import quote, unquote, urlsplit

from packaging.utils import canonicalize_name

from tests.support.certificates import ServerCertificate

_JSON = "application/vnd.pypi.simple.v1+json"
_CHUNK = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request as it arrived. ``headers`` have lower-case names."""

    method: str
    path: str
    headers: Mapping[str, str]


@dataclass(slots=True, kw_only=True)
class Fault:
    """What befalls the requests that ``match`` names, ``times`` times (None: always).

    ``match``: a file name, a project's name (its page), a whole path, "pages", "files" or "*". Byte counts are of the body.
    ``claim``: a Content-Length that lies. ``redirect``: a Location, with ``{path}`` for the path asked for.
    ``hang_up``: the connection ends without a word.
    """

    match: str
    times: int | None = None
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    delay: float = 0.0
    stall_after: int | None = None
    truncate_at: int | None = None
    claim: int | None = None
    flip_at: int | None = None
    endless: bool = False
    redirect: str | None = None
    close: bool = False
    hang_up: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    filename: str
    data: bytes
    project: str
    requires_python: str | None
    yanked: str | bool | None
    sha256: str | None
    size: bool
    upload_time: str | None
    metadata: bytes | None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        self.open: set[socket.socket] = set()
        self.connections = 0
        self.guard = threading.Lock()
        self.closing = threading.Event()
        super().__init__(("127.0.0.1", 0), handler)

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        try:
            connection, address = super().get_request()
        except OSError as error:
            _close_forgotten(error, self.socket)
            raise
        with self.guard:
            self.open.add(connection)
            self.connections += 1
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        with self.guard:
            self.open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients break off on purpose here; a broken pipe is no news."""

    def end(self) -> None:
        self.closing.set()
        self.shutdown()
        with self.guard:
            connections = list(self.open)
        for connection in connections:
            # On the plain socket: unwrapping TLS would wait for the peer.
            with contextlib.suppress(OSError):
                socket.socket.shutdown(connection, socket.SHUT_RDWR)
        self.server_close()
        deadline = time.monotonic() + 2
        while self.open and time.monotonic() < deadline:
            time.sleep(0.005)


def _close_forgotten(error: OSError, listening: socket.socket) -> None:
    """Close what ssl leaves open (CPython 3.11 and later) when the peer is gone before it is wrapped; nothing else refers to it."""
    traceback = error.__traceback__
    while traceback is not None:
        forgotten = traceback.tb_frame.f_locals.get("self")
        if isinstance(forgotten, ssl.SSLSocket) and forgotten is not listening:
            forgotten.close()
        traceback = traceback.tb_next


class _Running:
    """A server in a thread of its own, for the length of a ``with`` block."""

    def __init__(self) -> None:
        self._server: _Server | None = None
        self.requests: list[Request] = []

    @property
    def port(self) -> int:
        assert self._server is not None, "not started"
        return int(self._server.server_address[1])

    @property
    def connections(self) -> int:
        """How many connections were accepted."""
        assert self._server is not None, "not started"
        return self._server.connections

    def _start(self, server: _Server) -> None:
        self._server = server
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def __exit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.end()


class LoopbackIndex(_Running):
    """A simple index at ``url``, its files at ``files_url``, a find-links page of all files at ``flat_url``.

    ``json``: False for HTML only. ``pep658``, ``sizes``, ``ranges``, ``etags``: what the index offers. ``relative``: URLs in pages.
    ``credentials``: 401 without them; ``open_files``: but not for files. ``bandwidth``: bytes a second and connection.
    ``keep_alive``: False closes after each reply. ``file_base``: where pages say that the files are.
    """

    def __init__(
        self,
        *,
        tls: ServerCertificate | None = None,
        client_ca: str | None = None,
        host: str = "127.0.0.1",
        json: bool = True,
        credentials: tuple[str, str] | None = None,
    ) -> None:
        super().__init__()
        self.host = host
        self.json = json
        self.pep658 = True
        self.sizes = True
        self.ranges = True
        self.etags = True
        self.relative = False
        self.credentials = credentials
        self.open_files = False
        self.bandwidth: float | None = None
        self.keep_alive = True
        self.file_base: str | None = None
        self.api_version = "1.1"
        self.project_status: dict[str, str] = {}
        self.files: dict[str, _File] = {}
        self.faults: list[Fault] = []
        self._tls = tls
        self._client_ca = client_ca
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        index = self

        class Handler(_IndexHandler):
            pass

        Handler.index = index
        server = _Server(Handler)
        if self._tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self._tls.certificate, self._tls.key)
            if self._client_ca is not None:
                context.load_verify_locations(self._client_ca)
                context.verify_mode = ssl.CERT_REQUIRED
            # The handshake happens in the connection's own thread, at its first read.
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        self._start(server)
        return self

    @property
    def base(self) -> str:
        """Scheme, host and port."""
        return f"{'https' if self._tls else 'http'}://{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """The simple index."""
        return f"{self.base}/simple"

    @property
    def files_url(self) -> str:
        """The folder of the files."""
        return f"{self.base}/files"

    @property
    def flat_url(self) -> str:
        """One HTML page that links to every file."""
        return f"{self.base}/flat/"

    def with_login(self, user: str, password: str) -> str:
        """The simple index's URL with a login in it."""
        return self.url.replace("://", f"://{quote(user, safe='')}:{quote(password, safe='')}@")

    def add(
        self,
        filename: str,
        data: bytes,
        *,
        project: str | None = None,
        requires_python: str | None = None,
        yanked: str | bool | None = None,
        sha256: str | None = "right",
        size: bool = True,
        upload_time: str | None = None,
        metadata: bool = True,
    ) -> str:
        """List a file; returns its URL. ``sha256``: "right", None for none, or whatever the page shall claim."""
        if project is None:
            stem = re.sub(r"\.(tar\.gz|tar\.bz2|zip|whl)$", "", filename)
            project = stem.split("-")[0] if filename.endswith(".whl") else stem.rsplit("-", 1)[0]
        digest = _sha256(data).hexdigest() if sha256 == "right" else sha256
        self.files[filename] = _File(
            filename=filename,
            data=data,
            project=canonicalize_name(project),
            requires_python=requires_python,
            yanked=yanked,
            sha256=digest,
            size=size,
            upload_time=upload_time,
            metadata=_metadata(filename, data) if metadata else None,
        )
        return f"{self.files_url}/{quote(filename)}"

    def remove(self, filename: str) -> None:
        """List a file no longer."""
        del self.files[filename]

    def fault(
        self,
        match: str,
        *,
        times: int | None = None,
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        delay: float = 0.0,
        stall_after: int | None = None,
        truncate_at: int | None = None,
        claim: int | None = None,
        flip_at: int | None = None,
        endless: bool = False,
        redirect: str | None = None,
        close: bool = False,
        hang_up: bool = False,
    ) -> Fault:
        """Misbehave where ``match`` fits: see ``Fault``. The first fault that fits and has ``times`` left is the one that happens."""
        fault = Fault(
            match=match,
            times=times,
            status=status,
            headers=headers or {},
            body=body,
            delay=delay,
            stall_after=stall_after,
            truncate_at=truncate_at,
            claim=claim,
            flip_at=flip_at,
            endless=endless,
            redirect=redirect,
            close=close,
            hang_up=hang_up,
        )
        self.faults.append(fault)
        return fault

    def asked(self, part: str) -> list[Request]:
        """The requests whose path contains ``part``."""
        return [request for request in list(self.requests) if part in request.path]

    def _fault(self, path: str) -> Fault | None:
        parts = [unquote(part) for part in path.split("?")[0].strip("/").split("/")]
        names = {path, parts[-1], "*", "files" if parts[0] == "files" else "pages"}
        with self._lock:
            for fault in self.faults:
                if fault.match in names and fault.times != 0:
                    if fault.times is not None:
                        fault.times -= 1
                    return fault
        return None

    def _page(self, project: str, *, json_wanted: bool) -> tuple[str, bytes] | None:
        """The page's media type and bytes; None for a project without files."""
        files = [file for file in list(self.files.values()) if file.project == project]
        if not files:
            return None
        if json_wanted:
            rows = [self._json_row(file) for file in files]
            page: dict[str, object] = {"meta": {"api-version": self.api_version}, "name": project, "files": rows}
            if project in self.project_status:
                page["project-status"] = {"status": self.project_status[project]}
            return _JSON, json.dumps(page).encode()
        return "text/html; charset=utf-8", self._html(files, project)

    def _href(self, file: _File) -> str:
        base = self.file_base or ("../../files" if self.relative else self.files_url)
        return f"{base}/{quote(file.filename)}"

    def _json_row(self, file: _File) -> dict[str, object]:
        row: dict[str, object] = {
            "filename": file.filename,
            "url": self._href(file),
            "hashes": {"sha256": file.sha256} if file.sha256 else {},
        }
        if file.requires_python:
            row["requires-python"] = file.requires_python
        if file.yanked is not None:
            row["yanked"] = file.yanked
        if file.size and self.sizes:
            row["size"] = len(file.data)
        if file.upload_time:
            row["upload-time"] = file.upload_time
        if file.metadata is not None and self.pep658:
            row["core-metadata"] = {"sha256": _sha256(file.metadata).hexdigest()}
        return row

    def _html(self, files: list[_File], project: str) -> bytes:
        lines = ["<!DOCTYPE html>", "<html>", "<head>", f'<meta name="pypi:repository-version" content="{self.api_version}">']
        if project in self.project_status:
            lines.append(f'<meta name="pypi:project-status" content="{self.project_status[project]}">')
        lines += ["</head>", "<body>"]
        for file in files:
            attributes = ""
            if file.requires_python:
                attributes += f' data-requires-python="{html.escape(file.requires_python)}"'
            if file.yanked is not None and file.yanked is not False:
                attributes += f' data-yanked="{html.escape(file.yanked if isinstance(file.yanked, str) else "")}"'
            if file.metadata is not None and self.pep658:
                attributes += f' data-core-metadata="sha256={_sha256(file.metadata).hexdigest()}"'
            fragment = f"#sha256={file.sha256}" if file.sha256 else ""
            lines.append(f'<a href="{html.escape(self._href(file))}{fragment}"{attributes}>{html.escape(file.filename)}</a><br>')
        return "\n".join([*lines, "</body>", "</html>", ""]).encode()


class _IndexHandler(BaseHTTPRequestHandler):
    index: LoopbackIndex
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Nothing: ``requests`` is the log."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        index = self.index
        index.requests.append(Request(method=self.command, path=self.path, headers={k.lower(): v for k, v in self.headers.items()}))
        fault = index._fault(self.path)
        if fault is not None:
            if fault.delay:
                self._closing.wait(fault.delay)
            if fault.hang_up:
                self.close_connection = True
                return
            if fault.redirect is not None:
                self._reply(fault.status or 302, b"", {"Location": fault.redirect.replace("{path}", self.path), **fault.headers}, fault)
                return
            if fault.status is not None:
                self._reply(fault.status, fault.body or b"", fault.headers, fault)
                return
        path = unquote(urlsplit(self.path).path)
        first, _, rest = path.strip("/").partition("/")
        if index.credentials is not None and not (index.open_files and first == "files") and not self._logged_in(index.credentials):
            self._reply(401, b"who are you?", {"WWW-Authenticate": 'Basic realm="index"'}, fault)
        elif first == "simple" and rest:
            if not path.endswith("/"):
                self._reply(301, b"", {"Location": self.path + "/"}, fault)
                return
            self._serve(index._page(canonicalize_name(rest), json_wanted=index.json and _JSON in self.headers.get("Accept", "")), fault)
        elif first == "simple":
            names = sorted({file.project for file in list(index.files.values())})
            links = "".join(f'<a href="{name}/">{name}</a>\n' for name in names)
            self._serve(("text/html", f"<!DOCTYPE html><html><body>{links}</body></html>".encode()), fault)
        elif first == "flat":
            self._serve(("text/html", index._html(list(index.files.values()), "")), fault)
        elif first == "files":
            self._serve_file(rest, fault)
        else:
            self._reply(404, b"not found", {}, fault)

    @property
    def _closing(self) -> threading.Event:
        assert isinstance(self.server, _Server)
        return self.server.closing

    def _logged_in(self, credentials: tuple[str, str]) -> bool:
        return self.headers.get("Authorization") == _basic(credentials)

    def _serve(self, page: tuple[str, bytes] | None, fault: Fault | None) -> None:
        if page is None:
            self._reply(404, b"not found", {}, fault)
            return
        media, body = page
        headers = {"Content-Type": media, "Vary": "Accept"}
        if self.index.etags:
            headers["ETag"] = f'"{_sha256(body).hexdigest()}"'
            if self.headers.get("If-None-Match") == headers["ETag"]:
                self._reply(304, b"", headers, fault)
                return
        self._reply(200, fault.body if fault and fault.body is not None else body, headers, fault)

    def _serve_file(self, name: str, fault: Fault | None) -> None:
        file = self.index.files.get(name)
        data = file.data if file else None
        if data is None and name.endswith(".metadata"):
            wheel = self.index.files.get(name.removesuffix(".metadata"))
            data = wheel.metadata if wheel and self.index.pep658 else None
        if data is None:
            self._reply(404, b"not found", {}, fault)
            return
        headers = {"Content-Type": "application/octet-stream"}
        if self.index.etags:
            headers["ETag"] = f'"{_sha256(data).hexdigest()}"'
        status = 200
        if self.index.ranges:
            headers["Accept-Ranges"] = "bytes"
            wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            condition = self.headers.get("If-Range")
            if wanted and (condition is None or condition == headers.get("ETag")):
                first = int(wanted[1])
                last = min(int(wanted[2]) if wanted[2] else len(data) - 1, len(data) - 1)
                if first >= len(data) or last < first:
                    self._reply(416, b"", {"Content-Range": f"bytes */{len(data)}"}, fault)
                    return
                status = 206
                headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
                data = data[first : last + 1]
        self._reply(status, fault.body if fault and fault.body is not None else data, headers, fault)

    def _reply(self, status: int, body: bytes, headers: Mapping[str, str], fault: Fault | None) -> None:
        fault = fault or Fault(match="")
        if fault.flip_at is not None and fault.flip_at < len(body):
            at = fault.flip_at
            body = body[:at] + bytes([body[at] ^ 0xFF]) + body[at + 1 :]
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if not fault.endless and status != 304:
            self.send_header("Content-Length", str(fault.claim if fault.claim is not None else len(body)))
        lies = fault.claim is not None and fault.claim != len(body)
        if not self.index.keep_alive or fault.close or fault.endless or fault.truncate_at is not None or lies:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        if self.command == "HEAD" or status == 304:
            return
        for chunk in self._chunks(body, fault):
            self.wfile.write(chunk)
        self.wfile.flush()

    def _chunks(self, body: bytes, fault: Fault) -> Iterator[bytes | memoryview]:
        if fault.stall_after is not None:
            yield body[: fault.stall_after]
            self.wfile.flush()
            self._closing.wait(60)
            return
        if fault.truncate_at is not None:
            body = body[: fault.truncate_at]
        bandwidth = self.index.bandwidth
        if bandwidth is None:
            yield memoryview(body)
        else:
            size = max(1, min(_CHUNK, int(bandwidth / 20)))
            for start in range(0, len(body), size):
                yield memoryview(body)[start : start + size]
                self.wfile.flush()
                self._closing.wait(size / bandwidth)
        while fault.endless and not self._closing.is_set():
            yield b"\0" * _CHUNK


class LoopbackProxy(_Running):
    """A proxy for CONNECT and plain HTTP. ``requests`` logs what it was asked, refused or not.

    ``routes`` leads a host to another address ("index.example": ("127.0.0.1", 4711)), so that names need no DNS.
    """

    def __init__(self, *, credentials: tuple[str, str] | None = None, routes: Mapping[str, tuple[str, int]] | None = None) -> None:
        super().__init__()
        self.credentials = credentials
        self.routes = dict(routes or {})
        self.status: int | None = None

    def __enter__(self) -> Self:
        class Handler(_ProxyHandler):
            pass

        Handler.proxy = self
        self._start(_Server(Handler))
        return self

    @property
    def url(self) -> str:
        """The proxy's address without a login."""
        return f"http://127.0.0.1:{self.port}"

    def with_login(self, user: str, password: str) -> str:
        """The proxy's address with a login in it."""
        return f"http://{quote(user, safe='')}:{quote(password, safe='')}@127.0.0.1:{self.port}"

    def asked(self, method: Literal["CONNECT", "GET"] | None = None) -> list[str]:
        """What was asked for, in order: "host:port" or a URL."""
        return [request.path for request in list(self.requests) if method in (None, request.method)]


class _ProxyHandler(BaseHTTPRequestHandler):
    proxy: LoopbackProxy
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Nothing: ``requests`` is the log."""

    def _refused(self) -> bool:
        proxy = self.proxy
        proxy.requests.append(Request(method=self.command, path=self.path, headers={k.lower(): v for k, v in self.headers.items()}))
        if proxy.credentials is not None and self.headers.get("Proxy-Authorization") != _basic(proxy.credentials):
            self._answer(407, b"", {"Proxy-Authenticate": 'Basic realm="proxy"'})
            return True
        if proxy.status is not None:
            self._answer(proxy.status, b"", {})
            return True
        return False

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_CONNECT(self) -> None:
        if self._refused():
            return
        host, _, port = self.path.rpartition(":")
        try:
            peer = socket.create_connection(self.proxy.routes.get(host, (host, int(port))), timeout=5)
        except OSError:
            self._answer(502, b"", {})
            return
        self.close_connection = True
        with peer:
            self.send_response_only(200)
            self.end_headers()
            self.wfile.flush()
            assert isinstance(self.server, _Server)
            while not self.server.closing.is_set():
                ready, _, _ = select.select([self.connection, peer], [], [], 0.1)
                for side in ready:
                    try:
                        data = side.recv(_CHUNK)
                    except OSError:
                        data = b""
                    if not data:
                        return
                    (peer if side is self.connection else self.connection).sendall(data)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        if self._refused():
            return
        parts = urlsplit(self.path)
        host = parts.hostname or ""
        address, port = self.proxy.routes.get(host, (host, parts.port or 80))
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        hop = {"proxy-authorization", "proxy-connection", "connection", "keep-alive"}
        connection = http.client.HTTPConnection(address, port, timeout=10)
        try:
            connection.request(self.command, target, headers={k: v for k, v in self.headers.items() if k.lower() not in hop})
            response = connection.getresponse()
            body = response.read()
            headers = {k: v for k, v in response.getheaders() if k.lower() not in hop | {"content-length", "transfer-encoding"}}
            self._answer(response.status, body, headers)
        except OSError:
            self._answer(502, b"", {})
        finally:
            connection.close()


def _basic(credentials: tuple[str, str]) -> str:
    return "Basic " + base64.b64encode(":".join(credentials).encode()).decode()


def _metadata(filename: str, data: bytes) -> bytes | None:
    if not filename.endswith(".whl"):
        return None
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return next(archive.read(name) for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    except (zipfile.BadZipFile, StopIteration):
        return None

"""The transport against real sockets: logins, redirects, proxies, TLS, broken answers, interruption."""

from __future__ import annotations

import hashlib
import os
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from hardtack.errors import Cancelled, HardtackError, IndexDenied, IndexFault, Offline, TransferFault, UsageError
from hardtack.indexing.connection import bypasses
from hardtack.indexing.http import HttpTransport
from hardtack.indexing.settings import IndexFlags
from hardtack.system.cancellation import Cancellation
from tests.indexing.arranging import settled
from tests.support.certificates import Authority
from tests.support.loopback import LoopbackIndex, LoopbackProxy

BODY = bytes(range(256)) * 4096
LIMIT = 1 << 24


def transport(
    flags: IndexFlags | None = None, *, stop: Cancellation | None = None, offline: bool = False, **environment: str
) -> HttpTransport:
    settings, credentials = settled(flags, environment=environment, offline=offline)
    return HttpTransport(settings, credentials, stop)


def get(port: HttpTransport, url: str) -> bytes:
    with port.open(url) as response:
        assert response.status == 200
        return response.read(LIMIT)


def test_one_connection_serves_many_requests() -> None:
    with LoopbackIndex() as index, transport() as port:
        url = index.add("a-1.0.tar.gz", BODY)
        for _ in range(5):
            assert get(port, url) == BODY
        with port.open(f"{index.files_url}/absent") as response:
            assert response.status == 404
        get(port, url)
        assert index.connections == 1


def test_a_body_that_was_not_read_costs_the_connection_and_nothing_else() -> None:
    with LoopbackIndex() as index, transport() as port:
        url = index.add("a-1.0.tar.gz", BODY * 4)
        port.open(url).close()
        assert get(port, url) == BODY * 4
        assert index.connections == 2


def test_a_kept_connection_that_the_server_closed_is_replaced() -> None:
    with LoopbackIndex() as index, transport() as port:
        url = index.add("a-1.0.tar.gz", BODY)
        get(port, url)
        server = index._server
        assert server is not None
        for connection in list(server.open):
            connection.shutdown(socket.SHUT_RDWR)
        assert get(port, url) == BODY


def test_sixteen_threads_read_whole_files() -> None:
    with LoopbackIndex() as index, transport() as port:
        urls = [index.add(f"a-{number}.tar.gz", BODY + bytes([number])) for number in range(48)]

        def digest(url: str) -> str:
            state, buffer = hashlib.sha256(), memoryview(bytearray(1 << 17))
            with port.open(url) as response:
                assert response.length == len(BODY) + 1
                while count := response.readinto(buffer):
                    state.update(buffer[:count])
            return state.hexdigest()

        with ThreadPoolExecutor(16) as pool:
            found = list(pool.map(digest, urls))
        assert found == [hashlib.sha256(BODY + bytes([number])).hexdigest() for number in range(48)]
        assert index.connections <= 16


def test_files_are_asked_for_as_they_are_and_ranges_go_through() -> None:
    with LoopbackIndex() as index, transport() as port:
        url = index.add("a-1.0.tar.gz", BODY)
        with port.open(url, headers={"Range": "bytes=1000-"}) as response:
            assert response.status == 206 and response.headers.get("content-range") == f"bytes 1000-{len(BODY) - 1}/{len(BODY)}"
            assert response.read(LIMIT) == BODY[1000:]
        assert index.requests[0].headers["accept-encoding"] == "identity"


# ---- redirects


def test_a_redirect_is_followed_and_a_loop_ends() -> None:
    with LoopbackIndex() as index, transport() as port:
        url = index.add("a-1.0.tar.gz", BODY)
        index.fault("moved", redirect="/files/a-1.0.tar.gz?signature=CANARY")
        with port.open(f"{index.base}/moved") as response:
            assert response.read(LIMIT) == BODY
            assert response.url == url, "a signed link is not handed on"
        index.fault("round", redirect="/round")
        with pytest.raises(IndexFault, match="redirects"):
            port.open(f"{index.base}/round")


def test_a_login_does_not_follow_a_redirect_to_another_origin() -> None:
    with LoopbackIndex(credentials=("me", "CANARY")) as index, LoopbackIndex() as other:
        other.add("a-1.0.tar.gz", BODY)
        index.fault("a-1.0.tar.gz", redirect=f"{other.files_url}/a-1.0.tar.gz")
        with transport(IndexFlags(index_url=index.with_login("me", "CANARY"))) as port:
            assert get(port, f"{index.files_url}/a-1.0.tar.gz") == BODY
            with port.open(f"{index.files_url}/a-1.0.tar.gz", headers={"Authorization": "Basic CANARY", "Cookie": "CANARY"}) as response:
                response.read(LIMIT)
            get(port, f"http://me:CANARY@127.0.0.1:{index.port}/files/a-1.0.tar.gz")
        assert "CANARY" not in str(other.requests) and all("authorization" not in request.headers for request in other.requests)
        assert "authorization" in index.requests[0].headers


def test_a_redirect_to_a_login_of_the_servers_choice_sends_none() -> None:
    with LoopbackIndex() as index, LoopbackIndex() as other, transport() as port:
        other.add("a-1.0.tar.gz", BODY)
        index.fault("moved", redirect=f"http://evil:evil@127.0.0.1:{other.port}/files/a-1.0.tar.gz")
        get(port, f"{index.base}/moved")
        assert "authorization" not in other.requests[0].headers


@pytest.mark.parametrize("target", ["http", "file:///etc/hosts", "ftp://127.0.0.1/x"])
def test_a_redirect_away_from_https_is_refused(authority: Authority, target: str) -> None:
    with (
        LoopbackIndex(tls=authority.leaf()) as index,
        LoopbackIndex() as plain,
        transport(IndexFlags(cert=authority.ca_file)) as port,
    ):
        index.fault("moved", redirect=plain.add("a-1.0.tar.gz", BODY) if target == "http" else target)
        with pytest.raises(IndexFault, match=r"which is refused|cannot be fetched"):
            port.open(f"{index.base}/moved")
        assert plain.connections == 0


def test_a_server_that_hangs_up_on_a_kept_connection_is_asked_once_more() -> None:
    with LoopbackIndex() as index, transport() as port:
        url = index.add("a-1.0.tar.gz", BODY)
        get(port, url)
        index.fault("a-1.0.tar.gz", hang_up=True, times=1)
        assert get(port, url) == BODY
        index.fault("a-1.0.tar.gz", hang_up=True)
        with pytest.raises(TransferFault, match="no answer"):
            get(port, url)
        assert len(index.requests) == 5, "a fresh connection that is hung up on is not tried again here"


# ---- logins


def test_refusals_name_the_index_and_where_its_address_and_login_came_from(tmp_path: Path) -> None:
    with LoopbackIndex(credentials=("me", "right")) as index:
        flags = IndexFlags(index_url=index.url)
        with transport(flags) as port, pytest.raises(IndexDenied) as raised:
            port.open(f"{index.url}/attrs/")
        assert "401" in str(raised.value) and "no login is known" in str(raised.value) and "--index-url" in str(raised.value)
        (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password CANARY\n")
        with transport(flags, HOME=str(tmp_path)) as port, pytest.raises(IndexDenied) as raised:
            port.open(f"{index.url}/attrs/")
        assert str(tmp_path / ".netrc") in str(raised.value) and "CANARY" not in str(raised.value) + str(raised.value.hint)
        index.credentials = None
        index.fault("pages", status=403)
        with transport(flags) as port, pytest.raises(IndexDenied, match="403"):
            port.open(f"{index.url}/attrs/")


def test_status_of_a_fault_is_handed_to_the_caller() -> None:
    with LoopbackIndex() as index, transport() as port:
        for status in (404, 410, 429, 500, 503):
            index.faults = []
            index.fault("*", status=status, headers={"Retry-After": "7"})
            index.fault("pages", status=status, headers={"Retry-After": "7"})
            with port.open(f"{index.url}/attrs/") as response:
                assert (response.status, response.headers.get("Retry-After")) == (status, "7")


# ---- proxies and certificates


def test_through_a_proxy_with_a_login_to_a_private_authority(authority: Authority) -> None:
    with LoopbackIndex(tls=authority.leaf("index.example"), host="index.example") as index:
        url = index.add("a-1.0.tar.gz", BODY)
        with LoopbackProxy(credentials=("me", "p:w@"), routes={"index.example": ("127.0.0.1", index.port)}) as proxy:
            environment: dict[str, Any] = {"HTTPS_PROXY": proxy.with_login("me", "p:w@"), "SSL_CERT_FILE": str(authority.ca_file)}
            with transport(**environment) as port:
                assert get(port, url) == BODY
            assert proxy.asked() == [f"index.example:{index.port}"]
            assert "proxy-authorization" not in index.requests[0].headers
            for address in (proxy.url, proxy.with_login("me", "CANARY")):
                with transport(**environment | {"HTTPS_PROXY": address}) as port, pytest.raises(IndexDenied) as raised:
                    port.open(url)
                assert "407" in str(raised.value) and "HTTPS_PROXY" in str(raised.value) and "CANARY" not in str(raised.value)
            proxy.status = 502
            with transport(**environment) as port, pytest.raises(IndexFault, match="502 to CONNECT"):
                port.open(url)


def test_plain_http_through_a_proxy() -> None:
    with LoopbackIndex(host="index.example") as index:
        url = index.add("a-1.0.tar.gz", BODY)
        with LoopbackProxy(credentials=("me", "pw"), routes={"index.example": ("127.0.0.1", index.port)}) as proxy:
            with transport(http_proxy=proxy.with_login("me", "pw")) as port:
                assert get(port, url) == BODY
            assert proxy.asked("GET") == [url]
            assert index.requests[0].headers["host"] == f"index.example:{index.port}"
            with transport(http_proxy=proxy.url) as port, pytest.raises(IndexDenied, match="407"):
                port.open(url)


@pytest.mark.parametrize(
    ("entry", "host", "covered"),
    [
        ("*", "a.example", True),
        ("a.example", "a.example", True),
        ("A.Example", "a.example", True),
        ("a.example", "sub.a.example", True),
        (".a.example", "sub.a.example", True),
        ("*.a.example", "sub.a.example", True),
        ("a.example", "nota.example", False),
        ("a.example:443", "a.example", True),
        ("a.example:8443", "a.example", False),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("10.0.0.0/8", "10.example", False),
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1:443", "127.0.0.1", True),
        ("::1", "::1", True),
        ("[::1]", "::1", True),
        ("fd00::/8", "fd12::1", True),
        ("", "a.example", False),
        ("a.example:port", "a.example", False),
    ],
)
def test_no_proxy(entry: str, host: str, covered: bool) -> None:
    assert bypasses(host, 443, [entry]) is covered


def test_no_proxy_leads_around_the_proxy() -> None:
    with LoopbackIndex() as index, LoopbackProxy() as proxy, transport(http_proxy=proxy.url, NO_PROXY="127.0.0.0/8") as port:
        assert get(port, index.add("a-1.0.tar.gz", BODY)) == BODY
        assert proxy.asked() == []


def test_a_proxy_of_another_kind_is_refused_by_name() -> None:
    with transport(ALL_PROXY="socks5://127.0.0.1:1080") as port, pytest.raises(UsageError, match="socks5") as raised:
        port.open("https://index.example/")
    assert raised.value.where == "ALL_PROXY"


def test_a_certificate_of_an_unknown_authority_names_where_authorities_came_from(authority: Authority, tmp_path: Path) -> None:
    stranger = Authority.make(tmp_path / "stranger")
    with LoopbackIndex(tls=authority.leaf()) as index:
        url = index.add("a-1.0.tar.gz", BODY)
        with transport(SSL_CERT_FILE=str(stranger.ca_file)) as port, pytest.raises(IndexFault, match="not trusted") as raised:
            port.open(url)
        assert "SSL_CERT_FILE" in str(raised.value.hint)
        with transport(IndexFlags(trusted_hosts=("127.0.0.1",))) as port:
            assert get(port, url) == BODY
        with transport(IndexFlags(cert=tmp_path)) as port, pytest.raises(HardtackError):
            port.open(url)


def test_a_certificate_for_another_name_is_refused(authority: Authority) -> None:
    with (
        LoopbackIndex(tls=authority.leaf("other.example")) as index,
        transport(IndexFlags(cert=authority.ca_file)) as port,
        pytest.raises(IndexFault, match="not trusted"),
    ):
        port.open(index.url)


def test_a_client_certificate_is_shown_to_servers_that_want_one(authority: Authority) -> None:
    with LoopbackIndex(tls=authority.leaf(), client_ca=str(authority.ca_file)) as index:
        url = index.add("a-1.0.tar.gz", BODY)
        with transport(IndexFlags(cert=authority.ca_file, client_cert=authority.client().combined)) as port:
            assert get(port, url) == BODY
        with transport(IndexFlags(cert=authority.ca_file)) as port, pytest.raises(IndexFault):
            port.open(url)
        with (
            transport(IndexFlags(cert=authority.ca_file, client_cert=authority.ca_file)) as port,
            pytest.raises(UsageError, match="client certificate"),
        ):
            port.open(url)


# ---- broken answers


def test_an_answer_that_breaks_off_is_never_a_short_file() -> None:
    with LoopbackIndex() as index, transport() as port:
        url = index.add("a-1.0.tar.gz", BODY)
        index.fault("a-1.0.tar.gz", truncate_at=1000, claim=len(BODY), times=1)
        with pytest.raises(TransferFault, match="broke off"):
            get(port, url)
        index.fault("a-1.0.tar.gz", claim=len(BODY) + 1, times=1)
        with pytest.raises(TransferFault, match="1 of"):
            get(port, url)
        assert get(port, url) == BODY


def test_an_endless_answer_ends_at_the_limit() -> None:
    with LoopbackIndex() as index, transport() as port:
        url = index.add("a-1.0.tar.gz", b"")
        index.fault("a-1.0.tar.gz", endless=True)
        with port.open(url) as response, pytest.raises(TransferFault, match="longer than"):
            response.read(1 << 20)


@pytest.mark.parametrize("fault", ["body", "headers"])
def test_a_stall_ends_at_the_timeout(fault: str) -> None:
    with LoopbackIndex() as index, transport(IndexFlags(timeout=0.3)) as port:
        url = index.add("a-1.0.tar.gz", BODY)
        index.fault("a-1.0.tar.gz", **({"stall_after": 1000} if fault == "body" else {"delay": 20}))  # type: ignore[arg-type]
        started = time.monotonic()
        with pytest.raises(TransferFault, match=r"0\.3 s"):
            get(port, url)
        assert time.monotonic() - started < 2


def test_a_host_that_is_not_there_is_named_with_the_way_to_it() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number = free.getsockname()[1]
    with transport() as port, pytest.raises(IndexFault, match=f"127.0.0.1:{number}"):
        port.open(f"http://127.0.0.1:{number}/")
    with transport(HTTP_PROXY=f"http://127.0.0.1:{number}") as port, pytest.raises(IndexFault, match=f"proxy http://127.0.0.1:{number}"):
        port.open("http://index.example/")
    with transport() as port, pytest.raises(IndexFault, match="cannot be resolved"):
        port.open("http://no-such-host.invalid/")


def test_offline_opens_no_socket() -> None:
    with LoopbackIndex() as index, transport(offline=True) as port:
        with pytest.raises(Offline, match="--offline"):
            port.open(index.url)
        assert index.connections == 0


@pytest.mark.parametrize("fault", ["body", "headers", "handshake"])
def test_cancelling_ends_a_waiting_read_at_once(fault: str) -> None:
    stop = Cancellation()
    with LoopbackIndex() as index, socket.create_server(("127.0.0.1", 0)) as silent, transport(stop=stop) as port:
        url = index.add("a-1.0.tar.gz", BODY)
        index.fault("a-1.0.tar.gz", **({"stall_after": 1000} if fault == "body" else {"delay": 20}))  # type: ignore[arg-type]
        if fault == "handshake":
            url = f"https://127.0.0.1:{silent.getsockname()[1]}/"
        ended: list[object] = []

        def run() -> None:
            try:
                get(port, url)
            except HardtackError as error:
                ended.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        time.sleep(0.15)
        started = time.monotonic()
        stop.cancel()
        thread.join(5)
        assert time.monotonic() - started < 1
        assert isinstance(ended[0], Cancelled)


def test_local_files_come_through_the_same_port(tmp_path: Path) -> None:
    (tmp_path / "a b+c.whl").write_bytes(BODY)
    (tmp_path / "simple").mkdir()
    (tmp_path / "simple" / "index.html").write_text("<a>")
    with transport(offline=True) as port:
        assert get(port, (tmp_path / "a b+c.whl").as_uri()) == BODY
        assert get(port, (tmp_path / "simple").as_uri() + "/") == b"<a>"
        with port.open((tmp_path / "absent").as_uri()) as response:
            assert response.status == 404


@pytest.mark.skipif(os.name == "nt", reason="the fake keyring is a POSIX script")
def test_the_keyring_is_asked_when_the_server_wants_a_login(tmp_path: Path) -> None:
    program = tmp_path / "keyring"
    program.write_text(
        f"#!{sys.executable}\nimport sys\nopen({str(tmp_path / 'log')!r}, 'a').write('asked\\n')\nprint('me'); print('secret')\n"
    )
    program.chmod(0o755)
    with LoopbackIndex(credentials=("me", "secret")) as index:
        url = index.add("a-1.0.tar.gz", BODY)
        with transport(IndexFlags(index_url=index.url), PATH=str(tmp_path)) as port:
            for _ in range(3):
                assert get(port, url) == BODY
        assert (tmp_path / "log").read_text() == "asked\n"
        assert len(index.requests) == 4, "one refusal, then the login is known"
        with transport(IndexFlags(index_url=index.url, keyring="disabled"), PATH=str(tmp_path)) as port, pytest.raises(IndexDenied):
            port.open(url)


def test_a_host_name_beyond_ascii_is_asked_for_in_its_own_coding() -> None:
    with LoopbackProxy() as proxy, transport(HTTPS_PROXY=proxy.url) as port, pytest.raises(IndexFault):
        port.open("https://bücher.invalid/simple/")
    assert proxy.asked() == ["xn--bcher-kva.invalid:443"]

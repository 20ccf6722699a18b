"""Answers of servers, byte for byte as they come over the wire, that break HTTP/1.1 (RFC 9110, 9112) or bear on patience and memory.

``make`` gives what the server sends for every request. What goes on without end is made by ``GOES_ON``: the server sends the case's bytes,
then these again and again.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from functools import partial

from tests.corpus.case import Case, bad, good

BODY = b'<!DOCTYPE html><html><body><a href="/f/foo-1.0.tar.gz">foo</a></body></html>'
_TYPE = b"Content-Type: text/html\r\n"

GOES_ON: dict[str, bytes] = {
    "answer:headers-endless": b"X-More: " + b"y" * 1000 + b"\r\n",
    "answer:header-line-endless": b"y" * 4096,
    "answer:continue-endless": b"HTTP/1.1 100 Continue\r\n\r\n",
    "answer:body-endless": b"<p>" * 1000,
    "answer:chunks-endless": b"400\r\n" + b"x" * 1024 + b"\r\n",
    "answer:trailers-endless": b"X-More: y\r\n" * 100,
    "answer:status-line-endless": b"1" * 4096,
    "answer:chunk-size-endless": b"0" * 4096,
}


def answers() -> Iterator[Case]:
    """All of them."""
    whole = b"Content-Length: %d\r\n" % len(BODY)
    ok = b"HTTP/1.1 200 OK\r\n"
    packed = gzip.compress(BODY, mtime=0)
    bomb = _bomb()
    for label, reply in (
        ("nothing", b""),
        ("words", b"hello\r\n\r\n"),
        ("another-protocol", b"SSH-2.0-OpenSSH_9.6\r\n"),
        ("old", BODY),
        ("status-words", b"HTTP/1.1 two OK\r\n\r\n"),
        ("status-999999", b"HTTP/1.1 999999 OK\r\n\r\n"),
        ("version", b"HTTP/9.9 200 OK\r\n\r\n"),
        ("headers-many", ok + b"".join(b"X-%d: y\r\n" % n for n in range(300)) + b"\r\n"),
        ("header-line-long", ok + b"X: " + b"y" * 100_000 + b"\r\n\r\n"),
        ("headers-cut", ok + _TYPE),
        ("length-long", ok + _TYPE + b"Content-Length: 9999\r\n\r\n" + BODY),
        ("length-huge", ok + _TYPE + b"Content-Length: %d\r\n\r\n" % (1 << 40) + BODY),
        ("length-endless", ok + _TYPE + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n" + BODY),
        ("length-short", ok + _TYPE + b"Content-Length: 30\r\nConnection: close\r\n\r\n" + BODY),
        ("chunk-words", ok + _TYPE + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n" + BODY),
        ("chunk-cut", ok + _TYPE + b"Transfer-Encoding: chunked\r\n\r\nfff\r\n" + BODY),
        ("chunk-negative", ok + _TYPE + b"Transfer-Encoding: chunked\r\n\r\n-5\r\n" + BODY),
        ("gzip-cut", ok + _TYPE + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % (len(packed) - 5) + packed[:-5]),
        ("gzip-none", ok + _TYPE + b"Content-Encoding: gzip\r\n" + whole + b"\r\n" + BODY),
        ("gzip-crc", ok + _TYPE + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed) + packed[:-8] + bytes(8)),
        ("gzip-bomb", ok + _TYPE + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb) + bomb),
        ("brotli", ok + _TYPE + b"Content-Encoding: br\r\n" + whole + b"\r\n" + BODY),
        ("type", ok + b"Content-Type: text/plain\r\n" + whole + b"\r\n" + BODY),
        ("login-page", ok + _TYPE + b"Content-Length: 35\r\n\r\n<html><form action=/x></form></html>"),
        ("redirect-loop", b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n"),
        ("redirect-nowhere", b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n"),
        ("redirect-file", b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n"),
        ("redirect-brackets", b"HTTP/1.1 302 Found\r\nLocation: http://[/\r\nContent-Length: 0\r\n\r\n"),
        ("redirect-scheme", b"HTTP/1.1 302 Found\r\nLocation: gopher://h/\r\nContent-Length: 0\r\n\r\n"),
        ("redirect-control", b"HTTP/1.1 302 Found\r\nLocation: /a\x01b\r\nContent-Length: 0\r\n\r\n"),
        ("redirect-bytes", b"HTTP/1.1 302 Found\r\nLocation: /\xff\xfe\r\nContent-Length: 0\r\n\r\n"),
        ("500", b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n"),
        ("503-for-ever", b"HTTP/1.1 503 Later\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n"),
        ("403", b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"),
        ("401", b"HTTP/1.1 401 Who\r\nContent-Length: 0\r\n\r\n"),
        ("407", b"HTTP/1.1 407 Proxy\r\nContent-Length: 0\r\n\r\n"),
        ("204", b"HTTP/1.1 204 Nothing\r\n\r\n"),
        ("206", b"HTTP/1.1 206 Part\r\n" + _TYPE + whole + b"\r\n" + BODY),
        ("304", b"HTTP/1.1 304 Same\r\n\r\n"),
        ("418", b"HTTP/1.1 418 Teapot\r\nContent-Length: 0\r\n\r\n"),
        ("headers-endless", ok),
        ("header-line-endless", ok + b"X: "),
        ("continue-endless", b""),
        ("body-endless", ok + _TYPE + b"\r\n<html>"),
        ("chunks-endless", ok + _TYPE + b"Transfer-Encoding: chunked\r\n\r\n"),
        ("trailers-endless", ok + _TYPE + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(BODY) + BODY + b"\r\n0\r\n"),
        ("status-line-endless", b"HTTP/1.1 "),
        ("chunk-size-endless", ok + _TYPE + b"Transfer-Encoding: chunked\r\n\r\n"),
    ):
        yield bad(
            "answer",
            label,
            "no whole answer (RFC 9110, 9112): never a page without files, never a wait or memory without bounds",
            partial(bytes, reply),
        )
    chunked = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (BODY[:7], BODY[7:])) + b"0\r\n\r\n"
    for label, reply in (
        ("plain", ok + _TYPE + whole + b"\r\n" + BODY),
        ("chunked", ok + _TYPE + b"Transfer-Encoding: chunked\r\n\r\n" + chunked),
        ("chunk-extension", ok + _TYPE + b"Transfer-Encoding: chunked\r\n\r\n" + chunked.replace(b"7\r\n", b"7;x=y\r\n", 1)),
        ("until-closed", ok + _TYPE + b"Connection: close\r\n\r\n" + BODY),
        ("http-1.0", b"HTTP/1.0 200 OK\r\n" + _TYPE + b"\r\n" + BODY),
        ("gzip", ok + _TYPE + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed) + packed),
        ("continue", b"HTTP/1.1 100 Continue\r\n\r\n" + ok + _TYPE + whole + b"\r\n" + BODY),
        ("latin-1-header", ok + _TYPE + b"X: caf\xe9\r\n" + whole + b"\r\n" + BODY),
        ("no-reason", b"HTTP/1.1 200\r\n" + _TYPE + whole + b"\r\n" + BODY),
        ("cookies", ok + _TYPE + b"Set-Cookie: a=b\r\nSet-Cookie: c=d\r\n" + whole + b"\r\n" + BODY),
        ("no-type", ok + whole + b"\r\n" + BODY),
    ):
        yield good("answer", label, "a whole answer (RFC 9110, 9112)", partial(bytes, reply))


def _bomb() -> bytes:
    squeezer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join([squeezer.compress(bytes(1 << 20)) for _ in range(96)]) + squeezer.flush()

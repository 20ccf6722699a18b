"""Pages of indexes: HTML (PEP 503, 592, 629, 658, 714) and JSON (PEP 691, 700) that is malformed, hostile or merely odd.

The project is "foo". "aside": the page stands, and the one file on it is not offered; "accept": exactly one file of foo is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from typing import Any

from tests.corpus.case import Case, Level, Verdict

HTML, JSON = "text/html", "application/vnd.pypi.simple.v1+json"
SHA = "a" * 64
_HREF = f"/f/foo-1.0-py3-none-any.whl#sha256={SHA}"


def pages() -> Iterator[Case]:
    """All of them."""
    yield from _html()
    yield from _json()
    yield from _media()


def _case(verdict: Verdict, label: str, reason: str, body: bytes | str, media: str = HTML, level: Level = "must") -> Case:
    data = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body
    level = "control" if verdict == "accept" else level
    return Case(
        id=f"page:{'ok-' if verdict == 'accept' else ''}{label}",
        kind="page",
        level=level,
        verdict=verdict,
        reason=reason,
        make=partial(bytes, data),
        name=media,
    )


def _whole(inner: str) -> str:
    return f"<!DOCTYPE html><html><head></head><body>{inner}</body></html>"


def _link(href: str = _HREF, attributes: str = "", text: str = "foo") -> str:
    return _whole(f'<a href="{href}" {attributes}>{text}</a>')


def _html() -> Iterator[Case]:
    standard = "HTML that is cut short is no page without files (PEP 503)"
    for label, body in (
        ("no-end", "<!DOCTYPE html><html><body>" + f'<a href="{_HREF}">x</a>'),
        ("tag", _link()[:80]),
        ("quote", '<a href="/foo-1.0.tar.gz>x</a>'),
        ("comment", "<!-- " + _link()),
        ("script", "<script>" + _link()),
        ("declaration", "<!DOCTYPE html"),
        ("anchors", "<a " * 100_000),
        ("quotes", "<a href='x\" " * 60_000),
        ("comments", "<!--" * 200_000),
        ("ends", "</" * 300_000),
        ("instructions", "<?" * 300_000),
        ("ends-of-anchors", "</a " * 100_000),
        ("style", "<style>" * 100_000),
        ("nul", _whole("\0")),
        ("utf-16", _link().encode("utf-16")),
        ("form", "<html><form action=/login><input name=password></form></html>"),
        ("base", '<base href="http://[">' + _link()),
        ("base-file", '<base href="file:///etc/">' + _link()),
        ("version", _whole('<meta name="pypi:repository-version" content="2.0">')),
        ("version-words", _whole('<meta name="pypi:repository-version" content="x">')),
        ("version-empty", _whole('<meta name="pypi:repository-version">')),
    ):
        yield _case(
            "refuse",
            f"html-{label}",
            standard if label not in ("base", "base-file") else "a base that is no place on the web (HTML; PEP 503)",
            body,
        )
    for label, href in (
        ("file", "file:///etc/foo-1.0.tar.gz"),
        ("javascript", "javascript:foo-1.0.tar.gz"),
        ("ftp", "ftp://h.example/foo-1.0.tar.gz"),
        ("port", "https://h.example:x/foo-1.0.tar.gz"),
        ("brackets", "http://[::1/foo-1.0.tar.gz"),
        ("other", "/bar-1.0.tar.gz"),
        ("digest-short", "/foo-1.0.tar.gz#sha256=abc"),
        ("digest-empty", "/foo-1.0.tar.gz#sha256="),
        ("up", "/..%2f..%2ffoo-1.0.tar.gz"),
        ("backslash", "/..%5cfoo-1.0.tar.gz"),
        ("nul", "/foo-1.0%00.tar.gz"),
        ("line-feed", "/foo-1.0%0a.tar.gz"),
        ("number", f"/foo-{'9' * 5000}.tar.gz"),
        ("number-wheel", f"/foo-{'9' * 5000}-py3-none-any.whl"),
        ("tags", "/foo-1.0-" + ".".join(f"a{n}" for n in range(2000)) + "-" + ".".join(f"b{n}" for n in range(2000)) + "-any.whl"),
        ("tags-many", "/foo-1.0-" + ".".join(f"a{n}" for n in range(40)) + "-none-" + ".".join(f"b{n}" for n in range(40)) + ".whl"),
        ("dashes", "/" + "-" * 50_000 + ".tar.gz"),
        ("dashes-after-the-name", "/foo" + "-x" * 20_000 + ".tar.gz"),
        ("endless", "/" + "a/" * 60_000 + "foo-1.0.tar.gz"),
        ("no-version", "/foo.tar.gz"),
        ("version", "/foo-latest.tar.gz"),
        ("parts", "/foo-1.0-any.whl"),
        ("escape", "/foo-1.0%1b%5b2J.tar.gz"),
        ("bom", "/foo-1.0%ef%bb%bf.tar.gz"),
        ("control", "/foo-1.0\x1b.tar.gz"),
        ("scheme-less", "//"),
        ("entity", "&#106;avascript:foo-1.0.tar.gz"),
        ("entity-endless", "/foo-1.0&#" + "9" * 5000 + ";.tar.gz"),
        ("empty", ""),
        ("fragment", "#foo-1.0.tar.gz"),
    ):
        yield _case("aside", f"href-{label}", "a link that is none, or whose name is no file of foo (PEP 503, 625, 427)", _link(href))
    yield _case(
        "aside",
        "html-two-hrefs",
        "two addresses: browsers take the first, Python's parser the last (HTML)",
        _whole('<a href="/foo-1.0.tar.gz" href="https://evil.example/foo-1.0.tar.gz">x</a>'),
    )
    yield _case(
        "aside",
        "base-control",
        "a base with what a terminal obeys (RFC 3986)",
        '<base href="https://cdn\x1b.example/">' + _link("foo-1.0.tar.gz"),
    )
    yield _case("aside", "html-in-a-comment", "a link in a comment is none", _whole(f'<!-- <a href="{_HREF}">x</a> -->'), level="should")
    yield _case(
        "aside", "html-in-a-script", "a link in a script is none", _whole(f"<script>'<a href=\"{_HREF}\">'</script>"), level="should"
    )
    yield _case(
        "aside",
        "html-in-an-attribute",
        "a link in an attribute's value is none",
        _whole(f"<p title='<a href=\"{_HREF}\">'>x</p>"),
        level="should",
    )
    for label, body in (
        ("plain", _link()),
        ("upper-case", _link().replace("<a", "<A").replace("href", "HREF")),
        ("single-quotes", _link().replace('"', "'")),
        ("no-quotes", f"<html><a href={_HREF}>x</a></html>"),
        ("spaces", f'<html><a  href = "{_HREF}"\n>x</a ></html >'),
        ("no-html", f'<a href="{_HREF}">x</a>'),
        ("entity", _link("/f/foo-1.0&#45;py3-none-any.whl")),
        ("ampersand", _link("/f?a=1&amp;b=2/foo-1.0.tar.gz".replace("?", "%3F"))),
        ("yanked", _link(attributes="data-yanked")),
        ("yanked-reason", _link(attributes='data-yanked="\x1b[2J bad"')),
        ("python", _link(attributes='data-requires-python="&gt;=3.8"')),
        ("python-nonsense", _link(attributes='data-requires-python="three"')),
        ("python-number", _link(attributes=f'data-requires-python="&gt;={"9" * 5000}"')),
        ("metadata", _link(attributes=f'data-core-metadata="sha256={SHA}"')),
        ("gpg", _link(attributes='data-gpg-sig="true"')),
        ("base", '<base href="https://cdn.example/">' + _link()),
        ("two-bases", '<base href="https://cdn.example/"><base href="http://[">' + _link()),
        ("unknown-tags", _whole(f'<blink/><a href="{_HREF}"/>x')),
        ("text", _link(text="<b>foo</b> > 1 & more <")),
        ("bom", "\ufeff" + _link()),
        ("latin-1-text", _link(text="caf\udce9")),
        ("comment", _whole(f'<!-- a > b -- c --><a href="{_HREF}">x</a>')),
        ("short-comment", _whole(f'<!--><a href="{_HREF}">x</a>')),
        ("script-before", _whole(f'<script>if (a<b) x("</p>")</script><a href="{_HREF}">x</a>')),
        ("many-attributes", _link(attributes=" ".join(f"data-x{n}=y" for n in range(3000)))),
        ("version", f'<meta name="pypi:repository-version" content="1.9">{_link()}'),
        ("doctype", '<!DOCTYPE html PUBLIC "-//W3C//DTD">' + _link()[15:]),
        ("sdist-old-dash", _link("/foo-1.0-1.tar.gz")),
        ("big", _link(text="x" * 3_000_000)),
    ):
        yield _case("accept", f"html-{label}", "a page as indexes, proxies and people write them (PEP 503, HTML)", body)


def _row(**change: Any) -> dict[str, Any]:
    return {"filename": "foo-1.0-py3-none-any.whl", "url": "/f/foo-1.0-py3-none-any.whl", "hashes": {"sha256": SHA}, **change}


def _page(*rows: Any, **change: Any) -> str:
    return json.dumps({"meta": {"api-version": "1.1"}, "name": "foo", "files": list(rows), **change})


def _json() -> Iterator[Case]:
    plain = _page(_row())
    for label, body in (
        ("cut", plain[:-2]),
        ("empty", ""),
        ("null", "null"),
        ("list", "[]"),
        ("number", "1"),
        ("no-files", '{"meta": {"api-version": "1.0"}}'),
        ("files-object", _page(files={})),
        ("version-2", _page(meta={"api-version": "2.0"})),
        ("version-words", _page(meta={"api-version": "x"})),
        ("other-name", _page(_row(), name="bar")),
        ("other-name-control", _page(_row(), name="bar\x1b[2J")),
        ("deep", "[" * 200_000),
        ("deep-objects", '{"a":' * 200_000),
        ("number-endless", plain.replace('"files"', '"x": ' + "9" * 5000 + ', "files"')),
        ("nan", plain.replace('"files"', '"x": NaN, "files"')),
        ("infinity", plain.replace('"files"', '"x": -Infinity, "files"')),
        ("key-twice", plain.replace('"files"', '"files": [], "files"')),
        ("url-twice", plain.replace('"url"', '"url": "https://evil.example/x", "url"')),
        ("digest-twice", plain.replace('"sha256"', f'"sha256": "{"b" * 64}", "sha256"')),
        ("surrogate", plain.replace("foo-1.0-", "foo-1.0\\ud800-")),
        ("surrogate-url", plain.replace("/f/", "/f\\udfff/")),
        ("millions", '{"files": [' + "[]," * 3_100_000 + "0]}"),
        ("trailing", plain + "x"),
        ("two", plain + plain),
        ("comments", "/* x */" + plain),
        ("single-quotes", plain.replace('"', "'")),
        ("utf-16", plain.encode("utf-16")),
        ("latin-1", plain.replace("foo", "fo\u00e9").encode("latin-1") if False else b'{"files": ["\xe9"]}'),
        ("html", _link()),
        ("nul", "\0" + plain),
        ("raw-surrogate", b'{"files": ["\xed\xa0\x80"]}'),
    ):
        yield _case(
            "refuse", f"json-{label}", "no JSON that every reader understands the same (RFC 8259), or no project page (PEP 691)", body, JSON
        )
    for label, row in (
        ("name-number", _row(filename=3)),
        ("name-none", _row(filename=None)),
        ("url-number", _row(url=3)),
        ("url-none", _row(url=None)),
        ("url-file", _row(url="file:///etc/foo-1.0-py3-none-any.whl")),
        ("url-brackets", _row(url="http://[")),
        ("url-control", _row(url="/f/\x00foo")),
        ("digest-short", _row(hashes={"sha256": "abc"})),
        ("digest-words", _row(hashes={"sha256": "g" * 64})),
        ("name-up", _row(filename="../foo-1.0-py3-none-any.whl")),
        ("name-slash", _row(filename="x/foo-1.0-py3-none-any.whl")),
        ("name-line", _row(filename="foo-1.0-py3-none-any\n.whl")),
        ("name-other", _row(filename="bar-1.0-py3-none-any.whl")),
        ("name-right-to-left", _row(filename="foo-1.0-py3-none-any\u202e.whl")),
        ("name-endless", _row(filename="foo-" + "1." * 40_000 + "0.tar.gz")),
        ("row-list", [1, 2]),
        ("row-text", "foo-1.0.tar.gz"),
        ("row-null", None),
    ):
        yield _case("aside", f"json-{label}", "a file that cannot be what it says, among others that can (PEP 691)", _page(row), JSON)
    for label, body in (
        ("plain", plain),
        ("bom", b"\xef\xbb\xbf" + plain.encode()),
        ("hashes-none", _page(_row(hashes={}))),
        ("hashes-other", _page(_row(hashes={"md5": "x"}))),
        ("hashes-list", _page(_row(hashes=[]))),
        ("size-negative", _page(_row(size=-1))),
        ("size-words", _page(_row(size="12"))),
        ("size-true", _page(_row(size=True))),
        ("size-huge", _page(_row(size=10**4000))),
        ("yanked", _page(_row(yanked=True))),
        ("yanked-control", _page(_row(yanked="\x1b]0;x\x07"))),
        ("yanked-number", _page(_row(yanked=3))),
        ("metadata", _page(_row(**{"core-metadata": {"sha256": SHA}}))),
        ("metadata-words", _page(_row(**{"core-metadata": "x"}))),
        ("python-nonsense", _page(_row(**{"requires-python": "three"}))),
        ("python-number", _page(_row(**{"requires-python": 3}))),
        ("time-words", _page(_row(**{"upload-time": "yesterday\x1b"}))),
        ("status", _page(_row(), **{"project-status": {"status": "archived"}})),
        ("status-words", _page(_row(), **{"project-status": "archived"})),
        ("meta-none", _page(_row(), meta=None)),
        ("name-none", _page(_row(), name=None)),
        ("versions", _page(_row(), versions=["1.0"])),
        ("unknown", _page(_row(_new={"x": [1]}), _more=1)),
        ("astral", _page(_row(), note="\U0001f600")),
        ("other-rows", _page(_row(), {"filename": 3}, None, "x")),
    ):
        yield _case("accept", f"json-{label}", "a page with fields that are new, absent or odd (PEP 691, 700, 714)", body, JSON)


def _media() -> Iterator[Case]:
    for label, media in (
        ("plain", "text/plain"),
        ("binary", "application/octet-stream"),
        ("pdf", "application/pdf"),
        ("wheel", "application/zip"),
        ("image", "image/png"),
    ):
        yield _case("refuse", f"media-{label}", "no type of an index page (PEP 691)", _link(), media)
    for charset in (
        "utf-8",
        "UTF-8",
        "iso-8859-1",
        "windows-1252",
        "us-ascii",
        "idna",
        "punycode",
        "undefined",
        "unicode_escape",
        "utf-7",
        "zlib",
        "rot13",
        "nonsense",
        "utf-16",
        "cp037",
        "x" * 300,
    ):
        yield _case(
            "accept",
            f"charset-{charset[:20]}",
            "of a name that Python gives to what is no encoding of the web, UTF-8 is taken (HTML)",
            _link(),
            f"text/html; charset={charset}",
        )
    for label, media in (
        ("parameters", "text/html;charset=utf-8;x=y"),
        ("xhtml", "application/xhtml+xml"),
        ("none", ""),
        ("v1-html", "application/vnd.pypi.simple.v1+html"),
    ):
        yield _case("accept", f"media-{label}", "types of index pages (PEP 503, 691)", _link(), media)
    yield _case("accept", "media-json", "JSON under its general name", _page(_row()), "application/json; charset=utf-8")

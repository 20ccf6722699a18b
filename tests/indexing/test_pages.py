"""Pages as the standards write them (PEP 503, 592, 629, 658, 691, 700, 714, 792), and pages that are none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from hardtack.errors import IndexFault
from hardtack.indexing.pages import flat_pages, folder_links, project_page, read_links
from hardtack.model.index import IndexFile, ProjectPage

URL = "https://index.example/simple/foo/"
SHA = "a" * 64
META = "b" * 64


def html_page(body: str, *, name: str = "foo", url: str = URL, media: str = "text/html") -> ProjectPage:
    return project_page(read_links(body.encode(), media=media, url=url), name=name, index="i")


def json_page(row: dict[str, Any], **more: Any) -> ProjectPage:
    page = {"meta": {"api-version": "1.1"}, "name": "foo", "files": [row], **more}
    return project_page(read_links(json.dumps(page).encode(), media="application/vnd.pypi.simple.v1+json", url=URL), name="foo", index="i")


def only(page: ProjectPage) -> IndexFile:
    (files,) = page.files.values()
    (file,) = files
    return file


def test_both_forms_say_the_same() -> None:
    html = html_page(
        '<!DOCTYPE html><html><head><meta name="pypi:repository-version" content="1.3">'
        '<meta name="pypi:project-status" content="archived"></head><body>'
        f'<a href="../../files/foo-1.0-py3-none-any.whl#sha256={SHA}" data-requires-python="&gt;=3.8" data-yanked="bad &amp; old" '
        f'data-core-metadata="sha256={META}">foo-1.0-py3-none-any.whl</a></body></html>'
    )
    row = {
        "filename": "foo-1.0-py3-none-any.whl",
        "url": "../../files/foo-1.0-py3-none-any.whl",
        "hashes": {"sha256": SHA},
        "requires-python": ">=3.8",
        "yanked": "bad & old",
        "core-metadata": {"sha256": META},
    }
    expected = IndexFile(
        filename="foo-1.0-py3-none-any.whl",
        url="https://index.example/files/foo-1.0-py3-none-any.whl",
        index="i",
        sha256=SHA,
        requires_python=SpecifierSet(">=3.8"),
        yanked="bad & old",
        metadata_sha256=META,
    )
    assert only(html) == only(json_page(row)) == expected
    assert html.status == json_page(row, **{"project-status": {"status": "archived"}}).status == "archived"
    assert only(json_page({**row, "size": 12, "upload-time": "2024-01-01T00:00:00Z"})).size == 12


@pytest.mark.parametrize(
    ("attribute", "expected"),
    [
        ("", None),
        ('data-dist-info-metadata="true"', ""),
        ("data-dist-info-metadata", ""),
        ('data-core-metadata="false"', None),
        (f'data-core-metadata="sha256={META}" data-dist-info-metadata="false"', META),
        (f'data-dist-info-metadata="sha256={META}"', META),
        (f'data-core-metadata="sha512={META}"', ""),
    ],
)
def test_metadata_attributes(attribute: str, expected: str | None) -> None:
    assert only(html_page(f'<a href="/foo-1.0-py3-none-any.whl" {attribute}>x</a>')).metadata_sha256 == expected


@pytest.mark.parametrize(("said", "expected"), [(False, None), (True, ""), ("why", "why"), (None, None)])
def test_yanked_in_json(said: object, expected: str | None) -> None:
    assert only(json_page({"filename": "foo-1.0.tar.gz", "url": "/foo-1.0.tar.gz", "hashes": {}, "yanked": said})).yanked == expected


def test_yanked_without_a_reason_in_html() -> None:
    assert only(html_page('<a href="/foo-1.0.tar.gz" data-yanked>x</a>')).yanked == ""


@pytest.mark.parametrize("fragment", ["", "#md5=abc", "#sha512=abc", "#egg=foo"])
def test_only_sha256_is_a_digest(fragment: str) -> None:
    file = only(html_page(f'<a href="/foo-1.0.tar.gz{fragment}">x</a>'))
    assert file.sha256 is None and file.url == "https://index.example/foo-1.0.tar.gz"


@pytest.mark.parametrize("digest", ["sha256=abc", "sha256=", "sha256=" + "g" * 64])
def test_a_digest_that_is_none_does_not_become_no_digest(digest: str) -> None:
    assert html_page(f'<a href="/foo-1.0.tar.gz#{digest}">x</a>').unreadable == ("foo-1.0.tar.gz",)


@pytest.mark.parametrize(
    ("page", "href", "expected"),
    [
        ("https://h.example/a/simple/foo/", "foo-1.0.tar.gz", "https://h.example/a/simple/foo/foo-1.0.tar.gz"),
        ("https://h.example/a/simple/foo/", "/foo-1.0.tar.gz", "https://h.example/foo-1.0.tar.gz"),
        ("https://h.example/a/", "//cdn.example/foo-1.0.tar.gz", "https://cdn.example/foo-1.0.tar.gz"),
        ("https://h.example/a/", "https://u:p@cdn.example/foo-1.0.tar.gz", "https://cdn.example/foo-1.0.tar.gz"),
        ("https://h.example/a/", "x%2By/foo-1.0%2Bcu12.tar.gz", "https://h.example/a/x%2By/foo-1.0%2Bcu12.tar.gz"),
        ("file:///a/simple/foo/index.html", "../../f/foo-1.0.tar.gz", "file:///a/f/foo-1.0.tar.gz"),
    ],
)
def test_links_become_absolute_and_lose_their_login(page: str, href: str, expected: str) -> None:
    assert only(html_page(f'<a href="{href}">x</a>', url=page)).url == expected


def test_a_base_moves_relative_links() -> None:
    assert (
        only(html_page('<head><base href="/mirror/"></head><a href="foo-1.0.tar.gz">x</a>')).url
        == "https://index.example/mirror/foo-1.0.tar.gz"
    )


@pytest.mark.parametrize(
    "href", ["file:///etc/foo-1.0.tar.gz", "javascript:foo-1.0.tar.gz", "ftp://h.example/foo-1.0.tar.gz", "https://h:x/foo-1.0.tar.gz"]
)
def test_links_that_a_page_may_not_make_are_not_followed(href: str) -> None:
    assert html_page(f'<a href="{href}">foo-1.0.tar.gz</a>').files == {}
    page = json_page({"filename": "foo-1.0.tar.gz", "url": href, "hashes": {}})
    assert page.files == {} and page.unreadable == ("foo-1.0.tar.gz",)


@pytest.mark.parametrize(
    ("filename", "version"),
    [
        ("foo-1.0-py3-none-any.whl", "1.0"),
        ("Foo-1.0-1-cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64.whl", "1.0"),
        ("foo-1!2.0.post1.tar.gz", "1!2.0.post1"),
        ("FOO-1.0.zip", "1.0"),
        ("foo-1.0+cu128-py3-none-any.whl", "1.0+cu128"),
        ("foo-1.0-1.tar.gz", "1.0.post1"),
        ("foo-1.0-py3.whl", None),
        ("foo-latest.tar.gz", None),
        ("bar-1.0.tar.gz", None),
        ("foo-bar-1.0.tar.gz", None),
        ("foo-1.0-py2.7.egg", None),
        ("foo-1.0.win32.exe", None),
        ("foo-1.0.tar.bz2", None),
    ],
)
def test_file_names(filename: str, version: str | None) -> None:
    page = html_page(f'<a href="/{filename}">x</a>')
    assert list(page.files) == ([Version(version)] if version else [])
    assert page.unreadable == (() if version else (filename,))


@pytest.mark.parametrize(
    "filename", ["../foo-1.0.tar.gz", "a/foo-1.0.tar.gz", "..\\foo-1.0.tar.gz", "foo-1.0\n.tar.gz", "foo-1.0-py3-none-any/../x.whl"]
)
def test_names_that_would_leave_a_folder_are_kept_aside(filename: str) -> None:
    page = json_page({"filename": filename, "url": "/foo-1.0.tar.gz", "hashes": {}})
    assert page.files == {} and page.unreadable == (filename,)


@pytest.mark.parametrize(
    ("body", "media"),
    [
        ("{", "application/vnd.pypi.simple.v1+json"),
        ("[" * 100_000, "application/json"),
        ("[]", "application/json"),
        ('{"files": {}}', "application/json"),
        ('{"meta": {"api-version": "2.0"}, "files": []}', "application/json"),
        ('{"meta": {"api-version": "x"}, "files": []}', "application/json"),
        ('{"meta": {"api-version": "1.0"}, "name": "bar", "files": []}', "application/json"),
        ('<meta name="pypi:repository-version" content="2.0">', "text/html"),
        ('<!DOCTYPE html><html><body><a href="/foo-1.0.tar.gz">', "text/html"),
        ('<html><form action="/login"><input name="password"></form></html>', "text/html"),
        ("not found", "text/plain"),
        ("\x00", "application/octet-stream"),
    ],
)
def test_what_is_no_page_is_never_an_empty_project(body: str, media: str) -> None:
    with pytest.raises(IndexFault):
        html_page(body, media=media)


def test_an_empty_project_is_a_page() -> None:
    assert html_page("<!DOCTYPE html><html><body></body></html>").files == {}


def test_an_unreadable_requires_python_excludes_nothing() -> None:
    assert only(html_page('<a href="/foo-1.0.tar.gz" data-requires-python="3.x please">x</a>')).requires_python is None


@settings(max_examples=150, deadline=None)
@given(
    st.one_of(
        st.binary(max_size=300),
        st.text(alphabet="<>a href=\"'#&/-.!ws[]{}:0123\n", max_size=300).map(lambda text: b"<a href=" + text.encode()),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=10),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["files", "meta", "name", "url", "filename", "hashes", "size", "yanked", "core-metadata"]), inner
                )
            ),
            max_leaves=12,
        ).map(lambda value: json.dumps({"files": [value], "meta": {"api-version": "1.0"}}).encode()),
    ),
    st.sampled_from(["text/html", "application/json", "text/html; charset=nonsense"]),
)
def test_whatever_a_server_sends_is_a_page_or_an_index_fault(data: bytes, media: str) -> None:
    try:
        page = project_page(read_links(data, media=media, url=URL), name="foo", index="i")
    except IndexFault:
        return
    assert all(file.url.startswith(("http://", "https://")) for files in page.files.values() for file in files)


def test_a_flat_folder(tmp_path: Path) -> None:
    for name in (
        "Foo_Bar-1.0-py3-none-any.whl",
        "foo-bar-0.9.tar.gz",
        "foo_bar-1.1.zip",
        "notes.txt",
        "foo_bar-1.0-py3-none-any.whl.metadata",
    ):
        (tmp_path / name).write_bytes(b"12345")
    (tmp_path / "sub.whl").mkdir()
    pages = flat_pages(folder_links(tmp_path), index="flat")
    page = project_page(pages["foo-bar"], name="foo-bar", index="flat")
    assert sorted(str(version) for version in page.files) == ["0.9", "1.0", "1.1"]
    file = page.files[Version("1.0")][0]
    assert file.size == 5 and file.url == (tmp_path / "Foo_Bar-1.0-py3-none-any.whl").as_uri()


def test_a_page_of_many_links_is_read_in_good_time() -> None:
    import time

    body = "".join(f'<a href="/foo-{number}.0.tar.gz#sha256={SHA}">x</a>\n' for number in range(20_000))
    started = time.monotonic()
    assert len(html_page(body).files) == 20_000
    assert time.monotonic() - started < 10

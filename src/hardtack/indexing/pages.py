"""What indexes write, read: PEP 503 HTML, PEP 691 JSON, flat pages and folders. Pure but for the folder."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from hardtack.errors import IndexFault, UsageError
from hardtack.indexing.address import origin, take_apart
from hardtack.indexing.html_tags import Tag, tags_of_page
from hardtack.model.index import IndexFile, ProjectPage
from hardtack.system.documents import json_of

ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
PAGE_LIMIT = 64 * 1024 * 1024
_MOST_LINKS = 500_000
_SDISTS = (".tar.gz", ".zip")
_OTHERS = (".egg", ".exe", ".msi", ".rpm", ".deb", ".dmg", ".tar.bz2", ".tar.xz", ".tar.Z", ".tgz", ".tar")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LARGEST = 1 << 50
_LONGEST_NAME, _LONGEST_VERSION, _LONGEST_SPECIFIER, _LONGEST_REASON, _LONGEST_URL = 1000, 256, 4096, 1000, 65_536
_MOST_TAGS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One file as a page names it, not yet judged. ``sha256``: as written; ``metadata``: the digest of its metadata file, "" or None."""

    url: str
    filename: str
    sha256: str | None = None
    size: int | None = None
    requires_python: str | None = None
    yanked: str | None = None
    metadata: str | None = None
    upload_time: str | None = None


@dataclass(slots=True, kw_only=True)
class Links:
    """All that a page says."""

    links: list[Link] = field(default_factory=list)
    status: str | None = None
    name: str | None = None


def read_links(data: bytes, *, media: str, url: str) -> Links:
    """Read a page. ``media`` is its Content-Type, ``url`` its own URL. Raises IndexFault for what is no page of an index."""
    kind = media.partition(";")[0].strip().lower()
    if kind.endswith("json"):
        return _read_json(data, url)
    if kind in ("text/html", "application/vnd.pypi.simple.v1+html", "application/xhtml+xml", ""):
        return _read_html(data, media, url)
    raise IndexFault(f"answered with {kind!r}, which is no page of a package index", hint="is this the URL of a simple index (PEP 503)?")


def project_page(found: Links, *, name: str, index: str) -> ProjectPage:
    """The links of one project, by version. What cannot be read as a file of this project is kept aside by name."""
    if found.name is not None and canonicalize_name(found.name) != name:
        raise IndexFault(f"the page of {name} says that it is the page of {found.name[:200]!r}")
    files: dict[Version, list[IndexFile]] = {}
    unreadable = []
    for link in found.links:
        read = file_of(link, index)
        if read is None or read[0] != name:
            version = _legacy_version(link.filename, name)
            read = (name, version, made) if version is not None and (made := _file(link, index)) is not None else None
        if read is None:
            unreadable.append(link.filename)
        else:
            files.setdefault(read[1], []).append(read[2])
    return ProjectPage(
        name=name,
        index=index,
        files={version: tuple(files[version]) for version in sorted(files)},
        status=found.status,
        unreadable=tuple(dict.fromkeys(unreadable)),
    )


def flat_pages(links: Iterable[Link], *, index: str) -> Mapping[str, Links]:
    """The links of a flat place, by project, as far as their names tell."""
    pages: dict[str, Links] = {}
    for link in links:
        read = file_of(link, index)
        if read is not None:
            pages.setdefault(read[0], Links()).links.append(link)
    return pages


def folder_links(folder: Path) -> list[Link]:
    """The archives that lie in a folder itself, in the order of their names. Sizes are the files' own."""
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", where=str(folder), hint="it is named in find-links") from None
    return [
        Link(url=entry.absolute().as_uri(), filename=entry.name, size=entry.stat().st_size)
        for entry in entries
        if entry.name.endswith((".whl", *_SDISTS)) and entry.is_file()
    ]


def file_of(link: Link, index: str) -> tuple[str, Version, IndexFile] | None:
    """(project, version, file) of a link whose name says so by the standards; None where it does not."""
    name = link.filename
    if len(name) > _LONGEST_NAME:
        return None
    try:
        if name.endswith(".whl"):
            if math.prod(part.count(".") + 1 for part in name.split("-")[-3:]) > _MOST_TAGS or len(name.split("-")[1]) > _LONGEST_VERSION:
                return None
            project, version, _, _ = parse_wheel_filename(name)
        else:
            stem = _stem(name)
            head, dash, tail = stem.rpartition("-") if stem else ("", "", "")
            if not dash or not head:
                return None
            project, version = canonicalize_name(head), _version(tail)
    except (InvalidWheelFilename, InvalidVersion, IndexError):
        return None
    made = _file(link, index)
    return (project, version, made) if made is not None else None


def _legacy_version(filename: str, name: str) -> Version | None:
    """The version of an sdist whose name has its dash elsewhere ("foo-1.0-beta1.tar.gz"), knowing the project."""
    stem = (_stem(filename) or "") if len(filename) <= _LONGEST_NAME else ""
    for position, character in enumerate(stem):
        if character == "-" and canonicalize_name(stem[:position]) == name:
            try:
                return _version(stem[position + 1 :])
            except InvalidVersion:
                continue
    return None


def _version(text: str) -> Version:
    """A version of bounded length: Python refuses to read numbers of thousands of digits, and does so only when versions are compared."""
    if len(text) > _LONGEST_VERSION:
        raise InvalidVersion(text[:100])
    return Version(text)


def _stem(filename: str) -> str | None:
    suffix = next((suffix for suffix in _SDISTS if filename.endswith(suffix)), None)
    return filename.removesuffix(suffix) if suffix else None


def _file(link: Link, index: str) -> IndexFile | None:
    if re.search(r"[/\\]", link.filename) or not link.filename.isprintable() or urlsplit(link.url).scheme not in ("http", "https", "file"):
        return None
    if link.sha256 is not None and not _SHA256.fullmatch(link.sha256.lower()):
        # A digest that is none must not turn into "no digest stated".
        return None
    metadata = link.metadata
    if metadata and not _SHA256.fullmatch(metadata.lower()):
        metadata = None
    return IndexFile(
        filename=link.filename,
        url=link.url,
        index=index,
        sha256=link.sha256.lower() if link.sha256 else None,
        size=link.size,
        requires_python=_specifier(link.requires_python),
        yanked=link.yanked,
        metadata_sha256=metadata.lower() if metadata else metadata,
        upload_time=link.upload_time,
    )


def _specifier(text: str | None) -> SpecifierSet | None:
    """An unreadable Requires-Python excludes nothing, as in pip; the wheel's own METADATA is judged later."""
    if not text or len(text) > _LONGEST_SPECIFIER or re.search(r"[0-9]{200}", text):
        return None
    try:
        return SpecifierSet(text)
    except InvalidSpecifier:
        return None


def _check_version(text: object) -> None:
    """PEP 629: a major version that one does not know is refused."""
    match = re.match(r"(\d+)\.", f"{text}.")
    if match is None or match[1] != "1":
        raise IndexFault(f"speaks version {str(text)[:20]!r} of the simple API; this hardtack knows 1.x", hint="is there a newer hardtack?")


def _resolved(page: str, href: str) -> tuple[str, str, str] | None:
    """(absolute URL without login and fragment, file name, fragment) of a link; None for what a page may not link to."""
    if len(href) > _LONGEST_URL or not href.isprintable():
        href = href[: _LONGEST_URL + 1].strip()
        if len(href) > _LONGEST_URL or not href.isprintable():
            return None
    try:
        absolute, _, fragment = urljoin(page, href.strip()).partition("#")
        url = take_apart(absolute).url
        origin(url)
    except (ValueError, UsageError):
        return None
    parts = urlsplit(url)
    if not url.isprintable():
        return None
    if parts.scheme == "file" and urlsplit(page).scheme != "file":
        return None
    return url, unquote(parts.path.rpartition("/")[2]), fragment


# ---- PEP 691


def _read_json(data: bytes, url: str) -> Links:
    try:
        page = json_of(data)
    except ValueError as error:
        why = str(error).partition(";")[0]
        raise IndexFault(f"answered with JSON that is broken: {why}", hint="try again; the page may have been cut short") from None
    if not isinstance(page, dict) or not isinstance(page.get("files"), list):
        raise IndexFault("answered with JSON that is no project page (PEP 691)")
    meta = page.get("meta")
    _check_version(meta.get("api-version", "1.0") if isinstance(meta, dict) else "1.0")
    found = Links(name=page["name"] if isinstance(page.get("name"), str) else None)
    status = page.get("project-status")
    if isinstance(status, dict) and isinstance(status.get("status"), str):
        found.status = _word(status["status"])
    if len(page["files"]) > _MOST_LINKS:
        raise IndexFault(f"lists more than {_MOST_LINKS} files in one page")
    for row in page["files"]:
        link = _json_link(row, url) if isinstance(row, dict) else None
        if link is not None:
            found.links.append(link)
    return found


def _json_link(row: Mapping[str, Any], page: str) -> Link | None:
    filename, href = row.get("filename"), row.get("url")
    if not isinstance(filename, str) or not isinstance(href, str):
        return None
    resolved = _resolved(page, href)
    hashes = row.get("hashes")
    digest = hashes.get("sha256") if isinstance(hashes, dict) else None
    size = row.get("size")
    metadata = row.get("core-metadata", row.get("dist-info-metadata"))
    yanked = row.get("yanked")
    return Link(
        # A link that may not be followed stays in sight, among the unreadable.
        url=resolved[0] if resolved else "refused:",
        filename=filename,
        sha256=digest if isinstance(digest, str) else None,
        size=size if isinstance(size, int) and not isinstance(size, bool) and 0 <= size < _LARGEST else None,
        requires_python=_text(row.get("requires-python")),
        yanked=_words(yanked) if isinstance(yanked, str) and yanked else "" if yanked is True else None,
        metadata=_text(metadata.get("sha256")) or "" if isinstance(metadata, dict) else "" if metadata is True else None,
        upload_time=_word(row.get("upload-time")),
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _word(value: object) -> str | None:
    """A short text for programs; None for what is none."""
    return value if isinstance(value, str) and value.isprintable() and len(value) <= 100 else None


def _words(text: str) -> str:
    """A text for people, on one line, without what a terminal would obey."""
    return "".join(character if character.isprintable() else " " for character in text[:_LONGEST_REASON])


# ---- PEP 503

_READ = frozenset({"href", "data-requires-python", "data-yanked", "data-core-metadata", "data-dist-info-metadata"})
# What HTML calls the encodings that pages are written in. Python knows more, and some of those run for ever or mean something else.
_CHARSETS = {
    "utf-8": "utf-8", "utf8": "utf-8", "us-ascii": "ascii", "ascii": "ascii", "iso-8859-1": "cp1252", "latin1": "cp1252",
    "latin-1": "cp1252", "windows-1252": "cp1252",
}  # fmt: skip


class _Reader:
    def __init__(self, url: str) -> None:
        self._page = self._base = url
        self.found = Links()
        self.anchors = 0
        self.opened = self.ended = self.form = self.moved = False

    def tag(self, tag: Tag) -> None:
        if tag.ends:
            self.ended = self.ended or tag.name == "html"
        elif tag.name == "a":
            self._anchor(tag)
        elif tag.name == "base":
            self._move(dict(tag.attributes).get("href"))
        elif tag.name == "meta":
            said = dict(tag.attributes)
            if said.get("name") == "pypi:repository-version":
                _check_version(said.get("content"))
            elif said.get("name") == "pypi:project-status":
                self.found.status = _word(said.get("content"))
        elif tag.name == "html":
            self.opened = True
        elif tag.name == "form":
            self.form = True

    def _move(self, href: str | None) -> None:
        """The first base that names a place is the one that counts (HTML)."""
        if not href or self.moved:
            return
        try:
            self._base = urljoin(self._page, href)
            origin(self._base)
        except (ValueError, UsageError):
            raise IndexFault("answered with a page whose <base> is no URL") from None
        if urlsplit(self._base).scheme == "file" and urlsplit(self._page).scheme != "file":
            raise IndexFault("answered with a page whose <base> is a local file")
        self.moved = True

    def _anchor(self, tag: Tag) -> None:
        names = [name for name, _ in tag.attributes if name in _READ]
        said = dict(tag.attributes)
        href = said.get("href")
        if not href:
            return
        self.anchors += 1
        if self.anchors > _MOST_LINKS:
            raise IndexFault(f"lists more than {_MOST_LINKS} files in one page")
        resolved = _resolved(self._base, href)
        if resolved is None:
            return
        url, filename, fragment = resolved
        if not filename.endswith((".whl", *_SDISTS, *_OTHERS)):
            return
        algorithm, equals, digest = fragment.partition("&")[0].partition("=")
        metadata = said.get("data-core-metadata", said.get("data-dist-info-metadata", "false"))
        kind, _, metadata_digest = (metadata or "true").partition("=")
        self.found.links.append(
            Link(
                # Of an attribute that stands there twice, browsers take the first and Python's parser the last.
                url=url if len(names) == len(set(names)) else "refused:",
                filename=filename,
                sha256=digest if algorithm == "sha256" and equals else None,
                requires_python=said.get("data-requires-python"),
                yanked=_words(said["data-yanked"] or "") if "data-yanked" in said else None,
                metadata=None if kind == "false" else metadata_digest if kind == "sha256" else "",
            )
        )


def _read_html(data: bytes, media: str, url: str) -> Links:
    charset = re.search(r"charset=[\"']?([\w-]{1,40})", media, re.IGNORECASE)
    text = data.decode(_CHARSETS.get(charset[1].lower(), "utf-8") if charset else "utf-8", "replace")
    if text.count("\0"):
        raise IndexFault("answered with a page that holds NUL bytes, which no HTML does")
    reader = _Reader(url)
    seen = False
    try:
        for tag in tags_of_page(text):
            reader.tag(tag)
            seen = True
    except ValueError as error:
        raise IndexFault(f"answered with a page that is cut short: {error}", hint="try again") from None
    if not seen:
        raise IndexFault("answered with a page that has nothing on it", hint="try again; a project without files has a page, too (PEP 503)")
    if reader.opened and not reader.ended:
        raise IndexFault("answered with a page that is cut short", hint="try again")
    if reader.form and not reader.anchors:
        raise IndexFault(
            "answered with a form instead of a project page",
            hint="a proxy or a login page may stand in between; is this the URL of a simple index?",
        )
    return reader.found

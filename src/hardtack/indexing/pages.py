"""What indexes write, read: PEP 503 HTML, PEP 691 JSON, flat pages and folders. Pure but for the folder."""

from __future__ import annotations

import html.parser
import json
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
from hardtack.model.index import IndexFile, ProjectPage

ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
PAGE_LIMIT = 64 * 1024 * 1024
_MOST_LINKS = 500_000
_SDISTS = (".tar.gz", ".zip")
_OTHERS = (".egg", ".exe", ".msi", ".rpm", ".deb", ".dmg", ".tar.bz2", ".tar.xz", ".tar.Z", ".tgz", ".tar")
_SHA256 = re.compile(r"[0-9a-f]{64}")


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
        raise IndexFault(f"the page of {name} says that it is the page of {found.name}")
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
    try:
        if name.endswith(".whl"):
            project, version, _, _ = parse_wheel_filename(name)
        else:
            stem = _stem(name)
            head, dash, tail = stem.rpartition("-") if stem else ("", "", "")
            if not dash or not head:
                return None
            project, version = canonicalize_name(head), Version(tail)
    except (InvalidWheelFilename, InvalidVersion):
        return None
    made = _file(link, index)
    return (project, version, made) if made is not None else None


def _legacy_version(filename: str, name: str) -> Version | None:
    """The version of an sdist whose name has its dash elsewhere ("foo-1.0-beta1.tar.gz"), knowing the project."""
    stem = _stem(filename) or ""
    for position, character in enumerate(stem):
        if character == "-" and canonicalize_name(stem[:position]) == name:
            try:
                return Version(stem[position + 1 :])
            except InvalidVersion:
                continue
    return None


def _stem(filename: str) -> str | None:
    suffix = next((suffix for suffix in _SDISTS if filename.endswith(suffix)), None)
    return filename.removesuffix(suffix) if suffix else None


def _file(link: Link, index: str) -> IndexFile | None:
    if re.search(r"[/\\\x00-\x1f\x7f]", link.filename) or urlsplit(link.url).scheme not in ("http", "https", "file"):
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
    if not text:
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
    try:
        absolute, _, fragment = urljoin(page, href.strip()).partition("#")
        url = take_apart(absolute).url
        origin(url)
    except (ValueError, UsageError):
        return None
    parts = urlsplit(url)
    if parts.scheme == "file" and urlsplit(page).scheme != "file":
        return None
    return url, unquote(parts.path.rpartition("/")[2]), fragment


# ---- PEP 691


def _read_json(data: bytes, url: str) -> Links:
    try:
        page = json.loads(data)
    except (ValueError, RecursionError):
        raise IndexFault("answered with JSON that is broken", hint="try again; the page may have been cut short") from None
    if not isinstance(page, dict) or not isinstance(page.get("files"), list):
        raise IndexFault("answered with JSON that is no project page (PEP 691)")
    meta = page.get("meta")
    _check_version(meta.get("api-version", "1.0") if isinstance(meta, dict) else "1.0")
    found = Links(name=page["name"] if isinstance(page.get("name"), str) else None)
    status = page.get("project-status")
    if isinstance(status, dict) and isinstance(status.get("status"), str):
        found.status = status["status"]
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
        size=size if isinstance(size, int) and not isinstance(size, bool) and size >= 0 else None,
        requires_python=_text(row.get("requires-python")),
        yanked=yanked if isinstance(yanked, str) and yanked else "" if yanked is True else None,
        metadata=_text(metadata.get("sha256")) or "" if isinstance(metadata, dict) else "" if metadata is True else None,
        upload_time=_text(row.get("upload-time")),
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


# ---- PEP 503


class _Parser(html.parser.HTMLParser):
    def __init__(self, url: str) -> None:
        super().__init__(convert_charrefs=True)
        self._page = self._base = url
        self.found = Links()
        self.anchors = 0
        self.opened = self.ended = self.form = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = dict(attrs)
        if tag == "a":
            self._anchor(said)
        elif tag == "base" and said.get("href"):
            self._base = urljoin(self._page, said["href"] or "")
        elif tag == "meta" and said.get("name") == "pypi:repository-version":
            _check_version(said.get("content"))
        elif tag == "meta" and said.get("name") == "pypi:project-status":
            self.found.status = said.get("content")
        elif tag == "html":
            self.opened = True
        elif tag == "form":
            self.form = True

    def handle_endtag(self, tag: str) -> None:
        self.ended = self.ended or tag == "html"

    def _anchor(self, said: Mapping[str, str | None]) -> None:
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
                url=url,
                filename=filename,
                sha256=digest if algorithm == "sha256" and equals else None,
                requires_python=said.get("data-requires-python"),
                yanked=(said["data-yanked"] or "") if "data-yanked" in said else None,
                metadata=None if kind == "false" else metadata_digest if kind == "sha256" else "",
            )
        )


def _read_html(data: bytes, media: str, url: str) -> Links:
    charset = re.search(r"charset=[\"']?([\w-]+)", media, re.IGNORECASE)
    try:
        text = data.decode(charset[1] if charset else "utf-8", "replace")
    except LookupError:
        text = data.decode("utf-8", "replace")
    parser = _Parser(url)
    try:
        parser.feed(text)
        parser.close()
    except AssertionError:
        raise IndexFault("answered with HTML that cannot be read") from None
    if parser.opened and not parser.ended:
        raise IndexFault("answered with a page that is cut short", hint="try again")
    if parser.form and not parser.anchors:
        raise IndexFault(
            "answered with a form instead of a project page",
            hint="a proxy or a login page may stand in between; is this the URL of a simple index?",
        )
    return parser.found

"""Static package indexes of the wheelhouse and of its source archives: PEP 503 pages, PEP 691 JSON beside them, PEP 658 metadata."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from packaging.version import InvalidVersion, Version

from hardtack.model.manifest import ManifestSource
from hardtack.wheelhouse.manifest import source_path

API_VERSION = "1.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexedFile:
    """One file as the index lists it. ``path`` is relative to the folder that holds ``simple/``.

    ``metadata_sha256`` None: no .metadata lies beside it.
    """

    name: str
    version: str
    filename: str
    path: str
    sha256: str
    size: int
    requires_python: str | None = None
    metadata_sha256: str | None = None


def index_pages(files: Iterable[IndexedFile]) -> dict[str, bytes]:
    """Every page of the index by its path under the wheelhouse ("simple/index.html"). URLs are relative, so that it works from anywhere."""
    projects: dict[str, list[IndexedFile]] = {}
    for file in files:
        projects.setdefault(file.name, []).append(file)
    pages = {
        "simple/index.html": _page("Simple index", [f'<a href="{quote(name)}/">{html.escape(name)}</a>' for name in sorted(projects)]),
        "simple/index.json": _json({"meta": {"api-version": API_VERSION}, "projects": [{"name": name} for name in sorted(projects)]}),
    }
    for name, listed in projects.items():
        ordered = sorted(listed, key=lambda file: (_version(file.version), file.filename, file.path))
        pages[f"simple/{name}/index.html"] = _page(f"Links for {name}", [_anchor(file) for file in ordered])
        pages[f"simple/{name}/index.json"] = _json(_project(name, ordered))
    return pages


def source_pages(sources: Iterable[ManifestSource]) -> dict[str, bytes]:
    """Every page of the source archives' own index by its path under the wheelhouse.

    Apart from the wheels' index, so that an installer sees the one, the other or both as it is told to.
    """
    pages = index_pages(
        IndexedFile(
            name=source.name,
            version=source.version,
            filename=source.filename,
            path=source.filename,
            sha256=source.sha256,
            size=source.size,
            requires_python=source.requires_python,
        )
        for source in sources
    )
    return {source_path(path): data for path, data in pages.items()}


def requires_python(metadata: bytes) -> str | None:
    """What METADATA states as Requires-Python, as it stands there."""
    from email.parser import BytesHeaderParser

    value = BytesHeaderParser().parsebytes(metadata).get("Requires-Python")
    return str(value).strip() or None if value is not None else None


def _version(text: str) -> tuple[bool, Version, str]:
    try:
        return True, Version(text), text
    except InvalidVersion:
        return False, Version("0"), text


def _href(file: IndexedFile) -> str:
    return "../../" + quote(file.path)


def _page(title: str, anchors: list[str]) -> bytes:
    rows = "".join(f"    {anchor}<br>\n" for anchor in anchors)
    return (
        "<!DOCTYPE html>\n"
        "<html>\n"
        "  <head>\n"
        '    <meta charset="utf-8">\n'
        f'    <meta name="pypi:repository-version" content="{API_VERSION}">\n'
        f"    <title>{html.escape(title)}</title>\n"
        "  </head>\n"
        "  <body>\n"
        f"{rows}"
        "  </body>\n"
        "</html>\n"
    ).encode()


def _anchor(file: IndexedFile) -> str:
    attributes = [f'href="{html.escape(_href(file))}#sha256={file.sha256}"']
    if file.requires_python:
        attributes.append(f'data-requires-python="{html.escape(file.requires_python)}"')
    if file.metadata_sha256:
        # PEP 714: the new name for those who know it, the old one for pip before 23.2.
        attributes.append(f'data-core-metadata="sha256={file.metadata_sha256}"')
        attributes.append(f'data-dist-info-metadata="sha256={file.metadata_sha256}"')
    return f"<a {' '.join(attributes)}>{html.escape(file.filename)}</a>"


def _project(name: str, files: list[IndexedFile]) -> Mapping[str, Any]:
    rows = []
    for file in files:
        row: dict[str, Any] = {
            "filename": file.filename,
            "url": _href(file),
            "hashes": {"sha256": file.sha256},
            "size": file.size,
            "yanked": False,
        }
        if file.requires_python:
            row["requires-python"] = file.requires_python
        if file.metadata_sha256:
            row["core-metadata"] = row["dist-info-metadata"] = {"sha256": file.metadata_sha256}
        rows.append(row)
    versions = list(dict.fromkeys(file.version for file in files))
    return {"meta": {"api-version": API_VERSION}, "name": name, "versions": versions, "files": rows}


def _json(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()

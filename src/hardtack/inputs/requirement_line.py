"""One requirement as pip understands it: a name, a URL, a path, a repository. The name is always found, without running code."""

from __future__ import annotations

import ast
import os
import re
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from packaging.markers import InvalidMarker, Marker
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import InvalidSdistFilename, InvalidWheelFilename, canonicalize_name, parse_sdist_filename, parse_wheel_filename

from hardtack.errors import InputError
from hardtack.inputs.text import MAX_BYTES, read_bounded, read_toml, unbounded, without_login

_VCS = ("git", "hg", "svn", "bzr")
_SCHEME = re.compile(r"^(?:https?|file|ftp|(?:git|hg|svn|bzr)(?:\+[a-z]+)?):", re.IGNORECASE)
_EXTRAS = re.compile(r"^(?P<path>.+?)\s*(?P<extras>\[[^\]]*\])$", re.DOTALL)
_ARCHIVES = (".whl", ".zip", ".tar.gz", ".tgz", ".tar", ".tar.bz2", ".tbz", ".tar.xz", ".txz", ".tlz", ".tar.lz", ".tar.lzma")
_NAME = re.compile(r"^[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?$")
_URL_HASH = re.compile(r"^(sha(?:256|384|512)|sha1|sha224|md5)=([0-9a-fA-F]+)$")
_MAX_MEMBERS = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadLine:
    """A requirement's text, read. ``hashes`` stand in the URL's fragment."""

    requirement: Requirement
    path: Path | None = None
    editable: bool = False
    hashes: frozenset[str] = frozenset()


def read_line(text: str, *, folders: tuple[Path, ...], editable: bool = False) -> ReadLine:
    """Read one requirement. A relative path is looked for in ``folders``, in order. Raises InputError without a place.

    >>> str(read_line("Flask[async]>=3 ; python_version > '3.9'", folders=()).requirement)
    'Flask[async]>=3; python_version > "3.9"'
    """
    text = text.strip()
    if not _SCHEME.match(text):
        text = text.removesuffix(";").rstrip()
    if (why := unbounded(text)) is not None:
        raise InputError(f"{without_login(text[:100])!r}... {why}")
    if editable:
        return _read_editable(text, folders)
    try:
        named = Requirement(text)
    except InvalidRequirement as error:
        reason: InvalidRequirement | None = error
    else:
        # A file name such as thing-2.0-py3-none-any.whl could be a name by PEP 508's grammar; pip takes it for the file.
        if named.url is not None or not _split_extras(_split_marker(text)[0])[0].lower().endswith(_ARCHIVES):
            return _from_named(named, folders, editable=False)
        reason = None
    body, marker = _split_marker(text)
    if _SCHEME.match(body):
        return _from_url(body, marker, folders, editable=False)
    path_text, extras = _split_extras(body)
    if _looks_like_path(path_text) or path_text.lower().endswith(_ARCHIVES):
        return _from_path(path_text, extras, marker, folders, editable=False)
    raise InputError(
        f"{text!r} is not a requirement: {_first_line(reason)}" if reason else f"{text!r} is not a requirement", hint=_advice(text)
    )


def _read_editable(text: str, folders: tuple[Path, ...]) -> ReadLine:
    try:
        named = Requirement(text)
    except InvalidRequirement:
        named = None
    if named is not None and named.url:
        return _from_named(named, folders, editable=True)
    body, marker = _split_marker(text)
    bare = re.match(rf"^({'|'.join(_VCS)}):", body, re.IGNORECASE)
    if _SCHEME.match(body):
        scheme = body.split(":", 1)[0].lower()
        if bare and "+" not in scheme:
            body = f"{scheme}+{body}"
        if scheme in ("http", "https", "ftp"):
            raise InputError(f"-e takes a local folder or a repository, not {without_login(text)!r}", hint="leave the -e out")
        return _from_url(body, marker, folders, editable=True)
    path_text, extras = _split_extras(body)
    return _from_path(path_text, extras, marker, folders, editable=True)


def _from_named(named: Requirement, folders: tuple[Path, ...], *, editable: bool) -> ReadLine:
    if named.url is None:
        return ReadLine(requirement=named)
    url = named.url
    try:
        urlsplit(url)
    except ValueError as error:
        raise InputError(f"{without_login(url)!r} is not a URL: {error}") from None
    if not urlsplit(url).scheme or re.match(r"^[A-Za-z]:[\\/]", url):
        # `name @ ./folder`: not in PEP 508's grammar, but every installer takes it.
        path = _find(url, folders)
        return ReadLine(requirement=_with_url(named.name, named.extras, path.as_uri(), named.marker), path=path, editable=editable)
    local: Path | None = None
    if url.lower().startswith("file:"):
        local = _file_path(url, folders)
        tail = urlsplit(url).fragment
        url = local.as_uri() + (f"#{tail}" if tail else "")
    elif editable and not url.lower().startswith(tuple(f"{vcs}+" for vcs in _VCS)):
        raise InputError(f"-e takes a local folder or a repository, not {without_login(url)!r}", hint="leave the -e out")
    return ReadLine(
        requirement=_with_url(named.name, named.extras, url, named.marker), path=local, editable=editable, hashes=_url_hashes(url)
    )


def _from_url(url: str, marker: Marker | None, folders: tuple[Path, ...], *, editable: bool) -> ReadLine:
    try:
        urlsplit(url)
    except ValueError as error:
        raise InputError(f"{without_login(url)[:200]!r} is no URL: {error}") from None
    head, _, fragment = url.partition("#")
    pieces = [piece for piece in fragment.split("&") if piece]
    egg = next((unquote(piece[4:]) for piece in pieces if piece.startswith("egg=")), None)
    kept = "&".join(piece for piece in pieces if not piece.startswith("egg="))
    name, extras = _read_egg(egg, url) if egg else (None, set())
    hashes = _url_hashes(url)
    if url.lower().startswith("file:"):
        path_url, stated = _split_extras(head)
        path = _file_path(path_url, folders)
        found = name or _name_of_path(path)
        new = path.as_uri() + (f"#{kept}" if kept else "")
        return ReadLine(requirement=_with_url(found, extras | stated, new, marker), path=path, editable=editable, hashes=hashes)
    if name is None:
        scheme = url.split(":", 1)[0].lower()
        if scheme.split("+")[0] in _VCS:
            raise InputError(f"{without_login(url)!r} does not say which package it is", hint=f"write it as `NAME @ {without_login(url)}`")
        name = _name_of_file(unquote(urlsplit(head).path.rsplit("/", 1)[-1]))
        if name is None:
            raise InputError(f"{without_login(url)!r} does not say which package it is", hint=f"write it as `NAME @ {without_login(url)}`")
    return ReadLine(requirement=_with_url(name, extras, head + (f"#{kept}" if kept else ""), marker), editable=editable, hashes=hashes)


def _from_path(text: str, extras: set[str], marker: Marker | None, folders: tuple[Path, ...], *, editable: bool) -> ReadLine:
    path = _find(text, folders)
    if editable and not path.is_dir():
        raise InputError(f"-e takes a folder, and {text!r} is a file", hint="leave the -e out")
    return ReadLine(requirement=_with_url(_name_of_path(path), extras, path.as_uri(), marker), path=path, editable=editable)


def _with_url(name: str, extras: set[str], url: str, marker: Marker | None) -> Requirement:
    text = f"{name}[{','.join(sorted(extras))}] @ {url}" if extras else f"{name} @ {url}"
    try:
        requirement = Requirement(text)
    except InvalidRequirement as error:
        raise InputError(f"{without_login(url)!r} is not a URL that a requirement can hold: {_first_line(error)}") from None
    requirement.marker = marker
    return requirement


def _split_marker(text: str) -> tuple[str, Marker | None]:
    # A URL may hold a semicolon, so that its marker needs a space behind it (pip's rule).
    body, found, tail = text.partition("; " if _SCHEME.match(text) else ";")
    if not found or not tail.strip():
        return body.strip(), None
    try:
        return body.strip(), Marker(tail.strip())
    except InvalidMarker as error:
        raise InputError(f"{tail.strip()!r} is not a marker: {_first_line(error)}") from None


def _split_extras(text: str) -> tuple[str, set[str]]:
    found = _EXTRAS.match(text)
    if not found:
        return text, set()
    try:
        return found["path"], Requirement(f"x{found['extras']}").extras
    except InvalidRequirement:
        return text, set()


def _read_egg(egg: str, url: str) -> tuple[str, set[str]]:
    name, extras = _split_extras(egg)
    if not _NAME.match(name):
        raise InputError(f"#egg={egg} in {without_login(url)!r} is not a package name", hint="write `NAME @ URL` instead of #egg=NAME")
    return name, extras


def _looks_like_path(text: str) -> bool:
    return "/" in text or "\\" in text or text.startswith(".")


def _find(text: str, folders: tuple[Path, ...]) -> Path:
    if "\0" in text:
        raise InputError("a path holds a NUL character")
    given = Path(text)
    candidates = [given] if given.is_absolute() else [folder / given for folder in folders]
    for candidate in candidates:
        try:
            if candidate.exists():
                return _absolute(candidate)
        except OSError as error:  # longer than a path can be
            raise InputError(f"{text[:100]!r}... is no path: {error.strerror}") from None
    looked = ", ".join(str(folder) for folder in folders)
    raise InputError(f"{text!r} is not there", hint=f"looked for it in {looked}" if looked and not given.is_absolute() else None)


def _absolute(path: Path) -> Path:
    # Like resolve(), but links stay: the name that the user gave is the one that is shown and locked.
    return Path(os.path.normpath(path.absolute()))


def _file_path(url: str, folders: tuple[Path, ...]) -> Path:
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost"):
        return _find(url2pathname(f"//{parts.netloc}{parts.path}"), folders)
    return _find(url2pathname(parts.path), folders)


def _url_hashes(url: str) -> frozenset[str]:
    fragment = urlsplit(url).fragment
    found = [match for piece in fragment.split("&") if (match := _URL_HASH.match(piece))]
    return frozenset(f"{match[1]}:{match[2].lower()}" for match in found)


def _name_of_file(filename: str) -> str | None:
    """The project that an archive's name states, None where it states none."""
    try:
        if filename.lower().endswith(".whl"):
            return str(parse_wheel_filename(filename)[0])
        for ending in _ARCHIVES[1:]:
            if filename.lower().endswith(ending):
                return str(parse_sdist_filename(filename[: -len(ending)] + ".tar.gz")[0])
    except (InvalidWheelFilename, InvalidSdistFilename):
        pass
    return None


def _name_of_path(path: Path) -> str:
    """The project in a local archive or folder, by its own metadata; InputError where only running it could tell."""
    if path.is_dir():
        name = name_of_folder(path)
        if name is None and not any((path / file).is_file() for file in ("pyproject.toml", "setup.py", "setup.cfg")):
            raise InputError(f"the folder {str(path)!r} is no Python project: it has neither pyproject.toml nor setup.py")
    else:
        name = _name_of_file(path.name) if path.name.lower().endswith(".whl") else _name_in_archive(path) or _name_of_file(path.name)
        if path.name.lower().endswith(".whl") and name is None:
            raise InputError(f"{path.name!r} is not a wheel's file name (PEP 427)")
    if name is None:
        raise InputError(f"the name of the project in {str(path)!r} is not stated in it", hint=f"write it as `NAME @ {path.as_uri()}`")
    return name


def name_of_wheel(path: Path) -> str | None:
    """The normalised name that a wheel's file name states; None where it is none."""
    name = _name_of_file(path.name) if path.name.lower().endswith(".whl") else None
    return canonicalize_name(name) if name is not None else None


def name_of_folder(folder: Path) -> str | None:
    """The name that a project's folder states of itself, without running it; None where it computes its name."""
    pyproject = folder / "pyproject.toml"
    if pyproject.is_file():
        tables = read_toml(pyproject)
        for table in (
            tables.get("project"),
            (tables.get("tool") or {}).get("poetry"),
            ((tables.get("tool") or {}).get("flit") or {}).get("metadata"),
        ):
            if isinstance(table, dict):
                name = table.get("name") or table.get("dist-name") or table.get("module")
                if isinstance(name, str) and _NAME.match(name):
                    return name
    for stated in (
        _name_in_setup_cfg(folder / "setup.cfg"),
        _name_in_setup_py(folder / "setup.py"),
        _name_in_metadata_file(folder / "PKG-INFO"),
    ):
        if stated and _NAME.match(stated):
            return stated
    return None


def _name_in_setup_cfg(path: Path) -> str | None:
    if not path.is_file():
        return None
    import configparser

    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(read_bounded(path).decode("utf-8", "replace"))
    except configparser.Error:
        return None
    return parser.get("metadata", "name", fallback=None)


def _name_in_setup_py(path: Path) -> str | None:
    if not path.is_file():
        return None
    try:
        tree = ast.parse(read_bounded(path))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", None)) == "setup":
            for keyword in node.keywords:
                if keyword.arg == "name" and isinstance(keyword.value, ast.Constant) and isinstance(keyword.value.value, str):
                    return keyword.value.value
    return None


def _name_in_metadata_file(path: Path) -> str | None:
    return _name_in_metadata(read_bounded(path)) if path.is_file() else None


def _name_in_metadata(data: bytes) -> str | None:
    for line in data.decode("utf-8", "replace").splitlines():
        if not line.strip():
            return None
        if line.lower().startswith("name:"):
            name = line[5:].strip()
            return name if _NAME.match(name) else None
    return None


def _name_in_archive(path: Path) -> str | None:
    """The name in an sdist's PKG-INFO, read without unpacking; None where it has none or is no archive."""
    try:
        if path.name.lower().endswith(".zip"):
            with zipfile.ZipFile(path) as archive:
                for info in archive.infolist()[:_MAX_MEMBERS]:
                    if re.fullmatch(r"[^/]+/PKG-INFO", info.filename) and info.file_size <= MAX_BYTES:
                        with archive.open(info) as stream:
                            return _name_in_metadata(stream.read(MAX_BYTES))
        else:
            with tarfile.open(path) as packed:
                for count, member in enumerate(packed):
                    if count > _MAX_MEMBERS:
                        break
                    if re.fullmatch(r"[^/]+/PKG-INFO", member.name) and member.isfile() and member.size <= MAX_BYTES:
                        content = packed.extractfile(member)
                        return _name_in_metadata(content.read()) if content else None
    except (OSError, tarfile.TarError, zipfile.BadZipFile, EOFError, ValueError, RuntimeError, NotImplementedError):
        return None
    except Exception as error:  # zlib.error and lzma.LZMAError share no base but Exception
        if type(error).__module__ in ("zlib", "lzma", "_lzma"):
            return None
        raise
    return None


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]


def _advice(text: str) -> str | None:
    if re.search(r"[A-Za-z0-9\]]\s*=[^=]", text) and not re.search(r"[=!<>~]=|[<>@]", text):
        return "a version is pinned with =="
    return "a requirement is written as name[extra]>=1.0 ; python_version < '3.13'"

"""What is installed in an environment, read from its files: nothing of it is run, imported or asked."""

from __future__ import annotations

import base64
import binascii
import csv
import hashlib
import io
import json
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import canonicalize_name

from hardtack.errors import InputError
from hardtack.wheelhouse.limits import DEFAULT
from hardtack.wheelhouse.record import ALGORITHMS

_SMALL = 1 << 20
_METADATA = 16 << 20
_MOST = 20_000  # distributions
_FOLDER = re.compile(r"(?P<kind>python|pypy)(?P<major>\d)(?:\.(?P<minor>\d{1,2})(?P<t>t)?)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedFile:
    """A row of an installed RECORD. ``path`` is absolute and has no ".."; ``algorithm`` is "" where no digest is stated."""

    path: Path
    algorithm: str
    digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """One installed project. ``place`` is its .dist-info (or what stands for one); ``files`` None where no RECORD says which are its own.

    ``editable`` is the URL of the folder that it is installed from, "" where that is not told. ``faults`` say what of it cannot be judged;
    ``outside`` are files that its RECORD lists and that are not in the environment: nobody has looked at them.
    """

    name: str
    version: str
    place: Path
    files: tuple[RecordedFile, ...] | None
    editable: str | None = None
    faults: tuple[str, ...] = ()
    outside: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """An environment. ``folders`` are where packages lie; ``python`` is its minor version, ``full`` the whole, as far as its files tell.

    ``system``: it sees the packages of the Python that it was made from.
    """

    prefix: Path
    folders: tuple[Path, ...]
    python: tuple[int, int] | None
    full: str | None
    implementation: str
    free_threaded: bool
    windows: bool
    system: bool
    distributions: tuple[Distribution, ...]


def read_site(prefix: Path) -> Site:
    """Read an environment: a virtual environment, a prefix, or a folder that was given to ``pip install --target``.

    Raises InputError where nothing of that kind lies there, or the packages of several Pythons do.
    """
    # Links are followed once, here: what RECORD tells with ".." is told from the real folder.
    prefix = Path(os.path.realpath(prefix))
    if not prefix.is_dir():
        raise InputError("there is no such environment", where=str(prefix), hint="name the folder of a virtual environment, or a prefix")
    found = _folders(prefix)
    # Debian's lib/python3 is of whichever Python 3 there is.
    minors = {match.group(0): match for _, match in found if match is not None and match["minor"]}
    if len(minors) > 1:
        raise InputError(
            f"it has the packages of several Pythons: {', '.join(sorted(minors))}",
            where=str(prefix),
            hint="name one of their site-packages folders itself",
        )
    if not found:
        raise InputError("no packages are installed there", where=str(prefix), hint="name the folder of a virtual environment, or a prefix")
    match = next(iter(minors.values()), None)
    settings = _settings(prefix)
    full = settings.get("version_info") or settings.get("version")
    full = ".".join(full.split(".")[:3]) if full and re.match(r"\d+\.\d+\.\d+", full) else None
    python = (int(match["major"]), int(match["minor"])) if match is not None and match["minor"] else None
    if python is None and full is not None:
        python = (int(full.split(".")[0]), int(full.split(".")[1]))
    folders = tuple(folder for folder, _ in found)
    return Site(
        prefix=prefix,
        folders=folders,
        python=python,
        full=full,
        implementation="pypy" if match is not None and match["kind"] == "pypy" else "cpython",
        free_threaded=match is not None and bool(match["t"]),
        windows=any(folder.parent.name == "Lib" for folder in folders) and match is None,
        system=settings.get("include-system-site-packages", "").lower() == "true",
        distributions=tuple(distribution for folder in folders for distribution in _distributions(folder, prefix)),
    )


def _folders(prefix: Path) -> list[tuple[Path, re.Match[str] | None]]:
    found: dict[str, tuple[Path, re.Match[str] | None]] = {}
    for lib in ("lib", "lib64", "local/lib"):
        for entry in _entries(prefix / lib):
            match = _FOLDER.fullmatch(entry.name)
            for name in ("site-packages", "dist-packages"):
                place = Path(entry.path) / name
                if match is not None and place.is_dir():
                    found.setdefault(os.path.realpath(place), (Path(os.path.realpath(place)), match))
    for place in (prefix / "Lib" / "site-packages", prefix / "lib" / "site-packages"):
        if place.is_dir():
            found.setdefault(os.path.realpath(place), (Path(os.path.realpath(place)), None))
    if not found and (prefix.name in ("site-packages", "dist-packages") or any(_is_info(entry.name) for entry in _entries(prefix))):
        match = _FOLDER.fullmatch(prefix.parent.name)
        found[str(prefix)] = prefix, match
    return list(found.values())


def _is_info(name: str) -> bool:
    return name.endswith((".dist-info", ".egg-info", ".egg-link"))


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        return sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return []


def _settings(prefix: Path) -> dict[str, str]:
    """pyvenv.cfg, as the site module reads it."""
    found = {}
    text = _read(prefix / "pyvenv.cfg", _SMALL)
    for line in (text or b"").decode("utf-8", "replace").splitlines():
        key, equals, value = line.partition("=")
        if equals:
            found[key.strip().lower()] = value.strip()
    return found


def _read(path: Path, limit: int) -> bytes | None:
    """A regular file's bytes; None where there is none, or it is larger than ``limit``."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return None
        with open(path, "rb") as stream:
            data = stream.read(limit + 1)
    except OSError:
        return None
    return data if len(data) <= limit else None


def _distributions(folder: Path, prefix: Path) -> Iterator[Distribution]:
    entries = [entry for entry in _entries(folder) if _is_info(entry.name)]
    if len(entries) > _MOST:
        raise InputError(f"more than {_MOST} packages are installed there", where=str(folder))
    for entry in entries:
        place = Path(entry.path)
        if entry.name.endswith(".egg-link"):
            target = (_read(place, _SMALL) or b"").decode("utf-8", "replace").splitlines()
            linked = canonicalize_name(entry.name.removesuffix(".egg-link"))
            yield Distribution(name=linked, version="", place=place, files=None, editable=target[0].strip() if target else "")
            continue
        info = place.is_dir()
        data = _read(place / ("METADATA" if entry.name.endswith(".dist-info") else "PKG-INFO") if info else place, _METADATA)
        name, version, faults = _identity(entry.name, data)
        files: tuple[RecordedFile, ...] | None = None
        outside: list[str] = []
        if entry.name.endswith(".dist-info"):
            record = _read(place / "RECORD", DEFAULT.record)
            if record is None:
                faults.append("it has no RECORD that can be read")
            else:
                files = tuple(_rows(record, place, prefix, faults, outside))
        else:
            faults.append("it was installed without a RECORD")
        yield Distribution(
            name=name,
            version=version,
            place=place,
            files=files,
            editable=_editable(place),
            faults=tuple(faults),
            outside=tuple(outside),
        )


def _identity(entry: str, data: bytes | None) -> tuple[str, str, list[str]]:
    """The name and version that METADATA states; where it does not, those of the folder's name."""
    head: dict[str, str] = {}
    for line in (data or b"").decode("utf-8", "replace").splitlines():
        if not line.strip():
            break
        key, colon, value = line.partition(":")
        if colon:
            head.setdefault(key.strip().lower(), value.strip())
    stem = entry.rpartition(".")[0].split("-")
    name, version = head.get("name") or stem[0], head.get("version") or (stem[1] if len(stem) > 1 else "")
    faults = [] if head.get("name") and head.get("version") else ["its metadata names no project and version"]
    if not faults and canonicalize_name(stem[0]) != canonicalize_name(name):
        faults.append(f"its metadata says that it is {name}, its folder is called {entry}")
    return canonicalize_name(name), version, faults


def _editable(place: Path) -> str | None:
    data = _read(place / "direct_url.json", _SMALL)
    try:
        found = json.loads(data or b"null")
        if isinstance(found, dict) and isinstance(found.get("dir_info"), dict) and found["dir_info"].get("editable") is True:
            return str(found.get("url", ""))
    except (ValueError, RecursionError):
        pass
    return None


def _rows(data: bytes, info: Path, prefix: Path, faults: list[str], outside: list[str]) -> Iterator[RecordedFile]:
    """The files of a RECORD that lie in the environment. What leads out of it is told, and never read."""
    folder = info.parent
    seen: set[str] = set()
    bare = broken = 0
    try:
        for line in csv.reader(io.StringIO(data.decode("utf-8", "surrogateescape"), newline="")):
            if not line:
                continue
            if len(line) < 2 or not line[0] or "\0" in line[0]:
                broken += 1
                continue
            place = os.path.normpath(os.path.join(folder, line[0]))
            if place in seen:
                continue
            seen.add(place)
            if not (Path(place).is_relative_to(prefix) or Path(place).is_relative_to(folder)):
                outside.append(line[0])
                continue
            algorithm, _, encoded = line[1].partition("=")
            digest = b""
            if not line[1] and not line[0].endswith((".pyc", "/RECORD", "/RECORD.jws", "/RECORD.p7s")):
                bare += 1
            if line[1]:
                digest = _digest(encoded)
                if ALGORITHMS.get(algorithm) != len(digest):
                    faults.append(f"RECORD states {line[1][:80]!r} for {line[0]!r}, which is no digest that can be relied upon")
                    algorithm, digest = "", b""
            yield RecordedFile(path=Path(place), algorithm=algorithm, digest=digest)
    except csv.Error as error:
        faults.append(f"RECORD is not the CSV that it must be: {error}")
    if broken:
        faults.append(f"RECORD has {broken} row{'s' if broken > 1 else ''} of which nobody can tell the file")
    if os.path.normpath(info / "METADATA") not in seen:
        # Every installer lists it: what is cut short or of another speaks of nothing, and nothing would be found wrong.
        faults.append("RECORD does not list the METADATA beside it: it is not whole")
    if bare:
        faults.append(f"RECORD states no digest of {bare} file{'s' if bare > 1 else ''}")


def _digest(encoded: str) -> bytes:
    try:
        return base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return b""


def digest_of(path: Path, algorithm: str) -> bytes | None:
    """A file's digest; None where it is not there, is no file, or cannot be read. A link that an installer made is followed."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return None
        with open(path, "rb", buffering=0) as stream:
            return hashlib.file_digest(stream, algorithm).digest()
    except OSError:
        return None


def unowned(site: Site) -> Iterator[Path]:
    """The files among the packages that no RECORD lists: compiled bytecode of listed sources aside."""
    owned = {os.path.normpath(file.path) for distribution in site.distributions for file in distribution.files or ()}
    infos = [str(distribution.place) for distribution in site.distributions]
    for folder in site.folders:
        for place, folders, files in os.walk(folder):
            folders[:] = sorted(name for name in folders if os.path.join(place, name) not in infos)
            for name in sorted(files):
                path = os.path.join(place, name)
                if path not in owned and path not in infos and not _bytecode(place, name, owned):
                    yield Path(path)


def _bytecode(place: str, name: str, owned: set[str]) -> bool:
    if not name.endswith(".pyc") or os.path.basename(place) != "__pycache__":
        return False
    return os.path.join(os.path.dirname(place), f"{name.split('.')[0]}.py") in owned

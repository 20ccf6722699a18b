"""What must hold of any bytes: they are refused with a finding, or what is read of them is what other readers read. Never anything else."""

from __future__ import annotations

import hashlib
import io
import tarfile
import time
import zipfile
from pathlib import Path

from hardtack.errors import HardtackError
from hardtack.indexing.pages import project_page, read_links
from hardtack.inputs.pyproject import read_pyproject
from hardtack.inputs.requirements_file import read_requirements_files
from hardtack.model.finding import Severity
from hardtack.model.wheel import BadSdist, BadWheel
from hardtack.wheelhouse.faults import Faults
from hardtack.wheelhouse.inspect import inspect_wheel
from hardtack.wheelhouse.limits import DEFAULT
from hardtack.wheelhouse.manifest import read_manifest
from hardtack.wheelhouse.metadata import parse_metadata
from hardtack.wheelhouse.pylock import read_pylock
from hardtack.wheelhouse.sdist import extract_sdist, inspect_sdist
from hardtack.wheelhouse.uv_lock import read_edges
from hardtack.wheelhouse.zip_members import pieces
from hardtack.wheelhouse.zip_structure import Window, read_directory

SLOWEST = 5.0
"""Seconds that any input of a fuzzer, which is small, may take."""


class Broken(AssertionError):
    """The property does not hold of an input."""


def check(kind: str, name: str, data: bytes, folder: Path) -> bool:
    """True if the bytes are accepted. Raises Broken, or whatever hardtack let through."""
    started = time.monotonic()
    accepted = _CHECKS[kind](name, data, folder)
    if time.monotonic() - started > SLOWEST:
        raise Broken(f"{kind}: {len(data)} bytes took {time.monotonic() - started:.1f} s")
    return accepted


def _wheel(name: str, data: bytes, folder: Path) -> bool:
    path = folder / "fuzzed"
    path.write_bytes(data)
    verdict = inspect_wheel(path, filename=name, sha256=hashlib.sha256(data).hexdigest())
    if isinstance(verdict, BadWheel):
        if not any(finding.severity is Severity.ERROR and finding.message for finding in verdict.findings):
            raise Broken("refused without a reason")
        return False
    window, faults = Window(io.BytesIO(data), len(data)), Faults(name)
    ours = [
        (entry.name, b"".join(bytes(piece) for piece in pieces(window, entry, faults))) for entry in read_directory(window, faults, DEFAULT)
    ]
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            theirs = [(member.filename, archive.read(member)) for member in archive.infolist()]
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError, EOFError) as error:
        raise Broken(f"accepted, and zipfile cannot read it: {error}") from error
    if sorted(ours) != sorted(theirs):
        raise Broken("zipfile reads other members")
    for member, _ in ours:
        if member.startswith(("/", "\\")) or ".." in member.split("/") or "\0" in member:
            raise Broken(f"an unsafe name was accepted: {member!r}")
    return True


def _sdist(name: str, data: bytes, folder: Path) -> bool:
    path = folder / "fuzzed"
    path.write_bytes(data)
    verdict = inspect_sdist(path, filename=name, sha256=hashlib.sha256(data).hexdigest())
    if isinstance(verdict, BadSdist):
        if not any(finding.severity is Severity.ERROR and finding.message for finding in verdict.findings):
            raise Broken("refused without a reason")
        return False
    import tempfile

    with tempfile.TemporaryDirectory(dir=folder) as place:
        extract_sdist(path, verdict, Path(place, "ours"))
        if name.endswith(".zip"):
            return True
        try:
            with tarfile.open(path) as archive:
                archive.extractall(Path(place, "theirs"), filter="data")
        except (tarfile.TarError, OSError, EOFError, ValueError) as error:
            raise Broken(f"accepted, and tarfile cannot unpack it: {error}") from error
        if _tree(Path(place, "ours")) != _tree(Path(place, "theirs")):
            raise Broken("tarfile unpacks another tree")
    return True


def _tree(folder: Path) -> dict[str, bytes | str]:
    found: dict[str, bytes | str] = {}
    for path in folder.rglob("*"):
        if path.is_symlink():
            found[str(path.relative_to(folder))] = str(path.readlink())
        elif path.is_file():
            found[str(path.relative_to(folder))] = path.read_bytes()
    return found


def _page(name: str, data: bytes, folder: Path) -> bool:
    try:
        page = project_page(read_links(data, media=name, url="https://h.example/simple/foo/"), name="foo", index="i")
    except HardtackError:
        return False
    for files in page.files.values():
        for file in files:
            if (
                not file.url.startswith(("https://", "http://"))
                or not f"{file.filename}{file.url}{file.yanked}{file.upload_time}".isprintable()
            ):
                raise Broken(f"a page's link reaches further than it may: {file}")
    return True


def _manifest(name: str, data: bytes, folder: Path) -> bool:
    try:
        manifest = read_manifest(data, "w")
    except HardtackError:
        return False
    for file in manifest.files:
        if not Path(folder, file.path).resolve().is_relative_to(folder.resolve()):
            raise Broken(f"a path leaves the wheelhouse: {file.path!r}")
    return True


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _pylock(name: str, data: bytes, folder: Path) -> bool:
    try:
        read_pylock(_text(data), where="pylock.toml", base=folder)
    except HardtackError:
        return False
    return True


def _uv_lock(name: str, data: bytes, folder: Path) -> bool:
    try:
        read_edges(_text(data), where="uv.lock")
    except HardtackError:
        return False
    return True


def _pyproject(name: str, data: bytes, folder: Path) -> bool:
    path = folder / "pyproject.toml"
    path.write_bytes(data)
    try:
        read_pyproject(path, base=folder)
    except HardtackError:
        return False
    return True


def _requirements(name: str, data: bytes, folder: Path) -> bool:
    path = folder / "requirements.txt"
    path.write_bytes(data)
    try:
        read_requirements_files([(path, False)], environment={}, fetch_text=_unreachable, base=folder)
    except HardtackError:
        return False
    return True


def _unreachable(url: str) -> str:
    raise HardtackError("no network", where=url)


def _metadata(name: str, data: bytes, folder: Path) -> bool:
    return not isinstance(parse_metadata(data, filename="x"), tuple)


_CHECKS = {
    "wheel": _wheel, "sdist": _sdist, "page": _page, "manifest": _manifest, "pylock": _pylock, "uv.lock": _uv_lock, "pyproject": _pyproject,
    "requirements": _requirements, "metadata": _metadata,
}  # fmt: skip
KINDS = tuple(_CHECKS)

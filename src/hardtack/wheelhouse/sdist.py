"""A source archive's bytes, judged, read into facts, and unpacked (PEP 517, 625, 643, 706, 721)."""

from __future__ import annotations

import contextlib
import hashlib
import os
import posixpath
import re
import shutil
import tarfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from hardtack.errors import HashMismatch, IntegrityError
from hardtack.model.wheel import BadSdist, SdistFacts
from hardtack.system.documents import toml_of
from hardtack.wheelhouse.faults import Faults
from hardtack.wheelhouse.limits import DEFAULT, MIB, Limits
from hardtack.wheelhouse.member_names import collisions, name_fault
from hardtack.wheelhouse.metadata import MetadataFacts, read_metadata, requirement_of, specifiers_of
from hardtack.wheelhouse.pylock_packages import without_credentials
from hardtack.wheelhouse.tar_members import TarFault, TarMember, read_tar, unpacked
from hardtack.wheelhouse.wheel_names import version_of
from hardtack.wheelhouse.zip_members import MemberFault, pieces
from hardtack.wheelhouse.zip_structure import Window, describe_foreign, read_directory

# The suffixes that PyPI took over the years and pip unpacks; .tar.gz is the only one of PEP 625.
_KINDS = {
    ".tar.gz": "gzip", ".tgz": "gzip", ".zip": "zip", ".tar.bz2": "bzip2", ".tbz": "bzip2", ".tbz2": "bzip2", ".tar.xz": "xz", ".txz": "xz",
}  # fmt: skip
_COMPILED = (".c", ".cc", ".cpp", ".cxx", ".pyx", ".pxd", ".rs", ".f", ".f90", ".f77", ".for", ".cu", ".m", ".mm")
_BACKEND = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*(?::[^\W\d]\w*(?:\.[^\W\d]\w*)*)?")
_WANTED = 2 * MIB
_MOST_LINKS = 5_000
_DEFAULT_REQUIRES = ("setuptools>=40.8.0",)
_DEFAULT_BACKEND = "setuptools.build_meta:__legacy__"
_LEGACY_SETUP = ("setup.py",)


@dataclass(slots=True)
class _Tree:
    """What the archive would unpack to."""

    members: list[TarMember] = field(default_factory=list)
    texts: dict[str, bytes] = field(default_factory=dict)
    digests: dict[str, bytes] = field(default_factory=dict)
    repeated: set[str] = field(default_factory=set)


Sink = Callable[[TarMember, Iterable[bytes | memoryview]], None]


def inspect_sdist(path: Path, *, filename: str, sha256: str, limits: Limits = DEFAULT) -> SdistFacts | BadSdist:
    """Everything that is wrong with the source archive at once, or what it says of itself.

    ``filename`` is the archive's own name, ``sha256`` the digest that its bytes must have. Where the name tells no name and version (an
    archive behind a URL), the metadata inside must.
    """
    faults = Faults(filename, limit=limits.findings)
    stated = _sdist_name(filename)
    if stated is not None:
        faults.package, faults.version = stated[0], str(stated[1])
    with open(path, "rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        actual = hashlib.file_digest(file, "sha256").hexdigest()
        if actual != sha256.lower():
            faults.error("hash-mismatch", f"the file has sha256 {actual}, expected is {sha256}")
            return BadSdist(filename=filename, sha256=sha256, findings=faults.findings())
        file.seek(0)
        tree = _read(file, filename, size, faults, limits)
    facts = _facts(tree, filename, sha256, size, stated, faults, limits) if tree is not None else None
    if facts is None or faults.failed:
        return BadSdist(filename=filename, sha256=sha256, findings=faults.findings())
    return facts


def read_build_system(folder: Path, *, name: str, limits: Limits = DEFAULT) -> SdistFacts | BadSdist:
    """How the project in an unpacked folder is built. Nothing vouches for its version and digest, which are "0" and empty."""
    label = f"{canonicalize_name(name)}-source"
    faults = Faults(label, limit=limits.findings)
    path = folder / "pyproject.toml"
    data = None
    if path.is_file() and path.resolve().is_relative_to(folder.resolve()):
        with open(path, "rb") as file:
            data = file.read(_WANTED + 1)
        if len(data) > _WANTED:
            faults.error("sdist-build", f"pyproject.toml has more than {_WANTED} bytes")
    elif not any((folder / script).is_file() for script in _LEGACY_SETUP):
        faults.error("sdist-build", "it has neither pyproject.toml nor setup.py: nothing says how to build it")
    pyproject = _pyproject(data, faults)
    requires, backend, backend_path = _build_system(pyproject, faults)
    if faults.failed:
        return BadSdist(filename=label, sha256="", findings=faults.findings())
    return SdistFacts(
        filename=label,
        sha256="",
        size=0,
        name=canonicalize_name(name),
        version=Version("0"),
        top="",
        requires=None,
        requires_python=_requires_python(None, pyproject),
        build_requires=requires,
        backend=backend,
        backend_path=backend_path,
    )


def extract_sdist(path: Path, facts: SdistFacts, destination: Path, *, limits: Limits = DEFAULT) -> Path:
    """Unpack a judged archive below ``destination`` (which may exist, its source folder may not) and return the source folder.

    Only files, folders and links that stay inside; no owner, no setuid, nothing that others may write. Raises IntegrityError where the
    archive is not the one that was judged.
    """
    faults = Faults(facts.filename, limit=limits.findings)
    with open(path, "rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        actual = hashlib.file_digest(file, "sha256").hexdigest()
        if actual != facts.sha256.lower():
            raise HashMismatch(file=facts.filename, expected=facts.sha256, actual=actual, source="its inspection")
        # Judged again before a byte is written: the file is open, and what is judged is what is unpacked.
        file.seek(0)
        tree = _read(file, facts.filename, size, faults, limits)
        top = _top(tree, faults) if tree is not None else None
        if tree is None or top is None or faults.failed:
            found = "; ".join(finding.message for finding in faults.findings())
            raise IntegrityError(f"it cannot be unpacked safely: {found}", where=facts.filename)
        root = destination.resolve()
        root.mkdir(parents=True, exist_ok=True)
        if os.path.lexists(root / top):
            raise IntegrityError("there is something of that name already", where=str(root / top), hint="unpack into an empty folder")
        try:
            file.seek(0)
            _write(file, tree, facts.filename, size, root, limits)
        except BaseException:
            shutil.rmtree(root / top, ignore_errors=True)
            raise
    return root / top


def _sdist_name(filename: str) -> tuple[str, Version] | None:
    kind = _suffix(filename)
    stem = filename.removesuffix(kind) if kind else filename
    name, dash, version = stem.rpartition("-")
    found = version_of(version) if dash and name else None
    if found is None and dash:
        # Old names: foo-1.0-1.tar.gz, where the version has a dash (an implicit post release).
        head, dash, middle = name.rpartition("-")
        found, name = (version_of(f"{middle}-{version}"), head) if dash and head else (None, name)
    if found is None or not re.fullmatch(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?", name):
        return None
    return canonicalize_name(name), found


def _suffix(filename: str) -> str:
    lowered = filename.lower()
    return next((filename[-len(suffix) :] for suffix in _KINDS if lowered.endswith(suffix)), "")


def _read(file: BinaryIO, filename: str, size: int, faults: Faults, limits: Limits) -> _Tree | None:
    """Every member seen once, the archive read to its end. None where reading could not go on."""
    kind = _KINDS.get(_suffix(filename).lower())
    if kind is None:
        faults.error("file-name", f"{filename[:300]!r} has no suffix of a source archive ({', '.join(_KINDS)})")
        return None
    if _suffix(filename).lower() not in (".tar.gz", ".zip"):
        faults.warning("file-name", f"{filename[:300]!r}: source archives are .tar.gz since PEP 625")
    tree = _Tree()

    def collect(member: TarMember, content: Iterable[bytes | memoryview]) -> None:
        tree.members.append(member)
        if member.kind != "file":
            return
        wanted = member.name.count("/") == 1 and member.name.rpartition("/")[2] in ("PKG-INFO", "pyproject.toml")
        if wanted and member.size > _WANTED:
            faults.error("sdist-bomb", f"{member.name!r} has {member.size} bytes; at most {_WANTED} are read of such a file")
            return
        hasher, text = hashlib.sha256(), []
        for piece in content:
            hasher.update(piece)
            if wanted:
                text.append(bytes(piece))
        if wanted:
            tree.texts[member.name] = b"".join(text)
        if tree.digests.setdefault(member.name, hasher.digest()) == hasher.digest():
            tree.repeated.add(member.name)
        else:
            tree.repeated.discard(member.name)
            tree.digests[member.name] = b""

    try:
        for member, content in _members(file, kind, size, faults, limits):
            collect(member, content)
    except (TarFault, MemberFault) as fault:
        faults.error(fault.code, fault.message)
        return None
    if faults.failed:
        return None
    _check_names(tree, faults)
    _check_links(tree.members, faults)
    return tree


def _members(
    file: BinaryIO, kind: str, size: int, faults: Faults, limits: Limits
) -> Iterator[tuple[TarMember, Iterable[bytes | memoryview]]]:
    if kind == "zip":
        yield from _zip_members(Window(file, size), faults, limits)
        return
    head = file.read(512)
    magic = {"gzip": b"\x1f\x8b\x08", "bzip2": b"BZh", "xz": b"\xfd7zXZ\x00"}[kind]
    if not head.startswith(magic):
        found = describe_foreign(head)
        message = f"the file is {found}" if found else ("the file is empty" if not head else "the file is something else")
        raise TarFault("sdist-structure", f"{message}, its name says {kind}")
    if _ends_as_zip(file, size):
        raise TarFault("sdist-structure", f"the file is both {kind} data and a ZIP archive: tools disagree about what is in it")
    file.seek(0)
    for member, content in read_tar(unpacked(file, kind, size, limits), limits):
        yield member, content()


def _ends_as_zip(file: BinaryIO, size: int) -> bool:
    """True if a ZIP reader would find a directory at the file's end."""
    start = max(0, size - 22 - 0xFFFF)
    file.seek(start)
    tail = file.read(size - start)
    position = tail.rfind(b"PK\5\6")
    while position >= 0:
        record = tail[position : position + 22]
        if len(record) == 22:
            length = int.from_bytes(record[12:16], "little")
            before = start + position - length
            if length == 0 and int.from_bytes(record[10:12], "little") == 0 and record[4:8] == b"\0\0\0\0":
                return True
            if before >= 0 and length >= 46:
                file.seek(before)
                if file.read(4) == b"PK\1\2":
                    return True
        position = tail.rfind(b"PK\5\6", 0, position)
    return False


def _zip_members(window: Window, faults: Faults, limits: Limits) -> Iterator[tuple[TarMember, Iterable[bytes | memoryview]]]:
    entries = read_directory(window, faults, limits)
    if faults.failed:
        return
    for entry in entries:
        kind = {0: "file", 0o100000: "file", 0o040000: "folder"}.get(entry.mode & 0o170000)
        if kind is None:
            raise TarFault("sdist-type", f"{entry.name!r} is marked as something else than a file; links in .zip files are not followed")
        folder = entry.name.endswith("/")
        if folder and entry.size:
            raise TarFault("sdist-structure", f"the folder {entry.name!r} carries {entry.size} bytes of data")
        if kind == "folder" and not folder:
            raise TarFault("sdist-structure", f"{entry.name!r} is a folder with the name of a file")
        member = TarMember(
            name=entry.name[:-1] if folder else entry.name,
            kind="folder" if folder else "file",
            size=entry.size,
            mode=entry.mode & 0o7777 or 0o644,
            mtime=0,
            target="",
        )
        content = pieces(window, entry, faults)
        yield member, content
        for _ in content:
            pass


def _check_names(tree: _Tree, faults: Faults) -> None:
    for member in tree.members:
        fault = name_fault(member.name.rstrip("/") if member.kind == "folder" and member.name.strip("/") else member.name)
        if fault is None:
            continue
        if fault.windows_only:
            faults.warning("sdist-name", fault.reason)
        else:
            faults.error("sdist-name", fault.reason)
    seen: dict[str, str] = {}
    names = []
    for member in tree.members:
        # A folder, or a file with the same content, may be there twice: whichever a reader takes, it gets the same.
        again = member.name in seen
        same = seen.setdefault(member.name, member.kind) == member.kind
        if again and same and (member.kind == "folder" or (member.kind == "file" and member.name in tree.repeated)):
            continue
        names.append(f"{member.name}/" if member.kind == "folder" else member.name)
    for collision in collisions(names):
        faults.error("sdist-collision", f"{collision.first!r} and {collision.second!r} {collision.reason}")


def _check_links(members: list[TarMember], faults: Faults) -> None:
    """Every link ends inside the top folder whatever way it goes, and no member is reached through one."""
    symlinks = {member.name: member.target for member in members if member.kind == "symlink"}
    if len(symlinks) > _MOST_LINKS:
        faults.error("sdist-bomb", f"{len(symlinks)} symbolic links; at most {_MOST_LINKS} are followed")
        return
    files: set[str] = set()
    for member in members:
        if member.kind == "file":
            files.add(member.name)
        elif member.kind == "link":
            if member.target not in files:
                faults.error("sdist-link", f"the hard link {member.name!r} leads to {member.target[:200]!r}, which is no file before it")
            files.add(member.name)
        elif member.kind == "symlink":
            top = member.name.partition("/")[0]
            if (reason := _link_fault(member, symlinks, top)) is not None:
                faults.error("sdist-link", f"the link {member.name!r} leads to {member.target[:200]!r}: {reason}")
        if symlinks:
            # Not dirname, whose answer for "/" is "/" for ever.
            parent = member.name.rpartition("/")[0]
            while parent:
                if parent in symlinks:
                    faults.error("sdist-link", f"{member.name!r} would be written through the link {parent!r}")
                    break
                parent = parent.rpartition("/")[0]


def _link_fault(member: TarMember, symlinks: dict[str, str], top: str) -> str | None:
    if "/" not in member.name:
        return "the top folder itself is a link"
    target = member.target
    if not target or target.startswith("/") or "\\" in target or re.match(r"[A-Za-z]:", target) or "\0" in target:
        return "it is not a relative path"
    place = posixpath.dirname(member.name).split("/")
    todo = target.split("/")[::-1]
    hops = 0
    while todo:
        part = todo.pop()
        if part in ("", "."):
            continue
        if part == "..":
            if not place:
                return "it climbs out of the archive"
            place.pop()
            continue
        place.append(part)
        onward = symlinks.get("/".join(place))
        if onward is not None:
            hops += 1
            if hops > 40:
                return "it goes in a circle"
            place.pop()
            todo.extend(onward.split("/")[::-1])
    return None if place[:1] == [top] else "it leaves the top folder"


def _top(tree: _Tree, faults: Faults) -> str | None:
    tops = sorted({member.name.partition("/")[0] for member in tree.members})
    if len(tops) != 1 or not any("/" in member.name for member in tree.members):
        shown = ", ".join(repr(top) for top in tops[:5]) or "nothing"
        faults.error("sdist-structure", f"a source archive holds one top-level folder; this one holds {shown}")
        return None
    return tops[0]


def _facts(
    tree: _Tree, filename: str, sha256: str, size: int, stated: tuple[str, Version] | None, faults: Faults, limits: Limits
) -> SdistFacts | None:
    top = _top(tree, faults)
    if top is None:
        return None
    names = {member.name for member in tree.members}
    pyproject = _pyproject(tree.texts.get(f"{top}/pyproject.toml"), faults)
    requires, backend, backend_path = _build_system(pyproject, faults)
    if f"{top}/pyproject.toml" not in names and not any(f"{top}/{name}" in names for name in _LEGACY_SETUP):
        faults.error(
            "sdist-build",
            "it has neither pyproject.toml nor setup.py: nothing says how to build it",
            hint="choose a version that has a wheel, or ask its authors for a whole source archive",
        )
    metadata = None
    if (data := tree.texts.get(f"{top}/PKG-INFO")) is not None:
        metadata = read_metadata(data, faults, limits=limits, what="PKG-INFO")
    elif stated is not None:
        faults.warning("sdist-metadata", "it has no PKG-INFO; its name and version are those of its file name")
    name, version = _identity(stated, metadata, pyproject, filename, faults)
    if name is None or version is None:
        return None
    if stated is not None and _sdist_name(f"{top}.zip") != stated:
        faults.warning("sdist-name", f"its top folder is called {top!r}, not {name}-{version}")
    static = metadata is not None and metadata.metadata_version >= (2, 2) and "requires-dist" not in metadata.dynamic
    return SdistFacts(
        filename=filename,
        sha256=sha256,
        size=size,
        name=name,
        version=version,
        top=top,
        requires=metadata.requires if metadata is not None and static else None,
        requires_python=_requires_python(metadata, pyproject),
        build_requires=requires,
        backend=backend,
        backend_path=backend_path,
        compiled=any(member.kind == "file" and member.name.lower().endswith(_COMPILED) for member in tree.members),
        findings=faults.findings(),
    )


def _identity(
    stated: tuple[str, Version] | None, metadata: MetadataFacts | None, pyproject: dict[str, Any], filename: str, faults: Faults
) -> tuple[str | None, Version | None]:
    if metadata is not None:
        if stated is not None and metadata.name != stated[0]:
            faults.error("metadata-name", f"the file name says {stated[0]!r}, PKG-INFO says Name: {metadata.display_name}")
        if stated is not None and metadata.version != stated[1]:
            faults.error("metadata-name", f"the file name says version {stated[1]}, PKG-INFO says Version: {metadata.version}")
        return metadata.name, metadata.version
    if stated is not None:
        return stated
    project = pyproject.get("project")
    if isinstance(project, dict) and isinstance(project.get("name"), str) and isinstance(project.get("version"), str):
        version = version_of(project["version"])
        if version is not None:
            return canonicalize_name(project["name"]), version
    faults.error("sdist-metadata", f"neither the name {filename[:200]!r} nor a PKG-INFO or a static [project] table says what this is")
    return None, None


def _requires_python(metadata: MetadataFacts | None, pyproject: dict[str, Any]) -> SpecifierSet | None:
    if metadata is not None and metadata.requires_python is not None:
        return metadata.requires_python
    project = pyproject.get("project")
    stated = project.get("requires-python") if isinstance(project, dict) else None
    return specifiers_of(stated) if isinstance(stated, str) else None


def _pyproject(data: bytes | None, faults: Faults) -> dict[str, Any]:
    if data is None:
        return {}
    try:
        return toml_of(data.decode("utf-8"))
    except ValueError as error:
        faults.error("sdist-build", f"pyproject.toml cannot be read: {error}")
        return {}


def _build_system(pyproject: dict[str, Any], faults: Faults) -> tuple[tuple[Requirement, ...], str, tuple[str, ...]]:
    table = pyproject.get("build-system", {"requires": list(_DEFAULT_REQUIRES)})
    if not isinstance(table, dict):
        faults.error("sdist-build", "pyproject.toml: build-system is not a table")
        return (), "", ()
    texts = table.get("requires")
    requires = []
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        faults.error("sdist-build", "pyproject.toml: build-system.requires must be a list of requirements (PEP 518)")
        texts = []
    for text in texts:
        requirement = requirement_of(text)
        if isinstance(requirement, str):
            faults.error("sdist-build", f"pyproject.toml: build-system.requires: {text[:200]!r}: {requirement}")
        elif requirement.url:
            faults.error(
                "sdist-build",
                f"pyproject.toml: build-system.requires fetches {without_credentials(text)[:200]!r} from a URL",
                hint="nothing is fetched from there; patch the project, or take a version that has a wheel",
            )
        else:
            requires.append(requirement)
    backend = table.get("build-backend", _DEFAULT_BACKEND)
    if not isinstance(backend, str) or not _BACKEND.fullmatch(backend):
        faults.error("sdist-build", f"pyproject.toml: build-system.build-backend {str(backend)[:200]!r} is no module:object")
        backend = ""
    paths = table.get("backend-path", [])
    # Early flit_core and hatchling wrote a string, which pip takes as a list of one.
    paths = [paths] if paths == "." else paths
    if not isinstance(paths, list) or not all(isinstance(text, str) for text in paths):
        faults.error("sdist-build", "pyproject.toml: build-system.backend-path must be a list of folders (PEP 517)")
        paths = []
    for text in paths:
        normal = posixpath.normpath(text) if text else ".."
        if normal.startswith(("/", "..")) or "\\" in text or re.match(r"[A-Za-z]:", text):
            faults.error("sdist-build", f"pyproject.toml: build-system.backend-path {text[:200]!r} leaves the source folder (PEP 517)")
    return tuple(requires), backend, tuple(paths)


def _write(file: BinaryIO, tree: _Tree, filename: str, size: int, root: Path, limits: Limits) -> None:
    """Unpack below ``root``: folders and files first, the links when nothing is left to be written through them."""
    faults = Faults(filename)
    kind = _KINDS[_suffix(filename).lower()]
    links: list[TarMember] = []
    written: set[str] = set()
    expected = iter(tree.members)
    try:
        for member, content in _members(file, kind, size, faults, limits):
            if member != next(expected, None):
                raise IntegrityError(f"{member.name!r} is not what was judged", where=filename)
            _second_opinion(member, root, filename)
            path = root.joinpath(*member.name.split("/"))
            if member.kind == "folder":
                path.mkdir(mode=0o755, parents=True, exist_ok=True)
            elif member.kind == "file" and member.name not in written:
                written.add(member.name)
                path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
                with open(os.open(path, flags, 0o600), "wb") as out:
                    for piece in content:
                        out.write(piece)
                path.chmod(0o755 if member.mode & 0o111 else 0o644)
                # ZIP and some backends cannot tell times before 1980.
                os.utime(path, (max(member.mtime, 315_532_800),) * 2)
            elif member.kind != "file":
                links.append(member)
    except (TarFault, MemberFault) as fault:
        raise IntegrityError(fault.message, where=filename) from None
    for member in links:
        path = root.joinpath(*member.name.split("/"))
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        if member.kind == "link":
            shutil.copy2(root.joinpath(*member.target.split("/")), path, follow_symlinks=False)
            continue
        try:
            path.symlink_to(member.target)
        except OSError:
            # Windows lets few users make links.
            aim = path.parent / member.target
            with contextlib.suppress(OSError):
                (shutil.copytree if aim.is_dir() else shutil.copy2)(aim, path)


def _second_opinion(member: TarMember, root: Path, filename: str) -> None:
    """The standard library's filter (PEP 706) must agree; old patch releases of Python 3.11 have none."""
    check = getattr(tarfile, "data_filter", None)
    if check is None:
        return
    info = tarfile.TarInfo(member.name)
    info.type = {"file": tarfile.REGTYPE, "folder": tarfile.DIRTYPE, "symlink": tarfile.SYMTYPE, "link": tarfile.LNKTYPE}[member.kind]
    info.linkname, info.size, info.mode = member.target, member.size, member.mode
    try:
        check(info, str(root))
    except tarfile.FilterError as error:
        raise IntegrityError(f"{member.name!r} is refused: {error}", where=filename) from None

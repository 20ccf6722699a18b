"""An unpacked system that stands in for this machine's own in the sandbox: what of it is shown, and what it is."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hardtack.building.sandbox_system import FOLDERS, SETTINGS, toolsets
from hardtack.building.sandbox_within import listed, within
from hardtack.errors import BuildFault

# An image keeps compilers and Pythons in /opt (/opt/rh, /opt/python); this machine's own /opt is nobody's business.
_SHOWN = (*FOLDERS, "/opt")
_ALSO_SHOWN = ("/etc/os-release", "/etc/redhat-release", "/etc/debian_version", "/etc/alpine-release")
_LIBRARY_LIMIT = 32 << 20  # bytes; a C library has two or three million

_HINT = (
    "give the folder that an older distribution or a manylinux image was unpacked into: debootstrap, mmdebstrap, or docker export | tar x "
    "(docs/compiled.md)"
)


class BadRoot(BuildFault):
    """A folder that was given as a build root is none, or cannot be entered here."""

    slug = "build-root"


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemRoot:
    """An unpacked system in ``folder``. ``binds`` are (folder or file of this machine, place inside), ``links`` are (target, place inside).

    No bind leads out of ``folder``, whatever links lie in it. ``label`` names the system without its place. ``glibc`` is None for musl.
    ``variables`` are what its programs need in the environment to find their own. ``digest`` changes with the names, sizes and times in it.
    """

    folder: Path
    label: str
    glibc: tuple[int, int] | None
    binds: tuple[tuple[Path, str], ...]
    links: tuple[tuple[str, str], ...]
    variables: tuple[tuple[str, str], ...]
    digest: str


def read_root(folder: Path) -> SystemRoot:
    """What lies in ``folder``, as far as the sandbox shows it. Raises BadRoot, with the reason, where that is no system."""
    where = str(folder)
    try:
        root = folder.resolve(strict=True)
    except (OSError, RuntimeError):
        raise BadRoot("there is no such folder for a build root", where=where, hint=_HINT) from None
    if not root.is_dir():
        raise BadRoot("a build root is a folder", where=where, hint=_HINT)
    if root == Path(root.anchor):
        raise BadRoot("this machine's own system is what builds run in anyway", where=where, hint="leave --build-root out")
    programs = within(root, "/usr/bin")
    if programs is None or not programs.is_dir():
        raise BadRoot("no system was unpacked here: it has no usr/bin of its own", where=where, hint=_HINT)
    if within(root, "/bin/sh") is None:
        raise BadRoot("no system was unpacked here: it has no bin/sh of its own", where=where, hint=_HINT)
    libc = _c_library(root)
    if libc is None:
        raise BadRoot("no system was unpacked here: it has neither glibc nor musl", where=where, hint=_HINT)
    binds, links = _shown(root)
    name = _distribution(root)
    kind = f"glibc {libc[0]}.{libc[1]}" if libc else "musl"
    return SystemRoot(
        folder=root,
        label=f"{kind} ({name})" if name else kind,
        glibc=libc or None,
        binds=binds,
        links=links,
        variables=_variables(root),
        digest=_digest(binds, links),
    )


def _shown(root: Path) -> tuple[tuple[tuple[Path, str], ...], tuple[tuple[str, str], ...]]:
    binds: list[tuple[Path, str]] = []
    links: list[tuple[str, str]] = []
    real = {name for name in _SHOWN if _is_folder(root / name[1:])}
    for name in _SHOWN:
        place = within(root, name)
        if place is None or not _is_folder(place):
            continue
        target = "/" + place.relative_to(root).as_posix()
        if name in real:
            binds.append((place, name))
        elif any(target == other or target.startswith(f"{other}/") for other in real):
            # A link stays one: programs ask where they really are.
            links.append((target, name))
        else:
            binds.append((place, name))
    for name in (*SETTINGS, *_ALSO_SHOWN):
        place = within(root, name)
        if place is not None and (_is_folder(place) or stat.S_ISREG(place.lstat().st_mode)):
            binds.append((place, name))
    return tuple(binds), tuple(links)


def _variables(root: Path) -> tuple[tuple[str, str], ...]:
    """What an image states in its configuration, which an unpacked one has lost."""
    found = []
    libraries = [f"{toolset}/{name}" for toolset in toolsets(root)[:1] for name in ("lib64", "lib")]
    packages = ["/usr/local/lib64/pkgconfig", "/usr/local/lib/pkgconfig"]
    for name, folders in (("LD_LIBRARY_PATH", libraries), ("PKG_CONFIG_PATH", packages)):
        there = [folder for folder in folders if within(root, folder) is not None]
        if there:
            found.append((name, ":".join(there)))
    return tuple(found)


def _is_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except OSError:
        return False


def _c_library(root: Path) -> tuple[int, int] | tuple[()] | None:
    """glibc's version, () for musl, None where there is neither."""
    places = [
        place
        for library in ("/lib", "/usr/lib")
        for place in (f"{library}64", *(f"{library}/{name}" for name in listed(root, library) if "-linux-gnu" in name), library)
    ]
    for place in places:
        found = re.search(rb"GNU C Library [^\n\0]*version (\d{1,3})\.(\d{1,3})", _content(root, f"{place}/libc.so.6", _LIBRARY_LIMIT))
        if found is not None:
            return int(found[1]), int(found[2])
    return () if any(name.startswith("ld-musl-") for name in listed(root, "/lib")) else None


def _distribution(root: Path) -> str:
    """The distribution by its own word ("Debian 10", "AlmaLinux 8.10"), "" where it says nothing."""
    text = _content(root, "/etc/os-release", 1 << 16) or _content(root, "/usr/lib/os-release", 1 << 16)
    said = dict(re.findall(r"^(NAME|VERSION_ID)=[\"']?([^\"'\n]*)", text.decode("utf-8", "replace"), re.MULTILINE))
    name = re.sub(r" (?:GNU/)?Linux$", "", said.get("NAME", ""))
    words = f"{name} {said.get('VERSION_ID', '')}" if name else _content(root, "/etc/redhat-release", 200).decode("utf-8", "replace")
    return " ".join(re.sub(r"[^A-Za-z0-9 .+_-]", " ", words).split())[:40].strip()


def _content(root: Path, path: str, limit: int) -> bytes:
    """The first ``limit`` bytes of a file of the system; nothing where it is no regular file."""
    place = within(root, path)
    if place is None:
        return b""
    try:
        descriptor = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as stream:
            return stream.read(limit) if stat.S_ISREG(os.fstat(descriptor).st_mode) else b""
    except OSError:
        return b""


def _digest(binds: tuple[tuple[Path, str], ...], links: tuple[tuple[str, str], ...]) -> str:
    digest = hashlib.sha256()
    for target, name in links:
        digest.update(os.fsencode(f"{name}\0{target}\0"))
    for place, name in binds:
        digest.update(os.fsencode(f"{name}\0"))
        for line in sorted(_entries(place)):
            digest.update(line)
    return digest.hexdigest()


def _entries(top: Path) -> Iterator[bytes]:
    """A line for each file below a folder (or for the file itself): its place, kind, size and time; a link's target."""
    waiting = [os.fsencode(top)]
    start = len(waiting[0])
    while waiting:
        path = waiting.pop()
        try:
            state = os.lstat(path)
            kind = stat.S_IFMT(state.st_mode)
            if kind == stat.S_IFDIR:
                waiting += [os.path.join(path, name) for name in os.listdir(path)]
                size, more = 0, b""
            else:
                size, more = state.st_size, os.readlink(path) if kind == stat.S_IFLNK else b""
        except OSError:
            continue
        changed = 0 if kind in (stat.S_IFDIR, stat.S_IFLNK) else int(state.st_mtime)
        yield b"%s\0%o\0%d\0%d\0%s\0" % (path[start:], state.st_mode, size, changed, more)

"""A wheel's bytes, judged and read into facts (PEP 427, the recorded-files and entry-points specifications)."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from hardtack.model.native import MachineCode
from hardtack.model.wheel import BadWheel, WheelFacts
from hardtack.wheelhouse.elf_members import ElfMembers
from hardtack.wheelhouse.faults import Faults
from hardtack.wheelhouse.limits import DEFAULT, Limits
from hardtack.wheelhouse.member_names import collisions, fold, name_fault
from hardtack.wheelhouse.metadata import MetadataFacts, read_metadata
from hardtack.wheelhouse.native import native_facts
from hardtack.wheelhouse.record import Row, compare, read_record
from hardtack.wheelhouse.scripts import check_entry_points, is_interpreter, script_fault
from hardtack.wheelhouse.wheel_names import WheelName, read_wheel_name, tags_of, version_of
from hardtack.wheelhouse.zip_members import MemberFault, pieces, read_member
from hardtack.wheelhouse.zip_structure import BLOCK, Entry, Window, read_directory

if TYPE_CHECKING:
    from packaging.tags import Tag

_SCHEMES = frozenset({"purelib", "platlib", "headers", "scripts", "data"})
_SITE = frozenset({"purelib", "platlib"})
_INSTALLERS = frozenset({"INSTALLER", "REQUESTED", "direct_url.json"})
_SIGNED = (".jws", ".p7s")
_START_UP = frozenset({"sitecustomize.py", "usercustomize.py"})
_MODULE = re.compile(r"([^\W\d]\w*)(?:\.[\w-]+)*\.(?:py|pyc|so|pyd)")
_PLATFORM = re.compile(r"(?P<kind>linux|manylinux|musllinux|macosx)(?:[0-9]+|_[0-9]+_[0-9]+)?_(?P<machine>[a-z]\w*)")
_SMALL = 1 << 20


def inspect_wheel(path: Path, *, filename: str, sha256: str, limits: Limits = DEFAULT) -> WheelFacts | BadWheel:
    """Everything that is wrong with the wheel at once, or what it says of itself.

    ``filename`` is the wheel's own name (the store names files by digest), ``sha256`` the digest that its bytes must have.
    """
    faults = Faults(filename, limit=limits.findings)
    named = read_wheel_name(filename, faults, limits=limits)
    if named is not None:
        faults.package, faults.version = named.name, str(named.version)
    with open(path, "rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        actual = hashlib.file_digest(file, "sha256").hexdigest()
        if actual != sha256.lower():
            faults.error("hash-mismatch", f"the file has sha256 {actual}, expected is {sha256}")
            return BadWheel(filename=filename, sha256=sha256, findings=faults.findings())
        facts = _inspect(Window(file, size), named, faults, limits)
    if facts is None or named is None or faults.failed:
        return BadWheel(filename=filename, sha256=sha256, findings=faults.findings())
    return WheelFacts(
        filename=filename,
        sha256=sha256,
        size=size,
        name=named.name,
        version=facts.metadata.version,
        build=named.build,
        tags=named.tags,
        requires_python=facts.metadata.requires_python,
        requires=facts.metadata.requires,
        extras=facts.metadata.extras,
        display_name=facts.metadata.display_name,
        summary=facts.metadata.summary,
        license=facts.metadata.license,
        pure=all(tag.abi == "none" and tag.platform == "any" for tag in named.tags),
        modules=facts.modules,
        native=facts.native,
        findings=faults.findings(),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Inside:
    metadata: MetadataFacts
    modules: tuple[str, ...]
    native: MachineCode | None


def _inspect(window: Window, named: WheelName | None, faults: Faults, limits: Limits) -> _Inside | None:
    entries = read_directory(window, faults, limits)
    _check_names(entries, named, faults)
    if faults.failed and not entries:
        return None
    _check_types(entries, faults)
    if any(finding.code in ("zip-structure", "zip-bomb") for finding in faults.findings()):
        # What follows would judge one of several readings of the file, or spend what a bomb wants spent.
        return None
    files = {entry.name: entry for entry in entries if not entry.name.endswith("/")}
    dist_info = _dist_info(entries, named, faults)
    rows: dict[str, Row] = {}
    metadata = None
    if dist_info is not None:

        def read(name: str, limit: int, *, required: bool = False, code: str = "dist-info") -> bytes | None:
            entry = files.get(f"{dist_info}/{name}")
            if entry is None:
                if required:
                    faults.error(code, f"the wheel has no {dist_info}/{name}")
                return None
            return read_member(window, entry, faults, limit=limit)

        # A line has a name (perhaps quoted), a digest, and a size: with so many members it cannot be longer.
        longest = sum(2 * len(entry.raw) + 250 for entry in entries) + 1000
        if (record := read("RECORD", min(limits.record, longest), required=True, code="record")) is not None:
            rows = read_record(record, dist_info, faults, most=len(entries) + len(_SIGNED))
            folders = {entry.name[:-1] for entry in entries if entry.name.endswith("/")}
            compare(rows, {name: entry.size for name, entry in files.items()}, dist_info, folders, faults)
        if (data := read("METADATA", limits.metadata, required=True, code="metadata")) is not None:
            metadata = read_metadata(data, faults, limits=limits)
        if (data := read("WHEEL", _SMALL, required=True, code="wheel-file")) is not None:
            _check_wheel_file(data, named, faults)
        if (data := read("entry_points.txt", _SMALL)) is not None:
            check_entry_points(data, faults)
    if metadata is not None and named is not None:
        if metadata.name != named.name:
            faults.error("metadata-name", f"the file name says {named.name!r}, METADATA says Name: {metadata.display_name}")
        if metadata.version != named.version:
            faults.error("metadata-name", f"the file name says version {named.version}, METADATA says Version: {metadata.version}")
        for name in sorted(_INSTALLERS & {name.removeprefix(f"{dist_info}/") for name in files}):
            faults.warning(
                "dist-info", f"{dist_info}/{name} is for installers to write; a wheel that brings it claims an origin it may not have"
            )
    modules = _check_destinations(files, faults)
    elves = ElfMembers()
    _check_contents(window, entries, rows, elves, faults)
    return _Inside(metadata=metadata, modules=modules, native=native_facts(elves).code) if metadata is not None else None


def _check_names(entries: list[Entry], named: WheelName | None, faults: Faults) -> None:
    windows = named is None or named.any_windows
    folding = named is None or named.any_folding
    for entry in entries:
        fault = name_fault(entry.name)
        if fault is None:
            continue
        if fault.windows_only and not windows:
            faults.warning("zip-name", fault.reason)
        else:
            faults.error("zip-name", fault.reason)
    for collision in collisions(entry.name for entry in entries):
        message = f"{collision.first!r} and {collision.second!r} {collision.reason}"
        if collision.folded and not folding:
            faults.warning("zip-collision", message)
        else:
            faults.error("zip-collision", message)


def _check_types(entries: list[Entry], faults: Faults) -> None:
    for entry in entries:
        kind = stat.S_IFMT(entry.mode)
        folder = entry.name.endswith("/")
        if folder and (entry.size or entry.packed > 2):
            faults.error("zip-structure", f"the folder {entry.name!r} carries {entry.size} bytes of data")
        if kind in (0, stat.S_IFREG) or (kind == stat.S_IFDIR and folder):
            continue
        kinds = {stat.S_IFLNK: "symbolic link", stat.S_IFDIR: "folder", stat.S_IFIFO: "pipe", stat.S_IFSOCK: "socket"}
        kinds |= {stat.S_IFCHR: "character device", stat.S_IFBLK: "block device"}
        faults.error("zip-type", f"{entry.name!r} is marked as a {kinds.get(kind, f'file of type {kind:#o}')}; wheels hold files only")


def _dist_info(entries: list[Entry], named: WheelName | None, faults: Faults) -> str | None:
    """The one top-level .dist-info folder; whether it and .data are called what the file is called."""
    tops: dict[str, list[str]] = {".dist-info": [], ".data": []}
    for top in dict.fromkeys(entry.name.partition("/")[0] for entry in entries):
        for suffix, found in tops.items():
            if fold(top).endswith(suffix):
                found.append(top)
    if len(tops[".dist-info"]) != 1:
        shown = ", ".join(sorted(tops[".dist-info"])) or "none"
        faults.error("dist-info", f"a wheel has one top-level .dist-info folder; this one has: {shown}")
        return None
    if len(tops[".data"]) > 1:
        faults.error("dist-info", f"a wheel has at most one .data folder; this one has: {', '.join(sorted(tops['.data']))}")
    for suffix, folders in tops.items():
        for top in folders:
            name, _, version = top[: -len(suffix)].partition("-")
            matches = top.endswith(suffix) and (
                named is None or (canonicalize_name(name) == named.name and version_of(version) == named.version)
            )
            if not matches:
                expected = f"{named.name}-{named.version}" if named else "name-version"
                faults.error("dist-info", f"the folder {top!r} does not belong to {expected}")
    return tops[".dist-info"][0]


def _check_wheel_file(data: bytes, named: WheelName | None, faults: Faults) -> None:
    fields: dict[str, list[str]] = {}
    # Lines as the email package of the installers has them: other characters that Python calls line ends do not end one here.
    for line in re.split(r"\r\n|\r|\n", data.decode("utf-8", "replace")):
        key, colon, value = line.partition(":")
        if colon:
            fields.setdefault(key.strip().lower(), []).append(value.strip())
    versions = fields.get("wheel-version", [])
    match = re.fullmatch(r"([0-9]{1,4})\.([0-9]{1,4})", versions[0]) if len(versions) == 1 else None
    if match is None:
        faults.error("wheel-file", f"WHEEL: one Wheel-Version is required, it is {', '.join(versions)[:100] or 'missing'}")
    elif match[1] == "0":
        # PEP 427 has installers fail at a greater major version only, and the first wheels of all were such.
        faults.warning("wheel-file", f"WHEEL: Wheel-Version {versions[0]} is older than the standard")
    elif match[1] != "1":
        faults.error("wheel-file", f"WHEEL: Wheel-Version {versions[0]} is of a major version that installers refuse (1.x is known)")
    elif match[2] != "0":
        faults.warning("wheel-file", f"WHEEL: Wheel-Version {versions[0]} is newer than 1.0")
    pure = fields.get("root-is-purelib", [])
    if len(pure) != 1 or pure[0].lower() not in ("true", "false"):
        faults.warning("wheel-file", f"WHEEL: Root-Is-Purelib is {', '.join(pure)[:100] or 'missing'}, not true or false")
    if named is None:
        return
    stated: set[Tag] = set()
    for text in fields.get("tag", []):
        try:
            stated |= tags_of(text, DEFAULT.tags)
        except ValueError:
            faults.warning("wheel-file", f"WHEEL: {text[:200]!r} is no tag")
        if len(stated) > 4 * DEFAULT.tags:
            faults.error("wheel-file", f"WHEEL states more than {4 * DEFAULT.tags} tags")
            return
    if not stated:
        faults.warning("wheel-file", "WHEEL names no tag")
    elif not any(_narrows(tag, other) for tag in named.tags for other in stated):
        shown = sorted(str(tag) for tag in stated)[:5]
        faults.error("wheel-file", f"WHEEL says {', '.join(shown)}; the file name claims other tags")
    elif stated != named.tags:
        faults.warning("wheel-file", f"WHEEL and the file name differ in {len(stated ^ named.tags)} tags")


def _narrows(tag: Tag, other: Tag) -> bool:
    """True if a wheel that is ``other`` inside may be offered as ``tag``: makers of binary-only wheels retag pure ones for a platform."""
    return (
        (other.platform in (tag.platform, "any") or _related(tag.platform, other.platform))
        and other.abi in (tag.abi, "none")
        and (tag.interpreter.startswith(other.interpreter) or (other.interpreter == "py3" and tag.interpreter.startswith("cp3")))
    )


def _related(claimed: str, stated: str) -> bool:
    """True if a file name's platform is WHEEL's of another version: popular wheels are made for "linux_x86_64" and renamed, not repaired.

    Whether they run there is told from their machine code.
    """
    one, two = _PLATFORM.fullmatch(claimed), _PLATFORM.fullmatch(stated)
    if one is None or two is None:
        return False
    return two["kind"] in (one["kind"], "linux" if one["kind"] != "macosx" else "macosx") and two["machine"] in (
        one["machine"],
        "universal2",
    )


def _check_destinations(files: dict[str, Entry], faults: Faults) -> tuple[str, ...]:
    """Where the files will land: nothing lands twice or replaces what is not its own. Returns the top-level modules."""
    through_schemes = any(name.partition("/")[0].endswith(".data") for name in files)
    landed = {fold(name): name for name in files} if through_schemes else {}
    modules: set[str] = set()
    for name in files:
        top, _, rest = name.partition("/")
        if not top.endswith(".data"):
            _check_site(name, name, modules, faults)
            continue
        scheme, slash, inner = rest.partition("/")
        if scheme not in _SCHEMES or not slash or not inner:
            faults.error("data-scheme", f"{name!r} is in no known scheme (purelib, platlib, headers, scripts, data)")
        elif scheme in _SITE:
            other = landed.setdefault(fold(inner), name)
            if other != name:
                faults.error("zip-collision", f"{name!r} and {other!r} are installed as one file")
            if (head := fold(inner.partition("/")[0])).endswith((".dist-info", ".data")):
                faults.error("dist-info", f"{name!r} would be installed into {head!r}, the metadata of a package")
            _check_site(inner, name, modules, faults)
        elif scheme == "scripts":
            if "/" in inner:
                faults.warning("script-name", f"{name!r} is in a folder of its own below the scripts, where no PATH finds it")
            elif fault := script_fault(inner):
                faults.error("script-name", f"{name!r}: {fault}")
        elif scheme == "data":
            head, _, tail = inner.rpartition("/")
            if fold(head) in ("", "bin", "scripts") and is_interpreter(tail):
                faults.error("script-name", f"{name!r} would replace the interpreter or its configuration")
            elif "site-packages/" in fold(inner):
                _check_site(inner.rpartition("site-packages/")[2], name, set(), faults)
                faults.warning("data-scheme", f"{name!r} is put into site-packages by way of the data scheme")
    return tuple(sorted(modules))


def _check_site(path: str, name: str, modules: set[str], faults: Faults) -> None:
    """A file that lands in site-packages: what runs at every start is noted, what can be imported is collected."""
    top, slash, rest = path.partition("/")
    if slash:
        if rest.endswith((".py", ".so", ".pyd", ".pyc")) and top.isidentifier():
            modules.add(top)
    elif top.endswith(".pth") or top in _START_UP:
        faults.note("start-up-code", f"{name!r} runs whenever Python starts", hint="legal; look at it if you do not know why it is there")
    elif match := _MODULE.fullmatch(top):
        modules.add(match[1])


def _check_contents(window: Window, entries: list[Entry], rows: dict[str, Row], elves: ElfMembers, faults: Faults) -> None:
    """Every member inflated once: its CRC and its digest compared, and what is machine code read on the way."""
    for entry in entries:
        row = rows.get(entry.name)
        digest = row.digest if row is not None else None
        source = partial(pieces, window, entry, faults)
        content = elves.watch(entry.name, entry.size, source) if elves.wants(entry.name, entry.size) else source()
        try:
            if row is None or digest is None:
                for _ in content:
                    pass
                continue
            hasher = _HASHERS[row.algorithm]()
            for piece in content:
                hasher.update(piece)
        except MemberFault as fault:
            faults.error(fault.code, fault.message)
            continue
        if hasher.digest() != digest:
            faults.error("record-hash", f"{entry.name!r} has {row.algorithm} {hasher.hexdigest()}, RECORD says {digest.hex()}")


_HASHERS: dict[str, Callable[[], hashlib._Hash]] = {
    name: getattr(hashlib, name) for name in ("sha256", "sha384", "sha512", "sha3_256", "sha3_384", "sha3_512", "blake2b", "blake2s")
}
assert BLOCK >= _SMALL

"""What a wheel's machine code needs of the system that it is to run on, told by its files and not by its tags."""

from __future__ import annotations

import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

from packaging.tags import Tag

from hardtack.model.finding import Finding, Severity
from hardtack.model.target import Target
from hardtack.wheelhouse.elf import MAGIC, BadElf, ElfFacts, VersionNeed, read_elf
from hardtack.wheelhouse.manylinux import NOWHERE, libc_of, library_floor, promise, version_floor

_MEMBER_LIMIT = 16 << 30  # bytes unpacked
_IN_MEMORY = 16 << 20
_SMALLEST = 52  # bytes of the smallest ELF header
# Never machine code; everything else is looked at, for programs have no suffix.
_TEXTS = (".py", ".pyi", ".pyx", ".pxd", ".c", ".h", ".hpp", ".txt", ".md", ".rst", ".json", ".toml", ".yaml", ".yml", ".css", ".js",
          ".html", ".svg", ".png", ".typed", ".po", ".mo", ".csv", ".xml", ".cmake", ".f90", ".npy", ".npz", ".ttf")  # fmt: skip
_OTHERS = {
    b"MZ": "windows",
    b"\xcf\xfa\xed\xfe": "macos",
    b"\xce\xfa\xed\xfe": "macos",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeMember:
    """An ELF file of a wheel."""

    name: str
    elf: ElfFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolNeed:
    """What sets a floor: this file needs this version of this library's symbols, which systems have from ``floor`` on."""

    file: str
    library: str
    version: str
    symbol: str | None
    floor: tuple[int, int]

    def __str__(self) -> str:
        """As people read it: "GLIBC_2.34 (memfd_create in x.so)"."""
        short = self.file.rpartition("/")[2]
        return f"{self.version} ({self.symbol} in {short})" if self.symbol else f"{self.version} ({short})"


@dataclass(frozen=True, kw_only=True)
class NativeFacts:
    """A wheel's machine code. ``broken`` and ``others`` are (member, what is the matter), (member, system that it is for)."""

    members: tuple[NativeMember, ...] = ()
    broken: tuple[tuple[str, str], ...] = ()
    others: tuple[tuple[str, str], ...] = ()

    @cached_property
    def machines(self) -> frozenset[str]:
        """The architectures of its ELF files."""
        return frozenset(member.elf.machine for member in self.members)

    @cached_property
    def libcs(self) -> frozenset[str]:
        """The C libraries that its files were linked to; empty where all is static."""
        return frozenset(libc for member in self.members if (libc := libc_of(member.elf.needed)))

    @cached_property
    def _own(self) -> frozenset[str]:
        names = {member.name.rpartition("/")[2] for member in self.members}
        return frozenset(names | {member.elf.soname for member in self.members if member.elf.soname})

    def needs(self, arch: str, *, weak: bool = True) -> Iterator[SymbolNeed]:
        """Every need of its files for ``arch`` that has a floor. ``weak`` False leaves out what the loader starts without."""
        for member in self.members:
            if member.elf.machine != arch:
                continue
            for need in member.elf.versions:
                floor = None if need.library in self._own or (need.weak and not weak) else version_floor(need.version, arch)
                if floor is not None:
                    yield _need(member.name, need, floor)

    def floor(self, arch: str) -> tuple[int, int] | None:
        """The lowest glibc that all its files for ``arch`` load on, (2, 0) if any does; None where none is known to have what they need.

        Musl has no versions of symbols: its floor cannot be told from files.
        """
        floors = [need.floor for need in self.needs(arch)]
        floors += [found for library, _ in self._outside(arch) if (found := library_floor(library)) is not None]
        highest = max(floors, default=(2, 0))
        return None if highest >= NOWHERE else max(highest, (2, 0))

    def outside(self, arch: str) -> dict[str, tuple[str, ...]]:
        """The libraries that it needs, and that neither it nor every system of its kind has, each with the files that want it."""
        musl = "musl" in self.libcs
        return {library: files for library, files in self._outside(arch) if library_floor(library, musl=musl) is None}

    def _outside(self, arch: str) -> Iterator[tuple[str, tuple[str, ...]]]:
        found: dict[str, list[str]] = {}
        for member in self.members:
            if member.elf.machine == arch:
                for library in member.elf.needed:
                    if library not in self._own and "/" not in library:
                        found.setdefault(library, []).append(member.name)
        for library in sorted(found):
            yield library, tuple(found[library])


def wheel_floor(path: Path) -> NativeFacts:
    """Look into every member of a wheel that could be machine code. What cannot be read is in ``broken``, never an error."""
    members: list[NativeMember] = []
    broken: list[tuple[str, str]] = []
    others: list[tuple[str, str]] = []
    try:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                if info.file_size < _SMALLEST or info.filename.lower().endswith(_TEXTS):
                    continue
                try:
                    _look(archive, info, members, broken, others)
                except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
                    broken.append((info.filename, f"it cannot be unpacked: {error}"))
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        broken.append((path.name, f"no archive: {error}"))
    return NativeFacts(members=tuple(members), broken=tuple(broken), others=tuple(others))


def check_native(
    facts: NativeFacts, tags: frozenset[Tag], *, file: str, package: str | None = None, targets: Sequence[Target] = ()
) -> tuple[Finding, ...]:
    """Findings on a wheel that serves ``targets``, told by its files: a newer system needed than a target is, or libraries nobody gives.

    An error for each target whose floor is too low; a warning where its tags promise more than is true, and no target suffers from it.
    Weak symbols are no need: loading goes on without them.
    """
    found: list[Finding] = []
    for target in targets:
        ours = target.platform
        if ours.libc == "glibc" and ours.floor is not None and (above := _above(facts, ours.arch, ours.floor)):
            found.append(
                Finding(
                    code="glibc-floor",
                    message=f"it needs {above}, the target has {ours.floor[0]}.{ours.floor[1]}",
                    package=package,
                    target=target.name,
                    file=file,
                    hint="it may fail to load there, whatever its tags say: take another version, or build it from source",
                )
            )
    for arch, libc, promised in _promises(tags):
        if not found and libc == "glibc" and (above := _above(facts, arch, promised)):
            found.append(
                Finding(
                    code="glibc-floor",
                    severity=Severity.WARNING,
                    message=f"its tag promises glibc {promised[0]}.{promised[1]} on {arch}, yet it needs {above}",
                    package=package,
                    file=file,
                    hint="it may fail to load on the older systems of that tag",
                )
            )
        if outside := facts.outside(arch):
            shown = ", ".join(f"{library} ({files[0].rpartition('/')[2]})" for library, files in list(outside.items())[:8])
            found.append(
                Finding(
                    code="host-library",
                    severity=Severity.NOTE,
                    message=f"on {arch} it loads libraries that it does not bring and that no tag promises: {shown}",
                    package=package,
                    file=file,
                    hint="another wheel may bring them; else they must be installed on the host",
                )
            )
    return tuple(found)


def _above(facts: NativeFacts, arch: str, floor: tuple[int, int]) -> str | None:
    """What a wheel needs beyond a floor, the newest first, in words; None if nothing."""
    above: dict[str, SymbolNeed] = {}
    for need in facts.needs(arch, weak=False):
        if need.floor > floor:
            above.setdefault(need.version, need)
    return _listed(sorted(above.values(), key=lambda need: (need.floor, need.version), reverse=True)) if above else None


def _promises(tags: frozenset[Tag]) -> Iterator[tuple[str, str, tuple[int, int]]]:
    """(machine, libc, lowest floor that some tag promises) of each machine and libc that the tags name."""
    lowest: dict[tuple[str, str], tuple[int, int]] = {}
    for platform in {tag.platform for tag in tags}:
        if (read := promise(platform)) is not None:
            arch, libc, floor = read
            lowest[arch, libc] = min(floor, lowest.get((arch, libc), floor))
    for (arch, libc), floor in sorted(lowest.items()):
        yield arch, libc, floor


def _listed(needs: list[SymbolNeed]) -> str:
    shown = ", ".join(str(need) for need in needs[:4])
    return f"{shown} and {len(needs) - 4} more" if len(needs) > 4 else shown


def _look(
    archive: zipfile.ZipFile,
    info: zipfile.ZipInfo,
    members: list[NativeMember],
    broken: list[tuple[str, str]],
    others: list[tuple[str, str]],
) -> None:
    with archive.open(info) as packed:
        head = packed.read(4)
        if head != MAGIC:
            system = next((system for magic, system in _OTHERS.items() if head.startswith(magic)), None)
            if system is not None:
                others.append((info.filename, system))
            return
        with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as unpacked:
            unpacked.write(head)
            _copy(packed, unpacked)  # type: ignore[arg-type]
            facts = read_elf(unpacked)  # type: ignore[arg-type]
    if isinstance(facts, BadElf):
        broken.append((info.filename, facts.reason))
    else:
        members.append(NativeMember(name=info.filename, elf=facts))


def _copy(packed: BinaryIO, unpacked: BinaryIO) -> None:
    total = 0
    while piece := packed.read(1 << 20):
        total += len(piece)
        if total > _MEMBER_LIMIT:
            raise ValueError("it is too large")
        unpacked.write(piece)


def _need(file: str, need: VersionNeed, floor: tuple[int, int]) -> SymbolNeed:
    return SymbolNeed(file=file, library=need.library, version=need.version, symbol=need.symbol, floor=floor)

"""What a wheel's machine code needs of the system that it is to run on, told by its files and not by its tags."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

from packaging.tags import Tag

from hardtack.model.finding import Finding, Severity
from hardtack.model.native import LibraryNeed, MachineCode, SymbolVersion
from hardtack.model.target import Platform, Target
from hardtack.model.wheel import WheelFacts
from hardtack.wheelhouse.elf import ElfFacts
from hardtack.wheelhouse.elf_members import ElfMembers
from hardtack.wheelhouse.manylinux import NOWHERE, desktop_package, libc_of, library_floor, promise, version_floor

_MEMBER_LIMIT = 16 << 30  # bytes unpacked
_PIECE = 1 << 20
_PRIVATE = "GLIBC_PRIVATE"
# What Python imports: a name with an interpreter's suffix or none, and not a library's name.
_EXTENSION = re.compile(r"(?!lib)[^\W\d]\w*(?:\.(?:cpython-\d|abi3|pypy\d|graalpy)[\w-]*)?\.so")


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
    def code(self) -> MachineCode | None:
        """The same in short; None where there is no ELF file."""
        return _in_short(self) if self.members or self.broken else None

    def needs(self, arch: str, *, weak: bool = True) -> Iterator[SymbolNeed]:
        """Every need of its files for ``arch`` that has a floor. ``weak`` False leaves out what the loader starts without."""
        return _needs(self.code or MachineCode(), arch, weak=weak)

    def floor(self, arch: str) -> tuple[int, int] | None:
        """The lowest glibc that all its files for ``arch`` load on, (2, 0) if any does; None where none is known to have what they need.

        Musl has no versions of symbols: its floor cannot be told from files.
        """
        floors = [need.floor for need in self.needs(arch)]
        floors += [found for need in self._libraries(arch) if (found := library_floor(need.library)) is not None]
        highest = max(floors, default=(2, 0))
        return None if highest >= NOWHERE else max(highest, (2, 0))

    def outside(self, arch: str) -> dict[str, tuple[str, ...]]:
        """The libraries that it needs, and that neither it nor every system of its kind has, each with the files that want it."""
        musl = "musl" in self.libcs
        missing = [need.library for need in self._libraries(arch) if library_floor(need.library, musl=musl) is None]
        return {
            library: tuple(member.name for member in self.members if member.elf.machine == arch and library in member.elf.needed)
            for library in missing
        }

    def _libraries(self, arch: str) -> list[LibraryNeed]:
        return [need for need in (self.code.libraries if self.code else ()) if need.machine == arch]


def _in_short(facts: NativeFacts) -> MachineCode:
    members = facts.members
    gives = {(member.elf.machine, member.name.rpartition("/")[2]) for member in members}
    gives |= {(member.elf.machine, member.elf.soname) for member in members if member.elf.soname}
    loaded = _loaded(members)
    libraries: dict[tuple[str, str], LibraryNeed] = {}
    versions: dict[tuple[str, str, str, bool], SymbolVersion] = {}
    for member in members:
        machine, reached = member.elf.machine, member.name in loaded
        for library in member.elf.needed:
            if (machine, library) in gives or "/" in library:
                continue
            known = libraries.get((machine, library))
            if known is None or (reached and not known.loaded):
                libraries[machine, library] = LibraryNeed(machine=machine, library=library, file=member.name, loaded=reached)
        for need in member.elf.versions:
            if (machine, need.library) not in gives:
                versions.setdefault(
                    (machine, need.library, need.version, need.weak),
                    SymbolVersion(
                        machine=machine,
                        library=need.library,
                        version=need.version,
                        file=member.name,
                        symbol=need.symbol,
                        weak=need.weak,
                    ),
                )
    return MachineCode(
        machines=facts.machines,
        libcs=facts.libcs,
        gives=frozenset(gives),
        libraries=tuple(libraries[key] for key in sorted(libraries)),
        versions=tuple(versions[key] for key in sorted(versions)),
        broken=facts.broken,
    )


def _loaded(members: Sequence[NativeMember]) -> frozenset[str]:
    """The files that are loaded when the wheel's extension modules are imported and its programs started; all, where it has neither."""
    by_name: dict[tuple[str, str], list[NativeMember]] = {}
    for member in members:
        for name in {member.name.rpartition("/")[2], member.elf.soname}:
            if name is not None:
                by_name.setdefault((member.elf.machine, name), []).append(member)
    waiting = [member for member in members if _EXTENSION.fullmatch(member.name.rpartition("/")[2]) or member.elf.interpreter]
    if not waiting:
        return frozenset(member.name for member in members)
    reached: set[str] = set()
    while waiting:
        member = waiting.pop()
        if member.name not in reached:
            reached.add(member.name)
            for library in member.elf.needed:
                waiting += by_name.get((member.elf.machine, library), ())
    return frozenset(reached)


def wheel_floor(path: Path) -> NativeFacts:
    """Look into every member of a wheel that could be machine code. What cannot be read is in ``broken``, never an error."""
    elves = ElfMembers()
    try:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                if not elves.wants(info.filename, info.file_size):
                    continue
                try:
                    for piece in elves.watch(info.filename, info.file_size, partial(_unpacked, archive, info)):
                        del piece
                except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
                    elves.broken.append((info.filename, f"it cannot be unpacked: {error}"))
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        elves.broken.append((path.name, f"no archive: {error}"))
    return native_facts(elves)


def native_facts(elves: ElfMembers) -> NativeFacts:
    """What a reader of members has collected."""
    return NativeFacts(
        members=tuple(NativeMember(name=name, elf=elf) for name, elf in elves.found),
        broken=tuple(elves.broken),
        others=tuple(elves.others),
    )


def _unpacked(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    total = 0
    with archive.open(info) as packed:
        while piece := packed.read(_PIECE):
            total += len(piece)
            if total > _MEMBER_LIMIT:
                raise ValueError("it is too large")
            yield piece


def judge_native(shelves: Sequence[tuple[Target, Sequence[WheelFacts]]]) -> tuple[Finding, ...]:
    """Findings on the machine code of all wheels that lie together for each target: libraries may come from one another."""
    users: dict[str, tuple[WheelFacts, list[Target]]] = {}
    gives: dict[str, frozenset[tuple[str, str]]] = {}
    for target, wheels in shelves:
        if target.platform.os != "linux":
            continue
        gives[target.name] = frozenset().union(*(facts.native.gives for facts in wheels if facts.native is not None))
        for facts in wheels:
            if facts.native is not None:
                users.setdefault(facts.sha256, (facts, []))[1].append(target)
    return tuple(
        finding
        for facts, targets in users.values()
        for finding in check_native(
            facts.native or MachineCode(),
            facts.tags,
            file=facts.filename,
            package=facts.name,
            version=str(facts.version),
            targets=targets,
            gives=gives,
        )
    )


def check_native(
    code: MachineCode,
    tags: frozenset[Tag],
    *,
    file: str,
    package: str | None = None,
    version: str | None = None,
    targets: Sequence[Target] = (),
    gives: Mapping[str, Collection[tuple[str, str]]] | None = None,
) -> tuple[Finding, ...]:
    """Findings on a wheel that serves ``targets``, told by its files: a newer system needed than a target is, or libraries nobody gives.

    An error for each target whose floor is too low; a warning where its tags promise more than is true, and no target suffers from it.
    Weak symbols are no need: loading goes on without them. What cannot be read as ELF is a warning. ``gives``: by a target's name, the
    (machine, library) that wheels bring there. Without targets the tags' own promises are judged.
    """

    def found(code: str, severity: Severity, message: str, hint: str, target: Target | None = None) -> Finding:
        return Finding(
            code=code,
            severity=severity,
            message=message,
            package=package,
            version=version,
            target=target.name if target else None,
            file=file,
            hint=hint,
        )

    findings: list[Finding] = []
    pure = all(tag.platform == "any" for tag in tags)
    if code.broken:
        shown = "; ".join(f"{name}: {reason}" for name, reason in code.broken[:4])
        more = f"; and {len(code.broken) - 4} more" if len(code.broken) > 4 else ""
        message = f"{file} has what begins as ELF files do and is none that a loader could load: {shown}{more}"
        findings.append(found("broken-code", Severity.WARNING, message, "what needs it cannot be imported or started: take another file"))
    for target in targets:
        ours = target.platform
        if ours.os != "linux":
            continue
        if code.machines and ours.arch not in code.machines and not pure:
            # Programs for elsewhere may be what a wheel without an ABI is for; an extension module that is for elsewhere is never loaded.
            severity = Severity.WARNING if all(tag.abi == "none" for tag in tags) else Severity.ERROR
            message = f"{file} has no machine code for {ours.arch}, only for {', '.join(sorted(code.machines))}"
            findings.append(found("machine", severity, message, "its tags are wrong: take another wheel, or build it from source", target))
        if ours.libc == "glibc" and ours.floor is not None and (above := _above(code, ours.arch, ours.floor, private=False)):
            message = f"{file} needs {above}, the target has {ours.floor[0]}.{ours.floor[1]}"
            hint = "it may fail to load there, whatever its tags say: take another version, or build it from source"
            # A wheel for every system brings such files for those that can load them (debuggers do).
            hint = "what uses this file may fail there; the wheel itself fits every system" if pure else hint
            findings.append(found("glibc-floor", Severity.WARNING if pure else Severity.ERROR, message, hint, target))
        given = (gives or {}).get(target.name, ())
        for severity, message, hint in _libraries(code, file, ours, given):
            findings.append(found("host-library", severity, message, hint, target))
    for arch, libc, promised in _promises(tags):
        if not any(one.code == "glibc-floor" for one in findings) and libc == "glibc" and (above := _above(code, arch, promised)):
            message = f"{file}: its tag promises glibc {promised[0]}.{promised[1]} on {arch}, yet it needs {above}"
            findings.append(found("glibc-floor", Severity.WARNING, message, "it may fail to load on the older systems of that tag"))
        if not targets:
            for severity, message, hint in _libraries(code, file, Platform(os="linux", arch=arch, libc=libc, floor=promised), ()):  # type: ignore[arg-type]
                findings.append(found("host-library", severity, f"{message}, on {arch}", hint))
    return tuple(findings)


def _libraries(code: MachineCode, file: str, platform: Platform, given: Collection[tuple[str, str]]) -> Iterator[tuple[Severity, str, str]]:
    """What a wheel wants of a host that may not have it, as (severity, message, hint): what stops an import, then what a plugin wants."""
    nobody: list[LibraryNeed] = []
    desktop: list[LibraryNeed] = []
    plugins: list[LibraryNeed] = []
    musl = platform.libc == "musl"
    for need in code.libraries:
        if need.machine != platform.arch or (need.machine, need.library) in given:
            continue
        floor = library_floor(need.library, musl=musl)
        if floor is None or (not musl and platform.floor is not None and floor > platform.floor):
            (nobody if need.loaded else plugins).append(need)
        elif desktop_package(need.library) is not None and not musl:
            (desktop if need.loaded else plugins).append(need)
    weight = Severity.NOTE if platform.plain_linux else Severity.WARNING
    if nobody:
        yield (
            weight,
            f"{file} loads what no wheel here brings and no tag promises: {_named(nobody)}",
            "install it on the host, with its system's packages or drivers; else what needs it cannot be imported",
        )
    if desktop:
        packages = ", ".join(dict.fromkeys(desktop_package(need.library) or "" for need in desktop))
        yield (
            weight,
            f"{file} loads what desktops have, and servers and containers often do not: {_named(desktop)}",
            f"install on the host: {packages}",
        )
    if plugins:
        yield Severity.NOTE, f"{file} has plugins that want libraries of the host: {_named(plugins)}", "they are needed where it is used"


def _named(needs: Sequence[LibraryNeed]) -> str:
    shown = ", ".join(f"{need.library} ({need.file.rpartition('/')[2]})" for need in needs[:8])
    return f"{shown} and {len(needs) - 8} more" if len(needs) > 8 else shown


def _above(code: MachineCode, arch: str, floor: tuple[int, int], *, private: bool = True) -> str | None:
    """What a wheel needs beyond a floor, the newest first, in words; None if nothing.

    Every glibc has private symbols and none promises them: such a need breaks a tag's promise, and yet says nothing of one target.
    """
    above: dict[str, SymbolNeed] = {}
    for need in _needs(code, arch, weak=False):
        if need.floor > floor and (private or need.version != _PRIVATE):
            above.setdefault(need.version, need)
    return _listed(sorted(above.values(), key=lambda need: (need.floor, need.version), reverse=True)) if above else None


def _needs(code: MachineCode, arch: str, *, weak: bool) -> Iterator[SymbolNeed]:
    for need in code.versions:
        if need.machine != arch or (need.weak and not weak):
            continue
        floor = version_floor(need.version, arch)
        if floor is not None:
            yield SymbolNeed(file=need.file, library=need.library, version=need.version, symbol=need.symbol, floor=floor)


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

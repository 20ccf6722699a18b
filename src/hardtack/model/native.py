"""A wheel's ELF files in short: what they are for, what they load, and how new a system they want."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryNeed:
    """A library that the wheel's files for ``machine`` load and that the wheel does not bring. ``file`` is one that wants it.

    ``loaded`` is False where importing the wheel's extension modules or starting its programs does not lead to it, as far as the files
    tell: a plugin wants it.
    """

    machine: str
    library: str
    file: str
    loaded: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolVersion:
    """A version of symbols ("GLIBC_2.34") that a library from outside the wheel must have, one file that wants it and one such symbol.

    ``weak``: the loader starts without.
    """

    machine: str
    library: str
    version: str
    file: str
    symbol: str | None = None
    weak: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineCode:
    """All ELF files of one wheel. ``machines`` as targets spell them; ``libcs`` are those that files were linked to ("glibc", "musl").

    ``gives`` are the (machine, name) under which its libraries can be loaded. ``broken`` are (member, what is the matter).
    """

    machines: frozenset[str] = frozenset()
    libcs: frozenset[str] = frozenset()
    gives: frozenset[tuple[str, str]] = frozenset()
    libraries: tuple[LibraryNeed, ...] = ()
    versions: tuple[SymbolVersion, ...] = ()
    broken: tuple[tuple[str, str], ...] = ()

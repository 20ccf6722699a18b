"""What a wheel says of itself, read once from its bytes."""

from __future__ import annotations

from dataclasses import dataclass

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.tags import Tag
from packaging.utils import BuildTag
from packaging.version import Version

from hardtack.model.finding import Finding
from hardtack.model.native import MachineCode


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelFacts:
    """A sound wheel's own METADATA, file name and archive, as facts. ``name`` is normalised (PEP 503).

    ``findings`` hold only warnings and notes: a wheel with an error is a ``BadWheel`` and never stowed. ``modules`` are the importable
    top-level names. ``native`` is None for a wheel without ELF files. ``size`` in bytes.
    """

    filename: str
    sha256: str
    size: int
    name: str
    version: Version
    build: BuildTag
    tags: frozenset[Tag]
    requires_python: SpecifierSet | None
    requires: tuple[Requirement, ...]
    extras: frozenset[str]
    display_name: str
    summary: str | None = None
    license: str | None = None
    pure: bool = False
    modules: tuple[str, ...] = ()
    native: MachineCode | None = None
    findings: tuple[Finding, ...] = ()

    @property
    def url_requirements(self) -> bool:
        """True if a Requires-Dist names a URL (PEP 508 direct reference)."""
        return any(requirement.url for requirement in self.requires)


@dataclass(frozen=True, slots=True, kw_only=True)
class BadWheel:
    """A file that is not a wheel one may install; ``findings`` (at least one error) say why."""

    filename: str
    sha256: str
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SdistFacts:
    """A sound source archive. ``requires`` is its static metadata's Requires-Dist (PEP 643), None where only a build can tell.

    ``build_requires`` is build-system.requires (PEP 518), with setuptools as the fallback of PEP 517; ``backend`` the build-backend,
    ``backend_path`` non-empty for an in-tree backend. ``compiled`` is a guess from the members: true if it holds C, C++, Cython,
    Rust or Fortran source.
    """

    filename: str
    sha256: str
    size: int
    name: str
    version: Version
    top: str
    requires: tuple[Requirement, ...] | None
    requires_python: SpecifierSet | None
    build_requires: tuple[Requirement, ...]
    backend: str
    backend_path: tuple[str, ...] = ()
    compiled: bool = False
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BadSdist:
    """A file that is not a source archive one may unpack; ``findings`` (at least one error) say why."""

    filename: str
    sha256: str
    findings: tuple[Finding, ...]

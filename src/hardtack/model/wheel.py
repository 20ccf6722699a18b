"""What a wheel says of itself, read once from its bytes."""

from __future__ import annotations

from dataclasses import dataclass

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.tags import Tag
from packaging.utils import BuildTag
from packaging.version import Version

from hardtack.model.finding import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelFacts:
    """A wheel's own METADATA, file name and archive, as facts. ``name`` is normalised (PEP 503).

    ``findings`` tell what is wrong with the archive; a wheel with an error among them is never stowed. ``url_requirements`` is true if
    some Requires-Dist is a direct reference, so that installing by name cannot work without the network. ``modules`` are the importable top-level
    names. ``size`` in bytes.
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
    findings: tuple[Finding, ...] = ()

    @property
    def url_requirements(self) -> bool:
        """True if a Requires-Dist names a URL (PEP 508 direct reference)."""
        return any(requirement.url for requirement in self.requires)

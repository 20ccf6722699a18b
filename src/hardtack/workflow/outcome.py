"""What a build comes to, as a value."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hardtack.model.finding import Finding, Severity, Verdict
from hardtack.model.lock import Lock
from hardtack.model.manifest import Manifest
from hardtack.model.plan import Plan
from hardtack.model.requirements import FoundInput
from hardtack.model.target import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildResult:
    """What a build came to. ``verdict`` and ``manifest`` are None for a dry run; ``stowed`` is False where nothing was put in place.

    ``unchanged``: the wheelhouse was proven before, and neither it nor anything that it was made from has been touched since; ``lock`` and
    ``plan`` are then not made again and None (the manifest has the pins). ``received`` bytes crossed the wire for ``fetched`` files;
    ``built`` wheels were built; ``seconds`` passed.
    """

    targets: tuple[Target, ...]
    output: Path
    findings: tuple[Finding, ...]
    found: tuple[FoundInput, ...] = ()
    notes: tuple[str, ...] = ()
    lock: Lock | None = None
    plan: Plan | None = None
    verdict: Verdict | None = None
    manifest: Manifest | None = None
    stowed: bool = False
    unchanged: bool = False
    fetched: int = 0
    received: int = 0
    built: int = 0
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """True if nothing is missing or wrong: proven and stowed, or, for a dry run, planned without a gap."""
        if any(finding.severity is Severity.ERROR for finding in self.findings):
            return False
        return self.verdict is None or (self.verdict.passed and self.stowed)

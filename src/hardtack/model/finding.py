"""What a check has to say: findings, and the verdict that they add up to."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any


class Severity(str, Enum):
    """How much a finding weighs: an error denies the proof, a warning is shown, a note is kept."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that a check found.

    ``code`` is stable ("missing", "hash-mismatch", "record"). ``required_by`` reads outwards: who asks for the package,
    by which requirement text and marker. ``instead`` lists what exists, ``hint`` what would mend it.
    """

    code: str
    message: str
    severity: Severity = Severity.ERROR
    package: str | None = None
    version: str | None = None
    target: str | None = None
    file: str | None = None
    required_by: tuple[str, ...] = ()
    instead: tuple[str, ...] = ()
    hint: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The finding for ``--json``, empty fields left out."""
        row = {
            "code": self.code,
            "severity": self.severity.value,
            "message": self.message,
            "package": self.package,
            "version": self.version,
            "target": self.target,
            "file": self.file,
            "required-by": list(self.required_by),
            "instead": list(self.instead),
            "hint": self.hint,
        }
        return {key: value for key, value in row.items() if value}


class Grade(str, Enum):
    """How a target's completeness was proven, the strongest last."""

    METADATA = "metadata"
    RESOLVER = "resolver"
    INSTALLED = "installed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What verifying found. Only a verdict without errors is a proof, of the wheelhouse with exactly this manifest.

    ``grades`` maps a target's name to every kind of proof that it passed. ``manifest_digest`` is the sha256 of
    ``wheelhouse.json`` as it was judged.
    """

    findings: tuple[Finding, ...]
    grades: tuple[tuple[str, tuple[Grade, ...]], ...]
    manifest_digest: str

    @property
    def passed(self) -> bool:
        """True if no finding is an error."""
        return not any(finding.severity is Severity.ERROR for finding in self.findings)

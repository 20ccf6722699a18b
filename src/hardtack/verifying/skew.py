"""Which packages have different versions on different targets: nothing wrong, but never silent."""

from __future__ import annotations

from collections.abc import Sequence

from packaging.version import Version

from hardtack.model.finding import Finding, Severity
from hardtack.model.lock import Skew
from hardtack.model.manifest import Pin


def note_skews(pins: Sequence[Pin], skews: Sequence[Skew] = ()) -> tuple[Finding, ...]:
    """One note for each package that has several versions over all targets and patches, the newest first, with who gets which and why.

    ``skews`` are the lock's own explanations; a package without one is noted all the same.
    """
    versions: dict[str, dict[Version, list[str]]] = {}
    for pin in pins:
        place = f"{pin.target} where {pin.marker}" if pin.marker else pin.target
        places = versions.setdefault(pin.name, {}).setdefault(Version(pin.version), [])
        if place not in places:
            places.append(place)
    reasons = {skew.name: skew.reason for skew in skews}
    findings = []
    for name, found in sorted(versions.items()):
        if len(found) > 1:
            told = "; ".join(f"{version} on {', '.join(found[version])}" for version in sorted(found, reverse=True))
            findings.append(
                Finding(
                    code="skew",
                    severity=Severity.NOTE,
                    message=f"{name} has {len(found)} versions: {told}" + (f" ({reasons[name]})" if reasons.get(name) else ""),
                    package=name,
                )
            )
    return tuple(findings)

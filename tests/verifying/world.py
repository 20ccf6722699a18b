"""Small worlds: wheels as facts, written down in a line each."""

from __future__ import annotations

from collections.abc import Sequence

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name, parse_wheel_filename

from hardtack.model.finding import Finding
from hardtack.model.lock import LockedRoot
from hardtack.model.manifest import Pin
from hardtack.model.wheel import WheelFacts


def facts(
    name: str,
    version: str = "1.0",
    requires: Sequence[str] = (),
    *,
    extras: Sequence[str] = (),
    python: str | None = None,
    tag: str = "py3-none-any",
    build: str = "",
) -> WheelFacts:
    filename = f"{name.replace('-', '_')}-{version}{build and '-' + build}-{tag}.whl"
    parsed = parse_wheel_filename(filename)
    return WheelFacts(
        filename=filename,
        sha256="0" * 64,
        size=100,
        name=canonicalize_name(name),
        version=parsed[1],
        build=parsed[2],
        tags=parsed[3],
        requires_python=SpecifierSet(python) if python else None,
        requires=tuple(Requirement(text) for text in requires),
        extras=frozenset(canonicalize_name(extra) for extra in extras),
        display_name=name,
    )


def lying(*wheels: WheelFacts) -> dict[str, list[WheelFacts]]:
    found: dict[str, list[WheelFacts]] = {}
    for wheel in wheels:
        found.setdefault(wheel.name, []).append(wheel)
    return found


def roots(*texts: str) -> list[LockedRoot]:
    return [LockedRoot(requirement=text, origin=f"requirements.txt:{line}") for line, text in enumerate(texts, 1)]


def pins(target: str, *wheels: WheelFacts, markers: dict[str, str] | None = None) -> list[Pin]:
    return [
        Pin(target=target, name=wheel.name, version=str(wheel.version), filename=wheel.filename, marker=(markers or {}).get(wheel.filename))
        for wheel in wheels
    ]


def told(findings: Sequence[Finding]) -> list[tuple[str, str | None]]:
    return [(finding.code, finding.package) for finding in findings]

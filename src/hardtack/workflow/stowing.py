"""Put a judged and proven set of wheels in place, with every text that lies beside them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from hardtack.locking.exports import wheelhouse_texts
from hardtack.model.finding import Finding, Severity
from hardtack.model.lock import Lock
from hardtack.model.manifest import Manifest
from hardtack.model.wheel import WheelFacts
from hardtack.reporting import Reporter
from hardtack.shipping.install_script import INSTALL_SCRIPT_NAME, install_script
from hardtack.shipping.sbom import sbom
from hardtack.system.cancellation import Cancellation
from hardtack.wheelhouse.layout import stow
from hardtack.wheelhouse.pylock import write_pylock
from hardtack.wheelhouse.simple import source_pages


def put_in_place(
    manifest: Manifest,
    lock: Lock,
    facts: Mapping[str, WheelFacts],
    sources: Mapping[str, Path],
    folder: Path,
    *,
    prune: bool,
    cache_dir: Path,
    reporter: Reporter,
    stop: Cancellation,
) -> tuple[Manifest, str]:
    """Make ``folder`` the wheelhouse that the manifest describes. Returns the manifest as it was written, and its sha256.

    ``facts`` and ``sources`` (files with the right bytes, which nobody changes meanwhile) are by sha256, wheels and source archives alike.
    """
    reporter.stage("stowing")
    written = stow(
        manifest,
        sources,
        folder,
        texts=texts_of(lock, manifest, facts, folder),
        prune=prune,
        locks=cache_dir / "locks",
        reporter=reporter,
        stop=stop,
    )
    return written, hashlib.sha256((folder / "wheelhouse.json").read_bytes()).hexdigest()


def texts_of(lock: Lock, manifest: Manifest, facts: Mapping[str, WheelFacts], folder: Path) -> dict[str, bytes]:
    """The files beside the wheels: the lock, for each target its exact lists, the bill of materials, and the bare host's installer."""
    return {
        "pylock.toml": write_pylock(lock, target_descriptions=manifest.targets, base=folder.absolute()).encode(),
        **wheelhouse_texts(manifest),
        "sbom.cdx.json": sbom(manifest, facts),
        INSTALL_SCRIPT_NAME: install_script(),
        **(source_pages(manifest.sources) if manifest.sources else {}),
    }


def folded(findings: Sequence[Finding]) -> list[Finding]:
    """One finding where a gap is told twice: why nothing serves the target, and, from the proof, who asks for it."""
    causes: dict[tuple[str | None, str | None], Finding] = {
        (finding.package, finding.target): finding
        for finding in findings
        if finding.severity is Severity.ERROR and finding.package and finding.target and finding.code != "missing"
    }
    askers = {
        (finding.package, finding.target): finding.required_by
        for finding in findings
        if finding.code == "missing" and (finding.package, finding.target) in causes
    }
    return [
        replace(finding, required_by=askers[place]) if causes.get(place) is finding and place in askers else finding
        for finding in findings
        if not ((place := (finding.package, finding.target)) in askers and finding.code == "missing")
    ]

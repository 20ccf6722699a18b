"""Judging bytes, in words that tests can compare."""

from __future__ import annotations

import hashlib
from pathlib import Path

from hardtack.model.finding import Severity
from hardtack.model.wheel import BadSdist, BadWheel, SdistFacts, WheelFacts
from hardtack.wheelhouse.inspect import inspect_wheel
from hardtack.wheelhouse.limits import DEFAULT, Limits
from hardtack.wheelhouse.sdist import inspect_sdist


def judge_wheel(folder: Path, data: bytes, filename: str, limits: Limits = DEFAULT) -> WheelFacts | BadWheel:
    """Inspect these bytes under that name."""
    path = folder / "judged"
    path.write_bytes(data)
    return inspect_wheel(path, filename=filename, sha256=hashlib.sha256(data).hexdigest(), limits=limits)


def judge_sdist(folder: Path, data: bytes, filename: str, limits: Limits = DEFAULT) -> SdistFacts | BadSdist:
    """Inspect these bytes under that name."""
    path = folder / "judged"
    path.write_bytes(data)
    return inspect_sdist(path, filename=filename, sha256=hashlib.sha256(data).hexdigest(), limits=limits)


def errors(verdict: WheelFacts | BadWheel | SdistFacts | BadSdist) -> set[str]:
    """The codes of everything that denies the file; a bad file has at least one, a good one none."""
    codes = {finding.code for finding in verdict.findings if finding.severity is Severity.ERROR}
    assert bool(codes) == isinstance(verdict, (BadWheel, BadSdist)), verdict
    return codes


def warnings(verdict: WheelFacts | BadWheel | SdistFacts | BadSdist) -> set[str]:
    """The codes of everything else."""
    return {finding.code for finding in verdict.findings if finding.severity is not Severity.ERROR}

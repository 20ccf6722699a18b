"""The gaps of a plan as findings: what is lacking, who asks for it, what exists instead, what would fill it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from hardtack.errors import HardtackError
from hardtack.model.finding import Finding
from hardtack.model.index import ProjectPage
from hardtack.model.lock import Lock
from hardtack.model.plan import Gap, Plan, PlanEntry
from hardtack.model.requirements import FormatControl
from hardtack.model.target import Target
from hardtack.planning.explain import askers, what_would_help
from hardtack.workflow.reading import Job
from hardtack.workflow.supplies import Supplies

_SHOWN = 6
_FIX = "chooses another version, if everything else allows it"
# Gaps that another version may close.
_CHOSEN = frozenset({"no-file", "only-binary", "requires-python"})


def gap_findings(planned: Plan, lock: Lock, job: Job, supplies: Supplies) -> list[Finding]:
    """Each gap of the plan, with what exists instead and what would fill it."""
    entries = [entry for entry in planned.entries if isinstance(entry.decision, Gap)]
    if not entries:
        return []
    targets = {target.name: target for target in job.targets}
    pages = {name: _pages(name, job, supplies) for name in sorted({entry.package.name for entry in entries})}
    findings = [_gap(entry, targets[entry.target], pages, lock, job.formats) for entry in entries]
    if job.lock_file is not None:
        # Nobody has tried to choose otherwise: the lock is obeyed.
        findings = [
            replace(one, hint=f"{one.hint}; `hardtack fix` {_FIX}") if one.code in _CHOSEN and one.hint else one for one in findings
        ]
    return _together(findings)


def _pages(name: str, job: Job, supplies: Supplies) -> tuple[ProjectPage, ...]:
    """What the indexes have. A lock that is obeyed asks none of them, and what they cannot tell then is no failure."""
    try:
        return supplies.client.files(name)
    except HardtackError:
        if job.lock_file is None:
            raise
        return ()


def _together(findings: list[Finding]) -> list[Finding]:
    """One finding for each variable that a target cannot answer, however many packages ask for it."""
    asking: dict[tuple[str | None, str | None], list[Finding]] = {}
    for finding in findings:
        if finding.code == "unanswerable-marker":
            asking.setdefault((finding.target, finding.hint), []).append(finding)
    joined = []
    for finding in findings:
        alike = asking.get((finding.target, finding.hint), []) if finding.code == "unanswerable-marker" else []
        if len(alike) < 2:
            joined.append(finding)
        elif finding is alike[0]:
            names = [str(one.package) for one in alike[1:]]
            shown = ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
            joined.append(replace(finding, message=f"{finding.message}; likewise {shown}"))
    return joined


def _gap(entry: PlanEntry, target: Target, pages: Mapping[str, tuple[ProjectPage, ...]], lock: Lock, formats: FormatControl) -> Finding:
    decision = entry.decision
    assert isinstance(decision, Gap)
    # Where no file is at fault, no other file helps; and where a build is demanded, no wheel does.
    other_files = decision.code not in ("unanswerable-marker", "conflict", "no-hash") and not formats.builds(entry.package.name)
    hint = what_would_help(entry, target, pages).hint if other_files else None
    if hint is not None and decision.code == "only-binary":
        hint = f"{decision.hint}; {hint}"
    return Finding(
        code=decision.code,
        message=f"{entry.package.name} {entry.package.version or ''} has nothing that serves {entry.target}: {decision.reason}",
        package=entry.package.name,
        version=str(entry.package.version) if entry.package.version else None,
        target=entry.target,
        instead=tuple(f"{rejected.filename} ({rejected.reason})" for rejected in decision.rejected),
        required_by=askers(entry.package, lock),
        hint=hint or decision.hint,
    )

"""``build``: from a project to a wheelhouse that is proven complete for every target."""

from __future__ import annotations

import time
from dataclasses import replace

from hardtack.model.finding import Grade, Verdict
from hardtack.reporting import Reporter
from hardtack.system.cancellation import Cancellation
from hardtack.wheelhouse.manifest import read_manifest
from hardtack.workflow.offering import offer_of_project
from hardtack.workflow.outcome import BuildResult
from hardtack.workflow.reading import Job, read_job
from hardtack.workflow.receipt import Receipt, finding_of, recall, receipt_key
from hardtack.workflow.request import BuildOptions, Request


def build(
    request: Request | None = None,
    options: BuildOptions | None = None,
    *,
    reporter: Reporter | None = None,
    stop: Cancellation | None = None,
) -> BuildResult:
    """Make a wheelhouse: read, lock, plan, fetch, build, judge, prove, and only then stow.

    Where nothing has changed since the wheelhouse was proven, that is all there is to do. Findings are in the result, all at once; what
    ends the run before there is a plan is raised as a HardtackError.
    """
    began = time.monotonic()
    options = options or BuildOptions()
    reporter = reporter or Reporter()
    stop = stop or Cancellation()
    reporter.stage("reading")
    job = read_job(request or Request(), options, reporter=reporter, stop=stop)
    offer = offer_of_project(job, stop=stop)
    if offer is not None:
        reporter.note(offer)
        job = replace(job, requirements=replace(job.requirements, notes=(*job.requirements.notes, offer)))
    key = receipt_key(job)
    receipt = recall(job, key) if not (options.dry_run or options.upgrade or options.prune) else None
    if receipt is not None and (result := _unchanged(job, receipt)) is not None:
        return replace(result, seconds=time.monotonic() - began)
    # Imported where it is needed: an unchanged wheelhouse needs neither sockets nor archives.
    from hardtack.workflow.provisioning import provision

    result = provision(job, key=key, reporter=reporter, stop=stop)
    return replace(result, seconds=time.monotonic() - began)


def _unchanged(job: Job, receipt: Receipt) -> BuildResult | None:
    path = job.output / "wheelhouse.json"
    manifest = read_manifest(path.read_bytes(), str(path))
    findings = tuple(finding_of(row) for row in receipt.summary["findings"])
    grades = tuple((name, tuple(Grade(grade) for grade in kinds)) for name, kinds in receipt.summary["grades"])
    return BuildResult(
        targets=job.targets,
        output=job.output,
        findings=findings,
        found=job.requirements.found,
        notes=job.requirements.notes,
        verdict=Verdict(findings=findings, grades=grades, manifest_digest=receipt.manifest_digest),
        manifest=manifest,
        stowed=True,
        unchanged=True,
    )

"""``hardtack build``."""

from __future__ import annotations

from typing import Any

import click

from hardtack.cli import options


@click.command("build")
@options.inputs
@options.building
@options.targets
@options.stowing
@click.option("--locked", is_flag=True, help="Obey the lock exactly, builds' requirements included; resolve nothing.")
@click.option("--dry-run", is_flag=True, help="Show the plan, package x target, and stop.")
@click.option("--upgrade", is_flag=True, help="Choose every version anew.")
@click.option("-P", "--upgrade-package", "upgrade_packages", multiple=True, metavar="NAME", help="Choose this version anew.")
@options.indexes
@options.common
def command(**values: Any) -> int:
    """Make a wheelhouse that is proven complete for every target.

    Without REQUIREMENTs and files, what lies in the project is found and listed.
    """
    from hardtack.cli.main import interruptible
    from hardtack.cli.progress import ConsoleReporter
    from hardtack.cli.reports import Report
    from hardtack.cli.tables import build_json, render_build
    from hardtack.system.cancellation import Cancellation
    from hardtack.workflow.build import build

    request = options.request_from(values)
    report = Report.of(values)
    stop = Cancellation()
    interruptible(stop)
    upgrade = frozenset({":all:"}) if values["upgrade"] else frozenset(values["upgrade_packages"])
    chosen = options.build_options_from(values, dry_run=values["dry_run"], upgrade=upgrade, locked=values["locked"])
    with ConsoleReporter(quiet=report.silent, verbose=values["verbose"]) as reporter:
        result = build(request, chosen, reporter=reporter, stop=stop)
    report.show(
        "build",
        result.findings,
        passed=result.passed,
        words=lambda tell: render_build(result, tell, quiet=values["quiet"], verbose=bool(values["verbose"])),
        data=lambda: build_json(result),
        folders=(result.output,),
        fallback=next((found.path for found in result.found if found.used), None),
    )
    return 0 if result.passed else 1

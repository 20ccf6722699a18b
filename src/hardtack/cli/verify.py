"""``hardtack verify``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from hardtack.cli import options


@click.command("verify")
@click.argument("wheelhouse", type=click.Path(file_okay=False, path_type=Path), default="wheelhouse")
@click.option("--no-trial", is_flag=True, help="Leave out the real installation for this host's targets.")
@options.common
def command(**values: Any) -> int:
    """Judge a wheelhouse again, from nothing but what lies in it."""
    from hardtack.cli.main import interruptible
    from hardtack.cli.progress import ConsoleReporter
    from hardtack.cli.reports import Report
    from hardtack.cli.tables import render_verify, verify_json
    from hardtack.system.cancellation import Cancellation
    from hardtack.workflow.verify import verify

    report = Report.of(values)
    stop = Cancellation()
    interruptible(stop)
    with ConsoleReporter(quiet=report.silent, verbose=values["verbose"]) as reporter:
        result = verify(values["wheelhouse"], cache_dir=values["cache_dir"], trial=not values["no_trial"], reporter=reporter, stop=stop)
    report.show(
        "verify",
        result.verdict.findings,
        passed=result.verdict.passed,
        words=lambda tell: render_verify(result, tell, quiet=values["quiet"]),
        data=lambda: verify_json(result),
        folders=(result.folder,),
        fallback=result.folder / "wheelhouse.json",
    )
    return 0 if result.verdict.passed else 1

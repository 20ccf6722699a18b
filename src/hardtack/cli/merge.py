"""``hardtack merge``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from hardtack.cli import options

_FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command("merge")
@click.argument("wheelhouse", type=_FOLDER)
@click.argument("parts", nargs=-1, required=True, type=_FOLDER, metavar="PART...")
@click.option("-o", "--output", type=_FOLDER, metavar="DIR", help="Stow the whole here.  [default: in WHEELHOUSE itself]")
@click.option("--no-trial", is_flag=True, help="Leave out the real installation for this host's targets.")
@click.option("--keep-incomplete", is_flag=True, help="Stow what there is, though the proof fails; the exit code stays 1.")
@options.common
def command(**values: Any) -> int:
    """Add to a wheelhouse what was made elsewhere, and prove the whole.

    Each PART is a wheelhouse too: of other targets, or with what WHEELHOUSE lacks. Every file is judged anew, nothing is fetched, and what
    contradicts each other is never chosen between in silence.
    """
    from hardtack.cli.main import interruptible
    from hardtack.cli.progress import ConsoleReporter
    from hardtack.cli.reports import Report
    from hardtack.cli.tables import merge_json, render_merge
    from hardtack.system.cancellation import Cancellation
    from hardtack.workflow.merge import merge

    report = Report.of(values)
    stop = Cancellation()
    interruptible(stop)
    with ConsoleReporter(quiet=report.silent, verbose=values["verbose"]) as reporter:
        result = merge(
            values["wheelhouse"],
            values["parts"],
            output=values["output"],
            keep_incomplete=values["keep_incomplete"],
            trial=not values["no_trial"],
            cache_dir=values["cache_dir"],
            reporter=reporter,
            stop=stop,
        )
    report.show(
        "merge",
        result.findings,
        passed=result.passed,
        words=lambda tell: render_merge(result, tell, quiet=values["quiet"]),
        data=lambda: merge_json(result),
        folders=(result.output, *result.parts),
        fallback=result.output / "wheelhouse.json",
    )
    return 0 if result.passed else 1

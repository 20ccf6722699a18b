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
    from hardtack.cli.output import print_json
    from hardtack.cli.progress import ConsoleReporter
    from hardtack.cli.tables import merge_json, render_merge
    from hardtack.system.cancellation import Cancellation
    from hardtack.workflow.merge import merge

    stop = Cancellation()
    interruptible(stop)
    with ConsoleReporter(quiet=values["quiet"] or values["as_json"], verbose=values["verbose"]) as reporter:
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
    if values["as_json"]:
        print_json("merge", merge_json(result))
    else:
        render_merge(result, quiet=values["quiet"])
    return 0 if result.passed else 1

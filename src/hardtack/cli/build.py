"""``hardtack build``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from hardtack.cli import options


@click.command("build")
@options.inputs
@options.building
@options.targets
@click.option("-o", "--output", type=click.Path(file_okay=False, path_type=Path), metavar="DIR", help="[default: wheelhouse]")
@click.option("--locked", is_flag=True, help="Obey the lock exactly, builds' requirements included; resolve nothing.")
@click.option("--build-twice", is_flag=True, help="Build every wheel twice, and compare.")
@click.option("--with-sdists", is_flag=True, help="Keep the sdists beside the wheels.")
@click.option("--layout", type=click.Choice(["flat", "by-target"]), help="One folder, or one for each target.  [default: flat]")
@click.option("--keep-foreign", is_flag=True, help="Judge and keep wheels that were copied into the wheelhouse by hand.")
@click.option("--prune", is_flag=True, help="Remove wheels that are no longer needed.")
@click.option("--dry-run", is_flag=True, help="Show the plan, package x target, and stop.")
@click.option("--upgrade", is_flag=True, help="Choose every version anew.")
@click.option("-P", "--upgrade-package", "upgrade_packages", multiple=True, metavar="NAME", help="Choose this version anew.")
@click.option("--no-trial", is_flag=True, help="Leave out the real installation for this host's targets.")
@click.option("--keep-incomplete", is_flag=True, help="Stow what there is, though the proof fails; the exit code stays 1.")
@click.option("--require-stated-hashes", is_flag=True, help="Refuse files whose hash neither lock nor index states.")
@click.option("--require-sandbox", is_flag=True, help="Build nothing where builds cannot be contained.")
@click.option("-j", "--jobs", type=click.IntRange(1, 64), default=16, show_default=True, help="Transfers at a time.")
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
    from hardtack.workflow.request import BuildOptions

    request = options.request_from(values)
    report = Report.of(values)
    stop = Cancellation()
    interruptible(stop)
    upgrade = frozenset({":all:"}) if values["upgrade"] else frozenset(values["upgrade_packages"])
    chosen = BuildOptions(
        output=values["output"],
        layout=values["layout"],
        prune=values["prune"],
        dry_run=values["dry_run"],
        trial=not values["no_trial"],
        keep_incomplete=values["keep_incomplete"],
        jobs=values["jobs"],
        upgrade=upgrade,
        require_stated_hashes=values["require_stated_hashes"],
        require_sandbox=values["require_sandbox"],
        locked=values["locked"],
        build_lock=not values["no_build_lock"],
        build_root=values["build_root"].absolute() if values["build_root"] is not None else None,
        build_jobs=values["build_jobs"],
        build_twice=values["build_twice"],
        with_sdists=values["with_sdists"],
        keep_foreign=values["keep_foreign"],
    )
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

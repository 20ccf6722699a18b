"""``hardtack lock``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from hardtack.cli import options


@click.command("lock")
@options.inputs
@options.building
@options.targets
@click.option("--python", "pythons", multiple=True, metavar="X.Y", help="Shorthand for a target: this Python on this host's platform.")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="[default: pylock.toml]")
@click.option(
    "--export",
    "exports",
    multiple=True,
    metavar="FORMAT:PATH",
    help="Write the lock in another form too: pip:lockfiles/requirements.lock-{python}; pip, constraints, pylock, requirements.",
)
@click.option("--check", is_flag=True, help="Write nothing; exit 1 if the lock does not answer the project any more.")
@click.option("--upgrade", is_flag=True, help="Choose every version anew.")
@click.option("-P", "--upgrade-package", "upgrade_packages", multiple=True, metavar="NAME", help="Choose this version anew.")
@options.indexes
@options.common
def command(**values: Any) -> int:
    """Choose versions and files for every target, and write them down as a pylock.toml (PEP 751)."""
    from hardtack.cli.main import interruptible
    from hardtack.cli.progress import ConsoleReporter
    from hardtack.cli.reports import Report
    from hardtack.cli.tables import lock_json, render_lock
    from hardtack.system.cancellation import Cancellation
    from hardtack.workflow.lock import lock

    values["targets"] = (*values["targets"], *_pythons_here(values["pythons"]))
    request = options.request_from(values)
    report = Report.of(values)
    stop = Cancellation()
    interruptible(stop)
    with ConsoleReporter(quiet=report.silent, verbose=values["verbose"]) as reporter:
        result = lock(
            request,
            output=values["output"],
            exports=values["exports"],
            check=values["check"],
            upgrade=frozenset({":all:"}) if values["upgrade"] else frozenset(values["upgrade_packages"]),
            build_lock=not values["no_build_lock"],
            build_root=values["build_root"].absolute() if values["build_root"] is not None else None,
            build_jobs=values["build_jobs"],
            reporter=reporter,
            stop=stop,
        )
    report.show(
        "lock",
        result.findings,
        passed=result.passed,
        words=lambda tell: render_lock(result, tell, quiet=values["quiet"], check=values["check"]),
        data=lambda: lock_json(result),
        fallback=result.path,
    )
    return 0 if result.passed else 1


def _pythons_here(versions: tuple[str, ...]) -> list[str]:
    """The names of these Pythons on this host's kind of platform (its usual floor, whatever the host's own)."""
    if not versions:
        return []
    from hardtack.targets.host import host_target

    platform = host_target().platform
    return [f"py{version.replace('.', '')}-{platform.os}-{platform.arch}" for version in versions]

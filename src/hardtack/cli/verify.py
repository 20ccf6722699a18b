"""``hardtack verify``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hardtack.cli import options

if TYPE_CHECKING:
    from hardtack.cli.reports import Report
    from hardtack.system.cancellation import Cancellation

# Any of these says what is asked for; without them the folder itself does.
_SAYS = (
    "requirements",
    "requirement_files",
    "constraint_files",
    "scripts",
    "project_dir",
    "lock_file",
    "extras",
    "all_extras",
    "groups",
    "all_groups",
    "only",
    "no_lock",
    "no_project",
    "no_build_requirements",
)


@click.command("verify")
@click.argument("folder", type=click.Path(path_type=Path), metavar="[DIR]", default=None)
@options.asked
@options.targets
@click.option("--opinion", is_flag=True, help="Ask uv's resolver too, offline; of a wheelhouse with a manifest it is asked always.")
@click.option("--no-trial", is_flag=True, help="Leave out the real installation for this host's targets.")
@click.option("--smoke", is_flag=True, help="Import every module of what was installed for this host, in the sandbox.")
@click.option(
    "--check", "checks", multiple=True, metavar="COMMAND", help="Run this there, as in --check 'pytest --version'.  [may be repeated]"
)
@click.option("--env", "environment", type=click.Path(path_type=Path), metavar="PATH",
              help="Compare what is installed there with DIR or a lock, and with its RECORDs; nothing of it is run.")  # fmt: skip
@options.common
def command(**values: Any) -> int:
    """Judge a folder of wheels, whoever made it: every file, and whether it is complete for every target.

    DIR is wheelhouse by default. What is asked of it: REQUIREMENTs, files, a project or a lock; else its manifest; else all that
    lies there. Nothing is written into it, and no network is used.
    """
    from hardtack.cli.main import interruptible
    from hardtack.cli.progress import ConsoleReporter
    from hardtack.cli.reports import Report
    from hardtack.cli.tables import render_verify, verify_json
    from hardtack.system.cancellation import Cancellation
    from hardtack.workflow.verify import verify

    report = Report.of(values)
    stop = Cancellation()
    interruptible(stop)
    if values["environment"] is not None:
        return _environment(values, report, stop)
    with ConsoleReporter(quiet=report.silent, verbose=values["verbose"]) as reporter:
        result = verify(
            values["folder"] or Path("wheelhouse"),
            inputs=options.inputs_from(values) if _asks(values) else None,
            targets=options.targets_from(values),
            trial=not values["no_trial"],
            opinion=True if values["opinion"] else None,
            smoke=values["smoke"],
            checks=values["checks"],
            cache_dir=values["cache_dir"],
            reporter=reporter,
            stop=stop,
        )
    report.show(
        "verify",
        result.verdict.findings,
        passed=result.verdict.passed,
        words=lambda tell: render_verify(result, tell, quiet=values["quiet"], verbose=bool(values["verbose"])),
        data=lambda: verify_json(result),
        folders=(result.folder,),
        fallback=result.folder / "wheelhouse.json" if result.listed else _asking(values),
    )
    return 0 if result.verdict.passed else 1


def _environment(values: Mapping[str, Any], report: Report, stop: Cancellation) -> int:
    from hardtack.cli.progress import ConsoleReporter
    from hardtack.cli.tables import environment_json, render_environment
    from hardtack.errors import UsageError
    from hardtack.workflow.installed import verify_environment

    against = [flag for flag in ("opinion", "smoke", "checks", "no_trial") if values[flag]]
    if against:
        raise UsageError("nothing of an environment is run", hint="leave out --smoke, --check, --opinion and --no-trial")
    with ConsoleReporter(quiet=report.silent, verbose=values["verbose"]) as reporter:
        result = verify_environment(
            values["environment"],
            folder=values["folder"],
            inputs=options.inputs_from(values) if _asks(values) else None,
            targets=options.targets_from(values),
            cache_dir=values["cache_dir"],
            reporter=reporter,
            stop=stop,
        )
    report.show(
        "verify",
        result.findings,
        passed=result.passed,
        words=lambda tell: render_environment(result, tell, quiet=values["quiet"], verbose=bool(values["verbose"])),
        data=lambda: environment_json(result),
        folders=(result.path,),
    )
    return 0 if result.passed else 1


def _asking(values: Mapping[str, Any]) -> Path | None:
    """The file that says what is asked for, where one does."""
    files = (values["lock_file"], *values["requirement_files"], *values["scripts"])
    return next((Path(file) for file in files if file is not None and Path(file).is_file()), None)


def _asks(values: Mapping[str, Any]) -> bool:
    return any(values[name] for name in _SAYS)

"""``hardtack targets``."""

from __future__ import annotations

from typing import Any

import click


@click.command("targets")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "--probe-script", is_flag=True, help="Print a script that describes the Python that runs it: any from 2.7 on, without packages."
)
@click.option("--json", "as_json", is_flag=True, help="As JSON on standard output.")
def command(names: tuple[str, ...], probe_script: bool, as_json: bool) -> int:
    """Show the targets that hardtack knows, or what a NAME means.

    On a host that is like no other, run the probe script (hardtack targets --probe-script > probe.py; python probe.py > host.json)
    and give what it printed with --complete-platform host.json.
    """
    from hardtack.cli.output import print_json

    if probe_script:
        from hardtack.targets.probe import PROBE

        print(PROBE, end="")
        return 0
    from hardtack.cli.tables import render_known, render_targets
    from hardtack.targets.catalog import describe, known_targets, parse_target

    if not names:
        rows = known_targets()
        if as_json:
            from dataclasses import asdict

            print_json("targets", {"known": [asdict(row) for row in rows]})
        else:
            render_known(rows)
        return 0
    targets = [parse_target(name) for name in names]
    if as_json:
        data: list[dict[str, Any]] = [
            {**describe(target), "environment": dict(target.environment), "tags": [str(tag) for tag in target.tags]} for target in targets
        ]
        print_json("targets", {"targets": data})
    else:
        render_targets(targets)
    return 0

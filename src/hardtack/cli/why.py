"""``hardtack why``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from hardtack.cli import options
from hardtack.cli.output import console, megabytes, plural, shown

if TYPE_CHECKING:
    from rich.console import Console

    from hardtack.cli.reports import Tell
    from hardtack.model.manifest import BuildRecord
    from hardtack.planning.remedies import Remedy
    from hardtack.verifying.paths import Routes, Step
    from hardtack.workflow.evidence import ChosenFile
    from hardtack.workflow.why import OnTarget, WhyResult

_MANY = 8
_SHORT_DIGEST = 12
_MISFITS = ("built for", "for ")
_T = TypeVar("_T")
_STATES = {"taken": ("taken", "green"), "built": ("built here", "green"), "to build": ("to be built", "yellow"), "gap": ("GAP", "bold red"),
           "unwanted": ("not wanted", "dim")}  # fmt: skip


@click.command("why")
@click.argument("package")
@options.inputs
@options.building
@options.targets
@click.option("--wheelhouse", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
              help="Explain this wheelhouse; a folder among the arguments is one too.  "
                   "[default: ./wheelhouse if it is there and no inputs are named]")  # fmt: skip
@options.indexes
@options.common
def command(**values: Any) -> int:
    """Explain PACKAGE: who requires it, which file was taken for each target and why no other, and what would fill a gap.

    In a wheelhouse, or, where inputs or a lock are named or no wheelhouse lies here, in what `build` would make of them.
    """
    from hardtack.cli.main import interruptible
    from hardtack.cli.progress import ConsoleReporter
    from hardtack.cli.reports import Report
    from hardtack.cli.words import typed_from
    from hardtack.system.cancellation import Cancellation
    from hardtack.workflow.request import BuildOptions
    from hardtack.workflow.why import why

    context = click.get_current_context()
    wheelhouse, values["requirements"] = _wheelhouse(context, values)
    request = options.request_from(values)
    report = Report.of(values)
    stop = Cancellation()
    interruptible(stop)
    chosen = BuildOptions(
        build_lock=not values["no_build_lock"],
        build_root=values["build_root"].absolute() if values["build_root"] is not None else None,
        build_jobs=values["build_jobs"],
    )
    typed = typed_from(context, request, requirements=values["requirements"])
    with ConsoleReporter(quiet=report.silent or not values["verbose"], verbose=values["verbose"]) as reporter:
        result = why(values["package"], request, wheelhouse=wheelhouse, options=chosen, typed=typed, reporter=reporter, stop=stop)

    def words(tell: Tell) -> None:
        render_why(result)
        if report.form == "github":
            tell(result.findings)

    report.show("why", result.findings, passed=result.passed, words=words, data=lambda: why_json(result))
    return 0 if result.passed else 1


def _wheelhouse(context: click.Context, values: Mapping[str, Any]) -> tuple[Path | None, tuple[str, ...]]:
    """The wheelhouse that is meant, if one is, and the requirements that are left."""
    from click.core import ParameterSource

    named = [text for text in values["requirements"] if (Path(text) / "wheelhouse.json").is_file()]
    rest = tuple(text for text in values["requirements"] if text not in named)
    given = ([values["wheelhouse"]] if values["wheelhouse"] is not None else []) + [Path(text) for text in named]
    if len(given) > 1 or (given and rest):
        raise click.UsageError("One wheelhouse at a time, and no requirements beside it.")
    if given:
        return given[0], ()
    stated = {
        parameter.name
        for parameter in context.command.params
        if context.get_parameter_source(parameter.name or "") is ParameterSource.COMMANDLINE
    }
    besides = {"package", "targets", "as_json", "form", "quiet", "verbose", "cache_dir", "offline"}
    usual = Path("wheelhouse")
    if stated <= besides and (usual / "wheelhouse.json").is_file():
        return usual, ()
    return None, rest


def render_why(result: WhyResult) -> None:
    """The answer for people."""
    from rich.text import Text

    out = console(stderr=False)
    versions = dict.fromkeys(one.version for one in result.targets if one.version)
    out.print(Text.assemble((shown(result.package), "bold"), f" {', '.join(versions)}".rstrip(), (f"  in {result.source}", "dim")))
    for note in result.notes:
        console().print(Text.assemble(("note: ", "bold blue"), shown(note)))
    if not result.present and not any(one.routes.shown for one in result.targets):
        out.print(Text.assemble(("Not there", "bold red"), f": {result.source} has no {shown(result.package)}"))
        if result.near:
            out.print(Text(f"  did you mean {' or '.join(result.near)}?"))
    several = len(result.targets) > 1
    for routes, targets in _alike((one.routes, one) for one in result.targets if one.state != "unwanted"):
        _routes(out, routes, [one.target for one in targets] if several and len(targets) < len(result.targets) else [])
    _targets(out, result)
    for rejected, targets in _alike((one.rejected, one) for one in result.targets if one.rejected):
        _heading(out, "Not taken", [one.target for one in targets] if several else [])
        # Those that fit, and then the nearest misses, are what anybody asks about.
        for refused in sorted(rejected, key=lambda one: (one.reason.startswith(_MISFITS), one.reason.count(", ")))[:_MANY]:
            out.print(Text(shown(f"  {refused.filename}: {refused.reason}")))
        if len(rejected) > _MANY:
            out.print(Text(f"  ... and {plural(len(rejected) - _MANY, 'file')} more (--json has them all)", style="dim"))
    for (code, reason, remedies), gaps in _alike(
        ((one.code, one.reason, one.remedies), one) for one in result.targets if one.state == "gap"
    ):
        _gap(out, code, reason, remedies, [one.target for one in gaps])
    if result.newer:
        _heading(out, "Newer versions, not taken", [])
        for newer in result.newer:
            reasons = "; ".join(newer.reasons) or "nothing that is known here stands against it"
            out.print(Text(shown(f"  {newer.version} ({newer.index}): {reasons}")))


def _alike(pairs: Iterable[tuple[_T, OnTarget]]) -> list[tuple[_T, list[OnTarget]]]:
    """Targets of which the same is to be said, together."""
    found: dict[_T, list[OnTarget]] = {}
    for key, one in pairs:
        found.setdefault(key, []).append(one)
    return list(found.items())


def _heading(out: Console, words: str, targets: Sequence[str]) -> None:
    from rich.text import Text

    out.print(Text.assemble((words, "bold"), (f" on {', '.join(targets)}" if targets else "", "dim")))


def _routes(out: Console, routes: Routes, targets: Sequence[str]) -> None:
    from rich.text import Text

    if not routes.shown:
        return
    _heading(out, "Required by", targets)
    for route in routes.shown:
        for depth, step in enumerate(route.steps):
            out.print(Text(shown("  " * (depth + 1) + _step(step))))
    if routes.more:
        out.print(Text(f"  ... and {plural(routes.more, 'more path')}{' at least' if routes.bounded else ''}", style="dim"))


def _step(step: Step) -> str:
    where = f"  (Python {step.where})" if step.where else ""
    waiver = "  (an override)" if step.waiver else ""
    return f"{step}{where}{waiver}"


def _targets(out: Console, result: WhyResult) -> None:
    """What each target gets, in a table."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("target", "", "version", "file", "from"):
        table.add_column(heading, no_wrap=heading in ("target", "", "version"), overflow="fold")
    for one in result.targets:
        words, style = _STATES[one.state]
        if one.file is not None:
            name, origin = one.file.filename, _origin(one.file)
        elif one.state == "unwanted":
            name, origin = _unwanted(one), ""
        else:
            name, origin = one.reason or "", ""
        table.add_row(
            one.target + (f"\n  {one.where}" if one.where else ""),
            Text(words, style=style),
            Text(shown(one.version or "")),
            Text(shown(name)),
            Text(shown(origin)),
        )
    out.print(table, soft_wrap=False)


def _unwanted(one: OnTarget) -> str:
    if not one.unasked:
        return "nobody there asks for it"
    lines = [f"{other.asker}: {other.requirement}{f' ; {other.marker}' if other.marker else ''} ({other.reason})" for other in one.unasked]
    return "\n".join(lines[:3]) + (f"\n... and {len(lines) - 3} more" if len(lines) > 3 else "")


_STATED = {
    "lock": "stated by the lock",
    "index": "stated by the index",
    "user": "stated by you",
    "first-seen": "first seen, stated by nobody",
}


def _origin(file: ChosenFile) -> str:
    parts = [_place(file)]
    if file.sha256:
        stated = f" ({_STATED[file.hash_source]})" if file.hash_source in _STATED and file.build is None else ""
        parts.append(f"sha256 {file.sha256[:_SHORT_DIGEST]}...{stated}")
    if file.size is not None:
        parts.append(megabytes(file.size))
    if file.yanked is not None:
        parts.append(f"YANKED{f': {file.yanked}' if file.yanked else ''}")
    return "\n".join(parts)


def _place(file: ChosenFile) -> str:
    if file.build is not None:
        return _record(file.build)
    if file.origin == "foreign":
        return "copied in by hand"
    if file.origin == "file":
        return "a file that was given"
    return f"index {file.index}" if file.index else file.origin


def _record(record: BuildRecord) -> str:
    tools = ", ".join(sorted(record.requires)[:4]) + (f" and {len(record.requires) - 4} more" if len(record.requires) > 4 else "")
    return f"built of {record.source} by {record.backend}{f' with {tools}' if tools else ''}, {record.python}, sandbox: {record.sandbox}"


def _gap(out: Console, code: str | None, reason: str | None, remedies: Sequence[Remedy], targets: Sequence[str]) -> None:
    from rich.text import Text

    out.print(
        Text.assemble(
            ("Gap", "bold red"), (f" on {', '.join(targets)}", "dim"), f": {shown(reason or '')}", (f"  [{code}]" if code else "", "dim")
        )
    )
    for remedy in remedies:
        out.print(Text.assemble(("  help: ", "bold cyan"), shown(remedy.words)))
        if remedy.command and remedy.command not in remedy.words:
            out.print(Text(f"      {shown(remedy.command)}"))


def why_json(result: WhyResult) -> dict[str, Any]:
    """The answer for ``--json``."""
    return {
        "passed": result.passed,
        "package": result.package,
        "source": result.source,
        "present": result.present,
        "near": list(result.near),
        "targets": [_target_json(one) for one in result.targets],
        "newer": [{"version": one.version, "index": one.index, "reasons": list(one.reasons)} for one in result.newer],
        "notes": list(result.notes),
    }


def _target_json(one: OnTarget) -> Mapping[str, Any]:
    row: dict[str, Any] = {
        "target": one.target,
        "state": one.state,
        "version": one.version,
        "where": one.where or None,
        "code": one.code,
        "reason": one.reason,
        "file": _file_json(one.file) if one.file is not None else None,
        "not-taken": [{"filename": refused.filename, "reason": refused.reason} for refused in one.rejected],
        "required-by": {
            "paths": [[_step_json(step) for step in route.steps] for route in one.routes.shown],
            "more": one.routes.more,
            "bounded": one.routes.bounded,
            "roots": list(one.routes.roots),
        },
        "not-asked": [
            {"asker": other.asker, "requirement": other.requirement, "marker": other.marker, "reason": other.reason}
            for other in one.unasked
        ],
        "remedies": [remedy_json(remedy) for remedy in one.remedies],
    }
    return row


def _step_json(step: Step) -> Mapping[str, Any]:
    row = {
        "asker": step.asker,
        "extra": step.extra,
        "requirement": step.requirement,
        "marker": step.marker,
        "where": step.where or None,
        "override": step.waiver,
    }
    return {key: value for key, value in row.items() if value is not None}


def _file_json(file: ChosenFile) -> Mapping[str, Any]:
    row: dict[str, Any] = {
        "filename": file.filename,
        "version": file.version,
        "origin": file.origin,
        "index": file.index,
        "sha256": file.sha256,
        "hash-source": file.hash_source,
        "size": file.size,
        "yanked": file.yanked,
    }
    if file.build is not None:
        row["build"] = {
            "source": file.build.source,
            "source-sha256": file.build.source_sha256,
            "backend": file.build.backend,
            "requires": dict(file.build.requires),
            "python": file.build.python,
            "sandbox": file.build.sandbox,
        }
    return row


def remedy_json(remedy: Remedy) -> Mapping[str, Any]:
    """One way to fill a gap."""
    return {
        "kind": remedy.kind,
        "words": remedy.words,
        "command": remedy.command,
        "version": remedy.version,
        "filename": remedy.filename,
        "allowed": remedy.allowed,
        "against": list(remedy.against),
    }

"""``hardtack fix``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

import click

from hardtack.cli import options
from hardtack.cli.output import console, plural, shown
from hardtack.reporting import Reporter

if TYPE_CHECKING:
    from hardtack.cli.progress import ConsoleReporter
    from hardtack.cli.reports import Tell
    from hardtack.planning.remedies import Remedy
    from hardtack.workflow.fix import FixResult, Proposal

_MANY = 20


@click.command("fix")
@options.inputs
@options.building
@options.targets
@options.stowing
@click.option("-y", "--yes", is_flag=True, help="Do what is proposed, without asking.")
@options.indexes
@options.common
def command(**values: Any) -> int:
    """Fill the gaps that can be filled within the constraints, and make the wheelhouse.

    Shows the change of the lock first, and asks; where nobody can be asked, --yes is needed. Another tool's lock is never written: ours is
    put beside it, as pylock.hardtack.toml, and the command of that tool is told. What cannot be filled is told with what would fill it.
    """
    from hardtack.cli.main import interruptible
    from hardtack.cli.progress import ConsoleReporter
    from hardtack.cli.reports import Report
    from hardtack.cli.tables import render_build
    from hardtack.cli.words import typed_from
    from hardtack.system.cancellation import Cancellation
    from hardtack.workflow.fix import fix

    request = options.request_from(values)
    report = Report.of(values)
    stop = Cancellation()
    interruptible(stop)
    typed = typed_from(click.get_current_context(), request, requirements=values["requirements"])
    human = report.form in ("human", "github")
    with _Relay(lambda: ConsoleReporter(quiet=report.silent, verbose=values["verbose"])) as reporter:

        def confirm(proposal: Proposal, result: FixResult) -> bool:
            with reporter.silence():
                if human:
                    render_proposal(result, proposal)
                if values["yes"] or not human or not sys.stdin.isatty():
                    return bool(values["yes"])
                return click.confirm("Do this?", err=True)

        result = fix(request, options.build_options_from(values), typed=typed, confirm=confirm, reporter=reporter, stop=stop)
    built = result.build

    findings = built.findings if built is not None else tuple(one.finding(name) for name, one in result.remaining)

    def words(tell: Tell) -> None:
        render_fix(result)
        if built is None and report.form == "github":
            tell(findings)
        if built is not None:
            render_build(built, tell, quiet=values["quiet"], verbose=bool(values["verbose"]))

    report.show(
        "fix",
        findings,
        passed=result.passed,
        words=words,
        data=lambda: fix_json(result),
        folders=(built.output,) if built is not None else (),
    )
    return 0 if result.passed else 1


class _Relay(Reporter):
    """A reporter that can fall silent while something else is shown, and goes on with a new one."""

    def __init__(self, make: Callable[[], ConsoleReporter]) -> None:
        self._make = make
        self._now = make()

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("_") or name == "silence":
            return object.__getattribute__(self, name)
        return getattr(self._now, name)

    def __enter__(self) -> Self:
        self._now.__enter__()
        return self

    def __exit__(self, *failure: Any) -> None:
        self._now.__exit__(*failure)

    @contextmanager
    def silence(self) -> Iterator[None]:
        """Nothing moves on the terminal in this block."""
        self._now.__exit__(None, None, None)
        try:
            yield
        finally:
            self._now = self._make()
            self._now.__enter__()


def render_proposal(result: FixResult, proposal: Proposal) -> None:
    """What would be done, before it is."""
    from rich.text import Text

    from hardtack.cli.diff import render_diff

    out = console(stderr=False)
    _gaps(result)
    if proposal.difference is not None:
        render_diff(proposal.difference)
    for name in proposal.built:
        out.print(Text.assemble(("~ ", "yellow"), (shown(name), "bold"), " is built from source, which only-binary forbids"))
    if proposal.lock_file is not None:
        beside = ", beside the lock of another tool, which is left as it is" if proposal.beside else ""
        out.print(Text(f"It is written to {proposal.lock_file.name}{beside}."))
    for command in proposal.foreign:
        out.print(Text.assemble(("  that tool does the same by: ", "bold cyan"), shown(command)))
    if proposal.command:
        out.print(Text.assemble(("  afterwards: ", "bold cyan"), shown(proposal.command)))


def _gaps(result: FixResult) -> None:
    from rich.text import Text

    out = console(stderr=False)
    if result.stale is not None:
        out.print(Text.assemble(("Stale: ", "bold red"), shown(result.stale)))
    fillable = set(result.proposal.fills) if result.proposal is not None else set()
    for name, target, reason in result.gaps[:_MANY]:
        word, style = ("fills", "green") if (name, target) in fillable else ("gap", "bold red")
        out.print(Text.assemble((f"{word:5} ", style), (shown(name), "bold"), (f" on {target}", "dim"), shown(f": {reason}")))
    if len(result.gaps) > _MANY:
        out.print(Text(f"... and {plural(len(result.gaps) - _MANY, 'gap')} more (--json has them all)", style="dim"))


def render_fix(result: FixResult) -> None:
    """What is left to do, and by whom."""
    from rich.text import Text

    out = console(stderr=False)
    if result.clean:
        out.print("No gap to fill.")
        return
    if result.proposal is None:
        _gaps(result)
    for edit in result.edits:
        out.print(Text.assemble(("Yours to change", "bold yellow"), f": {shown(edit.place)}"))
        out.print(Text(shown(f"  - {edit.before}"), style="red"))
        out.print(Text(shown(f"  + {edit.after}"), style="green"))
        if edit.command:
            out.print(Text.assemble(("  which this does: ", "bold cyan"), shown(edit.command)))
    alike: dict[tuple[str, tuple[Remedy, ...]], list[str]] = {}
    for name, one in result.remaining:
        alike.setdefault((one.target, one.remedies), []).append(f"{name} {one.version or ''}".strip())
    for (target, remedies), names in alike.items():
        out.print(Text.assemble(("Not filled", "bold red"), f": {shown(', '.join(names))}", (f" on {target}", "dim")))
        for remedy in remedies:
            out.print(Text.assemble(("  help: ", "bold cyan"), shown(remedy.words)))
            if remedy.command and remedy.command not in remedy.words:
                out.print(Text(f"      {shown(remedy.command)}"))
    if (more := len(result.open) - len(result.remaining)) > 0:
        out.print(Text(f"... and {plural(more, 'gap')} more (--json has them all)", style="dim"))
    if result.proposal is not None and not result.applied:
        console().print(Text("Nothing was changed: --yes does it.", style="bold"))


def fix_json(result: FixResult) -> dict[str, Any]:
    """What fixing came to, for ``--json``."""
    from hardtack.cli.tables import build_json
    from hardtack.cli.why import remedy_json

    return {
        "passed": result.passed,
        "stale": result.stale,
        "gaps": [{"package": name, "target": target, "reason": reason} for name, target, reason in result.gaps],
        "proposal": _proposal_json(result.proposal) if result.proposal is not None else None,
        "applied": result.applied,
        "open": [{"package": name, "target": target} for name, target in result.open],
        "remedies": [
            {"package": name, "target": one.target, "remedies": [remedy_json(remedy) for remedy in one.remedies]}
            for name, one in result.remaining
        ],
        "edits": [
            {
                "place": edit.place,
                "before": edit.before,
                "after": edit.after,
                "command": edit.command,
                "fills": [{"package": name, "target": target} for name, target in edit.fills],
            }
            for edit in result.edits
        ],
        "build": build_json(result.build) if result.build is not None else None,
    }


def _proposal_json(proposal: Proposal) -> Mapping[str, Any]:
    from hardtack.cli.diff import diff_json

    return {
        "fills": [{"package": name, "target": target} for name, target in proposal.fills],
        "difference": diff_json(proposal.difference) if proposal.difference is not None else None,
        "lock-file": str(proposal.lock_file) if proposal.lock_file is not None else None,
        "built": list(proposal.built),
        "beside": proposal.beside,
        "foreign": list(proposal.foreign),
        "command": proposal.command,
    }

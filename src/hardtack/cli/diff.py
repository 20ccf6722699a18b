"""``hardtack diff``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hardtack.cli.output import console, megabytes, plural, shown

if TYPE_CHECKING:
    from rich.text import Text

    from hardtack.planning.difference import Inventory, PackageChange, Taken, TargetChange
    from hardtack.workflow.diff import DiffResult

_PLACE = click.Path(path_type=Path)
_SIGNS = {"added": ("+", "green"), "removed": ("-", "red"), "changed": ("~", "yellow")}
_MANY = 6
_SHORT_DIGEST = 12


@click.command("diff")
@click.argument("before", type=_PLACE, metavar="A")
@click.argument("after", type=_PLACE, metavar="B")
@click.option("-t", "--target", "targets", multiple=True, metavar="NAME",
              help="Compare only what this target gets; a pylock.toml of another tool is planned for it.  [may be repeated]")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="The result as JSON on standard output.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing: only the exit code.")
def command(before: Path, after: Path, targets: tuple[str, ...], as_json: bool, quiet: bool) -> int:
    """Show what differs from A to B: versions, files, digests, licences, sizes, and what each target gets.

    Each is a wheelhouse (or any folder of wheels), a pylock.toml (anyone's) or a uv.lock. Exits with 0 if nothing differs, with 1 if
    something does, as diff does, and with 2 where one cannot be read.
    """
    from hardtack.cli.main import interruptible
    from hardtack.cli.output import print_json
    from hardtack.system.cancellation import Cancellation
    from hardtack.workflow.diff import diff

    stop = Cancellation()
    interruptible(stop)
    result = diff(before, after, targets=targets, stop=stop)
    if as_json:
        print_json("diff", diff_json(result))
    elif not quiet:
        render_diff(result)
    return 0 if result.same else 1


def render_diff(result: DiffResult) -> None:
    """The difference as tables."""
    from rich.table import Table
    from rich.text import Text

    out = console(stderr=False)
    for sign, side in (("-", result.before), ("+", result.after)):
        words = f"{side.kind}, {plural(len({package.name for package in side.packages}), 'package')}"
        words += f", {plural(len(side.targets), 'target')}" if side.targets else ""
        out.print(Text.assemble((f"{sign * 3} ", "dim"), (side.label, "bold"), f" ({words})"))
        for name, reason in side.unread:
            console().print(Text.assemble(("warning: ", "bold yellow"), shown(f"{side.label}: {name} cannot be read: {reason}")))
    difference = result.difference
    if difference.packages:
        table = Table(box=None, header_style="bold", pad_edge=False)
        for heading in ("", "package", "A", "B", "what differs"):
            table.add_column(heading, no_wrap=heading in ("", "package"), overflow="fold")
        for change in difference.packages:
            sign, style = _SIGNS[change.change]
            lines = _details(change)
            table.add_row(
                Text(sign, style=style),
                Text(shown(change.name), style=style),
                Text(shown(", ".join(change.versions[0]))),
                Text(shown(", ".join(change.versions[1]))),
                Text("\n").join(lines),
            )
        out.print(table, soft_wrap=False)
    _targets(result)
    counts = {kind: sum(change.change == kind for change in difference.packages) for kind in _SIGNS}
    if result.same:
        out.print(Text.assemble(("Same", "bold green"), f": {plural(difference.same, 'package')}{_unsaid(result)}"))
        return
    parts = [f"{count} {kind}" for kind, count in counts.items() if count] + [f"{plural(difference.same, 'package')} the same"]
    out.print(Text.assemble(("Different", "bold yellow"), f": {', '.join(parts)}{_unsaid(result)}"))


def _unsaid(result: DiffResult) -> str:
    """What was not compared, so that nobody takes it for the same."""
    sides = [side for side in (result.before, result.after) if not side.targets]
    if len(sides) == 1:
        return f" (no targets compared: {sides[0].label} does not say what each gets)"
    return ""


def _details(change: PackageChange) -> list[Text]:
    from rich.text import Text

    lines = [
        Text(shown(f"other bytes: {other.filename}: {_digest(other.before)} -> {_digest(other.after)}"), style="bold red")
        for other in change.replaced
    ]
    if change.other_licence:
        lines.append(Text(f"licence: {_joined(change.licences[0])} -> {_joined(change.licences[1])}", style="yellow"))
    elif change.change != "changed":
        # A new package's licence is a question for somebody; all else of it is told by its version.
        at = 1 if change.change == "added" else 0
        told = [
            _joined(change.licences[at]),
            megabytes(size) if (size := change.sizes[at]) is not None else "",
            _joined(change.sources[at]),
        ]
        return [Text(", ".join(words for words in told if words))]
    if change.moved:
        lines.append(Text(f"source: {_joined(change.sources[0]) or 'an index'} -> {_joined(change.sources[1]) or 'an index'}"))
    if change.same_versions:
        # With another version all files are others, and their names say nothing more.
        lines += [
            Text(shown(f"{sign} {name}"), style="dim")
            for sign, names in (("-", change.removed), ("+", change.added))
            for name in names[:_MANY]
        ]
        more = max(0, len(change.removed) - _MANY) + max(0, len(change.added) - _MANY)
        lines += [Text(f"... and {plural(more, 'more file')} (--json has them all)", style="dim")] if more else []
    elif change.removed or change.added:
        lines.append(Text(f"files: {len(change.removed)} gone, {len(change.added)} new", style="dim"))
    old, new = change.sizes
    if old is not None and new is not None and megabytes(old) != megabytes(new):
        lines.append(Text(f"{megabytes(old)} -> {megabytes(new)}", style="dim"))
    return lines


def _digest(text: str) -> str:
    algorithm, _, digest = text.partition(":")
    return f"{algorithm} {digest[:_SHORT_DIGEST]}..."


def _joined(texts: Sequence[str]) -> str:
    return shown("; ".join(texts))


def _targets(result: DiffResult) -> None:
    """What each target gets, those with the same change in one row."""
    from rich.table import Table
    from rich.text import Text

    out = console(stderr=False)
    difference = result.difference
    for word, style, names in (("removed", "red", difference.targets_removed), ("added", "green", difference.targets_added)):
        if names:
            out.print(Text.assemble((f"targets {word}: ", f"bold {style}"), ", ".join(names)))
    rows: dict[tuple[str, str, str], list[str]] = {}
    for target, changes in difference.targets.items():
        for change in changes:
            rows.setdefault((change.name, *_taken_words(change)), []).append(target)
    # What the table of packages says already is not said again.
    told = {
        (change.name, *(", ".join(versions) or "-" for versions in change.versions))
        for change in difference.packages
        if all(len(versions) < 2 for versions in change.versions)
    }
    rows = {row: targets for row, targets in rows.items() if row not in told or len(targets) < len(difference.targets)}
    if not rows:
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("package", "A", "B", "targets"):
        table.add_column(heading, no_wrap=heading == "package", overflow="fold")
    for (name, old, new), targets in sorted(rows.items()):
        everywhere = len(targets) == len(difference.targets) > 1
        table.add_row(
            Text(shown(name)), Text(shown(old)), Text(shown(new)), Text(f"all {len(targets)}" if everywhere else ", ".join(targets))
        )
    out.print(table, soft_wrap=False)


def _taken_words(change: TargetChange) -> tuple[str, str]:
    """Both sides in short: versions where these differ, else what else does."""
    versions = [tuple(one.version for one in side) for side in (change.before, change.after)]
    if versions[0] != versions[1] or any(one.gap for one in (*change.before, *change.after)):
        old, new = (
            ", ".join("gap" if one.gap else one.version or "to be built" for one in side) or "-" for side in (change.before, change.after)
        )
        return old, new
    files = [tuple(one.filename for one in side) for side in (change.before, change.after)]
    if files[0] != files[1]:
        old, new = (", ".join(one.filename or "to be built" for one in side) or "-" for side in (change.before, change.after))
        return old, new
    old, new = (", ".join(f"{one.filename} {_digest(one.digest or '')}" for one in side) for side in (change.before, change.after))
    return old, new


def diff_json(result: DiffResult) -> dict[str, Any]:
    """A difference for ``--json``: ``a`` and ``b`` are the two sides everywhere."""
    difference = result.difference
    return {
        "same": result.same,
        "a": _side(result.before),
        "b": _side(result.after),
        "packages": [_package(change) for change in difference.packages],
        "unchanged": difference.same,
        "targets": {
            "added": list(difference.targets_added),
            "removed": list(difference.targets_removed),
            "both": {
                name: [
                    {"name": change.name, "a": [_taken(one) for one in change.before], "b": [_taken(one) for one in change.after]}
                    for change in changes
                ]
                for name, changes in difference.targets.items()
            },
        },
    }


def _side(side: Inventory) -> Mapping[str, Any]:
    return {
        "path": side.label,
        "kind": side.kind,
        "packages": len({package.name for package in side.packages}),
        "targets": list(side.targets),
        "unread": [{"file": name, "reason": reason} for name, reason in side.unread],
    }


def _package(change: PackageChange) -> Mapping[str, Any]:
    def both(pair: Sequence[Any]) -> dict[str, Any]:
        return {"a": list(pair[0]), "b": list(pair[1])}

    return {
        "name": change.name,
        "change": change.change,
        "versions": both(change.versions),
        "files": {
            "added": list(change.added),
            "removed": list(change.removed),
            "replaced": [{"filename": other.filename, "a": other.before, "b": other.after} for other in change.replaced],
        },
        "licences": both(change.licences),
        "sources": both(change.sources),
        "size": {"a": change.sizes[0], "b": change.sizes[1]},
    }


def _taken(one: Taken) -> Mapping[str, Any]:
    return {"version": one.version, "filename": one.filename, "digest": one.digest, "gap": one.gap}

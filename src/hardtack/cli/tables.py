"""Results as tables for people and as values for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hardtack.cli.output import console, megabytes, plural
from hardtack.model.finding import Severity
from hardtack.model.plan import Build, Gap, Plan, Take

if TYPE_CHECKING:
    from hardtack.cli.reports import Tell
    from hardtack.model.finding import Verdict
    from hardtack.model.lock import Skew
    from hardtack.model.manifest import Manifest, ManifestFile
    from hardtack.model.target import Target
    from hardtack.targets.catalog import TargetRow
    from hardtack.workflow.installed import EnvironmentResult
    from hardtack.workflow.lock import LockResult
    from hardtack.workflow.merge import MergeResult
    from hardtack.workflow.outcome import BuildResult
    from hardtack.workflow.verify import VerifyResult

_GRADES = {"metadata": "closure of METADATA", "resolver": "uv's resolver agrees", "installed": "installed offline"}
_MANY = 12
# Nearly every set of development tools has one: `verify` and -v tell of them.
_ON_REQUEST = frozenset({"start-up-code"})


def render_build(result: BuildResult, tell: Tell, *, quiet: bool, verbose: bool = False) -> None:
    """What a build came to: the plan for a dry run, else the proof and the wheelhouse, or every gap. ``tell`` prints findings."""
    from rich.text import Text

    out = console(stderr=False)
    if result.plan is not None and result.verdict is None:
        render_plan(result.plan)
    told = [finding for finding in result.findings if verbose or finding.code not in _ON_REQUEST]
    tell(told)
    errors = sum(finding.severity is Severity.ERROR for finding in result.findings)
    if result.verdict is None:
        words = plural(errors, "gap") if errors else "no gap"
        if result.plan is not None and (builds := len(list(result.plan.builds()))):
            words += f", {plural(builds, 'package')} to be built here, which may fail"
        out.print(Text.assemble((f"Plan for {plural(len(result.targets), 'target')}: ", "bold"), words))
        return
    if not quiet:
        _grades(result.verdict, result.manifest.files if result.manifest else ())
    if not result.passed:
        kept = f"; what there is lies in {result.output}" if result.stowed else f"; {result.output} is left as it was"
        out.print(Text.assemble(("Not proven: ", "bold red"), f"{plural(errors, 'gap or fault', 'gaps or faults')}{kept}"))
        return
    assert result.manifest is not None
    size = sum(file.size for file in result.manifest.files)
    arrived = f"{plural(result.fetched, 'file')} fetched ({megabytes(result.received)})" if result.fetched else "nothing fetched"
    made = f"{result.built} built" if result.built else "nothing built"
    waived = f", with {plural(len(result.manifest.waivers), 'waiver')}" if result.manifest.waivers else ""
    if result.unchanged:
        arrived, made = "unchanged since it was proven: nothing fetched", "nothing built"
    out.print(
        Text.assemble(
            ("Proven complete", "bold green"),
            f" for {plural(len(result.targets), 'target')}{waived}: {plural(len(result.manifest.files), 'wheel')}"
            f" ({megabytes(size)}){_beside(result.manifest)} in {result.output}; {arrived}, {made}, {result.seconds:.1f} s",
        )
    )


def _beside(manifest: Manifest) -> str:
    """The source archives that lie beside the wheels, in words."""
    if not manifest.sources:
        return ""
    return f" and {plural(len(manifest.sources), 'sdist')} ({megabytes(sum(source.size for source in manifest.sources))})"


def render_plan(plan: Plan) -> None:
    """The plan as a table: package x target."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("package", no_wrap=True)
    for target in plan.targets:
        table.add_column(target, overflow="fold")
    rows: dict[str, dict[str, list[tuple[str, str]]]] = {}
    for entry in plan.entries:
        version = str(entry.package.version or "")
        if isinstance(entry.decision, Take):
            tag = entry.decision.file.filename.removesuffix(".whl").rsplit("-", 1)[-1]
            cell = (f"{version} {'pure' if tag == 'any' else 'wheel'}", "green")
        elif isinstance(entry.decision, Build):
            cell = (f"{version} build", "yellow")
        else:
            cell = (f"{version} GAP", "bold red")
        rows.setdefault(entry.package.name, {}).setdefault(entry.target, []).append(cell)
    for name, cells in rows.items():
        texts = []
        for target in plan.targets:
            here = cells.get(target)
            if here is None:
                texts.append(Text("-", style="dim"))
                continue
            text = Text()
            for at, (words, style) in enumerate(here):
                text.append(("\n" if at else "") + words, style=style)
            texts.append(text)
        table.add_row(name, *texts)
    console(stderr=False).print(table, soft_wrap=False)


def _grades(verdict: Verdict, files: Sequence[ManifestFile]) -> None:
    """How each target was proven."""
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("target", "wheels", "size", "proven by"):
        table.add_column(heading, no_wrap=heading != "proven by", justify="right" if heading in ("wheels", "size") else "left")
    for name, grades in verdict.grades:
        own = [file for file in files if name in file.targets]
        words = "; ".join(_GRADES[grade.value] for grade in grades) if grades else "[bold red]not proven[/]"
        table.add_row(name, str(len(own)), megabytes(sum(file.size for file in own)), words)
    console(stderr=False).print(table, soft_wrap=False)


def render_verify(result: VerifyResult, tell: Tell, *, quiet: bool, verbose: bool = False) -> None:
    """A folder's verdict."""
    from rich.text import Text

    verdict = result.verdict
    tell(verdict.findings)
    if not quiet:
        _packages(result, all_of_them=verbose)
        _grades(verdict, result.manifest.files)
    out = console(stderr=False)
    if verdict.passed:
        files = result.manifest.files
        words = f" for {plural(len(verdict.grades), 'target')}: {plural(len(files), 'wheel')}{_beside(result.manifest)} in {result.folder}"
        out.print(Text.assemble(("Proven complete", "bold green"), words))
    else:
        errors = sum(finding.severity is Severity.ERROR for finding in verdict.findings)
        out.print(Text.assemble(("Not proven: ", "bold red"), plural(errors, "gap or fault", "gaps or faults")))


_ROWS = 40  # packages that a table shows unasked


def _packages(result: VerifyResult, *, all_of_them: bool) -> None:
    """Package x target: what is installed there, and what is wrong. Of many packages only those with something wrong, unless asked."""
    from rich.table import Table
    from rich.text import Text

    targets = [name for name, _ in result.verdict.grades]
    cells: dict[str, dict[str, list[tuple[str, str]]]] = {}
    wrong: set[str] = set()
    for finding in result.verdict.findings:
        if finding.severity is Severity.ERROR and finding.package is not None:
            wrong.add(finding.package)
            for target in targets if finding.target is None else [finding.target]:
                row = cells.setdefault(finding.package, {}).setdefault(target, [])
                if (finding.code, "bold red") not in row:
                    row.append((finding.code, "bold red"))
    for file in result.manifest.files:
        kind = "pure" if file.filename.endswith("-any.whl") else "wheel"
        for target in file.targets:
            row = cells.setdefault(file.name, {}).setdefault(target, [])
            row.insert(0, (f"{file.version} {kind}", "green"))
    shown = sorted(cells) if all_of_them or len(cells) <= _ROWS else sorted(wrong)
    if not shown or not targets:
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("package", no_wrap=True)
    for target in targets:
        table.add_column(target, overflow="fold")
    for name in shown:
        texts = []
        for target in targets:
            parts = [Text(words, style=style) for words, style in cells[name].get(target, [])]
            texts.append(Text("\n").join(parts) if parts else Text("-", style="dim"))
        table.add_row(name, *texts)
    out = console(stderr=False)
    out.print(table, soft_wrap=False)
    if len(shown) < len(cells):
        out.print(Text(f"{len(cells) - len(shown)} more packages have nothing wrong; -v shows them too", style="dim"))


def render_environment(result: EnvironmentResult, tell: Tell, *, quiet: bool, verbose: bool = False) -> None:
    """What comparing an environment came to."""
    from rich.table import Table
    from rich.text import Text

    tell(result.findings)
    out = console(stderr=False)
    wrong = {finding.package for finding in result.findings if finding.severity is not Severity.NOTE}
    rows = [row for row in result.rows if verbose or len(result.rows) <= _ROWS or row.name in wrong]
    if rows and not quiet:
        table = Table(box=None, header_style="bold", pad_edge=False)
        for heading in ("package", "installed", *(["wanted"] if result.against else []), ""):
            table.add_column(heading, no_wrap=True)
        for row in rows:
            codes = dict.fromkeys(finding.code for finding in result.findings if finding.package == row.name)
            style = "bold red" if row.name in wrong else "green"
            wanted = [Text(row.wanted or "-")] if result.against else []
            table.add_row(row.name, Text(row.installed or "-", style=style), *wanted, ", ".join(codes))
        out.print(table, soft_wrap=False)
    what = f"what {result.against} says for {result.target}, and " if result.against else ""
    if result.passed:
        words = f": {plural(len(result.rows), 'package')} in {result.path} are {what}what their RECORDs say"
        out.print(Text.assemble(("As it should be", "bold green"), words))
    else:
        errors = sum(finding.severity is Severity.ERROR for finding in result.findings)
        out.print(Text.assemble(("Not as it should be: ", "bold red"), plural(errors, "fault")))


def environment_json(result: EnvironmentResult) -> dict[str, Any]:
    """The same for ``--json``."""
    return {
        "passed": result.passed,
        "environment": str(result.path),
        "python": result.python,
        "target": result.target,
        "against": result.against,
        "packages": [{"name": row.name, "installed": row.installed, "wanted": row.wanted} for row in result.rows],
        "findings": [finding.as_json() for finding in result.findings],
    }


def render_merge(result: MergeResult, tell: Tell, *, quiet: bool) -> None:
    """What merging came to: what each part brought, the proof, or everything that stands against it."""
    from rich.text import Text

    tell(result.findings)
    out = console(stderr=False)
    if not quiet:
        _grades(result.verdict, result.manifest.files)
        for part in dict.fromkeys(str(part) for part in result.parts):
            files = [file for place, file in result.brought if place == part]
            named = ", ".join(file.filename for file in files[:_MANY]) + (f" and {len(files) - _MANY} more" if len(files) > _MANY else "")
            out.print(Text(f"From {part}: {plural(len(files), 'wheel')} ({named})" if files else f"From {part}: nothing that was lacking"))
    if not result.passed:
        errors = sum(finding.severity is Severity.ERROR for finding in result.findings)
        kept = f"; what there is lies in {result.output}" if result.stowed else f"; {result.output} is left as it was"
        out.print(Text.assemble(("Not proven: ", "bold red"), f"{plural(errors, 'gap or fault', 'gaps or faults')}{kept}"))
        return
    waived = f", with {plural(len(result.manifest.waivers), 'waiver')}" if result.manifest.waivers else ""
    size = megabytes(sum(file.size for file in result.manifest.files))
    out.print(
        Text.assemble(
            ("Proven complete", "bold green"),
            f" for {plural(len(result.targets), 'target')}{waived}: {plural(len(result.manifest.files), 'wheel')} ({size})"
            f" in {result.output}{'' if result.changed else ', unchanged'}, {result.seconds:.1f} s",
        )
    )


def render_lock(result: LockResult, tell: Tell, *, quiet: bool, check: bool) -> None:
    """What locking came to."""
    from rich.text import Text

    if not quiet:
        render_skews(result.summary.skews)
    tell(result.findings)
    if quiet:
        return
    out = console(stderr=False)
    names = len({name for name, _, _ in result.summary.packages})
    words = f"{plural(names, 'package')} for {plural(len(result.summary.targets) or 1, 'target')}"
    if check:
        style, verb = ("bold green", "Up to date") if result.passed else ("bold red", "Stale")
    else:
        style, verb = ("bold green", "Locked" if result.changed else "Unchanged")
    places = ", ".join(str(place) for place in ([result.path] if result.path else []) + list(result.exports))
    out.print(Text.assemble((verb, style), f": {words} in {places}, {result.seconds:.1f} s"))


def render_known(rows: Sequence[TargetRow]) -> None:
    """The known targets."""
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("name", "platform", "Pythons", "also written"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(row.name, row.platform + (f" ({row.note})" if row.note else ""), ", ".join(row.pythons), ", ".join(row.aliases))
    console(stderr=False).print(table, soft_wrap=False)


def render_targets(targets: Sequence[Target]) -> None:
    """What some targets mean."""
    from rich.text import Text

    out = console(stderr=False)
    for target in targets:
        out.print(Text(target.name, style="bold"))
        out.print(f"  patches: {target.patches.specifier()}")
        for name, value in sorted(target.environment.items()):
            out.print(Text(f"  {name}: {value}"))
        out.print(Text(f"  {len(target.tags)} tags, the best first: {', '.join(str(tag) for tag in target.tags[:6])}, ..."))


def render_skews(skews: Sequence[Skew]) -> None:
    """Packages with several versions among the targets, and why."""
    from rich.text import Text

    for skew in skews:
        places = "; ".join(f"{version} on {', '.join(targets)}" for version, targets in skew.versions)
        console().print(Text.assemble(("note: ", "bold blue"), f"{skew.name} has several versions: {places} ({skew.reason})"))


def build_json(result: BuildResult) -> dict[str, Any]:
    """A build for ``--json``."""
    data: dict[str, Any] = {
        "passed": result.passed,
        "wheelhouse": str(result.output),
        "stowed": result.stowed,
        "inputs": [{"path": str(found.path), "kind": found.kind, "used": found.used, "why": found.why} for found in result.found],
        "notes": list(result.notes),
        "targets": [target.name for target in result.targets],
        "unchanged": result.unchanged,
        "findings": [finding.as_json() for finding in result.findings],
        "fetched": {"files": result.fetched, "bytes": result.received},
        "built": result.built,
        "seconds": round(result.seconds, 3),
    }
    if result.plan is not None:
        data["plan"] = plan_json(result.plan)
    if result.verdict is not None:
        data["grades"] = {name: [grade.value for grade in grades] for name, grades in result.verdict.grades}
        data["manifest-sha256"] = result.verdict.manifest_digest or None
    if result.manifest is not None:
        data["pins"] = [
            {"target": pin.target, "name": pin.name, "version": pin.version, "filename": pin.filename, "marker": pin.marker}
            for pin in result.manifest.pins
        ]
        data["waivers"] = [{"kind": w.kind, "requirement": w.requirement, "origin": w.origin} for w in result.manifest.waivers]
        data["skews"] = skews_json(result.manifest.skews)
        data["files"] = [
            {
                "filename": file.filename,
                "path": file.path,
                "sha256": file.sha256,
                "size": file.size,
                "name": file.name,
                "version": file.version,
                "targets": list(file.targets),
                "origin": file.origin,
                "hash-source": file.hash_source,
            }
            for file in result.manifest.files
        ]
        data["sources"] = [
            {
                "filename": source.filename,
                "path": source.path,
                "sha256": source.sha256,
                "size": source.size,
                "name": source.name,
                "version": source.version,
                "origin": source.origin,
                "hash-source": source.hash_source,
            }
            for source in result.manifest.sources
        ]
    return data


def plan_json(plan: Plan) -> list[Mapping[str, Any]]:
    """Every decision of a plan."""
    rows: list[Mapping[str, Any]] = []
    for entry in plan.entries:
        row: dict[str, Any] = {
            "package": entry.package.name,
            "version": str(entry.package.version) if entry.package.version else None,
            "target": entry.target,
            "marker": entry.marker,
        }
        if isinstance(entry.decision, Take):
            row |= {"decision": "take", "file": entry.decision.file.filename}
        elif isinstance(entry.decision, Build):
            row |= {"decision": "build", "reason": entry.decision.reason}
        elif isinstance(entry.decision, Gap):
            row |= {"decision": "gap", "code": entry.decision.code, "reason": entry.decision.reason}
        rows.append(row)
    return rows


def skews_json(skews: Sequence[Skew]) -> list[Mapping[str, Any]]:
    """Version skew for ``--json``."""
    return [
        {"package": skew.name, "versions": {version: list(targets) for version, targets in skew.versions}, "why": skew.reason}
        for skew in skews
    ]


def lock_json(result: LockResult) -> dict[str, Any]:
    """A lock for ``--json``."""
    return {
        "passed": result.passed,
        "path": str(result.path) if result.path else None,
        "changed": result.changed,
        "exports": [str(path) for path in result.exports],
        "packages": [{"name": name, "version": version, "marker": marker} for name, version, marker in result.summary.packages],
        "targets": list(result.summary.targets),
        "skews": skews_json(result.summary.skews),
        "findings": [finding.as_json() for finding in result.findings],
        "seconds": round(result.seconds, 3),
    }


def verify_json(result: VerifyResult) -> dict[str, Any]:
    """A verdict for ``--json``."""
    return {
        "passed": result.verdict.passed,
        "wheelhouse": str(result.folder),
        "findings": [finding.as_json() for finding in result.verdict.findings],
        "grades": {name: [grade.value for grade in grades] for name, grades in result.verdict.grades},
        "manifest-sha256": result.verdict.manifest_digest or None,
        "pins": [
            {"target": pin.target, "name": pin.name, "version": pin.version, "filename": pin.filename, "marker": pin.marker}
            for pin in result.manifest.pins
        ],
    }


def merge_json(result: MergeResult) -> dict[str, Any]:
    """A merge for ``--json``."""
    return {
        "passed": result.passed,
        "wheelhouse": str(result.output),
        "parts": [str(part) for part in result.parts],
        "stowed": result.stowed,
        "changed": result.changed,
        "targets": [target.name for target in result.targets],
        "findings": [finding.as_json() for finding in result.findings],
        "brought": [{"part": part, "filename": file.filename, "sha256": file.sha256} for part, file in result.brought],
        "grades": {name: [grade.value for grade in grades] for name, grades in result.verdict.grades},
        "manifest-sha256": result.verdict.manifest_digest or None,
        "seconds": round(result.seconds, 3),
    }

"""The forms in which a verb's result leaves: words for people, one JSON document, SARIF 2.1.0, or annotations of GitHub's workflows."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from hardtack.cli.output import console, print_json, print_text, render_error, shown
from hardtack.errors import HardtackError, UsageError
from hardtack.model.finding import Finding, Severity

Form = Literal["human", "json", "sarif", "github"]
Tell = Callable[[Iterable[Finding]], None]
"""Prints findings, in whatever form was asked for."""
FORMS: tuple[Form, ...] = ("human", "json", "sarif", "github")

_SARIF_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_ORDER = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.NOTE: 2}
_WEIGHTS = {Severity.ERROR: ("error", "bold red"), Severity.WARNING: ("warning", "bold yellow"), Severity.NOTE: ("note", "bold blue")}
_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}
# "requirements.txt:3 asks for flask", "requirements.txt:3: flask", "pyproject.toml: project.dependencies asks for flask"
_ASKING = re.compile(r"(?P<file>[^\n]+?):(?P<line>\d{1,9})(?: asks for |: )|(?P<named>[^\n:]+): ")
_SHOWN = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Same:
    """Findings that differ in their target alone. ``first`` stands for all; ``targets`` and ``required_by`` are everybody's."""

    first: Finding
    targets: tuple[str, ...]
    required_by: tuple[str, ...]
    count: int


def grouped(findings: Iterable[Finding]) -> list[Same]:
    """Findings that say the same of several targets as one, the gravest first, else in their order."""
    found: dict[tuple[Any, ...], list[Finding]] = {}
    for finding in sorted(findings, key=lambda finding: _ORDER[finding.severity]):
        words = finding.message.replace(finding.target, "{target}") if finding.target else finding.message
        key = (finding.severity, finding.code, words, finding.package, finding.instead, finding.hint)
        found.setdefault(key, []).append(finding)
    return [
        Same(
            first=same[0],
            targets=tuple(dict.fromkeys(finding.target for finding in same if finding.target)),
            required_by=tuple(dict.fromkeys(line for finding in same for line in finding.required_by)),
            count=len(same),
        )
        for same in found.values()
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """How this run's result is printed. ``form`` is what was asked for."""

    form: Form
    quiet: bool = False

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Report:
        """As the options say: ``--format``, or ``--json`` as the short way to one of them."""
        form: Form | None = values.get("form")
        if values.get("as_json"):
            if form not in (None, "json"):
                raise UsageError(f"--json and --format {form} contradict each other", hint="give one of them")
            form = "json"
        return cls(form=form or "human", quiet=bool(values.get("quiet")))

    @property
    def silent(self) -> bool:
        """True where progress and notes would be in the way of a program that reads along."""
        return self.quiet or self.form in ("json", "sarif")

    def show(
        self,
        verb: str,
        findings: Sequence[Finding],
        *,
        passed: bool,
        words: Callable[[Tell], None],
        data: Callable[[], Mapping[str, Any]],
        folders: Sequence[Path] = (),
        fallback: Path | None = None,
    ) -> None:
        """Print a result: ``words`` prints it for people, and is given what prints findings; ``data`` is what ``--json`` has of it.

        ``folders`` are where findings' files lie; ``fallback`` is the file to show a finding at that names none.
        """
        if self.form == "json":
            print_json(verb, data())
        elif self.form == "sarif":
            print_text(sarif(verb, findings, passed=passed, places=Places(folders, fallback)))
        elif self.form == "github":
            places = Places(folders, fallback)
            words(lambda told: print_text("".join(f"{line}\n" for line in workflow_commands(told, places)), end=""))
        else:
            words(lambda told: render_findings(told, quiet=self.quiet))


def render_findings(findings: Iterable[Finding], *, quiet: bool) -> None:
    """Every finding in words, the gravest last, those that differ only in their target as one."""
    from rich.text import Text

    out = console()
    for same in sorted(grouped(findings), key=lambda same: -_ORDER[same.first.severity]):
        finding = same.first
        if quiet and finding.severity is Severity.NOTE:
            continue
        word, style = _WEIGHTS[finding.severity]
        out.print(Text.assemble((f"{word}: ", style), shown(finding.message), (f"  [{finding.code}]", "dim")))
        if same.count > 1 and same.targets:
            out.print(Text.assemble(("  targets: ", "bold"), ", ".join(same.targets)))
        for line in same.required_by[:_SHOWN]:
            out.print(Text.assemble(("  required by: ", "bold"), shown(line)))
        if len(same.required_by) > _SHOWN:
            out.print(Text(f"  ... and {len(same.required_by) - _SHOWN} more"))
        for line in finding.instead[:_SHOWN]:
            out.print(Text.assemble(("  there is: ", "bold"), shown(line)))
        if len(finding.instead) > _SHOWN:
            out.print(Text(f"  ... and {len(finding.instead) - _SHOWN} more (--json has them all)"))
        if finding.hint:
            out.print(Text.assemble(("  help: ", "bold cyan"), shown(finding.hint)))


def show_error(error: HardtackError, form: Form, *, slug: str | None = None) -> None:
    """What ended the run before there was a result, in the form that was asked for."""
    code = slug or error.slug
    if form == "sarif":
        print_text(sarif_of_error(error, code))
        return
    if form == "github":
        finding = Finding(code=code, message=str(error), hint=error.hint)
        print_text("\n".join(workflow_commands([finding], Places((), None))))
    render_error(error, as_json=form == "json", slug=slug)


def form_of(arguments: Sequence[str]) -> Form:
    """The form that a command line asks for, told before it is parsed: an error of parsing is to be in that form too."""
    form: Form = "json" if "--json" in arguments else "human"
    for at, argument in enumerate(arguments):
        if argument == "--":
            break
        value = arguments[at + 1] if argument == "--format" and at + 1 < len(arguments) else argument.partition("--format=")[2]
        form = next((known for known in FORMS if known == value), form)
    return form


@dataclass(frozen=True, slots=True)
class _Place:
    """A file as the reader's checkout has it (with "/", or absolute), and a line from 1."""

    path: str
    line: int | None = None


class Places:
    """Finds where a finding is to be shown: the line that asks for the package, else the file itself, else the fallback."""

    def __init__(self, folders: Sequence[Path], fallback: Path | None) -> None:
        from hardtack.system import environ

        self._here = Path.cwd()
        workspace = environ.variables().get("GITHUB_WORKSPACE")
        self._root = Path(workspace) if workspace and self._here.is_relative_to(workspace) else self._here
        self._folders = [self._here, *(self._here / folder for folder in folders)]
        self._fallback = fallback

    def of(self, same: Same) -> _Place | None:
        for line in same.required_by:
            match = _ASKING.match(line)
            if match and (path := self._existing(match["file"] or match["named"])):
                return _Place(self._shown(path), int(match["line"]) if match["line"] else None)
        if same.first.file and (path := self._existing(same.first.file)):
            return _Place(self._shown(path))
        return _Place(self._shown(self._here / self._fallback)) if self._fallback is not None else None

    def _existing(self, name: str) -> Path | None:
        for folder in self._folders:
            try:
                if (folder / name).is_file():
                    return folder / name
            except (OSError, ValueError):
                return None
        return None

    def _shown(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix() if path.is_relative_to(self._root) else path.as_posix()


def _paragraphs(same: Same) -> list[str]:
    """A finding in full, a thought a line."""
    lines = [same.first.message]
    if same.targets:
        lines.append(f"{'targets' if len(same.targets) > 1 else 'target'}: {', '.join(same.targets)}")
    for word, texts in (("required by", same.required_by), ("there is", same.first.instead)):
        lines += [f"{word}: {text}" for text in texts[:_SHOWN]]
        lines += [f"... and {len(texts) - _SHOWN} more"] if len(texts) > _SHOWN else []
    if same.first.hint:
        lines.append(f"help: {same.first.hint}")
    return lines


def workflow_commands(findings: Iterable[Finding], places: Places) -> Iterator[str]:
    """Each finding as a command to GitHub's runner, the gravest first (of each kind it shows ten in a step)."""
    for same in grouped(findings):
        place = places.of(same)
        about = " ".join(part for part in (same.first.package, same.first.version) if part)
        properties = {
            "file": place.path if place else None,
            "line": str(place.line) if place and place.line else None,
            "title": f"hardtack: {same.first.code}" + (f" ({about})" if about else ""),
        }
        told = ",".join(f"{key}={_property(value)}" for key, value in properties.items() if value)
        yield f"::{_COMMANDS[same.first.severity]} {told}::{_data(chr(10).join(_paragraphs(same)))}"


def _data(text: str) -> str:
    """As the runner takes it apart again: nothing in a message can begin a command of its own."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def sarif(verb: str, findings: Iterable[Finding], *, passed: bool, places: Places) -> str:
    """A SARIF 2.1.0 log with one run. A rule is a finding's code; results that differ only in their target are one."""
    groups = grouped(findings)
    codes = sorted({same.first.code for same in groups})
    results = []
    seen: dict[str, int] = {}
    for same in groups:
        result = _result(same, codes, places.of(same))
        about = _about(same)
        seen[about] = seen.get(about, 0) + 1
        result["partialFingerprints"] = {"hardtackFinding/v1": _fingerprint(f"{about}\0{seen[about]}")}
        results.append(result)
    return _log(verb, [_rule(code) for code in codes], results, {"executionSuccessful": True, "exitCode": 0 if passed else 1})


def sarif_of_error(error: HardtackError, code: str) -> str:
    """A SARIF log of a run that came to no result."""
    text = f"{error}\n{error.hint}" if error.hint else str(error)
    notification = {"level": "error", "message": {"text": text}, "descriptor": {"id": code}}
    invocation = {"executionSuccessful": False, "exitCode": error.exit_code, "toolExecutionNotifications": [notification]}
    return _log(None, [], [], invocation)


def _log(verb: str | None, rules: list[dict[str, Any]], results: list[dict[str, Any]], invocation: dict[str, Any]) -> str:
    from hardtack.version import __version__

    run: dict[str, Any] = {
        "tool": {"driver": {"name": "hardtack", "version": __version__, "rules": rules}},
        "invocations": [invocation],
        "columnKind": "unicodeCodePoints",
        "results": results,
    }
    if verb is not None:
        run["automationDetails"] = {"id": f"hardtack/{verb}/"}
    return json.dumps({"$schema": _SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2)


def _rule(code: str) -> dict[str, Any]:
    from hardtack.cli.rules import RULES

    meanings = RULES.get(code, ())
    rule: dict[str, Any] = {"id": code}
    if meanings:
        told = "; or: ".join(_plain(meaning) for meaning, _ in meanings)
        advice = "; or: ".join(dict.fromkeys(_plain(advice) for _, advice in meanings))
        rule |= {
            "shortDescription": {"text": told if len(told) <= 1000 else told[:997] + "..."},
            "help": {
                "text": f"{told}. What to do: {advice}",
                "markdown": "\n".join(f"- {meaning}: *{advice}*" for meaning, advice in meanings),
            },
        }
    return rule


def _plain(markdown: str) -> str:
    return markdown.replace("`", "")


def _result(same: Same, codes: Sequence[str], place: _Place | None) -> dict[str, Any]:
    finding = same.first
    result: dict[str, Any] = {
        "ruleId": finding.code,
        "ruleIndex": codes.index(finding.code),
        "level": finding.severity.value,
        "message": {"text": "\n".join(_paragraphs(same))},
    }
    location: dict[str, Any] = {}
    if place is not None:
        physical: dict[str, Any] = {"artifactLocation": _artifact(place.path)}
        # GitHub shows no result without a line.
        physical["region"] = {"startLine": place.line or 1}
        location["physicalLocation"] = physical
    if finding.package:
        full = f"{finding.package}=={finding.version}" if finding.version else finding.package
        location["logicalLocations"] = [{"name": finding.package, "fullyQualifiedName": full, "kind": "package"}]
    if location:
        result["locations"] = [location]
    details = {
        "package": finding.package,
        "version": finding.version,
        "targets": list(same.targets),
        "file": finding.file,
        "required-by": list(same.required_by),
        "instead": list(finding.instead),
        "hint": finding.hint,
    }
    result["properties"] = {key: value for key, value in details.items() if value}
    return result


def _about(same: Same) -> str:
    """What a finding is about, and not its words, which may be put better one day: so that a run's findings are known again in the next."""
    finding = same.first
    about = [finding.code, finding.severity.value, finding.package or "", finding.file or "", *sorted(same.targets)]
    return "\0".join(about if finding.package or finding.file else [*about, finding.message])


def _fingerprint(text: str) -> str:
    import hashlib

    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()


def _artifact(path: str) -> dict[str, Any]:
    if Path(path).is_absolute():
        return {"uri": Path(path).as_uri()}
    from urllib.parse import quote

    return {"uri": quote(path), "uriBaseId": "%SRCROOT%"}

"""Findings leave in four forms, and in each the reader at the other end gets exactly what was meant."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hardtack.cli import rules
from hardtack.cli.main import run
from hardtack.cli.output import render_error
from hardtack.cli.reports import FORMS, Places, Report, form_of, grouped, render_findings, sarif, workflow_commands
from hardtack.errors import HardtackError, UsageError
from hardtack.model.finding import Finding, Severity

ROOT = Path(__file__).parents[2]
GAP = Finding(
    code="no-file",
    message="grpcio 1.0 has nothing that serves {}",
    package="grpcio",
    version="1.0",
    required_by=("app 1.0 requires grpcio", "req.txt:3 asks for app"),
    instead=("grpcio-1.0-cp311-win.whl (for Windows)",),
    hint="lower the floor",
)


def gap(target: str) -> Finding:
    from dataclasses import replace

    return replace(GAP, message=GAP.message.format(target), target=target)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_WORKSPACE", raising=False)
    (tmp_path / "req.txt").write_text("# one\n\napp\n")
    return tmp_path


def parsed(line: str) -> tuple[str, dict[str, str], str]:
    """A workflow command, taken apart as GitHub's runner does (actions/runner, ActionCommand.TryParseV2): (command, properties, data)."""
    assert "\n" not in line
    assert "\r" not in line
    match = re.fullmatch(r"::(?P<head>.*?)::(?P<data>.*)", line)
    assert match, line
    command, _, rest = match["head"].partition(" ")
    properties = dict(part.strip().split("=", 1) for part in rest.split(",") if part.strip())
    for escape, character in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        properties = {key: value.replace(escape, character) for key, value in properties.items()}
    data = match["data"]
    for escape, character in (("%0D", "\r"), ("%0A", "\n"), ("%25", "%")):
        data = data.replace(escape, character)
    return command, properties, data


def commands(*findings: Finding, folders: tuple[Path, ...] = (), fallback: Path | None = None) -> list[tuple[str, dict[str, str], str]]:
    return [parsed(line) for line in workflow_commands(findings, Places(folders, fallback))]


def test_what_several_targets_share_is_told_once_and_at_the_line_that_asks() -> None:
    [(command, properties, data)] = commands(gap("t1"), gap("t2"))
    assert command == "error"
    assert properties == {"file": "req.txt", "line": "3", "title": "hardtack: no-file (grpcio 1.0)"}
    assert data.splitlines() == [
        "grpcio 1.0 has nothing that serves t1",
        "targets: t1, t2",
        "required by: app 1.0 requires grpcio",
        "required by: req.txt:3 asks for app",
        "there is: grpcio-1.0-cp311-win.whl (for Windows)",
        "help: lower the floor",
    ]


def test_the_gravest_come_first_for_only_ten_of_each_are_shown() -> None:
    found = [Finding(code="c", message=severity.value, severity=severity) for severity in (Severity.NOTE, Severity.ERROR, Severity.WARNING)]
    assert [command for command, _, _ in commands(*found)] == ["error", "warning", "notice"]


TEXT = st.text(st.sampled_from("a:,%\r\n;=\x1b\u2028é0ADC25 "), max_size=12)


@settings(max_examples=100, deadline=None)
@given(message=TEXT, package=TEXT, hint=TEXT)
def test_nothing_in_a_finding_breaks_out_of_its_line(message: str, package: str, hint: str) -> None:
    finding = Finding(code="record", message=message, package=package or None, hint=hint or None)
    lines = "".join(f"{line}\n" for line in workflow_commands([finding], Places((), None)))
    assert lines.count("\n") == 1
    command, properties, data = parsed(lines.rstrip("\n"))
    assert command == "error"
    assert data == message + (f"\nhelp: {hint}" if hint else "")
    assert properties["title"] == "hardtack: record" + (f" ({package})" if package else "")


def test_places(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    house = here / "a, b" / "wheelhouse"
    house.mkdir(parents=True)
    (house / "x.whl").write_bytes(b"")
    (house / "wheelhouse.json").write_bytes(b"")
    bad = Finding(code="record", message="m", file="x.whl")
    nowhere = Finding(code="record", message="m", file="gone.whl")
    assert commands(bad, folders=(house,))[0][1]["file"] == "a, b/wheelhouse/x.whl"
    assert "file" not in commands(nowhere, folders=(house,))[0][1]
    assert commands(nowhere, folders=(house,), fallback=house / "wheelhouse.json")[0][1]["file"] == "a, b/wheelhouse/wheelhouse.json"
    assert "file" not in commands(Finding(code="c", message="m", file="x\0y"))[0][1]
    monkeypatch.setenv("GITHUB_WORKSPACE", str(here.parent))
    assert commands(bad, folders=(house,))[0][1]["file"] == f"{here.name}/a, b/wheelhouse/x.whl"
    monkeypatch.setenv("GITHUB_WORKSPACE", str(here))
    monkeypatch.chdir(here / "a, b")
    assert commands(bad, folders=(Path("wheelhouse"),))[0][1]["file"] == "a, b/wheelhouse/x.whl"


def check_sarif(log: Mapping[str, Any]) -> Mapping[str, Any]:
    """What SARIF 2.1.0's schema requires of the parts that are written, and what GitHub asks beyond it. The run."""
    assert log["version"] == "2.1.0"
    assert set(log) <= {"$schema", "version", "runs"}
    [found] = log["runs"]
    run_: Mapping[str, Any] = found
    driver = run_["tool"]["driver"]
    assert driver["name"] == "hardtack"
    identifiers = [rule["id"] for rule in driver["rules"]]
    assert len(identifiers) == len(set(identifiers))
    for rule in driver["rules"]:
        assert set(rule) <= {"id", "shortDescription", "help"}
        assert all(rule[key]["text"] for key in rule if key != "id")
    for invocation in run_["invocations"]:
        assert isinstance(invocation["executionSuccessful"], bool)
        for notification in invocation.get("toolExecutionNotifications", ()):
            assert notification["message"]["text"]
            assert notification["level"] in ("none", "note", "warning", "error")
    fingerprints = []
    for result in run_["results"]:
        assert result["message"]["text"]
        assert result["level"] in ("note", "warning", "error")
        assert identifiers[result["ruleIndex"]] == result["ruleId"]
        [fingerprint] = result["partialFingerprints"].values()
        fingerprints.append(fingerprint)
        for location in result.get("locations", ()):
            physical = location.get("physicalLocation")
            if physical is not None:
                assert physical["region"]["startLine"] >= 1
                assert re.fullmatch(r"[\w!$&'()*+,;=:@/.~%-]+", physical["artifactLocation"]["uri"], re.ASCII)
    assert len(fingerprints) == len(set(fingerprints))
    assert run_["columnKind"] in ("utf16CodeUnits", "unicodeCodePoints")
    return run_


def test_sarif(here: Path) -> None:
    (here / "ö x.whl").write_bytes(b"")
    found = [
        gap("t1"),
        gap("t2"),
        Finding(code="record", message="a", file="ö x.whl", severity=Severity.WARNING),
        Finding(code="record", message="b", file="ö x.whl", severity=Severity.WARNING),
        Finding(code="never-heard-of", message="c", severity=Severity.NOTE),
    ]
    text = sarif("verify", found, passed=False, places=Places((), None))
    run_ = check_sarif(json.loads(text))
    assert [rule["id"] for rule in run_["tool"]["driver"]["rules"]] == ["never-heard-of", "no-file", "record"]
    assert "RECORD" in run_["tool"]["driver"]["rules"][2]["help"]["text"]
    first, second = run_["results"][:2]
    assert first["properties"]["targets"] == ["t1", "t2"]
    assert first["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "req.txt", "uriBaseId": "%SRCROOT%"},
        "region": {"startLine": 3},
    }
    assert second["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "%C3%B6%20x.whl"
    assert "locations" not in run_["results"][3]
    assert run_["invocations"] == [{"executionSuccessful": True, "exitCode": 1}]
    again = check_sarif(json.loads(sarif("verify", found[::-1], passed=False, places=Places((), None))))
    assert {json.dumps(one["partialFingerprints"]) for one in again["results"]} == {
        json.dumps(one["partialFingerprints"]) for one in run_["results"]
    }


@settings(max_examples=60, deadline=None)
@given(st.lists(st.builds(Finding, code=st.sampled_from(["record", "x"]), message=st.text(max_size=9), severity=st.sampled_from(Severity),
                          package=st.none() | st.text(max_size=4), file=st.none() | st.text(max_size=4),
                          target=st.sampled_from([None, "t", "u"])), max_size=6))  # fmt: skip
def test_sarif_is_sound_whatever_is_found(found: list[Finding]) -> None:
    # JSON has no message without text, and no check makes one.
    found = [finding for finding in found if finding.message]
    run_ = check_sarif(json.loads(sarif("build", found, passed=True, places=Places((), Path("req.txt")))))
    assert len(run_["results"]) == len(grouped(found))
    assert all(result["locations"] for result in run_["results"])


def test_one_form_at_a_time() -> None:
    assert Report.of({}).form == "human"
    assert Report.of({"as_json": True}) == Report.of({"as_json": True, "form": "json"}) == Report(form="json")
    assert (Report.of({"form": "sarif"}).silent, Report.of({"form": "github"}).silent, Report.of({"quiet": True}).silent) == (
        True,
        False,
        True,
    )
    with pytest.raises(UsageError):
        Report.of({"as_json": True, "form": "github"})


def test_the_form_is_known_before_the_command_line_is_understood() -> None:
    assert form_of(["verify", "--nonsense", "--json"]) == "json"
    assert form_of(["verify", "--format", "sarif"]) == form_of(["verify", "--format=sarif"]) == "sarif"
    assert (
        form_of(["verify", "--format", "nonsense"])
        == form_of(["verify", "--format"])
        == form_of(["build", "--", "--format=sarif"])
        == "human"
    )


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("arguments", [["verify", "nothing"], ["verify", "--nonsense"]])
def test_what_ends_a_run_is_told_in_the_form_that_was_asked_for(
    arguments: list[str], form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*arguments, "--format", form]) == 2
    out, err = capsys.readouterr()
    if form == "human":
        assert out == ""
        assert err
    elif form == "json":
        assert json.loads(out)["kind"] == "error"
    elif form == "sarif":
        [invocation] = check_sarif(json.loads(out))["invocations"]
        assert (invocation["executionSuccessful"], invocation["exitCode"]) == (False, 2)
    else:
        assert [parsed(line)[0] for line in out.splitlines()] == ["error"]


def test_what_a_package_says_cannot_look_like_what_we_say(capsys: pytest.CaptureFixture[str]) -> None:
    evil = "x\x1b[2J\x1b[1;32m\r\nProven complete for 1 target\n\u202eerror"
    render_findings([Finding(code="record", message=evil, hint=evil, instead=(evil,), required_by=(evil,))], quiet=False)
    render_error(HardtackError(evil, hint=evil), as_json=False)
    err = capsys.readouterr().err
    assert not set(err) & set("\x1b\r\u202e")
    assert all(line.startswith(("error: ", "  ")) for line in err.splitlines()), err


def _maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_rules", ROOT / "docs" / "make_rules.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_rules_say_what_the_page_of_findings_says() -> None:
    text = Path(rules.__file__).read_text(encoding="utf-8")
    assert text == _maker().module(), "run docs/make_rules.py"
    assert len(rules.RULES) > 60
    assert rules.RULES["record"][0][0].startswith("RECORD is missing")

"""Tests that measure a promise already: run by name, counted by their reports."""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.promises.figures import Figure, Unmeasured

HERE = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tested:
    """What came of a selection of tests, by their names."""

    passed: tuple[str, ...]
    failed: tuple[str, ...]
    skipped: Mapping[str, str]

    def figure(self, row: str, what: str) -> Figure:
        """The figure: how many of those that ran passed. Raises Unmeasured where none ran."""
        ran = len(self.passed) + len(self.failed)
        if not ran:
            raise Unmeasured("; ".join(sorted(set(self.skipped.values()))) or "no test was found")
        notes = tuple(f"not run here, {reason}" for reason in sorted(set(self.skipped.values())))
        return Figure(row=row, what=what, figure=f"{len(self.passed)} of {ran}", goal=f"{ran} of {ran}", missed=self.failed, notes=notes)


def run_tests(folder: Path, *selection: str, before: tuple[str, ...] = (), python: str = sys.executable) -> Tested:
    """Run pytest on the selection, in this process's environment; ``folder`` takes its report."""
    report = folder / "report.xml"
    report.unlink(missing_ok=True)
    command = [*before, python, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", f"--junitxml={report}"]
    command += [f"--basetemp={folder / 'tests'}", *selection]
    done = subprocess.run(
        command, cwd=HERE, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    )
    if not report.is_file():
        return Tested(passed=(), failed=((done.stdout + done.stderr)[-500:],), skipped={})
    passed, failed, skipped = [], [], {}
    for case in ElementTree.parse(report).iter("testcase"):  # noqa: S314 - pytest's own words, just written
        name = f"{case.get('classname')}::{case.get('name')}"
        if (skip := case.find("skipped")) is not None:
            skipped[name] = skip.get("message") or "skipped"
        elif case.find("failure") is not None or case.find("error") is not None:
            failed.append(name)
        else:
            passed.append(name)
    return Tested(passed=tuple(passed), failed=tuple(failed), skipped=skipped)

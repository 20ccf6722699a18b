"""CI runs the command that the README tells people to run, and the documents point at things that exist."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TRACKED = [ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md") if (ROOT / name).exists()]
DOCUMENTS = sorted([*TRACKED, *(ROOT / "docs").rglob("*.md")])


def blocks(text: str) -> list[str]:
    return re.findall(r"^```sh\s*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def test_the_readmes_second_command_sets_up_and_tests() -> None:
    """.ci/run splits it at its last && and runs the first half, then the linters, then the whole."""
    found = blocks((ROOT / "README.md").read_text(encoding="utf-8"))
    assert len(found) >= 2, "the README has a command for the main job and one for the tests"
    setup, _, tests = found[1].replace("\\\n", " ").strip().rpartition("&&")
    assert "\n" not in tests.strip()
    assert re.fullmatch(r"\.venv/bin/python -m pytest( -n \d+)?", tests.strip())
    assert ".venv/bin/python -m pip install" in setup
    assert re.search(r"--group dev\b", setup)


def test_ci_takes_the_command_from_the_readme_and_runs_it_last() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    extract = re.search(r"command=\$\((awk .*? README\.md)\)", script)
    assert extract is not None
    taken = subprocess.run(["sh", "-c", extract[1]], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert taken == blocks((ROOT / "README.md").read_text(encoding="utf-8"))[1]
    assert script.rstrip().splitlines()[-2:] == ['bash -eu -c "$command" || exit 1', '[ -z "$failed" ]']


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    text = re.sub(r"```.*?```|`[^`\n]*`", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)
    for link in re.findall(r"!?\[[^\]]*\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", link):
            continue
        place, _, anchor = link.partition("#")
        there = (document.parent / place).resolve() if place else document
        assert there.exists(), f"{document.name} points at {link}"
        if anchor and there.suffix == ".md":
            headings = re.findall(r"^#+ +(.+)$", there.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in slugs, f"{document.name} points at {link}, which has no such heading"

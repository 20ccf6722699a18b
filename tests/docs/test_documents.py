"""The documents say what is: every option, every link, and nothing of the machine on which they were written."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from hardtack.cli.main import command as hardtack

ROOT = Path(__file__).parents[2]
_GROUP = hardtack.make_context("hardtack", [], resilient_parsing=True)
VERBS = hardtack.list_commands(_GROUP)


def documents() -> list[Path]:
    """Every markdown file that is part of the project."""
    files = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "bench").rglob("*.md"), *(ROOT / "examples").rglob("*.md")]
    return sorted(files)


def section(verb: str) -> str:
    text = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    found = re.search(rf"^## {verb}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"docs/commands.md has no section for {verb}: run docs/make_commands.py"
    return found[1]


def options(verb: str) -> set[str]:
    command = hardtack.get_command(_GROUP, verb)
    assert command is not None
    context = click.Context(command, info_name=verb, parent=_GROUP)
    stated = {name for item in command.params if isinstance(item, click.Option) for name in (*item.opts, *item.secondary_opts)}
    # Not the command's own, which keeps the names that the first who asked for it had.
    return stated | set(context.help_option_names)


@pytest.mark.parametrize("verb", VERBS)
def test_the_page_of_commands_names_the_options_that_there_are(verb: str) -> None:
    first_cells = re.findall(r"^\| `([^`]*)` \|", section(verb), re.MULTILINE)
    named = {name for cell in first_cells for name in re.findall(r"(?<!\S)--?[a-zA-Z][\w-]*", cell)}
    assert named == options(verb), "run docs/make_commands.py"


def test_the_readme_names_every_verb() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [verb for verb in VERBS if f"`hardtack {verb}" not in text] == []


@pytest.mark.parametrize("document", documents(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_hardtack_command_in_a_document_has_only_options_that_there_are(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    wrong = []
    for line in re.findall(r"(?:^\s*|`|\$ |bin/)hardtack ((?:[^`\n\\]|\\\n)*)", text, re.MULTILINE):
        verb, *words = line.split()
        if verb in VERBS:
            wrong += [word for word in words if word.startswith("--") and word.partition("=")[0].rstrip(".,;)") not in options(verb)]
    assert wrong == []


@pytest.mark.parametrize("document", documents(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_relative_links_lead_somewhere(document: Path) -> None:
    text = re.sub(r"```.*?```|`[^`\n]*`", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)
    links = [link for link in re.findall(r"!?\[[^\]]*\]\(([^)\s]+)\)", text) if not re.match(r"[a-z]+:", link)]
    assert [link for link in links if not (document.parent / link.partition("#")[0]).exists()] == []


def test_every_page_is_reached_from_the_index_of_pages() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    pages = [page.relative_to(ROOT / "docs").as_posix() for page in (ROOT / "docs").rglob("*.md") if page.name != "README.md"]
    assert [page for page in pages if f"({page})" not in index] == []


def test_every_decision_is_numbered_once_and_says_why() -> None:
    records = sorted((ROOT / "docs" / "adr").glob("*.md"))
    numbers = [record.name[:4] for record in records]
    assert numbers == [f"{number:04}" for number in range(1, len(records) + 1)]
    for record in records:
        text = record.read_text(encoding="utf-8")
        assert text.startswith(f"# {record.name[:4]}. "), record.name
        assert "## Why" in text, record.name
        assert "## Consequences" in text, record.name


@pytest.mark.parametrize("document", documents(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_document_knows_the_machine_that_it_was_written_on(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    places = {str(ROOT), str(Path.home())} - {"/"}
    assert not [place for place in places if re.search(rf"{re.escape(place)}(?![\w.-])", text)]
    assert re.findall(r"/(?:root|home/(?!runner\b)\w+|Users/\w+|tmp/[\w.-]*\d)(?:/|\b)", text) == []


def test_the_picture_is_small_and_calls_nobody() -> None:
    picture = (ROOT / "docs" / "picture.svg").read_bytes()
    assert len(picture) < 200 * 1024
    assert re.findall(rb"(?:href|url\(|src)\s*=?\s*[\"']?https?:", picture) == []
    assert b"Proven complete" in picture.replace(b"&#160;", b" ")


def test_every_code_of_a_finding_is_explained() -> None:
    """The codes that the sources name, told from their text: a new one without a line in docs/findings.md is noticed."""
    named: set[str] = set()
    for path in (ROOT / "src").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        named.update(re.findall(r'\bcode="([a-z]+(?:-[a-z]+)*)"', text))
        named.update(re.findall(r'\b_find\(\s*"([a-z]+(?:-[a-z]+)*)"', text))
    assert len(named) > 30
    page = (ROOT / "docs" / "findings.md").read_text(encoding="utf-8")
    assert sorted(code for code in named if f"`{code}`" not in page) == []

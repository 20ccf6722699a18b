"""Make docs/commands.md from the verbs' own --help:

.venv/bin/python docs/make_commands.py
"""

from __future__ import annotations

from pathlib import Path

import click

from hardtack.cli.main import command as hardtack

HEAD = """\
# Commands

Made by `docs/make_commands.py` from what `hardtack VERB --help` says; do not edit.

Every verb exits with 0 (done, and proven), 1 (something is missing or wrong), 2 (usage, configuration or an input that cannot be
understood) or 130 (interrupted). `--json` prints one document on standard output, with a `schema` that is raised when a field changes
its meaning; progress and words for people go to standard error. `NO_COLOR` is respected.
"""


def main() -> None:
    """Write the page."""
    parts = [HEAD]
    group = hardtack.make_context("hardtack", [], resilient_parsing=True)
    for verb in hardtack.list_commands(group):
        command = hardtack.get_command(group, verb)
        assert command is not None
        context = click.Context(command, info_name=verb, parent=group)
        usage = " ".join(["hardtack", verb, *command.collect_usage_pieces(context)])
        about = "\n\n".join(" ".join(words.split()) for words in (command.help or "").split("\n\n"))
        rows = [record for item in command.get_params(context) if (record := item.get_help_record(context))]
        lines = [f"| `{_cell(names)}` | {_cell(words)} |" for names, words in rows]
        parts.append("\n".join([f"## {verb}", "", f"    {usage}", "", about, "", "| option | |", "|---|---|", *lines, ""]))
    Path(__file__).with_name("commands.md").write_text("\n".join(parts), encoding="utf-8")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    main()

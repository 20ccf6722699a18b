"""Make src/hardtack/cli/rules.py, what a code of a finding means, from the tables of docs/findings.md:

.venv/bin/python docs/make_rules.py
"""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).with_name("findings.md")
MADE = Path(__file__).parents[1] / "src" / "hardtack" / "cli" / "rules.py"

HEAD = '''\
"""What each code of a finding means and what to do, for reports. Made by docs/make_rules.py from docs/findings.md; do not edit."""

# ruff: noqa: E501

from __future__ import annotations

RULES: dict[str, tuple[tuple[str, str], ...]] = {
'''


def rules() -> dict[str, list[tuple[str, str]]]:
    """By code: each (meaning, what to do) that the page has of it, in its order."""
    found: dict[str, list[tuple[str, str]]] = {}
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(cells) == 3 and cells[0].startswith("`"):
            for code in re.findall(r"`([a-z]+(?:-[a-z]+)*)`", cells[0]):
                found.setdefault(code, []).append((cells[1], cells[2]))
    return found


def module() -> str:
    """The module's text."""
    lines = [HEAD]
    for code, rows in sorted(rules().items()):
        lines.append(f"    {_quoted(code)}: (\n")
        lines += [f"        (\n            {_quoted(meaning)},\n            {_quoted(advice)},\n        ),\n" for meaning, advice in rows]
        lines.append("    ),\n")
    return "".join([*lines, "}\n"])


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


if __name__ == "__main__":
    MADE.write_text(module(), encoding="utf-8")

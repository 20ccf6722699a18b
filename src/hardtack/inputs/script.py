"""Scripts that state their own requirements (PEP 723)."""

from __future__ import annotations

import re
from pathlib import Path

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from hardtack.errors import InputError
from hardtack.inputs.pyproject import Project, read_tables
from hardtack.inputs.text import parse_toml, read_bounded, shown

# The pattern that PEP 723 states.
_BLOCK = re.compile(r"(?m)^# /// (?P<type>[a-zA-Z0-9-]+)$\s(?P<content>(^#(| .*)$\s)+)^# ///$")


def read_script(path: Path, *, base: Path | None = None) -> Project:
    """The requirements in a script's ``# /// script`` block. A script without a block asks for nothing, which is an InputError here."""
    place = shown(path, base)
    try:
        text = read_bounded(path, where=place).decode("utf-8").removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError:
        raise InputError("is not UTF-8 text", where=place) from None
    blocks = [match for match in _BLOCK.finditer(text) if match["type"] == "script"]
    if len(blocks) > 1:
        line = text.count("\n", 0, blocks[1].start()) + 1
        raise InputError("a script has one `# /// script` block, this has more (PEP 723)", where=f"{place}:{line}")
    if not blocks:
        raise InputError("has no `# /// script` block that states its requirements (PEP 723)", where=place)
    first = text.count("\n", 0, blocks[0].start()) + 1
    content = "".join(line[2:] if line.startswith("# ") else line[1:] for line in blocks[0]["content"].splitlines(keepends=True))
    # As many empty lines before it as the block has above it: an error's line is then the script's own.
    tables = parse_toml("\n" * first + content, place)
    unknown = [key for key in tables if key not in ("dependencies", "requires-python", "tool")]
    if unknown:
        raise InputError(f"knows no {', '.join(unknown)}: only dependencies, requires-python and tool (PEP 723)", where=f"{place}:{first}")
    requires_python = tables.get("requires-python")
    if requires_python is not None:
        try:
            SpecifierSet(requires_python)
        except (InvalidSpecifier, AttributeError, TypeError):
            raise InputError(f"requires-python: {requires_python!r} is not a version specifier", where=f"{place}:{first}") from None
    project = {key: tables[key] for key in ("dependencies", "requires-python") if key in tables}
    return read_tables({"project": project, "tool": tables.get("tool", {})}, folder=path.absolute().parent, place=place)

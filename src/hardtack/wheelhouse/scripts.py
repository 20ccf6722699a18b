"""What a wheel puts on the PATH: entry points and scripts, and what they may be called."""

from __future__ import annotations

import re

from hardtack.wheelhouse.faults import Faults
from hardtack.wheelhouse.member_names import name_fault

_INTERPRETER = re.compile(
    r"(?:python|pythonw|pypy|pyvenv)(?:[0-9]+(?:\.[0-9]+)*)?t?d?w?(?:-config)?(?:\.(?:exe|bat|cmd|com|ps1|cfg))?", re.IGNORECASE
)
_REFERENCE = re.compile(r"\s*[^\W\d]\w*(?:\.[^\W\d]\w*)*\s*:\s*[^\W\d]\w*(?:\.[^\W\d]\w*)*\s*(?:\[[\w\s,.-]*\])?\s*")
_GROUPS = ("console_scripts", "gui_scripts")


def script_fault(name: str) -> str | None:
    """Why a script may not be called so, or None."""
    if not name or "/" in name or name_fault(name):
        return f"the script name {name[:200]!r} is no plain file name"
    if is_interpreter(name):
        return f"a script called {name!r} would replace the interpreter"
    return None


def is_interpreter(name: str) -> bool:
    """True if a file of this name beside the interpreter takes its place (or that of its configuration)."""
    return _INTERPRETER.fullmatch(name) is not None


def check_entry_points(data: bytes, faults: Faults) -> None:
    """entry_points.txt is the INI file that the specification describes, and its scripts are safe to make."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        faults.error("entry-points", f"entry_points.txt is not UTF-8 (byte {error.start})")
        return
    group: str | None = None
    seen: dict[tuple[str, str], str] = {}
    for number, raw in enumerate(re.split(r"\r\n|\r|\n", text), 1):
        line = raw.strip()
        if not line or line[0] in "#;":
            continue
        if line[0] == "[":
            if not line.endswith("]") or len(line) < 3:
                faults.error("entry-points", f"entry_points.txt, line {number}: {line[:200]!r} is no section")
                return
            group = line[1:-1].strip()
            continue
        name, equals, value = (part.strip() for part in line.partition("="))
        if group is None:
            faults.error("entry-points", f"entry_points.txt, line {number}: {line[:200]!r} belongs to no section")
            return
        if not equals or not name:
            if group in _GROUPS:
                faults.error("entry-points", f"entry_points.txt, line {number}: {line[:200]!r} is not name = value")
            else:
                faults.warning("entry-points", f"entry_points.txt, line {number}: {line[:200]!r} in [{group[:100]}] is not name = value")
            continue
        if seen.setdefault((group, name), value) != value:
            faults.error("entry-points", f"entry_points.txt: [{group[:100]}] says two things of {name[:200]!r}")
        if group not in _GROUPS:
            continue
        if fault := script_fault(name):
            faults.error("script-name", f"entry_points.txt, line {number}: {fault}")
        if not _REFERENCE.fullmatch(value):
            faults.error("entry-points", f"entry_points.txt, line {number}: {value[:200]!r} is no module:function")

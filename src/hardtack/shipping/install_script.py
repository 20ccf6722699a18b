"""install.py of a wheelhouse: one file of standard library that verifies and installs on a bare Python, 3.8 or later."""

from __future__ import annotations

from importlib.resources import files

INSTALL_SCRIPT_NAME = "install.py"


def install_script() -> bytes:
    """The script's text, the same in every wheelhouse: what it installs stands in wheelhouse.json beside it."""
    text = files("hardtack.shipping").joinpath("bare_install.py").read_text(encoding="utf-8")
    return text.replace("\r\n", "\n").encode()

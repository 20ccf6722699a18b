"""Make docs/picture.svg: run hardtack in a real terminal (a pty) and draw what it showed. On Linux or macOS, with network:

    .venv/bin/python docs/make_picture.py

The cache is a new one each time, so that the run fetches everything.
"""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

HERE = Path(__file__).parent
WIDTH = 132
COMMANDS = (
    (
        "hardtack build -r examples/flask/requirements.txt -r examples/flask/requirements-dev.txt",
        "    -t py312-linux-x86_64 -t py312-linux-aarch64 -t py312-macos-arm64 -t py313-windows-x86_64 -o wheelhouse",
    ),
    ("hardtack build onnxruntime==1.20.1 -t py312-linux-x86_64 -t py312-rhel7-x86_64",),
)
THEME = TerminalTheme(
    (18, 20, 26),
    (222, 222, 222),
    [(60, 60, 60), (240, 90, 90), (110, 200, 110), (230, 190, 90), (110, 160, 240), (200, 130, 220), (90, 200, 210), (220, 220, 220)],
)
_PIECE = re.compile(r"\x1b\[(\?25[lh]|[0-9;]*[A-Za-z])|\r|\n|[^\x1b\r\n]+")


def run(arguments: list[str], folder: Path, environment: dict[str, str]) -> str:
    """What a command writes to a terminal of WIDTH columns, control sequences and all."""
    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 50, WIDTH, 0, 0))
    process = subprocess.Popen(arguments, cwd=folder, env=environment, stdin=child, stdout=child, stderr=child)
    os.close(child)
    written = bytearray()
    while True:
        try:
            block = os.read(parent, 65536)
        except OSError:
            break  # Linux says so when the last writer has gone
        if not block:
            break
        written += block
    os.close(parent)
    process.wait()
    return written.decode("utf-8")


def screen(written: str) -> list[str]:
    """The lines that stay on the screen: erased progress bars are gone, colours are kept."""
    lines, row = [""], 0
    for match in _PIECE.finditer(written):
        piece = match[0]
        if piece == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif piece.startswith("\x1b"):
            if piece.endswith("A"):
                row = max(0, row - int(piece[2:-1] or 1))
            elif piece.endswith("K"):
                lines[row] = ""
            elif piece.endswith("m"):
                lines[row] += piece
        elif piece != "\r":
            lines[row] += piece
    return lines


def main() -> None:
    """Run the commands, draw them, write the picture."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(HERE.parent / "examples", folder / "examples")
        kept = ("PATH", "SSL_CERT_FILE", "HTTPS_PROXY", "NO_PROXY")
        environment = {key: os.environ[key] for key in kept if key in os.environ}
        environment |= {"HOME": name, "HARDTACK_CACHE_DIR": f"{name}/cache", "TERM": "xterm-256color", "LANG": "C.UTF-8"}
        for lines in COMMANDS:
            for at, line in enumerate(lines):
                console.print(Text(("$ " if at == 0 else "") + line + (" \\" if at + 1 < len(lines) else ""), style="bold"))
            arguments = " ".join(lines).split()[1:]
            shown = screen(run([sys.executable, "-m", "hardtack", *arguments], folder, environment))
            while shown and not Text.from_ansi(shown[-1]).plain.strip():
                shown.pop()
            for text in map(Text.from_ansi, shown):
                # A terminal breaks where its width ends, not between words.
                for part in text.divide(range(WIDTH, len(text.plain), WIDTH)):
                    part.rstrip()
                    console.print(part)
            console.print()
    svg = console.export_svg(title="hardtack", theme=THEME)
    # No font from elsewhere: a picture in a document must not call anyone.
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    svg = svg.replace("font-family: Fira Code", "font-family: Menlo, Consolas, 'DejaVu Sans Mono'")
    svg = re.sub(r"<!-- .*? -->\s*", "", svg)
    (HERE / "picture.svg").write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main()

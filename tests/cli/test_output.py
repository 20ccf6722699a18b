"""What is printed can be read: by people at any width, by programs in any encoding."""

from __future__ import annotations

import io
import json
import sys

import pytest

from hardtack.cli.main import run
from hardtack.cli.output import megabytes, plural, print_json, render_error
from hardtack.errors import InputError


def test_json_survives_every_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    for encoding in ("utf-8", "ascii", "cp1252"):
        raw = io.BytesIO()
        stream = io.TextIOWrapper(raw, encoding=encoding, errors="backslashreplace")
        monkeypatch.setattr(sys, "stdout", stream)
        print_json("test", {"words": "schön \U0001f6a2 \x1b"})
        stream.flush()
        assert json.loads(raw.getvalue().decode(encoding))["words"] == "schön \U0001f6a2 \x1b"


def test_long_lines_are_cut(capsys: pytest.CaptureFixture[str]) -> None:
    render_error(InputError("x" * 100_000, where="file:1", hint="y" * 100_000), as_json=False)
    err = capsys.readouterr().err
    assert err.startswith("error: file:1: xxx") and len(err) < 10_000


def test_words_with_brackets_are_words(capsys: pytest.CaptureFixture[str]) -> None:
    render_error(InputError("name[bold red]extra[/]", hint="[link=x]y"), as_json=False)
    err = capsys.readouterr().err
    assert "name[bold red]extra[/]" in err and "[link=x]y" in err


@pytest.mark.parametrize(("code", "arguments"), [(0, ["--version"]), (0, ["-h"]), (2, ["nonsense"]), (2, ["build", "--nonsense"])])
def test_exit_codes(code: int, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == code
    capsys.readouterr()


def test_numbers() -> None:
    assert [plural(1, "wheel"), plural(2, "wheel"), plural(0, "gap or fault", "gaps or faults")] == [
        "1 wheel",
        "2 wheels",
        "0 gaps or faults",
    ]
    assert [megabytes(1_234), megabytes(2_345_678), megabytes(3_456_789_012)] == ["1 kB", "2.3 MB", "3.46 GB"]

"""Rows 5 to 8: what is accepted and refused of archives, and where they write."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path

from bench.promises.figures import Figure, Settings, Unmeasured
from bench.promises.testing import run_tests
from hardtack.system.environ import cache_dir, variables


def measure_corpus(settings: Settings) -> Iterator[Figure]:
    """Every case of the corpora: bad ones are refused, controls are not, and none writes outside."""
    accepting = run_tests(settings.folder, "tests/wheelhouse_archives/test_corpus.py", "tests/corpus")
    yield accepting.figure("5", "cases of the corpora with the verdict that they should have (bad refused, controls accepted)")


def measure_flips(settings: Settings) -> Iterator[Figure]:
    """Single bits of real wheels, every class of bytes in turn."""
    from tests.corpus.flips import main

    flips = settings.runs or 1000
    with redirect_stdout(io.StringIO()) as said:
        code = main([str(_real_wheels()), "--flips", str(flips), "--each", "25", "--seed", str(settings.seed)])
    lines = said.getvalue().strip().splitlines()
    wrong = tuple(line for line in lines if line.endswith(": accepted"))
    yield Figure(
        row="7",
        what="single-bit flips in real wheels that matter and were not found",
        figure=lines[-1],
        goal="0",
        missed=wrong or (("nothing was flipped",) if code else ()),
    )


def measure_real(_settings: Settings) -> Iterator[Figure]:
    """The wheels of the benchmarks' workload: much used ones, none of which may be refused without a reason."""
    from tests.corpus.real import main

    with redirect_stdout(io.StringIO()) as said:
        code = main([str(_real_wheels())])
    lines = said.getvalue().strip().splitlines()
    refused = tuple(lines[:-2])
    yield Figure(
        row="6", what="real wheels refused", figure=lines[-2], goal="<= 0.1%, each explained", missed=refused if code else (), notes=refused
    )


def measure_outside(settings: Settings) -> Iterator[Figure]:
    """Archives that would write beside their folder: unpacked, built, and installed by the wheelhouse's installer."""
    found = run_tests(
        settings.folder,
        "tests/wheelhouse_archives/test_corpus.py",
        "tests/wheelhouse_archives/test_sdist.py",
        "tests/shipping_texts/test_bare_install.py",
        "-k",
        "test_case or outside or hostile or link or escape or extract",
    )
    yield found.figure("8", "archives that would write outside: nothing was written there")


def _real_wheels() -> Path:
    """The wheels that the benchmarks have fetched before."""
    folder = cache_dir(None, variables()) / "bench" / "www"
    if not folder.is_dir() or not any(folder.rglob("*.whl")):
        raise Unmeasured("no real wheels are here; `python -m bench fetch --workload M` fetches some")
    return folder

"""What was asked for, in words that ask for the same again: the command line itself is the judge."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from hardtack.cli.build import command
from hardtack.cli.options import request_from
from hardtack.reporting import Reporter
from hardtack.system.cancellation import Cancellation
from hardtack.workflow.asked import asked_words
from hardtack.workflow.reading import Job, read_job
from hardtack.workflow.request import BuildOptions, Request

SPOKEN = [
    "six==1.16",
    "six 'rich; python_version >= \"3.9\"' 'mini @ https://e.org/mini-1.0.tar.gz' --no-project",
    "-r wants.txt -c limits.txt --build-constraint limits.txt --no-lock",
    "six --no-binary six,rich --only-binary click --pre --exclude-newer 2025-01-02",
    "six --build-from-source",
    "six -C a=1 -C six:b=2 --only runtime",
    "--project . --group dev --extra nice --no-build-requirements",
    "--project . --all-extras --all-groups",
    "--lock-file pylock.toml",
    "--project below",
    "six -i https://index.org/simple --extra-index-url https://other.org/simple -f https://links.org/page",
    "six --no-index -f wheels",
]


def asked(words: list[str], here: Path) -> tuple[Request, Job]:
    with command.make_context("build", list(words)) as context:
        request: Request = request_from(context.params)
    given = Request(
        inputs=request.inputs,
        indexes=request.indexes,
        targets=("py312-linux-x86_64",),
        no_binary=request.no_binary,
        only_binary=request.only_binary,
        prereleases=request.prereleases,
        exclude_newer=request.exclude_newer,
        cache_dir=here / "cache",
        environment={"HARDTACK_CONFIG_FILE": "", "HOME": str(here / "home")},
    )
    return request, read_job(given, BuildOptions(), reporter=Reporter(), stop=Cancellation())


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wants.txt").write_text("six\n")
    (tmp_path / "limits.txt").write_text("six<2\n")
    (tmp_path / "wheels").mkdir()
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "requirements.txt").write_text("six\n")
    (tmp_path / "pylock.toml").write_text('lock-version = "1.0"\ncreated-by = "x"\npackages = []\n')
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "app"\nversion = "1"\ndependencies = ["six"]\n[project.optional-dependencies]\nnice = ["rich"]\n'
        '[dependency-groups]\ndev = ["click"]\n'
    )
    return tmp_path


@pytest.mark.parametrize("spoken", SPOKEN)
def test_the_words_ask_for_the_same_again(spoken: str, here: Path) -> None:
    first, job = asked(shlex.split(spoken), here)
    words = asked_words(job)
    again, same = asked(words, here)
    assert replace(again.inputs, project_dir=None) == replace(first.inputs, project_dir=None)
    assert same.project_dir == job.project_dir
    assert (same.formats, same.exclude_newer, same.settings.no_index) == (job.formats, job.exclude_newer, job.settings.no_index)
    assert [(index.url, index.kind) for index in same.settings.indexes] == [(index.url, index.kind) for index in job.settings.indexes]
    assert same.digest() == job.digest()
    assert str(here) not in shlex.join(words)


def test_no_login_is_repeated(here: Path) -> None:
    said = ["mini @ https://me:canary@e.org/mini-1.0.tar.gz", "--no-project", "-i", "https://me:canary@index.org/simple"]
    words = asked_words(asked([*said, "-f", "https://me:canary@links.org/page"], here)[1])
    assert "canary" not in shlex.join(words)
    assert "index.org" in shlex.join(words)

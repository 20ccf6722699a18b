"""What real projects showed: each scenario is the smallest form of a run that went wrong once."""

from __future__ import annotations

import sys
from typing import Literal

import pytest
from uv import find_uv_bin

from hardtack import BuildOptions, InputRequest
from hardtack.targets.catalog import parse_target
from tests.scenarios.yard import LINUX, MAC, Yard, errors, proven, versions

_UNTELLABLE = "raise SystemExit('this builds nowhere')"


def test_a_marker_that_a_target_cannot_answer_asks_for_no_other_version(yard: Yard) -> None:
    """pyobjc: the older versions that were tried for it ended in a source of 2017, and the run with it."""
    yard.wheel("frame", "2.0")
    yard.wheel("frame", "1.0")
    yard.wheel("meta", "2.0", requires=["frame==2.0 ; platform_release >= '20'"])
    yard.sdist("meta", "0.5", setup=_UNTELLABLE, static=False)

    result = yard.plan("meta", targets=(MAC,))
    assert errors(result) == ["unanswerable-marker"]
    assert result.lock is not None
    assert {(package.name, str(package.version)) for package in result.lock.packages} == {("meta", "2.0"), ("frame", "2.0")}


def test_a_trial_that_leads_to_an_untellable_source_is_only_a_trial(yard: Yard) -> None:
    """An older version would have a wheel, but what asks for it would then be a source that nobody can build: the gap is the answer."""
    yard.wheel("native", "2.0", tag="cp312-cp312-manylinux_2_34_x86_64")
    yard.wheel("native", "1.0", tag="cp312-cp312-manylinux_2_17_x86_64")
    yard.wheel("meta", "2.0", requires=["native==2.0"])
    yard.sdist("meta", "0.5", setup=_UNTELLABLE, static=False)

    result = yard.plan("meta", targets=(LINUX,))
    assert errors(result) == ["no-file"]
    assert result.lock is not None
    assert ("meta", "2.0") in {(package.name, str(package.version)) for package in result.lock.packages}


def test_uvs_exclude_newer_is_obeyed_in_projects_and_in_scripts(yard: Yard) -> None:
    """A script that keeps to a day, in the words of uv's manual, was given what came out years later."""
    yard.wheel("thing", "1.0", upload_time="2024-06-01T00:00:00Z")
    yard.wheel("thing", "2.0", upload_time="2025-06-01T00:00:00Z")
    settings = '[tool.uv]\nexclude-newer = "2025-01-01T00:00:00Z"\n'
    project = yard.write("pyproject.toml", f'[project]\nname = "x"\nversion = "1"\ndependencies = ["thing"]\n{settings}')
    assert versions(yard.plan()) == {"thing": "1.0"}

    project.unlink()
    block = "".join(f"# {line}\n" for line in f'dependencies = ["thing"]\n{settings}'.splitlines())
    script = yard.write("script.py", f"# /// script\n{block}# ///\n")
    assert versions(yard.plan(inputs=InputRequest(scripts=(script,), project_dir=yard.project))) == {"thing": "1.0"}


@pytest.mark.parametrize("layout", ["flat", "by-target"])
def test_a_host_that_has_more_than_its_target_installs_all_the_same(yard: Yard, layout: Literal["flat", "by-target"]) -> None:
    """Two targets share a wheelhouse; pip and uv, on a host with the newer libc, chose the other target's wheel and refused its hash."""
    host = parse_target("host")
    if host.platform.libc != "glibc":
        pytest.skip("only on glibc")
    python, arch = f"{host.python[0]}{host.python[1]}", host.platform.arch
    for tag in ("2_17", "2_28"):
        yard.wheel("native", "1.0", tag=f"cp{python}-cp{python}-manylinux_{tag}_{arch}")
    old = f"py{python}-linux-{arch}-glibc2_17"
    options = BuildOptions(trial=False, output=yard.wheelhouse, layout=layout)
    proven(yard.build("native", targets=(old, f"py{python}-linux-{arch}"), options=options))

    links = old if layout == "by-target" else "."
    exact = ("--no-index", "--no-deps", "--require-hashes", "--find-links", links, "-r", f"requirements.{old}.txt")
    into = yard.home / "into"
    by_pip = yard.run(
        sys.executable, "-m", "pip", "--isolated", "install", "--target", into / "pip", *exact, cwd=yard.wheelhouse, check=False
    )
    assert by_pip.returncode == 0, by_pip.stderr
    by_uv = yard.run(
        find_uv_bin(), "pip", "install", "--python", sys.executable, "--target", into / "uv", *exact, cwd=yard.wheelhouse, check=False
    )
    assert by_uv.returncode == 0, by_uv.stderr

"""``merge``: what was made on several machines becomes one wheelhouse, proven as a whole, or says what stands against it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from hardtack import BuildOptions, MergeResult, merge
from hardtack.errors import InputError, TargetError, UsageError
from hardtack.model.finding import Severity
from tests.scenarios.yard import LINUX, MAC, WINDOWS, Yard
from tests.support.archives import make_sdist, make_wheel
from tests.support.loopback import LoopbackIndex
from tests.support.running import contents, traces

NATIVE = {
    LINUX: "cp312-cp312-manylinux_2_17_x86_64",
    MAC: "cp312-cp312-macosx_11_0_arm64",
    WINDOWS: "cp312-cp312-win_amd64",
}


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    """The main machine."""
    with LoopbackIndex() as index:
        yield a_machine(tmp_path / "main", index)


def a_machine(folder: Path, index: LoopbackIndex) -> Yard:
    """A machine of its own: its project, home and cache."""
    project, home = folder / "project", folder / "home"
    project.mkdir(parents=True)
    home.mkdir()
    return Yard(project=project, home=home, index=index)


def another(yard: Yard, index: LoopbackIndex | None = None, name: str = "other") -> Yard:
    """Another machine with the same project."""
    return a_machine(yard.home.parent.parent / name, index or yard.index)


def add_app(yard: Yard, *targets: str, version: str = "2.0", index: LoopbackIndex | None = None) -> None:
    """``app`` needs ``native``, which has wheels for these targets."""
    yard.wheel("app", requires=["native"], index=index)
    for target in targets:
        yard.wheel("native", version, tag=NATIVE[target], files={"native/data.bin": target.encode()}, index=index)


def stow(yard: Yard, *requirements: str, targets: Sequence[str], output: str = "wheelhouse", **more: Any) -> Path:
    """A build that keeps what there is; the folder."""
    options = BuildOptions(output=yard.project / output, trial=False, keep_incomplete=True, layout=more.pop("layout", None))
    yard.build(*requirements, targets=targets, options=options, **more)
    return yard.project / output


def join(yard: Yard, wheelhouse: Path, *parts: Path, **more: Any) -> MergeResult:
    """``hardtack merge`` on a machine."""
    return merge(wheelhouse, parts, trial=False, cache_dir=yard.cache, environment=yard.environment, **more)


def errors(result: MergeResult) -> list[str]:
    return sorted(finding.code for finding in result.findings if finding.severity is Severity.ERROR)


def words(result: MergeResult, code: str) -> str:
    """The message of the one finding of that code."""
    [finding] = [finding for finding in result.findings if finding.code == code]
    return finding.message


def proven(result: MergeResult) -> None:
    assert [finding.message for finding in result.findings if finding.severity is Severity.ERROR] == []
    assert result.passed and result.stowed


def installs(yard: Yard, folder: Path, target: str, *wheels: str) -> None:
    """pip's and uv's own word on a target's exact list, and on the names: nothing but what lies there, and all of it."""
    platform = {LINUX: "x86_64-manylinux_2_28", MAC: "aarch64-apple-darwin", WINDOWS: "x86_64-pc-windows-msvc"}[target]
    listed = [f"requirements.{target}.txt"]
    links = target if (folder / target).is_dir() else "."
    common = ["--no-index", "--find-links", links, "--only-binary", ":all:"]
    into = folder.parent / f"into-{target}"
    yard.run(
        "uv", "pip", "install", "--offline", *common, "--require-hashes", "--no-deps", "-r", *listed, "--target", into, "--python-version",
        "3.12", "--python-platform", platform, "--python", shutil.which("python3") or "python3", "--cache-dir", yard.home / "uv", cwd=folder,
    )  # fmt: skip
    platforms = {
        LINUX: ["manylinux_2_17_x86_64", "manylinux_2_28_x86_64"],
        MAC: ["macosx_11_0_arm64"],
        WINDOWS: ["win_amd64"],
    }[target]
    done = yard.pip(
        "install", "--dry-run", "--ignore-installed", *common, "--require-hashes", "--no-deps", "-r", folder / listed[0], "--target",
        folder.parent / "unused", "--python-version", "3.12", *(word for tag in platforms for word in ("--platform", tag)),
        check=False,
    )  # fmt: skip
    # pip looks for --find-links from where it runs.
    if done.returncode:
        done = yard.run(
            "python3", "-m", "pip", "install", "--dry-run", "--ignore-installed", *common, "--require-hashes", "--no-deps", "-r", *listed,
            "--target", folder.parent / "unused", "--python-version", "3.12",
            *(word for tag in platforms for word in ("--platform", tag)), cwd=folder,
        )  # fmt: skip
    for wheel in wheels:
        name, version = wheel.split("-")[:2]
        assert f"{name}-{version}" in done.stdout


def test_a_part_fills_the_gap_of_the_other(yard: Yard) -> None:
    """The story: the index has the wheel for Linux; the Mac has what it made itself."""
    add_app(yard, LINUX)
    house = stow(yard, "app", targets=(LINUX, MAC))
    mac = another(yard)
    with LoopbackIndex() as there:
        add_app(mac, MAC, index=there)
        mac.index = there
        part = stow(mac, "app", targets=(MAC,), output="part")
        result = join(yard, house, part)
    print(result.findings)
    proven(result)

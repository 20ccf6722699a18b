"""A folder that nobody said anything of: complete means that everything in it that fits can be installed with what is there."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import uv
from hypothesis import example, given, settings
from hypothesis import strategies as st
from packaging.version import Version

from hardtack.model.finding import Severity
from hardtack.model.target import PatchRange, Target
from hardtack.model.wheel import WheelFacts
from hardtack.system.environ import scrubbed, variables
from hardtack.targets.catalog import parse_target
from hardtack.verifying.everything import Everything, prove_everything
from tests.support.archives import make_wheel
from tests.verifying.world import facts, lying, told

LINUX, WINDOWS = parse_target("py312-linux-x86_64"), parse_target("py312-windows-x86_64")
_LINUX_TAG, _WINDOWS_TAG = "cp312-cp312-manylinux_2_17_x86_64", "cp312-cp312-win_amd64"


def judge(*wheels: WheelFacts, target: Target = LINUX) -> Everything:
    return prove_everything(target=target, available=lying(*wheels))


def errors(found: Everything) -> list[tuple[str, str | None]]:
    return told([finding for finding in found.findings if finding.severity is Severity.ERROR])


def test_one_environment_is_chosen_where_there_is_one() -> None:
    found = judge(facts("a", requires=["b>=1"]), facts("b", "1.5"), facts("c"))
    assert found.complete and not found.findings
    assert [(pin.name, pin.version) for pin in found.chosen] == [("a", "1.0"), ("b", "1.5"), ("c", "1.0")]
    assert [root.requirement for root in found.roots] == ["a", "b", "c"]


def test_what_a_version_lacks_is_told_though_another_one_is_complete() -> None:
    found = judge(facts("a", "2.0"), facts("a", "1.0", requires=["gone"]))
    assert errors(found) == [("missing", "gone")]
    (finding,) = found.findings
    assert finding.required_by[0] == "a 1.0 requires gone"


def test_versions_that_exclude_each_other_are_a_warning() -> None:
    found = judge(facts("a", requires=["c<2"]), facts("b", requires=["c>=2"]), facts("c", "1.0"), facts("c", "2.0"))
    assert found.complete and found.chosen == () and not found.by_name
    assert {finding.code for finding in found.findings} == {"apart"}
    assert {finding.severity for finding in found.findings} == {Severity.WARNING}


def test_what_is_missing_is_told_once_beside_what_stands_apart() -> None:
    found = judge(
        facts("a", requires=["c<2", "gone"]), facts("b", requires=["c>=2", "gone"]), facts("c", "1.0"), facts("c", "2.0")
    )  # fmt: skip
    assert errors(found) == [("missing", "gone")]


@pytest.mark.parametrize("name", ["top", "asked"])
def test_a_project_of_which_nothing_fits(name: str) -> None:
    """Wheels for another platform are as good as none, unless nobody wants them here."""
    wheels = [facts(name, tag=_LINUX_TAG)] + ([facts("asker", requires=["asked"])] if name == "asked" else [])
    assert not errors(judge(*wheels))
    found = judge(*wheels, target=WINDOWS)
    assert [package for _, package in errors(found)] == [name]
    assert "Linux" in " ".join(found.findings[0].instead)


@pytest.mark.parametrize(
    "requirement", ["asked ; sys_platform == 'linux'", "asked ; sys_platform != 'win32' and extra == 'x'", "asked ; os_name == 'posix'"]
)
def test_a_project_that_is_asked_for_elsewhere_alone_is_no_gap(requirement: str) -> None:
    wheels = [
        facts("asker", requires=[requirement], extras=["x"]),
        facts("asked", tag=_LINUX_TAG, requires=["deeper"]),
        facts("deeper", tag=_LINUX_TAG),
    ]
    assert not judge(*wheels).findings
    assert not judge(*wheels, target=WINDOWS).findings


def test_a_project_that_an_extra_would_want_there_is_a_gap() -> None:
    """Somebody brought it along for that extra: nobody else asks for it."""
    found = judge(facts("asker", requires=["asked ; extra == 'x'"], extras=["x"]), facts("asked", tag=_LINUX_TAG), target=WINDOWS)
    assert errors(found) == [("tags", "asked")]
    assert found.findings[0].required_by == ('asker[x] 1.0 requires asked; extra == "x"',)


def test_projects_that_only_ask_for_each_other_excuse_nobody() -> None:
    found = judge(facts("a", requires=["b"], tag=_LINUX_TAG), facts("b", requires=["a"], tag=_LINUX_TAG), target=WINDOWS)
    assert errors(found) == [("tags", "a"), ("tags", "b")]


def test_another_python() -> None:
    assert errors(judge(facts("a", python=">=3.13"))) == [("requires-python", "a")]
    # A version that is not for this Python is not asked for where another one is.
    found = judge(facts("a", "2.0", python=">=3.13", requires=["gone"]), facts("a", "1.0"))
    assert found.complete and [pin.version for pin in found.chosen] == ["1.0"]


def test_every_patch_counts() -> None:
    found = judge(facts("a", python=">=3.12.4"))
    assert errors(found) == [("requires-python", "a")]
    found = judge(facts("a", requires=["b ; python_full_version < '3.12.3'"]))
    assert errors(found) == [("missing", "b")] and "3.12" in found.findings[0].message


def test_versions_that_share_the_patches_serve_them_all() -> None:
    shared = [facts("a", "2.0", python=">=3.12.4"), facts("a", "1.0", python="<3.12.4")]
    assert judge(*shared).complete
    # Nor is it told as something that only stands against all at once.
    assert errors(judge(*shared, facts("b", requires=["gone"]))) == [("missing", "gone")]


def test_nothing_fits_and_nothing_is_complete() -> None:
    """The worst would be to call a folder of another platform's wheels complete."""
    found = judge(facts("a", tag=_WINDOWS_TAG), facts("b", tag=_WINDOWS_TAG))
    assert not found.complete and len(errors(found)) == 2


_NAMES = ["a", "b", "c", "d"]
_REQUIREMENTS = st.builds(
    lambda name, specifier, marker: f"{name}{specifier}{marker}",
    st.sampled_from([*_NAMES, "gone"]),
    st.sampled_from(["", "", ">=2", "<2", "==1.0", "!=2.0"]),
    st.sampled_from(["", "", "; sys_platform == 'win32'", "; python_version >= '3.12'", "; extra == 'x'"]),
)
_World = Sequence[tuple[str, str, list[str]]]


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(_NAMES), st.sampled_from(["1.0", "1.5", "2.0"]), st.lists(_REQUIREMENTS, max_size=2)),
        min_size=1,
        max_size=6,
        unique_by=lambda row: row[:2],
    )
)
@example([("a", "1.0", ["c<2"]), ("b", "1.0", ["c>=2"]), ("c", "1.0", []), ("c", "2.0", [])])
@example([("a", "2.0", ["b==1.0"]), ("a", "1.0", []), ("b", "2.0", [])])
def test_agrees_with_uv_about_each_version(world: _World) -> None:
    """uv is asked for every version of the folder by itself: complete if it can install them all."""
    target = replace(LINUX, patches=PatchRange(first=Version("3.12.0"), last=Version("3.12.0")))
    ours = prove_everything(target=target, available=lying(*(facts(name, version, requires) for name, version, requires in world)))
    if any(finding.code == "ambiguous" and finding.severity is Severity.ERROR for finding in ours.findings):
        return  # it says that it does not know
    with TemporaryDirectory() as scratch:
        links = Path(scratch) / "links"
        links.mkdir()
        for name, version, requires in world:
            filename, data = make_wheel(name, version, requires=requires)
            (links / filename).write_bytes(data)
        theirs = all(_uv_installs(links, Path(scratch), f"{name}=={version}") for name, version, _ in world)
        together = bool(ours.chosen) and _uv_installs(links, Path(scratch), *{name for name, _, _ in world})
    assert ours.complete == theirs, (world, ours.findings)
    assert together or not ours.chosen


def _uv_installs(links: Path, scratch: Path, *requirements: str) -> bool:
    command = [uv.find_uv_bin(), "pip", "install", "--dry-run", "--offline", "--no-config", "--no-index", "--find-links", str(links)]
    command += ["--target", str(scratch / "site"), "--python", sys.executable, "--python-platform", "x86_64-manylinux_2_28"]
    command += ["--python-version", "3.12", "--only-binary", ":all:", "--cache-dir", str(scratch / "cache"), *requirements]
    done = subprocess.run(command, capture_output=True, text=True, env=scrubbed(variables()), check=False, timeout=60)
    assert done.returncode in (0, 1), done.stderr
    assert done.returncode == 0 or "No solution found" in done.stderr, done.stderr
    return done.returncode == 0

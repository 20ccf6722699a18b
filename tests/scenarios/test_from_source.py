"""``--build-from-source``, ``--no-binary`` and ``--only-binary``: what is demanded is done, or is a gap that says what would lift it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hardtack import InputRequest
from hardtack.errors import UsageError
from hardtack.model.finding import Finding
from hardtack.model.plan import Build
from hardtack.model.requirements import FormatControl
from tests.scenarios.yard import LINUX, MAC, Yard, errors, proven, taken
from tests.support.world import add_source

ALL = frozenset({":all:"})


def gap(yard: Yard, *requirements: str, **more: Any) -> Finding:
    """The one gap of a plan."""
    (finding,) = [finding for finding in yard.plan(*requirements, **more).findings if finding.code in ("no-file", "only-binary")]
    return finding


def built(yard: Yard, *requirements: str, **more: Any) -> set[str]:
    """What a plan builds."""
    plan = yard.plan(*requirements, **more).plan
    assert plan is not None
    return {entry.package.name for entry in plan.entries if isinstance(entry.decision, Build)}


@pytest.fixture
def stocked(yard: Yard) -> Yard:
    """``both`` has a wheel and an sdist, ``bare`` a wheel alone, ``raw`` an sdist alone."""
    yard.wheel("both")
    for name in ("both", "raw"):
        add_source(yard.index, name)
    yard.wheel("bare")
    return yard


def test_everything_is_built_once_for_all_targets(stocked: Yard) -> None:
    result = stocked.build("both", "raw", targets=(LINUX, MAC), no_binary=ALL)
    proven(result)
    assert result.built == 2
    assert result.manifest is not None
    assert {file.name: file.origin for file in result.manifest.files} == {"both": "built", "raw": "built"}
    assert not [request.path for request in stocked.index.requests if request.path.endswith("both-1.0-py3-none-any.whl")]


def test_the_flag_is_no_binary_of_all(stocked: Yard) -> None:
    arguments = ["-t", LINUX, "-i", stocked.index.url, "both", "bare"]
    told = stocked.hardtack("build", *arguments, "--no-trial", "--build-from-source", "--json")
    assert told.returncode == 1, told.stderr
    found = json.loads(told.stdout)["findings"]
    assert [(row["code"], row["package"]) for row in found if row["severity"] == "error"] == [("no-file", "bare")]
    locked = stocked.hardtack("lock", *arguments, "--build-from-source", "--json")
    assert locked.returncode == 1, locked.stderr
    assert [row["package"] for row in json.loads(locked.stdout)["findings"] if row["severity"] == "error"] == ["bare"]
    spelt = stocked.hardtack("build", *arguments, "--no-trial", "--no-binary", ":all:", "--json")
    assert [row["code"] for row in json.loads(spelt.stdout)["findings"]] == [row["code"] for row in found]


def test_what_has_no_sdist_is_a_gap_that_says_so(stocked: Yard) -> None:
    finding = gap(stocked, "bare", "both", no_binary=ALL)
    assert (finding.code, finding.package) == ("no-file", "bare")
    assert "no-binary asks for a build, and it has no sdist" in finding.message
    assert finding.instead == ("bare-1.0-py3-none-any.whl (no-binary asks for a build from source)",)
    assert finding.hint is not None
    assert "--only-binary bare takes it" in finding.hint
    # What the hint says is what helps.
    assert built(stocked, "bare", "both", no_binary=ALL, only_binary=frozenset({"bare"})) == {"both"}
    named = gap(stocked, "bare", no_binary=frozenset({"bare"}))
    assert named.hint is not None
    assert "leaving no-binary for bare out takes it" in named.hint


def test_a_version_with_an_sdist_is_chosen_where_there_is_one(stocked: Yard) -> None:
    stocked.wheel("both", "2.0")
    result = stocked.plan("both", no_binary=ALL)
    assert result.passed
    assert result.lock is not None
    assert [str(package.version) for package in result.lock.packages] == ["1.0"]


def test_what_has_no_wheel_is_a_gap_that_says_how_to_build_it(stocked: Yard) -> None:
    finding = gap(stocked, "raw", "both", only_binary=ALL)
    assert (finding.code, finding.package) == ("only-binary", "raw")
    assert finding.hint is not None
    assert "--no-binary raw allows to build it" in finding.hint
    assert built(stocked, "raw", "both", only_binary=ALL, no_binary=frozenset({"raw"})) == {"raw"}
    named = gap(stocked, "raw", only_binary=frozenset({"raw"}))
    assert named.hint is not None
    assert "leaving only-binary for raw out allows to build it" in named.hint


def test_names_are_obeyed_apart(stocked: Yard) -> None:
    assert built(stocked, "both", "bare", "raw") == {"raw"}
    assert built(stocked, "both", "bare", "raw", no_binary=frozenset({"both"})) == {"both", "raw"}
    assert taken(stocked.plan("both", "bare", only_binary=frozenset({"both"}))) == {
        LINUX: {"both-1.0-py3-none-any.whl", "bare-1.0-py3-none-any.whl"}
    }


@pytest.mark.parametrize(
    "arguments",
    [
        ["--no-binary", "both", "--only-binary", "Both"],
        ["--no-binary", ":all:", "--only-binary", ":all:"],
        ["--build-from-source", "--only-binary", ":all:"],
        ["--no-binary", "other,both", "--only-binary", "both"],
    ],
)
@pytest.mark.parametrize("verb", ["build", "lock"])
def test_conflicts_are_usage_errors(stocked: Yard, verb: str, arguments: list[str]) -> None:
    told = stocked.hardtack(verb, "both", "-t", LINUX, "-i", stocked.index.url, *arguments)
    assert told.returncode == 2
    assert "must be built and must not be built" in told.stderr


def test_conflicts_in_files_are_usage_errors_too(stocked: Yard) -> None:
    stocked.write("hardtack.toml", 'no-binary = ["both"]\nonly-binary = ["both"]\n')
    with pytest.raises(UsageError, match="both must be built and must not be built"):
        stocked.plan("both")


def test_the_command_line_beats_files(stocked: Yard) -> None:
    stocked.write("hardtack.toml", 'only-binary = ["both"]\n')
    assert built(stocked, "both") == set()
    assert built(stocked, "both", no_binary=frozenset({"both"})) == {"both"}
    assert built(stocked, "both", no_binary=ALL) == {"both"}
    stocked.write("hardtack.toml", 'no-binary = [":all:"]\n')
    assert built(stocked, "both") == {"both"}
    assert built(stocked, "both", only_binary=frozenset({"both"})) == set()
    assert built(stocked, "both", only_binary=ALL) == set()


@pytest.mark.parametrize(
    ("upper", "lower", "built"),
    [
        (([], []), ([], []), {"a": None, "b": None}),
        (([":all:"], []), ([], ["a"]), {"a": True, "b": True}),
        (([":all:"], ["a"]), ([], ["b"]), {"a": False, "b": True}),
        ((["a"], []), ([], [":all:"]), {"a": True, "b": False}),
        (([], ["a"]), (["a", "b"], []), {"a": False, "b": True}),
        (([], [":all:"]), (["a"], []), {"a": False, "b": False}),
    ],
)
def test_what_is_nearer_wins(upper: tuple[list[str], list[str]], lower: tuple[list[str], list[str]], built: dict[str, bool | None]) -> None:
    def control(lists: tuple[list[str], list[str]]) -> FormatControl:
        return FormatControl(no_binary=frozenset(lists[0]), only_binary=frozenset(lists[1]))

    both = control(upper).over(control(lower))
    assert {name: True if both.builds(name) else False if both.forbids_building(name) else None for name in built} == built


def test_a_lock_is_obeyed_as_far_as_it_goes(stocked: Yard) -> None:
    """Made with wheels in mind: where it names no sdist there is a gap, and nothing else is chosen."""
    stocked.write("requirements.txt", "both\nbare\n")
    assert stocked.lock().passed
    inputs = InputRequest(project_dir=stocked.project, lock_file=stocked.project / "pylock.toml")
    result = stocked.build(inputs=inputs, no_binary=ALL)
    assert errors(result) == ["no-file"]

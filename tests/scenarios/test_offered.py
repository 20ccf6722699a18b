"""A wheel of the project that lies in dist/ is offered by its exact option, and not taken by itself."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest

from hardtack import BuildResult, InputRequest
from tests.scenarios.yard import LINUX, MAC, Yard, proven
from tests.support.archives import make_wheel
from tests.support.repositories import commit_all, write_project


@pytest.fixture
def project(yard: Yard) -> Yard:
    """A project that is built here, and nothing in dist/ yet."""
    write_project(yard.project, "proj", dependencies=[])
    return yard


def put(yard: Yard, name: str = "proj", version: str = "1.0", *, age: float = -60, tag: str = "py3-none-any") -> str:
    """A wheel in dist/, ``age`` seconds older than the project's files (younger where negative)."""
    filename, data = make_wheel(name, version, tag=tag)
    place = yard.project / "dist" / filename
    place.parent.mkdir(exist_ok=True)
    place.write_bytes(data)
    newest = max(path.stat().st_mtime for path in yard.project.rglob("*") if path.is_file() and path.suffix != ".whl")
    os.utime(place, (newest - age, newest - age))
    return f"dist/{filename}"


def build(yard: Yard, *targets: str, project_wheel: Path | None = None) -> BuildResult:
    inputs = InputRequest(project_dir=yard.project, build_requirements=False, project_wheel=project_wheel)
    return yard.build(targets=targets or (LINUX,), inputs=inputs)


def plan(yard: Yard, *targets: str) -> BuildResult:
    return yard.plan(targets=targets or (LINUX,), inputs=InputRequest(project_dir=yard.project, build_requirements=False))


def offers(result: BuildResult) -> list[str]:
    return [note for note in result.notes if "--project-wheel" in note]


def test_it_is_offered_and_not_taken(project: Yard) -> None:
    place = put(project)
    result = build(project)
    proven(result)
    assert result.built == 1
    (note,) = offers(result)
    assert f"--project-wheel {place} takes it" in note
    assert "older" not in note
    assert offers(build(project)) == [note]  # of an unchanged run too


def test_the_option_does_what_it_says(project: Yard) -> None:
    put(project)
    (note,) = offers(plan(project))
    words = shlex.split(note)
    option = words[words.index("--project-wheel") + 1]
    given = build(project, project_wheel=Path(option))
    proven(given)
    assert given.built == 0
    assert offers(given) == []


@pytest.mark.parametrize("versioned", [False, True])
def test_one_that_is_older_than_the_project_is_told(project: Yard, versioned: bool) -> None:
    if versioned:
        project.write(".gitignore", "dist/\nwheelhouse/\n")
        commit_all(project.project)
    put(project, age=60)
    newest = max((path for path in project.project.iterdir() if path.is_file()), key=lambda path: path.stat().st_mtime_ns)
    os.utime(newest, ns=(newest.stat().st_atime_ns, newest.stat().st_mtime_ns + 1_000_000_000))
    (note,) = offers(plan(project))
    assert f"it is older than {newest.name}" in note


def test_what_the_wheelhouse_and_dist_hold_does_not_make_it_old(project: Yard) -> None:
    put(project)
    proven(build(project))
    later = project.project / "dist" / "notes.txt"
    later.write_text("")
    os.utime(later, (4_000_000_000, 4_000_000_000))
    (note,) = offers(plan(project))
    assert "older" not in note


def test_the_newest_version_comes_first_and_of_it_what_fits_most(project: Yard) -> None:
    put(project, version="1.9")
    put(project, version="1.10", tag="cp312-cp312-macosx_11_0_arm64")
    best = put(project, version="1.10", tag="cp312-cp312-manylinux_2_17_x86_64")
    put(project, "other", "3.0")
    (note,) = offers(plan(project, LINUX))
    assert note.startswith(f"{best} is there")
    assert note.index("1.10-cp312-cp312-macosx") < note.index("proj-1.9")
    assert "other" not in note
    (note,) = offers(plan(project, LINUX, MAC))
    assert "it fits 1 of 2 targets" in note


def test_nothing_is_said_where_nothing_is_to_be_offered(project: Yard) -> None:
    assert offers(plan(project)) == []
    put(project, "other")
    assert offers(plan(project)) == []
    put(project)
    assert offers(project.plan(inputs=InputRequest(project_dir=project.project, project=False, build_requirements=False))) == []
    project.wheel("leaf")
    named = project.plan("leaf")
    assert offers(named) == []

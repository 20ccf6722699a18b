"""What lies in a project, what is taken of it, and what is said of the rest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from hardtack.errors import InputError
from hardtack.inputs.configuration import Configuration
from hardtack.inputs.detect import scope_of
from hardtack.inputs.read import InputRequest, read_inputs
from hardtack.model.requirements import Requirements
from tests.support.archives import sha256

PROJECT = '[project]\nname = "proj"\nversion = "1"\ndependencies = ["flask"]\n'
EXTRAS = '[project.optional-dependencies]\ncli = ["click"]\nweb = ["gunicorn"]\n'
GROUPS = '[dependency-groups]\ndev = ["ruff"]\ntest = ["pytest"]\n'
PYLOCK = 'lock-version = "1.0"\ncreated-by = "x"\npackages = []\n'


def _no_network(url: str) -> str:
    raise AssertionError(f"fetched {url}")


def lay(folder: Path, files: Mapping[str, str]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)


def read(folder: Path, files: Mapping[str, str], *, configuration: Configuration | None = None, **request: Any) -> Requirements:
    lay(folder, files)
    return read_inputs(
        InputRequest(project_dir=folder, **request), configuration or Configuration(), environment={}, fetch_text=_no_network
    )


def failure(folder: Path, files: Mapping[str, str], **request: Any) -> InputError:
    with pytest.raises(InputError) as caught:
        read(folder, files, **request)
    return caught.value


def names(found: Requirements) -> list[str]:
    return [root.requirement.name for root in found.roots]


def listed(found: Requirements, folder: Path) -> dict[str, bool]:
    return {item.path.relative_to(folder).as_posix(): item.used for item in found.found}


def test_a_project_and_its_requirements_files_are_one_closure(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        {"pyproject.toml": PROJECT + GROUPS, "requirements.txt": "a", "requirements-dev.txt": "-r requirements.txt\nb",
         "requirements/docs.txt": "c", "constraints.txt": "a<2", "dev-requirements.txt": "d", "notes.txt": "not requirements at all !"},
    )  # fmt: skip
    assert sorted(names(found)) == ["a", "b", "c", "d", "flask", "pytest", "ruff"]
    scopes = {root.requirement.name: root.scope for root in found.roots}
    assert [name for name, scope in sorted(scopes.items()) if scope == "development"] == ["b", "c", "d", "pytest", "ruff"]
    assert [str(root.requirement) for root in found.constraints] == ["a<2"]
    assert found.selected_groups == {"dev", "test"}
    assert all(listed(found, tmp_path).values())
    assert "notes.txt" not in listed(found, tmp_path)


@pytest.mark.parametrize(("sets", "expected"), [({"runtime"}, ["a", "flask"]), ({"development"}, ["b", "pytest", "ruff"])])
def test_one_set_can_be_chosen(tmp_path: Path, sets: set[str], expected: list[str]) -> None:
    files = {"pyproject.toml": PROJECT + GROUPS, "requirements.txt": "a", "requirements-test.txt": "b"}
    found = read(tmp_path, files, sets=frozenset(sets))
    assert sorted(names(found)) == expected
    assert bool(found.selected_groups) == ("development" in sets)


def test_given_files_turn_detection_off(tmp_path: Path) -> None:
    found = read(
        tmp_path, {"pyproject.toml": PROJECT, "uv.lock": "", "requirements.txt": "a", "other.txt": "b"}, requirement_files=("other.txt",)
    )
    assert names(found) == ["b"]
    assert listed(found, tmp_path) == {"other.txt": True}


def test_plain_requirements_and_constraint_files(tmp_path: Path) -> None:
    found = read(tmp_path, {"limits.txt": "six<2"}, requirements=("flask>=2", "six"), constraint_files=("limits.txt",))
    assert [str(root.requirement) for root in found.roots] == ["flask>=2", "six"]
    assert str(found.roots[0].origin) == "the command line: requirement 1"
    assert [str(root.requirement) for root in found.constraints] == ["six<2"]


def test_problems_of_all_inputs_are_told_together(tmp_path: Path) -> None:
    error = failure(
        tmp_path,
        {"r.txt": "=="},
        requirement_files=("r.txt", "gone.txt"),
        requirements=("a b",),
        scripts=(Path("gone.py"),),
        constraint_files=("nor-this.txt",),
    )
    for part in ("r.txt:1", "gone.txt", "the command line", "gone.py", "nor-this.txt"):
        assert part in str(error)


def test_a_lock_is_obeyed_and_the_rest_is_listed(tmp_path: Path) -> None:
    files = {
        "pyproject.toml": PROJECT,
        "uv.lock": "version = 1",
        "pylock.toml": PYLOCK,
        "pylock.linux.toml": PYLOCK,
        "requirements.txt": "a",
    }
    found = read(tmp_path, files)
    assert listed(found, tmp_path) == {
        "uv.lock": True, "pylock.toml": False, "pylock.linux.toml": False, "pyproject.toml": True, "requirements.txt": False,
    }  # fmt: skip
    assert names(found) == ["flask"]
    assert all(item.why for item in found.found if not item.used)
    free = read(tmp_path, files, use_lock=False)
    assert listed(free, tmp_path)["uv.lock"] is False
    assert sorted(names(free)) == ["a", "flask"]
    chosen = read(tmp_path, files, lock_file=Path("pylock.linux.toml"))
    assert listed(chosen, tmp_path) == {"pylock.linux.toml": True}


def test_a_pylock_is_obeyed_where_it_is_the_only_lock(tmp_path: Path) -> None:
    found = read(tmp_path, {"pylock.toml": PYLOCK, "poetry.lock": ""})
    assert listed(found, tmp_path) == {"pylock.toml": True, "poetry.lock": False}


def test_a_members_lock_is_that_of_its_workspace(tmp_path: Path) -> None:
    lay(tmp_path, {"pyproject.toml": PROJECT + '[tool.uv.workspace]\nmembers = ["one"]', "uv.lock": "version = 1"})
    member = tmp_path / "one"
    found = read(member, {"pyproject.toml": PROJECT.replace('"proj"', '"one"')})
    assert [(item.path, item.used) for item in found.found if item.kind == "uv.lock"] == [(tmp_path / "uv.lock", True)]


@pytest.mark.parametrize("name", ["poetry.lock", "pdm.lock", "Pipfile.lock"])
def test_locks_that_are_not_read_yet_are_listed_with_a_reason(tmp_path: Path, name: str) -> None:
    found = read(tmp_path, {name: "", "pyproject.toml": PROJECT})
    item = next(item for item in found.found if item.path.name == name)
    assert not item.used
    assert "not built yet" in item.why
    assert name in str(failure(tmp_path / "alone", {name: ""}))


@pytest.mark.parametrize(
    ("head", "taken"),
    [
        ("#\n# This file is autogenerated by pip-compile with Python 3.12\n#\n#    pip-compile pyproject.toml\n#\n", False),
        ("# This file was autogenerated by uv via the following command:\n#    uv export --no-hashes\n", False),
        ("# This file was autogenerated by uv via the following command:\n#    uv pip compile requirements.in -o requirements.txt\n", True),
        ("# our own\n", True),
    ],
)
def test_exports_of_the_project_are_not_read_beside_it(tmp_path: Path, head: str, taken: bool) -> None:
    found = read(tmp_path, {"pyproject.toml": PROJECT, "requirements.txt": head + "a==1"})
    assert listed(found, tmp_path)["requirements.txt"] is taken
    assert read(tmp_path / "alone", {"requirements.txt": head + "a==1"}).roots  # without a project it is the input


def test_an_in_file_gives_way_to_what_is_compiled_from_it(tmp_path: Path) -> None:
    found = read(tmp_path, {"requirements.in": "a", "requirements.txt": "a==1", "requirements-dev.in": "b"})
    assert listed(found, tmp_path) == {"requirements.in": False, "requirements.txt": True, "requirements-dev.in": True}
    assert sorted(str(root.requirement) for root in found.roots) == ["a==1", "b"]


def test_dynamic_dependencies_in_files_are_read_once(tmp_path: Path) -> None:
    dynamic = 'dynamic = ["dependencies", "optional-dependencies"]'
    files = 'dependencies = {file = ["requirements.txt"]}\noptional-dependencies.dev = {file = ["dev.txt"]}'
    text = f'[project]\nname = "p"\n{dynamic}\n[tool.setuptools.dynamic]\n{files}\n'
    found = read(tmp_path, {"pyproject.toml": text, "requirements.txt": "a", "dev.txt": "b"}, all_extras=True)
    assert [(root.requirement.name, root.extra) for root in found.roots] == [("a", None), ("b", "dev")]
    assert found.selected_extras == {"dev"}


def test_dependencies_that_only_a_build_can_tell_are_an_error(tmp_path: Path) -> None:
    dynamic = '[project]\nname = "p"\ndynamic = ["dependencies"]\n'
    assert "dynamic" in str(failure(tmp_path, {"pyproject.toml": dynamic}))
    beside = read(tmp_path, {"requirements.txt": "a"})
    assert names(beside) == ["a"]
    assert beside.notes
    assert read(tmp_path, {"uv.lock": "version = 1"}).dynamic == ("dependencies",)


@pytest.mark.parametrize(
    "files", [{"setup.py": ""}, {"setup.cfg": "[options]\ninstall_requires = a"}, {"pyproject.toml": "[tool.black]", "setup.py": ""}]
)
def test_a_project_that_only_setuptools_can_read_says_what_is_needed(tmp_path: Path, files: dict[str, str]) -> None:
    assert "requirements file" in str(failure(tmp_path, files).hint)


def test_an_empty_folder_says_what_was_looked_for(tmp_path: Path) -> None:
    assert "requirements*.txt" in str(failure(tmp_path, {}).hint)
    assert "is not a folder" in str(_missing(tmp_path))


def _missing(folder: Path) -> InputError:
    with pytest.raises(InputError) as caught:
        read_inputs(InputRequest(project_dir=folder / "gone"), Configuration(), environment={}, fetch_text=_no_network)
    return caught.value


@pytest.mark.parametrize(
    ("request_", "extras", "groups"),
    [
        ({}, set(), {"dev", "test"}),
        ({"extras": frozenset({"CLI"}), "groups": frozenset({"test"})}, {"cli"}, {"test"}),
        ({"extras": frozenset({"all"}), "groups": frozenset()}, {"cli", "web"}, set()),
        ({"all_extras": True, "all_groups": True}, {"cli", "web"}, {"dev", "test"}),
    ],
)
def test_the_runs_selection(tmp_path: Path, request_: dict[str, Any], extras: set[str], groups: set[str]) -> None:
    found = read(tmp_path, {"pyproject.toml": PROJECT + EXTRAS + GROUPS}, **request_)
    assert found.selected_extras == frozenset(extras)
    assert found.selected_groups == frozenset(groups)
    assert found.extras == frozenset({"cli", "web"})
    assert sorted(names(found)) == ["click", "flask", "gunicorn", "pytest", "ruff"]  # every root stays, for targets to choose among


def test_the_configuration_selects_where_the_request_does_not(tmp_path: Path) -> None:
    configuration = Configuration(
        extras=frozenset({"web"}),
        groups=frozenset(),
        constraints=("a<1",),
        overrides=("b==2",),
        excludes=("c",),
        no_binary=frozenset({"d"}),
    )
    found = read(tmp_path, {"pyproject.toml": PROJECT + EXTRAS + GROUPS}, configuration=configuration)
    assert (found.selected_extras, found.selected_groups) == (frozenset({"web"}), frozenset())
    assert [str(root.requirement) for root in (*found.constraints, *found.overrides)] == ["a<1", "b==2"]
    assert (found.excludes, found.formats.no_binary) == (("c",), frozenset({"d"}))
    assert read(tmp_path, {}, configuration=configuration, extras=frozenset({"cli"})).selected_extras == frozenset({"cli"})


def test_an_unknown_extra_or_group_lists_those_there_are(tmp_path: Path) -> None:
    error = failure(tmp_path, {"pyproject.toml": PROJECT + EXTRAS + GROUPS}, extras=frozenset({"clii"}), groups=frozenset({"doc"}))
    assert "no extra 'clii'" in str(error)
    assert "no group 'doc'" in str(error)
    assert error.hint == "extras here: cli, web\ngroups here: dev, test"


def test_given_files_beside_an_asked_group_take_only_the_group(tmp_path: Path) -> None:
    found = read(tmp_path, {"pyproject.toml": PROJECT + GROUPS, "r.txt": "a"}, requirement_files=("r.txt",), groups=frozenset({"dev"}))
    assert sorted(names(found)) == ["a", "pytest", "ruff"]
    assert found.selected_groups == {"dev"}


def test_files_of_other_kinds_may_be_given_as_requirement_files(tmp_path: Path) -> None:
    lay(tmp_path, {"sub/pyproject.toml": PROJECT, "run.py": "# /// script\n# dependencies = ['s']\n# ///\n", "pylock.x.toml": PYLOCK})
    found = read(tmp_path, {}, requirement_files=("sub/pyproject.toml", "run.py", "pylock.x.toml"))
    assert sorted(names(found)) == ["flask", "s"]
    assert {item.kind for item in found.found} == {"pyproject", "script", "pylock"}
    assert "requirements file" in str(failure(tmp_path, {"setup.py": ""}, requirement_files=("setup.py",)).hint)


def test_a_hash_in_a_file_makes_them_mandatory_for_arguments_too(tmp_path: Path) -> None:
    files = {"r.txt": f"a==1 --hash=sha256:{sha256(b'')}"}
    assert "the command line" in str(failure(tmp_path, files, requirement_files=("r.txt",), requirements=("b",)))


def test_places_are_told_relative_to_the_project(tmp_path: Path) -> None:
    found = read(tmp_path, {"pyproject.toml": PROJECT, "requirements/base.txt": "a"})
    assert [str(root.origin) for root in found.roots] == ["pyproject.toml: project.dependencies[0]", "requirements/base.txt:1"]


@pytest.mark.parametrize(
    ("name", "scope"),
    [
        ("requirements.txt", "runtime"),
        ("requirements-prod.txt", "runtime"),
        ("requirements/base.txt", "runtime"),
        ("requirements-device.txt", "runtime"),
        ("latest-requirements.txt", "runtime"),
        ("requirements-dev.txt", "development"),
        ("requirements_dev.in", "development"),
        ("dev-requirements.txt", "development"),
        ("requirements.test.txt", "development"),
        ("requirements/Tests.txt", "development"),
        ("requirements/py312-lint.txt", "development"),
        ("https://e.org/ci.txt?raw=1", "development"),
        ("tools\\dev.txt", "development"),
    ],
)
def test_scope_by_name(name: str, scope: str) -> None:
    assert scope_of(name) == scope

"""Where a project's packages come from, by its own word and its workspace's."""

from __future__ import annotations

from pathlib import Path

import pytest
from packaging.requirements import Requirement

from hardtack.errors import InputError
from hardtack.inputs.pyproject import read_pyproject
from hardtack.inputs.workspace import with_sources
from tests.inputs.test_read import lay

PROJECT = '[project]\nname = "{name}"\nversion = "1"\n'


def helper(folder: Path) -> str:
    lay(folder, {"pyproject.toml": PROJECT.format(name="helper")})
    return folder.as_uri()


def test_what_a_build_told_comes_from_where_the_folder_says(tmp_path: Path) -> None:
    url = helper(tmp_path / "helper")
    text = """
    [tool.uv.sources]
    Help_er = { path = "../helper" }
    repo = { git = "https://e.org/repo", tag = "v1" }
    corp = { index = "corp" }
    only = [{ path = "../helper", extra = "x" }]
    some = [{ path = "../helper", marker = "sys_platform == 'linux'" }]
    """.replace("Help_er", "helper")
    lay(tmp_path / "lib", {"pyproject.toml": text})
    told = (
        "Helper[a]>=1 ; extra == 'y'",
        "repo",
        "corp>1",
        "only ; extra == 'X'",
        "only ; extra == 'z'",
        "some>2",
        "plain",
        "x @ https://e.org/x",
    )
    found, notes = with_sources(told, tmp_path / "lib")
    assert [Requirement(one) for one in found] == [
        Requirement(one)
        for one in (
            f"Helper[a] @ {url} ; extra == 'y'",
            "repo @ git+https://e.org/repo@v1",
            "corp>1",
            f"only @ {url} ; extra == 'X'",
            "only ; extra == 'z'",
            f"some @ {url} ; sys_platform == 'linux'",
            "some>2",
            "plain",
            "x @ https://e.org/x",
        )
    ]
    assert len(notes) == 1
    assert "tool.uv.sources.corp" in notes[0]


def test_a_folder_that_says_nothing_changes_nothing(tmp_path: Path) -> None:
    assert with_sources(("a>1",), tmp_path) == (("a>1",), ())
    lay(tmp_path, {"pyproject.toml": PROJECT.format(name="lib")})
    assert with_sources(("a>1",), tmp_path) == (("a>1",), ())


def test_a_source_that_is_none_is_an_error_with_its_place(tmp_path: Path) -> None:
    lay(tmp_path, {"pyproject.toml": '[tool.uv.sources]\na = { path = "gone" }\n'})
    with pytest.raises(InputError) as caught:
        with_sources(("a",), tmp_path)
    assert f"{tmp_path}/pyproject.toml: tool.uv.sources.a" in str(caught.value)


@pytest.mark.parametrize("stated", ['{ path = "helper" }', '[{ path = "helper" }]'])
def test_a_workspaces_paths_are_from_its_root(stated: str, tmp_path: Path) -> None:
    url = helper(tmp_path / "helper")
    root = f'[tool.uv.workspace]\nmembers = ["packages/*"]\n[tool.uv.sources]\nhelper = {stated}\n'
    lay(tmp_path, {"pyproject.toml": root, "packages/lib/pyproject.toml": PROJECT.format(name="lib") + 'dependencies = ["helper"]\n'})
    folder = tmp_path / "packages" / "lib"
    assert with_sources(("helper",), folder) == ((f"helper @ {url}",), ())
    assert [str(one.requirement) for one in read_pyproject(folder / "pyproject.toml").roots] == [f"helper @ {url}"]

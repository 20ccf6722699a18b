"""Folders, workspaces and repositories: built, contained, recorded; nothing of the user's is touched."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.scenarios.yard import LINUX, MAC, WINDOWS, Yard, errors, proven
from tests.support.repositories import commit_all, git, state_of, write_project

TARGETS = (LINUX, MAC, WINDOWS)


def test_a_folder_is_built_for_every_target_and_not_touched(yard: Yard) -> None:
    leaf = yard.wheel("leaf")
    folder = write_project(yard.project / "lib", "lib", dependencies=["leaf"])
    before = state_of(folder)
    result = yard.build("./lib", targets=TARGETS)
    proven(result)
    assert yard.files() == {"lib-1.0-py3-none-any.whl", leaf}
    assert state_of(folder) == before
    assert result.manifest is not None
    record = next(file.build for file in result.manifest.files if file.name == "lib")
    assert record is not None and record.made_of is not None
    assert (record.made_of.kind, record.made_of.location, record.made_of.commit) == ("directory", "lib", None)


def test_a_repository_is_built_at_its_full_commit(yard: Yard) -> None:
    leaf = yard.wheel("leaf")
    work = write_project(yard.home / "work", "lib", version=None, dependencies=["leaf"])
    first = commit_all(work, tag="v1.5")
    (work / "more.txt").write_text("later")
    second = commit_all(work)
    bare = yard.home / "lib.git"
    git(yard.home, "clone", "--quiet", "--bare", str(work), str(bare))
    before = state_of(bare)
    for revision, commit, version in (("v1.5", first, "1.5"), (first, first, "1.5"), ("main", second, f"1.5.post1+g{second[:7]}")):
        result = yard.build(f"lib @ git+{bare.as_uri()}@{revision}", options=None)
        proven(result)
        assert result.manifest is not None
        file = next(file for file in result.manifest.files if file.name == "lib")
        assert file.version == version
        assert file.build is not None and file.build.made_of is not None
        assert (file.build.made_of.commit, file.build.made_of.location) == (commit, bare.as_uri())
    assert leaf in yard.files()
    assert state_of(bare) == before

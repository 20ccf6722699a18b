"""Backends that read a repository, and Poetry's own, for real."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.building.projects import Bench, Source, build
from tests.building.test_real_backends import bench  # noqa: F401 (the bench that reaches the public index)
from tests.building.test_sources import archive, asks_for_history, folder_source, members, surroundings
from tests.support.repositories import commit_all, state_of

pytestmark = pytest.mark.live

HEAD = '[build-system]\nrequires = {requires}\nbuild-backend = "{backend}"\n'
DYNAMIC = '[project]\nname = "lib"\ndynamic = ["version"]\n'
POETRY = '[tool.poetry]\nname = "lib"\nversion = "1.2"\ndescription = ""\nauthors = []\npackages = [{ include = "lib" }]\n'
PROJECTS = {
    "hatch-vcs": (["hatchling", "hatch-vcs"], "hatchling.build", f'{DYNAMIC}[tool.hatch.version]\nsource = "vcs"\n'),
    "setuptools-scm": (["setuptools>=77", "setuptools-scm>=8"], "setuptools.build_meta", f"{DYNAMIC}[tool.setuptools_scm]\n"),
    "pdm": (["pdm-backend"], "pdm.backend", f'{DYNAMIC}[tool.pdm.version]\nsource = "scm"\n'),
    "poetry": (["poetry-core>=2"], "poetry.core.masonry.api", POETRY),
    "flit": (["flit_core>=3.9"], "flit_core.buildapi", '[project]\nname = "lib"\nversion = "1.2"\ndescription = "x"\n'),
}


@pytest.mark.parametrize("kind", sorted(PROJECTS))
def test_a_real_backend_of_a_repository(bench: Bench, tmp_path: Path, kind: str) -> None:  # noqa: F811
    asks_for_history(bench)
    requires, backend, text = PROJECTS[kind]
    folder = tmp_path / "lib"
    (folder / "lib").mkdir(parents=True)
    (folder / "lib/__init__.py").write_text("")
    (folder / "pyproject.toml").write_text(HEAD.format(requires=requires, backend=backend) + text)
    commit_all(folder, tag="v1.2")
    before = state_of(folder)
    environment = {**surroundings(tmp_path), **bench.uv.environment, "HOME": str(tmp_path)}
    made = archive(bench, folder_source(folder), environment=environment)
    assert (str(made.facts.version), made.origin.state) == ("1.2", "clean")
    assert {"pyproject.toml", "PKG-INFO", "lib/__init__.py"} <= set(members(made))
    built = build(bench, Source(path=made.path, facts=made.facts), timeout=120)
    assert built.filename.startswith("lib-1.2-py")
    assert state_of(folder) == before
    again = archive(bench, folder_source(folder), environment=environment)
    assert again.sha256 == made.sha256

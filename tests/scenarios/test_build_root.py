"""``--build-root`` from the command's own words: what is compiled is compiled in the unpacked system, and recorded so."""

from __future__ import annotations

from pathlib import Path

import pytest

from hardtack.building.sandbox import Bubblewrap, find_sandbox
from hardtack.errors import HardtackError
from hardtack.system import environ
from hardtack.workflow.request import BuildOptions
from tests.building.compiled import COMPILED
from tests.building.projects import HONEST, PYPROJECT
from tests.building.small_root import bring_compiler, make_root
from tests.scenarios.yard import Yard, proven
from tests.support.archives import make_sdist

# This Python, on a system as new as this one: the root is made of it.
HERE = "host"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    if environ.is_windows() or environ.is_macos() or not isinstance(find_sandbox(environ.variables()), Bubblewrap):
        pytest.skip("bubblewrap does not work here")
    made = make_root(tmp_path / "root")
    why = bring_compiler(made)
    if why is not None:
        pytest.skip(why)
    return made


def test_what_is_compiled_is_compiled_in_the_root(yard: Yard, root: Path) -> None:
    files = {"backend.py": (HONEST + COMPILED).encode(), "mini.c": b"/* what makes it look compiled */\n"}
    pyproject = PYPROJECT.format(requires=[])
    yard.index.add(*make_sdist("mini", pyproject=pyproject, metadata="Metadata-Version: 2.2\nName: mini\nVersion: 1.0\n", files=files))
    result = yard.build("mini", targets=(HERE,), options=BuildOptions(trial=True, output=yard.wheelhouse, build_root=root))
    proven(result)  # with a real installation
    assert result.manifest is not None
    [file] = [file for file in result.manifest.files if file.filename.startswith("mini-")]
    assert file.build is not None
    assert file.build.sandbox.startswith("bubblewrap, root glibc ")
    assert file.build.sandbox.endswith("(Testix 7)")
    assert list(file.build.compilers or {}) == ["cc"]
    assert str(root) not in (yard.wheelhouse / "wheelhouse.json").read_text()


def test_what_is_no_root_is_told_before_anything_is_done(yard: Yard, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(HardtackError, match="no usr/bin of its own"):
        yard.build("mini", targets=(HERE,), options=BuildOptions(output=yard.wheelhouse, build_root=tmp_path / "empty"))

"""A build finds the declared tools on its PATH and nothing else of the host's."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from hardtack.building.sandbox_system import TOOLS, declare_tools
from tests.building.projects import Bench, build, source

pytestmark = pytest.mark.skipif(os.name == "nt", reason="there are no such folders")


def test_tools_are_links_to_what_is_here(tmp_path: Path) -> None:
    folder = tmp_path / "tools"
    declare_tools(folder)
    found = {path.name for path in folder.iterdir()}
    assert {"sh", "cat", "sed"} <= found
    for name in ("cc", "make", "ld"):
        assert (name in found) == (shutil.which(name, path="/usr/bin:/bin") is not None)
    assert all((folder / name).is_symlink() for name in found)


def test_nothing_that_differs_from_host_to_host_by_chance_is_a_tool(tmp_path: Path) -> None:
    folder = tmp_path / "tools"
    declare_tools(folder)
    for name in ("git", "curl", "wget", "ssh", "sudo", "su", "docker", "pip", "uv", "hg"):
        assert name not in TOOLS
    assert not [path.name for path in folder.iterdir() if "python" in path.name or path.name in ("git", "pip", "curl")]


def test_the_path_of_a_build_holds_its_environment_and_the_tools(bench: Bench, tmp_path: Path) -> None:
    look = (
        "def build_wheel(d, *_, plain=build_wheel):\n"
        "    import shutil, subprocess\n"
        "    assert subprocess.check_output(['sh', '-c', 'echo hello']) == b'hello\\n'\n"
        "    assert os.path.dirname(shutil.which('python')) == os.path.dirname(sys.executable)\n"
        "    for name in ('git', 'curl', 'pip3', 'su', 'mount'):\n"
        "        assert shutil.which(name) is None, name\n"
        "    assert not [n for n in os.environ if n not in KNOWN], sorted(os.environ)\n"
        "    assert os.path.isdir(os.environ['HOME']) and os.path.isdir(os.environ['TMPDIR'])\n"
        "    assert os.umask(0o22) == 0o22\n"
        "    return plain(d)\n"
    )
    known = (
        "KNOWN = set('PATH HOME USERPROFILE TMPDIR TEMP TMP LC_ALL TZ SOURCE_DATE_EPOCH PYTHONHASHSEED PYTHONDONTWRITEBYTECODE "
        "PYTHONNOUSERSITE PIP_NO_INDEX UV_OFFLINE CARGO_NET_OFFLINE CMAKE_BUILD_PARALLEL_LEVEL CARGO_BUILD_JOBS MAX_JOBS "
        "HARDTACK_BUILD PWD SHLVL _ LC_CTYPE "
        "_PYPROJECT_HOOKS_BUILD_BACKEND _PYPROJECT_HOOKS_BACKEND_PATH_JSON'.split())\n"
    )
    archive = source(tmp_path, known + look)
    built = build(bench, archive, timeout=60)
    assert built.size > 0

"""A build environment holds what was asked for, from wheels alone, and runs nothing of it while it is made."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from hardtack.building.environment import BuildRequirementFault, build_environment
from hardtack.system import environ
from hardtack.system.cancellation import Cancellation
from hardtack.system.process import run
from hardtack.system.uv import Uv, find_uv
from tests.building.projects import wheel_folder
from tests.support.archives import make_sdist, make_wheel


@pytest.fixture
def uv(tmp_path: Path) -> Uv:
    return find_uv(tmp_path / "cache", environ.variables())


def test_wheels_and_what_they_need_with_their_digests(uv: Uv, tmp_path: Path) -> None:
    config = wheel_folder(tmp_path / "links", ("tool", "1.5", {"tool.py": b""}))
    filename, data = make_wheel("backend.x", "2.0", requires=["tool>1"], files={"backend_x_main.py": b"print('hello')\n"})
    (config.parent / filename).write_bytes(data)
    made = build_environment(
        [Requirement("Backend-X>=2"), Requirement("absent; python_version < '3'")],
        python=Path(sys.executable),
        uv=uv,
        uv_config=config,
        folder=tmp_path / "work" / "env",
        stop=Cancellation(),
    )
    assert sorted(made.installed) == ["backend-x==2.0", "tool==1.5"]
    assert made.installed["backend-x==2.0"] in ("", hashlib.sha256(data).hexdigest())
    done = run([str(made.python), "-m", "backend_x_main"], environment={}, timeout=20)
    assert done.stdout.strip() == "hello"


def test_a_pth_of_a_requirement_never_runs_while_the_environment_is_made(uv: Uv, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    config = wheel_folder(tmp_path / "links", ("sly", "1.0", {"sly.pth": f"import os; open({str(mark)!r}, 'w')\n".encode()}))
    for number in range(2):
        build_environment(
            [Requirement("sly")],
            python=Path(sys.executable),
            uv=uv,
            uv_config=config,
            folder=tmp_path / "work" / f"env{number}",
            stop=Cancellation(),
        )
    assert not mark.exists()
    made = tmp_path / "work" / "env1" / "bin" / "python"
    run([str(made), "-c", ""], environment={}, timeout=20)
    assert mark.exists(), "the trap does not work, so the test proves nothing"


def test_an_sdist_is_never_built_for_a_build(uv: Uv, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    config = wheel_folder(tmp_path / "links")
    filename, data = make_sdist("sly", files={"setup.py": f"open({str(mark)!r}, 'w')\nimport setuptools; setuptools.setup()\n".encode()})
    (config.parent / filename).write_bytes(data)
    with pytest.raises(BuildRequirementFault, match="sly"):
        build_environment(
            [Requirement("sly")],
            python=Path(sys.executable),
            uv=uv,
            uv_config=config,
            folder=tmp_path / "work" / "env",
            stop=Cancellation(),
        )
    assert not mark.exists()


def test_a_conflict_names_its_requirements(uv: Uv, tmp_path: Path) -> None:
    config = wheel_folder(tmp_path / "links", ("tool", "1.5", {}))
    with pytest.raises(BuildRequirementFault) as caught:
        build_environment(
            [Requirement("tool>=2")],
            python=Path(sys.executable),
            uv=uv,
            uv_config=config,
            folder=tmp_path / "work" / "env",
            stop=Cancellation(),
        )
    assert "tool>=2" in str(caught.value)
    assert str(tmp_path) not in caught.value.reason.replace(str(config.parent), "")

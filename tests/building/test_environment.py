"""A build environment holds exactly the wheels that were supplied, and runs nothing of them while it is made."""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from hardtack.building.environment import BuildEnvironment, BuildRequirementFault, Environments, build_environment
from hardtack.building.interpreter import ask
from hardtack.building.workshop import Tool
from hardtack.system import environ
from hardtack.system.cancellation import Cancellation
from hardtack.system.process import run
from hardtack.system.uv import Uv, find_uv
from tests.building.projects import Bench
from tests.support.archives import make_wheel, sha256
from tests.support.supplies import tool_of

none = pytest.mark.parametrize("sandbox", ["none"], indirect=True)


@pytest.fixture
def uv(tmp_path: Path) -> Uv:
    """A uv that has no way to any index."""
    return find_uv(tmp_path / "cache", environ.variables(), network={"UV_INDEX_URL": "https://index.invalid/simple"})


def tool(folder: Path, name: str, version: str = "1.0", *, files: Mapping[str, bytes] | None = None, **more: object) -> Tool:
    """A wheel that lies in the store: under its digest, not under its name."""
    filename, data = make_wheel(name, version, files=files, **more)  # type: ignore[arg-type]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / sha256(data)
    path.write_bytes(data)
    return Tool(name=name, version=version, filename=filename, sha256=sha256(data), path=path)


def environment(uv: Uv, folder: Path, *tools: Tool) -> BuildEnvironment:
    return build_environment(tools, python=Path(sys.executable), uv=uv, folder=folder, stop=Cancellation())


def test_exactly_these_wheels_with_their_digests(uv: Uv, tmp_path: Path) -> None:
    backend = tool(tmp_path / "store", "backend.x", "2.0", requires=["tool>1"], files={"backend_x_main.py": b"print('hello')\n"})
    compiled = tool(tmp_path / "store", "tool", "1.5")
    before = {path: path.read_bytes() for path in (tmp_path / "store").iterdir()}
    made = environment(uv, tmp_path / "work" / "env", backend, compiled)
    assert made.installed == {"backend-x==2.0": backend.sha256, "tool==1.5": compiled.sha256}
    done = run([str(made.python), "-m", "backend_x_main"], environment={}, timeout=20)
    assert done.stdout.strip() == "hello"
    there = {path.name for path in made.folder.rglob("*.dist-info")}
    assert there == {"backend.x-2.0.dist-info", "tool-1.5.dist-info"} or there == {"backend_x-2.0.dist-info", "tool-1.5.dist-info"}
    # Nothing of it outside of the work folder, and the store as it was.
    assert not (tmp_path / "cache").exists()
    assert {path: path.read_bytes() for path in (tmp_path / "store").iterdir()} == before


def test_what_a_wheel_needs_is_for_the_supply_to_bring(uv: Uv, tmp_path: Path) -> None:
    made = environment(uv, tmp_path / "work" / "env", tool(tmp_path, "needy", requires=["absent"]))
    assert list(made.installed) == ["needy==1.0"]


@pytest.mark.parametrize("version", ["1.0+local.1", "1!2.0", "2.0rc1", "1.0.post2"])
def test_odd_versions_in_odd_folders(uv: Uv, tmp_path: Path, version: str) -> None:
    odd = tmp_path / "a b#c%20ü;@"
    made = environment(uv, odd / "env", tool(odd / "store", "odd.name", version))
    assert list(made.installed) == [f"odd-name=={version}"]
    done = run([str(made.python), "-c", "import odd_name; print(odd_name.version)"], environment={}, timeout=20)
    assert done.stdout.strip() == version, done.stderr


def test_none_at_all(uv: Uv, tmp_path: Path) -> None:
    made = environment(uv, tmp_path / "work" / "env")
    assert made.installed == {}
    assert run([str(made.python), "-c", "print(1)"], environment={}, timeout=20).stdout == "1\n"


def test_a_pth_of_a_wheel_never_runs_while_the_environment_is_made(uv: Uv, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    sly = tool(tmp_path / "store", "sly", files={"sly.pth": f"import os; open({str(mark)!r}, 'w')\n".encode()})
    for number in range(2):
        environment(uv, tmp_path / "work" / f"env{number}", sly)
    assert not mark.exists()
    run([str(tmp_path / "work" / "env1" / "bin" / "python"), "-c", ""], environment={}, timeout=20)
    assert mark.exists(), "the trap does not work, so the test proves nothing"


def test_other_bytes_than_were_promised_are_not_installed(uv: Uv, tmp_path: Path) -> None:
    good = tool(tmp_path / "store", "tool")
    good.path.write_bytes(make_wheel("tool", files={"evil.py": b"1"})[1])
    with pytest.raises(BuildRequirementFault, match=r"tool==1\.0"):
        environment(uv, tmp_path / "work" / "env", good)


@pytest.mark.parametrize(
    "wrong",
    [
        {"filename": "tool-1.0.tar.gz"},
        {"filename": "other-1.0-py3-none-any.whl"},
        {"filename": "../tool-1.0-py3-none-any.whl"},
        {"name": "other"},
    ],
)
def test_a_tool_that_is_no_wheel_of_its_name(uv: Uv, tmp_path: Path, wrong: dict[str, str]) -> None:
    with pytest.raises(BuildRequirementFault):
        environment(uv, tmp_path / "work" / "env", replace(tool(tmp_path / "store", "tool"), **wrong))  # type: ignore[arg-type]


def test_a_wheel_for_another_interpreter_is_a_fault(uv: Uv, tmp_path: Path) -> None:
    with pytest.raises(BuildRequirementFault) as caught:
        environment(uv, tmp_path / "work" / "env", tool(tmp_path / "store", "tool", tag="cp27-cp27m-win32"))
    assert "tool==1.0" in str(caught.value)


@none
def test_one_environment_for_the_same_tools_whoever_asks(bench: Bench, tmp_path: Path) -> None:
    one, two = tool(tmp_path / "store", "one"), tool(tmp_path / "store", "two")
    python = ask(bench.python)
    with Environments(bench.shop()) as environments:
        found: list[BuildEnvironment] = []
        threads = [threading.Thread(target=lambda: found.append(environments.environment(python, [one, two]))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len({id(made) for made in found}) == 1
        assert environments.environment(python, [two, one]) is found[0]
        other = environments.environment(python, [one])
        assert other.folder != found[0].folder
        [folder] = bench.work.iterdir()
        assert folder in other.folder.parents
    assert list(bench.work.iterdir()) == []


@none
def test_an_environment_that_could_not_be_made_is_made_when_it_can(bench: Bench, tmp_path: Path) -> None:
    good = tool(tmp_path / "store", "tool")
    data = good.path.read_bytes()
    with Environments(bench.shop()) as environments:
        good.path.write_bytes(b"torn")
        with pytest.raises(BuildRequirementFault):
            environments.environment(ask(bench.python), [good])
        good.path.unlink()
        good.path.write_bytes(data)
        assert environments.environment(ask(bench.python), [good]).installed == {"tool==1.0": good.sha256}


def test_a_wheel_in_a_folder_is_a_tool(tmp_path: Path) -> None:
    filename, data = make_wheel("tool", "2.0")
    (tmp_path / filename).write_bytes(data)
    assert tool_of(tmp_path / filename) == Tool(
        name="tool", version="2.0", filename=filename, sha256=sha256(data), path=tmp_path / filename
    )

"""uv's own build frontend, held to the tools that we took, makes the same wheel of the same source."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from hardtack.building.build import bench as open_bench
from hardtack.building.interpreter import ask
from hardtack.building.workshop import Tool
from hardtack.system.process import Completed, run
from tests.building.projects import Bench, Source, source, wheel_folder

none = pytest.mark.parametrize("sandbox", ["none"], indirect=True)

# What the tools were is in the wheel, so that others would be seen.
TELLS = (
    "def get_requires_for_build_wheel(config=None):\n    return ['late>=1']\n"
    "def metadata(plain=metadata):\n"
    "    import late, tool\n"
    "    return plain() + 'Summary: late %s, tool %s\\n' % (late.version, tool.version)\n"
)


def by_uv(bench: Bench, source: Source, tools: tuple[Tool, ...], folder: Path) -> Completed:
    """``uv build``, with the hash of each tool and nothing else to choose from than all that is there."""
    folder.mkdir()
    constraints = folder / "constraints.txt"
    constraints.write_text("".join(f"{tool.name}=={tool.version} --hash=sha256:{tool.sha256}\n" for tool in tools))
    command = [str(bench.uv.path), "build", "--wheel", "--no-config", "--offline", "--no-index", "--find-links", str(bench.links)]
    command += ["--build-constraints", str(constraints), "--require-build-hashes", "--python", str(bench.python)]
    environment = {**bench.uv.environment, "SOURCE_DATE_EPOCH": "1577836800", "UV_CACHE_DIR": str(folder / "cache")}
    return run([*command, "--out-dir", str(folder / "out"), str(source.path)], environment=environment, cwd=folder, timeout=120)


def members(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@none
def test_uv_build_with_our_tools_makes_our_wheel(bench: Bench, tmp_path: Path) -> None:
    wheel_folder(bench.links, ("tool", "1.0", {}), ("late", "1.0", {}))
    telling = source(tmp_path, TELLS, requires=["tool"])
    with open_bench(telling.facts, telling.path, shop=bench.shop(), interpreter=ask(bench.python)) as made:
        ours, tools = made.wheel(), made.tools
    # Newer ones, which nobody asked for when we built.
    wheel_folder(bench.links, ("tool", "2.0", {}), ("late", "2.0", {}))
    done = by_uv(bench, telling, tools, tmp_path / "uv")
    assert done.code == 0, done.stderr
    theirs = tmp_path / "uv" / "out" / ours.filename
    assert members(theirs) == members(ours.path)
    assert b"late 1.0, tool 1.0" in members(ours.path)["mini-1.0.dist-info/METADATA"]


@none
def test_uv_build_refuses_what_is_not_all_of_our_tools(bench: Bench, tmp_path: Path) -> None:
    wheel_folder(bench.links, ("tool", "1.0", {}), ("late", "1.0", {}))
    telling = source(tmp_path, TELLS, requires=["tool"])
    with open_bench(telling.facts, telling.path, shop=bench.shop(), interpreter=ask(bench.python)) as made:
        tools = made.tools
    assert sorted(tool.name for tool in tools) == ["late", "tool"]
    for left_out in tools:
        done = by_uv(bench, telling, tuple(tool for tool in tools if tool != left_out), tmp_path / f"without-{left_out.name}")
        assert done.code != 0
    wheel_folder(bench.links, ("tool", "1.0", {"tool/changed.py": b"1"}))
    assert by_uv(bench, telling, tools, tmp_path / "changed").code != 0

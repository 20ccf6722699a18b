"""Targets from tables, pip's flags, pex's JSON and the probe; what is written of them and read back."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import pytest
import tomli_w
from packaging.markers import Marker
from packaging.tags import Tag

from hardtack.errors import TargetError
from hardtack.model.marker import holds
from hardtack.model.target import Selection
from hardtack.targets.catalog import describe, from_complete_platform, from_description, from_pip_flags, from_table, parse_target
from hardtack.targets.probe import from_probe

HERE = "pyproject.toml: tool.hardtack.targets.gpu"


def table(**values: Any) -> dict[str, Any]:
    return {"platform": "py311-linux-x86_64", **{key.replace("_", "-"): value for key, value in values.items()}}


def test_a_table_states_platform_and_selection() -> None:
    target = from_table("gpu", table(extras=["CUDA_12"], groups=["Dev"], indexes={"Torch": "cu128"}), where=HERE)
    assert target.name == "gpu"
    assert target.selection == Selection(extras=frozenset({"cuda-12"}), groups=frozenset({"dev"}), index_pins=(("torch", "cu128"),))
    assert target.tags == parse_target("py311-linux-x86_64").tags
    assert from_description(json.loads(json.dumps(describe(target))), where="wheelhouse.json") == target
    assert from_description(tomllib.loads(tomli_w.dumps(describe(target))), where="pylock.toml") == target


def test_no_extras_stated_is_not_the_same_as_none() -> None:
    assert from_table("gpu", table(), where=HERE).selection == Selection()
    assert from_table("gpu", table(extras=[]), where=HERE).selection.extras == frozenset()


def test_a_tables_name_is_its_platform_where_none_is_stated() -> None:
    target = from_table("py312-linux-x64", {"extras": ["a"]}, where=HERE)
    assert (target.name, target.platform.os, target.python) == ("py312-linux-x64", "linux", (3, 12))
    assert from_table("board", {"platform": "jetpack6"}, where=HERE).platform.arch == "aarch64"
    assert from_table("board", {"platform": "linux-arm64", "python": "3.12"}, where=HERE).python == (3, 12)


@pytest.mark.parametrize(
    ("patches", "first", "last"),
    [
        (">=3.11.2,<3.11.5", "3.11.2", "3.11.4"),
        ("3.11.2", "3.11.2", "3.11.2"),
        ("3.11.0", "3.11.0", "3.11.0"),
        ("==3.11.2", "3.11.2", "3.11.2"),
        (">=3.11.2", "3.11.2", None),
        ("<=3.11.4", "3.11.0", "3.11.4"),
        ("~=3.11.2", "3.11.2", None),
        (">3.11.2,!=3.11.3", "3.11.4", None),
        ("3.11", "3.11.0", None),
        ("==3.11.*", "3.11.0", None),
        ("3.11.0rc1", "3.11.0rc1", "3.11.0rc1"),
    ],
)
def test_a_range_of_patches(patches: str, first: str, last: str | None) -> None:
    found = from_table("t", table(patches=patches), where=HERE).patches
    assert (str(found.first), str(found.last) if found.last else None) == (first, last)


def test_floor_and_plain_linux_change_the_tags() -> None:
    target = from_table("t", table(floor="2.17", plain_linux=True), where=HERE)
    assert target.platform.floor == (2, 17)
    assert Tag("cp311", "cp311", "linux_x86_64") in target.tags
    assert Tag("cp311", "cp311", "manylinux_2_28_x86_64") not in target.tags
    assert from_table("m", {"platform": "py312-macos-arm64", "floor": "14"}, where=HERE).platform.floor == (14, 0)
    musl = from_table("a", {"platform": "py312-alpine", "floor": "1.1"}, where=HERE)
    assert musl.tags == parse_target("py312-linux-x86_64-musl1_1").tags


@pytest.mark.parametrize(
    ("values", "words", "hint"),
    [
        ({"extra": ["a"]}, "unknown key extra", "extras"),
        ({"platform": "py312-lunix"}, "lunix", ""),
        ({"platform": 3}, "neither", "platforms"),
        ({"platform": {"platforms": ["win_amd64"], "version": "3.12"}}, "unknown key version", "python-version"),
        ({"platform": {"platforms": ["win_amd64"]}}, "Python", ""),
        ({"python": 3.12}, "not text", '"3.12"'),
        ({"extras": "cuda"}, "extras", "["),
        ({"groups": [1]}, "groups", "["),
        ({"indexes": ["torch"]}, "indexes", "torch"),
        ({"markers": {"python-version": "3.12"}}, "python-version", "patches"),
        ({"markers": {"platform-relaese": "6"}}, "platform-relaese", "platform-release"),
        ({"markers": {"platform-release": 6.1}}, "6.1", "quotes"),
        ({"markers": "x"}, "markers", "platform-release"),
        ({"patches": ">=3.12"}, "no patch of Python 3.11", "3.11.2"),
        ({"patches": ">=3.11.2,!=3.11.4,<3.11.9"}, "one stretch", "two targets"),
        ({"patches": "soon"}, "no range", "3.11"),
        ({"patches": 3.11}, "not text", "3.11"),
        ({"floor": "new"}, "floor", "2.17"),
        ({"floor": "1.17"}, "glibc 1.17", ""),
        ({"platform": "py312-windows", "floor": "10"}, "windows has no floor", ""),
        ({"platform": "py312-windows", "plain-linux": True}, "plain-linux", ""),
        ({"plain-linux": "yes"}, "plain-linux", ""),
    ],
)
def test_a_table_that_has_no_meaning_says_what_and_where(values: dict[str, Any], words: str, hint: str) -> None:
    with pytest.raises(TargetError) as caught:
        from_table("gpu", {"platform": "py311-linux-x86_64", **values}, where=HERE)
    assert words in str(caught.value)
    assert str(caught.value).startswith(HERE)
    assert hint in (caught.value.hint or "")


@pytest.mark.parametrize("name", ["a.b", "../up", "", "-x", "a b", "ü"])
def test_a_name_that_could_not_name_a_file(name: str) -> None:
    with pytest.raises(TargetError, match="cannot be a target's name"):
        from_table(name, table(), where=HERE)


def pip(*platforms: str, version: str = "3.12", implementation: str = "cp", abis: tuple[str, ...] = ()) -> Any:
    return from_pip_flags(platforms=platforms, python_version=version, implementation=implementation, abis=abis)


def test_pips_flags_name_the_same_targets() -> None:
    assert pip("manylinux_2_28_x86_64", abis=("cp312",)) == parse_target("py312-linux-x86_64")
    assert pip("manylinux2014_x86_64", "manylinux_2_28_x86_64") == parse_target("py312-linux-x86_64")
    assert pip("manylinux2014_aarch64", version="312") == parse_target("py312-linux-aarch64-glibc2_17")
    assert pip("musllinux_1_2_x86_64") == parse_target("py312-linux-x86_64-musl1_2")
    assert pip("win_amd64", abis=("cp312", "abi3", "none")) == parse_target("py312-windows-x86_64")
    assert pip("win32", "any") == parse_target("py312-windows-x86")
    assert pip("macosx_11_0_arm64") == parse_target("py312-macos-arm64")
    assert pip("macosx_11_0_universal2", "macosx_14_0_arm64") == parse_target("py312-macos-arm64-macos14_0")
    assert pip("macosx_10_13_x86_64", "macosx_10_13_universal2") == parse_target("py312-macos-x86_64-macos10_13")
    assert pip("manylinux_2_28_x86_64", version="3.13", abis=("cp313t",)) == parse_target("py313t-linux-x86_64")
    assert pip("manylinux_2_28_x86_64", version="3.11", implementation="pp") == parse_target("pp311-linux-x86_64")
    assert pip("manylinux_2_28_x86_64", version="3.12.4") == parse_target("py3_12_4-linux-x86_64")
    assert pip("pyodide_2024_0_wasm32") == parse_target("py312-pyodide2024_0")


def test_pips_py_takes_only_what_every_implementation_runs() -> None:
    target = pip("win_amd64", implementation="py")
    assert {tag.abi for tag in target.tags} == {"none"}
    assert {tag.interpreter[:2] for tag in target.tags} == {"py"}
    assert Tag("py3", "none", "win_amd64") in target.tags
    assert from_description(describe(target), where="x") == target


def test_pips_plain_linux_platform_allows_only_what_it_says() -> None:
    plain = pip("linux_x86_64")
    assert plain.platform.plain_linux
    assert {tag.platform for tag in plain.tags} == {"linux_x86_64", "any"}
    both = pip("linux_x86_64", "manylinux2014_x86_64")
    assert Tag("cp312", "cp312", "linux_x86_64") in both.tags
    assert Tag("cp312", "cp312", "manylinux_2_17_x86_64") in both.tags
    for target in (plain, both):
        assert from_description(describe(target), where="x") == target


@pytest.mark.parametrize(
    ("platforms", "more", "words"),
    [
        ((), {}, "no platform"),
        (("any",), {}, "no platform"),
        (("win_amd64", "manylinux2014_x86_64"), {}, "one machine"),
        (("manylinux2014_aarch64", "manylinux2014_x86_64"), {}, "one machine"),
        (("musllinux_1_2_x86_64", "manylinux2014_x86_64"), {}, "one C library"),
        (("macosx_11_0_universal2",), {}, "which machine"),
        (("toaster",), {}, "toaster"),
        (("win_amd64",), {"version": "3"}, "Python"),
        (("win_amd64",), {"implementation": "jy"}, "jy"),
    ],
)
def test_pips_flags_that_are_no_machine(platforms: tuple[str, ...], more: dict[str, Any], words: str) -> None:
    with pytest.raises(TargetError, match=words):
        pip(*platforms, **more)


def complete(name: str, full: str, **changes: Any) -> dict[str, Any]:
    """What pex writes for a platform like one of ours."""
    target = parse_target(name)
    environment = {
        **target.environment,
        "implementation_version": full,
        "platform_release": "5.10.0-27-amd64",
        "platform_version": "#1 SMP Debian",
        "python_full_version": full,
        "python_version": ".".join(full.split(".")[:2]),
    }
    return {"path": "/usr/bin/python", "marker_environment": environment, "compatible_tags": [str(tag) for tag in target.tags], **changes}


@pytest.mark.parametrize(
    "name",
    [
        "py312-linux-x86_64",
        "py311-linux-aarch64-glibc2_34",
        "py312-linux-x86_64-musl1_1",
        "py312-macos-arm64-macos14_0",
        "py312-macos-x86_64-macos10_13",
        "py313t-windows-x86_64",
        "pp310-linux-x86_64",
        "py313-pyodide2025_0",
    ],
)
def test_pexs_complete_platform(name: str) -> None:
    full = f"3.{parse_target(name).python[1]}.4"
    target = from_complete_platform(complete(name, full), where="platform.json")
    assert target.name == name
    assert target.platform == parse_target(name).platform
    assert target.tags == parse_target(name).tags
    assert (str(target.patches.first), str(target.patches.last)) == (full, full)
    assert target.implementation == parse_target(name).implementation
    assert holds(Marker('platform_release == "5.10.0-27-amd64" and implementation_version != "0"'), target, full)
    assert from_description(describe(target), where="x") == target


def test_a_complete_platforms_own_tags_are_kept() -> None:
    data = complete(
        "py312-linux-x86_64", "3.12.1", compatible_tags=["cp312-cp312-manylinux_2_30_x86_64", "cp312-cp312-linux_x86_64", "py3-none-any"]
    )
    target = from_complete_platform(data, where="platform.json")
    assert [str(tag) for tag in target.tags] == data["compatible_tags"]
    assert target.name == "py312-linux-x86_64-glibc2_30"
    assert target.platform.plain_linux
    assert from_description(json.loads(json.dumps(describe(target))), where="x") == target
    with pytest.raises(TargetError, match="states its tags"):
        from_table("t", {"platform": data, "floor": "2.17"}, where=HERE)


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"marker_environment": {}, "compatible_tags": []},
        {"marker_environment": [], "compatible_tags": ["py3-none-any"]},
        {"marker_environment": {"python_full_version": "3.12.1"}, "compatible_tags": ["py3-none-any"]},
        {"marker_environment": {"python_full_version": "x"}, "compatible_tags": ["cp312-cp312-win_amd64"]},
        {"marker_environment": {"python_full_version": "3.12.1"}, "compatible_tags": ["nonsense"]},
        {"marker_environment": {"python_full_version": "3.12.1"}, "compatible_tags": [7]},
    ],
)
def test_what_is_no_complete_platform(data: dict[str, Any]) -> None:
    with pytest.raises(TargetError, match=r"platform\.json"):
        from_complete_platform(data, where="platform.json")


def probed(**changes: Any) -> dict[str, Any]:
    environment = {
        "implementation_name": "cpython",
        "implementation_version": "3.12.1",
        "os_name": "posix",
        "platform_machine": "x86_64",
        "platform_python_implementation": "CPython",
        "platform_release": "6.1",
        "platform_system": "Linux",
        "platform_version": "#1",
        "python_full_version": "3.12.1",
        "python_version": "3.12",
        "sys_platform": "linux",
    }
    data: dict[str, Any] = {
        "hardtack-probe": 1,
        "marker_environment": {**environment, **changes.pop("environment", {})},
        "platform": "linux-x86_64",
        "pointer_bits": 64,
        "free_threaded": False,
        "debug": False,
        "ext_suffix": ".cpython-312-x86_64-linux-gnu.so",
        "glibc": [2, 36],
        "musl": None,
        "macos": None,
        "pyodide_abi": None,
    }
    return {**data, **changes}


MAC = {"sys_platform": "darwin", "platform_system": "Darwin", "platform_machine": "arm64"}
WINDOWS = {"sys_platform": "win32", "platform_system": "Windows", "platform_machine": "ARM64", "os_name": "nt"}


@pytest.mark.parametrize(
    ("changes", "name", "first_tag"),
    [
        ({}, "py312-linux-x86_64-glibc2_36", "cp312-cp312-linux_x86_64"),
        ({"glibc": None, "musl": [1, 2]}, "py312-linux-x86_64-musl1_2", "cp312-cp312-linux_x86_64"),
        ({"pointer_bits": 32}, "py312-linux-i686-glibc2_36", "cp312-cp312-linux_i686"),
        ({"platform": "linux-aarch64", "pointer_bits": 32}, "py312-linux-armv7l-glibc2_36", "cp312-cp312-linux_armv7l"),
        ({"debug": True}, "py312-linux-x86_64-glibc2_36", "cp312-cp312d-linux_x86_64"),
        (
            {"free_threaded": True, "environment": {"python_full_version": "3.13.0"}},
            "py313t-linux-x86_64-glibc2_36",
            "cp313-cp313t-linux_x86_64",
        ),
        (
            {"environment": MAC, "platform": "macosx-10.13-universal2", "macos": [14, 5]},
            "py312-macos-arm64-macos14_0",
            "cp312-cp312-macosx_14_0_arm64",
        ),
        ({"environment": WINDOWS, "platform": "win-arm64"}, "py312-windows-arm64", "cp312-cp312-win_arm64"),
        ({"environment": WINDOWS, "platform": "win32", "pointer_bits": 32}, "py312-windows-x86", "cp312-cp312-win32"),
        (
            {
                "environment": {"implementation_name": "pypy", "python_full_version": "3.11.9"},
                "ext_suffix": ".pypy311-pp73-x86_64-linux-gnu.so",
            },
            "pp311-linux-x86_64-glibc2_36",
            "pp311-pypy311_pp73-linux_x86_64",
        ),
        (
            {
                "environment": {"sys_platform": "emscripten", "python_full_version": "3.13.2"},
                "pyodide_abi": "2025_0",
                "platform": "emscripten-4.0.9-wasm32",
            },
            "py313-pyodide2025_0",
            "cp313-cp313-pyemscripten_2025_0_wasm32",
        ),
    ],
)
def test_what_a_probe_saw(changes: dict[str, Any], name: str, first_tag: str) -> None:
    target = from_probe(probed(**changes), where="host.json")
    assert target.name == name
    assert str(target.tags[0]) == first_tag
    assert target.patches.first == target.patches.last
    assert target.environment["platform_release"] == "6.1"
    assert from_description(describe(target), where="x") == target
    assert from_table("box", {"platform": probed(**changes)}, where=HERE).tags == target.tags


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"environment": {"python_full_version": "2.7.18"}}, "too old"),
        ({"environment": {"implementation_name": "jython"}}, "jython"),
        ({"environment": {"sys_platform": "sunos5"}}, "sunos5"),
        ({"platform": "linux-alpha"}, "alpha"),
        ({"marker_environment": None}, "probe"),
        ({"glibc": "x"}, "probe"),
        ({"environment": WINDOWS, "platform": "mingw"}, "probe"),
    ],
)
def test_what_is_no_probes_output(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(TargetError, match=words) as caught:
        from_probe(probed(**changes), where="host.json")
    assert str(caught.value).startswith("host.json")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", "../x"),
        ("name", None),
        ("implementation", "jython"),
        ("python", "3"),
        ("patches", {}),
        ("patches", {"first": "x", "last": None}),
        ("patches", {"first": "3.11.0", "last": None}),
        ("patches", {"first": "3.12.0", "last": "3.13.0"}),
        ("platform", {}),
        ("platform", {"os": "beos", "arch": "x86", "libc": None, "floor": None, "plain-linux": False}),
        ("platform", {"os": "windows", "arch": "s390x", "libc": None, "floor": None, "plain-linux": False}),
        ("markers", []),
        ("selection", {"extras": "abc", "groups": None, "indexes": {}}),
        ("tags", ["nonsense"]),
        ("tags", 5),
    ],
)
def test_what_is_no_description(key: str, value: Any) -> None:
    row = {**describe(parse_target("py312-linux-x86_64")), key: value}
    with pytest.raises(TargetError, match=r"wheelhouse\.json"):
        from_description(row, where="wheelhouse.json")
    del row[key]
    if key != "tags":
        with pytest.raises(TargetError):
            from_description(row, where="wheelhouse.json")


def test_a_description_is_small_and_tells_tags_only_where_they_do_not_follow() -> None:
    assert "tags" not in describe(parse_target("py312-linux-x86_64"))
    assert "tags" not in describe(from_table("x", table(floor="2.17", plain_linux=True), where=HERE))
    assert "tags" in describe(from_probe(probed(debug=True), where="host.json"))

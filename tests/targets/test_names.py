"""What may be written for a target, and what it is then."""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from pathlib import Path

import pytest
import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st

from hardtack.errors import TargetError
from hardtack.targets.catalog import describe, from_description, known_targets, parse_target
from hardtack.targets.data import catalog

OURS = [
    "py312-linux-x86_64",
    "py312-linux-x86_64-glibc2_17",
    "py38-linux-aarch64",
    "py315-linux-riscv64",
    "py315t-linux-s390x-glibc2_34",
    "py312-linux-ppc64le",
    "py312-linux-armv7l",
    "py312-linux-i686",
    "py312-linux-x86_64-musl1_2",
    "py312-linux-aarch64-musl1_1",
    "py313t-macos-arm64",
    "py312-macos-x86_64-macos10_13",
    "py312-macos-arm64-macos14_0",
    "py312-windows-x86",
    "py313t-windows-x86_64",
    "py311-windows-arm64",
    "pp311-linux-x86_64",
    "pp310-windows-x86_64",
    "py313-pyodide2025_0",
    "py3_12_4-linux-x86_64",
    "py3_15_0rc1-linux-x86_64",
    "py311-debian12-x86_64",
    "py312-debian12-x86_64",
    "py310-jetpack6-aarch64",
    "py312-rocky8-x86_64",
]


@pytest.mark.parametrize("name", OURS)
def test_our_names_are_their_own(name: str) -> None:
    target = parse_target(name)
    assert target.name == name
    assert from_description(json.loads(json.dumps(describe(target))), where="here") == target
    assert from_description(tomllib.loads(tomli_w.dumps(describe(target))), where="here") == target
    # A target names pylock.<name>.toml, where PEP 751 allows no dot, and a folder.
    assert re.fullmatch(r"[a-z0-9_-]+", target.name)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("linux-x64-py312", "py312-linux-x86_64"),
        ("py312-linux-x64", "py312-linux-x86_64"),
        ("PY312-Linux-AMD64", "py312-linux-x86_64"),
        ("  py312-linux-x86_64 ", "py312-linux-x86_64"),
        ("py312_linux_x86_64", "py312-linux-x86_64"),
        ("py312/linux/x86_64", "py312-linux-x86_64"),
        ("3.12-linux-x86_64", "py312-linux-x86_64"),
        ("cp312-linux-x86_64", "py312-linux-x86_64"),
        ("py3.12-linux-x86_64", "py312-linux-x86_64"),
        ("python3.12-linux-x86_64", "py312-linux-x86_64"),
        ("cpython-3.12-linux-x86_64-gnu", "py312-linux-x86_64"),
        ("cpython-3.12.4-linux-aarch64-gnu", "py3_12_4-linux-aarch64"),
        ("cpython-3.12-windows-x86_64-none", "py312-windows-x86_64"),
        ("cp313t-osx-arm64", "py313t-macos-arm64"),
        ("3.13t-darwin-aarch64", "py313t-macos-arm64"),
        ("py313-freethreaded-linux-x64", "py313t-linux-x86_64"),
        ("pypy3.11-linux-x64", "pp311-linux-x86_64"),
        ("pp311-linux-arm64", "pp311-linux-aarch64"),
        ("py312-linux-arm64", "py312-linux-aarch64"),
        ("py312-macos-aarch64", "py312-macos-arm64"),
        ("py312-windows-aarch64", "py312-windows-arm64"),
        ("py312-windows-i686", "py312-windows-x86"),
        ("py312-linux-x86", "py312-linux-i686"),
        ("py312-win32", "py312-windows-x86"),
        ("py312-win_amd64", "py312-windows-x86_64"),
        ("py312-win_arm64", "py312-windows-arm64"),
        ("py312-macosx_11_0_arm64", "py312-macos-arm64"),
        ("py312-macosx_13_0_x86_64", "py312-macos-x86_64-macos13_0"),
        ("py312-macos14-arm64", "py312-macos-arm64-macos14_0"),
        ("py312-osx-64", "py312-macos-x86_64"),
        ("py312-linux-64", "py312-linux-x86_64"),
        ("py312-win-64", "py312-windows-x86_64"),
        ("py312-linux-x86_64-glibc2.17", "py312-linux-x86_64-glibc2_17"),
        ("py312-linux-x86_64-glibc2.28", "py312-linux-x86_64"),
        ("py312-manylinux_2_17_x86_64", "py312-linux-x86_64-glibc2_17"),
        ("cp312-cp312-manylinux_2_17_x86_64", "py312-linux-x86_64-glibc2_17"),
        ("py312-manylinux2014_aarch64", "py312-linux-aarch64-glibc2_17"),
        ("py312-musllinux_1_1_x86_64", "py312-linux-x86_64-musl1_1"),
        ("py312-linux-musl", "py312-linux-x86_64-musl1_2"),
        # uv's triples
        ("py312@x86_64-unknown-linux-gnu", "py312-linux-x86_64"),
        ("py312-x86_64-unknown-linux-gnu", "py312-linux-x86_64"),
        ("py312-x86_64-manylinux_2_28", "py312-linux-x86_64"),
        ("py312-x86_64-manylinux_2_40", "py312-linux-x86_64-glibc2_40"),
        ("py312-x86_64-manylinux2014", "py312-linux-x86_64-glibc2_17"),
        ("py312-aarch64-unknown-linux-musl", "py312-linux-aarch64-musl1_2"),
        ("py312-riscv64-unknown-linux", "py312-linux-riscv64"),
        ("py312-aarch64-apple-darwin", "py312-macos-arm64"),
        ("py312-x86_64-apple-darwin", "py312-macos-x86_64"),
        ("py312-x86_64-pc-windows-msvc", "py312-windows-x86_64"),
        ("py312-aarch64-pc-windows-msvc", "py312-windows-arm64"),
        ("py312-i686-pc-windows-msvc", "py312-windows-x86"),
        ("py312-armv7-unknown-linux-gnueabihf", "py312-linux-armv7l"),
        ("py312-linux", "py312-linux-x86_64"),
        ("py312-macos", "py312-macos-arm64"),
        ("py312-windows", "py312-windows-x86_64"),
        ("py312-wasm32-pyodide2024", "py312-pyodide2024_0"),
        ("wasm32-pyodide2025", "py313-pyodide2025_0"),
        ("py313-pyodide", "py313-pyodide2025_0"),
        ("py313-pyodide_2025_0_wasm32", "py313-pyodide2025_0"),
        ("py314-pyemscripten_2026_0_wasm32", "py314-pyodide2026_0"),
        # distributions
        ("debian12", "py311-debian12-x86_64"),
        ("Debian-12", "py311-debian12-x86_64"),
        ("debian12-arm64", "py311-debian12-aarch64"),
        ("ubuntu-22.04", "py310-ubuntu2204-x86_64"),
        ("ubuntu24.04", "py312-ubuntu2404-x86_64"),
        ("py311-rhel8", "py311-rhel8-x86_64"),
        ("py311-rhel8.10", "py311-rhel8-x86_64"),
        ("al2023", "py39-al2023-x86_64"),
        ("jetpack6", "py310-jetpack6-aarch64"),
        ("alpine3.20", "py312-alpine320-x86_64"),
    ],
)
def test_the_usual_spellings(text: str, name: str) -> None:
    assert parse_target(text).name == name


def test_a_name_without_a_python_takes_the_one_given() -> None:
    assert parse_target("linux-x64", python="3.12").name == "py312-linux-x86_64"
    assert parse_target("linux-x64", python="3.13t").name == "py313t-linux-x86_64"
    assert parse_target("linux-x64", python="cp312").name == "py312-linux-x86_64"
    assert parse_target("linux-x64", python="pp311").name == "pp311-linux-x86_64"
    assert parse_target("py311-linux-x64", python="3.12").name == "py311-linux-x86_64"
    with pytest.raises(TargetError, match="which Python"):
        parse_target("linux-x64")
    with pytest.raises(TargetError, match="no version of Python"):
        parse_target("linux-x64", python="3")


@pytest.mark.parametrize(
    ("name", "first", "last", "floor"),
    [
        ("py312-linux-x86_64", "3.12.0", None, (2, 28)),
        ("debian11", "3.9.2", "3.9.2", (2, 31)),
        ("debian12", "3.11.2", "3.11.2", (2, 36)),
        ("debian13", "3.13.5", "3.13.5", (2, 41)),
        ("py312-debian12", "3.12.0", None, (2, 36)),
        ("py311t-debian12", None, None, None),
        ("ubuntu2004", "3.8.2", "3.8.10", (2, 31)),
        ("ubuntu2204", "3.10.4", "3.10.12", (2, 35)),
        ("ubuntu2404", "3.12.3", "3.12.3", (2, 39)),
        ("rhel9", "3.9.0", None, (2, 34)),
        ("py311-rhel8", "3.11.0", None, (2, 28)),
        ("al2023", "3.9.0", None, (2, 34)),
        ("jetpack6", "3.10.4", "3.10.12", (2, 35)),
        ("py3_12_4-linux-x86_64", "3.12.4", "3.12.4", (2, 28)),
    ],
)
def test_patches_and_floors(name: str, first: str | None, last: str | None, floor: tuple[int, int] | None) -> None:
    if first is None:
        with pytest.raises(TargetError):
            parse_target(name)
        return
    target = parse_target(name)
    assert str(target.patches.first) == first
    assert (str(target.patches.last) if target.patches.last else None) == last
    assert target.platform.floor == floor


@pytest.mark.parametrize(
    ("text", "words", "near"),
    [
        ("py312-lunix-x86_64", "lunix", "py312-linux-x86_64"),
        ("py312-windoes", "windoes", "py312-windows"),
        ("debain12", "debain12", "debian12"),
        ("py312-linux-sparc64", "sparc64", "py312-linux-"),
        ("py312-x86_64", "system", "py312-linux-x86_64"),
        ("", "system", "py312-linux-x86_64"),
        ("py37-linux-x64", "3.7", "3.8"),
        ("py316-linux-x64", "3.16", "3.15"),
        ("py312t-linux-x64", "free-threaded", "3.13"),
        ("pp312-linux-x64", "PyPy", "3.11"),
        ("py312-debian12-glibc2_17", "both", "one system"),
        ("py312-linux-windows", "both", "one system"),
        ("py312-linux-x86_64-aarch64", "both", "one system"),
        ("py312-macos-s390x", "s390x", "arm64"),
        ("py312-macos-arm64-macos10_13", "10.13", ""),
        ("py312-linux-x86_64-glibc3_1", "glibc 3.1", ""),
        ("py312-jetpack6-x86_64", "both", ""),
        ("py312-pyodide2025", "3.12", "2025"),
        ("py313-pyodide2019", "2019", "2025"),
        ("py312-linux-aarch64-glibc2_5", "2.5", ""),
        ("py312-aarch64-linux-android", "android", ""),
        ("../../etc", "not understood", ""),
    ],
)
def test_what_is_not_understood_says_what_is_near(text: str, words: str, near: str) -> None:
    with pytest.raises(TargetError) as caught:
        parse_target(text)
    assert words in str(caught.value)
    assert near in (caught.value.hint or "")


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="py3129linuxwadgbcm-_.86@ /t", max_size=30))
def test_any_text_is_a_target_or_an_error_of_ours(text: str) -> None:
    if re.fullmatch(r"(.*[-@/])?(host|local|native)", text.strip()):
        return
    try:
        target = parse_target(text)
    except TargetError:
        return
    assert parse_target(target.name) == target


FAMILIES = [
    f"{os}-{arch}" for os, facts in catalog()["os"].items() if os != "emscripten" for arch in facts["machines"] if arch != "loongarch64"
]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("python", ["py38", "py312", "py313t", "py315", "py315t"])
def test_every_python_runs_on_every_family(family: str, python: str) -> None:
    target = parse_target(f"{python}-{family}")
    assert target.name == f"{python}-{family}"
    assert len(target.tags) == len(set(target.tags))
    assert set(target.environment) == {
        "implementation_name",
        "os_name",
        "platform_machine",
        "platform_python_implementation",
        "platform_system",
        "sys_platform",
    }


def test_the_table_of_known_targets_holds_only_what_can_be_asked_for() -> None:
    rows = known_targets()
    names = [row.name for row in rows]
    assert len(names) == len(set(names))
    assert {"linux-x86_64", "macos-arm64", "windows-x86", "pyodide2025_0", "debian12", "jetpack6"} <= set(names)
    for row in rows:
        python = row.pythons[0] if row.pythons else "3.12"
        target = parse_target(row.name, python=python)
        for alias in row.aliases:
            assert parse_target(alias, python=python).platform == target.platform
        for offered in row.pythons:
            parse_target(row.name, python=offered)


def test_the_reference_page_names_what_the_catalog_has() -> None:
    page = (Path(__file__).parents[2] / "docs" / "targets.md").read_text(encoding="utf-8")
    missing = [row.name for row in known_targets() if f"`{row.name}`" not in page]
    assert not missing, difflib.get_close_matches(missing[0], page.split())

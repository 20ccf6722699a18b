"""Tags: which of a version's wheels each target is given, through the whole build, from the file names that real projects use."""

from __future__ import annotations

import sys

import pytest

from tests.scenarios.yard import ARM, LINUX, MAC, OLD_LINUX, WINDOWS, Yard, errors, proven, taken

FREE = "py314t-linux-x86_64"
FREE15 = "py315t-linux-x86_64"
MUSL = "py312-linux-x86_64-musl1_2"

# The wheels of one version, and for each target the one it must be given.
CASES = {
    "legacy aliases and floors": (
        ["manylinux1_x86_64", "manylinux2010_x86_64", "manylinux2014_x86_64", "manylinux_2_28_x86_64", "manylinux_2_34_x86_64"],
        {
            LINUX: "manylinux_2_28_x86_64",
            OLD_LINUX: "manylinux2014_x86_64",
            "py312-linux-x86_64-glibc2_12": "manylinux2010_x86_64",
            "py312-linux-x86_64-glibc2_5": "manylinux1_x86_64",
            "py312-rhel9-x86_64": "manylinux_2_34_x86_64",
            "py312-rhel7-x86_64": "manylinux2014_x86_64",
        },
    ),
    "an alias and the perennial tag in one name": (
        ["manylinux_2_17_x86_64.manylinux2014_x86_64", "manylinux_2_26_aarch64.manylinux_2_28_aarch64"],
        {LINUX: "manylinux_2_17_x86_64.manylinux2014_x86_64", ARM: "manylinux_2_26_aarch64.manylinux_2_28_aarch64"},
    ),
    "musl is not glibc": (
        ["manylinux_2_17_x86_64", "musllinux_1_1_x86_64", "musllinux_1_2_x86_64"],
        {LINUX: "manylinux_2_17_x86_64", MUSL: "musllinux_1_2_x86_64", "py312-linux-x86_64-musl1_1": "musllinux_1_1_x86_64"},
    ),
    "macOS floors and universal2": (
        ["macosx_10_9_universal2", "macosx_11_0_arm64", "macosx_14_0_arm64", "macosx_10_13_x86_64"],
        {
            MAC: "macosx_11_0_arm64",
            "py312-macos-arm64-macos14_0": "macosx_14_0_arm64",
            "py312-macos-x86_64": "macosx_10_13_x86_64",
            "py312-macos-x86_64-macos10_9": "macosx_10_9_universal2",
        },
    ),
    "every Windows has its own": (
        ["win_amd64", "win_arm64", "win32"],
        {WINDOWS: "win_amd64", "py312-windows-arm64": "win_arm64", "py312-windows-x86": "win32"},
    ),
    "other machines": (
        ["manylinux_2_17_s390x", "manylinux_2_17_ppc64le", "manylinux_2_31_armv7l", "manylinux_2_39_riscv64", "manylinux2014_i686"],
        {
            "py312-linux-s390x": "manylinux_2_17_s390x",
            "py312-linux-ppc64le": "manylinux_2_17_ppc64le",
            "py312-linux-armv7l-glibc2_31": "manylinux_2_31_armv7l",
            "py312-linux-riscv64-glibc2_39": "manylinux_2_39_riscv64",
            "py312-linux-i686": "manylinux2014_i686",
        },
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_best_wheel_of_each_target(yard: Yard, case: str) -> None:
    platforms, wanted = CASES[case]
    files = {platform: yard.wheel("fast", tag=f"cp312-cp312-{platform}") for platform in platforms}
    result = yard.build("fast", targets=tuple(wanted))
    proven(result)
    assert taken(result) == {target.name: {files[platform]} for target, platform in zip(result.targets, wanted.values(), strict=True)}


def test_abis(yard: Yard) -> None:
    """abi3 serves later Pythons, never free-threaded ones; those take t ABIs and abi3t (PEP 803)."""
    own = yard.wheel("fast", tag="cp312-cp312-manylinux_2_17_x86_64")
    stable = yard.wheel("fast", tag="cp39-abi3-manylinux_2_17_x86_64")
    free = yard.wheel("fast", tag="cp314-cp314t-manylinux_2_17_x86_64")
    result = yard.build("fast", targets=(LINUX, "py313-linux-x86_64", "py39-linux-x86_64", FREE))
    proven(result)
    assert taken(result) == {LINUX: {own}, "py313-linux-x86_64": {stable}, "py39-linux-x86_64": {stable}, FREE: {free}}


def test_a_stable_abi_is_not_loaded_by_free_threaded_builds(yard: Yard) -> None:
    yard.wheel("fast", tag="cp39-abi3-manylinux_2_17_x86_64")
    result = yard.build("fast", targets=("py314-linux-x86_64", FREE))
    assert not result.passed
    gaps = [finding for finding in result.findings if finding.target == FREE and finding.code == "no-file"]
    assert gaps
    assert "fast-1.0-cp39-abi3" in gaps[0].instead[0]
    assert gaps[0].required_by == ("the command line asks for fast",)
    assert not yard.wheelhouse.exists()


def test_abi3t(yard: Yard) -> None:
    """cp315-abi3.abi3t: the one wheel of both builds."""
    both = yard.wheel("fast", tag="cp315-abi3.abi3t-manylinux_2_17_x86_64")
    result = yard.build("fast", targets=("py315-linux-x86_64", FREE15))
    proven(result)
    assert taken(result) == {"py315-linux-x86_64": {both}, FREE15: {both}}


def test_the_highest_build_tag(yard: Yard) -> None:
    """By number, not by text: 10 is more than 9; pip and uv take the same one."""
    yard.wheel("fast", build="9")
    best = yard.wheel("fast", build="10")
    yard.wheel("fast", build="1a")
    yard.wheel("fast")
    result = yard.build("fast", targets=(LINUX, MAC))
    proven(result)
    assert taken(result) == {LINUX: {best}, MAC: {best}}
    assert yard.files() == {best}
    assert yard.pip_download("by-pip", "fast") == {best}


def test_a_tag_beats_a_build_number(yard: Yard) -> None:
    best = yard.wheel("fast", tag="cp312-cp312-manylinux_2_28_x86_64")
    yard.wheel("fast", tag="cp312-cp312-manylinux_2_17_x86_64", build="99")
    result = yard.build("fast")
    proven(result)
    assert taken(result) == {LINUX: {best}}


def test_several_tags_in_each_part(yard: Yard) -> None:
    wide = yard.wheel("fast", tag="cp311.cp312-abi3.none-manylinux_2_17_x86_64.manylinux_2_17_aarch64.win_amd64")
    result = yard.build("fast", targets=(LINUX, ARM, WINDOWS, "py311-linux-x86_64"))
    proven(result)
    assert all(files == {wide} for files in taken(result).values())
    assert yard.files() == {wide}


def test_plain_linux_wheels_only_where_it_is_said(yard: Yard) -> None:
    plain = yard.wheel("fast", tag="cp312-cp312-linux_x86_64")
    refused = yard.build("fast")
    assert not refused.passed
    assert errors(refused)
    yard.write("hardtack.toml", "[targets.mine]\nplatform = 'py312-linux-x86_64'\nplain-linux = true\n")
    result = yard.build("fast", targets=())
    proven(result)
    assert taken(result) == {"mine": {plain}}


def test_uv_takes_the_same_for_each_platform_that_it_can_name(yard: Yard) -> None:
    """A wheelhouse with all of them: uv, asked for each target, installs the very file that our list names."""
    tags = [
        "manylinux_2_17_x86_64",
        "manylinux_2_28_x86_64",
        "manylinux_2_17_aarch64",
        "macosx_11_0_arm64",
        "win_amd64",
        "musllinux_1_2_x86_64",
    ]
    for tag in tags:
        yard.wheel("fast", tag=f"cp312-cp312-{tag}", files={"fast/tag.txt": tag.encode()})
    yard.wheel("fast", files={"fast/tag.txt": b"any"})
    named = {
        OLD_LINUX: "x86_64-manylinux_2_17",
        LINUX: "x86_64-manylinux_2_28",
        ARM: "aarch64-manylinux_2_28",
        MAC: "aarch64-apple-darwin",
        WINDOWS: "x86_64-pc-windows-msvc",
    }
    result = yard.build("fast", targets=tuple(named))
    proven(result)
    for target, platform in named.items():
        into = yard.home / platform
        yard.uv(
            *("pip", "install", "--offline", "--no-index", "--find-links", yard.wheelhouse, "--target", into, "--only-binary", ":all:"),
            *("--python", sys.executable, "--python-version", "3.12", "--python-platform", platform, "fast"),
        )
        (ours,) = taken(result)[target]
        assert (into / "fast" / "tag.txt").read_text() in ours

"""Tag lists compared with those that real interpreters, pip and uv have."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import packaging
import pytest
from packaging.tags import Tag, create_compatible_tags_selector
from packaging.utils import parse_wheel_filename
from uv import find_uv_bin

from hardtack.model.target import Target
from hardtack.targets.catalog import from_table, parse_target
from hardtack.targets.host import host_target
from tests.support.archives import make_wheel
from tests.targets.interpreters import VERSIONS, interpreter

_SYS_TAGS = """
import json, sys
sys.path.insert(0, sys.argv[1])
try:
    from packaging import tags
except Exception:
    from pip._vendor.packaging import tags
print(json.dumps([str(tag) for tag in tags.sys_tags()]))
"""


def texts(target: Target) -> list[str]:
    return [str(tag) for tag in target.tags]


@pytest.mark.parametrize("version", VERSIONS)
def test_the_host_has_the_tags_that_its_interpreter_has(version: str, tmp_path: Path) -> None:
    python = interpreter(version)
    (tmp_path / "packaging").symlink_to(Path(packaging.__file__).parent)
    done = subprocess.run([python, "-I", "-W", "ignore", "-c", _SYS_TAGS, tmp_path], capture_output=True, text=True, check=True)
    expected = json.loads(done.stdout)
    actual = texts(host_target(python))
    if version == "3.8":
        # Only an older packaging runs there: it lists linux_<arch> after the others and does not know cp38-none-any.
        expected, actual = ([tag for tag in tags if "-linux_" not in tag and tag != "cp38-none-any"] for tags in (expected, actual))
    assert actual == expected
    # The same by name, which allows no plain linux wheels.
    assert texts(parse_target(host_target(python).name)) == [tag for tag in texts(host_target(python)) if "-linux_" not in tag]


_PIP_TAGS = """
import json, sys
from pip._internal.models.target_python import TargetPython
platforms, version, abis, implementation = json.loads(sys.argv[1])
target = TargetPython(platforms=platforms, py_version_info=tuple(version), abis=abis, implementation=implementation)
print(json.dumps([str(tag) for tag in target.get_sorted_tags()]))
"""


@pytest.mark.parametrize(
    ("name", "platform", "abi"),
    [
        ("py312-windows-x86_64", "win_amd64", "cp312"),
        ("py38-windows-x86", "win32", "cp38"),
        ("py311-windows-arm64", "win_arm64", "cp311"),
        ("py312-macos-arm64", "macosx_11_0_arm64", "cp312"),
        ("py312-macos-arm64-macos14_0", "macosx_14_0_arm64", "cp312"),
        ("py311-macos-x86_64-macos10_13", "macosx_10_13_x86_64", "cp311"),
        ("py313-macos-x86_64", "macosx_11_0_x86_64", "cp313"),
    ],
)
def test_a_foreign_platform_has_the_tags_that_pip_gives_it(name: str, platform: str, abi: str) -> None:
    target = parse_target(name)
    asked = json.dumps([[platform], target.python, [abi], "cp"])
    done = subprocess.run([sys.executable, "-I", "-c", _PIP_TAGS, asked], capture_output=True, text=True, check=True)
    expected = json.loads(done.stdout)
    # pip lists a tag twice where a platform comes twice, and takes its interpreter's py tags for cp3xx-none-any.
    assert texts(target) == list(dict.fromkeys(expected))


@pytest.mark.parametrize(
    ("name", "has", "has_not"),
    [
        (
            "py312-linux-x86_64",
            ["cp312-cp312-manylinux_2_28_x86_64", "cp312-cp312-manylinux1_x86_64", "cp38-abi3-manylinux2014_x86_64", "py3-none-any"],
            [
                "cp312-cp312-manylinux_2_29_x86_64",
                "cp312-cp312-linux_x86_64",
                "cp312-cp312-musllinux_1_2_x86_64",
                "cp313-abi3-manylinux2014_x86_64",
            ],
        ),
        ("py312-linux-i686", ["cp312-cp312-manylinux_2_5_i686", "cp312-cp312-manylinux1_i686"], ["cp312-cp312-manylinux1_x86_64"]),
        ("py312-linux-aarch64", ["cp312-cp312-manylinux2014_aarch64"], ["cp312-cp312-manylinux_2_16_aarch64"]),
        ("py312-linux-armv7l", ["cp312-cp312-manylinux_2_17_armv7l"], ["cp312-cp312-linux_armv7l", "cp312-cp312-manylinux_2_12_armv7l"]),
        ("py312-linux-s390x-glibc2_34", ["cp312-cp312-manylinux_2_34_s390x"], ["cp312-cp312-manylinux_2_35_s390x"]),
        ("py312-linux-ppc64le", ["cp312-cp312-manylinux2014_ppc64le"], []),
        ("py312-linux-riscv64-glibc2_39", ["cp312-cp312-manylinux_2_39_riscv64"], []),
        (
            "py312-linux-x86_64-musl1_2",
            ["cp312-cp312-musllinux_1_1_x86_64"],
            ["cp312-cp312-manylinux2014_x86_64", "cp312-cp312-musllinux_1_3_x86_64"],
        ),
        (
            "py313t-linux-x86_64",
            ["cp313-cp313t-manylinux2014_x86_64", "py313-none-any"],
            ["cp313-cp313-manylinux2014_x86_64", "cp38-abi3-manylinux2014_x86_64"],
        ),
        ("py315t-linux-x86_64", ["cp315-abi3t-manylinux_2_28_x86_64"], ["cp315-abi3-manylinux_2_28_x86_64"]),
        (
            "pp311-linux-x86_64",
            ["pp311-pypy311_pp73-manylinux_2_28_x86_64", "pp3-none-any", "py311-none-any"],
            ["cp311-cp311-manylinux_2_28_x86_64", "cp38-abi3-manylinux2014_x86_64"],
        ),
        (
            "py313-pyodide2025_0",
            ["cp313-cp313-pyodide_2025_0_wasm32", "cp313-cp313-pyemscripten_2025_0_wasm32", "cp313-cp313-emscripten_4_0_9_wasm32"],
            ["cp313-cp313-pyodide_2024_0_wasm32"],
        ),
        (
            "py312-macos-arm64",
            ["cp312-cp312-macosx_11_0_arm64", "cp312-cp312-macosx_10_9_universal2"],
            ["cp312-cp312-macosx_12_0_arm64", "cp312-cp312-macosx_10_9_x86_64"],
        ),
    ],
)
def test_what_a_target_takes_and_what_not(name: str, has: list[str], has_not: list[str]) -> None:
    tags = set(texts(parse_target(name)))
    assert not set(has) - tags
    assert not set(has_not) & tags


def test_plain_linux_wheels_only_where_the_target_says_so() -> None:
    table = {"platform": "py312-linux-x86_64", "plain-linux": True}
    assert Tag("cp312", "cp312", "linux_x86_64") in from_table("own", table, where="here").tags
    assert Tag("cp312", "cp312", "linux_x86_64") not in parse_target("py312-linux-x86_64").tags


def best(target: Target, *names: str) -> str | None:
    selector = create_compatible_tags_selector(target.tags)
    return next(selector((name, parse_wheel_filename(name)[-1]) for name in names), None)


def test_an_older_manylinux_wheel_comes_before_the_pure_fallback() -> None:
    """E1: pip matches manylinux_2_28 exactly and silently takes the pure wheel."""
    compiled = "coverage-7.8.0-cp312-cp312-manylinux_2_5_x86_64.manylinux1_x86_64.manylinux_2_17_x86_64.manylinux2014_x86_64.whl"
    pure = "coverage-7.8.0-py3-none-any.whl"
    assert best(parse_target("py312-linux-x86_64"), pure, compiled) == compiled
    assert best(parse_target("py312-windows-x86_64"), pure, compiled) == pure


def test_the_newest_that_the_floor_allows_comes_first() -> None:
    wheels = [f"numpy-2.0-cp312-cp312-manylinux_2_{minor}_x86_64.whl" for minor in (17, 27, 28, 34)]
    assert best(parse_target("py312-linux-x86_64"), *wheels) == wheels[2]
    assert best(parse_target("py312-linux-x86_64-glibc2_17"), *wheels) == wheels[0]
    macs = [f"numpy-2.0-cp312-cp312-macosx_{major}_0_arm64.whl" for major in (11, 14)]
    assert best(parse_target("py312-macos-arm64"), *macs) == macs[0]
    assert best(parse_target("py312-macos-arm64-macos14_0"), *macs) == macs[1]


def test_an_own_build_comes_before_the_stable_abi() -> None:
    wheels = ["x-1-cp38-abi3-manylinux_2_28_x86_64.whl", "x-1-cp312-abi3-manylinux2014_x86_64.whl", "x-1-cp312-cp312-manylinux1_x86_64.whl"]
    target = parse_target("py312-linux-x86_64")
    assert best(target, *wheels) == wheels[2]
    assert best(target, *wheels[:2]) == wheels[1]
    assert best(parse_target("py311-linux-x86_64"), *wheels) == wheels[0]
    assert best(parse_target("py313t-linux-x86_64"), *wheels) is None


CANDIDATES = [
    *(f"cp312-cp312-manylinux_2_{minor}_{arch}" for minor in (5, 12, 16, 17, 24, 28, 29, 34) for arch in ("x86_64", "aarch64", "i686")),
    *(f"cp312-cp312-manylinux{year}_{arch}" for year in (1, 2010, 2014) for arch in ("x86_64", "aarch64")),
    *(f"cp312-cp312-musllinux_1_{minor}_{arch}" for minor in (0, 1, 2, 3) for arch in ("x86_64", "aarch64")),
    *(
        f"cp312-cp312-macosx_{floor}_{arch}"
        for floor in ("10_4", "10_9", "10_16", "11_0", "12_0", "13_0", "14_0")
        for arch in ("x86_64", "arm64", "universal2", "intel", "fat64")
    ),
    *(
        f"cp312-cp312-{platform}"
        for platform in ("win32", "win_amd64", "win_arm64", "pyodide_2024_0_wasm32", "pyodide_2025_0_wasm32", "any")
    ),
    *(
        f"{python}-{platform}"
        for platform in ("manylinux2014_x86_64", "win_amd64", "macosx_11_0_arm64", "musllinux_1_1_aarch64")
        for python in (
            "cp311-cp311",
            "cp312-abi3",
            "cp311-abi3",
            "cp32-abi3",
            "cp313-abi3",
            "cp312-none",
            "py3-none",
            "py312-none",
            "py311-none",
            "cp312-cp312t",
            "py2-none",
            "cp311-none",
        )
    ),
    "py3-none-any",
    "py2.py3-none-any",
    "py312-none-any",
    "py39-none-any",
    "py313-none-any",
    "cp312-none-any",
    "cp311-none-any",
    "py2-none-any",
]


@pytest.mark.parametrize(
    ("name", "platform"),
    [
        ("py312-linux-x86_64", "x86_64-unknown-linux-gnu"),
        ("py312-linux-x86_64-glibc2_17", "x86_64-manylinux2014"),
        ("py312-linux-aarch64-glibc2_34", "aarch64-manylinux_2_34"),
        ("py312-linux-x86_64-musl1_2", "x86_64-unknown-linux-musl"),
        ("py312-linux-aarch64-musl1_2", "aarch64-unknown-linux-musl"),
        ("py312-macos-arm64-macos13_0", "aarch64-apple-darwin"),
        ("py312-macos-x86_64-macos13_0", "x86_64-apple-darwin"),
        ("py312-windows-x86_64", "x86_64-pc-windows-msvc"),
        ("py312-windows-arm64", "aarch64-pc-windows-msvc"),
        ("py312-windows-x86", "i686-pc-windows-msvc"),
        ("py312-pyodide2024_0", "wasm32-pyodide2024"),
    ],
)
def test_a_foreign_platform_takes_what_uv_takes(name: str, platform: str, tmp_path: Path) -> None:
    """Each candidate's version 2 has its tag, version 1 fits everywhere: which one uv installs tells whether it takes the tag."""
    links = tmp_path / "links"
    links.mkdir()
    for number, tag in enumerate(CANDIDATES):
        for version, text in (("2", tag), ("1", "py3-none-any")):
            filename, data = make_wheel(f"candidate{number}", version, tag=text)
            (links / filename).write_bytes(data)
    command = [find_uv_bin(), "pip", "install", "--no-config", "--dry-run", "--offline", "--no-index", "--no-cache", "--color", "never"]
    command += ["--find-links", str(links), "--target", str(tmp_path / "out"), "--python", sys.executable, "--only-binary", ":all:"]
    command += ["--python-platform", platform, "--python-version", "3.12", *(f"candidate{n}" for n in range(len(CANDIDATES)))]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={"PATH": "", "HOME": str(tmp_path)})
    taken = {CANDIDATES[int(line.split("==")[0].removeprefix(" + candidate"))] for line in done.stderr.splitlines() if line.endswith("==2")}
    target = parse_target(name)
    ours = {tag for tag in CANDIDATES if best(target, f"x-1-{tag}.whl")}
    assert ours == taken

"""Markers answered for a target, compared with packaging's own answers in a full environment."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.markers import Marker
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from hardtack.errors import TargetError
from hardtack.model.marker import UnanswerableMarker, cuts, holds, python_fits, specifier_cuts
from hardtack.model.target import PatchRange, Target
from hardtack.targets.catalog import from_table, parse_target

LINUX = parse_target("py311-linux-x86_64")
WINDOWS = parse_target("py312-windows-x86_64")
MOST = 40


def full_environment(target: Target, full_version: str, **more: Any) -> dict[str, Any]:
    return {
        "implementation_version": full_version,
        "platform_release": "6.1.0",
        "platform_version": "#1 SMP",
        **target.environment,
        "python_full_version": full_version,
        "python_version": ".".join(full_version.split(".")[:2]),
        "extra": "",
        **more,
    }


@pytest.mark.parametrize(
    ("target", "text", "answer"),
    [
        ("py312-windows-x86_64", 'sys_platform == "win32"', True),
        ("py312-windows-x86_64", 'os.name == "nt" and sys.platform == "win32"', True),
        ("py312-windows-x86_64", 'platform_machine == "AMD64" and platform.machine == "AMD64"', True),
        ("py312-windows-arm64", 'platform_machine == "ARM64"', True),
        ("py312-windows-x86", 'platform_machine == "x86"', True),
        ("py312-linux-x86_64", 'sys_platform == "win32"', False),
        ("py312-linux-i686", 'platform_machine == "i686"', True),
        ("py312-macos-arm64", 'platform_system == "Darwin" and platform_machine == "arm64" and sys_platform == "darwin"', True),
        ("pp311-linux-x86_64", "platform_python_implementation == 'PyPy' and implementation_name == 'pypy'", True),
        ("pp311-linux-x86_64", "python_implementation == 'CPython'", False),
        ("py313-pyodide", "sys_platform == 'emscripten' and platform_machine == 'wasm32'", True),
        ("py312-linux-x86_64", 'platform_python_implementation == "CPython" and implementation_name == "cpython"', True),
        ("py312-linux-x86_64", 'implementation_version >= "3.12.0"', True),
        ("py312-linux-x86_64", 'python_version < "3.13"', True),
        ("py312-linux-x86_64", 'python_version in "3.11 3.12"', True),
        # python 3.10 is newer than 3.9: a comparison of versions, not of text.
        ("py310-linux-x86_64", 'python_version > "3.9"', True),
    ],
)
def test_foreign_values(target: str, text: str, answer: bool) -> None:
    chosen = parse_target(target)
    full = chosen.patches.points(())[0]
    assert holds(Marker(text), chosen, full) is answer


def test_the_patch_is_the_one_asked_for() -> None:
    marker = Marker('python_full_version < "3.11.3"')
    assert holds(marker, LINUX, "3.11.2")
    assert not holds(marker, LINUX, "3.11.3")


@pytest.mark.parametrize("full", ["3.13.0rc2", "3.13.0a1", "3.13.0b3+", "3.13.0+"])
def test_a_python_before_its_release(full: str) -> None:
    target = parse_target("py313-linux-x86_64")
    for text in ('python_version >= "3.13"', 'python_version == "3.13"'):
        assert holds(Marker(text), target, full)
    if "+" not in full:
        assert not holds(Marker('python_full_version >= "3.13"'), target, full)
    assert python_fits(SpecifierSet(">=3.13"), full)
    assert not python_fits(SpecifierSet(">=3.14"), full)


def test_an_extra_is_normalised_and_only_the_one_asked_for() -> None:
    marker = Marker('extra == "Fancy_Name"')
    assert holds(marker, LINUX, "3.11.0", extra="fancy-name")
    assert not holds(marker, LINUX, "3.11.0")
    assert not holds(marker, LINUX, "3.11.0", extra="other")


def test_sets_of_extras_and_groups_belong_to_lock_files() -> None:
    marker = Marker('"cpu" in extras and "Dev_Tools" in dependency_groups')
    asked: dict[str, Any] = {"extras": frozenset({"cpu"}), "groups": frozenset({"dev-tools"}), "lock_file": True}
    assert holds(marker, LINUX, "3.11.0", **asked)
    assert not holds(marker, LINUX, "3.11.0", **{**asked, "groups": frozenset()})
    with pytest.raises(UnanswerableMarker, match="extras"):
        holds(marker, LINUX, "3.11.0")
    with pytest.raises(UnanswerableMarker, match="extra"):
        holds(Marker('extra == "cpu"'), LINUX, "3.11.0", lock_file=True)


@pytest.mark.parametrize("text", ['platform_release >= "20.0"', 'platform_version == "#1"', 'platform.version == "#1"'])
def test_a_marker_that_hangs_on_the_kernel_is_an_error(text: str) -> None:
    with pytest.raises(UnanswerableMarker) as caught:
        holds(Marker(f'{text} and sys_platform == "linux"'), LINUX, "3.11.0")
    error = caught.value
    assert isinstance(error, TargetError)
    assert error.slug == "unanswerable-marker"
    assert error.variable in ("platform_release", "platform_version")
    assert "py311-linux-x86_64" in str(error)
    assert error.variable in str(error)
    assert "tool.hardtack.targets.py311-linux-x86_64" in str(error.hint)
    assert error.variable.replace("_", "-") in str(error.hint)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ('platform_release >= "20.0" and sys_platform == "darwin"', False),
        ('sys_platform == "darwin" and platform_release >= "20.0"', False),
        ('platform_release >= "20.0" or sys_platform == "linux"', True),
        ('(platform_release >= "20.0" and os_name == "nt") or os_name == "posix"', True),
        ('(platform_release >= "20.0" or os_name == "posix") and python_version == "3.11"', True),
    ],
)
def test_what_is_unknown_does_not_matter_where_the_rest_decides(text: str, answer: bool) -> None:
    assert holds(Marker(text), LINUX, "3.11.0") is answer


def test_a_stated_value_answers() -> None:
    table = {"platform": "py311-linux-x86_64", "markers": {"platform-release": "6.1.0"}}
    target = from_table("mine", table, where="here")
    assert holds(Marker('platform_release >= "6.0"'), target, "3.11.0")
    assert not holds(Marker('platform_release >= "6.2"'), target, "3.11.0")


def test_a_stated_implementation_version_goes_before_the_patch() -> None:
    target = from_table("odd", {"platform": "py311-linux-x86_64", "markers": {"implementation-version": "3.11.2+vendor"}}, where="here")
    assert holds(Marker('implementation_version == "3.11.2+vendor"'), target, "3.11.9")
    assert not holds(Marker('implementation_version == "3.11.2+vendor"'), LINUX, "3.11.9")


def test_pypy_does_not_know_its_own_version_from_pythons() -> None:
    pypy = parse_target("pp311-linux-x86_64")
    with pytest.raises(UnanswerableMarker, match="implementation_version"):
        holds(Marker('implementation_version >= "7.3.10"'), pypy, "3.11.9")
    stated = from_table("pypy", {"platform": "pp311-linux-x86_64", "markers": {"implementation-version": "7.3.19"}}, where="here")
    assert holds(Marker('implementation_version >= "7.3.10"'), stated, "3.11.9")


@pytest.mark.parametrize("text", ['os_name ~= "posix"', 'python_version ~= "abc"', '"a" == "b"'])
def test_a_comparison_without_a_meaning_is_an_error_where_it_decides(text: str) -> None:
    with pytest.raises(UnanswerableMarker) as caught:
        holds(Marker(text), LINUX, "3.11.0")
    # The target states it well; stating it again would not help.
    assert "tool.hardtack" not in str(caught.value.hint)
    assert not holds(Marker(f'{text} and os_name == "nt"'), LINUX, "3.11.0")


def test_a_literal_that_cannot_be_written_down_is_judged_as_it_is() -> None:
    marker = Marker(r"""os_name == '\x22\x27' or os_name == 'a\\b' or platform_version == '\x22\x27'""")
    with pytest.raises(UnanswerableMarker, match="platform_version"):
        holds(marker, LINUX, "3.11.0")


def test_no_marker_always_holds() -> None:
    assert holds(None, LINUX, "3.11.0")
    assert cuts(None) == frozenset()
    assert specifier_cuts(None) == frozenset()
    assert python_fits(None, "3.11.0")


def test_a_common_lower_bound_cuts_once() -> None:
    # A point more is a proof more: ">=3.11" has no business at 3.11.1.
    assert LINUX.patches.points(specifier_cuts(SpecifierSet(">=3.8,!=3.9.*,<4"))) == ("3.11.0",)
    assert LINUX.patches.points(specifier_cuts(SpecifierSet(">=3.11"))) == ("3.11.0",)
    assert LINUX.patches.points(cuts(Marker('python_version < "3.11" or python_version >= "3.11"'))) == ("3.11.0",)
    assert LINUX.patches.points(cuts(Marker('python_full_version < "3.11.3"'))) == ("3.11.0", "3.11.3")
    assert LINUX.patches.points(cuts(Marker('python_full_version <= "3.11.2"'))) == ("3.11.0", "3.11.3")
    assert LINUX.patches.points(cuts(Marker('sys_platform == "win32"'))) == ("3.11.0",)
    assert LINUX.patches.points(cuts(Marker('python_full_version >= "1!3.11.3"'))) == ("3.11.0",)


VERSIONS = st.builds(
    lambda minor, patch, rest: f"3.{minor}{patch}{rest}",
    st.integers(10, 13),
    st.one_of(st.just(""), st.integers(0, 14).map(".{}".format), st.just(".3.1")),
    st.sampled_from(["", "", "", "", "", "a1", "b2", "rc1", ".dev1", ".post1", "a1.dev2", "b1.post1"]),
)
VARIABLES = st.sampled_from(["python_full_version", "python_version", "implementation_version", "python_full_version"])
COMPARISONS = st.sampled_from(["<", "<=", ">", ">=", "==", "!=", "===", "~="])


@st.composite
def atoms(draw: st.DrawFn) -> str:
    variable = draw(VARIABLES)
    kind = draw(st.integers(0, 9))
    if kind < 5:
        return f'{variable} {draw(COMPARISONS)} "{draw(VERSIONS)}"'
    if kind == 5:
        return f'"{draw(VERSIONS)}" {draw(COMPARISONS)} {variable}'
    if kind == 6:
        minor = draw(st.integers(10, 13))
        text = draw(st.sampled_from([f"3.{minor}.*", f"3.{minor}.{draw(st.integers(0, 12))}.*", "3.*"]))
        return f'{variable} {draw(st.sampled_from(["==", "!="]))} "{text}"'
    member = draw(st.sampled_from(["in", "not in"]))
    if kind == 9:
        return f'"{draw(st.sampled_from(["3.12.1", "2.1", "1", ".1", "3.11", "12.11"]))}" {member} {variable}'
    separator = draw(st.sampled_from([" ", ",", ", ", "|", "1"]))
    return f'{variable} {member} "{separator.join(draw(st.lists(VERSIONS, min_size=1, max_size=3)))}"'


@st.composite
def markers(draw: st.DrawFn) -> Marker:
    parts = draw(st.lists(atoms(), min_size=1, max_size=4))
    text = parts[0]
    for part in parts[1:]:
        text += f" {draw(st.sampled_from(['and', 'or']))} {part}"
        if draw(st.booleans()):
            text = f"({text})"
    return Marker(text)


def answers(marker: Marker, target: Target, full_version: str) -> bool | None:
    """Packaging's answer, None where it has none."""
    try:
        return marker.evaluate(full_environment(target, full_version))
    except ValueError:
        return None


@settings(max_examples=400, deadline=None)
@given(markers(), st.integers(10, 13), st.integers(0, 5))
def test_between_two_points_an_answer_never_changes(marker: Marker, minor: int, first: int) -> None:
    patches = PatchRange(first=Version(f"3.{minor}.{first}"))
    points = [Version(point) for point in patches.points(cuts(marker))]
    assert points[0] == patches.first
    for patch in range(first, MOST):
        here = Version(f"3.{minor}.{patch}")
        point = max(point for point in points if point <= here)
        assert answers(marker, LINUX, str(here)) == answers(marker, LINUX, str(point)), (str(marker), str(here), str(point))


@settings(max_examples=200, deadline=None)
@given(markers(), st.integers(10, 13))
def test_nor_between_the_points_of_a_python_before_its_release(marker: Marker, minor: int) -> None:
    patches = PatchRange(first=Version(f"3.{minor}.0a1"))
    if " in " in str(marker):
        return
    points = [Version(point) for point in patches.points(cuts(marker))]
    stages = [f"3.{minor}.0{kind}{number}" for kind in ("a", "b", "rc") for number in range(1, 5)] + [f"3.{minor}.{n}" for n in range(16)]
    for stage in stages:
        point = max(point for point in points if point <= Version(stage))
        assert answers(marker, LINUX, stage) == answers(marker, LINUX, str(point)), (str(marker), stage, str(point))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(COMPARISONS, VERSIONS), min_size=1, max_size=3), st.integers(10, 13))
def test_nor_the_answer_of_a_requires_python(clauses: list[tuple[str, str]], minor: int) -> None:
    specifier = SpecifierSet(",".join(f"{operator}{version}" for operator, version in clauses))
    points = [Version(point) for point in PatchRange(first=Version(f"3.{minor}.0")).points(specifier_cuts(specifier))]
    for patch in range(MOST):
        here = f"3.{minor}.{patch}"
        point = max(point for point in points if point <= Version(here))
        assert python_fits(specifier, here) == specifier.contains(here, prereleases=True)
        assert python_fits(specifier, here) == python_fits(specifier, str(point)), (str(specifier), here)


PLATFORM_ATOMS = st.sampled_from(
    [
        'sys_platform == "linux"',
        'sys_platform != "linux"',
        'os_name in "posix nt"',
        'platform_machine == "AMD64"',
        'platform_system == "Windows"',
        '"x86" in platform_machine',
        'platform_release >= "6.0"',
        'platform_release < "6.0"',
        'platform_version == "#1 SMP"',
        '"SMP" in platform_version',
        'python_version >= "3.12"',
        'extra == "a"',
    ]
)


@st.composite
def platform_markers(draw: st.DrawFn) -> Marker:
    def grow(depth: int) -> str:
        if depth == 0 or draw(st.booleans()):
            return draw(PLATFORM_ATOMS)
        joint = draw(st.sampled_from([" and ", " or "]))
        return f"({joint.join(grow(depth - 1) for _ in range(draw(st.integers(2, 3))))})"

    return Marker(grow(2))


KERNELS = [{"platform_release": release, "platform_version": version} for release in ("5.1", "6.5", "x") for version in ("#1 SMP", "")]


@settings(max_examples=300, deadline=None)
@given(platform_markers(), st.sampled_from([LINUX, WINDOWS]))
def test_an_answer_is_every_kernels_answer(marker: Marker, target: Target) -> None:
    full = f"3.{target.python[1]}.4"
    possible = {marker.evaluate(full_environment(target, full, **kernel)) for kernel in KERNELS}
    try:
        answer = holds(marker, target, full)
    except UnanswerableMarker:
        assert "platform_release" in str(marker) or "platform_version" in str(marker)
    else:
        assert possible == {answer}


@settings(max_examples=300, deadline=None)
@given(platform_markers(), st.sampled_from([LINUX, WINDOWS]), st.sampled_from(KERNELS), st.sampled_from(["", "a", "b"]))
def test_with_every_value_stated_it_is_packagings_answer(marker: Marker, target: Target, kernel: dict[str, str], extra: str) -> None:
    table = {"platform": target.name, "markers": {key.replace("_", "-"): value for key, value in kernel.items()}}
    stated = from_table("stated", table, where="here")
    full = f"3.{target.python[1]}.4"
    assert holds(marker, stated, full, extra=extra) == marker.evaluate(full_environment(target, full, extra=extra, **kernel))

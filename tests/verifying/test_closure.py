"""The proof of completeness, case by case."""

from __future__ import annotations

from dataclasses import replace

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement

from hardtack.model.finding import Finding, Severity
from hardtack.model.lock import LockedRoot, Waiver
from hardtack.model.target import Selection
from hardtack.model.wheel import WheelFacts
from hardtack.targets.catalog import parse_target
from hardtack.verifying.closure import Closure, prove_closure
from hardtack.verifying.walk import only_extra
from tests.verifying.world import facts, lying, pins, roots, told

LINUX = parse_target("py312-linux-x86_64")
WINDOWS = parse_target("py312-windows-x86_64")
OLD = parse_target("py311-linux-x86_64")


def prove(asked: tuple[str, ...], *wheels: WheelFacts, target: str = "py312-linux-x86_64", pinned: bool = True, **more: object) -> Closure:
    more.setdefault("pins", pins(target, *wheels) if pinned else None)
    return prove_closure(target=parse_target(target), roots=roots(*asked), available=lying(*wheels), **more)  # type: ignore[arg-type]


def only(closure: Closure) -> Finding:
    (finding,) = closure.findings
    return finding


CLICK = facts("click", "8.1.8", ["colorama; platform_system == 'Windows'"])


def test_a_requirement_of_another_platform_is_seen_from_here() -> None:
    """E2: judged on Linux, colorama is missing for Windows and not wanted for Linux."""
    assert prove(("click",), CLICK).findings == ()
    finding = only(prove(("click",), CLICK, target="py312-windows-x86_64"))
    assert (finding.code, finding.package, finding.target, finding.severity) == ("missing", "colorama", WINDOWS.name, Severity.ERROR)
    assert finding.required_by == (
        'click 8.1.8 requires colorama; platform_system == "Windows"',
        "requirements.txt:1 asks for click",
    )
    assert finding.hint


def test_missing_on_some_patches_only() -> None:
    redis = facts("redis", "5.0", ["async-timeout>=4; python_full_version < '3.11.3'"])
    finding = only(prove(("redis",), redis, target="py311-linux-x86_64"))
    assert (finding.code, finding.package) == ("missing", "async-timeout")
    assert "3.11.0 to 3.11.2" in finding.message
    assert prove(("redis",), redis).complete


def test_one_finding_for_all_patches_and_all_who_ask() -> None:
    first = facts("first", requires=["c; python_full_version < '3.12.3'"])
    second = facts("second", requires=["c; python_full_version >= '3.12.2'"])
    finding = only(prove(("first", "second"), first, second))
    assert (finding.code, finding.package) == ("missing", "c")
    assert "1 more requirement" in finding.message and " on Python" not in finding.message


def test_what_is_reached_again_on_other_patches_is_walked_there_too() -> None:
    late = facts("late", requires=["shared; python_full_version >= '3.12.5'"])
    early = facts("early", requires=["shared; python_full_version < '3.12.2'", "late"])
    shared = facts("shared", requires=["gone; python_full_version >= '3.12.6'"])
    finding = only(prove(("early",), early, late, shared))
    assert (finding.package, "3.12.6 and later" in finding.message) == ("gone", True)


def test_what_a_wheel_asks_anyway_its_extra_does_not_ask_again() -> None:
    finding = only(prove(("a[e]",), facts("a", requires=["b; os_name == 'posix'"], extras=["e"])))
    assert "more" not in finding.message and finding.required_by[0].startswith("a 1.0 requires b")


def test_everything_at_once() -> None:
    a = facts("a", requires=["b", "c>=2", "d"])
    found = prove(("a", "z"), a, facts("c", "1.0"), facts("d", python=">=3.13"))
    assert sorted(told(found.findings)) == [("missing", "b"), ("missing", "z"), ("requires-python", "d"), ("version", "c")]


def test_the_wheel_that_lies_there_does_not_fit() -> None:
    """What exists instead is named, with its reason."""
    arm = facts("a", tag="cp312-cp312-manylinux_2_17_aarch64")
    finding = only(prove(("a",), arm, pinned=False))
    assert finding.code == "missing"
    assert finding.instead == ("a-1.0-cp312-cp312-manylinux_2_17_aarch64.whl (for Linux aarch64)",)
    assert only(prove(("a",), arm)).code == "tags"


def test_a_pinned_file_that_does_not_lie_there() -> None:
    wanted = facts("a", tag="cp312-cp312-manylinux_2_17_x86_64")
    finding = only(prove(("a",), facts("a"), pins=pins(LINUX.name, wanted)))
    assert finding.code == "missing" and wanted.filename in finding.message and finding.instead == ("a-1.0-py3-none-any.whl",)


def test_pins_hold_where_their_marker_does() -> None:
    one, two = facts("a", "1.0", ["b"]), facts("a", "2.0")
    markers = {one.filename: 'python_full_version < "3.11.4"', two.filename: 'python_full_version >= "3.11.4"'}
    found = prove(("a",), one, two, target="py311-linux-x86_64", pins=pins(OLD.name, one, two, markers=markers))
    assert told(found.findings) == [("missing", "b")] and "3.11.0 to 3.11.3" in found.findings[0].message
    assert found.wanted == {("a", "1.0"), ("a", "2.0")}
    gap = {**markers, two.filename: 'python_full_version >= "3.11.6"'}
    found = prove(("a",), one, two, facts("b"), target="py311-linux-x86_64", pins=pins(OLD.name, one, two, facts("b"), markers=gap))
    assert "pinned only elsewhere" in only(found).message and "3.11.4 to 3.11.5" in only(found).message


def test_two_pins_at_once_conflict() -> None:
    assert only(prove(("a",), facts("a", "1.0"), facts("a", "2.0"))).code == "conflict"


def test_pins_of_other_targets_are_passed_over() -> None:
    here, there = facts("a", "1.0"), facts("a", "2.0")
    found = prove(("a",), here, there, pins=[*pins(LINUX.name, here), *pins(WINDOWS.name, there)])
    assert found.findings == () and found.wanted == {("a", "1.0")}


def test_requires_python_at_every_breakpoint() -> None:
    finding = only(prove(("a",), facts("a", python=">=3.11,!=3.11.4,<3.11.9"), target="py311-linux-x86_64"))
    assert finding.code == "requires-python"
    assert "3.11.4, 3.11.9 and later" in finding.message


def test_extras_nested_self_referencing_and_normalised() -> None:
    a = facts(
        "A.pkg",
        requires=[
            "A_pkg[Speed_Ups,tests]; extra == 'all'",
            "fast; extra == 'speed.ups'",
            "b[x]; extra == 'tests'",
            "never; extra == 'other'",
        ],
        extras=["all", "speed-ups", "tests", "other"],
    )
    b = facts("b", requires=["c; extra == 'x'", "a-pkg"], extras=["x"])
    found = prove(("a.PKG[ALL]",), a, b, facts("fast"), facts("c"))
    assert found.findings == ()
    assert {name for name, _ in found.wanted} == {"a-pkg", "b", "c", "fast"}
    finding = only(prove(("a.PKG[ALL]",), a, b, facts("fast")))
    assert finding.required_by == (
        'b[x] 1.0 requires c; extra == "x"',
        'A.pkg[tests] 1.0 requires b[x]; extra == "tests"',
        'A.pkg[all] 1.0 requires A_pkg[Speed_Ups,tests]; extra == "all"',
        "requirements.txt:1 asks for a.PKG[ALL]",
    )


def test_unknown_extra_is_a_warning_and_its_requirements_count() -> None:
    """pip and uv warn; what a marker asks for an extra that is not provided, uv demands."""
    found = prove(("a[nope]",), facts("a"))
    assert found.complete and told(found.findings) == [("unknown-extra", "a")]
    assert told(prove(("a[nope]",), facts("a", requires=["b; extra == 'nope'"])).findings) == [("missing", "b"), ("unknown-extra", "a")]


def test_url_requirement_is_met_by_the_wheel_of_that_name() -> None:
    """E7: complete for exact lists, and said not to install by name."""
    a = facts("a", requires=["x @ https://files.example/x-1.0-py3-none-any.whl"])
    found = prove(("a",), a, facts("x"))
    assert found.complete and not found.by_name
    assert (only(found).code, only(found).severity) == ("url-requirement", Severity.WARNING)
    assert found.url_requirements == ("x @ https://files.example/x-1.0-py3-none-any.whl",)
    assert ("missing", "x") in told(prove(("a",), a).findings)
    assert prove(("x @ https://files.example/x-1.0-py3-none-any.whl",), facts("x")).by_name


def test_cycles_and_leftovers() -> None:
    found = prove(("a",), facts("a", requires=["b"]), facts("b", requires=["a[e]"]), facts("left"))
    assert found.complete and found.unneeded == ("left",) and found.wanted == {("a", "1.0"), ("b", "1.0")}


def test_prereleases_and_local_versions_when_pinned() -> None:
    assert prove(("a>=1", "b==1.0"), facts("a", "2.0rc1"), facts("b", "1.0+cpu")).findings == ()


def test_constraints() -> None:
    found = prove(
        ("a",), facts("a", "2.0"), constraints=[Requirement("A<2"), Requirement("a<1; sys_platform == 'win32'"), Requirement("b<1")]
    )
    assert told(found.findings) == [("constraint", "a")]


OVERRIDE = Waiver(kind="override", requirement="b==2.0", origin="pyproject.toml: tool.uv")
EXCLUDE = Waiver(kind="exclude", requirement="b", origin="pyproject.toml: tool.uv")


def test_override_replaces_what_is_asked_and_is_shown() -> None:
    a, b = facts("a", requires=["b<2"]), facts("b", "2.0")
    assert told(prove(("a",), a, b).findings) == [("version", "b")]
    found = prove(("a",), a, b, waivers=[OVERRIDE])
    assert found.complete and not found.by_name and told(found.findings) == [("waiver", "b")]
    assert found.findings[0].required_by == ("a 1.0 requires b<2",) and "pyproject.toml: tool.uv" in found.findings[0].message
    assert told(prove(("a",), a, facts("b", "3.0"), waivers=[OVERRIDE]).findings) == [("version", "b"), ("waiver", "b")]
    harmless = prove(("a",), facts("a", requires=["b"]), b, waivers=[OVERRIDE])
    assert harmless.by_name and only(harmless).severity is Severity.NOTE


@pytest.mark.parametrize(
    ("asked", "requires", "override", "wanted"),
    [
        # Each row as uv 0.13 resolved it, offline, for this target.
        ("a", "b; sys_platform == 'win32'", "b==2.0", True),
        ("a", "b", "b==2.0; sys_platform == 'win32'", False),
        ("a", "b; extra == 'e'", "b==2.0", False),
        ("a[e]", "b; extra == 'e'", "b==2.0", True),
        ("a[e]", "b; extra == 'e' and sys_platform == 'win32'", "b==2.0", True),
        ("a", "b; extra != 'e'", "b==2.0", True),
        ("a", "b; extra == 'e' or sys_platform == 'win32'", "b==2.0", True),
    ],
)
def test_overrides_as_uv_applies_them(asked: str, requires: str, override: str, wanted: bool) -> None:
    waiver = replace(OVERRIDE, requirement=override)
    found = prove((asked,), facts("a", requires=[requires], extras=["e"]), facts("b", "2.0"), waivers=[waiver])
    assert found.complete and (("b", "2.0") in found.wanted) is wanted


def test_exclude_drops_a_name_wherever_it_is_asked_for() -> None:
    found = prove(("a", "b"), facts("a", requires=["b"]), waivers=[EXCLUDE])
    assert found.complete and not found.by_name and told(found.findings) == [("waiver", "b")]
    assert found.findings[0].required_by == ("requirements.txt:2 asks for b", "a 1.0 requires b")
    assert prove(("c",), facts("c"), waivers=[EXCLUDE]).findings == ()


@pytest.mark.parametrize(
    ("marker", "extra"),
    [
        ("extra == 'A_b'", "a-b"),
        ("'x' == extra and os_name == 'nt'", "x"),
        ("(os_name == 'nt' or os_name == 'posix') and extra == 'x'", "x"),
        ("extra == 'x' or os_name == 'nt'", None),
        ("(extra == 'x' or os_name == 'nt') and os_name == 'nt'", None),
        ("extra != 'x'", None),
        ("platform_version == ' or ' and extra == 'x'", "x"),
    ],
)
def test_the_extra_that_a_marker_hangs_on(marker: str, extra: str | None) -> None:
    assert only_extra(Marker(marker)) == extra


def test_unanswerable_marker_names_variable_requirement_and_target() -> None:
    finding = only(prove(("a",), facts("a", requires=["b; platform_release >= '5'"])))
    assert (finding.code, finding.package, finding.target) == ("unanswerable-marker", "b", LINUX.name)
    assert "platform_release" in finding.message and finding.required_by[0] == 'a 1.0 requires b; platform_release >= "5"'


def test_the_targets_selection_takes_roots() -> None:
    asked = [
        LockedRoot(requirement="a", origin="pyproject.toml"),
        LockedRoot(requirement="cpu-only", origin="pyproject.toml", extra="cpu"),
        LockedRoot(requirement="cuda-only", origin="pyproject.toml", extra="CUDA"),
        LockedRoot(requirement="tests", origin="pyproject.toml", group="dev"),
        LockedRoot(requirement="elsewhere", origin="pyproject.toml", targets=frozenset({"other"})),
        LockedRoot(requirement="windows; sys_platform == 'win32'", origin="pyproject.toml"),
    ]

    def missing(extras: frozenset[str] | None, groups: frozenset[str] | None) -> set[str | None]:
        target = replace(LINUX, selection=Selection(extras=extras, groups=groups))
        return {finding.package for finding in prove_closure(target=target, roots=asked, available={}, pins=()).findings}

    assert missing(None, None) == {"a", "cpu-only", "cuda-only", "tests"}
    assert missing(frozenset({"cuda"}), frozenset()) == {"a", "cuda-only"}
    assert missing(frozenset(), frozenset({"dev"})) == {"a", "tests"}


def test_a_projects_own_extras() -> None:
    asked = [
        LockedRoot(requirement="proj[x]", origin="pyproject.toml: all", extra="all"),
        LockedRoot(requirement="needed", origin="pyproject.toml: x", extra="x"),
        LockedRoot(requirement="not-needed", origin="pyproject.toml: y", extra="y"),
    ]
    target = replace(LINUX, selection=Selection(extras=frozenset({"all"})))
    found = prove_closure(target=target, roots=asked, available={}, pins=(), project="Proj")
    assert told(found.findings) == [("missing", "needed")]
    plugin = facts("plugin", requires=["proj"])
    found = prove_closure(target=LINUX, roots=roots("plugin"), available=lying(plugin), pins=pins(LINUX.name, plugin), project="proj")
    assert found.complete and told(found.findings) == [("project", "proj")]


class TestWithoutALock:
    def test_a_single_version_is_judged(self) -> None:
        assert prove(("a>=1",), facts("a"), pinned=False).complete
        finding = only(prove(("a>=2",), facts("a"), pinned=False))
        assert finding.code == "missing" and finding.instead == ("a-1.0-py3-none-any.whl",) and ">=2" in (finding.hint or "")

    def test_a_version_that_suits_all_is_found(self) -> None:
        found = prove(("a", "b"), facts("a", requires=["b<3"]), facts("b", "3.0"), facts("b", "2.0", ["c"]), facts("c"), pinned=False)
        assert found.complete and found.wanted == {("a", "1.0"), ("b", "2.0"), ("c", "1.0")}

    def test_versions_may_differ_between_patches(self) -> None:
        wheels = facts("a", "2.0", python=">=3.11.4"), facts("a", "1.0")
        found = prove(("a",), *wheels, target="py311-linux-x86_64", pinned=False)
        assert found.complete and found.wanted == {("a", "1.0"), ("a", "2.0")}

    def test_no_single_version_is_ambiguous(self) -> None:
        wheels = facts("a", requires=["c<2"]), facts("b", requires=["c>=2"]), facts("c", "1.0"), facts("c", "2.0")
        found = prove(("a", "b"), *wheels, pinned=False)
        assert not found.complete and set(told(found.findings)) == {("ambiguous", "c")}

    def test_an_error_under_a_choice_is_said_to_hang_on_it(self) -> None:
        """The newest needs what is not there; the older one would do. That is a resolver's to find, and is said."""
        found = prove(("a",), facts("a", "2.0", ["gone"]), facts("a", "1.0"), pinned=False)
        assert told(found.findings) == [("missing", "gone"), ("ambiguous", "a")]

    def test_prereleases_only_where_nothing_else_is(self) -> None:
        assert prove(("a",), facts("a", "2.0rc1"), pinned=False).complete
        assert not prove(("x",), facts("x", requires=["a>=1.5"]), facts("a", "2.0rc1"), facts("a", "1.0"), pinned=False).complete
        assert prove(("a>=2.0rc1",), facts("a", "2.0rc1"), facts("a", "1.0"), pinned=False).complete

    def test_a_constraint_chooses_too(self) -> None:
        found = prove(("a",), facts("a", "2.0"), facts("a", "1.0"), pinned=False, constraints=[Requirement("a<2")])
        assert found.complete and found.wanted == {("a", "1.0")}

    def test_the_best_wheel_of_a_version_speaks_for_it(self) -> None:
        pure, compiled = facts("a", requires=["b"]), facts("a", tag="cp312-cp312-manylinux_2_17_x86_64")
        assert prove(("a",), pure, compiled, pinned=False).complete


def test_a_chain_of_twenty_thousand_and_linear_work() -> None:
    def deep(length: int) -> Closure:
        wheels = [facts(f"p{at}", requires=[f"p{at + 1}", "p0"]) for at in range(length)]
        return prove(("p0",), *wheels)

    long, short = deep(20_000), deep(200)
    assert told(long.findings) == told([*long.findings]) == [("missing", "p20000")]
    assert long.findings[0].required_by[0] == "p19999 1.0 requires p20000"
    assert long.findings[0].required_by[-1] == "requirements.txt:1 asks for p0"
    assert len(long.findings[0].required_by) < 12
    assert long.steps - 1 == 100 * (short.steps - 1)


def test_a_broken_root_is_told() -> None:
    assert told(prove(("not a requirement !",)).findings) == [("root", None)]

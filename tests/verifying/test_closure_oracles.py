"""The proof against two that know nothing of it: a brute-force walk at every patch, and uv's own resolver."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import uv
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from hardtack.model.finding import Severity
from hardtack.model.manifest import Pin
from hardtack.model.target import PatchRange, Target
from hardtack.model.wheel import WheelFacts
from hardtack.system.environ import scrubbed, variables
from hardtack.targets.catalog import parse_target
from hardtack.verifying.closure import Closure, prove_closure
from tests.support.archives import make_wheel
from tests.verifying.world import facts, lying, pins, roots

TARGETS = [parse_target(name) for name in ("py311-linux-x86_64", "py311-windows-x86_64", "py312-macos-arm64")]
NAMES = ["a", "b", "c", "d", "e"]
SPECIFIERS = ["", ">=1", "<2", "==2.*", "!=1.0", ">=1.5,<3"]
MARKERS = [
    "",
    "python_full_version < '3.11.4'",
    "python_full_version >= '3.11.7' or sys_platform == 'win32'",
    "python_full_version == '3.11.5'",
    "python_full_version != '3.11.9' and python_version < '3.12'",
    "python_full_version in '3.11.2 3.11.3'",
    "python_full_version > '3.11.2' and python_full_version <= '3.11.6'",
    "sys_platform == 'win32'",
    "platform_machine != 'x86_64' or os_name == 'nt'",
    "extra == 'x'",
    "extra == 'x' and python_full_version >= '3.11.3'",
    "extra == 'y' or extra == 'x'",
    "extra != 'x'",
    "python_version ~= '3.11'",
    "implementation_version < '3.11.8'",
]
PYTHONS = [None, None, None, ">=3.8", ">=3.11.2", "!=3.11.6", "<3.11.10", "~=3.11.1", ">3.11.0,<4"]
SPLITS = ["3.11.3", "3.11.8"]

requirement_texts = st.builds(
    lambda name, extras, specifier, marker: f"{name}{extras}{specifier}{' ; ' + marker if marker else ''}",
    st.sampled_from(NAMES),
    st.sampled_from(["", "", "[x]", "[X,y]"]),
    st.sampled_from(SPECIFIERS),
    st.sampled_from(MARKERS),
)
versions = st.sampled_from(["1.0", "1.5", "2.0", "2.1rc1", "3.0"])
bodies = st.tuples(st.lists(requirement_texts, max_size=3), st.sampled_from(PYTHONS))


class World:
    """A target by its number, what is asked for, what lies there, and what is pinned; told briefly when an example fails."""

    def __init__(self, number: int, asked: list[str], wheels: list[WheelFacts], chosen: list[Pin]) -> None:
        self.target, self.asked, self.wheels, self.chosen = TARGETS[number], asked, wheels, chosen

    def __repr__(self) -> str:
        lying_there = {one.filename: ([str(each) for each in one.requires], str(one.requires_python)) for one in self.wheels}
        return f"World({self.target.name}, {self.asked}, {lying_there}, {[(pin.filename, pin.marker) for pin in self.chosen]})"


@st.composite
def worlds(draw: st.DrawFn) -> World:
    number = draw(st.integers(0, len(TARGETS) - 1))
    target = TARGETS[number]
    wheels, chosen = [], []
    for name in NAMES:
        found = draw(st.lists(versions, unique=True, max_size=2))
        split = draw(st.sampled_from(SPLITS))
        markers = [None] if len(found) == 1 else [f'python_full_version < "{split}"', f'python_full_version >= "{split}"']
        for version, marker in zip(found, markers, strict=False):
            requires, python = draw(bodies)
            wheel = facts(name, version, requires, extras=["x"], python=python)
            chosen.append(Pin(target=target.name, name=name, version=version, filename=wheel.filename, marker=marker))
            if draw(st.integers(0, 9)):
                wheels.append(wheel)
    return World(number, draw(st.lists(requirement_texts, min_size=1, max_size=3)), wheels, chosen)


def by_brute_force(
    target: Target, patch: int, asked: list[str], wheels: list[WheelFacts], chosen: list[Pin]
) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
    """Errors as (code, package), and what is installed, on one patch: packaging evaluates each marker with a whole environment."""
    full = f"{target.python[0]}.{target.python[1]}.{patch}"
    environment = {
        "platform_release": "",
        "platform_version": "",
        **target.environment,
        "python_version": f"{target.python[0]}.{target.python[1]}",
        "python_full_version": full,
        "implementation_version": full,
    }

    def holds(marker: Marker | None, extra: str) -> bool:
        return marker is None or marker.evaluate({**environment, "extra": extra})

    lying_here = {wheel.filename: wheel for wheel in wheels}
    pinned = {pin.name: pin for pin in chosen if holds(Marker(pin.marker) if pin.marker else None, "")}
    errors: set[tuple[str, str]] = set()
    reached: set[tuple[str, str]] = set()
    pending = [(Requirement(text), "") for text in asked]
    while pending:
        requirement, extra = pending.pop()
        if not holds(requirement.marker, extra):
            continue
        pin = pinned.get(requirement.name)
        if pin is None:
            errors.add(("missing", requirement.name))
            continue
        if not requirement.specifier.contains(pin.version, prereleases=True):
            errors.add(("version", pin.name))
        for wanted in ["", *(canonicalize_name(one) for one in requirement.extras)]:
            if (pin.name, wanted) in reached:
                continue
            reached.add((pin.name, wanted))
            wheel = lying_here.get(pin.filename)
            if wheel is None:
                errors.add(("missing", pin.name))
                continue
            if wheel.requires_python is not None and not wheel.requires_python.contains(full):
                errors.add(("requires-python", pin.name))
            pending += [(one, wanted) for one in wheel.requires]
    return errors, {(name, str(Version(pinned[name].version))) for name, _ in reached}


def errors_of(closure: Closure) -> set[tuple[str, str | None]]:
    return {(finding.code, finding.package) for finding in closure.findings if finding.severity is Severity.ERROR}


@given(worlds())
@settings(max_examples=120, deadline=None)
def test_agrees_with_a_brute_force_walk_at_every_patch(world: World) -> None:
    target, asked, wheels, chosen = world.target, world.asked, world.wheels, world.chosen
    everywhere: set[tuple[str, str]] = set()
    installed: set[tuple[str, str]] = set()
    for patch in range(31):
        errors, there = by_brute_force(target, patch, asked, wheels, chosen)
        everywhere |= errors
        installed |= there
        if patch in (0, 2, 3, 5, 9, 30):
            version = Version(f"{target.python[0]}.{target.python[1]}.{patch}")
            narrow = replace(target, patches=PatchRange(first=version, last=version))
            one = prove_closure(target=narrow, roots=roots(*asked), available=lying(*wheels), pins=chosen)
            assert (errors_of(one), set(one.wanted)) == (errors, there), patch
    found = prove_closure(target=target, roots=roots(*asked), available=lying(*wheels), pins=chosen)
    assert errors_of(found) == everywhere
    assert set(found.wanted) == installed
    keys = [(finding.code, finding.package, finding.message) for finding in found.findings]
    assert len(keys) == len(set(keys))


@given(worlds())
@settings(max_examples=60, deadline=None)
def test_complete_without_a_lock_is_a_real_solution(world: World) -> None:
    """Where no pins are given, "complete" must name versions that hold when they are pinned and walked again."""
    target, asked, wheels = world.target, world.asked, world.wheels
    version = Version(f"{target.python[0]}.{target.python[1]}.5")
    narrow = replace(target, patches=PatchRange(first=version, last=version))
    found = prove_closure(target=narrow, roots=roots(*asked), available=lying(*wheels))
    if found.complete:
        chosen = [wheel for wheel in wheels if (wheel.name, str(wheel.version)) in found.wanted]
        errors, there = by_brute_force(narrow, 5, asked, chosen, pins(target.name, *chosen))
        assert (errors, there) == (set(), set(found.wanted))


ORACLE_WORLD: list[tuple[str, str, list[str], list[str]]] = [
    ("app", "1.0", ["lib[fast]>=2", "win; sys_platform == 'win32'", "old; python_full_version < '3.12.1'"], []),
    (
        "lib",
        "2.1",
        ["speed; extra == 'fast'", "docs; extra == 'docs'", "lib[more]; extra == 'fast'", "deep; extra == 'more'"],
        ["fast", "more", "docs"],
    ),
    ("speed", "0.3", ["app"], []),
    ("deep", "1.0", ["posix; os_name == 'posix'"], []),
    ("posix", "1.0", [], []),
    ("win", "1.0", ["nt-only; platform_machine == 'AMD64'"], []),
    ("nt-only", "1.0", [], []),
    ("old", "1.0", [], []),
    ("docs", "1.0", [], []),
]


@pytest.mark.parametrize(
    ("name", "platform"), [("py312-linux-x86_64", "x86_64-manylinux_2_28"), ("py312-windows-x86_64", "x86_64-pc-windows-msvc")]
)
def test_agrees_with_uv_when_single_wheels_are_removed(tmp_path: Path, name: str, platform: str) -> None:
    """E9: uv's resolver, offline, for a foreign target. It reads "3.12" as 3.12.0, so the target is that patch."""
    target = parse_target(name)
    target = replace(target, patches=PatchRange(first=Version("3.12.0"), last=Version("3.12.0")))
    wheelhouse = tmp_path / "wheelhouse"
    wheelhouse.mkdir()
    wheels, paths = [], {}
    for project, version, requires, extras in ORACLE_WORLD:
        filename, data = make_wheel(project, version, requires=requires, extras=extras)
        paths[project] = wheelhouse / filename
        paths[project].write_bytes(data)
        wheels.append(facts(project, version, requires, extras=extras))
    verdicts = {}
    for removed in ["", *paths]:
        left = [wheel for wheel in wheels if wheel.name != removed]
        if removed:
            hidden = paths[removed].rename(tmp_path / paths[removed].name)
        ours = prove_closure(target=target, roots=roots("app"), available=lying(*left))
        verdicts[removed] = (ours.complete, _uv_resolves(wheelhouse, tmp_path, platform))
        if removed:
            hidden.rename(paths[removed])
    assert all(ours == uvs for ours, uvs in verdicts.values()), verdicts
    assert {complete for complete, _ in verdicts.values()} == {True, False}


def _uv_resolves(wheelhouse: Path, scratch: Path, platform: str) -> bool:
    command = [uv.find_uv_bin(), "pip", "install", "--dry-run", "--offline", "--no-config", "--no-index", "--find-links", str(wheelhouse)]
    command += ["--target", str(scratch / "site"), "--python", sys.executable, "--python-platform", platform, "--python-version", "3.12"]
    command += ["--only-binary", ":all:", "--cache-dir", str(scratch / "cache"), "app"]
    done = subprocess.run(command, capture_output=True, text=True, env=scrubbed(variables()), check=False, timeout=60)
    assert done.returncode in (0, 1), done.stderr
    assert done.returncode == 0 or "No solution found" in done.stderr, done.stderr
    return done.returncode == 0

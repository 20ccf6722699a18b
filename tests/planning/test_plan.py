"""The plan: what is wanted where, what is taken, built or missing. packaging's own lock reader is the oracle for the picks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.markers import Marker
from packaging.pylock import Package, PackageSdist, PackageWheel, Pylock, PylockSelectError
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from hardtack.errors import LockError
from hardtack.model.lock import Lock, LockedFile, LockedPackage, Source
from hardtack.model.plan import Build, Gap, Plan, PlanEntry, Take
from hardtack.model.requirements import FormatControl
from hardtack.model.target import Selection, Target
from hardtack.planning.plan import Policy, plan
from hardtack.targets.catalog import parse_target

LINUX = parse_target("py312-linux-x86_64")
WINDOWS = parse_target("py312-windows-x86_64")
OLD = parse_target("py311-linux-x86_64")


def wheel(filename: str, **fields: object) -> LockedFile:
    return LockedFile(filename=filename, url=f"https://files.example/{filename}", **{"sha256": "0" * 64, **fields})  # type: ignore[arg-type]


def package(
    name: str, version: str = "1.0", *, wheels: tuple[str, ...] | None = None, sdist: bool = False, **fields: object
) -> LockedPackage:
    names = (f"{name}-{version}-py3-none-any.whl",) if wheels is None else wheels
    marker, python = fields.pop("marker", None), fields.pop("requires_python", None)
    return LockedPackage(
        name=name,
        version=Version(version),
        wheels=tuple(wheel(one) for one in names),
        sdist=wheel(f"{name}-{version}.tar.gz") if sdist else None,
        marker=Marker(str(marker)) if marker else None,
        requires_python=SpecifierSet(str(python)) if python else None,
        **fields,  # type: ignore[arg-type]
    )


def only(found: Plan) -> PlanEntry:
    (entry,) = found.entries
    return entry


def gap(found: Plan) -> Gap:
    decision = only(found).decision
    assert isinstance(decision, Gap)
    return decision


def test_markers_are_judged_for_the_target_and_not_for_this_host() -> None:
    """E2: colorama for Windows, whatever plans it."""
    lock = Lock(packages=(package("click"), package("colorama", marker="sys_platform == 'win32'")))
    found = plan(lock, [LINUX, WINDOWS])
    assert [(entry.package.name, entry.target) for entry in found.entries] == [
        ("click", LINUX.name),
        ("click", WINDOWS.name),
        ("colorama", WINDOWS.name),
    ]


def test_wanted_on_some_patches_only() -> None:
    """redis needs async-timeout below 3.11.3: a marker that holds on a part of the patch range counts."""
    lock = Lock(
        packages=(package("async-timeout", wheels=("async_timeout-1.0-py3-none-any.whl",), marker="python_full_version < '3.11.3'"),)
    )
    entry = only(plan(lock, [OLD]))
    assert entry.points == ("3.11.0",)
    assert entry.marker == 'python_full_version < "3.11.3"'
    assert isinstance(entry.decision, Take)
    assert not plan(lock, [LINUX]).entries


def test_two_versions_on_different_patches_are_both_kept() -> None:
    lock = Lock(
        packages=(
            package("a", "1.0", marker="python_full_version < '3.11.4'"),
            package("a", "2.0", marker="python_full_version >= '3.11.4'"),
        )
    )
    found = plan(lock, [OLD])
    assert [(str(entry.package.version), entry.points, type(entry.decision)) for entry in found.entries] == [
        ("1.0", ("3.11.0",), Take),
        ("2.0", ("3.11.4",), Take),
    ]


def test_two_versions_on_one_patch_conflict() -> None:
    lock = Lock(
        packages=(
            package("a", "1.0", marker="python_full_version < '3.11.5'"),
            package("a", "2.0", marker="python_full_version >= '3.11.4'"),
        )
    )
    gaps = [entry.decision for entry in plan(lock, [OLD]).entries]
    assert [one.code for one in gaps if isinstance(one, Gap)] == ["conflict", "conflict"]
    assert all("3.11.4" in one.reason and "1.0, 2.0" in one.reason for one in gaps if isinstance(one, Gap))


def test_requires_python_is_judged_at_every_breakpoint_where_the_package_is_wanted() -> None:
    unfit = Lock(packages=(package("a", requires_python=">=3.11.2"),))
    assert (gap(plan(unfit, [OLD])).code, "3.11.0 to 3.11.1" in gap(plan(unfit, [OLD])).reason) == ("requires-python", True)
    fit = Lock(packages=(package("a", requires_python=">=3.11.2", marker="python_full_version >= '3.11.2'"),))
    assert isinstance(only(plan(fit, [OLD])).decision, Take)


def test_extras_and_groups_of_the_target_choose() -> None:
    cpu, cuda = (
        Target(
            **{field: getattr(LINUX, field) for field in ("implementation", "python", "patches", "platform", "tags", "environment")},
            name=name,
            selection=Selection(extras=frozenset({name}), groups=frozenset()),
        )
        for name in ("cpu", "cuda")
    )
    lock = Lock(
        packages=(
            package("torch", "2.0+cpu", wheels=("torch-2.0+cpu-py3-none-any.whl",), marker="'cpu' in extras"),
            package("torch", "2.0+cu128", wheels=("torch-2.0+cu128-py3-none-any.whl",), marker="'cuda' in extras"),
            package("pytest", marker="'dev' in dependency_groups"),
        ),
        groups=frozenset({"dev"}),
    )
    assert [(entry.target, str(entry.package.version)) for entry in plan(lock, [cpu, cuda]).entries] == [
        ("cpu", "2.0+cpu"),
        ("cuda", "2.0+cu128"),
    ]
    assert {entry.package.name for entry in plan(lock, [LINUX]).entries} == {"pytest"}


def test_a_users_pylock_takes_no_extra_and_its_default_groups() -> None:
    """PEP 751: extras are empty, and groups the default ones, unless someone says otherwise."""
    lock = Lock(
        packages=(
            package("a", marker="'x' in extras"),
            package("b", marker="'dev' in dependency_groups"),
            package("c", marker="'docs' in dependency_groups"),
        ),
        extras=frozenset({"x"}),
        groups=frozenset({"dev", "docs"}),
        default_groups=frozenset({"dev"}),
        origin="pylock.toml",
    )
    assert [entry.package.name for entry in plan(lock, [LINUX]).entries] == ["b"]
    assert [entry.package.name for entry in plan(lock, [LINUX], Policy(extras=frozenset({"x"}), groups=frozenset())).entries] == ["a"]


def test_targets_of_a_package() -> None:
    lock = Lock(packages=(package("a", targets=frozenset({WINDOWS.name})),))
    assert [entry.target for entry in plan(lock, [LINUX, WINDOWS]).entries] == [WINDOWS.name]


def test_a_marker_that_cannot_be_answered_is_a_gap_that_names_it() -> None:
    lock = Lock(packages=(package("a", marker="platform_release >= '5'"), package("b")))
    found = plan(lock, [LINUX])
    first, second = (entry.decision for entry in found.entries)
    assert isinstance(first, Gap) and first.code == "unanswerable-marker" and "platform_release" in first.reason
    assert isinstance(second, Take)


SOURCE_ONLY = Lock(packages=(package("docopt", "0.6.2", wheels=(), sdist=True),))
NO_FIT = Lock(packages=(package("a", wheels=("a-1.0-cp312-cp312-manylinux_2_34_x86_64.whl",)),))


def test_sdist_is_built_where_no_wheel_fits() -> None:
    assert isinstance(only(plan(SOURCE_ONLY, [LINUX])).decision, Build)
    both = Lock(packages=(package("a", wheels=("a-1.0-cp312-cp312-win_amd64.whl",), sdist=True),))
    on_linux, on_windows = (entry.decision for entry in plan(both, [LINUX, WINDOWS]).entries)
    assert isinstance(on_linux, Build) and on_linux.rejected[0].reason == "for Windows x86_64"
    assert isinstance(on_windows, Take)


def test_gap_says_what_was_rejected_and_what_floor_would_do() -> None:
    found = gap(plan(NO_FIT, [LINUX]))
    assert found.code == "no-file"
    assert [one.reason for one in found.rejected] == ["needs glibc 2.34, the target has 2.28"]
    assert found.hint is not None and "glibc 2.34" in found.hint


@pytest.mark.parametrize(
    ("lock", "policy", "expected"),
    [
        (SOURCE_ONLY, Policy(can_build=False), "needs-build"),
        (SOURCE_ONLY, Policy(formats=FormatControl(only_binary=frozenset({":all:"}))), "only-binary"),
        (SOURCE_ONLY, Policy(formats=FormatControl(only_binary=frozenset({":all:"}), no_binary=frozenset({"docopt"}))), "Build"),
        (Lock(packages=(package("a"),)), Policy(formats=FormatControl(no_binary=frozenset({"a"}))), "no-file"),
        (Lock(packages=(package("a", sdist=True),)), Policy(formats=FormatControl(no_binary=frozenset({":all:"}))), "Build"),
        (
            Lock(packages=(package("a", sdist=True),)),
            Policy(formats=FormatControl(no_binary=frozenset({":all:"}), only_binary=frozenset({"a"}))),
            "Take",
        ),
    ],
)
def test_formats_and_builds(lock: Lock, policy: Policy, expected: str) -> None:
    decision = only(plan(lock, [LINUX], policy)).decision
    assert (decision.code if isinstance(decision, Gap) else type(decision).__name__) == expected


def test_stated_hashes() -> None:
    def lock(**fields: object) -> Lock:
        return Lock(packages=(LockedPackage(name="a", version=Version("1.0"), wheels=(wheel("a-1.0-py3-none-any.whl", **fields),)),))

    strict = Policy(require_stated_hashes=True)
    assert gap(plan(lock(sha256=None), [LINUX], strict)).code == "no-hash"
    assert gap(plan(lock(hash_source="first-seen"), [LINUX], strict)).code == "no-hash"
    assert isinstance(only(plan(lock(), [LINUX], strict)).decision, Take)
    assert isinstance(only(plan(lock(sha256=None, other_hashes=("sha512:00",)), [LINUX], strict)).decision, Take)
    assert isinstance(only(plan(lock(sha256=None), [LINUX])).decision, Take)


def test_sources() -> None:
    def lock(kind: str, location: str) -> Lock:
        source = Source(kind=kind, location=location, sha256="0" * 64)  # type: ignore[arg-type]
        return Lock(packages=(LockedPackage(name="a", version=None, source=source),))

    everything_binary = Policy(formats=FormatControl(only_binary=frozenset({":all:"})))
    assert isinstance(only(plan(lock("directory", "/src/a"), [LINUX], everything_binary)).decision, Build)
    assert isinstance(only(plan(lock("vcs", "https://e.example/a.git"), [LINUX])).decision, Build)
    taken = only(plan(lock("archive", "https://e.example/d/a-1.0-py3-none-any.whl#x"), [LINUX])).decision
    assert isinstance(taken, Take) and taken.file.filename == "a-1.0-py3-none-any.whl"
    assert gap(plan(lock("archive", "https://e.example/d/a-1.0-cp312-cp312-win32.whl"), [LINUX])).code == "no-file"


def test_a_lock_for_other_targets_is_refused_and_all_of_them_are_named() -> None:
    with pytest.raises(LockError) as caught:
        plan(Lock(packages=(), requires_python=SpecifierSet(">=3.12.3")), [OLD, LINUX])
    assert OLD.name in str(caught.value) and "3.12.0 to 3.12.2" in str(caught.value)
    with pytest.raises(LockError, match="not among the lock's targets"):
        plan(Lock(packages=(), targets=("other",)), [LINUX])
    with pytest.raises(LockError, match="none of the environments"):
        plan(Lock(packages=(), environments=(Marker("sys_platform == 'win32'"),)), [LINUX])


def test_order_and_determinism() -> None:
    packages = (package("b"), package("a", "2.0", marker="python_version > '3.11'"), package("a", "1.0", marker="python_version == '3.11'"))
    forwards, backwards = plan(Lock(packages=packages), [LINUX, OLD]), plan(Lock(packages=packages[::-1]), [LINUX, OLD])
    assert forwards == backwards
    assert [(entry.package.name, entry.target) for entry in forwards.entries] == [
        ("a", OLD.name),
        ("a", LINUX.name),
        ("b", LINUX.name),
        ("b", OLD.name),
    ]


class Watched(tuple[LockedFile, ...]):
    """Files that count how often one of them is looked at."""

    looks = 0

    def __iter__(self) -> Iterator[LockedFile]:
        for file in super().__iter__():
            Watched.looks += 1
            yield file


def test_work_grows_with_the_files_and_not_faster() -> None:
    def work(count: int) -> int:
        packages = [package(f"p{number}", marker=f"python_full_version < '3.12.{number % 20}'") for number in range(count)]
        Watched.looks = 0
        plan(Lock(packages=tuple(replace(one, wheels=Watched(one.wheels)) for one in packages)), [LINUX, WINDOWS])
        return Watched.looks

    assert work(400) == 10 * work(40) > 0


TAGS = [
    "py3-none-any",
    "py2-none-any",
    "cp312-cp312-manylinux_2_17_x86_64",
    "cp312-cp312-manylinux_2_34_x86_64",
    "cp311-cp311-manylinux2014_x86_64",
    "cp39-abi3-win_amd64",
    "cp312-cp312-win_amd64",
    "cp311-cp311-musllinux_1_1_x86_64",
]
MARKERS = [
    None,
    "sys_platform == 'win32'",
    "python_version < '3.12'",
    "python_full_version < '3.11.4'",
    "python_full_version >= '3.12.2' or os_name == 'nt'",
    "'x' in extras",
    "'dev' in dependency_groups and sys_platform != 'win32'",
    "platform_machine == 'AMD64'",
]


@given(
    st.lists(st.tuples(st.sampled_from(MARKERS), st.sets(st.sampled_from(TAGS), max_size=4), st.booleans()), min_size=1, max_size=6),
    st.sampled_from([LINUX, WINDOWS, OLD]),
    st.sets(st.just("x")),
    st.sets(st.just("dev")),
)
@settings(max_examples=60, deadline=None)
def test_picks_are_those_of_packaging(
    rows: list[tuple[str | None, set[str], bool]], target: Target, extras: set[str], groups: set[str]
) -> None:
    """``Pylock.select`` at each breakpoint, package by package, as it stops at the first one that it cannot serve."""
    rows = [row for row in rows if row[1] or row[2]]
    lock = Lock(
        packages=tuple(
            package(f"p{at}", wheels=tuple(f"p{at}-1.0-{tag}.whl" for tag in sorted(tags)), sdist=sdist, marker=marker)
            for at, (marker, tags, sdist) in enumerate(rows)
        ),
        origin="pylock.toml",
    )
    found = plan(lock, [target], Policy(extras=frozenset(extras), groups=frozenset(groups)))
    for point in target.patches.points(Version(f"{minor}.{patch}") for minor in ("3.11", "3.12") for patch in range(8)):
        expected = {one.name: _selected(one, target, point, extras, groups) for one in lock.packages}
        planned = {}
        for entry in found.entries:
            holds = entry.marker is None or Marker(entry.marker).evaluate({"python_full_version": point})
            if holds:
                decision = entry.decision
                kind = decision.file.filename if isinstance(decision, Take) else type(decision).__name__
                planned[entry.package.name] = kind
        assert planned == {name: pick for name, pick in expected.items() if pick is not None}


def _selected(locked: LockedPackage, target: Target, point: str, extras: set[str], groups: set[str]) -> str | None:
    environment = {**target.environment, "python_full_version": point, "python_version": ".".join(point.split(".")[:2])}
    environment |= {"platform_release": "", "platform_version": "", "implementation_version": point}
    hashes = {"sha256": "0" * 64}
    entry = Package(
        name=canonicalize_name(locked.name),
        version=locked.version,
        marker=locked.marker,
        wheels=[PackageWheel(name=file.filename, url=file.url, hashes=hashes) for file in locked.wheels] or None,
        sdist=PackageSdist(name=locked.sdist.filename, url=locked.sdist.url, hashes=hashes) if locked.sdist else None,
    )
    pylock = Pylock(
        lock_version=Version("1.0"), created_by="test", packages=[entry], extras=[canonicalize_name("x")], dependency_groups=["dev"]
    )
    try:
        picks = list(pylock.select(environment=environment, tags=target.tags, extras=extras, dependency_groups=groups))  # type: ignore[arg-type]
    except PylockSelectError:
        return "Gap"
    if not picks:
        return None
    return picks[0][1].filename if isinstance(picks[0][1], PackageWheel) else "Build"

"""Who asks for a package: paths and refusals, against a search that tries everything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.requirements import Requirement
from packaging.version import Version

from hardtack.model.lock import LockedRoot, Waiver
from hardtack.model.manifest import Pin
from hardtack.model.target import Target
from hardtack.model.wheel import WheelFacts
from hardtack.targets.catalog import parse_target
from hardtack.verifying.closure import walk_of
from hardtack.verifying.paths import Routes, Unasked, routes, unasked
from hardtack.verifying.walk import Walk

LINUX, WINDOWS = parse_target("py311-linux-x86_64"), parse_target("py311-windows-x86_64")
Graph = Mapping[str, Sequence[str]]


def wheel(name: str, requires: Sequence[str]) -> WheelFacts:
    return WheelFacts(
        filename=f"{name}-1.0-py3-none-any.whl", sha256="", size=0, name=name, version=Version("1.0"), build=(), tags=frozenset(),
        requires_python=None, requires=tuple(Requirement(text) for text in requires), extras=frozenset(), display_name=name,
    )  # fmt: skip


def walked(
    graph: Graph, roots: Sequence[str], target: Target = LINUX, waivers: Sequence[Waiver] = (), leave_out: Sequence[str] = ()
) -> tuple[Walk, tuple[tuple[LockedRoot, Requirement], ...]]:
    there = {name: requires for name, requires in graph.items() if name not in leave_out}
    return walk_of(
        target=target,
        roots=[LockedRoot(requirement=text, origin=f"in:{at}") for at, text in enumerate(roots, 1)],
        available={name: [wheel(name, requires)] for name, requires in there.items()},
        pins=[Pin(target=target.name, name=name, version="1.0", filename=f"{name}-1.0-py3-none-any.whl") for name in there],
        waivers=waivers,
    )


def paths(graph: Graph, roots: Sequence[str], name: str, target: Target = LINUX, limit: int = 99, **more: Sequence[Waiver]) -> Routes:
    return routes(walked(graph, roots, target, **more)[0], name, limit=limit)  # type: ignore[arg-type]


def words(found: Routes) -> list[list[str]]:
    return [[str(step) for step in route.steps] for route in found.shown]


def refusals(graph: Graph, roots: Sequence[str], name: str, target: Target = LINUX, waivers: Sequence[Waiver] = ()) -> tuple[Unasked, ...]:
    walk, chosen = walked(graph, roots, target, waivers)
    return unasked(walk, name, chosen)


def test_the_shortest_path_comes_first() -> None:
    graph = {"a": ["b"], "b": ["c"], "c": [], "d": ["c>=1"]}
    assert words(paths(graph, ["a", "d"], "c")) == [
        ["in:2: d", "d 1.0: c>=1"],
        ["in:1: a", "a 1.0: b", "b 1.0: c"],
    ]


def test_more_are_counted() -> None:
    graph = {"x": [], **{f"a{at}": ["x"] for at in range(9)}}
    found = paths(graph, [f"a{at}" for at in range(9)], "x", limit=4)
    assert (len(found.shown), found.more, found.bounded) == (4, 5, False)
    assert len(found.roots) == 9


def test_there_may_be_more_than_anybody_can_count() -> None:
    graph: dict[str, list[str]] = {"x": []}
    for level in range(24):
        following = [f"l{level + 1}a", f"l{level + 1}b"] if level < 23 else ["x"]
        graph |= {f"l{level}a": following, f"l{level}b": following}
    found = paths(graph, ["l0a"], "x", limit=3)
    assert found.bounded
    assert len(found.shown) == 3
    assert all(len(route.steps) == 25 for route in found.shown)


def test_circles_end() -> None:
    graph = {"a": ["b"], "b": ["a", "c"], "c": ["b"]}
    assert words(paths(graph, ["a"], "c")) == [["in:1: a", "a 1.0: b", "b 1.0: c"]]
    assert words(paths(graph, ["a"], "a")) == [["in:1: a"]]


def test_the_marker_and_the_extra_are_told() -> None:
    graph = {"a": ['b[fast] ; os_name == "posix"'], "b": ['c>1 ; extra == "fast"', 'd ; extra == "slow"'], "c": [], "d": []}
    (route,) = paths(graph, ["a"], "c").shown
    assert [(step.asker, step.extra, step.requirement, step.marker) for step in route.steps] == [
        ("in:1", None, "a", None),
        ("a 1.0", None, "b[fast]", 'os_name == "posix"'),
        ("b 1.0", "fast", "c>1", 'extra == "fast"'),
    ]
    assert paths(graph, ["a"], "c", WINDOWS) == Routes()


def test_an_extra_that_asks_for_another_extra_of_the_same_package() -> None:
    graph = {"a": ['a[x] ; extra == "all"', 'b ; extra == "x"'], "b": []}
    (route,) = paths(graph, ["a[all]"], "b").shown
    assert [str(step) for step in route.steps] == ["in:1: a[all]", 'a 1.0[all]: a[x] ; extra == "all"', 'a 1.0[x]: b ; extra == "x"']


def test_a_path_holds_only_where_all_its_steps_do() -> None:
    graph = {"a": ['b ; python_full_version < "3.11.3"'], "b": ['c ; python_full_version >= "3.11.3"', "d"], "c": [], "d": []}
    assert paths(graph, ["a"], "c") == Routes()
    (route,) = paths(graph, ["a"], "d").shown
    assert route.where == "3.11.0 to 3.11.2"


def test_two_versions_for_two_stretches_of_patches_have_paths_of_their_own() -> None:
    older, newer = wheel("b", ["c"]), wheel("b", ["d"])
    early, late = 'python_full_version < "3.11.3"', 'python_full_version >= "3.11.3"'
    facts = [replace(older, filename="b-1"), replace(newer, filename="b-2", version=Version("2.0"))]
    walk, _ = walk_of(
        target=LINUX,
        roots=[LockedRoot(requirement=f"a ; {early}", origin="in:1"), LockedRoot(requirement=f"e ; {late}", origin="in:2")],
        available={"a": [wheel("a", ["b"])], "e": [wheel("e", ["b"])], "b": facts, "c": [wheel("c", [])], "d": [wheel("d", [])]},
        pins=[
            *(Pin(target=LINUX.name, name=name, version="1.0", filename=f"{name}-1.0-py3-none-any.whl") for name in "aecd"),
            Pin(target=LINUX.name, name="b", version="1.0", filename="b-1", marker=early),
            Pin(target=LINUX.name, name="b", version="2.0", filename="b-2", marker=late),
        ],
    )
    (route,) = routes(walk, "c").shown
    assert [step.asker for step in route.steps] == ["in:1", "a 1.0", "b 1.0"]
    (route,) = routes(walk, "d").shown
    assert [step.asker for step in route.steps] == ["in:2", "e 1.0", "b 2.0"]
    assert route.where == "3.11.3 and later"


def test_one_that_does_not_lie_there_is_still_asked_for() -> None:
    walk, _ = walked({"a": ["b"], "b": []}, ["a"], leave_out=["b"])
    assert words(routes(walk, "b")) == [["in:1: a", "a 1.0: b"]]


def test_overrides_and_excludes() -> None:
    graph = {"a": ["b<1", "c"], "b": [], "c": []}
    waivers = [Waiver(kind="override", requirement="b>=1", origin="o"), Waiver(kind="exclude", requirement="c", origin="o")]
    (route,) = paths(graph, ["a"], "b", waivers=waivers).shown
    assert (route.steps[1].requirement, route.steps[1].waiver) == ("b>=1", "b>=1")
    (other,) = refusals(graph, ["a"], "c", waivers=waivers)
    assert (other.asker, other.reason) == ("a 1.0", "it is excluded by the configuration")


def test_why_nobody_asks() -> None:
    graph = {"a": ['w ; sys_platform == "win32"', 't ; extra == "test"'], "w": [], "t": []}
    (other,) = refusals(graph, ["a"], "w")
    assert (other.asker, other.requirement, other.marker, other.reason) == (
        "a 1.0",
        "w",
        'sys_platform == "win32"',
        "its marker does not hold",
    )
    (other,) = refusals(graph, ["a"], "t")
    assert other.reason == "only its extra test asks for it, and nobody asks for that"
    assert refusals(graph, ["a"], "w", WINDOWS) == ()
    both = {"a": ['w ; extra == "test" and sys_platform == "win32"'], "w": []}
    (other,) = refusals(both, ["a[test]"], "w")
    assert other.reason == "its marker does not hold"
    assert refusals(graph, ["a[test]"], "t") == ()
    (other,) = refusals(graph, ['a ; sys_platform == "win32"'], "a")
    assert other.asker == "in:1"


_NAMES = ["a", "b", "c", "d", "e"]
_MARKERS = ["", ' ; sys_platform == "linux"', ' ; sys_platform == "win32"', ' ; python_full_version < "3.11.4"']
_GRAPHS = st.fixed_dictionaries(
    {name: st.lists(st.tuples(st.sampled_from(_NAMES), st.sampled_from(_MARKERS)), max_size=4, unique=True) for name in _NAMES}
)


@settings(max_examples=60, deadline=None)
@given(_GRAPHS, st.lists(st.sampled_from(_NAMES), min_size=1, max_size=3, unique=True), st.sampled_from(_NAMES))
def test_every_path_is_found_and_no_other(graph: dict[str, list[tuple[str, str]]], roots: list[str], name: str) -> None:
    texts = {asker: [f"{asked}{marker}" for asked, marker in requires] for asker, requires in graph.items()}
    found = paths(texts, roots, name, limit=10_000)
    told = [tuple(step.requirement + (f" ; {step.marker}" if step.marker else "") for step in route.steps) for route in found.shown]
    assert [len(path) for path in told] == sorted(len(path) for path in told)
    assert sorted(told) == sorted(_everything(texts, roots, name))
    assert found.more == 0


def _everything(graph: Graph, roots: Sequence[str], name: str) -> Iterator[tuple[str, ...]]:
    """Depth first, with nothing clever: markers by packaging itself, at a patch on either side of the only cut."""

    def holds(requirement: Requirement, full: str) -> bool:
        environment = {"sys_platform": "linux", "python_full_version": full}
        return requirement.marker is None or requirement.marker.evaluate(environment)

    def follow(path: tuple[str, ...], at: str, seen: frozenset[str], points: frozenset[str]) -> Iterator[tuple[str, ...]]:
        if at == name:
            yield path
            return
        for text in graph[at]:
            requirement = Requirement(text)
            left = frozenset(point for point in points if holds(requirement, point))
            if left and requirement.name not in seen:
                yield from follow(
                    (*path, str(requirement).replace("; ", " ; ").replace("  ", " ")), requirement.name, seen | {requirement.name}, left
                )

    for root in roots:
        yield from follow((root,), root, frozenset({root}), frozenset({"3.11.0", "3.11.4"}))

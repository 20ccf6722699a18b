"""What would fill a gap, and how the commands that do it are written."""

from __future__ import annotations

import shlex

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from hardtack.model.index import IndexFile, ProjectPage
from hardtack.model.lock import Lock, LockedFile, LockedPackage
from hardtack.model.plan import Gap, PlanEntry
from hardtack.model.requirements import FormatControl
from hardtack.planning.plan import Policy, plan
from hardtack.planning.remedies import Ask, Remedy, Typed, by_index, newer_versions, remedies
from hardtack.targets.catalog import parse_target

LINUX = parse_target("py312-linux-x86_64")
FITS = "cp312-cp312-manylinux_2_17_x86_64.whl"


def page(*names: str, yanked: str | None = None) -> ProjectPage:
    files: dict[Version, tuple[IndexFile, ...]] = {}
    for name in names:
        version = Version(name.split("-")[1].removesuffix(".tar.gz"))
        file = IndexFile(filename=name, url="", index="pypi", yanked="bad" if name == yanked else None)
        files[version] = (*files.get(version, ()), file)
    return ProjectPage(name="a", index="pypi", files=files)


def gap(*wheels: str, sdist: bool = False, formats: FormatControl | None = None) -> PlanEntry:
    files = tuple(LockedFile(filename=name, url="", sha256="0" * 64) for name in wheels)
    source = LockedFile(filename="a-2.0.tar.gz", url="", sha256="0" * 64) if sdist else None
    lock = Lock(packages=(LockedPackage(name="a", version=Version("2.0"), wheels=files, sdist=source),))
    (entry,) = plan(lock, [LINUX], Policy(formats=formats or FormatControl())).entries
    return entry


def found(
    entry: PlanEntry, *pages: ProjectPage, asks: tuple[Ask, ...] = (), typed: Typed | None = None, formats: FormatControl | None = None
) -> tuple[Remedy, ...]:
    return remedies(
        entry,
        LINUX,
        pages=pages,
        asks=asks,
        formats=formats or FormatControl(),
        typed=typed or Typed(asked=("a",)),
        spell=lambda floor: f"floor{floor[0]}_{floor[1]}",
        relock="hardtack fix a",
    )


def ask(text: str, *, root: bool = False) -> Ask:
    return Ask(asker="b 1.0", requirement=Requirement(text), root=root)


def test_versions_that_all_allow_come_first_though_others_are_nearer() -> None:
    told = found(gap("a-2.0-py3-none-win32.whl"), page(f"a-1.0-{FITS}", f"a-2.1-{FITS}", f"a-3.0-{FITS}"), asks=(ask("a!=2.1,<3"),))
    assert [(one.version, one.allowed, one.command) for one in told] == [
        ("1.0", True, "hardtack fix a"),
        ("2.1", False, None),
        ("3.0", False, None),
    ]
    assert told[1].against == ("b 1.0 requires a!=2.1,<3",)


@pytest.mark.parametrize("asks", [(), (Ask(asker="b 1.0", requirement=None),)])
def test_what_is_not_known_is_not_promised(asks: tuple[Ask, ...]) -> None:
    (one,) = found(gap("a-2.0-py3-none-win32.whl"), page(f"a-2.1-{FITS}"), asks=asks)
    assert one.allowed is None
    assert "not known" in one.words


def test_a_file_of_the_same_version() -> None:
    (one,) = found(gap("a-2.0-py3-none-win32.whl"), page("a-2.0-py3-none-any.whl"))
    assert (one.kind, one.filename) == ("relock", "a-2.0-py3-none-any.whl")


def test_a_floor_takes_the_place_of_its_target() -> None:
    typed = Typed(asked=("a",), targets=("py311-linux-x86_64", LINUX.name), output=("-o", "there"))
    (one,) = found(gap("a-2.0-cp312-cp312-manylinux_2_34_x86_64.whl"), typed=typed)
    assert one.command == "hardtack build a -t py311-linux-x86_64 -t floor2_34 -o there"


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (["a", "--only-binary", ":all:"], ["a", "--only-binary", ":all:", "--no-binary", "a"]),
        (["a", "--only-binary", "A"], ["a", "--no-binary", "a"]),
        (["a", "--only-binary", "a,b", "--pre"], ["a", "--only-binary", "b", "--pre", "--no-binary", "a"]),
        (["a", "--only-binary", "b"], ["a", "--only-binary", "b", "--no-binary", "a"]),
    ],
)
def test_what_is_lifted_does_not_contradict_what_was_typed(asked: list[str], words: list[str]) -> None:
    only = FormatControl(only_binary=frozenset({"a"}))
    entry = gap(sdist=True, formats=only)
    assert isinstance(entry.decision, Gap)
    (one,) = found(entry, typed=Typed(asked=tuple(asked)), formats=only)
    assert one.command is not None
    assert shlex.split(one.command) == ["hardtack", "build", *words]


def test_where_no_file_is_at_fault_no_other_file_is_offered() -> None:
    entry = gap()
    entry = PlanEntry(target=entry.target, package=entry.package, decision=Gap(code="conflict", reason="two", hint="choose"), points=())
    assert [(one.kind, one.words) for one in found(entry, page(f"a-3.0-{FITS}"))] == [("statement", "choose")]


def test_newer_versions_have_every_reason() -> None:
    names = [f"a-{version}-{FITS}" for version in ("2.1", "2.2")] + ["a-2.3-py3-none-win32.whl", "a-2.3.tar.gz", f"a-2.4b1-{FITS}"]
    told = newer_versions(Version("2.0"), [page(*names, yanked=f"a-2.2-{FITS}")], [LINUX], [ask("a<2.3")], prereleases=False)
    assert {one.version: one.reasons for one in told} == {
        "2.4b1": ("b 1.0 requires a<2.3", "it is a pre-release"),
        "2.3": ("b 1.0 requires a<2.3", f"no wheel of it fits {LINUX.name}, it would have to be built"),
        "2.2": ("it is yanked (bad)",),
        "2.1": (),
    }


def test_a_pre_release_may_be_wanted() -> None:
    (one,) = newer_versions(Version("2.0"), [page(f"a-2.4b1-{FITS}")], [LINUX], [], prereleases=True)
    assert one.reasons == ()


def test_what_was_tried_in_vain_is_not_told_to_be_tried() -> None:
    entry = gap("a-2.0-py3-none-win32.whl")
    (one,) = remedies(
        entry, LINUX, pages=[page(f"a-2.1-{FITS}")], asks=[ask("a>=2")], formats=FormatControl(), typed=Typed(), spell=str, relock=None
    )  # fmt: skip
    assert one.command is None
    assert "nothing was found" in one.words


def test_another_index_has_priority() -> None:
    pages = {"one": page(f"a-2.0-{FITS}"), "two": page(f"a-2.0-{FITS}", "a-2.1-py3-none-any.whl")}
    assert by_index(pages, "one", Version("2.0")) == ((f"a-2.0-{FITS}", "on two, and one has priority"),)

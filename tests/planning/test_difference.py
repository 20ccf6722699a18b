"""Two inventories compared: what differs is told, and what one side does not know is no difference."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hardtack.planning.difference import Inventory, Kind, ListedFile, ListedPackage, Taken, compare

A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64


def file(name: str, digest: str | None = A, *, size: int | None = 10, licence: str | None = None) -> ListedFile:
    return ListedFile(filename=name, digests=frozenset({digest} if digest else ()), size=size, licence=licence)


def package(version: str | None, *files: ListedFile, name: str = "p", source: str | None = None) -> ListedPackage:
    return ListedPackage(name=name, version=version, files=files, source=source)


def side(*packages: ListedPackage, kind: Kind = "wheelhouse", **targets: tuple[Taken, ...]) -> Inventory:
    return Inventory(label="x", kind=kind, packages=packages, targets=targets)


WHEEL = file("p-1-py3-none-any.whl")


def test_added_removed_and_changed() -> None:
    old = side(package("1", WHEEL), package("1", name="gone"), package("3", name="same"))
    new = side(package("2", file("p-2-py3-none-any.whl", B, size=30)), package("1", name="new"), package("3", name="same"))
    found = compare(old, new)
    assert [(change.name, change.change, change.versions) for change in found.packages] == [
        ("gone", "removed", (("1",), ())),
        ("new", "added", ((), ("1",))),
        ("p", "changed", (("1",), ("2",))),
    ]
    assert found.same == 1
    assert found.packages[2].sizes == (10, 30)
    assert (found.packages[2].removed, found.packages[2].added) == (("p-1-py3-none-any.whl",), ("p-2-py3-none-any.whl",))
    assert not found.empty
    assert compare(old, old).empty


def test_other_bytes_under_one_name_are_told() -> None:
    [change] = compare(side(package("1", WHEEL)), side(package("1", replace(WHEEL, digests=frozenset({B}))))).packages
    assert [(one.filename, one.before, one.after) for one in change.replaced] == [(WHEEL.filename, A, B)]
    assert change.same_versions


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        (WHEEL, replace(WHEEL, digests=frozenset()), True),
        (WHEEL, replace(WHEEL, digests=frozenset({"sha512:" + "c" * 128})), True),
        (WHEEL, replace(WHEEL, digests=frozenset({A, "md5:" + "c" * 32})), True),
        (replace(WHEEL, digests=frozenset({A, "md5:1"})), replace(WHEEL, digests=frozenset({A, "md5:2"})), False),
        (WHEEL, replace(WHEEL, digests=frozenset({A.upper().replace("SHA256", "sha256")})), True),
        (WHEEL, replace(WHEEL, digests=frozenset({A, B})), True),
        (WHEEL, replace(WHEEL, size=None), True),
        (WHEEL, replace(WHEEL, size=11), False),
        (WHEEL, replace(WHEEL, licence="MIT"), True),
        (replace(WHEEL, licence="BSD"), replace(WHEEL, licence="MIT"), False),
    ],
)
def test_what_one_side_does_not_know_is_no_difference(old: ListedFile, new: ListedFile, same: bool) -> None:
    assert compare(side(package("1", old)), side(package("1", new))).empty is same
    assert compare(side(package("1", new)), side(package("1", old))).empty is same


def test_between_a_lock_and_a_wheelhouse_only_versions_and_common_files_count() -> None:
    lock = side(package("1", WHEEL, file("p-1-cp312-cp312-win_amd64.whl"), file("p-1.tar.gz")), kind="pylock.toml")
    assert compare(lock, side(package("1", WHEEL))).empty
    assert compare(side(package("1", WHEEL)), lock).empty
    assert compare(lock, side(package("1", file("p-1-cp312-cp312-linux_x86_64.whl")))).empty
    assert [one.filename for one in compare(lock, side(package("1", replace(WHEEL, digests=frozenset({B}))))).packages[0].replaced] == [
        WHEEL.filename
    ]
    assert compare(lock, side(package("2", file("p-2-py3-none-any.whl")))).packages[0].versions == (("1",), ("2",))
    assert not compare(lock, side(package("1", WHEEL), kind="uv.lock")).empty


def test_where_it_comes_from_and_versions_that_only_a_build_tells() -> None:
    one, other = package("1", source="git+https://x@aaa"), package("1", source="git+https://x@bbb")
    assert compare(side(one, kind="uv.lock"), side(other, kind="pylock.toml")).packages[0].moved
    assert compare(side(package(None, source="virtual ."), kind="uv.lock"), side(package("1", source="virtual ."), kind="uv.lock")).empty
    assert compare(side(one, kind="uv.lock"), side(package("1", WHEEL))).empty


def taken(version: str, filename: str | None, digest: str | None = None, *, gap: bool = False) -> Taken:
    return Taken(name="p", version=version, filename=filename, digest=digest, gap=gap)


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ((taken("1", "a.whl", A),), (taken("1", "a.whl", A),), True),
        ((taken("1", "a.whl", A),), (taken("1", "a.whl", B),), False),
        ((taken("1", "a.whl", A),), (taken("1", "a.whl", None),), True),
        ((taken("1", "a.whl", A),), (taken("1", "b.whl", A),), False),
        ((taken("1", None),), (taken("1", "built.whl", A),), True),
        ((taken("1", None),), (taken("2", "built.whl", A),), False),
        ((taken("1", None, gap=True),), (), True),
        ((taken("1", None, gap=True),), (taken("1", "a.whl"),), False),
        ((taken("1", "a.whl"),), (), False),
        ((taken("1", "a.whl"), taken("2", "b.whl")), (taken("2", "b.whl"), taken("1", "a.whl")), True),
        ((taken("1", "a.whl"), taken("2", "b.whl")), (taken("2", "b.whl"),), False),
    ],
)
def test_what_a_target_gets(old: tuple[Taken, ...], new: tuple[Taken, ...], same: bool) -> None:
    assert compare(side(t=old), side(t=new)).empty is same
    assert compare(side(t=new), side(t=old)).empty is same


def test_targets_that_only_one_side_has() -> None:
    gets = (taken("1", "a.whl"),)
    found = compare(side(t=gets, old=gets), side(t=gets, new=gets))
    assert (found.targets_added, found.targets_removed, found.targets) == (("new",), ("old",), {"t": ()})
    assert not found.empty
    assert compare(side(t=gets), side()).empty


PACKAGES = st.lists(
    st.builds(
        package,
        st.sampled_from(["1", "1.10", "1.9", "2.0rc1", None]),
        st.builds(file, st.sampled_from(["a.whl", "b.whl"]), st.sampled_from([A, B, None]), size=st.sampled_from([1, 2, None])),
        name=st.sampled_from(["p", "q"]),
    ),
    max_size=4,
)


@settings(max_examples=60, deadline=None)
@given(PACKAGES, PACKAGES, st.sampled_from(["wheelhouse", "uv.lock"]), st.sampled_from(["wheelhouse", "pylock.toml"]))
def test_the_other_way_round_it_is_the_same_difference(old: list[ListedPackage], new: list[ListedPackage], kind: Kind, other: Kind) -> None:
    there = compare(side(*old, kind=kind), side(*new, kind=other))
    back = compare(side(*new, kind=other), side(*old, kind=kind))
    turned = {"added": "removed", "removed": "added", "changed": "changed"}
    assert [(one.name, turned[one.change], one.versions[::-1], one.added) for one in there.packages] == [
        (one.name, one.change, one.versions, one.removed) for one in back.packages
    ]
    assert compare(side(*old, kind=kind), side(*old, kind=kind)).empty

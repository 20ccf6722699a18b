"""What would fill a gap."""

from __future__ import annotations

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from hardtack.model.index import IndexFile, ProjectPage
from hardtack.model.lock import Lock, LockedFile, LockedPackage
from hardtack.model.plan import PlanEntry
from hardtack.model.target import Target
from hardtack.planning.explain import Help, what_would_help
from hardtack.planning.plan import plan
from hardtack.targets.catalog import parse_target

LINUX = parse_target("py312-linux-x86_64")


def gap(*wheels: str, sdist: bool = False, target: Target = LINUX) -> PlanEntry:
    files = tuple(LockedFile(filename=name, url="", sha256="0" * 64) for name in wheels)
    source = LockedFile(filename="a-2.0.tar.gz", url="", sha256="0" * 64) if sdist else None
    lock = Lock(packages=(LockedPackage(name="a", version=Version("2.0"), wheels=files, sdist=source),))
    (entry,) = plan(lock, [target]).entries
    return entry


def page(*names: str, yanked: tuple[str, ...] = (), python: dict[str, str] | None = None) -> dict[str, tuple[ProjectPage, ...]]:
    files: dict[Version, tuple[IndexFile, ...]] = {}
    for name in names:
        version = Version(name.split("-")[1])
        needs = SpecifierSet(python[name]) if python and name in python else None
        file = IndexFile(filename=name, url="", index="pypi", yanked="bad" if name in yanked else None, requires_python=needs)
        files[version] = (*files.get(version, ()), file)
    return {"a": (ProjectPage(name="a", index="pypi", files=files),)}


def helped(entry: PlanEntry, pages: dict[str, tuple[ProjectPage, ...]] | None = None, target: Target = LINUX) -> Help:
    return what_would_help(entry, target, pages or {})


def test_a_floor_that_would_do() -> None:
    assert "glibc 2.34" in (
        helped(gap("a-2.0-cp312-cp312-manylinux_2_34_x86_64.whl", "a-2.0-cp312-cp312-manylinux_2_39_x86_64.whl")).hint or ""
    )
    mac = parse_target("py312-macos-arm64")
    assert "macOS 14.0" in (helped(gap("a-2.0-cp312-cp312-macosx_14_0_arm64.whl", target=mac), target=mac).hint or "")


def test_only_for_one_system() -> None:
    assert helped(gap("a-2.0-py3-none-win32.whl", "a-2.0-py3-none-win_amd64.whl")).hint == "its wheels are only for Windows"


def test_an_sdist_that_exists() -> None:
    assert "a-2.0.tar.gz" in (helped(gap("a-2.0-py3-none-win32.whl", sdist=True)).hint or "")


def test_the_nearest_other_versions_that_fit() -> None:
    fits = "cp312-cp312-manylinux_2_17_x86_64.whl"
    pages = page(
        f"a-1.0-{fits}", f"a-1.9-{fits}", "a-1.95-py3-none-win32.whl", f"a-2.1-{fits}", f"a-3.0-{fits}", f"a-3.5-{fits}",
        f"a-4.0rc1-{fits}",
        f"a-1.99-{fits}", f"a-2.05-{fits}",
        yanked=(f"a-3.5-{fits}",), python={f"a-1.99-{fits}": "<3.12", f"a-2.05-{fits}": ">=3.12.4"},
    )  # fmt: skip
    found = helped(gap("a-2.0-py3-none-win32.whl"), pages)
    assert [str(one.version) for one in found.candidates] == ["2.1", "1.9", "3.0"]
    assert found.hint is not None and f"a-2.1-{fits}" in found.hint


def test_a_file_of_this_version_that_the_lock_leaves_out() -> None:
    found = helped(gap("a-2.0-py3-none-win32.whl"), page("a-2.0-py3-none-win32.whl", "a-2.0-py3-none-any.whl"))
    assert [one.filename for one in found.candidates] == ["a-2.0-py3-none-any.whl"]
    assert "lock again" in (found.hint or "")


def test_nothing_would_help() -> None:
    found = helped(gap("a-2.0-cp39-cp39-win32.whl", "a-2.0-cp39-cp39-macosx_11_0_arm64.whl"), page("a-1.0-cp39-cp39-win32.whl"))
    assert found == Help(hint="no version of it on these indexes has a wheel for this target")

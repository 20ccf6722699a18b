"""What builds ask for: locked by hash, obeyed, built first where it has no wheel, and beside what it has nothing to do with."""

from __future__ import annotations

import dataclasses
import hashlib
import tomllib
import urllib.request
import zipfile

from hardtack import BuildOptions
from hardtack.model.lock import Lock, LockedBuild
from hardtack.wheelhouse.pylock import read_pylock, write_pylock
from tests.building.projects import HONEST, PYPROJECT
from tests.scenarios.yard import Yard, errors, proven
from tests.support.archives import make_sdist

# What the tool was is in the wheel, so that another would be seen.
TELLS = (
    "def metadata(plain=metadata):\n"
    "    import tool\n"
    "    return plain() + 'Summary: tool %s\\n' % getattr(tool, 'version', 'that was built')\n"
    "REQUIRES = []\n"
)
ASKS = "def get_requires_for_build_wheel(config=None):\n    return ['late']\n"


def sdist(yard: Yard, name: str = "mini", more: str = TELLS, *, requires: tuple[str, ...] = ("tool",), static: bool = True) -> str:
    """Put an sdist with a backend of its own on the index; its file name."""
    head = f"Metadata-Version: 2.2\nName: {name}\nVersion: 1.0\n" if static else None
    backend = HONEST.replace('"mini"', repr(name)) + more
    filename, data = make_sdist(
        name, pyproject=PYPROJECT.format(requires=list(requires)), metadata=head, files={"backend.py": backend.encode()}
    )
    yard.index.add(filename, data)
    return filename


def kept(yard: Yard) -> Lock:
    """The lock in the wheelhouse."""
    path = yard.wheelhouse / "pylock.toml"
    return read_pylock(path.read_text(encoding="utf-8"), where=str(path), base=path.parent)


def one(lock: Lock) -> LockedBuild:
    """The only locked build of a lock."""
    (build,) = lock.builds
    return build


def digest(yard: Yard, filename: str) -> str:
    """The sha256 of a file of the index, as a client that asks for it sees it."""
    with urllib.request.urlopen(f"{yard.index.files_url}/{filename}") as answer:
        return hashlib.sha256(answer.read()).hexdigest()


def summary(yard: Yard, name: str = "mini") -> str:
    """What the built wheel says of its tool."""
    with zipfile.ZipFile(next(yard.wheelhouse.glob(f"{name}-*.whl"))) as wheel:
        text = wheel.read(f"{name}-1.0.dist-info/METADATA").decode()
    return next(line for line in text.splitlines() if line.startswith("Summary"))


def test_static_and_dynamic_requirements_are_in_the_lock_with_their_hashes(yard: Yard) -> None:
    sdist(yard, more=TELLS + ASKS)
    tool, late = yard.wheel("tool", "1.0", requires=["below"]), yard.wheel("late", "2.0")
    below = yard.wheel("below")
    proven(yard.build("mini"))
    build = one(kept(yard))
    assert set(build.requires) == {"late", "tool"}
    files = {file.filename: file.sha256 for package in build.packages for file in package.wheels}
    assert files == {name: digest(yard, name) for name in (tool, late, below)}
    assert "late" not in {package.name for package in kept(yard).packages}


def test_a_second_run_keeps_the_locked_tools_and_an_upgrade_does_not(yard: Yard) -> None:
    sdist(yard)
    yard.wheel("tool", "1.0")
    proven(yard.build("mini"))
    yard.wheel("tool", "2.0")
    yard.wheel("other")
    result = yard.build("mini", "other")
    proven(result)
    assert (summary(yard), result.built) == ("Summary: tool 1.0", 0)
    result = yard.build("mini", "other", options=BuildOptions(trial=False, output=yard.wheelhouse, upgrade=frozenset({"tool"})))
    proven(result)
    assert (summary(yard), result.built) == ("Summary: tool 2.0", 1)


def test_locked_builds_take_what_is_locked_and_nothing_else(yard: Yard) -> None:
    sdist(yard)
    yard.wheel("tool", "1.0")
    result = yard.lock("mini")
    proven(result)
    assert result.lock is not None
    assert one(result.lock).requires == ("tool",)
    yard.wheel("tool", "2.0")
    before = len(yard.index.asked("/simple/"))
    options = BuildOptions(trial=False, opinion=False, output=yard.wheelhouse, locked=True)
    inputs = dataclasses.replace(yard.request().inputs, lock_file=yard.project / "pylock.toml")
    proven(yard.build(inputs=inputs, options=options))
    assert summary(yard) == "Summary: tool 1.0"
    # Files were fetched, and no page was asked for: there was nothing to choose.
    assert len(yard.index.asked("/simple/")) == before


def test_locked_refuses_what_the_lock_does_not_say(yard: Yard) -> None:
    sdist(yard)
    yard.wheel("tool", "1.0")
    proven(yard.lock("mini"))
    path = yard.project / "pylock.toml"
    found = read_pylock(path.read_text(encoding="utf-8"), where=str(path), base=path.parent)
    description = tomllib.loads(path.read_text(encoding="utf-8"))["tool"]["hardtack"]["target"]
    path.write_text(write_pylock(dataclasses.replace(found, builds=()), target_descriptions=description, base=path.parent))
    inputs = dataclasses.replace(yard.request().inputs, lock_file=path)
    result = yard.build(inputs=inputs, options=BuildOptions(trial=False, output=yard.wheelhouse, locked=True))
    assert "build-requirements" in errors(result)
    assert any("tool" in finding.message and "--locked" in (finding.hint or "") for finding in result.findings)


def test_locked_rounds_get_all_at_once(yard: Yard) -> None:
    sdist(yard, more=TELLS + ASKS)
    yard.wheel("tool")
    yard.wheel("late")
    proven(yard.lock("mini"))
    inputs = dataclasses.replace(yard.request().inputs, lock_file=yard.project / "pylock.toml")
    proven(yard.build(inputs=inputs, options=BuildOptions(trial=False, output=yard.wheelhouse, locked=True)))
    assert set(one(kept(yard)).requires) == {"late", "tool"}


def test_a_tool_of_another_digest_is_refused(yard: Yard) -> None:
    sdist(yard)
    yard.wheel("tool", "1.0")
    proven(yard.lock("mini"))
    path = yard.project / "pylock.toml"
    text = path.read_text(encoding="utf-8")
    digest = next(file.sha256 for file in one(read_pylock(text, where="x", base=None)).packages[0].wheels)
    assert digest is not None
    path.write_text(text.replace(digest, "0" * 64), encoding="utf-8")
    inputs = dataclasses.replace(yard.request().inputs, lock_file=path)
    result = yard.build(inputs=inputs, options=BuildOptions(trial=False, output=yard.wheelhouse, locked=True))
    assert "hash-mismatch" in errors(result)
    assert not result.stowed


def test_no_build_lock_leaves_them_out(yard: Yard) -> None:
    sdist(yard)
    yard.wheel("tool", "1.0")
    proven(yard.build("mini", options=BuildOptions(trial=False, output=yard.wheelhouse, build_lock=False)))
    assert kept(yard).builds == ()


def test_a_tool_without_a_wheel_is_built_first(yard: Yard) -> None:
    sdist(yard)
    sdist(yard, "tool", "REQUIRES = []\n", requires=("base",))
    yard.wheel("base")
    result = yard.build("mini")
    proven(result)
    assert (summary(yard), result.built) == ("Summary: tool that was built", 2)
    builds = {build.requires: build for build in kept(yard).builds}
    assert builds["tool",].packages[0].sdist is not None
    assert builds["base",].packages[0].wheels


def test_a_circle_of_build_requirements_is_named_and_stops_nothing_else(yard: Yard) -> None:
    """E13."""
    for name, needs in (("one", "two"), ("two", "three"), ("three", "one"), ("outside", "two")):
        sdist(yard, name, "REQUIRES = []\n", requires=(needs,))
    sdist(yard, "mini", "REQUIRES = []\n", requires=())
    options = BuildOptions(trial=False, output=yard.wheelhouse, keep_incomplete=True)
    result = yard.build("one", "outside", "mini", options=options)
    assert errors(result) == ["build-requirements", "build-requirements"]
    words = {finding.package: finding.message for finding in result.findings}
    assert "one-1.0.tar.gz needs two-1.0.tar.gz needs three-1.0.tar.gz needs one-1.0.tar.gz" in words["one"]
    assert "needs two-1.0.tar.gz" in words["outside"]
    assert yard.files() == {"mini-1.0-py3-none-any.whl"}


def test_a_circle_of_one(yard: Yard) -> None:
    sdist(yard, "mini", "REQUIRES = []\n", requires=("mini",))
    result = yard.build("mini")
    assert errors(result) == ["build-requirements"]
    assert "mini-1.0.tar.gz needs mini-1.0.tar.gz" in result.findings[0].message


def test_the_same_sources_give_the_same_wheelhouse_twice(yard: Yard) -> None:
    """E8: another day's run, another cache, another folder."""
    sdist(yard, more=TELLS + ASKS)
    yard.wheel("tool")
    yard.wheel("late")
    proven(yard.build("mini"))
    first = {path.name: path.read_bytes() for path in yard.wheelhouse.iterdir() if path.is_file()}
    again = dataclasses.replace(yard, home=yard.home / "another", project=yard.project / "elsewhere")
    again.home.mkdir()
    again.project.mkdir()
    result = again.build("mini")
    proven(result)
    assert result.built == 1
    assert {path.name: path.read_bytes() for path in again.wheelhouse.iterdir() if path.is_file()} == first

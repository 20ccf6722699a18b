"""What builds take, from odd sides: tools that only a build describes, rules that changed, one lock for several machines."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hardtack import BuildOptions, IndexFlags, InputRequest, build, lock
from hardtack.building.sandbox import NoSandbox, find_sandbox
from hardtack.model.lock import Lock
from hardtack.system.cancellation import Cancellation
from hardtack.wheelhouse.pylock import read_pylock, read_target_descriptions, write_pylock
from tests.building.projects import HONEST, PYPROJECT
from tests.scenarios.test_build_locks import ASKS, TELLS, kept, one, sdist, summary
from tests.scenarios.yard import LINUX, Yard, codes, errors, proven
from tests.support.archives import make_wheel
from tests.support.loopback import LoopbackIndex

QUIET = "REQUIRES = []\n"


@pytest.fixture
def stop() -> Iterator[Cancellation]:
    """Ends what would never end."""
    stop = Cancellation()
    timer = threading.Timer(60, stop.cancel)
    timer.start()
    yield stop
    timer.cancel()


def tools(found: Lock) -> set[str]:
    """Every tool's version that a lock's builds name."""
    return {f"{package.name} {package.version}" for build in found.builds for package in build.packages}


def folder(yard: Yard, name: str = "mini", more: str = TELLS, *, requires: tuple[str, ...] = ("tool",), uv: str = "") -> Path:
    """A project in a folder, with a backend of its own."""
    place = yard.project / name
    yard.write(f"{name}/pyproject.toml", PYPROJECT.format(requires=list(requires)) + f'[project]\nname = "{name}"\nversion = "1.0"\n' + uv)
    yard.write(f"{name}/backend.py", HONEST.replace('"mini"', repr(name)) + more)
    return place


def locked(yard: Yard) -> Lock:
    """The lock beside the project."""
    path = yard.project / "pylock.toml"
    return read_pylock(path.read_text(encoding="utf-8"), where=str(path), base=path.parent)


def written(yard: Yard, another: Lock) -> None:
    """Put another lock in the place of the project's."""
    path = yard.project / "pylock.toml"
    path.write_text(write_pylock(another, target_descriptions=read_target_descriptions(path.read_text()), base=path.parent))


def elsewhere(yard: Yard, name: str = "another") -> Yard:
    """The same project on a machine that has seen nothing."""
    (yard.home / name).mkdir()
    return dataclasses.replace(yard, home=yard.home / name)


def choosing(yard: Yard, *upgrade: str) -> BuildOptions:
    return BuildOptions(trial=False, output=yard.wheelhouse, upgrade=frozenset(upgrade))


# --- tools that only a build describes ---------------------------------------------------------------------------------------------


def test_tools_that_only_builds_describe_are_built_in_their_order(yard: Yard, stop: Cancellation) -> None:
    for name, needs in (("mini", "tool"), ("tool", "base"), ("base", "under")):
        sdist(yard, name, QUIET, requires=(needs,), static=False)
    yard.wheel("under")
    result = build(yard.request("mini"), BuildOptions(trial=False, output=yard.wheelhouse), stop=stop)
    proven(result)
    assert result.built == 3


def test_a_circle_that_only_builds_describe_is_named(yard: Yard, stop: Cancellation) -> None:
    for name, needs in (("mini", "tool"), ("tool", "base"), ("base", "tool")):
        sdist(yard, name, QUIET, requires=(needs,), static=False)
    with pytest.raises(Exception, match=r"takes itself first.*tool.*base.*tool"):
        build(yard.request("mini"), BuildOptions(trial=False, output=yard.wheelhouse), stop=stop)


def test_what_a_target_pins_is_described_by_that_index(yard: Yard, second: LoopbackIndex) -> None:
    sdist(yard, "mini", "REQUIRES = ['wrong']\n", requires=(), static=False)
    theirs, yard.index = yard.index, second
    sdist(yard, "mini", "REQUIRES = ['right']\n", requires=(), static=False)
    yard.index = theirs
    right = yard.wheel("right")
    yard.write(
        "hardtack.toml",
        f'[[index]]\nname = "second"\nurl = "{second.url}"\nexplicit = true\n'
        f'[[index]]\nname = "first"\nurl = "{yard.index.url}"\ndefault = true\n'
        f'[targets.pinned]\nplatform = "{LINUX}"\nindexes = {{ mini = "second" }}\n',
    )
    proven(yard.build("mini", targets=(), indexes=IndexFlags(retries=0)))
    assert right in yard.files()


# --- rules that changed ------------------------------------------------------------------------------------------------------------


def test_a_constraint_that_is_new_holds_for_tools_that_were_chosen_before(yard: Yard) -> None:
    sdist(yard)
    yard.wheel("tool", "1.0")
    yard.wheel("tool", "2.0")
    proven(yard.build("mini"))
    assert summary(yard) == "Summary: tool 2.0"
    limits = yard.write("limits.txt", "tool<2\n")
    proven(yard.build(inputs=InputRequest(requirements=("mini",), project_dir=yard.project, build_constraint_files=(limits,))))
    assert (tools(kept(yard)), summary(yard)) == ({"tool 1.0"}, "Summary: tool 1.0")


def test_tools_from_source_are_so_from_now_on(yard: Yard) -> None:
    sdist(yard)
    yard.wheel("tool", "1.0")
    sdist(yard, "tool", QUIET, requires=())
    proven(yard.build("mini"))
    proven(yard.build("mini", no_binary=frozenset({"tool"})))
    assert summary(yard) == "Summary: tool that was built"


def test_an_obeyed_lock_gives_no_tool_that_a_constraint_forbids(yard: Yard) -> None:
    sdist(yard)
    yard.wheel("tool", "1.0")
    yard.wheel("tool", "2.0")
    proven(yard.lock("mini"))
    inputs = InputRequest(
        project_dir=yard.project, lock_file=yard.project / "pylock.toml", build_constraint_files=(yard.write("limits.txt", "tool<2\n"),)
    )
    result = yard.build(inputs=inputs, options=BuildOptions(trial=False, output=yard.wheelhouse, locked=True))
    assert errors(result) == ["build-requirements"]
    proven(yard.build(inputs=inputs))
    assert summary(yard) == "Summary: tool 1.0"


def test_another_requirement_leaves_tools_as_they_were_and_an_upgrade_moves_one(yard: Yard) -> None:
    sdist(yard, requires=("tool", "late"))
    for name in ("tool", "late"):
        yard.wheel(name, "1.0")
    proven(yard.build("mini"))
    for name in ("tool", "late"):
        yard.wheel(name, "2.0")
    proven(yard.build("mini", options=choosing(yard, "tool")))
    assert tools(kept(yard)) == {"tool 2.0", "late 1.0"}


def test_a_hash_of_a_build_constraint_must_be_the_tools(yard: Yard) -> None:
    sdist(yard)
    filename, data = make_wheel("tool", "1.0")
    yard.index.add(filename, data)
    right, wrong = f"sha256:{hashlib.sha256(data).hexdigest()}", f"sha512:{'0' * 128}"
    for digest, wrongs in ((wrong, ["hash-mismatch"]), (right, [])):
        limits = yard.write("limits.txt", f"tool==1.0 --hash={digest}\n")
        inputs = InputRequest(requirements=("mini",), project_dir=yard.project, build_constraint_files=(limits,))
        assert errors(yard.build(inputs=inputs)) == wrongs


def test_what_a_folder_no_longer_requires_is_no_longer_there(yard: Yard) -> None:
    place = folder(yard, more="import late\n" + TELLS, requires=("tool", "late"))
    yard.wheel("tool")
    yard.wheel("late", files={"late.py": b""})
    proven(yard.build(f"./{place.name}"))
    folder(yard, more="import late\n" + TELLS, requires=("tool",))
    result = yard.build(f"./{place.name}")
    assert not result.passed
    assert "late" in result.findings[0].message


# --- one lock for several machines -------------------------------------------------------------------------------------------------


def test_editing_a_folder_leaves_its_lock_as_it_is(yard: Yard) -> None:
    place = folder(yard, more=TELLS + ASKS)
    yard.wheel("tool")
    yard.wheel("late")
    proven(yard.lock(f"./{place.name}"))
    (place / "more.txt").write_text("edited")
    result = elsewhere(yard).lock(f"./{place.name}", check=True)
    assert codes(result) == set()
    assert all(source == ("mini", "") for build in locked(yard).builds for source in build.sources)


def test_a_folder_that_requires_something_else_is_locked_anew(yard: Yard) -> None:
    yard.wheel("tool")
    yard.wheel("late")
    for more in ((), ("late",)):
        place = folder(yard, more=QUIET, requires=("tool", *more))
        proven(yard.lock(f"./{place.name}"))
        assert {build.requires for build in locked(yard).builds} == {(*more, "tool")}
        own = InputRequest(project_dir=place, build_requirements=False)
        found = lock(yard.request(inputs=own)).lock
        assert {build.requires for build in found.builds} == {(*more, "tool")}


def test_what_is_remembered_of_a_project_is_locked_all_the_same(yard: Yard) -> None:
    asks = "def get_requires_for_build_editable(config=None):\n    return ['late']\n"
    place = folder(yard, more=QUIET + asks)
    yard.wheel("tool")
    yard.wheel("late")
    inputs = InputRequest(project_dir=place)
    proven(lock(yard.request(inputs=inputs)))
    before = (place / "pylock.toml").read_text()
    assert '["late", "tool"]' in before
    yard.wheel("other")
    pyproject = (place / "pyproject.toml").read_text()
    (place / "pyproject.toml").write_text(pyproject + 'dependencies = ["other"]\n')
    proven(lock(yard.request(inputs=inputs)))
    after = (place / "pylock.toml").read_text()
    assert '["late", "tool"]' in after


def test_what_another_machine_locked_is_kept_with_the_tools_of_its_tools(yard: Yard) -> None:
    sdist(yard)
    sdist(yard, "tool", QUIET, requires=("base",))
    yard.wheel("base")
    proven(yard.lock("mini"))
    mine = locked(yard)
    theirs = tuple(dataclasses.replace(build, environment="cpython 3.12, windows x86_64") for build in mine.builds)
    written(yard, dataclasses.replace(mine, builds=(*mine.builds, *theirs)))
    yard.wheel("other")
    proven(yard.lock("mini", "other"))
    assert {(build.environment, build.requires) for build in locked(yard).builds} == {
        (build.environment, build.requires) for build in (*mine.builds, *theirs)
    }
    # What nothing of the lock asks for any more goes, there too.
    proven(yard.lock("other"))
    assert locked(yard).builds == ()


def test_what_was_only_tried_leaves_no_trace(yard: Yard) -> None:
    sdist(yard, "mini", "REQUIRES = []\n")
    filename = sdist(yard, "more", "REQUIRES = ['mini>1']\n", requires=("late",), static=False)
    data = yard.index.files.pop(filename).data
    yard.index.add(filename, data, project="more")
    yard.wheel("tool")
    yard.wheel("late")
    yard.wheel("more", "0.5")
    proven(yard.lock("mini", "more"))
    before = (yard.project / "pylock.toml").read_bytes()
    assert "late" not in before.decode()
    assert codes(elsewhere(yard).lock("mini", "more", check=True)) == set()


def test_what_cannot_be_asked_today_stays_as_it_was_locked(yard: Yard) -> None:
    sdist(yard)
    sdist(yard, "lost", QUIET, requires=("late",))
    yard.wheel("tool")
    late = yard.wheel("late")
    proven(yard.lock("mini", "lost"))
    before = locked(yard).builds
    again = elsewhere(yard)
    del again.index.files[late]
    again.wheel("other")
    result = again.lock("mini", "lost", "other")
    assert "not locked" in "".join(finding.message for finding in result.findings)
    assert locked(yard).builds == before


def test_a_tool_that_could_not_be_had_leaves_a_lock_that_can_be_read(yard: Yard) -> None:
    sdist(yard)
    url = yard.index.add(*make_wheel("tool", "1.0"), sha256=None)
    data = yard.index.files["tool-1.0-py3-none-any.whl"].data
    yard.index.files["tool-1.0-py3-none-any.whl"] = dataclasses.replace(yard.index.files["tool-1.0-py3-none-any.whl"], data=data[:-9])
    result = yard.lock("mini")
    assert url and "not locked" in "".join(finding.message for finding in result.findings)
    assert locked(yard).builds == ()
    yard.index.add(*make_wheel("tool", "1.0"), sha256=None)
    proven(elsewhere(yard).lock("mini"))
    assert one(locked(yard)).packages[0].wheels[0].hash_source == "first-seen"


def test_a_login_in_a_build_requirement_stays_out_of_the_lock(yard: Yard) -> None:
    url = yard.index.add(*make_wheel("tool", "1.0")).replace("://", "://user:secret@")
    sdist(yard, more=TELLS + f"def get_requires_for_build_wheel(config=None):\n    return ['tool @ {url}']\n", requires=())
    proven(yard.lock("mini"))
    text = (yard.project / "pylock.toml").read_text()
    assert "secret" not in text
    assert "tool @ http" in text
    inputs = InputRequest(project_dir=yard.project, lock_file=yard.project / "pylock.toml")
    proven(elsewhere(yard).build(inputs=inputs, options=BuildOptions(trial=False, output=yard.wheelhouse, locked=True)))


def test_locking_runs_nothing_without_the_sandbox_that_is_required(yard: Yard, tmp_path: Path) -> None:
    yard.more_environment["PATH"] = "/nonexistent"
    with contextlib.suppress(NoSandbox):
        if find_sandbox(yard.environment, require=True):
            pytest.skip("here is a sandbox that no PATH takes away")
    mark = tmp_path / "mark"
    sdist(yard, "mini", f"import pathlib\npathlib.Path({str(mark)!r}).touch()\n" + QUIET, requires=())
    yard.write("pyproject.toml", '[tool.hardtack]\nsandbox = "require"\n')
    result = yard.lock("mini")
    assert "no sandbox for building" in "".join(finding.message for finding in result.findings)
    assert not mark.exists()


# --- where tools come from ---------------------------------------------------------------------------------------------------------


def of_a_workspace(yard: Yard) -> InputRequest:
    """A project whose tool lies beside it, and somebody else's tool of the same name on the index."""
    folder(yard, "tool", QUIET, requires=())
    place = folder(yard, uv='[tool.uv.sources]\ntool = { path = "../tool" }\n')
    yard.wheel("tool", "9.0")
    return InputRequest(project_dir=place, build_requirements=False)


def test_a_workspace_tells_where_a_tool_lies(yard: Yard) -> None:
    proven(yard.build(inputs=of_a_workspace(yard)))
    assert summary(yard) == "Summary: tool that was built"
    assert not any("9.0" in name for name in yard.files())


def test_a_tool_whose_folder_was_edited_is_another(yard: Yard) -> None:
    inputs = of_a_workspace(yard)
    proven(yard.build(inputs=inputs))
    backend = yard.project / "tool" / "backend.py"
    backend.write_text(backend.read_text().replace("value = 1", "version = 'edited'"))
    result = yard.build(inputs=inputs)
    proven(result)
    assert (result.unchanged, summary(yard)) == (False, "Summary: tool edited")


def test_what_a_failed_tool_was_for_is_said(yard: Yard) -> None:
    sdist(yard)
    sdist(yard, "tool", "raise SystemError\n", requires=())
    (finding,) = yard.build("mini").findings
    assert (finding.code, finding.package) == ("build-requirements", "mini")
    assert finding.message.startswith("mini-1.0.tar.gz: what it needs to be built could not be built: tool-1.0.tar.gz: ")


def test_a_member_of_a_workspace_tells_nothing_of_this_machine(yard: Yard) -> None:
    folder(yard, "beside", QUIET, requires=())
    place = folder(yard, more=QUIET, requires=(), uv='dependencies = ["beside"]\n[tool.uv.sources]\nbeside = { path = "../beside" }\n')
    proven(yard.build(inputs=InputRequest(project_dir=place)))
    kept_files = [yard.wheelhouse / name for name in ("pylock.toml", "wheelhouse.json")]
    assert not [path.name for path in kept_files if str(yard.project) in path.read_text()]


# --- another tool's lock -----------------------------------------------------------------------------------------------------------


def test_what_left_a_uv_lock_is_not_brought_back_by_what_building_requires(yard: Yard) -> None:
    tool, gone, stays = yard.wheel("tool"), yard.wheel("gone"), yard.wheel("stays")
    head = PYPROJECT.format(requires=["tool"]) + '[project]\nname = "mini"\nversion = "1.0"\nrequires-python = ">=3.11"\n'
    index = f'[[tool.uv.index]]\nurl = "{yard.index.url}"\ndefault = true\n'
    yard.more_environment["UV_NO_CONFIG"] = "0"
    yard.write("backend.py", HONEST + QUIET)
    yard.write("pyproject.toml", head + 'dependencies = ["gone", "stays"]\n' + index)
    yard.uv("lock", "--python", sys.executable)
    proven(yard.build())
    assert {tool, gone, stays} < yard.files()
    yard.write("pyproject.toml", head + 'dependencies = ["stays"]\n' + index)
    yard.uv("lock", "--python", sys.executable)
    options = BuildOptions(trial=False, output=yard.wheelhouse, locked=True, prune=True)
    proven(yard.build(options=options))
    assert gone not in yard.files()
    assert {tool, stays} < yard.files()

"""Folders, workspaces and repositories: built, contained, recorded; nothing of the user's is touched."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from hardtack import BuildOptions, InputRequest, build, verify
from hardtack.errors import BuildFault, InputError, LockError
from hardtack.reporting import Reporter
from tests.scenarios.yard import LINUX, MAC, WINDOWS, Yard, errors, proven
from tests.support.archives import make_wheel
from tests.support.repositories import commit_all, git, state_of, write_project

TARGETS = (LINUX, MAC, WINDOWS)


def test_a_folder_is_built_for_every_target_and_not_touched(yard: Yard) -> None:
    leaf = yard.wheel("leaf")
    folder = write_project(yard.project / "lib", "lib", dependencies=["leaf"])
    before = state_of(folder)
    result = yard.build("./lib", targets=TARGETS)
    proven(result)
    assert yard.files() == {"lib-1.0-py3-none-any.whl", leaf}
    assert state_of(folder) == before
    assert result.manifest is not None
    record = next(file.build for file in result.manifest.files if file.name == "lib")
    assert record is not None and record.made_of is not None
    assert (record.made_of.kind, record.made_of.location, record.made_of.commit) == ("directory", "lib", None)


def test_a_repository_is_built_at_its_full_commit(yard: Yard) -> None:
    leaf = yard.wheel("leaf")
    work = write_project(yard.home / "work", "lib", version=None, dependencies=["leaf"])
    first = commit_all(work, tag="v1.5")
    (work / "more.txt").write_text("later")
    second = commit_all(work)
    bare = yard.home / "lib.git"
    git(yard.home, "clone", "--quiet", "--bare", str(work), str(bare))
    before = state_of(bare)
    for revision, commit, version in (("v1.5", first, "1.5"), (first, first, "1.5"), ("main", second, f"1.5.post1+g{second[:7]}")):
        result = yard.build(f"lib @ git+{bare.as_uri()}@{revision}", options=None)
        proven(result)
        assert result.manifest is not None
        file = next(file for file in result.manifest.files if file.name == "lib")
        assert file.version == version
        assert file.build is not None and file.build.made_of is not None
        assert (file.build.made_of.commit, file.build.made_of.location) == (commit, bare.as_uri())
    assert leaf in yard.files()
    assert state_of(bare) == before


def test_a_branch_is_pinned_by_the_lock(yard: Yard) -> None:
    yard.wheel("leaf")
    work = write_project(yard.home / "work", "lib", dependencies=["leaf"])
    first = commit_all(work)
    yard.write("requirements.txt", f"lib @ git+{work.as_uri()}@main\n")
    assert yard.lock().passed
    (work / "needs.txt").write_text("later")
    commit_all(work)
    result = yard.build()
    proven(result)
    assert result.manifest is not None
    made_of = [file.build.made_of for file in result.manifest.files if file.build is not None]
    assert [origin.commit for origin in made_of if origin is not None] == [first]


def test_a_subdirectory_with_a_submodule(yard: Yard) -> None:
    inner = yard.home / "inner"
    inner.mkdir()
    (inner / "needs.txt").write_text("leaf")
    commit_all(inner)
    work = yard.home / "work"
    write_project(work / "packages" / "lib", "lib", dependencies=None)
    text = (work / "packages/lib/backend.py").read_text().replace('"needs.txt"', '"vendored/needs.txt"')
    (work / "packages/lib/backend.py").write_text(text)
    git(work, "init", "--quiet")
    git(work, "submodule", "--quiet", "add", inner.as_uri(), "packages/lib/vendored")
    commit_all(work)
    leaf = yard.wheel("leaf")
    # uv, which locks, leaves it to the user whether repositories may lead to files of this machine.
    (yard.home / ".gitconfig").write_text('[protocol "file"]\n\tallow = always\n')
    result = yard.build(f"lib @ git+{work.as_uri()}#subdirectory=packages/lib")
    proven(result)
    assert yard.files() == {"lib-1.0-py3-none-any.whl", leaf}


def test_what_only_the_backend_tells_is_asked_in_the_sandbox(yard: Yard) -> None:
    """A folder with dynamic dependencies: uv would run its code while locking."""
    leaf = yard.wheel("leaf")
    mark = yard.home / "mark"
    folder = write_project(yard.project / "lib", "lib", version=None, dependencies=None, files={"needs.txt": "leaf"})
    spy = f"\ntry:\n    open({str(mark)!r}, 'w').close()\nexcept OSError:\n    pass\n"
    (folder / "backend.py").write_text((folder / "backend.py").read_text() + spy)
    commit_all(folder, tag="v2.5")
    before = state_of(folder)
    result = yard.build("./lib", targets=TARGETS)
    proven(result)
    assert yard.files() == {"lib-2.5-py3-none-any.whl", leaf}
    assert not mark.exists()
    assert state_of(folder) == before


@pytest.mark.parametrize("dynamic", [True, False])
def test_a_folders_own_sources_hold_whoever_tells_what_it_requires(dynamic: bool, yard: Yard) -> None:
    """uv applies them to what a folder states; to what only its backend tells, we do."""
    yard.wheel("helper", "9.0")
    sources = '[tool.uv.sources]\nhelper = { path = "../helper" }\n'
    write_project(yard.project / "helper", "helper", dependencies=["leaf"])
    leaf = yard.wheel("leaf")
    stated = {"dependencies": None, "files": {"needs.txt": "helper"}} if dynamic else {"dependencies": ["helper"]}
    write_project(yard.project / "lib", "lib", more=sources, **stated)
    proven(yard.build("./lib"))
    assert yard.files() == {"lib-1.0-py3-none-any.whl", "helper-1.0-py3-none-any.whl", leaf}


def test_an_editable_line_is_built(yard: Yard) -> None:
    leaf = yard.wheel("leaf")
    write_project(yard.project / "lib", "lib", dependencies=["leaf"])
    yard.write("requirements.txt", "-e ./lib\n")
    proven(yard.build())
    assert yard.files() == {"lib-1.0-py3-none-any.whl", leaf}


def test_the_project_itself_and_what_builds_it(yard: Yard) -> None:
    names = {yard.wheel(name) for name in ("leaf", "fast", "tool")}
    yard.wheel("helper", requires=["tool"])
    write_project(
        yard.project, "proj", dependencies=["leaf"], requires=["helper"], more='[project.optional-dependencies]\nquick = ["fast"]'
    )
    commit = commit_all(yard.project)
    result = yard.build(targets=TARGETS, inputs=InputRequest(project_dir=yard.project, extras=frozenset({"quick"})))
    proven(result)
    assert yard.files() == {*names, "helper-1.0-py3-none-any.whl", "proj-1.0-py3-none-any.whl"}
    assert result.manifest is not None
    record = next(file.build for file in result.manifest.files if file.name == "proj")
    assert record is not None and record.made_of is not None
    assert (record.made_of.location, record.made_of.commit, record.made_of.state) == (".", commit, "clean")
    roots = {(root.requirement, root.scope, root.extra) for root in result.manifest.roots}
    assert {("proj", "runtime", None), ("proj[quick]", "runtime", "quick"), ("helper", "development", None)} <= roots
    assert str(yard.project) not in (yard.wheelhouse / "wheelhouse.json").read_text().replace(str(yard.index.url), "")
    assert verify(yard.wheelhouse, cache_dir=yard.cache, environment=yard.environment, trial=False).verdict.passed

    # The whole development environment stands up with no index: this is what the wheelhouse is for.
    venv = yard.home / "venv"
    yard.uv("venv", "--quiet", "--python", sys.executable, venv)
    python = venv / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    links = ("--offline", "--no-index", "--find-links", yard.wheelhouse, "--python", python)
    yard.uv("pip", "install", *links, "helper", "proj[quick]")

    again = yard.build(targets=TARGETS, inputs=InputRequest(project_dir=yard.project, extras=frozenset({"quick"})))
    assert again.unchanged
    (yard.project / "needs.txt").write_text("changed")
    changed = yard.build(targets=TARGETS, inputs=InputRequest(project_dir=yard.project, extras=frozenset({"quick"})))
    proven(changed)
    assert not changed.unchanged and changed.manifest is not None
    record = next(file.build for file in changed.manifest.files if file.name == "proj")
    assert record is not None and record.made_of is not None and record.made_of.state == "dirty"


def test_the_project_is_left_out_where_it_is_not_wanted(yard: Yard) -> None:
    leaf = yard.wheel("leaf")
    helper = yard.wheel("helper")
    write_project(yard.project, "proj", dependencies=["leaf"], requires=["helper"])
    for request, files in (
        (InputRequest(project_dir=yard.project, project=False, build_requirements=False), {leaf}),
        (InputRequest(project_dir=yard.project, project=False), {leaf, helper}),
    ):
        proven(yard.build(inputs=request))
        assert yard.files() == files


def test_a_virtual_project_is_not_built(yard: Yard) -> None:
    leaf = yard.wheel("leaf")
    write_project(yard.project, "proj", dependencies=["leaf"], requires=["absent"], more="[tool.uv]\npackage = false")
    proven(yard.build())
    assert yard.files() == {leaf}


def test_a_wheel_of_the_project_that_was_made_elsewhere(yard: Yard) -> None:
    leaf = yard.wheel("leaf")
    write_project(yard.project, "proj", dependencies=["leaf"])
    filename, data = make_wheel("proj", "7.0", requires=["leaf"])
    (yard.project / "dist").mkdir()
    (yard.project / "dist" / filename).write_bytes(data)
    given = InputRequest(project_dir=yard.project, project_wheel=Path("dist") / filename)
    result = yard.build(inputs=given)
    proven(result)
    assert yard.files() == {leaf, filename}
    assert result.manifest is not None
    assert [file.origin for file in result.manifest.files if file.name == "proj"] == ["file"]
    # It says what it requires, whatever the project's files do.
    filename, data = make_wheel("proj", "8.0", requires=["leaf", "unheard-of"])
    (yard.project / "dist" / filename).write_bytes(data)
    with pytest.raises(LockError, match="unheard-of"):
        yard.build(inputs=InputRequest(project_dir=yard.project, project_wheel=Path("dist") / filename))
    with pytest.raises(InputError, match="no wheel of proj"):
        other, data = make_wheel("other", "1.0")
        (yard.project / "dist" / other).write_bytes(data)
        yard.build(inputs=InputRequest(project_dir=yard.project, project_wheel=Path("dist") / other))


def test_a_project_whose_version_and_dependencies_are_dynamic(yard: Yard) -> None:
    leaf = yard.wheel("leaf")
    write_project(yard.project, "proj", version=None, dependencies=None, files={"needs.txt": "leaf\n", ".gitignore": "*.log\n"})
    (yard.project / "noise.log").write_text("ignored")
    commit_all(yard.project, tag="v3.1")
    proven(yard.build())
    assert yard.files() == {leaf, "proj-3.1-py3-none-any.whl"}
    # A dirty tree has another version, and its file that is new is a part of it.
    (yard.project / "needs.txt").write_text("leaf\nfast\n")
    fast = yard.wheel("fast")
    result = yard.build(options=BuildOptions(trial=False, output=yard.wheelhouse, prune=True))
    proven(result)
    assert {name.split("-")[0] for name in yard.files()} == {"leaf", "fast", "proj"}
    assert fast in yard.files()
    assert any("dirty" in name for name in yard.files())


def test_build_requirements_that_do_not_go_with_the_rest_are_left_out_and_told(yard: Yard) -> None:
    old, new = yard.wheel("leaf", "1.0"), yard.wheel("leaf", "2.0")
    write_project(yard.project, "proj", dependencies=["leaf>=2"], requires=["leaf<2"])
    told: list[str] = []

    class Listener(Reporter):
        def warning(self, message: str, *, hint: str | None = None) -> None:
            told.append(message)

    result = build(yard.request(), BuildOptions(trial=False, output=yard.wheelhouse), reporter=Listener())
    proven(result)
    assert yard.files() == {new, "proj-1.0-py3-none-any.whl"}
    assert any("leaf<2" in message and "left out" in message for message in told)
    assert old not in yard.files()


def test_a_workspace_of_three(yard: Yard) -> None:
    """A real uv.lock: members are built, at the lock's versions of what they need."""
    yard.wheel("leaf", "1.0")
    fast, helper = yard.wheel("fast"), yard.wheel("helper")
    own = f'[[tool.uv.index]]\nurl = "{yard.index.url}"\ndefault = true\n'
    workspace = f'[tool.uv.workspace]\nmembers = ["packages/*"]\n[tool.uv.sources]\none = {{ workspace = true }}\n{own}'
    write_project(yard.project, "proj", dependencies=["one"], requires=["helper"], more=workspace)
    write_project(yard.project / "packages/one", "one", dependencies=["leaf", "two"], more="[tool.uv.sources]\ntwo = { workspace = true }")
    write_project(yard.project / "packages/two", "two", version=None, dependencies=None, files={"needs.txt": "fast"})
    commit_all(yard.project, tag="v4.0")
    yard.more_environment["UV_NO_CONFIG"] = "0"
    yard.uv("lock", "--python", sys.executable)
    commit_all(yard.project)
    yard.wheel("leaf", "2.0")
    before = state_of(yard.project)
    wheelhouse = yard.home / "wheelhouse"
    result = yard.build(targets=TARGETS, options=BuildOptions(trial=False, output=wheelhouse))
    proven(result)
    found = {path.name for path in wheelhouse.glob("*.whl")}
    assert {"leaf-1.0-py3-none-any.whl", fast, helper, "proj-1.0-py3-none-any.whl", "one-1.0-py3-none-any.whl"} < found
    assert [name for name in found if name.startswith("two-4.0")] and len(found) == 6
    assert state_of(yard.project) == before


def test_what_fails_to_build_is_told_with_its_log(yard: Yard) -> None:
    folder = write_project(yard.project / "lib", "lib", backend="raise SystemExit('this backend does nothing')")
    before = state_of(folder)
    result = yard.build("./lib")
    assert errors(result) and not result.passed
    assert any("this backend does nothing" in finding.message for finding in result.findings)
    assert state_of(folder) == before


def test_another_project_than_was_asked_for(yard: Yard) -> None:
    folder = write_project(yard.home / "work", "lib")
    commit_all(folder)
    with pytest.raises((LockError, BuildFault), match="lib"):
        yard.build(f"other @ git+{folder.as_uri()}")


def test_a_commit_that_is_not_there(yard: Yard) -> None:
    folder = write_project(yard.home / "work", "lib")
    commit_all(folder)
    with pytest.raises(LockError):
        yard.build(f"lib @ git+{folder.as_uri()}@{'a' * 40}")


def test_an_exported_list_is_of_what_the_project_needs(yard: Yard) -> None:
    yard.wheel("leaf")
    write_project(yard.project, "proj", dependencies=["leaf"])
    assert yard.lock(exports=("requirements:req.txt",)).passed
    text = (yard.project / "req.txt").read_text()
    assert "leaf==1.0" in text and "file:" not in text and "proj @" not in text
    # The lock itself has it, and is obeyed elsewhere.
    moved = yard.home / "elsewhere"
    yard.project.rename(moved)
    yard.project = moved
    proven(yard.build())
    assert yard.files() == {"leaf-1.0-py3-none-any.whl", "proj-1.0-py3-none-any.whl"}

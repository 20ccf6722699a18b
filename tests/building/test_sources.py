"""Folders and repositories as source archives: what is in them, what is not, and what is never run."""

from __future__ import annotations

import os
import shutil
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from hardtack.building.faults import BuildRequirementFault, RecipeFault
from hardtack.building.git import GitFault, find_git, without_login
from hardtack.building.interpreter import Interpreter
from hardtack.building.sources import SourceArchive, SourceFault, archive_key, archived_before, lay_out, make_sdist, remember_archive
from hardtack.building.trees import fingerprint, listed
from hardtack.building.workshop import Asker, Supply, Tool
from hardtack.errors import BuildFault, MissingTool, Offline
from hardtack.model.lock import Source
from hardtack.model.recipe import Recipe
from hardtack.system.cancellation import Cancellation
from tests.building.projects import Bench, wheel_folder
from tests.support.repositories import BACKEND, commit_all, git, state_of, write_project
from tests.support.supplies import FolderSupply

EPOCH = 315_532_800
none = pytest.mark.parametrize("sandbox", ["none"], indirect=True)


def surroundings(home: Path, **more: str) -> dict[str, str]:
    """A user's environment with nobody's git settings."""
    return {"PATH": os.environ["PATH"], "HOME": str(home), "GIT_CONFIG_NOSYSTEM": "1", **more}


def archive(
    bench: Bench,
    source: Source,
    *,
    environment: Mapping[str, str] | None = None,
    name: str = "lib",
    recipe: Recipe = Recipe(),  # noqa: B008 (frozen)
    supply: Supply | None = None,
    **more: Any,
) -> SourceArchive:
    """The source's archive, made with nothing remembered."""
    known = environment or surroundings(bench.work.parent)
    with lay_out(source, name=name, work=bench.work, cache_dir=bench.cache, environment=known, stop=bench.stop, **more) as room:
        shop = bench.shop(uv=replace(bench.uv, environment=known), source_date_epoch=EPOCH, timeout=120)
        return make_sdist(room, name=name, shop=replace(shop, supply=supply) if supply is not None else shop, recipe=recipe)


def asks_for_history(bench: Bench) -> None:
    """Skip where git cannot work inside: as root, Landlock's build is another user, to whom access(2) denies what open(2) allows."""
    if bench.sandbox.name.startswith("landlock") and os.geteuid() == 0:
        pytest.skip("git asks access(2), which is denied below folders of root's alone")


def members(made: SourceArchive) -> dict[str, str]:
    """The files of an archive and their texts, links as "-> aim"."""
    found = {}
    with tarfile.open(made.path) as packed:
        for member in packed:
            data = packed.extractfile(member) if member.isfile() else None
            found[member.name.partition("/")[2]] = data.read().decode() if data is not None else f"-> {member.linkname}"
    return found


def folder_source(folder: Path) -> Source:
    return Source(kind="directory", location=str(folder))


def names_in(folder: Path, *, program: bool = True, leave_out: tuple[Path, ...] = ()) -> set[str]:
    """What would be taken of a folder."""
    found = find_git(surroundings(folder), offline=True, stop=Cancellation()) if program else None
    return {name for name, _ in listed(folder, found, leave_out)[1]}


def test_a_folder_without_version_control(tmp_path: Path) -> None:
    folder = write_project(tmp_path / "lib", "lib")
    for name in ("lib/__pycache__/a.pyc", ".venv/pyvenv.cfg", "env/pyvenv.cfg", "env/bin/x", "build/lib/a.py", "dist/a.whl", ".hg/store"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")
    for name in ("lib/build/a.py", "lib/dist.py", "wheels/wheelhouse.json", "wheels/a.whl", "out/b.whl", "lib.egg-info/PKG-INFO"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")
    assert names_in(folder, leave_out=(folder / "out",)) == {"pyproject.toml", "backend.py", "lib/build/a.py", "lib/dist.py"}
    # A package may be called build.
    (folder / "build/__init__.py").write_text("")
    assert "build/lib/a.py" in names_in(folder)


def test_a_folder_as_git_sees_it(tmp_path: Path) -> None:
    folder = write_project(
        tmp_path / "lib", "lib", files={".gitignore": "*.log\nenv/\n", "gone.txt": "", "dist/kept.txt": "", "a b/ü.txt": ""}
    )
    commit_all(folder)
    for name in ("noise.log", "env/x", "new.txt", "wheels/wheelhouse.json", "wheels/a.whl", "out/b.whl"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")
    (folder / "gone.txt").unlink()
    found = names_in(folder, leave_out=(folder / "out",))
    assert found == {"pyproject.toml", "backend.py", ".gitignore", "gone.txt", "dist/kept.txt", "a b/ü.txt", "new.txt"}
    # A folder inside of a repository that ignores it is a folder.
    inner = write_project(folder / "env", "inner")
    assert names_in(inner) == {"pyproject.toml", "backend.py", "x"}
    # Of a larger repository, only the project's part.
    part = write_project(folder / "part", "part")
    assert names_in(part) == {"pyproject.toml", "backend.py"}


def test_a_dirty_repository_keeps_its_history_in_the_copy(bench: Bench, tmp_path: Path) -> None:
    asks_for_history(bench)
    folder = write_project(tmp_path / "lib", "lib", version=None)
    commit = commit_all(folder, tag="v1.0")
    before = state_of(folder)
    clean = archive(bench, folder_source(folder))
    assert (str(clean.facts.version), clean.origin.commit, clean.origin.state) == ("1.0", commit, "clean")
    assert state_of(folder) == before

    (folder / "pyproject.toml").write_text((folder / "pyproject.toml").read_text() + "# more\n")
    (folder / "staged.txt").write_text("staged")
    git(folder, "add", "staged.txt")
    before = state_of(folder)
    dirty = archive(bench, folder_source(folder))
    assert dirty.origin.state == "dirty" and dirty.origin.commit == commit
    assert str(dirty.facts.version).endswith(".dirty")
    assert members(dirty)["staged.txt"] == "staged" and members(dirty)["pyproject.toml"].endswith("# more\n")
    assert state_of(folder) == before


def test_only_another_tag_is_another_version(bench: Bench, tmp_path: Path) -> None:
    asks_for_history(bench)
    folder = write_project(tmp_path / "lib", "lib", version=None)
    commit_all(folder, tag="v1.0")
    known = surroundings(tmp_path)
    seen = fingerprint(folder, environment=known, stop=bench.stop)
    assert fingerprint(folder, environment=known, stop=bench.stop) == seen
    git(folder, "commit", "--quiet", "--allow-empty", "--message", "next")
    git(folder, "tag", "v2.0")
    assert fingerprint(folder, environment=known, stop=bench.stop) != seen
    assert str(archive(bench, folder_source(folder)).facts.version) == "2.0"
    # And the user may state one.
    stated = surroundings(tmp_path, SETUPTOOLS_SCM_PRETEND_VERSION="9.0")
    assert fingerprint(folder, environment=stated, stop=bench.stop) != fingerprint(folder, environment=known, stop=bench.stop)
    assert str(archive(bench, folder_source(folder), environment=stated).facts.version) == "9.0"


def test_worktrees_detached_heads_and_shallow_clones(bench: Bench, tmp_path: Path) -> None:
    asks_for_history(bench)
    folder = write_project(tmp_path / "lib", "lib", version=None)
    commit_all(folder, tag="v1.0")
    git(folder, "worktree", "add", "--quiet", "--detach", str(tmp_path / "tree"))
    assert str(archive(bench, folder_source(tmp_path / "tree")).facts.version) == "1.0"
    git(folder, "commit", "--quiet", "--allow-empty", "--message", "next", "--no-verify")
    git(folder, "tag", "v1.1")
    git(tmp_path, "clone", "--quiet", "--depth", "1", folder.as_uri(), str(tmp_path / "shallow"))
    assert str(archive(bench, folder_source(tmp_path / "shallow")).facts.version) == "1.1"


def test_the_same_content_gives_the_same_bytes(bench: Bench, tmp_path: Path) -> None:
    first = write_project(tmp_path / "one", "lib", files={"run.sh": "#!/bin/sh\n"})
    (first / "run.sh").chmod(0o755)
    second = tmp_path / "two"
    shutil.copytree(first, second)
    for path in second.rglob("*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    made = [archive(bench, folder_source(folder)) for folder in (first, second)]
    assert made[0].sha256 == made[1].sha256
    assert made[0].origin.tree == made[1].origin.tree
    with tarfile.open(made[0].path) as packed:
        modes = {member.name: member.mode for member in packed}
    assert modes["lib-1.0/run.sh"] == 0o755 and modes["lib-1.0/backend.py"] == 0o644


def test_links_that_leave_the_project_are_not_followed(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    folder = write_project(tmp_path / "top" / "lib", "lib", files={"real.txt": "real"})
    (tmp_path / "top" / "LICENSE").write_text("free")
    (folder / "link.txt").symlink_to("real.txt")
    (folder / "secret.txt").symlink_to(tmp_path / "secret.txt")
    (folder / "up.txt").symlink_to("../../secret.txt")
    (folder / "LICENSE").symlink_to("../LICENSE")
    commit_all(tmp_path / "top")
    found = members(archive(bench, folder_source(folder)))
    assert found["link.txt"] in ("real", "-> real.txt")
    assert found["LICENSE"] == "free"
    assert "secret" not in "".join(found.values()) and "secret.txt" not in found and "up.txt" not in found


def test_a_backend_without_build_sdist(bench: Bench, tmp_path: Path) -> None:
    backend = BACKEND.replace("def build_sdist(", "def no_sdist(")
    folder = write_project(tmp_path / "lib", "lib", dependencies=["leaf"], backend=backend, files={"sub/more.txt": "more"})
    made = archive(bench, folder_source(folder))
    found = members(made)
    assert (made.filename, str(made.facts.version)) == ("lib-1.0.tar.gz", "1.0")
    assert found["sub/more.txt"] == "more"
    assert "Requires-Dist: leaf" in found["PKG-INFO"]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("def build_sdist(folder, config_settings=None):\n    return '../x.tar.gz'", "not in the folder"),
        (
            "def build_sdist(folder, config_settings=None):\n    os.symlink('/etc/passwd', folder + '/a.tar.gz'); return 'a.tar.gz'",
            "no source archive",
        ),
        (
            "def build_sdist(folder, config_settings=None):\n    open(folder + '/a', 'w'); open(folder + '/b', 'w'); return 'a'",
            "more than the one",
        ),
    ],
)
def test_a_backend_that_returns_something_else(bench: Bench, tmp_path: Path, more: str, words: str) -> None:
    """What it leaves is not taken; the archive is then our own."""
    folder = write_project(tmp_path / "lib", "lib", backend=f"{BACKEND}\n{more}\n")
    made = archive(bench, folder_source(folder))
    assert set(members(made)) == {"pyproject.toml", "backend.py", "PKG-INFO"}


def test_another_project_is_refused(bench: Bench, tmp_path: Path) -> None:
    folder = write_project(tmp_path / "lib", "lib")
    with pytest.raises(SourceFault, match="it is the project lib"):
        archive(bench, folder_source(folder), name="other")
    with pytest.raises(SourceFault, match="not there"):
        archive(bench, folder_source(tmp_path / "absent"))
    (folder / "pyproject.toml").unlink()
    with pytest.raises(SourceFault, match=r"neither pyproject.toml nor setup.py"):
        archive(bench, folder_source(folder))
    assert [path for path in bench.work.iterdir() if not path.name.endswith(".log")] == []


def test_nothing_that_a_repository_says_of_itself_is_run(tmp_path: Path) -> None:
    """Hooks, fsmonitor and filters of a folder's own settings: git would run them while it looks."""
    folder = write_project(tmp_path / "lib", "lib", version=None, files={".gitattributes": "*.txt filter=evil\n", "a.txt": "a"})
    commit_all(folder, tag="v1.0")
    mark = tmp_path / "mark"
    script = tmp_path / "evil.sh"
    script.write_text(f"#!/bin/sh\ntouch {mark}\ncat\n")
    script.chmod(0o755)
    for key in ("core.fsmonitor", "core.sshCommand", "filter.evil.clean", "filter.evil.smudge", "core.pager", "diff.external"):
        git(folder, "config", key, str(script))
    hooks = folder / ".git/hooks"
    hooks.mkdir(exist_ok=True)
    for hook in ("post-checkout", "post-index-change", "reference-transaction", "pre-auto-gc"):
        shutil.copy(script, hooks / hook)
    (folder / "a.txt").write_text("b")
    os.utime(folder / "a.txt", (1, 1))
    before = state_of(folder)
    source = folder_source(folder)
    with lay_out(
        source, name="lib", work=tmp_path / "work", cache_dir=tmp_path, environment=surroundings(tmp_path), stop=Cancellation()
    ) as room:
        room.complete()
        assert room.origin.state == "dirty"
        assert (room.path / ".git").is_dir()
        linked = [path for path in (room.root / ".git").rglob("*") if path.is_file() and path.lstat().st_nlink > 1]
        assert linked == []
        assert not (room.root / ".git/hooks").exists()
        settings = (room.root / ".git/config").read_text()
        assert "evil" not in settings
    assert not mark.exists()
    assert state_of(folder) == before
    assert list((tmp_path / "work").iterdir()) == []
    # The trap works: git itself falls into it.
    git(folder, "status")
    assert mark.exists()


def test_a_repository_that_is_fetched_runs_nothing(bench: Bench, tmp_path: Path) -> None:
    asks_for_history(bench)
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "x.txt").write_text("inner")
    commit_all(inner)
    work = write_project(tmp_path / "origin", "lib", version=None)
    commit_all(work, tag="v1.0")
    git(work, "submodule", "--quiet", "add", inner.as_uri(), "vendored")
    commit = commit_all(work, tag="v1.1")
    made = archive(bench, Source(kind="vcs", location=work.as_uri(), commit=commit))
    assert str(made.facts.version) == "1.1"
    assert members(made)["vendored/x.txt"] == "inner"
    assert made.origin.commit == commit and made.origin.location == work.as_uri()
    # By its cache alone, though the repository is gone.
    shutil.move(work, tmp_path / "elsewhere")
    with lay_out(
        Source(kind="vcs", location=work.as_uri(), commit=commit),
        name="lib",
        work=bench.work,
        cache_dir=tmp_path / "cache",
        environment=surroundings(tmp_path),
        offline=True,
        stop=bench.stop,
    ) as room:
        assert room.origin.commit == commit


def test_branches_tags_and_commits(tmp_path: Path) -> None:
    work = write_project(tmp_path / "origin", "lib")
    first = commit_all(work, tag="v1")
    git(work, "branch", "side")
    (work / "more.txt").write_text("")
    second = commit_all(work)
    git(work, "tag", "--annotate", "v2", "--message", "two")
    found = find_git(surroundings(tmp_path), offline=False, stop=Cancellation())
    assert found is not None
    for requested, commit in (("v1", first), ("side", first), ("v2", second), ("main", second), (None, second), (first[:10], first)):
        assert found.fetch(work.as_uri(), None, requested, tmp_path / "cache")[1] == commit
    assert found.fetch(work.as_uri(), None, "refs/heads/side", tmp_path / "cache")[1] == first
    for requested in ("absent", "--upload-pack=touch x", "v1..v2"):
        with pytest.raises(GitFault):
            found.fetch(work.as_uri(), None, requested, tmp_path / "cache")
    with pytest.raises(GitFault, match="no commit"):
        found.fetch(work.as_uri(), "b" * 40, None, tmp_path / "cache")
    # A branch that moves on is followed when nothing pins it.
    (work / "still.txt").write_text("")
    third = commit_all(work)
    assert found.fetch(work.as_uri(), None, "main", tmp_path / "cache")[1] == third


def test_a_commit_that_is_on_no_branch(tmp_path: Path) -> None:
    work = write_project(tmp_path / "origin", "lib")
    commit_all(work)
    (work / "more.txt").write_text("")
    lost = commit_all(work)
    git(work, "reset", "--quiet", "--hard", "HEAD~1")
    git(work, "config", "uploadpack.allowAnySHA1InWant", "true")
    found = find_git(surroundings(tmp_path), offline=False, stop=Cancellation())
    assert found is not None
    bare, commit = found.fetch(work.as_uri(), lost, None, tmp_path / "cache")
    assert commit == lost
    found.check_out(bare, work.as_uri(), lost, tmp_path / "tree")
    assert (tmp_path / "tree/more.txt").exists()


@pytest.mark.parametrize(
    ("location", "error"),
    [
        ("hg+https://example.org/x", SourceFault),
        ("svn+https://example.org/x", SourceFault),
        ("ext::sh -c touch% /tmp/x", GitFault),
        ("ftp://example.org/x.git", GitFault),
        ("https://example.org/x.git", Offline),
        ("ssh://git@example.org/x.git", Offline),
    ],
)
def test_what_is_not_fetched(tmp_path: Path, location: str, error: type[Exception]) -> None:
    source = Source(kind="vcs", location=location, commit="a" * 40)
    with (
        pytest.raises(error),
        lay_out(
            source,
            name="lib",
            work=tmp_path / "work",
            cache_dir=tmp_path,
            environment=surroundings(tmp_path),
            offline=True,
            stop=Cancellation(),
        ),
    ):
        pass


def test_without_git(tmp_path: Path) -> None:
    """A repository cannot be had; a folder can, and nothing is said of its commit."""
    nowhere = {"PATH": str(tmp_path), "HOME": str(tmp_path)}
    with (
        pytest.raises(MissingTool),
        lay_out(
            Source(kind="vcs", location="https://example.org/x.git", commit="a" * 40),
            name="lib",
            work=tmp_path / "work",
            cache_dir=tmp_path,
            environment=nowhere,
            stop=Cancellation(),
        ),
    ):
        pass
    folder = write_project(tmp_path / "lib", "lib")
    commit_all(folder)
    with lay_out(
        folder_source(folder), name="lib", work=tmp_path / "work", cache_dir=tmp_path, environment=nowhere, stop=Cancellation()
    ) as room:
        assert (room.origin.commit, room.origin.state) == (None, None)
        assert not (room.path / ".git").exists()


@pytest.mark.parametrize("subdirectory", ["..", "../x", "/etc", "a/../../b"])
def test_a_subdirectory_that_leaves_its_repository(tmp_path: Path, subdirectory: str) -> None:
    folder = write_project(tmp_path / "lib", "lib")
    source = Source(kind="directory", location=str(folder), subdirectory=subdirectory)
    with (
        pytest.raises(SourceFault),
        lay_out(source, name="lib", work=tmp_path / "work", cache_dir=tmp_path, environment=surroundings(tmp_path), stop=Cancellation()),
    ):
        pass


@none
def test_the_key_tells_sources_apart(bench: Bench, tmp_path: Path) -> None:
    folder = write_project(tmp_path / "lib", "lib", files={"a.sh": ""})

    def key(recipe: Recipe = Recipe(), **more: str) -> str:  # noqa: B008 (frozen)
        with lay_out(
            folder_source(folder),
            name="lib",
            work=tmp_path / "work",
            cache_dir=tmp_path,
            environment=surroundings(tmp_path, **more),
            stop=Cancellation(),
        ) as room:
            return archive_key(room, shop=bench.shop(), recipe=recipe)

    keys = [key(), key(PBR_VERSION="2")]
    (folder / "a.sh").chmod(0o755)
    keys.append(key())
    (folder / "a.sh").rename(folder / "b.sh")
    keys.append(key())
    (folder / "b.sh").write_text("x")
    keys.append(key())
    keys.append(key(Recipe(variables=(("A", "1"),))))
    keys.append(key(Recipe(config=(("A", ("1",)),))))
    keys.append(key(Recipe(requires=(Requirement("a"),))))
    assert len(set(keys)) == len(keys)
    assert key() == keys[-4]


def test_logins_are_not_told() -> None:
    assert without_login("cannot clone https://me:secret@host/x and ssh://git:pw@h/x") == "cannot clone https://host/x and ssh://git@h/x"
    assert without_login("ssh://git@host/x") == "ssh://git@host/x"


def test_a_backend_that_fails_is_told_with_its_log(bench: Bench, tmp_path: Path) -> None:
    folder = write_project(tmp_path / "lib", "lib", backend="raise RuntimeError('no way')")
    with pytest.raises(BuildFault, match="no way") as caught:
        archive(bench, folder_source(folder))
    log = bench.work / "lib-source.log"
    assert str(log) in str(caught.value) and "no way" in log.read_text()


ASKING = (
    BACKEND
    + """
def get_requires_for_build_sdist(config_settings=None):
    assert config_settings == {"level": "2"}, config_settings
    return ["late>=1"]

def build_sdist(folder, config_settings=None, plain=build_sdist):
    import late, tool
    assert config_settings == {"level": "2"} and os.environ["WITH_X"] == "1"
    pathlib.Path("tools.txt").write_text(f"{late.version} {tool.version}")
    return plain(folder)
"""
)
SAID = Recipe(config=(("level", ("2",)),), variables=(("WITH_X", "1"),), requires=(Requirement("tool"),))


def test_a_recipe_and_what_the_backend_asks_for_reach_build_sdist(bench: Bench, tmp_path: Path) -> None:
    wheel_folder(bench.links, ("tool", "1.0", {}), ("late", "1.5", {}))
    supply = FolderSupply(bench.links)
    folder = write_project(tmp_path / "lib", "lib", backend=ASKING)
    made = archive(bench, folder_source(folder), recipe=SAID, supply=supply)
    assert members(made)["tools.txt"] == "1.5 1.0"
    assert supply.asked == [(Asker(filename="lib"), ["tool"]), (Asker(filename="lib"), ["late>=1", "tool"])]
    assert [[tool.filename for tool in one.tools] for one in made.rounds] == [
        ["tool-1.0-py3-none-any.whl"],
        ["late-1.5-py3-none-any.whl", "tool-1.0-py3-none-any.whl"],
    ]


@none
def test_an_archive_is_remembered_while_its_tools_are_the_same(bench: Bench, tmp_path: Path) -> None:
    wheel_folder(bench.links, ("tool", "1.0", {}), ("late", "1.5", {}))
    folder = write_project(tmp_path / "lib", "lib", backend=ASKING)
    supply = FolderSupply(bench.links)
    shop = bench.shop(supply=supply)
    made = archive(bench, folder_source(folder), recipe=SAID)
    remember_archive("ab" * 32, made, cache_dir=bench.cache)

    def again() -> bool:
        found = archived_before("ab" * 32, name="lib", shop=shop, has=lambda digest: digest == made.sha256)
        assert found is None or (found.filename, found.sha256, found.size) == (made.filename, made.sha256, made.size)
        return found is not None

    assert again()
    # All that was asked for then was asked for now, for a lock to know of.
    assert [texts for _, texts in supply.asked] == [["tool"], ["late>=1", "tool"]]
    wheel_folder(bench.links, ("late", "1.6", {}))
    assert not again()
    wheel_folder(bench.links, ("late", "1.5", {}))
    (bench.links / "late-1.6-py3-none-any.whl").unlink()
    assert again()
    assert archived_before("ab" * 32, name="lib", shop=shop, has=lambda _: False) is None
    assert archived_before("cd" * 32, name="lib", shop=shop, has=lambda _: True) is None
    (bench.links / "late-1.5-py3-none-any.whl").unlink()
    with pytest.raises(BuildRequirementFault):
        again()
    for damage in (b"", b"{}", b"[]", b"null"):
        [note] = (bench.cache / "archived").iterdir()
        note.write_bytes(damage)
        assert not again()


@none
@pytest.mark.parametrize("late", [False, True])
def test_what_supply_raises_ends_the_making_of_an_archive(bench: Bench, tmp_path: Path, late: bool) -> None:
    """It is not the backend's failure: all that is there is not packed in its place."""
    wheel_folder(bench.links, ("tool", "1.0", {}))
    error = BuildRequirementFault("not yet")

    def supply(asker: Asker, requires: Sequence[Requirement], interpreter: Interpreter) -> Sequence[Tool]:
        if late and len(requires) == 1:
            return FolderSupply(bench.links)(asker, requires, interpreter)
        raise error

    folder = write_project(tmp_path / "lib", "lib", backend=ASKING)
    with pytest.raises(BuildRequirementFault) as caught:
        archive(bench, folder_source(folder), recipe=SAID, supply=supply)
    assert caught.value is error and error.where is None
    assert list(bench.work.iterdir()) == []


@none
def test_a_recipe_that_cannot_be_followed(bench: Bench, tmp_path: Path) -> None:
    folder = write_project(tmp_path / "lib", "lib")
    with pytest.raises(RecipeFault, match="GIT_CONFIG_GLOBAL"):
        archive(bench, folder_source(folder), recipe=Recipe(variables=(("GIT_CONFIG_GLOBAL", "x"),)))
    with pytest.raises(RecipeFault, match="no-such-program"):
        archive(bench, folder_source(folder), recipe=Recipe(tools=("no-such-program",)))

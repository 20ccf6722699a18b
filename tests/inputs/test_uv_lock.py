"""uv.lock through the real uv, offline, from a folder of small wheels."""

from __future__ import annotations

import hashlib
import os
import re
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest
from packaging.pylock import Pylock

from hardtack.errors import HardtackError, InputError, StaleLock
from hardtack.inputs.uv_lock import export_uv_lock
from hardtack.system.uv import Uv, find_uv
from hardtack.wheelhouse.uv_lock import read_edges
from tests.support.archives import make_wheel

PROJECT = """\
[project]
name = "proj"
version = "1"
requires-python = ">=3.9"
dependencies = ["one"]
[project.optional-dependencies]
cpu = ["two==1.0"]
cuda = ["two==2.0"]
[dependency-groups]
dev = ["three"]
docs = ["four"]
[tool.uv]
conflicts = [[{extra = "cpu"}, {extra = "cuda"}]]
constraint-dependencies = ["three<2"]
index = [{name = "links", url = "links", format = "flat", default = true}]
"""


@pytest.fixture(scope="session")
def uv(tmp_path_factory: pytest.TempPathFactory) -> Uv:
    return find_uv(tmp_path_factory.mktemp("cache"), dict(os.environ), offline=True)


@pytest.fixture(scope="session")
def guard(uv: Uv, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return uv.guard_interpreter(tmp_path_factory.mktemp("guard") / "it", Path(sys.executable))


def lay(folder: Path, text: str = PROJECT) -> Path:
    links = folder / "links"
    links.mkdir(parents=True)
    for name, version, requires in (
        ("one", "1.0", ["five; python_version >= '3.10'"]),
        ("two", "1.0", []),
        ("two", "2.0", []),
        ("three", "1.0", []),
        ("three", "2.0", []),
        ("four", "1.0", []),
        ("five", "1.0", []),
        ("five", "0.5", []),
    ):
        filename, data = make_wheel(name, version, requires=requires)
        (links / filename).write_bytes(data)
    (folder / "pyproject.toml").write_text(text)
    return folder


def lock(folder: Path, uv: Uv, *more: str) -> Path:
    """Lock as a user would, with uv's own settings."""
    import subprocess

    environment = {key: value for key, value in os.environ.items() if not key.startswith(("UV_", "PIP_"))}
    command = [str(uv.path), "lock", "--offline", "--quiet", "--cache-dir", str(uv.cache_dir / "user"), "--python", sys.executable, *more]
    subprocess.run(command, cwd=folder, check=True, env=environment, capture_output=True)
    return folder


def export(
    folder: Path,
    uv: Uv,
    guard: Path,
    *,
    extras: Iterable[str] = (),
    groups: Iterable[str] = (),
    all_packages: bool = True,
    runtime: bool = True,
) -> Pylock:
    text = export_uv_lock(
        folder, uv, extras=frozenset(extras), groups=frozenset(groups), all_packages=all_packages, guard_python=guard, runtime=runtime
    )
    return Pylock.from_dict(tomllib.loads(text))


def names(pylock: Pylock) -> list[str]:
    return [f"{package.name} {package.version}" if package.version else str(package.name) for package in pylock.packages]


def snapshot(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): f"{path.stat().st_mtime_ns} {hashlib.sha256(path.read_bytes()).hexdigest()}"
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="session")
def project(uv: Uv, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lock(lay(tmp_path_factory.mktemp("projects") / "proj"), uv)


def test_each_selection_is_exported_and_the_project_is_left_as_it_is(project: Path, uv: Uv, guard: Path) -> None:
    before = snapshot(project)
    assert names(export(project, uv, guard)) == ["five 1.0", "one 1.0"]
    assert names(export(project, uv, guard, extras=["cpu"])) == ["five 1.0", "one 1.0", "two 1.0"]
    assert names(export(project, uv, guard, extras=["cuda"], groups=["dev"])) == ["five 1.0", "one 1.0", "three 1.0", "two 2.0"]
    assert names(export(project, uv, guard, groups=["dev", "docs"], runtime=False)) == ["four 1.0", "three 1.0"]
    assert snapshot(project) == before


def test_the_locked_versions_are_kept_although_newer_ones_came(uv: Uv, guard: Path, tmp_path: Path) -> None:
    folder = lock(lay(tmp_path / "proj"), uv)
    filename, data = make_wheel("five", "9.0")
    (folder / "links" / filename).write_bytes(data)
    assert "five 1.0" in names(export(folder, uv, guard))


@pytest.mark.parametrize("all_packages", [True, False])
def test_conflicting_extras_are_told_to_go_apart(project: Path, uv: Uv, guard: Path, all_packages: bool) -> None:
    with pytest.raises(InputError, match="incompatible") as caught:
        export(project, uv, guard, extras=["cpu", "cuda"], all_packages=all_packages)
    assert "targets" in str(caught.value.hint)


@pytest.mark.parametrize("selection", [{"extras": ["nope"]}, {"groups": ["nope"]}])
def test_an_unknown_extra_or_group_is_an_input_error(project: Path, uv: Uv, guard: Path, selection: dict[str, list[str]]) -> None:
    with pytest.raises(InputError, match="nope"):
        export(project, uv, guard, **selection)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"one"', '"one", "four"'),
        ('"one"', '"one>=2"'),
        ("three<2", "three<3"),
        (">=3.9", ">=3.10"),
        ('"four"', '"five"'),
        ('dev = ["three"]', 'dev = ["three", "five<1"]'),
    ],
)
def test_a_lock_that_no_longer_says_what_is_asked_is_stale(uv: Uv, guard: Path, tmp_path: Path, old: str, new: str) -> None:
    folder = lock(lay(tmp_path / "proj"), uv)
    (folder / "pyproject.toml").write_text(PROJECT.replace(old, new))
    before = snapshot(folder)
    with pytest.raises(StaleLock) as caught:
        export(folder, uv, guard)
    assert "uv lock" in str(caught.value.hint)
    assert str(folder / "uv.lock") in str(caught.value)
    assert snapshot(folder) == before


def test_a_python_that_is_not_here_is_not_needed(uv: Uv, guard: Path, tmp_path: Path) -> None:
    folder = lock(lay(tmp_path / "proj"), uv)
    for name in ("pyproject.toml", "uv.lock"):
        file = folder / name
        file.write_text(file.read_text().replace(">=3.9", ">=3.37.2"))
    assert names(export(folder, uv, guard)) == ["five 1.0", "one 1.0"]
    (folder / "pyproject.toml").write_text(PROJECT.replace(">=3.9", ">=3.38"))
    with pytest.raises(StaleLock):
        export(folder, uv, guard)


@pytest.mark.parametrize(
    ("setting", "flags"),
    [
        ('resolution = "lowest"', []),
        ('prerelease = "allow"', []),
        ('fork-strategy = "fewest"', []),
        ("", ["--resolution", "lowest"]),
        ("", ["--prerelease", "allow"]),
        ("environments = [\"sys_platform == 'linux'\"]", []),
        ('override-dependencies = ["five<1"]', []),
        ('exclude-dependencies = ["five"]', []),
        ('dependency-metadata = [{name = "one", version = "1.0", requires-dist = []}]', []),
    ],
)
def test_settings_that_the_lock_was_made_with_do_not_make_it_stale(
    uv: Uv, guard: Path, tmp_path: Path, setting: str, flags: list[str]
) -> None:
    folder = lock(lay(tmp_path / "proj", PROJECT + setting + "\n"), uv, *flags)
    assert "one 1.0" in names(export(folder, uv, guard))


def test_a_changed_setting_makes_it_stale(uv: Uv, guard: Path, tmp_path: Path) -> None:
    folder = lock(lay(tmp_path / "proj"), uv)
    (folder / "pyproject.toml").write_text(PROJECT + 'resolution = "lowest"\n')
    with pytest.raises(StaleLock):
        export(folder, uv, guard)


def test_a_registry_that_only_the_users_own_settings_name_does_not_make_it_stale(uv: Uv, guard: Path, tmp_path: Path) -> None:
    text = PROJECT.replace("index = ", "# ")
    folder = lock(lay(tmp_path / "proj", text), uv, "--no-index", "--find-links", "links")
    assert "one 1.0" in names(export(folder, uv, guard))
    file = folder / "uv.lock"
    text = file.read_text().replace('registry = "links"', 'registry = "https://internal.example/simple"')
    file.write_text(re.sub(r'path = "(\S+)"', rf'url = "https://internal.example/\1", hash = "sha256:{"0" * 64}"', text))
    assert "one 1.0" in names(export(folder, uv, guard))


def test_the_users_and_the_machines_settings_change_nothing(
    project: Path, uv: Uv, guard: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "uv").mkdir()
    (tmp_path / "uv" / "uv.toml").write_text('resolution = "lowest"\n')
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("UV_RESOLUTION", "lowest")
    monkeypatch.setenv("UV_FROZEN", "1")
    steered = find_uv(uv.cache_dir, dict(os.environ), offline=True)
    assert names(export(project, steered, guard)) == ["five 1.0", "one 1.0"]


def test_members_and_the_project_itself_come_as_folders(uv: Uv, guard: Path, tmp_path: Path) -> None:
    build = '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
    text = PROJECT.replace('"one"]', '"one", "member"]') + "[tool.uv.sources]\nmember = {workspace = true}\n"
    folder = lay(tmp_path / "proj", text + '[tool.uv.workspace]\nmembers = ["members/*"]\n' + build)
    (folder / "members" / "m").mkdir(parents=True)
    (folder / "members" / "m" / "pyproject.toml").write_text('[project]\nname = "member"\nversion = "1"\ndependencies = ["four"]\n' + build)
    lock(folder, uv)
    found = {str(package.name): package.directory for package in export(folder, uv, guard).packages}
    assert sorted(found) == ["five", "four", "member", "one", "proj"]
    assert found["member"] is not None
    assert (folder / found["member"].path).resolve() == (folder / "members" / "m").resolve()
    member = folder / "members" / "m"
    alone = {str(package.name): package.directory for package in export(member, uv, guard, all_packages=False).packages}
    assert sorted(alone) == ["four", "member"]
    assert alone["member"] is not None
    assert (member / alone["member"].path).resolve() == member.resolve()


def test_no_code_is_run_to_tell_whether_a_lock_is_fresh(uv: Uv, guard: Path, tmp_path: Path) -> None:
    text = PROJECT.replace('"one"]', '"one", "local"]') + '[tool.uv.sources]\nlocal = {path = "local"}\n'
    folder = lay(tmp_path / "proj", text)
    (folder / "local").mkdir()
    static = folder / "local" / "pyproject.toml"
    static.write_text(
        '[project]\nname = "local"\nversion = "1"\n[build-system]\nrequires = []\nbuild-backend = "it"\nbackend-path = ["."]\n'
    )
    lock(folder, uv)
    (folder / "local" / "it.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    static.write_text(static.read_text().replace('version = "1"', 'dynamic = ["version", "dependencies"]'))
    assert "local" in names(export(folder, uv, guard))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "content", ["", "version = 99\n", "version = 1\n[[package]]\nname = 3\n", "not toml", "version = 1\nrequires-python = '>=3.9'\n"]
)
def test_a_lock_that_is_none_is_an_error_of_the_house(uv: Uv, guard: Path, tmp_path: Path, content: str) -> None:
    folder = lay(tmp_path / "proj")
    (folder / "uv.lock").write_text(content)
    with pytest.raises(HardtackError, match=r"uv\.lock"):
        export(folder, uv, guard)


def test_edges_are_those_of_the_lock(project: Path) -> None:
    edges = read_edges((project / "uv.lock").read_text(), where="uv.lock")
    assert set(edges) == {
        ("proj", "1"), ("one", "1.0"), ("two", "1.0"), ("two", "2.0"), ("three", "1.0"), ("four", "1.0"), ("five", "1.0"),
    }  # fmt: skip
    assert [(edge.name, edge.marker) for edge in edges["one", "1.0"]] == [("five", "python_full_version >= '3.10'")]
    assert {(edge.name, edge.version, edge.extra) for edge in edges["proj", "1"]} == {
        ("one", None, None), ("two", "1.0", "cpu"), ("two", "2.0", "cuda"),
    }  # fmt: skip

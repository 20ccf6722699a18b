"""What steers a run, read once: what changes its result changes its key, and what contradicts itself is told before anything is done."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hardtack.errors import UsageError
from hardtack.inputs.read import InputRequest
from hardtack.model.lock import Lock, LockedBuild, LockedPackage
from hardtack.reporting import Reporter
from hardtack.system.cancellation import Cancellation
from hardtack.workflow.reading import Job, read_job, warn_of_strangers
from hardtack.workflow.receipt import receipt_key
from hardtack.workflow.request import BuildOptions, Request

PYLOCK = 'lock-version = "1.0"\ncreated-by = "x"\npackages = []\n'
TARGETS = ("py312-linux-x86_64",)


def job(folder: Path, *, options: BuildOptions | None = None, settings: str = "", **inputs: Any) -> Job:
    if not (folder / "requirements.txt").exists():
        (folder / "requirements.txt").write_text("six\n")
    (folder / "hardtack.toml").write_text(settings)
    request = Request(
        inputs=InputRequest(project_dir=folder, **inputs),
        targets=TARGETS,
        cache_dir=folder / "cache",
        environment={"HARDTACK_CONFIG_FILE": "", "HOME": str(folder / "home")},
    )
    options = options or BuildOptions()
    return read_job(request, replace(options, output=options.output or folder / "house"), reporter=Reporter(), stop=Cancellation())


def _with(changed: str) -> BuildOptions:
    more: dict[str, Any] = {changed: True}
    return BuildOptions(**more)


BUILDING = [
    ("", ("a=1",)),
    ("", ("a=2",)),
    ("", ("a=1", "a=2")),
    ("", ("six:a=1",)),
    ('[build]\nconfig-settings = { b = "1" }', ()),
    ('[build]\nenvironment = { A = "1" }', ()),
    ('[build]\nenvironment = { A = "2" }', ()),
    ('[build]\ntools = ["cmake"]', ()),
    ('[build.packages.six]\nrequires = ["x"]', ()),
    ('[build.packages.six]\nrequires = [{ requirement = "x", match-runtime = true }]', ()),
    ('[build.packages.six]\ntools = ["cmake"]', ()),
    ('build-constraints = ["x<2"]', ()),
]


class TestKeys:
    def test_what_changes_a_build_changes_the_lock_that_it_is_for(self, tmp_path: Path) -> None:
        plain = job(tmp_path)
        digests = {job(tmp_path, settings=settings, config_settings=said).digest() for settings, said in BUILDING}
        assert len(digests) == len(BUILDING)
        assert plain.digest() not in digests
        assert plain.digest() == job(tmp_path).digest()

    @pytest.mark.parametrize("settings", ["build-jobs = 3", "[build]\ntimeout = 1\nmemory = 5\ndisk = 6\nprocesses = 7"])
    def test_limits_change_nothing(self, settings: str, tmp_path: Path) -> None:
        plain, limited = job(tmp_path), job(tmp_path, settings=settings)
        assert limited.options.build_jobs == 3 or limited.requirements.recipes.limits.memory == 5
        assert (plain.digest(), receipt_key(plain)) == (limited.digest(), receipt_key(limited))

    @pytest.mark.parametrize("changed", ["build_twice", "with_sdists", "keep_foreign"])
    def test_what_changes_the_wheelhouse_alone_leaves_the_lock_as_it_is(self, changed: str, tmp_path: Path) -> None:
        plain = job(tmp_path)
        flagged = job(tmp_path, options=_with(changed))
        configured = job(tmp_path, settings=f"{changed.replace('_', '-')} = true")
        assert plain.digest() == flagged.digest() == configured.digest()
        assert receipt_key(plain) != receipt_key(flagged) == receipt_key(configured)

    def test_a_run_that_did_not_lock_builds_is_another(self, tmp_path: Path) -> None:
        assert receipt_key(job(tmp_path)) != receipt_key(job(tmp_path, options=BuildOptions(build_lock=False)))

    def test_the_system_that_is_built_in(self, tmp_path: Path) -> None:
        root = tmp_path / "root"
        for name, content in (("usr/bin/true", "x"), ("bin/sh", "x"), ("lib/ld-musl-x86_64.so.1", "x"), ("etc/os-release", "NAME=A\n")):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(content)
        plain = job(tmp_path)
        first = job(tmp_path, options=BuildOptions(build_root=root))
        assert first.build_system is not None and first.build_system.folder == root.resolve()
        assert first.digest() == plain.digest()
        assert receipt_key(first) == receipt_key(job(tmp_path, settings='build-root = "root"')) != receipt_key(plain)
        (root / "usr/bin/cc").write_text("new")
        assert receipt_key(first) != receipt_key(job(tmp_path, options=BuildOptions(build_root=root)))

    def test_a_root_that_is_none_is_told_with_where_it_was_said(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="no such folder") as flagged:
            job(tmp_path, options=BuildOptions(build_root=Path("gone")))
        assert str(flagged.value).startswith(f"--build-root: {Path('gone').absolute()}")
        with pytest.raises(UsageError) as configured:
            job(tmp_path, settings='build-root = "gone"')
        assert str(configured.value).startswith(f"hardtack.toml: build-root: {tmp_path / 'gone'}")

    def test_a_required_folder_is_told_from_the_project(self, tmp_path: Path) -> None:
        digests = []
        for place in ("here", "there"):
            folder = tmp_path / place
            (folder / "helper").mkdir(parents=True)
            (folder / "helper" / "pyproject.toml").write_text('[project]\nname = "helper"\nversion = "1"\n')
            (folder / "pyproject.toml").write_text(
                '[tool.uv]\nextra-build-dependencies = { six = ["helper"] }\n[tool.uv.sources]\nhelper = { path = "helper" }\n'
            )
            digests.append(job(folder).digest())
        assert digests[0] == digests[1]
        text = '[project]\nname = "helper"\nversion = "1"\ndependencies = ["x"]\n'
        (tmp_path / "there" / "helper" / "pyproject.toml").write_text(text)
        assert job(tmp_path / "there").digest() != digests[1]


class TestLocked:
    def test_a_lock_that_lies_there_is_enough(self, tmp_path: Path) -> None:
        (tmp_path / "pylock.toml").write_text(PYLOCK)
        found = job(tmp_path, options=BuildOptions(locked=True))
        assert found.options.locked and found.lock_file is not None
        assert receipt_key(found) != receipt_key(replace(found, options=replace(found.options, locked=False)))

    def test_so_is_the_one_that_an_earlier_run_left_in_the_wheelhouse(self, tmp_path: Path) -> None:
        (tmp_path / "house").mkdir()
        (tmp_path / "house" / "pylock.toml").write_text(PYLOCK)
        found = job(tmp_path, options=BuildOptions(locked=True), requirements=("six",))
        assert found.options.locked and found.lock_file is None

    def test_without_any_it_says_what_to_do(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="no lock to obey") as caught:
            job(tmp_path, options=BuildOptions(locked=True))
        assert "hardtack lock" in str(caught.value.hint)

    @pytest.mark.parametrize("inputs", [{"requirements": ("six",)}, {"requirement_files": ("requirements.txt",)}])
    def test_a_lock_of_the_project_is_not_one_of_what_is_named(self, inputs: dict[str, Any], tmp_path: Path) -> None:
        (tmp_path / "pylock.toml").write_text(PYLOCK)
        with pytest.raises(UsageError, match="no lock for what is named") as caught:
            job(tmp_path, options=BuildOptions(locked=True), **inputs)
        assert "--lock-file pylock.toml" in str(caught.value.hint)
        named = job(tmp_path, options=BuildOptions(locked=True), lock_file=tmp_path / "pylock.toml", **inputs)
        assert named.lock_file is not None

    @pytest.mark.parametrize(
        ("options", "inputs", "flag"),
        [
            (BuildOptions(locked=True, upgrade=frozenset({"six"})), {}, "--upgrade"),
            (BuildOptions(locked=True, build_lock=False), {}, "--no-build-lock"),
            (BuildOptions(locked=True), {"use_lock": False}, "--no-lock"),
        ],
    )
    def test_what_would_not_obey_it_is_refused(self, options: BuildOptions, inputs: dict[str, Any], flag: str, tmp_path: Path) -> None:
        (tmp_path / "pylock.toml").write_text(PYLOCK)
        with pytest.raises(UsageError, match=flag):
            job(tmp_path, options=options, **inputs)


def test_flags_beat_the_configuration(tmp_path: Path) -> None:
    found = job(tmp_path, options=BuildOptions(build_jobs=5), settings="build-jobs = 2")
    assert found.options.build_jobs == 5
    assert job(tmp_path, settings="build-jobs = 2").options.build_jobs == 2


def test_a_setting_for_a_package_that_is_not_there_is_told(tmp_path: Path) -> None:
    class Listening(Reporter):
        def __init__(self) -> None:
            self.told: list[str] = []

        def warning(self, message: str, *, hint: str | None = None) -> None:
            self.told.append(message)

    found = job(tmp_path, config_settings=("six:a=1", "tool:a=1", "Typo:a=1", "cmake.define.X:BOOL=ON", ":k:l=1", "m=1"))
    build = LockedBuild(environment="", requires=(), packages=(LockedPackage(name="tool", version=None),))
    listening = Listening()
    warn_of_strangers(found, Lock(packages=(LockedPackage(name="six", version=None),), builds=(build,)), listening)
    assert [message.split()[1] for message in listening.told] == ["cmake-define-x:...", "typo:..."]

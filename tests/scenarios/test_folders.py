"""``verify`` on folders that hardtack never made: by pip, by hand, by another tool."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hardtack import InputRequest, VerifyResult, verify
from hardtack.errors import HardtackError
from hardtack.model.finding import Finding, Grade, Severity
from tests.scenarios.yard import ARM, LINUX, MAC, WINDOWS, Yard
from tests.support.archives import make_sdist, make_wheel, sha256
from tests.support.running import traces
from tests.wheelhouse_elf.forge import elf

_LINUX_TAG = "cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64"
_WINDOWS_TAG = "cp312-cp312-win_amd64"


class Folder:
    """A folder of wheels, made by hand."""

    def __init__(self, yard: Yard) -> None:
        self.yard = yard
        self.path = yard.home / "folder"
        self.path.mkdir()

    def add(self, name: str, version: str = "1.0", *, to: str = "", **more: Any) -> Path:
        filename, data = make_wheel(name, version, **more)
        place = self.path / to / filename
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        return place

    def verify(self, *requirements: str, targets: tuple[str, ...] = (LINUX,), trial: bool = False, **more: Any) -> VerifyResult:
        inputs = more.pop("inputs", None)
        if requirements:
            inputs = InputRequest(requirements=requirements)
        if inputs is not None:
            inputs = replace(inputs, project_dir=self.yard.project)
        options = {"cache_dir": self.yard.cache, "environment": self.yard.environment, **more}
        return verify(self.path, inputs=inputs, targets=targets, trial=trial, **options)


@pytest.fixture
def folder(yard: Yard) -> Folder:
    return Folder(yard)


def errors(result: VerifyResult) -> list[tuple[str, str | None]]:
    """(code, package) of each error, in the order of codes."""
    found = {(finding.code, finding.package) for finding in result.verdict.findings if finding.severity is Severity.ERROR}
    assert result.verdict.passed == (not found)
    return sorted(found, key=str)


def told(result: VerifyResult, code: str) -> list[Finding]:
    return [finding for finding in result.verdict.findings if finding.code == code]


# --- the stories -------------------------------------------------------------------------------------------------------------------------


def test_what_pip_leaves_out_for_another_platform_is_found(yard: Yard, folder: Folder) -> None:
    """E2: pip answers markers on the host, and exits 0."""
    yard.wheel("click", requires=["colorama ; sys_platform == 'win32'"])
    yard.wheel("colorama")
    got = yard.pip_download("folder", "click", "--platform", "win_amd64", "--python-version", "3.12", "--only-binary", ":all:")
    assert got == {"click-1.0-py3-none-any.whl"}
    for result in (folder.verify(targets=(LINUX, WINDOWS)), folder.verify("click", targets=(LINUX, WINDOWS))):
        assert errors(result) == [("missing", "colorama")]
        (finding,) = told(result, "missing")
        assert finding.target == WINDOWS and "click 1.0 requires colorama" in finding.required_by[0]
        assert dict(result.verdict.grades) == {LINUX: (Grade.METADATA,), WINDOWS: ()}
    folder.add("colorama")
    assert folder.verify("click", targets=(LINUX, WINDOWS), opinion=True).verdict.grades == (
        (LINUX, (Grade.METADATA, Grade.RESOLVER)),
        (WINDOWS, (Grade.METADATA, Grade.RESOLVER)),
    )


def test_a_downgrade_of_pip_is_found(yard: Yard, folder: Folder) -> None:
    """E1: pip takes the pure wheel, for it knows the platform it was given and none older; the lock has the better one."""
    yard.wheel("coverage", tag="py3-none-any")
    yard.wheel("coverage", tag=_LINUX_TAG)
    got = yard.pip_download(
        "folder", "coverage", "--platform", "manylinux_2_28_x86_64", "--python-version", "3.12", "--abi", "cp312", "--only-binary", ":all:"
    )
    assert got == {"coverage-1.0-py3-none-any.whl"}
    lock = yard.lock("coverage", targets=(LINUX,))
    assert lock.path is not None
    result = folder.verify(inputs=InputRequest(lock_file=lock.path))
    assert errors(result) == [("downgraded", "coverage")]
    # Without a lock it shows only beside a target that got machine code.
    assert folder.verify("coverage").verdict.passed
    folder.add("coverage", tag=_WINDOWS_TAG)
    (finding,) = told(folder.verify("coverage", targets=(LINUX, WINDOWS)), "downgraded")
    assert (finding.severity, finding.target) == (Severity.WARNING, LINUX)


def test_a_folder_for_each_target(folder: Folder) -> None:
    """PEERS, flow 5: the missing wheel is found, and named with what is there instead. The folders say which targets are meant."""
    for target, tag in ((LINUX, _LINUX_TAG), (WINDOWS, _WINDOWS_TAG)):
        folder.add("app", requires=["coverage"], to=target)
        folder.add("coverage", tag=tag, to=target)
    result = folder.verify(targets=())
    assert result.verdict.passed and [name for name, _ in result.verdict.grades] == [LINUX, WINDOWS]
    (folder.path / WINDOWS / f"coverage-1.0-{_WINDOWS_TAG}.whl").rename(folder.path / LINUX / f"coverage-1.0-{_WINDOWS_TAG}.whl")
    result = folder.verify(targets=())
    assert errors(result) == [("missing", "coverage")] and told(result, "missing")[0].target == WINDOWS
    assert errors(folder.verify("app", targets=(WINDOWS,))) == [("missing", "coverage")]
    assert not errors(folder.verify("app", targets=(LINUX,)))
    asked = folder.verify("app", targets=())
    assert [name for name, _ in asked.verdict.grades] == [LINUX, WINDOWS] and errors(asked) == [("missing", "coverage")]
    # A target without a folder of its own sees what lies in none.
    folder.add("app", requires=[])
    assert not errors(folder.verify("app", targets=(MAC,)))


def test_sub_folders_count_as_one(folder: Folder) -> None:
    folder.add("app", requires=["below"])
    folder.add("below", to="a/b/c")
    folder.add("hidden", to=".git")
    result = folder.verify("app")
    assert result.verdict.passed
    assert {file.path for file in result.manifest.files} == {"app-1.0-py3-none-any.whl", "a/b/c/below-1.0-py3-none-any.whl"}
    assert errors(folder.verify("hidden")) == [("missing", "hidden")]


def test_on_the_host_it_is_installed_without_network(folder: Folder) -> None:
    folder.add("app", requires=["lib"])
    folder.add("lib")
    for asked in ((), ("app",)):
        (grade,) = folder.verify(*asked, targets=("host",), trial=True).verdict.grades
        assert grade[1] == (Grade.METADATA, Grade.INSTALLED)


_WORLD: list[tuple[str, str, dict[str, Any]]] = [
    ("app", "1.0", {"requires": ["lib[fast]>=2", "win ; sys_platform == 'win32'", "old ; python_full_version < '3.12.1'"]}),
    ("lib", "2.1", {"requires": ["speed ; extra == 'fast'", "docs ; extra == 'docs'"], "extras": ["fast", "docs"]}),
    ("lib", "2.0", {"requires": ["gone"], "extras": ["fast"]}),
    ("speed", "0.3", {"tag": _LINUX_TAG, "requires": ["posix ; os_name == 'posix'"]}),
    ("speed", "0.3", {"tag": _WINDOWS_TAG}),
    ("speed", "0.3", {"tag": "cp311-cp311-win_amd64"}),
    ("posix", "1.0", {}),
    ("win", "1.0", {"requires": ["nt-only ; platform_machine == 'AMD64'"]}),
    ("nt-only", "1.0", {"tag": "py3-none-win_amd64"}),
    ("old", "1.0", {"requires_python": ">=3.8"}),
    ("old", "2.0", {"requires_python": ">=3.13"}),
    ("docs", "1.0", {}),
]


def test_agrees_with_uv_when_single_files_are_removed(yard: Yard, folder: Folder) -> None:
    """E9: another resolver, offline, for foreign targets. It reads "3.12" as 3.12.0, so the targets are that patch."""
    paths = [folder.add(name, version, **more) for name, version, more in _WORLD]
    targets = {"py3.12.0-linux-x86_64": "x86_64-manylinux_2_28", "py3.12.0-windows-x86_64": "x86_64-pc-windows-msvc"}
    verdicts = {}
    for removed in (None, *paths):
        hidden = removed.rename(yard.home / removed.name) if removed is not None else None
        result = folder.verify("app", targets=tuple(targets))
        for (_, grades), platform in zip(result.verdict.grades, targets.values(), strict=True):
            verdicts[removed and removed.name, platform] = (bool(grades), _uv_installs(yard, folder.path, platform))
        if hidden is not None and removed is not None:
            hidden.rename(removed)
    assert {key: row for key, row in verdicts.items() if row[0] != row[1]} == {}
    assert {ours for ours, _ in verdicts.values()} == {True, False}


def _uv_installs(yard: Yard, links: Path, platform: str) -> bool:
    done = yard.uv(
        *("pip", "install", "--dry-run", "--offline", "--no-index", "--find-links", links, "--target", yard.home / "into"),
        *("--python", sys.executable, "--python-platform", platform, "--python-version", "3.12", "--only-binary", ":all:", "app"),
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    return done.returncode == 0


# --- what is asked -----------------------------------------------------------------------------------------------------------------------


def test_requirements_of_every_kind(yard: Yard, folder: Folder) -> None:
    folder.add("app", requires=["extra-lib ; extra == 'x'"], extras=["x"])
    folder.add("lib", "2.0")
    folder.add("lib", "1.0")
    yard.write("requirements.txt", "app[x]\nlib<2  # old\n")
    yard.write("constraints.txt", "lib!=1.0\n")
    requirements = InputRequest(requirement_files=("requirements.txt",))
    assert errors(folder.verify(inputs=requirements)) == [("missing", "extra-lib")]
    folder.add("extra-lib")
    assert not errors(folder.verify(inputs=requirements))
    assert [(pin.name, pin.version) for pin in folder.verify(inputs=requirements).manifest.pins] == [
        ("app", "1.0"), ("extra-lib", "1.0"), ("lib", "1.0"),
    ]  # fmt: skip
    result = folder.verify(inputs=replace(requirements, constraint_files=("constraints.txt",)))
    assert errors(result) == [("conflict", "lib")]


def test_a_project_with_extras_and_groups(yard: Yard, folder: Folder) -> None:
    yard.write(
        "pyproject.toml",
        "[build-system]\nrequires=['backend']\n[project]\nname='mine'\nversion='1'\ndependencies=['app']\n"
        "[project.optional-dependencies]\nx=['extra']\n[dependency-groups]\ndev=['tool']\n",
    )
    folder.add("app")
    project = InputRequest(project_dir=yard.project)
    assert errors(folder.verify(inputs=project)) == [("missing", "backend"), ("missing", "tool")]
    runtime = replace(project, sets=frozenset({"runtime"}), build_requirements=False)
    result = folder.verify(inputs=runtime)
    assert result.verdict.passed
    (finding,) = told(result, "project")
    assert finding.severity is Severity.WARNING and finding.package == "mine"
    assert not told(folder.verify(inputs=replace(runtime, project=False)), "project")
    assert errors(folder.verify(inputs=replace(runtime, extras=frozenset({"x"})))) == [("missing", "extra")]


def test_what_builds_need_not_agree_with_what_runs(yard: Yard, folder: Folder) -> None:
    yard.write(
        "pyproject.toml",
        "[build-system]\nrequires=['tool<2']\n[project]\nname='mine'\nversion='1'\ndependencies=['tool>=2']\n",
    )
    folder.add("tool", "1.0")
    folder.add("tool", "2.0")
    assert folder.verify(inputs=InputRequest(project_dir=yard.project)).verdict.passed


@pytest.fixture
def locked(yard: Yard, folder: Folder) -> Iterator[Folder]:
    """A folder that holds what a lock beside the project locks."""
    yard.wheel("app", "1.0", requires=["native>=1"])
    for tag in (_LINUX_TAG, _WINDOWS_TAG):
        yard.wheel("native", "2.0", tag=tag)
    yard.wheel("native", "2.0")
    yard.write("pyproject.toml", "[project]\nname='mine'\nversion='1'\nrequires-python='>=3.11'\ndependencies=['app']\n")
    for name in ("app-1.0-py3-none-any.whl", f"native-2.0-{_LINUX_TAG}.whl", f"native-2.0-{_WINDOWS_TAG}.whl"):
        (folder.path / name).write_bytes(yard.index.files[name].data)
    yield folder


def _ours(yard: Yard) -> Path:
    lock = yard.lock("app", targets=(LINUX, WINDOWS))
    assert lock.path is not None
    return lock.path.rename(yard.project / "pylock.ours.toml")


def _uvs(yard: Yard) -> Path:
    yard.uv("lock", "--default-index", yard.index.url)
    return yard.project / "uv.lock"


def _pylock(yard: Yard) -> Path:
    yard.write("in.txt", "app\n")
    yard.uv(
        "pip", "compile", "in.txt", "--universal", "--python-version", "3.11", "-o", "pylock.theirs.toml", "--index-url", yard.index.url
    )
    return yard.project / "pylock.theirs.toml"


@pytest.mark.parametrize("make", [_ours, _uvs, _pylock])
def test_any_lock(yard: Yard, locked: Folder, make: Callable[[Yard], Path]) -> None:
    """Each harm is found by its name, whosever lock it is."""
    inputs = InputRequest(lock_file=make(yard), project=False)
    both = (LINUX, WINDOWS)

    def seen(**more: Any) -> list[tuple[str, str | None]]:
        return errors(locked.verify(inputs=inputs, targets=both, **more))

    assert seen() == []
    wheel = locked.path / f"native-2.0-{_LINUX_TAG}.whl"
    good = wheel.read_bytes()
    # Gone: only other platforms' wheels lie there.
    wheel.unlink()
    assert seen() == [("tags", "native")]
    # A pure one instead, which is the lock's own too.
    pure = locked.path / "native-2.0-py3-none-any.whl"
    pure.write_bytes(yard.index.files[pure.name].data)
    assert seen() == [("downgraded", "native")]
    pure.unlink()
    # Other bytes under the right name.
    wheel.write_bytes(make_wheel("native", "2.0", tag=_LINUX_TAG, files={"native/evil.py": b"1"})[1])
    assert seen() == [("hash-mismatch", "native")]
    # A wheel that nobody locked, of a locked version: an installer might take it.
    wheel.write_bytes(good)
    stranger = locked.add("native", "2.0", tag="cp312-cp312-manylinux_2_28_x86_64")
    assert seen() == [("not-in-lock", "native")]
    stranger.unlink()
    # Another version alone.
    wheel.unlink()
    locked.add("native", "3.0", tag=_LINUX_TAG)
    result = locked.verify(inputs=inputs, targets=both)
    assert errors(result) == [("version", "native")]
    assert [finding.severity for finding in told(result, "not-in-lock")] == [Severity.WARNING]
    # Nothing of that name.
    for path in locked.path.glob("native-*"):
        path.unlink()
    assert seen() == [("missing", "native")]


def test_a_wheel_that_was_built_of_a_locked_source(yard: Yard, folder: Folder) -> None:
    """No lock knows its digest: it serves, and that it is trusted is told."""
    yard.sdist("fromsource")
    yard.wheel("app", requires=["fromsource"])
    lock = yard.lock("app")
    folder.path.joinpath("app-1.0-py3-none-any.whl").write_bytes(yard.index.files["app-1.0-py3-none-any.whl"].data)
    inputs = InputRequest(lock_file=lock.path)
    assert errors(folder.verify(inputs=inputs)) == [("missing", "fromsource")]
    folder.add("fromsource")
    result = folder.verify(inputs=inputs)
    assert result.verdict.passed
    assert [finding.severity for finding in told(result, "not-in-lock")] == [Severity.NOTE]


def test_hashes_that_the_user_states(yard: Yard, folder: Folder) -> None:
    good = folder.add("app", requires=["lib"])
    folder.add("lib")
    digest = sha256(good.read_bytes())
    lib = sha256((folder.path / "lib-1.0-py3-none-any.whl").read_bytes())

    def seen(text: str) -> list[tuple[str, str | None]]:
        yard.write("requirements.txt", text)
        return errors(folder.verify(inputs=InputRequest(requirement_files=("requirements.txt",))))

    assert seen(f"app==1.0 --hash=sha256:{digest}\nlib==1.0 --hash=sha256:{lib}\n") == []
    assert seen(f"app==1.0 --hash=sha256:{'0' * 64}\nlib==1.0 --hash=sha256:{lib}\n") == [("hash-mismatch", "app"), ("missing", "app")]
    # As for pip: one hash makes all mandatory, also of what is only required.
    assert seen(f"app==1.0 --hash=sha256:{digest}\n") == [("no-hash", "lib")]
    done = yard.pip("install", "--dry-run", "--no-index", "--find-links", folder.path, "-r", "requirements.txt")
    assert done.returncode != 0 and "hash" in done.stderr.lower()


def test_what_is_locked_is_wanted_though_no_metadata_asks_for_it(yard: Yard, folder: Folder) -> None:
    """Whoever installs from the lock wants it: the metadata of the wheel need not be what the resolver was told."""
    folder.add("app")
    yard.write(
        "pylock.toml",
        "lock-version = '1.0'\ncreated-by = 'hand'\n"
        + "".join(
            f"[[packages]]\nname = '{name}'\nversion = '1.0'\n"
            f"wheels = [{{ name = '{name}-1.0-py3-none-any.whl', url = 'https://example.invalid/{name}-1.0-py3-none-any.whl',"
            f" hashes = {{ sha256 = '{sha256(make_wheel(name)[1])}' }} }}]\n"
            for name in ("app", "more")
        ),
    )
    inputs = InputRequest(lock_file=yard.project / "pylock.toml")
    assert errors(folder.verify(inputs=inputs)) == [("missing", "more")]
    folder.add("more")
    result = folder.verify(inputs=inputs)
    assert result.verdict.passed and not result.verdict.findings


@pytest.mark.parametrize(("algorithm", "right"), [("sha512", True), ("sha512", False), ("md5", False), ("unheard-of", None)])
def test_a_lock_with_another_digest_is_held_to_it(yard: Yard, folder: Folder, algorithm: str, right: bool | None) -> None:
    data = folder.add("app").read_bytes()
    digest = "0" * 64 if right is None else hashlib.new(algorithm, data if right else b"other").hexdigest()
    yard.write(
        "pylock.toml",
        "lock-version = '1.0'\ncreated-by = 'hand'\n[[packages]]\nname = 'app'\nversion = '1.0'\n"
        "wheels = [{ name = 'app-1.0-py3-none-any.whl', url = 'https://example.invalid/app-1.0-py3-none-any.whl',"
        f" hashes = {{ {algorithm} = '{digest}' }} }}]\n",
    )
    result = folder.verify(inputs=InputRequest(lock_file=yard.project / "pylock.toml"))
    assert errors(result) == ([("hash-mismatch", "app")] if right is False else [])
    assert bool(told(result, "hash-unchecked")) == (right is None)


def test_a_requirement_by_the_url_of_a_wheel(folder: Folder) -> None:
    folder.add("app", "2.0")
    line = "app @ https://example.invalid/app-1.0-py3-none-any.whl"
    assert [package for _, package in errors(folder.verify(line))] == ["app"]
    folder.add("app", "1.0")
    result = folder.verify(line)
    assert result.verdict.passed and [pin.version for pin in result.manifest.pins] == ["1.0"]


def test_the_project_itself_may_want_another_python(yard: Yard, folder: Folder) -> None:
    folder.add("app")
    yard.write("pyproject.toml", "[project]\nname='mine'\nversion='1'\nrequires-python='>=3.12.4'\ndependencies=['app']\n")
    inputs = InputRequest(project_dir=yard.project, build_requirements=False)
    assert errors(folder.verify(inputs=inputs)) == [("requires-python", "mine")]
    assert not errors(folder.verify(inputs=inputs, targets=("py313-linux-x86_64",)))


# --- every finding -----------------------------------------------------------------------------------------------------------------------


def _too_new(folder: Folder) -> None:
    code = elf(versions={"libc.so.6": ["GLIBC_2.38"]}, symbols={"GLIBC_2.38": "fresh"})
    folder.add("native", tag=_LINUX_TAG, files={"native/_x.cpython-312-x86_64-linux-gnu.so": code})


def _host_library(folder: Folder) -> None:
    code = elf(needed=["libodd.so.7", "libc.so.6"])
    folder.add("native", tag=_LINUX_TAG, files={"native/_x.cpython-312-x86_64-linux-gnu.so": code})


def _cut(folder: Folder) -> None:
    path = folder.add("native")
    path.write_bytes(path.read_bytes()[:-30])


def _record(folder: Folder) -> None:
    import zipfile

    path = folder.add("native")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("native/unlisted.py", "1")


def _renamed(folder: Folder) -> None:
    path = folder.add("native")
    path.rename(path.with_name("native-2.0-py3-none-any.whl"))


def _unreadable(folder: Folder) -> None:
    (folder.path / "native-1.0-py3-none-any.whl").symlink_to("nowhere")


def _pipe(folder: Folder) -> None:
    os.mkfifo(folder.path / "native-1.0-py3-none-any.whl")


def _twice(folder: Folder) -> None:
    folder.add("native", to="a")
    folder.add("native", to="b", files={"native/other.py": b"1"})


def _two_spellings(folder: Folder) -> None:
    path = folder.add("native")
    path.rename(path.with_name("Native-1.0-py3-none-any.whl"))
    folder.add("native", files={"native/other.py": b"1"})


def _url(folder: Folder) -> None:
    folder.add("native", requires=["lib @ https://example.invalid/lib-1.0-py3-none-any.whl"])
    folder.add("lib")


_MADE: dict[str, tuple[Callable[[Folder], object], tuple[str, ...], str, Severity]] = {
    "nothing of that name": (lambda f: f.add("other"), ("native",), "missing", Severity.ERROR),
    "another version": (lambda f: f.add("native", "2.0"), ("native<2",), "version", Severity.ERROR),
    "another platform": (lambda f: f.add("native", tag=_WINDOWS_TAG), ("native",), "tags", Severity.ERROR),
    "another platform, unasked": (lambda f: f.add("native", tag=_WINDOWS_TAG), (), "tags", Severity.ERROR),
    "another Python": (lambda f: f.add("native", requires_python=">=3.13"), ("native",), "requires-python", Severity.ERROR),
    "another Python, unasked": (lambda f: f.add("native", requires_python=">=3.13"), (), "requires-python", Severity.ERROR),
    "unknown extra": (lambda f: f.add("native"), ("native[odd]",), "unknown-extra", Severity.WARNING),
    "too new for the floor": (_too_new, ("native",), "glibc-floor", Severity.ERROR),
    "too new for the floor, unasked": (_too_new, (), "glibc-floor", Severity.ERROR),
    "host library": (_host_library, ("native",), "host-library", Severity.WARNING),
    "cut off": (_cut, (), "zip-structure", Severity.ERROR),
    "RECORD": (_record, (), "record", Severity.ERROR),
    "other name": (_renamed, (), "metadata-name", Severity.ERROR),
    "dead link": (_unreadable, (), "unreadable", Severity.ERROR),
    "a pipe": (_pipe, (), "unreadable", Severity.ERROR),
    "two of one name": (_twice, ("native",), "duplicate", Severity.ERROR),
    "two spellings": (_two_spellings, ("native",), "duplicate", Severity.ERROR),
    "two versions": (lambda f: (f.add("native", "1.0"), f.add("native", "2.0")), ("native",), "duplicate", Severity.NOTE),
    "left over": (lambda f: (f.add("native"), f.add("other")), ("native",), "leftover", Severity.NOTE),
    "a URL": (_url, ("native",), "url-requirement", Severity.WARNING),
}


@pytest.mark.parametrize("what", _MADE)
def test_every_class_of_findings(folder: Folder, what: str) -> None:
    make, requirements, code, severity = _MADE[what]
    make(folder)
    result = folder.verify(*requirements)
    assert (code, severity) in {(finding.code, finding.severity) for finding in result.verdict.findings}
    assert result.verdict.passed == (severity is not Severity.ERROR)
    for finding in told(result, code):
        assert "None" not in finding.message
        assert finding.package in ("native", "lib") or finding.file or finding.instead


def test_a_bad_file_is_told_and_named_where_it_is_missed(folder: Folder) -> None:
    _cut(folder)
    (finding,) = told(folder.verify("native"), "missing")
    assert finding.instead == ("native-1.0-py3-none-any.whl (refused: it is not sound)",)
    folder.add("native", "2.0")
    # Another version serves; the broken file is an error all the same.
    assert [code for code, _ in errors(folder.verify("native"))] == ["zip-structure"]


def test_skew_between_targets(folder: Folder) -> None:
    folder.add("native", "1.0", tag=_WINDOWS_TAG)
    folder.add("native", "2.0", tag=_LINUX_TAG)
    result = folder.verify("native", targets=(LINUX, WINDOWS))
    assert result.verdict.passed and [finding.package for finding in told(result, "skew")] == ["native"]


def test_a_source_archive_is_no_wheel(folder: Folder) -> None:
    folder.add("app", requires=["fromsource"])
    name, data = make_sdist("fromsource", files={"setup.py": b""})
    (folder.path / name).write_bytes(data)
    result = folder.verify("app")
    assert errors(result) == [("missing", "fromsource")]
    (finding,) = told(result, "missing")
    assert finding.instead == (f"{name} (a source archive, no wheel)",) and "hardtack build fromsource" in str(finding.hint)
    assert told(result, "not-counted")


def test_everything_at_once(folder: Folder) -> None:
    folder.add("app", requires=["gone", "old<1", "elsewhere"])
    folder.add("old")
    folder.add("elsewhere", tag=_WINDOWS_TAG)
    _cut(folder)
    assert errors(folder.verify("app")) == [
        ("missing", "gone"), ("tags", "elsewhere"), ("version", "old"), ("zip-structure", "native"),
    ]  # fmt: skip


def test_links_to_folders_are_told_and_not_followed(folder: Folder) -> None:
    folder.add("app")
    (folder.path / "round").symlink_to(folder.path)
    result = folder.verify("app")
    assert result.verdict.passed and [finding.severity for finding in told(result, "unreadable")] == [Severity.WARNING]


# --- several versions, and no lock -------------------------------------------------------------------------------------------------------


def test_where_it_hangs_on_the_choice_uv_is_asked(folder: Folder) -> None:
    """The newest version leads nowhere; an older one serves, as installers find by going back."""
    folder.add("app", "2.0", requires=["gone"])
    folder.add("app", "1.0", requires=["lib"])
    folder.add("lib", "2.0", requires=["app>=3"])
    folder.add("lib", "1.0")
    result = folder.verify("app")
    assert result.verdict.passed and [(pin.name, pin.version) for pin in result.manifest.pins] == [("app", "1.0"), ("lib", "1.0")]
    # uv has no name for this one, and then nobody says that there is a choice, or that there is none.
    result = folder.verify("app", targets=("py313t-linux-x86_64",))
    assert not result.verdict.passed and told(result, "ambiguous")


def test_uv_is_asked_about_more_than_the_first_patch(folder: Folder) -> None:
    """Where nothing at all is needed on the first patch, uv's answer is empty, and says nothing of the others."""
    folder.add("app", "2.0", requires=["gone"])
    folder.add("app", "1.0")
    result = folder.verify("app ; python_full_version >= '3.12.3'")
    assert result.verdict.passed and [(pin.name, pin.version) for pin in result.manifest.pins] == [("app", "1.0")]
    # Another version on some patches: what one of them has is not what all have.
    folder.add("app", "1.5", requires=["lib ; python_full_version >= '3.12.3'"])
    folder.add("lib", "2.0", requires=["gone"])
    assert folder.verify("app", "lib<1 ; python_full_version < '3.12.0'").verdict.passed


def test_uv_sees_no_wheel_that_the_target_cannot_have(folder: Folder) -> None:
    """uv passes over upper bounds of Requires-Python, and would take the second; and a bare "linux" fits no floor."""
    folder.add("app", "4.0", requires=["gone"])
    folder.add("app", "3.0", requires_python="<3.12")
    folder.add("app", "2.0", tag="cp312-cp312-linux_x86_64")
    folder.add("app", "1.0")
    result = folder.verify("app")
    assert result.verdict.passed and [(pin.name, pin.version) for pin in result.manifest.pins] == [("app", "1.0")]


def test_where_no_choice_will_do_uv_says_why(folder: Folder) -> None:
    folder.add("one", requires=["lib<2"])
    folder.add("other", requires=["lib>=2"])
    folder.add("lib", "1.0")
    folder.add("lib", "2.0")
    result = folder.verify("one", "other")
    assert errors(result) == [("conflict", "lib")] and "lib" in told(result, "conflict")[0].message
    # Of the folder by itself only each project is asked.
    result = folder.verify()
    assert result.verdict.passed and told(result, "apart")


# --- nothing is written, nobody is asked -------------------------------------------------------------------------------------------------


def test_nothing_is_written_there(folder: Folder) -> None:
    """Not even the time or the mode of a file changes, be the trial and the opinion made or not."""
    wheel = folder.add("app")
    wheel.chmod(0o400)
    before, state = traces(folder.path), wheel.stat()
    assert folder.verify("app", targets=("host",), trial=True, opinion=True).verdict.passed
    after = wheel.stat()
    assert traces(folder.path) == before
    assert (after.st_mode, after.st_ctime_ns, after.st_nlink) == (state.st_mode, state.st_ctime_ns, state.st_nlink)


def test_no_network(yard: Yard, folder: Folder) -> None:
    """Neither for what is there nor for what is not; requirements behind a URL are refused."""
    folder.add("app", requires=["gone"])
    yard.write("requirements.txt", f"--index-url {yard.index.url}\napp\n")
    asked = len(yard.index.requests)
    assert errors(folder.verify(inputs=InputRequest(requirement_files=("requirements.txt",)))) == [("missing", "gone")]
    with pytest.raises(HardtackError):
        folder.verify(inputs=InputRequest(requirement_files=(f"{yard.index.base}/requirements.txt",)))
    assert len(yard.index.requests) == asked


def test_questions_that_make_no_sense(yard: Yard, folder: Folder) -> None:
    empty = yard.home / "empty"
    empty.mkdir()
    for arguments, words in (
        ((empty,), "no wheel"),
        ((yard.home / "absent",), "no such folder"),
        ((folder.add("app"),), "no folder"),
        ((folder.path, "-t", "py99-nowhere"), "py99"),
        ((folder.path, "--lock-file", "absent.toml"), "absent.toml"),
        ((folder.path, "--smoke", "--no-trial"), "--no-trial"),
    ):
        done = yard.hardtack("verify", *arguments)
        assert done.returncode == 2 and words in done.stderr, (arguments, done.stderr)
    # Requirements and an empty folder do make sense.
    assert yard.hardtack("verify", empty, "app", "-t", LINUX).returncode == 1


def test_a_wheelhouse_of_ours_answers_other_questions_too(yard: Yard) -> None:
    yard.wheel("app", requires=["native"])
    yard.wheel("native", tag=_LINUX_TAG)
    assert yard.build("app").passed
    options: dict[str, Any] = {"cache_dir": yard.cache, "environment": yard.environment, "trial": False}

    def asked(*requirements: str, targets: tuple[str, ...]) -> VerifyResult:
        inputs = InputRequest(requirements=requirements, project_dir=yard.project) if requirements else None
        return verify(yard.wheelhouse, inputs=inputs, targets=targets, **options)

    assert asked(targets=()).listed and asked(targets=(LINUX,)).listed
    assert errors(asked(targets=(ARM,))) == [("tags", "native")]
    assert errors(asked("other", targets=(LINUX,))) == [("missing", "other")]
    assert asked("native", targets=(LINUX,)).verdict.passed
    # Whatever is asked, its files are those that it lists, or that is told.
    wheel = yard.wheelhouse / "app-1.0-py3-none-any.whl"
    wheel.unlink()
    wheel.write_bytes(make_wheel("app", files={"app/evil.py": b"1"})[1])
    assert ("hash-mismatch", "app") in errors(asked("native", targets=(LINUX,)))


# --- how it is shown ---------------------------------------------------------------------------------------------------------------------


def test_what_is_printed(yard: Yard, folder: Folder) -> None:
    folder.add("app", requires=["native"])
    folder.add("native", "2.5", tag=_LINUX_TAG)
    arguments = ("verify", folder.path, "app", "-t", LINUX, "-t", WINDOWS)
    done = yard.hardtack(*arguments)
    assert done.returncode == 1
    rows = {line.split()[0]: line for line in done.stdout.splitlines() if line.strip()}
    assert "2.5 wheel" in rows["native"] and "tags" in rows["native"] and rows["app"].count("1.0 pure") == 2
    assert "Not proven" in done.stdout
    data = json.loads(yard.hardtack(*arguments, "--json").stdout)
    assert data["passed"] is False and data["grades"] == {LINUX: ["metadata"], WINDOWS: []} and data["manifest-sha256"] is None
    sarif = json.loads(yard.hardtack(*arguments, "--format", "sarif").stdout)
    assert [result["ruleId"] for result in sarif["runs"][0]["results"] if result["level"] == "error"] == ["tags"]
    assert "::error " in yard.hardtack(*arguments, "--format", "github").stdout
    shutil.copy(folder.path / f"native-2.5-{_LINUX_TAG}.whl", folder.path / "x")
    done = yard.hardtack("verify", folder.path, "app", "-t", LINUX)
    assert done.returncode == 0 and "Proven complete for 1 target: 2 wheels" in done.stdout


def test_where_no_target_is_named_the_host_is_judged_and_said(yard: Yard, folder: Folder) -> None:
    folder.add("app")
    done = yard.hardtack("verify", folder.path)
    assert done.returncode == 0 and "this host" in done.stderr and "installed offline" in done.stdout

"""The cases that break such tools: markers, extras, versions, tags. One test or more for each."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from packaging.markers import Marker

from hardtack.errors import HardtackError, LockError
from hardtack.model.finding import Severity
from tests.scenarios.yard import ARM, LINUX, MAC, OLD_LINUX, WINDOWS, Yard, codes, errors, proven, taken, versions

PY311 = "py311-linux-x86_64"


class TestMarkers:
    def test_python_full_version_inside_the_range(self, yard: Yard) -> None:
        """redis wants async-timeout below 3.11.3; Debian 12 has 3.11.2, and "Python 3.11" is both."""
        redis = yard.wheel("redis", "5.0", requires=['async-timeout>=4.0.3 ; python_full_version < "3.11.3"'])
        timeout = yard.wheel("async-timeout", "4.0.3")
        targets = (PY311, "py311-debian12-x86_64", "py312-linux-x86_64", "py3_11_4-linux-x86_64")
        result = yard.build("redis", targets=targets)
        proven(result)
        names = [target.name for target in result.targets]
        assert [taken(result)[name] for name in names] == [{redis, timeout}, {redis, timeout}, {redis}, {redis}]

        listed = (yard.wheelhouse / f"requirements.{PY311}.txt").read_text()
        line = next(line for line in listed.splitlines() if line.startswith("async-timeout"))
        marker = Marker(line.partition(";")[2].partition("--hash")[0].strip(" \\"))
        assert [marker.evaluate({"python_full_version": f"3.11.{patch}"}) for patch in (0, 2, 3, 9)] == [True, True, False, False]
        # uv, asked at both patches, installs what the marker says from that list.
        for patch, wanted in (("3.11.2", {"async_timeout", "redis"}), ("3.11.3", {"redis"})):
            into = yard.home / patch
            yard.uv(
                *("pip", "install", "--offline", "--no-index", "--find-links", yard.wheelhouse, "--target", into, "--only-binary", ":all:"),
                *("--python", sys.executable, "--python-version", patch, "--python-platform", "x86_64-manylinux_2_28"),
                *("--no-deps", "--require-hashes", "-r", yard.wheelhouse / f"requirements.{PY311}.txt"),
            )
            assert {path.name.split("-")[0] for path in into.glob("*.dist-info")} == wanted

    def test_what_only_a_host_knows_is_asked_for(self, yard: Yard) -> None:
        top = yard.wheel("top", requires=['leaf ; platform_release >= "5.10"'])
        leaf = yard.wheel("leaf")
        with_words = None
        try:
            result = yard.build("top")
        except HardtackError as error:
            with_words = f"{error} {error.hint}"
        else:
            assert not result.passed
            assert "unanswerable-marker" in errors(result)
            finding = next(one for one in result.findings if one.code == "unanswerable-marker")
            with_words = f"{finding.message} {finding.hint}"
        assert "platform_release" in with_words
        assert re.search(r"markers|platform-release", with_words)
        assert not yard.wheelhouse.exists()

        yard.write(
            "hardtack.toml",
            "[targets.new]\nplatform = 'py312-linux-x86_64'\nmarkers = { platform-release = '5.15.0' }\n"
            "[targets.old]\nplatform = 'py312-linux-x86_64'\nmarkers = { platform-release = '4.18.0' }\n",
        )
        stated = yard.build("top", targets=())
        proven(stated)
        assert taken(stated) == {"new": {top, leaf}, "old": {top}}

    def test_a_marker_that_another_part_decides_asks_nothing(self, yard: Yard) -> None:
        top = yard.wheel("top", requires=['leaf ; platform_release >= "20.0" and sys_platform == "darwin"'])
        yard.wheel("leaf")
        result = yard.build("top", targets=(LINUX, WINDOWS))
        proven(result)
        assert taken(result) == {LINUX: {top}, WINDOWS: {top}}

    def test_every_variable_is_the_targets(self, yard: Yard) -> None:
        leaves = {
            "nt": "os_name == 'nt'",
            "darwin": "sys_platform == 'darwin'",
            "arm": "platform_machine in 'arm64 aarch64 ARM64'",
            "pypy": "platform_python_implementation == 'PyPy'",
            "late": "python_version >= '3.13'",
            "win": "platform_system == 'Windows' and platform_machine == 'ARM64'",
        }
        wheels = {name: yard.wheel(name) for name in leaves}
        top = yard.wheel("top", requires=[f"{name} ; {marker}" for name, marker in leaves.items()])
        targets = (
            LINUX,
            ARM,
            MAC,
            WINDOWS,
            "py313-windows-arm64",
            "pp311-linux-x86_64",
            "py313t-linux-x86_64",
            "py312-linux-x86_64-musl1_2",
        )
        result = yard.build("top", targets=targets)
        proven(result)
        wanted = [(), ("arm",), ("darwin", "arm"), ("nt",), ("nt", "arm", "late", "win"), ("pypy",), ("late",), ()]
        assert taken(result) == {
            target.name: {top, *(wheels[name] for name in names)} for target, names in zip(result.targets, wanted, strict=True)
        }


class TestExtras:
    def test_a_fixpoint_over_nested_extras(self, yard: Yard) -> None:
        a = yard.wheel("a", requires=["b[x] ; extra == 'one'", "A[One] ; extra == 'all'"], extras=["one", "all"])
        b = yard.wheel("b", requires=["c[Deep.Extra] ; extra == 'x'"], extras=["x"])
        c = yard.wheel("c", requires=["a ; extra == 'deep-extra'", "d ; extra == 'deep-extra'"], extras=["deep-extra"])
        d = yard.wheel("d")
        result = yard.build("a[ALL]")
        proven(result)
        assert taken(result) == {LINUX: {a, b, c, d}}
        assert yard.files() == {a, b, c, d}
        bare = yard.build("a")
        assert taken(bare) == {LINUX: {a}}

    def test_a_projects_extras_that_name_the_project(self, yard: Yard) -> None:
        for name in ("one", "two", "base"):
            yard.wheel(name)
        yard.write(
            "pyproject.toml",
            "[project]\nname='Proj'\nversion='1'\ndependencies=['base']\n"
            "[project.optional-dependencies]\na=['one']\nb=['two']\nall=['proj[a,b]']\n",
        )
        done = yard.hardtack("build", "--extra", "all", "-t", LINUX, "-i", yard.index.url, "--no-trial", check=True)
        assert "proven" in done.stdout + done.stderr or done.returncode == 0
        assert {name.split("-")[0] for name in yard.files()} == {"one", "two", "base"}

    def test_an_unknown_extra_is_a_warning(self, yard: Yard) -> None:
        leaf = yard.wheel("leaf")
        result = yard.build("leaf[nope]")
        proven(result)
        assert taken(result) == {LINUX: {leaf}}
        said = [finding for finding in result.findings if finding.code == "unknown-extra"]
        assert [finding.severity for finding in said] == [Severity.WARNING]
        assert "nope" in said[0].message
        # pip warns and goes on, too.
        done = yard.pip("install", "--no-index", "--find-links", yard.wheelhouse, "--target", yard.home / "into", "leaf[nope]", check=True)
        assert "does not provide the extra 'nope'" in done.stdout + done.stderr

    def test_an_extra_asked_by_a_marker_but_not_provided(self, yard: Yard) -> None:
        """uv takes what hangs on it, pip does not: a wheelhouse that has it serves both."""
        top = yard.wheel("top", requires=["leaf ; extra == 'undeclared'"])
        leaf = yard.wheel("leaf")
        result = yard.build("top[undeclared]")
        proven(result)
        assert taken(result) == {LINUX: {top, leaf}}
        assert "unknown-extra" in codes(result)
        yard.uv(
            *("pip", "install", "--offline", "--no-index", "--find-links", yard.wheelhouse, "--target", yard.home / "into"),
            *("--python", sys.executable, "top[undeclared]"),
        )
        assert (yard.home / "into" / "leaf-1.0.dist-info").is_dir()


class TestRequiresPython:
    def test_judged_at_the_full_version(self, yard: Yard) -> None:
        """Only patches from 3.11.4 on may have it: not every 3.11 can."""
        old = yard.wheel("leaf", "1.0", requires_python=">=3.8")
        new = yard.wheel("leaf", "2.0", requires_python=">=3.11.4")
        one = yard.build("leaf", targets=("py3_11_9-linux-x86_64",))
        proven(one)
        assert list(taken(one).values()) == [{new}]
        whole = yard.build("leaf", targets=(PY311,))
        proven(whole)
        assert taken(whole) == {PY311: {old}}

    def test_from_metadata_where_the_folder_says_nothing(self, yard: Yard) -> None:
        from hardtack import IndexFlags

        folder = yard.project / "folder"
        folder.mkdir()
        for version, python in (("1.0", ">=3.8"), ("2.0", ">=3.13")):
            name = yard.wheel("leaf", version, requires_python=python)
            (folder / name).write_bytes(yard.index.files[name].data)
        flags = IndexFlags(no_index=True, find_links=(str(folder),))
        result = yard.build("leaf", targets=(LINUX, "py313-linux-x86_64"), indexes=flags)
        proven(result)
        assert taken(result)[LINUX] == {"leaf-1.0-py3-none-any.whl"}
        assert not yard.index.requests

    def test_pinned_to_what_the_target_cannot_run(self, yard: Yard) -> None:
        yard.wheel("leaf", "2.0", requires_python=">=3.13")
        with pytest.raises(LockError, match=r"3\.13"):
            yard.build("leaf==2.0", targets=(LINUX,))
        assert not yard.wheelhouse.exists()


class TestVersions:
    def test_yanked_is_allowed_when_pinned_and_told(self, yard: Yard) -> None:
        yard.wheel("leaf", "1.0")
        bad = yard.wheel("leaf", "1.1", yanked="breaks the disk")
        free = yard.build("leaf")
        assert versions(free) == {"leaf": "1.0"}
        pinned = yard.build("leaf==1.1")
        proven(pinned)
        assert taken(pinned) == {LINUX: {bad}}
        said = [finding for finding in pinned.findings if finding.code == "yanked"]
        assert [finding.severity for finding in said] == [Severity.WARNING]
        assert "breaks the disk" in said[0].message
        assert "yanked" in (yard.wheelhouse / "wheelhouse.json").read_text() + (yard.wheelhouse / "pylock.toml").read_text()

    def test_yanked_after_it_was_locked(self, yard: Yard) -> None:
        yard.wheel("leaf", "1.0")
        taken_once = yard.wheel("leaf", "1.1")
        yard.lock("leaf")
        yard.wheel("leaf", "1.1", yanked="")
        again = yard.build(files=("pylock.toml",))
        proven(again)
        assert taken(again) == {LINUX: {taken_once}}

    def test_prereleases_as_asked(self, yard: Yard) -> None:
        for version in ("1.0", "2.0rc1", "2.0.dev3"):
            yard.wheel("leaf", version)
        yard.wheel("only", "0.1b2")
        assert versions(yard.plan("leaf", "only")) == {"leaf": "1.0", "only": "0.1b2"}
        assert versions(yard.plan("leaf>=2.0.dev0", "only")) == {"leaf": "2.0rc1", "only": "0.1b2"}
        built = yard.build("leaf", prereleases=True)
        proven(built)
        assert versions(built) == {"leaf": "2.0rc1"}
        assert versions(yard.plan("leaf==2.0.dev3")) == {"leaf": "2.0.dev3"}

    def test_epochs_posts_and_legacy_names(self, yard: Yard) -> None:
        yard.wheel("era", "2023.1")
        era = yard.wheel("era", "1!1.0")
        post = yard.wheel("post", "1.0.post2")
        # Names that were legal once: dots and capitals unescaped.
        filename, data = _legacy("Old.Name", "1.0")
        yard.index.add(filename, data, project="old-name")
        result = yard.build("era", "post>=1.0", "Old_Name")
        proven(result)
        assert versions(result) == {"era": "1!1.0", "post": "1.0.post2", "old-name": "1.0"}
        # uv normalises the name as it locks; the file is found on the index and installs under either.
        assert taken(result) == {LINUX: {era, post, filename.replace("Old.Name", "old_name")}}
        into = yard.home / "into"
        yard.pip("install", "--no-index", "--find-links", yard.wheelhouse, "--target", into, "era", "post", "old.name", check=True)
        assert len(list(into.glob("*.dist-info"))) == 3


def _legacy(name: str, version: str) -> tuple[str, bytes]:
    """A wheel as tools made them years ago: the project's name in its file name as it was written."""
    import io
    import zipfile

    from tests.support.archives import make_wheel

    filename, data = make_wheel(name, version)
    escaped = name.replace(".", "_")
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as before, zipfile.ZipFile(stream, "w") as after:
        for info in before.infolist():
            content = before.read(info)
            new = zipfile.ZipInfo(info.filename.replace(f"{escaped}-{version}", f"{name}-{version}"), (2020, 1, 1, 0, 0, 0))
            if new.filename.endswith("RECORD"):
                content = content.replace(f"{escaped}-{version}".encode(), f"{name}-{version}".encode())
            after.writestr(new, content)
    return filename.replace(escaped, name), stream.getvalue()


def test_a_project_without_a_name_in_common_stays_out(yard: Yard, tmp_path: Path) -> None:
    """What nobody asks for is not taken along."""
    leaf = yard.wheel("leaf")
    yard.wheel("stranger")
    result = yard.build("leaf", targets=(LINUX, OLD_LINUX))
    proven(result)
    assert yard.files() == {leaf}
    assert "stranger" not in codes(result)

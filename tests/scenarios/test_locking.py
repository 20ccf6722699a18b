"""Locks: written, kept, checked, exported, obeyed or refused; and files found again where a lock's own host is out of reach."""

from __future__ import annotations

import json
import shutil
import sys
import tomllib
from pathlib import Path

import pytest

from hardtack import IndexFlags, InputRequest
from hardtack.errors import HardtackError, IndexFault, StaleLock, UsageError
from tests.scenarios.yard import LINUX, MAC, WINDOWS, Yard, codes, errors, proven, taken, versions
from tests.support.archives import make_wheel, sha256
from tests.support.loopback import LoopbackIndex

BOTH = (LINUX, WINDOWS)


def tree(yard: Yard) -> None:
    """top -> leaf, and colorama on Windows."""
    yard.wheel("top", "1.0", requires=["leaf>=1", "colorama ; sys_platform == 'win32'"])
    yard.wheel("leaf", "1.0")
    yard.wheel("colorama", "1.0")


def project(yard: Yard, *dependencies: str, more: str = "", requires_python: str = ">=3.11") -> None:
    """A pyproject.toml with the index as uv's own."""
    yard.write(
        "pyproject.toml",
        f'[project]\nname = "proj"\nversion = "1"\nrequires-python = "{requires_python}"\ndependencies = {json.dumps(dependencies)}\n'
        f'{more}\n[[tool.uv.index]]\nurl = "{yard.index.url}"\ndefault = true\n',
    )


class TestKeeping:
    def test_new_versions_change_nothing_until_asked(self, yard: Yard) -> None:
        tree(yard)
        first = yard.lock("top", targets=BOTH)
        proven(first)
        assert first.changed
        text = (yard.project / "pylock.toml").read_bytes()
        for name in ("top", "leaf", "colorama"):
            yard.wheel(name, "2.0", requires=["leaf>=1", "colorama ; sys_platform == 'win32'"] if name == "top" else [])

        again = yard.lock("top", targets=BOTH)
        assert not again.changed
        assert (yard.project / "pylock.toml").read_bytes() == text
        # A requirement more keeps what was chosen before.
        yard.wheel("more", "1.0")
        added = yard.lock("top", "more", targets=BOTH)
        assert versions(added) == {"top": "1.0", "leaf": "1.0", "colorama": "1.0", "more": "1.0"}
        one = yard.lock("top", "more", targets=BOTH, upgrade=["leaf"])
        assert versions(one) == {"top": "1.0", "leaf": "2.0", "colorama": "1.0", "more": "1.0"}
        everything = yard.lock("top", "more", targets=BOTH, upgrade=[":all:"])
        assert versions(everything) == {"top": "2.0", "leaf": "2.0", "colorama": "2.0", "more": "1.0"}

    def test_a_kept_version_that_does_not_fit_any_more_goes(self, yard: Yard) -> None:
        tree(yard)
        yard.lock("top", targets=BOTH)
        yard.wheel("leaf", "2.0")
        assert versions(yard.lock("top", "leaf>=2", targets=BOTH))["leaf"] == "2.0"

    def test_the_command_line_upgrades(self, yard: Yard) -> None:
        tree(yard)
        common = ("lock", "top", "-t", LINUX, "-i", yard.index.url)
        yard.hardtack(*common, check=True)
        yard.wheel("leaf", "2.0")
        yard.wheel("top", "2.0", requires=["leaf"])
        yard.hardtack(*common, "-P", "leaf", check=True)
        read = tomllib.loads((yard.project / "pylock.toml").read_text())
        assert {(package["name"], package["version"]) for package in read["packages"]} == {("top", "1.0"), ("leaf", "2.0")}
        yard.hardtack(*common, "--upgrade", check=True)
        read = tomllib.loads((yard.project / "pylock.toml").read_text())
        assert {(package["name"], package["version"]) for package in read["packages"]} == {("top", "2.0"), ("leaf", "2.0")}

    def test_check(self, yard: Yard) -> None:
        tree(yard)
        yard.write("requirements.txt", "top\n")
        common = ("lock", "-r", "requirements.txt", "-t", LINUX, "-i", yard.index.url)
        absent = yard.hardtack(*common, "--check")
        assert absent.returncode == 1
        assert not (yard.project / "pylock.toml").exists()
        yard.hardtack(*common, check=True)
        assert yard.hardtack(*common, "--check").returncode == 0
        text = (yard.project / "pylock.toml").read_bytes()
        yard.write("requirements.txt", "top\nleaf==1.0\n")
        stale = yard.hardtack(*common, "--check", "--json")
        assert stale.returncode == 1
        assert "stale-lock" in stale.stdout
        assert (yard.project / "pylock.toml").read_bytes() == text

    def test_exclude_newer(self, yard: Yard) -> None:
        yard.wheel("leaf", "1.0", upload_time="2024-01-01T00:00:00Z")
        yard.wheel("leaf", "2.0", upload_time="2025-06-01T00:00:00Z")
        assert versions(yard.lock("leaf", exclude_newer="2025-01-01T00:00:00Z")) == {"leaf": "1.0"}
        assert versions(yard.plan("leaf")) == {"leaf": "2.0"}
        # Nor may the loop lift a package to what is too new.
        yard.wheel("fast", "1.0", tag="cp312-cp312-manylinux_2_28_x86_64", upload_time="2024-01-01T00:00:00Z")
        yard.wheel("fast", "2.0", tag="cp312-cp312-manylinux_2_17_x86_64", upload_time="2025-06-01T00:00:00Z")
        late = yard.plan("fast", targets=(LINUX, f"{LINUX}-glibc2_17"), exclude_newer="2025-01-01T00:00:00Z")
        assert versions(late) == {"fast": "1.0"}
        assert errors(late) == ["no-file"]


class TestExports:
    def test_a_lock_for_each_python_installs_with_pip(self, yard: Yard) -> None:
        tree(yard)
        yard.wheel("leaf", "2.0")
        yard.wheel("top", "1.5", requires=["leaf>=2 ; python_version >= '3.13'", "leaf<2 ; python_version < '3.13'"])
        here = f"py3{sys.version_info[1]}-linux-x86_64"
        result = yard.lock(
            "top",
            "colorama ; sys_platform == 'win32'",
            targets=(here, "py313-linux-x86_64", "py313-windows-x86_64"),
            exports=["pip:lockfiles/requirements.lock-{python}"],
        )
        proven(result)
        folder = yard.project / "lockfiles"
        ours = f"3.{sys.version_info[1]}"
        assert {path.name for path in folder.iterdir()} == {f"requirements.lock-{ours}", "requirements.lock-3.13"}
        into = yard.home / "into"
        yard.pip(
            *("install", "--require-hashes", "--index-url", yard.index.url, "--target", into),
            *("-r", folder / f"requirements.lock-{ours}"),
            check=True,
        )
        assert {path.name.split("-")[0] for path in into.glob("*.dist-info")} >= {"top", "leaf"}
        late = (folder / "requirements.lock-3.13").read_text()
        assert "leaf==2.0" in late
        assert "colorama==1.0 ; " in late
        # uv takes the file for both systems, too.
        for platform, wanted in (("x86_64-pc-windows-msvc", 3), ("x86_64-manylinux_2_28", 2)):
            place = yard.home / platform
            yard.uv(
                *("pip", "install", "--index-url", yard.index.url, "--target", place, "--only-binary", ":all:", "--require-hashes"),
                *("--python", sys.executable, "--python-version", "3.13", "--python-platform", platform),
                *("-r", folder / "requirements.lock-3.13"),
            )
            assert len(list(place.glob("*.dist-info"))) == wanted

    def test_an_exchanged_file_is_refused_by_pip(self, yard: Yard) -> None:
        yard.wheel("leaf")
        yard.lock("leaf", exports=["pip:requirements.lock"])
        yard.wheel("leaf", files={"leaf/__init__.py": b"version = '6.6'\n"})
        done = yard.pip(
            *("install", "--require-hashes", "--index-url", yard.index.url, "--target", yard.home / "into"),
            *("-r", yard.project / "requirements.lock"),
        )
        assert done.returncode != 0
        assert "DO NOT MATCH" in done.stdout + done.stderr
        result = yard.build(inputs=InputRequest(lock_file=yard.project / "pylock.toml", project_dir=yard.project))
        assert not result.passed
        assert "hash-mismatch" in errors(result)
        assert not yard.wheelhouse.exists()

    @pytest.mark.parametrize("spec", ["pip", "pip:", "nonsense:x", "pip:{nope}", "pip:x-{python"])
    def test_bad_exports_are_refused_before_anything(self, yard: Yard, spec: str) -> None:
        yard.wheel("leaf")
        with pytest.raises(UsageError):
            yard.lock("leaf", exports=[spec])
        assert not (yard.project / "pylock.toml").exists()


class TestObeying:
    def test_a_uv_lock_to_the_byte(self, yard: Yard) -> None:
        tree(yard)
        project(yard, "top")
        yard.more_environment["UV_NO_CONFIG"] = "0"
        yard.uv("lock", "--python", sys.executable)
        before = (yard.project / "uv.lock").read_bytes()
        for name in ("top", "leaf", "colorama"):
            yard.wheel(name, "2.0")
        result = yard.build(targets=BOTH)
        proven(result)
        assert taken(result) == {
            LINUX: {"top-1.0-py3-none-any.whl", "leaf-1.0-py3-none-any.whl"},
            WINDOWS: {"top-1.0-py3-none-any.whl", "leaf-1.0-py3-none-any.whl", "colorama-1.0-py3-none-any.whl"},
        }
        assert (yard.project / "uv.lock").read_bytes() == before
        assert not (yard.project / "pylock.toml").exists()

        project(yard, "top", "leaf>=2")
        with pytest.raises(StaleLock, match=r"uv\.lock"):
            yard.build(targets=BOTH)
        assert (yard.project / "uv.lock").read_bytes() == before
        fresh = yard.build(targets=BOTH, inputs=InputRequest(project_dir=yard.project, use_lock=False))
        proven(fresh)
        assert "leaf-2.0-py3-none-any.whl" in taken(fresh)[LINUX]

    def test_a_pylock_of_ours(self, yard: Yard) -> None:
        tree(yard)
        project(yard, "top")
        yard.lock(targets=BOTH)
        yard.wheel("leaf", "2.0")
        # The targets are the lock's own.
        result = yard.build(targets=())
        proven(result)
        assert taken(result)[LINUX] == {"top-1.0-py3-none-any.whl", "leaf-1.0-py3-none-any.whl"}
        assert [target.name for target in result.targets] == list(BOTH)

        with pytest.raises(StaleLock, match="not made for") as caught:
            yard.build(targets=(LINUX, MAC))
        assert MAC in str(caught.value)
        project(yard, "top", "leaf>=2")
        with pytest.raises(StaleLock):
            yard.build(targets=())
        yard.lock(targets=BOTH)
        proven(yard.build(targets=()))
        assert "leaf-2.0-py3-none-any.whl" in yard.files()

    def test_a_pylock_of_uv(self, yard: Yard) -> None:
        tree(yard)
        project(yard, "top")
        yard.more_environment["UV_NO_CONFIG"] = "0"
        yard.uv("lock", "--python", sys.executable)
        exported = yard.uv("export", "--format", "pylock.toml", "--no-emit-project", "--python", sys.executable).stdout
        (yard.project / "uv.lock").unlink()
        place = yard.write("pylock.toml", exported)
        yard.wheel("leaf", "2.0")
        result = yard.build(targets=BOTH)
        proven(result)
        assert taken(result)[LINUX] == {"top-1.0-py3-none-any.whl", "leaf-1.0-py3-none-any.whl"}
        assert "colorama-1.0-py3-none-any.whl" in taken(result)[WINDOWS]
        assert place.read_text() == exported
        # Nor is another tool's lock overwritten.
        with pytest.raises(UsageError, match="another tool"):
            yard.lock(targets=BOTH)
        assert place.read_text() == exported

        # What the project asks for now and the lock does not hold is missing, not forgotten.
        project(yard, "top", "newcomer")
        yard.wheel("newcomer")
        lacking = yard.build(targets=BOTH)
        assert not lacking.passed
        assert {finding.package for finding in lacking.findings if finding.code == "missing"} == {"newcomer"}

    def test_a_lock_must_hold_what_is_asked_for_besides(self, yard: Yard) -> None:
        tree(yard)
        yard.wheel("other")
        yard.lock("top")
        lock_file = yard.project / "pylock.toml"
        named = yard.build(files=("pylock.toml",))
        proven(named)
        for inputs in (
            InputRequest(requirements=("other",), lock_file=lock_file, project_dir=yard.project),
            InputRequest(requirements=("other",), requirement_files=("pylock.toml",), project_dir=yard.project),
            InputRequest(requirements=("leaf>=2",), lock_file=lock_file, project_dir=yard.project),
        ):
            result = yard.build(inputs=inputs)
            assert not result.passed, inputs
            assert set(errors(result)) <= {"missing", "version"}

    def test_a_lock_for_another_python(self, yard: Yard) -> None:
        project(yard, "leaf", requires_python=">=3.12")
        yard.wheel("leaf")
        yard.lock(targets=(LINUX,))
        with pytest.raises(HardtackError, match="not made for py311-linux-x86_64"):
            yard.build(targets=("py311-linux-x86_64",))


def dead(text: str, yard: Yard) -> str:
    """The lock as if it had been made against a host that nobody reaches from here."""
    return text.replace(yard.index.files_url, "https://files.unreachable.invalid/packages")


class TestStandIns:
    @pytest.fixture
    def lock_file(self, yard: Yard) -> Path:
        tree(yard)
        project(yard, "top")
        yard.more_environment["UV_NO_CONFIG"] = "0"
        yard.uv("lock", "--python", sys.executable)
        exported = yard.uv("export", "--format", "pylock.toml", "--no-emit-project", "--python", sys.executable).stdout
        (yard.project / "uv.lock").unlink()
        (yard.project / "pyproject.toml").unlink()
        return yard.write("pylock.toml", dead(exported, yard))

    @pytest.fixture(autouse=True)
    def settings(self, yard: Yard, second: LoopbackIndex) -> None:
        """The index that stands in serves nothing else; the default one is empty."""
        yard.write(
            "hardtack.toml",
            f'[[index]]\nname = "mirror"\nurl = "{yard.index.url}"\nexplicit = true\n'
            'stands-in-for = ["https://files.unreachable.invalid/"]\n'
            f'[[index]]\nname = "main"\nurl = "{second.url}"\ndefault = true\n',
        )

    def test_files_are_found_by_name_and_hash(self, yard: Yard, lock_file: Path) -> None:
        result = yard.build(targets=BOTH, indexes=IndexFlags(retries=0))
        proven(result)
        assert taken(result)[LINUX] == {"top-1.0-py3-none-any.whl", "leaf-1.0-py3-none-any.whl"}

    def test_a_name_as_its_author_wrote_it(self, yard: Yard) -> None:
        """uv normalises names of files as it exports; the index has the old spelling."""
        filename, data = make_wheel("old-name")
        yard.index.add("Old.Name-1.0-py3-none-any.whl", data, project="old-name")
        yard.write(
            "pylock.toml",
            'lock-version = "1.0"\ncreated-by = "uv"\n[[packages]]\nname = "old-name"\nversion = "1.0"\n'
            f'wheels = [{{ name = "{filename}", url = "https://files.unreachable.invalid/Old.Name-1.0-py3-none-any.whl", '
            f'hashes = {{ sha256 = "{sha256(data)}" }} }}]\n',
        )
        result = yard.build(targets=BOTH, indexes=IndexFlags(retries=0))
        proven(result)
        assert taken(result)[LINUX] == {filename}

    def test_another_file_of_that_name_is_not_it(self, yard: Yard, lock_file: Path) -> None:
        yard.wheel("leaf", files={"leaf/evil.py": b"\n"})
        result = yard.build(targets=BOTH, indexes=IndexFlags(retries=0))
        assert not result.passed
        assert not yard.wheelhouse.exists()
        # Nor when the stand-in states no digest and hands out other bytes.
        filename, data = make_wheel("leaf", files={"leaf/__init__.py": b"version = '6.6'\n"})
        yard.index.add(filename, data, sha256=None)
        result = yard.build(targets=BOTH, indexes=IndexFlags(retries=0))
        assert not result.passed
        assert "hash-mismatch" in codes(result)
        assert sha256(data) not in {path.name for path in yard.cache.rglob("*") if path.is_file()}


def test_no_interpreter_here_fits_the_project(yard: Yard) -> None:
    """requires-python >= 3.14 on an older host: locked all the same, and nothing is downloaded for it."""
    tree(yard)
    project(yard, "top", requires_python=">=3.14")
    result = yard.lock(targets=("py314-linux-x86_64", "py315-macos-arm64"), inputs=InputRequest(project_dir=yard.project))
    proven(result)
    assert versions(result) == {"top": "1.0", "leaf": "1.0"}
    proven(yard.build(targets=()))
    assert not list(yard.home.rglob("cpython-3.14*"))


@pytest.mark.parametrize("status", [403, 500])
def test_an_index_that_fails_is_not_one_without_the_project(yard: Yard, status: int) -> None:
    tree(yard)
    yard.wheel("top", "0.1")  # wants no leaf: uv takes it where it is refused leaf's page
    yard.index.fault("leaf", status=status)
    with pytest.raises(IndexFault) as caught:
        yard.build("top")
    assert f"{status}" in str(caught.value)
    assert "leaf" in str(caught.value)
    assert "127.0.0.1" in str(caught.value)
    assert "not found in the package registry" not in str(caught.value)
    assert not yard.wheelhouse.exists()


@pytest.mark.parametrize("status", [403, 500])
def test_a_failing_first_index_does_not_lead_to_the_second(yard: Yard, second: LoopbackIndex, status: int) -> None:
    yard.wheel("corp", "1.0")
    yard.wheel("corp", "9.0", index=second)
    flags = IndexFlags(index_url=second.url, extra_index_urls=(yard.index.url,), retries=0)
    first = yard.build("corp", indexes=flags)
    proven(first)
    assert versions(first) == {"corp": "1.0"}
    shutil.rmtree(yard.wheelhouse)
    shutil.rmtree(yard.cache)
    yard.index.fault("corp", status=status)
    with pytest.raises(IndexFault):
        yard.build("corp", indexes=flags)
    assert not yard.wheelhouse.exists()

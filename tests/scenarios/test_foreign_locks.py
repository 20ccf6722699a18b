"""Locks that other tools made for less than is asked of them, and requirements that are files: nothing is taken on trust."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from hardtack import BuildOptions, IndexFlags, InputRequest
from hardtack.errors import HardtackError
from tests.scenarios.yard import LINUX, MAC, WINDOWS, Yard, codes, errors, proven, taken
from tests.support.archives import make_wheel, sha256


def obeyed(yard: Yard, name: str = "pylock.toml") -> InputRequest:
    """What obeys a lock by its name."""
    return InputRequest(lock_file=yard.project / name, project_dir=yard.project)


class TestLocksOfOthers:
    def test_a_lock_that_pip_made_for_its_host_lacks_what_windows_needs(self, yard: Yard) -> None:
        click = yard.wheel("click", "8.1.8", requires=["colorama ; sys_platform == 'win32'"])
        yard.wheel("colorama")
        place = yard.project / "pylock.toml"
        done = yard.pip("lock", "--index-url", yard.index.url, "--only-binary", ":all:", "-o", place, "click")
        if done.returncode != 0:
            pytest.skip("this pip has no lock command")
        fine = yard.build(targets=(LINUX,), inputs=obeyed(yard))
        proven(fine)
        assert taken(fine) == {LINUX: {click}}
        result = yard.build(targets=(LINUX, WINDOWS), inputs=obeyed(yard), options=BuildOptions(output=yard.project / "other", trial=False))
        assert not result.passed
        lacking = [finding for finding in result.findings if finding.code == "missing"]
        assert {(finding.package, finding.target) for finding in lacking} == {("colorama", WINDOWS)}
        assert any("click" in who for who in lacking[0].required_by)
        assert not (yard.project / "other").exists()

    def test_extras_and_groups_as_pep_751_has_them(self, yard: Yard) -> None:
        """No extra, the default groups: what pip and uv install from such a lock, no more and no less."""
        entries = []
        for name, marker in (
            ("base", ""),
            ("torch", "'gpu' in extras"),
            ("check", "'dev' in dependency_groups"),
            ("sphinx", "'docs' in dependency_groups"),
            ("winonly", "sys_platform == 'win32' and 'dev' in dependency_groups"),
        ):
            filename, data = make_wheel(name)
            url = yard.index.add(filename, data)
            marker_line = f'marker = "{marker}"\n' if marker else ""
            entries.append(
                f'[[packages]]\nname = "{name}"\nversion = "1.0"\n{marker_line}'
                f'wheels = [{{ url = "{url}", hashes = {{ sha256 = "{sha256(data)}" }} }}]\n'
            )
        yard.write(
            "pylock.toml",
            'lock-version = "1.0"\ncreated-by = "by-hand"\nextras = ["gpu"]\n'
            'dependency-groups = ["dev", "docs"]\ndefault-groups = ["dev"]\n' + "".join(entries),
        )
        alone = yard.build(targets=(LINUX, WINDOWS))
        proven(alone)
        names = {target: {name.split("-")[0] for name in files} for target, files in taken(alone).items()}
        assert names == {LINUX: {"base", "check"}, WINDOWS: {"base", "check", "winonly"}}
        into = yard.home / "into"
        yard.pip("install", "--target", into, "-r", yard.project / "pylock.toml", check=True)
        assert {path.name.split("-")[0] for path in into.glob("*.dist-info")} == names[LINUX]

        yard.write(
            "pyproject.toml",
            '[project]\nname = "proj"\nversion = "1"\ndependencies = ["base"]\n[project.optional-dependencies]\ngpu = ["torch"]\n'
            '[dependency-groups]\ndev = ["check", "winonly ; sys_platform == \'win32\'"]\ndocs = ["sphinx"]\n',
        )
        for options, wanted in (
            ({"extras": frozenset({"gpu"}), "groups": frozenset({"docs"})}, {"base", "torch", "sphinx"}),
            ({"sets": frozenset({"runtime"})}, {"base"}),
        ):
            inputs = InputRequest(project_dir=yard.project, **options)  # type: ignore[arg-type]
            result = yard.build(inputs=inputs)
            proven(result)
            assert {name.split("-")[0] for name in taken(result)[LINUX]} == wanted

    def test_edges_that_a_lock_forgot(self, yard: Yard) -> None:
        """The wheels' own METADATA is what counts."""
        yard.wheel("top", requires=["leaf>=1"])
        yard.wheel("leaf")
        yard.lock("top")
        text = (yard.project / "pylock.toml").read_text()
        start = text.index('name = "leaf"')
        start = text.rindex("[[packages]]", 0, start)
        end = text.find("[[packages]]", start + 1)
        cut = text[:start] + (text[end:] if end != -1 else "")
        if end == -1 and "[tool" in text[start:]:
            cut = text[:start] + text[start + text[start:].index("[tool") :]
        yard.write("pylock.cut.toml", cut)
        result = yard.build(inputs=obeyed(yard, "pylock.cut.toml"), targets=())
        assert not result.passed
        assert {finding.package for finding in result.findings if finding.code == "missing"} == {"leaf"}

    def test_a_version_that_a_lock_has_wrong(self, yard: Yard) -> None:
        yard.wheel("top", requires=["leaf>=2"])
        old = make_wheel("leaf", "1.0")
        url = yard.index.add(*old)
        top_url = f"{yard.index.files_url}/top-1.0-py3-none-any.whl"
        top_digest = sha256(yard.index.files["top-1.0-py3-none-any.whl"].data)
        yard.write(
            "pylock.toml",
            'lock-version = "1.0"\ncreated-by = "by-hand"\n'
            f'[[packages]]\nname = "top"\nversion = "1.0"\nwheels = [{{ url = "{top_url}", hashes = {{ sha256 = "{top_digest}" }} }}]\n'
            f'[[packages]]\nname = "leaf"\nversion = "1.0"\nwheels = [{{ url = "{url}", hashes = {{ sha256 = "{sha256(old[1])}" }} }}]\n',
        )
        result = yard.build(inputs=obeyed(yard))
        assert errors(result) == ["version"]
        assert not yard.wheelhouse.exists()

    def test_a_uv_lock_with_conflicting_extras(self, yard: Yard) -> None:
        for version in ("1.0", "2.0"):
            yard.wheel("torch", version)
        yard.write(
            "pyproject.toml",
            '[project]\nname = "proj"\nversion = "1"\nrequires-python = ">=3.11"\n'
            '[project.optional-dependencies]\ncpu = ["torch==1.0"]\ncuda = ["torch==2.0"]\n'
            '[tool.uv]\nconflicts = [[{ extra = "cpu" }, { extra = "cuda" }]]\n'
            f'[[tool.uv.index]]\nurl = "{yard.index.url}"\ndefault = true\n'
            '[tool.hardtack.targets.cpu]\nplatform = "py312-linux-x86_64"\nextras = ["cpu"]\n'
            '[tool.hardtack.targets.gpu]\nplatform = "py312-windows-x86_64"\nextras = ["cuda"]\n'
            '[tool.hardtack.targets.none]\nplatform = "py312-macos-arm64"\nextras = []\n',
        )
        yard.more_environment["UV_NO_CONFIG"] = "0"
        yard.uv("lock", "--python", sys.executable)
        result = yard.build(targets=())
        proven(result)
        assert taken(result) == {"cpu": {"torch-1.0-py3-none-any.whl"}, "gpu": {"torch-2.0-py3-none-any.whl"}, "none": set()}


class TestUrlsAndPaths:
    def test_a_wheel_behind_a_url_with_its_digest(self, yard: Yard) -> None:
        filename, data = make_wheel("leaf", "1.0+local.1")
        url = yard.index.add(filename, data)
        right = yard.build(f"leaf @ {url}#sha256={sha256(data)}", targets=(LINUX, MAC))
        proven(right)
        assert taken(right) == {LINUX: {filename}, MAC: {filename}}
        other = BuildOptions(output=yard.project / "other", trial=False)
        try:
            wrong = yard.build(f"leaf @ {url}#sha256={'0' * 64}", options=other)
        except HardtackError as error:
            assert "ash" in str(error)
        else:
            assert not wrong.passed
            assert "hash-mismatch" in errors(wrong) or "user-hash" in errors(wrong)
        assert not (yard.project / "other").exists()

    def test_a_wheel_behind_a_url_for_another_platform(self, yard: Yard) -> None:
        filename, data = make_wheel("leaf", tag="cp312-cp312-win_amd64")
        url = yard.index.add(filename, data)
        fine = yard.build(f"leaf @ {url} ; sys_platform == 'win32'", targets=(LINUX, WINDOWS))
        proven(fine)
        assert taken(fine) == {LINUX: set(), WINDOWS: {filename}}
        try:
            wrong = yard.build(f"leaf @ {url}", targets=(LINUX, WINDOWS), options=BuildOptions(output=yard.project / "other", trial=False))
        except HardtackError as error:
            assert "leaf" in str(error)
        else:
            assert not wrong.passed
            assert {finding.target for finding in wrong.findings if finding.code == "no-file"} == {LINUX}
        assert not (yard.project / "other").exists()

    def test_a_wheel_beside_the_requirements(self, yard: Yard) -> None:
        filename, data = make_wheel("leaf", requires=["deep"])
        (yard.project / "vendor").mkdir()
        (yard.project / "vendor" / filename).write_bytes(data)
        deep = yard.wheel("deep")
        yard.write("requirements.txt", f"./vendor/{filename}\n")
        result = yard.build(files=("requirements.txt",), targets=(LINUX, WINDOWS))
        proven(result)
        assert all(files == {filename, deep} for files in taken(result).values())
        assert str(yard.project) not in (yard.wheelhouse / f"requirements.{LINUX}.txt").read_text()
        into = yard.home / "into"
        yard.pip("install", "--no-index", "--find-links", yard.wheelhouse, "--target", into, "leaf", check=True)
        assert (into / "deep-1.0.dist-info").is_dir()

    def test_find_links_beside_an_index(self, yard: Yard) -> None:
        folder = yard.project / "folder"
        folder.mkdir()
        filename, data = make_wheel("leaf", "2.0")
        (folder / filename).write_bytes(data)
        top = yard.wheel("top", requires=["leaf"])
        yard.wheel("leaf", "1.0")
        result = yard.build("top", indexes=IndexFlags(index_url=yard.index.url, find_links=(str(folder),), retries=0))
        proven(result)
        assert taken(result) == {LINUX: {top, filename}}

    def test_a_wheel_that_is_not_what_its_name_says(self, yard: Yard) -> None:
        """The index's METADATA and the wheel's own differ: the wheel's own is what is installed."""
        yard.wheel("leaf")
        honest, data = make_wheel("top")
        yard.index.add(honest, data)
        lying = make_wheel("top", requires=["leaf"])[1]
        yard.index.add(honest, lying)
        # The page's metadata is of another wheel: no requirement.
        from dataclasses import replace

        yard.index.files[honest] = replace(yard.index.files[honest], metadata=b"Metadata-Version: 2.1\nName: top\nVersion: 1.0\n")
        result = yard.build("top")
        assert not result.passed
        assert {finding.package for finding in result.findings if finding.code == "missing"} == {"leaf"}
        assert not yard.wheelhouse.exists()


class TestRefusals:
    @pytest.mark.parametrize("status", [403, 500])
    @pytest.mark.parametrize("what", [".metadata", ""])
    def test_a_file_that_is_refused_while_locking_changes_no_version(self, yard: Yard, what: str, status: int) -> None:
        """The newest top's file is refused: an error, not an older top."""
        yard.wheel("top", "0.1")
        name = yard.wheel("top", "1.0", requires=["leaf"])
        yard.wheel("leaf")
        yard.index.pep658 = bool(what)
        yard.index.fault(name + what, status=status)
        try:
            result = yard.build("top")
        except HardtackError as error:
            assert "top" in str(error)
        else:
            assert not result.passed or taken(result)[LINUX] >= {name}, taken(result)

    def test_a_sound_looking_but_broken_wheel(self, yard: Yard) -> None:
        filename, data = make_wheel("leaf")
        broken = data.replace(b"Metadata-Version", b"Metadata-Versiom")
        yard.index.add(filename, broken[:-40] + broken[-40:][::-1])
        try:
            result = yard.build("leaf")
        except HardtackError:
            pass
        else:
            assert not result.passed
        assert not yard.wheelhouse.exists()


def test_constraints_bind_and_are_told(yard: Yard) -> None:
    yard.wheel("top", requires=["leaf"])
    one = yard.wheel("leaf", "1.0")
    yard.wheel("leaf", "2.0")
    yard.write("constraints.txt", "leaf<2\n")
    inputs = InputRequest(requirements=("top",), constraint_files=("constraints.txt",), project_dir=yard.project)
    result = yard.build(inputs=inputs)
    proven(result)
    assert one in taken(result)[LINUX]
    # A lock that was made without them does not pass with them.
    yard.lock("top")
    wrong = yard.build(
        inputs=InputRequest(constraint_files=("constraints.txt",), lock_file=yard.project / "pylock.toml", project_dir=yard.project),
        options=BuildOptions(output=Path("other"), trial=False),
    )
    assert "constraint" in codes(wrong)
    assert not wrong.passed

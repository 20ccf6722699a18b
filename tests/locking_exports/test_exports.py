"""Exports: what pip accepts of them, which files they are, and what they refuse to say."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.version import Version

from hardtack.errors import LockError, UsageError
from hardtack.locking.exports import (
    ExportSpec,
    _without_sets,
    constraints,
    export,
    hashed_requirements,
    parse_export_spec,
    target_requirements,
    wheelhouse_constraints,
)
from hardtack.model.lock import Lock, LockedFile, LockedPackage, Source
from hardtack.model.manifest import Manifest, ManifestFile, Pin
from hardtack.model.target import PatchRange, Platform, Target
from hardtack.wheelhouse.pylock import read_pylock
from tests.support.archives import make_sdist, make_wheel, sha256

A, B, C = ("a" * 64, "b" * 64, "c" * 64)


def target(name: str, *, minor: int = 12, platform: str = "linux", free_threaded: bool = False, machine: str = "x86_64") -> Target:
    return Target(
        name=name,
        implementation="pypy" if name.startswith("pp") else "cpython",
        python=(3, minor),
        patches=PatchRange(first=Version(f"3.{minor}.0")),
        platform=Platform(os="linux", arch="x86_64"),
        tags=(),
        environment={"sys_platform": platform, "platform_machine": machine, "implementation_name": "cpython"},
        free_threaded=free_threaded,
    )


LINUX, LINUX13, WINDOWS = (
    target("py312-linux-x86_64"),
    target("py313-linux-x86_64", minor=13),
    target("py312-windows-x86_64", platform="win32"),
)


def package(
    name: str,
    version: str = "1.0",
    *,
    marker: str | None = None,
    targets: tuple[Target, ...] | None = None,
    hashes: tuple[str | None, ...] = (A,),
) -> LockedPackage:
    return LockedPackage(
        name=name,
        version=Version(version),
        marker=Marker(marker) if marker else None,
        targets=frozenset(target.name for target in targets) if targets is not None else None,
        wheels=tuple(LockedFile(filename=f"{name}-{n}.whl", url="https://h/x", sha256=digest) for n, digest in enumerate(hashes)),
    )


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("pip:lockfiles/requirements.lock-{python}", ExportSpec(format="pip", path="lockfiles/requirements.lock-{python}")),
        ("constraints:c.txt", ExportSpec(format="constraints", path="c.txt")),
        ("pylock:C:\\x\\pylock.{target}.toml", ExportSpec(format="pylock", path="C:\\x\\pylock.{target}.toml")),
        ("requirements:{platform}/{python}.txt", ExportSpec(format="requirements", path="{platform}/{python}.txt")),
    ],
)
def test_an_export_is_a_format_and_a_path(text: str, spec: ExportSpec) -> None:
    assert parse_export_spec(text) == spec


@pytest.mark.parametrize("text", ["", "pip", "pip:", "C:\\x", "conda:x", ":x", "pip:{os}", "pip:{python", "pip:python}", "pip:{}"])
def test_anything_else_is_refused_with_a_hint(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_export_spec(text)
    assert caught.value.hint


def test_one_file_for_each_thing_that_the_path_tells_apart() -> None:
    lock = Lock(packages=(package("a"), package("b", targets=(LINUX13,)), package("w", targets=(WINDOWS,))))
    targets = (LINUX, LINUX13, WINDOWS)

    def names(path: str) -> dict[str, list[str]]:
        made = export(lock, parse_export_spec(f"requirements:{path}"), targets)
        return {path: [line.partition("==")[0] for line in text.splitlines() if not line.startswith("#")] for path, text in made.items()}

    assert names("r-{python}") == {"r-3.12": ["a", "w"], "r-3.13": ["a", "b"]}
    assert names("{target}.txt") == {
        "py312-linux-x86_64.txt": ["a"],
        "py313-linux-x86_64.txt": ["a", "b"],
        "py312-windows-x86_64.txt": ["a", "w"],
    }
    assert names("{platform}/r") == {"linux-x86_64/r": ["a", "b"], "windows-x86_64/r": ["a", "w"]}
    assert names("r") == {"r": ["a", "b", "w"]}
    with pytest.raises(UsageError):
        export(lock, parse_export_spec("pip:{python}"), ())


def test_free_threaded_and_other_pythons_have_names_of_their_own() -> None:
    targets = [target("py313t-linux-x86_64", minor=13, free_threaded=True), LINUX13, target("pp311-linux-x86_64", minor=11)]
    assert sorted(export(Lock(packages=()), parse_export_spec("pip:{python}"), targets)) == ["3.13", "3.13t", "pypy3.11"]


def test_the_text_is_what_it_always_was() -> None:
    lock = Lock(packages=(package("b", "2.0+cpu", marker='python_full_version < "3.12.3"', hashes=(B, A, A)), package("a")))
    made = export(lock, parse_export_spec("pip:r.txt"), (WINDOWS,), command="hardtack lock --export")
    assert made["r.txt"] == (
        "# Made by hardtack; do not edit. To make it again:\n"
        "#     hardtack lock --export pip:r.txt\n"
        "# For: py312-windows-x86_64\n"
        "a==1.0 \\\n"
        f"    --hash=sha256:{A}\n"
        'b==2.0+cpu ; python_full_version < "3.12.3" \\\n'
        f"    --hash=sha256:{A} \\\n"
        f"    --hash=sha256:{B}\n"
    )
    assert constraints(lock) == 'a==1.0\nb==2.0+cpu ; python_full_version < "3.12.3"\n'


def test_a_package_for_some_targets_gets_a_marker_that_only_they_answer() -> None:
    lock = Lock(
        packages=(package("w", targets=(WINDOWS,)), package("v", "1.0", targets=(LINUX,)), package("v", "2.0", targets=(LINUX13, WINDOWS)))
    )
    lines = [
        Requirement(line.split(" \\")[0]) for line in hashed_requirements(lock, (LINUX, LINUX13, WINDOWS)).splitlines() if "==" in line
    ]
    wanted = {LINUX: {"v==1.0"}, LINUX13: {"v==2.0"}, WINDOWS: {"w==1.0", "v==2.0"}}
    for one, pins in wanted.items():
        environment = {**one.environment, "python_version": f"3.{one.python[1]}", "python_full_version": f"3.{one.python[1]}.4"}
        chosen = {f"{line.name}{line.specifier}" for line in lines if line.marker is None or line.marker.evaluate(environment)}
        assert chosen == pins


def test_two_versions_that_no_marker_tells_apart_are_refused_unless_each_has_its_file() -> None:
    cpu, cuda = target("py312-linux-x86_64"), target("py312-linux-x86_64-cuda")
    lock = Lock(packages=(package("torch", "2.0+cpu", targets=(cpu,)), package("torch", "2.0+cu128", targets=(cuda,))))
    for kind in ("pip", "constraints", "requirements"):
        with pytest.raises(LockError, match=r"2\.0\+cpu and 2\.0\+cu128"):
            export(lock, parse_export_spec(f"{kind}:r.txt"), (cpu, cuda))
        made = export(lock, parse_export_spec(f"{kind}:{{target}}"), (cpu, cuda))
        assert "cu128" not in made[cpu.name]
        assert "torch==2.0+cu128" in made[cuda.name]


def test_what_pip_cannot_check_is_refused_all_at_once() -> None:
    git = Source(kind="vcs", location="https://h/g.git", commit="c" * 40)
    folder = Source(kind="directory", location="/src/p")
    lock = Lock(
        packages=(
            package("unhashed", hashes=(A, None)),
            LockedPackage(name="empty", version=Version("1")),
            LockedPackage(name="g", version=Version("1"), source=git),
            LockedPackage(name="p", version=None, source=folder),
        )
    )
    with pytest.raises(LockError) as caught:
        hashed_requirements(lock)
    for word in ("unhashed 1.0", "empty 1", "g comes from a repository", "p comes from a folder"):
        assert word in caught.value.reason
    text = export(lock, parse_export_spec("requirements:r"), ())["r"]
    assert f"g @ git+https://h/g.git@{'c' * 40}\n" in text
    assert "p @ file:///src/p\n" in text or os.name == "nt"


def test_an_archive_keeps_its_url_and_digest() -> None:
    source = Source(kind="archive", location="https://u:s3cr3t@h/z-1.zip", subdirectory="sub", sha256=C)
    text = hashed_requirements(
        Lock(packages=(LockedPackage(name="z", version=Version("1"), marker=Marker("os_name == 'x'"), source=source),))
    )
    assert text == f'z @ https://h/z-1.zip#subdirectory=sub ; os_name == "x" \\\n    --hash=sha256:{C}\n'


# --- extras and groups are answered: pip's requirements have no such variables -----------------------------------------------------

_ATOMS = st.sampled_from(
    [
        "'a' in extras",
        "'b' not in extras",
        "'g' in dependency_groups",
        "'h' not in dependency_groups",
        "sys_platform == 'win32'",
        'python_full_version < "3.11.3"',
        "'inux' in platform_system",
    ]
)
_EXPRESSIONS = st.recursive(
    _ATOMS,
    lambda inner: st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(lambda parts: f"({parts[0]}) {parts[1]} ({parts[2]})"),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@example(
    "(sys_platform == 'win32' or 'inux' in platform_system) and 'a' in extras and python_full_version < '3.11.3'",
    frozenset("a"),
    frozenset(),
)
@given(_EXPRESSIONS, st.frozensets(st.sampled_from("ab")), st.frozensets(st.sampled_from("gh")))
def test_answering_sets_changes_no_answer(text: str, extras: frozenset[str], groups: frozenset[str]) -> None:
    marker = Marker(text)
    answered = _without_sets(marker, extras, groups)
    assert "extras" not in str(answered)
    assert "dependency_groups" not in str(answered)
    for platform, version, system in itertools.product(("win32", "linux"), ("3.11.2", "3.11.3"), ("Linux", "Windows")):
        environment = {"sys_platform": platform, "python_full_version": version, "platform_system": system}
        whole: dict[str, str | frozenset[str]] = {**environment, "extras": extras, "dependency_groups": groups}
        wanted = marker.evaluate(whole, context="lock_file")
        got = answered is None or (answered is not False and answered.evaluate(environment))
        assert got == wanted, (text, str(answered))


def test_all_sets_of_the_lock_are_taken() -> None:
    lock = Lock(
        packages=(
            package("e", marker="'x' in extras"),
            package("g", marker="'dev' in dependency_groups and os_name == 'nt'"),
            package("n", marker="'no' in extras"),
        ),
        extras=frozenset({"x"}),
        groups=frozenset({"dev"}),
    )
    assert constraints(lock) == 'e==1.0\ng==1.0 ; os_name == "nt"\n'


# --- wheelhouses -------------------------------------------------------------------------------------------------------------------


def _file(filename: str, digest: str, *targets: str, version: str = "1") -> ManifestFile:
    return ManifestFile(filename=filename, path=filename, sha256=digest, size=1, name="a", version=version, targets=targets, origin="built")


def test_a_targets_requirements_have_its_files_alone() -> None:
    manifest = Manifest(
        layout="flat",
        targets={"one": {}, "two": {}},
        files=(_file("a-1-old.whl", A, "one"), _file("a-1-new.whl", B, "one"), _file("a-2-two.whl", C, "two", version="2")),
        pins=(
            Pin(target="one", name="a", version="1", filename="a-1-old.whl", marker="python_full_version < '3.12.1'"),
            Pin(target="one", name="a", version="1", filename="a-1-new.whl", marker="python_full_version >= '3.12.1'"),
            Pin(target="two", name="a", version="2", filename="a-2-two.whl"),
        ),
    )
    lines = [line for line in target_requirements(manifest, "one").splitlines() if not line.startswith("#")]
    assert lines == [
        'a==1 ; python_full_version < "3.12.1" \\',
        f"    --hash=sha256:{A}",
        'a==1 ; python_full_version >= "3.12.1" \\',
        f"    --hash=sha256:{B}",
    ]
    assert wheelhouse_constraints(manifest).splitlines()[1:] == ["# a: 1 for one; 2 for two"]


# --- real pip ----------------------------------------------------------------------------------------------------------------------


def _pip(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "PIP_CONFIG_FILE": os.devnull, "HOME": str(folder)}
    command = [sys.executable, "-m", "pip", "--isolated", "--disable-pip-version-check", *arguments, "--no-index", "--find-links", "links"]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_pip_takes_the_hashed_export_and_the_constraints(tmp_path: Path) -> None:
    links = tmp_path / "links"
    links.mkdir()
    packages = []
    for name, marker in (("a", None), ("b", "python_full_version == '3.12.77'"), ("c", "python_version >= '3' or 'x' in extras")):
        files = [make_wheel(name), make_wheel(name, tag="cp27-none-win32"), make_sdist(name)]
        for filename, data in files:
            (links / filename).write_bytes(data)
        locked = [LockedFile(filename=filename, url=f"https://h/{filename}", sha256=sha256(data)) for filename, data in files]
        packages.append(
            LockedPackage(
                name=name, version=Version("1.0"), marker=Marker(marker) if marker else None, wheels=tuple(locked[:2]), sdist=locked[2]
            )
        )
    lock = Lock(packages=tuple(packages))
    text = export(lock, parse_export_spec("pip:r.txt"), (LINUX, WINDOWS))["r.txt"]
    assert text.count("--hash=") == 9, "every file of every version, sdists too"
    (tmp_path / "r.txt").write_text(text)
    (tmp_path / "c.txt").write_text(constraints(lock))
    ran = _pip(tmp_path, "install", "--dry-run", "--ignore-installed", "--require-hashes", "-r", "r.txt")
    assert ran.returncode == 0, ran.stderr
    assert "Would install a-1.0 c-1.0" in ran.stdout
    ran = _pip(tmp_path, "install", "--dry-run", "--ignore-installed", "-c", "c.txt", "a", "c")
    assert ran.returncode == 0, ran.stderr
    filename, data = make_wheel("a", files={"evil.py": b""})
    (links / filename).write_bytes(data)
    ran = _pip(tmp_path, "install", "--dry-run", "--ignore-installed", "--only-binary", ":all:", "--require-hashes", "-r", "r.txt")
    assert ran.returncode != 0
    assert "DO NOT MATCH THE HASHES" in ran.stderr


def test_a_pylock_export_has_the_targets_of_its_file(tmp_path: Path) -> None:
    lock = Lock(packages=(package("a"), package("w", targets=(WINDOWS,))), targets=(LINUX.name, WINDOWS.name))
    lock = Lock(
        packages=tuple(
            LockedPackage(
                name=item.name,
                version=item.version,
                targets=item.targets,
                wheels=(LockedFile(filename=f"{item.name}-1.0-py3-none-any.whl", url="https://h/x", sha256=A, hash_source="user"),),
            )
            for item in lock.packages
        ),
        targets=lock.targets,
    )
    made = export(lock, parse_export_spec("pylock:pylock.{target}.toml"), (LINUX, WINDOWS))
    read = {path: read_pylock(text, where=path, base=None) for path, text in made.items()}
    assert [item.name for item in read[f"pylock.{LINUX.name}.toml"].packages] == ["a"]
    assert [item.name for item in read[f"pylock.{WINDOWS.name}.toml"].packages] == ["a", "w"]
    assert read[f"pylock.{LINUX.name}.toml"].targets == (LINUX.name,)

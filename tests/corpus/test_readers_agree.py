"""What is accepted is read by other readers as it is read here: the same members, the same bytes (attacks live where readers differ)."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from hardtack.model.wheel import SdistFacts
from hardtack.system import environ
from hardtack.system.uv import find_uv
from hardtack.wheelhouse.faults import Faults
from hardtack.wheelhouse.limits import DEFAULT
from hardtack.wheelhouse.sdist import extract_sdist, inspect_sdist
from hardtack.wheelhouse.zip_members import pieces
from hardtack.wheelhouse.zip_structure import Window, read_directory
from tests.corpus.case import Case
from tests.corpus.every import of_kind

WHEELS = [case for case in of_kind("wheel") if case.verdict == "accept"]
SDISTS = [case for case in of_kind("sdist") if case.verdict == "accept"]
# What this machine can install: the others have the same structure.
# "===" with what is no version (PEP 440 has it, pip reads it), and a name with a joiner, as words and emoji of some scripts have it.
_UNREAD_BY_UV = {"wheel:ok-requires-arbitrary", "wheel:ok-name-joiner"}
HERE = [case for case in WHEELS if case.name.endswith("-py3-none-any.whl")]
_WRITTEN = {"INSTALLER", "REQUESTED", "RECORD", "direct_url.json", "uv_cache.json", "uv_build.json"}

Tree = dict[str, str]


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def as_hardtack_reads(data: bytes) -> Tree:
    window = Window(io.BytesIO(data), len(data))
    faults = Faults("x")
    entries = read_directory(window, faults, DEFAULT)
    found = {entry.name: digest(b"".join(bytes(piece) for piece in pieces(window, entry, faults))) for entry in entries}
    assert not faults.failed
    return {name: digest for name, digest in found.items() if not name.endswith("/")}


def as_zipfile_reads(data: bytes) -> Tree:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {member.filename: digest(archive.read(member)) for member in archive.infolist() if not member.is_dir()}


def tree_of(folder: Path) -> Tree:
    return {path.relative_to(folder).as_posix(): digest(path.read_bytes()) for path in folder.rglob("*") if path.is_file()}


def assert_installed(case: Case, folder: Path) -> None:
    """Each file of the wheel lies where it belongs, and nothing else does but what installers write."""
    read = as_hardtack_reads(case.make())
    installed = tree_of(folder)
    site = {name: digest for name, digest in read.items() if ".data/" not in name.partition("/")[0] + "/" and not _written(name)}
    assert {name: installed.get(name) for name in site} == site
    schemes = {name: digest for name, digest in read.items() if ".data/" in name.partition("/")[0] + "/"}
    elsewhere = {
        name: digest for name, digest in installed.items() if name not in site and not _written(name) and "__pycache__" not in name
    }
    # Scripts get another first line, and entry points become scripts: those are known by their names alone.
    for name, wanted in schemes.items():
        basename = name.rpartition("/")[2]
        assert any(
            place.rpartition("/")[2] == basename and (wanted == content or "/scripts/" in name) for place, content in elsewhere.items()
        )
    # The entry points of this corpus name one script.
    scripts = len([name for name in read if name.endswith("-1.0.dist-info/entry_points.txt")])
    assert len(elsewhere) == len(schemes) + scripts


def _written(name: str) -> bool:
    return ".dist-info/" in name and name.rpartition("/")[2] in _WRITTEN and name.count("/") == 1


@pytest.mark.parametrize("case", WHEELS, ids=lambda case: str(case.id))
def test_zipfile_reads_the_same(case: Case) -> None:
    data = case.make()
    assert as_hardtack_reads(data) == as_zipfile_reads(data)


@pytest.mark.parametrize("case", [case for case in HERE if case.id not in _UNREAD_BY_UV], ids=lambda case: str(case.id))
def test_uv_installs_the_same(case: Case, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    (tmp_path / case.name).write_bytes(case.make())
    uv = find_uv(tmp_path_factory.getbasetemp() / "uv", environ.variables())
    asked = ["pip", "install", "--no-config", "--offline", "--no-index", "--no-deps", "--no-cache", "--python", sys.executable]
    done = subprocess.run([uv.path, *asked, "--target", tmp_path / "out", tmp_path / case.name], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    (tmp_path / "out" / ".lock").unlink(missing_ok=True)
    assert_installed(case, tmp_path / "out")


@pytest.mark.slow
@pytest.mark.parametrize("case", HERE[::12], ids=lambda case: str(case.id))
def test_pip_installs_the_same(case: Case, tmp_path: Path) -> None:
    (tmp_path / case.name).write_bytes(case.make())
    asked = ["install", "--isolated", "--no-index", "--no-deps", "--no-compile", "--no-cache-dir", "--disable-pip-version-check", "-q"]
    command = [sys.executable, "-m", "pip", *asked, "--target", str(tmp_path / "out"), str(tmp_path / case.name)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert_installed(case, tmp_path / "out")


@pytest.mark.parametrize("case", [case for case in SDISTS if not case.name.endswith(".zip")], ids=lambda case: str(case.id))
def test_tarfile_unpacks_the_same(case: Case, tmp_path: Path) -> None:
    data = case.make()
    (tmp_path / "archive").write_bytes(data)
    facts = inspect_sdist(tmp_path / "archive", filename=case.name, sha256=digest(data))
    assert isinstance(facts, SdistFacts)
    extract_sdist(tmp_path / "archive", facts, tmp_path / "ours")
    with tarfile.open(tmp_path / "archive") as archive:
        archive.extractall(tmp_path / "theirs", filter="data")
    assert tree_of(tmp_path / "ours") == tree_of(tmp_path / "theirs")
    links = [
        sorted((str(path.relative_to(top)), path.readlink()) for path in top.rglob("*") if path.is_symlink())
        for top in (tmp_path / "ours", tmp_path / "theirs")
    ]
    assert links[0] == links[1]

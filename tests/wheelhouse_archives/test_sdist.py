"""Source archives: one tree, inside one folder, the same for every reader."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
from pathlib import Path
from typing import Any

import pytest

from hardtack.errors import HashMismatch
from hardtack.model.wheel import SdistFacts
from hardtack.wheelhouse.sdist import extract_sdist
from tests.wheelhouse_archives.judge import errors, judge_sdist
from tests.wheelhouse_archives.raw_zip import members_of, write_zip

PKG_INFO = b"Metadata-Version: 2.2\nName: demo\nVersion: 1.0\nRequires-Dist: click\nRequires-Python: >=3.8\n"
PYPROJECT = b'[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
NAME = "demo-1.0.tar.gz"
Item = tuple[str, bytes] | tarfile.TarInfo


def tar(*items: Item, pkg_info: bytes | None = PKG_INFO, pyproject: bytes | None = PYPROJECT, form: int = tarfile.PAX_FORMAT) -> bytes:
    raw = io.BytesIO()
    base: list[Item] = [("demo-1.0/demo.py", b"x = 1\n")]
    base += [("demo-1.0/PKG-INFO", pkg_info)] if pkg_info is not None else []
    base += [("demo-1.0/pyproject.toml", pyproject)] if pyproject is not None else []
    with tarfile.open(fileobj=raw, mode="w", format=form) as archive:
        for item in (*base, *items):
            if isinstance(item, tarfile.TarInfo):
                archive.addfile(item)
            else:
                info = tarfile.TarInfo(item[0])
                info.size = len(item[1])
                archive.addfile(info, io.BytesIO(item[1]))
    return raw.getvalue()


def special(name: str, kind: bytes, target: str = "", **more: Any) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    for key, value in more.items():
        setattr(info, key, value)
    return info


SYM, LNK, DIR = tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE

BAD: dict[str, tuple[bytes, str]] = {
    "absolute": (tar(("/etc/x", b"")), "sdist-name"),
    "climbing": (tar(("demo-1.0/../../x", b"")), "sdist-name"),
    "backslash": (tar(("demo-1.0/a\\b", b"")), "sdist-name"),
    "line feed": (tar(("demo-1.0/a\nb", b"")), "sdist-name"),
    "long name": (tar(("demo-1.0/" + "n" * 300, b"")), "sdist-name"),
    "two tops": (tar(("other/x", b"")), "sdist-structure"),
    "file twice": (tar(("demo-1.0/demo.py", b"y")), "sdist-collision"),
    "case": (tar(("demo-1.0/DEMO.py", b"y")), "sdist-collision"),
    "file and folder": (tar(("demo-1.0/demo.py/x", b"y")), "sdist-collision"),
    "fifo": (tar(special("demo-1.0/p", tarfile.FIFOTYPE)), "sdist-type"),
    "device": (tar(special("demo-1.0/p", tarfile.CHRTYPE)), "sdist-type"),
    "block device": (tar(special("demo-1.0/p", tarfile.BLKTYPE)), "sdist-type"),
    "link out": (tar(special("demo-1.0/p", SYM, "../../etc/passwd")), "sdist-link"),
    "absolute link": (tar(special("demo-1.0/p", SYM, "/etc/passwd")), "sdist-link"),
    "link to nothing": (tar(special("demo-1.0/p", SYM, "")), "sdist-link"),
    "links in a circle": (tar(special("demo-1.0/a", SYM, "b"), special("demo-1.0/b", SYM, "a")), "sdist-link"),
    "links that leave together": (
        tar(special("demo-1.0/d/e", DIR), special("demo-1.0/d/up", SYM, ".."), special("demo-1.0/x", SYM, "d/up/../..")),
        "sdist-link",
    ),
    "through a link": (tar(special("demo-1.0/l", SYM, "."), ("demo-1.0/l/x", b"")), "sdist-link"),
    "hard link out": (tar(special("demo-1.0/p", LNK, "/etc/passwd")), "sdist-link"),
    "hard link to a later file": (tar(special("demo-1.0/p", LNK, "demo-1.0/q"), ("demo-1.0/q", b"")), "sdist-link"),
    "top is a link": (tar(special("demo-1.0", SYM, ".")), "sdist-link"),
    "other name": (tar(pkg_info=PKG_INFO.replace(b"demo", b"requests")), "metadata-name"),
    "other version": (tar(pkg_info=PKG_INFO.replace(b"1.0", b"1.1")), "metadata-name"),
    "nothing to build with": (tar(pyproject=None), "sdist-build"),
    "pyproject that is none": (tar(pyproject=b"[[["), "sdist-build"),
    "a number without end": (tar(pyproject=b"x = " + b"9" * 5000), "sdist-build"),
    "requirement from a URL": (tar(pyproject=b'[build-system]\nrequires = ["x @ http://h/x.zip"]\n'), "sdist-build"),
    "no requires": (tar(pyproject=b"[build-system]\n"), "sdist-build"),
    "backend outside": (tar(pyproject=b'[build-system]\nrequires=[]\nbackend-path=["../x"]\n'), "sdist-build"),
    "backend of code": (tar(pyproject=b'[build-system]\nrequires=[]\nbuild-backend="a;b"\n'), "sdist-build"),
    "a second tar": (tar() + tar(("demo-1.0/HIDDEN", b"")), "sdist-structure"),
    "cut in a member": (tar()[:700], "sdist-structure"),
    "wrong checksum": (b"X" + tar()[1:], "sdist-structure"),
}


@pytest.mark.parametrize("name", BAD)
def test_refused(name: str, tmp_path: Path) -> None:
    raw, code = BAD[name]
    assert code in errors(judge_sdist(tmp_path, gzip.compress(raw), NAME))


def pax_size() -> bytes:
    info = special("demo-1.0/data", tarfile.REGTYPE)
    info.pax_headers = {"size": "1024"}
    return tar(info)


PACKED = gzip.compress(tar(), mtime=0)


@pytest.mark.parametrize(
    ("data", "filename"),
    [
        (PACKED[:-4], NAME),
        (PACKED[:-8] + b"\0\0\0\0" + PACKED[-4:], NAME),
        (PACKED + b"junk", NAME),
        (b"", NAME),
        (b"<html>", NAME),
        (lzma.compress(tar()), NAME),
        (tar(), NAME),
        (PACKED, "demo-1.0.zip"),
        (PACKED + write_zip(members_of({"x": b""})), NAME),
        (gzip.compress(pax_size()), NAME),
        (PACKED + gzip.compress(tar(("demo-1.0/HIDDEN", b""))), NAME),
    ],
    ids=["cut", "crc", "junk", "empty", "html", "xz", "not packed", "not a zip", "zip behind", "pax size", "two streams"],
)
def test_streams_that_are_refused(data: bytes, filename: str, tmp_path: Path) -> None:
    assert errors(judge_sdist(tmp_path, data, filename)) == {"zip-structure" if filename.endswith(".zip") else "sdist-structure"}


def test_bombs_are_refused(tmp_path: Path) -> None:
    data = gzip.compress(tar(("demo-1.0/zeros", bytes(80 << 20))), compresslevel=1, mtime=0)
    if len(data) * 250 < 80 << 20:
        assert errors(judge_sdist(tmp_path, data, NAME)) == {"sdist-bomb"}
    data = bz2.compress(tar(("demo-1.0/zeros", bytes(80 << 20))))
    assert errors(judge_sdist(tmp_path, data, "demo-1.0.tar.bz2")) == {"sdist-bomb"}


FILES = {"demo-1.0/PKG-INFO": PKG_INFO, "demo-1.0/pyproject.toml": PYPROJECT, "demo-1.0/demo.c": b"int x;\n"}


@pytest.mark.parametrize(
    ("data", "filename"),
    [
        (PACKED, NAME),
        (bz2.compress(tar()), "demo-1.0.tar.bz2"),
        (lzma.compress(tar()), "demo-1.0.tar.xz"),
        (PACKED, "Demo-1.0.0.tgz"),
        (write_zip(members_of(FILES)), "demo-1.0.zip"),
        (PACKED + bytes(512), NAME),
        (gzip.compress(tar(form=tarfile.GNU_FORMAT)), NAME),
        (gzip.compress(tar(("demo-1.0/" + "d" * 90 + "/" + "n" * 90, b""), form=tarfile.USTAR_FORMAT)), NAME),
        (gzip.compress(tar(("demo-1.0/" + "n" * 200, b""), form=tarfile.GNU_FORMAT)), NAME),
        (gzip.compress(tar(("demo-1.0/é", b""))), NAME),
        (gzip.compress(tar(("demo-1.0/demo.py", b"x = 1\n"))), NAME),
        (gzip.compress(tar(pkg_info=None)), NAME),
        (PACKED, "main.tar.gz"),
        (gzip.compress(tar(special("demo-1.0/l", SYM, "demo.py"), special("demo-1.0/h", LNK, "demo-1.0/demo.py"))), NAME),
    ],
)
def test_accepted_and_unpacked(data: bytes, filename: str, tmp_path: Path) -> None:
    facts = judge_sdist(tmp_path, data, filename)
    assert isinstance(facts, SdistFacts), facts.findings
    assert (facts.name, facts.version.release[:2], facts.top, facts.backend) == ("demo", (1, 0), "demo-1.0", "hatchling.build")
    top = extract_sdist(tmp_path / "judged", facts, tmp_path / "out")
    assert top == tmp_path / "out" / "demo-1.0"
    assert (top / "pyproject.toml").read_bytes() == PYPROJECT


def test_the_facts(tmp_path: Path) -> None:
    facts = judge_sdist(tmp_path, PACKED, NAME)
    assert isinstance(facts, SdistFacts)
    assert (facts.requires is not None and [str(one) for one in facts.requires], str(facts.requires_python)) == (["click"], ">=3.8")
    old = judge_sdist(
        tmp_path, gzip.compress(tar(("demo-1.0/setup.py", b""), pkg_info=PKG_INFO.replace(b"2.2", b"2.1"), pyproject=None)), NAME
    )
    assert isinstance(old, SdistFacts)
    assert (old.requires, old.backend, old.compiled) == (None, "setuptools.build_meta:__legacy__", False)
    dynamic = judge_sdist(tmp_path, gzip.compress(tar(pkg_info=PKG_INFO + b"Dynamic: Requires-Dist\n")), NAME)
    assert isinstance(dynamic, SdistFacts)
    assert dynamic.requires is None


def test_unpacking_clears_modes_and_refuses_other_bytes(tmp_path: Path) -> None:
    data = gzip.compress(tar(special("demo-1.0/run", tarfile.REGTYPE, mode=0o6777), special("demo-1.0/d", DIR, mode=0o2777)))
    facts = judge_sdist(tmp_path, data, NAME)
    assert isinstance(facts, SdistFacts)
    top = extract_sdist(tmp_path / "judged", facts, tmp_path / "out")
    assert (top / "run").stat().st_mode & 0o7777 == 0o755
    assert (top / "d").stat().st_mode & 0o7022 == 0
    (tmp_path / "judged").write_bytes(data + b"x")
    with pytest.raises(HashMismatch):
        extract_sdist(tmp_path / "judged", facts, tmp_path / "again")
    assert not (tmp_path / "again").exists()

"""Real pip and real uv install from a stowed wheelhouse, with no network (E5, E6)."""

from __future__ import annotations

import functools
import http.server
import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest

from hardtack.wheelhouse.simple import IndexedFile, index_pages, requires_python
from tests.support.archives import sha256
from tests.wheelhouse.stowing import LINUX, WINDOWS, Pantry, pip_install, uv


@pytest.fixture
def pantry(tmp_path: Path) -> Pantry:
    """A target's patches from 3.0 on, so that any Python may play it: only markers on python_full_version are left to installers."""
    pantry = Pantry(tmp_path / "store")
    pantry.add(
        "Left-Pad", requires=["right>=1", "unreachable @ https://files.example.invalid/unreachable-1.0.zip"], targets=(LINUX, WINDOWS)
    )
    pantry.add("right", "2.0+cpu", requires_python=">=3.8,<4")
    pantry.add("early", marker="python_full_version < '3.0'")
    pantry.add("late", marker="python_full_version >= '3.0'")
    pantry.add("windows-only", targets=(WINDOWS,))
    return pantry


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    made = uv(["venv", "--offline", "-q", "-p", sys.executable, str(tmp_path / "venv")], cwd=tmp_path, tmp=tmp_path)
    assert made.returncode == 0, made.stderr
    return tmp_path / "venv"


def installed(folder: Path) -> set[str]:
    return {path.name.removesuffix(".dist-info").lower() for path in folder.rglob("*.dist-info")} - {"pip"}


EXPECTED = {"left_pad-1.0", "right-2.0+cpu", "late-1.0"}


@pytest.mark.parametrize("layout", ["flat", "by-target"])
def test_uv_syncs_a_targets_pylock_with_the_network_shut(pantry: Pantry, tmp_path: Path, environment: Path, layout: str) -> None:
    house = tmp_path / "wheelhouse"
    pantry.stow(house, layout=layout)
    ran = uv(["pip", "sync", "--offline", "-p", str(environment), f"pylock.{LINUX}.toml"], cwd=house, tmp=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert installed(environment) == EXPECTED


@pytest.mark.parametrize("layout", ["flat", "by-target"])
def test_pip_installs_a_targets_pylock_without_asking_its_urls(pantry: Pantry, tmp_path: Path, layout: str) -> None:
    house, into = tmp_path / "wheelhouse", tmp_path / "into"
    pantry.stow(house, layout=layout)
    ran = pip_install(["--no-deps", "-r", f"pylock.{LINUX}.toml"], cwd=house, into=into, tmp=tmp_path)
    if "pylock" in ran.stderr and "Invalid requirement" in ran.stderr:
        pytest.skip("this pip reads no pylock.toml")
    assert ran.returncode == 0, ran.stderr
    assert installed(into) == EXPECTED


@pytest.mark.parametrize("layout", ["flat", "by-target"])
def test_hashed_requirements_install_with_pip_and_uv(pantry: Pantry, tmp_path: Path, environment: Path, layout: str) -> None:
    house, into = tmp_path / "wheelhouse", tmp_path / "into"
    pantry.stow(house, layout=layout)
    text = (house / f"requirements.{LINUX}.txt").read_text()
    pip_words, uv_words = (line.strip("# ").split() for line in text.splitlines()[1:3])
    ran = pip_install(pip_words[4:], cwd=house, into=into, tmp=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert installed(into) == EXPECTED
    ran = uv([*uv_words[1:], "--offline", "-p", str(environment)], cwd=house, tmp=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert installed(environment) == EXPECTED


def test_a_changed_wheel_is_refused_by_every_path(pantry: Pantry, tmp_path: Path, environment: Path) -> None:
    house, into = tmp_path / "wheelhouse", tmp_path / "into"
    pantry.stow(house)
    filename = "right-2.0+cpu-py3-none-any.whl"
    data = bytearray((house / filename).read_bytes())
    data[10] ^= 1  # the first member's time: still a sound wheel of the same size
    (house / filename).unlink()
    (house / filename).write_bytes(data)
    runs = [
        uv(["pip", "sync", "--offline", "-p", str(environment), f"pylock.{LINUX}.toml"], cwd=house, tmp=tmp_path),
        pip_install(["-r", f"pylock.{LINUX}.toml"], cwd=house, into=into, tmp=tmp_path),
        pip_install(
            ["--no-index", "--no-deps", "--require-hashes", "--find-links", ".", "-r", f"requirements.{LINUX}.txt"],
            cwd=house,
            into=into,
            tmp=tmp_path,
        ),
    ]
    for ran in runs:
        assert ran.returncode != 0
        assert "hash" in ran.stderr.lower(), ran.stderr
    assert not installed(environment)
    assert not into.exists() or not installed(into)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    asked: list[str]

    def log_message(self, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        self.asked.append(self.path)
        super().do_GET()


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """A plain static server on loopback, and the paths that it was asked for."""
    asked: list[str] = []
    handler = functools.partial(type("Handler", (_Quiet,), {"asked": asked}), directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/", asked
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("layout", ["flat", "by-target"])
@pytest.mark.parametrize("scheme", ["file", "http"])
def test_the_simple_index_serves_pip_and_uv(tmp_path: Path, environment: Path, layout: str, scheme: str) -> None:
    pantry = Pantry(tmp_path / "store")
    pantry.add("Left.Pad", requires=["right>=1"])
    pantry.add("right", "2.0+cpu", requires_python=">=3.8,<4")
    pantry.add("right", "3.0", requires_python=">=99")
    house, into = tmp_path / "wheel house", tmp_path / "into"
    pantry.stow(house, layout=layout)
    with served(house) as (http_url, asked):
        url = (http_url if scheme == "http" else house.as_uri() + "/") + "simple/"
        ran = pip_install(["--index-url", url, "left_pad"], cwd=tmp_path, into=into, tmp=tmp_path)
        assert ran.returncode == 0, ran.stderr
        assert installed(into) == {"left_pad-1.0", "right-2.0+cpu"}
        if scheme == "http":
            first = next(path for path in asked if path.endswith((".whl", ".metadata")))
            assert first.endswith(".whl.metadata"), "PEP 658: the metadata is asked for first"
        ran = uv(["pip", "install", "-p", str(environment), "--index-url", url, "left_pad"], cwd=tmp_path, tmp=tmp_path)
        assert ran.returncode == 0, ran.stderr
        assert installed(environment) == {"left_pad-1.0", "right-2.0+cpu"}


def test_pages_are_escaped_ordered_and_agree() -> None:
    files = [
        IndexedFile(name="a", version=version, filename=name, path=f"t&d/{name}", sha256="0" * 64, size=7, requires_python='>=3,<"4"')
        for version, name in (("1.10", "a-1.10-py3-none-any.whl"), ("1.9+l", "a-1.9+l-py3-none-any.whl"))
    ]
    pages = index_pages(files)
    assert pages == index_pages(reversed(files))
    assert set(pages) == {"simple/index.html", "simple/index.json", "simple/a/index.html", "simple/a/index.json"}
    document = json.loads(pages["simple/a/index.json"])
    assert document["versions"] == ["1.9+l", "1.10"]
    assert [file["filename"] for file in document["files"]] == ["a-1.9+l-py3-none-any.whl", "a-1.10-py3-none-any.whl"]
    assert document["meta"] == {"api-version": "1.1"}
    assert urljoin("https://h/w/simple/a/", document["files"][0]["url"]) == "https://h/w/t%26d/a-1.9%2Bl-py3-none-any.whl"
    html = pages["simple/a/index.html"].decode()
    assert 'data-requires-python="&gt;=3,&lt;&quot;4&quot;"' in html
    assert "metadata" not in html
    assert requires_python(b"Name: a\nRequires-Python: >=3.8, <4\n\nRequires-Python: body") == ">=3.8, <4"
    assert requires_python(b"Name: a\n") is None


def test_every_page_links_only_to_what_is_there(tmp_path: Path) -> None:
    pantry = Pantry(tmp_path / "store")
    pantry.add("a")
    pantry.add("b", targets=(LINUX, WINDOWS))
    house = tmp_path / "wheelhouse"
    pantry.stow(house, layout="by-target")
    for page in house.glob("simple/*/index.json"):
        for file in json.loads(page.read_text())["files"]:
            wheel = page.parent / file["url"]
            assert sha256(wheel.read_bytes()) == file["hashes"]["sha256"]
            assert wheel.stat().st_size == file["size"]
            assert sha256((wheel.parent / f"{wheel.name}.metadata").read_bytes()) == file["core-metadata"]["sha256"]

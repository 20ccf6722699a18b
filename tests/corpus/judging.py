"""What hardtack says of a case, by the functions that build, lock and verify call."""

from __future__ import annotations

import contextlib
import hashlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from hardtack.errors import HardtackError
from hardtack.indexing.client import IndexClient
from hardtack.indexing.http import HttpTransport
from hardtack.indexing.pages import project_page, read_links
from hardtack.indexing.settings import IndexFlags
from hardtack.inputs.pyproject import read_pyproject
from hardtack.inputs.requirements_file import read_requirements_files
from hardtack.model.index import ProjectPage
from hardtack.model.wheel import SdistFacts, WheelFacts
from hardtack.wheelhouse.inspect import inspect_wheel
from hardtack.wheelhouse.manifest import read_manifest
from hardtack.wheelhouse.pylock import read_pylock
from hardtack.wheelhouse.sdist import extract_sdist, inspect_sdist
from hardtack.wheelhouse.uv_lock import read_edges
from tests.corpus.answers import GOES_ON
from tests.corpus.case import Case, Verdict
from tests.indexing.arranging import settled

PATIENCE = 0.3
"""Seconds without a byte after which a server is given up in these tests."""


def judge(case: Case, folder: Path) -> tuple[Verdict, str]:
    """The verdict, and the words of the refusal. Any exception but HardtackError is a fault of hardtack, and goes through."""
    data = case.make()
    if case.kind in ("wheel", "sdist"):
        return _archive(case, data, folder)
    try:
        if case.kind == "page":
            return _offered(project_page(read_links(data, media=case.name, url="https://h.example/simple/foo/"), name="foo", index="i"))
        if case.kind == "answer":
            return _answer(case, data)
        _document(case, data, folder)
    except HardtackError as error:
        assert error.reason
        return "refuse", str(error)
    return "accept", ""


def _archive(case: Case, data: bytes, folder: Path) -> tuple[Verdict, str]:
    path = folder / "judged"
    path.write_bytes(data)
    inspect = inspect_wheel if case.kind == "wheel" else inspect_sdist
    verdict = inspect(path, filename=case.name, sha256=hashlib.sha256(data).hexdigest())
    words = "; ".join(f"{finding.code}: {finding.message}" for finding in verdict.findings)
    assert len(words) < 200_000
    if isinstance(verdict, SdistFacts):
        top = extract_sdist(path, verdict, folder / "out")
        assert [top] == list((folder / "out").iterdir()), "something lies outside of the source folder"
    return ("accept" if isinstance(verdict, (WheelFacts, SdistFacts)) else "refuse"), words


def _offered(page: ProjectPage | None) -> tuple[Verdict, str]:
    files = [file for files in page.files.values() for file in files] if page is not None else []
    for file in files:
        shown = f"{file.filename} {file.url} {file.yanked} {file.upload_time}"
        assert shown.isprintable(), "what a page says reaches a terminal"
        shown.encode("utf-8")
        assert file.url.startswith(("https://", "http://"))
    return ("accept" if len(files) == 1 else "aside"), ""


def _document(case: Case, data: bytes, folder: Path) -> None:
    if case.kind == "manifest":
        read_manifest(data, "wheelhouse.json")
    elif case.kind == "pylock":
        read_pylock(data.decode("utf-8", "surrogatepass"), where="pylock.toml", base=folder)
    elif case.kind == "uv.lock":
        read_edges(data.decode("utf-8", "surrogatepass"), where="uv.lock")
    elif case.kind == "pyproject":
        (folder / "pyproject.toml").write_bytes(data)
        read_pyproject(folder / "pyproject.toml", base=folder)
    else:
        assert case.kind == "requirements"
        (folder / case.name).write_bytes(data)
        read_requirements_files([(case.name, False)], environment={}, fetch_text=_no_network, base=folder)


def _no_network(url: str) -> str:
    raise AssertionError(f"{url} was asked for")


def _answer(case: Case, data: bytes) -> tuple[Verdict, str]:
    with _server(data, GOES_ON.get(case.id)) as url:
        settings, credentials = settled(IndexFlags(index_url=f"{url}/simple", timeout=PATIENCE, retries=0))
        with HttpTransport(settings, credentials) as transport:
            client = IndexClient(transport, settings, None, pace=0.01)
            return _offered(client.page(settings.indexes[0], "foo"))


@contextlib.contextmanager
def _server(data: bytes, again: bytes | None) -> Iterator[str]:
    """A server that sends these bytes to whoever connects, whatever it is asked, and ``again`` without end."""
    listening = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()

    def serve(peer: socket.socket) -> None:
        with peer, contextlib.suppress(OSError):
            while not ended.is_set() and peer.recv(65536):
                peer.sendall(data)
                while again is not None and not ended.is_set():
                    peer.sendall(again)
                if b"Connection: close" in data or b"HTTP/1.0" in data or b"Content-Length" not in data:
                    peer.shutdown(socket.SHUT_WR)
                    ended.wait(0.05)
                    return

    def accept() -> None:
        while not ended.is_set():
            with contextlib.suppress(OSError):
                threading.Thread(target=serve, args=(listening.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        ended.set()
        with contextlib.suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        time.sleep(0)

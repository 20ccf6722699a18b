"""``--with-sdists``: source archives beside the wheels, with an index of their own, seen only by who asks for it."""

from __future__ import annotations

import functools
import http.server
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest

from hardtack import BuildOptions, BuildResult, IndexFlags, verify
from hardtack.model.finding import Severity, Verdict
from tests.scenarios.yard import LINUX, MAC, Yard, codes, errors, proven
from tests.support.archives import make_sdist, sha256
from tests.support.repositories import commit_all, write_project
from tests.support.world import add_source
from tests.wheelhouse.stowing import tree


def build(yard: Yard, *requirements: str, layout: Any = None, prune: bool = False, stated: bool = False, **more: Any) -> BuildResult:
    """``hardtack build --with-sdists``."""
    options = BuildOptions(trial=False, output=yard.wheelhouse, with_sdists=True, layout=layout, prune=prune, require_stated_hashes=stated)
    return yard.build(*requirements, options=options, **more)


def judged(yard: Yard) -> list[str]:
    """The codes of what ``verify`` finds."""
    return [finding.code for finding in verified(yard).findings]


def verified(yard: Yard) -> Verdict:
    return verify(yard.wheelhouse, cache_dir=yard.cache, trial=False, environment=yard.environment).verdict


def beside(yard: Yard) -> set[str]:
    """The source archives in the wheelhouse."""
    return {path.name for path in (yard.wheelhouse / "sdists").iterdir() if path.is_file()}


@pytest.fixture
def stocked(yard: Yard) -> Yard:
    """``app`` has a wheel and an sdist and needs ``leaf``, a wheel alone; ``old`` has an sdist alone."""
    yard.wheel("app", requires=["leaf"], requires_python=">=3.8")
    filename, data = make_sdist(
        "app", metadata="Metadata-Version: 2.2\nName: app\nVersion: 1.0\nRequires-Python: >=3.8\n", files={"setup.py": b""}
    )
    yard.index.add(filename, data)
    yard.wheel("leaf")
    add_source(yard.index, "old")
    return yard


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """A static web server of a folder, as anyone may start one."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize("layout", ["flat", "by-target"])
def test_every_sdist_of_the_plan_lies_beside_the_wheels(stocked: Yard, layout: str) -> None:
    result = build(stocked, "app", "old", targets=(LINUX, MAC), layout=layout)
    proven(result)
    assert beside(stocked) == {"app-1.0.tar.gz", "old-1.0.tar.gz"}
    assert result.manifest is not None
    for source in result.manifest.sources:
        data = (stocked.wheelhouse / source.path).read_bytes()
        assert data == stocked.index.files[source.filename].data
        assert (source.sha256, source.size, source.path) == (sha256(data), len(data), f"sdists/{source.filename}")
        assert (source.name, source.version, source.hash_source) == (source.filename.split("-")[0], "1.0", "index")
    note = next(finding for finding in result.findings if finding.code == "no-sdist")
    assert note.severity is Severity.NOTE
    assert "leaf 1.0" in note.message
    assert "app" not in note.message
    assert not [path for path in stocked.wheelhouse.glob("**/*.tar.gz") if path.parent.name != "sdists"]
    assert verified(stocked).passed
    names = {component["name"]: component for component in json.loads((stocked.wheelhouse / "sbom.cdx.json").read_text())["components"]}
    told = {
        name: [one["url"] for one in component.get("externalReferences", []) if one["type"] == "source-distribution"]
        for name, component in names.items()
    }
    assert told == {"app": ["sdists/app-1.0.tar.gz"], "leaf": [], "old": ["sdists/old-1.0.tar.gz"]}


def test_without_the_option_no_sdist_is_fetched_or_kept(stocked: Yard) -> None:
    proven(stocked.build("app"))
    assert not (stocked.wheelhouse / "sdists").exists()
    assert not [request.path for request in stocked.index.requests if request.path.endswith("app-1.0.tar.gz")]


def test_pip_and_uv_find_them_by_their_own_index_alone(stocked: Yard) -> None:
    """Resolvers that may take sdists only see all of sdists/simple/, and none of it where they look at the wheelhouse's folder."""
    proven(build(stocked, "app", "old"))
    with served(stocked.wheelhouse) as url:
        for place in (f"{url}sdists/simple/", (stocked.wheelhouse / "sdists" / "simple").as_uri()):
            report = stocked.pip(
                "install", "--dry-run", "--quiet", "--no-deps", "--no-build-isolation", "--target", stocked.home / "into",
                "--report", "-", "--no-binary", ":all:", "--index-url", place, "old",
            )  # fmt: skip
            assert report.returncode == 0, report.stderr
            taken = json.loads(report.stdout)["install"][0]["download_info"]
            assert taken["url"].endswith("/sdists/old-1.0.tar.gz")
            assert taken["archive_info"]["hashes"]["sha256"] == sha256(stocked.index.files["old-1.0.tar.gz"].data)
            made = stocked.uv(
                "pip", "compile", "--no-header", "--no-annotate", "--generate-hashes", "--no-binary", ":all:", "--no-deps",
                "--default-index", place, stocked.write("asked.in", "app\n"),
            )  # fmt: skip
            assert sha256(stocked.index.files["app-1.0.tar.gz"].data) in made.stdout
    lying = stocked.pip("download", "--no-index", "--no-deps", "--no-binary", ":all:", "--find-links", stocked.wheelhouse, "old")
    assert lying.returncode != 0
    assert "No matching distribution found for old" in lying.stderr


def test_the_index_is_what_the_standards_say(stocked: Yard) -> None:
    proven(build(stocked, "app", "old"))
    index = stocked.wheelhouse / "sdists" / "simple"
    assert [row["name"] for row in json.loads((index / "index.json").read_text())["projects"]] == ["app", "old"]
    page = json.loads((index / "app" / "index.json").read_text())
    data = stocked.index.files["app-1.0.tar.gz"].data
    (row,) = page["files"]
    assert (row["filename"], row["hashes"], row["size"], row["requires-python"]) == (
        "app-1.0.tar.gz", {"sha256": sha256(data)}, len(data), ">=3.8",
    )  # fmt: skip
    place = urljoin((index / "app" / "index.json").as_uri(), row["url"])
    assert place == (stocked.wheelhouse / "sdists" / "app-1.0.tar.gz").as_uri()
    assert f'href="../../app-1.0.tar.gz#sha256={sha256(data)}"' in (index / "app" / "index.html").read_text()
    wheels = json.loads((stocked.wheelhouse / "simple" / "app" / "index.json").read_text())
    assert [row["filename"] for row in wheels["files"]] == ["app-1.0-py3-none-any.whl"]


def test_what_folders_and_repositories_became_is_kept_too(yard: Yard) -> None:
    leaf = yard.wheel("leaf")
    write_project(yard.project / "lib", "lib", dependencies=["leaf"])
    work = write_project(yard.home / "work", "far", dependencies=[])
    commit = commit_all(work)
    result = build(yard, "./lib", f"far @ git+{work.as_uri()}", targets=(LINUX, MAC))
    proven(result)
    assert yard.files() == {leaf, "lib-1.0-py3-none-any.whl", "far-1.0-py3-none-any.whl"}
    assert result.manifest is not None
    found = {source.name: source for source in result.manifest.sources}
    assert set(found) == {"lib", "far"}
    assert (found["lib"].origin, found["lib"].version) == ("built", "1.0")
    assert found["lib"].made_of is not None and found["lib"].made_of.location == "lib"
    assert found["far"].made_of is not None and found["far"].made_of.commit == commit
    for file in result.manifest.files:
        if file.build is not None:
            assert file.build.source_sha256 == found[file.name].sha256 == sha256((yard.wheelhouse / found[file.name].path).read_bytes())
    assert verified(yard).passed


def test_an_archive_behind_a_url_gets_a_name_that_an_index_can_list(yard: Yard) -> None:
    add_source(yard.index, "far")
    data = yard.index.files.pop("far-1.0.tar.gz").data
    yard.index.add("main.tar.gz", data, project="elsewhere")
    result = build(yard, f"far @ http://127.0.0.1:{yard.index.port}/files/main.tar.gz")
    proven(result)
    assert beside(yard) == {"far-1.0.tar.gz"}
    assert result.manifest is not None
    assert result.manifest.sources[0].origin.endswith("/files/main.tar.gz")
    assert verified(yard).passed


def test_no_login_is_kept(yard: Yard) -> None:
    add_source(yard.index, "far")
    wheel = yard.wheel("near")
    base = f"http://user:s3cret@127.0.0.1:{yard.index.port}"
    yard.index.credentials = ("user", "s3cret")
    indexes = IndexFlags(index_url=f"{base}/simple", retries=0)
    proven(build(yard, f"far @ {base}/files/far-1.0.tar.gz", f"near @ {base}/files/{wheel}", indexes=indexes))
    assert beside(yard) == {"far-1.0.tar.gz"}
    for path in yard.wheelhouse.rglob("*"):
        if path.is_file():
            assert b"s3cret" not in path.read_bytes(), path


def test_an_unchanged_run_knows_them(stocked: Yard) -> None:
    proven(build(stocked, "app"))
    before = tree(stocked.wheelhouse)
    again = build(stocked, "app")
    assert again.unchanged
    (stocked.wheelhouse / "sdists" / "app-1.0.tar.gz").unlink()
    mended = build(stocked, "app")
    proven(mended)
    assert not mended.unchanged
    assert {path: size for path, (_, size, _) in tree(stocked.wheelhouse).items()} == {path: size for path, (_, size, _) in before.items()}
    fewer = stocked.build("app")
    proven(fewer)
    assert not fewer.unchanged


def test_leftovers_stay_until_they_are_pruned(stocked: Yard) -> None:
    proven(build(stocked, "app", "old"))
    mine = stocked.wheelhouse / "sdists" / "mine.txt"
    mine.write_text("mine")
    proven(stocked.build("app"))
    assert beside(stocked) == {"app-1.0.tar.gz", "old-1.0.tar.gz", "mine.txt"}
    assert judged(stocked).count("leftover") == 3  # two archives, and the wheel of old
    proven(build(stocked, "app", prune=True))
    assert beside(stocked) == {"app-1.0.tar.gz", "mine.txt"}
    assert sorted(path.name for path in (stocked.wheelhouse / "sdists" / "simple").iterdir()) == ["app", "index.html", "index.json"]
    proven(stocked.build("app", options=BuildOptions(trial=False, output=stocked.wheelhouse, prune=True)))
    assert [path.name for path in (stocked.wheelhouse / "sdists").iterdir()] == ["mine.txt"]
    assert judged(stocked) == ["unlisted"]


@pytest.mark.parametrize(
    ("harm", "code"),
    [
        (lambda path: path.unlink(), "absent"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1] + b"!"), "hash-mismatch"),
        (lambda path: path.with_name("other-1.0.tar.gz").write_bytes(b""), "unlisted"),
    ],
)
def test_verify_finds_what_is_wrong_with_them(stocked: Yard, harm: Callable[[Path], object], code: str) -> None:
    proven(build(stocked, "app"))
    path = stocked.wheelhouse / "sdists" / "app-1.0.tar.gz"
    path.chmod(0o644)
    data = path.read_bytes()
    path.unlink()  # it is one file with the store's
    path.write_bytes(data)
    harm(path)
    assert judged(stocked) == [code]


def test_verify_judges_the_archive_and_not_the_list_alone(stocked: Yard) -> None:
    """A manifest that was edited to go with a bad archive."""
    proven(build(stocked, "app"))
    path = stocked.wheelhouse / "sdists" / "app-1.0.tar.gz"
    filename, data = make_sdist("app", metadata="Metadata-Version: 2.2\nName: other\nVersion: 1.0\n", files={"setup.py": b""})
    assert filename == path.name
    path.unlink()
    path.write_bytes(data)
    manifest = stocked.wheelhouse / "wheelhouse.json"
    document = json.loads(manifest.read_text())
    document["sources"][0] |= {"sha256": sha256(data), "size": len(data)}
    manifest.write_text(json.dumps(document))
    assert "sdist-metadata" in judged(stocked) or "metadata-name" in judged(stocked)
    assert not verified(stocked).passed


def test_a_bad_sdist_that_is_asked_for_denies_the_proof(stocked: Yard) -> None:
    filename, data = make_sdist("app", metadata="Metadata-Version: 2.2\nName: other\nVersion: 1.0\n", files={"setup.py": b""})
    stocked.index.add(filename, data)
    proven(stocked.build("app"))
    result = build(stocked, "app")
    assert not result.passed
    assert {finding.file for finding in result.findings if finding.severity is Severity.ERROR} == {filename}
    assert not (stocked.wheelhouse / "sdists").exists()


@pytest.mark.parametrize("fault", [{"status": 404}, {"flip_at": 40}])
def test_a_sdist_that_cannot_be_had_denies_the_proof(stocked: Yard, fault: dict[str, Any]) -> None:
    stocked.index.fault("app-1.0.tar.gz", **fault)
    result = build(stocked, "app")
    assert not result.passed
    assert len(errors(result)) == 1


def test_an_unstated_digest_is_recorded_or_refused(stocked: Yard) -> None:
    filename, data = make_sdist("app", metadata="Metadata-Version: 2.2\nName: app\nVersion: 1.0\n", files={"setup.py": b""})
    stocked.index.add(filename, data, sha256=None)
    refused = build(stocked, "app", stated=True)
    assert errors(refused) == ["no-hash"]
    result = build(stocked, "app")
    proven(result)
    assert "first-seen" in codes(result)
    assert result.manifest is not None
    assert [(source.sha256, source.hash_source) for source in result.manifest.sources] == [(sha256(data), "first-seen")]
    assert sha256(data) in (stocked.wheelhouse / "pylock.toml").read_text()


def test_the_command_line_says_how_many(stocked: Yard) -> None:
    arguments = ["build", "app", "-t", LINUX, "-i", stocked.index.url, "--no-trial", "--with-sdists"]
    told = stocked.hardtack(*arguments, check=True)
    assert "and 1 sdist (" in told.stdout
    rows = json.loads(stocked.hardtack(*arguments, "--json", check=True).stdout)["sources"]
    assert [row["path"] for row in rows] == ["sdists/app-1.0.tar.gz"]

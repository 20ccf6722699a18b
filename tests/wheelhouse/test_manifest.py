"""wheelhouse.json: written the same way always, read with suspicion."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hardtack.errors import InputError
from hardtack.model.lock import LockedRoot, Skew, Waiver
from hardtack.model.manifest import BuildRecord, Manifest, ManifestFile, ManifestSource, Pin, SourceOrigin
from hardtack.wheelhouse.manifest import read_manifest, write_manifest

DIGEST = "ab" * 32
BUILD = BuildRecord(
    source="a-1.0.tar.gz",
    source_sha256=DIGEST,
    backend="b",
    requires={"z==1": DIGEST, "a==1": DIGEST},
    sandbox="bwrap",
    python="3.12.1",
    tools={"glibc": "2.36"},
    compilers={"cc": "cc 12", "c++": "c++ 12"},
    config={"--option": ("b", "a"), "editable_mode": ("strict",)},
    variables={"Z": "1", "A": ""},
    programs={"git": DIGEST},
)
FILE = ManifestFile(
    filename="a-1.0-py3-none-any.whl",
    path="a-1.0-py3-none-any.whl",
    sha256=DIGEST,
    size=3,
    name="a",
    version="1.0",
    targets=("t1", "t2"),
    origin="built",
    hash_source="first-seen",
    build=BUILD,
)
SOURCE = ManifestSource(
    filename="a-1.0.tar.gz",
    path="sdists/a-1.0.tar.gz",
    sha256=DIGEST,
    size=4,
    name="a",
    version="1.0",
    origin="built",
    hash_source="first-seen",
    requires_python=">=3.8",
    made_of=SourceOrigin(kind="git", location="https://h/a.git", commit="c" * 40, state="clean"),
)
FULL = Manifest(
    layout="flat",
    targets={"t1": {"python": "3.12", "floor": [2, 28], "free-threaded": False, "none": None}, "t2": {}},
    files=(FILE,),
    pins=(Pin(target="t1", name="a", version="1.0", filename=FILE.filename, marker="python_full_version < '3.12.1'", requires_url=True),),
    roots=(
        LockedRoot(requirement="a[x]>=1", origin="r.txt:3", scope="development", extra="e", group="g", targets=frozenset({"t2", "t1"})),
    ),
    waivers=(Waiver(kind="exclude", requirement="b", origin="pyproject.toml"),),
    skews=(Skew(name="a", versions=(("1.0", ("t1",)), ("2.0", ())), reason="no wheel"),),
    gaps=({"code": "missing", "package": "é\u2028"},),
    generated=(("simple/index.html", DIGEST),),
    leftovers=(("old.txt", DIGEST),),
    sources=(SOURCE,),
)

words = st.text(st.characters(codec="utf-8"), max_size=12)
plain = st.text("abcdefgh-_.", min_size=1, max_size=8).filter(lambda name: name.strip("."))
files = st.builds(
    ManifestFile,
    filename=plain,
    path=st.lists(plain, min_size=1, max_size=3).map("/".join),
    sha256=st.text("0123456789abcdef", min_size=64, max_size=64),
    size=st.integers(0, 2**53),
    name=plain,
    version=words,
    targets=st.lists(plain, max_size=3).map(tuple),
    origin=words,
    index=st.none() | words,
    hash_source=st.sampled_from(("lock", "index", "user", "first-seen")),
    build=st.none() | st.just(BUILD),
)
pins = st.builds(
    Pin, target=plain, name=words, version=words, filename=plain, marker=st.none() | st.text("a<'1", min_size=1), requires_url=st.booleans()
)


def test_everything_comes_back() -> None:
    assert read_manifest(write_manifest(FULL), "w") == FULL


@settings(max_examples=40, deadline=None)
@given(st.lists(files, max_size=4), st.lists(pins, max_size=4), st.randoms(use_true_random=False))
def test_any_manifest_comes_back_and_order_does_not_matter(some: list[ManifestFile], pinned: list[Pin], random: Any) -> None:
    manifest = dataclasses.replace(FULL, files=tuple(some), pins=tuple(pinned))
    data = write_manifest(manifest)
    again = read_manifest(data, "w")
    assert write_manifest(again) == data
    for back, given_ in ((list(again.files), some), (list(again.pins), pinned)):
        for item in given_:
            back.remove(item)  # type: ignore[arg-type]
        assert not back
    random.shuffle(some)
    random.shuffle(pinned)
    assert write_manifest(dataclasses.replace(manifest, files=tuple(some), pins=tuple(pinned))) == data


def test_the_bytes_are_readable_and_ordered() -> None:
    text = write_manifest(dataclasses.replace(FULL, targets=dict(sorted(FULL.targets.items(), reverse=True)))).decode()
    assert text == write_manifest(FULL).decode()
    document = json.loads(text)
    assert list(document)[:2] == ["schema", "layout"]
    assert document["files"][0]["hash-source"] == "first-seen"
    assert list(document["files"][0]["build"]["requires"]) == ["a==1", "z==1"]
    assert document["files"][0]["build"]["config"] == {"--option": ["b", "a"], "editable_mode": ["strict"]}
    assert list(document["files"][0]["build"]["variables"]) == ["A", "Z"]
    assert sum(line.startswith('    {"filename"') for line in text.splitlines()) == 2  # the wheel, the source archive


def _changed(*keys: Any, value: Any) -> bytes:
    document = json.loads(write_manifest(FULL))
    holder = document
    for key in keys[:-1]:
        holder = holder[key]
    holder[keys[-1]] = value
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    ("data", "place"),
    [
        (b"", "w"),
        (b"\xff", "w"),
        (b"[]", "w"),
        (b"[" * 100_000, "w"),
        (_changed("schema", value=2), "w"),
        (_changed("schema", value="1"), "w"),
        (_changed("layout", value="heap"), "w: layout"),
        (_changed("targets", value=[]), "w: targets"),
        (_changed("targets", "../t", value={}), "w: targets"),
        (_changed("files", value={}), "w: files"),
        (_changed("files", 0, value=3), "w: files[0]"),
        (_changed("files", 0, "path", value="../x.whl"), "w: files[0].path"),
        (_changed("files", 0, "path", value="/etc/x.whl"), "w: files[0].path"),
        (_changed("files", 0, "path", value="a\\..\\x.whl"), "w: files[0].path"),
        (_changed("files", 0, "path", value="C:x.whl"), "w: files[0].path"),
        (_changed("files", 0, "path", value=""), "w: files[0].path"),
        (_changed("files", 0, "path", value="x\0y"), "w: files[0].path"),
        (_changed("files", 0, "filename", value="d/x.whl"), "w: files[0].filename"),
        (_changed("files", 0, "sha256", value=DIGEST.upper()), "w: files[0].sha256"),
        (_changed("files", 0, "size", value=-1), "w: files[0].size"),
        (_changed("files", 0, "size", value=True), "w: files[0].size"),
        (_changed("files", 0, "targets", value=["../../t"]), "w: files[0].targets"),
        (_changed("files", 0, "targets", value="t1"), "w: files[0].targets"),
        (_changed("files", 0, "hash-source", value="rumour"), "w: files[0].hash-source"),
        (_changed("files", 0, "build", value=[]), "w: files[0].build"),
        (_changed("files", 0, "build", "compilers", value=[]), "w: files[0].build.compilers"),
        (_changed("files", 0, "build", "compilers", value={"cc": 3}), "w: files[0].build.compilers.cc"),
        (_changed("files", 0, "build", "config", value={"a": "b"}), "w: files[0].build.config.a"),
        (_changed("files", 0, "build", "config", value="a"), "w: files[0].build.config"),
        (_changed("files", 0, "build", "variables", value={"A": None}), "w: files[0].build.variables.A"),
        (_changed("files", 0, "build", "programs", value="git"), "w: files[0].build.programs"),
        (_changed("sources", value={}), "w: sources"),
        (_changed("sources", 0, "path", value="sdists/../a-1.0.tar.gz"), "w: sources[0].path"),
        (_changed("sources", 0, "path", value="a-1.0.tar.gz"), "w: sources[0].path"),
        (_changed("sources", 0, "path", value="sdists/b-1.0.tar.gz"), "w: sources[0].path"),
        (_changed("sources", 0, "filename", value="simple/index.html"), "w: sources[0].filename"),
        (_changed("sources", 0, "sha256", value="0"), "w: sources[0].sha256"),
        (_changed("sources", 0, "size", value="4"), "w: sources[0].size"),
        (_changed("sources", 0, "hash-source", value="rumour"), "w: sources[0].hash-source"),
        (_changed("sources", 0, "requires-python", value=3), "w: sources[0].requires-python"),
        (_changed("pins", 0, "marker", value=3), "w: pins[0].marker"),
        (_changed("waivers", 0, "kind", value="wish"), "w: waivers[0].kind"),
        (_changed("skews", 0, "versions", value=[["1.0"]]), "w: skews[0].versions"),
        (_changed("generated", "../../x", value=DIGEST), "w: generated"),
        (_changed("generated", "x", value="y"), "w: generated.x"),
        (_changed("leftovers", "/x", value=DIGEST), "w: leftovers"),
    ],
)
def test_damage_is_refused_where_it_is(data: bytes, place: str) -> None:
    with pytest.raises(InputError) as caught:
        read_manifest(data, "w")
    assert caught.value.where == place


@pytest.mark.parametrize("key", ["filename", "path", "sha256", "size", "name", "version", "targets", "origin"])
def test_no_field_of_a_file_may_be_missing(key: str) -> None:
    document = json.loads(write_manifest(FULL))
    del document["files"][0][key]
    with pytest.raises(InputError, match=key):
        read_manifest(json.dumps(document).encode(), "w")


def test_a_record_of_an_earlier_hardtack_says_less() -> None:
    document = json.loads(write_manifest(FULL))
    for key in ("tools", "compilers", "config", "variables", "programs"):
        del document["files"][0]["build"][key]
    again = read_manifest(json.dumps(document).encode(), "w").files[0].build
    assert again == dataclasses.replace(BUILD, tools=None, compilers=None, config=None, variables=None, programs=None)


def test_a_newer_schema_says_what_to_do() -> None:
    with pytest.raises(InputError, match="schema 7") as caught:
        read_manifest(b'{"schema": 7}', "w")
    assert "hardtack that made" in (caught.value.hint or "")

"""``diff`` reads locks of hardtack, of uv and of others, and folders of wheels, and tells what differs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hardtack.cli.main import run
from hardtack.errors import InputError
from hardtack.workflow.diff import diff
from hardtack.workflow.inventories import read_inventory
from tests.support.archives import make_sdist, make_wheel, sha256
from tests.support.loopback import LoopbackIndex
from tests.support.running import Account
from tests.support.world import LINUX, WINDOWS

METADATA = "Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n{licence}\n"


def put(folder: Path, name: str, version: str = "1.0", *, licence: str = "", tag: str = "py3-none-any", extra: bytes = b"") -> Path:
    metadata = METADATA.format(name=name, version=version, licence=licence)
    filename, data = make_wheel(name, version, tag=tag, metadata=metadata, files={f"{name}/data": extra} if extra else None)
    folder.mkdir(exist_ok=True)
    (folder / filename).write_bytes(data)
    return folder / filename


def asked(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, dict[str, Any]]:
    code = run(["diff", *map(str, arguments), "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_folders_of_wheels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    put(old, "same", licence="License: MIT")
    put(new, "same", licence="License: MIT")
    put(old, "up", "1.9", licence="License-Expression: MIT")
    put(new, "up", "1.10", licence="Classifier: License :: OSI Approved :: GNU General Public License v3 (GPLv3)")
    put(old, "swapped", extra=b"good")
    put(new, "swapped", extra=b"evil")
    put(new, "fresh")
    filename, data = make_sdist("gone")
    (old / filename).write_bytes(data)
    code, found = asked(capsys, old, new)
    assert code == 1
    assert [(one["name"], one["change"]) for one in found["packages"]] == [
        ("fresh", "added"),
        ("gone", "removed"),
        ("swapped", "changed"),
        ("up", "changed"),
    ]
    swapped, up = found["packages"][2:]
    digests = {place: sha256((tmp_path / place / "swapped-1.0-py3-none-any.whl").read_bytes()) for place in ("old", "new")}
    assert swapped["files"]["replaced"] == [
        {"filename": "swapped-1.0-py3-none-any.whl", "a": f"sha256:{digests['old']}", "b": f"sha256:{digests['new']}"}
    ]
    assert up["versions"] == {"a": ["1.9"], "b": ["1.10"]}
    assert up["licences"] == {"a": ["MIT"], "b": ["GNU General Public License v3 (GPLv3)"]}
    assert up["size"] == {side: (tmp_path / place / f"up-{version}-py3-none-any.whl").stat().st_size
                          for side, place, version in (("a", "old", "1.9"), ("b", "new", "1.10"))}  # fmt: skip
    assert found["unchanged"] == 1
    assert run(["diff", str(old), str(new)]) == 1
    shown = capsys.readouterr().out
    for words in (
        "other bytes: swapped-1.0",
        "MIT -> GNU General Public License v3",
        "+  fresh",
        "-  gone",
        "1 added, 1 removed, 2 changed",
    ):
        assert words in shown, shown
    assert asked(capsys, old, old)[0] == 0
    assert run(["diff", "-q", str(old), str(new)]) == 1
    assert capsys.readouterr().out == ""


def test_what_cannot_be_read_is_said_and_is_never_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(tmp_path / "a", "fine")
    (tmp_path / "a" / "broken-1.0-py3-none-any.whl").write_bytes(b"PK nothing")
    (tmp_path / "a" / "what.whl").write_bytes(b"")
    code, found = asked(capsys, tmp_path / "a", tmp_path / "a")
    assert code == 1
    assert [row["file"] for row in found["a"]["unread"]] == ["broken-1.0-py3-none-any.whl", "what.whl"]
    assert found["packages"] == []


@pytest.fixture(scope="module")
def houses(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two wheelhouses of hardtack, the second with a newer leaf on one platform alone."""
    account = Account.make(tmp_path_factory.mktemp("houses"))
    with LoopbackIndex() as index:
        index.add(*make_wheel("app", requires=["leaf"]))
        index.add(*make_wheel("leaf", "1.0"))
        account.run("build", "app", "-t", LINUX, "-t", WINDOWS, "-i", index.url, "-o", "one").checked(0)
        index.add(*make_wheel("leaf", "2.0", tag="py3-none-win_amd64"))
        index.add(*make_wheel("leaf", "2.0", tag="py3-none-manylinux_2_17_x86_64"))
        account.run("build", "app", "-t", LINUX, "-t", WINDOWS, "-i", index.url, "-o", "two", "--upgrade").checked(0)
        account.run("build", "app", "-t", LINUX, "-i", index.url, "-o", "three").checked(0)
    return account.project


def test_wheelhouses_of_hardtack_are_compared_by_target(houses: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, found = asked(capsys, houses / "one", houses / "two")
    assert code == 1
    for target, filename in ((LINUX, "leaf-2.0-py3-none-manylinux_2_17_x86_64.whl"), (WINDOWS, "leaf-2.0-py3-none-win_amd64.whl")):
        [change] = found["targets"]["both"][target]
        assert [one["filename"] for one in change["a"]] == ["leaf-1.0-py3-none-any.whl"]
        assert [one["filename"] for one in change["b"]] == [filename]
    code, found = asked(capsys, houses / "two", houses / "three")
    assert (found["targets"]["removed"], found["targets"]["added"]) == ([WINDOWS], [])
    assert asked(capsys, houses / "two", houses / "three", "-t", LINUX)[1]["targets"] == {"added": [], "removed": [], "both": {LINUX: []}}


def test_a_lock_and_the_wheelhouse_made_of_it_are_the_same(houses: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lock = tmp_path / "copied.toml"
    lock.write_bytes((houses / "one" / "pylock.toml").read_bytes())
    code, found = asked(capsys, lock, houses / "one")
    assert (code, found["a"]["kind"], found["a"]["targets"]) == (0, "pylock.toml", [LINUX, WINDOWS])
    assert asked(capsys, lock, houses / "two")[0] == 1


UV = """\
version = 1
revision = 3
requires-python = ">=3.11"

[[package]]
name = "demo"
version = "{demo}"
source = {{ virtual = "." }}
dependencies = [{{ name = "leaf" }}]

[[package]]
name = "leaf"
version = "{leaf}"
source = {{ registry = "https://pypi.org/simple" }}
sdist = {{ url = "https://files.example/leaf-{leaf}.tar.gz", hash = "sha256:{digest}", size = 5 }}
wheels = [
    {{ url = "https://files.example/leaf-{leaf}%2Blocal-py3-none-any.whl", hash = "sha256:{digest}", size = 7 }},
]

[[package]]
name = "repo"
version = "1.0"
source = {{ git = "https://user:secret@git.example/repo?rev=main#{commit}" }}
"""


def test_uv_locks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = tmp_path / "uv.lock", tmp_path / "other"
    old.write_text(UV.format(demo="0.1", leaf="1.0", digest="a" * 64, commit="c" * 40))
    new.write_text(UV.format(demo="0.1", leaf="1.0", digest="b" * 64, commit="d" * 40))
    code, found = asked(capsys, old, new)
    assert code == 1
    leaf, repo = found["packages"]
    assert [one["filename"] for one in leaf["files"]["replaced"]] == ["leaf-1.0+local-py3-none-any.whl", "leaf-1.0.tar.gz"]
    assert repo["sources"]["a"] == [f"git+https://git.example/repo?rev=main#{'c' * 40}"]
    assert "secret" not in json.dumps(found)
    assert asked(capsys, old, old)[0] == 0


def test_a_lock_of_another_tool_is_planned_for_the_targets_that_are_named(houses: Path, tmp_path: Path) -> None:
    text = (houses / "two" / "pylock.toml").read_text()
    foreign = tmp_path / "pylock.toml"
    foreign.write_text(text.split("[tool.hardtack")[0].replace('created-by = "hardtack"', 'created-by = "other"'))
    assert read_inventory(foreign).targets == {}
    found = diff(foreign, houses / "two", targets=[LINUX])
    assert found.same, found.difference
    assert {one.filename for one in found.before.targets[LINUX]} == {
        "app-1.0-py3-none-any.whl",
        "leaf-2.0-py3-none-manylinux_2_17_x86_64.whl",
    }


def test_only_what_the_named_targets_get_is_compared(houses: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert asked(capsys, houses / "two", houses / "three", "-t", LINUX)[0] == 0
    code, found = asked(capsys, houses / "one", houses / "two", "-t", WINDOWS)
    assert code == 1
    assert [one["files"]["added"] for one in found["packages"]] == [["leaf-2.0-py3-none-win_amd64.whl"]]
    assert list(found["targets"]["both"]) == [WINDOWS]


def test_targets_that_a_side_is_not_for_are_refused(houses: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not for py312-windows"):
        diff(houses / "two", houses / "three", targets=[WINDOWS])
    old = tmp_path / "pylock.toml"
    old.write_text('lock-version = "1.0"\ncreated-by = "x"\nrequires-python = ">=3.13"\npackages = []\n')
    with pytest.raises(InputError, match="not made for"):
        diff(old, houses / "two", targets=[LINUX])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"[project]\nname = 'x'\n", "neither"),
        (b"\xff\xfe", "no text"),
        (b"not = [toml", "TOML"),
        (b"version = 1\n[[package]]\nversion = '1'\n", "not what uv writes"),
        (b"version = 1\npackage = 3\n", "not what uv writes"),
        (b"version = 1\n[[package]]\nname = 'a'\nwheels = [{}]\n", "not what uv writes"),
        (b"version = 1\n[[package]]\nname = 'a'\nwheels = [3]\nsource = 4\n", "not what uv writes"),
        (b"version = 1\n[[package]]\nname = 'a'\nwheels = [{ url = 'https://x/a.whl', hash = 3 }]\n", "not what uv writes"),
        (b"version = 1\n[[package]]\nname = 'a'\nwheels = [{ url = 'https://[x/a.whl' }]\n", "not what uv writes"),
        (b"version = 1\n[[package]]\nname = 'a'\nsource = { git = 3 }\n", "not what uv writes"),
        (b"lock-version = '1.0'\n", "created-by"),
        (
            b"lock-version='1.0'\ncreated-by = 'x'\n[[packages]]\nname='a'\nvcs = { type = 'git', url = 'https://[x', commit-id = 'a' }\n",
            "",
        ),
        (
            b"lock-version='1.0'\ncreated-by='x'\n[[packages]]\nname='a'\narchive={ url = 'https://[x/a.zip', hashes = {sha256 = 'a'} }\n",
            "",
        ),
    ],
)
def test_what_is_no_lock_is_refused_in_words(content: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "uv.lock"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_inventory(path)
    assert words in f"{caught.value} {caught.value.reason}"


def test_a_project_is_no_wheelhouse_and_its_lock_is_named(tmp_path: Path) -> None:
    (tmp_path / "uv.lock").write_text("version = 1")
    with pytest.raises(InputError) as caught:
        read_inventory(tmp_path)
    assert str(tmp_path / "uv.lock") in (caught.value.hint or "")
    with pytest.raises(InputError, match="no such file"):
        read_inventory(tmp_path / "nothing")

"""``verify`` trusts nothing but bytes: whatever is wrong with a wheelhouse is found, by its right name."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.archives import make_wheel
from tests.support.loopback import LoopbackIndex
from tests.support.running import Account, contents, traces
from tests.support.world import LINUX, WINDOWS, add_app, add_source

WHEEL = "middle-1.5-py3-none-any.whl"


@pytest.fixture(scope="module")
def index() -> Iterator[LoopbackIndex]:
    with LoopbackIndex() as found:
        add_app(found)
        add_source(found)
        yield found


@pytest.fixture(scope="module", params=["flat", "by-target"])
def proven(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, index: LoopbackIndex) -> Account:
    """An account with a proven wheelhouse, not to be touched."""
    account = Account.make(tmp_path_factory.mktemp("proven"))
    arguments = ["app", "fromsource", "-t", LINUX, "-t", WINDOWS, "-i", index.url, "--layout", request.param]
    account.run("build", *arguments).checked(0)
    return account


@pytest.fixture
def house(proven: Account, tmp_path: Path) -> Path:
    """A copy of the proven wheelhouse, to be harmed."""
    return Path(shutil.copytree(proven.project / "wheelhouse", tmp_path / "wheelhouse"))


def wheels(house: Path, name: str = WHEEL) -> list[Path]:
    """Every copy of a wheel."""
    return sorted(house.rglob(name))


def edit_manifest(house: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change ``wheelhouse.json`` as someone with an editor would."""
    path = house / "wheelhouse.json"
    data = json.loads(path.read_bytes())
    change(data)
    path.write_text(json.dumps(data, indent=1))


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    path.write_bytes(data)


def swap(house: Path, **difference: Any) -> None:
    """Put another sound wheel of the same name everywhere."""
    name, data = make_wheel("middle", "1.5", **difference)
    for path in wheels(house, name):
        path.write_bytes(data)


def link_to_nothing(path: Path) -> None:
    """A link that leads nowhere, in a file's place."""
    path.unlink()
    path.symlink_to("nowhere")


def test_good(proven: Account) -> None:
    before = traces(proven.project)
    ran = proven.run("verify").checked(0)
    assert "Proven complete for 2 targets" in ran.out
    assert traces(proven.project) == before
    data = proven.run("verify", "--json").checked(0).json()
    assert data["passed"] is True and data["findings"] == []


def test_good_elsewhere_without_cache_and_network(proven: Account, house: Path, tmp_path: Path) -> None:
    """A copy on another host, whose cache is empty and whose indexes are nowhere."""
    other = Account.make(tmp_path / "other", HARDTACK_INDEX_URL="http://127.0.0.1:9/simple")
    other.run("verify", house).checked(0)
    other.run("verify", "--offline", cwd=house.parent).checked(0)


_HARM: dict[str, tuple[Callable[[Path], object], set[str]]] = {
    "flipped byte": (lambda h: flip(wheels(h)[0]), {"hash-mismatch"}),
    "flipped byte in the last copy": (lambda h: flip(wheels(h)[-1]), {"hash-mismatch"}),
    "cut wheel": (lambda h: wheels(h)[0].write_bytes(wheels(h)[0].read_bytes()[:-10]), {"hash-mismatch"}),
    "empty wheel": (lambda h: wheels(h)[0].write_bytes(b""), {"hash-mismatch"}),
    "missing wheel": (lambda h: wheels(h)[0].unlink(), {"absent"}),
    "missing last copy": (lambda h: wheels(h)[-1].unlink(), {"absent"}),
    "dead link": (lambda h: link_to_nothing(wheels(h)[0]), {"absent"}),
    "other metadata": (lambda h: swap(h, requires=["something-else"]), {"hash-mismatch"}),
    "other code": (lambda h: swap(h, requires=["native"], files={"middle/evil.py": b"1"}), {"hash-mismatch"}),
    "edited list": (
        lambda h: (h / f"requirements.{LINUX}.txt").write_text((h / f"requirements.{LINUX}.txt").read_text().replace("1.5", "1.4")),
        {"hash-mismatch"},
    ),
    "missing list": (lambda h: (h / f"requirements.{LINUX}.txt").unlink(), {"missing-file"}),
    "edited lock": (lambda h: (h / "pylock.toml").write_text((h / "pylock.toml").read_text() + "\n# more\n"), {"hash-mismatch"}),
    "edited installer": (lambda h: (h / "install.py").write_text("print('evil')\n"), {"hash-mismatch"}),
    "edited index page": (lambda h: flip(h / "simple" / "middle" / "index.html"), {"hash-mismatch"}),
    "manifest states another digest": (
        lambda h: edit_manifest(h, lambda d: next(f for f in d["files"] if f["filename"] == WHEEL).update({"sha256": "0" * 64})),
        {"hash-mismatch"},
    ),
    "manifest leaves a pin out": (
        lambda h: edit_manifest(h, lambda d: d.update(pins=[p for p in d["pins"] if p["name"] != "middle"])),
        {"missing"},
    ),
    "manifest leaves a wheel out": (
        lambda h: edit_manifest(h, lambda d: d.update(files=[f for f in d["files"] if f["name"] != "middle"])),
        set(),
    ),
    "manifest asks for more": (
        lambda h: edit_manifest(h, lambda d: d["roots"].append({**d["roots"][0], "requirement": "unknown-thing"})),
        {"missing"},
    ),
    "manifest has no targets": (lambda h: edit_manifest(h, lambda d: d.update(targets={})), set()),
    "manifest gives a wheel to another target": (
        lambda h: edit_manifest(h, lambda d: [f.update(targets=[WINDOWS]) for f in d["files"] if f["filename"] == WHEEL]),
        set(),
    ),
    "manifest leads out": (
        lambda h: edit_manifest(h, lambda d: next(f for f in d["files"] if f["filename"] == WHEEL).update(path=f"../{WHEEL}")),
        set(),
    ),
}


@pytest.mark.parametrize("harm", _HARM)
def test_harm_is_found(proven: Account, house: Path, harm: str) -> None:
    act, codes = _HARM[harm]
    act(house)
    ran = proven.run("verify", house, "--json", "--no-trial")
    data = ran.checked(ran.code).json()
    assert ran.code in (1, 2), data
    if ran.code == 2:
        assert data["error"]["where"], data
        return
    assert data["passed"] is False
    errors = [finding for finding in data["findings"] if finding["severity"] == "error"]
    assert codes <= {finding["code"] for finding in errors}, errors
    said = proven.run("verify", house, "--no-trial").checked(1)
    assert "Proven" not in said.out and "Not proven" in said.out
    assert all(finding["message"].splitlines()[0] in said.err for finding in errors)


def test_everything_at_once(proven: Account, house: Path) -> None:
    flip(wheels(house)[0])
    for path in wheels(house, "paint-1.0-py3-none-any.whl"):
        path.unlink()
    (house / "constraints.txt").write_text("")
    data = proven.run("verify", house, "--json").checked(1).json()
    files = {Path(finding["file"]).name for finding in data["findings"] if "file" in finding}
    assert {WHEEL, "paint-1.0-py3-none-any.whl", "constraints.txt"} <= files


@pytest.mark.parametrize("name", ["middle-9.0-py3-none-any.whl", "stranger-1.0-py3-none-any.whl"])
def test_extra_wheel_is_told(proven: Account, house: Path, name: str) -> None:
    """It is in nobody's way who installs by the exact lists, but it would be taken by who installs by name."""
    project, version = name.split("-")[:2]
    (house / name).write_bytes(make_wheel(project, version)[1])
    ran = proven.run("verify", house, "--json").checked(0)
    (finding,) = ran.json()["findings"]
    assert (finding["code"], finding["severity"], finding["file"]) == ("unlisted", "warning", name)


def test_extra_garbage_is_told(proven: Account, house: Path) -> None:
    (house / "not a wheel.whl").write_bytes(b"no")
    ran = proven.run("verify", house, "--json")
    assert [finding["code"] for finding in ran.checked(ran.code).json()["findings"]] == ["unlisted"]


def test_leftovers_are_a_note(account: Account, index: LoopbackIndex) -> None:
    account.run("build", "app", "-t", LINUX, "-t", WINDOWS, "-i", index.url).checked(0)
    account.run("build", "middle", "-t", LINUX, "-i", index.url).checked(0)
    data = account.run("verify", "--json").checked(0).json()
    assert {finding["code"] for finding in data["findings"]} == {"leftover"}
    assert {finding["severity"] for finding in data["findings"]} == {"note"}


@pytest.fixture
def account(tmp_path: Path) -> Account:
    return Account.make(tmp_path)


def test_kept_incomplete_never_passes(account: Account) -> None:
    """Not even after what is missing was brought by hand, for the manifest knows that it was never proven."""
    with LoopbackIndex() as index:
        index.add(*make_wheel("app", requires=["native"]))
        index.add(*make_wheel("native", "2.0", tag="cp312-cp312-manylinux_2_34_x86_64"))
        account.run("build", "app", "-t", LINUX, "-i", index.url, "--keep-incomplete").checked(1)
        house = account.project / "wheelhouse"
        assert (house / "app-1.0-py3-none-any.whl").is_file()
        data = account.run("verify", "--json").checked(1).json()
        assert "incomplete" in {finding["code"] for finding in data["findings"]}
        name, wheel = make_wheel("native", "2.0")
        (house / name).write_bytes(wheel)
        account.run("verify").checked(1)
        edit_manifest(house, lambda data: data.update(gaps=[]))
        account.run("verify").checked(1)


def test_what_a_failed_wheelhouse_said_is_not_remembered(account: Account) -> None:
    """A run that keeps an incomplete wheelhouse leaves no receipt: the next says the gap again, and exits 1 again."""
    with LoopbackIndex() as index:
        index.add(*make_wheel("native", "2.0", tag="cp312-cp312-manylinux_2_34_x86_64"))
        arguments = ["build", "native", "-t", LINUX, "-i", index.url]
        for more in (["--keep-incomplete"], ["--keep-incomplete"], [], ["--offline"]):
            assert "native" in account.run(*arguments, *more).checked(1).err


def test_not_a_wheelhouse(account: Account) -> None:
    (account.project / "empty").mkdir()
    ran = account.run("verify", "empty").checked(2)
    assert "empty" in ran.err and "help:" in ran.err
    assert contents(account.project) == {}

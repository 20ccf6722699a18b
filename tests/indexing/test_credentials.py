"""A login goes to its own origin, and says where it came from."""

from __future__ import annotations

import os
import pickle
import stat
import sys
from pathlib import Path

import pytest

from hardtack.indexing.credentials import Credentials
from hardtack.indexing.settings import IndexFlags
from tests.indexing.arranging import settled

needs_scripts = pytest.mark.skipif(os.name == "nt", reason="the fake keyring is a POSIX script")


def fake_keyring(folder: Path, body: str) -> dict[str, str]:
    """An environment whose PATH leads to a keyring that logs its arguments and answers by ``body``."""
    folder.mkdir()
    program = folder / "keyring"
    program.write_text(
        f"#!{sys.executable}\nimport sys\nargs = sys.argv[1:]\nopen({str(folder / 'log')!r}, 'a').write(' '.join(args) + chr(10))\n{body}\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return {"PATH": str(folder), "HOME": str(folder)}


def test_a_login_in_a_url_goes_to_its_origin_alone() -> None:
    _, credentials = settled(IndexFlags(index_url="https://me:p%40ss@index.example/simple"))
    login = credentials.find("https://index.example/files/x.whl")
    assert login is not None and (login.username, login.password) == ("me", "p@ss")
    assert "--index-url" in login.source
    for other in (
        "http://index.example/",
        "https://index.example:8443/",
        "https://sub.index.example/",
        "https://index.example.evil/",
        "file:///x",
    ):
        assert credentials.find(other) is None


def test_two_indexes_of_one_host_each_have_their_own_login() -> None:
    flags = IndexFlags(extra_index_urls=("https://a:one@host.example/group/a/simple", "https://b:two@host.example/group/b/simple"))
    _, credentials = settled(flags)
    for path, user in (("/group/a/simple/x/", "a"), ("/group/b/simple/x/", "b"), ("/group/b/files/x.whl", "b"), ("/elsewhere", "a")):
        login = credentials.find(f"https://host.example{path}")
        assert login is not None and login.username == user


@pytest.mark.parametrize("prefix", ["HARDTACK", "UV"])
def test_the_environment_names_a_login_by_the_indexs_name(prefix: str) -> None:
    environment = {f"{prefix}_INDEX_MY_CORP_USERNAME": "me", f"{prefix}_INDEX_MY_CORP_PASSWORD": "secret"}
    _, credentials = settled(tables=[{"name": "my-corp", "url": "https://corp.example/simple"}], environment=environment)
    login = credentials.find("https://corp.example/simple/x/")
    assert login is not None and login.password == "secret" and prefix in login.source


@pytest.mark.parametrize("place", ["NETRC", ".netrc", "_netrc"])
def test_netrc(tmp_path: Path, place: str) -> None:
    file = tmp_path / (place if place != "NETRC" else "elsewhere")
    file.write_text("machine index.example login me password secret\ndefault login any password everywhere\n")
    credentials = Credentials(environment={"HOME": str(tmp_path), **({"NETRC": str(file)} if place == "NETRC" else {})})
    login = credentials.find("https://index.example:8080/simple")
    assert login is not None and (login.username, login.password, login.source) == ("me", "secret", str(file))
    assert credentials.find("https://other.example/") is None, "the default entry would go to every host"


def test_a_url_with_a_user_takes_that_users_netrc_entry_only(tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text("machine index.example login me password secret\n")
    for user, password in (("me", "secret"), ("you", "")):
        credentials = Credentials(environment={"HOME": str(tmp_path)})
        credentials.state_from(f"https://{user}@index.example/simple", source="--index-url")
        login = credentials.find("https://index.example/simple")
        assert login is not None and (login.username, login.password) == (user, password)


def test_a_broken_netrc_is_noted_and_gives_nothing(tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text("machine index.example logn me CANARY\n")
    credentials = Credentials(environment={"HOME": str(tmp_path)})
    assert credentials.find("https://index.example/") is None
    assert str(tmp_path / ".netrc") in credentials.notes[0] and "CANARY" not in credentials.notes[0]


@needs_scripts
def test_the_keyring_is_asked_for_the_index_then_the_host_once_and_only_on_demand(tmp_path: Path) -> None:
    environment = fake_keyring(tmp_path / "bin", "print('secret') if args == ['get', 'index.example', 'me'] else sys.exit(1)")
    credentials = Credentials(environment=environment, keyring="subprocess")
    credentials.state_from("https://me@index.example/root/simple", source="--index-url")
    login = credentials.find("https://index.example/root/simple/x/")
    assert login is not None and login.password == "", "not asked before the server wants a login"
    for _ in range(2):
        login = credentials.find("https://index.example/root/simple/x/", ask=True)
        assert login is not None and login.password == "secret" and "keyring" in login.source
    login = credentials.find("https://index.example/files/x.whl")
    assert login is not None and login.password == "secret"
    log = (tmp_path / "bin" / "log").read_text().splitlines()
    assert log == ["get https://index.example/root/simple/ me", "get index.example me"]


@needs_scripts
def test_the_keyring_may_know_the_user_too(tmp_path: Path) -> None:
    environment = fake_keyring(tmp_path / "bin", "print('me'); print('secret')")
    credentials = Credentials(environment=environment, keyring="auto")
    login = credentials.find("https://index.example/simple/x/", ask=True)
    assert login is not None and (login.username, login.password) == ("me", "secret")
    assert (tmp_path / "bin" / "log").read_text() == "--mode creds get https://index.example/simple/\n"


@needs_scripts
@pytest.mark.parametrize("body", ["sys.exit(1)", "print('a'); print('b'); print('c')", "pass"])
def test_a_keyring_that_has_nothing_or_babbles_gives_nothing(tmp_path: Path, body: str) -> None:
    credentials = Credentials(environment=fake_keyring(tmp_path / "bin", body), keyring="subprocess")
    assert credentials.find("https://index.example/simple/x/", ask=True) is None


def test_a_disabled_or_absent_keyring_is_not_asked(tmp_path: Path) -> None:
    environment = fake_keyring(tmp_path / "bin", "print('me'); print('secret')") if os.name != "nt" else {}
    assert Credentials(environment=environment, keyring="disabled").find("https://index.example/", ask=True) is None
    absent = Credentials(environment={"PATH": str(tmp_path)}, keyring="subprocess")
    assert absent.find("https://index.example/", ask=True) is None
    assert "PATH" in absent.notes[0]


def test_redacting_takes_out_every_known_secret_and_every_login_in_a_url(tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text("machine n.example login me password CANARY3\n")
    _, credentials = settled(
        IndexFlags(index_url="https://u:CANARY1@a.example/simple", proxy="http://u:CANARY2@p.example:1"),
        environment={"HOME": str(tmp_path)},
    )
    said = "failed: https://x:CANARY4@b.example/ CANARY1 CANARY2 CANARY3"
    assert "CANARY" not in credentials.redact(said)
    with pytest.raises(TypeError):
        pickle.dumps(credentials)

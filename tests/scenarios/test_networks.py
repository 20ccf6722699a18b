"""Indexes behind logins, private authorities and proxies, end to end; and secrets stay where they were given."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.archives import make_wheel
from tests.support.certificates import Authority
from tests.support.loopback import LoopbackIndex, LoopbackProxy
from tests.support.running import Account, Ran, contents
from tests.support.world import LINUX, add_app, add_source

USER, CANARY = "canary-bird", "c4nary/p@ss:w0rd"
_QUOTED = "c4nary%2Fp%40ss%3Aw0rd"
PROXY_USER, PROXY_CANARY = "gatekeeper", "pr0xyCanary"
NETWORKED = "index.example"

# Runs while the backend is imported: the secrets, as hex so that this text itself holds none, are looked for wherever a build can look.
_SNOOP = """\
import os
def look():
    secrets = [bytes.fromhex(text) for text in {secrets!r}]
    places = ["/proc/" + name + "/environ" for name in os.listdir("/proc") if name.isdigit()] if os.path.isdir("/proc") else []
    for place in places:
        try:
            data = open(place, "rb").read()
        except OSError:
            continue
        if any(secret in data for secret in secrets):
            raise SystemExit("a secret lies open in " + place)
    if any(secret.decode() in repr(dict(os.environ)) for secret in secrets):
        raise SystemExit("a secret lies open in the environment")
look()
"""


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.make(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def index(authority: Authority) -> Iterator[LoopbackIndex]:
    with LoopbackIndex(tls=authority.leaf(NETWORKED), host=NETWORKED, credentials=(USER, CANARY)) as found:
        add_app(found)
        add_source(found, before=_SNOOP.format(secrets=[text.encode().hex() for text in (CANARY, _QUOTED, PROXY_CANARY)]))
        yield found


@pytest.fixture(scope="module")
def proxy(index: LoopbackIndex) -> Iterator[LoopbackProxy]:
    with LoopbackProxy(credentials=(PROXY_USER, PROXY_CANARY), routes={NETWORKED: ("127.0.0.1", index.port)}) as found:
        yield found


@pytest.fixture
def account(tmp_path: Path) -> Account:
    return Account.make(tmp_path)


def no_canary(account: Account, *runs: Ran) -> None:
    """Neither secret was written anywhere or said."""
    secrets = [text.encode() for text in (CANARY, _QUOTED, PROXY_CANARY, json.dumps(CANARY)[1:-1])]
    for run in runs:
        assert not any(secret in (run.out + run.err).encode() for secret in secrets), run
    found = [
        str(path)
        for folder in (account.cache, account.project, account.home / ".cache", account.home / ".local", account.home / ".config")
        for path in folder.rglob("*")
        if path.is_file() and any(secret in path.read_bytes() for secret in secrets)
    ]
    assert found == []


def _url_login(account: Account, index: LoopbackIndex) -> tuple[list[str], dict[str, str]]:
    return ["-i", index.with_login(USER, CANARY)], {}


def _url_login_in_environment(account: Account, index: LoopbackIndex) -> tuple[list[str], dict[str, str]]:
    return [], {"PIP_INDEX_URL": index.with_login(USER, CANARY), "PIP_CONFIG_FILE": os.devnull}


def _environment_login(account: Account, index: LoopbackIndex) -> tuple[list[str], dict[str, str]]:
    account.write("hardtack.toml", f'[[index]]\nname = "corp"\nurl = "{index.url}"\ndefault = true\n')
    return [], {"HARDTACK_INDEX_CORP_USERNAME": USER, "HARDTACK_INDEX_CORP_PASSWORD": CANARY}


def _netrc(account: Account, index: LoopbackIndex) -> tuple[list[str], dict[str, str]]:
    place = account.home / ".netrc"
    place.write_text(f"machine {NETWORKED}\nlogin {USER}\npassword {CANARY}\n")
    place.chmod(0o600)
    return ["-i", index.url], {}


def _keyring(account: Account, index: LoopbackIndex) -> tuple[list[str], dict[str, str]]:
    folder = account.home / "bin"
    folder.mkdir()
    program = folder / "keyring"
    program.write_text(f"#!{sys.executable}\nimport sys\nprint({CANARY!r}) if sys.argv[-1] == {USER!r} else sys.exit(1)\n")
    program.chmod(0o755)
    url = index.url.replace("://", f"://{USER}@")
    return ["-i", url, "--keyring", "subprocess"], {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


_LOGINS: dict[str, Callable[[Account, LoopbackIndex], tuple[list[str], dict[str, str]]]] = {
    "in the URL": _url_login,
    "in the URL of an environment variable": _url_login_in_environment,
    "in the environment": _environment_login,
    "in netrc": _netrc,
    "in the keyring": _keyring,
}


class TestThroughAProxyWithAPrivateAuthority:
    @pytest.mark.parametrize("login", _LOGINS)
    def test_whole_build(self, account: Account, index: LoopbackIndex, proxy: LoopbackProxy, authority: Authority, login: str) -> None:
        if login == "in the keyring" and os.name == "nt":
            pytest.skip("the fake keyring is a POSIX script")
        arguments, env = _LOGINS[login](account, index)
        account.write("requirements.txt", "app\nfromsource\n")
        proxy.requests.clear()
        env |= {"HTTPS_PROXY": proxy.with_login(PROXY_USER, PROXY_CANARY), "SSL_CERT_FILE": str(authority.ca_file)}
        built = account.run("build", "-r", "requirements.txt", "-t", LINUX, *arguments, "-v", env=env).checked(0)
        data = account.run("build", "-r", "requirements.txt", "-t", LINUX, *arguments, "--json", env=env).checked(0)
        locked = account.run("lock", "-r", "requirements.txt", "-t", LINUX, *arguments, "--export", "pip:r-{target}.txt", env=env).checked(
            0
        )
        judged = account.run("verify", env=env).checked(0)
        assert set(proxy.asked()) == {f"{NETWORKED}:{index.port}"}
        text = (account.project / "pylock.toml").read_text()
        assert f"https://{NETWORKED}:{index.port}/files/app-1.0-py3-none-any.whl" in text
        for name in ("hardtack.toml",):
            (account.project / name).unlink(missing_ok=True)
        no_canary(account, built, data, locked, judged)

    def test_by_flags(self, account: Account, index: LoopbackIndex, proxy: LoopbackProxy, authority: Authority) -> None:
        arguments, _ = _netrc(account, index)
        ran = account.run(
            "build",
            "app",
            "-t",
            LINUX,
            *arguments,
            "--proxy",
            proxy.with_login(PROXY_USER, PROXY_CANARY),
            "--cert",
            authority.ca_file,
            "-v",
        ).checked(0)
        assert "--proxy" in ran.err and "--cert" in ran.err
        no_canary(account, ran)

    def test_unknown_authority(self, account: Account, index: LoopbackIndex, proxy: LoopbackProxy) -> None:
        arguments, env = _netrc(account, index)
        env |= {"HTTPS_PROXY": proxy.with_login(PROXY_USER, PROXY_CANARY), "HARDTACK_RETRIES": "0"}
        ran = account.run("build", "app", "-t", LINUX, *arguments, env=env).checked(1)
        assert NETWORKED in ran.err and "certificate" in ran.err.lower() and "help:" in ran.err
        no_canary(account, ran)

    @pytest.mark.parametrize("who", ["nobody", "someone else"])
    def test_proxy_that_refuses(self, account: Account, index: LoopbackIndex, proxy: LoopbackProxy, authority: Authority, who: str) -> None:
        arguments, env = _netrc(account, index)
        wrong = proxy.url if who == "nobody" else proxy.with_login(PROXY_USER, "wr0ngCanary")
        env |= {"HTTPS_PROXY": wrong, "SSL_CERT_FILE": str(authority.ca_file), "HARDTACK_RETRIES": "0"}
        ran = account.run("build", "app", "-t", LINUX, *arguments, env=env).checked(1)
        assert f"127.0.0.1:{proxy.port}" in ran.err and "HTTPS_PROXY" in ran.err and "407" in ran.err, ran.err
        assert "wr0ngCanary" not in ran.err
        no_canary(account, ran)

    def test_no_proxy(self, account: Account, proxy: LoopbackProxy) -> None:
        with LoopbackIndex() as plain:
            add_app(plain)
            proxy.requests.clear()
            env = {"HTTP_PROXY": proxy.url, "NO_PROXY": "127.0.0.1"}
            account.run("build", "app", "-t", LINUX, "-i", plain.url, env=env).checked(0)
            assert proxy.requests == []


class TestLogins:
    """Refused logins name the index, where its address came from and where the login came from; never the login."""

    @pytest.mark.parametrize("status", [401, 403])
    def test_refused(self, account: Account, status: int) -> None:
        with LoopbackIndex() as index:
            add_app(index)
            index.fault("pages", status=status)
            account.write("requirements.txt", f"--index-url {index.with_login(USER, CANARY)}\napp\n")
            ran = account.run("build", "-r", "requirements.txt", "-t", LINUX, "-v")
            ran.checked(1)
            assert str(status) in ran.err and f"127.0.0.1:{index.port}" in ran.err and "requirements.txt:1" in ran.err
            data = account.run("build", "-r", "requirements.txt", "-t", LINUX, "--json").checked(1)
            assert data.json()["error"]["slug"] == "index-denied"
            (account.project / "requirements.txt").unlink()
            no_canary(account, ran, data)

    def test_none_given(self, account: Account) -> None:
        with LoopbackIndex(credentials=(USER, CANARY)) as index:
            add_app(index)
            ran = account.run("build", "app", "-t", LINUX, "-i", index.url).checked(1)
            assert "401" in ran.err and "--index-url" in ran.err and "help:" in ran.err

    def test_one_of_two_indexes_refuses(self, account: Account) -> None:
        """Refused is not "not there": the package of the same name on the next index is not taken in its place."""
        with LoopbackIndex() as first, LoopbackIndex() as second:
            first.fault("pages", status=403)
            second.add(*make_wheel("app"))
            ran = account.run("build", "app", "-t", LINUX, "--extra-index-url", first.url, "-i", second.url).checked(1)
            assert f"127.0.0.1:{first.port}" in ran.err and "403" in ran.err
            assert not (account.project / "wheelhouse").exists()

    @pytest.mark.parametrize("status", [500, 503])
    def test_one_of_two_indexes_is_ill(self, account: Account, status: int) -> None:
        with LoopbackIndex() as first, LoopbackIndex() as second:
            first.fault("pages", status=status)
            second.add(*make_wheel("app"))
            env = {"HARDTACK_RETRIES": "0"}
            ran = account.run("build", "app", "-t", LINUX, "--extra-index-url", first.url, "-i", second.url, env=env).checked(1)
            assert f"127.0.0.1:{first.port}" in ran.err and str(status) in ran.err

    def test_file_host_that_refuses(self, account: Account) -> None:
        with LoopbackIndex() as index:
            add_app(index)
            index.fault("app-1.0-py3-none-any.whl", status=403)
            ran = account.run("build", "app", "-t", LINUX, "-i", index.url).checked(1)
            assert "app-1.0-py3-none-any.whl" in ran.err and "403" in ran.err

    @pytest.mark.parametrize("what", ["pages", "files"])
    def test_redirects_carry_no_login_away(self, account: Account, what: str) -> None:
        """Another port is another origin: what the first was given is not the second's."""
        with LoopbackIndex() as other, LoopbackIndex(credentials=(USER, CANARY)) as index:
            add_app(index)
            add_app(other)
            index.fault(what, redirect=f"{other.base}{{path}}")
            ran = account.run("build", "app", "-t", LINUX, "-i", index.with_login(USER, CANARY), "-v")
            ran.checked(ran.code)
            assert other.requests, "it was never redirected"
            assert not [request for request in other.requests if "authorization" in request.headers]
            no_canary(account, ran)

    def test_files_elsewhere_get_no_login(self, account: Account) -> None:
        with LoopbackIndex() as files, LoopbackIndex(credentials=(USER, CANARY)) as index:
            add_app(index)
            add_app(files)
            index.file_base = files.files_url
            ran = account.run("build", "app", "-t", LINUX, "-i", index.with_login(USER, CANARY)).checked(0)
            assert files.asked("/files/")
            assert not [request for request in files.requests if "authorization" in request.headers]
            no_canary(account, ran)

    def test_login_that_is_only_in_a_requirements_file(self, account: Account) -> None:
        with LoopbackIndex(credentials=(USER, CANARY)) as index:
            add_app(index)
            account.write("requirements.txt", "--index-url ${SECRET_INDEX}\napp\n")
            env = {"SECRET_INDEX": index.with_login(USER, CANARY)}
            ran = account.run("build", "-r", "requirements.txt", "-t", LINUX, "-v", env=env).checked(0)
            assert "app-1.0-py3-none-any.whl" in contents(account.project / "wheelhouse")
            no_canary(account, ran)


class TestStraySettings:
    """What a shell has lying about for pip, uv and Python changes nothing."""

    def test_nothing_comes_through(self, account: Account, tmp_path: Path) -> None:
        with LoopbackIndex() as index:
            add_app(index)
            add_source(index)
            plain = account.run("build", "app", "fromsource", "-t", LINUX, "-i", index.url).checked(0)
            other = Account.make(tmp_path / "other")
            (other.home / ".config" / "uv").mkdir(parents=True)
            (other.home / ".config" / "uv" / "uv.toml").write_text('resolution = "lowest"\nprerelease = "allow"\nno-binary = true\n')
            trap = tmp_path / "trap"
            trap.mkdir()
            (trap / "sitecustomize.py").write_text("raise SystemExit('the trap was sprung')\n")
            env = {
                "UV_RESOLUTION": "lowest", "UV_NO_BINARY": "1", "UV_PYTHON": "3.8", "UV_OFFLINE": "1", "UV_FROZEN": "1",
                "UV_PROJECT_ENVIRONMENT": str(trap), "UV_CONSTRAINT": str(trap / "none"), "UV_EXCLUDE_NEWER": "2001-01-01",
                "PIP_NO_BINARY": ":all:", "PIP_REQUIRE_VIRTUALENV": "1", "PIP_TARGET": str(trap), "PIP_CONSTRAINT": str(trap / "none"),
                "VIRTUAL_ENV": str(trap), "CONDA_PREFIX": str(trap), "PIP_ONLY_BINARY": ":all:",
            }  # fmt: skip
            ran = other.run("build", "app", "fromsource", "-t", LINUX, "-i", index.url, env=env).checked(0)
            assert "Proven" in plain.out and "Proven" in ran.out
            assert contents(other.project / "wheelhouse") == contents(account.project / "wheelhouse")
            assert list(trap.iterdir()) == [trap / "sitecustomize.py"]

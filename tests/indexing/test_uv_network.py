"""What uv is given is what uv understands: proven by running it."""

from __future__ import annotations

from pathlib import Path

import pytest
import tomli_w

from hardtack.indexing.credentials import Credentials
from hardtack.indexing.settings import IndexFlags, IndexSettings
from hardtack.indexing.uv_network import for_uv
from hardtack.system.environ import variables
from hardtack.system.process import Completed
from hardtack.system.uv import find_uv
from tests.indexing.arranging import settled
from tests.support.archives import make_wheel
from tests.support.certificates import Authority
from tests.support.loopback import LoopbackIndex, LoopbackProxy


def compile_with(settings: IndexSettings, credentials: Credentials, requirement: str, folder: Path) -> Completed:
    """``uv pip compile`` of one requirement, under exactly these settings."""
    network = for_uv(settings, credentials)
    (folder / "uv.toml").write_text(tomli_w.dumps(dict(network.config)))
    (folder / "requirements.in").write_text(requirement)
    uv = find_uv(folder / "cache", {**variables(), "HOME": str(folder / "home")}, network=network.environment)
    arguments = ["pip", "compile", "requirements.in", "--python-version", "3.12", "--universal", "--emit-index-annotation", "-q"]
    return uv.run(arguments, cwd=folder, config_file=folder / "uv.toml", timeout=60)


@pytest.mark.parametrize("login", ["netrc", "url", "environment"])
def test_uv_goes_through_the_proxy_with_our_login_authority_and_certificate(authority: Authority, tmp_path: Path, login: str) -> None:
    home = tmp_path / "netrc-home"
    home.mkdir()
    with LoopbackIndex(
        tls=authority.leaf("index.example"), client_ca=str(authority.ca_file), host="index.example", credentials=("me", "p@s:s/")
    ) as index:
        index.add(*make_wheel("foo", requires=["bar"]))
        index.add(*make_wheel("bar", "2.0"))
        with LoopbackProxy(credentials=("px", "s3:cret"), routes={"index.example": ("127.0.0.1", index.port)}) as proxy:
            environment = {"HTTPS_PROXY": proxy.with_login("px", "s3:cret"), "HOME": str(home)}
            url = index.url
            if login == "netrc":
                (home / ".netrc").write_text('machine index.example login me password "p@s:s/"\n')
            elif login == "url":
                url = index.with_login("me", "p@s:s/")
            else:
                environment |= {"UV_INDEX_CORP_USERNAME": "me", "UV_INDEX_CORP_PASSWORD": "p@s:s/"}
            settings, credentials = settled(
                IndexFlags(cert=authority.ca_file, client_cert=authority.client().combined),
                tables=[{"name": "corp", "url": url, "default": True}],
                environment=environment,
            )
            network = for_uv(settings, credentials)
            assert "p@s" not in str(network.config) and "p@s" not in repr(network) and "p%40s" not in str(network.config)
            done = compile_with(settings, credentials, "foo", tmp_path)
            assert done.code == 0, done.stderr
            assert "bar==2.0" in done.stdout and "p%40s" not in done.stdout
            assert set(proxy.asked()) == {f"index.example:{index.port}"}


def test_uv_takes_the_first_index_and_our_flat_places(tmp_path: Path) -> None:
    flat = tmp_path / "flat"
    flat.mkdir()
    name, data = make_wheel("local", "3.0")
    (flat / name).write_bytes(data)
    with LoopbackIndex() as private, LoopbackIndex() as public:
        private.add(*make_wheel("foo", "1.0", requires=["bar", "local"]))
        public.add(*make_wheel("foo", "9.9"))
        public.add(*make_wheel("bar", "1.0"))
        flags = IndexFlags(index_url=public.url, extra_index_urls=("file:///no/such/index", private.url), find_links=(str(flat),))
        done = compile_with(*settled(flags), "foo", tmp_path)
        assert done.code == 0, done.stderr
        assert [line for line in done.stdout.splitlines() if "==" in line] == ["bar==1.0", "foo==1.0", "local==3.0"]


def test_without_an_index_uv_asks_none(tmp_path: Path) -> None:
    name, data = make_wheel("local", "3.0")
    (tmp_path / name).write_bytes(data)
    with LoopbackProxy() as proxy:
        settings, credentials = settled(IndexFlags(no_index=True, find_links=(str(tmp_path),), proxy=proxy.url))
        done = compile_with(settings, credentials, "local", tmp_path)
        assert done.code == 0, done.stderr
        assert compile_with(settings, credentials, "absent", tmp_path).code != 0
        assert proxy.requests == []


def test_an_untrusted_certificate_stops_uv_as_it_stops_us_and_a_trusted_host_does_not(authority: Authority, tmp_path: Path) -> None:
    with LoopbackIndex(tls=authority.leaf()) as index:
        index.add(*make_wheel("foo"))
        assert compile_with(*settled(IndexFlags(index_url=index.url, retries=0)), "foo", tmp_path).code != 0
        done = compile_with(*settled(IndexFlags(index_url=index.url, trusted_hosts=("127.0.0.1",))), "foo", tmp_path)
        assert done.code == 0, done.stderr

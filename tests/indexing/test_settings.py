"""Who wins, who is shown, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from hardtack.errors import UsageError
from hardtack.indexing.layers import ConfigurationFiles
from hardtack.indexing.settings import PYPI, IndexFlags
from hardtack.model.requirements import IndexOptions
from tests.indexing.arranging import settled, urls

DEFAULTS = ["flag", "options", "hardtack", "uv-variable", "pip-variable", "table", "uv-file", "pip-file"]


def every_layer(folder: Path, names: list[str]) -> dict[str, object]:
    """Arguments in which each of the named layers names a default index of its own."""
    (folder / "uv.toml").write_text('index-url = "https://uv-file.example/simple"\n' if "uv-file" in names else "")
    (folder / "pip.conf").write_text("[global]\nindex-url = https://pip-file.example/simple\n" if "pip-file" in names else "")
    variables = {"hardtack": "HARDTACK_INDEX_URL", "uv-variable": "UV_DEFAULT_INDEX", "pip-variable": "PIP_INDEX_URL"}
    return {
        "flags": IndexFlags(index_url="https://flag.example/simple" if "flag" in names else None),
        "options": IndexOptions(index_url="https://options.example/simple" if "options" in names else None),
        "environment": {variable: f"https://{name}.example/simple" for name, variable in variables.items() if name in names},
        "tables": [{"name": "mine", "url": "https://table.example/simple", "default": True}] if "table" in names else [],
        "uv": [folder / "uv.toml"],
        "pip": [folder / "pip.conf"],
    }


@pytest.mark.parametrize("first", range(len(DEFAULTS)))
def test_the_documented_order_decides_who_names_the_default_index(tmp_path: Path, first: int) -> None:
    settings, _ = settled(**every_layer(tmp_path, DEFAULTS[first:]))  # type: ignore[arg-type]
    assert urls(settings) == [f"https://{DEFAULTS[first]}.example/simple"]
    shown = [line for line in settings.explain() if not line.used]
    assert len(shown) == len(DEFAULTS) - first - 1


def test_without_a_word_it_is_pypi() -> None:
    settings, _ = settled()
    assert urls(settings) == [PYPI]
    assert settings.indexes[0].name == "pypi"


def test_extra_indexes_come_before_the_default_one() -> None:
    flags = IndexFlags(index_url="https://main.example/simple", extra_index_urls=("https://a.example/simple", "https://b.example/simple"))
    settings, _ = settled(flags, options=IndexOptions(extra_index_urls=("https://c.example/simple",)))
    assert urls(settings) == [f"https://{host}.example/simple" for host in ("a", "b", "c", "main")]


def test_declared_indexes_stay_beside_flags_and_ambient_extras_do_not(tmp_path: Path) -> None:
    pip = tmp_path / "pip.conf"
    pip.write_text("[global]\nextra-index-url =\n    https://ambient.example/simple\n    https://second.example/simple\n")
    tables = [{"name": "cuda", "url": "https://cuda.example/whl", "explicit": True, "packages": ["Torch_Vision"]}]
    settings, _ = settled(tables=tables, pip=[pip])
    assert urls(settings) == ["https://cuda.example/whl", "https://ambient.example/simple", "https://second.example/simple", PYPI]
    assert settings.pinned("torch-vision") == ("cuda",)
    settings, _ = settled(IndexFlags(extra_index_urls=("https://mine.example/simple",)), tables=tables, pip=[pip])
    assert urls(settings) == ["https://mine.example/simple", "https://cuda.example/whl", PYPI]
    assert {line.value for line in settings.explain() if not line.used} == {
        "https://ambient.example/simple",
        "https://second.example/simple",
    }


def test_files_that_pip_and_uv_would_add_from_this_machine_are_shown_and_not_taken(tmp_path: Path) -> None:
    """PEERS.md, E12."""
    pip, uv = tmp_path / "pip.conf", tmp_path / "uv.toml"
    pip.write_text("[install]\nfind-links = /wheels/of/pip\n[global]\nextra-index-url = file:///no/such/simple\n")
    uv.write_text('find-links = ["/wheels/of/uv"]\n')
    environment = {"PIP_FIND_LINKS": "/wheels/of/variable", "UV_FIND_LINKS": "/wheels/of/uv-variable"}
    settings, _ = settled(environment=environment, pip=[pip], uv=[uv])
    assert urls(settings) == [PYPI]
    left = {line.value.split(" ")[0]: line for line in settings.explain() if not line.used}
    links = {"/wheels/of/pip", "/wheels/of/uv", "/wheels/of/variable", "/wheels/of/uv-variable"}
    assert set(left) == links | {"file:///no/such/simple"}
    assert all("--find-links" in left[link].value for link in links)
    assert left["/wheels/of/pip"].source == str(pip)


def test_files_that_this_run_or_this_project_names_are_taken(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "uv.toml").write_text('find-links = ["wheels"]\n')
    files = ConfigurationFiles.found({"HOME": str(tmp_path)}, project)
    settings, _ = settled(
        IndexFlags(find_links=(str(tmp_path / "flag"),)),
        options=IndexOptions(find_links=("https://page.example/links.html",)),
        environment={"HARDTACK_FIND_LINKS": str(tmp_path / "variable")},
        project_dir=project,
        uv=[path for path in files.uv if path.is_relative_to(tmp_path)],
    )
    flat = [index.url for index in settings.indexes if index.kind == "flat"]
    places = [tmp_path / "flag", None, tmp_path / "variable", project / "wheels"]
    assert flat == [place.as_uri() if place else "https://page.example/links.html" for place in places]


@pytest.mark.parametrize("where", ["flag", "options", "PIP_NO_INDEX", "HARDTACK_NO_INDEX"])
def test_no_index_leaves_only_flat_places(where: str, tmp_path: Path) -> None:
    settings, _ = settled(
        IndexFlags(no_index=where == "flag", find_links=(str(tmp_path),)),
        options=IndexOptions(no_index=where == "options"),
        environment={where: "1"} if where.isupper() else {},
        tables=[{"name": "mine", "url": "https://table.example/simple"}],
        pins=[("torch", "mine")],
    )
    assert [index.kind for index in settings.indexes] == ["flat"]


def test_pips_no_index_does_not_undo_an_index_named_in_this_run() -> None:
    settings, _ = settled(IndexFlags(index_url="https://flag.example/simple"), environment={"PIP_NO_INDEX": "1"})
    assert urls(settings) == ["https://flag.example/simple"]


def test_uvs_named_indexes_and_source_pins_are_read(tmp_path: Path) -> None:
    pyproject = tmp_path / "pyproject.toml"
    pyproject.write_text("""
[[tool.uv.index]]
name = "pytorch"
url = "https://download.pytorch.org/whl/cpu"
explicit = true
[[tool.uv.index]]
name = "corp"
url = "https://corp.example/simple"
default = true
[tool.uv.sources]
torch = { index = "pytorch" }
Torch_Vision = [{ index = "pytorch", marker = "sys_platform == 'linux'" }, { git = "https://git.example/x" }]
""")
    files = ConfigurationFiles.found({"HOME": str(tmp_path)}, tmp_path)
    assert pyproject in files.uv
    settings, _ = settled(project_dir=tmp_path, uv=[pyproject], project=pyproject)
    assert urls(settings) == ["https://download.pytorch.org/whl/cpu", "https://corp.example/simple"]
    assert settings.pinned("torch") == ("pytorch",)
    assert settings.pinned("torch-vision") == ("pytorch", ""), "elsewhere than on linux, it is free"


def test_configuration_files_are_found_where_pip_and_uv_look(tmp_path: Path) -> None:
    home, project = tmp_path / "home", tmp_path / "top" / "inner"
    for path in ("config/pip/pip.conf", "config/uv/uv.toml", ".pip/pip.conf"):
        (home / path).parent.mkdir(parents=True, exist_ok=True)
        (home / path).write_text("")
    project.mkdir(parents=True)
    (tmp_path / "top" / "uv.toml").write_text("")
    (tmp_path / "stated.conf").write_text("")
    environment = {"HOME": str(home), "XDG_CONFIG_HOME": str(home / "config"), "PIP_CONFIG_FILE": str(tmp_path / "stated.conf")}
    files = ConfigurationFiles.found(environment, project)
    ours = [path for path in files.pip if path.is_relative_to(tmp_path)]
    assert ours == [tmp_path / "stated.conf", home / "config/pip/pip.conf", home / ".pip/pip.conf"]
    assert [path for path in files.uv if path.is_relative_to(tmp_path)] == [tmp_path / "top" / "uv.toml", home / "config/uv/uv.toml"]
    none = ConfigurationFiles.found({**environment, "PIP_CONFIG_FILE": "/dev/null", "UV_NO_CONFIG": "1"}, project)
    assert none.uv == () and none.pip == ()


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"name": "x"}, "url is missing"),
        ({"name": "x y", "url": "https://x.example"}, "not a name"),
        ({"name": "x", "url": "https://x.example", "typo": 1}, "unknown key 'typo'"),
        ({"name": "x", "url": "https://x.example", "format": "round"}, "format must be"),
        ({"url": "https://x.example", "packages": ["a"]}, "needs a name"),
        ({"name": "x", "url": "ftp://x.example"}, "not by ftp"),
        ({"name": "x", "url": "https://x.example:port/"}, "not a URL"),
    ],
)
def test_a_table_that_is_not_understood_is_named(table: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words) as raised:
        settled(tables=[table])
    assert raised.value.where is None or "index" in raised.value.where


def test_a_pin_to_an_index_that_nobody_defines_is_refused() -> None:
    with pytest.raises(UsageError, match="torch is pinned to the index 'cuda'"):
        settled(pins=[("torch", "cuda")])


def test_two_indexes_do_not_share_a_name_or_a_login_variable() -> None:
    with pytest.raises(UsageError, match="is taken"):
        settled(tables=[{"name": "a-b", "url": "https://a.example/"}, {"name": "a.b", "url": "https://b.example/"}])
    settings, _ = settled(IndexFlags(extra_index_urls=("https://h.example/a", "https://h.example/b")))
    assert [index.name for index in settings.indexes] == ["h-example", "h-example-2", "pypi"]


def test_authorities_in_their_order(tmp_path: Path) -> None:
    for name in ("flag", "variable", "pip-variable", "requests", "pip-file"):
        (tmp_path / name).write_text("")
    pip = tmp_path / "pip.conf"
    pip.write_text(f"[global]\ncert = {tmp_path / 'pip-file'}\n")
    environment = {
        "SSL_CERT_FILE": str(tmp_path / "variable"),
        "PIP_CERT": str(tmp_path / "pip-variable"),
        "REQUESTS_CA_BUNDLE": str(tmp_path / "requests"),
    }
    assert settled(IndexFlags(cert=tmp_path / "flag"), environment=environment, pip=[pip])[0].ca_file == tmp_path / "flag"
    for variable in list(environment):
        settings, _ = settled(environment=environment, pip=[pip])
        assert settings.ca_file == Path(environment.pop(variable))
        assert variable in settings.ca_source
    assert settled(pip=[pip])[0].ca_file == tmp_path / "pip-file"
    assert settled()[0].ca_source == "the system's store"


def test_a_missing_authority_is_an_error_where_it_was_stated_and_passed_over_where_it_was_ambient(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file of certificate authorities") as raised:
        settled(IndexFlags(cert=tmp_path / "absent"))
    assert raised.value.where == "--cert"
    settings, _ = settled(environment={"SSL_CERT_FILE": str(tmp_path / "absent")})
    assert settings.ca_file is None
    assert any("no such file" in line.value for line in settings.explain())


def test_proxies_by_scheme_with_logins_kept_apart() -> None:
    environment = {
        "https_proxy": "http://me:s3cret@proxy.example:3128",
        "HTTP_PROXY": "plain.example:80",
        "no_proxy": "a.example, .b.example",
    }
    settings, credentials = settled(environment=environment)
    assert dict(settings.proxies) == {"http": "http://plain.example:80", "https": "http://proxy.example:3128"}
    assert settings.no_proxy == ("a.example", ".b.example")
    login = credentials.proxy("http://proxy.example:3128")
    assert login is not None and login.password == "s3cret" and login.source == "https_proxy"
    stated, _ = settled(IndexFlags(proxy="http://flag.example:1"), environment=environment)
    assert stated.proxies == (("all", "http://flag.example:1"),)


def test_no_secret_is_ever_shown(tmp_path: Path) -> None:
    pip = tmp_path / "pip.conf"
    pip.write_text("[global]\nextra-index-url = https://u:CANARY@d.example/simple\n")
    settings, credentials = settled(
        IndexFlags(
            index_url="https://u:CANARY@a.example/simple",
            extra_index_urls=("https://CANARY@b.example/s",),
            proxy="http://u:CANARY@p.example:1",
        ),
        environment={"UV_INDEX": "x=https://u:CANARY@c.example/simple", "HARDTACK_INDEX_B_EXAMPLE_PASSWORD": "CANARY"},
        pip=[pip],
    )
    assert "CANARY" not in repr(settings) + repr(credentials) + str(settings.explain())
    assert "CANARY" not in repr(credentials.find("https://a.example/simple/x/"))
    assert any("with a login" in line.value for line in settings.explain())
    with pytest.raises(UsageError) as raised:
        settled(IndexFlags(index_url="https://u:CANARY@a.example:port/simple"))
    assert "CANARY" not in str(raised.value)


@pytest.mark.parametrize(("name", "value"), [("HARDTACK_TIMEOUT", "soon"), ("PIP_RETRIES", "-1"), ("HARDTACK_KEYRING", "maybe")])
def test_a_setting_with_a_wrong_value_names_who_said_it(name: str, value: str) -> None:
    with pytest.raises(UsageError) as raised:
        settled(environment={name: value})
    assert raised.value.where == name

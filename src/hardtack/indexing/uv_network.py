"""The same indexes, certificates, proxies and logins for uv, in uv's own words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit
from urllib.request import url2pathname

from hardtack.indexing.credentials import Credentials
from hardtack.indexing.settings import IndexSettings, variable_name
from hardtack.model.index import Index


@dataclass(frozen=True, slots=True, kw_only=True)
class UvNetwork:
    """``config`` goes into a uv.toml and holds no secret; ``environment`` holds the logins and is for uv's process alone."""

    config: Mapping[str, Any] = field(hash=False)
    environment: Mapping[str, str] = field(repr=False, hash=False)


def for_uv(settings: IndexSettings, credentials: Credentials) -> UvNetwork:
    """What uv needs to reach what we reach. Local indexes that are not there are left out: uv would stop at them."""
    indexes = [index for index in settings.indexes if index.kind == "simple" and _there(index)]
    rows = [_row(index) for index in indexes]
    config: dict[str, Any] = {}
    if rows:
        # The last one that is not explicit takes the place of PyPI, which uv would otherwise add.
        last = next((position for position in reversed(range(len(rows))) if not indexes[position].explicit), None)
        if last is not None:
            rows[last]["default"] = True
        config["index"] = rows
    if not any(not index.explicit for index in indexes):
        config["no-index"] = True
    links = [_location(index) for index in settings.indexes if index.kind == "flat" and not index.explicit]
    if links:
        config["find-links"] = links
    # By name, for what is pinned to them; as explicit ones, they do not come before the others.
    named = {name for _, name in settings.pins}
    flat = [index for index in settings.indexes if index.kind == "flat" and (index.explicit or index.name in named)]
    config.setdefault("index", []).extend({**_row(index), "explicit": True, "format": "flat"} for index in flat)
    if not config["index"]:
        del config["index"]
    if settings.trusted_hosts:
        config["allow-insecure-host"] = list(settings.trusted_hosts)
    return UvNetwork(config=config, environment=_environment(settings, credentials, indexes))


def _row(index: Index) -> dict[str, Any]:
    row: dict[str, Any] = {"name": index.name, "url": index.url}
    if index.explicit:
        row["explicit"] = True
    if index.absent_status:
        row["ignore-error-codes"] = list(index.absent_status)
    return row


def _environment(settings: IndexSettings, credentials: Credentials, indexes: list[Index]) -> dict[str, str]:
    environment: dict[str, str] = {
        "UV_KEYRING_PROVIDER": "disabled",
        "UV_HTTP_TIMEOUT": str(max(1, round(settings.timeout))),
        "UV_HTTP_RETRIES": str(settings.retries),
    }
    for index in indexes:
        # pypi.org needs no login: no keyring is troubled for it.
        login = credentials.find(index.url, ask=not settings.offline and urlsplit(index.url).hostname != "pypi.org")
        if login is not None:
            environment[f"UV_INDEX_{variable_name(index.name)}_USERNAME"] = login.username
            environment[f"UV_INDEX_{variable_name(index.name)}_PASSWORD"] = login.password
    if credentials.netrc is not None:
        # For hosts that only the pages name: their files may lie elsewhere.
        environment["NETRC"] = str(credentials.netrc)
    for scheme, proxy in settings.proxies:
        login = credentials.proxy(proxy)
        if login is not None:
            head, _, rest = proxy.partition("://")
            proxy = f"{head}://{quote(login.username, safe='')}:{quote(login.password, safe='')}@{rest}"
        environment[f"{scheme.upper()}_PROXY"] = proxy
    if settings.no_proxy and settings.proxies:
        environment["NO_PROXY"] = ",".join(settings.no_proxy)
    if settings.ca_file is not None:
        environment["SSL_CERT_FILE"] = str(settings.ca_file)
    elif settings.ca_dir is not None:
        environment["SSL_CERT_DIR"] = str(settings.ca_dir)
    else:
        environment["UV_SYSTEM_CERTS"] = "1"
    if settings.client_cert is not None:
        environment["SSL_CLIENT_CERT"] = str(settings.client_cert)
    return environment


def _there(index: Index) -> bool:
    parts = urlsplit(index.url)
    return parts.scheme != "file" or Path(url2pathname(parts.path)).is_dir()


def _location(index: Index) -> str:
    parts = urlsplit(index.url)
    return url2pathname(parts.path) if parts.scheme == "file" else index.url

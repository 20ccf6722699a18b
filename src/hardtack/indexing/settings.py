"""How this run reaches its indexes: one answer from flags, environment and configuration, each part with the place that said it.

The order (docs/indexes.md): flags, requirement files, HARDTACK_*, UV_*, PIP_*, [[tool.hardtack.index]], uv's configuration, pip's.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from packaging.utils import canonicalize_name

from hardtack.errors import UsageError
from hardtack.indexing import layers
from hardtack.indexing.address import origin, shown, take_apart
from hardtack.indexing.credentials import Credentials, KeyringMode
from hardtack.indexing.layers import ConfigurationFiles, Declared, Layer
from hardtack.model.index import Index
from hardtack.model.requirements import IndexOptions

PYPI = "https://pypi.org/simple"
_NOWHERE = "the default"


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexFlags:
    """The index flags of the command line; None or empty where one was not given. ``timeout`` in seconds without progress."""

    index_url: str | None = None
    extra_index_urls: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    no_index: bool = False
    trusted_hosts: tuple[str, ...] = ()
    keyring: KeyringMode | None = None
    proxy: str | None = None
    cert: Path | None = None
    client_cert: Path | None = None
    timeout: float | None = None
    retries: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingSource:
    """One line of ``-v``: a setting, its value as it may be shown, and who said so. ``used`` is False for what was seen and not taken."""

    name: str
    value: str
    source: str
    used: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexSettings:
    """Everything but the logins. ``indexes`` in the order of their priority; ``pins`` are (package, index name), the
    name "" where a package may come from elsewhere too.

    ``proxies``: (scheme or "all", URL without login). ``ca_file`` and ``ca_dir`` both None: the system's store. ``timeout`` in seconds.
    """

    indexes: tuple[Index, ...]
    pins: tuple[tuple[str, str], ...] = ()
    proxies: tuple[tuple[str, str], ...] = ()
    no_proxy: tuple[str, ...] = ()
    ca_file: Path | None = None
    ca_dir: Path | None = None
    client_cert: Path | None = None
    trusted_hosts: tuple[str, ...] = ()
    keyring: KeyringMode = "auto"
    timeout: float = 60.0
    retries: int = 5
    offline: bool = False
    no_index: bool = False
    explained: tuple[SettingSource, ...] = ()

    def explain(self) -> tuple[SettingSource, ...]:
        """Every setting with the place that said it, and what was seen but not taken."""
        return self.explained

    def index(self, name: str) -> Index | None:
        """The index of that name."""
        return next((index for index in self.indexes if index.name == name), None)

    def pinned(self, package: str) -> tuple[str, ...]:
        """The names of the indexes that a package (normalised) must come from; none: it is free."""
        return tuple(name for pinned, name in self.pins if pinned == package)

    def index_of(self, url: str) -> Index | None:
        """The index whose URL begins as this one, else the first on its origin."""
        same = [index for index in self.indexes if "://" in index.url and origin(index.url) == origin(url)]
        return next((index for index in same if url.startswith(index.url.rstrip("/") + "/")), same[0] if same else None)

    def place(self, url: str) -> str:
        """The index that a URL belongs to, in words, with who named it."""
        index = self.index_of(url)
        return f"index {index.name!r} ({shown(index.url)}, from {index.origin})" if index else shown(url)

    def source(self, name: str) -> str:
        """Who said a setting."""
        return next((line.source for line in self.explained if line.name == name and line.used), _NOWHERE)

    @property
    def ca_source(self) -> str:
        """Where the certificate authorities come from, in words."""
        if self.ca_file is None and self.ca_dir is None:
            return "the system's store"
        return f"{self.ca_file or self.ca_dir} ({self.source('cert')})"

    def trusts(self, host: str, port: int) -> bool:
        """True if the host's certificate is not to be checked."""
        return any(
            entry in (host, f"{host}:{port}") or (entry.startswith("[") and entry.strip("[]") == host) for entry in self.trusted_hosts
        )


def read_settings(
    flags: IndexFlags,
    *,
    environment: Mapping[str, str],
    options: IndexOptions | None = None,
    tables: Sequence[Mapping[str, Any]] = (),
    pins: Iterable[tuple[str, str]] = (),
    project_dir: Path | None = None,
    offline: bool = False,
    files: ConfigurationFiles | None = None,
) -> tuple[IndexSettings, Credentials]:
    """Read every place once. Raises UsageError, with its place, for what is not understood.

    ``tables`` are those of ``[[tool.hardtack.index]]``; ``pins`` (package, index name) come before those that files state.
    """
    files = files if files is not None else ConfigurationFiles.found(environment, project_dir)
    stack = _stack(flags, environment, options or IndexOptions(), tables, project_dir, files)
    reader = _Reader(stack)
    keyring = reader.choice("keyring", ("auto", "disabled", "subprocess"), default="auto")
    credentials = Credentials(environment=environment, keyring=keyring)  # type: ignore[arg-type]
    no_index = reader.no_index()
    indexes, stated_pins = reader.indexes(credentials, no_index=no_index)
    known = {index.name for index in indexes}
    all_pins = tuple(dict.fromkeys((canonicalize_name(package), name) for package, name in (*pins, *stated_pins)))
    for package, name in all_pins:
        if name and name not in known and not no_index:
            raise UsageError(
                f"{package} is pinned to the index {name!r}, which is not defined",
                hint=f"indexes here: {', '.join(sorted(known)) or 'none'}; define it in [[tool.hardtack.index]]",
            )
    _environment_logins(credentials, indexes, environment)
    ca_file, ca_dir = reader.authorities(environment)
    client_cert = reader.value("client-cert")
    if client_cert is not None and not Path(client_cert).expanduser().is_file():
        raise UsageError(f"no such client certificate: {client_cert}", where=reader.source("client-cert"))
    proxies, no_proxy = reader.proxies(environment, credentials)
    settings = IndexSettings(
        indexes=indexes,
        pins=all_pins,
        proxies=proxies,
        no_proxy=no_proxy,
        ca_file=ca_file,
        ca_dir=ca_dir,
        client_cert=Path(client_cert).expanduser().absolute() if client_cert else None,
        trusted_hosts=reader.trusted_hosts(),
        keyring=keyring,  # type: ignore[arg-type]
        timeout=reader.number("timeout", 60.0),
        retries=int(reader.number("retries", 5, least=0)),
        offline=offline,
        no_index=no_index,
    )
    return replace(settings, explained=tuple(reader.lines)), credentials


def _stack(
    flags: IndexFlags,
    environment: Mapping[str, str],
    options: IndexOptions,
    tables: Sequence[Mapping[str, Any]],
    project_dir: Path | None,
    files: ConfigurationFiles,
) -> list[Layer]:
    top = Layer(source="the command line", no_index=flags.no_index or None, trusted_hosts=list(flags.trusted_hosts))
    if flags.index_url:
        top.default_index = Declared(url=flags.index_url, source="--index-url", default=True)
    top.extra = [Declared(url=url, source="--extra-index-url") for url in flags.extra_index_urls]
    top.find_links = list(flags.find_links)
    for name, value in (("cert", flags.cert), ("client-cert", flags.client_cert), ("proxy", flags.proxy), ("keyring", flags.keyring)):
        top.say(name, str(value) if value else None, f"--{name}")
    top.say("timeout", str(flags.timeout) if flags.timeout is not None else None, "--timeout")
    top.say("retries", str(flags.retries) if flags.retries is not None else None, "--retries")
    stack = [
        top,
        layers.from_options(options),
        layers.from_hardtack_variables(environment),
        layers.from_uv_variables(environment),
        layers.from_pip_variables(environment),
        layers.from_tables(tables, project_dir),
    ]
    for path in files.uv:
        project = project_dir is not None and project_dir.absolute().is_relative_to(path.absolute().parent)
        stack.append(layers.from_uv_file(path, project=project))
    if files.project is not None:
        stack[-1].pins += layers.uv_source_pins(files.project)
    return stack + [layers.from_pip_file(path) for path in files.pip]


class _Reader:
    """Goes down the layers, and writes down who won."""

    def __init__(self, stack: list[Layer]) -> None:
        self._stack = stack
        self.lines: list[SettingSource] = []

    def _line(self, name: str, value: str, source: str, *, used: bool = True) -> None:
        line = SettingSource(name=name, value=value, source=source, used=used)
        if line not in self.lines:
            self.lines.append(line)

    def value(self, name: str) -> str | None:
        """The first layer's word on a plain setting."""
        for layer in self._stack:
            if name in layer.values:
                value, source = layer.values[name]
                self._line(name, shown(value) if "://" in value or "@" in value else value, source)
                return value
        return None

    def source(self, name: str) -> str:
        """Who said it."""
        return next((line.source for line in self.lines if line.name == name and line.used), _NOWHERE)

    def choice(self, name: str, choices: Sequence[str], *, default: str) -> str:
        """A plain setting that is one of a few words."""
        value = self.value(name)
        if value is not None and value not in choices:
            raise UsageError(f"{name} must be one of {', '.join(choices)}, not {value!r}", where=self.source(name))
        return value or default

    def number(self, name: str, default: float, *, least: float = 0.001) -> float:
        """A plain setting that is a number."""
        value = self.value(name)
        if value is None:
            return default
        try:
            number = float(value)
        except ValueError:
            number = float("nan")
        if not least <= number < 1e6:
            raise UsageError(f"{name} must be a number, not {value!r}", where=self.source(name))
        return number

    def no_index(self) -> bool:
        """True if some layer forbids indexes and none above it names one."""
        for layer in self._stack:
            if layer.no_index is not None:
                if layer.no_index:
                    self._line("no-index", "true", layer.source)
                return layer.no_index
            if layer.default_index is not None or layer.extra:
                # Whoever names an index in this run means to use it, whatever pip.conf forbids further down.
                return False
        return False

    def indexes(self, credentials: Credentials, *, no_index: bool) -> tuple[tuple[Index, ...], list[tuple[str, str]]]:
        """Extra indexes, declared ones, the default one last (uv's priority); then the flat ones."""
        chosen: list[Declared] = []
        default: Declared | None = None
        extras_from: Layer | None = None
        names: set[str] = set()
        for layer in self._stack:
            stated = layer.default_index or next((declared for declared in layer.declared if declared.default), None)
            if stated is not None:
                if default is None:
                    default = stated
                elif stated.url != default.url:
                    self._line("index-url", shown(stated.url), stated.source, used=False)
            declared = [one for one in self._taken(layer, layer.declared) if not one.default and one.name not in names]
            extra = self._taken(layer, layer.extra)
            # Flags and requirement files both speak for this run; below them, the first that names extra indexes has named them all.
            if extra and (extras_from is None or layer is self._stack[1]):
                extras_from = extras_from or layer
                chosen += extra
            else:
                for one in extra:
                    self._line("extra-index-url", shown(one.url), one.source, used=False)
            chosen += declared
            names |= {one.name for one in declared if one.name}
            if any(not one.explicit and not one.flat for one in declared):
                extras_from = extras_from or layer
        chosen.append(default or Declared(url=PYPI, name="pypi", source=_NOWHERE, default=True))
        if no_index:
            for one in chosen:
                if not one.flat:
                    self._line("index", shown(one.url), one.source, used=False)
            chosen = [one for one in chosen if one.flat]
        made = _Naming(credentials)
        indexes = _unique([made.index(one) for one in chosen] + self._flat(made))
        for index in indexes:
            login = " (with a login)" if "://" in index.url and credentials.find(index.url) else ""
            self._line("find-links" if index.kind == "flat" else "index", f"{index.name}: {shown(index.url)}{login}", index.origin)
        pins = [pin for layer in self._stack for pin in layer.pins]
        return tuple(indexes), pins

    def _taken(self, layer: Layer, said: Sequence[Declared]) -> list[Declared]:
        """All but the local indexes that pip's or uv's ambient settings add: like their find-links, they are files of this machine only."""
        taken = []
        for one in said:
            local = "://" not in one.url or one.url.startswith("file:")
            if layer.adds_files or one.explicit or one.default or not local:
                taken.append(one)
            else:
                self._line("extra-index-url", f"{shown(one.url)} (not taken; say --extra-index-url to take it)", one.source, used=False)
        return taken

    def _flat(self, made: _Naming) -> list[Index]:
        found = []
        for layer in self._stack:
            for link in layer.find_links:
                if layer.adds_files:
                    found.append(made.index(Declared(url=link, source=layer.source, flat=True)))
                else:
                    self._line("find-links", f"{shown(link)} (not taken; say --find-links to take it)", layer.source, used=False)
        return found

    def authorities(self, environment: Mapping[str, str]) -> tuple[Path | None, Path | None]:
        """The CA file or folder. An ambient variable that names nothing is passed over, a stated file that is missing is an error."""
        ambient = [(name, environment.get(name)) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")]
        first, last = self._stack[:4], self._stack[4:]
        stated = [layer.values["cert"] for layer in first if "cert" in layer.values]
        stated += [(value, name) for name, value in ambient[:2] if value]
        stated += [layer.values["cert"] for layer in last[:1] if "cert" in layer.values]
        stated += [(value, name) for name, value in ambient[2:] if value]
        stated += [layer.values["cert"] for layer in last[1:] if "cert" in layer.values]
        for value, source in stated:
            path = Path(value).expanduser().absolute()
            if path.is_file():
                self._line("cert", str(path), source)
                return path, None
            if path.is_dir():
                self._line("cert", str(path), source)
                return None, path
            if source not in dict(ambient):
                raise UsageError(f"no such file of certificate authorities: {value}", where=source)
            self._line("cert", f"{value} (there is no such file)", source, used=False)
        return None, None

    def proxies(self, environment: Mapping[str, str], credentials: Credentials) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
        """The proxies by scheme, and the hosts that need none."""
        found: dict[str, str] = {}
        above = next((layer.values["proxy"] for layer in self._stack[:5] if "proxy" in layer.values), None)
        below = next((layer.values["proxy"] for layer in self._stack[5:] if "proxy" in layer.values), None)
        if above is not None:
            found["all"] = self._proxy(*above, credentials)
        else:
            for scheme in ("http", "https", "all"):
                for variable in (f"{scheme}_proxy", f"{scheme.upper()}_PROXY"):
                    if environment.get(variable):
                        found[scheme] = self._proxy(environment[variable], variable, credentials)
                        break
            if not found and below is not None:
                found["all"] = self._proxy(*below, credentials)
        bypass = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
        if found and bypass:
            self._line("no-proxy", bypass, "no_proxy" if environment.get("no_proxy") else "NO_PROXY")
        return tuple(found.items()), tuple(part for part in re.split(r"[,\s]+", bypass) if part)

    def _proxy(self, value: str, source: str, credentials: Credentials) -> str:
        url = credentials.state_proxy(value if "://" in value else f"http://{value}", source=source).rstrip("/")
        if not urlsplit(url).hostname:
            raise UsageError(f"not a proxy's address: {shown(url)}", where=source)
        self._line("proxy", shown(url), source)
        return url

    def trusted_hosts(self) -> tuple[str, ...]:
        """Hosts whose certificates are not checked: the first layer that names any."""
        layer = next((layer for layer in self._stack if layer.trusted_hosts), None)
        if layer is None:
            return ()
        self._line("trusted-host", " ".join(layer.trusted_hosts), layer.source)
        return tuple(layer.trusted_hosts)


def _unique(indexes: Sequence[Index]) -> list[Index]:
    """Each index once, where it was named first, though several settings name it."""
    return list({replace(index, origin=""): index for index in reversed(indexes)}.values())[::-1]


class _Naming:
    """Declared places become indexes: named, parted from their logins, paths made URLs."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self._names: dict[str, str] = {}

    def index(self, declared: Declared) -> Index:
        """The index; its login, if the URL has one, goes to the credentials."""
        location = declared.url.strip()
        url = location
        if "://" not in location and not location.startswith("file:"):
            if not declared.flat and not Path(location).expanduser().is_dir():
                raise UsageError(f"not an index's URL: {shown(location)}", where=declared.source)
            url = Path(os.path.abspath(Path(location).expanduser())).as_uri()
        url = self._credentials.state_from(url, source=f"the index's URL in {declared.source}").rstrip("/")
        scheme = urlsplit(url).scheme
        if scheme not in ("http", "https", "file"):
            raise UsageError(f"an index is reached by https, http or file, not by {scheme}", where=declared.source)
        return Index(
            name=self._name(declared, url),
            url=url,
            kind="flat" if declared.flat else "simple",
            explicit=declared.explicit,
            stands_in_for=declared.stands_in_for,
            # PyTorch's index answers 403 for what it does not have; uv knows that, too.
            absent_status=declared.absent_status or ((403,) if urlsplit(url).hostname == "download.pytorch.org" else ()),
            origin=declared.source,
        )

    def _name(self, declared: Declared, url: str) -> str:
        base = declared.name
        if base is None:
            parts = urlsplit(url)
            words = "pypi" if parts.hostname == "pypi.org" else parts.netloc if parts.netloc else Path(parts.path).name
            base = re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-") or "index"
        name, count = base, 1
        # Two names that make the same variable (UV_INDEX_<NAME>_PASSWORD) would share a login.
        while self._names.get(variable_name(name), url) != url:
            if declared.name is not None:
                raise UsageError(f"the index name {name!r} is taken by another index", where=declared.source)
            count += 1
            name = f"{base}-{count}"
        self._names[variable_name(name)] = url
        return name


def variable_name(index: str) -> str:
    """An index's name as environment variables carry it, in uv's manner."""
    return re.sub(r"[^A-Z0-9]", "_", index.upper())


def _environment_logins(credentials: Credentials, indexes: Sequence[Index], environment: Mapping[str, str]) -> None:
    """HARDTACK_INDEX_<NAME>_USERNAME and _PASSWORD, and uv's variables of the same form."""
    for index in indexes:
        for prefix in ("HARDTACK", "UV"):
            stem = f"{prefix}_INDEX_{variable_name(index.name)}"
            username, password = environment.get(f"{stem}_USERNAME"), environment.get(f"{stem}_PASSWORD")
            if username or password:
                credentials.state(take_apart(index.url).url, username or "", password or "", source=f"{stem}_USERNAME and _PASSWORD")
                break

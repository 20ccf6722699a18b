"""Where index settings are said: each place read into a layer, none of them judged yet."""

from __future__ import annotations

import configparser
import os
import re
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hardtack.errors import UsageError
from hardtack.model.requirements import IndexOptions
from hardtack.system.documents import toml_of
from hardtack.system.environ import is_macos, is_windows

_TABLE_KEYS = {"name", "url", "default", "explicit", "format", "stands-in-for", "packages", "ignore-error-codes"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """An index as one place declares it. ``url`` may hold a login: it is taken out before anything else sees it."""

    url: str = field(repr=False)
    source: str
    name: str | None = None
    explicit: bool = False
    default: bool = False
    flat: bool = False
    stands_in_for: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    absent_status: tuple[int, ...] = ()


@dataclass(slots=True, kw_only=True)
class Layer:
    """What one place says. ``adds_files``: its find-links are taken, not only shown (DESIGN.md: nothing stray changes a wheelhouse)."""

    source: str
    default_index: Declared | None = None
    extra: list[Declared] = field(default_factory=list)
    declared: list[Declared] = field(default_factory=list)
    find_links: list[str] = field(default_factory=list)
    adds_files: bool = True
    no_index: bool | None = None
    trusted_hosts: list[str] = field(default_factory=list)
    values: dict[str, tuple[str, str]] = field(default_factory=dict)
    pins: list[tuple[str, str]] = field(default_factory=list)

    def say(self, name: str, value: str | None, source: str | None = None) -> None:
        """A plain setting ("cert", "proxy", "timeout"), if it has a value."""
        if value:
            self.values.setdefault(name, (value, source or self.source))


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurationFiles:
    """The configuration files of pip and uv that apply here, the strongest first."""

    uv: tuple[Path, ...] = ()
    pip: tuple[Path, ...] = ()
    project: Path | None = None

    @classmethod
    def found(cls, environment: Mapping[str, str], project_dir: Path | None) -> ConfigurationFiles:
        """Look where pip and uv look, without running either."""
        return cls(
            uv=tuple(_uv_files(environment, project_dir)),
            pip=tuple(_pip_files(environment)),
            project=_up(project_dir, "pyproject.toml"),
        )


def from_options(options: IndexOptions) -> Layer:
    """What requirement files say."""
    source = str(options.origin) if options.origin else "a requirements file"
    layer = Layer(source=source, no_index=options.no_index or None, trusted_hosts=list(options.trusted_hosts))
    if options.index_url:
        layer.default_index = Declared(url=options.index_url, source=source, default=True)
    layer.extra = [Declared(url=url, source=source) for url in options.extra_index_urls]
    layer.find_links = list(options.find_links)
    return layer


def from_hardtack_variables(environment: Mapping[str, str]) -> Layer:
    """HARDTACK_*: the flags' names in capitals."""
    layer = Layer(source="HARDTACK_* in the environment")
    _variables(layer, environment, "HARDTACK_", index_url="INDEX_URL", extra="EXTRA_INDEX_URL")
    for name, variable in (("cert", "CERT"), ("client-cert", "CLIENT_CERT"), ("proxy", "PROXY"), ("timeout", "TIMEOUT")):
        layer.say(name, environment.get(f"HARDTACK_{variable}"), f"HARDTACK_{variable}")
    layer.say("retries", environment.get("HARDTACK_RETRIES"), "HARDTACK_RETRIES")
    layer.say("keyring", environment.get("HARDTACK_KEYRING"), "HARDTACK_KEYRING")
    return layer


def from_uv_variables(environment: Mapping[str, str]) -> Layer:
    """UV_*, and the SSL_* variables that uv and OpenSSL share."""
    layer = Layer(source="UV_* in the environment", adds_files=False)
    for variable in ("UV_DEFAULT_INDEX", "UV_INDEX_URL"):
        if environment.get(variable) and layer.default_index is None:
            name, url = _named(environment[variable])
            layer.default_index = Declared(url=url, name=name, source=variable, default=True)
    for variable in ("UV_INDEX", "UV_EXTRA_INDEX_URL"):
        for part in environment.get(variable, "").split():
            name, url = _named(part)
            layer.extra.append(Declared(url=url, name=name, source=variable))
    layer.find_links = [part for part in re.split(r"[,\s]+", environment.get("UV_FIND_LINKS", "")) if part]
    layer.no_index = _flag(environment.get("UV_NO_INDEX"))
    layer.trusted_hosts = environment.get("UV_INSECURE_HOST", "").split()
    layer.say("keyring", environment.get("UV_KEYRING_PROVIDER"), "UV_KEYRING_PROVIDER")
    layer.say("timeout", environment.get("UV_HTTP_TIMEOUT"), "UV_HTTP_TIMEOUT")
    layer.say("client-cert", environment.get("SSL_CLIENT_CERT"), "SSL_CLIENT_CERT")
    return layer


def from_pip_variables(environment: Mapping[str, str]) -> Layer:
    """PIP_*."""
    layer = Layer(source="PIP_* in the environment", adds_files=False)
    _variables(layer, environment, "PIP_", index_url="INDEX_URL", extra="EXTRA_INDEX_URL")
    for name, variable in (("cert", "CERT"), ("client-cert", "CLIENT_CERT"), ("proxy", "PROXY"), ("retries", "RETRIES")):
        layer.say(name, environment.get(f"PIP_{variable}"), f"PIP_{variable}")
    for variable in ("PIP_TIMEOUT", "PIP_DEFAULT_TIMEOUT"):
        layer.say("timeout", environment.get(variable), variable)
    layer.say("keyring", _pip_keyring(environment.get("PIP_KEYRING_PROVIDER")), "PIP_KEYRING_PROVIDER")
    return layer


def from_tables(tables: Sequence[Mapping[str, Any]], project_dir: Path | None) -> Layer:
    """``[[tool.hardtack.index]]``. Raises UsageError for what is not understood, by key."""
    layer = Layer(source="[[tool.hardtack.index]]")
    for position, table in enumerate(tables):
        where = f"tool.hardtack.index[{position}]"
        unknown = sorted(set(table) - _TABLE_KEYS)
        if unknown:
            raise UsageError(f"unknown key {unknown[0]!r}", where=where, hint=f"known: {', '.join(sorted(_TABLE_KEYS))}")
        declared = _declared(table, where=where, source=f"[[tool.hardtack.index]] {table.get('name', position)!r}", base=project_dir)
        if declared.packages and not declared.name:
            raise UsageError("an index with packages needs a name", where=where)
        if not declared.flat or declared.name:
            layer.declared.append(declared)
        else:
            layer.find_links.append(declared.url)
        layer.pins += [(package, declared.name) for package in declared.packages if declared.name]
    return layer


def from_uv_file(path: Path, *, project: bool) -> Layer:
    """A uv.toml, or a pyproject.toml's ``[tool.uv]``. ``project``: it is the project's own, so its find-links count."""
    document = read_toml(path)
    if path.name == "pyproject.toml":
        document = document.get("tool", {}).get("uv", {})
    layer = Layer(source=str(path), adds_files=project)
    for position, table in enumerate(_tables(document.get("index"))):
        layer.declared.append(_declared(table, where=f"{path}: index[{position}]", source=str(path), base=path.parent))
    if isinstance(document.get("index-url"), str):
        layer.default_index = Declared(url=document["index-url"], source=str(path), default=True)
    layer.extra = [Declared(url=url, source=str(path)) for url in _texts(document.get("extra-index-url"))]
    layer.find_links = [_local(link, path.parent) for link in _texts(document.get("find-links"))]
    layer.no_index = document["no-index"] if isinstance(document.get("no-index"), bool) else None
    layer.trusted_hosts = _texts(document.get("allow-insecure-host"))
    if isinstance(document.get("keyring-provider"), str):
        layer.say("keyring", document["keyring-provider"])
    return layer


def uv_source_pins(pyproject: Path) -> list[tuple[str, str]]:
    """``[tool.uv.sources]`` that name an index: (package, index name), and (package, "") where none of them holds everywhere."""
    sources = read_toml(pyproject).get("tool", {}).get("uv", {}).get("sources", {})
    pins: list[tuple[str, str]] = []
    for package, stated in sources.items() if isinstance(sources, dict) else ():
        named = [source for source in _tables(stated if isinstance(stated, list) else [stated]) if isinstance(source.get("index"), str)]
        pins += [(package, source["index"]) for source in named]
        if named and all(source.keys() & {"marker", "extra", "group"} for source in named):
            pins.append((package, ""))
    return pins


def from_pip_file(path: Path) -> Layer:
    """A pip.conf: its [global] section, then [install] and [download], which pip lets win for those commands."""
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(path.read_text(encoding="utf-8-sig"), source=str(path))
    except (configparser.Error, UnicodeDecodeError) as error:
        raise UsageError(f"cannot be read as pip's configuration: {str(error).splitlines()[0]}", where=str(path)) from None
    said: dict[str, str] = {}
    for section in ("global", "install", "download"):
        if parser.has_section(section):
            said.update({key.replace("_", "-").lower(): value for key, value in parser.items(section)})
    layer = Layer(source=str(path), adds_files=False)
    if said.get("index-url"):
        layer.default_index = Declared(url=said["index-url"].strip(), source=str(path), default=True)
    layer.extra = [Declared(url=url, source=str(path)) for url in said.get("extra-index-url", "").split()]
    layer.find_links = said.get("find-links", "").split()
    layer.no_index = _flag(said.get("no-index"))
    layer.trusted_hosts = said.get("trusted-host", "").split()
    for name in ("cert", "client-cert", "proxy", "timeout", "retries"):
        layer.say(name, said.get(name, "").strip() or None)
    layer.say("timeout", said.get("default-timeout"))
    layer.say("keyring", _pip_keyring(said.get("keyring-provider")))
    return layer


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file. Raises UsageError with its place."""
    try:
        return toml_of(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"not valid TOML: {error}", where=str(path)) from None
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", where=str(path)) from None


def _variables(layer: Layer, environment: Mapping[str, str], prefix: str, *, index_url: str, extra: str) -> None:
    if environment.get(prefix + index_url):
        layer.default_index = Declared(url=environment[prefix + index_url], source=prefix + index_url, default=True)
    layer.extra = [Declared(url=url, source=prefix + extra) for url in environment.get(prefix + extra, "").split()]
    layer.find_links = environment.get(f"{prefix}FIND_LINKS", "").split()
    layer.no_index = _flag(environment.get(f"{prefix}NO_INDEX"))
    layer.trusted_hosts = environment.get(f"{prefix}TRUSTED_HOST", "").split()


def _declared(table: Mapping[str, Any], *, where: str, source: str, base: Path | None) -> Declared:
    url, name = table.get("url"), table.get("name")
    if not isinstance(url, str) or not url:
        raise UsageError("url is missing, or not a text", where=where)
    if name is not None and (not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name)):
        raise UsageError(f"not a name for an index: {name!r}", where=where, hint="letters, digits, '.', '_' and '-'")
    for key in ("default", "explicit"):
        if not isinstance(table.get(key, False), bool):
            raise UsageError(f"{key} must be true or false", where=where)
    form = table.get("format", "simple")
    if form not in ("simple", "flat"):
        raise UsageError(f"format must be 'simple' or 'flat', not {form!r}", where=where)
    stands_in = table.get("stands-in-for", [])
    return Declared(
        url=_local(url, base),
        source=source,
        name=name,
        explicit=table.get("explicit", False),
        default=table.get("default", False),
        flat=form == "flat",
        stands_in_for=tuple([stands_in] if isinstance(stands_in, str) else _texts(stands_in)),
        packages=tuple(_texts(table.get("packages"))),
        absent_status=tuple(code for code in table.get("ignore-error-codes", ()) if isinstance(code, int)),
    )


def _local(location: str, base: Path | None) -> str:
    """A relative path is one from its file's folder."""
    if "://" in location or location.startswith("file:") or base is None:
        return location
    return os.path.normpath(base / Path(location).expanduser())


def _named(value: str) -> tuple[str | None, str]:
    """uv's ``name=url``."""
    match = re.fullmatch(r"([A-Za-z0-9._-]+)=(.+)", value)
    return (match[1], match[2]) if match else (None, value)


def _flag(value: str | None) -> bool | None:
    if value is None or not value.strip():
        return None
    return value.strip().lower() in ("1", "true", "yes", "on", "t", "y")


def _pip_keyring(value: str | None) -> str | None:
    return {"import": "auto"}.get(value, value) if value else None


def _texts(value: object) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list | tuple) else []


def _tables(value: object) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _up(start: Path | None, name: str) -> Path | None:
    folders = (start.absolute(), *start.absolute().parents) if start is not None else ()
    return next((folder / name for folder in folders if (folder / name).is_file()), None)


def _uv_files(environment: Mapping[str, str], project_dir: Path | None) -> list[Path]:
    if _flag(environment.get("UV_NO_CONFIG")):
        return []
    if environment.get("UV_CONFIG_FILE"):
        return [Path(environment["UV_CONFIG_FILE"])]
    found = []
    start = project_dir.absolute() if project_dir is not None else None
    for folder in (start, *start.parents) if start is not None else ():
        if (folder / "uv.toml").is_file():
            found.append(folder / "uv.toml")
            break
        pyproject = folder / "pyproject.toml"
        if pyproject.is_file() and "uv" in read_toml(pyproject).get("tool", {}):
            found.append(pyproject)
            break
    if is_windows():
        folders = [environment.get("APPDATA"), environment.get("PROGRAMDATA")]
    else:
        home = environment.get("HOME")
        systems = [*environment.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":"), "/etc"]
        system = next((folder for folder in systems if folder and (Path(folder) / "uv" / "uv.toml").is_file()), None)
        folders = [environment.get("XDG_CONFIG_HOME") or (f"{home}/.config" if home else None), system]
    return found + [path for folder in folders if folder and (path := Path(folder) / "uv" / "uv.toml").is_file()]


def _pip_files(environment: Mapping[str, str]) -> list[Path]:
    stated = environment.get("PIP_CONFIG_FILE")
    if stated == os.devnull:
        return []
    name = "pip.ini" if is_windows() else "pip.conf"
    places = [Path(stated)] if stated else []
    places.append(Path(environment.get("VIRTUAL_ENV") or sys.prefix) / name)
    home = environment.get("HOME") or environment.get("USERPROFILE")
    if is_windows():
        places += [Path(environment["APPDATA"]) / "pip" / name] if environment.get("APPDATA") else []
        places += [Path(home) / "pip" / name] if home else []
        places += [Path(environment["PROGRAMDATA"]) / "pip" / name] if environment.get("PROGRAMDATA") else []
    else:
        if home and is_macos():
            places.append(Path(home) / "Library" / "Application Support" / "pip" / name)
        config = environment.get("XDG_CONFIG_HOME") or (f"{home}/.config" if home else None)
        places += [Path(config) / "pip" / name] if config else []
        places += [Path(home) / ".pip" / name] if home else []
        places += [Path("/Library/Application Support/pip") / name] if is_macos() else []
        places.append(Path("/etc") / name)
        places += [Path(folder) / "pip" / name for folder in environment.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":") if folder]
    return list(dict.fromkeys(place for place in places if place.is_file()))

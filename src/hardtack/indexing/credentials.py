"""Logins, each bound to the origin that it is for, and to the place where it was found."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar
from urllib.parse import urlsplit

from hardtack.indexing.address import Origin, origin, take_apart

KeyringMode = Literal["disabled", "subprocess", "auto"]

_T = TypeVar("_T")
_KEYRING_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A user and a password; neither is ever shown. ``source`` says where they came from."""

    username: str = field(repr=False)
    password: str = field(repr=False)
    source: str

    def basic(self) -> str:
        """The value of an Authorization header (RFC 7617)."""
        import base64

        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode("ascii")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scoped:
    origin: Origin
    path: tuple[str, ...]
    login: Login


class Credentials:
    """The logins of a run. A URL gets the login of its own origin alone; among several, the one whose path is nearest.

    Stated logins (URL, environment) come first, then netrc, then the keyring, which is asked only where a server demanded a login.
    """

    def __init__(self, *, environment: Mapping[str, str] | None = None, keyring: KeyringMode = "disabled") -> None:
        self._environment = dict(environment or {})
        self._keyring_mode = keyring
        self._stated: list[_Scoped] = []
        self._users: list[tuple[Origin, tuple[str, ...], str]] = []
        self._proxies: dict[Origin, Login] = {}
        self._netrc: dict[str, Login] | None = None
        self._asked: dict[tuple[str, str | None], Login | None] = {}
        self._lock = threading.Lock()
        self.notes: list[str] = []

    def __repr__(self) -> str:
        return f"Credentials(for {sorted(str(scoped.origin) for scoped in self._stated)})"

    def __reduce__(self) -> str:
        raise TypeError("credentials are not pickled")

    def state(self, url: str, username: str, password: str, *, source: str) -> None:
        """Use this login for the URL's origin."""
        login = Login(username=username, password=password, source=source)
        self._stated.append(_Scoped(origin=origin(url), path=_path(url), login=login))

    def state_from(self, url: str, *, source: str) -> str:
        """Take the login out of a URL, if it has one, and keep it; returns the URL without it."""
        parts = take_apart(url)
        if parts.username is not None and parts.password is None:
            # A user alone is half a login: the rest may be in the keyring or netrc. A token is often written so, too.
            self._users.append((origin(url), _path(url), parts.username))
        elif parts.username is not None or parts.password is not None:
            self.state(parts.url, parts.username or "", parts.password or "", source=source)
        return parts.url

    def state_proxy(self, url: str, *, source: str) -> str:
        """Take a proxy's login out of its URL; returns the URL without it."""
        parts = take_apart(url)
        if parts.username is not None:
            self._proxies[origin(url)] = Login(username=parts.username, password=parts.password or "", source=source)
        return parts.url

    def proxy(self, url: str) -> Login | None:
        """The login for a proxy."""
        return self._proxies.get(origin(url))

    def find(self, url: str, *, ask: bool = False) -> Login | None:
        """The login for a URL, or None. ``ask``: the server demands one, so ask the keyring too (it may take seconds)."""
        place, path = origin(url), _path(url)
        if place.scheme not in ("http", "https"):
            return None
        best = _nearest(path, [(scoped.path, scoped.login) for scoped in self._stated if scoped.origin == place])
        if best is not None:
            return best
        user = _nearest(path, [(path_, name) for origin_, path_, name in self._users if origin_ == place])
        stored = self._from_netrc().get(place.host)
        if stored is not None and (user is None or user == stored.username):
            return stored
        if ask and self._keyring_mode != "disabled":
            asked = self._from_keyring(url, place, user)
            if asked is not None:
                # From now on it is known for the origin, and needs no second question.
                self._stated.append(_Scoped(origin=place, path=path, login=asked))
                return asked
        if user is not None:
            return Login(username=user, password="", source="the URL, which names a user without a password")
        return None

    @property
    def netrc(self) -> Path | None:
        """The netrc file that NETRC names, if there is one."""
        stated = self._environment.get("NETRC")
        path = Path(stated).expanduser() if stated else None
        return path if path is not None and path.is_file() else None

    def secrets(self) -> tuple[str, ...]:
        """Every password known, for redacting what a child process says. Never show these."""
        logins = [scoped.login for scoped in self._stated] + list(self._proxies.values()) + list(self._from_netrc().values())
        # A user without a password is often a token.
        found = {login.password or login.username for login in logins} | {user for _, _, user in self._users}
        return tuple(sorted((secret for secret in found if len(secret) >= 4), key=len, reverse=True))

    def redact(self, text: str) -> str:
        """``text`` without any password known here, and without logins in URLs."""
        for secret in self.secrets():
            text = text.replace(secret, "****")
        return re.sub(r"(?<=://)[^/\s@]+@", "", text)

    def _from_netrc(self) -> dict[str, Login]:
        """Logins by host. The "default" entry is left out on purpose: it would go to every host."""
        with self._lock:
            if self._netrc is None:
                self._netrc = self._read_netrc()
            return self._netrc

    def _read_netrc(self) -> dict[str, Login]:
        import netrc

        stated = self._environment.get("NETRC")
        home = self._environment.get("HOME") or self._environment.get("USERPROFILE")
        places = [Path(stated).expanduser()] if stated else [Path(home) / name for name in (".netrc", "_netrc")] if home else []
        for place in places:
            try:
                if not place.is_file():
                    continue
                hosts = netrc.netrc(str(place)).hosts
            except (OSError, netrc.NetrcParseError, UnicodeDecodeError) as error:
                line = f" (line {error.lineno})" if isinstance(error, netrc.NetrcParseError) and error.lineno else ""
                self.notes.append(f"{place} cannot be read as a netrc file{line}; no login is taken from it")
                continue
            return {
                host.lower(): Login(username=user or "", password=password or "", source=str(place))
                for host, (user, _, password) in hosts.items()
                if host != "default"
            }
        return {}

    def _from_keyring(self, url: str, place: Origin, user: str | None) -> Login | None:
        """Ask for the index's URL, then for its host, as pip and uv do."""
        with self._lock:
            for service in dict.fromkeys((_index_url(url), place.host)):
                key = (service, user)
                if key not in self._asked:
                    self._asked[key] = self._ask(service, user)
                if self._asked[key] is not None:
                    return self._asked[key]
        return None

    def _ask(self, service: str, user: str | None) -> Login | None:
        import shutil

        program = shutil.which("keyring", path=self._environment.get("PATH"))
        if program is not None:
            return self._ask_program(program, service, user)
        if self._keyring_mode == "auto":
            return self._ask_module(service, user)
        self.notes.append("no program named keyring is on PATH")
        return None

    def _ask_program(self, program: str, service: str, user: str | None) -> Login | None:
        from hardtack.system.process import run

        # Backends read their own variables (D-Bus, cloud logins): this child, alone, gets the whole environment.
        command = [program, "get", service, user] if user is not None else [program, "--mode", "creds", "get", service]
        try:
            done = run(command, environment=self._environment, timeout=_KEYRING_SECONDS)
        except OSError as error:
            self.notes.append(f"{program} cannot be run: {error.strerror}")
            return None
        if done.code != 0:
            return None
        lines = done.stdout.rstrip("\r\n").splitlines()
        if user is not None:
            return Login(username=user, password=lines[0], source=f"{program} for {service}") if len(lines) == 1 else None
        return Login(username=lines[0], password=lines[1], source=f"{program} for {service}") if len(lines) == 2 else None

    def _ask_module(self, service: str, user: str | None) -> Login | None:
        import importlib

        try:
            found = importlib.import_module("keyring").get_credential(service, user)
        except ImportError:
            return None
        except Exception as error:  # Backends raise what they like; a locked keyring is a login that we do not have.
            self.notes.append(f"the keyring failed: {type(error).__name__}")
            return None
        if found is None or not found.password:
            return None
        return Login(username=found.username or user or "", password=found.password, source=f"the keyring module for {service}")


def _path(url: str) -> tuple[str, ...]:
    return tuple(part for part in urlsplit(url).path.split("/") if part)


def _index_url(url: str) -> str:
    """The index that a page's URL belongs to, by its form: what stands before the project's name."""
    parts = urlsplit(take_apart(url).url)
    path, simple, _ = parts.path.partition("/simple/")
    return f"{parts.scheme}://{parts.netloc}{path}/simple/" if simple else f"{parts.scheme}://{parts.netloc}{parts.path}"


def _nearest(path: tuple[str, ...], candidates: list[tuple[tuple[str, ...], _T]]) -> _T | None:
    """The candidate that shares the longest beginning with ``path``; the first among equals."""
    best: _T | None = None
    length = -1
    for prefix, candidate in candidates:
        common = 0
        for ours, theirs in zip(path, prefix, strict=False):
            if ours != theirs:
                break
            common += 1
        if common > length:
            best, length = candidate, common
    return best

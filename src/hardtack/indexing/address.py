"""URLs, taken apart: their origin, their login, and how they may be shown."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from hardtack.errors import UsageError

_PORTS = {"http": 80, "https": 443}
_LOGIN = re.compile(r"(?<=://)[^/?#\s@]*(?:@[^/?#\s@]*)*@")


class Origin(NamedTuple):
    """Scheme, host and port: what a login belongs to. ``file`` has an empty host."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" if self.port == _PORTS.get(self.scheme, 0) else f"{self.scheme}://{host}:{self.port}"


class Parts(NamedTuple):
    """A URL without its login, and the login (unquoted), each part None where the URL has none."""

    url: str
    username: str | None
    password: str | None


def origin(url: str) -> Origin:
    """The URL's origin; the scheme's own port where none is written. Raises UsageError for what is no URL."""
    parts = _split(url)
    host = (parts.hostname or "").rstrip(".")
    if not host.isascii():
        try:
            host = host.encode("idna").decode("ascii")
        except UnicodeError:
            raise UsageError(f"not a host name: {host}") from None
    return Origin(parts.scheme, host, parts.port or _PORTS.get(parts.scheme, 0))


def take_apart(url: str) -> Parts:
    """Part a URL from its login.

    >>> take_apart("https://me:p%40ss@index.example/simple").url
    'https://index.example/simple'
    """
    parts = _split(url)
    if "@" not in parts.netloc:
        return Parts(url, None, None)
    login, _, host = parts.netloc.rpartition("@")
    username, colon, password = login.partition(":")
    bare = urlunsplit((parts.scheme, host, parts.path, parts.query, parts.fragment))
    return Parts(bare, unquote(username) or None, unquote(password) if colon else None)


def without_login(url: str) -> str:
    """The URL without its login."""
    return take_apart(url).url


def without_fragment(url: str) -> str:
    """The URL up to its "#"."""
    return url.partition("#")[0]


def shown(url: str) -> str:
    """The URL as it may be shown and logged: no login, no query (signed links carry keys there).

    >>> shown("https://me:secret@index.example/simple?token=1")
    'https://index.example/simple'
    """
    return re.split(r"[?#]", _LOGIN.sub("", url), maxsplit=1)[0]


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise UsageError(f"not a URL: {shown(url)} ({error})") from None
    return parts

"""The sole reader of the host: its environment variables, its system, its folders. Everything else is handed what it needs."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path


def variables() -> Mapping[str, str]:
    """A copy of the process's environment variables."""
    return dict(os.environ)


def is_windows() -> bool:
    """True on Windows."""
    return sys.platform == "win32"


def is_macos() -> bool:
    """True on macOS."""
    return sys.platform == "darwin"


def cache_dir(stated: Path | None, environment: Mapping[str, str]) -> Path:
    """The cache folder: what was stated, else HARDTACK_CACHE_DIR, else the platform's user cache folder."""
    if stated is not None:
        return stated.absolute()
    if environment.get("HARDTACK_CACHE_DIR"):
        return Path(environment["HARDTACK_CACHE_DIR"]).absolute()
    import platformdirs

    return Path(platformdirs.user_cache_dir("hardtack", appauthor=False))


# What a child process may see of our environment: enough to run, nothing that steers pip, uv or Python, no credentials.
_PASSED = (
    "PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "TEMP", "TMP", "TERM",
    "SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "PROGRAMDATA",
    "NUMBER_OF_PROCESSORS", "PROCESSOR_ARCHITECTURE",
)  # fmt: skip


# What git reads of the user's besides: his keys, his settings, his proxies. It is for git alone, and for uv while it calls git.
GIT = (
    "SSH_AUTH_SOCK", "SSH_AGENT_PID", "GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSH_VARIANT", "GIT_ASKPASS", "SSH_ASKPASS", "XDG_CONFIG_HOME",
    "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "GIT_SSL_CAINFO",
    "GIT_SSL_CAPATH", "GIT_SSL_NO_VERIFY", "SSL_CERT_FILE", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy",
    "https_proxy", "all_proxy", "no_proxy", "GNUPGHOME", "HOMEDRIVE", "HOMEPATH",
)  # fmt: skip


def scrubbed(environment: Mapping[str, str], **more: str) -> dict[str, str]:
    """The environment for a child: only what it needs to run, and ``more``. No PIP_*, UV_*, PYTHON*, VIRTUAL_ENV, no secret."""
    kept = {name: environment[name] for name in _PASSED if name in environment}
    kept.update(more)
    return kept


def interpreter() -> Path:
    """The Python that runs us."""
    return Path(sys.executable)


def python_version() -> tuple[int, int]:
    """The minor version of the Python that runs us."""
    return sys.version_info[:2]

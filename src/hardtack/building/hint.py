"""What would help a build that failed, told by the lines that are known in its log."""

from __future__ import annotations

import re

_COMPILER = r"[\w./+-]*(?:gcc|g\+\+|clang|\bcc|\bc\+\+)[\w.+-]*"

# Ordered by how telling they are: several expressions of one kind, and what to say.
_KNOWN: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        (r"fatal error: '?Python\.h'?(?: file not found|: No such file)",),
        "the headers of Python are missing: install python3-dev (Debian, Ubuntu) or python3-devel (Fedora, RHEL)",
    ),
    (
        (r"fatal error: '?(?P<what>[\w./+-]+\.(?:h|hpp|hh))'?(?: file not found|: No such file)",),
        "the header {what} is missing: install the development package that has it",
    ),
    ((r"cannot find -l(?P<what>[\w.+-]+)",), "the library {what} is missing: install its development package"),
    (
        (
            r"can't find Rust compiler",
            r"requires Rust",
            r"(?:cargo|rustc)['\"]?:? (?:command )?not found",
            r"No such file or directory: '(?:cargo|rustc)'",
            r"Cargo, the Rust package manager, is not installed",
        ),
        "it needs a Rust compiler and its crates: take a version that has wheels",
    ),
    (
        (
            rf"command '{_COMPILER}' failed: (?:No such file|Permission)",
            rf"{_COMPILER}: (?:command )?not found",
            rf"No such file or directory: '{_COMPILER}'",
            r"Microsoft Visual C\+\+ [\d.]+ or greater is required",
            r"Unknown compiler\(s\)",
            r"No CMAKE_C_COMPILER could be found",
        ),
        "it needs a C compiler: install gcc or clang (build-essential on Debian and Ubuntu)",
    ),
    (
        (
            r"Could not resolve host",
            r"[Nn]ame resolution",
            r"Name or service not known",
            r"No address associated with hostname",
            r"nodename nor servname",
            r"getaddrinfo failed",
            r"Network is unreachable",
            r"socket\.gaierror",
            r"NewConnectionError",
            r"Network connectivity is disabled",
        ),
        "it wanted the network while building, and gets none: what it fetches must be in the source or be a build requirement",
    ),
    (
        (
            r"ModuleNotFoundError: No module named '(?P<what>imp|distutils|asynchat|asyncore|pipes|cgi)'",
            r"module '(?P<module>[\w.]+)' has no attribute '(?P<what>SafeConfigParser|readfp|find_loader|ImpImporter)'",
        ),
        "it was written for an older Python ({what} is gone): take a newer version of it, or run hardtack with an older Python",
    ),
    (
        (r"No module named '(?P<what>pkg_resources)'", r"(?P<what>use_2to3) is invalid"),
        "it was written for an older setuptools ({what} is gone): take a newer version of it",
    ),
    (
        (r"ModuleNotFoundError: No module named '(?P<what>[\w.]+)'",),
        "it imports {what} while building: if its build-system.requires should name that, the fault is the project's",
    ),
    (
        (r"setuptools[-_]scm was unable to detect version", r"Error getting the version from source `vcs`"),
        "its version comes from version control, which an archive without PKG-INFO does not have",
    ),
)
_PATTERNS = tuple((tuple(re.compile(pattern) for pattern in patterns), text) for patterns, text in _KNOWN)


def hint_for(log: str) -> str | None:
    """What would help, or None where no line is known.

    >>> hint_for("x.c:1:10: fatal error: ffi.h: No such file or directory")
    'the header ffi.h is missing: install the development package that has it'
    """
    for patterns, text in _PATTERNS:
        for pattern in patterns:
            found = pattern.search(log)
            if found:
                return text.format(**found.groupdict())
    return None

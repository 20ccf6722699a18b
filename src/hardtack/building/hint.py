"""What would help a build that failed, told by the lines that are known in its log."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import urlsplit

from hardtack.building.hint_packages import Kind, packages_with

_COMPILER = r"[\w./+-]{0,100}(?:gcc|g\+\+|clang|\bcc|\bc\+\+)[\w.+-]{0,100}"
_HOST = r"[\w-]+(?:\.[\w-]+)+"
_URL = re.compile(rf"\b(?:https?|git|ftp)://[^\s'\"<>)\]]+|\bhost='(?P<host>{_HOST})'")
_RUST_HOSTS = ("rust-lang.org", "crates.io")

_RUST = (
    "it needs a Rust compiler: install rustc (Debian, Ubuntu) or rust (Fedora, RHEL, Alpine), and cargo, for the whole system, as a build "
    "sees no home folder, with the crates in its source, as it gets no network; or take a version that has wheels"
)
_CRATES = (
    "it needs crates of Rust that are not in its source, and builds get no network: vendor them (cargo vendor) in a source of your own, "
    "or take a version that has wheels"
)
_OWN = "under [tool.hardtack.build.packages.{package}]"


def _missing(kind: Kind, words: str) -> Callable[[re.Match[str], str], str]:
    """A hint that names the distributions' packages where they are known. ``words`` end in what is missing."""

    def told(found: re.Match[str], package: str) -> str:
        what = found["what"].strip("'\"")
        packages = packages_with(kind, what)
        if packages is not None:
            return f"{words.format(what=what, package=package)}: install {packages}"
        return f"{words.format(what=what, package=package)}: install the development package that has it"

    return told


def _program(found: re.Match[str], package: str) -> str:
    what = {"Make": "make"}.get(found["what"], found["what"])
    packages = packages_with("program", what)
    install = f"install {packages}" if packages is not None else "install what has it"
    declare = f'and declare it, as a build sees declared programs only: tools = ["{what}"] {_OWN.format(package=package)}'
    return f"it calls the program {what}: where it is not there, {install}; {declare}"


def _required(found: re.Match[str], package: str) -> str:
    """Programs that come as wheels."""
    what = found["what"].lower()
    name = {"cython3": "cython", "ninja-build": "ninja"}.get(what, what)
    return f'it calls {name} and does not ask for it: requires = ["{name}"] {_OWN.format(package=package)}'


def _network(found: re.Match[str], package: str) -> str:  # noqa: ARG001 (as its neighbours)
    """The host is in the line itself, else in the last URL before it."""
    line_end = found.string.find("\n", found.end())
    before = found.string[: line_end if line_end >= 0 else len(found.string)]
    host = found.groupdict().get("host")
    if host is None:
        for match in _URL.finditer(before):
            host = match["host"] or _host_of(match.group())
    if host is not None and host.endswith(_RUST_HOSTS):
        return _CRATES if "crates" in host else _RUST
    asked = f" ({host})" if host else ""
    return f"it wanted the network{asked} while building, and gets none: what it fetches must be in the source or be a build requirement"


def _host_of(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _words(text: str) -> Callable[[re.Match[str], str], str]:
    def told(found: re.Match[str], package: str) -> str:
        return text.format(**{"package": package, **found.groupdict()})

    return told


_Hint = Callable[[re.Match[str], str], str]

# Ordered by how telling they are: several expressions of one kind, and what to say. What merely was tried and not found comes late.
_KNOWN: tuple[tuple[tuple[str, ...], _Hint], ...] = (
    (
        (
            r"fatal error: '?(?:Python|pyconfig)\.h'?(?: file not found|: No such file)",
            r"Run-time dependency python found: NO\b(?s:.*)Python dependency not found",
            r"CMake Error at [^\n]+\n\s+Could NOT find Python3? \(missing:[^)]*Development",
            r"Python\.h: No such file or directory",
            r"cannot find Python\.h",
        ),
        _words("the headers of Python are missing: install python3-dev (Debian, Ubuntu, Alpine) or python3-devel (Fedora, RHEL)"),
    ),
    (
        (
            r"fatal error: '?(?P<what>[\w./+-]+\.(?:h|hpp|hh|hxx|inc))'?(?: file not found|: No such file)",
            r"\b(?P<what>[\w./+-]{1,100}\.h): No such file or directory",
            r"Cannot open include file: '(?P<what>[\w./+-]+)': No such file",
        ),
        _missing("header", "the header {what} is missing"),
    ),
    (
        (r"cannot find -l(?P<what>[\w.+-]+)", r"ld: library '?-?l?(?P<what>[\w.+-]+)'? not found"),
        _missing("name", "the library {what} is missing"),
    ),
    (
        (
            r"can't find Rust compiler",
            r"requires Rust",
            r"(?:cargo|rustc)['\"]?:? (?:command )?not found",
            r"No such file or directory: '(?:cargo|rustc)'",
            r"Cargo, the Rust package manager, is not installed",
            r"Rust not found, installing into a temporary directory",
            r"Unknown compiler\(s\): \[\[['\"]rustc",
            r"command 'cargo' failed: No such file",
            r"rustc, version .*: (?:not installed|No such file)",
        ),
        _words(_RUST),
    ),
    (
        (
            r"Unknown compiler\(s\): \[\[['\"](?:gfortran|flang|ifort|ifx|nagfor|f95)",
            r"No CMAKE_Fortran_COMPILER could be found",
            r"[Nn]o Fortran compiler found",
            r"(?:gfortran|f77|f95): (?:command )?not found",
            r"No such file or directory: '(?:[\w./-]{0,100}gfortran|f77|f95)'",
            r"command 'gfortran' failed: No such file",
        ),
        _words("it needs a Fortran compiler: install gfortran (Debian, Ubuntu, Alpine) or gcc-gfortran (Fedora, RHEL)"),
    ),
    (
        (
            r"Unknown compiler\(s\): \[\[['\"](?:c\+\+|g\+\+|clang\+\+)",
            r"No CMAKE_CXX_COMPILER could be found",
            r"error trying to exec 'cc1plus'",
            r"cannot execute ['\u2018]cc1plus['\u2019]",
            r"(?<![\w.])(?:g\+\+|c\+\+): (?:command )?not found",
            r"command '[\w./-]*(?:g\+\+|c\+\+)' failed: No such file",
            r"No such file or directory: '(?:g\+\+|c\+\+)'",
        ),
        _words("it needs a C++ compiler: install g++ (Debian, Ubuntu, Alpine) or gcc-c++ (Fedora, RHEL)"),
    ),
    (
        (
            rf"command '{_COMPILER}' failed: (?:No such file|Permission)",
            rf"{_COMPILER}: (?:command )?not found",
            rf"No such file or directory: '{_COMPILER}'",
            r"Microsoft Visual C\+\+ [\d.]+ or greater is required",
            r"Unknown compiler\(s\)",
            r"No CMAKE_C_COMPILER could be found",
            r"no acceptable C compiler found",
        ),
        _words("it needs a C compiler: install gcc or clang (build-essential on Debian and Ubuntu, build-base on Alpine)"),
    ),
    (
        (
            r"Could not find a version that satisfies the requirement (?P<what>[A-Za-z0-9][\w.-]*)",
            r"No matching distribution found for (?P<what>[A-Za-z0-9][\w.-]*)",
            r"Could not find suitable distribution for Requirement\.parse\('(?P<what>[A-Za-z0-9][\w.-]*)",
        ),
        _words('it installs {what} itself while building, and gets no network: requires = ["{what}"] ' + _OWN),
    ),
    (
        (
            r"error: failed to (?:download|fetch|load source for a dependency|get) .*(?:crates\.io|registry)",
            r"failed to get `[\w-]+` as a dependency of package",
            r"no matching package named `[\w-]+` found",
        ),
        _words(_CRATES),
    ),
    (
        (r"Git program not found, cannot download (?P<what>[\w.+-]+?)(?:-\d[\w.]*)?\.wrap",),
        _missing("name", "it fetches {what} with git where the system has none, and builds get no network"),
    ),
    (
        (
            rf"Could not resolve host: (?P<host>{_HOST})",
            rf"[Ff]ailed to resolve '(?P<host>{_HOST})'",
            rf"unable to resolve host address .(?P<host>{_HOST})",
            rf"(?:ENOTFOUND|EAI_AGAIN) (?P<host>{_HOST})",
            rf"dial tcp: lookup (?P<host>{_HOST})",
            r"Could not resolve host",
            r"[Nn]ame resolution",
            r"Name or service not known",
            r"No address associated with hostname",
            r"nodename nor servname",
            r"failed to lookup address information",
            r"getaddrinfo failed",
            r"Network is unreachable",
            r"socket\.gaierror",
            r"NewConnectionError",
            r"Network connectivity is disabled",
            r"because the network was disabled",
            r"could not find git for (?:clone|fetch) of",
        ),
        _network,
    ),
    (
        (
            r"Package (?P<what>[\w.+-]+) was not found in the pkg-config search path",
            r"Package '(?P<what>[\w.+-]+)', required by 'virtual:world', not found",
            r"No package '(?P<what>[\w.+-]+)' found",
            r"ERROR: Dependency ['\"](?P<what>[\w.+-]+)['\"] (?:is required but )?not found",
            r"ERROR: Dependency lookup for (?P<what>[\w.+-]+) with method",
            r"pkg-config --\w+(?:-\w+)* (?P<what>[\w.+-]+)' returned non-zero",
            r"The following required packages were not found:\s+- (?P<what>[\w.+-]+)",
            r"CMake Error at [^\n]+\n(?:[^\n]*\n){0,6}?\s*Could not find a package configuration file provided by\s+\"(?P<what>[\w.+-]+)\"",
            r"RequiredDependencyException: (?P<what>[\w.+-]+)",
            r"\blib(?P<what>[\w+-]+)\.so[.\d]*: cannot open shared object file",
            r"Please make sure the (?P<what>[\w.+-]+) .*development packages? (?:is|are) installed",
            r"CMake Error at [^\n]+\n\s+Could NOT find (?P<what>[\w.+-]+)\b",
        ),
        _missing("name", "it needs {what}, which is not here"),
    ),
    (
        (
            r"No such file or directory: '(?P<what>[\w./-]+\.(?:txt|md|rst|py|cfg|toml|in|json|c|cpp|h|pyx|ya?ml))'",
            r"No such file or directory: '(?P<what>[\w./-]*\b(?:README|LICENSE|VERSION|CHANGES|CHANGELOG|HISTORY|AUTHORS|Makefile))'",
        ),
        _words("its archive lacks the file {what}, which its build reads: the fault is the project's; take another version of it"),
    ),
    (
        (
            r"(?:^|[\s'\"/])(?P<what>cmake)['\"]?: (?:command )?not found",
            r"No such file or directory: '(?P<what>cmake|ninja|ninja-build|meson|swig|cython3?|patchelf|f2py)'",
            r"(?P<what>CMake) must be installed",
            r"(?:Could not find|Cannot find|could not find) (?P<what>CMake|[Nn]inja|[Ss]wig)\b",
            r"(?P<what>CMake)NotFoundError",
            r"Problem with the (?P<what>CMake) installation",
            r"Could not detect (?P<what>Ninja)",
            r"unable to find a build program corresponding to \"(?P<what>Ninja)\"",
            r"(?P<what>ninja|meson|swig|cython|patchelf): (?:command )?not found",
            r"command '(?P<what>swig|cython)' failed: No such file",
            r"unable to execute '(?P<what>swig|cython)'",
            r"Unknown compiler\(s\): \[\['(?P<what>cython)",
        ),
        _required,
    ),
    (
        (
            r"\b(?P<what>[\w+-]{1,60}[-_]config)\b['\"]?(?: executable)?:? (?:command )?not found",
            r"Command '(?P<what>[\w.+-]+) [^'\n]*' returned non-zero exit status 127",
            r"(?m:^|\s)(?:/bin/)?(?:ba|da)?sh: (?:line )?(?:\d+: )?(?P<what>[\w.+-]+): (?:command )?not found",
            r"ERROR: Program ['\"]?(?P<what>[\w.+-]+)['\"]?[^\n]* not found",
            r"(?m:^)make(?:\[\d\])?: (?P<what>[\w.+-]+): No such file or directory",
            # Started, and not merely opened: only then it is a program.
            r"(?:_execute_child|_posixspawn|subprocess\.py)[\s\S]{0,1500}?\[Errno 2\] No such file or directory: '(?P<what>[\w+-]+)'",
            r"\[Errno 2\] No such file or directory: '(?P<what>[\w+-]+[-_]config)'",
            r"command '(?P<what>[\w.+-]+)' failed: No such file",
            r"[Cc]ould not find [`'\"](?P<what>[\w.+-]+)['\"`] executable",
            r"unable to find a build program corresponding to \"Unix (?P<what>Make)files\"",
            r"exec: \"(?P<what>[\w.+-]+)\": executable file not found",
        ),
        _program,
    ),
    (
        (r"FileNotFoundError: \[Errno 2\] No such file or directory: '(?P<what>[^'\n]+)'",),
        _words("its build reads {what}, which its archive lacks: the fault is the project's; take another version of it"),
    ),
    (
        (
            r"(?:c\+\+|g\+\+|gcc|cc|clang(?:\+\+)?): fatal error: Killed signal terminated program",
            r"virtual memory exhausted",
            r"cc1(?:plus)?: out of memory",
            r"std::bad_alloc",
            r"LLVM ERROR: out of memory",
            r"(?m:^)MemoryError",
            r"\[Errno 12\] Cannot allocate memory",
        ),
        _words(
            'it ran out of memory: give it more (memory = "8 GiB" under [tool.hardtack.build]), or build fewer at a time (--build-jobs 1)'
        ),
    ),
    (
        (r"No space left on device", r"Disk quota exceeded"),
        _words("the disk that holds the cache is full: make room, or take another with --cache-dir"),
    ),
    (
        (
            r"(?:Read-only file system|Permission denied): '(?P<what>/(?!build/)[^'\n]+)'",
            r"cannot (?:create|touch|open|remove)[^\n:]{0,100}?(?P<what>/(?!build/)[\w./+-]+)['\u2019]?: (?:Read-only|Permission denied)",
        ),
        _words("it wants to write to {what}, which is not its own: a build may write to its source, HOME and TMPDIR alone"),
    ),
    (
        (
            r"(?P<what>Python [\d.]+) is newer than PyO3's maximum",
            r"the configured (?P<what>Python interpreter version \([\d.]+\)) is newer than PyO3's maximum",
            r"Cannot install on (?P<what>Python version [\d.]+)",
            r"(?P<what>Python [\d.]+) (?:is )?not supported",
        ),
        _words("it does not know this Python ({what}): take a newer version of it, or run hardtack with an older Python"),
    ),
    (
        (
            r"ModuleNotFoundError: No module named '(?P<what>imp|distutils|asynchat|asyncore|pipes|cgi|telnetlib|nntplib|lib2to3)'",
            r"module '(?P<module>[\w.]+)' has no attribute '(?P<what>SafeConfigParser|readfp|find_loader|ImpImporter|getargspec)'",
            r"has no member named ['\u2018](?P<what>tp_print|exc_type|use_tracing|f_code|curexc_type|recursion_depth|ob_digit)['\u2019]",
            r"['\u2018](?P<what>Py\w+)['\u2019] (?:undeclared|was not declared)",
            r"implicit declaration of function ['\u2018](?P<what>_?Py[A-Z]\w+)['\u2019]",
        ),
        _words("it was written for an older Python ({what} is gone): take a newer version of it, or run hardtack with an older Python"),
    ),
    (
        (r"No module named '(?P<what>pkg_resources)'",),
        _words(
            "it was written for an older setuptools ({what} is gone): take a newer version of it, or an older setuptools for it: "
            'requires = ["setuptools<82"] ' + _OWN
        ),
    ),
    (
        (
            r"(?P<what>use_2to3) is invalid",
            r"No module named '(?P<what>setuptools\.[\w.]+)'",
            r"cannot import name '(?P<what>\w+)' from 'setuptools",
            r"module 'setuptools(?:\.\w+)*' has no attribute '(?P<what>\w+)'",
            r"No module named '(?P<what>numpy\.distutils|distutils\.\w+)'",
        ),
        _words(
            "it was written for an older setuptools ({what} is gone): take a newer version of it, or the setuptools of its time for it: "
            "requires = [...] " + _OWN
        ),
    ),
    (
        (
            r"has no attribute '(?P<what>cython_sources)'",
            r"Cython\.Compiler\.Errors\.(?P<what>CompileError)",
        ),
        _words('its Cython source is for an older Cython: take a newer version of it, or an older Cython: requires = ["cython<3"] ' + _OWN),
    ),
    (
        (
            r"configuration error: `(?P<what>[\w.-]+)` must",
            r"Extra keys present in \"(?P<what>[\w.-]+)\"",
            r"invalid pyproject\.toml config: `(?P<what>[\w.-]+)`",
            r"Failed to parse (?P<what>pyproject\.toml)",
        ),
        _words(
            "its pyproject.toml is not valid for this release of its build backend ({what}): take a newer version of it, or state an older "
            "backend for it: requires = [...] " + _OWN
        ),
    ),
    (
        (r"invalid command '(?P<what>bdist_wheel)'",),
        _words('it needs wheel and does not ask for it: requires = ["wheel"] ' + _OWN),
    ),
    (
        (r"ModuleNotFoundError: No module named '(?P<what>[\w.]+)'",),
        _words(
            "it imports {what} while building: if its build-system.requires should name that, the fault is the project's; what brings it "
            "can be added: requires = [...] " + _OWN
        ),
    ),
    (
        (
            r"(?:setuptools[-_]scm|vcs[-_]versioning) was unable to detect version",
            r"Error getting the version from source `vcs`",
            r"Versioning for this project requires either an sdist tarball",
            r"unable to detect version for",
        ),
        _words(
            "its version comes from version control, which an archive without PKG-INFO does not have: state it, environment = "
            '{{ SETUPTOOLS_SCM_PRETEND_VERSION = "1.0" }} ' + _OWN
        ),
    ),
)
_PATTERNS = tuple((tuple(re.compile(pattern) for pattern in patterns), hint) for patterns, hint in _KNOWN)


def hint_for(log: str, *, package: str = "NAME") -> str | None:
    """What would help, or None where no line is known. ``package`` is whom configuration would be for.

    >>> hint_for("x.c:1:10: fatal error: ffi.h: No such file or directory")
    'the header ffi.h is missing: install libffi-dev (Debian, Ubuntu, Alpine) or libffi-devel (Fedora, RHEL)'
    """
    for patterns, hint in _PATTERNS:
        for pattern in patterns:
            found = pattern.search(log)
            if found:
                return hint(found, package)
    return None

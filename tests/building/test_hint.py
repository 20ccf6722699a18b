"""The lines that compilers, linkers, Rust and name resolution really write lead to what helps."""

from __future__ import annotations

import time

import pytest

from hardtack.building.hint import hint_for
from hardtack.building.hint_packages import Kind, packages_with

TAIL = 64 << 10  # bytes of a log that are looked at

# As gcc 12, clang 16, ld, setuptools, meson, setuptools-rust, maturin, curl, urllib and pip print them.
LINES = {
    "src/_module.c:2:10: fatal error: Python.h: No such file or directory": "python3-dev",
    "a.c:1:10: fatal error: 'ffi.h' file not found": "ffi.h",
    "    fatal error: libxml/xmlversion.h: No such file or directory": "libxml/xmlversion.h",
    "x.c:1:10: fatal error: own/thing.h: No such file or directory": "the header own/thing.h is missing: install the development package",
    "x.c(3): fatal error C1083: Cannot open include file: 'zlib.h': No such file or directory": "zlib.h",
    "/usr/bin/ld: cannot find -lpq: No such file or directory": "libpq-dev",
    "ld: library 'ssl' not found": "openssl",
    "error: command 'gcc' failed: No such file or directory": "C compiler",
    "error: command 'x86_64-linux-gnu-gcc' failed: No such file or directory": "C compiler",
    "error: command '/usr/bin/gcc' failed: No such file or directory": "C compiler",
    "sh: 1: gcc: not found": "C compiler",
    "ERROR: Unknown compiler(s): [['cc'], ['gcc']]": "a C compiler",
    "configure: error: no acceptable C compiler found in $PATH": "a C compiler",
    "ERROR: Unknown compiler(s): [['c++'], ['g++'], ['clang++']]": "C++",
    "g++: not found": "C++",
    "gcc: fatal error: cannot execute 'cc1plus': execvp: No such file or directory": "C++",
    "  No CMAKE_CXX_COMPILER could be found.": "C++",
    "ERROR: Unknown compiler(s): [['gfortran'], ['flang'], ['nvfortran']]": "Fortran",
    "error: library mach has Fortran sources but no Fortran compiler found": "Fortran",
    "  No CMAKE_Fortran_COMPILER could be found.": "Fortran",
    "error: Microsoft Visual C++ 14.0 or greater is required.": "C compiler",
    "error: can't find Rust compiler": "Rust compiler",
    "Cargo, the Rust package manager, is not installed or is not on PATH.": "Rust compiler",
    "Rust not found, installing into a temporary directory\nhttpx.ConnectError: [Errno -3] Temporary failure in name resolution": "rustc",
    "error: failed to get `libc` as a dependency of package `x v0.1.0 (/build/source)`": "cargo vendor",
    "error: failed to download from `https://static.crates.io/crates/libc/0.2/download`": "cargo vendor",
    "curl: (6) Could not resolve host: example.com": "network (example.com)",
    "urllib3.exceptions.NameResolutionError: Failed to resolve 'pypi.org' ([Errno -3] Temporary failure in name resolution)": "(pypi.org)",
    "Downloading https://a.example/x.tgz\nOSError: [Errno -3] Temporary failure in name resolution": "(a.example)",
    "OSError: [Errno 101] Network is unreachable\nsee https://after.example/": "network while",
    "npm ERR! network request to https://r.example failed, reason: getaddrinfo EAI_AGAIN registry.npmjs.org": "(registry.npmjs.org)",
    "dial tcp: lookup proxy.golang.org on 10.0.0.1:53: no such host": "(proxy.golang.org)",
    "fatal: unable to access 'https://github.com/x/y/': Could not resolve host: github.com": "(github.com)",
    "urllib.error.URLError: <urlopen error [Errno -3] Temporary failure in name resolution>": "network while",
    "Package libsystemd was not found in the pkg-config search path.": "libsystemd-dev",
    "Package 'libxml-2.0', required by 'virtual:world', not found": "libxml2-devel",
    '../cairo/meson.build:31:12: ERROR: Dependency "cairo" not found (tried pkg-config)': "libcairo2-dev",
    "Command 'pkg-config --exists mysqlclient' returned non-zero exit status 1.": "default-libmysqlclient-dev",
    "CMake Error at /usr/share/cmake/Modules/Find.cmake:230 (message):\n  Could NOT find OpenSSL, try to set the path": "libssl-dev",
    "CMake Error at CMakeLists.txt:5 (find_package):\n  By not providing\n\n  Could not find a package configuration file provided by"
    ' "LLVM" with any': "llvm-dev",
    "error: libhdf5.so: cannot open shared object file: No such file or directory": "libhdf5-dev",
    "__main__.RequiredDependencyException: jpeg": "libjpeg-dev",
    "../meson.build:1:0: ERROR: Git program not found, cannot download libcsiphash-1.wrap via git.": "libcsiphash with git",
    "Error: pg_config executable not found.": 'tools = ["pg_config"]',
    "ConfigurationError: Could not run curl-config: [Errno 2] No such file or directory: 'curl-config'": "libcurl4-openssl-dev",
    "subprocess.CalledProcessError: Command 'krb5-config --libs gssapi' returned non-zero exit status 127.": "libkrb5-dev",
    "OSError: mysql_config not found": "mariadb-connector-c-devel",
    "FileNotFoundError: [Errno 2] No such file or directory: 'llvm-config'": "llvm-dev",
    "  FileNotFoundError:\nCould not find `dot` executable!": "graphviz",
    "/bin/sh: 1: autoreconf: not found": "autoconf",
    "make: flex: No such file or directory": "flex",
    "subprocess.py, in _execute_child\nFileNotFoundError: [Errno 2] No such file or directory: 'git'": 'tools = ["git"]',
    "in <module>\nFileNotFoundError: [Errno 2] No such file or directory: 'docs'": "its build reads docs, which its archive lacks",
    "../meson.build:4:0: ERROR: Program 'glib-mkenums' not found or not executable": 'tools = ["glib-mkenums"]',
    'CMake Error: CMake was unable to find a build program corresponding to "Ninja".': 'requires = ["ninja"]',
    "FileNotFoundError: [Errno 2] No such file or directory: 'cmake'": 'requires = ["cmake"]',
    "RuntimeError: CMake must be installed to build the following extensions: x": 'requires = ["cmake"]',
    "error: command 'swig' failed: No such file or directory": 'requires = ["swig"]',
    "FileNotFoundError: [Errno 2] No such file or directory: 'requirements.txt'": "its archive lacks the file requirements.txt",
    "FileNotFoundError: [Errno 2] No such file or directory: '/build/source/README'": "its archive lacks",
    "ERROR: Could not find a version that satisfies the requirement numpy (from versions: none)": 'requires = ["numpy"]',
    "g++: fatal error: Killed signal terminated program cc1plus": "memory",
    "OSError: [Errno 28] No space left on device": "--cache-dir",
    "OSError: [Errno 30] Read-only file system: '/usr/local/share/x'": "wants to write to /usr/local/share/x",
    "ModuleNotFoundError: No module named 'numpy'": "numpy",
    "ModuleNotFoundError: No module named 'imp'": "older Python",
    "x.c:1: error: 'PyTypeObject' {aka 'struct _typeobject'} has no member named 'tp_print'": "older Python",
    "error: the configured Python interpreter version (3.14) is newer than PyO3's maximum supported version (3.13)": "older Python",
    "RuntimeError: Cannot install on Python version 3.13.1; only versions >=3.9,<3.13 are supported.": "does not know this Python",
    "AttributeError: module 'configparser' has no attribute 'SafeConfigParser'. Did you mean: 'RawConfigParser'?": "older Python",
    "ModuleNotFoundError: No module named 'pkg_resources'": "older setuptools",
    "error in x setup command: use_2to3 is invalid.": "older setuptools",
    "AttributeError: 'build_ext' object has no attribute 'cython_sources'": "cython<3",
    "configuration error: `project.license` must be valid exactly by one definition": "project.license",
    "| ConfigurationError: Extra keys present in \"project\": 'Homepage'": "older backend",
    "error: invalid command 'bdist_wheel'": 'requires = ["wheel"]',
    "LookupError: setuptools-scm was unable to detect version for /build/source.": 'SETUPTOOLS_SCM_PRETEND_VERSION = "1.0" }',
}


@pytest.mark.parametrize("line", LINES)
def test_known_lines(line: str) -> None:
    hint = hint_for(f"before\n{line}\nafter")
    assert hint is not None
    assert LINES[line] in hint
    assert "{" not in hint.replace("environment = {", "")


@pytest.mark.parametrize(
    "line",
    [
        "",
        "gcc -O2 -c a.c",
        "fatal: not a git repository",
        "success {what}",
        # Tried, and not missed.
        "Found CMake: NO",
        "Run-time dependency threads found: NO",
        "-- Could NOT find Git (missing: GIT_EXECUTABLE)",
        "-- Could NOT find Python3 (missing: Python3_LIBRARIES Development)",
        "warning: no previously-included files found matching 'README'",
        "checking for pg_config... no",
    ],
)
def test_other_lines_say_nothing(line: str) -> None:
    assert hint_for(line) is None


def test_the_cause_and_not_what_was_merely_tried() -> None:
    log = (
        "Did not find CMake 'cmake'\nCommand 'pkg-config --exists libxslt' returned non-zero exit status 1.\n"
        "sh: 1: xslt-config: not found\nx.c:1:10: fatal error: zlib.h: No such file or directory\n"
    )
    assert "zlib1g-dev" in str(hint_for(log))


def test_the_host_of_a_later_line_was_not_asked_for() -> None:
    log = "GET https://asked.example/a\nurllib.error.URLError: Name or service not known\nsee https://docs.example/help"
    assert "asked.example" in str(hint_for(log))


def test_the_package_is_named_in_what_to_write() -> None:
    assert "[tool.hardtack.build.packages.psycopg2]" in str(hint_for("Error: pg_config executable not found.", package="psycopg2"))


@pytest.mark.parametrize(
    ("kind", "what", "packages"),
    [
        ("header", "ffi.h", "libffi-dev (Debian, Ubuntu, Alpine) or libffi-devel (Fedora, RHEL)"),
        ("header", "openssl/ssl.h", "libssl-dev (Debian, Ubuntu), openssl-devel (Fedora, RHEL) or openssl-dev (Alpine)"),
        ("name", "OpenSSL", "libssl-dev (Debian, Ubuntu), openssl-devel (Fedora, RHEL) or openssl-dev (Alpine)"),
        ("name", "libsystemd", "libsystemd-dev (Debian, Ubuntu) or systemd-devel (Fedora, RHEL)"),
        ("program", "make", "make (Debian, Ubuntu, Fedora, RHEL, Alpine)"),
        ("program", "mpicc", "libopenmpi-dev (Debian, Ubuntu), openmpi-devel (Fedora, RHEL) or openmpi-dev (Alpine)"),
        ("header", "nobody/knows.h", None),
        ("program", "ffi.h", None),
    ],
)
def test_packages(kind: Kind, what: str, packages: str | None) -> None:
    assert packages_with(kind, what) == packages


@pytest.mark.parametrize(
    "piece", ["a", "a.", "a-", "lib", "/a", "\n", " ", "CMake Error at x\n", "https://", "host='a.b", "'", "Command '", "cannot open"]
)
def test_a_hostile_log_takes_no_time(piece: str) -> None:
    log = (piece * TAIL)[:TAIL]
    began = time.process_time()
    hint_for(log)
    assert time.process_time() - began < 3

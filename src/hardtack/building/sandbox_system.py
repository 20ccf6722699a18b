"""What of the host a build may see, as data: folders, settings, devices, tools."""

from __future__ import annotations

import fnmatch
import functools
import os
import re
from collections.abc import Iterable
from pathlib import Path

from hardtack.building.sandbox_within import listed

# What a compiler, a shell and the dynamic linker need; never /home, /root, /var, /run, /srv, /opt, /mnt.
FOLDERS = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
# Of /etc only this: as a whole it has passwords and pip's configuration.
SETTINGS = ("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives")
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
# Facts of the machine that tell nothing of its processes, where the host's own /proc is all that there is.
FACTS = ("/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/version", "/proc/filesystems", "/proc/loadavg")
# Of a fresh /proc, what tells of the whole machine all the same: shown empty.
SHARED_FACTS = (
    "/proc/keys",
    "/proc/key-users",
    "/proc/kallsyms",
    "/proc/kcore",
    "/proc/timer_list",
    "/proc/sched_debug",
    "/proc/latency_stats",
)

_TOOL_FOLDERS = ("/usr/bin", "/bin")
# The programs of the host that a build finds on its PATH. No Python, no pip, no version control, nothing that wants a network: what else
# a source needs is for its build requirements to bring.
TOOLS = (
    # a shell and what its scripts are made of
    *("sh", "bash", "dash", "env", "printf", "echo", "test", "[", "true", "false", "expr", "seq", "sleep", "tee", "xargs", "which"),
    *("cat", "head", "tail", "cut", "tr", "sort", "uniq", "wc", "comm", "join", "paste", "fold", "od", "cmp", "diff", "patch"),
    *("grep", "egrep", "fgrep", "sed", "awk", "gawk", "mawk", "find", "ls", "cp", "mv", "rm", "ln", "mkdir", "rmdir", "mktemp", "touch"),
    *("chmod", "install", "stat", "readlink", "realpath", "basename", "dirname", "pwd", "date", "uname", "arch", "nproc", "id", "whoami"),
    *("getconf", "ldd", "file", "md5sum", "sha1sum", "sha256sum", "cksum", "base64"),
    *("tar", "gzip", "gunzip", "zcat", "bzip2", "bunzip2", "xz", "unxz", "zstd", "unzip", "zip"),
    # compilers and what they call
    *("cc", "c++", "cpp", "c99", "c11", "gcc", "g++", "clang", "clang++", "gfortran", "f95", "flang", "rustc", "cargo", "nasm", "yasm"),
    *("gcc-[0-9]*", "g++-[0-9]*", "cpp-[0-9]*", "clang-[0-9]*", "clang++-[0-9]*", "gfortran-[0-9]*", "gcc-ar*", "gcc-nm*", "gcc-ranlib*"),
    *("*-linux-gnu*-*", "*-linux-musl*-*", "*-redhat-linux-*", "*-suse-linux-*", "*-pc-linux-*"),
    *("ld", "ld.*", "lld", "mold", "as", "ar", "nm", "ranlib", "strip", "objdump", "objcopy", "readelf", "size", "strings", "c++filt"),
    *("llvm-ar*", "llvm-nm*", "llvm-ranlib*", "llvm-config*"),
    # what drives them
    *(
        "make",
        "gmake",
        "pkg-config",
        "pkgconf",
        "m4",
        "perl",
        "bison",
        "flex",
        "yacc",
        "lex",
        "autoconf",
        "automake",
        "aclocal",
        "autoheader",
    ),
    *("autoreconf", "libtool", "libtoolize", "msgfmt", "xgettext"),
)


def declare_tools(folder: Path, more: Iterable[str] = (), *, root: Path | None = None) -> None:
    """Make ``folder`` with a link for each declared tool that this machine has. ``more``: what this one build may have besides.

    ``root``: an unpacked system, whose tools are taken instead; the links are then right inside of it.
    """
    folder.mkdir(parents=True)
    for name, program in _declared(tuple(more), root):
        (folder / name).symlink_to(program)


@functools.cache
def _declared(more: tuple[str, ...], root: Path | None) -> tuple[tuple[str, str], ...]:
    plain = frozenset(name for name in (*TOOLS, *more) if "*" not in name)
    patterns = [re.compile(fnmatch.translate(name)) for name in TOOLS if "*" in name]
    found: dict[str, str] = {}
    for place in _TOOL_FOLDERS if root is None else root_folders(root):
        for name in listed(root or Path("/"), place):
            if name in plain or ("python" not in name and any(pattern.match(name) for pattern in patterns)):
                found.setdefault(name, os.path.join(place, name))
    return tuple(sorted(found.items()))


def toolsets(root: Path) -> list[str]:
    """The folders of the newer compilers that Red Hat and its kin lay beside the system's own, the newest first."""
    found = []
    for name in listed(root, "/opt/rh"):
        number = re.fullmatch(r"(?:devtoolset|gcc-toolset)-(\d{1,4})", name)
        if number is not None and "gcc" in listed(root, f"/opt/rh/{name}/root/usr/bin"):
            found.append((int(number[1]), f"/opt/rh/{name}/root/usr"))
    return [folder for _, folder in sorted(found, reverse=True)]


def root_folders(root: Path) -> list[str]:
    """Where a build finds the tools of an unpacked system, in order."""
    return [*(f"{toolset}/bin" for toolset in toolsets(root)[:1]), "/usr/local/bin", *_TOOL_FOLDERS]

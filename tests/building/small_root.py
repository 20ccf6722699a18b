"""A small system in a folder, made of this machine's own files: a shell, a few programs, the C library, a Python."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

PROGRAMS = ("sh", "true", "sleep", "cat", "ls")
RELEASE = 'NAME="Testix GNU/Linux"\nVERSION_ID="7"\n'


def make_root(folder: Path, *, python: bool = True, release: str = RELEASE) -> Path:
    """A merged-/usr system: bin and lib are links into usr, as most have them now."""
    for name in ("usr/bin", "usr/lib", "usr/local/bin", "etc", "opt", "home/somebody"):
        (folder / name).mkdir(parents=True)
    for name in ("bin", "lib", "lib64"):
        (folder / name).symlink_to("usr/bin" if name == "bin" else "/usr/lib")
    (folder / "etc" / "os-release").write_text(release)
    (folder / "etc" / "shadow").write_text("root:secret")
    (folder / "usr" / "bin" / "only-here").write_text("#!/bin/sh\necho only here\n")
    (folder / "usr" / "bin" / "only-here").chmod(0o755)
    programs = [Path(found) for name in PROGRAMS if (found := shutil.which(name, path="/usr/bin:/bin")) is not None]
    for program in programs:
        _put(program.resolve(), folder / "usr" / "bin" / program.name)
    bring_libraries(folder, programs)
    if python:
        _bring_python(folder)
    return folder


def bring_libraries(folder: Path, programs: Iterable[Path]) -> None:
    """The libraries that programs load, and the loader, into usr/lib."""
    for program in programs:
        said = subprocess.run(["ldd", str(program)], capture_output=True, text=True, check=False).stdout
        for path in re.findall(r"(/\S+) \(0x", said):
            if not (folder / "usr" / "lib" / Path(path).name).exists():
                _put(Path(path).resolve(), folder / "usr" / "lib" / Path(path).name)


def _bring_python(folder: Path) -> None:
    """This Python, in usr/local, without what no build wants."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    program = Path(os.path.realpath(sys.executable))
    _put(program, folder / "usr" / "local" / "bin" / version)
    library = Path(sysconfig.get_path("stdlib"))
    unwanted = shutil.ignore_patterns("test", "tests", "site-packages", "__pycache__", "idlelib", "tkinter", "turtledemo", "config-*")
    shutil.copytree(library, folder / "usr" / "local" / "lib" / version, ignore=unwanted, copy_function=_put)
    bring_libraries(folder, [program, *(library / "lib-dynload").glob("*.so")])


def _put(source: str | Path, target: str | Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another disk, or a file that may not be linked
        shutil.copy(source, target)


def bring_compiler(folder: Path) -> str | None:
    """What gcc needs to compile an extension module, at its own places; None, or why that is not possible here."""
    if shutil.which("gcc", path="/usr/bin") is None:
        return "no gcc on this machine"
    include = Path(sysconfig.get_path("include"))
    if not (include / "Python.h").exists():
        return "this Python has no headers"
    shutil.copytree(include, folder / "usr" / "local" / "include" / include.name, copy_function=_put)
    programs = []
    for name in ("cc1", "as", "ld", "collect2"):
        found = shutil.which(_gcc(f"-print-prog-name={name}"), path="/usr/bin")
        if found is None:
            return f"gcc's {name} is not found"
        programs.append(Path(found))
    programs.append(Path("/usr/bin/gcc"))
    others = [_gcc(f"-print-file-name={name}") for name in (*OBJECTS, "liblto_plugin.so")]
    unit = f'#include "{include}/Python.h"\n'
    headers = subprocess.run(
        ["gcc", "-M", "-O1", "-xc", f"-I{include}", "-"], input=unit, capture_output=True, text=True, check=True
    ).stdout
    others += [word for word in headers.split() if word.startswith("/") and not word.startswith(str(include))]
    for path in [*map(str, programs), *(os.path.normpath(path) for path in others if path.startswith("/"))]:
        target = folder / re.sub(r"^/(lib|lib64|bin)/", r"usr/\1/", path).lstrip("/").replace("usr/lib64/", "usr/lib/")
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            _put(os.path.realpath(path), target)
    (folder / "usr" / "bin" / "cc").symlink_to("gcc")
    bring_libraries(folder, programs)
    # Scripts of the linker name the library by its place.
    for name in ("libc.so", "libgcc_s.so"):
        for place in re.findall(r"(/\S+)", _text(_gcc(f"-print-file-name={name}"))):
            if os.path.isfile(place) and not (folder / re.sub(r"^/lib(64)?/", "usr/lib/", place).lstrip("/")).exists():
                target = folder / re.sub(r"^/lib(64)?/", "usr/lib/", place).lstrip("/")
                target.parent.mkdir(parents=True, exist_ok=True)
                _put(os.path.realpath(place), target)
    return None


OBJECTS = ("crti.o", "crtn.o", "crtbeginS.o", "crtendS.o", "libgcc.a", "libgcc_s.so", "libgcc_s.so.1", "libc.so", "libc.so.6")


def _gcc(question: str) -> str:
    return subprocess.run(["gcc", question], capture_output=True, text=True, check=True).stdout.strip()


def _text(path: str) -> str:
    data = Path(path).read_bytes()[:4096]
    return "" if data.startswith(b"\x7fELF") else data.decode("utf-8", "replace")

"""Tells what hardtack must know of the Python that runs it, as JSON. Standard library only, any Python from 2.7 on.

Run it on the host that the wheels are for:  python probe.py > host.json
"""
# It runs where nothing is installed, and on Pythons older than our own: no annotations, no f-strings, no pathlib.
# mypy: ignore-errors
# ruff: noqa: UP010, UP031, RUF005, T201

from __future__ import print_function

import json
import os
import platform
import re
import struct
import subprocess
import sys
import sysconfig


def _version(info):
    text = "%d.%d.%d" % (info[0], info[1], info[2])
    if info[3] != "final":
        text += info[3][0] + str(info[4])
    return text


def _glibc():
    """glibc says its own version."""
    try:
        answer = os.confstr("CS_GNU_LIBC_VERSION")
    except (AttributeError, OSError, ValueError):
        answer = None
    match = re.match(r"glibc\s+(\d+)\.(\d+)", answer or "")
    return [int(match.group(1)), int(match.group(2))] if match else None


def _musl():
    """musl's loader, named in the interpreter's own file, says its version when it is run."""
    try:
        with open(os.path.realpath(sys.executable), "rb") as stream:
            match = re.search(b"/[A-Za-z0-9_./-]*ld-musl-[A-Za-z0-9_.-]+", stream.read(65536))
        if match is None:
            return None
        process = subprocess.Popen([match.group().decode("ascii")], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        text = process.communicate()[1].decode("utf-8", "replace")
    except (OSError, ValueError):
        return None
    match = re.search(r"Version (\d+)\.(\d+)", text)
    return [int(match.group(1)), int(match.group(2))] if match else None


def _macos():
    """The system's version; a Python built against an old SDK is told 10.16 instead of the truth."""
    text = platform.mac_ver()[0]
    if text.startswith("10.16"):
        environment = dict(os.environ, SYSTEM_VERSION_COMPAT="0")
        code = "import platform; print(platform.mac_ver()[0])"
        text = subprocess.check_output([sys.executable, "-sS", "-c", code], env=environment).decode().strip()
    return [int(part) for part in (text.split(".") + ["0"])[:2]]


def look():
    """What is so of this interpreter and its system, without interpretation."""
    implementation = getattr(sys, "implementation", None)
    name = implementation.name if implementation else platform.python_implementation().lower()
    own_version = implementation.version if implementation else sys.version_info
    linux = sys.platform.startswith("linux")
    glibc = _glibc() if linux else None
    return {
        "hardtack-probe": 1,
        "marker_environment": {
            "implementation_name": name,
            "implementation_version": _version(own_version),
            "os_name": os.name,
            "platform_machine": platform.machine(),
            "platform_python_implementation": platform.python_implementation(),
            "platform_release": platform.release(),
            "platform_system": platform.system(),
            "platform_version": platform.version(),
            "python_full_version": _version(sys.version_info),
            "python_version": "%d.%d" % sys.version_info[:2],
            "sys_platform": sys.platform,
        },
        "platform": sysconfig.get_platform(),
        "pointer_bits": struct.calcsize("P") * 8,
        "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
        "debug": hasattr(sys, "gettotalrefcount"),
        "ext_suffix": sysconfig.get_config_var("EXT_SUFFIX"),
        "glibc": glibc,
        "musl": _musl() if linux and not glibc else None,
        "macos": _macos() if sys.platform == "darwin" else None,
        "pyodide_abi": sysconfig.get_config_var("PYEMSCRIPTEN_PLATFORM_VERSION") or sysconfig.get_config_var("PYODIDE_ABI_VERSION"),
    }


if __name__ == "__main__":
    print(json.dumps(look(), indent=2, sort_keys=True))

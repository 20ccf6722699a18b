#!/usr/bin/env python3
"""Install from this wheelhouse with nothing but Python (3.8 or later): no network, no pip needed.

python install.py                       into the environment of this Python
python install.py --venv DIRECTORY      into a new virtual environment
python install.py --check               only compare every file with wheelhouse.json

Every wheel is compared with the sha256 in wheelhouse.json before anything is written.
"""

from __future__ import annotations

import argparse
import base64
import csv
import hashlib
import io
import json
import os
import platform
import re
import shutil
import stat
import subprocess
import sys
import sysconfig
import zipfile
from typing import Any, NamedTuple

MACHINES = {"amd64": "x86_64", "x64": "x86_64", "arm64": "aarch64", "i386": "x86", "i686": "x86", "armv8l": "armv7l"}
_FINAL = 3
SYSTEMS = {"linux": "linux", "darwin": "macos", "win32": "windows"}


class Refused(Exception):
    """Something is not as it must be; nothing was installed."""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", help="which target of the wheelhouse this host is; found by itself where one fits")
    parser.add_argument("--venv", help="make a virtual environment here, and install into it")
    parser.add_argument("--no-pip", action="store_true", help="unpack the wheels here even where this Python has pip")
    parser.add_argument("--check", action="store_true", help="only verify the files")
    parser.add_argument("--break-system-packages", action="store_true", help="install into a Python that its system manages (PEP 668)")
    options = parser.parse_args(arguments)
    house = os.path.dirname(os.path.abspath(__file__))
    try:
        manifest = read_manifest(house)
        if options.check:
            count = verify(house, manifest, manifest["files"])
            say(f"{count} files are as wheelhouse.json says")
            return 0
        target = options.target or find_target(sorted(manifest["targets"]))
        if target not in manifest["targets"]:
            raise Refused("no target {!r} in this wheelhouse; there are: {}".format(target, ", ".join(sorted(manifest["targets"]))))
        if options.venv:
            return in_new_environment(options, target)
        refuse_managed(options.break_system_packages)
        chosen = choose(manifest, target)
        verify(house, manifest, chosen)
        if not options.no_pip and has_pip():
            return with_pip(house, manifest, target)
        unpack([(place(house, manifest, row, target), row) for row in chosen])
        say(f"{len(chosen)} packages of {target} are installed")
        return 0
    except Refused as error:
        sys.stderr.write(f"install.py: {error}\n")
        return 1


def say(words: str) -> None:
    sys.stdout.write(words + "\n")


def read_manifest(house: str) -> dict[str, Any]:
    try:
        with open(os.path.join(house, "wheelhouse.json"), encoding="utf-8") as stream:
            manifest = json.load(stream)
    except (OSError, ValueError) as error:
        raise Refused(f"cannot read wheelhouse.json: {error}") from None
    if not isinstance(manifest, dict) or manifest.get("schema") != 1:
        raise Refused("wheelhouse.json has a schema that this install.py does not know")
    for row in manifest["files"]:
        if re.search(r"[/\\:\0]", row["filename"]):
            raise Refused("{!r} is no file name".format(row["filename"]))
    for name in manifest["targets"]:
        if re.search(r"[/\\:\0]", name) or name.startswith("."):
            raise Refused(f"{name!r} is no name of a target")
    return manifest


def place(house: str, manifest: dict[str, Any], row: dict[str, Any], target: str) -> str:
    folder = house if manifest["layout"] == "flat" else os.path.join(house, target)
    return os.path.join(folder, row["filename"])


def verify(house: str, manifest: dict[str, Any], rows: list[dict[str, Any]]) -> int:
    wrong = []
    count = 0
    for row in rows:
        targets = row["targets"] if manifest["layout"] == "by-target" else row["targets"][:1] or [""]
        for path in sorted({place(house, manifest, row, target) for target in targets}):
            count += 1
            try:
                digest = hashlib.sha256()
                with open(path, "rb") as stream:
                    for block in iter(lambda: stream.read(1 << 20), b""):
                        digest.update(block)
            except OSError as error:
                wrong.append(f"{path}: {error.strerror}")
                continue
            if digest.hexdigest() != row["sha256"]:
                wrong.append("{}: its sha256 is {}, not {}".format(path, digest.hexdigest(), row["sha256"]))
    if wrong:
        raise Refused("files are not what wheelhouse.json says:\n  " + "\n  ".join(wrong))
    return count


def find_target(names: list[str]) -> str:
    """The one target whose name says this Python, system and machine."""
    if platform.python_implementation() == "PyPy":
        prefix = f"pp{sys.version_info[0]}{sys.version_info[1]}"
    else:
        prefix = f"py{sys.version_info[0]}{sys.version_info[1]}"
        if sysconfig.get_config_var("Py_GIL_DISABLED"):
            prefix += "t"
    system = SYSTEMS.get(sys.platform, sys.platform)
    machine = platform.machine().lower()
    if sys.maxsize < 2**32 and machine in ("amd64", "x86_64"):
        machine = "x86"  # a 32-bit Python on a 64-bit system
    machine = MACHINES.get(machine, machine)
    musl = system == "linux" and "musl" in (sysconfig.get_config_var("HOST_GNU_TYPE") or "")
    fitting = []
    for name in names:
        parts = name.split("-")
        spelled = [MACHINES.get(part, part) for part in parts]
        if parts[0] == prefix and system in parts and machine in spelled and musl == ("musl" in name):
            fitting.append(name)
    if len(fitting) == 1:
        return fitting[0]
    asked = f"{prefix}-{system}-{machine}"
    if not fitting:
        raise Refused(
            "this host ({}) is none of the targets here: {}; say which with --target if you know better".format(asked, ", ".join(names))
        )
    raise Refused("several targets fit this host: {}; say which with --target".format(", ".join(fitting)))


def version_key(text: str) -> tuple[int, ...]:
    match = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?(?:(a|b|rc)(\d+))?\+?$", text)
    if not match:
        raise Refused(f"cannot compare the Python version {text!r}")
    major, minor, micro, phase, serial = match.groups()
    return int(major), int(minor), int(micro or 0), {"a": 0, "b": 1, "rc": 2, None: _FINAL}[phase], int(serial or 0)


def full_version() -> str:
    info = sys.version_info
    text = ".".join(str(part) for part in info[:3])
    if info.releaselevel != "final":
        text += {"alpha": "a", "beta": "b", "candidate": "rc"}[info.releaselevel] + str(info.serial)
    return text


def holds(marker: str, version: str) -> bool:
    """Answers a marker on python_full_version, which is the only variable that a pin may have."""
    tokens: list[str] = re.findall(r'\(|\)|"[^"]*"|\'[^\']*\'|and\b|or\b|[<>=!~]+|\w+', marker)
    position = [0]

    def take() -> str:
        if position[0] >= len(tokens):
            raise Refused(f"cannot read the marker {marker!r}")
        position[0] += 1
        return tokens[position[0] - 1]

    def atom() -> bool:
        left = take()
        if left == "(":
            answer = either()
            take()
            return answer
        operator, right = take(), take()
        flipped = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}
        if right == "python_full_version":
            left, operator, right = right, flipped.get(operator, operator), left
        if left != "python_full_version" or right[:1] not in "\"'":
            raise Refused(f"cannot answer the marker {marker!r}")
        ours, theirs = version_key(version), version_key(right[1:-1])
        answers = {
            # PEP 440: "<3.12.0" does not take the pre-releases of 3.12.0 itself.
            "<": ours < theirs and not (ours[:3] == theirs[:3] and theirs[3] == _FINAL),
            "<=": ours <= theirs,
            ">": ours > theirs,
            ">=": ours >= theirs,
            "==": ours == theirs,
            "!=": ours != theirs,
        }
        if operator not in answers:
            raise Refused(f"cannot answer the marker {marker!r}")
        return answers[operator]

    def every() -> bool:
        answer = atom()
        while position[0] < len(tokens) and tokens[position[0]] == "and":
            take()
            answer = atom() and answer
        return answer

    def either() -> bool:
        answer = every()
        while position[0] < len(tokens) and tokens[position[0]] == "or":
            take()
            answer = every() or answer
        return answer

    return either()


def choose(manifest: dict[str, Any], target: str) -> list[dict[str, Any]]:
    """The rows of the files that this Python's version wants of the target."""
    rows = {row["filename"]: row for row in manifest["files"] if target in row["targets"]}
    version = full_version()
    wanted = {}
    for pin in manifest["pins"]:
        if pin["target"] == target and (not pin.get("marker") or holds(pin["marker"], version)):
            if pin["filename"] not in rows:
                raise Refused("{} is pinned but is not here".format(pin["filename"]))
            wanted[pin["filename"]] = rows[pin["filename"]]
    return [wanted[name] for name in sorted(wanted)]


def refuse_managed(forced: bool) -> None:
    in_environment = sys.prefix != sys.base_prefix
    marker = os.path.join(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED")
    if not in_environment and not forced and os.path.exists(marker):
        raise Refused("this Python is managed by its system (PEP 668); use --venv DIRECTORY, or --break-system-packages")


def has_pip() -> bool:
    try:
        import importlib.util

        return importlib.util.find_spec("pip") is not None
    except (ImportError, ValueError):
        return False


def with_pip(house: str, manifest: dict[str, Any], target: str) -> int:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    environment["PIP_CONFIG_FILE"] = os.devnull
    folder = house if manifest["layout"] == "flat" else os.path.join(house, target)
    command = [sys.executable, "-m", "pip", "install", "--isolated", "--no-index", "--no-deps", "--require-hashes", "--no-cache-dir"]
    command += ["--disable-pip-version-check", "--find-links", folder, "-r", os.path.join(house, f"requirements.{target}.txt")]
    return subprocess.call(command, env=environment)


def in_new_environment(options: argparse.Namespace, target: str) -> int:
    import venv

    venv.EnvBuilder(with_pip=False, symlinks=os.name != "nt").create(options.venv)
    python = os.path.join(options.venv, "Scripts" if os.name == "nt" else "bin", "python.exe" if os.name == "nt" else "python")
    return subprocess.call([python, "-I", os.path.abspath(__file__), "--target", target, "--no-pip"])


class Planned(NamedTuple):
    """Where the members of a wheel go: member -> (scheme, place); script -> (module, attribute)."""

    path: str
    info: str
    base: str
    places: dict[str, tuple[str, str]]
    scripts: dict[str, tuple[str, str]]
    schemes: dict[str, str]


# --- wheels ------------------------------------------------------------------------------------------------------------------------


def unpack(wheels: list[tuple[str, dict[str, Any]]]) -> None:
    """Install wheels into this Python's environment: all are read and judged before the first file is written."""
    schemes: dict[str, str] = {name: sysconfig.get_path(name) for name in ("purelib", "platlib", "scripts", "data")}
    schemes["headers"] = os.path.join(sys.prefix, "include", "site", f"python{sys.version_info[0]}.{sys.version_info[1]}")
    plans = [plan(path, row, schemes) for path, row in wheels]
    for parts in plans:
        if parts is not None:
            write(parts)


def plan(path: str, row: dict[str, Any], schemes: dict[str, str]) -> Planned | None:
    """What a wheel puts where, or None where this very version is installed already."""
    name = row["filename"]
    with zipfile.ZipFile(path) as archive:
        members = [info.filename for info in archive.infolist() if not info.filename.endswith("/")]
        infos = [member[: -len("/RECORD")] for member in members if re.match(r"[^/]+\.dist-info/RECORD$", member)]
        if len(infos) != 1:
            raise Refused(f"{name} has {len(infos)} .dist-info folders")
        info = infos[0]
        wheel = archive.read(info + "/WHEEL").decode("utf-8")
        if not re.search(r"^Wheel-Version: 1\.", wheel, re.M):
            raise Refused(f"{name} has a format that this install.py does not know")
        root = "purelib" if re.search(r"^Root-Is-Purelib: true", wheel, re.M | re.I) else "platlib"
        there = installed(schemes, row["name"])
        if there == row["version"]:
            return None
        if there is not None:
            raise Refused("{} {} is installed here, not {}; use a new environment (--venv)".format(row["name"], there, row["version"]))
        stated = {entry[0]: entry[1] for entry in csv.reader(io.StringIO(archive.read(info + "/RECORD").decode("utf-8"))) if len(entry) > 1}
        places: dict[str, tuple[str, str]] = {}
        data = info[: -len(".dist-info")] + ".data/"
        for member in members:
            signature = member in (info + "/RECORD", info + "/RECORD.jws", info + "/RECORD.p7s")
            if not signature:
                algorithm, _, digest = stated.get(member, "").partition("=")
                if algorithm not in ("sha256", "sha384", "sha512"):
                    raise Refused(f"{name}: {member} has no digest in RECORD")
                actual = hashlib.new(algorithm, archive.read(member)).digest()
                if base64.urlsafe_b64encode(actual).rstrip(b"=").decode() != digest.rstrip("="):
                    raise Refused(f"{name}: {member} is not what RECORD says")
            if member == info + "/RECORD":
                continue
            kind, inner = root, member
            if member.startswith(data):
                kind, _, inner = member[len(data) :].partition("/")
            if kind not in schemes:
                raise Refused(f"{name}: {member} goes nowhere that is known")
            base = schemes[kind] if kind != "headers" else os.path.join(schemes["headers"], row["name"])
            places[member] = (kind, inside(base, inner, name))
        scripts: dict[str, tuple[str, str]] = {}
        if info + "/entry_points.txt" in members:
            scripts = entry_points(archive.read(info + "/entry_points.txt").decode("utf-8"), name)
    for script in list(scripts) + [os.path.basename(place) for kind, place in places.values() if kind == "scripts"]:
        if re.match(r"(python|pypy)[0-9.]*t?(w)?(\.exe)?$", script.lower()):
            raise Refused(f"{name} wants to replace {script}")
    return Planned(path, info, schemes[root], places, scripts, schemes)


def inside(base: str, inner: str, name: str) -> str:
    parts = inner.split("/")
    if not inner or any(part in ("", ".", "..") for part in parts) or re.search(r"[\\\0]", inner) or (os.name == "nt" and ":" in inner):
        raise Refused(f"{name}: unsafe path {inner!r}")
    place = os.path.join(base, *parts)
    if os.path.commonpath([os.path.realpath(base), os.path.realpath(place)]) != os.path.realpath(base):
        raise Refused(f"{name}: {inner!r} leads out of its folder")
    return place


def installed(schemes: dict[str, str], name: str) -> str | None:
    """The version of a package that is here, or None. Names are compared as PEP 503 says."""
    for folder in {schemes["purelib"], schemes["platlib"]}:
        for entry in os.listdir(folder) if os.path.isdir(folder) else ():
            match = re.match(r"(.+?)-([^-]+)\.dist-info$", entry)
            if match and re.sub(r"[-_.]+", "-", match.group(1)).lower() == name:
                return match.group(2)
    return None


def entry_points(text: str, name: str) -> dict[str, tuple[str, str]]:
    scripts: dict[str, tuple[str, str]] = {}
    section = ""
    for line in text.splitlines():
        line = line.strip()
        if not line or line[0] in "#;":
            continue
        if line.startswith("["):
            section = line.strip("[]").strip()
            continue
        if section in ("console_scripts", "gui_scripts"):
            match = re.match(r"([^=/\\:\0]+?)\s*=\s*([\w.]+)\s*:\s*([\w.]+)\s*(\[.*\])?$", line)
            if not match or match.group(1) in (".", ".."):
                raise Refused(f"{name}: cannot read the entry point {line!r}")
            scripts[match.group(1)] = (match.group(2), match.group(3))
    return scripts


def write(planned: Planned) -> None:
    path, info, base, places, scripts, schemes = planned
    record = []
    with zipfile.ZipFile(path) as archive:
        for member, (kind, place_) in sorted(places.items(), key=lambda item: item[0].startswith(info)):
            data = archive.read(member)
            executable = bool((archive.getinfo(member).external_attr >> 16) & 0o111)
            if kind == "scripts":
                executable = True
                if data.startswith(b"#!python"):
                    data = shebang().encode() + data[data.find(b"\n") + 1 :]
            record.append(put(place_, data, base, executable))
    for script, (module, attribute) in sorted(scripts.items()):
        record += make_script(schemes["scripts"], script, module, attribute, base)
    record.append(put(os.path.join(base, info, "INSTALLER"), b"hardtack\n", base, False))
    own = os.path.join(base, info, "RECORD")
    stream = io.StringIO()
    rows = [*sorted(record), (relative(own, base), "", "")]
    csv.writer(stream, lineterminator="\n").writerows(rows)
    put(own, stream.getvalue().encode("utf-8"), base, False)


def shebang() -> str:
    if os.name != "nt" and (" " in sys.executable or len(sys.executable) > 120):
        return f"#!/bin/sh\n'''exec' \"{sys.executable}\" \"$0\" \"$@\"\n' '''\n"
    return f"#!{sys.executable}\n"


def make_script(folder: str, name: str, module: str, attribute: str, base: str) -> list[tuple[str, str, str]]:
    body = "# -*- coding: utf-8 -*-\nimport sys\nfrom %s import %s\nif __name__ == '__main__':\n    sys.exit(%s())\n"
    text = shebang() + body % (module, attribute.split(".")[0], attribute)
    if os.name != "nt":
        return [put(os.path.join(folder, name), text.encode(), base, True)]
    # A launcher would be a program for Windows; a batch file needs none.
    batch = f'@"{sys.executable}" "%~dp0{name}-script.py" %*\r\n'
    return [
        put(os.path.join(folder, name + "-script.py"), text.encode(), base, False),
        put(os.path.join(folder, name + ".bat"), batch.encode(), base, False),
    ]


def relative(place_: str, base: str) -> str:
    try:
        return os.path.relpath(place_, base).replace(os.sep, "/")
    except ValueError:
        return place_.replace(os.sep, "/")


def put(place_: str, data: bytes, base: str, executable: bool) -> tuple[str, str, str]:
    """Write one file whole, and return its line of RECORD."""
    os.makedirs(os.path.dirname(place_), exist_ok=True)
    temporary = place_ + ".hardtack-part"
    with open(temporary, "wb") as stream:
        stream.write(data)
    mode = stat.S_IRUSR | stat.S_IWUSR | stat.S_IRGRP | stat.S_IROTH
    os.chmod(temporary, mode | (stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH if executable else 0))
    shutil.move(temporary, place_)
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return relative(place_, base), "sha256=" + digest, str(len(data))


if __name__ == "__main__":
    sys.exit(main())

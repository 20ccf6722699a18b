"""The environment of a build in a build root: made inside of it by its own Python, since nothing out here can run that."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from hardtack.building.contained import run_contained
from hardtack.building.faults import BuildRequirementFault
from hardtack.building.interpreter import Interpreter, folders
from hardtack.building.sandbox_launch import Limits, Mount, Sandbox
from hardtack.building.workshop import Tool
from hardtack.errors import BuildFault
from hardtack.system.cancellation import Cancellation

_LIMITS = Limits(seconds=600, log=1 << 20)
_ENVIRONMENT = "/build/env"  # where builds see it: scripts name the Python in it by its path
_MAKE = f"""\
import venv
venv.EnvBuilder(symlinks=True, with_pip=False).create({_ENVIRONMENT!r})
"""

# Runs inside, on the standard library of any Python from 3.6 on, once the environment is there. Installs the wheels that it is given as
# (path, sha256), as the binary distribution format says. Sorted, so that what two wheels have in common is always the same one's.
_INSTALL = r"""
import configparser, hashlib, io, json, os, sys, sysconfig, zipfile

scheme = "venv" if "venv" in sysconfig.get_scheme_names() else "posix_prefix"
places = sysconfig.get_paths(scheme)
places["headers"] = os.path.join(sys.prefix, "include", "site", "python%d.%d" % sys.version_info[:2])
python = os.path.join(sys.prefix, "bin", "python")
SCRIPT = "#!%s\nimport sys\nfrom %s import %s\nif __name__ == '__main__':\n    sys.exit(%s())\n"

def write(path, data, executable):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as stream:
        stream.write(data)
    os.chmod(path, 0o755 if executable else 0o644)

def install(path, sha256):
    with open(path, "rb") as stream:
        content = stream.read()
    if sha256 and hashlib.sha256(content).hexdigest() != sha256:
        raise SystemExit("its bytes are not those that were locked")
    archive = zipfile.ZipFile(io.BytesIO(content))
    names = archive.namelist()
    info = [name[:-len("/WHEEL")] for name in names if name.endswith(".dist-info/WHEEL") and name.count("/") == 1]
    if len(info) != 1:
        raise SystemExit("it is no wheel")
    lines = archive.read(info[0] + "/WHEEL").decode("utf-8", "replace").splitlines()
    pure = any(line.replace(" ", "").lower() == "root-is-purelib:true" for line in lines)
    data = info[0][:-len(".dist-info")] + ".data/"
    for member in archive.infolist():
        name = member.filename
        if name.endswith("/"):
            continue
        where, script = places["purelib" if pure else "platlib"], False
        if name.startswith(data):
            kind, _, name = name[len(data):].partition("/")
            if kind not in ("purelib", "platlib", "headers", "scripts", "data"):
                raise SystemExit("it has data of an unknown kind: " + kind)
            where, script = places[kind], kind == "scripts"
            if kind == "headers":
                where = os.path.join(where, info[0].split("-")[0])
        target = os.path.normpath(os.path.join(where, name))
        if not target.startswith(where.rstrip("/") + "/"):
            raise SystemExit("it has a file outside: " + name)
        body = archive.read(member)
        if script and body.startswith(b"#!python"):
            body = b"#!" + python.encode() + b"\n" + body.partition(b"\n")[2]
        write(target, body, script or bool(member.external_attr >> 16 & 0o111))
    if info[0] + "/entry_points.txt" in names:
        points = configparser.ConfigParser(delimiters=("=",), strict=False, interpolation=None)
        points.optionxform = str
        points.read_string(archive.read(info[0] + "/entry_points.txt").decode())
        for section in ("console_scripts", "gui_scripts"):
            for name, value in (points.items(section) if points.has_section(section) else ()):
                module, _, attribute = value.partition("[")[0].strip().partition(":")
                if os.path.basename(name) != name or not attribute:
                    raise SystemExit("it has no sound entry point: " + name)
                text = SCRIPT % (python, module.strip(), attribute.strip().split(".")[0], attribute.strip())
                write(os.path.join(places["scripts"], name), text.encode(), True)

for name, path, sha256 in json.loads(sys.argv[1]):
    try:
        install(path, sha256)
    except (Exception, SystemExit) as error:
        raise SystemExit("%s: %s" % (name, error))
"""


def furnish(tools: Sequence[Tool], *, interpreter: Interpreter, sandbox: Sandbox, folder: Path, stop: Cancellation) -> Path:
    """Make a virtual environment of ``interpreter``, which runs in the root that ``sandbox`` enters, with exactly these wheels.

    ``folder`` must not exist; builds see it at ``/build/env``. Returns its Python, a link that is right inside. Raises
    BuildRequirementFault where the wheels cannot be put together, BuildFault where that Python makes no environment.
    """
    folder.mkdir(parents=True)
    room, log = folder.parent / f"{folder.name}-room", folder.parent / f"{folder.name}.log"
    room.mkdir(exist_ok=True)
    wheels = sorted(tools, key=lambda tool: (tool.filename, tool.sha256))
    mounts = [
        Mount(host=folder, inside=_ENVIRONMENT, writable=True),
        Mount(host=room, inside="/build/room", writable=True),
        *(Mount(host=place, inside=str(place)) for place in folders(interpreter)),
        *(Mount(host=tool.path, inside=f"/build/wheels/{at}.whl") for at, tool in enumerate(wheels)),
    ]

    def run(argv: Sequence[str]) -> str | None:
        """None where all went well, else the last line of what was said."""
        log.unlink(missing_ok=True)
        environment = {"PATH": "/usr/bin:/bin", "HOME": "/build/room", "TMPDIR": "/build/room", "LC_ALL": "C.UTF-8"}
        launch = sandbox.launch(argv, mounts=mounts, cwd=room, environment=environment, limits=_LIMITS)
        ended = run_contained(launch, log=log, stop=stop, limits=_LIMITS)
        if ended.code == 0 and ended.limit is None:
            return None
        lines = [line.strip() for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
        return ended.limit or (lines[-1][:300] if lines else f"it ended with code {ended.code}")

    failure = run([str(interpreter.executable), "-I", "-S", "-B", "-c", _MAKE])
    python = folder / "bin" / "python"
    if failure is None and not python.is_symlink() and not python.is_file():
        failure = "it made none"
    if failure is not None:
        raise BuildFault(
            f"the {interpreter.label} of the build root could not make a virtual environment: {failure}",
            hint="install what Python's venv needs in the root (python3-venv)",
        )
    if wheels:
        asked = json.dumps([(tool.filename, f"/build/wheels/{at}.whl", tool.sha256) for at, tool in enumerate(wheels)])
        failure = run([f"{_ENVIRONMENT}/bin/python", "-I", "-B", "-c", _INSTALL, asked])
        if failure is not None:
            pins = ", ".join(f"{tool.name}=={tool.version}" for tool in wheels)
            raise BuildRequirementFault(f"what it needs to be built ({pins}) cannot be put into one environment: {failure}")
    return python

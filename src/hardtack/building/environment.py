"""The environment of a build: a virtual environment that holds exactly the wheels that were supplied, and was never run."""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType

from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from hardtack.building.bytecode import Bytecode
from hardtack.building.faults import BuildRequirementFault as BuildRequirementFault
from hardtack.building.interpreter import Interpreter
from hardtack.building.kept_environments import KeptEnvironments
from hardtack.building.root_environment import furnish
from hardtack.building.sandbox_launch import Sandbox
from hardtack.building.sandbox_system import declare_tools
from hardtack.building.workshop import Tool, Workshop
from hardtack.errors import BuildFault
from hardtack.system.cancellation import Cancellation
from hardtack.system.files import place, remove
from hardtack.system.uv import Uv

_SCHEMA = 1  # of what is kept


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildEnvironment:
    """An environment that was never run: ``folder`` holds it, ``python`` starts it.

    ``installed`` maps "name==version" to the sha256 of its wheel.
    """

    folder: Path
    python: Path
    installed: Mapping[str, str] = field(hash=False)


def build_environment(tools: Sequence[Tool], *, python: Path, uv: Uv, folder: Path, stop: Cancellation) -> BuildEnvironment:
    """Make a virtual environment of ``python`` in ``folder``, which must not exist, with exactly these wheels. Offline.

    uv's cache and the wheels under their names lie beside ``folder``, for the next one there, and nothing of them elsewhere: no
    environment shares a file with the store, or with what another run makes.
    uv asks only a Python without any package what it is, so that no ``.pth`` of a wheel runs outside the sandbox: an environment is
    therefore never added to, but made anew. Raises BuildRequirementFault where the wheels cannot be put together.
    """
    beside = folder.parent
    beside.mkdir(parents=True, exist_ok=True)
    uv = replace(uv, cache_dir=beside)
    made = uv.run(
        ["venv", "--quiet", "--relocatable", "--no-project", "--python", str(python), str(folder)],
        cwd=beside,
        stop=stop,
        offline=True,
    )
    if made.code != 0:
        raise BuildFault(f"uv could not make a virtual environment: {_last_words(made.stderr)}", where=str(python))
    executable = _python(folder)
    installed = _pins(tools)
    if not installed:
        return BuildEnvironment(folder=folder, python=executable, installed={})
    asked = beside / f"{folder.name}.txt"
    asked.write_text("".join(f"{_under_its_name(tool, beside / 'wheels')}\n" for tool in tools), encoding="utf-8")
    done = uv.run(
        ["pip", "install", "--quiet", "--python", str(executable), "--no-deps", "--no-index", "--require-hashes", "-r", str(asked)],
        cwd=beside,
        stop=stop,
        offline=True,
    )
    if done.code != 0:
        pins = ", ".join(installed)
        raise BuildRequirementFault(f"what it needs to be built ({pins}) cannot be put into one environment: {_last_words(done.stderr)}")
    return BuildEnvironment(folder=folder, python=executable, installed=installed)


def _in_root(tools: Sequence[Tool], *, interpreter: Interpreter, sandbox: Sandbox, folder: Path, stop: Cancellation) -> BuildEnvironment:
    """The same for an interpreter that cannot run out here."""
    installed = _pins(tools)
    python = furnish(tools, interpreter=interpreter, sandbox=sandbox, folder=folder, stop=stop)
    return BuildEnvironment(folder=folder, python=python, installed=installed)


class Environments:
    """The build environments of one run, for all the builds that have the same interpreter and the same tools. For any thread.

    Where there is a sandbox, builds see them read-only, and later runs take them from the cache, if ``kept``. The others, and folders of
    declared programs, are made once for the run, in a folder of their own that is gone when the block ends.
    """

    def __init__(self, shop: Workshop, *, kept: bool = True) -> None:
        self._shop = shop
        self._kept = KeptEnvironments(shop.cache_dir / "environments") if kept else None
        self._bytecode = Bytecode()
        self._swept = False
        self._folder: Path | None = None
        self._lock = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}
        self._made: dict[str, BuildEnvironment] = {}
        self._declared: dict[str, Path] = {}

    def __enter__(self) -> Environments:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with self._lock:
            folder, self._folder = self._folder, None
            self._made.clear()
            self._declared.clear()
        if folder is not None:
            remove(folder)

    def environment(self, interpreter: Interpreter, tools: Sequence[Tool], *, sandbox: Sandbox | None = None) -> BuildEnvironment:
        """The environment of these tools, made if there is none yet. Raises what ``build_environment`` raises, and makes it anew then.

        That of an interpreter of a build root is made by itself, in ``sandbox`` (by default the workshop's).
        """
        parts = [str(interpreter.root), str(interpreter.executable), *sorted(f"{tool.filename} {tool.sha256}" for tool in tools)]
        with self._alone(parts) as folder:
            found = self._made.get(folder.name)
            if found is None:
                remove(folder)
                uv, stop = self._shop.uv, self._shop.stop
                if interpreter.root is not None:
                    found = _in_root(tools, interpreter=interpreter, sandbox=sandbox or self._shop.sandbox, folder=folder, stop=stop)
                elif self._kept is not None and (sandbox or self._shop.sandbox).name != "none":
                    found = self._lasting(self._kept, interpreter, tools, sandbox or self._shop.sandbox, folder)
                else:
                    found = build_environment(tools, python=interpreter.executable, uv=uv, folder=folder, stop=stop)
                self._made[folder.name] = found
            return found

    def _lasting(
        self, kept: KeptEnvironments, interpreter: Interpreter, tools: Sequence[Tool], sandbox: Sandbox, folder: Path
    ) -> BuildEnvironment:
        """The one in the cache, else it is made in ``folder``, with bytecode, and goes there."""
        parts = [str(_SCHEMA), interpreter.label, interpreter.abi, str(interpreter.executable), sandbox.name]
        parts += sorted(f"{tool.filename} {tool.sha256}" for tool in tools)
        key = _digest(parts)
        found = kept.find(key)
        if found is None:
            stop = self._shop.stop
            made = build_environment(tools, python=interpreter.executable, uv=self._shop.uv, folder=folder, stop=stop)
            self._bytecode.add(folder, interpreter=interpreter, sandbox=sandbox, beside=folder.parent, stop=stop)
            found = kept.keep(key, folder)
            if not self._swept:
                self._swept = True
                kept.sweep()
            return replace(made, folder=found, python=_python(found))
        return BuildEnvironment(folder=found, python=_python(found), installed=_pins(tools))

    def programs(self, names: Sequence[str], *, root: Path | None = None) -> Path:
        """A folder with what every build may call, and these programs besides; of the unpacked system in ``root``, if there is one."""
        with self._alone(["programs", str(root), *sorted(set(names))]) as folder:
            if folder.name not in self._declared:
                remove(folder)
                declare_tools(folder, names, root=root)
                self._declared[folder.name] = folder
            return folder

    @contextmanager
    def _alone(self, parts: Sequence[str]) -> Iterator[Path]:
        """The folder of what these parts tell, which nobody else makes meanwhile."""
        key = _digest(parts)[:16]
        with self._lock:
            if self._folder is None:
                self._shop.work.mkdir(parents=True, exist_ok=True)
                self._folder = Path(tempfile.mkdtemp(prefix=".hardtack-environments-", dir=self._shop.work))
            folder = self._folder
            own = self._locks.setdefault(key, threading.Lock())
        # While it is in use it is young, whatever another run's sweep thinks of a folder that was made yesterday.
        os.utime(folder)
        with own:
            yield folder / key


def _digest(parts: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode("utf-8", "surrogateescape")).hexdigest()


def _python(folder: Path) -> Path:
    return folder / "Scripts" / "python.exe" if os.name == "nt" else folder / "bin" / "python"


def _pins(tools: Sequence[Tool]) -> dict[str, str]:
    return {_pin(tool): tool.sha256 for tool in sorted(tools, key=lambda tool: (tool.filename, tool.sha256))}


def _pin(tool: Tool) -> str:
    try:
        name, version, _, _ = parse_wheel_filename(tool.filename)
    except InvalidWheelFilename as error:
        raise BuildRequirementFault(f"a build requirement is no wheel: {error}") from error
    if tool.filename != os.path.basename(tool.filename) or name != canonicalize_name(tool.name):
        raise BuildRequirementFault(f"a build requirement has the name of something else: {tool.name} is {tool.filename}")
    return f"{name}=={version}"


def _under_its_name(tool: Tool, folder: Path) -> str:
    """A line of a requirements file: the wheel, which uv takes by its name alone, and what its bytes must be."""
    named = folder / tool.sha256 / tool.filename
    if not (named.exists() and named.samefile(tool.path)):
        place(tool.path, named)
    return f"{canonicalize_name(tool.name)} @ {named.as_uri()} --hash=sha256:{tool.sha256}"


def _last_words(stderr: str) -> str:
    """uv's reason in one line: its drawing and its own hints left out."""
    lines = []
    for line in stderr.splitlines():
        text = line.strip().lstrip("\u00d7\u2570\u2500\u25b6\u251c\u2502 ").strip()  # its drawing
        if text.startswith("hint:"):
            break
        if text and not text.startswith("warning:"):
            lines.append(text)
    return " ".join(lines) or "no reason given"

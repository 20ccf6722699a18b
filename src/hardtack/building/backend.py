"""A source's build backend, asked through the sandbox (PEP 517): every line of its code runs confined."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from packaging.requirements import InvalidRequirement, Requirement

from hardtack.building.contained import run_contained
from hardtack.building.environment import BuildEnvironment, Environments
from hardtack.building.faults import BadBackend as BadBackend
from hardtack.building.faults import WrongWheel as WrongWheel
from hardtack.building.hint import hint_for
from hardtack.building.interpreter import Interpreter, folders
from hardtack.building.sandbox_launch import Mount
from hardtack.building.workshop import Workshop
from hardtack.errors import BuildFault
from hardtack.model.recipe import Recipe
from hardtack.model.wheel import SdistFacts

_ANSWER_LIMIT = 16 << 20  # bytes of a hook's answer
_TAIL_LINES = 20

# Folders of a build, at the same place inside whatever their place here: paths leak into compiled files.
_SOURCE, _OUTPUT, _METADATA, _ENVIRONMENT, _HOME, _TEMPORARY, _ANSWER, _SCRIPTS, _TOOLS = (
    f"/build/{name}" for name in ("source", "output", "metadata", "env", "home", "tmp", "answer", "hooks", "tools")
)

# Starts a hook with temporary names that are the same each time: they are paths of what is compiled in such a folder, and stay in it.
# Nothing is imported from the source.
_START = """
import sys
sys.path[:] = [path for path in sys.path if path]
import itertools, os, runpy, tempfile
tempfile._name_sequence = map("{:08}".format, itertools.count())
sys.argv = sys.argv[1:]
sys.path.insert(0, os.path.dirname(sys.argv[0]))
runpy.run_path(sys.argv[0], run_name="__main__")
"""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceTree:
    """An unpacked source, and what its archive says of itself. ``root``: the folder around it that belongs to it too (a repository's)."""

    path: Path
    facts: SdistFacts
    root: Path | None = None


class Backend:
    """The hooks of one source, in one work folder. Folder and log belong to the caller; errors name ``kept_log``, where it will lie.

    ``variables`` and ``programs`` are the source's own, besides those of its recipe.
    """

    def __init__(
        self,
        tree: SourceTree,
        *,
        shop: Workshop,
        environments: Environments,
        interpreter: Interpreter,
        recipe: Recipe,
        work: Path,
        log: Path,
        kept_log: Path,
        variables: Mapping[str, str] | None = None,
        programs: Sequence[str] = (),
    ) -> None:
        self._tree = tree
        self._shop = shop
        self._sandbox = shop.sandbox
        self._interpreter = interpreter
        self._settings = dict(sorted(recipe.settings.items()))
        self._more = {**(variables or {}), **dict(recipe.variables)}
        self.log = log
        self._kept_log = kept_log
        self._environment: BuildEnvironment | None = None
        self.output = work / "output"
        self.metadata = work / "metadata"
        self._home = work / "home"
        self._temporary = work / "tmp"
        self._shared = work / "shm"
        for folder in (self.output, self.metadata, self._home, self._temporary, self._shared):
            folder.mkdir(parents=True)
        self._tools: Path | None = None
        if os.name != "nt":
            root = self._sandbox.root
            self._tools = environments.programs((*programs, *recipe.tools), root=root.folder if root is not None else None)

    def use(self, environment: BuildEnvironment) -> None:
        """Run the next hooks in this environment."""
        self._environment = environment

    def wanted(self, kind: str = "wheel") -> tuple[Requirement, ...]:
        """get_requires_for_build_wheel (or _sdist, _editable): what the backend wants beyond the static requirements."""
        hook = f"get_requires_for_build_{kind}"
        answer = self._call(lambda hooks: getattr(hooks, hook)(self._settings))
        if not isinstance(answer, list) or not all(isinstance(text, str) for text in answer):
            raise BadBackend(f"{hook} did not answer with a list of requirements", where=self._where)
        wanted = []
        for text in answer:
            try:
                wanted.append(Requirement(text))
            except InvalidRequirement as error:
                raise BadBackend(f"{hook} asks for {text!r}, which is no requirement", where=self._where) from error
        return tuple(wanted)

    def prepare(self) -> str:
        """prepare_metadata_for_build_wheel, or a wheel's own: the name of the dist-info folder that now lies in ``metadata``."""
        place = self._sandbox.inside(self.metadata, self._mounts(None))
        return self._name(
            self._call(lambda hooks: hooks.prepare_metadata_for_build_wheel(place, self._settings)), "prepare_metadata_for_build_wheel"
        )

    def build(self) -> str:
        """build_wheel: the name, by the backend's word, of the wheel that now lies in ``output``."""
        place = self._sandbox.inside(self.output, self._mounts(None))
        return self._name(self._call(lambda hooks: hooks.build_wheel(place, self._settings)), "build_wheel")

    def build_sdist(self) -> str:
        """build_sdist: the name, by the backend's word, of the source archive that now lies in ``output``."""
        place = self._sandbox.inside(self.output, self._mounts(None))
        return self._name(self._call(lambda hooks: hooks.build_sdist(place, self._settings)), "build_sdist")

    @property
    def _where(self) -> str:
        return self._tree.facts.filename

    def _name(self, answer: object, hook: str) -> str:
        if not isinstance(answer, str):
            raise BadBackend(f"{hook} did not answer with a name but with {type(answer).__name__}", where=self._where)
        return answer

    def _call(self, ask: Callable[[Any], T]) -> T:
        import pyproject_hooks

        facts = self._tree.facts
        assert self._environment is not None
        try:
            hooks = pyproject_hooks.BuildBackendHookCaller(
                str(self._tree.path),
                facts.backend,
                backend_path=list(facts.backend_path) or None,
                runner=self._run,
                python_executable=str(self._environment.python),
            )
        except ValueError as error:
            raise BadBackend(f"backend-path: {error}", where=self._where) from error
        try:
            return ask(hooks)
        except pyproject_hooks.BackendUnavailable as error:
            self._write(error.traceback)
            raise self._failed(f"its build backend {facts.backend!r} cannot be imported") from error
        except pyproject_hooks.HookMissing as error:
            raise BadBackend(f"its build backend {facts.backend!r} has no {error.hook_name}", where=self._where) from error
        except pyproject_hooks.UnsupportedOperation as error:
            self._write(error.traceback)
            raise self._failed(f"its build backend {facts.backend!r} says that it cannot do this") from error

    def _run(self, cmd: Sequence[str], cwd: str | None = None, extra_environ: Mapping[str, str] | None = None) -> None:
        """The runner that pyproject-hooks calls: python, its script, the hook's name, the folder of question and answer; in the source."""
        python, script, hook, answers = cmd
        folder = Path(answers)
        mounts = [
            *self._mounts(folder),
            Mount(host=Path(script).parent, inside=_SCRIPTS),
        ]

        def inside(path: str) -> str:
            return self._sandbox.inside(Path(path), mounts)

        more = dict(extra_environ or {})
        backend_path = "_PYPROJECT_HOOKS_BACKEND_PATH_JSON"
        if backend_path in more:
            more[backend_path] = json.dumps([inside(path) for path in json.loads(more[backend_path])])
        # Isolated from the user's site; not -I, which would ignore our PYTHON* settings and those of the hook.
        argv = [inside(python), "-c", _START, inside(script), hook, inside(answers)]
        launch = self._sandbox.launch(
            argv,
            mounts=mounts,
            cwd=Path(cwd or self._tree.path),
            environment={**self._variables(mounts), **more},
            limits=self._shop.limits,
        )
        self._write(f"--- {hook}\n")
        ended = run_contained(launch, log=self.log, stop=self._shop.stop, limits=self._shop.limits)
        if ended.limit is not None:
            raise self._failed(f"{hook} was ended: {ended.limit}")
        if ended.code != 0:
            raise self._failed(f"{hook} failed")
        self._clean_answer(folder / "output.json", hook)

    def _clean_answer(self, path: Path, hook: str) -> None:
        """See that the answer is a small regular file of JSON before anyone reads it, and take the warnings out (into the log)."""
        try:
            state = path.lstat()
        except OSError:
            raise self._failed(f"{hook} ended without an answer") from None
        if not stat.S_ISREG(state.st_mode) or state.st_size > _ANSWER_LIMIT:
            raise BadBackend(f"{hook} left something that is no answer", where=self._where)
        try:
            answer = json.loads(path.read_bytes())
            if not isinstance(answer, dict):
                raise ValueError
        except (ValueError, RecursionError):
            raise BadBackend(f"{hook} left something that is no answer", where=self._where) from None
        for warning in answer.pop("warnings", []) or []:
            self._write(f"warning: {warning}\n")
        answer.setdefault("return_val", None)
        path.write_text(json.dumps(answer), encoding="utf-8")

    def _mounts(self, answers: Path | None) -> list[Mount]:
        assert self._environment is not None
        mounts = [
            Mount(host=self._tree.root or self._tree.path, inside=_SOURCE, writable=True),
            Mount(host=self.output, inside=_OUTPUT, writable=True),
            Mount(host=self.metadata, inside=_METADATA, writable=True),
            Mount(host=self._home, inside=_HOME, writable=True),
            Mount(host=self._temporary, inside=_TEMPORARY, writable=True),
            # Here too, for what asks nobody; on a disk, where it is counted.
            Mount(host=self._temporary, inside="/tmp", writable=True),  # noqa: S108
            Mount(host=self._shared, inside="/dev/shm", writable=True),  # noqa: S108
            *([Mount(host=self._tools, inside=_TOOLS)] if self._tools is not None else []),
            Mount(host=self._environment.folder, inside=_ENVIRONMENT),
            *(Mount(host=folder, inside=str(folder)) for folder in folders(self._interpreter)),
        ]
        if answers is not None:
            mounts.append(Mount(host=answers, inside=_ANSWER, writable=True))
        return mounts

    def _variables(self, mounts: Sequence[Mount]) -> dict[str, str]:
        assert self._environment is not None
        home = self._sandbox.inside(self._home, mounts)
        temporary = self._sandbox.inside(self._temporary, mounts)
        scripts = self._sandbox.inside(self._environment.python.parent, mounts)
        path = scripts if self._tools is None else f"{scripts}:{self._sandbox.inside(self._tools, mounts)}"
        return {
            "PATH": path,
            "HOME": home,
            "USERPROFILE": home,
            "TMPDIR": temporary,
            "TEMP": temporary,
            "TMP": temporary,
            "LC_ALL": "C.UTF-8",
            "TZ": self._shop.zone,
            "SOURCE_DATE_EPOCH": str(self._shop.source_date_epoch),
            "PYTHONHASHSEED": "0",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONNOUSERSITE": "1",
            # Where no sandbox shuts the network, at least the usual tools are told that there is none.
            "PIP_NO_INDEX": "1",
            "UV_OFFLINE": "1",
            "CARGO_NET_OFFLINE": "true",
            # How many at once, for those that know what depends on what, so that it changes nothing that comes out. Not MAKEFLAGS: a
            # Makefile that somebody wrote may be right only in order. A recipe may set it for one that is known to be whole.
            "CMAKE_BUILD_PARALLEL_LEVEL": str(self._shop.cores),
            "CARGO_BUILD_JOBS": str(self._shop.cores),
            "MAX_JOBS": str(self._shop.cores),
            **self._more,
        }

    def _write(self, text: str) -> None:
        with open(self.log, "a", encoding="utf-8") as stream:
            stream.write(text)

    def _failed(self, reason: str) -> BuildFault:
        tail = read_tail(self.log)
        hint = hint_for(tail, package=self._tree.facts.name)
        if hint is not None and self._sandbox.root is not None:
            hint = f"in the build root ({self._sandbox.root.label}): {hint}"
        return BuildFault(
            f"{reason}; the last lines of its log ({self._kept_log}):\n{_indented(tail)}",
            where=self._where,
            hint=hint,
        )


def read_tail(log: Path, *, limit: int = 64 << 10) -> str:
    """The last ``limit`` bytes of a log, without what could move a terminal's cursor."""
    with open(log, "rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - limit))
        text = stream.read().decode("utf-8", "replace")
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|[^\S\n\t ]|[\x00-\x08\x0b-\x1f\x7f]", "", text)


def _indented(text: str) -> str:
    lines = [line.rstrip() for line in text.splitlines() if line.strip()][-_TAIL_LINES:]
    return "\n".join(f"    {line[:400]}" for line in lines)

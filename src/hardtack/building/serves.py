"""Whom a built wheel serves, which builds are still to be made for the others, and what would help where none can be."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from packaging.tags import Tag

from hardtack.building.interpreter import Interpreter
from hardtack.errors import HardtackError
from hardtack.model.fit import Fit
from hardtack.model.target import Target
from hardtack.targets.catalog import parse_target
from hardtack.targets.names import name_of
from hardtack.wheelhouse.native import NativeFacts, SymbolNeed

_IMPLEMENTATIONS = {"cpython": "CPython", "pypy": "PyPy", "pyodide": "Pyodide"}
_OS = {"linux": "Linux", "macos": "macOS", "windows": "Windows", "emscripten": "Pyodide"}


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildJob:
    """Build with this interpreter; the wheel is meant for ``targets``, by name, and may serve more or fewer."""

    interpreter: Interpreter
    targets: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildGap:
    """No build on this machine serves the target. ``command`` fills the gap where it is run, and ``hint`` says where and how."""

    target: str
    code: str
    reason: str
    command: str
    hint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A build that was done: who did it, what came of it. ``tags`` is empty where it failed."""

    interpreter: Interpreter
    tags: frozenset[Tag] = frozenset()
    outside: tuple[str, ...] = ()
    native: NativeFacts | None = None


def serves(tags: frozenset[Tag], targets: Iterable[Target]) -> tuple[str, ...]:
    """The names of the targets that load a wheel with these tags. Its Requires-Python is another matter."""
    return tuple(target.name for target in targets if Fit(target).rank(tags) is not None)


def plan_builds(
    targets: Sequence[Target], interpreters: Sequence[Interpreter], *, made: Sequence[Made] = (), compiled: bool = False
) -> tuple[BuildJob, ...]:
    """The builds to make next; none where nothing more can be done here.

    ``interpreters`` of this machine and of a build root, the preferred one first. Nobody knows what a source becomes before it was built:
    the first round is one build, with the preferred interpreter, or, where the source looks ``compiled``, with the one that serves the
    target of the first that some target has, if any. What is pure then serves all; else each later round has one build for each kind of
    interpreter that targets without a wheel have, that is here, and that was not tried.

    Of several of a target's kind, the one with the oldest glibc is taken, if that is not above the target's floor: what it makes serves the
    most. Those above it are tried only where no older one made a wheel.
    """
    if not targets or not interpreters:
        return ()
    if not made:
        # A source that looks compiled is not compiled for nobody: that can take an hour, and serves no target.
        first = next(((one, target) for one in interpreters for target in targets if matches(one, target)), None)
        if not compiled:
            return (BuildJob(interpreter=interpreters[0], targets=tuple(target.name for target in targets)),)
        if first is None:
            return ()
        lowest = min((target for target in targets if matches(first[0], target)), key=lambda target: target.platform.floor or (0, 0))
        return (BuildJob(interpreter=_ranked(lowest, interpreters)[0], targets=tuple(target.name for target in targets)),)
    tried = {_kind(one.interpreter) for one in made}
    jobs: dict[tuple[object, ...], tuple[Interpreter, list[str]]] = {}
    for target in _without(targets, made):
        # Where one made a wheel that is too new for the target, a newer C library's is too. Libraries that it lacks are another matter:
        # what brings them along may run in one system and not in the other.
        own = [one for one in made if one.tags and not one.outside and matches(one.interpreter, target)]
        floors = [one.interpreter.libc_version or (0, 0) for one in own]
        for interpreter in _ranked(target, interpreters):
            kind = _kind(interpreter)
            if kind not in tried and all((interpreter.libc_version or (0, 0)) < floor for floor in floors):
                jobs.setdefault(kind, (interpreter, []))[1].append(target.name)
                break
    return tuple(BuildJob(interpreter=interpreter, targets=tuple(names)) for interpreter, names in jobs.values())


def _ranked(target: Target, interpreters: Sequence[Interpreter]) -> list[Interpreter]:
    """The interpreters of the target's kind: the oldest glibc first, those above the target's floor after those that are not."""
    floor = target.platform.floor or (0, 0)
    mine = [one for one in interpreters if matches(one, target)]
    # Of those alike, a root's, which was given for this; then the preferred one.
    return sorted(mine, key=lambda one: ((one.libc_version or (0, 0)) > floor, one.libc_version or (0, 0), one.root is None))


def build_gaps(
    targets: Sequence[Target],
    interpreters: Sequence[Interpreter],
    *,
    made: Sequence[Made],
    name: str,
    version: str,
    asked: Sequence[str] | None = None,
    wheelhouse: str = "wheelhouse",
) -> tuple[BuildGap, ...]:
    """One gap for each target that no made wheel serves: why, and the command that fills it. For when ``plan_builds`` has nothing more.

    ``asked`` are the words after ``hardtack build`` that ask for what was asked for here, without targets and output; None where only
    this package is known, which is then taken from the usual index. ``wheelhouse`` is where the result was to go.
    """
    words = [f"{name}=={version}", "--no-binary", name] if asked is None else list(asked)
    return tuple(_gap(target, interpreters, made, _Commands(words, target, wheelhouse)) for target in _without(targets, made))


class _Commands:
    """What is typed to fill a target's gap: where it can be built, and here."""

    def __init__(self, words: Sequence[str], target: Target, wheelhouse: str) -> None:
        self.there = shlex.join(["hardtack", "build", *words, "-t", _spelled(target), "-o", "built"])
        merge = shlex.join(["hardtack", "merge", wheelhouse, "built"])
        self.join = f"bring its folder here, where --keep-incomplete kept the rest, and run `{merge}`"


def _spelled(target: Target) -> str:
    """A name that means this target on any machine: its own may come from a file of settings, or be this host's."""
    try:
        known = parse_target(target.name)
        if (known.tags, known.patches) == (target.tags, target.patches):
            return target.name
    except HardtackError:
        pass
    return name_of(target.implementation, target.python, target.free_threaded, target.platform)


def matches(interpreter: Interpreter, target: Target) -> bool:
    """True if the interpreter compiles for the target's own ABI, system and machine. The floor is seen afterwards."""
    return (
        interpreter.implementation == target.implementation
        and interpreter.version.release[:2] == target.python
        and interpreter.free_threaded == target.free_threaded
        and _same_platform(interpreter, target)
    )


def _same_platform(interpreter: Interpreter, target: Target) -> bool:
    ours = target.platform
    return (interpreter.os, interpreter.arch, interpreter.libc) == (ours.os, ours.arch, ours.libc)


def _kind(interpreter: Interpreter) -> tuple[object, ...]:
    release = interpreter.version.release[:2]
    one = interpreter
    # A root has compilers and libraries of its own: what fails here may not fail there.
    return (one.implementation, release, one.free_threaded, one.os, one.arch, one.libc, one.libc_version, one.root)


def _without(targets: Sequence[Target], made: Sequence[Made]) -> list[Target]:
    fits = ((target, Fit(target)) for target in targets)
    return [target for target, fit in fits if all(fit.rank(one.tags) is None for one in made if one.tags)]


def _gap(target: Target, interpreters: Sequence[Interpreter], made: Sequence[Made], commands: _Commands) -> BuildGap:
    platform = _platform(target)
    own = [one for one in made if one.tags and matches(one.interpreter, target)]
    if own:
        return _misfit(target, min(own, key=lambda one: one.interpreter.libc_version or (0, 0)), commands)
    python = _python(target)
    there = f"on {platform} with {python} run `{commands.there}`, {commands.join}"
    if not any(_same_platform(interpreter, target) for interpreter in interpreters):
        here = interpreters[0].abi.partition(", ")[2] if interpreters else "this machine"
        # Another C library on the same machine: a system that has it can be entered here.
        entered = any((one.os, one.arch) == (target.platform.os, target.platform.arch) for one in interpreters)
        return BuildGap(
            target=target.name,
            code="needs-build",
            reason=f"it {'is' if made else 'looks'} compiled, and a build here ({here}) makes nothing for {platform}",
            command=commands.there,
            hint=f"{_root(platform, python)}; or {there}" if entered else there,
        )
    failed = [one for one in made if not one.tags and matches(one.interpreter, target)]
    if failed:
        reason = f"its build with {python} failed"
    elif any(matches(interpreter, target) for interpreter in interpreters):
        reason = f"it is compiled, and was not built with {python}"
    else:
        reason = f"it {'is' if made else 'looks'} compiled, and there is no {python} here to compile it with"
    return BuildGap(
        target=target.name,
        code="needs-build",
        reason=reason,
        command=commands.there,
        hint=f"install {python} here and run again; or {there}",
    )


def _root(system: str, python: str) -> str:
    """What is said of a build root that would do."""
    return f"run again with `--build-root DIR`, where {system} is unpacked in DIR, with {python} and a compiler (docs/compiled.md)"


def _misfit(target: Target, made: Made, commands: _Commands) -> BuildGap:
    """Why a wheel that was built by the target's own kind of interpreter does not fit: its floor, or libraries that it leaves outside."""
    floor = target.platform.floor
    platform = _platform(target)
    rooted = made.interpreter.root is not None
    if made.outside:
        shown = ", ".join(made.outside[:6])
        repair = "pip install 'hardtack[repair]'"
        return BuildGap(
            target=target.name,
            code="host-library",
            reason=f"the wheel built {'in the build root' if rooted else 'here'} needs libraries of "
            f"{'it' if rooted else 'this host'} that not every {platform} has ({shown})",
            command=repair,
            hint=f"install what brings them along ({repair})"
            + (", give a build root with a Python that it runs on (a manylinux image has one)," if rooted else "")
            + f" and run again; or run `{commands.there}` where it is, {commands.join}",
        )
    python = _python(target)
    above: dict[str, SymbolNeed] = {}
    if made.native is not None and floor is not None and target.platform.libc == "glibc":
        for need in made.native.needs(target.platform.arch):
            if need.floor > floor:
                above.setdefault(need.version, need)
    if above and floor is not None:
        worst = sorted(above.values(), key=lambda need: (need.floor, need.version), reverse=True)
        shown = ", ".join(str(need) for need in worst[:3]) + (f" and {len(worst) - 3} more" if len(worst) > 3 else "")
        old = f"a system with glibc {floor[0]}.{floor[1]} or older"
        return BuildGap(
            target=target.name,
            code="glibc-floor",
            reason=f"the wheel built {'in the build root' if rooted else 'here'} needs {shown}, the target has {floor[0]}.{floor[1]}",
            command=commands.there,
            hint=f"{_root(old, python)}; or on {old} run `{commands.there}`, {commands.join}",
        )
    return BuildGap(
        target=target.name,
        code="needs-build",
        reason=f"the wheel built here does not fit: {Fit(target).misfit(made.tags)}",
        command=commands.there,
        hint=f"on {platform} run `{commands.there}`, {commands.join}",
    )


def _python(target: Target) -> str:
    return f"{_IMPLEMENTATIONS[target.implementation]} {target.python[0]}.{target.python[1]}{'t' if target.free_threaded else ''}"


def _platform(target: Target) -> str:
    ours = target.platform
    floor = f" {ours.floor[0]}.{ours.floor[1]}" if ours.floor and ours.os != "emscripten" else ""
    libc = f" with {ours.libc}{floor}" if ours.libc else floor
    return re.sub(r"\s+", " ", f"{_OS[ours.os]} {ours.arch}{libc}")

"""Whom a built wheel serves, which builds are still to be made for the others, and what would help where none can be."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from packaging.tags import Tag

from hardtack.building.interpreter import Interpreter
from hardtack.model.fit import Fit
from hardtack.model.target import Target
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

    ``interpreters`` of this machine, the preferred one first. Nobody knows what a source becomes before it was built: the first round is
    one build, with the preferred interpreter, or, where the source looks ``compiled``, with the first that some target has, if any. What
    is pure then serves all; else each later round has one build for each kind of interpreter that targets without a wheel have, that this
    machine has, and that was not tried.
    """
    if not targets or not interpreters:
        return ()
    if not made:
        # A source that looks compiled is not compiled for nobody: that can take an hour, and serves no target.
        suited = [one for one in interpreters if not compiled or any(matches(one, target) for target in targets)]
        if not suited:
            return ()
        return (BuildJob(interpreter=suited[0], targets=tuple(target.name for target in targets)),)
    tried = {_kind(one.interpreter) for one in made}
    jobs: dict[tuple[object, ...], tuple[Interpreter, list[str]]] = {}
    for target in _without(targets, made):
        for interpreter in interpreters:
            kind = _kind(interpreter)
            if kind not in tried and matches(interpreter, target):
                jobs.setdefault(kind, (interpreter, []))[1].append(target.name)
                break
    return tuple(BuildJob(interpreter=interpreter, targets=tuple(names)) for interpreter, names in jobs.values())


def build_gaps(
    targets: Sequence[Target], interpreters: Sequence[Interpreter], *, made: Sequence[Made], name: str, version: str
) -> tuple[BuildGap, ...]:
    """One gap for each target that no made wheel serves: why, and the command that fills it. For when ``plan_builds`` has nothing more."""
    return tuple(_gap(target, interpreters, made, name, version) for target in _without(targets, made))


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
    return (interpreter.implementation, release, interpreter.free_threaded, interpreter.os, interpreter.arch, interpreter.libc)


def _without(targets: Sequence[Target], made: Sequence[Made]) -> list[Target]:
    fits = ((target, Fit(target)) for target in targets)
    return [target for target, fit in fits if all(fit.rank(one.tags) is None for one in made if one.tags)]


def _gap(target: Target, interpreters: Sequence[Interpreter], made: Sequence[Made], name: str, version: str) -> BuildGap:
    command = f"hardtack build {name}=={version} --no-binary {name} -t {target.name} -o built"
    then = "then add --find-links built here"
    platform = _platform(target)
    own = [one for one in made if one.tags and matches(one.interpreter, target)]
    if own:
        return _misfit(target, own[0], command, then)
    python = f"{_IMPLEMENTATIONS[target.implementation]} {target.python[0]}.{target.python[1]}{'t' if target.free_threaded else ''}"
    if not any(_same_platform(interpreter, target) for interpreter in interpreters):
        here = interpreters[0].abi.partition(", ")[2] if interpreters else "this machine"
        return BuildGap(
            target=target.name,
            code="needs-build",
            reason=f"it {'is' if made else 'looks'} compiled, and a build here ({here}) makes nothing for {platform}",
            command=command,
            hint=f"on {platform} with {python} run `{command}`, {then}",
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
        command=command,
        hint=f"install {python} here and run again; or, on {platform} with it, run `{command}`, {then}",
    )


def _misfit(target: Target, made: Made, command: str, then: str) -> BuildGap:
    """Why a wheel that was built by the target's own kind of interpreter does not fit: its floor, or libraries that it leaves outside."""
    floor = target.platform.floor
    platform = _platform(target)
    if made.outside:
        shown = ", ".join(made.outside[:6])
        return BuildGap(
            target=target.name,
            code="host-library",
            reason=f"the wheel built here needs libraries of this host that not every {platform} has ({shown})",
            command="pip install 'hardtack[repair]'",
            hint=f"install what brings them along (pip install 'hardtack[repair]') and run again; or run `{command}` where it is, {then}",
        )
    above: dict[str, SymbolNeed] = {}
    if made.native is not None and floor is not None and target.platform.libc == "glibc":
        for need in made.native.needs(target.platform.arch):
            if need.floor > floor:
                above.setdefault(need.version, need)
    if above and floor is not None:
        worst = sorted(above.values(), key=lambda need: (need.floor, need.version), reverse=True)
        shown = ", ".join(str(need) for need in worst[:3]) + (f" and {len(worst) - 3} more" if len(worst) > 3 else "")
        return BuildGap(
            target=target.name,
            code="glibc-floor",
            reason=f"the wheel built here needs {shown}, the target has {floor[0]}.{floor[1]}",
            command=command,
            hint=f"on a system as old as the target (glibc {floor[0]}.{floor[1]} or older, such as a manylinux container) "
            f"run `{command}`, {then}",
        )
    return BuildGap(
        target=target.name,
        code="needs-build",
        reason=f"the wheel built here does not fit: {Fit(target).misfit(made.tags)}",
        command=command,
        hint=f"on {platform} run `{command}`, {then}",
    )


def _platform(target: Target) -> str:
    ours = target.platform
    floor = f" {ours.floor[0]}.{ours.floor[1]}" if ours.floor and ours.os != "emscripten" else ""
    libc = f" with {ours.libc}{floor}" if ours.libc else floor
    return re.sub(r"\s+", " ", f"{_OS[ours.os]} {ours.arch}{libc}")

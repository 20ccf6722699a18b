"""A build root: an unpacked older system that builds run in, so that what they compile runs on systems as old as that."""

from __future__ import annotations

import functools
import importlib.metadata
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from hardtack.building.contained import run_contained
from hardtack.building.interpreter import QUESTION, Interpreter, folders, installed, told
from hardtack.building.repair import Repairer
from hardtack.building.sandbox_bubblewrap import Bubblewrap
from hardtack.building.sandbox_launch import Limits, Mount, Sandbox
from hardtack.building.sandbox_probe import probe
from hardtack.building.sandbox_root import BadRoot as BadRoot
from hardtack.building.sandbox_root import read_root
from hardtack.building.sandbox_system import root_folders
from hardtack.building.sandbox_within import listed, within
from hardtack.building.workshop import Workshop
from hardtack.reporting import Reporter
from hardtack.system.cancellation import Cancellation
from hardtack.system.uv import Uv

_LIMITS = Limits(seconds=60, disk=1 << 26, log=1 << 20)
_VARIABLES = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/build/room", "TMPDIR": "/build/room", "LC_ALL": "C.UTF-8"}
_MOST = 64  # Pythons that are asked
_PYTHON = re.compile(r"(?:python|pypy)3(?:\.\d+t?)?")
# Asks one after the other; what each says follows the line that names it.
_ASK_ALL = 'question=$1; shift; for python; do echo; echo "== $python"; "$python" -I -S -c "$question"; done; echo; echo "== end"; true'
# Extension modules that a Python needs other libraries for: a self-contained one brings them.
_NEEDED = ("zlib", "_ctypes", "_hashlib", "_ssl", "_bz2", "_lzma", "_struct", "_socket", "_posixsubprocess", "math", "select", "pyexpat")
_WHOLE = f"import importlib.util\nfor name in {_NEEDED!r}:\n    if importlib.util.find_spec(name): __import__(name)\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRoot:
    """An unpacked system in ``folder`` that was entered and proven.

    ``sandbox`` shows it in place of this machine's system. ``interpreters`` run in it, and in no other sandbox: its own, and those of this
    machine that need nothing of a system; the newest first. ``label`` tells what it is without telling where ("glibc 2.28 (Debian 10)");
    ``glibc`` is None for musl. ``digest`` tells roots of one label apart, by the names, sizes and times of what is in them.
    """

    folder: Path
    sandbox: Bubblewrap
    interpreters: tuple[Interpreter, ...]
    label: str
    glibc: tuple[int, int] | None
    digest: str

    def enter(self, shop: Workshop) -> Workshop:
        """The workshop in which ``interpreters`` build: with this sandbox, the root's compilers, and a repairer that works in it."""
        compilers = functools.cache(lambda: _compilers(self.sandbox, self.folder, shop.work, shop.stop))
        return replace(shop, sandbox=self.sandbox, compilers=compilers, repairer=self._repairer(shop))

    def _repairer(self, shop: Workshop) -> Repairer | None:
        """The workshop's, run by a Python of the root, so that it sees the root's libraries and none of this machine's.

        None where it does not run there: what a wheel needs of the root then stays outside of it, and is told.
        """
        if shop.repairer is None:
            return None
        allowed = _requires_python(shop.repairer.name)
        for python in self.interpreters:
            if allowed.contains(python.version, prereleases=True) and _repairs(shop.repairer, python, self.sandbox, shop.work, shop.stop):
                return replace(shop.repairer, runner=python)
        shop.reporter.detail(f"{shop.repairer.name} wants Python {allowed or 'of another kind'} and runs with none of {self.label}")
        return None


def open_root(folder: Path, *, sandbox: Sandbox, python: Path, uv: Uv, work: Path, stop: Cancellation, reporter: Reporter) -> BuildRoot:
    """The system that was unpacked in ``folder``, entered by ``sandbox`` and proven by what cannot be done in it.

    ``python`` runs hardtack; it and the other Pythons that ``uv`` finds may be used in the root where they run there. ``work`` is for
    temporary folders. Raises BadRoot, with what would help, where the folder is no system, or no Python runs in it.
    """
    system = read_root(folder)
    if not isinstance(sandbox, Bubblewrap):
        raise BadRoot(
            f"a build root can only be entered by bubblewrap, and builds here run in {sandbox.name}"
            if sandbox.name != "none"
            else "a build root can only be entered by bubblewrap, which does not run here",
            where=str(folder),
            hint="install bubblewrap (the package of that name on most distributions) where user namespaces are allowed",
        )
    rooted = replace(sandbox, root=system)
    own = _own(rooted, system.folder, work, stop)
    here = [one for one in installed(uv, python, stop) if _kind(one) not in {_kind(other) for other in own}]
    found = sorted(
        (*own, *_lent(rooted, system.folder, here, work, stop)),
        key=lambda one: (not one.version.is_prerelease, one.version, str(one.executable)),
        reverse=True,
    )
    if not found:
        raise BadRoot(
            f"no Python runs in this build root ({system.label})",
            where=str(folder),
            hint="install one in it, with its headers (python3-dev, python3-devel), or a self-contained one here (uv python install)",
        )
    failure = probe(rooted, python=found[0])
    if failure is not None:
        raise BadRoot(f"builds would not be contained in this build root: {failure}", where=str(folder))
    reporter.detail(f"build root: {system.label}, with {', '.join(one.label for one in found)}")
    return BuildRoot(
        folder=system.folder, sandbox=rooted, interpreters=tuple(found), label=system.label, glibc=system.glibc, digest=system.digest
    )


def _kind(interpreter: Interpreter) -> tuple[object, ...]:
    return interpreter.implementation, interpreter.version.release[:2], interpreter.free_threaded, interpreter.arch


def _own(sandbox: Bubblewrap, root: Path, work: Path, stop: Cancellation) -> list[Interpreter]:
    """The root's own Pythons, each once."""
    candidates: dict[Path, str] = {}
    for path in _candidates(root):
        place = within(root, path)
        if place is not None and place.is_file():
            candidates.setdefault(place, path)
    paths = list(candidates.values())[:_MOST]
    said = _run(sandbox, ["/bin/sh", "-c", _ASK_ALL, "sh", QUESTION, *paths], [], work, stop)
    if "== end" not in said.splitlines():
        last = (said.strip().splitlines() or ["no reason given"])[-1]
        raise BadRoot(f"nothing runs in this build root: {last[:300]}", where=str(root), hint="is it for this machine's processor?")
    found: dict[Path, Interpreter] = {}
    for answer in re.split(r"^== .*$", said, flags=re.MULTILINE):
        one = _heard(answer)
        place = within(root, str(one.executable)) if one is not None else None
        if one is not None and place is not None:
            found.setdefault(place, replace(one, roots=(), root=root))
    return list(found.values())


def _candidates(root: Path) -> Iterable[str]:
    for name in listed(root, "/opt/python"):
        yield f"/opt/python/{name}/bin/python"
    for folder in ("/usr/local/bin", "/usr/bin"):
        for name in listed(root, folder):
            if _PYTHON.fullmatch(name):
                yield f"{folder}/{name}"


def _lent(sandbox: Bubblewrap, root: Path, here: Iterable[Interpreter], work: Path, stop: Cancellation) -> Iterable[Interpreter]:
    """This machine's Pythons that run in the root, one of a kind: those that lie outside of the system and bring all that they need."""
    kinds = set()
    for one in here:
        places = folders(one)
        if _kind(one) in kinds or not any(one.executable.is_relative_to(place) for place in places):
            continue
        mounts = [Mount(host=place, inside=str(place)) for place in places]
        answer = _heard(_run(sandbox, [str(one.executable), "-I", "-S", "-c", _WHOLE + QUESTION], mounts, work, stop))
        if answer is not None and answer.executable == one.executable:
            kinds.add(_kind(one))
            yield replace(answer, roots=one.roots, root=root)


def _heard(said: str) -> Interpreter | None:
    """The interpreter that answered, in the last line that is an answer."""
    for line in reversed(said.splitlines()):
        if line.startswith("{"):
            try:
                one = told(line)
            except ValueError:
                return None
            return one if one.executable.is_absolute() else None
    return None


def _compilers(sandbox: Bubblewrap, root: Path, work: Path, stop: Cancellation) -> Mapping[str, str]:
    """The first line of each compiler's ``--version``, by its name, as builds in the root find it."""
    ask = 'PATH=$1; shift; for name; do command -v "$name" >/dev/null && { echo; echo "== $name"; "$name" --version </dev/null; }; done'
    names = ("cc", "gcc", "c++", "g++", "gfortran", "rustc")
    said = _run(sandbox, ["/bin/sh", "-c", ask, "sh", ":".join(root_folders(root)), *names], [], work, stop)
    found = dict(re.findall(r"^== (\S+)\n(.{1,200})", said, flags=re.MULTILINE))
    # Usually two names of one.
    return {
        name: line.strip() for name, line in found.items() if not ((name == "gcc" and "cc" in found) or (name == "g++" and "c++" in found))
    }


def _requires_python(distribution: str) -> SpecifierSet:
    try:
        return SpecifierSet(importlib.metadata.metadata(distribution)["Requires-Python"] or "")
    except (importlib.metadata.PackageNotFoundError, InvalidSpecifier):
        return SpecifierSet()


def _repairs(repairer: Repairer, python: Interpreter, sandbox: Sandbox, work: Path, stop: Cancellation) -> bool:
    """True if the repairer, and what it calls, start in the root."""
    mounts = [Mount(host=repairer.site, inside="/build/site"), *(Mount(host=folder, inside=str(folder)) for folder in folders(python))]
    script = 'PYTHONPATH=/build/site "$1" -B -m "$2" --help >/dev/null || exit 1'
    if repairer.patchelf is not None:
        mounts.append(Mount(host=repairer.patchelf, inside="/build/patchelf"))
        script += "; /build/patchelf --version || exit 1"
    return "== end" in _run(
        sandbox, ["/bin/sh", "-c", f'{script}; echo "== end"', "sh", str(python.executable), repairer.name], mounts, work, stop
    )


def _run(sandbox: Sandbox, argv: Sequence[str], mounts: Sequence[Mount], work: Path, stop: Cancellation) -> str:
    """What a program in the sandbox says, be it well or not."""
    work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".hardtack-root-", dir=work) as name:
        room, log = Path(name, "room"), Path(name, "log")
        room.mkdir()
        places = [Mount(host=room, inside="/build/room", writable=True), *mounts]
        launch = sandbox.launch(argv, mounts=places, cwd=room, environment=_VARIABLES, limits=_LIMITS)
        run_contained(launch, log=log, stop=stop, limits=_LIMITS)
        return log.read_text("utf-8", "replace")

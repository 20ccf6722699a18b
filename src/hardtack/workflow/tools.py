"""What builds ask for: resolved once, pinned by hash, fetched like everything else, and built first where there is no wheel of it."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

from hardtack.building.environment import BuildRequirementFault
from hardtack.building.interpreter import Interpreter
from hardtack.building.rounds import marker_environment
from hardtack.building.workshop import Asker, Tool
from hardtack.errors import HashMismatch, InputError, LockError
from hardtack.fetching.download import FetchedFile, fetch
from hardtack.inputs.workspace import with_sources
from hardtack.model.finding import Severity
from hardtack.model.fit import Fit
from hardtack.model.lock import Lock, LockedBuild, LockedFile, LockedPackage
from hardtack.model.plan import Gap, Take
from hardtack.model.requirements import Origin, Requirements, RootRequirement
from hardtack.model.target import PatchRange, Platform, Target
from hardtack.model.wheel import BadWheel
from hardtack.planning.plan import Policy, plan
from hardtack.reporting import Reporter
from hardtack.system.cancellation import Cancellation
from hardtack.targets.assembly import assemble
from hardtack.targets.host import host_target
from hardtack.wheelhouse.facts import FactsCache, inspect_all
from hardtack.wheelhouse.pylock_packages import without_credentials
from hardtack.workflow.files import source_file, wanted_file
from hardtack.workflow.reading import Job
from hardtack.workflow.supplies import Supplies

# A source of the lock and an interpreter, as the wheel that is built of it for a build's environment.
MakeTool = Callable[[LockedPackage, FetchedFile | None, Interpreter], Tool]
# Requirements for one target, as a lock, that keeps of an earlier one what it can.
Resolve = Callable[[Requirements, Target, Lock], Lock]

# An environment and what is asked for in it, as a lock tells it.
_Key = tuple[str, tuple[str, ...]]
# What asks, as a lock tells it: an archive's file name and sha256; a folder's or a repository's name and "".
_Source = tuple[str, str]


class Toolroom:
    """The tools of one run. ``supply`` may be called from several threads; what was asked once is not resolved again."""

    def __init__(self, job: Job, supplies: Supplies, *, resolve: Resolve, make: MakeTool, reporter: Reporter, stop: Cancellation) -> None:
        self._job, self._supplies, self._resolve, self._make = job, supplies, resolve, make
        self._reporter, self._stop = reporter, stop
        self._facts = FactsCache(supplies.cache_dir)
        self._one_at_a_time = threading.RLock()
        # What the lock says, and whether it says so of what is asked for today.
        self._locked: dict[_Key, LockedBuild] = {}
        self._obeyed, self._current = False, False
        self._answers: dict[_Key, tuple[LockedPackage, ...]] = {}
        self._askers: dict[_Key, set[_Source]] = {}
        # Whose answers tell of places of this machine.
        self._placed: set[_Key] = set()
        # Folders by the name of what lies there, and names by the sha256 of the archive that was made of a folder or a repository.
        self._folders: dict[str, Path] = {}
        self._names: dict[str, str] = {}
        self._targets: dict[Interpreter, Target] = {}
        self._judged: set[str] = set()
        self.fetched, self.received = 0, 0  # files and bytes that came over the wire

    def know(self, builds: Iterable[LockedBuild], *, obeyed: bool, current: bool) -> None:
        """What a lock says. ``obeyed``: it is followed; else its versions are kept where nothing speaks against them.

        ``current``: it was made from what is asked for now, so that what a source asked for in the end is what it asks for still.
        """
        self._obeyed, self._current = obeyed, current
        if self._job.options.build_lock:
            self._locked = {(build.environment, build.requires): build for build in builds}

    def lies(self, name: str, folder: Path) -> None:
        """What asks under a name lies in a folder, whose ``[tool.uv.sources]`` say where its tools come from."""
        self._folders[name] = folder

    def made(self, sha256: str, name: str) -> None:
        """An archive was made of a folder or a repository: it asks under that name, for its digest is another every day."""
        self._names[sha256] = name

    def builds(self, sources: Iterable[_Source]) -> tuple[LockedBuild, ...]:
        """What ``sources`` and the sources of their tools ask for, for the lock: what they asked for in this run, else what it said."""
        if not self._job.options.build_lock:
            return ()
        asked = {(environment, source) for (environment, _), askers in self._askers.items() for source in askers}
        found: dict[_Key, LockedBuild] = {}
        for key, build in self._locked.items():
            others = tuple(source for source in build.sources if (build.environment, source) not in asked)
            if others and not self._is_renewed(build):
                found[key] = replace(build, sources=others)
        for key, askers in self._askers.items():
            packages = self._answers[key]
            last = {source for source in askers if not self._asks_more(key, source)}
            # What comes from a folder or a repository, or could not be had, has no file that a lock could name.
            if key not in self._placed and all(_can_be_named(package) for package in packages):
                others = found[key].sources if key in found else ()
                found[key] = LockedBuild(environment=key[0], requires=key[1], packages=packages, sources=(*others, *last))
        wanted = _with_tools(set(sources), found.values())
        kept = (replace(build, sources=tuple(sorted(wanted.intersection(build.sources)))) for build in found.values())
        return tuple(sorted((build for build in kept if build.sources), key=lambda build: (build.environment, build.requires)))

    def _is_renewed(self, build: LockedBuild) -> bool:
        upgrade = self._job.options.upgrade
        return ":all:" in upgrade or any(package.name in upgrade for package in build.packages)

    def _asks_more(self, key: _Key, source: _Source) -> bool:
        """True if the source asked for all this and then for more."""
        environment, texts = key
        # What a folder asks for may be less tomorrow: each of its rounds counts.
        return source[1] != "" and any(
            source in askers and place == environment and set(texts) < set(more) for (place, more), askers in self._askers.items()
        )

    def supply(self, asker: Asker, requires: Sequence[Requirement], interpreter: Interpreter) -> Sequence[Tool]:
        """The wheels that satisfy ``requires`` in ``interpreter``. Raises BuildRequirementFault.

        Call it in an errand: where a tool is to be built first, that is raised (``Needs``), and nobody waits with something in hand.
        """
        name = self._names.get(asker.sha256, "" if asker.sha256 else asker.filename)
        source = (name, "") if name else (asker.filename, asker.sha256)
        stated = [str(requirement) for requirement in requires]
        wanted = self._with_sources(stated, name, asker)
        texts = tuple(sorted({without_credentials(text) for text in wanted}))
        if not texts:
            return ()
        key = (environment_of(interpreter), texts)
        with self._one_at_a_time:
            if set(wanted) != set(stated):
                self._placed.add(key)
            key = self._key(key, source, interpreter)
            packages = self._answer(key, wanted, asker, interpreter)
            self._askers.setdefault(key, set()).add(source)
        return self._brought(key, packages, asker, interpreter)

    def _with_sources(self, stated: Sequence[str], name: str, asker: Asker) -> Sequence[str]:
        """What a folder's build requires, taken from where the folder says."""
        folder = self._folders.get(name)
        if folder is None:
            return stated
        try:
            # That an index is not obeyed is not said: the project's own sources pin it for tools too.
            return with_sources(stated, folder)[0]
        except InputError as error:
            raise BuildRequirementFault(f"what it needs to be built is not understood: {error.reason}", where=asker.filename) from error

    def _answer(self, key: _Key, wanted: Sequence[str], asker: Asker, interpreter: Interpreter) -> tuple[LockedPackage, ...]:
        if key in self._answers:
            return self._answers[key]
        locked = self._locked.get(key)
        if locked is not None and self._is_followed(locked, interpreter):
            found = locked.packages
        elif self._job.options.locked:
            raise _unlocked(key, asker, known=locked is not None)
        else:
            found = self._resolved(key, wanted, asker, interpreter)
        self._answers[key] = found
        return found

    def _key(self, key: _Key, source: _Source, interpreter: Interpreter) -> _Key:
        """What is really looked for: where an archive asks for a part first, all that the lock says it asks for in the end."""
        environment, texts = key
        if key in self._answers or key in self._locked or not source[1] or not self._current:
            return key
        for build in self._locked.values():
            mine = build.environment == environment and source in build.sources
            if mine and set(texts) <= set(build.requires) and self._is_followed(build, interpreter):
                return environment, build.requires
        return key

    def _is_followed(self, locked: LockedBuild, interpreter: Interpreter) -> bool:
        """True if what the lock says is to be taken: it is obeyed, its files fit the interpreter, and nobody forbids one of them."""
        if not self._obeyed or self._is_renewed(locked):
            return False
        fit = Fit(self._target(interpreter))
        formats = self._job.formats
        for package in locked.packages:
            if formats.builds(package.name) if package.wheels else formats.forbids_building(package.name):
                return False
            if any(fit.rank(parse_wheel_filename(file.filename)[3]) is None for file in package.wheels):
                return False
            for constraint in self._constraints(package.name, interpreter):
                if package.version is not None and not constraint.requirement.specifier.contains(package.version, prereleases=True):
                    return False
        return True

    def _constraints(self, name: str, interpreter: Interpreter) -> Iterator[RootRequirement]:
        """What --build-constraint says of a tool."""
        here = marker_environment(interpreter)
        for one in self._job.requirements.build_constraints:
            marker = one.requirement.marker
            if canonicalize_name(one.requirement.name) == name and (marker is None or marker.evaluate(here)):
                yield one

    def _resolved(self, key: _Key, wanted: Sequence[str], asker: Asker, interpreter: Interpreter) -> tuple[LockedPackage, ...]:
        job, target = self._job, self._target(interpreter)
        environment, texts = key
        asked = Requirements(
            roots=tuple(RootRequirement(requirement=Requirement(text), origin=Origin(place=asker.filename)) for text in wanted),
            constraints=job.requirements.build_constraints,
            formats=job.formats,
            prereleases=job.requirements.prereleases,
            prerelease_packages=job.requirements.prerelease_packages,
            index_pins=tuple(pin for pin in job.requirements.index_pins if pin.extra is None and pin.group is None),
        )
        own = self._locked.get(key)
        before = [own] if own is not None else [build for build in self._locked.values() if build.environment == environment]
        try:
            lock = self._resolve(asked, target, Lock(packages=tuple(package for build in before for package in build.packages)))
        except LockError as error:
            raise BuildRequirementFault(
                f"what it needs to be built cannot be had ({', '.join(texts)}): {error.reason}", where=asker.filename, hint=error.hint
            ) from error
        found = []
        for entry in plan(lock, [target], Policy(formats=job.formats)).entries:
            package, decision = entry.package, entry.decision
            if isinstance(decision, Gap):
                raise BuildRequirementFault(
                    f"what it needs to be built cannot be had ({', '.join(texts)}): of {package.name} {package.version} {decision.reason}",
                    where=asker.filename,
                    hint=decision.hint or "put a wheel of it for this interpreter on one of your indexes",
                )
            if isinstance(decision, Take):
                package = replace(package, wheels=(decision.file,), sdist=None, source=None, index=decision.file.index)
            else:
                package = replace(package, wheels=())
            found.append(replace(package, marker=None, targets=None, dependencies=(), requires_python=None, note=None))
        return tuple(found)

    def _target(self, interpreter: Interpreter) -> Target:
        if interpreter not in self._targets:
            self._targets[interpreter] = target_of(interpreter)
        return self._targets[interpreter]

    def _brought(self, key: _Key, packages: Sequence[LockedPackage], asker: Asker, interpreter: Interpreter) -> Sequence[Tool]:
        """Every package's wheel in the store, judged."""
        files: dict[str, LockedFile] = {}
        for package in packages:
            file = package.wheels[0] if package.wheels else source_file(package)
            if file is not None:
                files[package.name] = file
        wanted = {name: wanted_file(file) for name, file in files.items()}
        fetched = fetch(
            list(wanted.values()),
            transport=self._supplies.transport,
            store=self._supplies.store,
            limits=self._supplies.limits,
            reporter=self._reporter,
            stop=self._stop,
        )
        if fetched.failures:
            raise fetched.failures[0]
        with self._one_at_a_time:
            self.fetched += len({file.sha256 for file in fetched.files.values() if file.received})
            self.received += fetched.received
        found = {name: fetched.files[file] for name, file in wanted.items()}
        self._check_hashes(packages, found, interpreter)
        tools = []
        for package in packages:
            if package.wheels:
                file = package.wheels[0]
                tools.append(
                    Tool(
                        name=package.name,
                        version=str(package.version),
                        filename=file.filename,
                        sha256=found[package.name].sha256,
                        path=found[package.name].path,
                    )
                )
            else:
                try:
                    tools.append(self._make(package, found.get(package.name), interpreter))
                except BuildRequirementFault as error:
                    error.where = error.where or asker.filename
                    raise
        self._judge(tools, asker)
        # What is not sound is not recorded: its place may hold a better one tomorrow.
        self._learn(key, {name: file.sha256 for name, file in found.items()})
        return tools

    def _check_hashes(self, packages: Sequence[LockedPackage], found: Mapping[str, FetchedFile], interpreter: Interpreter) -> None:
        """Raise HashMismatch for a file that has none of the digests that a constraint on builds states."""
        for package in packages:
            for constraint in self._constraints(package.name, interpreter):
                meant = package.version is None or constraint.requirement.specifier.contains(package.version, prereleases=True)
                if not (constraint.hashes and meant and package.name in found):
                    continue
                own = {f"{algorithm}:{_digest(found[package.name].path, algorithm)}" for algorithm in _algorithms(constraint.hashes)}
                if not own & {value.lower() for value in constraint.hashes}:
                    file = next(iter(package.wheels), None) or source_file(package)
                    algorithm, _, actual = min(own).partition(":")
                    raise HashMismatch(
                        file=file.filename if file is not None else package.name,
                        expected=" or ".join(sorted(constraint.hashes)),
                        actual=actual,
                        source=str(constraint.origin),
                        algorithm=algorithm,
                    )

    def _learn(self, key: _Key, digests: dict[str, str]) -> None:
        """Digests that nobody stated are recorded as they were seen first."""

        def learned(file: LockedFile, digest: str) -> LockedFile:
            return file if file.sha256 is not None else replace(file, sha256=digest, hash_source="first-seen", other_hashes=())

        with self._one_at_a_time:
            self._answers[key] = tuple(
                replace(
                    package,
                    wheels=tuple(learned(file, digests[package.name]) for file in package.wheels),
                    sdist=learned(package.sdist, digests[package.name]) if package.sdist is not None and not package.wheels else None,
                )
                for package in self._answers[key]
            )

    def _judge(self, tools: Sequence[Tool], asker: Asker) -> None:
        """A wheel that would be refused for the wheelhouse is refused here: installing it is the first thing that is done to it."""
        unseen = [tool for tool in tools if tool.sha256 not in self._judged]
        if not unseen:
            return
        rows = [(tool.path, tool.filename, tool.sha256) for tool in unseen]
        for answer in inspect_all(rows, self._facts, jobs=1, reporter=Reporter(), stop=self._stop):
            if isinstance(answer, BadWheel):
                wrong = [finding.message for finding in answer.findings if finding.severity is Severity.ERROR]
                raise BuildRequirementFault(
                    f"what it needs to be built is not sound: {answer.filename}: {'; '.join(wrong)}",
                    where=asker.filename,
                    hint="keep another version of it with --build-constraint, or ask whoever runs the index for a sound file",
                )
        self._judged.update(tool.sha256 for tool in unseen)


def _algorithms(hashes: Iterable[str]) -> set[str]:
    return {value.partition(":")[0].lower() for value in hashes}


def _digest(path: Path, algorithm: str) -> str:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, algorithm).hexdigest()


def _can_be_named(package: LockedPackage) -> bool:
    files = (*package.wheels, *([package.sdist] if package.sdist is not None else []))
    return package.source is None and bool(files) and all(file.sha256 is not None for file in files)


def _with_tools(sources: set[_Source], builds: Iterable[LockedBuild]) -> set[_Source]:
    """The sources, and those that are built for their builds, and so on."""
    left = list(builds)
    while more := [build for build in left if sources.intersection(build.sources)]:
        left = [build for build in left if build not in more]
        sdists = (package.sdist for build in more for package in build.packages)
        sources |= {(file.filename, file.sha256 or "") for file in sdists if file is not None}
    return sources


def environment_of(interpreter: Interpreter) -> str:
    """An interpreter's kind as a lock names it: ABI and platform, without patch and floor ("cpython 3.12, linux x86_64 glibc")."""
    threads = "t" if interpreter.free_threaded else ""
    version = f"{interpreter.version.major}.{interpreter.version.minor}{threads}"
    platform = " ".join(part for part in (interpreter.os, interpreter.arch, interpreter.libc) if part)
    return f"{interpreter.implementation} {version}, {platform}"


def target_of(interpreter: Interpreter) -> Target:
    """An interpreter as a target: this machine's by asking it, another system's by what is known of it."""
    if interpreter.root is None:
        return host_target(interpreter.executable, environment={})
    return assemble(
        name="build-root",
        implementation=interpreter.implementation,  # type: ignore[arg-type]
        python=(interpreter.version.major, interpreter.version.minor),
        patches=PatchRange(first=interpreter.version, last=interpreter.version),
        platform=Platform(
            os=interpreter.os,  # type: ignore[arg-type]
            arch=interpreter.arch,
            libc=interpreter.libc,  # type: ignore[arg-type]
            # Musl does not tell, and every one since 2019 is a 1.2.
            floor=(1, 2) if interpreter.libc == "musl" else interpreter.libc_version,
            plain_linux=True,
        ),
        free_threaded=interpreter.free_threaded,
    )


def _unlocked(key: _Key, asker: Asker, *, known: bool) -> BuildRequirementFault:
    environment, texts = key
    why = (
        "what the lock has for that does not fit this interpreter, or is forbidden by a constraint or --no-binary, --only-binary"
        if known
        else "the lock does not say what that gets"
    )
    return BuildRequirementFault(
        f"to be built it asks for {', '.join(texts)} in {environment}, and {why}",
        where=asker.filename,
        hint="lock here once without --locked: `hardtack lock`, or the same command again",
    )

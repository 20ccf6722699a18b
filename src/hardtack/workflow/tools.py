"""What builds ask for: resolved once, pinned by hash, fetched like everything else, and built first where there is no wheel of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from packaging.requirements import Requirement
from packaging.utils import parse_wheel_filename

from hardtack.building.environment import BuildRequirementFault
from hardtack.building.interpreter import Interpreter
from hardtack.building.workshop import Asker, Tool
from hardtack.errors import LockError
from hardtack.fetching.download import FetchedFile, fetch
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
from hardtack.workflow.files import source_file, wanted_file
from hardtack.workflow.reading import Job
from hardtack.workflow.supplies import Supplies

# A source of the lock and an interpreter, as the wheel that is built of it for a build's environment.
MakeTool = Callable[[LockedPackage, FetchedFile | None, Interpreter], Tool]
# Requirements for one target, as a lock.
Resolve = Callable[[Requirements, Target], Lock]

_Key = tuple[str, tuple[str, ...]]


class Toolroom:
    """The tools of one run. ``supply`` may be called from several threads; what was asked once is not resolved again."""

    def __init__(self, job: Job, supplies: Supplies, *, resolve: Resolve, make: MakeTool, reporter: Reporter, stop: Cancellation) -> None:
        self._job, self._supplies, self._resolve, self._make = job, supplies, resolve, make
        self._reporter, self._stop = reporter, stop
        self._facts = FactsCache(supplies.cache_dir)
        self._one_at_a_time = threading.RLock()
        self._locked: dict[_Key, LockedBuild] = {}
        self._answers: dict[_Key, tuple[LockedPackage, ...]] = {}
        self._askers: dict[_Key, set[tuple[str, str]]] = {}
        self._targets: dict[Interpreter, Target] = {}
        self._judged: set[str] = set()
        self.fetched, self.received = 0, 0  # files and bytes that came over the wire

    def know(self, builds: Iterable[LockedBuild]) -> None:
        """What a lock says, which is obeyed; but not of packages that are to be chosen anew."""
        upgrade = self._job.options.upgrade
        for build in builds if self._job.options.build_lock else ():
            renewed = ":all:" in upgrade or any(package.name in upgrade for package in build.packages)
            if self._job.options.locked or not renewed:
                self._locked[build.environment, build.requires] = build

    def builds(self, sources: Iterable[tuple[str, str]] = ()) -> tuple[LockedBuild, ...]:
        """What was asked, for the lock; and what the lock says for ``sources`` in environments that nobody asked in here."""
        if not self._job.options.build_lock:
            return ()
        here = {environment for environment, _ in self._askers}
        wanted = {*sources, *(asker for askers in self._askers.values() for asker in askers)}
        found = [
            replace(build, sources=tuple(source for source in build.sources if source in wanted))
            for build in self._locked.values()
            if build.environment not in here
        ]
        for (environment, requires), askers in self._askers.items():
            packages = self._answers.get((environment, requires), ())
            last = {source for source in askers if not self._asks_more(environment, requires, source)}
            # What comes from a folder or a repository has no file that a lock could name.
            if all(package.source is None for package in packages):
                found.append(LockedBuild(environment=environment, requires=requires, packages=packages, sources=tuple(sorted(last))))
        return tuple(sorted((build for build in found if build.sources), key=lambda build: (build.environment, build.requires)))

    def _asks_more(self, environment: str, requires: tuple[str, ...], source: tuple[str, str]) -> bool:
        """True if the source asked for all this and then for more."""
        return any(
            source in askers and place == environment and set(requires) < set(texts) for (place, texts), askers in self._askers.items()
        )

    def supply(self, asker: Asker, requires: Sequence[Requirement], interpreter: Interpreter) -> Sequence[Tool]:
        """The wheels that satisfy ``requires`` in ``interpreter``. Raises BuildRequirementFault."""
        texts = tuple(sorted({str(requirement) for requirement in requires}))
        if not texts:
            return ()
        key = (environment_of(interpreter), texts)
        with self._one_at_a_time:
            key = self._key(key, asker, interpreter)
            packages = self._answer(key, asker, interpreter)
            self._askers.setdefault(key, set()).add((asker.filename, asker.sha256))
        return self._brought(key, packages, asker, interpreter)

    def _answer(self, key: _Key, asker: Asker, interpreter: Interpreter) -> tuple[LockedPackage, ...]:
        if key in self._answers:
            return self._answers[key]
        locked = self._locked.get(key)
        if locked is not None and self._fits(locked, interpreter):
            found = locked.packages
        elif self._job.options.locked:
            raise _unlocked(key, asker, known=locked is not None)
        else:
            found = self._resolved(key[1], asker, interpreter)
        self._answers[key] = found
        return found

    def _key(self, key: _Key, asker: Asker, interpreter: Interpreter) -> _Key:
        """What is really looked for: where a source asks for a part first, all that the lock says it asks for in the end."""
        environment, texts = key
        if key in self._answers or key in self._locked:
            return key
        source = (asker.filename, asker.sha256)
        for build in self._locked.values():
            mine = build.environment == environment and source in build.sources
            if mine and set(texts) <= set(build.requires) and self._fits(build, interpreter):
                return environment, build.requires
        return key

    def _fits(self, locked: LockedBuild, interpreter: Interpreter) -> bool:
        fit = Fit(self._target(interpreter))
        files = [file.filename for package in locked.packages for file in package.wheels]
        return all(fit.rank(parse_wheel_filename(filename)[3]) is not None for filename in files)

    def _resolved(self, texts: Sequence[str], asker: Asker, interpreter: Interpreter) -> tuple[LockedPackage, ...]:
        job, target = self._job, self._target(interpreter)
        asked = Requirements(
            roots=tuple(RootRequirement(requirement=Requirement(text), origin=Origin(place=asker.filename)) for text in texts),
            constraints=job.requirements.build_constraints,
            formats=job.formats,
            prereleases=job.requirements.prereleases,
            prerelease_packages=job.requirements.prerelease_packages,
            index_pins=tuple(pin for pin in job.requirements.index_pins if pin.extra is None and pin.group is None),
        )
        try:
            lock = self._resolve(asked, target)
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
        self._learn(key, {name: file.sha256 for name, file in found.items()})
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
                tools.append(self._make(package, found.get(package.name), interpreter))
        self._judge(tools, asker)
        return tools

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
    why = "what the lock has does not fit this interpreter" if known else "the lock does not say what that gets"
    return BuildRequirementFault(
        f"to be built it asks for {', '.join(texts)} in {environment}, and {why}",
        where=asker.filename,
        hint="lock here once without --locked: `hardtack lock`, or the same command again",
    )

"""Where the sources of one run become wheels: the workshop, the tools, and what was made so far."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from packaging.requirements import Requirement
from packaging.tags import Tag
from packaging.utils import parse_wheel_filename
from packaging.version import Version

from hardtack.building.again import other_than_before, repeated
from hardtack.building.build import Bench, MetadataAnswer, bench, prepare_metadata, static_metadata
from hardtack.building.built import built_before, remember
from hardtack.building.environment import Environments
from hardtack.building.faults import BuildRequirementFault
from hardtack.building.interpreter import Interpreter, ask, installed
from hardtack.building.notes import remember_seconds, took_before
from hardtack.building.order import expected_cost
from hardtack.building.repair import find_repairer
from hardtack.building.root import BuildRoot, open_root
from hardtack.building.sandbox_launch import Limits
from hardtack.building.workshop import Tool, Workshop
from hardtack.errors import BuildFault, HardtackError, IndexFault, IntegrityError, MissingTool
from hardtack.fetching.download import FetchedFile, fetch
from hardtack.fetching.transfer import Wanted
from hardtack.inputs.workspace import with_sources
from hardtack.locking.lock import LockSettings
from hardtack.locking.resolver import KnownMetadata, NeedsMetadata
from hardtack.model.finding import Finding
from hardtack.model.lock import Lock, LockedPackage, Source
from hardtack.model.manifest import BuildRecord
from hardtack.model.recipe import Recipe
from hardtack.model.requirements import Requirements
from hardtack.model.target import Target
from hardtack.model.wheel import BadSdist, SdistFacts
from hardtack.reporting import Reporter
from hardtack.system import capacity, environ
from hardtack.system.cancellation import Cancellation
from hardtack.system.files import remove
from hardtack.wheelhouse.sdist import inspect_sdist
from hardtack.workflow.archiving import Archived, archive_source, ask_source, grounds_of, source_at
from hardtack.workflow.errands import Errand, Errands
from hardtack.workflow.files import source_file, wanted_file
from hardtack.workflow.reading import Job
from hardtack.workflow.resolving import Offered, resolve
from hardtack.workflow.supplies import Supplies
from hardtack.workflow.tools import Toolroom

# What ends one build and nothing else.
FAULTS = (BuildFault, IntegrityError, IndexFault, MissingTool)
T = TypeVar("T")

_SECONDS = 3600.0  # for each hook
_MEMORY = {False: 512 << 20, True: 2 << 30}  # bytes that a build is expected to use, where nothing and where something is compiled


@dataclass(frozen=True, slots=True, kw_only=True)
class Sourced:
    """A wheel in the store that was built from a source archive, in this run (``fresh``) or in an earlier one."""

    filename: str
    sha256: str
    size: int
    record: BuildRecord
    outside: tuple[str, ...] = ()
    fresh: bool = False

    @property
    def tags(self) -> frozenset[Tag]:
        """Where it runs."""
        return parse_wheel_filename(self.filename)[3]


class Yard:
    """Makes metadata, archives and wheels in one run, each once. A context manager: what is temporary goes when the block ends."""

    def __init__(self, job: Job, supplies: Supplies, *, reporter: Reporter, stop: Cancellation) -> None:
        self.job, self.supplies = job, supplies
        self.grounds = grounds_of(job)
        self._reporter, self._stop = reporter, stop
        self.tools = Toolroom(job, supplies, resolve=self._resolve, make=self._tool, reporter=reporter, stop=stop)
        # The version of every package that is locked for running, where there is only one.
        self.running: Mapping[str, str] = {}
        # The digests of all that this run built, tools included.
        self.built: set[str] = set()
        # By the wheel's digest, what came out otherwise when it was built again.
        self.unlike: dict[str, Finding] = {}
        # The folders that tools were built from, as the project names them.
        self.tool_folders: set[str] = set()
        self.errands = Errands(workers=job.options.build_jobs, reporter=reporter, stop=stop)
        # What is found out once is found out by one thread.
        self._first = threading.RLock()

    def __enter__(self) -> Yard:
        return self

    def __exit__(self, *failure: object) -> None:
        if "_environments" in self.__dict__:
            self._environments.__exit__(None, None, None)

    # --- sources -----------------------------------------------------------------------------------------------------------------

    def sound(self, filename: str, found: FetchedFile) -> SdistFacts:
        """What a source archive in the store says of itself. Raises IntegrityError for one that is not sound."""
        facts = inspect_sdist(found.path, filename=filename, sha256=found.sha256)
        if isinstance(facts, BadSdist):
            raise IntegrityError("; ".join(finding.message for finding in facts.findings), where=filename)
        return facts

    def choose(self, lock: Lock) -> None:
        """The lock of the run, for what is built in the version that runs."""
        versions: dict[str, set[str]] = {}
        for package in lock.packages:
            if package.version is not None:
                versions.setdefault(package.name, set()).add(str(package.version))
        self.running = {name: only for name, found in versions.items() if len(found) == 1 for only in found}

    def archive(self, name: str, source: Source, stop: Cancellation | None = None) -> Archived:
        """A folder or a repository as a source archive in the store."""
        self._tell_place(name, source)
        archived = archive_source(
            name,
            source,
            self.shop(stop),
            self.supplies,
            grounds=self.grounds,
            recipe=self.recipe(name),
            environments=self.environments(),
        )
        self.tools.made(archived.found.sha256, name)
        return archived

    def besides(self, name: str, source: Source) -> tuple[Requirement, ...]:
        """What the backend of a folder wants besides what it states. Raises BuildFault."""
        self._tell_place(name, source)
        return self._by_errand(
            f"besides {source}",
            name,
            lambda stop: ask_source(
                name,
                source,
                self.shop(stop),
                self.supplies,
                grounds=self.grounds,
                recipe=self.recipe(name),
                environments=self.environments(),
            ),
        )

    def _tell_place(self, name: str, source: Source) -> None:
        if source.kind == "directory":
            self.tools.lies(name, Path(source.location) / (source.subdirectory or ""))

    def _by_errand(self, key: str, label: str, ask: Callable[[Cancellation], T]) -> T:
        """What ``ask`` answers, as an errand: what it turns out to need is done before it, with nothing in hand. Raises what it raises."""

        def do(stop: Cancellation) -> tuple[T] | HardtackError:
            try:
                return (ask(stop),)
            except FAULTS as error:
                return error

        errand = Errand(key=key, label=label, do=do, cost=1.0, memory=_MEMORY[False])
        (outcome,) = self.errands.outcomes([errand])
        if isinstance(outcome, Finding):  # it takes itself first
            raise BuildRequirementFault(outcome.message, hint=outcome.hint)
        if isinstance(outcome, HardtackError):
            raise outcome
        answer: T = outcome[0]
        return answer

    def metadata(self, facts: SdistFacts, path: Path, stop: Cancellation | None = None) -> MetadataAnswer:
        """What a source's wheel will require: its own word where that may be trusted, else its backend's, confined."""
        known = static_metadata(facts)
        if known is not None:
            return known
        return prepare_metadata(facts, path, shop=self.shop(stop), recipe=self.recipe(facts.name), environments=self.environments())

    def wheel(self, facts: SdistFacts, path: Path, interpreter: Interpreter) -> Errand:
        """The errand whose outcome is a source's wheel by this interpreter (Sourced), or the Finding that says why there is none."""

        def do(stop: Cancellation) -> Sourced | Finding:
            try:
                return self._built(facts, path, interpreter, stop)
            except FAULTS as error:
                return finding_of(error, facts.filename)

        return Errand(
            key=self._key("wheel", facts, interpreter),
            label=facts.filename,
            do=do,
            cost=expected_cost(
                path.stat().st_size,
                compiled=facts.compiled,
                remembered=took_before(facts.sha256, cache_dir=self.supplies.cache_dir),
            ),
            memory=_MEMORY[facts.compiled],
        )

    def asking(self, facts: SdistFacts, path: Path, interpreter: Interpreter) -> Errand:
        """The errand that only asks what a source takes to be built by this interpreter. Its outcome is None, or a Finding."""

        def do(stop: Cancellation) -> Finding | None:
            try:
                with self._bench(facts, path, interpreter, stop):
                    return None
            except FAULTS as error:
                return finding_of(error, facts.filename)

        return Errand(
            key=self._key("asking", facts, interpreter),
            label=facts.filename,
            do=do,
            cost=1.0,
            memory=_MEMORY[False],
        )

    def _key(self, what: str, facts: SdistFacts, interpreter: Interpreter) -> str:
        # The recipe may be another when it is known what runs.
        return f"{what} {facts.sha256} {interpreter.root or ''}:{interpreter.executable} {self.recipe(facts.name)}"

    def _bench(self, facts: SdistFacts, path: Path, interpreter: Interpreter, stop: Cancellation) -> AbstractContextManager[Bench]:
        return bench(
            facts,
            path,
            shop=self.shop(stop, interpreter),
            interpreter=interpreter,
            recipe=self.recipe(facts.name),
            environments=self.environments(),
        )

    def _built(self, facts: SdistFacts, path: Path, interpreter: Interpreter, stop: Cancellation) -> Sourced:
        with self._bench(facts, path, interpreter, stop) as place:
            before = built_before(place.key, cache_dir=self.supplies.cache_dir, has=self.supplies.store.has)
            if before is not None:
                sourced = Sourced(
                    filename=before.filename, sha256=before.sha256, size=before.size, record=before.record, outside=before.outside
                )
            else:
                began = time.monotonic()
                built = place.wheel()
                remember_seconds(facts.sha256, time.monotonic() - began, cache_dir=self.supplies.cache_dir)
                sha256 = self.supplies.store.add_file(built.path)
                remove(built.path.parent)
                other = other_than_before(place.key, sha256, cache_dir=self.supplies.cache_dir)
                if other is not None:
                    self.unlike[sha256] = other.finding(built.filename, package=facts.name, version=str(facts.version))
                remember(place.key, built, cache_dir=self.supplies.cache_dir)
                self.built.add(sha256)
                sourced = Sourced(
                    filename=built.filename, sha256=sha256, size=built.size, record=built.record, outside=built.outside, fresh=True
                )
            return self._built_again(place, facts, sourced) if self.job.options.build_twice else sourced

    def _built_again(self, place: Bench, facts: SdistFacts, sourced: Sourced) -> Sourced:
        """The wheel with whether it comes out again on its bench."""
        cache, wheel = self.supplies.cache_dir, self.supplies.store.path(sourced.sha256)
        found = repeated(place, wheel, sourced.filename, sourced.sha256, cache_dir=cache)
        if not found.same:
            self.unlike[sourced.sha256] = found.finding(sourced.filename, package=facts.name, version=str(facts.version))
        return replace(sourced, record=replace(sourced.record, repeated="same" if found.same else "differs"))

    def interpreters(self) -> tuple[Interpreter, ...]:
        """Every one that may build, the preferred one first, those of the build root last; finding them takes its time."""
        here = installed(self.supplies.uv, environ.interpreter(), self._stop)
        with self._first:
            return (*here, *self._root.interpreters) if self._root is not None else here

    def preferred(self) -> Interpreter:
        """The interpreter that builds what any may build."""
        return ask(environ.interpreter())

    @property
    def has_root(self) -> bool:
        """True if what is compiled is to be compiled in a build root."""
        return self.job.options.build_root is not None

    def describe(self, question: NeedsMetadata, offered: Offered) -> KnownMetadata:
        """What a source requires, be it an index's, a folder, a repository or behind a URL. It is judged, and its backend confined."""
        where = question.name if "/" in question.version else f"{question.name} {question.version}"
        return self._by_errand(f"describing {question}", where, lambda stop: self._described(question, offered, stop))

    def _described(self, question: NeedsMetadata, offered: Offered, stop: Cancellation) -> KnownMetadata:
        filename, found = self._in_question(question, offered, stop)
        facts = self.sound(filename, found)
        answer = self.metadata(facts, found.path, stop)
        return KnownMetadata(
            name=question.name,
            version=str(facts.version),
            requires=self._sourced(answer.requires, question.version),
            requires_python=str(answer.requires_python) if answer.requires_python is not None else None,
            extras=tuple(sorted(answer.extras)),
        )

    def _sourced(self, requires: tuple[str, ...], place: str) -> tuple[str, ...]:
        """What a folder's backend told, from where the folder says: what a folder states, uv reads with its sources itself."""
        source = source_at(place) if "/" in place else None
        if source is None or source.kind != "directory":
            return requires
        found, notes = with_sources(requires, Path(source.location) / (source.subdirectory or ""))
        for note in notes:
            self._reporter.warning(note)
        return found

    def _in_question(self, question: NeedsMetadata, offered: Offered, stop: Cancellation) -> tuple[str, FetchedFile]:
        """The source archive that is asked about, in the store, by its name."""
        if "/" in question.version:
            source = source_at(question.version)
            if source is None:
                raise BuildFault(f"what {question.name} requires can only be told by building it", where=question.version)
            package = LockedPackage(name=question.name, version=None, source=source)
            if package.archive is None:
                archived = self.archive(question.name, source, stop)
                return archived.file.filename, archived.found
            wanted = wanted_file(package.archive)
        else:
            sdists = [file for file in offered().get(Version(question.version), ()) if not file.filename.endswith(".whl")]
            if not sdists:
                raise BuildFault(
                    f"what {question.name} {question.version} requires can only be told by building it, and it is no file of an index",
                    hint="give a wheel of it instead, with --find-links or by the wheel's own URL or path",
                )
            file = sorted(sdists, key=lambda sdist: not sdist.filename.endswith(".tar.gz"))[0]
            wanted = Wanted(
                filename=file.filename, urls=(file.url,), sha256=file.sha256, size=file.size, index=file.index, hash_source="index"
            )
        return wanted.filename, self.fetched(wanted)

    def fetched(self, wanted: Wanted) -> FetchedFile:
        """One file in the store. Raises what it failed for."""
        supplies = self.supplies
        answer = fetch(
            [wanted], transport=supplies.transport, store=supplies.store, limits=supplies.limits, reporter=self._reporter, stop=self._stop
        )
        if answer.failures:
            raise answer.failures[0]
        return answer.files[wanted]

    # --- what building takes -------------------------------------------------------------------------------------------------------

    def shop(self, stop: Cancellation | None = None, interpreter: Interpreter | None = None) -> Workshop:
        """The workshop, that of the build root for its interpreters. A sandbox is looked for when it is first asked for."""
        rooted = interpreter is not None and interpreter.root is not None
        with self._first:
            return replace(self._rooted if rooted else self._shop, stop=stop or self._stop)

    def environments(self) -> Environments:
        """The build environments of the run."""
        with self._first:
            return self._environments

    @functools.cached_property
    def _shop(self) -> Workshop:
        work = self.supplies.cache_dir / "builds"
        work.mkdir(parents=True, exist_ok=True)
        stated = self.job.requirements.recipes.limits
        usual = Limits(seconds=stated.timeout or _SECONDS)
        return Workshop(
            python=environ.interpreter(),
            uv=self.supplies.uv,
            sandbox=self.supplies.confine(),
            work=work,
            cache_dir=self.supplies.cache_dir,
            supply=self.tools.supply,
            reporter=self._reporter,
            stop=self._stop,
            limits=replace(
                usual,
                memory=stated.memory or usual.memory,
                disk=stated.disk or usual.disk,
                processes=stated.processes or usual.processes,
            ),
            repairer=find_repairer(),
            # What several builds at once have between them.
            cores=max(1, capacity.cores() // self.errands.workers),
        )

    @functools.cached_property
    def _root(self) -> BuildRoot | None:
        folder, shop = self.job.options.build_root, self._shop
        if folder is None:
            return None
        return open_root(
            folder, sandbox=shop.sandbox, python=shop.python, uv=shop.uv, work=shop.work, stop=self._stop, reporter=self._reporter
        )

    @functools.cached_property
    def _rooted(self) -> Workshop:
        assert self._root is not None
        return self._root.enter(self._shop)

    @functools.cached_property
    def _environments(self) -> Environments:
        return Environments(self._shop)

    def recipe(self, name: str) -> Recipe:
        """What the user says of building a package, with the versions of what runs where it wants to match them."""
        recipe = self.job.requirements.recipes.of(name)
        pins = [Requirement(f"{other}=={self.running[other]}") for other in recipe.match_runtime if other in self.running]
        return replace(recipe, requires=(*recipe.requires, *pins)) if pins else recipe

    def _tool(self, package: LockedPackage, found: FetchedFile | None, interpreter: Interpreter) -> Tool:
        """A build requirement that there is no wheel of, as the wheel that is built of it."""
        if found is None:
            assert package.source is not None
            if package.source.kind == "directory":
                self.tool_folders.add(self.grounds.shown(package.source.location))
            archived = self.archive(package.name, package.source)
            filename, found = archived.file.filename, archived.found
        else:
            file = source_file(package)
            assert file is not None
            filename = file.filename
        facts = self.sound(filename, found)
        (outcome,) = self.errands.outcomes([self.wheel(facts, found.path, interpreter)])
        if isinstance(outcome, Finding):
            raise BuildRequirementFault(f"what it needs to be built could not be built: {outcome.message}", hint=outcome.hint)
        return Tool(
            name=package.name,
            version=str(facts.version),
            filename=outcome.filename,
            sha256=outcome.sha256,
            path=self.supplies.store.path(outcome.sha256),
        )

    def _resolve(self, requirements: Requirements, target: Target, previous: Lock) -> Lock:
        return resolve(
            requirements,
            [target],
            LockSettings(previous=previous, upgrade=self.job.options.upgrade, exclude_newer=self.job.exclude_newer),
            supplies=self.supplies,
            describe=self.describe,
            # What a build asks for is no news of its own.
            reporter=Reporter(),
            stop=self._stop,
        )


def finding_of(error: HardtackError, filename: str | None = None) -> Finding:
    """What ended one build, as a finding."""
    return Finding(code=error.slug, message=str(error), file=filename, hint=error.hint)

"""One source archive in, its metadata or its one wheel out; a backend that returns anything else is refused."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.tags import Tag
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from hardtack.building.backend import Backend, SourceTree
from hardtack.building.environment import BuildEnvironment, Environments
from hardtack.building.faults import BadBackend, WrongWheel
from hardtack.building.ingredients import Ingredients, digest_of, gathered
from hardtack.building.interpreter import Interpreter, fitting
from hardtack.building.notes import answered_before, described_before, keep_log, remember_answer, remember_description
from hardtack.building.repair import Fitted, fit_tags
from hardtack.building.rounds import Settled, settle
from hardtack.building.trees import reverse
from hardtack.building.workshop import Asker, Tool, Workshop
from hardtack.errors import BuildFault
from hardtack.model.finding import Severity
from hardtack.model.manifest import BuildRecord
from hardtack.model.recipe import Recipe
from hardtack.model.wheel import BadWheel, SdistFacts
from hardtack.system.files import clock_of, remove, sweep
from hardtack.wheelhouse.inspect import inspect_wheel
from hardtack.wheelhouse.sdist import extract_sdist

NOTHING = Recipe()  # more than the source says

_SCHEMA = 3
_METADATA_LIMIT = 16 << 20  # bytes
_ABANDONED = 86_400.0  # seconds after which a folder is no running build's
_ANY = frozenset({Tag("py3", "none", "any")})


@dataclass(frozen=True, slots=True, kw_only=True)
class MetadataAnswer:
    """What a source's wheel will require. ``requires`` are Requires-Dist lines as written; ``static`` if no code ran to know (PEP 643)."""

    name: str
    version: Version
    requires: tuple[str, ...]
    requires_python: SpecifierSet | None
    extras: frozenset[str]
    static: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltWheel:
    """A wheel made here. ``size`` in bytes; ``path`` lies in the work folder and is the caller's to take and remove.

    ``tags`` are true: read from its files where it is compiled. ``outside`` are the libraries that a compiled wheel needs of its host
    and does not bring; its tags then promise no other host. ``log`` is what the build said, in the cache.
    """

    path: Path
    filename: str
    sha256: str
    size: int
    record: BuildRecord
    tags: frozenset[Tag] = _ANY
    outside: tuple[str, ...] = ()
    log: Path | None = None

    @property
    def pure(self) -> bool:
        """True if it serves every target that its Requires-Python allows."""
        return is_pure(self.tags)


def static_metadata(facts: SdistFacts) -> MetadataAnswer | None:
    """What the archive says of itself that may be trusted (PEP 643); None where only its backend can tell, which wants a sandbox."""
    if facts.requires is None:
        return None
    return MetadataAnswer(
        name=facts.name,
        version=facts.version,
        requires=tuple(str(requirement) for requirement in facts.requires),
        requires_python=facts.requires_python,
        extras=_extras(facts.requires),
        static=True,
    )


def prepare_metadata(
    facts: SdistFacts, archive: Path, *, shop: Workshop, recipe: Recipe = NOTHING, environments: Environments | None = None
) -> MetadataAnswer:
    """What the archive's wheel will require: from its own static fields where they may be trusted, else by asking its backend, confined.

    Raises BuildFault where the backend fails or tells of another project or version, and what ``shop.supply`` raises.
    """
    answer = static_metadata(facts)
    if answer is not None:
        return answer
    interpreter = fitting(facts.requires_python, preferred=shop.python, uv=shop.uv, stop=shop.stop, wanted_by=facts.filename)
    with bench(facts, archive, shop=shop, interpreter=interpreter, recipe=recipe, environments=environments) as made:
        return made.metadata()


@contextmanager
def bench(
    facts: SdistFacts,
    archive: Path,
    *,
    shop: Workshop,
    interpreter: Interpreter,
    recipe: Recipe = NOTHING,
    environments: Environments | None = None,
) -> Iterator[Bench]:
    """All that one source is built with in one interpreter, found out in rounds; nothing is built yet.

    The backend is asked what it wants besides, confined, unless it was asked before with the same tools. ``environments`` are shared with
    other benches; without, there are some for this one. Raises BuildFault (with the log's last lines, and the log's path in
    ``shop.work``) where the backend fails, and what ``shop.supply`` raises.
    """
    shop.work.mkdir(parents=True, exist_ok=True)
    sweep(shop.work, older_than=clock_of(shop.work) - _ABANDONED)
    given = gathered(recipe, shop, where=facts.filename)
    with ExitStack() as stack:
        shared = environments if environments is not None else stack.enter_context(Environments(shop))
        hooks = _Hooks(facts, archive, shop, interpreter, given, shared)
        stack.callback(hooks.close)
        settled = settle(
            Asker(filename=facts.filename, sha256=facts.sha256),
            [*facts.build_requires, *recipe.requires],
            interpreter=interpreter,
            shop=shop,
            ask=hooks.wanted,
        )
        yield Bench(hooks, settled)


class Bench:
    """One source, one interpreter, and what goes into the build of one by the other.

    ``requires`` is all that was asked for, ``tools`` what satisfied it. ``key`` is the digest of everything that goes in.
    """

    def __init__(self, hooks: _Hooks, settled: Settled) -> None:
        self._hooks, self._settled = hooks, settled
        self.requires = settled.requires
        self.tools = settled.tools
        repairer = hooks.shop.repairer
        self.key = digest_of(
            {
                **hooks.parts(self.tools),
                "schema": _SCHEMA,
                "requires": [str(requirement) for requirement in self.requires],
                "repairer": [repairer.name, repairer.version] if repairer is not None else None,
            }
        )

    @property
    def shop(self) -> Workshop:
        """The workshop that it stands in."""
        return self._hooks.shop

    def elsewhere(self, shop: Workshop, environments: Environments) -> Bench:
        """The same bench in another workshop; nothing is asked again."""
        return Bench(self._hooks.elsewhere(shop, environments), self._settled)

    def metadata(self) -> MetadataAnswer:
        """What the wheel will require, by the backend's word, or what it said before of the same.

        Raises BuildFault where it fails or tells of another project or version.
        """
        hooks, facts, cache_dir = self._hooks, self._hooks.facts, self._hooks.shop.cache_dir
        known = described_before(self.key, cache_dir=cache_dir)
        if known is not None:
            return _answer(facts, known)
        hooks.shop.reporter.detail(f"{facts.filename}: asking its build backend for metadata ({hooks.shop.sandbox.name})")
        with hooks.opened(self.tools) as (backend, _):
            hooks.shop.reporter.build_step(facts.filename, "asking for metadata")
            said = _read_metadata(facts, backend.metadata, backend.prepare())
            answer = _answer(facts, said)
        remember_description(self.key, said, cache_dir=cache_dir)
        hooks.kept_log.unlink(missing_ok=True)
        return answer

    def wheel(self) -> BuiltWheel:
        """Build the wheel, confined, and take it out of the build only if it is the one that was asked for, under true tags.

        Raises WrongWheel for anything that is not the one right file, BuildFault (with the log's last lines, and the log's path in
        ``shop.work``) where the backend fails. Nothing but that log and the wheel's folder stays in ``shop.work``; what a killed run
        left there goes a day later.
        """
        facts, shop = self._hooks.facts, self._hooks.shop
        shop.reporter.build_started(facts.filename)
        started = time.monotonic()
        built: BuiltWheel | None = None
        try:
            built = self._wheel()
            return built
        finally:
            if not shop.stop.cancelled:  # what was stopped has not failed
                shop.reporter.build_finished(facts.filename, wheel=built.filename if built else None, seconds=time.monotonic() - started)

    def _wheel(self) -> BuiltWheel:
        hooks, facts, shop = self._hooks, self._hooks.facts, self._hooks.shop
        with hooks.opened(self.tools) as (backend, environment):
            shop.reporter.build_step(facts.filename, "building")
            path = _the_one_wheel(facts, backend.output, backend.build())
            digest, size = _digest(path)
            _judge(facts, path, digest)
            if not is_pure(parse_wheel_filename(path.name)[3]):
                shop.reporter.build_step(facts.filename, "repairing")
            fitted = fit_tags(
                path,
                source=facts.filename,
                interpreter=hooks.interpreter,
                repairer=shop.repairer,
                sandbox=shop.sandbox,
                room=backend.output.parent,
                log=backend.log,
                source_date_epoch=shop.source_date_epoch,
                stop=shop.stop,
            )
            if fitted.path != path:
                path = fitted.path
                digest, size = _digest(path)
                _judge(facts, path, digest)
            given, compiled = hooks.given, not is_pure(fitted.tags)
            record = BuildRecord(
                source=facts.filename,
                source_sha256=facts.sha256,
                backend=facts.backend,
                requires=dict(environment.installed),
                sandbox=shop.sandbox.name,
                python=hooks.interpreter.label,
                tools=_tools(fitted, hooks.interpreter),
                # A pure wheel owes them nothing, and is the same where there are others.
                compilers=dict(given.compilers) or None if compiled else None,
                config=given.config or None,
                variables=given.variables or None,
                programs=dict(given.programs) or None,
            )
            taken = _fresh(shop.work, "wheel-") / path.name
            path.replace(taken)
            log = keep_log(self.key, backend.log, cache_dir=shop.cache_dir)
        hooks.kept_log.unlink(missing_ok=True)
        return BuiltWheel(
            path=taken,
            filename=taken.name,
            sha256=digest,
            size=size,
            record=record,
            tags=fitted.tags,
            outside=fitted.outside,
            log=log,
        )


class _Hooks:
    """One source's backend in one interpreter: each question in a room of its own, so that no answer depends on which were asked before."""

    def __init__(
        self, facts: SdistFacts, archive: Path, shop: Workshop, interpreter: Interpreter, given: Ingredients, environments: Environments
    ) -> None:
        self.facts, self.shop, self.interpreter, self.given = facts, shop, interpreter, given
        self._archive, self._environments = archive, environments
        # An unpacked source that a hook left as it was, in a folder around it.
        self._untouched: Path | None = None
        # One for each archive and interpreter, of their last failure.
        self.kept_log = shop.work / f"{facts.filename}.{interpreter.label.replace(' ', '-')}.log"

    def elsewhere(self, shop: Workshop, environments: Environments) -> _Hooks:
        return _Hooks(self.facts, self._archive, shop, self.interpreter, self.given, environments)

    def parts(self, tools: Sequence[Tool]) -> dict[str, Any]:
        """What goes into the answer to any question, for a key."""
        return {
            "source": self.facts.sha256,
            "backend": [self.facts.backend, *self.facts.backend_path],
            "tools": [[tool.filename, tool.sha256] for tool in tools],
            **self.given.parts(self.shop, self.interpreter),
        }

    def wanted(self, tools: Sequence[Tool]) -> Sequence[Requirement]:
        """get_requires_for_build_wheel in an environment of these tools, or what it answered before to the same."""
        key = digest_of({"schema": _SCHEMA, "hook": "get_requires_for_build_wheel", **self.parts(tools)})
        answer = answered_before(key, cache_dir=self.shop.cache_dir)
        if answer is None:
            with self.opened(tools, again=True) as (backend, _):
                self.shop.reporter.build_step(self.facts.filename, "asking for requirements")
                answer = backend.wanted()
            remember_answer(key, answer, cache_dir=self.shop.cache_dir)
        return answer

    @contextmanager
    def opened(self, tools: Sequence[Tool], *, again: bool = False) -> Iterator[tuple[Backend, BuildEnvironment]]:
        """The backend of the unpacked archive in an environment of these tools. Nothing but a failure's log outlives the block.

        ``again``: and the unpacked archive, for the next block, where this one leaves it as it was.
        """
        room = _fresh(self.shop.work, "build-")
        # Written in the room, where no other run's build writes, and moved when it is whole.
        log = room / "log"
        log.touch()
        try:
            self.shop.reporter.build_step(self.facts.filename, "installing tools")
            environment = self._environments.environment(self.interpreter, tools, sandbox=self.shop.sandbox)
            tree = SourceTree(path=self._unpacked(room / "unpacked"), facts=self.facts)
            before = look(tree.path) if again else None
            backend = Backend(
                tree,
                shop=self.shop,
                environments=self._environments,
                interpreter=self.interpreter,
                recipe=self.given.recipe,
                work=room,
                log=log,
                kept_log=self.kept_log,
            )
            backend.use(environment)
            yield backend, environment
            if before is not None and look(tree.path) == before:
                self._untouched = _fresh(self.shop.work, "source-")
                tree.path.rename(self._untouched / tree.path.name)
        except BuildFault as error:
            error.where = error.where or self.facts.filename
            if str(self.kept_log) in error.reason:
                log.replace(self.kept_log)
            raise
        finally:
            remove(room)

    def _unpacked(self, folder: Path) -> Path:
        """The source in ``folder``, as nobody has touched it."""
        kept, self._untouched = self._untouched, None
        if kept is not None:
            kept.rename(folder)
            return folder / self.facts.top
        path = extract_sdist(self._archive, self.facts, folder)
        if self.shop.backwards:
            reverse(path)
        return path

    def close(self) -> None:
        """Remove what was kept for the next question."""
        kept, self._untouched = self._untouched, None
        if kept is not None:
            remove(kept)


def look(folder: Path) -> dict[str, tuple[int, ...]]:
    """Everything in a folder, and the folder: the time of its last change, which nobody can set, and what may differ besides."""
    found = {"": _seen(folder.lstat())}
    waiting = [str(folder)]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                state = entry.stat(follow_symlinks=False)
                found[entry.path] = _seen(state)
                if stat.S_ISDIR(state.st_mode):
                    waiting.append(entry.path)
    return found


def _seen(state: os.stat_result) -> tuple[int, ...]:
    return (state.st_mode, state.st_uid, state.st_gid, state.st_nlink, state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino)


def _the_one_wheel(facts: SdistFacts, output: Path, name: str) -> Path:
    """The wheel that the backend named, if it is the only thing that it left, and is what was asked for."""

    def refuse(reason: str) -> WrongWheel:
        return WrongWheel(f"its backend {facts.backend!r} {reason}", where=facts.filename, hint="nothing of this build was kept")

    if not stat.S_ISDIR(output.lstat().st_mode):
        raise refuse("replaced the folder that its wheel was to be put in")
    left = sorted(os.listdir(output))
    if name not in left or name != os.path.basename(name):
        raise refuse(f"says that it made {name!r}, which is not in the folder that it was given (there: {', '.join(left) or 'nothing'})")
    if len(left) > 1:
        raise refuse(f"left more than the one wheel: {', '.join(left)}")
    path = output / name
    state = path.lstat()
    if not stat.S_ISREG(state.st_mode) or state.st_nlink != 1:
        raise refuse(f"left {name} as a link or a special file")
    try:
        project, version, _, _ = parse_wheel_filename(name)
    except InvalidWheelFilename as error:
        raise refuse(f"left a file that is not named as a wheel: {error}") from error
    if project != canonicalize_name(facts.name):
        raise refuse(f"returned a wheel of another project: {name}")
    if version != facts.version:
        raise refuse(f"returned a wheel of another version: {name}, the source is {facts.version}")
    return path


def _judge(facts: SdistFacts, path: Path, digest: str) -> None:
    """Refuse a wheel that would be refused from an index too: its archive, its RECORD, the name and version in its METADATA."""
    judged = inspect_wheel(path, filename=path.name, sha256=digest)
    if isinstance(judged, BadWheel):
        wrong = [finding.message for finding in judged.findings if finding.severity is Severity.ERROR]
        raise WrongWheel(
            f"its backend {facts.backend!r} made a wheel that is not sound: {'; '.join(wrong)}",
            where=facts.filename,
            hint="nothing of this build was kept",
        )


def is_pure(tags: frozenset[Tag]) -> bool:
    """True if a wheel with these tags runs on any Python and any platform."""
    return all(tag.abi == "none" and tag.platform == "any" and tag.interpreter.startswith("py") for tag in tags)


def _tools(fitted: Fitted, interpreter: Interpreter) -> dict[str, str] | None:
    if is_pure(fitted.tags):
        return None
    libc = {interpreter.libc: "{}.{}".format(*interpreter.libc_version)} if interpreter.libc and interpreter.libc_version else {}
    return {**libc, **dict(fitted.tools)}


def _refused(facts: SdistFacts, reason: str) -> BadBackend:
    return BadBackend(f"the metadata that its backend {facts.backend!r} prepared {reason}", where=facts.filename)


def _read_metadata(facts: SdistFacts, folder: Path, name: str) -> str:
    """The head of the METADATA that the backend prepared, without the description below it."""
    path = folder / name / "METADATA"
    if name != os.path.basename(name) or not name.endswith(".dist-info") or (folder / name).is_symlink():
        raise _refused(facts, f"is in {name!r}, which is no dist-info folder")
    try:
        state = path.lstat()
    except OSError:
        raise _refused(facts, "has no METADATA") from None
    if not stat.S_ISREG(state.st_mode) or state.st_size > _METADATA_LIMIT:
        raise _refused(facts, "is no file of a sensible size")
    return path.read_text(encoding="utf-8", errors="replace").partition("\n\n")[0] + "\n"


def _answer(facts: SdistFacts, text: str) -> MetadataAnswer:
    """What METADATA says, if it is valid and of this source."""
    import email.parser
    import email.policy

    message = email.parser.Parser(policy=email.policy.compat32).parsestr(text, headersonly=True)
    try:
        version = Version(str(message["Version"]))
        requires_python = SpecifierSet(str(message["Requires-Python"])) if message["Requires-Python"] else None
        requires = tuple(str(Requirement(" ".join(str(text).split()))) for text in message.get_all("Requires-Dist") or [])
    except (InvalidVersion, InvalidSpecifier, InvalidRequirement) as error:
        raise _refused(facts, f"is not valid: {error}") from error
    if canonicalize_name(str(message["Name"])) != canonicalize_name(facts.name) or version != facts.version:
        raise _refused(facts, f"is of {message['Name']} {version}, the source is {facts.name} {facts.version}")
    extras = frozenset(canonicalize_name(str(extra)) for extra in message.get_all("Provides-Extra") or [])
    return MetadataAnswer(name=facts.name, version=version, requires=requires, requires_python=requires_python, extras=extras, static=False)


def _extras(requires: tuple[Requirement, ...]) -> frozenset[str]:
    """The extras that requirements speak of in their markers (an extra that brings nothing is not known from here)."""
    found: set[str] = set()
    for requirement in requires:
        found.update(re.findall(r"""\bextra\s*==\s*["']([^"']+)["']""", str(requirement.marker or "")))
    return frozenset(canonicalize_name(extra) for extra in found)


def _fresh(work: Path, prefix: str) -> Path:
    """A new folder that only we may enter, named so that ``sweep`` takes it for temporary."""
    return Path(tempfile.mkdtemp(prefix=f".hardtack-{prefix}", dir=work))


def _digest(path: Path) -> tuple[str, int]:
    with open(path, "rb") as stream:
        digest = hashlib.file_digest(stream, "sha256")
        return digest.hexdigest(), stream.tell()

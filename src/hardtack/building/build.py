"""One source archive in, its metadata or its one wheel out; a backend that returns anything else is refused."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.tags import Tag
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from hardtack.building.backend import Backend, BadBackend, Limits, SourceTree, WrongWheel
from hardtack.building.environment import BuildEnvironment, build_environment
from hardtack.building.interpreter import Interpreter, fitting
from hardtack.building.repair import Fitted, Repairer, fit_tags
from hardtack.building.sandbox import Sandbox
from hardtack.errors import BuildFault
from hardtack.model.finding import Severity
from hardtack.model.manifest import BuildRecord
from hardtack.model.wheel import BadWheel, SdistFacts
from hardtack.reporting import Reporter
from hardtack.system.cancellation import Cancellation
from hardtack.system.files import remove, sweep
from hardtack.system.uv import Uv
from hardtack.wheelhouse.inspect import inspect_wheel
from hardtack.wheelhouse.sdist import extract_sdist

_ROUNDS = 4  # of "what else do you need?"
_METADATA_LIMIT = 16 << 20  # bytes
_SECONDS = 3600.0  # for each hook
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
    and does not bring; its tags then promise no other host.
    """

    path: Path
    filename: str
    sha256: str
    size: int
    record: BuildRecord
    tags: frozenset[Tag] = _ANY
    outside: tuple[str, ...] = ()

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
    facts: SdistFacts,
    archive: Path,
    *,
    python: Path,
    uv: Uv,
    uv_config: Path | None,
    sandbox: Sandbox,
    work: Path,
    source_date_epoch: int = 315_532_800,
    reporter: Reporter,
    stop: Cancellation,
    timeout: float = _SECONDS,
) -> MetadataAnswer:
    """What the archive's wheel will require: from its own static fields where they may be trusted, else by asking its backend, confined.

    ``timeout`` in seconds for each hook. Raises BuildFault where the backend fails or tells of another project or version.
    """
    answer = static_metadata(facts)
    if answer is not None:
        return answer
    reporter.detail(f"{facts.filename}: asking its build backend for metadata ({sandbox.name})")
    with _prepared(
        facts,
        archive,
        python=python,
        uv=uv,
        uv_config=uv_config,
        sandbox=sandbox,
        work=work,
        source_date_epoch=source_date_epoch,
        stop=stop,
        timeout=timeout,
    ) as (backend, _, _):
        return _read_metadata(facts, backend.metadata, backend.prepare())


def build_wheel(
    facts: SdistFacts,
    archive: Path,
    *,
    python: Path,
    uv: Uv,
    uv_config: Path | None,
    sandbox: Sandbox,
    work: Path,
    source_date_epoch: int,
    reporter: Reporter,
    stop: Cancellation,
    timeout: float = _SECONDS,
    repairer: Repairer | None = None,
) -> BuiltWheel:
    """Build the archive's wheel, confined, and take it out of the build only if it is the one that was asked for, under true tags.

    ``timeout`` in seconds for each hook. ``python`` is used where the source's Requires-Python allows it, else another one of this machine.
    ``repairer`` brings the libraries of a compiled wheel along. Raises WrongWheel for anything that is not the one right file, BuildFault
    (with the log's last lines, and the log's path in ``work``) where the backend fails. Nothing but that log and the wheel's folder stays
    in ``work``; what a killed run left there goes a day later.
    """
    reporter.build_started(facts.filename)
    started = time.monotonic()
    built: BuiltWheel | None = None
    try:
        with _prepared(
            facts,
            archive,
            python=python,
            uv=uv,
            uv_config=uv_config,
            sandbox=sandbox,
            work=work,
            source_date_epoch=source_date_epoch,
            stop=stop,
            timeout=timeout,
        ) as (backend, environment, interpreter):
            path = _the_one_wheel(facts, backend.output, backend.build())
            digest, size = _digest(path)
            _judge(facts, path, digest)
            fitted = fit_tags(
                path,
                source=facts.filename,
                interpreter=interpreter,
                repairer=repairer,
                sandbox=sandbox,
                room=backend.output.parent,
                log=backend.log,
                source_date_epoch=source_date_epoch,
                stop=stop,
            )
            if fitted.path != path:
                path = fitted.path
                digest, size = _digest(path)
                _judge(facts, path, digest)
            record = BuildRecord(
                source=facts.filename,
                source_sha256=facts.sha256,
                backend=facts.backend,
                requires=dict(environment.installed),
                sandbox=sandbox.name,
                python=interpreter.label,
                tools=_tools(fitted, interpreter),
            )
            taken = _fresh(work, "wheel-") / path.name
            path.replace(taken)
            built = BuiltWheel(
                path=taken,
                filename=taken.name,
                sha256=digest,
                size=size,
                record=record,
                tags=fitted.tags,
                outside=fitted.outside,
            )
            return built
    finally:
        reporter.build_finished(facts.filename, wheel=built.filename if built else None, seconds=time.monotonic() - started)


@contextmanager
def _prepared(
    facts: SdistFacts,
    archive: Path,
    *,
    python: Path,
    uv: Uv,
    uv_config: Path | None,
    sandbox: Sandbox,
    work: Path,
    source_date_epoch: int,
    stop: Cancellation,
    timeout: float,
) -> Iterator[tuple[Backend, BuildEnvironment, Interpreter]]:
    """The backend of an unpacked archive, in an environment that has all it asks for. Nothing but a failure's log outlives the block."""
    work.mkdir(parents=True, exist_ok=True)
    sweep(work, older_than=time.time() - _ABANDONED)
    interpreter = fitting(facts.requires_python, preferred=python, uv=uv, stop=stop, wanted_by=facts.filename)
    room = _fresh(work, "build-")
    # One log for each archive, of its last failure: written in the room, where no other run's build writes, and moved when it is whole.
    log, kept = room / "log", work / f"{facts.filename}.log"
    log.touch()
    try:
        tree = SourceTree(path=extract_sdist(archive, facts, room / "unpacked"), facts=facts)
        backend = Backend(
            tree,
            interpreter=interpreter,
            sandbox=sandbox,
            work=room,
            log=log,
            kept_log=kept,
            source_date_epoch=source_date_epoch,
            limits=Limits(seconds=timeout),
            stop=stop,
        )
        environment = _asked_until_content(facts, backend, interpreter=interpreter, uv=uv, uv_config=uv_config, room=room, stop=stop)
        yield backend, environment, interpreter
        kept.unlink(missing_ok=True)
    except BuildFault as error:
        error.where = error.where or facts.filename
        if str(kept) in error.reason:
            log.replace(kept)
        raise
    finally:
        remove(room)


def _asked_until_content(
    facts: SdistFacts, backend: Backend, *, interpreter: Interpreter, uv: Uv, uv_config: Path | None, room: Path, stop: Cancellation
) -> BuildEnvironment:
    """Environments, each made anew, until the backend asks for nothing that is not in it."""
    asked = list(facts.build_requires)
    for number in range(_ROUNDS):
        folder = room / f"env{number}"
        environment = build_environment(asked, python=interpreter.executable, uv=uv, uv_config=uv_config, folder=folder, stop=stop)
        backend.use(environment)
        new = [requirement for requirement in backend.wanted() if str(requirement) not in {str(known) for known in asked}]
        if not new:
            return environment
        asked += new
    raise BadBackend(f"its backend still asks for more after {_ROUNDS} rounds: {', '.join(str(requirement) for requirement in new)}")


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


def _read_metadata(facts: SdistFacts, folder: Path, name: str) -> MetadataAnswer:
    import email.parser
    import email.policy

    def refuse(reason: str) -> BadBackend:
        return BadBackend(f"the metadata that its backend {facts.backend!r} prepared {reason}", where=facts.filename)

    path = folder / name / "METADATA"
    if name != os.path.basename(name) or not name.endswith(".dist-info") or (folder / name).is_symlink():
        raise refuse(f"is in {name!r}, which is no dist-info folder")
    try:
        state = path.lstat()
    except OSError:
        raise refuse("has no METADATA") from None
    if not stat.S_ISREG(state.st_mode) or state.st_size > _METADATA_LIMIT:
        raise refuse("is no file of a sensible size")
    message = email.parser.Parser(policy=email.policy.compat32).parsestr(
        path.read_text(encoding="utf-8", errors="replace"), headersonly=True
    )
    try:
        version = Version(str(message["Version"]))
        requires_python = SpecifierSet(str(message["Requires-Python"])) if message["Requires-Python"] else None
        requires = tuple(str(Requirement(" ".join(str(text).split()))) for text in message.get_all("Requires-Dist") or [])
    except (InvalidVersion, InvalidSpecifier, InvalidRequirement) as error:
        raise refuse(f"is not valid: {error}") from error
    if canonicalize_name(str(message["Name"])) != canonicalize_name(facts.name) or version != facts.version:
        raise refuse(f"is of {message['Name']} {version}, the source is {facts.name} {facts.version}")
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

"""Folders and repositories become source archives: what git sees of them, by their own backend's build_sdist, confined."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import stat
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal

from packaging.utils import canonicalize_name

from hardtack.building.backend import Backend, BadBackend, Limits, SourceTree
from hardtack.building.environment import BuildEnvironment, build_environment
from hardtack.building.git import Git, find_git, need_git, without_login
from hardtack.building.interpreter import Interpreter, fitting
from hardtack.building.sandbox import Sandbox
from hardtack.building.trees import asks_git, copy_file, listed, stated_versions, tracked
from hardtack.errors import BuildFault, Cancelled
from hardtack.model.lock import Source
from hardtack.model.manifest import SourceOrigin
from hardtack.model.wheel import BadSdist, SdistFacts
from hardtack.reporting import Reporter
from hardtack.system.cancellation import Cancellation
from hardtack.system.files import remove, sweep, write_bytes
from hardtack.system.uv import Uv
from hardtack.wheelhouse.sdist import extract_sdist, inspect_sdist, read_build_system

_SCHEMA = 1
_ROUNDS = 4  # of "what else do you need?"
_SECONDS = 3600.0  # for each hook
_ABANDONED = 86_400.0  # seconds after which a folder is no running build's
_METADATA_LIMIT = 16 << 20  # bytes


class SourceFault(BuildFault):
    """A folder or a repository is not the project that it was taken for, or there is none."""

    slug = "source"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceArchive:
    """A folder or repository as a judged source archive. ``path`` lies in the work folder and is the caller's to take and remove."""

    path: Path
    filename: str
    sha256: str
    size: int
    facts: SdistFacts
    origin: SourceOrigin


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """An archive made in an earlier run; its bytes are in the store under ``sha256``."""

    filename: str
    sha256: str
    size: int


@dataclass(slots=True, kw_only=True)
class SourceRoom:
    """A source laid out in a folder of ours. ``key`` tells its content; ``complete`` does what only a build needs (a checkout, history).

    ``path`` is the project's folder, in ``root``, which is all that is laid out.
    """

    room: Path
    root: Path
    path: Path
    origin: SourceOrigin
    key: str
    complete: Callable[[], None] = field(repr=False)


@contextmanager
def lay_out(
    source: Source,
    *,
    name: str,
    work: Path,
    cache_dir: Path,
    environment: Mapping[str, str],
    shown: str | None = None,
    leave_out: Sequence[Path] = (),
    offline: bool = False,
    stop: Cancellation,
) -> Iterator[SourceRoom]:
    """Lay a "directory" or "vcs" source out in a room below ``work`` that is gone after the block. The user's own tree is only read.

    ``environment`` is the user's: for git, and for the versions that he states. ``shown`` is how the manifest names a folder.
    ``leave_out`` are folders that are no part of it. Repositories are kept in ``cache_dir``/git. Raises SourceFault and GitFault.
    """
    work.mkdir(parents=True, exist_ok=True)
    sweep(work, older_than=time.time() - _ABANDONED)
    git = find_git(environment, offline=offline, stop=stop)
    room = Path(tempfile.mkdtemp(prefix=".hardtack-source-", dir=work))
    try:
        if source.kind == "vcs":
            yield _repository(source, need_git(git, where=name), room, cache_dir / "git", environment)
        elif source.kind == "directory":
            yield _folder(source, name, git, room, environment, shown, leave_out)
        else:
            raise SourceFault("an archive behind a URL is fetched, not laid out", where=name)
    finally:
        remove(room)


def _repository(source: Source, git: Git, room: Path, cache: Path, environment: Mapping[str, str]) -> SourceRoom:
    kind, plus, _ = source.location.partition("+")
    if plus and kind in ("hg", "svn", "bzr"):
        raise SourceFault(
            f"{kind} repositories are not fetched, only git's",
            where=without_login(source.location),
            hint="export the source, and give its folder or an archive of it",
        )
    url = source.location.removeprefix("git+")
    bare, commit = git.fetch(url, source.commit, source.requested, cache)
    root = room / "tree"
    path = root.joinpath(*_subdirectory(source))
    shown = without_login(url)

    def complete() -> None:
        git.check_out(bare, url, commit, root)
        _check_inside(path, root, shown)

    origin = SourceOrigin(kind="git", location=shown, commit=commit, subdirectory=source.subdirectory)
    key = ["vcs", shown, commit, source.subdirectory, sorted(stated_versions(environment).items())]
    return SourceRoom(room=room, root=root, path=path, origin=origin, key=json.dumps(key), complete=complete)


def _folder(
    source: Source, name: str, git: Git | None, room: Path, environment: Mapping[str, str], shown: str | None, leave_out: Sequence[Path]
) -> SourceRoom:
    folder = Path(source.location).joinpath(*_subdirectory(source))
    if not folder.is_dir():
        raise SourceFault("the folder is not there", where=str(folder), hint=f"{name} is to be built from it")
    checkout, files = listed(folder, git, leave_out)
    # Where a version is computed from history, or files above are read, the backend must see the repository as it is.
    whole = checkout is not None and checkout.commit is not None and asks_git(folder)
    base = checkout.top if whole and checkout is not None else folder
    if whole and checkout is not None:
        files = tracked(checkout, checkout.top, leave_out)
    root = room / "tree"
    rows = [copy_file(name, path, root, within=checkout.top if checkout is not None else folder) for name, path in files]
    tree = hashlib.sha256("".join(f"{row}\n" for row in rows if row).encode("utf-8", "surrogateescape")).hexdigest()
    path = root / folder.resolve().relative_to(base.resolve()) if whole else root
    path.mkdir(parents=True, exist_ok=True)
    state: Literal["clean", "dirty"] | None = None
    if checkout is not None and git is not None:
        seen = {str(path) for _, path in files}
        missing = [path for path in files if not path[1].is_symlink() and not path[1].exists()]
        changed = checkout.commit is None or missing or any(str(checkout.top / one) in seen for one in git.changed(checkout))
        state = "dirty" if changed else "clean"

    def complete() -> None:
        if whole and git is not None and checkout is not None:
            git.copy_history(checkout, root)

    origin = SourceOrigin(
        kind="directory",
        location=shown or source.location,
        commit=checkout.commit if checkout is not None else None,
        state=state,
        tree=tree,
        subdirectory=source.subdirectory,
    )
    history = [checkout.state, state] if whole and checkout is not None else []
    key = ["directory", name, tree, history, str(path.relative_to(root)), sorted(stated_versions(environment).items())]
    return SourceRoom(room=room, root=root, path=path, origin=origin, key=json.dumps(key), complete=complete)


def _subdirectory(source: Source) -> tuple[str, ...]:
    if not source.subdirectory:
        return ()
    parts = PurePosixPath(source.subdirectory.replace("\\", "/")).parts
    if ".." in parts or (parts and parts[0].startswith("/")):
        raise SourceFault(f"its subdirectory {source.subdirectory!r} leaves it", where=without_login(source.location))
    return parts


def _check_inside(path: Path, root: Path, where: str) -> None:
    if not path.is_dir() or not path.resolve().is_relative_to(root.resolve()):
        raise SourceFault(f"it has no folder {path.relative_to(root).as_posix()!r}", where=where)


def archive_key(room: SourceRoom, *, python: str, sandbox: str, source_date_epoch: int) -> str:
    """The digest of what is known to go into a source archive before it is made."""
    parts = {"schema": _SCHEMA, "source": room.key, "python": python, "sandbox": sandbox, "epoch": source_date_epoch}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def archived_before(key: str, *, cache_dir: Path, has: Callable[[str], bool]) -> Remembered | None:
    """What an earlier run made of the same source in the same way, if the store still ``has`` it."""
    try:
        data = json.loads((cache_dir / "archived" / f"{key}.json").read_bytes())
        found = Remembered(filename=str(data["filename"]), sha256=str(data["sha256"]), size=int(data["size"]))
        whole = data["key"] == key
    except (OSError, ValueError, KeyError, TypeError):
        return None  # absent, torn or of another schema: make it again
    return found if whole and has(found.sha256) else None


def remember_archive(key: str, archive: SourceArchive, *, cache_dir: Path) -> None:
    """Keep what was made, once its bytes are in the store."""
    data = {"key": key, "filename": archive.filename, "sha256": archive.sha256, "size": archive.size}
    write_bytes(cache_dir / "archived" / f"{key}.json", json.dumps(data, indent=1, sort_keys=True).encode() + b"\n")


def make_sdist(
    room: SourceRoom,
    *,
    name: str,
    python: Path,
    uv: Uv,
    uv_config: Path | None,
    sandbox: Sandbox,
    work: Path,
    source_date_epoch: int,
    reporter: Reporter,
    stop: Cancellation,
    timeout: float = _SECONDS,
) -> SourceArchive:
    """The source archive of what was laid out: by its backend's build_sdist, and where it has none or fails, all that lies there.

    Packed again so that its bytes follow from its content. ``timeout`` in seconds for each hook. Raises BuildFault where the backend cannot
    even tell name and version, SourceFault where it is another project than ``name``.
    """
    reporter.detail(f"{name}: making a source archive of {room.origin.location} ({sandbox.name})")
    room.complete()
    system = read_build_system(room.path, name=name)
    if isinstance(system, BadSdist):
        raise SourceFault("; ".join(finding.message for finding in system.findings), where=f"{name} ({room.origin.location})")
    _settle(room.root, source_date_epoch)
    interpreter = fitting(system.requires_python, preferred=python, uv=uv, stop=stop, wanted_by=name)
    inner = room.room / "build"
    inner.mkdir()
    log, kept = inner / "log", work / f"{system.filename}.log"
    log.touch()
    backend = Backend(
        SourceTree(path=room.path, facts=system, root=room.root),
        interpreter=interpreter,
        sandbox=sandbox,
        work=inner,
        log=log,
        kept_log=kept,
        source_date_epoch=source_date_epoch,
        limits=Limits(seconds=timeout),
        stop=stop,
        variables=_variables(room, uv.environment),
        # For what computes a version from history; a backend that gets none needs no git.
        tools=("git",) if (room.root / ".git").exists() else (),
    )

    def environment_for(hook: str) -> BuildEnvironment:
        return _environment(system, backend, hook, interpreter, uv, uv_config, inner, stop)

    try:
        try:
            environment_for("sdist")
            made = _the_one_archive(system, backend.output, backend.build_sdist())
            facts = _judged(made, _digest(made)[0], name)
        except Cancelled:
            raise
        except BuildFault as error:
            reporter.detail(f"{name}: no source archive from its backend ({error.reason.splitlines()[0]}): packing all that is there")
            environment_for("wheel")
            made = _packed_as_is(room, backend, inner / "own", source_date_epoch)
            facts = _judged(made, _digest(made)[0], name)
        kept.unlink(missing_ok=True)
    except BuildFault as error:
        error.where = error.where or name
        if str(kept) in error.reason:
            log.replace(kept)
        raise
    settled = Path(tempfile.mkdtemp(prefix=".hardtack-sdist-", dir=work)) / f"{facts.name.replace('-', '_')}-{facts.version}.tar.gz"
    tree = extract_sdist(made, facts, inner / "unpacked")
    _pack(tree, settled, top=f"{facts.name.replace('-', '_')}-{facts.version}", epoch=source_date_epoch)
    sha256, size = _digest(settled)
    facts = _judged(settled, sha256, name)
    return SourceArchive(path=settled, filename=settled.name, sha256=sha256, size=size, facts=facts, origin=room.origin)


def _environment(
    system: SdistFacts,
    backend: Backend,
    hook: str,
    interpreter: Interpreter,
    uv: Uv,
    uv_config: Path | None,
    room: Path,
    stop: Cancellation,
) -> BuildEnvironment:
    """Environments, each made anew, until the backend asks for nothing that is not in it."""
    asked = list(system.build_requires)
    for number in range(_ROUNDS):
        folder = room / f"env-{hook}{number}"
        environment = build_environment(asked, python=interpreter.executable, uv=uv, uv_config=uv_config, folder=folder, stop=stop)
        backend.use(environment)
        new = [requirement for requirement in backend.wanted(hook) if str(requirement) not in {str(known) for known in asked}]
        if not new:
            return environment
        asked += new
    raise BadBackend(f"its backend still asks for more after {_ROUNDS} rounds: {', '.join(str(requirement) for requirement in new)}")


def _variables(room: SourceRoom, environment: Mapping[str, str]) -> dict[str, str]:
    """git as the backend finds it: trusting the source, ending at it, set up by nobody; and the versions that the user states."""
    return {
        **stated_versions(environment),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "safe.directory",
        "GIT_CONFIG_VALUE_0": "*",
        "GIT_CEILING_DIRECTORIES": os.pathsep.join(["/build", str(room.room)]),
        "GIT_TERMINAL_PROMPT": "0",
    }


def _the_one_archive(system: SdistFacts, output: Path, name: str) -> Path:
    """The archive that the backend named, if it is the only thing that it left."""

    def refuse(reason: str) -> BadBackend:
        return BadBackend(f"its backend {system.backend!r} {reason}", where=system.filename)

    if not stat.S_ISDIR(output.lstat().st_mode):
        raise refuse("replaced the folder that its archive was to be put in")
    left = sorted(os.listdir(output))
    if name not in left or name != os.path.basename(name):
        raise refuse(f"says that it made {name!r}, which is not in the folder that it was given (there: {', '.join(left) or 'nothing'})")
    if len(left) > 1:
        raise refuse(f"left more than the one archive: {', '.join(left)}")
    path = output / name
    state = path.lstat()
    if not stat.S_ISREG(state.st_mode) or state.st_nlink != 1 or not name.endswith((".tar.gz", ".zip")):
        raise refuse(f"left {name}, which is no source archive")
    return path


def _packed_as_is(room: SourceRoom, backend: Backend, folder: Path, epoch: int) -> Path:
    """An archive of the project's folder with the metadata that its backend prepares as its PKG-INFO."""
    import email.parser
    import email.policy

    name = backend.prepare()
    path = backend.metadata / name / "METADATA"
    if name != os.path.basename(name) or not name.endswith(".dist-info") or (backend.metadata / name).is_symlink():
        raise BadBackend(f"the metadata that its backend prepared is in {name!r}, which is no dist-info folder")
    try:
        state = path.lstat()
    except OSError:
        raise BadBackend("the metadata that its backend prepared has no METADATA") from None
    if not stat.S_ISREG(state.st_mode) or state.st_size > _METADATA_LIMIT:
        raise BadBackend("the metadata that its backend prepared is no file of a sensible size")
    data = path.read_bytes()
    head = email.parser.BytesParser(policy=email.policy.compat32).parsebytes(data, headersonly=True)
    project, version = canonicalize_name(str(head["Name"])).replace("-", "_"), str(head["Version"])
    top = f"{project}-{version}"
    if not re.fullmatch(r"[A-Za-z0-9._+!-]+", top):
        raise BadBackend(f"the metadata that its backend prepared is of {top!r}")
    info = room.path / "PKG-INFO"
    remove(info)
    # What a wheel's metadata says is true of this source, but is no promise for another place to build it (PEP 643).
    info.write_bytes(re.sub(rb"\AMetadata-Version:[^\n]*", b"Metadata-Version: 2.1", data))
    folder.mkdir()
    made = folder / f"{top}.tar.gz"
    _pack(room.path, made, top=top, epoch=epoch, within=room.root)
    return made


def _judged(path: Path, sha256: str, name: str) -> SdistFacts:
    facts = inspect_sdist(path, filename=path.name, sha256=sha256)
    if isinstance(facts, BadSdist):
        found = "; ".join(finding.message for finding in facts.findings)
        raise SourceFault(f"the source archive made of it is not sound: {found}", where=name)
    if facts.name != canonicalize_name(name):
        raise SourceFault(f"it is the project {facts.name}", where=name, hint=f"ask for {facts.name} from there instead")
    return facts


def _settle(root: Path, epoch: int) -> None:
    """Give every file one time: backends copy times into what they make."""
    for folder, names, files in os.walk(root):
        if ".git" in names:
            names.remove(".git")
        for name in [*files, *names]:
            os.utime(os.path.join(folder, name), (epoch, epoch), follow_symlinks=os.utime not in os.supports_follow_symlinks)


def _pack(tree: Path, destination: Path, *, top: str, epoch: int, within: Path | None = None) -> None:
    """A tar.gz whose bytes follow from the content alone. A link that leaves ``tree`` becomes the file that it shows ``within``."""
    rows = sorted(
        (path.relative_to(tree).as_posix(), path)
        for folder, names, files in os.walk(tree)
        for path in [*(Path(folder, name) for name in files), *(Path(folder, name) for name in names if Path(folder, name).is_symlink())]
        if ".git" not in Path(folder, "x").relative_to(tree).parts and path.name != ".git"
    )
    with (
        open(destination, "wb") as raw,
        gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0, compresslevel=6) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name, path in rows:
            seen = path.lstat()
            member = tarfile.TarInfo(f"{top}/{name}")
            member.mtime = epoch
            if stat.S_ISLNK(seen.st_mode) and within is not None and not path.resolve().is_relative_to(tree.resolve()):
                path = path.resolve()
                if not path.is_file() or not path.is_relative_to(within.resolve()):
                    continue
                seen = path.stat()
            if stat.S_ISLNK(seen.st_mode):
                member.type, member.linkname = tarfile.SYMTYPE, os.readlink(path)
                archive.addfile(member)
            elif stat.S_ISREG(seen.st_mode):
                member.mode, member.size = 0o755 if seen.st_mode & 0o111 else 0o644, seen.st_size
                with open(path, "rb") as stream:
                    archive.addfile(member, stream)


def _digest(path: Path) -> tuple[str, int]:
    with open(path, "rb") as stream:
        digest = hashlib.file_digest(stream, "sha256")
        return digest.hexdigest(), stream.tell()

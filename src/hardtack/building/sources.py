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
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Literal, TypeVar

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from hardtack.building.backend import Backend, SourceTree
from hardtack.building.environment import Environments
from hardtack.building.faults import BadBackend
from hardtack.building.git import Git, find_git, need_git, without_login
from hardtack.building.ingredients import digest_of, gathered
from hardtack.building.interpreter import ask as ask_python
from hardtack.building.interpreter import fitting
from hardtack.building.notes import answered_before, remember_answer
from hardtack.building.rounds import Ask, Round, Settled, each_once, settle, supplied
from hardtack.building.trees import asks_git, copy_file, listed, stated_versions, tracked
from hardtack.building.workshop import Asker, Tool, Workshop
from hardtack.errors import BuildFault
from hardtack.model.lock import Source
from hardtack.model.manifest import SourceOrigin
from hardtack.model.recipe import Recipe
from hardtack.model.wheel import BadSdist, SdistFacts
from hardtack.system.cancellation import Cancellation
from hardtack.system.files import clock_of, remove, sweep, write_bytes
from hardtack.wheelhouse.sdist import extract_sdist, inspect_sdist, read_build_system

NOTHING = Recipe()  # more than the source says

_SCHEMA = 3
_ABANDONED = 86_400.0  # seconds after which a folder is no running build's
_METADATA_LIMIT = 16 << 20  # bytes

T = TypeVar("T")


class SourceFault(BuildFault):
    """A folder or a repository is not the project that it was taken for, or there is none."""

    slug = "source"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceArchive:
    """A folder or repository as a judged source archive. ``path`` lies in the work folder and is the caller's to take and remove.

    ``rounds`` are what was asked for to make it, and what satisfied it, by a Python that ``requires_python`` allows.
    """

    path: Path
    filename: str
    sha256: str
    size: int
    facts: SdistFacts
    origin: SourceOrigin
    rounds: tuple[Round, ...] = ()
    requires_python: SpecifierSet | None = None


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
    sweep(work, older_than=clock_of(work) - _ABANDONED)
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


def archive_key(room: SourceRoom, *, shop: Workshop, recipe: Recipe = NOTHING) -> str:
    """The digest of what goes into a source archive, but for its tools, which ``archived_before`` looks at."""
    given = gathered(recipe, shop, where=room.origin.location)
    requires = sorted(str(requirement) for requirement in recipe.requires)
    parts = given.parts(shop, ask_python(shop.python))
    return digest_of({**parts, "schema": _SCHEMA, "source": room.key, "requires": requires})


def archived_before(key: str, *, name: str, shop: Workshop, has: Callable[[str], bool]) -> Remembered | None:
    """What an earlier run made of the same source in the same way, if the store still ``has`` it and its tools are those of today.

    What it asked for then is supplied again; nothing of it runs. Raises what ``shop.supply`` raises.
    """
    try:
        data = json.loads((shop.cache_dir / "archived" / f"{key}.json").read_bytes())
        found = Remembered(filename=str(data["filename"]), sha256=str(data["sha256"]), size=int(data["size"]))
        whole = data["key"] == key
    except (OSError, ValueError, KeyError, TypeError):
        return None  # absent, torn or of another schema: make it again
    return found if whole and has(found.sha256) and _same_tools(data, name=name, shop=shop) else None


def _same_tools(data: Mapping[str, Any], *, name: str, shop: Workshop) -> bool:
    """True if what was asked for then is what it was, when it is supplied again. Raises what ``shop.supply`` raises."""
    try:
        rounds = [([Requirement(text) for text in one["requires"]], [tuple(tool) for tool in one["tools"]]) for one in data["rounds"]]
        requires_python = SpecifierSet(data["requires_python"]) if data["requires_python"] is not None else None
    except (ValueError, KeyError, TypeError):
        return False
    interpreter = fitting(requires_python, preferred=shop.python, uv=shop.uv, stop=shop.stop, wanted_by=name)
    for requires, tools in rounds:
        now = supplied(Asker(filename=name), requires, interpreter=interpreter, shop=shop)
        if [(tool.filename, tool.sha256) for tool in now] != tools:
            return False
    return True


def _as_data(rounds: Sequence[Round], requires_python: SpecifierSet | None) -> dict[str, Any]:
    """What ``_same_tools`` takes."""
    return {
        "rounds": [
            {"requires": [str(requirement) for requirement in one.requires], "tools": [[tool.filename, tool.sha256] for tool in one.tools]}
            for one in rounds
        ],
        "requires_python": str(requires_python) if requires_python is not None else None,
    }


def remember_archive(key: str, archive: SourceArchive, *, cache_dir: Path) -> None:
    """Keep what was made, once its bytes are in the store."""
    data = {
        "key": key,
        "filename": archive.filename,
        "sha256": archive.sha256,
        "size": archive.size,
        **_as_data(archive.rounds, archive.requires_python),
    }
    write_bytes(cache_dir / "archived" / f"{key}.json", json.dumps(data, indent=1, sort_keys=True).encode() + b"\n")


def make_sdist(
    room: SourceRoom, *, name: str, shop: Workshop, recipe: Recipe = NOTHING, environments: Environments | None = None
) -> SourceArchive:
    """The source archive of what was laid out: by its backend's build_sdist, and where it has none or fails, all that lies there.

    Packed again so that its bytes follow from its content. Raises BuildFault where the backend cannot even tell name and version,
    SourceFault where it is another project than ``name``, and what ``shop.supply`` raises.
    """
    shop.reporter.detail(f"{name}: making a source archive of {room.origin.location} ({shop.sandbox.name})")
    gathered(recipe, shop, where=name)
    room.complete()
    system = read_build_system(room.path, name=name)
    if isinstance(system, BadSdist):
        raise SourceFault("; ".join(finding.message for finding in system.findings), where=f"{name} ({room.origin.location})")
    _settle(room.root, shop.source_date_epoch)
    epoch = shop.source_date_epoch
    with ExitStack() as stack:
        making = _Making(room, name, system, shop, recipe, environments or stack.enter_context(Environments(shop)))
        made = making.by_its_backend()
        if isinstance(made, BuildFault):
            shop.reporter.detail(f"{name}: no source archive from its backend ({made.reason.splitlines()[0]}): packing all that is there")
            made = making.as_it_is()
    path, facts = made
    top = f"{facts.name.replace('-', '_')}-{facts.version}"
    tree = extract_sdist(path, facts, room.room / "unpacked")
    settled = Path(tempfile.mkdtemp(prefix=".hardtack-sdist-", dir=shop.work)) / f"{top}.tar.gz"
    _pack(tree, settled, top=top, epoch=epoch)
    sha256, size = _digest(settled)
    facts = _judged(settled, sha256, name)
    return SourceArchive(
        path=settled,
        filename=settled.name,
        sha256=sha256,
        size=size,
        facts=facts,
        origin=room.origin,
        rounds=tuple(making.rounds),
        requires_python=system.requires_python,
    )


def ask_requires(
    room: SourceRoom, *, name: str, shop: Workshop, recipe: Recipe = NOTHING, environments: Environments | None = None
) -> tuple[Requirement, ...]:
    """What the backend of a laid out source wants besides what it states, for a wheel and for an editable installation (PEP 660).

    It is remembered. Raises BuildFault where the backend fails, and what ``shop.supply`` raises.
    """
    key = digest_of({"schema": _SCHEMA, "asked of": archive_key(room, shop=shop, recipe=recipe)})
    before = answered_before(key, cache_dir=shop.cache_dir)
    if before is not None and _same_tools(_asked_in(key, shop.cache_dir), name=name, shop=shop):
        return before
    room.complete()
    system = read_build_system(room.path, name=name)
    if isinstance(system, BadSdist):
        raise SourceFault("; ".join(finding.message for finding in system.findings), where=f"{name} ({room.origin.location})")
    with ExitStack() as stack:
        making = _Making(room, name, system, shop, recipe, environments or stack.enter_context(Environments(shop)))
        asked = making.besides(("wheel", "editable"))
    rounds = {"key": key, **_as_data(making.rounds, system.requires_python)}
    write_bytes(_rounds_of(key, shop.cache_dir), json.dumps(rounds).encode() + b"\n")
    remember_answer(key, asked, cache_dir=shop.cache_dir)
    return asked


def _asked_in(key: str, cache_dir: Path) -> Mapping[str, Any]:
    """The rounds in which a source was asked, nothing where they are not known."""
    try:
        data = json.loads(_rounds_of(key, cache_dir).read_bytes())
        return data if data["key"] == key else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _rounds_of(key: str, cache_dir: Path) -> Path:
    return cache_dir / "asked" / f"{key}.rounds.json"


class _Making:
    """One laid out source and its backend, on their way to an archive. ``rounds`` are what was asked for until now."""

    def __init__(self, room: SourceRoom, name: str, system: SdistFacts, shop: Workshop, recipe: Recipe, environments: Environments) -> None:
        self.rounds: list[Round] = []
        self._room, self._name, self._system, self._shop, self._recipe, self._environments = room, name, system, shop, recipe, environments
        self._interpreter = fitting(system.requires_python, preferred=shop.python, uv=shop.uv, stop=shop.stop, wanted_by=name)
        self._inner = room.room / "build"
        self._inner.mkdir()
        self._log, self._kept_log = self._inner / "log", shop.work / f"{system.filename}.log"
        self._log.touch()
        self._backend = Backend(
            SourceTree(path=room.path, facts=system, root=room.root),
            shop=shop,
            environments=environments,
            interpreter=self._interpreter,
            recipe=recipe,
            work=self._inner,
            log=self._log,
            kept_log=self._kept_log,
            variables=_variables(room, shop.uv.environment),
            # For what computes a version from history; a backend that gets none needs no git.
            programs=("git",) if (room.root / ".git").exists() else (),
        )

    def by_its_backend(self) -> tuple[Path, SdistFacts] | BuildFault:
        """What build_sdist made, judged, or why it did not."""
        refused: list[BuildFault] = []

        def wanted(tools: Sequence[Tool]) -> Sequence[Requirement]:
            try:
                return self._wanted("sdist", tools)
            except BuildFault as error:
                refused.append(error)
                return ()

        self._ready(wanted)
        if refused:
            return refused[0]
        try:
            made = _the_one_archive(self._system, self._backend.output, self._backend.build_sdist())
            return made, _judged(made, _digest(made)[0], self._name)
        except BuildFault as error:
            return error

    def as_it_is(self) -> tuple[Path, SdistFacts]:
        """The folder, packed with the metadata that its backend prepares, and judged."""
        self._ready(lambda tools: self._told(lambda: self._wanted("wheel", tools)))
        made = self._told(lambda: _packed_as_is(self._room, self._backend, self._inner / "own", self._shop.source_date_epoch))
        return made, self._told(lambda: _judged(made, _digest(made)[0], self._name))

    def besides(self, kinds: Sequence[str]) -> tuple[Requirement, ...]:
        """What the hooks of these kinds ask for that is not stated."""
        asked: list[Requirement] = []
        for kind in kinds:
            asked += self._ready(lambda tools, kind=kind: self._told(lambda: self._wanted(kind, tools))).requires  # type: ignore[misc]
        stated = {str(requirement) for requirement in self._stated}
        return tuple(requirement for requirement in each_once(asked) if str(requirement) not in stated)

    @property
    def _stated(self) -> list[Requirement]:
        return [*self._system.build_requires, *self._recipe.requires]

    def _ready(self, wanted: Ask) -> Settled:
        settled = settle(Asker(filename=self._name), self._stated, interpreter=self._interpreter, shop=self._shop, ask=wanted)
        self.rounds.extend(settled.rounds)
        return settled

    def _wanted(self, kind: str, tools: Sequence[Tool]) -> Sequence[Requirement]:
        self._backend.use(self._environments.environment(self._interpreter, tools, sandbox=self._shop.sandbox))
        return self._backend.wanted(kind)

    def _told(self, ask: Callable[[], T]) -> T:
        """What ``ask`` gives; where its backend fails, the log stays, and the error says of whom it is."""
        try:
            answer = ask()
            self._kept_log.unlink(missing_ok=True)
            return answer
        except BuildFault as error:
            error.where = error.where or self._name
            if str(self._kept_log) in error.reason:
                self._log.replace(self._kept_log)
            raise


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

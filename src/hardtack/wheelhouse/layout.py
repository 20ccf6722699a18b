"""The wheelhouse on disk: files linked into place from the store, pages and texts beside them, the manifest last."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import re
import stat
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hardtack.errors import HardtackError, InputError, IntegrityError
from hardtack.model.finding import Finding, Severity
from hardtack.model.fit import read_wheel_name
from hardtack.model.manifest import Manifest, ManifestFile, ManifestSource
from hardtack.reporting import Reporter
from hardtack.system.cancellation import Cancellation
from hardtack.system.files import disk_faults, place, remove, safe_join, write_bytes
from hardtack.wheelhouse.manifest import MANIFEST_NAME, SOURCES_FOLDER, is_plain_path, read_manifest, write_manifest
from hardtack.wheelhouse.simple import IndexedFile, index_pages, requires_python

_METADATA_LIMIT = 64 * 1024 * 1024
# Windows gives these names to devices, with any extension.
_RESERVED = frozenset({"con", "prn", "aux", "nul", *(f"com{n}" for n in range(10)), *(f"lpt{n}" for n in range(10))})
# Windows' MAX_PATH is 260; this leaves room for the folder that the wheelhouse lies in.
_LONG_PATH = 180
# The temporary names of system.files: mkstemp's, and those of links.
_TEMPORARY = re.compile(r"\.hardtack-(?:[a-z0-9_]{8}|[0-9]+-[0-9a-f]{12})")


class LayoutFault(HardtackError):
    """The files cannot lie in one folder, or something foreign stands where one of ours must."""

    slug = "layout"


class BrokenArchive(IntegrityError):
    """A wheel has no METADATA that one can read."""

    slug = "broken-wheel"


@dataclass(frozen=True, slots=True, kw_only=True)
class PresentFile:
    """A wheel that lies in a wheelhouse's folder. ``path`` is relative to it, with "/"; ``mtime_ns`` in nanoseconds."""

    path: str
    size: int
    mtime_ns: int
    inode: int
    is_link: bool = False


def file_paths(file: ManifestFile, layout: str) -> tuple[str, ...]:
    """Where a file lies under the wheelhouse: once when flat, else in the folder of each of its targets."""
    if layout == "flat":
        return (file.filename,)
    return tuple(f"{target}/{file.filename}" for target in sorted(set(file.targets)))


def read_wheelhouse(folder: Path) -> tuple[Manifest | None, tuple[PresentFile, ...]]:
    """The manifest that lies in ``folder`` (None if there is none), and every wheel in it and in its targets' folders, by path."""
    path = folder / MANIFEST_NAME
    manifest = None
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        manifest = read_manifest(path.read_bytes(), str(path))
    places = [""] if manifest is None else ["", *sorted({file.path.rpartition("/")[0] for file in manifest.files} | set(manifest.targets))]
    return manifest, tuple(wheels_in(folder, dict.fromkeys(places)))


def wheels_in(folder: Path, places: Iterable[str]) -> Iterator[PresentFile]:
    """Every wheel that lies in these places under ``folder`` ("" is itself), whoever put it there."""
    for name in places:
        try:
            entries = sorted(os.scandir(folder / name), key=lambda entry: entry.name)
        except (FileNotFoundError, NotADirectoryError):
            continue
        for entry in entries:
            if entry.name.lower().endswith(".whl") and not entry.is_dir(follow_symlinks=False):
                status = entry.stat(follow_symlinks=False)
                yield PresentFile(
                    path=f"{name}/{entry.name}" if name else entry.name,
                    size=status.st_size,
                    mtime_ns=status.st_mtime_ns,
                    inode=status.st_ino,
                    is_link=entry.is_symlink(),
                )


def check_names(manifest: Manifest, texts: Mapping[str, bytes] | None = None) -> tuple[Finding, ...]:
    """What stands against these names lying in one folder on Linux, macOS and Windows: every finding at once."""
    findings = []
    seen: dict[str, tuple[str, str]] = {}
    claims = [(path, file.sha256, file.filename) for file in manifest.files for path in file_paths(file, manifest.layout)]
    claims += [(source.path, source.sha256, source.filename) for source in manifest.sources]
    claims += [(path, hashlib.sha256(data).hexdigest(), path) for path, data in (texts or {}).items()]
    for path, digest, filename in sorted(claims):
        other = seen.setdefault(path.casefold(), (path, digest))
        if other != (path, digest):
            same = other[0] == path
            findings.append(
                Finding(
                    code="name-collision",
                    message=f"two different files are called {path}" if same else f"{path} and {other[0]} differ in case only",
                    file=filename,
                    hint="a folder for each target keeps them apart: --layout by-target" if manifest.layout == "flat" else None,
                )
            )
        if any(part.split(".")[0].casefold() in _RESERVED or part.endswith((".", " ")) for part in path.split("/")):
            findings.append(
                Finding(code="reserved-name", message=f"Windows allows no file called {path}", file=filename, severity=Severity.WARNING)
            )
        if len(path) > _LONG_PATH:
            findings.append(
                Finding(
                    code="long-path",
                    message=f"{path} has {len(path)} characters, and Windows allows a path 259 unless long paths are enabled",
                    file=filename,
                    severity=Severity.WARNING,
                )
            )
    names: dict[str, set[str]] = {}
    for file in manifest.files:
        names.setdefault(file.filename, set()).add(file.sha256)
    if manifest.layout == "by-target":
        findings += [
            Finding(
                code="index-ambiguous",
                message=f"{len(digests)} different files are called {name}, and simple/ lists the first alone",
                file=name,
                severity=Severity.WARNING,
                hint="install from pylock.<target>.toml or requirements.<target>.txt with --find-links <target>",
            )
            for name, digests in sorted(names.items())
            if len(digests) > 1
        ]
    return tuple(findings)


def wheel_metadata(path: Path, filename: str) -> bytes:
    """The METADATA of a sound wheel, as bytes. Raises BrokenArchive where there is none."""
    name, version = filename.split("-")[:2]
    try:
        with zipfile.ZipFile(path) as archive:
            wanted = f"{name}-{version}.dist-info/metadata".lower()
            # Old builders write the folder's name their own way; a sound wheel has one .dist-info.
            members = [info for info in archive.infolist() if info.filename.lower() == wanted] or [
                info for info in archive.infolist() if info.filename.count("/") == 1 and info.filename.endswith(".dist-info/METADATA")
            ]
            if len(members) == 1 and members[0].file_size <= _METADATA_LIMIT:
                with archive.open(members[0]) as stream:
                    return stream.read(_METADATA_LIMIT)
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError, EOFError) as error:
        raise BrokenArchive(f"not a readable wheel: {error}", where=filename) from error
    raise BrokenArchive("it has no single METADATA", where=filename)


def stow(
    manifest: Manifest,
    sources: Mapping[str, Path],
    destination: Path,
    *,
    texts: Mapping[str, bytes],
    prune: bool = False,
    locks: Path,
    metadata: Callable[[ManifestFile, Path], bytes] | None = None,
    reporter: Reporter | None = None,
    stop: Cancellation | None = None,
) -> Manifest:
    """Make ``destination`` the wheelhouse that ``manifest`` describes, and return the manifest as it was written.

    ``sources`` maps the sha256 of each wheel and source archive to a file with these bytes (the store's, which has judged it). ``texts``
    are more files by their relative path. ``metadata`` gives a wheel's METADATA, read from the wheel unless given. ``locks`` is a folder of
    the cache: two processes take turns at one wheelhouse. What is there and right is not touched; an interrupted run is completed by the
    next.
    What nothing needs any more stays and is told, or goes with ``prune``: wheels (anyone's), and what an earlier manifest calls ours.
    """
    run = _Stowing(
        manifest=manifest,
        sources=sources,
        destination=destination.absolute(),
        texts=dict(texts),
        metadata=metadata or (lambda file, path: wheel_metadata(path, file.filename)),
        reporter=reporter or Reporter(),
        stop=stop or Cancellation(),
    )
    run.check()
    if destination.exists() and not destination.is_dir():
        raise LayoutFault("this is no folder", where=str(destination), hint="choose another --output")
    with disk_faults(destination, doing="cannot write"):
        _make_folder(run.destination)
    with _alone(run.destination, locks, run.reporter, run.stop):
        return run.stow(prune=prune)


@contextlib.contextmanager
def _alone(destination: Path, locks: Path, reporter: Reporter, stop: Cancellation) -> Iterator[None]:
    """Hold the one lock of this wheelhouse; wait for it while another process has it."""
    from filelock import FileLock, Timeout

    name = hashlib.sha256(os.fsencode(os.path.realpath(destination))).hexdigest()[:32]
    with disk_faults(locks, doing="cannot write"):
        locks.mkdir(parents=True, exist_ok=True)
    lock = FileLock(locks / f"wheelhouse-{name}.lock")
    waited = False
    while True:
        stop.check()
        try:
            lock.acquire(timeout=0)
            break
        except Timeout:
            if not waited:
                reporter.note(f"{destination}: another hardtack is writing this wheelhouse; waiting for it")
                waited = True
            stop.wait(0.05)
    try:
        yield
    finally:
        lock.release()


@dataclass(slots=True, kw_only=True)
class _Stowing:
    """One run of ``stow``."""

    manifest: Manifest
    sources: Mapping[str, Path]
    destination: Path
    texts: dict[str, bytes]
    metadata: Callable[[ManifestFile, Path], bytes]
    reporter: Reporter
    stop: Cancellation
    before: Manifest | None = None
    generated: dict[str, str] = field(default_factory=dict)
    sound_folders: set[str] = field(default_factory=set)

    def check(self) -> None:
        """Refuse what can never lie right, before anything is written."""
        findings = [*check_names(self.manifest, self.texts), *self.faults()]
        errors = [finding.message for finding in findings if finding.severity is Severity.ERROR]
        if errors:
            hint = next((finding.hint for finding in findings if finding.severity is Severity.ERROR and finding.hint), None)
            raise LayoutFault("; ".join(errors), where=str(self.destination), hint=hint)
        for finding in findings:
            self.reporter.warning(finding.message, hint=finding.hint)

    def faults(self) -> Iterator[Finding]:
        for path in self.texts:
            safe_join(self.destination, path)
            if path == MANIFEST_NAME or path.startswith("simple/") or path.lower().endswith((".whl", ".whl.metadata")):
                yield Finding(code="name-collision", message=f"{path} is a name that the wheelhouse itself uses")
        for target in self.manifest.targets:
            if safe_join(self.destination, target).parent != self.destination or target.casefold() in ("simple", SOURCES_FOLDER):
                yield Finding(code="name-collision", message=f"{target!r} cannot be the name of a target's folder", target=target)
        for file in self.manifest.files:
            for path in file_paths(file, self.manifest.layout):
                self.join(path)
            if file.sha256 not in self.sources:
                yield Finding(code="missing", message=f"{file.filename} is in no store", file=file.filename)
            elif self.manifest.layout == "by-target" and not file.targets:
                yield Finding(code="unused", message=f"{file.filename} serves no target", file=file.filename)
        for source in self.manifest.sources:
            self.join(source.path)
            if source.sha256 not in self.sources:
                yield Finding(code="missing", message=f"{source.filename} is in no store", file=source.filename)

    def stow(self, *, prune: bool) -> Manifest:
        self.before = self.read_before()
        self.sweep()
        files = [dataclasses.replace(file, path=file_paths(file, self.manifest.layout)[0]) for file in self.manifest.files]
        indexed: dict[str, IndexedFile] = {}
        old_digests = dict(self.before.generated) if self.before else {}
        old_wheels = self.wheels_before()
        for file in sorted(files, key=lambda file: file.path):
            self.stop.check()
            self.file(file, file_paths(file, self.manifest.layout), old_wheels)
            known = old_digests.get(f"{file.path}.metadata") if old_wheels.get(file.path) == file.sha256 else None
            data = self.metadata_of(file, known)
            digest = hashlib.sha256(data).hexdigest()
            for path in file_paths(file, self.manifest.layout):
                self.text(f"{path}.metadata", data, digest)
            indexed.setdefault(
                file.filename,
                IndexedFile(
                    name=file.name,
                    version=file.version,
                    filename=file.filename,
                    path=file.path,
                    sha256=file.sha256,
                    size=file.size,
                    requires_python=requires_python(data),
                    metadata_sha256=digest,
                ),
            )
        old_sources = self.sources_before()
        for source in self.manifest.sources:
            self.stop.check()
            self.file(source, (source.path,), old_sources)
        self.stop.check()
        pages = index_pages(indexed.values())
        for path, data in sorted({**pages, **self.texts}.items()):
            self.text(path, data)
        written = dataclasses.replace(self.manifest, files=tuple(files), generated=tuple(sorted(self.generated.items())), leftovers=())
        return self.commit(written, prune=prune)

    def read_before(self) -> Manifest | None:
        path = self.destination / MANIFEST_NAME
        try:
            return read_manifest(path.read_bytes(), str(path))
        except FileNotFoundError:
            return None
        except InputError as error:
            self.reporter.warning(f"{error}; it is written anew", hint="files that only it called ours are taken for foreign ones")
            return None

    def sweep(self) -> None:
        """Remove what a killed run left under temporary names, in every folder that is ours. Nobody else writes here now."""
        folders = {"", *self.manifest.targets, *(path.rpartition("/")[0] for path in self.ours_before())}
        for index in ("simple", f"{SOURCES_FOLDER}/simple"):
            with contextlib.suppress(OSError):
                folders.update(f"{index}/{entry.name}" for entry in os.scandir(self.destination / index))
        for folder in sorted({*folders, "simple", SOURCES_FOLDER, f"{SOURCES_FOLDER}/simple"}):
            there = self.destination / folder
            if any(
                place.is_symlink()
                for place in (there, *there.parents)
                if place.is_relative_to(self.destination) and place != self.destination
            ):
                continue
            with contextlib.suppress(OSError):
                for entry in list(os.scandir(there)):
                    if _TEMPORARY.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                        Path(entry.path).unlink()

    def ours_before(self) -> dict[str, str]:
        """Every file that the earlier manifest calls ours, with its sha256; a foreign wheel is whoever's who put it there."""
        if self.before is None:
            return {}
        foreign = {path for file in self.before.files if file.origin == "foreign" for path in file_paths(file, self.before.layout)}
        wheels = {path: digest for path, digest in self.wheels_before().items() if path not in foreign}
        return {**dict(self.before.leftovers), **dict(self.before.generated), **self.sources_before(), **wheels}

    def wheels_before(self) -> dict[str, str]:
        """Every wheel of the earlier manifest, by path, with its sha256."""
        if self.before is None:
            return {}
        return {path: file.sha256 for file in self.before.files for path in file_paths(file, self.before.layout)}

    def sources_before(self) -> dict[str, str]:
        """Every source archive of the earlier manifest, by path, with its sha256."""
        return {source.path: source.sha256 for source in self.before.sources} if self.before is not None else {}

    def file(self, file: ManifestFile | ManifestSource, paths: Sequence[str], before: Mapping[str, str]) -> None:
        """Put a wheel or a source archive where it lies."""
        source = self.sources[file.sha256]
        try:
            status = source.stat()
        except FileNotFoundError:
            raise IntegrityError(f"{file.filename} is gone from the store", where=str(source), hint="run again, to fetch it anew") from None
        if status.st_size != file.size:
            raise IntegrityError(
                f"{file.filename} has {status.st_size} bytes in the store, not {file.size}",
                where=str(source),
                hint="something changed the store; run again with an empty --cache-dir",
            )
        for path in paths:
            final = self.place_for(path)
            if not _is_same(final, status, file.sha256, known=before.get(path) == file.sha256):
                place(source, final)
                placed = final.stat()
                if (placed.st_dev, placed.st_ino) != (status.st_dev, status.st_ino):
                    # A copy carries its source's time, so that the next run need not read it to know it.
                    os.utime(final, ns=(status.st_mtime_ns, status.st_mtime_ns))
                    source, status = final, final.stat()

    def metadata_of(self, file: ManifestFile, known: str | None) -> bytes:
        """A wheel's METADATA: from the .metadata beside it if that is what the last run wrote, else from the wheel."""
        if known is not None:
            with contextlib.suppress(OSError):
                data = (self.destination / f"{file.path}.metadata").read_bytes()
                if hashlib.sha256(data).hexdigest() == known:
                    return data
        return self.metadata(file, self.sources[file.sha256])

    def text(self, path: str, data: bytes, digest: str | None = None) -> None:
        write_bytes(self.place_for(path), data)
        self.generated[path] = digest or hashlib.sha256(data).hexdigest()

    def place_for(self, path: str) -> Path:
        """The final place of a relative path; nothing on the way to it may be a link that leads elsewhere."""
        final = self.join(path)
        folder = path.rpartition("/")[0]
        if folder not in self.sound_folders:
            self.refuse_links(final)
            with disk_faults(final, doing="cannot write"):
                _make_folder(final.parent)
            self.sound_folders.add(folder)
        if final.is_dir() and not final.is_symlink():
            raise LayoutFault("a folder stands where a file must", where=str(final), hint="move it away, or choose another --output")
        return final

    def join(self, path: str) -> Path:
        return self.destination / path if is_plain_path(path) else safe_join(self.destination, path)

    def refuse_links(self, final: Path) -> None:
        for parent in final.parents:
            if parent == self.destination:
                return
            if parent.is_symlink() or (parent.exists() and not parent.is_dir()):
                raise LayoutFault(
                    "a link or file stands where the wheelhouse has a folder",
                    where=str(parent),
                    hint="move it away, or choose another --output",
                )

    def commit(self, manifest: Manifest, *, prune: bool) -> Manifest:
        """Write the manifest; what nothing needs goes or is kept in it as a leftover. An interrupted prune still knows what is ours."""
        leftovers = self.leftovers(manifest)
        for path in rivals(manifest, leftovers):
            # Of two wheels of one version an installer takes the one that fits best, listed or not: ours goes, --prune or not.
            if self.prune(path, leftovers[path]):
                del leftovers[path]
                self.reporter.detail(f"{path}: removed, for installers would take it in place of what was proven")
        kept = dataclasses.replace(manifest, leftovers=tuple(sorted(leftovers.items())))
        foreign = self.foreign_wheels(manifest, leftovers)
        if prune and (leftovers or foreign):
            write_bytes(self.destination / MANIFEST_NAME, write_manifest(kept))
            edited = {path: digest for path, digest in leftovers.items() if not self.prune(path, digest)}
            for path in foreign:
                self.prune(path, None)
            kept = dataclasses.replace(manifest, leftovers=tuple(sorted(edited.items())))
            gone = len(leftovers) - len(edited) + len(foreign)
            self.reporter.note(f"{gone} file{'s' if gone != 1 else ''} that nothing needs any more removed")
            for path in edited:
                self.reporter.warning(f"{path} was changed by someone and is kept")
        else:
            wheels = [path for path in leftovers if path.endswith(".whl")] + list(foreign)
            if wheels:
                count = f"{len(wheels)} wheel{'s' if len(wheels) != 1 else ''}"
                self.reporter.warning(
                    f"{count} in {self.destination} that nothing needs: {', '.join(sorted(wheels))}",
                    hint="installing by name may pick them; --prune removes them",
                )
            archives = [path for path in leftovers if path.startswith(f"{SOURCES_FOLDER}/") and path.count("/") == 1]
            if archives:
                count = f"{len(archives)} source archive{'s' if len(archives) != 1 else ''}"
                self.reporter.note(
                    f"{count} of an earlier run in {self.destination / SOURCES_FOLDER} that nothing needs; --prune removes them"
                )
            for path in leftovers:
                if not path.endswith(".whl"):
                    self.reporter.detail(f"{path}: left by an earlier run, not needed any more")
        write_bytes(self.destination / MANIFEST_NAME, write_manifest(kept))
        return kept

    def leftovers(self, manifest: Manifest) -> dict[str, str]:
        needed = {MANIFEST_NAME, *self.generated}
        needed.update(path for file in manifest.files for path in file_paths(file, manifest.layout))
        needed.update(source.path for source in manifest.sources)
        # On a file system without case, an old name may be a needed file.
        folded = {path.casefold() for path in needed}
        return {
            path: digest
            for path, digest in self.ours_before().items()
            if path.casefold() not in folded and os.path.lexists(self.join(path))
        }

    def foreign_wheels(self, manifest: Manifest, leftovers: Mapping[str, str]) -> list[str]:
        needed = {path.casefold() for file in manifest.files for path in file_paths(file, manifest.layout)}
        targets = {*manifest.targets, *(self.before.targets if self.before else ())}
        places = dict.fromkeys(["", *sorted(target for target in targets if not (self.destination / target).is_symlink())])
        return [
            present.path
            for present in wheels_in(self.destination, places)
            if present.path.casefold() not in needed and present.path not in leftovers
        ]

    def prune(self, path: str, digest: str | None) -> bool:
        """Remove one file and the folders that it leaves empty; a text that someone changed stays (False)."""
        final = safe_join(self.destination, path)
        self.refuse_links(final)
        if not path.endswith(".whl") and digest is not None and final.is_file() and not final.is_symlink():
            if hashlib.sha256(final.read_bytes()).hexdigest() != digest:
                return False
        elif final.is_dir() and not final.is_symlink():
            return False
        with disk_faults(final, doing="cannot remove"):
            remove(final)
        for parent in final.parents:
            if parent == self.destination:
                break
            try:
                parent.rmdir()
            except OSError:
                break
        return True


def rivals(manifest: Manifest, paths: Iterable[str]) -> list[str]:
    """The wheels among ``paths`` that are of a version that the manifest has another wheel of: an installer may take either."""
    versions = {(file.name, file.version) for file in manifest.files}
    found = []
    for path in paths:
        name = read_wheel_name(path.rpartition("/")[2]) if path.endswith(".whl") else None
        if name is not None and (name.name, str(name.version)) in versions:
            found.append(path)
    return found


def _make_folder(path: Path) -> None:
    """Make a folder and those above it, mode 0755 whatever the umask; folders that are there keep theirs."""
    if path.is_dir():
        return
    _make_folder(path.parent)
    with contextlib.suppress(FileExistsError):
        path.mkdir()
        path.chmod(0o755)


def _is_same(final: Path, status: os.stat_result, sha256: str, *, known: bool) -> bool:
    """True if ``final`` is the source itself (which has ``status``), a ``known`` copy with its time, or holds the same bytes."""
    try:
        there = final.lstat()
    except FileNotFoundError:
        return False
    if not stat.S_ISREG(there.st_mode) or there.st_size != status.st_size:
        return False
    if (there.st_dev, there.st_ino) == (status.st_dev, status.st_ino) and there.st_ino:
        return True
    if os.name != "nt" and stat.S_IMODE(there.st_mode) != 0o644:
        return False
    if known and there.st_mtime_ns == status.st_mtime_ns:
        return True
    with open(final, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() == sha256

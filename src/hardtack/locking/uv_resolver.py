"""uv as the resolver: a project is made up in a folder of ours, locked and exported, and its answer read back."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

import tomli_w
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from hardtack.errors import IndexDenied, IndexFault, LockError, Offline
from hardtack.locking.resolver import NeedsMetadata, NoSolution, Question, Resolution
from hardtack.model.lock import LockedFile, LockedPackage
from hardtack.model.requirements import FormatControl
from hardtack.reporting import Reporter
from hardtack.system.cancellation import Cancellation
from hardtack.system.files import write_bytes
from hardtack.system.process import Completed
from hardtack.system.uv import GUARD_WORDS, Uv
from hardtack.wheelhouse.pylock import read_pylock
from hardtack.wheelhouse.uv_lock import STAND_IN, read_edges, with_stand_ins

_PROJECT = "hardtack-roots"
_CHATTER = (
    "Using CPython",
    "Ignoring existing lockfile",
    "Using PyPy",
    "Resolved ",
    "warning: The `extra-build",
    "hint: While the active Python version",
    "DEBUG ",
    "WARN ",
)
_UNREACHED = ("Failed to fetch", "error sending request", "HTTP status", "Could not connect", "Failed to download")
_WHEELLESS = re.compile(
    # With an extra or a marker, uv says name[extra] and name{marker}.
    r"(?:^|[ (])(?:all versions of )?(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*?)(?:\[[^]]*\])?(?:\{[^}]*\})?"
    r"(?:(?P<operator>==|[<>]=?)(?P<version>\S+))?"
    r" (?:has|have) no (?:(?:`[^`]*`-compatible )?wheels|source distribution)",
    re.MULTILINE,
)
_HINTED = re.compile(r"^hint: Wheels are available for `([^`]+)` \(v([^)]+)\)", re.MULTILINE)
_SOURCELESS = re.compile(r"^hint: A source distribution is required for `([^`]+)`", re.MULTILINE)
_UNBUILT = re.compile(r"Failed to (?:build|download and build|fetch|resolve)[^`]*`([^`@= ]+)\s*(?:==|@)\s*([^`]+)`")
# uv says in its log alone that it was refused a project, and goes on as if there were none (401 and 403, without ignore-error-codes).
_LOG_REFUSALS = "off,uv_client::registry_client=debug"
_LOG_PAGES = "off,uv_client::cached_client=debug"
_REFUSED = re.compile(r"Indexes search failed because of status code failure: (.+)")
_PAGE = re.compile(r"(?:No cache entry for|Sending fresh GET request for): (\S+)")
# What uv says of a project without files, and of a page that it could not read.
_DOUBTED = re.compile(
    r"there (?:is|are) no versions? of ([A-Za-z0-9][A-Za-z0-9._-]*)|([A-Za-z0-9][A-Za-z0-9._-]*) was not found in the "
    r"|unexpected \w+ from `([^`]+)`"
)
_YANKED = re.compile(r'^warning: `([^`=]+)==([^`]+)` is yanked(?: \(reason: "(.*)"\))?$', re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class UvResolver:
    """``uv lock`` and ``uv export`` on a made-up project.

    ``settings`` are uv's own settings for the user's indexes (``index``, ``find-links``, ...). ``python`` is any interpreter here, of
    whatever version: uv wants one to exist, and it runs nothing in it (its code is fenced by ``Uv.guard_interpreter``).
    ``ask`` looks a project up on the indexes, and raises the index's own fault where it is refused.
    """

    uv: Uv
    python: Path
    python_version: tuple[int, int]
    settings: Mapping[str, Any] = field(default_factory=dict, repr=False)
    stop: Cancellation
    reporter: Reporter = field(default_factory=Reporter, repr=False)
    ask: Callable[[str], object] = field(default=str, repr=False)

    def resolve(self, question: Question, *, cached: bool = False) -> Resolution | NeedsMetadata | NoSolution:
        """See ``Resolver``. Raises IndexFault where an index could not be asked, LockError where uv fails otherwise."""
        self.uv.cache_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".hardtack-lock-", dir=self.uv.cache_dir) as name:
            folder = Path(name)
            project = folder / "project"
            guard = self.uv.guard_interpreter(folder / "guard", self.python, stop=self.stop)
            write_bytes(project / "pyproject.toml", tomli_w.dumps(self._pyproject(question)).encode())
            write_bytes(folder / "uv.toml", tomli_w.dumps(self._uv_settings(question)).encode())
            command = ["lock", "--python", str(guard)]
            self._start(project, question)
            shut = cached or self.uv.offline
            locked = self._uv(command, folder, offline=shut, log=_LOG_PAGES if shut else _LOG_REFUSALS)
            if cached and not self.uv.offline and (locked.code != 0 or _PAGE.search(locked.stderr)):
                # What does not lie in the cache does not exist for uv offline: it makes do with older versions that happen to lie there.
                self._start(project, question)
                locked = self._uv(command, folder, offline=False, log=_LOG_REFUSALS)
            if refusal := _REFUSED.search(locked.stderr):
                # Anew, so that every page is looked at. Not by --upgrade: uv would look at the interpreter again too, knowing logins.
                self._start(project, question)
                self._refused(refusal[1], self._uv(command, folder, offline=False, log=_LOG_PAGES))
            if self.uv.offline and (pages := _projects(locked)):
                self._offline(pages, failed=locked.code != 0)
            if locked.code != 0:
                self._doubt(locked)
                return _failure(locked)
            state = (project / "uv.lock").read_text(encoding="utf-8")
            write_bytes(project / "uv.lock", with_stand_ins(state).encode())
            command = ["export", "--frozen", "--format", "pylock.toml", "--no-default-groups", "--python", str(guard)]
            exported = self._uv(command, folder, offline=True)
            if exported.code != 0:
                raise LockError(f"uv could not export what it locked: {_words(exported)}")
            lock = read_pylock(exported.stdout, where="uv's export", base=project)
            return Resolution(packages=_completed(lock.packages, state, _yanked(locked.stderr)))

    def _start(self, project: Path, question: Question) -> None:
        """Lay the lock that uv begins with: the versions to keep, or none."""
        (project / "uv.lock").unlink(missing_ok=True)
        if question.preferences:
            write_bytes(project / "uv.lock", self._preferences(question).encode())

    def _uv(self, arguments: Sequence[str], folder: Path, *, offline: bool, log: str | None = None) -> Completed:
        return self.uv.run(arguments, cwd=folder / "project", stop=self.stop, offline=offline, config_file=folder / "uv.toml", log=log)

    def _refused(self, status: str, again: Completed) -> NoReturn:
        """Raise for the projects that an index refused: uv takes them for absent, and makes do with older versions of what wants them."""
        pages = sorted(set(_PAGE.findall(again.stderr)))
        for page in pages:
            self.ask(canonicalize_name(page.rstrip("/").rsplit("/", 1)[-1]))
        raise IndexDenied(
            f"an index answered {status} while uv was locking" + (f": {', '.join(pages)}" if pages else ""),
            hint="-v shows the indexes in use and where they and their logins came from; an index that answers so for what it does not "
            "have may say so with ignore-error-codes (docs/indexes.md)",
        )

    def _doubt(self, failed: Completed) -> None:
        """Raise the index's own fault where a page is to blame: one that cannot be read, or is of another API, is no absent project."""
        if self.uv.offline:
            return
        found = {name or other or page.rstrip("/").rsplit("/", 1)[-1] for name, other, page in _DOUBTED.findall(_words(failed))}
        for project in sorted(canonicalize_name(name.rstrip(".")) for name in found):
            self.ask(project)

    def _offline(self, projects: Sequence[str], *, failed: bool) -> None:
        """What the cache does not hold does not exist for uv offline: say so, for it may have made do with older versions."""
        words = f"the cache holds no page of {', '.join(projects)}"
        hint = "run once without --offline, with the same --cache-dir"
        if failed:
            raise Offline(f"{words}, and without it there is no solution", hint=hint)
        self.reporter.warning(f"{words}: versions may be older than what the indexes have", hint=hint)

    def _pyproject(self, question: Question) -> dict[str, Any]:
        lowest = min(question.lowest_python, self.python_version)
        direct = {canonicalize_name(Requirement(text).name) for text in question.requirements}
        pinned: dict[str, list[dict[str, str]]] = {}
        for pin in question.index_pins:
            marker = {"marker": str(pin.marker)} if pin.marker else {}
            pinned.setdefault(pin.name, []).append({"index": pin.index, **marker})
        uv: dict[str, Any] = {
            "package": False,
            "environments": list(question.environments),
            "constraint-dependencies": list(question.constraints),
        }
        if question.overrides:
            uv["override-dependencies"] = list(question.overrides)
        if question.excludes:
            uv["exclude-dependencies"] = list(question.excludes)
        if pinned:
            uv["sources"] = {package: places if len(places) > 1 else places[0] for package, places in sorted(pinned.items())}
        if "index" in self.settings:
            uv["index"] = self.settings["index"]
        document: dict[str, Any] = {
            "project": {
                "name": _PROJECT,
                "version": "0",
                "requires-python": f">={lowest[0]}.{lowest[1]}",
                "dependencies": list(question.requirements),
            },
            "tool": {"uv": uv},
        }
        # A pinned project that its index does not have, and that nobody may need, is no reason to fail; from elsewhere it never comes.
        everywhere = sorted(
            name for name, places in pinned.items() if name not in direct and not any("marker" in place for place in places)
        )
        absent = [] if self.uv.offline else [name for name in everywhere if not self.ask(name)]
        uv["constraint-dependencies"] += [f"{name}<0" for name in absent]
        if transitive := sorted(set(pinned) - direct - set(absent)):
            # uv reads the index of a package from what asks for it by name: a group that is locked and never exported asks.
            document["dependency-groups"] = {"pinned": transitive}
        return document

    def _uv_settings(self, question: Question) -> dict[str, Any]:
        settings: dict[str, Any] = {
            **self.settings,
            "fork-strategy": "fewest",
            "no-build-isolation": True,
            **({"prerelease": "allow"} if question.prereleases else {}),
            **_formats(question.formats),
        }
        if question.prerelease_packages and not question.prereleases:
            settings["prerelease-package"] = dict.fromkeys(sorted(question.prerelease_packages), "allow")
        if question.exclude_newer:
            settings["exclude-newer"] = question.exclude_newer
        if question.metadata:
            settings["dependency-metadata"] = [
                {
                    "name": known.name,
                    "version": known.version,
                    "requires-dist": list(known.requires),
                    "provides-extra": list(known.extras),
                    **({"requires-python": known.requires_python} if known.requires_python else {}),
                }
                for known in question.metadata
            ]
        return settings

    def _preferences(self, question: Question) -> str:
        """A uv.lock of names and versions only: uv finds it out of date, and prefers its versions as it resolves anew."""
        registry = next((index["url"] for index in self.settings.get("index", ()) if index.get("default")), "https://pypi.org/simple")
        packages = [{"name": name, "version": str(version), "source": {"registry": registry}} for name, version in question.preferences]
        lowest = min(question.lowest_python, self.python_version)
        options = {"fork-strategy": "fewest"}
        if question.prereleases:
            options["prerelease-mode"] = "allow"
        if question.exclude_newer:
            options["exclude-newer"] = question.exclude_newer
        return tomli_w.dumps({"version": 1, "requires-python": f">={lowest[0]}.{lowest[1]}", "options": options, "package": packages})


def _formats(formats: FormatControl) -> dict[str, Any]:
    """What must be built, in uv's words. What must not be is ours to judge: uv would stop at the first that has no wheel."""
    if ":all:" in formats.no_binary:
        return {"no-binary": True}
    return {"no-binary-package": sorted(formats.no_binary)} if formats.no_binary else {}


def _completed(packages: Sequence[LockedPackage], state: str, yanked: Mapping[tuple[str, str], str]) -> tuple[LockedPackage, ...]:
    """What uv exported, with the edges of its lock, without the hashes that only stand in for unstated ones, and with what is yanked."""
    edges = read_edges(state, where="uv.lock")

    def completed(file: LockedFile, package: LockedPackage) -> LockedFile:
        return replace(_unstated(file), yanked=yanked.get((package.name, str(package.version))))

    return tuple(
        replace(
            package,
            wheels=tuple(completed(file, package) for file in package.wheels),
            sdist=completed(package.sdist, package) if package.sdist is not None else None,
            dependencies=edges.get((package.name, str(package.version) if package.version else None), ()),
        )
        for package in packages
    )


def _yanked(words: str) -> Mapping[tuple[str, str], str]:
    """The reasons by (name, version): uv says this of versions as it locks, and writes it down nowhere."""
    return {(canonicalize_name(match[1]), match[2]): match[3] or "" for match in _YANKED.finditer(words)}


def _unstated(file: LockedFile) -> LockedFile:
    return replace(file, sha256=None) if file.sha256 == STAND_IN else replace(file, hash_source="index")


def _failure(completed: Completed) -> NeedsMetadata | NoSolution:
    words = _words(completed)
    if GUARD_WORDS in words and (match := _UNBUILT.search(words)):
        return NeedsMetadata(name=canonicalize_name(match[1]), version=match[2].strip())
    if "Git operation failed" in words:
        hint = "nobody is asked for a login: git takes them from its credential helpers, a netrc file or ssh keys"
        raise LockError(f"a repository could not be had: {words}", hint=hint)
    if "No solution found" in words:
        return NoSolution(explanation=words, wheelless=_wheelless(words))
    if any(
        sign in words for sign in ("Failed to fetch", "error sending request", "HTTP status", "Could not connect", "Failed to download")
    ):
        raise IndexFault(f"uv could not reach an index while locking: {words}", hint="-v shows the indexes in use and where they came from")
    raise LockError(f"uv could not lock the requirements: {words}")


def _projects(completed: Completed) -> list[str]:
    """The projects whose pages uv missed."""
    return sorted({canonicalize_name(page.rstrip("/").rsplit("/", 1)[-1]) for page in _PAGE.findall(completed.stderr)})


def _wheelless(words: str) -> tuple[tuple[str, str | None], ...]:
    """What uv says has no wheel that fits, or no source where one is demanded, with the one version that it speaks of or hints at."""
    versions: dict[str, str | None] = {}
    for match in _WHEELLESS.finditer(words):
        exact = match["version"] if match["operator"] == "==" else None
        name = canonicalize_name(match["name"])
        versions[name] = versions.get(name) or exact
    for match in _HINTED.finditer(words):
        name = canonicalize_name(match[1])
        versions[name] = versions.get(name) or match[2]
    for match in _SOURCELESS.finditer(words):
        versions.setdefault(canonicalize_name(match[1]), None)
    return tuple(versions.items())


def _words(completed: Completed) -> str:
    """uv's message without its chatter about interpreters and our made-up project."""
    lines = [line for line in completed.stderr.splitlines() if not line.startswith(_CHATTER)]
    text = "\n".join(lines).strip().replace("your project's requirements", "the requirements")
    return text.replace("your project", "the input").replace(_PROJECT, "the input")

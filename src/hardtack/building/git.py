"""git, run so that a repository's own settings start nothing: what it tracks, at which commit it is, and a checkout of a full commit."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from hardtack.errors import BuildFault, MissingTool, Offline
from hardtack.system.cancellation import Cancellation
from hardtack.system.environ import GIT, scrubbed
from hardtack.system.process import Completed, run

_FULL = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_SECONDS = 1800.0  # for one git command
_REMOTE = "https:http:ssh:git"

# Before every command: nothing that a repository says of itself is run, and no repository of a repository by a helper program.
_TAME = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.untrackedCache=false",
    "protocol.ext.allow=never",
    "gc.auto=0",
    "maintenance.auto=false",
    "advice.detachedHead=false",
    "submodule.fetchJobs=4",
    "transfer.credentialsInUrl=allow",
    "filter.lfs.smudge=",
    "filter.lfs.process=",
    "filter.lfs.required=false",
)


class GitFault(BuildFault):
    """A repository cannot be had, or has no such commit."""

    slug = "git"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkout:
    """A working tree as git sees it: ``top`` is its folder, ``commit`` None before the first one.

    ``files`` (relative to ``top``, with "/") are the tracked and the untracked ones that are not ignored; a tracked file that is gone is
    among them. ``modules`` are the folders of its submodules. ``state`` tells apart what a version may be computed from: branch, tags.
    """

    top: Path
    commit: str | None
    files: tuple[str, ...]
    modules: tuple[str, ...]
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Git:
    """The git program. ``environment`` is the user's: git finds his logins, keys and settings as it always does; it never asks for any."""

    program: Path
    environment: Mapping[str, str] = field(repr=False)
    stop: Cancellation
    offline: bool = False

    def look(self, folder: Path) -> Checkout | None:
        """What git sees around ``folder``; None where that is in no working tree, or git does not trust it. Nothing there is written."""
        found = self._run(["rev-parse", "--show-toplevel"], folder)
        if found.code != 0:
            return None
        top = Path(found.stdout.rstrip("\n"))
        names = self._names(["ls-files", "-z", "--cached", "--others", "--exclude-standard"], top)
        staged = self._names(["ls-files", "-z", "--stage"], top)
        modules = tuple(row.partition("\t")[2] for row in staged if row.startswith("160000 "))
        head = self._run(["rev-parse", "--verify", "--quiet", "HEAD^{commit}"], top)
        branch = self._run(["symbolic-ref", "--quiet", "HEAD"], top).stdout
        tags = self._run(["for-each-ref", "--format=%(objectname) %(refname)", "refs/tags"], top).stdout
        return Checkout(
            top=top,
            commit=head.stdout.strip() or None,
            files=tuple(sorted(set(names) - set(modules))),
            modules=modules,
            state=hashlib.sha256(f"{head.stdout}\0{branch}\0{tags}".encode()).hexdigest(),
        )

    def changed(self, checkout: Checkout) -> tuple[str, ...]:
        """The files (relative to ``top``) that are not as the commit has them; untracked ones too, ignored ones not."""
        command = ["status", "--porcelain=v1", "-z", "--untracked-files=all", "--no-renames", "--ignore-submodules=dirty"]
        return tuple(row[3:] for row in self._names([*self._own_filters(checkout.top), *command], checkout.top))

    def copy_history(self, checkout: Checkout, destination: Path) -> None:
        """Give ``destination``, which holds the files already, a repository of its own with the same commit, branch, tags and index.

        No file is shared with the user's repository: what is done to the copy cannot reach it.
        """
        bare = destination / ".git"
        kept = destination.parent / "history"
        self._must(["clone", "--quiet", "--bare", "--no-local", "--template=", str(checkout.top), str(kept)], checkout.top, local=True)
        kept.rename(bare)
        self._must(["config", "core.bare", "false"], destination)
        self._run(["remote", "remove", "origin"], destination)
        branch = self._run(["symbolic-ref", "--quiet", "HEAD"], checkout.top).stdout.strip()
        if checkout.commit is not None:
            if branch:
                self._must(["symbolic-ref", "HEAD", branch], destination)
                self._must(["update-ref", branch, checkout.commit], destination)
            else:
                self._must(["update-ref", "--no-deref", "HEAD", checkout.commit], destination)
        staged = self._run(["ls-files", "-z", "--stage"], checkout.top)
        # Objects that are only staged are not in the copy; their names are enough to tell what is changed.
        self._must(["update-index", "-z", "--index-info"], destination, stdin=staged.stdout.encode("utf-8", "surrogateescape"))

    def fetch(self, url: str, commit: str | None, requested: str | None, cache: Path) -> tuple[Path, str]:
        """A bare clone of ``url`` under ``cache`` that has the commit, and the full commit: as given, else of the branch or tag.

        Nothing is fetched where a full commit lies there already. Raises GitFault; Offline where the network would be needed.
        """
        url = _url(url)
        bare = cache / f"{hashlib.sha256(url.encode()).hexdigest()[:32]}.git"
        cache.mkdir(parents=True, exist_ok=True)
        shown = without_login(url)
        full = commit or (requested if requested and _FULL.fullmatch(requested) else None)
        if full is not None and not _FULL.fullmatch(full):
            raise GitFault(f"{full!r} is no full commit", where=shown)
        if full is not None and bare.is_dir() and self._has(bare, full):
            return bare, full
        if self.offline and not is_local(url):
            if full is None and bare.is_dir() and (known := self._resolve(bare, requested)):
                return bare, known
            raise Offline(f"the repository is not in the cache at {full or requested or 'HEAD'}", where=shown, hint="leave out --offline")
        self._must(["init", "--quiet", "--bare", "--template=", str(bare)], cache)
        refs = ["+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*", "+HEAD:refs/hardtack/HEAD"]
        options = ["fetch", "--quiet", "--force", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules"]
        done = self._run([*options, "--", url, *refs], bare, allow=_allowed(url))
        if done.code != 0:
            raise self._fault(done, shown)
        if full is None:
            known = self._resolve(bare, requested)
            if known is None:
                raise GitFault(f"it has no branch, tag or commit {requested!r}", where=shown)
            return bare, known
        if not self._has(bare, full):
            # On no branch any more: servers give a commit that is asked for by its whole name.
            self._run([*options, "--", url, f"+{full}:refs/hardtack/{full}"], bare, allow=_allowed(url))
            if not self._has(bare, full):
                raise GitFault(f"it has no commit {full}", where=shown, hint="it was pushed over or never pushed: lock again")
        return bare, full

    def check_out(self, bare: Path, url: str, commit: str, destination: Path) -> None:
        """A working tree of ``commit`` in ``destination``, which must not exist, with its history, tags and submodules."""
        url = _url(url)
        self._must(["clone", "--quiet", "--no-checkout", "--no-local", "--template=", str(bare), str(destination)], bare, local=True)
        # Submodules are told relative to where the repository really is.
        self._must(["remote", "set-url", "origin", without_login(url)], destination)
        # What is on a branch only there: a clone takes heads and tags, and the cache keeps the branches as another's.
        self._must(
            ["fetch", "--quiet", "--no-write-fetch-head", "--", str(bare), "+refs/remotes/origin/*:refs/remotes/origin/*", commit],
            destination,
            local=True,
        )
        self._must(["checkout", "--quiet", "--force", "--detach", commit], destination)
        if (destination / ".gitmodules").is_file():
            done = self._run(
                ["submodule", "--quiet", "update", "--init", "--recursive", "--force"],
                destination,
                allow="file" if self.offline else _allowed(url),
            )
            if done.code != 0:
                raise self._fault(done, f"{without_login(url)} (submodules)")

    def _has(self, bare: Path, commit: str) -> bool:
        return self._run(["cat-file", "-e", f"{commit}^{{commit}}"], bare).code == 0

    def _resolve(self, bare: Path, requested: str | None) -> str | None:
        """The full commit of a branch, tag, full ref or abbreviated commit; of HEAD where nothing is asked for."""
        if requested is None:
            names = ["refs/hardtack/HEAD"]
        elif requested.startswith("refs/heads/"):
            names = [f"refs/remotes/origin/{requested.removeprefix('refs/heads/')}"]
        else:
            names = [f"refs/tags/{requested}", f"refs/remotes/origin/{requested}", requested]
        for name in names:
            found = self._run(["rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"], bare)
            if found.code == 0 and _FULL.fullmatch(found.stdout.strip()):
                return found.stdout.strip()
        return None

    def _own_filters(self, top: Path) -> list[str]:
        """Settings that take away the filters which the repository's own settings define (the user's stay): they would be run."""
        names = self._names(["config", "--local", "--includes", "-z", "--name-only", "--get-regexp", r"^filter\..*"], top)
        off: list[str] = []
        for name in dict.fromkeys(name.rpartition(".")[0] for name in names):
            off += ["-c", f"{name}.clean=", "-c", f"{name}.smudge=", "-c", f"{name}.process=", "-c", f"{name}.required=false"]
        return off

    def _names(self, command: Sequence[str], folder: Path) -> list[str]:
        return [name for name in self._run(command, folder).stdout.split("\0") if name]

    def _must(self, command: Sequence[str], folder: Path, *, local: bool = False, stdin: bytes | None = None) -> Completed:
        done = self._run(command, folder, allow="file" if local else "", stdin=stdin)
        if done.code != 0:
            raise self._fault(done, str(folder))
        return done

    def _run(self, command: Sequence[str], folder: Path, *, allow: str = "", stdin: bytes | None = None) -> Completed:
        tame = [part for setting in _TAME for part in ("-c", setting)]
        users = {name: self.environment[name] for name in GIT if name in self.environment}
        environment = scrubbed(
            self.environment,
            **{
                **users,
                "LC_ALL": "C.UTF-8",
                "GIT_TERMINAL_PROMPT": "0",
                "GCM_INTERACTIVE": "never",
                "GIT_OPTIONAL_LOCKS": "0",
                "GIT_LFS_SKIP_SMUDGE": "1",
                "GIT_NO_LAZY_FETCH": "1",
                "GIT_ALLOW_PROTOCOL": allow or "none",
            },
        )
        return run([str(self.program), *tame, *command], environment=environment, cwd=folder, stop=self.stop, timeout=_SECONDS, stdin=stdin)

    def _fault(self, done: Completed, where: str) -> GitFault:
        words = without_login(" ".join(line.strip() for line in done.stderr.splitlines() if line.strip())) or f"git ended with {done.code}"
        hint = None
        if re.search(r"could not read (Username|Password)|Authentication failed|Permission denied|terminal prompts disabled", words):
            hint = "git found no login: it asks nobody here; set one up with a credential helper, a netrc file or an ssh key"
        elif "transport" in words and "not allowed" in words:
            hint = "only https, http, ssh and git are followed from there"
        elif "dubious ownership" in words:
            hint = "git trusts no repository of another user: git config --global --add safe.directory DIR"
        return GitFault(f"git could not get it: {words[:1000]}", where=where, hint=hint)


def find_git(environment: Mapping[str, str], *, offline: bool, stop: Cancellation) -> Git | None:
    """The git program of this machine, None where there is none."""
    program = shutil.which("git", path=environment.get("PATH", os.defpath))
    return Git(program=Path(program), environment=environment, offline=offline, stop=stop) if program is not None else None


def need_git(git: Git | None, *, where: str) -> Git:
    """``git``; raises MissingTool where there is none."""
    if git is None:
        raise MissingTool("the git program is not on this machine", where=where, hint="install git")
    return git


def is_local(url: str) -> bool:
    """True for a repository on this machine."""
    return urlsplit(url).scheme == "file"


def without_login(text: str) -> str:
    """``text`` with the logins of URLs in it taken out; a user's name alone (``ssh://git@``) is none."""
    return re.sub(r"(https?://)[^/?#\s@']+@", r"\1", re.sub(r"([A-Za-z][A-Za-z0-9+.-]*://[^/?#\s@:']*):[^/?#\s@']*@", r"\1@", text))


def _allowed(url: str) -> str:
    # What lies on a server may not send us to files of this machine; what lies here may.
    return f"{_REMOTE}:file" if is_local(url) else _REMOTE


def _url(url: str) -> str:
    """The URL as git takes it: a local one by its path, so that percent signs are read."""
    parts = urlsplit(url)
    if parts.scheme == "file":
        return Path(url2pathname(parts.path)).as_uri() if "%" not in parts.path else "file://" + url2pathname(parts.path)
    if not parts.scheme:
        return Path(url).absolute().as_uri()
    if parts.scheme not in ("https", "http", "ssh", "git"):
        raise GitFault(f"repositories are not fetched by {parts.scheme!r}", where=without_login(url), hint="use https, ssh or file")
    return url

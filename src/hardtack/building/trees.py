"""The files of a source folder: what git sees of it, or what is no cache, environment or product; listed, told apart, copied."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

from hardtack.building.git import Checkout, Git, find_git
from hardtack.system.cancellation import Cancellation
from hardtack.system.documents import toml_of

# What a folder outside of version control holds besides its source.
_NEVER = frozenset(
    {".git", ".hg", ".svn", ".bzr", "_darcs", "CVS", "__pycache__", ".tox", ".nox", ".venv", ".mypy_cache", ".pytest_cache"}
    | {".ruff_cache", ".hypothesis", ".eggs", ".ipynb_checkpoints", "__pypackages__", "node_modules", ".DS_Store"}
)
_AT_THE_TOP = ("build", "dist")
# Backends, plugins and libraries that compute a version from a repository.
_ASKS_GIT = re.compile(r"(^|-)(scm|vcs|git|versioningit|versioneer|dunamai|pbr|versioner|dynamic-versioning|incremental)(-|$)")
# How the user tells such a tool the version himself.
_STATED = re.compile(
    r"(SETUPTOOLS_SCM_PRETEND_\w+|SETUPTOOLS_SCM_OVERRIDES_FOR_\w+|PDM_BUILD_SCM_VERSION|PBR_VERSION|\w+_VERSIONING_BYPASS)"
)


def fingerprint(folder: Path, *, environment: Mapping[str, str], leave_out: Sequence[Path] = (), stop: Cancellation) -> str:
    """A digest of the names, sizes and times of all that ``make_sdist`` would read of a folder: equal ones need no second look."""
    digest = hashlib.sha256()
    checkout, files = listed(folder, find_git(environment, offline=True, stop=stop), leave_out)
    if checkout is not None and asks_git(folder):
        files = tracked(checkout, checkout.top, leave_out)
    digest.update(json.dumps([checkout.state if checkout else "", sorted(stated_versions(environment).items())]).encode())
    for name, path in files:
        try:
            seen = path.lstat()
        except OSError:
            continue
        digest.update(f"{name}\0{seen.st_mode}\0{seen.st_size}\0{seen.st_mtime_ns}\0{seen.st_ino}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def listed(folder: Path, git: Git | None, leave_out: Sequence[Path]) -> tuple[Checkout | None, list[tuple[str, Path]]]:
    """The files of a folder by their names in it, and the checkout that it lies in, if it is part of one."""
    checkout = git.look(folder) if git is not None else None
    if checkout is not None:
        files = tracked(checkout, folder, leave_out)
        # A folder that its repository ignores is not version-controlled, wherever it lies.
        if files:
            return checkout, files
    return None, sorted(_walk(folder, folder, tuple(os.path.abspath(path) for path in leave_out)))


def tracked(checkout: Checkout, folder: Path, leave_out: Sequence[Path]) -> list[tuple[str, Path]]:
    base = folder.resolve().relative_to(checkout.top.resolve()).as_posix()
    head = "" if base == "." else f"{base}/"
    apart = tuple(os.path.abspath(path) for path in leave_out)
    found = []
    wheelhouses: dict[Path, bool] = {}
    for name in checkout.files:
        if not name.startswith(head):
            continue
        path = checkout.top / name
        if _is_within(path, apart) or any(
            wheelhouses.setdefault(parent, _is_wheelhouse(parent))
            for parent in path.parents
            if parent != folder and folder in parent.parents
        ):
            continue
        found.append((name.removeprefix(head), path))
    for module in checkout.modules:
        if module.startswith(head) and (checkout.top / module).is_dir():
            inner = _walk(checkout.top / module, checkout.top / module, apart)
            found += [(f"{module.removeprefix(head)}/{name}", path) for name, path in inner]
    return sorted(found)


def _walk(folder: Path, top: Path, apart: tuple[str, ...]) -> Iterator[tuple[str, Path]]:
    for entry in os.scandir(folder):
        path = Path(entry.path)
        if entry.name in _NEVER or _is_within(path, apart):
            continue
        if entry.is_dir(follow_symlinks=False):
            made = folder == top and entry.name in _AT_THE_TOP and not (path / "__init__.py").exists()
            if made or (path / "pyvenv.cfg").exists() or _is_wheelhouse(path) or (folder == top and entry.name.endswith(".egg-info")):
                continue
            yield from _walk(path, top, apart)
        elif entry.is_file(follow_symlinks=False) or entry.is_symlink():
            yield path.relative_to(top).as_posix(), path


def _is_wheelhouse(folder: Path) -> bool:
    return (folder / "wheelhouse.json").is_file()


def _is_within(path: Path, folders: Sequence[str]) -> bool:
    text = os.path.abspath(path)
    return any(text == folder or text.startswith(folder + os.sep) for folder in folders)


def copy_file(name: str, path: Path, root: Path, *, within: Path) -> str | None:
    """Copy one file; its line in the tree's digest. A link stays one where its aim is copied too, and becomes the file that it shows."""
    place = root.joinpath(*name.split("/"))
    try:
        seen = path.lstat()
    except OSError:
        return None  # tracked, and gone
    if stat.S_ISLNK(seen.st_mode):
        target = os.readlink(path)
        lexical = os.path.normpath(os.path.join(os.path.dirname(name), target))
        if not os.path.isabs(target) and not lexical.startswith(".."):
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(target)
            return f"{name}\0link\0{target}"
        aim = path.resolve()
        if not aim.is_file() or not aim.is_relative_to(within.resolve()):
            return None  # out of the project: not ours to copy
        path = aim
        seen = path.stat()
    if not stat.S_ISREG(seen.st_mode):
        return None
    place.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with open(path, "rb") as stream, open(place, "wb") as copy:
        while block := stream.read(1 << 20):
            digest.update(block)
            copy.write(block)
    runs = bool(seen.st_mode & 0o111)
    place.chmod(0o755 if runs else 0o644)
    return f"{name}\0{'x' if runs else '-'}\0{digest.hexdigest()}"


def asks_git(folder: Path) -> bool:
    """True if the project's version may be computed from its repository, as far as its files tell."""
    try:
        tables = toml_of((folder / "pyproject.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return True
    system = tables.get("build-system")
    system = system if isinstance(system, dict) else {}
    requires = system.get("requires")
    names = [re.split(r"[^A-Za-z0-9._-]", str(text).strip())[0] for text in requires] if isinstance(requires, list) else []
    if system.get("backend-path") or any(_ASKS_GIT.search(canonicalize_name(name)) for name in names if name):
        return True
    project = tables.get("project")
    if isinstance(project, dict):
        return not isinstance(project.get("version"), str)
    poetry: Any = (tables.get("tool") or {}).get("poetry") if isinstance(tables.get("tool"), dict) else None
    return not (isinstance(poetry, dict) and isinstance(poetry.get("version"), str))


def stated_versions(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if _STATED.fullmatch(name)}


def reverse(tree: Path) -> None:
    """Have every folder of a tree list its files in another order, where the file system lists them by their age."""
    for folder, _, _ in os.walk(tree, topdown=False):
        before = os.listdir(folder)
        # One lists the youngest first, another the oldest.
        for order in (before, before[::-1]):
            if len(before) < 2 or os.listdir(folder) != before:
                break
            other = tempfile.mkdtemp(prefix=".hardtack-", dir=os.path.dirname(folder))
            for name in order:
                os.rename(os.path.join(folder, name), os.path.join(other, name))
            shutil.copystat(folder, other)
            os.rmdir(folder)
            os.rename(other, folder)

"""A project's uv.lock, through uv's own export: obeyed where it is fresh, refused where it is stale, never written."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from hardtack.errors import InputError, LockError, Offline, StaleLock
from hardtack.inputs.text import read_toml
from hardtack.inputs.workspace import workspace_root
from hardtack.system.cancellation import Cancellation
from hardtack.system.files import write_bytes
from hardtack.system.process import Completed
from hardtack.system.uv import GUARD_WORDS, Uv

# The settings that uv compares with what the lock was made with. What else [tool.uv] may say (constraints, overrides, environments,
# conflicts, sources, the workspace) uv takes for a part of the project, and reads it whatever the configuration is.
_SETTINGS = (
    "index",
    "index-url",
    "extra-index-url",
    "find-links",
    "no-index",
    "resolution",
    "prerelease",
    "prerelease-package",
    "fork-strategy",
    "exclude-newer",
    "exclude-newer-package",
    "dependency-metadata",
    "no-sources",
    "no-sources-package",
)
_TIMEOUT = 300.0
_APART = "give each of them a target of its own: [tool.hardtack.targets.NAME] extras = [...]"
_URL = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]+:")


def export_uv_lock(
    project_dir: Path,
    uv: Uv,
    *,
    extras: frozenset[str],
    groups: frozenset[str],
    all_packages: bool,
    guard_python: Path,
    stop: Cancellation | None = None,
    runtime: bool = True,
) -> str:
    """The lock of the project in ``project_dir`` as the text of a pylock.toml; its paths are relative to ``project_dir``.

    Without a resolution, without network (but for files whose hash nobody states), and without running code of the project or of an sdist:
    ``guard_python`` (of ``Uv.guard_interpreter``) sees to that, and may be of a Python that the project does not allow. ``groups`` are
    exactly those that are taken. Conflicting extras (``tool.uv.conflicts``) need an export each. ``runtime`` False leaves only the groups.

    Raises StaleLock where pyproject.toml asks for something else than what was locked, InputError for an unknown or conflicting extra
    or group. Where a local package's metadata is only told by running it, its freshness cannot be judged and is taken for granted.
    """
    root = workspace_root(project_dir) or project_dir
    lock_path = root / "uv.lock"
    lock = read_toml(lock_path)
    command = ["export", "--format", "pylock.toml", "--no-header", "--no-default-groups"]
    command += ["--all-packages"] if all_packages else []
    command += [part for extra in sorted(extras) for part in ("--extra", extra)] if runtime else []
    command += [part for group in sorted(groups) for part in ("--group" if runtime else "--only-group", group)]
    if all_packages:
        _check_conflicts(lock, extras if runtime else frozenset(), groups, lock_path)
    with tempfile.TemporaryDirectory(prefix="hardtack-uv-") as temporary:
        folder = Path(temporary)
        config_file = folder / "uv.toml"
        write_bytes(config_file, _settings(root, lock, folder))

        def run(python: Path, *more: str, offline: bool = True) -> Completed:
            # Without isolation, a build hook would run in the guard, which refuses. Without the cache, what uv saw before changes nothing.
            arguments = [*command, "--python", str(python), "--no-build-isolation", *more, *(["--no-cache"] if offline else [])]
            return uv.run(arguments, cwd=project_dir, stop=stop, timeout=_TIMEOUT, offline=offline, config_file=config_file)

        python = guard_python
        result = run(python, "--locked")
        if result.code and "incompatible with the project's Python requirement" in result.stderr:
            python = _disguised(uv, folder / "guard", guard_python, lock, stop)
            result = run(python, "--locked")
        if result.code and _needs_code(result.stderr):
            # --frozen asks neither the project nor any interpreter.
            result = run(python, "--frozen")
        if result.code and "compute missing hashes" in result.stderr and not uv.offline:
            # The lock is fresh, but its index states no hashes, and a pylock.toml must: uv fetches these files, and no others.
            result = run(python, "--locked", offline=False)
        if result.code == 0:
            return result.stdout
        why = run(python, "--locked", "--verbose").stderr if _says_stale(result.stderr) else ""
        raise _error(result, why, lock_path)


def _settings(root: Path, lock: Mapping[str, Any], folder: Path) -> bytes:
    """What uv is to be configured with: the project's own settings that bear on the lock, and nothing of the user's or the machine's."""
    import tomli_w

    own = root / "uv.toml"
    if own.is_file():
        stated: Any = read_toml(own)
    else:
        tool = read_toml(root / "pyproject.toml").get("tool")
        stated = tool.get("uv") if isinstance(tool, dict) else None
    stated = stated if isinstance(stated, dict) else {}
    settings = {key: stated[key] for key in _SETTINGS if key in stated}
    options = lock.get("options")
    # Where the lock's settings came from the user's uv configuration or a flag, they are in the lock alone, and do not make it stale.
    if isinstance(options, dict):
        for key, name in (("resolution-mode", "resolution"), ("prerelease-mode", "prerelease"), ("fork-strategy", "fork-strategy")):
            if key in options:
                settings.setdefault(name, options[key])
        for name in ("exclude-newer-span", "exclude-newer"):
            if name in options:
                settings.setdefault("exclude-newer", options[name])
    for key in ("index-url", "extra-index-url", "find-links"):
        if key in settings:
            value = settings[key]
            settings[key] = [_located(item, root, folder) for item in value] if isinstance(value, list) else _located(value, root, folder)
    indexes = [{**index, "url": _located(index.get("url"), root, folder)} for index in settings.pop("index", []) if isinstance(index, dict)]
    if indexes:
        settings["index"] = indexes
    # The same holds for a folder of files that the lock took: uv wants to be told of it again.
    stated_links = settings.get("find-links", [])
    local = [_located(registry, root, folder) for registry in _registries(lock) if not _URL.match(registry)]
    links = [*(stated_links if isinstance(stated_links, list) else [stated_links]), *local]
    known = [index["url"] for index in indexes]
    links = [link for link in dict.fromkeys(links) if link not in known]
    if links:
        settings["find-links"] = links
    return tomli_w.dumps(settings).encode()


def _check_conflicts(lock: Mapping[str, Any], extras: frozenset[str], groups: frozenset[str], lock_path: Path) -> None:
    """What uv itself checks for one project, but not for all packages together."""
    conflicts = lock.get("conflicts", [])
    for together in conflicts if isinstance(conflicts, list) else []:
        taken = [item for item in together if isinstance(item, dict) and (item.get("extra") in extras or item.get("group") in groups)]
        if len(taken) > 1:
            names = " and ".join(f"{item.get('package')}[{item.get('extra') or item.get('group')}]" for item in taken)
            raise InputError(f"{names} are incompatible by tool.uv.conflicts", where=str(lock_path), hint=_APART)


def _registries(lock: Mapping[str, Any]) -> list[str]:
    packages = lock.get("package", [])
    sources = [package.get("source") for package in packages if isinstance(package, dict)] if isinstance(packages, list) else []
    return sorted({str(source["registry"]) for source in sources if isinstance(source, dict) and "registry" in source})


def _located(value: Any, root: Path, folder: Path) -> Any:
    """A local index's path told from ``folder``, where our configuration lies. uv keeps in a lock whether a path was relative."""
    if not isinstance(value, str) or _URL.match(value) or os.path.isabs(value):
        return value
    try:
        return os.path.relpath(root.absolute() / value, folder)
    except ValueError:  # another drive
        return str(root.absolute() / value)


def _disguised(uv: Uv, folder: Path, base: Path, lock: Mapping[str, Any], stop: Cancellation | None) -> Path:
    """A guard interpreter that says it is a Python which the lock allows, for none is needed to read a lock.

    Raises LockError if no Python could satisfy the lock's requires-python.
    """
    version = _allowed(str(lock.get("requires-python", "")))
    if version is None:
        raise LockError(f"requires-python {lock.get('requires-python')!r} allows no Python", where="uv.lock")
    python = uv.guard_interpreter(folder, base, stop=stop)
    packages = next(path for pattern in ("lib/python*/site-packages", "Lib/site-packages") for path in folder.glob(pattern))
    parts = tuple(str(version).split("."))
    line = f"import platform; platform.python_version = lambda: {str(version)!r}; platform.python_version_tuple = lambda: {parts!r}\n"
    write_bytes(packages / "hardtack-disguise.pth", line.encode())
    return python


def _allowed(text: str) -> Version | None:
    try:
        allowed = SpecifierSet(text)
    except InvalidSpecifier:
        return None
    stated = [spec.version.removesuffix(".*") for spec in allowed]
    candidates = [Version(f"3.{minor}.{patch}") for minor in range(40) for patch in (0, 99)]
    for version in stated:
        try:
            release = (*Version(version).release, 0, 0, 0)[:3]
        except InvalidVersion:
            continue
        candidates += [Version(f"{release[0]}.{release[1]}.{release[2] + step}") for step in (0, 1)]
    return min((version for version in candidates if allowed.contains(version)), default=None)


def _needs_code(stderr: str) -> bool:
    return "Failed to generate package metadata" in stderr or GUARD_WORDS in stderr


def _says_stale(stderr: str) -> bool:
    return "needs to be updated" in stderr or "No solution found" in stderr or "network was disabled" in stderr


def _error(result: Completed, why: str, lock_path: Path) -> LockError | InputError | Offline:
    if "compute missing hashes" in result.stderr:
        return Offline(
            "its index states no hashes, and to compute them the files are needed", where=str(lock_path), hint="leave out --offline"
        )
    lines = [line for line in result.stderr.splitlines() if line.strip() and not re.match(r"Using C?Py|Using Python|Resolved \d", line)]
    said = "\n".join(lines).removeprefix("error: ")
    place = str(lock_path)
    if "incompatible with the declared conflicts" in said:
        return InputError(said, where=place, hint=_APART)
    if re.search(r"[Ee]xtra `[^`]*` (?:is|does)|[Gg]roup `[^`]*` (?:is|does)", said):
        return InputError(said, where=place)
    if re.search(r"[Ff]ailed to parse|unsupported (?:schema )?version|could not be read|not supported", said):
        return InputError(said, where=place, hint="a newer uv may read it: pip install --upgrade uv")
    if _says_stale(result.stderr) or "incompatible with the project's Python requirement" in said:
        found = re.findall(r"(?:Resolving despite existing lockfile|Ignoring existing lockfile|existing lockfile \S+) due to (.*)", why)
        because = f": {found[0].strip()}" if found else ""
        reason = f"no longer says what the project asks for{because}"
        return StaleLock(reason, where=place, hint="refresh it with `uv lock` and look at what changed, or leave it aside with --no-lock")
    return LockError(f"uv cannot export it: {said}", where=place)

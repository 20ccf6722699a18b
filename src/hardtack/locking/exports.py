"""A lock or a wheelhouse in the words of other tools: hashed requirements, constraints, pylock.toml."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from packaging.markers import Marker

from hardtack.errors import LockError, UsageError
from hardtack.locking.narrowing import narrowed
from hardtack.model.lock import Lock, LockedFile, LockedPackage
from hardtack.model.manifest import Manifest
from hardtack.model.target import Target
from hardtack.wheelhouse.pylock import pylock_for_target, write_pylock
from hardtack.wheelhouse.pylock_packages import without_credentials

ExportFormat = Literal["pip", "requirements", "constraints", "pylock"]
_PLACEHOLDERS = ("python", "target", "platform")
_FIELD = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportSpec:
    """What to export, and where: a path with ``{python}``, ``{target}`` or ``{platform}`` stands for one file for each."""

    format: ExportFormat
    path: str

    @property
    def placeholders(self) -> frozenset[str]:
        """The names between braces in the path."""
        return frozenset(_FIELD.findall(self.path))


def parse_export_spec(text: str) -> ExportSpec:
    """An export as the command line states it, "FORMAT:PATH".

    >>> parse_export_spec("pip:lockfiles/requirements.lock-{python}")
    ExportSpec(format='pip', path='lockfiles/requirements.lock-{python}')
    """
    kind, separator, path = text.partition(":")
    formats = get_args(ExportFormat)
    if not separator or kind not in formats or not path:
        raise UsageError(
            f"{text!r} is no export", where="--export", hint=f"write FORMAT:PATH, FORMAT one of {', '.join(formats)}: pip:requirements.lock"
        )
    unknown = [name for name in _FIELD.findall(path) if name not in _PLACEHOLDERS]
    if unknown or _FIELD.sub("", path).count("{") or _FIELD.sub("", path).count("}"):
        raise UsageError(
            f"{path!r} has a placeholder that is not known", where="--export", hint="known are {python}, {target} and {platform}"
        )
    return ExportSpec(format=kind, path=path)  # type: ignore[arg-type]


def export(lock: Lock, spec: ExportSpec, targets: Sequence[Target], *, command: str = "hardtack lock --export") -> dict[str, str]:
    """The files that an export makes, by path: one, or one for each Python, target or platform that the path tells apart.

    Raises LockError for what the format cannot say, all of it at once.
    """
    groups: dict[str, list[Target]] = {}
    if not spec.placeholders:
        groups[spec.path] = list(targets)
    elif not targets:
        raise UsageError(f"{spec.path!r} asks for one file for each target, and the lock has no targets", where="--export")
    for target in targets if spec.placeholders else ():
        groups.setdefault(_path_for(spec, target), []).append(target)
    whole = f"{command} {spec.format}:{spec.path}"
    made = {}
    for path, served in groups.items():
        made[path] = _export(lock, spec.format, served, whole)
    return made


def _path_for(spec: ExportSpec, target: Target) -> str:
    words = {"python": python_name(target), "target": target.name, "platform": target.name.partition("-")[2] or target.name}
    return _FIELD.sub(lambda match: words[match[1]], spec.path)


def python_name(target: Target) -> str:
    """A Python as file names spell it: "3.12", "3.13t", "pypy3.11", "pyodide3.13"."""
    prefix = "" if target.implementation == "cpython" else target.implementation
    return f"{prefix}{target.python[0]}.{target.python[1]}{'t' if target.free_threaded else ''}"


def _export(lock: Lock, kind: ExportFormat, served: Sequence[Target], command: str) -> str:
    lock = narrowed(lock, served)
    names = frozenset(target.name for target in served)
    if kind == "pylock":
        packages = tuple(package for package in lock.packages if not names or package.targets is None or package.targets & names)
        kept = tuple(name for name in lock.targets if not names or name in names)
        return write_pylock(dataclasses.replace(lock, packages=packages, targets=kept))
    header = _header(command, served)
    if kind == "constraints":
        return header + constraints(lock, served)
    return header + hashed_requirements(lock, served, hashes=kind == "pip")


def _header(command: str, served: Sequence[Target]) -> str:
    lines = ["# Made by hardtack; do not edit. To make it again:", f"#     {command}"]
    if served:
        lines.append(f"# For: {', '.join(target.name for target in served)}")
    return "\n".join(lines) + "\n"


def hashed_requirements(lock: Lock, targets: Sequence[Target] = (), *, hashes: bool = True) -> str:
    """The lock as a requirements file: every version with every file's digest, markers kept, so that one file may serve several targets.

    Raises LockError for what pip cannot check by hash (folders, repositories), for files without a digest, and for two versions of a
    package that no marker tells apart: all at once.
    """
    faults: list[str] = []
    lines = []
    rows = _rows(lock, targets, faults)
    for package, marker in rows:
        name = _reference(package)
        condition = f" ; {marker}" if marker is not None else ""
        if not hashes:
            lines.append(f"{name}{condition}")
            continue
        source = package.source
        if source is not None and source.kind != "archive":
            what = "a folder" if source.kind == "directory" else "a repository"
            faults.append(f"{package.name} comes from {what}, which pip cannot check by hash")
            continue
        digests = {source.sha256} if source is not None else {file.sha256 for file in _files(package)}
        if None in digests or not digests:
            faults.append(f"{package.name} {package.version or ''} has a file whose digest is not known".replace("  ", " "))
            continue
        lines.append(_entry(name + condition, [digest for digest in digests if digest]))
    if faults:
        raise LockError("; ".join(faults), where="--export", hint="requirements.<target>.txt of the wheelhouse has a hash for every wheel")
    return "".join(f"{line}\n" for line in lines)


def constraints(lock: Lock, targets: Sequence[Target] = ()) -> str:
    """The lock as a constraints file: name==version, markers kept, no hashes (pip would then demand them of everything)."""
    faults: list[str] = []
    lines = [
        f"{package.name}=={package.version}" + (f" ; {marker}" if marker is not None else "")
        for package, marker in _rows(lock, targets, faults)
        if package.version is not None
    ]
    if faults:
        raise LockError("; ".join(faults), where="--export", hint="one file for each target: constraints:constraints.{target}.txt")
    return "".join(f"{line}\n" for line in lines)


def _files(package: LockedPackage) -> Iterable[LockedFile]:
    yield from package.wheels
    if package.sdist is not None:
        yield package.sdist


def _reference(package: LockedPackage) -> str:
    """What stands before the marker: an exact version, or where the source is."""
    source = package.source
    if source is None:
        return f"{package.name}=={package.version}"
    location = without_credentials(source.location)
    fragment = f"#subdirectory={source.subdirectory}" if source.subdirectory else ""
    if source.kind == "vcs":
        kind, separator, _ = location.partition("+")
        prefix = "" if separator and "/" not in kind and ":" not in kind else "git+"
        return f"{package.name} @ {prefix}{location}@{source.commit}{fragment}"
    if source.kind == "directory":
        path = Path(location)
        return f"{package.name} @ {path.as_uri() if path.is_absolute() else location}{fragment}"
    return f"{package.name} @ {location}{fragment}"


def _entry(requirement: str, digests: Iterable[str]) -> str:
    return " \\\n    ".join([requirement, *(f"--hash=sha256:{digest}" for digest in sorted(set(digests)))])


def _rows(lock: Lock, targets: Sequence[Target], faults: list[str]) -> list[tuple[LockedPackage, Marker | None]]:
    """The packages for these targets with the marker of each line; ``faults`` grows where two versions of one name cannot be told apart."""
    names = {target.name for target in targets}
    rows = []
    for package in lock.packages:
        if targets and package.targets is not None and not package.targets & names:
            continue
        marker = _without_sets(package.marker, lock.extras, lock.groups | lock.default_groups)
        if marker is False:
            continue
        if marker is None and targets and package.targets is not None and not names <= package.targets:
            marker = _marker_of([target for target in targets if target.name in package.targets])
        rows.append((package, marker))
    rows.sort(key=lambda row: (row[0].name, str(row[0].version or ""), str(row[1] or "")))
    seen: dict[tuple[str, str], LockedPackage] = {}
    unique = []
    for package, marker in rows:
        other = seen.setdefault((package.name, str(marker or "")), package)
        if other is package:
            unique.append((package, marker))
        else:
            faults.append(
                f"{package.name} has versions {other.version} and {package.version} that no marker tells apart: write one file a target"
            )
    return unique


def _marker_of(targets: Sequence[Target]) -> Marker:
    """A marker that holds on these targets, by what a marker can tell."""
    terms = []
    for target in targets:
        environment = target.environment
        words = [f"python_version == '{target.python[0]}.{target.python[1]}'"]
        words += [
            f"{name} == '{environment[name]}'"
            for name in ("sys_platform", "platform_machine", "implementation_name")
            if name in environment and "'" not in environment[name]
        ]
        terms.append(" and ".join(words))
    return Marker(" or ".join(f"({term})" for term in dict.fromkeys(terms)))


def _without_sets(marker: Marker | None, extras: frozenset[str], groups: frozenset[str]) -> Marker | Literal[False] | None:
    """The marker with ``'x' in extras`` and ``'x' in dependency_groups`` answered: pip's requirements know neither (PEP 751 does).

    None where it always holds, False where it never does.
    """
    if marker is None or not re.search(r"\b(extras|dependency_groups)\b", str(marker)):
        return marker
    answer = _simplify(_parse(str(marker)), {"extras": extras, "dependency_groups": groups})
    if isinstance(answer, bool):
        return None if answer else False
    return Marker(answer)


_TOKEN = re.compile(r"""\s*(\(|\)|"[^"]*"|'[^']*'|not\s+in\b|in\b|and\b|or\b|[<>=!~]+|[A-Za-z_.]+)""")
_Tree = tuple[str, list["_Tree"]] | tuple[str, str, str]


def _parse(text: str) -> _Tree:
    """A marker's text, which packaging has written, as a tree of ("and" | "or", children) and (left, operator, right)."""
    tokens = [match[1] for match in _TOKEN.finditer(text)]
    position = 0

    def take() -> str:
        nonlocal position
        position += 1
        return tokens[position - 1]

    def joined(word: str, inner: Callable[[], _Tree]) -> _Tree:
        nonlocal position
        children = [inner()]
        while position < len(tokens) and tokens[position] == word:
            position += 1
            children.append(inner())
        return children[0] if len(children) == 1 else (word, children)

    def atom() -> _Tree:
        first = take()
        if first == "(":
            tree = either()
            take()
            return tree
        return (first, " ".join(take().split()), take())

    def every() -> _Tree:
        return joined("and", atom)

    def either() -> _Tree:
        return joined("or", every)

    return either()


def _simplify(tree: _Tree, sets: Mapping[str, frozenset[str]]) -> str | bool:
    """The tree's text with the questions about ``sets`` answered, or its answer where nothing else is asked."""
    if len(tree) == 3:
        left, operator, right = tree
        if right in sets:
            return (left[1:-1] in sets[right]) == (operator == "in")
        return f"{left} {operator} {right}"
    word, children = tree
    decisive = word == "or"
    parts = []
    for child in children:
        answer = _simplify(child, sets)
        if answer is decisive:
            return decisive
        if not isinstance(answer, bool):
            parts.append(f"({answer})" if " or " in answer and len(children) > 1 else answer)
    return f" {word} ".join(parts) if parts else not decisive


# --- a wheelhouse ----------------------------------------------------------------------------------------------------------------


def target_requirements(manifest: Manifest, target: str) -> str:
    """``requirements.<target>.txt``: exactly the wheels of one target by version and sha256, for every pip and uv.

    A host may have more than its target promises (a newer glibc), and prefer a wheel of the same version that lies there for another
    target. pip and uv choose before they look at the hashes: where all wheels lie together, each of that version may be the one.
    """
    digests = {(file.filename, name): file.sha256 for file in manifest.files for name in file.targets}
    links = target if manifest.layout == "by-target" else "."
    lines = [
        f"# Every package of {target}, exact and hashed. From the wheelhouse's folder, with no network:",
        f"#     python -m pip install --no-index --no-deps --require-hashes --find-links {links} -r requirements.{target}.txt",
        f"#     uv pip install --no-index --no-deps --require-hashes --find-links {links} -r requirements.{target}.txt",
    ]
    entries: dict[tuple[str, str, str], set[str]] = {}
    for pin in manifest.pins:
        if pin.target == target:
            key = (pin.name, pin.version, str(Marker(pin.marker)) if pin.marker else "")
            entries.setdefault(key, set()).add(digests[pin.filename, target])
    if manifest.layout == "flat":
        own = {digest for stated in entries.values() for digest in stated}
        for (name, version, _), stated in entries.items():
            others = {file.sha256 for file in manifest.files if (file.name, file.version) == (name, version)}
            stated |= others - own
    for (name, version, marker), stated in sorted(entries.items()):
        lines.append(_entry(f"{name}=={version}" + (f" ; {marker}" if marker else ""), stated))
    return "\n".join(lines) + "\n"


def wheelhouse_constraints(manifest: Manifest) -> str:
    """``constraints.txt``: the versions of the wheelhouse. A package with several versions is told by target in a comment, not pinned."""
    lines = ["# The versions in this wheelhouse: pip install --no-index --find-links . -c constraints.txt ..."]
    versions: dict[str, dict[str, set[str]]] = {}
    for pin in manifest.pins:
        versions.setdefault(pin.name, {}).setdefault(pin.version, set()).add(pin.target)
    for name, by_version in sorted(versions.items()):
        if len(by_version) == 1:
            lines.append(f"{name}=={next(iter(by_version))}")
        else:
            told = "; ".join(f"{version} for {', '.join(sorted(targets))}" for version, targets in sorted(by_version.items()))
            lines.append(f"# {name}: {told}")
    return "\n".join(lines) + "\n"


def wheelhouse_texts(manifest: Manifest) -> dict[str, bytes]:
    """The files that say how to install from a wheelhouse, for ``stow``: requirements, pylock and constraints."""
    texts = {"constraints.txt": wheelhouse_constraints(manifest)}
    for target in manifest.targets:
        texts[f"requirements.{target}.txt"] = target_requirements(manifest, target)
        texts[f"pylock.{target}.toml"] = pylock_for_target(manifest, target)
    return {path: text.encode() for path, text in sorted(texts.items())}

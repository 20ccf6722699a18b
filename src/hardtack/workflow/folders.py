"""A folder of wheels, whoever made it: what lies there, for which targets, and each file judged."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hardtack.errors import InputError, TargetError
from hardtack.model.finding import Finding, Severity
from hardtack.model.target import Target
from hardtack.model.wheel import BadWheel, WheelFacts
from hardtack.reporting import Reporter
from hardtack.system.cancellation import Cancellation
from hardtack.targets.catalog import parse_target
from hardtack.wheelhouse.facts import FactsCache, digests, inspect_all

_ENTRIES = 1_000_000  # files and folders that are looked at
_DEPTH = 20
_SOURCES = (".tar.gz", ".zip", ".tar.bz2", ".tgz")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lying:
    """What lies in a folder and below it. Paths are relative, with "/"; ``sources`` are archives that could be built into wheels."""

    wheels: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """The sound wheels that an installer on one target could choose from, by project; the path of each by its file name."""

    target: Target
    wheels: Mapping[str, tuple[WheelFacts, ...]]
    paths: Mapping[str, str]
    bad: Mapping[str, tuple[str, ...]]
    findings: tuple[Finding, ...] = ()

    @property
    def by_filename(self) -> dict[str, WheelFacts]:
        """Each wheel by its file name."""
        return {wheel.filename: wheel for wheels in self.wheels.values() for wheel in wheels}


def look_into(folder: Path) -> Lying:
    """Find every wheel, without opening any but to see whether it can be read. Links to folders are not followed.

    Raises InputError where the folder itself cannot be looked into.
    """
    if not folder.is_dir():
        reason = "it is no folder" if folder.exists() else "there is no such folder"
        raise InputError(reason, where=str(folder), hint="name a folder of wheels; `hardtack build -o DIR` makes one")
    wheels: list[str] = []
    sources: list[str] = []
    findings: list[Finding] = []
    waiting = [("", 0)]
    seen = 0
    while waiting:
        place, depth = waiting.pop()
        try:
            entries = sorted(os.scandir(folder / place), key=lambda entry: entry.name)
        except OSError as error:
            if not place:
                raise InputError(f"it cannot be read: {error.strerror}", where=str(folder)) from None
            findings.append(_unreadable(place, error.strerror or str(error)))
            continue
        seen += len(entries)
        if seen > _ENTRIES:
            raise InputError(f"more than {_ENTRIES} files and folders lie there", where=str(folder), hint="name the folder of the wheels")
        for entry in entries:
            path = f"{place}/{entry.name}" if place else entry.name
            if entry.name.lower().endswith(".whl") and not entry.is_dir(follow_symlinks=False):
                fault = _fault(Path(entry.path))
                if fault is None:
                    wheels.append(path)
                else:
                    findings.append(_unreadable(path, fault))
            elif entry.is_dir(follow_symlinks=False):
                if entry.name.startswith("."):
                    continue
                if depth == _DEPTH:
                    findings.append(_unreadable(path, f"folders are nested more than {_DEPTH} deep"))
                else:
                    waiting.append((path, depth + 1))
            elif entry.name.lower().endswith(_SOURCES):
                sources.append(path)
            elif entry.is_symlink() and Path(entry.path).is_dir():
                findings.append(_unreadable(path, "links to folders are not followed", severity=Severity.WARNING))
    return Lying(wheels=tuple(sorted(wheels)), sources=tuple(sorted(sources)), findings=tuple(findings))


def _fault(path: Path) -> str | None:
    """Why a file cannot be read, None if it can."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return "it is no file"
        with open(path, "rb", buffering=0) as stream:
            stream.read(1)
    except OSError as error:
        return error.strerror or str(error)
    return None


def _unreadable(path: str, reason: str, *, severity: Severity = Severity.ERROR) -> Finding:
    return Finding(
        code="unreadable",
        severity=severity,
        message=f"{path} cannot be read: {reason}",
        file=path,
        hint="nothing that lies there counts before it can be read",
    )


def judge_files(
    folder: Path, wheels: Collection[str], cache: Path, reporter: Reporter, stop: Cancellation
) -> dict[str, WheelFacts | BadWheel]:
    """The facts of each wheel by its path, from its bytes; what is not there is left out."""
    files = []
    paths: dict[tuple[str, str], list[str]] = {}
    there = {name: folder / name for name in sorted(wheels) if (folder / name).is_file()}
    found = digests(there.values(), stop=stop)
    for name, path in there.items():
        digest = found[path]
        if (digest, path.name) not in paths:
            files.append((path, path.name, digest))
        paths.setdefault((digest, path.name), []).append(name)
    answers = inspect_all(files, FactsCache(cache), jobs=2, reporter=reporter, stop=stop)
    return {path: answer for answer in answers for path in paths[answer.sha256, answer.filename]}


def of_files(found: Mapping[str, WheelFacts | BadWheel]) -> list[Finding]:
    """What is said of each file, by the path where it lies."""
    return [replace(finding, file=path) for path, answer in sorted(found.items()) for finding in answer.findings]


def targets_of_folders(paths: Iterable[str]) -> dict[str, Target]:
    """The folders at the top that are named like a target, each with the target."""
    found: dict[str, Target] = {}
    for top in sorted({path.partition("/")[0] for path in paths if "/" in path}):
        if top.lower() in ("host", "local", "native"):
            continue
        try:
            found[top] = parse_target(top)
        except TargetError:
            continue
    return found


def pools(targets: Sequence[Target], found: Mapping[str, WheelFacts | BadWheel]) -> list[Pool]:
    """What each target's installer would see: the folder that is named like the target alone, where there is one, else all the others."""
    named = {folder: target.name for folder, target in targets_of_folders(found).items()}
    names = {target.name for target in targets}
    named |= {top: top for top in {path.partition("/")[0] for path in found if "/" in path} & names}
    return [_pool(target, [path for path in found if _is_for(path, target.name, named)], found) for target in targets]


def _is_for(path: str, target: str, named: Mapping[str, str]) -> bool:
    owner = named.get(path.partition("/")[0]) if "/" in path else None
    return owner == target if target in named.values() else owner is None


def _pool(target: Target, paths: Sequence[str], found: Mapping[str, WheelFacts | BadWheel]) -> Pool:
    wheels: dict[str, list[WheelFacts]] = {}
    places: dict[str, str] = {}
    bad: dict[str, list[str]] = {}
    alike: dict[tuple[object, ...], str] = {}
    findings = []
    for path in sorted(paths, key=lambda path: (path.count("/"), path)):
        answer = found[path]
        if isinstance(answer, BadWheel):
            project = next((finding.package for finding in answer.findings if finding.package), None)
            if project is not None:
                bad.setdefault(project, []).append(path)
            continue
        first = places.setdefault(answer.filename, path)
        if first == path:
            wheels.setdefault(answer.name, []).append(answer)
        # Two spellings of one file name are one to an installer, too.
        key = answer.name, answer.version, answer.build, answer.tags
        other = alike.setdefault(key, path)
        if other != path and found[other].sha256 != answer.sha256:
            findings.append(
                Finding(
                    code="duplicate",
                    message=f"{other} and {path} are one to an installer, and have different bytes: it may take either",
                    package=answer.name,
                    version=str(answer.version),
                    target=target.name,
                    file=path,
                    hint="find out which is genuine, and remove the other",
                )
            )
    return Pool(
        target=target,
        wheels={name: tuple(own) for name, own in wheels.items()},
        paths=places,
        bad={name: tuple(own) for name, own in bad.items()},
        findings=tuple(findings),
    )

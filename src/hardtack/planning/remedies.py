"""What would fill a gap, one remedy at a time: each in words, with the command that does it where there is one. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from hardtack.model.fit import Fit, read_wheel_name
from hardtack.model.index import IndexFile, ProjectPage
from hardtack.model.plan import Gap, PlanEntry
from hardtack.model.requirements import FormatControl
from hardtack.model.target import Target
from hardtack.planning.explain import Candidate, nearest_versions, other_versions

RemedyKind = Literal["relock", "version", "floor", "formats", "build", "elsewhere", "statement"]

# Where no file is at fault, no other file helps.
_NO_FILE = frozenset({"unanswerable-marker", "conflict", "no-hash"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What somebody asks of the package's version. ``requirement`` is None where nobody knows which versions they would take."""

    asker: str
    requirement: Requirement | None
    root: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """One way to fill a gap. ``allowed``: within what everybody asks for (None: not known); ``against`` are those who forbid it."""

    kind: RemedyKind
    words: str
    command: str | None = None
    version: str | None = None
    filename: str | None = None
    allowed: bool | None = True
    against: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """What was typed after ``hardtack VERB``: ``asked`` for what, ``targets`` for where, ``output``, so that commands can do it again."""

    asked: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    output: tuple[str, ...] = ()

    def lifted(self, option: str, name: str) -> Typed:
        """What was typed without what stands against ``--option name``: the opposite of it, said of the same name."""
        opposite = "--only-binary" if option == "no-binary" else "--no-binary"
        words: list[str] = []
        given = iter(self.asked)
        for word in given:
            if word != opposite:
                words.append(word)
                continue
            named = [one for one in next(given, "").split(",") if canonicalize_name(one) != name]
            words += [word, ",".join(named)] if named else []
        return replace(self, asked=(*words, f"--{option}", name))

    def again(self, verb: str, *more: str, targets: Iterable[str] | None = None, output: bool = True) -> str:
        """The command that does it with ``more``, for other ``targets`` if some are named."""
        named = self.targets if targets is None else tuple(targets)
        words = [word for name in named for word in ("-t", name)]
        return shlex.join(["hardtack", verb, *self.asked, *words, *(self.output if output else ()), *more])


def remedies(
    entry: PlanEntry,
    target: Target,
    *,
    pages: Sequence[ProjectPage],
    asks: Sequence[Ask],
    formats: FormatControl,
    typed: Typed,
    spell: Callable[[tuple[int, int]], str],
    relock: str | None,
) -> tuple[Remedy, ...]:
    """What would serve ``target`` in the place of a gap: a file that the lock leaves out, other versions, another floor, another format.

    ``spell`` names the target with another floor; ``relock`` is the command that chooses versions anew, None where that was tried in vain.
    What can be built, and where, is for others to say. A version that is ``allowed`` suits all who ask; whether its own requirements do is
    the resolver's to say.
    """
    decision = entry.decision
    if isinstance(decision, Gap) and decision.code in _NO_FILE:
        return (Remedy(kind="statement", words=decision.hint),) if decision.hint else ()
    found: list[Remedy] = []
    package, fit = entry.package, Fit(target)
    if not formats.builds(package.name):
        candidates = other_versions(pages, fit)
        here = [one for one in candidates if one.version == package.version]
        if here and not any(file.filename == here[0].filename for file in package.wheels):
            words = f"{here[0].index} has {here[0].filename}, which the lock does not name"
            found.append(Remedy(kind="relock", words=words, command=relock, version=str(package.version), filename=here[0].filename))
        found += _versions(package.version, candidates, asks, relock)
        found += _floors(entry, fit, typed, spell)
    if isinstance(decision, Gap):
        found += _formats(entry, decision, formats, typed, fit)
    return tuple(found)


def _versions(current: Version | None, candidates: Sequence[Candidate], asks: Sequence[Ask], relock: str | None) -> list[Remedy]:
    """The nearest that all allow, then the nearest of all."""
    free = [one for one in candidates if _against(one.version, asks) == ()]
    chosen = dict.fromkeys((*nearest_versions(current, free), *nearest_versions(current, candidates)))
    unknown = tuple(ask.asker for ask in asks if ask.requirement is None)
    found = []
    for one in chosen:
        against = _against(one.version, asks)
        if against:
            forbidding = "; ".join(against)
            words = f"{one.version} has {one.filename}, outside of what is asked for: {forbidding}"
        elif not asks and relock is not None:
            words = f"{one.version} has {one.filename}; who asks for it, and for which versions, is not known here"
        elif unknown:
            words = f"{one.version} has {one.filename}; which versions {', '.join(unknown)} would take is not known here"
        else:
            words = f"{one.version} has {one.filename}, within what everybody asks for"
        if relock is None and not against:
            words += "; but nothing was found with which the rest agrees"
        allowed = False if against else None if unknown or not asks else True
        found.append(
            Remedy(
                kind="version",
                words=words,
                command=None if against else relock,
                version=str(one.version),
                filename=one.filename,
                allowed=allowed,
                against=against,
            )
        )
    return found


def _against(version: Version, asks: Sequence[Ask]) -> tuple[str, ...]:
    return tuple(
        f"{ask.asker} {'asks for' if ask.root else 'requires'} {ask.requirement}"
        for ask in asks
        if ask.requirement is not None and ask.requirement.url is None and not ask.requirement.specifier.contains(version, prereleases=True)
    )


def _floors(entry: PlanEntry, fit: Fit, typed: Typed, spell: Callable[[tuple[int, int]], str]) -> list[Remedy]:
    target, package = fit.target, entry.package
    names = [name for file in package.wheels if (name := read_wheel_name(file.filename)) is not None and name.name == package.name]
    floors = [floor for name in names if (floor := fit.floor(name.tags)) is not None]
    if target.platform.floor is None or not floors or min(floors) <= target.platform.floor:
        return []
    floor = min(floors)
    other = spell(floor)
    kind = "macOS" if target.platform.os == "macos" else target.platform.libc or "the ABI"
    words = f"the target {other} takes a wheel of it as it is: right if the host has {kind} {floor[0]}.{floor[1]}"
    named = [other if name == target.name else name for name in typed.targets] if target.name in typed.targets else [other]
    return [Remedy(kind="floor", words=words, command=typed.again("build", targets=named))]


def _formats(entry: PlanEntry, gap: Gap, formats: FormatControl, typed: Typed, fit: Fit) -> list[Remedy]:
    name = entry.package.name
    if gap.code == "only-binary":
        words = f"only-binary forbids to build it; --no-binary {name} builds it"
        return [Remedy(kind="formats", words=words, command=typed.lifted("no-binary", name).again("build"))]
    if formats.builds(name) and any(
        (read := read_wheel_name(file.filename)) is not None and fit.rank(read.tags) is not None for file in entry.package.wheels
    ):
        words = f"no-binary asks for a build, and there is no source; --only-binary {name} takes its wheel"
        return [Remedy(kind="formats", words=words, command=typed.lifted("only-binary", name).again("build"))]
    return []


@dataclass(frozen=True, slots=True, kw_only=True)
class Newer:
    """A newer version that an index has and that was not taken, with every reason that there is."""

    version: str
    index: str
    reasons: tuple[str, ...]


def newer_versions(
    current: Version | None,
    pages: Sequence[ProjectPage],
    targets: Sequence[Target],
    asks: Sequence[Ask],
    *,
    prereleases: bool,
    limit: int = 5,
) -> tuple[Newer, ...]:
    """The newest versions above ``current``, and why each was not taken, as far as that can be told from the index and from who asks."""
    offered: dict[Version, tuple[str, tuple[IndexFile, ...]]] = {}
    for page in pages:
        for version, files in page.files.items():
            offered.setdefault(version, (page.index, files))
    fits = [Fit(target) for target in targets]
    found = []
    for version in sorted((one for one in offered if current is not None and one > current), reverse=True)[:limit]:
        index, files = offered[version]
        found.append(Newer(version=str(version), index=index, reasons=_reasons(version, files, fits, asks, prereleases=prereleases)))
    return tuple(found)


def _reasons(
    version: Version, files: Sequence[IndexFile], fits: Sequence[Fit], asks: Sequence[Ask], *, prereleases: bool
) -> tuple[str, ...]:
    reasons = list(_against(version, asks))
    if files and all(file.yanked is not None for file in files):
        reasons.append("it is yanked" + (f" ({files[0].yanked})" if files[0].yanked else ""))
    if version.is_prerelease and not prereleases:
        reasons.append("it is a pre-release")
    for fit in fits:
        if not other_versions((ProjectPage(name="", index="", files={version: tuple(files)}),), fit):
            sdist = any(not file.filename.endswith(".whl") for file in files)
            reasons.append(f"no wheel of it fits {fit.target.name}" + (", it would have to be built" if sdist else ""))
    return tuple(reasons)


def by_index(pages: Mapping[str, ProjectPage], taken: str | None, version: Version | None) -> tuple[tuple[str, str], ...]:
    """Files of this version on indexes that nobody asked for it, as (file name, reason): another index has priority."""
    return tuple(
        (file.filename, f"on {name}, and {taken or 'another index'} has priority")
        for name, page in pages.items()
        if name != taken and version is not None
        for file in page.files.get(version, ())
    )

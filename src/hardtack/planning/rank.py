"""Which wheels fit a target, the best first, and why the others do not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from packaging.tags import create_compatible_tags_selector
from packaging.version import Version

from hardtack.model.fit import Fit, WheelName, read_wheel_name
from hardtack.model.lock import LockedFile
from hardtack.model.plan import Rejected
from hardtack.model.target import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """The wheels that fit, best first; ``rejected`` holds every file but the best, each with its reason."""

    fitting: tuple[LockedFile, ...]
    rejected: tuple[Rejected, ...]


class Ranker:
    """Ranks wheels for one target. File names are read once for all the rankers that share ``names``."""

    __slots__ = ("_names", "_select", "fit")

    def __init__(self, target: Target, names: dict[str, WheelName | None] | None = None) -> None:
        self.fit = Fit(target)
        self._select = create_compatible_tags_selector(target.tags)
        self._names: dict[str, WheelName | None] = {} if names is None else names

    def rank(self, files: Iterable[LockedFile], *, name: str | None = None, version: Version | None = None) -> Ranked:
        """Sort files by the target's tag order, then by build tag, the highest first (PEP 427).

        Files that say to be of another project or version than ``name`` and ``version`` are rejected.
        """
        readable: list[tuple[LockedFile, WheelName]] = []
        rejected: list[Rejected] = []
        for file in files:
            parts = self.name(file.filename)
            if parts is None:
                rejected.append(Rejected(filename=file.filename, reason="unreadable file name"))
            elif name is not None and parts.name != name:
                rejected.append(Rejected(filename=file.filename, reason=f"a wheel of another project, {parts.name}"))
            elif version is not None and parts.version != version:
                rejected.append(Rejected(filename=file.filename, reason=f"a wheel of another version, {parts.version}"))
            elif self.fit.rank(parts.tags) is None:
                rejected.append(Rejected(filename=file.filename, reason=self.fit.misfit(parts.tags)))
            else:
                readable.append((file, parts))
        # The selector sorts by tag alone and keeps the order of equals: put the highest build tag first before it.
        readable.sort(key=lambda pair: pair[1].build or (-1, ""), reverse=True)
        best = tuple(index for index in self._select((at, pair[1].tags) for at, pair in enumerate(readable)))
        for position in best[1:]:
            file, parts = readable[position]
            top = readable[best[0]][1]
            if self.fit.rank(parts.tags) == self.fit.rank(top.tags):
                reason = "an older build tag" if parts.build != top.build else "the same tags and build as the one taken"
            else:
                reason = "fits, but the one taken fits more closely"
            rejected.append(Rejected(filename=file.filename, reason=reason))
        return Ranked(fitting=tuple(readable[at][0] for at in best), rejected=tuple(rejected))

    def name(self, filename: str) -> WheelName | None:
        """A file name's parts, read at most once."""
        try:
            return self._names[filename]
        except KeyError:
            parts = self._names[filename] = read_wheel_name(filename)
            return parts


def fitting(files: Iterable[LockedFile], target: Target, *, name: str | None = None, version: Version | None = None) -> Ranked:
    """``Ranker`` for a single use: wheels ranked for a target, with a reason for every one that is not the best."""
    return Ranker(target).rank(files, name=name, version=version)

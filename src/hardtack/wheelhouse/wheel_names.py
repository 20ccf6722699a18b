"""A wheel's file name (PEP 427), read strictly where it matters and kindly where old wheels were made otherwise."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from packaging.tags import InvalidTag, Tag, TooManyTagsError, parse_tag
from packaging.utils import BuildTag, canonicalize_name
from packaging.version import InvalidVersion, Version

from hardtack.wheelhouse.faults import Faults
from hardtack.wheelhouse.limits import DEFAULT, Limits

_DISTRIBUTION = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.]*[A-Za-z0-9_])?")
_BUILD = re.compile(r"([0-9]{1,18})([A-Za-z0-9_.]*)")
_COMPONENT = re.compile(r"[A-Za-z0-9_]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelName:
    """The parts of a wheel's file name. ``name`` is normalised."""

    name: str
    version: Version
    build: BuildTag
    tags: frozenset[Tag]

    @property
    def any_windows(self) -> bool:
        """True if some Windows could install it."""
        return any(tag.platform == "any" or tag.platform.startswith("win") for tag in self.tags)

    @property
    def any_folding(self) -> bool:
        """True if some system whose files don't tell upper from lower case could install it."""
        return any(tag.platform == "any" or tag.platform.startswith(("win", "macosx", "ios")) for tag in self.tags)


def read_wheel_name(filename: str, faults: Faults, *, limits: Limits = DEFAULT) -> WheelName | None:
    """The parts of the name, or None: then ``faults`` says why."""
    stem = filename.removesuffix(".whl")
    parts = stem.split("-")
    if stem == filename or len(filename) > 1000 or len(parts) not in (5, 6):
        faults.error("file-name", f"{filename[:300]!r} is not name-version[-build]-python-abi-platform.whl: it has {len(parts)} parts")
        return None
    build: BuildTag = ()
    if len(parts) == 6:
        match = _BUILD.fullmatch(parts[2])
        if match is None:
            faults.error("file-name", f"the build tag {parts[2]!r} in {filename!r} does not begin with a digit")
            return None
        build = (int(match[1]), match[2])
    if not _DISTRIBUTION.fullmatch(parts[0]):
        faults.error("file-name", f"{parts[0]!r} in {filename!r} is no distribution name")
        return None
    version = version_of(parts[1])
    if version is None:
        faults.error("file-name", f"{parts[1]!r} in {filename!r} is not a version of PEP 440")
        return None
    tags = _tags("-".join(parts[-3:]), filename, faults, limits)
    if tags is None:
        return None
    if str(version) != parts[1] and str(version).replace("+", "_") != parts[1]:
        faults.warning("file-name", f"the version {parts[1]!r} in the file name is written {str(version)!r} today; they are equal")
    return WheelName(name=canonicalize_name(parts[0]), version=version, build=build, tags=tags)


def _tags(text: str, filename: str, faults: Faults, limits: Limits) -> frozenset[Tag] | None:
    for component in text.replace("-", ".").split("."):
        if not _COMPONENT.fullmatch(component):
            faults.error("tags", f"{component!r} in {filename!r} is no part of a tag")
            return None
    try:
        return tags_of(text, limits.tags)
    except TooManyTagsError:
        faults.error("tags", f"the compressed tags of {filename!r} stand for more than {limits.tags} tags")
    except InvalidTag:
        faults.error("tags", f"{text!r} in {filename!r} is no tag of PEP 425")
    return None


@lru_cache(maxsize=2_000)
def tags_of(text: str, limit: int) -> frozenset[Tag]:
    """What a compressed tag set stands for. Raises InvalidTag, TooManyTagsError."""
    return parse_tag(text, limit=limit)


@lru_cache(maxsize=10_000)
def version_of(text: str) -> Version | None:
    """A version, or None where the text is none, or is longer than any version."""
    try:
        return Version(text) if len(text) <= 256 else None
    except InvalidVersion:
        return None

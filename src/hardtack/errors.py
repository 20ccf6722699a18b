"""The errors of the house: each says what happened, where, and what to do about it.

An error is grouped by fault, so that a caller can tell the user's input from a broken index, a build from a bad file.
Every leaf has a ``slug`` (stable, for ``--json``) and an ``exit_code`` (1: a finding or a failure, 2: usage or configuration).
"""

from __future__ import annotations

from typing import ClassVar


class HardtackError(Exception):
    """Something that ends a run, in words for the person who started it.

    >>> str(InputError("no such group 'docs'", where="pyproject.toml: dependency-groups", hint="groups here: dev, test"))
    "pyproject.toml: dependency-groups: no such group 'docs'"
    """

    slug: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 1

    def __init__(self, reason: str, *, where: str | None = None, hint: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}" if self.where else self.reason

    def at(self, place: str) -> HardtackError:
        """Grow the error's path while it unwinds: ``error.at("packages[3]")`` puts that place before what is known."""
        self.where = f"{place}: {self.where}" if self.where else place
        return self


class UsageError(HardtackError):
    """The command line or the configuration asks for something that cannot be."""

    slug = "usage"
    exit_code = 2


class InputError(HardtackError):
    """A file that the user gave cannot be read as what it claims to be."""

    slug = "input"
    exit_code = 2


class TargetError(HardtackError):
    """A target's name or description is not understood, or it cannot answer a marker."""

    slug = "target"
    exit_code = 2


class LockError(HardtackError):
    """The requirements have no solution, or a lock does not fit what it is used for."""

    slug = "lock"


class StaleLock(LockError):
    """A lock no longer says what its project asks for. A lock is obeyed or refused, never re-resolved."""

    slug = "stale-lock"


class MissingTool(HardtackError):
    """A program that this verb needs is not on this machine."""

    slug = "missing-tool"
    exit_code = 2


class IndexFault(HardtackError):
    """An index answered with something that is not an answer (never taken for "no such project")."""

    slug = "index"


class IndexDenied(IndexFault):
    """401, 403 or 407: the index or a proxy wants other credentials."""

    slug = "index-denied"


class Offline(IndexFault):
    """A network call would be needed, and ``--offline`` forbids it."""

    slug = "offline"


class TransferFault(IndexFault):
    """A file could not be fetched whole: truncated, stalled, refused, too long."""

    slug = "transfer"


class IntegrityError(HardtackError):
    """Bytes are not what they were promised to be. Never caught to go on."""

    slug = "integrity"


class HashMismatch(IntegrityError):
    """A file's digest differs from the one that was stated for it."""

    slug = "hash-mismatch"

    def __init__(self, *, file: str, expected: str, actual: str, source: str, algorithm: str = "sha256") -> None:
        super().__init__(
            f"{file} has {algorithm} {actual}, but {source} states {expected}",
            hint="the file was replaced on the index or altered on its way; do not use it before you know which",
        )
        self.file = file
        self.expected = expected
        self.actual = actual


class BuildFault(HardtackError):
    """A source could not be turned into a wheel."""

    slug = "build"


class Cancelled(HardtackError):
    """The run was interrupted. Nothing half-done is left under a final name."""

    slug = "cancelled"
    exit_code = 130

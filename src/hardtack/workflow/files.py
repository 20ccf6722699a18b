"""Locked files in the words of fetching."""

from __future__ import annotations

from hardtack.fetching.transfer import Wanted
from hardtack.model.lock import LockedFile, LockedPackage


def source_file(package: LockedPackage) -> LockedFile | None:
    """The source archive that a package is built from, None for a folder or a repository."""
    return package.sdist or package.archive


def wanted_file(file: LockedFile) -> Wanted:
    """A locked file in fetching's words."""
    return Wanted(
        filename=file.filename,
        urls=(file.url,),
        sha256=file.sha256,
        size=file.size,
        index=file.index,
        hash_source=file.hash_source,
        other_hashes=file.other_hashes,
    )

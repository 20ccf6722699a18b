"""What builds ask for, in a lock: ``tool.hardtack.builds``, for PEP 751 has no word for it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from hardtack.model.lock import LockedBuild, LockedFile, LockedPackage
from hardtack.wheelhouse import toml_text as toml
from hardtack.wheelhouse.pylock_packages import DIGEST, PackageReader, is_plain, string_in, strings_in, without_credentials


def read_builds(rows: object, reader: PackageReader) -> tuple[LockedBuild, ...]:
    """The builds that a lock of ours states; faults go to the reader's. Raises TypeError, KeyError or ValueError for another shape."""
    if not isinstance(rows, list):
        raise TypeError("builds is no array of tables")
    builds = []
    for position, row in enumerate(rows):
        reader.place = f"tool.hardtack.builds[{position}]"
        requires = tuple(strings_in(row["requires"]))
        for text in requires:
            Requirement(text)
        builds.append(
            LockedBuild(
                environment=string_in(row["environment"]),
                requires=requires,
                sources=tuple((string_in(one["name"]), string_in(one.get("sha256", ""))) for one in row.get("sources", [])),
                packages=tuple(_package(one, f"files[{at}]", reader) for at, one in enumerate(row.get("files", []))),
            )
        )
    return tuple(builds)


def _package(row: Mapping[str, Any], place: str, reader: PackageReader) -> LockedPackage:
    filename, sha256 = string_in(row["file"]), string_in(row["sha256"]).lower()
    if not is_plain(filename):
        reader.faults.append(f"{reader.place}.{place}.file: {filename!r} is no file name")
    if not DIGEST.fullmatch(sha256):
        reader.faults.append(f"{reader.place}.{place}.sha256: {sha256!r} is no sha256 in hexadecimal")
    file = LockedFile(
        filename=filename,
        url=reader.url(row.get("url"), row.get("path"), place),
        sha256=sha256,
        size=row.get("size"),
        index=row.get("index"),
        hash_source=row.get("hash-source", "index"),
    )
    name = canonicalize_name(string_in(row["name"]))
    wheel = filename.endswith(".whl")
    return LockedPackage(
        name=name,
        version=Version(string_in(row["version"])),
        index=file.index,
        wheels=(file,) if wheel else (),
        sdist=None if wheel else file,
    )


def write_builds(builds: Sequence[LockedBuild], where: Callable[[str, str], Mapping[str, str]]) -> list[str]:
    """A block for each build. ``where`` gives a file's place ("url", "path") from its URL and name."""
    return ["\n".join(_rows(build, where)) for build in builds]


def _rows(build: LockedBuild, where: Callable[[str, str], Mapping[str, str]]) -> list[str]:
    files = [
        {
            "name": package.name,
            "version": str(package.version),
            "file": file.filename,
            **where(file.url, file.filename),
            "size": file.size,
            "sha256": file.sha256,
            "index": file.index,
            "hash-source": file.hash_source if file.hash_source != "index" else None,
        }
        for package in build.packages
        for file in (*package.wheels, *([package.sdist] if package.sdist else []))
    ]
    return [
        "[[tool.hardtack.builds]]",
        toml.line("environment", build.environment),
        toml.line("requires", build.requires),
        toml.array("sources", [{"name": name, "sha256": sha256 or None} for name, sha256 in build.sources]),
        toml.array("files", files),
    ]


def builds_in_order(builds: Sequence[LockedBuild]) -> tuple[LockedBuild, ...]:
    """The builds as they are written: sorted, logins gone, and of each file only what is kept."""
    ordered = (
        dataclasses.replace(
            build,
            requires=tuple(sorted(set(build.requires))),
            sources=tuple(sorted(set(build.sources))),
            packages=tuple(
                sorted((_package_in_order(package) for package in build.packages), key=lambda one: (one.name, str(one.version)))
            ),
        )
        for build in builds
    )
    return tuple(sorted(ordered, key=lambda build: (build.environment, build.requires, build.sources, repr(build.packages))))


def _package_in_order(package: LockedPackage) -> LockedPackage:
    def in_order(file: LockedFile) -> LockedFile:
        return LockedFile(
            filename=file.filename,
            url=without_credentials(file.url),
            sha256=file.sha256,
            size=file.size,
            index=without_credentials(file.index) if file.index else None,
            hash_source=file.hash_source,
        )

    wheels = tuple(in_order(file) for file in package.wheels)
    sdist = in_order(package.sdist) if package.sdist else None
    index = next((file.index for file in (*wheels, *([sdist] if sdist else []))), None)
    return LockedPackage(name=package.name, version=package.version, index=index, wheels=wheels, sdist=sdist)

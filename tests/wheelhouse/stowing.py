"""A small wheelhouse's ingredients: wheels in a folder that stands for the store, and the manifest that names them."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from packaging.utils import canonicalize_name, parse_wheel_filename

from hardtack.locking.exports import wheelhouse_texts
from hardtack.model.manifest import Manifest, ManifestFile, Pin
from hardtack.wheelhouse.layout import stow
from tests.support.archives import make_wheel, sha256

LINUX = "py311-linux-x86_64"
WINDOWS = "py312-windows-x86_64"


@dataclass
class Pantry:
    """Wheels that a test adds, as a store would hold them, and what is pinned to which target."""

    folder: Path
    files: list[ManifestFile] = field(default_factory=list)
    pins: list[Pin] = field(default_factory=list)

    def add(
        self,
        name: str,
        version: str = "1.0",
        *,
        targets: Sequence[str] = (LINUX,),
        marker: str | None = None,
        origin: str | None = None,
        requires: Sequence[str] = (),
        requires_python: str | None = None,
        tag: str = "py3-none-any",
        content: bytes = b"",
    ) -> ManifestFile:
        filename, data = make_wheel(
            name,
            version,
            requires=requires,
            requires_python=requires_python,
            tag=tag,
            files={f"{name.replace('-', '_').lower()}_more.py": content},
        )
        return self.add_bytes(filename, data, targets=targets, marker=marker, origin=origin)

    def add_bytes(
        self, filename: str, data: bytes, *, targets: Sequence[str] = (LINUX,), marker: str | None = None, origin: str | None = None
    ) -> ManifestFile:
        name, version, _, _ = parse_wheel_filename(filename)
        digest = sha256(data)
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / digest).write_bytes(data)
        file = ManifestFile(
            filename=filename,
            path=filename,
            sha256=digest,
            size=len(data),
            name=canonicalize_name(name),
            version=str(version),
            targets=tuple(targets),
            origin=origin or f"https://files.example.invalid/{filename}",
            index="https://example.invalid/simple",
        )
        self.files.append(file)
        self.pins += [Pin(target=target, name=file.name, version=file.version, filename=filename, marker=marker) for target in file.targets]
        return file

    def manifest(self, layout: str = "flat") -> Manifest:
        names = sorted({target for file in self.files for target in file.targets})
        assert layout in ("flat", "by-target")
        manifest = Manifest(
            layout="flat",
            targets={name: {"python": name[2] + "." + name[3:5]} for name in names},
            files=tuple(self.files),
            pins=tuple(self.pins),
        )
        return dataclasses.replace(manifest, layout="by-target") if layout == "by-target" else manifest

    def sources(self) -> dict[str, Path]:
        return {file.sha256: self.folder / file.sha256 for file in self.files}

    def stow(self, destination: Path, *, layout: str = "flat", prune: bool = False) -> Manifest:
        manifest = self.manifest(layout)
        return stow(
            manifest,
            self.sources(),
            destination,
            texts=wheelhouse_texts(manifest),
            prune=prune,
            locks=self.folder.parent / "locks",
        )


def tree(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Every file below ``folder`` with what a rewrite would change: inode, size, time."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if not path.is_dir():
            status = path.lstat()
            found[path.relative_to(folder).as_posix()] = (status.st_ino, status.st_size, status.st_mtime_ns)
    return found


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below ``folder`` with its bytes."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def clean_environment(tmp: Path, **more: str) -> dict[str, str]:
    """An environment in which nothing steers pip or uv."""
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "SYSTEMROOT", "LANG")}
    return {**kept, "HOME": str(tmp), "PIP_CONFIG_FILE": os.devnull, "UV_NO_CONFIG": "1", "UV_CACHE_DIR": str(tmp / "uv-cache"), **more}


def run(command: Sequence[str], *, cwd: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(list(command), cwd=cwd, env=dict(environment), capture_output=True, text=True, timeout=60, check=False)


def pip_install(arguments: Sequence[str], *, cwd: Path, into: Path, tmp: Path) -> subprocess.CompletedProcess[str]:
    """pip of this environment, installing into a folder."""
    command = [sys.executable, "-m", "pip", "install", "--isolated", "--no-cache-dir", "--disable-pip-version-check", "--no-compile"]
    return run([*command, "--target", str(into), *arguments], cwd=cwd, environment=clean_environment(tmp))


def uv(arguments: Sequence[str], *, cwd: Path, tmp: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """uv beside this environment, with a cache of its own."""
    from uv import find_uv_bin

    return run([find_uv_bin(), *arguments], cwd=cwd, environment=clean_environment(tmp, **more))

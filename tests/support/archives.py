"""Small wheels and sdists, made in memory, valid unless told otherwise."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import tarfile
import zipfile
from collections.abc import Mapping, Sequence


def make_wheel(
    name: str,
    version: str = "1.0",
    *,
    tag: str = "py3-none-any",
    build: str | None = None,
    requires: Sequence[str] = (),
    extras: Sequence[str] = (),
    requires_python: str | None = None,
    files: Mapping[str, bytes] | None = None,
    metadata: str | None = None,
) -> tuple[str, bytes]:
    """A wheel's file name and bytes. ``tag`` may be a compressed set ("cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64")."""
    escaped = name.replace("-", "_").replace(".", "_")
    stem = f"{escaped}-{version}"
    if metadata is None:
        lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
        lines += [f"Requires-Python: {requires_python}"] if requires_python else []
        lines += [f"Provides-Extra: {extra}" for extra in extras]
        lines += [f"Requires-Dist: {requirement}" for requirement in requires]
        metadata = "\n".join(lines) + "\n"
    pythons, abis, platforms = tag.split("-")
    wheel = ["Wheel-Version: 1.0", "Generator: hardtack-tests", f"Root-Is-Purelib: {'true' if platforms == 'any' else 'false'}"]
    wheel += [f"Build: {build}"] if build else []
    wheel += [f"Tag: {p}-{a}-{m}" for p in pythons.split(".") for a in abis.split(".") for m in platforms.split(".")]
    members: dict[str, bytes] = {f"{escaped}/__init__.py": f"version = {version!r}\n".encode(), **(files or {})}
    members[f"{stem}.dist-info/METADATA"] = metadata.encode()
    members[f"{stem}.dist-info/WHEEL"] = ("\n".join(wheel) + "\n").encode()
    record = [f"{path},sha256={_digest(data)},{len(data)}" for path, data in members.items()]
    record.append(f"{stem}.dist-info/RECORD,,")
    members[f"{stem}.dist-info/RECORD"] = ("\n".join(record) + "\n").encode()
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in members.items():
            info = zipfile.ZipInfo(path, (2020, 1, 1, 0, 0, 0))
            info.external_attr = 0o100644 << 16
            archive.writestr(info, data)
    middle = f"-{build}" if build else ""
    return f"{stem}{middle}-{tag}.whl", stream.getvalue()


def make_sdist(
    name: str,
    version: str = "1.0",
    *,
    pyproject: str | None = None,
    files: Mapping[str, bytes] | None = None,
    metadata: str | None = None,
) -> tuple[str, bytes]:
    """An sdist's file name and bytes. Without ``pyproject`` and ``files`` it has neither pyproject.toml nor setup.py."""
    stem = f"{name.replace('-', '_').replace('.', '_')}-{version}"
    members = dict(files or {})
    members["PKG-INFO"] = (metadata or f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n").encode()
    if pyproject is not None:
        members["pyproject.toml"] = pyproject.encode()
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path, data in sorted(members.items()):
            info = tarfile.TarInfo(f"{stem}/{path}")
            info.size, info.mode, info.mtime = len(data), 0o644, 1_577_836_800
            archive.addfile(info, io.BytesIO(data))
    return f"{stem}.tar.gz", gzip.compress(raw.getvalue(), mtime=0)


def sha256(data: bytes) -> str:
    """Hexadecimal, as indexes and locks write it."""
    return hashlib.sha256(data).hexdigest()


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()

"""A wheel under other tags: its name, its WHEEL and its RECORD rewritten, every other byte the same."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path

from packaging.tags import Tag, parse_tag


@dataclass(frozen=True, slots=True, kw_only=True)
class Tags:
    """The three parts of a wheel's compressed tags, as its file name has them."""

    pythons: str
    abis: str
    platforms: str

    def __str__(self) -> str:
        """As in the file name."""
        return f"{self.pythons}-{self.abis}-{self.platforms}"

    @property
    def all(self) -> frozenset[Tag]:
        """Each tag."""
        return parse_tag(str(self))


def tags_of(filename: str) -> Tags:
    """The tags that a wheel's file name states.

    >>> str(tags_of("a-1-cp311-cp311-linux_x86_64.whl"))
    'cp311-cp311-linux_x86_64'
    """
    *_, pythons, abis, platforms = filename.removesuffix(".whl").split("-")
    return Tags(pythons=pythons, abis=abis, platforms=platforms)


def retag(wheel: Path, tags: Tags, folder: Path) -> Path:
    """Write the wheel into ``folder`` under ``tags``; the same input gives the same bytes. The path of the new one."""
    stem = wheel.name.removesuffix(".whl").rsplit("-", 3)[0]
    made = folder / f"{stem}-{tags}.whl"
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(made, "w") as new:
        infos = old.infolist()
        record = next(info.filename for info in infos if info.filename.endswith(".dist-info/RECORD") and info.filename.count("/") == 1)
        about = record.removesuffix("RECORD") + "WHEEL"
        text = _wheel_file(old.read(about).decode("utf-8"), tags).encode()
        changed = {about: text, record: _record(old.read(record).decode("utf-8"), about, text).encode()}
        for info in infos:
            entry = zipfile.ZipInfo(info.filename, info.date_time)
            entry.external_attr, entry.create_system, entry.compress_type = info.external_attr, info.create_system, info.compress_type
            if info.filename in changed:
                new.writestr(entry, changed[info.filename])
            elif info.is_dir():
                new.writestr(entry, b"")
            else:
                entry.file_size = info.file_size  # so that it is known beforehand whether zip64 is needed
                with old.open(info) as source, new.open(entry, "w") as target:
                    shutil.copyfileobj(source, target, 1 << 20)
    return made


def _wheel_file(text: str, tags: Tags) -> str:
    lines = []
    for line in text.splitlines():
        key = line.partition(":")[0].strip().lower()
        if not line.strip() or key == "tag":
            continue
        if key == "root-is-purelib" and tags.platforms != "any":
            line = "Root-Is-Purelib: false"
        lines.append(line)
    lines += sorted(f"Tag: {tag}" for tag in tags.all)
    return "\n".join(lines) + "\n"


def _record(text: str, about: str, data: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    stream = io.StringIO()
    rows = csv.writer(stream, lineterminator="\n")
    for row in csv.reader(io.StringIO(text)):
        if row:
            rows.writerow([about, f"sha256={digest}", len(data)] if row[0] == about else row)
    return stream.getvalue()

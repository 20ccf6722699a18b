"""Miniature projects with a backend in their own tree, which needs nothing but the standard library; and how to build them."""

from __future__ import annotations

import hashlib
import io
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from hardtack.building.build import BuiltWheel
from hardtack.building.build import bench as open_bench
from hardtack.building.environment import Environments
from hardtack.building.interpreter import fitting
from hardtack.building.sandbox import Limits, Sandbox
from hardtack.building.workshop import Supply, Workshop
from hardtack.model.recipe import Recipe
from hardtack.model.wheel import SdistFacts
from hardtack.reporting import Reporter
from hardtack.system.cancellation import Cancellation
from hardtack.system.uv import Uv
from tests.support.archives import make_sdist, make_wheel
from tests.support.supplies import FolderSupply

# A backend as PEP 517 has it. The names below it may be redefined by what a test appends: hostile ones do.
HONEST = """
import base64, hashlib, os, sys, time, zipfile

NAME, VERSION, TAG = "mini", "1.0", "py3-none-any"
REQUIRES = ["click>=8", "rich; extra == 'nice'"]

def digest(data):
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()

def metadata():
    lines = ["Metadata-Version: 2.1", "Name: " + NAME, "Version: " + VERSION, "Requires-Python: >=3.8", "Provides-Extra: nice"]
    return "\\n".join(lines + ["Requires-Dist: " + text for text in REQUIRES]) + "\\n"

def write_wheel(path, name=None, version=None, tag=None):
    info = "%s-%s.dist-info" % (name or NAME, version or VERSION)
    members = {
        (name or NAME) + ".py": b"value = 1\\n",
        info + "/METADATA": metadata().encode(),
        info + "/WHEEL": ("Wheel-Version: 1.0\\nGenerator: mini\\nRoot-Is-Purelib: true\\nTag: %s\\n" % (tag or TAG)).encode(),
    }
    record = ["%s,sha256=%s,%d" % (n, digest(d), len(d)) for n, d in members.items()] + [info + "/RECORD,,"]
    members[info + "/RECORD"] = ("\\n".join(record) + "\\n").encode()
    date = time.gmtime(int(os.environ["SOURCE_DATE_EPOCH"]))[:6]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for n, d in members.items():
            archive.writestr(zipfile.ZipInfo(n, date), d)

def wheel_name(name=None, version=None, tag=None):
    return "%s-%s-%s.whl" % (name or NAME, version or VERSION, tag or TAG)

def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    write_wheel(os.path.join(wheel_directory, wheel_name()))
    return wheel_name()
"""

PYPROJECT = '[build-system]\nrequires = {requires}\nbuild-backend = "backend"\nbackend-path = ["."]\n'


@dataclass(frozen=True)
class Source:
    """An sdist on disk with its facts, made by hand from what it was made of, never by the code that is tested."""

    path: Path
    facts: SdistFacts


def source(
    folder: Path,
    more: str = "",
    *,
    name: str = "mini",
    requires: Sequence[str] = (),
    requires_python: str | None = None,
    static: Sequence[str] | None = None,
) -> Source:
    """An sdist with the honest in-tree backend and ``more`` Python after it."""
    pyproject = PYPROJECT.format(requires=list(requires))
    filename, data = make_sdist(name, pyproject=pyproject, files={"backend.py": (HONEST + more).encode()})
    path = folder / filename
    path.write_bytes(data)
    facts = SdistFacts(
        filename=filename,
        sha256=hashlib.sha256(data).hexdigest(),
        size=len(data),
        name=name,
        version=Version("1.0"),
        top=f"{name}-1.0",
        requires=tuple(Requirement(text) for text in static) if static is not None else None,
        requires_python=SpecifierSet(requires_python) if requires_python else None,
        build_requires=tuple(Requirement(text) for text in requires),
        backend="backend",
        backend_path=(".",),
    )
    return Source(path=path, facts=facts)


def archive_of(folder: Path, name: str, files: Mapping[str, str], *, backend: str, requires: Sequence[str]) -> Source:
    """An sdist of a real project that has no PKG-INFO secrets: only ``files``, and its facts stated."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz") as archive:
        for member, text in {**files, "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"}.items():
            info = tarfile.TarInfo(f"{name}-1.0/{member}")
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))
    path = folder / f"{name}-1.0.tar.gz"
    path.write_bytes(raw.getvalue())
    facts = SdistFacts(
        filename=path.name,
        sha256=hashlib.sha256(raw.getvalue()).hexdigest(),
        size=len(raw.getvalue()),
        name=name,
        version=Version("1.0"),
        top=f"{name}-1.0",
        requires=None,
        requires_python=None,
        build_requires=tuple(Requirement(text) for text in requires),
        backend=backend,
    )
    return Source(path=path, facts=facts)


def wheel_folder(folder: Path, *wheels: tuple[str, str, Mapping[str, bytes]]) -> Path:
    """A new folder with these wheels: (name, version, files)."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, version, files in wheels:
        filename, data = make_wheel(name, version, files=files)
        (folder / filename).write_bytes(data)
    return folder


@dataclass
class Listener(Reporter):
    """Remembers what it was told."""

    warnings: list[str] = field(default_factory=list)
    finished: list[str | None] = field(default_factory=list)

    def warning(self, message: str, *, hint: str | None = None) -> None:
        self.warnings.append(message)

    def build_finished(self, name: str, *, wheel: str | None, seconds: float) -> None:
        self.finished.append(wheel)


@dataclass
class Bench:
    """All that a build needs but the source. Build requirements come from the wheels in ``links``."""

    uv: Uv
    sandbox: Sandbox
    work: Path
    python: Path
    links: Path
    cache: Path
    reporter: Listener = field(default_factory=Listener)
    stop: Cancellation = field(default_factory=Cancellation)
    supply: Supply | None = None

    def shop(self, *, timeout: float = 30, **more: Any) -> Workshop:
        """The workshop; ``timeout`` in seconds for each hook."""
        shop = Workshop(
            python=self.python,
            uv=self.uv,
            sandbox=self.sandbox,
            work=self.work,
            cache_dir=self.cache,
            supply=self.supply or FolderSupply(self.links),
            reporter=self.reporter,
            stop=self.stop,
            source_date_epoch=1_577_836_800,
            limits=Limits(seconds=timeout),
        )
        return replace(shop, **more)


def build(
    bench: Bench,
    source: Source,
    *,
    recipe: Recipe = Recipe(),  # noqa: B008 (frozen)
    environments: Environments | None = None,
    **more: Any,
) -> BuiltWheel:
    """The source's wheel, built by the bench's Python or another that fits; ``more`` changes the workshop."""
    shop = bench.shop(**more)
    facts = source.facts
    interpreter = fitting(facts.requires_python, preferred=shop.python, uv=shop.uv, stop=shop.stop, wanted_by=facts.filename)
    with open_bench(facts, source.path, shop=shop, interpreter=interpreter, recipe=recipe, environments=environments) as made:
        return made.wheel()


def names(wheel: Path) -> list[str]:
    """The members of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return sorted(archive.namelist())

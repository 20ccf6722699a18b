"""Small projects of the usual backends, built for real, with their backends from the public index; and real archives, twice."""

from __future__ import annotations

import hashlib
import json
import platform
import re
import sys
import urllib.request
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from hardtack.building.build import prepare_metadata
from hardtack.building.interpreter import installed
from hardtack.building.repair import find_repairer
from hardtack.model.wheel import SdistFacts
from hardtack.system import environ
from hardtack.system.process import run
from hardtack.system.uv import find_uv
from hardtack.wheelhouse.sdist import inspect_sdist
from tests.building.compiled import needs_compiler
from tests.building.projects import Bench, Source, archive_of, build, names
from tests.support.supplies import PublicSupply

pytestmark = pytest.mark.live

# How this machine reaches the public index; everything else of its environment stays out.
WAY = ("SSL_CERT_FILE", "SSL_CERT_DIR", "HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy", "NO_PROXY", "no_proxy")


@pytest.fixture
def bench(bench: Bench) -> Bench:
    """The bench with what the public index has."""
    environment = environ.variables()
    network = {name: environment[name] for name in WAY if name in environment}
    bench.uv = find_uv(bench.uv.cache_dir, environment, network=network)
    bench.supply = PublicSupply(bench.links)
    return bench


CODE = {"mini/__init__.py": '"""A mini project."""\n\n__version__ = "1.0"\n'}
NEEDS = "click>=8"


def project(backend: str, requires: list[str], text: str) -> tuple[Mapping[str, str], str, list[str]]:
    return {**CODE, "pyproject.toml": f'[build-system]\nrequires = {requires}\nbuild-backend = "{backend}"\n{text}'}, backend, requires


STANDARD = f'[project]\nname = "mini"\nversion = "1.0"\ndescription = "x"\ndependencies = ["{NEEDS}"]\n'
SETUP = f'from setuptools import setup\nsetup(name="mini", version="1.0", packages=["mini"], install_requires=["{NEEDS}"])\n'

PROJECTS = {
    "setuptools": project("setuptools.build_meta", ["setuptools>=77"], STANDARD),
    "setuptools-without-pyproject": ({**CODE, "setup.py": SETUP}, "setuptools.build_meta:__legacy__", ["setuptools>=40.8.0"]),
    "setup-requires": (
        {**CODE, "setup.py": SETUP.replace("packages=", 'setup_requires=["toml"], packages=')},
        "setuptools.build_meta:__legacy__",
        ["setuptools"],
    ),
    "flit": project("flit_core.buildapi", ["flit_core>=3.9"], STANDARD),
    "hatchling": project("hatchling.build", ["hatchling"], STANDARD),
    "poetry": project(
        "poetry.core.masonry.api",
        ["poetry-core>=1.9"],
        '[tool.poetry]\nname = "mini"\nversion = "1.0"\ndescription = "x"\nauthors = []\n[tool.poetry.dependencies]\nclick = ">=8"\n',
    ),
    "pdm": project("pdm.backend", ["pdm-backend"], STANDARD),
}


@pytest.mark.parametrize("name", PROJECTS)
def test_the_usual_backends_build_twice_the_same(bench: Bench, tmp_path: Path, name: str) -> None:
    files, backend, requires = PROJECTS[name]
    source = archive_of(tmp_path, "mini", files, backend=backend, requires=requires)
    first, second = build(bench, source, timeout=120), build(bench, source, timeout=120)
    assert first.sha256 == second.sha256
    assert "mini/__init__.py" in names(first.path)
    assert all(digest for digest in first.record.requires.values()), "a build requirement without its digest"
    answer = prepare_metadata(source.facts, source.path, shop=bench.shop(timeout=120))
    assert answer.requires == (NEEDS,)


DOCOPT = "https://files.pythonhosted.org/packages/a2/55/8f8cab2afd404cf578136ef2cc5dfb50baa1761b68c9da1fb1e4eed343c9/docopt-0.6.2.tar.gz"


def test_the_same_wheel_as_uv_builds(bench: Bench, tmp_path: Path) -> None:
    """docopt has a setup.py alone, and its wheel's bytes depend on the date (PEERS: E8)."""
    archive = tmp_path / "docopt-0.6.2.tar.gz"
    with urllib.request.urlopen(DOCOPT, timeout=60) as answer:
        archive.write_bytes(answer.read())
    facts = inspect_sdist(archive, filename=archive.name, sha256=hashlib.sha256(archive.read_bytes()).hexdigest())
    assert isinstance(facts, SdistFacts)
    ours = build(bench, Source(path=archive, facts=facts), timeout=120)
    environment = {**bench.uv.environment, **bench.uv.network, "SOURCE_DATE_EPOCH": "1577836800", "UV_CACHE_DIR": str(tmp_path / "cache")}
    command = [str(bench.uv.path), "build", "--wheel", "--no-config", "--out-dir", str(tmp_path / "theirs"), str(archive)]
    done = run(command, environment=environment, cwd=tmp_path, timeout=120)
    assert done.code == 0, done.stderr
    [theirs] = (tmp_path / "theirs").glob("*.whl")
    assert theirs.name == ours.filename
    with zipfile.ZipFile(theirs) as left, zipfile.ZipFile(ours.path) as right:
        assert {name: left.read(name) for name in left.namelist()} == {name: right.read(name) for name in right.namelist()}


def sdist_of(folder: Path, project: str, version: str) -> Source:
    """A real source archive of the public index."""
    with urllib.request.urlopen(f"https://pypi.org/simple/{project}/", timeout=60) as answer:
        page = answer.read().decode()
    address = re.search(rf'href="([^"#]*/{project}-{re.escape(version)}\.tar\.gz)', page)
    assert address is not None
    archive = folder / f"{project}-{version}.tar.gz"
    with urllib.request.urlopen(address[1], timeout=60) as answer:
        archive.write_bytes(answer.read())
    facts = inspect_sdist(archive, filename=archive.name, sha256=hashlib.sha256(archive.read_bytes()).hexdigest())
    assert isinstance(facts, SdistFacts)
    return Source(path=archive, facts=facts)


def others(bench: Bench) -> list[Path]:
    """Another CPython of this machine that is new enough for today's build backends."""
    found = installed(bench.uv, bench.python, bench.stop)
    ours = sys.version_info[:2]
    return [one.executable for one in found if one.implementation == "cpython" and (3, 10) <= one.version.release[:2] != ours]


# Real extension modules, what imports them, and whether they are linked to a library that not every system has.
COMPILED = {
    "markupsafe": ("markupsafe", "3.0.2", "import markupsafe._speedups as s; print(s._escape_inner('<'))", "&lt;"),
    "pyyaml": ("pyyaml", "6.0.2", "import yaml; print(yaml.safe_load('[1, 2]'))", "[1, 2]"),
    "cffi": ("cffi", "1.17.1", "import cffi; f = cffi.FFI(); f.cdef('int abs(int);'); print(f.dlopen(None).abs(-3))", "3"),
}


@needs_compiler
@pytest.mark.skipif(not sys.platform.startswith("linux") or platform.libc_ver()[0] != "glibc", reason="the floors are glibc's")
@pytest.mark.parametrize("name", COMPILED)
def test_real_extensions_are_built_by_each_interpreter_and_run_under_tags_that_auditwheel_agrees_with(
    bench: Bench, tmp_path: Path, name: str
) -> None:
    project, version, code, answer = COMPILED[name]
    sdist = sdist_of(tmp_path, project, version)
    repairer = find_repairer()
    pytest.importorskip("auditwheel")
    for python in (bench.python, *others(bench)[:1]):
        built = build(replace(bench, python=python), sdist, repairer=repairer, timeout=300)
        assert not built.pure or name == "pyyaml"
        shown = run([sys.executable, "-m", "auditwheel", "show", "--json", str(built.path)], environment=environ.variables(), timeout=60)
        platforms = {tag.platform for tag in built.tags}
        if built.pure:
            assert "pure Python" in shown.stdout + shown.stderr
        elif built.outside:
            assert all(platform.startswith("linux_") for platform in platforms)
        else:
            assert json.loads(shown.stdout)["overall_tag"] in platforms
        where = tmp_path / f"installed-{python.name}"
        put = bench.uv.run(
            ["pip", "install", "--python", str(python), "--target", str(where), str(built.path)], cwd=tmp_path, stop=bench.stop
        )
        assert put.code == 0, put.stderr
        ran = run([str(python), "-c", code], environment={"PYTHONPATH": str(where)}, cwd=tmp_path, timeout=30)
        assert ran.stdout.strip() == answer, ran.stderr

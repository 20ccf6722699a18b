"""Small projects of the usual backends, built for real, with their backends from the public index; and real archives, twice."""

from __future__ import annotations

import hashlib
import urllib.request
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from hardtack.building.build import BuiltWheel, build_wheel, prepare_metadata
from hardtack.building.environment import BuildEnvironment, build_environment
from hardtack.model.wheel import SdistFacts
from hardtack.system import environ
from hardtack.system.process import run
from hardtack.system.uv import find_uv
from hardtack.wheelhouse.sdist import inspect_sdist
from tests.building.projects import Bench, Source, archive_of, names

pytestmark = pytest.mark.live

# How this machine reaches the public index; everything else of its environment stays out.
WAY = ("SSL_CERT_FILE", "SSL_CERT_DIR", "HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy", "NO_PROXY", "no_proxy")


@pytest.fixture
def bench(bench: Bench) -> Bench:
    """The bench with a uv that reaches the public index."""
    environment = environ.variables()
    network = {name: environment[name] for name in WAY if name in environment}
    bench.uv = find_uv(bench.uv.cache_dir, environment, network=network)
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


def build(bench: Bench, source: Source) -> BuiltWheel:
    return build_wheel(
        source.facts,
        source.path,
        python=bench.python,
        uv=bench.uv,
        uv_config=None,
        sandbox=bench.sandbox,
        work=bench.work,
        source_date_epoch=1_577_836_800,
        reporter=bench.reporter,
        stop=bench.stop,
        timeout=120,
    )


@pytest.mark.parametrize("name", PROJECTS)
def test_the_usual_backends_build_twice_the_same(bench: Bench, tmp_path: Path, name: str) -> None:
    files, backend, requires = PROJECTS[name]
    source = archive_of(tmp_path, "mini", files, backend=backend, requires=requires)
    first, second = build(bench, source), build(bench, source)
    assert first.sha256 == second.sha256
    assert "mini/__init__.py" in names(first.path)
    assert all(digest for digest in first.record.requires.values()), "a build requirement without its digest"
    answer = prepare_metadata(
        source.facts,
        source.path,
        python=bench.python,
        uv=bench.uv,
        uv_config=None,
        sandbox=bench.sandbox,
        work=bench.work,
        reporter=bench.reporter,
        stop=bench.stop,
        timeout=120,
    )
    assert answer.requires == (NEEDS,)


def test_several_wheels_of_a_version_have_the_digest_of_the_one_taken(bench: Bench, tmp_path: Path) -> None:
    from packaging.requirements import Requirement

    made: BuildEnvironment = build_environment(
        [Requirement("cython==3.0.12")],
        python=bench.python,
        uv=bench.uv,
        uv_config=None,
        folder=tmp_path / "work" / "env",
        stop=bench.stop,
    )
    [digest] = made.installed.values()
    assert len(digest) == 64


DOCOPT = "https://files.pythonhosted.org/packages/a2/55/8f8cab2afd404cf578136ef2cc5dfb50baa1761b68c9da1fb1e4eed343c9/docopt-0.6.2.tar.gz"


def test_the_same_wheel_as_uv_builds(bench: Bench, tmp_path: Path) -> None:
    """docopt has a setup.py alone, and its wheel's bytes depend on the date (PEERS: E8)."""
    archive = tmp_path / "docopt-0.6.2.tar.gz"
    with urllib.request.urlopen(DOCOPT, timeout=60) as answer:
        archive.write_bytes(answer.read())
    facts = inspect_sdist(archive, filename=archive.name, sha256=hashlib.sha256(archive.read_bytes()).hexdigest())
    assert isinstance(facts, SdistFacts)
    ours = build(bench, Source(path=archive, facts=facts))
    environment = {**bench.uv.environment, **bench.uv.network, "SOURCE_DATE_EPOCH": "1577836800", "UV_CACHE_DIR": str(tmp_path / "cache")}
    command = [str(bench.uv.path), "build", "--wheel", "--no-config", "--out-dir", str(tmp_path / "theirs"), str(archive)]
    done = run(command, environment=environment, cwd=tmp_path, timeout=120)
    assert done.code == 0, done.stderr
    [theirs] = (tmp_path / "theirs").glob("*.whl")
    assert theirs.name == ours.filename
    with zipfile.ZipFile(theirs) as left, zipfile.ZipFile(ours.path) as right:
        assert {name: left.read(name) for name in left.namelist()} == {name: right.read(name) for name in right.namelist()}

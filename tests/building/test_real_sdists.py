"""Real source archives of every usual backend, of the public index, built with the network shut; what cannot be built fails kindly."""

from __future__ import annotations

import hashlib
import re
import shutil
import sys
import urllib.request
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from hardtack.building.again import repeated
from hardtack.building.build import bench as open_bench
from hardtack.building.interpreter import ask
from hardtack.building.repair import find_repairer
from hardtack.building.sandbox import Sandbox
from hardtack.errors import BuildFault
from hardtack.model.recipe import Recipe
from hardtack.model.wheel import SdistFacts
from hardtack.system import environ
from hardtack.system.process import run
from hardtack.system.uv import find_uv
from hardtack.wheelhouse.sdist import inspect_sdist
from tests.building.compiled import needs_compiler
from tests.building.projects import Bench, Source, build
from tests.support.supplies import PublicSupply

pytestmark = pytest.mark.live

SIMPLE = "https://pypi.org/simple"


@dataclass(frozen=True, kw_only=True)
class Real:
    """A real archive. ``backend`` as its pyproject.toml names it; ``brings`` must be among its tools; ``code`` prints ``says``.

    ``published``: whether its makers published a pure wheel of the same version, whose modules ours must have.
    """

    project: str
    version: str
    backend: str
    brings: tuple[str, ...]
    code: str
    says: str
    compiled: bool = False
    published: bool = True


SDISTS = {
    "setuptools": Real(
        project="cachetools",
        version="5.5.0",
        backend="setuptools.build_meta",
        brings=("setuptools", "wheel"),
        code="import cachetools; c = cachetools.LRUCache(1); c[1] = 2; c[2] = 3; print(dict(c))",
        says="{2: 3}",
    ),
    "setuptools, a setup.py alone": Real(
        project="docopt",
        version="0.6.2",
        backend="setuptools.build_meta:__legacy__",
        brings=("setuptools",),
        code="import docopt; print(docopt.docopt('Usage: x NAME', ['y']))",
        says="{'NAME': 'y'}",
        published=False,
    ),
    "setup_requires": Real(
        project="requests-mock",
        version="1.11.0",
        backend="setuptools.build_meta:__legacy__",
        brings=("setuptools", "pbr"),
        code="import importlib.metadata as m; print(m.version('requests-mock'))",
        says="1.11.0",
    ),
    "setuptools-scm": Real(
        project="tabulate",
        version="0.9.0",
        backend="setuptools.build_meta",
        brings=("setuptools", "setuptools-scm"),
        code="import tabulate; print(tabulate.__version__)",
        says="0.9.0",
    ),
    "flit": Real(
        project="idna",
        version="3.10",
        backend="flit_core.buildapi",
        brings=("flit-core",),
        code="import idna; print(idna.encode('ä').decode())",
        says="xn--4ca",
    ),
    "hatchling, a hook in its tree": Real(
        project="soupsieve",
        version="2.6",
        backend="hatchling.build",
        brings=("hatchling",),
        code="import importlib.metadata as m; print(m.version('soupsieve'))",
        says="2.6",
    ),
    "hatch-vcs": Real(
        project="platformdirs",
        version="4.3.6",
        backend="hatchling.build",
        brings=("hatchling", "hatch-vcs"),
        code="import platformdirs; print(platformdirs.__version__)",
        says="4.3.6",
    ),
    "poetry-core": Real(
        project="tomlkit",
        version="0.13.2",
        backend="poetry.core.masonry.api",
        brings=("poetry-core",),
        code="import tomlkit; print(tomlkit.parse('a = 1')['a'])",
        says="1",
    ),
    "pdm-backend": Real(
        project="dep-logic",
        version="0.4.10",
        backend="pdm.backend",
        brings=("pdm-backend",),
        code="import importlib.metadata as m; print(m.version('dep-logic'))",
        says="0.4.10",
    ),
    "uv_build": Real(
        project="ag-ui-protocol",
        version="1.0.0",
        backend="uv_build",
        brings=("uv-build",),
        code="import importlib.metadata as m; print(m.version('ag-ui-protocol'))",
        says="1.0.0",
    ),
    "scikit-build-core": Real(
        project="pybind11",
        version="3.0.1",
        backend="scikit_build_core.build",
        brings=("scikit-build-core", "cmake", "ninja"),
        code="import pybind11; print(pybind11.__version__)",
        says="3.0.1",
    ),
    "C": Real(
        project="simplejson",
        version="3.19.3",
        backend="setuptools.build_meta:__legacy__",
        brings=("setuptools",),
        code="import simplejson._speedups as s; print(s.encode_basestring_ascii('ä'))",
        says='"\\u00e4"',
        compiled=True,
    ),
    "cffi": Real(
        project="argon2-cffi-bindings",
        version="21.2.0",
        backend="setuptools.build_meta",
        brings=("cffi", "setuptools-scm"),
        code="import importlib.metadata as m; print(m.version('argon2-cffi-bindings'))",
        says="21.2.0",
        compiled=True,
    ),
    "Cython, a backend in its tree": Real(
        project="frozenlist",
        version="1.5.0",
        backend="pep517_backend.hooks",
        brings=("cython", "expandvars"),
        code="from frozenlist._frozenlist import FrozenList; print(list(FrozenList([1, 2])))",
        says="[1, 2]",
        compiled=True,
    ),
    "scikit-build-core, C++": Real(
        project="levenshtein",
        version="0.27.3",
        backend="scikit_build_core.build",
        brings=("scikit-build-core", "cmake", "ninja"),
        code="import importlib.metadata as m; print(m.version('levenshtein'))",
        says="0.27.3",
        compiled=True,
    ),
    "meson-python, C++": Real(
        project="contourpy",
        version="1.3.1",
        backend="mesonpy",
        brings=("meson-python", "meson", "ninja", "pybind11"),
        code="import importlib.metadata as m; print(m.version('contourpy'))",
        says="1.3.1",
        compiled=True,
    ),
}


def fetched(folder: Path, project: str, ending: str) -> Path | None:
    """The file of the public index whose name ends so."""
    with urllib.request.urlopen(f"{SIMPLE}/{project}/", timeout=60) as answer:
        page = answer.read().decode()
    address = re.search(rf'href="([^"#]*/({project.replace("-", "[-_.]")}{ending}))(?:#[^"]*)?"', page, re.IGNORECASE)
    if address is None:
        return None
    path = folder / address[2]
    with urllib.request.urlopen(urllib.request.Request(address[1]), timeout=120) as answer:
        path.write_bytes(answer.read())
    return path


def sdist(folder: Path, project: str, version: str) -> Source:
    path = fetched(folder, project, rf"-{re.escape(version)}\.tar\.gz")
    assert path is not None
    facts = inspect_sdist(path, filename=path.name, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    assert isinstance(facts, SdistFacts)
    return Source(path=path, facts=facts)


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build requirements, fetched once."""
    return tmp_path_factory.mktemp("wheels")


@pytest.fixture
def bench(tmp_path: Path, confined: Sandbox, wheels: Path) -> Bench:
    """The strongest sandbox of this machine, in which no host can be reached."""
    cache = tmp_path / "cache"
    return Bench(
        uv=find_uv(cache, environ.variables()),
        sandbox=confined,
        work=tmp_path / "work",
        python=Path(sys.executable),
        links=wheels,
        cache=cache,
        supply=PublicSupply(wheels),
    )


# A compiler is at work for a minute, twice.
LONG = ("Cython, a backend in its tree", "scikit-build-core, C++", "meson-python, C++")


@needs_compiler
@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow) if name in LONG else name for name in SDISTS])
def test_a_real_sdist_becomes_its_wheel_twice_the_same(bench: Bench, tmp_path: Path, name: str) -> None:
    real = SDISTS[name]
    source = sdist(tmp_path, real.project, real.version)
    assert source.facts.backend == real.backend
    shop = bench.shop(repairer=find_repairer(), timeout=600)
    with open_bench(source.facts, source.path, shop=shop, interpreter=ask(bench.python)) as place:
        built = place.wheel()
        again = repeated(place, built.path, built.filename, built.sha256, cache_dir=bench.cache, apart=0)
    assert built.pure is not real.compiled
    assert set(real.brings) <= {requirement.partition("==")[0] for requirement in built.record.requires}
    assert [str(difference) for difference in again.differences] == []
    where = tmp_path / "installed"
    put = bench.uv.run(
        ["pip", "install", "--offline", "--no-deps", "--python", sys.executable, "--target", str(where), str(built.path)],
        cwd=tmp_path,
        stop=bench.stop,
    )
    assert put.code == 0, put.stderr
    ran = run([sys.executable, "-c", real.code], environment={"PYTHONPATH": str(where)}, cwd=tmp_path, timeout=30)
    assert ran.stdout.strip() == real.says, ran.stderr
    if real.published and not real.compiled:
        theirs = fetched(tmp_path, real.project, rf"-{re.escape(real.version)}-py[0-9.py]*-none-any\.whl")
        assert theirs is not None
        assert modules(built.path) == modules(theirs)


def modules(wheel: Path) -> set[str]:
    """What it installs beside its metadata."""
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


# What it needs is not there, whatever this machine has: its hint must say what.
LACKING = {
    "maturin": ("rpds-py", "0.22.3", "Rust"),
    "setuptools-rust": ("bcrypt", "4.2.1", "Rust"),
    "meson and git": ("siphash24", "1.7", "libcsiphash"),
    "a program that is not declared": ("psycopg2", "2.9.10", 'tools = ["pg_config"] under [tool.hardtack.build.packages.psycopg2]'),
    "a backend that became stricter": ("levenshtein", "0.26.1", "requires = [...] under [tool.hardtack.build.packages.levenshtein]"),
}


@needs_compiler
@pytest.mark.parametrize("name", LACKING)
def test_what_cannot_be_built_says_what_would_help(bench: Bench, tmp_path: Path, name: str) -> None:
    project, version, words = LACKING[name]
    if (
        name == "meson and git"
        and shutil.which("pkg-config")
        and run(["pkg-config", "libcsiphash-1"], environment=environ.variables()).code == 0
    ):
        pytest.skip("this machine has the library")
    source = sdist(tmp_path, project, version)
    with pytest.raises(BuildFault) as caught:
        build(bench, source, timeout=300)
    assert words in str(caught.value.hint)
    assert "the last lines of its log" in str(caught.value)


@needs_compiler
@pytest.mark.skipif(not Path("/usr/bin/pg_config").exists(), reason="the program that is declared is not here")
def test_what_would_help_helps(bench: Bench, tmp_path: Path) -> None:
    """A declared program; psycopg2 finds PostgreSQL's library by it."""
    source = sdist(tmp_path, "psycopg2", "2.9.10")
    built = build(bench, source, recipe=Recipe(tools=("pg_config",)), repairer=find_repairer(), timeout=300)
    assert not built.pure
    assert built.record.programs is not None
    assert list(built.record.programs) == ["pg_config"]

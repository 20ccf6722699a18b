"""The workshop's manual: ``nox -l`` lists what can be done here, ``nox -s NAME -- MORE`` does one of it.

Each session gets what it needs from pyproject's dependency groups, through uv where it is installed.
"""

from __future__ import annotations

import nox

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.sessions = ["lint", "types", "tests"]

PROJECT = nox.project.load_toml("pyproject.toml")


def groups(session: nox.Session, *names: str, package: bool = True) -> None:
    """Install dependency groups, and hardtack itself as it is here."""
    wanted = nox.project.dependency_groups(PROJECT, *names)
    session.install(*wanted, *(("-e", ".") if package else ()))


@nox.session
def lint(session: nox.Session) -> None:
    """Style, formatting, and the floors of the house."""
    groups(session, "lint")
    session.run("ruff", "check", *session.posargs)
    session.run("ruff", "format", "--check")
    session.run("lint-imports")


@nox.session
def types(session: nox.Session) -> None:
    """mypy, strict, over the package and its tests."""
    groups(session, "types")
    session.run("mypy", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Everything that needs no internet, on all cores, with branch coverage."""
    groups(session, "test")
    session.run("pytest", "-n", "auto", "--cov", "--cov-report", "term-missing:skip-covered", *session.posargs)


@nox.session
def property(session: nox.Session) -> None:  # noqa: A001 (the name on the command line)
    """The tests whose inputs Hypothesis makes up, with other inputs each time."""
    groups(session, "test")
    session.run("pytest", "-m", "hypothesis and not live", "--hypothesis-show-statistics", *session.posargs)


@nox.session
def fuzz(session: nox.Session) -> None:
    """Mutants of the corpus for a minute, then atheris where it can be had: ``nox -s fuzz -- --seconds 600``."""
    groups(session, "test")
    session.run("python", "-m", "tests.fuzz", *session.posargs)
    try:
        session.install("atheris")
    except nox.command.CommandFailed:
        session.skip("atheris has no wheel for this Python and system")
    for kind in ("wheel", "sdist", "page", "manifest"):
        session.run("python", "-m", "tests.fuzz.with_atheris", kind, "-max_total_time=60")


@nox.session
def scenarios(session: nox.Session) -> None:
    """Whole runs of the command line against an index on loopback."""
    groups(session, "test")
    session.run("pytest", "-n", "auto", "tests/scenarios", *session.posargs)


@nox.session
def live(session: nox.Session) -> None:
    """The tests that use the public index."""
    groups(session, "test")
    session.run("pytest", "-n", "2", "-m", "live", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """How fast: ``python -m bench`` and what it is told."""
    groups(session, "test")
    session.run("python", "-m", "bench", *session.posargs)


@nox.session
def promises(session: nox.Session) -> None:
    """Each promise's figure beside the one to reach: ``python -m bench.promises`` and what it is told. Minutes, up to an hour."""
    groups(session, "test")
    session.run("python", "-m", "bench.promises", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """The examples in docstrings, the links between documents, and that the README's commands are those that CI runs."""
    groups(session, "test")
    session.run("pytest", "--doctest-modules", "src/hardtack", "--ignore", "src/hardtack/__main__.py", *session.posargs)
    session.run("pytest", "tests/workshop")

"""pip is the oracle: its own parser and ours read the same files, and must agree."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urldefrag

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from packaging.utils import canonicalize_name
from pip._internal.exceptions import PipError
from pip._internal.index.collector import LinkCollector
from pip._internal.index.package_finder import PackageFinder
from pip._internal.models.search_scope import SearchScope
from pip._internal.models.selection_prefs import SelectionPreferences
from pip._internal.network.session import PipSession
from pip._internal.req.constructors import install_req_from_parsed_requirement
from pip._internal.req.req_file import parse_requirements

from hardtack.errors import InputError
from hardtack.inputs.requirements_file import RequirementsFiles, read_requirements_files
from tests.support.archives import make_sdist, make_wheel, sha256

DIGEST = sha256(b"x")
ENVIRONMENT = {"NAME": "flask", "TOKEN": "secret", "EMPTY": "", "lower": "no"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with things to point at. pip reads paths relative to the working folder and variables from the process."""
    monkeypatch.chdir(tmp_path)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("UNSET", raising=False)
    for make in (make_wheel("thing", "2.0"), make_sdist("other-thing", "1.5")):
        (tmp_path / make[0]).write_bytes(make[1])
    project = tmp_path / "local project"
    project.mkdir()
    (project / "pyproject.toml").write_text('[project]\nname = "local-project"\nversion = "1"\n')
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "setup.py").write_text('from setuptools import setup\nsetup(name="plain", version="1")\n')
    nested = tmp_path / "nested"
    nested.mkdir()
    (nested / "more.txt").write_text("-r deeper.txt\nnested-one==1\n")
    (nested / "deeper.txt").write_text("-c ../limits.txt\nnested-two\n")
    (tmp_path / "limits.txt").write_text("six<2\nnested-two==3 # why\n")
    (tmp_path / "links").mkdir()
    return tmp_path


LINES = [
    "flask",
    "flask;",
    "--no-binary -r",
    "Flask",
    "flask == 3.0 ",
    "flask==3.0 # a comment",
    "flask==3.0# no comment, for no space stands before it",
    "# only a comment",
    "   # indented comment",
    "",
    "flask>=2,<4,!=3.1",
    "flask[async,dotenv]>=2",
    "flask [async] >= 2",
    "flask;python_version<'3.9'",
    'flask ; python_version < "3.9" and (sys_platform == "win32" or extra == "x")',
    "flask>=2; sys_platform == 'linux' # comment",
    "flask===3.0+local",
    "flask~=3.0",
    "flask==1!3.0.*",
    "flask(>=1,<2)",
    f"flask==3.0 --hash=sha256:{DIGEST}",
    f"flask==3.0 --hash sha256:{DIGEST}",
    f"flask==3.0 \\\n    --hash=sha256:{DIGEST} \\\n    --hash=sha512:{DIGEST * 2}",
    f"flask==3.0 ; python_version >= '3' --hash=sha256:{DIGEST}",
    f"flask==3.0 --hash 'sha256:{DIGEST}'",
    f"flask==3.0 --has sha256:{DIGEST}",
    "flask==3.0 --hash=md5:abc",
    "flask==3.0 --hash=sha256",
    "flask \\\n==3.0",
    "flask\\\n==3.0",
    "flask==3.0 \\\n# a comment ends it\nsix",
    "flask==3.0 \\",
    "flask==3.0 \\\n\nsix",
    "flask\\\\\n==3.0",
    "${NAME}==1",
    "flask @ https://user:${TOKEN}@example.org/flask-3.0-py3-none-any.whl",
    "${UNSET}flask",
    "flask==${lower}",
    "$NAME",
    "flask==3.0 --config-settings=a=b --config-settings c=d",
    'flask -C "--build-option=--x y"',
    "https://example.org/flask-3.0-py3-none-any.whl",
    "https://example.org/flask-3.0-py3-none-any.whl ; python_version < '4'",
    "https://example.org/flask-3.0-py3-none-any.whl;python_version<'4'",
    f"https://example.org/flask-3.0-py3-none-any.whl#sha256={DIGEST}",
    "https://example.org/archive/main.zip#egg=flask",
    "flask @ https://example.org/archive/main.zip",
    "flask@https://example.org/archive/main.zip",
    "flask[async] @ https://example.org/archive/main.zip ; python_version < '4'",
    f"flask @ https://example.org/a.zip#sha256={DIGEST}",
    "git+https://example.org/flask.git@main#egg=flask",
    "git+https://example.org/flask.git#subdirectory=a&egg=flask",
    "git+ssh://git@example.org/flask.git@v1.0#egg=flask",
    "flask @ git+https://example.org/flask.git@0123456789012345678901234567890123456789",
    "hg+https://example.org/flask#egg=flask",
    "-e git+https://example.org/flask.git@main#egg=flask",
    "-e flask @ git+https://example.org/flask.git@main",
    '-e "flask[async] @ git+https://example.org/flask.git@main"',
    "--editable=git+https://example.org/flask.git#egg=flask",
    "-e plain",
    "-e ./plain",
    "-e plain[extra,more]",
    "-e 'local project'",
    "-e plain --config-settings=a=b",
    "--editable plain",
    "-eplain",
    "./plain",
    "./plain[extra]",
    "./plain[extra] ; python_version < '4'",
    "./local project",
    "./thing-2.0-py3-none-any.whl",
    "thing-2.0-py3-none-any.whl",
    "thing-2.0-py3-none-any.whl[extra] ; python_version < '4'",
    "./other_thing-1.5.tar.gz",
    "-r nested/more.txt",
    "-rnested/more.txt",
    "--requirement=nested/more.txt",
    "--requirement nested/more.txt\nflask",
    "-c limits.txt",
    "--constraint limits.txt\nflask",
    "-i https://one.example/simple",
    "--index-url=https://one.example/simple --extra-index-url https://two.example/simple",
    "--extra-index-url https://two.example/simple\n-i https://one.example/simple",
    "--extra-index-url https://two.example/simple\n--extra-index-url https://three.example/simple",
    "--pypi-url https://one.example/simple",
    "--no-index",
    "--no-index\n-i https://one.example/simple",
    "-i https://one.example/simple\n--no-index",
    "-f links",
    "--find-links ./links",
    "--find-links=https://example.org/links.html",
    "--trusted-host one.example\n--trusted-host two.example:8080",
    "--pre",
    "--prefer-binary",
    "--require-hashes",
    "--no-binary :all:",
    "--no-binary flask,Six",
    "--no-binary flask --only-binary six",
    "--only-binary=:all:\n--no-binary=flask",
    "--no-binary :all:\n--only-binary :all:",
    "--no-binary flask\n--no-binary :none:",
    "--no-binary=:all:,:none:,flask",
    "--only-binary=flask,:all:,six",
    "flask -i https://ignored.example/simple",
    "--index https://one.example/simple",
    "--unknown",
    "-x",
    "flask --unknown=1",
    "--no-index=1",
    "-r",
    "flask==",
    "flask = 3.0",
    "flask>=2 six",
    "flask 'unfinished",
    "--find-links 'unfinished",
    "flask; nonsense == 1",
    "flask[",
    "./not-there",
    "-e not-there",
    "-e https://example.org/flask.zip",
    "-e flask",
    "-r not-there.txt",
    "--hash=sha256:" + DIGEST,
    "flask\tfoo",
    "\tflask",
    "flask\x0csix",
    "flask\r\nsix\r\n",
    "flask\u2028six",
]


def ours(folder: Path, text: bytes, *, constraint: bool = False) -> RequirementsFiles:
    (folder / "requirements.txt").write_bytes(text)
    return read_requirements_files(
        [(folder / "requirements.txt", constraint)], environment=ENVIRONMENT, fetch_text=_no_network, base=folder
    )


def theirs(folder: Path, text: bytes, *, constraint: bool = False) -> tuple[list[Any], PackageFinder]:
    file = folder / "requirements.txt"
    file.write_bytes(text)
    with PipSession() as session:
        collector = LinkCollector(session=session, search_scope=SearchScope.create(find_links=[], index_urls=[], no_index=False))
        finder = PackageFinder.create(link_collector=collector, selection_prefs=SelectionPreferences(allow_yanked=True))
        parsed = list(parse_requirements(str(file), session=session, finder=finder, constraint=constraint))
        return [(one, install_req_from_parsed_requirement(one)) for one in parsed], finder


def _no_network(url: str) -> str:
    raise AssertionError(f"fetched {url}")


def _url(url: str | None) -> str | None:
    if url is None:
        return None
    head, fragment = urldefrag(url)
    kept = "&".join(piece for piece in fragment.split("&") if piece and not piece.startswith("egg="))
    return f"{head}#{kept}" if kept else head


def _ours_as_rows(read: RequirementsFiles) -> Iterator[tuple[Any, ...]]:
    for constraint, roots in ((False, read.roots), (True, read.constraints)):
        for root in roots:
            requirement = root.requirement
            yield (
                constraint,
                root.origin.line,
                canonicalize_name(requirement.name),
                frozenset(requirement.extras),
                str(requirement.specifier) if requirement.url is None else "",
                str(requirement.marker or ""),
                _url(requirement.url),
                root.editable,
                root.hashes,
                dict(root.config_settings),
            )


def _theirs_as_rows(requirements: list[Any], names: dict[tuple[bool, int], str]) -> Iterator[tuple[Any, ...]]:
    for parsed, install in requirements:
        line = int(parsed.line_source.split()[1])
        # pip learns the name of a folder or an sdist later, by building it.
        name = canonicalize_name(install.req.name) if install.req is not None else names[parsed.constraint, line]
        hashes = {f"{algorithm}:{digest}" for algorithm, digests in install.hash_options.items() for digest in digests}
        if install.link is not None and install.link.hash_name:
            hashes.add(f"{install.link.hash_name}:{install.link.hash}")
        extras = set(install.extras) | (set(install.req.extras) if install.req is not None else set())
        yield (
            parsed.constraint,
            line,
            name,
            frozenset(extras),
            str(install.req.specifier) if install.req is not None and install.link is None else "",
            str(install.markers or ""),
            _url(install.link.url) if install.link is not None else None,
            install.editable,
            frozenset(hashes),
            dict(parsed.options.get("config_settings") or {}),
        )


def _distinct(rows: Iterator[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """In one order, and each once: pip reads a file as often as it is named, we read it once."""
    found: list[tuple[Any, ...]] = []
    for row in rows:
        if row not in found:
            found.append(row)
    return sorted(found, key=lambda row: (row[:3], sorted(row[3]), str(row[4:8]), sorted(row[8])))


def compare(folder: Path, text: bytes, *, constraint: bool = False) -> None:
    """Both read it alike, or both refuse it."""
    try:
        requirements, finder = theirs(folder, text, constraint=constraint)
    except (PipError, UnicodeDecodeError, LookupError):
        with pytest.raises(InputError):
            ours(folder, text, constraint=constraint)
        return
    if any(install.req is None and install.link.scheme != "file" for _parsed, install in requirements):
        # pip would fetch it, or run it, to learn its name; we ask for the name.
        with pytest.raises(InputError, match="does not say which package"):
            ours(folder, text, constraint=constraint)
        return
    if any(install.link is not None and not install.link.scheme for _parsed, install in requirements):
        # `name @ word` is a link without a scheme to pip, which fails when it is followed; to us it is a path that is not there.
        with pytest.raises(InputError, match="is not there"):
            ours(folder, text, constraint=constraint)
        return
    read = ours(folder, text, constraint=constraint)
    mine = _distinct(_ours_as_rows(read))
    names = {(row[0], row[1]): row[2] for row in mine}
    assert mine == _distinct(_theirs_as_rows(requirements, names))
    indexes = [url for url in (read.index_options.index_url, *read.index_options.extra_index_urls) if url]
    assert indexes == finder.index_urls
    assert list(read.index_options.find_links) == [link if "://" in link else os.path.normpath(link) for link in finder.find_links]
    assert read.index_options.no_index == finder.search_scope.no_index
    assert read.formats.no_binary == finder.format_control.no_binary
    assert read.formats.only_binary == finder.format_control.only_binary
    assert read.prereleases == bool(finder.release_control and ":all:" in finder.release_control.all_releases)
    assert read.prefer_binary == finder.prefer_binary


@pytest.mark.parametrize("text", LINES)
def test_a_file_is_read_as_pip_reads_it(folder: Path, text: str) -> None:
    compare(folder, text.encode())


@pytest.mark.parametrize("text", [line for line in LINES if not line.startswith(("-e", "--editable"))])
def test_constraints_are_read_as_pip_reads_them(folder: Path, text: str) -> None:
    if "[" in text.split(";")[0].split("@")[0]:
        pytest.skip("pip refuses a constraint's extras only when it resolves")
    compare(folder, text.encode(), constraint=True)


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbfflask==1",
        "flask==1 # é".encode("utf-16"),
        b"\xff\xfe" + "flask==1".encode("utf-16-le"),
        b"\xfe\xff" + "flask==1".encode("utf-16-be"),
        "flask==1".encode("utf-32"),
        "# -*- coding: latin-1 -*-\nflask==1 # é".encode("latin-1"),
        "# first\n# vim: set fileencoding=cp1252 :\nflask # €".encode("cp1252"),
        "# first\nflask # é".encode(),
        b"# coding: nonsense\nflask",
        b"# coding: ascii\nflask # \xe9",
    ],
)
def test_encodings_are_those_of_pip(folder: Path, data: bytes) -> None:
    compare(folder, data)


_PIECES = st.sampled_from(
    ["flask", "six==1.16", " ", "  ", "\\\n", "\n", "#", " # c", "\t", "; ", "python_version<'3'", "-r nested/more.txt", "-c limits.txt",
     "--pre", "--no-index", "-i", "https://e.org/s", "=", "'", '"', "[a]", ">=1", "${NAME}", "--no-binary", ":all:", ",", "-e ", "./plain",
     f"--hash=sha256:{DIGEST}", "\r\n", "@", "-"]
)  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(_PIECES, max_size=9))
def test_whatever_is_joined_is_read_or_refused_alike(folder: Path, pieces: list[str]) -> None:
    text = "".join(pieces)
    if "--hash" in text:  # pip checks that every requirement has one only later
        text = "\n".join(line for line in text.split("\n") if "--hash" not in line)
    compare(folder, text.encode())

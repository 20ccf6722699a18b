"""Requirements files: what is ours and not pip's, or what pip decides only later than its parser."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from hardtack.errors import InputError
from hardtack.inputs.detect import scope_of
from hardtack.inputs.requirements_file import RequirementsFiles, read_requirements_files
from tests.support.archives import make_sdist, make_wheel, sha256

DIGEST = sha256(b"x")


def read(folder: Path, text: str | Mapping[str, str], *, pages: Mapping[str, str] | None = None, **environment: str) -> RequirementsFiles:
    """Read requirements.txt in ``folder``, which holds ``text`` (or several files by name)."""
    files = {"requirements.txt": text} if isinstance(text, str) else text
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    fetch: Callable[[str], str] = dict(pages or {}).__getitem__
    return read_requirements_files(
        [(Path("requirements.txt"), False)], environment=environment, fetch_text=fetch, base=folder, scope_of=scope_of
    )


def texts(found: RequirementsFiles) -> list[str]:
    return [str(root.requirement) for root in found.roots]


def failure(folder: Path, text: str | Mapping[str, str]) -> InputError:
    with pytest.raises(InputError) as caught:
        read(folder, text)
    return caught.value


def test_every_problem_of_every_file_is_told_at_once_with_its_line(tmp_path: Path) -> None:
    error = failure(
        tmp_path, {"requirements.txt": "flask==\n-r sub/more.txt\n--nonsense\nsix = 1\n", "sub/more.txt": "ok\n[bad\n-r missing.txt\n"}
    )
    told = str(error)
    for place in ("requirements.txt:1", "sub/more.txt:2", "sub/more.txt:3", "sub/missing.txt", "requirements.txt:3", "requirements.txt:4"):
        assert place in told
    assert error.hint is not None
    assert "--index-url" in error.hint  # the known options
    assert "==" in error.hint  # for the single =


def test_one_hash_makes_hashes_mandatory_in_nested_files_too(tmp_path: Path) -> None:
    error = failure(
        tmp_path, {"requirements.txt": f"flask==3.0 --hash=sha256:{DIGEST}\n-r more.txt\n", "more.txt": "six==1.16\nclick==8.1\n"}
    )
    assert "more.txt:1: six" in str(error)
    assert "more.txt:2: click" in str(error)


def test_a_constraint_may_bring_the_hash(tmp_path: Path) -> None:
    found = read(tmp_path, {"requirements.txt": "Flask\n-c limits.txt", "limits.txt": f"flask==3.0 --hash=sha256:{DIGEST.upper()}"})
    assert found.require_hashes
    assert found.constraints[0].hashes == {f"sha256:{DIGEST}"}


def test_no_require_hashes_waives_the_duty_and_keeps_the_hashes(tmp_path: Path) -> None:
    found = read(tmp_path, f"--no-require-hashes\nflask==3.0 --hash=sha256:{DIGEST}\nsix\n")
    assert not found.require_hashes
    assert found.roots[0].hashes == {f"sha256:{DIGEST}"}


def test_require_hashes_alone_asks_for_them(tmp_path: Path) -> None:
    assert "six has no --hash" in str(failure(tmp_path, "--require-hashes\nsix==1\n"))


def test_a_hash_in_a_url_counts_as_one(tmp_path: Path) -> None:
    found = read(tmp_path, f"--require-hashes\nhttps://e.org/six-1-py3-none-any.whl#sha256={DIGEST}\n")
    assert found.roots[0].hashes == {f"sha256:{DIGEST}"}


@pytest.mark.parametrize("hash_", ["sha256:abc", f"sha512:{DIGEST}", f"sha256:{'g' * 64}", f"md5:{'a' * 32}", "sha256", ""])
def test_a_hash_that_cannot_be_one_is_refused_at_its_line(tmp_path: Path, hash_: str) -> None:
    assert failure(tmp_path, f"\nsix==1 --hash={hash_}").where == "requirements.txt:2"


@pytest.mark.parametrize("files", [
    {"requirements.txt": "-r requirements.txt"},
    {"requirements.txt": "-r a.txt", "a.txt": "-c b.txt", "b.txt": "-r a.txt"},
    {"requirements.txt": "-r sub/../requirements.txt", "sub/x.txt": ""},
])  # fmt: skip
def test_files_that_include_each_other_are_an_error(tmp_path: Path, files: dict[str, str]) -> None:
    assert "includes itself" in str(failure(tmp_path, files))


def test_a_file_included_twice_without_a_cycle_is_read_once(tmp_path: Path) -> None:
    found = read(tmp_path, {"requirements.txt": "-r a.txt\n-r b.txt", "a.txt": "-r base.txt", "b.txt": "-r base.txt", "base.txt": "six"})
    assert texts(found) == ["six"]


def test_nesting_has_an_end(tmp_path: Path) -> None:
    files = {f"{number}.txt": f"-r {number + 1}.txt" for number in range(200)}
    assert "nest deeper" in str(failure(tmp_path, {**files, "requirements.txt": "-r 0.txt"}))


def test_a_file_of_megabytes_is_refused(tmp_path: Path) -> None:
    assert "larger than 16 MiB" in str(failure(tmp_path, "#" * (16 * 1024 * 1024 + 1)))


def test_nested_urls_are_relative_to_the_url_they_stand_in(tmp_path: Path) -> None:
    pages = {
        "https://e.org/a/req.txt": "-r ../b/more.txt\n-c limits.txt\n",
        "https://e.org/b/more.txt": "six",
        "https://e.org/a/limits.txt": "six<2",
    }
    found = read(tmp_path, "-r https://e.org/a/req.txt", pages=pages)
    assert texts(found) == ["six"]
    assert str(found.roots[0].origin) == "https://e.org/b/more.txt:1"
    assert [str(root.requirement) for root in found.constraints] == ["six<2"]


def test_a_login_in_a_url_is_in_no_place_that_is_shown(tmp_path: Path) -> None:
    found = read(tmp_path, "-r https://me:canary@e.org/req.txt", pages={"https://me:canary@e.org/req.txt": "six"})
    assert "canary" not in repr((found.roots, found.files))
    with pytest.raises(InputError) as caught:
        read(tmp_path, "https://me:canary@e.org/archive/main.zip\ngit+https://me:canary@e.org/x.git\n-e https://me:canary@e.org/x.zip")
    assert "canary" not in str(caught.value) + str(caught.value.hint)


def test_paths_are_sought_in_the_working_folder_then_beside_the_file(tmp_path: Path) -> None:
    for place in ("lib", "sub/lib", "sub/only"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "pyproject.toml").write_text(f'[project]\nname = "{place.replace("/", "-")}"\nversion = "1"')
    found = read(tmp_path, {"requirements.txt": "-r sub/more.txt", "sub/more.txt": "./lib\n-e ./only\n"})
    assert [(root.requirement.name, root.path, root.editable) for root in found.roots] == [
        ("lib", tmp_path / "lib", False),
        ("sub-only", tmp_path / "sub" / "only", True),
    ]


def test_scope_is_told_by_the_name_of_the_file_a_line_stands_in(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        {
            "requirements.txt": "a\n-r requirements-dev.txt",
            "requirements-dev.txt": "b\n-r requirements/base.txt",
            "requirements/base.txt": "c",
        },
    )
    assert {root.requirement.name: root.scope for root in found.roots} == {"a": "runtime", "b": "development", "c": "runtime"}


def test_a_variable_that_is_not_set_stays_and_is_told(tmp_path: Path) -> None:
    found = read(tmp_path, "-i https://${TOKEN}@e.org/simple\n--extra-index-url https://${OTHER}@e.org/", TOKEN="t")
    assert found.index_options.index_url == "https://t@e.org/simple"
    assert any("OTHER" in note and "requirements.txt:2" in note for note in found.notes)
    assert not any("TOKEN" in note for note in found.notes)


@pytest.mark.parametrize("line", [
    "six --index-url https://e.org/", "six --pre", "-e . --pre", f"--hash=sha256:{DIGEST}", "-C a=b", "--pre stray", "--global-option=x",
    "--extra-index-url https://e.org/a\n-i https://e.org/b",
])  # fmt: skip
def test_what_does_nothing_is_told(tmp_path: Path, line: str) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "me"\nversion = "1"')
    assert any("requirements.txt:" in note for note in read(tmp_path, line).notes)


def test_one_line_holds_one_requirement(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "me"\nversion = "1"')
    assert "one requirement" in str(failure(tmp_path, "-e . -e ."))
    assert "cannot be editable" in str(failure(tmp_path, {"requirements.txt": "-c c.txt", "c.txt": "-e ."}))
    assert "cannot have extras" in str(failure(tmp_path, {"requirements.txt": "-c c.txt", "c.txt": "six[x]<2"}))


def test_pre_releases_by_package(tmp_path: Path) -> None:
    found = read(tmp_path, "--all-releases Flask,six\n--only-final six\n")
    assert not found.prereleases
    assert found.prerelease_packages == {"flask"}


def name_of(folder: Path, line: str) -> str:
    return read(folder, line).roots[0].requirement.name


@pytest.mark.parametrize(
    ("files", "name"),
    [
        ({"pyproject.toml": '[project]\nname = "A.b"'}, "A.b"),
        ({"pyproject.toml": '[tool.poetry]\nname = "poet"'}, "poet"),
        ({"pyproject.toml": "[build-system]\nrequires = []", "setup.cfg": "[metadata]\nname = cfg"}, "cfg"),
        ({"setup.py": "import setuptools\nsetuptools.setup(name='py', version='1')"}, "py"),
        ({"setup.py": "from setuptools import setup\nopen('ran', 'w')\nsetup(name='py' + '2')", "PKG-INFO": "Name: info\n"}, "info"),
    ],
)
def test_a_folders_name_is_read_without_running_it(tmp_path: Path, files: dict[str, str], name: str) -> None:
    (tmp_path / "it").mkdir()
    for file, content in files.items():
        (tmp_path / "it" / file).write_text(content)
    assert name_of(tmp_path, "./it") == name
    assert not (tmp_path / "ran").exists()


def test_a_folder_without_a_stated_name_asks_for_it(tmp_path: Path) -> None:
    (tmp_path / "it").mkdir()
    (tmp_path / "it" / "setup.py").write_text("setup(name=NAME)")
    error = failure(tmp_path, "./it")
    assert "NAME @" in str(error.hint)
    assert name_of(tmp_path, "it @ ./it") == "it"
    (tmp_path / "empty").mkdir()
    assert "no Python project" in str(failure(tmp_path, "./empty"))


def test_an_archives_name_is_its_own(tmp_path: Path) -> None:
    _, data = make_sdist("true-name", "1.0")
    (tmp_path / "v1.0.tar.gz").write_bytes(data)
    assert name_of(tmp_path, "./v1.0.tar.gz") == "true-name"
    filename, data = make_wheel("some.thing", "2.0")
    (tmp_path / filename).write_bytes(data)
    assert name_of(tmp_path, filename) == "some-thing"
    for broken in ("v2.tar.gz", "v2.zip", "v2.tar.xz", "v2.whl"):
        (tmp_path / broken).write_bytes(b"not an archive")
        failure(tmp_path, f"./{broken}")


@pytest.mark.parametrize("line", ["https://e.org/main.zip", "https://e.org/x/archive/v2.0.tar.gz", "git+https://e.org/x.git"])
def test_a_url_without_a_name_asks_for_one(tmp_path: Path, line: str) -> None:
    assert f"NAME @ {line}" in str(failure(tmp_path, line).hint)


@pytest.mark.parametrize(
    "line",
    ["git+https://e.org/x.git@v1#egg=flask[async,dotenv]&subdirectory=src", "https://e.org/x.zip#subdirectory=src&egg=flask[async,dotenv]"],
)
def test_an_egg_with_extras_is_still_read(tmp_path: Path, line: str) -> None:
    requirement = read(tmp_path, line).roots[0].requirement
    assert (requirement.name, requirement.extras) == ("flask", {"async", "dotenv"})
    assert requirement.url is not None
    assert requirement.url.endswith("#subdirectory=src")


def test_a_file_url_is_a_local_path(tmp_path: Path) -> None:
    (tmp_path / "my lib").mkdir()
    (tmp_path / "my lib" / "pyproject.toml").write_text('[project]\nname = "lib"')
    url = (tmp_path / "my lib").as_uri()
    for line in (url, f"lib @ {url}", f"-e {url}#egg=lib"):
        root = read(tmp_path, line).roots[0]
        assert (root.path, root.requirement.url) == (tmp_path / "my lib", url)

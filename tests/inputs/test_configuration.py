"""[tool.hardtack], hardtack.toml, the user's file and HARDTACK_* variables."""

from __future__ import annotations

from pathlib import Path

import pytest

from hardtack.errors import HardtackError, InputError, UsageError
from hardtack.inputs.configuration import Configuration, read_configuration, user_file

NO_USER = {"HARDTACK_CONFIG_FILE": ""}


def read(folder: Path, text: str = "", **environment: str) -> Configuration:
    if text:
        (folder / "hardtack.toml").write_text(text)
    return read_configuration(folder, environment={**NO_USER, **environment})


WHOLE = """
targets = ["py312-linux-x86_64", "py313-windows-x86_64"]
no-binary = ["A_b"]
only-binary = [":all:"]
exclude-newer = 2026-01-31T00:00:00Z
constraints = ["six<2"]
overrides = ["attrs==25.1"]
excludes = ["Foo_Bar"]
layout = "by-target"
output = "out"
prune = true
require-stated-hashes = true
extras = ["CLI"]
groups = ["dev"]
sandbox = "require"
offline = false
cache-dir = "cache"

[[index]]
name = "corp"
url = "https://e.org/simple"
packages = ["My_Lib"]
explicit = true
stands-in-for = "https://files.example/"
ignore-error-codes = [403]

[[index]]
name = "links"
url = "wheels"
format = "flat"
"""


def test_every_key_is_read(tmp_path: Path) -> None:
    found = read(tmp_path, WHOLE)
    assert found.targets == ("py312-linux-x86_64", "py313-windows-x86_64")
    assert (found.no_binary, found.only_binary) == (frozenset({"a-b"}), frozenset({":all:"}))
    assert found.exclude_newer == "2026-01-31T00:00:00+00:00"
    assert (found.constraints, found.overrides, found.excludes) == (("six<2",), ("attrs==25.1",), ("foo-bar",))
    assert (found.layout, found.prune, found.require_stated_hashes, found.sandbox, found.offline) == (
        "by-target",
        True,
        True,
        "require",
        False,
    )
    assert (found.output, found.cache_dir) == (tmp_path / "out", tmp_path / "cache")
    assert (found.extras, found.groups) == (frozenset({"cli"}), frozenset({"dev"}))
    assert found.indexes[0]["packages"] == ("my-lib",)
    assert found.indexes[0]["stands-in-for"] == ("https://files.example/",)
    assert [index["name"] for index in found.indexes] == ["corp", "links"]
    assert [index["url"] for index in found.indexes] == ["https://e.org/simple", str(tmp_path / "wheels")]
    assert str(found.origins["layout"]) == "hardtack.toml: layout"


def test_pyproject_says_the_same_under_its_table(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.hardtack.targets.cpu]\nplatform = "py312-linux-x86_64"\nextras = ["cpu"]\n')
    found = read(tmp_path)
    assert found.targets == {"cpu": {"platform": "py312-linux-x86_64", "extras": ["cpu"]}}
    assert str(found.origins["targets"]) == "pyproject.toml: tool.hardtack.targets"


def test_environment_beats_project_beats_user(tmp_path: Path) -> None:
    user = tmp_path / "user" / "hardtack" / "hardtack.toml"
    user.parent.mkdir(parents=True)
    user.write_text('layout = "flat"\nprune = true\nsandbox = "prefer"\n')
    (tmp_path / "hardtack.toml").write_text('layout = "by-target"\nprune = false\n')
    environment = {"XDG_CONFIG_HOME": str(tmp_path / "user"), "HARDTACK_PRUNE": "yes"}
    found = read_configuration(tmp_path, environment=environment)
    assert (found.layout, found.prune, found.sandbox) == ("by-target", True, "prefer")
    assert [str(found.origins[name]) for name in ("layout", "prune", "sandbox")] == [
        "hardtack.toml: layout",
        "HARDTACK_PRUNE",
        f"{user}: sandbox",
    ]
    flagged = found.with_flags(layout="flat", prune=None, extras=frozenset())
    assert (flagged.layout, flagged.prune, str(flagged.origins["layout"])) == ("flat", True, "the command line: --layout")
    assert found.layout == "by-target"


def test_the_users_file_may_be_named_or_turned_off() -> None:
    assert user_file({"HARDTACK_CONFIG_FILE": "/x/y.toml"}) == Path("/x/y.toml")
    assert user_file(NO_USER) is None


def test_lists_in_the_environment(tmp_path: Path) -> None:
    found = read(
        tmp_path, HARDTACK_TARGETS="a, b c", HARDTACK_NO_BINARY="Flask,six", HARDTACK_CONSTRAINTS="a>1,<2;;b", HARDTACK_CACHE_DIR="/c"
    )
    assert found.targets == ("a", "b", "c")
    assert found.no_binary == frozenset({"flask", "six"})
    assert found.constraints == ("a>1,<2", "b")
    assert found.cache_dir == Path("/c").absolute()


def test_unknown_keys_are_told_all_at_once_with_the_near_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        read(tmp_path, "layuot = 'flat'\nno_binary = []\nzzz = 1\n[[index]]\nname = 'x'\nurll = 'y'")
    told = str(caught.value)
    assert "did you mean 'layout'?" in told
    assert "did you mean 'no-binary'?" in told
    assert "zzz" in told
    assert "did you mean 'url'?" in told
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("text", [
    "layout = 'tall'", "prune = 'yes'", "targets = 3", "targets = [3]", "targets = {a = 1}", "constraints = ['a b']", "constraints = 'a'",
    "exclude-newer = 'tomorrow'", "exclude-newer = 3", "index = {}", "index = [3]", "[[index]]\nname = 'x'", "[[index]]\nurl = 'x'",
    "[[index]]\nname = 'x'\nurl = 'y'\nformat = 'odd'", "[[index]]\nname = 'x'\nurl = 'y'\n[[index]]\nname = 'x'\nurl = 'z'", "output = 3",
    "[[index]]\nname = 'x'\nurl = 'y'\ndefault = true\n[[index]]\nname = 'z'\nurl = 'z'\ndefault = true", "offline = 1",
    "[[index]]\nname = 'x'\nurl = 'y'\nignore-error-codes = [true]", "sandbox = 'maybe'", "extras = [1]",
])  # fmt: skip
def test_wrong_values_are_errors_that_name_the_file_and_key(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match=r"hardtack\.toml"):
        read(tmp_path, text)


@pytest.mark.parametrize(
    "variable", ["HARDTACK_PRUNE", "HARDTACK_OFFLINE", "HARDTACK_LAYOUT", "HARDTACK_EXCLUDE_NEWER", "HARDTACK_OVERRIDES"]
)
def test_wrong_variables_are_errors_that_name_them(tmp_path: Path, variable: str) -> None:
    with pytest.raises(UsageError, match=variable):
        read(tmp_path, **{variable: "what even"})


def test_two_places_for_one_projects_configuration_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.hardtack]\nprune = true\n")
    with pytest.raises(UsageError, match="both"):
        read(tmp_path, "prune = false")


def test_broken_toml_is_told_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read(tmp_path, "prune = true\nlayout =\n")
    assert caught.value.where == "hardtack.toml:2"


@pytest.mark.parametrize("text", ["tool = 1", "[tool]\nhardtack = 1"])
def test_a_table_that_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    if "hardtack" in text:
        with pytest.raises(HardtackError):
            read(tmp_path)
    else:
        assert read(tmp_path).file is None


def test_nothing_anywhere_is_an_empty_configuration(tmp_path: Path) -> None:
    assert read(tmp_path) == Configuration()
    assert read_configuration(None, environment=NO_USER) == Configuration()

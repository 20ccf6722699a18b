"""pyproject.toml, groups, extras, sources and scripts. What groups resolve to is what packaging says."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from packaging.dependency_groups import resolve_dependency_groups

from hardtack.errors import InputError
from hardtack.inputs.pyproject import Project, read_pyproject
from hardtack.inputs.script import read_script


def read(folder: Path, text: str) -> Project:
    (folder / "pyproject.toml").write_text(text)
    return read_pyproject(folder / "pyproject.toml", base=folder)


def roots(project: Project, *, extra: str | None = None, group: str | None = None) -> list[str]:
    return [str(root.requirement) for root in project.roots if (root.extra, root.group) == (extra, group)]


def failure(folder: Path, text: str) -> InputError:
    with pytest.raises(InputError) as caught:
        read(folder, text)
    return caught.value


BASE = '[project]\nname = "My.Proj"\nversion = "1"\nrequires-python = ">=3.9"\n'


def test_dependencies_extras_and_groups_are_marked_apart(tmp_path: Path) -> None:
    project = read(
        tmp_path,
        BASE + 'dependencies = ["flask>=2", "six; python_version<\'3\'"]\n[project.optional-dependencies]\nCL_I = ["click"]\n'
        '[dependency-groups]\ntest = ["pytest"]\ndev = ["ruff", {include-group = "test"}]\n',
    )  # fmt: skip
    assert project.name == "my-proj"
    assert roots(project) == ["flask>=2", 'six; python_version < "3"']
    assert roots(project, extra="cl-i") == ["click"]
    assert roots(project, group="dev") == ["ruff", "pytest"]
    assert project.extras == frozenset({"cl-i"})
    assert project.groups == frozenset({"dev", "test"})
    assert project.default_groups == frozenset({"dev", "test"})
    assert {root.scope for root in project.roots if root.group} == {"development"}
    assert {root.scope for root in project.roots if not root.group} == {"runtime"}


def test_groups_are_those_that_packaging_resolves(tmp_path: Path) -> None:
    text = '[dependency-groups]\na = ["x", {include-group = "B_b"}]\nb-b = ["y>1", {include-group = "c"}]\nC = ["z"]\n'
    project = read(tmp_path, text)
    table = tomllib.loads(text)["dependency-groups"]
    for name in ("a", "b-b", "c"):
        assert roots(project, group=name) == list(resolve_dependency_groups(table, name))


@pytest.mark.parametrize(
    ("groups", "told"),
    [
        ('a = [{include-group = "a"}]', "includes itself"),
        ('a = [{include-group = "b"}]\nb = [{include-group = "a"}]', "a"),
        ('a = [{include-group = "none"}]', "none"),
        ('a = ["not a requirement"]', "dependency-groups.a"),
        ("a = [{other = 1}]", "dependency-groups.a"),
        ("a = [3]", "dependency-groups.a"),
        ('a = "x"', "dependency-groups.a"),
        ('a_b = []\na-b = ["x"]', "a_b"),
    ],
)
def test_a_group_that_cannot_be_is_an_error_of_the_house(tmp_path: Path, groups: str, told: str) -> None:
    assert told in str(failure(tmp_path, f"[dependency-groups]\n{groups}\n"))


def test_every_group_is_taken_unless_uv_is_told_or_they_conflict(tmp_path: Path) -> None:
    groups = "[dependency-groups]\ndev = []\ntest = []\n"
    assert read(tmp_path, groups).default_groups == frozenset({"dev", "test"})
    conflicts = '[tool.uv]\nconflicts = [[{group = "Test"}, {group = "other"}]]\n'
    assert read(tmp_path, f"{groups}other = []\n{conflicts}").default_groups == frozenset({"dev"})
    assert read(tmp_path, f'{groups}[tool.uv]\ndefault-groups = ["Test"]').default_groups == frozenset({"test"})
    assert read(tmp_path, f'{groups}[tool.uv]\ndefault-groups = "all"').default_groups == frozenset({"dev", "test"})
    assert read(tmp_path, f"{groups}[tool.uv]\ndefault-groups = []").default_groups == frozenset()
    assert "groups here: dev, test" in str(failure(tmp_path, f'{groups}[tool.uv]\ndefault-groups = ["docs"]').hint)


def test_the_projects_own_extras_are_expanded_with_their_markers(tmp_path: Path) -> None:
    project = read(
        tmp_path,
        BASE + 'dependencies = ["flask"]\n[project.optional-dependencies]\na = ["one"]\nb = ["two; python_version<\'3.10\'"]\n'
        'all = ["my_proj[a]", "My-Proj[b]; sys_platform==\'linux\'", "three"]\nloop = ["my-proj[loop]", "four"]\n'
        '[dependency-groups]\ndev = ["my-proj[a]", "five"]\n',
    )  # fmt: skip
    assert roots(project, extra="all") == ["one", 'two; python_version < "3.10" and sys_platform == "linux"', "three"]
    assert roots(project, extra="loop") == ["four"]
    assert roots(project, group="dev") == ["flask", "one", "five"]


def test_an_own_extra_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    error = failure(tmp_path, BASE + '[project.optional-dependencies]\na = []\nall = ["my-proj[b]"]')
    assert "no extra 'b'" in str(error)
    assert error.hint == "extras here: a, all"


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    told = str(
        failure(tmp_path, BASE + 'dependencies = ["a b", 3]\n[project.optional-dependencies]\nx = ["=="]\n[dependency-groups]\ng = ["!"]')
    )
    for key in ("project.dependencies[0]", "project.dependencies[1]", "project.optional-dependencies.x[0]", "dependency-groups.g"):
        assert f"pyproject.toml: {key}" in told


@pytest.mark.parametrize(
    ("text", "line"), [("[project\n", 1), ('[project]\nname = "a"\nname = "b"\n', 3), ("x = 1\ny = \n", 2), ("a = [\n\n", 3)]
)
def test_what_is_not_toml_is_told_with_its_line(tmp_path: Path, text: str, line: int) -> None:
    assert failure(tmp_path, text).where == f"pyproject.toml:{line}"


def test_what_is_not_utf_8_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_bytes(b"[project]\n# caf\xe9\n")
    with pytest.raises(InputError) as caught:
        read_pyproject(tmp_path / "pyproject.toml", base=tmp_path)
    assert caught.value.where == "pyproject.toml:2"


@pytest.mark.parametrize("text", [
    "project = 1", "tool = []", "[project]\ndependencies = {}", "[project]\noptional-dependencies = []", "[project]\nrequires-python = 3",
    '[project]\nrequires-python = "three"', "dependency-groups = 3", "[tool]\nuv = 1", "[tool.uv]\nsources = []",
    '[project]\ndependencies = ["a"]\n[tool.uv.sources]\na = 3', '[project]\ndependencies = ["a"]\n[tool.uv.sources]\na = {}',
    '[project]\ndependencies = ["a"]\n[tool.uv.sources]\na = {git = "x", url = "y"}',
    '[project]\ndependencies = ["a"]\n[tool.uv.sources]\na = {path = "gone"}', "a = " + "[" * 5000,
    '[project]\ndependencies = ["a"]\n[tool.uv.sources]\na = {workspace = true}', "[tool.poetry]\ndependencies = 3",
    "[tool]\npoetry = 3", "[tool.uv]\ndefault-groups = 3", "[tool.uv]\noverride-dependencies = 3",
])  # fmt: skip
def test_values_of_the_wrong_kind_are_errors_of_the_house(tmp_path: Path, text: str) -> None:
    assert "pyproject.toml" in str(failure(tmp_path, text))


def test_uv_sources_become_urls_paths_and_pins(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    project = read(
        tmp_path,
        BASE + 'dependencies = ["a>=1", "b", "c", "d[x]", "e; python_version>\'3\'", "f"]\n'
        '[dependency-groups]\ndev = ["f"]\n'
        '[tool.uv.sources]\na = {git = "https://e.org/a.git", tag = "v1", subdirectory = "s"}\nb = {index = "corp"}\n'
        'c = {path = "lib", editable = true}\nd = {url = "https://e.org/d.zip"}\nE = {git = "https://e.org/e", rev = "abc"}\n'
        'f = {index = "corp", group = "dev"}\n',
    )  # fmt: skip
    found = {root.requirement.name: root for root in project.roots if root.group is None}
    assert found["a"].requirement.url == "git+https://e.org/a.git@v1#subdirectory=s"
    assert (found["c"].path, found["c"].editable) == (tmp_path / "lib", True)
    assert str(found["d"].requirement) == "d[x] @ https://e.org/d.zip"
    assert str(found["e"].requirement) == 'e @ git+https://e.org/e@abc ; python_version > "3"'
    assert str(found["b"].requirement) == "b"
    assert [(pin.name, pin.index, pin.group) for pin in project.index_pins] == [("b", "corp", None), ("f", "corp", "dev")]


def test_a_source_for_some_markers_leaves_the_rest_as_it_was(tmp_path: Path) -> None:
    project = read(
        tmp_path,
        BASE + 'dependencies = ["torch>=2"]\n[project.optional-dependencies]\ncpu = ["torch"]\ncu128 = ["torch"]\n[tool.uv.sources]\n'
        'torch = [{index = "cpu", extra = "cpu"}, {index = "cuda", extra = "cu128", marker = "sys_platform == \'linux\'"},'
        ' {url = "https://e.org/torch.whl", marker = "sys_platform == \'win32\'"}]\n',
    )  # fmt: skip
    pins = [(pin.index, pin.extra, str(pin.marker or "")) for pin in project.index_pins]
    assert pins == [("cpu", "cpu", ""), ("cuda", "cu128", 'sys_platform == "linux"')]
    assert roots(project) == ['torch @ https://e.org/torch.whl ; sys_platform == "win32"', "torch>=2"]


def test_workspace_members_are_found_from_the_root_and_from_a_member(tmp_path: Path) -> None:
    for name in ("one", "two", "skipped"):
        (tmp_path / "packages" / name).mkdir(parents=True)
        (tmp_path / "packages" / name / "pyproject.toml").write_text(f'[project]\nname = "{name}"\nversion = "1"\ndependencies = ["two"]')
    root = read(
        tmp_path,
        BASE + 'dependencies = ["one"]\n[tool.uv]\nconstraint-dependencies = ["six<2"]\n[tool.uv.sources]\none = {workspace = true}\n'
        'two = {workspace = true}\n[tool.uv.workspace]\nmembers = ["packages/*"]\nexclude = ["packages/skipped"]\n',
    )  # fmt: skip
    assert [(item.path, item.editable) for item in root.roots] == [(tmp_path / "packages" / "one", True)]
    member = read_pyproject(tmp_path / "packages" / "one" / "pyproject.toml")
    assert [item.path for item in member.roots] == [tmp_path / "packages" / "two"]
    assert [str(item.requirement) for item in member.constraints] == ["six<2"]
    outside = read_pyproject(tmp_path / "packages" / "skipped" / "pyproject.toml")
    assert [item.path for item in outside.roots] == [None]


def test_uvs_constraints_overrides_and_excludes(tmp_path: Path) -> None:
    project = read(
        tmp_path,
        BASE + '[tool.uv]\nconstraint-dependencies = ["a<1"]\noverride-dependencies = ["b==2"]\nexclude-dependencies = ["C_c"]\n'
        'build-constraint-dependencies = ["setuptools<80"]\nprerelease = "allow"\n',
    )  # fmt: skip
    assert [str(root.requirement) for root in project.constraints] == ["a<1"]
    assert [str(root.requirement) for root in project.overrides] == ["b==2"]
    assert [str(root.requirement) for root in project.build_constraints] == ["setuptools<80"]
    assert project.excludes == ("c-c",)
    assert project.prereleases


@pytest.mark.parametrize("table", [
    '[tool.setuptools.dynamic]\ndependencies = {file = ["requirements.txt"]}\noptional-dependencies.dev = {file = "dev.txt"}',
    '[tool.hatch.metadata.hooks.requirements_txt]\nfiles = ["requirements.txt"]\noptional-dependencies.dev = ["dev.txt"]',
])  # fmt: skip
def test_dynamic_dependencies_in_files_are_found(tmp_path: Path, table: str) -> None:
    project = read(tmp_path, f'[project]\nname = "x"\ndynamic = ["version", "dependencies", "optional-dependencies"]\n{table}')
    assert project.dynamic == ()
    assert project.dependency_files == ((tmp_path / "requirements.txt", None), (tmp_path / "dev.txt", "dev"))


def test_dynamic_dependencies_elsewhere_stay_dynamic(tmp_path: Path) -> None:
    assert read(tmp_path, '[project]\nname = "x"\ndynamic = ["version", "dependencies"]').dynamic == ("dependencies",)


SCRIPT = """\
#!/usr/bin/env python
# /// script
# requires-python = ">=3.11"
# dependencies = [
#   "requests<3",
#
#   "rich",
# ]
# ///
import requests
"""


def script(folder: Path, text: str) -> Project:
    (folder / "run.py").write_text(text)
    return read_script(folder / "run.py", base=folder)


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_scripts_block_is_read(tmp_path: Path, newline: str) -> None:
    (tmp_path / "run.py").write_bytes(SCRIPT.replace("\n", newline).encode())
    project = read_script(tmp_path / "run.py", base=tmp_path)
    assert roots(project) == ["requests<3", "rich"]
    assert str(project.requires_python) == ">=3.11"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("import this\n", "no `# /// script` block"),
        (SCRIPT + SCRIPT, "run.py:12"),
        (
            SCRIPT.replace(
                '"rich",',
                '"rich" "',
            ),
            "run.py:7",
        ),
        (SCRIPT.replace("dependencies", "dependency"), "dependency"),
        (SCRIPT.replace(">=3.11", "three"), "requires-python"),
        (SCRIPT.replace('"rich"', '"rich ="'), "project.dependencies[1]"),
        ("# /// script\n# x\n", "no `# /// script` block"),
    ],
)
def test_a_script_that_cannot_be_read_says_where(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(InputError) as caught:
        script(tmp_path, text)
    assert told in str(caught.value)


def test_poetrys_tables_in_the_words_of_the_standards(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    project = read(
        tmp_path,
        """
[tool.poetry]
name = "poet"
[tool.poetry.dependencies]
python = "^3.9"
flask = "^2.3"
six = {version = "~1.16", optional = true}
old = [{version = "<2", python = "<3.10"}, {version = ">=2", python = "^3.10"}]
win = {version = "*", platform = "win32", markers = "platform_machine == 'AMD64'"}
repo = {git = "https://e.org/r.git", branch = "dev"}
ssh = {git = "git@e.org:o/r.git", tag = "v1"}
lib = {path = "lib", develop = true, extras = ["x"]}
pinned = {version = "1.2", source = "corp"}
young = {version = "^1.0", allow-prereleases = true}
[tool.poetry.extras]
compat = ["six"]
[tool.poetry.dev-dependencies]
black = "*"
[tool.poetry.group.test.dependencies]
pytest = ">=7,<9"
[tool.poetry.group.docs]
optional = true
[tool.poetry.group.docs.dependencies]
sphinx = "7.*"
""",
    )
    assert roots(project) == [
        "flask<3,>=2.3",
        'old<2; python_version < "3.10"',
        'old>=2; python_version < "4" and python_version >= "3.10"',
        'win; sys_platform == "win32" and platform_machine == "AMD64"',
        "repo @ git+https://e.org/r.git@dev",
        "ssh @ git+ssh://git@e.org/o/r.git@v1",
        f"lib[x] @ {(tmp_path / 'lib').as_uri()}",
        "pinned==1.2",
        "young<2,>=1.0",
    ]
    assert roots(project, extra="compat") == ["six<1.17,>=1.16"]
    assert roots(project, group="dev") == ["black"]
    assert roots(project, group="docs") == ["sphinx==7.*"]
    assert project.default_groups == frozenset({"dev", "test"})
    assert str(project.requires_python) == "<4,>=3.9"
    assert [(pin.name, pin.index) for pin in project.index_pins] == [("pinned", "corp")]
    assert project.prerelease_packages == frozenset({"young"})


def test_poetrys_table_beside_the_standard_one_only_adds_sources(tmp_path: Path) -> None:
    project = read(
        tmp_path,
        BASE + 'dependencies = ["a>=1", "b[x]; python_version<\'4\'"]\n[tool.poetry.dependencies]\na = {source = "corp"}\n'
        'b = {git = "https://e.org/b.git"}\n',
    )  # fmt: skip
    assert roots(project) == ["a>=1", 'b[x] @ git+https://e.org/b.git ; python_version < "4"']
    assert [(pin.name, pin.index) for pin in project.index_pins] == [("a", "corp")]


@pytest.mark.parametrize(("value", "moment"), [
    ('"2025-01-31T00:00:00Z"', "2025-01-31T00:00:00Z"), ("2025-01-31", "2025-01-31"), ('"2025-01-31"', "2025-01-31"), ('"7 days"', None),
])  # fmt: skip
def test_uvs_moment_is_obeyed_and_what_is_not_is_told(tmp_path: Path, value: str, moment: str | None) -> None:
    project = read(tmp_path, BASE + f'[tool.uv]\nexclude-newer = {value}\nresolution = "lowest"\n')
    assert project.exclude_newer == moment
    told = [note.split(": ", 1)[1].split()[0] for note in project.not_obeyed]
    assert told == ["tool.uv.resolution"] if moment else ["tool.uv.exclude-newer", "tool.uv.resolution"]


def test_what_uv_must_build_and_must_not_build(tmp_path: Path) -> None:
    project = read(tmp_path, BASE + '[tool.uv]\nno-binary-package = ["Lx_ml"]\nno-build-package = ["b"]\nno-build = true\n')
    assert project.formats.no_binary == {"lx-ml"}
    assert project.formats.only_binary == {"b", ":all:"}

"""What is said of building, in each place that says it, and what several sayings come to."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement
from uv import find_uv_bin

from hardtack.errors import InputError, UsageError
from hardtack.inputs.configuration import Configuration, read_configuration
from hardtack.inputs.read import InputRequest, read_inputs
from hardtack.inputs.recipes import as_config, layered, read_named_setting, read_seconds, read_size, read_tools
from hardtack.model.recipe import BuildLimits, Recipe, Recipes
from hardtack.model.requirements import FormatControl, Requirements
from tests.inputs.test_read import PROJECT, PYLOCK, lay

NO_USER = {"HARDTACK_CONFIG_FILE": ""}


def read(folder: Path, files: dict[str, str], *, environment: dict[str, str] | None = None, **request: Any) -> Requirements:
    def fetch(url: str) -> str:
        raise AssertionError(f"fetched {url}")

    lay(folder, files)
    variables = {**NO_USER, **(environment or {})}
    configuration = read_configuration(folder, environment=variables)
    return read_inputs(InputRequest(project_dir=folder, **request), configuration, environment=variables, fetch_text=fetch)


def failure(folder: Path, files: dict[str, str], **request: Any) -> str:
    with pytest.raises((InputError, UsageError)) as caught:
        read(folder, files, **request)
    return f"{caught.value}\n{caught.value.hint or ''}"


class TestSettings:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("a=b", (None, "a", "b")),
            ("a=", (None, "a", "")),
            ("a=b=c", (None, "a", "b=c")),
            ("a= b ", (None, "a", " b ")),
            ("Foo.Bar_x:a=b", ("foo-bar-x", "a", "b")),
            ("foo:setup-args=-Dx:y=z", ("foo", "setup-args", "-Dx:y=z")),
            ("setup-args=-Dx:y=z", (None, "setup-args", "-Dx:y=z")),
            ("--global-option:x=y", (None, "--global-option:x", "y")),
            (":cmake.define.A:BOOL=ON", (None, "cmake.define.A:BOOL", "ON")),
            ("foo:cmake.define.A:BOOL=ON", ("foo", "cmake.define.A:BOOL", "ON")),
        ],
    )
    def test_a_setting_is_cut(self, text: str, expected: tuple[str | None, str, str]) -> None:
        assert read_named_setting(text) == expected

    @pytest.mark.parametrize("text", ["a", "", "=b", "foo:=b", " =b", "foo:a"])
    def test_what_is_none_is_an_error_with_its_text(self, text: str, tmp_path: Path) -> None:
        told = failure(tmp_path, {"requirements.txt": "six"}, config_settings=(text,))
        assert repr(text) in told
        assert "-C on the command line" in told
        assert "NAME:KEY=VALUE" in told

    def test_every_wrong_one_is_told_at_once(self, tmp_path: Path) -> None:
        told = failure(tmp_path, {"requirements.txt": "six"}, config_settings=("a", "b=1", "c"))
        assert "'a'" in told and "'c'" in told and "'b=1'" not in told

    @given(
        st.lists(st.tuples(st.sampled_from("abc"), st.text(st.characters(codec="ascii", categories=("L", "N")), max_size=3)), max_size=8)
    )
    def test_settings_that_come_again_are_lists_as_pip_makes_them(self, pairs: list[tuple[str, str]]) -> None:
        from optparse import OptionParser

        from pip._internal.cli.cmdoptions import config_settings  # the oracle

        parser = OptionParser()
        parser.add_option(config_settings())
        options, _ = parser.parse_args([word for key, value in pairs for word in ("-C", f"{key}={value}")])
        assert Recipe(config=as_config(pairs)).settings == (options.config_settings or {})

    def test_from_the_command_line_for_one_and_for_all(self, tmp_path: Path) -> None:
        found = read(tmp_path, {"requirements.txt": "six"}, config_settings=("a=1", "Foo_Bar:a=2", "a=3", "foo.bar:b=4", "c=5"))
        assert found.recipes.of("six").settings == {"a": ["1", "3"], "c": "5"}
        assert found.recipes.of("foo-bar").settings == {"a": "2", "b": "4", "c": "5"}


class TestRequirementsFiles:
    def test_a_lines_settings_are_its_packages(self, tmp_path: Path) -> None:
        found = read(tmp_path, {"requirements.txt": 'Foo_Bar==1 --config-settings a=1 -C "a=2" --config-setting=b=3\nsix\n'})
        assert found.recipes.own == {"foo-bar": Recipe(config=(("a", ("1", "2")), ("b", ("3",))))}
        assert found.recipes.of("six") == Recipe()

    def test_a_setting_alone_is_for_all_and_said(self, tmp_path: Path) -> None:
        found = read(tmp_path, {"requirements.txt": "--config-settings a=1\nsix -C b=2\n-C a=2"})
        assert found.recipes.of("flask").settings == {"a": ["1", "2"]}
        assert found.recipes.of("six").settings == {"a": ["1", "2"], "b": "2"}
        assert any("requirements.txt:1" in note and "every build" in note for note in found.notes)

    def test_of_two_files_each_adds_what_the_other_does_not_say(self, tmp_path: Path) -> None:
        found = read(tmp_path, {"requirements.txt": "six -C a=1", "requirements-dev.txt": "six -C a=1 -C b=2\nsix>=1"})
        assert found.recipes.of("six").settings == {"a": "1", "b": "2"}

    def test_two_values_of_one_setting_are_an_error_with_both_places(self, tmp_path: Path) -> None:
        told = failure(tmp_path, {"requirements.txt": "x\nSix -C a=1", "requirements-dev.txt": "six>=1 -C a=2"})
        assert "requirements.txt:2" in told and "requirements-dev.txt:1" in told
        assert "a=1" in told and "a=2" in told

    def test_a_constraints_settings_do_nothing_and_that_is_said(self, tmp_path: Path) -> None:
        found = read(tmp_path, {"requirements.txt": "six", "constraints.txt": "six<2 -C a=1"})
        assert found.recipes == Recipes()
        assert any("constraints.txt:1" in note and "does nothing" in note for note in found.notes)

    def test_the_files_of_a_lock_say_how_to_build_what_it_has(self, tmp_path: Path) -> None:
        found = read(tmp_path, {"pylock.toml": PYLOCK, "requirements.txt": "six -C a=1", "requirements-dev.txt": "-C g=1"})
        assert [item.kind for item in found.found if item.used] == ["pylock"]
        assert found.roots == ()
        assert found.recipes.of("six").settings == {"a": "1", "g": "1"}

    def test_a_file_beside_a_lock_that_cannot_be_read_does_no_harm(self, tmp_path: Path) -> None:
        assert read(tmp_path, {"pylock.toml": PYLOCK, "requirements.txt": "-r gone.txt"}).recipes == Recipes()


class TestBuildConstraints:
    def test_they_come_from_files_configuration_and_uv(self, tmp_path: Path) -> None:
        found = read(
            tmp_path,
            {
                "pyproject.toml": PROJECT + '[tool.uv]\nbuild-constraint-dependencies = ["setuptools<80"]\n',
                "hardtack.toml": 'build-constraints = ["wheel<1"]\n',
                "build.txt": f"cython==3.0 --hash=sha256:{'a' * 64}\n-c more.txt\n",
                "more.txt": "meson<2 ; python_version > '3'",
            },
            build_constraint_files=("build.txt",),
        )
        assert [str(root.requirement) for root in found.build_constraints] == [
            "setuptools<80",
            "wheel<1",
            "cython==3.0",
            'meson<2; python_version > "3"',
        ]
        assert found.build_constraints[2].hashes == {f"sha256:{'a' * 64}"}
        assert str(found.build_constraints[1].origin) == "hardtack.toml: build-constraints"
        assert found.constraints == ()
        assert not found.require_hashes
        used = {item.path.name: item.why for item in found.found if item.used}
        assert used["build.txt"] == "build constraints"
        assert used["more.txt"].startswith("build constraints; named in build.txt:2")

    def test_what_the_project_is_built_with_is_installed_as_it_was(self, tmp_path: Path) -> None:
        system = '[build-system]\nrequires = ["Setup_Tools>60", "wheel"]\n'
        constraints = 'build-constraints = ["setup-tools<80", "other<1", "wheel @ https://e.org/wheel-1-py3-none-any.whl"]\n'
        found = read(tmp_path, {"pyproject.toml": PROJECT + system, "hardtack.toml": constraints})
        assert [str(root.requirement) for root in found.build_roots] == ["Setup_Tools>60", "wheel", "setup-tools<80"]
        assert {root.scope for root in found.build_roots} == {"development"}
        assert set(found.build_roots) <= set(found.roots)
        assert str(found.build_roots[2].origin) == "hardtack.toml: build-constraints"
        assert len(found.build_constraints) == 3

    def test_they_ask_for_nothing(self, tmp_path: Path) -> None:
        told = failure(tmp_path, {"requirements.txt": "six", "b.txt": "-r r2.txt", "r2.txt": "wheel"}, build_constraint_files=("b.txt",))
        assert "r2.txt:1" in told and "asks for nothing" in told

    @pytest.mark.parametrize("line", ["--index-url https://e.org/simple", "--no-binary six", "--pre", "-C a=1"])
    def test_their_options_do_nothing_and_that_is_said(self, line: str, tmp_path: Path) -> None:
        found = read(tmp_path, {"requirements.txt": "six", "b.txt": f"{line}\nwheel<1"}, build_constraint_files=("b.txt",))
        plain = read(tmp_path, {"b.txt": "wheel<1"}, build_constraint_files=("b.txt",))
        assert any("b.txt: options" in note for note in found.notes)
        assert not any("b.txt: options" in note for note in plain.notes)
        assert (found.index_options, found.formats, found.prereleases, found.recipes) == (
            plain.index_options,
            plain.formats,
            plain.prereleases,
            plain.recipes,
        )

    def test_one_that_is_not_there_is_an_error(self, tmp_path: Path) -> None:
        assert "gone.txt" in failure(tmp_path, {"requirements.txt": "six"}, build_constraint_files=("gone.txt",))

    def test_extras_are_refused_as_in_any_constraint(self, tmp_path: Path) -> None:
        assert "extras" in failure(tmp_path, {"requirements.txt": "six", "b.txt": "wheel[x]<1"}, build_constraint_files=("b.txt",))


BUILD = """
[build]
timeout = 90
memory = "4 GiB"
disk = 1000000
processes = 50
config-settings = { "--build-option" = ["-a", "-b"], x = "1" }
environment = { CFLAGS = "-O1" }
tools = ["gfortran", "cmake"]

[build.packages.Foo_Bar]
requires = ["numpy<2", { requirement = "Torch", match-runtime = true }]
config-settings = { x = "2" }
environment = { CFLAGS = "-O2", A = "" }
tools = ["cmake", "ninja"]
"""


class TestConfiguration:
    def config(self, folder: Path, text: str, **environment: str) -> Configuration:
        (folder / "hardtack.toml").write_text(text)
        return read_configuration(folder, environment={**NO_USER, **environment})

    def test_every_key_is_read(self, tmp_path: Path) -> None:
        found = self.config(tmp_path, BUILD)
        assert found.recipes.limits == BuildLimits(timeout=90, memory=4 << 30, disk=1_000_000, processes=50)
        assert found.recipes.of("six") == Recipe(
            config=(("--build-option", ("-a", "-b")), ("x", ("1",))), variables=(("CFLAGS", "-O1"),), tools=("gfortran", "cmake")
        )
        assert found.recipes.of("foo-bar") == Recipe(
            config=(("--build-option", ("-a", "-b")), ("x", ("2",))),
            requires=(Requirement("numpy<2"), Requirement("Torch")),
            match_runtime=("torch",),
            variables=(("CFLAGS", "-O2"), ("A", "")),
            tools=("gfortran", "cmake", "ninja"),
        )
        assert str(found.origins["build.timeout"]) == "hardtack.toml: build.timeout"
        assert "build.packages.foo-bar.requires" in found.origins

    def test_pyproject_says_the_same(self, tmp_path: Path) -> None:
        text = BUILD.replace("[build", "[tool.hardtack.build")
        (tmp_path / "pyproject.toml").write_text(text)
        found = read_configuration(tmp_path, environment=NO_USER)
        assert found.recipes == self.config_of(BUILD, tmp_path / "other")
        assert str(found.origins["build.memory"]) == "pyproject.toml: tool.hardtack.build.memory"

    def config_of(self, text: str, folder: Path) -> Recipes:
        folder.mkdir()
        return self.config(folder, text).recipes

    def test_each_key_of_it_is_layered_for_itself(self, tmp_path: Path) -> None:
        user = tmp_path / "user.toml"
        user.write_text(
            "[build]\ntimeout = 1\nmemory = 5\ntools = ['a']\nprocesses = 9\n[build.packages.six]\ntools = ['t']\nrequires = ['x']\n"
        )
        found = self.config(
            tmp_path,
            "[build]\ntimeout = 2\ntools = ['b']\ndisk = 7\n[build.packages.Six]\nrequires = ['y']\n",
            HARDTACK_CONFIG_FILE=str(user),
            HARDTACK_BUILD_DISK="8 kB",
            HARDTACK_BUILD_PROCESSES="3",
        )
        assert found.recipes.limits == BuildLimits(timeout=2, memory=5, disk=8000, processes=3)
        assert found.recipes.everywhere.tools == ("b",)
        assert found.recipes.own == {"six": Recipe(requires=(Requirement("y"),), tools=("t",))}
        assert str(found.origins["build.disk"]) == "HARDTACK_BUILD_DISK"
        assert str(found.origins["build.memory"]) == f"{user}: build.memory"

    def test_variables_of_their_own(self, tmp_path: Path) -> None:
        found = self.config(
            tmp_path,
            "",
            HARDTACK_BUILD_TIMEOUT="1.5",
            HARDTACK_BUILD_MEMORY="1 MiB",
            HARDTACK_BUILD_TOOLS="cmake, ninja",
            HARDTACK_BUILD_JOBS="3",
            HARDTACK_BUILD_CONSTRAINTS="a>1,<2 ;; b",
            HARDTACK_BUILD_TWICE="yes",
            HARDTACK_WITH_SDISTS="1",
            HARDTACK_KEEP_FOREIGN="no",
            HARDTACK_BUILD_ROOT=str(tmp_path),
        )
        assert found.recipes == Recipes(everywhere=Recipe(tools=("cmake", "ninja")), limits=BuildLimits(timeout=1.5, memory=1 << 20))
        assert (found.build_jobs, found.build_constraints, found.build_twice) == (3, ("a>1,<2", "b"), True)
        assert (found.with_sdists, found.keep_foreign, found.build_root) == (True, False, tmp_path)

    def test_what_a_project_wants_of_its_builds(self, tmp_path: Path) -> None:
        text = 'build-jobs = 2\nbuild-root = "../root"\nbuild-twice = true\nkeep-foreign = true\nwith-sdists = true\n'
        found = self.config(tmp_path, text)
        assert (found.build_jobs, found.build_twice, found.keep_foreign, found.with_sdists) == (2, True, True, True)
        assert found.build_root is not None and found.build_root.resolve() == tmp_path.parent / "root"

    def test_everything_wrong_is_told_at_once_with_the_nearest_key(self, tmp_path: Path) -> None:
        text = """
        build-jobs = 0
        build-jbos = 1
        [build]
        timeuot = 1
        timeout = -1
        memory = "4 G"
        disk = true
        processes = 1.5
        tools = ["/usr/bin/cc"]
        environment = { "A=B" = "x" }
        config-settings = { a = 1 }
        [build.packages."not a name"]
        [build.packages.a]
        require = ["x"]
        requires = ["x >"]
        timeout = 1
        [build.packages.b]
        requires = [{ requirement = "torch>2", match-runtime = true }]
        [build.packages.B]
        """
        with pytest.raises(UsageError) as caught:
            self.config(tmp_path, text)
        lines = caught.value.reason.splitlines()[1:]
        wanted = [
            "build-jobs is not a whole number",
            "build-jbos; did you mean 'build-jobs'",
            "build.timeuot is unknown; did you mean 'timeout'",
            "build.timeout is not a number of seconds",
            'build.memory is neither a number of bytes nor a size such as "4 GiB"',
            "build.disk is neither",
            "build.processes is not a whole number",
            "build.tools has '/usr/bin/cc'",
            "build.environment has 'A=B'",
            "build.config-settings has a = 1",
            "build.packages.not a name is not the name of a package",
            "build.packages.a.require is unknown; did you mean 'requires'",
            "build.packages.a.requires has 'x >', which is not a requirement",
            "build.packages.a.timeout is unknown",
            "build.packages.b.requires has 'torch>2' with match-runtime",
            "build.packages.B is a second table of b",
        ]
        assert len(lines) == len(wanted)
        for text in wanted:
            assert any(text in line for line in lines), text

    @pytest.mark.parametrize("text", ["build = 1", "[build]\npackages = []", "[build.packages]\nsix = 1"])
    def test_what_is_no_table_is_an_error(self, text: str, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="is not a table"):
            self.config(tmp_path, text)


@pytest.mark.parametrize(
    ("value", "size"),
    [(1, 1), ("1", 1), ("1 B", 1), ("2kB", 2000), ("2 KiB", 2048), ("1.5 MiB", 3 << 19), ("4 gib", 4 << 30), ("1 TB", 10**12)],
)
def test_sizes(value: object, size: int) -> None:
    assert read_size(value) == size


@pytest.mark.parametrize("value", [0, -1, True, 1.5, "", "GiB", "4 G", "4 PiB", "-4 GiB", "0 GiB", "1e9", None, "4 Gi B", [1]])
def test_what_is_no_size(value: object) -> None:
    with pytest.raises(ValueError, match="is n"):
        read_size(value)


@pytest.mark.parametrize("value", [0, -1, True, "x", "", None, float("inf"), float("nan"), 10**400, [1]])
def test_what_is_no_time(value: object) -> None:
    with pytest.raises(ValueError, match="seconds"):
        read_seconds(value)


@pytest.mark.parametrize("name", ["", "a/b", "..", "clang*", "a\\b", "a\0"])
def test_what_is_no_program(name: str) -> None:
    with pytest.raises(ValueError, match="plain name"):
        read_tools([name])


UV = """
[tool.uv]
config-settings = { editable_mode = "compat", "--build-option" = ["-a", "-b"] }
no-binary-package = ["Lxml"]
no-build-package = ["torch"]

[tool.uv.config-settings-package]
Num_Py = { editable_mode = "strict", blas = "none" }

[tool.uv.extra-build-dependencies]
cchardet = ["cython<4", { requirement = "wheel", match-runtime = false }]
"Deep.Speed" = [{ requirement = "Torch[x] ; sys_platform == 'linux'", match-runtime = true }]

[tool.uv.extra-build-variables]
flash_attn = { FLASH_ATTENTION_SKIP_CUDA_BUILD = "TRUE" }
"""


class TestUv:
    def test_its_settings_are_read(self, tmp_path: Path) -> None:
        found = read(tmp_path, {"pyproject.toml": PROJECT + UV})
        assert found.recipes.everywhere == Recipe(config=(("editable_mode", ("compat",)), ("--build-option", ("-a", "-b"))))
        assert found.recipes.own == {
            "num-py": Recipe(config=(("editable_mode", ("strict",)), ("blas", ("none",)))),
            "cchardet": Recipe(requires=(Requirement("cython<4"), Requirement("wheel"))),
            "deep-speed": Recipe(requires=(Requirement("Torch[x] ; sys_platform == 'linux'"),), match_runtime=("torch",)),
            "flash-attn": Recipe(variables=(("FLASH_ATTENTION_SKIP_CUDA_BUILD", "TRUE"),)),
        }
        assert found.formats == FormatControl(no_binary=frozenset({"lxml"}), only_binary=frozenset({"torch"}))

    @pytest.mark.parametrize("asked", [{"requirements": ("six",)}, {"requirement_files": ("r.txt",)}])
    def test_they_hold_for_whatever_is_asked_for_in_the_folder(self, asked: dict[str, Any], tmp_path: Path) -> None:
        found = read(tmp_path, {"pyproject.toml": PROJECT + UV, "r.txt": "six"}, **asked)
        assert [root.requirement.name for root in found.roots] == ["six"]
        assert found.recipes.own["flash-attn"].variables
        assert found.formats.no_binary == {"lxml"}

    def test_what_else_is_wrong_in_the_folder_is_nobodys_business_then(self, tmp_path: Path) -> None:
        broken = '[project]\nname = "x"\nversion = "1"\ndependencies = ["!"]\n[dependency-groups]\na = [1]\n' + UV
        found = read(tmp_path, {"pyproject.toml": broken + '[[tool.uv.index]]\nurl="https://e.org"\n'}, requirements=("six",))
        assert "num-py" in found.recipes.own

    def test_a_file_of_settings_alone(self, tmp_path: Path) -> None:
        found = read(tmp_path, {"pyproject.toml": UV, "requirements.txt": "six"})
        assert "num-py" in found.recipes.own
        assert [item.why for item in found.found if item.path.name == "pyproject.toml"] == [
            "it states no dependencies, only settings of tools; those of building are obeyed"
        ]

    def test_a_uv_toml_takes_their_place(self, tmp_path: Path) -> None:
        files = {"pyproject.toml": PROJECT + UV, "uv.toml": 'no-binary-package = ["six"]\n[extra-build-variables]\na = { B = "1" }\n'}
        found = read(tmp_path, files)
        assert found.recipes == Recipes(own={"a": Recipe(variables=(("B", "1"),))})
        assert found.formats.no_binary == {"six"}

    def test_a_uv_toml_beside_nothing_but_requirements(self, tmp_path: Path) -> None:
        found = read(tmp_path, {"requirements.txt": "six", "uv.toml": '[config-settings]\na = "1"\n'})
        assert found.recipes.of("six").settings == {"a": "1"}
        (tmp_path / "uv.toml").write_text("[config-settings]\na = 1\n")
        assert "uv.toml: config-settings" in failure(tmp_path, {})

    def test_of_a_workspace_the_root_says_it(self, tmp_path: Path) -> None:
        root = '[tool.uv.workspace]\nmembers = ["a"]\n[tool.uv.config-settings]\nx = "1"\n'
        lay(tmp_path, {"pyproject.toml": root})
        found = read(tmp_path / "a", {"pyproject.toml": PROJECT + '[tool.uv.config-settings]\nx = "2"\n'})
        assert found.recipes.of("six").settings == {"x": "1"}
        (tmp_path / "pyproject.toml").write_text(root.replace('"1"', "1"))
        assert f"{tmp_path}/pyproject.toml: tool.uv.config-settings" in failure(tmp_path / "a", {})

    def test_sources_say_where_what_is_required_comes_from(self, tmp_path: Path) -> None:
        text = PROJECT + (
            '[tool.uv.extra-build-dependencies]\nsix = ["helper", "other", { requirement = "held", match-runtime = true }, "plain>1"]\n'
            '[tool.uv.sources]\nhelper = { path = "helper" }\nother = { index = "corp" }\nheld = { path = "helper" }\n'
        )
        found = read(tmp_path, {"pyproject.toml": text, "helper/pyproject.toml": '[project]\nname = "helper"\nversion = "1"\n'})
        helper = Requirement(f"helper @ {(tmp_path / 'helper').as_uri()}")
        assert found.recipes.own["six"].requires == (helper, Requirement("other"), Requirement("held"), Requirement("plain>1"))
        assert any("tool.uv.sources.other" in note for note in found.notes)
        assert not any("helper" in note for note in found.notes)

    @pytest.mark.parametrize(
        ("text", "word"),
        [("no-build-isolation = true", "no-build-isolation is"), ('no-build-isolation-package = ["a"]', "no-build-isolation-package (a)")],
    )
    def test_what_is_not_obeyed_is_said(self, text: str, word: str, tmp_path: Path) -> None:
        found = read(tmp_path, {"pyproject.toml": f"{PROJECT}[tool.uv]\n{text}\n"})
        assert any(f"tool.uv.{word}" in note and "not obeyed" in note for note in found.notes)
        assert not any("isolation" in note for note in read(tmp_path, {"pyproject.toml": PROJECT}).notes)

    @pytest.mark.parametrize(
        "setting",
        [
            "config-settings = { a = true }",
            "config-settings = { a = [1] }",
            'config-settings = "a=b"',
            "config-settings-package = { a = { b = 1 } }",
            'config-settings-package = { "a b" = { b = "1" } }',
            'extra-build-dependencies = { a = "torch" }',
            'extra-build-dependencies = { a = [{ requirement = "torch" }] }',
            "extra-build-dependencies = { a = [{ match-runtime = true }] }",
            'extra-build-dependencies = { a = ["torch >"] }',
            "extra-build-variables = { a = { B = 1 } }",
            'no-binary-package = "six"',
        ],
    )
    def test_what_uv_cannot_read_is_an_error(self, setting: str, tmp_path: Path) -> None:
        told = failure(tmp_path, {"pyproject.toml": f"{PROJECT.replace('flask', 'proj')}[tool.uv]\n{setting}\n"})
        assert f"pyproject.toml: tool.uv.{setting.partition(' ')[0]}" in told
        assert "TOML parse error" in self.uv_says(tmp_path)  # the oracle

    @pytest.mark.parametrize("setting", [f"[{text}" for text in UV.strip().removeprefix("[").split("\n[")])
    def test_what_is_read_here_uv_reads(self, setting: str, tmp_path: Path) -> None:
        text = PROJECT.replace('["flask"]', "[]") + setting + "\n"
        read(tmp_path, {"pyproject.toml": text})
        assert "TOML parse error" not in self.uv_says(tmp_path)  # the oracle

    @staticmethod
    def uv_says(folder: Path) -> str:
        command = [find_uv_bin(), "lock", "--offline", "--no-cache", "--no-python-downloads", "--python", sys.executable]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False).stderr


def test_the_command_line_beats_files_beat_configuration_beats_uv(tmp_path: Path) -> None:
    files = {
        "pyproject.toml": PROJECT + '[tool.uv]\nconfig-settings = { A = "uv", B = "uv", C = "uv", D = "uv" }\n'
        '[tool.uv.config-settings-package]\nsix = { a = "uv", b = "uv", c = "uv", d = "uv" }\n'
        '[tool.uv.extra-build-dependencies]\nsix = ["x"]\n',
        "hardtack.toml": '[build]\nconfig-settings = { B = "ours", C = "ours", D = "ours" }\n'
        '[build.packages.six]\nconfig-settings = { b = "ours", c = "ours", d = "ours" }\nrequires = ["y"]\n',
        "requirements.txt": "six -C c=file -C d=file\n-C C=file\n-C D=file",
    }
    found = read(tmp_path, files, config_settings=("six:d=flag", "D=flag"))
    everywhere = {"A": "uv", "B": "ours", "C": "file", "D": "flag"}
    assert found.recipes.of("flask").settings == everywhere
    assert found.recipes.of("six").settings == {**everywhere, "a": "uv", "b": "ours", "c": "file", "d": "flag"}
    assert found.recipes.of("six").requires == (Requirement("x"), Requirement("y"))


def test_layers_keep_what_none_above_them_says() -> None:
    below = Recipes(own={"a": Recipe(tools=("x",), variables=(("A", "1"), ("B", "1")))}, limits=BuildLimits(timeout=1, memory=2))
    above = Recipes(own={"a": Recipe(tools=("y", "x"), variables=(("B", "2"),))}, limits=BuildLimits(timeout=3))
    assert layered([below, above]) == Recipes(
        own={"a": Recipe(tools=("x", "y"), variables=(("A", "1"), ("B", "2")))}, limits=BuildLimits(timeout=3, memory=2)
    )
    assert layered([]) == Recipes()
    assert layered([below]) == below

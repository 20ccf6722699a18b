"""What goes into a build is found out in rounds, known by one key, and told by its record."""

from __future__ import annotations

import hashlib
import platform
import sys
import zipfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from hardtack.building.build import bench as open_bench
from hardtack.building.build import prepare_metadata
from hardtack.building.built import built_before, remember
from hardtack.building.compilers import compilers_here
from hardtack.building.environment import BuildRequirementFault, Environments
from hardtack.building.faults import BadBackend, RecipeFault
from hardtack.building.interpreter import Interpreter, ask
from hardtack.building.repair import Repairer
from hardtack.building.sandbox import Unconfined
from hardtack.building.workshop import Asker, Tool
from hardtack.errors import BuildFault, HardtackError
from hardtack.model.recipe import Recipe
from tests.building.compiled import compiled_source, needs_compiler
from tests.building.projects import Bench, Source, build, source, wheel_folder
from tests.support.supplies import FolderSupply

none = pytest.mark.parametrize("sandbox", ["none"], indirect=True)

# Says in the log that it ran: how often it did is seen there alone.
ASKS = "def get_requires_for_build_wheel(config=None):\n    print('asked for more')\n    return {}\n"
MARKS = "def get_requires_for_build_wheel(config=None):\n    open({!r}, 'a').write('x')\n    return {}\n"


def entered(
    bench: Bench,
    source: Source,
    recipe: Recipe = Recipe(),  # noqa: B008 (frozen)
    *,
    environments: Environments | None = None,
    **more: Any,
) -> tuple[str, list[str], list[str]]:
    """A bench's key, what it asked for, and the files that its tools are."""
    python = ask(bench.python)
    with open_bench(
        source.facts, source.path, shop=bench.shop(**more), interpreter=python, recipe=recipe, environments=environments
    ) as made:
        return made.key, [str(one) for one in made.requires], [tool.filename for tool in made.tools]


@none
def test_all_that_was_asked_for_each_once_and_sorted(bench: Bench, tmp_path: Path) -> None:
    wheel_folder(bench.links, ("one", "1.0", {}), ("two", "2.0", {}), ("three", "3.0", {}))
    supply = FolderSupply(bench.links)
    asking = source(tmp_path, ASKS.format("['two>=2', 'One', 'three; python_version < \"3\"']"), requires=["two", "one"])
    _, requires, tools = entered(bench, asking, Recipe(requires=(Requirement("three"),)), supply=supply)
    assert requires == ["One", "one", "three", "two", "two>=2"] or requires == ["one", "three", "two", "two>=2"]
    assert tools == ["one-1.0-py3-none-any.whl", "three-3.0-py3-none-any.whl", "two-2.0-py3-none-any.whl"]
    # What is there already is not asked for again.
    assert supply.asked == [(Asker(filename=asking.facts.filename, sha256=asking.facts.sha256), ["one", "three", "two"])]


@none
@pytest.mark.parametrize(
    ("wanted", "rounds"),
    [
        ("[]", 1),
        ("['tool']", 1),
        ("['Tool>=1,<2']", 1),
        ("['tool>=2']", 2),
        ("['tool[more]']", 2),
        ("['other']", 2),
        ("['other; python_version < \"3\"']", 1),
        ("['other; sys_platform == \"never\"']", 1),
        (f"['other; python_full_version == \"{platform.python_version()}\"']", 2),
        ("['other; extra == \"x\"']", 1),
    ],
)
def test_another_round_only_for_what_is_not_there(bench: Bench, tmp_path: Path, wanted: str, rounds: int) -> None:
    wheel_folder(bench.links, ("tool", "1.0", {}), ("other", "1.0", {}))
    supply = FolderSupply(bench.links)
    asking = source(tmp_path, ASKS.format(wanted), requires=["tool"])
    if "tool>=2" in wanted:
        with pytest.raises(BuildRequirementFault, match="tool"):
            entered(bench, asking, supply=supply)
    else:
        entered(bench, asking, supply=supply)
    assert len(supply.asked) == rounds
    assert all(asked[0] == Asker(filename=asking.facts.filename, sha256=asking.facts.sha256) for asked in supply.asked)
    if rounds == 2:
        assert len(supply.asked[1][1]) == 2, "a round is asked for all, not for what is new"


@none
def test_markers_are_judged_in_the_interpreter_that_builds(bench: Bench, tmp_path: Path) -> None:
    asking = source(tmp_path, ASKS.format("['tool; python_version == \"3.7\"', 'never; implementation_name == \"cpython\"']"))
    wheel_folder(bench.links, ("tool", "1.0", {}))
    other = replace(ask(bench.python), implementation="pypy", version=ask(bench.python).version.__class__("3.7.1"))
    supply = FolderSupply(bench.links)
    with open_bench(asking.facts, asking.path, shop=bench.shop(supply=supply), interpreter=other) as made:
        assert [str(one) for one in made.requires] == ['tool; python_version == "3.7"']


def test_a_second_run_runs_nothing_to_know_its_key(bench: Bench, tmp_path: Path) -> None:
    wheel_folder(bench.links, ("tool", "1.0", {}), ("late", "1.0", {}))
    count = bench.work.parent / "count"
    asking = source(tmp_path, "print('it runs')\n" + ASKS.format("['late']"), requires=["tool"])
    if bench.sandbox.name == "none":
        asking = source(tmp_path, MARKS.format(str(count), "['late']"), requires=["tool"])
    first = entered(bench, asking)
    assert first[1:] == (["late", "tool"], ["late-1.0-py3-none-any.whl", "tool-1.0-py3-none-any.whl"])
    ran = count.read_text() if count.exists() else ""
    # The source is not even unpacked: there is nothing there to unpack.
    bench.work = tmp_path / "elsewhere"
    assert entered(bench, replace(asking, path=tmp_path / "absent.tar.gz")) == first
    assert (count.read_text() if count.exists() else "") == ran
    # And builds, from a fresh tree.
    assert sorted(build(bench, asking).record.requires) == ["late==1.0", "tool==1.0"]


@none
def test_metadata_is_asked_for_once(bench: Bench, tmp_path: Path) -> None:
    count = tmp_path / "count"
    more = (
        "def prepare_metadata_for_build_wheel(d, *_):\n"
        f"    open({str(count)!r}, 'a').write('x')\n"
        "    os.mkdir(os.path.join(d, 'mini-1.0.dist-info'))\n"
        "    text = metadata() + '\\nRequires-Dist: of-the-description\\n'\n"
        "    open(os.path.join(d, 'mini-1.0.dist-info', 'METADATA'), 'w').write(text)\n"
        "    return 'mini-1.0.dist-info'\n"
    )
    told = source(tmp_path, more)
    first = prepare_metadata(told.facts, told.path, shop=bench.shop())
    assert sorted(first.requires) == ["click>=8", 'rich; extra == "nice"']
    assert prepare_metadata(told.facts, told.path, shop=bench.shop()) == first
    assert count.read_text() == "x"
    assert prepare_metadata(told.facts, told.path, shop=bench.shop(), recipe=Recipe(variables=(("X", "1"),))) == first
    assert count.read_text() == "xx"
    # A note that somebody damaged, or that is of another project, is not believed.
    for note in (bench.cache / "described").iterdir():
        note.write_bytes(note.read_bytes()[:-9])
    assert prepare_metadata(told.facts, told.path, shop=bench.shop()) == first
    assert count.read_text() == "xxx"


@none
def test_other_tools_are_another_question(bench: Bench, tmp_path: Path) -> None:
    wheel_folder(bench.links, ("tool", "1.0", {}))
    count = tmp_path / "count"
    asking = source(tmp_path, MARKS.format(str(count), "[]"), requires=["tool"])
    entered(bench, asking)
    entered(bench, asking)
    assert count.read_text() == "x"
    wheel_folder(bench.links, ("tool", "1.1", {}))
    entered(bench, asking)
    assert count.read_text() == "xx"
    entered(bench, asking, Recipe(config=(("x", ("1",)),)))
    assert count.read_text() == "xxx"
    with pytest.raises(BuildFault):
        entered(bench, source(tmp_path, MARKS.format(str(count), "[]") + "raise SystemExit(1)\n", requires=["tool"]))
    assert not list(bench.cache.glob("asked/*")) or count.read_text() == "xxx"


@none
def test_everything_that_goes_in_changes_the_key(bench: Bench, tmp_path: Path) -> None:
    wheel_folder(bench.links, ("tool", "1.0", {}), ("more", "1.0", {}))
    plain = source(tmp_path, requires=["tool"])
    with Environments(bench.shop()) as environments:
        _every_key(bench, tmp_path, plain, environments)


def _every_key(bench: Bench, tmp_path: Path, plain: Source, environments: Environments) -> None:
    known = partial(entered, environments=environments)
    keys = {"plain": known(bench, plain)[0]}
    keys["config"] = known(bench, plain, Recipe(config=(("x", ("1",)),)))[0]
    keys["config-value"] = known(bench, plain, Recipe(config=(("x", ("2",)),)))[0]
    keys["config-list"] = known(bench, plain, Recipe(config=(("x", ("1", "2")),)))[0]
    keys["variable"] = known(bench, plain, Recipe(variables=(("x", "1"),)))[0]
    keys["variable-value"] = known(bench, plain, Recipe(variables=(("x", "2"),)))[0]
    keys["program"] = known(bench, plain, Recipe(tools=("sh",)))[0]
    keys["programs"] = known(bench, plain, Recipe(tools=("cat", "sh")))[0]
    keys["recipe-requires"] = known(bench, plain, Recipe(requires=(Requirement("more"),)))[0]
    # What satisfies both is the same; what was asked for is not.
    keys["recipe-says-more"] = known(bench, plain, Recipe(requires=(Requirement("tool>=1"),)))[0]
    keys["epoch"] = known(bench, plain, source_date_epoch=1)[0]
    keys["compiler"] = known(bench, plain, compilers=lambda: {"cc": "cc 1"})[0]
    keys["other-compiler"] = known(bench, plain, compilers=lambda: {"cc": "cc 2"})[0]
    keys["repairer"] = known(bench, plain, repairer=Repairer(name="r", version="1", site=tmp_path))[0]
    keys["other-repairer"] = known(bench, plain, repairer=Repairer(name="r", version="2", site=tmp_path))[0]
    (tmp_path / "changed").mkdir()
    keys["source"] = known(bench, source(tmp_path / "changed", "# changed\n", requires=["tool"]))[0]
    keys["backend-path"] = known(bench, replace(plain, facts=replace(plain.facts, backend_path=(".", "."))))[0]

    class Stronger(Unconfined):
        @property
        def name(self) -> str:
            return "stronger"

    keys["sandbox"] = known(bench, plain, sandbox=Stronger(why=""))[0]
    interpreter = ask(bench.python)
    for name, other in {
        "patch": replace(interpreter, version=interpreter.version.__class__(f"{platform.python_version()}.post1")),
        "threads": replace(interpreter, free_threaded=not interpreter.free_threaded),
        "libc": replace(interpreter, libc_version=(2, 1)),
    }.items():
        with open_bench(plain.facts, plain.path, shop=bench.shop(), interpreter=other) as made:
            keys[name] = made.key
    wheel_folder(bench.links, ("tool", "1.0", {"tool/changed.py": b"1"}))
    keys["tool"] = known(bench, plain)[0]
    same = [(one, two) for one in keys for two in keys if one < two and keys[one] == keys[two]]
    assert same == []
    # Neither where it happens, nor how fast, nor in which order it was said.
    wheel_folder(bench.links, ("tool", "1.0", {}))
    bench.work, bench.cache = tmp_path / "elsewhere", tmp_path / "other-cache"
    assert known(bench, plain, cores=7)[0] == keys["plain"]
    both = Recipe(config=(("b", ("1",)), ("a", ("2",))), variables=(("B", "1"), ("A", "2")), tools=("sh", "cat"))
    turned = Recipe(config=both.config[::-1], variables=both.variables[::-1], tools=both.tools[::-1])
    assert known(bench, plain, both)[0] == known(bench, plain, turned)[0]


SEES = (
    "SEEN = []\n"
    "def get_requires_for_build_wheel(config=None):\n    assert config == WANTED, config\n    return []\n"
    "def build_wheel(d, config=None, metadata=None, plain=build_wheel):\n"
    "    assert config == WANTED, config\n"
    "    assert os.environ['WITH_X'] == 'yes please', os.environ\n"
    "    assert __import__('shutil').which('git') == (os.environ['PATH'].split(':')[-1] + '/git')\n"
    "    import extra\n"
    "    return plain(d)\n"
    "def prepare_metadata_for_build_wheel(d, config=None):\n"
    "    assert config == WANTED, config\n"
    "    os.mkdir(os.path.join(d, 'mini-1.0.dist-info'))\n"
    "    open(os.path.join(d, 'mini-1.0.dist-info', 'METADATA'), 'w').write(metadata())\n"
    "    return 'mini-1.0.dist-info'\n"
)
FULL = Recipe(
    config=(("--global-option", ("a", "b")), ("editable_mode", ("strict",))),
    requires=(Requirement("extra>=1"),),
    variables=(("WITH_X", "yes please"),),
    tools=("git",),
)


def test_a_recipe_reaches_every_hook_and_the_record(bench: Bench, tmp_path: Path) -> None:
    if not Path("/usr/bin/git").exists():
        pytest.skip("no git here to declare")
    wheel_folder(bench.links, ("extra", "1.5", {"extra.py": b""}))
    wanted = {"--global-option": ["a", "b"], "editable_mode": "strict"}
    careful = source(tmp_path, f"WANTED = {wanted!r}\n{SEES}")
    built = build(bench, careful, recipe=FULL)
    assert sorted(built.record.requires) == ["extra==1.5"]
    assert built.record.config == {"--global-option": ("a", "b"), "editable_mode": ("strict",)}
    assert built.record.variables == {"WITH_X": "yes please"}
    assert built.record.programs == {"git": hashlib.sha256(Path("/usr/bin/git").resolve().read_bytes()).hexdigest()}
    assert str(tmp_path) not in repr(built.record) and str(bench.python) not in repr(built.record)
    answer = prepare_metadata(careful.facts, careful.path, shop=bench.shop(), recipe=FULL)
    assert answer.version == careful.facts.version
    plain = build(bench, source(tmp_path)).record
    assert (plain.config, plain.variables, plain.programs, plain.compilers) == (None, None, None, None)


@none
@pytest.mark.parametrize(
    "name", ["PATH", "HOME", "TMPDIR", "tmp", "SOURCE_DATE_EPOCH", "PYTHONHASHSEED", "_PYPROJECT_HOOKS_BUILD_BACKEND", "A=B", ""]
)
def test_what_hardtack_sets_is_not_for_a_recipe(bench: Bench, tmp_path: Path, name: str) -> None:
    with pytest.raises(RecipeFault) as caught:
        entered(bench, source(tmp_path), Recipe(variables=((name, "x"),)))
    assert caught.value.where == "mini-1.0.tar.gz"
    assert repr(name) in str(caught.value) or name in str(caught.value)


@none
def test_no_variable_of_a_build_is_for_a_recipe_but_how_much_goes_on_at_once(bench: Bench, tmp_path: Path) -> None:
    """Told by a build, so that a variable which is set some day cannot be forgotten."""
    said = source(tmp_path, "REQUIRES = []\ndef metadata(plain=metadata):\n    return plain() + 'Summary: %s\\n' % ' '.join(os.environ)\n")
    with zipfile.ZipFile(build(bench, said).path) as archive:
        [line] = [line for line in archive.read("mini-1.0.dist-info/METADATA").decode().splitlines() if line.startswith("Summary")]
    for name in set(line.split()[1:]) - {"PWD", "SHLVL", "_", "LC_CTYPE"}:
        if name in ("MAX_JOBS", "CMAKE_BUILD_PARALLEL_LEVEL", "CARGO_BUILD_JOBS"):
            continue
        with pytest.raises(RecipeFault):
            entered(bench, said, Recipe(variables=((name, "x"),)))


@none
@pytest.mark.parametrize("name", ["no-such-program", "/bin/sh", "../sh", "*", "", "."])
def test_a_declared_program_that_is_not_there(bench: Bench, tmp_path: Path, name: str) -> None:
    with pytest.raises(RecipeFault, match="no such program"):
        entered(bench, source(tmp_path), Recipe(tools=(name,)))
    assert not [path for path in bench.work.rglob("*") if path.is_file()]


@none
def test_a_recipe_may_say_how_much_goes_on_at_once(bench: Bench, tmp_path: Path) -> None:
    looks = (
        "def build_wheel(d, *_, plain=build_wheel):\n"
        "    assert {0} == (os.environ['MAX_JOBS'], os.environ['CMAKE_BUILD_PARALLEL_LEVEL'])\n"
        "    return plain(d)\n"
    )
    build(bench, source(tmp_path, looks.format(("3", "3"))), cores=3)
    build(bench, source(tmp_path, looks.format(("1", "3"))), cores=3, recipe=Recipe(variables=(("MAX_JOBS", "1"),)))


class Blocked(HardtackError):
    """What a scheduler raises to build something else first."""

    slug = "blocked"


@none
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("error", [Blocked("wait"), BuildRequirementFault("not here"), KeyError("x"), BuildFault("other")])
def test_what_supply_raises_passes_untouched_and_nothing_stays(bench: Bench, tmp_path: Path, error: Exception, late: bool) -> None:
    wheel_folder(bench.links, ("tool", "1.0", {}))

    def supply(asker: Asker, requires: Sequence[Requirement], interpreter: Interpreter) -> Sequence[Tool]:
        if late and len(requires) == 1:
            return FolderSupply(bench.links)(asker, requires, interpreter)
        raise error

    with pytest.raises(type(error)) as caught:
        entered(bench, source(tmp_path, ASKS.format("['more']"), requires=["tool"]), supply=supply)
    assert caught.value is error
    assert getattr(error, "where", None) is None
    assert list(bench.work.iterdir()) == []


def test_benches_share_an_environment_and_cannot_change_it(bench: Bench, tmp_path: Path) -> None:
    wheel_folder(bench.links, ("tool", "1.0", {"tool.py": b"x = 1\n"}))
    leaves = (
        "def build_wheel(d, *_, plain=build_wheel):\n"
        "    import tool\n"
        "    try:\n        open(os.path.join(os.path.dirname(tool.__file__), 'left.py'), 'w').close()\n"
        "    except OSError:\n        pass\n"
        "    return plain(d)\n"
    )
    looks = (
        "def build_wheel(d, *_, plain=build_wheel):\n"
        "    import tool\n"
        "    try:\n        import left\n"
        "    except ImportError:\n        return plain(d)\n"
        "    raise SystemExit('saw what another build left')\n"
    )
    (tmp_path / "second").mkdir()
    # Where there is no sandbox, nothing keeps a build from anything.
    looks = looks if bench.sandbox.name != "none" else ""
    first, second = source(tmp_path, leaves, requires=["tool"]), source(tmp_path / "second", looks, requires=["tool"])
    shop = bench.shop()
    with Environments(shop) as environments:

        def made() -> list[Path]:
            return [path for place in (bench.work, bench.cache / "environments") if place.is_dir() for path in place.rglob("pyvenv.cfg")]

        build(bench, first, environments=environments)
        there = made()
        build(bench, second, environments=environments)
        assert made() == there
        assert len(there) == 1
        # Where nothing keeps a build from changing it, it goes with the run.
        assert (bench.cache in there[0].parents) is (bench.sandbox.name != "none")
    assert not list(bench.work.glob(".hardtack-environments*"))
    assert made() == (there if bench.sandbox.name != "none" else [])


def test_a_source_that_a_question_touched_is_unpacked_again(bench: Bench, tmp_path: Path) -> None:
    """Even where size and times are put back: what the wheel has is what the archive has."""
    touches = (
        "def _touch():\n"
        "    state = os.stat('PKG-INFO')\n"
        "    with open('PKG-INFO', 'r+b') as stream:\n        stream.write(b'TOUCHED')\n"
        "    os.utime('PKG-INFO', ns=(state.st_atime_ns, state.st_mtime_ns))\n"
        "def get_requires_for_build_wheel(config=None):\n    _touch()\n    return []\n"
        "def build_wheel(d, *_, plain=build_wheel):\n"
        "    assert not open('PKG-INFO', 'rb').read().startswith(b'TOUCHED'), 'what a question left'\n"
        "    return plain(d)\n"
    )
    wheel = build(bench, source(tmp_path, touches)).path
    assert list(bench.work.iterdir()) == [wheel.parent]


def test_a_source_that_no_question_touched_is_unpacked_once(bench: Bench, tmp_path: Path) -> None:
    asking = source(tmp_path, ASKS.format("[]"))
    with open_bench(asking.facts, asking.path, shop=bench.shop(), interpreter=ask(bench.python)) as made:
        left = [path for path in bench.work.iterdir() if path.name.startswith(".hardtack-source-")]
        # Landlock as root hands the tree to a user that nobody is, which is a change.
        if bench.sandbox.name != "landlock+seccomp":
            assert len(left) == 1
        asking.path.rename(tmp_path / "gone.tar.gz")
        if left:
            made.wheel()
    assert not left or not left[0].exists()
    assert all(path.name.startswith(".hardtack-wheel-") for path in bench.work.iterdir())


def test_many_at_once(bench: Bench, tmp_path: Path) -> None:
    """From several threads, with tools that they share and tools of their own."""
    wheel_folder(
        bench.links, ("tool", "1.0", {"tool.py": b""}), *((f"own{number}", "1.0", {f"own{number}.py": b""}) for number in range(2))
    )
    supply = FolderSupply(bench.links)
    sources = []
    for number in range(4):
        (tmp_path / str(number)).mkdir()
        asks = ASKS.format(f"['own{number % 2}']")
        needs = f"def build_wheel(d, *_, plain=build_wheel):\n    import tool, own{number % 2}\n    return plain(d)\n# {number}\n"
        sources.append(source(tmp_path / str(number), asks + needs, requires=["tool"]))
    with Environments(bench.shop()) as environments, ThreadPoolExecutor(4) as pool:
        built = list(pool.map(lambda one: build(bench, one, environments=environments, supply=supply), sources))
        places = [path for path in (bench.work, bench.cache / "environments") if path.is_dir()]
        made = [path for place in places for path in place.rglob("pyvenv.cfg")]
    assert len(made) == 3
    assert [sorted(one.record.requires) for one in built] == [[f"own{number % 2}==1.0", "tool==1.0"] for number in range(4)]
    assert len({one.record.source_sha256 for one in built}) == 4
    assert sorted(path for path in bench.work.rglob("*") if path.is_file()) == sorted(one.path for one in built)


@none
def test_the_log_of_a_build_that_ended_well_is_kept(bench: Bench, tmp_path: Path) -> None:
    said = source(tmp_path, "def build_wheel(d, *_, plain=build_wheel):\n    print('compiling the sea')\n    return plain(d)\n")
    with open_bench(said.facts, said.path, shop=bench.shop(), interpreter=ask(bench.python)) as made:
        built = made.wheel()
        assert built.log == bench.cache / "built" / f"{made.key}.log"
        assert "compiling the sea" in built.log.read_text()
        remember(made.key, built, cache_dir=bench.cache)
        again = built_before(made.key, cache_dir=bench.cache, has=lambda _: True)
    assert again is not None
    assert (again.log, again.record) == (built.log, built.record)


@needs_compiler
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="compiles as on Linux")
@none
def test_a_compiled_wheel_tells_its_compilers(bench: Bench, tmp_path: Path) -> None:
    built = build(bench, compiled_source(tmp_path), compilers=lambda: {"cc": "cc 12"})
    assert built.record.compilers == {"cc": "cc 12"}


@needs_compiler
def test_compilers_tell_of_themselves_in_a_line() -> None:
    found = compilers_here()
    assert found["cc"] and "\n" not in found["cc"]
    assert any(character.isdigit() for character in found["cc"])
    assert "/" not in found["cc"]


@none
def test_what_was_asked_before_leaves_no_trace_in_the_wheel(bench: Bench, tmp_path: Path) -> None:
    """A first run asks and builds, a later one only builds: both must give the same bytes."""
    leaves = source(
        tmp_path,
        "HOME = os.environ['HOME']\n"
        "def get_requires_for_build_wheel(*_):\n"
        "    open('left.txt', 'w').close()\n    open(HOME + '/left', 'w').close()\n    return []\n"
        "def metadata(plain=metadata):\n"
        "    return plain() + 'Summary: %r\\n' % (sorted(os.listdir('.')) + os.listdir(HOME))\n",
    )
    first = build(bench, leaves)
    assert build(bench, leaves).sha256 == first.sha256
    assert any(bench.cache.glob("asked/*.json"))


@none
def test_a_backend_that_cannot_say_what_it_wants(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(BadBackend, match="no requirement"):
        entered(bench, source(tmp_path, ASKS.format("['not a requirement!']")))
    assert not list(bench.cache.glob("asked/*"))

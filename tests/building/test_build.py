"""An honest source becomes exactly one wheel; every other answer of a backend is refused, and nothing of it stays."""

from __future__ import annotations

import hashlib
import os
import platform
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from hardtack.building.backend import BadBackend, WrongWheel
from hardtack.building.build import prepare_metadata
from hardtack.building.environment import BuildRequirementFault
from hardtack.building.interpreter import NoPython
from hardtack.errors import BuildFault, Cancelled
from tests.building.projects import Bench, Source, build, names, source, wheel_folder


def test_an_honest_source_becomes_its_wheel(bench: Bench, tmp_path: Path) -> None:
    sdist = source(tmp_path)
    built = build(bench, sdist)
    data = built.path.read_bytes()
    assert built.filename == built.path.name == "mini-1.0-py3-none-any.whl"
    assert (built.sha256, built.size) == (hashlib.sha256(data).hexdigest(), len(data))
    assert "mini.py" in names(built.path)
    assert built.record.sandbox == bench.sandbox.name
    assert built.record.source_sha256 == hashlib.sha256(sdist.path.read_bytes()).hexdigest()
    assert built.record.backend == "backend"
    assert bench.reporter.finished == [built.filename]
    assert [path for path in bench.work.rglob("*") if path.is_file()] == [built.path], "the build left more than the wheel"


def test_twice_the_same_bytes_in_another_folder_and_umask(bench: Bench, tmp_path: Path) -> None:
    # Everything that the host could leak into a wheel is put into one.
    leaky = source(
        tmp_path,
        "import locale\nREQUIRES = []\n"
        "def metadata(plain=metadata):\n"
        "    modes = sorted(oct(os.stat(n).st_mode) for n in os.listdir('.'))\n"
        "    environ = sorted((k, v) for k, v in os.environ.items() if k not in ('HARDTACK_BUILD',))\n"
        "    seen = (modes, environ, os.getcwd(), hash('x'), time.tzname, os.umask(0o22))\n"
        "    return plain() + 'Summary: ' + repr(seen).replace(os.path.dirname(os.getcwd()), 'X') + '\\n'\n",
    )
    first = build(bench, leaky)
    old = os.umask(0o077)
    try:
        bench.work = tmp_path / "elsewhere"
        second = build(bench, leaky)
    finally:
        os.umask(old)
    if bench.sandbox.name != "bubblewrap":
        assert first.size > 0  # without namespaces there is no fixed path
    else:
        assert first.sha256 == second.sha256


@pytest.mark.parametrize("sandbox", ["none"], indirect=True)
def test_two_ordinary_builds_are_identical(bench: Bench, tmp_path: Path) -> None:
    assert build(bench, source(tmp_path)).sha256 == build(bench, source(tmp_path)).sha256


WRONG = {
    "name": "NAME = 'other'\n",
    "version": "VERSION = '1.1'\n",
    "local-version": "VERSION = '1.0+local'\n",
    "path-outside": (
        "def build_wheel(d, *_):\n    name = '../home/' + wheel_name()\n    write_wheel(os.path.join(d, name))\n    return name\n"
    ),
    "absolute-path": (
        "def build_wheel(d, *_):\n    path = os.path.join(os.environ['TMPDIR'], wheel_name())\n    write_wheel(path)\n    return path\n"
    ),
    "symlink": (
        "def build_wheel(d, *_):\n"
        "    write_wheel(os.path.join(os.environ['TMPDIR'], 'x.whl'))\n"
        "    os.symlink(os.path.join(os.environ['TMPDIR'], 'x.whl'), os.path.join(d, wheel_name()))\n"
        "    return wheel_name()\n"
    ),
    "hard-link": (
        "def build_wheel(d, *_):\n"
        "    write_wheel(os.path.join(d, wheel_name()))\n"
        "    try:\n"
        "        os.link(os.path.join(d, wheel_name()), os.path.join(os.path.dirname(d), 'home', 'kept'))\n"
        "    except OSError:\n"
        "        os.link(os.path.join(d, wheel_name()), os.path.join(d, 'kept'))\n"
        "    return wheel_name()\n"
    ),
    "folder": "def write_wheel(path): os.mkdir(path)\n",
    "fifo": "def write_wheel(path): os.mkfifo(path)\n",
    "two-wheels": (
        "def build_wheel(d, *_):\n"
        "    write_wheel(os.path.join(d, wheel_name()))\n"
        "    write_wheel(os.path.join(d, wheel_name('second')))\n"
        "    return wheel_name()\n"
    ),
    "nothing": "def build_wheel(*_): return wheel_name()\n",
    "metadata-of-another": "def metadata(plain=metadata): return plain().replace('Name: mini', 'Name: other')\n",
    "metadata-of-another-version": "def metadata(plain=metadata): return plain().replace('Version: 1.0', 'Version: 2.0')\n",
    "record-with-wrong-digests": "def digest(data): return 'A' * 43\n",
    "no-archive": "def write_wheel(path): open(path, 'w').write('wheel')\n",
    "no-wheel-name": ("def build_wheel(d, *_):\n    write_wheel(os.path.join(d, 'mini.zip'))\n    return 'mini.zip'\n"),
    "other-name-returned": (
        "def build_wheel(d, *_):\n    write_wheel(os.path.join(d, wheel_name()))\n    return 'mini-1.0-py2-none-any.whl'\n"
    ),
    "empty-name": "def build_wheel(d, *_):\n    write_wheel(os.path.join(d, wheel_name()))\n    return ''\n",
    "dot": "def build_wheel(d, *_):\n    write_wheel(os.path.join(d, wheel_name()))\n    return '.'\n",
}


@pytest.mark.parametrize("sandbox", ["none"], indirect=True)
@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_result_is_refused(bench: Bench, tmp_path: Path, wrong: str) -> None:
    with pytest.raises(WrongWheel) as caught:
        build(bench, source(tmp_path, WRONG[wrong]))
    assert caught.value.where == "mini-1.0.tar.gz"
    assert bench.reporter.finished == [None]
    assert not [path for path in bench.work.rglob("*") if path.name.endswith(".whl")], "something of a refused build stayed"


@pytest.mark.parametrize("sandbox", ["bubblewrap"], indirect=True)
@pytest.mark.parametrize("wrong", ["name", "path-outside", "symlink", "two-wheels"])
def test_a_wrong_result_is_refused_out_of_the_sandbox_too(bench: Bench, tmp_path: Path, wrong: str) -> None:
    with pytest.raises(WrongWheel):
        build(bench, source(tmp_path, WRONG[wrong]))


BAD_ANSWERS = {
    "number": "def build_wheel(*_): return 7\n",
    "none": "def build_wheel(*_): return None\n",
    "requires-text": "def get_requires_for_build_wheel(*_): return 'setuptools'\n",
    "requires-numbers": "def get_requires_for_build_wheel(*_): return [1]\n",
    "requires-nonsense": "def get_requires_for_build_wheel(*_): return ['-r /etc/passwd']\n",
    "answer-is-a-link": (
        "def build_wheel(d, *_):\n"
        "    import atexit\n"
        "    def swap(path=os.path.join(sys.argv[2], 'output.json')):\n"
        "        os.unlink(path)\n"
        "        os.symlink('/dev/zero', path)\n"
        "    atexit.register(swap)\n"
        "    write_wheel(os.path.join(d, wheel_name()))\n"
        "    return wheel_name()\n"
    ),
    "answer-is-no-json": (
        "def build_wheel(d, *_):\n"
        "    import atexit\n"
        "    atexit.register(lambda path=os.path.join(sys.argv[2], 'output.json'): open(path, 'w').write('[' * 100000))\n"
        "    return wheel_name()\n"
    ),
}


@pytest.mark.parametrize("sandbox", ["none"], indirect=True)
@pytest.mark.parametrize("bad", BAD_ANSWERS)
def test_a_bad_answer_is_refused(bench: Bench, tmp_path: Path, bad: str) -> None:
    with pytest.raises(BadBackend) as caught:
        build(bench, source(tmp_path, BAD_ANSWERS[bad]))
    assert caught.value.where == "mini-1.0.tar.gz"


@pytest.mark.parametrize("sandbox", ["none"], indirect=True)
def test_a_backend_without_the_hook_is_a_build_fault(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(BuildFault, match="build_wheel"):
        build(bench, source(tmp_path, "del build_wheel\n"))


def test_a_backend_that_cannot_be_imported_is_a_build_fault(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(BuildFault, match="cannot be imported") as caught:
        build(bench, source(tmp_path, "import numpy_that_is_not_there\n"))
    assert "numpy_that_is_not_there" in (caught.value.hint or "")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the wrong tags are Linux's")
@pytest.mark.parametrize("sandbox", ["none"], indirect=True)
@pytest.mark.parametrize(
    "tag",
    [
        "cp37-cp37m-linux_x86_64",
        "py3-none-win_amd64",
        "py3-none-macosx_11_0_arm64",
        "py3-none-linux_sparc64",
        "cp399-abi3-any",
        "py399-none-any",
    ],
)
def test_a_wheel_for_another_python_or_platform_than_built_it_is_refused(bench: Bench, tmp_path: Path, tag: str) -> None:
    with pytest.raises(WrongWheel, match="made a wheel for"):
        build(bench, source(tmp_path, f"TAG = {tag!r}\n"))


def test_a_failure_shows_the_last_lines_and_keeps_the_log(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(BuildFault) as caught:
        build(
            bench,
            source(
                tmp_path,
                "def build_wheel(*_):\n    print('\\x1b[31mfatal error: ffi.h: No such file or directory')\n    raise SystemExit(3)\n",
            ),
        )
    words = str(caught.value)
    assert "build_wheel failed" in words
    assert "fatal error: ffi.h" in words
    assert "\x1b" not in words
    assert caught.value.hint is not None
    assert "ffi.h" in caught.value.hint
    logs = [path for path in bench.work.rglob("*") if path.is_file()]
    assert len(logs) == 1
    assert logs[0].name == f"mini-1.0.tar.gz.cpython-{platform.python_version()}.log"
    assert str(logs[0]) in words
    assert "fatal error" in logs[0].read_text()
    build(bench, source(tmp_path))
    assert not logs[0].exists(), "the log of a failure outlived its cure"


@pytest.mark.parametrize("sandbox", ["none"], indirect=True)
def test_what_a_killed_run_left_goes_a_day_later(bench: Bench, tmp_path: Path) -> None:
    first = build(bench, source(tmp_path))
    old, young = first.path.parent, bench.work / ".hardtack-build-young"
    young.mkdir()
    os.utime(old, (time.time() - 90_000, time.time() - 90_000))
    second = build(bench, source(tmp_path))
    assert not old.exists()
    assert young.exists()
    assert second.path.exists()


def alive(mark: str) -> list[int]:
    """Processes that have ``mark`` among their arguments."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if mark.encode() in (entry / "cmdline").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


SLEEPERS = {
    "child": "subprocess.Popen([sys.executable, '-c', SLEEP, MARK])\n",
    "own-session": "subprocess.Popen([sys.executable, '-c', SLEEP, MARK], start_new_session=True)\n",
    "orphan": "os.fork() or os.setsid() and (os.fork() and os._exit(0) or os.execv(sys.executable, [sys.executable, '-c', SLEEP, MARK]))\n",
}


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc to see what is left")
@pytest.mark.parametrize("kind", SLEEPERS)
def test_nothing_that_a_build_started_outlives_it(bench: Bench, tmp_path: Path, kind: str) -> None:
    mark = f"sleeper-{os.urandom(6).hex()}"
    hostile = source(
        tmp_path,
        f"import subprocess\nMARK = {mark!r}\nSLEEP = 'import time; time.sleep(300)'\n"
        f"def build_wheel(d, *_, plain=build_wheel):\n    {SLEEPERS[kind]}    time.sleep(0.2)\n    return plain(d)\n",
    )
    started = time.monotonic()
    assert build(bench, hostile).filename == "mini-1.0-py3-none-any.whl"
    assert time.monotonic() - started < 20, "the sleeper held the build"
    assert eventually(lambda: not alive(mark))


def eventually(true: Callable[[], bool]) -> bool:
    for _ in range(50):
        if true():
            return True
        time.sleep(0.02)
    return False


def test_the_time_limit_ends_a_build_that_spins(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(BuildFault, match="ran longer than"):
        build(bench, source(tmp_path, "def build_wheel(*_):\n    while True: pass\n"), timeout=1)


def test_interrupting_ends_a_build_at_once(bench: Bench, tmp_path: Path) -> None:
    mark = tmp_path / "work"
    timer = threading.Timer(0.7, bench.stop.cancel)
    timer.start()
    started = time.monotonic()
    try:
        with pytest.raises(Cancelled):
            build(bench, source(tmp_path, "def build_wheel(*_): time.sleep(300)\n"))
    finally:
        timer.cancel()
    assert time.monotonic() - started < 3
    assert not [path for path in mark.rglob("*") if path.is_file()], "an interrupted build left files"


def test_the_environment_is_clean(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY_TOKEN", "canary-7c1d")
    monkeypatch.setenv("PIP_INDEX_URL", "https://user:canary-7c1d@index.invalid/simple")
    monkeypatch.setenv("PYTHONPATH", "/canary-7c1d")
    curious = source(
        tmp_path,
        "def build_wheel(d, *_, plain=build_wheel):\n"
        "    seen = repr(dict(os.environ))\n"
        "    for path in ('/proc/1/environ', '/proc/self/environ', '/proc/%d/environ' % os.getppid()):\n"
        "        try:\n"
        "            seen += open(path).read()\n"
        "        except OSError:\n"
        "            pass\n"
        "    assert SANDBOXED is False or 'canary' not in seen, 'saw the canary'\n"
        "    assert 'canary' not in repr(dict(os.environ)), 'saw the canary'\n"
        "    return plain(d)\n"
        f"SANDBOXED = {bench.sandbox.name != 'none'}\n",
    )
    assert build(bench, curious).size > 0


def test_home_is_the_builds_own(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    build(bench, source(tmp_path, "open(os.path.expanduser('~/mark'), 'w').close()\nopen(os.environ['TMPDIR'] + '/mark', 'w').close()\n"))
    assert list(home.iterdir()) == []


def test_dynamic_requirements_are_installed_in_rounds(bench: Bench, tmp_path: Path) -> None:
    wheel_folder(
        bench.links,
        ("first", "1.0", {"first.py": b"x = 1\n"}),
        ("second", "2.0", {"second.py": b"x = 1\n"}),
    )
    asking = source(
        tmp_path,
        "def get_requires_for_build_wheel(*_):\n"
        "    try:\n        import first\n    except ImportError:\n        return ['first']\n"
        "    return ['first', 'second>=2']\n"
        "def build_wheel(d, *_, plain=build_wheel):\n    import first, second\n    return plain(d)\n",
    )
    built = build(bench, asking)
    assert sorted(built.record.requires) == ["first==1.0", "second==2.0"]


@pytest.mark.parametrize("sandbox", ["none"], indirect=True)
def test_a_backend_that_is_never_content_is_ended(bench: Bench, tmp_path: Path) -> None:
    wheels = [(f"thing{number}", "1.0", {f"thing{number}.py": b""}) for number in range(9)]
    wheel_folder(bench.links, *wheels)
    endless = source(
        tmp_path,
        "import importlib.util\n"
        "def get_requires_for_build_wheel(*_):\n"
        "    have = [n for n in range(9) if importlib.util.find_spec('thing%d' % n)]\n"
        "    return ['thing%d' % n for n in range(len(have) + 1)]\n",
    )
    with pytest.raises(BadBackend, match="still asks for more"):
        build(bench, endless)


@pytest.mark.parametrize("sandbox", ["none"], indirect=True)
def test_a_missing_build_requirement_is_named(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(BuildRequirementFault, match="no-such-backend") as caught:
        build(bench, source(tmp_path, requires=["no-such-backend>=3"]))
    assert caught.value.where == "mini-1.0.tar.gz"


@pytest.mark.parametrize("sandbox", ["none"], indirect=True)
def test_no_python_here_fits(bench: Bench, tmp_path: Path) -> None:
    bench.uv = replace(bench.uv, environment={**bench.uv.environment, "PATH": "/usr/bin:/bin"})
    with pytest.raises(NoPython, match=r">=9\.9") as caught:
        build(bench, source(tmp_path, requires_python=">=9.9"))
    assert caught.value.where == "mini-1.0.tar.gz"


def metadata(bench: Bench, source: Source) -> tuple[list[str], bool, frozenset[str]]:
    answer = prepare_metadata(source.facts, source.path, shop=bench.shop())
    assert answer.version == source.facts.version
    return sorted(answer.requires), answer.static, answer.extras


HOOK = (
    "def prepare_metadata_for_build_wheel(d, *_):\n"
    "    os.mkdir(os.path.join(d, 'mini-1.0.dist-info'))\n"
    "    open(os.path.join(d, 'mini-1.0.dist-info', 'METADATA'), 'w').write(metadata())\n"
    "    return 'mini-1.0.dist-info'\n"
)


def test_metadata_without_a_hook_comes_from_a_wheel(bench: Bench, tmp_path: Path) -> None:
    assert metadata(bench, source(tmp_path)) == (["click>=8", 'rich; extra == "nice"'], False, frozenset({"nice"}))


def test_metadata_by_the_hook(bench: Bench, tmp_path: Path) -> None:
    more = HOOK + "REQUIRES = ['attrs>=20,<30']\ndef build_wheel(*_): raise SystemExit('not asked for')\n"
    [only], static, extras = metadata(bench, source(tmp_path, more))
    assert Requirement(only) == Requirement("attrs>=20,<30")
    assert not static
    assert extras == {"nice"}


@pytest.mark.parametrize("sandbox", ["none"], indirect=True)
def test_static_metadata_runs_nothing(bench: Bench, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    trap = source(tmp_path, f"open({str(marker)!r}, 'w').close()\nraise SystemExit(1)\n", static=["click>=8", "rich; extra == 'nice'"])
    assert metadata(bench, trap) == (["click>=8", 'rich; extra == "nice"'], True, frozenset({"nice"}))
    assert not marker.exists()
    assert not bench.work.exists()


LIES = {
    "name": "NAME = 'other'\n",
    "version": "VERSION = '2'\n",
    "requirement": "REQUIRES = ['click>=>8']\n",
    "link": (
        "def prepare_metadata_for_build_wheel(d, *_):\n"
        "    there = os.path.join(os.environ['TMPDIR'], 'there')\n"
        "    os.mkdir(there)\n"
        "    open(os.path.join(there, 'METADATA'), 'w').write(metadata())\n"
        "    os.symlink(there, os.path.join(d, 'a.dist-info'))\n"
        "    return 'a.dist-info'\n"
    ),
    "outside": "def prepare_metadata_for_build_wheel(d, *_): return '../source'\n",
    "file-link": (
        "def prepare_metadata_for_build_wheel(d, *_):\n"
        "    os.mkdir(os.path.join(d, 'a.dist-info'))\n"
        "    there = os.path.join(os.environ['TMPDIR'], 'there')\n"
        "    open(there, 'w').write(metadata())\n"
        "    os.symlink(there, os.path.join(d, 'a.dist-info', 'METADATA'))\n"
        "    return 'a.dist-info'\n"
    ),
    "nothing": "def prepare_metadata_for_build_wheel(d, *_): return 'a.dist-info'\n",
}


@pytest.mark.parametrize("sandbox", ["none"], indirect=True)
@pytest.mark.parametrize("lie", LIES)
def test_metadata_of_something_else_is_refused(bench: Bench, tmp_path: Path, lie: str) -> None:
    hook = "" if "def prepare" in LIES[lie] else HOOK
    with pytest.raises(BadBackend):
        metadata(bench, source(tmp_path, hook + LIES[lie]))


# What only a real sandbox keeps.

INTRUSIONS = {
    "network": "import socket\nsocket.create_connection(('127.0.0.1', PORT), timeout=2)\n",
    "abstract-socket": "import socket\nsocket.socket(socket.AF_UNIX).connect('\\0' + ABSTRACT)\n",
    "secret": "open(SECRET).read()\n",
    "write-outside": "open(SECRET, 'w').write('changed')\n",
    "write-system": "open('/usr/mark', 'w')\n",
    "write-root": "open('/mark', 'w')\n",
    "write-environment": "open(os.path.join(sys.prefix, 'mark'), 'w')\n",
    "other-processes": "assert len([n for n in os.listdir('/proc') if n.isdigit()]) > 3\n",
    "etc": "open('/etc/shadow').read()\n",
}


@pytest.mark.parametrize("intrusion", INTRUSIONS)
@pytest.mark.parametrize("sandbox", ["bubblewrap"], indirect=True)
def test_the_sandbox_holds(bench: Bench, tmp_path: Path, intrusion: str) -> None:
    secret = tmp_path / "secret"
    secret.write_text("canary")
    abstract = f"hardtack-{os.urandom(4).hex()}"
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as local:
        local.bind("\0" + abstract)
        local.listen()
        setting = f"PORT, ABSTRACT, SECRET = {server.getsockname()[1]}, {abstract!r}, {str(secret)!r}\n"
        body = "".join(f"        {line}\n" for line in INTRUSIONS[intrusion].splitlines())
        tried = source(
            tmp_path,
            f"{setting}def build_wheel(d, *_, plain=build_wheel):\n    try:\n{body}    except (OSError, AssertionError):\n"
            "        return plain(d)\n    raise SystemExit('it got out')\n",
        )
        assert build(bench, tried).size > 0
    assert secret.read_text() == "canary"

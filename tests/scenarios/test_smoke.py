"""``verify --smoke`` and ``--check``: what was installed is put to use, in the sandbox."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from hardtack import VerifyResult, verify
from hardtack.errors import UsageError
from hardtack.model.finding import Finding, Severity
from hardtack.system.cancellation import Cancellation
from hardtack.workflow.smoke import Smoke, importable
from tests.scenarios.yard import WINDOWS, Yard
from tests.support.archives import make_wheel

CONFINED = pytest.mark.skipif(shutil.which("bwrap") is None, reason="no bubblewrap here")


class House:
    """A folder of wheels for this host."""

    def __init__(self, yard: Yard) -> None:
        self.yard = yard
        self.path = yard.home / "folder"
        self.path.mkdir()

    def add(self, name: str, files: Mapping[str, str], **more: Any) -> None:
        filename, data = make_wheel(name, files={path: text.encode() for path, text in files.items()}, **more)
        (self.path / filename).write_bytes(data)

    def verify(self, **more: Any) -> VerifyResult:
        options: dict[str, Any] = {"targets": ("host",), "cache_dir": self.yard.cache, "environment": self.yard.environment, **more}
        return verify(self.path, **options)


@pytest.fixture
def house(yard: Yard) -> House:
    return House(yard)


def told(result: VerifyResult) -> dict[str, tuple[str, Severity]]:
    """What was said of each module or command, by its first words."""
    return {_module(finding): (finding.code, finding.severity) for finding in result.verdict.findings}


def _module(finding: Finding) -> str:
    words = finding.message.split()
    return words[1] if words[0] == "import" else finding.message


ENDS = {
    "good": "",
    "absent": "import nobody_has_this",
    "deeper": "def f():\n    import nobody_has_this.inside\nf()",
    "library": "import ctypes\nctypes.CDLL('libodd.so.7')",
    "library_of_extension": "raise ImportError('libGL.so.1: cannot open shared object file: No such file or directory')",
    "crash": "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)",
    "leaves": "import os\nos._exit(3)",
    "exits": "raise SystemExit('no')",
    "fails": "1 / 0",
    "other_system": "import winreg",
    "hard_to_tell": "class Odd(Exception):\n    def __str__(self): raise ValueError\nraise Odd",
    "network": "import socket\nsocket.create_connection(('127.0.0.1', 9), 1)",
    "chatty": "print('x' * 100000)\nimport sys\nsys.stderr.write('y' * 100000)",
    "threads": "import threading, time\nthreading.Thread(target=time.sleep, args=(60,)).start()",
}
EXPECTED = {
    "absent": ("smoke-missing", Severity.ERROR),
    "deeper": ("smoke-missing", Severity.ERROR),
    "library": ("smoke-library", Severity.ERROR),
    "library_of_extension": ("smoke-library", Severity.ERROR),
    "crash": ("smoke-crash", Severity.ERROR),
    "leaves": ("smoke-crash", Severity.ERROR),
    "exits": ("smoke-import", Severity.WARNING),
    "fails": ("smoke-import", Severity.WARNING),
    "other_system": ("smoke-import", Severity.WARNING),
    "hard_to_tell": ("smoke-import", Severity.WARNING),
    "network": ("smoke-import", Severity.WARNING),
    "tests": ("smoke-missing", Severity.WARNING),
    "space.loose": ("smoke-missing", Severity.WARNING),
    "space.whole": ("smoke-missing", Severity.ERROR),
}


def test_every_end_of_an_import(house: House) -> None:
    for name, code in ENDS.items():
        house.add(name.replace("_", "-"), {f"{name}/__init__.py": code, f"{name}/more.py": "import nobody_has_this"})
    house.add("beside", {"tests/__init__.py": "import nobody_has_this", "space/loose.py": "import nobody_has_this"})
    house.add("named", {"space/whole/__init__.py": "import nobody_has_this", "docs/conf.py": "1 / 0"})
    result = house.verify(smoke=True)
    said = told(result)
    assert said == EXPECTED
    crash = next(finding for finding in result.verdict.findings if "import crash" in finding.message)
    assert "SIGSEGV" in crash.message and crash.package == "crash" and crash.file == "crash-1.0-py3-none-any.whl"
    assert not house.verify(smoke=False).verdict.findings


def test_an_import_that_never_ends_is_ended(house: House, yard: Yard) -> None:
    from hardtack.building.sandbox import find_sandbox
    from hardtack.model.manifest import Pin
    from hardtack.model.wheel import WheelFacts
    from hardtack.shipping.trial import Trial, TrialFile, installed
    from hardtack.system import environ
    from hardtack.system.uv import find_uv
    from hardtack.targets.catalog import parse_target
    from hardtack.wheelhouse.facts import digests
    from hardtack.wheelhouse.inspect import inspect_wheel
    from hardtack.workflow.proving import Shelf

    house.add("slow", {"slow/__init__.py": "import time\ntime.sleep(600)"})
    (path,) = house.path.iterdir()
    (digest,) = digests([path]).values()
    facts = inspect_wheel(path, filename=path.name, sha256=digest)
    assert isinstance(facts, WheelFacts)
    target = parse_target("host")
    pin = Pin(target=target.name, name="slow", version="1.0", filename=path.name)
    shelf = Shelf(target=target, pins=(pin,), facts={path.name: facts}, paths={path.name: path})
    trial = Trial(target=target, pins=(pin,), files={path.name: TrialFile(filename=path.name, path=path, sha256=digest)})
    smoke = Smoke(
        imports=True,
        commands=(),
        confine=lambda: find_sandbox(yard.environment),
        work=yard.cache,
        stop=Cancellation(),
        patience=0.5,
    )
    uv = find_uv(yard.cache, yard.environment, offline=True)
    with installed(trial, python=environ.interpreter(), uv=uv, stop=Cancellation()) as made:
        assert not isinstance(made, tuple)
        (finding,) = smoke(shelf, made)
    assert (finding.code, finding.severity) == ("smoke-time", Severity.WARNING)


def test_commands(house: House, yard: Yard) -> None:
    house.add(
        "tool",
        {"tool/__init__.py": "import sys\ndef main():\n    print('said', *sys.argv[1:])\n    sys.exit(len(sys.argv) - 1)"},
        metadata="Metadata-Version: 2.1\nName: tool\nVersion: 1.0\n",
    )
    checks = (
        'python -c "import tool"',
        "python -c 'import tool, sys; tool.main()' two words",
        "nothing-of-that-name",
        "python -c 'import os; os.abort()'",
    )
    result = house.verify(checks=checks)
    said = [finding.message for finding in result.verdict.findings if finding.code == "check-failed"]
    assert len(said) == 3
    assert said[0].splitlines() == [f"{checks[1]}: exit code 2", "    said two words"]
    assert "cannot be started" in said[1] and "SIGABRT" in said[2]
    with pytest.raises(UsageError, match="not a command"):
        house.verify(checks=("open 'quote",))
    done = yard.hardtack("verify", house.path, "--check", 'python -c "import tool"', "-t", "host")
    assert done.returncode == 0 and "Proven" in done.stdout


@CONFINED
def test_it_is_confined(house: House, yard: Yard) -> None:
    """No network, no file of the user's, and nothing that it could change; not even its own environment."""
    secret = yard.home / "secret"
    secret.write_text("hidden")
    code = f"""
import os, pathlib, socket, tool
for reach in (
    lambda: pathlib.Path({str(secret)!r}).read_text(),
    lambda: socket.create_connection(("127.0.0.1", {yard.index.port}), 1),
    lambda: pathlib.Path(tool.__file__).write_text("changed"),
    lambda: pathlib.Path(tool.__file__).with_name("more.py").write_text("new"),
    lambda: os.environ["SECRET"],
):
    try:
        reach()
    except (OSError, KeyError):
        continue
    raise SystemExit("it could")
"""
    house.add("tool", {})
    yard.more_environment["SECRET"] = "hidden"
    asked = len(yard.index.requests)
    import shlex

    result = house.verify(checks=(f"python -c {shlex.quote(code)}",))
    assert result.verdict.passed, result.verdict.findings
    assert len(yard.index.requests) == asked


def test_nothing_is_left_behind(house: House, yard: Yard) -> None:
    house.add("tool", {"tool/__init__.py": "open('here', 'w').write('x')"})
    house.verify(smoke=True, checks=("python -c \"open('there', 'w')\"",))
    assert not list(yard.cache.glob(".hardtack-*")) and {path.name for path in house.path.iterdir()} == {"tool-1.0-py3-none-any.whl"}


def test_where_nothing_runs_here_it_is_said(house: House) -> None:
    house.add("tool", {})
    for more in ({"smoke": True}, {"checks": ("true",)}):
        result = house.verify(targets=(WINDOWS,), **more)
        assert not result.verdict.passed and [finding.code for finding in result.verdict.findings] == ["not-tried"]


def test_a_wheelhouse_of_ours(yard: Yard) -> None:
    yard.wheel("tool", files={"tool/__init__.py": b"import nobody_has_this"})
    assert yard.build("tool", targets=("host",)).passed
    result = verify(yard.wheelhouse, smoke=True, cache_dir=yard.cache, environment=yard.environment)
    assert [finding.code for finding in result.verdict.findings] == ["smoke-missing"]
    # Without the trial, its own proof stands.
    assert verify(yard.wheelhouse, trial=False, cache_dir=yard.cache, environment=yard.environment).verdict.passed


def test_what_is_imported() -> None:
    members = [
        "a/__init__.py", "a/b/__init__.py", "_c.cpython-312-x86_64-linux-gnu.so", "_d.abi3.so", "e.pyd", "libf.so", "g.libs/libz.so.1",
        "h-stubs/__init__.pyi", "i/data.txt", "j/k/l/__init__.py", "j/m.py", "n.data/purelib/o.py", "n.data/scripts/p.py", "__q__.py",
        "r/__pycache__/s.cpython-312.pyc", "t.pyc", "not-a-name.py", "docs/conf.py", "test/__init__.py", "u-1.dist-info/v.py", "w.py",
    ]  # fmt: skip
    assert importable(members) == {
        "_c": True, "_d": True, "a": True, "e": True, "j.k.l": True, "j.m": False, "o": True, "t": True, "test": False, "w": True,
    }  # fmt: skip


def test_results_that_the_imports_forge_do_no_harm(house: House) -> None:
    """What is imported can write where the results lie; whatever stands there, hardtack reads on."""
    code = (
        "import os, pathlib\n"
        'pathlib.Path(\'ended\').write_text(\'[]\\n{"at": []}\\n{"at": 10**9, "code": "x"}\\n\' + \'[\' * 100000)\n'
        '[pathlib.Path(f\'import-{n}\').write_text(\'{"kinds": 5, "text": [1], "missing": {}}\') for n in range(3) if n != 1]\n'
    )
    house.add("forger", {"forger/__init__.py": code})
    house.add("other", {})
    assert house.verify(smoke=True).folder == house.path


def test_links_and_paths_of_the_environment_are_the_same_inside(house: House) -> None:
    house.add("tool", {"tool/__init__.py": "import sys\nassert sys.prefix != sys.base_prefix and __file__.startswith(sys.prefix)"})
    assert not house.verify(smoke=True).verdict.findings
    assert Path(house.path).is_dir()

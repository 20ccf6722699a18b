"""The host as a target, and the probe on every Python of this machine."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.tags import sys_tags
from packaging.version import Version

from hardtack.errors import TargetError
from hardtack.targets.catalog import describe, from_description, parse_target
from hardtack.targets.host import host_target
from hardtack.targets.probe import PROBE, from_probe
from tests.targets.interpreters import VERSIONS, interpreter


def test_this_host() -> None:
    target = parse_target("host")
    assert target == host_target() == host_target(Path(sys.executable))
    assert target.python == sys.version_info[:2]
    assert target.patches.first == target.patches.last == Version(platform.python_version())
    assert target.tags == tuple(dict.fromkeys(sys_tags()))
    assert target.environment["sys_platform"] == sys.platform
    # They change with every update of the kernel, and a lock must not.
    assert not {"platform_release", "platform_version"} & set(target.environment)
    assert from_description(describe(target), where="x") == target
    assert parse_target(f"py{sys.version_info[0]}{sys.version_info[1]}-host") == target


@pytest.mark.parametrize("version", VERSIONS)
def test_another_python_of_this_host(version: str) -> None:
    python = interpreter(version)
    target = host_target(python)
    assert f"{target.python[0]}.{target.python[1]}" == version
    assert target.patches.first == target.patches.last
    assert str(target.patches.first).startswith(version)
    assert target.name.startswith(f"py{version.replace('.', '')}-")


@pytest.mark.parametrize("version", ["2.7", "3.6", *VERSIONS])
def test_the_probe_runs_on_it_alone(version: str, tmp_path: Path) -> None:
    """As a file, isolated from everything that is installed there."""
    script = tmp_path / "probe.py"
    script.write_text(PROBE, encoding="utf-8")
    isolated = ["-E", "-s", "-S"] if version == "2.7" else ["-I", "-S"]
    done = subprocess.run([interpreter(version), *isolated, script], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    seen = json.loads(done.stdout)
    assert seen["marker_environment"]["python_version"] == version
    if version in VERSIONS:
        target = from_probe(seen, where="host.json")
        assert target.environment["platform_release"] == platform.release()
        assert target.tags == host_target(interpreter(version)).tags
    else:
        with pytest.raises(TargetError, match="too old"):
            from_probe(seen, where="host.json")


def test_a_python_that_does_not_run_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="does not run"):
        host_target(tmp_path / "python3.12")
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho no such version >&2\nexit 127\n")
    broken.chmod(0o755)
    with pytest.raises(TargetError, match="does not answer") as caught:
        host_target(broken)
    assert caught.value.hint == "no such version"


def test_a_shim_that_does_not_run_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    version = next(version for version in VERSIONS if version != f"{sys.version_info[0]}.{sys.version_info[1]}")
    python = interpreter(version)
    shims, real = tmp_path / "shims", tmp_path / "real"
    for folder in (shims, real):
        folder.mkdir()
    (shims / f"python{version}").write_text("#!/bin/sh\nexit 127\n")
    (shims / f"python{version}").chmod(0o755)
    monkeypatch.setenv("PATH", str(shims))
    with pytest.raises(TargetError, match="does not answer"):
        parse_target(f"py{version.replace('.', '')}-host")
    (real / f"python{version}").symlink_to(python)
    monkeypatch.setenv("PATH", f"{shims}:{real}")
    assert parse_target(f"{version}-host") == host_target(python)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TargetError, match="on PATH"):
        parse_target(f"{version}-host")

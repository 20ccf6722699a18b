"""What is said of building reaches the backend: what it is given, what it finds in its environment, how long it may take."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from hardtack import BuildOptions, InputRequest
from tests.scenarios.yard import Yard, errors, proven
from tests.support.archives import make_sdist
from tests.support.repositories import write_project

BACKEND = """
import base64, hashlib, importlib.metadata, json, os, shutil, zipfile

NAME = {name!r}

def seen(config_settings):
    versions = {{}}
    for found in importlib.metadata.distributions():
        versions[found.metadata["Name"]] = found.version
    return json.dumps({{
        "config": config_settings or {{}},
        "variables": {{key: value for key, value in os.environ.items() if key.startswith("SAID_")}},
        "tools": [name for name in ("lscpu", "logger") if shutil.which(name)],
        "versions": {{key: value for key, value in versions.items() if key in ("helper", "more", "runs")}},
    }})

def build_wheel(folder, config_settings=None, metadata_directory=None):
    wheel, info = NAME + "-1.0-py3-none-any.whl", NAME + "-1.0.dist-info"
    members = {{
        NAME + "/seen.json": seen(config_settings).encode(),
        info + "/METADATA": ("Metadata-Version: 2.1\\nName: " + NAME + "\\nVersion: 1.0\\n").encode(),
        info + "/WHEEL": b"Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    }}
    digest = lambda data: base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    record = ["%s,sha256=%s,%d" % (key, digest(data), len(data)) for key, data in members.items()] + [info + "/RECORD,,"]
    members[info + "/RECORD"] = ("\\n".join(record) + "\\n").encode()
    with zipfile.ZipFile(os.path.join(folder, wheel), "w") as archive:
        for key, data in members.items():
            archive.writestr(zipfile.ZipInfo(key), data)
    return wheel
"""


def echo(yard: Yard, name: str = "echo", *, requires: str = '"helper"', before: str = "") -> None:
    """A source on the index whose wheel holds what its backend was given."""
    pyproject = (
        f'[build-system]\nrequires = [{requires}]\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        f'[project]\nname = "{name}"\nversion = "1.0"\n'
    )
    metadata = f"Metadata-Version: 2.2\nName: {name}\nVersion: 1.0\n"
    backend = before + BACKEND.format(name=name)
    yard.index.add(*make_sdist(name, pyproject=pyproject, metadata=metadata, files={"backend.py": backend.encode()}))


def seen_in(folder: Path, name: str = "echo") -> dict[str, Any]:
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl") as archive:
        found: dict[str, Any] = json.loads(archive.read(f"{name}/seen.json"))
    return found


def helpers(yard: Yard) -> None:
    for name in ("helper", "more", "runs"):
        for version in ("1.0", "2.0"):
            yard.wheel(name, version)


@pytest.mark.skipif(not Path("/usr/bin/lscpu").exists(), reason="lscpu stands for a program that builds do not find by themselves")
def test_a_backend_is_given_what_is_said_of_it_and_of_all(yard: Yard) -> None:
    helpers(yard)
    echo(yard)
    echo(yard, "other")
    yard.write(
        "pyproject.toml",
        """
        [tool.hardtack]
        build-constraints = ["helper<2"]
        [tool.hardtack.build]
        config-settings = { all = "ours" }
        environment = { SAID_ALL = "1", SAID_ONE = "all" }
        [tool.hardtack.build.packages.echo]
        environment = { SAID_ONE = "echo" }
        tools = ["lscpu"]
        [tool.uv]
        config-settings-package = { Echo = { uv = ["a", "b"] } }
        extra-build-dependencies = { echo = ["more<2", { requirement = "runs", match-runtime = true }] }
        """,
    )
    yard.write("requirements.txt", "echo --config-settings file=x --config-settings file=y\nother\nruns==1.0\n")
    inputs = InputRequest(project_dir=yard.project, config_settings=("flag=1", "echo:own=2"))
    proven(yard.build(inputs=inputs))
    one, other = seen_in(yard.wheelhouse), seen_in(yard.wheelhouse, "other")
    assert one["config"] == {"all": "ours", "uv": ["a", "b"], "file": ["x", "y"], "flag": "1", "own": "2"}
    assert other["config"] == {"all": "ours", "flag": "1"}
    assert (one["variables"], other["variables"]) == ({"SAID_ALL": "1", "SAID_ONE": "echo"}, {"SAID_ALL": "1", "SAID_ONE": "all"})
    assert one["versions"] == {"helper": "1.0", "more": "1.0", "runs": "1.0"}
    assert other["versions"] == {"helper": "1.0"}
    assert (one["tools"], other["tools"]) == (["lscpu"], [])


@pytest.mark.parametrize("line", ["echo", "echo -C a=1", 'echo --config-settings=a=1 --config-settings "a= 2" -C b=', "echo -C a==x"])
def test_a_lines_settings_arrive_as_pip_hands_them_on(line: str, yard: Yard) -> None:
    helpers(yard)
    echo(yard)
    yard.write("requirements.txt", f"{line}\n")
    proven(yard.build())
    yard.pip("wheel", "-r", "requirements.txt", "-w", yard.home / "pip", "--index-url", yard.index.url, check=True)
    assert seen_in(yard.wheelhouse)["config"] == seen_in(yard.home / "pip")["config"]


def test_a_changed_setting_makes_another_wheel_and_the_old_one_is_still_known(yard: Yard) -> None:
    helpers(yard)
    echo(yard)

    def settings(*said: str) -> dict[str, Any]:
        result = yard.build(inputs=InputRequest(requirements=("echo",), project_dir=yard.project, config_settings=said))
        proven(result)
        config: dict[str, Any] = seen_in(yard.wheelhouse)["config"]
        return {"config": config, "unchanged": result.unchanged, "built": result.built}

    assert settings("a=1") == {"config": {"a": "1"}, "unchanged": False, "built": 1}
    assert settings("a=1")["unchanged"]
    assert settings("a=2") == {"config": {"a": "2"}, "unchanged": False, "built": 1}
    assert settings("a=1")["config"] == {"a": "1"}


def test_a_lock_is_stale_when_what_is_said_of_building_changes(yard: Yard) -> None:
    helpers(yard)
    echo(yard)
    yard.write("requirements.txt", "echo -C a=1\n")
    assert yard.lock().passed
    proven(yard.build(options=BuildOptions(trial=False, output=yard.wheelhouse, locked=True)))
    assert seen_in(yard.wheelhouse)["config"] == {"a": "1"}
    yard.write("requirements.txt", "echo -C a=2\n")
    done = yard.hardtack("build", "--locked", "--index-url", yard.index.url, "-t", "py312-linux-x86_64")
    assert done.returncode != 0
    assert "hardtack lock" in done.stderr


def test_a_build_ends_at_its_limit(yard: Yard) -> None:
    helpers(yard)
    echo(yard, before="import time; time.sleep(60)\n")
    yard.write("hardtack.toml", "[build]\ntimeout = 1.5\n")
    result = yard.build("echo")
    assert not result.passed
    told = " ".join(finding.message for finding in result.findings)
    assert errors(result) and "longer than 1.5 s" in told


def test_what_builds_the_project_lies_beside_it_in_the_version_that_built_it(yard: Yard) -> None:
    helpers(yard)
    write_project(yard.project, "proj", dependencies=[], requires=["helper"])
    inputs = InputRequest(project_dir=yard.project, build_constraint_files=(yard.write("limits.txt", "helper<2\n"),))
    result = yard.build(inputs=inputs)
    proven(result)
    assert yard.files() == {"proj-1.0-py3-none-any.whl", "helper-1.0-py3-none-any.whl"}
    assert result.manifest is not None
    record = next(file.build for file in result.manifest.files if file.name == "proj")
    assert record is not None
    assert list(record.requires) == ["helper==1.0"]

"""Build requirements from a folder of wheels: the newest that fits, and what it needs; nothing is resolved backwards."""

from __future__ import annotations

import email.parser
import hashlib
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

from hardtack.building.environment import BuildRequirementFault
from hardtack.building.interpreter import Interpreter
from hardtack.building.workshop import Asker, Tool


def tool_of(wheel: Path) -> Tool:
    """A wheel as it goes into a build's environment."""
    name, version, _, _ = parse_wheel_filename(wheel.name)
    sha256 = hashlib.sha256(wheel.read_bytes()).hexdigest()
    return Tool(name=name, version=str(version), filename=wheel.name, sha256=sha256, path=wheel)


@dataclass
class FolderSupply:
    """A ``Supply`` that remembers what it was asked: (who, the requirements' texts)."""

    folder: Path
    asked: list[tuple[Asker, list[str]]] = field(default_factory=list)

    def __call__(self, asker: Asker, requires: Sequence[Requirement], interpreter: Interpreter) -> Sequence[Tool]:
        self.asked.append((asker, [str(requirement) for requirement in requires]))
        self.prepare(requires, interpreter)
        python = {"python_version": "{}.{}".format(*interpreter.version.release[:2]), "python_full_version": str(interpreter.version)}
        found: dict[str, Tool] = {}
        waiting = list(requires)
        while waiting:
            requirement = waiting.pop()
            name = canonicalize_name(requirement.name)
            if requirement.marker is not None and not requirement.marker.evaluate({**python, "extra": ""}):
                continue
            stated = [one for one in (*requires, *waiting, requirement) if canonicalize_name(one.name) == name]
            fitting = [
                tool_of(path)
                for path in self.folder.glob("*.whl")
                if parse_wheel_filename(path.name)[0] == name
                and all(one.specifier.contains(parse_wheel_filename(path.name)[1], prereleases=True) for one in stated)
            ]
            if not fitting:
                raise BuildRequirementFault(f"what it needs to be built cannot be had ({requirement})", where=asker.filename)
            tool = max(fitting, key=lambda one: parse_wheel_filename(one.filename)[1])
            if found.get(name) != tool:
                found[name] = tool
                waiting += _needs(tool.path, requirement.extras)
        return list(found.values())

    def prepare(self, requires: Sequence[Requirement], interpreter: Interpreter) -> None:
        """Fill the folder, where it is not filled already."""


@dataclass
class PublicSupply(FolderSupply):
    """A ``Supply`` from the public index, by pip, from wheels alone."""

    def prepare(self, requires: Sequence[Requirement], interpreter: Interpreter) -> None:
        """Have pip resolve what is not known yet, into a folder for each interpreter."""
        wanted = [str(requirement) for requirement in requires]
        self.folder.mkdir(parents=True, exist_ok=True)
        python = "{}.{}".format(*interpreter.version.release[:2])
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--dest", str(self.folder)]
        if wanted:
            subprocess.run([*command, "--only-binary", ":all:", "--python-version", python, *wanted], check=True, timeout=300)


def _needs(wheel: Path, extras: set[str]) -> list[Requirement]:
    with zipfile.ZipFile(wheel) as archive:
        [metadata] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA") and name.count("/") == 1]
        message = email.parser.Parser().parsestr(archive.read(metadata).decode())
    needs = []
    for text in message.get_all("Requires-Dist") or []:
        requirement = Requirement(text)
        if requirement.marker is None or any(requirement.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            requirement.marker = None
            needs.append(requirement)
    return needs

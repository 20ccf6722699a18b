"""The environment of a build: a virtual environment that holds what the backend asked for, from wheels alone."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from packaging.requirements import Requirement
from packaging.tags import Tag
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from hardtack.errors import BuildFault
from hardtack.system.cancellation import Cancellation
from hardtack.system.uv import Uv


class BuildRequirementFault(BuildFault):
    """What a source needs to be built cannot be had."""

    slug = "build-requirements"


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildEnvironment:
    """An environment that was never run: ``folder`` holds it, ``python`` starts it.

    ``installed`` maps "name==version" to the sha256 of its wheel, "" where no index stated one.
    """

    folder: Path
    python: Path
    installed: Mapping[str, str] = field(hash=False)


def build_environment(
    requires: Sequence[Requirement],
    *,
    python: Path,
    uv: Uv,
    uv_config: Path | None,
    folder: Path,
    stop: Cancellation,
    only_binary: bool = True,
) -> BuildEnvironment:
    """Make a virtual environment of ``python`` in ``folder``, which must not exist, with ``requires`` and what they need.

    Everything comes from wheels (with ``only_binary``, the sole mode in which no foreign code runs here) of the indexes in ``uv_config``.
    uv asks only a Python without any package what it is, so that no ``.pth`` of a build requirement runs outside the sandbox: an
    environment is therefore never added to, but made anew. Raises BuildRequirementFault naming what cannot be had.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = uv.run(
        ["venv", "--quiet", "--relocatable", "--no-project", "--python", str(python), str(folder)],
        cwd=folder.parent,
        stop=stop,
        offline=True,
    )
    if made.code != 0:
        raise BuildFault(f"uv could not make a virtual environment: {_last_words(made.stderr)}", where=str(python))
    executable = folder / "Scripts" / "python.exe" if os.name == "nt" else folder / "bin" / "python"
    if not requires:
        return BuildEnvironment(folder=folder, python=executable, installed={})

    asked = folder.parent / f"{folder.name}.in"
    locked = folder.parent / f"pylock.{folder.name}.toml"
    asked.write_text("".join(f"{requirement}\n" for requirement in requires), encoding="utf-8")
    binary = ["--only-binary", ":all:"] if only_binary else []
    compiled = uv.run(
        [
            *["pip", "compile", "--quiet", "--no-header", "--format", "pylock.toml", "--python", str(executable)],
            *[*binary, "--output-file", str(locked), str(asked)],
        ],
        cwd=folder.parent,
        stop=stop,
        config_file=uv_config,
    )
    if compiled.code != 0:
        raise _unsatisfied(requires, compiled.stderr)
    installed = uv.run(
        ["pip", "install", "--quiet", "--python", str(executable), "--no-deps", *binary, "--preview-features", "pylock", "-r", str(locked)],
        cwd=folder.parent,
        stop=stop,
        config_file=uv_config,
    )
    if installed.code != 0:
        raise _unsatisfied(requires, installed.stderr)
    return BuildEnvironment(folder=folder, python=executable, installed=_installed(folder, _digests(locked)))


def _digests(locked: Path) -> Mapping[tuple[str, str], Mapping[frozenset[Tag], str]]:
    """For each (name, version) of a pylock.toml, the stated sha256 of each of its wheels, by the wheel's tags."""
    import tomllib

    digests: dict[tuple[str, str], dict[frozenset[Tag], str]] = {}
    for package in tomllib.loads(locked.read_text(encoding="utf-8")).get("packages", []):
        wheels = digests.setdefault((canonicalize_name(package["name"]), str(package.get("version", ""))), {})
        rows = [*package.get("wheels", []), *([package["archive"]] if "archive" in package else [])]
        for row in rows:
            filename = row.get("name") or str(row.get("url") or row.get("path")).rpartition("/")[2]
            try:
                tags = parse_wheel_filename(filename)[3]
            except InvalidWheelFilename:
                continue
            wheels[tags] = row.get("hashes", {}).get("sha256", "")
    return digests


def _installed(folder: Path, digests: Mapping[tuple[str, str], Mapping[frozenset[Tag], str]]) -> dict[str, str]:
    """What lies in the environment, read from its dist-info folders, each with its wheel's digest, found by the tags in WHEEL."""
    from packaging.tags import parse_tag

    installed: dict[str, str] = {}
    packages = [folder / "Lib" / "site-packages"] if os.name == "nt" else sorted(folder.glob("lib/python*/site-packages"))
    for site in packages:
        for info in sorted(site.glob("*.dist-info")):
            name, _, version = info.name.removesuffix(".dist-info").partition("-")
            wheels = digests.get((canonicalize_name(name), version), {})
            tags: frozenset[Tag] = frozenset()
            for line in (info / "WHEEL").read_text(encoding="utf-8", errors="replace").splitlines():
                if line.startswith("Tag:"):
                    tags |= parse_tag(line.removeprefix("Tag:").strip())
            digest = next(iter(wheels.values())) if len(wheels) == 1 else wheels.get(tags, "")
            installed[f"{canonicalize_name(name)}=={version}"] = digest
    return installed


def _unsatisfied(requires: Sequence[Requirement], stderr: str) -> BuildRequirementFault:
    words = _last_words(stderr)
    named = [str(requirement) for requirement in requires if canonicalize_name(requirement.name) in words.lower().replace("_", "-")]
    asked = ", ".join(named or [str(requirement) for requirement in requires])
    hint = "build requirements are taken as wheels only, from your own indexes: put a wheel of it on one of them"
    if "offline" in words or "network was disabled" in words:
        hint = "build requirements are not in the cache yet: run once without --offline"
    return BuildRequirementFault(f"what it needs to be built cannot be had ({asked}): {words}", hint=hint)


def _last_words(stderr: str) -> str:
    """uv's reason in one line: its drawing and its own hints left out."""
    lines = []
    for line in stderr.splitlines():
        text = line.strip().lstrip("\u00d7\u2570\u2500\u25b6\u251c\u2502 ").strip()  # its drawing
        if text.startswith("hint:"):
            break
        if text and not text.startswith("warning:"):
            lines.append(text)
    return " ".join(lines) or "no reason given"

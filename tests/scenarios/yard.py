"""A project, an index on loopback and the real verbs, with nothing of this machine's settings."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from uv import find_uv_bin

from hardtack import BuildOptions, BuildResult, IndexFlags, InputRequest, LockResult, Request, build, lock
from hardtack.model.finding import Severity
from hardtack.model.target import Target
from tests.support.archives import make_sdist, make_wheel
from tests.support.loopback import LoopbackIndex

LINUX, ARM, MAC, WINDOWS = "py312-linux-x86_64", "py312-linux-aarch64", "py312-macos-arm64", "py312-windows-x86_64"
OLD_LINUX = "py312-linux-x86_64-glibc2_17"


@dataclass(slots=True, kw_only=True)
class Yard:
    """Where a scenario happens. ``project`` is the user's folder, ``home`` holds the cache and what would be the user's settings."""

    project: Path
    home: Path
    index: LoopbackIndex
    indexes: IndexFlags | None = None
    more_environment: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """An environment in which neither pip nor uv is set up for anything."""
        return {
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(self.home),
            "XDG_CONFIG_HOME": str(self.home / "config"),
            "XDG_CONFIG_DIRS": str(self.home / "etc"),
            "PIP_CONFIG_FILE": os.devnull,
            "UV_NO_CONFIG": "1",
            **({"SYSTEMROOT": os.environ["SYSTEMROOT"]} if "SYSTEMROOT" in os.environ else {}),
            **self.more_environment,
        }

    @property
    def cache(self) -> Path:
        """hardtack's cache."""
        return self.home / "cache"

    @property
    def wheelhouse(self) -> Path:
        """Where builds stow."""
        return self.project / "wheelhouse"

    def wheel(self, name: str, version: str = "1.0", *, index: LoopbackIndex | None = None, **more: Any) -> str:
        """Put a wheel on the index; its file name. What ``make_wheel`` does not know goes to ``LoopbackIndex.add``."""
        listing: dict[str, Any] = {key: more.pop(key) for key in ("yanked", "sha256", "upload_time", "size", "project") if key in more}
        filename, data = make_wheel(name, version, **more)
        if "requires_python" in more:
            listing["requires_python"] = more["requires_python"]
        (index or self.index).add(filename, data, **listing)
        return filename

    def sdist(self, name: str, version: str = "1.0", *, setup: str = "", upload_time: str | None = None, static: bool = True) -> str:
        """Put an sdist on the index whose metadata is static (PEP 643), or that has only a setup.py; its file name."""
        head = f"Metadata-Version: 2.2\nName: {name}\nVersion: {version}\n" if static else None
        script = f"{setup}\nfrom setuptools import setup\nsetup(name={name!r}, version={version!r}, py_modules=[])\n"
        filename, data = make_sdist(name, version, metadata=head, files={"setup.py": script.encode()})
        self.index.add(filename, data, upload_time=upload_time)
        return filename

    def write(self, name: str, text: str) -> Path:
        """A file of the project."""
        path = self.project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def request(
        self,
        *requirements: str,
        targets: Sequence[str | Target] = (LINUX,),
        files: Sequence[str] = (),
        indexes: IndexFlags | None = None,
        inputs: InputRequest | None = None,
        **more: Any,
    ) -> Request:
        """A request for requirements by name, or for what lies in the project."""
        return Request(
            inputs=inputs or InputRequest(requirements=requirements, requirement_files=tuple(files), project_dir=self.project),
            targets=tuple(targets),
            indexes=indexes or self.indexes or IndexFlags(index_url=self.index.url, retries=0),
            cache_dir=self.cache,
            environment=self.environment,
            **more,
        )

    def build(self, *requirements: str, options: BuildOptions | None = None, trial: bool = False, **more: Any) -> BuildResult:
        """``hardtack build`` into the project's wheelhouse, without a trial installation unless asked for."""
        chosen = options or BuildOptions(trial=trial, output=self.wheelhouse)
        return build(self.request(*requirements, **more), chosen)

    def plan(self, *requirements: str, **more: Any) -> BuildResult:
        """``hardtack build --dry-run``."""
        return self.build(*requirements, options=BuildOptions(dry_run=True, output=self.wheelhouse), **more)

    def lock(
        self,
        *requirements: str,
        exports: Sequence[str] = (),
        check: bool = False,
        upgrade: Iterable[str] = (),
        **more: Any,
    ) -> LockResult:
        """``hardtack lock`` into the project."""
        return lock(self.request(*requirements, **more), exports=exports, check=check, upgrade=frozenset(upgrade))

    def files(self) -> set[str]:
        """The wheels that lie in the wheelhouse."""
        return {path.name for path in self.wheelhouse.glob("*.whl")}

    def run(self, *command: str | Path, cwd: Path | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
        """A program, in the same environment; pip and uv as ``python -m pip`` and ``uv``."""
        done = subprocess.run(
            [str(part) for part in command],
            cwd=cwd or self.project,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if check:
            assert done.returncode == 0, done.stdout + done.stderr
        return done

    def hardtack(self, *arguments: str | Path, check: bool = False) -> subprocess.CompletedProcess[str]:
        """The command line."""
        return self.run(sys.executable, "-m", "hardtack", *arguments, "--cache-dir", self.cache, check=check)

    def pip(self, *arguments: str | Path, check: bool = False) -> subprocess.CompletedProcess[str]:
        """Real pip of the interpreter that runs the tests, its cache off."""
        return self.run(
            sys.executable,
            "-m",
            "pip",
            *arguments,
            "--disable-pip-version-check",
            "--no-cache-dir",
            "--no-input",
            "--retries",
            "0",
            check=check,
        )

    def pip_download(self, into: str, *arguments: str) -> set[str]:
        """What ``pip download`` from the index saves."""
        self.pip("download", "-d", self.home / into, "--index-url", self.index.url, *arguments, check=True)
        return {path.name for path in (self.home / into).iterdir()}

    def uv(self, *arguments: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Real uv, with a cache of its own (not hardtack's)."""
        return self.run(
            find_uv_bin(), *arguments, "--cache-dir", self.home / "uv-cache", "--no-progress", "--no-python-downloads", check=check
        )


def taken(result: BuildResult | LockResult) -> dict[str, set[str]]:
    """The wheels that each target is given: by the wheelhouse's pins where there is one, else by the plan."""
    from hardtack.model.plan import Take

    assert isinstance(result, BuildResult)
    found: dict[str, set[str]] = {target.name: set() for target in result.targets}
    if result.manifest is not None:
        for pin in result.manifest.pins:
            found[pin.target].add(pin.filename)
        return found
    assert result.plan is not None
    for entry in result.plan.entries:
        if isinstance(entry.decision, Take):
            found[entry.target].add(entry.decision.file.filename)
    return found


def errors(result: BuildResult | LockResult) -> list[str]:
    """The codes of the errors."""
    return sorted(finding.code for finding in result.findings if finding.severity is Severity.ERROR)


def codes(result: BuildResult | LockResult) -> set[str]:
    """The codes of all findings."""
    return {finding.code for finding in result.findings}


def versions(result: LockResult | BuildResult) -> dict[str, str]:
    """The locked versions by name, of a lock that has one version of each."""
    assert result.lock is not None
    found = [(package.name, str(package.version)) for package in result.lock.packages]
    assert len(dict(found)) == len(found), found
    return dict(found)


def proven(result: BuildResult | LockResult) -> None:
    """Stop with every error's words where the result did not pass."""
    words = [f"{finding.code}: {finding.message}" for finding in result.findings if finding.severity is Severity.ERROR]
    assert result.passed, words
    assert not words

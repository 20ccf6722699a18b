"""uv: found beside us, run with a configuration and an environment that are ours alone."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from hardtack.errors import MissingTool
from hardtack.system.cancellation import Cancellation
from hardtack.system.environ import GIT, scrubbed
from hardtack.system.files import DiskFault, write_bytes
from hardtack.system.process import Completed, run

# Runs at the start of the guard interpreter: uv may ask it what it is (-I, isolated), and nothing else may run in it.
_GUARD = b"""\
import os
import sys

if "-I" not in sys.orig_argv:
    os.write(2, b"hardtack-guard: the code of a source distribution is not run while locking\\n")
    os._exit(97)
"""

GUARD_WORDS = "hardtack-guard:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Uv:
    """A uv executable, with the folder of its cache and what it needs to reach the indexes.

    ``network`` holds proxies, certificates and credentials by the names that uv reads; they reach uv and no log: ``redact`` takes them
    out of what uv says.
    """

    path: Path
    cache_dir: Path
    environment: Mapping[str, str] = field(repr=False)
    network: Mapping[str, str] = field(default_factory=dict, repr=False)
    offline: bool = False
    redact: Callable[[str], str] = field(default=str, repr=False)

    def run(
        self,
        arguments: Sequence[str],
        *,
        cwd: Path,
        stop: Cancellation | None = None,
        timeout: float | None = None,
        offline: bool | None = None,
        config_file: Path | None = None,
        log: str | None = None,
    ) -> Completed:
        """Run ``uv ARGUMENTS`` in ``cwd``. No configuration but ``config_file`` is read, and no interpreter is ever downloaded.

        ``log`` asks for more words on its standard error, as RUST_LOG does.
        """
        command = [str(self.path), *arguments, "--no-python-downloads", "--no-progress", "--color", "never"]
        command += ["--config-file", str(config_file)] if config_file is not None else ["--no-config"]
        shut = self.offline if offline is None else offline
        if shut:
            command.append("--offline")
        environment = scrubbed(
            self.environment,
            UV_CACHE_DIR=str(self.cache_dir / "uv"),
            # uv keeps a lock file even for reading its own logins, and would make the folder in the user's home.
            UV_CREDENTIALS_DIR=str(self.cache_dir / "uv" / "credentials"),
            UV_NO_ENV_FILE="1",
            **(self._for_git() if arguments[:1] == ["lock"] else {}),
            # Who asks nobody needs no login: uv hands its environment on to the interpreters that it looks at.
            **({} if shut else self.network),
            **({"RUST_LOG": log} if log else {}),
        )
        ended = run(command, environment=environment, cwd=cwd, stop=stop, timeout=timeout)
        words = ended.stderr
        if ended.code < 0 and not words.strip():
            import signal

            words = f"error: uv was ended by signal {-ended.code} ({signal.strsignal(-ended.code)})\n"
        return replace(ended, stderr=self.redact(words))

    def _for_git(self) -> dict[str, str]:
        # Locking fetches repositories, which git alone knows how to log in to; it must not ask.
        kept = {name: self.environment[name] for name in GIT if name in self.environment and not name.upper().endswith("PROXY")}
        kept.pop("SSL_CERT_FILE", None)
        return {**kept, "GIT_TERMINAL_PROMPT": "0"}

    def guard_interpreter(self, folder: Path, base: Path, *, stop: Cancellation | None = None) -> Path:
        """An interpreter, made in ``folder`` from ``base``, that tells uv what it is and refuses to run anything else.

        Handed to ``uv lock`` with build isolation off, it makes every build hook fail before a line of foreign code runs.
        """
        made = self.run(["venv", "--quiet", "--clear", "--python", str(base), str(folder)], cwd=folder.parent, stop=stop, offline=True)
        if made.code != 0:
            words = " ".join(made.stderr.split()) or f"exit code {made.code}"
            raise DiskFault(f"uv could not make an environment: {words}", where=str(folder), hint="is there room, and a right to write?")
        if os.name == "nt":
            packages, python = folder / "Lib" / "site-packages", folder / "Scripts" / "python.exe"
        else:
            packages, python = next(folder.glob("lib/python*/site-packages")), folder / "bin" / "python"
        write_bytes(packages / "sitecustomize.py", _GUARD)
        # Looked at now and remembered, it is not looked at when uv knows logins.
        self.run(["python", "find", "--no-project", str(python)], cwd=folder.parent, stop=stop, offline=True)
        return python


def find_uv(
    cache_dir: Path,
    environment: Mapping[str, str],
    *,
    network: Mapping[str, str] | None = None,
    offline: bool = False,
    redact: Callable[[str], str] = str,
) -> Uv:
    """The uv that is installed beside this Python. Raises MissingTool where there is none."""
    try:
        from uv import find_uv_bin

        path = Path(find_uv_bin())
    except (ImportError, FileNotFoundError):
        raise MissingTool("uv is not installed beside hardtack", hint="pip install uv") from None
    return Uv(path=path, cache_dir=cache_dir, environment=environment, network=network or {}, offline=offline, redact=redact)

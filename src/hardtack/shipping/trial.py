"""Two proofs that are not ours: uv's resolver over a target's files alone, and a real installation with the network shut."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hardtack.model.finding import Finding
from hardtack.model.manifest import Pin
from hardtack.model.target import Target
from hardtack.system import environ
from hardtack.system.cancellation import Cancellation
from hardtack.system.files import write_bytes
from hardtack.system.presence import present
from hardtack.system.process import Completed
from hardtack.system.uv import Uv

_TIME_LIMIT = 900.0
_UV_MACOS = (13, 0)  # what uv takes apple-darwin for; wheels for newer systems it does not see


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialFile:
    """A wheel of the target: its name, where it lies, and its sha256."""

    filename: str
    path: Path
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What is tried: a target, its exact pins, and its files by name."""

    target: Target
    pins: tuple[Pin, ...]
    files: Mapping[str, TrialFile]


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """An environment with exactly a trial's pins in it. ``folder`` holds it, ``python`` starts it."""

    folder: Path
    python: Path


def uv_platform(target: Target) -> str | None:
    """The target's platform as ``uv --python-platform`` names it, None where uv has no name for exactly it (PEERS: E9)."""
    platform = target.platform
    if target.free_threaded or target.implementation != "cpython" or platform.plain_linux:
        return None
    if platform.os == "windows":
        return {"x86_64": "x86_64-pc-windows-msvc", "x86": "i686-pc-windows-msvc", "arm64": "aarch64-pc-windows-msvc"}.get(platform.arch)
    if platform.os == "macos" and (platform.floor is None or platform.floor <= _UV_MACOS):
        return {"x86_64": "x86_64-apple-darwin", "arm64": "aarch64-apple-darwin"}.get(platform.arch)
    if platform.os == "linux" and platform.libc == "glibc" and platform.arch in ("x86_64", "aarch64"):
        floors = {(2, 17), (2, 28), *((2, minor) for minor in range(31, 41))}
        if platform.floor in floors:
            return f"{platform.arch}-manylinux_{platform.floor[0]}_{platform.floor[1]}"
    return None


def second_opinion(
    trial: Trial, requirements: Sequence[str], *, constraints: Sequence[str] = (), uv: Uv, stop: Cancellation
) -> tuple[Finding, ...] | None:
    """Ask uv's resolver, offline, to solve ``requirements`` from the trial's files alone, at the first patch of the target's range.

    Where the trial has pins, they bind; else uv chooses among the files, by ``constraints``. Returns None where uv cannot name the target,
    else its objection, if it has one.
    """
    platform = uv_platform(trial.target)
    if platform is None:
        return None
    with present(uv.cache_dir), _folder(trial, uv) as name:
        folder = Path(name)
        write_bytes(folder / "roots.txt", ("\n".join(requirements) + "\n").encode())
        write_bytes(folder / "constraints.txt", (_constraints(trial) + "".join(f"{text}\n" for text in constraints)).encode())
        command = ["pip", "install", "--dry-run", "--no-index", "--find-links", str(folder / "wheels"), "--only-binary", ":all:"]
        command += ["--target", str(folder / "into"), "--python-platform", platform, "--no-build-isolation"]
        command += ["--python-version", trial.target.patches.points(())[0]]
        # What is pinned is decided; else a pre-release is taken where an installer would take it.
        command += ["--prerelease", "allow"] if trial.pins else []
        # Any interpreter will do, for nothing runs in it; there may be none on PATH.
        command += ["-r", str(folder / "roots.txt"), "-c", str(folder / "constraints.txt"), "--python", str(environ.interpreter())]
        answer = _run(command, folder, uv, stop)
    if answer.code == 0:
        return ()
    return (
        Finding(
            code="second-opinion",
            message=f"uv's resolver cannot solve the requirements from the target's files: {_words(answer)}",
            target=trial.target.name,
            hint="`hardtack verify` names every gap at once; this is the first that uv saw",
        ),
    )


def choose_among(
    trial: Trial, requirements: Sequence[str], *, python: str, constraints: Sequence[str] = (), uv: Uv, stop: Cancellation
) -> Mapping[str, str] | str | None:
    """The version of each name that uv's resolver would take from the trial's files alone, on one full version of the target's Python.

    Returns its reason where it finds no choice, None where uv cannot name the target.
    """
    platform = uv_platform(trial.target)
    if platform is None:
        return None
    with present(uv.cache_dir), _folder(trial, uv) as name:
        folder = Path(name)
        write_bytes(folder / "roots.txt", ("\n".join(requirements) + "\n").encode())
        write_bytes(folder / "constraints.txt", "".join(f"{text}\n" for text in constraints).encode())
        command = ["pip", "compile", "--quiet", "--no-header", "--no-annotate", "--no-index", "--find-links", str(folder / "wheels")]
        command += ["--only-binary", ":all:", "--python-platform", platform, "--python-version", python]
        command += ["-c", str(folder / "constraints.txt"), "--python", str(environ.interpreter()), str(folder / "roots.txt")]
        answer = _run(command, folder, uv, stop)
    if answer.code != 0:
        return _words(answer)
    found = {}
    for line in answer.stdout.splitlines():
        head, equals, version = line.partition(";")[0].partition("==")
        if equals:
            found[head.partition("[")[0].strip()] = version.strip()
    return found


def install(trial: Trial, *, python: Path, uv: Uv, stop: Cancellation) -> tuple[Finding, ...]:
    """Install the target's exact list into a fresh environment of ``python``, offline and by hash; what stands against it."""
    with installed(trial, python=python, uv=uv, stop=stop) as made:
        return made if isinstance(made, tuple) else ()


@contextlib.contextmanager
def installed(trial: Trial, *, python: Path, uv: Uv, stop: Cancellation) -> Iterator[Installed | tuple[Finding, ...]]:
    """The same, for as long as the block lasts: the environment, or why there is none."""
    with present(uv.cache_dir), _folder(trial, uv) as name:
        folder = Path(name)
        write_bytes(folder / "requirements.txt", _exact(trial).encode())
        made = _run(["venv", "--quiet", "--python", str(python), str(folder / "env")], folder, uv, stop)
        if made.code != 0:
            yield (_failed(trial, "no environment could be made", made),)
            return
        inside = ["--python", str(folder / "env")]
        command = ["pip", "install", "--no-index", "--find-links", str(folder / "wheels"), "--only-binary", ":all:", "--no-deps"]
        done = _run([*command, "--require-hashes", "-r", str(folder / "requirements.txt"), *inside], folder, uv, stop)
        if done.code != 0:
            yield (_failed(trial, "installing from the wheelhouse failed", done),)
            return
        executable = folder / "env" / ("Scripts/python.exe" if environ.is_windows() else "bin/python")
        yield Installed(folder=folder / "env", python=executable)


def _failed(trial: Trial, what: str, answer: Completed) -> Finding:
    return Finding(code="install-failed", message=f"{what}: {_words(answer)}", target=trial.target.name)


def _run(command: Sequence[str], folder: Path, uv: Uv, stop: Cancellation) -> Completed:
    return uv.run(command, cwd=folder, stop=stop, timeout=_TIME_LIMIT, offline=True)


def _folder(trial: Trial, uv: Uv) -> tempfile.TemporaryDirectory[str]:
    """A folder on the cache's disk that holds the target's wheels under their names: links, for what is somebody's stays as it is."""
    uv.cache_dir.mkdir(parents=True, exist_ok=True)
    made = tempfile.TemporaryDirectory(prefix=".hardtack-trial-", dir=uv.cache_dir, ignore_cleanup_errors=True)
    wheels = Path(made.name) / "wheels"
    wheels.mkdir()
    try:
        for file in trial.files.values():
            _lend(file.path.absolute(), wheels / file.filename)
    except BaseException:
        made.cleanup()
        raise
    return made


def _lend(file: Path, link: Path) -> None:
    try:
        link.symlink_to(file)
    except OSError:  # Windows has links for those alone whom it trusts
        shutil.copyfile(file, link)


def _constraints(trial: Trial) -> str:
    return "".join(f"{pin.name}=={pin.version}{_marker(pin)}\n" for pin in trial.pins)


def _exact(trial: Trial) -> str:
    lines = [f"{pin.name}=={pin.version}{_marker(pin)} --hash=sha256:{trial.files[pin.filename].sha256}\n" for pin in trial.pins]
    return "".join(lines)


def _marker(pin: Pin) -> str:
    return f" ; {pin.marker}" if pin.marker else ""


def _words(answer: Completed) -> str:
    lines = [line.strip() for line in answer.stderr.splitlines() if line.strip() and not line.startswith(("Using ", "Resolved "))]
    return " ".join(lines)[:2000] or f"exit code {answer.code}"

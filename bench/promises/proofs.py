"""Rows 22 and 23: what hardtack calls complete installs, what it calls incomplete does not; real installers are asked."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.support.archives import make_wheel
from tests.support.loopback import LoopbackIndex
from tests.support.running import Account
from uv import find_uv_bin

from bench.promises.figures import Figure, Settings, Tally, Unmeasured
from bench.promises.grounds import ended

_MARKERS = (
    "", "", "", "; sys_platform == 'linux'", "; sys_platform == 'win32'", "; python_version >= '3.12'", "; python_version < '3.12'",
    "; platform_machine == 'x86_64'", "; os_name == 'nt' or python_version >= '3.11'", "; implementation_name == 'cpython'",
)  # fmt: skip
# Targets without an interpreter here, as uv's resolver names them.
_NAMED = {"py312-windows-x86_64": ("3.12", "x86_64-pc-windows-msvc"), "py312-macos-arm64": ("3.12", "aarch64-apple-darwin")}


def measure_proofs(settings: Settings) -> Iterator[Figure]:
    """Worlds by the dice: built, installed offline in every target; then each wheel taken away, and both asked again."""
    pythons = _pythons()
    if not pythons:
        raise Unmeasured("no interpreters of several versions are here")
    dice = random.Random(settings.seed)  # noqa: S311 - worlds, not secrets
    complete, incomplete = Tally(), Tally()
    for number in range(settings.runs or 6):
        folder = settings.folder / f"world{number}"
        with LoopbackIndex() as index:
            roots = _world(dice, index)
            account = Account.make(folder)
            targets = [*(f"py{version.replace('.', '')}-linux-x86_64" for version in pythons), *_NAMED]
            named = [part for target in targets for part in ("-t", target)]
            ran = account.run("build", *roots, *named, "-i", index.url, "--no-trial")
            if ran.code != 0:
                complete.expect(False, f"world {number + 1}: {ended(ran)}")
                continue
            house = account.project / "wheelhouse"
            answers = _asked(house, roots, pythons, folder)
            for target, installs in answers.items():
                complete.expect(installs, f"world {number + 1}, {target}: called complete, and does not install")
            wheels = sorted(house.glob("*.whl"))
            for gone in dice.sample(wheels, min(4, len(wheels))):
                less = folder / "less"
                shutil.rmtree(less, ignore_errors=True)
                shutil.copytree(house, less)
                (less / gone.name).unlink()
                verified = account.run("verify", str(less), "--json", "--no-trial")
                findings = verified.json()["findings"]
                faulty = {target for finding in findings if finding["severity"] == "error" for target in _targets(finding, targets)}
                for target, installs in _asked(less, roots, pythons, folder).items():
                    told = f"world {number + 1} without {gone.name}, {target}"
                    if target in faulty:
                        incomplete.expect(not installs, f"{told}: called incomplete, and installs")
                    else:
                        complete.expect(installs, f"{told}: called complete, and does not install")
    where = f"{', '.join(pythons)} installed by pip, {', '.join(_NAMED)} by uv's resolver"
    yield complete.figure(
        "22", f"verdicts 'complete' that a real offline installation confirms ({where})", f"{complete.tried} of {complete.tried}"
    )
    yield incomplete.figure("23", "verdicts 'incomplete' that it confirms", f"{incomplete.tried} of {incomplete.tried}")


def _targets(finding: dict[str, object], targets: list[str]) -> list[str]:
    """The targets that a finding is about; one that names none (a file that is gone) is about those that the closure names besides."""
    stated = finding.get("target")
    return [target for target in targets if target == stated]


def _pythons() -> dict[str, Path]:
    """Interpreters on this machine, by version; pip must be able to install into them from outside."""
    found = {}
    for version in ("3.10", "3.11", "3.12", "3.13"):
        asked = subprocess.run(
            [find_uv_bin(), "python", "find", "--no-project", "--no-config", "--no-python-downloads", version],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if asked.returncode == 0:
            found[version] = Path(asked.stdout.strip())
    return found


def _world(dice: random.Random, index: LoopbackIndex) -> list[str]:
    """Ten projects, each of which needs some of those after it, under markers and extras; returns the roots."""
    names = [f"pkg{number}" for number in range(10)]
    for at, name in enumerate(names):
        later = names[at + 1 :]
        requires = [f"{other}{dice.choice(['', '>=1', '<3'])}{dice.choice(_MARKERS)}" for other in dice.sample(later, min(len(later), 2))]
        if later and dice.random() < 0.3:
            requires.append(f"{dice.choice(later)}; extra == 'more'")
        if later and dice.random() < 0.2:
            requires = [text.replace(later[0], f"{later[0]}[more]", 1) if text.startswith(later[0]) else text for text in requires]
        tags = dice.choice([["py3-none-any"], ["py3-none-any"], _NATIVE])
        for tag in tags:
            index.add(*make_wheel(name, "1.0", tag=tag, requires=requires, extras=["more"]))
    return names[:2]


_NATIVE = [
    *(f"cp{minor}-cp{minor}-manylinux_2_17_x86_64" for minor in ("310", "311", "312", "313")),
    "cp312-cp312-win_amd64", "cp312-cp312-macosx_11_0_arm64",
]  # fmt: skip


def _asked(house: Path, roots: list[str], pythons: dict[str, Path], folder: Path) -> dict[str, bool]:
    """Whether each target installs from the folder alone: by pip in its interpreter, by uv's resolver for what it can name."""
    answers = {}
    environment = {"PATH": os.defpath, "PIP_CONFIG_FILE": os.devnull, "HOME": str(folder), "UV_NO_CONFIG": "1"}
    for version, python in pythons.items():
        into = folder / "into"
        shutil.rmtree(into, ignore_errors=True)
        command = [
            find_uv_bin(),
            "pip",
            "install",
            "--no-index",
            "--find-links",
            str(house),
            "--only-binary",
            ":all:",
            "--target",
            str(into),
        ]
        command += ["--python", str(python), "--no-cache", "--offline", *roots]
        pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-index", "--find-links", str(house), "--no-compile"]
        pip += ["--only-binary", ":all:", "--target", str(into), "--no-cache-dir", "--disable-pip-version-check", "--isolated", *roots]
        done = subprocess.run(pip, env=environment, capture_output=True, check=False)
        if b"No module named pip" in done.stderr:
            done = subprocess.run(command, env=environment, capture_output=True, check=False)
        answers[f"py{version.replace('.', '')}-linux-x86_64"] = done.returncode == 0
    for target, (version, platform) in _NAMED.items():
        command = [find_uv_bin(), "pip", "install", "--dry-run", "--no-index", "--find-links", str(house), "--only-binary", ":all:"]
        command += ["--target", str(folder / "named"), "--python-version", version, "--python-platform", platform]
        command += ["--python", sys.executable, "--no-cache", "--offline", *roots]
        answers[target] = subprocess.run(command, env=environment, capture_output=True, check=False).returncode == 0
    return answers

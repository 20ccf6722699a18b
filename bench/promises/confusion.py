"""Row 17: two indexes, a stranger's on the second, and no way to make hardtack take the stranger's."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.archives import make_sdist, make_wheel
from tests.support.loopback import LoopbackIndex
from tests.support.running import Account
from tests.support.world import LINUX, add_source

from bench.promises.figures import Figure, Settings, Tally
from bench.promises.grounds import ended

_OTHER = "cp312-cp312-win_amd64"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """``ours`` and ``theirs`` put files on the two indexes; ``wanted`` is asked for; ``passes``: there is a right answer, ours."""

    ours: Callable[[LoopbackIndex], object]
    theirs: Callable[[LoopbackIndex], object] = lambda index: _put(index, "corp", "99.0")
    wanted: str = "public"
    passes: bool = True
    fault: dict[str, Any] = field(default_factory=dict)


def _put(index: LoopbackIndex, name: str, version: str = "1.0", *, yanked: str | None = None, **more: Any) -> None:
    index.add(*make_wheel(name, version, **more), yanked=yanked, requires_python=more.get("requires_python"))


def _stolen(index: LoopbackIndex, version: str, **more: Any) -> None:
    _put(index, "corp", version, files={"corp/stolen.py": b"print('mine now')\n"}, **more)


_CASES: dict[str, _Case] = {
    "a higher version": _Case(ours=lambda index: _put(index, "corp")),
    "the same version": _Case(ours=lambda index: _put(index, "corp"), theirs=lambda index: _stolen(index, "1.0")),
    "a lower version where ours does not fit": _Case(
        ours=lambda index: _put(index, "corp", "3.0"), theirs=lambda index: _stolen(index, "1.0"), wanted="corp<2", passes=False
    ),
    "a build number": _Case(ours=lambda index: _put(index, "corp"), theirs=lambda index: _stolen(index, "1.0", build="9")),
    "a better platform": _Case(
        ours=lambda index: _put(index, "corp"), theirs=lambda index: _stolen(index, "1.0", tag="cp312-cp312-manylinux_2_28_x86_64")
    ),
    "a local version": _Case(ours=lambda index: _put(index, "corp"), theirs=lambda index: _stolen(index, "1.0+security1")),
    "a post release": _Case(ours=lambda index: _put(index, "corp"), theirs=lambda index: _stolen(index, "1.0.post1")),
    "an epoch": _Case(ours=lambda index: _put(index, "corp"), theirs=lambda index: _stolen(index, "1!0.1")),
    "another spelling": _Case(
        ours=lambda index: _put(index, "corp_lib"), theirs=lambda index: _put(index, "Corp.Lib", "99.0"), wanted="CORP-Lib"
    ),
    "asked for from theirs": _Case(ours=lambda index: _put(index, "corp"), wanted="public"),
    "asked for in range": _Case(ours=lambda index: _put(index, "corp"), wanted="corp>=1"),
    "beyond ours": _Case(ours=lambda index: _put(index, "corp"), wanted="corp>=2", passes=False),
    "exactly theirs": _Case(ours=lambda index: _put(index, "corp"), wanted="corp==99.0", passes=False),
    "no wheel of ours for the target": _Case(ours=lambda index: _put(index, "corp", tag=_OTHER), wanted="corp", passes=False),
    "ours is yanked": _Case(ours=lambda index: _put(index, "corp", yanked="old"), wanted="corp", passes=False),
    "ours wants another Python": _Case(ours=lambda index: _put(index, "corp", requires_python=">=3.14"), wanted="corp", passes=False),
    "ours is refused": _Case(ours=lambda index: _put(index, "corp"), fault={"status": 403}, passes=False),
    "ours is ill": _Case(ours=lambda index: _put(index, "corp"), fault={"status": 503}, passes=False),
    "ours is a login page": _Case(ours=lambda index: _put(index, "corp"), fault={"body": b"<html>Please log in</html>"}, passes=False),
    "ours hangs up": _Case(ours=lambda index: _put(index, "corp"), fault={"hang_up": True}, passes=False),
    "ours is built": _Case(ours=lambda index: add_source(index, "corp"), wanted="corp"),
    "ours cannot be built": _Case(
        ours=lambda index: add_source(index, "corp", before="raise SystemExit('no')"), wanted="corp", passes=False
    ),
    "asked for by a build": _Case(
        ours=lambda index: _put_with_needy(index), wanted="thing"
    ),
    "a pre-release": _Case(ours=lambda index: _put(index, "corp", "1.0a1"), theirs=lambda index: _stolen(index, "2.0"), wanted="corp"),
}  # fmt: skip


def _put_with_needy(index: LoopbackIndex) -> None:
    _put(index, "corp")
    index.add(*_needy("thing", "corp"))


def _needy(name: str, tool: str) -> tuple[str, bytes]:
    """A source whose build requires ``tool``; its own backend does the rest."""
    from tests.support.world import BACKEND

    pyproject = f'[build-system]\nrequires = ["{tool}"]\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    pyproject += f'[project]\nname = "{name}"\nversion = "1.0"\n'
    return make_sdist(name, "1.0", pyproject=pyproject, files={"backend.py": BACKEND.format(name=name, version="1.0", before="").encode()})


def _by_flags(_account: Account, ours: LoopbackIndex, theirs: LoopbackIndex) -> tuple[list[str], dict[str, str]]:
    return ["--extra-index-url", ours.url, "-i", theirs.url], {}


def _by_pip(_account: Account, ours: LoopbackIndex, theirs: LoopbackIndex) -> tuple[list[str], dict[str, str]]:
    return [], {"PIP_INDEX_URL": theirs.url, "PIP_EXTRA_INDEX_URL": ours.url}


def _by_pin(account: Account, ours: LoopbackIndex, theirs: LoopbackIndex) -> tuple[list[str], dict[str, str]]:
    account.write(
        "hardtack.toml",
        f'[[index]]\nname = "theirs"\nurl = "{theirs.url}"\ndefault = true\n'
        f'[[index]]\nname = "ours"\nurl = "{ours.url}"\nexplicit = true\npackages = ["corp", "corp-lib", "thing"]\n',
    )
    return [], {}


_WAYS = {"extra index": _by_flags, "pip's variables": _by_pip, "pinned": _by_pin}


def measure_confusion(settings: Settings) -> Iterator[Figure]:
    """Each case with the indexes named in each way: no file is taken from theirs, and where ours has an answer it is given."""
    stolen, answered = Tally(), Tally()
    for name, case in _CASES.items():
        for way, arranged in _WAYS.items():
            with LoopbackIndex() as ours, LoopbackIndex() as theirs:
                case.ours(ours)
                case.theirs(theirs)
                _put(theirs, "public", requires=["corp"])
                bad = {hashlib.sha256(file.data).hexdigest() for file in theirs.files.values() if file.project != "public"}
                if case.fault:
                    ours.fault("corp", **case.fault)
                account = _account(settings.folder, f"{name}-{way}")
                arguments, variables = arranged(account, ours, theirs)
                ran = account.run("build", case.wanted, "-t", LINUX, "--retries", "0", "--no-trial", *arguments, env=variables)
                taken = {hashlib.sha256(path.read_bytes()).hexdigest() for path in account.home.parent.rglob("*") if path.is_file()}
                asked = [request.path for request in theirs.requests if "/files/" in request.path and "public" not in request.path]
                told = f"{name}, {way}"
                stolen.expect(not asked and not taken & bad, f"{told}: {asked[:3]} {ended(ran)}")
                answered.expect(ran.code == (0 if case.passes else 1), f"{told}: {ended(ran)}")
    goal = f"{stolen.tried} of {stolen.tried}"
    yield stolen.figure("17", "two-index cases in which no file was taken, or fetched, from the wrong index", goal)
    yield answered.figure("17", "of them were answered as they should be (ours, or an error)", goal)


def _account(folder: Path, name: str) -> Account:
    place = folder / "".join(letter if letter.isalnum() else "-" for letter in name)
    (place / "tmp").mkdir(parents=True)
    return Account.make(place, TMPDIR=str(place / "tmp"))

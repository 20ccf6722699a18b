"""Row 19: disks that are full or may not be written, folders that are not there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.running import TRACEBACK, Account, Ran, contents

from bench.promises.figures import Figure, Settings, Tally, Unmeasured
from bench.promises.grounds import Ground, ended, strays, world, wrong_entries

_NOBODY = 65534
# A run limited so cannot write a file of more bytes; without the signal's default, the write fails.
_LIMITED = "import os, resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); \
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2); os.execv(sys.argv[2], sys.argv[2:])"


def measure_disks(settings: Settings) -> Iterator[Figure]:
    """Each fault with an older wheelhouse in place: a clear error, the old state intact, and whole once there is room."""
    tally = Tally()
    with world(settings.folder) as ground:
        account = ground.account("whole")
        account.run(*ground.build("--no-trial")).checked(0)
        whole = contents(account.project)
        for kilobytes in (20, 200, 700, 1100, 1500, 2600):
            _full(ground, tally, whole, "cache", kilobytes)
            _full(ground, tally, whole, "wheelhouse", kilobytes)
        for size in (0, 1, 100, 4096, 20_000, 500_000):
            _limited(ground, tally, whole, size)
        for place in ("cache", "wheelhouse"):
            _read_only(ground, tally, whole, place)
        _permissions(ground, tally, whole)
        _missing(ground, tally, whole)
    yield tally.figure(
        "19",
        "full, read-only, limited, forbidden and missing folders: a clear error, the old state intact, the next run whole",
        f"{tally.tried} of {tally.tried}",
    )


def _older(ground: Ground, name: str = "account") -> tuple[Account, dict[str, str]]:
    """An account with a wheelhouse of less than what is asked for now, and what it holds."""
    account = ground.account(name)
    account.run("build", "app", "-t", "py312-linux-x86_64", "-i", ground.index.url, "--no-trial").checked(0)
    return account, contents(account.project)


def _clear(ran: Ran, account: Account) -> bool:
    """What: a disk's fault, where: a path, what to do."""
    return (
        ran.code in (1, 2)
        and TRACEBACK not in ran.err
        and "fault in hardtack itself" not in ran.err
        and (str(account.home.parent) in ran.err or "uv was ended by signal" in ran.err)
    )


def _judge(
    tally: Tally, told: str, ran: Ran, account: Account, before: dict[str, str], whole: dict[str, str], again: Callable[[], Ran]
) -> None:
    if ran.code == 0:
        fine = contents(account.project) == whole
        tally.expect(fine, f"{told}: it went through, but the result is another")
        return
    said = _clear(ran, account)
    # Wheels are linked into place one by one; the manifest that names them is the last.
    after = contents(account.project)
    intact = all(
        after.get(name) == digest for name, digest in before.items() if name.endswith(".whl") or name == "wheelhouse/wheelhouse.json"
    )
    bad = wrong_entries(account.cache)
    next_run = again()
    right = next_run.code == 0 and contents(account.project) == whole
    left = [name for name in strays(account.home.parent, but=("cache/uv", "tmp")) if not name.startswith("cache/partial")]
    tally.expect(
        said and intact and not bad and right and not left,
        f"{told}: clear: {said}, intact: {intact}, {bad}, left {left[:3]}, {ended(ran)}; again: {ended(next_run)}",
    )


@contextmanager
def small_disk(folder: Path, kilobytes: int, *, kept: Path) -> Iterator[Callable[[str], object]]:
    """A disk of that size at ``folder``, with what lies there now on it; the function remounts it. Raises Unmeasured where none can be."""
    if sys.platform != "linux" or os.geteuid() != 0:
        raise Unmeasured("mounting a small disk takes root on Linux")
    if folder.exists():
        folder.rename(kept)
    folder.mkdir(parents=True)
    done = subprocess.run(
        [_program("mount"), "-t", "tmpfs", "-o", f"size={kilobytes}k", "none", str(folder)], check=False, capture_output=True
    )
    if done.returncode:
        raise Unmeasured("no disk may be mounted here")
    try:
        if kept.exists():
            shutil.copytree(kept, folder, dirs_exist_ok=True, symlinks=True)
        yield lambda options: subprocess.run([_program("mount"), "-o", f"remount,{options}", str(folder)], check=True)
    finally:
        subprocess.run([_program("umount"), "-l", str(folder)], check=True)


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise Unmeasured(f"{name} is not installed")
    return found


def _full(ground: Ground, tally: Tally, whole: dict[str, str], place: str, kilobytes: int) -> None:
    account, before = _older(ground)
    folder = account.cache if place == "cache" else account.project / "wheelhouse"
    used = sum(-(-path.lstat().st_size // 4096) * 4 + 4 for path in folder.rglob("*")) + 64
    try:
        with small_disk(folder, used + kilobytes, kept=account.home.parent / "kept") as remount:
            ran = account.run(*ground.build("--no-trial"))

            def again() -> Ran:
                remount("size=64m")
                return account.run(*ground.build("--no-trial"))

            _judge(tally, f"{place} full after {kilobytes} kB", ran, account, before, whole, again)
    except Unmeasured:
        return
    except shutil.Error as error:
        tally.expect(False, f"the disk of {place} could not be filled: {str(error)[:200]}")


def _limited(ground: Ground, tally: Tally, whole: dict[str, str], size: int) -> None:
    """No file may grow larger than that, as with a quota."""
    account, before = _older(ground)
    ran = account.run(*ground.build("--no-trial"), before=[sys.executable, "-c", _LIMITED, str(size)])
    _judge(tally, f"files of {size} bytes at most", ran, account, before, whole, lambda: account.run(*ground.build("--no-trial")))


def _read_only(ground: Ground, tally: Tally, whole: dict[str, str], place: str) -> None:
    account, before = _older(ground)
    folder = account.cache if place == "cache" else account.project / "wheelhouse"
    try:
        with small_disk(folder, 64_000, kept=account.home.parent / "kept") as remount:
            remount("ro")
            ran = account.run(*ground.build("--no-trial"))

            def again() -> Ran:
                remount("rw")
                return account.run(*ground.build("--no-trial"))

            _judge(tally, f"{place} read-only", ran, account, before, whole, again)
    except Unmeasured:
        return


def _permissions(ground: Ground, tally: Tally, whole: dict[str, str]) -> None:
    """Folders without a right to write; root has every right, and does so as somebody else."""
    before_words: list[str] = []
    if os.geteuid() == 0:
        before_words = ["setpriv", f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups", "--"]
        # uv asks for the real path of this Python, which may lie where only root may look.
        tried = [*before_words, "realpath", "--canonicalize-existing", sys.executable]
        if shutil.which("setpriv") is None or subprocess.run(tried, check=False, capture_output=True).returncode:
            return
    for place in ("cache", "wheelhouse", "project"):
        account, before = _older(ground)
        folder = {"cache": account.cache, "wheelhouse": account.project / "wheelhouse", "project": account.project}[place]
        if before_words:
            subprocess.run([_program("chown"), "-R", f"{_NOBODY}:{_NOBODY}", str(account.home.parent)], check=True)
        folder.chmod(0o555)
        output = ["-o", "new/wheelhouse"] if place == "project" else []
        ran = account.run(*ground.build("--no-trial", *output), before=before_words)
        folder.chmod(0o755)
        run = lambda account=account: account.run(*ground.build("--no-trial"), before=before_words)  # noqa: E731
        _judge(tally, f"{place} that may not be written", ran, account, before, whole, run)


def _missing(ground: Ground, tally: Tally, whole: dict[str, str]) -> None:
    """Folders that are not there are made; what stands where a folder has to be is told."""
    account = ground.account()
    shutil.rmtree(account.home)
    shutil.rmtree(account.home.parent / "tmp")
    ran = account.run(*ground.build("--no-trial"))
    tally.expect(ran.code == 0 and contents(account.project) == whole, f"no home, no cache, no folder for temporary files: {ended(ran)}")
    ran = account.run(*ground.build("--no-trial", "-o", "deep/er/wheelhouse"))
    tally.expect(ran.code == 0, f"an output whose parents are not there: {ended(ran)}")
    for part in ("files", "partial", "facts", "pages", "uv", "builds", "locks", "receipts", "runs"):
        account, before = _older(ground)
        shutil.rmtree(account.cache / part, ignore_errors=True)
        ran = account.run(*ground.build("--no-trial"))
        tally.expect(ran.code == 0 and contents(account.project) == whole, f"cache without {part}: {ended(ran)}")
        account, before = _older(ground)
        shutil.rmtree(account.cache / part, ignore_errors=True)
        (account.cache / part).write_text("a file\n")
        ran = account.run(*ground.build("--no-trial"))

        def again(account: Account = account, part: str = part) -> Ran:
            (account.cache / part).unlink(missing_ok=True)
            return account.run(*ground.build("--no-trial"))

        _judge(tally, f"a file where the cache has {part}", ran, account, before, whole, again)

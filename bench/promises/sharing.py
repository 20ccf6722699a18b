"""Row 18: many processes on one store and one wheelhouse."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from tests.support.running import contents

from bench.promises.figures import Figure, Settings, Tally
from bench.promises.grounds import Ground, ended, strays, world, wrong_entries

ROUNDS, PROCESSES = 20, 16


def measure_sharing(settings: Settings) -> Iterator[Figure]:
    """Rounds of processes that start together, with nothing there, on one cache and one wheelhouse."""
    yield share(settings, rounds=settings.runs or ROUNDS, processes=PROCESSES)


def share(settings: Settings, *, rounds: int, processes: int) -> Figure:
    """The figure, of so many rounds of so many processes."""
    tally = Tally()
    with world(settings.folder) as ground:
        account = ground.account("alone")
        account.run(*ground.build("--no-trial")).checked(0)
        whole = contents(account.project)
        account = ground.account()
        with ThreadPoolExecutor(processes) as threads:
            for number in range(rounds):
                # Everything anew, the store alone anew, and the wheelhouse alone anew, by turns.
                if number % 3 != 2:
                    shutil.rmtree(account.cache, ignore_errors=True)
                if number % 3 != 1:
                    shutil.rmtree(account.project / "wheelhouse", ignore_errors=True)
                runs = [account.start(*_arguments(ground, at)) for at in range(processes)]
                ends = list(threads.map(lambda run: run.end(timeout=300), runs))
                failed = [ended(ran) for ran in ends if ran.code != 0]
                found = contents(account.project)
                same = {name: digest for name, digest in found.items() if not name.startswith("another/")} == whole
                bad, left = wrong_entries(account.cache), strays(account.home.parent, but=("cache/uv",))
                tally.expect(
                    not failed and same and not bad and not left, f"round {number + 1}: {failed[:2]} same: {same} {bad[:2]} {left[:3]}"
                )
    return tally.figure(
        "18", f"rounds of {processes} processes on one store and one wheelhouse: none failed, all results equal", f"{rounds} of {rounds}"
    )


def _arguments(ground: Ground, at: int) -> list[str]:
    """Most into one wheelhouse; a few verify or lock beside it what is there by then or not."""
    return ground.build("--no-trial", *(["-o", "another"] if at % 8 == 7 else []))

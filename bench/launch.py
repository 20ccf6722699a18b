"""Start a command and say what it cost: ``python -I -S launch.py LOG COMMAND...`` prints one JSON object.

A process of its own, and a small one: a child's peak memory counts from what its parent had when it was forked.
"""

import json
import os
import sys
import time


def main(log: str, *command: str) -> None:
    """The command's output goes to ``log``."""
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    nothing = os.open(os.devnull, os.O_RDONLY)
    actions = [(os.POSIX_SPAWN_DUP2, nothing, 0), (os.POSIX_SPAWN_DUP2, output, 1), (os.POSIX_SPAWN_DUP2, output, 2)]
    started = time.perf_counter()
    process = os.posix_spawnp(command[0], command, os.environ, file_actions=actions)
    _, status, usage = os.wait4(process, 0)
    wall = time.perf_counter() - started
    unit = 1 if sys.platform == "darwin" else 1024
    row = {
        "code": os.waitstatus_to_exitcode(status),
        "wall": wall,
        "cpu": usage.ru_utime + usage.ru_stime,
        "memory": usage.ru_maxrss * unit,
    }
    sys.stdout.write(json.dumps(row))


if __name__ == "__main__":
    main(*sys.argv[1:])

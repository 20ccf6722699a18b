"""``python -m hardtack`` and the ``hardtack`` command."""

from __future__ import annotations

import gc
import os
import signal
import sys


def main() -> None:
    """Run the command line and exit with its code."""
    signal.signal(signal.SIGINT, _leave)
    from hardtack.cli.main import run

    spare_the_collector()
    try:
        code = run()
    except KeyboardInterrupt:
        code = 130
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the run is over, and its result is out
    sys.exit(code)


def _leave(_number: int, _frame: object) -> None:
    """Interrupted while modules load: nothing was begun, and an exception in the midst of an import would come out as anything."""
    if "--json" in sys.argv:
        error = b'{"slug": "cancelled", "reason": "interrupted", "where": null, "hint": null}'
        os.write(1, b'{"schema": 1, "kind": "error", "error": ' + error + b"}\n")
    else:
        os.write(2, b"error: interrupted\n")
    os._exit(130)


def spare_the_collector() -> None:
    """Have cycles looked for seldom, in a process that is ours alone.

    A run makes hundreds of thousands of small objects that live to its end. To search them all again with every few more would make the
    work grow faster than the input.
    """
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


if __name__ == "__main__":
    main()

"""``python -m hardtack`` and the ``hardtack`` command."""

from __future__ import annotations

import gc
import sys


def main() -> None:
    """Run the command line and exit with its code."""
    try:
        from hardtack.cli.main import run

        spare_the_collector()
        code = run()
    except KeyboardInterrupt:
        # Before the verb took the signal over, or after it was done.
        code = 130
    sys.exit(code)


def spare_the_collector() -> None:
    """Have cycles looked for seldom, in a process that is ours alone.

    A run makes hundreds of thousands of small objects that live to its end. To search them all again with every few more would make the
    work grow faster than the input.
    """
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


if __name__ == "__main__":
    main()

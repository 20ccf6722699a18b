"""The fetch as a process of its own, start-up and all: ``python -m bench.fetch_child FILES AUTHORITY CACHE``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from hardtack.fetching.download import fetch
from hardtack.fetching.transfer import Wanted
from hardtack.indexing.credentials import Credentials
from hardtack.indexing.http import HttpTransport
from hardtack.indexing.settings import IndexSettings
from hardtack.reporting import Reporter
from hardtack.system.cancellation import Cancellation
from hardtack.wheelhouse.store import Store


def main(files: str, authority: str, cache: str) -> int:
    """Returns the exit code."""
    wanted = [
        Wanted(filename=row["filename"], urls=(row["url"],), sha256=row["sha256"], size=row["size"])
        for row in json.loads(Path(files).read_text())
    ]
    stop = Cancellation()
    settings = IndexSettings(indexes=(), ca_file=Path(authority))
    with HttpTransport(settings, Credentials(), stop) as transport:
        fetched = fetch(wanted, transport=transport, store=Store(Path(cache) / "files"), reporter=Reporter(), stop=stop)
    for failure in fetched.failures:
        sys.stderr.write(f"{failure}\n")
    return 1 if fetched.failures else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

"""What fuzzers begin with: the small ones of the corpus, sound and unsound."""

from __future__ import annotations

from functools import cache

from tests.corpus.every import of_kind
from tests.wheelhouse_archives.raw_zip import METADATA

_LARGEST = 20_000


@cache
def seeds(kind: str) -> list[tuple[str, bytes]]:
    """Names (or media types) and bytes; of sound ones there are as many as there are, of others every third."""
    if kind == "metadata":
        return [
            ("METADATA", METADATA.encode()),
            ("METADATA", (METADATA + "Requires-Dist: a[b]>=1,<2; os_name == 'nt'\nProvides-Extra: x\n\ntext").encode()),
        ]
    cases = of_kind(kind)
    chosen = [case for case in cases if case.verdict == "accept"] + [case for case in cases if case.verdict != "accept"][::3]
    found = [(case.name, case.make()) for case in chosen]
    return [(name, data) for name, data in found if len(data) <= _LARGEST]

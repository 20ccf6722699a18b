"""How much an archive may ask of the machine that reads it."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds for one archive, far above what real wheels and sdists need. Sizes in bytes, unpacked unless said otherwise.

    ``ratio``: how many times larger than its packed form anything above ``ratio_from`` bytes may be (deflate ends at 1032).
    """

    entries: int = 250_000
    total: int = 64 << 30
    ratio: int = 250
    ratio_from: int = 64 * MIB
    directory: int = 128 * MIB
    metadata: int = 8 * MIB
    headers: int = 2 * MIB
    record: int = 64 * MIB
    tags: int = 1000
    findings: int = 20


DEFAULT = Limits()

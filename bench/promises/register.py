"""All measures, in the order of their rows."""

from __future__ import annotations

from bench.promises.archives import measure_corpus, measure_flips, measure_outside, measure_real
from bench.promises.disks import measure_disks
from bench.promises.durability import measure_durability
from bench.promises.figures import Measure
from bench.promises.killing import measure_kills
from bench.promises.network import measure_offline, measure_refusals, measure_servers
from bench.promises.sharing import measure_sharing

MEASURES: tuple[Measure, ...] = (
    Measure(rows=("1", "2", "3"), measure=measure_kills, about="killed at random instants, run again"),
    Measure(rows=("4",), measure=measure_durability, about="synced before named, healed when damaged"),
    Measure(rows=("5",), measure=measure_corpus, about="bad archives refused, controls accepted"),
    Measure(rows=("6",), measure=measure_real, about="real wheels accepted"),
    Measure(rows=("7",), measure=measure_flips, about="single bits flipped in real wheels"),
    Measure(rows=("8",), measure=measure_outside, about="nothing written outside"),
    Measure(rows=("9",), measure=measure_offline, about="--offline calls nobody"),
    Measure(rows=("14",), measure=measure_servers, about="bad servers"),
    Measure(rows=("15",), measure=measure_refusals, about="an index's fault is not an absent project"),
    Measure(rows=("18",), measure=measure_sharing, about="many processes, one store and wheelhouse"),
    Measure(rows=("19",), measure=measure_disks, about="full, read-only, forbidden, missing folders"),
)

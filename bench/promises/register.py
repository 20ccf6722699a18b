"""All measures, in the order of their rows."""

from __future__ import annotations

from bench.promises.archives import measure_corpus, measure_flips, measure_outside, measure_real
from bench.promises.builds import measure_absence, measure_bombs, measure_holding, measure_results
from bench.promises.confusion import measure_confusion
from bench.promises.disks import measure_disks
from bench.promises.durability import measure_durability
from bench.promises.figures import Measure
from bench.promises.interruptions import measure_clocks, measure_pipes, measure_signals
from bench.promises.killing import measure_kills
from bench.promises.network import measure_offline, measure_refusals, measure_servers
from bench.promises.proofs import measure_proofs
from bench.promises.rebuilding import measure_rebuilding
from bench.promises.sameness import measure_sameness
from bench.promises.secrets import measure_secrets
from bench.promises.sharing import measure_sharing

MEASURES: tuple[Measure, ...] = (
    Measure(rows=("1", "2", "3"), measure=measure_kills, about="killed at random instants, run again"),
    Measure(rows=("4",), measure=measure_durability, about="synced before named, healed when damaged"),
    Measure(rows=("5",), measure=measure_corpus, about="bad archives refused, controls accepted"),
    Measure(rows=("6",), measure=measure_real, about="real wheels accepted"),
    Measure(rows=("7",), measure=measure_flips, about="single bits flipped in real wheels"),
    Measure(rows=("8",), measure=measure_outside, about="nothing written outside"),
    Measure(rows=("9",), measure=measure_offline, about="--offline calls nobody"),
    Measure(rows=("10",), measure=measure_holding, about="a hostile build sees and changes nothing"),
    Measure(rows=("11",), measure=measure_absence, about="no sandbox possible"),
    Measure(rows=("12",), measure=measure_bombs, about="bombs end, memory stays flat"),
    Measure(rows=("13",), measure=measure_results, about="wrong results of a backend"),
    Measure(rows=("14",), measure=measure_servers, about="bad servers"),
    Measure(rows=("15",), measure=measure_refusals, about="an index's fault is not an absent project"),
    Measure(rows=("16",), measure=measure_secrets, about="no login where it does not belong"),
    Measure(rows=("17",), measure=measure_confusion, about="two indexes, one a stranger's"),
    Measure(rows=("18",), measure=measure_sharing, about="many processes, one store and wheelhouse"),
    Measure(rows=("19",), measure=measure_disks, about="full, read-only, forbidden, missing folders"),
    Measure(rows=("22", "23"), measure=measure_proofs, about="complete and incomplete, asked of real installers"),
    Measure(rows=("24",), measure=measure_sameness, about="the same lock, the same bytes"),
    Measure(rows=("25",), measure=measure_rebuilding, about="fifty real source archives built twice", live=True),
    Measure(rows=("signals",), measure=measure_signals, about="SIGINT and SIGTERM"),
    Measure(rows=("pipes",), measure=measure_pipes, about="readers that go away"),
    Measure(rows=("clocks",), measure=measure_clocks, about="times that jump"),
)

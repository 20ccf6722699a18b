"""Coverage-guided fuzzing: ``python -m tests.fuzz.with_atheris KIND [-max_total_time=60 ...libFuzzer's options... [FOLDER]]``.

Needs atheris, which has wheels for some Pythons and systems only. Seeds are those of ``python -m tests.fuzz``; the mutators are too.
"""

from __future__ import annotations

import random
import sys
import tempfile
from pathlib import Path


def main() -> None:
    """Hand over to libFuzzer; it ends the process."""
    try:
        import atheris  # type: ignore[import-not-found, import-untyped, unused-ignore]
    except ImportError:
        sys.exit("atheris is not installed here: pip install atheris")
    with atheris.instrument_imports(include=["hardtack"]):
        from tests.fuzz.properties import KINDS, check
    from tests.fuzz.mutating import mutated
    from tests.fuzz.seeds import seeds

    if len(sys.argv) < 2 or sys.argv[1] not in KINDS:
        sys.exit(f"which of {', '.join(KINDS)}?")
    kind = sys.argv.pop(1)
    found = seeds(kind)
    others = [data for _, data in found]
    # Every seed comes under the name of the first: names are not what is fuzzed here.
    name = found[0][0]
    folder = Path(tempfile.mkdtemp(prefix="hardtack-atheris-"))
    corpus = folder / "seeds"
    corpus.mkdir()
    for number, data in enumerate(others):
        (corpus / str(number)).write_bytes(data)

    def test_one(data: bytes) -> None:
        check(kind, name, data, folder)

    def mutate(data: bytes, largest: int, seed: int) -> bytes:
        chance = random.Random(seed)
        if chance.random() < 0.5:
            return bytes(atheris.Mutate(data, largest))
        return mutated(kind, data, others, chance)[:largest]

    atheris.Setup([*sys.argv, str(corpus)], test_one, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()

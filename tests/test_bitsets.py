"""Sets of small numbers as bits, beside Python's own sets; on both sides of the sizes from which they are gone through in another way."""

from __future__ import annotations

import random

import pytest

from roe.plan.bitsets import FEW, LONG, bits, of_bits, runs

SIZES = (1, 8, 63, 64, 65, LONG - 1, LONG, LONG + 1, LONG + 2, 3 * LONG)
COUNTS = (1, 2, FEW - 1, FEW, FEW + 1, 5 * FEW)


def some_sets() -> list[list[int]]:
    rng = random.Random(3)
    made = [[], [0], [0, 1], [LONG], [LONG + 1], list(range(LONG + 9)), list(range(40, LONG + 40)), list(range(0, 2 * LONG, 2))]
    for size in SIZES:
        for count in COUNTS:
            if count <= size:
                made.append(sorted({*rng.sample(range(size), count), size - 1}))
    return made


@pytest.mark.parametrize("places", some_sets(), ids=lambda places: f"{len(places)} up to {max(places, default=0)}")
def test_bits_and_runs_are_those_of_a_set(places: list[int]) -> None:
    mask = sum(1 << at for at in places)
    assert of_bits(places) == mask
    assert list(bits(mask)) == places
    first = [at for at in places if at - 1 not in places]
    last = [at for at in places if at + 1 not in places]
    assert list(runs(mask)) == list(zip(first, last, strict=True))

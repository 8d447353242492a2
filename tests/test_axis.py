"""What is true in a set of cells, beside a model that looks at every cell by itself."""

from __future__ import annotations

import random

import pytest

from roe.analysis.axis import Axis
from roe.grammar import syntax as s
from roe.plan.bitsets import bits, runs


@pytest.mark.parametrize("seed", range(6))
def test_runs_of_cells_are_joined_as_cell_by_cell(seed: int) -> None:
    rng = random.Random(seed)
    rules, cells = rng.choice([3, 40, 700]), rng.choice([1, 7, 8, 9, 64, 777])
    true = [0] * cells
    uses = rng.getrandbits(rules)
    for bit in range(rules):
        for _ in range(rng.choice([0, 1, 1, 1, 3])):  # most rules hold for one run, some for several, some nowhere
            first = rng.randrange(cells)
            for cell in range(first, rng.randrange(first, cells) + 1):
                true[cell] |= 1 << bit
    everything = (1 << rules) - 1
    true = [held | everything & ~uses for held in true]
    axis = Axis("x", s.Name("x"), [(None if i == 0 else i, held, True) for i, held in enumerate(true)], uses)
    for _ in range(60):
        asked = rng.getrandbits(cells) & rng.getrandbits(cells) if rng.random() < 0.3 else 0
        for _ in range(rng.randrange(4)):
            first = rng.randrange(cells)
            asked |= (1 << rng.randrange(first, cells) + 1) - (1 << first)
        some, each = 0, -1
        for cell in range(cells):
            if asked >> cell & 1:
                some, each = some | true[cell], each & true[cell]
        assert axis.any(asked) == some
        assert axis.all(asked) == each
    for bit in range(rules):
        assert axis.holding(bit) == sum(1 << cell for cell in range(cells) if true[cell] >> bit & 1)


@pytest.mark.parametrize("length", [1, 100, 3_000])
def test_runs_are_the_bits_that_are_set(length: int) -> None:
    rng = random.Random(length)
    for wanted in (0, 1, 5, 60, length):
        mask = sum(1 << place for place in rng.sample(range(length), min(wanted, length)))
        assert [i for first, last in runs(mask) for i in range(first, last + 1)] == list(bits(mask))
        assert list(bits(mask)) == [i for i in range(length) if mask >> i & 1]

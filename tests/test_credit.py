"""Credit in an array says what the pool says alone, turn by turn: whoever is next among changing standings, and what is booked."""

from __future__ import annotations

import random
from fractions import Fraction
from typing import Any

import pytest

pytest.importorskip("numpy")
from roe.columns.credit import Credit
from roe.evaluator.turns import LARGEST, Ledger, Seat, Slots, Standing
from test_turns import some_credits, some_seats


class _Pool:
    """The part of a pool that credit asks for, by `Ledger` and `Slots`."""

    def __init__(self, limit: int, credits: dict[str, Fraction]) -> None:
        self._ledger, self.log = Ledger(limit, credits), list[tuple[Any, str]]()

    def ledger(self) -> Ledger:
        return self._ledger

    def next(self, standing: Standing) -> str:
        rep = standing.reps[Slots(standing, self._ledger).next()]
        self._ledger.settle(standing, 1, {rep: 1})
        self.took_turn(standing, rep)
        return rep

    def took_turn(self, standing: Standing, rep: str) -> None:
        self.log.append((standing, rep))

    def go_on(self, scale: int, units: dict[str, int]) -> None:
        self._ledger.scale, self._ledger.units = scale, units


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.parametrize("heavy", [1, 997, 10**10, 2 * LARGEST])
def test_an_array_takes_the_turns_that_a_ledger_takes(seed: int, heavy: int) -> None:
    """With weights whose sums have no common multiple below the largest denominator, and with some that an array cannot hold."""
    rng = random.Random(seed)
    standings = []
    for _ in range(rng.randint(1, 9)):
        seats = some_seats(rng, rng.randint(1, 9))
        more = [Seat(s.rep, s.weight * rng.choice([1, 1, rng.randint(1, heavy)]), s.skipped, s.owed) for s in seats]
        standings.append(Standing(more))
    credits = some_credits(rng, some_seats(rng, 9)) if seed % 2 else {}
    one, other = (_Pool(3, credits) for _ in range(2))
    credit = Credit(one)  # type: ignore[arg-type]
    for standing in rng.choices(standings, k=200):
        assert credit.next(standing) == other.next(standing)
    credit.close()
    assert one.log == other.log and one.ledger().credits() == other.ledger().credits()


def test_runs_of_turns_are_booked_as_single_ones() -> None:
    """However many turns of one standing are booked together, also where shares are rounded."""
    rng = random.Random(4)
    standings = [Standing([Seat("a", Fraction(1)), Seat("b", Fraction(p - 1)), Seat("c", Fraction(2), "away", True)]) for p in (1009, 1013, 1019, 1021, 1031, 1033)]  # fmt: skip
    one, other = Ledger(3), Ledger(3)
    for standing in standings * 3:
        n = rng.randint(1, 40)
        slots = Slots(standing, one)
        taken = [standing.reps[slots.next()] for _ in range(n)]
        one.settle(standing, n, {rep: taken.count(rep) for rep in taken})
        single = []
        for _ in range(n):
            rep = standing.reps[Slots(standing, other).next()]
            other.settle(standing, 1, {rep: 1})
            single.append(rep)
        assert taken == single and one.credits() == other.credits()
    assert one.scale > LARGEST // 2

"""Turns beside a model of the module's own words: fractions, one turn after the other, nothing kept and nothing counted ahead."""

from __future__ import annotations

import random
from collections import Counter
from fractions import Fraction

import pytest

from roe.columns.turns_ahead import TurnsAhead
from roe.evaluator.turns import LARGEST, Ledger, Seat, Slots, Standing, TurnHistory

Credits = dict[str, Fraction]


def some_seats(rng: random.Random, reps: int) -> list[Seat]:
    """Reps with weights, of whom some are skipped, and of those some are owed the turn; at least one is able."""
    seats = []
    for i in range(reps):
        away = i > 0 and rng.random() < 0.4
        weight = Fraction(rng.choice([1, 1, 2, 3, 5, 20]), rng.choice([1, 1, 2, 4]))
        seats.append(Seat(f"r{i}", weight, "on leave" if away else "", away and rng.random() < 0.7))
    return seats


def some_credits(rng: random.Random, seats: list[Seat]) -> Credits:
    return {s.rep: Fraction(rng.randint(-8, 8), rng.choice([1, 2, 3, 4])) for s in seats if rng.random() < 0.8}


def earned(seats: list[Seat], credits: Credits, limit: int) -> Credits:
    """Credit after one turn that nobody has taken yet: everybody's share of it."""
    sharing = [s for s in seats if not s.skipped or (s.owed and credits.get(s.rep, Fraction()) < limit)]
    total = sum(s.weight for s in sharing)
    return credits | {s.rep: credits.get(s.rep, Fraction()) + s.weight / total for s in sharing}


def takers(seats: list[Seat], credits: Credits, turns: int) -> list[str]:
    """Of the able whose level credit is above zero, each time the one who would first be owed a whole turn; of equals the first by id."""
    able = [s for s in seats if not s.skipped]
    total = sum(s.weight for s in able)
    level = sum((credits.get(s.rep, Fraction()) for s in able), Fraction())
    start = {s.rep: credits.get(s.rep, Fraction()) - level * s.weight / total for s in able}
    taken: Counter[str] = Counter()
    order = []
    for turn in range(1, turns + 1):
        ready = [s for s in able if start[s.rep] + turn * s.weight / total - taken[s.rep] > 0]
        following = min(ready, key=lambda s: ((1 - start[s.rep] + taken[s.rep]) * total / s.weight, s.rep))
        taken[following.rep] += 1
        order.append(following.rep)
    return order


@pytest.mark.parametrize("seed", range(40))
def test_who_is_next(seed: int) -> None:
    rng = random.Random(seed)
    seats = some_seats(rng, rng.randint(1, 6))
    credits = some_credits(rng, seats)
    standing = Standing(seats)
    slots = Slots(standing, Ledger(3, credits))
    assert [standing.able[slots.next()][0] for _ in range(30)] == takers(seats, credits, 30)
    assert sum(slots.taken) == slots.turn == 30


@pytest.mark.parametrize("seed", range(40))
def test_credit_is_booked_turn_by_turn(seed: int) -> None:
    rng = random.Random(seed)
    seats, limit, turns = some_seats(rng, rng.randint(1, 6)), rng.randint(0, 4), rng.randint(0, 25)
    credits = {rep: min(c, Fraction(limit)) for rep, c in some_credits(rng, seats).items()}
    taken = Counter(rng.choice([s.rep for s in seats if not s.skipped]) for _ in range(turns))
    wanted = credits
    for _ in range(turns):
        wanted = earned(seats, wanted, limit)
    wanted = {rep: c - taken[rep] for rep, c in (dict.fromkeys(taken, Fraction()) | wanted).items()}
    ledger = Ledger(limit, credits)
    copy = ledger.copy()
    ledger.settle(Standing(seats), turns, taken)
    assert ledger.credits() == {rep: c for rep, c in sorted(wanted.items()) if c}
    assert all(ledger.credit(s.rep) == wanted.get(s.rep, 0) for s in seats) and ledger.credit("nobody") == 0
    assert copy.limit == limit and copy.credits() == {rep: c for rep, c in sorted(credits.items()) if c}, "a copy is left alone"


def test_credit_is_exact_as_long_as_its_denominator_is_small_in_lowest_terms() -> None:
    ledger = Ledger(3)
    ledger.scale, ledger.units = 10**12, {"a": 5 * 10**11, "b": -5 * 10**11}  # one half, told in far too small units
    ledger.settle(Standing([Seat("a", Fraction(1)), Seat("b", Fraction(1008))]), 1, {"b": 1})
    assert ledger.credits() == {"a": Fraction(1, 2) + Fraction(1, 1009), "b": Fraction(-1, 2) - Fraction(1, 1009)}
    assert ledger.scale == 2 * 1009


def test_credit_is_rounded_where_its_denominator_would_grow_without_end() -> None:
    ledger, exact = Ledger(3), {"a": Fraction(), "b": Fraction()}
    for prime in (1009, 1013, 1019, 1021, 1031, 1033, 1039):  # their product is far above LARGEST
        seats = [Seat("a", Fraction(1)), Seat("b", Fraction(prime - 1))]
        ledger.settle(Standing(seats), 1, {"a": 1})
        exact = earned(seats, exact, 3)
        exact["a"] -= 1
        assert ledger.scale <= LARGEST
        assert all(abs(ledger.credit(rep) - exact[rep]) < Fraction(7 * 1039, LARGEST // 2) for rep in exact)
    assert ledger.scale > LARGEST // 2, "as exact as there is room for"


def test_weights_above_the_largest_denominator_are_exact() -> None:
    ledger = Ledger(3)
    ledger.settle(Standing([Seat("a", Fraction(1)), Seat("b", Fraction(2 * LARGEST))]), 1, {"b": 1})
    assert ledger.credits() == {"a": Fraction(1, 2 * LARGEST + 1), "b": Fraction(-1, 2 * LARGEST + 1)}


@pytest.mark.parametrize(
    ("units", "expected"), [({}, "abc"), ({"b": Fraction(1, 9), "c": Fraction(1, 9)}, "bca"), ({"a": Fraction(-1, 9)}, "bca")]
)
def test_whoever_comes_first_by_id_goes_first_where_all_are_alike(units: Credits, expected: str) -> None:
    standing = Standing(Seat(rep, Fraction(1)) for rep in "abc")
    turns, at_once = Slots(standing, Ledger(3, units)), TurnsAhead(standing, Ledger(3, units))
    assert "".join("abc"[turns.next()] for _ in range(3)) == expected == "".join("abc"[i] for i in at_once.next(3))


def test_a_scale_of_just_the_largest_is_exact() -> None:
    ledger = Ledger(3, {"a": Fraction(1, 5**15), "b": Fraction(-1, 5**15)})
    ledger.settle(Standing([Seat("a", Fraction(1)), Seat("b", Fraction(2**15 - 1))]), 1, {"b": 1})
    assert ledger.scale == LARGEST == 10**15 and ledger.credit("a") == Fraction(1, 2**15) + Fraction(1, 5**15)


def test_a_rep_who_cannot_take_one_record_is_not_owed_it() -> None:
    seats = [Seat("a", Fraction(1)), Seat("b", Fraction(1), "on leave", True), Seat("c", Fraction(2))]
    assert Standing(seats).without({"c": "at the cap", "b": "at the cap"}) == [*seats[:2], Seat("c", Fraction(2), "at the cap", False)]
    assert [s.as_json() for s in seats] == [["a", "1", "", False], ["b", "1", "on leave", True], ["c", "2", "", False]]


@pytest.mark.parametrize("before", [0, 7])
def test_a_pool_is_worked_out_again_at_any_of_its_turns(before: int) -> None:
    rng = random.Random(5)
    log: list[tuple[Standing, str]] = []
    while len(log) < 700:
        seats = some_seats(rng, 4)
        standing = Standing(seats)
        log += [(standing, rng.choice(standing.able)[0]) for _ in range(rng.randint(1, 90))]
    credits, counts = {"r1": Fraction(1, 3)}, {"r1": 4, "gone": 2}
    history = TurnHistory(3, credits, counts, 6, before, log)
    assert history.taken == before + len(log)
    for index in (0, 1, 255, 256, 257, 511, 512, 513, 699, 300, 0):
        ledger, taken = history.at(index)
        wanted = dict(credits)
        for standing, rep in log[:index]:
            wanted = earned(list(standing.seats), wanted, 3)
            wanted[rep] -= 1
        assert ledger.credits() == {rep: c for rep, c in sorted(wanted.items()) if c}
        assert taken == Counter(counts) + Counter(rep for _, rep in log[:index])


def test_nobody_and_reps_without_weight_have_a_standing() -> None:
    assert (Standing([]).able, Standing([]).total) == ([], 0)
    idle = Standing([Seat("a", Fraction(0), "no weight"), Seat("b", Fraction(0), "on leave", True)])
    assert (idle.able, idle.owed, idle.total) == ([], [("b", 0)], 0)


@pytest.mark.parametrize("first", [1, 200, 256, 300])
def test_a_log_that_begins_later_gives_the_same(first: int) -> None:
    rng = random.Random(6)
    standings = [Standing(some_seats(rng, 4)) for _ in range(12)]
    log = [(standing, rng.choice(standing.able)[0]) for standing in standings for _ in range(50)]
    whole, part = TurnHistory(3, {}, {}, 0, 0, log), TurnHistory(3, {}, {}, 0, first, log[first:])
    part.begin(first, *whole.at(first))
    assert part.taken == whole.taken == len(log)
    for index in (first, first + 1, 511, 512, 513, 600, 400):
        (ledger, counts), (wanted, wanted_counts) = part.at(index), whole.at(index)
        assert (ledger.credits(), counts) == (wanted.credits(), wanted_counts)


@pytest.mark.parametrize(("limit", "owed"), [(0, {}), (1, {"a": Fraction(-1, 2), "b": Fraction(1, 2)})])
def test_who_has_no_credit_yet_is_owed_up_to_the_limit(limit: int, owed: Credits) -> None:
    ledger = Ledger(limit)
    ledger.settle(Standing([Seat("a", Fraction(1)), Seat("b", Fraction(1), "on leave", True)]), 1, {"a": 1})
    assert ledger.credits() == owed
    assert TurnHistory(limit, {}, {}, 0).taken == 0


@pytest.mark.parametrize("seed", range(20))
def test_a_turn_that_is_given_back_is_as_if_it_had_not_been_taken(seed: int) -> None:
    """The rep who took it has it again, and everybody who shared in it has earned nothing by it: also who is new, and whoever was owed it."""
    rng = random.Random(seed)
    seats = some_seats(rng, rng.randint(1, 6))
    credits = some_credits(rng, seats)
    rep = rng.choice([*(s.rep for s in seats), "gone"])
    sharing = [s for s in seats if not s.skipped or s.owed]
    total = sum(s.weight for s in sharing)
    wanted = {**dict.fromkeys([rep, *(s.rep for s in seats)], Fraction()), **credits}
    for s in sharing:
        wanted[s.rep] -= s.weight / total
    wanted[rep] += 1
    ledger = Ledger(3, credits)
    ledger.give_back(Standing(seats), rep)
    assert ledger.credits() == {one: c for one, c in sorted(wanted.items()) if c}
    if rep in credits and all(credits.get(s.rep, Fraction()) < 3 for s in seats):
        other = Ledger(20, credits)
        other.settle(Standing(seats), 1, {rep: 1})
        other.give_back(Standing(seats), rep)
        assert other.credits() == {one: c for one, c in sorted(credits.items()) if c}


def test_a_turn_of_which_nobody_has_a_share_is_given_back_to_its_rep() -> None:
    ledger = Ledger(3)
    ledger.give_back(Standing([Seat("a", Fraction(0), "no weight")]), "a")
    assert ledger.credits() == {"a": 1}


@pytest.mark.parametrize(("denominator", "numerators", "first"), [(5, (-4, 2, 2), "a"), (11, (-9, 5, 4), "b")])
def test_credit_just_above_zero_is_enough_and_none_is_not(denominator: int, numerators: tuple[int, ...], first: str) -> None:
    """After one turn's share of 9/11, `a` has 1/55 of a turn left in the one case, and none in the other; it would be owed a whole turn first."""
    seats = [Seat("a", Fraction(9)), Seat("b", Fraction(1)), Seat("c", Fraction(1))]
    credits = {s.rep: Fraction(n, denominator) for s, n in zip(seats, numerators, strict=True)}
    standing = Standing(seats)
    slots = Slots(standing, Ledger(3, credits))
    order = [standing.able[slots.next()][0] for _ in range(12)]
    assert order[0] == first and order == takers(seats, credits, 12)


@pytest.mark.parametrize("seed", range(60))
def test_many_turns_are_those_that_come_one_by_one(seed: int) -> None:
    rng = random.Random(seed)
    names = [f"r{i:02}" for i in range(rng.randint(1, 30))]
    finest = rng.choice([1, 1, 10**12 + 39, LARGEST * LARGEST + 1])  # of credit, whose sums may not fit into 64 bits
    weights = [Fraction(rng.choice([1, 1, 2, 3, 25]), rng.choice([1, 4, 7])) for _ in names]
    standing = Standing(
        Seat(name, w, "away" if i and rng.random() < 0.2 else "") for i, (name, w) in enumerate(zip(names, weights, strict=True))
    )
    ledger = Ledger(5, {name: Fraction(rng.randint(-9, 9), rng.choice([1, 7, finest])) for name in names})
    one_by_one, together = Slots(standing, ledger), TurnsAhead(standing, ledger)
    for _ in range(4):
        count = rng.choice([0, 1, 2, 3, 40, min(standing.total, 300)])
        assert together.next(count).tolist() == [one_by_one.next() for _ in range(count)]
        assert (together.taken.tolist(), together.turn) == (one_by_one.taken, one_by_one.turn)


def test_many_turns_of_weights_that_64_bits_do_not_hold_are_those_that_come_one_by_one() -> None:
    standing = Standing([Seat("a", Fraction(1)), Seat("b", Fraction(3 * 10**19)), Seat("c", Fraction(10**19 + 1))])
    one_by_one, together = Slots(standing, Ledger(3)), TurnsAhead(standing, Ledger(3))
    assert together.next(50).tolist() == [one_by_one.next() for _ in range(50)]

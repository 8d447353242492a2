"""Turns of a pool, one by one, against counting by hand: whose turn it is, what is booked, and where the next run goes on (`docs/policy.md`, "Pools")."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from helpers import compiled
from roe.evaluator.allocation import FALLBACK, PoolHistory, nobody, recorded
from roe.evaluator.bound import Bound
from roe.evaluator.pool import Pool
from roe.evaluator.turns import Seat
from roe.grammar.clock import Clock
from roe.source import Inline, Text

POLICY = """
roe: 1
name: turns
roles: [sdr, ae]
fields: {rep: {share: number}, lead: {last: string, points: number}}
pools:
  even: {members: [ann, ben]}
  spring: {members: [ann, {rep: ben, from: 2026-02-05}]}
  unlisted: {members: [ann, zoe]}
  weighted: {members: 'rep.role = "SDR"', strategy: weighted, weight: rep.share}
  least: {members: [ann, ben, cid], strategy: least_loaded}
  capped: {members: [ann, ben], caps: {per_day: 1}, fallback: even}
  alone: {members: [ann], caps: {per_day: 1}, fallback: ops}
  today: {members: 'rep.role = "SDR" and today > @"2026-01-01"'}
  sticky: {members: [ann, ben], sticky: lead.last}
  kinds: {members: 'rep.role = "SDR" and rep.share >= lead.points', strategy: weighted, weight: rep.share}
engagement: {lead: {sdr: [{name: all, then: {route: even}}]}}
"""
REPS: list[dict[str, Any]] = [
    {"id": "ann", "role": "SDR", "share": 2},
    {"id": "ben", "role": "SDR", "share": 1},
    {"id": "cid", "role": "SDR", "share": 0},
    {"id": "dee", "role": "SDR", "share": 1, "active": False},
    {"id": "ops", "role": "Ops"},
]


def bound(count: int = 8, state: Any = None, leads: list[dict[str, Any]] | None = None) -> Bound:
    made = leads or [{"id": f"L{i}", "points": i % 3} for i in range(count)]
    return compiled(POLICY).bind({"lead": made, "rep": REPS}, as_of="2026-02-04T12:00", state=state)


def given(world: Bound, pool: str, count: int = 6) -> list[str | None]:
    """Whom the next leads go to."""
    turns = [world.pools.route(pool, row, "sdr") for row in world.world.rows["lead"][:count]]
    return [None if turn.rep is None else turn.rep["id"] for turn in turns]


@pytest.mark.parametrize(
    ("pool", "expected"),
    [
        ("even", "ann ben ann ben ann ben"),
        ("weighted", "ann ann ben ann ann ben"),
        ("least", "ann ben cid ann ben cid"),
        ("capped", "ann ben ann ben ann ben"),  # two of its own, then those of the pool that it falls back on
        ("alone", "ann ops ops ops ops ops"),
        ("today", "ann ben cid ann ben cid"),  # which is found out for each lead
        ("unlisted", "ann ann ann ann ann ann"),  # the data knows no zoe
    ],
)
def test_whose_turn_it_is(pool: str, expected: str) -> None:
    assert given(bound(), pool) == expected.split()


@pytest.mark.parametrize(("pool", "fixed"), [("even", True), ("capped", True), ("kinds", False), ("least", False), ("today", False)])
def test_whether_turns_are_a_pattern_that_repeats(pool: str, fixed: bool) -> None:
    """Not where they rest on the record, on the day or on what reps have."""
    assert bound().pools.pools[pool].fixed is fixed


def seats(world: Bound, pool: str) -> dict[str, str]:
    """Who takes part in the turn of the first lead, and why each is skipped."""
    return {seat.rep: seat.skipped for seat in world.pools.pools[pool].standing(world.world.rows["lead"][0], "sdr").seats}


def test_who_is_in_a_pool_is_found_out_again_where_it_may_have_changed() -> None:
    world = bound()
    assert (list(seats(world, "weighted")), list(seats(world, "spring"))) == (["ann", "ben", "cid", "dee"], ["ann"])
    world.world.rows["rep"][1]["role"] = "AE"
    world.pools.renew(reps=True)
    assert list(seats(world, "weighted")) == ["ann", "cid", "dee"]
    world.world.at(Clock.at("2026-02-05T12:00"))
    world.pools.renew(reps=False)
    assert list(seats(world, "spring")) == ["ann", "ben"], "he is a member from that day on"


def test_what_was_assigned_elsewhere_counts_although_a_pool_has_taken_no_turn() -> None:
    pools: dict[str, Any] = {"capped": {"turns": 0}}
    world = bound(state={"pools": pools})
    assert given(world, "capped", 1) == ["ann"]
    world.pools.recall(pools, {})
    assert seats(world, "capped") == {"ann": "", "ben": ""}
    world.pools.recall(pools, {"ben": {"2026-02-04": 1}})
    assert seats(world, "capped") == {"ann": "", "ben": "at the cap of 1 per day"}


@pytest.mark.parametrize("pool", ["even", "weighted", "least"])
def test_turns_that_are_counted_add_up_and_go_on_in_the_next_run(pool: str) -> None:
    world = bound()
    reps = given(world, pool, 5)
    kept = world.pools.saved()["pools"][pool]
    assert kept["turns"] == 5 and kept["counts"] == {rep: reps.count(rep) for rep in sorted({str(r) for r in reps})}
    assert sum(Fraction(c) for c in kept["credits"].values()) == 0, "what one rep has too much, others have too little"
    again = bound(state={"pools": {pool: kept}})
    if pool != "least":  # which goes by the leads that reps have
        assert given(again, pool, 4) == given(bound(9), pool, 9)[5:]
    assert again.pools.pools[pool].history.turns.position == 5


@pytest.mark.parametrize(
    ("share", "weight"),
    [
        (2, 2),
        (0.5, Fraction(1, 2)),
        (0.3333333333, Fraction(1, 3)),
        (0.000001, Fraction(1, 10**6)),
        (6.666666667e-7, Fraction(1, 10**6)),
        (0, 0),
        (-0.5, 0),
        (-1, 0),
        (None, 0),
    ],
)
def test_what_a_weight_in_figures_is(share: float | None, weight: Fraction) -> None:
    tables: dict[str, Any] = {"lead": [{"id": "L"}], "rep": [{"id": "ann", "role": "SDR", "share": share}]}
    world = compiled(POLICY).bind(tables, as_of="2026-02-04T12:00")
    (seat,) = world.pools.pools["weighted"].standing(world.world.rows["lead"][0], "sdr").seats
    assert (seat.weight, seat.skipped) == (weight, "" if weight else "weight 0")


def test_a_turn_that_is_only_looked_at_is_not_booked() -> None:
    world = bound()
    pool, row = world.pools.pools["even"], world.world.rows["lead"][0]
    for _ in range(3):
        turn = pool.turn_now(row, "sdr")
        assert (turn.pool, turn.strategy, turn.rep, turn.index, turn.position, turn.n) == ("even", "round_robin", None, 0, 1, 0)
    assert given(world, "even", 1) == ["ann"]
    assert pool.turn_now(row, "sdr").position == 2 and pool.turn_now(row, "sdr").n == 1


def test_a_turn_says_what_each_member_had_before_it() -> None:
    world = bound()
    turns = [world.pools.route("weighted", row, "sdr") for row in world.world.rows["lead"][:3]]
    shares = [[(m.rep["id"], m.weight, m.count, m.credit, m.load, m.skipped) for m in turn.members] for turn in turns]
    idle = [("cid", 0, 0, 0, None, "weight 0"), ("dee", 1, 0, 0, None, "not active")]
    assert shares == [
        [("ann", 2, 0, 0, None, ""), ("ben", 1, 0, 0, None, ""), *idle],
        [("ann", 2, 1, Fraction(-1, 3), None, ""), ("ben", 1, 0, Fraction(1, 3), None, ""), *idle],
        [("ann", 2, 2, Fraction(-2, 3), None, ""), ("ben", 1, 0, Fraction(2, 3), None, ""), *idle],
    ]
    told = turns[1].as_json()
    assert (told["pool"], told["rep"], told["position"], told["why"], told["repeated"], told["until"], told["before"]) == (
        "weighted", "ann", 2, None, None, None, None
    )  # fmt: skip
    assert told["members"][0] == {"rep": "ann", "weight": 2.0, "count": 1, "credit": -0.3333, "load": None, "skipped": None}
    assert told["members"][3] == {"rep": "dee", "weight": 1.0, "count": 0, "credit": 0.0, "load": None, "skipped": "not active"}


def test_open_leads_are_what_members_had_before_a_turn() -> None:
    leads = [
        {"id": "M0", "owner.sdr": "ann"},
        {"id": "M1", "owner.sdr": "ann"},
        {"id": "M2", "owner.sdr": "ben"},
        {"id": "L0"},
        {"id": "L1"},
    ]
    world = bound(leads=leads)
    turns = [world.pools.route("least", row, "sdr") for row in world.world.rows["lead"] if row["id"] < "M"]
    assert [(turn.rep["id"] if turn.rep else None, turn.loads) for turn in turns] == [
        ("cid", {"ann": 2, "ben": 1, "cid": 0}), ("ben", {"ann": 2, "ben": 1, "cid": 1})
    ]  # fmt: skip
    assert [member.load for member in turns[0].members] == [2, 1, 0] and turns[0].record("k")["loads"] == {"ann": 2, "ben": 1, "cid": 0}
    assert "loads" not in world.pools.pools["even"].turn_now(world.world.rows["lead"][0], "sdr").record("k")


def test_the_pools_that_were_tried_before_are_named_in_order() -> None:
    world = bound()
    turns = [world.pools.route("capped", row, "sdr") for row in world.world.rows["lead"][:3]]
    assert [turn.pool for turn in turns] == ["capped", "capped", "even"] and [turn.n for turn in turns] == [0, 1, 2]
    last = turns[-1]
    assert [turn.pool for turn in last.chain()] == ["capped"] and turns[0].chain() == []
    told = last.as_json()["before"]
    assert told["pool"] == "capped" and [m["skipped"] for m in told["members"]] == ["at the cap of 1 per day"] * 2
    assert last.record("k")["before"] == [["capped", 2, 2]] and (last.index, last.position, turns[1].position) == (0, 1, 2)


def test_who_takes_what_nobody_in_a_pool_can_take() -> None:
    world = bound()
    turns = [world.pools.route("alone", row, "sdr") for row in world.world.rows["lead"][:3]]
    assert [turn.why for turn in turns] == ["", FALLBACK, FALLBACK] and [turn.n for turn in turns] == [0, 1, 2]
    assert world.pools.n == 3 and world.pools.used("per_day", "ops") == 0, "it is no turn, and counts for no cap"
    empty = nobody("p", 4)
    assert (empty.rep, empty.n, empty.index, empty.position, empty.why, empty.members) == (None, 4, 0, 0, FALLBACK, [])
    assert empty.record("k")["standing"] == -1


@pytest.mark.parametrize(
    ("last", "expected", "why"),
    [("ben", "ben", "it stays with ben"), ("ann", "ann", "it stays with ann"), ("cid", "ann", ""), ("zed", "ann", ""), (None, "ann", "")],
)
def test_a_lead_stays_with_a_member_and_takes_no_turn(last: str | None, expected: str, why: str) -> None:
    world = bound(leads=[{"id": "L0", "last": last}, {"id": "L1"}])
    turn, after = (world.pools.route("sticky", row, "sdr") for row in world.world.rows["lead"])
    assert turn.rep is not None and after.rep is not None
    assert (turn.rep["id"], turn.why, after.rep["id"]) == (expected, why, "ann" if why else "ben")


def test_who_must_not_have_a_record_takes_no_turn() -> None:
    world = bound()
    row = world.world.rows["lead"][0]
    turn = world.pools.route("even", row, "sdr", {"ann": "had it"})
    assert turn.rep is not None and turn.rep["id"] == "ben"
    assert [(m.rep["id"], m.skipped) for m in turn.members] == [("ann", "had it"), ("ben", "")]
    assert world.pools.route("alone", row, "sdr", {"ann": "had it"}).why == FALLBACK


def credits_of(pool: Pool) -> dict[str, Fraction]:
    return {rep: c for rep, c in pool.ledger().credits().items() if c}


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_a_turn_that_is_given_back_is_owed(count: int) -> None:
    """Half a turn each was gained for the one that ann took: she has what she had before it."""
    world = bound()
    given(world, "even", count)
    state = {"pools": {"even": world.pools.saved()["pools"]["even"]}}
    again = bound(state=state)
    pool = again.pools.pools["even"]
    before, counts = credits_of(pool), dict(pool.counts)
    pool.give_back(again.world.rows["lead"][0], "sdr", "ann")
    assert pool.counts["ann"] == counts["ann"] - 1 and pool.counts["ben"] == counts.get("ben", 0)
    assert credits_of(pool).get("ann", 0) == before.get("ann", 0) + Fraction(1, 2)
    assert credits_of(pool).get("ben", 0) == before.get("ben", 0) - Fraction(1, 2)
    assert pool.history.turns.position == count and given(again, "even", 1) == ["ann"]
    pool.give_back(again.world.rows["lead"][0], "sdr", "cid")
    assert pool.counts["cid"] == 0, "nobody has taken fewer than no turns"


def test_turns_that_were_worked_out_elsewhere_are_booked_together() -> None:
    one, all_at_once = bound(), bound()
    reps = given(one, "weighted", 4)
    pool = all_at_once.pools.pools["weighted"]
    standing = pool.standing(all_at_once.world.rows["lead"][0], "sdr")
    pool.book_all(standing, 4, {str(rep): reps.count(rep) for rep in reps})
    assert credits_of(pool) == credits_of(one.pools.pools["weighted"]) and dict(pool.counts) == {"ann": 3, "ben": 1}
    settled = bound().pools.pools["weighted"]
    settled.settle(standing, {"ann": 3, "ben": 1})
    assert credits_of(settled) == credits_of(pool) and not settled.counts["ann"]


def test_after_a_new_moment_a_pool_goes_on_where_it_was() -> None:
    world = bound()
    given(world, "even", 3)
    pool = world.pools.pools["even"]
    world.pools.renew(reps=False)
    assert pool.history.turns.position == 3 and pool.history.turns.taken == 0 and world.pools.n == 0
    assert given(world, "even", 3) == ["ben", "ann", "ben"]
    world.pools.recall({"even": {"turns": 1, "counts": {"ann": 1}, "credits": {"ann": "-1/2", "ben": "1/2"}}}, {})
    assert world.pools.pools["even"].history.turns.position == 1 and given(world, "even", 1) == ["ben"]


def test_members_that_rest_on_the_lead_are_found_for_each_kind() -> None:
    world = bound()
    able = [
        [seat.rep for seat in world.pools.pools["kinds"].standing(row, "sdr").seats if not seat.skipped]
        for row in world.world.rows["lead"][:6]
    ]
    assert able == [["ann", "ben"], ["ann", "ben"], ["ann"]] * 2
    assert len(world.pools.pools["kinds"]._classes) == 3


def test_records_are_of_one_kind_where_a_pool_and_those_behind_it_cannot_tell_them_apart() -> None:
    world = bound()
    rows, pools = world.world.rows["lead"], world.pools
    assert len({pools.kind("capped", row) for row in rows}) == len({pools.kind("alone", row) for row in rows}) == 1
    assert pools.kind("kinds", rows[0]) == pools.kind("kinds", rows[3]) != pools.kind("kinds", rows[1])
    assert pools.kind("today", rows[0]) is None, "it looks at each for itself"
    for behind, alike in (("kinds", False), ("today", None), ("ops", True)):
        step = pools.pools["capped"].step
        pools.pools["capped"].step = replace(step, fallback=Text(behind, Inline()))
        kinds = [pools.kind("capped", row) for row in rows[:2]]
        assert (None if None in kinds else kinds[0] == kinds[1]) is alike, behind


def test_a_turn_of_a_run_is_read_back() -> None:
    """With the pools that were tried before it; a record that only kept its rep has no turn."""
    world = bound()
    turns = [world.pools.route("capped", row, "sdr") for row in world.world.rows["lead"][:4]]
    histories = {}
    for name, history in world.pools.histories().items():
        read = histories[name] = PoolHistory.of(history.as_json())
        read.turns.log.extend((read.made[history.number(standing)], rep) for standing, rep in history.turns.log)
    for turn in turns:
        back = recorded({**turn.record("k"), "histories": histories}, world.world)
        assert (back.as_json(), back.n, [t.pool for t in back.chain()]) == (turn.as_json(), turn.n, [t.pool for t in turn.chain()])
    assert len(turns[-1].chain()) == 1
    kept = world.pools.kept("capped", turns[0].rep, {"by": "capped", "on": "2026-02-01", "position": 7}, None)
    back = recorded({**kept.record("k"), "histories": histories}, world.world)
    assert back.standing is None and back.history is None and (back.position, back.repeated, back.members) == (7, "2026-02-01", [])


def test_a_pool_of_a_run_is_read_back() -> None:
    world = bound(state={"pools": {"weighted": {"turns": 2, "counts": {"ben": 2}, "credits": {"ben": "-1/3"}}}})
    given(world, "weighted", 2)
    history = world.pools.pools["weighted"].history
    written = history.as_json()
    assert (written["strategy"], written["position"], written["counts"], written["credits"]) == ("weighted", 2, {"ben": 2}, {"ben": "-1/3"})
    back = PoolHistory.of(written)
    assert back.as_json() == written and [s.seats for s in back.made] == [s.seats for s in history.made]
    (standing,) = back.made
    assert back.number(standing) == 0 and back.intern(standing.seats) is standing and len(back.made) == 1
    other = back.intern([Seat("zed", Fraction(1))])
    assert (
        back.number(other) == 1
        and not back.log_is_empty
        and PoolHistory("even", history.turns, None).log_is_empty is (not history.turns.log)
    )

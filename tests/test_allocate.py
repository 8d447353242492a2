"""Pools: exact shares at every prefix, caps never exceeded, debts repaid, runs that may be split anywhere."""

from __future__ import annotations

import json
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from effort import tries
from helpers import compiled
from roe.evaluator.allocation import PoolHistory
from roe.evaluator.engine import Evaluator
from roe.ledger.remembered import Remembered

POLICY = """
roe: 1
name: pools
roles: [sdr]
fields:
  rep: {{weight: {{type: number}}}}
pools:
  p: {{members: 'rep.role = "SDR"', strategy: {strategy}{weight}{caps}}}
engagement:
  lead:
    sdr:
      - {{name: next, then: {{route: p}}}}
"""


def evaluator(strategy: str = "weighted", caps: str = "", more: str = "") -> Evaluator:
    weight = (", weight: rep.weight" if strategy == "weighted" else "") + more
    return compiled(POLICY.format(strategy=strategy, weight=weight, caps=f", caps: {{{caps}}}" if caps else ""))


def reps(weights: Sequence[float]) -> list[dict[str, Any]]:
    return [{"id": f"r{i:02d}", "role": "SDR", "weight": str(w)} for i, w in enumerate(weights)]


def leads(count: int, start: int = 0) -> list[dict[str, Any]]:
    return [
        {"id": f"L{i:05d}", "created": f"2026-01-01T{i // 3600:02d}:{i // 60 % 60:02d}:{i % 60:02d}"} for i in range(start, start + count)
    ]


weights = st.one_of(
    st.lists(st.integers(1, 40), min_size=1, max_size=8),
    st.lists(st.sampled_from([0.25, 0.5, 0.75, 1]), min_size=1, max_size=8),
    st.just([20] + [1] * 20),
)


@given(weights)
@settings(max_examples=tries(10, 40, 400))
def test_shares_are_within_one_at_every_prefix(given_weights: list[float]) -> None:
    run = evaluator().run({"rep": reps(given_weights), "lead": leads(120)}, as_of="2026-02-01")
    total = sum(Fraction(str(w)) for w in given_weights)
    counts: dict[str, int] = {}
    for turn, decision in enumerate(run.decisions, 1):
        assert decision.owner is not None
        counts[decision.owner] = counts.get(decision.owner, 0) + 1
        for i, w in enumerate(given_weights):
            share = turn * Fraction(str(w)) / total
            assert abs(counts.get(f"r{i:02d}", 0) - share) < 1, (given_weights, turn)


@given(weights, st.integers(0, 60))
@settings(max_examples=tries(10, 25, 250))
def test_a_run_split_in_two_equals_one(given_weights: list[float], cut: int) -> None:
    one = evaluator()
    people = reps(given_weights)
    whole = one.run({"rep": people, "lead": leads(60)}, as_of="2026-02-01")
    first = one.run({"rep": people, "lead": leads(cut)}, as_of="2026-02-01")
    second = one.run({"rep": people, "lead": leads(60 - cut, cut)}, as_of="2026-02-01", state=first.state())
    assert [d.owner for d in whole.decisions] == [d.owner for d in (*first.decisions, *second.decisions)]
    again = one.run({"rep": people, "lead": leads(60)}, as_of="2026-02-01", state=second.state())
    assert [d.owner for d in again.decisions] == [d.owner for d in whole.decisions], "the same lead twice is one assignment"
    assert again.state()["pools"] == second.state()["pools"]


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(1, 5))
@settings(max_examples=tries(10, 25, 250))
def test_caps_are_never_exceeded(given_weights: list[float], cap: int) -> None:
    run = evaluator(caps=f"per_day: {cap}").run({"rep": reps(given_weights), "lead": leads(40)}, as_of="2026-02-01")
    owners = [d.owner for d in run.decisions if d.owner]
    assert len(owners) == min(40, cap * len(given_weights))
    assert all(owners.count(o) <= cap for o in set(owners))
    for d in run.decisions[len(owners) :]:
        assert d.action == "unassigned" and d.turn and all(m.skipped.endswith("per day") for m in d.turn.members)


@pytest.mark.parametrize(("debt", "owed"), [(20, 5), (3, 3), (0, 0)])
def test_a_skipped_rep_is_owed_turns_up_to_a_limit(debt: int, owed: int) -> None:
    """Ann was on leave for ten leads, half of them hers; back again, what she is owed comes first, and then turns alternate."""
    one = evaluator("round_robin", more=f", debt: {debt}")
    both = [{"id": "ann", "role": "SDR"}, {"id": "bob", "role": "SDR"}]
    leave = [{"id": "v", "rep": "ann", "starts": "2026-01-25", "until": "2026-02-02"}]
    first = one.run({"rep": both, "lead": leads(10), "leave": leave}, as_of="2026-02-01")
    assert {d.owner for d in first.decisions} == {"bob"}
    assert first.decisions[0].turn and first.decisions[0].turn.members[0].skipped == "on leave until 2 February 2026"
    second = one.run({"rep": both, "lead": leads(20, 10), "leave": leave}, as_of="2026-02-02", state=first.state())
    owners = [d.owner for d in second.decisions]
    assert owners[: 2 * owed] == ["ann"] * 2 * owed  # she is owed, and bob is as far ahead
    assert owners[2 * owed :] == ["ann", "bob"] * (10 - owed)


@given(st.data())
@settings(max_examples=tries(10, 40, 400))
def test_credit_is_the_deviation_from_the_exact_share(data: st.DataObject) -> None:
    """Whoever is away, credit is what was earned less what was taken; debts stay within the limit, and sum to nothing."""
    given_weights = data.draw(st.lists(st.integers(1, 9), min_size=2, max_size=6))
    one, people = evaluator(), reps(given_weights)
    state: Remembered = {}
    earned = dict.fromkeys((r["id"] for r in people), Fraction(0))
    for day in range(1, 6):
        away = data.draw(st.sets(st.sampled_from([r["id"] for r in people]), max_size=len(people) - 1))
        leave = [{"id": r, "rep": r, "starts": "2026-01-01"} for r in away]
        run = one.run({"rep": people, "leave": leave, "lead": leads(15, 15 * day)}, as_of=f"2026-02-0{day}", state=state)
        for d in run.decisions:
            assert d.turn is not None
            by = {m.rep["id"]: m for m in d.turn.members}
            assert all(m.credit == earned[r] for r, m in by.items())
            assert d.owner not in away
            sharing = {r: m.weight for r, m in by.items() if not m.skipped or m.credit < 3}
            for r, weight in sharing.items():
                earned[r] += weight / sum(sharing.values())
            assert d.owner is not None
            earned[d.owner] -= 1
            assert sum(earned.values()) == 0 and all(-4 * len(people) < x < 3 + len(people) for x in earned.values())
        state = run.state()


@given(st.data())
@settings(max_examples=tries(10, 30, 300))
def test_who_joins_or_leaves_distorts_nobody_elses_share(data: st.DataObject) -> None:
    """Between those who stay, shares are what their weights say, to within two turns, whoever comes and goes."""
    given_weights = data.draw(st.lists(st.integers(1, 5), min_size=3, max_size=6))
    people, one = reps(given_weights), evaluator()
    staying = [r["id"] for r in people[:2]]
    state: Remembered = {}
    taken = dict.fromkeys(staying, 0)
    for day in range(1, 8):
        others = data.draw(st.sets(st.sampled_from(range(2, len(people)))))
        here = [*people[:2], *(people[i] for i in sorted(others))]
        run = one.run({"rep": here, "lead": leads(12, 12 * day)}, as_of=f"2026-02-{day:02d}", state=state)
        for d in run.decisions:
            if d.owner in taken:
                taken[d.owner] += 1
        state = run.state()
        a, b = (Fraction(taken[r]) / w for r, w in zip(staying, given_weights, strict=False))
        assert abs(a - b) < 2 * (Fraction(1, given_weights[0]) + Fraction(1, given_weights[1]))


def test_two_leads_of_a_new_company_go_to_one_rep_also_in_the_next_run() -> None:
    one, people = evaluator("round_robin"), reps([1, 1, 1])
    mails = ["a@new.com", "b@other.com", "c@new.com", "d@gmail.com", "e@gmail.com", "f@sub.new.com"]
    rows = [{**lead, "email": mail} for lead, mail in zip(leads(6), mails, strict=True)]
    whole = one.run({"rep": people, "lead": rows}, as_of="2026-02-01")
    owners = [d.owner for d in whole.decisions]
    assert owners == ["r00", "r01", "r00", "r02", "r00", "r00"]  # freemail says nothing; the two that follow take no turn
    assert whole.decisions[2].turn and "lead L00000" in whole.decisions[2].reason
    first = one.run({"rep": people, "lead": rows[:2]}, as_of="2026-02-01")
    second = one.run({"rep": people, "lead": rows[2:]}, as_of="2026-02-01", state=first.state())
    assert [d.owner for d in (*first.decisions, *second.decisions)] == owners
    apart = evaluator("round_robin", more=", together: never").run({"rep": people, "lead": rows}, as_of="2026-02-01")
    assert [d.owner for d in apart.decisions] == ["r00", "r01", "r02"] * 2


def test_a_lead_stays_with_its_last_owner_and_takes_no_turn() -> None:
    one = evaluator("round_robin", more=", sticky: lead.owner", caps="per_day: 2")
    rows = [{**lead, "owner": "r02"} if i in (0, 2, 3) else lead for i, lead in enumerate(leads(5))]
    run = one.run({"rep": reps([1, 1, 1]), "lead": rows}, as_of="2026-02-01")
    assert [d.owner for d in run.decisions] == [
        "r02",
        "r00",
        "r02",
        "r02",
        "r01",
    ]  # what r02 has is not given again: the cap of the day lets it stay
    assert run.decisions[0].turn and run.decisions[0].turn.why and run.decisions[3].turn.why  # type: ignore[union-attr]


def test_top_score_takes_the_best_who_is_able() -> None:
    one = evaluator("top_score", more=", score: rep.weight", caps="per_day: 2")
    run = one.run({"rep": reps([5, 9, 9, 1]), "lead": leads(9)}, as_of="2026-02-01")
    assert [d.owner for d in run.decisions] == ["r01", "r02", "r01", "r02", "r00", "r00", "r03", "r03", None]


def test_working_hours_are_those_of_the_rep() -> None:
    people = [
        {"id": "ny", "role": "SDR", "timezone": "America/New_York"},
        {"id": "berlin", "role": "SDR", "timezone": "Europe/Berlin", "hours": "08:00-16:00"},
        {"id": "bonn", "role": "SDR", "timezone": "Europe/Berlin", "calendar": "DE"},
    ]
    one = evaluator("round_robin", more=", hours: working")
    table: dict[str, set[str | None]] = {  # moments in UTC -> who works
        "2026-03-09T08:30:00+00:00": {"berlin", "bonn"},
        "2026-03-09T13:30:00+00:00": {"ny", "berlin", "bonn"},  # New York has summer time since the day before
        "2026-03-06T13:30:00+00:00": {"berlin", "bonn"},
        "2026-03-30T06:30:00+00:00": {"berlin"},  # Berlin since the 29th
        "2026-05-01T09:00:00+00:00": {"berlin"},  # a holiday by Bonn's calendar alone
        "2026-03-08T14:00:00+00:00": set(),  # Sunday
    }
    for moment, working in table.items():
        run = one.run({"rep": people, "lead": leads(6)}, as_of=moment)
        assert {d.owner for d in run.decisions} == (working or {None}), moment


def test_an_sla_passes_a_lead_on_and_then_escalates() -> None:
    sla = ', sla: {within: 4 working hours, worked_by: type != "note", times: 1, escalate: boss}'
    one, people, lead = evaluator("round_robin", more=sla), reps([1, 1, 1]), leads(1)
    first = one.run({"rep": people, "lead": lead}, as_of="2026-02-06T15:00")  # a Friday
    assert str(first.decisions[0].until) == "2026-02-09 11:00:00+00:00" and first.decisions[0].owner == "r00"
    early = one.run({"rep": people, "lead": lead}, as_of="2026-02-09T10:59", state=first.state())
    assert early.decisions[0].owner == "r00" and early.state()["pools"] == first.state()["pools"]
    late = one.run({"rep": people, "lead": lead}, as_of="2026-02-09T11:00", state=early.state())
    assert late.decisions[0].owner == "r01"
    assert {m.rep["id"]: m.skipped for m in late.decisions[0].turn.members}["r00"].startswith("not worked by 9 February 2026")  # type: ignore[union-attr]
    for kind, owner in (("note", "boss"), ("call", "r01")):
        done = [{"id": "a", "lead": "L00000", "rep": "r01", "type": kind, "at": "2026-02-09T12:00"}]
        last = one.run({"rep": people, "lead": lead, "activity": done}, as_of="2026-02-10T09:00", state=late.state())
        assert last.decisions[0].owner == owner
    after = one.run({"rep": people, "lead": lead}, as_of="2026-03-10T09:00", state=last.state() if owner == "boss" else late.state())
    assert after.decisions[0].owner == "boss" and "escalated" in after.decisions[0].reason


def test_a_pool_is_read_back_from_its_records_as_it_was() -> None:
    """Members, weights, who was skipped and who is owed, credits and counts: what a run writes of a pool is the pool."""
    one = evaluator(caps="per_day: 3")
    people = [*reps([3, 1, 2]), {"id": "gone", "role": "SDR", "weight": "1", "active": "false"}]
    leave = [{"id": "v", "rep": "r01", "starts": "2026-02-01", "until": "2026-02-02"}]
    first = one.run({"rep": people, "lead": leads(4), "leave": leave}, as_of="2026-02-01")
    run = one.run({"rep": people, "lead": leads(8, 4)}, as_of="2026-02-02", state=json.loads(json.dumps(first.state())))
    for history in (first.bound.pools.histories()["p"], run.bound.pools.histories()["p"]):
        kept = json.loads(json.dumps(history.as_json()))
        again = PoolHistory.of(kept)
        assert [standing.seats for standing in again.made] == [standing.seats for standing in history.made]
        assert again.as_json() == history.as_json() and again.turns.limit == 3
        again.turns.log, again.rep_of = list(history.turns.log), history.rep_of
        for index in range(history.turns.taken):
            assert again.turns.at(index)[0].credits() == history.turns.at(index)[0].credits()
            assert again.turns.at(index)[1] == history.turns.at(index)[1]
    seats = {seat.rep: (seat.skipped, seat.owed) for seat in first.bound.pools.histories()["p"].made[0].seats}
    assert (
        seats["gone"] == ("not active", False) and seats["r01"] == ("on leave until 2 February 2026", True) and seats["r00"] == ("", False)
    )


def test_least_loaded_levels_the_load() -> None:
    data = {"rep": reps([1, 1, 1]), "lead": [*leads(9), {"id": "X1", "owner": "r00"}, {"id": "X2", "owner": "r00"}]}
    text = POLICY.format(strategy="least_loaded", weight="", caps="").replace(
        "      - {name: next", "      - {name: has, when: lead.owner.sdr != null, then: keep}\n      - {name: next"
    )
    run = compiled(text).run(data, as_of="2026-02-01")
    owners = [d.owner for d in run.decisions]
    assert sorted(owners.count(r) for r in set(owners)) == [3, 4, 4]


def told(run: Any) -> list[dict[str, Any]]:
    return [d.turn.as_json() for d in run.decisions]


def shown(turn: dict[str, Any], field: str) -> list[Any]:
    return [member[field] for member in turn["members"]]


def test_a_turn_says_its_place_and_what_each_member_had_just_before_it() -> None:
    one, people = evaluator("least_loaded"), reps([1, 1])
    first = one.run({"rep": people, "lead": leads(3)}, as_of="2026-02-01")
    turns = told(first)
    assert [d.turn.n for d in first.decisions if d.turn] == [0, 1, 2]
    assert [t["rep"] for t in turns] == ["r00", "r01", "r00"] and [t["position"] for t in turns] == [1, 2, 3]
    assert [shown(t, "load") for t in turns] == [[0, 0], [1, 0], [1, 1]], "open leads"
    assert [shown(t, "count") for t in turns] == [[0, 0], [1, 0], [1, 1]], "turns taken"
    assert [shown(t, "credit") for t in turns] == [[0, 0], [-0.5, 0.5], [0, 0]], "half of every turn, less the turns taken"
    given = [{**lead, "owner": d.owner} for lead, d in zip(leads(3), first.decisions, strict=True)]
    again = told(one.run({"rep": people, "lead": given + leads(1, 3)}, as_of="2026-02-02", state=first.state()))
    assert [(t["position"], t["repeated"], t["why"]) for t in again[:3]] == [
        (n, "2026-02-01", "assigned on 1 February 2026 already") for n in (1, 2, 3)
    ]
    assert again[3]["rep"] == "r01" and again[3]["position"] == 4 and again[3]["why"] is again[3]["repeated"] is None
    assert (shown(again[3], "load"), shown(again[3], "count"), shown(again[3], "credit")) == ([2, 1], [2, 1], [-0.5, 0.5])


def test_a_turn_says_why_somebody_was_skipped_and_which_pool_was_tried_before() -> None:
    text = POLICY.format(strategy="round_robin", weight="", caps=", caps: {per_day: 1}, hours: working, fallback: other")
    people: list[dict[str, Any]] = [*reps([1, 1, 1]), {"id": "boss"}]
    people[1]["hours"] = "12:00-13:00"
    leave = [{"id": "v", "rep": "r02", "starts": "2026-01-25"}]
    one = compiled(text.replace("engagement:", "  other: {members: [boss]}\nengagement:"))
    run = one.run({"rep": people, "lead": leads(2), "leave": leave}, as_of="2026-02-06T10:30")
    first, second = told(run)
    assert first["rep"] == "r00" and first["before"] is None
    assert shown(first, "skipped") == [None, "outside working hours (Fri 10:30 there)", "on leave"]
    assert (second["rep"], second["pool"], second["position"]) == ("boss", "other", 1)
    assert (second["before"]["pool"], second["before"]["rep"], second["before"]["position"]) == ("p", None, 2)
    assert shown(second["before"], "skipped") == ["at the cap of 1 per day", *shown(first, "skipped")[1:]]
    assert shown(second["before"], "load") == [None, None, None] and shown(second["before"], "count") == [1, 0, 0]

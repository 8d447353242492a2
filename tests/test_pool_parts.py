"""What pools ask before a turn is taken, one row a case: who counts for what, who follows whom, what tells records apart (`docs/policy.md`, "Pools")."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from helpers import compiled
from roe.evaluator.alike import NO_KEY, hashed, is_about_rep, is_of_the_day, record_parts
from roe.evaluator.bound import Bound
from roe.evaluator.live_world import Change
from roe.evaluator.pool import Pool
from roe.evaluator.together import Companies, Existing, Together, queue_place
from roe.grammar.clock import Clock
from roe.grammar.parser import parse
from roe.grammar.printer import show
from roe.grammar.values import Months, WorkingDays, WorkingHours
from roe.plan.operators import Expr, Sla
from roe.source import Inline, Text

POLICY = """
roe: 1
name: parts
roles: [sdr, ae]
fields:
  rep: {level: number, cap: number}
  lead: {points: number, is_open: boolean}
lists: {named: [S, N], dated: {file: dated.csv}}
define: {rep.senior: rep.level > 3}
pools:
  p: {members: 'rep.role = "SDR"', caps: {open_leads: 3, per_day: 2, per_week: 4}, together: lead.company, fallback: ops}
  best: {members: 'rep.role = "SDR"', strategy: top_score, score: rep.level}
  plain: {members: [ann, ben]}
  near: {members: rep.level = account.employees}
engagement:
  lead:
    sdr: [{name: all, then: {route: p}}]
"""
DATED = ("dated_csv", "name,from,until\nS,2026-01-01,\n")
NOW = "2026-02-04T12:00"  # a Wednesday
REPS: list[dict[str, Any]] = [
    {"id": rep, "role": "SDR", "level": level} for rep, level in (("ann", 3), ("ben", 5), ("cid", 5), ("dee", None))
]


def bound(leads: list[dict[str, Any]] | None = None, state: Any = None, as_of: str = NOW, **more: Any) -> Bound:
    tables: dict[str, Any] = {"lead": leads or [{"id": "L"}], "rep": REPS, **more}
    return compiled(POLICY, DATED).bind(tables, as_of=as_of, state=state)


def expr(text: str) -> Expr:
    tree, problems = parse(text)
    assert tree is not None, problems
    return Expr(tree, Text(text, Inline()))


def row_of(world: Bound, record: str, entity: str = "lead") -> Any:
    return next(row for row in world.world.rows[entity] if row["id"] == record)


# --- what tells records apart -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ('rep.team = "S"', []),
        ("rep.team in named", []),
        ("rep.team in dated", None),  # which depends on the day
        ("rep.senior", None),  # is worked out
        ("rep.leaves[1] != null", None),  # comes from other records
        ("rep.leave != null", []),  # is the same for all records, until another day
        ('rep.manager.team = "S"', None),
        ("rep.starts < today", None),
        ("rep.team = lead.country", ["lead.country"]),
        ("rep.team = account.country", ["account.country"]),
        ("rep.team = opportunity.stage", ["opportunity.stage"]),
        ("rep.team = contact.name", ["contact.name"]),
        ("rep.team = lead.account.country and rep.level > lead.points", ["lead.points", "lead.account.country"]),
        ('count(lead.account.activities[type = "call"]) > rep.level', ['lead.account.activities[type = "call"]']),
        ("count(lead.account.activities[date < today]) > rep.level", None),
        ("count(lead.account.activities[at < now]) > rep.level", None),
        ("count(lead.account.activities[item.rep = rep]) > 1", None),
        ("some a in lead.account.activities satisfies a.done", None),
        ("count(for a in lead.account.activities return a.type) > 1", None),
        ("lower case(rep.team) = lower case(lead.country)", ["lead.country"]),
        ("within(lead.created, 30 days)", None),  # which depends on the day
        ("fiscal_year(lead.created) > rep.level", None),
        ("count(for a in lead.account.activities return 1) > 1", None),
        ("other.team = rep.team", None),
        ('not(rep.team = "S") or (if lead.points > 1 then rep.level > 2 else true)', ["lead.points"]),
    ],
)
def test_what_a_pool_reads_of_records(members: str, expected: list[str] | None) -> None:
    policy = compiled(POLICY, DATED).policy
    parts = record_parts(replace(policy.plan.pools["plain"], members=expr(members)), policy)
    assert (None if parts is None else sorted(map(show, parts))) == (None if expected is None else sorted(expected))


@pytest.mark.parametrize("part", ["weight", "score", "caps"])
def test_weights_scores_and_caps_tell_records_apart_too(part: str) -> None:
    policy = compiled(POLICY, DATED).policy
    more: dict[str, Any] = {part: expr("lead.points") if part != "caps" else {"per_day": expr("lead.points")}}
    assert list(map(show, record_parts(replace(policy.plan.pools["plain"], **more), policy) or ())) == ["lead.points"]
    assert record_parts(policy.plan.pools["plain"], policy) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [('rep.team = "S"', True), ("rep.team = lead.country", False), ("account.country = rep.team", False), ("contact.name = rep.name", False), ("opportunity.amount > rep.level", False)],
)  # fmt: skip
def test_whether_members_are_the_same_for_all_records(text: str, expected: bool) -> None:
    assert is_about_rep(expr(text)) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [('rep.team = "S"', False), ("rep.leave = null", True), ("not(rep.able)", True), ('rep.local_day > @"2026-01-01"', True), ("rep.team = lead.country", False)],
)  # fmt: skip
def test_whether_a_pool_asks_what_another_day_changes(text: str, expected: bool) -> None:
    computed = {("rep", "able"), ("rep", "leave")}
    step = compiled(POLICY, DATED).policy.plan.pools["plain"]
    assert is_of_the_day(replace(step, members=expr(text)), computed) is expected
    assert is_of_the_day(replace(step, caps={"per_day": expr(text)}), computed) is expected


def test_values_as_parts_of_a_key() -> None:
    lead = row_of(bound(), "L")
    values = [1, True, "1", None, [], [1, "a"], [True, "a"], [[1], "a"], lead, [lead], date(2026, 1, 1)]
    keys = [hashed(x) for x in values]
    assert len(set(keys)) == len(values) and NO_KEY not in keys
    assert hashed([1, "a"]) == hashed([1, "a"]) and hashed(lead) == ("lead", "L")
    assert hashed({"a": 1}) is NO_KEY is hashed([1, {"a": 1}]) is hashed([[{"a": 1}]])


# --- who is full, and who takes part -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("days", "today", "week"),
    [
        ({}, 0, 0),
        ({"2026-02-04": 2}, 2, 2),
        ({"2026-02-03": 2}, 0, 2),
        ({"2026-02-02": 1, "2026-02-04": 1}, 1, 2),  # Monday
        ({"2026-02-01": 3}, 0, 0),  # Sunday
        ({"2026-02-05": 3}, 0, 0),  # tomorrow
    ],
)
def test_what_was_assigned_today_and_this_week(days: dict[str, int], today: int, week: int) -> None:
    pools = bound(state={"days": {"ann": days}}).pools
    assert (pools.used("per_day", "ann"), pools.used("per_week", "ann")) == (today, week)
    assert pools.used("per_day", "ben") == pools.used("per_week", "ben") == 0


def test_a_week_begins_on_monday_whatever_the_day() -> None:
    days = {f"2026-02-{day:02d}": 1 for day in range(1, 15)}
    for day in range(2, 9):  # Monday to Sunday
        pools = bound(state={"days": {"ann": days}}, as_of=f"2026-02-{day:02d}T12:00").pools
        assert pools.used("per_week", "ann") == day - 1


@pytest.mark.parametrize(
    ("owned", "days", "reasons"),
    [
        (0, 0, {}),
        (2, 0, {}),
        (3, 0, {"ann": "at the cap of 3 open leads"}),
        (4, 0, {"ann": "at the cap of 3 open leads"}),
        (0, 1, {}),
        (0, 2, {"ann": "at the cap of 2 per day"}),
        (3, 2, {"ann": "at the cap of 3 open leads"}),  # the first cap that is reached
    ],
)
def test_who_is_skipped_at_a_cap(owned: int, days: int, reasons: dict[str, str]) -> None:
    leads = [{"id": "L"}, *({"id": f"M{i}", "owner.sdr": "ann"} for i in range(owned))]
    world = bound(leads, state={"days": {"ann": {"2026-02-04": days}}})
    standing = world.pools.pools["p"].standing(row_of(world, "L"), "sdr")
    assert {seat.rep: seat.skipped for seat in standing.seats if seat.skipped} == reasons
    assert [seat.rep for seat in standing.seats] == ["ann", "ben", "cid", "dee"] and all(
        seat.owed for seat in standing.seats if seat.skipped
    )


@pytest.mark.parametrize(("role", "skipped"), [("sdr", ""), ("ae", "at the cap of 2 per day")])
def test_a_record_that_somebody_has_takes_no_place_of_hers(role: str, skipped: str) -> None:
    """Her own record counts against no cap of hers; what she has in another role she would be given anew."""
    leads = [{"id": "L", "owner.sdr": "ann"}, {"id": "M0", "owner.sdr": "ann"}, {"id": "M1", "owner.sdr": "ann"}]
    world = bound(leads, state={"days": {"ann": {"2026-02-04": 2}}})
    standing = world.pools.pools["p"].standing(row_of(world, "L"), role)
    assert next(seat.skipped for seat in standing.seats if seat.rep == "ann") == skipped


def counted(world: Bound) -> dict[str, int]:
    return {rep["id"]: world.pools.open_leads(rep["id"]) for rep in world.world.rows["rep"]}


@pytest.mark.parametrize(
    ("lead", "role", "rep", "after"),
    [
        ({"id": "L"}, "sdr", "ann", {"ann": 4, "ben": 0}),
        ({"id": "L", "owner.sdr": "ben"}, "sdr", "ann", {"ann": 4, "ben": 0}),
        ({"id": "L", "owner.sdr": "ann"}, "sdr", "ben", {"ann": 3, "ben": 1}),
        ({"id": "L", "owner.sdr": "ann"}, "sdr", "ann", {"ann": 4, "ben": 0}),
        ({"id": "L", "owner.sdr": "ann"}, "ae", "ann", {"ann": 4, "ben": 0}),  # a rep counts once for a record
        ({"id": "L", "owner.sdr": "ann"}, "ae", "ben", {"ann": 4, "ben": 1}),
        ({"id": "L", "is_open": False}, "sdr", "ann", {"ann": 3, "ben": 0}),  # a closed one counts for nobody
    ],
)
def test_what_is_taken_counts_for_one_rep_and_no_more_for_another(lead: dict[str, Any], role: str, rep: str, after: dict[str, int]) -> None:
    leads = [lead, *({"id": f"M{i}", "owner.sdr": "ann"} for i in range(3))]
    world = bound(leads)
    row, pool = row_of(world, "L"), world.pools.pools["p"]
    before = counted(world)
    pool.standing(row_of(world, "M0"), "ae")
    turn = pool.turn_now(row, role)
    turn.rep = row_of(world, rep, "rep")
    world.pools.took(turn, row, role)
    assert {who: n for who, n in counted(world).items() if who in after} == after and world.pools.n == 1
    assert world.pools.owners(row)[role] == rep and world.pools.used("per_day", rep) == int(lead.get(f"owner.{role}") != rep)
    skipped = {seat.rep: seat.skipped for seat in pool.standing(row_of(world, "M0"), "ae").seats}
    assert {who: bool(skipped[who]) for who in ("ann", "ben")} == {"ann": after["ann"] > 3, "ben": False}, "her own M0 is not counted"
    world.pools.uncount()
    assert counted(world) == before, "it stands in the data now"
    world.pools.uncount()
    assert counted(world) == before
    world.pools.count("lead", "ben", 2)
    assert counted(world)["ben"] == before["ben"] + 2 and world.pools.used("per_day", "ben") >= 2


@pytest.mark.parametrize(
    ("owned", "days", "room"),
    [(0, 0, {3, 2, 4}), (1, 0, {2, 4}), (2, 1, {1, 3}), (3, 2, {2}), (4, 4, set())],
)
def test_how_many_more_until_a_cap_is_reached(owned: int, days: int, room: set[int]) -> None:
    leads = [{"id": "L"}, *({"id": f"M{i}", "owner.sdr": "ann"} for i in range(owned))]
    world = bound(leads, state={"days": {"ann": {"2026-02-04": days}}})
    pool = world.pools.pools["p"]
    assert list(pool.room("lead")) == [], "no record was met yet"
    pool.standing(row_of(world, "L"), "sdr")
    assert {left for rep, left in pool.room("lead") if rep == "ann"} == room == {left for _, left in pool.room("lead", "ann")}
    assert {left for rep, left in pool.room("account") if rep == "ben"} == {2, 4}, "a cap on leads is none on accounts"
    assert list(pool.room("lead", "nobody")) == []


def test_of_the_able_those_with_the_best_score_take_turns() -> None:
    world = bound()
    standing = world.pools.pools["best"].standing(row_of(world, "L"), "sdr")
    assert {seat.rep: seat.skipped for seat in standing.seats} == {
        "ann": "score 3, the best has 5", "ben": "", "cid": "", "dee": "score null, the best has 5"
    }  # fmt: skip
    assert not any(seat.owed for seat in standing.seats), "whoever has a lower score is owed nothing"


# --- service levels ----------------------------------------------------------------------------------------------------


def with_level(world: Bound, **sla: Any) -> Pool:
    pool = world.pools.pools["p"]
    pool.step = replace(pool.step, sla=Sla(**{"worked_by": None, "times": 1, "escalate": None, "grace": None, **sla}))
    return pool


WORKED = [
    # (what was done, whether it counts for a lead that ann has since 3 February, 10:00)
    ({"rep": "ann", "at": "2026-02-03T10:00"}, True),
    ({"rep": "ann", "at": "2026-02-03T09:59:59"}, False),
    ({"rep": "ann", "at": "2026-02-04T12:00"}, True),
    ({"rep": "ann", "at": "2026-02-04T12:00:01"}, False),  # is planned
    ({"rep": "ann", "date": "2026-02-03"}, True),
    ({"rep": "ann", "date": "2026-02-02"}, False),
    ({"rep": "ann", "date": "2026-02-04"}, True),
    ({"rep": "ann", "date": "2026-02-05"}, False),
    ({"rep": "ann"}, False),
    ({"rep": "ben", "at": "2026-02-03T11:00"}, False),
    ({"rep": "ann", "at": "2026-02-03T11:00", "type": "mail"}, False),
    ({"rep": "ann", "at": "2026-02-03T11:00", "type": None}, False),
]


@pytest.mark.parametrize(("activity", "expected"), WORKED)
def test_whether_a_rep_has_worked_a_record(activity: dict[str, Any], expected: bool) -> None:
    world = bound(activity=[{"id": "x", "lead": "L", "type": "call", **activity}])
    since = datetime(2026, 2, 3, 10, tzinfo=UTC)
    lead, ann = row_of(world, "L"), row_of(world, "ann", "rep")
    assert world.pools.worked(with_level(world, within=timedelta(hours=4), worked_by=expr('type = "call"')), lead, ann, since) is expected
    any_type = expected or activity.get("type", "call") != "call"
    assert world.pools.worked(with_level(world, within=timedelta(hours=4)), lead, ann, since) is any_type
    assert not bound().pools.worked(with_level(world, within=timedelta(hours=4)), lead, row_of(bound(), "ann", "rep"), since)


def test_when_a_record_is_due_and_when_it_is_taken_away() -> None:
    world = bound()
    since, ann = datetime(2026, 2, 3, 10, tzinfo=UTC), row_of(world, "ann", "rep")
    assert world.pools.due(world.pools.pools["plain"], since, ann) is None
    due = world.pools.due(with_level(world, within=timedelta(hours=4)), since, ann)
    assert due == since + timedelta(hours=4)
    assert world.pools.over(world.pools.pools["p"], due) == due, "without a time of grace at once"
    assert world.pools.over(with_level(world, within=timedelta(hours=4), grace=timedelta(hours=1)), due) == since + timedelta(hours=5)
    assert world.pools.over(world.pools.pools["p"], None) is None and world.pools.over(world.pools.pools["plain"], due) == due


AWAY = [{"id": "ann", "timezone": "America/New_York", "hours": "08:00-16:00"}, {"id": "ben"}]


@pytest.mark.parametrize(
    ("within", "rep", "due"),
    [
        (WorkingHours(4), None, "2026-02-03T14:00:00+00:00"),
        (WorkingHours(4), "ben", "2026-02-03T14:00:00+00:00"),
        (WorkingHours(4), "ann", "2026-02-03T17:00:00+00:00"),  # from 8 o'clock in New York
        (WorkingHours(9), "ben", "2026-02-04T11:00:00+00:00"),
        (WorkingDays(1), "ann", "2026-02-04T10:00:00+00:00"),
        (WorkingDays(4), "ben", "2026-02-09T10:00:00+00:00"),
        (timedelta(hours=4), "ann", "2026-02-03T14:00:00+00:00"),
    ],
)
def test_working_time_is_that_of_the_rep(within: Any, rep: str | None, due: str) -> None:
    world = bound(rep=AWAY)
    pool = with_level(world, within=within)
    when = world.pools.due(pool, datetime(2026, 2, 3, 10, tzinfo=UTC), row_of(world, rep, "rep") if rep else None)
    assert when is not None and when.isoformat() == due
    assert world.pools.due_alike(pool) is not isinstance(within, WorkingHours)
    assert bound().pools.due_alike(with_level(bound(), within=within)) and bound().pools.due_alike(world.pools.pools["plain"])


@pytest.mark.parametrize(
    ("rep", "hours", "reason"),
    [
        ({}, True, ""),
        ({"timezone": "America/New_York"}, False, ""),
        ({"timezone": "America/New_York"}, True, "outside working hours (Wed 07:00 there)"),
        ({"timezone": "America/New_York", "hours": "06:00-14:00"}, True, ""),
        ({"hours": "13:00-17:00"}, True, "outside working hours (Wed 12:00 there)"),
        ({"id": "ben"}, True, "on leave until 5 February 2026"),
        ({"id": "ben"}, False, "on leave until 5 February 2026"),
    ],
)
def test_who_is_away(rep: dict[str, Any], hours: bool, reason: str) -> None:
    world = bound(rep=[{"id": "ann", **rep}], leave=[{"id": "x", "rep": "ben", "starts": "2026-02-03", "until": "2026-02-05"}])
    row = world.world.rows["rep"][0]
    assert [world.pools.away(row, hours) for _ in range(2)] == [reason] * 2


@pytest.mark.parametrize(("by", "pool"), [("best", "best"), ("gone", "p")])
def test_a_record_keeps_the_rep_of_an_earlier_run(by: str, pool: str) -> None:
    world = bound()
    ann, earlier = row_of(world, "ann", "rep"), {"by": by, "on": "2026-02-01", "position": 7}
    turn = world.pools.kept("p", ann, earlier, date(2026, 3, 1))
    assert (turn.pool, turn.rep, turn.n, turn.index, turn.position, turn.until) == (pool, ann, 0, 0, 7, date(2026, 3, 1))
    assert (turn.why, turn.repeated, turn.strategy) == (
        "assigned on 1 February 2026 already",
        "2026-02-01",
        world.pools.pools[pool].step.strategy,
    )
    again = world.pools.kept("p", ann, {**earlier, "back": "no-show"}, None)
    assert again.why == "assigned on 1 February 2026 already, and the turn was given back: no-show" and again.n == 1 and world.pools.n == 2


def test_days_are_kept_for_two_weeks() -> None:
    days = {"2026-02-04": 1, "2026-01-22": 2, "2026-01-21": 3, "2026-01-20": 4, "2026-01-19": 5}
    kept = bound(state={"days": {"ann": days, "ben": {"2025-12-01": 1}}}).pools.saved()["days"]
    assert kept["ann"] == {"2026-02-04": 1, "2026-01-22": 2, "2026-01-21": 3} and "ben" not in kept
    assert list(kept["ann"]) == sorted(kept["ann"])


# --- records of one company --------------------------------------------------------------------------------------------


def test_records_wait_in_the_order_in_which_they_came() -> None:
    berlin = datetime.fromisoformat("2026-01-02T01:00+01:00")  # midnight in UTC
    waiting = [(None, "B"), (None, "C"), (date(2026, 1, 1), "A"), (berlin, "D"), (datetime(2026, 1, 2, 0, 0, 1, tzinfo=UTC), "A")]
    places = [queue_place(*x) for x in waiting]
    assert places == sorted(places)
    assert queue_place(None, 7) == (False, "", "7") and places[2][0] is places[3][0] is True
    assert queue_place(berlin, "D") == queue_place(datetime(2026, 1, 2, tzinfo=UTC), "D")


def existing(record: str, rep: str, created: str = "2026-01-01", since: Any = None) -> Existing:
    return Existing(True, created, record, rep, record, since)


def test_records_of_a_company_come_and_go() -> None:
    companies = Companies()
    old, new = existing("B", "ann", "2026-01-01"), existing("A", "ben", "2026-01-02")
    companies.add("acme", new)
    companies.add("acme", old)
    companies.add("other", existing("C", "cid"))
    assert companies.of["acme"] == [old, new], "the oldest first"
    companies.move("A", "dee")
    assert [(x.id, x.rep) for x in companies.of["acme"]] == [("B", "ann"), ("A", "dee")]
    companies.drop("B")
    companies.drop("B")
    companies.move("B", "ann")
    assert [x.id for x in companies.of["acme"]] == ["A"] and [x.id for x in companies.of["other"]] == ["C"]


@pytest.mark.parametrize(
    ("since", "within", "now", "expected"),
    [
        (None, None, NOW, True),
        (None, timedelta(days=1), NOW, False),
        (datetime(2026, 2, 3, 12, tzinfo=UTC), timedelta(days=1), "2026-02-04T11:59:59", True),
        (datetime(2026, 2, 3, 12, tzinfo=UTC), timedelta(days=1), NOW, False),
        (date(2026, 2, 3), timedelta(days=1), "2026-02-03T23:59:59", True),
        (date(2026, 2, 3), timedelta(days=1), "2026-02-04T00:00", False),
        (date(2026, 1, 4), Months(1), "2026-02-03T23:59:59", True),
        (date(2026, 1, 4), Months(1), NOW, False),
    ],
)
def test_how_long_others_follow_a_record(since: Any, within: Any, now: str, expected: bool) -> None:
    world: Any = SimpleNamespace(clock=Clock.at(now))
    pool: Any = SimpleNamespace(step=SimpleNamespace(together_within=within))
    assert Together(world, {}).is_followed(pool, since) is expected


@pytest.mark.parametrize(
    ("leads", "given", "able", "expected"),
    [
        ([], None, "ann ben", None),
        ([("A", "ann", "acme")], None, "ann ben", ("ann", "lead A")),
        ([("A", "ann", "acme")], None, "ben", None),
        ([("A", "ann", "other")], None, "ann ben", None),
        ([("A", "ann", None)], None, "ann ben", None),
        ([("A", "ben", "acme"), ("B", "ann", "acme")], None, "ann ben", ("ben", "lead A")),
        ([("A", "ben", "acme"), ("B", "ann", "acme")], None, "ann", ("ann", "lead B")),
        ([], "cid", "ann cid", ("cid", "lead X")),  # whom the pool gave one in an earlier run
        ([], "cid", "ann", None),
        ([("A", "ann", "acme")], "cid", "ann cid", ("ann", "lead A")),  # a record that somebody has counts first
    ],
)
def test_whom_a_lead_of_a_company_goes_to(leads: list[tuple[str, str, str | None]], given: str | None, able: str, expected: Any) -> None:
    made = [{"id": i, "company": company, "owner.sdr": rep} for i, rep, company in leads]
    state = (
        {"assigned": {"lead|X|sdr": {"rep": given, "by": "p", "company": "acme", "on": "2026-02-01", "at": "2026-02-01T10:00:00+00:00"}}}
        if given
        else None
    )
    world = bound([{"id": "L", "company": "acme", "owner.sdr": "ann"}, {"id": "M"}, *made], state=state)
    together, pool = world.pools.together, world.pools.pools["p"]
    assert together.companion(pool, row_of(world, "L"), "sdr", set(able.split())) == expected
    assert together.companion(pool, row_of(world, "M"), "sdr", set(able.split())) is None, "it has no company"
    assert together.companion(world.pools.pools["plain"], row_of(world, "L"), "sdr", set(able.split())) is None


def test_a_lead_says_which_one_it_follows() -> None:
    world = bound([{"id": "A", "company": "acme", "owner.sdr": "cid"}, {"id": "L", "company": "acme"}, {"id": "M", "company": "other"}])
    turn, other = (world.pools.route("p", row_of(world, record), "sdr") for record in ("L", "M"))
    assert turn.rep is not None and (turn.rep["id"], turn.why) == ("cid", "lead A of the same company went there")
    assert other.rep is not None and (other.rep["id"], other.why) == ("ann", "")


RECENT = timedelta(days=10)
OLD, NEW = "2026-01-20T10:00:00+00:00", "2026-02-01T10:00:00+00:00"


@pytest.mark.parametrize(
    ("record", "within", "at", "follows"),
    [
        ("lead|L|sdr", None, OLD, True),  # without a time they are followed for ever
        ("lead|X|sdr", None, OLD, True),
        ("lead|X|sdr", RECENT, NEW, True),  # a lead that has left the data is known by its turn
        ("lead|X|sdr", RECENT, OLD, False),
        ("lead|L|sdr", RECENT, NEW, False),  # one that is in the data by its own date
        ("lead|L|sdr", RECENT, OLD, False),
        ("case|L|sdr", RECENT, NEW, True),  # of an entity that the data does not have
        ("case|L|sdr", RECENT, OLD, False),
    ],
)
def test_whom_the_turns_of_earlier_runs_are_followed_to(record: str, within: Any, at: str, follows: bool) -> None:
    world = bound()
    with_level(world, within=RECENT)
    steps = {"p": replace(world.world.policy.plan.pools["p"], together_within=within)}
    policy: Any = SimpleNamespace(plan=SimpleNamespace(pools=steps))
    data: Any = SimpleNamespace(policy=policy, rows=world.world.rows, find=world.world.find, clock=world.world.clock)
    assigned = {"rep": "cid", "by": "p", "company": "acme", "at": at}
    given = Together(data, {"assigned": {record: assigned}}).given
    assert [x.rep for x in given.values()] == (["cid"] if follows else [])
    unknown = Together(data, {"assigned": {record: {**assigned, "by": "gone"}}}).given
    assert list(unknown) == [("gone", "acme")], "of a pool that the policy no longer has nothing is known"
    assert not Together(data, {"assigned": {record: {**assigned, "company": None}}}).given


def known(world: Bound, entity: str = "lead", role: str = "sdr") -> dict[Any, list[tuple[str, str]]]:
    of = world.pools.together.existing(world.pools.pools["p"], entity, role).of
    return {company: [(x.id, x.rep) for x in records] for company, records in of.items() if records}


def test_which_records_of_a_company_somebody_has() -> None:
    leads = [
        {"id": "A", "company": "acme", "owner.sdr": "ann", "created": "2026-01-05"},
        {"id": "B", "company": "acme"},  # nobody has it
        {"id": "C", "owner.sdr": "ben"},  # of no company
        {"id": "D", "company": "acme", "owner.sdr": "ben", "created": "2026-01-04"},
        {"id": "E", "company": "other", "owner.ae": "cid"},
    ]
    assert known(bound(leads)) == {"acme": [("D", "ben"), ("A", "ann")]} and known(bound(leads), role="ae") == {"other": [("E", "cid")]}
    assert known(bound()) == {}
    world = bound(leads)
    of_both, pool = [known(world, role=role) for role in ("sdr", "ae")], world.pools.pools["p"]
    world.pools.together.gave(pool, row_of(world, "A"), "sdr", row_of(world, "dee", "rep"))
    assert known(world) == {"acme": [("D", "ben"), ("A", "dee")]} != of_both[0], "others follow who has it now"
    world.pools.together.gave(pool, row_of(world, "E"), "sdr", row_of(world, "dee", "rep"))
    assert known(world, role="ae") == of_both[1], "what a pool gives in one role changes nothing in another"


@pytest.mark.parametrize(
    ("record", "changes", "gone", "expected", "since"),
    [
        ("A", {"company": "other"}, False, {"acme": ["D"], "other": ["A"]}, "2026-01-05"),
        ("A", {"company": None}, False, {"acme": ["D"]}, None),
        ("A", {}, True, {"acme": ["D"]}, None),
        ("A", {"owner.sdr": None}, False, {"acme": ["D"]}, None),
        ("A", {"created": date(2026, 1, 1)}, False, {"acme": ["A", "D"]}, "2026-01-01"),
        ("A", {"created": None}, False, {"acme": ["A", "D"]}, "2026-01-09"),  # then since when somebody has it
        ("B", {"owner.sdr": "cid"}, False, {"acme": ["B", "D", "A"]}, "None"),
        ("B", {}, False, {"acme": ["D", "A"]}, None),
    ],
)
def test_what_is_known_of_a_company_follows_a_change(record: str, changes: dict[str, Any], gone: bool, expected: Any, since: Any) -> None:
    leads = [
        {"id": "A", "company": "acme", "owner.sdr": "ann", "created": "2026-01-05", "owner_since": "2026-01-09"},
        {"id": "B", "company": "acme"},
        {"id": "D", "company": "acme", "owner.sdr": "ben", "created": "2026-01-04"},
    ]
    world = bound(leads, account=[{"id": "K", "owner.ae": "ann"}])
    together, row = world.pools.together, row_of(world, record)
    known(world, "account", "ae")  # which is another entity's, and stays
    known(world)
    row.forget()
    dict.update(row, changes)
    together.follow(Change(row, changes, is_gone=gone))
    assert {company: [x for x, _ in records] for company, records in known(world).items()} == expected
    records = together.existing(world.pools.pools["p"], "lead", "sdr").of
    assert [str(x.since)[:10] for some in records.values() for x in some if x.id == record] == ([since] if since else [])


@pytest.mark.parametrize(
    ("together", "entity", "changed", "again"),
    [
        ("lead.company", "account", {"domain"}, False),
        ("domain(lead.account.website)", "account", {"website"}, True),
        ("domain(lead.account.website)", "account", {"segment"}, False),
        ("lead.account.owner.ae.team", "rep", {"team"}, True),
        ("'lead.account.opportunities[1].name'", "rep", {"team"}, False),
        ("lead.kind", "account", {"name"}, False),  # a table, which reads the lead's company only
        ("string(lead.place.rank)", "rep", {"team"}, True),  # a rank, which is not followed
    ],
)
def test_what_companies_rest_on(together: str, entity: str, changed: set[str], again: bool) -> None:
    table = "tables: {kind: {for: lead, rows: [{company: acme, kind: big}]}}\n"
    table += "scores: {place: {for: lead, rank: {of: lead.points, ties: strict}}}\n"
    text = POLICY.replace("together: lead.company", f"together: {together}").replace("pools:\n", table + "pools:\n")
    leads = [{"id": "A", "company": "acme", "account": "K", "owner.sdr": "ann"}]
    world = compiled(text, DATED).bind({"lead": leads, "rep": REPS, "account": [{"id": "K", "website": "acme.com"}]}, as_of=NOW)
    before = world.pools.together.existing(world.pools.pools["p"], "lead", "sdr")
    world.pools.together.follow(Change(row_of(world, "K" if entity == "account" else "ann", entity), changed))
    assert (world.pools.together.existing(world.pools.pools["p"], "lead", "sdr") is not before) is again


def skipped_of(pool: Pool, row: Any) -> set[str]:
    return {seat.rep for seat in pool.standing(row, "sdr").seats if seat.skipped}


def test_who_loses_a_record_may_take_another() -> None:
    world = bound([{"id": "N"}, *({"id": f"M{i}", "owner.sdr": "ann"} for i in range(3))])
    pool = world.pools.pools["p"]
    assert skipped_of(pool, row_of(world, "N")) == {"ann"}, "she has three, which is the cap"
    turn = pool.turn_now(row_of(world, "M0"), "sdr")
    turn.rep = row_of(world, "ben", "rep")
    world.pools.took(turn, row_of(world, "M0"), "sdr")
    assert skipped_of(pool, row_of(world, "N")) == set()


@pytest.mark.parametrize(("caps", "expected"), [(["open_leads"], True), (["open_accounts", "per_day"], True), (["per_day", "per_week"], False), ([], False)])  # fmt: skip
def test_whether_who_is_able_rests_on_how_many_records_reps_have(caps: list[str], expected: bool) -> None:
    world = bound()
    for pool in world.pools.pools.values():
        pool.step = replace(pool.step, caps=dict.fromkeys(caps, expr("1")))
    assert world.pools.counts_are_asked is expected


def test_members_may_rest_on_the_account_of_a_lead_or_on_the_account_itself() -> None:
    world = bound([{"id": "L", "account": "M"}], account=[{"id": "K", "employees": 3}, {"id": "M", "employees": 5}])
    pool = world.pools.pools["near"]
    rows = (row_of(world, "K", "account"), row_of(world, "M", "account"), row_of(world, "L"))
    seats = [[(seat.rep, float(seat.weight)) for seat in pool.standing(row, "sdr").seats] for row in rows]
    fives = [("ben", 1), ("cid", 1)]
    assert seats == [[("ann", 1)], fives, fives], "without weights all have the same, which is 1"

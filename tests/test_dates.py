"""Conditions that set dates beside each other: what is proven of them is what all pairs of days say, month ends and leap days included."""

from __future__ import annotations

import random
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

import roe
from effort import tries
from roe.analysis.checked import CheckedPolicy
from roe.analysis.date_cells import DateAxis
from roe.analysis.equivalence import compare
from roe.analysis.gaps import uncovered
from roe.analysis.verdicts import PROVEN, RuleTable
from roe.evaluator.engine import Evaluator

HOW_MANY, PARTS = tries((6, 1), (24, 4), (240, 4))
TODAYS = [
    date(y, m, d) for y in (2023, 2024) for m, d in ((1, 1), (1, 31), (2, 28), (3, 1), (3, 30), (3, 31), (4, 30), (5, 31), (7, 4), (12, 31))
]
TODAYS += [date(2024, 2, 29), date(2100, 2, 28), date(2100, 3, 31), date(2023, 6, 10), date(2023, 6, 11), date(2023, 6, 12)]
SPANS = ["1 month", "3 months", "12 months", "1 year", "30 days", "31 days", "60 days", "90 days", "91 days", "92 days", "2 weeks", "28 days", "365 days", "366 days"]  # fmt: skip
SHAPES = [
    "account.starts {o} today - {s}", "account.starts {o} today + {s}", "today {o} account.starts + {s}", "account.starts + {s} {o} today", "account.starts - {s} {o} today",
    "account.starts {o} today", "account.starts = today - {s}", "today - {s} {o} account.starts", "within(account.starts, {s})", "not(within(account.starts, {s}))",
    "account.starts in [today - {s}..today]", "account.starts between today - {s} and today + {t}", "account.starts != null", "account.starts = null",
    "today - account.starts {o} {n} days", "account.starts - today {o} {n} days", "account.starts {o} today - {s} - {n} days", "account.starts {o} today - {n} days + {s}",
    "(today - account.starts).days {o} {n}", "years_and_months_duration(account.starts, today) {o} @\"P3M\"", "not(account.starts {o} today - {s})",
    "account.starts + {s} {o} today - {t}", "account.starts in (<= today - {s})", "account.starts not in [today - {s}..today + {t})",
]  # fmt: skip
WORKING = ["account.starts {o} today - {n} working days", "account.starts + {n} working days {o} today", "working_days_between(account.starts, today) {o} {n}",
           "within(account.starts, {n} working days)", "today - {n} working days {o} account.starts"]  # fmt: skip


def some(rng: random.Random, shapes: list[str]) -> str:
    text = rng.choice(shapes).replace("{o}", rng.choice(["<", "<=", ">", ">="]))
    text = text.replace("{n}", str(rng.choice([3, 5, 7, 10, 28, 30, 90])))
    for mark in ("{s}", "{t}"):
        text = text.replace(mark, rng.choice(SPANS))
    return text.replace("1 year", "12 months").replace("2 weeks", "14 days")


def joined(rng: random.Random, shapes: list[str]) -> str:
    """One condition, or two of them with `and` or `or`, which may be about the same dates: `x = null or x < today`."""
    one = some(rng, shapes)
    return one if rng.random() < 0.75 else f"{one} {rng.choice(['and', 'or'])} {some(rng, shapes)}"


def compiled(folder: Path, rules: list[dict[str, Any]], **more: Any) -> Evaluator:
    folder.mkdir(parents=True, exist_ok=True)
    fields = {"account": {"starts": "date", "ends": "date", "signed": "datetime"}}
    policy = {"roe": 1, "name": "dates", "roles": ["ae"], "fields": fields, "engagement": {"account": {"ae": rules}}, **more}
    (folder / "policy.yaml").write_text(yaml.safe_dump(policy, sort_keys=False), "utf-8")
    return roe.compile(roe.load(folder))


def of(rng: random.Random, shapes: list[str], most: int = 4) -> list[dict[str, Any]]:
    kinds = ["keep", "open", "hold", "return"]
    rules: list[dict[str, Any]] = [
        {"name": f"r{i}", "when": joined(rng, shapes), "then": rng.choice(kinds)} for i in range(rng.randint(2, most))
    ]
    return rules + ([{"name": "rest", "then": "open"}] if rng.random() < 0.5 else [])


def held(e: Evaluator, table: RuleTable, pairs: list[tuple[Any, date]]) -> list[frozenset[int]]:
    n = range(len(table.step.rules))
    found = []
    for today in dict.fromkeys(at for _, at in pairs):
        records = [{"id": str(i), **({"starts": x.isoformat()} if x else {})} for i, (x, at) in enumerate(pairs) if at == today]
        for row in e.bind({"account": records}, as_of=today).world.rows["account"]:
            scope = row.world.scope(row)
            found.append(frozenset(i for i in n if table.chooser.truth(i, scope) is True))
    return found


def near(today: date) -> list[Any]:
    """Days around all that the rules can name, and days far off."""
    offsets = {0, *(sign * (span + other) + d for span in (0, 3, 5, 7, 10, 14, 28, 30, 60, 90, 91, 92, 365) for other in (0, 30, 90, 365) for sign in (-1, 1) for d in range(-4, 5))}  # fmt: skip
    return [None, *(today + timedelta(days=d) for d in sorted(offsets)), date(1, 1, 1), date(9999, 12, 31)]


@pytest.mark.parametrize("part", range(PARTS))
def test_every_verdict_about_a_date_and_today_is_what_all_days_say(part: int, tmp_path: Path) -> None:
    seen = dict.fromkeys(("never", "fires", "spare", "gap", "whole"), 0)
    for number in range(part, HOW_MANY, PARTS):
        rng = random.Random(number)
        shapes = SHAPES if number % 3 else SHAPES + WORKING * 2
        e = compiled(tmp_path / str(number), of(rng, shapes))
        (table,) = CheckedPolicy(e).tables
        axes = [axis for space in table.spaces for axis in space.axes]
        assert all(isinstance(axis, DateAxis) or axis.key == "account.starts" for axis in axes), [axis.key for axis in axes]
        todays = rng.sample(TODAYS, 7)
        _compare(
            e,
            table,
            [(x, today) for today in todays for x in rng.sample(near(today), 150)],
            seen,
            [r.conditions[0].text for r in table.step.rules if r.conditions],
        )
    assert min(seen.values()) > 0, seen


def _compare(e: Evaluator, table: RuleTable, pairs: list[tuple[Any, date]], seen: dict[str, int], said: object) -> None:
    here = held(e, table, pairs)
    deciding = {min(h) for h in here if h}
    n = len(table.step.rules)
    never = list(table.never)
    assert not {v.rules[0] for v in never} & deciding, (said, never)
    for v in never:
        assert v.certainty == PROVEN
        assert all(h & set(v.others) for h in here if v.rules[0] in h), (said, v)
    does = [str(rule.value.kind) for rule in table.step.rules]
    spare = {r for r in deciding if all((does[min(h)] if h else "") == (does[min(h - {r})] if h - {r} else "") for h in here)}
    told = {v.rules[0] for v in table.redundant(does, "")}
    assert told & deciding <= spare, (said, told, spare)
    for v in table.redundant(does, ""):
        assert v.witness is None or table.finder.asked(v.witness, table.chooser)[0] == v.rules  # type: ignore[index]
    left_out = list(uncovered(table))
    assert left_out or frozenset() not in here, said
    for v in left_out:
        assert v.witness is not None and v.certainty == PROVEN and table.finder.holding(v.witness, table.chooser) == (), (said, v)
    # and what is found by trying all days is found by proof: every rule that is said to decide decides a witness
    for rule in set(range(n)) - {v.rules[0] for v in never}:
        witness = table._decided(rule)
        assert witness is not None, (said, rule)
    seen["never"] += len(never)
    seen["fires"] += len(deciding)
    seen["spare"] += len(told)
    seen["gap" if left_out else "whole"] += 1


@pytest.mark.parametrize(
    ("earlier", "later", "starts"),
    [
        ("account.starts - 90 days <= today", "account.starts < today - 28 days", "0001-01-05"),
        ("today < account.starts + 30 days", "today < account.starts", "9999-12-31"),
        ("account.starts - 3 months <= today", "account.starts < today", "0001-02-28"),
    ],
)
def test_a_rule_that_a_first_or_last_day_reaches_is_not_dead(earlier: str, later: str, starts: str, tmp_path: Path) -> None:
    """A sum before the year 1 or after 9999 has no value, so the earlier rule does not fire."""
    rules = [{"name": "a", "when": earlier, "then": "keep"}, {"name": "b", "when": later, "then": "open"}]
    e = compiled(tmp_path, rules)
    (table,) = CheckedPolicy(e).tables
    assert held(e, table, [(date.fromisoformat(starts), date(2026, 1, 1))]) == [frozenset({1})]
    assert list(table.never) == []


@pytest.mark.parametrize("other", ["today", "today - 120 days", "account.ends", "account.ends + 3 months"])
def test_both_conditions_on_two_dates_have_to_hold(other: str, tmp_path: Path) -> None:
    """Whether a date is missing is asked where the date stands beside another one: with `and`, both answers count."""
    written = [f"account.starts = null {word} account.starts < {other}" for word in ("or", "and")]
    either, both = (
        compiled(tmp_path / str(i), [{"name": "a", "when": when, "then": "open"}, {"name": "rest", "then": "keep"}])
        for i, when in enumerate(written)
    )
    assert compare(either, both).verdict == "different"
    (table,) = CheckedPolicy(both).tables
    assert [v.rules for v in table.never] == [(0,)]  # no date is missing and early

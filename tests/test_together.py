"""Rules about the items of one list, and about one text, that earlier rules cover: found, and proven of no record that fires them."""

from __future__ import annotations

import itertools
import random
from pathlib import Path
from typing import Any

import pytest
import yaml

import roe
from effort import seeds
from helpers import policy_text
from roe.analysis.check import findings
from roe.analysis.checked import CheckedPolicy
from roe.evaluator.engine import Evaluator

DAYS = "x.date > today - {} days"
SOME, EVERY = "some x in account.activities satisfies ", "every x in account.activities satisfies "
RECENT = "count(account.activities[date > today - {} days])"
COVERED = {  # the first rule takes every record of the second
    "`some` within more days": (SOME + DAYS.format(90), SOME + DAYS.format(30)),
    "`some` with one more condition": (SOME + "x.date > today - 3 months", SOME + 'x.date > today - 2 months and x.type = "call"'),
    "`every` before a later day": (EVERY + "x.date < today - 30 days", EVERY + "x.date < today - 90 days"),
    "a count of at least fewer": (RECENT.format(90) + " >= 2", RECENT.format(30) + " >= 3"),
    "fewer than five calls where fewer than five are all": ('count(account.activities[type = "call"]) < 5', "count(account.activities) < 5"),
    "no call where there is nothing": ('count(account.activities[type = "call"]) = 0', "count(account.activities) = 0"),
    "`some` where more are counted": (SOME + 'x.type in ("call", "meeting")', 'count(account.activities[type = "call"]) > 2'),
    "not recent where not even older": (f"not({SOME}{DAYS.format(30)})", f"not({SOME}{DAYS.format(90)})"),
    "`every` of nothing": (EVERY + 'x.type = "call"', "count(account.activities) = 0"),
    "`every` where nothing else is counted": (EVERY + 'x.type = "call"', 'count(account.activities[type != "call"]) = 0'),
    "a filter before `some`": ('some x in account.activities[type = "call"] satisfies ' + DAYS.format(60), SOME + DAYS.format(30) + ' and x.type = "call"'),
    "a definition of the list's items": ("account.warm", "account.hot"),
    "the record's own date": (SOME + "x.date > account.created", SOME + 'x.date > account.created and x.type = "call"'),
    "`within` in a filter": ("count(account.activities[within(date, 90 days)]) > 0", "count(account.activities[within(date, 30 days)]) > 0"),
    "the end of a text": ('ends_with(account.domain, ".edu")', 'account.domain in ("mit.edu", "cmu.edu")'),
    "the beginning of a longer beginning": ('starts_with(account.postal_code, "94")', 'starts_with(account.postal_code, "941")'),
    "a part of a longer part": ('contains(account.name, "Bank")', 'contains(account.name, "Bank of")'),
    "the year of a day": ("account.signed.year = 2025", 'account.signed = @"2025-03-01"'),
    "constant moments": ('account.at <= date and time("2026-03-01T00:00:00")', 'account.at <= date and time("2026-01-01T00:00:00")'),
    "arithmetic that changes nothing": ("account.employees + 0 > 5", "account.employees * 1 > 6"),
}  # fmt: skip
OPEN = {  # the second rule has records of its own
    "`some` within fewer days": (SOME + DAYS.format(30), SOME + DAYS.format(90)),
    "`every` before an earlier day": (EVERY + "x.date < today - 90 days", EVERY + "x.date < today - 30 days"),
    "a count of at least more": (RECENT.format(90) + " >= 3", RECENT.format(30) + " >= 2"),
    "another list": ("some x in account.opportunities satisfies x.amount > 1", SOME + 'x.type = "call"'),
    "unknown is not false": (f"not({SOME}x.date > today - 30 days)", f"not({SOME}x.date != null)"),
    "another end": ('ends_with(account.domain, ".edu")', 'account.domain in ("mit.edu", "a.com")'),
}


def policy(folder: Path, rules: list[str]) -> Evaluator:
    listed = [{"name": name, "when": when, "then": "keep" if name == "a" else "hold"} for name, when in zip("abcdef", rules, strict=False)]
    text: dict[str, Any] = {
        "roe": 1, "name": "x", "roles": ["ae"], "fields": {"account": {"signed": "date", "at": "datetime"}},
        "define": {"account.warm": SOME + DAYS.format(90), "account.hot": SOME + DAYS.format(30) + ' and x.type = "call"'},
        "engagement": {"account": {"ae": [*listed, {"name": "rest", "then": "open"}]}},
    }  # fmt: skip
    return roe.compile(roe.load(policy_text(folder, yaml.safe_dump(text, sort_keys=False))))


def dead(evaluator: Evaluator) -> set[str]:
    """Rules of which `roe check` says that they can never fire."""
    return {
        d.message.split("`")[1] for d in findings(CheckedPolicy(evaluator)) if d.code in ("R405", "R415") and "can never fire" in d.message
    }


@pytest.mark.parametrize("name", COVERED)
def test_a_rule_that_an_earlier_one_covers_is_found(name: str, tmp_path: Path) -> None:
    assert dead(policy(tmp_path, list(COVERED[name]))) == {"b"}


@pytest.mark.parametrize("name", OPEN)
def test_a_rule_with_records_of_its_own_is_not(name: str, tmp_path: Path) -> None:
    assert dead(policy(tmp_path, list(OPEN[name]))) == set()


def test_a_condition_that_no_item_can_meet(tmp_path: Path) -> None:
    never = SOME + "x.date > today - 10 days and x.date < today - 30 days"
    assert dead(policy(tmp_path, [never, f"not({never})"])) == {"a"}


ITEMS = [*itertools.product(("2026-01-20", "2025-12-01", "2025-06-01", None), ("call", "mail", None))]
WORLDS = [worlds for size in range(3) for worlds in itertools.combinations_with_replacement(ITEMS, size)]
INNER = [
    "x.date > today - 30 days", "x.date > today - 90 days", "x.date < today - 60 days", "x.date != null", "x.date = null", 'x.type = "call"', 'x.type != "call"',
    'x.type in ("call", "mail")', "not(x.date > today - 60 days)", 'x.type = "call" and x.date > today - 60 days', 'x.type = null or x.date > today - 90 days',
]  # fmt: skip


def some_condition(rng: random.Random) -> str:
    inner = rng.choice(INNER)
    filtered = inner.replace("x.", "")
    match rng.randrange(5):
        case 0:
            return SOME + inner
        case 1:
            return EVERY + inner
        case 2:
            return f"count(account.activities[{filtered}]) {rng.choice(['>', '>=', '=', '<', '!='])} {rng.randrange(3)}"
        case 3:
            return f"not({rng.choice([SOME, EVERY])}{inner})"
        case _:
            return f"{rng.choice(['some', 'every'])} x in account.activities[{filtered}] satisfies {rng.choice(INNER)}"


@pytest.mark.parametrize("seed", seeds(2, 6, 120))
def test_what_is_proven_of_lists_holds_for_every_small_list(seed: int, tmp_path: Path) -> None:
    """Every list of up to two activities of twelve kinds: a rule that can never fire decides none, and each of them has a cell."""
    rng = random.Random(seed)
    evaluator = policy(tmp_path, [" and ".join(some_condition(rng) for _ in range(rng.choice((1, 1, 2)))) for _ in range(4)])
    accounts = [{"id": f"A{i}"} for i in range(len(WORLDS))]
    activities = [
        {"id": f"T{i}-{j}", "account": f"A{i}", "date": d, "type": t} for i, items in enumerate(WORLDS) for j, (d, t) in enumerate(items)
    ]
    bound = evaluator.bind({"account": accounts, "activity": activities}, as_of="2026-02-01")
    fired = {decision.rule for decision in bound.decide_all()}
    assert not fired & dead(evaluator)
    table = next(t for t in CheckedPolicy(evaluator).tables if t.step.stage == "engagement")
    from roe.grammar.closures import compile_expression

    for space in table.spaces:
        for axis, cells in zip(space.axes, space.whole, strict=True):
            code = compile_expression(axis.node)
            for row in bound.world.rows["account"]:
                cell = axis.cell_of(code(row.world.scope(row)))
                assert cell is not None and cells >> cell & 1, (axis.key, row["id"])

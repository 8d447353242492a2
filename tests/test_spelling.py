"""Expressions of one meaning have one text, and expressions of another meaning another: `docs/language.md`, one line a meaning.

The spellings of one meaning stand in a line, with `==` between them; no two lines have one text. That the spellings of a line give one value is checked by brute force
too, on accounts with every combination of small values.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import date
from functools import cache
from typing import Any

import pytest

import roe
from helpers import policy_text
from roe.analysis.meaning import MOST_LISTED, Meaning
from roe.analysis.spelling import spelt
from roe.evaluator.engine import Evaluator
from roe.grammar import syntax as s
from roe.grammar import values as v
from roe.grammar.clock import Clock
from roe.grammar.closures import compile_expression
from roe.grammar.parser import parse
from roe.grammar.printer import show
from roe.grammar.scopes import CLOCK
from roe.plan.operators import Allocate, Claims, DatedValue, Derive, Expr, Rule
from roe.source import Inline, Text

LONG = ", ".join(f"k{i}" for i in range(MOST_LISTED + 1))
POLICY = f"""
roe: 1
name: spelling
roles: [ae]
fields:
  account: {{cost: number, profit: number, flag: boolean, on: boolean}}
  activity: {{length: number, done: boolean}}
  rep: {{level: number}}
lists: {{kinds: [mail, call], named: [US], long: [{LONG}], most: [{LONG.rpartition(", ")[0]}]}}
define:
  account.big: account.employees > 100
  account.huge: account.big and account.cost > 9
  account.vip: account.domain in named
  account.calls: 'count(account.activities[type = "call"])'
  activity.hard: activity.length > 9
  rep.senior: rep.level > 3
tables:
  desk: {{rows: [{{country: US, desk: x}}], default: y}}
engagement:
  account:
    ae:
      - {{name: all, then: open}}
"""
VALUES = """
account.employees > 5 == 5 < account.employees == employees > 5 == not(account.employees <= 5) == not(not(account.employees > 5)) == account.employees > 5.0
account.employees >= 5 == 5 <= account.employees == not(account.employees < 5) == account.employees in >= 5
account.employees < 5 == 5 > account.employees == not(account.employees >= 5)
account.employees <= 5 == 5 >= account.employees == not(5 < account.employees)
account.employees = 5 == 5 = account.employees == not(account.employees != 5)
account.employees != 5 == 5 != account.employees == not(account.employees = 5)
account.employees > 6
account.profit > account.cost == account.cost < account.profit == not(account.profit <= account.cost) == not(account.cost >= account.profit)
account.profit >= account.cost == account.cost <= account.profit
account.profit < account.cost == account.cost > account.profit
account.profit <= account.cost == account.cost >= account.profit
account.profit = account.cost == account.cost = account.profit
account.profit != account.cost == account.cost != account.profit
account.profit * account.cost == account.cost * account.profit
account.profit - account.cost
account.cost - account.profit
account.profit / account.cost
account.cost / account.profit
account.flag and account.on == account.on and account.flag == flag and on and flag == account.on and (account.flag and account.on)
account.flag or account.on == account.on or account.flag == account.flag or (account.on or account.flag)
account.flag and account.on and account.cost > 1 == account.flag and (account.cost > 1 and account.on)
account.flag and (account.on or account.cost > 1) == (account.cost > 1 or account.on) and account.flag
account.flag or account.on and account.cost > 1 == account.cost > 1 and account.on or account.flag
not(account.profit > 1 and account.cost > 5) == account.profit <= 1 or account.cost <= 5 == account.cost <= 5 or not(account.profit > 1)
not(account.profit > 1 or account.cost > 5) == account.profit <= 1 and account.cost <= 5
not(account.flag) == not(not(not(account.flag)))
not(account.flag and account.on) == not(account.on and account.flag)
account.flag = true
account.flag
account.on
account.country not in ("US", "DE") == account.country not in ("US", "DE")
account.country in ("US", "FR")
account.country in (null, "US")
account.country = "US" == country = "US" == account.country in ("US")
account.employees between 5 and 9 == account.employees >= 5 and account.employees <= 9 == 9 >= account.employees and 5 <= account.employees
account.employees between 6 and 9
account.employees in [5..9)
account.employees in [9..5]
account.employees >= 9 and account.employees <= 5
not(account.employees in [9..5])
account.employees in (5..9]
account.big == account.employees > 100 == big == not(account.employees <= 100)
account.huge == account.big and account.cost > 9 == account.cost > 9 and account.employees > 100
account.calls == count(account.activities[type = "call"]) == count(activities[item.type = "call"]) == count(account.activities["call" = type])
count(account.activities[type = "mail"])
count(account.activities[type != "call"])
count(account.activities) > 3
account.activities[1].length
account.activities[1].done == not(not(account.activities[1].done))
account.activities.done
account.activities[2].length
account.parent.cost > 1
account.parent.employees > 100
account.parent.big
account.created > today - 30 days == account.created > today - @"P30D" == today - 30 days < account.created
account.created > today - 31 days
account.created > today - 12 months == account.created > today - 1 year
starts_with(account.name, "A") == starts with(account.name, "A") == starts_with(string: account.name, match: "A") == starts_with(match: "A", string: account.name)
starts_with("A", account.name)
if account.flag then 1 else 2
if account.flag then 2 else 1
if account.cost > 1 and account.flag then 1 else 2 == if account.flag and 1 < account.cost then 1 else 2
if account.flag or account.flag then account.cost else 0 == if account.flag then account.cost else 0
if not(account.cost > 1 or account.flag) then 1 else 2 == if not(account.flag or 1 < account.cost) then 1 else 2
if account.country in ("US", "DE") then 1 else 2 == if account.country = "DE" or account.country = "US" then 1 else 2
for a in account.activities return a.type in ("call", "mail") == for a in account.activities return a.type in kinds
every a in account.activities satisfies a.type = "call"
for a in account.activities return a.type
for a in account.activities return a.length
for a in account.activities return a.done and a.length > 5 == for a in account.activities return a.length > 5 and a.done == for a in account.activities return 5 < a.length and a.done
account.country = "US" or account.country = "DE" == account.country = "DE" or "US" = account.country == account.country in ("US", "DE") == account.country in ("DE", "US", "DE")
for account in account.activities.account return account.big
split(account.name, " ")[account.big]
split(account.name, " ")[account.employees > 100]
for named in account.activities return account.vip
for named in account.activities return account.domain in named
for item in account.activities return item.type = "call"
for item in account.activities return type = "call"
for item in account.activities return country
for item in account.activities return item.account.country
some item in account.activities satisfies type = "call"
some item in account.activities satisfies item.type = "call" == some a in account.activities satisfies a.type = "call"
for account in account.activities.account return account.employees > 100
for a in account.activities return account.big and a.done == for a in account.activities return account.employees > 100 and a.done
"""
IN_A_FILTER = """
type = "call" == "call" = type == item.type = "call" == type in ("call") == not(type != "call")
type = "mail"
type != "call" == not(type = "call")
type = "call" or type = "mail" == type in ("mail", "call") == type in kinds == type in ("call") or type = "mail" == type = "mail" or type in ("call", "mail")
type = "call" or type = "mail" or type = "note" == type in ("note", "mail") or type = "call" == type in kinds or type = "note"
type = "call" or done == done or type = "call"
type = "call" and done == done and type = "call" == item.done and item.type = "call"
type = "call" and type = "mail" == type = "mail" and "call" = type
type = null
type = "call" or type = null == type = null or "call" = type
type = country
type = account.country == item.type = item.account.country
type not in ("call", "mail") == type not in ("call", "mail")
type in long
type in most
(length in [9..5]) = null
(length >= 9 and length <= 5) = null
(not(not(length in [9..5]) and done = true)) = null
(not(not(length >= 9 and length <= 5) and done = true)) = null == (length >= 9 and length <= 5 or done != true) = null
not(length in [9..5])
not(length >= 9 and length <= 5) == length > 5 or length < 9
(type in ("call")) = null == (type = "call") = null
(length between 5 and 9) = null == (length >= 5 and length <= 9) = null
length * item.account.cost > 9 == item.account.cost * length > 9
length between 5 and 9 == length >= 5 and length <= 9 == length in [5..9] == 9 >= length and 5 <= length
length >= 5 and length < 9 == length in [5..9)
length > 5 and length <= 9 == length in (5..9]
length > 5 and length < 9 == length in (5..9)
length > 5 == length in > 5 == 5 < length == not(length <= 5)
length >= 5 == length in >= 5
length < 5 == length in < 5
length in (< 5, > 9)
length in (> 5)
length not in > 5
length in [5..account.cost]
length in [account.cost..9]
length between 5 and account.cost
length > account.cost
hard == item.hard
length > 9 == item.length > 9
length > 1 or done and type = "call" == type = "call" and done or 1 < length
"""
CONDITIONS = """
count(account.activities[type = "call"]) > 0 == count(account.activities[type = "call"]) >= 1 == count(account.activities[type = "call"]) != 0 == some a in account.activities satisfies a.type = "call" == some b in activities satisfies "call" = b.type == 0 < account.calls
count(account.activities[type = "call"]) > 1
count(account.activities[type = "call"]) >= 2
count(account.activities[type = "call"]) = 0
count(account.activities[type = "call"]) = 1
count(account.activities[type = "call"]) != 1
count(account.activities[type = "call"]) >= 0
sum(account.activities[type = "call"].length) >= 1
some a in account.activities satisfies a.length > account.cost == some a in account.activities satisfies account.cost < a.length
some a in account.activities satisfies a.type = "mail"
some item in account.activities satisfies type = "call"
some a in account.activities satisfies a.length between 6 and 9 == count(account.activities[length >= 6 and length <= 9]) > 0 == some a in account.activities satisfies a.length in [6..9]
every a in account.activities satisfies a.type = "call"
some a in account.activities, b in account.activities satisfies a.length > b.length
some a in account.activities, b in account.parent.activities satisfies a.length > b.length
some a in account.activities satisfies count(account.activities[type = "call"]) > a.length
some a in account.activities satisfies a.length > 5 and flag == some b in account.activities satisfies flag and b.length > 5 == count(account.activities[length > 5 and flag]) > 0
some a in account.activities satisfies a.length > 5 and type = "call"
count(account.activities[length > 5 and type = "call"]) > 0
some a in account.activities[type = "call"] satisfies a.length > 5 == some b in account.activities["call" = type] satisfies 5 < b.length
some a in account.activities satisfies count(account.parent.activities[type = a.type]) > 1
some a in account.activities satisfies (every b in account.activities satisfies b.length <= a.length)
some a in account.activities satisfies (some b in account.activities satisfies b.length > a.length)
some a in account.activities satisfies sum(for b in account.activities return b.length) > a.length
some a in account.activities satisfies count(account.parent.activities[type = item.type]) > 1
account.flag and account.cost > 1 == flag and 1 < cost
account.cost > 1 and account.flag
account.flag or account.cost > 1 == flag or 1 < cost
not(account.flag or account.cost > 1) == not(flag or 1 < cost)
not(account.flag and account.cost > 1)
not(account.cost > 1)
account.cost <= 1
"""
LABELS = {("account", "desk"): "office", ("activity", "hard"): "tough", ("activity", "rep"): "who", ("rep", "senior"): "elder"}
LABELLED = """
account.desk = "x" | account.office = "x"
desk = "x" | account.office = "x"
account.parent.desk = "x" | account.parent.office = "x"
account.parent.parent.desk | account.parent.parent.office
account.activities[1].hard | account.activities[1].tough
account.activities[type = "call"].hard | account.activities[item.type = "call"].tough
account.activities[hard][1].hard | account.activities[item.tough][1].tough
count(account.activities[item.hard]) | count(account.activities[item.tough])
count(account.activities[account.desk = "x"]) | count(account.activities[item.account.office = "x"])
some a in account.activities satisfies a.hard and a.account.desk = "x" | some item in account.activities satisfies item.account.office = "x" and item.tough
every a in account.activities satisfies a.hard | every a in account.activities satisfies a.tough
for a in account.activities return a.hard | for a in account.activities return a.tough
for a in account.activities, b in a.account.activities return b.hard | for a in account.activities, b in a.account.activities return b.tough
account.owner.ae.senior | account.owner.ae.elder
account.activities.hard | account.activities.tough
account.activities.account.desk | account.activities.account.office
account.activities.rep.senior | account.activities.who.elder
account.domain in long | account.domain in far
count(account.activities[type in long]) | count(account.activities[item.type in far])
account.name.desk | account.name.desk
split(account.name, " ")[hard] | split(account.name, " ")[hard]
account.activities[1].rep.senior | account.activities[1].who.elder
if account.desk = "x" then account.parent.desk else "y" | if account.office = "x" then account.parent.office else "y"
"""
MENTIONED = """
account | account.cost > 1 | account cost
account | cost > 1 | account cost
account | account.big | account employees
account | account.desk = "x" and account.domain in named | account desk domain named
account | account.parent.desk | account parent desk
lead | lead.email | lead email
lead | split(lead.email, "@")[account] | lead email account matched_account
lead | lead.account.desk | lead account matched_account desk
lead | count(lead.account.activities[type = "call"]) | lead account matched_account activities item type
account | some a in account.activities satisfies a.account.desk = "x" | account activities item matched_account desk
"""


ITEMS = [
    {"type": kind, "length": length, "done": done, "hard": None if length is None else length > 9}
    for kind, length, done in [
        ("call", 5, True),
        ("mail", 9, None),
        (None, None, False),
        ("note", 10, True),
        ("call", 4, None),
        ("mail", 6, False),
    ]
]


@cache
def policy() -> Evaluator:
    import tempfile
    from pathlib import Path

    return roe.compile(roe.load(policy_text(Path(tempfile.mkdtemp()), POLICY)))


def lines(table: str) -> list[list[str]]:
    return [line.split(" == ") for line in table.strip().splitlines()]


@cache
def tree_of(text: str) -> Any:
    tree, problems = parse(text)
    assert tree is not None, (text, problems)
    return tree


def as_value(text: str) -> str:
    return Meaning(policy().policy, {}, {}).text(tree_of(text), "account")


def in_a_filter(text: str) -> str:
    return as_value(f"count(account.activities[{text}])")


def as_condition(text: str) -> str:
    return show(Meaning(policy().policy, {}, {}).condition(tree_of(text), "account"))


TABLES = {"as a value": (VALUES, as_value), "in a filter": (IN_A_FILTER, in_a_filter), "as a condition": (CONDITIONS, as_condition)}


@pytest.mark.parametrize(
    ("where", "line"), [(where, line) for where, (table, _) in TABLES.items() for line in lines(table) if len(line) > 1]
)
def test_one_meaning_has_one_text(where: str, line: list[str]) -> None:
    _, text_of = TABLES[where]
    assert len({text_of(x) for x in line}) == 1, {x: text_of(x) for x in line}


@pytest.mark.parametrize("where", TABLES)
def test_two_meanings_have_two_texts(where: str) -> None:
    table, text_of = TABLES[where]
    seen: dict[str, str] = {}
    for line in lines(table):
        for x in line:
            assert seen.setdefault(text_of(x), line[0]) == line[0], (x, text_of(x))


ACCOUNTS = [
    {"employees": e, "cost": c, "profit": p, "flag": f, "on": o, "country": land, "name": name, "created": at, "activities": activities, "parent": None}
    for e, c, p in itertools.product([None, 5, 6, 101], [None, 1, 7], [None, 1, 7])
    for f, o, land, name, at in [(None, True, None, None, None), (True, False, "US", "A", date(2026, 1, 2)), (False, None, "FR", "BA", date(2026, 1, 3)), (True, True, "DE", "B", date(2025, 2, 1))]
    for activities in ([], ITEMS[:1], ITEMS)
]  # fmt: skip


def scope_of(account: dict[str, Any]) -> dict[str, Any]:
    clock = Clock.at("2026-02-01")
    computed = {"big": _above(account["employees"], 100), "calls": sum(x["type"] == "call" for x in account["activities"])}
    computed["huge"] = v.both(computed["big"], _above(account["cost"], 9))
    account = {**account, **computed}
    lists = {"kinds": ["mail", "call"], "named": ["US"], "long": [], "most": []}
    return {**lists, CLOCK: clock, "today": clock.today, "now": clock.now, **account, "account": account}


def _above(value: int | None, limit: int) -> bool | None:
    return None if value is None else value > limit


@pytest.mark.parametrize("where", TABLES)
def test_the_spellings_of_a_line_have_one_value(where: str) -> None:
    for line in lines(TABLES[where][0]):
        texts = [f"account.activities[{x}]" if where == "in a filter" else x for x in line]
        codes = [compile_expression(tree_of(x)) for x in texts]
        for account in ACCOUNTS[:: 7 if where != "in a filter" else 12]:
            values = [code(scope_of(account)) for code in codes]
            if where == "as a condition":  # of which only matters whether it is true
                values = [value is True for value in values]
            assert all(value == values[0] for value in values), (line, account, values)


@pytest.mark.parametrize("line", LABELLED.strip().splitlines())
def test_fields_and_lists_have_the_names_that_the_other_policy_gives_them(line: str) -> None:
    text, expected = line.split(" | ")
    assert Meaning(policy().policy, LABELS, {"long": "far"}).text(tree_of(text), "account") == expected


@pytest.mark.parametrize("line", MENTIONED.strip().splitlines())
def test_what_an_expression_mentions(line: str) -> None:
    entity, text, names = line.split(" | ")
    mentions: set[str] = set()
    Meaning(policy().policy, {}, {}).text(tree_of(text), entity, mentions)
    assert mentions == set(names.split())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("{account.big} of {cost}", "{100 < account.employees} of {account.cost}"),
        ("{ account.cost } and {no such (}", "{account.cost} and {no such (}"),
    ],
)
def test_a_sentence_is_spelt_one_way(one: str, other: str) -> None:
    meaning = Meaning(policy().policy, {}, {})
    names: set[str] = set()
    assert meaning.sentence(one, "account", names) == meaning.sentence(other, "account", set()) and {"account", "cost"} <= names
    assert meaning.sentence(one, "account", names) != meaning.sentence(one.replace("cost", "profit"), "account", set())
    assert meaning.sentence(one, "account", names) != meaning.sentence(one.replace(" ", "  "), "account", set())


def test_parts_that_are_no_expressions_have_a_text_each() -> None:
    meaning = Meaning(policy().policy, {}, {})
    parts: list[Any] = [
        {"a": 1},
        {"a": 2},
        {"b": 1},
        {"a": "1"},
        {"a": 1, "b": 1},
        {},
        ["a", 1],
        [1, "a"],
        [["a"], 1],
        [],
        "a",
        "1",
        1,
        1.5,
        True,
        None,
    ]
    texts = [meaning.text(part) for part in parts]
    assert len(set(texts)) == len(parts) and meaning.text({"a": ("x", 1)}) == meaning.text({"a": ["x", 1]})
    assert meaning.text(Expr(tree_of("cost > 1"), Text("cost > 1", Inline())), "account") == as_value("account.cost > 1")
    for whole, names in ((False, set()), (True, {"a", "b", "c", "d"})):
        mentions: set[str] = set()
        meaning.text({"a": ["b", ("c",)], "d": 1}, "account", mentions, whole)
        assert mentions == names
    meaning.text(["a"], "account", mentions := set())
    assert mentions == set()


def test_a_list_of_some_length_is_written_out() -> None:
    out = ", ".join(f'"k{i}"' for i in range(MOST_LISTED))
    assert in_a_filter("type in most") == in_a_filter(f"type in ({out})") != in_a_filter(f'type in ({out}, "k{MOST_LISTED}")')
    assert in_a_filter("type in long").endswith("[item.type in long])")


@pytest.mark.parametrize(("most", "text"), [(4, "account.big"), (5, "account.employees > 100")])
def test_a_definition_of_some_length_is_written_out(most: int, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`account.employees > 100` has four nodes: the comparison, the walk, its beginning and the number."""
    monkeypatch.setattr("roe.analysis.meaning.MOST_NODES", most)
    assert as_value("account.big") == text


def days(first: date, months: int) -> set[date]:
    """The days of three years on which periods begin."""
    all_days = (v.add_months(first, months * k) for k in range(-60, 60))
    return {day for day in all_days if 2024 <= day.year <= 2026}


def test_periods_are_the_same_if_they_begin_on_the_same_days() -> None:
    texts: dict[str, set[date]] = {}
    for first, months in itertools.product([date(y, m, d) for y in (2023, 2025) for m in (1, 2, 3, 4, 7, 12) for d in (1, 28)] + [date(2025, 1, 31), date(2025, 3, 30), date(2025, 3, 31)], (1, 3, 6, 12)):  # fmt: skip
        step = Derive("account", "size", "freeze", Expr(tree_of("cost"), Text("cost", Inline())), frozen=(first, months))
        text = Meaning(policy().policy, {}, {}).step(step, set())
        assert texts.setdefault(text, days(first, months)) == days(first, months), (first, months)
    assert len({frozenset(x) for x in texts.values()}) == len(texts)


def test_what_has_no_order_may_stand_in_any() -> None:
    meaning = Meaning(policy().policy, {}, {})
    owners = [Derive("account", "owner", "", None, group=dict(x), vacant=dict(y)) for x, y in itertools.product([(("ae", "a"), ("sdr", "b")), (("sdr", "b"), ("ae", "a"))], repeat=2)]  # fmt: skip
    assert len({meaning.text(x) for x in owners}) == 1
    assert meaning.text(owners[0]) != meaning.text(
        Derive("account", "owner", "", None, group={"ae": "b", "sdr": "a"}, vacant=owners[0].vacant)
    )
    caps = [Allocate("p", "round_robin", (), None, dict(x), None, Text("", Inline()), None, None, None, 3, False, None, None, ()) for x in ([("per_day", 1), ("per_week", 2)], [("per_week", 2), ("per_day", 1)])]  # type: ignore[arg-type]  # fmt: skip
    assert meaning.text(caps[0]) != meaning.text(caps[1]), "the first cap that is reached is the one that is named"


def expression(text: str) -> Expr:
    return Expr(tree_of(text), Text(text, Inline()))


def pool(weight: str, *members: str, caps: tuple[str, ...] = ()) -> Allocate:
    known = tuple(DatedValue(Text(name, Inline())) for name in members)
    return Allocate(
        "p",
        "weighted",
        known,
        expression(weight),
        {cap: expression("1") for cap in caps},
        None,
        Text("", Inline()),
        None,
        None,
        None,
        3,
        False,
        None,
        None,
        (),
    )


def claims(name: str, because: str | None) -> Claims:
    rule = Rule(Text(name, Inline()), (expression("cost > 1"),), None, Text(because, Inline()) if because is not None else None)
    return Claims("account", "ae", Text("", Inline()), None, None, None, None, None, {}, (rule,))


def derived(text: str | None = None, name: str = "x", **more: Any) -> Derive:
    return Derive("account", name, "define", expression(text) if text else None, **more)


ALIKE: list[list[Any]] = [  # parts with one meaning stand in one line
    [pool("if rep.senior then 4 else 2"), pool("if rep.senior then 1 else 0.5"), pool("if rep.senior then 2.0 else 1")],
    [pool("if rep.senior then 4.5 else 1.5"), pool("if rep.senior then 3 else 1")],
    [pool("if rep.senior then -1 else 2"), pool("if rep.senior then 0 else 1")],
    [pool("if rep.senior then 0 else -1"), pool("if rep.senior then 0 else 0")],
    [pool("if rep.senior then 0.000001 else 1"), pool("if rep.senior then 1 else 1000000")],
    [pool("if rep.senior then 0.75 else 1000000"), pool("if rep.senior then 0.375 else 500000")],
    [pool("if rep.senior then 0.0000005 else 1")],
    [pool("if rep.senior then 1 else 2000000")],
    [pool("if rep.senior then 1 else rep.level")],
    [pool("if rep.senior then 2 else rep.level")],
    [pool('if rep.senior then "1" else 2')],
    [pool('if rep.senior then "1" else 4')],
    [pool("if rep.senior then 1 else if rep.level = 2 then 2 else 3"), pool("if rep.senior then 2 else if 2 = rep.level then 4 else 6")],
    [pool("1"), pool("7")],
    [pool("rep.level")],
    [pool("1", "ann", "ben"), pool("2", "ben", "ann")],
    [pool("1", "ann")],
    [pool("1", caps=("per_day", "per_week"))],
    [pool("1", caps=("per_week", "per_day"))],
    [claims("p", "no"), claims("q", "no")],
    [claims("p", None), claims("q", "`p` holds")],
    [claims("q", None)],
    [Rule(Text("p", Inline()), (expression("cost > 1"),), None), Rule(Text("q", Inline()), (expression("1 < account.cost"),), None)],
    [derived("cost > 1"), derived("1 < account.cost", name="y")],
    [derived("4"), derived("4", name="y")],
    [derived("2")],
    [derived("2 + account.cost * 2")],
    [derived("if flag then 2 else 4")],
    [derived("if flag then 1 else 2")],
    [derived("cost", frozen=(date(2026, 1, 1), 12)), derived("cost", frozen=(date(2025, 1, 1), 12))],
    [derived("cost", frozen=(date(2026, 2, 1), 12))],
    [derived("cost", among=())],
    [derived(group={"ae": "a", "sdr": "b"}), derived(group={"sdr": "b", "ae": "a"})],
    [derived(group={"ae": "b", "sdr": "a"})],
]  # fmt: skip


def test_parts_with_one_meaning_have_one_text() -> None:
    meaning = Meaning(policy().policy, {}, {})
    texts = [{meaning.text(part, "account") for part in line} for line in ALIKE]
    assert [len(x) for x in texts] == [1] * len(ALIKE)
    assert len(set().union(*texts)) == len(ALIKE)


def test_what_a_computed_field_mentions() -> None:
    meaning = Meaning(policy().policy, {}, {})
    for step, expected in (
        (derived("cost > 1"), {"account", "cost"}),
        (derived(group={"ae": "a", "sdr": "b"}, name="of"), {"a", "b"}),
        (derived("cost", among=(), name="place"), {"account", "cost", "place_within"}),
    ):
        for _ in range(2):  # also where it is known already
            names: set[str] = set()
            meaning.step(step, names)
            assert names == expected


FROZEN = {
    "frozen": {"frozen": (date(2026, 1, 1), 12)},
    "among all": {"among": ()},
    "without an expression": {"expr": None},
}


@pytest.mark.parametrize("more", FROZEN.values(), ids=FROZEN)
def test_only_what_a_definition_says_now_is_written_out(more: dict[str, Any]) -> None:
    """A value of an earlier day and a place among all records are not what their expression says about a record now."""
    plain = Derive("account", "big", "define", Expr(tree_of("employees > 100"), Text("", Inline())))
    for step, text in ((plain, "account.employees > 100"), (replace(plain, **more), "account.big")):
        known = policy().policy
        plan = replace(known.plan, steps={**known.plan.steps, ("account", "big"): step})
        assert Meaning(replace(known, plan=plan), {}, {}).text(tree_of("account.big"), "account") == text


ATOMS = ["a > 1", "1 >= a", "a = 1", "a != 2", "a in (1, 2)", "a = null", 'b = "x"', 'b in ("y", "x")', "f", "not(f)", "true", "false", "a in [2..1]", "a between 1 and 2", "a in > 1"]  # fmt: skip
SCOPES = [{"a": a, "b": b, "f": f} for a, b, f in itertools.product([None, 1, 2], [None, "x", "z"], [None, True, False])]


def always(node: Any, truth: bool) -> list[Any]:
    """The values of a condition for every record; with `truth` only where it is true."""
    code = compile_expression(node)
    return [(value is True) if truth else value for value in map(code, SCOPES)]


@pytest.mark.parametrize("negated", [False, True])
@pytest.mark.parametrize("kind", [s.And, s.Or])
def test_a_condition_that_is_spelt_otherwise_has_the_same_value(kind: Any, negated: bool) -> None:
    for one, other in itertools.combinations_with_replacement([tree_of(text) for text in ATOMS], 2):
        node = s.Not((kind((one, other)),)) if negated else kind((one, other))
        swapped = s.Not((kind((other, one)),)) if negated else kind((other, one))
        for truth in (False, True):
            made = spelt(node, truth)
            assert always(made, truth) == always(node, truth), (show(node), show(made))
            assert show(made) == show(spelt(swapped, truth)), show(node)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("f and true", "f"),
        ("f and false", "false"),
        ("f or false", "f"),
        ("f or true", "true"),
        ("true and true", "true"),
        ("false or false", "false"),
        ("not(not(f and f))", "not(not(f))"),
        ("f and (f and a > 1)", "a > 1 and f"),
        ("f or (f or a > 1)", "a > 1 or f"),
        ("f and (f or a > 1)", "(a > 1 or f) and f"),
    ],
)
def test_parts_that_change_nothing_are_left_out(text: str, expected: str) -> None:
    for truth in (False, True):
        assert show(spelt(tree_of(text), truth)) == expected

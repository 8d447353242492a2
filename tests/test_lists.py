"""Two versions of a list of rules, compared, against brute force: every pair of rules that decides some record differently is told, and no other.

The lists are small enough for every record that matters to be tried: the values of three fields, their constants and what lies between.
"""

from __future__ import annotations

import itertools
import random
from pathlib import Path
from typing import Any

import pytest
import yaml

import roe
from helpers import policy_text
from roe.analysis.equivalence import Comparison, compare
from roe.analysis.lists import as_list
from roe.analysis.verdicts import PROVEN
from roe.evaluator.engine import Evaluator
from roe.grammar.printer import show
from roe.plan.operators import Derive

NUMBERS = [None, 0, 1, 2, 3, 4, 5, 6, 7]
ACCOUNTS = [
    {"id": f"{n}-{t}-{flag}", "n": n, "t": t, "flag": flag, "owner": "ann"} for n, t, flag in itertools.product(NUMBERS, [None, "a", "b", "c"], [None, "true", "false"])
]  # fmt: skip
TESTS = [
    "account.n > 1", "account.n >= 5", "account.n < 3", "account.n in [2..4]", "account.n = 3", "account.n != 6", "account.n = null", "account.n in (1, 5)",
    'account.t = "a"', 'account.t in ("a", "b")', 'account.t != "b"', "account.t = null", "account.t in named", "account.flag", "not(account.flag)",
    "account.flag = false", "account.big", "not(account.big)", "not(account.n > 2 and account.flag)",
]  # fmt: skip
THEN = ["keep", "hold", "open", "return"]


def evaluator(folder: Path, rules: list[dict[str, Any]], **more: Any) -> Evaluator:
    policy = {
        "roe": 1, "name": "x", "roles": ["ae"], "fields": {"account": {"n": {"type": "number"}, "t": {"type": "string"}, "flag": {"type": "boolean"}}},
        "lists": {"named": ["a", "c"]}, "define": {"account.big": "account.n > 3"},
        "tables": {"desk": {"rows": [{"n": "> 2", "t": "a", "desk": "x"}, {"flag": "true", "desk": "y"}]}}, "engagement": {"account": {"ae": rules}},
    }  # fmt: skip
    return roe.compile(roe.load(policy_text(folder, yaml.safe_dump({**policy, **more}, sort_keys=False))))


def some_rules(rng: random.Random, said: bool) -> list[dict[str, Any]]:
    rules = []
    for name in "pqrs"[: rng.randint(1, 4)]:
        rule: dict[str, Any] = {"name": name, "when": " and ".join(rng.sample(TESTS, rng.choice([1, 1, 2]))), "then": rng.choice(THEN)}
        rules.append(rule | ({"because": "said"} if said else {}))
    return [*rules, {"name": "rest", "then": "open"} | ({"because": "said"} if said else {})]


def other_rules(rng: random.Random, rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same but for one thing."""
    made = [dict(rule) for rule in rules]
    at = rng.randrange(len(made) - 1)
    match rng.randrange(6):
        case 0:
            made[at]["when"] = rng.choice(TESTS)
        case 1:
            made[at]["then"] = rng.choice(THEN)
        case 2:
            del made[at]
        case 3:
            made.insert(at, made[at] | {"name": "new", "when": rng.choice(TESTS), "then": rng.choice(THEN)})
        case 4:
            made.insert(0, made.pop(at))
        case _:
            made[at]["name"] = "other"
    return made


def decided(evaluator: Evaluator) -> dict[str, tuple[str, str]]:
    """account -> (the rule that decides it, what it does)."""
    return {d.id: (d.rule, d.action) for d in evaluator.run({"account": ACCOUNTS}, as_of="2026-01-01").decisions}


@pytest.mark.parametrize("said", [True, False])
@pytest.mark.parametrize("part", range(4))
def test_every_pair_of_rules_that_decides_a_record_differently_is_told(part: int, said: bool, tmp_path: Path) -> None:
    seen = {"different": 0, "equivalent": 0, "same outcome": 0}
    for seed in range(6 * part, 6 * part + 6):
        rng = random.Random(seed)
        rules = some_rules(rng, said)
        pair = [evaluator(tmp_path / f"{seed}-{i}", x) for i, x in enumerate((rules, other_rules(rng, rules)))]
        found = compare(*pair)
        before, after = map(decided, pair)
        acts = {(rule, act, after[key][0], after[key][1]) for key, (rule, act) in before.items() if act != after[key][1]}
        told = {
            (d.before, d.gives_before.removesuffix(" because said"), d.after, d.gives_after.removesuffix(" because said"))
            for d in found.differences
        }
        assert told == acts, (seed, rules)
        names = {(rule, after[key][0]) for key, (rule, act) in before.items() if act == after[key][1] and rule != after[key][0]}
        assert {(d.before, d.after) for d in found.renamed} == (set() if said else names), (seed, rules)
        assert found.verdict == ("different" if acts else "same outcome" if names and not said else "equivalent"), (seed, found)
        for d in found.differences:
            told_by_its_record(d, pair)
        seen[found.verdict] += 1
    assert seen["different"] and (seen["equivalent"] or seen["same outcome"]), seen


def told_by_its_record(d: Any, pair: list[Evaluator]) -> None:
    """The record of a difference is decided as the difference says."""
    assert d.certainty == PROVEN and d.decides and d.witness is not None and d.where == "engagement of account as ae"
    (row,) = d.witness.tables(pair[1].policy)["account"]
    row = {"owner": "ann"} | row
    for evaluator, rule, act in zip(pair, (d.before, d.after), (d.gives_before, d.gives_after), strict=True):
        (decision,) = evaluator.run({"account": [row]}, as_of=d.witness.today or "2026-01-01").decisions
        assert (decision.rule, decision.action) == (rule, act.removesuffix(" because said"))


def compared(tmp_path: Path, before: dict[str, Any], after: dict[str, Any], rules: list[dict[str, Any]]) -> Comparison:
    return compare(*(evaluator(tmp_path / name, rules, **more) for name, more in (("old", before), ("new", after))))


READ = [{"name": "a", "when": 'account.desk = "x"', "then": "keep", "because": "said"}, {"name": "b", "then": "open", "because": "said"}]
UNREAD = [{"name": "b", "then": "open"}]


def desk(*rows: str, **more: Any) -> dict[str, Any]:
    """Rows such as `> 2 | x` for `n`."""
    cells = [row.split(" | ") for row in rows]
    if not any(name == "x" for _, name in cells):
        cells.insert(0, ["= -1", "x"])  # so that there is such a value
    return {"tables": {"desk": {"rows": [{"n": n, "desk": name} for n, name in cells], **more}}}


@pytest.mark.parametrize(("before", "after", "verdict", "fields"), [
    (desk("> 2 | x"), desk(">= 2 | x"), "different", 0),
    (desk("> 2 | x", "> 5 | y"), desk("> 2 | x", "> 6 | y"), "equivalent", 0),  # the row never decided
    (desk("> 2 | y"), desk("> 3 | y"), "equivalent", 1),  # no rule asks for `y`
    (desk("> 2 | y", default="z"), desk("> 2 | y", default="w"), "equivalent", 1),
    (desk("> 2 | y", default="z"), desk("> 2 | y", default="x"), "different", 0),
    (desk("> 2 | y"), desk("> 2 | y", default="z"), "equivalent", 1),
    (desk("> 2 | x", "> 1 | y"), desk("> 2 | x", "in [1..2] | y", "> 2 | y"), "equivalent", 1),  # at 1
    (desk("> 2 | x", "> 1 | y"), desk("> 2 | x", "in (1..2] | y"), "equivalent", 0),
    (desk("> 2 | x", "<= 2 | y", hit="unique"), desk("> 2 | x", "<= 2 | y", hit="first"), "equivalent", 0),
    (desk("> 2 | x", "< 2 | y", hit="unique"), desk("> 2 | y", "< 2 | x", hit="unique"), "different", 0),
])  # fmt: skip
def test_a_table_that_differs_is_told_where_it_decides_and_as_a_field_where_not(
    before: dict[str, Any], after: dict[str, Any], verdict: str, fields: int, tmp_path: Path
) -> None:
    found = compared(tmp_path, before, after, READ)
    assert found.verdict == verdict, found
    assert bool(found.fields) == bool(fields) and {d.where for d in found.fields} <= {"account.desk"}, found
    assert all(d.certainty == PROVEN and not d.decides and d.gives_before != d.gives_after for d in found.fields)
    assert compared(tmp_path / "unread", before, after, UNREAD).verdict == "equivalent"
    assert found.same is (verdict == "equivalent")


@pytest.mark.parametrize(("text", "rules", "default", "constant"), [
    ('if account.n > 1 then "x" else "y"', [("account.n > 1", "x")], "y", True),
    ('if account.n > 1 then "x" else if account.flag then "y" else "z"', [("account.n > 1", "x"), ("account.flag", "y")], "z", True),
    ('if account.n > 1 then "x" else if account.flag then "y" else account.t', [("account.n > 1", "x"), ("account.flag", "y")], "account.t", False),
    ('if account.n > 1 then account.t else "y"', [("account.n > 1", "account.t")], "y", False),
    ("account.n > 1", [("account.n > 1", "true"), ("not(account.n > 1)", "false")], "None", True),
    ("account.n + 1", None, None, True),
    ("account.t", None, None, False),
])  # fmt: skip
def test_definitions_as_lists_of_rules(
    text: str, rules: list[tuple[str, str]] | None, default: str, constant: bool, tmp_path: Path
) -> None:
    made = evaluator(tmp_path, UNREAD, define={"account.x": text})
    step = made.policy.plan.steps["account", "x"]
    assert isinstance(step, Derive)

    def said(value: Any) -> str:
        return (
            show(value.tree)
            if hasattr(value, "tree")
            else "None"
            if value is None
            else str(value).lower()
            if isinstance(value, bool)
            else str(value)
        )

    for constants in (True, False):
        found = as_list(made, step, constants)
        if rules is None or (constants and not constant):
            assert found is None
        else:
            assert found is not None and found.hit == "first" and (found.entity, found.name) == ("account", "x")
            assert [(show(rule.conditions[0].tree), said(rule.value)) for rule in found.rules] == rules
            assert said(found.default) == default and len({str(rule.name) for rule in found.rules}) == len(rules)


@pytest.mark.parametrize("seed", range(8))
def test_no_pair_of_rules_is_shown_twice(seed: int, tmp_path: Path) -> None:
    """A table of which several rows may hold: the record that is found for one pair of rows may be decided by others."""
    rng = random.Random(seed)

    def rows() -> list[dict[str, str]]:
        return [{"n": rng.choice(["> 1", "> 2", ">= 4", "< 5", "[2..6]"]), "out": rng.choice("xyz")} for _ in range(rng.randint(2, 5))]

    rules = [{"name": "r", "when": "count(account.got) > 1", "then": "keep"}, {"name": "rest", "then": "open"}]
    sides = [evaluator(tmp_path / side, rules, tables={"got": {"hit": "collect", "rows": rows()}}) for side in ("old", "new")]
    found = compare(*sides)
    shown = [(d.where, d.before, d.after, d.gives_before, d.gives_after) for d in (*found.differences, *found.fields)]
    assert len(shown) == len(set(shown)), shown

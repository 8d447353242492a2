"""Two versions of a list of rules, compared, against brute force: every pair of rules that decides some record differently is told, and no other.

The lists are small enough for every record that matters to be tried: the values of three fields, their constants and what lies between.
"""

from __future__ import annotations

import itertools
import random
from dataclasses import replace
from datetime import date
from functools import cache
from typing import Any

import pytest
import yaml

from helpers import compiled
from roe.analysis.equivalence import Comparison, compare
from roe.analysis.finder import Finder
from roe.analysis.lists import Difference, Pair, Side, apart, as_list, compare_lists
from roe.analysis.space import Undecided
from roe.analysis.verdicts import POSSIBLE, PROVEN
from roe.analysis.witness import Witness
from roe.analysis.writing_out import WritingOut
from roe.evaluator.choose import Chooser
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


def evaluator(rules: list[dict[str, Any]], **more: Any) -> Evaluator:
    policy = {
        "roe": 1, "name": "x", "roles": ["ae"], "fields": {"account": {"n": {"type": "number"}, "t": {"type": "string"}, "flag": {"type": "boolean"}}},
        "lists": {"named": ["a", "c"]}, "define": {"account.big": "account.n > 3"},
        "tables": {"desk": {"rows": [{"n": "> 2", "t": "a", "desk": "x"}, {"flag": "true", "desk": "y"}]}}, "engagement": {"account": {"ae": rules}},
    }  # fmt: skip
    return compiled(yaml.safe_dump({**policy, **more}, sort_keys=False))


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
@pytest.mark.parametrize("seed", range(24))
def test_every_pair_of_rules_that_decides_a_record_differently_is_told(seed: int, said: bool) -> None:
    rng = random.Random(seed)
    rules = some_rules(rng, said)
    pair = [evaluator(x) for x in (rules, other_rules(rng, rules))]
    found = compare(*pair)
    before, after = map(decided, pair)
    acts = {(rule, act, after[key][0], after[key][1]) for key, (rule, act) in before.items() if act != after[key][1]}
    told = {
        (d.before, d.gives_before.removesuffix(" because said"), d.after, d.gives_after.removesuffix(" because said"))
        for d in found.differences
    }
    assert told == acts, rules
    names = {(rule, after[key][0]) for key, (rule, act) in before.items() if act == after[key][1] and rule != after[key][0]}
    assert {(d.before, d.after) for d in found.renamed} == (set() if said else names), rules
    assert found.verdict == ("different" if acts else "same outcome" if names and not said else "equivalent"), (rules, found)
    for d in found.differences:
        told_by_its_record(d, pair)


def told_by_its_record(d: Any, pair: list[Evaluator]) -> None:
    """The record of a difference is decided as the difference says."""
    assert d.certainty == PROVEN and d.decides and d.witness is not None and d.where == "engagement of account as ae"
    (row,) = d.witness.tables(pair[1].policy)["account"]
    row = {"owner": "ann"} | row
    for evaluator, rule, act in zip(pair, (d.before, d.after), (d.gives_before, d.gives_after), strict=True):
        (decision,) = evaluator.run({"account": [row]}, as_of=d.witness.today or "2026-01-01").decisions
        assert (decision.rule, decision.action) == (rule, act.removesuffix(" because said"))


def compared(before: dict[str, Any], after: dict[str, Any], rules: list[dict[str, Any]]) -> Comparison:
    return compare(*(evaluator(rules, **more) for more in (before, after)))


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
    before: dict[str, Any], after: dict[str, Any], verdict: str, fields: int
) -> None:
    found = compared(before, after, READ)
    assert found.verdict == verdict, found
    assert bool(found.fields) == bool(fields) and {d.where for d in found.fields} <= {"account.desk"}, found
    assert all(d.certainty == PROVEN and not d.decides and d.gives_before != d.gives_after for d in found.fields)
    unread = compared(before, after, UNREAD)  # what a table gives some record is told also where no rule reads it
    assert unread.verdict == "equivalent" and bool(unread.fields) == (verdict == "different" or bool(fields))
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
def test_definitions_as_lists_of_rules(text: str, rules: list[tuple[str, str]] | None, default: str, constant: bool) -> None:
    made = evaluator(UNREAD, define={"account.x": text})
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

    for more in ({"frozen": (date(2026, 1, 1), 12)}, {"among": ()}, {"expr": None}):  # a value of another day or place is not a list
        others: dict[str, Any] = more
        assert as_list(made, replace(step, **others), constants=False) is None
    for constants in (True, False):
        found = as_list(made, step, constants)
        if rules is None or (constants and not constant):
            assert found is None
        else:
            assert found is not None and found.hit == "first" and (found.entity, found.name) == ("account", "x")
            assert [(show(rule.conditions[0].tree), said(rule.value)) for rule in found.rules] == rules
            assert said(found.default) == default and len({str(rule.name) for rule in found.rules}) == len(rules)


@pytest.mark.parametrize("seed", range(8))
def test_no_pair_of_rules_is_shown_twice(seed: int) -> None:
    """A table of which several rows may hold: the record that is found for one pair of rows may be decided by others."""
    rng = random.Random(seed)

    def rows() -> list[dict[str, str]]:
        return [{"n": rng.choice(["> 1", "> 2", ">= 4", "< 5", "[2..6]"]), "out": rng.choice("xyz")} for _ in range(rng.randint(2, 5))]

    rules = [{"name": "r", "when": "count(account.got) > 1", "then": "keep"}, {"name": "rest", "then": "open"}]
    sides = [evaluator(rules, tables={"got": {"hit": "collect", "rows": rows()}}) for side in ("old", "new")]
    found = compare(*sides)
    shown = [(d.where, d.before, d.after, d.gives_before, d.gives_after) for d in (*found.differences, *found.fields)]
    assert len(shown) == len(set(shown)), shown


# --- what is made of the records that are found: stubs in the place of the finder, so that each may answer as it likes ------------------

TWO = [{"name": "a", "when": "account.n > 2", "then": "keep", "because": "said"}, {"name": "rest", "then": "open", "because": "said"}]
OTHER = [{"name": "a", "when": "account.n > 3", "then": "keep", "because": "said"}, {"name": "rest", "then": "hold", "because": "said"}]
KEEP, OPEN, HOLD = ((0,), "keep"), ((1,), "open"), ((1,), "hold")  # rules that fire, and a value
Answer = tuple[tuple[int, ...], str] | None


class Answers:
    """A finder that has these witnesses, each with what one policy answers."""

    def __init__(self, answers: list[tuple[Witness, Answer]]) -> None:
        self.answers = answers

    def records(self, *given: Any) -> Any:
        return iter([witness for witness, _ in self.answers])

    def asked(self, witness: Witness, chooser: Any) -> Answer:
        return next(answer for known, answer in self.answers if known is witness)


@cache
def two_lists() -> tuple[Evaluator, Evaluator]:
    old, new = (evaluator(rules) for rules in (TWO, OTHER))
    return old, new


def pair(witnesses: list[tuple[Witness, Answer, Answer]] | None = None, deciding: int = -1, hit: str = "first") -> Pair:
    """The two lists, with these witnesses and the answers of both; the one of this number gets another owner."""
    one, other = (Side(Finder(e), e.compiled.engagement["account", "ae"]) for e in two_lists())
    made = Pair("here", one, other)
    if witnesses is not None:
        finders: list[Any] = [Answers([(x, was) for x, was, _ in witnesses]), Answers([(x, now) for x, _, now in witnesses])]
        made.sides = tuple(replace(side, finder=finder) for side, finder in zip(made.sides, finders, strict=True))  # type: ignore[assignment]
        made._decides = lambda witness: deciding >= 0 and witness is witnesses[deciding][0]
    if hit != "first":
        made.sides = tuple(replace(x, chooser=Chooser(replace(x.step, hit=hit), {})) for x in made.sides)  # type: ignore[assignment]
    return made


def real(n: int) -> Witness:
    return Witness("account", {("n",): n})


def imagined(n: int) -> Witness:
    return Witness("account", {("n",): n}, given={("score",): 1})


@pytest.mark.parametrize(
    ("witnesses", "deciding", "chosen", "certainty", "decides"),
    [
        ([(real(1), OPEN, HOLD)], -1, 0, PROVEN, False),
        ([(real(1), OPEN, HOLD)], 0, 0, PROVEN, True),
        ([(imagined(1), OPEN, HOLD)], 0, 0, POSSIBLE, False),  # nobody knows whether there is such a record
        ([(real(1), OPEN, HOLD), (real(2), OPEN, HOLD)], -1, 0, PROVEN, False),  # the first of equals
        ([(real(1), OPEN, HOLD), (real(2), OPEN, HOLD)], 1, 1, PROVEN, True),  # one that gets another owner is better
        ([(imagined(1), OPEN, HOLD), (real(2), OPEN, HOLD)], -1, 1, PROVEN, False),  # a record is better than an imagined one
        ([(real(1), OPEN, HOLD), (imagined(2), OPEN, HOLD)], 1, 0, PROVEN, False),
        ([(imagined(1), OPEN, HOLD), (imagined(2), OPEN, HOLD)], -1, 0, POSSIBLE, False),
        ([(real(1), KEEP, KEEP), (real(2), OPEN, HOLD)], -1, 1, PROVEN, False),  # one that both decide alike shows nothing
        ([(real(1), None, HOLD), (real(2), OPEN, None), (real(3), OPEN, HOLD)], -1, 2, PROVEN, False),  # nor one that cannot be loaded
    ],
)
def test_the_best_record_shows_a_difference(
    witnesses: list[tuple[Witness, Answer, Answer]], deciding: int, chosen: int, certainty: str, decides: bool
) -> None:
    made = pair(witnesses, deciding)
    shown = made._shown([], 1, 3)
    assert shown == Difference("here", "rest", "rest", "open because said", "hold because said", certainty, witnesses[chosen][0], decides)


@pytest.mark.parametrize("witnesses", [[], [(real(1), KEEP, KEEP)], [(real(1), None, HOLD)]])
def test_without_a_record_two_rules_may_differ(witnesses: list[tuple[Witness, Answer, Answer]]) -> None:
    made = pair(witnesses)
    assert made._shown([], 1, 3) == Difference("here", "rest", "rest", "open because said", "hold because said", POSSIBLE)
    assert made._shown([], 0, 3) == Difference("here", "a", "rest", "keep because said", "hold because said", POSSIBLE)
    assert made._shown([], None, 3) is made._shown([], 1, None) is None, "where no rule decides, there is nothing to name"
    assert pair(witnesses, hit="unique")._shown([], 1, 3) is None, "nor where more than one rule decides"


@pytest.mark.parametrize(("records", "certainty"), [([], POSSIBLE), ([imagined(1)], POSSIBLE), ([imagined(1), real(2)], PROVEN), ([real(2)], PROVEN)])  # fmt: skip
def test_another_rule_to_the_same_effect_is_noted_with_a_record(records: list[Witness], certainty: str) -> None:
    made = pair([(x, KEEP, KEEP) for x in records])
    for _ in range(22):
        made._rename(0, None, [])
    witness = records[-1] if certainty == PROVEN else None
    assert made.renamed == [Difference("here", "a", "", "", "", certainty, witness)] * 20


P, Q, R = (Difference("here", name, "", "keep", "open", certainty) for name, certainty in (("p", PROVEN), ("q", POSSIBLE), ("r", PROVEN)))
Found = tuple[int | None, int | None, Difference | None]


@pytest.mark.parametrize(
    ("candidates", "expected", "alike"),
    [
        ([], [], 0),
        ([(0, 3, P)], [P], 0),
        ([(0, 3, P), (0, 3, P)], [P], 0),  # one record for two rules is enough
        ([(0, 3, P), (1, 3, P)], [P], 0),  # and for two boxes that lead to the same rules
        ([(0, 3, P), (1, 3, R)], [P, R], 0),
        ([(0, 3, None), (0, 3, P)], [P], 0),  # in another box there is one
        ([(0, 3, Q), (0, 3, P)], [P], 0),
        ([(0, 3, P), (1, 3, Q)], [P], 0),  # what is known is said alone
        ([(0, 3, Q), (1, 3, replace(Q, before="s"))], [Q], 0),  # or one that may be
        ([(0, 3, None)], None, 0),  # there is no telling
        ([(0, 2, P)], [], 1),  # both keep
        ([(0, 2, P), (0, 2, P), (0, 3, P)], [P], 1),
        ([(0, 3, None)] * 40 + [(1, 3, P)], [P], 0),  # of so many cases it may be that no record is found
        ([(0, 3, None)] * 41 + [(1, 3, P)], None, 0),
        ([(0, 3, Q)] * 41 + [(1, 3, P)], [Q], 0),
        ([(100 + i, 3, replace(P, before=str(i))) for i in range(25)], [replace(P, before=str(i)) for i in range(20)], 0),
    ],
)
def test_differences_are_said_once_and_the_sure_ones_first(candidates: list[Found], expected: list[Difference] | None, alike: int) -> None:
    made: Any = pair([])
    boxes = list(range(len(candidates)))
    found = [(old, new, box) for box, (old, new, _) in zip(boxes, candidates, strict=True)]
    made._candidates = lambda seen: (x for x in found if x[:2] not in seen)
    made._shown = lambda box, old, new: candidates[box][2]
    made._given = lambda place, side: ("keep" if place in (0, 2) else str(place), "")
    if expected is None:
        with pytest.raises(Undecided):
            list(made.differences())
    else:
        assert list(made.differences()) == expected and len(made.renamed) == alike


@pytest.mark.parametrize(("hit", "overlapping", "told"), [("first", True, True), ("unique", False, True), ("unique", True, False)])
def test_lists_that_are_not_read_by_their_first_rule_are_equal_only_where_one_rule_holds(hit: str, overlapping: bool, told: bool) -> None:
    made: Any = pair([], hit=hit)
    made._candidates = lambda seen: iter([])
    made.space.overlaps = lambda: iter([(0, 1, ())] if overlapping else [(0, 2, ())])  # of one list, or of both
    if told:
        assert list(made.differences()) == []
    else:
        with pytest.raises(Undecided):
            list(made.differences())


@pytest.mark.parametrize(("reps", "rules"), [(["ann", "ben"], 2), (["ann", "ben", "cy"], 3), (["ann"], 1)])
def test_a_rule_that_assigns_one_of_several_reps_is_a_rule_for_each(reps: list[str], rules: int) -> None:
    text = "".join(f'if account.n = {i} then "{rep}" else ' for i, rep in enumerate(reps[:-1])) + f'"{reps[-1]}"'
    made = evaluator([{"name": "a", "when": "account.flag", "then": {"assign": text}}, {"name": "b", "then": "open"}])
    step = made.policy.plan.engagement["account", "ae"]
    written = apart(step, WritingOut(made.policy, "account"))
    assert (written is step) == (rules == 1) and len(written.rules) == rules + 1
    assert [show(x.value.assign.tree) for x in written.rules[:-1]] == [f'"{rep}"' for rep in reps]
    flag, *conditions = [[show(c.tree) for c in x.conditions] for x in written.rules[:-1]]
    assert flag == ["account.flag", *(["account.n = 0"] if rules > 1 else [])]
    assert conditions == [["account.flag", *([f"account.n = {i}"] if i < rules - 1 else [])] for i in range(1, rules)]


def test_a_rule_that_assigns_by_a_table_is_a_rule_for_each_row() -> None:
    who: dict[str, Any] = {"tables": {"who": {"rows": [{"n": "> 2", "who": "ann"}, {"flag": "true", "who": "ben"}], "default": "cy"}}}
    short: dict[str, Any] = {"tables": {"who": {"rows": [{"n": "> 2", "who": "ann"}]}}}
    for n, rows in enumerate((who, short)):
        made = evaluator([{"name": "a", "then": {"assign": "account.who"}}], **rows)
        written = apart(made.policy.plan.engagement["account", "ae"], WritingOut(made.policy, "account"))
        reps = [show(x.value.assign.tree) for x in written.rules]
        assert reps == (['"ann"', '"ben"', '"cy"'] if n == 0 else ['"ann"', "null"])


@pytest.mark.parametrize(("limit", "at_once"), [("MOST_STEPS", "different"), ("MOST_WORK", "undecided")])
def test_a_search_that_is_cut_short_proves_nothing(limit: str, at_once: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where two rules give something else, and there is no work left to find a record, nothing is said to be equal."""
    rules = [{"name": "a", "when": 'account.n + account.n > 6 and account.t = "a"', "then": "keep"}, {"name": "b", "then": "hold"}]
    sides = [evaluator([{**rules[0], "then": then}, rules[1]]) for then in ("keep", "open")]
    assert compare(*sides).verdict == "different"
    monkeypatch.setattr(f"roe.analysis.lists.{limit}", 0)
    assert compare(*sides).verdict == at_once, "one box is always looked at, and a record takes some work"
    monkeypatch.setattr(f"roe.analysis.lists.{limit}", -1)
    assert compare(*sides).verdict == "undecided"


@pytest.mark.parametrize(
    ("known", "same", "wanted"), [(["a", "b"], (), True), (["a", "b"], ("t",), False), (["a", "b", "c"], ("t",), True)]
)
def test_a_field_has_the_values_of_both_policies_unless_it_means_the_same(known: list[str], same: tuple[str, ...], wanted: bool) -> None:
    rules = [{"name": "p", "when": 'not(account.t in ("a", "b"))', "then": "keep"}, {"name": "rest", "then": "open"}]
    sides = []
    for values in (known, ["a", "b", "c"]):
        made = evaluator(rules, fields={"account": {"n": {"type": "number"}, "t": {"type": "string", "values": values}, "flag": {"type": "boolean"}}})  # fmt: skip
        sides.append(Side(Finder(made), made.compiled.engagement["account", "ae"], same={("account", name) for name in same}))
    found = Pair("here", sides[0], sides[1])
    (axis,) = found.space.axes
    cell = axis.cell_of("c")
    assert cell is not None and bool(found._possible(axis) >> cell & 1) is wanted


ROWS = [{"n": "> 1", "desk": "x"}, {"n": "< 0", "desk": "y"}, {"t": "a", "desk": "z"}]


@pytest.mark.parametrize(("rows", "more", "changed"), [
    (ROWS, {}, set()),
    (ROWS[1:], {}, {0}),  # the first is gone
    ([*ROWS, {"t": "b", "desk": "x"}], {}, {6}),
    ([{"t": "b", "desk": "x"}, *ROWS], {}, {3}),
    ([ROWS[0], {"n": "< 1", "desk": "y"}, ROWS[2]], {}, {1, 4}),
    ([ROWS[0], {"n": "< 0", "desk": "w"}, ROWS[2]], {}, {1, 4}),
    ([ROWS[2], *ROWS[:2]], {}, {2, 3}),  # the last is the first
    (ROWS, {"default": "w"}, {0, 1, 2, 3, 4, 5}),
    (ROWS, {"hit": "unique"}, {0, 1, 2, 3, 4, 5}),
    (ROWS, {"hit": "priority", "priority": ["x", "y"]}, {0, 1, 2, 3, 4, 5}),
    (ROWS, {"define": {"account.big": "account.n > 4"}}, set()),
])  # fmt: skip
def test_only_rules_that_the_other_version_has_not_are_looked_at(
    rows: list[dict[str, str]], more: dict[str, Any], changed: set[int]
) -> None:
    define = {"define": more["define"]} if "define" in more else {}
    sides = [
        evaluator(UNREAD, tables={"desk": {"rows": ROWS}}),
        evaluator(UNREAD, tables={"desk": {"rows": rows, **({} if define else more)}}, **define),
    ]
    one, other = (Side(Finder(e), e.compiled.choosers["account", "desk"]) for e in sides)
    assert Pair("here", one, other).changed == changed


def test_a_rule_says_what_its_own_policy_means() -> None:
    """`account.big` is another condition in each of them; and where many rules are alike, each stands beside its like."""
    rules = [{"name": "a", "when": "account.big", "then": "keep"}, {"name": "b", "when": "account.t in named", "then": "hold"}]
    old, *others = (evaluator(rules, **more) for more in ({}, {"define": {"account.big": "account.n > 4"}}, {"lists": {"named": ["a"]}}))
    made = [Side(Finder(e), e.compiled.engagement["account", "ae"]) for e in (old, *others)]
    assert [Pair("here", made[0], side).changed for side in made] == [set(), {0, 2}, {1, 3}]
    step = made[0].step
    many = replace(made[0], chooser=Chooser(replace(step, rules=(step.rules[1],) * 210), {}))
    assert Pair("here", many, many).changed == set()


def test_a_column_of_a_table_has_the_values_of_both_policies_unless_the_table_means_the_same() -> None:
    rules = [{"name": "p", "when": 'not(account.place.region in ("N", "S"))', "then": "keep"}, {"name": "rest", "then": "open"}]
    sides = []
    for last in ("S", "W"):
        rows = [{"n": "> 1", "region": "N", "zone": "z"}, {"flag": "true", "region": last, "zone": "y"}]
        made = evaluator(rules, tables={"place": {"rows": rows, "default": "S"}})
        sides.append(Side(Finder(made), made.compiled.engagement["account", "ae"], keep={("account", "place")}))
    for same, wanted in (((), True), ({("account", "place")}, False)):
        found = Pair("here", replace(sides[0], same=same), sides[1])
        (axis,) = [axis for axis in found.space.axes if "region" in axis.key]
        cell = axis.cell_of("W")
        assert cell is not None and bool(found._possible(axis) >> cell & 1) is wanted


@pytest.mark.parametrize(("fired", "hit", "expected"), [
    ((0,), "first", ("keep because said", "")), ((1,), "unique", ("open because said", "")), ((0, 1), "collect", ("both", "")),
    ((0,), "collect", ("both", "")), ((), "first", ("both", "")),
])  # fmt: skip
def test_one_rule_is_known_by_what_it_gives_and_says_and_several_by_their_value(
    fired: tuple[int, ...], hit: str, expected: tuple[str, str]
) -> None:
    assert pair(hit=hit).sides[0].identity(fired, "both") == expected


def test_lists_alone_decide_nothing() -> None:
    """Two lists are compared without their policies: whether somebody would notice the difference, nobody asks."""
    sides = [x for e in two_lists() for x in (Finder(e), e.compiled.engagement["account", "ae"])]
    found: list[Difference] = compare_lists("here", *sides)  # type: ignore[arg-type]
    assert found and not any(d.decides for d in found)


@pytest.mark.parametrize(("reps", "rules"), [(14, 14), (15, 14)])
def test_reps_of_one_rule_are_told_apart_so_deep(reps: int, rules: int) -> None:
    """Behind thirteen conditions, what is left of a chain is one rule."""
    chain = "".join(f'if account.n = {i} then "r{i}" else ' for i in range(reps - 1)) + '"last"'
    step = evaluator([{"name": "a", "then": {"assign": chain}}]).policy.plan.engagement["account", "ae"]
    assert len(apart(step, WritingOut(two_lists()[0].policy, "account")).rules) == rules


def test_a_difference_is_said_in_json() -> None:
    told = Difference("here", "a", "b", "keep", "open", PROVEN, real(3), True)
    expected = {"where": "here", "rule_before": "a", "rule_after": "b", "gives_before": "keep", "gives_after": "open", "certainty": PROVEN}
    assert told.as_json() == {**expected, "witness": real(3).as_json()}
    assert replace(told, witness=None).as_json() == {**expected, "witness": None}

"""Conditions as the partition index takes them apart, against what `docs/language.md` says of them, one row a condition; and against brute force.

A test is written as its subject and what becomes of it: `n: - 1+ + 5- - null?` is false below 1, true at 1 and up to 5, false from 5 on, and unknown
where `n` is missing. `?` stands between two constants too where no value lies between them. Tests without an order say what holds at their constants and `else`.
"""

from __future__ import annotations

import itertools
from datetime import date, datetime, time, timedelta
from typing import Any

import pytest

from roe.grammar import values as v
from roe.grammar.clock import Clock
from roe.grammar.closures import compile_expression
from roe.grammar.functions import BY_NAME
from roe.grammar.parser import parse
from roe.grammar.printer import show
from roe.grammar.scopes import CLOCK
from roe.plan.cells import ELSE, MOST_POINTS, cost_of
from roe.plan.index import MOST_ALONE, PartitionIndex, as_tests
from roe.plan.operators import Expr
from roe.plan.subjects import Test, alternatives, key_of, places_of
from roe.source import Inline, Text

LISTS: dict[str, list[Any]] = {"named": ["a", "c"], "short": ["x"], "mixed": ["a", 1]}
SIGNS = {True: "+", False: "-", None: "?"}
STATED = """
n = 1                      | n: 1+ else- null-
1 = n                      | n: 1+ else- null-
n != 1                     | n: 1- else+ null+
n < 1                      | n: + 1- - null?
1 < n                      | n: - 1- + null?
n >= 1                     | n: - 1+ + null?
n <= 1                     | n: + 1+ - null?
n < 0                      | n: + 0- - null?
n > 0                      | n: - 0- + null?
n > -0.5                   | n: - -0.5- + null?
n = null                   | n: else- null+
n != null                  | n: else+ null-
null = n                   | n: else- null+
n < null                   | n < null: true+ false- else? null?
null < n                   | null < n: true+ false- else? null?
n in [1..5)                | n: - 1+ + 5- - null?
n in (1..5]                | n: - 1- + 5+ - null?
n in [4..5]                | n: - 4+ + 5+ - null?
n between 1 and 5          | n: - 1+ + 5+ - null?
n between m and 5          | n between m and 5: true+ false- else? null?
n between 1 and m          | n between 1 and m: true+ false- else? null?
n between 1 and null       | n between 1 and null: true+ false- else? null?
n between null and 5       | n between null and 5: true+ false- else? null?
n in [1..null]             | n in [1..null]: true+ false- else? null?
n in (1..1.0000000000000002) | n: - 1- ? 1.0000000000000002- - null?
n in (1.0000000000000002..1.0000000000000004) | n: - 1.0000000000000002- ? 1.0000000000000004- - null?
n in (1, 3)                | n: 1+ 3+ else- null-
n not in (1, 3)            | n: 1- 3- else+ null+
n in (1, 1)                | n: 1+ else- null-
n in (null, 1)             | n: 1+ else- null+
n in (1, null)             | n: 1+ else- null+
n in (null, < 1)           | n: + 1- - null+
n in (< 1, null)           | n in (< 1, null): true+ false- else? null?
n in (< 1, > 5)            | n: + 1- - 5- + null?
n in (=1, !=2)             | n: 1+ 2- else+ null+
n in (!=2)                 | n: 2- else+ null+
n in (not(1), 3)           | n: 3+ 1- else+ null+
n in ([1..2], [4..5])      | n: - 1+ + 2+ - 4+ + 5+ - null?
n in (m, 1)                | n in (m, 1): true+ false- else? null?
n > 1 and n < 5            | n: - 1- + 5- - null?
n > 1 or n < 0             | n: + 0- - 1- + null?
n > 1 and m < 5            | n: - 1- + null? & m: + 5- - null?
n > 1 or m < 0             | n: - 1- + null? or m: + 0- - null?
not(n > 1 or m < 0)        | n: + 1+ - null? & m: - 0+ + null?
not(n > 1 and m < 0)       | n: + 1+ - null? or m: - 0+ + null?
not(n = 1 and n != 3)      | n: 1- 3+ else+ null+
n < 1 or n = null          | n: + 1- - null+
n = 1 or n < 5             | n: + 1+ + 5- - null?
n = 1 or n = m             | n: 1+ else- null- or n = m: true+ false- else? null?
n < m                      | n < m: true+ false- else? null?
n = n                      | n = n: true+ false- else? null?
1 = 1                      | 1 = 1: true+ false- else? null?
n > 1 and n < 5 and t = "a" | n: - 1- + null? & n: + 5- - null? & t: "a"+ else- null-
n < "b" and n > 1          | n: + "b"- - null? & n: - 1- + null?
n < 1 and 5 < m            | n: + 1- - null? & m: - 5- + null?
n = 1 and m = 1            | n: 1+ else- null- & m: 1+ else- null-
n in ("a", 1)              | n: "a"+ 1+ else? null-
t < "b"                    | t: + "b"- - null?
t < ""                     | t: ? ""- - null?
t in ("a".."b")            | t: - "a"- + "b"- - null?
t in named                 | t: "a"+ "c"+ else- null-
t not in named             | t: "a"- "c"- else+ null+
not(t in named)            | t: "a"- "c"- else+ null+
t in short                 | t: "x"+ else- null-
t in mixed                 | t: "a"+ 1+ else- null-
t in (named, "z")          | t in (named, "z"): true+ false- else? null?
t in named and t != "a"    | t: "a"- "c"+ else- null-
t in named or t = "b"      | t: "a"+ "c"+ "b"+ else- null-
t in named and n = 1       | t: "a"+ "c"+ else- null- & n: 1+ else- null-
b                          | b: true+ false- else? null?
not(b)                     | b: true- false+ else? null?
b = true                   | b: true+ false- else? null-
b = false                  | b: true- false+ else? null-
b != true                  | b: true- false+ else? null+
true = b                   | b: true+ false- else? null-
b = true or b = false      | b: true+ false+ else? null-
b in (false)               | b: false+ else- null-
true                       | always
false                      | never
not(false)                 | always
not(true)                  | never
n > 1 or true              | n: - 1- + null? or always
n > 1 and false            | never
(n > m) = true             | n > m: true+ false- else- null-
(n > m) != true            | n > m: true- false+ else? null+
(n > 1) = true             | n: - 1- + null-
(true) = true              | always
not((n > 1) = true)        | n: + 1+ - null+
((n > 1) = true) = true    | n: - 1- + null-
not(((n > 1) = true) = true) | n: + 1+ - null+
not((not((n > 1) = true)) = true) | n: - 1- + null-
(not(n > 1)) = true        | n: + 1+ - null-
not((not(n > 1)) = true)   | n: - 1- + null+
(n > 1 and m > 1) = true   | n: - 1- + null- & m: - 1- + null-
(n > 1 or m > 1) = true    | n: - 1- + null- or m: - 1- + null-
(not(n > 1 or m > 1)) = true | n: + 1+ - null- & m: + 1+ - null-
not((n > 1 and m > 1) = true) | n: + 1+ - null+ or m: + 1+ - null+
(n > 1 and n < 5) = true   | n: - 1- + 5- - null-
(n > 1 and true) = true    | n: - 1- + null-
(n > 1 or false) = true    | n: - 1- + null-
(n > 1 and not(true)) = true | never
n >= 1e300                 | n: - 1e300+ + null?
n <= 1e300                 | n: + 1e300+ - null?
n > 1e300 and n < 2e300    | n: - 1e300- + 2e300- - null?
d < @"2026-01-01"          | d: + 2026-01-01- - null?
d > @"9999-12-31"          | d: - 9999-12-31- ? null?
d < @"0001-01-01"          | d: ? 0001-01-01- - null?
d = @"9999-12-31"          | d: 9999-12-31+ else- null-
d = @"9999-12-31" or d = @"9999-12-30" | d: 9999-12-31+ 9999-12-30+ else- null-
d in (@"2026-01-01"..@"2026-01-02") | d: - 2026-01-01- ? 2026-01-02- - null?
d in (@"2026-01-01"..@"2026-01-03") | d: - 2026-01-01- + 2026-01-03- - null?
w >= @"2026-01-01T10:00:00+01:00" | w: - 2026-01-01T10:00:00+01:00+ + null?
w = @"2026-01-01T10:00:00+01:00" or w = @"2026-01-01T09:00:00Z" | w: 2026-01-01T09:00:00Z+ else- null-
w != @"2026-01-01T10:00:00" | w: 2026-01-01T10:00:00- else+ null+
w < @"2026-01-01T10:00:00" | w: + 2026-01-01T10:00:00- - null?
u > 3 months               | u: - P3M- + null?
u in (3 months..4 months)  | u: - P3M- ? P4M- - null?
u in (3 months..5 months)  | u: - P3M- + P5M- - null?
h > 5 days                 | h: - P5D- + null?
h in (5 days..6 days)      | h: - P5D- + P6D- - null?
h in (@"PT1S"..@"PT1.000001S") | h: - PT1S- ? PT1.000001S- - null?
h in (@"PT1S"..@"PT1.000002S") | h: - PT1S- + PT1.000002S- - null?
c >= @"10:00:00"           | c: - 10:00:00+ + null?
c in (@"10:00:00"..@"10:00:00.000001") | c: - 10:00:00- ? 10:00:00.000001- - null?
c in (@"10:00:00"..@"10:00:00.000002") | c: - 10:00:00- + 10:00:00.000002- - null?
w in (@"2026-01-01T10:00:00Z"..@"2026-01-01T10:00:00.000001Z") | w: - 2026-01-01T10:00:00Z- ? 2026-01-01T10:00:00.000001Z- - null?
w in (@"2026-01-01T10:00:00Z"..@"2026-01-01T10:00:00.000002Z") | w: - 2026-01-01T10:00:00Z- + 2026-01-01T10:00:00.000002Z- - null?
xs = [1]                   | xs = [1]: true+ false- else? null?
some x in xs satisfies x = 1 | some x in xs satisfies x = 1: true+ false- else? null?
"""
ROWS = [tuple(part.strip() for part in line.split("|")) for line in STATED.strip().splitlines()]


def tree_of(text: str) -> Any:
    tree, problems = parse(text)
    assert tree is not None, problems
    return tree


def expr(text: str) -> Expr:
    return Expr(tree_of(text), Text(text, Inline()))


def constant(value: Any) -> str:
    return f"{value:g}".replace("+", "") if isinstance(value, float) and abs(value) > 1e20 else v.literal(value)


def written(test: Test) -> str:
    at = [f"{constant(point)}{SIGNS[truth]}" for point, truth in zip(test.points, test.at_points, strict=True)]
    if test.gaps:
        between = [SIGNS[truth] for truth in test.gaps]
        at = [x for pair in zip(between, at, strict=False) for x in pair] + between[-1:]
    else:
        at.append(f"else{SIGNS[test.other]}")
    return f"{show(test.subject)}: {' '.join(at)} null{SIGNS[test.null]}"


@pytest.mark.parametrize(("text", "expected"), ROWS)
def test_a_condition_is_taken_apart_as_stated(text: str, expected: str) -> None:
    found = alternatives(tree_of(text), LISTS)
    assert " or ".join(" & ".join(map(written, tests)) or "always" for tests in found) == expected.replace("never", "")


MOMENT = datetime.fromisoformat("2026-01-01T10:00:00+01:00")
VALUES: dict[str, list[Any]] = {
    "n": [None, -1, -0.5, 0, 0.5, 1, 1.0000000000000002, 2, 3, 4, 4.5, 5, 6, 1e300, 1.5e300, 2e300, 3e300, "a", "b", True, date(2026, 1, 1)],
    "m": [None, 0, 1, 5, "x"],
    "t": [None, "", "a", "a0", "b", "c", "x", "z", 1, False],
    "b": [None, True, False, 1, "x"],
    "d": [None, date(1, 1, 1), date(2025, 12, 31), date(2026, 1, 1), date(2026, 1, 2), date(2026, 1, 3), date(9999, 12, 31), MOMENT, "x"],
    "w": [None, MOMENT, datetime.fromisoformat("2026-01-01T09:00:00+00:00"), MOMENT - timedelta(microseconds=1), datetime(2026, 1, 1, 10), date(2026, 1, 1)],
    "u": [None, v.Months(2), v.Months(3), v.Months(4), v.Months(5), timedelta(days=90), 3],
    "h": [None, timedelta(seconds=1), timedelta(seconds=1, microseconds=1), timedelta(days=5), timedelta(days=5.5), timedelta(days=6), v.Months(1)],
    "c": [None, time(9, 59, 59), time(10), time(23), "10"],
    "xs": [None, [], [1], [2]],
}  # fmt: skip


def truth_of(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def scopes(text: str) -> Any:
    """Every combination of values of the names that a condition uses."""
    used = [name for name in VALUES if name in text.replace("satisfies", "").replace('"', " ").replace("(", " ").replace(")", " ").split()]
    for values in itertools.product(*(VALUES[name] for name in used)):
        yield {**LISTS, CLOCK: Clock.at("2026-01-01"), **dict.fromkeys(VALUES), **dict(zip(used, values, strict=True))}


@pytest.mark.parametrize("text", [row[0] for row in ROWS])
def test_a_condition_in_the_index_is_what_brute_force_says(text: str) -> None:
    index, code = PartitionIndex([(expr(text),)], LISTS), compile_expression(tree_of(text))
    for scope in scopes(text):
        truth = truth_of(code(scope))
        for hits in (index.all(scope), index.first(scope)):
            assert (hits.true, hits.unknown) == ((0,) if truth is True else (), (0,) if truth is None else ()), (scope, truth)


@pytest.mark.parametrize("name", ["n", "t", "b", "d", "w", "u", "h", "c"])
def test_all_conditions_on_one_subject_in_one_index_are_what_brute_force_says(name: str) -> None:
    """Constants of one kind, sorted and not, and of several kinds; each condition alone and with the one after it."""
    texts = [text for text, expected in ROWS if expected.startswith(f"{name}: ") and " & " not in expected and " or " not in expected]
    for number in (False, True):  # with constants of one kind alone, and with all
        chosen = [x for x in texts if not number or ('"' not in x) is (name in "nuhb")]
        rules = [*((x,) for x in chosen), *itertools.pairwise(chosen)]
        index = PartitionIndex([tuple(map(expr, rule)) for rule in rules], LISTS)
        codes = [[compile_expression(tree_of(x)) for x in rule] for rule in rules]
        for value in VALUES[name]:
            scope = {**LISTS, CLOCK: Clock.at("2026-01-01"), **dict.fromkeys(VALUES), name: value}
            truths = [v.both(truth_of(code[0](scope)), truth_of(code[-1](scope))) for code in codes]
            held, unknown = ([i for i, truth in enumerate(truths) if truth is wanted] for wanted in (True, None))
            hits, first = index.all(scope), index.first(scope)
            assert (list(hits.true), list(hits.unknown)) == (held, unknown), value
            assert (list(first.true), list(first.unknown)) == (held[:1], [i for i in unknown if not held or i < held[0]]), value


@pytest.mark.parametrize(("text", "count"), [(" or ".join(f"x{i}" for i in range(32)), 32), (" or ".join(f"x{i}" for i in range(33)), 1),
    (" and ".join(f"(x{i} or y{i})" for i in range(5)), 32), (" and ".join(f"(x{i} or y{i})" for i in range(6)), 1),
    ("(" + " or ".join(f"x{i}" for i in range(33)) + ") and y", 1), ("y or (x and " + "(" + " or ".join(f"x{i}" for i in range(33)) + "))", 1)])  # fmt: skip
def test_a_condition_with_more_than_32_alternatives_is_one_test(text: str, count: int) -> None:
    assert len(alternatives(tree_of(text), {})) == count


@pytest.mark.parametrize(("text", "expected"), [
    ("(n = 1 or m = 1) and (n = 1 or t = 'a')", ["n", "m t"]),
    ("(x and y or x) and z", ["x z"]),
    ("(n = 1 or m = 1) and (n != 1 or m = 1)", ["n n", "m"]),
    ("(x or y) and (x or z) and (x or u)", ["x", "y z u"]),
    ("(x or not(x)) and (y or not(x))", ["x y", "x"])])  # fmt: skip
def test_alternatives_that_ask_for_more_than_another_are_left_out_where_many_are_allowed(text: str, expected: list[str]) -> None:
    found = alternatives(tree_of(text.replace("'", '"')), {}, 1000)
    assert [" ".join(show(test.subject) for test in tests) for tests in found] == expected


def test_as_many_alternatives_as_are_allowed() -> None:
    tree = tree_of(" and ".join(f"(x{i} or y{i})" for i in range(6)))
    assert [len(alternatives(tree, {}, most)) for most in (63, 64, 65)] == [1, 64, 64]
    assert len(alternatives(tree_of(" and ".join(["(x or y)"] * 20)), {}, 40)) == 2  # what is left out counts nowhere
    five = [f"(x{i} or y{i})" for i in range(5)]
    assert len(alternatives(tree_of(" and ".join([*five, five[0]])), {}, 40)) == 32


@pytest.mark.parametrize(("conditions", "expected", "plain"), [
    (["n > 1", "n < 5"], "n: - 1- + 5- - null?", False),
    (["n > 1", "m < 5"], "n: - 1- + null? & m: + 5- - null?", True),
    (["n > 1 and m < 5"], "n: - 1- + null? & m: + 5- - null?", True),
    (["n > 1 or m < 5"], "n: - 1- + null? or m: + 5- - null?", False),
    (["n > 1 or m < 5", "n < 3"], "n: - 1- + 3- - null? or m: + 5- - null? & n: + 3- - null?", False),
    (["n = 1", "n != 1"], "n: 1- else- null-", False),
    (["n = 1", "n > 0"], "n: - 0- - 1+ - null-", False),
    (["n = 1", 'n = "a"'], 'n: 1? "a"? else? null-', False),
    (["n > 1", 'n > "a"'], "n: else? null?", False),
    ([], "always", True),
])  # fmt: skip
@pytest.mark.parametrize("shared", [False, True])
def test_conditions_of_a_rule_are_one_test_for_each_subject(conditions: list[str], expected: str, plain: bool, shared: bool) -> None:
    known: Any = {} if shared else None
    for _ in range(2):
        found, simple = as_tests(map(tree_of, conditions), {}, known=known)
        assert (" or ".join(" & ".join(map(written, tests.values())) or "always" for tests in found), simple) == (expected, plain)


def index_of(*rules: str, lists: dict[str, list[Any]] = LISTS) -> PartitionIndex:
    return PartitionIndex([(expr(rule),) for rule in rules], lists)


PLACED = [
    ("n > 1", "n in [5..1]", "n in (5..1)"),  # where a range the wrong way round is unknown everywhere
    ("n > 1", "n < 5", "n in [2..4]", "n = null"), ("n = 1", "n in (1, 3)", "n != 3", "n = null"), ("t = 'a'", "t in named", "t not in ('b')"),
    ("b", "not(b)", "b = true"), ("d < @'2026-01-02'", "d >= @'2026-01-01'"), ("d <= @'9999-12-31'", "d > @'9999-12-31'"), ("t < 'a'", "t >= ''"),
    ("n = null", "n != null"), ("w = @'2026-01-01T10:00:00+01:00'", "w != null"),
]  # fmt: skip


@pytest.mark.parametrize("texts", PLACED, ids=" | ".join)
def test_the_places_of_a_subject_are_all_there_are(texts: tuple[str, ...]) -> None:
    rules = [text.replace("'", '"') for text in texts]
    (subject,) = index_of(*rules).subjects
    places, name = subject.places(), show(subject.node)
    assert places is not None and places[0][0] is None
    codes = [compile_expression(tree_of(rule)) for rule in rules]

    def true_at(value: Any) -> int:
        return sum(1 << i for i, code in enumerate(codes) if code({**LISTS, CLOCK: Clock.at("2026-01-01"), name: value}) is True)

    constants = {repr(point) for _, test in subject.tests for point in test.points} | {"None"}
    for value, true, alone in places:
        if value is ELSE:
            assert true == true_at({"n": 7, "t": "other", "w": MOMENT + timedelta(1)}[name]) and not alone
        else:
            assert true == true_at(value), value
            assert alone is (repr(value) in constants), value
    known = {true for _, true, _ in places}
    assert all(true_at(value) in known for value in VALUES[name] if value is None or v.kind(value) == subject.kind)
    assert len(places) == len({repr(place[0]) for place in places})


def test_constants_of_several_kinds_have_no_places() -> None:
    (subject,) = PartitionIndex([(expr("n > 1"), expr('n > "a"'))], {}).subjects  # which no value satisfies
    assert subject.places() == [(None, 0, True), (ELSE, 0, False)]
    assert index_of("n = 1", 'n = "a"').subjects[0].places() is None


@pytest.mark.parametrize(("count", "places"), [(MOST_POINTS, MOST_POINTS + 2), (MOST_POINTS + 1, 5)])
def test_very_many_constants_share_a_place_where_the_same_rules_name_them(count: int, places: int) -> None:
    keys = [f"k{i}" for i in range(count)]
    subject = index_of("t in all", 't = "k1"', 't in ("k1", "k2", "k3")', lists={"all": keys}).subjects[0]
    found = subject.places()
    assert found is not None and len(found) == places
    by_value = {value: (true, alone) for value, true, alone in found}
    assert (by_value[None], by_value["k0"], by_value["k1"], by_value["k2"], by_value[ELSE]) == (
        (0, True),
        (1, True),
        (7, True),
        (5, True),
        (0, False),
    )
    groups = subject.groups()
    assert groups is None or (groups["k0"], groups["k1"], groups["k2"], groups["k3"], groups["k4"]) == (0, 1, 2, 2, 0)


def test_groups_of_constants_with_an_order_are_not_asked_for() -> None:
    assert index_of("n in all", "n > 5", lists={"all": list(range(MOST_POINTS + 1))}).subjects[0].groups() is None


def test_what_is_cheap_is_asked_first() -> None:
    assert [cost_of(tree_of(text)) for text in ("n", "a.n", "a.b.n")] == [1, 2, 3]
    call = tree_of("lower_case(t)")
    assert cost_of(call) == 1 + BY_NAME[call.function].cost and cost_of(tree_of("today + n")) == 1
    for dear in ("some x in xs satisfies x = 1", "for x in xs return x", "xs[item = 1]"):
        assert cost_of(tree_of(dear)) > 200, dear
    index = PartitionIndex([(expr("some x in xs satisfies x = 1"), expr("lower_case(t) = 1"), expr("n = 1"))], {})
    assert [show(subject.node) for subject in index.subjects] == ["n", "lower_case(t)", "some x in xs satisfies x = 1"]


class Asked(dict[str, Any]):
    """A scope that counts how often somebody asks for the rows `xs`."""

    times = 0

    def __getitem__(self, name: str) -> Any:
        self.times += name == "xs"
        return super().__getitem__(name)

    def get(self, name: str, otherwise: Any = None) -> Any:
        self.times += name == "xs"
        return super().get(name, otherwise)


WALK = "(some x in xs satisfies x = {})"


@pytest.mark.parametrize(("rules", "t", "n", "walks"), [
    (['t = "a"', WALK.format(1)], "a", 0, 0),  # the first rule holds: nobody asks for the second
    ([WALK.format(1), 't = "a"'], "a", 0, 1),
    (['t = "a"', f"n = 1 and {WALK.format(1)}"], "b", 2, 0),  # the second cannot hold
    (['t = "a"', f"n = 1 and {WALK.format(1)}"], "b", 1, 1),
    (['t = "a" and n = 1', WALK.format(1)], "a", 2, 1),
    (['t = "a" and n = 1', WALK.format(1)], "a", 1, 0),
    ([f'{WALK.format(1)} and t = "a"', 't = "b"', WALK.format(2)], "b", 1, 0),
    ([f"{WALK.format(1)} and n = 1", f"{WALK.format(2)} and n = 2", 't = "a"'], "a", 3, 0),
    ([f"{WALK.format(1)} and n = 1", f"{WALK.format(2)} and n = 2", 't = "a"'], "a", 2, 1),
])  # fmt: skip
def test_no_more_is_asked_than_decides(rules: list[str], t: str, n: int, walks: int) -> None:
    index = index_of(*rules)
    scope = Asked({CLOCK: Clock.at("2026-01-01"), "t": t, "n": n, "xs": [2]})
    index.first(scope)
    assert scope.times == walks


def test_a_rule_that_cannot_hold_is_not_asked_for_where_all_are() -> None:
    scope = Asked({CLOCK: Clock.at("2026-01-01"), "n": 2, "xs": [2]})
    assert index_of("n > 1", f"n = 1 and {WALK.format(1)}").all(scope).true == (0,)
    assert scope.times == 0


@pytest.mark.parametrize(("count", "times"), [(MOST_ALONE, 2 * MOST_ALONE), (MOST_ALONE + 1, 2)])
def test_fields_that_more_than_16_conditions_ask_for_are_computed_once(count: int, times: int) -> None:
    """Two fields, in conditions of all kinds; and a rule more, so that conditions are asked one by one."""
    index = index_of(*(f"{i} + xs.n > xs.m * 2" if i % 2 else f"not(xs.n - {i} >= xs.m)" for i in range(count)), "p > q")
    scope = Asked({CLOCK: Clock.at("2026-01-01"), "xs": {"n": 1, "m": 2}, "p": 1, "q": 2})
    index.all(scope)
    assert scope.times == times


@pytest.mark.parametrize("count", [MOST_ALONE, MOST_ALONE + 1, 40])
def test_conditions_that_one_rule_alone_has_are_asked_one_by_one_from_17_on(count: int) -> None:
    """Fields that many of them ask for are named once; the same text means something else inside a filter or a loop."""
    odd = [
        "some r in rs satisfies r.n > r.m",
        "count(rs[r.n > 1]) > r.n",
        "count(for r in rs return r.n) = r.n - 1",
        "r.n > r.q.n",
        "r.n > r.m + 50 and r.n < r.q.n",
    ]
    rules = [*(f"r.n > r.m + {i}" for i in range(count - len(odd) - 1)), *odd, "t in named"]
    index = index_of(*rules)
    scope: dict[str, Any] = {**LISTS, CLOCK: Clock.at("2026-01-01")}
    assert (index.first_bits({**scope, "r": {"n": 1, "m": 1, "q": {"n": 0}}, "rs": [], "t": "a"}) is None) is (count == MOST_ALONE)
    codes = [compile_expression(tree_of(rule)) for rule in rules]
    for n, m, q, t, rs in itertools.product(
        (None, 0, 1, 3, 9), (None, 0, 2), (None, 2), ("a", "b"), ([], [{"n": 2, "m": 1}], [{"n": 0, "m": 5}])
    ):
        at = {**scope, "r": {"n": n, "m": m, "q": {"n": q}}, "rs": rs, "t": t}
        truths = [truth_of(code(at)) for code in codes]
        held, unknown = (tuple(i for i, truth in enumerate(truths) if truth is wanted) for wanted in (True, None))
        before = tuple(i for i in unknown if not held or i < held[0])
        assert (index.all(at).true, index.all(at).unknown) == (held, unknown), at
        assert (index.first(at).true, index.first(at).unknown) == (held[:1], before), at
        found = index.first_bits(at)
        assert found is None or (index.rules_of(found[0]), index.rules_of(found[1])) == (list(held[:1]), list(before)), at


def test_rules_with_alternatives_are_named_once() -> None:
    index = index_of("n > 1 or m > 1", "n > 2 or m > 2", "n = m or n = 7")
    hits = index.all({CLOCK: Clock.at("2026-01-01"), "n": 7, "m": 7})
    assert (hits.true, hits.unknown) == ((0, 1, 2), ())
    hits = index.all({CLOCK: Clock.at("2026-01-01"), "n": None, "m": 2})
    assert (hits.true, hits.unknown) == ((0,), (1,))
    hits = index.first({CLOCK: Clock.at("2026-01-01"), "n": None, "m": 2})
    assert (hits.true, hits.unknown) == ((0,), ())
    hits = index.first({CLOCK: Clock.at("2026-01-01"), "n": None, "m": 0})
    assert (hits.true, hits.unknown) == ((), (0, 1))


def test_a_condition_that_two_rules_have_is_asked_for_both_also_where_many_have_one_alone() -> None:
    index = index_of(*(f"n > m + {i}" for i in range(1, MOST_ALONE + 2)), "n = m and m > 5", "n = m", "m > 0")
    for n, m, held in [(6, 6, (17, 18, 19)), (5, 5, (18, 19)), (0, 0, (18,)), (0, 2, (19,)), (3, 1, (0, 19))]:
        at = {CLOCK: Clock.at("2026-01-01"), "n": n, "m": m}
        assert (index.all(at).true, index.first(at).true) == (held, held[:1]), (n, m)


@pytest.mark.parametrize(
    ("n", "m", "first", "before"),
    [(None, 1, (2,), (0, 1)), (None, 0, (3,), (0, 1)), (None, None, (), (0, 1, 2, 3)), (2, 1, (0,), ()), (0, 1, (2,), ()), (0, -1, (), ())],
)
def test_the_first_that_holds_and_those_before_it_that_are_unknown(n: Any, m: Any, first: tuple[int, ...], before: tuple[int, ...]) -> None:
    hits = index_of("n > 1", "n > 2", "m > 0", "m >= 0", "m > 0 and n > 5").first({CLOCK: Clock.at("2026-01-01"), "n": n, "m": m})
    assert (hits.true, tuple(i for i in hits.unknown if i < 4)) == (first, before)


@pytest.mark.parametrize(
    ("text", "alternatives", "whole"),
    [
        ("n > 1 and m > 1", 1, True),
        ("n > 1", 1, True),
        ("n > 1 and n < 5", 1, False),
        ("n > 1 or m > 1", 2, False),
        ("true", 1, False),
        ("n > 1 and false", 0, False),
    ],
)
def test_whether_a_conjunction_is_one_subject_for_each_condition(text: str, alternatives: int, whole: bool) -> None:
    for tests, one in (as_tests([tree_of(text)], {}), as_tests([tree_of(text)], {}, known={})):
        assert (len(tests), one) == (alternatives, whole)
    assert as_tests([], {}) == as_tests([], {}, known={}) == ([{}], True)


def test_what_values_are_found_by() -> None:
    """Python has `True` and `1` for one key, and two date-times of one moment for two."""
    assert [key_of(x) for x in (None, 1, "1")] == [None, 1, "1"] and len({key_of(x) for x in (True, 1, False, 0)}) == 4
    moments = [datetime.fromisoformat(x) for x in ("2026-01-01T12:00+00:00", "2026-01-01T13:00+01:00", "2026-01-01T13:00+00:00")]
    assert len({key_of(x) for x in moments}) == 2


@pytest.mark.parametrize(
    ("cuts", "between"),
    [
        ((1, 3), True),
        ((0, 1e-9), True),
        (("a", "b"), True),
        (("a", "a\0"), False),
        ((date(2026, 1, 1), date(2026, 1, 3)), True),
        ((date(2026, 1, 1), date(2026, 1, 2)), False),
        ((datetime(2026, 1, 1), datetime(2026, 1, 1, 1)), True),
        ((timedelta(0), timedelta(microseconds=1)), False),
        ((timedelta(0), timedelta(hours=1)), True),
        ((v.Months(1), v.Months(3)), True),
        ((v.Months(1), v.Months(2)), False),
    ],
)
def test_places_below_between_and_above_constants(cuts: tuple[Any, ...], between: bool) -> None:
    below, middle, above = places_of(cuts)
    assert v.less(below, cuts[0]) and v.less(cuts[1], above) and (middle is not None) is between
    assert middle is None or (v.less(cuts[0], middle) and v.less(middle, cuts[1]))
    assert places_of(("", "a"))[0] is None, "no text comes before the empty one"


def test_a_name_inside_a_loop_is_another_also_where_fields_are_computed_once() -> None:
    odd = ["some r in rs satisfies r.n > r.m", "count(rs[r.n > 1]) > r.n", "count(for r in rs return r.n) = r.n - 1"]
    index = index_of(*(f"r.n > r.m + {i}" for i in range(1, MOST_ALONE + 2)), *odd)
    for n, m, rs, held in [
        (2, 2, [{"n": 5, "m": 1}], (17, 19)),
        (0, 5, [], ()),
        (1, 5, [], (19,)),
        (4, 2, [{"n": 1, "m": 2}], (0,)),
        (0, 5, [{"n": 1, "m": 2}], ()),
    ]:
        at = {CLOCK: Clock.at("2026-01-01"), "r": {"n": n, "m": m}, "rs": rs}
        assert index.all(at).true == held, (n, m, rs)

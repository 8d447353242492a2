"""The partition index against brute force: the same rules, each condition evaluated alone."""

from __future__ import annotations

import itertools
import random
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roe.analysis.space import Space, spaces
from roe.evaluator.choose import HIT_POLICIES, Chooser
from roe.grammar import syntax as s
from roe.grammar.clock import Clock
from roe.grammar.closures import compile_expression
from roe.grammar.parser import parse
from roe.grammar.scopes import CLOCK
from roe.plan.index import PartitionIndex, as_tests
from roe.plan.operators import Choose, Expr, Rule
from roe.source import Inline, Text

LISTS: dict[str, list[Any]] = {"named": ["a", "c"]}
numbers = st.sampled_from(["0", "1", "2.5", "10", "-3"])
strings = st.sampled_from(['"a"', '"b"', '"c"', '""'])
days = st.sampled_from(['@"2026-01-01"', '@"2026-01-02"', '@"2026-03-01"'])
order = st.sampled_from(["=", "!=", "<", "<=", ">", ">="])
equality = st.sampled_from(["=", "!="])


@st.composite
def atoms(draw: Any) -> str:
    kind = draw(st.integers(0, 9))
    if kind == 0:
        return f"n {draw(order)} {draw(numbers)}"
    if kind == 1:
        return f"t {draw(order)} {draw(strings)}"
    if kind == 2:
        return f"t in ({draw(strings)}, {draw(strings)})"
    if kind == 3:
        low, high = sorted((float(draw(numbers)), float(draw(numbers))))
        return f"n in {draw(st.sampled_from('[('))}{low:g}..{high:g}{draw(st.sampled_from('])'))}"
    if kind == 4:
        return f"d {draw(order)} {draw(days)}"
    if kind == 5:
        return str(draw(st.sampled_from(["t in named", "t not in named", "b", "b = true", "n = null", "t != null", "true", "false"])))
    if kind == 6:
        return f"n {draw(order)} m"
    if kind == 7:
        return f"n between {draw(numbers)} and {draw(numbers)}"
    if kind == 8:
        return f"t in (not({draw(strings)}), {draw(strings)})"
    return f"{draw(numbers)} {draw(equality)} n"


conditions = st.recursive(
    atoms(),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda p: f"({p[0]} and {p[1]})"),
        st.tuples(inner, inner).map(lambda p: f"({p[0]} or {p[1]})"),
        inner.map(lambda c: f"not({c})"),
    ),
    max_leaves=6,
)
records = st.fixed_dictionaries(
    {
        "n": st.sampled_from([None, 0, 1, 1.5, 2.5, 3, 10, 11, -3, -4, "a", True]),
        "m": st.sampled_from([None, 1, 3]),
        "t": st.sampled_from([None, "", "a", "aa", "b", "c", "d", 1]),
        "d": st.sampled_from([None, date(2025, 12, 31), date(2026, 1, 1), date(2026, 1, 2), date(2026, 2, 1), date(2027, 1, 1)]),
        "b": st.sampled_from([None, True, False, "x", 1]),
    }
)


def expr(text: str) -> Expr:
    tree, problems = parse(text)
    assert tree is not None, problems
    return Expr(tree, Text(text, Inline()))


@given(st.lists(st.lists(conditions, max_size=3), min_size=1, max_size=8), st.lists(records, min_size=1, max_size=8))
def test_index_equals_brute_force(rules: list[list[str]], rows: list[dict[str, Any]]) -> None:
    exprs = [tuple(map(expr, rule)) for rule in rules]
    index = PartitionIndex(exprs, LISTS)
    codes = [[compile_expression(e.tree) for e in rule] for rule in exprs]
    for row in rows:
        scope = {**LISTS, CLOCK: Clock.at("2026-01-01"), **row}
        results = [_and([code(scope) for code in rule]) for rule in codes]
        true = tuple(i for i, r in enumerate(results) if r is True)
        unknown = tuple(i for i, r in enumerate(results) if r is None)
        found = index.all(scope)
        assert (found.true, found.unknown) == (true, unknown), (rules, row)
        first = index.first(scope)
        assert first.true == true[:1]
        assert first.unknown == tuple(i for i in unknown if not true or i < true[0]), (rules, row)


def _and(values: list[Any]) -> bool | None:
    if any(x is False for x in values):
        return False
    return True if all(x is True for x in values) else None


@pytest.mark.parametrize("seed", range(30))
def test_conditions_that_no_other_rule_has_equal_brute_force(seed: int) -> None:
    """More of them than make subjects worth their while, some with alternatives, beside conditions that rules share."""
    rng = random.Random(seed)
    alone = ["n > m + {k}", "not(n = m - {k})", '(n > m + {k} or t = "a")', "n * {k} >= m", 'contains(t, "{k}")', "(n < m or n > m * {k})"]
    shared = ['t = "a"', 't in ("a", "b")', "n > 2", "b", "d = null", "n = null", "not(b)"]
    count = rng.choice([12, 17, 30, 60])
    texts = [[rng.choice(alone).format(k=k) for _ in range(rng.choice([1, 1, 2]))] for k in range(count)]
    for rule in texts:
        rule += rng.sample(shared, rng.choice([0, 0, 1, 2]))
        rng.shuffle(rule)
    exprs = [tuple(map(expr, rule)) for rule in texts]
    index = PartitionIndex(exprs, LISTS)
    codes = [[compile_expression(e.tree) for e in rule] for rule in exprs]
    values: dict[str, list[Any]] = {
        "n": [None, 0, 3, 8, 25, "x"], "m": [None, 1, 3, -40], "t": [None, "a", "b", "7", 1], "b": [None, True, False, 1], "d": [None, date(2026, 1, 1)],
    }  # fmt: skip
    for _ in range(40):
        row = {name: rng.choice(some) for name, some in values.items()}
        scope = {**LISTS, CLOCK: Clock.at("2026-01-01"), **row}
        results = [_and([code(scope) for code in rule]) for rule in codes]
        true = tuple(i for i, r in enumerate(results) if r is True)
        unknown = tuple(i for i, r in enumerate(results) if r is None)
        before = tuple(i for i in unknown if not true or i < true[0])
        assert (index.all(scope).true, index.all(scope).unknown) == (true, unknown), (texts, row)
        assert (index.first(scope).true, index.first(scope).unknown) == (true[:1], before), (texts, row)
        bits_of = index.first_bits(scope)
        if bits_of is not None:
            held, doubtful = bits_of
            assert (tuple(index.rules_of(held)), tuple(r for r in index.rules_of(doubtful) if r not in true[:1])) == (true[:1], before)


@given(st.lists(st.tuples(conditions, st.integers(-3, 3)), min_size=1, max_size=6), records, st.sampled_from(sorted(HIT_POLICIES)))
def test_hit_policies(rules: list[tuple[str, int]], row: dict[str, Any], hit: str) -> None:
    made = tuple(Rule(Text(str(i), Inline()), (expr(c),), value) for i, (c, value) in enumerate(rules))
    chooser = Chooser(Choose("x", "x", "x", hit, made, "default", ((3, 2, 1, 0, -1, -2, -3),)), LISTS)
    scope = {**LISTS, CLOCK: Clock.at("2026-01-01"), **row}
    held = [value for c, value in rules if compile_expression(expr(c).tree)(scope) is True]
    choice = chooser(scope)
    if not held:
        assert choice.value == "default"
        return
    expected: dict[str, Any] = {
        "first": held[0], "unique": held[0] if len(held) == 1 else None, "any": held[0] if len(set(held)) == 1 else None,
        "priority": max(held), "collect": held, "collect sum": sum(held), "collect min": min(held),
        "collect max": max(held), "collect count": len(held),
    }  # fmt: skip
    assert choice.value == expected[hit]
    assert choice.conflict == (expected[hit] is None)


def test_a_long_keyed_table_is_two_entries_a_key() -> None:
    rules = [(Expr(s.Compare("=", s.Name("z"), s.Literal(f"{i:05d}", f'"{i:05d}"')), Text("", Inline())),) for i in range(20_000)]
    index = PartitionIndex(rules, {})
    assert len(index.subjects) == 1
    scope = {CLOCK: Clock.at("2026-01-01"), "z": "12345"}
    assert index.first(scope).true == (12345,)
    assert index.first({**scope, "z": "x"}).true == ()
    assert len(index.subjects[0]._cells) <= 2


typed_records = st.fixed_dictionaries(  # what a policy's declared types let in
    {
        "n": st.sampled_from([None, -4, -3, 0, 1, 2, 2.5, 3, 10, 11]),
        "m": st.sampled_from([None, 1, 3]),
        "t": st.sampled_from([None, "", "a", "aa", "b", "c", "d"]),
        "d": st.sampled_from([None, date(2025, 12, 31), date(2026, 1, 1), date(2026, 1, 2), date(2026, 2, 1), date(2027, 1, 1)]),
        "b": st.sampled_from([None, True, False]),
    }
)


def space_of(rules: list[list[str]], split: bool = False) -> list[Space]:
    """The space of rules, or the spaces that a long table is taken apart into."""
    rows = [(i, tests) for i, rule in enumerate(rules) for tests in as_tests([expr(c).tree for c in rule], LISTS)[0]]
    return list(spaces(rows)) if split else [Space(rows)]


@given(st.lists(st.lists(conditions, max_size=2), min_size=2, max_size=6), st.lists(typed_records, min_size=20, max_size=40))
def test_what_a_space_says_holds_for_every_record(rules: list[list[str]], rows: list[dict[str, Any]]) -> None:
    """A rule that never fires does not fire, and pairs that do not overlap never hold together: on all kinds of conditions."""
    (space,) = space_of(rules)
    index = PartitionIndex((tuple(map(expr, rule)) for rule in rules), LISTS)
    never = {rule for rule in range(len(rules)) if space.firing(rule) is None}
    pairs = {(a, b) for a, b, _ in space.overlaps()}
    for row in rows:
        held = index.all({**LISTS, CLOCK: Clock.at("2026-01-01"), **row}).true
        assert not held or min(held) not in never, (rules, row)
        assert all((b, a) in pairs for a in held for b in held if a < b), (rules, row)


PARTS = ['t = "a"', 't in ("a", "b")', 't != "a"', "t = null", "n > 5", "n >= 5", "n in [1..9]", "n = 7", "n < 1", "true"]
EVERY = [
    {CLOCK: Clock.at("2026-01-01"), "$item": {"t": t, "n": n}, "t": t, "n": n}
    for t, n in itertools.product([None, "a", "b", "c"], [None, -1, 0, 1, 3, 5, 6, 7, 8, 9, 10])
]


@pytest.mark.parametrize("split", [False, True])
def test_spaces_say_what_brute_force_says(split: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """On lists over two small fields, enumerated whole; with the table taken apart at a key, and as it is."""
    from roe.analysis import space as module

    if split:
        monkeypatch.setattr(module, "SPLIT_FROM", 1)
    rng = random.Random(5)
    seen = {"never": 0, "overlap": 0, "gap": 0, "parts": 0}
    for _ in range(300):
        keyed = [[f't = "{rng.choice("abc")}"', *rng.sample(PARTS[4:], rng.randint(0, 1))] for _ in range(4)]
        rules = keyed if split else [rng.sample(PARTS, rng.randint(1, 2)) for _ in range(5)]
        found = space_of(rules, split)
        index = PartitionIndex((tuple(map(expr, rule)) for rule in rules), {})
        held = [set(index.all(scope).true) for scope in EVERY]
        n = range(len(rules))
        never = {r for r in n if all(s.firing(r) is None for s in found)}
        assert never == {r for r in n if not any(h and min(h) == r for h in held)}, rules
        pairs = {(a, b) for s in found for a, b, _ in s.overlaps()}
        assert pairs == {(j, i) for j in n for i in range(j) if any({i, j} <= h for h in held)}, rules
        gap = any(s.clear(s.whole, s.everything) is not None for s in found if all(s.whole))
        assert gap == any(not h for h in held), rules
        seen = {
            "never": seen["never"] + len(never),
            "overlap": seen["overlap"] + len(pairs),
            "gap": seen["gap"] + gap,
            "parts": seen["parts"] + len(found),
        }
    assert min(seen.values()) > 100 and (seen["parts"] > 600) == split, seen


@pytest.mark.parametrize(
    "text",
    [
        "not(a and b)", "not(a or b)", "not(not(a and b))", "not(a = true and b)", "a != true", "(a = true) != true", "not(a != true)", "not(not(a) or b)",
        'c in (short, "z")', 'not(c in (short, "z"))', 'c not in ("z", "y")', "not(a and not(b or a))",
        "(a and b) = true", "(a or b) = true", "not((a and b) = true)", "not((a or b) = true)", "(not(a) and b) = true", "not((a or not(b)) = true)",
    ],
)  # fmt: skip
def test_a_condition_under_not_is_in_the_index_what_it_says(text: str) -> None:
    tree, _ = parse(text)
    assert tree is not None
    lists = {"short": ["x", "y"]}
    index, code = PartitionIndex([(Expr(tree, Text(text, Inline("test"))),)], lists), compile_expression(tree)
    for a, b, c in itertools.product((None, True, False), (None, True, False), (None, "x", "z", "q")):
        scope = {"a": a, "b": b, "c": c, **lists}
        hits, truth = index.all(scope), code(scope)
        assert (hits.true == (0,)) is (truth is True), scope
        assert (hits.unknown == (0,)) is (truth is None), scope

"""Expressions: tables of values, and properties that hold for every expression."""

from __future__ import annotations

import csv
import itertools
import json
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import roe
from helpers import ROOT
from roe.api import DecisionTable
from roe.diagnostics import PolicyError
from roe.grammar import parser
from roe.grammar import syntax as s
from roe.grammar import values as v
from roe.grammar.clock import Clock
from roe.grammar.closures import compile_expression
from roe.grammar.functions import ALIASES, BY_NAME
from roe.grammar.parser import MAX_DEPTH, parse
from roe.grammar.printer import show
from roe.grammar.scopes import CLOCK
from roe.source import Scalar, Text

TABLE = [row for path in sorted((ROOT / "tests" / "expr").glob("*.csv")) for row in csv.DictReader(path.open(encoding="utf-8"))]


@pytest.mark.parametrize("row", TABLE, ids=lambda r: r["expression"][:40])
def test_values(row: dict[str, str]) -> None:
    got = roe.evaluate(row["expression"], json.loads(row["variables"] or "{}"), as_of="2026-02-01")
    want = roe.evaluate(row["value"])
    assert v.equal(got, want) is True, got


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_the_example_of_every_function(name: str) -> None:
    row = BY_NAME[name]
    got = roe.evaluate(row.example, as_of="2026-02-01")
    assert v.literal(got) == row.value or v.equal(got, roe.evaluate(row.value)) is True, got


def test_spaced_names_are_those_of_the_grammar() -> None:
    grammar = (ROOT / "src/roe/grammar/feel.lark").read_text("utf-8")
    line = next(x for x in grammar.splitlines() if x.startswith("FUNCTION"))
    spaced = {a for a in ALIASES if " " in a}
    assert all(f"{a}|" in line for a in spaced), sorted(a for a in spaced if f"{a}|" not in line)


def test_stored_tables_are_fresh_and_strict() -> None:
    from roe.grammar.tables import build

    stored = json.loads((ROOT / "src/roe/grammar/tables.json").read_text("utf-8"))
    fresh = json.loads(build(strict=True))
    assert stored["grammar"] == fresh["grammar"], "run: python -m roe.grammar.tables"
    assert len(stored["data"]["parser"]["parser"]["states"]) == len(fresh["data"]["parser"]["parser"]["states"])


def test_country_codes_are_those_of_iso_and_kosovo_s() -> None:
    import pycountry

    from roe.grammar.functions.sales import ISO_3166

    assert {c.alpha_2 for c in pycountry.countries} | {"XK"} == ISO_3166


# --- every tree -----------------------------------------------------------------------------------------------------

names = st.sampled_from(["a", "b", "account", "date", "time", "day", "xs"])
literals = st.one_of(
    st.integers(0, 10**6),
    st.floats(0, 1e9, allow_nan=False).map(lambda f: v.number(abs(f))),
    st.text(max_size=6),
    st.booleans(),
    st.none(),
    st.dates(),
    st.datetimes(timezones=st.sampled_from([None, UTC, timezone(timedelta(hours=-5))])),
    st.times(),
    st.integers(-400, 400).map(v.Months),
    st.timedeltas(timedelta(-9999), timedelta(9999)),
    st.integers(0, 99).map(v.WorkingDays),
).map(lambda x: s.Literal(x, ""))


def _flat(kind: Any, items: list[Any]) -> Any:
    out = [i for item in items for i in (item.items if isinstance(item, kind) else (item,))]
    return kind(tuple(out))


def _compound(inner: Any) -> Any:
    op = st.sampled_from(["=", "!=", "<", "<=", ">", ">="])
    bound = st.builds(s.Binding, names, inner)
    counted = st.builds(s.Binding, names, inner, st.one_of(st.none(), inner))
    unary = st.builds(s.Unary, op, inner)
    call = st.lists(inner, max_size=3).map(lambda a: s.Call("sum", tuple(a), ("",) * len(a)))
    named = inner.map(lambda a: s.Call("sqrt", (a,), ("number",)))
    return st.one_of(
        st.builds(s.Path, inner, names),
        st.builds(s.Filter, inner, inner),
        inner.filter(lambda n: not (isinstance(n, s.Literal) and v.is_number(n.value) and n.value > 0)).map(s.Negative),
        st.builds(s.Binary, st.sampled_from(sorted(v.ARITHMETIC)), inner, inner),
        st.builds(s.Compare, op, inner, inner).filter(lambda n: not isinstance(n.left, s.Compare) or n.op in ("=", "!=")),
        st.builds(s.Between, inner, inner, inner),
        st.builds(s.In, inner, st.lists(st.one_of(inner, unary), min_size=1, max_size=3).map(tuple), st.booleans()),
        st.lists(inner, min_size=2, max_size=3).map(lambda i: _flat(s.And, i)),
        st.lists(inner, min_size=2, max_size=3).map(lambda i: _flat(s.Or, i)),
        inner.map(lambda i: s.Not((i,))),
        st.builds(s.If, inner, inner, inner),
        st.builds(s.Quantified, st.sampled_from(["some", "every"]), st.lists(bound, min_size=1, max_size=2).map(tuple), inner),
        st.builds(s.For, st.lists(counted, min_size=1, max_size=2).map(tuple), inner),
        st.lists(inner, max_size=3).map(lambda i: s.ListOf(tuple(i))),
        st.builds(s.RangeOf, inner, inner, st.booleans(), st.booleans()),
        call,
        named,
    )


trees = st.recursive(st.one_of(literals, names.map(s.Name)), _compound, max_leaves=12)


@given(trees)
def test_parse_undoes_show(tree: s.Node) -> None:
    text = show(tree)
    again, problems = parse(text)
    assert again == tree, (text, problems)
    assert show(again) == text


@given(trees, st.sampled_from([None, 1, "x", [1, None, "a"], {"a": 1}, date(2026, 1, 1)]))
def test_evaluation_is_total(tree: s.Node, value: Any) -> None:
    """Any tree has a value for any record; printing and parsing it does not change the value."""
    from roe.api import scope_of

    scope = scope_of({"a": value, "b": value, "xs": [value, value], "account": {"a": value, "date": value}})
    scope["account"]["xs"] = [{"a": value}]
    got = compile_expression(tree)(dict(scope))
    again, _ = parse(show(tree))
    assert again is not None and v.literal(compile_expression(again)(dict(scope))) == v.literal(got)


@given(st.text(max_size=80))
@example("((((((((((")
@example('"\\u12')
@example('@"2026-13-01"')
@example("1 in in 2")
def test_any_text_gives_a_tree_or_a_diagnostic(text: str) -> None:
    for kind in ("expr", "tests"):
        tree, problems = parse(text, kind)
        assert (tree is None) == bool(problems)
        for d in problems:
            assert d.help and d.span.line >= 1 and d.span.column >= 1 and d.message == d.message.rstrip(".")


pieces = st.sampled_from(
    [
        "a",
        "b",
        "account",
        ".",
        ",",
        "(",
        ")",
        "[",
        "]",
        "..",
        "=",
        "!=",
        "<",
        "<=",
        ">",
        ">=",
        "+",
        "-",
        "*",
        "/",
        "**",
        "and",
        "or",
        "not",
        "in",
        "between",
        "if",
        "then",
        "else",
        "some",
        "every",
        "for",
        "return",
        "satisfies",
        "true",
        "false",
        "null",
        '"x"',
        "12",
        "1.5",
        "90",
        "days",
        "5",
        "working",
        "days",
        '@"2026-01-01"',
        "?",
        ":",
        "{",
        "}",
        "date",
        "date",
        "and",
        "time",
        "(",
        "starts",
        "with",
        "(",
        "item",
        "sum(",
        "count(",
    ]
)


@given(st.lists(pieces, max_size=14))
def test_any_words_give_a_tree_or_a_diagnostic(words: list[str]) -> None:
    text = " ".join(words)
    for kind in ("expr", "tests"):
        tree, problems = parse(text, kind)
        assert (tree is None) == bool(problems)
        if tree is not None and kind == "expr":
            assert parse(show(tree))[0] == tree


def test_deep_and_long_expressions_end_in_a_diagnostic() -> None:
    assert roe.evaluate("(" * 200 + "1" + ")" * 200) == 1
    assert roe.evaluate(" + ".join(["1"] * 100)) == 100
    assert roe.evaluate(" or ".join(["false"] * 2000)) is False
    for text in ("-" * 5000 + "a", "a" + "[1" * 900 + "]" * 900, "1+" * 30_000 + "1", "not(" * 400 + "a" + ")" * 400, "(" * 50_000):
        with pytest.raises(PolicyError) as e:
            roe.evaluate(text)
        assert e.value.diagnostics[0].code in ("R104", "R101")
    assert MAX_DEPTH >= 100


def test_a_pathological_regex_and_a_long_list_end() -> None:
    assert roe.evaluate('matches(x, "(a*)*b")', {"x": "a" * 50_000}) is False
    assert roe.evaluate("count(xs[item > 5])", {"xs": list(range(10_000))}) == 9_994
    assert roe.evaluate("every x in xs satisfies x >= 0", {"xs": list(range(10_000))}) is True
    assert roe.evaluate("for x in xs, y in xs return 1", {"xs": list(range(10_000))}) is None, "bounded, not endless"
    assert len(roe.evaluate("distinct_values(xs)", {"xs": list(range(10_000))})) == 10_000


def test_operators_on_numbers_have_the_value_that_they_have_on_any_operands() -> None:
    """Numbers take a shorter way through the evaluator; `grammar.values` says what each operator gives."""
    clock = Clock.at("2026-02-01")
    values = [
        0, 1, -3, 7, 2**53, -(2**53), 0.1, 0.2, -2.5, 1e-300, float(v.LARGEST), -float(v.LARGEST), True, False, None, "7", [7],
        date(2026, 1, 31), datetime(2026, 1, 31, 9), timedelta(days=2), v.Months(1), v.WorkingDays(3),
    ]  # fmt: skip
    whole = {"+": clock.add, "-": clock.subtract, "*": v.multiply, **v.COMPARE}
    for op, want in whole.items():
        tree, _ = parse(f"a {op} b")
        assert tree is not None
        code = compile_expression(tree)
        for a, b in itertools.product(values, repeat=2):
            got, wanted = code({"a": a, "b": b, CLOCK: clock}), want(a, b)
            assert (type(got), got) == (type(wanted), wanted), f"{a!r} {op} {b!r}"
    assert roe.evaluate("a + b", {"a": 2**53, "b": 1}) == 2**53 and roe.evaluate("a * b", {"a": 1e200, "b": 1e200}) is None


def test_variables_may_be_python_s_or_feel_text() -> None:
    assert roe.evaluate("d + 1 days", {"d": date(2026, 1, 1)}) == date(2026, 1, 2)
    assert roe.evaluate("d", {"d": '@"P1Y"'}) == v.Months(12)
    assert roe.evaluate("d", {"d": 'date and time("2026-01-01T00:00:00")'}) == datetime(2026, 1, 1)
    assert roe.evaluate("t.hour", {"t": time(9, 30)}) == 9
    assert roe.evaluate("d.days", {"d": timedelta(days=3)}) == 3


def test_errors_come_all_at_once_and_name_the_place() -> None:
    with pytest.raises(PolicyError) as e:
        roe.evaluate("foo(1) + bar(2) + sqrt()")
    assert [(d.code, d.span.column) for d in e.value.diagnostics] == [("R202", 1), ("R202", 10), ("R203", 19)]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("x == 1", "write `=`"),
        ("x is null", "`= null`"),
        ("a && b", "`and`"),
        ("x = 'a'", "double quotes"),
        ("a AND b", "small letters"),
        ("not a", "write `not(…)`"),
        ("a and not b = c", "write `not(…)`"),
        ("a not like b", "contains(x"),
        ("first name = 1", "first_name"),
        ("{a: 1}", "not part of the language"),
        ("1 < x < 5", "chain"),
        ('date and time "x"', "argument"),
        ('starts_wth("a", "b")', "starts_with"),
    ],
)
def test_messages_say_what_to_write(text: str, part: str) -> None:
    with pytest.raises(PolicyError) as e:
        roe.evaluate(text)
    assert part in str(e.value)


def test_tables_of_every_kind() -> None:
    table: DecisionTable = {
        "hitPolicy": "COLLECT",
        "aggregation": "SUM",
        "inputs": [{"expression": "n"}],
        "outputs": [{"name": None}],
        "rules": [{"in": [">= 1"], "out": ["10"]}, {"in": ["[1..5]"], "out": ["5"]}, {"in": ["null"], "out": ["1"]}],
    }
    assert roe.evaluate_table(table, {"n": 3}) == 15
    assert roe.evaluate_table(table, {"n": 9}) == 10
    assert roe.evaluate_table(table, {"n": None}) == 1
    assert roe.evaluate_table({**table, "aggregation": None}, {"n": 3}) == [10, 5]
    assert roe.evaluate_table({**table, "hitPolicy": "C#", "aggregation": None}, {"n": 3}) == 2
    assert roe.evaluate_table(
        {**table, "hitPolicy": "OUTPUT ORDER", "aggregation": None, "outputs": [{"name": None, "values": "5, 10"}]}, {"n": 3}
    ) == [5, 10]
    with pytest.raises(PolicyError, match="not a hit policy"):
        roe.evaluate_table({**table, "hitPolicy": "BEST", "aggregation": None}, {"n": 3})
    with pytest.raises(PolicyError):
        roe.evaluate_table({**table, "hitPolicy": "UNIQUE", "aggregation": None}, {"n": 3})


def test_domain_agrees_with_the_whole_list() -> None:
    """Parsing the list per top-level domain changes nothing: every rule, and names under it."""
    from publicsuffixlist import PSLFILE, PublicSuffixList

    from roe.grammar.functions.sales import domain

    whole = PublicSuffixList(accept_encoded_idn=False)
    with open(PSLFILE, encoding="utf-8") as file:
        rules = [line.strip().lstrip("*!").lstrip(".") for line in file if line.strip() and not line.startswith("//")]
    for rule in rules:
        for host in (f"a.{rule}", f"b.a.{rule}"):
            assert domain(host) == whole.privatesuffix(host), host
    for text in ("10.0.0.1", "localhost", "a..b", "-a.com", "a b.com", "", "@", "http://", "a_b"):
        assert domain(text) is None, text


@given(
    st.one_of(
        st.from_regex(parser._PLAIN, fullmatch=True),
        st.sampled_from(
            sorted(parser._RESERVED | {f"a.{x}" for x in parser._RESERVED} | {*parser._CONSTANTS, "-0", "007", '@"2026-02-30"'})
        ),
    )
)
def test_a_text_that_needs_no_parser_has_the_tree_that_the_parser_would_make(text: str) -> None:
    plain = parser._plain(text)
    if plain is not None:
        parsed: Any = parser._lark().parse(text, start="expr")
        assert placed(plain) == placed(parsed)


def placed(node: s.Node) -> list[tuple[s.Node, s.Place, object]]:
    """Each node with what equality leaves out: its place and how it was written."""
    return [(x, x.at, getattr(x, "text", None)) for x in s.walk(node)]


@pytest.mark.parametrize("text", ["account.owner", "true", "12", "-10", '"Ann Lee"', '@"2026-02-01"', "ärger.größe"])
def test_plain_texts_need_no_parser(text: str) -> None:
    assert parser._plain(text) is not None


@pytest.mark.parametrize("text", ["a.b", "1234567", '"a text"', "1234567 + 1"])
def test_a_tree_knows_no_place_in_a_file(text: str) -> None:
    """It is kept for every file that has the same text."""
    parser.forget()
    tree, _ = parse(Text(text, Scalar("policy.yaml", text, 0, len(text), "")))
    assert tree is not None and all(type(t) is str for x in s.walk(tree) if (t := getattr(x, "text", getattr(x, "id", ""))) is not None)

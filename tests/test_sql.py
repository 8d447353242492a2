"""`roe compile`: what the SQL decides is what the row evaluator decides, on DuckDB, SQLite and PostgreSQL."""

from __future__ import annotations

import random
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import roe
from databases import ENGINES, on_postgres, postgres, postgres_programs, staged
from effort import HEAVY, tries
from helpers import AS_OF, EXAMPLES, example, example_policy
from made_policies import CONDITIONS, DEFINITIONS, condition, fill, make_data
from roe.data.read import read_tables
from roe.grammar import syntax as s
from roe.grammar import values as v
from roe.grammar.clock import CALENDAR_YEAR
from roe.grammar.functions import BY_NAME
from roe.grammar.parser import parse
from roe.grammar.printer import show

sqlglot = pytest.importorskip("sqlglot")
from sqlglot import exp  # noqa: E402

from roe.sql.dialects import DIALECTS  # noqa: E402
from roe.sql.forms import grouped, literal  # noqa: E402
from roe.sql.functions import filled  # noqa: E402
from roe.sql.outcome import UNDECIDED  # noqa: E402
from roe.sql.statement import compile_sql, printed  # noqa: E402

ENTITY = {"inbound": "lead", "distribution": "lead", "matching": "lead"}  # of the rules that are compiled; accounts elsewhere
STATEFUL = {"territories", "scoring"}  # they rest on what the state froze, or on ranks among all records, so hardly a rule is for SQL


def compare(evaluator: Any, data: Any, entity: str, as_of: str, engines: Any = ENGINES[:2]) -> int:
    """Every record that the SQL decides, it decides as the row evaluator does; how many it left."""
    bound = evaluator.bind(data, as_of=as_of)
    tables = staged(bound.world)
    ids = {row["id"] for row in bound.world.rows["rep"]}
    decisions = {(d.id, d.role): d for d in bound.decide_all() if d.entity == entity}
    left = 0
    for dialect, run in engines:
        query = compile_sql(evaluator.compiled, entity, dialect, evaluator.clock(as_of))
        found = run(query.sql, tables)
        said = "\n".join(x.message for x in query.diagnostics)
        assert len(found) == len({d.id for d in decisions.values()})
        for row in found:
            for role in bound.roles(entity):
                d = decisions[row["id"], role]
                if UNDECIDED in (row[f"{role}_rule"], row[f"{role}_action"]):
                    left += 1
                    continue
                assert (row[f"{role}_rule"] or "") == d.rule, (dialect, d, row)
                if not (row[f"{role}_action"] or "").startswith("route"):
                    assert row[f"{role}_action"] == d.action, (dialect, d, row)
                    who = row[f"{role}_owner"]
                    assert who == d.owner or (who not in ids and bound.world.rep(who)["id"] == d.owner), (dialect, d, row)
                    known = str(row[f"{role}_until"])[:10] if row[f"{role}_until"] is not None else None
                    assert known == (None if d.until is None else str(d.until)[:10]) or "until when it holds" in said, (dialect, d, row)
                    if who is None or who in ids:  # SQL has the name of nobody whom the data does not list
                        assert row[f"{role}_reason"] == d.reason or "the reason" in said, (dialect, d, row)
    return left


@pytest.mark.parametrize("name", sorted(name for name, row in BY_NAME.items() if row.sql))
def test_a_functions_sql_gives_the_value_of_its_example(name: str) -> None:
    row = BY_NAME[name]
    call = parse(row.example)[0]
    assert isinstance(call, s.Call)
    given = [roe.evaluate(show(a)) for a in call.args]
    form = row.sql if isinstance(row.sql, str) else row.sql(CALENDAR_YEAR)
    dialect, run = ENGINES[0]
    if row.variadic:
        items = ", ".join(f"({literal(x).sql(dialect)})" for x in given[0])
        query = f"SELECT {filled(form, {}, DIALECTS[dialect]).sql(dialect)} AS value FROM (VALUES {items}) AS t(list)"
    else:
        arguments = {p.name: literal(x) for p, x in zip(row.parameters, given, strict=False)}
        query = f"SELECT {filled(form, arguments, DIALECTS[dialect]).sql(dialect)} AS value"
    value = run(query, {})[0]["value"]
    assert v.equal(float(value) if isinstance(value, Decimal) else value, roe.evaluate(row.example)) is True, query


@pytest.mark.parametrize("name", sorted(AS_OF))
def test_examples(name: str) -> None:
    policy = example_policy(name)
    data, _ = read_tables(policy, EXAMPLES / name / "data")
    compare(roe.compile(policy), data, ENTITY.get(name, "account"), AS_OF[name])


@pytest.mark.parametrize("name", ["static", "dynamic-books", "matching"])
def test_examples_on_postgresql(name: str) -> None:
    postgres()
    policy = example_policy(name)
    data, _ = read_tables(policy, EXAMPLES / name / "data")
    compare(roe.compile(policy), data, ENTITY.get(name, "account"), AS_OF[name], [("postgres", on_postgres)])


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
def test_most_rules_of_the_examples_compile_for_every_dialect(dialect: str) -> None:
    """Every day every fourth example, so that each is compiled for a quarter of the dialects; of these fewer rules may compile than of all."""
    rules = translated = 0
    for name, as_of in list(AS_OF.items())[list(DIALECTS).index(dialect) % (step := tries(4, 2, 1)) :: step]:
        evaluator = example(name)
        for clock in (evaluator.clock(as_of), None) if HEAVY else (evaluator.clock(as_of),):
            query = compile_sql(evaluator.compiled, ENTITY.get(name, "account"), dialect, clock)
            assert sqlglot.parse_one(query.sql, dialect=dialect) is not None
            assert query.translated == query.rules or query.diagnostics
            if name not in STATEFUL:
                rules, translated = rules + query.rules, translated + query.translated
    assert translated >= tries(0.75, 0.8, 0.9) * rules


PLAIN = [c for c in CONDITIONS if "lower_case" not in c and "date(" not in c and "for a in" not in c and "ultimate" not in c]


PARTS = tries(2, 5, 5)


@pytest.mark.parametrize("part", range(PARTS))
def test_random_policies(part: int, tmp_path: Path) -> None:
    left = 0
    for seed in range(part, tries(PARTS, 5, 60), PARTS):
        rng = random.Random(seed)
        folder = tmp_path / str(seed)
        folder.mkdir()
        (folder / "policy.yaml").write_text(_policy(rng), "utf-8")
        engines = [e for e in ENGINES if e[0] != "postgres" or (seed < 5 and postgres_programs())]
        data = make_data(rng, 40)
        for rep in data["rep"]:  # SQL reckons the days of reps in the policy's time zone (docs/sql.md)
            rep.pop("timezone", None)
        left += compare(roe.compile(roe.load(folder)), data, "account", "2026-02-01", engines)
    assert left < 60 * 40


def _policy(rng: random.Random) -> str:
    import yaml

    rules = [
        {
            "name": f"r{i}",
            "when": condition(rng, PLAIN),
            "then": rng.choice(
                ["keep", "open", "hold", {"assign": '"bob"'}, {"assign": "account.owner.ae"}, {"assign": "account.best.rep"}]
            ),
        }
        for i in range(6)
    ]
    made: dict[str, Any] = {
        "roe": 1, "name": "random", "roles": ["ae", "sdr"],
        "fields": {
            "account": {"segment": {"type": "string", "values": ["SMB", "Mid", "Ent"]}, "flag": {"type": "boolean"}, "seen": {"type": "datetime"}},
            "activity": {"minutes": {"type": "number"}},
        },
        "lists": {"strategic": ["acme.com", "example.de"]},
        "define": {f"account.{name}": fill(rng, texts[0]) for name, texts in DEFINITIONS.items()},
        "scores": {"points": {"criteria": [{"name": f"c{i}", "when": condition(rng, PLAIN[:20]), "points": i} for i in range(3)]}},
        "tables": {"size_class": {"hit": rng.choice(["first", "unique"]), "rows": [{"employees": "< 100", "size_class": "small"}, {"employees": ">= 90", "size_class": "big"}]}},
        "territories": {"hit": "first", "rows": [{"territory": f"t{i}", "country": rng.choice(["US", "DE", 'not("US")']), "employees": ">= 100", "region": f"R{i}"} for i in range(3)]},
        "windows": {"protect": {"lasts": "90 days", "renewed_by": 'type = "call"', "grace": "10 days"}},
        "engagement": {"account": {"ae": rules}},
    }  # fmt: skip
    return yaml.safe_dump(made, sort_keys=False)


# --- what is printed is what was meant ------------------------------------------------------------------------------


def bare(text: str, dialect: str) -> Any:
    """The tree of a statement without the parentheses."""
    tree = sqlglot.parse_one(text, dialect=dialect)
    for paren in list(tree.find_all(exp.Paren)):
        paren.replace(paren.this)
    return tree


def as_meant(query: Any, dialect: str) -> bool:
    """Whether the text reads as the tree does when every operand stands in parentheses, and so can be read in one way alone."""
    return bool(bare(printed(query, dialect), dialect) == bare(printed(query, dialect, every=True), dialect))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_statement_reads_back_as_the_tree_it_was_made_from(dialect: str, tmp_path: Path) -> None:
    from random_expressions import POLICY
    from test_one_language import made, selected

    compiled = 0
    for seed in range(3 if HEAVY else 1):
        policy, _, _ = made(random.Random(seed), tmp_path / str(seed), 25)
        names = [name for of, name in policy.plan.steps if of == "account" and name[0] in "es" and name[1:].isdigit()]
        _, kinds, _, final = selected(roe.compile(policy), dialect, names)
        compiled += len(kinds)
        assert as_meant(final, dialect)
    assert compiled > 10 and POLICY


def test_an_ambiguous_tree_is_given_parentheses() -> None:
    a, b, c = (exp.column(x) for x in "abc")
    for tree in (
        exp.EQ(this=exp.Or(this=a, expression=b), expression=c),
        exp.EQ(this=c, expression=exp.Not(this=exp.EQ(this=a, expression=b))),
        exp.In(this=exp.Not(this=a), expressions=[b, c]),
        exp.And(this=exp.Or(this=a, expression=b), expression=c),
        exp.Mul(this=exp.Add(this=a, expression=b), expression=c),
        exp.Sub(this=a, expression=exp.Sub(this=b, expression=c)),
        exp.Is(this=exp.GT(this=a, expression=b), expression=exp.null()),
        exp.Neg(this=exp.Neg(this=a)),
    ):
        for dialect in DIALECTS:
            assert as_meant(exp.select(tree), dialect), tree.sql(dialect)
    assert grouped(exp.EQ(this=exp.Or(this=a, expression=b), expression=c)).sql() == "(a OR b) = c"


TEXTS = ["two\nlines", "  two\n  lines", "{{ config() }}", "{% do x %}", "{# c #}", "{{{", "it's", "back\\slash", "*/ x", "-- x", "\t", "\r\n", "ß İ 😀", "Cafe\u0301"]  # fmt: skip


@pytest.mark.parametrize("value", TEXTS)
def test_a_text_stays_as_it_is_and_says_nothing_to_dbt(value: str) -> None:
    tables: Any = {}
    for dialect, run in ENGINES:
        if dialect == "postgres" and not postgres_programs():
            continue
        inner = exp.select(exp.alias_(literal(value), "x"))
        outer = exp.select(exp.alias_(exp.column("x"), "x")).from_("inner_one").with_("inner_one", as_=inner)
        assert run(printed(outer, dialect), tables) == [{"x": value}]
    for dialect in DIALECTS:
        text = printed(exp.select(exp.alias_(literal(value), "x")), dialect)
        assert not any(opener in text for opener in ("{{", "{%", "{#")), text


def test_names_with_template_braces_are_safe_for_dbt(tmp_path: Path) -> None:
    """Rule names stand in comments and in texts; the names of the result are those of the policy all the same."""
    (tmp_path / "policy.yaml").write_text(
        'roe: 1\nname: "the {{ policy }}"\nroles: [ae]\n'
        'engagement: {account: {ae: [{name: "{{ a }} */ {% b %}", when: \'account.name = "{# x"\', then: {assign: \'"{{ann}}"\'}}, {name: rest, then: open}]}}\n',
        "utf-8",
    )
    evaluator = roe.compile(roe.load(tmp_path))
    for dialect in DIALECTS:
        text = compile_sql(evaluator.compiled, "account", dialect, evaluator.clock("2026-02-01")).sql
        assert not any(opener in text for opener in ("{{", "{%", "{#")), text
    compare(evaluator, {"account": [{"id": "A", "name": "{# x"}, {"id": "B", "name": "y"}]}, "account", "2026-02-01")


def test_a_field_that_is_called_like_a_word_of_sql(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(
        "roe: 1\nname: words\nroles: [ae]\nfields: {account: {order: {type: number}, end: {type: date}}}\n"
        "define: {account.group: account.order + 1, account.window: account.end > today}\n"
        "engagement: {account: {ae: [{name: up, when: account.group > 2 and account.window, then: keep}, {name: rest, then: open}]}}\n",
        "utf-8",
    )
    data = {"account": [{"id": "A", "order": 3, "end": "2026-05-01", "owner": "x"}, {"id": "B", "order": 3, "end": None, "owner": "x"}]}
    assert compare(roe.compile(roe.load(tmp_path)), data, "account", "2026-02-01", ENGINES[:2]) == 0


def test_ids_of_salesforce_have_one_form_and_the_statement_says_which(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(
        "roe: 1\nname: s\nprofile: salesforce\nroles: [ae]\nengagement: {account: {ae: ["
        '{name: vip, when: account.id = "0015g00000BBBB1AAP", then: {assign: 0055g00000AAAA2AAP}}, {name: rest, then: open}]}}\n'
    )
    made = compile_sql(roe.compile(roe.load(tmp_path)).compiled, "account", "duckdb").sql
    assert "'0015g00000BBBB1'" in made and "'0055g00000AAAA2'" in made and "BBBB1AAP'" not in made
    assert "left(id, 15)" in made.partition("WITH")[0]

"""Findings about precedence, dead values, ranges in two tables, what has ended, service levels, repeats; and rules that share no condition."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import roe
from helpers import policy_text
from roe.analysis.writing_out import without_question
from roe.cli import main
from roe.grammar import syntax as s
from roe.grammar.closures import compile_expression
from roe.grammar.parser import parse
from roe.plan.index import PartitionIndex

HEAD = "roe: 1\nname: p\nroles: [ae]\n"


def check(folder: Path, *args: str) -> list[dict[str, Any]]:
    done = CliRunner().invoke(main, ["check", str(folder), "--format", "json", "--as-of", "2026-06-01", *args])
    found: list[dict[str, Any]] = json.loads(done.output)
    return found


def rules(*lines: str) -> str:
    return "engagement:\n  account:\n    ae:\n" + "".join(f"      - {{{line}}}\n" for line in lines)


WIDE = "name: wide, when: account.employees > 10, then: open"
NARROW = "name: narrow, when: 'account.country = \"US\"', then: hold"
REST = "name: rest, then: keep"


@pytest.mark.parametrize(
    ("lines", "codes"),
    [
        ((WIDE, NARROW + ", overrides: [wide]", REST), ["R426"]),
        ((WIDE, NARROW + ", overrides: all", REST), ["R426"]),
        ((WIDE, NARROW + ", overrides: wide", REST), ["R426"]),
        ((NARROW + ", overrides: [wide]", WIDE, REST), []),
        ((WIDE.replace("> 10", "> 10 and account.country != \"US\"").replace("when: ", "when: '").replace('"US"', '"US"\''), NARROW + ", overrides: [wide]", REST), []),
        ((WIDE.replace("open", "hold"), NARROW + ", overrides: [wide]", REST), []),  # the same outcome
        ((WIDE, NARROW + ", overrides: [wider]", REST), ["R508"]),
        ((WIDE, NARROW + ", overrides: [narrow]", REST), ["R508"]),
    ],
)  # fmt: skip
def test_what_overrides_is_proven_to(lines: tuple[str, ...], codes: list[str], tmp_path: Path) -> None:
    found = check(policy_text(tmp_path, HEAD + rules(*lines)))
    assert [d["code"] for d in found] == codes, found
    for d in found:
        if d["code"] == "R426":
            assert d["certainty"] == "proven" and "`narrow`" in d["message"] and "`wide`" in d["message"] and d["witness"]


def test_with_data_a_narrow_rule_that_loses_most_of_its_records_is_named(tmp_path: Path) -> None:
    data = "id,employees,country\n" + "".join(f"a{i},{i * 5},{'US' if i in (5, 6, 7) else 'DE'}\n" for i in range(12))
    folder = policy_text(tmp_path, HEAD + rules(WIDE, NARROW, REST), data__accounts_csv=data)
    (found,) = check(folder)
    assert found["code"] == "R427" and "would decide 3 of its 3 records differently" in found["message"]
    assert found["touches"]["records"] == 3
    assert check(policy_text(tmp_path / "order", HEAD + rules(NARROW, WIDE, REST), data__accounts_csv=data)) == []


def test_of_two_rules_for_the_same_records_the_later_is_named(tmp_path: Path) -> None:
    data = "id,employees,country\n1,20,US\n2,30,US\n3,5,DE\n"
    (found,) = check(policy_text(tmp_path, HEAD + rules(WIDE, NARROW, REST), data__accounts_csv=data))
    assert found["code"] == "R427" and "would decide 2 of its 2 records differently" in found["message"]


DEAD = """
scores:
  fit: {criteria: [{name: s, when: account.employees >= 200, points: 70}]}
  tier: {hit: unique, rows: [{fit: ">= 80", tier: A}, {fit: "< 80", tier: B}]}
tables:
  desk: {rows: [{tier: A, desk: first}, {tier: B, desk: second}]}
"""


def test_a_value_that_only_a_dead_row_gives_through_two_tables(tmp_path: Path) -> None:
    body = rules("name: a, when: 'account.tier = \"A\"', then: open", "name: d, when: 'account.desk = \"first\"', then: hold", REST)
    dead = {d["message"].split("`")[1] for d in check(policy_text(tmp_path, HEAD + DEAD + body)) if "can never fire" in d["message"]}
    assert dead == {"A", "first", "a", "d"}


def test_a_value_that_only_a_default_gives_is_a_value(tmp_path: Path) -> None:
    tables = 'tables: {size: {default: small, rows: [{employees: ">= 100", size: big}]}, two: {default: {x: none, y: last}, rows: [{employees: "> 1", x: a, y: b}]}}\n'
    body = rules("name: s, when: 'account.size = \"small\"', then: open", "name: t, when: 'account.two.y = \"last\"', then: hold", REST)
    codes = [d["code"] for d in check(policy_text(tmp_path, HEAD + tables + body))]
    assert "R206" not in codes and "R207" not in codes
    wrong = check(policy_text(tmp_path / "w", HEAD + tables + body.replace('"small"', '"tiny"')))
    assert "R206" in [d["code"] for d in wrong]


def test_ranges_of_codes_in_three_tables(tmp_path: Path) -> None:
    tables = 'tables:\n  m: {hit: unique, rows: [{postal_code: "80000..80999", p: a}, {postal_code: "84000..84999", p: b}]}\n'
    tables += '  q: {hit: unique, rows: [{postal_code: "66000..66999", r: a}, {postal_code: "80900..81999", r: b}]}\n'
    tables += '  n: {hit: unique, rows: [{postal_code: "81999", s: a}, {postal_code: "11111", s: b}, {postal_code: "22*", s: b}]}\n'
    body = rules(
        *(f"name: {t}, when: account.{t} != null, then: {then}" for t, then in (("m", "open"), ("q", "hold"), ("n", "return"))), REST
    )
    found = [d["message"] for d in check(policy_text(tmp_path, HEAD + tables + body)) if d["code"] == "R422"]
    assert found == [
        '`q` and `m` both take postal_code = "80900": `80900..81999` and `80000..80999` overlap',
        '`n` and `q` both take postal_code = "81999": `81999` and `80900..81999` overlap',
    ]


ENDED = """
lists: {named: [{value: a.com, until: 2026-01-01}, {value: b.com}]}
pools: {p: {members: [{rep: x, until: 2026-01-01}, {rep: y}]}}
exceptions: [{record: a1, role: ae, owner: ann, approved_by: vp, reason: r, until: 2026-05-01}, {record: a2, role: ae, owner: ann, approved_by: vp, reason: r, until: 2026-08-01}]
"""


def test_what_has_ended_is_said_once_its_day_is_past(tmp_path: Path) -> None:
    body = rules(
        "name: spring, when: account.domain in named, then: open, until: 2026-06-01",
        "name: pool, when: account.employees > 5, then: {route: p}",
        REST,
    )
    found = check(
        policy_text(
            tmp_path,
            HEAD
            + ENDED.replace("lists: {named: [{value: a.com, until: 2026-01-01}, {value: b.com}]}", "lists: {named: [a.com, b.com]}")
            + body,
        )
    )
    assert sorted((d["code"], d["message"].split("`")[1]) for d in found) == [("R429", "p"), ("R429", "spring"), ("R506", "a1")]
    before = CliRunner().invoke(main, ["check", str(tmp_path), "--format", "json", "--as-of", "2025-06-01"])
    assert json.loads(before.output) == []


@pytest.mark.parametrize(
    ("within", "lasts", "certainty"),
    [("72 hours", "2 days", "proven"), ("48 hours", "2 days", None), ("3 working days", "4 days", "possible"), ("48 hours", "2 working days", None),
     ("3 days", "2 working days", "possible"), ("20 working hours", "1 day", "proven"), ("2 months", "50 days", "proven"), ("1 month", "30 days", "possible"),
     ("3 working days", "2 working days", "proven"), ("4 working hours", "8 working hours", None)],
)  # fmt: skip
def test_a_service_level_longer_than_the_protection(within: str, lasts: str, certainty: str | None, tmp_path: Path) -> None:
    body = f"windows: {{protection: {{lasts: {lasts}}}}}\npools: {{p: {{members: [x, y], sla: {{within: {within}}}}}}}\n"
    found = check(policy_text(tmp_path, HEAD + body + rules("name: all, then: {route: p}")))
    levels = [d["certainty"] for d in found if d["code"] == "R428"]
    sure = certainty if not (within.endswith("working hours") and lasts == "1 day") else levels[0]
    assert levels == ([] if certainty is None else [sure]), found


@pytest.mark.parametrize("hit", ["first", "unique", "any", "priority"])
def test_many_equal_rows_are_one_finding(hit: str, tmp_path: Path) -> None:
    rows = "country,employees,t\n" + "US,>= 10,big\n" * 300 + "DE,< 10,small\n"
    order = ", priority: [big, small]" if hit == "priority" else ""
    folder = policy_text(tmp_path, HEAD + f"tables: {{t: {{table: t.csv, hit: {hit}, default: other{order}}}}}\n" + rules(REST), t_csv=rows)
    found = check(folder)
    assert [d["message"][:4] for d in found] == ([] if hit == "any" else ["299 "]), found


def test_conditions_that_one_rule_alone_has_decide_as_each_of_them_does(tmp_path: Path) -> None:
    """Rules with opaque conditions, alone and beside shared ones, asked by the index and one by one."""
    rng = random.Random(5)
    shapes = ["account.employees > account.revenue + {n}", "not(account.revenue * {n} < account.employees)", 'ends_with(account.name, "{n}")',
              'account.country = "US" and account.employees > account.revenue - {n}', "account.employees > {n} or account.revenue > account.employees + {n}"]  # fmt: skip
    lines = [f"name: r{i}, when: {json.dumps(rng.choice(shapes).replace('{n}', str(i)))}, then: keep" for i in range(60)]
    evaluator = roe.compile(roe.load(policy_text(tmp_path, HEAD + rules(*lines))))
    chooser = evaluator.compiled.engagement["account", "ae"]
    index: PartitionIndex = chooser.index
    values: dict[str, list[Any]] = {
        "employees": [None, 1, 30, 70],
        "revenue": [None, 0, 20, 60],
        "name": [None, "x7", "y59"],
        "country": [None, "US", "DE"],
    }
    records = [{"id": str(i), **{k: x for k, many in values.items() if (x := rng.choice(many)) is not None}} for i in range(200)]
    rule_set = evaluator.rules("account", "ae", "2026-01-01")
    for row in evaluator.bind({"account": records}, as_of="2026-01-01").world.rows["account"]:
        scope = row.world.scope(row)
        truths = [chooser.truth(i, scope) for i in range(60)]
        held = tuple(i for i, t in enumerate(truths) if t is True)
        assert index.all(scope).true == held
        assert index.all(scope).unknown == tuple(i for i, t in enumerate(truths) if t is None)
        first = index.first(scope)
        assert first.true == held[:1]
        assert first.unknown == tuple(i for i, t in enumerate(truths) if t is None and (not held or i < held[0]))
        decided = rule_set(row)
        assert (decided is None) == (not held) and (decided is None or decided.name == f"r{held[0]}")


TIERS = "tables:\n  seg: {HIT, rows: [{employees: '>= 1000', seg: E}, {employees: '[100..1000)', seg: M}]}\n"


@pytest.mark.parametrize("hit", ["hit: first", "hit: unique", "hit: any", "hit: 'priority', priority: [E, M]"])
@pytest.mark.parametrize(
    ("default", "one", "two", "dead"),
    [
        ("", 'account.seg = "E"', "account.employees > 5000", True),
        ("", "account.employees >= 1000", 'account.seg = "E"', True),
        ("", "account.seg != null", "account.employees > 150", True),
        ("", 'account.seg = "M"', "account.employees >= 1000", False),
        (", default: S", 'account.seg = "S"', "account.employees < 50", True),
        (", default: S", 'account.seg = "S"', "account.employees > 50", False),
        (", default: S", 'account.seg != "E"', "account.employees < 50", True),
    ],
)
def test_a_table_is_known_by_its_rows_whatever_its_hit_policy(
    hit: str, default: str, one: str, two: str, dead: bool, tmp_path: Path
) -> None:
    text = (
        HEAD
        + TIERS.replace("HIT", hit + default)
        + rules(f"name: a, when: '{one}', then: hold", f"name: b, when: '{two}', then: open", REST)
    )
    assert any(d["message"].startswith("`b` can never fire: `a`") for d in check(policy_text(tmp_path, text))) == dead


def test_rows_of_a_unique_table_that_overlap_give_nothing_there(tmp_path: Path) -> None:
    """Where two rows of it hold, a `unique` table gives null: a rule that asks for the one is not asked there."""
    table = "tables:\n  seg: {hit: unique, rows: [{employees: '>= 1000', seg: E}, {country: US, seg: U}]}\n"
    first = "name: a, when: 'account.seg = \"E\"', then: hold"
    big_us = "name: b, when: 'account.employees > 1000 and account.country = \"US\"', then: open"
    big_de = "name: c, when: 'account.employees > 1000 and account.country = \"DE\"', then: open"
    found = check(policy_text(tmp_path, HEAD + table + rules(first, big_us, big_de, REST)))
    assert [d["code"] for d in found if "`c` can never fire" in d["message"]] == ["R405"]
    assert not any("`b` can never fire" in d["message"] for d in found)


@pytest.mark.parametrize(
    ("condition", "never"),
    [
        ("account.created.month = 13", True), ("account.created.month = 12", False), ("account.created.day > 31", True), ("account.created.day > 30", False),
        ("account.created.weekday = 0", True), ("account.created.weekday in [6..7]", False), ("today.month = 0", True), ("now.hour >= 24", True),
        ("now.hour >= 23", False), ("fiscal_quarter(account.created) = 5", True), ("fiscal_quarter(account.created) = 4", False),
        ('day_of_week(account.created) = "Sonntag"', True), ('day_of_week(account.created) = "Sunday"', False), ("week_of_year(account.created) > 53", True),
        ('similarity(account.name, "x") > 1', True), ('similarity(account.name, "x") >= 1', False), ("abs(account.employees) < 0", True),
        ("count(account.activities) = 0.5", True), ("count(account.activities) < 0", True), ("string_length(account.name) = 1", False),
        ("account.best.rank < 1", True), ("account.best.rank < 2", False), ("account.best.percentile > 100", True), ("account.best.percentile >= 100", False),
        ("account.most > 5", True), ("account.most >= 5", False), ("account.least < 3", True), ("account.how_many > 2", True), ("account.how_many = 2", False),
    ],
)  # fmt: skip
def test_a_value_that_nothing_can_have_is_found(condition: str, never: bool, tmp_path: Path) -> None:
    rows = "rows: [{employees: '>= 100', NAME: 3}, {country: US, NAME: 5}]"
    tables = [
        f"  {name}: {{hit: collect {how}, outputs: [{name}], {rows.replace('NAME', name)}}}\n"
        for name, how in (("most", "max"), ("least", "min"), ("how_many", "count"))
    ]
    text = HEAD + "scores:\n  best: {rank: {of: account.employees, within: account.country}}\ntables:\n" + "".join(tables)
    found = check(policy_text(tmp_path, text + rules(f"name: a, when: '{condition}', then: hold", REST)))
    assert [d["message"].startswith("`a` can never fire") for d in found] == [True] * never, found


@pytest.mark.parametrize(
    ("one", "two", "dead"),
    [
        ("account.created.year >= 2020", 'account.created >= @"2021-03-01"', True),
        ('account.created > @"2020-01-01"', "account.created.year > 2021", True),
        ("account.created.year >= 2021", 'account.created >= @"2020-12-31"', False),
        ("account.created.year = today.year", "account.created = today", True),
    ],
)
def test_the_year_of_a_date_is_about_the_date(one: str, two: str, dead: bool, tmp_path: Path) -> None:
    text = HEAD.replace("roles", "fields: {account: {created: {type: date}}}\nroles")
    text += rules(f"name: a, when: '{one}', then: hold", f"name: b, when: '{two}', then: open", REST)
    assert [d["code"] for d in check(policy_text(tmp_path, text))] == ["R405"] * dead


def test_rows_of_two_tables_that_never_hold_together_share_nothing(tmp_path: Path) -> None:
    def codes(one: str, two: str) -> list[str]:
        tables = f"tables:\n  m: {{hit: unique, rows: [{one}]}}\n  q: {{hit: unique, rows: [{two}]}}\n"
        asked = rules("name: a, when: account.m != null, then: hold", "name: b, when: account.q != null, then: open", REST)
        return [d["code"] for d in check(policy_text(tmp_path / str(len(list(tmp_path.iterdir()))), HEAD + tables + asked))]

    us, de = "country: US, postal_code: '80000..80999', p: a", "country: DE, postal_code: '80900..81999', r: a"
    assert codes(f"{{{us}}}", f"{{{de}}}") == []
    assert codes(f"{{{us}}}", f"{{{de.replace('DE', 'US')}}}") == ["R422"]
    single = (
        "{country: US, postal_code: '80950', p: a}, {postal_code: '1', p: a}",
        "{country: DE, postal_code: '80950', r: a}, {postal_code: '2', r: a}",
    )
    assert codes(*single) == []
    assert codes(single[0], single[1].replace("DE", "US")) == ["R422"]


def test_what_overrides_is_broken_by_a_record_that_somebody_else_gets(tmp_path: Path) -> None:
    """Not by one of which both rules make nobody's."""
    one = "name: one, when: 'account.employees > 10', then: {assign: account.owner.ae.manager}"
    two = "name: two, when: 'account.country = \"US\"', then: {assign: account.owner.ae}, overrides: [one]"
    (found,) = [d for d in check(policy_text(tmp_path, HEAD + rules(one, two, REST))) if d["code"] == "R426"]
    assert found["certainty"] == "proven" and "owner.ae.manager = some record" in found["witness"]


def test_records_that_the_data_does_not_know_are_named(tmp_path: Path) -> None:
    files = {
        "exc_csv": "record,role,owner,approved_by,reason,until\nA1,ae,ann,VP,x,2030-01-01\nA9,ae,ann,VP,x,2030-01-01\nTwin,ae,ann,VP,x,2030-01-01\nA8,ae,ann,VP,x,2026-01-01\n",
        "data__accounts_csv": "id,name\nA1,One\nA2,Twin\nA3,Twin\n", "data__reps_csv": "id,name\nann,Ann\n",
    }  # fmt: skip
    text = (
        HEAD
        + "exceptions: exc.csv\ndo_not_route: [{record: A7, reason: a lawsuit}, {record: A2, reason: a lawsuit}, {record: One, reason: a test}]\n"
        + rules(REST)
    )
    found = [(d["line"], d["message"]) for d in check(policy_text(tmp_path, text, **files)) if d["code"] == "R506"]
    assert found == [
        (3, "the exception names the account `A9`, which is not in the data"),
        (4, "the exception names the account `Twin`, which matches 2 records"),
        (5, "the exception for `A8` as ae ended on 2026-01-01 and has no effect"),
        (5, "`do_not_route` names the account `A7`, which is not in the data"),
        (5, "`do_not_route` names the account `One`, which is not an id"),
    ]


@pytest.mark.parametrize(
    ("column", "one", "two", "dead"),
    [
        ("employees", "? >= 500 and ? < 5000", "[500..600]", True), ("employees", "? >= 500 and ? < 5000", "[500..5000]", False),
        ("employees", "not(? < 5)", "> 10", True), ("employees", "? between 5 and 10 or ? = null", "null", True), ("employees", "? > account.revenue", "> 10", False),
        ("country", '? in ("US", "CA")', "US", True), ("country", 'not(? = "US")', "DE", True), ("created", "[2026-01-01..2026-03-31]", "2026-02-01", True),
        ("created", "[2026-01-01..2026-03-31]", "2026-04-01", False),
    ],
)  # fmt: skip
def test_a_cell_that_is_a_condition_is_known_by_what_it_asks(column: str, one: str, two: str, dead: bool, tmp_path: Path) -> None:
    text = HEAD.replace("roles", "fields: {account: {created: {type: datetime}}}\nroles")
    text += f"tables:\n  seg: {{hit: first, outputs: [seg], rows: [{{name: a, {column}: '{one}', seg: x}}, {{name: b, {column}: '{two}', seg: y}}]}}\n"
    found = check(policy_text(tmp_path, text + rules("name: got, when: account.seg != null, then: hold", REST)))
    assert [d["message"] for d in found if "never fire" in d["message"]] == [
        "`b` can never fire: `a` comes first and matches all of its records"
    ] * dead


@pytest.mark.parametrize(
    "condition", ["? > 5 and ? < 9", "? = null or ? > 9", "? between 2 and 7", "? in (1, 7)", "? != 7", "? > null or ? = 7"]
)
@pytest.mark.parametrize("negated", [False, True])
def test_a_condition_of_a_cell_has_the_value_of_its_test(condition: str, negated: bool) -> None:
    cell = parse(condition, "tests")[0]
    assert isinstance(cell, s.Tests)
    test = s.In(s.Name("x"), cell.tests, negated)
    written = without_question(test)
    assert written is not None
    for value in (None, 1, 2, 7, 8, 9, 10):
        assert compile_expression(written)({"x": value}) is compile_expression(test)({"x": value}), value

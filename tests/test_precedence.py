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
from roe.cli import main
from roe.plan.index import Index

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
    index: Index = chooser.index
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

"""The index over columns and the rule set against the index that decides one record: every path of the kernel."""

from __future__ import annotations

import random
from typing import Any

import pytest

import roe
from effort import seeds, tries
from roe.grammar.clock import Clock
from roe.grammar.parser import parse
from roe.grammar.scopes import CLOCK
from roe.plan.index import PartitionIndex
from roe.plan.operators import Expr
from roe.source import Inline, Text

pytest.importorskip("pyarrow")
np = pytest.importorskip("numpy")
from roe.columns import kernel  # noqa: E402
from roe.columns.column import Column, Constant  # noqa: E402
from roe.columns.make import from_values  # noqa: E402

TEXTS = [f"k{i}" for i in range(300)]


def rules_of(rng: random.Random, count: int, keyed: bool) -> list[str]:
    """Conditions on four subjects; many keys of one of them where `keyed`."""
    out = []
    for _ in range(count):
        parts = []
        if keyed or rng.random() < 0.3:
            some = rng.sample(TEXTS if keyed else TEXTS[:6], rng.choice([1, 1, 1, 2]))
            parts.append(
                rng.choice(["a = {0}", "a in ({0}, {1})", "a not in ({0}, {1})"] if rng.random() < 0.2 else ["a = {0}"]).format(
                    *(f'"{x}"' for x in (*some, "zz"))
                )
            )
        if rng.random() < 0.7:
            low = rng.randrange(50)
            parts.append(rng.choice([f"n in [{low}..{low + 9})", f"n >= {low}", f"n = {low}", "n != 7", f"n < {low} or b"]))
        if rng.random() < 0.3:
            parts.append(rng.choice(["b", "not(b)", "c = null", 'c = "x"', "c != null"]))
        out.append(" and ".join(f"({p})" for p in parts) or "true")
    return out


def index_of(conditions: list[str]) -> PartitionIndex:
    made = []
    for text in conditions:
        tree, problems = parse(text)
        assert tree is not None, problems
        made.append((Expr(tree, Text(text, Inline())),))
    return PartitionIndex(made, {})


def rows_of(rng: random.Random, count: int) -> dict[str, list[Any]]:
    def some(values: list[Any]) -> list[Any]:
        return [None if rng.random() < 0.1 else rng.choice(values) for _ in range(count)]

    return {"a": some(TEXTS), "n": some([*range(60), 7.5]), "b": some([True, False]), "c": some(["x", "y"])}


@pytest.mark.parametrize("seed", seeds(4, 12, 30))
def test_columns_decide_as_one_record_is_decided(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(seed)
    keyed = seed % 3 == 0
    if seed % 2:
        monkeypatch.setattr(kernel, "SHARE", 100)  # in threads
    count = rng.choice([300, 6000])
    index = index_of(rules_of(rng, rng.choice([3, 70, 200]), keyed))
    columns = rows_of(rng, count)
    made: dict[str, Column] = {name: from_values(values) for name, values in columns.items()}
    cells = kernel.ColumnIndex(index)
    assert bool(cells.keyed) == (keyed and len(index.rule_of) >= 200) or not keyed

    def column(node: Any) -> Column:
        name = getattr(node, "id", None)
        if name in made:
            return made[name]
        from roe.grammar.closures import compile_expression

        code = compile_expression(node)  # a condition on two fields is a subject of its own
        return from_values([code({CLOCK: clock, **{k: x[i] for k, x in columns.items()}}) for i in range(count)])

    clock = Clock.at("2026-02-01")
    fired = cells.first(column, count)
    held = cells.all(column, count)
    unknown = [0] * max(cells.rules, 1)
    for i in range(count):
        scope = {CLOCK: clock, **{k: x[i] for k, x in columns.items()}}
        first, every = index.first(scope), index.all(scope)
        assert fired.rule[i] == (first.true[0] if first.true else -1), (i, scope)
        assert held.groups[held.group[i]] == (every.true, every.unknown), (i, scope)
        for rule in first.unknown:
            unknown[rule] += 1
    assert fired.unknown.tolist()[: len(unknown)] == unknown


def test_a_constant_and_a_value_of_another_kind_have_cells() -> None:
    index = index_of(['a = "x"', "a > 5", "a = null"])
    cells = kernel.ColumnIndex(index)
    for value in ("x", 9, None, True):
        fired = cells.first(lambda node, value=value: Constant(value, 3), 3)  # type: ignore[misc]
        hits = index.first({"a": value}).true
        assert fired.rule.tolist() == [hits[0] if hits else -1] * 3


POLICY = """roe: 1
name: rules
roles: [ae]
fields: {account: {flag: {type: boolean}}}
engagement:
  account:
    ae:
"""


@pytest.mark.parametrize("count", [5, 80, tries(250, 400, 3000)])
def test_a_rule_set_decides_as_the_index_does(count: int, tmp_path: Any) -> None:
    rng = random.Random(count)
    lines = []
    for i in range(count):
        low = rng.randrange(900)
        parts = [
            f"account.employees in [{low}..{low + 60})",
            f'account.country = "{rng.choice(["US", "DE"])}"',
            "account.flag",
            f"account.revenue > {low}",
        ]
        lines.append(f"      - {{name: r{i}, when: '{' and '.join(rng.sample(parts, 2))}', then: open}}")
    (tmp_path / "policy.yaml").write_text(POLICY + "\n".join(lines) + "\n", "utf-8")
    evaluator = roe.compile(roe.load(tmp_path))
    rules = evaluator.rules("account", "ae", "2026-02-01")
    index = rules.chooser.index
    for number in range(400):
        record = {
            "id": "1", "employees": rng.choice([None, 5, 5.0, True, "5", rng.randrange(1000)]), "country": rng.choice([None, "US", "DE", "FR", 1]),
            "flag": rng.choice([None, True, False, 1, 0]), "revenue": rng.choice([None, False, 0, 1, rng.randrange(1000), [1]]),
        }  # fmt: skip
        hits = index.first({CLOCK: Clock.at("2026-02-01"), "account": record})
        found = rules(record)
        assert (found.name if found else None) == (f"r{hits.true[0]}" if hits.true else None), record
        if number % (count // 80 or 1):  # a trace of 3,000 rules takes its time
            continue
        explained = rules.explain(record)
        assert explained.rule is found and explained.choice.unknown == hits.unknown
        if hits.true:
            step = explained.trace.as_json()["steps"][0]
            assert [r["name"] for r in step["rules"] if r["fired"]] == [f"r{hits.true[0]}"]


def test_a_rule_set_computes_what_its_rules_read(tmp_path: Any) -> None:
    text = POLICY.replace("engagement:", 'define: {account.big: "account.employees > 100"}\nengagement:')
    (tmp_path / "policy.yaml").write_text(text + "      - {name: big, when: account.big, then: open}\n", "utf-8")
    rules = roe.compile(roe.load(tmp_path)).rules("account", "ae", "2026-02-01")
    big = rules({"id": "1", "employees": 500})
    assert big is not None and big.name == "big"
    assert rules({"id": "2", "employees": 5}) is None and rules({"id": "3"}) is None
    assert rules.explain({"id": "3"}).choice.unknown == (0,)


def test_near_rules_are_the_same_with_an_index_and_without(tmp_path: Any) -> None:
    rng = random.Random(5)
    lines = [
        f"      - {{name: r{i}, when: 'account.employees < {rng.randrange(100)} and account.revenue > {rng.randrange(100)} and account.flag', then: open}}"
        for i in range(90)
    ]
    (tmp_path / "policy.yaml").write_text(POLICY + "\n".join(lines) + "\n", "utf-8")
    evaluator = roe.compile(roe.load(tmp_path))
    asked, indexed = (roe.compile(evaluator.policy).compiled.engagement["account", "ae"] for _ in range(2))
    assert indexed.index.plain
    for _ in range(50):
        record = {
            "employees": rng.choice([None, rng.randrange(100)]),
            "revenue": rng.randrange(100),
            "flag": rng.choice([True, False, None]),
        }
        scope = {CLOCK: Clock.at("2026-02-01"), "account": record}
        assert asked.near(scope, 80, 5) == indexed.near(scope, 80, 5)

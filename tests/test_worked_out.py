"""What is worked out from a policy and kept beside it says what working it out again says, and counts for that policy alone."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import roe
from helpers import policy_text
from roe import cache
from roe.grammar.clock import Clock
from roe.grammar.scopes import CLOCK
from roe.plan.index import PartitionIndex, RuleTests
from roe.plan.operators import Choose, Rule
from roe.policy import worked_out
from roe.policy.circles import circles
from roe.policy.reads import reads
from roe.policy.worked_out import WorkedOut, index_of
from roe.source import Inline, Text
from test_index import LISTS, expr

CONDITIONS = [
    'c = "DE"', 'c in ("DE", "FR")', 'not(c in ("DE", "FR"))', "c in short", "c not in short", "c = null", "c != null", "n > {k}", "n in [{k}..50)",
    "n between {k} and 40", "not(n >= {k})", 'n > {k} or c = "FR"', "n > m + {k}", "b", "b = true", 'd < date("2026-01-{k}")', "n = {k}.5", "not(n > {k} and b)",
    "(n > {k}) = true", 'd = date and time("2026-01-{k}T10:00:00Z")',
]  # fmt: skip
VALUES: dict[str, list[Any]] = {
    "c": [None, "DE", "FR", "US", 7, True],
    "n": [None, 9, 10, 11.5, 12, 30, 50, "DE", True],
    "m": [None, 1, -30],
    "b": [None, True, False, 1],
    "d": [None, date(2026, 1, 9), date(2026, 1, 15), date(2026, 2, 1), "2026"],
}
SHORT = {**LISTS, "short": ["DE", "AT"]}


@pytest.mark.parametrize("seed", range(25))
def test_an_index_from_kept_tests_decides_as_the_rules_do(seed: int, tmp_path: Path) -> None:
    """Values of kinds that the rules do not expect are among the records: for them a kept test asks its rule."""
    rng = random.Random(seed)
    texts = [
        [x.format(k=rng.randint(10, 28)) for x in rng.sample(CONDITIONS, rng.choice([1, 2, 3]))] for _ in range(rng.choice([1, 5, 40]))
    ]
    rules = tuple(Rule(Text(str(i), Inline("t")), tuple(map(expr, rule)), i) for i, rule in enumerate(texts))
    step = Choose("account", "tier", "scores", "first", rules)
    again = {}
    for time in ("first", "second"):
        policy: Any = SimpleNamespace(root=tmp_path, worked_out=WorkedOut(tmp_path / "more.json", "digest"))
        again[time] = index_of(policy, step, SHORT)
    fresh = PartitionIndex([rule.conditions for rule in rules], SHORT)
    for _ in range(60):
        row = {name: rng.choice(some) for name, some in VALUES.items()}
        scope = {**SHORT, CLOCK: Clock.at("2026-01-15"), **row}
        for index in again.values():
            assert index.all(scope) == fresh.all(scope), (texts, row)
            assert index.first(scope) == fresh.first(scope), (texts, row)
    assert again["second"].plain == fresh.plain


POLICY = """
roe: 1
name: t
roles: [ae]
define: {account.large: account.employees > 100}
engagement:
  account:
    ae:
      - {name: german, when: 'account.country = "DE" and account.large', then: {assign: '"ann"'}}
      - {name: rest, when: 'account.employees > 5', then: {assign: '"bob"'}}
"""
ACCOUNTS = [
    {"id": f"A{i}", "country": c, "employees": n} for i, (c, n) in enumerate((c, n) for c in ("DE", "FR") for n in range(0, 200, 10))
]


def _owners(policy: Any) -> dict[str, str | None]:
    return {d.id: d.owner for d in roe.compile(policy).run({"account": ACCOUNTS}, as_of="2026-02-01").decisions}


@pytest.fixture
def large_policies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "LARGE", 0)


@pytest.mark.usefixtures("large_policies")
def test_what_is_kept_counts_while_the_files_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = policy_text(tmp_path / "p", POLICY)
    policy = roe.load(folder)
    owners, fields = _owners(policy), reads(policy)
    assert ("account", "employees") in fields and circles(policy) == []

    with monkeypatch.context() as patch:
        patch.setattr(RuleTests, "of", lambda *_: pytest.fail("the rules were taken apart again"))
        known = roe.load(folder)
        assert _owners(known) == owners and reads(known) == fields and circles(known) == []
    policy_text(folder, POLICY.replace("DE", "FR"))
    assert _owners(roe.load(folder)) != owners


@pytest.mark.usefixtures("large_policies")
def test_a_policy_with_another_part_knows_nothing(tmp_path: Path) -> None:
    policy = roe.load(policy_text(tmp_path / "p", POLICY))
    assert policy.worked_out is not None and replace(policy, plan=policy.plan).worked_out is None


@pytest.mark.usefixtures("large_policies")
@pytest.mark.parametrize("damage", ["", "{", "[]", "null", '{"digest": 1}', '{"values": {"reads": []}, "digest": "of another"}'])
def test_a_damaged_file_is_worked_out_again(damage: str, tmp_path: Path) -> None:
    folder = policy_text(tmp_path / "p", POLICY)
    policy = roe.load(folder)
    assert policy.worked_out is not None and policy.worked_out.place is not None
    fields, place = reads(policy), policy.worked_out.place
    place.write_text(damage, "utf-8")
    assert reads(roe.load(folder)) == fields
    assert set(json.loads(place.read_text("utf-8"))["values"]) == {"reads"}


def test_a_small_policy_keeps_nothing_more(tmp_path: Path) -> None:
    assert roe.load(policy_text(tmp_path / "p", POLICY)).worked_out is None


def test_tests_with_very_many_constants_are_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worked_out, "MOST_POINTS", 1)
    rules = tuple(Rule(Text(x, Inline("t")), (expr(f'c = "{x}"'),), x) for x in "abc")
    step = Choose("account", "tier", "scores", "first", rules)
    for _ in range(2):
        policy: Any = SimpleNamespace(root=tmp_path, worked_out=WorkedOut(tmp_path / "more.json", "digest"))
        assert index_of(policy, step, {}).first({CLOCK: Clock.at("2026-01-01"), "c": "b"}).true == (1,)
    assert list(json.loads((tmp_path / "more.json").read_text("utf-8"))["values"].values()) == [None]

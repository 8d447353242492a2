"""Relations by key, `latest` and `earliest`, ancestors, strict ranks and the fiscal year: against plain loops over the records, in every engine."""

from __future__ import annotations

import random
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import pytest

import roe
from databases import ENGINES, postgres_programs, staged
from roe.columns.run import ColumnRun
from roe.grammar.functions.sales import domain
from roe.stages.build import build

pytest.importorskip("sqlglot")
from test_one_language import from_sql, plain, selected

POLICY = """roe: 1
name: relations
roles: [ae]
fiscal_year: FISCAL
fields:
  account:
    site_leads: {many: lead, by: domain(lead.email), equals: domain(account.website)}
    named: {many: lead, via: company, equals: account.name}
  lead:
    same_company: {many: lead, via: company}
  activity: {minutes: {type: number}}
scores:
  top: {rank: {of: account.employees, within: account.country, ties: strict}}
define:
  account.sites: count(account.site_leads)
  account.names: count(account.named)
  account.names_demo: count(account.named[form = "demo"])
  account.last: latest(account.activities, date).type
  account.first: earliest(account.activities, date).type
  account.last_call: latest(account.activities[type = "call"], item.date).id
  account.longest: latest(account.activities, minutes * 2).minutes
  account.above: count(account.ancestors)
  account.near: account.ancestors[owner.ae != null][1].id
  account.year: fiscal_year(account.created)
  account.quarter: fiscal_quarter(account.created)
  account.rank: account.top.rank
  lead.companions: count(lead.same_company)
engagement: {account: {ae: [{name: all, then: keep}]}}
"""


def records(rng: random.Random) -> dict[str, list[dict[str, Any]]]:
    def some(values: list[Any], missing: float = 0.25) -> Any:
        return None if rng.random() < missing else rng.choice(values)

    ids = [f"A{i:02}" for i in range(30)]
    names = ["Acme", "acme", "Bolt", "Café"]
    days = [f"2025-{m:02}-{d:02}" for m in range(1, 13) for d in (1, 28)]
    return {
        "account": [
            {"id": i, "name": some(names, 0), "website": some(["https://www.acme.com/x", "shop.acme.com", "bolt.de", "bad"]), "parent": some(ids, 0.4),
             "owner": some(["ann"]), "employees": some([1, 5, 5, 9]), "country": some(["US", "DE"], 0), "created": some(days)}
            for i in ids
        ],
        "lead": [{"id": f"L{i:02}", "email": some(["x@acme.com", "y@bolt.de", "z@gmail.com"]), "company": some(names), "form": some(["demo"])} for i in range(20)],
        "activity": [
            {"id": f"T{i:02}", "account": some(ids[:12]), "type": some(["call", "mail"]), "date": some(days[:6]), "minutes": some([1, 2, 2.5])} for i in range(60)
        ],
        "rep": [{"id": "ann"}],
    }  # fmt: skip


def expected(data: dict[str, list[dict[str, Any]]], fiscal: int, named_by_end: bool) -> dict[str, dict[str, Any]]:
    accounts = {a["id"]: a for a in data["account"]}
    out: dict[str, dict[str, Any]] = {}
    for a in data["account"]:
        site = domain(a["website"]) if a["website"] else None
        mine = [x for x in data["activity"] if x["account"] == a["id"]]

        def best(items: list[Any], key: Any, most: bool) -> Any:
            known = [x for x in items if x[key] is not None]
            chosen = None
            for x in known:
                if chosen is None or (x[key] > chosen[key] if most else x[key] < chosen[key]):
                    chosen = x
            return chosen or {}

        chain: list[Any] = []
        at = a
        while at["parent"] and at["parent"] not in [a["id"], *(c["id"] for c in chain)]:
            at = accounts[at["parent"]]
            chain.append(at)
        day = date.fromisoformat(a["created"]) if a["created"] else None
        same = sorted((-b["employees"], b["id"]) for b in data["account"] if b["country"] == a["country"] and b["employees"] is not None)
        leads = data["lead"]
        out[a["id"]] = {
            "sites": sum(bool(site and x["email"] and domain(x["email"]) == site) for x in leads),
            "names": sum(x["company"] == a["name"] for x in leads),
            "names_demo": sum(x["company"] == a["name"] and x["form"] == "demo" for x in leads),
            "last": best(mine, "date", True).get("type"),
            "first": best(mine, "date", False).get("type"),
            "last_call": best([x for x in mine if x["type"] == "call"], "date", True).get("id"),
            "longest": best(mine, "minutes", True).get("minutes"),
            "above": len(chain),
            "near": next((c["id"] for c in chain if c["owner"]), None),
            "year": None if day is None else day.year + ((day.month >= fiscal) - (not named_by_end)) * (fiscal > 1),
            "quarter": None if day is None else (day.month - fiscal) % 12 // 3 + 1,
            "rank": None if a["employees"] is None else same.index((-a["employees"], a["id"])) + 1,
        }
    return out


@pytest.mark.parametrize(
    ("seed", "fiscal", "month", "by_end"),
    [
        (1, "February", 2, True),
        (2, "{starts: Oct, named_by: end}", 10, True),
        (3, "{starts: July, named_by: start}", 7, False),
        (4, "January", 1, True),
    ],
)
def test_every_engine_finds_what_plain_loops_find(seed: int, fiscal: str, month: int, by_end: bool, tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(POLICY.replace("FISCAL", fiscal), "utf-8")
    evaluator = roe.compile(roe.load(tmp_path))
    data = records(random.Random(seed))
    want = expected(data, month, by_end)
    names = list(next(iter(want.values())))
    bound = evaluator.bind(data, as_of="2026-02-01")
    assert {row["id"]: {n: plain(row[n]) for n in names} for row in bound.world.rows["account"]} == want
    companies = Counter(x["company"] for x in data["lead"] if x["company"])
    assert {row["id"]: row["companions"] for row in bound.world.rows["lead"]} == {x["id"]: companies[x["company"]] for x in data["lead"]}
    world = ColumnRun.of(evaluator, data, as_of="2026-02-01").world
    for n in names:
        found = world.tables["account"].column(n)
        assert found is not None and [plain(x) for x in found.values()] == [want[i][n] for i in sorted(want)], n
    for dialect, run in ENGINES:
        if dialect == "postgres" and not postgres_programs():
            continue
        sql, kinds, statement, _ = selected(evaluator, dialect, names)
        assert kinds.keys() == set(names) - {"sites", "above", "near", "rank"}, dialect
        assert all(d.code == "R408" for d in statement.diagnostics)
        for row in run(sql, staged(bound.world)):
            assert {n: from_sql(row[n], kind) for n, kind in kinds.items()} == {n: want[row["id"]][n] for n in kinds}, (dialect, row)


@pytest.mark.parametrize(
    ("field", "code", "said"),
    [
        ("{many: lead, via: nothing}", "R204", "no field"),
        ("{many: lead, via: created_by}", "R205", "refers to a rep"),
        ("{many: lead, via: company}", "R304", "equals"),
        ("{many: lead, by: lead.email}", "R304", "needs `equals`"),
        ("{many: lead, by: lead.email, equals: account.employees}", "R205", "never equal"),
        ("{many: lead, by: lead.nothing, equals: account.name}", "R204", "unknown field"),
        ("{many: nothing, by: lead.email, equals: account.name}", "R504", "no entity"),
    ],
)
def test_a_relation_that_cannot_be_is_said(field: str, code: str, said: str, tmp_path: Path) -> None:
    text = f"roe: 1\nname: x\nfields: {{account: {{it: {field}}}}}\nengagement: {{account: {{owner: [{{name: all, then: open}}]}}}}\n"
    (tmp_path / "policy.yaml").write_text(text, "utf-8")
    policy, found = build(tmp_path)
    assert policy is None and any(d.code == code and said in d.message + d.help for d in found), found


def test_a_month_that_is_none_is_said(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(
        "roe: 1\nname: x\nfiscal_year: Febuary\nengagement: {account: {owner: [{name: all, then: open}]}}\n", "utf-8"
    )
    policy, found = build(tmp_path)
    assert policy is None and [d.code for d in found] == ["R311"] and "february" in found[0].help

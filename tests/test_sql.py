"""`roe compile`: what the SQL decides is what the row evaluator decides, on DuckDB and on SQLite."""

from __future__ import annotations

import random
import sqlite3
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

import roe
from helpers import AS_OF, EXAMPLES
from made_policies import CONDITIONS, DEFINITIONS, condition, fill, make_data
from roe.data.read import read_tables
from roe.evaluator.world import Row

sqlglot = pytest.importorskip("sqlglot")
from roe.policy.standard import FILES  # noqa: E402
from roe.sql import DIALECTS  # noqa: E402
from roe.sql.statement import UNDECIDED, compile_sql  # noqa: E402

ENTITY = {"inbound": "lead", "distribution": "lead", "matching": "lead"}  # of the rules that are compiled; accounts elsewhere
STATEFUL = {"territories", "scoring"}  # they rest on what the state froze, or on ranks among all records, so hardly a rule is for SQL


def staged(world: Any) -> dict[str, tuple[list[str], list[str], list[list[Any]]]]:
    """The sources that the SQL reads: (columns, types, rows) by table; references and owners as ids."""
    out = {}
    for entity, fields in world.policy.model.entities.items():
        names = [n for n, f in fields.items() if not f.via and f.type.name != "owners"]
        types = {"number": "DOUBLE", "boolean": "BOOLEAN", "date": "DATE", "date and time": "TIMESTAMPTZ"}
        kinds = [types.get(fields[n].type.name, "VARCHAR") for n in names] + ["VARCHAR"] * len(world.policy.roles)
        rows = [
            [_cell(dict.get(row, n)) for n in names]
            + [_cell(row["owner"].get(r)) if "owner" in fields else None for r in world.policy.roles]
            for row in world.rows[entity]
        ]
        out[FILES.get(entity, (entity + "s",))[0]] = ([*names, *(f"owner_{r}" for r in world.policy.roles)], kinds, rows)
    return out


def _cell(value: Any) -> Any:
    return value["id"] if isinstance(value, Row) else value


def on_duckdb(sql: str, tables: Any) -> list[dict[str, Any]]:
    duckdb = pytest.importorskip("duckdb")
    con = duckdb.connect()
    for name, (columns, kinds, rows) in tables.items():
        declared = ", ".join(f'"{c}" {k}' for c, k in zip(columns, kinds, strict=True))
        con.execute(f"CREATE TABLE {name} ({declared})")
        if rows:
            con.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * len(columns))})", rows)
    found = con.execute(sql)
    names = [d[0] for d in found.description]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def on_sqlite(sql: str, tables: Any) -> list[dict[str, Any]]:
    con = sqlite3.connect(":memory:")
    for name, (columns, _, rows) in tables.items():
        declared = ", ".join(f'"{c}"' for c in columns)
        con.execute(f"CREATE TABLE {name} ({declared})")
        plain = [
            [x.isoformat(" ") if isinstance(x, datetime) else x.isoformat() if isinstance(x, date) else x for x in row] for row in rows
        ]
        con.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * len(columns))})", plain)
    found = con.execute(sql)
    names = [d[0] for d in found.description]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def compare(evaluator: Any, data: Any, entity: str, as_of: str, engines: Any = (("duckdb", on_duckdb), ("sqlite", on_sqlite))) -> int:
    """Every record that the SQL decides, it decides as the row evaluator does; how many it left."""
    bound = evaluator.bind(data, as_of=as_of)
    tables = staged(bound.world)
    ids = {row["id"] for row in bound.world.rows["rep"]}
    decisions = {(d.id, d.role): d for d in bound.decide_all() if d.entity == entity}
    left = 0
    for dialect, run in engines:
        query = compile_sql(evaluator.compiled, entity, dialect, evaluator.clock(as_of))
        found = run(query.sql, tables)
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
    return left


@pytest.mark.parametrize("name", sorted(AS_OF))
def test_examples(name: str) -> None:
    policy = roe.load(EXAMPLES / name)
    data, _ = read_tables(policy, EXAMPLES / name / "data")
    compare(roe.compile(policy), data, ENTITY.get(name, "account"), AS_OF[name])


def test_most_rules_of_the_examples_compile_for_every_dialect() -> None:
    for dialect in DIALECTS:
        rules = translated = 0
        for name, as_of in AS_OF.items():
            entity = ENTITY.get(name, "account")
            evaluator = roe.compile(roe.load(EXAMPLES / name))
            for clock in (evaluator.clock(as_of), None):
                query = compile_sql(evaluator.compiled, entity, dialect, clock)
                assert sqlglot.parse_one(query.sql, dialect=dialect) is not None
                assert query.translated == query.rules or query.found
                if name not in STATEFUL:
                    rules, translated = rules + query.rules, translated + query.translated
        assert translated >= 0.9 * rules, dialect


PLAIN = [c for c in CONDITIONS if "lower_case" not in c and "date(" not in c and "for a in" not in c and "ultimate" not in c]


@pytest.mark.parametrize("part", range(5))
def test_random_policies(part: int, tmp_path: Path) -> None:
    left = 0
    for seed in range(part, 60, 5):
        rng = random.Random(seed)
        folder = tmp_path / str(seed)
        folder.mkdir()
        (folder / "policy.yaml").write_text(_policy(rng), "utf-8")
        left += compare(roe.compile(roe.load(folder)), make_data(rng, 40), "account", "2026-02-01")
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

"""Rows, columns and SQL are one language: random expressions have one value for every record, or are refused with a reason."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import roe
from databases import ENGINES, staged
from effort import tries
from random_expressions import POLICY, expressions, records
from roe.evaluator.row import Row
from roe.grammar import values as v
from roe.grammar.parser import parse
from roe.grammar.printer import show
from roe.stages.build import build

pytest.importorskip("pyarrow")
pytest.importorskip("sqlglot")
from sqlglot import exp

from roe.columns.run import ColumnRun
from roe.sql.query import SqlScalar
from roe.sql.statement import Statement, printed

EXPRESSIONS, EACH, PARTS = tries((50, 25, 2), (100, 25, 4), (10_000, 25, 4))  # in all, in one policy, and tests
AS_OF = "2026-02-01T09:30"


def made(rng: random.Random, folder: Path, count: int) -> tuple[Any, list[str], Counter[str]]:
    """A policy that defines expressions, as values `e0`, … and, if they are conditions, as rules `s0`, …; those that the checker refuses go."""
    folder.mkdir(parents=True)
    texts = expressions(rng, count)
    refused: Counter[str] = Counter()
    while True:
        quoted = [text.replace("'", "''") for text in texts]
        lines = [*POLICY.splitlines(), "define:", *(f"  account.e{i}: '{text}'" for i, text in enumerate(quoted))]
        first = lines.index("define:") + 2
        lines.append("engagement: {account: {ae: [{name: all, then: open}]}}")
        (folder / "policy.yaml").write_text("\n".join(lines) + "\n", "utf-8")
        policy, found = build(folder)
        if policy is not None:
            break
        wrong = {d.span.line - first for d in found if d.severity == "error"}
        assert all(0 <= i < len(texts) for i in wrong), found
        refused.update(d.code for d in found if d.severity == "error")
        texts = [text for i, text in enumerate(texts) if i not in wrong]
    yes = [i for i in range(len(texts)) if policy.model.field_type("account", f"e{i}").name == "boolean"]  # type: ignore[union-attr]
    scores = [f"  s{i}: {{criteria: [{{name: it, when: '{quoted[i]}', points: 1}}]}}" for i in yes]
    (folder / "policy.yaml").write_text("\n".join([*lines, *(["scores:", *scores] if scores else [])]) + "\n", "utf-8")
    return roe.load(folder), texts, refused


def plain(value: Any) -> Any:
    if isinstance(value, Row):
        return ("record", value.entity, value["id"])
    if isinstance(value, list):
        return [plain(x) for x in value]
    return value


def same(a: Any, b: Any) -> bool:
    """One value and one kind; moments as moments."""
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, tuple) or isinstance(b, tuple):
        return bool(a == b)
    return (v.kind(a) == v.kind(b) or {v.kind(a), v.kind(b)} == {"any"}) and (a is b or v.equal(a, b) is True)


def from_sql(value: Any, kind: str) -> Any:
    """A database's value as the language has it."""
    from datetime import date, datetime

    if value is None:
        return None
    if kind == "boolean":
        return bool(value)
    if kind == "number":
        return v.number(int(value) if isinstance(value, int) or (value == int(value) and abs(value) <= v.EXACT) else float(value))
    if kind == "date":
        return date.fromisoformat(value) if isinstance(value, str) else value.date() if isinstance(value, datetime) else value
    if kind == "date and time" and isinstance(value, str):  # SQLite hands the staged text on
        return datetime.fromisoformat(value)
    return value


def selected(evaluator: Any, dialect: str, names: list[str]) -> tuple[str, dict[str, str], Statement, exp.Expression]:
    """A statement that gives the values of steps, and the kinds of those that could be put into it."""
    statement = Statement(evaluator.compiled, "account", dialect, evaluator.clock(AS_OF), {})
    for name in names:
        statement.make(("account", name))
    query, t = statement.start("account")
    kinds, columns = {}, [exp.column("id", table="r")]
    for name in names:
        reader = statement._ready.get(("account", name))
        found = reader(t, t.names["account"]) if reader is not None else None
        if isinstance(found, SqlScalar):
            kinds[name] = found.kind
            columns.append(exp.alias_(found.sql, name))
    final = query.select(*columns)
    for table in statement.tables:
        final = final.with_(table.name, as_=table.query, copy=False)
    return printed(final, dialect), kinds, statement, final


def compare(policy: Any, data: Any, engines: Any, counts: Counter[str]) -> None:
    evaluator = roe.compile(policy)
    bound = evaluator.bind(data, as_of=AS_OF)
    names = [name for of, name in policy.plan.steps if of == "account" and name[0] in "es" and name[1:].isdigit()]
    rows = bound.world.rows["account"]
    by_rows = {name: [plain(row[name]) for row in rows] for name in names}
    columns = ColumnRun.of(evaluator, data, as_of=AS_OF).world.tables["account"]
    ids = [row["id"] for row in rows]
    for name in names:
        found = columns.column(name)
        values = [None] * len(ids) if found is None else [plain(x) for x in found.values()]
        for i, (a, b) in enumerate(zip(by_rows[name], values, strict=True)):
            assert same(a, b), f"columns: {policy.plan.steps['account', name]} of {ids[i]}: {a!r} by rows, {b!r} by columns"
            counts["rows = columns"] += 1
    tables = staged(bound.world)
    for dialect, run in engines:
        sql, kinds, statement, _ = selected(evaluator, dialect, names)
        counts[f"refused: {dialect}"] += len(names) - len(kinds)
        assert all(d.code == "R408" and d.message for d in statement.diagnostics)
        said = " ".join(d.message for d in statement.diagnostics)
        assert all(name in kinds or name in said for name in names), "what is not in SQL is said"
        found_rows = {row["id"]: row for row in run(sql, tables)}
        for name, kind in kinds.items():
            for i, a in zip(ids, by_rows[name], strict=True):
                b = from_sql(found_rows[i][name], kind)
                step = policy.plan.steps["account", name]
                assert same(a, b), (
                    f"{dialect}: {getattr(step, 'expr', None) or step.rules[0].conditions} of {i}: {a!r} by rows, {b!r} in SQL"
                )
                counts[f"rows = {dialect}"] += 1


@pytest.mark.parametrize("part", range(PARTS))
def test_rows_columns_and_databases_agree(part: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    counts: Counter[str] = Counter()
    for seed in range(part, EXPRESSIONS // EACH, PARTS):
        rng = random.Random(seed)
        policy, texts, refused = made(rng, tmp_path / str(seed), EACH)
        counts["expressions"] += len(texts)
        counts.update({f"checker: {code}": n for code, n in refused.items()})
        try:
            compare(policy, records(rng), [e for e in ENGINES if e[0] != "postgres"], counts)
        except Exception as e:
            raise AssertionError(f"seed {seed}: {e}") from e
    with capsys.disabled():
        print("\n" + ", ".join(f"{name}: {n}" for name, n in sorted(counts.items())))
    assert counts["expressions"] > EXPRESSIONS / PARTS * 0.5


def test_postgresql_agrees(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A real PostgreSQL, which stops at numbers beyond its own: moderate ones only."""
    from databases import postgres

    postgres()
    counts: Counter[str] = Counter()
    for seed in range(1000, 1000 + tries(1, 3, 40)):
        rng = random.Random(seed)
        policy, texts, _ = made(rng, tmp_path / str(seed), EACH)
        counts["expressions"] += len(texts)
        try:
            compare(policy, records(rng, extreme=False), [e for e in ENGINES if e[0] == "postgres"], counts)
        except Exception as e:
            raise AssertionError(f"seed {seed}: {e}") from e
    with capsys.disabled():
        print("\n" + ", ".join(f"{name}: {n}" for name, n in sorted(counts.items())))


def test_what_is_printed_is_what_was_meant(tmp_path: Path) -> None:
    """Printing and `roe fmt` leave the value and the tree of every expression as they are."""
    for seed in range(max(1, EXPRESSIONS // 100)):
        rng = random.Random(seed)
        for text in expressions(rng, 100):
            tree, problems = parse(text)
            assert tree is not None, (text, problems)
            assert parse(show(tree))[0] == tree, text
            assert show(parse(show(tree))[0]) == show(tree), text  # type: ignore[arg-type]

"""Missing is unknown: a rule fires on true alone, whatever the construct, in every engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import roe
from databases import ENGINES, postgres_programs, staged
from roe.columns.run import ColumnRun

pytest.importorskip("sqlglot")
from test_one_language import from_sql, selected

# conditions in which every part needs the missing value: number, text, date, moment, flag, and two ends of a range
CONDITIONS = [
    "x < 5", "x >= 5", "5 > x", "x between 1 and 5", "x between 5 and 1", "x in [1..5]", "x in (1..5)", "x not in [1..5]", "x in [low..high]",
    "x not in [low..high]", "x in (< 5, > 9)", "x not in (< 5, > 9)", "x + 1 > 5", "-x < 5", "not(x > 5)", "not(not(x > 5))",
    "x > 5 and x < 9", "x > 5 or x < 9", "x > 5 and true", "x > 5 or false", "abs(x) > 1", "odd(x)", "even(x)", "x / 0 > 1", "x ** 2 > 1",
    'contains(t, "a")', 'starts_with(t, "a")', 'ends_with(t, "a")', 'matches(t, "a")', 'not(contains(t, "a"))', "string_length(t) > 1", "t in words",
    "d < today", "d >= today - 30 days", 'd in [@"2026-01-01"..@"2026-03-31"]', "today - d > 3 days", "within(d, 30 days)", "d + 1 months > today",
    "d.year > 2020", "m < now", "now - m > 2 hours", "b", "not(b)", "b and true", "b or false", "x > low", "low < x and x < high",
    "3 between low and high", "3 in [low..high]", "some y in [x] satisfies y > 1", "every y in [x] satisfies y > 1", "fiscal_year(d) > 2020",
    "fiscal_quarter(d) in [1..4]", "max([x, 1]) > 0", "x in split(t, \",\")",
]  # fmt: skip
TRUE_ANYWAY = {"t in words"}  # a list does not hold a missing value: false, and so true where it is negated
CELLS = {
    "x": [
        "< 5", ">= 5", "[1..5]", "(1..5]", "]1..5[", "1-499", "1..499", "500+", "1, 2", "[1..5], > 9", "not(? > 5)", "? >= 500 and ? < 5000", "? > 5 or ? < 3", "? + 1 > 5",
        "? between 1 and 5", "? in [1..5]", "? not in [1..5]", "? in [low..high]", "[low..high]", "(low..high)", "< low", "abs(?) > 1", "odd(?)", "not(odd(?))", "not(< 5)",
        "not([1..5])", "-1", "? > low", "? not in [low..high]",
    ],
    "t": ['"a"', "a, b", 'ends_with(?, "a")', 'not(ends_with(?, "a"))', 'contains(?, "a")', 'starts_with(?, "a") or ends_with(?, "b")', 'matches(?, "a")', "string_length(?) > 1", "94*", "90001-93999", "in words", "words",
          'split(t, ",")'],
    "d": ["< 2026-01-01", "[2026-01-01..2026-03-31]", "2026-01-01", "2026-01-01..2026-03-31", "> today", "[today - 30 days..today]", "? < today", "within(?, 30 days)", "? + 1 days > today", "not(within(?, 30 days))", "not(> today)"],
    "b": ["true", "false", "?", "not(?)"],
}  # fmt: skip
POLICY = """roe: 1
name: missing
roles: [ae]
fields: {account: {x: number, low: number, high: number, t: string, d: date, m: datetime, b: boolean}}
lists: {words: [a, b]}
"""


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def fired(folder: Path, text: str, names: list[str]) -> dict[str, set[str]]:
    """For each engine the steps that have a value for a record of which everything is missing."""
    folder.mkdir()
    (folder / "policy.yaml").write_text(POLICY + text + "engagement: {account: {ae: [{name: all, then: open}]}}\n", "utf-8")
    evaluator = roe.compile(roe.load(folder))
    data: dict[str, Any] = {"account": [{"id": f"A{i:02}"} for i in range(12)]}  # enough for the index, which is not asked at first
    bound = evaluator.bind(data, as_of="2026-02-01")
    rows = {n for n in names for row in bound.world.rows["account"] if row[n]}
    table = ColumnRun.of(evaluator, data, as_of="2026-02-01").world.tables["account"]
    columns = {n for n in names if any(c.values() if (c := table.column(n)) is not None else ())}
    out = {"rows": rows, "columns": columns}
    for dialect, run in ENGINES:
        if dialect != "postgres" or postgres_programs():
            sql, kinds, _, _ = selected(evaluator, dialect, names)
            found = run(sql, staged(bound.world))[0]
            out[dialect] = {n for n, kind in kinds.items() if from_sql(found[n], kind)}
            assert len(kinds) > len(names) / 4, "some of them have a form in SQL"
    return out


def test_a_condition_on_what_is_missing_is_unknown(tmp_path: Path) -> None:
    scope = dict.fromkeys(["x", "low", "high", "t", "d", "m", "b"]) | {"words": ["a", "b"]}
    for text in CONDITIONS:
        assert roe.evaluate(text, scope) is (False if text in TRUE_ANYWAY else None), text
        assert roe.evaluate(f"not({text})", scope) is (True if text in TRUE_ANYWAY else None), text


def test_a_rule_on_what_is_missing_does_not_fire(tmp_path: Path) -> None:
    import re

    full = [re.sub(r"\b(x|low|high|t|d|m|b)\b(?!\()", r"account.\1", text) for text in CONDITIONS]
    texts = [*full, *(f"not({text})" for text, short in zip(full, CONDITIONS, strict=True) if short not in TRUE_ANYWAY)]
    lines = [f"  s{i}: {{criteria: [{{name: it, when: {quoted(text)}, points: 1}}]}}" for i, text in enumerate(texts)]
    names = [f"s{i}" for i in range(len(texts))]
    for engine, found in fired(tmp_path / "p", "scores:\n" + "\n".join(lines) + "\n", names).items():
        assert not found, (engine, [texts[int(n[1:])] for n in found])


def test_a_cell_on_what_is_missing_does_not_fire(tmp_path: Path) -> None:
    cells = [(column, cell) for column, found in CELLS.items() for cell in found]
    lines = [
        f"  s{i}: {{hit: first, outputs: [s{i}], rows: [{{{column}: {quoted(cell)}, s{i}: 1}}]}}" for i, (column, cell) in enumerate(cells)
    ]
    names = [f"s{i}" for i in range(len(cells))]
    for engine, found in fired(tmp_path / "p", "tables:\n" + "\n".join(lines) + "\n", names).items():
        assert not found, (engine, [cells[int(n[1:])] for n in found])


def test_what_asks_for_a_missing_value_finds_it(tmp_path: Path) -> None:
    cells = ["null", "? = null", 'not("a")', '? != "a"', 'null, "a"']
    lines = [f"  s{i}: {{hit: first, outputs: [s{i}], rows: [{{t: {quoted(cell)}, s{i}: 1}}]}}" for i, cell in enumerate(cells)]
    names = [f"s{i}" for i in range(len(cells))]
    for engine, found in fired(tmp_path / "p", "tables:\n" + "\n".join(lines) + "\n", names).items():
        assert found == set(names), (engine, set(names) - found)

"""Cells as people write them: days in columns of dates, bands in columns of numbers, and defaults that are numbers."""

from __future__ import annotations

import random
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import roe
from helpers import policy_text
from roe.policy import cells
from roe.stages.build import build

POLICY = """roe: 1
name: cells
roles: [ae]
fields: {account: {signed: {type: date}, seen: {type: datetime}, stage: {type: string}}}
lists: {strategic: {values: [US, CA]}}
tables: {it: {hit: first, outputs: [it], rows: [{COLUMN: CELL, it: yes}]}}
engagement: {account: {ae: [{name: all, then: open}]}}
"""


def passing(folder: Path, column: str, cell: str, values: list[Any]) -> list[Any]:
    """Which of some values of a column pass a cell."""
    quoted = "'" + cell.replace("'", "''") + "'"
    (folder / "policy.yaml").write_text(POLICY.replace("COLUMN", column).replace("CELL", quoted), "utf-8")
    bound = roe.compile(roe.load(folder)).bind(
        {"account": [{"id": f"A{i:02}", column: x} for i, x in enumerate(values)]}, as_of="2026-02-01"
    )
    return [values[i] for i, row in enumerate(bound.world.rows["account"]) if row["it"] is not None]


DAYS = ["2025-12-31", "2026-01-01", "2026-03-31", "2026-04-01"]


MOMENTS = ["2025-12-31T23:59", "2026-01-01T00:00", "2026-03-31T12:00", "2026-04-01T00:00", None]


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("2026-01-01", MOMENTS[1:2]), ("< 2026-01-01", MOMENTS[:1]), ("<= 2026-03-31", MOMENTS[:3]), (">= 2026-01-01", MOMENTS[1:4]),
        ("> 2026-03-31", MOMENTS[3:4]), ("[2026-01-01..2026-03-31]", MOMENTS[1:3]), ("2026-01-01 to 2026-03-31", MOMENTS[1:3]),
        ("not(2026-01-01)", [MOMENTS[0], *MOMENTS[2:]]), ("2026-01-01, 2026-04-01", [MOMENTS[1], MOMENTS[3]]), ("null", MOMENTS[4:]),
        ("not(null)", MOMENTS[:4]), ('>= @"2026-03-31T12:00:00+00:00"', MOMENTS[2:4]), ("> now - 33 days", MOMENTS[:4]), ("-", MOMENTS),
    ],
)  # fmt: skip
def test_a_day_in_a_column_of_moments_is_the_whole_day(cell: str, expected: list[Any], tmp_path: Path) -> None:
    assert passing(tmp_path, "seen", cell, MOMENTS) == expected


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("2026-01-01", DAYS[1:2]),
        ("< 2026-01-01", DAYS[:1]),
        (">= 2026-01-01", DAYS[1:]),
        ("[2026-01-01..2026-03-31]", DAYS[1:3]),
        ("[2026-01-01..2026-03-31)", DAYS[1:2]),
        ("2026-01-01..2026-03-31", DAYS[1:3]),
        ("2026-01-01 - 2026-03-31", DAYS[1:3]),
        ("2026-01-01 to 2026-03-31", DAYS[1:3]),
        ("2025-12-31, 2026-04-01", [DAYS[0], DAYS[3]]),
        ("2025-12-31, > 2026-03-31", [DAYS[0], DAYS[3]]),
        ("not(2026-01-01)", [DAYS[0], *DAYS[2:]]),
        ("? >= 2026-01-01 and ? < 2026-04-01", DAYS[1:3]),
        ('@"2026-01-01"', DAYS[1:2]),
        ('< @"2026-01-01"', DAYS[:1]),
        ("> today - 32 days", DAYS[1:]),
    ],
)
def test_days_in_a_column_of_dates(cell: str, expected: list[str], tmp_path: Path) -> None:
    assert passing(tmp_path, "signed", cell, DAYS) == expected


STAGES = ["US", "CA", "New York", "in progress", "DE"]


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("strategic", ["US", "CA"]),
        ("in strategic", ["US", "CA"]),
        ("not(in strategic)", STAGES[2:]),
        ("not in strategic", STAGES[2:]),
        ('in strategic, "DE"', ["US", "CA", "DE"]),
        ('in ("US", "DE")', ["US", "DE"]),
        ("in progress", ["in progress"]),
        ("not(US)", STAGES[1:]),
        ("not(US, New York)", ["CA", "in progress", "DE"]),
        ('not("US")', STAGES[1:]),
        ('"New; old"', []),
        ("Not started", []),
        ("NOT FOUND, US", ["US"]),
        ("AT&T, Finance/Insurance, CA", ["CA"]),
    ],
)
def test_words_and_lists_in_a_column_of_texts(cell: str, expected: list[str], tmp_path: Path) -> None:
    assert passing(tmp_path, "stage", cell, STAGES) == expected


NUMBERS = [-3, 0, 1, 49, 50, 499, 500]


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("1-499", [1, 49, 50, 499]),
        ("1 - 499", [1, 49, 50, 499]),
        ("1–499", [1, 49, 50, 499]),
        ("1..499", [1, 49, 50, 499]),
        ("1 to 49", [1, 49]),
        ("0.5-49.5", [1, 49]),
        ("-3-0", [-3, 0]),
        ("500+", [500]),
        ("1-49, 500+", [1, 49, 500]),
        ("1-49, 500", [1, 49, 500]),
        ("< 1, 499..500", [-3, 0, 499, 500]),
        ("not(1-499)", [-3, 0, 500]),
        ("-3", [-3]),
        ("[1..50)", [1, 49]),
        ("5e1", [50]),
        ("5e1+", [50, 499, 500]),
        ("1e0-4.9e1", [1, 49]),
        (">= 5E2", [500]),
    ],
)
def test_bands_in_a_column_of_numbers(cell: str, expected: list[int], tmp_path: Path) -> None:
    assert passing(tmp_path, "employees", cell, NUMBERS) == expected


@pytest.mark.parametrize(
    ("cells", "default", "expected"),
    [
        (("1e3", "5"), "1e2", (1000, 5, 100)),
        (("2.5e-1", "-1e3"), "7", (0.25, -1000, 7)),
        (("1E3", "2E5"), "4E1", ("1E3", "2E5", "4E1")),  # codes, of which spreadsheets like to make numbers
        (("1e3", "small"), "1e2", ("1e3", "small", "1e2")),
    ],
)
def test_a_number_with_an_exponent_is_a_number_in_a_column_of_numbers(
    cells: tuple[str, str], default: str, expected: tuple[Any, ...], tmp_path: Path
) -> None:
    """YAML 1.1 takes `1e3` for a text, and the language for a number (docs/language.md)."""
    rows = f'[{{employees: "< 10", d: {cells[0]}}}, {{employees: "[10..20]", d: {cells[1]}}}]'
    engagement = "engagement: {account: {ae: [{name: all, then: open}]}}"
    text = f"roe: 1\nname: t\nroles: [ae]\ntables: {{d: {{default: {default}, rows: {rows}}}}}\n{engagement}\n"
    evaluator = roe.compile(roe.load(policy_text(tmp_path, text)))
    run = evaluator.run({"account": [{"id": f"A{n:02}", "employees": n} for n in (5, 15, 99)]}, as_of="2026-02-01")
    assert tuple(run.world.values("account", "d")) == expected


@pytest.mark.parametrize(
    ("column", "cell", "code", "said"),
    [
        ("signed", "2026-02-30", "R207", "not a day"),
        ("signed", "2026-03-31 - 2026-01-01", "R207", "ends before it begins"),
        ("employees", "499-1", "R207", "ends before it begins"),
        ("employees", "1,000-4,999", "R207", "comma"),
        ("employees", "1-2-3", "R207", "subtraction"),
        ("employees", "2026-01-01", "R205", '@"2026-01-01"'),
        ("seen", "? < 2026-01-01", "R205", "cannot be compared"),
        ("signed", "31.1.2026", "R207", "`31.1.2026` is not a day"),
        ("signed", "1/31/2026, 2026-02-01", "R207", "`1/31/2026` is not a day"),
        ("signed", ">= 2026/01/31", "R207", "year first"),
        ("signed", "2026-01..2026-03", "R207", "`2026-01` is not a day"),
        ("employees", "1.000-4.999", "R207", "write `1000`, or `1`"),
        ("employees", ">= 2.500", "R207", "write `2500`, or `2.5`"),
        ("employees", "over 499", "R101", "`500+`"),
        ("employees", "up to 499", "R101", "`500+`"),
        ("employees", "> 100 and < 500", "R101", "`[500..2000)`"),
        ("employees", "≥ 500", "R101", "write `>=`"),
        ("employees", "any", "R201", "an empty cell matches everything"),
        ("employees", "*", "R101", "an empty cell matches everything"),
        ("stage", "US; CA", "R207", "write `US, CA`"),
        ("stage", "US | New York | DE", "R207", "write `US, New York, DE`"),
        ("stage", "US or CA or DE", "R207", "write `US, CA, DE`"),
        ("stage", "not US", "R207", "write `not(US)`"),
        ("stage", "NOT (US, CA)", "R207", "write `not(US, CA)`"),
        ("stage", "<> US", "R207", "write `not(US)`"),
        ("stage", "!= New", "R207", "write `not(New)`"),
        ("stage", "*", "R207", "leave the cell empty"),
        ("stage", "*progress*", "R207", 'write `contains(?, "progress")`'),
        ("stage", "*York", "R207", 'write `ends_with(?, "York")`'),
        ("stage", "New Y*", "R207", 'write `starts_with(?, "New Y")`'),
        ("stage", "in stratgic", "R201", "did you mean `strategic`"),
        ("stage", "not in stratgic", "R201", "did you mean `strategic`"),
        ("stage", '"US","CA', "R101", "never closed"),
        ("stage", ">= New York", "R101", "does not belong"),
    ],
)
def test_what_would_be_misread_is_said(column: str, cell: str, code: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(POLICY.replace("COLUMN", column).replace("CELL", "'" + cell + "'"), "utf-8")
    policy, found = build(tmp_path)
    assert policy is None and [d.code for d in found] == [code]
    assert said in f"{found[0].message} {found[0].help}"


@pytest.mark.parametrize(
    "text", ["account.signed < 2026-01-01", "account.employees > 2026-01-01", "account.signed in [2026-01-01..2026-02-01]"]
)
def test_a_day_in_a_condition_is_written_in_quotes(text: str, tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(
        POLICY.replace("COLUMN: CELL, ", "").replace("name: all,", f'name: all, when: "{text}",'), "utf-8"
    )
    policy, found = build(tmp_path)
    assert policy is None and all(d.code == "R205" and '@"2026-0' in d.help for d in found)
    with pytest.raises(roe.PolicyError, match="not a day"):
        roe.evaluate(text, {"account": {}})


@pytest.mark.parametrize(("default", "expected"), [("3", 3), ("-2.5", -2.5), ("0", 0)])
def test_a_default_of_a_table_of_numbers_is_a_number(default: str, expected: float, tmp_path: Path) -> None:
    text = POLICY.replace("rows:", f"default: {default}, rows:").replace("COLUMN: CELL, it: yes", "employees: '>= 100', it: 5")
    (tmp_path / "policy.yaml").write_text(text.replace("it: 5}]", "it: 5}, {employees: '< 0', it: '-'}]"), "utf-8")
    data: Any = {"account": [{"id": "A", "employees": 1}, {"id": "B", "employees": 100}, {"id": "C", "employees": -1}]}
    rows = roe.compile(roe.load(tmp_path)).bind(data, as_of="2026-02-01").world.rows["account"]
    assert [row["it"] for row in rows] == [expected, 5, None]


def test_a_default_that_is_not_a_number_is_said(tmp_path: Path) -> None:
    text = POLICY.replace("rows:", "default: few, rows:").replace("COLUMN: CELL, it: yes", "employees: '>= 100', it: 5")
    (tmp_path / "policy.yaml").write_text(text, "utf-8")
    policy, found = build(tmp_path)
    assert policy is None and [d.code for d in found] == ["R311"]


def test_texts_that_mean_themselves_are_told_by_their_bytes_as_by_their_letters() -> None:
    """Whole arrays and slices, with and without letters beyond ASCII, nulls and words for missing values."""
    pa = pytest.importorskip("pyarrow")
    from roe.columns.cells import _mean_themselves

    rng = random.Random(3)
    words, exact = frozenset({"null", "n/a"}), frozenset({"TBD"})
    cells: Any = SimpleNamespace(words=words, exact=exact)
    plain = ["", " ", "a", " a", "a ", "a b", "null", "NULL", "N/A", "TBD", "tbd", "a~!", "#REF!", "a#", "x" * 30, None]
    for some in (plain, [*plain, "é", "a\tb", "\u00a0a"]):
        for _ in range(200):
            texts = rng.choices(some, k=rng.randint(1, 12))
            start = rng.randrange(len(texts))
            mask = _mean_themselves(pa.array(texts, pa.string())[start:], cells)
            expected = [
                x is None or (re.fullmatch("(?!#)[!-~]([ -~]*[!-~])?", x) is not None and x.lower() not in words and x not in exact)
                for x in texts[start:]
            ]
            assert mask.tolist() == expected, texts[start:]


def test_a_long_cell_is_searched_once() -> None:
    """With patterns that try every way to share out the spaces, this would not end."""
    cell = "US" + " ; CA" * 60 + ' "'
    assert not any(re.fullmatch(pattern, cell) for pattern, _, _ in cells._OTHERWISE)

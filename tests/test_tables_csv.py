"""CSV tables of a policy: what is wrong with their form is an error with its line, and damage is never a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

import damage
from effort import tries
from roe.policy.tables import parse_csv

MANY = tries(60, 150, 20_000)

UNCLOSED = [
    ('a,b\n1,x\n2,"y\n3,z\n', 3, 3),  # to the end of the file
    ('a,b\n1,x\n2,"y\n3,z\n4,"w"\n', 3, 3),  # up to the next quote, which has text behind it
    ('a,b,c\n1,x,p\n2,"y,q\n3,z,r\n4,w",s\n', 3, 3),  # closed by a stray quote below, with as many cells as the header has
    ('a;b\n1;"x\n2;y\n', 2, 3),
    ('sep=;\na;b\n1;"x\n2;y\n', 3, 3),
    ('a,b\n"1"0,x\n', 2, 1),
]


@pytest.mark.parametrize(("text", "line", "column"), UNCLOSED)
def test_a_quote_that_is_not_closed_is_an_error_where_it_opens(text: str, line: int, column: int) -> None:
    table, found = parse_csv(text, "t.csv")
    assert table is None and [(d.code, d.span.line, d.span.column) for d in found] == [("R307", line, column)]
    assert "quote" in found[0].message


def test_quotes_that_are_closed_are_read() -> None:
    text = 'a,b\n"US, CA",x\n"say ""hi""",y\n"one\ntwo",z\n"DE,\nFR,\nIT",w\n6" pipe,v\n'
    table, found = parse_csv(text, "t.csv")
    assert table is not None and not found
    assert [str(r[0]) for r in table.rows] == ["US, CA", 'say "hi"', "one\ntwo", "DE,\nFR,\nIT", '6" pipe']


def test_a_first_line_that_names_the_separator_is_not_the_header() -> None:
    table, found = parse_csv("sep=;\na;b\n1,5;x\n", "t.csv")
    assert table is not None and not found and table.header == ["a", "b"]
    assert table.rows[0] == ["1,5", "x"] and (table.rows[0][1].span().line, table.rows[0][1].span().column) == (3, 5)


def test_an_error_of_the_spreadsheet_is_found_and_a_comment_is_not() -> None:
    """As in a sheet: a row must not stand, or be passed over as a comment, by a cell that a formula left behind."""
    table, found = parse_csv("a,b\n#REF!,x\n# a remark,y\n1,#N/A\n2,#\n3,#2\n4,#WERT!\n", "t.csv")
    assert [(d.code, d.message, d.span.line, d.span.column) for d in found] == [
        ("R430", "the cell holds the error #REF!", 2, 1),
        ("R430", "the cell holds the error #N/A", 4, 3),
        ("R430", "the cell holds the error #WERT!", 7, 3),
    ]
    assert table is not None and [str(r[0]) for r in table.rows] == ["#REF!", "1", "2", "3", "4"]


def test_many_errors_are_counted_and_not_listed() -> None:
    _, found = parse_csv("a,b\n" + "x,#REF!\n" * 1000, "t.csv")
    assert len(found) == 20 and "980 more cells" in found[-1].help


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_a_damaged_table_is_rows_or_diagnostics(kind: str, tmp_path: Path) -> None:
    outcomes, _ = damage.run(kind, MANY, 11, tmp_path)
    assert outcomes.total() == MANY and outcomes["R307"] > MANY / 10

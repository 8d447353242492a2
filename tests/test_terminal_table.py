"""Tables in the terminal: columns stand below each other, and a cell has one line."""

from __future__ import annotations

from roe.cli.table import table


def test_columns_stand_below_each_other() -> None:
    rows: list[list[object]] = [["account.ae", 8, "50.0%"], ["Zoë", None, " two\nlines "]]
    lines = [line.rstrip() for line in table(rows, ["records", "decided", "share"]).splitlines()]
    assert lines == [
        "records     decided    share",
        "----------  ---------  ---------",
        "account.ae  8          50.0%",
        "Zoë                    two lines",
    ]


def test_a_table_without_rows_is_its_headers() -> None:
    assert table([], ["rule", "n"]) == "rule    n\n------  ---"

"""Tables in the terminal, as people see them: columns stand below each other, also where letters are wide or take no place."""

from __future__ import annotations

from roe.cli.table import table, width_of


def test_columns_stand_below_each_other() -> None:
    rows: list[list[object]] = [["account.ae", 8, "50.0%"], ["账户", None, " two\nlines "], ["e\u0301", True, ""]]
    assert table(rows, ["records", "decided", "share"]) == (
        "records     decided    share\n"
        "----------  ---------  ---------\n"
        "account.ae  8          50.0%\n"
        "账户                   two lines\n"
        "e\u0301           True"
    )


def test_a_table_without_rows_is_its_headers() -> None:
    assert table([], ["rule", "n"]) == "rule    n\n------  ---"


def test_width_is_that_of_a_terminal() -> None:
    assert [width_of(text) for text in ("", "abc", "日本", "e\u0301", "a\u200bb", "ｆ")] == [0, 3, 4, 1, 2, 2]

"""Tables on a terminal look as `tabulate` makes them, without the time that it takes to load."""

from __future__ import annotations

from random import Random

from tabulate import tabulate

from roe.cli.common import table, width

CELLS = ("", "a", "Acme Inc.", " in the middle ", "Zoë", "12", "0.50", None, 7, 1.5, True, 12_345)


def test_tables_are_those_of_tabulate() -> None:
    rng = Random(1)
    for _ in range(300):
        headers = rng.choices(("id", "records and role", "", "owner"), k=rng.randint(1, 4))
        rows = [rng.choices(CELLS, k=len(headers)) for _ in range(rng.randint(0, 5))]
        assert table(rows, headers) == tabulate(rows, headers, disable_numparse=True)


def test_width_is_that_of_a_terminal() -> None:
    assert [width(text) for text in ("", "abc", "日本", "é", "e\u0301", "a\u200db")] == [0, 3, 4, 1, 1, 2]

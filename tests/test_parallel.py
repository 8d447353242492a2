"""Work that is shared out gives what it gives alone, in the same order."""

from __future__ import annotations

import pytest

from roe.parallel import PORTION, each


@pytest.mark.parametrize("count", [0, 1, PORTION, 2 * PORTION + 1])
def test_results_come_in_order(count: int) -> None:
    assert list(each(lambda i: i * i, count, "squares", few=2)) == [i * i for i in range(count)]


def test_an_error_in_a_copy_is_an_error_here() -> None:
    with pytest.raises(ZeroDivisionError):
        list(each(lambda i: 1 // (i - PORTION), 2 * PORTION, "shares", few=2))


@pytest.mark.parametrize("few", [2, 1000])
def test_something_else_is_done_once_meanwhile(few: int) -> None:
    done: list[str] = []
    assert list(each(lambda i: i, 300, "numbers", few=few, meanwhile=lambda: done.append("meanwhile"))) == list(range(300))
    assert done == ["meanwhile"]

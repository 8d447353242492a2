"""Tables in the terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

from roe.untrusted import one_line, visible

GAP = 2  # spaces between columns, and at least between a header and the end of its column


def table(rows: Iterable[Iterable[object]], headers: Sequence[str]) -> str:
    """Rows below their headers, each column as wide as its widest cell."""
    lines = [[_cell(x) for x in headers], *([_cell(x) for x in row] for row in rows)]
    columns = list(zip(*lines, strict=True))
    widths = [max(_width(head) + GAP, *map(_width, cells), 0) for head, *cells in columns]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(_line(cells, widths) for cells in lines)


def _cell(value: object) -> str:
    return "" if value is None else visible(one_line(str(value)).strip())


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return (" " * GAP).join(cell + " " * (width - _width(cell)) for cell, width in zip(cells, widths, strict=True)).rstrip()


def _width(text: str) -> int:
    """The places that a text takes in a terminal: Chinese, Japanese and Korean signs take two, and marks on a letter none."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.category(x) in ("Mn", "Me") else 2 if unicodedata.east_asian_width(x) in "WF" else 1 for x in text)

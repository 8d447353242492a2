"""Tables in the terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

from roe.untrusted import one_line

MARGIN = 2  # by which a column is wider than its title, and columns are apart


def table(rows: Iterable[Iterable[object]], headers: Sequence[str]) -> str:
    """The rows below the headers and a line, each column as wide as its widest cell. What is missing is empty."""
    cells = [["" if x is None else one_line(str(x)).strip() for x in row] for row in rows]
    widths = [max([_width(title) + MARGIN, *map(_width, column)]) for title, *column in zip(headers, *cells, strict=True)]
    lines = [headers, ["-" * width for width in widths], *cells]
    apart = " " * MARGIN
    return "\n".join(apart.join(_filled(x, width) for x, width in zip(line, widths, strict=True)).rstrip() for line in lines)


def _filled(text: str, width: int) -> str:
    return text + " " * (width - _width(text))


def _width(text: str) -> int:
    """Columns of a terminal that a text takes: two for a character of Chinese, Japanese or Korean, none for a mark above or below another one."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.category(c) in ("Mn", "Me") else 1 + (unicodedata.east_asian_width(c) in "WF") for c in text)

"""Tables in the terminal: columns of texts below their headers, as wide as a terminal shows them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

from roe.untrusted import one_line

GAP = "  "


def table(rows: Iterable[Iterable[object]], headers: Sequence[str]) -> str:
    cells = [["" if c is None else one_line(c).strip() if isinstance(c, str) else str(c) for c in row] for row in rows]
    widths = [max([width_of(header) + len(GAP), *(width_of(row[i]) for row in cells)]) for i, header in enumerate(headers)]
    return "\n".join(_line(row, widths) for row in (headers, ["-" * width for width in widths], *cells))


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    return GAP.join(cell + " " * (width - width_of(cell)) for cell, width in zip(row, widths, strict=True)).rstrip()


def width_of(text: str) -> int:
    """In places of a terminal: letters of East Asia take two, and what is set above or within another letter takes none."""
    if text.isascii():
        return len(text)
    return sum(_width(c) for c in text)


def _width(letter: str) -> int:
    if unicodedata.category(letter) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in ("W", "F") else 1

"""Tables in the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from roe.cli.lean import without_metadata
from roe.untrusted import one_line


def table(rows: Iterable[Iterable[object]], headers: Sequence[str]) -> str:
    with without_metadata():
        from tabulate import tabulate  # takes longer to load than a short command needs

    cells = [[one_line(c) if isinstance(c, str) else c for c in row] for row in rows]
    return str(tabulate(cells, headers=headers, disable_numparse=True))

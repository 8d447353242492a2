"""Files that appear whole or not at all, and cells that cannot become formulas."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable
from pathlib import Path

from roe.grammar import values as v
from roe.untrusted import is_formula


def safe(value: object) -> str:
    """A cell's text; what a spreadsheet would take for a formula gets an apostrophe in front, as OWASP advises."""
    text = "" if value is None else str(v.string(value)) if not isinstance(value, str) else str(value)
    return "'" + text if is_formula(text) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def csv_text(header: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([safe(cell) for cell in row] for row in rows)
    return text.getvalue()


def write_whole(path: Path, text: str) -> None:
    """Replace a file in one step, so that nobody ever reads half of it."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(text, "utf-8", newline="\n")
    os.replace(draft, path)

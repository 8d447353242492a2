"""The first sheet of a workbook as rows of texts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from roe.data.encoding import Unreadable
from roe.data.scan import Origin, Sheet, drop_marginal, misfit, names_of

MAX_UNPACKED = 1 << 30


def read_spreadsheet(path: Path) -> Sheet:
    """The rows below the header of a workbook's first sheet that is not empty. Raises Unreadable."""
    origin = Origin(str(path))
    rows: list[list[str]] = []
    lines: list[int] = []
    for line, cells in sheet_rows(path):
        if not any(map(str.strip, cells)):
            origin.blank += bool(origin.header)
        elif not origin.header:
            origin.header, origin.twice = names_of(cells)
        else:
            width = len(origin.header)
            cells += [""] * (width - len(cells))
            if any(map(str.strip, cells[width:])):
                origin.rejects.append((line, ", ".join(cells)[:200], misfit(cells, width, ",")))
                continue
            rows.append(cells[:width])
            lines.append(line)
    if not origin.header:
        raise Unreadable("its sheets are empty: not even a header", "export it again", code="R631")
    drop_marginal(rows, lines, origin)
    return Sheet(origin, rows, lines)


def sheet_rows(path: Path) -> list[tuple[int, list[str]]]:
    """(line, cells as the texts that they show) of the first sheet that holds something. Raises Unreadable."""
    try:
        from openpyxl import load_workbook
    except ImportError as e:
        raise Unreadable("reading XLSX needs the package openpyxl", "pip install 'roe[xlsx]', or save it as CSV UTF-8", code="R406") from e
    import zipfile

    try:
        with zipfile.ZipFile(path) as archive:
            if sum(item.file_size for item in archive.infolist()) > MAX_UNPACKED:
                raise Unreadable(f"it unpacks to more than {MAX_UNPACKED >> 20} MiB", "save it as CSV UTF-8", code="R309")
        book = load_workbook(path, read_only=True, data_only=True, keep_links=False)
        try:
            for page in book.worksheets:
                page.reset_dimensions()
                found = [(i, [_cell(c) for c in cells]) for i, cells in enumerate(page.iter_rows(), 1)]
                if any(any(cells) for _, cells in found):
                    return found
        finally:
            book.close()
    except Unreadable:
        raise
    except Exception as e:  # openpyxl raises whatever a damaged part leads it to
        raise Unreadable(
            f"it cannot be read as a workbook ({type(e).__name__})", "open it and save it again as .xlsx, or as CSV UTF-8"
        ) from e
    return []


def _cell(cell: Any) -> str:
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        zeros = re.fullmatch(r"0+", cell.number_format or "")
        if zeros and value == int(value) and value >= 0:
            return str(int(value)).zfill(len(zeros[0]))  # a code: 02134
        return str(int(value)) if value == int(value) else repr(value)
    if hasattr(value, "hour") and hasattr(value, "year"):
        midnight = (value.hour, value.minute, value.second) == (0, 0, 0)
        return str(value.date().isoformat() if midnight else value.isoformat())
    return str(value.isoformat() if hasattr(value, "isoformat") else value).strip()

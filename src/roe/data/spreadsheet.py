"""The first visible sheet of a workbook as rows of texts: an export that somebody opened and saved in Excel."""

from __future__ import annotations

from pathlib import Path

from roe.data.encoding import Unreadable
from roe.data.scan import Sheet, TableOrigin, drop_marginal, names_of
from roe.diagnostics import Diagnostic
from roe.sheets import sheet_rows
from roe.source import Cell, Text

NO_HEADER, OUTSIDE, NO_VALUE = "R401", "R431", "R430"


def read_spreadsheet(path: Path) -> Sheet:
    """The rows below the sheet's header. Raises Unreadable.

    A row with a cell that has no value to rely on, or with text beside the table, is a reject with its line; titles and hidden rows are notes.
    """
    table, findings = sheet_rows(path, str(path), read_on=True)
    if table is None:
        first = findings[0]
        if first.code == NO_HEADER:
            raise Unreadable("its sheets are empty: not even a header", "export it again", code="R631")
        raise Unreadable(first.message, first.help, code=first.code)
    origin = TableOrigin(str(path))
    origin.header, origin.twice = names_of([str(name) for name in table.header])
    wrong: dict[int, Diagnostic] = {}
    for finding in findings:
        if finding.code in (NO_VALUE, OUTSIDE):
            wrong.setdefault(finding.span.line, finding)
        else:
            origin.notes.append(finding.message)
    if _line(table.header[0]) in wrong:
        raise Unreadable(wrong[_line(table.header[0])].message, "correct the header, or put the table on a sheet of its own")
    rows, lines = [], []
    for cells in table.rows:
        line, texts = _line(cells[0]), [str(cell).strip() for cell in cells]
        finding_here = wrong.pop(line, None)
        if finding_here is not None:
            origin.rejects.append((line, ", ".join(texts)[:200], f"{finding_here.span.cell}: {finding_here.message}"))
        else:
            rows.append(texts)
            lines.append(line)
    origin.rejects += [(line, "", f"{finding.span.cell}: {finding.message}") for line, finding in sorted(wrong.items())]
    drop_marginal(rows, lines, origin)
    return Sheet(origin, rows, lines)


def _line(cell: Text) -> int:
    """The row of the sheet that a cell stands in."""
    assert isinstance(cell.origin, Cell)
    return cell.origin.line

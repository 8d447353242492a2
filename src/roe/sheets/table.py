"""A sheet as a table: a header, rows below it, and a finding for everything else that stands on the sheet.

What a sheet may hold besides its table is either understood (a title above it, comments, merged cells, hidden rows) or named with
its cell. Nothing is guessed: an empty row ends the table, because below it nobody can tell a row from a note or a second table.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, replace
from pathlib import Path
from zipfile import ZipFile

from roe.diagnostics import Diagnostic, suggest
from roe.files import MAX_TABLE_BYTES
from roe.sheets.cells import MAX_CELLS, Area, Grid, column_name, read_grid
from roe.sheets.workbook import DAMAGE, Damaged, SheetEntry, TooLarge, Workbook, open_workbook, why_unreadable
from roe.source import Cell, Span, Text

MAX_SHOWN = 20  # findings of one sheet
MAX_TITLES = 20  # rows above a header


@dataclass(frozen=True, slots=True)
class SheetRows:
    """A sheet's table: each of `rows` has one cell per column of `header`, an empty text where nothing stands."""

    sheet: str
    header: list[Text]
    rows: list[list[Text]]


def sheet_rows(
    path: Path, shown: str, sheet: str = "", asked: Span | None = None, read_on: bool = False
) -> tuple[SheetRows | None, list[Diagnostic]]:
    """The table of a sheet, of the first visible one if none is named, and what is wrong with it.

    Every finding has its cell, and `span.line` is the row. R430: a cell that has no value to rely on (`#N/A`, a formula without a
    stored value, a merge across columns); its text in `rows` is what the sheet shows. R431: text outside the table. R432, a warning:
    hidden rows or columns, which are read. R433, a hint: titles above the header, which are not. R307, R309: the file cannot be
    read, and there are no rows. `read_on` takes rows below an empty row too, as exports with footers have them.
    """
    place = asked or Span(shown, 1, 1, 2)
    try:
        if path.stat().st_size > MAX_TABLE_BYTES:
            raise TooLarge(f"it is larger than {MAX_TABLE_BYTES >> 20} MiB")
        with ZipFile(path) as archive:
            book = open_workbook(archive)
            entry = _choose(book, sheet)
            if entry is None:
                names = [e.name for e in book.sheets]
                help = suggest(sheet, names, "the sheets are " + ", ".join(f"`{name}`" for name in names[:20]))
                return None, [Diagnostic("R307", f"`{shown}` has no sheet `{sheet}`", place, help)]
            grid = read_grid(book, entry)
        return _Layout(grid, shown, place, read_on).table()
    except TooLarge as e:
        return None, [Diagnostic("R309", f"`{shown}` is too large: {e}", place, "split it, or save the sheet as CSV")]
    except DAMAGE as e:
        reason = str(e) if isinstance(e, Damaged) else _reason(path, e)
        return None, [Diagnostic("R307", f"`{shown}` cannot be read as XLSX: {reason}", place, "open it and save it again as .xlsx")]


def _reason(path: Path, e: Exception) -> str:
    if isinstance(e, OSError) and e.strerror:
        return e.strerror
    try:
        with ZipFile(path):
            return f"its contents are damaged ({' '.join(str(e).split())[:100]})"
    except DAMAGE:
        return why_unreadable(path)


def _choose(book: Workbook, sheet: str) -> SheetEntry | None:
    if sheet:
        return next((e for e in book.sheets if e.name == sheet), None)
    return next((e for e in book.sheets if e.visible), book.sheets[0])


class _Layout:
    """Finds the table on a grid, and names what is not part of it."""

    def __init__(self, grid: Grid, file: str, place: Span, read_on: bool) -> None:
        self.grid, self.file, self.place, self.read_on = grid, file, place, read_on
        self.diagnostics: list[Diagnostic] = []
        self.left_out = 0

    def table(self) -> tuple[SheetRows | None, list[Diagnostic]]:
        lines = [
            row for row in sorted(self.grid.rows) if self.read_on or not self._is_comment(row)
        ]  # a company may be called `#1 Plumbing`
        if not lines:
            return None, [Diagnostic("R401", f"the sheet `{self.grid.sheet}` is empty", self.place, "add a header and rows")]
        top = self._header(lines)
        columns = self._columns(lines[top])
        body = self._body(lines, top)
        self._fill_merged(lines[top], body)
        self._name_cells(lines[top], body, columns)
        self._name_hidden(body, columns)
        header, *rows = ([self._text(row, column) for column in columns] for row in (lines[top], *body))
        filled = [row for row in rows if any(row)]
        if self.left_out:
            last = self.diagnostics[-1]
            self.diagnostics[-1] = replace(last, help=f"{last.help}; {self.left_out} more cells of this sheet have findings")
        return SheetRows(self.grid.sheet, header, filled), self.diagnostics

    # --- where the table is -----------------------------------------------------------------------------------------

    def _is_comment(self, row: int) -> bool:
        first = min(self.grid.rows[row])
        return self.grid.rows[row][first].startswith("#") and (row, first) not in self.grid.faults

    def _header(self, lines: list[int]) -> int:
        """The index of the header among the rows with text: the first, or what follows titles of a single cell each."""
        widths = [len(self.grid.rows[row]) for row in lines]
        first = next((i for i, width in enumerate(widths[: MAX_TITLES + 1]) if width > 1), 0)
        wide = sum(width > 1 for width in widths[first:])
        if not first or 2 * wide < len(widths) - first:  # of one column, with a note beside it perhaps
            return 0
        for row in lines[:first]:
            self._say("R433", row, min(self.grid.rows[row]), "text above the table is not read", "nothing to do if it is a title")
        return first

    def _columns(self, row: int) -> range:
        """The header's columns: from its first cell to the first gap."""
        named = sorted(self.grid.rows[row])
        end = named[0]
        while end in self.grid.rows[row]:
            end += 1
        for column in named:
            if column > end:
                message = f"`{self._shown(row, column)}` stands apart from the table: a column without a name is between them"
                self._say("R431", row, column, message, "name that column, or put a second table on a sheet of its own")
                break
        return range(named[0], end)

    def _body(self, lines: list[int], top: int) -> list[int]:
        """The rows of the table, down to the first empty one."""
        body = lines[top + 1 :]
        if self.read_on:
            return body
        for i, row in enumerate(body):
            before = lines[top + i]
            if row > before + 1 and any(between not in self.grid.rows for between in range(before + 1, row)):
                column = min(self.grid.rows[row])
                message = f"`{self._shown(row, column)}` stands below an empty row, where the table ends"
                help = (
                    "remove the empty row if the table goes on; put notes and other tables on a sheet of their own, or begin notes with #"
                )
                self._say("R431", row, column, message, help)
                return body[:i]
        return body

    def _fill_merged(self, header: int, body: list[int]) -> None:
        """Give a merged cell's text to each row that it spans."""
        filled: set[tuple[int, int]] = set()
        for area in self.grid.merged:
            text = self.grid.rows.get(area.top, {}).get(area.left)
            if text is None or area.bottom < header or not body or area.top > body[-1]:
                continue
            if area.top <= header < area.bottom:
                help = "give the header a row of its own"
                self._say("R430", area.top, area.left, "the cell is merged over the header and rows below it", help)
            elif area.right > area.left:
                help = "undo the merge, and write what holds into each cell"
                self._say("R430", area.top, area.left, "the cell is merged across columns, so that what the others hold is unclear", help)
            elif area.bottom > area.top > header and not self._fill(area, text, body, filled):
                self._say("R430", area.top, area.left, "the cell is merged with cells that have text of their own", "undo the merge")

    def _fill(self, area: Area, text: str, body: list[int], filled: set[tuple[int, int]]) -> bool:
        """Fill a column of an area; false where something stands there already."""
        for i in range(bisect_left(body, area.top + 1), len(body)):
            row = body[i]
            if row > area.bottom:
                break
            if area.left in self.grid.rows[row]:
                return False
            if len(filled) > MAX_CELLS:
                raise TooLarge(f"it has more than {MAX_CELLS} cells")
            self.grid.rows[row][area.left] = text
            filled.add((row, area.left))
        return True

    # --- what is said -----------------------------------------------------------------------------------------------

    def _name_cells(self, header: int, body: list[int], columns: range) -> None:
        """Cells without a value, and cells beside the table."""
        inside = {header, *body}
        for (row, column), reason in sorted(self.grid.faults.items()):
            if row in inside and column in columns:
                help = "open the file in a spreadsheet program and save it, or type the value" if "stored" in reason else "correct the cell"
                self._say("R430", row, column, reason, help)
        for row in body:
            first, last = min(self.grid.rows[row]), max(self.grid.rows[row])
            if (first < columns[0] or last > columns[-1]) and not self.read_on:
                column = first if first < columns[0] else min(c for c in self.grid.rows[row] if c > columns[-1])
                message = f"`{self._shown(row, column)}` stands beside the table, in a column without a header"
                self._say("R431", row, column, message, "name the column, or put the text on another sheet")

    def _name_hidden(self, body: list[int], columns: range) -> None:
        hidden = [row for row in body if row in self.grid.hidden_rows]
        if hidden:
            self._say("R432", hidden[0], columns[0], f"{_count(hidden, 'row')} hidden, but still counts", "show or delete what is hidden")
        ranges = self.grid.hidden_columns
        unseen = [column for column in columns if any(first <= column <= last for first, last in ranges[:1000])]
        if unseen and body:
            row = body[0]
            names = [column_name(column) for column in unseen]
            self._say("R432", row, unseen[0], f"{_count(names, 'column')} hidden, but still counts", "show or delete what is hidden")

    def _say(self, code: str, row: int, column: int, message: str, help: str) -> None:
        if len(self.diagnostics) >= MAX_SHOWN:
            self.left_out += 1
            return
        self.diagnostics.append(Diagnostic(code, message, self._text(row, column).span(), help))

    def _shown(self, row: int, column: int) -> str:
        text = " ".join(self.grid.rows[row][column].split())
        return text if len(text) <= 40 else text[:39] + "…"

    def _text(self, row: int, column: int) -> Text:
        name = f"{self.grid.sheet}!{column_name(column)}{row}"
        return Text(self.grid.rows[row].get(column, ""), Cell(self.file, row, column, name=name))


def _count(names: list[int] | list[str], what: str) -> str:
    listed = ", ".join(map(str, names[:5])) + (", …" if len(names) > 5 else "")
    return f"{what} {listed} is" if len(names) == 1 else f"each of the {what}s {listed} is"

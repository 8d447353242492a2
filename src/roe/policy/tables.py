"""Tables of a policy: CSV files, sheets of XLSX files, or rows in YAML; each cell knows its place."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from roe.diagnostics import Diagnostic
from roe.files import MAX_TABLE_BYTES, read_text, resolve
from roe.source import Cell, Span, Text, span_of

MAX_ROWS = 1_000_000
MAX_UNPACKED_BYTES = 512 << 20


@dataclass(frozen=True, slots=True)
class Table:
    """`rows` have one cell per column of `header`; `place` is where the table is, or is asked for."""

    name: str
    header: list[Text]
    rows: list[list[Text]]
    place: Span

    def column(self, name: str) -> int | None:
        return next((i for i, h in enumerate(self.header) if h == name), None)

    def cells(self, row: list[Text]) -> dict[str, Text]:
        return dict(zip(self.header, row, strict=True))


def read_table(root: Path, name: str) -> tuple[Table | None, list[Diagnostic]]:
    """A table file of the policy: `tables/x.csv`, or `book.xlsx#Sheet`."""
    file, _, sheet = name.partition("#")
    asked = Text(file, name.origin) if isinstance(name, Text) else file
    path, problems = resolve(root, asked)
    if path is None:
        return None, problems
    if path.suffix.lower() in (".xlsx", ".xlsm"):
        return _read_xlsx(path, file, sheet, span_of(name))
    text, problems = read_text(path, file, MAX_TABLE_BYTES, span_of(name))
    return (None, problems) if text is None else parse_csv(text, file)


def parse_csv(text: str, shown: str) -> tuple[Table | None, list[Diagnostic]]:
    lines = text.split("\n")
    delimiter = max(",;\t", key=lambda d: (lines[0].count(d), d == ","))
    rows: list[list[Text]] = []
    found: list[Diagnostic] = []
    reader = csv.reader(io.StringIO(text), delimiter=delimiter)
    before = 0
    try:
        for raw in reader:
            line, before = before + 1, reader.line_num
            if not any(cell.strip() for cell in raw) or raw[0].lstrip().startswith("#"):
                continue
            excerpt = lines[line - 1] if line <= len(lines) else ""
            rows.append([Text(cell.strip(), Cell(shown, line, i, excerpt, delimiter)) for i, cell in enumerate(raw)])
            if len(rows) > MAX_ROWS:
                return None, [Diagnostic("R309", f"`{shown}` has over {MAX_ROWS} rows", Span(shown, line, 1, 2), "split it")]
    except csv.Error as e:
        return None, [Diagnostic("R307", f"`{shown}` is no CSV: {e}", Span(shown, before + 1, 1, 2), "save it again as CSV UTF-8")]
    return _table(shown, rows, Span(shown, 1, 1, 2, lines[0]), found)


def _table(name: str, rows: list[list[Text]], place: Span, found: list[Diagnostic]) -> tuple[Table | None, list[Diagnostic]]:
    if len(rows) < 2:
        return None, [*found, Diagnostic("R401", f"`{name}` has no header, or no row below it", place, "add rows, or remove the table")]
    header, *body = rows
    width = len(header)
    while width and not header[width - 1]:
        width -= 1
    for i, cell in enumerate(header[:width]):
        if not cell:
            found.append(Diagnostic("R401", f"column {i + 1} has no name", cell.span(), "name it, or remove it"))
        elif cell in header[:i]:
            found.append(Diagnostic("R302", f"column `{cell}` appears twice", cell.span(), "rename or remove one of the two"))
    kept = []
    for row in body:
        if len(row) > width and not any(row[width:]):
            row = row[:width]
        if len(row) != width:
            message = f"the row has {len(row)} cells, and the header {width}"
            found.append(Diagnostic("R402", message, row[0].span(), 'quote cells that have a comma: "US,CA"'))
            continue
        kept.append(row)
    return Table(name, header[:width], kept, place), found


def _read_xlsx(path: Path, file: str, sheet: str, asked: Span) -> tuple[Table | None, list[Diagnostic]]:
    try:
        from openpyxl import load_workbook
        from openpyxl.utils import get_column_letter
    except ImportError:
        return None, [Diagnostic("R406", "reading XLSX needs the package openpyxl", asked, "pip install 'roe[xlsx]', or save as CSV")]
    from zipfile import BadZipFile, ZipFile

    try:
        if path.stat().st_size > MAX_TABLE_BYTES:
            raise ValueError("it is too large")
        with ZipFile(path) as archive:
            if sum(item.file_size for item in archive.infolist()) > MAX_UNPACKED_BYTES:
                raise ValueError("it unpacks to too much")
        book = load_workbook(path, read_only=True, data_only=True, keep_links=False)
    except (BadZipFile, ValueError, KeyError, OSError, EOFError) as e:
        return None, [Diagnostic("R307", f"`{file}` cannot be read as XLSX: {e}", asked, "save it again as .xlsx")]
    try:
        if sheet and sheet not in book.sheetnames:
            help = "the sheets are " + ", ".join(f"`{s}`" for s in book.sheetnames)
            return None, [Diagnostic("R307", f"`{file}` has no sheet `{sheet}`", asked, help)]
        page = book[sheet] if sheet else book.worksheets[0]
        rows: list[list[Text]] = []
        for number, raw in enumerate(page.iter_rows(values_only=True), 1):
            if not any(v not in (None, "") for v in raw) or str(raw[0] or "").startswith("#"):
                continue
            if len(rows) > MAX_ROWS:
                return None, [Diagnostic("R309", f"`{file}` has over {MAX_ROWS} rows", asked, "split it")]
            rows.append(
                [
                    Text(_cell_text(v), Cell(file, number, i, name=f"{page.title}!{get_column_letter(i + 1)}{number}"))
                    for i, v in enumerate(raw)
                ]
            )
    finally:
        book.close()
    width = max((i + 1 for r in rows[:1] for i, c in enumerate(r) if c), default=0)
    return _table(file, [r[:width] if not any(r[width:]) else r for r in rows], asked, [])


def _cell_text(value: Any) -> str:
    """A spreadsheet's own value as the text that a CSV would hold."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value == int(value):
        return str(int(value))
    if hasattr(value, "hour") and hasattr(value, "year"):
        midnight = (value.hour, value.minute, value.second) == (0, 0, 0)
        return str(value.date().isoformat() if midnight else value.isoformat())
    return str(value.isoformat() if hasattr(value, "isoformat") else value).strip()


def inline_table(rows: list[Any], place: Span) -> tuple[Table | None, list[Diagnostic]]:
    """Rows written in YAML: a column for every key that occurs; a cell left out is `-`."""
    keys: dict[str, Text] = {}
    for row in rows:
        for key in row:
            keys.setdefault(key, key if isinstance(key, Text) else Text(key, _nowhere(place)))
    header = list(keys.values())
    body = []
    for row in rows:
        cells = []
        for key in header:
            value = row.get(key)
            cells.append(value if isinstance(value, Text) else Text("-" if value is None else str(value), _nowhere(place)))
        body.append(cells)
    if not body:
        return None, [Diagnostic("R401", "the table has no rows", place, "add rows")]
    return Table("rows", header, body, place), []


def _nowhere(place: Span) -> Cell:
    return Cell(place.file, place.line, 0, place.excerpt)


def objects(table: Table) -> Iterator[dict[str, Text]]:
    for row in table.rows:
        yield table.cells(row)

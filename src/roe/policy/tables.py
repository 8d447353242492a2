"""Tables of a policy: CSV files, sheets of XLSX files, or rows in YAML; each cell knows its place."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

from roe.diagnostics import Diagnostic, errors
from roe.files import MAX_TABLE_BYTES, NOT_AVAILABLE, OTHER_SHEETS, SHEET_ERROR, SHEETS, read_text, resolve
from roe.policy.section import Entity, Expression, FilePath, Form, Section, key, section
from roe.source import Cell, Span, Text, span_of

MAX_ROWS = 1_000_000
MAX_SHOWN = 20  # cells with an error, of one file


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


Hit = Annotated[
    Literal["first", "unique", "any", "priority", "collect", "collect sum", "collect min", "collect max", "collect count"],
    Form("hit", description="which of the matching rules decides"),
]
Row = Mapping[Text, Text | None]


@section
class TableSection(Section):
    """a decision table: a file, or rows"""

    table: FilePath | None = key("the table: a CSV file, or an XLSX file with `#Sheet`", default=None)
    rows: tuple[Row, ...] | None = key("the table, row by row", default=None)
    for_: Entity | tuple[Entity, ...] | None = None
    hit: Hit = "first"
    inputs: Mapping[Text, Expression] = key("column name, and the expression that it tests", default={})
    outputs: tuple[Text, ...] | None = key("the columns that are results", default=None)
    default: Mapping[Text, Text] | Text | None = None
    priority: tuple[Text, ...] = key("with hit: priority, the first output's values, best first", default=())

    @property
    def asked(self) -> Text:
        """Where the policy asks for the table."""
        return self.key("table" if self.table else "rows")

    @property
    def entities(self) -> list[Text]:
        """The entities that the table is about, as the policy names them; none where it does not say."""
        return [self.for_] if isinstance(self.for_, Text) else list(self.for_ or ())


def read_table(root: Path, name: str) -> tuple[Table | None, list[Diagnostic]]:
    """A table file of the policy: `tables/x.csv`, or `book.xlsx#Sheet`."""
    file, _, sheet = name.partition("#")
    asked = Text(file, name.origin) if isinstance(name, Text) else file
    path, problems = resolve(root, asked)
    if path is None:
        return None, problems
    suffix = path.suffix.lower()
    if suffix in SHEETS:
        return _read_sheet(path, file, sheet, span_of(name))
    if suffix in OTHER_SHEETS:
        return None, [
            Diagnostic("R307", f"`{file}` is a spreadsheet that roe does not read", span_of(name), "save it as .xlsx or CSV UTF-8")
        ]
    text, problems = read_text(path, file, MAX_TABLE_BYTES, span_of(name))
    return (None, problems) if text is None else parse_csv(text, file)


def parse_csv(text: str, shown: str) -> tuple[Table | None, list[Diagnostic]]:
    """A table of CSV text; a quote that is not closed is an error, for it would swallow the rows below it."""
    lines = text.split("\n")
    declared = _SEPARATOR.fullmatch(lines[0].strip())  # Excel's own first line
    if declared:
        text = text.partition("\n")[2]
    first = lines[1 if declared and len(lines) > 1 else 0]
    delimiter = declared[1] if declared else max(",;\t", key=lambda d: (first.count(d), d == ","))
    rows: list[list[Text]] = []
    unreadable: list[Text] = []
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, strict=True)
    skipped = 1 if declared else 0
    last = skipped  # of the lines that are read
    try:
        for raw in reader:
            line, last = last + 1, reader.line_num + skipped
            if not any(cell.strip() for cell in raw) or _is_comment(raw[0].strip()):
                continue
            excerpt = lines[line - 1] if line <= len(lines) else ""
            if last > line and rows and _swallows(raw, len(rows[0]), delimiter):
                return None, [_unclosed(shown, line, excerpt)]
            row = [Text(cell.strip(), Cell(shown, line, i, excerpt, delimiter)) for i, cell in enumerate(raw)]
            unreadable += [cell for cell in row if _is_error(cell)]
            rows.append(row)
            if len(rows) > MAX_ROWS:
                return None, [Diagnostic("R309", f"`{shown}` has over {MAX_ROWS} rows", Span(shown, line, 1, 2), "split it")]
    except csv.Error as e:
        excerpt = lines[last] if last < len(lines) else ""
        if '"' in excerpt:
            return None, [_unclosed(shown, last + 1, excerpt)]
        help = "save it again as CSV UTF-8"
        return None, [Diagnostic("R307", f"`{shown}` is not CSV: {e}", Span(shown, last + 1, 1, 2, excerpt), help)]
    table, problems = _table(shown, rows, Span(shown, 1, 1, 2, lines[0]))
    return table, [*problems, *_of_errors(unreadable)]


def _is_comment(first: str) -> bool:
    """Whether a row whose first cell has a text is a comment: it begins with `#`, and is not an error of the sheet that the file comes from."""
    return first.startswith("#") and not _is_error(first)


def _is_error(cell: str) -> bool:
    return cell[:1] == "#" and (cell in NOT_AVAILABLE or SHEET_ERROR.fullmatch(cell) is not None)


def _of_errors(cells: list[Text]) -> list[Diagnostic]:
    help = "correct it in the spreadsheet, and export it again"
    problems = [Diagnostic("R430", f"the cell holds the error {cell}", cell.span(), help) for cell in cells[:MAX_SHOWN]]
    if len(cells) > MAX_SHOWN:
        problems[-1] = replace(problems[-1], help=f"{help}; {len(cells) - MAX_SHOWN} more cells of this file hold errors")
    return problems


_SEPARATOR = re.compile(r"sep=([,;\t|])", re.IGNORECASE)


def _swallows(raw: list[str], width: int, delimiter: str) -> bool:
    """Whether a cell over several lines has a whole row of the table in it: its quote was closed by that of a later row."""
    inner = [line for cell in raw for line in cell.split("\n")[1:-1]]
    return any(len(cells := line.split(delimiter)) == width > 1 and all(cell.strip() for cell in cells) for line in inner)


def _unclosed(shown: str, line: int, excerpt: str) -> Diagnostic:
    """The finding about the first quote of a line that has no other half there."""
    quotes = [i for i, char in enumerate(excerpt) if char == '"']
    column = (quotes[-1] if len(quotes) % 2 else quotes[0]) + 1 if quotes else 1
    message = "a quote is not closed, or has text right behind it"
    return Diagnostic(
        "R307", message, Span(shown, line, column, column + 1, excerpt), 'close it on the same line; write a quote inside a cell as ""'
    )


def _table(name: str, rows: list[list[Text]], place: Span) -> tuple[Table | None, list[Diagnostic]]:
    problems: list[Diagnostic] = []
    if len(rows) < 2:
        return None, [Diagnostic("R401", f"`{name}` has no header, or no row below it", place, "add rows, or remove the table")]
    header, *body = rows
    width = len(header)
    while width and not header[width - 1]:
        width -= 1
    for i, cell in enumerate(header[:width]):
        if not cell:
            problems.append(Diagnostic("R401", f"column {i + 1} has no name", cell.span(), "name it, or remove it"))
        elif cell in header[:i]:
            problems.append(Diagnostic("R302", f"column `{cell}` appears twice", cell.span(), "rename or remove one of the two"))
    rows_with_content = []
    for row in body:
        if len(row) > width and not any(row[width:]):
            row = row[:width]
        if len(row) != width:
            message = f"the row has {len(row)} cells, and the header {width}"
            problems.append(Diagnostic("R402", message, row[0].span(), 'quote cells that have a comma: "US,CA"'))
            continue
        rows_with_content.append(row)
    return Table(name, header[:width], rows_with_content, place), problems


def _read_sheet(path: Path, file: str, sheet: str, asked: Span) -> tuple[Table | None, list[Diagnostic]]:
    from roe.sheets import sheet_rows

    read, of_sheet = sheet_rows(path, file, sheet, asked)
    if read is None or errors(of_sheet):
        return None, of_sheet
    table, problems = _table(file, [read.header, *read.rows], asked)
    return table, [*of_sheet, *problems]


def inline_table(rows: Sequence[Row], place: Span) -> tuple[Table | None, list[Diagnostic]]:
    """Rows written in YAML: a column for every key that occurs; a cell left out is `-`."""
    header = list(dict.fromkeys(column for row in rows for column in row))
    nothing = Text("-", Cell(place.file, place.line, 0, place.excerpt))
    body = [[nothing if (cell := row.get(column)) is None else cell for column in header] for row in rows]
    if not body:
        return None, [Diagnostic("R401", "the table has no rows", place, "add rows")]
    return Table("rows", header, body, place), []


def objects(table: Table) -> Iterator[dict[str, Text]]:
    for row in table.rows:
        yield table.cells(row)


_NUMBER = re.compile(r"-?(?:0|[1-9]\d*|(?=\.\d))(?:\.\d*)?(?:e[+-]?\d{1,2})?", re.ASCII)  # `1E5` is a code
MAX_DIGITS = 15  # as many as a number keeps exactly: a longer one is an id


def is_number_text(text: str) -> bool:
    """Whether a text is a number, and not a code that begins with a zero or an id with more digits than a number keeps."""
    return _NUMBER.fullmatch(text) is not None and sum(map(str.isdigit, text)) <= MAX_DIGITS


def all_numbers(cells: Iterable[str]) -> bool:
    """Whether a column of a table is one of numbers: there are some, and what is left empty does not count."""
    filled = [cell for cell in cells if cell not in ("", "-")]
    return bool(filled) and all(map(is_number_text, filled))

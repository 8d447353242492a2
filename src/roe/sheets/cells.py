"""The cells of one worksheet: sparse, so that a stray cell in the far corner costs one cell, whatever `<dimension>` says."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from functools import cache

from roe.grammar import values as v
from roe.sheets.formats import UnreadableCell, as_text
from roe.sheets.workbook import MAX_PART_BYTES, MAX_TEXT, Damaged, SheetEntry, TextCollector, TooLarge, Workbook, read_part, unescape

LAST_ROW, LAST_COLUMN = 1_048_576, 16_384
MAX_CELLS = 2_000_000
MAX_CHARACTERS = 256 << 20  # texts of all cells together: one long shared text may stand in each of them
MAX_MERGES = 200_000

_REFERENCE = re.compile(r"\$?([A-Z]{1,3})\$?(\d{1,7})")
_ERROR = re.compile(r"#[A-Z0-9/_?!]+")


@dataclass(frozen=True, slots=True)
class Area:
    """A rectangle of cells: rows from 1, columns from 0, both ends included."""

    top: int
    left: int
    bottom: int
    right: int


@dataclass(slots=True)
class Grid:
    """What stands on a sheet: texts by row (from 1) and column (from 0), empty cells left out.

    A cell in `faults` has something in it that cannot be read; its text here is what the sheet shows.
    """

    sheet: str
    rows: dict[int, dict[int, str]] = field(default_factory=dict)
    faults: dict[tuple[int, int], str] = field(default_factory=dict)
    merged: list[Area] = field(default_factory=list)
    hidden_rows: set[int] = field(default_factory=set)
    hidden_columns: list[tuple[int, int]] = field(default_factory=list)


@cache
def column_name(column: int) -> str:
    """0 is A, 25 is Z, 26 is AA."""
    name, rest = "", column + 1
    while rest:
        rest, letter = divmod(rest - 1, 26)
        name = chr(65 + letter) + name
    return name


def reference(text: str) -> tuple[int, int]:
    """`B12` as row 12 and column 1. Raises Damaged for a place that no sheet has."""
    m = _REFERENCE.fullmatch(text)
    row, column = (0, 0) if m is None else (int(m[2]), _column_number(m[1]))
    if m is None or not 1 <= row <= LAST_ROW or column >= LAST_COLUMN:
        raise Damaged(f"`{text[:20]}` is not the name of a cell")
    return row, column


def _column_number(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number - 1


def read_grid(book: Workbook, entry: SheetEntry) -> Grid:
    """A sheet's cells. Raises Damaged, TooLarge or one of workbook.DAMAGE."""
    reader = _Reader(book, Grid(entry.name))
    read_part(book.archive, entry.part, MAX_PART_BYTES, reader.start, reader.end, reader.add)
    if not reader.has_data:
        raise Damaged("the sheet has no cells at all: the file is damaged")
    return reader.grid


class _Reader:
    """Follows the XML of a sheet: rows, their cells, merged areas, hidden rows and columns."""

    def __init__(self, book: Workbook, grid: Grid) -> None:
        self.book, self.grid = book, grid
        self.row, self.column = 0, -1
        self.cell: dict[str, str] | None = None
        self.formula = False
        self.stored: list[str] | None = None  # pieces of the cell's stored value, None without one
        self.taking: list[str] | None = None
        self.inline = TextCollector()
        self.cells = self.characters = 0
        self.has_data = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if self.cell is not None:
            if name == "v":
                self.stored = self.taking = []
            elif name == "f":
                self.formula = True
            else:
                self.inline.start(name)
        elif name == "c":
            self._place(attributes)
            self.cell, self.formula, self.stored = attributes, False, None
            self.inline.begin()
        elif name == "row":
            self.row = int(attributes["r"]) if "r" in attributes else self.row + 1
            self.column = -1
            if not 1 <= self.row <= LAST_ROW:
                raise Damaged(f"a sheet has no row {self.row}")
            if _yes(attributes, "hidden") or _none(attributes, "ht"):
                self.grid.hidden_rows.add(self.row)
        elif name == "col" and (_yes(attributes, "hidden") or _none(attributes, "width")):
            self.grid.hidden_columns.append((int(attributes["min"]) - 1, int(attributes["max"]) - 1))
        elif name == "mergeCell":
            self._merge(attributes.get("ref", ""))
        elif name == "sheetData":
            self.has_data = True

    def _place(self, attributes: dict[str, str]) -> None:
        """The place of the next cell; writers may leave it out."""
        if "r" in attributes:
            row, self.column = reference(attributes["r"])
            if row != self.row:
                raise Damaged(f"the cell `{attributes['r']}` stands in row {self.row}")
        else:
            self.column += 1
            if self.column >= LAST_COLUMN:
                raise Damaged("a row has more cells than a sheet")

    def _merge(self, area: str) -> None:
        first, _, last = area.partition(":")
        top, left = reference(first)
        bottom, right = reference(last or first)
        if bottom < top or right < left:
            raise Damaged(f"`{area[:40]}` is not an area of cells")
        if len(self.grid.merged) >= MAX_MERGES:
            raise TooLarge(f"it has more than {MAX_MERGES} merged areas")
        self.grid.merged.append(Area(top, left, bottom, right))

    def add(self, text: str) -> None:
        if self.taking is not None:
            self.taking.append(text)
        else:
            self.inline.add(text)

    def end(self, name: str) -> None:
        if self.cell is None:
            return
        if name == "v":
            self.taking = None
        elif name == "c":
            cell, self.cell = self.cell, None
            self._keep(cell)
        else:
            self.inline.end(name)

    def _keep(self, cell: dict[str, str]) -> None:
        stored = None if self.stored is None else "".join(self.stored)
        try:
            text = self._value(cell, stored)
        except UnreadableCell as e:
            self._put(stored or "?")
            self.grid.faults[self.row, self.column] = str(e)
            return
        if text.strip():
            self._put(text)

    def _put(self, text: str) -> None:
        row = self.grid.rows.setdefault(self.row, {})
        if self.column in row:
            raise Damaged(f"the cell {column_name(self.column)}{self.row} is there twice")
        self.cells += 1
        self.characters += len(text)
        if self.cells > MAX_CELLS:
            raise TooLarge(f"it has more than {MAX_CELLS} cells")
        if self.characters > MAX_CHARACTERS:
            raise TooLarge(f"its texts are longer than {MAX_CHARACTERS >> 20} MiB")
        row[self.column] = text.strip()

    def _value(self, cell: dict[str, str], stored: str | None) -> str:
        """A cell's text. Raises UnreadableCell where the sheet has none to rely on."""
        kind = cell.get("t", "n")
        if kind == "inlineStr":
            return _short(self.inline.text())
        if stored is None or (not stored and kind != "str"):
            if self.formula:
                raise UnreadableCell("the formula has no stored value")
            return ""
        if kind == "s":
            text = self.book.string(_whole(stored))
            if text is None:
                raise UnreadableCell(f"the cell refers to the text number {stored[:20]}, which the file lacks")
            return _short(text)
        if kind == "str":
            return _short(unescape(stored))
        if kind == "e":
            raise UnreadableCell(f"the cell holds the error {stored if _ERROR.fullmatch(stored) else 'of a formula'}")
        if kind == "b" and stored.strip() in ("0", "1"):
            return "true" if stored.strip() == "1" else "false"
        if kind == "d":
            return _iso(stored)
        if kind != "n":
            raise UnreadableCell(f"the cell has the unknown type `{kind[:20]}`")
        return as_text(_number(stored), self._format(cell.get("s", "0")), self.book.epoch_1904)

    def _format(self, style: str) -> str:
        number = _whole(style)
        if not self.book.formats and number == 0:
            return "General"
        code = self.book.formats[number] if 0 <= number < len(self.book.formats) else ""
        if not code:
            raise UnreadableCell("the number's format is missing from the file, so that it may be a date or a code")
        return code


def _yes(attributes: dict[str, str], name: str) -> bool:
    return attributes.get(name) in ("1", "true", "on")


def _none(attributes: dict[str, str], name: str) -> bool:
    """Whether a height or width is zero, another way to hide."""
    try:
        return name in attributes and float(attributes[name]) == 0
    except ValueError:
        return False


def _short(text: str) -> str:
    if len(text) > MAX_TEXT:
        raise UnreadableCell(f"the cell's text is longer than {MAX_TEXT} characters")
    return text


def _whole(text: str) -> int:
    try:
        return int(text) if len(text) < 12 else -1
    except ValueError:
        return -1


def _number(text: str) -> float:
    try:
        number = float(text) if len(text) < 400 and "_" not in text else math.nan
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UnreadableCell(f"`{text[:20]}` is not a number")
    return number


def _iso(text: str) -> str:
    """A date that is stored as one; midnight is left out."""
    moment = v.parse_temporal(text.removesuffix("Z"))
    if moment is None:
        raise UnreadableCell(f"`{text[:30]}` is not a date")
    return text.removesuffix("Z").removesuffix("T00:00:00").removesuffix("T00:00:00.000")

"""The shape of a CSV file: which lines are rows, which are not, and where it is broken.

A row has as many cells as the header. A row with fewer or more, a line that a report puts under its records and a row with a stray quote are
rejects with their line; blank rows are skipped and counted. Where a quote takes in other lines, nobody knows what the file
says: that is an error. Excel's `sep=;` line and titles above the header are not rows, and the delimiter is the one that the lines agree on.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import field
from functools import cache

from roe.data.encoding import Unreadable
from roe.node import node

DELIMITERS = ",;\t|"
CUT_OFF = "the last line has no line end: make sure that the file is whole"
TAIL = 20  # rows at the end among which a report's own lines are looked for
_QUOTED = re.compile(r'"(?:[^"]|"")*"')
_UNSEEN = dict.fromkeys(map(ord, "\ufeff\u200b\u200c\u200d\u2060"))
_ID = re.compile(r"\bid\b|id$|ＩＤ", re.I)
_NO_ID = re.compile(r"\s|^[\W_]+$")
_SEP = re.compile(r'"?sep=(.)"?', re.I)


@cache
def _footer() -> re.Pattern[str]:
    return re.compile(
        r"(grand|sub)?\s*totals?\b|gesamt\b|summe\b|copyright\b|\(c\)\s|©|(report )?(generated|exported|downloaded|created|printed|run)( by| on| at|:)|"
        r"confidential\b|filtered by\b|as of\s|(record|row) count\b|(number|count) of (records|rows)\b|[\d.,]+ (rows?|records?|results?)\b|rows? (returned|exported)\b|page \d+ of|"
        r"erstellt (von|am)\b|source:|quelle:|.*\ball rights reserved\b|[-*_=\s]*end( of (report|file|data))?\b\W*$|anzahl (datensätze|zeilen)\b",
        re.I,
    )


@cache
def _sum() -> re.Pattern[str]:
    return re.compile(
        r"((grand|sub)[\s-]?)?totals?|sums?|count|averages?|mean|gesamt(summe|ergebnis)?|(zwischen)?summe|anzahl|mittelwert|durchschnitt|"
        r"(number|no\.?) of (records|rows|accounts|leads|companies)|(total )?(record|row)s?( count)?|anzahl (datensätze|zeilen)|(sous[\s-])?total|total (général|general|geral|generale)|totaux|somme|moyenne|suma|promedio|soma|média|totale|somma|media|totaal|合計|総計|小計",
        re.I,
    )


csv.field_size_limit((1 << 31) - 1)  # how large a cell may be is the file's own limit


@node(frozen=False)
class TableOrigin:
    """Where records come from, and what their reading said. `rejects` are (line, text, reason)."""

    shown: str
    header: tuple[str, ...] = ()
    rejects: list[tuple[int, str, str]] = field(default_factory=list)
    blank: int = 0
    notes: list[str] = field(default_factory=list)
    twice: tuple[str, ...] = ()  # headers that stand there twice
    below: int = 0  # rows before the last blank line: what stands below it may be the report's own


@node(frozen=False)
class Sheet:
    """A table as it stands in a file: texts, as many in each row as in the header, and the line of each row."""

    origin: TableOrigin
    rows: list[list[str]]
    lines: list[int]

    @property
    def header(self) -> tuple[str, ...]:
        return self.origin.header


def scan(text: str, shown: str) -> Sheet:
    """The rows of a CSV text. Raises Unreadable for a text that is empty or whose quotes do not close."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip():
        raise Unreadable("it is empty: not even a header", "export it again, or remove it if there are no records", code="R631")
    delimiter, skip = dialect(text)
    origin = TableOrigin(shown)
    titles = [line.strip('\ufeff"' + DELIMITERS) for line in text.split("\n", skip)[:skip] if not _SEP.fullmatch(line.strip("\ufeff "))]
    if any(titles):
        origin.notes.append(
            f"what stands above its header in line {skip + 1} is not read: {', '.join(f'`{t}`' for t in titles if t)[:200]}"
        )
    rows, lines = rows_of(text, delimiter, skip, origin)
    if not text.endswith("\n") and len(rows) > 1:
        origin.notes.append(CUT_OFF)
    drop_marginal(rows, lines, origin)
    return Sheet(origin, rows, lines)


def rows_of(
    text: str, delimiter: str, skip: int, origin: TableOrigin, above: int = 0, before: int = 0
) -> tuple[list[list[str]], list[int]]:
    """The rows of a text with their lines, or of a part of one that has so many lines above it and rows before it. What is not a row, and the
    header if that is not known yet, goes to the origin. Raises Unreadable.
    """
    lines = text.split("\n") if '"' in text else []
    width = len(origin.header)
    rows: list[list[str]] = []
    places: list[int] = []
    for line, cells in _records(text, delimiter, skip, lines, origin, above):
        if not any(map(str.strip, cells)):
            origin.blank += width > 0
            origin.below = before + len(rows)
        elif not width:
            origin.header, origin.twice = names_of(cells)
            width = len(origin.header)
        elif len(cells) == width or (len(cells) > width and not any(map(str.strip, cells[width:]))):
            rows.append(cells[:width] if len(cells) > width else cells)
            places.append(above + line)
        else:
            reason = misfit(cells, width, delimiter, 0 < origin.below == before + len(rows))
            origin.rejects.append((above + line, delimiter.join(cells)[:200], reason))
    return rows, places


def dialect(text: str) -> tuple[str, int]:
    """(the delimiter, the lines before the header: one that names it, or titles)."""
    first = text[: text.find("\n")] if "\n" in text else text
    named = _SEP.fullmatch(first.strip("\ufeff \t" if "\t" not in first[:6] else "\ufeff "))
    if named:
        return named[1], 1
    head = text[: 1 << 16].split("\n")[:41]
    skip = _titles([_QUOTED.sub(lambda quoted: "a title" if len(quoted[0]) > 2 else "", line) for line in head])
    sample = [_QUOTED.sub("", line) for line in head[skip : skip + 21] if line.strip()]
    best, most = ",", (0, 0)
    for delimiter in DELIMITERS:
        count = sample[0].count(delimiter) if sample else 0
        alike = sum(line.count(delimiter) == count for line in sample)
        if count and (alike, count) > most and (alike > 1 or len(sample) < 2 or not most[0]):
            best, most = delimiter, (alike, count)
    return best, skip


def _titles(lines: list[str]) -> int:
    """How many lines at the top are titles: one piece of text each, or none, before two lines with as many pieces as each other.

    A title is more than a word, or a blank line is below it.
    """
    pieces = [[len(line.rstrip(" " + d).split(d)) for d in DELIMITERS] for line in lines]
    first = next((i for i, counts in enumerate(pieces) if max(counts) > 1), 0)
    below = next((counts for line, counts in zip(lines[first + 1 :], pieces[first + 1 :], strict=True) if line.strip()), None)
    agree = below is not None and any(a == b > 1 for a, b in zip(pieces[first], below, strict=True))
    titles = [line.strip("\ufeff " + DELIMITERS) for line in lines[:first]]
    return first if agree and any(titles) and ("" in titles or any(" " in title for title in titles)) else 0


def _records(text: str, delimiter: str, skip: int, lines: list[str], origin: TableOrigin, above: int) -> Iterator[tuple[int, list[str]]]:
    """(the line that it begins in, the cells) of each record; those that are broken within their line are rejects, `above` lines further down."""
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, strict=True)
    for _ in range(skip):
        next(reader, None)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as e:
            last = reader.line_num
            if last > line or "end of data" in str(e):
                raise _unclosed(line, last) from e
            origin.rejects.append((above + line, lines[line - 1][:200], "a quote closes in the middle of a cell"))
            continue
        if lines:
            last = reader.line_num
            whole = lines[line - 1] if last == line else "\n".join(lines[line - 1 : last])
            if '"' in whole:
                if stray(whole, delimiter):
                    if last > line:
                        raise _unclosed(line, last)
                    origin.rejects.append(
                        (above + line, whole[:200], 'a stray quote: a cell with a `"` in it is written in quotes, with `""` for it')
                    )
                    continue
                if last > line + 1 and len(cells) > 2 and any(_cells(x, delimiter) == len(cells) for x in lines[line : last - 1]):
                    raise _unclosed(line, last, ", which look like rows of their own")
        yield line, cells


def _unclosed(line: int, last: int, why: str = "") -> Unreadable:
    takes = f" and takes in the lines up to {last}{why}" if last > line else ""
    return Unreadable(
        f"the quote that opens in line {line} is not closed{takes}", f"close or remove the quote in line {line}", line, "R632"
    )


def _cells(line: str, delimiter: str) -> int:
    return _QUOTED.sub("", line).count(delimiter) + 1


def stray(record: str, delimiter: str) -> bool:
    """Whether a record has a cell that is not in quotes and has an odd number of them."""
    mark = re.escape(delimiter)
    rest = re.sub(rf'(?:^|(?<={mark}))"(?:[^"]|"")*"(?={mark}|$)', "", record)
    return '"' in rest and any(cell.count('"') % 2 for cell in rest.split(delimiter))


def names_of(cells: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(a name for each column, the names that stand there twice). Empty names at the end are not columns."""
    cells = [" ".join(c.translate(_UNSEEN).split()) for c in cells]
    while cells and not cells[-1]:
        cells.pop()
    names: list[str] = []
    twice: list[str] = []
    for number, cell in enumerate(cells, 1):
        name = cell or f"column {number}"
        if name in names:
            twice.append(name)
            name = next(n for i in range(2, len(cells) + 2) if (n := f"{name} ({i})") not in names)
        names.append(name)
    return tuple(names), tuple(dict.fromkeys(twice))


def misfit(cells: Sequence[str], width: int, delimiter: str, below: bool = False) -> str:
    """Why a row with another number of cells than the header is not a record. `below`: no record stands between it and the last blank line."""
    filled = [c for c in cells if c.strip()]
    if len(filled) == 1 and _footer().match(filled[0].strip()):
        return "a line of the report, not a record"
    if len(cells) == 1 and cells[0].count(delimiter) >= width - 1 > 0:
        return "the whole row is in one pair of quotes"
    if below and len(cells) == 1 and width > 2:
        return "a line of the report, not a record"
    return f"the row has {len(cells)} cell{'s' if len(cells) != 1 else ''}, and the header {width}"


def drop_marginal(rows: list[list[str]], lines: list[int], origin: TableOrigin) -> None:
    """Reject the rows that are a header again, and at the end those that a report adds under its records."""
    header = list(origin.header)
    drop: dict[int, str] = {}
    first = header[0] if header else ""
    for i, row in enumerate(rows):
        if row[0] == first and marginal(row, header, False):
            drop[i] = "the header again"
    for i in range(max(0, len(rows) - TAIL), len(rows)):
        reason = marginal(rows[i], header, True, 0 < origin.below <= i)
        if reason:
            drop.setdefault(i, reason)
    for i in sorted(drop, reverse=True):
        origin.rejects.append((lines[i], ", ".join(c for c in rows[i] if c.strip())[:200], drop[i]))
        del rows[i], lines[i]
    origin.rejects.sort()


def marginal(row: Sequence[str], header: Sequence[str], at_end: bool, below: bool = False) -> str:
    """Why a row of the right width is not a record, or nothing. `below`: a blank line is between it and the records.

    At the end a report has lines that say so, sums with an empty cell beside their word, and notes in the first cell alone: below a blank
    line, or where an id is expected, which has no spaces.
    """
    if [c.strip() for c in row] == list(header):
        return "the header again"
    first, filled = row[0].strip(), sum(bool(c.strip()) for c in row)
    if not at_end or len(row) < 2 or not first:
        return ""
    if (
        (filled * 2 <= len(row) + (len(row) == 2) and _footer().match(first))
        or (_sum().fullmatch(first.rstrip(": ")) and (not row[1].strip() or row[1].strip().isdigit() or len(row) == 2))
        or (filled == 1 and (below or (len(row) > 2 and _ID.search(header[0]) and _NO_ID.search(first))))
    ):
        return "a line of the report, not a record"
    return ""

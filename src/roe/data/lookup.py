"""Some records of a large file, found by texts that stand in them, without making records of the others.

What is found is more than what was asked for, and never less: every row with one of the texts somewhere in it. Whoever asks reads the
rows as the loader does, and keeps those that are meant.
"""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Protocol

from roe.data.coerce import RawRecords
from roe.data.plain import LongLine, blocks, is_plain, plain_head
from roe.data.scan import TAIL, TableOrigin, marginal
from roe.progress import phase

SMALL = 1 << 20  # bytes of a file that is simply read
MANY = 50_000  # rows beyond which reading all of them is faster
FEW = 6  # texts that are searched for one after the other
_PARTS = re.compile(r"[0-9A-Za-z@._+&/-]+")


class CannotLookUp(Exception):
    """Why records cannot be taken out of a file one by one, as a sentence without its end."""


class Lookup(Protocol):
    """The records of one entity where they stand. `origin` has the header."""

    origin: TableOrigin
    number: int  # of records, or more

    def having(self, texts: Iterable[str], columns: Collection[str]) -> list[dict[str, object]]:
        """The raw records that have one of some texts in one of these columns, in whatever case, with `$line`. Raises CannotLookUp."""
        ...

    def all(self) -> RawRecords:
        """All of them."""
        ...

    def texts_of(self, column: str) -> Iterable[str]:
        """Every text of a column at least once."""
        ...


class LoadedRecords:
    """Records that are read already."""

    def __init__(self, rows: RawRecords) -> None:
        self.origin, self._rows, self.number = rows.origin, rows, len(rows)

    def having(self, texts: Iterable[str], columns: Collection[str]) -> list[dict[str, object]]:
        return self._rows

    def all(self) -> RawRecords:
        return self._rows

    def texts_of(self, column: str) -> Iterable[str]:
        return {x for row in self._rows if isinstance(x := row.get(column), str)}


def parts_of(text: str) -> list[str]:
    """The parts of a text, in small letters and the longest first, that stand in a file as they are, whatever quotes and spaces are there.

    Raises CannotLookUp for a text that has none.
    """
    parts = sorted((part.lower() for part in _PARTS.findall(text)), key=len, reverse=True)  # of `İ` no small letter is in the file
    if not parts and text.strip() and text.lower() == text.upper():  # letters without a case, such as Japanese ones
        parts = sorted(re.split(r"[\s\"]+", text.strip()), key=len, reverse=True)
        if any(unicodedata.normalize(form, text) != text for form in ("NFC", "NFD")):
            parts = []
    if not parts:
        raise CannotLookUp(f"`{text[:40]}` cannot be searched for")
    return parts


class CsvLookup:
    """A large CSV file. Raises CannotLookUp if it is not a plain one (see `roe.data.plain`)."""

    def __init__(self, path: Path) -> None:
        head = plain_head(path)
        if head is None:
            raise CannotLookUp(f"`{path.name}` is not a plain CSV file")
        self.path = path
        self.delimiter, header = head
        self.origin = TableOrigin(str(path), header)
        self.number = path.stat().st_size // (2 * len(header))
        self._is_sound = False
        self._check_end()

    def _check_end(self) -> None:
        """A file whose last lines may be a report's own needs all of it to be read."""
        with self.path.open("rb") as file:
            file.seek(max(0, self.path.stat().st_size - (1 << 16)))
            lines = file.read().decode("utf-8", "replace").replace("\r\n", "\n").rstrip("\n").split("\n")[1:]
        if len(lines) < TAIL + 1:
            raise CannotLookUp(f"the lines of `{self.path.name}` are very long")
        for line in lines[-TAIL - 1 :]:
            cells = self._cells(line)
            if (
                len(cells) != len(self.origin.header)
                or sum(bool(c.strip()) for c in cells) < 2
                or marginal(cells, self.origin.header, True, True)
            ):
                raise CannotLookUp(f"`{self.path.name}` ends with lines that may not be records")

    def _cells(self, line: str) -> list[str]:
        return next(csv.reader([line], delimiter=self.delimiter), [])

    def having(self, texts: Iterable[str], columns: Collection[str]) -> list[dict[str, object]]:
        wanted = [[part.encode() for part in parts_of(text)] for text in texts]
        try:
            rows = list(islice(self._found(wanted), MANY + 1)) if wanted else []
        except LongLine as e:
            raise CannotLookUp(f"the lines of `{self.path.name}` are very long") from e
        if len(rows) > MANY:
            raise CannotLookUp(f"too many lines of `{self.path.name}` match the search")
        return rows

    def _found(self, wanted: list[list[bytes]]) -> Iterator[dict[str, object]]:
        phase(f"searching {self.path.name}")
        header, first = self.origin.header, 1
        for block in blocks(self.path):
            self._check(block)
            lowered = block.lower()
            for start, end in sorted(_lines_with(lowered, wanted)):
                line = first + block.count(b"\n", 0, start)
                if line > 1:  # the first is the header
                    cells = self._cells(block[start:end].decode("utf-8").strip("\r\n"))
                    if len(cells) > len(header) and not any(map(str.strip, cells[len(header) :])):
                        cells = cells[: len(header)]
                    if len(cells) == len(header) and not marginal(cells, header, False):
                        yield {**dict(zip(header, cells, strict=True)), "$line": line}
            first += block.count(b"\n")
        self._is_sound = True

    def _check(self, block: bytes) -> None:
        if self._is_sound:
            return
        if not is_plain(block, ord(self.delimiter)):
            raise CannotLookUp(f"`{self.path.name}` has records that span several lines, or misplaced quotes")
        if not block.isascii():
            try:
                block.decode("utf-8")
            except UnicodeDecodeError as e:
                raise CannotLookUp(f"`{self.path.name}` is not UTF-8") from e

    def all(self) -> RawRecords:
        from roe.data.encoding import Unreadable
        from roe.data.read import read_file

        rows, problems = read_file(self.path)
        if problems:
            raise Unreadable(problems[0].message, problems[0].help or "")
        return rows

    def texts_of(self, column: str) -> Iterable[str]:
        phase(f"reading {column} of {self.path.name}")
        place = self.origin.header.index(column)
        with self.path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file, delimiter=self.delimiter)
            next(rows, None)
            return {row[place] for row in rows if len(row) > place}


def _lines_with(lowered: bytes, wanted: list[list[bytes]]) -> set[tuple[int, int]]:
    """(start, end) of the lines of a block that have all parts of one of the texts."""
    lines: set[tuple[int, int]] = set()
    if len(wanted) <= FEW:
        hits = ((at, parts) for parts in wanted for at in _every(lowered, parts[0]))
        for at, parts in hits:
            line = _line(lowered, at)
            if all(lowered.find(part, *line) >= 0 for part in parts[1:]):
                lines.add(line)
        return lines
    by_first: dict[bytes, list[list[bytes]]] = {}
    for parts in wanted:
        by_first.setdefault(parts[0], []).append(parts[1:])
    # a longer text first: one that begins as another one does would never be met
    for m in re.finditer(b"|".join(re.escape(x) for x in sorted(by_first, key=len, reverse=True)), lowered):
        line = _line(lowered, m.start())
        if line not in lines:
            lines.add(line)  # whether it has the other parts is for whoever reads it
    return lines


def _every(text: bytes, part: bytes) -> Iterator[int]:
    """Where a text stands in another, once a line."""
    at = text.find(part)
    while at >= 0:
        yield at
        end = text.find(b"\n", at)
        at = text.find(part, end) if end >= 0 else -1


def _line(text: bytes, at: int) -> tuple[int, int]:
    end = text.find(b"\n", at)
    return text.rfind(b"\n", 0, at) + 1, len(text) if end < 0 else end

"""Large CSV files, also packed ones, in blocks of records: for whoever has room for all of them, or for one at a time.

A block that is plain (as many cells in each line, every quote where it belongs) goes through Arrow at full speed; any other is read as
the ordinary reader reads a whole file. So there are the same records, and the same rejects, as if that had read all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from roe.data.content import is_longer
from roe.data.encoding import Unreadable
from roe.data.plain import LOST, LongLine, blocks, is_plain, plain_head
from roe.data.read import kind_of
from roe.data.scan import CUT_OFF, TAIL, TableOrigin, marginal, rows_of
from roe.dynamic import Array
from roe.node import node
from roe.policy.model import DataSource

LARGE = 8 << 20  # bytes of text above which it is read in blocks
MOST = 3  # blocks in which a quote may be open that is not closed in them
Part = tuple[pa.Table, Array]  # rows as texts, and the line of each


class NotInBlocks(Exception):
    """A file is for the ordinary reader, which says what is wrong with it, or in which encoding it is."""


@node(frozen=False)
class CsvBlocks:
    """A CSV file in UTF-8 whose first line is its header. `origin` says what the reading has met so far."""

    path: Path
    delimiter: str
    origin: TableOrigin
    filled: int = field(default=0, init=False)  # rows that are not blank

    @classmethod
    def of(cls, path: Path, source: DataSource) -> CsvBlocks | None:
        """A file that is large, and begins as such a one does."""
        if kind_of(path) not in (".csv", ".tsv") or source.encoding:
            return None
        try:
            head = plain_head(path) if is_large(path) else None
        except (OSError, Unreadable):
            return None
        return None if head is None else cls(path, head[0], TableOrigin(str(path), head[1]))

    def records(self) -> Iterator[Part]:
        """Its records. The last rows wait, since a report's own lines may be among them. Raises NotInBlocks, or Unreadable for a packed file."""
        header, origin, held = list(self.origin.header), self.origin, self._empty()
        for table, lines in self._rows():
            table, lines = pa.concat_tables([held[0], table]), np.append(held[1], lines)
            cut = max(0, len(lines) - TAIL)
            held = table.slice(cut), lines[cut:]
            headers = np.flatnonzero(pc.equal(table.column(0).slice(0, cut), header[0]).to_numpy())
            yield self._judged((table.slice(0, cut), lines[:cut]), headers, lambda i, row: marginal(row, header, False))
        before = self.filled - len(held[1])
        last = range(len(held[1]))
        yield self._judged(held, last, lambda i, row: marginal(row, header, True, 0 < origin.below <= before + i))
        origin.rejects.sort()

    def _judged(self, part: Part, at: Iterable[int], why: Callable[[int, Sequence[str]], str]) -> Part:
        """The rows of a part without those of some that are not records; these are rejects."""
        table, lines = part
        at, keep = list(at), np.ones(len(lines), bool)
        for i, row in zip(at, _listed(table.take(pa.array(at, pa.int64()))), strict=True):
            reason = why(i, row)
            if reason:
                keep[i] = False
                self.origin.rejects.append((int(lines[i]), ", ".join(c for c in row if c.strip())[:200], reason))
        return part if keep.all() else (table.filter(pa.array(keep)), lines[keep])

    def _empty(self) -> Part:
        return pa.table({name: pa.array([], pa.string()) for name in self.origin.header}), np.empty(0, np.int64)

    def _rows(self) -> Iterator[Part]:
        """Its rows that are not blank, block by block."""
        line, text, held = 2, b"", list[bytes]()
        for n, text in enumerate(blocks_of(self.path)):
            if b"\0" in text or any(x in text for x in LOST):
                raise NotInBlocks
            held.append(text if n else self._below_header(text))
            body = b"".join(held)
            part = (is_plain(body, ord(self.delimiter)) and self._by_arrow(body, line)) or self._by_rows(body, line)
            if part is not None:
                yield part
                line += body.count(b"\n") + body.count(b"\r") - body.count(b"\r\n")
                held.clear()
            elif len(held) > MOST:
                break
        if held:
            raise NotInBlocks
        if text[-1:] not in b"\r\n" and self.filled > 1:
            self.origin.notes.append(CUT_OFF)

    def _below_header(self, text: bytes) -> bytes:
        head, _, body = text.partition(b"\n")
        try:
            head.decode()
        except UnicodeDecodeError as e:
            raise NotInBlocks from e
        if b"\r" in head[:-1]:
            raise NotInBlocks
        return body

    def _by_arrow(self, text: bytes, line: int) -> Part | None:
        """The rows of some plain lines; None if there is an empty one, or a row has not as many cells as the header."""
        from pyarrow import csv

        try:
            table = csv.read_csv(
                pa.BufferReader(b"\n" + text),  # the first line is not read: Arrow would take a mark off it
                csv.ReadOptions(column_names=list(self.origin.header), skip_rows=1),
                csv.ParseOptions(delimiter=self.delimiter, newlines_in_values=False),
                csv.ConvertOptions(column_types=dict.fromkeys(self.origin.header, pa.string()), strings_can_be_null=False),
            )
        except pa.ArrowException:
            return None
        if table.num_rows != text.count(b"\n") + (not text.endswith(b"\n")):  # an empty line: which line is whose?
            return None
        keep = np.ones(table.num_rows, bool)
        keep[_blank(table)] = False
        if not keep.all():
            self.origin.blank += int((~keep).sum())
            self.origin.below = self.filled + int(keep[: np.flatnonzero(~keep)[-1]].sum())
            table = table.filter(pa.array(keep))
        self.filled += table.num_rows
        return table, np.flatnonzero(keep) + line

    def _by_rows(self, text: bytes, line: int) -> Part | None:
        """The rows of some lines as the ordinary reader has them; None if a quote is open at their end."""
        met = TableOrigin(self.origin.shown, self.origin.header, below=self.origin.below)
        try:
            told = text.decode().replace("\r\n", "\n").replace("\r", "\n")
            rows, lines = rows_of(told, self.delimiter, 0, met, line - 1, self.filled)
        except UnicodeDecodeError as e:
            raise NotInBlocks from e
        except Unreadable:
            return None
        self.origin.rejects += met.rejects
        self.origin.blank, self.origin.below = self.origin.blank + met.blank, met.below
        self.filled += len(rows)
        columns = zip(*rows, strict=True) if rows else ([] for _ in self.origin.header)
        table = pa.table({name: pa.array(cells, pa.string()) for name, cells in zip(self.origin.header, columns, strict=True)})
        return table, np.array(lines, np.int64)


def is_large(path: Path) -> bool:
    """Whether a file has so much text that it is read in blocks. Raises OSError, or Unreadable for a packed file."""
    return is_longer(path, LARGE)


def blocks_of(path: Path) -> Iterator[bytes]:
    """A file in blocks of whole lines. Raises NotInBlocks, or Unreadable for a packed file."""
    try:
        yield from blocks(path)
    except (OSError, LongLine) as e:
        raise NotInBlocks from e


def _blank(table: pa.Table) -> Array:
    """The rows without any text."""
    at = np.arange(table.num_rows)
    for column in table.columns:
        if len(at):
            texts = column if len(at) == table.num_rows else column.take(pa.array(at))
            at = at[pc.equal(pc.utf8_trim_whitespace(texts), "").to_numpy()]
    return at


def _listed(table: pa.Table) -> list[tuple[str, ...]]:
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))

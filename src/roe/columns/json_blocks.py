"""Large JSON files, also packed ones, in blocks of records: one in each line, or all in one list.

Only all of a file shows which keys its records have, and which of these have nothing but texts. So it is read twice.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from dataclasses import field
from pathlib import Path

import numpy as np
import pyarrow as pa

from roe.columns.csv_blocks import NotInBlocks, Part, blocks_of, is_large
from roe.columns.raw import column_of, table_of
from roe.data import plain
from roe.data.content import head_of, pieces
from roe.data.encoding import Unreadable
from roe.data.read import LINES_OF_JSON, NotARecord, kind_of, records_in
from roe.data.scan import TableOrigin
from roe.dynamic import Json
from roe.node import node
from roe.policy.model import DataSource

_SPACE = re.compile(r"[ \t\n\r]+")
_AFTER = {"[": "{]", ",": "{", "]": ""}  # what may follow a sign of a list
_PARSER = json.JSONDecoder()
Records = tuple[list[Json], list[int]]  # some records, and the line of each, or its number


@node(frozen=False)
class JsonBlocks:
    """A JSON file in UTF-8. `origin` says what the reading has met so far."""

    path: Path
    origin: TableOrigin
    texts: set[str] = field(default_factory=set, init=False)  # the keys whose values are texts, or missing

    @classmethod
    def of(cls, path: Path, source: DataSource) -> JsonBlocks | None:
        """A file that is large, and begins as such a one does."""
        kind = kind_of(path)
        if kind not in (".json", *LINES_OF_JSON) or source.encoding:
            return None
        try:
            head = head_of(path, 1 << 12) if is_large(path) else b""
        except (OSError, Unreadable):
            return None
        begins = head.removeprefix(codecs.BOM_UTF8).lstrip()[:1]
        return cls(path, TableOrigin(str(path))) if begins == b"[" or (begins == b"{" and kind != ".json") else None

    def records(self) -> Iterator[Part]:
        """Its records. Raises NotInBlocks, or Unreadable for a packed file."""
        self._survey()
        for rows, lines in self._blocks():
            yield self._part(rows, lines)

    def _survey(self) -> None:
        """Find out the keys, in the order in which they come, and which of them have texts."""
        mixed: dict[str, bool | None] = {}  # None: no value yet
        for rows, _ in self._blocks():
            for key in dict.fromkeys(key for row in rows for key in row):
                values = [row.get(key) for row in rows]
                if not mixed.setdefault(key, None) and any(x is not None for x in values):
                    mixed[key] = isinstance(column_of(values), list)
        mixed.pop("$line", None)
        if not mixed:
            raise NotInBlocks
        self.origin.header = tuple(mixed)
        self.texts = {key for key, is_mixed in mixed.items() if is_mixed is False}

    def _part(self, rows: list[Json], lines: list[int]) -> Part:
        columns = {key: [row.get(key) for row in rows] for key in self.origin.header}
        table = table_of({key: pa.array(values, pa.string()) if key in self.texts else values for key, values in columns.items()})
        return table, np.array(lines, np.int64)

    def _blocks(self) -> Iterator[Records]:
        return _of_list(self.path) if kind_of(self.path) == ".json" else _of_lines(self.path)


def _of_lines(path: Path) -> Iterator[Records]:
    line, is_empty = 1, True
    for block in blocks_of(path):
        text = _decoded(block, line == 1)
        rows, lines = [], []
        for number, piece in enumerate(text.split("\n"), line):
            if piece.strip():
                found = _records(piece)
                rows += found
                lines += [number] * len(found)
                is_empty = False
        yield rows, lines
        line += text.count("\n")
    if is_empty:
        raise NotInBlocks


def _records(piece: str) -> list[Json]:
    try:
        return records_in(piece)
    except (ValueError, RecursionError, NotARecord) as e:
        raise NotInBlocks from e


def _decoded(block: bytes, is_first: bool) -> str:
    try:
        text = block.decode("utf-8-sig" if is_first else "utf-8")
    except UnicodeDecodeError as e:
        raise NotInBlocks from e
    if "\0" in text:
        raise NotInBlocks
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _of_list(path: Path) -> Iterator[Records]:
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    text, number, allowed = "", 0, "["
    for piece in _pieces(path):
        try:
            text += decoder.decode(piece)
        except UnicodeDecodeError as e:
            raise NotInBlocks from e
        rows, text, allowed = _whole_objects(text, allowed)
        if len(text) > plain.LONGEST:
            raise NotInBlocks
        yield rows, list(range(number + 1, number + len(rows) + 1))
        number += len(rows)
    if text or allowed or decoder.getstate()[0]:
        raise NotInBlocks


def _pieces(path: Path) -> Iterator[bytes]:
    try:
        yield from pieces(path, plain.BLOCK)
    except OSError as e:
        raise NotInBlocks from e


def _whole_objects(text: str, allowed: str) -> tuple[list[Json], str, str]:
    """The objects of a list that a part of its text has whole, the rest of the text, and the signs that may follow."""
    rows: list[Json] = []
    at = 0
    while sign := text[(start := at + _leading_space(text, at)) : start + 1]:
        if sign not in allowed:
            raise NotInBlocks
        if sign == "{":
            try:
                row, at = _PARSER.raw_decode(text, start)
            except ValueError:  # more of it may come
                return rows, text[start:], allowed
            except RecursionError as e:
                raise NotInBlocks from e
            rows.append(row)
            allowed = ",]"
        else:
            at, allowed = start + 1, _AFTER[sign]
    return rows, "", allowed


def _leading_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return len(found[0]) if found else 0

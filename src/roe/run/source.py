"""The one reader of a run's data: a folder of files, or a DuckDB database, as the tables that an engine asks for."""

from __future__ import annotations

from contextlib import suppress
from functools import cached_property
from pathlib import Path

from roe.data.coerce import RawRecords
from roe.data.content import PACKED
from roe.data.encoding import Unreadable
from roe.data.read import WORKBOOKS, Tables, files_of, is_database, kind_of, read_tables
from roe.data.report import Report, broken
from roe.diagnostics import Diagnostic, PolicyError, errors
from roe.dynamic import Json, Value
from roe.policy.model import DataSource, Policy

LARGE = 2 << 20  # bytes of data, from which on a record is taken out of it, and the ledger keeps no traces
UNPACKED = 4  # times as long is the text in a packed file, at least
QUICK = 1 << 17  # bytes of data: below, starting NumPy and Arrow takes longer than deciding the rows


class Source:
    """A place with records of a policy's entities. What its readers say short of an error is in `warnings`."""

    def __init__(self, policy: Policy, place: Path) -> None:
        self.policy, self.place = policy, place
        self.warnings: list[Diagnostic] = []

    @property
    def is_folder(self) -> bool:
        return self.place.is_dir()

    @property
    def is_database(self) -> bool:
        return is_database(self.place)

    def is_large(self) -> bool:
        return is_large(self.place)

    def is_quicker_in_columns(self) -> bool:
        return bytes_of(self.place) >= min(QUICK, LARGE)

    def rows(self) -> Tables:
        """Every entity's records as rows of raw cells. Raises PolicyError for data that cannot be read."""
        if self.is_database:
            tables, diagnostics = self._columns()
            self._heed(diagnostics)
            return {entity: _rows(raw) for entity, raw in tables.items()}
        tables, diagnostics = read_tables(self.policy, self.place, complete=True)
        self._heed(diagnostics)
        return tables

    def columns(self) -> Json:
        """The same as Arrow columns, by entity."""
        tables, diagnostics = self._columns()
        self._heed(diagnostics)
        return tables

    def _columns(self) -> tuple[Json, list[Diagnostic]]:
        from roe.columns.read import read_columns

        return read_columns(self.policy, self.place, complete=True)

    def _heed(self, diagnostics: list[Diagnostic]) -> None:
        if errors(diagnostics):
            raise PolicyError(diagnostics)
        self.warnings += diagnostics

    def is_whole(self, entity: str) -> bool:
        """Whether an entity's records are in a large file that cannot be read some rows at a time, as databases, Parquet, and most CSV and JSON
        can.
        """
        from roe.columns.read import in_blocks

        path = self.files().get(entity)
        if entity not in self.rows_in_large or path is None or self.is_database or path.suffix.lower() == ".parquet":
            return False
        return in_blocks(path, self.policy.data.get(entity, DataSource())) is None

    @cached_property
    def rows_in_large(self) -> dict[str, int]:
        """entity -> about how many rows its file has, if it is large (no workbook is); of a database, all of them. Whoever reads a file says what
        is wrong with it.
        """
        from roe.columns.csv_blocks import is_large as is_long
        from roe.columns.database import rows_in_database
        from roe.columns.read import rows_about

        if self.is_database:
            return {"": rows_in_database(self.policy, self.place)}
        rows: dict[str, int] = {}
        for entity, path in self.files().items() if self.is_folder else ():
            with suppress(OSError, Unreadable):
                if path.suffix.lower() == ".parquet" or (kind_of(path) not in WORKBOOKS and is_long(path)):
                    rows[entity] = rows_about(path)
        return rows

    def files(self) -> dict[str, Path]:
        """entity -> the file that its records are read from."""
        if not self.is_folder:
            return dict.fromkeys(self.policy.model.entities, self.place) if self.place.is_file() else {}
        return files_of(self.policy, self.place)[0]


def _rows(raw: Value) -> RawRecords:
    columns = [x if isinstance(x, list) else x.to_pylist() for x in raw.columns.values()]
    names = (*raw.columns, "$line")
    return RawRecords([dict(zip(names, cells, strict=True)) for cells in zip(*columns, raw.lines.tolist(), strict=True)], raw.origin)


def is_large(place: Path) -> bool:
    """Whether so much data is there that nothing reads all of it for one record."""
    return bytes_of(place) >= LARGE


def bytes_of(place: Path) -> float:
    """About how much text the data in a folder is; a database counts as large."""
    return sum(map(_text_in, place.iterdir())) if place.is_dir() else float("inf")


def _text_in(path: Path) -> int:
    """About how many bytes of text a file has."""
    packs = path.suffix.lower() in (*PACKED, ".parquet")
    return path.stat().st_size * (UNPACKED if packs else 1) if path.is_file() else 0


def expected(policy: Policy, report: Report, last: Report) -> list[Diagnostic]:
    """What the policy expects of its data and the reading report does not show."""
    return broken(policy, report, last) if is_guarded(policy) else []


def is_guarded(policy: Policy) -> bool:
    """Whether a policy expects anything of its data as a whole (`expect:`)."""
    return any(s.rows or s.fall is not None or s.filled for s in policy.data.values())

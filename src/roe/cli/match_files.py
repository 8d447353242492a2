"""The files of `roe match`: records as rows, or as columns where there are many; their headers, and the same records under the names of fields."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from roe.cli.common import heed
from roe.data.coerce import RawRecords
from roe.data.read import SUFFIXES, read_file, row_warnings
from roe.diagnostics import user_error
from roe.dynamic import Cell, Record
from roe.evaluator.engine import Evaluator
from roe.evaluator.world import World
from roe.policy.circles import circles
from roe.policy.model import DataSource
from roe.run.source import LARGE

if TYPE_CHECKING:
    from roe.columns.raw import Raw

AS_OF = "1970-01-01"  # no definition that comes with roe asks for the day


class Records(Protocol):
    """The records of a file, as they were read."""

    @property
    def n(self) -> int: ...

    @property
    def headers(self) -> list[str]: ...

    def tells_apart(self, column: str) -> bool:
        """Whether no two records have the same value in a column."""

    def renamed(self, columns: Mapping[str, str]) -> object:
        """The records under the names of fields (field -> column); as they are, where there are none."""


class Rows:
    """Records one by one."""

    def __init__(self, rows: Iterable[Record]) -> None:
        self.rows = list(rows)
        self._header = list(rows.origin.header) if isinstance(rows, RawRecords) else []

    @property
    def n(self) -> int:
        return len(self.rows)

    @property
    def headers(self) -> list[str]:
        return self._header or list(dict.fromkeys(k for row in self.rows for k in row if k != "$line"))

    def tells_apart(self, column: str) -> bool:
        return len({row.get(column) for row in self.rows}) == len(self.rows)

    def renamed(self, columns: Mapping[str, str]) -> object:
        if not columns:
            return [dict(row) for row in self.rows]
        return [{**{name: row.get(column) for name, column in columns.items()}, "$line": row["$line"]} for row in self.rows]


class Columns:
    """Records as columns."""

    def __init__(self, raw: Raw) -> None:
        self.raw = raw

    @property
    def n(self) -> int:
        return self.raw.n

    @property
    def headers(self) -> list[str]:
        return list(self.raw.columns)

    def tells_apart(self, column: str) -> bool:
        from pyarrow import compute

        values = self.raw.columns[column]
        distinct = len(set(values)) if isinstance(values, list) else compute.count_distinct(values, mode="all").as_py()
        return int(distinct) == self.raw.n

    def renamed(self, columns: Mapping[str, str]) -> object:
        from roe.columns.raw import Raw

        held = self.raw.columns
        return Raw({name: held[column] for name, column in columns.items()} if columns else held, self.raw.n, self.raw.lines)


def is_for_columns(evaluator: Evaluator, paths: Iterable[Path]) -> bool:
    """Whether the files are large enough for columns, their packages are there, and no field rests on itself."""
    size = sum(path.stat().st_size for path in paths if path.is_file())
    return size >= LARGE and all(find_spec(name) is not None for name in ("pyarrow", "numpy")) and not circles(evaluator.policy)


def read(path: Path, in_columns: bool) -> Rows | Columns:
    """The records of a file; rows that are none are warnings. A file that cannot be read ends the command."""
    if not path.is_file():
        raise user_error("R601", f"there is no file `{path}`", path, "name a file of records")
    if path.suffix.lower() not in SUFFIXES:
        raise user_error("R601", f"`{path}` is not a type of file that can be read", path, f"it is one of {', '.join(SUFFIXES)}")
    if in_columns:
        from roe.columns.read import read_table

        raw, problems = read_table(path, DataSource())
        heed([*problems, *row_warnings(raw.origin)])
        return Columns(raw)
    rows, problems = read_file(path)
    heed([*problems, *row_warnings(rows.origin)])
    return Rows(rows)


def world_of(evaluator: Evaluator, tables: Mapping[str, object], in_columns: bool) -> World:
    """The world of records that were renamed."""
    if not in_columns:
        rows: dict[str, list[dict[str, Cell]]] = {entity: list(some) for entity, some in tables.items() if isinstance(some, list)}
        return evaluator.bind(rows, as_of=AS_OF).world
    from roe.columns.world import ColumnWorld

    return ColumnWorld(evaluator.compiled, tables, evaluator.clock(AS_OF))

"""Arrow tables as files, CSV or Parquet, which grow portion by portion and appear whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from roe.data.files import safe
from roe.progress import advance, phase

if TYPE_CHECKING:
    import pyarrow.parquet as pq


ROW_GROUP = 1 << 16  # rows that are read for one of them: whoever looks for a record skips the other groups
_SPECIAL = '[",\r\n]'


class File:
    """A file that appears whole or not at all."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.draft = path.with_name(f".{path.name}.{os.getpid()}")

    def add(self, table: pa.Table) -> None:
        raise NotImplementedError

    def close(self) -> None:
        os.replace(self.draft, self.path)

    def abandon(self) -> None:
        self.draft.unlink(missing_ok=True)


class ParquetFile(File):
    """With `arrow_types`, Arrow reads every column as the type that it was held in. Without, texts are texts, however they were held, so that
    all files of a table can be read as one.
    """

    writer: pq.ParquetWriter = None

    def __init__(self, path: Path, arrow_types: bool = True) -> None:
        super().__init__(path)
        self.arrow_types = arrow_types

    def add(self, table: pa.Table) -> None:
        from pyarrow import parquet

        if self.writer is None:
            self.writer = parquet.ParquetWriter(self.draft, table.schema, compression="snappy", store_schema=self.arrow_types)
        self.writer.write_table(table.cast(self.writer.schema), row_group_size=ROW_GROUP)

    def close(self) -> None:
        self.writer.close()
        super().close()


class CsvFile(File):
    """As `csv.writer` writes it, with cells that cannot become formulas: the lines are put together as columns."""

    file: BinaryIO | None = None

    def add(self, table: pa.Table) -> None:
        if self.file is None:
            self.file = self.draft.open("wb")
            self.file.write((",".join(table.column_names) + "\n").encode())
        phase(f"writing {self.path.name}", table.num_rows)
        for batch in table.to_batches(max_chunksize=200_000):
            advance(batch.num_rows)
            if batch.num_rows:
                lines = pc.binary_join_element_wise(*(_cells(c) for c in batch.columns), ",")
                lines = pc.binary_join_element_wise(lines, "\n", "")
                held = lines.buffers()
                offsets = np.frombuffer(held[1], np.int32)
                self.file.write(memoryview(held[2])[int(offsets[lines.offset]) : int(offsets[lines.offset + len(lines)])])

    def close(self) -> None:
        assert self.file is not None
        self.file.close()
        super().close()


def _cells(column: pa.Array) -> pa.Array:
    """A column's cells as CSV text."""
    if pa.types.is_dictionary(column.type):
        made = pa.DictionaryArray.from_arrays(column.indices, _cells(column.dictionary)).dictionary_decode()
        return pc.fill_null(made, "")
    texts = pc.fill_null(column.cast(pa.string()), "")
    risky = pc.match_substring_regex(texts, "^[=+\\-@\t\r]")
    if pc.any(risky).as_py():
        texts = pa.array([safe(x) for x in texts.to_pylist()], pa.string())
    special = pc.match_substring_regex(texts, _SPECIAL)
    if pc.any(special).as_py():
        quoted = pc.binary_join_element_wise('"', pc.replace_substring(texts, '"', '""'), '"', "")
        texts = pc.if_else(special, quoted, texts)
    return texts

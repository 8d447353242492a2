"""The records of an entity as typed columns, with what was said about them when they were read."""

from __future__ import annotations

from collections import Counter
from dataclasses import field

import pyarrow as pa

from roe.columns.column import Column
from roe.data.reading import Reading, Reject
from roe.dynamic import Array
from roe.node import node


@node(frozen=False)
class TypedColumns:
    """The records of an entity in the order of their ids: typed columns by field, lines, and what coercion said.

    After them stand `guests`, in the order of their ids as well: records that somebody else decides, and of whose reading nothing is said here.
    `guest_ids` are those of all rows that came as guests, also of what is rejected.
    """

    n: int
    reading: Reading
    columns: dict[str, Column] = field(default_factory=dict)
    ids: pa.Array = None
    lines: Array = None
    rejects: list[Reject] = field(default_factory=list)
    repeated: int = 0  # how many of the rejects, the last ones, are repetitions
    guests: int = 0
    guest_ids: frozenset[str] = frozenset()
    ranks: pa.Table | None = None  # places among all records, of which these are some (see `Raw`)
    decided: pa.Table | None = None  # the owners that guests got (see `Raw`)
    alike: pa.Table | None = None  # names among those of all records (see `Raw`)
    matched: pa.Table | None = None  # what records are matched to (see `Raw`)

    @property
    def listed(self) -> int:
        """How many records there are without guests."""
        return self.n - self.guests

    @property
    def names(self) -> dict[str, str]:
        """field -> the data's column."""
        return self.reading.columns

    @property
    def corrected(self) -> Counter[tuple[str, str, str]]:
        """(field, written, meant) -> records."""
        return self.reading.corrected

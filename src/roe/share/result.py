"""What a task decided, as plain values that can be put together with those of other tasks."""

from __future__ import annotations

from dataclasses import dataclass, field

import pyarrow as pa

from roe.dynamic import Json, Value
from roe.share.memory import Change


@dataclass
class TaskResult:
    """What one task has to say, or several of them together.

    `lines` are those of the run's tables, unless tasks wrote them themselves: `parts` are the names of the files that they wrote. `ids` are the
    records that the lines of each table are about, by which the lines of several tasks are put in order; none if a task has all. `turns` are
    lines or tables, `pools` says what these were. `extra` has the rows of other files. `counts` are for the summary, `tallies` for the
    invariants. For the ledger: the names of the `segments` that they wrote, `changes` of what is remembered of all records together, the
    decisions that the CRM has not loaded (`late`: record and day), and the records whose rows are `older` than what the CRM has shown.
    """

    lines: dict[str, pa.Table] = field(default_factory=dict)
    parts: list[str] = field(default_factory=list)
    ids: dict[str, pa.ChunkedArray] = field(default_factory=dict)
    turns: list[Value] = field(default_factory=list)
    pools: list[str] = field(default_factory=list)
    extra: dict[str, list[list[str]]] = field(default_factory=dict)
    counts: list[Json] = field(default_factory=list)
    tallies: list[Json] = field(default_factory=list)
    segments: list[str] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    late: list[tuple[str, str]] = field(default_factory=list)
    older: list[str] = field(default_factory=list)

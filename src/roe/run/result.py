"""What every engine gives: plain columns of what it decided, by entity and role.

A column is a list of texts (None where there is nothing), or an Arrow array of the same. Summaries, files and invariants read these
columns and nothing of an engine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import field
from typing import Any

from roe.dynamic import Json, Value
from roe.evaluator.bound import Bound
from roe.node import node

CALM = ("hold", "refer")  # actions that change nothing in the CRM, whoever the owner would be

Lines = Any  # column -> its values: a dict of lists, or an Arrow table


@node
class Portion:
    """Decisions on records of one entity in one role, in the order of their ids.

    `lines` has the columns of `roe.run.allocations`, and three for the CRM: `$moved` (yes or no: does the record change hands), and the new and the
    old owner as the CRM calls them, `$value` and `$old`. `field` is the CRM's column of the owner. `unknown` counts, for each rule, the
    records on which it could not be decided.
    """

    entity: str
    role: str
    field: str
    lines: Lines
    unknown: Mapping[str, int]

    @property
    def n(self) -> int:
        return len(self.lines["record"])


@node(frozen=False)
class Batch:
    """What an engine decided on all records, or on one share of them, and what it read.

    `read` is what the data said, as plain JSON (see `roe.run.summary.read_of`). `turns` are the lines of turns.jsonl, or a table of them (see
    `roe.columns.turn_files`), in the order in which pools took their turns, `pools` is what pools.json says, `extra` the rows of the files that only some policies have.
    `traces` makes the lines of trace.jsonl for one entity; None where explanations are made from evidence.
    """

    portions: list[Portion]
    bound: Bound
    read: Json
    turns: Value  # lines, or a table
    pools: str
    extra: dict[str, list[list[str]]]
    traces: Callable[[str], Iterator[str]] | None = None
    run: Value = field(default=None, repr=False)  # what the engine made, for its own evidence

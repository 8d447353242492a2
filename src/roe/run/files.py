"""The files of a run: one list of their names and columns, filled from the portions of whichever engine decided.

Each appears whole or not at all, no cell can become a formula, and the same run gives the same bytes.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from roe.columns.turn_files import MARKS, POOLS, TURNS, write_turns
from roe.crm import PROFILES
from roe.data.files import csv_text, write_whole
from roe.data.reading import Reject
from roe.data.report import Report, report_of, write_report
from roe.dynamic import Json, Value
from roe.evaluator.extra import COLUMNS as EXTRA
from roe.policy.model import Policy
from roe.run import lists
from roe.run.allocations import ALLOCATIONS
from roe.run.result import Batch, Lines, Portion
from roe.run.summary import Summary, counts_of

if TYPE_CHECKING:
    from roe.grammar.clock import Clock


CHANGES = ("object", "record", "name", "field", "value", "owner_name", "old_value", "previous_owner_name", "reason")
COLUMNS: dict[str, tuple[str, ...]] = {
    "allocations": ALLOCATIONS,  # every record and role: who owns it, by which rule, and why
    "changes": CHANGES,  # what moves, ready to load into the CRM
    "rollback": CHANGES,  # the way back
    "rejects.csv": ("entity", "record", "line", "field", "value", "reason"),
    "invariants.csv": ("invariant", "severity", "entity", "record", "name", "found"),
    **EXTRA,
}
TABLES = ("allocations", "changes", "rollback")  # those that are written as CSV or as Parquet
ORDERED_BY = {
    "claims.csv": 1,
    "credits.csv": 4,
    "events.csv": 3,
    "territories.csv": 4,
}  # cells that order the lines; equals stay as they are
OTHERS = ("summary.json", "reading.json", "turns.jsonl", TURNS, MARKS, POOLS, "trace.jsonl")
FORMATS = ("csv", "parquet")
PARTS, DELTA = "parts", "delta"
IN_PARTS = (PARTS, DELTA)  # a folder of Parquet files for each table, which tasks write themselves where there are any
KNOWN = (  # every file that a run may write
    *(f"{name}.{form}" for name in TABLES for form in FORMATS), *(name for name in COLUMNS if name.endswith(".csv")), *OTHERS,
)  # fmt: skip
ROLLBACK = {
    "object": "object", "record": "record", "name": "name", "field": "field", "value": "old_value", "owner_name": "previous_owner_name",
    "old_value": "value", "previous_owner_name": "owner_name",
}  # fmt: skip


Tables = dict[str, Lines]
Watch = Callable[[Batch, Tables], None]


def tables_of(portions: Iterable[Portion], policy: Policy) -> Tables:
    """The lines of allocations, changes and rollback, in the order of entity, record and role."""
    objects = PROFILES[policy.profile].objects
    by_entity: dict[str, list[Portion]] = {}
    for p in sorted(portions, key=lambda p: (p.entity, p.role)):
        by_entity.setdefault(p.entity, []).append(p)
    whole, moved = [], []
    for entity, own in by_entity.items():
        tables = [lists.renamed(p.lines, {**{c: c for c in _columns(p.lines)}, "$field": lists.same(p.field, p.lines)}) for p in own]
        whole.append(lists.interleaved(tables))
        some = lists.where(whole[-1], "$moved")
        crm = {"object": lists.same(objects.get(entity, entity), some), "field": "$field", "value": "$value", "old_value": "$old"}
        moved.append(lists.plain(lists.renamed(some, {name: crm.get(name, name) for name in CHANGES}), ("object", "value", "old_value")))
    forth = lists.stacked(moved, CHANGES)
    back = lists.renamed(forth, {**ROLLBACK, "reason": lists.same("rollback", forth)})
    return {"allocations": lists.stacked(whole, ALLOCATIONS), "changes": forth, "rollback": back}


def _columns(lines: Lines) -> Iterable[str]:
    return list(lines) if isinstance(lines, dict) else list(lines.column_names)


class Files:
    """The files of one run in a folder, while they are being written: batch by batch, then `close`."""

    def __init__(self, folder: Path, policy: Policy, form: str = "csv", traces: bool = False, summary: Summary | None = None) -> None:
        self.folder, self.policy, self.form = folder, policy, form
        self.traced = traces
        self.traces: list[str] | None = None
        self.summary = summary
        self.turns: list[Value] = []  # of each batch, as lines or as a table
        self.turns_form = ""
        self.turns_are_written = False  # by whoever decided
        self.pools = ""
        self.extra: dict[str, list[list[str]]] = {}
        self._tables: Json = {}

    def add(self, batch: Batch, watch: Watch = lambda batch, tables: None) -> None:
        """Write what a batch decided. `watch` sees it, and its lines of `TABLES`, before it is written. Raises OSError."""
        if self.summary is None:
            self.summary = Summary({p.entity for p in batch.portions})
        self.summary.add(counts_of(batch))
        tables = tables_of(batch.portions, self.policy)
        watch(batch, tables)
        for name, lines in tables.items():
            self.table(name, lines)
        self.turns.append(batch.turns)
        self.pools = batch.pools
        for name, rows in batch.extra.items():
            self.extra.setdefault(name, []).extend(rows)
        if self.traced and batch.traces is not None:
            own = [line for entity in sorted({p.entity for p in batch.portions}) for line in batch.traces(entity)]
            self.traces = [*(self.traces or ()), *own]

    def table(self, name: str, lines: Lines) -> None:
        """Add lines to one of `TABLES`."""
        if isinstance(lines, dict) and self.form != "csv":
            from roe.run.arrow import of_lists

            lines = of_lists(lines)
        if name not in self._tables:
            self._tables[name] = self._new(name, isinstance(lines, dict))
        self._tables[name].add(lines)

    def _new(self, name: str, plain: bool) -> Value:
        """The file of a table; `plain` if its lines are lists."""
        if self.form == "csv" and plain:
            return ListFile(self.folder / f"{name}.csv")
        from roe.data.arrow_files import CsvFile, ParquetFile

        if self.form == "csv":
            return CsvFile(self.folder / f"{name}.csv")
        path = self.folder / f"{name}.parquet"
        return ParquetFile(new_part(path) if self.form in IN_PARTS else path, arrow_types=False)

    def close(self, clock: Clock) -> Json:
        """Write all other files, and return the summary. Raises OSError."""
        summary = self.summary
        assert summary is not None  # there is a batch, even of nothing
        write_rows("rejects.csv", map(reject_row, summary.rejects(self.policy.model.entities)), self.folder)
        for name, rows in self.extra.items():
            ordered = sorted(rows, key=lambda row, n=ORDERED_BY[name]: row[:n])  # type: ignore[misc]
            if self.form == DELTA:
                self.table(name.removesuffix(".csv"), {c: [row[i] for row in ordered] for i, c in enumerate(COLUMNS[name])})
            else:
                write_rows(name, ordered, self.folder)
        for file in self._tables.values():
            file.close()
        if not self.turns_are_written:
            write_turns(self.folder, _together(self.turns), self.pools, self.turns_form)
        if self.traces is not None:
            write_whole(self.folder / "trace.jsonl", _lines(self.traces))
        write_report(self.report(), self.folder)
        whole = summary.as_json(self.policy, clock)
        write_whole(self.folder / "summary.json", json.dumps(whole, indent=2, ensure_ascii=False) + "\n")
        return whole

    def report(self) -> Report:
        """What was read of the data."""
        assert self.summary is not None
        return report_of(self.summary.readings())

    def abandon(self) -> None:
        """Remove what is half written."""
        for file in self._tables.values():
            file.abandon()


def undone(line: list[Value]) -> list[Value]:
    """The line of rollback.csv that takes a line of changes.csv back."""
    change = dict(zip(CHANGES, line, strict=True))
    return [change[ROLLBACK[name]] if name in ROLLBACK else "rollback" for name in CHANGES]


def write_rows(name: str, rows: Iterable[Iterable[object]], folder: Path) -> None:
    """One of the small files, with its columns."""
    write_whole(folder / name, csv_text(COLUMNS[name], rows))


def reject_row(r: Reject) -> list[Value]:
    return [r.entity, r.record, r.line, r.field, r.value, r.reason]


def _lines(texts: Iterable[str]) -> str:
    return "".join(text + "\n" for text in texts)


def _together(turns: list[Value]) -> Value:
    """The turns of all batches, as lines or as a table."""
    if len(turns) < 2:
        return turns[0] if turns else []
    if all(isinstance(x, list) for x in turns):
        return [line for lines in turns for line in lines]
    import pyarrow as pa

    return pa.concat_tables(turns)


def new_part(table: Path) -> Path:
    """A file in the folder of a table that nobody else writes."""
    table.mkdir(parents=True, exist_ok=True)
    return table / f"part-{uuid.uuid4().hex}.parquet"


class ListFile:
    """A CSV file of columns that are lists."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.texts: list[str] = []

    def add(self, lines: Mapping[str, list[Value]]) -> None:
        text = csv_text(lines, zip(*lines.values(), strict=True))
        self.texts.append(text.partition("\n")[2] if self.texts else text)

    def close(self) -> None:
        write_whole(self.path, "".join(self.texts))

    def abandon(self) -> None:
        self.texts = []

"""What a run saw, written into `trace/` beside its files for `evidence` to read: the policy's own files, and each entity's typed records."""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from roe.columns.column import NO_DAY, Coded, Column, Constant, Days, Instants, Numbers, Truths
from roe.columns.evidence import FOLDER, LITERAL
from roe.columns.evidence_memory import keep_memory
from roe.columns.load import all_text
from roe.columns.run import ColumnRun
from roe.columns.world import ColumnWorld
from roe.data.arrow_files import File, ParquetFile
from roe.evaluator.engine import Evaluator
from roe.grammar import values as v
from roe.ledger.remembered import Remembered


class EvidenceWriter:
    """Writes what the portions of a run saw."""

    def __init__(self, out: Path, evaluator: Evaluator, as_of: str, state: Remembered | None = None) -> None:
        self.folder = begin(out, evaluator, as_of, state or {})
        self.files: dict[str, File] = {}
        self.begun = False

    def add(self, run: ColumnRun, allocations: pa.Table) -> None:
        """Keep what a run, or a share of one, saw, and the owners that it gave."""
        for name, table in seen(run, allocations, {part.entity for part in run.allocations} if self.begun else None):
            if name not in self.files:
                self.files[name] = ParquetFile(self.folder / f"{name}.parquet")
            self.files[name].add(table)
        self.begun = True

    def close(self) -> None:
        for file in self.files.values():
            file.close()


def begin(out: Path, evaluator: Evaluator, as_of: str, state: Remembered) -> Path:
    """The folder for what a run saw, with nothing in it but the policy's own files and what the ledger knew."""
    folder = out / FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    policy = evaluator.policy
    files = {name: (policy.root / name).read_text("utf-8") for name in sorted({"policy.yaml", *policy.files}) if not name.endswith(".xlsx")}
    binary = {name: (policy.root / name).read_bytes().hex() for name in sorted(policy.files) if name.endswith(".xlsx")}
    (folder / "run.json").write_text(json.dumps({"roe": 1, "as_of": as_of, "files": files, "binary": binary}), "utf-8")
    keep_memory(folder, state)
    return folder


def seen(run: ColumnRun, allocations: pa.Table, entities: Collection[str] | None) -> Iterator[tuple[str, pa.Table]]:
    """What a run saw of some entities, or of all of them, and the owners that it gave, by the name of the file."""
    for entity, table in run.world.tables.items():
        if table.listed and (entities is None or entity in entities):
            yield entity, stored(run.world, entity)
    yield "owners", allocations.select(["entity", "record", "role", "owner", "previous_owner", "action"])


def stored(world: ColumnWorld, entity: str) -> pa.Table:
    """An entity's typed records as they were read: references as ids, owners as the data wrote them."""
    table = world.tables[entity]
    fields = world.policy.model.entities[entity]
    columns: dict[str, pa.Array] = {}
    for name, whole in table.typed.columns.items():
        column = whole.take(np.arange(table.listed)) if table.typed.guests else whole
        f = fields.get(name.partition(".")[0])
        if f is not None and f.type.name == "record" and not f.via:
            at = world.refer(column, f.type.entity, table.listed, None).at
            ids = world.tables[f.type.entity].ids
            columns[name] = ids.take(pa.array(at, mask=at < 0)) if len(ids) else pa.nulls(len(at), pa.string())
        else:
            columns[name] = _arrow(column)
    return pa.table({name: c.cast(pa.string()) if pa.types.is_null(c.type) else c for name, c in columns.items()})


def _arrow(column: Column) -> pa.Array:
    if isinstance(column, Numbers):
        return pa.array(column.data, mask=np.isnan(column.data))
    if isinstance(column, Days):
        return pa.array(np.where(column.data == NO_DAY, 0, column.data).astype(np.int32), mask=column.data == NO_DAY).cast(pa.date32())
    if isinstance(column, Instants):
        return pa.array(column.data, mask=column.data == NO_DAY).cast(pa.timestamp("us", "UTC"))
    if isinstance(column, Truths):
        return pa.array(column.data == 1, mask=column.data < 0)
    if isinstance(column, Coded) and all_text(column):
        return column.arrow()
    if isinstance(column, Constant) and isinstance(column.value, (str, type(None))):
        return pa.array([column.value] * column.n, pa.string())
    return pa.array([None if x is None else LITERAL + v.literal(x) for x in column.values()], pa.string())

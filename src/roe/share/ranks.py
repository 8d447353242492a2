"""Ranks among records that are shared out: tasks find out what is ranked, one task puts it in order, and tasks take the places of theirs back.

That one task has no record, but some two dozen bytes for each: its line, its value and its group.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from roe.columns.raw import Raw
from roe.columns.table import RecordTable
from roe.columns.world import ColumnWorld
from roe.dynamic import Array, Value
from roe.evaluator.bound import Bound
from roe.evaluator.engine import Evaluator
from roe.evaluator.fields import group_key
from roe.grammar import values as v
from roe.ledger.remembered import Remembered
from roe.plan.operators import Derive
from roe.share.carrier import Task
from roe.share.parcels import LINE, RANKS, each_of, packed
from roe.share.tasks import Batches

RANKED, ASKED, INEXACT = (
    "$ranked ",
    "$asked",
    "$inexact",
)  # parcels: before a step's name what it ranks; guests, whose places are asked for; a number too large
VALUE, GROUP, RECORD = "value", "group", "record"


def ranked(
    evaluator: Evaluator, as_of: str, tables: dict[str, Raw], state: Remembered, *, entity: str, names: Collection[str]
) -> dict[str, pa.Table]:
    """Of a task's records what each step ranks, and in which group; and the lines of guests, whose places the task asks for."""
    world = ColumnWorld(evaluator.compiled, tables, evaluator.clock(as_of))
    Bound(evaluator, world, state)
    table, found = world.tables[entity], dict[str, pa.Table]()
    for name in names:
        step = evaluator.policy.plan.steps[entity, name]
        assert isinstance(step, Derive)
        values = world.values(entity, f"{name}_of")
        rows = np.array([i for i, x in enumerate(values) if v.is_number(x)], np.int64)
        if any(_is_inexact(values[i]) for i in rows.tolist()):
            found[INEXACT] = pa.table({LINE: pa.array([0])})
        found[RANKED + name] = _of_rows(table, rows, values, world.values(entity, f"{name}_within"), step.strict)
    if table.typed.guests:
        found[ASKED] = pa.table({LINE: table.typed.lines[table.listed :]})
    return {of: rows for of, rows in found.items() if len(rows)}


def _is_inexact(value: Value) -> bool:
    try:
        return bool(float(value) != value)
    except OverflowError:
        return True


def _of_rows(table: RecordTable, rows: Array, values: list[Value], groups: list[Value], strict: bool) -> pa.Table:
    columns = {
        LINE: table.typed.lines[rows],
        VALUE: pa.array([float(values[i]) for i in rows.tolist()], pa.float64()),
        GROUP: pa.array([group_key(groups[i]) for i in rows.tolist()], pa.string()),
    }
    return pa.table(columns | ({RECORD: table.ids.cast(pa.string()).take(pa.array(rows))} if strict else {}))


def of_ranks() -> Task:
    """One task for all that is ranked: whoever sent a record, or asked for it, gets its places, by its line."""

    def task(batches: Batches) -> Batches:
        steps: dict[str, list[tuple[int, pa.Table]]] = {}
        asked: list[tuple[int, pa.Table]] = []
        for bucket, of, rows in each_of(batches):
            if of == ASKED:
                asked.append((bucket, rows))
            elif of.startswith(RANKED):
                steps.setdefault(of.removeprefix(RANKED), []).append((bucket, _coded(rows)))
        for name in sorted(steps):
            buckets, whole = _together(steps.pop(name))
            lines, places = whole[LINE].to_numpy(), placed(whole)
            order = np.argsort(lines)
            at, to = np.arange(len(lines)), buckets
            for bucket, rows in asked:
                wanted = rows[LINE].to_numpy()
                found = order[np.minimum(np.searchsorted(lines[order], wanted), len(lines) - 1)]
                found = found[lines[found] == wanted]
                at, to = np.append(at, found), np.append(to, np.full(len(found), bucket, np.int32))
            given = {"line": lines[at], **{column: numbers[at] for column, numbers in places.items()}}
            rows = pa.table(given).append_column("name", pa.repeat(pa.scalar(name), len(at)))
            yield from packed(RANKS, rows, to).to_batches()

    return task


def _coded(rows: pa.Table) -> pa.Table:
    """Its rows with a code for each group, which does not keep the bytes of the parcel."""
    return rows.set_column(rows.column_names.index(GROUP), GROUP, rows[GROUP].combine_chunks().dictionary_encode())


def _together(parts: Iterable[tuple[int, pa.Table]]) -> tuple[Array, pa.Table]:
    """The task of each row, and all rows."""
    parts = list(parts)
    buckets = np.concatenate([np.full(len(rows), bucket, np.int32) for bucket, rows in parts])
    return buckets, pa.concat_tables([rows for _, rows in parts]).unify_dictionaries().combine_chunks()


def placed(rows: pa.Table) -> dict[str, Array]:
    """Of each row its rank in its group, how many there are, and how many are below; equals share the best rank, unless they have ids."""
    group = pc.fill_null(rows[GROUP].combine_chunks().indices, -1)
    keys = {GROUP: group, VALUE: rows[VALUE]} | ({RECORD: rows[RECORD]} if RECORD in rows.column_names else {})
    order = pc.sort_indices(pa.table(keys), sort_keys=[(name, "ascending") for name in keys]).to_numpy()
    group, value = group.to_numpy()[order], rows[VALUE].to_numpy()[order]
    begins = np.append(True, group[1:] != group[:-1])
    differs = begins | np.append(True, value[1:] != value[:-1])
    first, of = _runs(begins)
    run, equal = _runs(differs)
    below = run - first
    rank = of - below - equal + 1
    if RECORD in keys:
        rank += np.arange(len(order)) - run
    places = {}
    for name, numbers in (("rank", rank), ("of", of), ("below", below)):
        places[name] = np.empty(len(order), np.int64)
        places[name][order] = numbers
    return places


def _runs(begins: Array) -> tuple[Array, Array]:
    """Of each row where its run begins, and how long that is."""
    starts = np.flatnonzero(begins)
    run = np.cumsum(begins) - 1
    return starts[run], np.diff(np.append(starts, len(begins)))[run]

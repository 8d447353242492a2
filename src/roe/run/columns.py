"""A run in columns as portions: what the engine numbers becomes Arrow arrays of texts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from roe.columns.column import Coded
from roe.columns.memory import ColumnMemory
from roe.columns.role_run import EXCEPTION, Allocations
from roe.columns.run import ColumnRun
from roe.dynamic import Array
from roe.evaluator.extra import extra_rows
from roe.evaluator.recorded import pools_json
from roe.grammar import values as v
from roe.ledger.moment import At
from roe.plan.outcome import ACTIONS
from roe.plan.parts import Crm
from roe.policy.store import rule_names
from roe.run.allocations import ALLOCATION_COLUMNS
from roe.run.arrow import same
from roe.run.result import CALM, Batch, Portion
from roe.run.rows import called
from roe.run.summary import read_of


def batch_of(run: ColumnRun) -> Batch:
    """Everything that files and summaries say of a run, or of a share of one."""
    world = run.world
    rejects = {}
    for entity, typed in world.columns_of.items():
        flagged = [(i >= len(typed.rejects) - typed.repeated, r) for i, r in enumerate(typed.rejects)]
        rejects[entity] = sorted(flagged, key=lambda x: (x[0], x[1].line))
    return Batch(
        [_portion(run, allocations) for allocations in run.allocations],
        run.bound,
        read_of(world, {entity: table.listed for entity, table in world.tables.items()}, rejects),
        run.turns(),
        pools_json(run.bound.pools.histories() if run.bound.plan.pools else {}),
        extra_rows(
            run.bound,
            {
                (allocations.entity, allocations.role): _owners(run, allocations)
                for allocations in run.allocations
                if run.bound.plan.holdovers
            },
        ),
        run=run,
    )


@dataclass
class DecidedColumns:
    """The decisions of a portion as arrays of texts: what the columns of allocations.csv are made from."""

    run: ColumnRun
    of: Allocations

    @cached_property
    def rule_names(self) -> list[str]:
        return rule_names(self.of.rules)

    def same(self, text: str) -> pa.Array:
        """A text that all lines have."""
        return same(text, len(self.of.owner))

    def names(self) -> pa.Array:
        """The records' names, or their ids where they have none."""
        table = self.of.table
        names = table.stored.get("name")
        known = names.arrow() if isinstance(names, Coded) else pa.nulls(table.n, pa.string())
        return self.own(pc.if_else(pc.or_kleene(pc.is_null(known), pc.equal(known, "")), table.written_ids, known))

    def own(self, column: pa.Array) -> pa.Array:
        """A column of the table without what it has of guests."""
        return column[: self.of.table.listed]

    def rep_ids(self, rows: Array) -> pa.Array:
        """The ids of reps who are given as rows of their table."""
        return _coded(rows, self.run.world.tables["rep"].written_ids)

    def rep_names(self, rows: Array) -> pa.Array:
        return _coded(rows, self._labels)

    @cached_property
    def _labels(self) -> pa.Array:
        """The names of all reps."""
        table = self.run.world.tables["rep"]
        return pa.array([table.row(i).label for i in range(table.n)], pa.string())

    def actions(self) -> pa.Array:
        return _coded(self.of.action, pa.array(ACTIONS))

    def rules(self) -> pa.Array:
        names = self.rule_names
        return _coded(np.where(self.of.rule == EXCEPTION, len(names), self.of.rule), pa.array([*names, "exception"]))

    def pools(self) -> pa.Array:
        return _coded(self.of.pool, pa.array(self.of.pools, pa.string()))

    def ends(self) -> pa.Array:
        return _coded(self.of.until, pa.array([str(v.string(x)) for x in self.of.untils], pa.string()))

    def texts(self, column: Coded) -> pa.Array:
        """A column's texts; an empty one is none."""
        empty = [code for code, text in enumerate(column.meaning.list) if not text]
        return _coded(np.where(np.isin(column.codes, empty), -1, column.codes), pa.array(column.meaning.list, pa.string()))


def _portion(run: ColumnRun, allocations: Allocations) -> Portion:
    decided = DecidedColumns(run, allocations)
    crm = run.bound.plan.crm
    queue = crm.queues.get((allocations.entity, allocations.role))
    names_there = _called(run, crm)
    more = {
        "$moved": pa.array(allocations.moved() & ~np.isin(allocations.action, [ACTIONS.index(action) for action in CALM])),
        "$value": _or(_coded(allocations.owner, names_there), queue),
        "$old": _or(_coded(allocations.in_crm(), names_there), _queues(run, allocations), queue),
    }
    unknown = {rule: int(allocations.unknown[i]) for i, rule in enumerate(decided.rule_names) if allocations.unknown[i]}
    return Portion(
        allocations.entity,
        allocations.role,
        run.world.owner_column(allocations.entity, allocations.role),
        pa.table({**{column.name: column.array(decided) for column in ALLOCATION_COLUMNS}, **more}),
        unknown,
    )


def decided_anew(p: Portion, memory: ColumnMemory, at: At) -> list[int]:
    """The lines of a portion about records that have another owner, rule, action or end than the last time.

    Lines are in the order of the table's rows, so that whatever the memory knows by row is about them.
    """
    changed = np.zeros(p.n, bool)
    changed[[row for row in memory.rows_changed.get((p.entity, p.role), []) if row < p.n]] = True
    aligned = memory.aligned.get((p.entity, p.role))
    if aligned is None:
        return list(range(p.n))
    how, until = aligned.held.how, aligned.held.until
    rules, actions, ends = (p.lines[name].combine_chunks() for name in ("rule", "action", "expires"))
    pairs = _numbers(rules) * (len(actions.dictionary) + 1) + _numbers(actions)
    known = {pair: code for code, pair in enumerate(how.meaning)}
    width = len(actions.dictionary) + 1
    texts = [
        ("" if rule is None else rule, action)
        for rule in [*rules.dictionary.to_pylist(), None]
        for action in [*actions.dictionary.to_pylist(), None]
    ]
    places = np.array([known.get(pair, -2) for pair in texts], np.int64)
    assert len(places) == (len(rules.dictionary) + 1) * width
    days = {text: code for code, text in enumerate(until.meaning)}
    stops = np.array([*(days.get(_end(text, at), -2) for text in ends.dictionary.to_pylist()), -1], np.int64)
    at_held = aligned.at[: p.n]
    last_how, last_end = (np.append(codes.at, -1)[at_held] for codes in (how, until))
    other = (places[pairs] != last_how) | (stops[_numbers(ends)] != last_end) | (at_held < 0)
    lines: list[int] = np.flatnonzero(changed | other).tolist()
    return lines


def _numbers(texts: pa.Array) -> Array:
    """The codes of texts; where there is none the one after the last."""
    return pc.fill_null(texts.indices, len(texts.dictionary)).to_numpy(zero_copy_only=False).astype(np.int64)


def _end(text: str, at: At) -> str:
    """An end as the ledger has it."""
    return text if len(text) in (0, 10) else str(At.of(v.parse_temporal(text), at.zone))


def _called(run: ColumnRun, crm: Crm) -> pa.Array:
    """What the CRM's files have for each rep."""
    table = run.world.tables["rep"]
    return table.written_ids if crm.owner == "id" else pa.array([called(table.row(i), crm) for i in range(table.n)], pa.string())


def _queues(run: ColumnRun, allocations: Allocations) -> pa.Array | None:
    """The queue that each record is in; the owner's column is that of the first role."""
    column = allocations.table.stored.get("owner_queue") if allocations.role == run.world.policy.roles[0] else None
    return None if column is None else pa.array(column.values()[: allocations.table.listed], pa.string())


def _or(texts: pa.Array, *instead: object) -> pa.Array:
    """Texts, and where there is none the first of these that is one."""
    given = [x for x in instead if x is not None]
    return pc.coalesce(texts.cast(pa.string()), *given) if given else texts


def _coded(codes: Array, meaning: pa.Array) -> pa.Array:
    codes = codes.astype(np.int32)
    return pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes < 0), meaning if len(meaning) else pa.array([""]))


def _owners(run: ColumnRun, allocations: Allocations) -> list[tuple[str | None, str | None]]:
    """(owner, previous owner) of each record, as ids."""
    ids = [*run.world.tables["rep"].ids.to_pylist(), None]
    return [(ids[a], ids[b]) for a, b in zip(allocations.owner.tolist(), allocations.previous.tolist(), strict=True)]

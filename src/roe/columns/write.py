"""What a run in columns writes: the files of `roe.data.write`, byte for byte, or as Parquet."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from roe.columns.column import Array, Coded
from roe.columns.run import KINDS, Allocations, ColumnRun
from roe.columns.world import ColumnWorld
from roe.data.coerce import Reject
from roe.data.write import ALLOCATIONS, csv_text, safe, write_whole
from roe.evaluator.engine import Decision
from roe.grammar import values as v

CHANGES = ("object", "record", "field", "value", "old_value", "reason")
_SPECIAL = '[",\r\n]'


def allocations(run: ColumnRun) -> pa.Table:
    """All allocations as text columns, in the order of (entity, record, role)."""
    return _interleaved([_columns(part, run) for part in run.found], [p.entity for p in run.found], [p.role for p in run.found])


def _columns(part: Allocations, run: ColumnRun) -> pa.Table:
    n = part.table.n
    reps = run.world.tables["rep"].ids
    names = part.table.stored.get("name")
    shown = names.arrow() if isinstance(names, Coded) else pa.nulls(n, pa.string())
    shown = pc.if_else(pc.or_kleene(pc.is_null(shown), pc.equal(shown, "")), part.table.ids, shown)
    rules = [str(r.name) for r in part.rules]
    arrays = [
        _same(part.entity, n), part.table.ids, shown, _same(part.role, n), _coded(part.owner, reps), _coded(part.previous, reps),
        _coded(part.action, pa.array(KINDS)), _coded(np.where(part.rule == -2, len(rules), part.rule), pa.array([*rules, "exception"])),
        _text(part.territory), _coded(part.pool, pa.array(part.pools, pa.string())), _text(part.window),
        _coded(part.until, pa.array([str(v.string(x)) for x in part.untils], pa.string())), part.reason,
    ]  # fmt: skip
    return pa.table(dict(zip(ALLOCATIONS, arrays, strict=True)))


def _same(text: str, n: int) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, np.int32)), pa.array([text]))


def _coded(codes: Array, meaning: pa.Array) -> pa.Array:
    codes = codes.astype(np.int32)
    return pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes < 0), meaning if len(meaning) else pa.array([""]))


def _text(column: Coded) -> pa.Array:
    return _coded(column.codes, pa.array(column.meaning.list, pa.string()))


def _interleaved(tables: list[pa.Table], entities: list[str], roles: list[str]) -> pa.Table:
    """Roles of an entity side by side record by record; entities in the order of their names."""
    done = []
    for entity in sorted(set(entities)):
        own = sorted((role, t) for role, t, e in zip(roles, tables, entities, strict=True) if e == entity)
        found = [t for _, t in own]
        if len(found) == 1:
            done.append(found[0])
            continue
        n = found[0].num_rows
        at = np.arange(n * len(found)).reshape(len(found), n).T.ravel()
        done.append(pa.concat_tables([t.unify_dictionaries() for t in found]).unify_dictionaries().take(pa.array(at)))
    if not done:
        return pa.table({name: pa.array([], pa.string()) for name in ALLOCATIONS})
    return pa.concat_tables(done, promote_options="permissive")


def changes(run: ColumnRun, table: pa.Table) -> tuple[pa.Table, pa.Table]:
    """What moves, ready to load into the CRM, and the way back."""
    flags = pa.chunked_array([pa.array(m) for m in _order(run, [part.moved() for part in run.found])], pa.bool_())
    moved = table.filter(flags)
    places = [np.full(part.table.n, i, np.int32) for i, part in enumerate(run.found)]
    names = pa.array([_field(part, run) for part in run.found], pa.string())
    order = _order(run, places)
    field = _coded(np.concatenate(order)[np.flatnonzero(flags.to_numpy())], names) if order else pa.array([], pa.string())
    back = _same("rollback", moved.num_rows)
    forth = [moved["entity"], moved["record"], field, moved["owner"], moved["previous_owner"], moved["reason"]]
    return (
        pa.table(dict(zip(CHANGES, forth, strict=True))),
        pa.table(dict(zip(CHANGES, [forth[0], forth[1], field, forth[4], forth[3], back], strict=True))),
    )


def _order(run: ColumnRun, masks: list[Array]) -> list[Array]:
    """Arrays by part in the order of the allocations' rows, one per entity."""
    out = []
    for entity in sorted({p.entity for p in run.found}):
        own = sorted((p.role, i) for i, p in enumerate(run.found) if p.entity == entity)
        out.append(np.stack([masks[i] for _, i in own], axis=1).ravel())
    return out


def _field(part: Allocations, run: ColumnRun) -> str:
    found = run.world.columns_of[part.entity].names.get(f"owner.{part.role}")
    return found or ("owner" if part.role == run.bound.policy.roles[0] else f"owner_{part.role}")


def write_run(run: ColumnRun, out: Path, form: str = "csv") -> dict[str, Any]:
    """All output files; returns the summary. `form` is csv or parquet. Raises OSError if the folder cannot be written."""
    return write_runs([run], out, form)


def write_runs(runs: Iterable[ColumnRun], out: Path, form: str = "csv") -> dict[str, Any]:
    """The same for the portions of one run, in the order of the records."""
    out.mkdir(parents=True, exist_ok=True)
    files = {name: (_Parquet if form == "parquet" else _Csv)(out / f"{name}.{form}") for name in ("allocations", "changes", "rollback")}
    summary = Summary()
    turns: list[Decision] = []
    try:
        for run in runs:
            whole = allocations(run)
            forth, back = changes(run, whole)
            for name, table in (("allocations", whole), ("changes", forth), ("rollback", back)):
                files[name].add(table)
            summary.add(run, forth.num_rows)
            turns += [d for p in run.found for d in p.decisions.values() if d.turn is not None]
        for file in files.values():
            file.close()
    finally:
        for file in files.values():
            file.abandon()
    rejects = ([r.entity, r.record, r.line, r.field, r.value, r.reason] for r in summary.rejects)
    write_whole(out / "rejects.csv", csv_text(("entity", "record", "line", "field", "value", "reason"), rejects))
    turns.sort(key=lambda d: (d.entity, d.id, d.role))
    lines = [
        json.dumps({"key": f"{d.entity}|{d.id}|{d.role}", **d.turn.as_json()}, ensure_ascii=False, separators=(",", ":"))
        for d in turns
        if d.turn is not None
    ]
    write_whole(out / "turns.jsonl", "".join(line + "\n" for line in lines))
    found = summary.as_json()
    write_whole(out / "summary.json", json.dumps(found, indent=2, ensure_ascii=False) + "\n")
    return found


class _File:
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


class _Parquet(_File):
    writer: Any = None

    def add(self, table: pa.Table) -> None:
        from pyarrow import parquet

        if self.writer is None:
            self.writer = parquet.ParquetWriter(self.draft, table.schema, compression="snappy")
        self.writer.write_table(table.cast(self.writer.schema))

    def close(self) -> None:
        self.writer.close()
        super().close()


class _Csv(_File):
    """As `csv.writer` writes it, with cells that cannot become formulas: the lines are put together as columns."""

    file: Any = None

    def add(self, table: pa.Table) -> None:
        if self.file is None:
            self.file = self.draft.open("wb")
            self.file.write((",".join(table.column_names) + "\n").encode())
        for batch in table.to_batches(max_chunksize=200_000):
            if batch.num_rows:
                lines = pc.binary_join_element_wise(*(_cells(c) for c in batch.columns), ",")
                lines = pc.binary_join_element_wise(lines, "\n", "")
                held = lines.buffers()
                offsets = np.frombuffer(held[1], np.int32)
                self.file.write(memoryview(held[2])[int(offsets[lines.offset]) : int(offsets[lines.offset + len(lines)])])

    def close(self) -> None:
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


class Summary:
    """Counts per rule, rep and pool, unknowns, rejects and corrections: `roe.data.write.summarize` of columns."""

    def __init__(self) -> None:
        self.run: ColumnRun | None = None
        self.moved = self.allocations = 0
        self.rules: dict[str, Counter[str]] = {}
        self.unknown: Counter[str] = Counter()
        self.actions: Counter[str] = Counter()
        self.pools: Counter[str] = Counter()
        self.reps: Counter[str] = Counter()
        self.strangers: set[str] = set()
        self.records: dict[str, int] = {}
        self._rejects: list[tuple[tuple[int, bool, int], Reject]] = []
        self.dangling: dict[tuple[str, str, str], int] = {}
        self.conflicts: dict[tuple[str, str, str], list[str]] = {}
        self.corrected: dict[tuple[str, str, str, str], int] = {}

    def add(self, run: ColumnRun, moved: int) -> None:
        """What one portion adds; the tables that are not decided are the same in each."""
        first, world = self.run is None, run.world
        self.run = run
        self.moved += moved
        for part in run.found:
            self._part(part, world)
        decided = {part.entity for part in run.found}
        for entity, table in world.tables.items():
            if first or entity in decided:
                self.records[entity] = self.records.get(entity, 0) + table.listed
        order = {entity: i for i, entity in enumerate(world.tables)}
        for entity, typed in world.columns_of.items():
            if first or entity in decided:
                cut = len(typed.rejects) - typed.repeated
                self._rejects += [((order[entity], i >= cut, r.line), r) for i, r in enumerate(typed.rejects)]
                for (f, a, b), n in typed.corrected.items():
                    key = (entity, f, a, b)
                    self.corrected[key] = self.corrected.get(key, 0) + n
        for (entity, name, value), n in world.dangling.items():
            if first or entity in decided:
                self.dangling[entity, name, value] = self.dangling.get((entity, name, value), 0) + n
        for key, ids in world.conflicts.items():
            self.conflicts.setdefault(key, []).extend(ids)

    def _part(self, part: Allocations, world: ColumnWorld) -> None:
        names = [str(r.name) for r in part.rules]
        self.allocations += part.table.n
        found = self.rules.setdefault(f"{part.entity}.{part.role}", Counter())
        rules, at, counts = np.unique(part.rule, return_index=True, return_counts=True)
        for rule, _, n in sorted(zip(rules.tolist(), at.tolist(), counts.tolist(), strict=True), key=lambda x: x[1]):
            found[names[rule] if rule >= 0 else "exception" if rule == -2 else "(no rule)"] += n
        for i in np.flatnonzero(part.unknown).tolist():
            self.unknown[f"{part.entity}.{part.role}: {names[i]}"] += int(part.unknown[i])
        for code, n in enumerate(np.bincount(part.action, minlength=len(KINDS)).tolist()):
            if n:
                self.actions[KINDS[code]] += n
        for name, n in zip(part.pools, np.bincount(part.pool[part.pool >= 0], minlength=len(part.pools)).tolist(), strict=False):
            if n:
                self.pools[name] += n
        reps = world.tables["rep"]
        ids = reps.ids
        for i, n in enumerate(np.bincount(part.owner[part.owner >= 0], minlength=reps.n).tolist()):
            if n:
                self.reps[ids[i].as_py()] += n
                if i >= reps.listed:
                    self.strangers.add(ids[i].as_py())

    @property
    def rejects(self) -> list[Reject]:
        """As if all records had been read at once: an entity's in the order of its file, repetitions after the others."""
        return [r for _, r in sorted(self._rejects, key=lambda x: x[0])]

    def as_json(self) -> dict[str, Any]:
        assert self.run is not None
        world = self.run.world
        capacity = [(rep["id"], rep["capacity"]) for rep in world.rows["rep"] if rep["capacity"] is not None]
        return {
            "policy": self.run.bound.policy.name,
            "as_of": v.literal(world.clock.now),
            "records": {e: n for e, n in self.records.items() if n},
            "rejected": dict(sorted(Counter(r.entity for r in self.rejects).items())),
            "allocations": self.allocations,
            "moved": self.moved,
            "actions": dict(sorted(self.actions.items())),
            "rules": {k: dict(c.most_common()) for k, c in sorted(self.rules.items())},
            "reps": dict(sorted(self.reps.items())),
            "pools": dict(sorted(self.pools.items())),
            "unknown": dict(sorted(self.unknown.items())),
            "capacity": {rep: {"owned": self.reps.get(rep, 0), "capacity": most} for rep, most in capacity},
            "corrected": [{"entity": e, "field": f, "written": a, "meant": b, "records": n} for (e, f, a, b), n in sorted(self.corrected.items())],
            "dangling": [{"entity": e, "field": f, "value": x, "records": n} for (e, f, x), n in sorted(self.dangling.items())],
            "conflicts": [
                {"entity": e, "step": name, "rules": rules, "records": sorted(set(ids))}
                for (e, name, rules), ids in sorted(self.conflicts.items())
            ],
            "unlisted_reps": sorted(self.strangers),
        }

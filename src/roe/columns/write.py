"""What a run in columns writes: the files of `roe.data.write`, byte for byte, or as Parquet."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from roe.columns.column import Array, Coded
from roe.columns.run import KINDS, Allocations, ColumnRun
from roe.data.write import ALLOCATIONS, csv_text, safe, write_whole
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
    out.mkdir(parents=True, exist_ok=True)
    whole = allocations(run)
    forth, back = changes(run, whole)
    for name, table in (("allocations", whole), ("changes", forth), ("rollback", back)):
        if form == "parquet":
            write_parquet(out / f"{name}.parquet", table)
        else:
            write_csv(out / f"{name}.csv", table)
    rejects = ([r.entity, r.record, r.line, r.field, r.value, r.reason] for r in run.world.rejects)
    write_whole(out / "rejects.csv", csv_text(("entity", "record", "line", "field", "value", "reason"), rejects))
    turns = [d for p in run.found for d in p.decisions.values() if d.turn is not None]
    turns.sort(key=lambda d: (d.entity, d.id, d.role))
    lines = [json.dumps({"key": run.bound.key(d), **d.turn.as_json()}, ensure_ascii=False, separators=(",", ":")) for d in turns if d.turn]
    write_whole(out / "turns.jsonl", "".join(line + "\n" for line in lines))
    summary = summarize(run, forth.num_rows)
    write_whole(out / "summary.json", json.dumps(summary, indent=2, ensure_ascii=False) + "\n")
    return summary


def write_parquet(path: Path, table: pa.Table) -> None:
    from pyarrow import parquet

    draft = path.with_name(f".{path.name}.{os.getpid()}")
    parquet.write_table(table, draft, compression="snappy")
    os.replace(draft, path)


def write_csv(path: Path, table: pa.Table) -> None:
    """As `csv.writer` writes it, with cells that cannot become formulas: the lines are put together as columns."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with draft.open("wb") as file:
        file.write((",".join(table.column_names) + "\n").encode())
        for batch in table.to_batches(max_chunksize=200_000):
            if batch.num_rows:
                lines = pc.binary_join_element_wise(*(_cells(c) for c in batch.columns), ",")
                lines = pc.binary_join_element_wise(lines, "\n", "")
                held = lines.buffers()
                start, end = lines.offset, lines.offset + len(lines)
                offsets = np.frombuffer(held[1], np.int32 if lines.type == pa.string() else np.int64)
                file.write(memoryview(held[2])[int(offsets[start]) : int(offsets[end])])
    os.replace(draft, path)


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


def summarize(run: ColumnRun, moved: int) -> dict[str, Any]:
    """Counts per rule, rep and pool, unknowns, rejects and corrections: `roe.data.write.summarize` of columns."""
    world = run.world
    by_rule: dict[str, dict[str, int]] = {}
    unknown: Counter[str] = Counter()
    actions: Counter[str] = Counter()
    pools: Counter[str] = Counter()
    owned = np.zeros(world.tables["rep"].n, np.int64)
    for part in run.found:
        names = [*(str(r.name) for r in part.rules)]
        found: Counter[str] = Counter()
        first: dict[str, int] = {}
        rules, at, counts = np.unique(part.rule, return_index=True, return_counts=True)
        for rule, i, n in sorted(zip(rules.tolist(), at.tolist(), counts.tolist(), strict=True), key=lambda x: x[1]):
            name = names[rule] if rule >= 0 else "exception" if rule == -2 else "(no rule)"
            first.setdefault(name, i)
            found[name] += n
        by_rule[f"{part.entity}.{part.role}"] = dict(found.most_common())
        for i in np.flatnonzero(part.unknown).tolist():
            unknown[f"{part.entity}.{part.role}: {names[i]}"] += int(part.unknown[i])
        for code, n in enumerate(np.bincount(part.action, minlength=len(KINDS)).tolist()):
            if n:
                actions[KINDS[code]] += n
        for name, n in zip(part.pools, np.bincount(part.pool[part.pool >= 0], minlength=len(part.pools)).tolist(), strict=False):
            if n:
                pools[name] += n
        owned += np.bincount(part.owner[part.owner >= 0], minlength=len(owned))
    reps = world.tables["rep"]
    ids = reps.ids.to_pylist()
    counted = {ids[i]: int(owned[i]) for i in np.flatnonzero(owned).tolist()}
    listed = world.rows["rep"]
    return {
        "policy": run.bound.policy.name,
        "as_of": v.literal(world.clock.now),
        "records": {e: t.typed.n for e, t in world.tables.items() if t.typed.n},
        "rejected": dict(sorted(Counter(r.entity for r in world.rejects).items())),
        "allocations": sum(p.table.n for p in run.found),
        "moved": moved,
        "actions": dict(sorted(actions.items())),
        "rules": dict(sorted(by_rule.items())),
        "reps": dict(sorted(counted.items())),
        "pools": dict(sorted(pools.items())),
        "unknown": dict(sorted(unknown.items())),
        "capacity": {
            rep["id"]: {"owned": counted.get(rep["id"], 0), "capacity": rep["capacity"]} for rep in listed if rep["capacity"] is not None
        },
        "corrected": [
            {"entity": e, "field": f, "written": a, "meant": b, "records": n}
            for e, typed in sorted(world.columns_of.items())
            for (f, a, b), n in sorted(typed.corrected.items())
        ],
        "dangling": [{"entity": e, "field": f, "value": x, "records": n} for (e, f, x), n in sorted(world.dangling.items())],
        "conflicts": [
            {"entity": e, "step": name, "rules": rules, "records": sorted(set(ids))}
            for (e, name, rules), ids in sorted(world.conflicts.items())
        ],
        "unlisted_reps": sorted(ids[i] for i in np.flatnonzero(owned).tolist() if i >= len(listed)),
    }

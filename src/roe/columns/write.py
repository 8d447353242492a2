"""What a run in columns writes: the files of `roe.data.write`, byte for byte, or as Parquet."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from roe.analysis.reads import followed
from roe.columns.column import Array, Coded
from roe.columns.run import Allocations, ColumnRun
from roe.crm import PROFILES
from roe.crm.ids import spelt
from roe.data.extra import Held, extra_rows, write_extra
from roe.data.files import csv_text, safe, write_whole
from roe.data.reading import Reading, Reject
from roe.data.report import report_of, write_report
from roe.data.scan import Origin
from roe.data.write import ALLOCATIONS, CHANGES, called, in_order_of_size, pools_json, rolled_up, write_turns
from roe.grammar import values as v
from roe.grammar.clock import Clock
from roe.plan.operators import Holdover
from roe.plan.outcome import ACTIONS
from roe.policy.model import Policy
from roe.progress import advance, phase

_SPECIAL = '[",\r\n]'


def allocations(run: ColumnRun) -> pa.Table:
    """All allocations as text columns, in the order of (entity, record, role)."""
    return _interleaved([_columns(part, run) for part in run.found], [p.entity for p in run.found], [p.role for p in run.found])


def _columns(part: Allocations, run: ColumnRun) -> pa.Table:
    n = part.table.n
    reps, labels = _reps(run)
    names = part.table.stored.get("name")
    shown = names.arrow() if isinstance(names, Coded) else pa.nulls(n, pa.string())
    shown = pc.if_else(pc.or_kleene(pc.is_null(shown), pc.equal(shown, "")), part.table.written_ids, shown)
    rules = [str(r.name) for r in part.rules]
    arrays = [
        _same(part.entity, n), part.table.written_ids, shown, _same(part.role, n),
        _coded(part.owner, reps), _coded(part.owner, labels), _coded(part.previous, reps), _coded(part.previous, labels),
        _coded(part.action, pa.array(ACTIONS)), _coded(np.where(part.rule == -2, len(rules), part.rule), pa.array([*rules, "exception"])),
        _text(part.territory), _coded(part.pool, pa.array(part.pools, pa.string())), _text(part.window),
        _coded(part.until, pa.array([str(v.string(x)) for x in part.untils], pa.string())), part.reason,
    ]  # fmt: skip
    return pa.table(dict(zip(ALLOCATIONS, arrays, strict=True)))


def _reps(run: ColumnRun) -> tuple[pa.Array, pa.Array]:
    """The ids of all reps, as the data has them, and their names."""
    table = run.world.tables["rep"]
    return table.written_ids, pa.array([table.row(i).label for i in range(table.n)], pa.string())


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
    names = pa.array([run.world.owner_column(part.entity, part.role) for part in run.found], pa.string())
    order = _order(run, places)
    field = _coded(np.concatenate(order)[np.flatnonzero(flags.to_numpy())], names) if order else pa.array([], pa.string())
    back = _same("rollback", moved.num_rows)
    named = moved["entity"].cast(pa.string())
    for entity, object_ in PROFILES[run.bound.policy.profile].objects.items():
        named = pc.if_else(pc.equal(named, entity), object_, named)
    queues = pa.chunked_array([pa.array(m, pa.string()) for m in _order(run, _queues(run))], pa.string()).filter(flags)
    what = [named, moved["record"], moved["name"], field]
    new, old = _called(run, moved, queues)
    owners = [[new, moved["owner_name"]], [old, moved["previous_owner_name"]]]
    return (
        pa.table(dict(zip(CHANGES, [*what, *owners[0], *owners[1], moved["reason"]], strict=True))),
        pa.table(dict(zip(CHANGES, [*what, *owners[1], *owners[0], back], strict=True))),
    )


def _queues(run: ColumnRun) -> list[Array]:
    """The queue that each record is in, per part; the owner's column is that of the first role."""
    found = []
    for part in run.found:
        column = part.table.stored.get("owner_queue") if part.role == run.world.policy.roles[0] else None
        found.append(np.array([None] * part.table.n if column is None else column.values(), object))
    return found


def _called(run: ColumnRun, moved: pa.Table, queues: pa.ChunkedArray) -> list[Any]:
    """The new and the old owner, as the CRM calls them; it has a queue where nobody owns."""
    crm = run.bound.plan.crm
    owners = [moved["owner"].cast(pa.string()), moved["previous_owner"].cast(pa.string())]
    if crm.owner != "id":
        known = [pc.unique(x) for x in owners]
        reps = [[x and run.world.rep(x) for x in ids.to_pylist()] for ids in known]
        names = [pa.array([rep and called(rep, crm) for rep in found], pa.string()) for found in reps]
        owners = [name.take(pc.index_in(x, ids)) for name, x, ids in zip(names, owners, known, strict=True)]
    owners[1] = pc.coalesce(owners[1], queues)
    for (entity, role), queue in crm.queues.items():
        own = pc.and_(pc.equal(moved["entity"].cast(pa.string()), entity), pc.equal(moved["role"].cast(pa.string()), role))
        owners = [pc.if_else(pc.and_(own, pc.is_null(x)), queue, x) for x in owners]
    return owners


def _order(run: ColumnRun, masks: list[Array]) -> list[Array]:
    """Arrays by part in the order of the allocations' rows, one per entity."""
    out = []
    for entity in sorted({p.entity for p in run.found}):
        own = sorted((p.role, i) for i, p in enumerate(run.found) if p.entity == entity)
        out.append(np.stack([masks[i] for _, i in own], axis=1).ravel())
    return out


def write_run(run: ColumnRun, out: Path, form: str = "csv") -> dict[str, Any]:
    """All output files; returns the summary. `form` is csv or parquet. Raises OSError if the folder cannot be written."""
    return write_runs([run], out, form)


def write_runs(runs: Iterable[ColumnRun], out: Path, form: str = "csv", also: Callable[[ColumnRun], None] | None = None) -> dict[str, Any]:
    """The same for the portions of one run, in the order of the records; `also` sees each of them."""
    out.mkdir(parents=True, exist_ok=True)
    files = {
        name: (ParquetFile if form == "parquet" else CsvFile)(out / f"{name}.{form}") for name in ("allocations", "changes", "rollback")
    }
    summary: Summary | None = None
    turns: list[str] = []
    pools = pools_json({})
    extra: dict[str, list[list[str]]] = {}
    try:
        for run in runs:
            whole = allocations(run)
            forth, back = changes(run, whole)
            for name, table in (("allocations", whole), ("changes", forth), ("rollback", back)):
                files[name].add(table)
            world, policy = run.world, run.bound.policy
            if summary is None:
                summary = Summary({part.entity for part in run.found})
            summary.add(portion(run, forth.num_rows))
            if also is not None:
                also(run)
            turns += run.turn_lines()
            pools = pools_json(run.bound.pools.histories())
            for name, rows in extra_of(run).items():
                extra.setdefault(name, []).extend(rows)
        for file in files.values():
            file.close()
    finally:
        for file in files.values():
            file.abandon()
    assert summary is not None  # there is a portion, even of nothing
    write_rejects(summary.rejects(policy.model.entities), out)
    write_report(report_of(summary.readings()), out)
    write_turns(pools, turns, out)
    write_extra(extra, out)
    found = summary.as_json(policy, world.clock)
    write_whole(out / "summary.json", json.dumps(found, indent=2, ensure_ascii=False) + "\n")
    return found


def write_tables(tables: Mapping[str, pa.Table], out: Path, form: str) -> None:
    """Tables by name, each as a file."""
    for name, table in tables.items():
        file = (ParquetFile if form == "parquet" else CsvFile)(out / f"{name}.{form}")
        try:
            file.add(table)
            file.close()
        finally:
            file.abandon()


def write_rejects(rejects: list[Reject], out: Path) -> None:
    rows = ([r.entity, r.record, r.line, r.field, r.value, r.reason] for r in rejects)
    write_whole(out / "rejects.csv", csv_text(("entity", "record", "line", "field", "value", "reason"), rows))


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
    writer: Any = None

    def add(self, table: pa.Table) -> None:
        from pyarrow import parquet

        if self.writer is None:
            self.writer = parquet.ParquetWriter(self.draft, table.schema, compression="snappy")
        self.writer.write_table(table.cast(self.writer.schema))

    def close(self) -> None:
        self.writer.close()
        super().close()


class CsvFile(File):
    """As `csv.writer` writes it, with cells that cannot become formulas: the lines are put together as columns."""

    file: Any = None

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


def portion(run: ColumnRun, moved: int) -> dict[str, Any]:
    """What one run adds to a summary, as plain JSON values, so that it can come from another machine."""
    world = run.world
    rules: dict[str, list[int]] = {}
    unknown: Counter[str] = Counter()
    actions: Counter[str] = Counter()
    pools: Counter[str] = Counter()
    owned = np.zeros(world.tables["rep"].n, np.int64)
    placed: dict[str, dict[str, int]] = {}
    for part in run.found:
        # by rule, then those that no rule and those that an exception decided
        counts = np.bincount(np.where(part.rule < 0, len(part.rules) - 1 - part.rule, part.rule), minlength=len(part.rules) + 2)
        rules[f"{part.entity}.{part.role}"] = counts.tolist()
        for i in np.flatnonzero(part.unknown).tolist():
            unknown[f"{part.entity}.{part.role}: {part.rules[i].name}"] += int(part.unknown[i])
        actions.update({ACTIONS[code]: int(n) for code, n in enumerate(np.bincount(part.action, minlength=len(ACTIONS))) if n})
        pools.update({name: int((part.pool == i).sum()) for i, name in enumerate(part.pools)})
        if part.entity not in placed:
            counts = np.bincount(part.territory.codes + 1, minlength=len(part.territory.meaning) + 1).tolist()
            names = ["", *part.territory.meaning.list]
            placed[part.entity] = dict(_by_name(names, counts))
        owned += np.bincount(part.owner[part.owner >= 0], minlength=len(owned))
    ids = world.tables["rep"].written_ids
    reps = {ids[i].as_py(): int(owned[i]) for i in np.flatnonzero(owned).tolist()}
    listed = world.tables["rep"].listed
    spelling = world.spelling() if world.conflicts else {}
    return {
        "moved": moved,
        "rules": rules,
        "unknown": dict(unknown),
        "actions": dict(actions),
        "pools": {name: n for name, n in pools.items() if n},
        "territories": placed,
        "reps": reps,
        "strangers": [ids[i].as_py() for i in np.flatnonzero(owned[listed:] if len(owned) > listed else []) + listed],
        "capacity": [[rep.written, rep["capacity"]] for rep in world.rows["rep"] if rep["capacity"] is not None],
        "entities": {
            entity: {
                "records": world.tables[entity].listed,
                "rejects": [[i >= len(typed.rejects) - typed.repeated, *astuple(r)] for i, r in enumerate(typed.rejects)],
                "corrected": [[*key, n] for key, n in typed.corrected.items()],
                "reading": typed.reading.kept(),
                "dangling": [[name, value, n] for (e, name, value), n in world.dangling.items() if e == entity],
            }
            for entity, typed in world.columns_of.items()
        },
        "conflicts": [[*key, spelt(ids, spelling)] for key, ids in world.conflicts.items()],
    }


def extra_of(run: ColumnRun) -> dict[str, list[list[str]]]:
    """The rows of the files that only some policies have."""
    return extra_rows(run.bound, {h.name: _credits(run, h) for h in run.bound.plan.holdovers})


def _credits(run: ColumnRun, h: Holdover) -> Iterable[Held]:
    """Of the accounts that were handed over now, or whose former owner still has a share."""
    for part in run.found:
        if (part.entity, part.role) == ("account", h.role):
            shares = part.table.column(f"{h.name}_credit")
            assert shares is not None
            held = np.array([bool(x) for x in shares.values()], bool)
            owner = part.owner
            reps = run.world.tables["rep"].ids
            for i in np.flatnonzero(held | ((owner != part.previous) & (part.previous >= 0))).tolist():
                row = part.table.row(i)
                former = row["former_owner"]
                names = [reps[int(x)].as_py() if x >= 0 else None for x in (owner[i], part.previous[i])]
                yield row["id"], *names, former and former["id"], row[f"{h.name}_credit"], row[f"{h.name}_stage_until"]


def _by_name(names: list[str], counts: list[int]) -> Counter[str]:
    found: Counter[str] = Counter()
    for name, n in zip(names, counts, strict=True):
        found[name or ""] += n
    return found


class Summary:
    """`roe.data.write.summarize`, put together from portions. `split` are the entities whose records they share out; `origins` what the
    reading of those said, where no portion has it.
    """

    def __init__(self, split: set[str] | None = None, origins: Mapping[str, Origin] | None = None) -> None:
        self.split, self.origins = split, origins or {}
        self.found: list[dict[str, Any]] = []

    def add(self, found: dict[str, Any]) -> None:
        self.found.append(found)

    def _each(self, entity: str) -> list[dict[str, Any]]:
        """An entity's part of the portions: of each, or of one where all have the same records."""
        whole = [f["entities"][entity] for f in self.found if entity in f["entities"]]
        return whole if self.split is None or entity in self.split else whole[:1]

    def _total(self, key: str) -> Counter[str]:
        out: Counter[str] = Counter()
        for found in self.found:
            out.update(found[key])
        return out

    def _placed(self) -> Counter[tuple[str, str]]:
        out: Counter[tuple[str, str]] = Counter()
        for found in self.found:
            out.update({(entity, name): n for entity, names in found["territories"].items() for name, n in names.items()})
        return out

    def rejects(self, entities: Iterable[str]) -> list[Reject]:
        """As if all records had been read at once: an entity's in the order of its file, repetitions after the others."""
        out: list[Reject] = []
        for entity in entities:
            rows = [r for part in self._each(entity) for r in part["rejects"]]
            if entity in self.origins:
                rows += [[False, entity, "", line, "", text, reason] for line, text, reason in self.origins[entity].rejects]
            out += [Reject(*r[1:]) for r in sorted(rows, key=lambda r: (r[0], r[3]))]
        return out

    def readings(self) -> dict[str, Reading]:
        """entity -> what was read of it."""
        out: dict[str, Reading] = {}
        for entity in dict.fromkeys(entity for found in self.found for entity in found["entities"]):
            for part in self._each(entity):
                if entity in out:
                    out[entity].merge(Reading.of(part["reading"]))
                else:
                    out[entity] = Reading.of(part["reading"])
        for entity, origin in self.origins.items():
            rejects = [Reject(entity, "", line, "", text, reason) for line, text, reason in origin.rejects]
            more = Reading(entity, origin.shown, len(rejects), origin.blank, list(origin.notes))
            more.count(rejects)
            out.setdefault(entity, Reading(entity, origin.shown)).merge(more)
        return out

    def as_json(self, policy: Policy, clock: Clock) -> dict[str, Any]:
        entities = list(policy.model.entities)
        rules = {}
        for entity, role in policy.plan.engagement:
            names = [*(str(r.name) for r in policy.plan.engagement[entity, role].rules), "(no rule)", "exception"]
            counts = [f["rules"].get(f"{entity}.{role}") for f in self.found]
            total = np.sum([c for c in counts if c is not None], axis=0).tolist() if any(counts) else [0] * len(names)
            rules[f"{entity}.{role}"] = in_order_of_size({name: n for name, n in zip(names, total, strict=True) if n})
        reps = self._total("reps")
        corrected: Counter[tuple[str, str, str, str]] = Counter()
        dangling: Counter[tuple[str, str, str]] = Counter()
        for entity in entities:
            for part in self._each(entity):
                corrected.update({(entity, f, a, b): n for f, a, b, n in part["corrected"]})
                dangling.update({(entity, f, x): n for f, x, n in part["dangling"]})
        conflicts: dict[tuple[str, str, str], set[str]] = {}
        for found in self.found:
            for e, name, which, ids in found["conflicts"]:
                conflicts.setdefault((e, name, which), set()).update(ids)
        heeded = followed(policy)
        records = {e: sum(part["records"] for part in self._each(e)) for e in entities}
        return {
            "policy": policy.name,
            "as_of": v.literal(clock.now),
            "records": {e: n for e, n in records.items() if n},
            "rejected": dict(sorted(Counter(r.entity for r in self.rejects(entities)).items())),
            "allocations": sum(sum(c.values()) for c in rules.values()),
            "moved": sum(f["moved"] for f in self.found),
            "actions": dict(sorted(self._total("actions").items())),
            "rules": {k: c for k, c in sorted(rules.items()) if c},
            "reps": dict(sorted(reps.items())),
            "pools": dict(sorted(self._total("pools").items())),
            "territories": rolled_up(policy.plan.levels, self._placed()),
            "unknown": dict(sorted(self._total("unknown").items())),
            "capacity": {rep: {"owned": reps.get(rep, 0), "capacity": most} for rep, most in self.found[0]["capacity"]},
            "corrected": [
                {"entity": e, "field": f, "written": a, "meant": b, "records": n} for (e, f, a, b), n in sorted(corrected.items())
            ],
            "dangling": [
                {"entity": e, "field": f, "value": x, "records": n} for (e, f, x), n in sorted(dangling.items()) if (e, f) in heeded
            ],
            "conflicts": [
                {"entity": e, "step": name, "rules": which, "records": sorted(ids)} for (e, name, which), ids in sorted(conflicts.items())
            ],
            "unlisted_reps": sorted({x for f in self.found for x in f["strangers"]}),
        }

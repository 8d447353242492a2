"""Explanations at scale: what a run saw, in compact columns, from which any single trace is made again exactly.

`trace/` beside a run's files holds the policy's own files, each entity's typed records as Parquet with references as ids, and what the
ledger knew. An explanation loads one record and what the policy reads around it, into the row evaluator; turns of pools and
owners that the run decided are read back, never worked out again.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import weakref
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import tzinfo
from functools import reduce
from operator import or_
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from roe.columns.evidence_memory import kept_memory
from roe.data.coerce import Typed
from roe.data.reading import Reading
from roe.diagnostics import Diagnostic
from roe.dynamic import Json, Value, Values
from roe.evaluator.around import Around
from roe.evaluator.bound import Bound
from roe.evaluator.data_owner import known_of
from roe.evaluator.decision import Decision
from roe.evaluator.engine import Evaluator
from roe.evaluator.look_ups import blocking_keys
from roe.evaluator.memory import given_by
from roe.evaluator.row import OwnersOfRow, Row
from roe.evaluator.world import World
from roe.grammar import syntax as s
from roe.grammar import values as v
from roe.grammar.clock import zone_of
from roe.policy.model import Policy

FOLDER = "trace"
LITERAL = "\0literal:"  # what starts a value that Arrow has no type for
ReadPolicy = Callable[[Path], tuple[Policy | None, list[Diagnostic]]]


def _value(value: Value, zone: tzinfo) -> Value:
    from datetime import datetime

    if isinstance(value, datetime):
        return value.astimezone(zone)
    if isinstance(value, float):
        return int(value) if value == int(value) and abs(value) <= v.EXACT else value
    if isinstance(value, str) and value.startswith(LITERAL):
        import roe

        return roe.evaluate(value.removeprefix(LITERAL))
    return value


class RunEvidence:
    """The evidence of a run, by its --out folder. `read` knows a faster way to the policy in a folder. Raises OSError or ValueError if there
    is no evidence.
    """

    def __init__(self, out: Path, read: ReadPolicy | None = None) -> None:
        self.folder = out / FOLDER
        self.out = out
        said = json.loads((self.folder / "run.json").read_text("utf-8"))
        self.as_of = said["as_of"]
        files = Path(tempfile.mkdtemp(prefix="roe-evidence-"))
        try:
            self.evaluator = _evaluator(said, files, read)
        except BaseException:
            shutil.rmtree(files, ignore_errors=True)
            raise
        # as long as any decision stands: its explanation may ask where a rule stands in these files
        weakref.finalize(self.evaluator.compiled, shutil.rmtree, files, ignore_errors=True)
        self.policy = self.evaluator.policy
        self._zone = zone_of(self.policy.timezone)
        self._tables: dict[str, list[Value]] = {}

    def find(self, text: str) -> list[tuple[str, str]]:
        """The decided records that answer to a text by id, name, domain or e-mail: (entity, id)."""
        records = []
        for entity in dict.fromkeys(e for e, _ in self.policy.plan.engagement):
            ids = [x for table in self._tables_of(entity, pc.field("id") == text, ["id"]) for x in table["id"].to_pylist()]
            for data in self.parts(entity) if not ids else ():
                names = [n for n in ("name", "domain", "email") if n in data.schema.names and pa.types.is_string(data.schema.field(n).type)]
                match = [pc.utf8_lower(pc.field(n)) == text.lower() for n in names]
                if match:
                    ids += data.to_table(columns=["id"], filter=reduce(or_, match))["id"].to_pylist()
            records += [(entity, x) for x in ids]
        return records

    def roles(self, entity: str) -> list[str]:
        return [role for e, role in self.policy.plan.engagement if e == entity]

    def bound(self, entity: str, record: str) -> Bound:
        """The records around one, with what the ledger knew of them and the owners that the run gave to what is decided earlier."""
        around = Around(self, self.evaluator.compiled, self.evaluator.clock(self.as_of), float("inf"))
        around.want(entity, [record])
        around.complete()
        bound = Bound(self.evaluator, self.world(around.rows), kept_memory(self.folder, around.rows))
        self._settle(bound.world, entity)
        return bound

    def decision(self, entity: str, record: str, role: str) -> Decision:
        """The run's decision on a record, with its trace. KeyError if it was not decided."""
        from roe.columns.turn_files import TURNS
        from roe.columns.turn_reading import read_turns

        bound = self.bound(entity, record)
        if any((self.out / name).is_file() for name in (TURNS, "turns.jsonl")):
            bound.turns = read_turns(self.out, f"{entity}|{record}|{role}")
        row = bound.world.find(entity, record)
        if row is None or row["id"] != record:
            raise KeyError(record)
        return bound.decide_alone(row, role)

    def _settle(self, world: World, entity: str) -> None:
        """Records that are decided before this entity have the owners that the run gave them."""
        order = Bound(self.evaluator, World(self.evaluator.compiled, {}, world.clock), {}).entities()
        for earlier in order[: order.index(entity)] if entity in order else []:
            ids = pa.array([str(row["id"]) for row in world.rows[earlier]], pa.string())
            where = (pc.field("entity") == earlier) & pc.field("record").isin(ids)
            by_record: dict[str, list[Json]] = {}
            for x in [x for table in self._tables_of("owners", where) for x in table.to_pylist()]:
                by_record.setdefault(x["record"], []).append(x)
            for row in world.rows[earlier]:
                decided = by_record.get(str(row["id"]), [])
                owners = {**row["owner"], **{x["role"]: world.rep(x["owner"]) for x in decided if x["action"] != "refer"}}
                known = [_known(world, row, x) for x in decided if x["owner"] != x.get("previous_owner", x["owner"])]
                row.forget()
                row["owner"] = OwnersOfRow(owners)
                for values in known:
                    row.update(values)

    def parts(self, name: str) -> list[Value]:
        """The files that a run has for an entity, or for the owners that it gave: one, or one of each task, or none."""
        from pyarrow import dataset

        if name not in self._tables:
            path = self.folder / f"{name}.parquet"
            self._tables[name] = [dataset.dataset(x) for x in (sorted(path.iterdir()) if path.is_dir() else [path]) if x.is_file()]
        return self._tables[name]

    # --- records around one, see `roe.evaluator.around.Place` ----------------------------------------------------------

    def all(self, entity: str) -> Iterator[Json]:
        return self._rows(entity, None)

    def named(self, entity: str, texts: Collection[str]) -> Iterator[Json]:
        return self._rows(entity, _is_one_of("id", texts))

    def referring(self, entity: str, field: str, records: Collection[Values]) -> Iterator[Json]:
        is_there = all(field in data.schema.names for data in self.parts(entity))
        return self._rows(entity, _is_one_of(field, [row["id"] for row in records])) if is_there else iter(())

    def equal(self, entity: str, tree: s.Node, texts: Collection[str]) -> Iterator[Json] | None:
        name = self._stored_field(entity, tree)
        return None if name is None else self._rows(entity, _is_one_of(name, texts))

    def near(self, entity: str, tree: s.Node, keys: Collection[str]) -> Iterator[Json] | None:
        name = self._stored_field(entity, tree)
        if name is None or not keys:  # without keys any name may be near
            return None
        pairs = [(row["id"], row[name]) for data in self.parts(entity) for row in data.to_table(columns=["id", name]).to_pylist()]
        return self.named(entity, [key for key, text in pairs if not set(keys).isdisjoint(blocking_keys(text))])

    def world(self, rows: Mapping[str, Mapping[str, Values]]) -> World:
        world = World(self.evaluator.compiled, {}, self.evaluator.clock(self.as_of))
        for entity, own in rows.items():
            held = {name: name for data in self.parts(entity) for name in data.schema.names}
            world.typed[entity] = Typed(Reading(entity, columns=held), list(own.values()))
            world.restore(entity, own.values())
        return world

    def _stored_field(self, entity: str, tree: s.Node) -> str | None:
        """The field that an expression reads as it is stored; None for any other expression."""
        if not isinstance(tree, s.Path) or not isinstance(tree.base, s.Name):
            return None
        return tree.field if all(tree.field in data.schema.names for data in self.parts(entity)) else None

    def _rows(self, entity: str, where: Value) -> Iterator[Json]:
        for table in self._tables_of(entity, where):
            for row in table.to_pylist():
                yield {k: _value(x, self._zone) for k, x in row.items() if x is not None}

    def _tables_of(self, name: str, where: Value, columns: list[str] | None = None) -> Iterator[pa.Table]:
        """The rows that meet a condition, or all, by file. Of a file whose row groups cannot have any, only what it says about these is read."""
        for data in self.parts(name):
            for file in data.get_fragments():
                some = file if where is None else file.subset(where, schema=data.schema)
                if where is None or some.row_groups:
                    yield some.to_table(schema=data.schema, columns=columns, filter=where)


def _is_one_of(name: str, texts: Collection[str]) -> pc.Expression:
    return pc.field(name).isin(pa.array(list(texts), pa.string()))


def _known(world: World, row: Row, decided: Json) -> Json:
    """Since when and after whom a record that changed hands in the run has its owner."""
    owner, former = (None if (rep := world.rep(decided[who])) is None else rep["id"] for who in ("owner", "previous_owner"))
    assert world.memory is not None
    facts = world.memory.of(row.entity, str(row["id"]), decided["role"], former, None)
    return known_of(world, row, decided["role"], facts.moved_to(owner, world.memory.today, given_by(decided["action"])))


def _evaluator(said: Json, folder: Path, read: ReadPolicy | None) -> Evaluator:
    """The policy that a run kept. Its files are put into a folder, where they must stay: somebody may ask for their text."""
    files = {name: text.encode() for name, text in said["files"].items()} | {name: bytes.fromhex(x) for name, x in said["binary"].items()}
    for name, content in files.items():
        _put(folder, name, content)
    if read is None:
        from roe.stages.build import build

        read = build
    policy, problems = read(folder)
    if policy is None:
        raise ValueError(f"the policy of the run cannot be read: {problems[0].message}")
    return Evaluator(policy)


def _put(folder: Path, name: str, content: bytes) -> None:
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise ValueError(f"`{name}` is outside the policy folder")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)

"""Records that are matched to others, which are decided before them, as leads to accounts: which of these the tasks of leads need beside them.

A method finds its candidates by keys that both records give, such as a domain. Tasks say which keys their accounts have, and which keys their
leads look for; those that are the same meet, and each task of leads asks for the accounts of its keys. They come as guests, and the task matches
its leads among them. That gives what a match among all accounts gives: an account that shares no key with a lead is not looked at anyway.

How likely two names are the same company depends on all names, and on nothing else. So one task has all names, each once, and nothing else. It
says which are like those that are looked for, and how likely. From there on these names are keys, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import date, datetime
from functools import partial
from hashlib import blake2b

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from roe.columns.column import ByRow
from roe.columns.look_ups import said_of_each
from roe.columns.raw import ALIKE, Raw, as_bytes
from roe.columns.relate import match_columns
from roe.columns.row import place_of
from roe.columns.run import ColumnRun
from roe.columns.table import RecordTable
from roe.columns.world import ColumnWorld
from roe.dynamic import Array, Value
from roe.evaluator.bound import Bound
from roe.evaluator.engine import Evaluator
from roe.evaluator.look_ups import blocking_keys, keys_of_value, look_up_number, name_in, plan_of_method
from roe.evaluator.relate import Matcher
from roe.grammar import syntax as s
from roe.grammar import values as v
from roe.ledger.remembered import Remembered
from roe.plan.operators import Relate
from roe.policy.model import Policy
from roe.policy.reads import PAST, may_rest_on
from roe.share.carrier import Frame, Task
from roe.share.parcels import FOR, KEY, MOST, NAMES_ALIKE, PARCEL, TO, WANTED, Buckets, each_of, flat, opened, packed
from roe.share.plan import OWNED
from roe.share.tasks import Batches

HAVE, WANT = (
    "$keys",
    "$keys wanted",
)  # parcels of keys: those that records have (`KEY`), each with its record (`TO`), and that others look for
NAMES, SOUGHT = "$names", "$names sought"  # parcels of names: of all records, and that others look for
NUMBER, GROUP, NAME = "number", "group", "name"  # the look-up; whether a corporate group is enough; the name
SIMILAR = "similar"
HASHED = 8  # bytes of a key: two that are the same only here bring a guest that nobody finds


# --- what tasks say of their records ------------------------------------------------------------------------------------


def keys_had(table: RecordTable, step: Relate) -> dict[str, pa.Table]:
    """The keys by which the methods of a step find records of this table, which tasks decide first, and their names."""
    keys, names = [pa.table({KEY: pa.array([], pa.int64()), TO: pa.array([], pa.string())})], _Names()
    ids = table.ids.cast(pa.string())
    for number, (kind, theirs) in {number: (kind, theirs) for number, kind, _, theirs, _ in _sides(step)}.items():
        rows, found = _keys(table, theirs, number, _names_in if kind == SIMILAR else partial(keys_of_value, kind))
        keys.append(pa.table({KEY: found, TO: ids.take(rows)}))
        if kind == SIMILAR:
            names.add(table, theirs, number, False, np.arange(table.listed))
    return {of: rows for of, rows in ((HAVE, pa.concat_tables(keys)), (NAMES, names.table())) if len(rows)}


def keys_wanted(
    evaluator: Evaluator, as_of: str, tables: dict[str, Raw], state: Remembered, *, matched: tuple[str, str]
) -> dict[str, pa.Table]:
    """The keys by which a task's records look for others, each once."""
    world = ColumnWorld(evaluator.compiled, tables, evaluator.clock(as_of))
    Bound(evaluator, world, state)
    step, keys = evaluator.policy.plan.steps[matched], set[int]()
    assert isinstance(step, Relate)
    for number, kind, mine, _, _ in _sides(step):
        if kind != SIMILAR:
            wanted = _keys(world.tables[step.entity], mine, number, blocking_keys if kind == "block" else _key_of)
            keys.update(wanted[1].to_pylist())
    return {WANT: pa.table({KEY: pa.array(sorted(keys), pa.int64())})} if keys else {}


def names_wanted(
    evaluator: Evaluator, as_of: str, tables: dict[str, Raw], state: Remembered, *, matched: tuple[str, str], first: int
) -> dict[str, pa.Table]:
    """The names by which a task's records look for others, each once: of records for which the `first` methods find nobody among the guests."""
    run = _DecidedBefore(Bound(evaluator, ColumnWorld(evaluator.compiled, tables, evaluator.clock(as_of)), state), matched[0])
    step, names = evaluator.policy.plan.steps[matched], _Names()
    assert isinstance(step, Relate)
    table = run.world.tables[step.entity]
    rows = np.flatnonzero(_found(replace(step, methods=step.methods[:first]), table)[: table.listed] < 0)
    for number, kind, mine, _, group in _sides(step):
        if kind == SIMILAR:
            names.add(table, mine, number, group, rows)
    return {SOUGHT: names.table()} if len(names.table()) else {}


class _DecidedBefore(ColumnRun):
    """A run that stops before the records of an entity, and knows who owns those that are decided before them."""

    def __init__(self, bound: Bound, entity: str) -> None:
        self.entity = entity
        super().__init__(bound)

    def _entity(self, entity: str) -> None:
        if entity != self.entity:
            super()._entity(entity)


def _found(step: Relate, table: RecordTable) -> Array:
    """The row of the record that is matched to each; -1 for none."""
    try:
        return match_columns(step, table).at
    except ByRow:
        matcher = Matcher(step, table.world)
        return np.array([place_of(matcher.best(table.row(i))) for i in range(table.n)], np.int32)


def asked_before_names(policy: Policy, step: Relate) -> int:
    """How many methods can be asked before names are searched: those before the first that does, if none of them rests on owners that change in the run."""
    first = next((i for i, method in enumerate(step.methods) if method.similar is not None), 0)
    conditions = [expr for method in step.methods[:first] for expr in (method.match, method.unless) if expr is not None]
    read = {field for expr in conditions for field in may_rest_on(policy, step.entity, expr)}
    return 0 if any(field == PAST or (field[0] == step.entity and field[1] in OWNED) for field in read) else first


def _sides(step: Relate) -> Iterator[tuple[int, str, s.Node, s.Node, bool]]:
    """Of each method the number and the kind of its look-up, what both records say there, and whether a corporate group is enough."""
    for method in step.methods:
        kind, mine, theirs = plan_of_method(method, step)
        assert mine is not None and theirs is not None
        yield look_up_number(step, kind, theirs), kind, mine, theirs, method.group


def _key_of(value: Value) -> tuple[Value, ...]:
    return () if value is None or isinstance(value, (list, dict)) else (value,)


def _names_in(value: Value) -> tuple[Value, ...]:
    return (name,) if (name := name_in(value)) else ()


def _keys(table: RecordTable, tree: s.Node, number: int, keys_of: Callable[[Value], tuple[Value, ...]]) -> tuple[pa.Array, pa.Array]:
    """Rows of a table, and the keys that an expression gives for each."""
    codes, meaning = said_of_each(table, tree).take(np.arange(table.listed)).encode()
    keys = pa.array([[_hashed(number, key) for key in keys_of(value)] for value in meaning.list], pa.list_(pa.int64()))
    of_rows = keys.take(pa.array(codes))
    return pc.list_parent_indices(of_rows), pc.list_flatten(of_rows)


def _hashed(number: int, key: Value) -> int:
    """A key as a number: the same one, at all tasks, for keys that are equal."""
    if isinstance(key, (bool, int, float)):
        text = str(hash(key))  # 1 is equal to 1.0
    elif isinstance(key, datetime):
        text = str(v.moment(key))
    else:
        text = key if isinstance(key, str) else key.isoformat() if isinstance(key, date) else v.kind(key)
    return int.from_bytes(blake2b(as_bytes(f"{number} {text}"), digest_size=HASHED).digest(), "big", signed=True)


class _Names:
    """Names, each once, by the look-up in which they are searched."""

    def __init__(self) -> None:
        self._found: dict[tuple[int, bool, str], None] = {}

    def add(self, table: RecordTable, tree: s.Node, number: int, group: bool, rows: Array) -> None:
        codes, meaning = said_of_each(table, tree).take(rows).encode()
        names = (
            name_in(meaning.list[code]) for code in np.unique(codes).tolist()
        )  # others of them may be those of rows that were rejected
        self._found |= dict.fromkeys((number, group, name) for name in names if name)

    def table(self) -> pa.Table:
        numbers, groups, names = zip(*self._found, strict=True) if self._found else ((), (), ())
        return pa.table(
            {NUMBER: pa.array(numbers, pa.int32()), GROUP: pa.array(groups, pa.bool_()), NAME: pa.array(map(as_bytes, names), pa.binary())}
        )


# --- where they meet ----------------------------------------------------------------------------------------------------


def met(had: Frame, wanted: Frame, buckets: Buckets) -> Frame:
    """Parcels at the tasks of records that have keys which others want, with who does (see `asked_for`)."""
    both = had.only(HAVE).joined(wanted.only(WANT)).each(_to_meet(buckets.number), PARCEL)
    return both.at_buckets(buckets.number).each(_meeting(buckets), PARCEL).kept()


def _to_meet(number: int) -> Task:
    """A task that sends each key to one of so many places, with the task that wants it. Tasks of later records have numbers of their own: `~number`."""

    def task(batches: Batches) -> Batches:
        for bucket, of, rows in each_of(batches):
            if of == WANT:
                rows = rows.append_column(FOR, pa.repeat(pa.scalar(~bucket, pa.int32()), len(rows)))
            yield from packed(of, rows, (rows[KEY].to_numpy() % number).astype(np.int32), MOST).to_batches()

    return task


def _meeting(buckets: Buckets) -> Task:
    """A task that asks for the records that have the keys which others want."""

    def task(batches: Batches) -> Batches:
        for _, tables in opened(batches):
            if HAVE in tables and WANT in tables:
                pairs = tables[HAVE].join(tables[WANT].group_by([KEY, FOR]).aggregate([]), KEY, join_type="inner")
                asks = pairs.select([TO, FOR]).group_by([TO, FOR]).aggregate([]).rename_columns([KEY, FOR])
                yield from packed(f"{WANTED}0", asks, buckets.of(flat(asks[KEY])), MOST).to_batches()

    return task


# --- where names are searched -------------------------------------------------------------------------------------------


def of_names(step: Relate) -> Task:
    """One task for all names: whoever looks for some gets those that are like them, with how likely they are the same company (`NAMES_ALIKE`), and as
    keys (`WANT`).
    """
    least: dict[tuple[int, bool], float] = {}
    for method, (number, kind, _, _, group) in zip(step.methods, _sides(step), strict=True):
        if kind == SIMILAR:
            least[number, group] = min(method.least, least.get((number, group), 1.0))

    def task(batches: Batches) -> Batches:
        from roe.companies.kept import index_of  # takes long to load

        names: dict[int, dict[str, None]] = {}
        sought: dict[tuple[int, bool], dict[str, list[int]]] = {}
        for bucket, of, rows in each_of(batches):
            for number, group, name in zip(*(rows[x].to_pylist() for x in (NUMBER, GROUP, NAME)), strict=True):
                text = str(name, "utf-8", "surrogatepass")
                if of == NAMES:
                    names.setdefault(number, {})[text] = None
                else:
                    sought.setdefault((number, group), {}).setdefault(text, []).append(bucket)
        for number, known in names.items():
            texts = list(known)
            index = index_of(texts)
            for group in (False, True):
                asked = sought.get((number, group), {})
                hits = ((name, texts[place], score) for name in asked for score, place in index.search(name, least[number, group], group))
                yield from _alike(number, group, hits, asked)

    return task


def _alike(number: int, group: bool, hits: Iterable[tuple[str, str, float]], asked: Mapping[str, list[int]]) -> Batches:
    """Names that are like others, and how much, as parcels for the tasks that have asked."""
    rows: list[tuple[int, bool, bytes, bytes, float]] = []
    keys, tasks = list[int](), list[int]()
    for name, other, score in hits:
        n = len(asked[name])
        rows += [(number, group, as_bytes(name), as_bytes(other), score)] * n
        keys += [_hashed(number, other)] * n
        tasks += asked[name]
    if rows:
        to: Array = np.array(tasks, np.int32)
        yield from packed(NAMES_ALIKE, pa.table([list(x) for x in zip(*rows, strict=True)], schema=ALIKE), to, MOST).to_batches()
        yield from packed(WANT, pa.table({KEY: pa.array(keys, pa.int64())}), to, MOST).to_batches()

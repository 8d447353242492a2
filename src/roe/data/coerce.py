"""Raw records to typed ones: the only place where a record can be rejected.

Each field has one *column* in the data, found once per table: its declared name, the profile's, or its own name in any
case and with spaces or underscores. A value that is not of its field's type rejects the record, with the reason; nothing
is guessed and nothing dropped. What a column settles for all its cells is in `habits`, what was read of it in `reading`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from datetime import datetime, tzinfo
from functools import partial
from operator import itemgetter

from roe.crm.ids import fold
from roe.data.cells import Cells, LoneCells, cells_of, corrected, read_column, shown
from roe.data.habits import Habits, is_open
from roe.data.headers import MOST_HEADERS, field_of, known_columns
from roe.data.local import is_local, read_locally
from roe.data.makers import maker
from roe.data.reading import Problem, Reading, Reject
from roe.data.scan import TableOrigin
from roe.dynamic import Cell, Record, Value, Values
from roe.node import node
from roe.policy.model import DataSource, Field

NAMELESS = "the record has no id"
UNKNOWN_RECORD = "no id, name, e-mail or domain: the record cannot be told from others"


class RawRecords(list[Values]):
    """Raw records, each with `$line`, and where they come from."""

    def __init__(self, rows: Iterable[Values] = (), origin: TableOrigin | None = None) -> None:
        super().__init__(rows)
        self.origin = origin or TableOrigin("")


@node(frozen=False)
class Typed:
    """The records of one entity after coercion, and what was said about them on the way."""

    reading: Reading
    rows: list[Values] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    habits: dict[str, Habits] = field(default_factory=dict)  # column -> what it settled

    @property
    def columns(self) -> dict[str, str]:
        """field -> the data's column."""
        return self.reading.columns

    @property
    def corrected(self) -> Counter[tuple[str, str, str]]:
        """(field, written, meant) -> records."""
        return self.reading.corrected


MODIFIED = "modified_at"  # the field that says when the CRM last changed a row
GONE = ("merged_into", "deleted")  # the fields that say of a row that the CRM has the record no longer
WRITTEN = "$id"  # the id as the data has it, where that is the longer form of the one it is folded to
REPEATED = "id"  # the field that a record is rejected for when another has its id


@node(frozen=False)
class OneByOne:
    """What is found out once by whoever reads one record of an entity after another: how cells are read, by field, and what columns settle."""

    cells: dict[str, Cells | LoneCells] = field(default_factory=dict)
    tables: dict[tuple[str, ...], _Columns] = field(default_factory=dict)


def coerce_table(
    entity: str,
    fields: Mapping[str, Field],
    raw: Iterable[Record],
    roles: list[str],
    zone: tzinfo,
    source: DataSource,
    decided: bool = False,
    earlier: Typed | None = None,
    known: OneByOne | None = None,
    alone: bool = False,
) -> Typed:
    """Typed records: references still as text, under the field's name; `$line` and unknown columns are kept.

    A record that the policy decides goes back to where it came from, so its id is never made up. `earlier` are records of the same table:
    what its columns settled holds for these too.
    With `alone`, no column settles anything: each text is read by what it says itself.
    """
    origin = raw.origin if isinstance(raw, RawRecords) else TableOrigin("")
    raw = list(raw)
    known = OneByOne() if known is None else known
    keys = tuple(_keys_of(origin.header, raw))
    columns = known.tables.get(keys)
    if columns is None:
        if len(known.tables) >= MOST_HEADERS:
            known.tables.clear()
        columns = known.tables[keys] = _Columns(entity, fields, known_columns(entity, fields, keys, roles), zone, source)
    table = Typed(_started(entity, columns.columns, keys, origin, len(raw), decided))
    table.rejects += [Reject(entity, "", line, "", text, reason) for line, text, reason in origin.rejects]
    cells = columns.cells_of(alone, known.cells, table, raw, earlier)
    _RecordReader(entity, decided, table, columns, cells, raw).read()
    table.rejects.sort(key=lambda r: r.line)
    _only_one_each(entity, table)
    finished(table.reading, table.rejects)
    return table


def _keys_of(header: Iterable[str], raw: Iterable[Record]) -> list[str]:
    """The columns of a table: those of its header, and those that only rows have. Most rows have the same as the one before."""
    keys = dict.fromkeys(header)
    last: tuple[str, ...] = ()
    for row in raw:
        shape = tuple(row)
        if shape != last:
            keys |= dict.fromkeys(k for k in shape if k != "$line")
            last = shape
    return list(keys)


ReadBy = list[tuple[str, str, Cells | LoneCells]]  # field, column, how its cells are read


class _Columns:
    """What the columns of a table settle, whatever its records."""

    def __init__(self, entity: str, fields: Mapping[str, Field], columns: Mapping[str, str], zone: tzinfo, source: DataSource) -> None:
        self.entity, self.fields, self.columns, self.zone, self.source = entity, fields, columns, zone, source
        self.listed = listed(columns, fields)
        self.defaults = {name: maker(f, zone, source)(f.default) for name, f in fields.items() if f.default is not None}
        self.required = [f for f in fields.values() if f.required and f.type.name != "owners"]
        self.local = [(name, f) for name, f in fields.items() if name in columns and is_local(f)]
        self._alone: ReadBy | None = None  # for records that are read alone

    def cells_of(
        self, alone: bool, known: dict[str, Cells | LoneCells], table: Typed, raw: Sequence[Record], earlier: Typed | None
    ) -> ReadBy:
        """How the cells of each column are read, and what some settle for all of them. `known` has it by field where records decide nothing."""
        if alone and self._alone is not None:
            return self._alone
        read_by: ReadBy = []
        for name, column in self.columns.items():
            cells = known.get(name)
            if cells is None:
                f = field_of(self.fields, name)
                is_alone = alone and is_open(f)
                if is_open(f) and not alone:
                    table.habits[column] = _habits(f, raw, column, table.reading, earlier)
                made = partial(cells_of, f, self.zone, self.source, entity=self.entity)
                cells = LoneCells(f, made) if is_alone else made(table.habits.get(column))
                if is_alone or not is_open(f):
                    known[name] = cells
            read_by.append((name, column, cells))
        if alone:
            self._alone = read_by
        return read_by


class _RecordReader:
    """Reads the records of one table, and takes those that nothing is wrong with."""

    def __init__(self, entity: str, decided: bool, table: Typed, columns: _Columns, cells: ReadBy, raw: Sequence[Record]) -> None:
        self.entity, self.decided, self.table, self.cells, self.raw = entity, decided, table, cells, raw
        self.listed, self.defaults, self.required, self.local = columns.listed, columns.defaults, columns.required, columns.local

    def read(self) -> None:
        """Read all rows, column by column, and take the records that nothing is wrong with; the others are rejects."""
        raw, reading = self.raw, self.table.reading
        problems: dict[int, Problem] = {}  # by row the first thing that is wrong with it
        columns: list[list[Cell]] = []
        for (name, _, cells), written in zip(self.cells, self._columns(), strict=True):
            values, odd = read_column(cells, written)
            columns.append(values)
            reading.filled[name] = len(values) - values.count(None)
            for number, (meant, wrong, alias, unread) in odd:
                if wrong:
                    problems.setdefault(number, (name, written[number], wrong))
                elif meant is None and unread:
                    reading.unread[name, unread] += 1
                if alias is not None:
                    reading.corrected[name, alias, corrected(cells.field, alias)] += 1
        records = _records([name for name, _, _ in self.cells], columns, len(raw))
        if self.local or self.required or self.defaults or not self.table.columns.keys().isdisjoint(GONE):
            for number, typed in enumerate(records):
                problem = self._complete(typed, problems.get(number))
                if problem is not None:
                    problems[number] = problem
        for name in self.listed:
            reading.list_values(name, (x for record in records if (x := record.get(name)) is not None))
        self._take(records, problems)

    def _columns(self) -> Iterable[Sequence[Cell]]:
        """The raw cells of the columns that are read. Rows with the same columns are looked at once."""
        names = [column for _, column, _ in self.cells]
        try:
            return (
                list(zip(*map(itemgetter(*names), self.raw), strict=True))
                if len(names) > 1 and self.raw
                else self._columns_one_by_one(names)
            )
        except KeyError:
            return self._columns_one_by_one(names)

    def _columns_one_by_one(self, names: Iterable[str]) -> Iterable[Sequence[Cell]]:
        return [[row.get(name) for row in self.raw] for name in names]

    def _complete(self, typed: Values, problem: Problem | None) -> Problem | None:
        """Add to a record what its other fields and the policy say of a field; returns the first thing that is wrong with it."""
        for name, f in self.local:
            problem = read_locally(name, f, typed, problem, self.table.reading)
        for name, default in self.defaults.items():
            if typed.get(name) is None:
                typed[name] = default
        for name in GONE:
            if name in typed and (reason := reason_gone(name, typed[name])):
                problem = problem or (name, typed[name], reason)
        for f in self.required:
            if typed.get(f.name) is None:
                problem = problem or (f.name, "", f"`{f.name}` is required and missing")
        return problem

    def _take(self, records: Sequence[Values], problems: Mapping[int, Problem]) -> None:
        """Add records to the table, or to its rejects; each gets its id, its line (its number unless its row says another) and its name."""
        table, entity, decided = self.table, self.entity, self.decided
        id_column, unknown = table.columns.get("id"), table.reading.unknown
        for number, (typed, row) in enumerate(zip(records, self.raw, strict=True)):
            problem, marked = problems.get(number), row.get("$line")
            line = marked if type(marked) is int and marked > 0 else number + 1
            if typed.get("id"):
                identity = str(typed["id"])
            else:
                identity = "" if id_column is not None else _identity(entity, typed, line, decided)
                if not identity:
                    problem = problem or ("id", "", NAMELESS if id_column is not None else UNKNOWN_RECORD)
            if problem:
                name, value, reason = problem
                table.rejects.append(Reject(entity, identity, line, name, shown(value), reason, modified_text(typed.get(MODIFIED))))
                continue
            if id_column is not None and row[id_column] is not identity:
                written = str(row[id_column]).strip()
                if written != identity and fold(written) == identity:
                    typed[WRITTEN] = written
            typed["id"] = identity
            if unknown:
                typed["$extra"] = {k: row[k] for k in unknown if row.get(k) not in (None, "")}
            typed["$line"] = line
            if typed.get("name") is None:
                typed["name"] = _name(typed)
            table.rows.append(typed)


def _records(names: Sequence[str], columns: Sequence[Sequence[Cell]], rows: int) -> list[Values]:
    """The records of columns, each with the fields that it has a value of."""
    if not columns:
        return [{} for _ in range(rows)]
    if any(None in column for column in columns):
        return [{name: x for name, x in zip(names, values, strict=True) if x is not None} for values in zip(*columns, strict=True)]
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def stamp(value: Value) -> datetime | None:
    """When the CRM last changed a row, where `modified_at` says so to the moment."""
    return value if isinstance(value, datetime) and value.tzinfo is not None else None


def modified_text(value: Value) -> str:
    """The same as a reject has it."""
    at = stamp(value)
    return "" if at is None else at.isoformat()


def reason_gone(name: str, value: object) -> str:
    """Why a row with a value in one of `GONE` is not a record any more; empty for one that is."""
    if name == "merged_into" and isinstance(value, str) and value:
        return f"it was merged into `{value}`"
    return "it was deleted in the CRM" if name == "deleted" and value is True else ""


def started(
    entity: str, fields: Mapping[str, Field], keys: Iterable[str], roles: list[str], origin: TableOrigin, rows: int, decided: bool
) -> Reading:
    """A reading report before the first cell is read."""
    keys = tuple(keys)
    return _started(entity, known_columns(entity, fields, keys, roles), keys, origin, rows, decided)


def _started(entity: str, columns: Mapping[str, str], keys: Sequence[str], origin: TableOrigin, rows: int, decided: bool) -> Reading:
    used = set(columns.values())
    unknown = [k for k in keys if k not in used]
    notes = list(origin.notes)
    if decided and rows and "id" not in columns:
        instead = [f"`{columns[k]}`" for k in ("email", "name", "domain") if k in columns]
        notes.append(f"it has no id column: {' or else '.join(instead) or 'nothing'} is what tells its records apart")
    return Reading(entity, origin.shown, rows + len(origin.rejects), origin.blank, notes, dict(columns), unknown)


def listed(columns: Mapping[str, str], fields: Mapping[str, Field]) -> list[str]:
    """The fields of texts that may be lists of values."""
    return [
        n
        for n in columns
        if n in fields and fields[n].type.name == "string" and n not in ("id", "name", "email", "phone") and fields[n].default is None
    ]


def finished(reading: Reading, rejects: Sequence[Reject]) -> None:
    """Count the rejects; every field that has a column is counted, if with none."""
    for name in reading.columns:
        reading.filled.setdefault(name, 0)
    if rejects:
        reading.count(rejects)


def _habits(f: Field, raw: Sequence[Record], column: str, reading: Reading, earlier: Typed | None) -> Habits:
    habits = Habits()
    habits.add(f, {x for row in raw if isinstance(x := row.get(column), str)})
    if earlier is not None and column in earlier.habits:
        habits.merge(earlier.habits[column])
    settle(habits, column, reading)
    return habits


def settle(habits: Habits, column: str, reading: Reading) -> None:
    """Say what a column settled."""
    said = habits.note()
    if said:
        reading.notes.append(f"{column}: {said}")


# --- identity -------------------------------------------------------------------------------------------------------


def _only_one_each(entity: str, table: Typed) -> None:
    """Of records with one id that are equal the first stays; where they differ none does, since the order decides nothing."""
    by_id: dict[str, list[Values]] = {}
    for row in table.rows:
        by_id.setdefault(row["id"], []).append(row)
    if len(by_id) == len(table.rows):
        return
    table.rows = []
    repeated: list[Reject] = []
    for identity, rows in by_id.items():
        lines = ", ".join(str(r["$line"]) for r in rows)
        apart = {"$line": 0, WRITTEN: ""}  # what may differ in records that are the same
        same = all({**r, **apart} == {**rows[0], **apart} for r in rows)
        table.rows += rows[:1] if same else []
        reason = f"a repetition of the record in line {rows[0]['$line']}" if same else f"lines {lines} have this id and differ"
        repeated += [Reject(entity, identity, r["$line"], REPEATED, identity, reason, modified_text(r.get(MODIFIED))) for r in rows[same:]]
    table.rejects += sorted(repeated, key=lambda r: r.line)


def is_repetition(reject: Reject) -> bool:
    """Whether a record is rejected because another has its id."""
    return reject.field == REPEATED and bool(reject.record)


def _identity(entity: str, typed: Values, line: int, decided: bool) -> str:
    for name in telling(entity, decided):
        if typed.get(name):
            return str(typed[name])
    return "" if decided else f"{entity}-{line}"


def telling(entity: str, decided: bool) -> tuple[str, ...]:
    """The fields that tell records without an id apart. Deals and activities share their names, and nobody refers to them by those."""
    return () if entity in ("opportunity", "activity") and not decided else ("email", "name", "domain")


PERSON, INSTEAD = (
    ("first_name", "last_name"),
    ("company", "email", "domain"),
)  # what a record without a name is called by, the first that it has


def _name(typed: Values) -> str | None:
    joined = " ".join(str(part) for name in PERSON if (part := typed.get(name)))
    return joined or next((str(other) for name in INSTEAD if (other := typed.get(name))), None)

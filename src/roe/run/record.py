"""One record of large data, decided without reading the others: taken out of its files with all that the policy reads around it.

The files are searched for the few rows that are needed (`roe.data.lookup`), and these are read as the loader reads them. What a whole
column settles, such as the order of day and month, is looked up where a cell needs it. Turns of pools rest on all that came before; they are
read from a run, or from one that is made in columns once and kept (`roe.run.kept_turns`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from copy import copy
from datetime import tzinfo
from pathlib import Path
from typing import TYPE_CHECKING

from roe.crm.ids import fold
from roe.data.coerce import RawRecords, Typed, coerce_table, started, telling
from roe.data.habits import Habits, is_open
from roe.data.headers import columns_of, field_of
from roe.data.lookup import SMALL, CannotLookUp, CsvLookup, LoadedRecords, Lookup
from roe.data.read import files_of, kind_of, lacking, none_found, read_file, table_names
from roe.data.scan import TableOrigin
from roe.data.shape import misshapen
from roe.diagnostics import Diagnostic, PolicyError, errors
from roe.dynamic import Values
from roe.evaluator.around import Around, fields_in
from roe.evaluator.assigned import held_back
from roe.evaluator.bound import Bound
from roe.evaluator.compiled import Compiled
from roe.evaluator.engine import Evaluator
from roe.evaluator.world import World
from roe.grammar import syntax as s
from roe.grammar.clock import Clock, zone_of
from roe.ledger.remembered import Remembered
from roe.policy.model import DataSource, Field, Policy
from roe.run.source import Source, is_guarded

if TYPE_CHECKING:
    from roe.data.reading import Reading, Reject


READ_WHOLE = ("rep", "leave", "claim")  # entities of which all records count
FEW = 20_000  # records that may be looked at whole
NAMES = ("name", "email", "domain")
NAMED = ("name", "first_name", "last_name", "company", "email", "domain")  # the fields that a record's name may come from
KEPT_AS_IT_IS = ("", "lower", "upper", "trim", "domain")  # normal forms whose parts stand in the cell
TRANSPARENT = ("domain", "company_domain", "lower_case", "upper_case", "trim")  # functions whose value stands in their argument


def lookups(policy: Policy, source: Source) -> dict[str, Lookup]:
    """The records of each entity where they stand. Raises PolicyError for data that cannot be read, CannotLookUp."""
    if is_guarded(policy):
        raise CannotLookUp("the policy has guards on the data as a whole (`expect:`)")
    by_entity: dict[str, Lookup] = {}
    if source.is_database:
        by_entity = _database(policy, source.place)
        problems = lacking(policy, source.place, by_entity) if by_entity else [none_found(policy, source.place)]
    else:
        paths, problems = files_of(policy, source.place, complete=True)
        if not errors(problems):
            by_entity = {entity: _file(path, policy.data.get(entity, DataSource()), problems) for entity, path in paths.items()}
    for entity, lookup in by_entity.items():
        problems += misshapen(policy, entity, lookup.origin, lookup.number)
    if errors(problems):
        raise PolicyError(problems)
    source.warnings += problems
    return by_entity


def _file(path: Path, source: DataSource, problems: list[Diagnostic]) -> Lookup:
    if path.stat().st_size <= SMALL and path.suffix.lower() != ".parquet":
        rows, said = read_file(path, source)
        problems += said
        return LoadedRecords(rows)
    kind = path.suffix.lower()
    if kind == ".parquet":
        from roe.data.lookup_sql import parquet_lookup

        return parquet_lookup(path)
    if kind not in (".csv", ".tsv") or kind_of(path) != kind or source.encoding:
        raise CannotLookUp(f"`{path.name}` cannot be searched without reading all of it")
    return CsvLookup(path)


def _database(policy: Policy, place: Path) -> dict[str, Lookup]:
    from roe.data.lookup_sql import database_lookups, names_in

    held = set(names_in(place))
    tables = []
    for entity in policy.model.entities:
        tables += [(entity, name) for name in table_names(policy, entity) if name in held][:1]
    return dict(database_lookups(place, tables))


class FromFiles:
    """A `Place` over files. Raises CannotLookUp where a record cannot be found without reading all of them."""

    def __init__(self, compiled: Compiled, by_entity: dict[str, Lookup], clock: Clock) -> None:
        self.compiled, self.policy, self.clock = compiled, compiled.policy, clock
        self.zone = zone_of(self.policy.timezone)
        self.tables = {entity: _Table(entity, lookup, self.policy, self.zone) for entity, lookup in by_entity.items()}

    def under(self, compiled: Compiled, clock: Clock) -> FromFiles:
        """The same records under a policy that has other lists, pools or exceptions, and at another moment."""
        other = copy(self)
        other.compiled, other.policy, other.clock = compiled, compiled.policy, clock
        return other

    def all(self, entity: str) -> Iterable[Values]:
        table = self.tables.get(entity)
        return table.all() if table is not None else ()

    def named(self, entity: str, texts: Collection[str]) -> Iterable[Values]:
        table = self.tables.get(entity)
        return table.named(texts) if table is not None else ()

    def identified(self, entity: str, text: str) -> Iterable[Values]:
        """The records that have a text as their id."""
        table = self.tables.get(entity)
        if table is None:
            return ()
        return table.some([text], table.telling(), lambda row: row["id"] in (text, fold(text)))

    def partly(self, entity: str, text: str) -> Iterable[Values]:
        """The records that have a text in their name, e-mail address or domain."""
        table, wanted = self.tables.get(entity), text.lower()
        return table.some([text], NAMED, lambda row: any(wanted in x for x in names_of(row))) if table is not None else ()

    def referring(self, entity: str, field: str, records: Collection[Values]) -> Iterable[Values]:
        table = self.tables.get(entity)
        if table is None or field not in table.columns:
            return ()
        ids, names = {str(r["id"]) for r in records}, {x for r in records for x in names_of(r)}

        def is_meant(row: Values) -> bool:
            text = row.get(field)
            return text is not None and (fold(str(text)) in ids or str(text).lower() in names)

        return table.some([*ids, *sorted(names - {x.lower() for x in ids})], [field], is_meant)

    def equal(self, entity: str, tree: s.Node, texts: Collection[str]) -> Iterable[Values] | None:
        table = self.tables.get(entity)
        read = list(fields_in(tree, entity))
        if table is None or not any(name in table.columns for name in read):
            return (
                () if all((entity, name) not in self.compiled.steps for name in read) and not _defaults(self.policy, entity, read) else None
            )
        if not _is_transparent(tree, entity) or any((entity, name) in self.compiled.steps for name in read):
            return None
        return table.some(texts, read, lambda row: True)

    def near(self, entity: str, tree: s.Node, keys: Collection[str]) -> Iterable[Values] | None:
        table, read = self.tables.get(entity), list(fields_in(tree, entity))
        nowhere = table is None or not any(name in table.columns for name in read)
        plain = all((entity, name) not in self.compiled.steps for name in read) and not _defaults(self.policy, entity, read)
        return () if nowhere and plain and "name" not in read else None

    def world(self, rows: dict[str, dict[str, Values]]) -> World:
        world = World(self.compiled, {}, self.clock)
        for entity, table in self.tables.items():
            some = [values for _, values in sorted(rows[entity].items())]
            world.typed[entity] = Typed(table.reading(), [dict(x) for x in some], table.rejects, table.habits)
            world.rejects += table.rejects
            world.restore(entity, some)
        return world


def names_of(row: Values) -> set[str]:
    """What a record is called besides its id, in small letters."""
    return {str(x).lower() for name in NAMES if (x := row.get(name))}


def _defaults(policy: Policy, entity: str, names: Iterable[str]) -> bool:
    fields = policy.model.entities[entity]
    return any(name in fields and fields[name].default is not None for name in names)


def _is_transparent(tree: s.Node, entity: str) -> bool:
    """Whether the value of an expression, where it has one, stands in one of the fields that it reads directly."""
    if isinstance(tree, s.Path):
        return isinstance(tree.base, s.Name) and tree.base.id == entity
    if isinstance(tree, s.Call):
        return tree.function in TRANSPARENT and all(_is_transparent(x, entity) for x in tree.args)
    if isinstance(tree, s.If):
        return _is_transparent(tree.then, entity) and _is_transparent(tree.otherwise, entity)
    return False


class _Table:
    """The typed records of one entity, as they are asked for."""

    def __init__(self, entity: str, lookup: Lookup, policy: Policy, zone: tzinfo) -> None:
        self.entity, self.lookup, self.policy, self.zone = entity, lookup, policy, zone
        self.fields = policy.model.entities[entity]
        self.source = policy.data.get(entity, DataSource())
        self.decided = any(entity == e for e, _ in policy.plan.engagement)
        self.columns = columns_of(entity, self.fields, lookup.origin.header, policy.model.roles())
        self.habits: dict[str, Habits] = {}  # of whole columns
        self.rejects: list[Reject] = []
        self._all: list[Values] | None = None
        self._asked: dict[tuple[tuple[str, ...], tuple[str, ...]], list[Values]] = {}

    def reading(self) -> Reading:
        return started(self.entity, self.fields, self.lookup.origin.header, self.policy.model.roles(), self.lookup.origin, 0, self.decided)

    def all(self) -> list[Values]:
        if self._all is None:
            if not isinstance(self.lookup, LoadedRecords) and self.entity not in READ_WHOLE and self.lookup.number > FEW:
                raise CannotLookUp(f"the policy looks at all {self.entity} records")
            rows = self.lookup.all()
            self._all = self._typed(rows, rows.origin)
        return self._all

    def named(self, texts: Collection[str]) -> list[Values]:
        """The records with one of some texts as their id, and of the texts that are no id those with such a name."""
        by_id = {fold(x): x for x in texts}
        named = self.some(list(by_id), ["id"], lambda row: row["id"] in by_id)
        left = {x.lower(): x for x in texts if fold(x) not in {row["id"] for row in named}}
        return named + self.some(list(left.values()), NAMED, lambda row: bool(left.keys() & names_of(row)))

    def some(self, texts: Collection[str], fields: Iterable[str], is_meant: Callable[[Values], bool]) -> list[Values]:
        """The records that are meant, of which each has one of some texts in one of some fields."""
        if self._all is not None or isinstance(self.lookup, LoadedRecords):
            return [row for row in self.all() if is_meant(row)]
        held = [name for name in fields if name in self.columns]
        columns = self._columns_of(held)
        if not texts or not columns:
            return []
        rows = {row["$line"]: row for row in self._having(self._spelt(texts, held), columns)}
        meant = [row["id"] for row in self._typed(RawRecords(rows.values(), self._origin())) if is_meant(row)]
        if "id" not in held and meant and (known_by := self._columns_of(self.telling())):  # others with the same id may stand elsewhere
            again = self._having(meant, known_by)
            rows |= {row["$line"]: row for row in again}
        before = len(self.rejects)
        typed = self._typed(RawRecords([rows[line] for line in sorted(rows)], self._origin()))
        self.rejects[before:] = [r for r in self.rejects[before:] if r not in self.rejects[:before]]
        return [row for row in typed if is_meant(row)]

    def _having(self, texts: list[str], columns: list[str]) -> list[Values]:
        key = tuple(texts), tuple(columns)
        if key not in self._asked:
            self._asked[key] = self.lookup.having(texts, columns)
        return self._asked[key]

    def telling(self) -> list[str]:
        """The fields that say what a record is known by."""
        return ["id"] if "id" in self.columns else list(telling(self.entity, self.decided))

    def _columns_of(self, names: Iterable[str]) -> list[str]:
        return list(dict.fromkeys(self.columns[name] for name in names if name in self.columns))

    def _spelt(self, texts: Collection[str], fields: Iterable[str]) -> list[str]:
        """What stands in a cell that means one of some texts, or a part of it."""
        wanted = dict.fromkeys(fold(x) for x in texts)
        lowered = {x.lower() for x in (*texts, *wanted)}
        for name in fields:
            f = field_of(self.fields, name)
            if f.normalize not in KEPT_AS_IT_IS:
                raise CannotLookUp(f"`{name}` of {self.entity} records has too many spellings")
            wanted |= dict.fromkeys(alias for alias, meant in f.aliases.items() if str(meant).lower() in lowered)
        for text in list(wanted):
            if not text.isascii() and "." in text:
                try:
                    wanted[text.encode("idna").decode()] = None
                except UnicodeError:
                    continue
        return list(wanted)

    def _origin(self) -> TableOrigin:
        return TableOrigin(self.lookup.origin.shown, self.lookup.origin.header)

    def _typed(self, rows: RawRecords, origin: TableOrigin | None = None) -> list[Values]:
        records = rows if origin is not None else RawRecords(rows, self._origin())
        if not isinstance(self.lookup, LoadedRecords) and origin is None:
            self._settle(records)
        earlier = Typed(self.reading(), habits=self.habits)
        roles = self.policy.model.roles()
        typed = coerce_table(self.entity, self.fields, records, roles, self.zone, self.source, self.decided, earlier)
        self.rejects += [r for r in typed.rejects if r not in self.rejects]
        return typed.rows

    def _settle(self, rows: RawRecords) -> None:
        """Look up what whole columns settle for the cells of some rows that have two readings."""
        for name, column in self.columns.items():
            f = field_of(self.fields, name)
            if is_open(f) and column not in self.habits:
                votes = Habits()
                votes.add(f, {x for row in rows if isinstance(x := row.get(column), str)})
                if "?" in votes.signs | votes.orders or votes.money:
                    self.habits[column] = self._of_column(f, column)

    def _of_column(self, f: Field, column: str) -> Habits:
        habits = Habits()
        habits.add(f, self.lookup.texts_of(column))
        return habits


# --- a record, by what somebody calls it --------------------------------------------------------------------------------


class TakenOut:
    """Records of large data, to be decided one at a time. Raises PolicyError for data that cannot be read, CannotLookUp."""

    def __init__(self, evaluator: Evaluator, source: Source, as_of: str, state: Remembered) -> None:
        self.evaluator, self.state = evaluator, state
        self.clock = evaluator.clock(as_of)
        self.place = FromFiles(evaluator.compiled, lookups(evaluator.policy, source), self.clock)

    def called(self, text: str, entities: Iterable[str]) -> World:
        """The records that a text may mean, among some entities: by id, else by a whole name, else by a part of one."""
        entities = list(entities)
        by_id = {entity: list(self.place.identified(entity, text)) for entity in entities}
        ids = [row for rows in by_id.values() for row in rows]
        named = by_id
        if len(ids) != 1 or ids[0]["id"] != text:
            named = {entity: [*by_id[entity], *self.place.named(entity, [text])] for entity in entities}
        if not any(named.values()):
            named = {entity: list(self.place.partly(entity, text)) for entity in entities}
        if not any(named.values()):
            raise CannotLookUp(f"no record is called `{text}`")
        rows = {entity: {row["id"]: row for row in named.get(entity, ())} for entity in self.evaluator.policy.model.entities}
        return self.place.world(rows)

    def bound(self, entity: str, record: str) -> Bound:
        """A record and everything that the policy reads around it, ready to be decided."""
        around = Around(self.place, self.evaluator.compiled, self.clock)
        around.keep(entity, self.place.identified(entity, record))
        around.complete()
        self._excepted(around)
        bound = Bound(self.evaluator, around.complete(), self.state)
        bound.anew = self.anew
        return bound

    def anew(self, evaluator: Evaluator, rows: Mapping[str, Iterable[Values]], clock: Clock) -> World:
        """What the policy reads around some records that are no longer what the files say, or under another policy, or at another moment."""
        around = Around(self.place.under(evaluator.compiled, clock), evaluator.compiled, clock)
        around.begin(rows)
        around.complete()
        self._excepted(around)
        return around.complete()

    def _excepted(self, around: Around) -> None:
        """An approved exception that names a record by its name holds only if no other has that name."""
        for row in (*self.evaluator.policy.plan.exceptions, *held_back(self.state)):
            text = str(row.record)
            names = {x for values in around.rows.get(row.entity, {}).values() for x in names_of(values)}
            if text.lower() in names:
                around.want(row.entity, [text])

"""A decision made again in a changed world: the same policy, state and moment, with a few facts otherwise.

Changes go into the records as the loader gives them, before anything is computed, and into the policy's lists, staffing, pools and
exceptions; then the ordinary evaluator decides, with every rule, pool and queue. Nothing here knows what a rule means. A value that
the loader would not read back as it is makes a change impossible.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from roe.analysis.changes import Change, ExceptionEnds, FieldChange, ListChange, MemberChange, NewRecord, StaffingChange, Wait, Way
from roe.data.cells import MISSING
from roe.data.coerce import coerce_table
from roe.data.headers import field_of
from roe.data.lookup import CannotLookUp
from roe.data.makers import maker
from roe.dynamic import Value, Values
from roe.evaluator.bound import Bound
from roe.evaluator.decision import Decision
from roe.evaluator.engine import Evaluator
from roe.evaluator.row import Row
from roe.evaluator.world import World
from roe.files import SHEET_ERROR
from roe.grammar import syntax as s
from roe.grammar import values as v
from roe.grammar.clock import zone_of
from roe.plan.operators import Choose, DatedValue, Expr, Rule
from roe.plan.plan import Plan, Step
from roe.policy.model import DataSource, Policy
from roe.progress import advance
from roe.source import Inline, Text

Records = dict[str, list[Values]]


class Impossible(Exception):
    """A change that the loader would not take as it stands."""


class Replays:
    """Decisions on one record and role in changed worlds; each set of changes is replayed once. `made` counts them.

    Of a record that is taken out of large data, changes after which a pool would take another turn are left out: `left_out` counts those.
    """

    def __init__(self, bound: Bound, entity: str, record: str, role: str) -> None:
        self.bound, self.entity, self.record, self.role = bound, entity, record, role
        self.made = self.left_out = 0
        self._records = given(bound.world)
        self._known: dict[frozenset[Change], tuple[Bound, Decision] | None] = {}

    def decide(self, way: Way) -> tuple[Bound, Decision] | None:
        """The changed world and what it decides; None for changes that cannot be made."""
        key = frozenset(way)
        if key not in self._known:
            self.made += 1
            advance(1)
            try:
                world = changed(self.bound, self._records, way)
                self._known[key] = world, decided(world, self.entity, self.record, self.role)
            except (Impossible, CannotLookUp) as e:
                self._known[key] = None
                self.left_out += isinstance(e, CannotLookUp)
        return self._known[key]

    def known(self, way: Way) -> bool:
        return frozenset(way) in self._known


def decided(bound: Bound, entity: str, record: str, role: str) -> Decision:
    """The decision on one record as a whole run makes it: what comes before it in the queue is decided first."""
    row = bound.world.rows[entity] and bound.world.find(entity, record)
    if not row:
        raise Impossible
    if not bound.plan.takes_turns(entity) or bound.anew is not None:
        return bound.decide(row, role)
    for decision in bound.decide_all():
        if decision.row is row and decision.role == role:
            return decision
    raise Impossible


def given(world: World) -> Records:
    """The records as they were loaded, before references were resolved; those added one by one last."""
    records: Records = {}
    for entity, rows in world.rows.items():
        typed = world.typed.get(entity)
        loaded = list(typed.rows) if typed is not None else []
        known = {values["id"] for values in loaded}
        records[entity] = loaded + [stored(row) for row in rows if row["id"] not in known]
    return records


def stored(row: Row) -> Values:
    """A record's own values as the loader gives them: references as ids, nothing that was computed."""
    plain = {name: x["id"] if isinstance(x, Row) else x for name, x in row.items() if name not in row.derived}
    return {name: x for name, x in plain.items() if not isinstance(x, (list, dict)) or name == "$extra"}


def changed(bound: Bound, records: Records, way: Way) -> Bound:
    """A bound evaluator over changed records, lists and days. Raises `Impossible`."""
    policy, clock = bound.policy, bound.world.clock
    evaluator = bound.evaluator
    plan = policy.plan
    for change in way:
        plan = _plan(plan, change, bound)
    if plan is not policy.plan:
        policy = replace(policy, plan=plan)
        evaluator = Evaluator(policy)
    for change in way:
        if isinstance(change, Wait):
            clock = evaluator.clock(change.until)
    tables = dict(records)
    for number, change in enumerate(way):
        if isinstance(change, FieldChange):
            tables[change.entity] = [
                with_field(bound.world, change.entity, values, change.field, change.after) if values["id"] == change.record else values
                for values in tables[change.entity]
            ]
        elif isinstance(change, NewRecord):
            tables[change.entity] = [*tables[change.entity], new_record(bound.world, change, number)]
    if bound.anew is not None:
        after = Bound(evaluator, bound.anew(evaluator, tables, clock), bound.state)
        after.anew, after.turns = bound.anew, _Unknown() if way else bound.turns
        return after
    world = World(evaluator.compiled, {}, clock)
    world.typed = {entity: replace(typed, rows=tables[entity]) for entity, typed in bound.world.typed.items()}
    for entity, rows in tables.items():
        world.restore(entity, rows)
    return Bound(evaluator, world, bound.state)


class _Unknown(Mapping[str, Value]):
    """The turns of pools after a change: they would rest on all records."""

    def __contains__(self, key: object) -> bool:
        return True

    def __getitem__(self, key: str) -> object:
        raise CannotLookUp("the turns of pools depend on all records")

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 1


# --- records ----------------------------------------------------------------------------------------------------------


def with_field(world: World, entity: str, values: Mapping[str, object], name: str, value: object) -> Values:
    """A record with another value in one field, as the loader would read it from the field's column."""
    columns = world.typed[entity].columns if entity in world.typed else {}
    fields = world.policy.model.entities[entity]
    column = columns.get(name)
    if "id" not in columns and name in ("email", "name", "domain"):
        raise Impossible  # it is what the record is known by
    changed = dict(values)
    for sharing in [name, *(f for f, c in columns.items() if c == column and f != name and column is not None)]:
        changed[sharing] = read_back(world.policy, entity, sharing, value)
        if sharing == "name" and value is None:
            raise Impossible
        if changed[sharing] is None:
            if (f := fields.get(sharing)) is not None and (f.required or f.default is not None):
                raise Impossible
            del changed[sharing]
    if read_back(world.policy, entity, name, value) != value:
        raise Impossible
    if name in ("first_name", "last_name", "company", "email", "domain") and "name" not in columns:
        raw = coerce_table(entity, fields, [_as_text(changed)], world.policy.roles, zone_of(world.policy.timezone), DataSource()).rows
        changed["name"] = raw[0]["name"] if raw else changed["name"]
    return changed


def _as_text(values: Mapping[str, object]) -> Values:
    return {k: v.string(x) for k, x in values.items() if k in ("id", "first_name", "last_name", "company", "email", "domain")}


def read_back(policy: Policy, entity: str, name: str, value: object) -> object:
    """What the loader makes of a value's text. Raises `Impossible` where it would reject the record, or read nothing."""
    if value is None:
        return None
    source = policy.data.get(entity, DataSource())
    field = field_of(policy.model.entities[entity], name)
    text = v.string(value)
    missing = MISSING | {m.lower() for m in source.missing}
    if text is None or text.strip().lower() in missing or text in field.aliases or text != text.strip() or SHEET_ERROR.fullmatch(text):
        raise Impossible
    try:
        return maker(field, zone_of(policy.timezone), source)(text)
    except ValueError as e:
        raise Impossible from e


def new_record(world: World, change: NewRecord, number: int) -> Values:
    """A record that is added, read by the loader from the texts of its values."""
    entity, fields = change.entity, world.policy.model.entities[change.entity]
    columns = world.typed[entity].columns if entity in world.typed else {}
    raw = {column_for(world.policy, entity, name, columns): v.string(value) for name, value in change.values}
    raw[column_for(world.policy, entity, "id", columns)] = new_id(entity, number)
    source = world.policy.data.get(entity, DataSource())
    typed = coerce_table(entity, fields, [raw], world.policy.roles, zone_of(world.policy.timezone), source)
    if typed.rejects or not typed.rows or any(typed.rows[0].get(name) != value for name, value in change.values):
        raise Impossible
    return typed.rows[0]


def column_for(policy: Policy, entity: str, name: str, columns: Mapping[str, str]) -> str:
    """The column that a field has in the data, or would have if it had one."""
    field = policy.model.entities[entity].get(name)
    return columns.get(name) or (field.columns[0] if field is not None and field.columns else name)


def new_id(entity: str, number: int) -> str:
    """An id that no record has, after all of theirs, so that nothing that is ordered by id comes later for it."""
    return f"zz-new-{entity}-{number + 1}"


# --- the policy -------------------------------------------------------------------------------------------------------


def _plan(plan: Plan, change: Change, bound: Bound) -> Plan:
    """The plan with a row of a list, the staffing, a pool's members or the exceptions changed."""
    if isinstance(change, ListChange):
        if change.name in plan.dated_lists:
            rows = plan.dated_lists[change.name]
            return replace(plan, dated_lists={**plan.dated_lists, change.name: _listed(rows, change)})
        old = plan.lists[change.name]
        new = [*old, change.value] if change.adds else [x for x in old if x != change.value]
        return replace(plan, lists={**plan.lists, change.name: new})
    if isinstance(change, ExceptionEnds):
        left = tuple(x for x in plan.exceptions if str(x.record.span()) != change.place)
        return plan.with_part("exceptions", left)
    if isinstance(change, MemberChange):
        pool = plan.pools[change.pool]
        assert isinstance(pool.members, tuple)
        members = (*pool.members, DatedValue(Text(change.rep, Inline())))
        return replace(plan, pools={**plan.pools, change.pool: replace(pool, members=members)})
    if isinstance(change, StaffingChange):
        return replace(plan, steps=_staffed(plan, change, bound))
    return plan


def _listed(rows: Iterable[DatedValue], change: ListChange) -> list[DatedValue]:
    if change.adds:
        return [*rows, DatedValue(Text(str(change.value), Inline()))]
    return [x for x in rows if str(x.value) != change.value]


def _staffed(plan: Plan, change: StaffingChange, bound: Bound) -> dict[tuple[str, str], Step]:
    """The steps with another rep in a row of the staffing, or with a row more, for every entity that has the territories."""
    steps = dict(plan.steps)
    for (entity, name), step in steps.items():
        if not isinstance(step, Choose) or step.stage != "staffing" or name != f"{change.step}_owner.{change.role}":
            continue
        if change.before is None:
            asked = s.Path(s.Path(s.Name(entity), change.step), "name")
            here = Expr(s.Compare("=", asked, s.Literal(change.territory, change.territory)), Text(change.territory, Inline()))
            row = Rule(Text(f"{change.after} for {change.territory}", Inline()), (here,), change.after)
            steps[entity, name] = replace(step, rules=(*step.rules, row))
            continue
        place = bound.evaluator.compiled.place
        rules = (
            replace(r, value=change.after) if r.value == change.before and str(place(r.name)) == change.place else r for r in step.rules
        )
        steps[entity, name] = replace(step, rules=tuple(rules))
    return steps

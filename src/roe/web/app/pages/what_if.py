"""What if: change a record's fields, or describe a new one, and see who would own it and why. Nothing is stored."""

from __future__ import annotations

from starlette.responses import Response

from roe.analysis.changes import FieldChange
from roe.analysis.replay import Impossible, changed, column_for, decided, given, read_back
from roe.dynamic import Json, Value
from roe.evaluator.decision import Decision
from roe.evaluator.row import Row
from roe.grammar import values as v
from roe.policy.model import Field
from roe.policy.reads import reads
from roe.web.app.pages.record import answer
from roe.web.app.site import Ask
from roe.web.app.snapshot import Snapshot

FIRST = ("name", "domain", "email", "company", "country", "state", "employees", "industry", "segment", "type")
BOOKKEEPING = frozenset(
    {"modified_at", "modified_by", "deleted", "merged_into", "owner_queue"}
)  # which nobody decides by, unless rules read it
NEW = "zz-what-if"  # the id of a record that is only described


def form(ask: Ask) -> Response:
    entity, record = _entity(ask, ask.text("entity")), ask.text("record")
    row = ask.snapshot.row(entity, record) if record else None
    if record and (row is None or not ask.viewer.may_see_values(ask.snapshot, entity, record)):
        return ask.missing("There is no such record among those whose values you may see.")
    return ask.render("what_if.html", **_form(ask, entity, row, {}), answers=None, problems=[], changed=[])


def answered(ask: Ask) -> Response:
    """Who would own the record as the form has it."""
    assert ask.form is not None
    entity, record = _entity(ask, str(ask.form.get("entity", ""))), str(ask.form.get("record", ""))
    row = ask.snapshot.row(entity, record) if record else None
    if record and (row is None or not ask.viewer.may_see_values(ask.snapshot, entity, record)):
        return ask.missing("There is no such record among those whose values you may see.")
    typed = {name: str(ask.form.get(f"field.{name}", ""))[:2_000].strip() for name in fields_of(ask.snapshot, entity)}
    try:
        decisions, problems = _decide(ask.snapshot, entity, row, typed)
    except Impossible:
        decisions, problems = [], ["These values cannot stand in a record of this kind: its name, or what it is known by, is missing."]
    full = ask.viewer.sees_all or row is not None
    answers = [answer(ask, d, full, full and ask.viewer.may_see_whole(ask.snapshot, d.row)) for d in decisions]
    changed_fields = [f for f in _form(ask, entity, row, typed)["fields"] if row is not None and f["typed"] != f["now"]]
    return ask.render("what_if.html", **_form(ask, entity, row, typed), answers=answers, problems=problems, changed=changed_fields)


def _entity(ask: Ask, name: str) -> str:
    return name if name in ask.snapshot.entities else ask.snapshot.entities[0]


def fields_of(snapshot: Snapshot, entity: str) -> list[str]:
    """The fields that a form offers: those that rules read first, then what every record has."""
    model = snapshot.policy.model.entities[entity]
    read = {name for of, name in reads(snapshot.policy) if of == entity}
    stored = {n: f for n, f in model.items() if not f.via and f.type.name != "owners" and n != "id" and "." not in n}
    plain = [n for n, f in stored.items() if n in read or (f.type.name != "record" and n not in BOOKKEEPING)]
    owners = [f"owner.{role}" for role in snapshot.bound.roles(entity)]
    first = [n for n in plain if n in read or n in FIRST]
    return [*sorted(first, key=lambda n: FIRST.index(n) if n in FIRST else len(FIRST)), *owners, *(n for n in plain if n not in first)]


def _form(ask: Ask, entity: str, row: Row | None, typed: dict[str, str]) -> Json:
    snapshot = ask.snapshot
    model = snapshot.policy.model.entities[entity]
    read = {name for of, name in reads(snapshot.policy) if of == entity}
    fields = []
    for name in fields_of(snapshot, entity):
        now = _text(row, name) if row is not None else ""
        kind = model[name.partition(".")[0]].type
        fields.append(
            {
                "name": name,
                "now": now,
                "typed": typed.get(name, now),
                "options": [*kind.values] if kind.values else ["true", "false"] if kind.name == "boolean" else [],
                "kind": "date" if kind.name == "date" else "number" if kind.name == "number" else "text",
                "reps": kind.name == "owners" or (kind.name == "record" and kind.entity == "rep"),
                "read": name in read or name.startswith("owner."),
            }
        )
    return {"entity": entity, "row": row, "fields": fields, "entities": snapshot.entities, "reps": snapshot.reps()}


def _text(row: Row, name: str) -> str:
    """A stored value as its file would have it."""
    given = given_value(row, name)
    return "" if given is None else str(v.string(given))


def given_value(row: Row, name: str) -> object:
    if name.startswith("owner."):
        owner = row["owner"].get(name.partition(".")[2])
        return owner["id"] if isinstance(owner, Row) else None
    value = row[name]
    return value["id"] if isinstance(value, Row) else value if not isinstance(value, (list, dict)) else None


def _decide(snapshot: Snapshot, entity: str, row: Row | None, typed: dict[str, str]) -> tuple[list[Decision], list[str]]:
    if row is None:
        if not snapshot.rows_alone:
            return [], ["There is too much data to add a record to all of it here. Open a record, and ask what if of that."]
        return _described(snapshot, entity, typed)
    problems: list[str] = []
    way = []
    bound = snapshot.replayable(entity, str(row["id"]))
    stored = next((x for x in given(bound.world)[entity] if x["id"] == row["id"]), {})
    for name, text in typed.items():
        before = _text(row, name)
        if text == before:
            continue
        try:
            after = _value(snapshot, entity, name, text)
        except (Impossible, ValueError, KeyError):
            problems.append(f"`{text}` cannot be read as {name.replace('_', ' ')}.")
            continue
        way.append(FieldChange(entity, str(row["id"]), name, stored.get(name), after, row.label))
    world = changed(bound, given(bound.world), tuple(way))
    return [decided(world, entity, str(row["id"]), role) for role in bound.roles(entity)], problems


def _value(snapshot: Snapshot, entity: str, name: str, text: str) -> Value:
    """What the loader makes of a text."""
    if text == "":
        return None
    if name.startswith("owner."):
        rep = snapshot.world.find("rep", text)
        if rep is None:
            raise ValueError(text)
        return str(rep["id"])
    field = snapshot.policy.model.entities[entity][name]
    if field.type.name == "record":
        record = snapshot.world.find(field.type.entity, text)
        if record is None:
            raise ValueError(text)
        return str(record["id"])
    if field.type.name == "string":
        return read_back(snapshot.policy, entity, name, text)
    return read_back(snapshot.policy, entity, name, _typed(text, field))


def _typed(text: str, field: Field) -> Value:
    """A text as a value of the field's type. Raises ValueError."""
    kind = field.type.name
    if kind == "number":
        return v.number(float(text.replace(",", "")))
    if kind == "boolean":
        return {"true": True, "yes": True, "false": False, "no": False}[text.lower()]
    moment = v.parse_temporal(text)
    if moment is None:
        raise ValueError(text)
    return moment


def _described(snapshot: Snapshot, entity: str, typed: dict[str, str]) -> tuple[list[Decision], list[str]]:
    """The decisions on a record that only the form describes, in a world of its own, after all others."""
    base = snapshot.replayable(entity, NEW)
    columns = base.world.typed[entity].columns if entity in base.world.typed else {}
    raw: dict[str, str] = {}
    for name, text in typed.items():
        if text:
            owner = name.partition(".")[2]
            raw[base.world.owner_column(entity, owner) if owner else column_for(snapshot.policy, entity, name, columns)] = text
    raw[column_for(snapshot.policy, entity, "id", columns)] = NEW
    bound = changed(base, given(base.world), ())
    before = len(bound.world.rejects)
    added = bound.world.add(entity, [raw])
    if not added:
        return [], [f"{r.field.replace('_', ' ').capitalize()} `{r.value}`: {r.reason}." for r in bound.world.rejects[before:]]
    row = added[0]
    bound.world.resolve(row)
    unread = [name for name, text in typed.items() if text and "." not in name and row[name] is None]
    problems = [f"`{typed[name]}` cannot be read as {name.replace('_', ' ')}." for name in unread]
    return [bound.decide(row, role) for role in bound.roles(entity)], problems

"""Explanations of what a run writes besides its allocations: a claim, a credit, a dispute, an event, and the value of any one field.

What became of them is read from the same rows that the run writes (`evaluator/extra.py`); the steps below are those of a trace, made by
the same builder, so that a value is explained as it was computed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from roe.dynamic import Json, Value
from roe.evaluator.bound import Bound
from roe.evaluator.decision import Decision
from roe.evaluator.extra import credit_lines, excepted, held, raised
from roe.evaluator.row import Row
from roe.evaluator.trace import Trace, steps_of
from roe.grammar import values as v
from roe.grammar.closures import compile_expression
from roe.grammar.parser import parse
from roe.node import node
from roe.plan.operators import Choose, Derive, Settle
from roe.plan.plan import Plan

EXCEPTION = "exception"  # what a run calls the credit of an approved exception


@node(frozen=False)
class ValueTrace(Trace):
    """Why one value is what it is: the trace of a field, with a sentence of its own."""

    field: str = ""
    value: Value = None

    def as_json(self) -> Json:
        json = Trace.as_json(self)
        del json["role"], json["outcome"]
        return {**json, "field": self.field, "value": v.plain(self.value)}


def entities(plan: Plan) -> list[str]:
    """The entities whose records something is written about, beside those that are allocated."""
    entities = [*(["claim"] if plan.claims is not None else []), *(c.entity for c in plan.credits), *(["dispute"] if plan.credits else [])]
    entities += [event.entity for event in plan.events]
    return list(dict.fromkeys(entities))


def lines_of(plan: Plan, entity: str) -> list[str]:
    """What a run writes lines about for an entity's records: its credits and events, holdovers, and exceptions that split the credit."""
    names = [credit.name for credit in plan.credits if credit.entity == entity]
    names += [event.name for event in plan.events if event.entity == entity]
    names += [h.name for h in plan.holdovers if entity == "account"]
    return names + [EXCEPTION] * any(x.shares and x.entity == entity for x in plan.exceptions)


def fields(bound: Bound, entity: str) -> list[str]:
    """The computed fields of an entity."""
    return [name for of, name in bound.plan.steps if of == entity and "." not in name]


def value_of(bound: Bound, row: Row, name: str) -> ValueTrace:
    """One value of a record, computed or stored, as the rules of its entity see it; `owner.ae` is the part `ae` of its `owner`."""
    _before(bound, row.entity)
    field, path = root_of(row, name)
    with bound.world.as_before(row.entity):
        value = row[field]
        if path:
            tree, _ = parse(f"{row.entity}.{name}")
            assert tree is not None
            value = compile_expression(tree)(bound.world.scope(row))
        return _traced(row, field, value, _sentence(bound, row, name, value))


def root_of(row: Row, name: str) -> tuple[str, str]:
    """The field that a path begins with, and the rest of it: `owner` and `ae`. `owner_since.ae` is one field."""
    field, _, path = name.partition(".")
    return (name, "") if name in row else (field, path)


def _before(bound: Bound, entity: str) -> None:
    """Decide what is decided before an entity: a lead sees this run's owners of its account."""
    order = bound.entities()
    if entity in order[1:]:
        role = bound.roles(entity)[0]
        rows = bound.world.rows[entity]
        if rows and order.index(entity):
            bound.decide(rows[0], role)


def _traced(row: Row, name: str, value: object, sentence: str) -> ValueTrace:
    decision = Decision(row.entity, str(row["id"]), row.label, "", "value", row=row)
    return ValueTrace(decision, sentence, steps_of(decision, [(row, name)]), name, value)


def _sentence(bound: Bound, row: Row, name: str, value: object) -> str:
    what = f"`{name}` of {_called(row)}"
    step = bound.evaluator.compiled.steps.get((row.entity, root_of(row, name)[0]))
    if isinstance(step, Settle) and row.entity == "claim":
        return _claim(bound, row).sentence
    if value is None and step is None and name in row:
        return f"{what} has no value, as the data says."
    if value is None:
        return f"{what} has no value: " + ("no rule of it holds." if isinstance(step, Choose) else "something that it rests on is missing.")
    shown = value.label if isinstance(value, Row) else v.readable(value) if not isinstance(value, str) else f'"{value}"'
    if isinstance(step, Choose) and step.hit == "first":
        choice = bound.evaluator.compiled.choosers[row.entity, name](bound.world.scope(row))
        rule = step.rules[choice.fired[0]] if choice.fired else None
        if rule is not None and rule.because:
            return f"{what} is {shown}: {bound.fill(rule.because, row)}."
        return f"{what} is {shown}" + (f", by rule `{rule.name}`." if rule is not None else ", since no rule of it holds.")
    explained_elsewhere = step is not None or isinstance(
        row[root_of(row, name)[0]], Row
    )  # what a step or another record says is not this record's data
    stored = "" if explained_elsewhere else ", as the data says"
    return f"{what} is {shown}{stored}."


def _called(row: Row) -> str:
    return f"{row.label} ({row.entity} {row['id']})" if row.label != row["id"] else f"{row.entity} {row['id']}"


# --- claims, credits, disputes and events ---------------------------------------------------------------------------------


def about(bound: Bound, row: Row, only: str = "") -> list[ValueTrace]:
    """Everything that a whole run writes of a record besides allocations; `only` is one credit or event."""
    decided: list[Decision] = []
    if any(entity == row.entity for entity in bound.entities()) or bound.plan.credits or bound.plan.events:
        decided = list(bound.decide_all())
    return [*_about(bound, row, only), *_split(bound, row, only, decided)]


def _split(bound: Bound, row: Row, only: str, decided: Sequence[Decision]) -> Iterator[ValueTrace]:
    """The credit that a holdover or an approved exception splits."""
    shared: list[tuple[str, Iterable[list[object]], list[str]]] = [(EXCEPTION, excepted(bound), [])]
    for h in bound.plan.holdovers if row.entity == "account" else ():
        own = sorted((d for d in decided if (d.entity, d.role) == ("account", h.role)), key=lambda d: d.id)
        lines: Iterable[list[object]] = held(h, bound.world, [(d.owner, d.previous) for d in own])
        shared.append((h.name, lines, [f"{h.name}_credit", f"{h.name}_stage_until"]))
    for name, all_lines, rests_on in shared:
        mine = [line for line in all_lines if line[1:3] == [row.entity, row["id"]]] if only in ("", name) else []
        if mine:
            until = f" until {v.readable(mine[0][7])}" if mine[0][7] is not None else ""
            said = f"The credit `{name}` of {_called(row)} is {_shares(bound, mine)}{until}: {mine[0][8]}."
            decision = Decision(row.entity, str(row["id"]), row.label, "", "value", row=row)
            steps = steps_of(decision, [(row, x) for x in rests_on])
            yield ValueTrace(decision, said, steps, name, [[line[4], line[5]] for line in mine])


def _shares(bound: Bound, lines: Iterable[list[Value]]) -> str:
    return " and ".join(f"{_who(bound, line[4])} {v.show_number(line[5])} %" for line in lines)


def _about(bound: Bound, row: Row, only: str) -> Iterator[ValueTrace]:
    plan = bound.plan
    if row.entity == "claim" and plan.claims is not None:
        yield _claim(bound, row)
    disputed = None
    if row.entity == "dispute":
        disputed = next((c for c in plan.credits if c.name == row["credit"]), None)
        if disputed is not None:
            record = bound.world.find(disputed.entity, row["record"]) if row["record"] else None
            yield from _credits(bound, record, disputed.name, row) if record is not None else ()
        return
    yield from _credits(bound, row, only)
    for event in plan.events:
        if event.entity == row.entity and only in ("", event.name):
            yield _event(bound, row, event.name)


def _claim(bound: Bound, row: Row) -> ValueTrace:
    outcome = bound.world.settled.of(row)
    who = row["rep"].label if row["rep"] is not None else "an unknown rep"
    assert bound.plan.claims is not None
    entity = bound.plan.claims.entity
    record = row[entity]
    what = _called(record) if record is not None else f"an unknown {entity}"
    at = v.readable(row["at"]) or "an unknown day"
    if outcome is None:
        said = f"{who} claimed {what} on {at}, which is still to come."
        return _traced(row, "status", None, said)
    until = "" if outcome.until is None else f", until {v.readable(outcome.until)}"
    said = f"{who} claimed {what} on {at}, and the claim {row['id']} is {outcome.status}{until}: {outcome.reason}."
    decision = Decision("claim", str(row["id"]), str(row["id"]), "", "value", row=row)
    steps = steps_of(decision, [(record, "claim")] if record is not None else [])
    return ValueTrace(decision, said, steps, "status", outcome.status)


def _credits(bound: Bound, row: Row, only: str, dispute: Row | None = None) -> Iterator[ValueTrace]:
    for credit in bound.plan.credits:
        lines = [line for line in credit_lines(credit, bound.world) if line[2] == row["id"]] if credit.entity == row.entity else []
        if not lines or only not in ("", credit.name):
            continue
        shares = _shares(bound, lines)
        reason, status = lines[0][8], lines[0][6]
        what = f"the credit `{credit.name}` of {_called(row)}"
        what = f"dispute {dispute['id']} is about {what}, which is" if dispute is not None else f"{what} is"
        said = f"{what} {shares} ({status}): {reason}."
        yield _traced(row, credit.name, row[credit.name], said[0].upper() + said[1:])


def _who(bound: Bound, key: object) -> str:
    rep = bound.world.rep(key)
    return rep.label if rep is not None else "nobody"


def _event(bound: Bound, row: Row, name: str) -> ValueTrace:
    line = next((x for x in raised(bound) if x[:3] == [row.entity, row["id"], name]), None)
    if line is None:
        said = f"The event `{name}` of {_called(row)} is not raised: its condition does not hold."
    else:
        since = v.readable(v.parse_date(line[3]) or line[3])
        state = "is raised by this run" if line[4] == "raised" else f"is up since {since}"
        said = f"The event `{name}` of {_called(row)} {state}: {line[5]}."
    assert isinstance(bound.plan.steps[row.entity, name], Derive)
    return _traced(row, name, row[name], said)

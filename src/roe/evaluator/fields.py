"""How each field of a record is computed when it is not stored: relations, owners, the steps of the plan, what the ledger remembers."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from math import ceil
from typing import TYPE_CHECKING

from roe.dynamic import Value, Values
from roe.evaluator.able import day_of, staffed
from roe.evaluator.frozen import frozen_value
from roe.evaluator.row import DATA_SINCE, NOT_STORED, OwnersOfRow, Row, nothing
from roe.grammar import values as v
from roe.grammar.functions.history import OWNERS, past_of
from roe.plan.operators import Choose, Derive, Fill, Settle, Walk
from roe.plan.plan import Step
from roe.plan.standard import BuiltIn

if TYPE_CHECKING:
    from roe.evaluator.compiled import Compiled
    from roe.evaluator.world import World


Make = Callable[[Row], Value]


def key_of(value: Value) -> Value:
    """What `=` finds a value equal by, as a key of a dict; None for what has no value, or none that can be looked up."""
    kind = v.kind(value)
    if value is None or kind in ("list", "range", "any") or (kind == "context" and not isinstance(value, Row)):
        return None
    return kind, v.moment(value) if kind == "date and time" else value


def ranks_of(
    ids: list[Value], values: list[Value], groups: list[Value], tiers: Sequence[tuple[str, float]], strict: bool = False
) -> dict[str, Values]:
    """record -> its rank, how many there are in its group, its percentile and its tier; see `World.ranked`."""
    by_group: dict[Value, list[tuple[float, str]]] = {}
    for record, value, group in zip(ids, values, groups, strict=True):
        if v.is_number(value):
            by_group.setdefault(group_key(group), []).append((value, str(record)))
    ranks = {}
    for members in by_group.values():
        n = len(members)
        ordered = sorted(value for value, _ in members)
        ties: dict[float, list[str]] = {}
        for value, record in sorted(members, key=lambda m: m[1]) if strict else ():
            ties.setdefault(value, []).append(record)
        for value, record in members:
            below, above = bisect_left(ordered, value), n - bisect_right(ordered, value)
            if strict:
                above += ties[value].index(record)
            ranks[record] = place(above + 1, n, below, tiers)
    return ranks


def group_key(group: Value) -> str | None:
    """What tells a record's group from others."""
    return str(group["id"]) if isinstance(group, Row) else v.string(group)


def place(rank: int, n: int, below: int, tiers: Sequence[tuple[str, float]]) -> Values:
    """What is said of a rank among so many, of which some are below."""
    reach, tier = 0.0, None
    for name, share in tiers:
        reach += share
        if rank <= ceil(reach * n / 100 - 1e-9):
            tier = name
            break
    return {"rank": rank, "of": n, "percentile": v.number(100 * below / (n - 1)) if n > 1 else 100, "tier": tier}


def _related(entity: str, via: str) -> Make:
    return lambda row: list(row.world.back(entity, via).get(id(row), ()))


def _same_key(entity: str, via: str, key: str) -> Make:
    def related(row: Row) -> list[Row]:
        value = key_of(row[key])
        return [] if value is None else list(row.world.keyed(entity, via).get(value, ()))

    return related


def _of_role(name: str, role: str) -> Make:
    """What the data says of an owner in a role, where it says it of the record alone."""
    if name == "owner_since":
        return lambda row: row["owner_since"] if (data := dict.get(row, DATA_SINCE, NOT_STORED)) is NOT_STORED else data
    if name == "owner_from":
        return lambda row: row[f"owner_since.{role}"]
    if name == "former_owner":
        return lambda row: row["former_owner"] if role == row.world.policy.roles[0] else None
    return nothing


def walk(row: Row, along: str) -> list[Row]:
    """The rows that a reference leads to one after the other, the nearest first; a circle ends where it closes."""
    seen, rows = {id(row)}, []
    while (after := row[along]) is not None and id(after) not in seen:
        seen.add(id(after))
        rows.append(after)
        row = after
    return rows


def makers_of(entity: str, world: World) -> dict[str, Make]:
    """For every field of an entity, how it is computed when it is not stored. What the ledger remembers is noted in `world.in_time`."""
    makers: dict[str, Make] = {}
    for name, f in world.policy.model.entities[entity].items():
        if f.via and f.type.item:
            makers[name] = _related(f.type.item.entity, f.via) if not f.key else _same_key(f.type.item.entity, f.via, f.key)
        elif f.type.name == "owners":
            makers[name] = lambda row: row.world.owners(row)
        elif "." in name and not f.via:
            makers[name] = _of_role(*name.split(".", 1))
        else:
            makers[name] = nothing
    for (of, name), step in world.compiled.steps.items():
        if of == entity:
            makers[name] = maker_of(step, world.compiled)
    if entity == "rep":
        makers["local_day"] = day_of
    remembered = {past_of(name): _past_of(name) for of, name in world.policy.plan.past.tracked if of == entity}
    if "owner" in makers and OWNERS not in makers:
        remembered[OWNERS] = lambda row: row.world.past.owners(row)
    world.in_time |= {(entity, name): make for name, make in remembered.items()}
    return makers | remembered


def maker_of(step: Step | BuiltIn, compiled: Compiled) -> Make:
    """How the field of a step is computed for one record."""
    if isinstance(step, Derive):
        return _derived(step, compiled)
    if isinstance(step, Choose):
        return _chosen(step, compiled)
    if isinstance(step, Walk):
        along = step.along
        return (lambda row: [row, *walk(row, along)][-1]) if step.last else (lambda row: walk(row, along))
    if isinstance(step, Fill):
        source = step.source
        return lambda row: row[source]
    if isinstance(step, Settle):
        return lambda row: row.world.settled.given(row, step.gives)
    return lambda row: row.world.related(step, row)


def _derived(step: Derive, compiled: Compiled) -> Make:
    if step.group is not None:
        group = step.group
        return lambda row: OwnersOfRow(
            {role: staffed(row.world, step, role, row[name], row["owner"].get(role)) for role, name in group.items()}
        )
    assert step.expr is not None
    code = compiled.code(step.expr)
    if step.among is not None:
        return lambda row: row.world.ranked(step).get(str(row["id"]))
    if step.frozen is not None:
        return lambda row: frozen_value(row.world, step, str(row["id"]), lambda: code(row.world.scope(row)))
    return lambda row: code(row.world.scope(row))


def _chosen(step: Choose, compiled: Compiled) -> Make:
    chooser = compiled.choosers[step.entity, step.name]
    decided = {entity for entity, _ in compiled.policy.plan.engagement}

    def choose(row: Row) -> Value:
        choice = chooser(row.world.scope(row))
        if choice.conflict and step.entity in decided:
            names = ", ".join(str(chooser.step.rules[i].name) for i in choice.fired)
            row.world.conflicts.setdefault((step.entity, step.name, names), []).append(str(row["id"]))
        return choice.value

    return choose


def _past_of(name: str) -> Make:
    return lambda row: row.world.past.of_field(row, name)

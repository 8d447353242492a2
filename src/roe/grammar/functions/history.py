"""Fields that every role has of its own, written with the role behind a dot: `account.owner_since.ae`.

`owner_since` is the day on which today's owner began, null where nobody knows; `owner_from` is the same day, else the first on which
anybody saw that owner. `former_owner` had the record before, `owner_by` says what gave it to today's owner (rule, pool, claim, hand,
system, import …), `returned_on` when it was last given back, and `referred_on` since
when a person is asked to decide. `holds` has the rules that gave the record for a time, each with its end. Without a role `owner_since` and `former_owner` are the first role's.

`account.owners` is the whole history, a list of who had the record in which role from when to when; `owner_at` and `value_at` look up a day.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime

from roe.grammar import syntax as s
from roe.grammar import types as t
from roe.grammar.clock import Clock
from roe.grammar.registry import own_function

PER_ROLE = {
    "owner_since": "date",
    "owner_from": "date",
    "former_owner": "rep",
    "owner_by": "string",
    "returned_on": "date",
    "referred_on": "date",
    "holds": "string",
}


OWNERS = "owners"  # of a record: everybody who had it, the earliest first
HOLDING = t.Type(
    "record",
    fields={"who": t.record("rep"), "role": t.STRING, "from": t.DATE, "until": t.DATE, "by": t.STRING, "rule": t.STRING},
)
LOOK_BACK = ("owner_at", "value_at")
NO_LEDGER = "needs the ledger, which a warehouse does not have"


def past_of(name: str) -> str:
    """The field with the values that a tracked field has had: a list of (first day, value), the earliest first."""
    return f"{name}.past"


@own_function(
    "owner_at",
    "record: any, role: string, day: date|datetime",
    "any",
    'owner_at(null, "ae", @"2026-02-01")',
    "null",
    "who owned a record in a role on a day; on the day of a handover the new owner, and null if nobody knows",
    clock=True,
    cost=8,
    no_sql=NO_LEDGER,
)
def owner_at(clock: Clock, record: object, role: str, day: date) -> object:
    holders = record.get(OWNERS) if isinstance(record, dict) else None
    on = _day(clock, day)
    owner = None
    for x in holders or ():
        if x["role"] == role and x["from"] is not None and x["from"] <= on and (x["until"] is None or on < x["until"]):
            owner = x["who"]
    return owner


@own_function(
    "value_at",
    "record: any, field: string, day: date|datetime",
    "any",
    'value_at(null, "stage", @"2026-02-01")',
    "null",
    "the value of a field under `track:` on a day, or null before roe first saw the field; write `value_at(opportunity.stage, day)`",
    clock=True,
    cost=8,
    no_sql=NO_LEDGER,
)
def value_at(clock: Clock, record: object, field: str, day: date) -> object:
    values = record.get(past_of(field)) if isinstance(record, dict) else None
    on = _day(clock, day)
    return next((value for since, value in reversed(values or ()) if since <= on), None)


def _day(clock: Clock, at: date) -> date:
    return clock.here(at).date() if isinstance(at, datetime) else at


def looks_back(tree: s.Node) -> bool:
    """Whether an expression asks for former owners or values, which a run then reads from the ledger."""
    return any(
        (isinstance(n, s.Call) and n.function in LOOK_BACK) or (isinstance(n, s.Path) and n.field == OWNERS) or n == s.Name(OWNERS)
        for n in s.walk(tree)
    )


def by_role(tree: s.Node, roles: Collection[str]) -> s.Node:
    """The tree with each `record.owner_since.ROLE` as one field of the record, and `value_at(record.field, day)` with the field's name."""

    def change(node: s.Node) -> s.Node:
        node = s.mapped(node, change)
        if isinstance(node, s.Path) and node.field in roles and isinstance(node.base, s.Path) and node.base.field in PER_ROLE:
            return s.Path(node.base.base, f"{node.base.field}.{node.field}", node.at)
        if isinstance(node, s.Call) and node.function == "value_at" and len(node.args) == 2 and not any(node.names):
            of, day = node.args
            if isinstance(of, s.Path):
                return s.Call(node.function, (of.base, s.Literal(of.field, f'"{of.field}"', of.at), day), ("", "", ""), node.at)
        return node

    return change(tree)

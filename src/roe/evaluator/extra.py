"""The files that only some policies have: what became of claims, who is credited with what, which territories the CRM is to learn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import NamedTuple

from roe.crm.ids import fold, spelt
from roe.dynamic import Value
from roe.evaluator.bound import Bound
from roe.evaluator.row import Row
from roe.evaluator.world import World
from roe.grammar import values as v
from roe.ledger.reconcile import key_parts
from roe.plan.operators import Choose
from roe.plan.parts import Credit, Holdover
from roe.policy.standard import split

COLUMNS = {
    "claims.csv": ("claim", "account", "rep", "at", "status", "until", "reason", "entity", "record"),
    "credits.csv": ("credit", "entity", "record", "role", "rep", "share", "status", "until", "reason"),
    "events.csv": ("entity", "record", "event", "since", "status", "reason"),
    "territories.csv": ("Operation", "Id", "ObjectId", "Territory2Id", "AssociationCause"),
}
CAUSE = "Territory2Manual"  # how Salesforce calls an association that no rule of its own has made
Owners = Mapping[tuple[str, str], list[tuple[str | None, str | None]]]  # (entity, role) -> (owner, previous owner) of records, by id
Rows = dict[str, list[list[str]]]


def extra_rows(bound: Bound, owners: Owners) -> Rows:
    """The lines of each file, for a run that gave these owners. Cells are texts."""
    plan, world = bound.plan, bound.world
    rows_of: dict[str, list[list[object]]] = {}
    if plan.claims is not None:
        rows_of["claims.csv"] = world.settled.lines()
    if plan.holdovers or plan.credits or any(e.shares for e in plan.exceptions):
        lines = rows_of["credits.csv"] = []
        for h in plan.holdovers:
            lines += held(h, world, owners.get(("account", h.role), []))
        for credit in plan.credits:
            lines += credit_lines(credit, world)
        lines += excepted(bound)
    if plan.events:
        rows_of["events.csv"] = list(raised(bound))
    if plan.crm.territories:
        rows_of["territories.csv"] = list(_territories(plan.crm.territories, world))
    spelling = world.spelling() if rows_of else {}
    texts = {name: [[v.string(cell) or "" for cell in row] for row in rows] for name, rows in rows_of.items()}
    return spelt(texts, spelling) if spelling else texts


def held(h: Holdover, world: World, owners: list[tuple[str | None, str | None]]) -> Iterator[list[Value]]:
    """Two lines for each account whose former owner has a share: the former owner's, and the rest. Where no rule decides the role, its
    owners are those of the data."""
    clock = world.clock
    owners = owners or [(owner, owner) for owner in world.owner_ids("account", h.role)]
    shares = world.values("account", f"{h.name}_credit")
    for record, share, (owner, previous) in zip(world.values("account", "id"), shares, owners, strict=True):
        handed_over = owner != previous and owner and previous  # by this very run
        if not (share or handed_over) or not owner:
            continue
        if handed_over:
            former, share, until = previous, h.shares[0], clock.add(clock.today, h.each)
        else:
            row = world.find("account", record)
            was = row[f"former_owner.{h.role}"] if row is not None else None
            former, until = was and was["id"], row and row[f"{h.name}_stage_until"]
        if share and former and former != owner:
            reason = f"{h.name}: handed over from {former} to {owner}"
            yield [h.name, "account", record, h.role, former, share, "holdover", until, reason]
            yield [h.name, "account", record, h.role, owner, 100 - share, "holdover", until, reason]


def credit_lines(credit: Credit, world: World) -> Iterator[list[object]]:
    """One line for each rep with a share: credit, entity, id, role, rep, percent, status, until, reason."""
    step = world.policy.plan.steps[credit.entity, credit.name]
    assert isinstance(step, Choose)
    sentences = {str(rule.name): rule.because for rule in step.rules}
    disputes = _disputes(credit, world)
    for row in world.all(credit.entity):
        rule = row[credit.name]
        if rule is None:
            continue
        scope = world.scope(row)
        because = sentences[rule]
        split_by_rule = _Split(
            "final", None, world.fill(because, scope) if because else f"by rule `{rule}`",
            [(world.rep(world.compiled.code(expr)(scope)), percent) for expr, percent in credit.shares[rule]],
        )  # fmt: skip
        dispute = disputes.get(str(row["id"]))
        result = split_by_rule if dispute is None else _disputed(credit, dispute, split_by_rule, world)
        for rep, percent in result.shares:
            if percent:
                yield [credit.name, credit.entity, row["id"], "", rep and rep["id"], percent, result.status, result.until, result.reason]


class _Split(NamedTuple):
    """Who shares the credit for a record, in percent, and how settled that is."""

    status: str
    until: date | datetime | None
    reason: str
    shares: list[tuple[Row | None, float]]


def _disputes(credit: Credit, world: World) -> dict[str, Row]:
    """id of a record -> the dispute about its credit; of several the one that was opened last."""
    disputes: dict[str, Row] = {}
    for row in sorted(world.all("dispute"), key=lambda x: (x["opened"] is not None, str(x["opened"]), str(x["id"]))):
        about = world.find(credit.entity, row["record"]) if row["record"] else None
        if row["credit"] == credit.name and about is not None:
            disputes[str(about["id"])] = row
    return disputes


def _disputed(credit: Credit, dispute: Row, by_rule: _Split, world: World) -> _Split:
    """The split that a ruling on a dispute gives, or the rule's own until there is one."""
    who = dispute["by"].label if dispute["by"] is not None else "somebody"
    why = f"({dispute['reason'] or 'no reason given'})"
    ruled = split(dispute["ruling"] or "")
    if ruled:
        reason = f"ruled by {dispute['ruled_by'] or '(nobody named)'}, after {who} disputed it {why}"
        return _Split("ruled", None, reason, [(world.rep(rep), percent) for rep, percent in ruled])
    until = _deadline(credit, dispute, world)
    reason = f"{who} disputes it {why}: {credit.refer or 'somebody'} must decide"
    if until is not None:
        reason += f" by {v.readable(until)}" + (", which is past" if until <= world.clock.today else "")
    if dispute["ruling"]:
        reason += f"; the ruling `{dispute['ruling']}` is not a split"
    return _Split("disputed", until, reason, by_rule.shares)


def _deadline(credit: Credit, dispute: Row, world: World) -> Value:
    if credit.within is None or dispute["opened"] is None:
        return None
    return world.clock.add(dispute["opened"], credit.within)


def excepted(bound: Bound) -> Iterator[list[object]]:
    for (entity, record, role), row in sorted(bound.exceptions.items()):
        for rep, percent in row.shares:
            who = bound.world.rep(rep)
            reason = f"exception approved by {row.approved_by}: {row.reason}"
            yield ["exception", entity, record, role, who and who["id"], percent, "exception", row.until, reason]


def raised(bound: Bound) -> Iterator[list[Value]]:
    because = {(e.entity, e.name): e.because for e in bound.plan.events}
    for key, since, new in bound.raised():
        entity, record, event = key_parts(key)
        said = because[entity, event]
        row = bound.world.find(entity, record) if said else None
        reason = bound.fill(said, row) if said and row is not None else f"`{event}` holds"
        yield [entity, record, event, since, "raised" if new else "up", reason]


def _territories(ids: Mapping[str, str], world: World) -> Iterator[list[Value]]:
    """What makes Salesforce's associations those of the policy: rows to insert, and rows to delete by their id."""
    had: dict[str, dict[str, Row]] = {}
    known = {fold(key) for key in ids.values()}
    for row in world.all("association"):
        if row["account"] is not None and row["territory"] in known:
            had.setdefault(str(row["account"]["id"]), {})[row["territory"]] = row
    for account in world.all("account"):
        territory = account["territory"]
        wanted = ids.get(str(territory["name"])) if isinstance(territory, Mapping) and territory["name"] else None
        have = had.get(str(account["id"]), {})
        for key, row in sorted(have.items()):
            if wanted is None or key != fold(wanted):
                yield ["delete", row["id"], account["id"], key, row["cause"]]
        if wanted is not None and fold(wanted) not in have:
            yield ["insert", "", account["id"], wanted, CAUSE]

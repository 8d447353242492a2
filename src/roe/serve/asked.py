"""Questions that change nothing: why a record has its owner, what a rep has, who waits."""

from __future__ import annotations

from datetime import datetime

from roe.dynamic import Json
from roe.evaluator.pool import Pool
from roe.evaluator.row import Row
from roe.evaluator.turns import Slots
from roe.serve.desk import Desk
from roe.serve.problems import unknown


def explained(desk: Desk, entity: str, id: str, why_not: str = "") -> Json:
    """The answer about a record, and for each role the whole trace of its rules, from the records as they are now."""
    answer = desk.answer(entity, id)
    bound, row = (
        desk.records.at(datetime.fromisoformat(desk.state.owner(f"{entity}|{id}|{answer['role']}")["at"])),
        desk.records.row(entity, id),
    )
    if row is None:
        return {**answer, "traces": {}}
    decisions = {role: bound.ask(row, role) for role in answer["roles"]}
    traces = {role: d.trace.as_json() for role, d in decisions.items()}
    if not why_not:
        return {**answer, "traces": traces}
    other = desk.records.known_rep(why_not)
    if other is None:
        raise unknown(f"there is no rep `{why_not}`", "name a rep by id or by name")
    from roe.analysis.whynot import why_not as reasons

    rep = bound.world.rep(other)
    assert rep is not None
    return {**answer, "traces": traces, "why_not": {role: reasons(bound, d, rep).as_json() for role, d in decisions.items()}}


def rep(desk: Desk, text: str, at: datetime) -> Json:
    """A rep's book, what the rep must do until when, and the rep's place in each pool."""
    id = desk.records.known_rep(text)
    if id is None:
        raise unknown(f"there is no rep `{text}`", "name a rep by id or by name")
    book = [desk.shown(*key.split("|", 2)) for key, owner in desk.state.all("owner").items() if owner["owner"] == id]
    due = sorted(
        ({"due": timer.get("until") or timer["due"], "what": timer["kind"], "record": key.rpartition("|")[0].replace("|", " ")}
         for key, timer in desk.state.all("timer").items() if (owner := desk.state.get("owner", key)) is not None and owner["owner"] == id),
        key=lambda x: x["due"],
    )  # fmt: skip
    bound, row = desk.records.at(at), desk.records.row("rep", id)
    bound.renew_pools()
    assert row is not None
    return {
        "rep": id,
        "name": row.label,
        "takes_records": not (bound.pools.gone(row) or bound.pools.away(row, False)),
        "why_not": bound.pools.gone(row) or bound.pools.away(row, False) or None,
        "book": sorted(book, key=lambda o: (o["entity"], o["id"], o["role"])),
        "due": due,
        "pools": {name: place for name, pool in bound.pools.pools.items() if (place := _place(pool, row)) is not None},
    }


def _place(pool: Pool, rep: Row) -> Json | None:
    """A rep's turns and credit in a pool, why the rep is skipped, and who is next; None if the rep is not a member.

    Who takes part may rest on the record that comes: then nobody can be named.
    """
    credit, count = pool.ledger().credit(rep["id"]), pool.counts[rep["id"]]
    if not pool.fixed:
        return {"turns": count, "credit": round(float(credit), 4), "skipped": None, "next": None} if count or credit else None
    standing = pool.fixed_standing(rep)
    seat = next((seat for seat in standing.seats if seat.rep == rep["id"]), None)
    if seat is None:
        return None
    following = standing.able[Slots(standing, pool.ledger()).next()][0] if standing.able else None
    return {"turns": count, "credit": round(float(credit), 4), "skipped": seat.skipped or None, "next": following}


def held(desk: Desk) -> Json:
    """The records that wait for somebody able, in the order in which they will be tried."""
    waiting = sorted(desk.state.all("held").items(), key=lambda item: item[1]["number"])
    return {"held": [{**desk.shown(*key.split("|", 2)), "waits_since": held["since"]} for key, held in waiting]}

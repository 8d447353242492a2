"""What a run reads back of the ledger, and what it appends: the whole of a run's memory, in one function each.

`remembered` is the memory in the shape that engines read. `entries_between` is what a run has to say: the entries that lead from what it
read to what it left. Keys are `entity|record|role`, `entity|record|field` and so on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from roe.grammar import values as v
from roe.ledger.entries import Claimed, Cycle, Entry, Frozen, Owned, Placed, Raised, Referred, Standing, Turn
from roe.ledger.moment import At
from roe.ledger.store import Store

COUNTED = timedelta(days=14)  # days older than that count for no cap
VERSION = 2  # of the shape that engines read
State = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Decided:
    """What a run decided about a record in a role, as every engine has it. `owner` and `previous` are reps' ids."""

    entity: str
    record: str
    role: str
    owner: str | None
    previous: str | None
    action: str
    rule: str = ""
    pool: str = ""
    until: date | datetime | None = None
    reason: str = ""
    by: str = "rule"


def remembered(store: Store) -> State:
    """The memory as of the ledger's head; empty for a ledger in which no run was written."""
    last = store.last_run()
    if last is None:
        return {}
    zone = last.entry.at.zone
    state: State = {"version": VERSION, "as_of": _literal(last.entry.at), "owners": _owners(store), "assigned": _assigned(store)}
    state |= {"pools": _pools(store), "days": store.days(str(last.entry.at.date - COUNTED))}
    for part, found in (
        ("frozen", _frozen(store)), ("claims", _claims(store)), ("books", _books(store)), ("events", _events(store, zone)),
    ):  # fmt: skip
        if found:
            state[part] = found
    return state


def _literal(at: At) -> str:
    return v.literal(at.local)


def _owners(store: Store) -> State:
    found: State = {}
    for h in store.holdings():
        if h.rep is not None:
            former = {"former": h.former} if h.former is not None else {}
            found[f"{h.entity}|{h.record}|{h.role}"] = {"rep": h.rep, "since": None if h.since_unknown else str(h.start.date)} | former
    return dict(sorted(found.items()))


def _assigned(store: Store) -> State:
    found: State = {}
    for o in store.latest("turn", is_open=True):
        e = o.stored.entry
        if isinstance(e, Turn) and e.rep is not None:
            x = {"rep": e.rep, "pool": e.asked or e.pool, "by": e.pool, "on": str(e.at.date), "at": _literal(e.at), "position": e.number}
            x |= {"company": e.company} if e.company is not None else {}
            found[f"{e.entity}|{e.record}|{e.role}"] = x | ({"tried": list(e.tried)} if e.tried else {})
    return dict(sorted(found.items()))


def _pools(store: Store) -> State:
    entries = [o.stored.entry for o in store.latest("standing")]
    return {
        e.pool: {"turns": e.turns, "counts": dict(e.counts), "credits": dict(e.credits)}
        for e in sorted((e for e in entries if isinstance(e, Standing)), key=lambda e: e.pool)
    }


def _frozen(store: Store) -> State:
    entries = (o.stored.entry for o in store.latest("frozen"))
    return dict(sorted((f"{e.entity}|{e.record}|{e.field}", {"on": e.on, "value": e.value}) for e in entries if isinstance(e, Frozen)))


def _claims(store: Store) -> State:
    entries = (o.stored.entry for o in store.latest("claim"))
    found = {e.claim: e.reason if e.status == "refused" else "" for e in entries if isinstance(e, Claimed) and e.claim}
    return dict(sorted(found.items()))


def _events(store: Store, zone: str) -> State:
    entries = (o.stored.entry for o in store.latest("raised", is_open=True))
    return dict(sorted((f"{e.entity}|{e.record}|{e.event}", str(e.at.date)) for e in entries if isinstance(e, Raised)))


def _books(store: Store) -> State:
    found: State = {}
    for o in store.latest("cycle"):
        e = o.stored.entry
        if isinstance(e, Cycle):
            found[e.book] = {"cycle": e.cycle or None, "given": dict(e.given), "accounts": {}}
    for o in store.latest("placed"):
        e = o.stored.entry
        if isinstance(e, Placed) and e.book in found and (e.rep or e.rest or e.since or e.reason):
            found[e.book]["accounts"][e.record] = {
                "rep": e.rep, "since": e.since or None, "rest": e.rest or None, "reason": e.reason or None, "runner_up": e.runner_up,
            }  # fmt: skip
    for book in found.values():
        book["accounts"] = dict(sorted(book["accounts"].items()))
    return dict(sorted(found.items()))


# --- what a run appends -------------------------------------------------------------------------------------------------


def entries_between(before: State, after: State, at: At, decided: Iterable[Decided] = ()) -> Iterator[Entry]:
    """The entries that lead from one memory to the next, in an order that depends on nothing but them."""
    details = {f"{d.entity}|{d.record}|{d.role}": d for d in decided}
    yield from _owned(before.get("owners", {}), after.get("owners", {}), at, details)
    yield from _turns(before.get("assigned", {}), after.get("assigned", {}), at, before.get("days", {}), after.get("days", {}))
    for pool, x in _changed(before, after, "pools"):
        yield Standing(at=at, pool=pool, turns=x["turns"], counts=x["counts"], credits=x["credits"])
    for key, x in _changed(before, after, "frozen"):
        entity, record, name = _key(key)
        yield Frozen(at=at, entity=entity, record=record, field=name, on=x["on"], value=x["value"])
    for claim, reason in _changed(before, after, "claims"):
        status = "refused" if reason else "granted"
        yield Claimed(at=at, entity="claim", record=claim, role="", claim=claim, status=status, reason=reason)
    ups = before.get("events", {})
    for key, since in _changed(before, after, "events"):
        entity, record, event = _key(key)
        yield Raised(at=At.of(since, at.zone), entity=entity, record=record, event=event)
    for key in sorted(set(ups) - set(after.get("events", {}))):
        entity, record, event = _key(key)
        yield Raised(at=at, entity=entity, record=record, event=event, up=False)
    yield from book_entries(before.get("books", {}), after.get("books", {}), at)


def _changed(before: State, after: State, part: str) -> list[tuple[str, Any]]:
    old = before.get(part, {})
    return [(key, x) for key, x in sorted(after.get(part, {}).items()) if key not in old or old[key] != x]


def _key(key: str) -> tuple[str, str, str]:
    """A record's id may itself have a `|`."""
    entity, _, rest = key.partition("|")
    record, _, name = rest.rpartition("|")
    return entity, record, name


def _owned(before: State, after: State, at: At, details: Mapping[str, Decided]) -> Iterator[Entry]:
    for key in sorted({*before, *after}):
        old, new, d = before.get(key), after.get(key), details.get(key)
        if (old is None) == (new is None) and (new is None or old is None or old.get("rep") == new.get("rep")):
            continue
        entity, record, role = _key(key)
        since = At.of(new["since"], at.zone) if new is not None and new.get("since") and new["since"] != str(at.date) else at
        rep = None if new is None else new["rep"]
        former = (new or {}).get("former") or (None if old is None or old["rep"] == rep else old["rep"])
        first_sight = old is None and d is not None and d.owner == d.previous
        by = "import" if first_sight else d.by if d is not None else "rule"
        yield Owned(
            at=min(since, at), source_at="" if since <= at else str(since), entity=entity, record=record, role=role, rep=rep, former=former, by=by, read_at=at if by == "import" else None,
            **_how(d, at),
        )  # fmt: skip


def _how(d: Decided | None, at: At) -> dict[str, Any]:
    if d is None:
        return {}
    until = None if d.until is None else At.of(d.until, at.zone)
    return {"rule": d.rule, "action": d.action, "pool": d.pool, "until": until, "sentence": d.reason}


def _turns(before: State, after: State, at: At, days: State, days_after: State) -> Iterator[Entry]:
    """New assignments by pools. A rep who got a record as the fallback of a pool is not counted against caps, as `days` tells."""
    given = Counter(
        {rep: n - days.get(rep, {}).get(day, 0) for rep, by_day in days_after.items() for day, n in by_day.items() if day == str(at.date)}
    )
    for key, x in sorted(after.items()):
        if before.get(key) == x:
            continue
        entity, record, role = _key(key)
        counted = given[x["rep"]] > 0
        given[x["rep"]] -= 1
        yield Turn(
            at=At.of(v.parse_temporal(x["at"]), at.zone), entity=entity, record=record, role=role, rep=x["rep"], pool=x["by"],
            asked=x["pool"], number=x["position"], counted=counted, company=x.get("company"), tried=tuple(x.get("tried", ())),
        )  # fmt: skip


def book_entries(before: State, after: State, at: At) -> Iterator[Entry]:
    """What an applied plan changes of the books."""
    for name, book in sorted(after.items()):
        old = before.get(name, {"accounts": {}})
        accounts = old.get("accounts", {})
        if (old.get("cycle"), old.get("given")) != (book["cycle"], book["given"]):
            yield Cycle(at=at, book=name, cycle=book["cycle"] or "", given=book["given"])
        for account in sorted({*accounts, *book["accounts"]}):
            x = book["accounts"].get(account)
            if accounts.get(account) != x:
                x = x or {}
                yield Placed(
                    at=at, entity="account", record=account, book=name, rep=x.get("rep"), since=x.get("since") or "", rest=x.get("rest") or "",
                    reason=x.get("reason") or "", runner_up=x.get("runner_up"),
                )  # fmt: skip


def referral(d: Decided, at: At, to: str) -> Entry:
    """A decision that waits for a person."""
    until = None if d.until is None else At.of(d.until, at.zone)
    return Referred(
        at=at, entity=d.entity, record=d.record, role=d.role, rep=d.owner, until=until, rule=d.rule, to=to, sentence=d.reason,
    )  # fmt: skip

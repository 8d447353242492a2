"""What a run reads back of the ledger: the whole of a run's memory, in the shape that engines read.

Keys are `entity|record|role`, `entity|record|field` and so on. `roe.ledger.between` has what a run appends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from datetime import timedelta
from functools import cache

from roe.dynamic import Json, Saved
from roe.grammar import values as v
from roe.ledger.brief import newest_in_brief
from roe.ledger.decided import How
from roe.ledger.entries import Claimed, Cycle, Deleted, Merged, Placed, Raised, Referred, Returned, Seen, Standing, Turn
from roe.ledger.holders import OwnerState, holder_of, nobodys_since, owner_state
from roe.ledger.holdings import Holding
from roe.ledger.moment import At
from roe.ledger.people import Away, Excepted
from roe.ledger.reconcile import CHANGED_IN_CRM
from roe.ledger.remembered import Remembered, as_remembered
from roe.ledger.store import Store

COUNTED = timedelta(days=14)  # days older than that count for no cap
VERSION = 2  # of the shape that engines read


def remembered(store: Store, owners: Callable[[Store], Mapping[str, OwnerState]] | None = None) -> Remembered:
    """The memory as of the ledger's head; empty for a ledger in which no run was written.

    `owners` reads who holds what; `roe.ledger.snapshot.owners_of` does so for evaluators that take it as columns.
    """
    last = store.last_run()
    if last is None:
        return {}
    state: Json = {
        "version": VERSION,
        "as_of": _literal(last.entry.at),
        "owners": (owners or _owners)(store),
        "assigned": _assigned(store),
    }
    state |= {"pools": _pools(store), "days": store.days(str(last.entry.at.date - COUNTED))}
    sections = {
        "returned": _returned(store), "referred": _referred(store), "frozen": _frozen(store), "claims": _claims(store), "books": _books(store),
        "events": _events(store), "ends": _ends(store), "granted": granted(store), "records": _entered(store), "seen": _seen(store),
        "gone": _gone(store),
    }  # fmt: skip
    return as_remembered(state | {name: values for name, values in sections.items() if values})


@cache
def day_text(instant: int, zone: str) -> str:
    """The day of an instant in a zone; owners share few of them."""
    return str(At(instant, True, zone).date)


def _literal(at: At) -> str:
    return v.literal(at.local)


moment_text = cache(_literal)  # of what many owners share, such as when the CRM was read


class OwnersByKey(dict[str, OwnerState]):
    """`state["owners"]`. `unowned` are the records of which the ledger knows only that nobody has them; for `last_how` see `how_decided`."""

    def __init__(self, owners: Mapping[str, OwnerState], unowned: Set[str], last_how: Mapping[str, How]) -> None:
        super().__init__(owners)
        self.unowned, self.last_how = unowned, last_how


def _owners(store: Store) -> OwnersByKey:
    owners: dict[str, OwnerState] = {}
    nobodys = set()
    last_how: dict[str, How] = {}
    for h in store.holdings():
        key = f"{h.entity}|{h.record}|{h.role}"
        last_how[key] = (h.rule, h.action, "" if h.until is None else str(h.until))
        owner = _owner(h)
        if h.by in CHANGED_IN_CRM or any(owner.get(name) for name in ("rep", "base", "decided", "former")):
            owners[key] = owner
        elif "base_at" in owner:
            owners[key] = nobodys_since(owner["base_at"])
        else:
            nobodys.add(key)
    return OwnersByKey(_sorted(owners), nobodys, last_how)


def _owner(h: Holding) -> OwnerState:
    day = day_text(h.start.instant, h.start.zone)
    base, base_at = (holder_of(h.base[0], h.base[1]), h.base[2]) if h.base is not None else (None, None)
    return owner_state(
        holder_of(h.rep, h.queue), None if h.since_unknown else day, seen=day if h.since_unknown else None, former=h.former, by=h.by,
        base=base, base_at=None if base_at is None else moment_text(base_at), decided=[holder_of(*x) for x in h.decided],
    )  # fmt: skip


def _sorted(values: Saved) -> Json:
    """By key, so that a memory is the same whichever order its entries were written in."""
    return dict(sorted(values.items()))


def _assigned(store: Store) -> Json:
    turns = store.newest(Turn, is_open=True)
    return _sorted({f"{e.entity}|{e.record}|{e.role}": assigned_of(e) for e in turns if e.rep is not None})


def assigned_of(e: Turn) -> Json:
    """An assignment by a pool, as engines remember it: `pool` was asked, and `by` is it or the one that it fell back on."""
    x: Json = {"rep": e.rep, "pool": e.asked or e.pool, "by": e.pool, "on": str(e.at.date), "at": _literal(e.at), "position": e.number}
    x |= {"company": e.company} if e.company is not None else {}
    x |= {e.credit: True} if e.credit else {}
    x |= {"back": e.back} if e.back else {}
    return x | ({"tried": list(e.tried)} if e.tried else {})


def _pools(store: Store) -> Json:
    return _sorted({e.pool: {"turns": e.turns, "counts": dict(e.counts), "credits": dict(e.credits)} for e in store.newest(Standing)})


def _returned(store: Store) -> Json:
    return _sorted({f"{e.entity}|{e.record}|{e.role}": {"on": _literal(e.at), "rep": e.rep} for e in store.newest(Returned)})


def _referred(store: Store) -> Json:
    return _sorted({f"{e.entity}|{e.record}|{e.role}": {"on": str(e.at.date)} for e in store.newest(Referred, is_open=True)})


def _frozen(store: Store) -> Json:
    return _sorted({x.key: {"on": x.words.get("on", ""), "value": x.values.get("value")} for x in newest_in_brief(store, "frozen")})


def _claims(store: Store) -> Json:
    entries = (o.stored.entry for o in store.latest("claim"))
    return _sorted({e.claim: e.reason if e.status == "refused" else "" for e in entries if isinstance(e, Claimed) and e.claim})


def granted(store: Store) -> Json:
    """The exceptions that somebody has granted and not ended, by `entity|record|role`: for whom, until when, from when, by whom, and why."""
    entries = store.newest(Excepted, is_open=True)
    return _sorted({f"{e.entity}|{e.record}|{e.role}": granted_of(e) for e in entries if e.until is not None})


def granted_of(e: Excepted) -> Json:
    """The same of one entry."""
    assert e.until is not None
    return {"rep": e.rep, "start": e.start, "until": str(e.until.date), "by": e.by, "reason": e.reason}


def _entered(store: Store) -> Json:
    """The records that people have entered beside the data, by entity: the leaves of reps who have said themselves that they are away."""
    leaves = [
        {"id": f"away:{e.record}", "rep": e.record, "kind": e.reason or "away"}
        | ({"starts": e.start} if e.start else {})
        | ({"until": str(e.until.date)} if e.until is not None else {})
        for e in store.newest(Away, is_open=True)
    ]
    return {"leave": sorted(leaves, key=lambda x: x["id"])} if leaves else {}


def _events(store: Store) -> Json:
    return _sorted({f"{e.entity}|{e.record}|{e.event}": str(e.at.date) for e in store.newest(Raised, is_open=True)})


def _seen(store: Store) -> Json:
    return _sorted({x.key: x.values.get("value") for x in newest_in_brief(store, "seen")})


def _gone(store: Store) -> Json:
    """The records that the CRM has no longer, by `entity|record`; see `roe.evaluator.memory`."""
    entries = (o.stored.entry for o in store.latest("gone", is_open=True))
    return _sorted(
        {
            f"{e.entity}|{e.record}": {
                "kind": "missing" if isinstance(e, Deleted) and e.missing else e.KIND,
                "into": (e.survivor or "") if isinstance(e, Merged) else "",
                "read_at": "" if e.read_at is None else moment_text(e.read_at),
            }
            for e in entries
            if isinstance(e, (Deleted, Merged))
        }
    )


def past(store: Store) -> Remembered:
    """`past`: who had each record in a role, and which values tracked fields have had, for policies whose rules ask; see `roe.evaluator.past`."""
    owners: Json = {}
    for h in store.every_holding():
        if h.rep is not None:
            stop = None if h.stop is None else str(h.stop.date)
            holding = [h.rep, str(h.start.date), stop, h.by, h.rule]
            owners.setdefault(f"{h.entity}|{h.record}|{h.role}", []).append(holding)
    seen: Json = {}
    for x in store.entries(0, None, ("seen",)):
        e = x.entry
        if isinstance(e, Seen):
            seen.setdefault(f"{e.entity}|{e.record}|{e.field}", []).append([str(e.at.date), e.value])
    return {"past": {"owners": owners, "seen": seen}} if owners or seen else {}


def _ends(store: Store) -> Json:
    """The rules that gave a record for a time, each with the end that it then had, as lines of text (see `roe.grammar.functions.history`)."""
    ends: dict[str, list[str]] = {}
    for x in newest_in_brief(store, "hold"):
        if x.until is not None:
            ends.setdefault(x.key, []).append(f"{x.words.get('rule', '')}\t{x.until}\n")
    return {key: "\n" + "".join(sorted(lines)) for key, lines in sorted(ends.items())}


def _books(store: Store) -> Json:
    books: Json = {e.book: {"cycle": e.cycle or None, "given": dict(e.given), "accounts": {}} for e in store.newest(Cycle)}
    for e in store.newest(Placed):
        if e.book in books and (e.rep or e.rest or e.since or e.reason):
            books[e.book]["accounts"][e.record] = {
                "rep": e.rep, "since": e.since or None, "rest": e.rest or None, "reason": e.reason or None, "runner_up": e.runner_up,
            }  # fmt: skip
    for book in books.values():
        book["accounts"] = _sorted(book["accounts"])
    return _sorted(books)

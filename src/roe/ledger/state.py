"""What a run reads back of the ledger, and what it appends: the whole of a run's memory, in one function each.

`remembered` is the memory in the shape that engines read. `entries_between` is what a run has to say: the entries that lead from what it
read to what it left. Keys are `entity|record|role`, `entity|record|field` and so on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any

from roe.grammar import values as v
from roe.ledger.changed import differing
from roe.ledger.entries import (
    ASKED,
    CONFIRMED_BY_CRM,
    FREE,
    Answered,
    Away,
    Claimed,
    Cycle,
    Deleted,
    Entry,
    Excepted,
    Frozen,
    Loaded,
    Merged,
    Owned,
    Placed,
    Raised,
    Referred,
    Restored,
    Returned,
    Seen,
    Standing,
    Turn,
    TurnBack,
)
from roe.ledger.moment import At
from roe.ledger.reconcile import CASCADE, CHANGED_IN_CRM, NOBODY, key_parts
from roe.ledger.store import Store

COUNTED = timedelta(days=14)  # days older than that count for no cap
VERSION = 2  # of the shape that engines read
State = dict[str, Any]
QUEUE = "queue:"


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

    def end(self, at: At) -> At | None:
        """`until` in the zone of a run's moment."""
        return None if self.until is None else At.of(self.until, at.zone)


def remembered(store: Store, owners: Callable[[Store], Mapping[str, State]] | None = None) -> State:
    """The memory as of the ledger's head; empty for a ledger in which no run was written.

    `owners` reads who holds what; `roe.ledger.columns.owners_of` does so for evaluators that take it as columns.
    """
    last = store.last_run()
    if last is None:
        return {}
    state: State = {
        "version": VERSION,
        "as_of": _literal(last.entry.at),
        "owners": (owners or _owners)(store),
        "assigned": _assigned(store),
    }
    state |= {"pools": _pools(store), "days": store.days(str(last.entry.at.date - COUNTED))}
    for part, found in (
        ("returned", _returned(store)), ("referred", _referred(store)), ("frozen", _frozen(store)), ("claims", _claims(store)), ("books", _books(store)), ("events", _events(store)), ("ends", _ends(store)),
        ("granted", granted(store)), ("records", _entered(store)), ("seen", _seen(store)), ("gone", _gone(store)),
    ):  # fmt: skip
        if found:
            state[part] = found
    return state


def _literal(at: At) -> str:
    return v.literal(at.local)


@cache
def day_text(instant: int, zone: str) -> str:
    """The day of an instant in a zone; owners share few of them."""
    return str(At(instant, True, zone).date)


moment_text = cache(_literal)


class OwnersByKey(dict[str, Any]):
    """`state["owners"]`. `unowned` are the records of which the ledger knows only that nobody has them; for `last_how` see `how_decided`."""

    def __init__(self, owners: Mapping[str, Any], unowned: Set[str], last_how: Mapping[str, How]) -> None:
        super().__init__(owners)
        self.unowned, self.last_how = unowned, last_how


def unowned(owners: Mapping[str, Any]) -> Container[str]:
    """The records that were decided, and that nobody has: an owner whom the data shows of one of them is a change in the CRM."""
    found: Container[str] = getattr(owners, "unowned", frozenset())
    return found


def _owners(store: Store) -> State:
    found: State = {}
    nobodys = set()
    last_how: dict[str, How] = {}
    for h in store.holdings():
        key = f"{h.entity}|{h.record}|{h.role}"
        last_how[key] = (h.rule, h.action, "" if h.until is None else str(h.until))
        base, base_at = (holder_of(h.base[0], h.base[1]), h.base[2]) if h.base is not None else (None, None)
        more = {
            "seen": day_text(h.start.instant, h.start.zone) if h.since_unknown else None, "former": h.former, "by": h.by, "base": base,
            "base_at": None if base_at is None else moment_text(base_at), "decided": [holder_of(*x) for x in h.decided],
        }  # fmt: skip
        holder = holder_of(h.rep, h.queue)
        if holder is not None or base is not None or h.decided or h.former or h.by in CHANGED_IN_CRM:
            since = None if h.since_unknown else day_text(h.start.instant, h.start.zone)
            found[key] = {"rep": holder, "since": since} | {k: x for k, x in more.items() if x}
        else:
            nobodys.add(key)
    return OwnersByKey(dict(sorted(found.items())), nobodys, last_how)


def holder_of(rep: str | None, queue: str) -> str | None:
    """A holder as engines have it: a rep's id, `queue:NAME`, or None for nobody."""
    return f"{QUEUE}{queue}" if queue else rep


def holder_fields(holder: str | None) -> dict[str, Any]:
    """The same as the fields of an entry."""
    return {"queue": holder.removeprefix(QUEUE)} if holder is not None and holder.startswith(QUEUE) else {"rep": holder}


def _assigned(store: Store) -> State:
    turns = (o.stored.entry for o in store.latest("turn", is_open=True))
    found = {f"{e.entity}|{e.record}|{e.role}": assigned_of(e) for e in turns if isinstance(e, Turn) and e.rep is not None}
    return dict(sorted(found.items()))


def assigned_of(e: Turn) -> State:
    """An assignment by a pool, as engines remember it: `pool` was asked, and `by` is it or the one that it fell back on."""
    x = {"rep": e.rep, "pool": e.asked or e.pool, "by": e.pool, "on": str(e.at.date), "at": _literal(e.at), "position": e.number}
    x |= {"company": e.company} if e.company is not None else {}
    x |= {e.credit: True} if e.credit else {}
    x |= {"back": e.back} if e.back else {}
    return x | ({"tried": list(e.tried)} if e.tried else {})


def _pools(store: Store) -> State:
    entries = [o.stored.entry for o in store.latest("standing")]
    return {
        e.pool: {"turns": e.turns, "counts": dict(e.counts), "credits": dict(e.credits)}
        for e in sorted((e for e in entries if isinstance(e, Standing)), key=lambda e: e.pool)
    }


def _returned(store: Store) -> State:
    entries = (o.stored.entry for o in store.latest("returned"))
    found = {f"{e.entity}|{e.record}|{e.role}": {"on": _literal(e.at), "rep": e.rep} for e in entries if isinstance(e, Returned)}
    return dict(sorted(found.items()))


def _referred(store: Store) -> State:
    entries = (o.stored.entry for o in store.latest("referred", is_open=True))
    return dict(sorted((f"{e.entity}|{e.record}|{e.role}", {"on": str(e.at.date)}) for e in entries if isinstance(e, Referred)))


def _frozen(store: Store) -> State:
    entries = (o.stored.entry for o in store.latest("frozen"))
    return dict(sorted((f"{e.entity}|{e.record}|{e.field}", {"on": e.on, "value": e.value}) for e in entries if isinstance(e, Frozen)))


def _claims(store: Store) -> State:
    entries = (o.stored.entry for o in store.latest("claim"))
    found = {e.claim: e.reason if e.status == "refused" else "" for e in entries if isinstance(e, Claimed) and e.claim}
    return dict(sorted(found.items()))


def granted(store: Store) -> State:
    """The exceptions that somebody has granted and not ended, by `entity|record|role`: for whom, until when, from when, by whom, and why."""
    entries = (o.stored.entry for o in store.latest("excepted", is_open=True))
    return dict(
        sorted((f"{e.entity}|{e.record}|{e.role}", granted_of(e)) for e in entries if isinstance(e, Excepted) and e.until is not None)
    )


def granted_of(e: Excepted) -> State:
    """The same of one entry."""
    assert e.until is not None
    return {"rep": e.rep, "start": e.start, "until": str(e.until.date), "by": e.by, "reason": e.reason}


def _entered(store: Store) -> State:
    """The records that people have entered beside the data, by entity: the leaves of reps who have said themselves that they are away."""
    entries = (o.stored.entry for o in store.latest("away", is_open=True))
    leaves = [
        {"id": f"away:{e.record}", "rep": e.record, "kind": e.reason or "away"}
        | ({"starts": e.start} if e.start else {})
        | ({"until": str(e.until.date)} if e.until is not None else {})
        for e in entries
        if isinstance(e, Away)
    ]
    return {"leave": sorted(leaves, key=lambda x: x["id"])} if leaves else {}


def _events(store: Store) -> State:
    entries = (o.stored.entry for o in store.latest("raised", is_open=True))
    return dict(sorted((f"{e.entity}|{e.record}|{e.event}", str(e.at.date)) for e in entries if isinstance(e, Raised)))


def _seen(store: Store) -> State:
    entries = (o.stored.entry for o in store.latest("seen"))
    return dict(sorted((f"{e.entity}|{e.record}|{e.field}", e.value) for e in entries if isinstance(e, Seen)))


def _gone(store: Store) -> State:
    """The records that the CRM has no longer, by `entity|record`; see `roe.evaluator.memory`."""
    entries = (o.stored.entry for o in store.latest("gone", is_open=True))
    found = {
        f"{e.entity}|{e.record}": {"kind": e.KIND, "into": (e.survivor or "") if isinstance(e, Merged) else ""}
        for e in entries
        if isinstance(e, (Deleted, Merged))
    }
    return dict(sorted(found.items()))


def past(store: Store) -> State:
    """`past`: who had each record in a role, and which values tracked fields have had, for policies whose rules ask; see `roe.evaluator.past`."""
    owners: State = {}
    for h in store.every_holding():
        if h.rep is not None:
            stop = None if h.stop is None else str(h.stop.date)
            holding = [h.rep, str(h.start.date), stop, h.by, h.rule]
            owners.setdefault(f"{h.entity}|{h.record}|{h.role}", []).append(holding)
    seen: State = {}
    for x in store.entries(0, None, ("seen",)):
        e = x.entry
        if isinstance(e, Seen):
            seen.setdefault(f"{e.entity}|{e.record}|{e.field}", []).append([str(e.at.date), e.value])
    return {"past": {"owners": owners, "seen": seen}} if owners or seen else {}


def _ends(store: Store) -> State:
    """The rules that gave a record for a time, each with the end that it then had, as lines of text (see `roe.grammar.functions.history`)."""
    found: dict[str, list[str]] = {}
    for o in store.latest("hold"):
        e = o.stored.entry
        if isinstance(e, Owned) and e.until is not None:
            found.setdefault(f"{e.entity}|{e.record}|{e.role}", []).append(f"{e.rule}\t{e.until}\n")
    return {key: "\n" + "".join(sorted(lines)) for key, lines in sorted(found.items())}


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


def entries_between(
    before: State, after: State, at: At, decided: Iterable[Decided] = (), last: Mapping[str, How] | None = None
) -> Iterator[Entry]:
    """The entries that lead from one memory to the next, in an order that depends on nothing but them.

    `decided` has the rules and sentences. With `last` (see `how_decided`) a record whose owner stays gets an entry, too, if its rule, action
    or end is another, and so does one that nobody has.
    """
    details = {f"{d.entity}|{d.record}|{d.role}": d for d in decided}
    yield from _gone_and_back(before.get("gone", {}), after.get("gone", {}), at)
    yield from _owned(before.get("owners", {}), after.get("owners", {}), at, details, last, after)
    yield from _given_back(_without(before, after.get("gone", {})), after, at, details)
    yield from _turns(before.get("assigned", {}), after.get("assigned", {}), at, before.get("days", {}), after.get("days", {}))
    for pool, x in _changed(before, after, "pools"):
        yield Standing(at=at, pool=pool, turns=x["turns"], counts=x["counts"], credits=x["credits"])
    for key, x in _changed(before, after, "frozen"):
        entity, record, name = key_parts(key)
        yield Frozen(at=at, entity=entity, record=record, field=name, on=x["on"], value=x["value"])
    seen = before.get("seen", {})
    for key, value in _changed(before, after, "seen"):
        entity, record, name = key_parts(key)
        yield Seen(at=at, entity=entity, record=record, field=name, value=value, before=seen.get(key))
    for claim, reason in _changed(before, after, "claims"):
        status = "refused" if reason else "granted"
        yield Claimed(at=at, entity="claim", record=claim, role="", claim=claim, status=status, reason=reason)
    ups = before.get("events", {})
    for key, since in _changed(before, after, "events"):
        entity, record, event = key_parts(key)
        yield Raised(at=At.of(since, at.zone), entity=entity, record=record, event=event)
    for key in sorted(set(ups) - set(after.get("events", {}))):
        entity, record, event = key_parts(key)
        yield Raised(at=at, entity=entity, record=record, event=event, up=False)
    yield from book_entries(before.get("books", {}), after.get("books", {}), at)


def _gone_and_back(before: State, after: State, at: At) -> Iterator[Entry]:
    """Records that the CRM has no longer, or has again. That a record is gone ends all that the ledger has open of it."""
    for key, x in sorted(after.items()):
        if key not in before:
            entity, record = key.split("|", 1)
            yield (
                Merged(at=at, entity=entity, record=record, survivor=x["into"])
                if x["kind"] == "merged"
                else Deleted(at=at, entity=entity, record=record)
            )
    for key in sorted(set(before) - set(after)):
        entity, record = key.split("|", 1)
        yield Restored(at=at, entity=entity, record=record)


def _given_back(before: State, after: State, at: At, details: Mapping[str, Decided]) -> Iterator[Entry]:
    """Records that were returned, and those that wait for a person or do so no longer."""
    for key, x in _changed(before, after, "returned"):
        entity, record, role = key_parts(key)
        yield Returned(at=At.of(v.parse_temporal(x["on"]), at.zone), entity=entity, record=record, role=role, rep=x.get("rep"))
    asked = before.get("referred", {})
    for key, x in sorted(after.get("referred", {}).items()):
        if key not in asked:
            entity, record, role = key_parts(key)
            d, on = details.get(key), At.of(x["on"], at.zone)
            how: dict[str, Any] = {} if d is None else {"rule": d.rule, "sentence": d.reason, "until": d.end(at)}
            yield Referred(at=at if x["on"] == str(at.date) else on, entity=entity, record=record, role=role, **how)
    for key in sorted(set(asked) - set(after.get("referred", {}))):
        entity, record, role = key_parts(key)
        yield Answered(at=at, entity=entity, record=record, role=role, answer="a rule decides it")


def _without(before: State, gone: State) -> State:
    """What was known of the records that are not gone since: of the others one entry says all."""
    if not gone:
        return before
    return before | {
        part: {key: x for key, x in before[part].items() if key.rpartition("|")[0] not in gone}
        for part in ("returned", "referred")
        if part in before
    }


def _changed(before: State, after: State, part: str) -> list[tuple[str, Any]]:
    old = before.get(part, {})
    return [(key, x) for key, x in sorted(after.get(part, {}).items()) if key not in old or old[key] != x]


def _owned(
    before: State,
    after: State,
    at: At,
    details: Mapping[str, Decided],
    last: Mapping[str, How] | None,
    known: State,
) -> Iterator[Entry]:
    """`known` has what else the run knows: the records that are `gone`, and of what is new in the CRM `crm_since` and `crm_by`."""
    nobodys, gone = unowned(before), known.get("gone", {})
    crm_since, crm_by = known.get("crm_since", {}), known.get("crm_by", {})
    for key in sorted({*differing(before, after), *details}):
        if gone and key.rpartition("|")[0] in gone:
            continue
        old, new, d = before.get(key), after.get(key), details.get(key)
        if old is None and new is not None and key in nobodys:
            old = NOBODY
        entity, record, role = key_parts(key)
        about: dict[str, Any] = {"entity": entity, "record": record, "role": role}
        entries = (
            list(_changes(old, new or {"rep": None, "since": None}, at, about, crm_since.get(key), crm_by.get(key, "")))
            if old != new
            else []
        )
        owned = entries[-1] if entries and isinstance(entries[-1], Owned) else None
        if owned is not None and d is not None:
            entries[-1] = replace(owned, **_how(d, at))
        elif owned is None and d is not None and new is not None and last is not None and key in last and last[key] != how_of(d, at):
            by = new.get("by", "rule")
            same = {**holder_fields(new["rep"]), "former": _rep_of(new["rep"])}  # it confirms the holding and begins none
            entries.append(Owned(at=at, **about, **same, by="rule" if by in CONFIRMED_BY_CRM else by, **_how(d, at)))
        elif d is not None and last is not None and old is None and new is None and last.get(key) != how_of(d, at):
            entries.append(Owned(at=at, **about, **_how(d, at)))  # nobody has it, and this is why
        yield from entries


def _changes(old: State | None, new: State, at: At, about: Mapping[str, Any], crm_since: str | None, crm_by: str = "") -> Iterator[Entry]:
    """What happened to one record in one role: what the CRM showed, then what was decided. `crm_since` is since when the CRM had its owner,
    where something else was decided at once; `crm_by` is the integration that changed it there, or says that the CRM itself passed it on.
    """
    base, current = new.get("base"), None if old is None else old["rep"]
    read_at = At.of(v.parse_temporal(new["base_at"]), at.zone) if new.get("base_at") else None
    is_left = new["rep"] == base and new.get("by", "") in CONFIRMED_BY_CRM  # nothing was decided since
    from_crm = None
    if old is None and (base is not None or new.get("by") == "import"):
        from_crm = "import"
    elif old is not None and base != old.get("base") and (crm_by == CASCADE or base == old["rep"] or base in old.get("decided", ())):
        yield Loaded(at=at, **about, **holder_fields(base), read_at=read_at)
    elif old is not None and base != old.get("base"):
        from_crm = "system" if crm_by else "hand"
    elif old is not None and old.get("decided") and not new.get("decided") and new["rep"] == old["rep"]:
        yield Loaded(at=at, **about, **holder_fields(base), read_at=read_at)
    if from_crm is not None:
        known = new if is_left else {"since": crm_since} if crm_since else None
        since = {"at": at, "since_unknown": from_crm == "import"} if known is None else _since(known, at)
        former = new.get("former") if is_left else current
        yield Owned(**about, **holder_fields(base), **since, former=_rep_of(former), by=from_crm, system=crm_by, read_at=read_at)
        current = base
    told = ("since", "seen", "by", "former") if "by" in new else ()
    changed = new["rep"] != current or (old is not None and from_crm is None and any(old.get(k) != new.get(k) for k in told))
    if changed or (old is None and from_crm is None):
        yield Owned(**about, **holder_fields(new["rep"]), **_since(new, at), former=_rep_of(new.get("former")), by=new.get("by", "rule"))


def _rep_of(holder: str | None) -> str | None:
    return None if holder is None or holder.startswith(QUEUE) else holder


def _since(new: State, at: At) -> dict[str, Any]:
    """Since when: a fact later than as-of is taken at as-of, and its own time is kept."""
    if not new.get("since"):
        return {
            "at": At.of(new["seen"], at.zone) if new.get("seen") and new["seen"] != str(at.date) else at,
            "since_unknown": bool(new.get("seen")),
        }
    since = at if new["since"] == str(at.date) else At.of(new["since"], at.zone)
    return {"at": min(since, at), "source_at": "" if since <= at else str(since)}


How = tuple[str, str, str]  # rule, action, until


def how_of(d: Decided, at: At) -> How:
    """How a record was decided, to be held against how it was the last time."""
    end = d.end(at)
    return d.rule, d.action, "" if end is None else str(end)


def decided_otherwise(
    last: Mapping[str, How], entity: str, role: str, at: At, rows: Iterable[tuple[str, str | None, str, str | None]]
) -> Iterator[str]:
    """The records of some that were decided by another rule, with another action or end than the last time.

    `rows` are (record, rule, action, end as it is written) of one entity and role.
    """
    for record, rule, action, end in rows:
        how = last.get(f"{entity}|{record}|{role}")
        until = "" if not end else end if len(end) == 10 else str(At.of(v.parse_temporal(end), at.zone))
        if how != (rule or "", action, until):
            yield record


def how_decided(before: State) -> Mapping[str, How]:
    """How each record that the ledger knows was decided the last time, as it was read together with its owner (see `remembered`)."""
    found: Mapping[str, How] = getattr(before.get("owners"), "last_how", {})
    return found


def _how(d: Decided, at: At) -> dict[str, Any]:
    return {"rule": d.rule, "action": d.action, "pool": d.pool, "until": d.end(at), "sentence": d.reason}


def _turns(before: State, after: State, at: At, days: State, days_after: State) -> Iterator[Entry]:
    """New assignments by pools. A rep who got a record as the fallback of a pool is not counted against caps, as `days` tells."""
    given = Counter(
        {rep: n - days.get(rep, {}).get(day, 0) for rep, by_day in days_after.items() for day, n in by_day.items() if day == str(at.date)}
    )
    for key, x in sorted(after.items()):
        if before.get(key) == x:
            continue
        entity, record, role = key_parts(key)
        old, back = before.get(key, {}), x.get("back", "")
        is_noted = bool(back) and _as_taken(x) == _as_taken(old)  # nothing but that it is given back
        if back and not (old.get("back") or old.get(ASKED)) and old.get("rep"):
            yield TurnBack(at=at, entity=entity, record=record, role=role, rep=old["rep"], pool=x["by"], number=x["position"], reason=back)
        counted = not is_noted and given[x["rep"]] > 0
        given[x["rep"]] -= 0 if is_noted else 1
        yield Turn(
            at=At.of(v.parse_temporal(x["at"]), at.zone), entity=entity, record=record, role=role, rep=x["rep"], pool=x["by"],
            asked=x["pool"], number=x["position"], counted=counted, credit=next((c for c in (FREE, ASKED) if x.get(c)), ""), back=back,
            company=x.get("company"), tried=tuple(x.get("tried", ())),
        )  # fmt: skip


def _as_taken(x: State) -> State:
    return {name: value for name, value in x.items() if name not in ("back", ASKED)}


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

"""What a run appends: the entries that lead from the memory that it read (see `roe.ledger.state`) to the one that it left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from roe.dynamic import Saved, Value
from roe.grammar import values as v
from roe.ledger.decided import Decided, How
from roe.ledger.entries import (
    ASKED,
    FREE,
    Answered,
    Claimed,
    Cycle,
    Deleted,
    Frozen,
    Merged,
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
from roe.ledger.entry import Entry
from roe.ledger.moment import At
from roe.ledger.owner_entries import owner_entries
from roe.ledger.reconcile import key_parts

CLEARED = "its owner was cleared in the CRM"


def entries_between(
    before: Saved, after: Saved, at: At, decided: Iterable[Decided] = (), last: Mapping[str, How] | None = None
) -> Iterator[Entry]:
    """The entries that lead from one memory to the next, in an order that depends on nothing but them.

    `decided` has the rules and sentences. With `last` (see `how_decided`) a record whose owner stays gets an entry, too, if its rule, action
    or end is another, and so does one that nobody has.
    """
    return (e for _, e in in_sections(before, after, at, decided, last))


def in_sections(
    before: Saved, after: Saved, at: At, decided: Iterable[Decided] = (), last: Mapping[str, How] | None = None, of_all: bool | None = None
) -> Iterator[tuple[int, Entry]]:
    """The same, each with the number of its section. Either all sections, or those that depend on all records together (`of_all`), or the
    others: their entries depend on one record each, and are in the order of their keys (`entity|record|name`).
    """
    details = {f"{d.entity}|{d.record}|{d.role}": d for d in decided}
    gone = after.get("gone", {})
    waiting = _without(before, gone)
    sections: tuple[tuple[bool, Iterator[Entry]], ...] = (
        (False, _gone(before.get("gone", {}), gone, at)),
        (False, _back(before.get("gone", {}), gone, at)),
        (False, owner_entries(before.get("owners", {}), after.get("owners", {}), at, details, last, after)),
        (False, _returned(waiting, after, at)),
        (False, _referred(waiting, after, at, details)),
        (False, _answered(waiting, after, at)),
        (True, _turns_ended(before.get("assigned", {}), after.get("assigned", {}), gone, at)),
        (True, _turns(before.get("assigned", {}), after.get("assigned", {}), at, before.get("days", {}), after.get("days", {}))),
        (True, _standings(before, after, at)),
        (False, _frozen(before, after, at)),
        (False, _seen(before, after, at)),
        (True, _claims(before, after, at)),
        (False, _up(before, after, at)),
        (False, _down(before, after, at)),
        (True, book_entries(before.get("books", {}), after.get("books", {}), at)),
    )
    for number, (is_of_all, entries) in enumerate(sections):
        if of_all in (None, is_of_all):
            yield from ((number, e) for e in entries)


def _gone(before: Saved, after: Saved, at: At) -> Iterator[Entry]:
    """Records that the CRM has no longer, which ends all that the ledger has open of them."""
    for key, x in sorted(after.items()):
        if before.get(key) != x:
            entity, record = key.split("|", 1)
            read_at = At.of(v.parse_temporal(x["read_at"]), at.zone) if x["read_at"] else None
            yield (
                Merged(at=at, entity=entity, record=record, survivor=x["into"], read_at=read_at)
                if x["kind"] == "merged"
                else Deleted(at=at, entity=entity, record=record, read_at=read_at, missing=x["kind"] == "missing")
            )


def _back(before: Saved, after: Saved, at: At) -> Iterator[Entry]:
    """Records that the CRM has again."""
    for key in sorted(set(before) - set(after)):
        entity, record = key.split("|", 1)
        yield Restored(at=at, entity=entity, record=record)


def _returned(before: Saved, after: Saved, at: At) -> Iterator[Entry]:
    for key, x in _changed(before, after, "returned"):
        entity, record, role = key_parts(key)
        yield Returned(at=At.of(v.parse_temporal(x["on"]), at.zone), entity=entity, record=record, role=role, rep=x.get("rep"))


def _referred(before: Saved, after: Saved, at: At, details: Mapping[str, Decided]) -> Iterator[Entry]:
    """Records that wait for a person."""
    asked = before.get("referred", {})
    for key, x in sorted(after.get("referred", {}).items()):
        if key not in asked:
            entity, record, role = key_parts(key)
            when, d = at if x["on"] == str(at.date) else At.of(x["on"], at.zone), details.get(key)
            rule, sentence, until = ("", "", None) if d is None else (d.rule, d.reason, d.end(at))
            yield Referred(at=when, entity=entity, record=record, role=role, rule=rule, sentence=sentence, until=until)


def _answered(before: Saved, after: Saved, at: At) -> Iterator[Entry]:
    """Records that no longer wait for a person."""
    for key in sorted(set(before.get("referred", {})) - set(after.get("referred", {}))):
        entity, record, role = key_parts(key)
        yield Answered(at=at, entity=entity, record=record, role=role, answer="a rule decides it")


def _standings(before: Saved, after: Saved, at: At) -> Iterator[Entry]:
    for pool, x in _changed(before, after, "pools"):
        yield Standing(at=at, pool=pool, turns=x["turns"], counts=x["counts"], credits=x["credits"])


def _claims(before: Saved, after: Saved, at: At) -> Iterator[Entry]:
    for claim, reason in _changed(before, after, "claims"):
        status = "refused" if reason else "granted"
        yield Claimed(at=at, entity="claim", record=claim, role="", claim=claim, status=status, reason=reason)


def _without(before: Saved, gone: Saved) -> Saved:
    """What was known of the records that are not gone since: of the others one entry says all."""
    if not gone:
        return before
    left = {
        section: {key: x for key, x in before[section].items() if key.rpartition("|")[0] not in gone}
        for section in ("returned", "referred")
        if section in before
    }
    return {**before, **left}


def _changed(before: Saved, after: Saved, section: str) -> list[tuple[str, Value]]:
    """What a section of the memory has by key and did not have before, or had otherwise; by key."""
    old = before.get(section, {})
    return [(key, x) for key, x in sorted(after.get(section, {}).items()) if key not in old or old[key] != x]


def _frozen(before: Saved, after: Saved, at: At) -> Iterator[Entry]:
    """Values that were frozen as a period began."""
    for key, x in _changed(before, after, "frozen"):
        entity, record, name = key_parts(key)
        yield Frozen(at=at, entity=entity, record=record, field=name, on=x["on"], value=x["value"])


def _seen(before: Saved, after: Saved, at: At) -> Iterator[Entry]:
    """New values of fields that are tracked."""
    seen = before.get("seen", {})
    for key, value in _changed(before, after, "seen"):
        entity, record, name = key_parts(key)
        yield Seen(at=at, entity=entity, record=record, field=name, value=value, before=seen.get(key))


def _up(before: Saved, after: Saved, at: At) -> Iterator[Entry]:
    """Events that are up since a day."""
    for key, since in _changed(before, after, "events"):
        entity, record, event = key_parts(key)
        yield Raised(at=At.of(since, at.zone), entity=entity, record=record, event=event)


def _down(before: Saved, after: Saved, at: At) -> Iterator[Entry]:
    """Events that are down again."""
    for key in sorted(set(before.get("events", {})) - set(after.get("events", {}))):
        entity, record, event = key_parts(key)
        yield Raised(at=at, entity=entity, record=record, event=event, up=False)


def _turns_ended(before: Saved, after: Saved, gone: Saved, at: At) -> Iterator[Entry]:
    """The turns of records that the CRM took from their reps, and that no pool has given to anybody since."""
    for key in sorted(set(before) - set(after)):
        entity, record, role = key_parts(key)
        if f"{entity}|{record}" not in gone:
            x = before[key]
            yield TurnBack(at=at, entity=entity, record=record, role=role, rep=x["rep"], pool=x["by"], number=x["position"], reason=CLEARED)


def _turns(before: Saved, after: Saved, at: At, days: Saved, days_after: Saved) -> Iterator[Entry]:
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


def _as_taken(x: Saved) -> Saved:
    return {name: value for name, value in x.items() if name not in ("back", ASKED)}


def book_entries(before: Saved, after: Saved, at: At) -> Iterator[Entry]:
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

"""Entries of the ledger as the API shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

from roe.dynamic import Json, Value
from roe.grammar import values as v
from roe.ledger.entries import Owned
from roe.ledger.entry import Stored
from roe.ledger.moment import At
from roe.ledger.store import Store


def entry(x: Stored) -> Json:
    """One entry: its number, kind, moments, and the values that are set."""
    values = {f.name: _plain(getattr(x.entry, f.name)) for f in fields(x.entry)}
    said = {name: value for name, value in values.items() if value not in (None, "", (), {}, [])}
    if "number" in said:  # a turn's place in its pool
        said["turn"] = said.pop("number")
    return {"number": x.number, "kind": x.kind, "recorded": x.recorded.isoformat(), **said}


def decision(store: Store, number: int) -> Json:
    """A decision with the policy that made it. Raises KeyError if the number is not that of one."""
    stored = store.entry(number)
    if not isinstance(stored.entry, Owned):
        raise KeyError(number)
    run = store.entry(stored.run).entry if stored.run else None
    return {**entry(stored), "decision": number, "policy": getattr(run, "digest", None) or None}


def feed(store: Store, after: int, most: int, kinds: Sequence[str] = ()) -> Json:
    """Entries after a number. `next` is where to go on, also where none of them is of the wanted kinds."""
    head = store.head()
    last = min(head.number, after + most)
    entries = [entry(x) for x in store.entries(after, last, kinds)]
    return {"epoch": head.epoch, "entries": entries, "next": max(after, last), "more": last < head.number, "last": head.number}


def _plain(value: Value) -> Value:
    return str(value) if isinstance(value, At) else v.plain(dict(value) if hasattr(value, "items") else value)

"""The newest entries of a kind with the few things that a run reads of each: there may be one of every record, such as its frozen value."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import NamedTuple

from roe.dynamic import Value
from roe.ledger.encode import whole, words_of
from roe.ledger.moment import At
from roe.ledger.store import Store


class Brief(NamedTuple):
    """`name` is the entry's role, field or event; `words` and `values` are what it shares with others, and what can be erased of it."""

    entity: str
    record: str
    name: str
    until: At | None
    words: Mapping[str, Value]
    values: Mapping[str, Value]

    @property
    def key(self) -> str:
        return f"{self.entity}|{self.record}|{self.name}"


def newest_in_brief(store: Store, kind: str) -> Iterator[Brief]:
    """Of each key of a kind the entry that counts (see `Store.latest`); not those of records that are forgotten."""
    rows = store.db.rows(
        "SELECT s.entity, s.record, e.name, e.until, e.grain, e.word, v.value FROM latest l JOIN subject s ON s.id = l.subject "
        "JOIN entry e ON e.number = l.entry LEFT JOIN value v ON v.number = l.entry WHERE l.kind = ? AND s.record IS NOT NULL",
        (store.words.number(kind),),
    )
    text, values = store.words.text, cache(_values)  # many records have the same value
    for entity, record, name, until, grain, word, value in rows:
        end = None if until is None else _end(until, text(grain))
        yield Brief(text(entity), record, text(name), end, words_of(text(word)), values(None if value is None else bytes(value)))


def _values(kept: bytes | None) -> Mapping[str, Value]:
    found: Mapping[str, Value] = {} if kept is None else json.loads(whole(kept))
    return found


@cache
def _end(instant: int, grain: str) -> At:
    return At(instant, grain[1] == "d", grain[grain.index(" ") + 1 :])

"""Who holds what now: the rows of a ledger, which are numbers, as tables of what these mean."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import TypeVar

import numpy as np

from roe.dynamic import Array, Saved
from roe.ledger.encode import words_of
from roe.ledger.entry import FORGOTTEN
from roe.ledger.holders import QUEUE, holder_of
from roe.ledger.moment import At
from roe.ledger.open_rows import OpenRows
from roe.ledger.reconcile import Holder
from roe.ledger.role_tables import Codes, Decisions, RoleKey, RoleTable, T
from roe.ledger.state import day_text, moment_text
from roe.ledger.store import Store

One = TypeVar("One", bound=Hashable)
Other = TypeVar("Other", bound=Hashable)


def tables_of(store: Store, rows: OpenRows) -> dict[RoleKey, RoleTable]:
    """Rows as the tables of their roles."""
    return dict(_tables(rows, _Texts(store, rows)))


def _tables(rows: OpenRows, texts: _Texts) -> Iterator[tuple[RoleKey, RoleTable]]:
    entities, roles = rows["entity"], rows["role"]
    ends = np.flatnonzero((np.diff(entities) != 0) | (np.diff(roles) != 0)) + 1
    for start, stop in zip([0, *ends.tolist()], [*ends.tolist(), len(rows)], strict=True):
        if start < stop:
            key = (texts.word(int(entities[start])), texts.word(int(roles[start])))
            yield key, _table(*key, rows.between(start, stop), texts)


def _table(entity: str, role: str, rows: OpenRows, texts: _Texts) -> RoleTable:
    holders, (holder, base, former) = texts.holders(rows)
    nothing = np.full(len(rows), -1, np.int32)
    unknown = texts.by_word(rows["word"], lambda word: bool(word.get("since_unknown", False)))
    is_unknown = np.array(unknown.meaning, bool)[unknown.at]
    grains = numbered(rows["grain"])
    day = combined(rows.codes["start"], grains, lambda start, grain: day_text(start, texts.zone(grain)))
    end = combined(rows.codes["until"], combine(rows["last_grain"], rows["grain"]), texts.until)
    return RoleTable(
        entity, role, rows.records, holders, holder, base, former,
        since=Codes(np.where(is_unknown, nothing, day.at), day.meaning),
        seen=Codes(np.where(is_unknown, day.at, nothing), day.meaning),
        by=texts.by_word(rows["word"], lambda word: str(word.get("by", "rule"))),
        base_at=combined(rows.codes["base_at"], grains, lambda at, grain: moment_text(At(at, False, texts.zone(grain)))),
        decided=texts.decided(rows.codes["decided"]),
        how=texts.by_word(rows["last_word"], lambda word: (str(word.get("rule", "")), str(word.get("action", "")))),
        until=end, subjects=rows["subject"],
    )  # fmt: skip


class _Texts:
    """What the ids of a ledger's rows mean."""

    def __init__(self, store: Store, rows: OpenRows) -> None:
        self.word = store.words.text
        ids = {i for name in ("rep", "base_rep", "former") for i in compact(rows[name])[1] if i >= 0}
        ids |= {rep for text in rows.codes["decided"].meaning for rep, _ in json.loads(text) if rep is not None}
        self.reps = _records(store, sorted(ids))
        self.nobody = store.words.number("")

    def zone(self, grain: int) -> str:
        text = self.word(grain)
        return text[text.index(" ") + 1 :]

    def until(self, instant: int, grains: tuple[int, int]) -> str:
        last, began = grains
        return str(At(instant, self.word(last)[1] == "d", self.zone(began)))

    def decided(self, written: Codes[str]) -> Codes[Decisions]:
        """Our decisions since the base, from the JSON in which they are kept."""
        return translated(written, lambda text: tuple(map(self._holder, json.loads(text))))

    def _holder(self, written: tuple[int | None, int]) -> Holder:
        rep, queue = written
        return holder_of(None if rep is None else self.reps[rep], self.word(queue))

    def by_word(self, words: Array, read: Callable[[Saved], T]) -> Codes[T]:
        """What the words of entries say, as `read` takes it from each of them."""
        return translated(numbered(words), lambda word: read(words_of(self.word(word))))

    def holders(self, rows: OpenRows) -> tuple[list[str], tuple[Array, Array, Array]]:
        """The distinct holders, and who holds each record, whom the CRM showed, and who had it before."""
        now = np.where(rows["queue"] != self.nobody, -2 - rows["queue"], rows["rep"])
        shown = rows["base_queue"]
        base = np.where((shown >= 0) & (shown != self.nobody), -2 - shown, np.where(shown < 0, -1, rows["base_rep"]))
        every = np.concatenate([now, base, rows["former"]])
        codes, keys = compact(every)
        names: dict[str, int] = {}
        again = np.array(
            [
                -1 if key == -1 else names.setdefault(self.reps[key] if key >= 0 else f"{QUEUE}{self.word(-2 - key)}", len(names))
                for key in keys
            ],
            np.int32,
        )
        now, base, former = np.split(again[codes] if len(again) else codes.astype(np.int32), 3)
        return list(names), (now, base, former)


def _records(store: Store, ids: Sequence[int]) -> dict[int, str]:
    """What the ids of subjects mean."""
    names: dict[int, str] = {}
    for at in range(0, len(ids), 500):
        some = ids[at : at + 500]
        rows = store.db.rows(f"SELECT id, record FROM subject WHERE id IN ({','.join('?' * len(some))})", some)
        names |= {id_: FORGOTTEN if record is None else record for id_, record in rows}
    return names


def compact(values: Array) -> tuple[Array, list[int]]:
    """(the place of each value among the distinct ones, those), for whole numbers of a narrow range."""
    if not len(values):
        return np.zeros(0, np.int32), []
    low = int(values.min())
    used = np.zeros(int(values.max()) - low + 1, bool)
    used[values - low] = True
    distinct = np.flatnonzero(used)
    again = np.zeros(len(used), np.int32)
    again[distinct] = np.arange(len(distinct), dtype=np.int32)
    return again[values - low], (distinct + low).tolist()


def numbered(values: Array) -> Codes[int]:
    """A column of whole numbers as codes."""
    return Codes(*compact(values))


def combine(one: Array, other: Array) -> Codes[tuple[int, int]]:
    """Two columns of numbers as one of pairs."""
    codes, ones = compact(one)
    other_codes, others = compact(other)
    both, pairs = compact(codes.astype(np.int64) * max(len(others), 1) + other_codes)
    return Codes(both, [(ones[p // len(others)], others[p % len(others)]) for p in pairs])


def combined(column: Codes[One], other: Codes[Other], read: Callable[[One, Other], T]) -> Codes[T]:
    """What each distinct pair of two columns means; nothing where the first has none."""
    width = max(len(other.meaning), 1)
    pairs = np.where(column.at < 0, -1, column.at.astype(np.int64) * width + other.at)
    numbers = Codes(pairs, range(len(column.meaning) * width))
    return translated(numbers, lambda pair: read(column.meaning[pair // width], other.meaning[pair % width]))


def translated(column: Codes[One], read: Callable[[One], T]) -> Codes[T]:
    """What each distinct value of a column means."""
    codes, used = compact(column.at)
    again = np.full(len(used), -1, np.int32)
    meaning: dict[T, int] = {}
    for i, code in enumerate(used):
        if code >= 0:
            again[i] = meaning.setdefault(read(column.meaning[code]), len(meaning))
    return Codes(again[codes] if len(used) else codes, list(meaning))

"""Records that nobody has looked at since the start, and what finds them: a start reads only the records that a decision asks for.

What finds a record (its id, its names, the keys that matches look it up by) was found out before and is kept (`prepared.py`). The record itself is a text until
somebody asks for it, or until there is nothing else to do. From then on it is a row like any other, and nothing here has a part in it.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Callable, ItemsView, Iterator, MutableSequence, Sequence, ValuesView
from typing import TYPE_CHECKING, Generic, TypeVar, overload

from roe.dynamic import Record, Value
from roe.evaluator.look_ups import KeyLookUp, NameLookUp, by_id
from roe.evaluator.prepared import Found, Names, Places, label
from roe.evaluator.row import Row
from roe.grammar import syntax as s

if TYPE_CHECKING:
    from roe.evaluator.live_world import LiveWorld
    from roe.evaluator.relate import Matcher

K = TypeVar("K")
V = TypeVar("V")
P = TypeVar("P")


class Later(dict[K, V], Generic[K, V, P]):
    """A dict of which some values are made when somebody asks for them, from what is in their place until then. None is no value."""

    def __init__(self, keys: Sequence[str], places: Sequence[P], make: Callable[[P], V | None]) -> None:
        """The keys are in order: to look for one takes a little, and to make a dict of them takes too much for a start."""
        super().__init__()
        self._keys, self._places, self._make = keys, places, make
        self._asked = bytearray(len(keys))  # whether somebody has asked for each

    def _waiting(self, key: object) -> int:
        """Where a key stands whose value is not made yet; -1 for any other."""
        if type(key) is not str:
            return -1
        at = bisect_left(self._keys, key)
        return at if at < len(self._keys) and self._keys[at] == key and not self._asked[at] else -1

    def _made(self, key: object) -> None:
        at = self._waiting(key)
        if at >= 0:
            value = self._make(self._places[at])
            if not self._asked[at] and value is not None:  # else it was asked for on the way
                super().__setitem__(key, value)  # type: ignore[index]
            self._asked[at] = True

    def make_all(self) -> None:
        for key in self._keys:
            self._made(key)

    def __missing__(self, key: K) -> V:
        self._made(key)
        if not super().__contains__(key):
            raise KeyError(key)
        return super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        self._made(key)
        return super().__contains__(key)

    def get(self, key: K, default: object = None) -> V:
        self._made(key)
        return super().get(key, default)  # type: ignore[return-value]

    def setdefault(self, key: K, default: V) -> V:
        self._made(key)
        return super().setdefault(key, default)

    def __iter__(self) -> Iterator[K]:
        self.make_all()
        return super().__iter__()

    def items(self) -> ItemsView[K, V]:  # type: ignore[override]
        self.make_all()
        return super().items()

    def values(self) -> ValuesView[V]:  # type: ignore[override]
        self.make_all()
        return super().values()


class Rows(MutableSequence[Row]):
    """The rows of an entity by id, of which some are numbers until somebody asks for them."""

    def __init__(self, rows: list[Row | int], unread: Unread) -> None:
        self._rows, self._unread = rows, unread

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, at: int) -> Row: ...
    @overload
    def __getitem__(self, at: slice) -> list[Row]: ...
    def __getitem__(self, at: int | slice) -> Row | list[Row]:
        if isinstance(at, slice):
            return [self[i] for i in range(*at.indices(len(self._rows)))]
        row = self._rows[at]
        if isinstance(row, int):
            row = self._rows[at] = self._unread.row(row)
        return row

    def __setitem__(self, at: object, row: object) -> None:
        raise TypeError("a row keeps its place; put the record instead")

    def __delitem__(self, at: int | slice) -> None:
        del self._rows[at]

    def insert(self, at: int, row: Row) -> None:
        self._rows.insert(at, row)

    def __iter__(self) -> Iterator[Row]:
        self._unread.read_all()
        return iter(self.all_read())

    def all_read(self) -> list[Row]:
        """The rows once all are read."""
        return [self._unread.row(row) if isinstance(row, int) else row for row in self._rows]


class Unread:
    """The prepared records of an entity in a world. `fresh` are those that were read at the start, since they are not prepared."""

    def __init__(self, world: LiveWorld, entity: str, found: Found) -> None:
        self.world, self.entity, self.prepared = world, entity, found.prepared
        self._texts = found.texts
        self._made: list[Row | None] = [None] * len(found.texts)
        self._next = 0  # all before it are read
        ids, self.fresh = self.prepared.ids, list(world.rows[entity])
        rows: list[Row | int] = [number for number, text in enumerate(found.texts) if text is not None]
        if self.fresh:
            rows = sorted([*rows, *self.fresh], key=lambda row: ids[row] if isinstance(row, int) else by_id(row))
        keys = Later[str, Row, int](ids, range(len(ids)), self._row_if_there)
        keys.update({by_id(row): row for row in self.fresh})
        world.rows[entity], world._keys[entity] = Rows(rows, self), keys
        world._names[entity] = Later(*self.prepared.called, self.rows_at)
        world._name(entity, self.fresh)

    def is_unread(self, record: str) -> bool:
        number = self.number_of(record)
        return number < len(self._texts) and self._texts[number] is not None and self.prepared.ids[number] == record

    # --- reading ----------------------------------------------------------------------------------------------------

    def row(self, number: int) -> Row:
        """A record that is there, by its number."""
        row = self._made[number]
        return self._read([number])[0] if row is None else row

    def rows_at(self, places: int | list[int]) -> list[Row] | None:
        """The records of these numbers, without those that are gone; None if that is none."""
        numbers = places if isinstance(places, list) else [places]
        return [self.row(n) for n in numbers if self._is_there(n)] or None

    def _is_there(self, number: int) -> bool:
        return self._texts[number] is not None or self._made[number] is not None

    def _row_if_there(self, number: int) -> Row | None:
        return self.row(number) if self._is_there(number) else None

    def _read(self, numbers: Sequence[int]) -> list[Row]:
        rows = []
        texts = [text for n in numbers if (text := self._texts[n]) is not None]
        records: list[Record] = json.loads(f"[{','.join(texts)}]")
        typed = {values["id"]: values for values in self.world.read_alone(self.entity, records)}
        for number in numbers:
            id = self.prepared.ids[number]
            if id not in typed:
                raise ValueError(f"something else than roe has changed {self.entity} {id} in the ledger's database")
            row = self._made[number] = Row(self.entity, self.world, typed[id])
            self._texts[number] = None
            rows.append(row)
        self.world.take_up(rows)
        return rows

    def read_some(self, most: int) -> bool:
        """Read so many records that nobody has asked for; whether any were left."""
        numbers: list[int] = []
        while self._next < len(self._texts) and len(numbers) < most:
            if self._texts[self._next] is not None:
                numbers.append(self._next)
            self._next += 1
        if numbers:
            self._read(numbers)
        return bool(numbers)

    def read_all(self) -> None:
        while self.read_some(len(self._texts)):
            pass

    def read_so_far(self) -> list[Row]:
        return [*self.fresh, *(row for row in self._made if row is not None)]

    def number_of(self, record: str) -> int:
        """The number of a record that was prepared."""
        return bisect_left(self.prepared.ids, record)

    # --- look-ups ---------------------------------------------------------------------------------------------------

    def key_look_up(self, kind: str, theirs: s.Node, matcher: Matcher) -> KeyLookUp | None:
        """A look-up as it was prepared; None if it was not, or was asked for before."""
        places = self.prepared.keys.pop(label(matcher, kind, theirs), None)
        return None if places is None else UnreadKeys(kind, theirs, matcher, self, places)

    def name_look_up(self, theirs: s.Node, matcher: Matcher) -> NameLookUp | None:
        names = self.prepared.names.pop(label(matcher, "", theirs), None)
        return None if names is None else UnreadNames(theirs, matcher, self, names)

    def there(self, names: Names) -> Names:
        """Some names without those of records that are gone."""
        texts, numbers = names
        if None not in self._texts:
            return names
        there = [(x, n) for x, n in zip(texts, numbers, strict=True) if self._is_there(n)]
        return [x for x, _ in there], [n for _, n in there]

    def begun(self) -> None:
        """The world follows its records from here on: what was prepared for look-ups that nobody made says nothing any more."""
        self.prepared.keys.clear()
        self.prepared.names.clear()


class UnreadKeys(KeyLookUp):
    """A look-up by keys that were found out before."""

    def __init__(self, kind: str, theirs: s.Node, matcher: Matcher, unread: Unread, places: Places) -> None:
        self._unread, self._places = unread, places
        super().__init__(kind, theirs, matcher)

    def fill(self, world: object) -> None:
        self._groups = Later[Value, list[Row], int | list[int]](*self._places, self._unread.rows_at)
        for row in self._unread.fresh:
            self.add(row)


class UnreadNames(NameLookUp):
    """A look-up by names that were found out before."""

    def __init__(self, theirs: s.Node, matcher: Matcher, unread: Unread, names: Names) -> None:
        self._unread, self._gone = unread, set[int]()
        self._texts, self._numbers = unread.there(names)
        super().__init__(theirs, matcher)

    def fill(self) -> list[str]:
        fresh = [(row, name) for row in self._unread.fresh if (name := self._name(row))]
        texts = [*self._texts, *(name for _, name in fresh)]
        self._rows = [*([None] * len(self._texts)), *(row for row, _ in fresh)]
        self._place = {id(row): place for place, (row, _) in enumerate(fresh, len(self._texts))}
        self._texts = []
        return texts

    def row(self, place: int) -> Row | None:
        row = self._rows[place]
        if row is None and place < len(self._numbers) and place not in self._gone:
            row = self._rows[place] = self._unread.row(self._numbers[place])
        return row

    def _taken(self, row: Row) -> int:
        place = self._place.pop(id(row), None)
        if place is None:
            place = bisect_left(self._numbers, self._unread.number_of(by_id(row)))
            self._gone.add(place)
        return place

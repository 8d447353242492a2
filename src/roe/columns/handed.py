"""What becomes of records that wait for pools."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from roe.dynamic import Array, Value
from roe.evaluator.allocation import PoolTurn

ARRAYS = 10
TYPES = {"index": np.int64, "failed": np.int8}  # of the arrays that are not of 32 bits


@dataclass(slots=True)
class Handed:
    """What became of waiting records, in the order of the queue."""

    rep: Array  # a row of the rep table, or -1
    pool: Array  # the pool that did it, by number
    standing: Array  # by number, -1 where no pool was asked
    index: Array
    why: Array  # by number, -1 where a turn was taken
    before: Array  # which pools were tried before, by number
    leader: Array  # the row of the record of the same company that it follows, or -1
    until: Array  # when it must be worked, by number, or -1
    repeated: Array  # the day of the earlier run that assigned it, by number, or -1
    failed: Array  # how many of the pools that its rule asks, one after the other, found nobody before this one was asked
    whys: dict[str, int] = field(default_factory=dict)
    befores: dict[str, int] = field(default_factory=dict)
    untils: dict[Value, int] = field(default_factory=dict)
    days: dict[str, int] = field(default_factory=dict)
    loads: dict[int, str] = field(default_factory=dict)  # by place, of pools that go by load
    positions: dict[int, int] = field(default_factory=dict)  # by place, of what an earlier run assigned

    @classmethod
    def of(cls, n: int) -> Handed:
        return cls(*(np.full(n, 0 if name == "failed" else -1, TYPES.get(name, np.int32)) for name in cls.__slots__[:ARRAYS]))

    def among(self, n: int, places: Array) -> Handed:
        """The same among more records, of which these are at some places."""
        more = Handed.of(n)
        for name in self.__slots__[:ARRAYS]:
            getattr(more, name)[places] = getattr(self, name)
        more.whys, more.befores, more.untils = self.whys, self.befores, self.untils
        more.loads = {int(places[i]): loads for i, loads in self.loads.items()}
        return more

    def stands(self, place: int, turn: PoolTurn, rep: int, pool: int) -> None:
        """A record has what an earlier run gave, or somebody else instead, without a turn."""
        self.rep[place], self.pool[place], self.index[place] = rep, pool, turn.index
        self.why[place] = number_in(turn.why, self.whys)
        self.before[place] = number_in("[]", self.befores)
        self.positions[place] = turn.saved_position
        if turn.repeated:
            self.repeated[place] = number_in(turn.repeated, self.days)
        if turn.until is not None:
            self.until[place] = number_in(turn.until, self.untils)


def number_in(value: Value, numbers: dict[Value, int]) -> int:
    """The number of a value, a new one if it has none."""
    return numbers.setdefault(value, len(numbers))

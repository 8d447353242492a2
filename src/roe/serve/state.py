"""What the service remembers beside records: owners, assignments, pools, timers, held leads. Plain JSON values by kind and key.

All servers of a service have the same values. A server changes them under the lock of the store, and writes what it changed in
the same transaction as the entries; the others read it before they decide. Until it is written a change can be taken back.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from roe.ledger.reconcile import Held, Holder

KINDS = ("moved", "owner", "assigned", "pool", "days", "timer", "held", "granted", "policy", "pause", "counter", "source")
Change = tuple[str, str, str | None]  # kind, key, JSON or None where it is gone


class State:
    def __init__(self, rows: Iterable[Change] = ()) -> None:
        self._values: dict[str, dict[str, Any]] = {kind: {} for kind in KINDS}
        self._before: dict[tuple[str, str], Any] = {}  # what values were at the last `written`
        self.learn(rows)

    def get(self, kind: str, key: str) -> Any:
        """The value, or None. It must not be changed in place."""
        return self._values[kind].get(key)

    def all(self, kind: str) -> dict[str, Any]:
        return self._values[kind]

    def keys_of(self, kind: str, prefix: str) -> Iterator[str]:
        return (key for key in self._values[kind] if key.startswith(prefix))

    def put(self, kind: str, key: str, value: Any) -> None:
        """Set a value; None removes it."""
        values = self._values[kind]
        before = values.get(key)
        if before == value:
            return
        self._before.setdefault((kind, key), before)
        if value is None:
            values.pop(key, None)
        else:
            values[key] = value

    def count(self, name: str) -> int:
        """The next number of a counter, from 1, without gaps."""
        number: int = (self.get("counter", name) or 0) + 1
        self.put("counter", name, number)
        return number

    def changed(self, kind: str) -> list[str]:
        """The keys of a kind that have changed and are not written yet."""
        return sorted(key for of, key in self._before if of == kind)

    def changes(self) -> list[Change]:
        """What has changed and is not written yet."""
        now = ((kind, key, self._values[kind].get(key)) for kind, key in self._before)
        return [
            (kind, key, None if value is None else json.dumps(value, separators=(",", ":"), ensure_ascii=False)) for kind, key, value in now
        ]

    def written(self) -> None:
        self._before.clear()

    def take_back(self) -> list[tuple[str, str]]:
        """Undo what is not written; returns (kind, key) of what was undone."""
        undone = list(self._before)
        for (kind, key), value in self._before.items():
            if value is None:
                self._values[kind].pop(key, None)
            else:
                self._values[kind][key] = value
        self._before.clear()
        return undone

    def learn(self, rows: Iterable[Change]) -> set[tuple[str, str]]:
        """Take over what another server has written; returns (kind, key) of it."""
        rows = list(rows)
        values = json.loads(f"[{','.join(body or 'null' for _, _, body in rows)}]")  # read as one: that takes a third of the time
        for (kind, key, _), value in zip(rows, values, strict=True):
            if value is None:
                self._values[kind].pop(key, None)
            else:
                self._values[kind][key] = value
        return {(kind, key) for kind, key, _ in rows}


def held_of(owner: Mapping[str, Any]) -> Held:
    """What an owner says for a comparison with the CRM: who has the record, whom the CRM last showed, and whom we decided in between."""
    return Held(owner["owner"], owner["base"], None, tuple(owner.get("decided", ())))


def with_base(owner: Mapping[str, Any], base: Holder, decided: Iterable[Holder]) -> dict[str, Any]:
    """An owner of whom the CRM last showed `base`; what we decided since then and it has not shown yet are `decided`."""
    earlier = list(decided)
    return {**{name: x for name, x in owner.items() if name != "decided"}, "base": base, **({"decided": earlier} if earlier else {})}

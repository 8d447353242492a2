"""What a run has to say in the ledger: the entries that lead from the memory that it read to the one that it left, and what they say of owners."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from roe.crm.ids import fold
from roe.grammar import values as v
from roe.ledger.remembered import Remembered
from roe.node import node
from roe.run import lists
from roe.run.result import Portion

if TYPE_CHECKING:
    from roe.columns.memory import ColumnMemory
    from roe.ledger.decided import Decided, How
    from roe.ledger.encode import Drafted
    from roe.ledger.entries import Owned
    from roe.ledger.entry import Entry
    from roe.ledger.moment import At
    from roe.run.evidence import Key
    from roe.run.memory import Memory


@node(frozen=False)
class Since:
    """Changes of owner between the last run and this one: by rules, by hand in the CRM, and because a time had ended."""

    last: str
    by_rules: int = 0
    by_hand: int = 0
    by_time: int = 0
    undone: int = 0  # of those by hand, the ones that rules have taken back


def entries_of(
    before: Remembered, after: Remembered, portions: Iterable[Portion], at: At, columns: ColumnMemory | None = None
) -> Iterator[Entry]:  # fmt: skip
    """What a run has to say of its decisions: the entries that lead from the memory that it read to the one that it left.

    `columns` is the memory of a run in columns, which knows without asking record by record what has changed.
    """
    return (e for _, e in entries_in_sections(before, after, portions, at, columns))


def entries_in_sections(
    before: Remembered,
    after: Remembered,
    portions: Iterable[Portion],
    at: At,
    columns: ColumnMemory | None = None,
    of_all: bool | None = None,
) -> Iterator[tuple[int, Entry]]:
    """The same by sections (see `roe.ledger.between.in_sections`)."""
    from roe.ledger.between import in_sections
    from roe.ledger.decided import how_decided

    last = how_decided(before)
    decided = _details_of_columns(portions, columns, at) if columns is not None else _details(before, after, portions, last, at)
    return in_sections(before, after, at, decided, last, of_all)


def _details_of_columns(portions: Iterable[Portion], columns: ColumnMemory, at: At) -> Iterator[Decided]:
    """The same as `_details`."""
    from roe.run.columns import decided_anew

    for portion in portions:
        yield from decisions(portion, decided_anew(portion, columns, at))


def _details(before: Remembered, after: Remembered, portions: Iterable[Portion], last: Mapping[str, How], at: At) -> Iterator[Decided]:
    """The decisions on the records that a run leaves otherwise than it found them: another owner, rule, action or end, or a new referral."""
    from roe.ledger.reconcile import key_parts
    from roe.run.memory import changed

    wanted: dict[tuple[str, str], set[str]] = {}
    for key in changed(before, after) | (set(after.get("referred", {})) - set(before.get("referred", {}))):
        entity, record, role = key_parts(key)
        wanted.setdefault((entity, role), set()).add(record)
    for portion in portions:
        yield from decisions(portion, _decided_anew(portion, wanted.get((portion.entity, portion.role), set()), last, at))


def _decided_anew(p: Portion, changed: set[str], last: Mapping[str, How], at: At) -> list[int]:
    """The lines of a portion about records that have another owner, rule, action or end than the last time."""
    from roe.ledger.decided import decided_otherwise

    written, *columns = (lists.listed(p.lines[name]) for name in ("record", "rule", "action", "expires"))
    records = [fold(record) for record in written]
    rows = zip(records, *columns, strict=True)
    wanted = changed | set(decided_otherwise(last, p.entity, p.role, at, rows))
    return [i for i, record in enumerate(records) if record in wanted]


DECIDED = ("entity", "record", "role", "owner", "previous_owner", "action", "rule", "pool", "expires", "reason")


def decisions(p: Portion, numbers: list[int]) -> Iterator[Decided]:
    """The decisions at some lines of a portion, with ids as the ledger has them."""
    if numbers:
        yield from map(decision_of, *(lists.some(p.lines[name], numbers) for name in DECIDED))


def decision_of(
    entity: str, record: str, role: str, owner: str | None, previous: str | None, action: str, rule: str | None, pool: str | None,
    expires: str | None, reason: str | None,
) -> Decided:  # fmt: skip
    """The decision of one line, from its cells of `DECIDED`."""
    from roe.ledger.decided import Decided

    return Decided(
        entity, fold(record), role, owner and fold(owner), previous and fold(previous), action, rule or "", pool or "",
        v.parse_temporal(expires) if expires else None, reason or "", "exception" if action == "exception" else "rule",
    )  # fmt: skip


class Told:
    """What is said of a run's entries, and the keys of its decisions where they are wanted: of entries that are seen once, and not kept."""

    def __init__(self, memory: Memory, at: At, with_keys: bool) -> None:
        from roe.run.guards import Contested

        self.keys: set[Key] = set()
        self.with_keys = with_keys
        self.since = None if memory.last is None else Since(str(memory.last.at))  # None for the first run
        self.contested = Contested(memory)
        self._ended = set() if memory.last is None else memory.ended(at)
        self._by_hand: Key | None = None  # the last record and role that the CRM has changed

    def hear(self, entries: Iterable[Entry | Drafted]) -> Iterator[Entry | Drafted]:
        """The entries again, once they are seen."""
        from roe.ledger.entries import Owned
        from roe.run.evidence import decided_key

        for x in entries:
            e = x[0] if isinstance(x, tuple) else x
            if self.with_keys and (key := decided_key(e)) is not None:
                self.keys.add(key)
            if isinstance(e, Owned):
                self.contested.note(e)
                if self.since is not None and e.rep != e.former:
                    self._count(e, self.since)
            yield x

    def _count(self, e: Owned, counts: Since) -> None:
        from roe.ledger.entries import CONFIRMED_BY_CRM

        key = (e.entity, e.record, e.role)
        counts.undone += e.by not in CONFIRMED_BY_CRM and key == self._by_hand
        if e.by in CONFIRMED_BY_CRM:
            self._by_hand = key
            counts.by_hand += 1
        elif key in self._ended:
            counts.by_time += 1
        else:
            counts.by_rules += 1

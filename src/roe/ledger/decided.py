"""What a run decided about a record in a role, and how the same record was decided the last time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from typing import TypedDict

from roe.dynamic import Saved
from roe.grammar import values as v
from roe.ledger.moment import At
from roe.node import node

How = tuple[str, str, str]  # rule, action, until


class HowFields(TypedDict):
    """The fields of an `owned` entry that say how a record was decided."""

    rule: str
    action: str
    pool: str
    until: At | None
    sentence: str


@node
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

    def how(self, at: At) -> How:
        """How the record was decided, to be held against how it was the last time."""
        end = self.end(at)
        return self.rule, self.action, "" if end is None else str(end)

    def fields(self, at: At) -> HowFields:
        """The same as fields of an entry."""
        return {"rule": self.rule, "action": self.action, "pool": self.pool, "until": self.end(at), "sentence": self.reason}


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


def how_decided(before: Saved) -> Mapping[str, How]:
    """How each record that the ledger knows was decided the last time, as it was read together with its owner (see `roe.ledger.state`)."""
    how: Mapping[str, How] = getattr(before.get("owners"), "last_how", {})
    return how

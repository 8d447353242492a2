"""A decision: who owns a record in a role, and what decided it."""

from __future__ import annotations

from dataclasses import field
from datetime import date, datetime
from typing import TYPE_CHECKING

from roe.evaluator.choose import Choice
from roe.evaluator.row import Row
from roe.node import node
from roe.plan.parts import ExceptionRow

if TYPE_CHECKING:
    from roe.evaluator.allocation import PoolTurn
    from roe.evaluator.trace import Trace


@node(frozen=False)
class Decision:
    """Who owns a record in a role, and what decided it.

    `action` is keep, assign, route, open, hold, return, refer, exception or unassigned. `owner` is a rep's id or None.
    `until` is the first day on which it no longer holds, or None. `trace` is the whole explanation.
    """

    entity: str
    id: str
    name: str
    role: str
    action: str
    owner: str | None = None
    owner_name: str = ""
    previous: str | None = None
    rule: str = ""
    territory: str = ""
    pool: str = ""
    window: str = ""
    until: date | datetime | None = None
    since: date | None = None  # since when today's owner, the `previous` one, has it
    reason: str = ""
    unknown: tuple[str, ...] = ()
    row: Row = field(repr=False, kw_only=True)
    choice: Choice | None = field(default=None, repr=False, kw_only=True)
    turn: PoolTurn | None = field(default=None, repr=False, kw_only=True)
    exception: ExceptionRow | None = field(default=None, repr=False, kw_only=True)

    @property
    def trace(self) -> Trace:
        from roe.evaluator.trace import trace

        with self.row.world.as_before(self.entity):
            return trace(self)

    @property
    def in_crm(self) -> str | None:
        """The owner whom the CRM shows: today's, unless an earlier decision is not loaded yet."""
        memory = self.row.world.memory
        facts = None if memory is None else memory.known.get(f"{self.entity}|{self.id}|{self.role}")
        return self.previous if facts is None else facts.in_crm

    @property
    def moved(self) -> bool:
        """Whether the CRM must learn of the decision."""
        return self.owner != self.in_crm


def label(value: object) -> str:
    """A value as a decision names it: empty for what has no value, or many."""
    return str(value) if value and not isinstance(value, (list, dict)) else ""

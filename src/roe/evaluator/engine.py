"""A compiled policy, and the ways to ask it: about one record, about records that come and go, or about every record of a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import TYPE_CHECKING

from roe.dynamic import Record
from roe.evaluator.bound import Bound
from roe.evaluator.compiled import Compiled
from roe.evaluator.data_owner import stamp_of
from roe.evaluator.decision import Decision
from roe.evaluator.memory import given_by
from roe.evaluator.world import World
from roe.grammar.clock import Clock
from roe.ledger.remembered import Remembered
from roe.node import node
from roe.policy.model import Policy

if TYPE_CHECKING:
    from roe.evaluator.live import Live
    from roe.evaluator.live_world import Shown
    from roe.evaluator.prepared import Found
    from roe.evaluator.ruleset import RuleSet

Tables = Mapping[str, Iterable[Record]]


class Evaluator:
    """A compiled policy. It holds no records and no state; any number of runs may share it."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.compiled = Compiled(policy)

    def clock(self, as_of: date | datetime | str) -> Clock:
        return Clock.at(as_of, self.policy.timezone, self.policy.calendar, self.policy.hours, self.policy.fiscal)

    def decide(self, record: Record, as_of: date | datetime | str, *, entity: str = "account", role: str | None = None) -> Decision:
        """The decision on one record that needs nothing but itself: field names to values, or to their text.

        Raises ValueError if the record is rejected, KeyError if no rules exist for the entity and role.
        """
        bound = self.bind({entity: [record]}, as_of=as_of)
        rejected = bound.world.rejects
        if rejected:
            raise ValueError(f"{rejected[0].field}: {rejected[0].reason}")
        return bound.decide(bound.world.rows[entity][0], role)

    def rules(self, entity: str, role: str, as_of: date | datetime | str) -> RuleSet:
        """One role's rules, to be asked about one typed record after another; see `RuleSet`. KeyError if there are none."""
        from roe.evaluator.ruleset import RuleSet

        return RuleSet(self, entity, role, self.clock(as_of))

    def bind(self, tables: Tables, *, as_of: date | datetime | str, state: Remembered | None = None) -> Bound:
        """The evaluator over records: its `decide` sees other tables, today's pools and claims."""
        return Bound(self, World(self.compiled, tables, self.clock(as_of)), state or {})

    def live(
        self, tables: Tables, *, as_of: date | datetime | str, state: Remembered | None = None, alone: bool = False,
        found: Mapping[str, Found] | None = None, shown: Shown | None = None,
    ) -> Live:  # fmt: skip
        """The evaluator over records that come and go, for one decision after another, each at its own moment.

        With `alone`, each record is read by its own columns and texts, as if it had come by itself; and what is `shown` of its values counts.
        Those that are `found` are read so when somebody asks for them.
        """
        from roe.evaluator.live import Live

        return Live(self, tables, as_of, state, alone, found, shown)

    def run(self, tables: Tables, *, as_of: date | datetime | str, state: Remembered | None = None) -> Run:
        """Decide every record of every entity that the policy has rules for."""
        bound = self.bind(tables, as_of=as_of, state=state)
        return Run(bound, list(bound.decide_all()))


@node(frozen=False)
class Run:
    """All decisions of a run, in the order they were made, and everything else that it found."""

    bound: Bound
    decisions: list[Decision]

    @property
    def world(self) -> World:
        return self.bound.world

    def state(self) -> Remembered:
        """What the next run needs: owners with the day they began, pool pointers, what pools have assigned."""
        return self.bound.saved(
            (d.entity, d.id, d.role, d.owner, d.previous, d.since, d.action, given_by(d.action), stamp_of(d.row)) for d in self.decisions
        )

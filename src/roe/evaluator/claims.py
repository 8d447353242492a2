"""Claims: who holds a record because they asked for it first, and why the others were refused.

All claims of a run are settled together, by what the records say at the start. A claim that an earlier run settled stays as it was settled,
since rules about today say nothing of that day.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from roe.dynamic import Value
from roe.evaluator.claim_facts import ClaimOfRow
from roe.evaluator.claim_order import ClaimOrder
from roe.grammar import values as v
from roe.plan.operators import Claims

if TYPE_CHECKING:
    from collections.abc import Iterable

    from roe.evaluator.row import Row
    from roe.evaluator.world import World

GRANTED, REFUSED, ENDED = "granted", "refused", "ended"


@dataclass(slots=True)
class ClaimOutcome:
    """What became of a claim: granted and live, refused, or ended; until when it holds (or held), and why."""

    claim: Row
    status: str
    reason: str
    until: datetime | None = None

    @property
    def held(self) -> bool:
        """Whether it was ever granted."""
        return self.status != REFUSED


def made_by_now(step: Claims, world: World, rows: Iterable[Row]) -> list[ClaimOfRow]:
    """The claims that are not of a later day than the run's."""
    now = world.clock.now
    return [ClaimOfRow(step, world, row) for row in rows if row["at"] is not None and v.less_equal(row["at"], now)]


class Settled:
    """Every claim of a world, settled."""

    def __init__(self, step: Claims, world: World, before: Mapping[str, str]) -> None:
        self.step, self.world = step, world
        self.outcomes: dict[str, ClaimOutcome] = {}
        self.live: dict[str, ClaimOutcome] = {}  # by record
        self._by_record: dict[str, list[ClaimOutcome]] = {}
        for claim, reason in ClaimOrder(step.entity).reasons(made_by_now(step, world, world.present("claim")), before):
            assert isinstance(claim, ClaimOfRow)
            self._add(claim, reason)

    def _add(self, claim: ClaimOfRow, refused_for: str) -> None:
        if refused_for:
            outcome = ClaimOutcome(claim.row, REFUSED, refused_for)
        else:
            until, why = claim.end
            live = until is None or until > self.world.clock.now
            outcome = ClaimOutcome(claim.row, GRANTED if live else ENDED, why, until)
        self.outcomes[claim.id] = outcome
        if claim.record is not None:
            self._by_record.setdefault(claim.record, []).append(outcome)
            if outcome.status == GRANTED:
                self.live[claim.record] = outcome

    def of(self, row: Row) -> ClaimOutcome | None:
        return self.outcomes.get(str(row["id"]))

    def given(self, row: Row, name: str) -> Value:
        """A part of what became of a claim; with no part, the live claim on a record. None where there is none."""
        if name:
            outcome = self.of(row)
            return None if outcome is None else getattr(outcome, name)
        live = self.live.get(str(row["id"]))
        return None if live is None else live.claim

    def on(self, record: Row) -> list[ClaimOutcome]:
        """The claims on a record, in the order of time."""
        return self._by_record.get(str(record["id"]), [])

    def _own(self) -> list[tuple[str, ClaimOutcome]]:
        """What became of the claims that are not only here to be read, by id."""
        return [(key, outcome) for key, outcome in sorted(self.outcomes.items()) if not self.world.is_guest("claim", key)]

    def lines(self) -> list[list[Value]]:
        """What a run says of every claim: id, account, rep, time, status, until, reason, and the entity and id of what is claimed."""
        of = self.step.entity
        return [
            [o.claim["id"], _id(o.claim["account"]), _id(o.claim["rep"]), o.claim["at"], o.status, o.until, o.reason, of, _id(o.claim[of])]
            for _, o in self._own()
        ]

    def saved(self) -> dict[str, str]:
        """Claims with the reasons they were refused for; empty for those that were granted."""
        return {key: "" if o.held else o.reason for key, o in self._own()}


def _id(row: Row | None) -> str | None:
    return None if row is None else str(row["id"])

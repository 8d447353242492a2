"""What was so on earlier days: everybody who had a record, and the values that tracked fields have had.

`state["past"]` has it from the ledger, for policies that ask: under `owners` by `entity|record|role` a list of (rep, first day, day after
the last or null, what gave it, rule), under `seen` by `entity|record|field` a list of (first day, value). To these come what the data
says today, and what the run itself has decided. Without a ledger only today's owner is known.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from roe.dynamic import Json, Saved, Value
from roe.grammar import values as v
from roe.ledger.remembered import Remembered

if TYPE_CHECKING:
    from roe.evaluator.row import Row
    from roe.evaluator.world import World

Holding = Json  # who, role, from, until, by, rule


class RecordPast:
    """The past of the records of a world."""

    def __init__(self, world: World, state: Remembered) -> None:
        self.world, self.today = world, world.clock.today
        self.tracked = world.policy.plan.past.tracked
        past = state.get("past", {})
        self.holdings: Saved = past.get("owners", {})
        self.values: Saved = past.get("seen", {})
        self.seen: Saved = state.get("seen", {})

    def owners(self, row: Row) -> list[Holding]:
        """Everybody who had a record in any role, the earliest first; whose beginning nobody knows comes first of all."""
        holdings = [x for role in self.world.policy.roles for x in self._of_role(row, role)]
        return sorted(holdings, key=lambda x: x["from"] or date.min)

    def _of_role(self, row: Row, role: str) -> list[Holding]:
        key = f"{row.entity}|{row['id']}|{role}"
        holdings = [
            {"who": self.world.rep(rep), "role": role, "from": _day(start), "until": _day(stop), "by": by or None, "rule": rule or None}
            for rep, start, stop, by, rule in self.holdings.get(key, ())
        ]
        facts = self.world.memory.known.get(key) if self.world.memory is not None else None
        if facts is not None:  # what the data says today may be more than the ledger knows
            _goes_on(holdings, self.world.rep(facts.holder), role, facts.start, facts.by)
        _goes_on(holdings, row["owner"].get(role), role, row[f"owner_from.{role}"], row[f"owner_by.{role}"])
        return holdings

    def of_field(self, row: Row, name: str) -> list[tuple[date, object]]:
        """The values that a tracked field has had, each with its first day, today's included."""
        kind = self.world.policy.model.entities[row.entity][name].type.name
        values = self.values.get(f"{row.entity}|{row['id']}|{name}", ())
        dated = [(day, read(value, kind)) for text, value in values if (day := v.parse_date(text)) is not None]
        now = row[name]
        if not dated or dated[-1][1] != now:
            dated.append((self.today, now))
        return dated

    def saved(self) -> Json:
        """The values of tracked fields as they are to be kept; of records that are not in the data the last ones."""
        values = dict(self.seen)
        for entity, name in self.tracked:
            for record, value in zip(self.world.values(entity, "id"), self.world.values(entity, name), strict=True):
                key = f"{entity}|{record}|{name}"
                if value is not None or key in values:
                    values[key] = v.plain(value)
        return dict(sorted(values.items()))


def _goes_on(holdings: list[Holding], who: object, role: str, start: date | None, by: str | None) -> None:
    """Let the last holding be somebody's: it goes on if it is the same rep's, else it ends as the new one begins."""
    last = holdings[-1] if holdings and holdings[-1]["until"] is None else None
    if last is not None and last["who"] is who:
        return
    if last is not None:
        last["until"] = start
    if who is not None:
        holdings.append({"who": who, "role": role, "from": start, "until": None, "by": by or None, "rule": None})


def _day(text: str | None) -> date | None:
    return None if text is None else v.parse_date(text)


def read(value: object, kind: str) -> Value:
    """A value as the ledger keeps it, as the language has it."""
    return v.parse_temporal(value) if kind in ("date", "date and time") and isinstance(value, str) else value

"""What was so on earlier days: everybody who had a record, and the values that tracked fields have had.

`state["past"]` has it from the ledger, for policies that ask: under `owners` by `entity|record|role` a list of (rep, first day, day after
the last or null, what gave it, rule), under `seen` by `entity|record|field` a list of (first day, value). To these come what the data
says today, and what the run itself has decided. Without a ledger only today's owner is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

from roe.grammar import values as v

if TYPE_CHECKING:
    from roe.evaluator.world import Row, World

Holding = dict[str, Any]  # who, role, from, until, by, rule


class Past:
    """The past of the records of a world."""

    def __init__(self, world: World, state: Mapping[str, Any]) -> None:
        self.world, self.today = world, world.clock.today
        self.tracked = world.policy.plan.past.tracked
        past = state.get("past", {})
        self.holdings: Mapping[str, Any] = past.get("owners", {})
        self.values: Mapping[str, Any] = past.get("seen", {})
        self.seen: Mapping[str, Any] = state.get("seen", {})

    def owners(self, row: Row) -> list[Holding]:
        """Everybody who had a record in any role, the earliest first; whose beginning nobody knows comes first of all."""
        found = [x for role in self.world.policy.roles for x in self._of_role(row, role)]
        return sorted(found, key=lambda x: x["from"] or date.min)

    def _of_role(self, row: Row, role: str) -> list[Holding]:
        key = f"{row.entity}|{row['id']}|{role}"
        found = [
            {"who": self.world.rep(rep), "role": role, "from": _day(start), "until": _day(stop), "by": by or None, "rule": rule or None}
            for rep, start, stop, by, rule in self.holdings.get(key, ())
        ]
        facts = self.world.memory.known.get(key) if self.world.memory is not None else None
        if facts is not None:  # what the data says today may be more than the ledger knows
            _goes_on(found, self.world.rep(facts.holder), role, facts.start, facts.by)
        _goes_on(found, row["owner"].get(role), role, row[f"owner_from.{role}"], row[f"owner_by.{role}"])
        return found

    def of_field(self, row: Row, name: str) -> list[tuple[date, Any]]:
        """The values that a tracked field has had, each with its first day, today's included."""
        kind = self.world.policy.model.entities[row.entity][name].type.name
        values = self.values.get(f"{row.entity}|{row['id']}|{name}", ())
        found = [(day, read(value, kind)) for text, value in values if (day := v.parse_date(text)) is not None]
        now = row[name]
        if not found or found[-1][1] != now:
            found.append((self.today, now))
        return found

    def saved(self) -> dict[str, Any]:
        """The values of tracked fields as they are to be kept; of records that are not in the data the last ones."""
        found = dict(self.seen)
        for entity, name in self.tracked:
            for record, value in zip(self.world.values(entity, "id"), self.world.values(entity, name), strict=True):
                key = f"{entity}|{record}|{name}"
                if value is not None or key in found:
                    found[key] = v.plain(value)
        return dict(sorted(found.items()))


def _goes_on(found: list[Holding], who: Any, role: str, start: date | None, by: str | None) -> None:
    """Let the last holding be somebody's: it goes on if it is the same rep's, else it ends as the new one begins."""
    last = found[-1] if found and found[-1]["until"] is None else None
    if last is not None and last["who"] is who:
        return
    if last is not None:
        last["until"] = start
    if who is not None:
        found.append({"who": who, "role": role, "from": start, "until": None, "by": by or None, "rule": None})


def _day(text: str | None) -> date | None:
    return None if text is None else v.parse_date(text)


def read(value: Any, kind: str) -> Any:
    """A value as the ledger keeps it, as the language has it."""
    return v.parse_temporal(value) if kind in ("date", "date and time") and isinstance(value, str) else value

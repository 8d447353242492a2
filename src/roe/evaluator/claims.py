"""Claims: who holds a record because they asked for it first, and why the others were refused.

All claims of a run are settled together, in the order of their time stamps and, at one moment, of their ids: what came
before decides what a claim finds. A claim that an earlier run settled stays as it was settled, since rules about today
say nothing of that day.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

from roe.dynamic import Value
from roe.evaluator.able import current_leave, reason_left
from roe.grammar import values as v
from roe.grammar.scopes import IMPLICIT
from roe.plan.operators import Claims

if TYPE_CHECKING:
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


class Settled:
    """Every claim of a world, settled."""

    def __init__(self, step: Claims, world: World, before: Mapping[str, str]) -> None:
        self.step, self.world = step, world
        self.outcomes: dict[str, ClaimOutcome] = {}
        self.live: dict[str, ClaimOutcome] = {}  # by record
        self._by_record: dict[str, list[ClaimOutcome]] = {}
        self._by_rep: dict[str, list[ClaimOutcome]] = {}
        now = world.clock.now
        rows = [row for row in world.all("claim") if row["at"] is not None and v.less_equal(row["at"], now)]
        for row in sorted(rows, key=lambda row: (v.moment(row["at"]), str(row["id"]))):
            self._settle(row, before.get(str(row["id"])))

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

    def _settle(self, row: Row, refused_for: str | None) -> None:
        record, rep = row[self.step.entity], row["rep"]
        reason = self._refusal(row, record, rep) if refused_for is None else str(refused_for)
        if reason or record is None or rep is None:
            outcome = ClaimOutcome(row, REFUSED, reason or f"its {self.step.entity} or rep is not in the data")
        else:
            until, why = self._end(row, record, rep)
            left = reason_left(rep)
            gone = self._gone(row, rep) if left else None
            if gone is not None and (until is None or until > gone):
                until, why = gone, f"{rep.label} is {left}" if left == "not active" else f"{rep.label} {left}"
            live = until is None or until > self.world.clock.now
            outcome = ClaimOutcome(row, GRANTED if live else ENDED, why, until)
        self.outcomes[str(row["id"])] = outcome
        if record is not None:
            self._by_record.setdefault(str(record["id"]), []).append(outcome)
            if outcome.status == GRANTED:
                self.live[str(record["id"])] = outcome
        if rep is not None and outcome.held:
            self._by_rep.setdefault(str(rep["id"]), []).append(outcome)

    def _refusal(self, row: Row, record: Row | None, rep: Row | None) -> str:
        """Why a claim cannot be granted, in the order in which it is asked; empty if it can."""
        if record is None or rep is None:
            return f"there is no {self.step.entity if record is None else 'rep'} of this name"
        unable = self._unable(rep, row["at"])
        if unable:
            return f"{rep.label} {unable}"
        if self.world.is_untouched(self.step.entity, record["id"]):
            return "the policy keeps it where it is (`do_not_route:`)"
        return (
            self._held_by_another(record, row["at"])
            or self._held_before(record, rep, row["at"])
            or self._returned(record, rep, row["at"])
            or self._full(row, rep)
            or self._blocked(row, record, rep)
        )

    def _held_by_another(self, record: Row, at: datetime) -> str:
        for other in self.on(record):
            if other.held and (other.until is None or at < other.until):
                who = other.claim["rep"].label
                return f"{who} holds it since {_day(other.claim['at'])}, until {_day(other.until)}"
        return ""

    def _held_before(self, record: Row, rep: Row, at: datetime) -> str:
        """Why a record must wait after a claim that has ended: for the same rep, or for everybody."""
        for other in self.on(record):
            if not other.held:
                continue
            again = None if self.step.wait is None else self.world.clock.add(other.until, self.step.wait)
            if other.claim["rep"] is rep and again is not None and at < again:
                return f"{rep.label} held it until {_day(other.until)} and may claim it again from {_day(again)}"
            rested = None if self.step.rest is None else self.world.clock.add(other.until, self.step.rest)
            if rested is not None and at < rested:
                return f"it rests until {_day(rested)}"
        return ""

    def _blocked(self, row: Row, record: Row, rep: Row) -> str:
        """The first rule of the policy against the claim."""
        scope = self.world.scope(record)
        scope["claim"], scope["rep"] = row, rep
        for rule in self.step.blocked_by:
            if all(self.world.compiled.code(c)(scope) is True for c in rule.conditions):
                return self.world.fill(rule.because, scope) if rule.because else f"`{rule.name}` holds"
        return ""

    def _returned(self, record: Row, rep: Row, at: datetime) -> str:
        """Why a record that a rule returned cannot be claimed yet."""
        given = self.world.returned.get(f"{self.step.entity}|{record['id']}|{self.step.role}")
        on = None if given is None else _moment(v.parse_temporal(given["on"]), self.world.clock.now)
        if given is None or on is None or at < on:
            return ""
        again = None if self.step.wait is None else self.world.clock.add(on, self.step.wait)
        if given["rep"] == rep["id"] and again is not None and at < again:
            return f"{rep.label} gave it back on {_day(on)} and may claim it again from {_day(again)}"
        rested = None if self.step.rest is None else self.world.clock.add(on, self.step.rest)
        return f"it rests until {_day(rested)}" if rested is not None and at < rested else ""

    def _unable(self, rep: Row, at: datetime) -> str:
        """Why a rep could not receive a record at the time of the claim."""
        if rep["active"] is False and not self.world.is_stranger(rep):
            return "is not active"
        day = self.world.clock.here(at).date() if rep["timezone"] is None else self.world.clock.of(rep["timezone"], None).here(at).date()
        if rep["starts"] is not None and day < rep["starts"]:
            return f"starts on {_day(rep['starts'])}"
        if rep["ends"] is not None and rep["ends"] <= day:
            return f"left on {_day(rep['ends'])}"
        away = current_leave(rep, day)
        return "" if away is None else "was on leave that day"

    def _gone(self, row: Row, rep: Row) -> datetime:
        """When a rep who has left no longer held a claim: the day of leaving, else now."""
        now = self.world.clock.now
        ends = _moment(rep["ends"], now)
        return max(self.world.clock.here(row["at"]), now if ends is None else min(ends, now))

    def _full(self, row: Row, rep: Row) -> str:
        at, here = row["at"], self.world.clock.here
        mine = self._by_rep.get(str(rep["id"]), [])
        used = {
            "open": sum(o.until is None or at < o.until for o in mine),
            "per_day": sum(here(o.claim["at"]).date() == here(at).date() for o in mine),
        }
        scope = self.world.scope(row)
        scope["rep"] = rep
        for cap, expr in self.step.caps.items():
            limit = self.world.compiled.code(expr)(scope)
            if v.is_number(limit) and used[cap] >= limit:
                what = "open claims" if cap == "open" else "claims that day"
                return f"{rep.label} has {used[cap]} {what}, and the cap is {v.literal(limit)}"
        return ""

    def _end(self, row: Row, record: Row, rep: Row) -> tuple[datetime | None, str]:
        """When a granted claim ends, by what is known today, and why."""
        step, clock = self.step, self.world.clock
        start = clock.here(row["at"])
        first = step.work_within if step.work_within is not None else step.lasts
        until = clock.add(start, first) if first is not None else None
        worked = None
        for when in self._worked(record, rep, start):
            if until is not None and when >= until:
                break
            worked, until = when, clock.add(when, step.lasts) if step.lasts is not None else None
        released = _moment(row["released"], start)
        if released is not None and (until is None or released < until):
            return max(released, start), f"released by {rep.label}"
        if worked is not None:
            return until, f"worked on {_day(worked)}"
        if step.work_within is None:
            return until, "claimed"
        return until, "to be worked by then" if until is None or until > clock.now else "not worked in time"

    def _worked(self, record: Row, rep: Row, start: datetime) -> list[datetime]:
        """When the rep worked the record after the claim, by the activities that count."""
        counts, now = self.step.worked_by, self.world.clock.now
        moments = []
        for activity in record["activities"] or ():
            when = activity["at"] if activity["at"] is not None else _moment(activity["date"], start)
            if activity["rep"] is not rep or when is None or not start.replace(hour=0, minute=0, second=0, microsecond=0) <= when <= now:
                continue
            scope = self.world.scope(activity)
            scope |= {"account": activity["account"], record.entity: record}
            scope[IMPLICIT] = activity
            if counts is None or self.world.compiled.code(counts)(scope) is True:
                moments.append(max(when, start))
        return sorted(moments)

    def lines(self) -> list[list[Value]]:
        """What a run says of every claim: id, account, rep, time, status, until, reason, and the entity and id of what is claimed."""
        outcomes = sorted(self.outcomes.values(), key=lambda o: str(o.claim["id"]))
        of = self.step.entity
        return [
            [o.claim["id"], _id(o.claim["account"]), _id(o.claim["rep"]), o.claim["at"], o.status, o.until, o.reason, of, _id(o.claim[of])]
            for o in outcomes
        ]

    def saved(self) -> dict[str, str]:
        """Claims with the reasons they were refused for; empty for those that were granted."""
        return {key: "" if o.held else o.reason for key, o in sorted(self.outcomes.items())}


def _moment(day: object, like: datetime) -> datetime | None:
    """A date as the start of that day by the same clock."""
    if day is None or isinstance(day, datetime):
        return day
    return datetime(day.year, day.month, day.day, tzinfo=like.tzinfo) if isinstance(day, date) else None


def _day(at: object) -> str:
    return "further notice" if at is None else v.readable(at)


def _id(row: Row | None) -> str | None:
    return None if row is None else str(row["id"])

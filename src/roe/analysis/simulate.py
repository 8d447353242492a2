"""Cycles of dynamic books played over time, so that policies can be compared before they touch anybody.

Each week reps work their books, accounts reply, meetings and opportunities follow, and the next plan is made and applied. Activity
is generated (the luck of an account in a week is the same under every policy), or is the data's own.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from roe.dynamic import Value, Values
from roe.evaluator.assigned import empty_state
from roe.evaluator.book_plan import applied
from roe.evaluator.books import plan_books
from roe.evaluator.bound import Bound
from roe.evaluator.engine import Evaluator
from roe.ledger.remembered import Remembered

MEMORY = timedelta(days=400)  # activities that are older are forgotten
OPEN_FOR = timedelta(days=60)  # how long a generated opportunity is open
PEOPLE = 3  # contacts that an account has
LATELY = timedelta(days=30)  # of coverage: an account counts that was touched within


@dataclass(frozen=True, slots=True)
class Pace:
    """How reps work and accounts answer: touches a rep makes in a week, and rates per touch, reply and meeting."""

    touches: int = 40
    reply: float = 0.04
    meeting: float = 0.4
    opportunity: float = 0.35


@dataclass(slots=True)
class SimulatedCycle:
    """One cycle of one book. Shares are from 0 to 1; `unfair` is the variation of value per place between reps (0 is even)."""

    book: str
    week: int
    day: date
    held: int
    use: float
    coverage: float
    churn: float
    unfair: float
    reached: float
    returned: int
    meetings: int
    opportunities: int

    def row(self) -> list[Value]:
        shares = (self.use, self.coverage, self.churn, self.unfair, self.reached)
        return [self.book, self.week, self.day, self.held, *(round(x, 4) for x in shares), self.returned, self.meetings, self.opportunities]


HEADER = (
    "book",
    "week",
    "day",
    "held",
    "capacity_use",
    "coverage",
    "churn",
    "unfairness",
    "reached",
    "returned",
    "meetings",
    "opportunities",
)


def simulate(
    evaluator: Evaluator,
    tables: Mapping[str, Value],
    as_of: str,
    weeks: int,
    *,
    seed: int = 1,
    pace: Pace | None = None,
    history: bool = False,
) -> Iterator[SimulatedCycle]:
    """Play cycles, a week apart, over records; `history` leaves activities as the data has them."""
    clock = evaluator.clock(as_of)
    played = _Played({e: [dict(row) for row in rows] for e, rows in tables.items()}, seed, pace or Pace())
    state: Remembered = {}
    for week in range(weeks):
        day = clock.today + timedelta(days=7 * week)
        bound = evaluator.bind(played.tables(day), as_of=str(day), state=state)
        plan = plan_books(bound)
        state = applied(state or empty_state(str(day)), plan)
        for name, planned in plan["books"].items():
            held = {a: x["rep"] for a, x in planned["accounts"].items() if x["rep"]}
            yield played.measure(bound, name, week, day, planned, held)
            if not history:
                played.work(bound, name, week, day, held)


class _Played:
    """The records as they grow. Luck depends on the seed, the account and the week alone."""

    def __init__(self, tables: dict[str, list[Values]], seed: int, pace: Pace) -> None:
        self.given, self.seed, self.pace = tables, seed, pace
        self.new: dict[str, list[Values]] = {"activity": [], "opportunity": [], "contact": []}
        self.touched: dict[str, date] = {}
        self.met: set[str] = set()
        self.market: dict[str, set[str]] = {}  # accounts that could be in the book at some time
        self.ever: dict[str, set[str]] = {}
        self.meetings = self.opportunities = 0

    def tables(self, day: date) -> dict[str, list[Values]]:
        """The records as they stand on a day: generated opportunities close, old touches are forgotten."""
        self.new["activity"] = [a for a in self.new["activity"] if a["day"] > day - MEMORY]
        for deal in self.new["opportunity"]:
            deal["is_closed"] = "true" if deal["day"] + OPEN_FOR <= day else "false"
        return {**self.given, **{e: [*self.given.get(e, ()), *self._records(rows)] for e, rows in self.new.items()}}

    def _records(self, rows: list[Values]) -> Iterator[Values]:
        for row in rows:
            yield {k: x for k, x in row.items() if k != "day"}

    def _luck(self, account: str, week: int) -> random.Random:
        return random.Random(f"{self.seed}|{account}|{week}")

    def work(self, bound: Bound, book: str, week: int, day: date, held: Mapping[str, str]) -> None:
        """A week's work: every rep goes through the book, the account that was touched longest ago first."""
        by_rep: dict[str, list[str]] = {}
        for account, rep in held.items():
            by_rep.setdefault(rep, []).append(account)
        for rep, accounts in sorted(by_rep.items()):
            row = bound.world.rep(rep)
            if row is None or row["leave"] is not None:
                continue
            accounts.sort(key=lambda a: (str(self.touched.get(a, "")), a))
            each = max(1, min(3, self.pace.touches // max(len(accounts), 1)))
            for account in accounts[: -(-self.pace.touches // each)]:
                self._touch(account, rep, book, week, day, each)

    def _touch(self, account: str, rep: str, book: str, week: int, day: date, times: int) -> None:
        luck = self._luck(account, week)
        if account not in self.met:
            self.met.add(account)
            self.new["contact"] += [{"id": f"{account}-{i}", "account": account} for i in range(PEOPLE)]
        replied = False
        for n in range(times):
            on = day + timedelta(days=1 + luck.randrange(5))
            replied = luck.random() < self.pace.reply
            self._add("activity", on, account, rep, week, n, type=luck.choice(("call", "email")), contact=f"{account}-{luck.randrange(PEOPLE)}",
                      date=str(on), outcome="reply" if replied else "", status="reply" if replied else "Completed")  # fmt: skip
        self.touched[account] = day
        self.ever.setdefault(book, set()).add(account)
        if replied and luck.random() < self.pace.meeting:
            on = day + timedelta(days=8 + luck.randrange(5))
            self.meetings += 1
            self._add(
                "activity", on, account, rep, week, 9, type="meeting", contact=f"{account}-0", date=str(on), outcome="", status="Completed"
            )
            if luck.random() < self.pace.opportunity:
                self.opportunities += 1
                self._add("opportunity", day, account, rep, week, 0, is_closed="false", created=str(day))

    def _add(self, kind: str, day: date, account: str, rep: str, week: int, n: int, **more: object) -> None:
        self.new[kind].append({"id": f"sim-{week}-{account}-{n}", "account": account, "rep": rep, "day": day, **more})

    def measure(
        self, bound: Bound, book: str, week: int, day: date, planned: Mapping[str, Value], held: Mapping[str, str]
    ) -> SimulatedCycle:
        reps = [r for r in planned["reps"] if r["capacity"]]
        room = sum(r["capacity"] for r in reps)
        per_place = [r["value"] / r["capacity"] for r in reps]
        mean = sum(per_place) / max(len(per_place), 1)
        spread = (sum((x - mean) ** 2 for x in per_place) / max(len(per_place), 1)) ** 0.5
        lately: set[str] = set()
        for row in bound.world.all("activity"):
            if row["account"] is not None and row["date"] is not None and day - LATELY < row["date"] <= day:
                lately.add(str(row["account"]["id"]))
        left = sum(planned["returned"].values())
        market = self.market.setdefault(book, set())
        for account, able in zip(bound.world.values("account", "id"), bound.world.values("account", f"{book}_able"), strict=True):
            if able is True:
                market.add(str(account))
        return SimulatedCycle(
            book, week, day, len(held), len(held) / max(room, 1), len(lately & held.keys()) / max(len(held), 1), left / max(len(held), 1),
            spread / mean if mean else 0.0, len(market & self.ever.get(book, set())) / max(len(market), 1), left, self.meetings, self.opportunities,
        )  # fmt: skip

"""Key figures of reps' work by rep, team, territory or list, and by period.

Accounts belong to their owners as the data and the state have them. Coverage = accounts with an activity in the period / accounts
owned, opportunity creation rate = opportunities / accounts worked (Gradient Works). Touches and meetings are counted on the
accounts of a group, whoever made them. A lead that nobody answered counts against the SLA once its time is over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from statistics import median

from roe.dynamic import Json, Value
from roe.evaluator.bound import Bound
from roe.evaluator.row import Row
from roe.grammar import values as v
from roe.plan.operators import Choose
from roe.plan.parts import Kpis

ALL = "all"
COUNTS = ("accounts", "worked", "completed", "touches", "meetings", "opportunities", "leads")
LOWER_IS_BETTER = ("speed_to_lead",)
MONTHS = {"month": 1, "quarter": 3}


@dataclass(slots=True)
class Period:
    """From one day up to another, and not on it."""

    start: date
    until: date

    def __contains__(self, day: object) -> bool:
        day = day.date() if isinstance(day, datetime) else day
        return isinstance(day, date) and self.start <= day < self.until

    def __str__(self) -> str:
        return f"{self.start} to {self.until - timedelta(days=1)}"


@dataclass(slots=True)
class KpiLine:
    """The figures of a group in a period; None where there is nothing to divide by."""

    group: str
    period: Period
    values: dict[str, float | None] = field(default_factory=dict)
    reps: int = 0  # how many own its accounts, where it is a group of reps

    def as_json(self) -> Json:
        return {"group": self.group, "from": str(self.period.start), "until": str(self.period.until), **self.values}


def periods(today: date, every: str, count: int, start: date | None = None) -> list[Period]:
    """The last periods up to today: whole weeks (from Monday), months or quarters, the last one as far as it went; or from a day on."""
    if start is not None:
        return [Period(start, today + timedelta(days=1))]
    if every == "week":
        first = today - timedelta(days=today.weekday())
        starts = [first - timedelta(days=7 * k) for k in range(count)]
    else:
        months = MONTHS[every]
        first = date(today.year, (today.month - 1) // months * months + 1, 1)
        starts = [v.add_months(first, -months * k) for k in range(count)]
    ends = [today + timedelta(days=1), *starts[:-1]]
    return [Period(a, b) for a, b in zip(reversed(starts), reversed(ends), strict=True)]


def kpi_lines(bound: Bound, by: str, periods: Iterable[Period]) -> list[KpiLine]:
    """The figures of each group and of all, by period. `by` is rep, team, territory, or a table of accounts."""
    assert bound.plan.kpis is not None
    return [line for period in periods for line in _Counted(bound, bound.plan.kpis, by).lines(period)]


class _Counted:
    def __init__(self, bound: Bound, kpis: Kpis, by: str) -> None:
        self.world, self.kpis, self.by = bound.world, kpis, by
        self.group_of = self._groups(bound)
        code = self.world.compiled.code
        self.counts: Callable[[Value], Value] | None = code(kpis.counts) if kpis.counts is not None else None
        self.meeting: Callable[[Value], Value] | None = code(kpis.meeting) if kpis.meeting is not None else None
        self.accounts: dict[str, list[Row]] = {}
        for account in self.world.all("account"):
            if account["owner"].get(kpis.role) is not None:
                self.accounts.setdefault(self.group_of(account), []).append(account)

    def _groups(self, bound: Bound) -> Callable[[Row], str]:
        role = self.kpis.role

        def owner(account: Row) -> Row | None:
            rep: Row | None = account["owner"].get(role)
            return rep

        if self.by == "rep":
            return lambda a: rep.label if (rep := owner(a)) is not None else ""
        if self.by == "team":
            return lambda a: str(rep["team"] or "(no team)") if (rep := owner(a)) is not None else ""
        if self.by == "territory":
            return lambda a: str(t["name"]) if isinstance(t := a["territory"], dict) and t.get("name") else "(none)"
        step = bound.plan.steps["account", self.by]
        assert isinstance(step, Choose)
        return lambda a: "(none)" if (x := a[self.by]) is None else v.string(x["name"] if isinstance(x, dict) else x) or "(none)"

    def lines(self, period: Period) -> list[KpiLine]:
        groups = {name: self._of(rows, period) for name, rows in sorted(self.accounts.items())}
        leads = self._leads(period)
        lines_by_group = []
        for name in sorted({*groups, *leads} - {""}):
            lines_by_group.append(
                self._line(name, period, self.accounts.get(name, []), [groups.get(name) or self._of([], period)], leads.get(name, []))
            )
        everything = list(self.accounts.values())
        lines_by_group.append(
            self._line(
                ALL, period, [a for rows in everything for a in rows], list(groups.values()), [x for rows in leads.values() for x in rows]
            )
        )
        return lines_by_group

    def _of(self, accounts: list[Row], period: Period) -> dict[str, int]:
        counts = dict.fromkeys(("covered", "worked", "completed", "touches", "meetings", "opportunities"), 0)
        for account in accounts:
            touches, people, any_ = 0, set(), False
            for activity in account["activities"]:
                if activity["date"] not in period:
                    continue
                any_ = True
                scope = self.world.scope(activity)
                if self.counts is None or self.counts(scope) is True:
                    touches += 1
                    if activity["contact"] is not None:
                        people.add(str(activity["contact"]["id"]))
                counts["meetings"] += self.meeting is not None and self.meeting(scope) is True
            counts["covered"] += any_
            counts["worked"] += touches > 0
            counts["completed"] += touches >= self.kpis.touches and len(people) >= self.kpis.contacts
            counts["touches"] += touches
            counts["opportunities"] += sum(o["created"] in period for o in account["opportunities"])
        return counts

    def _leads(self, period: Period) -> dict[str, list[tuple[float | None, bool | None]]]:
        """Of every lead of the period: the hours to its first answer (None without), and whether it came in time (None: still open)."""
        by_group: dict[str, list[tuple[float | None, bool | None]]] = {}
        clock = self.world.clock
        for lead in self.world.all("lead"):
            created = lead["created"]
            if created not in period:
                continue
            answers = [at for a in lead["activities"] if (at := self._moment(a, created)) is not None and self._counts(a)]
            first = min(answers, default=None)
            due = clock.add(created, self.kpis.within) if self.kpis.within is not None else None
            in_time = None if due is None else first <= due if first is not None else False if due <= clock.now else None
            hours = (first - created).total_seconds() / 3600 if first is not None else None
            by_group.setdefault(self._lead_group(lead), []).append((hours, in_time))
        return by_group

    def _counts(self, activity: Row) -> bool:
        return self.counts is None or self.counts(self.world.scope(activity)) is True

    def _moment(self, activity: Row, created: datetime) -> datetime | None:
        """When an activity was, if it was after the lead came; one with a date alone was at the end of that day."""
        at = activity["at"]
        if at is None and activity["date"] is not None:
            at = datetime.combine(activity["date"], time(23, 59), tzinfo=created.tzinfo)
        now = self.world.clock.now
        return at if isinstance(at, datetime) and created <= at <= now else None

    def _lead_group(self, lead: Row) -> str:
        rep, account = lead["owner"].get(self.kpis.lead_role), lead["account"]
        if self.by == "rep":
            return rep.label if rep is not None else "(nobody)"
        if self.by == "team":
            return str(rep["team"] or "(no team)") if rep is not None else "(nobody)"
        return self.group_of(account) if account is not None else "(none)"

    def _line(
        self, name: str, period: Period, accounts: list[Row], parts: list[dict[str, int]], leads: list[tuple[float | None, bool | None]]
    ) -> KpiLine:
        total = {
            key: sum(counts[key] for counts in parts) for key in ("covered", "worked", "completed", "touches", "meetings", "opportunities")
        }
        owned = len(accounts)
        owners = {str(rep["id"]): rep for a in accounts if (rep := a["owner"].get(self.kpis.role)) is not None}
        capacity = (
            sum(rep["capacity"] for rep in owners.values() if v.is_number(rep["capacity"]))
            if self.by in ("rep", "team") or name == ALL
            else 0
        )
        hours, in_time = [h for h, _ in leads if h is not None], [k for _, k in leads if k is not None]
        return KpiLine(name, period, {
            "accounts": owned, "capacity": capacity or None, "capacity_use": _share(owned, capacity), "coverage": _share(total["covered"], owned),
            "worked": total["worked"], "completed": total["completed"], "touches": total["touches"], "meetings": total["meetings"],
            "opportunities": total["opportunities"], "opportunities_per_worked": _share(total["opportunities"], total["worked"]), "leads": len(leads),
            "speed_to_lead": median(hours) if hours else None, "sla_attainment": _share(sum(in_time), len(in_time)),
        }, len(owners) if self.by in ("rep", "team") or name == ALL else 0)  # fmt: skip


def _share(a: float, b: float) -> float | None:
    return a / b if b else None


def shown(name: str, value: float | None) -> str:
    """A figure as people read it."""
    if value is None:
        return ""
    if name in ("capacity_use", "coverage", "sla_attainment"):
        return f"{value:.0%}"
    return f"{value:.2f}" if name == "opportunities_per_worked" else f"{value:.1f} h" if name == "speed_to_lead" else f"{value:,.0f}"


def target_of(kpis: Kpis, name: str, group: str) -> tuple[float | None, float | None, str]:
    """(target, benchmark, source) of a figure: a group's own, else everybody's."""
    for wanted in (group, ""):
        for kpi, of, target, benchmark, source in kpis.targets:
            if kpi == name and of == wanted:
                return target, benchmark, source
    return None, None, ""


def missed(kpis: Kpis, name: str, line: KpiLine) -> bool:
    """Whether a figure misses its target. The target of a count is a rep's, so a team's is as many times that."""
    value, target = line.values[name], target_of(kpis, name, line.group)[0]
    if target is None or value is None or (name in COUNTS and not line.reps):
        return False
    return value > target if name in LOWER_IS_BETTER else value < target * (line.reps if name in COUNTS else 1)

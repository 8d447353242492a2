"""A record's windows and claims over time: every state with its beginning, its end, and what caused it.

States are not worked out a second time: the evaluator is asked again at every moment at which something may have
changed, which are the dates of the record and of what belongs to it, and the ends that the windows themselves give.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, time

from roe.dynamic import Json
from roe.evaluator.bound import Bound
from roe.evaluator.row import Row
from roe.grammar import syntax as s
from roe.grammar.clock import Clock
from roe.grammar.printer import show
from roe.plan.operators import Choose, Derive
from roe.plan.parts import Window

MOST = 2_000  # moments that are looked at


@dataclass(slots=True)
class TimelineState:
    """One state of a window: since when, until when (None while nothing is known to end it), and why it began."""

    window: str
    state: str
    start: datetime
    until: datetime | None
    cause: str

    def as_json(self) -> Json:
        return {
            "window": self.window, "state": self.state, "from": self.start.isoformat(),
            "until": self.until.isoformat() if self.until else None, "cause": self.cause,
        }  # fmt: skip


def timeline(bound: Bound, row: Row) -> list[TimelineState]:
    """The states of every window of a record, in order; nothing before its first date. The world's clock is put back."""
    world, now = bound.world, bound.world.clock
    windows = [w for w in bound.plan.windows if w.entity == row.entity]
    causes = _dates(row, now)
    todo = sorted(causes)
    seen: dict[datetime, dict[str, tuple[str, str]]] = {}  # of each window the state, and what its beginning is
    try:
        while todo and len(seen) < MOST:
            moment = todo.pop(0)
            if moment in seen:
                continue
            world.at(replace(now, now=moment))
            seen[moment] = {w.name: _at(row, w, moment) for w in windows}
            later_ends = [e for w in windows for e in ends(row, w, world.clock) if e > moment]
            for end in later_ends:
                causes.setdefault(end, "")
                if end not in seen and end not in todo:
                    todo.append(end)
            todo.sort()
    finally:
        world.at(now)
    states: list[TimelineState] = []
    for window in windows:
        last: TimelineState | None = None
        for moment in sorted(seen):
            state, started = seen[moment][window.name]
            if last.state == state if last is not None else state == "none":
                continue
            if last is not None:
                last.until = moment
            last = TimelineState(window.name, state, moment, None, started or causes[moment] or _ended(last) or f"{window.name} begins")
            states.append(last)
    return states


def _at(row: Row, window: Window, moment: datetime) -> tuple[str, str]:
    """The state of a window at a moment, none before its own start; and the policy's words for the start, if that is now."""
    step = row.world.policy.plan.steps.get((row.entity, f"{window.name}_since"))
    state = str(row[window.state])
    if not isinstance(step, Derive) or step.expr is None:
        return state, ""
    start = start_of(step.expr.tree)
    begins = _moment(row.world.compiled.code(replace(step.expr, tree=start))(row.world.scope(row)), row.world.clock)
    if begins is None or begins > moment:
        return ("none" if begins is not None else state), ""
    if begins != moment or _moment(row[step.name], row.world.clock) != moment:
        return state, ""
    return state, show(start).replace(".", " ").replace("_", " ") if isinstance(start, (s.Name, s.Path)) else f"{window.name} begins"


def start_of(since: s.Node) -> s.Node:
    """What a window is counted from where nothing has renewed it: of the latest of some dates and its start, the start."""
    if isinstance(since, s.Call) and since.function == "max" and isinstance(since.args[0], s.Call):
        return since.args[0].args[-1]
    return since


def _ended(before: TimelineState | None) -> str:
    return "" if before is None else f"{before.state.replace('_', ' ')} has ended"


def _dates(row: Row, clock: Clock) -> dict[datetime, str]:
    """Every date of a record and of what belongs to it, with what it is."""
    causes: dict[datetime, str] = {}
    own = [
        (value, f"{row.entity} {name.replace('_', ' ')}")
        for name, value in dict(row).items()
        if isinstance(name, str) and name not in row.derived
    ]
    for value, cause in own:
        _note(causes, value, cause, clock)
    for name in ("activities", "claims", "opportunities"):
        for other in row[name] or ():
            if isinstance(other, Row):
                kind = other["type"] if other.entity == "activity" else None
                who = other["rep"].label if other["rep"] is not None else "nobody"
                for field in ("at", "date", "created", "closed", "released"):
                    said = {"released": "released", "closed": "closed"}.get(field, kind or other.entity)
                    _note(causes, other[field], f"{said} by {who}", clock)
    return causes


def _note(causes: dict[datetime, str], value: object, cause: str, clock: Clock) -> None:
    moment = _moment(value, clock)
    if moment is not None:
        causes[moment] = f"{causes[moment]}; {cause}" if causes.get(moment) and cause not in causes[moment] else causes.get(moment) or cause


def _moment(value: object, clock: Clock) -> datetime | None:
    if isinstance(value, datetime):
        return value.astimezone(clock.now.tzinfo) if value.tzinfo else None
    return datetime.combine(value, time(), clock.now.tzinfo) if isinstance(value, date) else None


def ends(row: Row, window: Window, clock: Clock) -> Iterable[datetime]:
    """When a window's states end, as far as it can be told now: its own end, and those its rules compare today with."""
    for name in (window.until, f"{window.name}_since"):
        first = _moment(row[name], clock)
        if first is not None:
            yield first
    step = row.world.policy.plan.steps.get((row.entity, window.state))
    if isinstance(step, Choose):
        scope = row.world.scope(row)
        for rule in step.rules:
            for condition in rule.conditions:
                for node in s.walk(condition.tree):
                    if isinstance(node, s.Compare) and isinstance(node.left, s.Name):
                        moment = _moment(row.world.compiled.code(replace(condition, tree=node.right))(scope), clock)
                        if moment is not None:
                            yield moment
    claims = row.world.policy.plan.claims
    claim = row["claim"] if claims is not None and row.entity == claims.entity else None
    if claim is not None and (end := _moment(claim["until"], clock)) is not None:
        yield end

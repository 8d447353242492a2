"""`Allocate`: pools that take turns, exactly.

Turns follow the quota method of Balinski and Young ("The Quota Method of Apportionment", American Mathematical Monthly
82, 1975): of the reps whose count is still below their upper quota, the one with the greatest weight / (count + 1) is
next. With fixed weights and nobody skipped every rep's count stays within one of the exact share at every prefix. Round
robin is the case of equal weights. Ties go by the rep's id. A rep who is skipped (at a cap) falls behind and is owed the
turns: the counts remember it, and they persist between runs as the pool's *pointer*.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from roe.evaluator.expressions import Code, compile_expression
from roe.grammar import syntax as s
from roe.grammar import values as v
from roe.plan.operators import Allocate, Expr

if TYPE_CHECKING:
    from fractions import Fraction

    from roe.evaluator.world import Row, World


@dataclass(slots=True)
class Member:
    """A rep in a turn: weight, the count before it, and why the rep could not take it."""

    rep: Row
    weight: Fraction
    count: int
    skipped: str = ""


@dataclass(slots=True)
class Turn:
    """One allocation by a pool: what the pool looked like at that moment."""

    pool: str
    strategy: str
    rep: Row | None
    position: int  # the record's place in the pool's queue, from 1, over all runs
    members: list[Member] = field(default_factory=list)
    before: Turn | None = None  # the pool that this one is the fallback of
    repeated: str = ""  # the day of the earlier run that made this allocation

    def as_json(self) -> dict[str, Any]:
        shown = [{"rep": m.rep["id"], "weight": float(m.weight), "count": m.count, "skipped": m.skipped or None} for m in self.members]
        return {
            "pool": self.pool, "strategy": self.strategy, "rep": self.rep["id"] if self.rep is not None else None,
            "position": self.position, "members": shown, "repeated": self.repeated or None,
            "before": self.before.as_json() if self.before else None,
        }  # fmt: skip


def recorded(kept: Mapping[str, Any], world: World) -> Turn:
    """A turn read back from the records of the run that made it."""
    from fractions import Fraction

    members = [
        Member(rep, Fraction(str(m["weight"])), int(m["count"]), m["skipped"] or "")
        for m in kept["members"]
        if (rep := world.rep(m["rep"])) is not None
    ]
    before = recorded(kept["before"], world) if kept["before"] else None
    rep = world.rep(kept["rep"])
    return Turn(kept["pool"], kept["strategy"], rep, int(kept["position"]), members, before, kept["repeated"] or "")


class Pool:
    def __init__(self, step: Allocate, pools: Pools) -> None:
        self.step, self.pools, self.world = step, pools, pools.world
        saved = pools.state.get("pools", {}).get(step.name, {})
        self.counts: dict[str, int] = {str(k): int(n) for k, n in saved.get("counts", {}).items()}
        self.turns = int(saved.get("turns", 0))
        self._weight = _code(step.weight)
        self._caps = {cap: compile_expression(e.tree) for cap, e in step.caps.items()}
        self._members = compile_expression(step.members.tree) if isinstance(step.members, Expr) else None
        self._static = not isinstance(step.members, Expr) or _about_rep(step.members)
        self._cached: list[Row] | None = None
        asked = [e for e in (step.weight, *step.caps.values()) if e is not None]
        self._fixed = all(map(self._of_rep_alone, asked))  # then a rep's weight and limits are the same for every record
        self._known: dict[str, tuple[Fraction, dict[str, Any]]] = {}

    def _of_rep_alone(self, expr: Expr) -> bool:
        """Whether an expression reads nothing but stored fields of the rep."""
        fields = self.world.policy.model.entities["rep"]
        names = [n.id for n in s.walk(expr.tree) if isinstance(n, s.Name)]
        read = [n for n in s.walk(expr.tree) if isinstance(n, s.Path)]
        plain = all(isinstance(p.base, s.Name) and (f := fields.get(p.field)) is not None and not f.via for p in read)
        return plain and set(names) <= {"rep"} and len(names) == len(read)

    def route(self, row: Row, role: str, before: Turn | None = None) -> Turn:
        turn = Turn(self.step.name, self.step.strategy, None, self.turns + 1, before=before)
        turn.members = [self._member(rep, row, role) for rep in self._reps(row)]
        able = [m for m in turn.members if not m.skipped]
        if able:
            chosen = self._next(turn.members, able)
            turn.rep = chosen.rep
            self.counts[chosen.rep["id"]] = chosen.count + 1
            self.turns += 1
            self.pools.took(chosen.rep, row)
            return turn
        return self._fallback(turn, row, role)

    def _fallback(self, turn: Turn, row: Row, role: str) -> Turn:
        name = self.step.fallback
        if name is None:
            return turn
        if str(name) in self.pools.pools:
            return self.pools.pools[str(name)].route(row, role, turn)
        turn.rep = self.world.rep(name)
        return turn

    def _reps(self, row: Row) -> list[Row]:
        """The members for a record, by id; found once where membership rests on the rep alone."""
        if self._cached is not None:
            return self._cached
        if self._members is None:
            found = [rep for name in self._listed() if (rep := self.world.rep(name)) is not None]
        else:
            scope = self.world.scope(row)
            scope["account"] = row if row.entity == "account" else row["account"]
            found = []
            for rep in self.world.rows["rep"]:
                scope["rep"] = rep
                if self._members(scope) is True:
                    found.append(rep)
        found = sorted(found, key=lambda rep: str(rep["id"]))
        if self._static:
            self._cached = found
        return found

    def _listed(self) -> list[str]:
        today = self.world.clock.today
        return [] if isinstance(self.step.members, Expr) else [str(m.value) for m in self.step.members if m.holds(today)]

    def _member(self, rep: Row, row: Row, role: str) -> Member:
        weight, limits = self._terms(rep, row)
        member = Member(rep, weight, self.counts.get(rep["id"], 0))
        if rep["active"] is False:
            member.skipped = "not active"
        elif weight == 0:
            member.skipped = "weight 0"
        else:
            member.skipped = next(filter(None, (self._capped(cap, limit, rep, role) for cap, limit in limits.items())), "")
        return member

    def _terms(self, rep: Row, row: Row) -> tuple[Fraction, dict[str, Any]]:
        """A rep's weight and limits for a record."""
        from fractions import Fraction

        found = self._known.get(rep["id"]) if self._fixed else None
        if found is None:
            scope = self.world.scope(row)
            scope["rep"] = rep
            weight = Fraction(1)
            if self._weight is not None:
                value = self._weight(scope)
                weight = Fraction(str(value)) if v.is_number(value) and value > 0 else Fraction(0)
            found = weight, {cap: code(scope) for cap, code in self._caps.items()}
            if self._fixed:
                self._known[rep["id"]] = found
        return found

    def _capped(self, cap: str, limit: Any, rep: Row, role: str) -> str:
        used = self.pools.used(cap, rep, role)
        if v.is_number(limit) and used >= limit:
            return f"{cap.replace('_', ' ')} {used} of {v.literal(limit)}"
        return ""

    def _next(self, members: list[Member], able: list[Member]) -> Member:
        if self.step.strategy == "least_loaded":
            role = ""
            return min(able, key=lambda m: (self.pools.used("open_leads", m.rep, role), m.count, str(m.rep["id"])))
        scale = math.lcm(*{m.weight.denominator for m in members})  # whole numbers from here on: exact, and quick
        whole = {id(m): m.weight.numerator * (scale // m.weight.denominator) for m in members}
        total, turn = sum(whole.values()), sum(m.count for m in members) + 1
        best, weight = None, 0
        for m in [m for m in able if m.count * total < turn * whole[id(m)]] or able:
            own = whole[id(m)]
            # the greatest weight / (count + 1); of equals the first, since members are in the order of their ids
            if best is None or own * (best.count + 1) > weight * (m.count + 1):
                best, weight = m, own
        assert best is not None  # there is somebody able
        return best


def _code(expr: Expr | None) -> Code | None:
    return compile_expression(expr.tree) if expr else None


def _about_rep(expr: Expr) -> bool:
    return not any(isinstance(n, s.Name) and n.id in ("lead", "account", "opportunity", "contact") for n in s.walk(expr.tree))


class Pools:
    """All pools of one run, and what caps count: open records per rep, and assignments per day."""

    def __init__(self, plan: Mapping[str, Allocate], world: World, state: Mapping[str, Any]) -> None:
        self.world, self.state = world, state
        self.days: dict[str, dict[str, int]] = {r: dict(d) for r, d in state.get("days", {}).items()}
        self._open: dict[tuple[str, str], int] | None = None
        self.pools = {name: Pool(step, self) for name, step in plan.items()}

    def route(self, pool: str, row: Row, role: str) -> Turn:
        return self.pools[pool].route(row, role)

    def took(self, rep: Row, row: Row) -> None:
        today = str(self.world.clock.today)
        by_day = self.days.setdefault(rep["id"], {})
        by_day[today] = by_day.get(today, 0) + 1
        counts = self._counts()
        key = (row.entity, rep["id"])
        counts[key] = counts.get(key, 0) + 1

    def used(self, cap: str, rep: Row, role: str) -> int:
        if cap in ("open_leads", "open_accounts"):
            return self._counts().get(("lead" if cap == "open_leads" else "account", rep["id"]), 0)
        today = self.world.clock.today
        by_day = self.days.get(rep["id"], {})
        if cap == "per_day":
            return by_day.get(str(today), 0)
        monday = v.subtract(today, timedelta(days=today.weekday()))
        return sum(n for day, n in by_day.items() if str(monday) <= day <= str(today))

    def _counts(self) -> dict[tuple[str, str], int]:
        if self._open is None:
            self._open = self.world.open_records()
        return self._open

    def saved(self) -> dict[str, Any]:
        """The pointers and day counts as they are to be kept; days older than two weeks count nowhere any more."""
        oldest = str(v.subtract(self.world.clock.today, timedelta(days=14)))
        days = {r: {d: n for d, n in by.items() if d >= oldest} for r, by in self.days.items()}
        return {
            "pools": {n: {"turns": p.turns, "counts": dict(sorted(p.counts.items()))} for n, p in sorted(self.pools.items())},
            "days": {r: dict(sorted(by.items())) for r, by in sorted(days.items()) if by},
        }

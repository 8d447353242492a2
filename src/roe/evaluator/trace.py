"""The explanation of a decision: the answer in one sentence, then each step with its rules, conditions and values.

A trace is data. It is made from the decision's own record, choice and turn when somebody reads it, so a decision that
nobody asks about costs nothing for it. Steps that a condition rests on (a definition, a territory, a score) follow it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field
from typing import TYPE_CHECKING

from roe.dynamic import Json, JsonObject, Value
from roe.evaluator.able import current_leave, reason_left, reason_unable, staffed
from roe.evaluator.choose import Choice, Chooser
from roe.evaluator.frozen import period
from roe.evaluator.observe import Observed, observe, watch
from roe.grammar import syntax as s
from roe.grammar import values as v
from roe.grammar.scopes import Scope
from roe.node import node
from roe.plan.operators import Choose, Derive, Expr, Fill, Relate, Rule, Settle
from roe.plan.outcome import claimable
from roe.plan.standard import STANDARD
from roe.source import Span

if TYPE_CHECKING:
    from roe.evaluator.decision import Decision
    from roe.evaluator.row import Row
    from roe.evaluator.world import World

ALL_RULES = 60  # a longer list of rules is shown as the ones that fired, are unknown, or lack a single condition
NEAR_RULES = 5


@node(frozen=False)
class RuleTrace:
    """A rule that was considered: its number from 1, result, conditions and place."""

    number: int
    name: str
    result: bool | None
    conditions: list[Observed]
    place: Span
    because: str = ""
    gives: Value = None
    fired: bool = False


@node(frozen=False)
class StepTrace:
    """One step: what it computed for which record, and how."""

    stage: str
    operator: str
    name: str
    record: str
    value: Value
    hit: str = ""
    rules: list[RuleTrace] = field(default_factory=list)
    total: int = 0
    parts: list[tuple[str, Value]] = field(default_factory=list)
    text: str = ""
    place: Span | None = None
    details: Json = field(default_factory=dict)

    @property
    def omitted(self) -> int:
        return self.total - len(self.rules)


@node(frozen=False)
class Trace:
    """The whole explanation; `as_json()` is valid against `schemas/trace.schema.json`."""

    decision: Decision
    sentence: str
    steps: list[StepTrace]

    def as_json(self) -> Json:
        d = self.decision
        outcome = {
            "action": d.action, "owner": d.owner, "owner_name": d.owner_name or None, "previous": d.previous,
            "rule": d.rule or None, "territory": d.territory or None, "pool": d.pool or None, "window": d.window or None,
            "until": v.plain(d.until), "reason": d.reason, "unknown": list(d.unknown),
        }  # fmt: skip
        return {
            "roe": 1,
            "sentence": self.sentence,
            "record": {"entity": d.entity, "id": d.row.written, "name": d.name},
            "role": d.role,
            "as_of": v.literal(d.row.world.clock.now),
            "outcome": outcome,
            "steps": [_step_json(step) for step in self.steps],
        }


def _step_json(step: StepTrace) -> JsonObject:
    json: JsonObject = {
        "stage": step.stage,
        "operator": step.operator,
        "name": step.name,
        "record": step.record,
        "value": v.plain(step.value),
    }
    if step.hit:
        json |= {"hit": step.hit, "rules": [_rule_json(r) for r in step.rules], "rules_total": step.total}
    if step.text:
        json |= {"text": step.text, "parts": [_part(text, value) for text, value in step.parts]}
    if step.place:
        json["place"] = _place(step.place)
    if step.details:
        json["details"] = step.details
    return json


def _rule_json(r: RuleTrace) -> JsonObject:
    conditions = []
    for c in r.conditions:
        text, parts = c.recorded()
        values = [_part(p.text, p.value) for p in parts]
        missing = [p.text for p in parts if p.value is None]
        conditions.append({"text": text, "result": c.result, "values": values, "missing": missing, "place": _place(c.place)})
    return {
        "number": r.number, "name": r.name, "result": r.result, "fired": r.fired, "because": r.because or None,
        "conditions": conditions, "place": _place(r.place),
    }  # fmt: skip


def _part(text: str, value: object) -> Json:
    return {"text": text, "type": v.kind(value), "value": v.plain(value)}


def _place(span: Span) -> Json:
    return {"file": span.file, "line": span.line, "column": span.column, "cell": span.cell or None}


# --- building -------------------------------------------------------------------------------------------------------


def step_title(step: StepTrace) -> str:
    """What the step is called in text: an engagement by its role."""
    return step.name.removeprefix("engagement_")


def trace(decision: Decision) -> Trace:
    builder = _Builder(decision)
    builder.build()
    return Trace(decision, sentence(decision), builder.steps)


def steps_of(decision: Decision, asked: Iterable[tuple[Row, str]]) -> list[StepTrace]:
    """How fields of records were computed, and what they rest on; `decision` says in which world."""
    builder = _Builder(decision)
    for row, name in asked:
        builder.ask(row, name)
    builder.finish()
    return builder.steps


def sentence(d: Decision) -> str:
    """The answer in one sentence that a rep can read: owner, role, until when, and why; who must decide where somebody must."""
    what = f"{d.name} ({d.entity} {d.row.written})" if d.name != d.id else f"{d.entity} {d.row.written}"
    verb = f"{d.owner_name or 'Nobody'} owns {what} as {d.role}"
    until = "" if d.until is None else v.readable(d.until, d.row.world.clock.now.tzinfo)
    state = {
        "open": f", and it is open{' for claims' if claimable(d.row.world.policy.plan, d.entity, d.role) else ''}",
        "hold": ", on hold",
        "return": " any more: it goes back to the pool",
        "refer": f", to be decided{' by ' if until else ''}{until}",
    }.get(d.action, "")
    until = f" until {until}" if until and d.action != "refer" else ""
    reason = d.reason if d.reason.endswith((".", "!", "?")) else d.reason + "."
    return f"{verb}{state}{until}: {reason}"


def _covers(rep: Row, away: Row) -> bool:
    leave = current_leave(away)
    return leave is not None and leave["cover"] is rep


def _is_away(rep: Row) -> str:
    reason = reason_unable(rep)
    return f"{rep.label} {'' if reason.startswith(('left', 'starts')) else 'is '}{reason}"


class _Builder:
    def __init__(self, decision: Decision) -> None:
        self.d = decision
        self.world: World = decision.row.world
        self.plan = self.world.policy.plan
        self.compiled = self.world.compiled
        self.lists = self.world.lists
        self.steps: list[StepTrace] = []
        self.todo: list[tuple[Row, str]] = []
        self.seen: set[tuple[int, str]] = set()

    def build(self) -> None:
        d = self.d
        if d.exception is not None:
            e = d.exception
            details = {"approved_by": str(e.approved_by), "reason": str(e.reason), "until": str(e.until)}
            self.steps.append(StepTrace("exception", "choose", "exception", d.row.label, d.owner, place=e.record.span(), details=details))
            return
        chooser = self.compiled.engagement.get((d.entity, d.role))
        if chooser is not None and d.choice is not None:
            self.steps.append(self.choose(chooser, d.choice, d.row, d.owner or d.action))
            if d.choice.fired:
                self._action(chooser.step.rules[d.choice.fired[0]])
        if d.turn is not None:
            place = self.plan.pools[d.turn.pool].text.span()
            self.steps.append(StepTrace("pool", "allocate", d.turn.pool, d.row.label, d.owner, place=place, details=d.turn.as_json()))
        for name in self.compiled.role(d.entity, d.role).explained if chooser is not None else ():
            if d.row[name] is not None:
                self.ask(d.row, name)
        self.finish()

    def finish(self) -> None:
        """Follow every step that was asked for, and those that they rest on."""
        while self.todo:
            self._nested(*self.todo.pop(0))

    def _action(self, rule: Rule) -> None:
        for action in rule.value.with_otherwise():
            if action.assign is not None:
                value, parts = watch(action.assign.tree, self.world.scope(self.d.row), self.lists, self.compiled.watched)
                for part in parts:
                    self.rests_on(part.node, self.world.scope(self.d.row))
                text = str(action.assign.text)
                parts_shown = [(p.text, p.value) for p in parts]
                place = action.assign.text.span()
                self.steps.append(
                    StepTrace("action", "derive", "assign", self.d.row.label, value, parts=parts_shown, text=text, place=place)
                )

    def ask(self, row: Row, name: str) -> None:
        key = (id(row), name)
        if key not in self.seen:
            self.seen.add(key)
            self.todo.append((row, name))

    def rests_on(self, node: s.Node, scope: Scope) -> None:
        """Queue the steps that a part of a condition reads, on whichever record it reads them."""
        from roe.evaluator.row import Row

        for name, code in self.compiled.reads(node):
            base = code(scope)
            step = self.compiled.steps.get((base.entity, name)) if isinstance(base, Row) else None
            if isinstance(step, Fill):
                if base.is_filled(step):
                    self.ask(base, step.source)
            elif step is not None and (step.stage != STANDARD or (isinstance(step, Settle) and not step.gives)):
                self.ask(base, name)

    def _nested(self, row: Row, name: str) -> None:
        step = self.compiled.steps.get((row.entity, name))
        if isinstance(step, Settle) and step.gives:  # what became of one claim: of all on the same record
            live = ((entity, field) for (entity, field), x in self.compiled.steps.items() if isinstance(x, Settle) and not x.gives)
            for entity, field in live:
                if row[entity] is not None:
                    self.ask(row[entity], field)
            return
        if isinstance(step, Settle):
            self._claims(row, name)
            return
        scope = self.world.scope(row)
        if isinstance(step, Derive):
            if step.group is not None:
                for role, field in step.group.items():
                    if row[field] is not None:
                        self.ask(row, field)
                    self._stands_in(step, role, row, field)
                return
            assert step.expr is not None
            self.steps.append(self._derive(step, step.expr, row, scope))
        elif isinstance(step, Choose):
            chooser = self.compiled.choosers[row.entity, name]
            self.steps.append(self.choose(chooser, chooser(scope), row, row[name]))
        elif isinstance(step, Relate):
            self.steps.append(self._relate(step, row))

    def _claims(self, row: Row, name: str) -> None:
        """What became of every claim on an account."""
        claims = self.plan.claims
        assert claims is not None
        outcomes = [
            {
                "claim": o.claim["id"], "rep": o.claim["rep"]["id"] if o.claim["rep"] is not None else None, "at": v.string(o.claim["at"]),
                "status": o.status, "until": v.string(o.until), "reason": o.reason,
            }
            for o in self.world.settled.on(row)
        ]  # fmt: skip
        live = row[name]
        held = None if live is None else live["id"]
        self.steps.append(
            StepTrace("claim", "allocate", "claims", row.label, held, place=self.compiled.place(claims.text), details={"claims": outcomes})
        )

    def _stands_in(self, step: Derive, role: str, row: Row, field: str) -> None:
        """Why somebody else than the staffing says owns a territory."""
        named, owner = self.world.rep(row[field]), staffed(self.world, step, role, row[field], row["owner"].get(role))
        if owner is named or owner is None or role != self.d.role:
            return
        said, away = [], named
        if named is None or reason_left(named) or not (step.cover and _covers(owner, named)):
            away = self.world.rep(step.vacant.get(role))
            assert away is not None  # else nobody would own it
            why = f"{role} is vacant" if named is None else _is_away(named)
            said.append(f"{why}: {away.label} is the fallback")
        if owner is not away:
            assert away is not None
            said.append(f"{_is_away(away)}: {owner.label} covers")
        self.steps.append(StepTrace(step.stage, "derive", f"{step.name}.{role}", row.label, owner, text="; ".join(said)))

    def _derive(self, step: Derive, expr: Expr, row: Row, scope: Scope) -> StepTrace:
        value, parts = watch(expr.tree, scope, self.lists, self.compiled.watched)
        for part in parts:
            self.rests_on(part.node, scope)
        shown = [(p.text, p.value) for p in parts]
        text = str(expr.text)
        if step.frozen is not None:
            frozen = row[step.name]
            shown.append((f"frozen on {period(self.world, step)}, today it is", value))
            value = frozen
        if step.among is not None and row[step.name] is not None:
            value, within = row[step.name], row[f"{step.name}_within"]
            segment = "" if within is None else f" in {within.label if hasattr(within, 'label') else v.string(within)}"
            shown.append((f"rank of {value['of']}{segment}", value["rank"]))
        return StepTrace(step.stage, "derive", step.name, row.label, value, parts=shown, text=text, place=expr.text.span())

    def choose(self, chooser: Chooser, choice: Choice, row: Row, value: object) -> StepTrace:
        """The rules up to the one that fired, or all of a hit policy that looks at all; of a long table the near ones."""
        step = chooser.step
        scope = self.world.scope(row)
        last = choice.fired[0] if step.hit == "first" and choice.fired else len(step.rules) - 1
        numbers: Iterable[int] = range(last + 1)
        if last >= ALL_RULES:
            numbers = sorted({*choice.fired, *choice.unknown[:NEAR_RULES], *chooser.near(scope, last, NEAR_RULES)})
        rules = [self._rule(step.rules[i], i, i in choice.fired, scope) for i in numbers]
        return StepTrace(step.stage, "choose", step.name, row.label, value, step.hit, rules, last + 1)

    def _rule(self, rule: Rule, number: int, fired: bool, scope: Scope) -> RuleTrace:
        conditions = [c for expr in rule.conditions for c in observe(expr, scope, self.lists, self.compiled.watched)]
        for condition in conditions:
            for part in condition.parts:
                self.rests_on(part.node, scope)
        result: bool | None = True
        for condition in conditions:
            result = v.both(result, condition.result)
        return RuleTrace(
            number + 1, str(rule.name), result, conditions, self.compiled.place(rule.name), str(rule.because or ""), rule.value, fired
        )

    def _relate(self, step: Relate, row: Row) -> StepTrace:
        match = self.world.matcher(step).match(row)
        candidates = [
            {"id": c.row["id"], "name": c.row.label, "method": c.method, "score": c.score, "ties": v.plain(c.ties), "lost": c.lost or None}
            for c in match.candidates[:20]
        ]
        details = {"method": match.method or None, "candidates": candidates, "candidates_total": len(match.candidates)}
        place = step.methods[0].match.text.span()
        record = None if match.row is None else match.row["id"]
        return StepTrace(step.stage, "relate", step.name, row.label, record, place=place, details=details)

"""`windows:` protection windows, counted from a date and renewed by activities.

A window `protection` of accounts adds the fields `protection_since`, `protection_until` and `protection_state`, which is
`none`, `protected`, `grace`, `cool_off` or `expired`; with `grace:` also `protection_grace_until`. Days lower to `Derive`, the state to a `Choose`. Windows
are half-open: the day they end belongs to the next state. A window with `from` and `until` is a freeze, the same days for all.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from roe.diagnostics import suggest
from roe.grammar import syntax as s
from roe.grammar import types as t
from roe.plan.operators import Choose, Derive, Rule, Window
from roe.policy.context import Context, written
from roe.source import Text

STATES = ("none", "protected", "grace", "cool_off", "expired")


def declare(policy: dict[str, Any], cx: Context) -> None:
    for name, raw in (policy.get("windows") or {}).items():
        entity = str(raw.get("for") or "account")
        if entity not in cx.model.entities:
            cx.say("R504", raw["for"], f"there is no entity `{entity}`", suggest(entity, cx.model.entities, "correct it"))
            continue
        for part, kind in (("since", t.DATE), ("until", t.DATE), ("state", t.Type("string", values=STATES))):
            cx.model.steps[entity, f"{name}_{part}"] = lambda kind=kind: kind  # type: ignore[misc]
        if raw.get("grace") and raw.get("lasts"):
            cx.model.steps[entity, f"{name}_grace_until"] = lambda: t.DATE


def lower(policy: dict[str, Any], cx: Context) -> tuple[Window, ...]:
    """Every window of the policy, those of other stages first."""
    windows = cx.windows
    for name, raw in (policy.get("windows") or {}).items():
        entity = str(raw.get("for") or "account")
        if (entity, f"{name}_state") not in cx.model.steps:
            continue
        role = raw.get("role") or cx.model.roles()[0]
        if role not in cx.model.roles():
            cx.say("R502", role, f"there is no role `{role}`", suggest(role, cx.model.roles(), "add it under `roles:`"))
        lasts, grace, cool = (cx.duration(raw.get(k)) for k in ("lasts", "grace", "cool_off"))
        record = s.Name(entity)
        if raw.get("from") or raw.get("until"):
            windows += _freeze(raw, cx, entity, str(name), str(role))
            continue
        if lasts is None:
            continue
        start: s.Node = s.Path(record, cx.of_role("owner_since", str(role)))
        if raw.get("starts"):
            given = cx.value(raw["starts"], cx.names(entity), "date")
            start = given.tree if given else start
        since: s.Node = start
        if raw.get("renewed_by"):
            names = replace(cx.names(entity, implicit=True), implicit=(t.record(entity), t.record("activity")))
            renewing = cx.condition(raw["renewed_by"], names)
            if renewing:
                since = _latest(start, entity, renewing.tree)
        text = raw["lasts"]
        until = s.Binary("+", s.Path(record, f"{name}_since"), _literal(lasts, text))
        cx.steps[entity, f"{name}_since"] = Derive(entity, f"{name}_since", "window", written(since, text))
        cx.steps[entity, f"{name}_until"] = Derive(entity, f"{name}_until", "window", written(until, text))
        grace_until = f"{name}_grace_until" if grace is not None else ""
        if grace is not None:
            tree = s.Binary("+", s.Path(record, f"{name}_until"), _literal(grace, raw["grace"]))
            cx.steps[entity, grace_until] = Derive(entity, grace_until, "window", written(tree, raw["grace"]))
        cx.steps[entity, f"{name}_state"] = _states(entity, str(name), text, raw, grace_until, cool)
        windows.append(Window(str(name), entity, str(role), f"{name}_state", f"{name}_until", grace_until))
    return tuple(windows)


def _freeze(raw: Any, cx: Context, entity: str, name: str, role: str) -> list[Window]:
    """A freeze: from one day up to another, whoever owns a record keeps it; `when` says which records."""
    cx.period(raw.get("from"), raw.get("until"))
    days = [cx.day(raw.get(key)) for key in ("from", "until")]
    if days[0] is None or days[1] is None or days[1] <= days[0]:
        return []
    text = raw["until"]
    names = cx.names(entity)
    when = cx.condition(raw["when"], names) if raw.get("when") else None
    first, last = (s.Literal(day, f'@"{day}"') for day in days)
    for part, day in (("since", first), ("until", last)):
        tree: s.Node = day if when is None else s.If(when.tree, day, s.Literal(None, "null"))
        cx.steps[entity, f"{name}_{part}"] = Derive(entity, f"{name}_{part}", "window", written(tree, text))
    today, until = s.Name("today"), s.Path(s.Name(entity), f"{name}_until")
    rules = (
        _rule("none", s.Or((s.Compare("=", until, s.Literal(None, "null")), s.Compare("<", today, first))), text),
        _rule("protected", s.Compare("<", today, last), text),
        _rule("expired", s.Literal(True, "true"), text),
    )
    cx.steps[entity, f"{name}_state"] = Choose(entity, f"{name}_state", "window", "first", rules)
    return [Window(name, entity, role, f"{name}_state", f"{name}_until")]


def _latest(start: s.Node, entity: str, renewing: s.Node) -> s.Node:
    """`max` of the start and the dates of the renewing activities since then that are not in the future."""
    date, today = s.Name("date"), s.Name("today")
    counts = s.And((*s.conjuncts(renewing), s.Compare("<=", date, today), s.Compare(">=", date, start)))
    dates = s.Path(s.Filter(s.Path(s.Name(entity), "activities"), counts), "date")
    return s.Call("max", (s.Call("append", (dates, start), ("", "")),), ("",))


def _states(entity: str, name: str, text: Text, raw: Any, grace_until: str, cool: Any) -> Choose:
    until = s.Path(s.Name(entity), f"{name}_until")
    ends: list[tuple[str, s.Node]] = [("protected", until)]
    if grace_until:
        ends.append(("grace", s.Path(s.Name(entity), grace_until)))
    if cool is not None:
        ends.append(("cool_off", s.Binary("+", ends[-1][1], _literal(cool, raw["cool_off"]))))
    rules = [_rule("none", s.Compare("=", until, s.Literal(None, "null")), text)]
    rules += [_rule(state, s.Compare("<", s.Name("today"), end), text) for state, end in ends]
    rules.append(_rule("expired", s.Literal(True, "true"), text))
    return Choose(entity, f"{name}_state", "window", "first", tuple(rules))


def _rule(state: str, tree: s.Node, text: Text) -> Rule:
    return Rule(Text(state, text.origin), (written(tree, text),), state)


def _literal(value: Any, text: Text) -> s.Literal:
    return s.Literal(value, str(text))

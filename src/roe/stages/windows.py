"""`windows:` protection windows, counted from a date and renewed by activities.

A window `protection` of accounts adds the fields `protection_since`, `protection_until` and `protection_state`, which is
`none`, `protected`, `grace`, `cool_off` or `expired`; with `grace:` also `protection_grace_until`. Days lower to `Derive`, the state to a `Choose`. Windows
are half-open: the day they end belongs to the next state. A window with `from` and `until` is a freeze, the same days for all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from roe.grammar import syntax as s
from roe.grammar import types as t
from roe.plan.operators import Choose, Derive, Rule
from roe.plan.parts import Window
from roe.policy.context import Context, written
from roe.policy.section import Day, Duration, Entity, Expression, Heading, Identifier, PositiveDuration, Section, key, section
from roe.source import Text

STATES = ("none", "protected", "grace", "cool_off", "expired")


def _without(*names: str) -> dict[str, object]:
    return {"anyOf": [{"required": [name]} for name in names]}


@section
class WindowSection(Section):
    """days in which an owner is protected: counted from a date (`lasts`), or the same for all (`from` and `until`)"""

    for_: Entity | None = None
    role: Text | None = None
    lasts: PositiveDuration | None = None
    starts: Expression | None = key("the date it counts from; `owner_since` unless given", default=None)
    renewed_by: Expression | None = key("a condition on an activity, whose date then counts", default=None)
    grace: Duration | None = None
    cool_off: Duration | None = None
    description: Text | None = None
    from_: Day | None = key("a freeze: from this day on", default=None)
    until: Day | None = key("a freeze: up to, but not including, this day", default=None)
    when: Expression | None = key("a freeze: which records", default=None)
    KEYWORDS: ClassVar[Mapping[str, object]] = {
        "oneOf": [
            {"required": ["lasts"], "not": _without("from", "until", "when")},
            {"required": ["from", "until"], "not": _without("starts", "renewed_by", "grace", "cool_off")},
        ]
    }


WINDOWS = Heading("windows", Mapping[Identifier, WindowSection], "ownership windows")


def declare(windows: Mapping[Text, WindowSection], cx: Context) -> None:
    for name, window in windows.items():
        entity = str(window.for_ or "account")
        if window.for_ and not cx.has_entity(window.for_):
            continue
        for suffix, kind in (("since", t.DATE), ("until", t.DATE), ("state", t.Type("string", values=STATES))):
            cx.model.steps[entity, f"{name}_{suffix}"] = kind
        if window.grace and window.lasts:
            cx.model.steps[entity, f"{name}_grace_until"] = t.DATE


def lower(windows: Mapping[Text, WindowSection], cx: Context) -> tuple[Window, ...]:
    """Every window of the policy, those of other stages first."""
    for name, window in windows.items():
        entity = str(window.for_ or "account")
        if (entity, f"{name}_state") not in cx.model.steps:
            continue
        role, text = cx.role(window.role), window.lasts
        lasts, grace, cool = map(cx.duration, (text, window.grace, window.cool_off))
        record = s.Name(entity)
        if window.from_ or window.until:
            cx.windows += _freeze(window, cx, entity, str(name), role)
            continue
        if lasts is None or text is None:
            continue
        start: s.Node = s.Path(record, cx.of_role("owner_since", role))
        if window.starts:
            given = cx.value(window.starts, cx.names(entity), "date")
            start = given.tree if given else start
        since: s.Node = start
        if window.renewed_by:
            names = replace(cx.names(entity, implicit=True), implicit=(t.record(entity), t.record("activity")))
            renewing = cx.condition(window.renewed_by, names)
            if renewing:
                since = _latest(start, entity, renewing.tree)
        until = s.Binary("+", s.Path(record, f"{name}_since"), _literal(lasts, text))
        cx.steps[entity, f"{name}_since"] = Derive(entity, f"{name}_since", "window", written(since, text))
        cx.steps[entity, f"{name}_until"] = Derive(entity, f"{name}_until", "window", written(until, text))
        ends: list[tuple[str, s.Node]] = [("protected", s.Path(record, f"{name}_until"))]
        grace_until = f"{name}_grace_until" if grace is not None else ""
        if window.grace and grace_until:
            tree = s.Binary("+", s.Path(record, f"{name}_until"), _literal(grace, window.grace))
            cx.steps[entity, grace_until] = Derive(entity, grace_until, "window", written(tree, window.grace))
            ends.append(("grace", s.Path(record, grace_until)))
        if window.cool_off and cool is not None:
            ends.append(("cool_off", s.Binary("+", ends[-1][1], _literal(cool, window.cool_off))))
        cx.steps[entity, f"{name}_state"] = _states(entity, str(name), text, ends)
        cx.windows.append(Window(str(name), entity, role, f"{name}_state", f"{name}_until", grace_until))
    return tuple(cx.windows)


def _freeze(window: WindowSection, cx: Context, entity: str, name: str, role: str) -> list[Window]:
    """A freeze: from one day up to another, whoever owns a record keeps it; `when` says which records."""
    cx.period(window.from_, window.until)
    days = [cx.day(text) for text in (window.from_, window.until)]
    text = window.until
    if text is None or days[0] is None or days[1] is None or days[1] <= days[0]:
        return []
    names = cx.names(entity)
    when = cx.condition(window.when, names) if window.when else None
    first, last = (s.Literal(day, f'@"{day}"') for day in days)
    for suffix, day in (("since", first), ("until", last)):
        tree: s.Node = day if when is None else s.If(when.tree, day, s.Literal(None, "null"))
        cx.steps[entity, f"{name}_{suffix}"] = Derive(entity, f"{name}_{suffix}", "window", written(tree, text))
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


def _states(entity: str, name: str, text: Text, ends: list[tuple[str, s.Node]]) -> Choose:
    """The state of a window by the moments at which each state ends; the first is the end of protection."""
    rules = [_rule("none", s.Compare("=", ends[0][1], s.Literal(None, "null")), text)]
    rules += [_rule(state, s.Compare("<", s.Name("today"), end), text) for state, end in ends]
    rules.append(_rule("expired", s.Literal(True, "true"), text))
    return Choose(entity, f"{name}_state", "window", "first", tuple(rules))


def _rule(state: str, tree: s.Node, text: Text) -> Rule:
    return Rule(Text(state, text.origin), (written(tree, text),), state)


def _literal(value: object, text: Text) -> s.Literal:
    return s.Literal(value, str(text))

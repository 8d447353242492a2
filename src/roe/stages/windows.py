"""`windows:` protection windows, counted from a date and renewed by activities.

A window `protection` of accounts adds the fields `protection_since`, `protection_until` and `protection_state`, which is
`none`, `protected`, `grace`, `cool_off` or `expired`; with `grace:` also `protection_grace_until`. Days lower to `Derive`, the state to a `Choose`. Windows
are half-open: the day they end belongs to the next state. A window with `from` and `until` is a freeze, the same days for all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
        if window.grace:
            cx.model.steps[entity, f"{name}_grace_until"] = t.DATE


def lower(windows: Mapping[Text, WindowSection], cx: Context) -> tuple[Window, ...]:
    """Every window of the policy, those of other stages first."""
    for name, window in windows.items():
        entity, state = str(window.for_ or "account"), f"{name}_state"
        if (entity, state) not in cx.model.steps:
            continue
        made = Window(str(name), entity, cx.role(window.role), state, f"{name}_until", f"{name}_grace_until" if window.grace else "")
        text = window.until or window.lasts
        assert text is not None  # a section has one of the two
        rules = _freeze(made, window, text, cx) if window.until else _counted(made, window, text, cx)
        cx.steps[entity, state] = Choose(entity, state, "window", "first", tuple(rules))
        cx.windows.append(made)
    return tuple(cx.windows)


def _counted(made: Window, window: WindowSection, text: Text, cx: Context) -> Iterator[Rule]:
    """A window that is counted from a date: the states end one after the other."""
    entity, record, since = made.entity, s.Name(made.entity), f"{made.name}_since"
    start: s.Node = s.Path(record, cx.of_role("owner_since", made.role))
    if window.starts:
        given = cx.value(window.starts, cx.names(entity), "date")
        start = given.tree if given else start
    counts = start
    if window.renewed_by:
        names = replace(cx.names(entity), implicit=(t.record(entity), t.record("activity")))
        renewing = cx.condition(window.renewed_by, names)
        counts = _latest(start, entity, renewing.tree) if renewing else start
    until = s.Path(record, made.until)
    days = {since: (counts, text), made.until: (_after(s.Path(record, since), text, cx), text)}
    ends: list[tuple[str, s.Node]] = [("protected", until)]
    if window.grace:
        days[made.grace_until] = _after(until, window.grace, cx), window.grace
        ends.append(("grace", s.Path(record, made.grace_until)))
    if window.cool_off:
        ends.append(("cool_off", _after(ends[-1][1], window.cool_off, cx)))
    for name, (tree, place) in days.items():
        cx.steps[entity, name] = Derive(entity, name, "window", written(tree, place))
    yield _rule("none", s.is_missing(until), text)
    for state, end in ends:
        yield _rule(state, s.Compare("<", s.Name("today"), end), text)
    yield _rule("expired", s.TRUE, text)


def _freeze(made: Window, window: WindowSection, text: Text, cx: Context) -> Iterator[Rule]:
    """A freeze: from one day up to another, whoever owns a record keeps it; `when` says which records."""
    cx.period(window.from_, text)  # says what is wrong with the days
    first, last = (s.Literal(cx.day(day), f'@"{day}"') for day in (window.from_, text))
    when = cx.condition(window.when, cx.names(made.entity))
    for name, day in ((f"{made.name}_since", first), (made.until, last)):
        tree: s.Node = day if when is None else s.If(when.tree, day, s.NULL)
        cx.steps[made.entity, name] = Derive(made.entity, name, "window", written(tree, text))
    today, until = s.Name("today"), s.Path(s.Name(made.entity), made.until)
    yield _rule("none", s.Or((s.is_missing(until), s.Compare("<", today, first))), text)
    yield _rule("protected", s.Compare("<", today, last), text)
    yield _rule("expired", s.TRUE, text)


def _latest(start: s.Node, entity: str, renewing: s.Node) -> s.Node:
    """`max` of the start and the dates of the renewing activities since then that are not in the future."""
    date, today = s.Name("date"), s.Name("today")
    counts = s.And((*s.conjuncts(renewing), s.Compare("<=", date, today), s.Compare(">=", date, start)))
    dates = s.Path(s.Filter(s.Path(s.Name(entity), "activities"), counts), "date")
    return s.Call("max", (s.Call("append", (dates, start), ("", "")),), ("",))


def _rule(state: str, tree: s.Node, text: Text) -> Rule:
    return Rule(Text(state, text.origin), (written(tree, text),), state)


def _after(moment: s.Node, text: Text, cx: Context) -> s.Node:
    """The moment so long after another one."""
    return s.Binary("+", moment, s.Literal(cx.days(text), str(text)))

"""`engagement:` per entity and role, first match; each list lowers to a `Choose` whose values are actions."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Literal

from roe.crm.ids import fold
from roe.diagnostics import suggest
from roe.grammar import syntax as s
from roe.grammar import types as t
from roe.grammar import values as v
from roe.grammar.names import Names
from roe.grammar.parser import parse
from roe.plan.operators import Action, Choose, Expr, Rule
from roe.plan.outcome import LEFT
from roe.policy.context import Context, written
from roe.policy.section import (
    Day,
    Duration,
    Entity,
    Expression,
    Form,
    Heading,
    Identifier,
    Name,
    Overrides,
    PositiveDuration,
    Section,
    key,
    section,
)
from roe.source import Added, Inline, SameOrigin, Text
from roe.stages import do_not_route
from roe.stages.crm import OPEN
from roe.stages.do_not_route import UntouchedSection

CLOSED = "closed"  # the name of the rule that every list of leads begins with
BY_HAND = "by-hand"  # of the one for an owner whom somebody changed in the CRM


@section
class AssignSection(Section):
    """give the record to a rep"""

    assign: Expression = key("a rep, owners, or a rep's id")
    until: Expression | None = key("the date on which it ends", default=None)


@section
class RouteSection(Section):
    """let the reps of a pool take turns"""

    route: Text = key("a pool")


@section
class EscalationSection(Section):
    """who is asked, and after how long"""

    to: Text
    after: Duration | None = None


@section
class ReferSection(Section):
    """let a person decide"""

    refer: Text | Annotated[tuple[EscalationSection, ...], Form(minItems=1)] = key(
        "who must decide; a list escalates: `[{to: account.owner.ae.manager}, {to: vp, after: 5 days}]`"
    )
    within: Duration | None = None


@section
class KeepSection(Section):
    """keep today's owner for a time"""

    keep: PositiveDuration = key("how long to keep today's owner")


Word = Annotated[
    Literal["keep", "open", "hold", "return", "refer"],
    Form(description="keep today's owner, open for claims, hold, return to the pool, or refer to a person"),
]
ActionSection = Word | AssignSection | RouteSection | ReferSection | KeepSection


@section
class RuleSection(Section):
    """a rule: when it matches, and what it does"""

    name: Name = key("unique in its list; it appears in allocations")
    when: Expression | None = None
    then: ActionSection
    else_: ActionSection | None = key("what to do if `assign` finds nobody", default=None)
    because: Text | None = key("one sentence for reps; {account.name} is replaced", default=None)
    description: Text | None = None
    overrides: Overrides | None = None
    from_: Day | None = key("in force from this day on", default=None)
    until: Day | None = key("in force up to, but not including, this day", default=None)


@section
class ByHandReferSection(Section):
    """let a person decide about an owner whom somebody changed in the CRM"""

    refer: Text
    within: Duration | None = None


ByHandSection = Literal["keep", "decide", "refer"] | KeepSection | ByHandReferSection
Engagement = Mapping[Entity, Mapping[Identifier, tuple[RuleSection, ...]]]
ByHand = Mapping[Text, Mapping[Text, ByHandSection]]
ENGAGEMENT = Heading("engagement", Engagement, "per entity and role: rules, first match")
CHANGED_BY_HAND = Heading(
    "by_hand",
    ByHand,
    "what rules do about an owner whom somebody changed in the CRM, per entity and role: `keep` (for a time: `{keep: 30 days}`), `decide` "
    "or `refer`; default: keep for records that a pool gave, decide otherwise",
)


def lower(
    engagement: Engagement, by_hand: ByHand, do_not_touch: tuple[UntouchedSection, ...], cx: Context
) -> dict[tuple[str, str], Choose]:
    lists: dict[tuple[str, str], Choose] = {}
    with cx.apart():  # its own stage says what is wrong with it
        untouched = do_not_route.lower(do_not_touch, cx)
    for entity, by_role in engagement.items():
        if not cx.has_entity(entity, "declare it under `fields:`"):
            continue
        if cx.model.field_type(entity, "owner") != t.OWNERS:
            cx.say("R504", entity, f"a {entity} has no owners", "only entities with a field `owner` can be allocated")
            continue
        for role, given in by_role.items():
            if not cx.has_role(role):
                continue
            names = [rule.name for rule in given]
            cx.unique_names(names, "rules of one role")
            for taken in [name for name in names if name == CLOSED and entity == "lead"]:
                cx.say(
                    "R306", taken, f"`{CLOSED}` is the built-in rule for leads that are converted or disqualified", "choose another name"
                )
            rules = (
                *do_not_route.rules(untouched, str(entity)),
                *_closed(entity, cx),
                *_by_hand(by_hand.get(entity, {}).get(role), entity, role, any(_asks_pool(rule) for rule in given), cx),
                *(_rule(rule, str(entity), str(role), names, cx) for rule in given),
            )
            lists[str(entity), str(role)] = Choose(str(entity), f"engagement_{role}", "engagement", "first", rules)
    return lists


def declared_by_hand(by_hand: ByHand, cx: Context) -> dict[str, str]:
    """By `entity|role` what rules do about an owner whom somebody changed in the CRM: keep, decide or refer."""
    declared = {}
    for entity, by_role in by_hand.items():
        if not cx.has_entity(entity):
            continue
        for role, asked in by_role.items():
            cx.has_role(role)
            declared[f"{entity}|{role}"] = (
                "keep" if isinstance(asked, KeepSection) else "refer" if isinstance(asked, ByHandReferSection) else str(asked)
            )
    return declared


def _asks_pool(rule: RuleSection) -> bool:
    return isinstance(rule.then, RouteSection) or isinstance(rule.else_, RouteSection)


def _by_hand(asked: ByHandSection | None, entity: Text, role: Text, has_pool: bool, cx: Context) -> tuple[Rule, ...]:
    """The rule for a record whose owner somebody changed in the CRM, where the policy says what follows.

    A record whose owner was taken away stays with nobody, too, but not where pools give records: there it is given anew.
    """
    if asked is None or asked == "decide":
        return ()
    at, record = Inline(BY_HAND), s.Name(str(entity))
    changed = s.In(s.Path(record, f"owner_by.{role}"), (s.Literal("hand", '"hand"'), s.Literal("system", '"system"')))
    conditions = [written(changed, Text(BY_HAND, at))]
    since = f"{{{entity}.owner_from.{role}}}"
    if asked == "refer" or isinstance(asked, ByHandReferSection):
        to, within = (asked.refer, cx.lasting(asked.within)) if isinstance(asked, ByHandReferSection) else ("sales operations", None)
        return (
            Rule(Text(BY_HAND, at), tuple(conditions), Action("refer", to=to, within=within), Text(f"changed in the CRM on {since}", at)),
        )
    if has_pool:
        has_owner = s.Compare("!=", s.Path(s.Path(record, "owner"), str(role)), s.NULL)
        conditions.append(written(has_owner, Text(BY_HAND, at)))
    action = Action("keep", within=cx.lasting(asked.keep)) if isinstance(asked, KeepSection) else Action("keep")
    conditions += _still_holds(Text("keep", at), action, str(entity), str(role), cx.names(str(entity)), cx)
    return (Rule(Text(BY_HAND, at), tuple(conditions), action, Text(f"changed in the CRM on {since}: it stays as it is", at)),)


def _closed(entity: Text, cx: Context) -> tuple[Rule, ...]:
    """The first rule of leads: one that is converted or disqualified stays as it is, since the CRM no longer lets it move."""
    if entity != "lead" or (entity, OPEN) not in cx.steps:
        return ()
    at = Inline(CLOSED)
    closed = s.Compare("=", s.Path(s.Name(str(entity)), OPEN), s.FALSE)
    return (
        Rule(
            Text(CLOSED, at), (written(closed, Text(CLOSED, at)),), Action("keep"), Text(f"the {entity} is closed: it stays as it is", at)
        ),
    )


def _rule(rule: RuleSection, entity: str, role: str, others: list[Text], cx: Context) -> Rule:
    names = cx.names(entity)
    conditions = cx.conditions(rule.when, names, rule.from_, rule.until)
    otherwise = _action(rule.else_, entity, role, cx, None) if rule.else_ is not None else None
    action = _from_its_own_entry(_action(rule.then, entity, role, cx, otherwise), rule.name, entity, role, cx)
    limit = rule.then.keep if isinstance(rule.then, KeepSection) else rule.then.until if isinstance(rule.then, AssignSection) else None
    conditions += _still_holds(limit, action, entity, role, names, cx)
    cx.sentence(rule.because, names)
    return Rule(rule.name, conditions, action, rule.because, cx.overrides(rule.overrides, rule.name, others))


def _from_its_own_entry(action: Action, name: Text, entity: str, role: str, cx: Context) -> Action:
    """An `until` such as `today + 30 days` counts from the night on which the rule first decided the record, as the ledger has it."""
    if action.kind != "assign" or action.until is None or not any(_is_clock(node) for node in s.walk(action.until.tree)):
        return action
    kind = cx.type_of(action.until, cx.names(entity)).name
    read = {"date": "date", "date and time": "date_and_time"}.get(kind)
    if read is None:
        return action
    holds, begun = s.Path(s.Name(entity), f"holds.{role}"), _text(f"\n{name}\t")
    rest = s.Call("substring_after", (holds, begun), ("", ""))
    end = s.Call(read, (s.Call("substring_before", (rest, _text("\n")), ("", "")),), ("",))
    tree = s.If(s.Call("contains", (holds, begun), ("", "")), end, action.until.tree)
    return replace(action, until=Expr(tree, action.until.text))


def _is_clock(node: s.Node) -> bool:
    return (isinstance(node, s.Name) and node.id in ("today", "now")) or (isinstance(node, s.Call) and node.function in ("today", "now"))


def _text(text: str) -> s.Literal:
    return s.Literal(text, json.dumps(text))


def _still_holds(limit: Text | None, action: Action, entity: str, role: str, names: Names, cx: Context) -> tuple[Expr, ...]:
    """That the time of an action is not over, which is added to the rule: once it has ended, the next rule decides."""
    if limit is None:
        return ()
    end: s.Node
    if action.kind == "keep" and action.within is not None:
        since = s.Path(s.Name(entity), f"owner_from.{role}")
        within = (
            timedelta(days=action.within.days) if isinstance(action.within, v.CalendarDays) else action.within
        )  # of a date it is the same
        end, clock = s.Binary("+", since, s.Literal(within, str(limit))), "today"
    elif action.kind == "assign" and action.until is not None:
        end, kind = action.until.tree, cx.type_of(action.until, names).name
        if kind not in ("date", "date and time"):
            return ()
        clock = "today" if kind == "date" else "now"
    else:
        return ()
    open_end = s.is_missing(end)
    return (written(s.Or((open_end, s.Compare("<", s.Name(clock), end))), limit, Added),)


# a name, an e-mail address or an id, as people write them: no operator, no bracket
_WORDS = re.compile(r"[^\W_][\w'’.@+-]*( [\w'’.@+-]+)*")


def _person(text: Text, names: Names) -> Expr | None:
    """A rep whom a rule names without quotes: `Tina Thomas`, `tina@x.com`, `u17`. None for what is an expression."""
    if not _WORDS.fullmatch(text):
        return None
    tree, _ = parse(text)
    known = {*names.variables, *names.shorthands}
    if isinstance(tree, s.Name):  # one word: an expression if it is a name, or nearly one
        person = tree.id not in known and not suggest(tree.id, known, "", 0.75)
    else:  # several words are not an expression; a number is an id, and `tina-ann` is not a difference of two unknown names
        numeric = isinstance(tree, s.Literal) and v.is_number(tree.value)
        dashed = isinstance(tree, s.Binary) and not any(n.id in known for n in s.walk(tree) if isinstance(n, s.Name)) and " " not in text
        person = (tree is None and text.replace(" ", "_") not in known) or numeric or dashed
    return Expr(s.Literal(fold(str(text)), str(text), (0, len(text))), text) if person else None


def _action(asked: ActionSection, entity: str, role: str, cx: Context, otherwise: Action | None) -> Action:
    if isinstance(asked, AssignSection):
        names = cx.names(entity)
        expr = _person(asked.assign, names) or _assignee(asked.assign, names, cx)
        until = cx.value(asked.until, names, "date", "date and time")
        return Action("assign", assign=expr, until=until, otherwise=otherwise)
    if isinstance(asked, RouteSection):
        pool = asked.route
        if pool not in cx.pools:
            cx.say("R501", pool, f"there is no pool `{pool}`", suggest(pool, cx.pools, "declare it under `pools:`"))
        return Action("route", pool=pool, otherwise=otherwise)
    if isinstance(asked, ReferSection):
        if isinstance(asked.refer, Text):
            to, asks = _decider(asked.refer, entity, role, cx)
        else:
            to, asks = _deciders(asked.refer, entity, role, cx), None
        return Action("refer", to=to, asks=asks, within=cx.lasting(asked.within), otherwise=otherwise)
    if isinstance(asked, KeepSection):
        return Action("keep", within=cx.lasting(asked.keep), otherwise=otherwise)
    if asked == "refer":
        cx.say("R503", asked, "`refer` needs a person", "write `then: {refer: emea-manager, within: 2 working days}`")
    return Action(str(asked), otherwise=otherwise)


def _assignee(text: Text, names: Names, cx: Context) -> Expr | None:
    """Who is assigned. A column of numeric ids is a column of numbers: a number is the id that is written like it."""
    expr = cx.value(text, names, "record", "owners", "string", *(("number",) if _is_given(text, cx) else ()))
    if expr is None or cx.type_of(expr, names).name != "number":
        return expr
    return Expr(s.Call("string", (expr.tree,), ("",)), expr.text)


def _is_given(text: Text, cx: Context) -> bool:
    """Whether a value comes from the policy, as an id or the cell of a table does; a number in a record's own field is not a person."""
    tree, _ = parse(str(text))
    own = isinstance(tree, s.Path) and isinstance(tree.base, s.Name) and tree.field in cx.model.entities.get(tree.base.id, {})
    return not own


def _deciders(steps: tuple[EscalationSection, ...], entity: str, role: str, cx: Context) -> str:
    """Who must decide by how long the question has been open: the last of a list whose time has come, and the next one if that rep has left."""
    asked = f"{entity}.referred_on.{role}"
    decider, who = "", ""
    for step in reversed(steps):
        who = _who(step.to, who, entity, role, cx)
        after = None if step is steps[0] else step.after  # somebody is asked from the first day on
        if after is not None:
            cx.days(after)
        since = "today" if after is None else f"(if {asked} = null then today else {asked}) + {after} <= today"
        decider = _before(decider, who if after is None else f"if {since} then {who}")
    return Text(f"{{{decider}}}", SameOrigin(steps[0].to))


def _who(to: Text, following: str, entity: str, role: str, cx: Context) -> str:
    """An expression of who must decide; `following` is that of the next step, which is asked instead of a rep who has left."""
    text, rep = _decider(to, entity, role, cx)
    if rep is None:
        return text[1:-1] if text.startswith("{") else f'"{text}"'
    name = f"{rep.text}.name"
    instead = following or f'{name} + "{LEFT}"'
    gone = f"{rep.text} = null or {rep.text}.may_hold = false" if following else f"{rep.text}.may_hold = false"
    return f"(if {gone} then {instead} else {name})"


def _before(later: str, step: str) -> str:
    """A step behind those that come later, which are asked first."""
    return f"{later} else {step}" if later else step


def _decider(to: Text, entity: str, role: str, cx: Context) -> tuple[str, Expr | None]:
    """Who must decide, as a sentence has it: a name, or `{expression}` where the text begins with a known entity and a dot, and then the
    expression of the rep.
    """
    if to.partition(".")[0] not in cx.model.entities or "." not in to:
        cx.sentence(to, cx.names(entity))
        return to, None
    expr = cx.value(to, cx.names(entity), "record", "owners", "string")
    if expr is None or cx.type_of(expr, cx.names(entity)).name == "string":
        return Text(f"{{{to}}}", SameOrigin(to)), None
    if cx.type_of(expr, cx.names(entity)) == t.OWNERS:
        of_role = Text(f"{to}.{role}", SameOrigin(to))
        return Text(f"{{{of_role}}}", SameOrigin(to)), Expr(s.Path(expr.tree, role), of_role)
    is_rep = cx.type_of(expr, cx.names(entity)).entity == "rep"
    return Text(f"{{{to}}}", SameOrigin(to)), expr if is_rep else None

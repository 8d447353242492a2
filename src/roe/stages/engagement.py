"""`engagement:` per entity and role, first match; each list lowers to a `Choose` whose values are actions."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

from roe.crm.ids import fold
from roe.diagnostics import suggest
from roe.grammar import syntax as s
from roe.grammar import types as t
from roe.grammar import values as v
from roe.grammar.names import Names
from roe.grammar.parser import parse
from roe.plan.operators import Action, Choose, Expr, Rule
from roe.policy.context import Context, written
from roe.source import Inline, Same, Text
from roe.stages.crm import OPEN

CLOSED = "closed"  # the name of the rule that every list of leads begins with
BY_HAND = "by-hand"  # of the one for an owner whom somebody changed in the CRM


def lower(policy: dict[str, Any], cx: Context) -> dict[tuple[str, str], Choose]:
    out: dict[tuple[str, str], Choose] = {}
    for entity, by_role in (policy.get("engagement") or {}).items():
        if entity not in cx.model.entities:
            cx.say("R504", entity, f"there is no entity `{entity}`", suggest(entity, cx.model.entities, "declare it under `fields:`"))
            continue
        if cx.model.field_type(entity, "owner") != t.OWNERS:
            cx.say("R504", entity, f"a {entity} has no owners", "only entities with a field `owner` can be allocated")
            continue
        for role, found in by_role.items():
            if role not in cx.model.roles():
                cx.say("R502", role, f"there is no role `{role}`", suggest(role, cx.model.roles(), "add it under `roles:`"))
                continue
            names = [raw["name"] for raw in found]
            cx.unique_names(names, "rules of one role")
            for taken in [name for name in names if name == CLOSED and entity == "lead"]:
                cx.say(
                    "R306", taken, f"`{CLOSED}` is the built-in rule for leads that are converted or disqualified", "choose another name"
                )
            by_hand = _by_hand(policy, entity, role, cx)
            rules = (*_closed(entity, cx), *by_hand, *(_rule(raw, str(entity), str(role), names, cx) for raw in found))
            out[str(entity), str(role)] = Choose(str(entity), f"engagement_{role}", "engagement", "first", rules)
    return out


def declared_by_hand(policy: dict[str, Any], cx: Context) -> dict[str, str]:
    """By `entity|role` what rules do about an owner whom somebody changed in the CRM: keep, decide or refer."""
    found = {}
    for entity, by_role in (policy.get("by_hand") or {}).items():
        if entity not in cx.model.entities:
            cx.say("R504", entity, f"there is no entity `{entity}`", suggest(entity, cx.model.entities, "correct it"))
            continue
        for role, raw in by_role.items():
            if role not in cx.model.roles():
                cx.say("R502", role, f"there is no role `{role}`", suggest(role, cx.model.roles(), "add it under `roles:`"))
            found[f"{entity}|{role}"] = str(raw) if isinstance(raw, str) else "refer" if "refer" in raw else "keep"
    return found


def _by_hand(policy: dict[str, Any], entity: Text, role: Text, cx: Context) -> tuple[Rule, ...]:
    """The rule for a record whose owner somebody changed in the CRM, where the policy says what follows."""
    raw = ((policy.get("by_hand") or {}).get(entity) or {}).get(role)
    if raw is None or raw == "decide":
        return ()
    at, record = Inline(BY_HAND), s.Name(str(entity))
    changed = s.In(s.Path(record, f"owner_by.{role}"), (s.Literal("hand", '"hand"'), s.Literal("system", '"system"')))
    conditions = [written(changed, Text(BY_HAND, at))]
    since = f"{{{entity}.owner_since.{role}}}"
    if raw == "refer" or (not isinstance(raw, str) and "refer" in raw):
        to = "sales operations" if isinstance(raw, str) else str(raw["refer"])
        within = None if isinstance(raw, str) else cx.lasting(raw.get("within"))
        return (
            Rule(Text(BY_HAND, at), tuple(conditions), Action("refer", to=to, within=within), Text(f"changed in the CRM on {since}", at)),
        )
    has_owner = s.Compare("!=", s.Path(s.Path(record, "owner"), str(role)), s.Literal(None, "null"))
    conditions.append(written(has_owner, Text(BY_HAND, at)))
    action = Action("keep") if isinstance(raw, str) else Action("keep", within=cx.lasting(raw["keep"]))
    conditions += _still_holds(
        {"keep": Text("keep", at)} if action.within else "keep", action, str(entity), str(role), cx.names(str(entity)), cx
    )
    return (Rule(Text(BY_HAND, at), tuple(conditions), action, Text(f"changed in the CRM on {since}: it stays as it is", at)),)


def _closed(entity: Text, cx: Context) -> tuple[Rule, ...]:
    """The first rule of leads: one that is converted or disqualified stays as it is, since the CRM no longer lets it move."""
    if entity != "lead" or (entity, OPEN) not in cx.steps:
        return ()
    at = Inline(CLOSED)
    closed = s.Compare("=", s.Path(s.Name(str(entity)), OPEN), s.Literal(False, "false"))
    return (
        Rule(
            Text(CLOSED, at), (written(closed, Text(CLOSED, at)),), Action("keep"), Text(f"the {entity} is closed: it stays as it is", at)
        ),
    )


def _rule(raw: Any, entity: str, role: str, others: list[Text], cx: Context) -> Rule:
    names = cx.names(entity)
    when = cx.condition(raw["when"], names) if raw.get("when") else None
    conditions = ((when,) if when else ()) + cx.period(raw.get("from"), raw.get("until"))
    otherwise = _action(raw["else"], entity, role, cx, None) if "else" in raw else None
    action = _from_its_own_entry(_action(raw["then"], entity, role, cx, otherwise), raw["name"], entity, role, cx)
    conditions += _still_holds(raw["then"], action, entity, role, names, cx)
    because = raw.get("because")
    cx.sentence(because, names)
    return Rule(raw["name"], conditions, action, because, cx.overrides(raw.get("overrides"), raw["name"], others))


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


def _still_holds(raw: Any, action: Action, entity: str, role: str, names: Names, cx: Context) -> tuple[Expr, ...]:
    """That the time of an action is not over: a rule whose hold has ended does not fire, and the next one decides."""
    if isinstance(raw, str):
        return ()
    end: s.Node
    if action.kind == "keep" and action.within is not None:
        since = s.Path(s.Name(entity), f"owner_from.{role}")
        within = (
            timedelta(days=action.within.days) if isinstance(action.within, v.CalendarDays) else action.within
        )  # of a date it is the same
        end, text, clock = s.Binary("+", since, s.Literal(within, str(raw["keep"]))), raw["keep"], "today"
    elif action.kind == "assign" and action.until is not None:
        end, text, kind = action.until.tree, raw["until"], cx.type_of(action.until, names).name
        if kind not in ("date", "date and time"):
            return ()
        clock = "today" if kind == "date" else "now"
    else:
        return ()
    open_end = s.Compare("=", end, s.Literal(None, "null"))
    return (written(s.Or((open_end, s.Compare("<", s.Name(clock), end))), text),)


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


def _action(raw: Any, entity: str, role: str, cx: Context, otherwise: Action | None) -> Action:
    if isinstance(raw, str):
        if raw == "refer":
            cx.say("R503", raw, "`refer` needs a person", "write `then: {refer: emea-manager, within: 2 working days}`")
        return Action(str(raw), otherwise=otherwise)
    if "assign" in raw:
        names = cx.names(entity)
        expr = _person(raw["assign"], names) or _assignee(raw["assign"], names, cx)
        until = cx.value(raw["until"], cx.names(entity), "date", "date and time") if raw.get("until") else None
        return Action("assign", assign=expr, until=until, otherwise=otherwise)
    if "route" in raw:
        pool = raw["route"]
        if pool not in cx.pools:
            cx.say("R501", pool, f"there is no pool `{pool}`", suggest(pool, cx.pools, "declare it under `pools:`"))
        return Action("route", pool=pool, otherwise=otherwise)
    if "refer" in raw:
        to: Any = raw["refer"]
        decider = _decider(to, entity, role, cx) if isinstance(to, Text) else _deciders(to, entity, role, cx)
        return Action("refer", to=decider, within=cx.lasting(raw.get("within")), otherwise=otherwise)
    return Action("keep", within=cx.lasting(raw["keep"]), otherwise=otherwise)


def _assignee(text: Any, names: Names, cx: Context) -> Expr | None:
    """Who is assigned. A column of numeric ids is a column of numbers: a number is the id that is written like it."""
    expr = cx.value(text, names, "record", "owners", "string", *(("number",) if _is_given(text, cx) else ()))
    if expr is None or cx.type_of(expr, names).name != "number":
        return expr
    return Expr(s.Call("string", (expr.tree,), ("",)), expr.text)


def _is_given(text: Any, cx: Context) -> bool:
    """Whether a value comes from the policy, as an id or the cell of a table does; a number in a record's own field is not a person."""
    tree, _ = parse(str(text))
    own = isinstance(tree, s.Path) and isinstance(tree.base, s.Name) and tree.field in cx.model.entities.get(tree.base.id, {})
    return not own


def _deciders(steps: Any, entity: str, role: str, cx: Context) -> str:
    """Who must decide by how long the question has been open: the last of a list whose time has come."""
    asked = f"{entity}.referred_on.{role}"
    found = ""
    for step in reversed(steps):
        text = _decider(step["to"], entity, role, cx)
        who = f"{text[1:-1]}.name" if text.startswith("{") else f'"{text}"'
        after = None if step is steps[0] else step.get("after")  # somebody is asked from the first day on
        if after is not None:
            cx.duration(after)
        since = "today" if after is None else f"(if {asked} = null then today else {asked}) + {after} <= today"
        found = (who if not found else f"{found} else {who}") if after is None else _before(found, f"if {since} then {who}")
    return Text(f"{{{found}}}", Same(steps[0]["to"]))


def _before(later: str, step: str) -> str:
    """A step behind those that come later, which are asked first."""
    return f"{later} else {step}" if later else step


def _decider(raw: Text, entity: str, role: str, cx: Context) -> str:
    """Who must decide, as a sentence has it: a name, or `{expression}` where the text begins with a known entity and a dot."""
    if raw.partition(".")[0] not in cx.model.entities or "." not in raw:
        cx.sentence(raw, cx.names(entity))
        return raw
    expr = cx.value(raw, cx.names(entity), "record", "owners", "string")
    owners = expr is not None and cx.type_of(expr, cx.names(entity)) == t.OWNERS
    return Text(f"{{{raw}.{role}}}" if owners else f"{{{raw}}}", Same(raw))

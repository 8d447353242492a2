"""A record: who owns it in each role, until when and why; what would change that; how it was decided, and what belongs to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, tzinfo

from markupsafe import Markup
from starlette.responses import Response

from roe.analysis import words
from roe.analysis.changes import Change, FieldChange, Wait
from roe.analysis.graph import chart
from roe.dynamic import Json, Value
from roe.evaluator.decision import Decision
from roe.evaluator.observe import Observed
from roe.evaluator.row import Row
from roe.evaluator.trace import StepTrace, Trace
from roe.grammar import syntax as s
from roe.ledger.people import Requested
from roe.plan.operators import Rule
from roe.web.app.flow import drawn
from roe.web.app.render import value
from roe.web.app.site import Ask

RELATED = 6  # related records of one kind that are listed
NEAR = 4  # rules that would decide first and are named


@dataclass(slots=True)
class RoleAnswer:
    """Who owns a record in one role. `trace`, `flow` and `near` are only there for those who may see the record's values."""

    role: str
    owner: str | None
    owner_name: str
    sentence: str
    reason: str
    action: str
    until: date | datetime | None
    rule: str = ""
    previous: str | None = None
    previous_name: str = ""
    since: Value = None
    pool: str = ""
    territory: str = ""
    unknown: tuple[str, ...] = ()
    trace: Trace | None = None
    flow: Markup | None = None
    near: list[Near] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Near:
    """A rule that comes before the one that decides: what it still asks, what that is now, and what it would do."""

    rule: str
    asks: tuple[tuple[str, str], ...]
    does: str


def show(ask: Ask) -> Response:
    entity, record = ask.request.path_params["entity"], ask.request.path_params["id"]
    row = ask.snapshot.row(entity, record)
    if row is None or entity == "rep":
        return ask.missing("There is no such record in the data that is loaded now.")
    full = ask.viewer.may_see_values(ask.snapshot, entity, record)
    decisions = ask.snapshot.decisions(entity, record)
    with ask.snapshot.world.as_before(entity):  # the values that its rules read, and not what the run made of them
        whole = full and ask.viewer.may_see_whole(ask.snapshot, row)
        answers = [answer(ask, d, full, whole) for d in decisions]
        shown: Json = {
            "values": values(row) if full else [],
            "computed": computed(row, answers) if whole else [],
            "related": related(ask, row) if full else [],
        }
    from roe.web.app.pages.acts import may_answer, proposed

    rep, role = ask.text("rep"), ask.text("role")
    acts = {name: ask.options.acts is not None and ask.viewer.may(name) for name in ("ask", "grant", "keep")}
    chosen = next((d for d in decisions if d.role == role), None)
    return ask.render(
        "record.html",
        entity=entity,
        record=record,
        row=row,
        full=full,
        whole=whole,
        answers=answers,
        reps=ask.snapshot.reps(),
        windows=bool(full and any(w.entity == entity for w in ask.snapshot.plan.windows)),
        asked=(role, rep),
        acts=acts,
        days=proposed(ask),
        standing=standing(ask, entity, record, full),
        answers_asked={o.role: o for o in ask.snapshot.outcomes.of(entity, record) if may_answer(ask, o)},
        why=why_not_answer(ask, chosen, rep) if chosen is not None and rep else None,
        **shown,
    )


def standing(ask: Ask, entity: str, record: str, full: bool) -> dict[str, dict[str, Requested | None]]:
    """role -> the exceptions that are asked for and granted; of another team's record only what the viewer has asked for."""
    if ask.options.history is None:
        return {}
    by_role: dict[str, dict[str, Requested | None]] = ask.options.history.standing(entity, record)
    if full:
        return by_role
    own = {role: x["requested"] for role, x in by_role.items() if x["requested"] is not None and x["requested"].by == ask.viewer.name}
    return {role: {"requested": request, "excepted": None} for role, request in own.items()}


def answer(ask: Ask, d: Decision, full: bool, whole: bool) -> RoleAnswer:
    """A decision as the page shows it; without `full` only what everybody may know, without `whole` no values that it read."""
    snapshot, trace = ask.snapshot, d.trace
    shown = RoleAnswer(d.role, d.owner, d.owner_name, trace.sentence, sentence(d), d.action, d.until)
    if not full:
        return shown
    step = snapshot.plan.engagement.get((d.entity, d.role))
    shown.rule, shown.previous, shown.previous_name = d.rule, d.previous, snapshot.rep_name(d.previous)
    shown.since = d.since if d.owner is not None and d.owner == d.previous else None
    shown.pool, shown.territory, shown.unknown = d.pool, d.territory, d.unknown
    shown.trace = trace if whole else None
    if step is not None and d.exception is None:
        shown.flow = drawn(chart(step, d.role, d, snapshot.said(d.entity, d.role)))
        shown.near = near(trace, d, step.rules, ask.zone, snapshot.rep_name) if whole else []
    return shown


def near(trace: Trace, d: Decision, rules: Sequence[Rule], zone: tzinfo, called: Callable[[str], str]) -> list[Near]:
    """The earlier rules that lack a condition or two, the fewest first: each would decide before the one that does."""
    engagement = next((x for x in trace.steps if x.operator == "choose" and x.name == f"engagement_{d.role}"), None)
    engagement = engagement or next((x for x in trace.steps if x.operator == "choose"), None)
    candidates: list[tuple[int, Near]] = []
    for rule in engagement.rules if engagement is not None else ():
        if rule.fired:
            break
        unmet = [c for c in rule.conditions if c.result is not True]
        own: Rule = rules[rule.number - 1]
        if not unmet or len(unmet) > 2 or own.is_built_in:
            continue
        asks = tuple((words.condition(c.tree, d.entity), _now(c, zone)) for c in unmet)
        candidates.append((len(unmet), Near(rule.name, asks, words.action(own.value, d.entity, called))))
    return [x for _, x in sorted(candidates, key=lambda x: x[0])][:NEAR]


def _now(c: Observed, zone: tzinfo) -> str:
    """What the parts of a condition are now."""
    parts = [p for p in c.parts if p.text != c.text and not isinstance(p.value, bool)]
    if len(parts) == 1:
        return f"now {value(parts[0].value, zone)}"
    return "; ".join(dict.fromkeys(f"{_named(p.node, p.text)} is {value(p.value, zone)}" for p in parts))[:300]


def _named(node: s.Node, text: str) -> str:
    return words.subject(node, "") if isinstance(node, (s.Path, s.Name)) else text


def sentence(d: Decision) -> str:
    """The reason as a sentence of its own; a word that may come from the data keeps its case."""
    text = d.reason
    rule = d.choice and d.choice.fired and d.row.world.policy.plan.engagement[d.entity, d.role].rules[d.choice.fired[0]]
    first = text.split(" ")[0].rstrip(",")
    if first.isalpha() and first.islower() and not (rule and rule.because and rule.because.startswith("{")):
        text = text[0].upper() + text[1:]
    return text if not text or text.endswith((".", "!", "?")) else text + "."


# --- parts that are fetched when somebody asks ------------------------------------------------------------------------------


@dataclass(slots=True)
class WhyNotShown:
    """Why a rep does not own a record: sentences, and ways that would give it to them; each way is a list of changes and a rule."""

    rep: Row
    role: str
    owns: bool
    turn: str
    ways: list[tuple[list[str], str]]
    obstacles: list[tuple[str, str, str]]
    rule: str
    how: str
    complete: bool
    replays: int
    cannot: bool


def why_not_part(ask: Ask) -> Response:
    """The answer alone, for the script; without it the record's own page shows the same."""
    entity, record = ask.request.path_params["entity"], ask.request.path_params["id"]
    d = next((d for d in ask.snapshot.decisions(entity, record) if d.role == ask.text("role")), None)
    if d is None or ask.snapshot.row(entity, record) is None:
        return ask.missing("There is no such record in the data that is loaded now.")
    return ask.render("why.html", why=why_not_answer(ask, d, ask.text("rep")), given=ask.text("rep"))


def why_not_answer(ask: Ask, d: Decision, text: str) -> WhyNotShown | None:
    """The answer for the rep that a text means, by id, name or e-mail; None if it means nobody."""
    from roe.analysis.whynot import why_not

    rep = ask.snapshot.world.find("rep", text) if text else None
    if rep is None:
        return None
    bound = ask.snapshot.replayable(d.entity, d.id)
    reasons = why_not(bound, d, bound.world.find("rep", str(rep["id"])) or rep)
    full = ask.viewer.may_see_whole(ask.snapshot, d.row)
    ways = [([_change(c, full, ask.zone) for c in way], rule) for way, rule in zip(reasons.ways, reasons.rules, strict=True)]
    route = reasons.route
    return WhyNotShown(
        rep, d.role, reasons.owns, reasons.turn, ways,
        [(o.what, o.value if full else "", o.place if full else "") for o in route.obstacles] if route is not None else [],
        route.rule if route is not None else "", route.how if route is not None else "", reasons.complete, reasons.replays,
        not reasons.ways and not reasons.owns and not reasons.complete and reasons.replays <= 1,
    )  # fmt: skip


def _change(change: Change, full: bool, zone: tzinfo) -> str:
    """A change in words; what a field is today is left out for those who may not see the record's values."""
    if isinstance(change, FieldChange) and not full:
        return f"`{change.field}` of this {change.entity} becomes {value(change.after, zone)}"
    text = change.says()
    return text[0].upper() + text[1:]


def next_part(ask: Ask) -> Response:
    """What is decided when the time of each role's decision is over, if nothing else happens until then."""
    from roe.analysis.replay import Replays

    entity, record = ask.request.path_params["entity"], ask.request.path_params["id"]
    decisions = []
    for d in ask.snapshot.decisions(entity, record):
        if d.until is None or d.owner is None or d.action == "refer" or (ask.text("role") and d.role != ask.text("role")):
            continue
        replays = Replays(ask.snapshot.replayable(entity, record), entity, record, d.role)
        after = replays.decide((Wait(d.until),))
        if after is not None:
            then = after[1]
            decisions.append((d.role, d.until, then.owner_name or "nobody", then.action, sentence(then)))
    return ask.render("next.html", found=decisions, entity=entity, record=record)


def timeline_part(ask: Ask) -> Response:
    """Every state of the record's windows, with what began it."""
    from roe.analysis.timeline import timeline

    entity, record = ask.request.path_params["entity"], ask.request.path_params["id"]
    if ask.snapshot.row(entity, record) is None or not ask.viewer.may_see_values(ask.snapshot, entity, record):
        return ask.refused()
    bound = ask.snapshot.replayable(entity, record)
    row = bound.world.find(entity, record)
    states = sorted(timeline(bound, row), key=lambda x: x.start) if row is not None else []
    now = bound.world.clock.now
    shown = [(x, "to come" if x.start > now else "now" if x.until is None or now < x.until else "over") for x in states]
    return ask.render("timeline.html", states=shown, entity=entity, record=record, row=row)


# --- what belongs to the record ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Related:
    """Related records of one kind: the field, how many there are, and the first of them as (path or empty, label, details)."""

    name: str
    entity: str
    count: int
    rows: tuple[tuple[str, str, str], ...]


def values(row: Row) -> list[tuple[str, Value]]:
    """The stored values of a record, in the order of the model."""
    fields = row.world.policy.model.entities[row.entity]
    stored = []
    for name, f in fields.items():
        if f.via or f.type.name in ("owners", "record") or name in ("id", "name") or "." in name:
            continue
        x = row[name] if (row.entity, name) not in row.world.policy.plan.steps else None
        if x is not None and not isinstance(x, (list, dict)):
            stored.append((name, x))
    return stored


def computed(row: Row, answers: Iterable[RoleAnswer]) -> list[StepTrace]:
    """The values that the decisions computed of this record, each once."""
    steps: dict[str, StepTrace] = {}
    for a in answers:
        for step in a.trace.steps if a.trace is not None else ():
            if step.operator == "derive" and step.record == row.label and step.stage != "action":
                steps.setdefault(step.name, step)
    return list(steps.values())


def related(ask: Ask, row: Row) -> list[Related]:
    """The records that refer to this one, and those that it refers to; reps are left to the answers. Of other teams' only the name."""
    groups = []

    def link(other: Row) -> tuple[str, str, str]:
        path, label, details = _link(other, ask.zone)
        decided = other.entity in ask.snapshot.entities
        hidden = decided and not ask.viewer.may_see_values(ask.snapshot, other.entity, str(other["id"]))
        return path, label, "" if hidden else details

    for name, f in ask.snapshot.policy.model.entities[row.entity].items():
        if f.type.name == "record" and f.type.entity not in ("rep", "leave"):
            other = row[name]
            if isinstance(other, Row) and other is not row:
                groups.append(Related(name, f.type.entity, 1, (link(other),)))
        elif f.via and f.type.item is not None and name not in ("ancestors", "open_opportunities"):
            others = row[name] or []
            if others:
                ordered = sorted(others, key=_newest, reverse=True)[:RELATED]
                groups.append(Related(name, f.type.item.entity, len(others), tuple(link(x) for x in ordered)))
    return groups


def _newest(row: Row) -> str:
    return str(next((x for name in ("at", "date", "created") if (x := row[name]) is not None), ""))


LINKED = ("account", "lead", "contact", "opportunity")
DETAILS = ("type", "kind", "stage", "amount", "title", "email", "date", "at", "status", "reason")


def _link(row: Row, zone: tzinfo) -> tuple[str, str, str]:
    from roe.web.app.site import part

    shown = [value(x, zone) for name in DETAILS if (x := row[name]) is not None and not isinstance(x, (Row, list, dict))]
    who = row["rep"]
    shown += [f"by {who.label}"] if isinstance(who, Row) else []
    path = f"/record/{part(row.entity)}/{part(str(row['id']))}" if row.entity in LINKED else ""
    label = row.label if path or row.label != row["id"] or not shown else shown.pop(0)  # nobody knows an activity by its number
    return path, label, " · ".join(shown[:4])

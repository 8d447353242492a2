"""`pools:` who takes turns; each lowers to an `Allocate`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from roe.grammar import types as t
from roe.grammar import values as v
from roe.grammar.names import Names
from roe.grammar.parser import parse
from roe.plan.operators import Allocate, DatedValue, Expr, Rule, Sla
from roe.policy.context import Context, written
from roe.policy.section import Day, Duration, Expression, Form, Heading, Name, PositiveDuration, Section, key, section
from roe.source import Text

# two leads of one company go to one rep: by its account, else by its own e-mail domain, else by the person's e-mail address
COMPANY = (
    "if lead.account != null then lead.account.id else if opportunity.account != null then opportunity.account.id "
    "else if is_freemail(domain(lead.email)) then lead.email else domain(lead.email)"
)


@section
class MemberSection(Section):
    """a rep who is in the pool for a time"""

    rep: Text
    from_: Day | None = None
    until: Day | None = None


@section
class SlaSection(Section):
    """how soon the rep must work a record, and what happens if not"""

    within: PositiveDuration
    worked_by: Expression | None = key("which of the rep's activities count; default: all", default=None)
    times: Annotated[int, Form(minimum=0, maximum=100)] = key("how often the next rep gets it before it escalates; default 1", default=1)
    grace: Duration | None = key("how much longer the record stays after its deadline, because proof of work may arrive late", default=None)
    escalate: Text | None = key("a rep", default=None)


@section
class CapsSection(Section):
    """how many records a rep can have or get"""

    open_leads: Expression | None = None
    open_accounts: Expression | None = None
    per_day: Expression | None = None
    per_week: Expression | None = None


@section
class TogetherSection(Section):
    """what records of one company have in common, and for how long they go to one rep"""

    by: Expression | None = None
    within: Duration | None = None


Members = (
    Annotated[Expression, Form(description="a condition on `rep`")]
    | Annotated[tuple[Text | MemberSection, ...], Form(description="reps by id, name or e-mail, each perhaps for a time")]
)


@section
class CreditBackSection(Section):
    """a reason to give a rep's turn back"""

    name: Name
    when: Expression


@section
class PoolSection(Section):
    """reps who take turns"""

    members: Members
    strategy: Literal["round_robin", "weighted", "least_loaded", "top_score"] = "round_robin"
    weight: Expression | None = None
    score: Expression | None = key("top_score: the available member with the best score takes the turn", default=None)
    sticky: Expression | None = key(
        "the rep who gets the record first, if available, such as lead.account.owner; this uses no turn", default=None
    )
    together: Expression | TogetherSection | None = key(
        "the value that records of one company share, so that one rep gets them all; `within` limits how old the earlier record can be; "
        "default: the account, else the company's e-mail domain, else the e-mail address; `never` gives each its own turn",
        default=None,
    )
    debt: Annotated[int, Form(minimum=0, maximum=1000)] = key(
        "the most turns that a skipped rep (cap, leave, hours) can be owed; default 3", default=3
    )
    credit_back: tuple[CreditBackSection, ...] = key("reasons to give a turn back, such as a no-show", default=())
    hours: Literal["any", "working"] = key("working: reps outside their working hours are skipped", default="any")
    sla: SlaSection | None = None
    caps: CapsSection | None = None
    fallback: Text | None = key("a rep, or another pool", default=None)
    description: Text | None = None


POOLS = Heading("pools", Mapping[Name, PoolSection], "groups of reps who take turns")


def lower(pools: Mapping[Text, PoolSection], cx: Context) -> dict[str, Allocate]:
    names = cx.names("lead").binding(rep=t.record("rep"), account=t.record("account"))
    for name, pool in pools.items():
        members = _members(pool, names, cx)
        if members is None:
            continue
        weight = _number(pool, "weight", pool.weight, cx, names)
        score = _number(pool, "score", pool.score, cx, names)
        given = pool.caps.items() if pool.caps else ()
        caps = {cap: expr for cap, text in given if (expr := cx.value(text, names, "number"))}
        sticky = cx.value(pool.sticky, names, "record", "owners", "string")
        by, within = _together(pool, name, cx, names)
        cx.pools[str(name)] = Allocate(
            str(name), str(pool.strategy), members, weight, caps, pool.fallback, name, score, sticky, by,
            pool.debt, pool.hours == "working", _sla(pool.sla, cx), within, _credit_back(pool, names, cx),
        )  # fmt: skip
    _fallbacks(cx.pools, cx)
    return cx.pools


def _credit_back(pool: PoolSection, names: Names, cx: Context) -> tuple[Rule, ...]:
    """The reasons for which a turn is given back; `rep` is who took it."""
    cx.unique_names([reason.name for reason in pool.credit_back], "reasons to give a turn back")
    reasons = ((reason.name, cx.condition(reason.when, names)) for reason in pool.credit_back)
    return tuple(Rule(name, (when,), None, None) for name, when in reasons if when is not None)


def _members(pool: PoolSection, names: Names, cx: Context) -> Expr | tuple[DatedValue, ...] | None:
    """Who is in a pool: a condition on reps, or a list of them, each with the days on which it counts."""
    if isinstance(pool.members, Text):
        return cx.condition(pool.members, names)
    return tuple(
        cx.dated_value(m.rep, m.from_, m.until) if isinstance(m, MemberSection) else cx.dated_value(m, None, None) for m in pool.members
    )


def _fallbacks(pools: dict[str, Allocate], cx: Context) -> None:
    """A pool that falls back on another must not come back to itself."""
    for name, pool in pools.items():
        seen = [name]
        while pool.fallback and str(pool.fallback) in pools:
            if str(pool.fallback) in seen:
                cx.say("R208", pool.fallback, f"the pool `{name}` falls back on itself", "give the last pool a rep as its fallback")
                break
            seen.append(str(pool.fallback))
            pool = pools[str(pool.fallback)]


NEEDS = {"weight": "weighted", "score": "top_score"}


def _number(pool: PoolSection, key: str, text: Text | None, cx: Context, names: Names) -> Expr | None:
    """The weight or the score of a rep, which one strategy needs and no other has a use for."""
    strategy = pool.strategy
    number = cx.value(text, names, "number")
    if number and strategy != NEEDS[key] and (key, strategy) != ("weight", "top_score"):
        cx.say("R304", text, f"`{key}` has no effect in a `{strategy}` pool", f"write `strategy: {NEEDS[key]}`, or remove it")
    if strategy == NEEDS[key] and not text:
        help = "add `weight: rep.ramp`, or another number per rep" if key == "weight" else "add `score:`, the best rep has the highest"
        cx.say("R304", pool.key("strategy"), f"a {strategy} pool needs a {key}", help)
    return number


def _together(pool: PoolSection, name: Text, cx: Context, names: Names) -> tuple[Expr | None, v.Duration | None]:
    """What records of one company have in common, and for how long they stay together."""
    together = pool.together
    given, within = (together.by, cx.lasting(together.within)) if isinstance(together, TogetherSection) else (together, None)
    if given is None:
        tree, _ = parse(COMPANY)
        assert tree is not None
        return written(tree, name), within
    return (None if str(given) == "never" else cx.value(given, names, "string", "number")), within


def _sla(sla: SlaSection | None, cx: Context) -> Sla | None:
    if sla is None:
        return None
    within = cx.lasting(sla.within)
    if within is None:
        return None
    activity = cx.names("activity", implicit=True)
    counts = cx.condition(sla.worked_by, activity)
    return Sla(within, counts, sla.times, sla.escalate, cx.lasting(sla.grace))

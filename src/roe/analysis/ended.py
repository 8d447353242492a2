"""What has ended or cannot be met in time: exceptions, rules and rows whose last day is past, service levels longer than a protection."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import date, time, timedelta
from typing import TYPE_CHECKING

from roe.analysis.verdicts import POSSIBLE, PROVEN
from roe.analysis.words import span as in_words
from roe.diagnostics import Diagnostic
from roe.dynamic import Value
from roe.grammar import syntax as s
from roe.grammar import values as v
from roe.plan.operators import Action, Choose, DatedValue, Derive, Expr, Rule
from roe.plan.plan import Step
from roe.source import Text

if TYPE_CHECKING:
    from roe.analysis.checked import CheckedPolicy

DAY = 24.0
INFINITE = float("inf")


def ended(subject: CheckedPolicy) -> Iterator[Diagnostic]:
    """R506 for exceptions, R429 for rules, rows, list entries and pool members whose period is over and that nothing follows."""
    today = subject.ends_by
    if today is None:
        return
    plan = subject.evaluator.policy.plan
    for row in plan.exceptions:
        if isinstance(row.until, date) and row.until <= today:
            message = f"the exception for `{row.record}` as {row.role} ended on {row.until} and has no effect"
            yield Diagnostic("R506", message, row.record.span(), "remove the row, or have it approved again", certainty=PROVEN)
    for step in [*plan.steps.values(), *plan.engagement.values()]:
        if isinstance(step, Choose) and step.stage in ("engagement", "source", "territory", "table", "score", "staffing"):
            yield from _ended_rules(step, today)
    for name, values in plan.dated_lists.items():
        yield from _ended_values(f"the list `{name}`", values, today)
    for pool in plan.pools.values():
        if not isinstance(pool.members, Expr):
            yield from _ended_values(f"the pool `{pool.name}`", pool.members, today)


def _ended_values(where: str, values: Sequence[DatedValue], today: date) -> Iterator[Diagnostic]:
    past = [x for x in values if x.until is not None and x.until <= today and not _followed(x.value, values, today)]
    if past:
        yield _some(where, [x.value for x in past], max(x.until for x in past if x.until))


def _ended_rules(step: Choose, today: date) -> Iterator[Diagnostic]:
    for number, rule in enumerate(step.rules):
        last = _last_day(rule)
        if last is None or last > today:
            continue
        if step.stage == "staffing":
            where = str(rule.conditions[0].text)
            others = [x for i, x in enumerate(step.rules) if i != number and str(x.conditions[0].text) == where]
            if any((day := _last_day(x)) is None or day > last for x in others):
                continue  # somebody follows, or followed
            role = step.name.rpartition("_")[2]
            message = f"`{rule.value}` stopped staffing `{where}` as {role} on {last}, and nobody follows"
            help = "add a row for the time since, or remove the territory"
        else:
            what = "rule" if step.stage in ("engagement", "source", "score") else "row"
            message, help = f"the {what} `{rule.name}` ended on {last} and never fires again", "remove it, or give it a later `until`"
        at = Text(rule.value, rule.name.origin) if step.stage == "staffing" and isinstance(rule.value, str) else rule.name
        yield Diagnostic("R429", message, at.span(), help, certainty=PROVEN)


def _last_day(rule: Rule) -> date | None:
    """The day on which a rule's period ends."""
    for condition in rule.conditions:
        tree = condition.tree
        if isinstance(tree, s.Compare) and tree.op == "<" and tree.left == s.Name("today") and isinstance(tree.right, s.Literal):
            return tree.right.value if type(tree.right.value) is date else None
    return None


def _followed(value: Text, others: Sequence[DatedValue], today: date) -> bool:
    """Whether a value holds again, or another one begins when it has ended."""
    last = max((x.until for x in others if x.value == value and x.until is not None), default=today)
    return any((x.value == value and (x.until is None or x.until > today)) or (x.start is not None and x.start >= last) for x in others)


def _some(where: str, past: list[Text], last: date) -> Diagnostic:
    count = f"`{past[0]}`" if len(past) == 1 else f"`{past[0]}` and {len(past) - 1} more"
    message = f"{where} names {count}, which ended{'' if len(past) > 1 else f' on {last}'}"
    return Diagnostic("R429", message, past[0].span(), "remove the ended entries, or give them a later `until`", certainty=PROVEN)


# --- service levels -------------------------------------------------------------------------------------------------


def unmet(subject: CheckedPolicy) -> Iterator[Diagnostic]:
    """R428: a rep has longer to work a record than the window protects it, so it can be lost before the time is up."""
    policy = subject.evaluator.policy
    plan = policy.plan
    for window in plan.windows:
        lasts = _lasts(plan.steps.get((window.entity, window.until)))
        rules = plan.engagement.get((window.entity, window.role))
        if lasts is None or rules is None:
            continue
        for name in dict.fromkeys(_pools(rules)):
            sla = plan.pools[name].sla if name in plan.pools else None
            if sla is not None:
                yield from _longer(
                    sla.within, lasts, policy.hours, plan.pools[name].text,
                    f"the pool `{name}` gives {in_words(sla.within)} to work a {window.entity}, but the window `{window.name}` protects it for {in_words(lasts)}",
                )  # fmt: skip
    claims = plan.claims
    if claims is not None and claims.work_within is not None and claims.lasts is not None:
        message = f"a claim must be worked within {in_words(claims.work_within)}, and lasts {in_words(claims.lasts)}"
        yield from _longer(claims.work_within, claims.lasts, policy.hours, claims.text, message)


def _longer(within: Value, lasts: Value, hours: tuple[time, time], at: Text, message: str) -> Iterator[Diagnostic]:
    (least, most), (shortest, longest) = bounds(within, hours), bounds(lasts, hours)
    if most <= shortest or (type(within) is type(lasts) and not within > lasts):
        return
    certain = least > longest or (type(within) is type(lasts) and within > lasts)
    help = "shorten the SLA, or lengthen the window"
    yield Diagnostic(
        "R428", message + ("" if certain else ", which can be less"), at.span(), help, certainty=PROVEN if certain else POSSIBLE
    )


def bounds(span: object, hours: tuple[time, time]) -> tuple[float, float]:
    """The fewest and the most hours that a span can take by the clock; holidays can make working time longer without end."""
    if isinstance(span, timedelta):
        exact = span / timedelta(hours=1)
        return exact, exact
    if isinstance(span, v.Months):
        years, months = divmod(span.months, 12)
        return DAY * (365 * years + 28 * months), DAY * (366 * years + 31 * months)
    if isinstance(span, v.WorkingDays):
        return DAY * (span.days + 2 * ((span.days - 1) // 5)), INFINITE
    if isinstance(span, v.WorkingHours):
        length = (hours[1].hour - hours[0].hour) + (hours[1].minute - hours[0].minute) / 60
        nights = max(0, -int(-span.hours // length) - 1)
        return span.hours + nights * (DAY - length) + 2 * DAY * (nights // 5), INFINITE
    return 0.0, INFINITE


def _lasts(step: Step | None) -> object:
    """How long a window protects, from the step that says until when."""
    tree = step.expr.tree if isinstance(step, Derive) and step.expr is not None else None
    return tree.right.value if isinstance(tree, s.Binary) and tree.op == "+" and isinstance(tree.right, s.Literal) else None


def _pools(rules: Choose) -> Iterator[str]:
    for rule in rules.rules:
        if isinstance(rule.value, Action):
            yield from (action.pool for action in rule.value.with_otherwise() if action.kind == "route")


CHECKS: tuple[Callable[[CheckedPolicy], Iterator[Diagnostic]], ...] = (ended, unmet)

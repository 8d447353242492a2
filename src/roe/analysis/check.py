"""`roe check` beyond form and types: what the rules of a policy can and cannot do, and what its data says of them.

Each check is a function of the policy and, where there is some, its data; they are a list, and each finding is a diagnostic with its
place, its certainty and a witness that the evaluator has decided. `# roe: allow CODE because …` silences one finding at its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from roe.analysis.allow import allowed
from roe.analysis.checked import LISTS, WRITTEN_OUT, CheckedPolicy, anchor, diagnostic, title
from roe.analysis.diff import said
from roe.analysis.ended import CHECKS as ENDED
from roe.analysis.gaps import gaps, uncovered
from roe.analysis.overlaps import overlaps, touching
from roe.analysis.precedence import CHECKS as PRECEDENCE
from roe.analysis.reality import CHECKS as REAL
from roe.analysis.reality import one_per_leaver
from roe.analysis.staffing_checks import CHECKS as STAFFING
from roe.analysis.verdicts import PROVEN, UNDECIDED, RuleTable, Verdict, closed, ordered, timely
from roe.diagnostics import Diagnostic
from roe.evaluator.choose import Chooser, rank
from roe.grammar import syntax as s
from roe.grammar import values as v
from roe.grammar.functions.sales import country
from roe.grammar.printer import show
from roe.plan.operators import Choose, Rule
from roe.progress import counted
from roe.source import part_of


def findings(subject: CheckedPolicy) -> list[Diagnostic]:
    """What all checks find, in the order of the files, without what comments allow."""
    checks = (*CHECKS, *STAFFING, *PRECEDENCE, *REAL, *ENDED)
    diagnostics = [d for check in counted(checks, len(checks), "checking what the rules can do") for d in check(subject)]
    unique = list({(d.code, d.message, d.span.file, d.span.line, d.span.column): d for d in diagnostics}.values())
    placed = sorted(unique, key=lambda d: (d.span.file, d.span.line, d.span.column, d.code))
    return one_per_leaver(subject, allowed(subject.evaluator.policy, placed))


# --- rules that never decide ----------------------------------------------------------------------------------------


def never_fire(subject: CheckedPolicy) -> Iterator[Diagnostic]:
    """R405 for what earlier rules cover, R415 for conditions that exclude each other."""
    for table in subject.tables:
        step = table.step
        for verdict in table.never:
            rule = step.rules[verdict.rules[0]]
            if verdict.others:
                by = [step.rules[i].name for i in verdict.others]
                message = f"`{rule.name}` can never fire: `{by[0]}` comes first and matches all of its records"
                if len(by) > 1:
                    shown = ", ".join(f"`{n}`" for n in by[:4]) + (f" and {len(by) - 4} more" if len(by) > 4 else "")
                    message = f"`{rule.name}` can never fire: {shown} come first and together match all of its records"
                related = [("this one decides first" if len(by) == 1 else "one of those that decide first", n.span()) for n in by[:3]]
                yield diagnostic(subject, table, "R405", rule.name, message, "put the narrower rule first, or remove it", verdict, related)
            elif verdict.certainty == UNDECIDED:
                yield diagnostic(subject, table, "R405", rule.name, f"`{rule.name}` can ever fire", "", verdict)
            else:
                message = f"`{rule.name}` can never fire: no record meets its conditions"
                yield diagnostic(subject, table, "R415", rule.name, message, _next_step(subject, rule), verdict)


def _next_step(subject: CheckedPolicy, rule: Rule) -> str:
    """What to do about conditions that nothing meets: many a one compares a country with what is none."""
    entities = subject.evaluator.policy.model.entities.values()
    countries = {name for fields in entities for name, f in fields.items() if f.normalize == "country"}
    for node in (n for condition in rule.conditions for n in s.walk(condition.tree)):
        if not isinstance(node, (s.Compare, s.In)):
            continue
        value, others = (node.left, (node.right,)) if isinstance(node, s.Compare) else (node.value, node.tests)
        if isinstance(value, s.Path) and value.field in countries:
            texts = (n.value for other in others for n in s.walk(other) if isinstance(n, s.Literal) and isinstance(n.value, str))
            unknown = next((text for text in texts if country(text) is None), None)
            if unknown is not None:
                return f"`{unknown}` is not a country: write its ISO code, such as `DE`; in a cell a comma separates several"
    return "correct the conditions, or remove the rule"


def repeated(subject: CheckedPolicy) -> Iterator[Diagnostic]:
    """R405, R407 or R410 for many rows with the conditions of an earlier one: one finding, with how many they are."""
    for table in subject.tables:
        step, verdict = table.step, table.repeated()
        if verdict is None:
            continue
        first, rows = step.rules[verdict.rules[0]], [step.rules[i] for i in verdict.rules]
        of = [step.rules[i] for i in verdict.others]
        count, what = f"{len(rows):,}", "rules" if step.stage in WRITTEN_OUT else "rows"
        whose = f"`{of[0].name}`" if len(of) == 1 else f"{len(of):,} others, such as `{of[0].name}`"
        related = (("the first of them repeats this one", step.rules[table.cases.repeats[verdict.rules[0]]].name.span()),)
        if step.hit in ("first", "priority"):
            message = f"{count} {what} can never fire: they repeat the conditions of {whose}"
            help = (
                "remove them, or add a condition that tells them apart; perhaps a column that counts as an output was meant as a condition"
            )
            yield diagnostic(subject, table, "R405", first.name, message, help, verdict, related)
            continue
        agree = step.hit == "any" and all(v.equal(step.rules[i].value, step.rules[j].value) is True for i, j in table.cases.repeats.items())
        if not agree:
            message = f"{count} {what} match the same records as earlier ones: they repeat the conditions of {whose}"
            message += ", and some disagree" if step.hit == "any" else ""
            yield diagnostic(
                subject, table, "R410" if step.hit == "any" else "R407", first.name, message, "remove them, or add a condition that tells them apart",
                verdict, related,
            )  # fmt: skip


def masked(subject: CheckedPolicy) -> Iterator[Diagnostic]:
    """R405 in a table whose hit policy is `priority`: a row that a better one always holds beside."""
    for table in subject.tables:
        step = table.step
        if step.hit != "priority":
            continue
        order = sorted(range(len(step.rules)), key=lambda i, step=step: (rank(step.rules[i].value, step.priority), i))  # type: ignore[misc]
        ranked = replace(step, hit="first", rules=tuple(step.rules[i] for i in order))
        for verdict in RuleTable(table.finder, ranked, Chooser(ranked, subject.evaluator.policy.plan.lists)).never:
            if verdict.others:
                rule, by = ranked.rules[verdict.rules[0]], ranked.rules[verdict.others[0]]
                message = f"`{rule.name}` is never chosen: `{by.name}` has priority and matches all of its records"
                related = (("this one has priority", by.name.span()),)
                yield diagnostic(subject, table, "R405", rule.name, message, "narrow the other, or remove it", verdict, related)


def dead_keys(subject: CheckedPolicy) -> Iterator[Diagnostic]:
    """R405 for a single value of a row: a ZIP code or a country that an earlier row of the table takes, whatever else holds."""
    for table in subject.tables:
        step = table.step
        if step.hit != "first" or step.stage not in ("table", "territory", "score") or len(step.rules) > MOST_KEYED:
            continue
        for verdict, axis, value in table.dead_values():
            rule, by = step.rules[verdict.rules[0]], step.rules[verdict.others[0]]
            message = f"`{v.string(value)}` in `{rule.name}` never decides: the earlier `{by.name}` takes it"
            related = (("this one decides first", by.name.span()),)
            yield diagnostic(
                subject,
                table,
                "R405",
                rule.name,
                message,
                f"leave {axis.key.rpartition('.')[2]} {v.literal(value)} to one of the two",
                verdict,
                related,
            )


MOST_KEYED = 2_000


def conditions(subject: CheckedPolicy) -> Iterator[Diagnostic]:
    """R414 and R415: single conditions that say nothing. Tables' cells were checked when they were read."""
    for table in subject.tables:
        step = table.step
        if step.stage not in ("engagement", "score", "source"):
            continue
        known: dict[str, tuple[bool, bool]] = {}
        for number, rule in enumerate(step.rules):
            parts = [(tree, c.text) for c in rule.conditions for tree in s.conjuncts(c.tree)]
            for tree, text in parts:
                if isinstance(tree, s.Literal) or tree.at == s.NOWHERE:
                    continue
                written = show(tree)
                if written not in known:
                    known[written] = table.never_or_always(number, tree)
                never, always = known[written]
                at = part_of(text, *tree.at)
                here = Verdict((), PROVEN)
                if never:
                    if len(parts) > 1:
                        message = f"`{at}` is never true"
                        yield diagnostic(subject, table, "R415", at, message, "correct it, or remove the rule", here)
                elif always:
                    message = f"`{at}` is true of every {step.entity}"
                    yield diagnostic(subject, table, "R414", at, message, "remove it, or write what you meant", here)


def no_difference(subject: CheckedPolicy) -> Iterator[Diagnostic]:
    """R413: rules without which the same would be decided, and for the same reason."""
    for table in subject.tables:
        step = table.step
        if step.hit != "first" or step.stage not in LISTS:
            continue
        if step.stage == "staffing":
            continue
        does = [f"{said(rule.value)} because {rule.because or ''}" for rule in step.rules]
        for verdict in table.redundant(does, "" if step.default is None else f"{said(step.default)} because "):
            rule = step.rules[verdict.rules[0]]
            message = f"`{rule.name}` makes no difference: without it, later rules decide the same"
            yield diagnostic(subject, table, "R413", rule.name, message, "remove it, or give it a different result", verdict)


# --- overlaps and gaps ----------------------------------------------------------------------------------------------


def overlap(subject: CheckedPolicy) -> Iterator[Diagnostic]:
    """R407 and R410: rows that hold together where one may, or where all must agree."""
    for table in subject.tables:
        step = table.step
        if step.hit not in ("unique", "any"):
            continue
        values = [rule.value for rule in step.rules]
        conflict = step.hit == "any"
        pairs = overlaps(table, (lambda a, b, x=values: v.equal(x[a], x[b]) is not True) if conflict else lambda a, b: True)  # type: ignore[misc]
        for number, verdict in enumerate(pairs):
            if number == MOST_FINDINGS:
                break
            one, other = (step.rules[i] for i in verdict.rules)
            shown = str(verdict.witness)
            message = f"`{one.name}` and `{other.name}` both match {shown}" + (", and disagree" if conflict else "")
            help = "narrow one of them, or write `hit: first`"
            verdict = replace(verdict, witness=None)
            related = [("this one matches too", other.name.span())]
            yield diagnostic(subject, table, "R410" if conflict else "R407", one.name, message, help, verdict, related)


MOST_FINDINGS = 20


def counted_twice(subject: CheckedPolicy) -> Iterator[Diagnostic]:
    """R425: criteria of a score that share one exact number, the end of one range and the beginning of the next."""
    for table in subject.tables:
        step = table.step
        if not step.hit.startswith("collect"):
            continue
        for later, earlier, verdict in touching(table):
            one, other = step.rules[later], step.rules[earlier]
            message = f"`{other.name}` and `{one.name}` both count {verdict.span}"
            related = (("this one counts it too", other.name.span()),)
            help = "exclude the boundary from one of the two ranges: `[100..500)`"
            yield diagnostic(subject, table, "R425", one.name, message, help, verdict, related)


def left_out(subject: CheckedPolicy) -> Iterator[Diagnostic]:
    """R411: records that no rule of a role decides, and cases that a table leaves out beside those that it covers."""
    for table in subject.tables:
        step = table.step
        if step.stage == "engagement":
            for verdict in uncovered(table):
                message = f"{title(step)} do not cover some {step.entity}s: no rule matches"
                yield diagnostic(subject, table, "R411", anchor(step), message, "add a last rule without `when`", verdict)
        elif step.default is None and _partition(step):
            for verdict in gaps(table, closed(table.cases), inner=False):
                beside = step.rules[verdict.rules[0]].name
                said = f" ({verdict.span})" if verdict.span else ""
                message = f"{title(step)} does not cover a case next to `{beside}`{said}"
                help = "widen a row, add a row, or give a value for the other cases with `default:`"
                yield diagnostic(subject, table, "R411", beside, message, help, verdict)


def _partition(step: Choose) -> bool:
    """Tables that are meant to place every record: territories and decision tables, not overlays, which are for some."""
    return (
        step.stage in ("table", "score") or (step.stage == "territory" and step.name in ("territory", "own_territory"))
    ) and not step.hit.startswith("collect")


def hidden(subject: CheckedPolicy) -> Iterator[Diagnostic]:
    """R412: a default that decides between cases that rows cover, such as exactly 500 between `< 500` and `> 500`."""
    for table in subject.tables:
        step = table.step
        if step.default is None or not _partition(step):
            continue
        for verdict in gaps(table, lambda axis: ordered(axis) and not timely(axis), inner=True):
            beside = step.rules[verdict.rules[0]].name
            message = f"the default of {title(step)} hides a gap next to `{beside}`" + (f": {verdict.span}" if verdict.span else "")
            yield diagnostic(subject, table, "R412", beside, message, "widen a row so that the two meet", verdict)


CHECKS: tuple[Callable[[CheckedPolicy], Iterator[Diagnostic]], ...] = (
    never_fire, repeated, masked, dead_keys, conditions, no_difference, overlap, counted_twice, left_out, hidden,
)  # fmt: skip

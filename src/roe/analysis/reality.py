"""Checks of a policy against what there is: its lists and tables against each other, its reps, pools and fields against data."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from roe.analysis.axis import Axis
from roe.analysis.pool_checks import MOST_ASKED, empty_pools, overloaded_pools
from roe.analysis.space import Alternative, Space
from roe.analysis.verdicts import PROVEN, RuleTable
from roe.analysis.witness import path_of
from roe.diagnostics import Diagnostic, suggest
from roe.dynamic import Value
from roe.evaluator.able import reason_left
from roe.evaluator.bound import KEPT
from roe.evaluator.leavers import Mention, in_words, mentions, named_reps
from roe.grammar import syntax as s
from roe.grammar import values as v
from roe.grammar.functions.history import PER_ROLE
from roe.grammar.printer import show
from roe.plan.bitsets import bits
from roe.plan.operators import Rule
from roe.plan.parts import ExceptionRow, Untouched
from roe.plan.subjects import Test
from roe.policy.model import Policy
from roe.policy.reads import expressions
from roe.source import Span, Text, span_of
from roe.words import counted, verb

if TYPE_CHECKING:
    from roe.analysis.checked import CheckedPolicy
    from roe.evaluator.row import Row


# --- the policy against itself --------------------------------------------------------------------------------------


def unused_lists(subject: CheckedPolicy) -> Iterator[Diagnostic]:
    """R420: lists that no expression and no report names."""
    policy = subject.evaluator.policy
    if not policy.plan.lists and not policy.plan.dated_lists:
        return
    names = {name for _, tree in expressions(policy) for name in s.names(tree)}
    names |= {report.list for report in policy.plan.reports.values() if report.list}
    for name in (*policy.plan.lists, *policy.plan.dated_lists):
        if name not in names:
            at = _key(policy, "lists", name)
            yield Diagnostic("R420", f"the list `{name}` is never used", at, "use it in a condition, or remove it", certainty=PROVEN)


def _key(policy: Policy, section: str, name: str) -> Span:
    """The place of a key of a section, in whichever file it is."""
    from roe.policy.loader import load_policy_files

    for _, content in load_policy_files(policy.root)[0]:
        keys = content.get(section) if isinstance(content, dict) else None
        if isinstance(keys, dict) and name in keys:
            return span_of(keys.key(name))  # type: ignore[attr-defined]
    return Span("policy.yaml", 1, 1, 2)


def two_tables(subject: CheckedPolicy) -> Iterator[Diagnostic]:
    """R422: a key that two tables both take, where rules of one role use the one and then the other.

    Tables that say different things of the same keys (a region, and a delivery zone) have most keys in common, and are meant to.
    """
    plan = subject.evaluator.policy.plan
    by_step = {(t.step.entity, t.step.name): t for t in subject.tables if t.step.stage in ("table", "territory")}
    if len(by_step) < 2:
        return
    pairs: dict[tuple[tuple[str, str], tuple[str, str]], None] = {}
    for (entity, _), rules in plan.engagement.items():
        asked: list[tuple[str, str]] = []
        for rule in rules.rules:
            used = dict.fromkeys((entity, n) for c in rule.conditions for n in _fields(c.tree, entity) if (entity, n) in by_step)
            pairs.update({(a, b): None for a in asked for b in used if a != b and (b, a) not in pairs})
            asked += [u for u in used if u not in asked]
    for a, b in pairs:
        one, other = _keys(by_step[a]), _keys(by_step[b])
        for subject_key in one.keys() & other.keys():
            common = [k for k in one[subject_key] if k in other[subject_key]]
            if not common or 2 * len(common) > min(len(one[subject_key]), len(other[subject_key])):
                continue
            rows = ((k, _together(by_step[a], one[subject_key][k], by_step[b], other[subject_key][k])) for k in common)
            for key, (there, here) in itertools.islice(((k, pair) for k, pair in rows if pair is not None), NAMED_KEYS):
                message = f"`{b[1]}` and `{a[1]}` both take {subject_key.rpartition('.')[2]} = {v.literal(key)}"
                related = ((f"`{a[1]}` takes it first", there.span()),)
                yield Diagnostic("R422", message, here.span(), "keep it in only one of the two", related, certainty=PROVEN, witness="", touches=subject.touched(a[0], _has(subject_key, key)))  # fmt: skip

        yield from _ranges(subject, by_step[a], by_step[b])


NAMED_KEYS = 10


def _together(first: RuleTable, mine: list[int], second: RuleTable, theirs: list[int]) -> tuple[Text, Text] | None:
    """The names of two rows, of these alternatives of two tables, that can hold for one record."""
    for i, j in itertools.product(mine, theirs):
        (here, a), (there, b) = first.cases.rows[i], second.cases.rows[j]
        if _both_hold(a, b):
            return first.step.rules[here].name, second.step.rules[there].name
    return None


def _both_hold(a: Mapping[str, Test], b: Mapping[str, Test]) -> bool:
    """Whether some value of every subject that both alternatives test is one for both."""
    common = a.keys() & b.keys()
    return any(True for _ in Space([(i, {key: tests[key] for key in common}) for i, tests in enumerate((a, b))]).overlaps())


def _ranges(subject: CheckedPolicy, first: RuleTable, second: RuleTable) -> Iterator[Diagnostic]:
    """R422 for ranges: codes from here to there in one table, and some of them in the other."""
    one, other = _texts(first), _texts(second)
    for key in one.keys() & other.keys():
        tests = [*one[key], *other[key]]
        border = len(one[key])
        space = Space([(i, {key: row[key]}) for i, (_, row) in enumerate(tests)])
        axis = space.axes[0]
        crossing = ((early, late) for late, early, _ in space.overlaps() if early < border <= late)
        pairs = [(i, j) for i, j in crossing if (tests[i][1][key].gaps or tests[j][1][key].gaps) and _both_hold(tests[i][1], tests[j][1])]
        smaller = range(border) if 2 * border < len(tests) else range(border, len(tests))
        inside = {i for pair in pairs for i in pair if i in smaller and not axis.holding(i) & ~axis.holding(sum(pair) - i)}
        if len(inside) > 2 and 2 * len(inside) > len(smaller):
            continue  # the one divides what the other says of whole regions
        for early, late in pairs[:NAMED_KEYS]:
            cells = axis.holding(early) & axis.holding(late)
            value = axis.values[next(bits(cells))]
            here, there = second.step.rules[tests[late][0]], first.step.rules[tests[early][0]]
            field = key.rpartition(".")[2]
            message = f"`{second.step.name}` and `{first.step.name}` both take {field} = {v.literal(value)}"
            message += f": {_said(here, field)} and {_said(there, field)} overlap"
            related = ((f"`{first.step.name}` takes it first", there.name.span()),)
            touches = subject.touched(first.step.entity, _inside(axis, cells))
            yield Diagnostic(
                "R422", message, here.name.span(), "keep it in only one of the two", related, certainty=PROVEN, touches=touches
            )


def _texts(table: RuleTable) -> dict[str, list[Alternative]]:
    """The rows that ask for texts, by the subject that these are of."""
    made: dict[str, list[Alternative]] = {}
    for number, tests in table.cases.rows:
        for key, test in tests.items():
            if test.points and isinstance(test.points[0], str) and test.null is not True and test.other is not True:
                made.setdefault(key, []).append((number, tests))
    return made


def _said(rule: Rule, field: str) -> str:
    """The cell of a row that asks for a field."""
    cells = (c.text for c in rule.conditions for n in s.walk(c.tree) if n == s.Name(field) or (isinstance(n, s.Path) and n.field == field))
    return f"`{next(cells, rule.name)}`"


def _inside(axis: Axis, cells: int) -> Callable[[Row], bool]:
    from roe.grammar.closures import compile_expression

    code = compile_expression(axis.node)

    def inside(row: Row) -> bool:
        cell = axis.cell_of(code(row.world.scope(row)))
        return cell is not None and bool(cells >> cell & 1)

    return inside


def two_lists(subject: CheckedPolicy) -> Iterator[Diagnostic]:
    """R422 for lists: a value that two lists have, where one rule of a role asks for the one and a later rule for the other."""
    policy = subject.evaluator.policy
    lists = policy.plan.lists
    for table in subject.tables if len(lists) > 1 else ():
        if table.step.stage != "engagement":
            continue
        asked: list[tuple[str, str, Rule]] = []
        for rule in table.step.rules:
            for name, key in dict.fromkeys(_listed(rule, table, lists)):
                for other, same, earlier in asked:
                    common = _common(lists[name], lists[other]) if same == key and other != name else []
                    if not common or 2 * len(common) > min(len(lists[name]), len(lists[other])):
                        continue
                    for value in common[:NAMED_KEYS]:
                        message = f"the lists `{name}` and `{other}` both have {key.rpartition('.')[2]} = {v.literal(value)}"
                        related = ((f"`{earlier.name}` takes it first", earlier.name.span()),)
                        at = value.span() if isinstance(value, Text) else rule.name.span()
                        yield Diagnostic("R422", message, at, "keep it in only one of the two", related, certainty=PROVEN, touches=subject.touched(table.step.entity, _has(key, value)))  # fmt: skip
                asked.append((name, key, rule))


def _common(values: list[object], others: list[object]) -> list[object]:
    known = set(others)
    return [x for x in values if x in known]


def _listed(rule: Rule, table: RuleTable, lists: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """(a list, the subject whose values it has) of each plain membership that a rule asks for."""
    for condition in rule.conditions:
        for tree in s.conjuncts(table.cases.writer.full(condition.tree)):
            only = tree.tests[0] if isinstance(tree, s.In) and not tree.negated and len(tree.tests) == 1 else None
            if isinstance(tree, s.In) and isinstance(only, s.Name) and only.id in lists:
                yield only.id, show(tree.value)


def _fields(tree: s.Node, entity: str) -> Iterator[str]:
    for n in s.walk(tree):
        if isinstance(n, s.Path) and isinstance(n.base, s.Name) and n.base.id == entity:
            yield n.field
        elif isinstance(n, s.Name):
            yield n.id


def _keys(table: RuleTable) -> dict[str, dict[Value, list[int]]]:
    """The texts that rows list, by subject: ZIP codes, domains, names; for each the alternatives that list it."""
    by_subject: dict[str, dict[object, list[int]]] = {}
    for place, (_, tests) in enumerate(table.cases.rows):
        for key, test in tests.items():
            for point, truth in zip(test.points, test.at_points, strict=True):
                if truth is True and isinstance(point, str) and test.other is not True:
                    by_subject.setdefault(key, {}).setdefault(point, []).append(place)
    return by_subject


def _has(subject: str, key: object) -> Callable[[Row], bool]:
    from roe.grammar.closures import compile_expression
    from roe.grammar.parser import parse

    tree, _ = parse(subject)
    code = compile_expression(tree) if tree is not None else None
    return lambda row: code is not None and code(row.world.scope(row)) == key


# --- reps -----------------------------------------------------------------------------------------------------------


def reps(subject: CheckedPolicy) -> Iterator[Diagnostic]:
    """R417: reps that the policy names and the data does not know, and each place that names somebody who has left.

    Comments allow places one by one; `one_per_leaver` makes one finding of those that remain.
    """
    if subject.bound is None or not subject.bound.world.rows["rep"]:
        return
    world = subject.bound.world
    known = [str(x) for row in world.rows["rep"] for x in (row["id"], row["name"]) if x]
    for name, what in named_reps(world.policy.plan, world.clock.today):
        if world.find("rep", str(name)) is None:
            help = suggest(str(name), known, "add the rep to the data, or name another")
            yield Diagnostic("R417", f"{what} names `{name}`, and no rep in the data has that name", name.span(), help, certainty=PROVEN)
    yield from map(_still_named, mentions(world))


def _still_named(mention: Mention) -> Diagnostic:
    message = f"{mention.what} names `{mention.text}`, who {in_words(reason_left(mention.rep))}"
    help = "name another rep, or end the row with `until`"
    return Diagnostic("R417", message, mention.text.span(), help, certainty=PROVEN)


def one_per_leaver(subject: CheckedPolicy, findings: list[Diagnostic]) -> list[Diagnostic]:
    """The findings, where all places that name one leaver are one: at the first place, with the others beside it."""
    if subject.bound is None or not any(d.code == "R417" for d in findings):
        return findings
    by_place = {(d.span, d.message): m for m in mentions(subject.bound.world) for d in (_still_named(m),)}
    merged: list[Diagnostic] = []
    first: dict[str, int] = {}  # rep -> where its finding is
    for d in findings:
        mention = by_place.get((d.span, d.message)) if d.code == "R417" else None
        if mention is None or mention.rep.written not in first:
            if mention is not None:
                first[mention.rep.written] = len(merged)
            merged.append(d)
        else:
            at = first[mention.rep.written]
            merged[at] = replace(merged[at], related=(*merged[at].related, (f"{mention.what} too", d.span)))
    for at in first.values():
        others = len(merged[at].related)
        if others:
            also = f"; so {verb(others, 'does', 'do')} {counted(others, 'more place')}"
            merged[at] = replace(merged[at], message=merged[at].message + also)
    return merged


def unknown_records(subject: CheckedPolicy) -> Iterator[Diagnostic]:
    """R506: records that exceptions and `do_not_route` name, and that the data does not know."""
    if subject.bound is None:
        return
    world = subject.bound.world
    plan, today = world.policy.plan, world.clock.today
    named: list[tuple[ExceptionRow | Untouched, str]] = [
        (x, "the exception") for x in plan.exceptions if x.until is None or v.less(today, x.until) is True
    ]
    named += [(x, "`do_not_route`") for x in plan.untouched if x.until is None or today < x.until]
    for row, what in named:
        matches = world.search(row.entity, row.record) if world.rows.get(row.entity) else []
        if not world.rows.get(row.entity) or (len(matches) == 1 and (isinstance(row, ExceptionRow) or matches[0]["id"] == row.record)):
            continue
        if matches:
            why = f"which matches {len(matches)} records" if len(matches) > 1 else "which is not an id"
            help = "name the record by its id"
        else:
            known = [str(x[field]) for x in world.rows[row.entity][:MOST_ASKED] for field in ("id", "name") if dict.get(x, field)]
            why, help = "which is not in the data", suggest(str(row.record), known, "name the record by its id, or remove the row")
        yield Diagnostic("R506", f"{what} names the {row.entity} `{row.record}`, {why}", row.record.span(), help, certainty=PROVEN)


# --- fields ---------------------------------------------------------------------------------------------------------


def _fields_of_rules(subject: CheckedPolicy, entities: Container[str]) -> dict[tuple[str, str], list[Text]]:
    """(entity, field) -> the conditions that ask for it."""
    seen: dict[tuple[str, str], list[Text]] = {}
    for table in subject.tables:
        entity = table.step.entity
        for condition in (c for rule in table.step.rules for c in rule.conditions if entity in entities):
            for part in s.walk(table.cases.writer.full(condition.tree)):
                path = path_of(part, entity)
                if path is not None and len(path) == 1:
                    seen.setdefault((entity, path[0]), []).append(condition.text)
    return seen


def empty_fields(subject: CheckedPolicy) -> Iterator[Diagnostic]:
    """R421: fields that rules need a value of, and that no record of the data has."""
    if subject.bound is None:
        return
    world = subject.bound.world
    in_state = {f"{book}{part}" for book in subject.evaluator.policy.plan.books for part, _ in KEPT}  # in the state, not in the data
    for (entity, name), texts in _fields_of_rules(subject, [entity for entity, rows in world.rows.items() if rows]).items():
        known = subject.evaluator.policy.model.entities[entity].get(name)
        stored = known is not None and not known.via and known.type.name not in ("owners", "record")
        remembered = "." in name and name.partition(".")[0] in PER_ROLE  # by the ledger; no data has it
        if not stored or remembered or (entity, name) in subject.evaluator.policy.plan.steps or name in in_state:
            continue
        if all(row[name] is None for row in world.rows[entity]):
            rows = len(world.rows[entity])
            message = f"rules depend on `{entity}.{name}`, which is empty in all {rows} {entity} records"
            help = "fill the field, name its column under `fields:`, or drop the condition"
            related = tuple(("this one too", text.span()) for text in texts[1:3])
            yield Diagnostic("R421", message, texts[0].span(), help, related, certainty=PROVEN, touches=(rows, ()))


CHECKS: tuple[Callable[[CheckedPolicy], Iterator[Diagnostic]], ...] = (
    unused_lists, two_tables, two_lists, reps, unknown_records, empty_pools, overloaded_pools, empty_fields,
)  # fmt: skip

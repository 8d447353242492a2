"""Reps who have left, or are not active: where a policy still names them.

A leaver is named by what gives or asks: rules, pools, the staffing of territories, tables that rules assign from, exceptions, credit. A row
that has ended, or that ends by itself, names its rep rightly. The data names leavers too: as managers of reps who are here, and as covers of
leaves that are not over.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from pathlib import PurePath

from roe.dynamic import JsonObject, Saved, Value
from roe.evaluator.able import reason_left
from roe.evaluator.row import Row
from roe.evaluator.world import World
from roe.grammar import syntax as s
from roe.node import node
from roe.plan.operators import Action, Allocate, Choose, Derive, Expr, Rule
from roe.plan.plan import Plan
from roe.source import Span, Text
from roe.words import counted

_QUOTED = re.compile(r'(?:^{|then |else )"([^"]+)"')  # who must decide, as the engagement puts a list of them
Named = Iterator[tuple[Text, str]]  # (the name, where it is asked for)


@node
class Mention:
    """One place that names a rep: the text, and what it belongs to, such as "the pool `desk`"."""

    rep: Row
    text: Text
    what: str

    @property
    def place(self) -> str:
        """The file and the line, or the cell of a workbook."""
        return line_of(self.text.span())


def line_of(at: Span) -> str:
    return f"{at.file}:{at.cell or at.line}"


def in_words(reason: str) -> str:
    """Why somebody may not hold records (`roe.evaluator.able.reason_left`) with a verb."""
    return f"is {reason}" if reason == "not active" else reason


def leavers(world: World) -> dict[str, Row]:
    """The reps of the data who may not hold records, by their ids as the data has them."""
    return {rep.written: rep for rep in world.rows["rep"] if reason_left(rep)}


def mentions(world: World) -> list[Mention]:
    """Every place of the policy that names a leaver, in the order of the policy."""
    if not leavers(world):
        return []
    mentions: dict[tuple[str, str, str], Mention] = {}
    plan, today = world.policy.plan, world.clock.today
    for text, what in (*named_reps(plan, today), *_named_otherwise(plan)):
        rep = world.find("rep", str(text))
        if rep is not None and reason_left(rep):
            mention = Mention(rep, text, what)
            mentions.setdefault((rep.written, mention.place, what), mention)
    return list(mentions.values())


def named_reps(plan: Plan, today: date | None = None) -> Named:
    """Every text of a policy that must name a rep, but for rows that end."""
    for step in plan.steps.values():
        if isinstance(step, Choose) and step.stage == "staffing":
            for rule in step.rules:
                if rule.value is not None and not _ends(rule):
                    yield Text(str(rule.value), rule.name.origin), f"the staffing of `{rule.conditions[0].text}`"
    for pool in plan.pools.values():
        yield from _of_pool(pool, plan)
    for rules in plan.engagement.values():
        for rule in rules.rules:
            for action in _actions(rule):
                yield from _literal(action.assign, f"the rule `{rule.name}`")
    for row in plan.exceptions:
        if not row.shares and not (today is not None and isinstance(row.until, date) and row.until <= today):
            yield row.owner, f"the exception for `{row.record}`"


def _of_pool(pool: Allocate, plan: Plan) -> Named:
    for member in pool.members if not isinstance(pool.members, Expr) else ():
        if member.until is None:
            yield member.value, f"the pool `{pool.name}`"
    if pool.fallback is not None and str(pool.fallback) not in plan.pools:
        yield pool.fallback, f"the fallback of the pool `{pool.name}`"
    if pool.sla is not None and pool.sla.escalate is not None:
        yield pool.sla.escalate, f"the escalation of the pool `{pool.name}`"


def _actions(rule: Rule) -> Iterator[Action]:
    """What a rule does, and what it falls back on."""
    return rule.value.with_otherwise() if isinstance(rule.value, Action) else iter(())


def _named_otherwise(plan: Plan) -> Named:
    """Texts that name a rep, or something else that the data need not list: who covers vacancies, who must decide, cells of tables."""
    for step in plan.steps.values():
        if isinstance(step, Derive) and step.stage == "staffing":
            yield from ((rep, "the fallback of the staffing") for rep in step.vacant.values() if isinstance(rep, Text))
    for (entity, _), rules in plan.engagement.items():
        for rule in rules.rules:
            for action in _actions(rule):
                if isinstance(action.to, Text):  # a list that escalates names them within an expression
                    for name in _QUOTED.findall(action.to) or [action.to]:
                        yield Text(name, action.to.origin), f"the referral of the rule `{rule.name}`"
        yield from _of_tables(entity, rules, plan)
    for credit in plan.credits:
        if isinstance(credit.refer, Text):
            yield credit.refer, f"the disputes of the credit `{credit.name}`"
        for name, shares in credit.shares.items():
            for expr, _ in shares:
                yield from _literal(expr, f"the credit rule `{name}`")


def _literal(expr: Expr | None, what: str) -> Named:
    if expr is not None and isinstance(expr.tree, s.Literal) and isinstance(expr.tree.value, str):
        yield Text(expr.tree.value, expr.text.origin), what


def _of_tables(entity: str, rules: Choose, plan: Plan) -> Named:
    """The reps in tables that rules assign from, such as a list of named accounts with their owners."""
    asked: dict[tuple[str, str | None], None] = {}
    for rule in rules.rules:
        for action in _actions(rule):
            tree = action.assign.tree if action.assign is not None else None
            if isinstance(tree, s.Call) and tree.function == "string":  # a column of numeric ids
                tree = tree.args[0]
            if tree is not None:
                asked[_step_of(tree, entity), None] = None
            if isinstance(tree, s.Path):
                asked[_step_of(tree.base, entity), tree.field] = None
    for name, output in asked:
        step = plan.steps.get((entity, name))
        if isinstance(step, Choose):
            for row in step.rules:
                value = row.value.get(output) if isinstance(row.value, Mapping) else row.value if output is None else None
                if isinstance(value, str) and not _ends(row):
                    yield Text(value, value.origin if isinstance(value, Text) else row.name.origin), f"the table `{name}`"


def _step_of(tree: s.Node, entity: str) -> str:
    """The field of the record that an expression is; empty for any other expression."""
    if isinstance(tree, s.Path) and tree.base == s.Name(entity):
        return tree.field
    return tree.id if isinstance(tree, s.Name) else ""


def _ends(rule: Rule) -> bool:
    """Whether a row has an end of its own: whoever leaves then is named rightly."""
    return any(isinstance(c.tree, s.Compare) and c.tree.op == "<" and c.tree.left == s.Name("today") for c in rule.conditions)


def _named_in_data(world: World) -> Iterator[tuple[str, str, str]]:
    """(leaver, as what the data still names that rep, file)."""
    managed: Counter[str] = Counter()
    for rep in world.rows["rep"]:
        manager = rep["manager"]
        if manager is not None and reason_left(manager) and not reason_left(rep):
            managed[manager.written] += 1
    for key, n in sorted(managed.items()):
        yield key, f"the manager of {counted(n, 'rep')}", _file(world, "rep")
    covers: dict[tuple[str, str], str] = {}
    for rep in world.rows["rep"]:
        for leave in rep["leaves"]:
            cover, until = leave["cover"], leave["until"]
            if cover is not None and reason_left(cover) and (until is None or world.clock.today < until):
                covers[cover.written, rep.label] = _file(world, leave.entity)
    for (key, name), file in sorted(covers.items()):
        yield key, f"the cover of {name}", file


def _file(world: World, entity: str) -> str:
    return PurePath(world.readings[entity].file).name


def _still_in_books(world: World, books: Saved) -> dict[str, Counter[str]]:
    """rep -> book -> how many accounts of the data it has there; the next plan distributes those of a leaver."""
    gone = {str(rep["id"]): key for key, rep in leavers(world).items()}
    counts: dict[str, Counter[str]] = {}
    for name, book in sorted(books.items()):
        for account, place in book["accounts"].items():
            if place["rep"] in gone and world.find("account", account) is not None and not world.is_guest("account", account):
                counts.setdefault(gone[place["rep"]], Counter())[name] += 1
    return counts


def about_leavers(world: World, rows: Iterable[tuple[Value, ...]], books: Saved) -> JsonObject:
    """What a summary says of leavers, as plain JSON: rep -> name, why, where the policy names them, what became of their records, and how
    many accounts they still have in `books`, which applied plans have left.

    `rows` are (rep, entity, role, owner, its name, action, rule, how many records).
    """
    by_rep: dict[str, list[list[Value]]] = {}
    for rep, *rest in rows:
        by_rep.setdefault(rep, []).append(rest)
    named: dict[str, list[list[str]]] = {}
    for mention in mentions(world):
        named.setdefault(mention.rep.written, []).append([mention.what, mention.place])
    for key, what, place in _named_in_data(world):
        named.setdefault(key, []).append([what, place])
    in_books = _still_in_books(world, books)
    return {
        key: {
            "name": rep.label, "why": in_words(reason_left(rep)), "named": named.get(key, []), "records": by_rep.get(key, []),
            "books": dict(in_books.get(key, {})),
        }
        for key, rep in leavers(world).items()
        if key in by_rep or key in named or key in in_books
    }  # fmt: skip

"""The records of a policy as a history: its scores, each as of the day the record came, and the fields that the data fills."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from roe.diagnostics import PolicyError, suggest, user_error
from roe.dynamic import Value
from roe.evaluator.bound import Bound
from roe.evaluator.engine import Evaluator
from roe.grammar import syntax as s
from roe.grammar import types as t
from roe.grammar import values as v
from roe.plan.operators import Expr
from roe.plan.plan import expressions_of
from roe.policy.context import Context
from roe.scoring.history import ScoredHistory
from roe.source import Inline, Text

if TYPE_CHECKING:
    from roe.evaluator.row import Row
    from roe.evaluator.world import World


@dataclass(frozen=True, slots=True)
class ScoreQuestion:
    """What a back-test asks of a policy: expressions about a record of `entity`, and the scores (all where none is named)."""

    entity: str
    outcome: str
    time: str = ""
    group: str = ""
    scores: tuple[str, ...] = ()
    as_of: str = ""


def policy_history(evaluator: Evaluator, question: ScoreQuestion, bind: Callable[[str], Bound]) -> ScoredHistory:
    """The records with their scores. `bind` reads the data as of a date. Raises PolicyError."""
    policy, entity = evaluator.policy, question.entity
    names = score_names(evaluator, question)
    outcome, time, group = _expressions(evaluator, question)
    world = bind(question.as_of or "1970-01-01").world

    def values(expr: Expr | None) -> list[Value] | None:
        code = None if expr is None else world.compiled.code(expr)
        return None if code is None else [code(world.scope(row)) for row in world.rows[entity]]

    times = values(time)
    last = question.as_of or v.string(max((x for x in times or () if x is not None), key=str, default=None))
    if not last:
        raise user_error("R801", "`today` is not known", "--as-of", "give --as-of, or a --time")
    world.at(evaluator.clock(last))
    rows = world.rows[entity]
    won, groups = [x is True for x in values(outcome) or ()], values(group)
    history = ScoredHistory([str(r["id"]) for r in rows], {}, won, times, None if groups is None else [str(_id(x)) for x in groups])
    of_its_day = times is not None and not question.as_of
    moments = [str(v.string(x))[:10] if x is not None else "" for x in times] if of_its_day and times else [last] * len(rows)
    history.scores |= _scores(evaluator, world, rows, names, moments)
    when = "of the day of each record" if of_its_day else f"as of {last}"
    history.notes.append(f"records: the {len(rows)} {entity}s of {policy.name}; scores {when}")
    _fields(history, evaluator, entity, rows, s.names_and_fields(outcome.tree))
    return history


def score_names(evaluator: Evaluator, question: ScoreQuestion) -> list[str]:
    """The scores that are asked for, or all of the entity. Raises PolicyError if there are none."""
    policy, entity = evaluator.policy, question.entity
    if entity not in policy.model.entities:
        raise user_error("R504", f"there is no entity `{entity}`", policy.root, suggest(entity, policy.model.entities, "correct --for"))
    known = [n for (e, n) in policy.model.steps if e == entity and policy.model.field_type(e, n) == t.NUMBER]
    unknown = [n for n in question.scores if n not in known]
    if unknown:
        help = suggest(unknown[0], known, f"there are {', '.join(known) or 'none'}")
        raise user_error("R501", f"there is no score `{unknown[0]}` of a {entity}", policy.root, help)
    if not known:
        help = f"add `scores:` for {entity}, or leave the policy out"
        raise user_error("R501", f"the policy has no score of a {entity}", policy.root, help)
    return list(question.scores) or known


def _expressions(evaluator: Evaluator, question: ScoreQuestion) -> tuple[Expr, Expr | None, Expr | None]:
    cx = Context(evaluator.policy.root, evaluator.policy.model)
    names = cx.names(question.entity, implicit=True)
    outcome = cx.condition(Text(question.outcome, Inline("--outcome")), names)
    time, group = (
        cx.value(Text(x, Inline(option)), names) if x else None for x, option in ((question.time, "--time"), (question.group, "--group"))
    )
    if outcome is None or any(d.severity == "error" for d in cx.diagnostics):
        raise PolicyError(cx.diagnostics)
    return outcome, time, group


def _scores(
    evaluator: Evaluator, world: World, rows: Sequence[Row], names: Sequence[str], moments: Sequence[str]
) -> dict[str, list[float]]:
    """Each score as it was when the record came."""
    scores = {name: [0.0] * len(rows) for name in names}
    by_moment: dict[str, list[int]] = {}
    for i, moment in enumerate(moments):
        by_moment.setdefault(moment, []).append(i)
    for moment in sorted(by_moment.keys() - {""}):
        world.at(evaluator.clock(moment))
        for i in by_moment[moment]:
            for name, column in scores.items():
                column[i] = float(rows[i][name]) if v.is_number(rows[i][name]) else 0.0
    return scores


def _fields(history: ScoredHistory, evaluator: Evaluator, entity: str, rows: Sequence[Row], used: set[str]) -> None:
    for name, f in evaluator.policy.model.entities[entity].items():
        if f.type.name not in ("string", "number", "boolean", "date", "datetime") or name in ("id", "name"):
            continue
        stored = [dict.get(row, name) for row in rows]
        if not any(x is not None for x in stored):
            continue
        if name in used:
            history.dropped[name] = "the outcome is made of it"
        else:
            (history.aside if f.type.name in ("date", "datetime") else history.features)[name] = stored


def fields_read(evaluator: Evaluator, entity: str, score: str) -> frozenset[str]:
    """The fields of the entity that a score looks at, also through the steps that it is made of."""
    plan = evaluator.policy.plan
    read: set[str] = set()
    todo = [score]
    while todo:
        name = todo.pop()
        if name in read:
            continue
        read.add(name)
        step = plan.steps.get((entity, name))
        todo += [x.field for expr in expressions_of(step) for x in s.walk(expr.tree) if isinstance(x, s.Path)] if step is not None else []
    return frozenset(read)


def _id(value: Value) -> Value:
    return value["id"] if isinstance(value, Mapping) else value

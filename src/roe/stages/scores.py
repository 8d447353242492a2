"""`scores:` points from criteria, tiers from tables, and the models of `models.py`; and `tables:`, decision tables of one's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from roe.dynamic import Value, Values
from roe.grammar import types as t
from roe.grammar.types import Type
from roe.plan.operators import Choose
from roe.policy.context import Context
from roe.policy.decision_tables import choose, split, table_of
from roe.policy.section import Heading, Identifier
from roe.policy.tables import Table, TableSection, all_numbers
from roe.source import Text
from roe.stages import models
from roe.stages.models import CriterionSection, DecisionTableSection, ScoreSection

SCORES = Heading("scores", Mapping[Identifier, ScoreSection], "scores from criteria, tiers from a table")
TABLES = Heading("tables", Mapping[Identifier, DecisionTableSection], "decision tables of your own; each is a field of its entity")
Scores = Mapping[Text, ScoreSection]
Tables = Mapping[Text, DecisionTableSection]
AnyScore = ScoreSection | DecisionTableSection


def sections(scores: Scores, tables: Tables) -> list[tuple[Text, AnyScore, str]]:
    """(the name, the section, the stage of the steps it lowers to)."""
    return [*((name, score, "score") for name, score in scores.items()), *((name, table, "table") for name, table in tables.items())]


def entity_of(section: TableSection) -> str:
    return str(next(iter(section.entities), "account"))


def declare(scores: Scores, tables: Tables, cx: Context) -> None:
    for name, section, _ in sections(scores, tables):
        entity = entity_of(section)
        if section.entities and not cx.has_entity(section.entities[0], "declare it under `fields:`"):
            continue
        if not cx.is_free(entity, str(name), name):
            continue
        cx.model.steps[entity, str(name)] = lambda section=section, name=name: _type(section, cx, name)  # type: ignore[misc]
        given = [k for k in (*models.KINDS, "table", "rows") if getattr(section, k, None)]
        if len(given) > 1 and set(given) != {"criteria", "signals"}:
            cx.say(
                "R304", name, f"`{name}` is {' and '.join(given)} at once", "a score is one model: write the others as scores of their own"
            )
        else:
            _unused(section, cx)
        for suffix, kind in models.parts_of(section, models.kind_of(section)):
            cx.is_free(entity, f"{name}{suffix}", name)
            cx.model.steps[entity, f"{name}{suffix}"] = kind


OF_TABLES = ("table", "rows", "hit", "inputs", "outputs", "default", "priority")
OF_POINTS = ("criteria", "signals", "caps", "least", "most")


def _unused(section: AnyScore, cx: Context) -> None:
    """Keys that say something about another kind of score would be ignored."""
    kind = models.kind_of(section)
    used = OF_TABLES if not kind else OF_POINTS if kind in ("criteria", "points") else (kind,)
    what = "a table" if not kind else "a score from criteria" if used is OF_POINTS else f"a score with `{kind}`"
    for key in section.given:
        idle = key == "priority" and section.hit != "priority" and not kind
        if idle or str(key) not in (*used, "for", "description"):
            help = "write `hit: priority`, or remove it" if idle else "remove it, or write a score of its own that needs it"
            cx.say("R304", key, f"`{key}` has no effect in {'a table with `hit: ' + str(section.hit) + '`' if idle else what}", help)


def _type(section: AnyScore, cx: Context, name: str) -> Type:
    if kind := models.kind_of(section):
        return models.type_of(section, kind)
    with cx.apart():
        table = table_of(cx, section, section.asked)
    if table is None:
        return t.ANY
    return output_type(table, section, cx, entity_of(section), str(name))


def output_type(table: Table, section: TableSection, cx: Context, entity: str, own: str) -> Type:
    """One output column is a value, several are a record."""
    _, outputs = split(cx, table, section, cx.names(entity, implicit=True), own)

    hit, default = section.hit, section.default
    kinds = {}
    for i, name in outputs.items():
        cells = [row[i] for row in table.rows if row[i] not in ("", "-")]
        number = all_numbers(cells)
        otherwise = (
            {str(k): x for k, x in default.items()}.get(name) if isinstance(default, Mapping) else default
        )  # what the table gives where no row holds
        values = tuple(dict.fromkeys(map(str, [*cells, *([otherwise] if otherwise is not None else [])])))
        kinds[str(name)] = t.NUMBER if number else Type("string", values=values, declared=cells[0].span() if cells else None)
    if hit == "collect count" or (hit.startswith("collect ") and len(kinds) == 1):
        return t.NUMBER
    one = next(iter(kinds.values())) if len(kinds) == 1 else Type("record", fields={"name": t.STRING, **kinds})
    return t.list_of(one) if hit == "collect" else one


def lower(scores: Scores, tables: Tables, cx: Context) -> None:
    for name, section, stage in sections(scores, tables):
        entity = entity_of(section)
        if (entity, str(name)) not in cx.model.steps:
            continue
        kind = models.kind_of(section)
        if isinstance(section, ScoreSection) and kind not in ("", "criteria"):
            models.lower(section, kind, name, entity, cx)
            continue
        if section.criteria:
            step: Choose | None = _criteria(section.criteria, cx, entity, str(name))
        else:
            step = choose(cx, section, name, entity, str(name), stage, _single)
        if step:
            cx.steps[entity, str(name)] = step


def _single(label: str, outputs: Values) -> Value:
    values = list(outputs.values())
    if len(values) == 1:
        return values[0]
    return {**outputs, "name": None if label is None else str(label)}  # `priority` ranks by what stands first


def _criteria(criteria: Sequence[CriterionSection], cx: Context, entity: str, name: str) -> Choose:
    cx.unique_names([criterion.name for criterion in criteria], "criteria")
    rules = tuple(models.points_rule(criterion, entity, cx) for criterion in criteria)
    return Choose(entity, name, "score", "collect sum", rules, 0)

"""`Choose` in SQL: the number of the row that holds, and what it gives; or the points of all that hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from roe.grammar import values as v
from roe.plan.operators import Choose, Rule
from roe.source import Inline, Text
from roe.sql.forms import NoSql, Sql, column, comment, is_null, literal, total
from roe.sql.outcome import when
from roe.sql.query import Query, Ref, RowOutputs, SqlScalar

if TYPE_CHECKING:
    from roe.sql.statement import Reader, Statement


def chosen(statement: Statement, step: Choose) -> Reader | None:
    query, t = statement.start(step.entity)
    conditions = [statement.condition(t, rule, f"{step.entity}.{step.name}") for rule in step.rules]
    if any(c is None for c in conditions):
        return None
    held = [c for c in conditions if c is not None]
    comment = f"{step.entity}.{step.name}: {len(held)} rules, {step.hit}"
    if step.hit in ("collect sum", "collect count"):
        points = [literal(rule.value) if step.hit == "collect sum" else literal(1) for rule in step.rules]
        cases = [_named(exp.Case().when(c, p).else_(literal(0)), rule) for c, p, rule in zip(held, points, step.rules, strict=True)]
        points_held = total(cases)
        if step.default != 0:
            none = exp.Not(this=exp.paren(exp.or_(*(exp.func("COALESCE", c.copy(), exp.false()) for c in held))))
            points_held = exp.Case().when(none, literal(step.default)).else_(points_held)
        statement.layer(step.entity, {step.name: points_held}, query, comment)
        return lambda t, row: SqlScalar(column(step.name, row.alias), "number")
    if step.hit not in ("first", "unique"):
        statement.say(
            NoSql(f"the hit policy `{step.hit}` cannot be written the same way in every warehouse"),
            step.rules[0].name if step.rules else Text("", Inline()),
            f"{step.entity}.{step.name}",
        )
        return None
    return _single(statement, step, held, query, comment)


def _single(statement: Statement, step: Choose, held: list[Sql], query: Query, comment: str) -> Reader:
    """The row that holds: its number first, then what it gives."""
    case = exp.Case()
    for i, (condition, rule) in enumerate(zip(held, step.rules, strict=True), 1):
        case = when(case, condition, literal(i), rule)
    number: Sql = case
    if step.hit == "unique" and len(held) > 1:
        count = total(exp.Case().when(c.copy(), literal(1)).else_(literal(0)) for c in held)
        number = exp.Case().when(exp.GT(this=exp.paren(count), expression=literal(1)), literal(0)).else_(case)
    at = f"{step.name}__row"
    statement.layer(step.entity, {at: number if held else exp.null()}, query, comment)
    values = [rule.value for rule in step.rules]
    outputs = _outputs(step, values)
    query, _ = statement.start(step.entity)
    columns = {}
    for name, given in outputs.items():
        columns[name] = _by_number(column(at, "r"), given, _output(step.default, name, step.name))
    if any(isinstance(x, dict) for x in values):
        nothing = step.default is None
        columns = {f"{step.name}__{name}": sql for name, sql in columns.items()}
        known = exp.Case().when(exp.GT(this=column(at, "r"), expression=literal(0)), column(at, "r"))
        if not nothing:  # no row held, and the default stands for it; several held, and nothing does
            known = known.when(is_null(column(at, "r")), literal(0))
        columns[f"{step.name}__held"] = known
        statement.layer(step.entity, columns, query, f"what {step.entity}.{step.name} gives")
        return lambda t, row: RowOutputs(row, step.name)
    kind = next((v.kind(x) for x in [*values, step.default] if x is not None), "string")
    statement.layer(step.entity, {step.name: columns[step.name]}, query, f"what {step.entity}.{step.name} gives")
    if step.stage == "staffing":
        return lambda t, row: Ref("rep", column(step.name, row.alias))
    return lambda t, row: SqlScalar(column(step.name, row.alias), kind)


def _outputs(step: Choose, values: list[object]) -> dict[str, list[object]]:
    keys = dict.fromkeys(k for x in [*values, step.default] if isinstance(x, dict) for k in x)
    return {k: [x.get(k) if isinstance(x, dict) else None for x in values] for k in keys} if keys else {step.name: values}


def _named(case: Sql, rule: Rule) -> Sql:
    case.add_comments([comment(rule.name)])
    return case


def _output(default: object, name: str, own: str) -> Sql:
    return default.get(name) if isinstance(default, dict) else default if name == own else None


def _by_number(at: Sql, given: list[object], default: object) -> Sql:
    case = exp.Case(this=at)
    for number, value in enumerate(given, 1):
        if value is not None:
            case = case.when(literal(number), literal(value), copy=False)
    if not case.args.get("ifs"):
        return literal(default)
    if default is None:
        return case
    return case.when(literal(0), exp.null()).else_(literal(default))  # 0: several rows of a unique table held

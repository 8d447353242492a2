"""Decision tables: a section's rows or file, whose columns are conditions on a record and what a row gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from roe.crm.ids import fold
from roe.diagnostics import suggest
from roe.dynamic import Value, Values
from roe.grammar import syntax as s
from roe.grammar import values as v
from roe.grammar.names import Names
from roe.grammar.types import Type
from roe.plan.operators import Choose, Expr, Rule
from roe.policy.cells import read_cell
from roe.policy.context import Context
from roe.policy.tables import Table, TableSection, all_numbers, is_number_text
from roe.source import Text, span_of

RESERVED = ("name", "from", "until", "because", "description")  # columns about a row, and not about the record


def table_of(cx: Context, section: TableSection, asked: Text) -> Table | None:
    """The table of a section: its rows, or the file it names."""
    place = span_of(asked)
    if section.rows is not None:
        return cx.inline_table(section.rows, place)
    if section.table is not None:
        return cx.file_table(section.table)
    cx.say("R304", place, "a table or rows are missing", "add `table: file.csv`, or `rows:`")
    return None


def choose(
    cx: Context, section: TableSection, asked: Text, entity: str, name: str, stage: str, as_value: Callable[[Value, Values], Value]
) -> Choose | None:
    """A decision table as a `Choose`; `as_value(row name, outputs)` says what a row gives."""
    table = table_of(cx, section, asked)
    if table is None:
        return None
    names = cx.names(entity, implicit=True)
    inputs, outputs = _columns(cx, table, section, names, name)
    types = {i: cx.type_of(e, names) for i, e in inputs.items()}
    numeric = {i for i in outputs if all_numbers(row[i] for row in table.rows)}
    labels = table.column("name")
    rules = []
    for number, row in enumerate(table.rows, 1):
        cells = table.cells(row)
        conditions = [c for i, e in inputs.items() if (c := _cell(cx, e, row[i], names, types[i])) is not None]
        conditions += cx.period(cells.get("from"), cells.get("until"))
        given = {o: _output(row[i], i in numeric) for i, o in outputs.items()}
        first_output = next((row[i] for i in outputs), None)
        label = row[labels] if labels is not None else first_output
        label = Text(f"row {number}", row[0].origin) if label is None or not label else label
        rules.append(Rule(label, tuple(conditions), as_value(label, given), cells.get("because") or None))
    default = section.default
    value = None if default is None else as_value(None, _defaults(cx, default, {o: i in numeric for i, o in outputs.items()}))
    order = (tuple(map(str, section.priority)),) if section.priority else ()
    return Choose(entity, name, stage, str(section.hit), tuple(rules), value, order)


def _columns(cx: Context, table: Table, section: TableSection, names: Names, own: str) -> tuple[dict[int, Expr], dict[int, str]]:
    """Which columns are inputs, with their expressions, and which are outputs.

    A header that is an expression about the record (a field, or anything with a dot or parenthesis) is an input;
    `inputs` and `outputs` in the policy say otherwise.
    """
    texts, outputs = split(cx, table, section, names, own)
    declared, wanted = section.inputs, section.outputs
    for name in (*declared, *(wanted or ())):
        cx.has_column(table, name)
    fields = names.model.field_names(names.implicit[-1].entity) if names.implicit else []
    for i, header in outputs.items():
        near = suggest(header, [f for f in fields if f != own], "", 0.75)
        if near and wanted is None and header != own:
            cx.say("R404", table.header[i], f"`{header}` is treated as an output", f"{near} otherwise list it under `outputs:`")
    parsed = {i: cx.value(text, names) for i, text in texts.items()}
    return {i: expr for i, expr in parsed.items() if expr is not None}, outputs


def split(cx: Context, table: Table, section: TableSection, names: Names, own: str) -> tuple[dict[int, str], dict[int, str]]:
    """The columns that are inputs, with the text of their expressions, and those that are outputs.

    A column that is called as the table itself is what the table finds.
    """
    declared, wanted = section.inputs, section.outputs
    fields = [f for f in names.model.field_names(names.implicit[-1].entity) if f != own] if names.implicit else []
    inputs: dict[int, str] = {}
    outputs: dict[int, str] = {}
    for i, header in enumerate(table.header):
        if header in declared:
            inputs[i] = declared[header]
        elif header in RESERVED:
            continue
        elif header not in wanted if wanted is not None else _is_read(header, names, fields):
            inputs[i] = header
        else:
            outputs[i] = header
    return inputs, outputs


def _is_read(header: str, names: Names, fields: list[str]) -> bool:
    return header in fields or header in names.variables or any(c in header for c in ".([ <>=")


def _defaults(cx: Context, given: Mapping[Text, Text] | Text, numeric: dict[str, bool]) -> Values:
    """What a table gives where no row holds: numbers in columns of numbers, as its cells are."""
    by_name = dict.fromkeys(numeric, given) if isinstance(given, Text) else {str(key): default for key, default in given.items()}
    for key, default in by_name.items():
        number = numeric.get(str(key), False)
        if number and isinstance(default, str) and default not in ("", "-") and not is_number_text(default):
            cx.say("R311", default, f"the default `{default}` is not a number, as the cells of `{key}` are", "write a number")
    return {k: _output(x, numeric.get(str(k), False) and is_number_text(x)) if isinstance(x, str) else x for k, x in by_name.items()}


def _cell(cx: Context, subject: Expr, cell: Text, names: Names, kind: Type) -> Expr | None:
    """A cell as a condition on its column's expression."""
    if cell.strip() in ("", "-"):
        return None
    tree, problems = read_cell(cell, names, kind)
    if tree is None:
        cx.diagnostics += problems
        return None
    from roe.grammar import check as checker

    names = replace(names, tested=kind)
    cx.diagnostics += checker.check(tree, cell, names)[1]
    cx.checked.append((Expr(tree, cell), names))
    only = tree.tests[0] if len(tree.tests) == 1 and not tree.negated else None
    if isinstance(only, s.Literal):  # the same test, spelt as people read it
        return Expr(s.Compare("=", subject.tree, only, tree.at), cell)
    if isinstance(only, s.Unary):
        return Expr(s.Compare(only.op, subject.tree, only.operand, tree.at), cell)
    return Expr(s.In(subject.tree, tree.tests, tree.negated, tree.at), cell)


def _output(text: str, numeric: bool) -> object:
    if text in ("", "-"):
        return None
    if numeric:
        return int(text) if text.removeprefix("-").isdecimal() else v.number(float(text))
    return fold(str(text))

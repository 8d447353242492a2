"""How the arguments of a call meet the parameters of its function."""

from __future__ import annotations

from roe.diagnostics import Diagnostic, suggest
from roe.grammar import syntax as s
from roe.grammar.functions import BY_NAME
from roe.source import span_of


def argument_order(node: s.Call) -> list[int | None] | None:
    """The argument's index for each parameter, None for one left out; no order at all if the arguments do not fit."""
    row = BY_NAME[node.function]
    if not any(node.names):
        return list(range(len(node.args)))
    by_name = {n: i for i, n in enumerate(node.names)}
    known = {n for p in row.parameters for n in (p.name, p.other) if n}
    if "" in by_name or len(by_name) < len(node.names) or not set(by_name) <= known:
        return None
    order = [by_name.get(p.name, by_name.get(p.other) if p.other else None) for p in row.parameters]
    while order and order[-1] is None:
        order.pop()
    return order


def check_call(node: s.Call, text: str) -> list[Diagnostic]:
    """Whether the function exists and has parameters for these arguments."""
    row = BY_NAME.get(node.function)
    if row is None:
        help = suggest(node.function, BY_NAME, "docs/language.md lists the functions")
        return [Diagnostic("R202", f"unknown function `{node.function}`", span_of(text, *node.at), help)]
    order = argument_order(node)
    needed = sum(not p.optional for p in row.parameters)
    given = -1 if order is None else len(node.args)
    fits = given >= needed and (row.variadic or row.name == "append" or given <= len(row.parameters))
    if order is None or not fits or any(i is None for i in order[:needed]):
        message = f"these arguments do not fit `{row.name}`"
        return [Diagnostic("R203", message, span_of(text, *node.at), f"write `{row.signature}`")]
    return []

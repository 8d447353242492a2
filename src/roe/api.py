"""Expressions and decision tables on their own, with no policy: untyped variables, FEEL's run-time rules."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from roe.diagnostics import Diagnostic, PolicyError
from roe.evaluator.expressions import CLOCK, compile_expression
from roe.grammar import syntax as s
from roe.grammar import values as v
from roe.grammar.clock import Clock
from roe.grammar.calls import check_call
from roe.grammar.parser import parse
from roe.source import Inline, Text

_TEMPORAL_TEXT = re.compile(r'@"([^"]*)"|(date|time|date and time|duration)\(\s*"([^"]*)"\s*\)')


def evaluate(text: str, variables: Mapping[str, Any] | None = None, *, as_of: date | datetime | str = "1970-01-01") -> Any:
    """The value of an expression for some variables.

    Variables are JSON-like (None, bool, int, float, str, list, dict) or Python's dates, times, date-times and
    timedeltas; a string that is one FEEL temporal literal, such as `@"P1Y"` or `date("2026-01-31")`, is that value.
    `as_of` is what `today` and `now` mean, in UTC. A type mismatch gives None, as FEEL has it.

    Raises PolicyError for text that does not parse, an unknown function, or wrong arguments.
    """
    tree, problems = parse_checked(text)
    if tree is None:
        raise PolicyError(problems)
    return compile_expression(tree)(scope_of(variables or {}, as_of))


def scope_of(variables: Mapping[str, Any], as_of: date | datetime | str = "1970-01-01") -> dict[str, Any]:
    clock = Clock.at(as_of)
    scope = {name: adopt(value) for name, value in variables.items()}
    return {"today": clock.today, "now": clock.now, **scope, CLOCK: clock}


def adopt(value: Any) -> Any:
    """A caller's value as one of the language's."""
    if isinstance(value, str):
        m = _TEMPORAL_TEXT.fullmatch(value)
        if m and (found := v.parse_temporal(m[1] or m[3])) is not None:
            return found
        return value
    if isinstance(value, (list, tuple)):
        return [adopt(item) for item in value]
    if isinstance(value, Mapping):
        return {str(k): adopt(item) for k, item in value.items()}
    return v.number(value) if v.is_number(value) else value


def parse_checked(text: str, kind: str = "expr") -> tuple[s.Node | None, list[Diagnostic]]:
    """Parse, and check what needs no types: functions exist and take these arguments."""
    text = text if isinstance(text, Text) else Text(text, Inline())
    tree, problems = parse(text, kind)
    if tree is not None:
        problems = [p for node in s.walk(tree) if isinstance(node, s.Call) for p in check_call(node, text)]
    return (None if problems else tree), problems

"""The Python API: load and compile a policy; evaluate expressions and decision tables on their own.

Expressions without a policy have untyped variables, and FEEL's run-time rules: what does not fit is null.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NotRequired, TypedDict

from roe.diagnostics import Diagnostic, PolicyError, suggest, user_error
from roe.dynamic import Value
from roe.grammar import syntax as s
from roe.grammar import values as v
from roe.grammar.calls import check_call
from roe.grammar.clock import Clock
from roe.grammar.closures import compile_expression
from roe.grammar.days import not_a_day
from roe.grammar.parser import parse
from roe.grammar.scopes import CLOCK, Scope
from roe.source import Inline, Text

if TYPE_CHECKING:
    from roe.evaluator.engine import Evaluator
    from roe.plan.operators import Expr
    from roe.policy.model import Policy

_TEMPORAL_TEXT = re.compile(r'@"([^"]*)"|(date|time|date and time|duration)\(\s*"([^"]*)"\s*\)')


def load(path: str | Path) -> Policy:
    """The policy in a folder, or whose policy.yaml is given. Raises PolicyError with all diagnostics if it has an error."""
    from roe.cache import load_policy

    policy, problems = load_policy(Path(path))
    if policy is None:
        raise PolicyError(problems)
    return policy


def compile(policy: Policy) -> Evaluator:
    """An evaluator for a policy: it decides records, binds to tables, and runs."""
    from roe.evaluator.engine import Evaluator

    return Evaluator(policy)


def evaluate(text: str, variables: Mapping[str, Value] | None = None, *, as_of: date | datetime | str = "1970-01-01") -> Value:
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


def scope_of(variables: Mapping[str, Value], as_of: date | datetime | str = "1970-01-01") -> Scope:
    clock = Clock.at(as_of)
    scope = {name: adopt(value) for name, value in variables.items()}
    return {"today": clock.today, "now": clock.now, **scope, CLOCK: clock}


def adopt(value: Value) -> Value:
    """A caller's value as one of the language's."""
    if isinstance(value, str):
        m = _TEMPORAL_TEXT.fullmatch(value)
        temporal = v.parse_temporal(m[1] or m[3]) if m else None
        return value if temporal is None else temporal
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
        problems += [p for node in s.walk(tree) if (p := not_a_day(node, text)) is not None]
    return (None if problems else tree), problems


_HITS = {"RULE ORDER": "collect", "OUTPUT ORDER": "collect"}
# DMN's one-letter forms, with the aggregation of `collect`
_LETTERS = {
    "U": ("UNIQUE", ""), "A": ("ANY", ""), "P": ("PRIORITY", ""), "F": ("FIRST", ""), "R": ("RULE ORDER", ""),
    "O": ("OUTPUT ORDER", ""), "C": ("COLLECT", ""), "C+": ("COLLECT", "SUM"), "C<": ("COLLECT", "MIN"),
    "C>": ("COLLECT", "MAX"), "C#": ("COLLECT", "COUNT"),
}  # fmt: skip


class TableInput(TypedDict):
    """A column of conditions; `type` says of a variable that is given as a text that it is a duration."""

    expression: str
    type: NotRequired[str | None]


class TableOutput(TypedDict, total=False):
    """A column of results; `values` are the allowed ones, best first."""

    name: str | None
    values: str | None
    default: str | None


TableRow = TypedDict("TableRow", {"in": list[str], "out": list[str]})  # a rule: its cells as text


class DecisionTable(TypedDict):
    """A decision table in the words of DMN: `hitPolicy` in any case, `aggregation` SUM, MIN, MAX or COUNT."""

    inputs: list[TableInput]
    outputs: list[TableOutput]
    rules: list[TableRow]
    hitPolicy: NotRequired[str | None]
    aggregation: NotRequired[str | None]


def evaluate_table(
    table: DecisionTable, variables: Mapping[str, Value] | None = None, *, as_of: date | datetime | str = "1970-01-01"
) -> Value:
    """The result of a decision table for some variables. One output gives its value, several a dict by name; collect gives a list.

    Raises PolicyError for cells that do not parse, and where several rules of a unique table hold.
    """
    from roe.evaluator.choose import HIT_POLICIES, Chooser, rank
    from roe.plan.operators import Choose, Expr, Rule

    outputs = table["outputs"]
    cells = _TableCells(scope_of(variables or {}, as_of), [o.get("name") or "" for o in outputs])
    inputs = [cells.input(declared) for declared in table["inputs"]]
    rules = []
    for number, row in enumerate(table["rules"], 1):
        tests = [(i, cells.expression(cell, "tests")) for i, cell in zip(inputs, row["in"], strict=True)]
        conditions = [Expr(s.In(i.tree, t.tree.tests, t.tree.negated, t.tree.at), t.text) for i, t in tests if isinstance(t.tree, s.Tests)]
        rules.append(Rule(Text(str(number), Inline("<table>")), tuple(conditions), cells.result(row["out"])))
    orders = tuple(tuple(cells.value(cell) for cell in _cells(o.get("values"))) for o in outputs)
    defaults = [text for o in outputs if (text := o.get("default"))]
    default = cells.result(defaults) if len(defaults) == len(outputs) else None
    policy = str(table.get("hitPolicy") or "UNIQUE").upper()
    policy, total = _LETTERS.get(policy, (policy, table.get("aggregation") or ""))
    hit = f"{_HITS.get(policy, policy.lower())} {total.lower()}".strip()
    problems = cells.problems
    if hit not in HIT_POLICIES:
        help = suggest(policy, ["UNIQUE", "ANY", "PRIORITY", "FIRST", "COLLECT", "RULE ORDER", "OUTPUT ORDER"], "see docs/policy.md")
        problems.append(Diagnostic("R304", f"`{hit}` is not a hit policy", Inline("<table>").locate(hit, 0, len(hit)), help))
    if policy == "OUTPUT ORDER":
        rules.sort(key=lambda rule: rank(rule.value, orders))
    if problems:
        raise PolicyError(problems)
    choice = Chooser(Choose("", "table", "table", hit, tuple(rules), default, orders), {})(cells.scope)
    if choice.conflict:
        names = ", ".join(str(i + 1) for i in choice.fired)
        message, help = f"rules {names} all hold in a table that says `{hit}`", "make their conditions exclude each other"
        raise user_error("R609", message, Inline("<table>").locate("", 0, 0), help)
    return choice.value


class _TableCells:
    """Reads the cells of a decision table: its expressions, and their values for the variables in `scope`."""

    def __init__(self, scope: Scope, outputs: list[str]) -> None:
        # an input may be a variable whose name has spaces, which no expression can spell
        self._spaced = {name: "_".join(name.split()) for name in scope if " " in name}
        self.scope = scope | {short: scope[name] for name, short in self._spaced.items()}
        self.outputs = outputs
        self.problems: list[Diagnostic] = []

    def expression(self, text: str, kind: str) -> Expr:
        from roe.plan.operators import Expr

        shown = Text(self._spaced.get(text.strip(), text), Inline("<table>"))
        tree, problems = parse_checked(shown, kind)
        self.problems.extend(problems)
        return Expr(tree or s.Anything(), shown)

    def input(self, declared: TableInput) -> Expr:
        """The expression of an input. A variable that is declared as a duration may be given as a text."""
        subject = self.expression(declared["expression"], "expr")
        if str(declared.get("type") or "").endswith("Duration") and isinstance(subject.tree, s.Name):
            given = self.scope.get(subject.tree.id)
            self.scope[subject.tree.id] = v.parse_duration(given) if isinstance(given, str) else given
        return subject

    def value(self, text: str) -> Value:
        return compile_expression(self.expression(text, "expr").tree)(self.scope)

    def result(self, texts: list[str]) -> Value:
        """What a rule gives: the value of its one output, or several by name."""
        values = [self.value(text) for text in texts]
        return values[0] if len(self.outputs) == 1 else dict(zip(self.outputs, values, strict=True))


def _cells(values: str | None) -> list[str]:
    """The single expressions of a list of allowed values."""
    tree, _ = parse(values, "tests") if values else (None, [])
    return [values[t.at[0] : t.at[1]] for t in tree.tests] if values and isinstance(tree, s.Tests) else []
